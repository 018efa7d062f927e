"""Plans as values: made once, compared, copied, written to files and read."""

from __future__ import annotations

import dataclasses
import io
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from os import PathLike
from typing import IO, Any, ClassVar, Self

import numpy as np

from zetamix_core.arrays import Array, is_array, same, to_host
from zetamix_core.checks import MAX_ENTRIES, check_like
from zetamix_core.dtypes import is_extension
from zetamix_core.files import replacing
from zetamix_core.npz import UNREADABLE, read_arrays
from zetamix_core.plans.pytrees import register_with_jax


class Value(ABC):
    """The base of plans as values: immutable, equal if their fields are."""

    # The fields whose values are arrays, or plans of arrays; the others are hashable.
    _children: ClassVar[tuple[str, ...]]
    # The names of what a file holds.
    _stored: ClassVar[tuple[str, ...]]

    def save(self, file: str | PathLike[str] | IO[bytes]) -> None:
        """Write the plan to an npz file, to repeat exactly the same mixture later.

        Parameters
        ----------
        file : path or binary file
            Where to write; no ending is added to a path. A file of that name is replaced once the
            new one is complete: after a full disk or a killed process, the old file is still there.

        Raises
        ------
        OSError
            If the file can't be written, or its directory, where the new file is made first.

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
        # In memory first: NumPy seeks in the file, and after an error leaves it half written.
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
            File to read, written by a plan of this class.
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
                f"a plan is read by its own class, got {cls.__name__}.load({file!r}); use "
                f"MixPlan.load or CutMixPlan.load"
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

    def __reduce__(self) -> tuple[type[Value], tuple[Any, ...]]:
        self._check_single()
        names = [field.name for field in dataclasses.fields(self)]  # type: ignore[arg-type]
        return type(self), tuple(getattr(self, name) for name in names)

    def _set(self, **fields: Any) -> None:
        """Set fields while the plan is made; later they never change."""
        for name, value in fields.items():
            object.__setattr__(self, name, value)

    def _register(self) -> None:
        """Make plans of this class JAX pytrees, once JAX is imported."""
        register_with_jax(type(self), self._children)

    @abstractmethod
    def _check_single(self) -> None:
        """Check that this is one usable plan: transformations of JAX may change its leaves."""

    @abstractmethod
    def _moved_to(self, like: Array) -> Self:
        """Return this plan of NumPy in the library and on the device of `like`."""

    @abstractmethod
    def _described(self) -> str:
        """Return what `repr` shows."""

    @abstractmethod
    def _to_store(self) -> Mapping[str, Any]:
        """Return the content of a file, by the names of `_stored`."""

    @classmethod
    @abstractmethod
    def _from_stored(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """Make a plan from the content of a file."""


def _storable(value: Any) -> np.ndarray:
    """Return numbers that NumPy alone can read: files do not keep dtypes of other packages."""
    array = to_host(value) if is_array(value) else np.asarray(value)
    return array.astype(np.float32) if is_extension(array.dtype) else array


def _opened(file: str | PathLike[str] | IO[bytes], mode: str) -> AbstractContextManager[Any]:
    """Open a path as it is: NumPy adds an ending to names, and leaves broken files open."""
    if not isinstance(file, str | PathLike):
        return nullcontext(file)
    return replacing(file) if mode == "wb" else open(file, mode)
