"""Schedulers, workers and their death: what `zetamix.dask` makes does not depend on them."""

import hashlib
import importlib
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.pipeline
da = pytest.importorskip("dask.array")
dask = pytest.importorskip("dask")
distributed = pytest.importorskip("distributed")
psutil = pytest.importorskip("psutil")
zarr = pytest.importorskip("zarr")
from zetamix.dask import mix, zeta_mixup  # noqa: E402
from zetamix.rules import Zeta  # noqa: E402

ROWS, CHUNK, SHAPE = 16_640, 333, (3, 32, 32)  # in chunks of 4 MB
SIZE = ROWS * np.prod(SHAPE) * 4  # 204 MB
KEPT = 40_000_000  # data that a worker keeps before it spills
PATIENCE = 240  # seconds


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A store that is sorted by class, with an uneven last chunk."""
    place = tmp_path_factory.mktemp("stores") / "source"
    x = zarr.create_array(
        place / "x", shape=(ROWS, *SHAPE), chunks=(CHUNK, *SHAPE), dtype="float32", compressors=None
    )
    rng = np.random.Generator(np.random.SFC64(0))
    for start in range(0, ROWS, CHUNK):
        x[start : start + CHUNK] = rng.random((min(CHUNK, ROWS - start), *SHAPE), dtype=np.float32)
    classes = np.arange(ROWS) * 10 // ROWS
    zarr.create_array(place / "y", data=classes, chunks=(CHUNK,))
    return place


def mixed(source, rows=ROWS):
    x, y = (da.from_zarr(source / name)[:rows] for name in ("x", "y"))
    return zeta_mixup(x, y, num_mix=4, num_classes=10, seed=1, epoch=2)


def digest(arrays):
    sums = [hashlib.sha256(np.ascontiguousarray(each)).hexdigest() for each in arrays]
    return tuple(sums)


def expected(source, rows=ROWS):
    with dask.config.set(scheduler="threads"):
        return digest(dask.compute(*mixed(source, rows)))


def written(source, target, rows=ROWS):
    """Return the tasks that write a mixed store."""
    x, y = mixed(source, rows)
    return [
        x.to_zarr(target / "x", compute=False, compressors=None),
        y.to_zarr(target / "y", compute=False),
    ]


def digest_of(target):
    return digest([zarr.open_array(target / name, mode="r")[:] for name in ("x", "y")])


@contextmanager
def cluster(workers, folder):
    """Start workers of one thread; those that die are started again.

    They spill by the size of what they keep, and are neither paused nor killed by what a process
    takes: an empty one takes 200 MB on one machine and 300 MB on another.
    """
    memory = {"target": 0.5, "spill": False, "pause": False, "terminate": False}
    options = {"n_workers": workers, "threads_per_worker": 1, "memory_limit": 2 * KEPT}
    options |= {"local_directory": str(folder), "dashboard_address": ":0", "silence_logs": 50}
    with (
        dask.config.set({f"distributed.worker.memory.{key}": memory[key] for key in memory}),
        distributed.LocalCluster(**options) as started,
        distributed.Client(started) as client,
    ):
        yield client


def most_taken(client, tasks):
    """Compute tasks, and return by how much the memory of a worker grew at most."""
    client.run(importlib.import_module, "zetamix.dask")  # what a worker imports is no data
    client.run(importlib.import_module, "zarr")
    processes = [psutil.Process(pid) for pid in client.run(os.getpid).values()]
    empty = [process.memory_info().rss for process in processes]
    grown, start = 0, time.monotonic()
    futures = client.compute(tasks)
    while any(future.status == "pending" for future in futures):
        assert time.monotonic() < start + PATIENCE, client.scheduler_info(n_workers=-1)
        taken = [process.memory_info().rss for process in processes]
        grown = max(grown, *(now - before for now, before in zip(taken, empty, strict=True)))
        time.sleep(0.02)
    client.gather(futures)
    return grown


def test_processes_give_what_threads_give(source):
    found = [
        digest(dask.compute(*mixed(source, 2000), scheduler=scheduler, num_workers=2))
        for scheduler in ("processes", "threads")
    ]
    assert found[0] == found[1]


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_give_what_threads_give(workers, source, tmp_path):
    with cluster(workers, tmp_path / "spilled") as client:
        most = most_taken(client, written(source, tmp_path))
        assert digest_of(tmp_path) == expected(source)
    print(f"{most:,} bytes of memory for an array of {SIZE:,}")
    assert most < SIZE


def pieces_in_memory(dask_scheduler):
    return sum(
        task.state == "memory" and str(key).startswith("('zetamix-piece")
        for key, task in dask_scheduler.tasks.items()
    )


def chunks_written(target):
    return sum(file.is_file() for file in (target / "x").rglob("c/*/*/*/*"))


@pytest.mark.parametrize("moment", ["while it is shuffled", "while it is written"])
def test_a_worker_that_is_killed_changes_nothing(moment, source, tmp_path):
    rows = ROWS // 2
    with cluster(2, tmp_path / "spilled") as client:
        victim = next(iter(client.run(os.getpid).values()))
        tasks = written(source, tmp_path, rows)
        chunks = zarr.open_array(tmp_path / "x", mode="r").nchunks
        futures = client.compute(tasks)
        shuffled = moment == "while it is shuffled"
        while futures[0].status == "pending" and not (
            client.run_on_scheduler(pieces_in_memory) > 20
            if shuffled
            else chunks_written(tmp_path) > 3
        ):
            time.sleep(0.02)
        assert futures[0].status == "pending", "it is in the middle"
        assert chunks_written(tmp_path) < chunks / 2
        os.kill(victim, signal.SIGKILL)
        distributed.wait(futures, timeout=PATIENCE)
        client.gather(futures)
        survivors = client.run(os.getpid).values()
        assert victim not in survivors
        assert digest_of(tmp_path) == expected(source, rows)


def test_the_benchmark_runs(tmp_path):
    program = Path(__file__).parents[2] / "benchmarks" / "beyond_memory.py"
    if not program.is_file():
        pytest.skip("the benchmarks are in checkouts only")
    output = tmp_path / "beyond-memory.json"
    command = [sys.executable, str(program), "--quick", "-o", str(output)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    results = json.loads(output.read_text(encoding="utf-8"))
    assert 0.02 < results["classes"]["least share"] <= results["classes"]["largest share"] < 0.3
    assert results["classes"]["classes in a label"] > 4
    assert min(results["peaks"]["mix"]) > 50_000_000
    assert "shuffled and mixed" in done.stdout


def test_no_step_needs_all_workers_alive():
    """Which the method p2p of Dask does, its choice for many chunks where there is a client."""
    with distributed.Client(processes=False, n_workers=1, dashboard_address=":0"):
        x = da.zeros((20_000, 4, 6), chunks=(20, 1, 1))
        y = da.zeros(20_000, chunks=7, dtype=int)
        rule = Zeta(num_mix=2, donors="same")
        parts = mix(x, y, rule, groups=y, num_classes=2, batch_size=10, seed=0)
        assert not [name for part in parts for name in part.dask.layers if "p2p" in name]
        plain = da.zeros((1000, 1000), chunks=(10, 1000)).rechunk((1000, 10))
        assert [name for name in plain.dask.layers if "p2p" in name], "where it would be chosen"
