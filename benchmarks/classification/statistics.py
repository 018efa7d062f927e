"""What seeds and test images can show: paired intervals, tests, and how many seeds they need.

All differences are of errors, so that negative ones are better.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats
from scipy.optimize import brentq

__all__ = [
    "CONFIDENCE",
    "LEVEL",
    "POWER",
    "Paired",
    "Share",
    "deviation_interval",
    "holm",
    "image_interval",
    "mcnemar",
    "mean_interval",
    "paired_difference",
    "power",
    "seeds_needed",
    "share_explained",
    "smallest_difference",
    "standard_error",
    "verdict",
    "wilson",
]

CONFIDENCE, LEVEL, POWER = 0.95, 0.05, 0.8

_TAILS = ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2)
_RESAMPLES = 10_000
_ROUNDING = 1e-12  # of errors, far below one image

Range = tuple[float, float]
_NOTHING: Range = (math.nan, math.nan)


class Paired(NamedTuple):
    """Differences over shared seeds; what their number does not allow is NaN."""

    mean: float
    low: float
    high: float
    p: float
    deviation: float
    pairs: int


class Share(NamedTuple):
    """How much of one gain another gain reaches: 1 is all of it."""

    ratio: float
    low: float
    high: float
    pairs: int


# --- seeds ----------------------------------------------------------------------------------------


def mean_interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean and half of its interval by Student's t, NaN for fewer than two values."""
    if len(values) < 2:
        return (float(values[0]) if values else math.nan), math.nan
    half = stats.t.ppf(_TAILS[1], len(values) - 1) * stats.sem(values)
    return float(np.mean(values)), float(half)


def paired_difference(first: Mapping[int, float], second: Mapping[int, float]) -> Paired:
    """Compare the errors of two methods, first − second, over the seeds that both have.

    Equal differences show no spread to build an interval from. Their p value is that of the sign
    test, which needs none.
    """
    seeds = _shared(first, second)
    differences = np.array([first[seed] - second[seed] for seed in seeds])
    count = len(seeds)
    if count < 2:
        mean = float(differences[0]) if count else math.nan
        return Paired(mean, *_NOTHING, math.nan, math.nan, count)
    mean = float(differences.mean())
    if np.ptp(differences) < _ROUNDING:
        p = 1.0 if abs(mean) < _ROUNDING else 0.5 ** (count - 1)
        return Paired(mean, *_NOTHING, p, 0.0, count)
    deviation = float(differences.std(ddof=1))
    error = deviation / math.sqrt(count)
    half = float(stats.t.ppf(_TAILS[1], count - 1)) * error
    p = 2 * float(stats.t.sf(abs(mean) / error, count - 1))
    return Paired(mean, mean - half, mean + half, p, deviation, count)


def share_explained(
    base: Mapping[int, float],
    method: Mapping[int, float],
    control: Mapping[int, float],
    *,
    seed: int = 0,
) -> Share:
    """Return the gain of a control over the base as a share of that of the method.

    The interval is a bootstrap over the seeds of all three. A resample in which the method gains
    nothing counts as an infinite share.
    """
    seeds = _shared(base, method, control)
    gains = np.array([[base[s] - method[s], base[s] - control[s]] for s in seeds]).reshape(-1, 2)
    count = len(seeds)
    if count == 0 or gains[:, 0].mean() == 0:
        return Share(math.nan, *_NOTHING, count)
    ratio = float(gains[:, 1].mean() / gains[:, 0].mean())
    if count < 2:
        return Share(ratio, *_NOTHING, count)
    draws = np.random.default_rng(seed).multinomial(count, [1 / count] * count, _RESAMPLES)
    whole, part = (draws @ gains).T
    ratios = np.copysign(np.inf, part)
    np.divide(part, whole, out=ratios, where=whole > 0)
    low, high = np.quantile(ratios, _TAILS, method="nearest")  # others would subtract infinities
    return Share(ratio, float(low), float(high), count)


def _shared(*runs: Mapping[int, object]) -> list[int]:
    return sorted(set.intersection(*map(set, runs)))


# --- test images ----------------------------------------------------------------------------------


