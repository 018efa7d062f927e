"""Padded leaves: samples are mixed only where their masks are true."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zetamix_core.arrays import Array, is_array, namespace
from zetamix_core.checks import checked_blocks
from zetamix_core.dtypes import cast, kind, real_dtype, working_dtype
from zetamix_core.leaves import Leaf
from zetamix_core.linear_map import output_dtype


def valid_mean(plan: Any, x: Array, valid: Array) -> Array:
    """Mix among the samples whose mask is true, position by position; zero where none is."""
    xp = namespace(x)
    if plan._box_axes(x.ndim) != plan._box_axes(valid.ndim):
        raise ValueError(
            f"boxes must extend along axes that a padded leaf and its mask have, got shapes "
            f"{tuple(x.shape)} and {tuple(valid.shape)} for axes {plan.axes}; expand the mask, or "
            f"draw boxes along other axes"
        )
    x, valid = checked_blocks("x", x), cast(checked_blocks("mask", valid), _bool(xp))
    mask = xp.reshape(valid, (*valid.shape, *(1,) * (x.ndim - valid.ndim)))
    filled = xp.where(mask, x, xp.zeros_like(x))
    if plan._pastes(x):
        return plan._mixed(filled)
    # In the precision of the sums: rounding before the division would round twice.
    work = working_dtype(xp, output_dtype(x))
    total = plan._mixed(filled, dtype=work)
    weights = plan._mixed(cast(valid, real_dtype(xp, work)))
    weights = xp.reshape(weights, (*weights.shape, *(1,) * (x.ndim - valid.ndim)))
    found = weights > 0
    one = xp.ones_like(weights)
    mean = xp.where(found, total, xp.zeros_like(total)) / xp.where(found, weights, one)
    return cast(mean, output_dtype(x))


def union_of_masks(plan: Any, leaf: Leaf) -> Array:
    """Return where any sample with weight is valid."""
    mask = leaf.value
    xp = namespace(mask)
    if plan._pastes(mask):
        return plan._mixed(mask)
    reached = plan._mixed(cast(cast(mask, _bool(xp)), xp.float32)) > 0
    return cast(reached, mask.dtype)


def _bool(xp: Any) -> Any:
    return getattr(xp, "bool", None) or xp.bool_


def checked_mask(path: str, values: Mapping[str, Any], name: str) -> Array:
    """Return the mask of a padded leaf, which covers its first axes."""
    x, mask = values[path], values[name]
    fits = is_array(mask) and is_array(x) and tuple(mask.shape) == tuple(x.shape[: mask.ndim])
    if not fits or mask.ndim < 2 or kind(mask) not in ("bool", "integer"):
        what = f"shape {tuple(mask.shape)} and dtype {mask.dtype}" if is_array(mask) else mask
        raise ValueError(
            f"the mask of what is valid must be bool or 0 and 1 over the first axes of its leaf, "
            f"got {what} at {name!r} for shape {tuple(getattr(x, 'shape', ()))} at {path!r}; "
            f"compare lengths with positions to make one"
        )
    return mask
