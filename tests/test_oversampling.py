"""Oversampling: who is mixed with whom, how many rows there are, and what it takes."""

import collections
import re
import tracemalloc

import numpy as np
import pytest
from bounds import error_bound
from conftest import Backend
from imblearn.utils import check_sampling_strategy
from scipy import sparse, spatial, stats
from zetamix import oversample, theory, zeta_plan

from zetamix_core.kin import Kin, neighbor_table

N = 60
# Sorted neither by classes nor by groups; class 9 has three rows, class 2 has 17, class 4 has 40.
CLASSES = np.random.default_rng(1).permutation(np.repeat([2, 4, 9], [17, 40, 3]))
GROUPS = (np.cumsum(CLASSES == 4) + np.cumsum(CLASSES == 2)) % 3 * (CLASSES != 9)
EYE = np.eye(N, dtype=np.float32)  # whose mixtures are the weights of each row
OPTIONS = {
    "within": {},
    "across": {"donors": None},
    "groups": {"groups": GROUPS},
    "groups across": {"groups": GROUPS, "donors": None},
    "neighbors": {"neighbors": 4},
    "few": {"num_mix": 2, "gamma": 1.0, "strategy": {9: 50, 2: 17}},
}


def weights_of(**options):
    """The weights of new rows, and their classes."""
    mixed, classes = oversample(EYE, CLASSES, rng=0, **options)
    return mixed[N:], classes[N:]


@pytest.mark.parametrize("name", OPTIONS)
def test_the_same_seed_gives_the_same_rows_everywhere(backend: Backend, name):
    options = dict(OPTIONS[name])
    if backend.lazy and "neighbors" in options:
        pytest.skip("neighbors are refused on Dask, which has a test of its own")
    if "groups" in options:
        options["groups"] = backend.asarray(options["groups"])
    x, y = backend.asarray(EYE), backend.asarray(CLASSES)
    mixed, classes = oversample(x, y, rng=0, **options)
    assert type(mixed) is type(x)
    assert mixed.dtype == x.dtype
    assert classes.dtype == y.dtype
    assert getattr(mixed, "device", None) == getattr(x, "device", None)
    expected = oversample(EYE, CLASSES, rng=0, **OPTIONS[name])
    np.testing.assert_array_equal(backend.to_numpy(mixed), expected[0])
    np.testing.assert_array_equal(backend.to_numpy(classes), expected[1])
    np.testing.assert_array_equal(backend.to_numpy(x), EYE)


@pytest.mark.parametrize(
    ("options", "seed", "ranks"),
    [
        ({"num_mix": 3}, 0, [[5, 6, 7], [6, 5, 7], [7, 6, 5], [5, 6, 7], [6, 5, 7]]),
        ({"num_mix": 3, "donors": None}, (7, 1), [[5, 4, 1], [6, 1, 0], [7, 3, 4]]),
        ({"neighbors": 1}, 3, [[6, 5], [5, 6], [7, 6]]),
    ],
)
def test_a_seed_gives_these_rows_for_good(options, seed, ranks):
    """Golden values: of unit vectors, the positions of the weights from the largest on."""
    y = np.asarray([0, 0, 0, 0, 0, 1, 1, 1])
    x, _ = oversample(np.eye(8), y, strategy={1: 3 + len(ranks)}, rng=seed, **options)
    assert np.argsort(-x[8:], axis=1)[:, : len(ranks[0])].tolist() == ranks


def test_originals_come_first_and_classes_are_sorted():
    x = np.random.default_rng(0).normal(size=(N, 2, 3))
    mixed, classes = oversample(x, CLASSES, strategy={9: 5, 2: 20}, rng=0)
    assert mixed.shape == (N + 5, 2, 3)
    np.testing.assert_array_equal(mixed[:N], x)
    assert classes.tolist() == [*CLASSES, 2, 2, 2, 9, 9]


