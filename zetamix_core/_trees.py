"""Nested structures of arrays."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Mapping, MutableMapping
from typing import Any

from zetamix_core._arrays import is_array


def map_leaves(function: Callable[[str, Any], Any], tree: Any, *, declared: Collection[str]) -> Any:
    """Apply ``function(path, array)`` to the arrays of nested mappings, lists and tuples.

    None stays, anything else is an error, and so is a declared path that leads to no array.
    """
    seen: set[str] = set()

    def visit(path: str, node: Any) -> Any:
        if is_array(node):
            seen.add(path)
            try:
                return function(path, node)
            except (TypeError, ValueError) as error:
                error.add_note(f"at {path!r} of the structure")
                raise
        if node is None:
            return None
        if isinstance(node, Mapping):
            return _like_mapping(node, {key: visit(_join(path, key), node[key]) for key in node})
        if isinstance(node, list | tuple):
            names = getattr(node, "_fields", range(len(node)))
            items = [visit(_join(path, key), x) for key, x in zip(names, node, strict=True)]
            return type(node)(*items) if hasattr(node, "_fields") else type(node)(items)
        raise TypeError(
            f"only arrays, None and nested dicts, lists and tuples of them can be mixed, got "
            f"{type(node).__name__} at {path!r}; take it out, and mix it yourself"
        )

    mixed = visit("", tree)
    if missing := sorted(set(declared) - seen):
        raise ValueError(
            f"declared paths must lead to arrays, got {missing} where there are "
            f"{sorted(seen)}; write the path of tree['a'][0] as 'a/0'"
        )
    return mixed


def _join(path: str, key: Any) -> str:
    return f"{path}/{key}" if path else str(key)


def _like_mapping(node: Mapping[Any, Any], items: dict[Any, Any]) -> Any:
    if type(node) is dict:
        return items
    if not isinstance(node, MutableMapping):
        return type(node)(items)  # type: ignore[call-arg]
    result: Any = copy.copy(node)  # keeps what the type knows besides its items
    for key, value in items.items():
        result[key] = value
    return result
