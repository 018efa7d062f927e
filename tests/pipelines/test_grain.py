"""Batches mixed in Grain's pipelines, and a classifier trained on them with JAX and Optax."""

import doctest
import importlib
import re
from pathlib import Path

import numpy as np
import pytest
from numpydoc.validate import validate

from zetamix_core import zeta_plan, zeta_weights

pytestmark = [pytest.mark.needs("jax"), pytest.mark.pipeline]
jax = pytest.importorskip("jax")
grain = pytest.importorskip("grain")
ZetaMixup = importlib.import_module("zetamix.jax.grain").ZetaMixup
jnp = jax.numpy

N, SIZE, CLASSES = 30, 8, 3  # three full batches and one of six


def source(n=N):
    """Samples that are unit vectors: mixed, they show the plan."""
    return [{"eye": np.eye(n)[i], "label": i % CLASSES, "id": f"sample {i}"} for i in range(n)]


def pipeline(seed=3, **options):
    options = {"num_classes": {"label": CLASSES}, "keep": ["id"]} | options
    ds = grain.MapDataset.source(source()).seed(seed).shuffle().batch(SIZE)
    return ds.random_map(ZetaMixup(**options))


def orderings(batch):
    """Return for each output the samples at its ranks, by their place in the batch."""
    places = [int(name.removeprefix("sample ")) for name in batch["id"]]
    return np.argsort(-batch["eye"][:, places], axis=1, kind="stable")


def differ(batches):
    found = {tuple(orderings(batch)[:6].ravel()) for batch in batches}
    return len(found) == len(batches)


# --- what is drawn --------------------------------------------------------------------------------


@pytest.mark.parametrize(("num_mix", "gamma"), [(None, 2.8), (4, 1.0), (SIZE, 2.8)])
def test_each_batch_is_mixed_by_its_plan(num_mix, gamma):
    batches = list(pipeline(num_mix=num_mix, gamma=gamma))
    assert [len(batch["id"]) for batch in batches] == [8, 8, 8, 6]
    for batch in batches:
        n = len(batch["id"])
        count = min(num_mix or n, n)
        places = [int(name.removeprefix("sample ")) for name in batch["id"]]
        matrix = batch["eye"][:, places]
        weights = np.zeros(n)
        weights[:count] = zeta_weights(count, gamma=gamma)
        # Rank 1 is the sample itself, the others are distinct: each row has each weight once.
        np.testing.assert_allclose(-np.sort(-matrix, axis=1), np.tile(weights, (n, 1)), rtol=1e-12)
        assert (matrix.argmax(axis=1) == np.arange(n)).all()
        one_hot = np.eye(CLASSES)[np.asarray(places) % CLASSES]
        np.testing.assert_allclose(batch["label"], matrix @ one_hot, rtol=1e-12, atol=1e-15)
    assert differ(batches)


def test_a_random_first_sample():
    first = [orderings(batch)[:, 0] for batch in pipeline(anchored=False)]
    assert any((ranks != np.arange(len(ranks))).any() for ranks in first)


def test_the_plan_is_that_of_the_generator_handed_over():
    handed = []

    class Recording(ZetaMixup):
        def random_map(self, element, rng):
            handed.append(np.random.Generator(np.random.Philox()))
            handed[-1].bit_generator.state = rng.bit_generator.state
            return super().random_map(element, rng)

    plain = grain.MapDataset.source(source()).seed(3).batch(SIZE)
    mix = Recording(num_mix=4, num_classes={"label": CLASSES}, keep=["id"])
    ds = plain.random_map(mix)
    for i in range(len(plain)):
        batch, mixed = plain[i], ds[i]
        plan = zeta_plan(len(batch["id"]), num_mix=4, rng=handed.pop())
        np.testing.assert_array_equal(mixed["eye"], plan @ batch["eye"])
        np.testing.assert_array_equal(mixed["label"], plan.mix_labels(batch["label"], CLASSES))
        assert (mixed["id"] == batch["id"]).all()


# --- repeatable in every way of reading -----------------------------------------------------------


