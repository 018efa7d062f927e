"""Nearest neighbours by exact search, in blocks of bounded memory, on any array library."""

from __future__ import annotations

import sys
from typing import NamedTuple

import numpy as np

from zetamix_core.arrays import (
    Array,
    device_of,
    is_cupy,
    is_jax,
    is_jax_tracer,
    is_numpy,
    is_torch,
    namespace,
)
from zetamix_core.metrics.samples import as_rows, blocks, check_neighbors, normalized

__all__ = ["Neighbors", "nearest_neighbors"]

_TREE_FEATURES = 8  # up to this many, a k-d tree is faster than comparing all with all
_PRECISE = 0.01  # share of squared norms above which their difference loses two digits at most


class Neighbors(NamedTuple):
    """What `nearest_neighbors` returns.

    Parameters
    ----------
    indices : array of int, shape (N, n_neighbors)
        The neighbours of each sample, the nearest first.
    distances : array, shape (N, n_neighbors)
        Their distances.

    Examples
    --------
    >>> import numpy as np
    >>> from zetamix.metrics import nearest_neighbors
    >>> nearest_neighbors(np.asarray([[0.0], [1.0], [3.0]]), n_neighbors=1).distances
    array([[1.],
           [1.],
           [2.]])
    """

    indices: Array
    distances: Array


def nearest_neighbors(x: Array, *, n_neighbors: int) -> Neighbors:
    r"""Find the nearest neighbours of each sample among all others, by Euclidean distance.

    .. math:: d(x_i, x_j) = \lVert x_i - x_j \rVert_2

    Parameters
    ----------
    x : array, shape (N, ...)
        Samples, real and finite; trailing axes are flattened. Dask arrays are computed.
    n_neighbors : int
        Number of neighbours, from 1 to N - 1. A sample is not its own neighbour, but a copy of it
        is.

    Returns
    -------
    Neighbors
        `indices` (N, n_neighbors), the nearest first, in any order among equal distances; and
        `distances` (N, n_neighbors), 0 for copies, in the dtype of `x`, at least 32 bits; integers
        give the library's default float.

    Raises
    ------
    ValueError
        If there are too few samples, or some are NaN or infinite.
    TypeError
        If `x` is not an array of real numbers.

    Notes
    -----
    The search subtracts the mean and compares by matrix products in the precision of `x`. So it may
    not distinguish distances far below the spread of the data, about 1e-3 of it in float32; cast to
    float64 if they matter. NumPy arrays of few features are searched by SciPy's k-d tree.

    Examples
    --------
    >>> import numpy as np
    >>> from zetamix.metrics import nearest_neighbors
    >>> indices, distances = nearest_neighbors(np.asarray([0.0, 1.0, 3.0]), n_neighbors=1)
    >>> indices[:, 0], distances[:, 0]
    (array([1, 0, 1]), array([1., 1., 2.]))
    """
    given = as_rows("x", x)
    check_neighbors(n_neighbors, given.shape[0])
    scale, (rows,) = normalized(given)
    indices, distances = nearest_others(rows, n_neighbors)
    return Neighbors(indices, distances * scale)


# --- searches of rows among rows ------------------------------------------------------------------


def nearest_others(rows: Array, n_neighbors: int) -> tuple[Array, Array]:
    """Return the neighbours of each row among the others, and their distances, in order."""
    if _suits_tree(rows):
        return in_order(rows, rows, neighbor_sets(rows, n_neighbors))
    return _sorted(*_search_all(rows, rows, n_neighbors, own=True))


def nearest_rows(rows: Array, queries: Array, n_neighbors: int) -> tuple[Array, Array]:
    """Return the rows nearest to each query, and their distances, in order."""
    if _suits_tree(rows):
        return in_order(rows, queries, _search_tree(rows, queries, n_neighbors))
    return _sorted(*_search_all(rows, queries, n_neighbors, own=False))


def neighbor_sets(rows: Array, n_neighbors: int) -> Array:
    """Return the neighbours (N, k) of each row among the others, in any order."""
    if _suits_tree(rows):
        return _without_self(_search_tree(rows, rows, n_neighbors + 1))
    return _search_all(rows, rows, n_neighbors, own=True)[0]


def in_order(rows: Array, queries: Array, indices: Array) -> tuple[Array, Array]:
    """Return given neighbours (M, k) of queries and their distances, the nearest first."""
    return _sorted(indices, squared_distances(rows, queries, indices))


