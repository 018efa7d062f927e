"""Zarr stores, computed by Dask."""

from __future__ import annotations

import contextlib
import functools
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import distributed
import numpy as np
import zarr

from zetamix.cli.augment.labels import labels_of
from zetamix.cli.augment.options import Options
from zetamix.cli.augment.passes import Unmixed
from zetamix.cli.augment.places import Workspace
from zetamix.cli.augment.work import Work
from zetamix.dask import mix
from zetamix.dask.memory import check_room
from zetamix_core.adapting import X_NAMES, Y_NAMES, chosen_name

__all__ = ["ZarrStore"]

_PATIENCE = 10  # seconds for a scheduler to answer


class ZarrStore(Work):
    """The work on a Zarr store: to write the same arrays, mixed.

    A part is a chunk of samples with its labels, written directly to the result; its folder marks
    it as finished.
    """

    def __init__(self, source: Path, options: Options, space: Workspace) -> None:
        self.options = options
        x, y, self.names = _arrays(source, options)
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
        # Workers are asked for room when they are there; threads of this process before.
        elsewhere = options.scheduler is not None or options.memory_limit is not None
        with _as_bad_memory(), dask.config.set(scheduler=_later if elsewhere else "threads"):
            self.mixed, self.soft = self._lazily()
        # Chunks of the result are alike but for the last, whichever copies meet in them.
        self.chunk = self.mixed.chunks[0][0]

    def _lazily(self) -> tuple[da.Array, da.Array | None]:
        """Return all copies, of which nothing is computed yet."""
        options, labels = self.options, self.labels
        rule = options.mixing_rule(self.x.shape)
        shared: dict[str, Any] = {
            "batch_size": options.batch_size,
            "num_classes": labels.num_classes,
            "dtype": options.dtype,
            "seed": options.seed,
        }
        groups = labels.groups if options.donors else None
        copies = [
            mix(self.x, labels.y, rule, groups=groups, epoch=copy, **shared)
            for copy in range(options.copies)
        ]
        rows = copies[0][0].chunks[0][0]
        if options.with_originals:
            copies.insert(0, self._originals(rows, copies[0]))
        x = da.concatenate([mixed for mixed, _ in copies]).rechunk({0: rows})
        soft = [each for _, each in copies if each is not None]
        return x, da.concatenate(soft).rechunk({0: rows}) if soft else None

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
        """Compute the chunks that are not there yet, all in one go: they share the shuffle."""
        self._create(space.result)
        done, lengths = space.finished(), self.mixed.chunks[0]
        left = [number for number in range(len(lengths)) if number not in done]
        with _workers(self.options, space):
            if self.options.memory_limit is not None:
                check_room(self.x.nbytes)
            tasks = [self._stored(number, space) for number in left]
            for number in _as_they_come(tasks):
                advance(lengths[number])

    def _stored(self, number: int, space: Workspace) -> Any:
        write = dask.delayed(_write_chunk, pure=False)
        x = self.mixed.blocks[number].to_delayed().ravel()[0]
        y = None if self.soft is None else self.soft.blocks[number].to_delayed().ravel()[0]
        place = space.place(number).resolve()
        return write(x, y, space.result.resolve(), self.names, number, self.chunk, place)

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


def _later(*_: object, **__: object) -> None:
    """Stand for workers that are not there yet; nothing is computed before they are."""
    raise RuntimeError("no workers have been started")


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


def _unmixed_labels(y: np.ndarray, num_classes: int | None) -> np.ndarray:
    from zetamix.rules import Zeta

    plan = Unmixed(Zeta()).plan(y.shape, rng=0)
    labels: np.ndarray = plan.mix_labels(y, num_classes)
    return labels


def _as_they_come(tasks: list[Any]) -> Iterator[int]:
    """Compute tasks in one graph, and yield what they return."""
    try:
        client = distributed.get_client()
    except ValueError:
        yield from dask.compute(*tasks)
        return
    for future in distributed.as_completed(client.compute(tasks)):
        yield future.result()


@contextlib.contextmanager
def _workers(options: Options, space: Workspace) -> Iterator[None]:
    """Compute on a scheduler elsewhere, on workers of this machine, or in threads of this one."""
    if options.scheduler is not None:
        with _answering(options.scheduler):
            yield
    elif options.memory_limit is not None:
        with _local_cluster(options.memory_limit, space):
            yield
    else:
        with dask.config.set(scheduler="threads"):
            yield


@contextlib.contextmanager
def _answering(address: str) -> Iterator[Any]:
    try:
        _check_speaks(address)
        client = distributed.Client(address, timeout=_PATIENCE)
    except (OSError, ValueError, TypeError) as error:
        raise ValueError(
            f"--scheduler must be the address of a Dask scheduler that answers within "
            f"{_PATIENCE} s, got {address!r}; start one with `dask scheduler`, or leave it out"
        ) from error
    with client:
        yield client


def _check_speaks(address: str) -> None:
    """Wait for the first byte of a scheduler: a client would wait for ever for what is silent."""
    scheme, _, place = address.rpartition("://")
    if scheme not in ("", "tcp"):
        return
    host, _, port = place.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=_PATIENCE) as connection:
        if not connection.recv(1):
            raise ConnectionError(f"{address} closed the connection")


@contextlib.contextmanager
def _local_cluster(limit: str, space: Workspace) -> Iterator[None]:
    try:
        dask.utils.parse_bytes(limit)
    except ValueError as error:
        raise ValueError(f"--memory-limit must be a size such as 2GB, got {limit!r}") from error
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    with (
        distributed.LocalCluster(
            n_workers=cores or 1,
            threads_per_worker=1,
            memory_limit=limit,
            local_directory=str(space.folder / "spill"),
            dashboard_address=":0",
        ) as cluster,
        distributed.Client(cluster),
    ):
        yield


@contextlib.contextmanager
def _as_bad_memory() -> Iterator[None]:
    """Name the option that helps where the threads of this process can't hold an array."""
    try:
        yield
    except MemoryError as error:
        raise ValueError(f"{error}, here with --memory-limit 2GB") from error


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
