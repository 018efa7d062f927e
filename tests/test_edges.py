"""Limits at their very edges: what is just allowed, and what is just not."""

import numpy as np
import pytest

from zetamix_core import MixPlan, dirichlet_plan, zeta_plan
from zetamix_core.checks import check_num_samples, check_size
from zetamix_core.random import stream_for


def test_the_sum_of_weights_may_be_off_by_a_thousandth():
    def plan(total):
        return MixPlan(np.asarray([[0, 1]]), np.asarray([0.5, total - 0.5]), 2)

    for total in (1.0009, 0.9991):
        plan(total)
    for total in (1.0011, 0.9989):
        with pytest.raises(ValueError, match="sum to 1"):
            plan(total)


def test_alpha_may_be_its_limits():
    for alpha in (1e-6, 1e6):
        assert np.isfinite(dirichlet_plan(3, alpha=alpha, rng=0).weights).all()
    for alpha in (np.nextafter(1e-6, 0), np.nextafter(1e6, np.inf)):
        with pytest.raises(ValueError, match="alpha must be a positive number from 1e-6 to 1e6"):
            dirichlet_plan(3, alpha=alpha, rng=0)


def test_sizes_may_be_their_limits():
    check_size(2**13, 2**13)
    with pytest.raises(ValueError, match=r"at most 2\*\*26 entries"):
        check_size(2**13 + 1, 2**13)
    assert check_num_samples(2**31 - 1) == 2**31 - 1
    with pytest.raises(ValueError, match=r"n must be at most 2\*\*31 - 1, got 2147483648"):
        check_num_samples(2**31)
    assert zeta_plan(2**31 - 1, num_mix=2, num_outputs=1, rng=0).shape == (1, 2**31 - 1)


@pytest.mark.parametrize(
    ("allowed", "refused", "message"),
    [
        (2**128 - 1, 2**128, r"a seed must be from 0 to 2\*\*128 - 1"),
        ((0, 2**32 - 1), (0, 2**32), r"each entry of the key .* from 0 to 2\*\*32 - 1"),
        ((0, 0), (0, -1), r"each entry of the key .* from 0 to 2\*\*32 - 1"),
        (0, -1, r"a seed must be from 0 to 2\*\*128 - 1"),
    ],
)
def test_seeds_and_keys_may_be_their_limits(allowed, refused, message):
    stream_for(allowed, None)
    with pytest.raises(ValueError, match=message):
        stream_for(refused, None)


@pytest.mark.needs("torch")
def test_seeds_and_ranks_of_modules_may_be_their_limits():
    from zetamix.torch import ZetaMixup, ZetaMixupCollate

    for kind in (ZetaMixup, ZetaMixupCollate):
        for name, limit in (("seed", 2**63), ("rank", 2**32)):
            for value in (0, limit - 1):
                assert getattr(kind(**{name: value}), name) == value
            with pytest.raises(ValueError, match=f"{name} must be"):
                kind(**{name: limit})
    ZetaMixupCollate().set_epoch(2**32 - 1)
    with pytest.raises(ValueError, match="epoch must be"):
        ZetaMixupCollate().set_epoch(2**32)


def test_multi_hot_labels_are_zero_or_one(backend):
    if backend.lazy:
        pytest.skip("a Dask array shows no values before it is computed")
    plan = zeta_plan(2, rng=0)
    for bad in (-1, 2):
        y = backend.asarray(np.asarray([[0, 1], [bad, 0]]))
        with pytest.raises(ValueError, match=f"must be 0 or 1, got values from {min(bad, 0)} to"):
            plan.mix_labels(y, 2)


@pytest.mark.needs("torch")
def test_how_many_axes_make_integers_images():
    import torch
    from zetamix.torch import ZetaMixup

    mix = ZetaMixup(num_mix=2)
    for shape, dtype in (((4, 2), torch.uint8), ((4, 2, 2), torch.uint8), ((4, 2, 2), torch.int16)):
        x = torch.ones(shape, dtype=dtype)
        assert torch.equal(mix(x).to(dtype), x)
    for shape, dtype in (((4,), torch.uint8), ((4, 2), torch.int16)):
        with pytest.raises(ValueError, match="integer"):
            mix(torch.ones(shape, dtype=dtype))
