"""Pairs of mixup, as they are shown beside mixtures in which the own sample weighs most."""

from __future__ import annotations

import numpy as np

from zetamix import MixPlan

__all__ = ["heavier_first"]


def heavier_first(plan: MixPlan) -> MixPlan:
    """Let each own sample weigh most: as likely as the reverse, and alike to compare."""
    return MixPlan(plan.indices, -np.sort(-plan.weights, axis=-1), plan.num_samples)
