"""Zarr stores, computed by Dask."""

from __future__ import annotations

import errno
import functools
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import numpy as np
import zarr

from zetamix.cli.augment.labels import check_same_length, labels_of
from zetamix.cli.augment.options import Options
from zetamix.cli.augment.passes import Unmixed
from zetamix.cli.augment.places import Workspace
from zetamix.cli.augment.spilling import Spill
from zetamix.cli.augment.work import Work
from zetamix.cli.augment.workers import Compute, check_memory_limit, workers
from zetamix.dask.preparing import Prepared
from zetamix_core.adapting import X_NAMES, Y_NAMES, chosen_name

__all__ = ["ZarrStore"]


class ZarrStore(Work):
    """The work on a Zarr store: to write the same arrays, mixed.

    A part is a chunk of samples with its labels, written directly to the result; its folder marks
    it as finished.
    """

    def __init__(self, source: Path, options: Options, space: Workspace) -> None:
        self.options = options
        x, y, self.names = _arrays(source, options)
        check_same_length(self.names, x, y)
        self.x, self.labels = x, labels_of(y, options.num_classes)
        if options.donors is not None and self.labels.groups is None:
            raise ValueError(
                f"--donors {options.donors} needs classes that are integers, got none in "
                f"{source}; name them with --y, or leave it out"
            )
        self.rows = x.shape[0] * (options.copies + options.with_originals)
        self.facts = {
            "arrays": {
                name: {"shape": list(each.shape), "dtype": str(each.dtype)}
                for name, each in zip(self.names, (x, y), strict=False)
            }
        }
        folder = space.folder.resolve()
        self.spills: list[Spill] = []
        self.mixed, self.soft = self._lazily(folder)
        # Chunks of the result are alike but for the last, whichever copies meet in them.
        self.chunk = self.mixed.chunks[0][0]
        # Where samples are cut, a task gathers all parts of theirs.
        gathered = _chunk_bytes(self.x) * math.prod(self.x.numblocks[1:])
        self.block = max(gathered, _chunk_bytes(self.mixed) + _chunk_bytes(self.soft))
        if options.memory_limit is not None:
            check_memory_limit(options.memory_limit, self.block)

    def _lazily(self, folder: Path) -> tuple[da.Array, da.Array | None]:
        """Return all copies, of which nothing is computed yet."""
        options = self.options
        copies = [self._copy(copy, folder) for copy in range(options.copies)]
        rows = copies[0][0].chunks[0][0]
        if options.with_originals:
            copies.insert(0, self._originals(rows, copies[0]))
        x = da.concatenate([mixed for mixed, _ in copies]).rechunk({0: rows})
        soft = [each for _, each in copies if each is not None]
        return x, da.concatenate(soft).rechunk({0: rows}) if soft else None

    def _copy(self, copy: int, folder: Path) -> tuple[da.Array, da.Array | None]:
        """Return what `zetamix.dask.mix` does, shuffled through files."""
        options, labels = self.options, self.labels
        prepared = Prepared.of(
            self.x,
            labels.y,
            options.mixing_rule(self.x.shape),
            batch_size=options.batch_size,
            num_classes=labels.num_classes,
            ignore_index=None,
            groups=labels.groups if options.donors else None,
            dtype=options.dtype,
            seed=options.seed,
            epoch=copy,
        )
        self.spills.append(Spill(prepared.shuffle, folder / f"shuffle-{copy}"))
        return prepared.mixed(self.spills[copy])

    def _originals(self, rows: int, like: tuple[da.Array, da.Array | None]) -> Any:
        """Return samples and labels in their order, with the dtypes and the form of mixed ones."""
        mixed, soft = like
        whole = dict.fromkeys(range(1, self.x.ndim), -1)
        x = self.x.rechunk({0: rows} | whole).astype(mixed.dtype)
        if soft is None:
            return x, None
        y: Any = self.labels.y
        y = y if isinstance(y, da.Array) else da.from_array(y, chunks=(rows, *y.shape[1:]))
        unmixed = functools.partial(_unmixed_labels, num_classes=self.labels.num_classes)
        y = y.rechunk({0: rows} | dict.fromkeys(range(1, y.ndim), -1))
        return x, y.map_blocks(
            unmixed,
            dtype=soft.dtype,
            chunks=(y.chunks[0], *((n,) for n in soft.shape[1:])),
            new_axis=list(range(y.ndim, soft.ndim)) or None,
        )

    def rows_done(self, space: Workspace) -> int:
        return sum(self.mixed.chunks[0][number] for number in space.finished())

    def make(self, space: Workspace, advance: Callable[[int], object]) -> None:
        """Shuffle one copy after the other into files, and compute the missing chunks of each."""
        self._create(space.result)
        done, lengths = space.finished(), self.mixed.chunks[0]
        left = {n: self._copies_in(n) for n in range(len(lengths)) if n not in done}
        tasks = self._stored(space)
        with workers(self.options, space.folder, self.block) as compute:
            while left:
                copies = next(iter(left.values()))
                self._shuffle(copies, compute, space)
                for number in compute([tasks[n] for n, each in left.items() if each <= copies]):
                    advance(lengths[number])
                left = {n: each for n, each in left.items() if not each <= copies}

    def _copies_in(self, number: int) -> set[int]:
        """Return the copies that a chunk has rows of, those to be shuffled alone."""
        first, length = number * self.chunk, self.x.shape[0]
        rows = np.asarray([first, min(first + self.chunk, self.rows) - 1])
        begin, end = rows // length - self.options.with_originals
        return {copy for copy in range(begin, end + 1) if copy >= 0}

    def _shuffle(self, copies: set[int], compute: Compute, space: Workspace) -> None:
        """Write the missing files of these copies, and remove those of all others."""
        for copy, spill in enumerate(self.spills):
            if copy not in copies:
                shutil.rmtree(spill.folder, ignore_errors=True)
        missing = [task for copy in sorted(copies) for task in self.spills[copy].missing()]
        size, free = sum(size for _, size in missing), shutil.disk_usage(space.folder).free
        if size > free:
            raise OSError(
                errno.ENOSPC,
                f"the shuffled samples need {size:,} bytes of disk space, got {free:,}",
            )
        for _ in compute([task for task, _ in missing]):
            pass

    def _stored(self, space: Workspace) -> list[Any]:
        """Return the tasks that write the chunks."""
        write = dask.delayed(_write_chunk, pure=False)
        x = self.mixed.to_delayed().ravel()
        y = [None] * len(x) if self.soft is None else self.soft.to_delayed().ravel()
        result = space.result.resolve()
        return [
            write(*each, result, self.names, number, self.chunk, space.place(number).resolve())
            for number, each in enumerate(zip(x, y, strict=True))
        ]

    def _create(self, result: Path) -> None:
        """Create the arrays, unless a run before has."""
        if result.exists():
            return
        beside = result.with_name(f".{result.name}.tmp")
        arrays = [self.mixed] if self.soft is None else [self.mixed, self.soft]
        group = zarr.open_group(beside, mode="w")
        for name, each in zip(self.names, arrays, strict=False):
            chunks = (self.chunk, *each.shape[1:])
            group.create_array(name, shape=each.shape, chunks=chunks, dtype=each.dtype)
        beside.rename(result)

    def assemble(self, space: Workspace) -> None:
        """Leave the result as it is, where chunks were written to, but for what a kill left."""
        for left in space.result.rglob("*.partial"):
            left.unlink()


