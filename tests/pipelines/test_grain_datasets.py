"""A data set of Grain mixed with all of itself."""

import importlib
import pickle

import numpy as np
import pytest

from zetamix_core import zeta_plan
from zetamix_core.rules import CutMix, OneOf, Zeta

pytestmark = [pytest.mark.needs("jax"), pytest.mark.pipeline]
grain = pytest.importorskip("grain")
pytest.importorskip("jax")
Mix = importlib.import_module("zetamix.jax.grain").Mix
MixedDataset = importlib.import_module("zetamix.jax.grain").MixedDataset

N, CLASSES = 300, 3
OPTIONS = {"seed": 5, "num_classes": {"label": CLASSES}, "keep": ["id"]}


def items():
    x = np.random.default_rng(0).standard_normal((N, 6, 5, 3)).astype(np.float32)
    return [{"image": x[i], "label": i % CLASSES, "id": f"item {i}"} for i in range(N)]


@pytest.fixture(scope="module")
def source():
    return grain.MapDataset.source(items())


def assert_same(first, second):
    assert list(first) == list(second)
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], strict=True)


@pytest.mark.parametrize("epoch", [0, 2])
def test_an_item_is_its_row_of_the_documented_block(source, epoch):
    dataset = MixedDataset(source, Zeta(gamma=1.0, num_mix=5), **OPTIONS)
    assert len(dataset) == N
    images = np.stack([item["image"] for item in items()]).astype(float)
    for i in (0, 255, 256, 299):
        block, row = divmod(i, 256)
        anchors = (np.arange(256) + 256 * block) % N
        plan = zeta_plan(N, gamma=1.0, num_mix=5, anchors=anchors, rng=(5, epoch, block))
        weights = plan.matrix()[row]
        item = dataset[epoch * N + i]
        assert item["id"] == f"item {i}"
        assert item["image"].dtype == np.float32
        np.testing.assert_allclose(item["image"], np.tensordot(weights, images, axes=1), atol=2e-6)
        one_hot = np.eye(CLASSES)[np.arange(N) % CLASSES]
        np.testing.assert_allclose(item["label"], weights @ one_hot, atol=1e-15)


def test_torch_draws_and_mixes_the_same(source):
    torch = pytest.importorskip("torch")
    options = {"seed": 2, "num_classes": {"label": CLASSES}, "keep": ["id"]}
    rule = OneOf([Zeta(num_mix=3), CutMix(axes=(1, 2))])
    ours = MixedDataset(source, rule, **options)
    theirs = importlib.import_module("zetamix.torch").MixedDataset(items(), rule, **options)
    for epoch in range(3):
        theirs.set_epoch(epoch)
        for i in (3, 280):
            one, other = ours[epoch * N + i], theirs[i]
            assert torch.equal(torch.from_numpy(one["image"]), other["image"])
            np.testing.assert_allclose(one["label"], other["label"], atol=2**-24)


@pytest.mark.parametrize("rule", [None, OneOf([Zeta(num_mix=9), CutMix(axes=(1, 2))])], ids=str)
def test_items_are_the_same_however_they_are_asked_for(source, rule):
    dataset = MixedDataset(source, rule, **OPTIONS)
    alone = [dataset[i] for i in range(2 * N)]
    shuffled = dataset.shuffle(seed=3).repeat(2)
    for batch in shuffled.batch(16):
        for row, name in enumerate(batch["id"]):
            place = int(name.removeprefix("item "))
            found = {key: batch[key][row] for key in ("image", "label")}
            assert any(
                all(np.array_equal(found[key], alone[i][key]) for key in found)
                for i in (place, place + N)
            )
    together = dataset._getitems([N + 7, 3, 299])
    for i, item in zip((N + 7, 3, 299), together, strict=True):
        assert_same(item, alone[i])
    assert not np.array_equal(alone[7]["image"], alone[N + 7]["image"])
    assert_same(pickle.loads(pickle.dumps(dataset))[4], alone[4])


def test_threads_and_checkpoints_give_the_same(source):
    dataset = MixedDataset(source, Zeta(num_mix=4), **OPTIONS).shuffle(seed=1).repeat(2).batch(32)
    options = grain.ReadOptions(num_threads=8, prefetch_buffer_size=16)
    whole = list(dataset.to_iter_dataset(options))
    for batch, expected in zip(dataset, whole, strict=True):
        assert_same(batch, expected)
    iterator = iter(dataset.to_iter_dataset(options))
    for _ in range(7):
        next(iterator)
    state = iterator.get_state()
    del iterator
    fresh = MixedDataset(source, Zeta(num_mix=4), **OPTIONS).shuffle(seed=1).repeat(2).batch(32)
    again = iter(fresh.to_iter_dataset(options))
    again.set_state(state)
    for batch, expected in zip(again, whole[7:], strict=True):
        assert_same(batch, expected)


