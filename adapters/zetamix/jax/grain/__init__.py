"""Mixing in Grain pipelines, of batches and across data sets; the modules that import Grain."""

from zetamix.jax.grain.dataset import MixedDataset
from zetamix.jax.grain.transforms import Mix, ZetaMixup

__all__ = ["Mix", "MixedDataset", "ZetaMixup"]
