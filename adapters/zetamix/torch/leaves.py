"""Where the samples and the labels of a batch are."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from torch import Tensor

from zetamix_core.adapting import (
    Batch,
    Facts,
    Leaf,
    at,
    check_leaf,
    check_lengths,
    flattened,
    foreign,
    leave,
    quick_facts,
)

_CONVERT = "torch.as_tensor"

LabelsGetter = Callable[[Any], Any] | str | None


def as_batch(inputs: tuple[Any, ...]) -> Any:
    """Return what a module was called with as one batch."""
    if not inputs:
        raise TypeError("a batch is needed, got no argument; call it with images and labels")
    return inputs if len(inputs) > 1 else inputs[0]


def flattened_batch(batch: Any, declared: Collection[str], keep: Collection[str]) -> Batch:
    """Return the tensors of a nested batch; text and numbers may be by.

    They have as many samples each, on one device.
    """
    found = flattened(
        batch, check=_check_tensor, declared=declared, keep=keep, strict=False, convert=_CONVERT
    )
    leaves = found.leaves
    if not leaves:
        raise TypeError(
            f"a batch must hold torch tensors, got {describe(batch)}; convert samples with "
            f"{_CONVERT}"
        )
    first = leaves[0].value
    for leaf in leaves[1:]:
        if leaf.value.shape[0] != first.shape[0] or leaf.value.device != first.device:
            _refuse_differing(leaves)
    return found


def _refuse_differing(leaves: list[Leaf]) -> None:
    names, tensors = [repr(leaf.path) for leaf in leaves], [leaf.value for leaf in leaves]
    check_lengths(names, tensors, ", or leave one with keep=")
    first, device = leaves[0].path, leaves[0].value.device
    for path, leaf, _ in leaves:
        if leaf.device != device:
            raise ValueError(
                f"all tensors of a batch must be on the same device, got {device} at {first!r} "
                f"and {leaf.device} at {path!r}; move one of them"
            )


def find_labels(batch: Any, getter: LabelsGetter) -> Any:
    """Return the labels of a batch: what `getter` gives, or what has a usual place or name.

    That is the second of a pair or, in a mapping or the mapping that comes second, what is called
    "labels", else something with "label" or "target" in its name.
    """
    if callable(getter):
        return getter(batch)
    if getter is None or isinstance(batch, Tensor):
        return None
    place = batch
    if isinstance(batch, (tuple, list)):
        place = batch[1] if len(batch) > 1 else None
    if place is None or isinstance(place, Tensor):
        return place
    _check_no_text(place)
    if isinstance(place, Mapping):
        names = sorted((name for name in place if _sounds_like_labels(name)), key=_is_no_exact_name)
        if names:
            return place[names[0]]
    raise ValueError(
        f"labels are looked for as the tensor that is second of a pair, or by a name with 'label' "
        f"or 'target' in it, got {describe(batch)}; pass labels_getter=, or labels_getter=None if "
        f"there are none"
    )


def path_of(leaves: list[Leaf], labels: Any) -> str:
    """Return the path at which the labels themselves, not a copy, are in the batch."""
    for leaf in leaves:
        if leaf.value is labels:
            return leaf.path
    _check_no_text(labels)
    tensors = {leaf.path: leaf.value for leaf in leaves}
    raise ValueError(
        f"labels_getter must return a tensor of the batch itself, got {describe(labels)} beside "
        f"{describe(tensors)}; return it without a copy or a cast"
    )


def describe(batch: Any) -> str:
    """Say what a batch is made of, for error messages."""
    if isinstance(batch, Tensor):
        return f"a tensor of shape {tuple(batch.shape)} and dtype {batch.dtype}"
    if isinstance(batch, Mapping):
        return f"a {type(batch).__name__} of {list(batch)}"
    if isinstance(batch, (tuple, list)):
        return f"a {type(batch).__name__} of {[type(item).__name__ for item in batch]}"
    return f"a {type(batch).__name__}"


def _check_tensor(path: str, leaf: Any) -> Facts | None:
    """Check that a leaf is a tensor of numbers with samples; tell what is known of it."""
    facts = quick_facts(leaf) if type(leaf) is Tensor else None
    if facts is not None:
        return facts
    check_leaf(path, leaf, "" if isinstance(leaf, Tensor) else _CONVERT)
    if not isinstance(leaf, Tensor):
        raise TypeError(
            f"a batch must hold torch tensors, got {type(leaf).__name__} of shape "
            f"{tuple(leaf.shape)} and dtype {leaf.dtype}{at(path)}; convert it with {_CONVERT}"
            + (f", or {leave(path)}" if path else "")
        )
    if leaf.ndim < 1:
        raise ValueError(
            f"tensors of a batch must have samples along their first axis, got a 0-d one of dtype "
            f"{leaf.dtype}{at(path)}; " + (leave(path) if path else "add an axis")
        )
    _check_no_coordinates(leaf)
    return None


def _check_no_text(labels: Any) -> None:
    if isinstance(labels, (list, tuple)) and labels and isinstance(labels[0], (str, bytes)):
        found = foreign(labels, "labels")
        raise TypeError(f"labels must be a tensor of numbers, got text; {found.remedy} as a tensor")


def _check_no_coordinates(leaf: Tensor) -> None:
    """Refuse what torchvision marks as coordinates in an image, which have no mean."""
    name = type(leaf).__name__
    if name in ("BoundingBoxes", "KeyPoints"):
        raise ValueError(
            f"coordinates can't be mixed, got {name} of shape {tuple(leaf.shape)} and dtype "
            f"{leaf.dtype}; leave them with keep=, or take them out"
        )


def _sounds_like_labels(name: Any) -> bool:
    return any(word in str(name).lower() for word in ("label", "target"))


def _is_no_exact_name(name: Any) -> bool:
    return str(name).lower() != "labels"
