"""The mixing methods to compare, and the plan that each draws for an epoch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from zetamix_core.plans import MixPlan
from zetamix_core.random import permutation
from zetamix_core.rules import Mixup, Zeta
from zetamix_core.rules.base import Rule, drawn

Key = tuple[int, ...]


@dataclass(frozen=True)
class Method:
    """A rule with its name, and its γ and T if it has one."""

    name: str
    rule: Rule
    gamma: float | None = None
    num_mix: int | None = None

    def draw(self, n: int, *, rng: Any) -> MixPlan:
        """Draw the plan of a batch."""
        plan = drawn(self.rule, (n,), rng, None)
        assert isinstance(plan, MixPlan)  # boxes are not measured
        return plan


def zeta_method(gamma: float, num_mix: int | None = None, name: str | None = None) -> Method:
    """ζ-mixup of T samples of a batch, or of all."""
    rule = Zeta(gamma=gamma, num_mix=num_mix)
    return Method(name or f"ζ-mixup, γ = {gamma:.12g}", rule, gamma, num_mix)


def mixup_method(alpha: float = 1.0, *, per_sample: bool = True, name: str = "mixup") -> Method:
    """mixup, with a λ from Beta(α, α) for each sample, or for a whole batch."""
    return Method(name, Mixup(alpha=alpha, per_sample=per_sample), num_mix=2)


ORIGINALS = Method("originals", Zeta(num_mix=1), num_mix=1)
MIXUP = mixup_method()


def shuffled_plan(
    method: Method, n: int, batch_size: int, key: Key, *, drop_last: bool = False
) -> MixPlan:
    """Draw the plans of all batches of a shuffled epoch, as one plan, in the order of the batches.

    All methods see the same batches at the same key, and ζ-mixup the same orderings at each γ.
    """
    order = permutation(n, key)[: n - n % batch_size if drop_last else n]
    batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    plans = [method.draw(len(batch), rng=(*key, step)) for step, batch in enumerate(batches)]
    num_mix = max(plan.num_mix for plan in plans)
    indices = np.repeat(order[:, None], num_mix, axis=1)
    weights = np.zeros(indices.shape)
    for step, (batch, plan) in enumerate(zip(batches, plans, strict=True)):
        outputs = slice(step * batch_size, step * batch_size + len(batch))
        # A shorter last batch has fewer ranks; the others have no weight.
        indices[outputs, : plan.num_mix] = batch[plan.indices]
        weights[outputs, : plan.num_mix] = plan.weights
    return MixPlan(indices, weights, n)


def epoch_plan(
    method: Method, n: int, batch_size: int, key: Key, *, drop_last: bool = False
) -> MixPlan:
    """Draw the same plan, with its outputs in the order of their anchors."""
    plan = shuffled_plan(method, n, batch_size, key, drop_last=drop_last)
    order = np.argsort(plan.indices[:, 0])
    return MixPlan(plan.indices[order], plan.weights[order], n)
