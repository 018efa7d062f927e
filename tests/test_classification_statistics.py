"""The statistics of the training benchmark, against SciPy, definitions and simulations."""

import importlib
import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

FOLDER = Path(__file__).parents[1] / "benchmarks"

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the benchmarks are in checkouts only")


@pytest.fixture
def own(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("classification.statistics")


def by_seed(values, start=0):
    return dict(enumerate(values, start))


# Seeds ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [2, 5, 20])
def test_a_paired_difference_is_that_of_scipy(own, count):
    rng = np.random.default_rng(count)
    first, second = rng.normal(0.1, 0.01, count), rng.normal(0.11, 0.01, count)
    found = own.paired_difference(by_seed(first), by_seed(second))
    expected = stats.ttest_rel(first, second)
    ends = expected.confidence_interval(0.95)
    assert found == pytest.approx(
        (
            np.mean(first - second),
            ends.low,
            ends.high,
            expected.pvalue,
            np.std(first - second, ddof=1),
            count,
        )
    )


def test_seeds_of_one_method_alone_do_not_count(own):
    first, second = by_seed([9, 0.1, 0.2, 0.3]), by_seed([0.2, 0.1, 0.5, 9], start=1)
    found = own.paired_difference(first, second)
    assert found.pairs == 3
    assert found == pytest.approx(
        own.paired_difference(by_seed([0.1, 0.2, 0.3]), by_seed([0.2, 0.1, 0.5]))
    )


def test_one_seed_has_a_difference_but_no_interval(own):
    found = own.paired_difference({3: 0.2}, {3: 0.5})
    assert found.mean == pytest.approx(-0.3)
    assert np.isnan(found[1:5]).all()
    assert found.pairs == 1


def test_no_shared_seed_has_nothing(own):
    found = own.paired_difference({0: 0.2}, {1: 0.5})
    assert np.isnan(found[:5]).all()
    assert found.pairs == 0


def test_differences_without_spread_have_no_interval_and_the_p_value_of_signs(own):
    rounded = own.paired_difference(by_seed([0.3, 0.4, 0.5]), by_seed([0.2, 0.3, 0.4]))
    assert np.isnan([rounded.low, rounded.high]).all()
    assert rounded.p == pytest.approx(stats.binomtest(3, 3).pvalue)
    assert rounded.deviation == 0
    same = own.paired_difference(by_seed([0.3, 0.4]), by_seed([0.3, 0.4]))
    assert same.p == 1
    assert np.isnan([same.low, same.high]).all()


def test_a_mean_has_the_interval_of_students_t(own):
    values = [0.1, 0.4, 0.2, 0.25]
    mean, half = own.mean_interval(values)
    low, high = stats.t.interval(0.95, 3, np.mean(values), stats.sem(values))
    assert (mean - half, mean + half) == pytest.approx((low, high))
    assert own.mean_interval([0.5]) == pytest.approx((0.5, math.nan), nan_ok=True)
    assert own.mean_interval([]) == pytest.approx((math.nan, math.nan), nan_ok=True)


def test_a_control_with_half_the_gain_explains_half(own):
    base, gains = np.array([0.3, 0.31, 0.32, 0.3]), np.array([0.02, 0.04, 0.03, 0.05])
    found = own.share_explained(by_seed(base), by_seed(base - gains), by_seed(base - gains / 2))
    assert found == pytest.approx((0.5, 0.5, 0.5, 4))


def test_the_share_has_the_interval_of_a_bootstrap_over_seeds(own):
    rng = np.random.default_rng(1)
    base = rng.normal(0.3, 0.01, 8)
    method, control = base - rng.normal(0.04, 0.01, 8), base - rng.normal(0.01, 0.01, 8)
    found = own.share_explained(*map(by_seed, (base, method, control)))

    def ratio(base, method, control):
        return np.mean(base - control) / np.mean(base - method)

    bootstrap = stats.bootstrap(
        (base, method, control), ratio, paired=True, vectorized=False, method="percentile",
        n_resamples=3000, rng=np.random.default_rng(2),
    )  # fmt: skip
    assert found.ratio == pytest.approx(ratio(base, method, control))
    assert found[1:3] == pytest.approx(tuple(bootstrap.confidence_interval), abs=0.03)


def test_a_gain_that_resamples_lose_has_an_unbounded_share(own):
    base = by_seed([0.3, 0.3, 0.3])
    found = own.share_explained(base, by_seed([0.2, 0.31, 0.31]), by_seed([0.25, 0.28, 0.29]))
    assert found.high == math.inf
    lone = own.share_explained({0: 0.3}, {0: 0.2}, {0: 0.25})
    assert lone == pytest.approx((0.5, math.nan, math.nan, 1), nan_ok=True)
    assert math.isnan(own.share_explained(base, base, base).ratio)
    assert own.share_explained(base, {}, base).pairs == 0


# Test images ----------------------------------------------------------------------------------


def test_an_interval_over_images_is_that_of_resampled_images(own):
    rng = np.random.default_rng(0)
    first, second = rng.random((3, 150)) < 0.3, rng.random((3, 150)) < 0.2
    found = own.image_interval(by_seed(first), by_seed(second))
    differences = first.mean(axis=0) - second.mean(axis=0)
    means = differences[rng.integers(0, 150, (20_000, 150))].mean(axis=1)
    assert found == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=0.004)
    assert found == own.image_interval(by_seed(first), by_seed(second))


