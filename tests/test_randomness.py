"""Where randomness comes from: portable and native sources, golden indices, and nothing global."""

import hashlib
import importlib.util
import json
import re
from pathlib import Path

import numpy as np
import pytest

from zetamix_core import cutmix, cutmix_plan, dirichlet_plan, mixup_plan, zeta_mixup, zeta_plan
from zetamix_core.random import stream_for
from zetamix_core.random.seeds import seed_sequence

GOLDEN = json.loads(Path(__file__).with_name("golden_indices.json").read_text(encoding="utf-8"))
BITS = ["PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64"]


def _load_recipe():
    path = Path(__file__).with_name("golden_indices.py")
    spec = importlib.util.spec_from_file_location("golden_indices", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


RECIPE = _load_recipe()


def golden_id(case):
    return "-".join(str(case[name]) for name in ("seed", "n", "num_mix", "anchored"))


@pytest.mark.parametrize("case", GOLDEN, ids=golden_id)
def test_golden_indices(backend, case):
    rng = tuple(case["seed"]) if len(case["seed"]) > 1 else case["seed"][0]
    options = {name: case[name] for name in ("n", "num_mix", "num_outputs", "anchored")}
    indices = backend.to_numpy(zeta_plan(**options, rng=rng, like=backend.like).indices)
    assert indices[0, :8].tolist() == case["first_row"]
    assert hashlib.sha256(indices.astype("<i8").tobytes()).hexdigest() == case["sha256"]


# --- seeds of generators, of which golden indices follow ------------------------------------------


def assert_indices_of_words(indices, words, n, num_mix):
    expected = RECIPE.orderings([words], n, num_mix, n, anchored=True)
    assert indices.tolist() == expected


def numpy_generator(bits):
    return np.random.Generator(getattr(np.random, bits)(3))


@pytest.mark.parametrize("bits", BITS)
def test_golden_seeds_of_numpy_generators(backend, bits):
    words, rng = RECIPE.WORDS_OF_GENERATORS[bits], numpy_generator(bits)
    seed = seed_sequence(rng)
    assert (list(seed.entropy), seed.spawn_key) == (words, ())
    for n, num_mix in ((16, 4), (9, 9)):
        plan = zeta_plan(n, num_mix=num_mix, rng=numpy_generator(bits), like=backend.like)
        assert_indices_of_words(backend.to_numpy(plan.indices), words, n, num_mix)
    # It advances by these eight words, no more and no less.
    other = numpy_generator(bits)
    other.bit_generator.random_raw(8)
    assert rng.bit_generator.random_raw() == other.bit_generator.random_raw()


@pytest.mark.parametrize("bits", BITS)
def test_a_generator_is_its_seed_for_every_rule(bits):
    seed = np.random.SeedSequence(RECIPE.WORDS_OF_GENERATORS[bits])
    for make in (zeta_plan, mixup_plan, dirichlet_plan):
        assert make(16, rng=numpy_generator(bits)) == make(16, rng=seed)
    boxes, expected = (cutmix_plan((16, 8, 8), rng=rng) for rng in (numpy_generator(bits), seed))
    assert boxes.volumes == expected.volumes
    assert np.array_equal(boxes.lower, expected.lower)
    assert np.array_equal(boxes.upper, expected.upper)


def test_a_call_draws_from_a_generator_once():
    """So that samples and labels, or the epochs of a loop, do not depend on what else is mixed."""
    x, labels = np.ones((16, 2)), np.arange(16)
    for call in (
        lambda rng: zeta_mixup(x, labels, num_classes=16, rng=rng),
        lambda rng: zeta_mixup(x, rng=rng),
        lambda rng: mixup_plan(16, rng=rng),
        lambda rng: cutmix_plan((16, 8, 8), rng=rng),
    ):
        rng, other = numpy_generator("PCG64"), numpy_generator("PCG64")
        call(rng)
        other.bit_generator.random_raw(8)
        assert rng.bit_generator.random_raw() == other.bit_generator.random_raw()


# --- what seeds are -------------------------------------------------------------------------------


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


@pytest.mark.parametrize("bits", BITS)
def test_a_generator_advances(bits):
    rng = numpy_generator(bits)
    first, second = zeta_plan(16, rng=rng), zeta_plan(16, rng=rng)
    assert first != second
    assert zeta_plan(16, rng=numpy_generator(bits)) == first


@pytest.mark.parametrize("make", [zeta_plan, mixup_plan, dirichlet_plan])
def test_one_seed_one_plan(backend, make):
    first, second = (make(16, rng=(3, 4), like=backend.like) for _ in range(2))
    assert first == second
    assert make(16, rng=(3, 5), like=backend.like) != first
    reference = make(16, rng=(3, 4))
    assert np.array_equal(backend.to_numpy(first.indices), reference.indices)
    np.testing.assert_allclose(
        backend.to_numpy(first.weights), reference.weights, rtol=0, atol=2.0**-24
    )


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
    def test_golden_seed_of_a_generator(self):
        import torch

        from zetamix_core.random.torch_streams import seed_from

        words, like = RECIPE.WORDS_OF_GENERATORS["torch"], torch.zeros(1)
        rng = torch.Generator().manual_seed(3)
        seed = seed_from(rng)
        assert (list(seed.entropy), seed.spawn_key) == (words, ())
        for n, num_mix in ((16, 4), (9, 9)):
            rng = torch.Generator().manual_seed(3)
            plan = zeta_plan(n, num_mix=num_mix, rng=rng, like=like)
            assert_indices_of_words(plan.indices, words, n, num_mix)
            torch.manual_seed(3)
            assert plan == zeta_plan(n, num_mix=num_mix, rng="device", like=like)
        # It advances by these eight numbers, no more and no less.
        other = torch.Generator().manual_seed(3)
        torch.randint(2**32, (8,), generator=other)
        assert torch.equal(rng.get_state(), other.get_state())

    def test_golden_key_of_a_module_without_a_seed(self):
        import torch
        from zetamix.torch import ZetaMixup

        word = 4003493888400498862  # it has all 62 bits
        x, rng = torch.zeros(9, 1), torch.Generator().manual_seed(4)
        plan = ZetaMixup(num_mix=4, generator=rng, rank=2).draw(x)
        assert plan.indices.tolist() == RECIPE.orderings([word, 2], 9, 4, 9, anchored=True)
        torch.manual_seed(4)
        assert plan == ZetaMixup(num_mix=4, rank=2).draw(x)

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

        from zetamix_core.random.torch_streams import TorchStream

        stream = TorchStream(torch.Generator().manual_seed(1), torch.zeros(1, dtype=torch.float64))
        for alpha in (0.2, 1.0, 5.0):
            weights = stream.dirichlet(alpha, (20_000, 3)).numpy()
            np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-12)
            law = stats.beta(alpha, 2 * alpha)
            assert stats.kstest(weights[:, 1], law.cdf).pvalue > 1e-4
        uniform = stream.uniform((20_000,)).numpy()
        assert stats.kstest(uniform, "uniform").pvalue > 1e-4

    def test_native_weights_are_of_the_right_shape_of_gamma_variates(self):
        """A wrong one changes the law by too little for the test above."""
        import torch
        from scipy.special import polygamma

        from zetamix_core.random.torch_streams import TorchStream

        stream = TorchStream(torch.Generator().manual_seed(1), torch.zeros(1, dtype=torch.float64))
        for alpha in (1.0, 5.0):
            logs = stream.dirichlet(alpha, (400_000, 2)).log()
            variance = float((logs[:, 0] - logs[:, 1]).var())
            assert variance == pytest.approx(2 * polygamma(1, alpha), rel=0.008)

    def test_weights_and_partners_are_independent(self):
        import torch
        from scipy import stats

        from zetamix_core.random.torch_streams import TorchStream

        stream = TorchStream(torch.Generator().manual_seed(1), torch.zeros(1))
        indices = stream.orderings(20_000, 40, 2, anchored=False).numpy()
        weights = stream.dirichlet(1.0, (20_000, 2)).numpy()
        for column in indices.T:
            assert abs(stats.spearmanr(weights[:, 0], column).statistic) < 0.03

    @pytest.mark.parametrize("key", [(3,), (2**62, 1, 2), (7, 2**32 - 1, 0)])
    @pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
    def test_a_key_in_a_tensor_is_the_key(self, key, dtype):
        import torch

        like = torch.zeros(1, dtype=getattr(torch, dtype))
        tensor = torch.tensor(key)
        for make in (zeta_plan, mixup_plan, dirichlet_plan):
            for options in ({}, {"num_outputs": 20, "anchored": False}):
                plan = make(9, rng=tensor, like=like, **options)
                assert plan == make(9, rng=key, like=like, **options)
                assert plan != make(9, rng=(*key, 0), like=like, **options)
        drawn, expected = (cutmix_plan((9, 8, 8), rng=rng, like=like) for rng in (tensor, key))
        assert drawn.volumes == expected.volumes
        assert torch.equal(drawn.lower, expected.lower)
        assert torch.equal(drawn.upper, expected.upper)
        assert tensor.tolist() == list(key)

    def test_different_keys_in_tensors_draw_differently(self):
        import torch

        like = torch.zeros(1)
        keys = [(0,), (1,), (0, 0), (0, 1), (1, 0), (0, 0, 0)]
        draws = [mixup_plan(64, rng=torch.tensor(key), like=like) for key in keys]
        assert len({plan.indices.numpy().tobytes() for plan in draws}) == len(keys)
        assert len({plan.weights.numpy().tobytes() for plan in draws}) == len(keys)

    def test_bad_keys_in_tensors(self):
        import torch

        shape = "must be a key (seed, *key) of dtype int64 with one axis, on the CPU, got"
        cases = [
            (torch.tensor([1.0, 2.0]), f"{shape} shape (2,), dtype torch.float32 on cpu"),
            (torch.tensor([1, 2], dtype=torch.int32), f"{shape} shape (2,), dtype torch.int32"),
            (torch.tensor([True]), f"{shape} shape (1,), dtype torch.bool"),
            (torch.tensor([[1, 2]]), f"{shape} shape (1, 2), dtype torch.int64"),
            (torch.tensor(1), f"{shape} shape (), dtype torch.int64"),
            (torch.tensor([1, 2], device="meta"), "dtype torch.int64 on meta; pass for instance"),
            (torch.tensor([-1, 2]), "a seed must be from 0 to 2**128 - 1, got -1"),
            (torch.tensor([1, -2]), "each entry of the key in rng=(seed, *key) must be from 0 to"),
            (torch.tensor([1, 0, 2**32]), "2**32 - 1, got 4294967296; take it modulo 2**32"),
        ]
        like = torch.zeros(1)
        for make in (zeta_plan, mixup_plan, lambda n, **k: cutmix_plan((n, 4, 4), **k)):
            for key, message in cases:
                with pytest.raises(ValueError, match=re.escape(message)):
                    make(4, rng=key, like=like)
            with pytest.raises(TypeError, match=r"rng must be None.* got \(\)"):
                make(4, rng=torch.tensor([], dtype=torch.int64), like=like)
            with pytest.raises(TypeError, match=r"got torch.Tensor; .* goes with arrays of that"):
                make(4, rng=torch.tensor([1, 2]))

    def test_a_cpu_generator_serves_any_device(self):
        import torch

        rng = torch.Generator().manual_seed(3)
        plan = zeta_plan(8, rng=rng, like=torch.zeros(1, device="meta"))
        assert plan.indices.device.type == "meta"

    def test_tiny_alpha_picks_one_sample(self):
        import torch

        from zetamix_core.random.torch_streams import TorchStream

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
            # What is below some quanta, a part of all where alpha is small, is rounded off its law.
            least = 2.0**-16
            weights = np.asarray(plan.weights[:, 1], dtype=np.float64)
            above = weights[weights >= least]
            share = law.sf(least)
            assert stats.binomtest(above.size, weights.size, share).pvalue > 1e-4
            cdf = lambda w, law=law, share=share: (law.cdf(w) - 1 + share) / share  # noqa: E731
            assert stats.kstest(above, cdf).pvalue > 1e-4


