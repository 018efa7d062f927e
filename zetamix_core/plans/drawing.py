"""Functions that draw plans: ζ-mixup, mixup and Dirichlet mixing."""

from __future__ import annotations

from typing import Any

from zetamix_core.annotations import RNG, Donors, Gamma, SupportsSamples
from zetamix_core.arrays import Array, is_array
from zetamix_core.checks import (
    check_alpha,
    check_flag,
    check_like,
    check_num_mix,
    check_num_outputs,
    check_num_samples,
    check_size,
)
from zetamix_core.donors import Pool, checked_pool, spoiled
from zetamix_core.keywords import random_by
from zetamix_core.plans.mix import MixPlan
from zetamix_core.random import Stream, stream_for
from zetamix_core.weights import checked_gamma, series_beside

__all__ = ["dirichlet_plan", "mixup_plan", "zeta_plan"]


@random_by("rng")
def zeta_plan(
    n: int,
    *,
    gamma: Gamma = 2.8,
    num_mix: int | None = None,
    num_outputs: int | None = None,
    anchored: bool = True,
    anchors: SupportsSamples | None = None,
    donors: Donors = None,
    groups: SupportsSamples | None = None,
    rng: RNG = None,
    like: SupportsSamples | None = None,
) -> MixPlan:
    r"""Draw a ζ-mixup plan: p-series weights over random orderings of T of N samples.

    .. math:: \hat{x}_i = \sum_{r=1}^{T} w_r \, x_{s_i(r)}, \quad
              w_r = r^{-\gamma} / \sum_{j=1}^{T} j^{-\gamma}

    where each ordering :math:`s_i` is drawn uniformly.

    Parameters
    ----------
    n : int
        N, the number of samples.
    gamma : float or array of shape (M,), default 2.8
        Exponent :math:`\gamma \ge 0`, one for all outputs or one for each. The larger, the closer
        outputs stay to samples; from 1.72865 on, rank 1 outweighs all others together.
    num_mix : int, optional
        T, the number of samples in a mixture, from 1 to `n`; all of them by default.
    num_outputs : int, optional
        M, the number of outputs; `n` by default.
    anchored : bool, default True
        If true, sample ``i mod n`` has rank 1 in output i and the other ranks are uniform. If
        false, all ranks are uniform.
    anchors : array of int, shape (M,), optional
        The sample that has rank 1 in each output, in place of ``i mod n``; repeated ones are drawn
        independently.
    donors : "same", "other" or array of int, shape (N, K), optional
        Which samples a sample may be mixed with: those of its own group, those of other groups, or
        those in its row, padded with -1; by default all. All arrangements of donors are equally
        likely. Where there are fewer than T - 1, the weights of the first ranks are divided by
        their sum, and the other ranks have weight 0; without donors, a sample stays as it is.
    groups : array of int, shape (N,), optional
        The groups that `donors` refers to: classes, patients, volumes.
    rng : optional
        Source of randomness; global state is read only for ``"device"``.

        - None (fresh entropy), an int, a tuple ``(seed, *key)`` such as (seed, epoch, step, rank),
          a `numpy.random.SeedSequence` or `numpy.random.Generator`: portable, the same seed gives
          the same indices on every library and device. Entries of the key are below 2**32. For
          torch, an int64 tensor of ``(seed, *key)`` on the CPU means the same, and is traceable.
        - a `torch.Generator`, a JAX key or a CuPy generator, with `like` of that library: native,
          drawn on that device and traceable; a torch generator on the CPU seeds portable draws.
        - ``"device"``: the default generator of the library of `like` (torch, CuPy).
    like : array, optional
        Array whose library and device the plan takes; NumPy if None or a Dask array.

    Returns
    -------
    MixPlan
        `indices` of shape (M, T); `weights` of shape (T,), or (M, T) if `gamma` is an array or
        there are `donors`, and float64 if `like` is None or of double precision, else float32.

    Raises
    ------
    ValueError
        If `n` or `num_mix` is out of range, `gamma` is NaN, negative or of another length than M,
        or M · T is above 2**26.
    TypeError
        If an argument has the wrong type, or a portable `rng` is used inside a JAX transformation.

    References
    ----------
    Abhishek, Brown, Hamarneh, "Multi-sample ζ-mixup: richer, more realistic synthetic samples from
    a p-series interpolant", Journal of Big Data 11:43 (2024), section "Method".

    Examples
    --------
    >>> from zetamix import zeta_plan
    >>> plan = zeta_plan(5, num_mix=3, rng=0)
    >>> plan.indices[:, 0]
    array([0, 1, 2, 3, 4])
    >>> plan.weights.round(4)
    array([0.8405, 0.1207, 0.0388])
    """
    check_flag("anchored", anchored)
    n = check_num_samples(n)
    pool = checked_pool(
        n, num_outputs, anchored=anchored, anchors=anchors, donors=donors, groups=groups
    )
    shape = _check_shape(n, num_mix, num_outputs, pool)
    gamma = checked_gamma(gamma, like)
    return drawn_zeta(shape, gamma, anchored, stream_for(rng, like), like, pool)


