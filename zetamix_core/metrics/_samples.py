"""What all measures do to their arguments first: real, finite rows of numbers, to be read now."""

from __future__ import annotations

from typing import Any

from zetamix_core._arrays import (
    Array,
    cast,
    default_float,
    is_dask,
    is_jax_tracer,
    is_torch,
    kind,
    namespace,
    to_host,
    working_dtype,
)
from zetamix_core._checks import check_count, check_same_place, check_samples

_BLOCK_ENTRIES = 1 << 20  # of arrays that are made for a block of samples; the cache holds them


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
    rows = xp.reshape(cast(x, working_dtype(xp, x.dtype)), (n, -1) if x.size else (n, 0))
    if rows.shape[1] == 0:
        raise ValueError(
            f"{name} must have at least one feature, got shape {tuple(x.shape)}; pass samples of "
            f"shape (N, ...) that are not empty"
        )
    _check_finite(name, rows)
    return rows


def evaluated(x: Array) -> Array:
    """Return a lazy array in host memory, and a tensor without its history."""
    if is_dask(x):
        return to_host(x)
    return x.detach() if is_torch(x) else x


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
        f"out, or fill what is missing"
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
    """Return the number of neighbours, of which each of n samples must have so many."""
    count = check_count("n_neighbors", n_neighbors)
    if not least <= count < n:
        raise ValueError(
            f"n_neighbors must be at least {least} and less than the number of samples, got "
            f"n_neighbors={count} for {n} samples; pass a number of neighbours up to {n - 1}, or "
            f"more samples"
        )
    return count


def blocks(n: int, entries_each: int) -> list[slice]:
    """Cut n samples, which take so many entries each, into blocks of bounded memory."""
    size = max(1, _BLOCK_ENTRIES // entries_each)
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]
