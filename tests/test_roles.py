"""What a batch holds: labels, what does not count, ids, boxes, padding, other resolutions."""

import collections
import math

import numpy as np
import pytest

from zetamix_core import (
    CutMixPlan,
    MixPlan,
    cutmix,
    cutmix_plan,
    mixed_accuracy,
    mixed_loss,
    mixup_plan,
    zeta_mixup,
    zeta_plan,
)

N, H = 4, 8
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 3, H, H)).astype(np.float32)
MASK = RNG.integers(0, 5, (N, H, H)).astype(np.int32)


def plan_of_boxes(seed=1):
    """A plan whose boxes are no trifles."""
    return cutmix_plan(X.shape, rng=seed)


def applied(backend, plan, batch, **options):
    """Apply a plan to arrays of a library, and return those of NumPy."""
    arrays = {
        key: backend.asarray(value) if isinstance(value, np.ndarray) else value
        for key, value in batch.items()
    }
    mixed = plan.apply(arrays, **options)
    return {
        key: value if isinstance(value, list) else backend.to_numpy(value)
        for key, value in mixed.items()
    }


# --- dense targets in CutMix ----------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_has_the_axes_of_the_box_is_cut(backend, dtype):
    """Clean images, heatmaps, masks of floats: never averaged by area."""
    plan = plan_of_boxes()
    dense = X.astype(dtype)
    for y in (dense, dense[:, :1], dense[:, 0]):
        soft = backend.to_numpy(plan.mix_labels(backend.asarray(y)))
        assert np.array_equal(soft, plan @ y)
        assert set(soft.ravel()) <= set(y.ravel())
    mixed, second = cutmix(backend.asarray(X), backend.asarray(X), rng=3)
    assert np.array_equal(backend.to_numpy(mixed), backend.to_numpy(second))


def test_rows_of_classes_and_numbers_are_mixed_by_volume(backend):
    plan = plan_of_boxes()
    rows = np.eye(N, dtype=np.float32)
    volumes = plan.volumes.matrix().astype(np.float32)
    soft = backend.to_numpy(plan.mix_labels(backend.asarray(rows)))
    np.testing.assert_allclose(soft, volumes, atol=1e-6)
    batch = {"image": X, "weight": np.arange(N, dtype=np.float32)}
    mixed = applied(backend, plan, batch)
    np.testing.assert_allclose(mixed["weight"], volumes @ batch["weight"], atol=1e-5)


def test_integer_masks_are_cut_and_then_one_hot(backend):
    """The same form as from ζ-mixup, the class axis last."""
    plan = plan_of_boxes()
    soft = backend.to_numpy(plan.mix_labels(backend.asarray(MASK), 5))
    assert soft.shape == (N, H, H, 5) == plan.volumes.mix_labels(MASK, 5).shape
    assert np.array_equal(soft.argmax(axis=-1), plan @ MASK)
    assert np.array_equal(soft.sum(axis=-1), np.ones((N, H, H)))


def test_another_resolution_is_declared():
    volumes = MixPlan(np.asarray([[0, 1], [1, 0]]), np.asarray([[0.5, 0.5]] * 2), 2)
    ends = np.asarray([[2.0, 0.0], [3.0, 3.0]]), np.asarray([[6.0, 8.0], [4.0, 4.0]])
    plan = CutMixPlan(volumes, *ends, (-2, -1), (8, 8))
    small = np.stack([np.zeros((4, 4)), np.ones((4, 4))])
    with pytest.raises(ValueError, match=r"arrays of another resolution with scaled=\[path\]"):
        plan.apply({"image": np.ones((2, 8, 8)), "small": small})
    mixed = plan.apply({"image": np.ones((2, 8, 8)), "small": small}, scaled=["small"])["small"]
    assert mixed[0].tolist() == [[0] * 4, [1] * 4, [1] * 4, [0] * 4]
    # Of the box of one cell one cell is left: 1.5 and 2 are rounded outwards.
    expected = np.ones((4, 4))
    expected[1, 1] = 0
    assert mixed[1].tolist() == expected.tolist()
    doubled = np.repeat(np.repeat(np.ones((2, 8, 8)) * [[[0]], [[1]]], 2, 1), 2, 2)
    large = plan.apply({"large": doubled}, scaled=["large"])["large"]
    assert np.array_equal(large[:, ::2, ::2], plan @ doubled[:, ::2, ::2])


