"""Blocks of whole batches, each batch mixed by a plan of its own."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import dask.array as da
import numpy as np

from zetamix_core import Plan
from zetamix_core.adapting import averages, drawn, in_dtype
from zetamix_core.rules import Rule

__all__ = ["Mixing"]


@dataclasses.dataclass(frozen=True)
class Mixing:
    """How batches are mixed: by a rule, of which batch i draws by the key (seed, epoch, i)."""

    rule: Rule
    batch_size: int
    key: tuple[int, int]
    # Of a sample.
    shape: tuple[int, ...]
    dtype: Any
    num_classes: int | None
    ignore_index: int | None

    def in_blocks(self, arrays: Sequence[da.Array | None]) -> list[da.Array | None]:
        """Return arrays with whole batches as blocks, and whole samples.

        Where samples were cut, blocks keep about their size, but hold a batch at least.
        """
        x: Any = arrays[0]
        parts = math.prod(x.numblocks[1:])
        rows = max(1, max(x.chunks[0]) // parts // self.batch_size) * self.batch_size
        return [
            None
            if each is None
            else each.rechunk({0: rows} | dict.fromkeys(range(1, each.ndim), -1))
            for each in arrays
        ]

    def samples(self, x: da.Array, groups: da.Array | None) -> da.Array:
        """Return mixed samples."""
        return self._mapped(self._mixed_samples, x, groups)

    def labels(self, y: da.Array, groups: da.Array | None) -> da.Array:
        """Return mixed labels."""
        return self._mapped(self._mixed_labels, y, groups)

    def _mapped(self, mix: Any, x: da.Array, groups: da.Array | None) -> da.Array:
        # A batch is drawn by its number, which is that of its block times the batches in one.
        batches = -(-x.chunks[0][0] // self.batch_size)
        firsts = da.from_array(np.arange(x.numblocks[0]) * batches, chunks=1)
        # Two samples tell what comes out, and what is refused, before anything is read.
        two = np.zeros_like(x._meta, shape=(2, *x.shape[1:]))
        result = mix(two, np.zeros(1, int), None if groups is None else np.arange(2))
        return da.blockwise(
            mix,
            range(result.ndim),
            *(x, range(x.ndim), firsts, (0,)),
            *(() if groups is None else (groups, (0,))),
            new_axes={axis: result.shape[axis] for axis in range(x.ndim, result.ndim)},
            adjust_chunks={axis: (result.shape[axis],) for axis in range(1, x.ndim)},
            align_arrays=False,
            concatenate=True,
            dtype=result.dtype,
            meta=result[:0],
        )

    def _mixed_samples(self, x: Any, first: np.ndarray, groups: Any = None) -> Any:
        def mixed(rows: slice, plan: Plan) -> Any:
            return in_dtype(self.dtype, plan, x[rows], averages=averages(self.rule))

        return self._filled(mixed, len(x), first, groups)

    def _mixed_labels(self, y: Any, first: np.ndarray, groups: Any = None) -> Any:
        def mixed(rows: slice, plan: Plan) -> Any:
            return plan.mix_labels(y[rows], self.num_classes, ignore_index=self.ignore_index)

        return self._filled(mixed, len(y), first, groups)

    def _filled(
        self, mixed: Callable[[slice, Plan], Any], length: int, first: np.ndarray, groups: Any
    ) -> Any:
        """Return the mixed batches of a block in one array, to which each is written in turn."""
        out = None
        for rows, plan in self._plans(length, first, groups):
            part = mixed(rows, plan)
            if out is None:
                out = np.empty_like(part, shape=(length, *part.shape[1:]))
            out[rows] = part
        return out

    def _plans(self, length: int, first: np.ndarray, groups: Any) -> Iterator[tuple[slice, Plan]]:
        """Yield the rows of each batch of a block, and its plan."""
        for number, start in enumerate(range(0, length, self.batch_size), start=int(first[0])):
            rows = slice(start, min(length, start + self.batch_size))
            shape = (rows.stop - rows.start, *self.shape)
            here = None if groups is None else groups[rows]
            yield rows, drawn(self.rule, shape, (*self.key, number), None, self.key[1], here)
