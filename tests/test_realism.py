"""Realism and diversity, distances and displacement: the authors' package, and brute force."""

import math

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from zetamix_core import mixup_plan, theory, zeta_plan
from zetamix_core.metrics import (
    displacement,
    nearest_distance,
    realism_diversity,
)

K = 4
SHAPES = {"tree": 3, "all with all": 20}


@pytest.fixture(params=SHAPES)
def sets(request):
    """Two clouds that overlap in part, off the origin."""
    rng = np.random.default_rng(0)
    num_features = SHAPES[request.param]
    shift = 2.5 / np.sqrt(num_features)
    real = 3 + rng.normal(size=(120, num_features))
    return real, 3 + shift + 0.7 * rng.normal(size=(90, num_features))


def by_definition(real, synthetic, k):
    """The formulas of the papers."""
    among_real, among = cdist(real, real), cdist(synthetic, synthetic)
    np.fill_diagonal(among_real, np.inf)
    np.fill_diagonal(among, np.inf)
    radii_real, radii = np.sort(among_real)[:, k - 1], np.sort(among)[:, k - 1]
    between = cdist(real, synthetic)
    in_real = between < radii_real[:, None]
    return (
        in_real.any(axis=0).mean(),
        (between < radii).any(axis=1).mean(),
        in_real.sum() / (k * len(synthetic)),
        in_real.any(axis=1).mean(),
    )


def as_numpy(backend, array):
    return array if isinstance(array, np.ndarray) else backend.to_numpy(array)


# --- realism and diversity ------------------------------------------------------------------------


def test_four_numbers_are_those_of_the_definition(backend, sets):
    found = realism_diversity(*map(backend.asarray, sets), n_neighbors=K)
    assert all(type(value) is float for value in found)
    expected = by_definition(*sets, K)
    assert min(expected) > 0  # or the numbers would tell nothing
    assert max(expected[0], expected[1], expected[3]) < 1
    tolerance = 0.01 if backend.name == "jax" else 1e-12
    np.testing.assert_allclose(found, expected, atol=tolerance)


@pytest.mark.parametrize("k", [1, 5, 20])
def test_four_numbers_are_those_of_prdc(sets, k):
    prdc = pytest.importorskip("prdc", reason="prdc comes with the extra test")
    oracle = prdc.compute_prdc(*sets, nearest_k=k)
    assert realism_diversity(*sets, n_neighbors=k)._asdict() == pytest.approx(oracle)


def test_precision_and_recall_change_places_with_the_sets(sets):
    real, synthetic = sets
    there, back = realism_diversity(real, synthetic), realism_diversity(synthetic, real)
    assert (there.precision, there.recall) == (back.recall, back.precision)


def test_a_set_is_as_real_and_diverse_as_itself(backend, sets):
    x = backend.asarray(sets[0])
    assert realism_diversity(x, x) == (1, 1, 1, 1)
    again = backend.asarray(sets[0][::-1].copy())
    assert realism_diversity(x, again) == (1, 1, 1, 1)


def test_sets_far_apart(backend, sets):
    real, synthetic = sets
    found = realism_diversity(backend.asarray(real), backend.asarray(synthetic + 100))
    assert found == (0, 0, 0, 0)


def test_blocks_change_nothing(backend, sets, monkeypatch):
    given = [backend.asarray(each) for each in sets]
    expected = realism_diversity(*given, n_neighbors=K), nearest_distance(*given)
    monkeypatch.setattr("zetamix_core.metrics.samples._BLOCK_ENTRIES", 300)
    assert realism_diversity(*given, n_neighbors=K) == pytest.approx(expected[0], abs=1e-6)
    found = nearest_distance(*given)
    pairs = as_numpy(backend, found), as_numpy(backend, expected[1])
    np.testing.assert_allclose(*pairs, rtol=1e-3 if backend.name == "jax" else 1e-9)


@pytest.mark.parametrize("num_features", [1, 3, 12])
def test_radii_far_below_the_spread(backend, num_features):
    """A dense line in single precision, of which rounding is not to take anything away."""
    if backend.name == "jax":
        pytest.skip("JAX has no double precision here, as the documentation says")
    line = np.random.default_rng(0).random((2000, 1)).astype(np.float32)
    x = np.repeat(line, num_features, axis=1)
    found = realism_diversity(backend.asarray(x), backend.asarray(x))
    assert found.precision == found.recall == found.coverage == 1
    assert found.density == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("scale", [1e-200, 1e-30, 1e30, 1e200])
