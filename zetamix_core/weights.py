"""The p-series weights of ζ-mixup."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from zetamix_core.annotations import Gamma, SupportsSamples
from zetamix_core.arrays import (
    Array,
    Namespace,
    device_of,
    from_host,
    is_array,
    is_cupy,
    is_dask,
    is_numpy,
    is_torch,
    library,
    namespace,
    torch_is_compiling,
)
from zetamix_core.checks import check_count, check_gamma, check_like, check_same_place
from zetamix_core.dtypes import cast, host_dtype, weights_dtype, widest_float
from zetamix_core.rounding import on_grid

__all__ = ["zeta_weights"]


def zeta_weights(num_mix: int, *, gamma: Gamma, like: SupportsSamples | None = None) -> Array:
    r"""Return the normalized p-series weights of a mixture of T samples.

    .. math:: w_r = r^{-\gamma} / H_T(\gamma), \quad H_T(\gamma) = \sum_{j=1}^{T} j^{-\gamma}

    Parameters
    ----------
    num_mix : int
        T, the number of samples in a mixture, at least 1.
    gamma : float or array
        Exponent :math:`\gamma \ge 0`, or an array (M,) with one for each output. Infinity gives
        weight 1 to rank 1, zero gives equal weights.
    like : array, optional
        Array whose library and device the weights take; NumPy if None. An array `gamma` must be of
        that library or of NumPy.

    Returns
    -------
    array of shape (T,), or (M, T) for an array `gamma` of shape (M,)
        Decreasing weights that sum to one along the last axis. float64 if `like` is None or of
        double precision, else float32. Differentiable in an array `gamma` where the library is.

    Raises
    ------
    ValueError
        If `num_mix` is below 1, or `gamma` is NaN or negative. On accelerators and while tracing,
        where the check would synchronize, a bad `gamma` gives NaN weights instead.
    TypeError
        If `gamma` is an array of another library than `like`.

    References
    ----------
    Abhishek, Brown, Hamarneh, "Multi-sample ζ-mixup: richer, more realistic synthetic samples from
    a p-series interpolant", Journal of Big Data 11:43 (2024), section "Method".

    Examples
    --------
    >>> from zetamix import zeta_weights
    >>> zeta_weights(4, gamma=2.8).round(4)
    array([0.8262, 0.1186, 0.0381, 0.017 ])
    """
    num_mix = check_count("num_mix", num_mix)
    weights, _ = series_beside(num_mix, checked_gamma(gamma, like), like)
    # A copy, because cached weights must not be written to.
    return weights.copy() if is_numpy(weights) else weights


def checked_gamma(gamma: Any, like: Array | None) -> Any:
    """Return a checked γ, also checked against the library of `like`."""
    check_like(like)
    gamma = check_gamma(gamma)
    if type(gamma) is not float:
        _check_library(gamma, like)
    return gamma


def series_beside(
    num_mix: int, gamma: Any, like: Array | None, lengths: Array | None = None
) -> tuple[Array, bool | None]:
    """Return what `zeta_weights` does, from checked arguments, and whether all ranks have weight.

    With `lengths` (M,), row i is the series of ``lengths[i]`` ranks, followed by zeros. Weights
    that NumPy made on the host must not be written to. The second value is None if it is not known.
    """
    if lengths is not None:
        return _series_of_lengths(num_mix, gamma, like, lengths), None
    dtype = weights_dtype(like)
    if _computes_on_host(gamma, like):
        remembered = isinstance(gamma, float) and num_mix <= _MAX_REMEMBERED
        series = _remembered_series if remembered else _series_on_host
        weights = series(num_mix, gamma, host_dtype(dtype))
        return cast(from_host(weights, like), dtype), bool((weights[..., -1] > 0).all())
    xp = namespace(like)
    gamma = _as_floating(gamma, like)
    ranks = xp.arange(1, num_mix + 1, dtype=gamma.dtype, device=device_of(gamma))
    return on_grid(_p_series(xp, ranks, gamma), dtype), None


def _series_of_lengths(num_mix: int, gamma: Any, like: Array | None, lengths: Array) -> Array:
    dtype = weights_dtype(like)
    if is_numpy(lengths) and (is_numpy(gamma) or not is_array(gamma)):
        series = _series_of_rows(num_mix, gamma, host_dtype(dtype), lengths)
        return cast(from_host(series, like), dtype)
    gamma = _as_floating(gamma, lengths if like is None else like)
    lengths = from_host(lengths, gamma) if is_numpy(lengths) else lengths
    xp = namespace(gamma)
    ranks = xp.arange(1, num_mix + 1, dtype=gamma.dtype, device=device_of(gamma))
    return on_grid(_first_ranks(xp, _p_series(xp, ranks, gamma), lengths), dtype)


def _series_of_rows(num_mix: int, gamma: Any, dtype: Any, lengths: np.ndarray) -> np.ndarray:
    """Return a series for each row, computed once for all rows of one length."""
    if np.ndim(gamma):
        return _series_on_host(num_mix, gamma, dtype, lengths)
    occurs = np.bincount(lengths) > 0
    places = np.cumsum(occurs) - 1
    found = np.flatnonzero(occurs)
    series: np.ndarray = _series_on_host(num_mix, gamma, dtype, found)[places[lengths]]
    series.flags.writeable = False
    return series


def _first_ranks(xp: Namespace, series: Array, lengths: Array) -> Array:
    """Return series of which each row keeps its first ``lengths[i]`` ranks."""
    ranks = xp.arange(series.shape[-1], dtype=lengths.dtype, device=device_of(lengths))
    return xp.where(ranks < lengths[:, None], series, xp.zeros_like(series))


def _series_on_host(
    num_mix: int, gamma: Any, dtype: Any, lengths: np.ndarray | None = None
) -> np.ndarray:
    # In more digits than the result, where the platform has them: rounding the terms and their sum
    # would move weights, too.
    wide: Any = np.longdouble if dtype == np.float64 else np.float64
    ranks = np.arange(1, num_mix + 1, dtype=wide)
    series = _p_series(np, ranks, np.asarray(gamma, dtype=wide))
    if lengths is not None:
        series = _first_ranks(np, series, lengths)
    series = np.asarray(on_grid(series, dtype))
    series.flags.writeable = False
    return series


# Most batches have the same weights as the last one, and arithmetic on few numbers is slow after
# samples have flushed the caches.
_remembered_series = functools.lru_cache(maxsize=32)(_series_on_host)
_MAX_REMEMBERED = 4096


def _check_library(gamma: Any, like: Array | None) -> None:
    """Check that an array gamma is of NumPy or of the library of `like`."""
    if not is_array(gamma) or is_numpy(gamma):
        return
    if like is None or is_numpy(like) or is_dask(like):
        where = "like=None, which means NumPy" if like is None else f"a {library(like)} array"
        raise TypeError(
            f"an array gamma must be of NumPy or of the library of like, got a {library(gamma)} "
            f"array and {where}; pass like=gamma, or convert gamma with numpy.asarray"
        )
    check_same_place(like, gamma, "like and gamma", "convert gamma, or pass a float")


def _computes_on_host(gamma: Any, like: Array | None) -> bool:
    """Tell whether NumPy can compute it, in double precision, without a transfer from a device."""
    if type(gamma) is not float and is_array(gamma) and not is_numpy(gamma):
        return False
    if is_torch(like):
        return not torch_is_compiling()
    return not is_cupy(like)


def _as_floating(gamma: Any, like: Array) -> Array:
    """Return gamma in double precision where the library has it, which keeps digits of terms."""
    if is_array(gamma) and not is_numpy(gamma):
        return cast(gamma, widest_float(gamma))
    place = {"dtype": widest_float(like), "device": device_of(like)}
    if is_array(gamma):
        return namespace(like).asarray(gamma, **place)
    return namespace(like).full((), gamma, **place)  # not sent there


def _p_series(xp: Namespace, ranks: Array, gamma: Array) -> Array:
    # 1 to any power is 1, so an infinite gamma needs no special case; NaN and negative ones do.
    return xp.where(gamma[..., None] >= 0, ranks ** -gamma[..., None], xp.nan)