def test_intervals_over_images_cover_the_true_difference(own):
    """Images differ in how hard they are, which both methods feel."""
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(200):
        hard = rng.random(250)
        first, second = (
            rng.random((2, 250)) < chance * hard for chance in (0.4, 0.3)
        )  # fmt: skip
        low, high = own.image_interval(by_seed(first), by_seed(second))
        covered.append(low <= 0.05 <= high)
    assert 0.9 <= np.mean(covered) <= 0.985


def test_only_shared_seeds_count_over_images(own):
    rng = np.random.default_rng(0)
    wrong = rng.random((4, 100)) < 0.3
    found = own.image_interval({0: wrong[0], 1: wrong[1]}, {1: wrong[2], 2: wrong[3]})
    assert found == own.image_interval({1: wrong[1]}, {1: wrong[2]})
    nothing = own.image_interval({0: wrong[0]}, {1: wrong[1]})
    assert np.isnan(nothing).all()


@pytest.mark.parametrize(("first", "second"), [(9, 2), (2, 9), (6, 6), (1, 0)])
def test_mcnemar_counts_images_that_one_network_gets_right(own, first, second):
    both = [(True, True)] * 5 + [(False, False)] * 7
    pairs = np.array(both + [(True, False)] * first + [(False, True)] * second)
    total = first + second
    tail = sum(math.comb(total, k) for k in range(min(first, second) + 1)) / 2**total
    assert own.mcnemar(*pairs.T) == pytest.approx(min(1, 2 * tail))


def test_mcnemar_of_equal_predictions_is_one(own):
    wrong = np.array([True, False, True])
    assert own.mcnemar(wrong, wrong) == 1


@pytest.mark.parametrize(("right", "size"), [(297, 379), (0, 20), (193, 193), (458, 600)])
def test_wilsons_interval_is_that_of_scipy(own, right, size):
    expected = stats.binomtest(right, size).proportion_ci(method="wilson")
    assert own.wilson(right, size) == pytest.approx(tuple(expected), abs=1e-12)


def test_the_standard_error_is_that_of_drawn_counts(own):
    drawn = np.random.default_rng(0).binomial(260, 215 / 260, 100_000) / 260
    assert own.standard_error(215, 260) == pytest.approx(drawn.std(), rel=0.02)


# Many comparisons -----------------------------------------------------------------------------


