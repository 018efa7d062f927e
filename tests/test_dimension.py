"""Local intrinsic dimension and neighbours: scikit-dimension, brute force, closed forms, laws."""

import sys
from concurrent.futures import ThreadPoolExecutor

import array_api_compat
import numpy as np
import pytest
from scipy.spatial.distance import cdist

from zetamix_core import threads, zeta_plan
from zetamix_core.metrics import local_intrinsic_dimension, nearest_neighbors
from zetamix_core.metrics.samples import blocks

METHODS = ["lpca", "participation_ratio", "mle", "twonn"]
K = 15
# Fewer and more features than neighbours, and few enough for a tree. Other tests have the same
# shapes where they can, for which JAX has its programs then.
SHAPES = {"tree": (90, 3), "features": (90, 12), "neighbours": (90, 40)}


@pytest.fixture(params=SHAPES)
def x(request):
    return samples(*SHAPES[request.param])


def samples(n, num_features, seed=0, dimension=3):
    """A curved sheet with some noise, off the origin."""
    rng = np.random.default_rng(seed)
    latent = rng.normal(size=(n, min(dimension, num_features)))
    curved = np.concatenate([latent, np.sin(2 * latent)], axis=1)
    directions = rng.normal(size=(curved.shape[1], num_features))
    return 5 + curved @ directions + 0.3 * rng.normal(size=(n, num_features))


def nearest(x, k):
    distances = cdist(x, x)
    np.fill_diagonal(distances, np.inf)
    order = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return order, np.take_along_axis(distances, order, axis=1)


def by_definition(x, k, method, threshold=0.05, neighbors=None):
    """The formulas of the papers, one point after the other in double precision."""
    estimates = []
    for i, hood in enumerate(nearest(x, k)[0] if neighbors is None else neighbors):
        points = x[hood]
        values = np.linalg.svd(points - points.mean(axis=0), compute_uv=False) ** 2
        if method == "lpca":
            estimates.append(np.sum(values > threshold * values[0]))
        elif method == "participation_ratio":
            estimates.append(values.sum() ** 2 / np.sum(values**2))
        elif method == "mle":
            distances = np.linalg.norm(points - x[i], axis=1)
            estimates.append((len(hood) - 1) / np.sum(np.log(distances.max() / distances)))
        else:
            two = nearest(points, 2)[1]
            two = two[two[:, 0] > 0]
            logs = np.sort(np.log(two[:, 1] / two[:, 0]))
            kept = int(0.9 * len(two))
            beyond = -np.log(1 - np.arange(1, kept + 1) / len(two))
            estimates.append(np.sum(logs[:kept] * beyond) / np.sum(logs[:kept] ** 2))
    return np.asarray(estimates, dtype=float)


def as_numpy(backend, array):
    return array if isinstance(array, np.ndarray) else backend.to_numpy(array)


# --- oracles --------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_estimates_are_those_of_the_definition(backend, x, method):
    given = backend.asarray(x)
    estimate = local_intrinsic_dimension(given, n_neighbors=K, method=method)
    if not backend.lazy:  # it is computed
        assert array_api_compat.array_namespace(estimate) is array_api_compat.array_namespace(given)
        assert array_api_compat.device(estimate) == array_api_compat.device(given)
    estimate = as_numpy(backend, estimate)
    assert estimate.dtype == (np.float32 if backend.name == "jax" else np.float64)
    tolerance = 1e-3 if backend.name == "jax" else 1e-9
    np.testing.assert_allclose(estimate, by_definition(x, K, method), rtol=tolerance)


@pytest.mark.parametrize("method", METHODS)
def test_estimates_are_those_of_scikit_dimension(x, method):
    skdim = pytest.importorskip("skdim", reason="scikit-dimension comes with the extra test")
    neighbors, distances = nearest_neighbors(x, n_neighbors=K)
    if method == "mle":
        oracle = skdim.id.MLE().fit(x, precomputed_knn_arrays=(distances, neighbors))
    else:
        oracle = {
            "lpca": skdim.id.lPCA(),
            "participation_ratio": skdim.id.lPCA(ver="participation_ratio"),
            "twonn": skdim.id.TwoNN(),
        }[method].fit_pw(x, precomputed_knn=neighbors, n_neighbors=K)
    estimate = local_intrinsic_dimension(x, method=method, neighbors=neighbors)
    np.testing.assert_allclose(estimate, oracle.dimension_pw_, rtol=1e-9)


