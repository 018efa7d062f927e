"""Pairs of mixup, in the form that is shown next to ζ-mixup."""

from __future__ import annotations

import numpy as np

from zetamix import MixPlan

__all__ = ["heavier_first"]


def heavier_first(plan: MixPlan) -> MixPlan:
    """Swap weights so that each own sample weighs most, which is as likely as the reverse."""
    return MixPlan(plan.indices, -np.sort(-plan.weights, axis=-1), plan.num_samples)
