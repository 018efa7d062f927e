"""Packages whose arrays come in by chance: the real ones refuse or work as their stand-ins do.

`tests/test_foreign_arrays.py` has every entry point, and small classes in their place.
"""

import re

import numpy as np
import pytest

from zetamix_core import cutmix, mixup, zeta_mixup, zeta_plan

pytestmark = pytest.mark.pipeline

X = np.random.default_rng(0).random((4, 2, 3)).astype(np.float32)
Y = np.asarray([0, 1, 2, 1])
PLAN = zeta_plan(4, num_mix=2, rng=0)


FLOATS = "x{}.to_numpy(dtype='float64', na_value=numpy.nan)"


def advised(foreign, code, it="x"):
    """Check that the error for `foreign` says to pass some code, and return what that gives."""
    with pytest.raises(TypeError) as caught:
        PLAN @ foreign if it == "x" else PLAN.mix_labels(foreign, 3)
    assert re.search(rf"(pass|classes|takes,) {re.escape(code)}(,|;|$)", str(caught.value))
    return eval(
        code.replace("...", "2"), {it: foreign} | {name: _imported(name) for name in NEEDED}
    )


NEEDED = ("numpy", "pandas", "dask")


def _imported(name):
    if name == "dask":
        pytest.importorskip("dask.array")
    return pytest.importorskip(name)


def test_zarr():
    x = pytest.importorskip("zarr").array(X)
    lazy = advised(x, "dask.array.from_zarr(x)")
    np.testing.assert_allclose(PLAN @ lazy, PLAN @ X, rtol=1e-6)
    np.testing.assert_allclose(PLAN @ x[:32], PLAN @ X, rtol=1e-6)


def test_h5py(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "x.h5", "w") as file:
        x = file.create_dataset("x", data=X)
        lazy = advised(x, "dask.array.from_array(x, chunks=...)")
        np.testing.assert_allclose(PLAN @ lazy, PLAN @ X, rtol=1e-6)
        np.testing.assert_allclose(PLAN @ x[:32], PLAN @ X, rtol=1e-6)


@pytest.mark.parametrize("name", ["COO", "GCXS", "DOK"])
def test_sparse(name):
    sparse = pytest.importorskip("sparse")
    dense = advised(getattr(sparse, name).from_numpy(X), "x.todense()")
    np.testing.assert_allclose(PLAN @ dense, PLAN @ X)


def series_of(values, dtype):
    pd = pytest.importorskip("pandas")
    if "pyarrow" in dtype:
        pytest.importorskip("pyarrow")
    return pd.Series(values, dtype=dtype)


NUMBERS = ["Int64", "int64[pyarrow]", "float64", "Float64", "double[pyarrow]", "boolean"]


@pytest.mark.parametrize(
    ("dtype", "last"), [*((dtype, None) for dtype in NUMBERS), ("int64", 1), ("Int64", 1)]
)
def test_numbers_of_pandas(dtype, last):
    series = series_of([0, 1, 1, last], dtype)
    expected = series.to_numpy(dtype="float64", na_value=np.nan)
    for foreign in (series, series.array, _imported("pandas").Index(series), series.to_frame()):
        mixed = PLAN @ advised(foreign, FLOATS.format(""))
        np.testing.assert_array_equal(mixed.ravel(), PLAN @ expected)


@pytest.mark.parametrize("dtype", ["int64", "Int64", "int64[pyarrow]"])
def test_classes_of_pandas(dtype):
    classes = advised(series_of(Y, dtype), "y.to_numpy('int64')", it="y")
    np.testing.assert_array_equal(PLAN.mix_labels(classes, 3), PLAN.mix_labels(Y, 3))


@pytest.mark.parametrize("dtype", ["str", "object", "category", "string[pyarrow]"])
def test_names_of_classes_in_pandas(dtype):
    series = series_of(["cat", "dog", "owl", "dog"], dtype)
    classes = advised(series, "pandas.factorize(y)[0]", it="y")
    np.testing.assert_array_equal(PLAN.mix_labels(classes, 3), PLAN.mix_labels(Y, 3))
    table = series.to_frame("name").assign(age=[1.0, 2.0, 3.0, None])
    assert (PLAN @ advised(table, FLOATS.format(".select_dtypes('number')"))).shape == (4, 1)


def test_ndonnx_works():
    nd = pytest.importorskip("ndonnx")
    x, y = nd.asarray(X), nd.asarray(Y)
    np.testing.assert_allclose((PLAN @ x).unwrap_numpy(), PLAN @ X, rtol=1e-6)
    soft = PLAN.mix_labels(y, 3).unwrap_numpy()
    np.testing.assert_allclose(soft, PLAN.mix_labels(Y, 3), rtol=0, atol=4 * 2.0**-24)
    ids, _ = PLAN.sparse_labels(y)
    np.testing.assert_array_equal(ids.unwrap_numpy(), PLAN.sparse_labels(Y)[0])
    for function in (zeta_mixup, mixup, cutmix):
        for form in (X, np.arange(24, dtype=np.uint8).reshape(4, 2, 3)):
            mixed, labels = function(nd.asarray(form), y, num_classes=3, rng=0)
            expected = function(form, Y, num_classes=3, rng=0)
            np.testing.assert_allclose(mixed.unwrap_numpy(), expected[0], rtol=1e-5)
            np.testing.assert_allclose(labels.unwrap_numpy(), expected[1], atol=1e-6)
    plan = zeta_plan(4, rng=0, like=x)
    np.testing.assert_allclose((plan @ x).unwrap_numpy(), zeta_plan(4, rng=0) @ X, rtol=1e-5)
    np.testing.assert_allclose(
        plan.matrix().unwrap_numpy(), zeta_plan(4, rng=0).matrix(), rtol=0, atol=2.0**-24
    )
    with pytest.raises(ValueError, match="so that ids are never averaged"):
        zeta_mixup(y)
    masked = nd.asarray(np.ma.masked_greater(X, 0.5))
    with pytest.raises(TypeError, match="x must hold numbers, got an array of ndonnx"):
        PLAN @ masked


@pytest.mark.needs("torch")
def test_a_tensordict_comes_back_as_one():
    torch = pytest.importorskip("torch")
    tensordict = pytest.importorskip("tensordict")
    from zetamix.torch import ZetaMixup

    inner = tensordict.TensorDict({"depth": torch.rand(4, 2)}, batch_size=[4])
    given = {"image": torch.rand(4, 3, 8, 8), "label": torch.arange(4) % 3, "more": inner}
    batch = tensordict.TensorDict(given, batch_size=[4]).lock_()
    mixed = ZetaMixup(num_classes=3, seed=0)(batch)
    plan = zeta_plan(4, rng=(0, 0, 0), like=given["image"])
    assert type(mixed) is type(batch)
    assert mixed.batch_size == batch.batch_size
    assert torch.equal(mixed["image"], plan @ given["image"])
    assert torch.equal(mixed["more", "depth"], plan @ inner["depth"])
    assert torch.equal(mixed["label"], plan.mix_labels(given["label"], 3))
    assert torch.equal(batch["image"], given["image"])
    more = zeta_plan(4, num_outputs=6, rng=0)
    with pytest.raises(
        ValueError, match=r"got tensordict.TensorDict that refuses .*x\.to_dict\(\)"
    ):
        more.apply(batch, num_classes={"label": 3})
    assert more.apply(batch.to_dict(), num_classes={"label": 3})["image"].shape[0] == 6
