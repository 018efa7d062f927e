"""A shuffle of Dask arrays in three steps, of which each keeps blocks at their size."""

from __future__ import annotations

import dataclasses
import math
from functools import partial
from typing import Any

import numpy as np
from dask.array import Array

from zetamix_core import permutation
from zetamix_core.adapting import from_host, namespace

__all__ = ["Shuffle"]

# A block of this many bytes is too large for a worker.
_LARGEST_BLOCK = 1 << 31


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

    def lengths(self, pieces: np.ndarray) -> np.ndarray:
        """Return the lengths (blocks, len(pieces)) of some pieces of all blocks.

        Pieces that are longer by one go on, from block to block, where those of the last one ended,
        so that output blocks differ by one row at most.
        """
        sizes = np.asarray(self.sizes)
        short, longer = np.divmod(sizes, self.pieces)
        first = np.cumsum(longer) - longer
        turn = (pieces - first[:, None]) % self.pieces
        lengths: np.ndarray = short[:, None] + (turn < longer[:, None])
        return lengths

    def __call__(self, x: Array) -> Array:
        """Return an array, whose chunks along the first axis are those of the first one, shuffled.

        Nothing is read before it is computed.
        """
        trailing = x.chunks[1:]
        cut = x.rechunk({0: self.sizes}).map_blocks(
            partial(_cut, self),
            new_axis=[1, 2],
            chunks=((1,) * self.blocks, (self.pieces,), (self.depth,), *trailing),
            dtype=x.dtype,
            meta=x._meta[:, None, None],
        )
        turned = cut.rechunk({0: self.blocks, 1: 1}, method="tasks")
        sizes = tuple(self.lengths(np.arange(self.pieces)).sum(axis=0).tolist())
        return turned.map_blocks(
            partial(_joined, self),
            drop_axis=[0, 2],
            chunks=(sizes, *trailing),
            dtype=x.dtype,
            meta=x._meta,
        )


def _cut(shuffle: Shuffle, block: Any, block_id: tuple[int, ...]) -> Any:
    """Permute a source block, and lay its pieces side by side, short ones with a row of padding."""
    number = block_id[0]
    order = permutation(block.shape[0], (*shuffle.key, 0, number))
    lengths = shuffle.lengths(np.arange(shuffle.pieces))[number]
    starts = np.cumsum(lengths) - lengths
    places = starts[:, None] + np.arange(shuffle.depth)
    rows = order[np.minimum(places, order.size - 1)]
    return _taken(block, rows.ravel()).reshape(1, *rows.shape, *block.shape[1:])


def _joined(shuffle: Shuffle, block: Any, block_id: tuple[int, ...]) -> Any:
    """Join the pieces of an output block without their padding, and permute it."""
    number = block_id[0]
    lengths = shuffle.lengths(np.asarray([number]))
    rows = np.flatnonzero(np.arange(shuffle.depth) < lengths)
    rows = rows[permutation(rows.size, (*shuffle.key, 1, number))]
    return _taken(block.reshape(-1, *block.shape[3:]), rows)


def _taken(block: Any, rows: np.ndarray) -> Any:
    return namespace(block).take(block, from_host(rows, block), axis=0)
