"""Labels: what a plan makes of classes, one-hot rows, soft labels, masks and regression targets."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

import numpy as np

from zetamix_core.arrays import (
    Array,
    device_of,
    host_values,
    in_memory,
    is_dask,
    is_numpy,
    is_torch,
    namespace,
)
from zetamix_core.checks import MAX_ENTRIES, check_count, check_flag, checked_blocks
from zetamix_core.dtypes import cast, kind, widest_integer
from zetamix_core.inputs import shown
from zetamix_core.linear_map import Entries, weighted_sum, whole_samples
from zetamix_core.numbers import as_whole
from zetamix_core.products import BLOCK_ENTRIES, scatter_rows
from zetamix_core.rounding import lowered


class LabelOptions(NamedTuple):
    """The options of labels: see `Plan.mix_labels`."""

    num_classes: int | None = None
    ignore_index: int | None = None
    positions: bool = False
    onehot: int | None = None


def label_options(
    num_classes: Any, ignore_index: Any = None, positions: Any = False, onehot: Any = None
) -> LabelOptions:
    """Return the options of labels, checked as far as possible without the labels."""
    plain = type(num_classes) is int and 1 <= num_classes <= MAX_ENTRIES
    if num_classes is not None and not plain:
        num_classes = check_num_classes(num_classes)
    if ignore_index is not None:
        ignore_index = check_ignore_index(ignore_index)
    if positions is not False:
        check_flag("positions", positions)
    return LabelOptions(num_classes, ignore_index, positions, onehot)


def mix_labels(entries: Entries, y: Array, options: LabelOptions, dtype: Any) -> Array:
    """Mix labels with a plan's entries; integer labels give probabilities of `dtype`.

    See `Plan.mix_labels` for the forms that `y` may take.
    """
    form = checked_form(y, options)
    lazy = is_dask(y)
    if lazy:
        y = checked_blocks("y", y)
    if form.name == "soft":
        return weighted_sum(entries, y)
    # Rounded before they are added, not after: so each output sums to exactly one.
    if entries.weights.dtype != dtype:
        entries = entries._replace(weights=lowered(entries.weights, dtype), positive=None)
    mix = functools.partial(_MIXERS[form.name], entries, form=form, dtype=dtype)
    if not lazy:
        return mix(y)
    if form.name == "column":
        y = y[:, 0]
    width = None if form.name in ("rows", "one-hot") else form.num_classes
    return _map_lazily(mix, y, entries.indices.shape[0], width, dtype)


def label_weights(entries: Entries, y: Array, ignore_index: int) -> Array:
    """Return ``Σ_r w_ir · v[s_i(r)]``, with v = 1 for labels that count and 0 for ignored ones."""
    return weighted_sum(entries, cast(counting(y, ignore_index), entries.weights.dtype), exact=True)


def counting(y: Array, ignore_index: int) -> Array:
    """Return which labels count; all do if their dtype can't hold `ignore_index`."""
    xp = namespace(y)
    limits = xp.iinfo(y.dtype)
    if limits.min <= ignore_index <= limits.max:
        return y != ignore_index
    return y == y


def sparse_labels(
    entries: Entries, y: Array, ignore_index: int | None = None
) -> tuple[Array, Array]:
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
    # A copy, since the plan's own weights must not be handed out.
    weights = xp.asarray(xp.broadcast_to(weights, indices.shape), copy=True)
    if ignore_index is None:
        return classes, weights
    counts = counting(classes, ignore_index)
    places = namespace(classes)
    return places.where(counts, classes, 0), places.where(counts, weights, 0)


def smooth_labels(y: Array, smoothing: float, *, axis: int = -1) -> Array:
    """Return ``(1 − ε) y + ε s / C``, for soft labels with C classes along an axis.

    s is the sum of a row: one of classes, less where some labels do not count, the number of labels
    of multi-hot rows.
    """
    total = namespace(y).sum(y, axis=axis, keepdims=True)
    return y * (1 - smoothing) + total * (smoothing / y.shape[axis])


# --- forms of labels ------------------------------------------------------------------------------


