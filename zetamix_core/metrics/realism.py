"""How near synthetic samples are to real ones, and how many real ones they cover."""

from __future__ import annotations

import math
from typing import NamedTuple

from zetamix_core.arrays import Array, device_of, namespace
from zetamix_core.dtypes import cast
from zetamix_core.metrics.neighbors import nearest_others, nearest_rows, squared_norms
from zetamix_core.metrics.samples import (
    are_same,
    as_rows,
    blocks,
    check_neighbors,
    check_same_features,
    normalized,
    widened,
)

__all__ = ["RealismDiversity", "displacement", "nearest_distance", "realism_diversity"]

_ROUNDING = 8  # error of products of rows, in units of the precision times squared norms


class RealismDiversity(NamedTuple):
    """What `realism_diversity` returns.

    Parameters
    ----------
    precision : float
        Share of synthetic samples in the neighbourhood of any real one.
    recall : float
        Share of real samples in the neighbourhood of any synthetic one.
    density : float
        Mean number of real neighbourhoods that contain a synthetic sample, divided by the number
        of neighbours; it may exceed 1.
    coverage : float
        Share of real samples whose neighbourhood contains a synthetic sample.

    Examples
    --------
    >>> import numpy as np
    >>> from zetamix.metrics import realism_diversity
    >>> real = np.arange(8.0)[:, None]
    >>> realism_diversity(real, real + 0.5, n_neighbors=2).coverage
    1.0
    """

    precision: float
    recall: float
    density: float
    coverage: float


def realism_diversity(real: Array, synthetic: Array, *, n_neighbors: int = 5) -> RealismDiversity:
    r"""Measure realism (precision, density) and diversity (recall, coverage) of synthetic samples.

    The neighbourhood of a sample is the open ball :math:`B` up to its k-th nearest neighbour within
    its own set. For real samples :math:`x_i` and synthetic ones :math:`\hat{x}_j`,

    .. math:: \mathrm{precision} = \frac{1}{M} \sum_j
                  \mathbf{1}\Bigl[\hat{x}_j \in \bigcup_i B(x_i)\Bigr], \quad
              \mathrm{recall} = \frac{1}{N} \sum_i
                  \mathbf{1}\Bigl[x_i \in \bigcup_j B(\hat{x}_j)\Bigr],

    .. math:: \mathrm{density} = \frac{1}{k M} \sum_j \sum_i
                  \mathbf{1}\bigl[\hat{x}_j \in B(x_i)\bigr], \quad
              \mathrm{coverage} = \frac{1}{N} \sum_i
                  \mathbf{1}\bigl[\exists j: \hat{x}_j \in B(x_i)\bigr].

    Parameters
    ----------
    real : array, shape (N, ...)
        Real samples, finite; trailing axes are flattened. Dask arrays are computed.
    synthetic : array, shape (M, ...)
        Samples to judge, with the same features, of the library and device of `real`.
    n_neighbors : int, default 5
        k, less than the number of samples in either set.

    Returns
    -------
    RealismDiversity
        Four numbers: `precision`, `recall`, `density` and `coverage`.

    Raises
    ------
    ValueError
        If there are too few samples, their features differ in number, or some are NaN or infinite.
    TypeError
        If the sets are not arrays of real numbers of the same library.

    Notes
    -----
    All four are 1 where the synthetic samples are the real ones, if no two distances are equal: a
    sample exactly on the border of a ball is outside, and so is one that rounding can't distinguish
    from it. The balls of more than k copies have radius 0 and are empty. Distances are computed in
    double precision, except in JAX without its 64-bit mode, where radii below about 1e-3 of the
    spread of the data are lost in rounding. Results are Python numbers, so this function can't be
    part of a compiled program.

    References
    ----------
    Kynkäänniemi, Karras, Laine, Lehtinen, Aila, "Improved precision and recall metric for assessing
    generative models", NeurIPS 2019. Naeem, Oh, Uh, Choi, Yoo, "Reliable fidelity and diversity
    metrics for generative models", ICML 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from zetamix.metrics import realism_diversity
    >>> real = np.random.default_rng(0).normal(size=(500, 2))
    >>> realism_diversity(real, real)
    RealismDiversity(precision=1.0, recall=1.0, density=1.0, coverage=1.0)
    >>> realism_diversity(real, real + 10).precision
    0.0
    """
    real, synthetic = as_rows("real", real), as_rows("synthetic", synthetic)
    check_same_features(real, synthetic, "real and synthetic")
    check_neighbors(n_neighbors, min(real.shape[0], synthetic.shape[0]))
    xp = namespace(real)
    # In double precision: neighbours may be far closer to each other than to the mean.
    _, (real, synthetic) = normalized(widened(real), widened(cast(synthetic, real.dtype)))
    real_norms, norms = squared_norms(real), squared_norms(synthetic)
    rounding = _ROUNDING * float(xp.finfo(real.dtype).eps)
    around_real = _squared_radii(real, n_neighbors) - rounding * real_norms
    around = _squared_radii(synthetic, n_neighbors) - rounding * norms
    num_precise = num_balls = 0
    recalled = covered = xp.zeros_like(real_norms, dtype=xp.bool)
    for block in blocks(synthetic.shape[0], real.shape[0]):
        column = norms[block][:, None]
        squares = column + real_norms - 2 * (synthetic[block, :] @ real.T)
        in_real = squares < around_real - rounding * column
        in_synthetic = squares < around[block][:, None] - rounding * real_norms
        num_balls += _count(in_real)
        num_precise += _count(xp.any(in_real, axis=1))
        covered = covered | xp.any(in_real, axis=0)
        recalled = recalled | xp.any(in_synthetic, axis=0)
    num_real, num_synthetic = real.shape[0], synthetic.shape[0]
    return RealismDiversity(
        precision=num_precise / num_synthetic,
        recall=_count(recalled) / num_real,
        density=num_balls / (n_neighbors * num_synthetic),
        coverage=_count(covered) / num_real,
    )


