"""Where the samples and the labels of a batch are."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping
from typing import Any

from torch import Tensor, nn

from zetamix_core.adapting import (
    Batch,
    Facts,
    Leaf,
    Roles,
    at,
    check_leaf,
    check_lengths,
    check_unmarked,
    flat_pair,
    foreign,
    guessed_labels,
    join,
    leave,
    quick_facts,
)

_CONVERT = "torch.as_tensor"

LabelsGetter = Callable[[Any], Any] | str | None


def as_batch(inputs: tuple[Any, ...]) -> Any:
    """Return the arguments of a module as one batch."""
    if not inputs:
        raise TypeError("a batch is needed, got no argument; call it with images and labels")
    return inputs if len(inputs) > 1 else inputs[0]


def flattened_batch(batch: Any, roles: Roles, *, of_items: bool = False) -> Batch:
    """Return the tensors of a nested batch, which may also hold text and numbers.

    All have the same number of samples, on one device. A batch made `of_items` here holds no list
    of images.
    """
    if not of_items:
        _check_no_list_of_images(batch, "", roles)
    found = roles.flattened(batch, _check_tensor, strict=False, convert=_CONVERT)
    leaves = [leaf for leaf in found.leaves if leaf.path not in roles.dominant]
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


def plain_pair(batch: Any) -> Batch | None:
    """Return the leaves of floating samples with labels, the commonest batch, without a search.

    None for all other batches, and for all that are refused.
    """
    if type(batch) not in (tuple, list) or len(batch) != 2:
        return None
    x, y = batch
    if type(x) is not Tensor or type(y) is not Tensor or x.device != y.device:
        return None
    of_x, of_y = quick_facts(x), quick_facts(y)
    if of_x is None or of_y is None or of_x.length != of_y.length:
        return None
    if of_x.kind != "floating" or y.ndim > 2:
        return None
    return flat_pair(batch, (of_x, of_y))


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


def find_labels(
    batch: Any, leaves: list[Leaf], roles: Roles, getter: LabelsGetter, *, needed: bool
) -> str | None:
    """Return the path of the labels: those that `getter` returns, or found by place or name."""
    if callable(getter):
        path = path_of(leaves, getter(batch))
        if path in roles.taken:
            raise ValueError(
                f"labels_getter must not return what is declared to be something else, got "
                f"{path!r}; leave it out of as_data, dominant, scaled and valid"
            )
        return path
    if getter is None or isinstance(batch, Tensor):
        return None
    found = guessed_labels(batch, leaves, roles.taken)
    if found is None and needed:
        place = batch[1] if isinstance(batch, (tuple, list)) and len(batch) > 1 else batch
        for candidate in place.values() if isinstance(place, Mapping) else [place]:
            _check_no_text(candidate)
        raise ValueError(
            f"labels are looked for as the second of a pair, or by a name with 'label' or 'target' "
            f"in it, of shape (N,), (N, 1) or (N, C) or integers, got {describe(batch)}; name them "
            f"as num_classes={{path: ...}}, or leave num_classes out if there are none"
        )
    return found


def path_of(leaves: list[Leaf], labels: Any) -> str:
    """Return the path of the labels in the batch, which must be the tensor itself, not a copy."""
    for leaf in leaves:
        if leaf.value is labels:
            return leaf.path
    _check_no_text(labels)
    tensors = {leaf.path: leaf.value for leaf in leaves}
    raise ValueError(
        f"labels_getter must return a tensor of the batch itself, got {describe(labels)} beside "
        f"{describe(tensors)}; return it without a copy or a cast"
    )


def as_given(mixed: Any, given: Any) -> Any:
    """Return a mixed tensor in the subclass of the given one, such as torchvision's Image."""
    kind = type(given)
    if mixed is given or kind is Tensor or kind is nn.Parameter or not isinstance(given, Tensor):
        return mixed
    if kind.__module__.startswith("torchvision.tv_tensors"):  # with the format of boxes
        return sys.modules["torchvision.tv_tensors"].wrap(mixed, like=given)
    return mixed.as_subclass(kind)