def test_portable_weights_have_the_right_law():
    from scipy import stats

    for alpha in (0.2, 1.0, 5.0):
        weights = mixup_plan(20_000, alpha=alpha, rng=3).weights
        assert stats.kstest(weights[:, 0], stats.beta(alpha, alpha).cdf).pvalue > 1e-4
        # The weights tell nothing about the partner.
        partner = mixup_plan(20_000, alpha=alpha, rng=3).indices[:, 1]
        assert abs(stats.spearmanr(weights[:, 0], partner).statistic) < 0.03


@pytest.mark.parametrize("alpha", [0.2, 1.0, 5.0])
@pytest.mark.parametrize("rng", [4, (4, 1), (4, 2)])
def test_portable_draws_are_independent(alpha, rng):
    """Of each other, within a call and between calls, whatever was drawn before."""
    from scipy import stats

    n = 20_000
    plan = mixup_plan(n, alpha=alpha, anchored=False, rng=rng)
    boxes = cutmix_plan((n, 1000, 1000), alpha=alpha, rng=rng)
    stream = stream_for(rng, None)
    first, second, uniform = stream.dirichlet(alpha, (n, 2)), None, None
    second, uniform = stream.dirichlet(alpha, (n, 2)), stream.uniform((n, 2))
    law = stats.beta(alpha, alpha)
    for weights in (plan.weights, first, second):
        np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-12)
        for column in weights.T:
            assert stats.kstest(column, law.cdf).pvalue > 1e-4
    for column in uniform.T:
        assert stats.kstest(column, "uniform").pvalue > 1e-4
    step = mixup_plan(n, alpha=alpha, rng=(9, 1)).weights[:, 0]
    following = mixup_plan(n, alpha=alpha, rng=(9, 2)).weights[:, 0]
    centres = (boxes.lower + boxes.upper) / 2
    pairs = [
        *((plan.weights[:, 0], column) for column in plan.indices.T),
        *((first[:, 0], other) for other in (second[:, 0], *uniform.T, *plan.indices.T)),
        (uniform[:, 0], uniform[:, 1]),
        (first[:-1, 0], first[1:, 0]),
        (step, following),
        # The smaller a box the less it is clipped, but it is not further to one side.
        *((boxes.volumes.weights[:, 1], column) for column in (*centres.T, *plan.indices.T)),
        (centres[:, 0], centres[:, 1]),
    ]
    for a, b in pairs:
        assert abs(stats.spearmanr(a, b).statistic) < 0.03


