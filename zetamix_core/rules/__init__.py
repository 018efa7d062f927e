"""Rules: how the plan of a batch is drawn, as values that every entry point takes."""

from zetamix_core.rules.averaging import Dirichlet, Mixup, Zeta
from zetamix_core.rules.base import Rule
from zetamix_core.rules.cutmix import CutMix
from zetamix_core.rules.one_of import OneOf

__all__ = ["CutMix", "Dirichlet", "Mixup", "OneOf", "Rule", "Zeta"]
