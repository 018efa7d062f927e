"""The public names of `zetamix_core.theory`, where users import them from."""

from zetamix_core.theory import *  # noqa: F403
from zetamix_core.theory import __all__ as __all__