@pytest.mark.parametrize("threshold", [1e-9, 0.01, 0.3, 0.99])
def test_threshold(threshold):
    x = samples(90, 5)
    estimate = local_intrinsic_dimension(x, n_neighbors=K, threshold=threshold)
    assert np.array_equal(estimate, by_definition(x, K, "lpca", threshold))


def test_neighbors_are_those_of_brute_force(backend, x):
    indices, distances = nearest_neighbors(backend.asarray(x), n_neighbors=K)
    indices, distances = as_numpy(backend, indices), as_numpy(backend, distances)
    expected = nearest(x, K)
    np.testing.assert_allclose(distances, expected[1], rtol=1e-5 if backend.name == "jax" else 1e-9)
    if backend.name == "jax":  # in single precision some may change places
        assert np.mean(indices == expected[0]) > 0.99
    else:
        assert np.array_equal(indices, expected[0])


def test_neighbors_are_those_of_scikit_learn_on_digits():
    datasets = pytest.importorskip("sklearn.datasets", reason="scikit-learn comes with extra cli")
    from sklearn.neighbors import NearestNeighbors

    x = datasets.load_digits().data
    expected = NearestNeighbors(n_neighbors=128).fit(x).kneighbors()[0]
    _, distances = nearest_neighbors(x, n_neighbors=128)
    np.testing.assert_allclose(distances, expected, rtol=1e-12)


def test_digits_have_the_dimension_that_a_plain_script_gives():
    """Fifteen and eight tenths, with 128 neighbours and five percent."""
    datasets = pytest.importorskip("sklearn.datasets", reason="scikit-learn comes with extra cli")
    assert round(local_intrinsic_dimension(datasets.load_digits().data).mean(), 1) == 15.8


# --- closed forms ---------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dimension", [1, 2, 5])
def test_dimension_of_flat_space(method, dimension):
    """A uniform cube, turned into thirty dimensions."""
    rng = np.random.default_rng(0)
    turn = np.linalg.qr(rng.normal(size=(30, 30)))[0][:dimension]
    estimate = local_intrinsic_dimension(
        rng.random((3000, dimension)) @ turn, n_neighbors=60, method=method
    )
    if method == "lpca":
        assert np.all(estimate == dimension)
    else:
        assert estimate.mean() == pytest.approx(dimension, rel=0.2)


def test_participation_ratio_of_known_spectra():
    """Points on the axes, so that the covariance is diagonal."""
    variances = np.asarray([4.0, 2.0, 1.0, 1.0])
    axes = np.diag(np.sqrt(variances))
    x = np.concatenate([axes, -axes, np.zeros((1, 4))])
    neighbors = np.tile(np.arange(8), (9, 1))
    estimate = local_intrinsic_dimension(x, method="participation_ratio", neighbors=neighbors)
    np.testing.assert_allclose(estimate, variances.sum() ** 2 / np.sum(variances**2))


def test_likelihood_of_known_distances():
    x = np.exp(np.asarray([0.0, 1.0, 2.0, 3.0])) - 1  # from the first: 0, e - 1, ...
    x[0] = 0
    radii = x[1:]
    expected = 2 / np.sum(np.log(radii[-1] / radii))
    assert local_intrinsic_dimension(x, n_neighbors=3, method="mle")[0] == pytest.approx(expected)


# --- laws -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_motions_and_scales_change_nothing(x, method):
    rng = np.random.default_rng(1)
    expected = local_intrinsic_dimension(x, n_neighbors=K, method=method)
    turn = np.linalg.qr(rng.normal(size=(x.shape[1],) * 2))[0]
    order = rng.permutation(len(x))
    for scale in (1e-100, 1e-3, 1e150):
        other = scale * (x @ turn + rng.normal(size=x.shape[1]))
        found = local_intrinsic_dimension(other, n_neighbors=K, method=method)
        np.testing.assert_allclose(found, expected, rtol=1e-6)
    found = local_intrinsic_dimension(x[order], n_neighbors=K, method=method)
    np.testing.assert_allclose(found, expected[order], rtol=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_blocks_change_nothing(backend, method, monkeypatch):
    x = backend.asarray(samples(90, 40))
    expected = as_numpy(backend, local_intrinsic_dimension(x, n_neighbors=K, method=method))
    monkeypatch.setattr("zetamix_core.metrics.samples._BLOCK_ENTRIES", 700)
    found = as_numpy(backend, local_intrinsic_dimension(x, n_neighbors=K, method=method))
    np.testing.assert_allclose(found, expected, rtol=2e-3 if backend.name == "jax" else 1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_neighbors_may_be_given(backend, method):
    x = samples(90, 12)
    others = np.random.default_rng(2).permuted(np.tile(np.arange(1, 90), (90, 1)), axis=1)
    neighbors = (np.arange(90)[:, None] + others[:, :K]) % 90  # any but the sample itself
    given = [x, neighbors] if backend.lazy else map(backend.asarray, (x, neighbors))
    rows, hoods = given
    found = as_numpy(backend, local_intrinsic_dimension(rows, method=method, neighbors=hoods))
    expected = by_definition(x, K, method, neighbors=neighbors)
    np.testing.assert_allclose(found, expected, rtol=1e-3 if backend.name == "jax" else 1e-9)


def test_trailing_axes_are_one(backend):
    x = samples(90, 12)
    flat = local_intrinsic_dimension(backend.asarray(x), n_neighbors=K)
    images = local_intrinsic_dimension(backend.asarray(x.reshape(90, 2, 3, 2)), n_neighbors=K)
    assert np.array_equal(as_numpy(backend, flat), as_numpy(backend, images))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.uint8, np.int32, np.bool])
