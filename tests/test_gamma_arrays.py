"""γ in arrays: narrow dtypes, arrays of other libraries, and derivatives at weight zero."""

import numpy as np
import pytest

from zetamix_core import MixPlan, mixed_loss, zeta_plan, zeta_weights

# More ranks than an int8 counts, and more than a float16 or bfloat16 tells apart.
T = 3000


def exact(gammas, num_mix):
    terms = (
        np.arange(1, num_mix + 1, dtype=np.float64)
        ** -np.asarray(gammas, dtype=np.float64)[:, None]
    )
    return terms / terms.sum(axis=1, keepdims=True)


def assert_near(weights, gammas, num_mix=T):
    weights = np.asarray(weights)
    assert weights.dtype == np.float32
    np.testing.assert_allclose(weights, exact(gammas, num_mix), rtol=0, atol=2**-20)
    np.testing.assert_allclose(weights.sum(axis=1, dtype=np.float64), 1, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "int8", "uint8", "int32", "float64"])
def test_numpy_gammas_of_any_dtype(backend, dtype):
    gammas = np.asarray([0, 1, 2, 3], dtype=dtype)
    weights = backend.to_numpy(zeta_weights(T, gamma=gammas, like=backend.like))
    assert_near(weights.astype(np.float32), [0, 1, 2, 3])
    # Without like, weights are as wide as they get.
    np.testing.assert_allclose(zeta_weights(T, gamma=gammas), exact(gammas, T), rtol=0, atol=2**-50)


@pytest.mark.needs("torch")
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "int8", "uint8", "int64"])
def test_torch_gammas_of_any_dtype(dtype, compiled):
    import torch

    gamma = torch.tensor([0, 1, 2, 3], dtype=getattr(torch, dtype))

    def weights(gamma, like):
        return zeta_weights(T, gamma=gamma, like=like)

    run = torch.compile(weights, backend="eager", fullgraph=True) if compiled else weights
    for like in (torch.zeros(1), torch.zeros(1, dtype=torch.bfloat16)):
        assert_near(run(gamma, like), [0, 1, 2, 3])
    torch.compiler.reset()


@pytest.mark.needs("jax")
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "int8", "uint8", "int32"])
def test_jax_gammas_of_any_dtype(dtype, compiled):
    import jax

    gamma = jax.numpy.asarray([0, 1, 2, 3], dtype=dtype)

    def weights(gamma, like):
        return zeta_weights(T, gamma=gamma, like=like)

    run = jax.jit(weights) if compiled else weights
    for like in (jax.numpy.zeros(1), jax.numpy.zeros(1, dtype="bfloat16")):
        assert_near(run(gamma, like), [0, 1, 2, 3])


@pytest.mark.needs("torch")
def test_a_gamma_in_bfloat16_is_the_number_that_it_holds():
    import torch

    gamma = torch.tensor([2.8], dtype=torch.bfloat16)
    assert float(gamma) != 2.8
    assert_near(zeta_weights(T, gamma=gamma, like=torch.zeros(1)), [float(gamma)])


@pytest.mark.needs("torch")
@pytest.mark.needs("jax")
def test_gamma_and_like_are_of_one_library():
    import jax
    import torch

    ours, theirs = torch.ones(4), jax.numpy.ones(4)
    for gamma, like, names in ((ours, theirs, "jax and torch"), (theirs, ours, "torch and jax")):
        message = f"like and gamma must be arrays of the same library, got {names}; convert gamma"
        for call in (
            lambda gamma=gamma, like=like: zeta_weights(4, gamma=gamma, like=like),
            lambda gamma=gamma, like=like: zeta_plan(4, gamma=gamma, like=like, rng=0),
        ):
            with pytest.raises(TypeError, match=message):
                call()
    # One of NumPy goes with any.
    for like in (ours, theirs):
        assert type(zeta_weights(4, gamma=np.ones(4), like=like)) is type(like)


