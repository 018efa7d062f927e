"""What a choice of γ and T means, in numbers, before any sample is mixed.

Everything here follows from the weights ``w_r = r^-γ / H_T(γ)``, where
``H_T(γ) = Σ_{j=1..T} j^-γ`` is the T-truncated zeta function. Arguments and results are plain
Python numbers, accurate to about 1e-14 relative for batches from one sample to infinity.
"""

import contextlib
import math
import operator
from collections.abc import Callable
from numbers import Real
from typing import Any, SupportsIndex, TypeAlias

from zetamix_core.inputs import shown

__all__ = [
    "displacement",
    "dominance_threshold",
    "dominant_weight",
    "effective_num_samples",
    "gamma_for_displacement",
    "gamma_for_dominant_weight",
    "log_num_orderings",
    "mixup_gamma",
    "mixup_lambda",
    "num_mix_for_tail",
    "num_orderings",
    "tail_weight",
    "truncated_zeta",
]

_Count: TypeAlias = SupportsIndex | float  # an integer, or math.inf

_LARGEST = 2**1000  # of counts, and the search for T ends here: sums over so many fit a float
_MOST_FACTORS = 2**26  # of a product that is written down

# Euler-Maclaurin starts after a head of terms that are summed one by one. With 40 of them a large
# γ leaves nothing behind, and three corrections B_2k / (2k)! reach double precision otherwise.
_HEAD = 40
_BERNOULLI = (1 / 12, -1 / 720, 1 / 30240)


# The weights ----------------------------------------------------------------------------------


def truncated_zeta(gamma: float, n: _Count) -> float:
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
    return _p_series_sum(_gamma(gamma), 1, _count("n", n))


def dominant_weight(gamma: float, n: _Count) -> float:
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


def tail_weight(gamma: float, num_mix: _Count, n: _Count) -> float:
    r"""Return the share of the weight of n samples that mixing only T of them leaves out.

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
    The terms that are left out are summed themselves, so small tails keep their digits.

    Examples
    --------
    >>> import math
    >>> from zetamix.theory import tail_weight
    >>> round(tail_weight(2.8, 16, math.inf), 4)
    0.0029
    """
    gamma, num_mix, n = _gamma(gamma), _count("num_mix", num_mix), _count("n", n)
    _check_num_mix(num_mix, n)
    if num_mix == n:
        return 0.0
    total = _p_series_sum(gamma, 1, n)
    return 1.0 if total == math.inf else _p_series_sum(gamma, int(num_mix) + 1, n) / total


def effective_num_samples(gamma: float, n: _Count) -> float:
    r"""Return how many equally weighted samples would average away as much noise.

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
    gamma, n = _gamma(gamma), _count("n", n)
    total = _p_series_sum(gamma, 1, n)
    return total if total == math.inf else total * (total / _p_series_sum(2 * gamma, 1, n))


def displacement(gamma: float, num_mix: _Count) -> float:
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
    For independent and identically distributed samples the identity needs nothing but a finite
    covariance. For the batch at hand, in the mean over its samples and their anchored orderings,
    it is exact with the unbiased (n - 1) sample covariance.
    Small displacements keep their digits.

    Examples
    --------
    >>> from zetamix.theory import displacement
    >>> round(displacement(2.8, 32), 3)
    0.232
    """
    return _displacement(_gamma(gamma), _count("num_mix", num_mix))


# Choosing γ and T -----------------------------------------------------------------------------


def dominance_threshold(n: _Count = math.inf) -> float:
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
    gamma_for_dominant_weight : The same for another weight than 1/2.

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
    n = _count("n", n)
    return 0.0 if n <= 2 else gamma_for_dominant_weight(0.5, n)


