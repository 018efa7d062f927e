"""What mixing does to a data set, measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import entr

from zetamix.cli.datasets import Dataset
from zetamix.cli.methods import Key, Method, Mixture, mixtures

__all__ = ["Measures", "measure"]


@dataclass(frozen=True)
class Measures:
    """Means over many outputs; distances in units of the data's root total variance.

    Attributes
    ----------
    displacement : float
        Root mean square distance from an output to its own sample.
    distance : float
        The same to the sample that weighs most in it, which in mixup may be the partner.
    richness : float
        Effective number of classes in a soft label, the exponential of its entropy.
    dominant_weight : float
        Largest weight in a mixture.
    """

    displacement: float
    distance: float
    richness: float
    dominant_weight: float


def measure(data: Dataset, method: Method, key: Key, *, epochs: int) -> Measures:
    """Mix a data set with classes for some epochs and measure all outputs."""
    total_variance = data.points.var(axis=0, ddof=1).sum()
    means = np.mean(
        [_of_batch(mixture) for mixture in mixtures(data, method, key, epochs=epochs)], axis=0
    )
    displacement, distance = np.sqrt(means[:2] / total_variance)
    return Measures(float(displacement), float(distance), float(means[2]), float(means[3]))


def _of_batch(mixture: Mixture) -> tuple[float, float, float, float]:
    points, weights = mixture.batch.points, mixture.weights
    heaviest = mixture.plan.indices[np.arange(len(weights)), weights.argmax(axis=1)]
    return (
        _mean_square(mixture.points - points),
        _mean_square(mixture.points - points[heaviest]),
        float(np.exp(entr(mixture.labels).sum(axis=1)).mean()),
        float(weights.max(axis=1).mean()),
    )


def _mean_square(steps: np.ndarray) -> float:
    return float(np.square(steps).sum() / len(steps))
