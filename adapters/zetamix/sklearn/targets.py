"""Mixed labels for estimators that take one class per row: as weighted copies, or drawn."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from sklearn import get_config
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import AdaBoostClassifier, HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
from sklearn.model_selection._search import BaseSearchCV
from sklearn.svm import LinearSVC
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.metadata_routing import get_routing_for_object
from sklearn.utils.validation import has_fit_parameter

from zetamix_core import MixPlan

_WEIGHT = "sample_weight"
_CLASS_WEIGHT = "class_weight"
# Their `estimator` is fitted on the classes that they get; others number these, or make new ones.
_PASSING_CLASSES_ON = (
    AdaBoostClassifier,
    BaseSearchCV,
    CalibratedClassifierCV,
    FixedThresholdClassifier,
    TunedThresholdClassifierCV,
)
# What balances by the weights of rows instead of their counts, which scikit-learn 1.6 does not.
_BALANCING_BY_WEIGHTS = (
    (LogisticRegression, LinearSVC)
    if _WEIGHT in inspect.signature(compute_class_weight).parameters
    else ()
)


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
        return _WEIGHT if _routes_weights(estimator) else None
    if _is_pipeline(estimator):
        name, last = estimator.steps[-1]
        inner = weight_parameter(last) if hasattr(last, "fit") else None
        return f"{name}__{inner}" if inner else None
    return None


def _is_pipeline(estimator: Any) -> bool:
    return bool(getattr(estimator, "steps", None)) and hasattr(estimator, "named_steps")


def _routes_weights(estimator: Any) -> bool:
    """Return whether weights are requested by what learns the classes, not by a scaler alone."""
    if not get_routing_for_object(estimator).consumes("fit", [_WEIGHT]):
        return False
    if _is_pipeline(estimator) or isinstance(estimator, BaseSearchCV):
        return _routes_weights(_inner(estimator)[1])
    return True


def _inner(estimator: Any) -> tuple[str, Any]:
    """Return what learns the same classes inside of an estimator, by the name it has there."""
    if _is_pipeline(estimator):
        name, last = estimator.steps[-1]
        return name, last
    inner = isinstance(estimator, _PASSING_CLASSES_ON)
    return "estimator", estimator.estimator if inner else None


def balanced_parameters(
    estimator: Any, classes: np.ndarray, codes: np.ndarray
) -> dict[str, dict[Any, float]]:
    """Return the class weights by the rows for each parameter that would have copies balanced."""
    balanced = {}
    for name, owner in _to_balance(estimator):
        if owner is None:
            warnings.warn(
                f"{name}='balanced' may count weighted copies of mixed rows, since the estimator "
                f"around it may pass on different classes than it gets; pass labels='draw', or "
                f"{name} as a dict",
                UserWarning,
                stacklevel=4,
            )
        elif not isinstance(owner, _BALANCING_BY_WEIGHTS):
            counts = np.bincount(codes)
            keys = [_key(each) for each in classes.tolist()]
            if isinstance(owner, HistGradientBoostingClassifier):  # numbers classes beforehand
                keys = list(range(counts.size))
            weights = codes.size / (counts.size * counts)
            balanced[name] = dict(zip(keys, weights.tolist(), strict=True))
    return balanced


def _to_balance(estimator: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield names of parameters with what they are of, None where that may get other classes.

    Steps of a pipeline ahead of its last are left out, as their copies have no weights.
    """
    params = estimator.get_params(deep=True)
    if _asks(params.get(_CLASS_WEIGHT)):
        yield prefix + _CLASS_WEIGHT, estimator
    name, inner = _inner(estimator)
    if hasattr(inner, "get_params"):
        yield from _to_balance(inner, f"{prefix}{name}__")
        return
    for each, value in params.items():
        if each.endswith(f"__{_CLASS_WEIGHT}") and _asks(value):
            yield prefix + each, None


def _asks(value: Any) -> bool:
    return isinstance(value, str) and value == "balanced"


def _key(name: Any) -> Any:
    """Return what scikit-learn looks a class up by: a text of digits as a number."""
    try:
        return int(name)
    except ValueError:
        return name


def labels_for(labels: str, estimator: Any) -> str:
    """Return how an estimator gets mixed labels; for "auto", in the form that it can take."""
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
    if own is not None and own.min() < 0:
        raise ValueError(
            f"classes are drawn by sample_weight, which must not be negative then, got "
            f"{own.min():g}; leave such rows out, or pass labels='weights' or 'anchor'"
        )
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
