"""Features of a table, a matrix or a sparse matrix: which are numbers, and how rows are added."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import narwhals as nw
import numpy as np
from scipy import sparse
from sklearn.utils.validation import check_array, check_consistent_length, validate_data

_FLOATS = [np.float64, np.float32]


class Native(NamedTuple):
    """What a user passed, in a type that imbalanced-learn leaves alone."""

    x: Any


class Features(Protocol):
    """Rows of features, with numbers separate from categories."""

    numbers: Any

    def with_rows(self, numbers: Any, anchors: np.ndarray) -> Any:
        """Return all rows in the form that was passed, made from `numbers`, new rows last.

        Categories of a new row are those of its anchor.
        """


def features_of(estimator: Any, x: Any, y: np.ndarray, categorical: Any) -> Features:
    """Check features, record their names in an estimator, and return them."""
    refuse_lazy("X", x)
    frame, names = _frame_of(x)
    if isinstance(frame, nw.DataFrame) and not _is_sparse_frame(frame):
        validate_data(estimator, X=x, y=y, reset=True, skip_check_array=True)
        check_consistent_length(x, y)
        return FrameFeatures(estimator, frame, categorical, names)
    given = x
    if categorical is None or isinstance(categorical, str):
        options: dict[str, Any] = {}
    else:  # objects and what is missing may be categories; numbers are looked at by themselves
        options = {"dtype": None, "ensure_all_finite": False}
        x = _with_text_as_objects(x)
    options["accept_sparse"] = ["csr", "csc"]
    rows, _ = validate_data(estimator, X=x, y=y, reset=True, **options)
    names = list(getattr(estimator, "feature_names_in_", range(rows.shape[1])))
    return ArrayFeatures(estimator, rows, _positions(categorical, names), given)


def refuse_lazy(name: str, x: Any) -> None:
    """Refuse a table that is still a query."""
    if isinstance(nw.from_native(x, pass_through=True), nw.LazyFrame):
        how = "compute" if hasattr(x, "compute") else "collect"  # as Dask and polars call it
        raise TypeError(
            f"{name} must be a table in memory, got a {type(x).__name__}; pass {name}.{how}()"
        )


def _with_text_as_objects(x: Any) -> Any:
    """Return lists of numbers and text as objects, which NumPy would turn into text."""
    if hasattr(x, "shape") or np.asarray(x).dtype.kind not in "SU":
        return x
    return np.array(x, dtype=object)


def _frame_of(x: Any) -> tuple[Any, Any]:
    """Return a table by narwhals, where names are text, and its own names of pandas."""
    frame = nw.from_native(x, eager_only=True, pass_through=True)
    if not isinstance(frame, nw.DataFrame) or not frame.implementation.is_pandas():
        return frame, None
    named = (
        x
        if all(isinstance(name, str) for name in x.columns)
        else x.set_axis([str(name) for name in x.columns], axis=1)
    )
    return nw.from_native(named, eager_only=True), x.columns


def _is_sparse_frame(frame: Any) -> bool:
    """Return whether a table of pandas is sparse, of numbers that one sparse matrix can hold."""
    if not frame.implementation.is_pandas():
        return False
    dtypes = frame.to_native().dtypes.tolist()
    if not dtypes or not all(_is_sparse(each) and each.fill_value == 0 for each in dtypes):
        return False
    return _have_exact_sum({np.dtype(each.subtype) for each in dtypes})


def _is_sparse(dtype: Any) -> bool:
    return type(dtype).__name__ == "SparseDtype"


def _have_exact_sum(dtypes: set[np.dtype[Any]]) -> bool:
    """Return whether numbers of several dtypes are the same ones in a dtype for them all."""
    if len(dtypes) == 1:
        return True
    if any(each.kind not in "iuf" for each in dtypes):
        return False
    common = np.result_type(*dtypes)
    return common.kind != "f" or all(
        each.kind == "f" or each.itemsize < common.itemsize for each in dtypes
    )


def _dense(frame: Any) -> Any:
    """Return a table without the sparse columns that pandas has."""
    if not frame.implementation.is_pandas():
        return frame
    native = frame.to_native()
    subtypes = {name: each.subtype for name, each in native.dtypes.items() if _is_sparse(each)}
    return nw.from_native(native.astype(subtypes), eager_only=True) if subtypes else frame


def _positions(categorical: Any, names: Sequence[Any]) -> np.ndarray:
    """Return for each column whether it holds categories; "auto" is up to the table."""
    chosen = np.zeros(len(names), dtype=bool)
    if categorical is None or isinstance(categorical, str):
        return chosen
    given = np.asarray(categorical)
    if given.dtype == bool:
        if given.shape != chosen.shape:
            raise ValueError(
                f"categorical_features as a mask must have one entry for each of {len(names)} "
                f"columns, got shape {given.shape}; name the columns instead"
            )
        return given
    for each in list(categorical):
        if isinstance(each, str) and each in names:
            chosen[list(names).index(each)] = True
        elif isinstance(each, (int, np.integer)) and -len(names) <= each < len(names):
            chosen[each] = True
        else:
            shown = ", ".join(map(repr, names[:20])) + (", …" if len(names) > 20 else "")
            raise ValueError(
                f"categorical_features must name columns of X, got {each!r}; X has {shown}"
            )
    return chosen


def _checked_numbers(estimator: Any, numbers: Any) -> Any:
    return check_array(
        numbers,
        accept_sparse=["csr", "csc"],
        dtype=_FLOATS,
        ensure_min_features=0,
        estimator=estimator,
        input_name="X",
    )


def as_dtype(values: Any, dtype: Any) -> Any:
    """Return numbers in a dtype; those of integers rounded to the nearest that it has."""
    dtype = np.dtype(dtype)
    if dtype.kind in "iu":
        bounds = np.iinfo(dtype)
        values = _whole(values, int(bounds.min), int(bounds.max))
    return values.astype(dtype)


def _whole(values: Any, least: int, most: int) -> Any:
    """Round floats to integers, and clip them to those floats that lie between two integers."""
    highest = values.dtype.type(most)
    if int(highest) > most:  # as of 2**63 - 1, which no float is
        highest = np.nextafter(highest, values.dtype.type(0))
    return np.clip(np.rint(values), values.dtype.type(least), highest)


class FrameFeatures:
    """Columns of a table of pandas, polars or another library that narwhals knows."""

    def __init__(self, estimator: Any, frame: Any, categorical: Any, labels: Any) -> None:
        self.given, self.labels = frame, labels
        self.frame = frame = _dense(frame)
        names, schema = frame.columns, frame.schema
        coded = [name for name in names if not schema[name].is_numeric()]
        if isinstance(categorical, str):  # "auto"
            chosen = set(coded)
        else:
            mask = _positions(categorical, names)
            chosen = {name for name, flag in zip(names, mask, strict=True) if flag}
        if left := [name for name in coded if name not in chosen]:
            wanted = [name for name in names if name in chosen or name in left]
            raise ValueError(
                f"columns that are mixed must hold numbers, got {left[0]!r} of dtype "
                f"{schema[left[0]]}; pass categorical_features={wanted!r} to take categories from "
                f"the dominant row, 'auto' for all such columns, or encode it"
            )
        self.mixed = [name for name in names if name not in chosen]
        self.categorical = [name for name in names if name in chosen]
        values = frame.select(self.mixed).to_numpy() if self.mixed else np.empty((len(frame), 0))
        self.numbers = _checked_numbers(estimator, values)

    def with_rows(self, numbers: Any, anchors: np.ndarray) -> Any:
        backend = nw.get_native_namespace(self.frame)
        columns = {}
        for place, name in enumerate(self.mixed):
            values = numbers[len(self.frame) :, place]
            if self.frame.schema[name].is_integer():
                values = as_dtype(values, str(self.frame.schema[name]).lower())
            columns[name] = nw.new_series(name, values, backend=backend)
        for name in self.categorical:
            columns[name] = self.frame[name][anchors.tolist()]
        parts = [columns[name].cast(self.frame.schema[name]) for name in self.frame.columns]
        if self.frame.implementation.is_pandas():
            return self._joined_in_pandas(parts)
        new = parts[0].to_frame().with_columns(*parts[1:])
        return nw.concat([self.frame, new], how="vertical").to_native()

    def _joined_in_pandas(self, parts: list[Any]) -> Any:
        """Join with the dtypes of pandas, of which one of narwhals may stand for several."""
        native = self.frame.to_native()
        pandas = nw.get_native_namespace(self.frame)
        new = {part.name: part.to_native().array for part in parts}
        # Without a copy, since joining copies them once more.
        below = pandas.DataFrame(new, columns=native.columns, copy=False)
        below = below.astype(native.dtypes.to_dict())
        dtypes = self.given.to_native().dtypes.to_dict()
        joined = pandas.concat([native, below], ignore_index=True).astype(dtypes)
        return joined.set_axis(self.labels, axis=1)


class ArrayFeatures:
    """Columns of a matrix, dense or sparse; a table of sparse columns is one of these."""

    def __init__(self, estimator: Any, rows: Any, categorical: np.ndarray, given: Any) -> None:
        self.rows, self.categorical, self.given = rows, categorical, given
        if rows.dtype == bool and not categorical.all():
            raise ValueError(
                f"columns that are mixed must hold numbers, got an array of dtype bool and shape "
                f"{rows.shape}; pass categorical_features=range({rows.shape[1]}), or "
                f"X.astype(float)"
            )
        mixed = rows[:, np.flatnonzero(~categorical)] if categorical.any() else rows
        _refuse_text(mixed, np.flatnonzero(~categorical))
        self.numbers = _checked_numbers(estimator, mixed)

    def with_rows(self, numbers: Any, anchors: np.ndarray) -> Any:
        rows, dtype = self.rows, self.rows.dtype
        if sparse.issparse(rows):
            return self._sparse_with_rows(numbers[rows.shape[0] :], anchors)
        if numbers.dtype == dtype and not self.categorical.any():  # which need no second copy
            return numbers.tolist() if isinstance(self.given, list) else numbers
        numbers = numbers[len(rows) :]
        out = np.empty((len(rows) + anchors.size, rows.shape[1]), dtype=dtype)
        out[: len(rows)] = rows
        new = out[len(rows) :]
        if not self.categorical.any():
            new[:] = as_dtype(numbers, dtype)
        else:
            new[:, ~self.categorical] = numbers if dtype.kind == "O" else as_dtype(numbers, dtype)
            new[:, self.categorical] = rows[np.ix_(anchors, np.flatnonzero(self.categorical))]
        return out.tolist() if isinstance(self.given, list) else out

    def _sparse_with_rows(self, numbers: Any, anchors: np.ndarray) -> Any:
        rows = self.rows
        numbers = self._rounded(numbers) if hasattr(self.given, "columns") else numbers.copy()
        numbers.data = as_dtype(numbers.data, rows.dtype)
        if self.categorical.any():
            taken = rows.tocsr()[anchors][:, np.flatnonzero(self.categorical)]
            order = np.argsort(np.argsort(self.categorical, kind="stable"))
            numbers = sparse.hstack([numbers, taken], format="csc")[:, order]
        both = sparse.vstack([rows, numbers], format=rows.format, dtype=rows.dtype)
        if not hasattr(self.given, "columns"):
            return both
        names = self.given.columns
        table = type(self.given).sparse.from_spmatrix(both, columns=names)
        return table.astype(self.given.dtypes)

    def _rounded(self, numbers: Any) -> Any:
        """Return rows with whole numbers in columns of integers, which may lie among floats."""
        kinds = np.asarray([np.dtype(each.subtype).kind for each in self.given.dtypes])
        numbers = numbers.tocsr(copy=True)
        of_integers = np.isin(kinds[~self.categorical], ["i", "u"])[numbers.indices]
        numbers.data[of_integers] = np.rint(numbers.data[of_integers])
        return numbers


def _refuse_text(mixed: Any, places: np.ndarray) -> None:
    """Refuse text in columns that are mixed, even of digits: new rows would not be text."""
    if sparse.issparse(mixed) or mixed.dtype.kind not in "SUO":
        return
    text = [
        int(place)
        for place, column in zip(places, mixed.T, strict=True)
        if any(isinstance(each, (str, bytes)) for each in column)
    ]
    if text:
        raise ValueError(
            f"columns that are mixed must hold numbers, got text in columns {text} of an array of "
            f"dtype {mixed.dtype}; pass a table whose columns are numbers or text, or name them "
            f"in categorical_features"
        )


def plain_classes(y: Any) -> tuple[Any, Any]:
    """Return classes as imbalanced-learn takes them, and the polars object that they were."""
    refuse_lazy("y", y)
    given = nw.from_native(y, eager_only=True, allow_series=True, pass_through=True)
    if not isinstance(given, (nw.Series, nw.DataFrame)) or given.implementation.is_pandas():
        return y, None
    return _column_of(given).to_numpy(), given


def _column_of(given: Any) -> Any:
    """Return classes as a column, which a table of one is too."""
    if isinstance(given, nw.Series):
        return given
    if len(given.columns) != 1:
        raise ValueError(
            f"y must be one column of classes, got a table of {given.columns!r}; pass one of them"
        )
    return given[given.columns[0]]


def restored_classes(classes: Any, given: Any) -> Any:
    """Return classes as a column, or as a table of one column, as they were passed."""
    backend, column = nw.get_native_namespace(given), _column_of(given)
    series = nw.new_series(column.name, classes, column.dtype, backend=backend)
    return (series if isinstance(given, nw.Series) else series.to_frame()).to_native()


def checked_groups(groups: Any) -> np.ndarray:
    """Return groups as an array, without any that are missing."""
    names = np.asarray(groups)
    values = np.asarray(groups, dtype=object) if names.dtype.kind in "SUT" else names
    missing = np.atleast_1d(_is_missing(values))
    if missing.any():
        row = int(np.argwhere(missing)[0, 0])
        raise ValueError(
            f"groups must have one for each row, got {np.atleast_1d(values)[row]} in row {row}; "
            f"leave such rows out, or give each of them a group"
        )
    return names


def _is_missing(values: np.ndarray) -> Any:
    """Return which entries are NaN, NaT, None or NA."""
    if values.dtype.kind in "fcmM":
        return values != values
    if values.dtype.kind != "O":
        return np.zeros(values.shape, dtype=bool)
    flags = [each is None or _is_no_value(each) for each in values.ravel()]
    return np.asarray(flags, dtype=bool).reshape(values.shape)


def _is_no_value(each: Any) -> bool:
    """Return whether an object differs from itself, or is the NA of pandas."""
    return type(each).__name__ == "NAType" or bool(each != each)