def test_dtypes(backend, dtype):
    x = np.round(10 * samples(90, 12)).astype(dtype)
    if dtype == np.bool:
        x = samples(90, 12) > 5
    if backend.name.startswith("array_api_strict") and dtype == np.float16:
        pytest.skip("array-api-strict has no halves")
    found = as_numpy(backend, local_intrinsic_dimension(backend.asarray(x), n_neighbors=K))
    narrow = np.issubdtype(dtype, np.floating) or backend.name in ("jax", "torch")
    assert found.dtype == (np.float32 if narrow else np.float64)
    if dtype != np.bool:  # which has many copies and equal distances
        expected = local_intrinsic_dimension(x.astype(np.float64), n_neighbors=K)
        assert np.mean(found == expected) > 0.9


@pytest.mark.needs("torch")
def test_tensors_lose_their_history():
    import torch

    x = torch.from_numpy(samples(90, 12)).requires_grad_()
    for method in METHODS:
        assert not local_intrinsic_dimension(x, n_neighbors=K, method=method).requires_grad


@pytest.mark.needs("jax")
@pytest.mark.parametrize("method", METHODS)
def test_in_a_program_of_jax(method):
    import jax

    x = samples(90, 12)

    def estimate(x):
        return local_intrinsic_dimension(x, n_neighbors=K, method=method)

    given = jax.numpy.asarray(x)
    np.testing.assert_allclose(jax.jit(estimate)(given), estimate(given), rtol=2e-3)
    assert np.isnan(jax.jit(estimate)(given.at[0, 0].set(np.nan))).all()


@pytest.mark.needs("array_api_strict")
def test_eigenvalues_of_the_library_where_it_has_them():
    import array_api_strict as xp

    x = samples(90, 12)
    with xp.ArrayAPIStrictFlags(enabled_extensions=("linalg",)):
        found = local_intrinsic_dimension(xp.asarray(x), n_neighbors=K)
    assert np.array_equal(np.from_dlpack(found), local_intrinsic_dimension(x, n_neighbors=K))


# --- copies and constants -------------------------------------------------------------------------


@pytest.mark.parametrize("num_features", [3, 12, 40])
def test_copies_are_neighbors_at_distance_zero(backend, num_features):
    x = samples(90, num_features)
    x[10:30] = x[0]
    indices, distances = nearest_neighbors(backend.asarray(x), n_neighbors=K)
    indices, distances = as_numpy(backend, indices), as_numpy(backend, distances)
    assert not np.any(indices == np.arange(90)[:, None])
    copies = np.asarray([0, *range(10, 30)])
    assert np.isin(indices[copies], copies).all()
    assert np.all(distances[copies] == 0)
    others = np.delete(np.arange(90), copies)
    assert np.all(distances[others] > 0)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("num_features", [1, 3, 12, 40])
def test_constants_have_no_dimension(backend, method, num_features):
    x = np.full((90, num_features), 0.1)
    found = local_intrinsic_dimension(backend.asarray(x), n_neighbors=K, method=method)
    assert np.all(as_numpy(backend, found) == 0)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("value", [0.1, 1 / 3])
def test_mixed_constants_have_no_dimension(backend, method, value):
    """They differ in the last bits."""
    x = backend.asarray(np.full((90, 12), value, dtype=np.float32))
    mixed = zeta_plan(90, gamma=1.0, num_mix=50, rng=0) @ x
    found = local_intrinsic_dimension(mixed, n_neighbors=K, method=method)
    assert np.all(as_numpy(backend, found) == 0)


