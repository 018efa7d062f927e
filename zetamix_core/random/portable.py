"""The portable stream: the same seed, the same indices, on every library, device and release."""

from __future__ import annotations

import numpy as np

from zetamix_core.arrays import Array, from_host
from zetamix_core.dtypes import cast, weights_dtype
from zetamix_core.random.stream import Stream
from zetamix_core.rounding import on_grid_beside

# Rows are handled in blocks of about this many entries, which stay in the cache. The block size has
# no influence on what is drawn.
_BLOCK_ENTRIES = 1 << 17
# Up to this share of the things, redrawing repeats is faster than sorting all (measured). What is
# drawn depends on it: another value would change the golden indices.
_REDRAW_SHARE = 4


class PortableStream(Stream):
    """Draws from the raw 64-bit words of a Philox counter generator, in NumPy.

    NumPy guarantees the words of its bit generators across releases, but not what its Generator
    methods make of them; so indices are made here, from the words alone. Weights and boxes do use
    Generator methods.
    """

    def __init__(self, seed: np.random.SeedSequence, like: Array | None, *, calls: int = 0) -> None:
        self._seed = seed
        self._bits = np.random.Philox(seed)
        self._calls = calls
        self._like = like

    def orderings(self, num_outputs: int, n: int, num_mix: int, *, anchored: bool) -> Array:
        # One array, written in place: memory that is new costs more than the arithmetic.
        indices = np.empty((num_outputs, num_mix), dtype=np.int64)
        if anchored:
            anchors, others = indices[:, :1], indices[:, 1:]
            anchors[:, 0] = np.arange(num_outputs) % n
            if num_mix > 1:
                # Drawn from 0 … n − 2; stepping over the anchor makes them other samples.
                self._arrange(n - 1, others)
                others += others >= anchors
        else:
            self._arrange(n, indices)
        moved = from_host(indices, self._like)
        if moved is indices:
            indices.flags.writeable = False  # so that a plan takes them over without a copy
        return moved

    def dirichlet(self, alpha: float, shape: tuple[int, int], *, rounded: bool = True) -> Array:
        rows, columns = shape
        weights = self._generator().dirichlet(np.full(columns, alpha), rows)
        if rounded:
            return on_grid_beside(weights, self._like)
        return cast(from_host(weights, self._like), weights_dtype(self._like))

    def uniform(self, shape: tuple[int, ...]) -> Array:
        values = from_host(self._generator().random(shape), self._like)
        return cast(values, weights_dtype(self._like))

    def _arrange(self, n: int, out: np.ndarray) -> None:
        """Write uniform arrangements of n things to the rows of `out`."""
        if out.shape[1] * _REDRAW_SHARE <= n:
            self._redraw(n, out)
        else:
            self._sort(n, out)

    def _generator(self) -> np.random.Generator:
        """Return a generator for one more call, far ahead in the stream of the orderings.

        So numbers do not depend on whether orderings were drawn before.
        """
        self._calls += 1
        return np.random.Generator(np.random.Philox(self._seed).jumped(self._calls))

    def _redraw(self, n: int, values: np.ndarray) -> None:
        """Draw with replacement, then redraw entries that repeat an earlier one of their row.

        Relabelling the n things maps this procedure to itself, and carries any arrangement into any
        other; hence all are equally likely.
        """
        values[:] = self._below(n, values.size).reshape(values.shape)
        suspects = np.arange(values.shape[0])
        while suspects.size:
            hit_rows, hit_columns = _repeats(values, suspects)
            values[hit_rows, hit_columns] = self._below(n, hit_rows.size)
            suspects = np.unique(hit_rows)

    def _below(self, n: int, count: int) -> np.ndarray:
        """Return `count` integers, exactly uniform on 0 … n − 1."""
        words = self._bits.random_raw(count)
        limit = np.uint64(2**64 - 1 - 2**64 % n)
        while (too_large := words > limit).any():
            words[too_large] = self._bits.random_raw(np.count_nonzero(too_large))
        # NumPy turns division by a scalar into multiplications; its remainder divides.
        words -= words // np.uint64(n) * np.uint64(n)
        return words.view(np.int64)

    def _sort(self, n: int, values: np.ndarray) -> None:
        """Give each of the n things a random word, sort, and keep the first ones of each row."""
        rows, length = values.shape
        tied: list[np.ndarray] = []
        step = max(1, _BLOCK_ENTRIES // max(n, 1))
        for start in range(0, rows, step):
            block = slice(start, min(start + step, rows))
            count = block.stop - block.start
            values[block], ties = _sort_packed(
                self._bits.random_raw(count * n).reshape(count, n), length
            )
            tied.append(start + ties)
        for row in np.concatenate(tied) if tied else ():
            values[row] = self._permutation(n)[:length]

    def _permutation(self, n: int) -> np.ndarray:
        """Return one permutation, sorted by whole words; drawn again until no two are equal."""
        while True:
            words = self._bits.random_raw(n)
            order = np.argsort(words, kind="stable")
            if np.all(np.diff(words[order]) > 0):
                return order


def _repeats(values: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where, in these rows, an entry repeats one to its left."""
    length = values.shape[1]
    shift = np.int64(max(length - 1, 0).bit_length())
    positions = np.arange(length)
    found_rows, found_columns = [], []
    step = max(1, _BLOCK_ENTRIES // max(length, 1))
    for start in range(0, rows.size, step):
        block = rows[start : start + step]
        # Sorting values with their positions in the low bits brings repeats together, leftmost
        # first.
        keys = (values[block] << shift) | positions
        keys.sort(axis=1)
        sorted_values = keys >> shift
        hits, places = (sorted_values[:, 1:] == sorted_values[:, :-1]).nonzero()
        found_rows.append(block[hits])
        found_columns.append(keys[hits, places + 1] & ((np.int64(1) << shift) - 1))
    return np.concatenate(found_rows), np.concatenate(found_columns)


def _sort_packed(words: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the first `length` of each sorted row of words as indices, and the rows with ties.

    The index takes the place of the low bits of its word, so that one sort in place does it.
    """
    n = words.shape[1]
    bits = np.uint64(max(n - 1, 0).bit_length())
    low = (np.uint64(1) << bits) - np.uint64(1)
    words &= ~low
    words |= np.arange(n, dtype=np.uint64)
    words.sort(axis=1)
    high = words >> bits
    ties = (high[:, 1:] == high[:, :-1]).any(axis=1).nonzero()[0]
    return (words[:, :length] & low).view(np.int64), ties
