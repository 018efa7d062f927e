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
    """What a user passed, in a type of which imbalanced-learn makes nothing."""

    x: Any


class Features(Protocol):
    """Rows of features, those that are numbers apart from categories."""

    numbers: Any

    def with_rows(self, numbers: Any, anchors: np.ndarray) -> Any:
        """Return all rows in the form that was passed, of all numbers, new ones below.

        Categories of a new row are those of its anchor.
        """


def features_of(estimator: Any, x: Any, y: np.ndarray, categorical: Any) -> Features:
    """Check features, tell an estimator their names, and return them."""
    frame, names = _frame_of(x)
    if isinstance(frame, nw.DataFrame) and not _is_sparse_frame(frame):
        validate_data(estimator, X=x, y=y, reset=True, skip_check_array=True)
        check_consistent_length(x, y)
        return FrameFeatures(estimator, frame, categorical, names)
    if categorical is None or isinstance(categorical, str):
        options: dict[str, Any] = {}
    else:  # objects and what is missing may be categories; numbers are looked at by themselves
        options = {"dtype": None, "ensure_all_finite": False}
    options["accept_sparse"] = ["csr", "csc"]
    rows, _ = validate_data(estimator, X=x, y=y, reset=True, **options)
    names = list(getattr(estimator, "feature_names_in_", range(rows.shape[1])))
    return ArrayFeatures(estimator, rows, _positions(categorical, names), x)


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
    """Tell whether a table of pandas has sparse columns, which its matrix can be made of."""
    if not frame.implementation.is_pandas():
        return False
    return any(type(dtype).__name__ == "SparseDtype" for dtype in frame.to_native().dtypes)


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
    """Return numbers in a dtype, those of integers rounded to the nearest."""
    return (np.rint(values) if np.dtype(dtype).kind in "iu" else values).astype(dtype)


class FrameFeatures:
    """Columns of a table of pandas, polars or another library that narwhals knows."""

    def __init__(self, estimator: Any, frame: Any, categorical: Any, labels: Any) -> None:
        self.frame, self.labels = frame, labels
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
                values = np.rint(values)
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
        dtypes = native.dtypes.to_dict()
        below = pandas.DataFrame(new, columns=native.columns).astype(dtypes)
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
        mixed = rows if not categorical.any() or sparse.issparse(rows) else rows[:, ~categorical]
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
        if self.categorical.any():
            taken = rows.tocsr()[anchors]
            of_categories = sparse.diags_array(self.categorical.astype(float))
            numbers = numbers @ sparse.diags_array((~self.categorical).astype(float))
            numbers = numbers + taken @ of_categories
        numbers = numbers.copy()
        numbers.data = as_dtype(numbers.data, rows.dtype)
        both = sparse.vstack([rows, numbers], format=rows.format, dtype=rows.dtype)
        if not hasattr(self.given, "columns"):
            return both
        names = self.given.columns
        table = type(self.given).sparse.from_spmatrix(both, columns=names)
        return table.astype(self.given.dtypes)


def plain_classes(y: Any) -> tuple[Any, Any]:
    """Return classes as imbalanced-learn takes them, and the column of polars that they were."""
    series = nw.from_native(y, series_only=True, pass_through=True)
    if not isinstance(series, nw.Series) or series.implementation.is_pandas():
        return y, None
    return series.to_numpy(), series


def restored_classes(classes: Any, series: Any) -> Any:
    """Return classes as a column like one that there was."""
    backend = nw.get_native_namespace(series)
    return nw.new_series(series.name, classes, series.dtype, backend=backend).to_native()
