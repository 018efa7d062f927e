"""The start of the command `zetamix`: in its own package, which imports nothing at first.

Importing `zetamix` takes a while, in which an interrupt is to end the command in one line, too.
"""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> int:
    """Run the command with the arguments of the process, and return its exit code."""
    try:
        from zetamix.cli import main as command

        return command()
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130
