"""Mixing in PyTorch: modules for batches, mixing in loaders and across data sets, and losses."""

from zetamix.torch.collate import Collate, ZetaMixupCollate
from zetamix.torch.dataset import MixedDataset
from zetamix.torch.mix import Mix
from zetamix.torch.one_of import OneOf
from zetamix.torch.transforms import CutMix, Mixup, ZetaMixup
from zetamix_core import mixed_accuracy, mixed_loss

__all__ = [
    "Collate",
    "CutMix",
    "Mix",
    "MixedDataset",
    "Mixup",
    "OneOf",
    "ZetaMixup",
    "ZetaMixupCollate",
    "mixed_accuracy",
    "mixed_loss",
]
