"""The dtype in which a pipeline returns images: integers stay integers, or all become floats.

So mixed, skipped and evaluated batches have one dtype and one scale.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from zetamix_core.arrays import Array, namespace
from zetamix_core.checks import check_flag, holds_pixels
from zetamix_core.dtypes import cast, is_extension, kind, rounded, working_dtype
from zetamix_core.inputs import shown
from zetamix_core.linear_map import output_dtype


class Pixels(NamedTuple):
    """The form of images: their `dtype` and, for integers, whether they are scaled to [0, 1]."""

    dtype: Any = None
    scale: bool = False
    # Whether other integers become floats also where boxes of them are pasted, because another
    # batch of the same pipeline may be averaged.
    floats: bool = False


def checked_pixels(dtype: Any, scale: Any) -> Pixels:
    """Return the form of images; a torch dtype stays one, others become NumPy's."""
    check_flag("scale", scale)
    if dtype is None:
        return Pixels(None, bool(scale))
    if hasattr(dtype, "is_floating_point"):  # of torch
        floating = dtype.is_floating_point
    else:
        try:
            dtype = np.dtype(dtype)
        except TypeError:
            floating = False
        else:
            floating = dtype.kind == "f" or (is_extension(dtype) and "float" in dtype.name)
    if not floating:
        raise TypeError(
            f"dtype must be a floating dtype or None, got {shown(dtype)}; pass for instance "
            f"float32, or None for images that keep theirs"
        )
    return Pixels(dtype, bool(scale))


def mixed_pixels(pixels: Pixels, x: Array, mix: Callable[..., Array]) -> Array:
    """Return what ``mix(x, dtype=...)`` makes, in the requested form."""
    _check_real(pixels, x)
    if pixels.scale and holds_pixels(x):
        return _scaled(mix(x, dtype=_working_dtype(pixels, x)), x, pixels)
    if pixels.dtype is None and holds_pixels(x):
        return mix(x, dtype=x.dtype)
    dtype = output_dtype(x) if pixels.floats and pixels.dtype is None else pixels.dtype
    return mix(x, dtype=dtype)


def as_pixels(pixels: Pixels, mixed: Array, x: Array) -> Array:
    """Return floats that were mixed from `x`, in the requested form."""
    _check_real(pixels, x)
    if pixels.scale and holds_pixels(x):
        return _scaled(cast(mixed, _working_dtype(pixels, x)), x, pixels)
    if pixels.dtype is None:
        return rounded(mixed, x.dtype) if holds_pixels(x) else mixed
    return cast(mixed, pixels.dtype)


def unmixed_pixels(pixels: Pixels, x: Array) -> Array:
    """Return unmixed samples in the requested form."""
    dtype = output_dtype(x) if pixels.floats else x.dtype
    return as_pixels(pixels, x if holds_pixels(x) else cast(x, dtype), x)


def check_scaled(pixels: Pixels, samples: list[Array]) -> None:
    """Check that there are integer images, if they are to be scaled."""
    if pixels.scale and not any(map(holds_pixels, samples)):
        found = [f"{x.dtype} {tuple(x.shape)}" for x in samples]
        raise ValueError(
            f"scale=True divides integer images by the largest number of their dtype, got samples "
            f"{', '.join(found) or 'of no kind'}; leave scale out for floats, or name integers in "
            f"as_data"
        )


def _scaled(mixed: Array, x: Array, pixels: Pixels) -> Array:
    largest = namespace(x).iinfo(x.dtype).max
    return cast(mixed / largest, pixels.dtype or mixed.dtype)


def _working_dtype(pixels: Pixels, x: Array) -> Any:
    xp = namespace(x)
    return xp.float32 if pixels.dtype is None else working_dtype(xp, pixels.dtype)


def _check_real(pixels: Pixels, x: Array) -> None:
    if pixels.dtype is not None and kind(x) == "complex":
        raise ValueError(
            f"dtype= gives real numbers, got complex samples of dtype {x.dtype}; leave dtype out, "
            f"or leave the samples unmixed with keep="
        )
