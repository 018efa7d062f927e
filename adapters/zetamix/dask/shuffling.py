"""A shuffle of Dask arrays in three steps, each of which keeps the size of blocks.

Pieces of blocks have as many rows as they need, and are written to their places at once: Dask's
rechunking would want all of one length, and join them before they are permuted.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from functools import partial
from itertools import product
from operator import getitem
from typing import Any

import numpy as np
from dask.array import Array
from dask.base import tokenize
from dask.highlevelgraph import HighLevelGraph

from zetamix_core import permutation
from zetamix_core.adapting import from_host, namespace, stream_for

__all__ = ["Shuffle", "joined"]

# A block of this many bytes is too large for a worker.
_LARGEST_BLOCK = 1 << 31
# A scheduler takes up to a millisecond for each task, in which memory moves about a megabyte.
_MOST_TASKS = 1 << 17
_LEAST_BYTES = 1 << 18
# What is smaller than this may be one task, however small its parts are.
_SMALL_BYTES = 1 << 22


@dataclasses.dataclass(frozen=True)
class Shuffle:
    """How the rows of arrays with the same chunks are shuffled; the same for each of them.

    Source blocks of `rows` rows, the last one of what is left, are permuted, and their rows dealt
    out like cards to blocks of `dealt` rows, which are permuted in turn. A last block of what is
    left gets its share of each source block before. Both begin at random, `first`, so that each row
    may come to each place with the same probability.
    """

    length: int
    rows: int
    dealt: int
    key: tuple[int, ...]
    first: tuple[int, int]

    @classmethod
    def of(cls, x: Array, batch_size: int, key: tuple[int, ...]) -> Shuffle:
        """Return the shuffle for an array by its chunks along the first axis, to whole batches.

        Blocks have at least √N rows, so that there are no more of them than a block has rows.
        """
        length, largest = x.shape[0], max(x.chunks[0])
        rows = min(length, max(largest, math.isqrt(length - 1) + 1))
        row_bytes = x.dtype.itemsize * math.prod(x.chunksize[1:])
        if rows > largest and rows * row_bytes > _LARGEST_BLOCK:
            raise ValueError(
                f"a shuffle needs blocks of at least {rows} samples, the root of their number, got "
                f"chunks of at most {largest} samples of {row_bytes:,} bytes; cut samples into "
                f"chunks, too, or take them one by one, as in x[zetamix.permutation(len(x), seed)]"
            )
        stream = stream_for(key, None)
        dealt = max(1, rows // batch_size) * batch_size
        first, second = (
            int(stream.orderings(1, below, 1, anchored=False)[0, 0])
            for below in (length, max(1, length // dealt))
        )
        return cls(length, rows, dealt, key, (first, second))

    @property
    def sources(self) -> tuple[int, ...]:
        """Lengths of the source blocks."""
        return _cut_evenly(self.length, self.rows)

    @property
    def targets(self) -> tuple[int, ...]:
        """Lengths of the output blocks."""
        return _cut_evenly(self.length, self.dealt)

    def counts(self, sources: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Return how many rows output blocks get from source blocks, by broadcasting numbers."""
        whole, rest = divmod(self.length, self.dealt)
        begin, end = (
            np.minimum(blocks * self.rows, self.length) for blocks in (sources, sources + 1)
        )
        before, after = ((rows * rest + self.first[0]) // self.length for rows in (begin, end))
        if whole == 0:
            return np.broadcast_to(after - before, np.broadcast(before, targets).shape)
        # Cards from here to there, of which every `whole`-th goes to the same block.
        here, there = begin - before + self.first[1], end - after + self.first[1]
        dealt = (there - targets - 1) // whole - (here - targets - 1) // whole
        counts: np.ndarray = np.where(targets < whole, dealt, after - before)
        return counts

    def __call__(self, x: Array) -> Array:
        """Return an array, whose chunks along the first axis are those of the first one, shuffled.

        Nothing is read before it is computed.
        """
        x = x.rechunk({0: self.sources}, method="tasks")
        name = f"zetamix-shuffled-{tokenize(x.name, self)}"
        graph = self._orders()
        for places in product(*map(range, x.numblocks[1:])):
            graph.update(self._turned(x, name, places))
        return Array(
            HighLevelGraph.from_collections(name, graph, dependencies=[x]),
            name,
            chunks=(self.targets, *x.chunks[1:]),
            meta=x._meta,
        )

    def _orders(self) -> dict[Any, Any]:
        """Return tasks for the orders of source blocks, the same for all arrays."""
        order = f"zetamix-order-{tokenize(self)}"
        return {
            (order, number): (partial(_order, self), number) for number in range(len(self.sources))
        }

    def _turned(self, x: Array, name: str, places: tuple[int, ...]) -> dict[Any, Any]:
        """Return tasks that take source blocks apart, and join their pieces to output blocks.

        Where pieces would be too many or too small, those for several outputs in a row are one
        task, and are parted after those of several source blocks have come together.
        """
        order, token = f"zetamix-order-{tokenize(self)}", tokenize(x.name, self)
        piece, bundle, part = (f"zetamix-{what}-{token}" for what in ("piece", "bundle", "part"))
        together = self._together(x)
        sources, targets = (_spans(len(each), together) for each in (self.sources, self.targets))
        graph: dict[Any, Any] = {}
        for number in range(len(self.sources)):
            block = (x.name, number, *places)
            for group, span in enumerate(targets):
                taken = partial(_piece, self, number=number, span=span)
                graph[(piece, number, group, *places)] = (taken, block, (order, number))
        parts = piece
        if together > 1:
            parts = part
            for (row, those), (column, span) in product(enumerate(sources), enumerate(targets)):
                key = (bundle, row, column, *places)
                pieces = [(piece, number, column, *places) for number in range(*those)]
                graph[key] = (partial(_bundle, self, sources=those, targets=span), pieces)
                for index, target in enumerate(range(*span)):
                    graph[(part, row, target, *places)] = (getitem, key, index)
        for target in range(len(self.targets)):
            rows = [(parts, row, target, *places) for row in range(len(sources))]
            graph[(name, target, *places)] = (partial(joined, self), rows, target)
        return graph

    def _together(self, x: Array) -> int:
        """Return for how many outputs in a row pieces are cut at once.

        As many pieces of as many source blocks come together, which must be no larger than a
        block, though there may be more tasks then.
        """
        pieces = len(self.sources) * len(self.targets)
        block_bytes = self.rows * x.dtype.itemsize * math.prod(x.chunksize[1:])
        piece_bytes: int = 1 + block_bytes // len(self.targets)
        few: int = -(-2 * pieces * math.prod(x.numblocks[1:]) // _MOST_TASKS)
        most = math.isqrt(max(block_bytes, _SMALL_BYTES) // piece_bytes)
        return max(1, min(len(self.targets), most, max(few, _LEAST_BYTES // piece_bytes)))


def _cut_evenly(length: int, size: int) -> tuple[int, ...]:
    whole, rest = divmod(length, size)
    return (size,) * whole + ((rest,) if rest else ())


def _spans(length: int, size: int) -> list[tuple[int, int]]:
    """Return where parts of this size begin and end."""
    return [(start, min(length, start + size)) for start in range(0, length, size)]


def _order(shuffle: Shuffle, number: int) -> np.ndarray:
    """Return the permutation of a source block."""
    return permutation(shuffle.sources[number], (*shuffle.key, 0, number))


def _piece(
    shuffle: Shuffle, block: Any, order: np.ndarray, *, number: int, span: tuple[int, int]
) -> Any:
    """Take the rows of a source block for outputs in a row.

    It is a copy: a view of a block would keep all of it in memory.
    """
    if block.shape[0] != order.size:
        raise ValueError(
            f"blocks must have the size that their array declares, got {block.shape[0]} rows in a "
            f"block of {order.size}; correct the chunks, or call compute_chunk_sizes() first"
        )
    counts = shuffle.counts(np.asarray(number), np.arange(span[1]))
    rows = order[counts[: span[0]].sum() : counts.sum()]
    return namespace(block).take(block, from_host(rows, block), axis=0)


def _bundle(
    shuffle: Shuffle, pieces: list[Any], *, sources: tuple[int, int], targets: tuple[int, int]
) -> list[Any]:
    """Join what pieces of source blocks in a row have for each output."""
    counts = shuffle.counts(np.arange(*sources)[:, None], np.arange(*targets))
    ends = np.cumsum(counts, axis=1)
    return [
        np.concatenate(
            [piece[end - count : end] for piece, end, count in zip(pieces, *each, strict=True)]
        )
        for each in zip(ends.T, counts.T, strict=True)
    ]


def joined(shuffle: Shuffle, parts: Iterable[Any], number: int) -> Any:
    """Write the rows of an output block, one part after the other, to where they belong."""
    order = permutation(shuffle.targets[number], (*shuffle.key, 1, number))
    places = np.empty_like(order)
    places[order] = np.arange(order.size)
    block, start = None, 0
    for part in parts:
        if block is None:
            block = np.empty_like(part, shape=(order.size, *part.shape[1:]))
        block[from_host(places[start : start + len(part)], part)] = part
        start += len(part)
    return block
