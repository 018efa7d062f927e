"""The measures of the poster for each method, over seeds; not a program itself.

``python benchmarks/poster.py`` lays it out.
"""

from __future__ import annotations

import functools
import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from harness import progress_bar
from poster_data import Source
from rich.markup import escape
from scipy import stats
from zetamix.figures.datasets import BATCH

from zetamix_core.adapting import ORIGINALS, Method, mixup_method, zeta_method
from zetamix_core.metrics import MixMeasures

__all__ = [
    "CONFIDENCE",
    "FEW",
    "GAMMA",
    "GAMMAS",
    "MEASURES",
    "MIXUP_BATCH",
    "MIXUP_EACH",
    "NEIGHBORS",
    "OF_BATCHES",
    "OF_EACH",
    "Interval",
    "Outcome",
    "Row",
    "few",
    "measure",
    "measure_all",
    "summarize",
]

NEIGHBORS = 128  # of the dimension, as on the poster
GAMMAS = (1.8, 2.0, 2.4, 2.8, 3.2, 4.0, 5.0, 6.0)
GAMMA, FEW = 2.8, (4, 8)  # of mixtures of few samples
CONFIDENCE = 0.95
MIXUP_EACH, MIXUP_BATCH = "mixup, λ per sample", "mixup, λ per batch"
OF_EACH = mixup_method(name=MIXUP_EACH)
OF_BATCHES = mixup_method(per_sample=False, name=MIXUP_BATCH)
MEASURES = MixMeasures._fields[2:]


class Row(NamedTuple):
    """The measures of a data set, a method and a seed."""

    data: str
    seed: int
    num_samples: int
    num_mix: int
    measures: MixMeasures


@dataclass(frozen=True)
class Interval:
    """A mean over seeds, and half the width of the interval that the true one is in."""

    mean: float
    half_width: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Interval:
        """Take Student's t, as the spread is estimated from the same values."""
        spread = statistics.stdev(values) / math.sqrt(len(values))
        factor = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1))
        return cls(statistics.fmean(values), factor * spread)


@dataclass(frozen=True)
class Outcome:
    """The measures of a data set and a method; those of labels only where there are labels."""

    data: str
    method: str
    gamma: float | None
    num_mix: int
    num_seeds: int
    intervals: Mapping[str, Interval]


# --- measuring ------------------------------------------------------------------------------------


def measure_all(
    sources: Sequence[Source],
    seeds: Sequence[int],
    gammas: Sequence[float],
    limit: Callable[[Source], int | None],
) -> list[Row]:
    """Measure all data sets with all seeds, and show how far it is."""
    rows: list[Row] = []
    with progress_bar() as progress:
        steps = [len(methods(source, gammas)) for source in sources]
        task = progress.add_task("", total=len(seeds) * sum(steps))
        advance = functools.partial(progress.advance, task)
        for source in sources:
            for seed in seeds:
                progress.update(task, description=f"{escape(source.name)}, seed {seed}")
                rows += measure(source, seed, gammas, limit(source), advance)
    return rows


def measure(
    source: Source,
    seed: int,
    gammas: Sequence[float],
    max_samples: int | None,
    advance: Callable[[], object] = lambda: None,
) -> list[Row]:
    """Measure all methods on the samples of one seed, in the same batches."""
    data = source.samples(seed, max_samples)
    experiment = data.experiment((seed,), n_neighbors=NEIGHBORS, oracle=source.oracle)
    found = []
    for method in methods(source, gammas):
        size = method.num_mix or BATCH
        found.append(Row(source.name, seed, len(data), size, experiment.measure(method)))
        advance()
    return found


def methods(source: Source, gammas: Sequence[float]) -> list[Method]:
    """Return what is compared: mixup also as published, with one λ for a whole batch."""
    compared = [ORIGINALS, OF_EACH, OF_BATCHES, *map(zeta_method, gammas)]
    return compared + [few(size) for size in FEW if source.is_images]


def few(num_mix: int, gamma: float = GAMMA) -> Method:
    """Return ζ-mixup of few samples, as it is looked at in images."""
    return zeta_method(gamma, num_mix, f"ζ-mixup of {num_mix}, γ = {gamma:g}")


# --- summary --------------------------------------------------------------------------------------


def summarize(rows: Iterable[Row]) -> list[Outcome]:
    """Put the seeds of each data set and method together."""
    together: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        together.setdefault((row.data, row.measures.name), []).append(row)
    return [
        Outcome(data, method, same[0].measures.gamma, same[0].num_mix, len(same), _intervals(same))
        for (data, method), same in together.items()
    ]


def _intervals(rows: Sequence[Row]) -> dict[str, Interval]:
    return {
        name: Interval.of([getattr(row.measures, name) for row in rows])
        for name in MEASURES
        if getattr(rows[0].measures, name) is not None
    }
