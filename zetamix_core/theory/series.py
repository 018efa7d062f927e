"""Sums of p-series and of logarithms, in double precision up to infinitely many terms."""

import math

# Euler-Maclaurin starts after a head of terms that are summed one by one. After 40 of them a large
# γ leaves nothing, and otherwise three corrections B_2k / (2k)! reach double precision.
_HEAD = 40
_BERNOULLI = (1 / 12, -1 / 720, 1 / 30240)


def p_series_sum(gamma: float, first: int, last: float) -> float:
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
            power_integral(gamma, start, last),
            (at_start + at_last) / 2,
            gamma * at_start * _derivatives(gamma, start),
            -gamma * at_last * _derivatives(gamma, last),
        )
    )


def power_integral(gamma: float, low: int, high: float) -> float:
    """∫ x^-γ dx from low to high, smooth in γ through the logarithm at γ = 1."""
    power, log_ratio = 1 - gamma, math.log1p((high - low) / low)
    if power == 0:
        return log_ratio
    return math.pow(low, power) * math.expm1(power * log_ratio) / power


def log_sum(first: int, last: int) -> float:
    """Σ_{j=first..last} log j, likewise: a difference of Stirling series, not of factorials."""
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

    Times -γ x^-γ they are those of x^-γ, and with γ = 0 those of log x.
    """
    total, term = 0.0, 1 / x
    for k, bernoulli in enumerate(_BERNOULLI):
        total += bernoulli * term
        term *= (gamma + 2 * k + 1) / x * ((gamma + 2 * k + 2) / x)
    return total
