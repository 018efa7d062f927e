"""Batches as pytrees: the checks before a plan is drawn, and its application."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import numpy as jnp
from jax.tree_util import keystr, tree_flatten_with_path

from zetamix_core import Plan
from zetamix_core.adapting import (
    averages,
    check_lengths,
    check_no_ids,
    check_samples,
    drawn,
    ends,
    is_array,
    is_dask,
    is_jax,
    is_jax_key,
    is_jax_tracing,
    is_numpy,
    is_whole_number,
    kind,
    library,
    mixed_samples,
    of_most_axes,
    stream_for,
    takes_groups,
)
from zetamix_core.rules import OneOf, Rule


class Leaves(NamedTuple):
    """The arrays of a pytree with their names for messages, and the way back."""

    names: list[str]
    arrays: list[jax.Array]
    structure: Any


class Pair(NamedTuple):
    """Samples and labels that one plan is for."""

    samples: Leaves
    labels: Leaves

    @property
    def first(self) -> jax.Array:
        return of_most_axes(self.samples.arrays)  # type: ignore[no-any-return]


def checked_batch(
    key: Any, x: Any, y: Any, axis_name: Any, *, averages: bool = True
) -> tuple[jax.Array, Pair]:
    """Return the key of this shard, and the batch as JAX arrays."""
    if is_numpy(key) and key.dtype == np.uint32:  # a raw key, as checkpoints restore it
        key = jnp.asarray(key)
    if not is_jax_key(key):
        what = f"shape {key.shape} and dtype {key.dtype}" if is_array(key) else f"{key!r}"
        raise TypeError(
            f"key must be one JAX key, got {what} of type {type(key).__name__}; pass "
            f"jax.random.key(0), or one of the keys from jax.random.split"
        )
    batch = Pair(_leaves("x", x), _leaves("y", y))
    if not batch.samples.arrays:
        raise ValueError(f"x must hold one array or more, got {x!r}; pass the samples")
    check_lengths(
        batch.samples.names + batch.labels.names, batch.samples.arrays + batch.labels.arrays
    )
    if averages and is_array(x):
        check_no_ids("x", batch.first)
    elif averages:
        _check_averageable(batch.samples)
    if axis_name is not None:
        key = jax.random.fold_in(key, _index_along(axis_name))
    return key, batch


def _index_along(axis_name: Any) -> jax.Array:
    """Return the place of this shard along named axes."""
    names = axis_name if isinstance(axis_name, tuple) else (axis_name,)
    if not all(isinstance(name, str) for name in names):
        raise TypeError(f"axis_name must be a str or a tuple of them, got {axis_name!r}; pass None")
    try:
        return jax.lax.axis_index(axis_name)
    except NameError as error:
        raise ValueError(
            f"axis_name must name axes that the call is mapped over, got {axis_name!r} outside of "
            f"such a map; call it inside jax.shard_map or jax.vmap(..., axis_name=...), or pass "
            f"axis_name=None"
        ) from error


def _leaves(name: str, tree: Any) -> Leaves:
    paths, structure = tree_flatten_with_path(tree)
    names = [name + keystr(path) for path, _ in paths]
    arrays = [_as_jax(name, leaf) for name, (_, leaf) in zip(names, paths, strict=True)]
    return Leaves(names, arrays, structure)


def _as_jax(name: str, leaf: Any) -> jax.Array:
    check_samples(name, leaf)
    if not (is_jax(leaf) or is_numpy(leaf)):
        raise TypeError(
            f"{name} must be an array of JAX or NumPy, got one of {library(leaf)}; "
            + (
                f"pass {name}.compute()"
                if is_dask(leaf)
                else "convert it, for instance with jax.numpy.from_dlpack"
            )
        )
    return jnp.asarray(leaf)


def _check_averageable(samples: Leaves) -> None:
    for name, array in zip(samples.names, samples.arrays, strict=True):
        if kind(array) in ("integer", "bool"):
            raise ValueError(
                f"a pytree x must hold floating arrays only, so that ids are never averaged, got "
                f"shape {array.shape} and dtype {array.dtype} at {name}; pass "
                f"labels as y, or cast data to a floating dtype"
            )


def mixed_by(
    rule: Rule,
    key: Any,
    batch: Pair,
    num_classes: Any,
    ignore_index: int | None,
    step: Any = None,
    averaged: bool | None = None,
    groups: Any = None,
) -> tuple[Any, Any]:
    """Mix a batch by the plan that a rule draws from a key.

    `averaged` says whether samples may be averaged; by default, the rule says so itself.
    """
    first = batch.first
    averaged = averages(rule) if averaged is None else averaged
    if not isinstance(rule, OneOf) or not is_jax_tracing(first, key):
        plan = drawn(rule, tuple(first.shape), key, first, step, groups)
        return mixed_batch(plan, batch, num_classes, ignore_index, averaged)
    # What `OneOf.plan` does on the host: a number chooses the rule, which draws from what follows.
    stream: Any = stream_for(key, first)
    number = stream.uniform((1,))[0]
    chosen = jnp.searchsorted(jnp.asarray(ends(rule.p), number.dtype), number, side="right")
    ways = [functools.partial(mixed_by, member) for member in rule.rules]
    rest = (batch, num_classes, ignore_index, step, averaged)
    wanted = [groups if takes_groups(member) else None for member in rule.rules]
    branches = [
        lambda key, way=way, own=own: way(key, *rest, own)
        for way, own in zip(ways, wanted, strict=True)
    ]
    return jax.lax.switch(chosen, branches, stream.key)  # type: ignore[no-any-return]


def mixed_batch(
    plan: Plan, batch: Pair, num_classes: Any, ignore_index: int | None, averaged: bool
) -> tuple[Any, Any]:
    # Labels first, since they may be refused.
    names, labels, structure = batch.labels
    counts = _counts(structure, num_classes)
    y_mixed = [
        _at(
            name,
            functools.partial(plan.mix_labels, ignore_index=_of(ignore_index, label)),
            label,
            count,
        )
        for name, label, count in zip(names, labels, counts, strict=True)
    ]
    names, samples, in_x = batch.samples
    mix = functools.partial(mixed_samples, plan, averages=averaged)
    x_mixed = [_at(name, mix, sample) for name, sample in zip(names, samples, strict=True)]
    return in_x.unflatten(x_mixed), structure.unflatten(y_mixed)


def _of(ignore_index: int | None, label: jax.Array) -> int | None:
    """Return the label that does not count in an array of labels, None for floating labels."""
    return ignore_index if kind(label) == "integer" else None


def _counts(structure: Any, num_classes: Any) -> list[Any]:
    """Return the number of classes of each array of `y`."""
    if num_classes is None or is_whole_number(num_classes):
        return [num_classes] * structure.num_leaves
    try:
        return list(structure.flatten_up_to(num_classes))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"num_classes must be an int or have the structure of y, got {num_classes!r} for "
            f"{structure}; give each array of y an int, or None for floating labels"
        ) from error


def _at(name: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call `function`, and say which array it was if it refuses."""
    try:
        return function(*arguments)
    except (TypeError, ValueError) as error:
        error.add_note(f"at {name}")
        raise