def _write_chunk(
    x: Any, y: Any, result: Path, names: list[str], number: int, rows: int, place: Path
) -> int:
    """Write a chunk of each array, then note that it is there."""
    for name, each in zip(names, (x, y), strict=False):
        if each is not None:
            array = zarr.open_array(result / name, mode="r+")
            array[number * rows : number * rows + len(each)] = np.asarray(each)
    place.mkdir(exist_ok=True)
    return number


def _chunk_bytes(array: da.Array | None) -> int:
    return 0 if array is None else int(array.dtype.itemsize * math.prod(array.chunksize))


def _unmixed_labels(y: np.ndarray, num_classes: int | None) -> np.ndarray:
    from zetamix.rules import Zeta

    plan = Unmixed(Zeta()).plan(y.shape, rng=0)
    labels: np.ndarray = plan.mix_labels(y, num_classes)
    return labels


# --- reading --------------------------------------------------------------------------------------


def _arrays(source: Path, options: Options) -> tuple[da.Array, Any, list[str]]:
    """Return samples and labels, and the names of their arrays."""
    try:
        store = zarr.open(source, mode="r")
    except Exception as error:  # broken stores raise whatever they may
        raise ValueError(
            f"{source} can't be read as a Zarr store: {str(error) or type(error).__name__}; name "
            f"the folder that has zarr.json"
        ) from error
    if isinstance(store, zarr.Array):
        return da.from_zarr(store), None, ["x"]
    present = sorted(name for name, _ in store.arrays())
    x_name = chosen_name(source, present, options.x, X_NAMES)
    if x_name is None:
        raise ValueError(
            f"{source} has no array named {', '.join(X_NAMES)}; it has "
            f"{', '.join(present) or 'none at all'}: name one of them with --x"
        )
    y_name = chosen_name(source, present, options.y, Y_NAMES)
    names = [name for name in (x_name, y_name) if name is not None]
    x = da.from_zarr(store[x_name])
    return x, None if y_name is None else _labels(store[y_name]), names


def _labels(array: Any) -> Any:
    """Return classes in memory, and labels of several numbers as they are."""
    return np.asarray(array[:]) if array.ndim == 1 else da.from_zarr(array)
