"""CutMix: boxes, volumes and partners."""

import pickle

import array_api_compat
import numpy as np
import pytest
from scipy import stats

from zetamix_core import CutMixPlan, cutmix, cutmix_plan


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


# --- plans ----------------------------------------------------------------------------------------


def host(array, backend):
    return array if isinstance(array, np.ndarray) else backend.to_numpy(array)


def active_of(values, plan, backend):
    """Return an array of bool beside the plan, which of a lazy library is one of NumPy."""
    values = np.asarray(values)
    return values if isinstance(plan.upper, np.ndarray) else backend.asarray(values)


def pasted(x, plan, axes, backend):
    """Paste cell by cell what the arrays of the plan say."""
    indices, lower, upper = (
        host(array, backend) for array in (plan.volumes.indices, plan.lower, plan.upper)
    )
    out = np.empty((len(indices), *x.shape[1:]), dtype=x.dtype)
    for place in np.ndindex(out.shape):
        i = place[0]
        row = i if len(upper) > 1 else 0
        inside = all(
            lower[row if len(lower) > 1 else 0, column] <= place[axis] < upper[row, column]
            for column, axis in enumerate(axes)
        )
        out[place] = x[(indices[i, 1] if inside else indices[i, 0], *place[1:])]
    return out


def distinct(*shape):
    """Samples of which every cell is another number."""
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


@pytest.mark.parametrize("own", [False, True], ids=["NumPy plan", "own plan"])
@pytest.mark.parametrize("per_sample", [True, False])
def test_image_and_mask_share_boxes(backend, own, per_sample):
    """The last two axes are other ones in each of them."""
    n, height, width = 5, 6, 7
    image, mask = distinct(n, 3, height, width), distinct(n, height, width).astype(np.int32)
    like = backend.like if own else None
    plan = cutmix_plan(image.shape, per_sample=per_sample, rng=8, like=like)
    assert plan.lengths == (height, width)
    mixed = [backend.to_numpy(plan @ backend.asarray(x)) for x in (image, mask)]
    assert [m.dtype for m in mixed] == [np.float32, np.int32]
    assert np.array_equal(mixed[0], pasted(image, plan, (2, 3), backend))
    assert np.array_equal(mixed[1], pasted(mask, plan, (1, 2), backend))
    # Seen in the outputs alone: where the image is another sample, so is the mask.
    foreign = [
        m // m[0].size != np.arange(n).reshape(n, *[1] * (m.ndim - 1)) for m in (mixed[0], mixed[1])
    ]
    assert np.array_equal(foreign[0], np.broadcast_to(foreign[1][:, None], foreign[0].shape))
    inside = foreign[1].mean(axis=(1, 2))
    assert 0 < inside.max() < 1
    weights = np.broadcast_to(host(plan.volumes.weights, backend), (n, 2))
    np.testing.assert_allclose(weights, np.stack([1 - inside, inside], axis=1), atol=1e-6)


def test_axes_from_the_front(backend):
    plan = cutmix_plan((4, 6, 5, 3), axes=(1, 2), rng=5)
    for x in (distinct(4, 6, 5, 3), distinct(4, 6, 5), distinct(4, 6, 5, 2, 2)):
        mixed = backend.to_numpy(plan @ backend.asarray(x))
        assert np.array_equal(mixed, pasted(x, plan, (1, 2), backend))
        assert not np.array_equal(mixed, x)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"per_sample": False, "alpha": 0.3},
        {"axes": (1,)},
        {"axes": [-1, 1], "anchored": False},
    ],
)
def test_cutmix_is_a_plan_and_its_application(backend, options):
    x, y = backend.asarray(distinct(5, 6, 7)), np.arange(5, dtype=np.int32) % 3
    plan = cutmix_plan((5, 6, 7), rng=(4, 2), like=x, **options)
    mixed, soft = cutmix(x, backend.asarray(y), num_classes=3, rng=(4, 2), **options)
    assert np.array_equal(backend.to_numpy(mixed), backend.to_numpy(plan @ x))
    labels = plan.mix_labels(backend.asarray(y), 3)
    assert np.array_equal(backend.to_numpy(soft), backend.to_numpy(labels))
    assert cutmix(x, rng=0)[1] is None
    on_host = cutmix_plan((5, 6, 7), rng=(4, 2), **options)
    assert np.array_equal(on_host @ distinct(5, 6, 7), backend.to_numpy(mixed))


