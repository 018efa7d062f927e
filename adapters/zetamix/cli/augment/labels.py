"""Labels of files: classes by number or by name, in the form to mix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Labels", "check_class_names", "check_same_length", "labels_of"]


class Labels(NamedTuple):
    """Labels to mix.

    Attributes
    ----------
    y : numpy.ndarray or None
        In a form that `zetamix.batches` takes.
    num_classes : int or None
        Number of classes, of labels that are integers.
    groups : numpy.ndarray of int or None
        The class of each sample, where it has one.
    names : tuple of str or None
        Names of the classes, where they have some.
    """

    y: np.ndarray | None = None
    num_classes: int | None = None
    groups: np.ndarray | None = None
    names: tuple[str, ...] | None = None

    @classmethod
    def of_classes(cls, ids: np.ndarray, names: Sequence[str]) -> Labels:
        """Return the labels of samples whose classes have names."""
        check_class_names(names)
        if len(names) == 1:  # of which labels of integers could not tell 0 from 1
            return cls(np.ones((ids.size, 1)), None, ids, tuple(names))
        return cls(ids, len(names), ids, tuple(names))


def labels_of(y: np.ndarray | None, num_classes: int | None) -> Labels:
    """Return the labels in an array: words, integers of some form, or soft labels."""
    if y is None or y.ndim == 0:
        if num_classes is not None:
            raise ValueError("--num-classes needs labels, got input without labels; leave it out")
        return Labels(y)
    if y.dtype.kind in "US" and y.ndim == 1:
        return _of_words(y, num_classes)
    if y.dtype.kind not in "iu":
        return Labels(y, num_classes)
    if y.ndim <= 2 and y.size and y.min() < 0:
        raise ValueError(
            f"labels must be classes from 0, got {int(y.min())}; renumber them, and leave out "
            f"samples without a class"
        )
    if num_classes is None and y.size:
        if y.ndim == 1 or (y.ndim == 2 and y.shape[1] == 1):
            num_classes = max(2, int(y.max()) + 1)
        elif y.ndim == 2:
            num_classes = y.shape[1]
    return Labels(y, num_classes, y if y.ndim == 1 else None)


def _of_words(y: np.ndarray, num_classes: int | None) -> Labels:
    words = np.char.decode(y, "utf-8") if y.dtype.kind == "S" else y
    names, ids = np.unique(words, return_inverse=True)
    if num_classes not in (None, len(names)):
        raise ValueError(
            f"--num-classes must be the number of distinct words, {len(names)}, got "
            f"{num_classes}; leave it out"
        )
    return Labels.of_classes(ids, [str(name) for name in names])


def check_same_length(names: Sequence[str], x: Any, y: Any) -> None:
    """Refuse labels of other samples, such as a test set of which only `x` was named."""
    if y is not None and y.ndim and x.ndim and len(x) != len(y):
        raise ValueError(
            f"samples and labels must have the same length, got {len(x)} in {names[0]} and "
            f"{len(y)} in {names[1]}; name other arrays with --x and --y"
        )


def check_class_names(names: Sequence[str]) -> None:
    """Refuse names that cannot name a file or column, or that lead out of a folder."""
    for name in names:
        steps = any(mark in name for mark in ("/", "\\", "..")) or name in ("", ".")
        if steps or not name.isprintable():
            raise ValueError(
                f"names of classes must be printable words without '/', '\\' and '..', got "
                f"{name!r}; rename that class"
            )
