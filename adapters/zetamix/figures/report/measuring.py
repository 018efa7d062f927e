"""All numbers of a report: measures at each γ, those of each class, and the γ to try."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from zetamix import metrics, theory
from zetamix.figures.report.data import Samples
from zetamix_core.adapting import Experiment, epoch_plan, mixup_method, zeta_method

__all__ = ["Advice", "ClassRow", "Findings", "forecast", "measure"]

_LOWEST = 1.73  # that `suggest_gamma` gives
_NEIGHBORS = 128  # that the dimension is estimated from, if there are so many samples
MILD = mixup_method(0.2, name="mixup, α = 0.2")
# Seconds on two cores for the spectrum of a neighbourhood, and to compare two numbers.
_SPECTRUM, _COMPARISON = 9e-4, 5.5e-10
_LONG = 40  # seconds from which on people are told beforehand


@dataclass(frozen=True)
class ClassRow:
    """What was measured on one class."""

    name: str
    count: int
    dimension: float
    overlap: float
    most_mixed_with: str
    gamma: float | None


@dataclass(frozen=True)
class Advice:
    """The γ to try: a sentence, where it comes from, and a line of code."""

    gamma: float
    sentence: str
    source: str
    code: str
    if_not: str


@dataclass(frozen=True)
class Findings:
    """The numbers of a page."""

    report: metrics.GammaReport
    mild: metrics.MixMeasures
    suggestion: metrics.GammaSuggestion | None
    advice: Advice
    start: int
    classes: tuple[ClassRow, ...]
    notes: tuple[str, ...]

    @property
    def rows(self) -> tuple[metrics.MixMeasures, ...]:
        """Measures of the originals, of mixup with both α, and of ζ-mixup at each γ."""
        originals, mixup, *zetas = self.report.rows
        return (originals, mixup._replace(name="mixup, α = 1"), self.mild, *zetas)


def measure(
    data: Samples, *, seed: int, n_neighbors: int | None = None, **options: Any
) -> Findings:
    """Measure what `gamma_report` does with these options, and what the page adds."""
    n_neighbors = checked_neighbors(n_neighbors, len(data.x))
    options["n_neighbors"] = n_neighbors
    report = metrics.gamma_report(data.measured, data.labels, seed=seed, **options)
    experiment = Experiment(
        data.measured,
        data.labels,
        keys=[(seed,)],
        batch_size=report.batch_size,
        n_neighbors=n_neighbors,
    )
    suggestion = _suggestion(data, report.num_mix, seed)
    advice = _advise(data, report, suggestion)
    report = _with_advised(report, experiment, advice.gamma)
    start = [row.gamma for row in report.rows[2:]].index(advice.gamma)
    classes = _each_class(data, report, suggestion, advice.gamma, seed)
    notes = (*data.notes, *_repeated(data.measured))
    return Findings(report, experiment.measure(MILD), suggestion, advice, start, classes, notes)


def forecast(data: Samples, gammas: Sequence[float] | None = None) -> str | None:
    """Say how long the measures will take, if that is long."""
    n, num_features = len(data.x), data.measured[0].size
    num_methods = 4 + (10 if gammas is None else len(gammas))
    of_sample = min(1, num_features / _NEIGHBORS) ** 2 * _SPECTRUM + n * num_features * _COMPARISON
    seconds = num_methods * n * of_sample
    if seconds < _LONG:
        return None
    minutes = max(1, round(seconds / 60))
    return (
        f"Measuring {n:,} samples of {num_features:,} numbers takes about {minutes} "
        f"minute{'s' * (minutes > 1)} on two cores; --max-samples {max(n // 4, 7)} is faster."
    )


def _with_advised(
    report: metrics.GammaReport, experiment: Experiment, gamma: float
) -> metrics.GammaReport:
    """Measure the γ to try as well, so that the slider and paper show what the page advises."""
    if any(row.gamma == gamma for row in report.rows):
        return report
    originals, mixup, *zetas = report.rows
    zetas.append(experiment.measure(zeta_method(gamma, report.num_mix)))
    zetas.sort(key=lambda row: row.gamma or 0)
    return replace(report, rows=(originals, mixup, *zetas))


def checked_neighbors(n_neighbors: int | None, n: int) -> int:
    """Return the number of neighbours: 128, or half the samples if there are few."""
    if n_neighbors is None:
        return _NEIGHBORS if n > _NEIGHBORS else max(2, n // 2)
    if not 2 <= n_neighbors < n:
        raise ValueError(
            f"--neighbors must be at least 2 and less than the number of samples, got "
            f"{n_neighbors} for {n} samples; pass a number up to {n - 1}, or more samples"
        )
    return n_neighbors


def _repeated(x: np.ndarray) -> list[str]:
    """Warn about duplicate rows, and say how they affect the measures."""
    rows = np.ascontiguousarray(x.reshape(len(x), -1)) + 0.0  # -0.0 is 0.0
    copies = len(rows) - len({row.tobytes() for row in rows})
    if not copies:
        return []
    return [
        f"{copies:,} of {len(rows):,} samples duplicate another one. Neighbourhoods of copies are "
        f"small or empty, so the originals' own precision, recall, density and coverage may be "
        f"below 1, and those of mixed samples above theirs."
    ]


def _suggestion(data: Samples, num_mix: int, seed: int) -> metrics.GammaSuggestion | None:
    """Ask for the γ of the neighbours; there is none of few or equal samples."""
    try:
        return metrics.suggest_gamma(
            data.measured, _classes(data), num_mix=max(2, num_mix), rng=(seed, 1)
        )
    except ValueError:
        return None


def _classes(data: Samples) -> np.ndarray | None:
    return None if data.labels is None else data.labels.argmax(axis=1)


# --- the advice -----------------------------------------------------------------------------------


def _advise(
    data: Samples, report: metrics.GammaReport, suggestion: metrics.GammaSuggestion | None
) -> Advice:
    """Take the larger of the two suggestions, and say which it is."""
    near = None if suggestion is None else math.ceil(10 * suggestion.gamma - 1e-9) / 10
    found = report.suggested_gamma
    if found is not None and (near is None or found >= near):
        gamma, source, sentence = found, _BY_MEASURES, _of_measures(data, report, found)
    elif found is not None and near is not None:
        gamma, source, sentence = near, _BY_NEIGHBORS, _of_neighbors(near, found, suggestion)
    else:
        largest = report.rows[-1].gamma or 0
        gamma = max(largest, near or 0)
        source, sentence = _BY_NONE, _of_none(report, gamma)
    return Advice(gamma, sentence, source, _code(data, report, gamma), _if_not(report, gamma))


_BY_MEASURES = (
    "This is the larger of two suggestions: the one from dimension, precision and recall of mixed "
    "samples (gamma_report)"
)
_BY_NEIGHBORS = (
    "This is the larger of two suggestions: the one from the distances between neighbours "
    "(suggest_gamma)"
)
_BY_NONE = "Neither method found a safe γ (gamma_report and suggest_gamma)"


def _of_measures(data: Samples, report: metrics.GammaReport, gamma: float) -> str:
    original, mixup = report.originals, report.rows[1]
    row = next(row for row in report.rows if row.gamma == gamma)
    kind = data.name.split()[-1] if data.name == "handwritten digits" else "samples"
    like = "digits" if kind == "digits" else "the originals"
    return (
        f"Try γ = {gamma:.12g}: the smallest at which mixed {kind} still look like {like} "
        f"(dimension {row.dimension:.1f}, originals {original.dimension:.1f}, mixup "
        f"{mixup.dimension:.1f})."
    )


def _of_neighbors(gamma: float, found: float, suggestion: metrics.GammaSuggestion | None) -> str:
    if suggestion is not None and suggestion.gamma == _LOWEST:
        return (
            f"Try γ = {gamma:.12g}: just above the bound where the own sample begins to "
            f"outweigh all others together. Dimension, precision and recall alone would allow γ = "
            f"{found:.12g}, and neighbours are far apart."
        )
    return (
        f"Try γ = {gamma:.12g}: the smallest at which a mixed sample is no farther from its own "
        f"sample than that sample's neighbours. Dimension, precision and recall alone would allow "
        f"γ = {found:.12g}."
    )


def _of_none(report: metrics.GammaReport, gamma: float) -> str:
    original = report.originals
    if not all(0 < v < math.inf for v in (original.dimension, original.precision, original.recall)):
        return report.reason
    return (
        f"Mix with care: up to γ = {report.rows[-1].gamma:.12g} mixed samples do not look like "
        f"the originals. If you mix, try γ = {gamma:.12g} or more."
    )


def _code(data: Samples, report: metrics.GammaReport, gamma: float) -> str:
    num_mix = report.num_mix
    if num_mix == min(report.batch_size, report.num_samples) and num_mix > 2:
        # All of a batch: as many as weigh anything.
        num_mix = min(num_mix, max(2, theory.num_mix_for_tail(0.01, gamma, num_mix)))
    if not data.classes:
        return f"mixed, _ = zetamix.zeta_mixup(x, gamma={gamma:.12g}, num_mix={num_mix})"
    y = "y" if data.numbered else "numpy.unique(y, return_inverse=True)[1]"
    return (
        f"mixed, soft = zetamix.zeta_mixup(x, {y}, gamma={gamma:.12g}, num_mix={num_mix}, "
        f"num_classes={len(data.classes)})"
    )


def _if_not(report: metrics.GammaReport, gamma: float) -> str:
    larger = max(gamma + 1.2, 4.0)
    return (
        f"If it does not help on validation data: try a larger γ, such as {larger:.2g}, or mix "
        f"only half of the batches (p=0.5 in a module). If many labels are wrong, try a smaller "
        f"γ, such as 1.8. With plenty of clean data, or a model that hardly overfits, mixing may "
        f"not help at all."
    )


# --- classes --------------------------------------------------------------------------------------


def _each_class(
    data: Samples,
    report: metrics.GammaReport,
    suggestion: metrics.GammaSuggestion | None,
    gamma: float,
    seed: int,
) -> tuple[ClassRow, ...]:
    """Measure each class separately, at the γ that the slider starts at."""
    own = _classes(data)
    if own is None or data.labels is None:
        return ()
    x = data.measured.reshape(len(data.measured), -1)
    dimension = metrics.local_intrinsic_dimension(x, n_neighbors=report.n_neighbors, method="lpca")
    voters = min(10, len(x) - 1)
    vote = metrics.neighbor_vote(x, data.labels, n_neighbors=voters)
    method = zeta_method(gamma, report.num_mix)
    plan = epoch_plan(method, len(x), report.batch_size, (seed,))
    said = metrics.neighbor_vote(
        x, data.labels, plan @ x, n_neighbors=voters, anchors=np.arange(len(x))
    )
    overlap = metrics.label_correctness(plan @ data.labels, said).overlap
    rows = []
    for place, name in enumerate(data.classes):
        of_class = own == place
        if not of_class.any():
            rows.append(ClassRow(name, 0, math.nan, math.nan, "", None))
            continue
        others = vote[of_class].mean(axis=0)
        others[place] = 0
        most = data.classes[int(others.argmax())] if others.max() > 0 else ""
        each = None if suggestion is None else (suggestion.per_class or {}).get(place)
        means = [float(np.mean(values[of_class])) for values in (dimension, overlap)]
        rows.append(ClassRow(name, int(of_class.sum()), means[0], means[1], most, each))
    return tuple(rows)