def test_a_plan_takes_library_and_device(backend):
    plan = cutmix_plan((4, 5, 5), rng=0, like=backend.like)
    expected = np.zeros(1) if backend.lazy else backend.like
    for array in (plan.volumes.indices, plan.volumes.weights, plan.lower, plan.upper):
        assert array_api_compat.array_namespace(array) is array_api_compat.array_namespace(expected)
        assert array_api_compat.device(array) == array_api_compat.device(expected)


def test_apply_pastes_the_same_boxes_in_a_structure(backend):
    n = 4
    image, mask = distinct(n, 2, 5, 6), distinct(n, 5, 6).astype(np.int32)
    y, target = np.arange(n, dtype=np.int32) % 3, distinct(n, 5, 6) / 7
    ids = ["a", "b", "c", "d"]
    tree = {
        "in": {"image": backend.asarray(image), "mask": backend.asarray(mask)},
        "out": [backend.asarray(y), backend.asarray(target), None],
        "ids": ids,
    }
    plan = cutmix_plan(image.shape, rng=1)
    mixed = plan.apply(tree, num_classes={"out/0": 3}, as_data=["in/mask"], keep=["ids"])
    assert list(mixed) == ["in", "out", "ids"]
    assert mixed["ids"] is ids
    assert mixed["out"][2] is None
    arrays = ((mixed["in"]["image"], image, (2, 3)), (mixed["in"]["mask"], mask, (1, 2)))
    for leaf, x, axes in (*arrays, (mixed["out"][1], target, (1, 2))):
        leaf = backend.to_numpy(leaf)
        assert leaf.dtype == x.dtype
        assert np.array_equal(leaf, pasted(x, plan, axes, backend))
        assert not np.array_equal(leaf, x)
    np.testing.assert_allclose(
        backend.to_numpy(mixed["out"][0]), plan.volumes.matrix() @ np.eye(3)[y], rtol=1e-6
    )
    assert np.array_equal(backend.to_numpy(tree["in"]["mask"]), mask), "the input was modified"


@pytest.mark.parametrize("per_sample", [True, False])
def test_where_leaves_boxes_out(backend, per_sample):
    n = 5
    x, y = distinct(n, 6, 7), np.arange(n, dtype=np.int32)
    plan = cutmix_plan(x.shape, per_sample=per_sample, rng=8, like=backend.like)
    full = backend.to_numpy(plan @ backend.asarray(x))
    volumes = backend.to_numpy(plan.mix_labels(backend.asarray(y), n))
    assert not np.array_equal(full, x)
    some = np.asarray([True, False, True, True, False])
    for value in (True, False, np.asarray(True), np.asarray(False), some, np.zeros(n, dtype=bool)):
        active = value if isinstance(value, bool) else active_of(value, plan, backend)
        switched = plan.where(active)
        assert isinstance(switched, CutMixPlan)
        chosen = np.broadcast_to(value, (n,))
        mixed = backend.to_numpy(switched @ backend.asarray(x))
        assert np.array_equal(mixed, np.where(chosen[:, None, None], full, x))
        soft = backend.to_numpy(switched.mix_labels(backend.asarray(y), n))
        assert soft.dtype == volumes.dtype
        assert np.array_equal(soft, np.where(chosen[:, None], volumes, np.eye(n)))
    assert np.array_equal(backend.to_numpy(plan @ backend.asarray(x)), full), "plans are immutable"


def test_a_plan_for_a_single_sample(backend):
    x = distinct(1, 4, 4)
    plan = cutmix_plan(x.shape, rng=0)
    for one in (plan, plan.where(False)):
        assert np.array_equal(backend.to_numpy(one @ backend.asarray(x)), x)


