"""A data set mixed with all of itself: the same items however they are asked for."""

import copy
import dataclasses
import multiprocessing
import pickle

import numpy as np
import pytest

from zetamix_core import cutmix_plan, mixup_plan, zeta_plan, zeta_weights
from zetamix_core.blocks import Blocks
from zetamix_core.donors import Groups
from zetamix_core.rules import CutMix, Dirichlet, Mixup, OneOf, Zeta

pytestmark = [
    pytest.mark.needs("torch"),
    pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning"),  # on two cores
    # Workers are forked, as PyTorch does by default, and use no JAX.
    pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning"),
]
torch = pytest.importorskip("torch")
data = pytest.importorskip("torch.utils.data")
MixedDataset = pytest.importorskip("zetamix.torch").MixedDataset
Collate = pytest.importorskip("zetamix.torch").Collate

N, CLASSES = 300, 7  # more than one block, and a last one that is cut
SHAPE = (3, 6, 5)
RULES = [
    Zeta(gamma=1.0),
    Zeta(gamma=(0.5, 3.0), num_mix=9),
    Mixup(),
    Dirichlet(alpha=0.3),
    CutMix(),
    OneOf([Zeta(gamma=1.0), CutMix(), Mixup(per_sample=False)]),
]


@pytest.fixture(scope="module")
def images():
    # Of many binary orders, so that sums in another order would differ in their last bits.
    x = np.random.default_rng(0).standard_normal((N, *SHAPE)).astype(np.float32)
    return torch.from_numpy(x * np.exp2(np.arange(5) * 3).astype(np.float32))


@pytest.fixture(scope="module")
def labels():
    return torch.arange(N) % CLASSES


@pytest.fixture
def source(images, labels):
    return data.TensorDataset(images, labels)


class Counting(data.Dataset):
    """Counts how often an item is read."""

    def __init__(self, source):
        self.source, self.reads = source, []

    def __len__(self):
        return len(self.source)

    def __getitem__(self, index):
        self.reads.append(index)
        return self.source[index]


class Many(Counting):
    """Reads items together."""

    calls = 0

    def __getitems__(self, indices):
        self.calls += 1
        return [self[index] for index in indices]


def mixed(source, rule=None, **options):
    return MixedDataset(source, rule, **{"seed": 5, "num_classes": CLASSES} | options)


def assert_same(first, second):
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        for left, right in zip(one, other, strict=True):
            assert left.dtype == right.dtype
            assert torch.equal(left, right)


def unbatched(loader):
    return [item for batch in loader for item in zip(*batch, strict=True)]


# --- what is drawn --------------------------------------------------------------------------------


@pytest.mark.parametrize("epoch", [0, 3])
def test_an_item_is_its_row_of_the_block_that_is_drawn_by_the_documented_key(
    source, images, labels, epoch
):
    dataset = mixed(source, Zeta(gamma=2.0, num_mix=5))
    dataset.set_epoch(epoch)
    for i in (0, 17, 255, 256, N - 1):
        block, row = divmod(i, 256)
        anchors = (np.arange(256) + 256 * block) % N
        plan = zeta_plan(N, gamma=2.0, num_mix=5, anchors=anchors, rng=(5, epoch, block))
        assert plan.indices[row, 0] == i
        x, soft = dataset[i]
        exact = plan.matrix()[row] @ images.double().numpy().reshape(N, -1)
        bound = 5 * 2**-23 * np.abs(images.numpy()).max(axis=(0, 1, 2))  # one for each column
        assert (np.abs(x.double().numpy() - exact.reshape(SHAPE)) <= bound).all()
        one_hot = np.eye(CLASSES)[labels.numpy()]
        np.testing.assert_allclose(soft, plan.matrix()[row] @ one_hot, atol=2**-23)
        assert float(soft.double().sum()) == 1


def test_the_draw_is_for_ever():
    """Indices of items across blocks; a change of them is a change of all seeds."""
    blocks = Blocks(Zeta(num_mix=4), 1000, seed=7)
    [part] = blocks.parts([0, 255, 256, 999], 2, ())
    assert part.samples[part.plan.indices].tolist() == [
        [0, 100, 636, 673],
        [255, 16, 397, 751],
        [256, 967, 639, 735],
        [999, 399, 616, 162],
    ]


