"""Run the command as ``python -m zetamix.cli``."""

import sys

from zetamix.cli import main

sys.exit(main())
