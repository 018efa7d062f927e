"""The methods side by side, in numbers: measured on digits, and as theory has it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from zetamix import theory
from zetamix.figures.datasets import digits
from zetamix.figures.measures import Measures, measure
from zetamix.figures.methods import BATCH, MIXUP, ORIGINALS, Key, Method, zeta

__all__ = ["Comparison", "compare"]

_METHODS = (ORIGINALS, MIXUP, *(zeta(gamma) for gamma in (1.8, 2.0, 2.4, 2.8, 4.0, 6.0)))
_EPOCHS = 8


@dataclass(frozen=True)
class Comparison:
    """One method's measures, and what they should be."""

    name: str
    measured: Measures
    displacement: float
    dominant_weight: float


def compare(key: Key) -> list[Comparison]:
    """Measure originals, mixup and ζ-mixup at several γ."""
    return [
        Comparison(method.name, measure(digits(), method, key, epochs=_EPOCHS), *_expected(method))
        for method in _METHODS
    ]


def _expected(method: Method) -> tuple[float, float]:
    """Displacement and dominant weight in theory."""
    if method.gamma is not None:
        gamma = method.gamma
        return theory.displacement(gamma, BATCH), theory.dominant_weight(gamma, BATCH)
    # λ is uniform. Two samples are twice the variance apart, and the partner weighs 1 - λ, so the
    # square of the displacement is 2 E(1 - λ)² = 2/3; and max(λ, 1 - λ) is 3/4 in the mean.
    return math.sqrt(2 / 3), 3 / 4
