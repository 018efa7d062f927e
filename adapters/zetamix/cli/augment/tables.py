"""Tables in Parquet and CSV files."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
from pyarrow import csv, parquet

from zetamix.cli.augment.labels import Labels, check_class_names, labels_of
from zetamix.cli.augment.options import Options
from zetamix.cli.augment.passes import Batch, Passes
from zetamix.cli.augment.places import Workspace
from zetamix.cli.augment.work import PassesWork
from zetamix_core.adapting import replacing

__all__ = ["TableFile"]

_READ_ROWS, _MOST_PART_ROWS = 1 << 16, 1 << 16
_ROWS = "rows"


class TableFile(PassesWork):
    """The work on a table: to write the same columns, mixed, and labels as class weights.

    Numbers to mix go to a file that is read batch by batch; labels and kept columns are held in
    memory.
    """

    def __init__(self, source: Path, options: Options, space: Workspace) -> None:
        self.options, self.is_csv = options, source.suffix.lower() == ".csv"
        with _reading(source):
            with _opened(source) as (schema, _):
                self.columns = list(schema.names)
                mixed = _mixed_columns(source, schema, options)
            self.mixed = {name: options.dtype or dtype for name, dtype in mixed.items()}
            aside = [name for name in self.columns if name not in mixed]
            x = _staged(source, mixed, space)
            self.kept = _held(source, aside) if aside else pa.table({})
        labels = self._labels()
        part_rows = min(_MOST_PART_ROWS, max(1, (1 << 25) // max(1, x[:1].nbytes)))
        self.passes = Passes.of(x, labels, options, part_rows=part_rows)
        self.rows = self.passes.rows
        self.facts = {"table": {"rows": len(x), "columns": self.columns, "mixed": [*mixed]}}

    def _labels(self) -> Labels:
        """Return the labels, and find the names of their columns."""
        self.classes: list[str] = []
        name = self.options.label
        if name is None:
            return labels_of(None, self.options.num_classes)
        column = self.kept.column(name)
        if column.null_count:
            raise ValueError(
                f"each row must have a label, got {column.null_count} rows without one in column "
                f"{name!r}; fill it in, or leave these rows out"
            )
        words = not pa.types.is_integer(column.type)
        labels = labels_of(
            np.asarray(column.cast(pa.string()).to_pylist(), dtype=str)
            if words
            else column.to_numpy(),
            self.options.num_classes,
        )
        self.classes = [*(labels.names or map(str, range(labels.num_classes or 0)))]
        check_class_names(self.classes)
        return labels

    def write(self, folder: Path, batches: Iterator[Batch]) -> None:
        tables = [self._table(batch.samples, *batch.mixed()) for batch in batches]
        table, file = pa.concat_tables(tables).combine_chunks(), folder / _ROWS
        if self.is_csv:
            csv.write_csv(table, file, csv.WriteOptions(include_header=False))
        else:
            parquet.write_table(table, file, row_group_size=len(table))

    def _table(self, samples: np.ndarray, x: np.ndarray, soft: np.ndarray | None) -> pa.Table:
        kept = self.kept.take(pa.array(samples)) if self.kept.num_columns else None
        places = {name: place for place, name in enumerate(self.mixed)}
        columns: dict[str, Any] = {}
        for name in self.columns:
            if name in places:
                values = x[:, places[name]].astype(self.mixed[name])
                columns[name] = pa.array(values)
            elif name == self.options.label and soft is not None:
                for number, each in enumerate(self.classes):
                    columns[f"label={each}"] = pa.array(np.ascontiguousarray(soft[:, number]))
            elif kept is not None:
                columns[name] = kept.column(name)
        return pa.table(columns)

    def join(self, parts: Sequence[Path], result: Path) -> None:
        files = [part / _ROWS for part in parts]
        with replacing(result) as stream:
            if self.is_csv:
                csv.write_csv(self._empty(), stream)
                for file in files:
                    with open(file, "rb") as part:
                        shutil.copyfileobj(part, stream, 1 << 20)
                return
            with parquet.ParquetWriter(stream, parquet.read_schema(files[0])) as writer:
                for file in files:
                    table = parquet.read_table(file)
                    writer.write_table(table, row_group_size=len(table))

    def _empty(self) -> pa.Table:
        x = np.empty((0, len(self.mixed)))
        return self._table(np.empty(0, dtype=np.int64), x, np.empty((0, len(self.classes))))


# --- reading --------------------------------------------------------------------------------------


@contextlib.contextmanager
def _reading(source: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, UnicodeDecodeError) as error:
        if isinstance(error, OSError):
            raise
        raise ValueError(
            f"{source} can't be read as a {source.suffix.lower()[1:]} table: {error}; save it again"
        ) from error


@contextlib.contextmanager
def _opened(
    source: Path, columns: Sequence[str] | None = None
) -> Iterator[tuple[pa.Schema, Iterator[pa.RecordBatch]]]:
    """Open a table whose rows are read some at a time."""
    if source.suffix.lower() == ".csv":
        convert = csv.ConvertOptions(include_columns=columns)
        with csv.open_csv(source, convert_options=convert) as reader:
            yield reader.schema, iter(reader)
    else:
        with parquet.ParquetFile(source) as file:
            batches = file.iter_batches(_READ_ROWS, columns=columns, use_threads=False)
            yield file.schema_arrow, batches


def _mixed_columns(source: Path, schema: pa.Schema, options: Options) -> dict[str, np.dtype]:
    """Return the columns to mix with their dtypes; all that are neither labels nor kept."""
    aside = [*options.keep, *([] if options.label is None else [options.label])]
    for name in aside:
        if name not in schema.names:
            raise ValueError(
                f"{source} has no column {name!r}, it has {', '.join(schema.names)}; name one of "
                f"these in --label or --keep"
            )
    doubled = sorted({name for name in schema.names if schema.names.count(name) > 1})
    if doubled:
        raise ValueError(f"column names must be unique, got {doubled[0]!r} twice; rename one")
    if options.label is not None:
        _check_label(schema.field(options.label), options)
    if len(schema) == 1 and any(mark in schema.names[0] for mark in ";\t|"):
        raise ValueError(
            f"columns must be separated by commas, got a single column {schema.names[0]!r} in "
            f"{source}; save the table with commas"
        )
    mixed = {}
    for field in schema:
        if field.name in aside:
            continue
        if not pa.types.is_floating(field.type):
            raise ValueError(
                f"columns that are mixed must be floating, so that ids are never averaged, got "
                f"{field.name!r} of type {field.type}; keep it with --keep {field.name}, name it "
                f"in --label, or cast it to a float"
            )
        mixed[field.name] = np.dtype(field.type.to_pandas_dtype())
    if not mixed:
        raise ValueError(
            f"{source} has no floating column to mix, it has {', '.join(schema.names)}"
        )
    return mixed


def _check_label(field: pa.Field, options: Options) -> None:
    if field.name in options.keep:
        raise ValueError(
            f"a column is either kept or a label, got --keep {field.name} and --label "
            f"{field.name}; leave one of them out"
        )
    kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    words = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    if not any(fits(kind) for fits in (*words, pa.types.is_integer, pa.types.is_boolean)):
        raise ValueError(
            f"--label must name a column of integers or words, got {field.name!r} of type "
            f"{field.type}; numbers to predict are mixed like other columns, without --label"
        )


def _staged(source: Path, mixed: dict[str, np.dtype], space: Workspace) -> np.ndarray:
    """Return the numbers of a table, in a file of the run's folder."""
    dtype = np.result_type(*mixed.values())
    names = list(mixed)

    def write(stream: BinaryIO) -> None:
        with _opened(source, names) as (_, batches):
            for batch in batches:
                stream.write(_matrix(batch, names, dtype).tobytes())

    file = space.staged("rows.bin", write)
    if file.stat().st_size == 0:
        raise ValueError(f"a table must have rows to mix, got none in {source}")
    return np.memmap(file, dtype=dtype, mode="r").reshape(-1, len(names))


def _matrix(batch: pa.RecordBatch, names: Sequence[str], dtype: np.dtype) -> np.ndarray:
    matrix = np.empty((batch.num_rows, len(names)), dtype=dtype)
    for place, name in enumerate(names):
        column = batch.column(name)
        if column.null_count:
            raise ValueError(
                f"columns that are mixed must have a number in each row, got a row without one in "
                f"column {name!r}; fill it in, keep the column with --keep {name}, or leave such "
                f"rows out"
            )
        matrix[:, place] = column.to_numpy(zero_copy_only=False)
    return matrix


def _held(source: Path, names: Sequence[str]) -> pa.Table:
    """Return columns in memory."""
    with _opened(source, names) as (_, batches):
        return pa.Table.from_batches([*batches]).combine_chunks()