def test_plans_travel():
    """As they do to the workers of a data loader."""
    x = distinct(4, 5, 5)
    plan = cutmix_plan(x.shape, rng=1)
    assert np.array_equal(pickle.loads(pickle.dumps(plan)) @ x, plan @ x)


def test_an_array_times_a_plan_is_refused():
    with pytest.raises(TypeError, match="unsupported operand"):
        _ = np.ones((4, 4)) @ cutmix_plan((4, 4), axes=(1,), rng=0)


@pytest.mark.needs("jax")
def test_plans_are_pytrees():
    jax = pytest.importorskip("jax")
    x, key = jax.numpy.asarray(distinct(4, 5, 6)), jax.random.key(0)
    paste = jax.jit(lambda plan, x: plan @ x)
    for plan in (cutmix_plan(x.shape, rng=0), cutmix_plan(x.shape, rng=key, like=x)):
        assert np.array_equal(paste(plan, x), plan @ x)
        leaves, structure = jax.tree_util.tree_flatten(plan)
        assert len(leaves) == 4
        again = jax.tree_util.tree_unflatten(structure, leaves)
        assert (again.axes, again.lengths) == ((-2, -1), (5, 6))
        assert np.array_equal(again @ x, plan @ x)
    drawn = jax.jit(lambda key, x: cutmix_plan(x.shape, rng=key, like=x))(key, x)
    assert isinstance(drawn, CutMixPlan)
    assert np.array_equal(drawn @ x, plan @ x)
    switched = jax.jit(lambda plan, active: plan.where(active))
    for active in (np.asarray(False), np.asarray([True, False, True, False])):
        expected = np.where(np.broadcast_to(active, (4,))[:, None, None], plan @ x, x)
        assert np.array_equal(switched(plan, jax.numpy.asarray(active)) @ x, expected)
    both = jax.tree_util.tree_map(lambda *leaves: jax.numpy.stack(leaves), plan, drawn.where(False))
    mixed = jax.vmap(lambda plan: plan @ x)(both)
    assert np.array_equal(mixed, np.stack([plan @ x, x]))


# --- axes that boxes can't be cut along -----------------------------------------------------------


@pytest.mark.parametrize("shape", [(4, 8, 1), (4, 1, 1), (4, 3, 1, 8)])
def test_an_axis_of_one_entry_has_no_box(shape):
    """No box covers it, so that nothing would ever be pasted."""
    with pytest.raises(ValueError, match=r"two entries or more, got lengths \(.*1.*leave such"):
        cutmix_plan(shape, axes=(-2, -1), rng=0)
    cutmix_plan((4, 8, 2), rng=0)


@pytest.mark.parametrize(
    ("shape", "remedy"),
    [
        ((4, 32, 32, 3), r"axes=\(1, 2\) for images with channels last"),
        ((4, 3, 1000), r"axes=\(-1,\) for series"),
        ((4, 16, 9, 4), r"axes=\(2, 3\), counted from the front"),
    ],
)
def test_channels_are_not_cut_through(shape, remedy):
    with pytest.raises(ValueError, match=remedy):
        cutmix_plan(shape, rng=0)
    front = (len(shape) - 2, len(shape) - 1)
    assert cutmix_plan(shape, axes=front, rng=0).lengths == shape[-2:]


@pytest.mark.parametrize(
    "shape", [(4, 64, 4, 4), (4, 3, 8, 8), (4, 28, 28), (4, 3, 5, 9), (4, 4, 8)]
)
def test_small_maps_are_cut(shape):
    assert cutmix_plan(shape, rng=0).lengths == shape[-2:]


def test_channels_last_are_refused_at_every_entry(backend):
    x = backend.asarray(np.zeros((4, 16, 16, 3), np.float32))
    with pytest.raises(ValueError, match="must not cut through channels"):
        cutmix(x, rng=0)
    assert cutmix(x, axes=(1, 2), rng=0)[0].shape == x.shape
