"""ζ-mixup for arrays larger than memory, by Dask: shuffled as a whole, mixed in batches."""

from zetamix.dask.functions import mix, shuffled, zeta_mixup

__all__ = ["mix", "shuffled", "zeta_mixup"]
