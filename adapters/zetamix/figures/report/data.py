"""The data of a report: the embedded digits, or the arrays of a file."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zetamix.figures.datasets import digits
from zetamix_core import permutation
from zetamix_core.adapting import X_NAMES, Y_NAMES, Key, check_claim, chosen_name

__all__ = ["Samples", "embedded_digits", "read_samples"]

_CHANNELS = (1, 3, 4)
_SMALLEST_SIDE = 4  # of what is taken for an image unasked
_DARK = 127  # bytes that go no further have a range of their own
_MOST_CLASSES = 1000  # more distinct labels are taken for numbers to predict


@dataclass(frozen=True)
class Samples:
    """What is reported on.

    Attributes
    ----------
    name : str
        Name of the data.
    x : numpy.ndarray, shape (N, height, width, channels) or (N, D)
        Floating samples: images, or whatever else.
    labels : numpy.ndarray of shape (N, C), or None
        Weights of classes.
    classes : tuple of str
        Names of the classes, none without labels.
    span : tuple of float
        The values shown as black and as white.
    total : int
        Number of samples in the file, of which these were drawn.
    """

    name: str
    x: np.ndarray
    labels: np.ndarray | None
    classes: tuple[str, ...]
    span: tuple[float, float]
    total: int

    @property
    def are_images(self) -> bool:
        """Whether the samples can be looked at."""
        return self.x.ndim == 4

    def as_bytes(self, images: np.ndarray) -> np.ndarray:
        """Return images with 8 bits a channel."""
        low, high = self.span
        scaled = 255 * (images - low) / (high - low or 1)
        return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)


def embedded_digits() -> Samples:
    """Return the handwritten digits that come with scikit-learn."""
    data = digits()
    names = tuple(map(str, range(10)))
    images, labels = data.points[..., None], np.eye(10)[data.targets]
    return Samples("handwritten digits", images, labels, names, (0, 1), len(images))


def read_samples(
    file: Path,
    *,
    x_name: str | None,
    y_name: str | None,
    labelled: bool,
    image_shape: Sequence[int] | None,
    max_samples: int,
    key: Key,
) -> Samples:
    """Read samples and labels from an .npz file, and draw some if there are too many."""
    x, y, names = _read(file, x_name, y_name, labelled=labelled)
    _check_samples(x, y)
    labels, classes = (None, ()) if y is None else _as_labels(y, names)
    total = len(x)
    if total > max_samples:
        chosen = np.sort(permutation(total, key)[:max_samples])
        x, labels = x[chosen], None if labels is None else labels[chosen]
    span = _span(x)
    if x.dtype.itemsize <= 2:
        x = x.astype(np.float32)  # which holds them exactly, and is twice as fast as float64
    return Samples(file.stem, _as_images(x, image_shape), labels, classes, span, total)


def _span(x: np.ndarray) -> tuple[float, float]:
    """Return the values to show as black and as white, of which few samples are beyond."""
    if x.dtype == np.uint8 and np.max(x) > _DARK:
        return 0.0, 255.0
    shown = x[np.isfinite(x)].astype(np.float64)
    if shown.size == 0:
        return 0.0, 1.0  # what is not finite is refused where it is measured
    low, high = np.quantile(shown, (0.001, 0.999))
    if not low < high:
        low, high = np.min(shown), np.max(shown)
    return float(low), float(high)


# --- the file -------------------------------------------------------------------------------------


def _read(
    file: Path, x_name: str | None, y_name: str | None, *, labelled: bool
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
    with open(file, "rb") as stream:
        try:
            arrays = np.load(stream, allow_pickle=False)
        except (ValueError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(f"{file} is no .npz file of NumPy; make one by numpy.savez") from error
        if not isinstance(arrays, np.lib.npyio.NpzFile):
            raise ValueError(f"{file} holds a single array; save samples and labels by numpy.savez")
        x = _named(arrays, file, "x", x_name, X_NAMES)
        if x is None:
            raise ValueError(
                f"{file} has no array of samples, named {', '.join(X_NAMES)}; it has "
                f"{', '.join(arrays) or 'none at all'}: name one of them with --x"
            )
        y = _named(arrays, file, "y", y_name, Y_NAMES) if labelled else None
        return x, y, _named(arrays, file, "class names", None, ("class_names",))


def _named(
    arrays: Any, file: Path, what: str, asked: str | None, names: Sequence[str]
) -> np.ndarray | None:
    name = chosen_name(file, arrays, asked, names)
    if name is None:
        return None
    try:
        check_claim(arrays.zip, name)
        return np.asarray(arrays[name])
    except Exception as error:  # broken files raise whatever they may
        memory = isinstance(error, MemoryError)
        remedy = "fewer samples" if memory else "it again, as an array of numbers"
        raise ValueError(
            f"the array {name!r} of {file}, for {what}, can't be read: {error}; save {remedy}, by "
            f"numpy.savez"
        ) from error


def _check_samples(x: np.ndarray, y: np.ndarray | None) -> None:
    if x.ndim < 1 or x.size == 0 or x.dtype.kind not in "biuf":
        raise ValueError(
            f"samples must be real numbers along a first axis, got shape {x.shape} and dtype "
            f"{x.dtype}; name another array with --x"
        )
    if y is not None and (y.ndim < 1 or len(y) != len(x)):
        raise ValueError(
            f"samples and labels must be as many, got shapes {x.shape} and {y.shape}; name others "
            f"with --x and --y, or leave labels out with --no-labels"
        )


# --- labels ---------------------------------------------------------------------------------------


def _as_labels(y: np.ndarray, names: np.ndarray | None) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return labels as weights of classes, and the names of the classes."""
    if y.dtype.kind not in "biufUS" or (y.dtype.kind == "f" and not np.isfinite(y).all()):
        raise ValueError(
            f"labels must be words or finite real numbers, got dtype {y.dtype}; name others with "
            f"--y, or leave labels out with --no-labels"
        )
    if y.ndim == 2 and y.shape[1] > 1 and y.dtype.kind in "biuf":
        return y.astype(np.float64), _names(names, list(map(str, range(y.shape[1]))))
    y = y.reshape(len(y), -1)
    if y.shape[1] != 1 or (np.issubdtype(y.dtype, np.inexact) and np.any(y != np.rint(y))):
        raise ValueError(
            f"labels must be classes (N,) or weights of classes (N, C), got shape {y.shape} and "
            f"dtype {y.dtype}; name others with --y, or leave labels out with --no-labels"
        )
    classes, which = np.unique(y[:, 0], return_inverse=True)
    if len(classes) > _MOST_CLASSES:
        raise ValueError(
            f"labels must be of at most {_MOST_CLASSES} classes, got {len(classes)} distinct ones; "
            f"leave labels out with --no-labels"
        )
    found = [f"{name:g}" if isinstance(name, np.floating) else str(name) for name in classes]
    if names is not None and names.ndim == 1 and np.issubdtype(classes.dtype, np.number):
        # Classes that no sample has keep their names from those that come after them.
        found = [str(names[int(c)]) if 0 <= c < names.size else str(c) for c in classes]
    return np.eye(len(classes))[which], tuple(found)


