"""Nested batches: their leaves by paths, and the way back to the batch."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, MutableMapping
from typing import Any, NamedTuple

from zetamix_core.arrays import Array, Facts, is_array, quick_facts, torch_is_compiling
from zetamix_core.checks import as_code, check_fit, said_of
from zetamix_core.dtypes import kind
from zetamix_core.inputs import foreign, holds_arrays, looks_like_an_array, name_of


class Leaf(NamedTuple):
    """An array of a batch, where it is, and what is known about it."""

    path: str
    value: Array
    facts: Facts | None


class Batch(NamedTuple):
    """The leaves of a nested batch, in order, and the way back."""

    leaves: list[Leaf]
    structure: Any

    def rebuilt(self, values: Iterable[Any]) -> Any:
        """Return the batch with other values in the places of its leaves."""
        return _rebuilt(self.structure, iter(values))

    def row(self, values: Iterable[Any], i: int, item: Any) -> Any:
        """Return one item: row `i` of the values, and from `item` what is not a leaf here."""
        return _row(self.structure, iter(values), i, item)


# --- checks ---------------------------------------------------------------------------------------


def check_leaf(path: str, leaf: Any, convert: str = "") -> Facts | None:
    """Check that a leaf, which is an array, holds plain numbers; return what is known about it.

    `convert` names the function that turns a NumPy array into one of the caller's library.
    """
    facts = quick_facts(leaf)
    if facts is None:
        check_fit(subject(path), leaf, _and_then(path, convert))
    return facts


def _and_then(path: str, convert: str) -> str:
    """Return the rest of a remedy: the conversion it ends with, or an alternative."""
    converted = f", and convert it with {convert}" if convert else ""
    return converted + (f", or {leave(path)}" if path else "")


def subject(path: str) -> str:
    """Return how a message names the leaf at a path, at the start of a sentence."""
    return f"the array at {path!r}" if path else "x"


def at(path: str) -> str:
    """Return the place of a leaf as the end of a sentence, nothing for one that stands alone."""
    return f" at {path!r}" if path else ""


def leave(path: str) -> str:
    above = path.rpartition("/")[0]
    return f"leave it with keep=[{path!r}]" + (
        f", or all of {above!r} with keep=[{above!r}]" if above else ""
    )


def check_averageable(path: str, leaf: Any) -> None:
    if is_array(leaf) and kind(leaf) in ("integer", "bool"):
        got = f"got shape {tuple(leaf.shape)} and dtype {leaf.dtype}"
        if not path:
            raise ValueError(
                f"an array of integers or bool is mixed only if declared, {got}; pass "
                f"num_classes={{'': ...}} for labels, cast numbers that may be averaged to a "
                f"floating dtype, or pass as_data=['']"
            )
        raise ValueError(
            f"integer arrays are mixed only if declared, {got} at {path!r}; pass "
            f"num_classes={{{path!r}: ...}} for labels, as_data=[{path!r}] to average them, or "
            f"keep=[{path!r}] to leave them alone"
        )


def of_most_axes(samples: Iterable[Array]) -> Array:
    """Return the array that boxes and the precision of labels go by, not weights of samples."""
    first, *others = samples
    for leaf in others:  # a loop, because graphs of torch can't hold a max with a key
        first = leaf if leaf.ndim > first.ndim else first
    return first


# --- there and back -------------------------------------------------------------------------------


class _Leaf:
    """Stands where a leaf was in a structure; what stays is there itself."""


class _Node(NamedTuple):
    """A mapping, list or tuple of a structure, with the structures of its items."""

    original: Any
    keys: Iterable[Any]
    items: list[Any]


def flattened(
    tree: Any,
    *,
    check: Callable[[str, Any], Facts | None],
    declared: Collection[str] = (),
    keep: Collection[str] = (),
    whole: Collection[str] = (),
    strict: bool = True,
    convert: str = "",
) -> Batch:
    """Return the arrays of nested mappings, lists and tuples, each checked by ``check(path, x)``.

    What is at a path of `whole` is a leaf, be it an array or a list. None and what is at a path of
    `keep` stay. Anything else is an error if `strict`; otherwise it stays,
    too, unless it holds numbers in a form of its own. A declared path must lead to one array.
    `convert` is as in `check_leaf`.
    """
    leaves: list[Leaf] = []
    seen: set[str] = set()

    def note(path: str) -> None:
        if path in seen and (path in keep or path in declared or path in whole):
            raise ValueError(
                f"a declared path must lead to one leaf, got {path!r} for two of them; rename a "
                f"key, so that their paths differ"
            )
        seen.add(path)

    def visit(path: str, node: Any) -> Any:
        if path in keep:
            note(path)
            return node
        if path in whole:
            note(path)
            leaves.append(Leaf(path, node, None))
            return _Leaf
        # NumPy's scalars may be text and bytes, too.
        if is_array(node) and not isinstance(node, (str, bytes)):
            note(path)
            leaves.append(Leaf(path, node, check(path, node)))
            return _Leaf
        if node is None:
            return None
        if path in declared and _is_plain_list(node):
            raise TypeError(said_of(subject(path), foreign(node, as_code(subject(path)))))
        if isinstance(node, Mapping):
            keys = list(node.keys())  # those of tensordict iterate over samples
            return _Node(node, keys, [visit(join(path, key), node[key]) for key in keys])
        if isinstance(node, (list, tuple)):
            names = getattr(node, "_fields", range(len(node)))
            items = [visit(join(path, key), x) for key, x in zip(names, node, strict=True)]
            return _Node(node, names, items)
        if strict or (not torch_is_compiling() and _holds_numbers(node)):
            raise TypeError(_refusal(path, node, convert))
        return node

    structure = visit("", tree)
    if missing := sorted({*declared, *keep, *whole} - seen):
        raise ValueError(
            f"declared paths must lead to arrays, got {missing} where there are "
            f"{sorted(seen)}; write the path of tree['a'][0] as 'a/0'"
        )
    return Batch(leaves, structure)


def flat_pair(pair: Any, facts: Iterable[Facts]) -> Batch:
    """Return what `flattened` does for a tuple or list of two arrays that need no check."""
    leaves = [Leaf(*leaf) for leaf in zip("01", pair, facts, strict=True)]
    return Batch(leaves, _Node(pair, range(2), [_Leaf, _Leaf]))


def found_at(tree: Any, path: str) -> Any:
    """Return what is at a path of a nested batch."""
    if not path:
        return tree
    found = []
    if isinstance(tree, Mapping):
        items: Iterable[Any] = [(key, tree[key]) for key in tree.keys()]  # noqa: SIM118
    elif isinstance(tree, (list, tuple)):
        items = list(zip(getattr(tree, "_fields", range(len(tree))), tree, strict=True))
    else:
        items = []
    for key, item in items:
        if path == str(key):
            return item
        if path.startswith(f"{key}/"):
            found.append((item, path.removeprefix(f"{key}/")))
    for item, rest in found:
        return found_at(item, rest)
    raise ValueError(
        f"a path must lead into the batch, got {path!r} where there are "
        f"{[str(key) for key, _ in items]}; write the path of batch['a'][0] as 'a/0'"
    )


def _rebuilt(structure: Any, values: Iterator[Any]) -> Any:
    if structure is _Leaf:
        return next(values)
    if type(structure) is not _Node:
        return structure
    node, keys, items = structure
    return _refilled(node, keys, [_rebuilt(item, values) for item in items])


def _row(structure: Any, values: Iterator[Any], i: int, item: Any) -> Any:
    if structure is _Leaf:
        return next(values)[i]
    if type(structure) is not _Node or not isinstance(item, (Mapping, list, tuple)):
        return item  # such as its part of a list of texts
    node, keys, items = structure
    of_item = [item[key] for key in keys] if isinstance(node, Mapping) else item
    rows = [_row(each, values, i, own) for each, own in zip(items, of_item, strict=True)]
    return _refilled(item, keys, rows)


def _refilled(node: Any, keys: Iterable[Any], items: list[Any]) -> Any:
    """Return a mapping, list or tuple with other items."""
    if isinstance(node, Mapping):
        return _like_mapping(node, dict(zip(keys, items, strict=True)))
    return type(node)(*items) if hasattr(node, "_fields") else type(node)(items)


def _is_plain_list(node: Any) -> bool:
    """Return whether something is a list of texts or numbers, which is one leaf to its owner."""
    plain = (str, bytes, int, float)
    return isinstance(node, list | tuple) and bool(node) and isinstance(node[0], plain)


def _holds_numbers(node: Any) -> bool:
    """Return whether something that would stay holds what should be mixed."""
    return looks_like_an_array(node) or holds_arrays(node)


def _refusal(path: str, node: Any, convert: str) -> str:
    remedy = "take it out" + _and_then(path, "")
    if _holds_numbers(node):
        remedy = foreign(node, as_code(subject(path))).remedy + _and_then(path, convert)
    return (
        f"only arrays, None and nested dicts, lists and tuples of them can be mixed, got "
        f"{name_of(node)}{at(path)}; {remedy}"
    )


def join(path: str, key: Any) -> str:
    """Return the path of what is at a key of the node at a path."""
    return f"{path}/{key}" if path else str(key)


def _like_mapping(node: Mapping[Any, Any], items: dict[Any, Any]) -> Any:
    if type(node) is dict:
        return items
    if not isinstance(node, MutableMapping):
        return type(node)(items)  # type: ignore[call-arg]
    result: Any = copy.copy(node)  # keeps what the object holds besides its items
    try:
        for key, value in items.items():
            result[key] = value
    except Exception as error:  # such as one of a fixed number of samples
        raise ValueError(
            f"a batch must accept its mixed arrays, got {name_of(node)} that refuses {key!r}; pass "
            f"a plain dict, as in x.to_dict()"
        ) from error
    return result
