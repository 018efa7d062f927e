"""What every stream offers, and how arrangements become orderings."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from zetamix_core.arrays import Array, Namespace, device_of


class Stream(ABC):
    """A source of uniform orderings and of random weights."""

    @abstractmethod
    def orderings(self, num_outputs: int, n: int, num_mix: int, *, anchored: bool) -> Array:
        """Return (M, T) sample indices, distinct in a row, all such rows equally likely.

        Anchored rows have sample ``i mod n`` at rank 1, then a uniform arrangement of the others.
        """

    @abstractmethod
    def dirichlet(self, alpha: float, shape: tuple[int, int], *, rounded: bool = True) -> Array:
        """Return rows of a symmetric Dirichlet distribution, `rounded` to the grid of weights."""

    @abstractmethod
    def uniform(self, shape: tuple[int, ...]) -> Array:
        """Return numbers uniform on [0, 1)."""


class ArrangingStream(Stream):
    """A stream that makes orderings of arrangements."""

    xp: Namespace

    def orderings(self, num_outputs: int, n: int, num_mix: int, *, anchored: bool) -> Array:
        if not anchored:
            return self.arrangements(num_outputs, n, num_mix)
        if num_mix == 1:
            return self.anchors(num_outputs, n)
        others = self.arrangements(num_outputs, n - 1, num_mix - 1)
        anchors = self.xp.astype(self.anchors(num_outputs, n), others.dtype)
        # The others are drawn from 0 … n − 2; stepping over the anchor makes them other samples.
        shifted = others + self.xp.astype(others >= anchors, others.dtype)
        return self.xp.concat([anchors, shifted], axis=1)

    @abstractmethod
    def anchors(self, num_outputs: int, n: int) -> Array:
        """Return the (M, 1) column i mod n."""

    @abstractmethod
    def arrangements(self, rows: int, n: int, length: int) -> Array:
        """Return `rows` uniform arrangements of `length` ≥ 1 of n things."""


# --- helpers of the native streams, which must not synchronize and may be traced ------------------

_FLOYD_SHARE = 8


def takes_few(n: int, length: int) -> bool:
    """Tell whether a row takes so few of the n things that permuting all of them is a waste."""
    return length * _FLOYD_SHARE <= n


Step = Callable[[int, Array], Array]


def python_loop(count: int, step: Step, state: Array) -> Array:
    for r in range(count):
        state = step(r, state)
    return state


def floyd(
    xp: Namespace,
    draws: Array,
    n: int,
    loop: Callable[[int, Step, Array], Array] = python_loop,
) -> Array:
    """Return rows of distinct things, each set equally likely, by Floyd's algorithm.

    Column r of `draws` is uniform on 0 … n − T + r. The order within a row is not uniform. There is
    no scatter and no size that depends on the data, so that the loop can be traced.
    """
    length = draws.shape[1]
    columns = xp.arange(length, dtype=draws.dtype, device=device_of(draws))

    def step(r: int, chosen: Array) -> Array:
        here = columns == r
        draw = draws[:, r][:, None]
        repeated = xp.any(chosen == draw, axis=1, keepdims=True)
        return xp.where(here, xp.where(repeated, n - length + r, draw), chosen)

    return loop(length, step, xp.full_like(draws, -1))
