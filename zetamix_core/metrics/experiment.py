"""Mix samples by several methods, in the batches of shuffled epochs, and measure the outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from zetamix_core.arrays import Array, from_host, namespace
from zetamix_core.checks import check_count
from zetamix_core.dtypes import cast, default_float, kind
from zetamix_core.metrics.dimension import local_intrinsic_dimension
from zetamix_core.metrics.label_quality import (
    LabelCorrectness,
    LabelRichness,
    class_weights,
    label_correctness,
    label_richness,
    neighbor_vote,
)
from zetamix_core.metrics.methods import Key, Method, epoch_plan
from zetamix_core.metrics.realism import (
    RealismDiversity,
    in_units_of_spread,
    nearest_distance,
    realism_diversity,
    root_mean_square_step,
)
from zetamix_core.metrics.samples import are_same, as_rows, check_neighbors, normalized
from zetamix_core.plans import MixPlan

__all__ = ["MixMeasures"]

Oracle = Callable[[Array], Array]

_CLOSE, _VOTERS = 5, 10  # neighbours of realism and of the vote, if there are enough samples


class MixMeasures(NamedTuple):
    """Measures of one mixing method: means over the samples of an epoch.

    Parameters
    ----------
    name : str
        The mixing method.
    gamma : float or None
        γ of ζ-mixup.
    dimension : float
        Local intrinsic dimension.
    displacement : float
        Root mean square distance from a sample to its mixed output, in units of the data's root
        total variance.
    nearest_distance : float
        Root mean square distance to the nearest original, in the same units.
    precision, recall, density, coverage : float
        Realism and diversity against the originals; see `realism_diversity`.
    entropy : float or None
        Entropy of the labels in nats; None without labels, as are those below.
    effective_classes : float or None
        Effective number of classes in a label.
    classes_above : float or None
        Number of classes with at least one percent of a label.
    overlap : float or None
        Weight that a label and the oracle give to the same classes.
    same_class : float or None
        Share of labels whose heaviest class is that of the oracle.
    heaviest_displacement : float
        Root mean square distance to the sample that weighs most, in the units of `displacement`.
        In mixup that is the partner half of the time, in ζ-mixup always the sample itself.

    Examples
    --------
    >>> import numpy as np
    >>> from zetamix.metrics import gamma_report
    >>> x = np.random.default_rng(0).normal(size=(200, 3))
    >>> [row.name for row in gamma_report(x, gammas=(2.8, 4)).rows]
    ['originals', 'mixup', 'ζ-mixup, γ = 2.8', 'ζ-mixup, γ = 4']
    """

    name: str
    gamma: float | None
    dimension: float
    displacement: float
    nearest_distance: float
    precision: float
    recall: float
    density: float
    coverage: float
    entropy: float | None = None
    effective_classes: float | None = None
    classes_above: float | None = None
    overlap: float | None = None
    same_class: float | None = None
    heaviest_displacement: float = 0.0


class Experiment:
    """What all methods share: the data, the batches, and how outputs are measured.

    Parameters
    ----------
    x : array, shape (N, ...)
        Samples, real and finite.
    y : array, shape (N,) or (N, C), optional
        Their labels, classes or weights of classes.
    keys : iterable of tuple of int
        Seeds, each of an epoch.
    batch_size : int
        Number of samples in a batch.
    drop_last : bool, default False
        Whether to leave out a shorter last batch.
    num_classes : int, optional
        Number of classes; required for integer labels.
    n_neighbors, estimator : int, str
        How the dimension is measured; see `local_intrinsic_dimension`.
    oracle : callable, optional
        Judges the labels of samples like `x`; by default the nearest originals vote.
    """

    def __init__(
        self,
        x: Array,
        y: Array | None = None,
        *,
        keys: Iterable[Key],
        batch_size: int,
        drop_last: bool = False,
        num_classes: int | None = None,
        n_neighbors: int = 128,
        estimator: str = "lpca",
        oracle: Oracle | None = None,
    ) -> None:
        self.given = as_rows("x", x)
        self.num_samples: int = self.given.shape[0]
        check_neighbors(n_neighbors, self.num_samples, 3 if estimator == "twonn" else 2)
        _, (rows,) = normalized(self.given)
        self.rows = namespace(rows).where(are_same(self.given), 0.0, rows)
        self.labels = None if y is None else class_weights(x, y, num_classes)
        self.shape = tuple(x.shape[1:])
        self.oracle = _check_oracle(oracle, y)
        self.batch_size, self.drop_last = check_count("batch_size", batch_size), drop_last
        self.n_neighbors, self.estimator = n_neighbors, estimator
        self.keys = tuple(keys)

    def mix(self, method: Method) -> Mixed:
        """Mix the samples in all epochs."""
        n, size = self.num_samples, self.batch_size
        plans = [epoch_plan(method, n, size, key, drop_last=self.drop_last) for key in self.keys]
        indices = np.concatenate([plan.indices for plan in plans])
        weights = np.concatenate([plan.weights for plan in plans])
        return Mixed(self, MixPlan(indices, weights, n))

    def measure(self, method: Method) -> MixMeasures:
        """Mix the samples, and measure everything that a report shows."""
        mixed = self.mix(method)
        has_labels = self.labels is not None
        found = MixMeasures(
            method.name,
            method.gamma,
            mixed.dimension(),
            mixed.displacement(),
            mixed.nearest_distance(),
            *mixed.realism_diversity(),
            *((*mixed.richness(), *mixed.correctness()) if has_labels else ()),
        )
        return found._replace(heaviest_displacement=mixed.distance())


class Mixed:
    """The mixed samples of an experiment, and their measures, each computed on demand."""

    def __init__(self, experiment: Experiment, plan: MixPlan) -> None:
        self.experiment, self.plan = experiment, plan
        self.rows = plan @ experiment.rows
        self.labels = None if experiment.labels is None else plan @ experiment.labels
        self.anchors = from_host(plan.indices[:, 0], self.rows)

    def dimension(self) -> float:
        """Return the local intrinsic dimension."""
        options = self.experiment
        return _mean(
            local_intrinsic_dimension(
                self.rows, n_neighbors=options.n_neighbors, method=options.estimator
            )
        )

    def displacement(self) -> float:
        """Return the root mean square distance from an output to its own sample."""
        return self._distance_from(self.anchors)

    def distance(self) -> float:
        """Return the distance to the sample that weighs most, in mixup perhaps the partner."""
        heaviest = self.plan.weights.argmax(axis=1)[:, None]
        samples = np.take_along_axis(self.plan.indices, heaviest, axis=1)[:, 0]
        return self._distance_from(from_host(samples, self.rows))

    def nearest_distance(self) -> float:
        """Return the distance to the nearest sample."""
        rows = self.experiment.rows
        return in_units_of_spread(nearest_distance(rows, self.rows), rows)

    def realism_diversity(self) -> RealismDiversity:
        """Compare the outputs with the samples."""
        k = min(_CLOSE, self.experiment.num_samples - 1)
        return realism_diversity(self.experiment.rows, self.rows, n_neighbors=k)

    def dominant_weight(self) -> float:
        """Return the largest weight in a mixture."""
        return _mean(self.plan.weights.max(axis=1))

    def richness(self) -> LabelRichness:
        """Measure how rich the labels are."""
        return LabelRichness(*map(_mean, label_richness(self.labels)))

    def correctness(self) -> LabelCorrectness:
        """Compare the labels with the oracle, or with a vote of the samples other than its own."""
        experiment = self.experiment
        if experiment.oracle is None:
            rows, labels, k = experiment.rows, experiment.labels, experiment.num_samples - 1
            told = neighbor_vote(
                rows, labels, self.rows, n_neighbors=min(_VOTERS, k), anchors=self.anchors
            )
        else:  # an oracle expects samples in their own units
            samples = self.plan @ experiment.given
            told = experiment.oracle(
                namespace(samples).reshape(samples, (samples.shape[0], *experiment.shape))
            )
        return LabelCorrectness(*map(_mean, label_correctness(self.labels, told)))

    def _distance_from(self, samples: Array) -> float:
        rows = self.experiment.rows
        starts = namespace(rows).take(rows, samples, axis=0)
        return root_mean_square_step(rows, self.rows, starts)


def _mean(values: Array) -> float:
    """Return the mean as a Python number."""
    values = values if kind(values) == "floating" else cast(values, default_float(values))
    return float(namespace(values).mean(values))


def _check_oracle(oracle: Any, y: Array | None) -> Oracle | None:
    if oracle is not None and (y is None or not callable(oracle)):
        what = "without y, whose labels it would judge" if y is None else repr(oracle)
        raise TypeError(
            f"oracle must be a function that judges the labels y, got one {what}; pass for "
            f"instance the predict_proba of a classifier, and y"
        )
    return oracle  # type: ignore[no-any-return]
