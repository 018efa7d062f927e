"""Local intrinsic dimension: how many directions the data have around each sample."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from zetamix_core.arrays import (
    Array,
    device_of,
    from_host,
    is_jax_tracer,
    is_numpy,
    namespace,
    to_host,
)
from zetamix_core.checks import check_is_array, check_number, check_same_place
from zetamix_core.dtypes import cast, kind
from zetamix_core.metrics.neighbors import (
    are_precise,
    gather,
    in_order,
    nearest_others,
    neighbor_sets,
    smallest,
    squared_distances,
    squared_norms,
    take_each,
)
from zetamix_core.metrics.samples import (
    ROUNDING,
    are_same,
    as_rows,
    blocks,
    check_neighbors,
    normalized,
)
from zetamix_core.threads import map_in_threads

__all__ = ["local_intrinsic_dimension"]

_METHODS = ("lpca", "participation_ratio", "mle", "twonn")
_KEPT = (9, 10)  # share of the ratios that TwoNN fits, without the largest, as by its authors


def local_intrinsic_dimension(
    x: Array,
    *,
    n_neighbors: int = 128,
    method: str = "lpca",
    threshold: float = 0.05,
    neighbors: Array | None = None,
) -> Array:
    r"""Estimate the intrinsic dimension of the data around each sample.

    With :math:`\lambda_1 \ge \lambda_2 \ge \dots` the eigenvalues of the covariance of the
    neighbours of a sample, :math:`R_1 \le \dots \le R_k` their distances from it, and
    :math:`\mu_1 \le \dots \le \mu_k` the ratios of distances from each neighbour to its second and
    first nearest among the others,

    .. math:: \hat{d}_\mathrm{lpca} = \#\{j : \lambda_j > \theta \lambda_1\}, \quad
              \hat{d}_\mathrm{pr} = \frac{(\sum_j \lambda_j)^2}{\sum_j \lambda_j^2}, \quad
              \hat{d}_\mathrm{mle} = \frac{k - 1}{\sum_{j} \log (R_k / R_j)}, \quad
              \hat{d}_\mathrm{twonn} = -\frac{\sum_j \log \mu_j \, \log(1 - j/k)}
                                             {\sum_j \log^2 \mu_j}

    where the last one fits a line through the origin to the smallest nine tenths of the ratios.

    Parameters
    ----------
    x : array, shape (N, ...)
        Samples, real and finite; trailing axes are flattened. Dask arrays are computed.
    n_neighbors : int, default 128
        k, the number of neighbours of each sample, not counting itself: from 2 (3 for
        ``"twonn"``) to N - 1.
    method : {"lpca", "participation_ratio", "mle", "twonn"}, default "lpca"
        Local principal components, counted as by Fukunaga and Olsen or weighted by their
        participation ratio; the maximum likelihood of Levina and Bickel; two nearest neighbours.
    threshold : float, default 0.05
        :math:`\theta` of ``"lpca"``, above 0 and less than 1.
    neighbors : array of int, shape (N, k), optional
        Known neighbours of each sample, which save the search; see `nearest_neighbors`.

    Returns
    -------
    array, shape (N,)
        An estimate for each sample, in the dtype of `x`, at least 32 bits; integers give the
        library's default float. The mean is what the literature reports for a data set.

    Raises
    ------
    ValueError
        If there are too few samples, some are NaN or infinite, or an option is out of range.
    TypeError
        If `x` is not an array of real numbers, or `neighbors` not one of integers.

    See Also
    --------
    gamma_report : Dimensions of mixed samples beside those of the originals.

    Notes
    -----
    Copies are at distance 0, which has no logarithm: ``"mle"`` leaves them out, and k counts the
    rest; ``"twonn"`` leaves out neighbours that have a copy among the neighbours. An
    estimate is 0 where all neighbours coincide or too few are left (two for ``"mle"``, and two
    ratios after the largest were left out), and infinite where all distances that are compared are
    equal. Samples that differ only by rounding coincide. No estimate is NaN, except in a compiled
    JAX program: there all are if any sample is not finite.

    Neighbours are searched as in `nearest_neighbors`: cast to float64 if samples are far closer to
    each other than some are to the mean. Spectra are those of the smaller of the two Gram matrices,
    in blocks of bounded memory. The array library must have eigenvalues (the extension `linalg` of
    the standard); where it has none, NumPy computes them. For NumPy arrays the blocks are shared
    among threads if threadpoolctl, which scikit-learn installs, is available.

    References
    ----------
    Fukunaga, Olsen, "An algorithm for finding intrinsic dimensionality of data", IEEE Transactions
    on Computers C-20 (1971). Levina, Bickel, "Maximum likelihood estimation of intrinsic
    dimension", NeurIPS 2004. Facco, d'Errico, Rodriguez, Laio, "Estimating the intrinsic dimension
    of datasets by a minimal neighborhood information", Scientific Reports 7 (2017).

    Examples
    --------
    A circle is a line, whatever it lies in:

    >>> import numpy as np
    >>> from zetamix.metrics import local_intrinsic_dimension
    >>> angle = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    >>> circle = np.stack([np.cos(angle), np.sin(angle), np.zeros(400)], axis=1)
    >>> float(local_intrinsic_dimension(circle, n_neighbors=16).mean())
    1.0
    """
    _check_method(method)
    _check_threshold(threshold)
    least = 3 if method == "twonn" else 2
    given = as_rows("x", x)
    _, (rows,) = normalized(given)
    rows = namespace(rows).where(are_same(given), 0.0, rows)
    if neighbors is None:
        check_neighbors(n_neighbors, rows.shape[0], least)
    else:
        _check_given(neighbors, rows, least)
    with np.errstate(divide="ignore", invalid="ignore"):
        estimate = _estimate(rows, neighbors, n_neighbors, method, threshold)
    if not is_jax_tracer(rows):
        return estimate
    xp = namespace(rows)
    return xp.where(xp.all(xp.isfinite(given)), estimate, xp.nan)


def _estimate(
    rows: Array, neighbors: Array | None, n_neighbors: int, method: str, threshold: float
) -> Array:
    if method == "mle":
        if neighbors is None:
            return _maximum_likelihood(nearest_others(rows, n_neighbors)[1])
        return _maximum_likelihood(in_order(rows, rows, neighbors)[1])
    functions: dict[str, Callable[[Array], Array]] = {
        "lpca": functools.partial(_count_above, threshold),
        "participation_ratio": _participation_ratio,
        "twonn": _fit_ratios,
    }
    neighbors = neighbor_sets(rows, n_neighbors) if neighbors is None else neighbors
    return _map_hoods(functions[method], rows, neighbors)


# --- eigenvalues ----------------------------------------------------------------------------------


def _count_above(threshold: float, hoods: Array) -> Array:
    """Count the eigenvalues above a share of the largest, as Fukunaga and Olsen do."""
    xp = namespace(hoods)
    spectra = _eigenvalues(_covariance(hoods))
    return xp.sum(cast(spectra > threshold * spectra[:, -1:], hoods.dtype), axis=1)


def _participation_ratio(hoods: Array) -> Array:
    """Divide the squared sum of the eigenvalues, a trace, by the sum of their squares, a norm."""
    xp = namespace(hoods)
    gram = _covariance(hoods)
    size = gram.shape[1]
    trace = xp.sum(xp.reshape(gram, (-1, size * size))[:, :: size + 1], axis=1)
    squares = xp.sum(gram * gram, axis=(1, 2))
    return xp.where(squares > 0, trace * trace / squares, 0.0)


def _map_hoods(function: Callable[[Array], Array], rows: Array, neighbors: Array) -> Array:
    """Apply a function to blocks of neighbourhoods (B, k, D), seen from one of their samples."""
    xp = namespace(rows)
    k, num_features = neighbors.shape[1], rows.shape[1]
    pieces = blocks(neighbors.shape[0], k * (num_features + min(k, num_features)))

    def of_block(block: slice) -> Array:
        hoods = gather(rows, neighbors[block, :])
        # From a sample rather than their mean, whose rounding would separate copies.
        return function(hoods - hoods[:, :1, :])

    in_threads = is_numpy(rows) and len(pieces) > 1
    parts = map_in_threads(of_block, pieces) if in_threads else list(map(of_block, pieces))
    return xp.concat(parts, axis=0)


def _covariance(hoods: Array) -> Array:
    """Return the smallest matrices with the eigenvalues of the covariance, times k.

    They hold the products of features or of neighbours, whichever are fewer, less those of the
    mean.
    """
    xp = namespace(hoods)
    transposed = xp.matrix_transpose(hoods)
    _, k, num_features = hoods.shape
    if num_features <= k:
        mean = xp.mean(hoods, axis=1)
        return transposed @ hoods - k * mean[:, :, None] * mean[:, None, :]
    gram = hoods @ transposed
    means = xp.mean(gram, axis=2)
    return gram - means[:, :, None] - (means - xp.mean(means, axis=1)[:, None])[:, None, :]


def _eigenvalues(matrices: Array) -> Array:
    """Return the eigenvalues of symmetric matrices, in ascending order."""
    try:
        linalg = namespace(matrices).linalg
    except (AttributeError, RuntimeError):  # the extension is missing or disabled
        return from_host(np.linalg.eigvalsh(to_host(matrices)), matrices)
    return linalg.eigvalsh(matrices)


# --- distances ------------------------------------------------------------------------------------


def _maximum_likelihood(distances: Array) -> Array:
    """Estimate from the distances (N, k) of neighbours, in ascending order."""
    xp = namespace(distances)
    apart = distances > 0
    steps = xp.log(distances[:, -1:]) - xp.log(xp.where(apart, distances, distances[:, -1:]))
    count = xp.sum(cast(apart, distances.dtype), axis=1)
    steps = xp.where(apart, steps, 0.0)
    return _where_logs(steps, (count - 1) / xp.sum(steps, axis=1), count > 1)


def _fit_ratios(hoods: Array) -> Array:
    """Fit log(1 - F) = -d log μ, F being the share of ratios up to μ, in each neighbourhood."""
    xp = namespace(hoods)
    first, second = _two_distances(hoods)
    apart = first > 0
    logs = xp.sort(xp.where(apart, xp.log(second) - xp.log(first), xp.inf), axis=1)
    count = xp.sum(cast(apart, xp.int32), axis=1, keepdims=True)
    kept = count * _KEPT[0] // _KEPT[1]
    rank = xp.arange(1, logs.shape[1] + 1, dtype=xp.int32, device=device_of(hoods))
    is_kept = rank <= kept
    logs = xp.where(is_kept, logs, 0.0)
    share = cast(rank, hoods.dtype) / cast(count, hoods.dtype)
    beyond = -xp.log(xp.where(is_kept, 1 - share, 1.0))
    slope = xp.sum(logs * beyond, axis=1) / xp.sum(logs * logs, axis=1)
    return _where_logs(logs, slope, kept[:, 0] >= 2)


def _where_logs(logs: Array, estimate: Array, defined: Array) -> Array:
    """Return an estimate that divides by logarithms (B, k): infinity where these are rounding."""
    xp = namespace(logs)
    least = ROUNDING * float(xp.finfo(logs.dtype).eps) * logs.shape[1]
    estimate = xp.where(xp.sum(logs, axis=1) > least, estimate, xp.inf)
    return xp.where(defined, estimate, 0.0)


def _two_distances(hoods: Array) -> tuple[Array, Array]:
    """Return the distances (B, k) from each neighbour to the two nearest of the others."""
    xp = namespace(hoods)
    num_hoods, k, num_features = hoods.shape
    norms = squared_norms(hoods)
    squares = (norms[:, :, None] + norms[:, None, :]) - 2 * (hoods @ xp.matrix_transpose(hoods))
    itself = xp.eye(k, dtype=xp.bool, device=device_of(hoods))
    squares = xp.reshape(xp.where(itself, xp.inf, squares), (-1, k))
    nearest = smallest(squares, 2)
    squares = take_each(squares, nearest)
    rows = xp.reshape(hoods, (-1, num_features))
    starts = xp.arange(rows.shape[0], dtype=nearest.dtype, device=device_of(hoods)) // k * k
    nearest = nearest + starts[:, None]
    norms = xp.reshape(norms, (-1, 1))
    if not are_precise(squares, gather(norms, nearest)[:, :, 0] + norms):
        squares = squared_distances(rows, rows, nearest)
    distances = xp.reshape(xp.sqrt(xp.sort(squares, axis=1)), (num_hoods, k, 2))
    return distances[:, :, 0], distances[:, :, 1]


# --- checks ---------------------------------------------------------------------------------------


def _check_method(method: Any) -> None:
    if method not in _METHODS:
        names = ", ".join(map(repr, _METHODS))
        raise ValueError(f"method must be one of {names}, got {method!r}; the default is 'lpca'")


def _check_threshold(threshold: Any) -> None:
    bounds = (math.nextafter(0, 1), math.nextafter(1, 0))
    rule = "a share of the largest eigenvalue, above 0 and less than 1"
    check_number("threshold", threshold, bounds, rule=rule, remedy="the usual one is 0.05")


def _check_given(neighbors: Any, rows: Array, least: int) -> None:
    check_is_array("neighbors", neighbors)
    if kind(neighbors) != "integer":
        raise TypeError(
            f"neighbors must be integers, the indices of samples, got dtype {neighbors.dtype}; "
            f"pass the indices that nearest_neighbors returns"
        )
    n = rows.shape[0]
    if neighbors.ndim != 2 or neighbors.shape[0] != n or neighbors.shape[1] < least:
        raise ValueError(
            f"neighbors must have shape ({n}, k) with k >= {least}, a row for each sample, got "
            f"shape {tuple(neighbors.shape)}; see nearest_neighbors"
        )
    check_same_place(rows, neighbors, "x and neighbors", "convert neighbors")
    xp = namespace(neighbors)
    if not is_jax_tracer(neighbors) and not bool(xp.all((neighbors >= 0) & (neighbors < n))):
        raise ValueError(
            f"neighbors must be indices of samples, from 0 to {n - 1}, got values from "
            f"{int(xp.min(neighbors))} to {int(xp.max(neighbors))}; see nearest_neighbors"
        )
