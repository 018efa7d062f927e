"""A shuffle of Dask arrays in three steps, of which each keeps blocks at their size."""

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
        dealt = max(1, rows // batch_size) * batch_size
        stream = stream_for(key, None)
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

    def pieces(self, block: int) -> np.ndarray:
        """Return how many rows of a source block each output block gets."""
        whole, rest = divmod(self.length, self.dealt)
        ends = np.minimum(np.asarray([block, block + 1]) * self.rows, self.length)
        to_last = (ends * rest + self.first[0]) // self.length
        if whole == 0:
            return np.diff(to_last)
        # Cards from here to there, of which every `whole`-th goes to the same block.
        here, there = ends - to_last + self.first[1]
        before = np.arange(whole) + 1
        dealt = (there - before) // whole - (here - before) // whole
        return np.concatenate([dealt, np.diff(to_last)]) if rest else dealt

    @property
    def depth(self) -> int:
        """Most rows that a piece may have."""
        whole, rest = divmod(self.length, self.dealt)
        to_last = self.rows * rest
        most = -(-to_last // self.length)
        return max(most, -(-(self.rows - to_last // self.length) // whole)) if whole else most

    def __call__(self, x: Array) -> Array:
        """Return an array, whose chunks along the first axis are those of the first one, shuffled.

        Nothing is read before it is computed.
        """
        turned = self._cut(x.rechunk({0: self.sources})).rechunk(
            {0: len(self.sources), 1: 1}, method="tasks"
        )
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
        few = -(-sources * targets // _MOST_TASKS)
        together = min(targets, max(few, _LEAST_BYTES // (self.depth * row_bytes + 1)))
        groups = _cut_evenly(targets, together)
        token = tokenize(x.name, self)
        order, piece = f"zetamix-order-{token}", f"zetamix-piece-{token}"
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
    ends = np.cumsum(shuffle.pieces(number))
    firsts = np.concatenate([[0], ends[:-1]])[start:stop]
    places = np.minimum(firsts[:, None] + np.arange(shuffle.depth), order.size - 1)
    taken = _taken(block, order[places.ravel()])
    return taken.reshape(1, *places.shape, *block.shape[1:])


def _joined(shuffle: Shuffle, block: Any, block_id: tuple[int, ...]) -> Any:
    """Join the pieces of an output block without their padding, and permute it."""
    number = block_id[0]
    lengths = [[shuffle.pieces(source)[number]] for source in range(block.shape[0])]
    rows = np.flatnonzero(np.arange(block.shape[2]) < lengths)
    rows = rows[permutation(rows.size, (*shuffle.key, 1, number))]
    return _taken(block.reshape(-1, *block.shape[3:]), rows)


def _taken(block: Any, rows: np.ndarray) -> Any:
    return namespace(block).take(block, from_host(rows, block), axis=0)
