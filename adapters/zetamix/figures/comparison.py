"""The methods side by side, in numbers: measured on digits, and as theory has it."""

from __future__ import annotations

import math
from typing import NamedTuple

from zetamix import theory
from zetamix.figures.datasets import BATCH, digits
from zetamix_core.adapting import MIXUP, ORIGINALS, Key, zeta_method

__all__ = ["Compared", "compare"]

_EPOCHS = 8
# Displacement and dominant weight in theory.
_EXPECTED = {
    ORIGINALS: (0.0, 1.0),
    # λ is uniform. Two samples are twice the variance apart, and the partner weighs 1 - λ, so the
    # square of the displacement is 2 E(1 - λ)² = 2/3; and max(λ, 1 - λ) is 3/4 in the mean.
    MIXUP: (math.sqrt(2 / 3), 3 / 4),
} | {
    zeta_method(gamma): (theory.displacement(gamma, BATCH), theory.dominant_weight(gamma, BATCH))
    for gamma in (1.8, 2.0, 2.4, 2.8, 4.0, 6.0)
}


class Compared(NamedTuple):
    """What a method does to displacement and dominant weight, and should do; and to labels."""

    name: str
    displacement: float
    expected_displacement: float
    dominant_weight: float
    expected_dominant_weight: float
    effective_classes: float


def compare(key: Key) -> list[Compared]:
    """Measure originals, mixup and ζ-mixup at several γ."""
    keys = [(*key, epoch) for epoch in range(_EPOCHS)]
    experiment = digits().experiment(*keys, drop_last=True)
    rows = []
    for method, (displacement, weight) in _EXPECTED.items():
        mixed = experiment.mix(method)
        measured = mixed.displacement(), displacement, mixed.dominant_weight(), weight
        rows.append(Compared(method.name, *measured, mixed.richness().effective_classes))
    return rows
