"""The linear map of a plan: weighted sums of samples, on any array library.

There are two ways to compute ``out[i] = Σ_r weights[i, r] · x[indices[i, r]]``. A *matrix product*
with the dense (M, N) mixing matrix reads the batch once whatever T is; a *gather-sum* does only the
T products that each output needs. `weighted_sum` is the one place that chooses.
"""

from __future__ import annotations

import contextlib
import functools
import sys
from typing import Any

import numpy as np

from zetamix_core._arrays import (
    Array,
    Namespace,
    cast,
    default_float,
    device_of,
    host_values,
    is_cupy,
    is_dask,
    is_jax,
    is_numpy,
    is_on_cpu,
    is_torch,
    kind,
    namespace,
    real_dtype,
    working_dtype,
)

# A matrix product wins over T gathers from about this share of the samples on.
_DENSE_SHARE = 8
# Longer gather-sums are a loop in JAX, to bound the size of the compiled program.
_MAX_UNROLLED = 32


def weighted_sum(indices: Array, weights: Array, x: Array) -> Array:
    """Return ``Σ_r weights[i, r] · x[indices[i, r]]`` for each i, along the first axis of `x`.

    Dense if every output uses every sample (T = N), or if N ≤ 8 T and the values can be read on the
    host; else a gather-sum. The output has the dtype of `x` (integers: the default float), narrow
    floats are accumulated in float32, and the memory order of the trailing axes is kept.

    Parameters
    ----------
    indices : array of int, shape (M, T)
    weights : array of float, shape (T,) or (M, T)
    x : array, shape (N, ...)
        Of the same library and device as `indices` and `weights`.

    Returns
    -------
    array of shape (M, ...)
    """
    if is_dask(x):
        return _weighted_sum_of_dask(indices, weights, x)
    xp = namespace(x)
    rows, order = _as_rows(xp, x)
    rows = _mix_rows(xp, indices, weights, rows)
    return _from_rows(xp, rows, order, x.shape)


def output_dtype(x: Array) -> Any:
    """Return the dtype of mixed samples: that of `x`; the default float for integers and bool."""
    return x.dtype if kind(x) in ("floating", "complex") else default_float(x)


def _mix_rows(xp: Namespace, indices: Array, weights: Array, rows: Array) -> Array:
    out = output_dtype(rows)
    work = working_dtype(xp, out)
    weights = cast(weights, real_dtype(xp, work))
    n, num_mix = rows.shape[0], indices.shape[1]
    # Ranks may have no weight (gamma = infinity, or an underflow). None: not to be known here.
    all_positive = _all(weights)
    with _as_asked(rows):
        if num_mix == n and all_positive is not False:
            return cast(_product(xp, indices, weights, cast(rows, work)), out)
        if n <= _DENSE_SHARE * num_mix and all_positive is not None and is_on_cpu(rows):
            mixed = _product(xp, indices, weights, cast(rows, work))
            # Zero times infinity is NaN: one non-finite sample shows in every row of a dense
            # product, so that the first tells whether outputs were reached that do not use it.
            if _all(xp.isfinite(mixed[:1, :])):
                return cast(mixed, out)
        return cast(_gather_sum(xp, indices, weights, rows, work, all_positive), out)


def _all(x: Array) -> bool | None:
    """Tell whether all of `x` is true or not zero, None where that can't be seen at no cost."""
    values = host_values(x)
    return None if values is None else bool(values.all())


def _as_asked(x: Array) -> contextlib.AbstractContextManager[Any]:
    """Compute in the dtype that `x` has, and without a word about its infinities."""
    if not is_torch(x):
        return np.errstate(invalid="ignore")
    torch, device = sys.modules["torch"], x.device.type
    if not torch.amp.is_autocast_available(device):
        return contextlib.nullcontext()
    return torch.autocast(device, enabled=False)  # type: ignore[no-any-return]


# --- matrix product -------------------------------------------------------------------------------


def _product(xp: Namespace, indices: Array, weights: Array, rows: Array) -> Array:
    matrix = cast(scatter_rows(indices, weights, rows.shape[0]), rows.dtype)
    if is_jax(rows):
        # JAX's default on accelerators rounds the factors to fewer bits.
        return xp.matmul(matrix, rows, precision="highest")
    return xp.matmul(matrix, rows)


