"""What mixed labels become where an estimator takes one class a row: weighted copies, or a draw."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from sklearn import get_config
from sklearn.utils.metadata_routing import get_routing_for_object
from sklearn.utils.validation import has_fit_parameter

from zetamix_core import MixPlan

_WEIGHT = "sample_weight"


class Copies(NamedTuple):
    """Rows that an estimator is fitted on: copies of mixed rows, of one class each."""

    rows: np.ndarray
    classes: np.ndarray
    weights: np.ndarray | None


def weight_parameter(estimator: Any) -> str | None:
    """Return the name by which `fit` takes the weights of rows, None if it takes none."""
    if has_fit_parameter(estimator, _WEIGHT):
        return _WEIGHT
    if get_config()["enable_metadata_routing"]:
        routed = get_routing_for_object(estimator).consumes("fit", [_WEIGHT])
        return _WEIGHT if routed else None
    if getattr(estimator, "steps", None) and hasattr(estimator, "named_steps"):  # a pipeline
        name, last = estimator.steps[-1]
        inner = weight_parameter(last) if hasattr(last, "fit") else None
        return f"{name}__{inner}" if inner else None
    return None


def labels_for(labels: str, estimator: Any) -> str:
    """Return how an estimator is told mixed labels, of "auto" what it can take."""
    takes = weight_parameter(estimator) is not None
    if labels == "weights" and not takes:
        raise ValueError(
            f"labels='weights' needs an estimator whose fit takes sample_weight, got {estimator}; "
            f"pass labels='draw', or request it by set_fit_request(sample_weight=True) with "
            f"metadata routing"
        )
    if labels != "auto":
        return labels
    if takes:
        return "weights"
    warnings.warn(
        f"{type(estimator).__name__} takes no sample_weight, so each mixed row gets one class "
        f"drawn by its weights; pass labels='draw' if that is wanted",
        UserWarning,
        stacklevel=4,
    )
    return "draw"


def row_weights(plan: MixPlan, own: np.ndarray) -> np.ndarray:
    """Return the weights that rows have of those of the samples that they are mixed from."""
    return np.asarray((plan.weights * own[plan.indices]).sum(axis=1))


def weighted_copies(plan: MixPlan, classes: np.ndarray, own: np.ndarray | None) -> Copies:
    """Return a copy of each row for each of its classes, by the weight that this has there."""
    shares = _shares(plan, classes, own).tocoo()
    rows, names = shares.coords
    return Copies(rows, names, shares.data)


def drawn_copies(
    plan: MixPlan, classes: np.ndarray, own: np.ndarray | None, generator: np.random.Generator
) -> Copies:
    """Return each row with a class that is drawn by its weights; each class keeps a row."""
    shares = _shares(plan, classes, own)
    ends = np.cumsum(shares.data)
    starts = shares.indptr[:-1]
    before = np.concatenate([[0.0], ends])[starts]
    totals = np.concatenate([[0.0], ends])[shares.indptr[1:]] - before
    places = np.searchsorted(ends, before + generator.random(totals.size) * totals, side="right")
    # Rounding may lead to the next row, as may rows of no weight at all.
    drawn = shares.indices[np.clip(places, starts, shares.indptr[1:] - 1)]
    drawn = _with_all_classes(drawn, classes[plan.indices[:, 0]])
    return Copies(np.arange(drawn.size), drawn, None if own is None else totals)


def anchored_copies(plan: MixPlan, classes: np.ndarray, own: np.ndarray | None) -> Copies:
    """Return each row with the class of the sample that weighs most."""
    weights = None if own is None else row_weights(plan, own)
    return Copies(np.arange(plan.num_outputs), classes[plan.indices[:, 0]], weights)


def _shares(plan: MixPlan, classes: np.ndarray, own: np.ndarray | None) -> Any:
    """Return the sparse (M, C) matrix of the weights of classes in rows, each class once."""
    weights = np.broadcast_to(plan.weights, plan.indices.shape)
    used = weights > 0
    values = weights if own is None else weights * own[plan.indices]
    starts = np.concatenate([[0], used.sum(axis=1).cumsum()])
    shape = (plan.num_outputs, int(classes.max()) + 1)
    shares = sparse.csr_array((values[used], classes[plan.indices][used], starts), shape=shape)
    shares.sum_duplicates()
    return shares


def _with_all_classes(drawn: np.ndarray, anchored: np.ndarray) -> np.ndarray:
    """Return drawn classes of which none of those of the anchors is missing."""
    drawn = drawn.copy()
    firsts = np.unique(anchored, return_index=True)
    missing = np.isin(firsts[0], drawn, invert=True)
    for name in firsts[0][missing]:
        counts = np.bincount(drawn)
        rows = np.flatnonzero(anchored == name)
        drawn[rows[counts[drawn[rows]].argmax()]] = name
    if np.isin(firsts[0], drawn).all():
        return drawn
    drawn[firsts[1]] = firsts[0]  # so few rows that one class took the last of another
    return drawn
