"""Epochs from host memory: which samples come when, how they are mixed, and on which memory."""

import tracemalloc

import numpy as np
import pytest
import zetamix
from bounds import assert_mixtures_agree

from zetamix_core import batches, zeta_plan

N = 50


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, size=(N, 3, 4), dtype=np.uint8), rng.integers(0, 5, size=N)


def order_of(seed, epoch, batch_size=8, **options):
    """The samples in the order of an epoch, read off an identity matrix that is not mixed."""
    rows = np.eye(N)
    pieces = batches(rows, None, batch_size, gamma=float("inf"), seed=seed, epoch=epoch, **options)
    return np.concatenate([mixed.argmax(axis=1) for mixed, _ in pieces])


def test_an_epoch_visits_each_sample_once():
    orders = [order_of(seed, epoch) for seed in (0, 1) for epoch in (0, 1)]
    for order in orders:
        assert np.array_equal(np.sort(order), np.arange(N))
    assert len({tuple(order) for order in orders}) == 4
    assert np.array_equal(order_of(0, 1), orders[1])
    assert np.array_equal(order_of(0, 1, batch_size=7), orders[1])
    assert np.array_equal(order_of(0, 1, shuffle=False), np.arange(N))


def test_shuffling_is_uniform():
    """Each sample comes first equally often, and is followed by each other one equally often."""
    from scipy.stats import chisquare

    x, trials = np.eye(5), 3000
    orders = np.empty((trials, 5), dtype=int)
    for seed in range(trials):
        options = {"gamma": float("inf"), "seed": seed}
        orders[seed] = np.concatenate([m.argmax(axis=1) for m, _ in batches(x, None, 5, **options)])
    numbers = orders @ 5 ** np.arange(5)
    _, counts = np.unique(numbers, return_counts=True)
    assert counts.size == 120
    assert chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize("num_mix", [None, 3, 8])
@pytest.mark.parametrize("dtype", [None, np.float32])
def test_batches_are_those_of_the_documented_keys(data, num_mix, dtype):
    """Mixed again by hand, from the samples of the batch and the plan of (seed, epoch, step)."""
    x, y = data
    options = {"num_mix": num_mix, "gamma": 1.3, "anchored": False}
    epoch = batches(x, y, 8, num_classes=5, seed=3, epoch=2, dtype=dtype, **options)
    order = order_of(3, 2, anchored=True)
    assert len(epoch) == len(list(epoch)) == 7
    for step, (mixed, soft) in enumerate(epoch):
        samples = order[8 * step : 8 * step + 8]
        n = len(samples)
        options["num_mix"] = None if num_mix is None else min(num_mix, n)
        plan = zeta_plan(n, rng=(3, 2, step), **options)
        expected = plan @ x[samples].astype(np.float64)
        assert mixed.dtype == (dtype or np.float64)
        assert_mixtures_agree(mixed, expected, plan, x[samples])
        np.testing.assert_allclose(soft, plan.mix_labels(y[samples], 5))


def test_iterating_again_gives_the_same_and_no_seed_gives_another():
    x = np.eye(20)  # of which each number of a mixture is one product, whatever the order of sums
    epoch = batches(x, None, 6)
    first, again, other = (
        np.concatenate([m for m, _ in e]) for e in (epoch, epoch, batches(x, None, 6))
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    ("batch_size", "drop_last", "sizes"),
    [
        (20, False, [20, 20, 10]),
        (20, True, [20, 20]),
        (25, True, [25, 25]),
        (99, False, [50]),
        (99, True, []),
    ],
)
def test_sizes(data, batch_size, drop_last, sizes):
    epoch = batches(*data, batch_size, num_classes=5, drop_last=drop_last)
    assert [len(mixed) for mixed, _ in epoch] == sizes
    assert len(epoch) == len(sizes)


@pytest.mark.parametrize("layout", ["C", "Fortran", "strided", "unaligned"])
def test_memory_maps_are_read_batch_by_batch(tmp_path, layout):
    """No copy of all samples is made, whatever their layout."""
    x = np.zeros((20_000, 64), dtype=np.float32)
    if layout == "unaligned":
        (tmp_path / "x").write_bytes(b"ab" + x.tobytes())
        mapped = np.memmap(tmp_path / "x", np.float32, "r", offset=2, shape=x.shape)
    else:
        np.save(tmp_path / "x.npy", np.asfortranarray(x) if layout == "Fortran" else x)
        mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    mapped = mapped[:, ::2] if layout == "strided" else mapped
    tracemalloc.start()
    for number, _ in enumerate(batches(mapped, None, 16, num_mix=4, seed=0)):
        if number == 20:
            break
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < x.nbytes / 4


