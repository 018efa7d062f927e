"""The types of arguments, for your own annotations: ``from zetamix.typing import Gamma``.

`Gamma` is the type of `gamma`, `RNG` that of `rng`, and `Donors` that of the `donors` of a plan.
`SupportsSamples` is an array of any library with a shape and a dtype, as for samples, labels and
groups.
"""

from zetamix_core.adapting import RNG, Donors, Gamma, SupportsSamples

__all__ = ["RNG", "Donors", "Gamma", "SupportsSamples"]
