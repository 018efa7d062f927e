"""Labels: what a plan makes of classes, one-hot rows, soft labels, masks and regression targets."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from zetamix_core.arrays import (
    Array,
    cast,
    device_of,
    host_values,
    is_dask,
    is_numpy,
    is_torch,
    kind,
    namespace,
)
from zetamix_core.checks import MAX_ENTRIES, check_count, checked_blocks
from zetamix_core.inputs import shown
from zetamix_core.linear_map import Entries, weighted_sum, whole_samples
from zetamix_core.products import scatter_rows
from zetamix_core.rounding import lowered


def mix_labels(entries: Entries, y: Array, num_classes: int | None, dtype: Any) -> Array:
    """Mix labels with a plan's entries; integer labels give probabilities of `dtype`.

    See `Plan.mix_labels` for the forms that `y` may take.
    """
    num_classes, checked = check_labels(y, num_classes)
    lazy = is_dask(y)
    if lazy:
        y = checked_blocks("y", y)
    if num_classes is None:
        return weighted_sum(entries, y)
    # Rounded before they are added, not after: so each output sums to exactly one.
    if entries.weights.dtype != dtype:
        entries = entries._replace(weights=lowered(entries.weights, dtype), positive=None)
    if _is_multi_hot(y, num_classes):
        rows = cast(y, dtype) if checked else _nan_unless((y >= 0) & (y <= 1), y, dtype)
        return weighted_sum(entries, rows, exact=True)
    mix = functools.partial(
        _mix_classes if y.ndim == 1 else _mix_masks,
        entries,
        num_classes=num_classes,
        dtype=dtype,
        checked=checked,
    )
    if lazy:
        return _map_lazily(mix, y, entries.indices.shape[0], num_classes, dtype)
    return mix(y)


def sparse_labels(entries: Entries, y: Array) -> tuple[Array, Array]:
    """Return the classes (M, T) that each output mixes, and their weights (M, T)."""
    if kind(y) != "integer" or y.ndim != 1:
        raise ValueError(
            f"sparse labels need integer classes of shape (N,), got shape {tuple(y.shape)} and "
            f"dtype {y.dtype}; use mix_labels for one-hot and soft labels"
        )
    y = checked_blocks("y", y)
    indices, weights = entries.indices, entries.weights
    xp = namespace(weights)
    take = functools.partial(_take_classes, indices, dtype=y.dtype)
    if is_dask(y):
        num_outputs, num_mix = indices.shape
        classes = _map_lazily(take, y, num_outputs, num_mix, y.dtype)
    else:
        classes = take(y)
    # A copy: the plan's own weights are not to be handed out.
    return classes, xp.asarray(xp.broadcast_to(weights, indices.shape), copy=True)


def smooth_labels(y: Array, smoothing: float) -> Array:
    """Return ``(1 − ε) y + ε / C``, for soft labels with C classes along their last axis."""
    return y * (1 - smoothing) + smoothing / y.shape[-1]


# --- forms of labels ------------------------------------------------------------------------------


def check_labels(y: Array, num_classes: int | None) -> tuple[int | None, bool]:
    """Check labels; return their number of classes, and whether their values could be read.

    Floating labels, which are mixed as they are, give None.
    """
    if num_classes is not None:
        num_classes = check_num_classes(num_classes)
    if kind(y) in ("floating", "complex"):
        _check_soft(y, num_classes)
        return None, True
    num_classes = _check_given(y, num_classes)
    return num_classes, check_values(y, num_classes)


def check_num_classes(value: Any) -> int:
    """Return a number of classes as an int, small enough for rows that have all of them."""
    count = check_count("num_classes", value)
    if count > MAX_ENTRIES:
        raise ValueError(
            f"num_classes must be at most 2**26 where labels become rows of all classes, got "
            f"{shown(count)}; take plan.sparse_labels or mixed_loss, which make no such rows"
        )
    return count


def _check_soft(y: Array, num_classes: int | None) -> None:
    if num_classes is not None and (y.ndim < 2 or y.shape[-1] != num_classes):
        raise ValueError(
            f"floating labels are mixed as they are, so that num_classes={num_classes} must be the "
            f"length of their last axis, got shape {tuple(y.shape)}; leave num_classes out for "
            f"regression targets, or pass classes as integers"
        )


def _check_given(y: Array, num_classes: int | None) -> int:
    if num_classes is None:
        form = "integer classes" if y.ndim == 1 else "integer labels of two or more axes"
        raise ValueError(
            f"{form} need num_classes, got shape {tuple(y.shape)} and dtype {y.dtype} without it; "
            f"pass num_classes, or cast numbers that may be averaged to a floating dtype"
        )
    return num_classes


def check_values(y: Array, num_classes: int) -> bool:
    """Check integer labels of any form; return whether their values could be read for it."""
    values = host_values(y)
    if values is None or values.size == 0:
        return values is not None
    low, high = values.min(), values.max()
    if _is_multi_hot(y, num_classes):
        if low < 0 or high > 1:
            raise ValueError(
                f"integer labels of shape (N, num_classes) must be 0 or 1, got values from {low} "
                f"to {high} in shape {tuple(y.shape)} and dtype {y.dtype}; cast counts or soft "
                f"labels to a floating dtype"
            )
    elif low < 0 or high >= num_classes:
        raise ValueError(
            f"labels must be classes from 0 to num_classes - 1 = {num_classes - 1}, got values "
            f"from {low} to {high} in shape {tuple(y.shape)} and dtype {y.dtype}; pass a larger "
            f"num_classes, or renumber the labels"
        )
    return True


def _is_multi_hot(y: Array, num_classes: int) -> bool:
    return bool(y.ndim == 2 and y.shape[1] == num_classes)


# --- mixing classes -------------------------------------------------------------------------------


def _mix_classes(
    entries: Entries, y: Array, *, num_classes: int, dtype: Any, checked: bool
) -> Array:
    """Mix classes (N,) into (M, num_classes), by adding each weight where its class is."""
    xp, weights = namespace(y), entries.weights
    classes = _take_classes(entries.indices, y, dtype=entries.indices.dtype)
    if checked:
        return cast(scatter_rows(classes, weights, num_classes), dtype)
    good = (classes >= 0) & (classes < num_classes)
    mixed = scatter_rows(xp.where(good, classes, 0), weights, num_classes)
    return _nan_unless(xp.all(good, axis=1, keepdims=True), mixed, dtype)


def _mix_masks(entries: Entries, y: Array, *, num_classes: int, dtype: Any, checked: bool) -> Array:
    """Mix masks (N, ...) into (M, ..., num_classes)."""
    xp = namespace(y)
    y = cast(y, entries.indices.dtype)[..., None]
    one_hot = y == xp.arange(num_classes, dtype=y.dtype, device=device_of(y))
    good = (y >= 0) & (y < num_classes)
    rows = cast(one_hot, dtype) if checked else _nan_unless(good, one_hot, dtype)
    return weighted_sum(entries, rows, exact=True)


def _take_classes(indices: Array, y: Array, *, dtype: Any) -> Array:
    if is_numpy(y):
        return np.asarray(y)[indices].astype(dtype, copy=False)
    xp = namespace(y)
    if is_torch(y):
        return cast(cast(y, xp.int64)[indices], dtype)  # it takes from few unsigned dtypes
    taken = xp.take(y, xp.reshape(indices, (-1,)), axis=0)
    return cast(xp.reshape(taken, indices.shape), dtype)


def _nan_unless(good: Array, values: Array, dtype: Any) -> Array:
    """Mark as NaN what an error would tell if the values could be read without synchronization."""
    xp = namespace(values)
    return xp.where(good, cast(values, dtype), xp.nan)


def _map_lazily(
    function: Callable[[Array], Array], y: Array, num_outputs: int, width: int, dtype: Any
) -> Array:
    """Apply `function`, which appends an axis of length `width`, to blocks with all samples."""
    y = whole_samples(y)
    return y.map_blocks(
        function,
        chunks=((num_outputs,), *y.chunks[1:], (width,)),
        new_axis=y.ndim,
        dtype=dtype,
        meta=y._meta[..., None].astype(dtype),
    )
