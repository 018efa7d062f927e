"""Nested structures of arrays: which leaves are mixed, which are labels, which stay."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, MutableMapping
from typing import Any

from zetamix_core.arrays import Array, is_array, kind, torch_is_compiling
from zetamix_core.checks import as_code, check_fit, holds_pixels, said_of
from zetamix_core.inputs import foreign, looks_like_an_array, name_of
from zetamix_core.labels import smooth_labels


def mix_tree(
    plan: Any,
    tree: Any,
    *,
    num_classes: Mapping[str, int],
    as_data: Iterable[str],
    keep: Iterable[str],
    label_smoothing: float = 0.0,
    strict: bool = True,
) -> Any:
    """Mix the leaves of `tree` by the rules of `Plan.apply`, and smooth mixed labels."""
    classes = _check_paths("num_classes", num_classes)
    data, kept = frozenset(listed("as_data", as_data)), frozenset(listed("keep", keep))

    def mix_leaf(path: str, leaf: Any) -> Any:
        check_leaf(path, leaf)
        if path in classes:
            mixed = plan.mix_labels(leaf, classes[path])
            return smooth_labels(mixed, label_smoothing) if label_smoothing else mixed
        if path not in data:
            check_averageable(path, leaf)
        # Not `plan @ leaf`, which Dynamo takes for a product of tensors under a default device.
        return plan.__matmul__(leaf)

    return map_leaves(mix_leaf, tree, declared=data | classes.keys(), keep=kept, strict=strict)


def check_leaf(path: str, leaf: Any, convert: str = "") -> None:
    """Check that a leaf, which is an array, holds plain numbers.

    `convert` is the function that makes an array of the caller's library of one of NumPy.
    """
    check_fit(subject(path), leaf, _and_then(path, convert))


def _and_then(path: str, convert: str) -> str:
    """Return how a remedy goes on, or what may be done instead."""
    converted = f", and convert it with {convert}" if convert else ""
    return converted + (f", or {leave(path)}" if path else "")


def subject(path: str) -> str:
    """Return how a message calls the leaf at a path, first in its sentence."""
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


def listed(name: str, paths: Any) -> tuple[str, ...]:
    """Return the paths by which leaves are declared, of which one may be given as it is."""
    return tuple(_check_paths(name, [paths] if isinstance(paths, str) else paths))


def _check_paths(name: str, paths: Any) -> Any:
    """Check that leaves are declared by their paths, and return these to be read repeatedly."""
    if isinstance(paths, Iterator):
        paths = list(paths)
    expected = Mapping if name == "num_classes" else Iterable
    if not isinstance(paths, expected) or not all(isinstance(path, str) for path in paths):
        example = "{'label': 10}" if name == "num_classes" else "['image']"
        raise TypeError(
            f"{name} must name leaves by their paths, which are strings, got {paths!r}; pass for "
            f"instance {name}={example}"
        )
    return paths


def paths_of_images(batch: Any) -> tuple[str, ...]:
    """Return the path of the images of integers that stand alone or first in a pair."""
    if is_array(batch):
        return ("",) if holds_pixels(batch) else ()
    pair = isinstance(batch, (tuple, list)) and bool(batch)
    if pair and is_array(batch[0]) and holds_pixels(batch[0]):
        return (str(getattr(batch, "_fields", "0")[0]),)
    return ()


def of_most_axes(samples: Iterable[Array]) -> Array:
    """Return the array that boxes and the precision of labels go by, not weights of samples."""
    first, *others = samples
    for leaf in others:  # a loop, because graphs of torch know no max with a key
        first = leaf if leaf.ndim > first.ndim else first
    return first


def map_leaves(
    function: Callable[[str, Any], Any],
    tree: Any,
    *,
    declared: Collection[str] = (),
    keep: Collection[str] = (),
    strict: bool = True,
    convert: str = "",
) -> Any:
    """Apply ``function(path, array)`` to the arrays of nested mappings, lists and tuples.

    None and what is at a path of `keep` stay. Anything else is an error if `strict`, else it stays,
    too, unless it holds numbers in a form of its own. A declared path must lead to one array.
    `convert` is as in `check_leaf`.
    """
    seen: set[str] = set()

    def note(path: str) -> None:
        if path in seen and (path in keep or path in declared):
            raise ValueError(
                f"a declared path must lead to one leaf, got {path!r} for two of them; rename a "
                f"key, so that their paths differ"
            )
        seen.add(path)

    def visit(path: str, node: Any) -> Any:
        if path in keep:
            note(path)
            return node
        if is_array(node) and not isinstance(node, (str, bytes)):  # as scalars of NumPy may be
            note(path)
            return _called(function, path, node)
        if node is None:
            return None
        if path in declared and _is_plain_list(node):
            raise TypeError(said_of(subject(path), foreign(node, as_code(subject(path)))))
        if isinstance(node, Mapping):
            return _like_mapping(node, {key: visit(_join(path, key), node[key]) for key in node})
        if isinstance(node, list | tuple):
            names = getattr(node, "_fields", range(len(node)))
            items = [visit(_join(path, key), x) for key, x in zip(names, node, strict=True)]
            return type(node)(*items) if hasattr(node, "_fields") else type(node)(items)
        if strict or (not torch_is_compiling() and looks_like_an_array(node)):
            raise TypeError(_refusal(path, node, convert))
        return node

    mixed = visit("", tree)
    if missing := sorted({*declared, *keep} - seen):
        raise ValueError(
            f"declared paths must lead to arrays, got {missing} where there are "
            f"{sorted(seen)}; write the path of tree['a'][0] as 'a/0'"
        )
    return mixed


def _called(function: Callable[[str, Any], Any], path: str, leaf: Any) -> Any:
    """Call `function`, and say where the leaf is if it is refused."""
    if torch_is_compiling() or not path:  # graphs know no notes
        return function(path, leaf)
    try:
        return function(path, leaf)
    except (TypeError, ValueError) as error:
        error.add_note(f"at {path!r} of the structure")
        raise


def _is_plain_list(node: Any) -> bool:
    """Tell whether something is a list of texts or numbers, which is one leaf to its owner."""
    plain = (str, bytes, int, float)
    return isinstance(node, list | tuple) and bool(node) and isinstance(node[0], plain)


def _refusal(path: str, node: Any, convert: str) -> str:
    remedy = "take it out" + _and_then(path, "")
    if looks_like_an_array(node):
        remedy = foreign(node, as_code(subject(path))).remedy + _and_then(path, convert)
    return (
        f"only arrays, None and nested dicts, lists and tuples of them can be mixed, got "
        f"{name_of(node)}{at(path)}; {remedy}"
    )


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
