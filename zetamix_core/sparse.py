"""Sparse matrices of SciPy, which stay sparse when they are mixed."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from zetamix_core.arrays import NUMPY_KINDS, Array, Facts, is_array
from zetamix_core.checks import check_num_samples

_FORMATS = ("csr", "csc")


def is_sparse(x: object) -> bool:
    """Return whether `x` is a sparse matrix or array of SciPy."""
    return not is_array(x) and bool(sparse.issparse(x))


def examined_sparse(name: str, x: Any) -> Facts:
    """Check that a sparse matrix can be mixed, and return its facts."""
    got = f"a {type(x).__name__} of shape {tuple(x.shape)} and dtype {x.dtype}"
    if x.ndim != 2:
        raise ValueError(
            f"a sparse {name} must have samples as rows, got {got}; reshape it to two axes"
        )
    if x.format not in _FORMATS:
        raise TypeError(
            f"a sparse {name} must be in CSR or CSC format, got {got}; pass {name}.tocsr()"
        )
    kind = NUMPY_KINDS.get(x.dtype.kind)
    if kind is None:
        raise TypeError(f"{name} must hold numbers, got {got}; pass {name}.astype(float)")
    return Facts(check_num_samples(x.shape[0]), kind, "numpy")


def sparse_dtype(x: Any) -> Any:
    """Return the dtype of a mixed sparse matrix: its own; float64 for integers and bool."""
    return x.dtype if x.dtype.kind in "fc" else np.dtype(np.float64)


def weighted_sum_of_sparse(indices: Array, weights: Array, x: Any, *, all_positive: bool) -> Any:
    """Return what `weighted_sum` does, in the format of `x`, without weights of zero."""
    rows, num_mix = indices.shape
    weights = np.broadcast_to(weights, indices.shape).ravel()
    # Sparse arrays keep the integer type of their indices; liblinear takes only 32 bits.
    narrow = max(rows * num_mix, x.shape[0]) <= np.iinfo(np.int32).max
    index = np.result_type(x.indices, x.indptr, np.int32 if narrow else np.int64)
    starts = (np.arange(rows + 1) * num_mix).astype(index)
    kind = sparse.csr_matrix if isinstance(x, sparse.spmatrix) else sparse.csr_array
    matrix = kind((weights, indices.ravel().astype(index), starts), shape=(rows, x.shape[0]))
    if not all_positive:
        matrix = matrix.copy()  # plans are read-only, and zeros are removed in place
        matrix.eliminate_zeros()
    mixed = matrix.asformat(x.format) @ x.astype(sparse_dtype(x), copy=False)
    mixed.sort_indices()
    return mixed


def stacked_rows(x: Any, parts: list[Any]) -> Any:
    """Return sparse rows with others of the same format below them."""
    return sparse.vstack([x, *parts], format=x.format) if parts else x.copy()
