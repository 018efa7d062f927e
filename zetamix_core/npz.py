"""Arrays of numbers from untrusted npz files."""

from __future__ import annotations

import io
import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Collection, Iterable, Sequence
from typing import IO

import numpy as np
from numpy.lib import format as npy

__all__ = [
    "UNREADABLE",
    "X_NAMES",
    "Y_NAMES",
    "check_claim",
    "check_expansion",
    "chosen_name",
    "read_arrays",
]

# Usual names of samples and of labels, in the order of the search.
X_NAMES = ("x", "x_train", "X", "X_train", "images", "data", "features")
Y_NAMES = ("y", "y_train", "Y", "Y_train", "labels", "target", "targets")

# What the readers of NumPy and Python raise for broken files and files of another kind.
UNREADABLE = (
    *(AttributeError, EOFError, KeyError, MemoryError, NotImplementedError, OverflowError),
    *(RecursionError, RuntimeError, SyntaxError, TypeError, ValueError),
    *(struct.error, tokenize.TokenError, zipfile.BadZipFile, zlib.error),
)
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# Random numbers hardly compress; zeros, which take memory but no space in a file, do so a
# thousandfold.
_MOST_EXPANSION = 100
_SMALL_BYTES = 1 << 20
_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def chosen_name(
    file: object, present: Collection[str], asked: str | None, usual: Sequence[str]
) -> str | None:
    """Return the name of the array to read: the one requested, or the first usual one."""
    if asked is not None and asked not in present:
        raise ValueError(f"{file} has no array {asked!r}, it has {', '.join(present) or 'none'}")
    names = usual if asked is None else (asked,)
    return next((name for name in names if name in present), None)


def check_claim(archive: zipfile.ZipFile, name: str) -> None:
    """Refuse a header that claims more than the file holds, before memory is taken for it."""
    member = archive.getinfo(name if name in archive.namelist() else f"{name}.npy")
    with archive.open(member) as stream:
        read = _HEADERS.get(npy.read_magic(stream))
        if read is None:
            return  # fields with names in any alphabet, which hold no samples
        shape, _, dtype = read(stream)
    if dtype.hasobject:
        raise ValueError("it holds Python objects")
    claimed = math.prod(shape) * dtype.itemsize
    if claimed > member.file_size:
        raise ValueError(
            f"its header claims {claimed:,} bytes, of shape {shape} and dtype {dtype}, but the "
            f"file holds {member.file_size:,}"
        )


def read_arrays(handle: IO[bytes], names: Iterable[str], max_entries: int) -> dict[str, np.ndarray]:
    """Read arrays by their names; nothing is unpickled.

    Memory is taken only for what the file holds: no array of more than `max_entries`, and no more
    than a hundred times the bytes of the file. Otherwise one of `UNREADABLE` is raised.
    """
    with zipfile.ZipFile(handle) as archive:
        members = {name: archive.getinfo(f"{name}.npy") for name in names}
        if others := sorted({*archive.namelist()} - {f"{name}.npy" for name in names}):
            raise ValueError(f"it holds {others[0]!r} too")
        check_expansion(members.values(), handle.seek(0, io.SEEK_END))
        arrays = {}
        for name, member in members.items():
            with archive.open(member) as stream:
                _check_header(name, stream, member.file_size, max_entries)
            with archive.open(member) as stream:
                arrays[name] = npy.read_array(stream, allow_pickle=False)
    return arrays


def check_expansion(members: Collection[zipfile.ZipInfo], size: int) -> None:
    """Check what a file of `size` bytes unpacks to; the packed sizes it claims may be false."""
    if any(member.compress_type not in _METHODS for member in members):
        raise ValueError("it is compressed in an unusual way")
    whole = sum(member.file_size for member in members)
    if whole > max(_SMALL_BYTES, _MOST_EXPANSION * size):
        raise ValueError(f"it unpacks from {size:,} bytes to {whole:,}")


def _check_header(name: str, stream: IO[bytes], size: int, max_entries: int) -> None:
    version = npy.read_magic(stream)
    if version != (1, 0):  # the others are for names of fields
        raise ValueError(f"{name} has a header of version {version}")
    shape, _, dtype = npy.read_array_header_1_0(stream)
    if dtype.kind not in "iuf":
        raise ValueError(f"{name} holds no real numbers but {dtype}")
    if min(shape, default=0) < 0 or math.prod(shape) > max_entries:
        raise ValueError(f"{name} claims shape {shape}, of more than {max_entries} entries")
    if math.prod(shape) * dtype.itemsize > size:
        raise ValueError(f"{name} claims shape {shape}, but holds {size} bytes")
