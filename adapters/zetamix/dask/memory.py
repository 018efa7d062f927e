"""Check, before a shuffle starts, that it has the memory or the disk that it needs."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import dask
from dask.base import get_scheduler, named_schedulers

__all__ = ["check_room"]

_CLUSTER = "distributed.Client(distributed.LocalCluster(n_workers=2, threads_per_worker=1))"


def check_room(size: int) -> None:
    """Check that the scheduler in use can hold an array of `size` bytes, in memory or on disk.

    Schedulers in one process hold all of a shuffled array; workers of a cluster spill.
    """
    try:
        get = get_scheduler()
    except RuntimeError:  # an asynchronous client, whose workers are not asked here
        return
    client = getattr(get, "__self__", None)
    if hasattr(client, "scheduler_info"):
        _check_disk(client, size)
    elif get is None or get in named_schedulers.values():
        _check_memory(size)


def _check_memory(size: int) -> None:
    free = _free_memory()
    if free is not None and size > free / 2:
        name = dask.config.get("scheduler", None) or "threads"
        raise MemoryError(
            f"a shuffle on the scheduler {name!r} keeps the array in memory, which must take at "
            f"most half of the free memory, got {size:,} bytes of {free:,}; first start workers "
            f"that spill to disk, under if __name__ == '__main__': client = {_CLUSTER}"
        )


def _free_memory() -> int | None:
    try:
        import psutil
        from distributed.system import MEMORY_LIMIT
    except ImportError:  # both come with the extra
        return None
    return min(int(psutil.virtual_memory().available), int(MEMORY_LIMIT))


def _check_disk(client: Any, size: int) -> None:
    """Check the disks of workers on this machine; disks of other machines can't be checked."""
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    here = [each for each in workers if Path(each["local_directory"]).is_dir()]
    if not here or len(here) < len(workers) or 0 in {each["memory_limit"] for each in here}:
        return
    memory = sum(each["memory_limit"] for each in here)
    folders = {Path(each["local_directory"]) for each in here}
    disks = {folder.stat().st_dev: shutil.disk_usage(folder).free for folder in folders}
    free = sum(disks.values())
    if size > memory / 2 and size > free:
        folder = min(folders)
        raise OSError(
            f"a shuffle of more than half of the memory of all workers spills to disk, which must "
            f"have space for the array, got {size:,} bytes for {free:,} at {folder}; free some "
            f"space, or pass LocalCluster(local_directory=...) a folder on a larger disk"
        )
