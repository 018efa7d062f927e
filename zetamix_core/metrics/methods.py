"""What is compared: ways to draw plans, and the plan that one of them makes of an epoch."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from zetamix_core.plans.drawing import mixup_plan, zeta_plan
from zetamix_core.plans.mix import MixPlan

Key = tuple[int, ...]


@dataclass(frozen=True)
class Method:
    """A way to draw plans, ``draw(n, rng=key)``, with its γ if it has one."""

    name: str
    draw: Callable[..., MixPlan]
    gamma: float | None = None


def zeta(gamma: float, num_mix: int | None = None, name: str | None = None) -> Method:
    """ζ-mixup of T samples of a batch, or of all."""

    def draw(n: int, *, rng: Any) -> MixPlan:
        return zeta_plan(n, gamma=gamma, num_mix=min(num_mix or n, n), rng=rng)

    return Method(name or f"ζ-mixup, γ = {gamma:.12g}", draw, gamma)


def mixup(alpha: float) -> Method:
    """mixup, with a λ from Beta(α, α) for each sample."""
    return Method("mixup", functools.partial(mixup_plan, alpha=alpha))


ORIGINALS = zeta(math.inf, name="originals")
MIXUP = mixup(1.0)


def random_order(n: int, key: Key) -> np.ndarray:
    """Return n samples in a random order, the same on every release."""
    return np.asarray(zeta_plan(n, num_outputs=1, anchored=False, rng=key).indices[0])


def epoch_plan(method: Method, n: int, batch_size: int, key: Key) -> MixPlan:
    """Draw the plans of all batches of a shuffled epoch, as one plan for the samples in order.

    All methods see the same batches at the same key, and ζ-mixup the same orderings at each γ.
    """
    order = random_order(n, key)
    starts = range(0, n, batch_size)
    plans = [
        method.draw(min(batch_size, n - start), rng=(*key, step))
        for step, start in enumerate(starts)
    ]
    num_mix = max(plan.num_mix for plan in plans)
    indices = np.repeat(np.arange(n)[:, None], num_mix, axis=1)
    weights = np.zeros((n, num_mix))
    for start, plan in zip(starts, plans, strict=True):
        batch = order[start : start + batch_size]
        # A shorter last batch has fewer ranks; the others weigh nothing.
        indices[batch, : plan.num_mix] = batch[plan.indices]
        weights[batch, : plan.num_mix] = plan.weights
    return MixPlan(indices, weights, n)