def nearest_distance(real: Array, synthetic: Array) -> Array:
    r"""Return the distance of each synthetic sample to the nearest real one.

    .. math:: \min_i \lVert \hat{x}_j - x_i \rVert_2

    Parameters
    ----------
    real : array, shape (N, ...)
        Real samples, finite; trailing axes are flattened. Dask arrays are computed.
    synthetic : array, shape (M, ...)
        Samples to judge, with the same features, of the library and device of `real`.

    Returns
    -------
    array, shape (M,)
        Distances in the units of the features, computed from differences, so copies are at 0.

    Raises
    ------
    ValueError
        If the features of the sets differ in number, or some are NaN or infinite.
    TypeError
        If the sets are not arrays of real numbers of the same library.

    Examples
    --------
    >>> import numpy as np
    >>> from zetamix.metrics import nearest_distance
    >>> nearest_distance(np.asarray([[0.0, 0.0], [3.0, 4.0]]), np.asarray([[0.0, 1.0]]))
    array([1.])
    """
    real, synthetic = as_rows("real", real), as_rows("synthetic", synthetic)
    check_same_features(real, synthetic, "real and synthetic")
    scale, (real, synthetic) = normalized(real, cast(synthetic, real.dtype))
    return nearest_rows(real, synthetic, 1)[1][:, 0] * scale


def displacement(x: Array, mixed: Array) -> float:
    r"""Measure how far mixed samples are from the samples that they belong to.

    .. math:: \sqrt{\frac{\frac{1}{M} \sum_i \lVert \hat{x}_i - x_{i \bmod N} \rVert^2}
                         {\sum_d \mathrm{Var}(x_d)}}

    in units of the root total variance of the data; `zetamix_core.theory.displacement` predicts it.

    Parameters
    ----------
    x : array, shape (N, ...)
        The originals, finite, at least two; trailing axes are flattened. Dask arrays are computed.
    mixed : array, shape (M, ...)
        The outputs of an anchored plan: output i belongs to sample i mod N.

    Returns
    -------
    float
        The root mean square; 0 where nothing moved, even if there is no variance.

    Raises
    ------
    ValueError
        If there is only one sample, the features differ in number, or some are NaN or infinite.
    TypeError
        If the arguments are not arrays of real numbers of the same library.

    See Also
    --------
    nearest_distance : Distance to any sample.

    Examples
    --------
    >>> import numpy as np
    >>> from zetamix import theory, zeta_mixup
    >>> from zetamix.metrics import displacement
    >>> x = np.random.default_rng(0).normal(size=(1000, 8))
    >>> mixed, _ = zeta_mixup(x, num_mix=32, rng=0)
    >>> round(displacement(x, mixed), 2), round(theory.displacement(2.8, 32), 2)
    (0.23, 0.23)
    """
    x, mixed = as_rows("x", x), as_rows("mixed", mixed)
    check_same_features(x, mixed, "x and mixed")
    if x.shape[0] < 2:
        raise ValueError("x must have two samples or more to vary, got one; pass the whole data")
    xp = namespace(x)
    mixed = cast(mixed, x.dtype)
    own = xp.take(x, xp.arange(mixed.shape[0], device=device_of(x)) % x.shape[0], axis=0)
    return root_mean_square_step(x, mixed, own)


def root_mean_square_step(rows: Array, mixed: Array, starts: Array) -> float:
    """Return how far mixed rows are from one row each, in units of the spread of `rows`."""
    xp = namespace(rows)
    if bool(are_same(xp.stack([mixed, starts]))):
        return 0.0  # rather than a quotient of rounding errors
    scale, (rows,) = normalized(rows)
    steps = (mixed / scale) - (starts / scale)
    return in_units_of_spread(xp.sqrt(squared_norms(steps)), rows)


def in_units_of_spread(distances: Array, rows: Array) -> float:
    """Return the root mean square of distances over the root total variance."""
    xp = namespace(rows)
    step = math.sqrt(float(xp.mean(distances * distances)))
    if step == 0:
        return 0.0
    spread = math.sqrt(float(xp.sum(xp.var(rows, axis=0, correction=1))))
    return step / spread if spread else math.inf


def _squared_radii(rows: Array, n_neighbors: int) -> Array:
    """Return the squared distance of each row to its k-th neighbour."""
    return nearest_others(rows, n_neighbors)[1][:, -1] ** 2


def _count(hits: Array) -> int:
    xp = namespace(hits)
    return int(xp.sum(cast(hits, xp.int32)))
