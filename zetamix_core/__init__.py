"""ζ-mixup for every array library: plans, weights, theory and mixing, written once."""

from zetamix_core import metrics, rules, theory
from zetamix_core.epochs import batches
from zetamix_core.functions import cutmix, mix, mixup, zeta_mixup
from zetamix_core.losses import mixed_accuracy, mixed_loss
from zetamix_core.oversampling import oversample
from zetamix_core.plans import (
    CutMixPlan,
    MixPlan,
    Plan,
    cutmix_plan,
    dirichlet_plan,
    mixup_plan,
    zeta_plan,
)
from zetamix_core.random import key_of, permutation
from zetamix_core.weights import zeta_weights

__all__ = [
    "CutMixPlan",
    "MixPlan",
    "Plan",
    "batches",
    "cutmix",
    "cutmix_plan",
    "dirichlet_plan",
    "key_of",
    "metrics",
    "mix",
    "mixed_accuracy",
    "mixed_loss",
    "mixup",
    "mixup_plan",
    "oversample",
    "permutation",
    "rules",
    "theory",
    "zeta_mixup",
    "zeta_plan",
    "zeta_weights",
]
__version__ = "0.1.0"
