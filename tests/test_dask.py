"""The shuffle of Dask arrays and mixing in its batches: `zetamix.dask`."""

import importlib
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats
from zetamix import batches, mix, permutation, zeta_plan
from zetamix.rules import CutMix, Dirichlet, Mixup, OneOf, Zeta

from zetamix_core.adapting import stream_for

pytestmark = pytest.mark.needs("dask")
da = pytest.importorskip("dask.array")
dask = importlib.import_module("dask")
lazily = importlib.import_module("zetamix.dask")
memory = importlib.import_module("zetamix.dask.memory")
shuffling = importlib.import_module("zetamix.dask.shuffling")


@pytest.fixture(autouse=True)
def _in_turn():
    with dask.config.set(scheduler="sync"):
        yield


def data(n, features=(), classes=4, dtype=np.float32):
    """Return samples that tell their number, and classes sorted."""
    x = np.random.default_rng(n).random((n, *features)).astype(dtype)
    x.reshape(n, -1)[:, 0] = np.arange(n)
    return x, np.arange(n) * classes // n


def equal(one, other):
    return np.array_equal(np.asarray(one), np.asarray(other))


def numbers(x):
    return np.asarray(x).reshape(len(x), -1)[:, 0].astype(int)


CHUNKS = [
    (1000, 100),
    (1003, 100),  # an uneven last block
    (1000, 7),  # fewer rows than the root
    (100, (50, 10, 40)),
    (101, (1, 99, 1)),
    (5, 2),
    (64, 64),
    (1, 1),
]


