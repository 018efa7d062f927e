"""Images with classes, in the parts that training, tuning and tests see."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

import click
import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, train_test_split

__all__ = ["Dataset", "Part"]

_HELD_OUT = 10  # one in so many samples is for validation


@dataclass(frozen=True, eq=False)
class Part:
    """Images of uint8 (n, H, W, C), their classes (n,), and what must stay on one side of a split.

    `groups` numbers or names what a sample belongs to, such as a lesion that was photographed
    more than once.
    """

    images: np.ndarray
    labels: np.ndarray
    groups: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.images.dtype != np.uint8 or self.images.ndim != 4:
            raise ValueError(
                f"images are uint8 (n, H, W, C), got {self.images.dtype} {self.images.shape}"
            )
        for name, values in (("labels", self.labels), ("groups", self.groups)):
            if values is not None and values.shape != (len(self.images),):
                raise ValueError(
                    f"{name} are one a sample, got {values.shape} for {len(self.images)} images"
                )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, chosen: np.ndarray) -> Part:
        groups = None if self.groups is None else self.groups[chosen]
        return Part(self.images[chosen], self.labels[chosen], groups)


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set; `tests` are its test parts by their names, the one of the tables first.

    `notes` are what a reader of the tables must know of it.
    """

    name: str
    class_names: tuple[str, ...]
    train: Part
    tests: Mapping[str, Part]
    validation: Part | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for part in (self.train, self.validation, *self.tests.values()):
            if part is not None and len(part) and part.labels.max() >= len(self.class_names):
                raise ValueError(
                    f"{self.name} has {len(self.class_names)} classes, got a label "
                    f"{part.labels.max()}"
                )

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    def with_validation(self) -> Dataset:
        """Hold out a stratified tenth of the training samples, whole groups, if there is none."""
        if self.validation is not None:
            return self
        counts = np.bincount(self.train.labels)
        if counts[counts > 0].min() < 2:
            rare = self.class_names[int(np.flatnonzero(counts == 1)[0])]
            raise click.UsageError(
                f"a tenth is held out for validation of each class, got a single sample of {rare} "
                f"in {self.name}; leave the class out, or name a validation part"
            )
        held = _held_out(self.train)
        return replace(self, train=self.train[~held], validation=self.train[held])

    def digest(self) -> str:
        """Return a hash of all samples."""
        state = hashlib.sha256()
        for part in (self.train, self.validation, *self.tests.values()):
            if part is not None:
                for array in (part.images, part.labels):
                    state.update(str((array.dtype.str, array.shape)).encode())
                    state.update(np.ascontiguousarray(array).tobytes())
        return state.hexdigest()[:16]


def _held_out(part: Part) -> np.ndarray:
    held = np.zeros(len(part), dtype=bool)
    if part.groups is None:
        _, chosen = train_test_split(
            np.arange(len(part)), test_size=1 / _HELD_OUT, stratify=part.labels, random_state=0
        )
    else:
        folds = StratifiedGroupKFold(_HELD_OUT, shuffle=True, random_state=0)
        _, chosen = next(folds.split(part.images, part.labels, part.groups))
    held[chosen] = True
    return held
