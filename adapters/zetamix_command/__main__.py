"""Run the command as ``python -m zetamix_command``."""

import sys

from zetamix_command import main

sys.exit(main())
