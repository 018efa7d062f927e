"""How many rows each class should have: what imbalanced-learn calls a sampling strategy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from zetamix_core.inputs import shown
from zetamix_core.numbers import as_real, as_whole

Strategy = str | float | Mapping[Any, int] | Callable[[np.ndarray], Mapping[Any, int]]

_WORDS = ("auto", "not majority", "minority", "not minority", "all")


def new_rows(strategy: Any, y: np.ndarray) -> dict[Any, int]:
    """Return how many rows each class gets, classes sorted, without classes that get none."""
    classes, counts = np.unique(y, return_counts=True)
    if classes.size < 2:
        raise ValueError(
            f"y must have at least two classes to be balanced, got only {classes.tolist()} in "
            f"{y.size} rows; pass the rows of all classes"
        )
    have = dict(zip(classes.tolist(), counts.tolist(), strict=True))
    if isinstance(strategy, str):
        wanted = _by_word(strategy, have)
    elif (ratio := as_real(strategy)) is not None:
        wanted = _by_ratio(ratio, have)
    elif isinstance(strategy, Mapping):
        wanted = _by_counts(strategy, have)
    elif callable(strategy):
        wanted = _by_counts(_called(strategy, y), have)
    else:
        raise TypeError(
            f"strategy must be a word, a ratio, a mapping from classes to counts or a callable, "
            f"got {shown(strategy)}; pass for instance 'auto' or {_example(have)}"
        )
    return {name: wanted[name] - have[name] for name in have if wanted.get(name, 0) > have[name]}


def _by_word(word: str, have: dict[Any, int]) -> dict[Any, int]:
    if word not in _WORDS:
        why = ", since no class is larger than the largest" if word == "majority" else ""
        raise ValueError(
            f"strategy must be one of {', '.join(map(repr, _WORDS))}{why}, got {word!r}; pass "
            f"'auto' to bring all classes to the size of the largest"
        )
    smallest = min(have, key=lambda name: have[name])
    chosen = {"minority": {smallest}, "not minority": {*have} - {smallest}}.get(word, {*have})
    return dict.fromkeys(chosen, max(have.values()))


def _by_ratio(ratio: float, have: dict[Any, int]) -> dict[Any, int]:
    """Return the count of the smaller of two classes, that of the larger times the ratio."""
    if not 0 < ratio <= 1:
        raise ValueError(
            f"strategy as a ratio must be above 0 and at most 1, got {ratio}; 1 makes both classes "
            f"equally large"
        )
    if len(have) != 2:
        raise ValueError(
            f"strategy as a ratio is for two classes, got {ratio} for {len(have)} classes; pass a "
            f"mapping from classes to counts, as in {_example(have)}"
        )
    larger = max(have, key=lambda name: have[name])
    (smaller,) = {*have} - {larger}
    count = int(have[larger] * ratio)
    if count <= have[smaller]:
        raise ValueError(
            f"strategy as a ratio must be above that of the classes, got {ratio}, which makes "
            f"{count} rows of class {smaller!r} with {have[smaller]}; pass a larger one, since "
            f"rows are only added"
        )
    return {smaller: count}


def _called(strategy: Callable[[np.ndarray], Any], y: np.ndarray) -> Mapping[Any, int]:
    counts = strategy(y)
    if not isinstance(counts, Mapping):
        raise TypeError(
            f"strategy as a callable must return a mapping from classes to counts, got "
            f"{shown(counts)}; return for instance {{0: 100}}"
        )
    return counts


def _by_counts(counts: Mapping[Any, Any], have: dict[Any, int]) -> dict[Any, int]:
    unknown = [name for name in counts if name not in have]
    if unknown:
        raise ValueError(
            f"strategy must name classes of y, got {', '.join(map(repr, unknown))} without any "
            f"row; y has the classes {_listed(have)}"
        )
    wanted = {}
    for name, value in counts.items():
        count = as_whole(value)
        if count is None:
            raise TypeError(
                f"strategy must give whole numbers of rows, got {shown(value)} for class "
                f"{name!r}; pass an int"
            )
        if count < have[name]:
            raise ValueError(
                f"strategy must not ask for fewer rows than there are, since rows are only added, "
                f"got {count} for class {name!r} with {have[name]}; pass {have[name]} or more, or "
                f"leave the class out"
            )
        wanted[name] = count
    return wanted


def _example(have: dict[Any, int]) -> str:
    smallest = min(have, key=lambda name: have[name])
    return f"{{{smallest!r}: {max(have.values())}}}"


def _listed(have: dict[Any, int]) -> str:
    names = [repr(name) for name in have]
    return ", ".join(names if len(names) <= 20 else [*names[:20], "…"])
