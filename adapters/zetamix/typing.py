"""The types of arguments, for annotations of one's own: ``from zetamix.typing import Gamma``.

`Gamma` is what `gamma` takes, `RNG` what `rng` takes, `Donors` what the `donors` of a plan may be;
`SupportsSamples` is an array of any library, which has a shape and a dtype, as samples, labels and
groups are.
"""

from zetamix_core.adapting import RNG, Donors, Gamma, SupportsSamples

__all__ = ["RNG", "Donors", "Gamma", "SupportsSamples"]
