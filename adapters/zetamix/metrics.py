"""The public names of `zetamix_core.metrics`, where users import them from."""

from zetamix_core.metrics import *  # noqa: F403
from zetamix_core.metrics import __all__ as __all__