def test_random_access_gives_the_same_each_time():
    ds = pipeline()
    whole = list(ds)
    for i in (3, 0, 2, 0, 1, 3):
        np.testing.assert_equal(ds[i], whole[i])
        np.testing.assert_equal(pipeline()[i], whole[i])
    assert not np.array_equal(orderings(pipeline(seed=4)[0]), orderings(whole[0]))


@pytest.mark.parametrize("where", ["before the batches", "after the mixing"])
def test_epochs_differ_and_are_repeatable(where):
    ds = grain.MapDataset.source(source(24)).seed(3)
    ds = ds.repeat(4) if where == "before the batches" else ds
    mix = ZetaMixup(num_mix=8, num_classes={"label": CLASSES}, keep=["id"])
    ds = ds.batch(SIZE).random_map(mix)
    ds = ds.repeat(4) if where == "after the mixing" else ds
    batches = list(ds)
    assert len(batches) == 12
    # The same samples in each epoch, in another mixture.
    assert all((a["id"] == b["id"]).all() for a, b in zip(batches[:3], batches[3:6], strict=True))
    assert differ(batches)
    np.testing.assert_equal(ds[10], batches[10])


@pytest.mark.parametrize("mixed_by", ["MapDataset", "IterDataset"])
def test_a_checkpoint_is_exact(mixed_by):
    if mixed_by == "MapDataset":
        ds = pipeline(num_mix=4).repeat(2).to_iter_dataset()
    else:
        ds = grain.MapDataset.source(source()).seed(3).shuffle().repeat(2).to_iter_dataset()
        mix = ZetaMixup(num_mix=4, num_classes={"label": CLASSES}, keep=["id"])
        ds = ds.batch(SIZE).random_map(mix)
    grain.experimental.assert_equal_output_after_checkpoint(ds)
    assert differ([batch for batch in ds if len(batch["id"]) == SIZE])


def test_worker_processes_give_the_same_batches_and_exact_checkpoints():
    # Grain reads flags of absl before it starts workers; outside of absl.app nobody parses them.
    importlib.import_module("absl.flags").FLAGS.mark_as_parsed()
    ds = pipeline(keep=["id"]).to_iter_dataset()
    options = grain.multiprocessing.MultiprocessingOptions(num_workers=2)
    workers = ds.mp_prefetch(options)
    expected = list(ds)
    iterator, found, states = iter(workers), [], []
    for _ in expected:
        states.append(iterator.get_state())
        found.append(next(iterator))
    np.testing.assert_equal(found, expected)
    resumed = iter(workers)
    resumed.set_state(states[2])
    np.testing.assert_equal(list(resumed), expected[2:])


def loader(num_epochs=2, **options):
    sampler = grain.samplers.IndexSampler(N, shuffle=True, seed=5, num_epochs=num_epochs)
    mix = ZetaMixup(num_mix=8, num_classes={"label": CLASSES}, keep=["id"])
    return grain.DataLoader(
        data_source=source(),
        sampler=sampler,
        operations=[grain.transforms.Batch(SIZE), mix],
        **options,
    )


def test_the_data_loader():
    batches = list(loader())
    assert [len(batch["id"]) for batch in batches] == [SIZE] * 7 + [4]
    for batch in batches:
        n = len(batch["id"])
        np.testing.assert_allclose(batch["eye"].sum(axis=1), 1)
        np.testing.assert_allclose(batch["label"].sum(axis=1), 1)
        if len(set(batch["id"])) == n:
            assert (orderings(batch)[:, 0] == np.arange(n)).all()
    np.testing.assert_equal(list(loader()), batches)
    assert len({batch["eye"].tobytes() for batch in batches}) == len(batches)

    iterator = iter(loader())
    for _ in range(3):
        next(iterator)
    resumed = iter(loader())
    resumed.set_state(iterator.get_state())
    np.testing.assert_equal(list(resumed), batches[3:])


# --- forms of batches -----------------------------------------------------------------------------