def test_labels_of_another_resolution():
    plan, small = plan_of_boxes(), MASK[:, ::2, ::2]
    batch = {"image": X, "small": small}
    mixed = plan.apply(batch, num_classes={"small": 5}, scaled=["small"])
    assert mixed["small"].shape == (N, H // 2, H // 2, 5)
    assert np.array_equal(
        mixed["small"].argmax(-1), plan.apply({"s": small}, as_data=["s"], scaled=["s"])["s"]
    )
    # An average has no boxes to scale.
    zeta = zeta_plan(N, rng=0).apply(batch, num_classes={"small": 5}, scaled=["small"])
    assert zeta["small"].shape == (N, H // 2, H // 2, 5)


def cross_entropy(pred, y):
    """Of logits (..., C) and classes (...)."""
    logs = pred - np.log(np.exp(pred).sum(axis=-1, keepdims=True))
    return -np.take_along_axis(logs, y[..., None].astype(int), axis=-1)[..., 0]


def test_loss_of_masks_that_were_cut():
    plan, pred = plan_of_boxes(), RNG.normal(size=(N, H, H, 5))
    loss = mixed_loss(cross_entropy, pred, MASK, plan)
    np.testing.assert_allclose(loss, cross_entropy(pred, plan @ MASK).mean())


# --- what does not count --------------------------------------------------------------------------

PLANS = {"zeta": zeta_plan(N, gamma=1.0, rng=0), "mixup": mixup_plan(N, rng=1)}
BOTH = pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS.keys())
IGNORED = pytest.mark.parametrize("ignored", [-1, -100, 255, 0])


@BOTH
@IGNORED
def test_classes_that_do_not_count(backend, plan, ignored):
    y = np.asarray([1, ignored, 2, 3], dtype=np.int32)
    matrix = plan.matrix()
    counts = y != ignored
    expected = np.zeros((N, 5))
    for j in range(N):
        if counts[j]:
            expected[:, y[j]] += matrix[:, j]
    soft = backend.to_numpy(plan.mix_labels(backend.asarray(y), 5, ignore_index=ignored))
    np.testing.assert_allclose(soft, expected, atol=1e-6)
    weights = backend.to_numpy(plan.label_weights(backend.asarray(y), ignored))
    np.testing.assert_allclose(weights, matrix @ counts, atol=1e-6)
    np.testing.assert_allclose(soft.sum(axis=1), weights, atol=1e-6)
    ids, shares = plan.sparse_labels(backend.asarray(y), ignore_index=ignored)
    ids, shares = backend.to_numpy(ids), backend.to_numpy(shares)
    assert np.all(shares[ids == ignored] == 0) or ignored == 0
    np.testing.assert_allclose(shares.sum(axis=1), weights, atol=1e-6)


@BOTH
@IGNORED
def test_masks_that_do_not_count(backend, plan, ignored):
    y = MASK.copy()
    y[:, 2:4] = ignored
    counts = (y != ignored).astype(float)
    one_hot = (y[..., None] == np.arange(5)) * counts[..., None]
    soft = backend.to_numpy(plan.mix_labels(backend.asarray(y), 5, ignore_index=ignored))
    np.testing.assert_allclose(soft, plan @ one_hot, atol=1e-6)
    weights = backend.to_numpy(plan.label_weights(backend.asarray(y), ignored))
    np.testing.assert_allclose(weights, plan @ counts, atol=1e-6)


@BOTH
def test_multi_hot_entries_that_do_not_count(backend, plan):
    """Zero means absent: what is unknown is averaged among those that are known."""
    y = np.asarray([[1, 0, -1], [-1, 1, -1], [0, -1, -1], [1, 1, -1]], dtype=np.int32)
    counts = y != -1
    weights = plan.matrix() @ counts
    hits = plan.matrix() @ np.where(counts, y, 0)
    expected = np.divide(hits, weights, out=np.zeros_like(hits), where=weights > 0)
    soft = backend.to_numpy(plan.mix_labels(backend.asarray(y), 3, ignore_index=-1))
    np.testing.assert_allclose(soft, expected, atol=1e-6)
    assert soft.min() >= 0
    assert soft.max() <= 1 + 1e-6
    shares = backend.to_numpy(plan.label_weights(backend.asarray(y), -1))
    np.testing.assert_allclose(shares, weights, atol=1e-6)


def test_what_does_not_count_is_cut(backend):
    plan, y = plan_of_boxes(), MASK.copy()
    y[:, :3] = 255
    soft = backend.to_numpy(plan.mix_labels(backend.asarray(y), 5, ignore_index=255))
    assert np.array_equal(soft.sum(axis=-1), (plan @ y) != 255)
    weights = backend.to_numpy(plan.label_weights(backend.asarray(y), 255))
    assert np.array_equal(weights, (plan @ y) != 255)
    classes = np.asarray([0, -100, 1, 2], dtype=np.int32)
    by_volume = plan.mix_labels(classes, 3, ignore_index=-100)
    np.testing.assert_allclose(by_volume.sum(axis=1), plan.volumes.matrix() @ (classes >= 0))


def test_a_label_out_of_range_names_what_may_be_meant(backend):
    if backend.lazy or backend.name == "cupy":
        pytest.skip("values are not read")
    for odd in (-1, -100, 255):
        y = backend.asarray(np.asarray([0, 1, odd, 2], dtype=np.int32))
        with pytest.raises(ValueError, match=f"pass ignore_index={odd} if such labels do not"):
            PLANS["zeta"].mix_labels(y, 3)
    with pytest.raises(ValueError, match=r"to 7 .*; pass a larger num_classes"):
        PLANS["zeta"].mix_labels(np.asarray([0, 1, 7, 2]), 3)


@BOTH
def test_the_loss_is_divided_by_the_weight_that_counts(plan):
    pred, y = RNG.normal(size=(N, 5)), np.asarray([1, -100, 2, -100])
    weights, total = 0.0, 0.0
    for i in range(N):
        for j in range(N):
            if y[j] != -100:
                weights += plan.matrix()[i, j]
                total += plan.matrix()[i, j] * cross_entropy(pred[i], np.asarray(y[j]))
    loss = mixed_loss(cross_entropy, pred, y, plan, ignore_index=-100)
    np.testing.assert_allclose(loss, total / weights)
    soft = plan.mix_labels(y, 5, ignore_index=-100)
    logs = pred - np.log(np.exp(pred).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(loss, -(soft * logs).sum() / soft.sum())
    alone = mixed_loss(cross_entropy, pred, np.full(N, -100), plan, ignore_index=-100)
    assert alone == 0


def test_accuracy_among_what_counts():
    plan = zeta_plan(N, gamma=math.inf, rng=0)
    pred, y = np.eye(5)[[0, 1, 2, 3]], np.asarray([0, -1, 4, -1])
    assert mixed_accuracy(pred, y, plan, ignore_index=-1) == 0.5
    assert mixed_accuracy(pred, np.full(N, -1), plan, ignore_index=-1) == 0


@pytest.mark.needs("torch")
def test_losses_agree_with_those_of_torch():
    import torch
    from torch.nn import functional

    identity = zeta_plan(N, gamma=math.inf, rng=0)
    pred, y = torch.randn(N, 5), torch.tensor([1, -100, 2, -100])

    def each(pred, y):
        return functional.cross_entropy(pred, y, reduction="none")

    loss = mixed_loss(each, pred, y, identity, ignore_index=-100)
    torch.testing.assert_close(loss, functional.cross_entropy(pred, y))


@pytest.mark.needs("jax")
def test_nothing_becomes_nan_in_traces():
    import jax
    import jax.numpy as jnp
    from zetamix import jax as zj

    x, y = jnp.asarray(X), jnp.asarray([0, 1, -100, 2])

    def step(key, x, y):
        return zj.zeta_mixup(key, x, y, num_classes=3, ignore_index=-100)

    _, soft = jax.jit(step)(jax.random.key(0), x, y)
    eager = step(jax.random.key(0), x, y)
    np.testing.assert_allclose(soft, eager[1], atol=1e-6)
    assert bool(jnp.isfinite(soft).all())
    assert float(soft.sum()) < N


# --- forms of labels ------------------------------------------------------------------------------


def test_columns_of_classes(backend):
    y = np.asarray([[0], [1], [2], [1]], dtype=np.int32)
    plan = PLANS["zeta"]
    soft = backend.to_numpy(plan.mix_labels(backend.asarray(y), 3))
    np.testing.assert_allclose(soft, plan.mix_labels(y[:, 0], 3), atol=1e-6)
    binary = (y > 0).astype(np.int32)
    soft = backend.to_numpy(plan.mix_labels(backend.asarray(binary), 1))
    np.testing.assert_allclose(soft, plan.matrix() @ binary, atol=1e-6)
    with pytest.raises(ValueError, match=r"for one label that is 0 or 1 pass y\[:, None\]"):
        plan.mix_labels(backend.asarray(binary[:, 0]), 1)


def test_classes_at_positions(backend):
    y = RNG.integers(0, 2, (N, 5)).astype(np.int32)
    plan = PLANS["zeta"]
    soft = backend.to_numpy(plan.mix_labels(backend.asarray(y), 5, positions=True))
    np.testing.assert_allclose(soft, plan @ (y[..., None] == np.arange(5)).astype(float), atol=1e-6)
    rows = backend.to_numpy(plan.mix_labels(backend.asarray(y), 5))
    np.testing.assert_allclose(rows, plan.matrix() @ y, atol=1e-6)


def test_shapes_that_leave_open_what_they_are(backend):
    plan = PLANS["zeta"]
    with pytest.raises(
        ValueError, match=r"rows of L = num_classes .*; pass num_classes=8 or, if every"
    ):
        plan.mix_labels(backend.asarray(np.zeros((N, 8), dtype=np.int32)), 10)
    for shape in ((N, 5, 2, 2), (N, 2, 2, 5)):
        y = backend.asarray(np.zeros(shape, dtype=np.int32))
        with pytest.raises(ValueError, match="may be masks or one-hot"):
            plan.mix_labels(y, 5)
        assert tuple(plan.mix_labels(y, 5, positions=True).shape) == (*shape, 5)


def test_one_hot_masks(backend):
    one_hot = np.moveaxis(np.eye(5, dtype=np.int32)[MASK], -1, 1)
    for plan in (PLANS["zeta"], plan_of_boxes()):
        soft = backend.to_numpy(plan.mix_labels(backend.asarray(one_hot), 5, onehot=1))
        np.testing.assert_allclose(soft, plan @ one_hot.astype(float), atol=1e-6)
    for axis in (0, 2, 9, "1"):
        with pytest.raises(ValueError, match="onehot must be the axis of num_classes=5"):
            plan.mix_labels(one_hot, 5, onehot=axis)


# --- what is taken from the heaviest, and padding -------------------------------------------------


@BOTH
def test_of_the_sample_that_weighs_most(backend, plan):
    heaviest = plan.matrix().argmax(axis=1)
    batch = {
        "image": X,
        "id": np.arange(10, 10 + N),
        "file": ["a", "b", "c", "d"],
        "boxes": [np.ones((k, 4)) for k in range(N)],
    }
    mixed = applied(backend, plan, batch, dominant=["id", "file", "boxes"])
    assert mixed["id"].tolist() == (10 + heaviest).tolist()
    assert mixed["file"] == ["abcd"[j] for j in heaviest]
    assert [len(boxes) for boxes in mixed["boxes"]] == heaviest.tolist()
    with pytest.raises(ValueError, match="one entry for each of 4 samples, got 2 at 'file'"):
        plan.apply({"image": X, "file": ["a", "b"]}, dominant="file")


def test_ties_go_to_the_lower_rank():
    plan = MixPlan(np.asarray([[2, 0], [1, 2]]), np.asarray([0.5, 0.5]), 3)
    assert plan._heaviest().tolist() == [2, 1]
    boxes = plan_of_boxes()
    assert boxes.apply({"x": X, "id": np.arange(N)}, dominant=["id"])["id"].tolist() == (
        boxes.volumes.matrix().argmax(axis=1).tolist()
    )


@pytest.mark.needs("jax")
def test_lists_can_not_be_taken_from_in_traces():
    import jax
    import jax.numpy as jnp

    def mix(key, x):
        plan = zeta_plan(N, rng=key, like=x)
        return plan.apply({"x": x, "file": list("abcd")}, dominant=["file"])

    with pytest.raises(TypeError, match="entries of lists and NumPy arrays can only be taken"):
        jax.jit(mix)(jax.random.key(0), jnp.asarray(X))


@BOTH
@pytest.mark.parametrize("dtype", [bool, np.int32])
def test_padding_has_no_weight(backend, plan, dtype):
    lengths = np.asarray([2, 5, 3, 4])
    valid = np.arange(6) < lengths[:, None]
    tokens = RNG.normal(size=(N, 6, 3))
    tokens[~valid] = np.nan  # it is not looked at
    batch = {"tokens": tokens.astype(np.float32), "mask": valid.astype(dtype)}
    mixed = applied(backend, plan, batch, valid={"tokens": "mask"})
    weights = plan.matrix() @ valid
    total = np.einsum("ij,jl,jld->ild", plan.matrix(), valid, np.nan_to_num(tokens))
    expected = np.divide(total, weights[..., None], where=weights[..., None] > 0, out=total * 0)
    np.testing.assert_allclose(mixed["tokens"], expected, atol=1e-5)
    assert mixed["mask"].dtype == batch["mask"].dtype
    assert np.array_equal(mixed["mask"], weights > 0)
    assert np.array_equal(mixed["tokens"][:, 5], np.zeros((N, 3)))


def test_padded_ids_are_never_averaged(backend):
    batch = {"ids": np.arange(N * 6).reshape(N, 6), "mask": np.ones((N, 6), dtype=bool)}
    with pytest.raises(ValueError, match="integer arrays are mixed only if declared"):
        applied(backend, PLANS["zeta"], batch, valid={"ids": "mask"})
    mixed = applied(backend, PLANS["zeta"], batch, valid={"ids": "mask"}, as_data=["ids"])
    np.testing.assert_allclose(mixed["ids"], PLANS["zeta"] @ batch["ids"], rtol=1e-5)


def test_padding_is_cut_with_its_leaf():
    plan = cutmix_plan((N, 6, 3), axes=(1,), rng=1)
    valid = np.arange(6) < np.asarray([2, 5, 3, 4])[:, None]
    tokens = RNG.normal(size=(N, 6, 3)) * valid[..., None]
    mixed = plan.apply({"tokens": tokens, "mask": valid}, valid={"tokens": "mask"})
    assert np.array_equal(mixed["mask"], plan @ valid)
    assert np.array_equal(mixed["tokens"], plan @ tokens)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"as_data": ["a"], "keep": ["a"]}, "a leaf must have one role, got 'a' in as_data and in"),
        ({"num_classes": {"a": 2}, "dominant": ["a"]}, "a leaf must have one role"),
        ({"as_data": ["a"], "positions": ["a"]}, "positions and onehot say what labels are"),
        ({"dominant": ["b"]}, r"declared paths must lead to arrays, got \['b'\]"),
        ({"valid": {"x": "a"}}, "must be bool or 0 and 1 over the first axes of its leaf"),
    ],
)
def test_what_contradicts_itself_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        PLANS["zeta"].apply({"x": X, "a": np.zeros(N, dtype=int)}, **options)