def test_donors_are_of_the_whole_set(source):
    """Every other item is a donor of one of the last block with the same probability."""
    blocks = Blocks(Zeta(num_mix=4), 40, seed=1)
    counts = np.zeros((40, 40))
    epochs = 2000
    for epoch in range(epochs):
        [part] = blocks.parts(range(40), epoch, ())
        indices = part.samples[part.plan.indices]
        np.add.at(counts, (np.arange(40)[:, None], indices[:, 1:]), 1)
    assert (np.diag(counts) == 0).all()
    others = counts[~np.eye(40, dtype=bool)]
    expected = epochs * 3 / 39
    # 1,560 cells less 40 sums that are given; the 1 - 10⁻⁹ quantile of chi-square.
    assert ((others - expected) ** 2 / expected).sum() < 1520 + 6 * np.sqrt(2 * 1520)


def test_boxes_and_choices_are_those_of_the_block(source, images):
    dataset = mixed(source, OneOf([CutMix(), Zeta(num_mix=3)], p=[0.5, 0.5]), seed=11)
    kinds = set()
    for epoch in range(8):
        dataset.set_epoch(epoch)
        anchors = (np.arange(256) + 256) % N
        plan = dataset._blocks.rule.plan((N, *SHAPE), rng=(11, epoch, 1), anchors=anchors)
        kinds.add(type(plan).__name__)
        expected = plan @ images.numpy()
        x, _ = dataset[256 + 9]
        np.testing.assert_allclose(x, expected[9], rtol=1e-5, atol=1e-2)
    assert kinds == {"CutMixPlan", "MixPlan"}


def test_rules_that_mix_all_mix_four_here(source):
    for rule in (Zeta(), Dirichlet(), OneOf([Zeta(), Dirichlet()])):
        [part] = Blocks(rule, 50, seed=0).parts([3], 0, SHAPE)
        assert part.plan.num_mix == 4
    assert Blocks(Zeta(num_mix=9), 50, seed=0).rule.num_mix == 9
    few = data.TensorDataset(torch.rand(3, 2), torch.arange(3))
    assert mixed(few)[1][1][:3].min() > 0  # three samples are all there are


# --- the same items, bit for bit ------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_items_do_not_depend_on_what_is_asked_for_with_them(source, rule):
    dataset = mixed(source, rule)
    alone = [dataset[i] for i in range(N)]
    for size in (2, 7, 64, N):
        assert_same(unbatched(data.DataLoader(dataset, batch_size=size)), alone)
    order = np.random.default_rng(1).permutation(N).tolist()
    fresh = mixed(source, rule)
    found = fresh.__getitems__(order)
    assert_same([found[order.index(i)] for i in range(N)], alone)
    assert_same([dataset[-1], dataset[torch.tensor(4)]], [alone[N - 1], alone[4]])


@pytest.mark.parametrize("workers", [0, 2, 4])
def test_workers_epochs_and_batches_change_nothing(source, workers):
    dataset = mixed(source, OneOf([Zeta(), CutMix()]))
    again = mixed(source, OneOf([Zeta(), CutMix()]))
    options = {"num_workers": workers, "persistent_workers": workers > 0}
    loader = data.DataLoader(dataset, batch_size=32, **options)
    for epoch in (0, 1, 5, 1):
        dataset.set_epoch(epoch)
        again.set_epoch(epoch)
        assert_same(unbatched(loader), [again[i] for i in range(N)])


def test_set_epoch_reaches_persistent_workers_that_were_spawned(source):
    dataset = mixed(source)
    loader = data.DataLoader(
        dataset,
        batch_size=64,
        num_workers=1,
        persistent_workers=True,
        multiprocessing_context="spawn",
    )
    first = unbatched(loader)
    dataset.set_epoch(1)
    second = unbatched(loader)
    assert not torch.equal(first[0][0], second[0][0])
    assert_same(second, [dataset[i] for i in range(N)])


