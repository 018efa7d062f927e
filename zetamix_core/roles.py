"""What the leaves of a batch are, as declared by their paths, and how a plan mixes them.

A new role is a function ``role(plan, leaf)`` and a line in `Roles.of`.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias, Unpack

import numpy as np

from zetamix_core.annotations import RoleOptions
from zetamix_core.arrays import (
    Array,
    Facts,
    from_host,
    host_values,
    is_array,
    is_numpy,
    namespace,
    torch_is_compiling,
)
from zetamix_core.checks import check_unmarked, checked_blocks, holds_pixels
from zetamix_core.dtypes import kind
from zetamix_core.inputs import name_of
from zetamix_core.labels import (
    LabelOptions,
    check_ignore_index,
    check_num_classes,
    smooth_labels,
)
from zetamix_core.leaves import Batch, Leaf, at, check_averageable, flattened, leave
from zetamix_core.padding import checked_mask, union_of_masks, valid_mean
from zetamix_core.pixels import Pixels, as_pixels, check_scaled, mixed_pixels, unmixed_pixels

Role: TypeAlias = Callable[[Any, Leaf], Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Roles:
    """What a caller declares about the leaves of a batch, by path; see `Plan.apply`."""

    num_classes: Mapping[str, int | None] = dataclasses.field(default_factory=dict)
    as_data: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    dominant: tuple[str, ...] = ()
    ignore_index: int | Mapping[str, int] | None = None
    positions: tuple[str, ...] = ()
    onehot: Mapping[str, int] = dataclasses.field(default_factory=dict)
    scaled: tuple[str, ...] = ()
    valid: Mapping[str, str] = dataclasses.field(default_factory=dict)
    label_smoothing: float = 0.0
    pixels: Pixels | None = None  # None: as `plan @ x` returns them
    # The paths that must each lead to a leaf, and those that are not labels whatever their name.
    declared: frozenset[str] = dataclasses.field(init=False)
    taken: frozenset[str] = dataclasses.field(init=False)
    said_of_labels: frozenset[str] = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        for name in ("as_data", "keep", "dominant", "positions", "scaled"):
            object.__setattr__(self, name, _listed(name, getattr(self, name)))
        for name in ("num_classes", "onehot", "valid"):
            if getattr(self, name) is None:
                object.__setattr__(self, name, {})
            _check_mapping(name, getattr(self, name))
        for count in self.num_classes.values():
            if count is not None:
                check_num_classes(count)
        if isinstance(self.ignore_index, Mapping):
            _check_mapping("ignore_index", self.ignore_index)
            for number in self.ignore_index.values():
                check_ignore_index(number)
        elif self.ignore_index is not None:
            check_ignore_index(self.ignore_index)
        _check_once(self)
        ignored = self.ignore_index if isinstance(self.ignore_index, Mapping) else ()
        masks = {*self.valid, *self.valid.values()}
        labels = {*self.num_classes, *self.positions, *self.onehot, *ignored}
        taken = {*self.as_data, *self.dominant, *self.scaled, *masks}
        said = frozenset({*self.positions, *self.onehot, *ignored})
        object.__setattr__(self, "said_of_labels", said)
        object.__setattr__(self, "declared", frozenset(labels | taken))
        object.__setattr__(self, "taken", frozenset({*taken, *self.keep}))

    @classmethod
    def told(
        cls,
        num_classes: Mapping[str, int] | None,
        *,
        label_smoothing: float = 0.0,
        pixels: Pixels | None = None,
        **said: Unpack[RoleOptions],
    ) -> Roles:
        """Return the roles that options declare."""
        given: dict[str, Any] = {**said, "num_classes": num_classes}  # checked as they are set
        return cls(label_smoothing=label_smoothing, pixels=pixels, **given)

    def with_floats(self) -> Roles:
        """Return the same roles, except that integers other than images give floats."""
        pixels = (self.pixels or Pixels())._replace(floats=True)
        return dataclasses.replace(self, pixels=pixels)

    def flattened(self, tree: Any, check: Callable[[str, Any], Facts | None], **how: Any) -> Batch:
        """Return the leaves of a nested batch, as `leaves.flattened` does with these roles."""
        declared, keep, whole = self.declared, self.keep, self.dominant
        return flattened(tree, check=check, declared=declared, keep=keep, whole=whole, **how)

    def of(self, leaf: Leaf, masks: Mapping[str, Array], found: Found) -> Role:
        """Return the role of a leaf; `masks` are the masks of padded leaves."""
        path = leaf.path
        if path in self.dominant:
            return _of_the_heaviest
        if path in masks:
            return functools.partial(_valid_data, roles=self, valid=masks[path])
        if path in self.valid.values():
            return union_of_masks
        if path in self.num_classes:
            return functools.partial(_labels, roles=self, num_classes=self.num_classes[path])
        if path in found.labels:
            return functools.partial(_labels, roles=self, num_classes=found.labels[path])
        if path in self.said_of_labels:
            self._refuse_as_labels(path)
        return functools.partial(_data, roles=self, found=found)

    def _refuse_as_labels(self, path: str) -> None:
        """Refuse options of labels for a leaf that is not one."""
        ignored = self.ignore_index if isinstance(self.ignore_index, Mapping) else ()
        said = {"positions": self.positions, "onehot": self.onehot, "ignore_index": ignored}
        for name, paths in said.items():
            if path in paths:
                raise ValueError(
                    f"{name} must name labels, got {path!r}, which is not declared as such; add "
                    f"num_classes={{{path!r}: ...}}"
                )

    def holds_data(self, leaf: Leaf, found: Found) -> bool:
        """Return whether a leaf is mixed as numbers, not as labels, a mask of padding or so."""
        path = leaf.path
        others = (self.dominant, self.num_classes, found.labels, self.valid.values())
        return not any(path in paths for paths in others)

    def of_labels(self, leaf: Leaf, num_classes: int | None) -> LabelOptions:
        """Return the options of labels; one `ignore_index` for all applies to integer labels."""
        path, ignored = leaf.path, self.ignore_index
        if ignored is not None:  # seldom
            if isinstance(ignored, Mapping):
                ignored = ignored.get(path)
            elif kind(leaf.value) != "integer":
                ignored = None
        return LabelOptions(num_classes, ignored, path in self.positions, self.onehot.get(path))


class Found(NamedTuple):
    """What was found in a batch, besides what is declared."""

    # The paths of labels with their number of classes, and of integer images.
    labels: Mapping[str, int | None] = MappingProxyType({})
    images: tuple[str, ...] = ()


def mixed_leaves(
    plan: Any, batch: Batch, roles: Roles, found: Found | None = None
) -> Iterator[Any]:
    """Yield the leaves as a plan mixes them, each by its role."""
    found = found or Found()
    if roles.pixels and roles.pixels.scale:
        data = [leaf for leaf in batch.leaves if roles.holds_data(leaf, found)]
        check_scaled(roles.pixels, [leaf.value for leaf in data])
    values = {leaf.path: leaf.value for leaf in batch.leaves} if roles.valid else {}
    masks = {path: checked_mask(path, values, mask) for path, mask in roles.valid.items()}
    in_graph = torch_is_compiling()  # graphs have no notes
    for leaf in batch.leaves:
        role = roles.of(leaf, masks, found)
        yield role(plan, leaf) if in_graph else _called(role, plan, leaf)


def unmixed_leaves(batch: Batch, roles: Roles, found: Found) -> Iterator[Any]:
    """Yield the leaves of a batch that is not mixed, its samples in the form of mixed ones."""
    data = [leaf for leaf in batch.leaves if roles.holds_data(leaf, found)]
    pixels = roles.pixels or Pixels()
    check_scaled(pixels, [leaf.value for leaf in data])
    named = {*roles.as_data, *found.images}
    for leaf in batch.leaves:
        here = roles.holds_data(leaf, found) and (
            leaf.path in named or kind(leaf.value) not in ("integer", "bool")
        )
        yield unmixed_pixels(pixels, leaf.value) if here else leaf.value


def paths_of_images(batch: Any) -> tuple[str, ...]:
    """Return the path of integer images that come alone or first in a pair."""
    if not isinstance(batch, (tuple, list)):
        return ("",) if is_array(batch) and holds_pixels(batch) else ()
    if batch and is_array(batch[0]) and holds_pixels(batch[0]):
        return (str(getattr(batch, "_fields", "0")[0]),)
    return ()


# --- the guess of labels --------------------------------------------------------------------------

_NAMES = ("labels", "label", "targets", "target", "y")


def guessed_labels(batch: Any, leaves: Iterable[Leaf], taken: Collection[str]) -> str | None:
    """Return the path of the labels, judged by place or name, None if there are none.

    They are the second of a pair or, in a mapping or the mapping that comes second, the entry
    called `labels`, `label`, `targets`, `target` or `y`, else one with "label" or "target" in its
    name: an array of a form that labels have, not `taken` for something else.
    """
    by_path = {leaf.path: leaf for leaf in leaves}
    place, node = "", batch
    if isinstance(batch, (tuple, list)):
        if len(batch) < 2:
            return None
        place, node = str(getattr(batch, "_fields", "01")[1]), batch[1]
        if place in by_path:
            fits = place not in taken and _may_be_labels(by_path[place])
            return place if fits else None
    if not isinstance(node, Mapping):
        return None
    for key in sorted(filter(_sounds_like_labels, node.keys()), key=_order_of_name):
        path = f"{place}/{key}" if place else str(key)
        if path in by_path and path not in taken and _may_be_labels(by_path[path]):
            return path
    return None


def _may_be_labels(leaf: Leaf) -> bool:
    """Return whether an array is (N,), (N, 1), (N, C) or an integer mask."""
    x = leaf.value
    return is_array(x) and (1 <= x.ndim <= 2 or (x.ndim > 2 and kind(x) == "integer"))


def _sounds_like_labels(name: Any) -> bool:
    name = str(name).lower()
    return name in _NAMES or "label" in name or "target" in name


def _order_of_name(name: Any) -> int:
    name = str(name).lower()
    return _NAMES.index(name) if name in _NAMES else len(_NAMES)


# --- the roles ------------------------------------------------------------------------------------


def _data(plan: Any, leaf: Leaf, *, roles: Roles, found: Found) -> Array:
    """Mix samples; integers other than images must be declared."""
    path, value, facts = leaf
    if path not in roles.as_data:
        if facts is None and not plan._pastes(value):
            check_unmarked(path, value)
        if path not in found.images:
            _check_numbers(leaf)
    mix = plan._mixed_scaled if path in roles.scaled else plan._mixed
    floats = facts is not None and facts.kind == "floating"
    if roles.pixels is None or (floats and roles.pixels.dtype is None):
        return mix(value, facts)
    return mixed_pixels(roles.pixels, value, functools.partial(mix, facts=facts))


def _check_numbers(leaf: Leaf) -> None:
    if leaf.facts is None or leaf.facts.kind in ("integer", "bool"):
        check_averageable(leaf.path, leaf.value)


def _labels(plan: Any, leaf: Leaf, *, roles: Roles, num_classes: int | None) -> Array:
    options = roles.of_labels(leaf, num_classes)
    if roles.pixels is not None and options.ignore_index is not None:
        _check_no_multi_hot(leaf, options)
    mixed = plan._mixed_labels(leaf.value, options, leaf.facts, scaled=leaf.path in roles.scaled)
    if not roles.label_smoothing:
        return mixed
    return smooth_labels(mixed, roles.label_smoothing, axis=_class_axis(leaf.value, options))


def _class_axis(y: Array, options: LabelOptions) -> int:
    floating = kind(y) in ("floating", "complex")
    return -1 if options.onehot is None or floating else options.onehot


def _check_no_multi_hot(leaf: Leaf, options: LabelOptions) -> None:
    """Refuse labels that would need a weight for each class, for which a batch has no place."""
    y = leaf.value
    if y.ndim == 2 and y.shape[1] == options.num_classes and not options.positions:
        raise ValueError(
            f"multi-hot labels with ignore_index need weights, got ignore_index="
            f"{options.ignore_index} for shape {tuple(y.shape)} and dtype {y.dtype}; draw a plan, "
            f"and use plan.mix_labels(y, {options.num_classes}, ignore_index=...) with "
            f"plan.label_weights(y, ...)"
        )


def _of_the_heaviest(plan: Any, leaf: Leaf) -> Any:
    """Take the sample that weighs most in each output; among equal weights, the first rank."""
    value = leaf.value
    listed = isinstance(value, (list, tuple))
    if not (listed or (is_array(value) and value.ndim)):
        raise TypeError(
            f"a leaf in dominant must be an array or a list with one "
            f"entry for each sample, got {name_of(value)}{at(leaf.path)}; "
            + (leave(leaf.path) if leaf.path else "pass one")
        )
    n, found = plan.num_samples, len(value) if listed else value.shape[0]
    if found != n:
        raise ValueError(
            f"a leaf in dominant must have one entry for each of {n} "
            f"samples, got {found}{at(leaf.path)}; "
            + (leave(leaf.path) if leaf.path else "pass that many entries")
        )
    indices = plan._label_plan._heaviest()
    if is_array(value) and not is_numpy(value):
        return _taken(checked_blocks("x", value), indices)
    places = host_values(indices)
    if places is None:
        raise TypeError(
            f"entries of lists and NumPy arrays can only be taken on the host, got "
            f"{name_of(value)}{at(leaf.path)} with a plan that is traced or on an accelerator; "
            f"draw the plan on the host, or number the entries and mix the numbers as dominant"
        )
    if is_numpy(value):  # of any dtype, such as text
        return value[np.asarray(places)]
    items = [value[int(place)] for place in places]
    return tuple(items) if isinstance(value, tuple) else items


def _taken(value: Array, indices: Array) -> Array:
    if is_numpy(indices):
        indices = from_host(indices, value)
    return namespace(value).take(value, indices, axis=0)


def _called(role: Role, plan: Any, leaf: Leaf) -> Any:
    """Apply a role to a leaf, and say where the leaf is if it is refused."""
    try:
        return role(plan, leaf)
    except (TypeError, ValueError) as error:
        if leaf.path:
            error.add_note(f"at {leaf.path!r} of the batch")
        raise


def _valid_data(plan: Any, leaf: Leaf, *, roles: Roles, valid: Array) -> Array:
    x = leaf.value
    if leaf.path not in roles.as_data:  # token ids have no mean
        check_averageable(leaf.path, x)
    mixed = valid_mean(plan, x, valid)
    return mixed if roles.pixels is None else as_pixels(roles.pixels, mixed, x)


# --- checks ---------------------------------------------------------------------------------------


def _listed(name: str, paths: Any) -> tuple[str, ...]:
    """Return the paths by which leaves are declared; a single path may be a plain string."""
    paths = [paths] if isinstance(paths, str) else paths
    paths = list(paths) if isinstance(paths, Iterator) else paths
    if not isinstance(paths, Iterable) or not all(isinstance(path, str) for path in paths):
        raise TypeError(
            f"{name} must name leaves by their paths, which are strings, got {paths!r}; pass for "
            f"instance {name}=['image']"
        )
    return tuple(paths)


_EXAMPLES = {
    "num_classes": "{'label': 10}",
    "onehot": "{'mask': 1}",
    "valid": "{'tokens': 'attention_mask'}",
    "ignore_index": "{'label': -100}",
}


def _check_mapping(name: str, paths: Any) -> None:
    if not isinstance(paths, Mapping) or not all(isinstance(path, str) for path in paths):
        raise TypeError(
            f"{name} must name leaves by their paths, which are strings, got {paths!r}; pass for "
            f"instance {name}={_EXAMPLES[name]}"
        )


def _check_once(roles: Roles) -> None:
    """Check that no path is declared twice."""
    kinds: dict[str, Iterable[str]] = {
        "num_classes": roles.num_classes,
        "as_data": roles.as_data,
        "keep": roles.keep,
        "dominant": roles.dominant,
    }
    seen: dict[str, str] = {}
    for name, paths in kinds.items():
        for path in paths:
            if path in seen:
                raise ValueError(
                    f"a leaf must have one role, got {path!r} in {seen[path]} and in {name}; leave "
                    f"it out of one of them"
                )
            seen[path] = name
    for path in roles.positions:
        if path in roles.onehot:
            raise ValueError(
                f"labels must have one form, got {path!r} in positions and in onehot; leave it out "
                f"of one of them"
            )
    padded = {**roles.valid, **{mask: path for path, mask in roles.valid.items()}}
    for name in ("keep", "dominant", "num_classes", "scaled"):
        for path in getattr(roles, name):
            if path in padded:
                raise ValueError(
                    f"a padded leaf is mixed as numbers by its mask, got {path!r} in valid and in "
                    f"{name}; leave it out of one of them (padded labels take ignore_index)"
                )
    for path in roles.scaled:
        if path in roles.keep or path in roles.dominant:
            raise ValueError(
                f"a scaled leaf must be mixed, got {path!r} in scaled and in keep or dominant; "
                f"leave it out of one of them"
            )
    for path in (*roles.positions, *roles.onehot):
        if path in seen and seen[path] != "num_classes":
            raise ValueError(
                f"positions and onehot say what labels are, got {path!r}, which is in "
                f"{seen[path]}; give it num_classes"
            )
