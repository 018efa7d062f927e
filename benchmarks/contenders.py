"""What is compared on each array library; not a program itself.

Every library offers, for one batch, calls that mix samples and labels from the draw to the result:
``python benchmarks/throughput.py`` times them.
"""

from __future__ import annotations

import importlib
import itertools
import os
import random
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

import numpy as np
import zetamix
from harness import Call, peak_resident_bytes
from peers import PEERS, Mix, Peer, first_line, refusal

__all__ = [
    "COPY",
    "HAND_WRITTEN",
    "LIBRARIES",
    "SIZES",
    "Batch",
    "CupyLibrary",
    "JaxLibrary",
    "Library",
    "Lineup",
    "NumpyLibrary",
    "TorchLibrary",
]

HAND_WRITTEN, COPY = "hand-written mixup", "copy"
# T of the ζ-mixups; None is the whole batch.
SIZES = (4, 8, 16, 20, None)
_SIZE_OF_EAGER = 8


@dataclass(frozen=True)
class Batch:
    """Samples and their classes, as arrays of one library."""

    x: Any
    y: Any
    num_classes: int
    input_bytes: int
    output_bytes: int

    def __len__(self) -> int:
        return int(self.x.shape[0])

    @property
    def is_integer(self) -> bool:
        return "int" in str(self.x.dtype)


@dataclass
class Lineup:
    """The calls on a batch by name, what is to be known of some, and who refused the batch."""

    calls: dict[str, Call] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)


class Library(ABC):
    """An array library on one device: its arrays, its clock, its contenders."""

    name: ClassVar[str]
    dtypes: ClassVar[tuple[str, ...]] = ("float32", "bfloat16", "uint8")
    default_float = 4  # bytes, of what integers give

    def __init__(self, device: str, official: str | None = None) -> None:
        self.device = device
        self.missing: dict[str, str] = {}

    def batch(self, shape: tuple[int, ...], dtype: str, num_classes: int) -> Batch:
        """Make random samples from 0 to 1, or 0 to 255, and their classes."""
        rng = np.random.default_rng(0)
        if dtype == "uint8":
            x: np.ndarray = rng.integers(0, 256, shape, dtype=np.uint8)
        else:
            x = rng.random(shape, dtype=np.float32)
        y = rng.integers(0, num_classes, shape[0])
        widths = {"float32": (4, 4), "bfloat16": (2, 2), "uint8": (1, self.default_float)}[dtype]
        sizes = (x.size * width for width in widths)
        return Batch(self.array(x, dtype), self.array(y, "int64"), num_classes, *sizes)

    def lineup(self, batch: Batch) -> Lineup:
        """List all that can be called on this batch."""
        lineup = Lineup()
        for num_mix in sizes_within(SIZES, batch):
            lineup.calls[f"zetamix {label(num_mix)}"] = self.zeta_mixup(batch, num_mix)
            lineup.calls[f"draw {label(num_mix)}"] = self.draw(batch, num_mix)
        lineup.calls["zetamix mixup"] = self.mixup(batch)
        lineup.calls[with_conversion(HAND_WRITTEN, batch)] = self.hand_written(batch)
        lineup.calls[COPY] = self.copy(batch)
        return lineup

    def zeta_mixup(self, batch: Batch, num_mix: int | None) -> Call:
        mix = partial(zetamix.zeta_mixup, num_mix=num_mix, num_classes=batch.num_classes)
        return partial(mix, batch.x, batch.y)

    def mixup(self, batch: Batch) -> Call:
        return partial(zetamix.mixup, batch.x, batch.y, num_classes=batch.num_classes)

    def draw(self, batch: Batch, num_mix: int | None) -> Call:
        return partial(zetamix.zeta_plan, len(batch), num_mix=num_mix, like=batch.x)

    @abstractmethod
    def array(self, host: np.ndarray, dtype: str) -> Any:
        """Copy a NumPy array to the device."""

    @abstractmethod
    def hand_written(self, batch: Batch) -> Call:
        """Mix in pairs, with one λ for the batch, in the lines that many projects have."""

    @abstractmethod
    def copy(self, batch: Batch) -> Call:
        """Read and write the batch once: what no mixing can undercut by much."""

    @abstractmethod
    def synchronize(self, result: Any) -> None:
        """Wait until the result is there."""

    @abstractmethod
    def device_name(self) -> str:
        """Return the name of an accelerator, "cpu" else."""

    def peak_bytes(self, call: Call) -> int | None:
        """Return how much memory a call takes on top, None if that is not known."""
        return peak_resident_bytes(lambda: self._finished(call))

    def _finished(self, call: Call) -> Any:
        result = call()
        self.synchronize(result)
        return result


def label(num_mix: int | None) -> str:
    return "T=N" if num_mix is None else f"T={num_mix}"


