"""What users import: the public names of the core. Adapters are modules next to this one."""

from zetamix_core import *  # noqa: F403
from zetamix_core import __all__ as __all__
from zetamix_core import __version__ as __version__

# isort: split
# The same namespaces, as modules of this package that can be imported from. Not `from zetamix
# import metrics`, which would find the one of the core that is here already.
import zetamix.metrics as metrics  # type: ignore[no-redef]  # noqa: F401
import zetamix.rules as rules  # type: ignore[no-redef]  # noqa: F401
import zetamix.theory as theory  # type: ignore[no-redef]  # noqa: F401