@pytest.mark.parametrize("method", METHODS)
def test_constant_features_change_nothing(backend, method):
    x = samples(90, 12)
    more = np.concatenate([x, np.full((90, 3), 0.1)], axis=1)
    expected = by_definition(x, K, method)
    found = local_intrinsic_dimension(backend.asarray(more), n_neighbors=K, method=method)
    tolerance = 1e-3 if backend.name == "jax" else 1e-9
    np.testing.assert_allclose(as_numpy(backend, found), expected, rtol=tolerance)


@pytest.mark.parametrize("num_features", [3, 40])
def test_likelihood_leaves_copies_out(backend, num_features):
    x = samples(70, num_features)
    twice = np.concatenate([x, x[:20]])
    found = local_intrinsic_dimension(backend.asarray(twice), n_neighbors=K, method="mle")
    found = as_numpy(backend, found)
    indices, _ = nearest(twice, K)
    for i in range(20):
        radii = np.linalg.norm(twice[indices[i]] - twice[i], axis=1)
        radii = radii[radii > 0]
        expected = (len(radii) - 1) / np.sum(np.log(radii.max() / radii))
        assert len(radii) == K - 1
        assert found[i] == pytest.approx(expected, rel=1e-3 if backend.name == "jax" else 1e-9)


@pytest.mark.parametrize("num_features", [3, 40])
def test_ratios_of_copies_are_left_out(backend, num_features):
    x = samples(80, num_features)
    twice = np.concatenate([x, x[:10]])
    neighbors, _ = nearest(twice, K)
    expected = by_definition(twice, K, "twonn", neighbors=neighbors)
    given = [twice, neighbors] if backend.lazy else map(backend.asarray, (twice, neighbors))
    rows, hoods = given
    found = as_numpy(backend, local_intrinsic_dimension(rows, method="twonn", neighbors=hoods))
    np.testing.assert_allclose(found, expected, rtol=2e-3 if backend.name == "jax" else 1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_all_at_the_same_distance(backend, method):
    """The corners of a simplex: as many dimensions as there may be, or no end of them."""
    found = local_intrinsic_dimension(backend.asarray(np.eye(16)), n_neighbors=15, method=method)
    expected = 14 if method in ("lpca", "participation_ratio") else np.inf
    np.testing.assert_allclose(as_numpy(backend, found), expected, rtol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_mostly_copies_give_numbers(backend, method):
    """Never NaN, however many coincide."""
    rng = np.random.default_rng(0)
    for num_places in (1, 2, 3, 5, 20):
        x = rng.normal(size=(num_places, 12))[rng.integers(0, num_places, 90)]
        found = local_intrinsic_dimension(backend.asarray(x), n_neighbors=K, method=method)
        assert np.all(as_numpy(backend, found) >= 0)


def test_far_from_the_origin_and_close_together():
    """Products of rows would cancel; differences do not."""
    x = samples(90, 12)
    near = 1e-4 * x
    near[0] += 1e4  # the outlier moves the mean
    indices, distances = nearest_neighbors(near, n_neighbors=K)
    found = np.take_along_axis(cdist(near, near), indices, axis=1)
    np.testing.assert_allclose(distances, found, rtol=1e-9)
    # Products choose the neighbours. They err by (2 D + 10) u of both squared norms at most, by
    # twice of which one that is left out may be nearer than one that is taken.
    norms = np.sum((near - near.mean(axis=0)) ** 2, axis=1)
    slack = 2 * (2 * 12 + 10) * 2.0**-53 * (norms[:, None] + norms[1:].max())
    assert np.all(np.sort(found, axis=1) ** 2 <= nearest(near, K)[1] ** 2 + slack)


@pytest.mark.parametrize("num_features", [3, 40])
@pytest.mark.parametrize("scale", [1e-200, 1e200, 1e308])
def test_distances_of_any_size(scale, num_features):
    x = samples(90, num_features) / 100
    expected = nearest_neighbors(x, n_neighbors=K)
    found = nearest_neighbors(x * scale, n_neighbors=K)
    assert np.array_equal(found.indices, expected.indices)
    np.testing.assert_allclose(found.distances / scale, expected.distances, rtol=1e-9)


# --- threads --------------------------------------------------------------------------------------


def blas_threads():
    threadpoolctl = pytest.importorskip("threadpoolctl", reason="it comes with scikit-learn")
    found = threadpoolctl.threadpool_info()
    return [each["num_threads"] for each in found if each["user_api"] == "blas"]


def test_callers_at_once_leave_the_threads_of_blas_as_they_were():
    x = samples(300, 200)
    before = blas_threads()
    expected = local_intrinsic_dimension(x, n_neighbors=60)
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda _: local_intrinsic_dimension(x, n_neighbors=60), range(8)))
    assert all(np.array_equal(each, expected) for each in found)
    assert blas_threads() == before


