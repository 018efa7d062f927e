"""An infinity or NaN in one sample reaches only the outputs that use it, with T = N too."""

import numpy as np
import pytest

from zetamix_core import MixPlan, linear_map, zeta_plan

# Output 0 leaves sample 1 out by repeating sample 0, output 2 by a weight of zero.
INDICES = np.asarray([[0, 0, 2], [1, 0, 2], [2, 1, 0]])
WEIGHTS = np.asarray([[0.5, 0.25, 0.25], [0.5, 0.25, 0.25], [0.5, 0.0, 0.5]])
PLAN = MixPlan(INDICES, WEIGHTS, 3)
BAD = [np.nan, np.inf, -np.inf]


def samples(bad, dtype="float32"):
    return np.asarray([[4.0, 4.0], [bad, 4.0], [8.0, 4.0]], dtype=dtype)


def check(mixed, bad):
    assert mixed[:, 0].tolist()[::2] == [5.0, 6.0]
    np.testing.assert_equal(float(mixed[1, 0]), bad)
    assert mixed[:, 1].tolist() == [4.0, 4.0, 4.0]


@pytest.mark.parametrize("bad", BAD)
def test_on_every_library(backend, bad):
    """For a portable plan, and one of the library."""
    if backend.name == "cupy":
        pytest.skip("a dense product on an accelerator is not looked at")
    x = backend.asarray(samples(bad))
    check(backend.to_numpy(PLAN @ x), bad)
    check(backend.to_numpy(PLAN.mix_labels(x)), bad)
    if not backend.lazy:
        own = MixPlan(backend.asarray(INDICES), backend.asarray(WEIGHTS.astype(np.float32)), 3)
        check(backend.to_numpy(own @ x), bad)


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("dtype", [">f4", ">f8", "<f2", "g"])
def test_in_any_dtype_of_numpy(bad, dtype):
    mixed = PLAN @ samples(bad, dtype)
    assert mixed.dtype == dtype
    check(mixed, bad)


def test_complex_numbers(backend):
    if backend.name == "cupy":
        pytest.skip("a dense product on an accelerator is not looked at")
    mixed = backend.to_numpy(PLAN @ backend.asarray(samples(np.nan, "complex64")))
    assert mixed[[0, 2], 0].tolist() == [5, 6]
    assert np.isnan(mixed[1, 0])


@pytest.mark.needs("torch")
@pytest.mark.parametrize("bad", BAD)
def test_torch_with_derivatives(bad):
    import torch

    class Subclass(torch.Tensor):
        pass

    x = torch.from_numpy(samples(bad)).requires_grad_()
    mixed = PLAN @ x
    check(mixed.detach(), bad)
    mixed[0, 0].backward()
    assert x.grad[:, 0].tolist() == [0.75, 0.0, 0.25]
    check((PLAN @ x.detach().as_subclass(Subclass)).as_subclass(torch.Tensor), bad)
    case = MixPlan(np.asarray([[0, 0], [1, 0]]), np.asarray([0.5, 0.5]), 2)
    mixed = case @ torch.tensor([1.0, bad], requires_grad=True)
    np.testing.assert_equal(mixed.tolist(), [1.0, bad])


@pytest.mark.needs("torch")
@pytest.mark.parametrize("bad", BAD)
def test_torch_under_vmap(bad):
    """A product that can't be looked at is not made of plans that may leave samples out."""
    import torch

    x = torch.from_numpy(samples(bad))
    check(torch.func.vmap(lambda x: PLAN.__matmul__(x))(x[None])[0], bad)


@pytest.mark.needs("jax")
@pytest.mark.parametrize("bad", BAD)
def test_jax_with_a_plan_from_outside(bad):
    import jax
    import jax.numpy as jnp

    x = jnp.asarray(samples(bad))
    plan = MixPlan(jnp.asarray(INDICES), jnp.asarray(WEIGHTS, jnp.float32), 3)
    check(jax.jit(lambda x: plan @ x)(x), bad)
    check(jax.vmap(lambda x: plan @ x)(x[None])[0], bad)
    slopes = jax.grad(lambda x: (plan @ x)[0, 0])(x)
    assert slopes[:, 0].tolist() == [0.75, 0.0, 0.25]


@pytest.mark.needs("jax")
def test_the_exception_is_as_documented():
    """A plan that JAX traces is not read; with T < N that does not matter."""
    import jax
    import jax.numpy as jnp

    x = jnp.asarray(samples(np.nan))
    plan = MixPlan(jnp.asarray(INDICES), jnp.asarray(WEIGHTS, jnp.float32), 3)
    assert np.isnan(jax.jit(lambda plan, x: plan @ x)(plan, x)[:, 0]).all()
    more = jnp.concatenate([x, x[:1]])
    wider = MixPlan(plan.indices, plan.weights, 4)
    check(jax.jit(lambda plan, x: plan @ x)(wider, more), np.nan)


# --- which product is taken -----------------------------------------------------------------------


@pytest.fixture
def gathers(monkeypatch):
    calls = []
    gather = linear_map.gather_sum

    def note(*args, **options):
        calls.append(1)
        return gather(*args, **options)

    monkeypatch.setattr(linear_map, "gather_sum", note)
    return calls


@pytest.mark.needs("torch")
def test_finite_samples_stay_with_the_dense_product(gathers):
    """Weights of zero are common with T = N: γ = ∞, tails below a quantum, skipped batches."""
    import torch

    x = torch.rand(6, 3, requires_grad=True)
    for plan in (zeta_plan(6, gamma=np.inf, rng=0), zeta_plan(6, rng=0).where(False)):
        mixed = plan @ x
        assert torch.equal(mixed, x)
    assert not gathers


@pytest.mark.needs("jax")
def test_drawn_plans_take_one_product_in_jax(gathers):
    """All outputs of a drawn plan use all samples, so that there is nothing to decide."""
    import jax.numpy as jnp

    x = jnp.ones((7, 5))
    _ = zeta_plan(7, rng=0) @ x
    _ = zeta_plan(7, rng=0, like=x) @ x
    assert not gathers
    plan = zeta_plan(7, rng=0, like=x)
    _ = MixPlan(plan.indices, plan.weights, 7) @ x
    assert gathers


@pytest.mark.needs("jax")
@pytest.mark.parametrize("traced", [False, True])
def test_many_ranks_in_jax_take_a_dense_product_that_contains(traced):
    import jax

    def mix(plan, x):
        return plan @ x

    x = np.random.default_rng(0).standard_normal((20, 3)).astype(np.float32)
    plan = zeta_plan(20, num_mix=12, gamma=1.0, rng=0, like=jax.numpy.asarray(x))
    matrix = np.asarray(plan.matrix())
    for bad in (1.0, np.nan):
        x[4] = bad
        mixed = (jax.jit(mix) if traced else mix)(plan, jax.numpy.asarray(x))
        users = matrix[:, 4] > 0
        assert (np.isnan(mixed).any(axis=1) == (users & np.isnan(bad))).all()
        expected = matrix @ np.where(np.isnan(x), 0, x)
        np.testing.assert_allclose(mixed[~users], expected[~users], rtol=1e-5, atol=1e-6)
    slopes = jax.grad(lambda x: mix(plan, x)[0].sum())(jax.numpy.asarray(x))
    np.testing.assert_allclose(slopes, matrix[0][:, None] * np.ones((1, 3)), rtol=1e-5)
