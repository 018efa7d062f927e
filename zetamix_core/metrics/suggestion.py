"""Which γ to try first, from how near the samples are to each other."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from zetamix_core.annotations import RNG
from zetamix_core.arrays import Array, from_host, namespace, to_host
from zetamix_core.checks import check_count, check_same_samples
from zetamix_core.dtypes import kind
from zetamix_core.keywords import random_by
from zetamix_core.metrics.neighbors import nearest_others
from zetamix_core.metrics.samples import as_rows, distinct_rows, evaluated, normalized, widened
from zetamix_core.random import permutation
from zetamix_core.theory import displacement, gamma_for_displacement

__all__ = ["GammaSuggestion", "suggest_gamma"]

_LOWEST, _HIGHEST = 1.73, 8.0  # from just above the dominance threshold to where little is mixed


class GammaSuggestion(NamedTuple):
    """What `suggest_gamma` returns.

    Parameters
    ----------
    gamma : float
        The γ to try first, from 1.73 to 8.
    reason : str
        Why, in words and numbers.
    per_class : mapping of int to float, or None
        The γ for the samples of each class, None without labels.

    Examples
    --------
    >>> import numpy as np
    >>> from zetamix.metrics import suggest_gamma
    >>> suggest_gamma(np.random.default_rng(0).normal(size=(500, 2))).per_class is None
    True
    """

    gamma: float
    reason: str
    per_class: Mapping[int, float] | None


@random_by("rng")
def suggest_gamma(
    x: Array,
    y: Array | None = None,
    *,
    num_mix: int = 8,
    n_neighbors: int = 5,
    max_samples: int = 2000,
    rng: RNG = None,
) -> GammaSuggestion:
    r"""Suggest the γ that moves samples about as far as the distance to their neighbours.

    .. math:: \gamma: \quad d(\gamma, T) =
        \frac{\operatorname{median}_i \lVert x_i - x_{i(k)} \rVert}
             {\sqrt{\sum_d \mathrm{Var}(x_d)}}

    where :math:`x_{i(k)}` is the k-th nearest neighbour and :math:`d` is `theory.displacement`.

    Parameters
    ----------
    x : array, shape (N, ...)
        Samples, real and finite; trailing axes are flattened. Dask arrays are computed.
    y : array, shape (N,) or (N, C), optional
        Labels: integer classes, or weights of classes, of which the largest counts.
    num_mix : int, default 8
        T, the number of samples in a mixture, at least 2.
    n_neighbors : int, default 5
        k.
    max_samples : int, default 2000
        Use at most this many distinct samples, drawn at random.
    rng : optional
        Portable source of randomness for that draw, as in `permutation`; not used if all samples
        are measured.

    Returns
    -------
    GammaSuggestion
        `gamma`, from 1.73 to 8; `reason`, which says so where γ was clipped to that range; and
        `per_class`, the median over the samples of each class instead of all.

    Raises
    ------
    ValueError
        If fewer than `n_neighbors` + 2 samples are distinct, some are NaN or infinite, or an
        argument is out of range.
    TypeError
        If `x` is not an array of real numbers, `y` not one of labels, or an argument has the wrong
        type.

    See Also
    --------
    gamma_report : Mixes the data at several γ and measures the results.

    Notes
    -----
    Repeated rows count once. Neighbours are searched among all classes: a class in a dense part of
    the data gets a larger γ. Nothing is mixed, so the answer comes within a second or two. Only
    distances are used: with many features, such as pixels, neighbours are hardly nearer than other
    samples, and γ is at the lower end. `gamma_report` measures whether dimension, precision and
    recall are kept. Take the larger of the two.

    References
    ----------
    Abhishek, Brown, Hamarneh, "Multi-sample ζ-mixup: richer, more realistic synthetic samples from
    a p-series interpolant", Journal of Big Data 11:43 (2024), for the bound on γ.

    Examples
    --------
    >>> import numpy as np
    >>> from zetamix.metrics import suggest_gamma
    >>> x = np.random.default_rng(0).normal(size=(2000, 3))
    >>> found = suggest_gamma(x, np.arange(2000) % 2)
    >>> round(found.gamma, 1), sorted(found.per_class)
    (3.1, [0, 1])
    """
    num_mix, k = _check_num_mix(num_mix), check_count("n_neighbors", n_neighbors)
    most = _check_most(max_samples, k)
    given = as_rows("x", x)
    classes = None if y is None else _as_classes(x, y)
    kept, repeated = _draw_distinct(to_host(given), most, rng)
    if len(kept) < k + 2:
        raise ValueError(
            f"x must have at least n_neighbors + 2 = {k + 2} distinct samples, got {len(kept)} of "
            f"{given.shape[0]}; pass more samples, or a smaller n_neighbors"
        )
    xp = namespace(given)
    _, (rows,) = normalized(widened(xp.take(given, from_host(kept, given), axis=0)))
    spread = math.sqrt(float(xp.sum(xp.var(rows, axis=0, correction=1))))
    ratios = to_host(nearest_others(rows, k)[1][:, -1]) / (spread or 1.0)
    middle = float(np.median(ratios))
    gamma = _gamma(middle, num_mix)
    per_class = None if classes is None else _each_class(ratios, classes[kept], num_mix)
    return GammaSuggestion(gamma, _reason(gamma, middle, k, num_mix, repeated), per_class)


def _draw_distinct(rows: np.ndarray, most: int, rng: RNG) -> tuple[np.ndarray, bool]:
    """Return the places of at most `most` distinct rows, in order, and whether some repeat."""
    n = len(rows)
    order = np.arange(n) if n <= most else permutation(n, rng)
    kept, num_seen = distinct_rows(rows, order, most)
    return np.sort(kept), len(kept) < num_seen


def _gamma(ratio: float, num_mix: int) -> float:
    if ratio >= displacement(_LOWEST, num_mix):
        return _LOWEST
    return (
        _HIGHEST
        if ratio <= displacement(_HIGHEST, num_mix)
        else gamma_for_displacement(ratio, num_mix)
    )


def _each_class(ratios: np.ndarray, classes: np.ndarray, num_mix: int) -> dict[int, float]:
    medians = {int(c): float(np.median(ratios[classes == c])) for c in np.unique(classes)}
    return {c: _gamma(median, num_mix) for c, median in medians.items()}


def _reason(gamma: float, ratio: float, k: int, num_mix: int, repeated: bool) -> str:
    near = f"the median distance to neighbour {k}, {ratio:.3g} of the spread of the data"
    if gamma == _LOWEST:
        reason = (
            f"γ is clipped to {_LOWEST}, just above the bound from which on one sample outweighs "
            f"all others: {near}, is more than mixtures of {num_mix} move at that γ."
        )
    elif gamma == _HIGHEST:
        reason = (
            f"γ is clipped to {_HIGHEST:g}, where little is mixed: {near}, is less than mixtures "
            f"of {num_mix} move at that γ."
        )
    else:
        reason = f"At γ = {gamma:.3g} mixtures of {num_mix} move a sample by {near}."
    return reason + (" Repeated rows counted once." if repeated else "")


# --- checks ---------------------------------------------------------------------------------------


def _check_num_mix(num_mix: Any) -> int:
    count = check_count("num_mix", num_mix)
    if count < 2:
        raise ValueError(
            "num_mix must be at least 2, got 1, which moves no sample at any γ; pass the number "
            "of samples in a mixture"
        )
    return count


def _check_most(max_samples: Any, n_neighbors: int) -> int:
    count = check_count("max_samples", max_samples)
    if count < n_neighbors + 2:
        raise ValueError(
            f"max_samples must be at least n_neighbors + 2 = {n_neighbors + 2}, got {count}; pass "
            f"more, or a smaller n_neighbors"
        )
    return count


def _as_classes(x: Array, y: Array) -> np.ndarray:
    """Return the class of each sample: its integer, or its largest weight."""
    check_same_samples(x, y)
    labels = to_host(evaluated(y))
    if labels.ndim == 2 and labels.shape[1] > 1:
        return np.asarray(labels.argmax(axis=1))
    if kind(y) not in ("integer", "bool") or labels.size != len(labels):
        raise ValueError(
            f"y must be integer classes (N,) or weights of classes (N, C), got shape "
            f"{tuple(y.shape)} and dtype {y.dtype}; leave regression targets out"
        )
    return labels.reshape(-1)
