"""Readers of image data sets: each knows one layout, and says what it looked for if it differs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from classification.dataset import Dataset
from classification.readers.arrays import arrays, digits
from classification.readers.cifar import cifar10, cifar100
from classification.readers.dermofit import dermofit
from classification.readers.folders import image_folder
from classification.readers.images import Refusal
from classification.readers.isic import isic2016, isic2017, isic2018

__all__ = ["READERS", "read"]

# Those of arrays know the size of their images; the others are told one.
_SIZED: Mapping[str, Callable[[Path, int], Dataset]] = {
    "isic2016": isic2016,
    "isic2017": isic2017,
    "isic2018": isic2018,
    "dermofit": dermofit,
    "folder": image_folder,
}
_WHOLE: Mapping[str, Callable[[Path], Dataset]] = {
    "arrays": arrays,
    "cifar10": cifar10,
    "cifar100": cifar100,
}
READERS = ("digits", *_WHOLE, *_SIZED)


def read(source: Mapping[str, Any], folder: Path) -> Dataset:
    """Read what an experiment names: its reader, a path within `folder`, pixels where it asks."""
    options = dict(source)
    reader = options.pop("reader", None)
    if reader not in READERS:
        raise click.UsageError(f"a reader is one of {', '.join(READERS)}, got {reader!r}")
    wanted = {"path", "pixels"} if reader in _SIZED else {"path"} if reader in _WHOLE else set()
    if set(options) != wanted:
        raise click.UsageError(
            f"the reader {reader} takes {sorted(wanted) or 'no options'}, got {sorted(options)}"
        )
    if reader == "digits":
        return digits()
    path = folder / options["path"]
    if not path.exists():
        raise Refusal(
            f"looked for {options['path']} in {folder}, which is not there; give its folder as "
            f"--data FOLDER"
        )
    return _WHOLE[reader](path) if reader in _WHOLE else _SIZED[reader](path, options["pixels"])
