"""What all measures do first: turn arguments into real, finite rows of numbers, read now."""

from __future__ import annotations

import math
from hashlib import blake2b
from typing import Any

import numpy as np

from zetamix_core.arrays import (
    Array,
    is_dask,
    is_jax,
    is_jax_tracer,
    is_numpy,
    is_torch,
    namespace,
    to_host,
)
from zetamix_core.checks import check_count, check_same_place, check_samples
from zetamix_core.dtypes import cast, default_float, kind, working_dtype

ROUNDING = 16  # largest error of a mixture of equal numbers, in units of the precision
_BLOCK_ENTRIES = 1 << 20  # of the arrays made for a block of samples, to fit in the cache


def as_rows(name: str, x: Any) -> Array:
    """Return samples as a finite floating array (N, D) of at least 32 bits, without derivatives."""
    n = check_samples(name, x)
    if kind(x) == "complex":
        raise TypeError(
            f"{name} must be real to be measured, got dtype {x.dtype}; stack its real and "
            f"imaginary parts"
        )
    x = evaluated(x)
    if kind(x) != "floating":
        x = cast(x, default_float(x))
    xp = namespace(x)
    dtype = working_dtype(xp, x.dtype)
    if is_numpy(x) and np.dtype(dtype).itemsize > 8:
        dtype = xp.float64  # no wider dtype has eigenvalues
    rows = xp.reshape(cast(x, dtype), (n, -1) if x.size else (n, 0))
    if rows.shape[1] == 0:
        raise ValueError(
            f"{name} must have at least one feature, got shape {tuple(x.shape)}; pass samples of "
            f"shape (N, ...) that are not empty"
        )
    _check_finite(name, rows)
    return rows


def normalized(*sets: Array) -> tuple[float | Array, list[Array]]:
    """Scale and shift sets of rows alike, so that neither squares nor sums of squares overflow.

    Returns the scale and, for each set, its rows divided by it, less the mean of the first set.
    The scale is a power of two, so that nothing is rounded, where numbers can be read.
    """
    xp = namespace(sets[0])
    size = xp.max(xp.stack([xp.max(xp.abs(rows)) for rows in sets]))
    first = _power_of_two(size)
    sets = tuple(rows / first for rows in sets)
    mean = xp.mean(sets[0], axis=0)
    moved = [rows - mean for rows in sets]
    second = _power_of_two(xp.max(xp.stack([xp.max(xp.abs(rows)) for rows in moved])))
    return first * second, [rows / second for rows in moved]


def _power_of_two(size: Array) -> float | Array:
    """Return a power of two not far from a size, or the size itself in a program; 1 for 0."""
    if is_jax_tracer(size):
        return namespace(size).where(size > 0, size, 1.0)
    lowest, highest = -1000, 1000
    if namespace(size).finfo(size.dtype).bits < 64:
        lowest, highest = -120, 120
    exponent = math.frexp(float(size))[1]
    return math.ldexp(1.0, min(max(exponent, lowest), highest))


def are_same(rows: Array) -> Array:
    """Return whether rows differ at most by the rounding of mixtures."""
    xp = namespace(rows)
    spread = xp.max(xp.max(rows, axis=0) / 2 - xp.min(rows, axis=0) / 2)
    return spread <= ROUNDING * float(xp.finfo(rows.dtype).eps) * xp.max(xp.abs(rows))


def widened(rows: Array) -> Array:
    """Return rows in double precision where the library and the device have it."""
    if is_jax(rows) or (is_torch(rows) and rows.device.type == "mps"):
        return rows  # JAX has it only in its 64-bit mode, in which x may be double already
    return cast(rows, namespace(rows).float64)


def evaluated(x: Array) -> Array:
    """Return a lazy array in host memory, and a tensor without its history."""
    if is_dask(x):
        return to_host(x)
    return x.detach() if is_torch(x) else x


def distinct_rows(rows: np.ndarray, order: np.ndarray, most: int) -> tuple[np.ndarray, int]:
    """Return the first places, in `order`, of at most `most` distinct rows, and how many it saw."""
    seen: set[bytes] = set()
    kept: list[int] = []
    num_seen = 0
    for place in order:
        if len(kept) == most:
            break
        num_seen += 1
        # Zeros of both signs are the same number, but not the same bytes.
        row = blake2b((rows[place] + 0.0).tobytes(), digest_size=16).digest()
        if row not in seen:
            seen.add(row)
            kept.append(int(place))
    return np.asarray(kept, dtype=np.int64), num_seen


def _check_finite(name: str, rows: Array) -> None:
    if is_jax_tracer(rows):
        return
    xp = namespace(rows)
    good = xp.all(xp.isfinite(rows), axis=1)
    if bool(xp.all(good)):
        return
    bad = int(xp.argmin(cast(good, xp.int8)))
    raise ValueError(
        f"{name} must be finite, got NaN or infinity, first in sample {bad}; leave such samples "
        f"out, or fill missing values"
    )


def check_same_features(x: Array, y: Array, names: str) -> None:
    """Check that two arrays of rows can be compared."""
    check_same_place(x, y, names, "convert one of them")
    if x.shape[1] != y.shape[1]:
        raise ValueError(
            f"{names} must have the same number of features, got {x.shape[1]} and {y.shape[1]}; "
            f"check that they come from the same data"
        )


def check_neighbors(n_neighbors: Any, n: int, least: int = 1) -> int:
    """Return a number of neighbours that each of n samples can have."""
    count = check_count("n_neighbors", n_neighbors)
    if n <= least:
        raise ValueError(
            f"there must be at least {least + 1} samples to find {least} neighbours of each, got "
            f"{n}; pass more samples"
        )
    if not least <= count < n:
        raise ValueError(
            f"n_neighbors must be at least {least} and less than the number of samples, got "
            f"n_neighbors={count} for {n} samples; pass a number of neighbours up to {n - 1}, or "
            f"more samples"
        )
    return count


def blocks(n: int, entries_each: int) -> list[slice]:
    """Cut n samples, which take `entries_each` entries, into blocks of bounded memory."""
    size = max(1, _BLOCK_ENTRIES // entries_each)
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]
