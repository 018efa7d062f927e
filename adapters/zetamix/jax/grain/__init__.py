"""Mixing in Grain's pipelines, of batches and across data sets; what imports Grain."""

from zetamix.jax.grain.dataset import MixedDataset
from zetamix.jax.grain.transforms import Mix, ZetaMixup

__all__ = ["Mix", "MixedDataset", "ZetaMixup"]
