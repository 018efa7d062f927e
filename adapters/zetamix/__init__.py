"""What users import: the public names of the core; adapters are modules beside this one."""

from zetamix_core import *  # noqa: F403
from zetamix_core import __all__ as __all__
from zetamix_core import __version__ as __version__

# isort: split
# The same namespaces, as modules that can be imported from.
from zetamix import metrics, rules, theory  # type: ignore[no-redef]  # noqa: F401
