"""Data to show: digits, and curves that show where mixtures fall."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from sklearn.datasets import load_digits, make_moons

from zetamix import MixPlan
from zetamix_core import permutation
from zetamix_core.adapting import Experiment, Key

__all__ = ["BATCH", "Dataset", "digits", "half_moons", "helix", "two_spirals"]

BATCH = 32


@dataclass(frozen=True)
class Dataset:
    """Samples along the first axis of `points`, with their labels.

    `targets` are classes if `num_classes` is given, else numbers that are mixed as they are.
    """

    name: str
    points: np.ndarray
    targets: np.ndarray
    num_classes: int | None

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, rows: Any) -> Dataset:
        return Dataset(self.name, self.points[rows], self.targets[rows], self.num_classes)

    def shuffled(self, key: Key) -> Dataset:
        """Put the samples into a random order."""
        return self[permutation(len(self), key)]

    def batch(self, first: np.ndarray) -> Dataset:
        """Return a batch that starts with these rows, followed by the first of the others."""
        others = np.delete(np.arange(len(self)), first)
        return self[[*first, *others[: BATCH - len(first)]]]

    def mixed(self, plan: MixPlan) -> tuple[np.ndarray, np.ndarray]:
        """Return points and labels that a plan makes."""
        return plan @ self.points, plan.mix_labels(self.targets, self.num_classes)

    def experiment(self, *keys: Key, **options: Any) -> Experiment:
        """Mix and measure these samples in batches of 32, in an epoch for each key."""
        classes = None if self.num_classes is None else self.targets
        return Experiment(
            self.points,
            classes,
            keys=keys,
            batch_size=BATCH,
            num_classes=self.num_classes,
            **options,
        )


@cache
def digits() -> Dataset:
    """1,797 handwritten digits of 8 × 8 pixels, from 0 for paper to 1 for ink."""
    images, classes = load_digits(return_X_y=True)
    return Dataset("digits", images.reshape(-1, 8, 8) / 16, classes, 10)


def half_moons(seed: int) -> Dataset:
    """512 points on two interleaving half circles."""
    points, classes = make_moons(512, noise=0.04, random_state=seed)
    return Dataset("half-moons", points, classes, 2)


def two_spirals() -> Dataset:
    """8,192 points on two spirals, one of them the other turned by half a turn."""
    # The square root spaces the points evenly along the curve, which grows with the angle.
    angle = 3 * np.pi * np.sqrt(np.linspace(0.02, 1, 4096))
    arm = (angle * np.stack([np.cos(angle), np.sin(angle)])).T
    classes = np.repeat([0, 1], len(arm))
    return Dataset("two spirals", np.concatenate([arm, -arm]), classes, 2)


def helix() -> Dataset:
    """8,192 points on a helix in three dimensions, labelled by the position along it."""
    position = np.linspace(0, 1, 8192)
    angle = 6 * np.pi * position
    points = np.stack([np.cos(angle), np.sin(angle), 3 * position], axis=1)
    return Dataset("helix", points, position, None)