def test_ranks_and_restarts_give_the_items_of_one_run(source):
    whole = [mixed(source)[i] for i in range(N)]
    parts = {}
    for rank in range(2):
        dataset = mixed(source)
        sampler = data.DistributedSampler(dataset, num_replicas=2, rank=rank, seed=3)
        loader = data.DataLoader(dataset, batch_size=10, sampler=sampler, num_workers=1)
        parts |= dict(zip(sampler, unbatched(loader), strict=True))
    assert_same([parts[i] for i in range(N)], whole)
    rest = data.Subset(mixed(source), range(123, N))  # as after a stop in the middle
    assert_same(unbatched(data.DataLoader(rest, batch_size=16)), whole[123:])


def test_copies_part_with_their_epoch(source):
    dataset = mixed(source)
    dataset[0]
    for other in (copy.copy(dataset), copy.deepcopy(dataset), pickle.loads(pickle.dumps(dataset))):
        assert_same([other[3]], [dataset[3]])
        other.set_epoch(4)
        assert (other.epoch, dataset.epoch) == (4, 0)


def test_a_forked_rank_has_an_epoch_of_its_own(source):
    dataset = mixed(source)
    child = multiprocessing.get_context("fork").Process(target=dataset.set_epoch, args=(3,))
    child.start()
    child.join()
    assert child.exitcode == 0
    assert dataset.epoch == 0


def test_blocks_that_were_put_out_are_drawn_again(source, monkeypatch):
    expected = [mixed(source)[i] for i in range(N)]
    monkeypatch.setattr("zetamix_core.blocks._MOST_ENTRIES", 256 * 4)
    dataset = mixed(source)
    order = [i for pair in zip(range(150), range(299, 149, -1), strict=True) for i in pair]
    found = {i: dataset[i] for i in order}
    assert_same([found[i] for i in range(N)], expected)
    assert len(dataset._blocks._kept) == 1


# --- what is read ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Counting, Many])
def test_what_a_batch_needs_is_read_once(source, kind):
    counting = kind(source)
    dataset = mixed(counting, Zeta(num_mix=6))
    items = list(range(0, 120, 2))
    dataset[0]
    counting.reads.clear()
    dataset.__getitems__(items)
    [part] = dataset._blocks.parts(items, 0, SHAPE)
    assert counting.reads == part.samples.tolist()
    assert len(counting.reads) == len(set(counting.reads))
    assert getattr(counting, "calls", 2) == 2


def test_nothing_is_read_before_an_item_is_asked_for(source):
    counting = Counting(source)
    dataset = mixed(counting)
    assert len(dataset) == N
    assert not counting.reads
    assert dataset.__getitems__([]) == []


def test_groups_are_sorted_once(source, labels, monkeypatch):
    made, of = [], Groups.of
    monkeypatch.setattr(Groups, "of", lambda values: made.append(values) or of(values))
    dataset = mixed(source, Zeta(num_mix=3, donors="same"), groups=labels)
    for epoch in range(3):
        dataset.set_epoch(epoch)
        soft = torch.stack([y for _, y in dataset])
        assert torch.equal(soft, torch.nn.functional.one_hot(labels, CLASSES).float())
    assert len(made) == 1


@pytest.mark.parametrize("donors", ["same", "other"])
def test_sorted_groups_draw_what_groups_draw(donors):
    groups = np.random.default_rng(2).integers(-3, 9, 80)
    anchors = np.asarray([4, 4, 79, 0, 31])
    options = {"num_mix": 6, "donors": donors, "anchors": anchors, "rng": 3}
    plain = zeta_plan(80, groups=groups, **options)
    assert plain == zeta_plan(80, groups=Groups.of(groups), **options)
    boxes = cutmix_plan((80, 4, 4), anchors=anchors, donors=donors, groups=groups, rng=1)
    ready = Groups.of(groups)
    assert boxes == cutmix_plan((80, 4, 4), anchors=anchors, donors=donors, groups=ready, rng=1)


# --- what items hold ------------------------------------------------------------------------------


