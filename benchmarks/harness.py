"""Clock, memory gauge and bookkeeping of the programs here; not a program itself.

The programs run as ``python benchmarks/throughput.py`` and ``python benchmarks/scaling.py``.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib.metadata
import json
import math
import os
import platform
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress

from zetamix_core.adapting import replacing

__all__ = [
    "Call",
    "available_cores",
    "environment",
    "fitted_exponent",
    "interleave",
    "limited_cores",
    "limited_threads",
    "markdown",
    "peak_resident_bytes",
    "picture_beside",
    "progress_bar",
    "quartiles",
    "settle",
    "write_json",
]

Call = Callable[[], Any]

_PACKAGES = (
    *("zetamix", "array-api-compat", "numpy", "scipy", "torch", "jax", "jaxlib"),
    *("cupy-cuda12x", "cupy-cuda13x", "torchvision", "timm", "kornia", "keras"),
    *("scikit-learn", "scikit-dimension", "imbalanced-learn"),
    *("dask", "distributed", "zarr"),
)


# --- time -----------------------------------------------------------------------------------------


def interleave(
    calls: Mapping[str, Call],
    *,
    seconds: float,
    synchronize: Callable[[Any], object] = lambda result: None,
    least: int = 7,
    most: int = 200,
    seed: int = 0,
) -> dict[str, list[float]]:
    """Time calls alternately and return all their times, in seconds.

    After a warm-up, every round makes each call once, in a new random order, so that other load on
    the machine affects all of them. Rounds go on until `seconds` are over, but at least
    `least` and at most `most` times. A result is waited for by `synchronize` before the clock
    stops, and freed before the next call.
    """
    for call in calls.values():
        for _ in range(2):
            synchronize(call())
    times: dict[str, list[float]] = {name: [] for name in calls}
    shuffle = random.Random(seed).shuffle
    start = time.perf_counter()
    with _without_garbage_collection():
        for done in range(most):
            if done >= least and time.perf_counter() - start >= seconds:
                break
            order = list(calls)
            shuffle(order)
            for name in order:
                times[name].append(_seconds(calls[name], synchronize))
    return times


def _seconds(call: Call, synchronize: Callable[[Any], object]) -> float:
    start = time.perf_counter()
    result = call()
    synchronize(result)
    stop = time.perf_counter()
    del result
    return stop - start


def settle() -> None:
    """Keep the collector of garbage from looking through all modules again and again."""
    gc.collect()
    gc.freeze()


@contextlib.contextmanager
def _without_garbage_collection() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def quartiles(times: Sequence[float]) -> tuple[float, float, float]:
    low, median, high = statistics.quantiles(times, n=4)
    return low, median, high


def fitted_exponent(sizes: Sequence[float], times: Sequence[float]) -> float:
    """Return p of the power law ``time ∝ size^p`` that fits best.

    Over the upper half of the range of sizes, two of them at least: small ones show fixed costs.
    """
    pairs = sorted(zip(sizes, times, strict=True))
    middle = math.sqrt(pairs[0][0] * pairs[-1][0]) * (1 - 1e-9)  # itself belongs to the upper half
    upper = pairs[-max(2, sum(size >= middle for size, _ in pairs)) :]
    logs = [(math.log(size), math.log(time)) for size, time in upper]
    return statistics.linear_regression(*zip(*logs, strict=True)).slope


# --- memory ---------------------------------------------------------------------------------------


def peak_resident_bytes(call: Call) -> int | None:
    """Return by how much a call raises resident memory at its peak, its result included.

    None where the system does not say: this reads the counters of Linux.
    """
    gc.collect(1)  # what earlier calls left is young
    # Else the call would reuse, unseen, what the heap still holds of earlier ones.
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None
    if trim is not None:
        trim(0)
    try:
        Path("/proc/self/clear_refs").write_text("5")  # resets the high-water mark
        before = _memory_status("VmRSS")
        result = call()
        peak = _memory_status("VmHWM")
    except OSError:
        return None
    del result
    return max(peak - before, 0)


def _memory_status(field: str) -> int:
    with open("/proc/self/status") as lines:
        kilobytes = next(line.split()[1] for line in lines if line.startswith(f"{field}:"))
    return 1024 * int(kilobytes)


# --- threads and surroundings ---------------------------------------------------------------------


def available_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextlib.contextmanager
def limited_cores(count: int) -> Iterator[None]:
    """Run on `count` cores: XLA has no setting for its threads, and starts one for each core."""
    if not hasattr(os, "sched_setaffinity") or count >= available_cores():
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:count])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextlib.contextmanager
def limited_threads(count: int) -> Iterator[None]:
    """Give OpenMP, OpenBLAS and torch, as far as they are loaded, `count` threads."""
    import threadpoolctl

    torch: Any = sys.modules.get("torch")
    before = torch.get_num_threads() if torch else 0
    with threadpoolctl.threadpool_limits(count):
        if torch:
            torch.set_num_threads(count)
        try:
            yield
        finally:
            if torch:
                torch.set_num_threads(before)


def environment(threads: int, devices: Mapping[str, str]) -> dict[str, Any]:
    """Describe software and hardware, but neither the owner nor the name of the machine."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "packages": _versions(),
        "platform": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": available_cores(),
        "threads": threads,
        "devices": dict(devices),
    }


def _versions() -> dict[str, str]:
    versions = {}
    for name in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return versions


def _processor() -> str:
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as lines:
        for line in lines:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


# --- output ---------------------------------------------------------------------------------------


def progress_bar() -> Progress:
    """Make a bar on standard error, for people who watch."""
    console = Console(stderr=True)
    console.quiet = not console.is_interactive
    return Progress(console=console, transient=True)


def write_json(results: Mapping[str, Any], path: Path) -> None:
    text = json.dumps(results, indent=1, ensure_ascii=False) + "\n"
    with replacing(path) as file:
        file.write(text.encode())


def picture_beside(path: Path) -> Path:
    """Return where the picture of these results goes."""
    picture = path.with_suffix(".png")
    if picture == path:
        raise click.UsageError(
            f"the results must not have the name of their picture, got {path}; let -o end in .json"
        )
    return picture


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lay out a table, its numbers to the right."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, rule, *rows)) + "\n"
