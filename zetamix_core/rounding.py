"""Weights on a grid: rows that sum to exactly one, in whatever order their parts are added."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from zetamix_core.arrays import Array, device_of, from_host, is_jax, is_numpy, is_torch, namespace
from zetamix_core.dtypes import cast, host_dtype, is_extension, weights_dtype, working_dtype


def on_grid(weights: Array, dtype: Any) -> Array:
    r"""Return rows of weights in `dtype`, rounded so that each row sums to exactly one.

    The result consists of multiples of a quantum q, 2⁻²⁴ for float32 and 2⁻⁵³ for float64,

    .. math:: \tilde w_r = q \, (\lfloor w_r / q \rfloor + e_r), \quad e_r \in \{0, 1\}, \quad
              \sum_r \tilde w_r = 1,

    where the first ranks with weight get what rounding down leaves over. So a weight moves by less
    than a quantum, zero stays zero, and a decreasing row stays decreasing. Sums of such weights are
    multiples of q up to one, hence exact in any order. A row on the grid is returned as it is.

    Parameters
    ----------
    weights : array of float, shape (..., T)
        Numbers >= 0, to which the weights :math:`w_r` of a row are proportional.
    dtype : dtype
        float32 or float64, of the library of `weights`.

    Returns
    -------
    array, shape (..., T)
        With the derivative of the weights before rounding. A row with a NaN or negative weight is
        NaN.
    """
    xp = namespace(weights)
    wide = cast(weights, working_dtype(xp, weights.dtype))
    wide = wide / xp.sum(wide, axis=-1, keepdims=True)
    rounded = cast(_rounded(wide, 2**53 if "float64" in str(dtype) else 2**24), dtype)
    if is_torch(wide) or is_jax(wide):
        rounded = rounded + cast(wide - _constant(wide), dtype)  # zero, but for its derivative
    return rounded


def lowered(weights: Array, dtype: Any) -> Array:
    """Return the weights of a plan in `dtype`, rounded to its grid if that has fewer digits."""
    if weights.dtype == dtype:
        return weights
    xp = namespace(weights)
    if is_extension(weights.dtype) or xp.finfo(weights.dtype).bits <= xp.finfo(dtype).bits:
        return cast(weights, dtype)
    return on_grid(weights, dtype)


def on_grid_beside(host: np.ndarray, like: Array | None) -> Array:
    """Return rows of host weights in the library of `like`, on the grid of its plans' weights."""
    return from_host(on_grid(host, host_dtype(weights_dtype(like))), like)


def _rounded(weights: Array, units: int) -> Array:
    """Round rows that sum to about one to multiples of ``1 / units``, in their own dtype."""
    xp = namespace(weights)
    good = xp.all(weights >= 0, axis=-1, keepdims=True)  # false for NaN too
    counts = xp.floor(xp.where(good, weights, 0) * units)
    counts = cast(counts, xp.int32 if units <= 2**24 else xp.int64)
    # Rounding down leaves over less than a unit for each rank with weight.
    counts = counts + _first(weights > 0, _left_over(counts, units))
    left_over = _left_over(counts, units)
    if not (is_numpy(left_over) and not left_over.any()):
        counts = _balanced(counts, left_over, units)
    return xp.where(good, cast(counts, weights.dtype) / units, xp.nan)


def _balanced(counts: Array, left_over: Array, units: int) -> Array:
    """Make rows sum to `units` where weights had no more digits than the grid.

    An excess is taken from the last ranks, which leaves a decreasing row decreasing; a remaining
    excess or deficit goes to the largest.
    """
    xp = namespace(counts)
    backwards = xp.flip(counts > 0, axis=-1)
    counts = counts - xp.flip(_first(backwards, -left_over), axis=-1)
    largest = xp.argmax(counts, axis=-1, keepdims=True)
    ranks = xp.arange(counts.shape[-1], dtype=largest.dtype, device=device_of(counts))
    return xp.where(ranks == largest, counts + _left_over(counts, units), counts)


def _left_over(counts: Array, units: int) -> Array:
    return units - namespace(counts).sum(counts, axis=-1, keepdims=True, dtype=counts.dtype)


def _first(present: Array, number: Array) -> Array:
    """Return 1 at the first `number` of the ranks that are `present`, 0 elsewhere."""
    xp = namespace(number)
    ones = cast(present, number.dtype)
    # array-api-compat's function asks for a namespace in a way that Dynamo can't trace.
    places = ones.cumsum(-1) if is_torch(ones) else xp.cumulative_sum(ones, axis=-1)
    return cast(present & (places <= number), number.dtype)


def _constant(x: Array) -> Array:
    """Return `x` without its derivative."""
    return x.detach() if is_torch(x) else sys.modules["jax"].lax.stop_gradient(x)
