"""Blocks of samples in threads, where many small calls of BLAS and LAPACK would not use them."""

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
    contexts = [contextvars.copy_context() for _ in items]  # NumPy's handling of errors is in them

    def run(context: contextvars.Context, item: _Item) -> _Result:
        return context.run(function, item)

    # The limit is one of the process: of two callers at once, the last would not lift it.
    with (
        _LIMITED,
        threadpool_limits(1, user_api="blas"),
        ThreadPoolExecutor(_num_cores()) as threads,
    ):
        return list(threads.map(run, contexts, items))


def _num_cores() -> int:
    available: Any = getattr(os, "sched_getaffinity", None)
    return (len(available(0)) if available else os.cpu_count()) or 1