def test_a_number_for_all_is_said_of_integer_labels(backend):
    batch = {"image": X, "label": np.asarray([0, -1, 2, 1]), "soft": np.eye(N, dtype=np.float32)}
    options = {"num_classes": {"label": 3, "soft": N}, "ignore_index": -1}
    mixed = applied(backend, PLANS["zeta"], batch, **options)
    np.testing.assert_allclose(mixed["soft"], PLANS["zeta"].matrix(), atol=1e-6)
    assert mixed["label"].sum() < N
    with pytest.raises(ValueError, match="ignore_index goes with integer labels"):
        PLANS["zeta"].apply(batch, **{**options, "ignore_index": {"soft": -1, "label": -1}})


# --- rows of objects ------------------------------------------------------------------------------


@BOTH
def test_union_of_boxes(backend, plan):
    if backend.lazy:
        pytest.skip("lists of Dask arrays have no lengths")
    boxes = [RNG.uniform(0, 4, (k, 5)).astype(np.float32) for k in (2, 0, 1, 3)]
    rows, weights = plan.union([backend.asarray(each) for each in boxes])
    for i in range(N):
        ranks = [j for j in plan.indices[i] if plan.matrix()[i, j] > 0]
        expected = np.concatenate([boxes[j] for j in ranks])
        assert np.array_equal(backend.to_numpy(rows[i]), expected)
        shares = np.concatenate([np.full(len(boxes[j]), plan.matrix()[i, j]) for j in ranks])
        np.testing.assert_allclose(backend.to_numpy(weights[i]), shares, atol=1e-6)


