"""The data of a report: the embedded digits, or the arrays of a file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zetamix.figures.datasets import digits
from zetamix.figures.report.files import read_arrays, read_features
from zetamix_core import permutation
from zetamix_core.adapting import Key

__all__ = ["Samples", "embedded_digits", "read_samples"]

_CHANNELS = (1, 3, 4)
_SMALLEST_SIDE = 4  # of what is taken for an image unasked
_HINTED_SIDE = 8  # from which on the length of a row makes one think of a square image
_DARK = 127  # bytes that go no further have a range of their own
_MOST_CLASSES = 1000  # more distinct labels are taken for numbers to predict
_DOMINATES = 0.9  # share of the variance that one column may have without a warning


@dataclass(frozen=True)
class Samples:
    """The data of a report.

    Attributes
    ----------
    name : str
        Name of the data.
    x : numpy.ndarray, shape (N, height, width, channels) or (N, D)
        Floating samples: images or others.
    labels : numpy.ndarray of shape (N, C), or None
        Weights of classes.
    classes : tuple of str
        Names of the classes, none without labels.
    span : tuple of float
        The values shown as black and as white.
    total : int
        Number of samples in the file, from which these were drawn.
    features : numpy.ndarray of shape (N, D), or None
        What is measured instead of the samples.
    standardized : bool
        Whether columns were scaled to mean 0 and variance 1.
    notes : tuple of str
        What readers should know about the data.
    numbered : bool
        Whether the labels of the file are ones that `zeta_mixup` takes: integers from 0 to C - 1,
        or weights.
    """

    name: str
    x: np.ndarray
    labels: np.ndarray | None
    classes: tuple[str, ...]
    span: tuple[float, float]
    total: int
    features: np.ndarray | None = None
    standardized: bool = False
    notes: tuple[str, ...] = ()
    numbered: bool = True

    @property
    def measured(self) -> np.ndarray:
        """The features if there are some, else the samples."""
        return self.x if self.features is None else self.features

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
    key: Key,
    x_name: str | None = None,
    y_name: str | None = None,
    labelled: bool = True,
    image_shape: Sequence[int] | None = None,
    max_samples: int = 2000,
    features: Path | None = None,
    standardize: bool = False,
) -> Samples:
    """Read samples and labels from a file, and draw a part if there are too many."""
    found = read_arrays(file, x_name, y_name, labelled=labelled)
    x, y = found.x, found.y
    own = None if features is None else read_features(features)
    _check_samples(x, y, own)
    labels, classes = (None, ()) if y is None else _as_labels(y, found.classes)
    numbered = y is None or _are_numbered(y, len(classes))
    total = len(x)
    if total > max_samples:
        chosen = np.sort(permutation(total, key)[:max_samples])
        x, labels = x[chosen], None if labels is None else labels[chosen]
        own = None if own is None else own[chosen]
    span = _span(x)
    shaped = _as_images(_as_floats(x), image_shape)
    own = None if own is None else _as_floats(own).reshape(len(own), -1)
    notes: list[str] = []
    if standardize:
        shaped, own = _standardized_data(shaped, own)
    elif shaped.ndim == 2 or own is not None:
        notes = _dominating(
            shaped if own is None else own, () if own is not None else found.columns
        )
        notes += _shape_hint(shaped)
    return Samples(
        *(file.stem, shaped, labels, classes, span, total),
        features=own,
        standardized=standardize,
        notes=tuple(notes),
        numbered=numbered,
    )


def _as_floats(x: np.ndarray) -> np.ndarray:
    # Single precision holds small integers exactly, and is twice as fast.
    return x.astype(np.float32) if x.dtype.itemsize <= 2 else x


# --- columns --------------------------------------------------------------------------------------


def _standardized_data(
    x: np.ndarray, features: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray | None]:
    if features is not None:
        return x, _standardized(features)
    if x.ndim != 2:
        raise ValueError(
            f"--standardize is for tables, got images of shape {x.shape[1:]}; leave it out"
        )
    return _standardized(x), None


def _standardized(rows: np.ndarray) -> np.ndarray:
    """Return columns of mean 0 and variance 1; constant ones become 0."""
    rows = rows.astype(np.float64)
    scale = np.max(np.abs(rows), axis=0)
    rows = rows / np.where(scale > 0, scale, 1)
    moved = rows - rows.mean(axis=0)
    spread = moved.std(axis=0)
    constant = spread <= 1e-12
    return np.asarray(np.where(constant, 0, moved / np.where(constant, 1, spread)))


def _dominating(rows: np.ndarray, columns: Sequence[str]) -> list[str]:
    """Warn if one column has nearly all of the variance."""
    if rows.shape[1] < 2 or not np.isfinite(rows).all():
        return []
    largest = float(np.max(np.abs(rows))) or 1.0
    variances = (rows / largest).var(axis=0, dtype=np.float64)
    place, whole = int(variances.argmax()), float(variances.sum())
    if whole == 0 or variances[place] < _DOMINATES * whole:
        return []
    name = repr(columns[place]) if columns else f"{place} (counted from 0)"
    return [
        f"Column {name} has {100 * variances[place] / whole:.1f}% of the variance, so distances "
        f"depend almost only on it. Add --standardize to give all columns the same weight."
    ]


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


def _check_samples(x: np.ndarray, y: np.ndarray | None, features: np.ndarray | None) -> None:
    if x.ndim < 1 or x.dtype.kind not in "biuf":
        raise ValueError(
            f"samples must be real numbers along a first axis, got shape {x.shape} and dtype "
            f"{x.dtype}; name another array with --x"
        )
    if x.size == 0:
        raise ValueError(
            f"samples must not be empty, got shape {x.shape}; name another array with --x"
        )
    if y is not None and (y.ndim < 1 or len(y) != len(x)):
        raise ValueError(
            f"samples and labels must have the same length, got shapes {x.shape} and {y.shape}; "
            f"name other arrays with --x and --y, or leave labels out with --no-labels"
        )
    if features is not None and len(features) != len(x):
        raise ValueError(
            f"samples and --features must have the same length, got shapes {x.shape} and "
            f"{features.shape}; save the features of all samples, in their order"
        )


# --- labels ---------------------------------------------------------------------------------------


def _as_labels(y: np.ndarray, names: np.ndarray | None) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return labels as weights of classes, and the names of the classes."""
    if y.dtype.kind not in "biufUS" or (y.dtype.kind == "f" and not np.isfinite(y).all()):
        raise ValueError(
            f"labels must be words or finite real numbers, got dtype {y.dtype}; name other labels "
            f"with --y, or leave labels out with --no-labels"
        )
    if y.ndim == 2 and y.shape[1] > 1 and y.dtype.kind in "biuf":
        return y.astype(np.float64), _names(names, list(map(str, range(y.shape[1]))))
    given, y = y, y.reshape(len(y), -1)
    if y.shape[1] != 1 or (np.issubdtype(y.dtype, np.inexact) and np.any(y != np.rint(y))):
        raise ValueError(
            f"labels must be classes (N,) or weights of classes (N, C), got shape {given.shape} "
            f"and dtype {y.dtype}; name other labels with --y, or leave labels out with --no-labels"
        )
    classes, which = np.unique(y[:, 0], return_inverse=True)
    if len(classes) > _MOST_CLASSES:
        raise ValueError(
            f"labels must have at most {_MOST_CLASSES} classes, got {len(classes)} distinct ones; "
            f"leave labels out with --no-labels"
        )
    found = [f"{name:g}" if isinstance(name, np.floating) else str(name) for name in classes]
    if names is not None and names.ndim == 1 and np.issubdtype(classes.dtype, np.number):
        # Classes that no sample has keep their names from those that come after them.
        found = [str(names[int(c)]) if 0 <= c < names.size else str(c) for c in classes]
    return np.eye(len(classes))[which], tuple(found)


