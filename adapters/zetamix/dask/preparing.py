"""What is checked before anything is shuffled: arrays, labels, groups, and how they are mixed."""

from __future__ import annotations

import copy
import dataclasses
import secrets
from collections.abc import Callable
from typing import Any

import dask.array as da
import numpy as np

from zetamix.dask.mixing import Mixing
from zetamix.dask.shuffling import Shuffle
from zetamix_core.adapting import (
    averages,
    check_count,
    check_groups,
    check_no_ids,
    check_rule,
    check_same_samples,
    check_samples,
    checked_blocks,
    checked_dtype,
    checked_form,
    checked_part,
    is_array,
    is_dask,
    is_numpy,
    label_options,
    library,
)
from zetamix_core.rules import Rule

__all__ = ["Prepared", "checked_arrays", "checked_key", "size_in_memory"]


@dataclasses.dataclass(frozen=True)
class Prepared:
    """Samples, labels and groups that passed the checks, and how they are shuffled and mixed."""

    arrays: list[da.Array | None]
    shuffle: Shuffle
    mixing: Mixing

    @classmethod
    def of(
        cls,
        x: Any,
        y: Any,
        rule: Rule,
        *,
        batch_size: int,
        num_classes: int | None,
        ignore_index: int | None,
        groups: Any,
        dtype: Any,
        seed: int | None,
        epoch: int,
    ) -> Prepared:
        """Check the arguments of `zetamix.dask.mix`."""
        check_rule(rule)
        batch_size = check_count("batch_size", batch_size)
        arrays = [*checked_arrays(x, y), _checked_groups(x, groups)]
        if averages(rule):
            check_no_ids("x", x)
        if y is not None:
            checked_form(arrays[1], label_options(num_classes, ignore_index))
        key = checked_key(seed, epoch)
        mixing = Mixing(
            copy.deepcopy(rule),  # whatever becomes of it until all is computed
            batch_size,
            key,
            x.shape[1:],
            None if dtype is None else checked_dtype(dtype, x),
            num_classes,
            ignore_index,
            _groups_of_a_batch(groups, min(batch_size, x.shape[0])),
        )
        prepared = cls(arrays, Shuffle.of(x, batch_size, key), mixing)
        mixing.check_last(x.shape[0])
        return prepared

    @property
    def size(self) -> int:
        """Bytes of all arrays while they are shuffled in memory."""
        return size_in_memory(self.arrays)

    def mixed(self, shuffle: Callable[[da.Array], da.Array]) -> tuple[da.Array, da.Array | None]:
        """Return mixed samples and labels, of arrays that this function shuffles."""
        shuffled = [None if each is None else shuffle(each) for each in self.arrays]
        rows, labels, kin = self.mixing.in_blocks(shuffled)
        samples = self.mixing.samples(rows, kin)
        return samples, None if labels is None else self.mixing.labels(labels, kin)


def checked_arrays(x: Any, y: Any) -> list[Any]:
    """Return samples and labels as Dask arrays with the same chunks along the first axis."""
    if not is_dask(x):
        got = library(x) if is_array(x) else type(x).__name__
        raise TypeError(
            f"x must be a Dask array, got one of {got}; wrap it, as in dask.array.from_array(x) or "
            f"dask.array.from_zarr(x), or mix arrays in memory with zetamix.batches"
        )
    if 0 in x.shape:
        raise ValueError(f"x must hold samples, got shape {x.shape}; leave empty arrays out")
    check_samples("x", x)
    if y is None:
        return [checked_blocks("x", x), None]
    y = _lazy("y", y)
    check_samples("y", y)
    check_same_samples(x, y)
    if 0 in y.shape:
        raise ValueError(f"y must hold labels, got shape {y.shape}; leave it out")
    y = checked_blocks("y", y).rechunk({0: x.chunks[0]}, method="tasks")
    return [checked_blocks("x", x), y]


def _checked_groups(x: da.Array, groups: Any) -> da.Array | None:
    if groups is None:
        return None
    groups = _lazy("groups", groups)
    check_samples("groups", groups)
    return check_groups(groups, x.shape[0]).rechunk(x.chunks[:1], method="tasks")


def _groups_of_a_batch(groups: Any, size: int) -> np.ndarray | None:
    """Return groups to try a rule with: those of the first samples, or a single group if lazy."""
    if groups is None:
        return None
    return np.zeros(size, int) if is_dask(groups) else np.asarray(groups)[:size]


def _lazy(name: str, array: Any) -> Any:
    if is_dask(array):
        return array
    if is_array(array) and not is_numpy(array):
        raise TypeError(
            f"{name} must be a Dask or NumPy array, got one of {library(array)}; pass "
            f"numpy.asarray({name})"
        )
    check_samples(name, array)
    return da.from_array(np.asarray(array))


def checked_key(seed: int | None, epoch: int) -> tuple[int, int]:
    if seed is None:
        seed = secrets.randbits(64)
    return checked_part("seed", seed, 128), checked_part("epoch", epoch, 32)


def size_in_memory(arrays: list[da.Array | None]) -> int:
    """Return the bytes of all arrays."""
    return int(sum(each.nbytes for each in arrays if each is not None))
