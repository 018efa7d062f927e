"""Mixed labels are probabilities: never above one, and rows of classes sum to exactly one."""

import numpy as np
import pytest

from zetamix_core import cutmix_plan, dirichlet_plan, mixup_plan, zeta_plan

# With the first and the last, plain float32 weights of eight samples gave labels above one.
GAMMAS = (3.5, 2.8, 5.2)


def plans(n, like):
    """Plans of each kind for n samples, with weights of `like` or, if None, of NumPy."""
    for gamma, num_mix in zip(GAMMAS, (min(8, n), n, n), strict=True):
        yield zeta_plan(n, gamma=gamma, num_mix=num_mix, rng=n, like=like)
    yield zeta_plan(n, gamma=np.linspace(0, 5, n), rng=n, like=like)
    yield dirichlet_plan(n, rng=n, like=like)
    yield mixup_plan(n, rng=n, like=like)
    yield cutmix_plan((n, 5, 7), rng=n, like=like)


def sums(rows):
    """Sums of rows from the left and from the right, one number after the other."""
    return {float(np.cumsum(rows[:, ::step], axis=1)[i, -1]) for step in (1, -1) for i in (0, -1)}


@pytest.mark.parametrize("on_device", [False, True])
@pytest.mark.parametrize("n", [3, 33])
def test_labels_lie_between_zero_and_one(backend, n, on_device):
    ones = np.ones((n, 2), dtype=np.int64)
    classes = np.arange(n) % 3
    for plan in plans(n, backend.like if on_device else None):
        multi_hot = backend.to_numpy(plan.mix_labels(backend.asarray(ones), 2))
        assert np.all(multi_hot == 1)
        rows = backend.to_numpy(plan.mix_labels(backend.asarray(classes), 3))
        assert sums(rows) == {1.0}
        linear = getattr(plan, "volumes", plan)
        targets = backend.to_numpy(linear @ backend.asarray(ones.astype(np.float32)))
        assert np.all(targets == 1)


@pytest.mark.parametrize("n", [3, 33])
def test_masks_and_targets_lie_between_zero_and_one(backend, n):
    rng = np.random.default_rng(n)
    background = np.zeros((n, 2, 3), dtype=np.int64)
    targets = rng.choice([-1.0, -0.3, 1.0], size=(n, 5)).astype(np.float32)
    for plan in plans(n, None):
        if hasattr(plan, "volumes"):
            continue  # masks are pasted, not averaged
        soft = backend.to_numpy(plan.mix_labels(backend.asarray(background), 2, positions=True))
        assert np.all(soft[..., 0] == 1)
        assert np.all(soft[..., 1] == 0)
        # Up to the power of two that the data reach, with either sign.
        mixed = backend.to_numpy(plan @ backend.asarray(targets * 4))
        assert np.abs(mixed).max() <= 4


def test_every_batch_size_up_to_256():
    """Where the defaults gave targets above one for 238 sizes."""
    for n in range(2, 257):
        like = np.zeros(1, dtype=np.float32)
        plan = zeta_plan(n, rng=n, like=like)
        assert np.all(plan @ np.ones((n, 2), dtype=np.float32) == 1)
        assert np.all(zeta_plan(n, rng=n) @ np.ones((n, 2)) == 1)


@pytest.mark.needs("torch")
@pytest.mark.parametrize("num_mix", [8, 48])
def test_precision_of_products_does_not_reach_integer_labels(num_mix):
    """Settings that round the factors of products to fewer bits are for samples."""
    import torch

    plan = zeta_plan(48, num_mix=num_mix, rng=0, like=torch.zeros(1))
    multi_hot = (torch.rand(48, 64, generator=torch.Generator().manual_seed(0)) < 0.5).long()
    exact = plan.matrix().double() @ multi_hot.double()
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        eager = plan.mix_labels(multi_hot, 64)
        compiled = torch.compile(plan.mix_labels, backend="eager")(multi_hot, 64)
    finally:
        torch.set_float32_matmul_precision(before)
    assert torch.equal(eager.double(), exact)
    assert torch.equal(compiled.double(), exact)


@pytest.mark.needs("torch")
def test_binary_cross_entropy_takes_mixed_targets():
    import torch

    import zetamix_core

    _, soft = zetamix_core.zeta_mixup(torch.rand(32, 4), torch.ones(32, 2), rng=0)
    loss = torch.nn.functional.binary_cross_entropy(torch.full((32, 2), 0.5), soft)
    assert float(loss) == pytest.approx(np.log(2))


@pytest.mark.needs("jax")
@pytest.mark.parametrize("n", [8, 33])
def test_traced_by_jax(n):
    import jax

    jnp = jax.numpy
    ones, classes = jnp.ones((n, 2), dtype=int), jnp.arange(n) % 3

    @jax.jit
    def mix(key, gamma):
        like = jnp.zeros(1)
        zeta = zeta_plan(n, gamma=gamma, rng=key, like=like)
        flat = dirichlet_plan(n, rng=key, like=like)
        boxes = cutmix_plan((n, 5, 7), rng=key, like=like)
        return [(p.mix_labels(ones, 2), p.mix_labels(classes, 3)) for p in (zeta, flat, boxes)]

    for gamma in GAMMAS:
        for multi_hot, rows in mix(jax.random.key(n), gamma):
            assert np.all(np.asarray(multi_hot) == 1)
            assert sums(np.asarray(rows)) == {1.0}


@pytest.mark.needs("torch")
def test_traced_by_torch():
    import torch

    ones, classes = torch.ones(33, 2, dtype=torch.int64), torch.arange(33) % 3

    @torch.compile(backend="eager", fullgraph=True)
    def mix(gamma):
        like = torch.zeros(1)
        zeta = zeta_plan(33, gamma=gamma, rng="device", like=like)
        flat = dirichlet_plan(33, rng="device", like=like)
        return [(p.mix_labels(ones, 2), p.mix_labels(classes, 3)) for p in (zeta, flat)]

    for gamma in GAMMAS:
        for multi_hot, rows in mix(torch.tensor(gamma)):
            assert bool((multi_hot == 1).all())
            assert sums(rows.numpy()) == {1.0}
