"""What the poster says of each method, measured over seeds; not a program itself.

``python benchmarks/poster.py`` lays it out.
"""

from __future__ import annotations

import functools
import math
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from harness import progress_bar
from poster_data import Oracle, Source
from scipy import stats
from zetamix.cli.datasets import Dataset
from zetamix.cli.methods import BATCH

from zetamix_core.drawing import mixup_plan
from zetamix_core.metrics import (
    MixMeasures,
    displacement,
    gamma_report,
    label_correctness,
    label_richness,
    local_intrinsic_dimension,
    nearest_distance,
    neighbor_vote,
    realism_diversity,
)
from zetamix_core.metrics._methods import Method, epoch_plan, zeta
from zetamix_core.metrics.realism import in_units_of_spread

__all__ = [
    "CONFIDENCE",
    "FEW",
    "GAMMA",
    "GAMMAS",
    "MEASURES",
    "MIXUP_BATCH",
    "MIXUP_EACH",
    "NEIGHBORS",
    "VOTERS",
    "Interval",
    "Outcome",
    "Row",
    "measure",
    "measure_all",
    "mixup_of_batches",
    "summarize",
]

NEIGHBORS = 128  # of the dimension, as on the poster
VOTERS = 10
GAMMAS = (1.8, 2.0, 2.4, 2.8, 3.2, 4.0, 5.0, 6.0)
GAMMA, FEW = 2.8, (4, 8)  # of mixtures of few samples
CONFIDENCE = 0.95
MIXUP_EACH, MIXUP_BATCH = "mixup, λ per sample", "mixup, λ per batch"
MEASURES = MixMeasures._fields[2:]


class Row(NamedTuple):
    """What came out for a data set, a method and a seed."""

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
    """What came out for a data set and a method; measures of labels only where there are some."""

    data: str
    method: str
    gamma: float | None
    num_mix: int
    num_seeds: int
    intervals: Mapping[str, Interval]


# --- measuring ------------------------------------------------------------------------------------


def measure_all(
    sources: Sequence[Source], seeds: Sequence[int], gammas: Sequence[float], max_samples: int
) -> list[Row]:
    """Measure all data sets with all seeds, and show how far it is."""
    rows: list[Row] = []
    with progress_bar() as progress:
        steps = [3 + len(gammas) + len(few(source)) for source in sources]
        task = progress.add_task("", total=len(seeds) * sum(steps))
        advance = functools.partial(progress.advance, task)
        for source in sources:
            for seed in seeds:
                progress.update(task, description=f"{source.name}, seed {seed}")
                rows += measure(source, seed, gammas, max_samples, advance)
    return rows


def measure(
    source: Source,
    seed: int,
    gammas: Sequence[float],
    max_samples: int,
    advance: Callable[[], object] = lambda: None,
) -> list[Row]:
    """Measure all methods on the samples of one seed, in the same batches."""
    data = source.samples(seed, max_samples)
    found = gamma_report(
        data.points,
        data.targets if data.num_classes else None,
        gammas=gammas,
        batch_size=BATCH,
        num_classes=data.num_classes,
        n_neighbors=NEIGHBORS,
        oracle=source.oracle,
        seed=seed,
        progress=functools.partial(_told, advance),
    )
    others = [
        measure_one(method, data, source.oracle, seed)
        for method in _told(advance, [mixup_of_batches(), *few(source)])
    ]
    originals, mixup, *mixed = found.rows
    together = [
        (1, originals),
        (2, mixup._replace(name=MIXUP_EACH)),
        (2, others[0]),
        *((found.num_mix, each) for each in mixed),
        *zip(FEW, others[1:], strict=False),
    ]
    return [Row(source.name, seed, len(data), *each) for each in together]


def _told(advance: Callable[[], object], items: Sequence[Any]) -> Iterator[Any]:
    """Yield items, and tell when each has been dealt with."""
    for item in items:
        yield item
        advance()


def few(source: Source) -> list[Method]:
    """Return mixtures of few samples, which are looked at in images."""
    if not source.is_images:
        return []
    return [zeta(GAMMA, size, f"ζ-mixup of {size}, γ = {GAMMA:g}") for size in FEW]


def mixup_of_batches() -> Method:
    """Return mixup as it was published: one λ from Beta(1, 1) for a whole batch."""
    return Method(MIXUP_BATCH, functools.partial(mixup_plan, per_sample=False))


def measure_one(method: Method, data: Dataset, oracle: Oracle | None, seed: int) -> MixMeasures:
    """Measure a method that `gamma_report` does not know, on the batches that it draws."""
    rows = data.points.reshape(len(data), -1)
    plan = epoch_plan(method, len(data), BATCH, (seed,))
    mixed = plan @ rows
    values = {
        "dimension": float(local_intrinsic_dimension(mixed, n_neighbors=NEIGHBORS).mean()),
        "displacement": displacement(rows, mixed),
        "nearest_distance": in_units_of_spread(nearest_distance(rows, mixed) ** 2, rows),
        **realism_diversity(rows, mixed)._asdict(),
    }
    if data.num_classes:
        values |= judge_labels(plan.mix_labels(data.targets, data.num_classes), mixed, data, oracle)
    return MixMeasures(method.name, method.gamma, **values)


def judge_labels(
    labels: np.ndarray, mixed: np.ndarray, data: Dataset, oracle: Oracle | None
) -> dict[str, float]:
    if oracle is None:
        rows, classes = data.points.reshape(len(data), -1), data.targets
        told = neighbor_vote(rows, classes, mixed, n_neighbors=VOTERS, num_classes=data.num_classes)
    else:
        told = oracle(mixed)
    judged = label_richness(labels)._asdict() | label_correctness(labels, told)._asdict()
    return {name: float(np.mean(values)) for name, values in judged.items()}


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
