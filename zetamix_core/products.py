"""Products of samples, as (N, D) rows, with the (M, N) matrix of a plan.

A dense product reads the samples once whatever T is. The others do only the T products that each
output needs: a sparse product by kernels for values in memory, without derivatives, for NumPy and
torch; a gather-sum on every array library, traced and differentiable.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from zetamix_core.arrays import (
    Array,
    Namespace,
    device_of,
    is_cupy,
    is_jax,
    is_torch,
    namespace,
)
from zetamix_core.dtypes import cast, widest_float

Product = Callable[[Array], Array]

# With more entries than this, intermediate doubles cost more than a few calls.
_COUNTED_ENTRIES = 1 << 14
# Intermediate arrays have this many entries at a time.
BLOCK_ENTRIES = 1 << 17
# The bits of a float32 that a bfloat16 has.
_HEAD = -(1 << 16)
# Longer gather-sums are a loop over so many ranks at a time in JAX: what XLA fuses of more of them
# takes several times longer, to compile as well.
_FUSED_RANKS = 4
_MOST_FUSED_RANKS = 8


def without_tail(indices: Array, weights: Array) -> tuple[Array, Array]:
    """Leave out last ranks without weight, where all rows share weights, as of a long series."""
    used = namespace(weights).nonzero(weights)[0]
    count = int(used[-1]) + 1  # weights sum to 1
    return indices[:, :count], weights[:count]


# --- dense ----------------------------------------------------------------------------------------


def dense_product(indices: Array, weights: Array, num_samples: int) -> Product:
    """Return the product with the dense matrix."""
    matrix = dense_matrix(indices, weights, num_samples)

    def multiply(rows: Array) -> Array:
        factor = matrix if matrix.dtype == rows.dtype else cast(matrix, rows.dtype)
        if is_jax(rows):
            # JAX's default on accelerators rounds the factors to fewer bits.
            return namespace(rows).matmul(factor, rows, precision="highest")
        return factor @ rows

    return multiply


def dense_matrix(indices: Array, weights: Array, num_samples: int) -> Array:
    """Return the (M, N) matrix; in NumPy by blocks, since building it takes thrice its memory."""
    if not isinstance(indices, np.ndarray) or indices.size <= BLOCK_ENTRIES:
        return scatter_rows(indices, weights, num_samples)
    matrix = np.empty((indices.shape[0], num_samples), weights.dtype)
    step = max(1, BLOCK_ENTRIES // indices.shape[1])
    for start in range(0, indices.shape[0], step):
        rows = slice(start, start + step)
        shared = weights if weights.ndim == 1 else weights[rows]
        matrix[rows] = scatter_rows(indices[rows], shared, num_samples)
    return matrix


def unrounded_dtype(x: Array, dtype: Any) -> Any:
    """Return the dtype for a dense product of `x` in which no setting rounds factors to fewer bits.

    Torch has several such settings for float32 (TF32, oneDNN), CuPy has an environment variable;
    JAX obeys the precision that `dense_product` requests, and NumPy rounds nothing.
    """
    return widest_float(x) if is_torch(x) or is_cupy(x) else dtype


def scatter_rows(columns: Array, weights: Array, width: int) -> Array:
    """Return the (M, width) array with ``out[i, columns[i, r]] += weights[i, r]``.

    With ``columns = indices`` this is the dense mixing matrix; with the classes of the samples it
    is their mixed one-hot labels.
    """
    if isinstance(columns, np.ndarray):
        return _scatter_rows_of_numpy(columns, weights, width)
    xp = namespace(columns)
    shape = (columns.shape[0], width)
    weights = xp.broadcast_to(weights, columns.shape)
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


def _scatter_rows_of_numpy(columns: np.ndarray, weights: np.ndarray, width: int) -> np.ndarray:
    """Scatter by counting, in doubles, if they are few: a SciPy matrix costs more calls."""
    num_rows = columns.shape[0]
    if num_rows * width > _COUNTED_ENTRIES:
        wide = np.broadcast_to(weights, columns.shape).astype(np.result_type(weights, np.float32))
        return np.asarray(_compressed(columns, wide, width).toarray(), dtype=weights.dtype)
    if weights.ndim == 1:
        shared, weights = weights, np.empty(columns.shape, weights.dtype)
        weights[...] = shared
    places = columns + (np.arange(num_rows) * width)[:, None]
    if weights.dtype.itemsize > 8:  # which counting would round
        sums = np.zeros(num_rows * width, dtype=weights.dtype)
        np.add.at(sums, places.ravel(), weights.ravel())
        return sums.reshape(num_rows, width)
    sums = np.bincount(places.ravel(), weights.ravel(), num_rows * width)
    return sums.reshape(num_rows, width).astype(weights.dtype, copy=False)


def _scatter_rows_generic(xp: Namespace, columns: Array, weights: Array, width: int) -> Array:
    """Scatter by comparing, for libraries without scatter and fancy assignment."""
    device = device_of(columns)
    places = xp.arange(width, dtype=columns.dtype, device=device)
    sums = xp.zeros((columns.shape[0], width), dtype=weights.dtype, device=device)
    for r in range(columns.shape[1]):
        here = columns[:, r : r + 1] == places
        sums = sums + weights[:, r : r + 1] * xp.astype(here, weights.dtype)
    return sums


# --- sparse ---------------------------------------------------------------------------------------


def sparse_product(indices: Array, weights: Array, num_samples: int, all_positive: bool) -> Product:
    """Return the product with the sparse matrix, of NumPy or torch, without weights of zero."""
    weights = namespace(weights).broadcast_to(weights, indices.shape)
    if is_torch(weights):
        return _bags(indices, weights, all_positive)
    matrix = _compressed(indices, weights, num_samples)
    if not all_positive:
        matrix = matrix.copy()  # plans are read-only, and zeros are removed in place
        matrix.eliminate_zeros()
    return lambda rows: np.asarray(matrix @ rows)


def _compressed(columns: np.ndarray, weights: np.ndarray, width: int) -> csr_array:
    """Return the compressed sparse rows of the (M, width) array that has weights at columns."""
    num_rows, num_columns = columns.shape
    starts = np.arange(num_rows + 1) * num_columns
    return csr_array((weights.ravel(), columns.ravel(), starts), shape=(num_rows, width))


def _bags(indices: Array, weights: Array, all_positive: bool) -> Product:
    """Return sums of embeddings in bags: samples are the embeddings, outputs the bags."""
    torch = sys.modules["torch"]
    bag = torch.nn.functional.embedding_bag
    indices = cast(indices, torch.int64)
    if all_positive:
        return lambda rows: bag(indices, rows, per_sample_weights=weights, mode="sum")
    used = weights != 0
    counts = used.sum(dim=1)
    members, starts, weights = indices[used], counts.cumsum(0) - counts, weights[used]
    return lambda rows: bag(members, rows, starts, per_sample_weights=weights, mode="sum")


def in_two_halves(indices: Array, weights: Array) -> tuple[Array, Array]:
    """Return entries in bfloat16 of torch, two of which add up to one of float32.

    The sparse product of torch sums bfloat16 in float32, but wants weights in the dtype of the
    samples. The second half has the digits that the first one cuts off. It is positive, however
    few they are, because zero times infinity would be NaN.
    """
    torch = sys.modules["torch"]
    head = (weights.view(torch.int32) & _HEAD).view(torch.float32)
    tail = (weights - head).clamp_min(torch.finfo(torch.float32).tiny) * (weights > 0)
    halves = torch.stack([head, tail], dim=-1).flatten(-2).bfloat16()
    return indices.repeat_interleave(2, dim=1), halves


# --- gather-sum -----------------------------------------------------------------------------------


def gather_sum(
    indices: Array, weights: Array, rows: Array, dtype: Any, all_positive: bool
) -> Array:
    """Return the sum of weighted samples, in `dtype`; if `all_positive`, no weight is zero."""
    xp = namespace(rows)
    num_mix = indices.shape[1]

    def term(r: Any) -> Array:
        weight = weights[r] if weights.ndim == 1 else weights[:, r][:, None]
        sample = cast(xp.take(rows, indices[:, r], axis=0), dtype)
        # A sample without weight is not used, not even to multiply its infinities by zero: neither
        # here nor in the gradient of the weight.
        return (sample if all_positive else xp.where(weight == 0, 0, sample)) * weight

    def terms(first: Any, count: int) -> Any:
        total = term(first)
        for r in range(1, count):
            total = total + term(first + r)
        return total

    if not is_jax(rows) or num_mix <= _MOST_FUSED_RANKS:
        return terms(0, num_mix)
    jax = sys.modules["jax"]
    head = num_mix % _FUSED_RANKS
    # A gradient gathers the samples again instead of keeping all that were gathered.
    chunk = jax.checkpoint(lambda k: terms(head + _FUSED_RANKS * k, _FUSED_RANKS))
    start = terms(0, head) if head else chunk(0)
    return jax.lax.fori_loop(
        0 if head else 1, num_mix // _FUSED_RANKS, lambda k, total: total + chunk(k), start
    )