def drawn_zeta(
    shape: tuple[int, int, int],
    gamma: Any,
    anchored: bool,
    stream: Stream,
    like: Array | None,
    pool: Pool | None = None,
) -> MixPlan:
    """Draw what `zeta_plan` does, from checked arguments; `shape` is (M, N, T)."""
    num_outputs, n, num_mix = shape
    several = type(gamma) is not float and is_array(gamma) and gamma.ndim > 0
    if several and gamma.shape[0] != num_outputs:
        raise ValueError(
            f"an array gamma must have one entry for each output, got {gamma.shape[0]} for "
            f"{num_outputs} outputs; pass a number to use it for all"
        )
    if pool is None:
        indices, lengths = stream.orderings(num_outputs, n, num_mix, anchored=anchored), None
    else:
        indices, lengths = drawn_indices(shape, anchored, stream, pool)
    weights, positive = series_beside(num_mix, gamma, like, lengths)
    if pool is not None:
        weights = spoiled(pool, weights)
    return MixPlan._drawn(indices, weights, n, positive=positive, distinct=lengths is None)


def drawn_indices(
    shape: tuple[int, int, int], anchored: bool, stream: Stream, pool: Pool | None
) -> tuple[Array, Array | None]:
    """Return the indices of a plan and, where these may be fewer, how many ranks a row has."""
    num_outputs, n, num_mix = shape
    if pool is None:
        return stream.orderings(num_outputs, n, num_mix, anchored=anchored), None
    indices, lengths = stream.partners(pool, num_mix)
    return indices, None if pool.donors == "all" else lengths


@random_by("rng")
def mixup_plan(
    n: int,
    *,
    alpha: float = 1.0,
    per_sample: bool = True,
    num_outputs: int | None = None,
    anchored: bool = True,
    anchors: SupportsSamples | None = None,
    donors: Donors = None,
    groups: SupportsSamples | None = None,
    rng: RNG = None,
    like: SupportsSamples | None = None,
) -> MixPlan:
    r"""Draw a mixup plan: two samples, with a Beta-distributed weight.

    .. math:: \hat{x} = \lambda x_1 + (1 - \lambda) x_2, \quad
              \lambda \sim \mathrm{Beta}(\alpha, \alpha)

    Parameters
    ----------
    n : int
        N, the number of samples. A single sample is returned as it is.
    alpha : float, default 1.0
        Positive parameter of the Beta distribution; 1 draws :math:`\lambda` uniformly.
    per_sample : bool, default True
        Whether to draw one :math:`\lambda` for each output, or one for all.
    num_outputs : int, optional
        M, the number of outputs; `n` by default.
    anchored : bool, default True
        If true, sample ``i mod n`` gets :math:`\lambda` in output i, otherwise a random sample.
        Its partner is always a different sample.
    anchors, donors, groups : optional
        Which samples get :math:`\lambda`, and what they may be mixed with, as in `zeta_plan`.
    rng : optional
        Source of randomness, as in `zeta_plan`.
    like : array, optional
        Array whose library and device the plan takes; NumPy if None or a Dask array.

    Returns
    -------
    MixPlan
        `indices` of shape (M, 2); `weights` of shape (M, 2), or (2,) if not `per_sample`. The
        weights of a portable `rng` come from NumPy's Generator, whose releases may change them.

    Raises
    ------
    ValueError
        If `n` or `alpha` is out of range.
    TypeError
        If an argument has the wrong type, or a portable `rng` is used inside a JAX transformation.

    References
    ----------
    Zhang, Cissé, Dauphin, Lopez-Paz, "mixup: Beyond Empirical Risk Minimization", ICLR 2018.

    Examples
    --------
    >>> from zetamix import mixup_plan
    >>> plan = mixup_plan(4, alpha=0.4, rng=0)
    >>> plan.weights.sum(axis=1)
    array([1., 1., 1., 1.])
    """
    return dirichlet_plan(
        n,
        alpha=alpha,
        num_mix=min(2, check_num_samples(n)),
        per_sample=per_sample,
        num_outputs=num_outputs,
        anchored=anchored,
        anchors=anchors,
        donors=donors,
        groups=groups,
        rng=rng,
        like=like,
    )