def test_union_leaves_no_ghosts():
    boxes = [np.full((1, 4), float(i)) for i in range(N)]
    rows, weights = PLANS["mixup"].where(False).union(boxes)
    assert [each.tolist() for each in rows] == [box.tolist() for box in boxes]
    assert [each.tolist() for each in weights] == [[1.0]] * N
    with pytest.raises(ValueError, match="an array of rows for each of 4 samples, got 3"):
        PLANS["mixup"].union(boxes[:3])
    with pytest.raises(TypeError, match="union takes a list"):
        PLANS["mixup"].union(np.zeros((4, 1, 4)))


def test_union_is_clipped_to_what_was_pasted():
    volumes = MixPlan(np.asarray([[0, 1]]), np.asarray([0.75, 0.25]), 2)
    plan = CutMixPlan(volumes, np.asarray([[2.0, 4.0]]), np.asarray([[6.0, 8.0]]), (-2, -1), (8, 8))
    ours = np.asarray([[0.0, 0, 3, 3, 7], [5, 3, 7, 5, 8]])  # the second is covered
    theirs = np.asarray([[0.0, 0, 5, 3, 9], [0, 0, 3, 3, 9]])  # the second is outside
    (rows,), (weights,) = plan.union([ours, theirs])
    assert rows.tolist() == [[0, 0, 3, 3, 7], [4, 2, 5, 3, 9]]
    assert weights.tolist() == [0.75, 0.25]
    turned = plan.lower[:, ::-1].copy(), plan.upper[:, ::-1].copy()
    (again,), _ = CutMixPlan(volumes, *turned, (-1, -2), (8, 8)).union([ours, theirs])
    assert np.array_equal(again, rows)


