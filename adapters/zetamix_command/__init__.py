"""What the command `zetamix` starts with: so little that Ctrl-C is heard while NumPy is loaded.

Importing `zetamix.cli` loads NumPy and SciPy before `main` there can listen.
"""

from __future__ import annotations

import os
import signal
from types import FrameType

__all__ = ["main"]

_INTERRUPTED = 130


def main() -> int:
    """Run the command with the arguments of the process.

    Returns
    -------
    int
        The exit code, as `zetamix.cli.main` describes it.

    Examples
    --------
    >>> from zetamix_command import main
    >>> main()  # doctest: +SKIP
    0
    """
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:  # not where a shell has the signal ignored
        signal.signal(signal.SIGINT, _stop)
    from zetamix.cli import main as run

    signal.signal(signal.SIGINT, before)
    return run()


def _stop(number: int, frame: FrameType | None) -> None:
    """End at once: an exception could be caught or reworded by the module that is loaded."""
    os.write(2, b"Interrupted.\n")
    os._exit(_INTERRUPTED)
