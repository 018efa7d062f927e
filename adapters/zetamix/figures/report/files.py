"""Arrays of samples and labels from .npz, .npy and CSV files, refused with a reason if broken."""

from __future__ import annotations

import csv
import io
import math
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

__all__ = ["Arrays", "read_arrays", "read_features"]

# In this order; case does not count.
_X_NAMES = (
    *("x", "x_train", "train_x", "images", "train_images", "data", "train_data"),
    *("features", "samples", "inputs"),
)
_Y_NAMES = (
    *("y", "y_train", "train_y", "labels", "train_labels", "label", "target", "targets"),
    *("class", "classes", "species"),
)
# What the labels of an array are called, after its own name.
_PARTNERS = {"x": "y", "images": "labels", "data": "labels", "features": "labels"}
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
_AGAIN = "the file may be cut short or damaged: copy or save it again"
_TEXT = (".csv", ".tsv", ".txt")
_MISSING = ("", "na", "n/a", "nan", "null", "none")  # how tables write that there is no number


@dataclass(frozen=True)
class Arrays:
    """What was found in a file: samples, labels or None, and names of classes and columns."""

    x: np.ndarray
    y: np.ndarray | None = None
    classes: np.ndarray | None = None
    columns: tuple[str, ...] = ()


def read_arrays(file: Path, x_name: str | None, y_name: str | None, *, labelled: bool) -> Arrays:
    """Read a file by what it begins with, or as text by its ending."""
    with open(file, "rb") as stream:
        start = stream.read(6)
        stream.seek(0)
        if start.startswith(b"PK"):
            return _read_npz(file, stream, x_name, y_name, labelled=labelled)
        if start == b"\x93NUMPY":
            _refuse_names(file, x_name, y_name if labelled else None)
            return Arrays(_read_npy(file, stream))
        if file.suffix.lower() in _TEXT and start:
            _refuse_names(file, x_name, None)
            return _read_csv(file, stream, y_name, labelled=labelled)
    raise ValueError(
        f"{file} must be an .npz or .npy file of NumPy or a .csv table, got "
        f"{'an empty file' if not start else 'something else'}; make one with numpy.savez"
    )


def read_features(file: Path) -> np.ndarray:
    """Read one array of features."""
    found = read_arrays(file, None, None, labelled=False).x
    if found.ndim < 1 or found.dtype.kind not in "biuf" or found.size == 0:
        raise ValueError(
            f"features must be real numbers along a first axis, got shape {found.shape} and dtype "
            f"{found.dtype} in {file}; save an array (N, D) with numpy.save"
        )
    return found


def _refuse_names(file: Path, x_name: str | None, y_name: str | None) -> None:
    if x_name or y_name:
        option = "--x" if x_name else "--y"
        raise ValueError(
            f"{option} names an array of an .npz file, got {x_name or y_name!r} for {file.name}; "
            f"leave {option} out, or save samples and labels with numpy.savez"
        )


# --- files of NumPy -------------------------------------------------------------------------------


@contextmanager
def _readable(what: str) -> Iterator[None]:
    """Say what can't be read, and what to do about it."""
    try:
        yield
    except Exception as error:  # broken files raise whatever they may
        remedy = _AGAIN
        if isinstance(error, MemoryError):
            remedy = "save fewer samples"
        if "object" in str(error).lower():
            remedy = "save it again, as an array of numbers"
        raise ValueError(
            f"{what} can't be read: {str(error) or type(error).__name__}; {remedy}"
        ) from error


def _read_npy(file: Path, stream: BinaryIO) -> np.ndarray:
    with _readable(str(file)):
        _check_header(stream, file.stat().st_size)
        stream.seek(0)
        return np.asarray(np.lib.format.read_array(stream, allow_pickle=False))


def _read_npz(
    file: Path, stream: BinaryIO, x_name: str | None, y_name: str | None, *, labelled: bool
) -> Arrays:
    try:
        if not zipfile.is_zipfile(stream):  # NumPy would take some such for pickles
            raise zipfile.BadZipFile("File is not a zip file")
        stream.seek(0)
        archive: Any = np.load(stream, allow_pickle=False)
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{file} is not a complete .npz file ({error}); {_AGAIN}") from error
    x_name = x_name or _first(archive, _X_NAMES)
    if x_name is None:
        raise ValueError(
            f"{file} has no array named {', '.join(_X_NAMES)}; it has "
            f"{', '.join(archive) or 'none at all'}: name one of them with --x"
        )
    x = _array(archive, file, "samples", x_name)
    y = None
    if labelled:
        names = [name for name in (y_name or _partner(archive, x_name),) if name]
        y = _array(archive, file, "labels", names[0]) if names else None
    classes = _optional(archive, file, "class_names")
    columns = _optional(archive, file, "feature_names")
    fits = columns is not None and x.ndim == 2 and columns.shape == x.shape[1:]
    return Arrays(x, y, classes, tuple(map(str, columns)) if fits and columns is not None else ())


