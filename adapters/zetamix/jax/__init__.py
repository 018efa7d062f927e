"""ζ-mixup, mixup and CutMix for JAX: key first, pytrees in, pytrees out."""

from zetamix.jax.functions import cutmix, mix, mixup, zeta_mixup
from zetamix_core import MixPlan, mixed_accuracy, mixed_loss

__all__ = [
    "MixPlan",
    "cutmix",
    "mix",
    "mixed_accuracy",
    "mixed_loss",
    "mixup",
    "zeta_mixup",
]
