"""The report on a grid of γ: what is mixed, what is measured, and what is suggested."""

import math

import numpy as np
import pytest

from zetamix_core import mixup_plan, permutation, zeta_plan
from zetamix_core.metrics import (
    MixMeasures,
    displacement,
    gamma_report,
    label_correctness,
    label_richness,
    local_intrinsic_dimension,
    nearest_distance,
    neighbor_vote,
    realism_diversity,
)
from zetamix_core.metrics.experiment import Experiment
from zetamix_core.metrics.methods import MIXUP, ORIGINALS, epoch_plan
from zetamix_core.metrics.methods import zeta_method as zeta
from zetamix_core.metrics.report import _suggest

N, K, CLASSES = 100, 20, 3
GAMMAS = (1.0, 2.8, 8.0)
Y = np.arange(N) % CLASSES


def samples():
    """Three bent sheets in six dimensions."""
    rng = np.random.default_rng(0)
    latent = rng.normal(size=(N, 2))
    curved = np.concatenate([latent, np.sin(3 * latent), 2 * np.eye(3, 2)[Y]], axis=1)
    return curved + 0.02 * rng.normal(size=(N, 6))


X = samples()
OPTIONS = {"gammas": GAMMAS, "n_neighbors": K, "num_classes": CLASSES}


def by_hand(draw, batch_size=32, seed=0):
    """Mix an epoch batch by batch; return points and labels in the order of the samples."""
    order = permutation(N, (seed,))
    points, labels = np.empty_like(X), np.empty((N, CLASSES))
    for step, start in enumerate(range(0, N, batch_size)):
        batch = order[start : start + batch_size]
        plan = draw(len(batch), (seed, step))
        points[batch] = plan @ X[batch]
        labels[batch] = plan.mix_labels(Y[batch], CLASSES)
    return points, labels


DRAWS = {
    "originals": lambda n, rng: zeta_plan(n, num_mix=1),
    "mixup": lambda n, rng: mixup_plan(n, rng=rng),
} | {
    f"ζ-mixup, γ = {gamma:g}": lambda n, rng, gamma=gamma: zeta_plan(n, gamma=gamma, rng=rng)
    for gamma in GAMMAS
}


# --- epochs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [32, 1, 25, 400])
def test_an_epoch_is_all_its_batches(batch_size):
    plan = epoch_plan(zeta(2.0), N, batch_size, (0,))
    points, labels = by_hand(lambda n, rng: zeta_plan(n, gamma=2.0, rng=rng), batch_size)
    np.testing.assert_allclose(plan @ X, points)
    np.testing.assert_allclose(plan.mix_labels(Y, CLASSES), labels)
    assert plan.num_mix == min(batch_size, N)
    assert np.array_equal(plan.indices[:, 0], np.arange(N))


def test_an_epoch_of_fewer_samples_a_mixture():
    plan = epoch_plan(zeta(2.0, 8), N, 33, (0,))  # a last batch of one
    points, _ = by_hand(lambda n, rng: zeta_plan(n, gamma=2.0, num_mix=min(8, n), rng=rng), 33)
    np.testing.assert_allclose(plan @ X, points)
    assert plan.num_mix == 8


def test_methods_see_the_same_batches_and_gammas_the_same_orderings():
    one, other = (epoch_plan(zeta(gamma), N, 32, (5,)) for gamma in (2.0, 6.0))
    assert np.array_equal(one.indices, other.indices)
    pairs = epoch_plan(MIXUP, N, 32, (5,))
    for partner, members in zip(pairs.indices[:, 1], one.indices, strict=True):
        assert partner in members
    assert not np.array_equal(epoch_plan(zeta(2.0), N, 32, (6,)).indices, one.indices)
    assert np.array_equal(epoch_plan(ORIGINALS, N, 32, (5,)) @ X, X)


# --- measures -------------------------------------------------------------------------------------


