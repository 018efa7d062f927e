"""An array larger than memory, mixed on a cluster: ``python benchmarks/beyond_memory.py``.

The array is sorted by class. Reports the time, until all is on the disk, relative to a copy to the
same chunks, the memory of the workers, and whether classes were mixed.
"""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import click
import dask
import dask.array as da
import numpy as np
import psutil
import zarr
from distributed import Client, LocalCluster
from harness import environment, markdown, write_json
from zetamix.dask import zeta_mixup

SHAPE, CLASSES, BATCH, NUM_MIX = (3, 32, 32), 10, 128, 8
ROW_BYTES = 4 * 3 * 32 * 32


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--gigabytes", default=6.2, type=click.FloatRange(0.01), help="Size of the array.")
@click.option("--chunk", default=160.0, type=click.FloatRange(0.1), help="Megabytes of a chunk.")
@click.option("--workers", default=2, type=click.IntRange(1), help="Single-threaded processes.")
@click.option("--memory", default=1.5, type=click.FloatRange(0.1), help="Gigabytes of a worker.")
@click.option(
    "--rounds", default=3, type=click.IntRange(1), help="Alternating copies and mixtures."
)
@click.option(
    "--folder",
    type=click.Path(exists=True, file_okay=False, writable=True, path_type=Path),
    help="Folder for arrays and spills; three times the size.  [default: temporary]",
)
@click.option("--quick", is_flag=True, help="A tiny array on one worker: does it run at all?")
@click.option(
    "-o",
    "--output",
    default="beyond-memory.json",
    metavar="FILE",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="All numbers, as JSON.",
)
def main(
    gigabytes: float,
    chunk: float,
    workers: int,
    memory: float,
    rounds: int,
    folder: Path | None,
    quick: bool,
    output: Path,
) -> None:
    """Copy and mix an array, alternately, on workers that could not hold it."""
    if quick:
        gigabytes, chunk, workers, rounds = 0.02, 2.0, 1, 1
    rows = int(chunk * 1e6 / ROW_BYTES)
    length = int(gigabytes * 1e9 / ROW_BYTES)
    with tempfile.TemporaryDirectory(dir=folder) as name:
        place = Path(name)
        found = measure(place, length, rows, rounds, workers=workers, memory=memory)
    results = {
        "environment": environment(workers, {})
        | {"dask": dask.__version__, "zarr": zarr.__version__},
        "settings": {
            "bytes": length * ROW_BYTES,
            "rows": length,
            "rows of a chunk": rows,
            "workers": workers,
            "bytes of a worker": int(memory * 1e9),
        },
        **found,
    }
    write_json(results, output)
    click.echo("\n".join(report(results)))


def measure(
    place: Path, length: int, rows: int, rounds: int, *, workers: int, memory: float
) -> dict[str, Any]:
    """Return times, peaks of memory and how classes were mixed."""
    with cluster(place, workers, memory):
        make(place / "source", length, rows)
    times: dict[str, list[float]] = {"copy": [], "mix": []}
    peaks: dict[str, list[int]] = {"copy": [], "mix": []}
    for _ in range(rounds):
        for name, work in {"copy": copy, "mix": mix}.items():
            for target in (place / "copy", place / "mix"):
                shutil.rmtree(target, ignore_errors=True)
            # Fresh workers each time: what Python has once taken it does not give back.
            with cluster(place, workers, memory) as client, Gauge(client) as gauge:
                os.sync()  # what others have left to write would slow this one down
                start = time.perf_counter()
                work(place / "source", place / name)
                os.sync()  # all is on the disk, and not in memory that the system has left
                times[name].append(time.perf_counter() - start)
            peaks[name].append(gauge.peak)
    return {"times": times, "peaks": peaks, "classes": classes(place / "mix")}


@contextmanager
def cluster(place: Path, workers: int, memory: float) -> Iterator[Client]:
    """Start workers of one thread, which spill to a folder."""
    options: dict[str, Any] = {"n_workers": workers, "threads_per_worker": 1}
    options |= {"memory_limit": int(memory * 1e9), "local_directory": str(place / "spilled")}
    with LocalCluster(dashboard_address=":0", **options) as started, Client(started) as client:
        yield client


class Gauge:
    """Watches the memory of all workers, and keeps the peak of any one of them."""

    def __init__(self, client: Client) -> None:
        pids = client.run(lambda dask_worker: __import__("os").getpid()).values()
        self._processes = [psutil.Process(pid) for pid in pids]
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.peak = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.05):
            self.peak = max(self.peak, *(process.memory_info().rss for process in self._processes))


