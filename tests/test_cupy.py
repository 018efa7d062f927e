"""The CuPy adapter: on a device where one answers, and on a stand-in that shows what is waited for.

The stand-in does what CUDA may do at its latest: a queued copy is made when something waits for
it, and not before.
"""

import contextlib
import importlib
import sys
import types

import numpy as np
import pytest
from zetamix.rules import CutMix, Dirichlet, Mixup, OneOf, Zeta

import zetamix_core


class Stream:
    def __init__(self, non_blocking=False):
        self.queue = []
        self.non_blocking = non_blocking

    def wait_event(self, event):
        if self is not event.stream:  # in one stream the order is kept anyway
            event.happen()

    def synchronize(self):
        while self.queue:
            self.queue.pop(0)()


class Event:
    def __init__(self, disable_timing=False):
        self.stream, self.behind = None, []

    def record(self, stream):
        self.stream, self.behind = stream, list(stream.queue)

    def happen(self):
        for work in self.behind:
            if work in self.stream.queue:
                self.stream.queue.remove(work)
                work()

    synchronize = happen


class DeviceArray(np.ndarray):
    """An array that can be told from one of the host."""

    def set(self, source, stream):
        stream.queue.append(lambda: np.copyto(self, source))


@pytest.fixture
def stand_in(monkeypatch):
    """The module zetamix.cupy beside a library that keeps its arrays in host memory."""
    current = Stream()
    cupy, cupyx = types.ModuleType("cupy"), types.ModuleType("cupyx")
    cupy.cuda = types.SimpleNamespace(
        Stream=Stream,
        Event=Event,
        Device=contextlib.nullcontext,
        get_current_stream=lambda: current,
    )
    cupy.empty = lambda shape, dtype: np.full(shape, 99, dtype=dtype).view(DeviceArray)
    cupyx.empty_pinned = lambda shape, dtype: np.full(shape, 98, dtype=dtype)
    cupy.ndarray = DeviceArray
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    monkeypatch.setitem(sys.modules, "cupyx", cupyx)
    monkeypatch.delitem(sys.modules, "zetamix.cupy", raising=False)
    yield importlib.import_module("zetamix.cupy")
    sys.modules.pop("zetamix.cupy", None)


@pytest.fixture
def data():
    """Samples of which each number of a mixture is one product, whatever the order of sums."""
    rng = np.random.default_rng(0)
    return np.diag(rng.integers(1, 200, size=50)).astype(np.float32), rng.integers(0, 5, size=50)


@pytest.mark.parametrize("batch_size", [1, 8, 25, 50, 60])
@pytest.mark.parametrize("labels", [True, False])
def test_same_batches_as_the_core(stand_in, data, batch_size, labels):
    x, y = data if labels else (data[0], None)
    num_mix = min(3, batch_size)
    options = {"seed": 1, "num_mix": num_mix, "num_classes": 5 if labels else None}
    arrived = list(stand_in.batches(x, y, batch_size, **options))
    expected = list(zetamix_core.batches(x, y, batch_size, **options))
    assert len(arrived) == len(expected) == len(stand_in.batches(x, y, batch_size, **options))
    for (a, b), (c, d) in zip(arrived, expected, strict=True):
        assert np.array_equal(a, c)
        assert b is d is None or np.array_equal(b, d)


class Pairs:
    """A rule as users write it."""

    def plan(self, shape, *, rng=None, like=None, groups=None, step=None):
        return zetamix_core.zeta_plan(shape[0], gamma=1.0, num_mix=2, rng=rng, like=like)