# --- whole functions ------------------------------------------------------------------------------


def test_functions_know_what_does_not_count(backend):
    y = backend.asarray(np.asarray([0, 1, -100, 2], dtype=np.int32))
    for mix in (zeta_mixup, cutmix):
        _, soft = mix(backend.asarray(X), y, num_classes=3, ignore_index=-100, rng=0)
        soft = backend.to_numpy(soft)
        assert np.isfinite(soft).all()
        assert 0 < soft.sum() < N


# --- mappings with habits of their own ------------------------------------------------------------


class OfSamples(collections.UserDict):
    """A mapping that is iterated over by samples, as that of tensordict, and holds so many."""

    num_samples = 4

    def __iter__(self):
        return iter(range(self.num_samples))

    def keys(self):
        return self.data.keys()

    def __setitem__(self, key, value):
        if len(value) != self.num_samples:
            raise RuntimeError("batch dimension mismatch")
        super().__setitem__(key, value)


def test_a_mapping_tells_its_keys_by_their_method():
    batch = OfSamples()
    batch["x"], batch["label"] = np.eye(4), np.arange(4)
    plan = zeta_plan(4, rng=0)
    mixed = plan.apply(batch, num_classes={"label": 4})
    assert type(mixed) is OfSamples
    np.testing.assert_array_equal(mixed["x"], mixed["label"])
    with pytest.raises(ValueError, match="OfSamples that refuses 'x'; pass a plain dict"):
        zeta_plan(4, num_outputs=5, rng=0).apply(batch, num_classes={"label": 4})