def test_pairs_take_a_number_of_classes():
    images = np.arange(32, dtype=np.uint8).reshape(8, 4)
    ds = grain.MapDataset.source([(image, i % 3) for i, image in enumerate(images)]).batch(8)
    x, y = ds.random_map(ZetaMixup(num_classes=3, as_data="0"), seed=1)[0]
    assert (x.shape, y.shape) == ((8, 4), (8, 3))
    bare = ds.random_map(ZetaMixup(num_classes=3), seed=1)[0]
    assert np.array_equal(bare[0], x), "what comes first in a pair is data"
    same = ds.random_map(ZetaMixup(num_classes={"1": 3}, as_data=["0"]), seed=1)[0]
    np.testing.assert_equal((x, y), same)


def test_integers_stay_or_become_floats():
    images = np.random.default_rng(0).integers(0, 256, (8, 2, 2), dtype=np.uint8)
    ds = grain.MapDataset.source(list(zip(images, range(8), strict=True))).batch(8)

    def mixed(**options):
        return ds.random_map(ZetaMixup(num_classes=8, **options), seed=1)[0][0]

    whole, floats = mixed(), mixed(dtype=np.float64)
    assert whole.dtype == np.uint8
    assert np.abs(whole - floats).max() <= 0.5001
    np.testing.assert_allclose(mixed(scale=True), floats / 255, atol=1e-6)
    assert mixed(scale=True).dtype == np.float32
    assert mixed(scale=True, dtype="float16").dtype == np.float16
    with pytest.raises(TypeError, match="dtype must be a floating dtype"):
        ZetaMixup(dtype=np.int32)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"keep": "id"},
            ValueError,
            r"integer arrays are mixed only if declared, got shape \(8,\)",
        ),
        (
            {"num_classes": 3},
            ValueError,
            r"may be a number for batches \(x, y\), got 3 .*dict; name.*'label'",
        ),
        (
            {"num_classes": {"label": 3}},
            TypeError,
            r"at 'id' must hold numbers, got text .* keep=\['id'\]",
        ),
        ({"num_classes": {"lable": 3}, "keep": "id"}, ValueError, "'label'|'lable'"),
        ({"num_classes": {"label": 2}, "keep": "id"}, ValueError, "classes from 0 to .* = 1"),
    ],
)
def test_batches_that_do_not_fit(options, error, message):
    ds = grain.MapDataset.source(source()).batch(SIZE).random_map(ZetaMixup(**options), seed=0)
    with pytest.raises(error, match=message):
        ds[0]


@pytest.mark.parametrize("batch", [{}, None, {"a": None}])
def test_a_batch_without_arrays(batch):
    with pytest.raises(ValueError, match=r"must hold an array to mix, got .*; mix after batch"):
        ZetaMixup().random_map(batch, np.random.default_rng(0))


def test_words_that_users_of_a_pipeline_know():
    batch = {"image": np.ones((4, 2)), "label": np.arange(3)}
    with pytest.raises(ValueError, match="got 4 in 'image' and 3 in 'label'") as caught:
        ZetaMixup(num_classes={"label": 3}).random_map(batch, np.random.default_rng(0))
    assert "plan" not in str(caught.value)
    ids = np.ones((4, 3, 2), np.int64), np.arange(4)
    with pytest.raises(ValueError, match=r"got shape \(4, 3, 2\) and dtype int64 at '0'; pass"):
        ZetaMixup(num_classes=4).random_map(ids, np.random.default_rng(0))
    pixels = ids[0].astype(np.uint16), ids[1]
    mixed, _ = ZetaMixup(num_classes=4).random_map(pixels, np.random.default_rng(0))
    np.testing.assert_allclose(mixed, 1.0, rtol=1e-12)


def test_a_sample_in_place_of_a_batch():
    with pytest.raises(ValueError, match=r"'label' must have samples .* 0-d array"):
        ZetaMixup().random_map({"label": np.asarray(3)}, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"gamma": -1}, ValueError, "gamma must be a number >= 0, got -1"),
        ({"gamma": "2.8"}, TypeError, "gamma must be a number"),
        ({"num_mix": 0}, ValueError, "num_mix must be >= 1, got 0"),
        ({"num_mix": 2.0}, TypeError, "num_mix must be a whole number"),
        ({"anchored": 1}, TypeError, "anchored must be True or False"),
        ({"as_data": 5}, TypeError, "as_data must name leaves by their paths"),
        ({"keep": [1]}, TypeError, "keep must name leaves by their paths"),
        ({"num_classes": 2**70}, ValueError, "num_classes must be at most"),
    ],
)
def test_options_are_checked_before_any_worker_starts(options, error, message):
    with pytest.raises(error, match=message):
        ZetaMixup(**options)


