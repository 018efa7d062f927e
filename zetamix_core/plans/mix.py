"""Plans: which samples make up each output, and with which weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from zetamix_core.arrays import (
    Array,
    Facts,
    device_of,
    from_host,
    is_array,
    is_dask,
    is_numpy,
    is_torch_symbol,
    library,
    namespace,
    torch_is_compiling,
)
from zetamix_core.checks import (
    check_active,
    check_out,
    check_same_place,
    examined,
)
from zetamix_core.dtypes import (
    cast,
    default_float,
    kind_of,
    real_dtype,
    widest_integer,
    working_dtype,
)
from zetamix_core.labels import (
    LabelOptions,
    check_counted,
    check_ignore_index,
    label_weights,
    mix_labels,
    sparse_labels,
)
from zetamix_core.linear_map import Entries, dtypes_for, weighted_sum
from zetamix_core.plans.base import _PLAIN, Plan
from zetamix_core.plans.entries import (
    check_arrays,
    check_indices,
    check_weights,
    fit,
    frozen,
    is_untouched,
    misfit,
    weights_for,
)
from zetamix_core.products import dense_matrix
from zetamix_core.rounding import on_grid
from zetamix_core.sparse import examined_sparse, is_sparse, sparse_dtype, weighted_sum_of_sparse

__all__ = ["MixPlan"]


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class MixPlan(Plan):
    r"""Which samples make up each output, and with which weights: draw once, apply to anything.

    A plan is a row-stochastic (M, N) matrix W with T entries per row. It maps N samples to M
    outputs,

    .. math:: \hat{x}_i = \sum_{r=1}^{T} w_{ir} \, x_{s_i(r)},

    in the same way for images, labels, masks and hidden features.

    Parameters
    ----------
    indices : array of int, shape (M, T)
        The orderings: row i names the samples :math:`s_i(1), \dots, s_i(T)` that output i mixes.
    weights : array of float, shape (T,) or (M, T)
        Weights of the ranks, shared by all rows or one row for each output; of the library of
        `indices`, or of NumPy, from where they are copied to it.
    num_samples : int
        N, the number of samples that the plan applies to.

    Attributes
    ----------
    shape : tuple of int
        Number of outputs M and of samples N.
    num_outputs : int
        M, the number of outputs.
    num_mix : int
        T, the number of samples in a mixture.

    Raises
    ------
    ValueError
        If shapes do not fit or, in arrays whose values are readable in host memory, an index is out
        of range, a weight is negative or the weights of an output do not sum to one.
    TypeError
        If `indices` and `weights` are not integers and floats in arrays of one library.

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

    _children = ("indices", "weights")
    _stored = ("indices", "weights", "num_samples")
    # Whether the leaves are the plan's own, not what JAX put in their place.
    _sound: ClassVar[bool] = False
    # Whether no row repeats a sample: known for drawn plans, never searched for in others.
    _distinct: ClassVar[bool] = False
    # Whether outputs must be the same to the last bit whatever is mixed beside them.
    _steady: ClassVar[bool] = False
    # Whether no weight is zero, known for weights made on the host; None: not known.
    _positive: ClassVar[bool | None] = None
    # Double weights of a NumPy plan in single precision: rounded once, not at each use.
    _single: ClassVar[np.ndarray | None] = None

    def __post_init__(self) -> None:
        # Where torch.compile meets `plan @ x` it rebuilds the plan from symbols, without values.
        if is_torch_symbol(self.indices):
            return
        if is_array(self.indices) and not is_numpy(self.indices) and is_numpy(self.weights):
            self._set(weights=from_host(weights_for(self.weights, self.indices), self.indices))
        given = self.indices
        check_arrays(given, self.weights, self.num_samples)
        self._settle()
        check_indices(self.indices, self.num_samples, given)
        check_weights(self.weights)

    @classmethod
    def _drawn(
        cls,
        indices: Array,
        weights: Array,
        num_samples: int,
        *,
        distinct: bool = True,
        positive: bool | None = None,
    ) -> MixPlan:
        """Make a plan that is valid by construction, without checking its values."""
        if torch_is_compiling():  # Dynamo only follows constructors, and reads no values there
            return cls(indices, weights, num_samples)
        plan = object.__new__(cls)
        known = {"num_samples": num_samples, "_distinct": distinct, "_positive": positive}
        plan._set(indices=indices, weights=weights, **known)
        plan._settle()
        return plan

    def _settle(self) -> None:
        """Give the arrays the form that every use relies on."""
        indices, weights = self.indices, self.weights
        if is_numpy(indices):
            self._set(
                _sound=True,
                indices=frozen(indices, np.int64),
                weights=frozen(weights, weights.dtype.newbyteorder("=")),
                num_samples=int(self.num_samples),
            )
        else:
            # Classes are counted in the dtype of the indices; a narrow one would overflow.
            self._set(indices=cast(indices, widest_integer(indices)), _sound=True)
        self._register()

    @property
    def num_outputs(self) -> int:
        """Number of outputs M."""
        self._check_single(of_arrays=False)
        return int(self.indices.shape[0])

    @property
    def num_mix(self) -> int:
        """Number of samples T in a mixture."""
        self._check_single(of_arrays=False)
        return int(self.indices.shape[1])

    def _mixed(
        self,
        x: Array,
        facts: Facts | None = None,
        out: Array | None = None,
        *,
        dtype: Any = None,
    ) -> Array:
        if facts is None and is_sparse(x):
            return self._mixed_sparse(x, out)
        facts = self._check_applies(x, "x", facts)
        if out is not None:
            check_out(out, x, self.num_outputs)
        dtypes = dtypes_for(x, out, dtype)
        return weighted_sum(self._entries(x, facts, dtypes[2]), x, out, dtypes=dtypes)

    def _mixed_sparse(self, x: Any, out: Array | None) -> Any:
        facts = examined_sparse("x", x)
        if not is_numpy(self.indices):
            raise TypeError(
                f"a sparse x needs a NumPy plan, got a plan of {library(self.indices)}; draw the "
                f"plan with like=None"
            )
        if out is not None:
            raise TypeError(
                f"out goes with dense samples, got it with a sparse x of shape {tuple(x.shape)}; "
                f"leave it out, and use what plan @ x returns"
            )
        self._check_applies(x, "x", facts)
        weights = self._lowered(real_dtype(np, sparse_dtype(x)))
        positive = self._is_positive() if weights is self.weights else bool(weights.all())
        return weighted_sum_of_sparse(self.indices, weights, x, all_positive=positive)

    def _mixed_labels(
        self,
        y: Array,
        options: LabelOptions = _PLAIN,
        facts: Facts | None = None,
        *,
        scaled: bool = False,
    ) -> Array:
        facts = self._check_applies(y, "y", facts)
        dtype = self._label_dtype(y, facts)
        real = dtype if facts.kind in ("integer", "bool") else dtypes_for(y)[2]
        return mix_labels(self._entries(y, facts, real), y, options, dtype)

    def _label_dtype(self, y: Array, facts: Facts) -> Any:
        """Return the dtype that integer labels become."""
        ours = facts.library in ("numpy", "dask") or type(self.indices) is not np.ndarray
        return self.weights.dtype if ours else working_dtype(namespace(y), default_float(y))

    def _label_weights(self, y: Array, ignore_index: int, positions: bool) -> Array:
        facts = self._check_applies(y, "y")
        check_counted(y, facts.kind)
        return label_weights(self._entries(y, facts), y, ignore_index)

    def sparse_labels(self, y: Array, *, ignore_index: int | None = None) -> tuple[Array, Array]:
        """Return the classes and weights of each output, without an array of all classes.

        Parameters
        ----------
        y : array of int, shape (N,)
            Classes; their number is not limited.
        ignore_index : int, optional
            The label that does not count: it becomes class 0 with weight 0.

        Returns
        -------
        ids : array, shape (M, T)
            Class of the sample at each rank, in the dtype of `y`. A class may appear repeatedly.
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
        if ignore_index is not None:
            ignore_index = check_ignore_index(ignore_index)
        return sparse_labels(self._entries(y, self._check_applies(y, "y")), y, ignore_index)

    def _heaviest(self) -> Array:
        """Return the sample that weighs most in each output, the first among equal weights."""
        self._check_single()
        xp = namespace(self.weights)
        weights = xp.broadcast_to(self.weights, self.indices.shape)
        ranks = xp.arange(self.num_mix, device=device_of(self.weights))
        largest = xp.argmax(weights, axis=1, keepdims=True)
        chosen = xp.where(ranks == largest, self.indices, xp.zeros_like(self.indices))
        return xp.sum(chosen, axis=1, dtype=self.indices.dtype)

    def where(self, active: Array | bool) -> MixPlan:
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
               [0.2, 0.8, 0. ],
               [0. , 0.2, 0.8]])
        """
        self._check_single()
        return dense_matrix(self.indices, self.weights, self.num_samples)

    @property
    def _label_plan(self) -> MixPlan:
        return self

    def _described(self) -> str:
        if not self._holds_arrays():
            return (
                f"indices={self.indices!r}, weights={self.weights!r}, "
                f"num_samples={self.num_samples}"
            )
        stack = f"stack of plans {self._stack()}, " if self._stack() else ""
        num_outputs, num_mix = self.indices.shape[-2:]
        return (
            f"{stack}num_outputs={num_outputs}, num_samples={self.num_samples}, "
            f"num_mix={num_mix}, library={library(self.indices)!r}"
        )

    def _to_store(self) -> Mapping[str, Any]:
        return {name: getattr(self, name) for name in self._stored}

    @classmethod
    def _from_stored(cls, arrays: Mapping[str, np.ndarray]) -> MixPlan:
        num_samples: Any = arrays["num_samples"][()]
        return cls(arrays["indices"], arrays["weights"], num_samples)

    def _check_applies(self, x: Array, name: str = "x", facts: Facts | None = None) -> Facts:
        """Check that the plan applies to `x`, and return the facts about `x`."""
        self._check_single()
        facts = facts or examined(name, x)
        if facts.length != self.num_samples:
            raise ValueError(
                f"the plan was drawn for {self.num_samples} samples, got {name} with "
                f"{facts.length} along its first axis (shape {tuple(x.shape)}, dtype {x.dtype}); "
                f"check that they come from the same batch, or draw a plan for n={facts.length}"
            )
        if type(self.indices) is np.ndarray:
            return facts
        if facts.library != "torch" or x.device != getattr(self.indices, "device", None):
            remedy = "draw the plan with this array as like=, or with like=None for any library"
            check_same_place(self.indices, x, f"the plan and {name}", remedy)
        return facts

    def _entries(self, x: Array, facts: Facts, dtype: Any = None) -> Entries:
        """Return the entries on the device of `x`, with weights for a precision if one is given."""
        if not is_numpy(self.indices):
            positive = self._positive
            if positive and facts.library == "torch" and not is_untouched(self.weights):
                positive = None
            return Entries(self.indices, self.weights, self._distinct, positive)
        weights = self.weights if dtype is None else self._lowered(dtype)
        if facts.library in ("numpy", "dask"):
            positive = self._is_positive() if weights is self.weights else None
            return Entries(self.indices, weights, self._distinct, positive, self._steady)
        indices, weights = from_host(self.indices, x), from_host(weights_for(weights, x), x)
        return Entries(indices, weights, self._distinct, steady=self._steady)

    def _is_positive(self) -> bool:
        """Return whether no weight of this NumPy plan is zero."""
        if self._positive is None:
            self._set(_positive=bool(self.weights.all()))
        return bool(self._positive)

    def _lowered(self, dtype: Any) -> Array:
        """Return the weights of this NumPy plan with no more digits than a dtype has."""
        narrows = self.weights.dtype == np.float64 and "float32" in str(dtype)
        if not narrows or torch_is_compiling():
            return self.weights
        single = self._single
        if single is None:
            single = on_grid(self.weights, np.float32)
            self._set(_single=single)
        return single

    def _moved_to(self, like: Array) -> MixPlan:
        """Return this NumPy plan in the library and on the device of `like`."""
        if is_numpy(like) or is_dask(like):
            return self
        arrays = self.indices, weights_for(self.weights, like)
        return self._with(*(from_host(array, like) for array in arrays))

    def _with(self, indices: Array, weights: Array) -> MixPlan:
        """Return a plan with the samples of this one in each row, from valid arrays."""
        return self._drawn(indices, weights, self.num_samples, distinct=self._distinct)

    def _check_single(self, *, of_arrays: bool = True) -> None:
        """Check that this is one usable plan: transformations of JAX may change its leaves."""
        if self._sound or torch_is_compiling():
            return
        shapes = [tuple(getattr(leaf, "shape", ())) for leaf in (self.indices, self.weights)]
        whole = self._holds_arrays()
        if fit(*shapes) and (whole or not of_arrays):
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
        raise ValueError(misfit(*shapes))

    def _holds_arrays(self) -> bool:
        """Return whether the leaves are arrays such as those of a plan or of a stack of plans."""
        arrays = is_array(self.indices) and is_array(self.weights)
        return arrays and self.indices.ndim > 1 and kind_of(self.indices) == "integer"

    def _stack(self) -> tuple[int, ...]:
        """Return the shape of a stack of plans, as vmap makes it; that of one plan is empty."""
        return tuple(self.indices.shape[:-2]) or tuple(self.weights.shape[:-2])