def test_a_slice_is_a_part(source):
    dataset = MixedDataset(source, **OPTIONS)
    assert_same(dataset[1::3][2], dataset[7])


class Described(grain.MapDataset):
    """Tells what its items are, as sources of Grain do not."""

    def __init__(self, spec):
        super().__init__()
        self._spec = spec

    def __len__(self):
        return 8

    def __getitem__(self, index):
        raise AssertionError("nothing is to be read")

    @property
    def _element_spec(self):
        return self._spec


def described(**leaves):
    struct = type(grain.experimental.get_element_spec(grain.MapDataset.range(3)))
    return Described(
        {name: struct(shape, np.dtype(kind)) for name, (shape, kind) in leaves.items()}
    )


@pytest.mark.parametrize(
    "rule", [Zeta(), CutMix(axes=(1, 2)), OneOf([Zeta(), CutMix(axes=(1, 2))])]
)
def test_shapes_and_dtypes_are_told_before_anything_is_read(rule):
    base = described(image=((4, 6, 3), "float16"), pixels=((4, 6, 3), "uint8"), label=((), "int64"))
    options = {"num_classes": {"label": 5}, "as_data": ["pixels"], "dtype": "float32"}
    spec = grain.experimental.get_element_spec
    expected = {"image": (4, 6, 3), "pixels": (4, 6, 3), "label": (5,)}

    def told(dataset):
        return {name: (leaf.shape, leaf.dtype.name) for name, leaf in spec(dataset).items()}

    dtypes = {"image": "float32", "pixels": "float32", "label": "float64"}
    items = MixedDataset(base, rule, seed=0, **options)
    assert told(items) == {name: (shape, dtypes[name]) for name, shape in expected.items()}
    for drop, count in ((True, 3), (False, None)):
        batches = base.batch(3, drop_remainder=drop).seed(0).random_map(Mix(rule, **options))
        assert told(batches) == {
            name: ((count, *shape), dtypes[name]) for name, shape in expected.items()
        }
    zeros = {name: np.zeros((3, *leaf.shape), leaf.dtype) for name, leaf in spec(base).items()}
    mixed = Mix(rule, **options).random_map(zeros, np.random.default_rng(0))
    assert {name: (x.shape[1:], x.dtype.name) for name, x in mixed.items()} == told(items)


def test_what_does_not_fit_is_refused(source):
    with pytest.raises(TypeError, match=r"must be a grain\.MapDataset, got list"):
        MixedDataset(items(), seed=0)
    with pytest.raises(ValueError, match="needs the groups of all samples"):
        MixedDataset(source, Zeta(donors="same"), seed=0)
    some = source.filter(lambda item: item["label"] > 0)
    with pytest.raises(ValueError, match=r"must have an item at each index .*got none at 0"):
        MixedDataset(some, **OPTIONS)[1]
    ragged = grain.MapDataset.source([np.zeros(2), np.zeros(3)])
    with pytest.raises(ValueError, match=r"must be of one form, got .*\(2,\) .*\(3,\) in item 1"):
        MixedDataset(ragged, seed=0)[0]
    with pytest.raises(TypeError, match="items must hold arrays and numbers"):
        MixedDataset(grain.MapDataset.source([object(), object()]), seed=0)[0]
    for options, message in (
        ({"seed": None}, "seed must be an int from 0 .*got None"),
        ({"seed": 0, "p": 0.5}, "got p; pass options of batches"),
    ):
        with pytest.raises(TypeError, match=message):
            MixedDataset(source, **options)
    for index in (1.0, "a"):
        with pytest.raises(TypeError, match="the index of an item must be a whole number"):
            MixedDataset(source, **OPTIONS)[index]


def test_counted_from_the_end_and_of_any_form(source):
    dataset = MixedDataset(source, **OPTIONS)
    assert_same(dataset[-1], dataset[N - 1])
    corners = [{"x": np.ones(2), "corner": (10 * i, 10 * i + 1, 2, 3)} for i in range(9)]
    kept = MixedDataset(grain.MapDataset.source(corners), seed=0, dominant=["corner"])
    assert [kept[i]["corner"] for i in range(9)] == [item["corner"] for item in corners]


def test_groups_and_epochs(source):
    labels = np.arange(N) % CLASSES
    growing = Zeta(gamma=lambda epoch: 1.0 + epoch, num_mix=3, donors="same")
    dataset = MixedDataset(source, growing, groups=labels, **OPTIONS)
    for i in (0, 299, 5 * N + 1):
        assert dataset[i]["label"][i % N % CLASSES] == 1
    plan = zeta_plan(
        N,
        gamma=6.0,
        num_mix=3,
        anchors=np.arange(256),
        donors="same",
        groups=labels,
        rng=(5, 5, 0),
    )
    images = np.stack([item["image"] for item in items()])
    np.testing.assert_allclose(dataset[5 * N + 1]["image"], (plan @ images)[1], rtol=1e-5)
