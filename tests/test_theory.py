"""The closed forms of `zetamix_core.theory` against independent oracles.

mpmath at 50 digits, exact rational arithmetic, exhaustive enumeration and a simulation with
weights written out here; the published numbers; and the laws that the functions obey.
"""

import inspect
import itertools
import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest
import scipy.integrate
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st

from zetamix_core import theory
from zetamix_core.theory import (
    displacement,
    dominance_threshold,
    dominant_weight,
    effective_num_samples,
    gamma_for_displacement,
    gamma_for_dominant_weight,
    log_num_orderings,
    mixup_gamma,
    mixup_lambda,
    num_mix_for_tail,
    num_orderings,
    tail_weight,
    truncated_zeta,
)
from zetamix_core.theory.series import p_series_sum

INF = math.inf
TIGHT = 1e-14
NEAR_ONE = [1 - 1e-9, math.nextafter(1, 0), 1, math.nextafter(1, 2), 1 + 1e-9]
GAMMAS = [0, 1e-12, 0.1, 0.5, 0.9, *NEAR_ONE, 1.1, 1.7286, 2, 2.8, 4, 6, 10, 39.5, 41.5, 60, 300]
SIZES = [1, 2, 3, 8, 39, 40, 41, 42, 43, 100, 1024, 10**6, 10**12, INF]

gammas = st.floats(0, 12)
sizes = st.one_of(st.integers(1, 10**12), st.just(INF))


def exact_sum(gamma, first, last):
    """Σ_{j=first..last} j^-γ at 50 digits or more, by other means than the code under test."""
    gamma = mpmath.mpf(gamma)
    if last - first < 500:
        with mpmath.workdps(50):
            return mpmath.fsum(mpmath.mpf(j) ** -gamma for j in range(first, last + 1))
    if last == INF and gamma <= 1:
        return mpmath.inf
    # A difference of zeta functions cancels: the extra digits pay for that.
    with mpmath.workdps(100 + int(gamma * math.log10(first))):
        if gamma == 1:
            return mpmath.digamma(last + 1) - mpmath.digamma(first)
        beyond = 0 if last == INF else mpmath.zeta(gamma, last + 1)
        return mpmath.zeta(gamma, first) - beyond


def error(value, exact):
    """Relative error, zero where both are the same zero or infinity."""
    assert isinstance(value, float)
    with mpmath.workdps(50):
        return 0 if value == exact else float(abs(mpmath.mpf(value) / exact - 1))


# Sums against mpmath --------------------------------------------------------------------------


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("gamma", GAMMAS)
def test_truncated_zeta_and_what_follows_from_it(gamma, n):
    total = exact_sum(gamma, 1, n)
    assert error(truncated_zeta(gamma, n), total) < TIGHT
    assert error(dominant_weight(gamma, n), 1 / total) < TIGHT
    neff = INF if total == mpmath.inf else total**2 / exact_sum(2 * gamma, 1, n)
    assert error(effective_num_samples(gamma, n), neff) < TIGHT


@pytest.mark.parametrize("n", [2, 40, 41, 43, 100, 10**6, 10**12, INF])
@pytest.mark.parametrize("gamma", GAMMAS)
def test_tail_weight_keeps_its_digits(gamma, n):
    total = exact_sum(gamma, 1, n)
    for num_mix in (1, 2, 5, 16, 100, 10**5, 10**9, 10**12 - 1, 10**12):
        if num_mix <= n and gamma * math.log(num_mix) < 650:  # beyond: subnormal numbers
            tail = 1.0 if total == mpmath.inf else exact_sum(gamma, num_mix + 1, n) / total
            assert error(tail_weight(gamma, num_mix, n), tail) < TIGHT


@pytest.mark.parametrize("num_mix", SIZES)
@pytest.mark.parametrize("gamma", [*GAMMAS, 128, 129, 530, 900])
def test_displacement(gamma, num_mix):
    total = exact_sum(gamma, 1, num_mix)
    with mpmath.workdps(700):  # 1 - 2 w_1 + Σ w² as it stands cancels 540 digits at γ = 900
        if total == mpmath.inf:
            exact = 1.0
        elif num_mix <= 43:
            powers = [mpmath.mpf(j) ** -mpmath.mpf(gamma) for j in range(1, num_mix + 1)]
            weights = [power / mpmath.fsum(powers) for power in powers]
            exact = mpmath.sqrt(1 - 2 * weights[0] + mpmath.fsum(w**2 for w in weights))
        else:
            others, squares = exact_sum(gamma, 2, num_mix), exact_sum(2 * gamma, 2, num_mix)
            exact = mpmath.sqrt(others**2 + squares) / total
    assert error(displacement(gamma, num_mix), exact) < TIGHT


