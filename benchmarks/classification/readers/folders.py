"""Images in a tree of folders, one for each class; and a test part for sets that come without."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from classification.dataset import Dataset, Part
from classification.readers.images import Refusal, absent, image_files, read_part, subfolders

__all__ = ["fifth_for_test", "image_folder"]

_REMEDY = (
    "sort the images into train/CLASS/, and if there are such, into val/CLASS/ and test/CLASS/"
)
_FOLDS = 5


def image_folder(folder: Path, size: int) -> Dataset:
    """Read train/CLASS/*.png and the like; val/ (or validation/) and test/ may be missing."""
    if not (folder / "train").is_dir():
        raise absent("train", folder, _REMEDY)
    class_names = tuple(path.name for path in subfolders(folder / "train"))
    train = _part(folder / "train", class_names, size)
    _refuse_empty(train, class_names, folder / "train")
    validation = _validation(folder, class_names, size)
    name = folder.resolve().name
    if (folder / "test").is_dir():
        test = _part(folder / "test", class_names, size)
        return Dataset(name, class_names, train, {"test": test}, validation)
    train, test = fifth_for_test(train, class_names)
    note = f"{name} has no test folder: a stratified fifth of train, of seed 0, is the test part"
    return Dataset(name, class_names, train, {"test": test}, validation, (note,))


def _validation(folder: Path, class_names: Sequence[str], size: int) -> Part | None:
    places = [folder / name for name in ("val", "validation") if (folder / name).is_dir()]
    if len(places) > 1:
        raise Refusal(f"{folder} must have one validation folder, got val and validation; move one")
    return _part(places[0], class_names, size) if places else None


def _part(folder: Path, class_names: Sequence[str], size: int) -> Part:
    unknown = [path.name for path in subfolders(folder) if path.name not in class_names]
    if unknown:
        raise Refusal(
            f"{folder} must have only classes of train, {', '.join(class_names)}, got "
            f"{', '.join(unknown)}; rename or move it"
        )
    paths, labels = [], []
    for label, name in enumerate(class_names):
        images = image_files(folder / name) if (folder / name).is_dir() else []
        paths += images
        labels += [label] * len(images)
    if not paths:
        raise absent("folders of images, one for each class,", folder, _REMEDY)
    return read_part(paths, labels, size, folder.name)


def _refuse_empty(part: Part, class_names: Sequence[str], folder: Path) -> None:
    counts = np.bincount(part.labels, minlength=len(class_names))
    if not counts.all():
        empty = folder / class_names[int(counts.argmin())]
        raise absent("images", empty, "add some, or remove the folder")


def fifth_for_test(part: Part, class_names: Sequence[str]) -> tuple[Part, Part]:
    """Split off a stratified fifth, of seed 0; samples of one group stay together."""
    members = np.arange(len(part)) if part.groups is None else part.groups
    for label, name in enumerate(class_names):
        count = len(np.unique(members[part.labels == label]))
        if count < _FOLDS:
            raise Refusal(
                f"class {name} must have at least {_FOLDS} samples to split off a test part, got "
                f"{count}; add samples or leave the class out"
            )
    if part.groups is None:
        folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=0)
        kept, chosen = next(folds.split(members, part.labels))
    else:
        grouped = StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=0)
        kept, chosen = next(grouped.split(members, part.labels, part.groups))
    return part[kept], part[chosen]