def test_memory_maps_give_what_arrays_give(tmp_path, data):
    x, y = data
    np.save(tmp_path / "x.npy", np.asfortranarray(x))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    options = {"num_classes": 5, "seed": 0, "num_mix": 4}
    epochs = (batches(array, y, 16, **options) for array in (mapped, x))
    order = order_of(0, 0, batch_size=16)
    for step, ((a, b), (c, d)) in enumerate(zip(*epochs, strict=True)):
        assert type(a) is np.ndarray
        samples = order[16 * step : 16 * step + 16]
        plan = zeta_plan(len(samples), num_mix=min(4, len(samples)), rng=(0, 0, step))
        assert_mixtures_agree(a, c, plan, x[samples])
        assert np.array_equal(b, d)


def test_inputs_stay_and_outputs_are_new(data):
    x, y = data[0].astype(np.float32), data[1]
    before = x.copy()
    for mixed, _ in batches(x, y, 1, num_classes=5, seed=0):
        assert not np.may_share_memory(mixed, x)
        mixed[...] = -1
    assert np.array_equal(x, before)


@pytest.mark.parametrize("labels", ["one-hot", "soft", "none"])
def test_other_labels(data, labels):
    x, y = data
    y = {"one-hot": np.eye(5, dtype=int)[y], "soft": np.eye(5)[y], "none": None}[labels]
    options = {"num_classes": 5} if labels == "one-hot" else {}
    for _, soft in batches(x, y, 8, **options):
        assert soft is None if labels == "none" else np.allclose(soft.sum(axis=1), 1)


@pytest.mark.needs("torch")
def test_batches_go_to_torch_without_a_copy(data):
    import torch

    mixed, _ = next(iter(batches(*data, 8, num_classes=5, dtype=np.float32)))
    assert torch.from_dlpack(mixed).data_ptr() == mixed.ctypes.data


@pytest.mark.needs("jax")
def test_batches_go_to_jax(data):
    import jax

    mixed, _ = next(iter(batches(*data, 8, num_classes=5, dtype=np.float32)))
    taken = jax.dlpack.from_dlpack(mixed)
    assert np.array_equal(np.asarray(taken), mixed)
    if mixed.ctypes.data % 64 == 0:  # else XLA copies
        assert taken.unsafe_buffer_pointer() == mixed.ctypes.data


def test_errors(data):
    x, y = data
    cases = [
        (ValueError, "x and y must have the same number of samples", {"y": y[:-1]}),
        (ValueError, "integer classes need num_classes", {"num_classes": None}),
        (ValueError, r"from 0 to num_classes - 1 = 3, got values from 0 to 4", {"num_classes": 4}),
        (ValueError, "batch_size must be >= 1, got 0", {"batch_size": 0}),
        (
            ValueError,
            "gamma must be one number for all batches, got an array of",
            {"gamma": np.ones(8)},
        ),
        (ValueError, "gamma must be a number >= 0, got -1", {"gamma": -1}),
        (ValueError, "num_mix must be >= 1, got 0", {"num_mix": 0}),
        (ValueError, "num_mix=9 for batches of 8; pass a larger batch_size", {"num_mix": 9}),
        (TypeError, "floating dtype of NumPy .* got 'bfloat17'; pass", {"dtype": "bfloat17"}),
        (TypeError, "shuffle must be True or False, got 1", {"shuffle": 1}),
        (
            TypeError,
            r"dtype must be a floating dtype of NumPy for samples of dtype uint8, got 'i4'",
            {"dtype": "i4"},
        ),
        (ValueError, "a seed must be from 0", {"seed": -1}),
        (ValueError, r"each entry of the key .* got 4294967296", {"seed": 0, "epoch": 2**32}),
        (TypeError, "x must be an array of a supported library, got list", {"x": [1]}),
    ]
    for error, message, change in cases:
        arguments = {"x": x, "y": y, "batch_size": 8, "num_classes": 5} | change
        with pytest.raises(error, match=message):
            batches(
                arguments.pop("x"), arguments.pop("y"), arguments.pop("batch_size"), **arguments
            )


@pytest.mark.needs("torch")
def test_arrays_of_other_libraries_are_refused(data):
    import torch

    with pytest.raises(
        TypeError, match=r"x must be a NumPy array or memory map, got one of torch; for"
    ):
        zetamix.batches(torch.ones(4, 2), None, 2)