@random_by("rng")
def dirichlet_plan(
    n: int,
    *,
    alpha: float = 1.0,
    num_mix: int | None = None,
    per_sample: bool = True,
    num_outputs: int | None = None,
    anchored: bool = True,
    anchors: SupportsSamples | None = None,
    donors: Donors = None,
    groups: SupportsSamples | None = None,
    rng: RNG = None,
    like: SupportsSamples | None = None,
) -> MixPlan:
    r"""Draw a plan with symmetric Dirichlet weights over T of N samples.

    .. math:: \hat{x}_i = \sum_{r=1}^{T} w_{ir} \, x_{s_i(r)}, \quad
              (w_{i1}, \dots, w_{iT}) \sim \mathrm{Dir}(\alpha, \dots, \alpha)

    Parameters
    ----------
    n : int
        N, the number of samples.
    alpha : float, default 1.0
        Positive concentration; 1 is uniform on the simplex, less favours single samples.
    num_mix : int, optional
        T, the number of samples in a mixture, from 1 to `n`; all of them by default.
    per_sample : bool, default True
        Whether to draw weights for each output, or one row of weights for all.
    num_outputs : int, optional
        M, the number of outputs; `n` by default.
    anchored : bool, default True
        Whether sample ``i mod n`` comes first in output i; otherwise a random sample does.
    anchors, donors, groups : optional
        Which samples come first, and what they may be mixed with, as in `zeta_plan`.
    rng : optional
        Source of randomness, as in `zeta_plan`.
    like : array, optional
        Array whose library and device the plan takes; NumPy if None or a Dask array.

    Returns
    -------
    MixPlan
        `indices` of shape (M, T); `weights` of shape (M, T), or (T,) if not `per_sample`. The
        weights of a portable `rng` come from NumPy's Generator, whose releases may change them.

    Raises
    ------
    ValueError
        If `n`, `num_mix` or `alpha` is out of range, or M · T is above 2**26.
    TypeError
        If an argument has the wrong type, or a portable `rng` is used inside a JAX transformation.

    Notes
    -----
    With T = N this is the Dirichlet ablation of the ζ-mixup paper, whose samples lie far from the
    data: no rank dominates.

    Examples
    --------
    >>> from zetamix import dirichlet_plan
    >>> dirichlet_plan(6, num_mix=3, rng=0).weights.shape
    (6, 3)
    """
    check_flag("anchored", anchored)
    check_flag("per_sample", per_sample)
    n = check_num_samples(n)
    pool = checked_pool(
        n, num_outputs, anchored=anchored, anchors=anchors, donors=donors, groups=groups
    )
    shape = _check_shape(n, num_mix, num_outputs, pool)
    check_like(like)
    alpha = check_alpha(alpha)
    stream = stream_for(rng, like)
    indices, lengths = drawn_indices(shape, anchored, stream, pool)
    rows = shape[0] if per_sample else 1
    weights = stream.dirichlet(alpha, (rows, shape[2]), lengths=lengths)
    one = lengths is None and not per_sample
    weights = spoiled(pool, weights[0, :] if one else weights)
    return MixPlan._drawn(indices, weights, n, distinct=lengths is None)


def _check_shape(
    n: int, num_mix: int | None, num_outputs: int | None, pool: Pool | None
) -> tuple[int, int, int]:
    """Return M, N and T, which is at most the number of samples that any row may have."""
    num_mix = check_num_mix(num_mix, n)
    if pool is None:
        num_outputs = check_num_outputs(num_outputs, n)
    else:
        num_outputs, num_mix = pool.num_outputs, min(num_mix, pool.most)
    check_size(num_outputs, num_mix)
    return num_outputs, n, num_mix