def test_every_number_is_what_its_function_gives():
    report = gamma_report(X, Y, **OPTIONS)
    assert [row.name for row in report.rows] == list(DRAWS)
    assert [row.gamma for row in report.rows] == [None, None, *GAMMAS]
    spread = math.sqrt(X.var(axis=0, ddof=1).sum())
    for row, draw in zip(report.rows, DRAWS.values(), strict=True):
        points, labels = by_hand(draw)
        oracle = neighbor_vote(X, Y, points, num_classes=CLASSES, anchors=np.arange(N))
        if row.name == "originals":
            oracle = neighbor_vote(X, Y, num_classes=CLASSES)
        expected = (
            local_intrinsic_dimension(points, n_neighbors=K).mean(),
            displacement(X, points),
            np.sqrt(np.mean(nearest_distance(X, points) ** 2)) / spread,
            *realism_diversity(X, points),
            *(each.mean() for each in label_richness(labels)),
            *(each.mean() for each in label_correctness(labels, oracle)),
            displacement(X, points) if row.name != "mixup" else row.heaviest_displacement,
        )
        assert row[2:] == pytest.approx(expected, rel=1e-6, abs=1e-12)
    assert report.originals is report.rows[0]
    assert 0.5 < report.originals.overlap < 1


def test_mixup_is_measured_from_both_ends():
    """The partner weighs more half of the time; λ is uniform."""
    points, _ = by_hand(DRAWS["mixup"])
    order = permutation(N, (0,))
    steps = np.empty(N)
    for step, start in enumerate(range(0, N, 32)):
        batch = order[start : start + 32]
        plan = mixup_plan(len(batch), rng=(0, step))
        ends = batch[np.take_along_axis(plan.indices, plan.weights.argmax(1)[:, None], 1)[:, 0]]
        steps[batch] = np.sum((points[batch] - X[ends]) ** 2, axis=1)
    expected = math.sqrt(steps.mean() / X.var(axis=0, ddof=1).sum())
    row = gamma_report(X, gammas=(2.8,), n_neighbors=K).rows[1]
    assert row.heaviest_displacement == pytest.approx(expected)
    assert row.heaviest_displacement < 0.6 * row.displacement


def test_reports_of_all_libraries_agree(backend):
    expected = gamma_report(X, Y, **OPTIONS)
    found = gamma_report(backend.asarray(X), backend.asarray(Y), **OPTIONS)
    for row, other in zip(found.rows, expected.rows, strict=True):
        assert row[:2] == other[:2]
        assert all(type(value) is float for value in row[2:])
        tolerance = 0.02 if backend.name == "jax" else 1e-6
        assert row[2:] == pytest.approx(other[2:], rel=tolerance, abs=1e-6)
    assert (found.suggested_gamma, found.reason) == (expected.suggested_gamma, expected.reason)


@pytest.mark.parametrize("y", [None, np.eye(CLASSES)[Y], np.eye(CLASSES, dtype=int)[Y]])
def test_forms_of_labels(y):
    options = OPTIONS | {"num_classes": CLASSES if y is not None and y.dtype == int else None}
    report = gamma_report(X, y, **options)
    expected = gamma_report(X, Y, **OPTIONS)
    if y is not None:
        assert report == expected
        return
    for row, other in zip(report.rows, expected.rows, strict=True):
        assert row == (*other[:9], None, None, None, None, None, other[14])
    assert report.suggested_gamma == expected.suggested_gamma


def test_options():
    report = gamma_report(X, Y, **OPTIONS, num_mix=4, batch_size=16, seed=3, method="mle")
    points = epoch_plan(zeta(2.8, 4), N, 16, (3,)) @ X
    found = report.rows[3].dimension
    expected = local_intrinsic_dimension(points, n_neighbors=K, method="mle").mean()
    assert found == pytest.approx(expected)
    assert (report.num_samples, report.num_mix, report.batch_size) == (N, 4, 16)
    assert (report.n_neighbors, report.tolerance) == (K, 0.1)


