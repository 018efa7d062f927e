"""The linear map of a plan: weighted sums of samples, on any array library.

Only `weighted_sum` chooses how they are computed. It takes care of dtypes, memory layout, and
blocks of columns that stay in the cache.
"""

from __future__ import annotations

import contextlib
import functools
import math
import sys
from typing import Any, NamedTuple

import numpy as np

from zetamix_core.arrays import (
    Array,
    Namespace,
    device_of,
    has_plain_memory,
    host_values,
    in_memory,
    is_cupy,
    is_dask,
    is_jax,
    is_jax_tracer,
    is_numpy,
    is_torch,
    namespace,
    share_memory,
)
from zetamix_core.checks import checked_blocks
from zetamix_core.dtypes import (
    cast,
    default_float,
    is_integer,
    kind,
    real_dtype,
    rounded,
    working_dtype,
)
from zetamix_core.products import (
    Product,
    dense_matrix,
    dense_product,
    gather_sum,
    in_two_halves,
    sparse_product,
    unrounded_dtype,
    without_tail,
)
from zetamix_core.rounding import lowered
from zetamix_core.threads import num_cores, over_cores

# In memory, a dense product is faster than a sparse one above this T / N (benchmarks/README.md):
# that of torch uses all cores, that of SciPy one.
_DENSE_ABOVE = {"numpy": 1 / 10, "torch": 1 / 2}
# A sparse product reads each sample T times. If samples have more bytes than this, it works in
# blocks of columns that fit into the cache.
_SPARSE_BYTES = {"numpy": 1 << 24, "torch": 1 << 25}
_BLOCK_ENTRIES = 1 << 18
# Up to this many ranks, sums of gathered samples are as fast as a dense product in JAX.
_MANY = 8
_MIN_COLUMNS, _MIN_OUTPUTS = 512, 128  # each block costs some calls


class Entries(NamedTuple):
    """The entries of a plan, on the device of its samples, and what is known about them."""

    indices: Array
    weights: Array
    # Whether it is known that no row repeats a sample; this is never searched for.
    distinct: bool = False
    # Whether no weight is zero; None: not known yet.
    positive: bool | None = None
    # Whether an output must be the same to the last bit whatever is mixed beside it.
    steady: bool = False

    def of_outputs(self, rows: slice) -> Entries:
        """Return the entries of some outputs."""
        weights = self.weights if self.weights.ndim == 1 else self.weights[rows]
        return self._replace(indices=self.indices[rows], weights=weights)


def weighted_sum(
    entries: Entries,
    x: Array,
    out: Array | None = None,
    *,
    exact: bool = False,
    dtypes: tuple[Any, Any, Any] | None = None,
) -> Array:
    """Return ``Σ_r weights[i, r] · x[indices[i, r]]`` for each i, along the first axis of `x`.

    The output has the dtype of `x` (integers: the default float), narrow floats are accumulated in
    float32, and the memory order of the trailing axes is kept.

    Parameters
    ----------
    entries : Entries
        Indices (M, T) and weights (T,) or (M, T).
    x : array, shape (N, ...)
        Of the same library and device as the entries.
    out : array, shape (M, ...), optional
        Array to write to, instead of a new one; the output has its dtype.
    exact : bool, default False
        Whether to keep settings of the library from rounding factors to fewer bits, as for labels.
    dtypes : tuple of dtypes, optional
        The result of `dtypes_for` for `x` and `out`.

    Returns
    -------
    array of shape (M, ...)
    """
    if is_dask(x):
        return _weighted_sum_of_dask(entries, x, exact, dtypes)
    indices, weights, distinct, all_positive, steady = entries
    dtype, work, real = dtypes or dtypes_for(x, out)
    # Weights that the plan made on the host are plain tensors, if they are still there.
    made = all_positive is not None and is_torch(weights) and weights.device.type == "cpu"
    if made:
        made = not weights.requires_grad
    if weights.dtype != real:
        weights, all_positive = lowered(weights, real), None
    if all_positive is None:
        # Ranks may have no weight (gamma = infinity, or an underflow). None: unknown here.
        all_positive = _all(weights)
    if steady:
        return _mix_steadily(indices, weights, x, dtype, work, bool(all_positive))
    if is_jax(x) and not any(map(is_jax_tracer, (indices, weights, x))):
        compiled = _compiled_mix()
        return compiled(indices, weights, x, out, dtype, work, all_positive, exact, distinct)
    return _mix(indices, weights, x, out, dtype, work, all_positive, exact, distinct, made)


