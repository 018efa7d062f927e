"""The p-series weights against closed forms and plain double precision."""

import functools
import math

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zetamix_core import zeta_weights

# Dominant weight and effective number of samples at T = 32, of the published method.
DOMINANT = {1.8: 0.553995, 2.0: 0.619514, 2.4: 0.725751, 2.8: 0.802583, 4: 0.923947, 6: 0.982953}
EFFECTIVE = {1.8: 2.91976, 2.0: 2.40738, 2.4: 1.82003, 2.8: 1.51700, 4: 1.16665, 6: 1.03473}


# In double precision the terms themselves are rounded, where no wider numbers are at hand.
DOUBLE_WITHIN = 1 if np.finfo(np.longdouble).nmant > 52 else 2
# What a weight of each dtype is a multiple of.
QUANTUM = {"float32": 2.0**-24, "float64": 2.0**-53}


@functools.cache
def p_series(num_mix, gamma):
    """The weights in 40 digits; infinity is beyond the powers of mpmath."""
    with mpmath.workdps(40):
        gamma = mpmath.mpf(float(gamma))
        terms = [mpmath.mpf(1)] + [
            mpmath.mpf(r) ** -gamma if mpmath.isfinite(gamma) else mpmath.mpf(0)
            for r in range(2, num_mix + 1)
        ]
        return [term / mpmath.fsum(terms) for term in terms]


def assert_rounded_p_series(weights, gamma, within=1.0):
    """Multiples of a quantum that decrease, sum to one, and lie within so many of the exact."""
    quantum = QUANTUM[str(weights.dtype)]
    counts = [int(w) for w in weights / quantum]
    assert [c * quantum for c in counts] == weights.tolist()
    assert sum(counts) == 1 / quantum
    assert counts == sorted(counts, reverse=True)
    for count, exact in zip(counts, p_series(len(counts), gamma), strict=True):
        # The exact count of units is itself known to some digits: a floor may go either way.
        assert abs(count - exact / quantum) < within + 2**-8


@pytest.mark.parametrize("gamma", DOMINANT)
def test_published_numbers(gamma):
    weights = zeta_weights(32, gamma=gamma)
    assert weights[0] == pytest.approx(DOMINANT[gamma], abs=5e-7)
    assert 1 / np.sum(weights**2) == pytest.approx(EFFECTIVE[gamma], abs=5e-6)


@given(num_mix=st.integers(1, 60), gamma=st.floats(0, 30))
def test_number_gamma(backend, num_mix, gamma):
    weights = zeta_weights(num_mix, gamma=gamma, like=backend.like)
    assert weights.shape == (num_mix,)
    # A Dask array has NumPy plans, which are double; the others follow the float32 array.
    host = backend.to_numpy(weights)
    assert host.dtype == (np.float64 if backend.lazy else np.float32)
    assert_rounded_p_series(host, gamma, DOUBLE_WITHIN if backend.lazy else 1)


def test_double_precision_of_like(backend):
    if backend.name == "jax":
        pytest.skip("JAX has no float64 unless its 64-bit mode is on")
    like = backend.asarray(np.zeros(1))
    for num_mix, gamma in ((9, 2.8), (64, 0.3), (1024, 1.7)):
        host = backend.to_numpy(zeta_weights(num_mix, gamma=gamma, like=like))
        assert_rounded_p_series(host, gamma, DOUBLE_WITHIN)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int8])
@pytest.mark.parametrize("from_numpy", [True, False])
def test_one_gamma_an_output(backend, dtype, from_numpy):
    if backend.lazy and not from_numpy:
        pytest.skip("a Dask gamma is refused, see test_errors")
    if backend.name.startswith("array_api_strict") and dtype is np.float16:
        pytest.skip("the standard has no float16")
    gammas = np.asarray([0, 1, 3] if dtype is np.int8 else [0.0, 1.5, 2.8, np.inf], dtype=dtype)
    gamma = gammas if from_numpy else backend.asarray(gammas)
    host = backend.to_numpy(zeta_weights(5, gamma=gamma, like=backend.like))
    assert host.dtype == (np.float64 if backend.lazy else np.float32)
    # JAX computes in single precision, each rounding of which moves a weight, too.
    within = {"jax": 4, "dask": DOUBLE_WITHIN}.get(backend.name, 1)
    for row, exponent in zip(host, gammas, strict=True):
        assert_rounded_p_series(row, exponent, within)


@pytest.mark.parametrize("gamma", [0.0, 1e-8, 0.3, 1.0, 1.72865, 2.8, 6.0, 40.0])
@pytest.mark.needs("jax")
def test_traced_by_jax(gamma):
    """In single precision, the only one there: on the grid, and within some quanta."""
    for num_mix in (1, 2, 3, 8, 100, 1024):
        traced = jitted_weights(num_mix)(np.float32(gamma))
        assert_rounded_p_series(np.asarray(traced), np.float32(gamma), 8)


@functools.cache
def jitted_weights(num_mix):
    """Return weights as a function of gamma, compiled once for all of them."""
    import jax

    like = jax.numpy.zeros(1)
    return jax.jit(lambda g: zeta_weights(num_mix, gamma=g, like=like))


@pytest.mark.parametrize("gamma", [0.0, 1e-8, 0.3, 1.0, 1.72865, 2.8, 6.0, 40.0])
@pytest.mark.needs("torch")
def test_traced_by_torch(gamma):
    """A gamma of the library is taken to double precision, traced or not."""
    import torch

    def weights(g, num_mix):
        return zeta_weights(num_mix, gamma=g, like=torch.zeros(1))

    compiled = torch.compile(weights, backend="eager", fullgraph=True)
    for num_mix in (1, 2, 8, 352):
        g = torch.tensor(gamma)
        host = weights(g, num_mix).numpy()
        assert_rounded_p_series(host, np.float32(gamma))
        assert np.array_equal(compiled(g, num_mix).numpy(), host)


def test_weights_belong_to_the_caller(backend):
    weights = zeta_weights(4, gamma=2.8, like=backend.like)
    if backend.name != "jax":  # whose arrays are immutable
        weights *= 2


def test_limits():
    assert zeta_weights(4, gamma=math.inf).tolist() == [1, 0, 0, 0]
    assert zeta_weights(4, gamma=0).tolist() == [0.25] * 4
    assert zeta_weights(1, gamma=2.8).tolist() == [1]


def test_rows_sum_to_one_at_any_length():
    for num_mix in (10, 1000, 100_000):
        assert math.fsum(zeta_weights(num_mix, gamma=1.01)) == 1


def test_tails_below_a_quantum_are_zero():
    """What is documented of the default: from rank 352 on float32 has no weight left."""
    single = zeta_weights(1024, gamma=2.8, like=np.zeros(1, dtype=np.float32))
    assert np.flatnonzero(single == 0)[0] == 351
    assert np.all(zeta_weights(1024, gamma=2.8) > 0)
