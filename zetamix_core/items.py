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
    if first is None or isinstance(first, (str, bytes)):
        _check_alike(items, numbers, path, _form_of_text)
        return list(items) if path in roles.declared else None  # where it will be refused
    if isinstance(first, Mapping):
        _check_alike(items, numbers, path, _form_of_mapping)
        return {
            key: stacked([x[key] for x in items], numbers, stack, roles, join(path, key))
            for key in first.keys()  # noqa: SIM118 - of tensordict samples
        }
    if isinstance(first, (list, tuple)):
        _check_alike(items, numbers, path, _form_of_list)
        names = getattr(first, "_fields", range(len(first)))
        parts = [
            stacked([x[i] for x in items], numbers, stack, roles, join(path, name))
            for i, name in enumerate(names)
        ]
        return type(first)(*parts) if hasattr(first, "_fields") else type(first)(parts)
    _check_alike(items, numbers, path, _form_of_array)
    return stack(list(items))


def _check_alike(
    items: Sequence[Any], numbers: Sequence[int], path: str, form: Callable[[Any], Any]
) -> None:
    """Check that all nodes at a path are of the form of the first."""
    first = form(items[0])
    for number, item in zip(numbers, items, strict=True):
        found = form(item)
        if found != first:
            raise ValueError(
                f"items that are mixed must be of one form, got {_told(first)} in item "
                f"{numbers[0]} and {_told(found)} in item {number}{at(path)}; let the data set "
                f"resize, pad or cast them, or leave what differs unmixed with keep="
            )


def _told(form: tuple[Any, ...]) -> str:
    return " ".join(str(each) for each in form if each != "")


def _form_of_text(node: Any) -> tuple[Any, ...]:
    return ("text",) if isinstance(node, (str, bytes)) else ("a", type(node).__name__)


def _form_of_mapping(node: Any) -> tuple[Any, ...]:
    if not isinstance(node, Mapping):
        return ("a", type(node).__name__)
    return ("a mapping of", sorted(map(str, node.keys())))


def _form_of_list(node: Any) -> tuple[Any, ...]:
    if not isinstance(node, (list, tuple)):
        return ("a", type(node).__name__)
    return ("a", type(node).__name__, "of length", len(node))


def _form_of_array(node: Any) -> tuple[Any, ...]:
    if isinstance(node, (bool, int, float, complex)):
        return ("a number of type", type(node).__name__)
    if not is_array(node):
        return ("a", type(node).__name__)
    kind = "a number" if isinstance(node, np.generic) else type(node).__name__
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
