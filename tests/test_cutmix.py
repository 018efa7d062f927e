"""CutMix: boxes, volumes and partners."""

import numpy as np
import pytest
from scipy import stats

from zetamix_core import cutmix


def labelled(n, *shape):
    """Samples that are constant and tell which one they are."""
    x = np.broadcast_to(np.arange(n).reshape(n, *[1] * len(shape)), (n, *shape))
    return np.array(x, dtype=np.float32), np.arange(n, dtype=np.int32)


def boxes(mixed, i):
    """Return where output i differs from sample i."""
    return mixed[i] != i


@pytest.mark.parametrize("axes", [(-2, -1), (1,), [-1, 1], (1, 2, 3)])
@pytest.mark.parametrize("per_sample", [True, False])
def test_a_box_of_one_other_sample_is_pasted(backend, axes, per_sample):
    n, shape = 7, (5, 6, 4)
    x, y = labelled(n, *shape)
    mixed, soft = cutmix(
        backend.asarray(x),
        backend.asarray(y),
        axes=axes,
        per_sample=per_sample,
        num_classes=n,
        rng=3,
    )
    mixed, soft = backend.to_numpy(mixed), backend.to_numpy(soft)
    assert mixed.dtype == x.dtype
    inside = np.stack([boxes(mixed, i) for i in range(n)])
    if not per_sample:
        assert np.all(inside == inside[0])
    assert 0 < inside.mean() < 1
    for i in range(n):
        donors = np.unique(mixed[i][inside[i]])
        assert donors.size <= 1
        # A product of intervals, whole along the other axes.
        sides = [
            inside[i].any(axis=tuple(other for other in range(3) if other != axis))
            for axis in range(3)
        ]
        expected = sides[0][:, None, None] & sides[1][None, :, None] & sides[2][None, None, :]
        assert np.array_equal(inside[i], expected)
        for axis, side in enumerate(sides):
            cut = axis + 1 in [a % 4 for a in axes]
            ends = np.flatnonzero(np.diff(np.concatenate([[0], side.astype(int), [0]])))
            assert ends.size <= 2, "an interval"
            if not cut and inside[i].any():
                assert side.all()
        # Labels follow the volume that is really there, clipping included.
        volume = inside[i].mean()
        expected_label = np.zeros(n)
        expected_label[i] += 1 - volume
        if donors.size:
            expected_label[int(donors[0])] += volume
        np.testing.assert_allclose(soft[i], expected_label, atol=1e-6)


def test_same_seed_same_boxes(backend):
    x, _ = labelled(6, 9, 9)
    mixed = backend.to_numpy(cutmix(backend.asarray(x), rng=(1, 2))[0])
    assert np.array_equal(mixed, cutmix(x, rng=(1, 2))[0])
    assert not np.array_equal(mixed, cutmix(x, rng=(1, 3))[0])


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32"])
def test_nothing_is_averaged(backend, dtype):
    x = np.random.default_rng(0).integers(0, 2, (5, 4, 4)).astype(dtype)
    mixed = backend.to_numpy(cutmix(backend.asarray(x), rng=0)[0])
    assert mixed.dtype == dtype


@pytest.mark.parametrize("num_axes", [1, 2, 3])
def test_sides_and_centres_have_the_published_law(num_axes):
    """Without clipping the volume would be 1 − λ; clipping is what makes it less."""
    length, n = 400 if num_axes < 3 else 60, 2000 if num_axes < 3 else 300
    shape = (length,) * num_axes
    axes = tuple(range(-num_axes, 0))
    x = np.zeros((n, *(1,) * num_axes)) + np.arange(n).reshape(n, *(1,) * num_axes)
    x = np.broadcast_to(x, (n, *shape)) if num_axes == 1 else None
    if num_axes > 1:
        # Only the boxes matter here: two samples, many draws.
        volumes = []
        pair = np.zeros((2, *shape), dtype=bool)
        pair[1] = True
        for seed in range(n // 2):
            mixed, _ = cutmix(pair, axes=axes, rng=seed)
            volumes += [mixed[0].mean(), 1 - mixed[1].mean()]
    else:
        mixed, _ = cutmix(x, axes=axes, rng=0)
        volumes = (mixed != x).mean(axis=1)
    # Simulate the law: side s = (1 - λ)^(1/k), centre c, clipped to [0, 1].
    rng = np.random.default_rng(0)
    side = (1 - rng.random(200_000)) ** (1 / num_axes)
    expected = np.ones(200_000)
    for _ in range(num_axes):
        centre = rng.random(200_000)
        expected *= np.minimum(centre + side / 2, 1) - np.maximum(centre - side / 2, 0)
    assert stats.ks_2samp(volumes, expected).statistic < 0.06


def test_every_cell_is_covered_alike_from_both_ends():
    """Boxes at random places of a short axis: mirrored cells are equally likely to be inside."""
    x = np.broadcast_to(np.arange(20_000)[:, None], (20_000, 5))
    covered = (cutmix(x, axes=(1,), rng=0)[0] != x).mean(axis=0)
    np.testing.assert_allclose(covered, covered[::-1], atol=0.012)
    assert covered[2] > covered[0] + 0.05


@pytest.mark.parametrize("alpha", [0.2, 5.0])
def test_alpha_shapes_the_boxes(alpha):
    x = np.broadcast_to(np.arange(4000)[:, None], (4000, 300))
    volume = (cutmix(x, axes=(1,), alpha=alpha, rng=0)[0] != x).mean(axis=1)
    rng = np.random.default_rng(0)
    side, centre = 1 - rng.beta(alpha, alpha, 100_000), rng.random(100_000)
    expected = np.minimum(centre + side / 2, 1) - np.maximum(centre - side / 2, 0)
    # In bins, because a side is cut off to whole cells.
    bins = [0, 0.05, 0.2, 0.5, 0.8, 0.95, 1.01]
    shares = [np.histogram(v, bins)[0] / len(v) for v in (volume, expected)]
    np.testing.assert_allclose(*shares, atol=0.03)


def test_a_single_sample_is_itself(backend):
    x, y = labelled(1, 4, 4)
    mixed, soft = cutmix(backend.asarray(x + 5), backend.asarray(y), num_classes=2, rng=0)
    assert np.array_equal(backend.to_numpy(mixed), x + 5)
    assert backend.to_numpy(soft).tolist() == [[1, 0]]


def test_free_pairs():
    x, y = labelled(8, 5, 5)
    mixed, soft = cutmix(x, y, num_classes=8, anchored=False, rng=0)
    first = [np.bincount(m.astype(int).ravel(), minlength=8) / 25 for m in mixed]
    np.testing.assert_allclose(soft, first, atol=1e-6)
    assert np.any(soft.argmax(axis=1) != y)


def test_soft_labels_and_targets(backend):
    x = np.zeros((6, 4, 4), dtype=np.float32)
    y = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    classes = np.arange(6, dtype=np.int32)
    _, by_class = cutmix(backend.asarray(x), backend.asarray(classes), num_classes=6, rng=4)
    _, mixed = cutmix(backend.asarray(x), backend.asarray(y), rng=4)
    expected = backend.to_numpy(by_class).astype(np.float64) @ y
    np.testing.assert_allclose(backend.to_numpy(mixed), expected, atol=1e-6)
