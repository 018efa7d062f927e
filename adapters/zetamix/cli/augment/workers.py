"""Where the tasks of a Zarr store are computed: in threads, on local workers, or elsewhere."""

from __future__ import annotations

import contextlib
import logging
import math
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import dask
import distributed

from zetamix.cli.augment.options import Options
from zetamix_core.adapting import num_cores

__all__ = ["Compute", "check_memory_limit", "workers"]

# Computes tasks, and yields what they return, as they come.
Compute = Callable[[list[Any]], Iterator[Any]]

_PATIENCE = 10  # seconds for a scheduler to answer
_LEAST_MEMORY = 1 << 28  # bytes; a worker with nothing to do takes most of it
_MOST_BLOCKS = 3  # that one task holds


@contextlib.contextmanager
def workers(options: Options, folder: Path, block: int) -> Iterator[Compute]:
    """Start threads, local workers or a client, as options say; a chunk has `block` bytes."""
    if options.scheduler is not None:
        with _answering(options.scheduler) as client:
            yield _on(client, "give the workers of the scheduler more")
    elif options.memory_limit is not None:
        with _local_cluster(check_memory_limit(options.memory_limit, block), folder) as client:
            yield _on(client, "raise --memory-limit")
    else:
        yield _in_threads


def check_memory_limit(limit: str, block: int) -> int:
    """Return the bytes of a size such as 2GB; refuse those that can't hold some of these blocks."""
    try:
        size = float(dask.utils.parse_bytes(limit))
    except (ValueError, OverflowError):
        size = math.nan
    least = _LEAST_MEMORY + _MOST_BLOCKS * block
    if not least <= size < math.inf:
        raise ValueError(
            f"--memory-limit must be a size such as 2GB, and at least {-(-least // 10**6)}MB, "
            f"which a worker needs for itself and {_MOST_BLOCKS} chunks of {block:,} bytes, got "
            f"{limit!r}; give each worker more, or write the store in smaller chunks"
        )
    return int(size)


def _on(client: Any, remedy: str) -> Compute:
    def compute(tasks: list[Any]) -> Iterator[Any]:
        try:
            for future in distributed.as_completed(client.compute(tasks)):
                yield future.result()
        except distributed.KilledWorker as error:
            raise OSError(
                f"workers were killed repeatedly in the same task, most often for lack of memory; "
                f"{remedy}"
            ) from error
        except CancelledError as error:
            raise OSError("the connection to the scheduler is lost") from error

    return compute


def _in_threads(tasks: list[Any]) -> Iterator[Any]:
    """Compute each task in one thread, so that no more of them are in memory than threads."""
    threads = ThreadPoolExecutor(dask.config.get("num_workers", None) or num_cores())
    try:
        futures = [threads.submit(task.compute, scheduler="sync") for task in tasks]
        for future in as_completed(futures):
            yield future.result()
    finally:
        threads.shutdown(cancel_futures=True)


@contextlib.contextmanager
def _answering(address: str) -> Iterator[Any]:
    try:
        _check_speaks(address)
        client = distributed.Client(address, timeout=_PATIENCE)
    except (OSError, ValueError, TypeError) as error:
        raise ValueError(
            f"--scheduler must be the address of a Dask scheduler that answers within "
            f"{_PATIENCE} s, got {address!r}; start one with `dask scheduler`, or leave it out"
        ) from error
    with client:
        yield client


def _check_speaks(address: str) -> None:
    """Wait for the first byte of a scheduler: a client would wait for ever for what is silent."""
    scheme, _, place = address.rpartition("://")
    if scheme not in ("", "tcp"):
        return
    host, _, port = place.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=_PATIENCE) as connection:
        if not connection.recv(1):
            raise ConnectionError(f"{address} closed the connection")


@contextlib.contextmanager
def _local_cluster(limit: int, folder: Path) -> Iterator[Any]:
    with (
        # A worker of one thread that pauses for lack of memory never goes on.
        dask.config.set({"distributed.worker.memory.pause": False}),
        distributed.LocalCluster(
            n_workers=num_cores(),
            threads_per_worker=1,
            memory_limit=limit,
            local_directory=str(folder / "spill"),
            dashboard_address=":0",
            silence_logs=logging.CRITICAL,  # what matters is raised; the rest looks like a fault
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client