@pytest.mark.parametrize("name", OPTIONS)
def test_weights_are_those_of_the_method(name):
    options = {"num_mix": 8, "gamma": 2.8} | OPTIONS[name]
    weights, classes = weights_of(**OPTIONS[name])
    counts = (weights > 0).sum(axis=1)
    for row, count, own in zip(weights, counts, classes, strict=True):
        series = np.arange(1, count + 1) ** -options["gamma"]
        np.testing.assert_allclose(np.sort(row[row > 0])[::-1], series / series.sum(), atol=1e-6)
        assert CLASSES[row.argmax()] == own
    assert counts.max() == min(options["num_mix"], options.get("neighbors", N) + 1)


def test_labels_are_exact_within_a_class():
    weights, classes = weights_of()
    used = weights > 0
    assert (CLASSES[used.nonzero()[1]] == classes[used.nonzero()[0]]).all()
    assert set(used[classes == 9].sum(axis=1)) == {3}  # fewer than T: all that there are
    assert set(used[classes == 2].sum(axis=1)) == {8}
    assert (used[classes == 2].any(axis=0) == (CLASSES == 2)).all()


def test_any_row_is_a_donor_across_classes():
    weights, _ = weights_of(donors=None, strategy={9: 300})
    assert (weights > 0).any(axis=0).all()


@pytest.mark.parametrize("donors", ["same", None])
def test_groups_are_not_crossed(donors):
    weights, _ = weights_of(groups=GROUPS, donors=donors)
    for row in weights:
        assert len(set(GROUPS[row > 0])) == 1
    crossed = {len(set(CLASSES[row > 0])) for row in weights}
    assert (crossed == {1}) == (donors == "same")


@pytest.mark.parametrize("features", [2, 30])  # few are searched by a tree
@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array, sparse.csc_matrix])
def test_neighbors_are_the_nearest_of_the_class(features, kind):
    x = np.random.default_rng(3).normal(size=(N, features)).astype(np.float32)
    whole = np.concatenate([x, EYE], axis=1)  # a trace of who was mixed
    whole[:, :features] *= 1000
    mixed, classes = oversample(kind(whole), CLASSES, neighbors=3, num_mix=8, rng=0)
    mixed = mixed.toarray() if sparse.issparse(mixed) else mixed
    distances = spatial.distance.cdist(x, x)
    distances[CLASSES[:, None] != CLASSES] = np.inf
    np.fill_diagonal(distances, np.inf)
    nearest = np.argsort(distances, axis=1)[:, :3]
    for row, own in zip(mixed[N:, features:], classes[N:], strict=True):
        anchor = row.argmax()
        allowed = {*nearest[anchor][: 2 if own == 9 else 3].tolist()}
        assert set(np.flatnonzero(row).tolist()) - {anchor} == allowed


def test_anchors_cycle():
    """None is used twice before all once, over all blocks, and few new rows are a random choice."""
    x, y = np.arange(1000.0), np.repeat([0, 1], [700, 300])
    mixed, _ = oversample(x, y, strategy={1: 150_123}, gamma=np.inf, rng=0)
    new = mixed[1000:]
    assert set(collections.Counter(new).values()) == {499, 500}
    rounds = new[: 499 * 300].reshape(499, 300)
    assert (rounds == rounds[0]).all()
    assert sorted(rounds[0]) == [*range(700, 1000)]
    first = [oversample(x, y, strategy={1: 301}, gamma=np.inf, rng=s)[0][-1] for s in range(400)]
    counts = np.histogram(first, bins=10, range=(700, 1000))[0]
    assert stats.chisquare(counts).pvalue > 1e-4


def test_blocks_are_drawn_independently():
    x, y = np.arange(20.0), np.repeat([0, 1], 10)
    mixed, _ = oversample(x, y, strategy={0: 2 * 32_760 + 10}, num_mix=2, rng=0)
    first, second = mixed[20 : 20 + 32_760], mixed[20 + 32_768 : 20 + 2 * 32_760]
    assert not (first[: second.size] == second).all()


# --- strategies -----------------------------------------------------------------------------------

STRATEGIES = [
    "auto",
    "minority",
    "not minority",
    "not majority",
    "all",
    {0: 60, 1: 55},
    {1: 55},
    lambda y: {0: (y == 0).sum() + 3},
]


