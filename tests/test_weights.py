"""The p-series weights against closed forms and plain double precision."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zetamix_core import zeta_weights

# Dominant weight and effective number of samples at T = 32, of the published method.
DOMINANT = {1.8: 0.553995, 2.0: 0.619514, 2.4: 0.725751, 2.8: 0.802583, 4: 0.923947, 6: 0.982953}
EFFECTIVE = {1.8: 2.91976, 2.0: 2.40738, 2.4: 1.82003, 2.8: 1.51700, 4: 1.16665, 6: 1.03473}


def p_series(num_mix, gamma):
    terms = [r**-gamma for r in range(1, num_mix + 1)]
    return np.asarray(terms) / math.fsum(terms)


@pytest.mark.parametrize("gamma", DOMINANT)
def test_published_numbers(gamma):
    weights = zeta_weights(32, gamma=gamma)
    assert weights[0] == pytest.approx(DOMINANT[gamma], abs=5e-7)
    assert 1 / np.sum(weights**2) == pytest.approx(EFFECTIVE[gamma], abs=5e-6)


@given(num_mix=st.integers(1, 300), gamma=st.floats(0, 30))
def test_number_gamma(backend, num_mix, gamma):
    weights = zeta_weights(num_mix, gamma=gamma, like=backend.like)
    assert weights.shape == (num_mix,)
    # A Dask array has NumPy plans, which are double; the others follow the float32 array.
    expected = np.float64 if backend.lazy else np.float32
    host = backend.to_numpy(weights)
    assert host.dtype == expected
    eps, tiny = np.finfo(expected).eps, np.finfo(np.float32).tiny
    np.testing.assert_allclose(host, p_series(num_mix, gamma), rtol=4 * eps, atol=tiny)


def test_double_precision_of_like(backend):
    if backend.name == "jax":
        pytest.skip("JAX has no float64 unless its 64-bit mode is on")
    like = backend.asarray(np.zeros(1))
    weights = zeta_weights(9, gamma=2.8, like=like)
    host = backend.to_numpy(weights)
    np.testing.assert_allclose(host, p_series(9, 2.8), rtol=1e-15)


@pytest.mark.parametrize("from_numpy", [True, False])
def test_one_gamma_an_output(backend, from_numpy):
    if backend.lazy and not from_numpy:
        pytest.skip("a Dask gamma is refused, see test_errors")
    gammas = np.asarray([0.0, 1.5, 2.8, np.inf], dtype=np.float32)
    gamma = gammas if from_numpy else backend.asarray(gammas)
    weights = zeta_weights(5, gamma=gamma, like=backend.like)
    host = backend.to_numpy(weights)
    expected = np.stack([p_series(5, float(g)) for g in gammas])
    np.testing.assert_allclose(host, expected, rtol=1e-6)


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
        assert math.fsum(zeta_weights(num_mix, gamma=1.01)) == pytest.approx(1, abs=1e-12)
