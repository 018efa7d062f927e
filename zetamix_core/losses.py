"""Losses and accuracy of mixed samples, from the classes that were mixed and their weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from zetamix_core.arrays import Array, Namespace, device_of, is_array, is_dask, is_torch, namespace
from zetamix_core.checks import (
    check_count,
    check_is_array,
    check_same_place,
    check_samples,
    checked_blocks,
    examined,
)
from zetamix_core.dtypes import cast, kind, working_dtype
from zetamix_core.labels import (
    LabelOptions,
    check_counted,
    check_ignore_index,
    check_values,
    counting,
)
from zetamix_core.linear_map import output_dtype
from zetamix_core.plans import MixPlan, Plan
from zetamix_core.rounding import lowered

__all__ = ["mixed_accuracy", "mixed_loss"]

_REDUCTIONS = ("mean", "sum", "none")


def mixed_loss(
    loss: Callable[[Array, Array], Array],
    pred: Array,
    y: Array,
    plan: Plan,
    *,
    reduction: str = "mean",
    ignore_index: int | None = None,
    positions: bool = False,
) -> Array:
    r"""Mix the losses of the labels instead of the labels, for any loss and any number of classes.

    .. math:: \ell_i = \sum_{r=1}^{T} w_{ir} \, \mathrm{loss}(\hat{y}_i, y_{s_i(r)})

    A loss that is linear in the label, such as cross-entropy, has the same value on mixed labels;
    here no array of all classes is built, and losses that take only class ids work too.

    Parameters
    ----------
    loss : callable
        ``loss(pred, labels)`` returns one value for each output, shape (M,) or (M, ...). It is
        called once for each of T ranks; for cross-entropy on many classes pass log-probabilities
        as `pred` and a negative log-likelihood, so that they are normalized once.
    pred : array, shape (M, ...)
        Predictions for the mixed samples.
    y : array, shape (N, ...)
        Labels of the original samples, as `loss` takes them; integers of torch are made int64.
    plan : MixPlan or CutMixPlan
        The plan that mixed the samples.
    reduction : {"mean", "sum", "none"}, default "mean"
        How to reduce the values.
    ignore_index : int, optional
        The integer label that does not count. The mean is divided by the weight that counts, as in
        PyTorch's cross-entropy; where nothing counts, the loss is zero. `loss` is called with class
        0 in place of such labels, and its value there is not used.
    positions : bool, default False
        Whether labels (N, L) are classes at positions of series in which boxes are pasted, rather
        than rows that are mixed by volume; labels with more axes are always at positions.

    Returns
    -------
    array
        0-d, or the values themselves with ``reduction="none"``. Losses in narrow floats are
        accumulated in float32.

    Raises
    ------
    ValueError
        If `y` does not have N samples, `loss` has already averaged, or `reduction` is unknown.
    TypeError
        If `loss` can't be called, `y` is not an array, or its library differs from that of the
        plan, unless the plan is of NumPy.

    See Also
    --------
    mixed_accuracy : The share of the labels that predictions hit.

    Examples
    --------
    >>> import numpy as np
    >>> from zetamix import mixed_loss, zeta_plan
    >>> plan = zeta_plan(3, gamma=1.0, rng=0)
    >>> def squared(pred, y):
    ...     return (pred - y) ** 2
    >>> y = np.asarray([0.0, 3.0, 6.0])
    >>> float(mixed_loss(squared, plan @ y, y, plan).round(3))
    4.909
    """
    if not callable(loss):
        raise TypeError(
            f"loss must be a function of predictions and labels, got {loss!r}; pass for instance "
            f"one that returns (pred - y) ** 2"
        )
    # An array can't be looked up in a tuple of strings.
    if not isinstance(reduction, str) or reduction not in _REDUCTIONS:  # type: ignore[redundant-expr]
        raise ValueError(f"reduction must be one of {_REDUCTIONS}, got {reduction!r}; pass 'mean'")
    if ignore_index is not None:
        ignore_index = check_ignore_index(ignore_index)
        check_counted(y, examined("y", y).kind)
    indices, weights = _entries(plan, y)
    if _is_cut(plan, y, positions):
        # Pasted labels have one class at each position, with all of the weight.
        y = plan @ y
        whole = namespace(y)
        indices = whole.arange(y.shape[0], device=device_of(y))[:, None]
        weights = whole.ones_like(weights[:, :1])
    y = checked_blocks("y", y)
    xp = namespace(y)
    # Torch indexes few unsigned dtypes, and its losses need int64 classes.
    y = cast(y, xp.int64) if is_torch(y) and kind(y) == "integer" else y
    total: Any = 0
    counted: Any = 0
    for r in range(indices.shape[1]):
        labels = xp.take(y, indices[:, r], axis=0)
        counts = None
        if ignore_index is not None:
            counts = counting(labels, ignore_index)
            labels = xp.where(counts, labels, xp.zeros_like(labels))
        values = loss(pred, labels)
        _check_values(values, y, indices.shape[0])
        work = working_dtype(xp, output_dtype(values))
        weights = lowered(weights, work)
        weight = weights[:, r][(...,) + (None,) * (values.ndim - 1)]
        if counts is not None:
            _check_shapes(values, counts)
            weight = xp.where(counts, weight, xp.zeros_like(weight))
            counted = counted + weight
        # A label without weight does not count, even if its loss is infinite. Removed before the
        # product, it stays out of the gradient of the weight, too.
        total = total + xp.where(weight == 0, 0, cast(values, work)) * weight
    if reduction == "none":
        return total
    if reduction == "sum":
        return xp.sum(total)
    if ignore_index is None:
        return xp.mean(total)
    whole = xp.sum(counted)
    return xp.sum(total) / xp.where(whole > 0, whole, xp.ones_like(whole))


def mixed_accuracy(
    pred: Array,
    y: Array,
    plan: Plan | None = None,
    *,
    top_k: int = 1,
    ignore_index: int | None = None,
) -> Array:
    r"""Return the share of the labels that the best-scored classes hit, by weight.

    .. math:: \frac{1}{M} \sum_{i=1}^{M} \sum_{c \in \mathrm{top}_k(\mathrm{pred}_i)} \hat{y}_{ic}

    This is the expected accuracy if the class of each mixed sample is drawn from its soft label.

    Parameters
    ----------
    pred : array of float, shape (M, num_classes)
        Scores of the classes, such as logits.
    y : array
        Soft labels (M, num_classes), or with `plan` the classes (N,) of the original samples.
    plan : MixPlan or CutMixPlan, optional
        The plan that mixed the samples, for labels that were not mixed yet.
    top_k : int, default 1
        How many of the best-scored classes count.
    ignore_index : int, optional
        The class that does not count, with `plan`: the accuracy is taken over those that do, and
        zero where none does. Rows of soft labels sum to the weight that counts; divide by it.

    Returns
    -------
    array of float, shape ()
        Accuracy from 0 to 1. Of equal scores the first counts as the best; NaN never is a hit.

    Raises
    ------
    ValueError
        If shapes do not fit, or a class is out of range. On accelerators and while tracing, where
        checking classes would synchronize, the accuracy is NaN instead.
    TypeError
        If an argument has the wrong type.

    See Also
    --------
    mixed_loss : The loss of mixed labels.

    Examples
    --------
    >>> import numpy as np
    >>> from zetamix import mixed_accuracy, zeta_plan
    >>> plan, y = zeta_plan(2, gamma=1.0, rng=0), np.asarray([0, 1])
    >>> scores = np.asarray([[2.0, 1.0], [0.0, 5.0]])
    >>> float(mixed_accuracy(scores, y, plan).round(3))
    0.667
    >>> float(mixed_accuracy(scores, plan.mix_labels(y, 2)).round(3))
    0.667
    """
    top_k = check_count("top_k", top_k)
    _check_scores(pred)
    xp = namespace(pred)
    pred = xp.where(xp.isnan(pred), -xp.inf, pred)
    if plan is None:
        _check_soft(y, pred)
        best = xp.argsort(pred, axis=1, descending=True, stable=True)
        candidates = [(best[:, k], _pick(xp, y, best[:, k])) for k in range(_at_most(top_k, pred))]
        hits = [share * cast(_is_scored(xp, pred, ids), y.dtype) for ids, share in candidates]
    else:
        plan = _label_plan(plan)
        _check_classes(y, pred, plan.shape[0])
        ids, shares = plan.sparse_labels(y, ignore_index=ignore_index)
        options = LabelOptions(pred.shape[1], ignore_index)
        if not check_values(y, "classes", pred.shape[1], options):
            good = (ids >= 0) & (ids < pred.shape[1])
            ids, shares = xp.where(good, ids, 0), xp.where(good, shares, xp.nan)
        candidates = [(ids[:, r], shares[:, r]) for r in range(ids.shape[1])]
        hits = [
            share * cast(_is_among_best(xp, pred, ids, top_k), share.dtype)
            for ids, share in candidates
        ]
    stacked = xp.stack(hits)
    stacked = cast(stacked, working_dtype(xp, stacked.dtype))
    if plan is None or ignore_index is None:
        return xp.sum(xp.mean(stacked, axis=1))
    whole = xp.sum(cast(shares, stacked.dtype))
    return xp.sum(stacked) / xp.where(whole > 0, whole, xp.ones_like(whole))


def _at_most(top_k: int, pred: Array) -> int:
    return min(top_k, int(pred.shape[1]))


def _is_scored(xp: Namespace, pred: Array, classes: Array) -> Array:
    return _pick(xp, pred, classes) > -xp.inf


def _is_among_best(xp: Namespace, pred: Array, classes: Array, top_k: int) -> Array:
    """Return whether fewer than `top_k` classes come before the given one of each row."""
    scores = _pick(xp, pred, classes)[:, None]
    places = xp.arange(pred.shape[1], device=device_of(pred))
    earlier = places < cast(classes, places.dtype)[:, None]
    before = (pred > scores) | (earlier & (pred == scores))
    few = xp.sum(xp.astype(before, places.dtype), axis=1) < top_k
    return few & (scores[:, 0] > -xp.inf)


def _pick(xp: Namespace, rows: Array, columns: Array) -> Array:
    """Return ``rows[i, columns[i]]`` for each i."""
    starts = xp.arange(rows.shape[0], device=device_of(rows)) * rows.shape[1]
    return xp.take(xp.reshape(rows, (-1,)), starts + cast(columns, starts.dtype), axis=0)


def _entries(plan: Any, y: Array) -> tuple[Array, Array]:
    """Return indices and weights, both (M, T), where the labels `y` are."""
    plan = _label_plan(plan)
    indices, weights, *_ = plan._entries(y, plan._check_applies(y, "y"))
    return indices, namespace(weights).broadcast_to(weights, indices.shape)


def _is_cut(plan: Plan, y: Array, positions: bool) -> bool:
    """Return whether labels are pasted by a plan, so that there is one at each position."""
    return (positions or y.ndim > 2) and plan._pastes(y)


def _check_shapes(values: Array, counts: Array) -> None:
    if tuple(values.shape) != tuple(counts.shape):
        raise ValueError(
            f"loss must return one value for each label if ignore_index is given, got shape "
            f"{tuple(values.shape)} for labels of shape {tuple(counts.shape)}; turn its reduction "
            f"off"
        )


def _label_plan(plan: Any) -> MixPlan:
    if not isinstance(plan, Plan):
        raise TypeError(
            f"plan must be the MixPlan or CutMixPlan that mixed the samples, got "
            f"{type(plan).__name__}; draw one with zeta_plan"
        )
    return plan._label_plan


def _check_values(values: Any, y: Array, num_outputs: int) -> None:
    if is_array(values) and tuple(values.shape[:1]) != (num_outputs,):
        raise ValueError(
            f"loss must return one value for each of {num_outputs} outputs, got shape "
            f"{tuple(values.shape)}; turn its own reduction off"
        )
    check_is_array("what loss returns", values)
    check_same_place(y, values, "y and what loss returns", "convert y")


def _check_scores(pred: Array) -> None:
    check_is_array("pred", pred)
    if is_dask(pred):
        raise TypeError("pred must not be lazy, got a Dask array; pass pred.compute()")
    if pred.ndim != 2 or pred.shape[1] < 1 or kind(pred) != "floating":
        raise ValueError(
            f"pred must be floating scores of shape (M, num_classes), got shape "
            f"{tuple(pred.shape)} and dtype {pred.dtype}; move the class axis last"
        )
    check_samples("pred", pred)


def _check_classes(y: Array, pred: Array, num_outputs: int) -> None:
    check_is_array("y", y)
    check_same_place(pred, y, "pred and y", "convert y")
    if pred.shape[0] != num_outputs:
        raise ValueError(
            f"pred must have a row for each of {num_outputs} outputs of the plan, got shape "
            f"{tuple(pred.shape)}; predict for the mixed samples"
        )


def _check_soft(y: Array, pred: Array) -> None:
    check_is_array("y", y)
    check_same_place(pred, y, "pred and y", "convert y")
    if y.shape != pred.shape or kind(y) != "floating":
        raise ValueError(
            f"soft labels must be floating and of the shape of pred, {tuple(pred.shape)}, got "
            f"shape {tuple(y.shape)} and dtype {y.dtype}; pass plan= to give classes"
        )
