"""jit, vmap, grad, pytrees and 64-bit mode."""

import os
import subprocess
import sys

import numpy as np
import pytest

from zetamix_core import (
    MixPlan,
    cutmix,
    dirichlet_plan,
    mixup,
    mixup_plan,
    zeta_mixup,
    zeta_plan,
    zeta_weights,
)

jax = pytest.importorskip("jax")
jnp = jax.numpy
pytestmark = pytest.mark.needs("jax")


def samples(*shape, seed=0):
    return jax.random.normal(jax.random.key(seed), shape)


@pytest.mark.parametrize("mix", [zeta_mixup, mixup, cutmix])
def test_one_call_functions_jit(mix):
    x, y = samples(16, 3, 4), jnp.arange(16) % 5

    def step(key, x, y):
        return mix(x, y, num_classes=5, rng=key)

    eager, traced = (f(jax.random.key(1), x, y) for f in (step, jax.jit(step)))
    for a, b in zip(eager, traced, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    other = jax.jit(step)(jax.random.key(2), x, y)
    assert not np.array_equal(other[0], traced[0])


@pytest.mark.parametrize("num_mix", [1, 2, 8, 40, 64, None])
def test_jitted_mixtures_are_right(num_mix):
    x = samples(64, 5)

    def step(key, x):
        plan = zeta_plan(64, num_mix=num_mix, rng=key, like=x)
        return plan, plan @ x

    plan, mixed = jax.jit(step)(jax.random.key(1), x)
    host = MixPlan(np.asarray(plan.indices), zeta_weights(plan.num_mix, gamma=2.8), 64)
    np.testing.assert_allclose(mixed, host @ np.asarray(x), rtol=1e-5, atol=1e-6)


def test_vmap_over_keys_and_data():
    x, keys = samples(3, 8, 4), jax.random.split(jax.random.key(0), 3)

    def mix(key, x):
        return zeta_mixup(x, rng=key)[0]

    mixed = jax.vmap(mix)(keys, x)
    for key, part, expected in zip(keys, x, mixed, strict=True):
        np.testing.assert_allclose(mix(key, part), expected, rtol=1e-5, atol=1e-6)
    plans = jax.vmap(lambda key: zeta_plan(8, num_mix=3, rng=key, like=x))(keys)
    assert plans.indices.shape == (3, 8, 3)
    mixed = jax.vmap(lambda plan, x: plan @ x)(plans, x)
    assert mixed.shape == x.shape


@pytest.mark.parametrize("num_mix", [5, 40])
def test_gradients_in_x_and_gamma(num_mix):
    from jax.test_util import check_grads

    x, key = samples(40, 3), jax.random.key(0)

    def mix(x, gamma):
        # The numerical derivatives come in as NumPy arrays.
        x, gamma = jnp.asarray(x), jnp.asarray(gamma)
        return zeta_mixup(x, gamma=gamma, num_mix=num_mix, rng=key)[0]

    check_grads(mix, (x, jnp.asarray(2.0)), order=1, modes=["rev"], atol=2e-2, rtol=2e-2)
    check_grads(jax.jit(mix), (x, jnp.asarray(2.0)), order=1, modes=["rev"], atol=2e-2, rtol=2e-2)
    assert jax.grad(lambda g: zeta_weights(4, gamma=g, like=x)[0])(jnp.inf) == 0


def test_eager_grad_with_a_portable_rng_is_legal():
    x = samples(4, 3)
    slope = jax.grad(lambda x: zeta_mixup(x, rng=0)[0].sum())(x)
    matrix = zeta_plan(4, rng=0).matrix()
    np.testing.assert_allclose(slope[:, 0], matrix.sum(axis=0), rtol=1e-5)
    plan = zeta_plan(4, rng=0)
    np.testing.assert_allclose(jax.jit(lambda x: plan @ x)(x), plan @ x, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("make", [zeta_plan, mixup_plan, dirichlet_plan])
@pytest.mark.parametrize("transform", ["jit", "vmap", "jit of grad", "closed over"])
def test_a_portable_rng_inside_a_trace_is_an_error(make, transform):
    x = samples(4, 3)

    def mix(x):
        return (make(4, rng=7, like=x) @ x).sum()

    calls = {
        "jit": lambda: jax.jit(mix)(x),
        "vmap": lambda: jax.vmap(mix)(x[None]),
        "jit of grad": lambda: jax.jit(jax.grad(mix))(x),
        "closed over": lambda: jax.jit(lambda _: mix(x))(0.0),
    }
    with pytest.raises(TypeError, match=r"inside a JAX transformation.*rng=7.*pass a key"):
        calls[transform]()


def test_gamma_is_traced_without_recompiling():
    traces = []

    @jax.jit
    def mix(key, x, gamma):
        traces.append(None)
        return zeta_mixup(x, gamma=gamma, rng=key)[0]

    x = samples(8, 3)
    for seed, gamma in enumerate([0.0, 1.8, 2.8, jnp.inf]):
        mix(jax.random.key(seed), x, gamma)
    assert len(traces) == 1
    assert np.isnan(mix(jax.random.key(0), x, -1.0)).all()


def test_plans_are_pytrees():
    plan = zeta_plan(6, num_mix=2, rng=jax.random.key(0), like=samples(1))
    leaves, structure = jax.tree_util.tree_flatten(plan)
    assert len(leaves) == 2
    assert jax.tree_util.tree_unflatten(structure, leaves) == plan
    assert jax.jit(lambda p: p)(plan) == plan
    paths = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(plan)]
    assert paths == [".indices", ".weights"]


def test_a_numpy_plan_is_a_pytree_too_and_threads_may_make_the_first():
    code = """
import sys, threading, jax, numpy as np
from zetamix_core import zeta_plan
sys.setswitchinterval(1e-6)
failures = []
def make():
    try:
        zeta_plan(4, rng=0)
    except Exception as error:
        failures.append(error)
threads = [threading.Thread(target=make) for _ in range(16)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
assert not failures, failures
x = jax.numpy.ones((4, 2))
assert jax.jit(lambda plan, x: plan @ x)(zeta_plan(4, rng=0), x).shape == (4, 2)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_device_of_the_samples_is_taken():
    device = jax.devices("cpu")[0]
    x = jax.device_put(samples(4, 3), device)
    plan = zeta_plan(4, rng=0, like=x)
    assert plan.indices.devices() == plan.weights.devices() == {device}


SEVERAL_DEVICES = """
import jax, numpy as np
from jax import numpy as jnp
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from zetamix_core import cutmix, mixup, mixup_plan, zeta_mixup, zeta_plan

device = jax.devices()[3]
x = jax.device_put(jnp.arange(64.0).reshape(16, 4), device)
y = jax.device_put(jnp.arange(16) % 3, device)
key = jax.random.key(0)
rtol = 2 * 18 * 2.0**-24  # between two sums of 16 products at most, none of which is negative
for rng in (0, key):
    for options in ({}, {"num_mix": 2}, {"gamma": jnp.asarray(2.0)}):
        mixed, soft = zeta_mixup(x, y, num_classes=3, rng=rng, **options)
        assert mixed.devices() == soft.devices() == {device}, (rng, options)
        expected, _ = zeta_mixup(jax.device_put(x, jax.devices()[0]), rng=rng, **options)
        np.testing.assert_allclose(mixed, expected, rtol=rtol)
    for make in (mixup, lambda *a, **k: cutmix(*a, axes=(1,), **k)):
        mixed, soft = make(x, y, num_classes=3, rng=rng)
        assert mixed.devices() == soft.devices() == {device}
    assert mixup_plan(16, rng=rng, like=x).weights.devices() == {device}

mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))
whole = jnp.arange(256.0).reshape(16, 4, 4)
sharded = jax.device_put(whole, NamedSharding(mesh, PartitionSpec("data")))
for rng in (0, key):
    for make in (mixup, cutmix, zeta_mixup, lambda x, rng: zeta_mixup(x, num_mix=2, rng=rng)):
        np.testing.assert_allclose(make(sharded, rng=rng)[0], make(whole, rng=rng)[0], rtol=rtol)
