"""The CuPy adapter: on a device where one answers, and on a stand-in that shows what is waited for.

The stand-in does what CUDA may do at its latest: a queued copy is made when something waits for
it, and not before.
"""

import importlib
import sys
import types

import numpy as np
import pytest

import zetamix_core


class Stream:
    def __init__(self, non_blocking=False):
        self.queue = []
        self.log = None

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
        Stream=Stream, Event=Event, get_current_stream=lambda: current
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
    rng = np.random.default_rng(0)
    return rng.integers(0, 200, size=(50, 6)).astype(np.float32), rng.integers(0, 5, size=50)


@pytest.mark.parametrize("batch_size", [1, 8, 25, 50, 60])
@pytest.mark.parametrize("labels", [True, False])
def test_same_batches_as_the_core(stand_in, data, batch_size, labels):
    x, y = data if labels else (data[0], None)
    options = {"seed": 1, "num_mix": 3, "num_classes": 5 if labels else None}
    arrived = list(stand_in.batches(x, y, batch_size, **options))
    expected = list(zetamix_core.batches(x, y, batch_size, **options))
    assert len(arrived) == len(expected) == len(stand_in.batches(x, y, batch_size, **options))
    for (a, b), (c, d) in zip(arrived, expected, strict=True):
        assert np.array_equal(a, c)
        assert b is d is None or np.array_equal(b, d)


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


def test_what_each_batch_waits_for(stand_in, data, monkeypatch):
    """The host for its pinned memory, the copy for the device's, and mixing for the copy."""
    waits = []

    class Noting(stand_in._Slot):
        def __init__(self, epoch):
            super().__init__(epoch)
            self.names = {id(self.copied): "mixing", id(self.free): "copy"}
            names.update(self.names)

    names = {}
    monkeypatch.setattr(stand_in, "_Slot", Noting)
    for owner, name, wait in (
        (Stream, "wait_event", lambda _, event: waits.append(names[id(event)]) or event.happen()),
        (Event, "synchronize", lambda event: waits.append("host") or event.happen()),
    ):
        monkeypatch.setattr(owner, name, wait)
    list(stand_in.batches(*data, 8, num_classes=5))
    first, step, last = ["host", "copy"], ["host", "copy", "mixing"], ["mixing"]
    assert waits == first + 6 * step + last


def test_an_epoch_left_early_leaves_no_copy_under_way(stand_in, data, monkeypatch):
    streams = []
    monkeypatch.setattr(
        stand_in.cupy.cuda, "Stream", lambda **options: streams.append(Stream()) or streams[-1]
    )
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


def test_batches_go_to_torch_and_jax_without_a_copy(cupy_backend, data):
    import jax
    import torch
    import zetamix.cupy

    mixed, _ = next(iter(zetamix.cupy.batches(*data, 8, num_classes=5)))
    if torch.cuda.is_available():
        assert torch.from_dlpack(mixed).data_ptr() == mixed.data.ptr
    if jax.default_backend() == "gpu":
        assert jax.dlpack.from_dlpack(mixed).unsafe_buffer_pointer() == mixed.data.ptr


def test_docstring_example(cupy_backend):
    import doctest

    import zetamix.cupy

    result = doctest.testmod(zetamix.cupy)
    assert result.attempted > result.failed == 0