def marked_as(item: Any, batch: Any, told: Collection[str], path: str = "") -> Any:
    """Return a collated batch whose images and masks have torchvision's types, as in an item.

    Coordinates, which have no such type when stacked, must be `told` by their paths.
    """
    if path in told:
        return batch
    if isinstance(item, Tensor):
        if type(item).__name__ in ("BoundingBoxes", "KeyPoints"):
            check_unmarked(path, item)
        return as_given(batch, item) if type(batch) is Tensor else batch
    if isinstance(item, Mapping) and isinstance(batch, Mapping):
        marked = {key: marked_as(item[key], batch[key], told, join(path, key)) for key in batch}
        same = all(marked[key] is batch[key] for key in batch)
        return batch if same else type(batch)(marked)  # type: ignore[call-arg]
    if isinstance(item, (list, tuple)) and isinstance(batch, (list, tuple)):
        names = getattr(batch, "_fields", range(len(batch)))
        items = [
            marked_as(own, each, told, join(path, name))
            for name, own, each in zip(names, item, batch, strict=True)
        ]
        return type(batch)(*items) if hasattr(batch, "_fields") else type(batch)(items)
    return batch


def describe(batch: Any) -> str:
    """Describe what a batch consists of, for error messages."""
    if isinstance(batch, Tensor):
        return f"a tensor of shape {tuple(batch.shape)} and dtype {batch.dtype}"
    if isinstance(batch, Mapping):
        return f"a {type(batch).__name__} of {list(batch.keys())}"
    if isinstance(batch, (tuple, list)):
        return f"a {type(batch).__name__} of {[type(item).__name__ for item in batch]}"
    return f"a {type(batch).__name__}"


def _check_tensor(path: str, leaf: Any) -> Facts | None:
    """Check that a leaf is a tensor of numbers with samples; return what is known about it."""
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
    name = type(leaf).__name__
    if leaf.ndim < {"Image": 4, "Video": 5}.get(name, 0):
        raise ValueError(
            f"a batch must have samples along its first axis, got one {name} of shape "
            f"{tuple(leaf.shape)}{at(path)}; mix whole batches, after the loader or in a collate "
            f"function"
        )
    return None


def _check_no_text(labels: Any) -> None:
    if isinstance(labels, (list, tuple)) and labels and isinstance(labels[0], (str, bytes)):
        found = foreign(labels, "labels")
        raise TypeError(f"labels must be a tensor of numbers, got text; {found.remedy} as a tensor")


def _check_no_list_of_images(node: Any, path: str, roles: Roles) -> None:
    """Refuse lists of images, each of which would be taken for a batch."""
    if path in roles.keep or path in roles.dominant:
        return
    if isinstance(node, Mapping):
        items = [(key, node[key]) for key in node.keys()]  # noqa: SIM118 - of tensordict samples
    elif isinstance(node, (list, tuple)):
        items = list(zip(getattr(node, "_fields", range(len(node))), node, strict=True))
    else:
        return
    for name, item in items:
        if not isinstance(item, Tensor):
            _check_no_list_of_images(item, f"{path}/{name}" if path else str(name), roles)
    if not isinstance(node, list) or len(node) < 2:
        return
    if not all(isinstance(x, Tensor) and x.ndim == 3 for x in node):
        return
    shapes = [tuple(x.shape) for x in node]
    channels = all(shape[0] in (1, 3, 4) for shape in shapes)
    # A list of as many equal images as they have channels could be batches, but hardly beside more.
    as_many = bool(path) and len(node) == shapes[0][0]
    if channels and (len(set(shapes)) > 1 or as_many):
        raise ValueError(
            f"images of a batch must be one tensor, got a list of tensors of shapes "
            f"{shapes[:4]}{at(path)}; resize them and pass torch.stack(images), or a tuple if they "
            f"are batches" + (f", or {leave(path)}" if path else "")
        )