# Where γ / first is larger, later corrections of Euler-Maclaurin weigh more, until the head of the
# sum outweighs them all. A short sum far out needs the logarithm of a ratio next to 1.
@pytest.mark.parametrize(
    ("gamma", "first"),
    [(1, 1), (2, 1), (5, 1), (10, 100), (60, 500), (90, 500), (100, 600), (1, 10**9), (2.8, 10**9)],
)
@pytest.mark.parametrize("length", [60, 400, 10**9, INF])
def test_sums_to_the_last_digits(gamma, first, length):
    last = first + length - 1
    exact = exact_sum(gamma, first, last)
    assert error(p_series_sum(gamma, first, last), exact) < 7e-16


def test_scipy_agrees():
    for gamma in (1.5, 2.8, 6):
        assert truncated_zeta(gamma, INF) == pytest.approx(scipy.special.zeta(gamma), rel=1e-14)
        tail = scipy.special.zeta(gamma, 21) / scipy.special.zeta(gamma)
        assert tail_weight(gamma, 20, INF) == pytest.approx(tail, rel=1e-13)


def test_small_cases_are_exact_fractions():
    for n in range(1, 60):
        harmonic = sum(Fraction(1, j) for j in range(1, n + 1))
        assert truncated_zeta(1, n) == pytest.approx(float(harmonic), rel=1e-15)
    for n in (1, 40, 41, 10**6, 10**12, 2**60):
        assert truncated_zeta(0, n) == n
        assert dominant_weight(0, n) == 1 / n


# Infinity -------------------------------------------------------------------------------------


@pytest.mark.parametrize("gamma", [0, 0.3, 0.5, 0.7, 1 - 1e-9, 1])
def test_limits_of_an_infinite_batch_up_to_gamma_one(gamma):
    assert truncated_zeta(gamma, INF) == INF
    assert dominant_weight(gamma, INF) == 0.0
    assert tail_weight(gamma, 10**12, INF) == 1.0
    assert tail_weight(gamma, INF, INF) == 0.0
    assert effective_num_samples(gamma, INF) == INF
    assert displacement(gamma, INF) == 1.0


@pytest.mark.parametrize("n", [1, 2, 32, 10**12, INF])
def test_infinite_gamma_is_the_identity(n):
    assert truncated_zeta(INF, n) == dominant_weight(INF, n) == effective_num_samples(INF, n) == 1.0
    assert tail_weight(INF, 1, n) == displacement(INF, n) == 0.0
    assert num_mix_for_tail(0.5, INF, n) == 1
    assert mixup_lambda(INF) == 1.0


@pytest.mark.parametrize("gamma", [0, 0.5, 1, 2.8, INF])
def test_a_single_sample(gamma):
    assert truncated_zeta(gamma, 1) == dominant_weight(gamma, 1) == 1.0
    assert effective_num_samples(gamma, 1) == 1.0
    assert tail_weight(gamma, 1, 1) == displacement(gamma, 1) == 0.0
    assert num_mix_for_tail(0, gamma, 1) == 1


# Published numbers ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "threshold"),
    [
        (3, 0.78788491102586978),
        (4, 1.0821314981404187),
        (8, 1.4357930514913467),
        (32, 1.6505348610417637),
        (128, 1.7039407930358358),
        (1024, 1.7236444509033422),
        (10**6, 1.7286151643814648),
        (INF, 1.72864723899818),
    ],
)
def test_dominance_threshold(n, threshold):
    assert dominance_threshold(n) == pytest.approx(threshold, rel=1e-14)
    assert error(truncated_zeta(dominance_threshold(n), n), 2) < TIGHT


def test_dominance_threshold_at_its_ends():
    assert dominance_threshold(1) == dominance_threshold(2) == 0.0
    assert dominance_threshold() == dominance_threshold(INF)
    assert dominance_threshold() < 1.72865
    root = mpmath.findroot(lambda gamma: mpmath.zeta(gamma) - 2, 1.7)
    assert error(dominance_threshold(), root) < TIGHT