def test_portable_numbers_do_not_depend_on_orderings():
    """Neither on whether they were drawn before, nor on how many."""
    for rng in (0, (5, 1, 2), np.random.SeedSequence(3)):
        plain = stream_for(rng, None)
        expected = plain.dirichlet(0.4, (50, 2)), plain.uniform((50, 3))
        for num_outputs, n, num_mix in ((5, 5, 2), (5000, 5000, 3), (300, 400, 400)):
            stream = stream_for(rng, None)
            indices = stream.orderings(num_outputs, n, num_mix, anchored=True)
            weights = stream.dirichlet(0.4, (50, 2))
            stream.orderings(7, 7, 7, anchored=False)
            assert np.array_equal(weights, expected[0])
            assert np.array_equal(stream.uniform((50, 3)), expected[1])
            # Nor the other way round.
            late = stream_for(rng, None)
            late.dirichlet(1.0, (9, 2))
            again = late.orderings(num_outputs, n, num_mix, anchored=True)
            assert np.array_equal(again, indices)
    few, many = (mixup_plan(50, num_outputs=m, rng=1) for m in (20, 1000))
    assert np.array_equal(few.weights, many.weights[:20])


def test_portable_numbers_are_not_made_of_the_words_of_the_orderings():
    """Each call has a stretch of the counter to itself, far from the others."""
    words = np.random.Philox(np.random.SeedSequence(8)).random_raw(4096)
    used = set((words >> np.uint64(11)) * 2.0**-53)  # as NumPy makes numbers of words
    stream = stream_for(8, None)
    for _ in range(4):
        numbers = stream.uniform((4096,))
        assert used.isdisjoint(numbers)
        used.update(numbers)
    assert len(used) == 5 * 4096


@pytest.mark.parametrize("source", ["portable", "torch", "jax"])
def test_a_stream_does_not_repeat_itself(source, require):
    """Orderings, weights and boxes of one plan come from one stream, one after the other."""
    if source == "portable":
        stream = stream_for(0, None)
    elif source == "torch":
        require("torch")
        import torch

        from zetamix_core.random.torch_streams import TorchStream

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