# --- boxes along axes that others lack ------------------------------------------------------------


def test_dense_leaves_that_lack_the_axes_of_boxes_are_refused():
    x, mask = RNG.random((4, 16, 16, 3)), RNG.random((4, 16, 16))
    ids = np.arange(4)
    for axes, first in (((-3, -2), x), ((2, 3), np.moveaxis(x, -1, 1))):
        plan = cutmix_plan(first.shape, axes=axes, rng=0)
        for call in (
            lambda plan=plan: plan @ mask,
            lambda plan=plan: plan.mix_labels(mask),
            lambda plan=plan: plan.mix_labels(mask.astype(int), 3),
            lambda plan=plan, first=first: plan.apply({"image": first, "mask": mask}),
            lambda plan=plan: plan.apply({"mask": mask.astype(int)}, as_data=["mask"]),
        ):
            with pytest.raises(ValueError, match="must have the axes of the boxes, got shape"):
                call()
        np.testing.assert_allclose(plan @ ids, plan.volumes @ ids)
    plan = cutmix_plan(x.shape, axes=(1, 2), rng=0)
    assert set(np.unique(plan @ (mask > 0.5))) <= {0.0, 1.0}


@pytest.mark.needs("jax")
def test_ids_are_not_averaged_beside_boxes_in_jax():
    jax = pytest.importorskip("jax")
    import zetamix.jax

    batch = {"id": np.arange(4), "image": RNG.random((4, 3, 8, 8))}
    with pytest.raises(ValueError, match="ids are never averaged"):
        zetamix.jax.cutmix(jax.random.key(0), batch)
    batch["id"] = batch["id"].astype(np.float32)
    mixed, _ = zetamix.jax.cutmix(jax.random.key(0), batch)  # boxes are those of the images
    assert mixed["image"].shape == (4, 3, 8, 8)