@pytest.mark.parametrize(
    ("gamma", "weight", "neff"),
    [
        (1.8, 0.553995, 2.91976),
        (2.0, 0.619514, 2.40738),
        (2.4, 0.725751, 1.82003),
        (2.8, 0.802583, 1.51700),
        (4, 0.923947, 1.16665),
        (6, 0.982953, 1.03473),
    ],
)
def test_a_batch_of_32(gamma, weight, neff):
    assert round(dominant_weight(gamma, 32), 6) == weight
    assert round(effective_num_samples(gamma, 32), 5) == neff


@pytest.mark.parametrize(("num_mix", "percent"), [(8, 0.94), (16, 0.29), (20, 0.19)])
def test_tails_of_the_default_gamma(num_mix, percent):
    assert round(100 * tail_weight(2.8, num_mix, INF), 2) == percent


def test_displacement_of_the_defaults():
    assert round(displacement(2.8, 32), 3) == 0.232

    def of_mixup(lam):  # the sample keeps λ; below 1/2 the two exchange their parts
        return math.sqrt(2) * (1 - lam)

    for lam in (0.5, 0.6, 0.9, 0.99):
        assert displacement(mixup_gamma(lam), 2) == pytest.approx(of_mixup(lam), rel=1e-13)
    mean_square, _ = scipy.integrate.quad(lambda lam: of_mixup(lam) ** 2, 0, 1)
    assert round(math.sqrt(mean_square), 3) == 0.816


# What displacement means ----------------------------------------------------------------------


def p_series(gamma, num_mix):
    """The weights, written out."""
    powers = np.arange(1, num_mix + 1, dtype=float) ** -gamma
    return powers / powers.sum()


@pytest.mark.parametrize("num_mix", [1, 2, 3, 5])
@pytest.mark.parametrize("gamma", [0, 1, 2.8])
def test_displacement_over_all_anchored_orderings(gamma, num_mix):
    x = np.random.default_rng(20240311).normal(size=(5, 3)) * [1, 4, 0.2] + 7
    weights = p_series(gamma, num_mix)
    squares = [
        np.sum((weights @ x[[i, *others]] - x[i]) ** 2)
        for i in range(5)
        for others in itertools.permutations(set(range(5)) - {i}, num_mix - 1)
    ]
    assert len(squares) == 5 * num_orderings(5, num_mix, anchored=True)
    variance = x.var(axis=0, ddof=1).sum()
    expected = displacement(gamma, num_mix) ** 2 * variance
    assert np.mean(squares) == pytest.approx(expected, rel=1e-12, abs=1e-24)


@pytest.mark.parametrize(("gamma", "num_mix"), [(1.2, 32), (2.8, 32), (2.8, 8), (0, 4)])
def test_displacement_of_simulated_batches(gamma, num_mix):
    rng = np.random.default_rng(11_43)
    n, batches, scale = 32, 1500, np.array([3.0, 1.0, 0.5, 0.1])
    weights, moved = p_series(gamma, num_mix), []
    for _ in range(batches):
        x = rng.normal(size=(n, 4)) * scale + 5
        others = rng.permuted(np.tile(np.arange(1, n), (n, 1)), axis=1)
        orderings = np.hstack([np.zeros((n, 1), int), others])[:, :num_mix]
        orderings = (orderings + np.arange(n)[:, None]) % n  # row i starts with i
        mixed = np.einsum("r,irc->ic", weights, x[orderings])
        moved.append(np.mean(np.sum((mixed - x) ** 2, axis=1)))
    expected = displacement(gamma, num_mix) ** 2 * np.sum(scale**2)
    standard_error = np.std(moved, ddof=1) / math.sqrt(batches)
    assert standard_error < 0.02 * expected
    assert abs(np.mean(moved) - expected) < 3 * standard_error


# Inverses -------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(share=st.floats(1e-6, 1 - 1e-6), n=st.one_of(st.integers(2, 10**12), st.just(INF)))
def test_gamma_for_dominant_weight_goes_back(share, n):
    weight = dominant_weight(0, n) * (1 - share) + share
    gamma = gamma_for_dominant_weight(weight, n)
    # For infinite n a small weight is about γ - 1, which is spaced by 2e-16.
    assert dominant_weight(gamma, n) == pytest.approx(weight, rel=2e-14, abs=5e-16)


