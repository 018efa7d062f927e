"""What each γ does to your own data, and which one to use."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from zetamix_core.arrays import Array, is_array, to_host
from zetamix_core.checks import check_gamma, check_num_mix_of_batches, check_number
from zetamix_core.keywords import random_by
from zetamix_core.metrics.experiment import Experiment, MixMeasures
from zetamix_core.metrics.methods import MIXUP, ORIGINALS, Method, zeta_method
from zetamix_core.metrics.samples import distinct_rows
from zetamix_core.random.seeds import checked_part

__all__ = ["GammaReport", "gamma_report"]

Progress = Callable[[Sequence[Any]], Iterable[Any]]

_GAMMAS = (1.0, 1.4, 1.8, 2.0, 2.4, 2.8, 3.2, 4.0, 5.0, 6.0)
_ROUNDING = 1e-12
_COMPARED = ("dimension", "precision", "recall")
_REPEATED = (
    "Some rows repeat; where a row has more than five copies, the originals' own precision and "
    "recall are below 1."
)


@dataclass(frozen=True)
class GammaReport:
    """What `gamma_report` returns; printed, it is a table.

    Parameters
    ----------
    rows : tuple of MixMeasures
        The originals, mixup, and ζ-mixup at each γ in ascending order.
    suggested_gamma : float or None
        The smallest γ from which on the dimension stays within the tolerance of the originals', and
        precision and recall are not below theirs by more than that; None if there is none.
    reason : str
        Why this γ is suggested, or none.
    num_samples, batch_size, num_mix, n_neighbors : int
        What was mixed, and how many neighbours the measures used.
    tolerance : float
        Allowed relative deviation.

    Attributes
    ----------
    originals : MixMeasures
        Measures of the originals; 1 less their `overlap` is the oracle's own error.

    Examples
    --------
    >>> import numpy as np
    >>> from zetamix.metrics import gamma_report
    >>> x = np.random.default_rng(0).normal(size=(200, 3))
    >>> report = gamma_report(x, gammas=(2.8, 4, 6))
    >>> report.originals.dimension
    3.0
    """

    rows: tuple[MixMeasures, ...]
    suggested_gamma: float | None
    reason: str
    num_samples: int
    batch_size: int
    num_mix: int
    n_neighbors: int
    tolerance: float

    @property
    def originals(self) -> MixMeasures:
        """Measures of the originals; 1 less their `overlap` is the oracle's own error."""
        return self.rows[0]

    def __str__(self) -> str:
        heads = (
            "",
            "dimension",
            "from own",
            "heaviest",
            "precision",
            "recall",
            "density",
            "coverage",
        )
        lines = [[*heads, *(("classes", "overlap") if self._has_labels else ())]]
        for row in self.rows:
            moved = (row.displacement, row.heaviest_displacement)
            values = (*moved, row.precision, row.recall, row.density, row.coverage)
            cells = [row.name, f"{row.dimension:.2f}", *(f"{value:.3f}" for value in values)]
            if row.effective_classes is not None and row.overlap is not None:
                cells += [f"{row.effective_classes:.2f}", f"{row.overlap:.3f}"]
            lines.append(cells)
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        table = [
            "  ".join([cells[0].ljust(widths[0]), *map(str.rjust, cells[1:], widths[1:])]).rstrip()
            for cells in lines
        ]
        return "\n".join([*table, self.reason])

    @property
    def _has_labels(self) -> bool:
        return self.originals.overlap is not None