class Form(NamedTuple):
    """What labels are, by their shape, their dtype and what is declared, never by their values."""

    # "soft", "classes" (N,), "column" (N, 1), "rows" (N, C) of 0 and 1, "one-hot" along an axis, or
    # "masks", with a class at each position.
    name: str
    num_classes: int = 0
    ignore_index: int | None = None
    # Whether the values could be read, and are valid.
    checked: bool = True


def checked_form(y: Array, options: LabelOptions) -> Form:
    """Check labels, and return their form."""
    name = form_of(y, options)
    if name == "soft":
        return Form("soft")
    count = int(options.num_classes or 0)
    return Form(name, count, options.ignore_index, check_values(y, name, count, options))


def form_of(y: Array, options: LabelOptions) -> str:
    """Return the name of the form of labels."""
    count = options.num_classes
    if kind(y) in ("floating", "complex"):
        _check_soft(y, options)
        return "soft"
    if count is None:
        _refuse_without_number(y)
    if options.onehot is not None:
        return _checked_onehot(y, count, options.onehot)
    if options.positions:
        return "classes" if y.ndim == 1 else "masks"
    if y.ndim == 1:
        if count == 1:
            raise ValueError(
                f"classes of shape (N,) need num_classes >= 2, got num_classes=1 for shape "
                f"{tuple(y.shape)}; for one label that is 0 or 1 pass y[:, None]"
            )
        return "classes"
    return _form_of_axes(y, count)


def _form_of_axes(y: Array, count: int) -> str:
    """Return the form of integer labels of two or more axes."""
    shape = tuple(y.shape)
    if y.ndim == 2:
        if shape[1] == count:
            return "rows"
        if shape[1] == 1:
            return "column"
        raise ValueError(
            f"integer labels of shape (N, L) must be rows of L = num_classes zeros and ones, got "
            f"shape {shape} with num_classes={count}; pass num_classes={shape[1]} or, if "
            f"every entry is a class, positions=[path] in a batch, else plan.mix_labels(y, "
            f"{count}, positions=True)"
        )
    if count in (shape[1], shape[-1]):
        raise ValueError(
            f"integer labels of three or more axes, one of which is as long as num_classes, may be "
            f"masks or one-hot, got shape {shape} with num_classes={count}; if every entry is a "
            f"class, pass positions=[path] in a batch, else plan.mix_labels(y, {count}, "
            f"positions=True); if they are 0 and 1 along an axis, onehot={{path: axis}} or "
            f"onehot=axis"
        )
    return "masks"


def check_num_classes(value: Any) -> int:
    """Return a number of classes as an int, small enough for rows of all classes."""
    count = check_count("num_classes", value)
    if count > MAX_ENTRIES:
        raise ValueError(
            f"num_classes must be at most 2**26 where labels become rows of all classes, got "
            f"{shown(count)}; use plan.sparse_labels or mixed_loss, which make no such rows"
        )
    return count


def check_ignore_index(value: Any) -> int:
    """Return the label that does not count, a whole number of any sign."""
    number = as_whole(value)
    if number is None:
        raise TypeError(
            f"ignore_index must be a whole number or None, got {shown(value)}; pass for instance "
            f"-100 or 255"
        )
    return number


def check_counted(y: Array, found: str) -> None:
    """Check that labels are such that some of them may not count."""
    if found != "integer":
        raise ValueError(
            f"labels must be integers if ignore_index is given, got dtype {y.dtype} and shape "
            f"{tuple(y.shape)}; cast them, or leave ignore_index out"
        )


def _check_soft(y: Array, options: LabelOptions) -> None:
    count = options.num_classes
    if count is not None and (y.ndim < 2 or y.shape[-1] != count):
        raise ValueError(
            f"floating labels are mixed as they are, so num_classes={count} must be the length of "
            f"their last axis, got shape {tuple(y.shape)}; leave num_classes out for regression "
            f"targets, or pass classes as integers"
        )
    for name in ("ignore_index", "positions", "onehot"):
        value = getattr(options, name)
        if value is not None and value is not False:
            raise ValueError(
                f"{name} goes with integer labels, got {name}={value} for dtype {y.dtype}; cast "
                f"them, or give what does not count no weight of its own"
            )


