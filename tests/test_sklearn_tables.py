"""Rows, classes and groups that the sampler for tables once changed, lost or pooled in silence."""

import tracemalloc

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from zetamix import oversample
from zetamix.sklearn import ZetaMixupSampler

RNG = np.random.default_rng(0)
Y = np.repeat([0, 1], [20, 6])
X = RNG.normal(size=(26, 2))
ODD = 2**53 + 1  # an integer that no double is


def sampled(x, y=Y, *, groups=None, **options):
    return ZetaMixupSampler(random_state=0, **options).fit_resample(x, y, groups=groups)


# --- sparse rows ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [sparse.csr_array, sparse.csc_array, sparse.csr_matrix])
@pytest.mark.parametrize("chosen", [[1], [0, 3], [False, True, True, True], [0, 1, 2, 3]])
@pytest.mark.parametrize("dtype", ["float64", "int64"])
def test_categories_of_sparse_rows_are_left_alone(kind, chosen, dtype):
    """Neither distances nor sums see them, as in dense rows."""
    dense = 1e6 * np.random.default_rng(1).normal(size=(26, 4))
    dense[:, 3] *= 1000  # codes that would outweigh all numbers in a distance
    dense[(dense < 0) & (np.arange(4) > 1)] = 0
    dense = dense.astype(dtype)
    options = {"categorical_features": chosen, "neighbors": None if chosen == [0, 1, 2, 3] else 2}
    mixed, classes = sampled(kind(dense), **options)
    expected, same = sampled(dense, **options)
    assert type(mixed) is kind
    assert mixed.dtype == dense.dtype
    np.testing.assert_allclose(mixed.toarray(), expected, rtol=1e-12)
    np.testing.assert_array_equal(classes, same)


def test_codes_of_sparse_rows_are_exact():
    rows = sparse.csr_array(np.stack([np.arange(26), np.full(26, ODD)], axis=1))
    mixed, _ = sampled(rows, categorical_features=[1])
    assert mixed.dtype == np.int64
    assert set(mixed.toarray()[:, 1].tolist()) == {ODD}


def test_categories_of_sparse_rows_may_be_missing():
    rows = np.stack([X[:, 0], np.where(np.arange(26) % 2, np.nan, 1)], axis=1)
    mixed, _ = sampled(sparse.csr_array(rows), categorical_features=[1])
    expected, _ = sampled(rows, categorical_features=[1])
    np.testing.assert_allclose(mixed.toarray(), expected)
    with pytest.raises(ValueError, match="Input X contains NaN"):
        sampled(sparse.csr_array(rows), categorical_features=[0])


def sparse_column(values, dtype, fill):
    return pd.arrays.SparseArray(np.asarray(values, dtype=dtype), fill_value=fill)


COUNTS = np.arange(26) % 5 * 7
FRAMES = {
    "with a dense column": {"a": sparse_column(X[:, 0], float, 0), "b": X[:, 1]},
    "filled with nan": {"a": sparse_column(X[:, 0], float, np.nan)},
    "filled with one": {"a": sparse_column(COUNTS, "int64", 1)},
    "of two fills": {"a": sparse_column(X[:, 0], float, 0), "b": sparse_column(COUNTS, float, 7)},
    "of zeros": {"a": sparse_column(X[:, 0], float, 0), "b": sparse_column(X[:, 1], "f4", 0)},
    "of integers and floats": {
        "a": sparse_column(COUNTS, "int32", 0),
        "b": sparse_column(X[:, 1], float, 0),
    },
    "of long integers and floats": {
        "a": sparse_column(COUNTS, "int64", 0),
        "b": sparse_column(X[:, 1], float, 0),
    },
}


@pytest.mark.parametrize("columns", FRAMES.values(), ids=FRAMES)
def test_tables_with_sparse_columns(columns):
    """They come back with names and dtypes, and hold what a dense table would."""
    frame = pd.DataFrame(columns)
    dense = frame.astype({name: each.subtype for name, each in frame.dtypes.items() if name == "a"})
    dense = pd.DataFrame({name: np.asarray(dense[name]) for name in dense})
    mixed, _ = sampled(frame)
    expected, _ = sampled(dense)
    assert isinstance(mixed, pd.DataFrame)
    assert mixed.dtypes.to_dict() == frame.dtypes.to_dict()
    for name in frame:
        np.testing.assert_allclose(np.asarray(mixed[name]), expected[name], rtol=1e-5, atol=1e-7)