def scatter_rows(columns: Array, weights: Array, width: int) -> Array:
    """Return the (M, width) array with ``out[i, columns[i, r]] += weights[i, r]``.

    With ``columns = indices`` this is the dense mixing matrix; with the classes of the samples it
    is their mixed one-hot labels.
    """
    xp = namespace(columns)
    shape = (columns.shape[0], width)
    weights = xp.broadcast_to(weights, columns.shape)
    if is_numpy(columns):
        flat = columns + xp.arange(shape[0])[:, None] * width
        wide = weights.astype(xp.float64).ravel()
        sums = xp.bincount(flat.ravel(), wide, minlength=shape[0] * width)
        return cast(sums.reshape(shape), weights.dtype)
    if is_torch(columns):
        zeros = xp.zeros(shape, dtype=weights.dtype, device=weights.device)
        return zeros.scatter_add(1, cast(columns, xp.int64), weights)
    if is_jax(columns):
        rows = xp.arange(shape[0])[:, None]
        return xp.zeros(shape, dtype=weights.dtype).at[rows, columns].add(weights)
    if is_cupy(columns):
        device = columns.device
        sums = xp.zeros(shape, dtype=weights.dtype, device=device)
        xp.add.at(sums, (xp.arange(shape[0], device=device)[:, None], columns), weights)
        return sums
    return _scatter_rows_generic(xp, columns, weights, width)


def _scatter_rows_generic(xp: Namespace, columns: Array, weights: Array, width: int) -> Array:
    """Scatter by comparing, for libraries without scatter and fancy assignment."""
    device = device_of(columns)
    places = xp.arange(width, dtype=columns.dtype, device=device)
    sums = xp.zeros((columns.shape[0], width), dtype=weights.dtype, device=device)
    for r in range(columns.shape[1]):
        here = columns[:, r : r + 1] == places
        sums = sums + weights[:, r : r + 1] * xp.astype(here, weights.dtype)
    return sums


# --- gather-sum -----------------------------------------------------------------------------------


def _gather_sum(
    xp: Namespace,
    indices: Array,
    weights: Array,
    rows: Array,
    work: Any,
    all_positive: bool | None = None,
) -> Array:
    num_mix = indices.shape[1]

    def term(r: Any) -> Array:
        weight = weights[r] if weights.ndim == 1 else weights[:, r][:, None]
        sample = cast(xp.take(rows, indices[:, r], axis=0), work)
        # A sample without weight is not used, not even to multiply its infinities by zero, neither
        # here nor in the gradient of the weight.
        return (sample if all_positive else xp.where(weight == 0, 0, sample)) * weight

    if is_jax(rows) and num_mix > _MAX_UNROLLED:
        loop = sys.modules["jax"].lax.fori_loop
        return loop(1, num_mix, lambda r, total: total + term(r), term(0))
    total = term(0)
    for r in range(1, num_mix):
        total = total + term(r)
    return total


# --- trailing axes --------------------------------------------------------------------------------


def _as_rows(xp: Namespace, x: Array) -> tuple[Array, tuple[int, ...]]:
    """Return `x` as (N, D), and the order of its axes in memory, which makes that a view."""
    order = memory_order(x)
    x = x if order == tuple(range(x.ndim)) else xp.permute_dims(x, order)
    size = 1
    for length in x.shape[1:]:
        size *= length
    return xp.reshape(x, (x.shape[0], size)), order


def _from_rows(xp: Namespace, rows: Array, order: tuple[int, ...], shape: tuple[int, ...]) -> Array:
    mixed = xp.reshape(rows, (rows.shape[0], *(shape[axis] for axis in order[1:])))
    if order == tuple(range(len(order))):
        return mixed
    return xp.permute_dims(mixed, inverse(order))


def memory_order(x: Array) -> tuple[int, ...]:
    """Return the axes of `x`, samples first, the others from the largest stride to the smallest."""
    if is_torch(x):
        strides = x.stride()
    elif is_numpy(x) or is_cupy(x):
        strides = x.strides
    else:
        return tuple(range(x.ndim))
    order: list[int] = []
    for axis in range(1, x.ndim):
        # Inserted by comparing, because graphs of torch can't sort strides that are symbols.
        place = len(order)
        while place and abs(strides[order[place - 1]]) < abs(strides[axis]):
            place -= 1
        order.insert(place, axis)
    return (0, *order)


def inverse(order: tuple[int, ...]) -> tuple[int, ...]:
    """Return the permutation that undoes another one."""
    return tuple(order.index(axis) for axis in range(len(order)))


# --- Dask -----------------------------------------------------------------------------------------


def _weighted_sum_of_dask(indices: Array, weights: Array, x: Array) -> Array:
    whole = whole_samples(x)
    dtype = output_dtype(x)
    mixed = whole.map_blocks(
        functools.partial(weighted_sum, indices, weights),
        chunks=((indices.shape[0],), *whole.chunks[1:]),
        dtype=dtype,
        meta=x._meta.astype(dtype),
    )
    return mixed.rechunk(x.chunks) if mixed.shape == x.shape else mixed


def whole_samples(x: Array) -> Array:
    """Rechunk a Dask array so that each block has all samples, of few enough features."""
    if x.numblocks[0] == 1:
        return x
    return x.rechunk({0: -1} | dict.fromkeys(range(1, x.ndim), "auto"))