def _are_numbered(y: np.ndarray, num_classes: int) -> bool:
    """Return whether labels are integers from 0 to C - 1, or weights of classes."""
    if y.ndim == 2 and y.shape[1] > 1:
        return True
    return y.dtype.kind in "biu" and int(y.min()) >= 0 and int(y.max()) < num_classes


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
                f"channels, and have the size of a sample, got samples of shape {x.shape[1:]}"
            )
        return x.reshape(len(x), height, width, channels)
    if x.ndim == 3 and min(x.shape[1:]) >= _SMALLEST_SIDE:
        return x[..., None]
    if x.ndim == 4 and x.shape[3] in _CHANNELS and min(x.shape[1:3]) >= _SMALLEST_SIDE:
        return x
    if x.ndim == 4 and x.shape[1] in _CHANNELS and min(x.shape[2:]) >= _SMALLEST_SIDE:
        return np.moveaxis(x, 1, -1)
    return x.reshape(len(x), -1) if x.size else x


def _shape_hint(x: np.ndarray) -> list[str]:
    """Name the option for images if rows are as long as square images, which they may be."""
    if x.ndim != 2:
        return []
    for channels, colours in ((1, ""), (3, " with 3 channels, the last axis")):
        side = math.isqrt(x.shape[1] // channels)
        if side >= _HINTED_SIDE and channels * side**2 == x.shape[1]:
            shape = f"{side},{side}" + f",{channels}" * (channels > 1)
            return [
                f"Rows of {x.shape[1]:,} numbers may be images of {side} × {side} "
                f"pixels{colours}. If they are, add --image-shape {shape} to see them."
            ]
    return []