def squared_distances(rows: Array, queries: Array, indices: Array) -> Array:
    """Return the squared distances of queries (M, D) from ``rows[indices]`` of shape (M, k, D)."""
    xp = namespace(rows)
    squares = []
    for block in blocks(queries.shape[0], indices.shape[1] * rows.shape[1]):
        steps = gather(rows, indices[block, :]) - queries[block, :][:, None, :]
        squares.append(xp.vecdot(steps, steps))
    return xp.concat(squares, axis=0)


def are_precise(squares: Array, norms: Array) -> bool:
    """Return whether squared distances, computed from scalar products, escaped cancellation.

    They did not if they are far below `norms`, the sums of the squared norms of the two rows.
    """
    if is_jax_tracer(squares):
        return False
    return bool(namespace(squares).all(squares > _PRECISE * norms))


def _search_all(rows: Array, queries: Array, n_neighbors: int, *, own: bool) -> tuple[Array, Array]:
    """Compare all queries with all rows; if these are their `own`, none with itself.

    Rows should be near the origin. Returns the indices (M, k) of the nearest rows, in any order,
    and their squared distances.
    """
    xp = namespace(rows)
    norms, query_norms = squared_norms(rows), squared_norms(queries)
    places = xp.arange(rows.shape[0], device=device_of(rows))
    found = []
    for block in blocks(queries.shape[0], rows.shape[0]):
        here, here_norms = queries[block, :], query_norms[block][:, None]
        squares = (norms + here_norms) - 2 * (here @ rows.T)
        if own:
            squares = xp.where(places[block][:, None] == places, xp.inf, squares)
        indices = smallest(squares, n_neighbors)
        squares = take_each(squares, indices)
        both_norms = gather(norms[:, None], indices)[:, :, 0] + here_norms
        if not are_precise(squares, both_norms):
            squares = squared_distances(rows, here, indices)
        found.append((indices, squares))
    return xp.concat([i for i, _ in found], axis=0), xp.concat([s for _, s in found], axis=0)


def _sorted(indices: Array, squares: Array) -> tuple[Array, Array]:
    xp = namespace(squares)
    order = xp.argsort(squares, axis=1, stable=True)
    return take_each(indices, order), xp.sqrt(take_each(squares, order))


def _suits_tree(rows: Array) -> bool:
    return is_numpy(rows) and rows.shape[1] <= _TREE_FEATURES


def _search_tree(rows: np.ndarray, queries: np.ndarray, n_neighbors: int) -> np.ndarray:
    # Not at the top: importing it would take longer than all the rest.
    from scipy.spatial import KDTree

    ranks = np.arange(1, n_neighbors + 1)
    return np.asarray(KDTree(rows).query(queries, k=ranks, workers=-1)[1])


def _without_self(indices: np.ndarray) -> np.ndarray:
    """Drop each sample from its neighbours, or the farthest if copies have crowded it out."""
    others = indices != np.arange(len(indices))[:, None]
    others[others.all(axis=1), -1] = False
    return np.reshape(indices[others], (len(indices), -1))


# --- rows and columns -----------------------------------------------------------------------------


def smallest(x: Array, count: int) -> Array:
    """Return the columns of the smallest entries of each row, in any order."""
    if is_torch(x):
        return sys.modules["torch"].topk(x, count, dim=1, largest=False, sorted=False).indices
    if is_jax(x):
        return sys.modules["jax"].lax.top_k(-x, count)[1]
    xp = namespace(x)
    if is_numpy(x) or is_cupy(x):
        return xp.argpartition(x, count - 1, axis=1)[:, :count]
    return xp.argsort(x, axis=1)[:, :count]


def take_each(x: Array, columns: Array) -> Array:
    """Return ``x[i, columns[i, j]]``."""
    return namespace(x).take_along_axis(x, columns, axis=1)


def gather(rows: Array, indices: Array) -> Array:
    """Return ``rows[indices]``, of shape (*indices.shape, D)."""
    xp = namespace(rows)
    taken = xp.take(rows, xp.reshape(indices, (-1,)), axis=0)
    return xp.reshape(taken, (*indices.shape, rows.shape[1]))


def squared_norms(rows: Array) -> Array:
    return namespace(rows).vecdot(rows, rows)