def image_interval(
    first: Mapping[int, np.ndarray], second: Mapping[int, np.ndarray], *, seed: int = 0
) -> Range:
    """Return a bootstrap interval of the difference of errors over test images.

    The mappings give for each seed which images are wrong (n,). Differences are averaged over the
    seeds that both have before images are resampled, so that the networks stay the same.
    """
    seeds = _shared(first, second)
    if not seeds or not len(first[seeds[0]]):
        return _NOTHING
    wrong = [np.stack([each[s] for s in seeds]).astype(int) for each in (first, second)]
    totals = (wrong[0] - wrong[1]).sum(axis=0)
    # A draw of images is a draw of how often each of the few totals occurs.
    values, counts = np.unique(totals, return_counts=True)
    size = len(totals)
    draws = np.random.default_rng(seed).multinomial(size, counts / size, _RESAMPLES)
    low, high = np.quantile(draws @ values / (size * len(seeds)), _TAILS)
    return float(low), float(high)


def mcnemar(first: np.ndarray, second: np.ndarray) -> float:
    """Return the exact p value of McNemar's test, from which images two networks get wrong."""
    only_first = int(np.sum(first & ~second))
    discordant = only_first + int(np.sum(second & ~first))
    if discordant == 0:
        return 1.0
    return float(stats.binomtest(only_first, discordant).pvalue)


def standard_error(successes: int, trials: int) -> float:
    """Return the binomial standard error of a score that is a share of `trials`."""
    score = successes / trials
    return math.sqrt(score * (1 - score) / trials)


def wilson(successes: int, trials: int) -> Range:
    """Return Wilson's interval of a score that is a share of `trials`."""
    z = float(stats.norm.ppf(_TAILS[1]))
    score, weight = successes / trials, z * z / trials
    middle = (score + weight / 2) / (1 + weight)
    half = z * math.sqrt(score * (1 - score) / trials + weight / (4 * trials)) / (1 + weight)
    return middle - half, middle + half


# --- many comparisons -----------------------------------------------------------------------------


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p values adjusted for their number by Holm's step-down rule.

    NaN stays NaN and does not count.
    """
    values = np.array(p_values, dtype=float)
    order = [index for index in np.argsort(values) if not np.isnan(values[index])]
    factors = np.arange(len(order), 0, -1)
    adjusted = np.full(len(values), np.nan)
    adjusted[order] = np.minimum(np.maximum.accumulate(factors * values[order]), 1)
    return [float(p) for p in adjusted]


def verdict(low: float, high: float) -> str:
    """Say what an interval of a difference of errors means for the first method."""
    if math.isnan(low) or math.isnan(high):
        return "undecided"
    if high < 0:
        return "wins"
    return "loses" if low > 0 else "ties"


# --- power ----------------------------------------------------------------------------------------


def power(difference: float, deviation: float, seeds: int) -> float:
    """Return how often a paired t test at level 0.05 finds this true difference."""
    edge = float(stats.t.ppf(1 - LEVEL / 2, seeds - 1))
    shift = abs(difference) / deviation * math.sqrt(seeds)
    above = stats.nct.sf(edge, seeds - 1, shift)
    # SciPy gives NaN where this tail is too thin to compute, far below 1e-9.
    below = np.nan_to_num(stats.nct.cdf(-edge, seeds - 1, shift))
    return float(above + below)


def seeds_needed(difference: float, deviation: float) -> int:
    """Return the smallest number of paired seeds that has a power of 0.8."""
    if difference == 0 or not deviation >= 0:
        raise ValueError(
            f"seeds are counted for a difference other than 0 and a deviation of at least 0, got "
            f"{difference} and {deviation}; take the deviation from two seeds or more"
        )
    if deviation == 0:
        return 2
    enough = 2
    while power(difference, deviation, enough) < POWER:
        enough *= 2
    too_few = enough // 2
    while enough - too_few > 1:
        middle = (enough + too_few) // 2
        if power(difference, deviation, middle) < POWER:
            too_few = middle
        else:
            enough = middle
    return enough


def smallest_difference(seeds: int, deviation: float) -> float:
    """Return the difference that this number of paired seeds finds with a power of 0.8."""
    if seeds < 2:
        return math.nan
    top = 1.0
    while power(top, 1, seeds) < POWER:
        top *= 2
    return deviation * float(brentq(lambda size: power(size, 1, seeds) - POWER, 0, top))


def deviation_interval(deviation: float, count: int) -> Range:
    """Return the interval of a standard deviation that `count` normal values estimate."""
    if count < 2:
        return _NOTHING
    low, high = stats.chi2.ppf(_TAILS[::-1], count - 1)
    root = math.sqrt(count - 1)
    return deviation * root / math.sqrt(low), deviation * root / math.sqrt(high)