@settings(max_examples=60, deadline=None)
@given(share=st.floats(1e-290, 1 - 1e-6), num_mix=st.one_of(st.integers(2, 10**12), st.just(INF)))
def test_gamma_for_displacement_goes_back(share, num_mix):
    target = share * displacement(0, num_mix)
    gamma = gamma_for_displacement(target, num_mix)
    assert displacement(gamma, num_mix) == pytest.approx(target, rel=1e-12)


@pytest.mark.parametrize(
    ("n", "gamma"),
    [
        *itertools.product([2, 32, 10**12], [0.01, 0.5, 1, 1 + 1e-9, 1.7, 2.8, 6, 12]),
        *itertools.product([INF], [1 + 1e-9, 1.01, 1.7, 2.8, 6, 12]),
    ],
)
def test_gamma_comes_back(n, gamma):
    weight, moved = dominant_weight(gamma, n), displacement(gamma, n)
    assert gamma_for_dominant_weight(weight, n) == pytest.approx(gamma, rel=1e-11)
    if moved < 1 - 1e-3:  # closer to 1, where γ hardly matters, rounding has taken its digits
        assert gamma_for_displacement(moved, n) == pytest.approx(gamma, rel=1e-12)


@pytest.mark.parametrize("n", [1, 2, 3, 40, 41, 10**6, 10**12, INF])
def test_inverses_at_their_ends(n):
    assert gamma_for_dominant_weight(dominant_weight(0, n), n) == 0.0
    assert gamma_for_displacement(displacement(0, n), n) == 0.0
    assert gamma_for_dominant_weight(1, n) == (0.0 if n == 1 else INF)
    assert gamma_for_displacement(0, n) == (0.0 if n == 1 else INF)


def test_inverses_next_to_their_ends():
    for n in (2, 3, 1000):
        assert 0 <= gamma_for_dominant_weight(math.nextafter(dominant_weight(0, n), 1), n) < 1e-12
        assert 0 <= gamma_for_displacement(math.nextafter(displacement(0, n), 0), n) < 1e-12
    assert gamma_for_dominant_weight(math.nextafter(1, 0), 2) == pytest.approx(53, rel=0.02)
    assert gamma_for_displacement(1e-300, 8) == pytest.approx(math.log2(math.sqrt(2) * 1e300))
    assert gamma_for_dominant_weight(1e-300, INF) == 1.0


@pytest.mark.parametrize("n", [1, 2, 7, 60])
@pytest.mark.parametrize("gamma", [0, 0.5, 1, 2.8])
def test_num_mix_for_tail_is_the_smallest(gamma, n):
    for tail in (0, 1e-4, 0.003, 0.01, 0.1, 0.5, 0.97, 1):
        smallest = next(t for t in range(1, n + 1) if tail_weight(gamma, t, n) <= tail)
        assert num_mix_for_tail(tail, gamma, n) == smallest


def test_num_mix_for_tail_takes_the_tail_itself():
    for n in (30, INF):
        for num_mix in (1, 2, 3, 17, 29):
            tail = tail_weight(1.5, num_mix, n)
            assert num_mix_for_tail(tail, 1.5, n) == num_mix
            assert num_mix_for_tail(math.nextafter(tail, 0), 1.5, n) == num_mix + 1


def test_num_mix_for_tail_of_large_batches():
    assert num_mix_for_tail(0.01, 2.8) == 8
    assert num_mix_for_tail(1, 0.5) == 1
    assert num_mix_for_tail(0.25, 0, 10**12) == 750_000_000_000
    # Far out the sums are integrals: T^(1-γ) / (γ-1) = 0.1 ζ(γ)
    with mpmath.workdps(50):
        excess = mpmath.mpf(1.01) - 1
        exact = (excess * mpmath.zeta(1 + excess) / 10) ** (-1 / excess)
    assert error(num_mix_for_tail(0.1, 1.01) / 1e99, exact / mpmath.mpf(1e99)) < 1e-11
    # ζ(γ, T + 1) <= 0.1 ζ(γ), and not for T - 1
    num_mix = num_mix_for_tail(0.1, 1.1)
    assert isinstance(num_mix, int)
    with mpmath.workdps(50):
        gamma = mpmath.mpf(1.1)
        tails = [mpmath.zeta(gamma, num_mix + k) / mpmath.zeta(gamma) for k in (1, 0)]
    assert tails[0] <= 0.1 < tails[1]


