"""Blocks of samples in threads, for NumPy, which mostly runs on one core."""

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
    """Apply a NumPy function to items in threads, one BLAS thread each, if threadpoolctl exists.

    Otherwise one after the other: threads within threads would wait for each other.
    """
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        return [function(item) for item in items]
    # The limit is per process: of two concurrent callers, the last would not lift it.
    with _LIMITED, threadpool_limits(1, user_api="blas"):
        return over_cores(function, items)


def over_cores(function: Callable[[_Item], _Result], items: Sequence[_Item]) -> list[_Result]:
    """Apply a NumPy function that calls no BLAS to items, on all cores.

    A thread is used on one core, too: there, memory that is freed and needed again at once is not
    returned to the system in between, which takes most of the time of large blocks.
    """
    contexts = [contextvars.copy_context() for _ in items]  # they hold NumPy's error handling

    def run(context: contextvars.Context, item: _Item) -> _Result:
        return context.run(function, item)

    with ThreadPoolExecutor(num_cores()) as threads:
        return list(threads.map(run, contexts, items))


def num_cores() -> int:
    """Return how many threads may run: the number of cores, or what OpenMP is set to."""
    available: Any = getattr(os, "sched_getaffinity", None)
    cores = (len(available(0)) if available else os.cpu_count()) or 1
    told = os.environ.get("OMP_NUM_THREADS", "")
    return min(cores, int(told)) if told.isdecimal() and int(told) else cores
