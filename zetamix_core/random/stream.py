"""What every stream offers, and how digits become orderings."""

from __future__ import annotations

from abc import ABC, abstractmethod

from zetamix_core.arrays import Array, Namespace, device_of
from zetamix_core.donors import Pool, donors_left, moved, partners

# Rows of T of n things are made from digits, which takes T² steps, or by sorting, which takes n:
# whichever is faster (measured). Draws depend on it: another value would change the golden indices.
_DIGITS_SHARE = 8


def sorts(n: int, num_mix: int) -> bool:
    """Return whether orderings of `num_mix` of n things are drawn by sorting all of them."""
    return num_mix * num_mix >= _DIGITS_SHARE * n


class Stream(ABC):
    """A source of uniform orderings and of random weights."""

    @abstractmethod
    def orderings(self, num_outputs: int, n: int, num_mix: int, *, anchored: bool) -> Array:
        """Return (M, T) sample indices, distinct in each row, all such rows equally likely.

        Anchored rows have sample ``i mod n`` at rank 1, then a uniform arrangement of the others.
        """

    @abstractmethod
    def partners(self, pool: Pool, num_mix: int) -> tuple[Array, Array]:
        """Return (M, T) indices: rank 1 is the anchor, the other ranks are donors from a pool.

        Also return, on the host if the stream draws there, how many ranks of each row have a sample
        of their own, in uniform arrangement; the other ranks repeat the anchor.
        """

    @abstractmethod
    def dirichlet(
        self,
        alpha: float,
        shape: tuple[int, int],
        *,
        rounded: bool = True,
        lengths: Array | None = None,
    ) -> Array:
        """Return rows of a symmetric Dirichlet distribution, `rounded` to the grid of weights.

        With `lengths` (M,), row i has ``lengths[i]`` ranks, followed by zeros.
        """

    @abstractmethod
    def uniform(self, shape: tuple[int, ...]) -> Array:
        """Return numbers uniform on [0, 1)."""


class NativeStream(Stream):
    """A stream that draws where the samples are, does not synchronize, and may be traced."""

    xp: Namespace

    def orderings(self, num_outputs: int, n: int, num_mix: int, *, anchored: bool) -> Array:
        ranks = [self.anchors(num_outputs, n)] if anchored else []
        others, left = num_mix - len(ranks), n - len(ranks)
        if not others:
            return self.xp.permute_dims(ranks[0], (1, 0))
        if sorts(n, num_mix):
            drawn = self.permutations(num_outputs, left)[:, :others]
            if not anchored:
                return drawn
            drawn = self.xp.permute_dims(drawn, (1, 0))
            drawn = drawn + self.xp.astype(drawn >= ranks[0], drawn.dtype)
            return self.xp.permute_dims(self.xp.concat([ranks[0], drawn], axis=0), (1, 0))
        first = self.anchors(num_outputs, n)
        counts = left - self.xp.arange(others, dtype=first.dtype, device=device_of(first))[:, None]
        limits = self.xp.broadcast_to(counts, (others, num_outputs))
        digits = self.xp.concat([*ranks, self.digits(limits)], axis=0)
        return self.xp.permute_dims(self.stepped(digits), (1, 0))

    def partners(self, pool: Pool, num_mix: int) -> tuple[Array, Array]:
        anchors = self.anchors(pool.num_outputs, pool.n)[0, :]
        pool = moved(pool, anchors)
        if pool.anchors is not None:
            # Anchors out of range, which can't be seen here, get NaN weights.
            anchors = self.xp.astype(self.xp.clip(pool.anchors, 0, pool.n - 1), anchors.dtype)
        left = donors_left(self.xp, pool, anchors, num_mix)
        limits = self.xp.where(left > 0, left, self.xp.ones_like(left))
        places = self.stepped(self.digits(limits))
        return partners(self.xp, pool, anchors, num_mix, places)

    def stepped(self, digits: Array) -> Array:
        """Turn digits into distinct things in each column; the array may be written to."""
        return step_over(digits)

    @abstractmethod
    def anchors(self, num_outputs: int, n: int) -> Array:
        """Return the (1, M) row i mod n."""

    @abstractmethod
    def digits(self, limits: Array) -> Array:
        """Return integers uniform below the limits, in an array that may be written to."""

    @abstractmethod
    def permutations(self, rows: int, n: int) -> Array:
        """Return `rows` uniform permutations of n things."""


def shortened(xp: Namespace, logs: Array, lengths: Array) -> Array:
    """Return rows whose first ranks are in proportion to exp(logs), followed by zeros."""
    ranks = xp.arange(logs.shape[-1], dtype=lengths.dtype, device=device_of(lengths))
    logs = xp.where(ranks < lengths[:, None], logs, -xp.inf)
    weights = xp.exp(logs - xp.max(logs, axis=-1, keepdims=True))
    return weights / xp.sum(weights, axis=-1, keepdims=True)


def step_over(digits: Array) -> Array:
    """Turn columns of digits into columns of distinct things, in place.

    Digit r counts the things that earlier digits have not taken. From the last but one backwards,
    each digit makes room for itself among those after it, so that in the end all count all things.
    """
    for rank in range(digits.shape[0] - 2, -1, -1):
        later = digits[rank + 1 :]
        later += later >= digits[rank]
    return digits