# --- what is done ---------------------------------------------------------------------------------


def make(place: Path, length: int, rows: int) -> None:
    """Write noise around a mean of its class, classes one after the other."""
    classes = da.arange(length, chunks=rows) * CLASSES // length
    x = classes.map_blocks(
        _images,
        dtype=np.float32,
        chunks=(classes.chunks[0], *((size,) for size in SHAPE)),
        new_axis=[1, 2, 3],
        meta=np.empty((0, *SHAPE), np.float32),
    )
    dask.compute(
        x.to_zarr(place / "x", compute=False, compressors=None),
        classes.to_zarr(place / "y", compute=False),
    )


def _images(classes: np.ndarray, block_id: tuple[int, ...]) -> np.ndarray:
    rng = np.random.Generator(np.random.Philox(block_id[0]))
    noise = rng.random((classes.size, *SHAPE), dtype=np.float32)
    return noise + classes[:, None, None, None].astype(np.float32)


def copy(source: Path, target: Path) -> None:
    """Copy the array to the chunks that mixed ones have."""
    rows = mixed(source)[0].chunks[0][0]
    _write(
        target,
        da.from_zarr(source / "x").rechunk({0: rows}),
        da.from_zarr(source / "y").rechunk({0: rows}),
    )


def mix(source: Path, target: Path) -> None:
    _write(target, *mixed(source))


def mixed(source: Path) -> tuple[da.Array, da.Array]:
    x, y = da.from_zarr(source / "x"), da.from_zarr(source / "y")
    mixed, soft = zeta_mixup(x, y, num_mix=NUM_MIX, batch_size=BATCH, num_classes=CLASSES, seed=0)
    return mixed, soft


def _write(target: Path, x: da.Array, y: da.Array) -> None:
    dask.compute(
        x.to_zarr(target / "x", compute=False, compressors=None),
        y.to_zarr(target / "y", compute=False),
    )


def classes(target: Path) -> dict[str, float]:
    """Return how the classes of soft labels are spread over batches."""
    soft = zarr.open_array(target / "y", mode="r")
    shares, named = [], []
    for start in range(0, soft.shape[0] - BATCH + 1, BATCH * 10):
        batch = np.asarray(soft[start : start + BATCH])
        shares.append(batch.mean(axis=0))
        named.append(np.mean((batch > 0).sum(axis=1)))
    spread = np.asarray(shares)
    return {
        "least share": float(spread.min()),
        "largest share": float(spread.max()),
        "classes in a label": float(np.mean(named)),
    }


# --- report ---------------------------------------------------------------------------------------


def report(results: dict[str, Any]) -> Iterator[str]:
    """Yield the numbers as Markdown."""
    here, settings, times = results["environment"], results["settings"], results["times"]
    packages = ", ".join(f"{name} {version}" for name, version in here["packages"].items())
    yield f"Python {here['python']}, {packages}; {here['processor']}, {here['cores']} cores.\n"
    yield (
        f"{settings['bytes'] / 1e9:.1f} GB of float32 images in chunks of "
        f"{settings['rows of a chunk']:,}, {settings['workers']} workers with one thread and "
        f"{settings['bytes of a worker'] / 1e9:g} GB each; {len(times['mix'])} alternating runs, "
        f"until all is on the disk:\n"
    )
    copies = statistics.median(times["copy"])
    rows = []
    for name, what in {"copy": "copied to the same chunks", "mix": "shuffled and mixed"}.items():
        taken = statistics.median(times[name])
        rows.append(
            [
                what,
                f"{taken:.1f}",
                f"{min(times[name]):.1f}–{max(times[name]):.1f}",
                f"× {taken / copies:.2f}",
                f"{max(results['peaks'][name]) / 1e6:,.0f}",
            ]
        )
    yield markdown(["", "s, median", "range", "relative to a copy", "peak of a worker, MB"], rows)
    found = results["classes"]
    yield (
        f"The array is sorted by its {CLASSES} classes. In a batch of {BATCH} mixed images, each "
        f"class has {found['least share']:.0%} to {found['largest share']:.0%} of the weight of "
        f"the labels, and a soft label has {found['classes in a label']:.1f} classes on average."
    )


if __name__ == "__main__":
    main()