# Laws -----------------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(gamma=gammas, n=st.integers(1, 10**6))
def test_recurrence(gamma, n):
    step = truncated_zeta(gamma, n + 1) - truncated_zeta(gamma, n)
    rounding = 1e-15 * truncated_zeta(gamma, n)
    assert step == pytest.approx((n + 1) ** -gamma, rel=1e-12, abs=8 * rounding)


@settings(max_examples=100, deadline=None)
@given(gamma=gammas, num_mix=st.integers(1, 10**12), more=st.integers(1, 10**12))
def test_tail_and_head_make_the_whole(gamma, num_mix, more):
    n = num_mix + more
    head = truncated_zeta(gamma, num_mix) / truncated_zeta(gamma, n)
    assert head + tail_weight(gamma, num_mix, n) == pytest.approx(1, rel=1e-14)


@settings(max_examples=100, deadline=None)
@given(gamma=gammas, more=st.floats(1e-6, 3), n=sizes)
def test_monotone_in_gamma(gamma, more, n):
    slack = 1 + TIGHT
    assert truncated_zeta(gamma + more, n) <= truncated_zeta(gamma, n) * slack
    assert dominant_weight(gamma + more, n) * slack >= dominant_weight(gamma, n)
    assert effective_num_samples(gamma + more, n) <= effective_num_samples(gamma, n) * slack
    assert displacement(gamma + more, n) <= displacement(gamma, n) * slack
    if n >= 7:
        assert tail_weight(gamma + more, 7, n) <= tail_weight(gamma, 7, n) * slack


@settings(max_examples=100, deadline=None)
@given(gamma=gammas, n=st.integers(1, 10**12), larger=sizes)
def test_monotone_in_n(gamma, n, larger):
    n, larger = sorted((n, larger))
    slack = 1 + TIGHT
    assert truncated_zeta(gamma, n) <= truncated_zeta(gamma, larger) * slack
    assert effective_num_samples(gamma, n) <= effective_num_samples(gamma, larger) * slack
    assert 1 - TIGHT <= effective_num_samples(gamma, n) <= n * slack
    assert tail_weight(gamma, 1, n) <= tail_weight(gamma, 1, larger) * slack
    assert dominance_threshold(n) <= dominance_threshold(larger) * slack


@settings(max_examples=200, deadline=None)
@given(lam=st.floats(0.5, 1, exclude_max=True))
def test_mixup_lambda_and_gamma(lam):
    gamma = mixup_gamma(lam)
    with mpmath.workdps(50):
        exact = mpmath.log(mpmath.mpf(lam) / (1 - mpmath.mpf(lam)), 2)
        assert error(gamma, exact) < 1e-15
        assert error(mixup_lambda(gamma), 1 / (1 + mpmath.mpf(2) ** -mpmath.mpf(gamma))) < 1e-15
    assert mixup_lambda(gamma) == pytest.approx(lam, rel=1e-14)
    assert dominant_weight(gamma, 2) == pytest.approx(lam, rel=1e-14)


def test_mixup_by_hand():
    assert mixup_gamma(0.5) == 0.0
    assert mixup_gamma(0.8) == pytest.approx(2, rel=1e-15)
    assert mixup_lambda(0) == 0.5
    assert mixup_lambda(1) == 2 / 3
    assert mixup_lambda(5000) == 1.0


# Counting -------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", range(1, 6))
def test_num_orderings_counts_them(n):
    for num_mix in range(1, n + 1):
        orderings = list(itertools.permutations(range(n), num_mix))
        anchored = [ordering for ordering in orderings if ordering[0] == n - 1]
        assert num_orderings(n, num_mix) == len(orderings)
        assert num_orderings(n, num_mix, anchored=True) == len(anchored)
    assert num_orderings(n) == math.factorial(n)
    assert num_orderings(n, anchored=True) == math.factorial(n - 1)


