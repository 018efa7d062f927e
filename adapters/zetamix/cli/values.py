"""Values of options: what is typed, read as numbers, or refused with the name of the option."""

from __future__ import annotations

import math
from typing import Any

import click

__all__ = ["ALPHA", "GAMMA", "SAMPLES", "SHARE", "Count", "Number", "Numbers"]


class Number(click.ParamType):
    """A number within bounds, both included; what else is typed is refused with rule and remedy."""

    name = "number"

    def __init__(
        self, kind: type[int | float], low: float, high: float, *, rule: str, remedy: str
    ) -> None:
        self.kind, self.low, self.high = kind, low, high
        self.rule, self.remedy = rule, remedy

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        try:
            number = self.kind(value)
        except ValueError:
            number = math.nan
        if not self.low <= number <= self.high:  # true for NaN too
            self.fail(f"{str(value)!r} must be {self.rule}; {self.remedy}.", param, ctx)
        return number


GAMMA = Number(float, 0, math.inf, rule="a number of 0 or more", remedy="the paper uses 2.8")
ALPHA = Number(
    float, 1e-6, 1e6, rule="a number from 1e-6 to 1e6", remedy="1 draws weights uniformly"
)
SHARE = Number(float, 0, 1, rule="a share from 0 to 1", remedy="0.1 allows ten percent")
SAMPLES = Number(
    *(int, 7, math.inf),
    rule="an integer of 7 or more",
    remedy="fewer samples have too few neighbours to measure; the default is 2000",
)


class Numbers(click.ParamType):
    """Numbers with commas between them."""

    name = "numbers"

    def __init__(self, kind: type[int | float], counts: range, low: float = -math.inf) -> None:
        self.kind, self.counts, self.low = kind, counts, low

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, ...]:
        if isinstance(value, tuple):
            return value
        try:
            numbers = tuple(self.kind(part) for part in str(value).split(","))
        except ValueError:
            numbers = ()
        if len(numbers) not in self.counts or not all(each >= self.low for each in numbers):
            few = f"{self.counts[0]} to {self.counts[-1]} comma-separated "
            what = "integers" if self.kind is int else "numbers"
            least = "" if math.isinf(self.low) else f" of {self.low:g} or more"
            self.fail(f"{value!r} must be {few}{what}{least}.", param, ctx)
        return numbers


class Count(click.ParamType):
    """A number of samples, perhaps infinite."""

    name = "count"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        try:
            number = math.inf if value == "inf" else int(str(value))
        except ValueError:
            number = 0
        if number < 1 or 10**12 < number < math.inf:
            self.fail(f"{value!r} must be an integer from 1 to 10**12, or inf.", param, ctx)
        return number