def test_leaves_have_their_roles(images):
    dicts = [
        {
            "image": (images[i] * 10).to(torch.uint8),
            "name": f"item {i}",
            "boxes": [i, i + 1],
            "target": {"class": i % 3, "mask": torch.full((6, 5), i % 2)},
            "pair": (torch.tensor(float(i)), np.full(2, i, dtype=np.float64)),
        }
        for i in range(40)
    ]
    dataset = MixedDataset(
        dicts,
        Zeta(gamma=1.0, num_mix=4),
        seed=2,
        num_classes={"target/class": 3, "target/mask": 2},
        as_data=["image"],
        keep=["boxes"],
    )
    plan = zeta_plan(40, gamma=1.0, num_mix=4, anchors=np.arange(256) % 40, rng=(2, 0, 0))
    matrix = plan.matrix()
    for i in (0, 39):
        item = dataset[i]
        assert list(item) == list(dicts[i])
        pixels = torch.stack([each["image"] for each in dicts]).numpy()
        exact = np.tensordot(matrix[i], pixels.astype(float), axes=1)
        assert item["image"].dtype == torch.uint8
        assert np.abs(item["image"].numpy() - exact).max() <= 0.5 + 1e-4
        assert item["name"] == f"item {i}"
        assert item["boxes"] == [i, i + 1]
        one_hot = np.eye(3)[np.arange(40) % 3]
        np.testing.assert_allclose(item["target"]["class"], matrix[i] @ one_hot, atol=1e-6)
        assert item["target"]["mask"].shape == (6, 5, 2)
        assert type(item["pair"]) is tuple
        np.testing.assert_allclose(item["pair"][0], matrix[i] @ np.arange(40.0), rtol=1e-6)
        assert item["pair"][1].dtype == torch.float64


@pytest.mark.parametrize(
    ("one", "other", "message"),
    [
        (torch.rand(2), torch.rand(3), r"shape \(2,\) .*shape \(3,\)"),
        (torch.rand(2), torch.rand(2).double(), "float32 .*float64"),
        (torch.rand(2), np.ones(2, np.float32), "Tensor .*ndarray"),
        ({"v": 1}, {"v": 1.5}, "type int .*type float in item 1 at 'v'"),
        ({"v": 1.0}, {"v": 1.0, "w": 2.0}, r"mapping of \['v'\] .*mapping of \['v', 'w'\]"),
        ([1.0], [1.0, 2.0], "of length 1 .*of length 2"),
        ((1.0,), [1.0], "a tuple .*a list"),
        ((1.0, "a"), (1.0, 2.0), "text .*float in item 1 at '1'"),
    ],
)
def test_items_of_two_forms_are_never_mixed(one, other, message):
    dataset = MixedDataset([one, other], seed=0)
    for ask in (lambda: dataset[0], lambda: dataset[1], lambda: dataset.__getitems__([0, 1])):
        with pytest.raises(ValueError, match=f"must be of one form, got .*{message}"):
            ask()


def test_what_is_kept_or_of_the_heaviest_may_have_any_form(images):
    class Thing:
        pass

    things = [Thing() for _ in range(40)]
    items = [
        {
            "image": images[i],
            "boxes": torch.rand(i % 3, 4),
            "corner": (10 * i, 10 * i + 1, 10 * i + 2, 10 * i + 3),
            "names": [f"{i}a", f"{i}b"][: 1 + i % 2],
            "thing": things[i] if i % 2 else None,
        }
        for i in range(40)
    ]
    dataset = MixedDataset(
        items, CutMix(), seed=3, dominant=["corner", "names"], keep=["boxes", "thing"]
    )
    found = dataset.__getitems__(range(40))
    heaviest = []
    for i, item in enumerate(found):
        assert item["boxes"] is items[i]["boxes"]
        assert item["thing"] is items[i]["thing"]
        j = item["corner"][0] // 10
        assert item["corner"] == items[j]["corner"]
        assert item["names"] == items[j]["names"]
        assert dataset[i]["corner"] == item["corner"]
        heaviest.append(j)
    assert 0 < sum(i != j for i, j in enumerate(heaviest)) < 40


def test_lists_of_as_many_arrays_as_samples_are_taken_apart():
    items = [{"f": [torch.rand(8, 8) for _ in range(4)], "g": torch.rand(2)} for _ in range(30)]
    dataset = MixedDataset(items, seed=0)
    together = dataset.__getitems__(range(30))
    for i in (0, 29):
        assert all(map(torch.equal, dataset[i]["f"], together[i]["f"]))


