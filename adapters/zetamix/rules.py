"""The public names of `zetamix_core.rules`, where users import them from."""

from zetamix_core.rules import *  # noqa: F403
from zetamix_core.rules import __all__ as __all__
