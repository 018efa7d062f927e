"""Mixing in PyTorch pipelines: modules for batches, a collate function for loaders, losses."""

from zetamix.torch.collate import Collate, ZetaMixupCollate
from zetamix.torch.mix import Mix
from zetamix.torch.one_of import OneOf
from zetamix.torch.transforms import CutMix, Mixup, ZetaMixup
from zetamix_core import mixed_accuracy, mixed_loss

__all__ = [
    "Collate",
    "CutMix",
    "Mix",
    "Mixup",
    "OneOf",
    "ZetaMixup",
    "ZetaMixupCollate",
    "mixed_accuracy",
    "mixed_loss",
]
