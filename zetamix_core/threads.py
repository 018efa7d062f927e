"""Blocks of samples in threads, for NumPy, most of which runs on one core."""

from __future__ import annotations

import contextvars
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

_LIMITED = threading.Lock()

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def map_in_threads(function: Callable[[_Item], _Result], items: Sequence[_Item]) -> list[_Result]:
    """Apply a function of NumPy to items, one thread of BLAS each, if threadpoolctl is there.

    Else one after the other: threads within threads would wait for each other.
    """
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        return [function(item) for item in items]
    # The limit is one of the process: of two callers at once, the last would not lift it.
    with _LIMITED, threadpool_limits(1, user_api="blas"):
        return over_cores(function, items)


def over_cores(function: Callable[[_Item], _Result], items: Sequence[_Item]) -> list[_Result]:
    """Apply a function of NumPy that calls no BLAS to items, on all cores.

    On one core in a thread, too: memory that is freed there and wanted again at once is not given
    back to the system in between, which is most of the time of large blocks.
    """
    contexts = [contextvars.copy_context() for _ in items]  # NumPy's handling of errors is in them

    def run(context: contextvars.Context, item: _Item) -> _Result:
        return context.run(function, item)

    with ThreadPoolExecutor(num_cores()) as threads:
        return list(threads.map(run, contexts, items))


def num_cores() -> int:
    """Return how many threads may be at work: as many as cores, or as OpenMP is told."""
    available: Any = getattr(os, "sched_getaffinity", None)
    cores = (len(available(0)) if available else os.cpu_count()) or 1
    told = os.environ.get("OMP_NUM_THREADS", "")
    return min(cores, int(told)) if told.isdecimal() and int(told) else cores
