"""What a choice of γ and T means, in numbers, before any sample is mixed.

Everything here follows from the weights ``w_r = r^-γ / H_T(γ)``, where
``H_T(γ) = Σ_{j=1..T} j^-γ`` is the T-truncated zeta function. Arguments and results are plain
Python numbers, accurate to about 1e-14 relative for batches from one sample to infinity.
"""

from zetamix_core.theory.concentration import (
    displacement,
    dominant_weight,
    effective_num_samples,
    tail_weight,
    truncated_zeta,
)
from zetamix_core.theory.counts import log_num_orderings, num_orderings
from zetamix_core.theory.inverses import (
    dominance_threshold,
    gamma_for_displacement,
    gamma_for_dominant_weight,
    mixup_gamma,
    mixup_lambda,
    num_mix_for_tail,
)

__all__ = [
    "displacement",
    "dominance_threshold",
    "dominant_weight",
    "effective_num_samples",
    "gamma_for_displacement",
    "gamma_for_dominant_weight",
    "log_num_orderings",
    "mixup_gamma",
    "mixup_lambda",
    "num_mix_for_tail",
    "num_orderings",
    "tail_weight",
    "truncated_zeta",
]
