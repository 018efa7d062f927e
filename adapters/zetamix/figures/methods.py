"""What is compared, and how a data set goes through it: in shuffled batches, a plan for each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from zetamix import MixPlan
from zetamix.figures.datasets import Dataset
from zetamix_core.adapting import MIXUP, ORIGINALS, Key, Method, mixup, random_order, zeta

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
    plan = method.draw(len(batch), rng=key)
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
    """Put the samples into a random order."""
    return data[random_order(len(data), key)]
