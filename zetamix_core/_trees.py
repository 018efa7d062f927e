"""Nested structures of arrays: which leaves are mixed, which are labels, which stay."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, MutableMapping
from typing import Any

from zetamix_core._arrays import is_array, kind, torch_is_compiling
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
    """Mix the leaves of `tree` by the rules of `MixPlan.apply`, and smooth mixed labels."""
    classes = _check_paths("num_classes", num_classes)
    data, kept = frozenset(listed("as_data", as_data)), frozenset(listed("keep", keep))

    def mix_leaf(path: str, leaf: Any) -> Any:
        if path in classes:
            mixed = plan.mix_labels(leaf, classes[path])
            return smooth_labels(mixed, label_smoothing) if label_smoothing else mixed
        if path not in data:
            check_averageable(path, leaf)
        # Not `plan @ leaf`, which Dynamo takes for a product of tensors under a default device.
        return plan.__matmul__(leaf)

    return map_leaves(mix_leaf, tree, declared=data | classes.keys(), keep=kept, strict=strict)


def check_averageable(path: str, leaf: Any) -> None:
    if is_array(leaf) and kind(leaf) in ("integer", "bool"):
        raise ValueError(
            f"integer arrays are mixed only if declared, got shape {tuple(leaf.shape)} and dtype "
            f"{leaf.dtype} at {path!r}; pass num_classes={{{path!r}: ...}} for labels, "
            f"as_data=[{path!r}] to average them, or keep=[{path!r}] to leave them alone"
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
    """Return the path of what stands alone or first in a pair and is no array of class numbers."""
    if is_array(batch):
        return ("",) if _looks_like_images(batch) else ()
    if isinstance(batch, (tuple, list)) and batch and _looks_like_images(batch[0]):
        return (str(getattr(batch, "_fields", "0")[0]),)
    return ()


def _looks_like_images(x: Any) -> bool:
    """Tell whether integers are those of pixels: bytes, or of so many axes."""
    if not is_array(x):
        return False
    return bool(x.ndim >= 3 or (x.ndim == 2 and str(x.dtype).endswith("uint8")))


def map_leaves(
    function: Callable[[str, Any], Any],
    tree: Any,
    *,
    declared: Collection[str] = (),
    keep: Collection[str] = (),
    strict: bool = True,
) -> Any:
    """Apply ``function(path, array)`` to the arrays of nested mappings, lists and tuples.

    None and what is at a path of `keep` stay. Anything else is an error if `strict`, else it stays,
    too. A declared path that leads to no array is an error.
    """
    seen: set[str] = set()

    def visit(path: str, node: Any) -> Any:
        if path in keep:
            seen.add(path)
            return node
        if is_array(node):
            seen.add(path)
            if torch_is_compiling():  # graphs know no notes
                return function(path, node)
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
        if not strict:
            return node
        above = path.rpartition("/")[0]
        raise TypeError(
            f"only arrays, None and nested dicts, lists and tuples of them can be mixed, got "
            f"{type(node).__name__} at {path!r}; take it out, or leave it with keep=[{path!r}]"
            + (f", or all of {above!r} with keep=[{above!r}]" if above else "")
        )

    mixed = visit("", tree)
    if missing := sorted({*declared, *keep} - seen):
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