@pytest.mark.parametrize("ignored", [None, 0])
def test_labels_at_positions_of_series_are_cut(ignored):
    rng = np.random.default_rng(0)
    y, pred = rng.integers(0, 3, (4, 10)), rng.normal(size=(4, 3, 10))
    plan = cutmix_plan((4, 10), axes=(-1,), rng=1)

    def cross_entropy(pred, y):
        logs = pred - np.log(np.exp(pred).sum(axis=1, keepdims=True))
        return -np.take_along_axis(logs, y[:, None], axis=1)[:, 0]

    found = mixed_loss(cross_entropy, pred, y, plan, ignore_index=ignored, positions=True)
    pasted = plan @ y
    counts = np.ones_like(pasted) if ignored is None else pasted != ignored
    expected = (cross_entropy(pred, pasted) * counts).sum() / counts.sum()
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    if ignored is not None:
        weights = plan.label_weights(y, ignored, positions=True)
        np.testing.assert_array_equal(weights, counts)


# --- padding --------------------------------------------------------------------------------------


def test_boxes_extend_along_axes_of_both_a_padded_leaf_and_its_mask():
    batch = {"x": RNG.random((4, 8, 16)), "mask": np.ones((4, 8), dtype=bool)}
    for axes in ((-2,), (-2, -1), (2,)):
        plan = cutmix_plan((4, 8, 16), axes=axes, rng=0)
        with pytest.raises(ValueError, match="axes that a padded leaf and its mask have"):
            plan.apply(batch, valid={"x": "mask"})
    plan = cutmix_plan((4, 8, 16), axes=(1,), rng=0)
    assert plan.apply(batch, valid={"x": "mask"})["mask"].all()


def test_padded_halves_are_divided_before_they_are_rounded():
    x = np.full((4, 3), 1000, dtype=np.float16)
    mask = np.asarray([[1, 1, 0]] * 4, dtype=bool)
    mixed = zeta_plan(4, rng=0).apply({"x": x, "mask": mask}, valid={"x": "mask"})
    np.testing.assert_array_equal(mixed["x"], x * mask)


