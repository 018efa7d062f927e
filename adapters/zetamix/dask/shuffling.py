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
from zetamix_core.adapting import from_host, namespace

__all__ = ["Shuffle"]

# A block of this many bytes is too large for a worker.
_LARGEST_BLOCK = 1 << 31
# A scheduler takes about a millisecond for each task.
_MOST_TASKS = 1 << 17


@dataclasses.dataclass(frozen=True)
class Shuffle:
    """How the rows of arrays with the same chunks are shuffled; the same for each of them.

    Source blocks of `rows` rows, the last one of what is left, are permuted and cut into `pieces`,
    as even as possible; output block j is made of the pieces j of all blocks, and permuted.
    """

    length: int
    rows: int
    key: tuple[int, ...]

    @classmethod
    def of(cls, x: Array, key: tuple[int, ...]) -> Shuffle:
        """Return the shuffle for an array, by its chunks along the first axis.

        Blocks have at least √N rows, so that there are no more of them than a block has rows.
        """
        length = x.shape[0]
        rows = min(length, max(*x.chunks[0], math.isqrt(length - 1) + 1))
        row_bytes = x.dtype.itemsize * math.prod(max(sizes) for sizes in x.chunks[1:])
        if rows > max(x.chunks[0]) and rows * row_bytes > _LARGEST_BLOCK:
            raise ValueError(
                f"a shuffle needs blocks of at least {rows} samples, the root of their number, got "
                f"chunks of at most {max(x.chunks[0])} samples of {row_bytes:,} bytes; cut samples "
                f"into chunks, too, or take them one by one, as in x[zetamix.permutation(len(x), "
                f"seed)]"
            )
        return cls(length, rows, key)

    @property
    def blocks(self) -> int:
        """Number of source blocks."""
        return -(-self.length // self.rows)

    @property
    def depth(self) -> int:
        """Most rows of a piece."""
        return max(1, self.rows // self.blocks)

    @property
    def pieces(self) -> int:
        """Number of pieces of a source block, and of output blocks."""
        return -(-self.rows // self.depth)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Lengths of the source blocks."""
        whole, rest = divmod(self.length, self.rows)
        return (self.rows,) * whole + ((rest,) if rest else ())

    def lengths(self, blocks: np.ndarray, pieces: np.ndarray) -> np.ndarray:
        """Return the lengths (len(blocks), len(pieces)) of pieces of source blocks.

        Those that are longer by one go on, from block to block, where those of the last one ended,
        so that output blocks differ by one row at most.
        """
        sizes = np.minimum(self.rows, self.length - blocks * self.rows)
        short, longer = np.divmod(sizes, self.pieces)
        first = blocks * (self.rows % self.pieces)
        turn = (pieces - first[:, None]) % self.pieces
        lengths: np.ndarray = short[:, None] + (turn < longer[:, None])
        return lengths

    def __call__(self, x: Array) -> Array:
        """Return an array, whose chunks along the first axis are those of the first one, shuffled.

        Nothing is read before it is computed.
        """
        turned = self._cut(x.rechunk({0: self.sizes})).rechunk(
            {0: self.blocks, 1: 1}, method="tasks"
        )
        lengths = self.lengths(np.arange(self.blocks), np.arange(self.pieces))
        return turned.map_blocks(
            partial(_joined, self),
            drop_axis=[0, 2],
            chunks=(tuple(lengths.sum(axis=0).tolist()), *x.chunks[1:]),
            dtype=x.dtype,
            meta=x._meta,
        )

    def _cut(self, x: Array) -> Array:
        """Return an array (blocks, pieces, depth, ...) of the pieces, with padding for short ones.

        Pieces are tasks, and copies: views of a block would keep all of it in memory. Where there
        are too many, several in a row are one task, and rechunking takes them apart.
        """
        together = -(-self.blocks * self.pieces // _MOST_TASKS)
        starts = range(0, self.pieces, together)
        groups = tuple(min(together, self.pieces - start) for start in starts)
        token = tokenize(x.name, self)
        order, piece = f"zetamix-order-{token}", f"zetamix-piece-{token}"
        graph: dict[Any, Any] = {}
        for number in range(self.blocks):
            graph[order, number] = (partial(_order, self), number)
            for places in product(*map(range, x.numblocks[1:])):
                block = (x.name, number, *places)
                for group, start in enumerate(starts):
                    graph[(piece, number, group, 0, *places)] = (
                        *(partial(_pieces, self), block, (order, number), number),
                        *(start, start + groups[group]),
                    )
        return Array(
            HighLevelGraph.from_collections(piece, graph, dependencies=[x]),
            piece,
            chunks=((1,) * self.blocks, groups, (self.depth,), *x.chunks[1:]),
            meta=x._meta[:, None, None],
        )


def _order(shuffle: Shuffle, number: int) -> np.ndarray:
    """Return the permutation of a source block."""
    return permutation(shuffle.sizes[number], (*shuffle.key, 0, number))


def _pieces(
    shuffle: Shuffle, block: Any, order: np.ndarray, number: int, start: int, stop: int
) -> Any:
    """Take pieces of a permuted source block, short ones with a row of padding."""
    lengths = shuffle.lengths(np.asarray([number]), np.arange(shuffle.pieces))[0]
    ends = np.cumsum(lengths)
    firsts = np.concatenate([[0], ends[:-1]])[start:stop]
    places = np.minimum(firsts[:, None] + np.arange(shuffle.depth), order.size - 1)
    taken = _taken(block, order[places.ravel()])
    return taken.reshape(1, *places.shape, *block.shape[1:])


def _joined(shuffle: Shuffle, block: Any, block_id: tuple[int, ...]) -> Any:
    """Join the pieces of an output block without their padding, and permute it."""
    number = block_id[0]
    lengths = shuffle.lengths(np.arange(shuffle.blocks), np.asarray([number]))
    rows = np.flatnonzero(np.arange(shuffle.depth) < lengths)
    rows = rows[permutation(rows.size, (*shuffle.key, 1, number))]
    return _taken(block.reshape(-1, *block.shape[3:]), rows)


def _taken(block: Any, rows: np.ndarray) -> Any:
    return namespace(block).take(block, from_host(rows, block), axis=0)