def _refuse_without_number(y: Array) -> NoReturn:
    form = "integer classes" if y.ndim == 1 else "integer labels of two or more axes"
    raise ValueError(
        f"{form} need num_classes, got shape {tuple(y.shape)} and dtype {y.dtype} without it; "
        f"pass num_classes, or cast numbers that may be averaged to a floating dtype"
    )


def _checked_onehot(y: Array, count: int, axis: Any) -> str:
    place = as_whole(axis)
    inside = place is not None and y.ndim > 1 and -y.ndim <= place < y.ndim and place % y.ndim
    if not inside or y.shape[place] != count:
        raise ValueError(
            f"onehot must be the axis of num_classes={count} zeros and ones, and not the first, "
            f"got {shown(axis)} for shape {tuple(y.shape)}; pass for instance 1 or -1"
        )
    return "one-hot"


_FAMILIAR = (-1, -100, 255)


def check_values(y: Array, name: str, num_classes: int, options: LabelOptions) -> bool:
    """Check integer labels of a form; return whether their values could be read."""
    values = host_values(y)
    if values is not None and options.ignore_index is not None:
        values = values[values != options.ignore_index]
    if values is None or values.size == 0:
        return values is not None
    low, high = values.min(), values.max()
    if low < 0 or high > (1 if name in ("rows", "one-hot") else num_classes - 1):
        _refuse_values(y, name, num_classes, low, high)
    return True


def _refuse_values(y: Array, name: str, num_classes: int, low: Any, high: Any) -> None:
    got = f"got values from {low} to {high} in shape {tuple(y.shape)} and dtype {y.dtype}"
    odd = next((number for number in _FAMILIAR if number in (low, high)), None)
    ignore = "" if odd is None else f"pass ignore_index={odd} if such labels do not count, or "
    if name in ("rows", "one-hot"):
        shape = "(N, num_classes)" if name == "rows" else "one-hot masks"
        raise ValueError(
            f"integer labels of shape {shape} must be 0 or 1, {got}; {ignore}cast counts or soft "
            f"labels to a floating dtype"
        )
    raise ValueError(
        f"labels must be classes from 0 to num_classes - 1 = {num_classes - 1}, {got}; "
        f"{ignore}pass a larger num_classes, or renumber the labels"
    )


# --- mixing classes -------------------------------------------------------------------------------