def sizes_within(sizes: tuple[int | None, ...], batch: Batch) -> Iterator[int | None]:
    return (num_mix for num_mix in sizes if num_mix is None or num_mix <= len(batch))


def with_conversion(name: str, batch: Batch) -> str:
    """Name what first converts integers, which is timed too."""
    return f"{name} after float()" if batch.is_integer else name


def _after_float(mix: Mix) -> Mix:
    return lambda x, y: mix(x.float(), y)


class NumpyLibrary(Library):
    """NumPy, which knows neither bfloat16 nor devices."""

    name = "numpy"
    dtypes = ("float32", "uint8")
    default_float = 8

    def array(self, host: np.ndarray, dtype: str) -> np.ndarray:
        return host.astype(dtype)

    def hand_written(self, batch: Batch) -> Call:
        rng, identity = np.random.default_rng(0), np.eye(batch.num_classes, dtype=np.float32)

        def mix() -> Any:
            lam, other = random.random(), rng.permutation(len(batch))
            x, y = batch.x.astype(np.float32, copy=False), identity[batch.y]
            return lam * x + (1 - lam) * x[other], lam * y + (1 - lam) * y[other]

        return mix

    def copy(self, batch: Batch) -> Call:
        return partial(np.copy, batch.x)

    def synchronize(self, result: Any) -> None:
        """Do nothing: a result is there when a call returns."""

    def device_name(self) -> str:
        return "cpu"


class TorchLibrary(Library):
    """PyTorch, with the modules of the adapter and with all peers."""

    name = "torch"

    def __init__(self, device: str, official: str | None = None) -> None:
        super().__init__(device)
        self.torch = importlib.import_module("torch")
        if device == "cuda" and not self.torch.cuda.is_available():
            raise RuntimeError("no CUDA device answers")
        self.modules = importlib.import_module("zetamix.torch")
        self.official = official

    def array(self, host: np.ndarray, dtype: str) -> Any:
        return self.torch.tensor(host, dtype=getattr(self.torch, dtype), device=self.device)

    def lineup(self, batch: Batch) -> Lineup:
        lineup = super().lineup(batch)
        for num_mix in sizes_within(SIZES, batch):
            mix = self.modules.ZetaMixup(num_mix=num_mix, num_classes=batch.num_classes)
            lineup.calls[f"zetamix.torch {label(num_mix)}"] = partial(mix, batch.x, batch.y)
        for name, peer in PEERS.items():
            if name not in self.missing:
                self._add_peer(lineup, name, peer, batch)
        return lineup

    def _add_peer(self, lineup: Lineup, name: str, peer: Peer, batch: Batch) -> None:
        x, y = batch.x, batch.y
        try:
            mix = peer.make(x, batch.num_classes, self.official)
        except (ImportError, RuntimeError) as error:  # the latter of compiled code that won't load
            self.missing[name] = first_line(error)
            return
        reason = refusal(mix, x, y)
        if reason is not None:
            lineup.refused[name] = reason
            mix = _after_float(mix)
            if not batch.is_integer or refusal(mix, x, y) is not None:
                return
            name = with_conversion(name, batch)
        lineup.calls[name] = partial(mix, x, y)
        if peer.note:
            lineup.notes[name] = peer.note

    def hand_written(self, batch: Batch) -> Call:
        torch, one_hot = self.torch, self.torch.nn.functional.one_hot

        def mix() -> Any:
            lam, other = random.random(), torch.randperm(len(batch), device=batch.x.device)
            x = batch.x.float() if batch.is_integer else batch.x
            y = one_hot(batch.y, batch.num_classes).float()
            return lam * x + (1 - lam) * x[other], lam * y + (1 - lam) * y[other]

        return mix

    def copy(self, batch: Batch) -> Call:
        return partial(self.torch.clone, batch.x)

    def synchronize(self, result: Any) -> None:
        if self.device == "cuda":
            self.torch.cuda.synchronize()

    def device_name(self) -> str:
        return str(self.torch.cuda.get_device_name()) if self.device == "cuda" else "cpu"

    def peak_bytes(self, call: Call) -> int | None:
        if self.device == "cpu":
            return super().peak_bytes(call)
        cuda = self.torch.cuda
        cuda.synchronize()
        before = cuda.memory_allocated()
        cuda.reset_peak_memory_stats()
        self._finished(call)
        return int(cuda.max_memory_allocated() - before)