def test_several_epochs_are_measured_together():
    """Means over all outputs; precision and overlap compare each of them with the originals."""
    options = {"batch_size": 32, "num_classes": CLASSES, "n_neighbors": K}
    method = zeta(2.0)
    both = Experiment(X, Y, keys=[(0,), (1,)], **options).measure(method)
    each = [Experiment(X, Y, keys=[(seed,)], **options).measure(method) for seed in (0, 1)]
    for name in ("precision", "density", "effective_classes", "overlap", "same_class"):
        expected = np.mean([getattr(row, name) for row in each])
        assert getattr(both, name) == pytest.approx(expected), name
    for name in ("displacement", "nearest_distance"):
        expected = np.sqrt(np.mean([getattr(row, name) ** 2 for row in each]))
        assert getattr(both, name) == pytest.approx(expected), name
    assert each[0] != each[1]


def test_images_are_rows(monkeypatch):
    assert gamma_report(X.reshape(N, 3, 2), Y, **OPTIONS) == gamma_report(X, Y, **OPTIONS)


def test_oracle():
    """A classifier that sees samples as they are, and always says the same."""
    seen = []

    def oracle(images):
        seen.append(images)
        return np.tile([0.0, 1.0, 0.0], (len(images), 1))

    report = gamma_report(X.reshape(N, 2, 3), Y, oracle=oracle, **OPTIONS)
    for images, row, draw in zip(seen, report.rows, DRAWS.values(), strict=True):
        np.testing.assert_allclose(
            images, by_hand(draw)[0].reshape(N, 2, 3), rtol=1e-12, atol=1e-12
        )
        assert row.overlap == pytest.approx(by_hand(draw)[1][:, 1].mean())


def test_progress():
    seen = []

    def progress(items):
        for item in items:
            yield item
            seen.append(item.name)

    assert gamma_report(X, Y, progress=progress, **OPTIONS) == gamma_report(X, Y, **OPTIONS)
    assert seen == list(DRAWS)


def test_gammas_are_put_in_order():
    report = gamma_report(X, gammas=(8, 1.0, 2.8, 1), n_neighbors=K)
    assert [row.gamma for row in report.rows[2:]] == list(GAMMAS)


def test_what_is_not_moved_is_judged_as_the_originals():
    """The oracle must not know a sample by itself."""
    report = gamma_report(X, Y, gammas=(1000.0,), n_neighbors=K, num_classes=CLASSES)
    assert report.rows[2][2:] == pytest.approx(report.originals[2:])


def test_small_data():
    """Fewer samples than voters or neighbours of realism."""
    report = gamma_report(X[:5], Y[:5], gammas=(2.8,), n_neighbors=3, num_classes=CLASSES)
    assert (report.num_mix, report.rows[0].coverage) == (5, 1)
    report = gamma_report(X[:5], gammas=(2.8,), n_neighbors=2, num_mix=20)
    assert report.num_mix == 5


def test_constants():
    """No dimension, no distance, no NaN."""
    report = gamma_report(
        np.ones((30, 4)), np.arange(30) % 2, gammas=(2.8,), n_neighbors=9, num_classes=2
    )
    for row in report.rows:
        assert (row.dimension, row.displacement, row.nearest_distance) == (0, 0, 0)
        assert not any(math.isnan(value) for value in row[2:])
    assert report.suggested_gamma is None
    assert "the originals have dimension 0 and precision 0 and recall 0, to which" in report.reason


@pytest.mark.parametrize("value", [0.1, 0.3, 1 / 3, 1e-30])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("method", ["lpca", "mle"])
def test_rounding_of_constants_has_no_dimension(value, dtype, method):
    x = np.full((200, 5), value, dtype=dtype)
    report = gamma_report(x, gammas=(1.0, 2.8), n_neighbors=20, method=method)
    for row in report.rows:
        assert (row.dimension, row.displacement, row.nearest_distance) == (0, 0, 0)


def test_nothing_is_compared_with_infinity():
    x = np.eye(6)[np.random.default_rng(0).integers(0, 6, (300, 4))].reshape(300, -1)
    report = gamma_report(x, gammas=(2.8,), n_neighbors=20, method="mle")
    assert math.isinf(report.originals.dimension)
    assert report.suggested_gamma is None
    assert "the originals have dimension inf, to which nothing can be compared" in report.reason


