"""Properties of the p-series weights: sum, first, tail, and how far they move samples."""

import math

from zetamix_core.theory.arguments import Count, check_at_most, check_exponent, check_extent
from zetamix_core.theory.series import p_series_sum


def truncated_zeta(gamma: float, n: Count) -> float:
    r"""Return the truncated zeta function, the normalizer of the p-series weights.

    .. math:: H_n(\gamma) = \sum_{j=1}^{n} j^{-\gamma}

    It is also known as a generalized harmonic number.

    Parameters
    ----------
    gamma : float
        Exponent, >= 0 or ``math.inf``.
    n : int or math.inf
        Number of terms, >= 1.

    Returns
    -------
    float
        The sum. For infinite `n` it is Riemann's ζ(γ), which is infinite for γ <= 1.

    Raises
    ------
    TypeError
        If `gamma` is not a real number or `n` is neither an integer nor ``math.inf``.
    ValueError
        If `gamma` is negative or NaN, or `n` is below 1.

    See Also
    --------
    dominant_weight : Its reciprocal.

    Examples
    --------
    >>> import math
    >>> from zetamix.theory import truncated_zeta
    >>> round(truncated_zeta(1, 4), 12)  # 1 + 1/2 + 1/3 + 1/4
    2.083333333333
    >>> round(truncated_zeta(2, math.inf), 12)  # π²/6
    1.644934066848
    """
    return p_series_sum(check_exponent(gamma), 1, check_extent("n", n))


def dominant_weight(gamma: float, n: Count) -> float:
    r"""Return the weight of the first sample of an ordering, the largest of all.

    .. math:: w_1 = 1 / H_n(\gamma)

    Parameters
    ----------
    gamma : float
        Exponent, >= 0 or ``math.inf``.
    n : int or math.inf
        Number of samples in the mixture, >= 1.

    Returns
    -------
    float
        A value that rises with `gamma` from 1/n to 1. For infinite `n` it is 0 up to γ = 1.

    Raises
    ------
    TypeError
        If `gamma` is not a real number or `n` is neither an integer nor ``math.inf``.
    ValueError
        If `gamma` is negative or NaN, or `n` is below 1.

    See Also
    --------
    gamma_for_dominant_weight : The inverse in γ.

    Examples
    --------
    >>> from zetamix.theory import dominant_weight
    >>> round(dominant_weight(2.8, 32), 6)
    0.802583
    """
    return 1 / truncated_zeta(gamma, n)


def tail_weight(gamma: float, num_mix: Count, n: Count) -> float:
    r"""Return the share of the weight of n samples that a mixture of only T of them leaves out.

    .. math:: 1 - H_T(\gamma) / H_n(\gamma) = \sum_{j=T+1}^{n} j^{-\gamma} / H_n(\gamma)

    Parameters
    ----------
    gamma : float
        Exponent, >= 0 or ``math.inf``.
    num_mix : int or math.inf
        T, the number of samples in a mixture, from 1 to `n`.
    n : int or math.inf
        Number of samples in the batch, >= 1.

    Returns
    -------
    float
        A value in [0, 1). For infinite `n`, finite `num_mix` and γ <= 1 it is 1.

    Raises
    ------
    TypeError
        If `gamma` is not a real number or a count is neither an integer nor ``math.inf``.
    ValueError
        If `gamma` is negative or NaN, or `num_mix` is outside [1, n].

    See Also
    --------
    num_mix_for_tail : The inverse in T.

    Notes
    -----
    The omitted terms are summed directly, so small tails keep their digits.

    Examples
    --------
    >>> import math
    >>> from zetamix.theory import tail_weight
    >>> round(tail_weight(2.8, 16, math.inf), 4)
    0.0029
    """
    gamma, num_mix, n = (
        check_exponent(gamma),
        check_extent("num_mix", num_mix),
        check_extent("n", n),
    )
    check_at_most(num_mix, n)
    if num_mix == n:
        return 0.0
    total = p_series_sum(gamma, 1, n)
    return 1.0 if total == math.inf else p_series_sum(gamma, int(num_mix) + 1, n) / total


def effective_num_samples(gamma: float, n: Count) -> float:
    r"""Return the number of equally weighted samples that would average out noise as well.

    .. math:: \Bigl(\sum_r w_r\Bigr)^2 \Big/ \sum_r w_r^2 = H_n(\gamma)^2 / H_n(2 \gamma)

    This is Kish's effective sample size.

    Parameters
    ----------
    gamma : float
        Exponent, >= 0 or ``math.inf``.
    n : int or math.inf
        Number of samples in the mixture, >= 1.

    Returns
    -------
    float
        A value that falls with `gamma` from n to 1. For infinite `n` it is infinite up to γ = 1.

    Raises
    ------
    TypeError
        If `gamma` is not a real number or `n` is neither an integer nor ``math.inf``.
    ValueError
        If `gamma` is negative or NaN, or `n` is below 1.

    See Also
    --------
    dominant_weight : The largest of the weights.

    Examples
    --------
    >>> from zetamix.theory import effective_num_samples
    >>> round(effective_num_samples(2.8, 32), 5)
    1.517
    """
    gamma, n = check_exponent(gamma), check_extent("n", n)
    total = p_series_sum(gamma, 1, n)
    return total if total == math.inf else total * (total / p_series_sum(2 * gamma, 1, n))


def displacement(gamma: float, num_mix: Count) -> float:
    r"""Return the root-mean-square distance from an anchored output to its own sample.

    .. math:: d = \sqrt{1 - 2 w_1 + \sum_{r=1}^{T} w_r^2}, \quad
        \mathrm{E} \lVert \hat{x}_i - x_i \rVert^2 = d^2 \, \mathrm{tr} \, \mathrm{Cov}(x)

    Its unit is the root of the total variance of the data.

    Parameters
    ----------
    gamma : float
        Exponent, >= 0 or ``math.inf``.
    num_mix : int or math.inf
        Number of samples in the mixture, >= 1.

    Returns
    -------
    float
        A value that falls with `gamma` from :math:`\sqrt{1 - 1/T}` to 0. For infinite `num_mix`
        it is 1 up to γ = 1.

    Raises
    ------
    TypeError
        If `gamma` is not a real number or `num_mix` is neither an integer nor ``math.inf``.
    ValueError
        If `gamma` is negative or NaN, or `num_mix` is below 1.

    See Also
    --------
    gamma_for_displacement : The inverse in γ.

    Notes
    -----
    For independent and identically distributed samples the identity needs only a finite covariance.
    For a given batch, in the mean over its samples and their anchored orderings, it is exact with
    the unbiased (n - 1) sample covariance.
    Small displacements keep their digits.

    Examples
    --------
    >>> from zetamix.theory import displacement
    >>> round(displacement(2.8, 32), 3)
    0.232
    """
    return root_displacement(check_exponent(gamma), check_extent("num_mix", num_mix))


def root_displacement(gamma: float, num_mix: float) -> float:
    """√((1 - w_1)² + Σ_{r>=2} w_r²), which does not cancel."""
    if num_mix == 1:
        return 0.0
    if gamma > 128:  # only rank 2 remains, and its square would underflow
        return math.sqrt(2) * math.pow(2, -gamma)
    total = p_series_sum(gamma, 1, num_mix)
    if total == math.inf:
        return 1.0
    others = p_series_sum(gamma, 2, num_mix)
    squares = p_series_sum(2 * gamma, 2, num_mix)
    return math.hypot(others, math.sqrt(squares)) / total