"""


def test_other_devices_than_the_default_and_several():
    flags = f"--xla_force_host_platform_device_count=8 {os.environ['XLA_FLAGS']}"
    done = subprocess.run(
        [sys.executable, "-c", SEVERAL_DEVICES],
        env=os.environ | {"XLA_FLAGS": flags},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_infinite_gamma_in_a_trace():
    x = jnp.asarray([[jnp.inf], [1.0], [2.0], [3.0]])
    key = jax.random.key(0)
    mix = jax.jit(lambda x: zeta_plan(4, gamma=jnp.inf, num_mix=2, rng=key, like=x) @ x)
    assert np.array_equal(mix(x), x)


def test_64_bit_mode():
    with jax.enable_x64(True):
        x = jnp.asarray(np.random.default_rng(0).normal(size=(40, 4)))
        for rng in (0, jax.random.key(0)):
            for num_mix in (3, 40):
                plan = zeta_plan(40, num_mix=num_mix, rng=rng, like=x)
                assert plan.weights.dtype == jnp.float64
                assert plan.indices.dtype == jnp.int64
                host = MixPlan(np.asarray(plan.indices), np.asarray(plan.weights), 40)
                np.testing.assert_allclose(plan @ x, host @ np.asarray(x), rtol=1e-13, atol=1e-14)
        mixed = zeta_plan(40, rng=0) @ x.astype(jnp.complex128)
        assert mixed.dtype == jnp.complex128
