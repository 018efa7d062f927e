"""The bound that mixtures are held to: no order of summation exceeds it, a wrong result does."""

import numpy as np
import pytest
from bounds import assert_mixtures_agree, error_bound

from zetamix_core import zeta_plan

N = 12


def mixed_by_hand(plan, x, dtype, order):
    """Sum in some order, rounding after each operation."""
    total = np.zeros((len(plan.indices), *x.shape[1:]), dtype)
    for rank in order:
        total += plan.weights[rank].astype(dtype) * x[plan.indices[:, rank]].astype(dtype)
    return total


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("gamma", [0.0, 1.5])
def test_any_order_of_summation_is_within_the_bound(dtype, gamma):
    plan = zeta_plan(N, gamma=gamma, rng=0)
    x = np.random.default_rng(0).normal(size=(N, 40)).astype(dtype)
    orders = [np.random.default_rng(seed).permutation(N) for seed in range(20)]
    sums = [mixed_by_hand(plan, x, dtype, order) for order in orders]
    assert len({each.tobytes() for each in sums}) > 1
    for each in sums:
        assert_mixtures_agree(each, sums[0], plan, x)


def test_what_is_wrong_exceeds_the_bound():
    plan = zeta_plan(N, gamma=0.5, rng=0)
    x = np.random.default_rng(0).normal(size=(N, 40)).astype(np.float32)
    right = plan @ x
    slightly = right.copy()
    slightly[3, 5] += 4 * error_bound(plan, x, np.float32)[3, 5]
    for wrong in (slightly, right[::-1], mixed_by_hand(plan, x, np.float16, range(N))):
        with pytest.raises(AssertionError, match="the bound is exceeded"):
            assert_mixtures_agree(wrong.astype(np.float32), right, plan, x)