def dtypes_for(x: Array, out: Array | None = None, dtype: Any = None) -> tuple[Any, Any, Any]:
    """Return the dtypes of mixed samples, of the sums that make them, and of the weights."""
    xp = namespace(x)
    if dtype is not None and is_integer(dtype):
        return dtype, xp.float32, xp.float32
    if dtype is None:
        dtype = output_dtype(x) if out is None else out.dtype
    work = working_dtype(xp, dtype)
    return dtype, work, real_dtype(xp, work)


def output_dtype(x: Array) -> Any:
    """Return the dtype of mixed samples: that of `x`; the default float for integers and bool."""
    return x.dtype if kind(x) in ("floating", "complex") else default_float(x)


@functools.cache
def _compiled_mix() -> Any:
    """Return one program for JAX, where separate operations would write many arrays."""
    static = ("dtype", "work", "all_positive", "exact", "distinct")
    return sys.modules["jax"].jit(_mix, static_argnames=static)


def _mix(
    indices: Array,
    weights: Array,
    x: Array,
    out: Array | None,
    dtype: Any,
    work: Any,
    all_positive: bool | None,
    exact: bool,
    distinct: bool,
    made: bool = False,
) -> Array:
    xp = namespace(x)
    order = memory_order(x)
    rows = _as_rows(xp, x, order)
    target = None if out is None else _view_as_rows(out, order)
    with _as_asked(x):
        if all_positive is not None and _are_in_memory(rows, indices, weights, made):
            uses_all = all_positive and distinct and indices.shape[1] == x.shape[0]
            mixed = _mix_in_memory(
                indices, weights, rows, target, dtype, work, all_positive, exact, uses_all
            )
        elif _is_dense(indices.shape[1], x):
            work = unrounded_dtype(rows, work) if exact else work
            mixed = _mix_all(indices, weights, cast(rows, work), all_positive, distinct)
            mixed = rounded(mixed, dtype)
        else:
            mixed = rounded(gather_sum(indices, weights, rows, work, bool(all_positive)), dtype)
    if out is None:
        return _from_rows(xp, mixed, order, x.shape)
    if mixed is not target:
        out[...] = _from_rows(xp, mixed, order, x.shape)
    return out


def _mix_steadily(
    indices: Array, weights: Array, x: Array, dtype: Any, work: Any, all_positive: bool
) -> Array:
    """Mix by single products and sums, each rounded once, wherever an output stands in memory."""
    xp = namespace(x)
    with _as_asked(x):
        rows = _reshaped(xp, x, (x.shape[0], math.prod(x.shape[1:])))
        total = None
        for r in range(indices.shape[1]):
            weight = weights[:, r][:, None]
            term = cast(xp.take(rows, indices[:, r], axis=0), work)  # a copy
            if not all_positive:
                term = xp.where(weight == 0, 0, term)
            term *= weight
            if total is None:
                total = term
            else:
                total += term
        mixed = rounded(total, dtype)
    return _reshaped(xp, mixed, (mixed.shape[0], *x.shape[1:]))


def _mix_in_memory(
    indices: Array,
    weights: Array,
    rows: Array,
    out: Array | None,
    dtype: Any,
    work: Any,
    all_positive: bool,
    exact: bool,
    uses_all: bool,
) -> Array:
    if not all_positive and weights.ndim == 1:
        indices, weights = without_tail(indices, weights)
        all_positive = bool(_all(weights))
    n, num_mix = rows.shape[0], indices.shape[1]
    library = "numpy" if isinstance(rows, np.ndarray) else "torch"
    plain = rows.dtype == work == dtype and out is None
    if num_mix > _DENSE_ABOVE[library] * n:
        dense_work = unrounded_dtype(rows, work) if exact else work
        if plain and dense_work == work:
            mixed = _multiply_outputs(indices, weights, rows)
        else:
            product = dense_product(indices, weights, n)
            mixed = _multiply_blocks(product, indices.shape[0], rows, dense_work, dtype, out)
        # Zero times infinity is NaN: one non-finite sample shows in every row of a dense product,
        # so the first row shows whether it reached outputs that do not use it.
        if uses_all or _all(namespace(rows).isfinite(cast(mixed[:1], work))):
            return mixed
    if library == "torch" and rows.dtype == dtype == sys.modules["torch"].bfloat16 and not exact:
        indices, weights = in_two_halves(indices, weights)
        work, plain = dtype, out is None
    product = sparse_product(indices, weights, n, all_positive)
    large = rows.nbytes > _SPARSE_BYTES[library]
    if plain and not large:
        return product(rows)
    # The product of torch uses threads already.
    spread = large and library == "numpy"
    return _multiply_blocks(product, indices.shape[0], rows, work, dtype, out, spread=spread)


