"""What the command writes: which files it may replace, and how pages and pictures get into them."""

from __future__ import annotations

import io
import stat
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zetamix import __version__
from zetamix_core.adapting import replacing

if TYPE_CHECKING:  # slow to load, and not needed to refuse
    from matplotlib.figure import Figure

__all__ = [
    "PAGES",
    "PICTURES",
    "check_inputs",
    "check_replaced",
    "picture_format",
    "save_page",
    "save_picture",
]

# How files of ours begin, and what else is in them.
PAGES = {b"<!doctype html": b'<meta name="generator" content="zetamix '}
PICTURES = {
    b"\x89PNG": b"Software\0zetamix ",
    b"%PDF": b"/Creator (zetamix ",
    b"<?xml": b"<dc:title>zetamix ",
}
_LARGEST = 1 << 26  # bytes, more than a page or a picture has
# Formats of pictures, and the field that names the program which drew them.
_FIELDS = {"png": "Software", "pdf": "Creator", "svg": "Creator"}


def check_inputs(output: Path, inputs: Iterable[Path]) -> None:
    """Refuse to write to a file that is read, under whatever name."""
    for file in inputs:
        with suppress(FileNotFoundError):
            if output.samefile(file):
                raise ValueError(
                    f"the output must not be the input, got {output}, which is the same file as "
                    f"{file}; choose another name for the output"
                )


def check_replaced(output: Path, kind: Mapping[bytes, bytes]) -> None:
    """Refuse to replace a file that is there, unless it is of this kind and `zetamix` wrote it."""
    with suppress(FileNotFoundError):
        status = output.stat()
        if not stat.S_ISREG(status.st_mode) or status.st_size == 0:
            return
        with open(output, "rb") as file:
            content = file.read(_LARGEST)
        if not any(content.startswith(head) and mark in content for head, mark in kind.items()):
            what = "page" if kind is PAGES else "picture"
            raise ValueError(
                f"an existing file is replaced only if it is a {what} that zetamix wrote, got "
                f"{output}; choose another name for the output, or move that file away"
            )


def picture_format(file: Path) -> str:
    """Return the format that the ending of a file names, PNG without one."""
    ending = file.suffix.lower().removeprefix(".") or "png"
    if ending not in _FIELDS:
        raise ValueError(
            f"the name of a picture must end in .png, .pdf or .svg, got {file}; choose one of these"
        )
    return ending


def save_picture(figure: Figure, file: Path, metadata: Mapping[str, Any] | None = None) -> None:
    """Write a figure to just this file, as a whole or not at all."""
    ending = picture_format(file)
    program = {_FIELDS[ending]: f"zetamix {__version__}"}
    buffer = io.BytesIO()
    figure.savefig(buffer, format=ending, metadata={**program, **(metadata or {})})
    with replacing(file) as stream:
        stream.write(buffer.getbuffer())


def save_page(page: str, file: Path) -> None:
    """Write a page as a whole or not at all."""
    with replacing(file) as stream:
        stream.write(page.encode("utf-8", errors="replace"))  # names of files can be any bytes
