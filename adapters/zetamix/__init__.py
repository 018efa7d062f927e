"""What users import: the public names of the core; adapters are modules beside this one."""

from zetamix import metrics, rules, theory
from zetamix_core import (
    CutMixPlan,
    MixPlan,
    Plan,
    batches,
    cutmix,
    cutmix_plan,
    dirichlet_plan,
    mix,
    mixed_accuracy,
    mixed_loss,
    mixup,
    mixup_plan,
    zeta_mixup,
    zeta_plan,
    zeta_weights,
)
from zetamix_core import __version__ as __version__

__all__ = [
    "CutMixPlan",
    "MixPlan",
    "Plan",
    "batches",
    "cutmix",
    "cutmix_plan",
    "dirichlet_plan",
    "metrics",
    "mix",
    "mixed_accuracy",
    "mixed_loss",
    "mixup",
    "mixup_plan",
    "rules",
    "theory",
    "zeta_mixup",
    "zeta_plan",
    "zeta_weights",
]