def test_holm_is_the_closure_of_bonferroni(own):
    """A hypothesis falls when Bonferroni rejects every intersection that it is part of."""
    for seed in range(20):
        p = np.random.default_rng(seed).random(6) ** 3
        subsets = [
            list(chosen)
            for size in range(1, 7)
            for chosen in itertools.combinations(range(6), size)
        ]
        expected = [
            max(min(1, len(s) * p[s].min()) for s in subsets if each in s) for each in range(6)
        ]
        assert own.holm(p) == pytest.approx(expected)


def test_what_has_no_p_value_does_not_count_for_holm(own):
    found = own.holm([0.04, math.nan, 0.01])
    assert found == pytest.approx([0.04, math.nan, 0.02], nan_ok=True)
    assert own.holm([]) == []


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [(-2, -1, "wins"), (-1, 1, "ties"), (1, 2, "loses"), (-1, 0, "ties"), (0, 1, "ties"),
     (math.nan, math.nan, "undecided")],
)  # fmt: skip
def test_verdicts_follow_the_interval(own, low, high, word):
    assert own.verdict(low, high) == word


# Power ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("difference", "seeds"), [(1.0, 10), (0.8, 15), (0.5, 34), (0.2, 199), (6.0, 3)]
)
def test_seeds_needed_are_those_of_the_exact_tables(own, difference, seeds):
    """Cohen's d of paired differences, power 0.8, level 0.05, two-sided."""
    assert own.seeds_needed(difference, 1) == own.seeds_needed(-0.3 * difference, 0.3) == seeds
    assert own.power(difference, 1, seeds) >= 0.8 > own.power(difference, 1, seeds - 1)


@pytest.mark.parametrize(("difference", "seeds"), [(0.0, 4), (1.0, 3), (0.9, 8)])
def test_power_is_the_share_of_simulated_tests_that_find_it(own, difference, seeds):
    drawn = np.random.default_rng(0).normal(difference, 1, (40_000, seeds))
    found = np.mean(stats.ttest_1samp(drawn, 0, axis=1).pvalue < 0.05)
    assert own.power(difference, 1, seeds) == pytest.approx(found, abs=0.01)


def test_power_of_large_differences_is_a_number(own):
    """Of shifts where SciPy's lower tail is NaN, and of far larger ones."""
    shifts = [*np.linspace(8, 10, 21), 30, 100]
    found = [own.power(s / np.sqrt(seeds), 1, seeds) for s in shifts for seeds in (5, 10, 100)]
    assert found == pytest.approx([1] * len(found), abs=0.01)


@pytest.mark.parametrize("seeds", [2, 3, 10, 50])
def test_the_smallest_difference_is_found_with_the_power(own, seeds):
    difference = own.smallest_difference(seeds, 0.7)
    assert own.power(difference, 0.7, seeds) == pytest.approx(0.8, abs=1e-6)
    assert own.seeds_needed(1.0001 * difference, 0.7) == seeds


def test_power_without_spread_or_seeds(own):
    assert own.seeds_needed(0.1, 0) == 2
    assert math.isnan(own.smallest_difference(1, 0.5))
    with pytest.raises(ValueError, match=r"a deviation of at least 0, got 0.1 and nan; take the"):
        own.seeds_needed(0.1, math.nan)
    with pytest.raises(ValueError, match=r"other than 0 .*, got 0 and 1; take the"):
        own.seeds_needed(0, 1)


def test_intervals_of_deviations_cover_the_true_one(own):
    drawn = np.random.default_rng(0).normal(0, 2, (2000, 5)).std(axis=1, ddof=1)
    ends = np.array([own.deviation_interval(each, 5) for each in drawn[:400]])
    assert np.mean((ends[:, 0] <= 2) & (ends[:, 1] >= 2)) == pytest.approx(0.95, abs=0.03)
    assert np.isnan(own.deviation_interval(0.3, 1)).all()
