"""Data that come as arrays: scikit-learn's digits, and files of NumPy."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from classification.dataset import Dataset, Part
from classification.readers.images import Refusal

__all__ = ["arrays", "digits"]

_TEST_SHARE = 1 / 2

# What a part is called in one convention and in the other.
_NAMES = {
    "x_{part}, y_{part}": ("x_{}", "y_{}"),
    "{part}_images, {part}_labels": ("{}_images", "{}_labels"),
}
_GROUPS = ("lesion_{}", "groups_{}")


def digits() -> Dataset:
    """Return scikit-learn's 1,797 digits of 8×8 pixels, a stratified half of them as test."""
    x, y = load_digits(return_X_y=True)
    images = np.round(x.reshape(-1, 8, 8, 1) * (255 / 16)).astype(np.uint8)
    first, last = train_test_split(
        np.arange(len(y)), test_size=_TEST_SHARE, stratify=y, random_state=0
    )
    whole = Part(images, y.astype(np.int64))
    return Dataset("digits", tuple("0123456789"), whole[first], {"test": whole[last]})


def arrays(file: Path) -> Dataset:
    """Read a file of NumPy with images and labels for training and test, if need be validation."""
    try:
        with np.load(file, allow_pickle=False) as archive:
            content = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, zipfile.BadZipFile, AttributeError) as error:
        raise Refusal(
            f"looked for arrays of NumPy in {file}, got {error}; write them with numpy.savez"
        ) from error
    names = _convention(file, content)
    train, test = (_part(content, names, part, file) for part in ("train", "test"))
    has_validation = names[0].format("val") in content
    validation = _part(content, names, "val", file) if has_validation else None
    parts = [train, test, *([validation] if validation else [])]
    if len({part.images.shape[1:] for part in parts}) > 1:
        raise Refusal(
            f"images of all parts must have one shape, got "
            f"{' and '.join(str(part.images.shape[1:]) for part in parts)} in {file}; resize them"
        )
    num_classes = 1 + max(int(part.labels.max()) for part in parts)
    class_names = content.get("class_names", np.arange(num_classes))
    if (
        class_names.ndim != 1
        or class_names.dtype.kind not in "Ui"
        or len(class_names) < num_classes
    ):
        raise Refusal(
            f"class_names must be text, one for each of {num_classes} classes, got "
            f"{class_names.dtype} {class_names.shape} in {file}"
        )
    return Dataset(file.stem, tuple(map(str, class_names)), train, {"test": test}, validation)


def _convention(file: Path, content: dict[str, np.ndarray]) -> tuple[str, str]:
    for names in _NAMES.values():
        if all(name.format(part) in content for name in names for part in ("train", "test")):
            return names
    raise Refusal(
        f"looked in {file} for one of {' or '.join(_NAMES)} of the parts train and test, "
        f"got {', '.join(sorted(content))}; rename the arrays"
    )


def _part(content: dict[str, np.ndarray], names: tuple[str, str], part: str, file: Path) -> Part:
    missing = [name.format(part) for name in names if name.format(part) not in content]
    if missing:
        raise Refusal(f"looked for {' and '.join(missing)} in {file}; add them")
    images, labels = (content[name.format(part)] for name in names)
    if images.ndim == 3:
        images = images[..., None]
    if labels.ndim == 2 and labels.shape[1] == 1:  # MedMNIST's
        labels = labels[:, 0]
    if images.dtype != np.uint8 or images.ndim != 4 or labels.shape != (len(images),):
        raise Refusal(
            f"images are uint8 (n, H, W) or (n, H, W, C) and labels (n,) or (n, 1), got "
            f"{images.dtype} {images.shape} and {labels.shape} for {part} in {file}"
        )
    height, width, channels = images.shape[1:]
    if height != width or channels >= width:
        raise Refusal(
            f"images are square, with fewer channels than columns and the channels last, got "
            f"{images.shape} for {part} in {file}; move the channels by numpy.moveaxis, or crop"
        )
    if not len(labels) or labels.dtype.kind not in "iu" or labels.min() < 0:
        least = f" from {labels.min()} on" if labels.size and labels.dtype.kind in "iuf" else ""
        raise Refusal(
            f"labels are class ids, whole numbers from 0 on, got {labels.dtype} of shape "
            f"{labels.shape}{least} for {part} in {file}; number the classes"
        )
    groups = next(
        (content[key.format(part)] for key in _GROUPS if key.format(part) in content), None
    )
    return Part(images, labels.astype(np.int64), groups)