def test_units_change_nothing(sets, scale):
    real, synthetic = sets
    expected = realism_diversity(real, synthetic)
    assert realism_diversity(scale * real, scale * synthetic) == expected
    near = nearest_distance(scale * real, scale * synthetic) / scale
    np.testing.assert_allclose(near, nearest_distance(real, synthetic), rtol=1e-9)
    moved = displacement(scale * real, scale * synthetic)
    assert moved == pytest.approx(displacement(real, synthetic))


def test_copies_have_empty_balls(backend):
    """The border belongs to no ball, so that nothing is in one of radius zero."""
    rng = np.random.default_rng(0)
    real = np.repeat(rng.normal(size=(5, 9)), 10, axis=0)
    x = backend.asarray(real)
    assert realism_diversity(x, x, n_neighbors=9) == (0, 0, 0, 0)
    found = realism_diversity(x, x, n_neighbors=10)
    assert (found.precision, found.recall, found.coverage) == (1, 1, 1)
    assert found.density == 1


# --- distances ------------------------------------------------------------------------------------


def test_nearest_distance_is_that_of_brute_force(backend, sets):
    real, synthetic = sets
    synthetic = np.concatenate([synthetic, real[:7]])
    found = as_numpy(backend, nearest_distance(*map(backend.asarray, (real, synthetic))))
    assert np.all(found[-7:] == 0)
    tolerance = 1e-5 if backend.name == "jax" else 1e-12
    np.testing.assert_allclose(found, cdist(real, synthetic).min(axis=0), rtol=tolerance, atol=0)


def test_displacement_by_hand(backend):
    x = np.asarray([[0.0, 0.0], [4.0, 2.0]])  # variances 8 and 2
    mixed = np.asarray([[1.0, 0.0], [4.0, 4.0], [0.0, 3.0]])  # squared steps 1, 4 and 9
    found = displacement(backend.asarray(x), backend.asarray(mixed))
    assert type(found) is float
    assert found == pytest.approx(math.sqrt(14 / 3 / 10), rel=1e-6)


@pytest.mark.parametrize("gamma", [0, 1.8, 2.8, 6])
def test_displacement_is_what_theory_expects(backend, gamma):
    x = np.random.default_rng(0).normal(size=(400, 30)).astype(np.float32)
    given = backend.asarray(x)
    found = displacement(given, zeta_plan(400, gamma=gamma, num_mix=16, rng=0) @ given)
    assert found == pytest.approx(theory.displacement(gamma, 16), rel=0.03)


def test_displacement_by_mixup():
    """λ is uniform, and the partner is two variances away."""
    x = np.random.default_rng(0).normal(size=(3000, 30))
    found = displacement(x, mixup_plan(3000, rng=0) @ x)
    assert found == pytest.approx(math.sqrt(2 / 3), rel=0.03)


def test_displacement_of_constants(backend):
    """Rounding is no step."""
    x = backend.asarray(np.full((60, 3), 0.1))
    assert displacement(x, zeta_plan(60, num_mix=50, rng=0) @ x) == 0
    assert displacement(x, backend.asarray(np.full((60, 3), 0.2))) > 1e6


# --- refusals -------------------------------------------------------------------------------------


X = np.random.default_rng(0).normal(size=(20, 4))
HOLE = np.where(np.arange(80).reshape(20, 4) == 14, np.nan, X)
FUNCTIONS = [realism_diversity, nearest_distance, displacement]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_what_no_measure_takes(function, backend):
    x = backend.asarray(X)
    with pytest.raises(ValueError, match="must be finite, got NaN or infinity, first in sample 3"):
        function(x, backend.asarray(HOLE))
    with pytest.raises(ValueError, match="must have the same number of features, got 4 and 3"):
        function(x, x[:, :3])
    with pytest.raises(TypeError, match="must be an array of a supported library, got list"):
        function(x, X.tolist())
    with pytest.raises(ValueError, match="must be >= 1, got 0"):
        function(x[:0, :], x)


@pytest.mark.needs("torch")
@pytest.mark.parametrize("function", FUNCTIONS)
def test_two_libraries(function):
    import torch

    with pytest.raises(TypeError, match="same library, got numpy and torch"):
        function(X, torch.from_numpy(X))


def test_too_few_samples():
    for real, synthetic in ((X[:5], X), (X, X[:5])):
        with pytest.raises(ValueError, match="got n_neighbors=5 for 5 samples"):
            realism_diversity(real, synthetic)
    with pytest.raises(ValueError, match="x must have two samples or more to vary, got one"):
        displacement(X[:1], X)
