"""Measures of mixed samples: intrinsic dimension, realism and diversity, labels, and a choice of γ.

They compare mixed samples with the originals, on the array library and the device of the samples.
They are measurements: derivatives are not kept, Dask arrays are computed, and a number that
describes a whole set is a Python number.
"""

from zetamix_core.metrics.dimension import local_intrinsic_dimension
from zetamix_core.metrics.experiment import MixMeasures
from zetamix_core.metrics.label_quality import (
    LabelCorrectness,
    LabelRichness,
    label_correctness,
    label_richness,
    neighbor_vote,
)
from zetamix_core.metrics.neighbors import Neighbors, nearest_neighbors
from zetamix_core.metrics.realism import (
    RealismDiversity,
    displacement,
    nearest_distance,
    realism_diversity,
)
from zetamix_core.metrics.report import GammaReport, gamma_report
from zetamix_core.metrics.suggestion import GammaSuggestion, suggest_gamma

__all__ = [
    "GammaReport",
    "GammaSuggestion",
    "LabelCorrectness",
    "LabelRichness",
    "MixMeasures",
    "Neighbors",
    "RealismDiversity",
    "displacement",
    "gamma_report",
    "label_correctness",
    "label_richness",
    "local_intrinsic_dimension",
    "nearest_distance",
    "nearest_neighbors",
    "neighbor_vote",
    "realism_diversity",
    "suggest_gamma",
]