class JaxLibrary(Library):
    """JAX, compiled, and once as it comes."""

    name = "jax"

    def __init__(self, device: str, official: str | None = None) -> None:
        super().__init__(device)
        # A reservation of most of the device would leave the other libraries nothing.
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
        self.jax = importlib.import_module("jax")
        self.functions = importlib.import_module("zetamix.jax")
        self.place = self.jax.devices(device)[0]
        # Made ahead: the making of a key is not what is timed.
        key = self.jax.device_put(self.jax.random.key(0), self.place)
        self.keys = itertools.cycle(list(self.jax.random.split(key, 512)))

    def array(self, host: np.ndarray, dtype: str) -> Any:
        dtype = "int32" if dtype == "int64" else dtype
        return self.jax.device_put(host, self.place).astype(dtype)

    def lineup(self, batch: Batch) -> Lineup:
        lineup = super().lineup(batch)
        for num_mix in sizes_within((_SIZE_OF_EAGER,), batch):
            eager = self._of_key(self._mix(batch, num_mix), batch.x, batch.y)
            lineup.calls[f"zetamix {label(num_mix)} eager"] = eager
        return lineup

    def zeta_mixup(self, batch: Batch, num_mix: int | None) -> Call:
        return self._of_key(self.jax.jit(self._mix(batch, num_mix)), batch.x, batch.y)

    def _mix(self, batch: Batch, num_mix: int | None) -> Any:
        return partial(self.functions.zeta_mixup, num_mix=num_mix, num_classes=batch.num_classes)

    def mixup(self, batch: Batch) -> Call:
        mix = partial(self.functions.mixup, num_classes=batch.num_classes)
        return self._of_key(self.jax.jit(mix), batch.x, batch.y)

    def draw(self, batch: Batch, num_mix: int | None) -> Call:
        def plan(key: Any, x: Any) -> Any:
            return zetamix.zeta_plan(len(batch), num_mix=num_mix, rng=key, like=x)

        return self._of_key(self.jax.jit(plan), batch.x)

    def hand_written(self, batch: Batch) -> Call:
        def mix(key: Any, x: Any, y: Any) -> Any:
            first, second = self.jax.random.split(key)
            other = self.jax.random.permutation(second, len(batch))
            x = x.astype("float32") if batch.is_integer else x
            lam = self.jax.random.uniform(first, dtype=x.dtype)
            y = self.jax.nn.one_hot(y, batch.num_classes)
            return lam * x + (1 - lam) * x[other], lam * y + (1 - lam) * y[other]

        return self._of_key(self.jax.jit(mix), batch.x, batch.y)

    def _of_key(self, function: Any, *arrays: Any) -> Call:
        return lambda: function(next(self.keys), *arrays)

    def copy(self, batch: Batch) -> Call:
        return partial(self.jax.numpy.copy, batch.x)

    def synchronize(self, result: Any) -> None:
        self.jax.block_until_ready(result)

    def device_name(self) -> str:
        return str(self.place.device_kind)

    def peak_bytes(self, call: Call) -> int | None:
        # On accelerators JAX tells the peak since the start of the process only.
        if self.device != "cpu":
            return None
        return max((self._peak_after_small_work(call) for _ in range(3)), key=lambda p: p or 0)

    def _peak_after_small_work(self, call: Call) -> int | None:
        """Let XLA's threads do something else first: they hold on to what they last worked on.

        Freed in the middle of the call, it would hide what that takes, as it still may at times.
        """
        for number in range(4):
            self.jax.block_until_ready(self.jax.numpy.full(8, number))
        return super().peak_bytes(call)


class CupyLibrary(Library):
    """CuPy, which needs a CUDA device."""

    name = "cupy"
    dtypes = ("float32", "uint8")
    default_float = 8

    def __init__(self, device: str, official: str | None = None) -> None:
        super().__init__(device)
        self.cupy = importlib.import_module("cupy")
        self.cupy.cuda.runtime.getDeviceCount()  # raises where no driver is

    def array(self, host: np.ndarray, dtype: str) -> Any:
        return self.cupy.asarray(host.astype(dtype))

    def hand_written(self, batch: Batch) -> Call:
        cupy = self.cupy
        identity = cupy.eye(batch.num_classes, dtype=cupy.float32)

        def mix() -> Any:
            lam, other = random.random(), cupy.random.permutation(len(batch))
            x, y = batch.x.astype(cupy.float32, copy=False), identity[batch.y]
            return lam * x + (1 - lam) * x[other], lam * y + (1 - lam) * y[other]

        return mix

    def copy(self, batch: Batch) -> Call:
        return partial(self.cupy.copy, batch.x)

    def synchronize(self, result: Any) -> None:
        self.cupy.cuda.get_current_stream().synchronize()

    def device_name(self) -> str:
        return str(self.cupy.cuda.runtime.getDeviceProperties(0)["name"].decode())

    def peak_bytes(self, call: Call) -> int | None:
        """Return by how much the pool grows: it had nothing free, and gives nothing back."""
        pool = self.cupy.get_default_memory_pool()
        pool.free_all_blocks()
        before = pool.total_bytes()
        self._finished(call)
        return int(pool.total_bytes() - before)


LIBRARIES: dict[str, type[Library]] = {
    library.name: library for library in (TorchLibrary, NumpyLibrary, JaxLibrary, CupyLibrary)
}
