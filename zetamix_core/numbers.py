"""Which arguments count as numbers, and as which number."""

from __future__ import annotations

import contextlib
import math
import operator
import sys
from numbers import Real
from typing import Any, SupportsIndex

import numpy as np

# A tuple, because Dynamo does not trace unions of NumPy's types; most often the first.
_NUMBERS: tuple[Any, ...] = (int, float, np.integer, np.floating, Real)


def is_whole_number(x: object) -> bool:
    """Return whether `x` is a whole number, perhaps a symbol as in a graph of dynamic shape."""
    if type(x) is int:  # most often
        return True
    torch = sys.modules.get("torch")
    symbolic = torch is not None and isinstance(x, torch.SymInt)
    return symbolic or (isinstance(x, (int, np.integer)) and not isinstance(x, bool))


def as_whole(value: Any) -> int | None:
    """Return a whole number as an int, None for anything else.

    An array of one integer without axes counts; a symbol of torch stays one.
    """
    if is_whole_number(value):
        return int(value) if isinstance(value, np.integer) else value
    if isinstance(value, SupportsIndex) and not isinstance(value, (bool, np.bool)):
        with contextlib.suppress(TypeError):  # among arrays, only single integers are an index
            return operator.index(value)
    return None


def as_real(value: Any) -> float | None:
    """Return a real number as the nearest float, None for anything else.

    Integers beyond all floats become infinite; bool is not a number.
    """
    if isinstance(value, bool) or not isinstance(value, _NUMBERS):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
