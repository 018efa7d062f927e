"""Where randomness comes from: portable and native sources, golden indices, and nothing global."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from zetamix_core import cutmix, dirichlet_plan, mixup_plan, zeta_mixup, zeta_plan
from zetamix_core.sampling import stream_for

GOLDEN = json.loads(Path(__file__).with_name("golden_indices.json").read_text(encoding="utf-8"))


def golden_id(case):
    return "-".join(str(case[name]) for name in ("seed", "n", "num_mix", "anchored"))


@pytest.mark.parametrize("case", GOLDEN, ids=golden_id)
def test_golden_indices(backend, case):
    rng = tuple(case["seed"]) if len(case["seed"]) > 1 else case["seed"][0]
    options = {name: case[name] for name in ("n", "num_mix", "num_outputs", "anchored")}
    indices = backend.to_numpy(zeta_plan(**options, rng=rng, like=backend.like).indices)
    assert indices[0, :8].tolist() == case["first_row"]
    assert hashlib.sha256(indices.astype("<i8").tobytes()).hexdigest() == case["sha256"]


def test_ways_to_say_the_same_seed():
    plan = zeta_plan(9, rng=5)
    assert zeta_plan(9, rng=(5,)) == plan
    assert zeta_plan(9, rng=np.int64(5)) == plan
    assert zeta_plan(9, rng=np.random.SeedSequence(5)) == plan
    keyed = zeta_plan(9, rng=(5, 1, 2))
    assert keyed != plan
    assert zeta_plan(9, rng=np.random.SeedSequence(5, spawn_key=(1, 2))) == keyed


def test_keys_do_not_collide():
    keys = [
        (0,),
        (0, 0),
        (0, 0, 0),
        (1,),
        (0, 1),
        (1, 0),
        (2**32,),
        (2**64,),
        (2**96, 1),
        (2**127, 0),
    ]
    digests = {zeta_plan(64, rng=key).indices.tobytes() for key in keys}
    assert len(digests) == len(keys)


def test_fresh_entropy_differs():
    assert zeta_plan(32) != zeta_plan(32)


@pytest.mark.parametrize("bits", ["PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64"])
def test_a_generator_advances(bits):
    def generator():
        return np.random.Generator(getattr(np.random, bits)(3))

    rng = generator()
    first, second = zeta_plan(16, rng=rng), zeta_plan(16, rng=rng)
    assert first != second
    assert zeta_plan(16, rng=generator()) == first


@pytest.mark.parametrize("make", [zeta_plan, mixup_plan, dirichlet_plan])
def test_one_seed_one_plan(backend, make):
    first, second = (make(16, rng=(3, 4), like=backend.like) for _ in range(2))
    assert first == second
    assert make(16, rng=(3, 5), like=backend.like) != first
    reference = make(16, rng=(3, 4))
    assert np.array_equal(backend.to_numpy(first.indices), reference.indices)
    np.testing.assert_allclose(backend.to_numpy(first.weights), reference.weights, rtol=3e-7)


def test_nothing_global_is_touched(backend):
    states = [np.random.get_state()[1].copy()]  # noqa: NPY002 - the global state is the point
    x = backend.asarray(np.ones((8, 2, 2), dtype=np.float32))
    for rng in (None, 0, (0, 1)):
        zeta_mixup(x, rng=rng)
        cutmix(x, rng=rng)
        mixup_plan(8, rng=rng, like=x)
    states.append(np.random.get_state()[1].copy())  # noqa: NPY002
    assert np.array_equal(*states)
    if backend.name == "torch":
        import torch

        before = torch.get_rng_state()
        zeta_mixup(x)
        zeta_mixup(x, rng=torch.Generator().manual_seed(0))
        assert torch.equal(before, torch.get_rng_state())
        zeta_mixup(x, rng="device")
        assert not torch.equal(before, torch.get_rng_state())


@pytest.mark.needs("torch")
class TestTorch:
    def test_generator_decides(self):
        import torch

        def plan(seed):
            rng = torch.Generator().manual_seed(seed)
            return zeta_plan(16, rng=rng, like=torch.zeros(1))

        assert plan(1) == plan(1)
        assert plan(1) != plan(2)

    def test_device_follows_manual_seed(self):
        import torch

        def plan(seed):
            torch.manual_seed(seed)
            return zeta_plan(16, rng="device", like=torch.zeros(1))

        assert plan(1) == plan(1)
        assert plan(1) != plan(2)

    def test_native_weights_have_the_right_law(self):
        import torch
        from scipy import stats

        from zetamix_core.sampling._torch import TorchStream

        stream = TorchStream(torch.Generator().manual_seed(1), torch.zeros(1, dtype=torch.float64))
        for alpha in (0.2, 1.0, 5.0):
            weights = stream.dirichlet(alpha, (20_000, 3)).numpy()
            np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-12)
            law = stats.beta(alpha, 2 * alpha)
            assert stats.kstest(weights[:, 1], law.cdf).pvalue > 1e-4
        uniform = stream.uniform((20_000,)).numpy()
        assert stats.kstest(uniform, "uniform").pvalue > 1e-4

    def test_weights_and_partners_are_independent(self):
        import torch
        from scipy import stats

        from zetamix_core.sampling._torch import TorchStream

        stream = TorchStream(torch.Generator().manual_seed(1), torch.zeros(1))
        indices = stream.orderings(20_000, 40, 2, anchored=False).numpy()
        weights = stream.dirichlet(1.0, (20_000, 2)).numpy()
        for column in indices.T:
            assert abs(stats.spearmanr(weights[:, 0], column).statistic) < 0.03

    def test_a_cpu_generator_serves_any_device(self):
        import torch

        rng = torch.Generator().manual_seed(3)
        plan = zeta_plan(8, rng=rng, like=torch.zeros(1, device="meta"))
        assert plan.indices.device.type == "meta"

    def test_tiny_alpha_picks_one_sample(self):
        import torch

        from zetamix_core.sampling._torch import TorchStream

        stream = TorchStream(torch.Generator().manual_seed(1), torch.zeros(1))
        weights = stream.dirichlet(1e-3, (1000, 2))
        assert torch.isfinite(weights).all()
        assert 0.4 < (weights[:, 0] > 0.5).double().mean() < 0.6


@pytest.mark.needs("jax")
class TestJax:
    def test_weights_and_partners_are_independent(self):
        import jax
        from scipy import stats

        like = jax.numpy.zeros(1)
        plan = mixup_plan(40, num_outputs=20_000, anchored=False, rng=jax.random.key(5), like=like)
        for column in np.asarray(plan.indices).T:
            statistic = stats.spearmanr(np.asarray(plan.weights[:, 0]), column).statistic
            assert abs(statistic) < 0.03

    def test_key_decides(self):
        import jax

        def plan(seed, make=jax.random.key):
            return zeta_plan(16, rng=make(seed), like=jax.numpy.zeros(1))

        assert plan(1) == plan(1)
        assert plan(1) != plan(2)
        assert plan(1, jax.random.PRNGKey) == plan(1)

    def test_weights_have_the_right_law(self):
        import jax
        from scipy import stats

        like = jax.numpy.zeros(1)
        for alpha in (0.2, 1.0, 5.0):
            plan = dirichlet_plan(20_000, alpha=alpha, num_mix=3, rng=jax.random.key(2), like=like)
            law = stats.beta(alpha, 2 * alpha)
            assert stats.kstest(np.asarray(plan.weights[:, 1]), law.cdf).pvalue > 1e-4


def test_portable_weights_have_the_right_law():
    from scipy import stats

    for alpha in (0.2, 1.0, 5.0):
        weights = mixup_plan(20_000, alpha=alpha, rng=3).weights
        assert stats.kstest(weights[:, 0], stats.beta(alpha, alpha).cdf).pvalue > 1e-4
        # The weights tell nothing about the partner.
        partner = mixup_plan(20_000, alpha=alpha, rng=3).indices[:, 1]
        assert abs(stats.spearmanr(weights[:, 0], partner).statistic) < 0.03


@pytest.mark.parametrize("source", ["portable", "torch", "jax"])
def test_a_stream_does_not_repeat_itself(source, require):
    """Orderings, weights and boxes of one plan come from one stream, one after the other."""
    if source == "portable":
        stream = stream_for(0, None)
    elif source == "torch":
        require("torch")
        import torch

        from zetamix_core.sampling._torch import TorchStream

        stream = TorchStream(torch.Generator().manual_seed(0), torch.zeros(1))
    else:
        require("jax")
        import jax

        stream = stream_for(jax.random.key(0), jax.numpy.zeros(1))
    draws = [
        lambda: stream.uniform((4, 3)),
        lambda: stream.dirichlet(1.0, (4, 3)),
        lambda: stream.orderings(50, 50, 4, anchored=False),
        lambda: stream.orderings(50, 50, 40, anchored=False),
    ]
    for draw in draws:
        assert not np.array_equal(np.asarray(draw()), np.asarray(draw()))
