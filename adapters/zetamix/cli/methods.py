"""What is compared, and how a data set goes through it: in shuffled batches, a plan for each."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from zetamix import MixPlan, mixup_plan, zeta_plan
from zetamix.cli.datasets import Dataset

__all__ = [
    "BATCH",
    "MIXUP",
    "ORIGINALS",
    "Key",
    "Method",
    "Mixture",
    "mix",
    "mixtures",
    "mixup",
    "shuffled",
    "zeta",
]

BATCH = 32

Key = tuple[int, ...]


@dataclass(frozen=True)
class Method:
    """A way to draw plans, with its γ if it has one."""

    name: str
    draw: Callable[[int, Key], MixPlan]
    gamma: float | None = None


def zeta(gamma: float, name: str | None = None) -> Method:
    """ζ-mixup of whole batches."""
    return Method(
        name or f"ζ-mixup, γ = {gamma:g}",
        lambda n, rng: zeta_plan(n, gamma=gamma, rng=rng),
        gamma,
    )


def mixup(alpha: float) -> Method:
    """mixup, with a λ from Beta(α, α) for each sample."""
    return Method("mixup", lambda n, rng: mixup_plan(n, alpha=alpha, rng=rng))


ORIGINALS = zeta(math.inf, "originals")
MIXUP = mixup(1.0)


@dataclass(frozen=True)
class Mixture:
    """A batch, the plan drawn for it, and what came out."""

    batch: Dataset
    plan: MixPlan
    points: np.ndarray
    labels: np.ndarray

    @property
    def weights(self) -> np.ndarray:
        """Weights of the samples of each output, in the order of the plan's indices."""
        return np.broadcast_to(self.plan.weights, self.plan.indices.shape)


def mix(batch: Dataset, method: Method, key: Key) -> Mixture:
    """Mix one batch and its labels by one plan."""
    plan = method.draw(len(batch), key)
    labels = plan.mix_labels(batch.targets, batch.num_classes)
    return Mixture(batch, plan, plan @ batch.points, labels)


def mixtures(data: Dataset, method: Method, key: Key, *, epochs: int = 1) -> Iterator[Mixture]:
    """Mix the data set in shuffled batches of 32; a shorter last batch is left out.

    All methods see the same batches at the same key.
    """
    for epoch in range(epochs):
        samples = shuffled(data, (*key, epoch))
        for step in range(len(data) // BATCH):
            batch = samples[step * BATCH : (step + 1) * BATCH]
            yield mix(batch, method, (*key, epoch, step))


def shuffled(data: Dataset, key: Key) -> Dataset:
    """Put the samples into a random order.

    A free ordering of all samples is one, and unlike NumPy's it is the same on every release.
    """
    return data[zeta_plan(len(data), num_outputs=1, anchored=False, rng=key).indices[0]]