RULES = [Zeta(gamma=1.0), Mixup(), Dirichlet(num_mix=3), CutMix(), OneOf([Mixup(), CutMix()])]
RULES += [Zeta(num_mix=3, donors="same"), Pairs()]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule).__name__)
def test_any_rule_mixes_as_in_the_core(stand_in, rule):
    x = np.random.default_rng(0).random((30, 5, 6)).astype(np.float32)
    y = np.arange(30) % 4
    groups = y if getattr(rule, "donors", None) else None
    options = {"rule": rule, "groups": groups, "num_classes": 4, "seed": 1, "epoch": 2}
    expected = zetamix_core.batches(x, y, 8, **options)
    for batch, other in zip(stand_in.batches(x, y, 8, **options), expected, strict=True):
        for ours, theirs in zip(batch, other, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_the_next_batch_is_on_its_way(stand_in, data, monkeypatch):
    """While a batch is used, the next one is queued, and the memory of both is apart."""
    gathered = []
    gather = stand_in.Epoch.gather

    def note(self, samples, x_out, y_out):
        gathered.append(x_out.__array_interface__["data"][0])
        return gather(self, samples, x_out, y_out)

    monkeypatch.setattr(stand_in.Epoch, "gather", note)
    for count, _ in enumerate(stand_in.batches(*data, 8, num_classes=5), start=1):
        assert len(gathered) == min(count + 1, 7)
    assert len(set(gathered)) == 2
    assert gathered[:-2] == gathered[2:]


def test_the_order_of_waits(stand_in, data, monkeypatch):
    """What would be a race on a device, where all that is queued may happen late."""
    log, names = [], {}
    current = stand_in.cupy.cuda.get_current_stream()

    class Noting(stand_in._Slot):
        def __init__(self, epoch):
            self.number = sum(name.startswith("copied") for name in names.values())
            super().__init__(epoch)
            names.update({id(self.copied): f"copied {self.number}"})
            names.update({id(self.free): f"free {self.number}"})

    def stream_name(stream):
        if stream is current:
            return "current"
        assert stream.non_blocking
        return "copies"

    def note(owner, name, verb):
        method = getattr(owner, name)

        def noting(self, *args):
            stream = next((a for a in (self, *args) if isinstance(a, Stream)), None)
            event = next((a for a in (self, *args) if isinstance(a, Event)), None)
            where = "host" if stream is None else stream_name(stream)
            log.append((where, verb, event))
            return method(self, *args)

        monkeypatch.setattr(owner, name, noting)

    note(Stream, "wait_event", "waits for")
    note(Event, "synchronize", "waits for")
    note(Event, "record", "records")
    mix = stand_in.Epoch.mix
    monkeypatch.setattr(
        stand_in.Epoch, "mix", lambda *args: log.append(("current", "mixes", None)) or mix(*args)
    )
    monkeypatch.setattr(stand_in, "_Slot", Noting)
    list(stand_in.batches(*data, 20, num_classes=5))
    told = [f"{where} {verb} {names.get(id(event), '')}".strip() for where, verb, event in log]

    def send(slot):
        return [
            *(f"host waits for copied {slot}", f"copies waits for free {slot}"),
            f"copies records copied {slot}",
        ]

    def receive(slot):
        return [
            *(f"current waits for copied {slot}", "current mixes", f"current records free {slot}"),
        ]

    assert told == [
        *("current records free 0", "current records free 1"),
        *(*send(0), *send(1), *receive(0), *send(0), *receive(1), *receive(0)),
        *("current waits for free 0", "current waits for free 1"),
    ]


def test_memory_of_devices_has_their_order_of_bytes(stand_in, data):
    x = data[0].astype(">f4")
    options = {"seed": 1, "num_mix": 3}
    arrived = [mixed for mixed, _ in stand_in.batches(x, None, 8, **options)]
    expected = [mixed for mixed, _ in zetamix_core.batches(data[0], None, 8, **options)]
    for a, b in zip(arrived, expected, strict=True):
        assert a.dtype == np.dtype("=f4")
        assert np.array_equal(a, b)


def test_an_epoch_left_early_leaves_no_copy_under_way(stand_in, data, monkeypatch):
    streams = []
    made = Stream

    def make(**options):
        streams.append(made(**options))
        return streams[-1]

    monkeypatch.setattr(stand_in.cupy.cuda, "Stream", make)
    epoch = iter(stand_in.batches(*data, 8, num_classes=5))
    next(epoch)
    assert streams[0].queue
    epoch.close()
    assert not streams[0].queue


def test_docstring(stand_in):
    from numpydoc.validate import validate

    errors = validate("zetamix.cupy.batches")["errors"]
    assert [error for error in errors if error[0][:2] in ("PR", "RT", "EX")] == []


# --- on a device ----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [None, "float32"])
def test_same_batches_on_a_device(cupy_backend, data, dtype):
    import cupy
    import zetamix.cupy

    options = {"seed": 1, "num_mix": 3, "num_classes": 5, "dtype": dtype}
    with cupy.cuda.Stream(non_blocking=True):
        arrived = [
            (cupy_backend.to_numpy(x), cupy_backend.to_numpy(y))
            for x, y in zetamix.cupy.batches(*data, 8, **options)
        ]
    for (a, b), (c, d) in zip(arrived, zetamix_core.batches(*data, 8, **options), strict=True):
        np.testing.assert_allclose(a, c, rtol=1e-6)
        np.testing.assert_allclose(b, d, rtol=1e-6)
        assert (a.dtype, b.dtype) == (c.dtype, d.dtype)


def test_batches_go_to_torch_and_jax_without_a_copy(cupy_backend, data):
    import jax
    import torch
    import zetamix.cupy

    mixed, _ = next(iter(zetamix.cupy.batches(*data, 8, num_classes=5)))
    if not torch.cuda.is_available() and jax.default_backend() != "gpu":
        pytest.skip("torch and JAX are built for the CPU alone")
    if torch.cuda.is_available():
        assert torch.from_dlpack(mixed).data_ptr() == mixed.data.ptr
    if jax.default_backend() == "gpu":
        assert jax.dlpack.from_dlpack(mixed).unsafe_buffer_pointer() == mixed.data.ptr


def test_docstring_example(cupy_backend):
    import doctest

    import zetamix.cupy

    result = doctest.testmod(zetamix.cupy)
    assert result.attempted > result.failed == 0