# --- training -------------------------------------------------------------------------------------


def digits():
    data = pytest.importorskip("sklearn.datasets").load_digits()
    images = (data.data / 16).astype(np.float32)
    order = np.random.default_rng(0).permutation(len(images))
    train, test = order[:1200], order[1200:]
    return images[train], data.target[train], images[test], data.target[test]


def predict(weights, x):
    hidden = jax.nn.relu(x @ weights["in"] + weights["bias"])
    return hidden @ weights["out"]


def test_a_classifier_learns_digits_from_mixed_batches():
    optax = pytest.importorskip("optax")
    x, y, x_test, y_test = digits()
    eye = np.eye(len(x), dtype=np.float32)
    samples = [{"image": x[i], "label": y[i], "eye": eye[i], "id": i} for i in range(len(x))]
    mix = ZetaMixup(num_mix=20, num_classes={"label": 10}, keep=["id"])
    ds = grain.MapDataset.source(samples).seed(1).shuffle().batch(64).random_map(mix).repeat(8)

    keys = jax.random.split(jax.random.key(0), 2)
    weights = {
        "in": jax.random.normal(keys[0], (64, 64)) / 8,
        "bias": jnp.zeros(64),
        "out": jax.random.normal(keys[1], (64, 10)) / 8,
    }
    optimizer = optax.adam(3e-3)

    @jax.jit
    def step(weights, state, x, y):
        def loss(weights):
            return optax.softmax_cross_entropy(predict(weights, x), y).mean()

        value, slope = jax.value_and_grad(loss)(weights)
        updates, state = optimizer.update(slope, state)
        return optax.apply_updates(weights, updates), state, value

    state, losses, seen = optimizer.init(weights), [], set()
    for batch in ds.to_iter_dataset():
        weights, state, value = step(weights, state, batch["image"], batch["label"])
        losses.append(float(value))
        # The draws are as they should be: the own sample first, of 20 distinct ones.
        matrix = batch["eye"][:, batch["id"]]
        assert (matrix.argmax(axis=1) == np.arange(len(matrix))).all()
        assert (np.count_nonzero(matrix, axis=1) == 20).all()
        seen.add(np.argsort(-matrix, axis=1, kind="stable")[:48, :20].tobytes())
    assert len(losses) == len(seen) == 8 * 19
    assert np.mean(losses[-20:]) < np.mean(losses[:5]) * 0.6
    accuracy = float(np.mean(predict(weights, x_test).argmax(axis=1) == y_test))
    assert accuracy > 0.9


# --- documentation --------------------------------------------------------------------------------


def test_docstrings():
    name = "zetamix.jax.grain"
    for part in ("transforms", "dataset"):
        result = doctest.testmod(importlib.import_module(f"{name}.{part}"))
        assert (result.attempted >= 6, result.failed) == (True, 0)
    assert importlib.import_module(name).__all__ == ["Mix", "MixedDataset", "ZetaMixup"]
    wording = {"ES01", "SA01", "SA04", "RT02", "EX01"}
    methods = ["ZetaMixup.random_map", "ZetaMixup.output_spec"]
    for public in ("Mix", "MixedDataset", "ZetaMixup", *methods):
        errors = validate(f"{name}.{public}")["errors"]
        assert [error for error in errors if error[0] not in wording] == []


def test_the_page_on_training_runs():
    pytest.importorskip("optax")
    page = Path(__file__).parents[2] / "docs" / "jax-training.md"
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert len(blocks) >= 5
    exec(compile("\n".join(blocks), str(page), "exec"), {"__name__": "__main__"})
