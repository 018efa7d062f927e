"""The γ to try first: brute force, repeated rows, clipping, classes and refusals."""

import math

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.spatial.distance import cdist
from sklearn.datasets import load_digits
from zetamix.figures.datasets import helix

from zetamix_core import permutation, zeta_weights
from zetamix_core.metrics import gamma_report, suggest_gamma

RNG = np.random.default_rng(0)
X = RNG.normal(size=(150, 3)) * [1, 2, 3] + 7
Y = np.arange(150) % 3


def moved(gamma, num_mix):
    """The root mean square distance of mixtures, from the weights."""
    weights = zeta_weights(num_mix, gamma=gamma)
    return math.sqrt((1 - weights[0]) ** 2 + (weights[1:] ** 2).sum())


def by_definition(x, k=5, num_mix=8, rows=slice(None)):
    distances = np.sort(cdist(x, x), axis=1)[rows, k]  # the first is that to itself
    ratio = np.median(distances) / math.sqrt(x.var(axis=0, ddof=1).sum())
    return brentq(lambda gamma: moved(gamma, num_mix) - ratio, 1.0, 20.0, xtol=1e-12)


@pytest.mark.parametrize(("k", "num_mix"), [(5, 8), (1, 2), (9, 32)])
def test_brute_force(k, num_mix):
    found = suggest_gamma(X, Y, n_neighbors=k, num_mix=num_mix)
    assert found.gamma == pytest.approx(by_definition(X, k, num_mix), rel=1e-9)
    expected = {c: by_definition(X, k, num_mix, c == Y) for c in range(3)}
    assert found.per_class == pytest.approx(expected, rel=1e-9)
    assert f"At γ = {found.gamma:.3g} mixtures of {num_mix} move" in found.reason
    assert f"neighbour {k}, {moved(found.gamma, num_mix):.3g} of the spread" in found.reason


def test_every_library(backend):
    expected = suggest_gamma(X, Y)
    found = suggest_gamma(backend.asarray(X), backend.asarray(Y))
    tolerance = 1e-4 if backend.name == "jax" else 1e-9
    assert type(found.gamma) is float
    assert found.gamma == pytest.approx(expected.gamma, rel=tolerance)
    assert found.per_class == pytest.approx(expected.per_class, rel=tolerance)
    assert found.reason == expected.reason


@pytest.mark.parametrize("shape", [(150, 1), (150, 3)])
def test_forms_of_labels(shape):
    labels = Y.reshape(shape) if shape[1] == 1 else 0.2 + 0.4 * np.eye(3)[Y]
    assert suggest_gamma(X, labels) == suggest_gamma(X, Y)
    assert suggest_gamma(X, Y - 1).per_class.keys() == {-1, 0, 1}
    assert suggest_gamma(X).per_class is None


def test_repeated_rows_count_once():
    expected = suggest_gamma(X, Y)
    order = permutation(450, 0)
    found = suggest_gamma(np.tile(X, (3, 1))[order], np.tile(Y, 3)[order])
    assert found.gamma == pytest.approx(expected.gamma, rel=1e-12)
    assert found.per_class == pytest.approx(expected.per_class, rel=1e-12)
    assert found.reason == expected.reason + " Repeated rows counted once."
    zeros = np.where(np.arange(150)[:, None] == 3, 0.0, X)
    assert suggest_gamma(np.vstack([zeros, -zeros[3:4]])) == (
        suggest_gamma(np.vstack([zeros, zeros[3:4]]))  # -0.0 is 0.0
    )


def test_some_of_many_samples():
    found = suggest_gamma(X, max_samples=60, n_neighbors=2, rng=3)
    assert found.gamma == pytest.approx(by_definition(X[permutation(150, 3)[:60]], 2), rel=1e-9)
    assert suggest_gamma(X, max_samples=60, n_neighbors=2, rng=4) != found
    assert suggest_gamma(X, max_samples=60, n_neighbors=2, rng=3) == found
    # Repeats are left out before the draw: the distinct rows suffice.
    every = suggest_gamma(np.tile(X, (3, 1)), max_samples=150, rng=5)
    assert every.gamma == pytest.approx(by_definition(X), rel=1e-9)


@pytest.mark.parametrize(("dtype", "scale"), [(np.float32, 1e30), (np.float64, 1e-200)])
def test_units_change_nothing(dtype, scale):
    expected = suggest_gamma(X.astype(dtype))
    found = suggest_gamma((X * scale).astype(dtype))
    assert found.gamma == pytest.approx(expected.gamma, rel=1e-5)


def test_clipped_and_said_so():
    near = np.concatenate([X / 1e6, [[1.0, 1.0, 1.0]]])
    gamma, reason, _ = suggest_gamma(near)
    assert gamma == 8
    assert reason.startswith("γ is clipped to 8, where little is mixed: ")
    far = RNG.normal(size=(100, 300))
    gamma, reason, each = suggest_gamma(far, np.arange(100) % 2)
    assert (gamma, each) == (1.73, {0: 1.73, 1: 1.73})
    assert reason.startswith("γ is clipped to 1.73, just above the bound ")
    assert "more than mixtures of 8 move at that γ" in reason


def test_the_stricter_on_a_helix_and_the_looser_on_digits():
    """Where `gamma_report` with its usual grid finds 6 and 2.8."""
    assert 6 < suggest_gamma(helix().points, rng=0).gamma < 6.8
    images, classes = load_digits(return_X_y=True)
    found = suggest_gamma(images, classes)
    assert found.gamma == 1.73
    assert gamma_report(images, gammas=(1.73, 2.4, 2.8)).suggested_gamma == 2.8


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"x": X[:6]}, ValueError, r"n_neighbors \+ 2 = 7 distinct samples, got 6 of 6"),
        ({"x": np.tile(X[:6], (9, 1))}, ValueError, "7 distinct samples, got 6 of 54"),
        ({"x": np.where(X > 11, np.nan, X)}, ValueError, "x must be finite"),
        ({"x": X * 1j}, TypeError, "x must be real to be measured"),
        ({"num_mix": 1}, ValueError, "num_mix must be at least 2, got 1"),
        ({"num_mix": 2.5}, TypeError, "num_mix must be a whole number"),
        ({"n_neighbors": 0}, ValueError, "n_neighbors must be >= 1, got 0"),
        ({"max_samples": 6}, ValueError, r"max_samples must be at least n_neighbors \+ 2 = 7"),
        ({"y": Y[1:]}, ValueError, "same number of samples"),
        ({"y": X[:, 0]}, ValueError, "y must be integer classes .* leave regression targets out"),
        ({"max_samples": 60, "rng": "x"}, ValueError, "rng must be"),
    ],
)
def test_refusals(arguments, error, message):
    with pytest.raises(error, match=message):
        suggest_gamma(**{"x": X, **arguments})


def test_seven_distinct_rows_suffice():
    assert 1.73 <= suggest_gamma(X[:7]).gamma <= 8
