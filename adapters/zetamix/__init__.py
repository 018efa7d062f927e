"""What users import: the public names of the core; adapters are modules beside this one."""

from zetamix_core import (
    MixPlan,
    cutmix,
    dirichlet_plan,
    mixup,
    mixup_plan,
    theory,
    zeta_mixup,
    zeta_plan,
    zeta_weights,
)
from zetamix_core import __version__ as __version__

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