def _first(archive: Any, names: Sequence[str]) -> str | None:
    """Return the first of some names that is there, in whatever case."""
    lower = {name.lower(): name for name in archive}
    return next((lower[name] for name in names if name in lower), None)


def _partner(archive: Any, x_name: str) -> str | None:
    """Return the labels that go with an array, as y_test does with x_test, or the usual ones."""
    parts = x_name.lower().split("_")
    own = "_".join(_PARTNERS.get(part, part) for part in parts)
    return _first(archive, (own,)) or _first(archive, _Y_NAMES)


def _optional(archive: Any, file: Path, name: str) -> np.ndarray | None:
    return _array(archive, file, name, name) if name in archive else None


def _array(archive: Any, file: Path, what: str, name: str) -> np.ndarray:
    if name not in archive:
        raise ValueError(f"{file} has no array {name!r}, it has {', '.join(archive) or 'none'}")
    with _readable(f"the array {name!r} of {file}, for {what},"):
        member = archive.zip.getinfo(name if name in archive.zip.namelist() else f"{name}.npy")
        with archive.zip.open(member) as stream:
            _check_header(stream, member.file_size)
        return np.asarray(archive[name])


def _check_header(stream: Any, size: int) -> None:
    """Refuse a header that claims more than the file holds, before memory is taken for it."""
    read = _HEADERS.get(np.lib.format.read_magic(stream))
    if read is None:
        return  # of fields with names in all alphabets, which hold no samples
    shape, _, dtype = read(stream)
    if dtype.hasobject:
        raise ValueError("it holds Python objects")
    claimed = math.prod(shape) * dtype.itemsize
    if claimed > size:
        raise ValueError(
            f"its header claims {claimed:,} bytes, of shape {shape} and dtype {dtype}, but the "
            f"file holds {size:,}"
        )


# --- tables as text -------------------------------------------------------------------------------


def _read_csv(file: Path, stream: BinaryIO, y_name: str | None, *, labelled: bool) -> Arrays:
    """Read numbers in columns; the labels are the column of that name, or the only one of words."""
    try:
        text = stream.read().decode("utf-8-sig")
        rows = [row for row in csv.reader(io.StringIO(text), _dialect(text)) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{file} must be a table in UTF-8, got {error}; save it again") from error
    names, rows = _header(rows)
    if not rows or {*map(len, rows)} != {len(names)}:
        short = next((place for place, row in enumerate(rows) if len(row) != len(names)), 0)
        got = f"{len(rows[short])} in row {short + 1}, not {len(names)}" if rows else "no rows"
        raise ValueError(
            f"{file} must have the same number of columns in all rows, got {got}; fix it"
        )
    table = [np.asarray(column) for column in zip(*rows, strict=True)]
    if not names[0]:  # as data frames write the names of their rows
        names, table = names[1:], table[1:]
    numbers = [_as_numbers(column) for column in table]
    label = _label_column(file, names, numbers, y_name)
    y = None
    if label is not None:
        y = table[label] if numbers[label] is None else numbers[label]
    kept = [place for place in range(len(names)) if place != label]
    words = [names[place] for place in kept if numbers[place] is None]
    if words:
        raise ValueError(
            f"the columns of {file} must hold numbers, got text in {', '.join(words)}; leave them "
            f"out, or name one of them as the labels with --y"
        )
    columns: list[Any] = [numbers[place] for place in kept]
    x = np.stack(columns, axis=1) if kept else np.empty((len(rows), 0))
    return Arrays(x, y if labelled else None, None, tuple(names[place] for place in kept))


def _dialect(text: str) -> Any:
    try:
        return csv.Sniffer().sniff(text[:4096], ",;\t")
    except csv.Error:  # a single column
        return csv.excel


def _header(rows: list[list[str]]) -> tuple[list[str], list[list[str]]]:
    """Part the names of the columns from the rows, if the first row has no number."""
    if not rows:
        return [], []
    if any(_is_number(cell) for cell in rows[0]):
        return [f"column {place}" for place in range(len(rows[0]))], rows
    return [name.strip() for name in rows[0]], rows[1:]


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _as_numbers(column: np.ndarray) -> np.ndarray | None:
    """Return a column as numbers, NaN where one is missing, or None if it holds words."""
    try:
        missing = np.isin(np.char.lower(np.char.strip(column)), _MISSING)
        return np.where(missing, "nan", column).astype(np.float64)
    except ValueError:
        return None


def _label_column(
    file: Path, names: list[str], numbers: list[np.ndarray | None], y_name: str | None
) -> int | None:
    if y_name is not None and y_name not in names:
        raise ValueError(f"{file} has no column {y_name!r}, it has {', '.join(names)}")
    if y_name is not None:
        return names.index(y_name)
    lower = [name.lower() for name in names]
    known = [lower.index(name) for name in _Y_NAMES if name in lower]
    words = [place for place, column in enumerate(numbers) if column is None]
    return known[0] if known else words[0] if len(words) == 1 else None
