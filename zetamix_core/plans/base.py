"""What all plans share: how they are applied, compared, written to files and read."""

from __future__ import annotations

import dataclasses
import io
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from os import PathLike
from typing import IO, TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from zetamix_core.annotations import Samples, SupportsSamples
from zetamix_core.arrays import Array, Facts, is_array, is_extension, same, to_host
from zetamix_core.checks import MAX_ENTRIES, check_like
from zetamix_core.files import replacing
from zetamix_core.leaves import mix_tree
from zetamix_core.npz import UNREADABLE, read_arrays
from zetamix_core.plans.pytrees import register_with_jax

if TYPE_CHECKING:
    from zetamix_core.plans.mix import MixPlan

__all__ = ["Plan"]


class Plan(ABC):
    r"""Which samples make each output: draw once, apply to anything that shares the first axis.

    `MixPlan` averages samples, `CutMixPlan` pastes boxes of one into another. Both are immutable
    values: they compare equal if they make exactly the same mixture, can be pickled and written to
    files, and are pytrees for JAX.

    Attributes
    ----------
    shape : tuple of int
        Number of outputs M and of samples N.
    num_outputs : int
        M, the number of outputs.
    num_samples : int
        N, the number of samples that the plan applies to.
    num_mix : int
        T, the number of samples in a mixture.

    Raises
    ------
    TypeError
        If it is made an instance of: `zeta_plan` and the other functions draw plans.

    See Also
    --------
    zetamix.rules : How plans are drawn.

    Examples
    --------
    >>> from zetamix import Plan, cutmix_plan, zeta_plan
    >>> isinstance(zeta_plan(4), Plan), isinstance(cutmix_plan((4, 8, 8)), Plan)
    (True, True)
    """

    __array_ufunc__ = None  # else NumPy would take `x @ plan` apart before refusing it

    # The fields whose values are arrays, or plans of arrays; the others are hashable.
    _children: ClassVar[tuple[str, ...]]
    # The names of what a file holds.
    _stored: ClassVar[tuple[str, ...]]

    num_samples: int

    @property
    @abstractmethod
    def num_mix(self) -> int:
        """Number of samples T in a mixture."""

    @property
    @abstractmethod
    def num_outputs(self) -> int:
        """Number of outputs M."""

    @property
    def shape(self) -> tuple[int, int]:
        """Number of outputs M and of samples N."""
        return self.num_outputs, self.num_samples

    def __matmul__(self, x: Samples) -> Samples:
        """Mix the samples of one array along its first axis.

        Parameters
        ----------
        x : array, shape (N, ...)
            Samples, as for `mix`.

        Returns
        -------
        array, shape (M, ...)
            Mixed samples, of the library, device, dtype and memory order of `x`. Where integers and
            bool are averaged, they give the library's default float. Narrow floats are accumulated
            in float32.

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
        return self._mixed(x)  # type: ignore[no-any-return]

    def mix(self, x: Samples, *, out: SupportsSamples | None = None) -> Samples:
        """Mix the samples of one array, as ``plan @ x``, into memory that is there already.

        Parameters
        ----------
        x : array, shape (N, ...)
            Samples of any floating, complex, integer or bool dtype.
        out : array, shape (M, ...), optional
            Where to write the mixed samples: an array of the library and device of `x` that shares
            no memory with it. Its dtype decides the precision, and is floating (complex if `x` is)
            where samples are averaged. New memory is the larger part of the cost of mixing many
            megabytes.

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
            of a dtype that the result does not fit in.

        Examples
        --------
        >>> import numpy as np
        >>> from zetamix import zeta_plan
        >>> images, out = np.ones((4, 3), dtype=np.uint8), np.empty((4, 3), dtype=np.float32)
        >>> mixed = zeta_plan(4, rng=0).mix(images, out=out)
        >>> mixed is out, float(out[0, 0].round(6))
        (True, 1.0)
        """
        return self._mixed(x, out=out)  # type: ignore[no-any-return]

    def apply(
        self,
        tree: Any,
        *,
        num_classes: Mapping[str, int] | None = None,
        as_data: Iterable[str] = (),
        keep: Iterable[str] = (),
    ) -> Any:
        """Mix every array of a nested structure that shares the first axis.

        Floating arrays are mixed, by the same boxes if the plan has any; None is kept. An integer
        or bool array is refused unless it is declared, so that class numbers are never averaged by
        accident.

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

    def mix_labels(self, y: Samples, num_classes: int | None = None) -> Samples:
        """Mix labels with the same weights as the samples.

        Parameters
        ----------
        y : array, shape (N, ...)
            One of

            - integer classes (N,), with `num_classes`: gives (M, num_classes),
            - integer one-hot or multi-hot rows (N, num_classes): gives (M, num_classes),
            - integer masks (N, ...) of any other shape, with `num_classes`: gives
              (M, ..., num_classes); not where boxes are pasted,
            - floating soft labels or regression targets (N, ...): gives (M, ...).
        num_classes : int, optional
            Number of classes C; required for integer labels.

        Returns
        -------
        array
            Mixed labels. Rows that sum to one still do. Integer labels give the dtype of the
            weights, or the default float of the library of `y` (float32 at least) where that is not
            the plan's; floating ones keep their dtype.

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
        return self._mixed_labels(y, num_classes)  # type: ignore[no-any-return]

    @abstractmethod
    def where(self, active: Array | bool) -> Self:
        """Return this plan where `active` holds, else one that takes the sample at rank 1 alone.

        Parameters
        ----------
        active : bool or array of bool, shape () or (M,)
            Which outputs to mix, of the library and device of the plan. It may be traced.

        Returns
        -------
        Plan
            The plan with weights 1, 0, …, 0 and without boxes where `active` does not hold; of an
            anchored plan that is sample ``i mod N`` itself.

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
        arrays: dict[str, Any] = {name: _storable(x) for name, x in self._to_store().items()}
        # In memory first: NumPy seeks in what it writes to, and after an error leaves it half done.
        archive = io.BytesIO()
        np.savez(archive, **arrays)  # numbers, which are never pickled
        with _opened(file, "wb") as handle:
            handle.write(archive.getbuffer())

    @classmethod
    def load(cls, file: str | PathLike[str] | IO[bytes], like: Array | None = None) -> Self:
        """Read a plan that `save` wrote; nothing is unpickled.

        Parameters
        ----------
        file : path or binary file
            What to read, written by a plan of this class.
        like : array, optional
            Array whose library and device the plan takes; NumPy if None.

        Returns
        -------
        Plan
            Equal to the one that was saved, and of its class.

        Raises
        ------
        ValueError
            If the file does not hold such a plan.
        TypeError
            If it is not called on `MixPlan` or `CutMixPlan`.

        Examples
        --------
        >>> import io
        >>> from zetamix import CutMixPlan, cutmix_plan
        >>> plan, file = cutmix_plan((8, 32, 32), rng=0), io.BytesIO()
        >>> plan.save(file)
        >>> _ = file.seek(0)
        >>> CutMixPlan.load(file) == plan
        True
        """
        check_like(like)
        if not hasattr(cls, "_stored"):
            raise TypeError(
                f"a plan is read by its kind, got {cls.__name__}.load({file!r}); take MixPlan.load "
                f"or CutMixPlan.load"
            )
        with _opened(file, "rb") as handle:
            try:
                plan = cls._from_stored(read_arrays(handle, cls._stored, MAX_ENTRIES))
            except UNREADABLE as error:
                names = ", ".join(cls._stored[:-1]) + f" and {cls._stored[-1]}"
                raise ValueError(
                    f"a saved plan is an npz file with {names}, got {file!r} ({error}); write it "
                    f"with {cls.__name__}.save"
                ) from error
        return plan if like is None else plan._moved_to(like)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._described()})"

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        names = [field.name for field in dataclasses.fields(self)]  # type: ignore[arg-type]
        return all(same(getattr(self, name), getattr(other, name)) for name in names)

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[type[Plan], tuple[Any, ...]]:
        self._check_single()
        names = [field.name for field in dataclasses.fields(self)]  # type: ignore[arg-type]
        return type(self), tuple(getattr(self, name) for name in names)

    def _set(self, **fields: Any) -> None:
        """Give fields their value while the plan is made; after that nobody does."""
        for name, value in fields.items():
            object.__setattr__(self, name, value)

    def _register(self) -> None:
        """Make plans of this class pytrees of JAX, once that is imported."""
        register_with_jax(type(self), self._children)

    # What a kind of plan does with one array, of which `facts` are known or to be asked, and what
    # it tells about itself.

    @abstractmethod
    def _mixed(self, x: Array, facts: Facts | None = None, out: Array | None = None) -> Array:
        """Mix the samples of one array; see `mix`."""

    @abstractmethod
    def _mixed_labels(self, y: Array, num_classes: int | None, facts: Facts | None = None) -> Array:
        """Mix labels; see `mix_labels`."""

    @property
    @abstractmethod
    def _label_plan(self) -> MixPlan:
        """The plan that mixes the labels of samples."""

    @abstractmethod
    def _check_single(self) -> None:
        """Check that this is one plan to be used: transformations of JAX may change its leaves."""

    @abstractmethod
    def _moved_to(self, like: Array) -> Self:
        """Return this plan of NumPy in the library and on the device of `like`."""

    @abstractmethod
    def _described(self) -> str:
        """Return what `repr` shows."""

    @abstractmethod
    def _to_store(self) -> Mapping[str, Any]:
        """Return what a file is to hold, by the names of `_stored`."""

    @classmethod
    @abstractmethod
    def _from_stored(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """Make a plan of what a file holds."""


def _storable(value: Any) -> np.ndarray:
    """Return numbers that NumPy alone can read: files don't tell dtypes of other packages."""
    array = to_host(value) if is_array(value) else np.asarray(value)
    return array.astype(np.float32) if is_extension(array.dtype) else array


def _opened(file: str | PathLike[str] | IO[bytes], mode: str) -> AbstractContextManager[Any]:
    """Open a path as it is: NumPy adds an ending to names, and leaves broken files open."""
    if not isinstance(file, str | PathLike):
        return nullcontext(file)
    return replacing(file) if mode == "wb" else open(file, mode)