@pytest.mark.parametrize("strategy", STRATEGIES, ids=[*map(str, range(len(STRATEGIES)))])
@pytest.mark.parametrize("sizes", [(40, 20, 50), (30, 50, 50), (30, 30, 50)])
def test_strategies_mean_what_they_do_next_door(strategy, sizes):
    y = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], sizes))
    _, classes = oversample(np.zeros(y.size), y, strategy=strategy, rng=0)
    added = check_sampling_strategy(strategy, y, "over-sampling")
    expected = [size + added.get(i, 0) for i, size in enumerate(sizes)]
    assert np.bincount(classes).tolist() == expected


@pytest.mark.parametrize("ratio", [0.3, 0.5, 0.7, 0.999, 1, np.float32(0.8)])
@pytest.mark.parametrize("sizes", [(90, 10), (7, 40)])
def test_ratios_mean_what_they_do_next_door(ratio, sizes):
    y = np.repeat([True, False], sizes)
    _, classes = oversample(np.zeros(y.size), y, strategy=ratio, rng=0)
    added = check_sampling_strategy(float(ratio), y, "over-sampling")
    assert classes.size - y.size == sum(added.values())
    assert classes.dtype == bool


@pytest.mark.parametrize(
    ("strategy", "error", "message"),
    [
        (
            "majority",
            ValueError,
            "no class is larger than the largest, got 'majority'; pass 'auto'",
        ),
        ("balanced", ValueError, "must be one of 'auto'.*, got 'balanced'"),
        (0.5, ValueError, r"two classes, got 0.5 for 3 classes; .* as in \{9: 40\}"),
        (1.5, ValueError, "at most 1, got 1.5"),
        (np.nan, ValueError, "at most 1, got nan"),
        ({9: 2}, ValueError, "got 2 for class 9 with 3; pass 3 or more"),
        ({9: -1}, ValueError, "got -1 for class 9"),
        ({9: 4.5}, TypeError, "whole numbers of rows, got 4.5 for class 9"),
        ({7: 10, "a": 3}, ValueError, "got 7, 'a' without any row; .* 2, 4, 9"),
        ([9], TypeError, r"a mapping .*, got \[9\]; pass for instance 'auto' or \{9: 40\}"),
        (None, TypeError, "got None"),
        (lambda y: 5, TypeError, "must return a mapping .*, got 5"),
    ],
)
def test_wrong_strategies(strategy, error, message):
    with pytest.raises(error, match=message):
        oversample(EYE, CLASSES, strategy=strategy)


def test_a_ratio_that_takes_rows_away():
    with pytest.raises(ValueError, match=r"got 0\.4, which makes 4 rows of class 1 with 5"):
        oversample(np.zeros(15), np.repeat([0, 1], [10, 5]), strategy=0.4)
    with pytest.raises(ValueError, match="makes 5 rows of class 1 with 5"):  # nothing to add
        oversample(np.zeros(15), np.repeat([0, 1], [10, 5]), strategy=0.5)