def _mix_classes(entries: Entries, y: Array, *, form: Form, dtype: Any) -> Array:
    """Mix classes (N,) into (M, num_classes), by adding each weight where its class is."""
    num_outputs, num_mix = entries.indices.shape
    few = num_outputs * num_mix <= BLOCK_ENTRIES
    arrays = y, entries.indices, entries.weights
    if few or not (is_numpy(y) or all(map(in_memory, arrays))):
        return _mix_few_classes(entries, y, form=form, dtype=dtype)
    shape = (num_outputs, form.num_classes)
    mixed = namespace(y).empty(shape, dtype=dtype, device=device_of(y))
    step = max(1, BLOCK_ENTRIES // num_mix)
    for start in range(0, num_outputs, step):
        outputs = slice(start, start + step)
        mixed[outputs] = _mix_few_classes(entries.of_outputs(outputs), y, form=form, dtype=dtype)
    return mixed


def _mix_few_classes(entries: Entries, y: Array, *, form: Form, dtype: Any) -> Array:
    """Mix classes through temporary arrays of their entries."""
    xp, weights = namespace(y), entries.weights
    classes = _take_classes(entries.indices, y, dtype=entries.indices.dtype)
    if form.ignore_index is not None:
        counts = counting(classes, form.ignore_index)
        weights = xp.where(counts, weights, xp.zeros_like(weights))
        classes = xp.where(counts, classes, xp.zeros_like(classes))
    if form.checked:
        return cast(scatter_rows(classes, weights, form.num_classes), dtype)
    good = (classes >= 0) & (classes < form.num_classes)
    mixed = scatter_rows(xp.where(good, classes, 0), weights, form.num_classes)
    return _nan_unless(xp.all(good, axis=1, keepdims=True), mixed, dtype)


def _mix_column(entries: Entries, y: Array, *, form: Form, dtype: Any) -> Array:
    """Mix classes (N, 1) as classes (N,)."""
    return _mix_classes(entries, y[:, 0] if y.ndim > 1 else y, form=form, dtype=dtype)


def _mix_rows(entries: Entries, y: Array, *, form: Form, dtype: Any) -> Array:
    """Mix rows of zeros and ones; if some labels do not count, among those that do."""
    xp = namespace(y)
    if form.ignore_index is None:
        good = None if form.checked else (y >= 0) & (y <= 1)
        rows = cast(y, dtype) if good is None else _nan_unless(good, y, dtype)
        return weighted_sum(entries, rows, exact=True)
    counts = counting(y, form.ignore_index)
    y = xp.where(counts, y, xp.zeros_like(y))
    rows = cast(y, dtype) if form.checked else _nan_unless((y >= 0) & (y <= 1), y, dtype)
    hits = weighted_sum(entries, rows, exact=True)
    weights = weighted_sum(entries, cast(counts, dtype), exact=True)
    return xp.where(weights > 0, hits, 0) / xp.where(weights > 0, weights, 1)


def _mix_masks(entries: Entries, y: Array, *, form: Form, dtype: Any) -> Array:
    """Mix masks (N, ...) into (M, ..., num_classes)."""
    return weighted_sum(entries, one_hot_masks(y, form, dtype), exact=True)


def one_hot_masks(y: Array, form: Form, dtype: Any) -> Array:
    """Return a class at each position as zeros and ones along a last axis, zeros if ignored."""
    xp = namespace(y)
    wide = cast(y, widest_integer(y))[..., None]
    one_hot = wide == xp.arange(form.num_classes, dtype=wide.dtype, device=device_of(wide))
    if form.ignore_index is not None:
        # An ignored label that is a class too, such as 0, is a row of zeros.
        one_hot = one_hot & (wide != form.ignore_index)
    if form.checked:
        return cast(one_hot, dtype)
    good = (wide >= 0) & (wide < form.num_classes)
    if form.ignore_index is not None:
        good = good | (wide == form.ignore_index)
    return _nan_unless(good, one_hot, dtype)


def expanded(y: Array, form: Form, dtype: Any) -> Array:
    """Return integer masks or one-hot masks that were pasted as labels of `dtype`."""
    if form.name == "masks":
        expand = functools.partial(one_hot_masks, form=form, dtype=dtype)
        return (
            _map_lazily(expand, y, y.shape[0], form.num_classes, dtype) if is_dask(y) else expand(y)
        )
    counted = (
        y
        if form.ignore_index is None
        else namespace(y).where(counting(y, form.ignore_index), y, namespace(y).zeros_like(y))
    )
    if form.checked:
        return cast(counted, dtype)
    return _nan_unless((counted >= 0) & (counted <= 1), counted, dtype)


_MIXERS = {
    "classes": _mix_classes,
    "column": _mix_column,
    "rows": _mix_rows,
    "one-hot": _mix_rows,
    "masks": _mix_masks,
}


def _take_classes(indices: Array, y: Array, *, dtype: Any) -> Array:
    if isinstance(y, np.ndarray):
        return np.asarray(y)[indices].astype(dtype, copy=False)
    xp = namespace(y)
    if is_torch(y):
        return cast(cast(y, xp.int64)[indices], dtype)  # torch indexes few unsigned dtypes
    taken = xp.take(y, xp.reshape(indices, (-1,)), axis=0)
    return cast(xp.reshape(taken, indices.shape), dtype)


def _nan_unless(good: Array, values: Array, dtype: Any) -> Array:
    """Mark as NaN what would raise an error if reading the values did not synchronize."""
    xp = namespace(values)
    return xp.where(good, cast(values, dtype), xp.nan)


def _map_lazily(
    function: Callable[[Array], Array], y: Array, num_outputs: int, width: int | None, dtype: Any
) -> Array:
    """Apply `function` to blocks with all samples; it appends an axis of length `width`, if any."""
    y = whole_samples(y)
    chunks, meta, new = ((num_outputs,), *y.chunks[1:]), y._meta, None
    if width is not None:
        chunks, meta, new = (*chunks, (width,)), meta[..., None], y.ndim
    return y.map_blocks(function, chunks=chunks, new_axis=new, dtype=dtype, meta=meta.astype(dtype))
