"""What users import: the public names of the core; adapters are modules beside this one."""

from zetamix_core import (
    MixPlan,
    __version__,
    cutmix,
    dirichlet_plan,
    mixup,
    mixup_plan,
    theory,
    zeta_mixup,
    zeta_plan,
    zeta_weights,
)

__all__ = [
    "MixPlan",
    "cutmix",
    "dirichlet_plan",
    "mixup",
    "mixup_plan",
    "theory",
    "zeta_mixup",
    "zeta_plan",
    "zeta_weights",
]