def test_nothing_to_add_gives_what_is_there(backend):
    x, y = backend.asarray(EYE), backend.asarray(np.repeat([0, 1], N // 2))
    mixed, classes = oversample(x, y)
    np.testing.assert_array_equal(backend.to_numpy(mixed), EYE)
    assert backend.to_numpy(classes).tolist() == [0] * (N // 2) + [1] * (N // 2)
    if backend.name in ("numpy", "numpy-readonly", "torch"):  # what can be written to is a copy
        mixed[0, 0] = 5
        assert x[0, 0] == 1


# --- bad input ------------------------------------------------------------------------------------


def test_one_class_is_nothing_to_balance():
    with pytest.raises(ValueError, match=r"at least two classes to be balanced, got only \[3\]"):
        oversample(EYE, np.full(N, 3))


def test_a_single_row_is_named():
    y = CLASSES.copy()
    y[np.flatnonzero(y == 9)[1:]] = 4
    for donors in ("same", None):
        with pytest.raises(ValueError, match=r"two rows or more, .* got one row of class 9; leave"):
            oversample(EYE, y, donors=donors)
    assert oversample(EYE, y, strategy={2: 20}, rng=0)[1].size == N + 3
    groups = GROUPS.copy()
    groups[np.flatnonzero(CLASSES == 9)[0]] = 77
    for donors in ("same", None):
        with pytest.raises(ValueError, match="got one row of group 77 in class 9; join it"):
            oversample(EYE, CLASSES, groups=groups, donors=donors)


def test_a_class_of_two_rows_mixes_both():
    y = CLASSES.copy()
    y[np.flatnonzero(y == 9)[0]] = 4
    mixed, classes = oversample(EYE, y, rng=0)
    assert set((mixed[N:][classes[N:] == 9] > 0).sum(axis=1)) == {2}


@pytest.mark.parametrize("num_mix", [2, 3, 8, 1000])
def test_across_classes_the_anchor_must_dominate(num_mix):
    least = theory.dominance_threshold(min(num_mix, N))
    oversample(EYE, CLASSES, gamma=least + 1e-9, num_mix=num_mix, donors=None)
    if num_mix == 2:
        return
    name = re.escape(f"dominance_threshold({min(num_mix, N)})")
    with pytest.raises(ValueError, match=f"at least {least:.6f}, {name}.*; pass a larger gamma"):
        oversample(EYE, CLASSES, gamma=least - 1e-9, num_mix=num_mix, donors=None)
    oversample(EYE, CLASSES, gamma=0, num_mix=num_mix)


@pytest.mark.parametrize("dtype", ["int64", "uint8", "bool"])
def test_integers_are_refused_with_the_line_that_casts(backend, dtype):
    x, y = backend.asarray((10 * EYE).astype(dtype)), backend.asarray(CLASSES)
    shown = str(x.dtype)  # int32 in JAX
    with pytest.raises(TypeError, match=f"floating or complex.*{shown}; pass x.* if") as refusal:
        oversample(x, y)
    line = re.search(r"; pass (.*) if its", str(refusal.value))[1]
    mixed, _ = oversample(eval(line, {"x": x}), y, rng=0)
    expected, _ = oversample((10 * EYE).astype(dtype).astype("float32"), CLASSES, rng=0)
    np.testing.assert_allclose(backend.to_numpy(mixed), expected, rtol=1e-6)


def test_a_sparse_matrix_of_integers_is_refused():
    with pytest.raises(TypeError, match=r"dtype int64; pass x\.astype\('float32'\)"):
        oversample(sparse.csr_array(EYE.astype(np.int64)), CLASSES)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"gamma": -1}, ValueError, "gamma must be a number >= 0, got -1"),
        ({"gamma": np.ones(3)}, TypeError, "gamma must be a number >= 0"),
        ({"num_mix": 0}, ValueError, "num_mix must be >= 1"),
        ({"num_mix": None}, TypeError, "num_mix must be a whole number"),
        ({"donors": "other"}, ValueError, "got 'other'; leave it out"),
        ({"donors": CLASSES[:, None]}, ValueError, "donors must be 'same'"),
        ({"donors": None, "neighbors": 3}, ValueError, "got neighbors=3 with donors=None"),
        ({"neighbors": 0}, ValueError, "neighbors must be >= 1"),
        ({"neighbors": 2.5}, TypeError, "neighbors must be a whole number"),
        ({"groups": CLASSES[:5]}, ValueError, "groups must have shape"),
        ({"rng": "seed"}, ValueError, "got 'seed'"),
    ],
)
def test_wrong_options(options, error, message):
    with pytest.raises(error, match=message):
        oversample(EYE, CLASSES, **options)


def test_what_are_no_classes():
    for y, message in [
        (EYE, r"shape \(N,\), got shape \(60, 60\)"),
        (CLASSES.astype(float), "dtype float64; number them"),
    ]:
        with pytest.raises(ValueError, match=message):
            oversample(EYE, y)
    with pytest.raises(TypeError, match=r"numpy\.unique\(y, return_inverse=True\)"):
        oversample(EYE, CLASSES.astype(str))
    with pytest.raises(ValueError, match="same number of samples, got 60 and 59"):
        oversample(EYE, CLASSES[1:])
    with pytest.raises(ValueError, match="same number of samples, got 60 and 59"):
        oversample(sparse.csr_array(EYE), CLASSES[1:])