def _is_dense(num_mix: int, x: Array) -> bool:
    """Whether a plan has so many entries that the dense product wins where nothing can be read."""
    if is_jax(x) and num_mix > _MANY:
        return bool(num_mix >= x.shape[0] / 4)
    return bool(num_mix == x.shape[0])


def _mix_all(
    indices: Array, weights: Array, rows: Array, all_positive: bool | None, distinct: bool
) -> Array:
    """Mix many ranks by a dense product, unless it spreads a NaN."""
    # Outputs that use all samples show any non-finite sample anyway. Where the weights can't be
    # read, neither can the product, except in JAX.
    uses_all = indices.shape[1] == rows.shape[0]
    surely_right = uses_all and (all_positive is None or (all_positive and distinct))
    if is_jax(rows) and not surely_right:
        return _contained_in_jax()(indices, weights, rows, bool(all_positive))
    product = dense_product(indices, weights, rows.shape[0])(rows)
    # As in memory, the first row shows it.
    if surely_right or _all(namespace(rows).isfinite(product[:1, :])):
        return product
    return gather_sum(indices, weights, rows, rows.dtype, bool(all_positive))


@functools.cache
def _contained_in_jax() -> Any:
    """Return the program that decides on the device whether a dense product is right.

    It does so by the first row alone: of two products the one that is chosen would be copied.
    """
    jax = sys.modules["jax"]

    def choose(indices: Array, weights: Array, rows: Array, all_positive: bool) -> Array:
        n = rows.shape[0]
        first_weights = weights if weights.ndim == 1 else weights[:1]
        first = dense_product(indices[:1], first_weights, n)(rows)
        return jax.lax.cond(
            jax.numpy.isfinite(first).all(),
            lambda: dense_product(indices, weights, n)(rows),
            lambda: gather_sum(indices, weights, rows, rows.dtype, all_positive),
        )

    return jax.jit(choose, static_argnames="all_positive")


