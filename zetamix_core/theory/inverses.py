"""Which γ and T have a wanted effect: roots and inverses of the weights."""

import math
from collections.abc import Callable

from zetamix_core.checks import check_number
from zetamix_core.theory.arguments import LARGEST, Count, check_exponent, check_extent
from zetamix_core.theory.concentration import dominant_weight, root_displacement, tail_weight


def dominance_threshold(n: Count = math.inf) -> float:
    r"""Return the smallest γ at which one sample weighs as much as all the others together.

    .. math:: \gamma_{\min}(n): \quad \sum_{j=2}^{n} j^{-\gamma} = 1,
        \quad \text{that is} \quad w_1 = 1/2

    Parameters
    ----------
    n : int or math.inf, optional
        Number of samples in the mixture, >= 1. By default infinite, which gives the bound that
        holds for every `n`.

    Returns
    -------
    float
        A value that rises with `n` to 1.72864723899818...; 0 for one or two samples.

    Raises
    ------
    TypeError
        If `n` is neither an integer nor ``math.inf``.
    ValueError
        If `n` is below 1.

    See Also
    --------
    gamma_for_dominant_weight : The same for weights other than 1/2.

    References
    ----------
    Abhishek, Brown, Hamarneh, "Multi-sample ζ-mixup: richer, more realistic synthetic samples from
    a p-series interpolant", Journal of Big Data 11:43 (2024), the theorem on dominance,
    where it is rounded up to 1.72865.

    Examples
    --------
    >>> from zetamix.theory import dominance_threshold
    >>> round(dominance_threshold(), 12)
    1.728647238998
    >>> round(dominance_threshold(32), 12)
    1.650534861042
    """
    n = check_extent("n", n)
    return 0.0 if n <= 2 else gamma_for_dominant_weight(0.5, n)


def gamma_for_dominant_weight(weight: float, n: Count) -> float:
    r"""Return the smallest γ that gives the first sample of an ordering a given weight.

    .. math:: \gamma: \quad 1 / H_n(\gamma) = w_1

    Parameters
    ----------
    weight : float
        Weight :math:`w_1` of the dominant sample, from 1/n to 1.
    n : int or math.inf
        Number of samples in the mixture, >= 1.

    Returns
    -------
    float
        The exponent: 0 for the weight 1/n, ``math.inf`` for the weight 1 (if `n` > 1).

    Raises
    ------
    TypeError
        If `weight` is not a real number or `n` is neither an integer nor ``math.inf``.
    ValueError
        If `weight` is outside [1/n, 1], or `n` is below 1.

    See Also
    --------
    dominant_weight : The inverse.

    Examples
    --------
    >>> from zetamix.theory import gamma_for_dominant_weight
    >>> round(gamma_for_dominant_weight(0.8, 32), 6)
    2.784094
    """
    n = check_extent("n", n)
    lowest = dominant_weight(0, n)
    target = check_number(
        "weight",
        weight,
        (lowest, 1),
        rule=f"a number in [1/n, 1] = [{lowest}, 1]",
        remedy="only more samples (n) go below 1/n",
    )
    if target == lowest:
        return 0.0
    return math.inf if target == 1 else _root(lambda gamma: dominant_weight(gamma, n) - target)


def gamma_for_displacement(displacement: float, num_mix: Count) -> float:
    r"""Return the smallest γ that moves anchored samples by a given distance.

    .. math:: \gamma: \quad \sqrt{1 - 2 w_1 + \sum_{r=1}^{T} w_r^2} = d

    Parameters
    ----------
    displacement : float
        Distance d in units of the root of the data's total variance, from 0 to
        :math:`\sqrt{1 - 1/T}`.
    num_mix : int or math.inf
        T, the number of samples in the mixture, >= 1.

    Returns
    -------
    float
        The exponent: 0 for :math:`\sqrt{1 - 1/T}`, ``math.inf`` for 0 (if `num_mix` > 1).

    Raises
    ------
    TypeError
        If `displacement` is not a real number or `num_mix` is neither an integer nor
        ``math.inf``.
    ValueError
        If `displacement` is outside its range, or `num_mix` is below 1.

    See Also
    --------
    displacement : The inverse.

    Notes
    -----
    At large T, displacements just below 1 belong to very different γ, so γ loses digits there.

    Examples
    --------
    >>> from zetamix.theory import gamma_for_displacement
    >>> round(gamma_for_displacement(0.2, 32), 6)
    3.002647
    """
    num_mix = check_extent("num_mix", num_mix)
    highest = root_displacement(0, num_mix)
    target = check_number(
        "displacement",
        displacement,
        (0, highest),
        rule=f"a number in [0, √(1 - 1/T)] = [0, {highest}]",
        remedy="only more samples (num_mix) reach further",
    )
    if target == highest:
        return 0.0
    return (
        math.inf if target == 0 else _root(lambda gamma: target - root_displacement(gamma, num_mix))
    )


