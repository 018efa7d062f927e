"""What mixing does to a data set, measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from zetamix import metrics
from zetamix.figures.datasets import Dataset
from zetamix.figures.methods import Key, Method, Mixture, mixtures
from zetamix_core.adapting import in_units_of_spread

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
    outputs = list(mixtures(data, method, key, epochs=epochs))
    originals = data.points.reshape(len(data), -1)
    own = np.concatenate([_steps(mixture, mixture.batch.points) for mixture in outputs])
    near = np.concatenate([_steps(mixture, _heaviest(mixture)) for mixture in outputs])
    labels = np.concatenate([mixture.labels for mixture in outputs])
    weights = np.concatenate([mixture.weights for mixture in outputs])
    return Measures(
        displacement=in_units_of_spread(own, originals),
        distance=in_units_of_spread(near, originals),
        richness=float(metrics.label_richness(labels).effective_classes.mean()),
        dominant_weight=float(weights.max(axis=1).mean()),
    )


def _steps(mixture: Mixture, points: np.ndarray) -> np.ndarray:
    """Return the distance from each point to the output."""
    steps = (mixture.points - points).reshape(len(points), -1)
    return np.asarray(np.linalg.norm(steps, axis=1))


def _heaviest(mixture: Mixture) -> np.ndarray:
    """Return the sample that weighs most in each output."""
    heaviest = mixture.weights.argmax(axis=1)
    return np.asarray(
        mixture.batch.points[mixture.plan.indices[np.arange(len(heaviest)), heaviest]]
    )
