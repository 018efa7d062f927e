"""A shuffle of Dask arrays in three steps, each of which keeps the size of blocks."""

from __future__ import annotations

import dataclasses
import math
from functools import partial
from itertools import product
from typing import Any

import numpy as np
from dask.array import Array
from dask.base import tokenize
from dask.highlevelgraph import HighLevelGraph

from zetamix_core import permutation
from zetamix_core.adapting import from_host, namespace, stream_for

__all__ = ["Shuffle"]

# A block of this many bytes is too large for a worker.
_LARGEST_BLOCK = 1 << 31
# A scheduler takes up to a millisecond for each task, in which memory moves about a megabyte.
_MOST_TASKS = 1 << 17
_LEAST_BYTES = 1 << 18
_MOST_PADDING = 1.25


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
        dealt = _dealt(length, rows, batch_size)
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

    @property
    def depth(self) -> int:
        """Most rows that a piece may have."""
        return _depth(self.length, self.rows, self.dealt)

    @property
    def padding(self) -> float:
        """How much larger the array is while short pieces are padded."""
        return len(self.targets) * self.depth / self.rows

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
        cut = self._cut(x.rechunk({0: self.sources}, method="tasks"))
        turned = cut.rechunk({0: len(self.sources), 1: 1}, method="tasks")
        return turned.map_blocks(
            partial(_joined, self),
            drop_axis=[0, 2],
            chunks=(self.targets, *x.chunks[1:]),
            dtype=x.dtype,
            meta=x._meta,
        )

    def _cut(self, x: Array) -> Array:
        """Return an array (blocks, pieces, depth, ...) of the pieces, with padding for short ones.

        Pieces are tasks, and copies: views of a block would keep all of it in memory. Where they
        are too many or too small, several in a row are one task, and rechunking takes them apart.
        """
        sources, targets = len(self.sources), len(self.targets)
        row_bytes = x.dtype.itemsize * math.prod(x.chunksize[1:])
        few = -(-sources * targets * math.prod(x.numblocks[1:]) // _MOST_TASKS)
        together = min(targets, max(few, _LEAST_BYTES // (self.depth * row_bytes + 1)))
        groups = _cut_evenly(targets, together)
        # Orders are those of all arrays that are shuffled alike.
        order, piece = f"zetamix-order-{tokenize(self)}", f"zetamix-piece-{tokenize(x.name, self)}"
        graph: dict[Any, Any] = {}
        for number in range(sources):
            graph[order, number] = (partial(_order, self), number)
            for places in product(*map(range, x.numblocks[1:])):
                block = (x.name, number, *places)
                for group, size in enumerate(groups):
                    graph[(piece, number, group, 0, *places)] = (
                        *(partial(_pieces, self), block, (order, number), number),
                        *(group * together, group * together + size),
                    )
        return Array(
            HighLevelGraph.from_collections(piece, graph, dependencies=[x]),
            piece,
            chunks=((1,) * sources, groups, (self.depth,), *x.chunks[1:]),
            meta=x._meta[:, None, None],
        )


def _depth(length: int, rows: int, dealt: int) -> int:
    whole, rest = divmod(length, dealt)
    to_last = rows * rest
    most = -(-to_last // length)
    return max(most, -(-(rows - to_last // length) // whole)) if whole else most


def _dealt(length: int, rows: int, batch_size: int) -> int:
    """Return the size of output blocks: whole batches, at most the size of a source block.

    It is the largest with little padding, down to half of the source block: pieces of hardly more
    than a row would be padded to two.
    """
    most = max(1, rows // batch_size)
    sizes = [count * batch_size for count in range(most, most // 2, -1)]
    padded = [-(-length // size) * _depth(length, rows, size) / rows for size in sizes]
    least = max(_MOST_PADDING, min(padded))
    return next(size for size, each in zip(sizes, padded, strict=True) if each <= least)


def _cut_evenly(length: int, size: int) -> tuple[int, ...]:
    whole, rest = divmod(length, size)
    return (size,) * whole + ((rest,) if rest else ())


def _order(shuffle: Shuffle, number: int) -> np.ndarray:
    """Return the permutation of a source block."""
    return permutation(shuffle.sources[number], (*shuffle.key, 0, number))


def _pieces(
    shuffle: Shuffle, block: Any, order: np.ndarray, number: int, start: int, stop: int
) -> Any:
    """Take pieces of a permuted source block, short ones with a row of padding."""
    if block.shape[0] != order.size:
        raise ValueError(
            f"blocks must have the size that their array declares, got {block.shape[0]} rows in a "
            f"block of {order.size}; correct the chunks, or call compute_chunk_sizes() first"
        )
    ends = np.cumsum(shuffle.counts(np.asarray(number), np.arange(len(shuffle.targets))))
    firsts = np.concatenate([[0], ends[:-1]])[start:stop]
    places = np.minimum(firsts[:, None] + np.arange(shuffle.depth), order.size - 1)
    taken = _taken(block, order[places.ravel()])
    return taken.reshape(1, *places.shape, *block.shape[1:])


def _joined(shuffle: Shuffle, block: Any, block_id: tuple[int, ...]) -> Any:
    """Join the pieces of an output block without their padding, and permute it."""
    number = block_id[0]
    lengths = shuffle.counts(np.arange(block.shape[0]), np.asarray(number))
    rows = np.flatnonzero(np.arange(block.shape[2]) < lengths[:, None])
    rows = rows[permutation(rows.size, (*shuffle.key, 1, number))]
    return _taken(block.reshape(-1, *block.shape[3:]), rows)


def _taken(block: Any, rows: np.ndarray) -> Any:
    return namespace(block).take(block, from_host(rows, block), axis=0)
