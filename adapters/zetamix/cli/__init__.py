"""The command `zetamix`: pictures and numbers of ζ-mixup, without writing code.

Nothing that the extra installs is imported before `main` has seen that it is there.
"""

from __future__ import annotations

import importlib.util
import io
import re
import sys
from collections.abc import Sequence

__all__ = ["main"]

_EXTRA = ("PIL", "click", "jinja2", "matplotlib", "rich", "sklearn")
# As in shells: for a command that a signal ended, 128 plus the number of the signal.
_FAULT, _BAD_INPUT, _INTERRUPTED, _PIPE_CLOSED = 1, 2, 130, 141
_BAD_PATHS = (
    FileNotFoundError,
    NotADirectoryError,
    IsADirectoryError,
    FileExistsError,
    PermissionError,
)


def main(args: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    args : sequence of str, optional
        Arguments; those of the process by default.

    Returns
    -------
    int
        The exit code: 0 for success; 2 after one line on standard error about bad arguments or
        data; 1 after one line about a fault of the machine, such as a full disk; 130 if
        interrupted; 141 if the reader of the output has closed it.

    Examples
    --------
    >>> from zetamix.cli import main
    >>> main(["theory", "--help"])  # doctest: +ELLIPSIS
    Usage: zetamix theory [OPTIONS]
    ...
    0
    """
    try:
        _replace_what_cannot_be_encoded()
        if missing := [name for name in _EXTRA if not _is_installed(name)]:
            remedy = 'the zetamix command needs its extra: pip install "zetamix[cli]"'
            return _refuse(f"{remedy} (missing: {', '.join(missing)})", _FAULT)
        return _run(args)
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return _INTERRUPTED


def _run(args: Sequence[str] | None) -> int:
    import click

    from zetamix.cli.app import app
    from zetamix.cli.terminal import BadInput

    try:
        # The commands return nothing; an early exit, as from --help, returns its code.
        words = list(sys.argv[1:] if args is None else args)
        return int(app.main(words, prog_name="zetamix", standalone_mode=False, obj=words) or 0)
    except SystemExit:  # how click and rich end where the output has been closed
        return _PIPE_CLOSED
    except click.Abort:  # what click makes of Ctrl-C
        return _INTERRUPTED
    except click.UsageError as error:
        hint = ""
        if error.ctx is not None and not isinstance(error, BadInput):
            hint = f" Try '{error.ctx.command_path} --help'."
        return _refuse(error.format_message() + hint)
    except click.ClickException as error:
        return _refuse(error.format_message(), error.exit_code)
    except BrokenPipeError:
        return _PIPE_CLOSED
    except OSError as error:
        return _refuse(_reason(error), _BAD_INPUT if isinstance(error, _BAD_PATHS) else _FAULT)
    except MemoryError:
        return _refuse("there is not enough memory; use fewer samples (--max-samples)", _FAULT)


def _reason(error: OSError) -> str:
    reason = error.strerror or str(error)
    return reason if error.filename is None else f"{error.filename}: {reason}"


def _refuse(message: str, code: int = _BAD_INPUT) -> int:
    print("Error:", re.sub(r"\s*\n\s*", " ", message), file=sys.stderr)
    return code


def _is_installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ImportError:  # what an import hook that forbids a module raises
        return False


def _replace_what_cannot_be_encoded() -> None:
    """Let terminals and pipes that know no Greek show a question mark instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
