"""The shuffle of `zetamix.dask`, through files that a resumed run finds.

A file holds the permuted rows of a source block: those for the first block of the result first. So
each file is written from one block, and each block of the result is read from a range of each file;
no process ever holds more than one block and the rows of a piece.
"""

from __future__ import annotations

import dataclasses
import errno
import math
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import numpy as np

from zetamix.dask.shuffling import Shuffle, joined
from zetamix_core import permutation
from zetamix_core.adapting import replacing

__all__ = ["Spill"]

_PIECE_BYTES = 1 << 22


@dataclasses.dataclass(frozen=True)
class Spill:
    """The files of a shuffle in a folder of their own, and the arrays that it was called with."""

    shuffle: Shuffle
    folder: Path
    arrays: list[da.Array] = dataclasses.field(default_factory=list)

    def __call__(self, x: da.Array) -> da.Array:
        """Return an array, shuffled; it can be computed once all files are there."""
        name = str(len(self.arrays))
        self.arrays.append(x)
        return da.map_blocks(
            partial(_gathered, self.shuffle, self.folder, name, x.dtype, x.chunks[1:]),
            chunks=(self.shuffle.targets, *x.chunks[1:]),
            dtype=x.dtype,
            meta=x._meta,
        )

    def missing(self) -> list[tuple[Any, int]]:
        """Return the tasks that write the files which are not there, and their bytes."""
        self.folder.mkdir(exist_ok=True)
        for left in self.folder.glob(".*.tmp"):
            left.unlink()
        return [
            task for number, x in enumerate(self.arrays) for task in self._missing(str(number), x)
        ]

    def _missing(self, name: str, x: da.Array) -> Iterator[tuple[Any, int]]:
        write = dask.delayed(partial(_spilled, self.shuffle), pure=False)
        x = x.rechunk({0: self.shuffle.sources}, method="tasks")
        blocks = x.to_delayed()
        for place in np.ndindex(*x.numblocks):
            shape = (each[number] for each, number in zip(x.chunks, place, strict=True))
            file, size = _file(self.folder, name, place), x.dtype.itemsize * math.prod(shape)
            # A loss of power can leave a file of another size.
            if not file.exists() or file.stat().st_size != size:
                yield write(blocks[place], place[0], file), size


def _file(folder: Path, name: str, place: tuple[int, ...]) -> Path:
    return folder / "-".join([name, *map(str, place)])


def _spilled(shuffle: Shuffle, block: Any, number: int, file: Path) -> None:
    """Write the rows of a source block in the order of its permutation."""
    block = np.asarray(block)
    order = permutation(len(block), (*shuffle.key, 0, number))
    together = max(1, _PIECE_BYTES // max(1, block[:1].nbytes))
    with replacing(file) as stream:
        for first in range(0, len(order), together):
            stream.write(block[order[first : first + together]].tobytes())


def _gathered(
    shuffle: Shuffle,
    folder: Path,
    name: str,
    dtype: np.dtype,
    chunks: tuple[tuple[int, ...], ...],
    block_id: tuple[int, ...],
) -> np.ndarray:
    """Read the rows of a block of the result, and write them to their places."""
    number, *place = block_id
    shape = [each[at] for each, at in zip(chunks, place, strict=True)]
    sources = range(len(shuffle.sources))
    counts = shuffle.counts(np.asarray(sources)[:, None], np.arange(number + 1))
    firsts, lengths = counts[:, :-1].sum(axis=1), counts[:, -1]
    row = dtype.itemsize * math.prod(shape)

    def read(source: int) -> np.ndarray:
        file = _file(folder, name, (source, *place))
        count, start = int(lengths[source]), int(firsts[source]) * row
        rows = np.fromfile(file, dtype, count * math.prod(shape), offset=start)
        if rows.size < count * math.prod(shape):
            raise OSError(errno.EIO, "a file of the shuffle is cut off", str(file))
        return rows.reshape(count, *shape)

    block: np.ndarray = joined(shuffle, map(read, sources), number)
    return block