def gamma_for_dominant_weight(weight: float, n: _Count) -> float:
    r"""Return the smallest γ that gives the first sample of an ordering a wanted weight.

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
    n = _count("n", n)
    lowest = dominant_weight(0, n)
    target = _number(
        "weight",
        weight,
        (lowest, 1),
        rule=f"in [1/n, 1] = [{lowest}, 1]",
        remedy="only more samples (n) go below 1/n",
    )
    if target == lowest:
        return 0.0
    return math.inf if target == 1 else _root(lambda gamma: dominant_weight(gamma, n) - target)


def gamma_for_displacement(displacement: float, num_mix: _Count) -> float:
    r"""Return the smallest γ that moves anchored samples by a wanted distance.

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
    At large T displacements just below 1 belong to very different γ, so γ loses digits there.

    Examples
    --------
    >>> from zetamix.theory import gamma_for_displacement
    >>> round(gamma_for_displacement(0.2, 32), 6)
    3.002647
    """
    num_mix = _count("num_mix", num_mix)
    highest = _displacement(0, num_mix)
    target = _number(
        "displacement",
        displacement,
        (0, highest),
        rule=f"in [0, √(1 - 1/T)] = [0, {highest}]",
        remedy="only more samples (num_mix) reach further",
    )
    if target == highest:
        return 0.0
    return math.inf if target == 0 else _root(lambda gamma: target - _displacement(gamma, num_mix))


def num_mix_for_tail(tail: float, gamma: float, n: _Count = math.inf) -> int:
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
        infinite and no T is enough, as for γ <= 1, or only one beyond 2**1000.

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
    gamma, n = _gamma(gamma), _count("n", n)
    tail = _number("tail", tail, (0, 1), rule="in [0, 1]", remedy="pass a share, such as 0.01")
    if tail == 0 and n == math.inf:
        raise ValueError("tail must be > 0 for infinite n, got 0.0; pass the batch size as n")
    limit = int(min(n, _LARGEST))
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
    lam = _number(
        "lam",
        lam,
        (0.5, math.nextafter(1, 0)),
        rule="in [1/2, 1)",
        remedy="below 1/2 exchange the two samples (1 - lam); at 1 take gamma=math.inf",
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
    return 1 / (1 + math.pow(2, -_gamma(gamma)))


def num_orderings(
    n: SupportsIndex, num_mix: SupportsIndex | None = None, *, anchored: bool = False
) -> int:
    r"""Return the number of orderings, so of new samples, that a batch has at one γ.

    .. math:: \frac{n!}{(n - T)!}, \quad \text{or} \quad \frac{(n - 1)!}{(n - T)!}
        \quad \text{for a given anchor}

    Parameters
    ----------
    n : int
        Number of samples in the batch, >= 1.
    num_mix : int, optional
        T, the number of samples in a mixture, from 1 to `n`; `n` if None.
    anchored : bool, optional
        Whether the dominant sample is given, and only the others are in random order.

    Returns
    -------
    int
        The exact number.

    Raises
    ------
    TypeError
        If a count is not an integer.
    ValueError
        If `n` is below 1 or above 2**1000, or `num_mix` is outside [1, n] or above 2**26.

    See Also
    --------
    log_num_orderings : Its logarithm, for numbers too long to write down.

    Examples
    --------
    >>> from zetamix.theory import num_orderings
    >>> num_orderings(5), num_orderings(5, 2), num_orderings(5, 2, anchored=True)
    (120, 20, 4)
    """
    pool, filled = _places(n, num_mix, anchored)
    if filled > _MOST_FACTORS:
        raise ValueError(
            f"num_orderings must have at most 2**26 samples in a mixture to be written down, got "
            f"{filled}; take log_num_orderings, or pass a smaller num_mix"
        )
    return math.perm(pool, filled)


def log_num_orderings(
    n: SupportsIndex, num_mix: SupportsIndex | None = None, *, anchored: bool = False
) -> float:
    r"""Return the natural logarithm of the number of orderings that a batch has at one γ.

    .. math:: \log \frac{n!}{(n - T)!}, \quad \text{or} \quad \log \frac{(n - 1)!}{(n - T)!}
        \quad \text{for a given anchor}

    Parameters
    ----------
    n : int
        Number of samples in the batch, >= 1.
    num_mix : int, optional
        T, the number of samples in a mixture, from 1 to `n`; `n` if None.
    anchored : bool, optional
        Whether the dominant sample is given, and only the others are in random order.

    Returns
    -------
    float
        The logarithm; its cost does not depend on `n` and `num_mix`.

    Raises
    ------
    TypeError
        If a count is not an integer.
    ValueError
        If `n` is below 1, or `num_mix` is outside [1, n].

    See Also
    --------
    num_orderings : The exact number.

    Examples
    --------
    >>> import math
    >>> from zetamix.theory import log_num_orderings
    >>> round(log_num_orderings(128) / math.log(10), 2)  # decimal digits of 128!
    215.59
    """
    pool, filled = _places(n, num_mix, anchored)
    return _log_sum(pool - filled + 1, pool)


# Sums -----------------------------------------------------------------------------------------


def _p_series_sum(gamma: float, first: int, last: float) -> float:
    """Σ_{j=first..last} j^-γ, for `last` up to infinity."""
    if gamma == 0:
        return float(last - first + 1)
    start = int(min(first + _HEAD, last + 1))
    head = [math.pow(j, -gamma) for j in range(first, start)]
    if start > last or gamma > start:  # for such a γ the rest is below e^-40 of the first term
        return math.fsum(head)
    at_start, at_last = math.pow(start, -gamma), math.pow(last, -gamma)
    return math.fsum(
        (
            *head,
            _power_integral(gamma, start, last),
            (at_start + at_last) / 2,
            gamma * at_start * _derivatives(gamma, start),
            -gamma * at_last * _derivatives(gamma, last),
        )
    )


def _power_integral(gamma: float, low: int, high: float) -> float:
    """∫ x^-γ dx from low to high, smooth in γ through the logarithm at γ = 1."""
    power, log_ratio = 1 - gamma, math.log1p((high - low) / low)
    if power == 0:
        return log_ratio
    return math.pow(low, power) * math.expm1(power * log_ratio) / power


def _log_sum(first: int, last: int) -> float:
    """Σ_{j=first..last} log j, the same way: a difference of Stirling series, not of factorials."""
    start = min(first + _HEAD, last + 1)
    head = [math.log(j) for j in range(first, start)]
    if start > last:
        return math.fsum(head)
    width, log_last = last - start, math.log(last)
    integral = width * (log_last - 1) + start * math.log1p(width / start)
    ends = (math.log(start) + log_last) / 2 + _derivatives(0, last) - _derivatives(0, start)
    return math.fsum((*head, integral, ends))


def _derivatives(gamma: float, x: float) -> float:
    """Σ_k B_2k/(2k)! (γ+1)…(γ+2k-2) / x^(2k-1), the derivatives in Euler-Maclaurin.

    Times -γ x^-γ these are the ones of x^-γ, and with γ = 0 those of log x.
    """
    total, term = 0.0, 1 / x
    for k, bernoulli in enumerate(_BERNOULLI):
        total += bernoulli * term
        term *= (gamma + 2 * k + 1) / x * ((gamma + 2 * k + 2) / x)
    return total


def _displacement(gamma: float, num_mix: float) -> float:
    """√((1 - w_1)² + Σ_{r>=2} w_r²), which does not cancel."""
    if num_mix == 1:
        return 0.0
    if gamma > 128:  # rank 2 is all that is left, and its square would underflow
        return math.sqrt(2) * math.pow(2, -gamma)
    total = _p_series_sum(gamma, 1, num_mix)
    if total == math.inf:
        return 1.0
    others = _p_series_sum(gamma, 2, num_mix)
    squares = _p_series_sum(2 * gamma, 2, num_mix)
    return math.hypot(others, math.sqrt(squares)) / total


def _root(rising: Callable[[float], float]) -> float:
    """Find the γ > 0 at which a function that is negative at 0 changes its sign."""
    # Not at the top: SciPy's optimizers take longer to import than all the rest.
    from scipy.optimize import root_scalar

    low, high = 0.0, 1.0
    while rising(high) < 0:
        low, high = high, 2 * high
    # Relative precision alone counts, and a root near 0 may take more than the usual 100 halvings.
    solution = root_scalar(
        rising, method="brentq", bracket=(low, high), xtol=1e-300, rtol=1e-15, maxiter=1000
    )
    return float(solution.root)


# Checks ---------------------------------------------------------------------------------------


def _number(
    name: str, value: object, bounds: tuple[float, float], *, rule: str, remedy: str
) -> float:
    """Check a number against its bounds, both included."""
    error: type[Exception] = TypeError
    if isinstance(value, Real) and not isinstance(value, bool):
        number = _as_float(value)
        if bounds[0] <= number <= bounds[1]:
            return number
        error = ValueError
    raise error(f"{name} must be a number {rule}, got {shown(value)}; {remedy}")


def _gamma(gamma: object) -> float:
    """Check an exponent, which may be infinite."""
    remedy = "use gamma=0 for the plain mean"
    return _number("gamma", gamma, (0, math.inf), rule=">= 0", remedy=remedy)


def _integer(name: str, value: object, rule: str = "an integer >= 1") -> int:
    """Check a number of samples."""
    error: type[Exception] = TypeError
    if isinstance(value, SupportsIndex) and not isinstance(value, bool):
        with contextlib.suppress(TypeError):  # of arrays only those of one integer are an index
            count = operator.index(value)
            if abs(count) > _LARGEST:
                raise ValueError(
                    f"{name} must be {rule} and at most 2**1000, got one of {count.bit_length()} "
                    f"bits; pass the number of samples"
                )
            if count >= 1:
                return count
            error = ValueError
    raise error(f"{name} must be {rule}, got {shown(value)}; pass the number of samples")


def _count(name: str, value: object) -> float:
    """Check a number of samples that may be infinite."""
    if isinstance(value, Real) and value == math.inf:
        return math.inf
    return _integer(name, value, "an integer >= 1 or math.inf")


def _as_float(value: Any) -> float:
    """Return the nearest float, infinite for integers that are larger than all others."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _check_num_mix(num_mix: float, n: float) -> None:
    """Check that a mixture takes no more samples than there are."""
    if num_mix > n:
        raise ValueError(f"num_mix must be <= n={n}, got {num_mix}; pass min(num_mix, n)")


def _places(n: object, num_mix: object, anchored: bool) -> tuple[int, int]:
    """Count the samples to choose from, and the places to fill with them in order."""
    n = _integer("n", n)
    num_mix = n if num_mix is None else _integer("num_mix", num_mix)
    _check_num_mix(num_mix, n)
    return (n - 1, num_mix - 1) if anchored else (n, num_mix)
