"""Plans: which samples make each output, and with which weights."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from os import PathLike
from typing import IO, Any, ClassVar

import numpy as np

from zetamix_core._arrays import (
    Array,
    cast,
    default_float,
    device_of,
    from_host,
    is_array,
    is_dask,
    is_extension,
    is_jax,
    is_numpy,
    is_torch_symbol,
    kind,
    kind_of,
    library,
    namespace,
    portable_float,
    ready_values,
    to_host,
    torch_is_compiling,
    widest_integer,
    working_dtype,
)
from zetamix_core._checks import (
    MAX_ENTRIES,
    check_active,
    check_fit,
    check_like,
    check_num_samples,
    check_out,
    check_same_place,
    check_samples,
)
from zetamix_core._files import replacing
from zetamix_core._npz import UNREADABLE, read_arrays
from zetamix_core._products import scatter_rows
from zetamix_core._pytrees import register_with_jax
from zetamix_core._trees import mix_tree
from zetamix_core.labels import mix_labels, sparse_labels
from zetamix_core.mixing import mixing_float, weighted_sum
from zetamix_core.rounding import lowered, on_grid

__all__ = ["MixPlan"]


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class MixPlan:
    r"""Which samples make each output, and with which weights: draw once, apply to anything.

    A plan is a row-stochastic (M, N) matrix W with T entries a row. It maps N samples to M outputs,

    .. math:: \hat{x}_i = \sum_{r=1}^{T} w_{ir} \, x_{s_i(r)},

    in the same way whether x are images, labels, masks or hidden features.

    Parameters
    ----------
    indices : array of int, shape (M, T)
        The orderings: row i names the samples :math:`s_i(1), \dots, s_i(T)` that output i mixes.
    weights : array of float, shape (T,) or (M, T)
        Weights of the ranks, shared by all rows or one row for each output; of the library of
        `indices` or of NumPy, from which they are copied there.
    num_samples : int
        N, the number of samples that the plan applies to.

    Attributes
    ----------
    shape : tuple of int
        Number of outputs M and of samples N.
    num_mix : int
        T, the number of samples in a mixture.

    Raises
    ------
    ValueError
        If shapes do not fit or, in arrays whose values are at hand in host memory, an index is out
        of range, a weight is negative or the weights of an output do not sum to one.
    TypeError
        If `indices` and `weights` are not arrays of one library, of integers and floats.

    See Also
    --------
    zeta_plan, mixup_plan, dirichlet_plan : The usual ways to draw a plan.

    Notes
    -----
    A plan of NumPy arrays applies to arrays of any library, to which its entries are copied. A plan
    on a device (``like=``) applies to arrays of its own library and device. Plans are immutable,
    compare equal if they make exactly the same mixture, and are pytrees for JAX. What ``jax.vmap``
    returns is a stack of plans: it can be mapped over and compared, but not used as one plan.
    Indices are made int64, in JAX without its 64-bit mode int32.

    Examples
    --------
    >>> import numpy as np
    >>> from zetamix import MixPlan
    >>> plan = MixPlan(np.asarray([[0, 2], [1, 0]]), np.asarray([0.75, 0.25]), num_samples=3)
    >>> plan @ np.asarray([10.0, 20.0, 30.0])
    array([15. , 17.5])
    """

    indices: Array
    weights: Array
    num_samples: int

    __array_ufunc__ = None  # else NumPy would take `x @ plan` apart before refusing it

    # Whether no row repeats a sample. It is known of drawn plans, and of no others looked for.
    _distinct: ClassVar[bool] = False
    # A plan of NumPy's doubles as single precision takes it: rounded once, not at each use.
    _single: ClassVar[MixPlan | None] = None

    def __post_init__(self) -> None:
        # Where torch.compile meets `plan @ x` it rebuilds the plan from symbols, without values.
        if is_torch_symbol(self.indices):
            return
        if is_array(self.indices) and not is_numpy(self.indices) and is_numpy(self.weights):
            moved = from_host(_weights_for(self.weights, self.indices), self.indices)
            object.__setattr__(self, "weights", moved)
        given = self.indices
        _check_arrays(given, self.weights, self.num_samples)
        self._settle()
        _check_indices(self.indices, self.num_samples, given)
        _check_weights(self.weights)

    @classmethod
    def _drawn(
        cls, indices: Array, weights: Array, num_samples: int, *, distinct: bool = True
    ) -> MixPlan:
        """Make a plan that is right by construction: its values are not read once more."""
        if torch_is_compiling():  # Dynamo follows constructors alone, and reads no values there
            return cls(indices, weights, num_samples)
        plan = object.__new__(cls)
        fields = {"indices": indices, "weights": weights, "num_samples": num_samples}
        for name, value in {**fields, "_distinct": distinct}.items():
            object.__setattr__(plan, name, value)
        plan._settle()
        return plan

    def _settle(self) -> None:
        """Give the arrays the form that every use relies on."""
        indices, weights = self.indices, self.weights
        if is_numpy(indices):
            object.__setattr__(self, "indices", frozen(indices, np.int64))
            object.__setattr__(self, "weights", frozen(weights, weights.dtype.newbyteorder("=")))
            object.__setattr__(self, "num_samples", int(self.num_samples))
        else:
            # Classes are counted in the dtype of the indices, which a narrow one would cut off.
            object.__setattr__(self, "indices", cast(indices, widest_integer(indices)))
        register_with_jax(MixPlan, ("indices", "weights"))

    @property
    def shape(self) -> tuple[int, int]:
        """Number of outputs M and of samples N."""
        self._check_single(of_arrays=False)
        return self.indices.shape[0], self.num_samples

    @property
    def num_mix(self) -> int:
        """Number of samples T in a mixture."""
        self._check_single(of_arrays=False)
        return int(self.indices.shape[1])

    def __repr__(self) -> str:
        if not self._holds_arrays():
            return (
                f"MixPlan(indices={self.indices!r}, weights={self.weights!r}, "
                f"num_samples={self.num_samples})"
            )
        stack = f"stack of plans {self._stack()}, " if self._stack() else ""
        num_outputs, num_mix = self.indices.shape[-2:]
        return (
            f"MixPlan({stack}num_outputs={num_outputs}, num_samples={self.num_samples}, "
            f"num_mix={num_mix}, library={library(self.indices)!r})"
        )

    def __reduce__(self) -> tuple[type[MixPlan], tuple[Array, Array, int]]:
        self._check_single()
        return type(self), (self.indices, self.weights, self.num_samples)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, MixPlan):
            return NotImplemented
        if self.num_samples != other.num_samples:
            return False
        pairs = ((self.indices, other.indices), (self.weights, other.weights))
        if not (self._holds_arrays() and other._holds_arrays()):
            return all(type(a) is type(b) and not is_array(a) and a == b for a, b in pairs)
        return all(np.array_equal(to_host(a), to_host(b)) for a, b in pairs)

    def __matmul__(self, x: Array) -> Array:
        """Mix the samples of one array along its first axis.

        Parameters
        ----------
        x : array, shape (N, ...)
            Samples of any floating, complex, integer or bool dtype.

        Returns
        -------
        array, shape (M, ...)
            Mixed samples, of the library, device, dtype and memory order of `x`; integers and bool
            give the library's default float. Narrow floats are accumulated in float32.

        Raises
        ------
        ValueError
            If `x` does not have N samples, or is on another device than the plan.
        TypeError
            If `x` is no array, or of another library than a plan that is not of NumPy.

        Examples
        --------
        >>> import numpy as np
        >>> from zetamix import zeta_plan
        >>> plan = zeta_plan(3, gamma=0, rng=0)  # the plain mean
        >>> plan @ np.asarray([[0.0, 3.0], [3.0, 3.0], [6.0, 9.0]])
        array([[3., 5.],
               [3., 5.],
               [3., 5.]])
        """
        return self.mix(x)

    def mix(self, x: Array, *, out: Array | None = None) -> Array:
        """Mix the samples of one array, as ``plan @ x``, into memory that is there already.

        Parameters
        ----------
        x : array, shape (N, ...)
            Samples, as for ``plan @ x``.
        out : array, shape (M, ...), optional
            Where to write the mixed samples: a floating array (complex if `x` is) of the library
            and device of `x` that shares no memory with it. Its dtype decides the precision. New
            memory is the larger part of the cost of mixing many megabytes.

        Returns
        -------
        array, shape (M, ...)
            `out`, or what ``plan @ x`` gives.

        Raises
        ------
        ValueError
            If `x` does not have N samples, or `out` another shape or device than the result, or
            memory of `x` or that is read-only.
        TypeError
            If `out` is of another library, of one whose arrays can't be written to (JAX, Dask), or
            not of floating dtype.

        Examples
        --------
        >>> import numpy as np
        >>> from zetamix import zeta_plan
        >>> images, out = np.ones((4, 3), dtype=np.uint8), np.empty((4, 3), dtype=np.float32)
        >>> mixed = zeta_plan(4, rng=0).mix(images, out=out)
        >>> mixed is out, float(out[0, 0].round(6))
        (True, 1.0)
        """
        self._check_applies(x)
        if out is not None:
            check_out(out, x, self.shape[0])
        plan = self._placed(x, mixing_float(x, out))
        return weighted_sum(plan.indices, plan.weights, x, out, distinct=plan._distinct)

    def apply(
        self,
        tree: Any,
        *,
        num_classes: Mapping[str, int] | None = None,
        as_data: Iterable[str] = (),
        keep: Iterable[str] = (),
    ) -> Any:
        """Mix every array of a nested structure that shares the first axis.

        Floating arrays are mixed, None is kept. An integer or bool array is refused unless it is
        declared, so that class numbers are never averaged by accident.

        Parameters
        ----------
        tree : array, or nested dict, list, tuple and named tuple of arrays
            The first axis of each array has N samples.
        num_classes : mapping of str to int, optional
            Paths of integer arrays that hold labels, with their number of classes; they are mixed
            as by `mix_labels`. The path of ``tree["target"]["mask"]`` is ``"target/mask"``, that of
            ``tree[1]`` is ``"1"``; fields of named tuples go by their names.
        as_data : iterable of str, optional
            Paths of integer arrays that hold data, such as uint8 images.
        keep : iterable of str, optional
            Paths of what is to be left as it is, of any type, such as ids and file names.

        Returns
        -------
        tree of arrays
            The structure of `tree`, with mixed arrays; the input is left alone.

        Raises
        ------
        ValueError
            If an integer array is not declared, or a declared path is not in `tree`.
        TypeError
            If a leaf is neither an array nor None.

        Examples
        --------
        >>> import numpy as np
        >>> from zetamix import zeta_plan
        >>> plan = zeta_plan(2, gamma=1.0, rng=0)
        >>> batch = {"image": np.eye(2), "label": np.asarray([0, 1])}
        >>> mixed = plan.apply(batch, num_classes={"label": 2})
        >>> mixed["label"].round(3)
        array([[0.667, 0.333],
               [0.333, 0.667]])
        """
        self._check_single()
        classes = {} if num_classes is None else num_classes
        return mix_tree(self, tree, num_classes=classes, as_data=as_data, keep=keep)

    def mix_labels(self, y: Array, num_classes: int | None = None) -> Array:
        """Mix labels with the same weights as the samples.

        Parameters
        ----------
        y : array, shape (N, ...)
            One of

            - integer classes (N,), with `num_classes`: gives (M, num_classes),
            - integer one-hot or multi-hot rows (N, num_classes): gives (M, num_classes),
            - integer masks (N, ...) of any other shape, with `num_classes`: gives
              (M, ..., num_classes),
            - floating soft labels or regression targets (N, ...): gives (M, ...).
        num_classes : int, optional
            Number of classes C; required for integer labels.

        Returns
        -------
        array
            Mixed labels. Rows that sum to one still do. Integer labels give the dtype of the
            weights, or the default float of the library of `y` where that is not the plan's;
            floating ones keep their dtype.

        Raises
        ------
        ValueError
            If integer labels come without `num_classes` or are out of range, or if `y` does not
            have N samples. On accelerators, lazy and traced arrays, where reading them would
            synchronize, a label out of range gives NaN in the outputs that use it.

        Examples
        --------
        >>> import numpy as np
        >>> from zetamix import zeta_plan
        >>> zeta_plan(2, gamma=1.0, rng=0).mix_labels(np.asarray([2, 0]), 3).round(3)
        array([[0.333, 0.   , 0.667],
               [0.667, 0.   , 0.333]])
        """
        self._check_applies(y, "y")
        foreign = is_numpy(self.indices) and not (is_numpy(y) or is_dask(y))
        dtype = working_dtype(namespace(y), default_float(y)) if foreign else self.weights.dtype
        plan = self._placed(y, dtype if kind(y) in ("integer", "bool") else mixing_float(y))
        arrays = plan.indices, plan.weights
        return mix_labels(*arrays, y, num_classes, dtype, distinct=plan._distinct)

    def sparse_labels(self, y: Array) -> tuple[Array, Array]:
        """Return the classes and weights of each output, without an array of all classes.

        Parameters
        ----------
        y : array of int, shape (N,)
            Classes, as many as you like.

        Returns
        -------
        ids : array, shape (M, T)
            Class of the sample at each rank, of the dtype of `y`. A class may appear repeatedly.
        weights : array, shape (M, T)
            Weight of each rank.

        Raises
        ------
        ValueError
            If `y` is not a one-dimensional array of N integers.

        Examples
        --------
        >>> import numpy as np
        >>> from zetamix import zeta_plan
        >>> ids, weights = zeta_plan(2, gamma=1.0, rng=0).sparse_labels(np.asarray([907, 20_999]))
        >>> ids
        array([[  907, 20999],
               [20999,   907]])
        """
        self._check_applies(y, "y")
        plan = self._placed(y)
        return sparse_labels(plan.indices, plan.weights, y)

    def where(self, active: Array | bool) -> MixPlan:
        """Return this plan where `active` holds, else one that takes the sample at rank 1 alone.

        Parameters
        ----------
        active : bool or array of bool, shape () or (M,)
            Which outputs to mix, of the library and device of the plan. It may be traced.

        Returns
        -------
        MixPlan
            The plan with weights 1, 0, …, 0 where `active` does not hold; of an anchored plan that
            is sample ``i mod N`` itself.

        Raises
        ------
        ValueError
            If `active` is an array of another shape or device.
        TypeError
            If `active` is no bool and no array of bool, or of another library than the plan.

        Examples
        --------
        >>> import numpy as np
        >>> from zetamix import zeta_plan
        >>> plan = zeta_plan(2, gamma=1.0, rng=0).where(np.asarray([True, False]))
        >>> plan.weights.round(3)
        array([[0.667, 0.333],
               [1.   , 0.   ]])
        """
        self._check_single()
        check_active(active, self.weights, self.shape[0])
        xp, device = namespace(self.weights), device_of(self.weights)
        alone = cast(xp.arange(self.num_mix, device=device) == 0, self.weights.dtype)
        if isinstance(active, bool):
            active = xp.asarray(active, device=device)
        return self._with(self.indices, xp.where(active[..., None], self.weights, alone))

    def matrix(self) -> Array:
        """Return the dense mixing matrix W, of shape (M, N), whose rows sum to one.

        Returns
        -------
        array of float, shape (M, N)
            ``plan.matrix() @ x`` is ``plan @ x`` for two-dimensional `x`.

        Examples
        --------
        >>> from zetamix import zeta_plan
        >>> zeta_plan(3, gamma=2, num_mix=2, rng=0).matrix()
        array([[0.8, 0.2, 0. ],
               [0. , 0.8, 0.2],
               [0. , 0.2, 0.8]])
        """
        self._check_single()
        return scatter_rows(self.indices, self.weights, self.num_samples)

    def save(self, file: str | PathLike[str] | IO[bytes]) -> None:
        """Write the plan to an npz file, to repeat exactly the same mixture later.

        Parameters
        ----------
        file : path or binary file
            Where to write; the path is taken as it is. A file of that name is replaced once the
            new one is complete: a full disk or a killed process leaves the old one.

        Raises
        ------
        OSError
            If the file can't be written, or its directory, in which the new file is made.

        Examples
        --------
        >>> import io
        >>> from zetamix import MixPlan, zeta_plan
        >>> plan, file = zeta_plan(4, rng=0), io.BytesIO()
        >>> plan.save(file)
        >>> MixPlan.load(io.BytesIO(file.getvalue())) == plan
        True
        """
        self._check_single()
        arrays = {
            "indices": to_host(self.indices),
            "weights": _storable(to_host(self.weights)),
            "num_samples": np.asarray(self.num_samples),
        }
        # In memory first: NumPy seeks in what it writes to, and after an error leaves it half done.
        archive = io.BytesIO()
        np.savez(archive, allow_pickle=False, **arrays)
        with _opened(file, "wb") as handle:
            handle.write(archive.getbuffer())

    @classmethod
    def load(cls, file: str | PathLike[str] | IO[bytes], like: Array | None = None) -> MixPlan:
        """Read a plan that `save` wrote; nothing is unpickled.

        Parameters
        ----------
        file : path or binary file
            What to read.
        like : array, optional
            Array whose library and device the plan takes; NumPy if None.

        Returns
        -------
        MixPlan

        Raises
        ------
        ValueError
            If the file does not hold a plan.

        Examples
        --------
        >>> import io
        >>> from zetamix import MixPlan, zeta_plan
        >>> plan, file = zeta_plan(8, num_mix=3, rng=0), io.BytesIO()
        >>> plan.save(file)
        >>> _ = file.seek(0)
        >>> MixPlan.load(file) == plan
        True
        """
        check_like(like)
        with _opened(file, "rb") as handle:
            try:
                plan = cls(*_stored(handle))
            except UNREADABLE as error:
                raise ValueError(
                    f"a saved plan is an npz file with indices, weights and num_samples, got "
                    f"{file!r} ({error}); write it with MixPlan.save"
                ) from error
        return plan if like is None else plan._moved_to(like)

    def _check_applies(self, x: Array, name: str = "x") -> None:
        """Check that the plan applies to `x`."""
        self._check_single()
        n = check_samples(name, x)
        if n != self.num_samples:
            raise ValueError(
                f"the plan was drawn for {self.num_samples} samples, got {name} with "
                f"{n} along its first axis (shape {tuple(x.shape)}, dtype {x.dtype}); check that "
                f"they come from the same batch, or draw a plan for n={n}"
            )
        if not is_numpy(self.indices):
            remedy = "draw the plan with like= this array, or with like=None for any library"
            check_same_place(self.indices, x, f"the plan and {name}", remedy)

    def _placed(self, x: Array, dtype: Any = None) -> MixPlan:
        """Return this plan where `x` is, with weights for a precision if one is given."""
        if not is_numpy(self.indices):
            return self
        plan = self if dtype is None else self._lowered(dtype)
        return plan._moved_to(x)

    def _lowered(self, dtype: Any) -> MixPlan:
        """Return this NumPy plan with weights of no more digits than `dtype` of any library has."""
        narrows = self.weights.dtype == np.float64 and "float32" in str(dtype)
        if torch_is_compiling() or not narrows:
            return self
        single = self._single
        if single is None:
            single = self._with(self.indices, on_grid(self.weights, np.float32))
            object.__setattr__(self, "_single", single)
        return single

    def _moved_to(self, like: Array) -> MixPlan:
        """Return this NumPy plan in the library and on the device of `like`."""
        if is_numpy(like) or is_dask(like):
            return self
        arrays = self.indices, _weights_for(self.weights, like)
        return self._with(*(from_host(array, like) for array in arrays))

    def _with(self, indices: Array, weights: Array) -> MixPlan:
        """Return a plan with the samples of this one in each row, from arrays that are right."""
        return self._drawn(indices, weights, self.num_samples, distinct=self._distinct)

    def _check_single(self, *, of_arrays: bool = True) -> None:
        """Check that this is one plan to be used: transformations of JAX may change its leaves."""
        if torch_is_compiling():
            return
        shapes = [tuple(getattr(leaf, "shape", ())) for leaf in (self.indices, self.weights)]
        whole = self._holds_arrays()
        if _fit(*shapes) and (whole or not of_arrays):
            return
        if not whole:
            raise TypeError(
                f"a plan must hold integer indices and weights to be applied, got {self!r}; apply "
                f"the plan from before its leaves were replaced, as by jax.tree.map"
            )
        if stack := self._stack():
            raise ValueError(
                f"a stack of plans must be used inside of jax.vmap, one plan at a time, got a "
                f"stack of plans {stack}; map over it, as in jax.vmap(lambda plan: plan @ x)"
                f"(plans), or take one with jax.tree.map(lambda leaf: leaf[0], plans)"
            )
        raise ValueError(_misfit(*shapes))

    def _holds_arrays(self) -> bool:
        """Tell whether the leaves are such arrays as those of a plan or of a stack of plans."""
        arrays = is_array(self.indices) and is_array(self.weights)
        return arrays and self.indices.ndim > 1 and kind_of(self.indices) == "integer"

    def _stack(self) -> tuple[int, ...]:
        """Return the shape of a stack of plans, as vmap makes it; that of one plan is empty."""
        return tuple(self.indices.shape[:-2]) or tuple(self.weights.shape[:-2])


def _weights_for(weights: np.ndarray, like: Array) -> Array:
    """Return weights of NumPy in a dtype that the library of `like` has."""
    # JAX without its 64-bit mode would narrow the weights, off their grid, by itself.
    if is_jax(like):
        return lowered(weights, default_float(like))
    if torch_is_compiling():  # graphs know no dtypes of NumPy
        return weights
    return lowered(weights, portable_float(weights.dtype))


def _stored(handle: IO[bytes]) -> tuple[Array, Array, Any]:
    arrays = read_arrays(handle, ("indices", "weights", "num_samples"), MAX_ENTRIES)
    indices, weights, num_samples = arrays.values()
    return indices, weights, num_samples[()]


def _storable(weights: np.ndarray) -> np.ndarray:
    """Return weights that NumPy alone can read: files don't tell dtypes of other packages."""
    return weights.astype(np.float32) if is_extension(weights.dtype) else weights