# --- derivatives at weight zero -------------------------------------------------------------------

INDICES, WEIGHTS = [[0, 1], [1, 2], [2, 0]], [1.0, 0.0]
SAMPLES = np.asarray([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]], dtype=np.float32)


@pytest.mark.needs("torch")
@pytest.mark.parametrize("compiled", [False, True])
def test_what_has_no_weight_has_no_part_in_derivatives_of_torch(compiled):
    import torch

    indices, x = torch.tensor(INDICES), torch.tensor(SAMPLES, requires_grad=True)
    weights = torch.tensor(WEIGHTS, requires_grad=True)

    def total(weights, x):
        return MixPlan(indices, weights, 3).__matmul__(x).sum()

    run = torch.compile(total, backend="eager") if compiled else total
    slopes = torch.autograd.grad(run(weights, x), (weights, x))
    assert slopes[0].tolist() == [66, 0]
    assert slopes[1].tolist() == [[1, 1]] * 3
    torch.compiler.reset()

    losses = torch.tensor([3.0, 5.0, 7.0])
    y = torch.arange(3)
    total = mixed_loss(lambda _, y: losses[y], x, y, MixPlan(indices, weights, 3), reduction="sum")
    assert torch.autograd.grad(total, weights)[0].tolist() == [15, 0]


@pytest.mark.needs("jax")
@pytest.mark.parametrize("compiled", [False, True])
def test_what_has_no_weight_has_no_part_in_derivatives_of_jax(compiled):
    import jax

    jnp = jax.numpy
    indices, x, weights = (jnp.asarray(part) for part in (INDICES, SAMPLES, WEIGHTS))
    losses, y = jnp.asarray([3.0, 5.0, 7.0]), jnp.arange(3)

    def total(weights, x):
        return (MixPlan(indices, weights, 3) @ x).sum()

    def total_loss(weights):
        plan = MixPlan(indices, weights, 3)
        return mixed_loss(lambda _, y: losses[y], x, y, plan, reduction="sum")

    slope, slope_of_loss = jax.grad(total, (0, 1)), jax.grad(total_loss)
    if compiled:
        slope, slope_of_loss = jax.jit(slope), jax.jit(slope_of_loss)
    of_weights, of_x = slope(weights, x)
    assert of_weights.tolist() == [66, 0]
    assert of_x.tolist() == [[1, 1]] * 3
    assert slope_of_loss(weights).tolist() == [15, 0]


@pytest.mark.parametrize("gamma", [0.0, 2.8, 200.0, np.inf])
@pytest.mark.parametrize("num_mix", [3, 8])
@pytest.mark.parametrize("library", ["torch", "jax"])
def test_the_derivative_in_gamma_where_weights_vanish(library, num_mix, gamma, require):
    """Ranks whose weight underflows have none; the others that of the formula."""
    require(library)
    x = np.arange(8, dtype=np.float32)[:, None] + 1
    plan = zeta_plan(8, num_mix=num_mix, rng=0)
    ranks = np.arange(1, num_mix + 1)
    w = exact([gamma], num_mix)[0]
    with np.errstate(invalid="ignore"):
        logs = np.where(w == 0, 0, np.log(ranks))
    expected = ((w * ((w * logs).sum() - logs)) * x[plan.indices, 0]).sum()
    if library == "torch":
        import torch

        exponent, like = torch.tensor(gamma, requires_grad=True), torch.from_numpy(x)
        zeta_plan(8, num_mix=num_mix, gamma=exponent, rng=0, like=like).__matmul__(
            like
        ).sum().backward()
        slope = float(exponent.grad)
    else:
        import jax

        like = jax.numpy.asarray(x)
        slope = float(
            jax.grad(
                lambda g: (zeta_plan(8, num_mix=num_mix, gamma=g, rng=0, like=like) @ like).sum()
            )(gamma)
        )
    assert slope == pytest.approx(expected, rel=2e-4, abs=1e-4)