def test_one_of_several_of_a_kind_across_blocks(source):
    dataset = mixed(source, OneOf([Zeta(num_mix=2), Zeta(num_mix=5)]), seed=6)
    counts = {int((dataset._blocks._plan(b, 0, SHAPE)).num_mix) for b in (0, 1)}
    assert counts == {2, 5}, "choose another seed"
    order = [299, 0, 256, 255, 1]
    assert_same(dataset.__getitems__(order), [dataset[i] for i in order])


def test_what_weighs_most_is_of_item_i(images):
    items = [(images[i], f"item {i}") for i in range(20)]
    dataset = MixedDataset(items, CutMix(), seed=2, dominant=["1"])
    volumes = mixup_plan(20, anchors=np.arange(256) % 20, rng=(2, 0, 0))
    assert volumes.num_mix == 2
    assert {dataset[i][1] == f"item {i}" for i in range(20)} == {True, False}


def test_smoothing_dtypes_and_callables(source):
    smooth = mixed(source, label_smoothing=0.7)[0][1]
    assert smooth.min() == pytest.approx(0.1)
    assert smooth.sum() == pytest.approx(1)
    pixels = data.TensorDataset(torch.full((9, 3, 2, 2), 255, dtype=torch.uint8), torch.arange(9))
    x, _ = MixedDataset(pixels, seed=0, num_classes=9, scale=True)[0]
    assert x.dtype == torch.float32
    assert (x == 1).all()
    growing = mixed(source, Zeta(gamma=lambda epoch: float(epoch), num_mix=4))
    growing.set_epoch(2)
    top = zeta_weights(4, gamma=2.0)[0]
    assert growing[0][1][0] >= top - 1e-6
    assert growing[0][1][0] < zeta_weights(4, gamma=8.0)[0] - 1e-3


@dataclasses.dataclass(frozen=True)
class Half:
    """A rule of one's own, half of each of two samples."""

    def plan(self, shape, *, rng=None, like=None, groups=None, step=None, anchors=None):
        return zeta_plan(shape[0], gamma=0.0, num_mix=2, rng=rng, like=like, anchors=anchors)


def test_rules_of_ones_own(source):
    assert sorted(mixed(source, Half())[5][1].unique().tolist()) in ([0.0, 0.5], [0.0, 1.0])
    both = mixed(source, OneOf([Half(), Zeta(num_mix=2)]))
    assert both[299][1].sum() == 1


def test_groups_of_a_rule_of_ones_own_are_the_array(source, labels):
    class Same(Half):
        def plan(self, shape, *, rng=None, like=None, groups=None, step=None, anchors=None):
            assert type(groups) is np.ndarray
            assert groups.shape == (N,)
            options = {"donors": "same", "groups": groups, "anchors": anchors}
            return zeta_plan(shape[0], num_mix=2, rng=rng, like=like, **options)

    soft = mixed(source, Same(), groups=labels.tolist())[8][1]
    assert soft[8 % CLASSES] == 1


# --- bad input ------------------------------------------------------------------------------------


class Endless(data.IterableDataset):
    def __iter__(self):
        yield torch.rand(2)


@pytest.mark.parametrize(
    ("dataset", "options", "error", "message"),
    [
        (Endless(), {}, TypeError, r"length and numbered items .*got Endless; .*mix .*Collate"),
        (iter([1.0]), {}, TypeError, "length and numbered items"),
        (
            {"train": [1.0]},
            {},
            TypeError,
            r"got dict; pass one of several, as in datasets\['train'\]",
        ),
        (list, {}, TypeError, "got type; pass one"),
        ([], {}, ValueError, "must have items to mix, got a list of length 0"),
        ([1.0], {"seed": -1}, ValueError, "seed must be an int from 0 .*got -1"),
        ([1.0], {"seed": 2**63}, ValueError, "seed must be an int from 0"),
        ([1.0], {"seed": None}, TypeError, "seed must be an int from 0 .*got None"),
        ([1.0], {"seed": "a"}, TypeError, "seed must be an int from 0 .*got 'a'"),
        ([1.0], {"p": 0.5, "stop_at": 3}, TypeError, "got p, stop_at; pass options of batches"),
        ([1.0], {"gama": 2.0}, TypeError, "a mixed data set takes as_data, .*got gama"),
        ([1.0], {"rule": Zeta(gamma=np.ones(256))}, ValueError, r"array of shape \(256,\)"),
        ([1.0], {"rule": Zeta(donors="same"), "groups": 5}, TypeError, "got 5; pass an array"),
        ([1.0], {"rule": Zeta}, TypeError, "rule must be an object with a method plan"),
        ([1.0], {"rule": Zeta(anchored=False)}, ValueError, "anchored=False; leave it out"),
        ([1.0], {"rule": Zeta(donors="same")}, ValueError, "needs the groups of all samples"),
        ([1.0], {"groups": [0]}, ValueError, "groups go with rules that ask for them"),
        (
            [1.0],
            {"rule": Zeta(donors="other"), "groups": "label"},
            TypeError,
            "chosen before they are read, got 'label'; pass them as an array",
        ),
        ([1.0], {"rule": Zeta(donors="same"), "groups": [0, 1]}, ValueError, r"shape \(N,\) = "),
        ([1.0], {"rule": Zeta(donors="same"), "groups": [0.5]}, TypeError, "got dtype float64"),
    ],
)
def test_what_does_not_fit_is_refused_at_once(dataset, options, error, message):
    with pytest.raises(error, match=message):
        MixedDataset(dataset, **{"seed": 0} | options)


