"""What these seeds can show, and what single runs can show; not a program itself.

``python benchmarks/classify.py report`` prints it after the tables.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from harness import markdown

from classification.sections import interval, number
from classification.statistics import (
    LEVEL,
    POWER,
    deviation_interval,
    mcnemar,
    paired_difference,
    seeds_needed,
    smallest_difference,
    standard_error,
    wilson,
)
from classification.tables import NAMES, Table, tables

__all__ = ["PUBLISHED", "Published", "power_report"]

_DIFFERENCES = (0.25, 0.5, 1.0, 2.0)  # percentage points
_PAIRS = (("zeta", "erm"), ("zeta", "mixup-1"), ("mixup-1", "erm"))
_MANY = 1000


class Published(NamedTuple):
    """Test images of a published data set, and how many ERM, mixup and ζ-mixup get right."""

    data: str
    model: str
    size: int
    right: tuple[int, int, int]


def _of_errors(data: str, model: str, *percent: float) -> Published:
    erm, mixup, zeta = (10_000 - round(100 * each) for each in percent)
    return Published(data, model, 10_000, (erm, mixup, zeta))


def _of_scores(data: str, model: str, size: int, *scores: float) -> Published:
    erm, mixup, zeta = (round(size * each) for each in scores)
    return Published(data, model, size, (erm, mixup, zeta))


# Scores as the poster on ζ-mixup has them: errors in % for CIFAR, else micro-averaged F1. Its
# columns of CIFAR are not in the order of their headings: the second one is CIFAR-100 in the paper.
PUBLISHED = (
    _of_errors("CIFAR-10", "ResNet-18", 5.48, 4.68, 4.42),
    _of_errors("CIFAR-100", "ResNet-18", 23.33, 21.85, 21.35),
    _of_errors("CIFAR, ResNet-50", "third column", 19.97, 19.54, 19.54),
    _of_errors("CIFAR, ResNet-50", "fourth column", 18.99, 18.86, 18.86),
    _of_scores("ISIC 2016", "ResNet-18", 379, 0.7836, 0.7968, 0.8654),
    _of_scores("ISIC 2016", "ResNet-50", 379, 0.8127, 0.8179, 0.8602),
    _of_scores("ISIC 2017", "ResNet-18", 600, 0.7383, 0.7333, 0.7633),
    _of_scores("ISIC 2017", "ResNet-50", 600, 0.6867, 0.7433, 0.7733),
    _of_scores("ISIC 2018", "ResNet-18", 193, 0.8756, 0.8394, 0.8756),
    _of_scores("ISIC 2018", "ResNet-50", 193, 0.8653, 0.8601, 0.9016),
    _of_scores("DermoFit", "ResNet-18", 260, 0.8269, 0.8577, 0.8731),
    _of_scores("DermoFit", "ResNet-50", 260, 0.8500, 0.8500, 0.8962),
)


def power_report(
    records: Iterable[Mapping[str, Any]], *, allow_mixed: bool = False
) -> Iterator[str]:
    """Say how many seeds small differences need, and how far single runs can be trusted."""
    yield "## What the seeds can show\n"
    yield from _of_tables(tables(records, allow_mixed=allow_mixed))
    yield "## What single runs can show\n"
    yield from _of_published()


# --- own runs -------------------------------------------------------------------------------------


def _of_tables(found: list[Table]) -> Iterator[str]:
    cases = itertools.product(found, _PAIRS)
    rows = [
        row for table, pair in cases for part in table.parts for row in _rows(table, part, *pair)
    ]
    if not rows:
        yield "No two methods share two seeds, so the spread of their difference is unknown.\n"
        return
    yield (
        f"Number of seeds that a paired t test at level {LEVEL:g} needs to detect a true "
        f"difference with a probability of {POWER:.0%}, from the standard deviation (sd) of the "
        f"paired differences. The interval of the sd shows how uncertain it is with few seeds. "
        f"*Shown* is the smallest difference that the present seeds detect with that probability. "
        f"The last column counts the pairs of single runs in which McNemar's exact test has "
        f"p < {LEVEL:g}, in favour of the first method and of the second.\n"
    )
    wanted = [f"seeds for {difference:g}" for difference in _DIFFERENCES]
    header = ["comparison", "seeds", "sd, points", *wanted, "shown, points", "single runs"]
    yield markdown(header, rows)


def _rows(table: Table, part: str, first: str, second: str) -> Iterator[list[str]]:
    """Yield the row of two methods, if they share two seeds."""
    paired = paired_difference(table.values(first, part), table.values(second, part))
    if paired.pairs < 2:
        return
    spread = 100 * paired.deviation
    around = interval(*deviation_interval(spread, paired.pairs))
    yield [
        f"{table.title(part)}: {NAMES[first]} minus {NAMES[second]}",
        str(paired.pairs),
        f"{number(spread)} {around}",
        *(_seeds(difference, spread) for difference in _DIFFERENCES),
        number(smallest_difference(paired.pairs, spread)),
        _single_runs(table, part, first, second),
    ]


def _seeds(difference: float, spread: float) -> str:
    # Beyond, the exact number is of no use, and slow to find.
    if spread > 0 and 7 * (spread / difference) ** 2 > _MANY:
        return f"> {_MANY:,}"
    return str(seeds_needed(difference, spread))


def _single_runs(table: Table, part: str, first: str, second: str) -> str:
    wrong = table.wrong(first, part), table.wrong(second, part)
    pairs = [tuple(each[seed] for each in wrong) for seed in wrong[0].keys() & wrong[1].keys()]
    if not pairs:
        return "–"
    clear = [a.sum() < b.sum() for a, b in pairs if mcnemar(a, b) < LEVEL]
    return f"{sum(clear)} and {len(clear) - sum(clear)} of {len(pairs)}"


# --- published scores -----------------------------------------------------------------------------


def _of_published() -> Iterator[str]:
    yield (
        "Scores from the poster on ζ-mixup with binomial standard errors, in %: errors for CIFAR, "
        "micro-averaged F1 for skin lesions. Each score is from one run, as far as the poster "
        "states. n is the number of test images; for ISIC 2018, those of its validation part; for "
        "DermoFit, a fifth of all images. It is not clear which data set two of the CIFAR columns "
        "belong to. The last column is the gain of ζ-mixup over mixup, with the interval that "
        "independent test images would give. Pairing could narrow it; other seeds, which the "
        "standard error of one run does not cover, would widen it.\n"
    )
    header = [
        "data, network",
        "n",
        "ERM",
        "mixup",
        "ζ-mixup",
        "its 95% interval",
        "gain over mixup",
    ]
    yield markdown(header, [_published_row(each) for each in PUBLISHED])
    clear = sum(low > 0 for low, _ in map(_gain_interval, PUBLISHED))
    yield f"Gains over mixup whose interval lies above 0: {clear} of {len(PUBLISHED)}.\n"


def _published_row(each: Published) -> list[str]:
    errors = each.data.startswith("CIFAR")
    counts = [each.size - right if errors else right for right in each.right]
    cells = [
        f"{number(100 * count / each.size)} ± {number(100 * standard_error(count, each.size))}"
        for count in counts
    ]
    around = _percent(wilson(counts[2], each.size))
    gain = number(100 * (each.right[2] - each.right[1]) / each.size, sign=True)
    ends = interval(*_gain_interval(each))
    return [f"{each.data}, {each.model}", f"{each.size:,}", *cells, around, f"{gain} {ends}"]


def _percent(ends: tuple[float, float]) -> str:
    low, high = ends
    return interval(100 * low, 100 * high)


def _gain_interval(each: Published) -> tuple[float, float]:
    """Return the interval of a difference of independent scores, in points."""
    _, mixup, zeta = each.right
    error = math.hypot(standard_error(mixup, each.size), standard_error(zeta, each.size))
    gain = (zeta - mixup) / each.size
    return 100 * (gain - 1.96 * error), 100 * (gain + 1.96 * error)
