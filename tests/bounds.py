"""The error bound of docs/numerics.md, which holds for any processor, library and order of sums.

Sums of products by BLAS differ in their last bits between processors, memory layouts, widths of
blocks and numbers of threads. So the tests hold mixtures to this bound. Bits are compared only
where every processor gives the same: where all but one product of a sum are zero, where nothing is
mixed, and where one and the same product is made twice.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def unit_roundoff(dtype: Any) -> float:
    """Return u, half the distance from 1 to the next larger number."""
    return float(np.finfo(dtype).eps) / 2


def error_bound(plan: Any, x: Any, dtype: Any) -> np.ndarray:
    """Return how far mixtures in `dtype` may be from the exact ones, for each number of them.

    With u of the precision that sums are made in, at least float32: each product and each of the
    T - 1 additions adds a relative error of u at most, hence T u Σ w |x|; each weight is rounded to
    within u, hence u Σ |x|. Narrower dtypes are rounded once more.
    """
    indices, weights = np.asarray(plan.indices), np.asarray(plan.weights, dtype=np.float64)
    sizes = np.abs(_wide(x)).reshape(len(x), -1)
    used = np.zeros((len(indices), len(sizes)))
    weighted = np.zeros_like(used)
    rows = np.arange(len(indices))[:, None]
    np.add.at(used, (rows, indices), np.broadcast_to(weights > 0, indices.shape))
    np.add.at(weighted, (rows, indices), np.broadcast_to(weights, indices.shape))
    unit = min(unit_roundoff(dtype), unit_roundoff(np.float32))
    bound = unit * (indices.shape[1] * (weighted @ sizes) + used @ sizes)
    if unit_roundoff(dtype) > unit:
        bound += unit_roundoff(dtype) * (weighted @ sizes)
    # What is below the normal numbers is rounded to a multiple of the smallest one.
    bound += indices.shape[1] * float(np.finfo(dtype).smallest_subnormal)
    return bound.reshape(len(indices), *np.shape(x)[1:])


def assert_mixtures_agree(first: Any, second: Any, plan: Any, x: Any) -> None:
    """Check that two mixtures of `x` by `plan` may both be within their bounds of the exact one."""
    first, second = np.asarray(first), np.asarray(second)
    bound = error_bound(plan, x, first.dtype) + error_bound(plan, x, second.dtype)
    assert_within(first, second, bound)


def assert_within(first: np.ndarray, second: np.ndarray, bound: np.ndarray) -> None:
    """Check that no two numbers are farther apart than their bound."""
    assert first.shape == second.shape
    # The bound is itself a sum of products, and its terms of second order are left out.
    excess = np.abs(_wide(first) - _wide(second)) - 1.001 * bound
    assert np.all(excess <= 0), f"the bound is exceeded by up to {excess.max():.3g}"


def _wide(x: Any) -> np.ndarray:
    x = np.asarray(x)
    return x.astype(np.complex128 if np.iscomplexobj(x) else np.float64)