def test_what_does_not_fit_is_refused_when_it_is_read(images):
    class Old:
        def plan(self, shape, *, rng=None, like=None, groups=None, step=None):
            return zeta_plan(shape[0], rng=rng)

    with pytest.raises(TypeError, match="must take anchors to mix across a data set, got Old"):
        MixedDataset([1.0], Old(), seed=0)

    class Deaf(Half):
        def plan(self, shape, *, rng=None, like=None, groups=None, step=None, anchors=None):
            return zeta_plan(shape[0], num_mix=2, num_outputs=256, anchored=False, rng=rng)

    with pytest.raises(ValueError, match=r"must put the anchors .* the first rank"):
        MixedDataset(list(images), Deaf(), seed=0)[0]

    class Elsewhere(Half):
        def plan(self, shape, *, rng=None, like=None, groups=None, step=None, anchors=None):
            like = torch.zeros(1)
            return zeta_plan(shape[0], num_mix=2, rng=0, like=like, anchors=anchors)

    class OfMore(Half):
        def plan(self, shape, *, rng=None, like=None, groups=None, step=None, anchors=None):
            return zeta_plan(shape[0] + 3, num_mix=2, rng=rng, anchors=anchors)

    for rule in (Elsewhere(), OfMore()):
        with pytest.raises(ValueError, match=r"must draw NumPy plans for the shape"):
            MixedDataset(list(images), rule, seed=0)[0]
    with pytest.raises(TypeError, match=r"items must hold arrays and numbers.*object"):
        MixedDataset([object()] * 2, seed=0)[0]
    shapes = [torch.rand(3, 4, 4), *[torch.rand(3, 5, 5)] * 9]
    boxed = MixedDataset(shapes, CutMix(), seed=0)
    volumes = boxed._blocks._plan(0, 0, (3, 4, 4)).volumes
    others = [i for i in range(1, 10) if 0 not in volumes.indices[i]]
    with pytest.raises(ValueError, match=r"drawn for .*lengths \(4, 4\), got x of shape"):
        boxed.__getitems__(others)
    dataset = MixedDataset(list(images), seed=0)
    for index in (slice(0, 2), [0, 1], "a", None):
        with pytest.raises(TypeError, match="the index of an item must be a whole number, got"):
            dataset[index]
    for index in (N, -N - 1):
        with pytest.raises(IndexError, match=f"from -{N} to {N - 1} for {N} items, got {index};"):
            dataset[index]
    with pytest.raises(TypeError, match=r"the index of an item must be a whole number, got 1\.5"):
        dataset[1.5]

    class Few(Many):
        def __getitems__(self, indices):
            return [self[0]]

    with pytest.raises(ValueError, match="one item for each index, got 1 items for 4 indices"):
        MixedDataset(Few(list(images)), seed=0)[5]
    for epoch, error in ((-1, ValueError), (2**32, ValueError), (1.0, TypeError)):
        with pytest.raises(error, match="epoch must be an int from 0"):
            dataset.set_epoch(epoch)
    with pytest.raises(ValueError, match="integer classes need num_classes"):
        MixedDataset([(torch.rand(3), 1)] * 4, seed=0)[0]
