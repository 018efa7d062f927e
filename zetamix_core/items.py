"""Items of a data set: how they are indexed, and how they become a batch."""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np

from zetamix_core.arrays import is_array
from zetamix_core.inputs import shown
from zetamix_core.leaves import at, join
from zetamix_core.roles import Roles

Stack = Callable[[list[Any]], Any]


def stacked(
    items: Sequence[Any],
    numbers: Sequence[int],
    stack: Stack,
    roles: Roles,
    path: str = "",
) -> Any:
    """Return items of one form, which have these numbers, as a batch of that form.

    Arrays and numbers are joined by `stack`. What is kept, or taken from the sample that weighs
    most, stays a list with one entry for each item, of any form. None stands for texts, which are
    not mixed.
    """
    first = items[0]
    if path in roles.keep or path in roles.dominant:
        return list(items)
    _check_alike(items, numbers, path)
    if first is None or isinstance(first, (str, bytes)):
        return list(items) if path in roles.declared else None  # where it will be refused
    if isinstance(first, Mapping):
        return {
            key: stacked([x[key] for x in items], numbers, stack, roles, join(path, key))
            for key in first.keys()  # noqa: SIM118 - of tensordict samples
        }
    if isinstance(first, (list, tuple)):
        names = getattr(first, "_fields", range(len(first)))
        parts = [
            stacked([x[i] for x in items], numbers, stack, roles, join(path, name))
            for i, name in enumerate(names)
        ]
        return type(first)(*parts) if hasattr(first, "_fields") else type(first)(parts)
    return stack(list(items))


def _check_alike(items: Sequence[Any], numbers: Sequence[int], path: str) -> None:
    """Check that all nodes at a path are of the form of the first."""
    first = _form_of(items[0])
    for number, item in zip(numbers, items, strict=True):
        found = _form_of(item)
        if found != first:
            raise ValueError(
                f"items that are mixed must be of one form, got {_told(first)} in item "
                f"{numbers[0]} and {_told(found)} in item {number}{at(path)}; let the data set "
                f"resize, pad or cast them, or leave what differs unmixed with keep="
            )


def _told(form: tuple[Any, ...]) -> str:
    return " ".join(map(str, form))


def _form_of(node: Any) -> tuple[Any, ...]:
    """Return what nodes have in common that can be stacked."""
    name = type(node).__name__
    if isinstance(node, (str, bytes)):
        return ("text",)
    if isinstance(node, Mapping):
        return ("a mapping of", sorted(map(str, node.keys())))
    if isinstance(node, (list, tuple)):
        return ("a", name, "of length", len(node))
    if isinstance(node, (bool, int, float, complex)):
        return ("a number of type", name)
    if not is_array(node):
        return ("a", name)
    kind = "a number" if isinstance(node, np.generic) else name
    return (kind, "of dtype", str(node.dtype), "and shape", tuple(node.shape))


def checked_index(index: Any) -> int:
    """Return the number of an item."""
    try:
        return operator.index(index)
    except TypeError:
        raise TypeError(
            f"the index of an item must be a whole number, got {shown(index)}; pass indices one by "
            f"one, or wrap the data set in a subset"
        ) from None


def check_options(given: Collection[str], known: Collection[str]) -> None:
    """Check the names of the options of a mixed data set."""
    others = sorted(set(given) - set(known))
    if others:
        raise TypeError(
            f"a mixed data set takes {', '.join(sorted(known))}, got {', '.join(others)}; pass "
            f"options of batches, such as p and stop_at, to what mixes batches"
        )


def refuse_item(part: Any) -> NoReturn:
    """Raise the error for a part of an item that can't be stacked."""
    raise TypeError(
        f"items must hold arrays and numbers to be mixed, got one of type {type(part).__name__}; "
        f"let the data set convert it, or leave it unmixed with keep="
    )