def test_tables_are_refused_with_both_ways():
    import pandas as pd

    with pytest.raises(TypeError, match=r"pass x\.to_numpy.*or use zetamix\.sklearn\.ZetaM"):
        oversample(pd.DataFrame(EYE), CLASSES)


def test_queries_are_refused_without_a_look_at_their_columns():
    import polars as pl

    with pytest.raises(TypeError, match=r"polars.LazyFrame; pass x\..*to_numpy\(\)$"):
        oversample(pl.LazyFrame(EYE), CLASSES)  # a warning of polars would be an error here


def test_neighbors_of_what_is_not_finite():
    x = EYE.copy()
    x[7, 3] = np.nan
    for form in (x, sparse.csr_array(x), sparse.csc_array(x)):
        with pytest.raises(ValueError, match=r"must be finite, got NaN .* sample 7"):
            oversample(form, CLASSES, neighbors=2)


# --- libraries ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [sparse.csr_array, sparse.csc_matrix])
@pytest.mark.parametrize("options", [{}, {"groups": GROUPS}, {"donors": None}])
def test_sparse_rows_stay_sparse(kind, options):
    mixed, classes = oversample(kind(EYE), CLASSES, rng=0, **options)
    expected, same = oversample(EYE, CLASSES, rng=0, **options)
    assert type(mixed) is kind
    np.testing.assert_allclose(mixed.toarray(), expected, rtol=1e-6)
    np.testing.assert_array_equal(classes, same)
    balanced, _ = oversample(kind(EYE), np.repeat([0, 1], N // 2))
    assert type(balanced) is kind


@pytest.mark.needs("dask")
def test_dask_stays_lazy_and_gathers_by_blocks():
    da = pytest.importorskip("dask.array")
    sizes = []

    def rows(block_info=None):
        start, stop = block_info[None]["array-location"][0]
        sizes.append(stop - start)
        return np.random.default_rng(0).normal(size=(4000, 3))[start:stop]

    x = da.map_blocks(rows, chunks=((500,) * 8, (3,)), dtype=float, meta=np.empty((0, 0)))
    y = np.repeat([0, 1], [3000, 1000])
    lazy, classes = oversample(x, da.from_array(y, chunks=900), rng=0)
    assert sizes == []
    assert max(lazy.chunks[0]) == 500
    expected, same = oversample(x.compute(), y, rng=0)
    np.testing.assert_allclose(lazy.compute(), expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(classes.compute(), same)
    sizes.clear()
    lazy[:500].compute()
    assert sizes == [500]  # an original block needs itself alone
    sizes.clear()
    lazy[-500:].compute()
    assert sum(sizes) == 1000  # a new one the blocks of its class


@pytest.mark.needs("dask")
def test_neighbors_are_refused_on_dask():
    da = pytest.importorskip("dask.array")
    with pytest.raises(TypeError, match=r"in memory, got neighbors=3 .* pass x\.compute\(\)"):
        oversample(da.from_array(EYE), da.from_array(CLASSES), neighbors=3)


@pytest.mark.needs("torch")
def test_torch_generators_and_gradients():
    torch = pytest.importorskip("torch")
    x, y = torch.from_numpy(EYE.copy()), torch.from_numpy(CLASSES)
    first, second = (
        oversample(x, y, rng=torch.Generator().manual_seed(3), groups=GROUPS)[0] for _ in range(2)
    )
    assert torch.equal(first, second)
    x.requires_grad_()
    mixed, _ = oversample(x, y, rng=0)
    (gradient,) = torch.autograd.grad(mixed.sum(), x)
    np.testing.assert_allclose(gradient[:, 0], mixed.detach().sum(dim=0), rtol=1e-5)
    with torch.no_grad():
        assert torch.equal(oversample(x, y, rng=0)[0], mixed)


@pytest.mark.needs("torch")
def test_a_stream_that_draws_where_tensors_are():
    """As on an accelerator, where the stream of the CPU would be too far away."""
    torch = pytest.importorskip("torch")
    from zetamix_core.random.torch_streams import TorchStream

    for options in OPTIONS.values():
        x, y = torch.from_numpy(EYE), torch.from_numpy(CLASSES)
        stream = TorchStream(torch.Generator().manual_seed(7), x)
        mixed, classes = oversample(x, y, rng=stream, **options)
        assert (CLASSES[mixed.argmax(dim=1)] == classes.numpy()).all()


@pytest.mark.needs("jax")
def test_jax_keys_and_traces():
    jax = pytest.importorskip("jax")
    x, y = jax.numpy.asarray(EYE), jax.numpy.asarray(CLASSES)
    for options in OPTIONS.values():
        mixed, classes = oversample(x, y, rng=jax.random.key(0), **options)
        assert (CLASSES[np.asarray(mixed.argmax(axis=1))] == np.asarray(classes)).all()
    with pytest.raises(TypeError, match=r"got traced classes; call oversample outside of jax\.jit"):
        jax.jit(oversample)(x, y)
    points = jax.numpy.asarray(EYE[:, :2])
    slopes = jax.grad(lambda x: oversample(x, y, rng=0)[0].sum())(points)
    rows = oversample(points, y, rng=0)[0].shape[0]
    assert float(slopes.sum()) == pytest.approx(2 * rows, rel=1e-5)  # weights of a row sum to 1
    with pytest.raises(TypeError, match=r"leave neighbors out, or call oversample outside"):
        jax.grad(lambda x: oversample(x, y, rng=0, neighbors=1)[0].sum())(points)


def test_memory_is_that_of_input_and_output():
    x = np.random.default_rng(0).normal(size=(10_000, 20))
    y = np.repeat([0, 1], [9000, 1000])
    tracemalloc.start()
    try:
        mixed, classes = oversample(x, y, strategy={1: 1_001_000}, rng=0)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1.5 * (mixed.nbytes + classes.nbytes) - 0.5 * (x.nbytes + y.nbytes)


def test_rows_are_those_of_one_plan():
    """A small case, by the public functions alone."""
    x = np.random.default_rng(0).normal(size=(N, 5))
    weights, _ = oversample(np.eye(N), CLASSES, rng=0)
    mixed, _ = oversample(x, CLASSES, rng=0)
    plan = zeta_plan(N, num_mix=8, num_outputs=N, rng=0)
    bound = 2 * error_bound(plan, x, x.dtype).max() + 1e-12
    np.testing.assert_allclose(mixed, weights @ x, atol=bound)


def far_and_close(column):
    x = np.random.default_rng(0).normal(size=(60, 3))
    x[:, 0] = column
    return x


@pytest.mark.parametrize(
    "column",
    [1.7e9 + np.arange(60) % 5, 2e7 + np.random.default_rng(1).random(60), np.arange(60) % 2],
    ids=["timestamps", "far", "near"],
)
def test_sparse_neighbors_are_exact_far_from_the_origin(column):
    x, y = far_and_close(column), np.repeat([0, 1], 30)
    squares = ((x[:, None] - x[None]) ** 2).sum(axis=2)
    squares[y[:, None] != y[None]] = np.inf
    np.fill_diagonal(squares, np.inf)
    table = neighbor_table(sparse.csr_array(x), Kin.of(y, None, within=True), {0: 1, 1: 1}, 3)
    found = np.sort(np.take_along_axis(squares, table, axis=1), axis=1)
    np.testing.assert_allclose(found, np.sort(squares, axis=1)[:, :3])


def test_more_neighbors_than_rows_take_no_memory():
    x, y = np.random.default_rng(0).normal(size=(1000, 2)), np.repeat([0, 1], [990, 10])
    first, _ = oversample(x, y, neighbors=10**9, strategy={1: 20}, rng=0)
    second, _ = oversample(x, y, neighbors=9, strategy={1: 20}, rng=0)
    assert (first == second).all()