def test_blocks_have_a_thread_of_blas_each():
    before, seen = blas_threads(), []

    def look(item):
        seen.append((blas_threads(), np.geterr()["divide"]))
        return item

    with np.errstate(divide="raise"):
        assert threads.map_in_threads(look, [3, 1, 2]) == [3, 1, 2]
    assert seen == [([1] * len(before), "raise")] * 3
    assert blas_threads() == before


def test_without_threadpoolctl(monkeypatch):
    x = samples(300, 200)
    expected = local_intrinsic_dimension(x, n_neighbors=60)
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    assert np.array_equal(local_intrinsic_dimension(x, n_neighbors=60), expected)


def test_errors_in_threads_are_raised():
    def fail(item):
        raise ValueError(item)

    with pytest.raises(ValueError, match="first"):
        threads.map_in_threads(fail, ["first", "second"])


def test_blocks_have_bounded_size():
    pieces = blocks(1000, 1 << 18)
    assert [piece.stop - piece.start for piece in pieces] == [4] * 250
    assert blocks(3, 1 << 30) == [slice(0, 1), slice(1, 2), slice(2, 3)]


# --- refusals -------------------------------------------------------------------------------------


X = samples(20, 4)
FEW = {"x": X, "n_neighbors": 5}
HOLE = np.where(np.arange(80).reshape(20, 4) == 14, np.nan, X)
REFUSALS = [
    ({"x": X}, ValueError, "less than the number of samples, got n_neighbors=128 for 20 samples"),
    (FEW | {"n_neighbors": 20}, ValueError, "pass a number of neighbours up to 19"),
    (FEW | {"n_neighbors": 1}, ValueError, "n_neighbors must be at least 2"),
    (FEW | {"n_neighbors": 2, "method": "twonn"}, ValueError, "n_neighbors must be at least 3"),
    (FEW | {"n_neighbors": 2.0}, TypeError, "n_neighbors must be a whole number"),
    (FEW | {"method": "pca"}, ValueError, "method must be one of 'lpca', .* got 'pca'"),
    (FEW | {"threshold": 0}, ValueError, "threshold must be a share .* above 0 .* got 0;"),
    (FEW | {"threshold": "a"}, TypeError, "threshold must be a share .* got 'a'; the usual"),
    (FEW | {"threshold": 1}, ValueError, "threshold must be a share .* got 1;"),
    (FEW | {"threshold": np.nan}, ValueError, "threshold must be a share"),
    (FEW | {"x": HOLE}, ValueError, "x must be finite, got NaN or infinity, first in sample 3"),
    (FEW | {"x": X + 1j}, TypeError, "x must be real to be measured, got dtype complex128"),
    (FEW | {"x": X[:, :0]}, ValueError, r"at least one feature, got shape \(20, 0\)"),
    (FEW | {"x": X[:0]}, ValueError, "n .the number of samples. must be >= 1, got 0"),
    (FEW | {"x": X.tolist()}, TypeError, "x must be an array of a supported library"),
    ({"x": X, "neighbors": np.zeros((20, 3))}, TypeError, "neighbors must be integers"),
    ({"x": X, "neighbors": np.zeros((19, 3), int)}, ValueError, r"\(20, k\) with k >= 2"),
    ({"x": X, "neighbors": np.zeros((20, 1), int)}, ValueError, r"got shape \(20, 1\)"),
    ({"x": X, "neighbors": np.full((20, 3), 20)}, ValueError, "from 0 to 19, got .* 20 to 20"),
    ({"x": X, "neighbors": np.full((20, 3), -1)}, ValueError, "got values from -1 to -1"),
]


@pytest.mark.parametrize(("arguments", "error", "message"), REFUSALS)
def test_refusals(arguments, error, message):
    with pytest.raises(error, match=message):
        local_intrinsic_dimension(**arguments)


def test_too_few_samples_for_neighbors(backend):
    with pytest.raises(ValueError, match="n_neighbors must be at least 1 and less than the number"):
        nearest_neighbors(backend.asarray(X), n_neighbors=20)


def test_what_is_not_finite_is_found_on_every_library(backend):
    broken = X.copy()
    broken[7, 1] = np.inf
    with pytest.raises(ValueError, match=r"x must be finite, .* sample 7"):
        local_intrinsic_dimension(backend.asarray(broken), n_neighbors=5)