def _opened(file: str | PathLike[str] | IO[bytes], mode: str) -> AbstractContextManager[Any]:
    """Open a path as it is: NumPy adds an ending to names, and leaves broken files open."""
    if not isinstance(file, str | PathLike):
        return nullcontext(file)
    return replacing(file) if mode == "wb" else open(file, mode)


def frozen(array: np.ndarray, dtype: Any) -> np.ndarray:
    """Return an array that nobody writes to: a copy, unless it was handed over read-only."""
    array = array.astype(dtype, copy=array.flags.writeable)
    array.flags.writeable = False
    return array


def _check_arrays(indices: Array, weights: Array, num_samples: int) -> None:
    if not (is_array(indices) and is_array(weights)):
        raise TypeError(
            f"indices and weights of a plan must be arrays, got {type(indices).__name__} and "
            f"{type(weights).__name__}; convert them, for instance with numpy.asarray"
        )
    check_fit("indices", indices)
    check_fit("weights", weights)
    if kind(indices) != "integer" or kind(weights) != "floating":
        raise TypeError(
            f"a plan has integer indices and floating weights, got dtypes {indices.dtype} and "
            f"{weights.dtype}; cast them"
        )
    check_same_place(indices, weights, "indices and weights", "convert one of them")
    check_num_samples(num_samples)
    shapes = tuple(indices.shape), tuple(weights.shape)
    if not _fit(*shapes):
        raise ValueError(_misfit(*shapes))


