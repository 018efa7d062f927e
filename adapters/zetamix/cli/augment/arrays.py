"""Arrays in .npz and .npy files."""

from __future__ import annotations

import contextlib
import os
import shutil
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np
from numpy.lib import format as npy

from zetamix.cli.augment.labels import check_class_names, check_same_length, labels_of
from zetamix.cli.augment.options import Options
from zetamix.cli.augment.passes import Batch, Passes
from zetamix.cli.augment.places import Workspace
from zetamix.cli.augment.work import PassesWork
from zetamix_core.adapting import (
    UNREADABLE,
    X_NAMES,
    Y_NAMES,
    check_claim,
    check_expansion,
    chosen_name,
    replacing,
)

__all__ = ["ArrayFile"]

_CLASS_NAMES = "class_names"


class ArrayFile(PassesWork):
    """The work on an .npz or .npy file: to write the same arrays, mixed."""

    def __init__(self, source: Path, options: Options, space: Workspace) -> None:
        self.is_single = source.suffix.lower() == ".npy"
        self.names: list[str] = ["x"]
        y = names = None
        with _reading(source):
            if self.is_single:
                x = np.load(source, mmap_mode="r", allow_pickle=False)
                if not isinstance(x, np.ndarray):
                    raise ValueError("it holds several arrays")
            else:
                x, y, names = self._unpacked(source, options, space)
        if x.ndim == 0:
            raise ValueError(f"samples must lie along a first axis, got a number in {source}")
        check_same_length(self.names, x, y)
        labels = labels_of(y, options.num_classes)
        if labels.names is None and names is not None:
            labels = labels._replace(names=_words(names))
        self.passes = Passes.of(x, labels, options)
        self.rows = self.passes.rows
        self.classes = labels.names
        shapes = {"x": x, "y": labels.y}
        self.facts = {
            "arrays": {
                name: {"shape": list(each.shape), "dtype": str(each.dtype)}
                for name, each in zip(self.names, shapes.values(), strict=False)
                if each is not None
            }
        }

    def _unpacked(
        self, source: Path, options: Options, space: Workspace
    ) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
        """Unpack samples to a file that is read batch by batch; read labels, and class names."""
        with zipfile.ZipFile(source) as archive:
            check_expansion(archive.infolist(), source.stat().st_size)
            present = [name.removesuffix(".npy") for name in archive.namelist()]
            x_name = chosen_name(source, present, options.x, X_NAMES)
            if x_name is None:
                raise ValueError(
                    f"it has no array named {', '.join(X_NAMES)}; it has "
                    f"{', '.join(present) or 'none at all'}: name one of them with --x"
                )
            check_claim(archive, x_name)

            def write(stream: BinaryIO) -> None:
                with archive.open(f"{x_name}.npy") as packed:
                    shutil.copyfileobj(packed, stream, 1 << 20)

            x = np.load(space.staged("x.npy", write), mmap_mode="r", allow_pickle=False)
            y_name = chosen_name(source, present, options.y, Y_NAMES)
            self.names = [name for name in (x_name, y_name) if name is not None]
            named = _CLASS_NAMES if _CLASS_NAMES in present else None
            return x, _read(archive, y_name), _read(archive, named)

    def write(self, folder: Path, batches: Iterator[Batch]) -> None:
        mixed = [batch.mixed() for batch in batches]
        for name, arrays in zip("xy", zip(*mixed, strict=True), strict=True):
            if arrays[0] is not None:
                joined = np.ascontiguousarray(np.concatenate(arrays))
                np.save(folder / f"{name}.npy", joined)

    def join(self, parts: Sequence[Path], result: Path) -> None:
        with replacing(result) as stream:
            if self.is_single:
                _join([part / "x.npy" for part in parts], stream)
            else:
                self._pack(parts, stream)

    def _pack(self, parts: Sequence[Path], stream: BinaryIO) -> None:
        """Write an archive whose members always have the same date."""
        with zipfile.ZipFile(stream, "w") as archive:
            for name, each in zip(self.names, "xy", strict=False):
                with _member(archive, name) as member:
                    _join([part / f"{each}.npy" for part in parts], member)
            if self.classes is not None:
                with _member(archive, _CLASS_NAMES) as member:
                    npy.write_array(member, np.asarray(self.classes), allow_pickle=False)


@contextlib.contextmanager
def _reading(source: Path) -> Iterator[None]:
    try:
        yield
    except OSError:
        raise
    except UNREADABLE as error:
        raise ValueError(
            f"{source} can't be read: {error}; save arrays of numbers with numpy.savez or "
            f"numpy.save"
        ) from error


def _read(archive: zipfile.ZipFile, name: str | None) -> np.ndarray | None:
    if name is None:
        return None
    check_claim(archive, name)
    with archive.open(f"{name}.npy") as stream:
        return np.asarray(npy.read_array(stream, allow_pickle=False))


def _words(names: np.ndarray | None) -> tuple[str, ...] | None:
    if names is None or names.ndim != 1 or names.dtype.kind != "U":
        return None
    words = tuple(map(str, names))
    check_class_names(words)
    return words


def _member(archive: zipfile.ZipFile, name: str) -> IO[bytes]:
    return archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True)


def _join(files: Sequence[Path], stream: Any) -> None:
    """Concatenate arrays along the first axis, without reading them."""
    first = np.load(files[0], mmap_mode="r")
    rows = sum(np.load(file, mmap_mode="r").shape[0] for file in files)
    header = npy.header_data_from_array_1_0(first)
    npy.write_array_header_1_0(stream, header | {"shape": (rows, *first.shape[1:])})
    for file in files:
        with open(file, "rb") as part:
            _, _, dtype = _header(part)
            shutil.copyfileobj(part, stream, 1 << 20)
            assert dtype == first.dtype
    if hasattr(stream, "fileno"):
        with contextlib.suppress(OSError):
            os.fsync(stream.fileno())


def _header(part: BinaryIO) -> Any:
    npy.read_magic(part)
    return npy.read_array_header_1_0(part)
