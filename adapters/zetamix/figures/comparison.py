"""The methods side by side, in numbers: measured on digits, and expected by theory."""

from __future__ import annotations

import math
from typing import NamedTuple

from zetamix import theory
from zetamix.figures.datasets import BATCH, digits
from zetamix_core.adapting import ORIGINALS, Key, Method, mixup_method, zeta_method

__all__ = ["Compared", "compare"]

_EPOCHS = 8


class Compared(NamedTuple):
    """What a method does to a sample and its label, measured and in theory.

    Distances are from the own sample, and from the one that weighs most.
    """

    name: str
    displacement: float
    expected_displacement: float
    heaviest_displacement: float
    expected_heaviest_displacement: float
    dominant_weight: float
    expected_dominant_weight: float
    effective_classes: float


def compare(key: Key) -> list[Compared]:
    """Measure originals, mixup and ζ-mixup at several γ."""
    keys = [(*key, epoch) for epoch in range(_EPOCHS)]
    experiment = digits().experiment(*keys, drop_last=True)
    rows = []
    for method, (own, heaviest, weight) in _EXPECTED.items():
        mixed = experiment.mix(method)
        measured = mixed.displacement(), own, mixed.distance(), heaviest
        weights = mixed.dominant_weight(), weight
        rows.append(Compared(method.name, *measured, *weights, mixed.richness().effective_classes))
    return rows


def _of_mixup(alpha: float) -> tuple[float, float, float]:
    """Return both distances and the dominant weight of mixup with λ from Beta(α, α).

    Two samples are twice the variance apart, so the squares of the distances are twice the means of
    (1 - λ)² and of min(λ, 1 - λ)². |λ - 1/2| is 2^(-2α) / (α B(α, α)) in the mean.
    """
    variance = 1 / (4 * (2 * alpha + 1))
    beta = math.gamma(alpha) ** 2 / math.gamma(2 * alpha)
    off = 4**-alpha / (alpha * beta)
    own, heaviest = 1 / 4 + variance, 1 / 4 + variance - off
    return math.sqrt(2 * own), math.sqrt(2 * heaviest), 1 / 2 + off


def _of_zeta(gamma: float) -> tuple[float, float, float]:
    moved = theory.displacement(gamma, BATCH)
    return moved, moved, theory.dominant_weight(gamma, BATCH)


_EXPECTED: dict[Method, tuple[float, float, float]] = {
    ORIGINALS: (0.0, 0.0, 1.0),
    mixup_method(name="mixup, α = 1"): _of_mixup(1.0),
    mixup_method(0.2, name="mixup, α = 0.2"): _of_mixup(0.2),
} | {zeta_method(gamma): _of_zeta(gamma) for gamma in (1.8, 2.0, 2.4, 2.8, 4.0, 6.0)}
