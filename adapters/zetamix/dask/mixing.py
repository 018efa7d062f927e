"""Blocks of whole batches, each batch mixed by a plan of its own."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import dask.array as da
import numpy as np

from zetamix_core import Plan
from zetamix_core.adapting import averages, drawn, in_dtype
from zetamix_core.rules import Rule

__all__ = ["Mixing"]


@dataclasses.dataclass(frozen=True)
class Mixing:
    """How batches are mixed: by a rule that draws batch i with the key (seed, epoch, i)."""

    rule: Rule
    batch_size: int
    key: tuple[int, int]
    # Of a sample.
    shape: tuple[int, ...]
    dtype: Any
    num_classes: int | None
    ignore_index: int | None
    # Those of a batch, to try the rule with.
    groups: np.ndarray | None

    def check_last(self, length: int) -> None:
        """Raise what the rule refuses in a last batch that is shorter than the others."""
        rest = length % self.batch_size
        for _ in self._plans(rest, np.zeros(1, int), self.groups):
            pass

    def in_blocks(self, arrays: Sequence[da.Array | None]) -> list[da.Array | None]:
        """Return arrays with whole batches as blocks, and whole samples.

        Where samples were cut, blocks keep about their size, but hold at least one batch.
        """
        x: Any = arrays[0]
        parts = math.prod(x.numblocks[1:])
        rows = max(1, max(x.chunks[0]) // parts // self.batch_size) * self.batch_size
        return [
            None
            if each is None
            else each.rechunk({0: rows} | dict.fromkeys(range(1, each.ndim), -1), method="tasks")
            for each in arrays
        ]

    def samples(self, x: da.Array, groups: da.Array | None) -> da.Array:
        """Return mixed samples."""
        return self._mapped(Mixing._mixed_samples, x, groups)

    def labels(self, y: da.Array, groups: da.Array | None) -> da.Array:
        """Return mixed labels."""
        return self._mapped(Mixing._mixed_labels, y, groups)

    def _mapped(self, mix: Any, x: da.Array, groups: da.Array | None) -> da.Array:
        # A batch is drawn by its number, which is that of its block times the batches in one.
        batches = -(-x.chunks[0][0] // self.batch_size)
        firsts = da.from_array(np.arange(x.numblocks[0]) * batches, chunks=1)
        # A batch of zeros with short axes shows what comes out, and raises what is refused.
        size = min(self.batch_size, x.shape[0])
        tried = np.zeros_like(x._meta, shape=(size, *_shortened(x.shape[1:])))
        short = dataclasses.replace(self, shape=_shortened(self.shape))
        result = mix(short, tried, np.zeros(1, int), None if groups is None else self.groups)
        return da.blockwise(
            partial(mix, self),
            range(result.ndim),
            *(x, range(x.ndim), firsts, (0,)),
            *(() if groups is None else (groups, (0,))),
            new_axes={axis: result.shape[axis] for axis in range(x.ndim, result.ndim)},
            adjust_chunks={
                axis: (result.shape[axis],)
                for axis in range(1, x.ndim)
                if result.shape[axis] != tried.shape[axis]
            },
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
        """Return the mixed batches of a block, each written to the same array in turn."""
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
            plan = drawn(self.rule, shape, (*self.key, number), None, self.key[1], here)
            if plan.num_outputs != shape[0]:
                raise ValueError(
                    f"a rule must draw a plan with one output for each sample of a batch, got "
                    f"{plan.num_outputs} for {shape[0]} from {self.rule!r}; leave num_outputs out"
                )
            yield rows, plan


def _shortened(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of a sample with axes of two at most, which keep a vector or its classes."""
    return shape if len(shape) < 2 else tuple(min(size, 2) for size in shape)
