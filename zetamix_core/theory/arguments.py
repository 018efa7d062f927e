"""Checks of the numbers that the functions of theory take."""

import math
from numbers import Real
from typing import SupportsIndex, TypeAlias

from zetamix_core.checks import check_number
from zetamix_core.inputs import shown
from zetamix_core.numbers import as_whole

Count: TypeAlias = SupportsIndex | float  # an integer, or math.inf

LARGEST = 2**1000  # count, where the search for T ends: sums of this many terms fit a float


def check_exponent(gamma: object) -> float:
    """Check an exponent, which may be infinite."""
    remedy = "use gamma=0 for the plain mean"
    return check_number("gamma", gamma, (0, math.inf), rule="a number >= 0", remedy=remedy)


def check_integer(name: str, value: object, rule: str = "an integer >= 1") -> int:
    """Check a number of samples."""
    count = as_whole(value)
    if count is not None and abs(count) > LARGEST:
        raise ValueError(
            f"{name} must be {rule} and at most 2**1000, got one of {count.bit_length()} bits; "
            f"pass the number of samples"
        )
    if count is not None and count >= 1:
        return count
    error = TypeError if count is None else ValueError
    raise error(f"{name} must be {rule}, got {shown(value)}; pass the number of samples")


def check_extent(name: str, value: object) -> float:
    """Check a number of samples that may be infinite."""
    if isinstance(value, Real) and value == math.inf:
        return math.inf
    return check_integer(name, value, "an integer >= 1 or math.inf")


def check_at_most(num_mix: float, n: float) -> None:
    """Check that a mixture has no more samples than there are."""
    if num_mix > n:
        raise ValueError(f"num_mix must be <= n={n}, got {num_mix}; pass min(num_mix, n)")
