"""How rich soft labels are, and how correct."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from zetamix_core.arrays import Array, device_of, is_jax_tracer, namespace
from zetamix_core.checks import (
    check_count,
    check_is_array,
    check_number,
    check_same_place,
    check_same_samples,
    check_samples,
)
from zetamix_core.dtypes import cast, default_float, kind, working_dtype
from zetamix_core.labels import label_options, mix_labels
from zetamix_core.linear_map import Entries
from zetamix_core.metrics.neighbors import gather, nearest_rows, neighbor_sets, take_each
from zetamix_core.metrics.samples import (
    as_rows,
    check_neighbors,
    check_same_features,
    evaluated,
    normalized,
)

__all__ = [
    "LabelCorrectness",
    "LabelRichness",
    "label_correctness",
    "label_richness",
    "neighbor_vote",
]

_ROUNDING = 1e-2  # in the sum of a label, which may have been kept in a narrow dtype


class LabelRichness(NamedTuple):
    """What `label_richness` returns, for each of M labels.

    Parameters
    ----------
    entropy : array, shape (M,)
        Entropy in nats.
    effective_classes : array, shape (M,)
        Exponential of the entropy: 1 for a single class, C for C equal classes.
    classes_above : array, shape (M,)
        Number of classes whose weight is at least `min_weight`.

    Examples
    --------
    >>> import numpy as np
    >>> from zetamix.metrics import label_richness
    >>> label_richness(np.asarray([[0.5, 0.5], [1.0, 0.0]])).effective_classes
    array([2., 1.])
    """

    entropy: Array
    effective_classes: Array
    classes_above: Array


class LabelCorrectness(NamedTuple):
    """What `label_correctness` returns, for each of M labels.

    Parameters
    ----------
    overlap : array, shape (M,)
        Weight that the label and the oracle give to the same classes, from 0 to 1.
    same_class : array of bool, shape (M,)
        Whether the class with the largest weight is the same.

    Examples
    --------
    >>> import numpy as np
    >>> from zetamix.metrics import label_correctness
    >>> label_correctness(np.asarray([[0.75, 0.25]]), np.asarray([[1.0, 0.0]])).overlap
    array([0.75])
    """

    overlap: Array
    same_class: Array


def label_richness(labels: Array, *, min_weight: float = 0.01) -> LabelRichness:
    r"""Measure how much soft labels say beyond one class.

    .. math:: H_i = -\sum_c y_{ic} \log y_{ic}, \qquad e^{H_i}, \qquad
              \#\{c : y_{ic} \ge w_\mathrm{min}\}

    Parameters
    ----------
    labels : array, shape (M, C)
        Soft labels: weights of classes, 0 or more, that add up to 1. Dask arrays are computed.
    min_weight : float, default 0.01
        Smallest weight at which a class counts, above 0 and up to 1.

    Returns
    -------
    LabelRichness
        Arrays `entropy`, `effective_classes` and `classes_above`, each of shape (M,).

    Raises
    ------
    ValueError
        If labels are negative, do not add up to 1, or have another shape. Such a label gives NaN in
        a compiled JAX program.
    TypeError
        If `labels` is not a floating array.

    Examples
    --------
    >>> import numpy as np
    >>> from zetamix.metrics import label_richness
    >>> rich = label_richness(np.asarray([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]]))
    >>> rich.effective_classes, rich.classes_above
    (array([1., 2.]), array([1, 2]))
    """
    bounds, remedy = (math.nextafter(0, 1), 1), "0.01 counts classes of one percent or more"
    check_number("min_weight", min_weight, bounds, rule="above 0 and up to 1", remedy=remedy)
    labels = as_soft_labels("labels", labels)
    xp = namespace(labels)
    present = labels > 0
    logs = xp.log(xp.where(present, labels, 1.0))
    entropy = 0.0 - xp.sum(labels * logs, axis=1)  # not -0.0
    classes_above = xp.sum(cast(labels >= min_weight, xp.int32), axis=1)
    return LabelRichness(entropy, xp.exp(entropy), classes_above)


def label_correctness(labels: Array, oracle: Array) -> LabelCorrectness:
    r"""Compare soft labels with those of an oracle for the same samples.

    .. math:: \mathrm{overlap}_i = \sum_c \min(y_{ic}, q_{ic})
              = 1 - \tfrac{1}{2} \sum_c |y_{ic} - q_{ic}|

    Parameters
    ----------
    labels : array, shape (M, C)
        Soft labels, which add up to 1. Dask arrays are computed.
    oracle : array, shape (M, C)
        The oracle's probabilities: a vote of neighbours (`neighbor_vote`), those of a classifier,
        or the exact answer; of the library and device of `labels`.

    Returns
    -------
    LabelCorrectness
        Arrays `overlap` and `same_class`, each of shape (M,).

    Raises
    ------
    ValueError
        If the arrays differ in shape, are negative, or do not add up to 1. Such a label has an
        overlap of NaN in a compiled JAX program.
    TypeError
        If they are not floating arrays of the same library.

    Notes
    -----
    No oracle is perfect: compare it with the labels of real samples, too, and judge its answers for
    mixed samples against that error. Of classes with the same weight, the first counts as the
    largest.

    Examples
    --------
    >>> import numpy as np
    >>> from zetamix.metrics import label_correctness
    >>> correct = label_correctness(np.asarray([[0.75, 0.25]]), np.asarray([[1.0, 0.0]]))
    >>> float(correct.overlap[0]), bool(correct.same_class[0])
    (0.75, True)
    """
    labels, oracle = as_soft_labels("labels", labels), as_soft_labels("oracle", oracle)
    check_same_place(labels, oracle, "labels and oracle", "convert one of them")
    if labels.shape != oracle.shape:
        raise ValueError(
            f"labels and oracle must have the same shape, got {tuple(labels.shape)} and "
            f"{tuple(oracle.shape)}; check that they are of the same samples and classes"
        )
    xp = namespace(labels)
    overlap = xp.sum(xp.minimum(labels, cast(oracle, labels.dtype)), axis=1)
    same = xp.argmax(labels, axis=1) == xp.argmax(oracle, axis=1)
    return LabelCorrectness(overlap, same & (overlap == overlap))  # false of NaN, in a program


def neighbor_vote(
    x: Array,
    y: Array,
    queries: Array | None = None,
    *,
    n_neighbors: int = 10,
    num_classes: int | None = None,
    anchors: Array | None = None,
) -> Array:
    r"""Let the nearest real samples vote on the classes of other samples: an oracle for labels.

    .. math:: q_{jc} = \frac{1}{k} \sum_{i \in \mathrm{NN}_k(j)} y_{ic}

    Parameters
    ----------
    x : array, shape (N, ...)
        Real samples, finite; trailing axes are flattened. Dask arrays are computed.
    y : array, shape (N,) or (N, C)
        Their labels, classes or soft labels, of the library and device of `x`.
    queries : array, shape (M, ...), optional
        Samples to vote on. With None, the other samples vote on each sample of `x`: compared with
        `y`, this gives the oracle's own error.
    n_neighbors : int, default 10
        k, the number of voters.
    num_classes : int, optional
        Number of classes; required for integer labels.
    anchors : array of int, shape (M,), optional
        The sample that each of `queries` was made from. It has no vote on that query, as no sample
        has on itself; otherwise queries that stay near their anchors would look better.

    Returns
    -------
    array, shape (M, C)
        Shares of the votes, in the dtype of soft labels, or the library's default float.

    Raises
    ------
    ValueError
        If there are too few samples, labels are out of range, or some samples are NaN or infinite.
    TypeError
        If `x` and `y` are not arrays of the same library.

    Examples
    --------
    >>> import numpy as np
    >>> from zetamix.metrics import neighbor_vote
    >>> x, y = np.asarray([0.0, 0.1, 5.0, 5.1]), np.asarray([0, 0, 1, 1])
    >>> neighbor_vote(x, y, np.asarray([4.0]), n_neighbors=2, num_classes=2)
    array([[0., 1.]])
    """
    rows, labels = as_rows("x", x), class_weights(x, y, num_classes)
    if queries is None:
        if anchors is not None:
            raise ValueError(
                f"anchors are the samples that queries come from, got shape {tuple(anchors.shape)} "
                f"without queries; leave them out, as no sample votes on itself"
            )
        check_neighbors(n_neighbors, rows.shape[0])
        _, (rows,) = normalized(rows)
        return _mean_vote(labels, neighbor_sets(rows, n_neighbors))
    queries = cast(as_rows("queries", queries), rows.dtype)
    check_same_features(rows, queries, "x and queries")
    _, (rows, queries) = normalized(rows, queries)
    if anchors is None:
        _check_voters(n_neighbors, rows.shape[0])
        return _mean_vote(labels, nearest_rows(rows, queries, n_neighbors)[0])
    _check_anchors(anchors, rows, queries)
    check_neighbors(n_neighbors, rows.shape[0])
    voters, distances = nearest_rows(rows, queries, n_neighbors + 1)
    xp = namespace(rows)
    distances = xp.where(voters == anchors[:, None], xp.inf, distances)
    nearest = xp.argsort(distances, axis=1, stable=True)[:, :n_neighbors]
    return _mean_vote(labels, take_each(voters, nearest))


def _check_voters(n_neighbors: Any, n: int) -> None:
    """Check the number of voters on samples that do not vote themselves."""
    if check_count("n_neighbors", n_neighbors) > n:
        raise ValueError(
            f"n_neighbors must be at most the number of samples that vote, got "
            f"n_neighbors={n_neighbors} for {n} samples; pass up to {n}"
        )


def _mean_vote(labels: Array, voters: Array) -> Array:
    return namespace(labels).mean(gather(labels, voters), axis=1)


def _check_anchors(anchors: Any, rows: Array, queries: Array) -> None:
    check_is_array("anchors", anchors)
    if kind(anchors) != "integer" or tuple(anchors.shape) != (queries.shape[0],):
        raise ValueError(
            f"anchors must be integers of shape ({queries.shape[0]},), a sample for each query, "
            f"got shape {tuple(anchors.shape)} and dtype {anchors.dtype}; pass indices into x"
        )
    check_same_place(rows, anchors, "x and anchors", "convert anchors")
    n, xp = rows.shape[0], namespace(anchors)
    if not is_jax_tracer(anchors) and not bool(xp.all((anchors >= 0) & (anchors < n))):
        raise ValueError(
            f"anchors must be indices of samples, from 0 to {n - 1}, got values from "
            f"{int(xp.min(anchors))} to {int(xp.max(anchors))}; pass indices into x"
        )


def class_weights(x: Array, y: Array, num_classes: int | None) -> Array:
    """Return labels of samples as soft labels (N, C)."""
    check_same_samples(x, y)
    y = evaluated(y)
    # Each sample alone, mixed with nothing.
    xp, device = namespace(y), device_of(y)
    alone = Entries(xp.arange(y.shape[0], device=device)[:, None], xp.ones(1, device=device))
    return as_soft_labels("y", mix_labels(alone, y, label_options(num_classes), default_float(y)))


def as_soft_labels(name: str, labels: Any) -> Array:
    check_is_array(name, labels)
    if kind(labels) != "floating":
        raise TypeError(
            f"{name} must be floating, the weights of classes, got dtype {labels.dtype}; see "
            f"MixPlan.mix_labels for soft labels of classes"
        )
    check_samples(name, labels)
    labels = evaluated(labels)
    xp = namespace(labels)
    labels = cast(labels, working_dtype(xp, labels.dtype))
    if labels.ndim != 2:
        raise ValueError(
            f"{name} must have shape (M, C), a weight for each of C classes, got shape "
            f"{tuple(labels.shape)}; flatten masks, and leave regression targets out"
        )
    xp = namespace(labels)
    good = xp.all(labels >= 0, axis=1) & (xp.abs(xp.sum(labels, axis=1) - 1) <= _ROUNDING)
    if is_jax_tracer(labels):
        return xp.where(good[:, None], labels, xp.nan)
    _check_sums(name, labels, good)
    return labels


def _check_sums(name: str, labels: Array, good: Array) -> None:
    xp = namespace(labels)
    if bool(xp.all(good)):
        return
    bad = int(xp.argmin(cast(good, xp.int8)))
    raise ValueError(
        f"{name} must be 0 or more and add up to 1 for each sample, got a sum of "
        f"{float(xp.sum(labels[bad, :])):.6g} in sample {bad}; normalize them, and leave multi-hot "
        f"labels out"
    )