def test_codes_beside_sparse_floats_are_exact():
    frame = pd.DataFrame(
        {"code": sparse_column([ODD] * 26, "int64", 0), "b": sparse_column(X[:, 1], float, 0)}
    )
    mixed, _ = sampled(frame, categorical_features=["code"])
    assert set(mixed["code"].tolist()) == {ODD}


def test_what_is_missing_in_a_sparse_table_is_told():
    values = np.where(np.arange(26) == 3, np.nan, X[:, 0])
    with pytest.raises(ValueError, match="Input X contains NaN"):
        sampled(pd.DataFrame({"a": pd.arrays.SparseArray(values)}))


# --- integers at the ends of their range ----------------------------------------------------------


def ends(dtype):
    bounds = np.iinfo(dtype)
    return [bounds.min, bounds.max]


def as_numpy(values, dtype):
    return np.stack([values, values], axis=1).astype(dtype)


def as_sparse(values, dtype):
    return sparse.csr_array(as_numpy(values, dtype))


def as_pandas(values, dtype):
    return pd.DataFrame({"a": values})


def as_nullable(values, dtype):
    return pd.DataFrame({"a": values}).astype(dtype.replace("u", "U").replace("i", "I"))


def as_polars(values, dtype):
    return pl.DataFrame({"a": values})


FORMS = [as_numpy, as_sparse, as_pandas, as_nullable, as_polars]


@pytest.mark.parametrize("make", FORMS)
@pytest.mark.parametrize("dtype", ["int64", "uint64", "int32", "uint8"])
@pytest.mark.parametrize("end", [0, 1])
def test_integers_do_not_wrap(make, dtype, end):
    value = ends(dtype)[end]
    x = make(np.full(26, value, dtype=dtype), dtype)
    mixed, _ = sampled(x)
    assert type(mixed) is type(x)
    column = mixed.toarray()[:, 0] if sparse.issparse(mixed) else np.asarray(mixed)[:, 0]
    assert len(column) == 40
    assert [int(each) for each in column[:26]] == [value] * 26
    assert max(abs(int(each) - value) for each in column) <= 2**11


# --- classes of time ------------------------------------------------------------------------------

DAYS = np.asarray(["2020-01-01", "2020-01-02"], dtype="M8[D]")[Y]
SPANS = np.asarray([1, 2], dtype="m8[D]")[Y]
TIMES = {
    "days": DAYS,
    "nanoseconds": DAYS.astype("M8[ns]"),
    "spans": SPANS,
    "pandas": pd.Series(DAYS.astype("M8[ns]")),
    "spans of pandas": pd.Series(SPANS.astype("m8[ns]")),
    "polars": pl.Series(DAYS),
    "times of polars": pl.Series(DAYS.astype("M8[us]")),
}


@pytest.mark.parametrize("y", TIMES.values(), ids=TIMES)
def test_classes_may_be_times(y):
    mixed, classes = sampled(X, y)
    assert type(classes) is type(y)
    assert classes.dtype == y.dtype
    np.testing.assert_array_equal(mixed, oversample(X, Y, rng=0)[0])
    np.testing.assert_array_equal(np.asarray(classes)[26:], np.asarray(y)[[25] * 14])


@pytest.mark.parametrize("kind", [str, bool, "int8", float])
def test_classes_of_a_mapping(kind):
    y = Y.astype(kind)
    mixed, classes = sampled(X, y, sampling_strategy={y[25]: 9})
    assert len(mixed) == 29
    assert (classes[26:] == y[25]).all()


# --- text beside numbers --------------------------------------------------------------------------


def test_text_is_not_mixed():
    x = np.asarray([["1e9", "aa"], ["3e9", "bb"]] * 13)
    expected = r"got text in columns \[0\] of an array of dtype .*pass a table"
    for form in (x, x.astype(object), x.tolist()):
        with pytest.raises(ValueError, match=expected):
            sampled(form, categorical_features=[1])
    mixed, _ = sampled(x, categorical_features=[0, 1])
    assert mixed.dtype == x.dtype
    assert {tuple(each) for each in mixed.tolist()} == {("1e9", "aa"), ("3e9", "bb")}


