"""The portable stream: the same seed, the same indices, on every library, device and release."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from zetamix_core.arrays import Array, from_host
from zetamix_core.donors import Pool, donors_left, on_host, partners
from zetamix_core.dtypes import cast, weights_dtype
from zetamix_core.random.stream import Stream, shortened, sorts, step_over
from zetamix_core.rounding import on_grid_beside

# Rows are handled in blocks of about this many entries, which stay in the cache. The block size has
# no influence on what is drawn.
_BLOCK_ENTRIES = 1 << 17
# Up to this many things, 32 bits hold the places and enough random bits to tie at most one row in
# eight, and sort in half the time. Draws depend on it.
_MOST_IN_32_BITS = 1 << 10


class PortableStream(Stream):
    """Draws from the raw 64-bit words of a Philox counter generator, in NumPy.

    NumPy guarantees the words of its bit generators across releases, but not what its Generator
    methods make of them. So indices are made here, from the words alone; weights and boxes do use
    Generator methods.
    """

    def __init__(self, seed: np.random.SeedSequence, like: Array | None, *, calls: int = 0) -> None:
        self._seed = seed
        self._bits = np.random.Philox(seed)
        self._calls = calls
        self._like = like

    def orderings(self, num_outputs: int, n: int, num_mix: int, *, anchored: bool) -> Array:
        draw = self._by_sorting if sorts(n, num_mix) else self._by_digits
        indices = np.empty((num_outputs, num_mix), dtype=np.int64)
        draw(n, indices, np.arange(num_outputs) % n if anchored else None)
        moved = from_host(indices, self._like)
        if moved is indices:
            indices.flags.writeable = False  # so that a plan takes them over without a copy
        return moved

    def partners(self, pool: Pool, num_mix: int) -> tuple[Array, Array]:
        pool = on_host(pool)
        anchors: Any = pool.anchors
        chosen = np.arange(pool.num_outputs) % pool.n if anchors is None else anchors
        chosen = chosen.astype(np.int32)  # as is every number below: all are less than 2**31
        sorting = num_mix > 1 and sorts(pool.n, num_mix)
        draw = self._places_by_sorting if sorting else self._places_by_digits
        places = draw(pool, chosen, num_mix)
        lengths = np.empty(chosen.size, dtype=np.int64)
        indices = np.empty((chosen.size, num_mix), dtype=np.int64)
        for block in _blocks(chosen.size, num_mix):
            here = places[:, block]
            indices[block], lengths[block] = partners(np, pool, chosen[block], num_mix, here)
        return from_host(indices, self._like), lengths

    def _places_by_digits(self, pool: Pool, anchors: np.ndarray, num_mix: int) -> np.ndarray:
        places = np.empty((num_mix - 1, anchors.size), dtype=np.int32)
        blocks = _blocks(anchors.size, num_mix)
        for block in blocks:
            left = donors_left(np, pool, anchors[block], num_mix)
            np.maximum(left, 1, out=places[:, block])
        if places.size:
            self._below(places.copy().view(np.uint32), places)
        for block in blocks:
            step_over(places[:, block])
        return places

    def _places_by_sorting(self, pool: Pool, anchors: np.ndarray, num_mix: int) -> np.ndarray:
        """Order as many things as a sample may have donors, and keep those that it has."""
        counts = donors_left(np, pool, anchors, 2)[0]
        places = np.empty((anchors.size, num_mix - 1), dtype=np.int32)
        self._sort(pool.width, places, counts)
        return places.T

    def dirichlet(
        self,
        alpha: float,
        shape: tuple[int, int],
        *,
        rounded: bool = True,
        lengths: Array | None = None,
    ) -> Array:
        rows, columns = shape
        if lengths is None:
            weights = self._generator().dirichlet(np.full(columns, alpha), rows)
        else:
            generator = self._generator()
            logs = np.log(generator.standard_gamma(alpha + 1.0, shape))
            # A gamma variate of shape alpha, without underflow where alpha is small.
            logs = logs + np.log1p(-generator.random(shape)) / alpha
            weights = shortened(np, logs, lengths)
        if rounded:
            return on_grid_beside(weights, self._like)
        return cast(from_host(weights, self._like), weights_dtype(self._like))

    def uniform(self, shape: tuple[int, ...]) -> Array:
        values = from_host(self._generator().random(shape), self._like)
        return cast(values, weights_dtype(self._like))

    def _generator(self) -> np.random.Generator:
        """Return a generator for one more call, far ahead in the stream of the orderings.

        So numbers do not depend on whether orderings were drawn before.
        """
        self._calls += 1
        return np.random.Generator(np.random.Philox(self._seed).jumped(self._calls))

    def _by_digits(self, n: int, out: np.ndarray, anchors: np.ndarray | None) -> None:
        """Write arrangements of n things to the rows of `out`, made of one digit per rank."""
        rows, length = out.shape
        ranks = np.empty((length, rows), dtype=np.int32)  # several times faster than as columns
        first = 0
        if anchors is not None:
            ranks[0], first = anchors, 1
        if first < length:
            limits = np.arange(n - first, n - length, -1, dtype=np.uint64)
            self._below(limits[:, None], ranks[first:])
        for block in _blocks(rows, length):
            out[block] = step_over(ranks[:, block]).T

    def _below(self, limits: np.ndarray, out: np.ndarray) -> None:
        """Write to `out` integers exactly uniform below the limits, one per row or per entry.

        An integer is the high half of a word of 32 bits times its limit. Where the low half is less
        than 2**32 modulo the limit, the word is rejected, and drawn again after all others.
        """
        columns = out.shape[1]
        step = 2 * max(1, _BLOCK_ENTRIES // (2 * columns))  # even, because words come in pairs
        rejected = []
        for start in range(0, out.shape[0], step):
            block = slice(start, start + step)
            words = self._words(out[block].shape)
            out[block], bad = _scaled(words, limits[block])
            if bad.any():
                rank, column = bad.nonzero()
                rejected.append((rank + start, column))
        while rejected:
            rank, column = (np.concatenate(places) for places in zip(*rejected, strict=True))
            here = np.broadcast_to(limits, out.shape)[rank, column]
            out[rank, column], bad = _scaled(self._words(rank.shape), here)
            rejected = [(rank[bad], column[bad])] if bad.any() else []

    def _words(self, shape: tuple[int, ...]) -> np.ndarray:
        """Return words of 32 bits, the low half of each raw word first."""
        count = math.prod(shape)
        raw = self._bits.random_raw(-(-count // 2)).astype("<u8", copy=False)
        return raw.view("<u4")[:count].reshape(shape).astype(np.uint32, copy=False)

    def _by_sorting(self, n: int, out: np.ndarray, anchors: np.ndarray | None) -> None:
        """Write the first of n things in a random order to the rows of `out`."""
        if anchors is None:
            self._sort(n, out)
            return
        others = out[:, 1:]
        self._sort(n - 1, others)
        out[:, 0] = anchors
        others += others >= out[:, :1]

    def _sort(self, n: int, out: np.ndarray, counts: np.ndarray | None = None) -> None:
        """Give each of the n things a random word, sort, and keep the first ones of each row.

        With counts (M,), things below the count of a row come first.

        Rows with ties are drawn again after all others, short ones in the same way.
        """
        tied = self._sort_packed(n, out, np.arange(out.shape[0]), counts)
        while tied.size and n <= _MOST_IN_32_BITS:
            tied = self._sort_packed(n, out, tied, counts)
        for row in tied:
            order = self._permutation(n)[None, :]
            order = order if counts is None else _those_below_first(order, counts[[row]])
            out[row] = order[0, : out.shape[1]]

    def _sort_packed(
        self, n: int, out: np.ndarray, rows: np.ndarray, counts: np.ndarray | None
    ) -> np.ndarray:
        """Sort words whose low bits are the thing they stand for; return the rows with ties."""
        draw = self._words if n <= _MOST_IN_32_BITS else self._raw
        tied = [rows[:0]]
        step = 2 * max(1, _BLOCK_ENTRIES // (2 * n))  # even, because words come in pairs
        for start in range(0, rows.size, step):
            block = rows[start : start + step]
            words = draw((block.size, n))
            bits = words.dtype.type((n - 1).bit_length())
            low = (words.dtype.type(1) << bits) - words.dtype.type(1)
            words &= ~low
            words |= np.arange(n, dtype=words.dtype)
            words.sort(axis=1)
            if counts is None:
                out[block] = words[:, : out.shape[1]] & low
            else:
                things = _those_below_first(words & low, counts[block])
                out[block] = things[:, : out.shape[1]]
            words >>= bits
            tied.append(block[(words[:, 1:] == words[:, :-1]).any(axis=1)])
        return tied[1] if len(tied) == 2 else np.concatenate(tied)

    def _raw(self, shape: tuple[int, ...]) -> np.ndarray:
        return self._bits.random_raw(math.prod(shape)).reshape(shape)

    def _permutation(self, n: int) -> np.ndarray:
        """Return one permutation, sorted by whole words; drawn again until no two are equal."""
        while True:
            words = self._bits.random_raw(n)
            order = np.argsort(words, kind="stable")
            if np.all(np.diff(words[order]) > 0):
                return order


def _those_below_first(things: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return rows with the things below the count of each row first, in an unchanged order."""
    beyond = things >= counts[:, None]
    return np.take_along_axis(things, np.argsort(beyond, axis=1, kind="stable"), axis=1)


def _blocks(rows: int, length: int) -> list[slice]:
    """Return slices of many rows of this length."""
    step = max(1, _BLOCK_ENTRIES // length)
    return [slice(start, start + step) for start in range(0, rows, step)]


def _scaled(words: np.ndarray, limits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return words of 32 bits scaled to below the limits, and where they must be drawn again."""
    limits = limits.astype(np.uint64)
    least = np.uint64(2**32) % limits
    products = words * limits
    return products >> np.uint64(32), products.astype(np.uint32) < least
