"""The data of the poster, and oracles for their labels; not a program itself.

``python benchmarks/poster.py`` measures on half-moons, spirals, a helix, digits, and files.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from scipy.spatial import KDTree
from sklearn.datasets import make_moons
from zetamix.cli.outputs import check_inputs
from zetamix.figures.datasets import Dataset, digits, half_moons, helix, two_spirals

__all__ = ["Oracle", "Refusal", "Source", "bundled", "image_file", "nearest_curve", "refuse_input"]

Oracle = Callable[[np.ndarray], np.ndarray]

_ARRAYS = (("x_train", "y_train"), ("x", "y"), ("images", "labels"))
_SUBSET = 1 << 20  # a key of draws, which the batches of no epoch reach
_CURVE_POINTS = 1 << 16  # of each class


class Refusal(click.ClickException):
    """Data that cannot be measured; one line says why."""

    exit_code = 2


@dataclass(frozen=True)
class Source:
    """A data set, how a seed sees it, and who knows the classes of what is mixed.

    `oracle` is None where neighbours vote, and where there are no classes; `class_names` are for
    pictures.
    """

    name: str
    draw: Callable[[int], Dataset]
    oracle: Oracle | None = None
    class_names: Sequence[str] = ()
    is_ink: bool = False  # images are dark where they are 1

    @property
    def is_images(self) -> bool:
        return self.draw(0).points.ndim > 2

    def samples(self, seed: int, max_samples: int | None = None) -> Dataset:
        """Return what a seed measures: of larger data, another random part for each."""
        data = self.draw(seed)
        if max_samples is None or len(data) <= max_samples:
            return data
        return data.shuffled((seed, _SUBSET))[:max_samples]


def bundled() -> list[Source]:
    """Return the data that come with the project and scikit-learn."""
    moons, _ = make_moons((_CURVE_POINTS, _CURVE_POINTS), shuffle=False)
    spirals = two_spirals().points
    return [
        Source("half-moons", half_moons, nearest_curve(np.split(moons, 2))),
        Source("two spirals", lambda _: two_spirals(), nearest_curve(np.split(spirals, 2))),
        Source("helix", lambda _: helix()),
        Source("digits", lambda _: digits(), is_ink=True),
    ]


# --- the exact oracle -----------------------------------------------------------------------------


def nearest_curve(curves: Sequence[np.ndarray]) -> Oracle:
    """Return an oracle that knows on which noise-free curve, of points in order, a sample lies."""
    trees = [KDTree(_densely(curve)) for curve in curves]

    def oracle(samples: np.ndarray) -> np.ndarray:
        distances = [tree.query(samples)[0] for tree in trees]
        return np.asarray(np.eye(len(trees))[np.argmin(distances, axis=0)])

    return oracle


def _densely(curve: np.ndarray) -> np.ndarray:
    """Put points between those of a curve, so that the nearest is as near as the curve."""
    places = np.linspace(0, len(curve) - 1, max(_CURVE_POINTS, len(curve)))
    known = np.arange(len(curve))
    return np.stack([np.interp(places, known, axis) for axis in curve.T], axis=1)


# --- files ----------------------------------------------------------------------------------------


def refuse_input(output: Path, files: Sequence[Path]) -> None:
    """Refuse to write over the data, under whatever name."""
    try:
        check_inputs(output, files)
    except ValueError as error:
        raise Refusal(str(error)) from error


def image_file(path: Path) -> Source:
    """Read images and their classes from an .npz file."""
    arrays = _read(path)
    x_name, y_name = _names(path, arrays)
    images, classes = _images(path, x_name, arrays[x_name]), arrays[y_name].reshape(-1)
    if arrays[y_name].size != len(images):
        raise Refusal(
            f"{path.name}: {x_name} has {len(images)} samples, but {y_name} is of shape "
            f"{arrays[y_name].shape}; there must be one class for each sample"
        )
    if classes.dtype.kind not in "iu" or classes.min(initial=0) < 0:
        raise Refusal(f"{path.name}: {y_name} must hold classes 0, 1, ..., got {classes.dtype}")
    num_classes = int(classes.max(initial=0)) + 1
    names = [str(name) for name in arrays.get("class_names", np.arange(num_classes)).reshape(-1)]
    if len(names) < num_classes:
        raise Refusal(f"{path.name}: {y_name} has {num_classes} classes, class_names {len(names)}")
    data = Dataset(path.stem, images, classes.astype(np.int64), len(names))
    return Source(path.stem, lambda _: data, class_names=names)


def _read(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise Refusal(f"{path.name} is not an .npz file of arrays: {error}") from error


def _names(path: Path, arrays: dict[str, np.ndarray]) -> tuple[str, str]:
    for names in _ARRAYS:
        if set(names) <= set(arrays):
            return names
    wanted = ", or ".join(" and ".join(names) for names in _ARRAYS)
    held = ", ".join(arrays) or "nothing"
    raise Refusal(f"{path.name} must hold {wanted}; it holds {held}")


def _images(path: Path, name: str, images: np.ndarray) -> np.ndarray:
    """Return images as float32, bytes as shares of 255, channels last and single ones left out."""
    if images.ndim == 4 and images.shape[1] in (1, 3) and images.shape[3] not in (1, 3):
        images = np.moveaxis(images, 1, 3)
    if images.ndim == 4 and images.shape[3] == 1:
        images = images[..., 0]
    if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[3] != 3):
        raise Refusal(
            f"{path.name}: {name} must be images of shape (N, height, width) or (N, height, width, "
            f"3), got {images.shape}"
        )
    if images.dtype.kind not in "uif":
        raise Refusal(f"{path.name}: {name} must hold numbers, got {images.dtype}")
    scale = 255 if images.dtype == np.uint8 else 1
    images = np.asarray(images / np.float32(scale), dtype=np.float32)
    if not np.isfinite(images).all():
        raise Refusal(f"{path.name}: {name} holds NaN or infinity; leave such images out")
    return images