# --- what contradicts itself ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"valid": {"x": "m"}, "keep": ["x"]}, "in valid and in keep"),
        ({"valid": {"x": "m"}, "keep": ["m"]}, "in valid and in keep"),
        ({"valid": {"x": "m"}, "num_classes": {"x": 3}}, "padded labels take ignore_index"),
        ({"valid": {"x": "m"}, "scaled": ["x"]}, "in valid and in scaled"),
        ({"scaled": ["x"], "keep": ["x"]}, "in scaled and in keep"),
        ({"positions": ["y"], "onehot": {"y": 1}, "num_classes": {"y": 3}}, "one form"),
        ({"positions": ["x"]}, "positions must name labels, got 'x'"),
        ({"onehot": {"x": 1}}, "onehot must name labels, got 'x'"),
        ({"ignore_index": {"x": 255}}, "ignore_index must name labels, got 'x'"),
        ({"as_data": ["x"], "ignore_index": {"x": 255}}, "ignore_index must name labels"),
    ],
)
def test_more_that_contradicts_itself(options, message):
    batch = {"x": np.ones((4, 3)), "m": np.ones((4, 3), bool), "y": np.ones((4, 3), int)}
    if "y" not in str(options):
        del batch["y"]
    if "valid" not in options:
        del batch["m"]
    with pytest.raises(ValueError, match=message):
        zeta_plan(4, rng=0).apply(batch, **options)


@pytest.mark.parametrize("value", [None, 4, "abcd", {1, 2, 3, 4}, {"a": 1}, np.asarray(3.0)])
def test_what_is_no_list_of_samples_is_not_taken_from(value):
    with pytest.raises(TypeError, match="must be an array or a list with one entry for each"):
        zeta_plan(4, rng=0).apply({"x": np.eye(4), "id": value}, dominant=["id"])


@pytest.mark.parametrize(("dtype", "ignored"), [("uint8", 256), ("uint8", -1), ("int8", 255)])
def test_a_number_that_the_dtype_lacks_ignores_nothing(backend, dtype, ignored):
    y, plan = np.asarray([0, 1, 2, 0], dtype=dtype), zeta_plan(4, rng=0)
    given = backend.asarray(y)
    found = backend.to_numpy(plan.mix_labels(given, 3, ignore_index=ignored))
    np.testing.assert_allclose(found, backend.to_numpy(plan.mix_labels(given, 3)))
    assert (backend.to_numpy(plan.label_weights(given, ignored)) == 1).all()


# --- union ----------------------------------------------------------------------------------------


def test_union_of_one_sample_is_its_own():
    boxes = [np.asarray([[1.0, 1, 3, 3]])]
    for seed in range(20):
        rows, _ = cutmix_plan((1, 8, 8), rng=seed).union(boxes)
        np.testing.assert_array_equal(rows[0], boxes[0])


def test_union_of_one_box_for_all_after_where():
    boxes = [np.asarray([[0.0, 0, 8, 8]])] * 4
    for seed in range(20):
        plan = cutmix_plan((4, 8, 8), per_sample=False, rng=seed)
        some = plan.where(np.asarray([False, True, True, True]))
        whole, part = plan.union(boxes)[0], some.union(boxes)[0]
        np.testing.assert_array_equal(part[0], boxes[0])
        for a, b in zip(whole[1:], part[1:], strict=True):
            np.testing.assert_array_equal(a, b)


def test_union_takes_rows_of_one_form():
    with pytest.raises(ValueError, match="one library and one shape after the first axis"):
        zeta_plan(2, rng=0).union([np.ones((2, 4)), np.asarray([])])


# --- dense targets in JAX, and one-hot rows beside series -----------------------------------------


@pytest.mark.needs("jax")
def test_dense_targets_of_jax_are_cut():
    jax = pytest.importorskip("jax")
    import zetamix.jax

    a, b = zetamix.jax.cutmix(jax.random.key(1), X, X)
    np.testing.assert_array_equal(a, b)
    step = jax.jit(lambda key, x, y: zetamix.jax.cutmix(key, x, y))
    a, b = step(jax.random.key(1), X, X)
    np.testing.assert_array_equal(a, b)


def test_rows_of_classes_beside_series_are_declared():
    """One-hot rows as long as the series would be pasted into, if nobody said what they are."""
    series, labels = np.random.default_rng(0).random((2, 10)), np.eye(10)[:2]
    plan = cutmix_plan((2, 10), axes=(-1,), rng=1)
    mixed = plan.apply({"x": series, "label": labels}, num_classes={"label": 10})
    np.testing.assert_allclose(mixed["label"], plan.volumes.matrix() @ labels)
