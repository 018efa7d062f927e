"""Image files made into arrays, and how readers refuse a folder of another layout."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np
from harness import progress_bar
from PIL import Image, ImageOps

from classification.dataset import Part

__all__ = ["Refusal", "absent", "decode", "find", "image_files", "read_part", "subfolders"]

_SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})
_LISTED = 8  # names in a message


class Refusal(click.ClickException):
    """Data that cannot be read; the message says what was expected, and where."""

    exit_code = 2


# --- files and folders ----------------------------------------------------------------------------


def absent(wanted: str, folder: Path, remedy: str) -> Refusal:
    """Make the refusal of a folder that lacks something."""
    return Refusal(f"looked for {wanted} in {folder}; found {_listing(folder)}; {remedy}")


def _listing(folder: Path) -> str:
    if not folder.is_dir():
        return "a file" if folder.exists() else "no such folder"
    names = sorted(path.name for path in folder.iterdir())
    if not names:
        return "nothing"
    more = [f"{len(names) - _LISTED} more"] if len(names) > _LISTED else []
    return ", ".join([*names[:_LISTED], *more])


def find(folder: Path, names: Sequence[str], remedy: str) -> Path:
    """Return the first path of these names that exists within the folder."""
    for name in names:
        if (folder / name).exists():
            return folder / name
    raise absent(" or ".join(names), folder, remedy)


def image_files(folder: Path) -> list[Path]:
    """Return the images directly in a folder, sorted by name."""
    return sorted(path for path in _visible(folder) if path.suffix.lower() in _SUFFIXES)


def subfolders(folder: Path) -> list[Path]:
    return sorted(path for path in _visible(folder) if path.is_dir())


def _visible(folder: Path) -> list[Path]:
    # macOS leaves hidden files named like the images, and folders such as __MACOSX, in archives.
    return [path for path in folder.iterdir() if not path.name.startswith((".", "__"))]


# --- pixels ---------------------------------------------------------------------------------------


def read_part(
    paths: Sequence[Path],
    labels: Sequence[int],
    size: int,
    description: str,
    groups: Sequence[str] | None = None,
) -> Part:
    """Decode the images of one part; `description` stands beside the progress bar."""
    return Part(
        decode(paths, size, description),
        np.asarray(labels, dtype=np.int64),
        None if groups is None else np.asarray(groups, dtype=np.str_),
    )


def decode(paths: Sequence[Path], size: int, description: str) -> np.ndarray:
    """Return the centre square of each image, scaled to uint8 (n, size, size, 3)."""
    if size < 1:
        raise Refusal(f"the size of images must be at least 1 pixel, got {size}")
    images = np.empty((len(paths), size, size, 3), dtype=np.uint8)
    with progress_bar() as bar:
        for index, path in enumerate(bar.track(paths, description=description)):
            images[index] = _decoded(path, size)
    return images


def _decoded(path: Path, size: int) -> np.ndarray:
    try:
        with Image.open(path) as image:
            if image.mode.startswith(("I", "F")):
                raise Refusal(
                    f"{path}: images must have 8 bits per channel, got mode {image.mode}; convert "
                    f"it to 8 bits"
                )
            image.draft("RGB", (2 * size, 2 * size))  # JPEG decodes a large picture small
            return _centre_square(ImageOps.exif_transpose(image).convert("RGB"), size)
    # Pillow reports a damaged PNG as a SyntaxError.
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise Refusal(
            f"{path} must be a readable image, got: {error}; download or unpack it again"
        ) from error


def _centre_square(image: Image.Image, size: int) -> np.ndarray:
    side = min(image.size)
    left, top = ((length - side) / 2 for length in image.size)
    return np.asarray(
        image.resize(
            (size, size),
            Image.Resampling.BICUBIC,
            box=(left, top, left + side, top + side),
            reducing_gap=3.0,
        )
    )