@random_by("seed")
def gamma_report(
    x: Array,
    y: Array | None = None,
    *,
    gammas: Sequence[float] | None = None,
    num_mix: int | None = None,
    batch_size: int = 32,
    num_classes: int | None = None,
    n_neighbors: int = 128,
    method: str = "lpca",
    tolerance: float = 0.1,
    oracle: Callable[[Array], Array] | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> GammaReport:
    r"""Measure what ζ-mixup does to the data at each γ, compared with mixup, and suggest a γ.

    Each mixing method goes through one epoch of the same shuffled batches. The suggestion is the
    smallest γ of the grid from which on

    .. math:: |d(\gamma) - d_\mathrm{originals}| \le \mathrm{tolerance} \cdot d_\mathrm{originals},
        \quad m(\gamma) \ge (1 - \mathrm{tolerance}) \, m_\mathrm{originals}

    for the mean local intrinsic dimension d, and for precision and recall m: the richest labels and
    the most new samples that leave the shape of the data as it is.

    Parameters
    ----------
    x : array, shape (N, ...)
        Samples, real and finite. Dask arrays are computed.
    y : array, shape (N,) or (N, C), optional
        Labels: classes, one-hot or soft, of the library and device of `x`. Leave regression targets
        out.
    gammas : sequence of float, optional
        The grid of γ; by default from 1 to 6, wider than the range that the paper searches, 1.8
        to 6.
    num_mix : int, optional
        T, the number of samples in a mixture, up to `batch_size`; whole batches by default.
    batch_size : int, default 32
        Number of samples in a batch; the last batch may be shorter.
    num_classes : int, optional
        Number of classes; required for integer labels.
    n_neighbors : int, default 128
        Number of neighbours for the dimension, at least 2 and less than N.
    method : str, default "lpca"
        Estimator of the dimension; see `local_intrinsic_dimension`.
    tolerance : float, default 0.1
        Allowed relative deviation.
    oracle : callable, optional
        ``oracle(samples)`` returns probabilities (N, C) of samples like `x`, for instance those of
        a classifier. By default the 10 nearest originals vote, except the anchor of a sample.
    seed : int, default 0
        The same seed gives the same report.
    progress : callable, optional
        Shows progress through a sequence while yielding its items, as ``tqdm.tqdm`` and
        ``rich.progress.track`` do.

    Returns
    -------
    GammaReport
        Measures of the originals, of mixup and of ζ-mixup at each γ, and the suggestion.

    Raises
    ------
    ValueError
        If an argument is out of range, there are too few samples, or some are NaN or infinite.
    TypeError
        If an argument has the wrong type.

    See Also
    --------
    local_intrinsic_dimension, realism_diversity, label_richness, label_correctness

    Notes
    -----
    Precision and recall use 5 neighbours. mixup draws λ uniformly, one for each sample. Time grows
    with the square of the number of samples, and for the dimension also with the number of
    features; a few thousand samples, drawn at random, are enough.

    The neighbourhood of a row with more than five copies is empty, so the originals' own precision
    and recall are below 1; `reason` says so where rows repeat.

    References
    ----------
    Abhishek, Brown, Hamarneh, "Multi-sample ζ-mixup: richer, more realistic synthetic samples from
    a p-series interpolant", Journal of Big Data 11:43 (2024).

    Examples
    --------
    >>> import numpy as np
    >>> from zetamix.metrics import gamma_report
    >>> angle = np.linspace(0, 6 * np.pi, 2000)
    >>> helix = np.stack([np.cos(angle), np.sin(angle), angle / 10], axis=1)
    >>> report = gamma_report(helix, gammas=(2.0, 6.0, 8.0), n_neighbors=32)
    >>> [round(row.dimension, 1) for row in report.rows]
    [1.0, 3.0, 3.0, 1.0, 1.0]
    >>> report.suggested_gamma
    8.0
    """
    experiment = Experiment(
        x,
        y,
        keys=[(checked_part("seed", seed, 128),)],
        batch_size=batch_size,
        num_classes=num_classes,
        n_neighbors=n_neighbors,
        estimator=method,
        oracle=oracle,
    )
    ways = _ways_to_mix(_GAMMAS if gammas is None else gammas, num_mix, batch_size)
    _check_tolerance(tolerance)
    measures = tuple(map(experiment.measure, (progress or iter)(ways)))
    rows, n = to_host(experiment.given), experiment.num_samples
    repeated = len(distinct_rows(rows, np.arange(n), n)[0]) < n
    suggested, reason = _suggest(measures, tolerance, repeated=repeated)
    return GammaReport(
        measures,
        suggested,
        reason,
        num_samples=experiment.num_samples,
        batch_size=batch_size,
        num_mix=min(num_mix or batch_size, experiment.num_samples),
        n_neighbors=n_neighbors,
        tolerance=tolerance,
    )


# --- the suggestion -------------------------------------------------------------------------------


def _suggest(
    rows: Sequence[MixMeasures], tolerance: float, *, repeated: bool = False
) -> tuple[float | None, str]:
    """Return the smallest γ from which on mixed samples resemble the originals, and why."""
    original, mixup, *mixed = rows
    blind = [name for name in _COMPARED if not 0 < getattr(original, name) < math.inf]
    note = f" {_REPEATED}" if repeated else ""
    if blind:
        said = " and ".join(f"{name} {getattr(original, name):g}" for name in blind)
        return None, (
            f"No γ is suggested: the originals have {said}, to which nothing can be compared. They "
            f"may be copies of each other, or all equally far apart.{note}"
        )
    failed = [_failed(row, original, tolerance) for row in mixed]
    near = f"within {100 * tolerance:g}%"
    if failed[-1]:
        return None, (
            f"No γ is suggested: even at the largest, {mixed[-1].gamma:.12g}, {failed[-1]} not "
            f"{near} of the originals'. Try a larger γ.{note}"
        )
    first = len(failed)
    while first and not failed[first - 1]:
        first -= 1
    row = mixed[first]
    below = f"; at {mixed[first - 1].gamma:.12g}, {failed[first - 1]} not" if first else ""
    why = below or ", and the smallest of all"
    return row.gamma, (
        f"Try γ = {row.gamma:.12g}: the smallest value tried from which on intrinsic dimension, "
        f"precision and recall stay {near} of the originals' or are better{why}. The dimension is "
        f"{row.dimension:.3g} there, that of the originals {original.dimension:.3g}, and with "
        f"mixup it is {mixup.dimension:.3g}.{note}"
    )


def _failed(row: MixMeasures, original: MixMeasures, tolerance: float) -> str:
    """Return the measures that are off by more than the tolerance, in words."""
    off = [
        f"{name} {getattr(row, name):.3g}"
        for name in _COMPARED
        if _is_off(name, getattr(row, name) / getattr(original, name) - 1, tolerance + _ROUNDING)
    ]
    return " and ".join(off) + (" are" if len(off) > 1 else " is") if off else ""


def _is_off(name: str, change: float, tolerance: float) -> bool:
    """Return whether a measure has changed for the worse; the dimension can do so both ways."""
    return (abs(change) if name == "dimension" else -change) > tolerance


# --- checks ---------------------------------------------------------------------------------------


def _ways_to_mix(gammas: Sequence[float], num_mix: int | None, batch_size: int) -> list[Method]:
    check_num_mix_of_batches(num_mix, batch_size)
    if not isinstance(gammas, Iterable):
        raise TypeError(f"gammas must be a sequence of numbers, got {gammas!r}; pass ({gammas},)")
    numbers = [check_gamma(gamma) for gamma in gammas]
    if any(is_array(gamma) for gamma in numbers):
        raise TypeError(f"gammas must be numbers, got {gammas!r}; convert them by float()")
    grid = sorted(set(numbers))
    if not grid:
        raise ValueError("gammas must not be empty; omit it for the default grid")
    return [ORIGINALS, MIXUP, *(zeta_method(gamma, num_mix) for gamma in grid)]


def _check_tolerance(tolerance: Any) -> None:
    rule, remedy = "a relative deviation of 0 or more", "0.1 allows ten percent"
    check_number("tolerance", tolerance, (0, sys.float_info.max), rule=rule, remedy=remedy)
