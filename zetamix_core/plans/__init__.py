"""Plans, which say which samples make up each output, and the functions that draw them."""

from zetamix_core.plans.base import Plan
from zetamix_core.plans.boxes import cutmix_plan
from zetamix_core.plans.cutmix import CutMixPlan
from zetamix_core.plans.drawing import dirichlet_plan, mixup_plan, zeta_plan
from zetamix_core.plans.mix import MixPlan

__all__ = [
    "CutMixPlan",
    "MixPlan",
    "Plan",
    "cutmix_plan",
    "dirichlet_plan",
    "mixup_plan",
    "zeta_plan",
]