@pytest.mark.parametrize(("n", "chunks"), CHUNKS)
def test_no_row_is_lost_or_repeated_and_labels_go_along(n, chunks):
    x, y = data(n, (2, 6))
    lazy = da.from_array(x, chunks=(chunks, 1, 4))
    labels = da.from_array(y, chunks=max(1, n // 3))
    shuffled, same = lazily.shuffled(lazy, labels, seed=3)
    assert shuffled.chunks[1:] == lazy.chunks[1:]
    assert shuffled.dtype == x.dtype
    assert shuffled.chunks[0] == same.chunks[0]
    result, classes = dask.compute(shuffled, same)
    order = numbers(result)
    assert sorted(order) == list(range(n))
    assert equal(result, x[order])
    assert equal(classes, y[order])


def test_many_pieces_are_cut_in_groups(monkeypatch):
    """Which changes the tasks, and not what comes out."""
    x = da.from_array(data(1003, (2, 6))[0], chunks=(100, 2, 3))
    together = np.asarray(lazily.shuffled(x, seed=3)[0])
    monkeypatch.setattr(shuffling, "_LEAST_BYTES", 1)
    assert equal(lazily.shuffled(x, seed=3)[0], together)
    monkeypatch.setattr(shuffling, "_MOST_TASKS", 40)
    assert equal(lazily.shuffled(x, seed=3)[0], together)


@pytest.mark.parametrize("batch_size", [1, 16])
@pytest.mark.parametrize(("n", "chunks"), CHUNKS)
def test_each_block_has_as_many_rows_of_each_source_block(n, chunks, batch_size):
    x = da.from_array(np.arange(n), chunks=chunks)
    rows = min(n, max(*x.chunks[0], int(np.ceil(np.sqrt(n)))))
    shuffled, _ = lazily.shuffled(x, batch_size=batch_size, seed=0)
    sizes = shuffled.chunks[0]
    assert {*sizes[:-1]} <= {sizes[0]}
    assert sizes[-1] <= sizes[0] <= max(rows, batch_size)
    assert sizes[0] % batch_size == 0 or len(sizes) == 1
    counts = [
        np.bincount(block.compute() // rows, minlength=-(-n // rows)) for block in shuffled.blocks
    ]
    whole = np.asarray([count for count in counts if count.sum() == sizes[0]])
    assert np.ptp(whole[:, : n // rows]) <= 1  # the last source block may be shorter
    assert np.ptp(whole, axis=0).max() <= 1
    share = np.bincount(np.arange(n) // rows) * sizes[-1] / n
    assert np.all(abs(counts[-1] - share) < 1)


@pytest.mark.parametrize(("n", "chunks"), [(12, 4), (11, 4), (9, 4)])
def test_each_row_comes_to_each_place_equally_often(n, chunks):
    x = da.arange(n, chunks=chunks)
    orders = np.asarray([lazily.shuffled(x, seed=seed)[0].compute() for seed in range(500)])
    places = np.argsort(orders, axis=1)
    counts = np.asarray([np.bincount(column, minlength=n) for column in places.T])
    assert stats.chisquare(counts, axis=1).pvalue.min() > 1e-4
    assert stats.chisquare(counts.sum(axis=0)).pvalue > 0.999  # each place is taken once
    # Neighbours of a source block are apart, and in either order.
    assert 0.4 < np.mean(places[:, 0] < places[:, 1]) < 0.6


def dealt_by_hand(n, rows, size, key):
    """Shuffle n rows as cards are dealt, one after the other."""
    whole, rest = divmod(n, size)
    stream = stream_for(key, None)
    first, turn = (
        int(stream.orderings(1, below, 1, anchored=False)[0, 0]) for below in (n, max(1, whole))
    )
    hands = [[] for _ in range(whole + (rest > 0))]
    given = 0
    for block, start in enumerate(range(0, n, rows)):
        cards = np.arange(start, min(n, start + rows))
        cards = cards[permutation(cards.size, (*key, 0, block))]
        stop = start + cards.size
        to_last = (stop * rest + first) // n - (start * rest + first) // n
        # Who gets which number of cards; the cards themselves are taken in order.
        hand_of = [(turn + given + i) % max(1, whole) for i in range(cards.size - to_last)]
        given += cards.size - to_last
        cards = list(cards)
        for hand in range(whole):
            count = hand_of.count(hand)
            hands[hand] += cards[:count]
            del cards[:count]
        if rest:
            hands[-1] += cards
    return [
        np.asarray(hand)[permutation(len(hand), (*key, 1, number))]
        for number, hand in enumerate(hands)
    ]


@pytest.mark.parametrize("batch_size", [1, 7])
@pytest.mark.parametrize(("n", "rows"), [(100, 20), (103, 20), (23, 25), (50, 8)])
def test_rows_are_dealt_out_like_cards(n, rows, batch_size):
    x = da.arange(n, chunks=rows)
    shuffled, _ = lazily.shuffled(x, batch_size=batch_size, seed=4, epoch=5)
    rows, size = min(rows, n), shuffled.chunks[0][0]
    assert equal(shuffled, np.concatenate(dealt_by_hand(n, rows, size, (4, 5))))


def test_epochs_and_seeds_differ_and_the_same_ones_agree():
    x = da.arange(100, chunks=10)
    first, again, epoch, seed, fresh, other = (
        lazily.shuffled(x, **options)[0]
        for options in (
            *({"seed": 1}, {"seed": 1}, {"seed": 1, "epoch": 1}, {"seed": 2}),
            *({}, {}),
        )
    )
    assert first.name == again.name
    results = [tuple(each.compute()) for each in (first, again, epoch, seed, fresh, other)]
    assert results[0] == results[1]
    assert len({*results}) == 5


RULES = {
    "zeta": (Zeta(num_mix=5), False),
    "all": (Zeta(), False),
    "callable": (Zeta(gamma=lambda epoch: 1.0 + epoch), False),
    "mixup": (Mixup(), False),
    "dirichlet": (Dirichlet(num_mix=3), False),
    "cutmix": (CutMix(), False),
    "same": (Zeta(num_mix=3, donors="same"), True),
    "other": (Mixup(donors="other"), True),
    "one of": (OneOf([Zeta(num_mix=4), CutMix()]), False),
}


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("features", [(6, 6), (4, 3, 5)])
def test_batches_of_the_shuffled_are_mixed_as_those_of_arrays(name, features):
    rule, grouped = RULES[name]
    x, y = data(203, features)
    groups = np.arange(203) % 7 if grouped else None
    lazy = da.from_array(x, chunks=(50, 3, *features[1:]))
    options = {"num_classes": 4, "seed": 5, "epoch": 2, "rule": rule}
    mixed, soft = lazily.mix(lazy, y, batch_size=16, groups=groups, **options)
    order = numbers(lazily.shuffled(lazy, batch_size=16, seed=5, epoch=2)[0])
    kin = groups[order] if grouped else None
    expected = batches(x[order], y[order], 16, groups=kin, shuffle=False, **options)
    assert mixed.chunks[0] == soft.chunks[0]
    assert all(size % 16 == 0 for size in mixed.chunks[0][:-1])
    for lazy_part, parts in zip((mixed, soft), zip(*expected, strict=True), strict=True):
        result = lazy_part.compute()
        assert result.dtype == lazy_part.dtype == lazy_part._meta.dtype
        assert result.shape == lazy_part.shape
        assert equal(result, np.concatenate(parts))


@pytest.mark.parametrize("batch_size", [1, 10, 33, 1000])
def test_what_is_mixed_depends_on_rows_and_not_on_features(batch_size):
    x, y = data(120, (6, 6), dtype=np.float64)
    options = {"batch_size": batch_size, "num_classes": 4, "seed": 0}
    whole, soft = lazily.mix(da.from_array(x, chunks=(40, 6, 6)), y, **options)
    cut, labels = lazily.mix(da.from_array(x, chunks=(40, 2, 3)), y, **options)
    assert equal(whole, cut)
    assert equal(soft, labels)


def test_classes_that_were_sorted_are_mixed():
    x, y = data(1000, (2,), classes=10)
    _, soft = lazily.zeta_mixup(
        da.from_array(x, chunks=50), y, num_mix=8, batch_size=100, num_classes=10, seed=0
    )
    shares = np.asarray(soft).reshape(10, 100, 10).mean(axis=1)
    assert np.all(abs(shares - 0.1) < 0.06)
    assert np.all((np.asarray(soft) > 0).sum(axis=1) >= 3)


def test_donors_keep_to_groups():
    x, y = data(200, (2,))
    lazy = da.from_array(x, chunks=40)
    options = {"batch_size": 50, "num_classes": 4, "seed": 0, "num_mix": 4}
    for groups in (y, da.from_array(y, chunks=60)):
        _, soft = lazily.zeta_mixup(lazy, y, donors="same", groups=groups, **options)
        assert np.all(np.asarray(soft).max(axis=1) == 1)


LABELS = {
    "classes": (lambda y: y, 4),
    "column": (lambda y: y[:, None], 4),
    "one-hot": (lambda y: np.eye(4, dtype=np.int64)[y], 4),
    "soft": (lambda y: np.eye(4, dtype=np.float32)[y], None),
    "masks": (lambda y: np.broadcast_to(y[:, None, None], (len(y), 6, 6)).copy(), 4),
    "numbers": (lambda y: y.astype(np.float32), None),
}


@pytest.mark.parametrize("form", LABELS)
def test_labels_in_all_forms(form):
    make, num_classes = LABELS[form]
    x, y = data(60, (6, 6))
    labels = make(y)
    _, soft = lazily.mix(
        da.from_array(x, chunks=20), labels, batch_size=15, num_classes=num_classes, seed=1
    )
    order = numbers(lazily.shuffled(da.from_array(x, chunks=20), batch_size=15, seed=1)[0])
    parts = batches(x[order], labels[order], 15, num_classes=num_classes, shuffle=False, seed=1)
    assert soft.shape == np.asarray(soft).shape
    assert equal(soft, np.concatenate([part for _, part in parts]))


def test_labels_that_do_not_count():
    x, y = data(60, (2,))
    y[::5] = -100
    _, soft = lazily.mix(
        da.from_array(x, chunks=20), y, batch_size=20, num_classes=4, ignore_index=-100, seed=1
    )
    sums = np.asarray(soft).sum(axis=1)
    assert np.all((sums >= 0) & (sums <= 1))
    assert sums.min() < 0.5
    assert sums.sum() < 59


def test_dtypes():
    images = da.from_array(data(40, (8, 8))[0].astype(np.uint8), chunks=10)
    assert lazily.mix(images, seed=0)[0].dtype == np.float64
    mixed, none = lazily.mix(images, dtype="float32", seed=0)
    assert none is None
    assert mixed.compute().dtype == mixed.dtype == np.float32
    assert lazily.mix(images, rule=CutMix(), seed=0)[0].compute().dtype == np.uint8
    half = images.astype(np.float16)
    _, soft = lazily.mix(half, da.zeros(40, dtype=int), num_classes=2, seed=0)
    assert soft.dtype == soft.compute().dtype == np.float64


def test_nothing_is_read_before_it_is_computed():
    def fail(block):
        if block.size:
            raise AssertionError("a block was read")
        return block

    x, y = (da.from_array(each, chunks=20) for each in data(100, (3,)))
    x, y = (each.map_blocks(fail, dtype=each.dtype, meta=each._meta) for each in (x, y))
    mixed, soft = lazily.mix(x, y, num_classes=4, batch_size=20, seed=0)
    assert mixed.shape == (100, 3)
    assert soft.shape == (100, 4)
    with pytest.raises(AssertionError, match="was read"):
        mixed.compute()


def test_names_tell_what_was_asked_for():
    x, y = (da.from_array(each, chunks=20) for each in data(100, (3,)))
    options = {"num_classes": 4, "batch_size": 20, "seed": 0}

    def names(**changed):
        return tuple(each.name for each in lazily.mix(x, y, **options | changed))

    assert names() == names()
    changes = [{"batch_size": 25}, {"seed": 1}, {"epoch": 1}, {"rule": Zeta(gamma=2)}]
    assert len({names(), *(names(**change) for change in changes)}) == 5


@pytest.mark.parametrize("scheduler", ["sync", "threads"])
def test_schedulers_agree(scheduler):
    x, y = (da.from_array(each, chunks=20) for each in data(100, (3,)))
    parts = lazily.mix(x, y, num_classes=4, batch_size=20, seed=0)
    found = dask.compute(*parts, scheduler=scheduler)
    expected = dask.compute(*parts, scheduler="sync")
    assert all(equal(*pair) for pair in zip(found, expected, strict=True))


def test_blocks_that_are_masked_are_refused_when_they_are_computed():
    x, _ = data(40, (3,))
    lazy = da.from_array(x, chunks=10).map_blocks(
        lambda block: np.ma.masked_array(block, block > 30), dtype=x.dtype, meta=x[:0]
    )
    for call in (lazily.shuffled, lazily.mix):
        with pytest.raises(TypeError, match="the blocks of x must have no mask"):
            call(lazy, seed=0)[0].compute()


def test_classes_out_of_range_are_refused_when_they_are_computed():
    x, y = (da.from_array(each, chunks=20) for each in data(100, (3,)))
    _, soft = lazily.mix(x, y, num_classes=3, seed=0)
    with pytest.raises(ValueError, match="num_classes"):
        soft.compute()


X, Y = (da.from_array(each, chunks=20) for each in data(100, (3,)))
REFUSED = {
    "numpy": (TypeError, "must be a Dask array, got one of numpy", lambda: lazily.mix(np.ones(3))),
    "a list": (TypeError, "must be a Dask array, got one of list", lambda: lazily.shuffled([1])),
    "lengths": (ValueError, "100 and 99", lambda: lazily.mix(X, Y[:99], num_classes=4)),
    "unknown": (
        ValueError,
        r"compute_chunk_sizes\(\)",
        lambda: lazily.shuffled(X[X[:, 0] > 3]),
    ),
    "ids": (ValueError, "so that ids are never averaged", lambda: lazily.mix(X.astype(int))),
    "classes": (ValueError, r"shape \(100,\) .* pass num_classes", lambda: lazily.mix(X, Y)),
    "batch": (ValueError, "batch_size must be >= 1, got 0", lambda: lazily.mix(X, batch_size=0)),
    "num_mix": (
        ValueError,
        "between 1 and batch_size",
        lambda: lazily.zeta_mixup(X, num_mix=9, batch_size=8),
    ),
    "a class": (TypeError, "rule must be an object", lambda: lazily.mix(X, rule=Zeta)),
    "seed": (ValueError, "seed must be an int from 0", lambda: lazily.mix(X, seed=-1)),
    "epoch": (ValueError, r"from 0 to 2\*\*32 - 1", lambda: lazily.shuffled(X, epoch=2**32)),
    "dtype": (TypeError, "dtype must be a floating", lambda: lazily.mix(X, dtype="int8")),
    "no groups": (ValueError, "needs the groups", lambda: lazily.mix(X, rule=Zeta(donors="same"))),
    "groups": (ValueError, "groups go with rules", lambda: lazily.mix(X, groups=Y)),
    "shape of groups": (
        ValueError,
        r"groups must have shape \(N,\) = \(100,\)",
        lambda: lazily.mix(X, rule=Zeta(donors="same"), groups=Y[:9]),
    ),
    "boxes": (ValueError, "axes", lambda: lazily.mix(X, rule=CutMix())),
    "no rows": (ValueError, "x must hold samples", lambda: lazily.shuffled(X[:0])),
    "no features": (ValueError, "x must hold samples", lambda: lazily.shuffled(X[:, :0])),
    "unknown labels": (
        ValueError,
        r"samples of y must be known.*compute_chunk_sizes\(\)",
        lambda: lazily.mix(X, Y[Y > 0], num_classes=4),
    ),
    "unknown groups": (
        ValueError,
        r"samples of groups must be known",
        lambda: lazily.mix(X, rule=Zeta(donors="same"), groups=Y[Y > 0]),
    ),
    "a float seed": (
        TypeError,
        "seed must be an int from 0 to .* got 1.0",
        lambda: lazily.mix(X, seed=1.0),
    ),
    "an array gamma": (
        ValueError,
        "gamma must be one number for all batches",
        lambda: lazily.zeta_mixup(X, gamma=np.full(128, 2.8)),
    ),
    "a gamma that is too long for the last batch": (
        ValueError,
        "one entry for each output, got 64 for 36",
        lambda: lazily.mix(X, rule=Zeta(gamma=np.full(64, 2.8)), batch_size=64),
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_before_anything_is_computed(name):
    error, text, call = REFUSED[name]
    with pytest.raises(error, match=text):
        call()


# --- rules of the user's own, and blocks that are not what they seem ------------------------------


class Own:
    """A rule that can be changed, and keeps the groups that it is shown."""

    def __init__(self, num_mix=2, num_outputs=None):
        self.num_mix, self.num_outputs, self.seen = num_mix, num_outputs, []

    def plan(self, shape, *, rng=None, like=None, groups=None, step=None):
        if groups is not None:
            self.seen.append(np.asarray(groups))
        return zeta_plan(shape[0], num_mix=self.num_mix, num_outputs=self.num_outputs, rng=rng)


@pytest.mark.parametrize("num_outputs", [1, 200])
def test_a_rule_must_have_an_output_for_each_sample(num_outputs):
    with pytest.raises(ValueError, match=f"one output for each sample .*got {num_outputs} for 50"):
        lazily.mix(X, rule=Own(num_outputs=num_outputs), batch_size=50)


def test_a_rule_that_is_changed_later_changes_nothing():
    rule = Own()
    mixed, _ = lazily.mix(X, rule=rule, batch_size=50, seed=0)
    before = np.asarray(mixed)
    rule.num_mix = 5
    assert equal(mixed, before)


def test_a_rule_is_tried_with_whole_batches_and_their_groups():
    rule = Own(num_mix=20)
    lazily.mix(X, rule=rule, batch_size=20, groups=np.repeat([5, 6], 50), seed=0)
    with pytest.raises(ValueError, match="for 10 samples"):  # in the last batch
        lazily.mix(X[:90], rule=rule, batch_size=20)


def test_nothing_large_is_made_to_try_a_rule():
    x = da.zeros((20, 1, 20_000, 20_000), chunks=(1, 1, 2000, 2000), dtype=np.uint8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory, "_free_memory", lambda: 1 << 60)
        tracemalloc.start()
        mixed, _ = lazily.mix(x, batch_size=2, dtype="float32")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert mixed.shape == x.shape
    assert peak < 100_000_000


@pytest.mark.parametrize("wrong", [lambda b: b[:5], lambda b: np.concatenate([b, b])])
def test_blocks_of_other_sizes_than_declared_are_refused(wrong):
    x = X.map_blocks(wrong, dtype=X.dtype, meta=X._meta)
    with pytest.raises(ValueError, match="must have the size that their array declares"):
        lazily.shuffled(x, seed=0)[0].compute()


def test_groups_of_other_libraries_are_asked_for_as_numpy_arrays():
    torch = pytest.importorskip("torch")
    for options in ({"groups": torch.arange(100)}, {"y": torch.arange(100), "num_classes": 4}):
        name = next(iter(options))
        with pytest.raises(TypeError, match=rf"{name} must be a Dask or NumPy array.*asarray"):
            lazily.mix(X, rule=Zeta(donors="same"), **options)


def test_samples_and_labels_share_the_orders():
    x, y = lazily.shuffled(X, Y, seed=0)
    orders = [{key for key in each.dask if "zetamix-order" in str(key)} for each in (x, y)]
    assert orders[0] == orders[1] != set()


# --- room -----------------------------------------------------------------------------------------


def test_large_samples_in_small_chunks_are_refused(monkeypatch):
    x = da.zeros((10_000, 100_000), chunks=(1, 100_000), dtype="float64")
    monkeypatch.setattr(shuffling, "_LARGEST_BLOCK", 79_999_999)
    with pytest.raises(ValueError, match=r"at least 100 samples, .* chunks of at most 1 samples"):
        lazily.shuffled(x)


@pytest.mark.parametrize("scheduler", [None, "threads", "sync", "processes"])
def test_an_array_that_memory_can_not_hold_is_refused(scheduler, monkeypatch):
    monkeypatch.setattr(memory, "_free_memory", lambda: 8000)
    x = da.ones((100, 10), chunks=10)
    with dask.config.set(scheduler=scheduler):
        with pytest.raises(MemoryError, match=r"8,000 bytes of 8,000; .*LocalCluster\(n_workers=2"):
            lazily.shuffled(x)
        with pytest.raises(MemoryError, match="at most half of the free memory"):
            lazily.mix(x)
        lazily.shuffled(x[:50])


def test_free_memory_is_what_there_is():
    psutil = pytest.importorskip("psutil")
    free = memory._free_memory()
    assert 0 < free <= psutil.virtual_memory().total


class Client:
    """What is asked of a client of `distributed`."""

    def __init__(self, folders, limit=1000):
        workers = [{"local_directory": str(each), "memory_limit": limit} for each in folders]
        self.workers = dict(enumerate(workers))

    def scheduler_info(self, n_workers):
        assert n_workers == -1, "of all workers"
        return {"workers": self.workers}

    def get(self):
        raise AssertionError("nothing is computed")


def test_a_disk_that_can_not_hold_what_is_spilled_is_refused(tmp_path, monkeypatch):
    free = SimpleNamespace(free=5000)
    monkeypatch.setattr(memory.shutil, "disk_usage", lambda folder: free)

    def with_client(client, size):
        monkeypatch.setattr(memory, "get_scheduler", lambda: client.get)
        memory.check_room(size)

    here = Client([tmp_path, tmp_path])
    with pytest.raises(OSError, match=r"got 6,000 bytes for 5,000 at .*local_directory"):
        with_client(here, 6000)
    with_client(here, 4000)
    free.free = 0
    with_client(here, 1000)  # fits into the memory of the workers
    with_client(Client([tmp_path / "elsewhere", tmp_path]), 6000)  # can't be seen from here
    with_client(Client([tmp_path], limit=0), 6000)  # a worker that never spills
    with_client(Client([]), 6000)


def test_the_core_mixes_lazily_without_a_shuffle():
    """The functions of the core keep the order of Dask arrays."""
    x, y = data(40, (3,))
    mixed, _ = mix(da.from_array(x, chunks=10), da.from_array(y, chunks=10), num_classes=4, rng=0)
    assert equal(numbers(np.rint(mixed)) >= 0, np.ones(40, bool))