def _fit(indices: tuple[int, ...], weights: tuple[int, ...]) -> bool:
    """Tell whether these are the shapes of the arrays of one plan."""
    return len(indices) == 2 and indices[1] >= 1 and weights in (indices, indices[1:])


def _misfit(indices: tuple[int, ...], weights: tuple[int, ...]) -> str:
    return (
        f"indices must have shape (M, T) and weights (T,) or (M, T) with T >= 1, got {indices} "
        f"and {weights}; reshape them"
    )


def _check_indices(indices: Array, num_samples: int, given: Array) -> None:
    """Check indices whose values can be read at no cost."""
    values = ready_values(indices)
    if values is None or values.size == 0:
        return
    # Seen as unsigned, negative numbers are large: one pass instead of two.
    if values.view(f"u{values.dtype.itemsize}").max() >= num_samples:
        read = to_host(given)
        raise ValueError(
            f"indices must be from 0 to num_samples - 1 = {num_samples - 1}, got values from "
            f"{read.min()} to {read.max()}; check num_samples"
        )


def _check_weights(weights: Array) -> None:
    """Check weights whose values can be read at no cost."""
    exact = working_dtype(namespace(weights), weights.dtype)
    values = ready_values(cast(weights, exact))
    if values is None:
        return
    # The sums of narrow floats are as far from 1 as these are from what they stand for.
    tolerance = 1e-3 if weights.dtype == exact else 1 / 8
    sums = values.sum(axis=-1)
    if not (np.all(values >= 0) and np.all(np.abs(sums - 1) <= tolerance)):
        raise ValueError(
            f"the weights of an output must be >= 0 and sum to 1, got a least weight of "
            f"{values.min()} and sums from {sums.min()} to {sums.max()}; divide by the sum"
        )