def _multiply_outputs(indices: Array, weights: Array, rows: Array) -> Array:
    """Multiply by the dense matrix in blocks of outputs, so that a large one is never whole."""
    xp, n = namespace(rows), rows.shape[0]
    step = max(_MIN_OUTPUTS, _BLOCK_ENTRIES // n)
    if indices.shape[0] <= step:
        return dense_product(indices, weights, n)(rows)
    entries = Entries(indices, weights)
    mixed = xp.empty((indices.shape[0], rows.shape[1]), dtype=rows.dtype, device=device_of(rows))
    for start in range(0, indices.shape[0], step):
        block = slice(start, start + step)
        here = entries.of_outputs(block)
        xp.matmul(dense_matrix(here.indices, here.weights, n), rows, out=mixed[block])
    return mixed


def _multiply_blocks(
    product: Product,
    num_outputs: int,
    rows: Array,
    work: Any,
    dtype: Any,
    out: Array | None,
    *,
    spread: bool = False,
) -> Array:
    """Multiply in blocks of columns, without an intermediate array of all samples."""
    n, num_columns = rows.shape
    width = max(_MIN_COLUMNS, _BLOCK_ENTRIES // max(n, num_outputs))
    if out is None and width >= num_columns and not spread:
        return rounded(product(cast(rows, work)), dtype)
    target = out
    if target is None:
        shape, device = (num_outputs, num_columns), device_of(rows)
        target = namespace(rows).empty(shape, dtype=dtype, device=device)
    if spread:  # over all cores, of narrow samples too
        width = min(width, -(-num_columns // num_cores()))

    def multiply(start: int) -> None:
        columns = slice(start, start + width)
        target[:, columns] = rounded(product(cast(rows[:, columns], work)), target.dtype)

    starts = range(0, num_columns, width)
    if spread:
        over_cores(multiply, starts)
    else:
        for start in starts:
            multiply(start)
    return target


def _are_in_memory(rows: Array, indices: Array, weights: Array, made: bool) -> bool:
    if not in_memory(rows):
        return False
    if is_numpy(rows):
        return bool(indices.size)
    return made or (has_plain_memory(weights) and has_plain_memory(indices))


def _all(x: Array) -> bool | None:
    """Return whether all of `x` is true or not zero, None where finding out has a cost."""
    values = host_values(x)
    return None if values is None else bool(values.all())


def _as_asked(x: Array) -> contextlib.AbstractContextManager[Any]:
    """Compute in the dtype of `x`, without warnings about its infinities."""
    if not is_torch(x):
        return np.errstate(invalid="ignore")
    torch, device = sys.modules["torch"], x.device.type
    if not (torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)):
        return contextlib.nullcontext()
    return torch.autocast(device, enabled=False)  # type: ignore[no-any-return]


# --- trailing axes --------------------------------------------------------------------------------


def _as_rows(xp: Namespace, x: Array, order: tuple[int, ...]) -> Array:
    """Return `x` as (N, D): a view, if it is contiguous in this order of its axes."""
    x = x if order == tuple(range(x.ndim)) else xp.permute_dims(x, order)
    size = 1
    for length in x.shape[1:]:
        size *= length
    return _reshaped(xp, x, (x.shape[0], size))


def _reshaped(xp: Namespace, x: Array, shape: tuple[int, ...]) -> Array:
    return x.reshape(shape) if isinstance(x, np.ndarray) or is_torch(x) else xp.reshape(x, shape)


def _view_as_rows(out: Array, order: tuple[int, ...]) -> Array | None:
    """Return `out` as rows to write to, None if they can't be a view of it."""
    if not in_memory(out):
        return None
    rows = _as_rows(namespace(out), out, order)
    return rows if share_memory(rows, out) else None


def _from_rows(xp: Namespace, rows: Array, order: tuple[int, ...], shape: tuple[int, ...]) -> Array:
    mixed = _reshaped(xp, rows, (rows.shape[0], *[shape[axis] for axis in order[1:]]))
    if order == tuple(range(len(order))):
        return mixed
    return xp.permute_dims(mixed, inverse(order))


def memory_order(x: Array) -> tuple[int, ...]:
    """Return the axes of `x`, samples first, the others from the largest stride to the smallest."""
    if isinstance(x, np.ndarray) or is_cupy(x):
        strides = x.strides
    elif is_torch(x):
        strides = x.stride()
    else:
        return tuple(range(x.ndim))
    order: list[int] = []
    for axis in range(1, x.ndim):
        # Insertion sort, because graphs of torch can't sort symbolic strides.
        place = len(order)
        while place and abs(strides[order[place - 1]]) < abs(strides[axis]):
            place -= 1
        order.insert(place, axis)
    return (0, *order)


def inverse(order: tuple[int, ...]) -> tuple[int, ...]:
    """Return the permutation that undoes another one."""
    return tuple(order.index(axis) for axis in range(len(order)))


# --- Dask -----------------------------------------------------------------------------------------


def _weighted_sum_of_dask(entries: Entries, x: Array, exact: bool, dtypes: Any) -> Array:
    whole = whole_samples(checked_blocks("x", x))
    dtype = dtypes[0] if dtypes else output_dtype(x)
    mixed = whole.map_blocks(
        functools.partial(weighted_sum, entries, exact=exact, dtypes=dtypes),
        chunks=((entries.indices.shape[0],), *whole.chunks[1:]),
        dtype=dtype,
        meta=x._meta.astype(dtype),
    )
    return mixed.rechunk(x.chunks) if mixed.shape == x.shape else mixed


def whole_samples(x: Array) -> Array:
    """Rechunk a Dask array so that each block has all samples, of few enough features."""
    if x.numblocks[0] == 1:
        return x
    return x.rechunk({0: -1} | dict.fromkeys(range(1, x.ndim), "auto"))