def test_num_orderings_is_exact():
    assert num_orderings(32) == 263130836933693530167218012160000000
    assert num_orderings(10**12, 2) == 10**12 * (10**12 - 1)  # the ordered pairs of mixup
    assert isinstance(num_orderings(np.int64(32), np.int64(8)), int)


@pytest.mark.parametrize("n", [1, 2, 3, 40, 41, 42, 80, 1000, 10**6, 10**9, 10**12])
@pytest.mark.parametrize("anchored", [False, True])
def test_log_num_orderings(n, anchored):
    for num_mix in {1, 2, 3, 40, 41, 42, 1000, 10**6, n // 2, n - 41, n - 40, n - 1, n}:
        if 1 <= num_mix <= n:
            with mpmath.workdps(60):
                exact = mpmath.loggamma(n + 1 - anchored) - mpmath.loggamma(n - num_mix + 1)
            value = log_num_orderings(n, num_mix, anchored=anchored)
            assert error(value, exact) < 7e-16


@settings(max_examples=50, deadline=None)
@given(n=st.integers(1, 300), data=st.data())
def test_log_num_orderings_is_the_logarithm(n, data):
    num_mix, anchored = data.draw(st.integers(1, n)), data.draw(st.booleans())
    exact = math.log(num_orderings(n, num_mix, anchored=anchored))
    assert log_num_orderings(n, num_mix, anchored=anchored) == pytest.approx(exact, rel=1e-14)
    assert log_num_orderings(n, anchored=anchored) == log_num_orderings(n, n, anchored=anchored)


# Arguments ------------------------------------------------------------------------------------


def test_numpy_numbers_are_numbers():
    assert truncated_zeta(np.float32(2), np.int16(4)) == truncated_zeta(2, 4)
    assert truncated_zeta(Fraction(1, 2), np.uint64(4)) == truncated_zeta(0.5, 4)
    assert truncated_zeta(2, np.float64("inf")) == truncated_zeta(2, INF)
    assert isinstance(displacement(np.float64(2.8), np.int64(32)), float)
    assert isinstance(num_mix_for_tail(np.float64(0.01), np.float64(2.8)), int)
    assert isinstance(gamma_for_dominant_weight(np.float64(0.8), np.int64(32)), float)


def refusal(kind, call, *arguments):
    """The message of the error of that kind which the call raises."""
    with pytest.raises(kind) as caught:
        call(*arguments)
    assert caught.type is kind
    return str(caught.value)


OF_GAMMA = [
    lambda gamma: truncated_zeta(gamma, 4),
    lambda gamma: dominant_weight(gamma, 4),
    lambda gamma: tail_weight(gamma, 2, 4),
    lambda gamma: effective_num_samples(gamma, 4),
    lambda gamma: displacement(gamma, 4),
    lambda gamma: num_mix_for_tail(0.1, gamma, 4),
    mixup_lambda,
]


@pytest.mark.parametrize("call", OF_GAMMA)
@pytest.mark.parametrize(
    ("gamma", "kind"),
    [
        *itertools.product([-1.0, math.nan, -INF, -5e-324], [ValueError]),
        *itertools.product(["2.8", None, True, 1j], [TypeError]),
    ],
)
def test_bad_gamma(call, gamma, kind):
    rule = f"gamma must be a number >= 0, got {gamma!r}; use gamma=0 for the plain mean"
    assert refusal(kind, call, gamma) == rule


MAYBE_INFINITE = "an integer >= 1 or math.inf"
OF_COUNT = [
    ("n", MAYBE_INFINITE, lambda n: truncated_zeta(2.8, n)),
    ("n", MAYBE_INFINITE, lambda n: dominant_weight(2.8, n)),
    ("n", MAYBE_INFINITE, lambda n: tail_weight(2.8, 1, n)),
    ("n", MAYBE_INFINITE, lambda n: effective_num_samples(2.8, n)),
    ("n", MAYBE_INFINITE, lambda n: gamma_for_dominant_weight(0.5, n)),
    ("n", MAYBE_INFINITE, lambda n: num_mix_for_tail(0.1, 2.8, n)),
    ("n", MAYBE_INFINITE, dominance_threshold),
    ("num_mix", MAYBE_INFINITE, lambda num_mix: displacement(2.8, num_mix)),
    ("num_mix", MAYBE_INFINITE, lambda num_mix: gamma_for_displacement(0.1, num_mix)),
    ("num_mix", MAYBE_INFINITE, lambda num_mix: tail_weight(2.8, num_mix, 8)),
    ("n", "an integer >= 1", num_orderings),
    ("n", "an integer >= 1", log_num_orderings),
    ("num_mix", "an integer >= 1", lambda num_mix: num_orderings(8, num_mix)),
    ("num_mix", "an integer >= 1", lambda num_mix: log_num_orderings(8, num_mix)),
]


@pytest.mark.parametrize(("name", "rule", "call"), OF_COUNT)
@pytest.mark.parametrize(
    ("count", "kind"),
    [
        *itertools.product([0, -3, np.int64(0)], [ValueError]),
        *itertools.product([2.0, math.nan, -INF, True, "8"], [TypeError]),
    ],
)
def test_bad_count(name, rule, call, count, kind):
    message = f"{name} must be {rule}, got {count!r}; pass the number of samples"
    assert refusal(kind, call, count) == message


@pytest.mark.parametrize("call", [num_orderings, log_num_orderings])
def test_orderings_need_a_finite_batch(call):
    with pytest.raises(TypeError, match=r"n must be an integer >= 1, got inf; pass the number"):
        call(INF)


@pytest.mark.parametrize(
    "call", [num_orderings, log_num_orderings, lambda n, num_mix: tail_weight(2.8, num_mix, n)]
)
def test_num_mix_beyond_n(call):
    with pytest.raises(ValueError, match=r"num_mix must be <= n=8, got 9; pass min\(num_mix, n\)"):
        call(8, 9)


@pytest.mark.parametrize(
    ("lam", "kind"),
    [
        *itertools.product([0.3, 1, -1.0, 1.5, math.nan], [ValueError]),
        *itertools.product(["0.7", True], [TypeError]),
    ],
)
def test_bad_lam(lam, kind):
    assert refusal(kind, mixup_gamma, lam) == (
        f"lam must be a number in [1/2, 1), got {lam!r}; "
        "below 1/2 exchange the two samples (1 - lam); at 1 use gamma=math.inf"
    )


@pytest.mark.parametrize("weight", [0.24, 1.01, math.nan])
def test_bad_weight(weight):
    assert refusal(ValueError, gamma_for_dominant_weight, weight, 4) == (
        f"weight must be a number in [1/n, 1] = [0.25, 1], got {weight!r}; "
        "only more samples (n) go below 1/n"
    )


@pytest.mark.parametrize("target", [-0.1, 0.87, math.nan])
def test_bad_displacement(target):
    assert refusal(ValueError, gamma_for_displacement, target, 4) == (
        f"displacement must be a number in [0, √(1 - 1/T)] = [0, {displacement(0, 4)}], "
        f"got {target!r}; only more samples (num_mix) reach further"
    )


@pytest.mark.parametrize("tail", [-0.1, 1.1, math.nan])
def test_bad_tail(tail):
    assert refusal(ValueError, num_mix_for_tail, tail, 2.8) == (
        f"tail must be a number in [0, 1], got {tail!r}; pass a share, such as 0.01"
    )


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: gamma_for_dominant_weight("0.5", 4), "weight"),
        (lambda: gamma_for_displacement(None, 4), "displacement"),
        (lambda: num_mix_for_tail(True, 2.8), "tail"),
    ],
)
def test_targets_are_numbers(call, name):
    with pytest.raises(TypeError, match=rf"^{name} must be a number in "):
        call()


def test_tails_out_of_reach():
    assert refusal(ValueError, num_mix_for_tail, 0, 2.8) == (
        "tail must be > 0 for infinite n, got 0.0; pass the batch size as n"
    )
    for gamma in (0.0, 1.0, 1.0001):
        assert refusal(ValueError, num_mix_for_tail, 0.01, gamma) == (
            f"tail must be within reach of a T <= 2**1000, got tail=0.01 at gamma={gamma} and "
            "n=inf; raise gamma or tail, or pass the batch size as n"
        )


def test_all_is_sorted_and_complete():
    functions = {
        name
        for name, value in vars(theory).items()
        if not name.startswith("_") and inspect.isfunction(value)
    }
    assert theory.__all__ == sorted(functions)