def test_the_default_grid_covers_that_of_the_paper():
    gammas = [row.gamma for row in gamma_report(X, n_neighbors=K).rows[2:]]
    assert gammas == [1.0, 1.4, 1.8, 2.0, 2.4, 2.8, 3.2, 4.0, 5.0, 6.0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_units_change_nothing(dtype, scale):
    expected = gamma_report(X.astype(dtype), Y, **OPTIONS)
    found = gamma_report(np.asarray(X * scale, dtype=dtype), Y, **OPTIONS)
    for row, other in zip(found.rows, expected.rows, strict=True):
        assert row[2:] == pytest.approx(other[2:], rel=1e-3)
    assert found.suggested_gamma == expected.suggested_gamma


def test_as_a_table():
    report = gamma_report(X, Y, **OPTIONS)
    lines = str(report).splitlines()
    assert lines[0].split() == [
        "dimension",
        "from",
        "own",
        "heaviest",
        "precision",
        "recall",
        "density",
        "coverage",
        "classes",
        "overlap",
    ]
    assert [line.split("  ")[0] for line in lines[1:-1]] == list(DRAWS)
    assert lines[-1] == report.reason
    row = report.rows[3]
    assert f"{row.dimension:.2f}" in lines[4]
    assert lines[4].endswith(f"{row.effective_classes:.2f}    {row.overlap:.3f}")
    assert "classes" not in str(gamma_report(X, gammas=GAMMAS, n_neighbors=K))


# --- the suggestion -------------------------------------------------------------------------------


def rows(original, mixup, *mixed):
    """Rows of which each is a dimension, or that with precision and recall."""
    names = [("originals", None, original), ("mixup", None, mixup)]
    names += [(f"ζ {gamma}", float(gamma), values) for gamma, values in enumerate(mixed, start=1)]
    found = []
    for name, gamma, values in names:
        dimension, precision, recall = values if isinstance(values, tuple) else (values, 1.0, 1.0)
        found.append(MixMeasures(name, gamma, dimension, 0.0, 0.0, precision, recall, 1.0, 1.0))
    return found


@pytest.mark.parametrize(
    ("mixed", "suggested"),
    [
        ((14, 12, 10.5, 10.2, 10), 3),
        ((10, 14, 12, 10.9, 10), 4),  # what is right by chance comes before what is wrong
        ((10, 10, 10), 1),
        ((8, 8.9, 9.1, 10), 3),  # too few dimensions are as wrong as too many
        ((14, 11), 2),  # the border is within
        (((10, 0.8, 1), (10, 0.91, 1), 10), 2),
        (((10, 1, 0.1), (10, 1, 0.89), (10, 1, 0.9)), 3),
        (((10, 1.2, 1.5), 10), 1),  # better than the originals
        (((9, 1.2, 1.5), (8, 1.2, 1.5)), None),
        ((14, 11.1), None),
        ((10, 12), None),
        ((10, (10, 0.5, 1)), None),
    ],
)
def test_suggestion(mixed, suggested):
    gamma, reason = _suggest(rows(10, 15, *mixed), 0.1)
    assert gamma == suggested
    assert "within 10% of the originals'" in reason
    if suggested is None:
        assert reason.startswith(f"No γ is suggested: even at the largest, {len(mixed)}, ")
        assert reason.endswith("Try a larger γ.")
    else:
        assert f"Try γ = {suggested}: the smallest value tried" in reason
        assert ("the smallest of all" in reason) == (suggested == 1)
        chosen = mixed[suggested - 1]
        dimension = chosen if not isinstance(chosen, tuple) else chosen[0]
        assert f"The dimension is {dimension:.3g} there, that of the originals 10, " in reason
        assert reason.endswith("with mixup it is 15.")


def test_reasons_name_what_failed():
    _, reason = _suggest(rows(10, 15, 14, (12, 0.5, 0.25), 10), 0.1)
    assert "; at 2, dimension 12 and precision 0.5 and recall 0.25 are not. " in reason
    _, reason = _suggest(rows(10, 15, (10, 1, 0.25)), 0.1)
    assert "even at the largest, 1, recall 0.25 is not within 10% of the originals'." in reason


def test_better_than_the_originals_is_not_punished():
    """Binary rows that repeat: the originals' own precision and recall are well below 1."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 200)
    x = (rng.normal(size=(200, 10)) + y[:, None] > 0).astype(float)
    report = gamma_report(x, gammas=(2.8, 6.0, 100.0), n_neighbors=128)
    assert report.originals.precision == report.originals.recall == pytest.approx(0.59)
    assert report.rows[2].precision == 1
    assert report.suggested_gamma == 2.8
    assert "Some rows repeat; where a row has more than five copies" in report.reason
    assert "Some rows repeat" not in gamma_report(X, gammas=(2.8,), n_neighbors=K).reason
    everywhere = gamma_report(np.ones((30, 4)), gammas=(2.8,), n_neighbors=9)
    assert "nothing can be compared" in everywhere.reason
    assert "Some rows repeat" in everywhere.reason


# --- refusals -------------------------------------------------------------------------------------


REFUSALS = [
    ({"gammas": ()}, ValueError, "gammas must not be empty; omit it"),
    ({"gammas": (2.8, -1)}, ValueError, "gamma must be a number >= 0, got -1"),
    ({"gammas": (math.nan,)}, ValueError, "gamma must be a number >= 0, got nan"),
    ({"gammas": ("x",)}, TypeError, "gamma must be a number"),
    ({"tolerance": -0.1}, ValueError, "tolerance must be a relative deviation of 0 or more, got"),
    ({"tolerance": math.nan}, ValueError, "tolerance must be"),
    (
        {"tolerance": "0.1"},
        TypeError,
        "tolerance must be a relative deviation .* got '0.1'; 0.1 allows",
    ),
    ({"gammas": 2.8}, TypeError, "gammas must be a sequence of numbers, got 2.8; pass"),
    ({"gammas": (np.asarray(2.8),)}, TypeError, "gammas must be numbers, got"),
    ({"seed": None}, TypeError, "seed must be an int from 0 .* got None"),
    ({"seed": -1}, ValueError, "seed must be an int from 0 .* got -1"),
    ({"oracle": 3}, TypeError, "oracle must be a function .* got one 3;"),
    ({"oracle": np.sign, "y": None}, TypeError, "got one without y, whose labels it would judge"),
    ({"x": X[:1], "y": Y[:1]}, ValueError, "there must be at least 3 samples to find 2"),
    ({"num_mix": 33}, ValueError, "got num_mix=33 for batches of 32"),
    ({"num_mix": 0}, ValueError, "num_mix must be >= 1"),
    ({"batch_size": 0}, ValueError, "batch_size must be >= 1"),
    ({"n_neighbors": N}, ValueError, f"got n_neighbors={N} for {N} samples"),
    ({"method": "pca"}, ValueError, "method must be one of"),
    ({"y": Y[:-1]}, ValueError, f"same number of samples, got {N} and {N - 1}"),
    ({"y": X[:, 0], "num_classes": None}, ValueError, r"y must have shape \(M, C\)"),
    ({"num_classes": None}, ValueError, "integer classes need num_classes"),
    ({"num_classes": 2}, ValueError, "labels must be classes from 0 to num_classes - 1 = 1"),
    ({"x": np.full_like(X, np.nan)}, ValueError, "x must be finite, .* first in sample 0"),
    ({"oracle": lambda x: np.ones((N, 2))}, ValueError, "oracle must be 0 or more and add up to 1"),
]


@pytest.mark.parametrize(("arguments", "error", "message"), REFUSALS)
def test_refusals(arguments, error, message):
    with pytest.raises(error, match=message):
        gamma_report(**{"x": X, "y": Y, **OPTIONS, **arguments})
