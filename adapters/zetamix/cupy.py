"""ζ-mixup on NVIDIA GPUs with CuPy: epochs from host memory, copied while the device works."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import cupy
import cupyx
import numpy as np

from zetamix_core import Plan
from zetamix_core.adapting import Array, Epoch, random_by

__all__ = ["batches"]


@random_by("seed")
def batches(x: np.ndarray, y: np.ndarray | None, batch_size: int, **options: Any) -> Epoch[Any]:
    r"""Iterate over an epoch of samples in host memory, shuffled and mixed on the current device.

    .. math:: \hat{x}_i = \sum_{r=1}^{T} w_r \, x_{s_i(r)}, \quad
              w_r = r^{-\gamma} / \sum_{j=1}^{T} j^{-\gamma}

    The same batches as those of `zetamix.batches`, as CuPy arrays.

    Parameters
    ----------
    x : numpy.ndarray, shape (N, ...)
        Samples, or a memory map of them; they may be larger than the memory of the device.
    y : numpy.ndarray, shape (N, ...), or None
        Labels in one of the forms of `Plan.mix_labels`.
    batch_size : int
        Number of samples in a batch; the last batch has the rest.
    **options
        The keywords of `zetamix.batches`. Bytes give float64 by default, as CuPy does: pass
        ``dtype="float32"``.

    Returns
    -------
    iterable of (x_mixed, y_mixed)
        With a length; `y_mixed` is None if `y` is. Iterating again gives the same batches.

    Raises
    ------
    ValueError
        If an argument is out of range, or `x` and `y` differ in length.
    TypeError
        If an argument has the wrong type, or `x` or `y` is not a NumPy array.

    See Also
    --------
    zetamix.batches : The options, and where draws come from.

    Notes
    -----
    Before a batch is returned, the next one is gathered into pinned host memory, and its copy to
    the device is queued on a separate stream. The host and the device have two slots for a batch
    each, so the host runs at most a few batches ahead of the device. Mixing is queued on the stream
    that is current when a batch is requested, of the device that was current for the first batch.
    Pass batches on by DLPack without a copy, as in ``torch.from_dlpack(x_mixed)``.

    Examples
    --------
    >>> import numpy as np
    >>> from zetamix.cupy import batches
    >>> images = np.zeros((100, 3, 8, 8), dtype=np.uint8)
    >>> mixed, _ = next(iter(batches(images, None, 32, dtype="float32", seed=0)))
    >>> mixed.shape, mixed.dtype
    ((32, 3, 8, 8), dtype('float32'))
    """
    return _DeviceEpoch(x, y, batch_size, **options)


class _DeviceEpoch(Epoch[Any]):
    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        device, first = cupy.cuda.Device(), cupy.cuda.get_current_stream()
        stream = cupy.cuda.Stream(non_blocking=True)
        slots = [_Slot(self), _Slot(self)]
        try:
            arriving: tuple[_Slot, int, Plan] | None = None
            for (samples, plan), slot in zip(self.steps(), itertools.cycle(slots), strict=False):
                with device:
                    slot.send(self, samples, stream)
                    mixed = self._receive(*arriving) if arriving else None
                arriving = slot, samples.size, plan
                if mixed:
                    yield mixed
            if arriving:
                with device:
                    mixed = self._receive(*arriving)
                yield mixed
        finally:
            # The memory of the slots is given back: an epoch left early has a copy under way, and
            # the stream that it goes back to may not be the one that mixed last.
            stream.synchronize()
            for slot in slots:
                first.wait_event(slot.free)

    def _receive(self, slot: _Slot, size: int, plan: Plan) -> tuple[Array, Array | None]:
        current = cupy.cuda.get_current_stream()
        current.wait_event(slot.copied)
        x, y = slot.on_device
        mixed = self.mix(plan, x[:size], None if y is None else y[:size])
        slot.free.record(current)
        return mixed


class _Slot:
    """A place for one batch, in pinned memory of the host and on the device."""

    def __init__(self, epoch: Epoch[Any]) -> None:
        self.pinned = _like(epoch, cupyx.empty_pinned)
        self.on_device = _like(epoch, cupy.empty)
        self.copied = cupy.cuda.Event(disable_timing=True)
        self.free = cupy.cuda.Event(disable_timing=True)
        # The memory may be one that work in the current stream has still to be done with.
        self.free.record(cupy.cuda.get_current_stream())

    def send(self, epoch: Epoch[Any], samples: np.ndarray, stream: Any) -> None:
        """Gather samples and labels on the host, and queue their copy to the device."""
        self.copied.synchronize()  # the host may write to the pinned memory again
        places = (None if pinned is None else pinned[: samples.size] for pinned in self.pinned)
        gathered = epoch.gather(samples, *places)
        stream.wait_event(self.free)
        for source, target in zip(gathered, self.on_device, strict=True):
            if source is not None:
                target[: samples.size].set(source, stream=stream)
        self.copied.record(stream)


def _like(epoch: Epoch[Any], empty: Any) -> list[Any]:
    """Return uninitialized memory for the samples and the labels of a batch."""
    size = min(epoch.batch_size, epoch.num_samples)
    return [  # in the order of bytes that devices have
        None if array is None else empty((size, *array.shape[1:]), array.dtype.newbyteorder("="))
        for array in (epoch.x, epoch.y)
    ]