def test_lists_of_numbers_and_text():
    x = [[1.5e9, "a"], [2.5e9, "b"]] * 13
    mixed, _ = sampled(x, categorical_features=[1])
    assert mixed[:26] == x
    assert {tuple(map(type, each)) for each in mixed} == {(float, str)}
    numbers = [each[0] for each in mixed]
    np.testing.assert_array_equal(
        numbers, oversample(np.asarray([row[:1] for row in x]), Y, rng=0)[0][:, 0]
    )


# --- groups ---------------------------------------------------------------------------------------

GROUPS = {
    "floats": [1.0, np.nan] * 13,
    "None": [1, None] * 13,
    "text": ["a", np.nan] * 13,
    "objects": np.asarray(["a", None] * 13, dtype=object),
    "Int64": pd.Series([1, None] * 13, dtype="Int64"),
    "NA": [1, pd.NA] * 13,
    "category": pd.Series(["a", None] * 13, dtype="category"),
    "string": pd.Series(["a", None] * 13, dtype="string"),
    "days": np.asarray(["2020-01-01", "NaT"] * 13, dtype="M8[D]"),
    "polars": pl.Series([1, None] * 13),
    "text of polars": pl.Series(["a", None] * 13),
}


@pytest.mark.parametrize("groups", GROUPS.values(), ids=GROUPS)
def test_missing_groups_are_refused(groups):
    with pytest.raises(ValueError, match=r"groups must .*, got (nan|None|<NA>|NaT) in row 1; "):
        sampled(X, groups=groups)


@pytest.mark.parametrize(
    "groups", [["a", "b"] * 13, pd.Series(["a", "b"] * 13), pl.Series(["a", "b"] * 13)]
)
def test_groups_with_names_are_those_of_their_numbers(groups):
    expected, _ = oversample(X, Y, groups=np.arange(26) % 2, rng=0)
    np.testing.assert_array_equal(sampled(X, groups=groups)[0], expected)


# --- tables of polars -----------------------------------------------------------------------------


def test_classes_may_be_a_table_of_one_column():
    mixed, classes = sampled(X, pl.DataFrame({"label": Y.astype(np.int8)}))
    assert classes.schema == {"label": pl.Int8}
    assert classes["label"].to_list() == [*Y.tolist(), *[1] * 14]
    np.testing.assert_array_equal(mixed, sampled(X)[0])
    with pytest.raises(ValueError, match=r"got a table of \['a', 'b'\]; pass one of them"):
        sampled(X, pl.DataFrame({"a": Y, "b": Y}))


def test_queries_are_to_be_collected():
    frame = pl.DataFrame({"a": X[:, 0]})
    with pytest.raises(TypeError, match=r"X must be .*, got a LazyFrame; pass X\.collect\(\)"):
        sampled(frame.lazy())
    with pytest.raises(TypeError, match=r"pass y\.collect\(\)"):
        sampled(frame, pl.DataFrame({"label": Y}).lazy())


# --- memory ---------------------------------------------------------------------------------------


@pytest.mark.skipif(pd.__version__ < "3", reason="pandas 2 copies columns that keep their dtype")
@pytest.mark.parametrize(("dtype", "most"), [("float64", 2.5), ("int64", 3.5)])
def test_tables_of_pandas_are_copied_no_more_than_they_must(dtype, most):
    """Integers are mixed as floats and rounded into a second table before it is joined."""
    x = pd.DataFrame((100 * np.random.default_rng(0).normal(size=(2000, 20))).astype(dtype))
    y = np.repeat([0, 1], [1000, 1000])
    sampler = ZetaMixupSampler(sampling_strategy={1: 101_000}, random_state=0)
    sampler.fit_resample(x, y)  # what is imported or cached is no copy
    tracemalloc.start()
    try:
        mixed, _ = sampler.fit_resample(x, y)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    size = int(mixed.memory_usage().sum())
    assert peak < most * size