def num_mix_for_tail(tail: float, gamma: float, n: Count = math.inf) -> int:
    r"""Return the smallest T that leaves out no more than a given share of the weight.

    .. math:: \min \{ T : 1 - H_T(\gamma) / H_n(\gamma) \le \text{tail} \}

    Parameters
    ----------
    tail : float
        Share of the weight that may be left out, from 0 to 1; above 0 if `n` is infinite.
    gamma : float
        Exponent, >= 0 or ``math.inf``; well above 1 if `n` is infinite.
    n : int or math.inf, optional
        Number of samples in the batch, >= 1. By default infinite, which serves every `n`.

    Returns
    -------
    int
        The number of samples to mix, from 1 to `n`.

    Raises
    ------
    TypeError
        If `tail` or `gamma` is not a real number or `n` is neither an integer nor ``math.inf``.
    ValueError
        If `tail` is outside its range, `gamma` is negative or NaN, `n` is below 1, or `n` is
        infinite and no T is enough, as for γ <= 1, or only a T beyond 2**1000.

    See Also
    --------
    tail_weight : The inverse.

    Examples
    --------
    >>> from zetamix.theory import num_mix_for_tail
    >>> num_mix_for_tail(0.01, 2.8)
    8
    >>> num_mix_for_tail(0.01, 2.8, n=16)
    7
    """
    gamma, n = check_exponent(gamma), check_extent("n", n)
    tail = check_number(
        "tail", tail, (0, 1), rule="a number in [0, 1]", remedy="pass a share, such as 0.01"
    )
    if tail == 0 and n == math.inf:
        raise ValueError("tail must be > 0 for infinite n, got 0.0; pass the batch size as n")
    limit = int(min(n, LARGEST))
    if tail_weight(gamma, limit, n) > tail:
        raise ValueError(
            f"tail must be within reach of a T <= 2**1000, got tail={tail} at gamma={gamma} and "
            f"n={n}; raise gamma or tail, or pass the batch size as n"
        )
    low = high = 1
    while tail_weight(gamma, high, n) > tail:
        low, high = high + 1, min(2 * high, limit)
    while low < high:
        middle = (low + high) // 2
        if tail_weight(gamma, middle, n) > tail:
            low = middle + 1
        else:
            high = middle
    return low


# mixup, and counting --------------------------------------------------------------------------


def mixup_gamma(lam: float) -> float:
    r"""Return the γ at which ζ-mixup of two samples is mixup with coefficient λ.

    .. math:: \gamma = \log_2 \frac{\lambda}{1 - \lambda}

    Parameters
    ----------
    lam : float
        Coefficient λ of the dominant sample, in [1/2, 1).

    Returns
    -------
    float
        The exponent, >= 0.

    Raises
    ------
    TypeError
        If `lam` is not a real number.
    ValueError
        If `lam` is outside [1/2, 1).

    See Also
    --------
    mixup_lambda : The inverse.

    Notes
    -----
    Below 1/2 the other sample dominates: exchange the two, and λ becomes 1 - λ.

    References
    ----------
    Abhishek, Brown, Hamarneh, "Multi-sample ζ-mixup: richer, more realistic synthetic samples from
    a p-series interpolant", Journal of Big Data 11:43 (2024), the theorem that mixup is a
    special case of ζ-mixup.

    Examples
    --------
    >>> from zetamix.theory import mixup_gamma
    >>> round(mixup_gamma(0.8), 12)
    2.0
    """
    lam = check_number(
        "lam",
        lam,
        (0.5, math.nextafter(1, 0)),
        rule="a number in [1/2, 1)",
        remedy="below 1/2 exchange the two samples (1 - lam); at 1 use gamma=math.inf",
    )
    return math.log1p((2 * lam - 1) / (1 - lam)) / math.log(2)


def mixup_lambda(gamma: float) -> float:
    r"""Return the coefficient λ with which mixup is ζ-mixup of two samples.

    .. math:: \lambda = \frac{1}{1 + 2^{-\gamma}}

    Parameters
    ----------
    gamma : float
        Exponent, >= 0 or ``math.inf``.

    Returns
    -------
    float
        The coefficient of the dominant sample, from 1/2 to 1.

    Raises
    ------
    TypeError
        If `gamma` is not a real number.
    ValueError
        If `gamma` is negative or NaN.

    See Also
    --------
    mixup_gamma : The inverse.

    Examples
    --------
    >>> from zetamix.theory import mixup_lambda
    >>> round(mixup_lambda(2), 12)
    0.8
    """
    return 1 / (1 + math.pow(2, -check_exponent(gamma)))


def _root(rising: Callable[[float], float]) -> float:
    """Find the γ > 0 at which a function that is negative at 0 changes its sign."""
    # Not at the top: SciPy's optimizers take longer to import than everything else.
    from scipy.optimize import root_scalar

    low, high = 0.0, 1.0
    while rising(high) < 0:
        low, high = high, 2 * high
    # Only relative precision counts, and a root near 0 may take more than the usual 100 halvings.
    solution = root_scalar(
        rising, method="brentq", bracket=(low, high), xtol=1e-300, rtol=1e-15, maxiter=1000
    )
    return float(solution.root)