def _names(given: np.ndarray | None, default: list[str]) -> tuple[str, ...]:
    fits = given is not None and given.shape == (len(default),)
    return tuple(map(str, given)) if fits and given is not None else tuple(default)


# --- images ---------------------------------------------------------------------------------------


def _as_images(x: np.ndarray, shape: Sequence[int] | None) -> np.ndarray:
    """Return samples as (N, height, width, channels) if they are images, else as (N, D)."""
    if shape is not None:
        height, width, channels = (*shape, 1)[:3]
        if min(shape) < 1 or math.prod(shape) * len(x) != x.size or channels not in _CHANNELS:
            raise ValueError(
                f"--image-shape {','.join(map(str, shape))} must be height, width and 1, 3 or 4 "
                f"channels, with as many numbers as a sample, which has shape {x.shape[1:]}"
            )
        return x.reshape(len(x), height, width, channels)
    if x.ndim == 3 and min(x.shape[1:]) >= _SMALLEST_SIDE:
        return x[..., None]
    if x.ndim == 4 and x.shape[3] in _CHANNELS and min(x.shape[1:3]) >= _SMALLEST_SIDE:
        return x
    if x.ndim == 4 and x.shape[1] in _CHANNELS and min(x.shape[2:]) >= _SMALLEST_SIDE:
        return np.moveaxis(x, 1, -1)
    return x.reshape(len(x), -1) if x.size else x
