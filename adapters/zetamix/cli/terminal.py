"""What people see on a terminal, and how they are told what was wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import Progress, ProgressColumn

__all__ = ["BadInput", "as_bad_input", "console", "progress"]


class BadInput(click.UsageError):
    """Data or values that are refused, with a remedy of their own."""


@contextmanager
def as_bad_input() -> Iterator[None]:
    """Blame the arguments for what is refused within."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise BadInput(str(error)) from error


def console() -> Console:
    """Print what is given as it is: names of files are no markup, and hold no emoji."""
    return Console(highlight=False, markup=False, emoji=False)


def progress(*columns: str | ProgressColumn) -> Progress:
    """Make a bar on standard error, for people who watch."""
    errors = Console(stderr=True)
    errors.quiet = not errors.is_interactive
    return Progress(*columns, console=errors, transient=True)
