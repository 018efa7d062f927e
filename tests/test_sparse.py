"""Sparse matrices of SciPy, which plans keep sparse, and tables, which they refuse."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import zetamix
from bounds import assert_mixtures_agree
from scipy import sparse
from zetamix import MixPlan, cutmix_plan, mixup_plan, zeta_plan

KINDS = [sparse.csr_array, sparse.csc_array, sparse.csr_matrix, sparse.csc_matrix]
N = 40


def rows(dtype=np.float64, density=0.2):
    rng = np.random.default_rng(0)
    return (100 * rng.random((N, 30)) * (rng.random((N, 30)) < density)).astype(dtype)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "int16", "bool"])
def test_a_sparse_mixture_is_that_of_dense_samples(kind, dtype):
    dense = rows(dtype)
    plan = zeta_plan(N, num_mix=5, num_outputs=2 * N, rng=0)
    mixed = plan @ kind(dense)
    assert type(mixed) is kind
    expected = plan @ dense
    assert mixed.dtype == expected.dtype
    assert mixed.has_sorted_indices
    assert_mixtures_agree(mixed.toarray(), expected, plan, dense)
    assert mixed.nnz <= 5 * 2 * sparse.csr_array(dense).nnz + 2 * N


@pytest.mark.parametrize("draw", [zeta_plan, mixup_plan])
def test_all_plans_that_average_apply(draw):
    dense = rows()
    plan = draw(N, donors="same", groups=np.arange(N) // 2, rng=0)
    np.testing.assert_allclose((plan @ sparse.csr_array(dense)).toarray(), plan @ dense)
    np.testing.assert_allclose(plan.mix(sparse.csc_array(dense)).toarray(), plan @ dense)


def test_samples_without_weight_are_not_used():
    dense = np.eye(3)
    dense[2] = np.nan
    plan = MixPlan(np.asarray([[0, 2], [1, 2]]), np.asarray([1.0, 0.0]), 3)
    np.testing.assert_array_equal((plan @ sparse.csr_array(dense)).toarray(), np.eye(3)[:2])
    np.testing.assert_array_equal((plan @ sparse.csc_array(dense)).toarray(), np.eye(3)[:2])


def test_the_input_and_the_plan_are_left_alone():
    x = sparse.csr_array(rows(np.int64))
    before, plan = x.copy(), zeta_plan(N, num_mix=3, gamma=np.inf, rng=0)
    assert ((plan @ x) != x).nnz == 0
    assert x.dtype == np.int64
    assert (x != before).nnz == 0
    assert plan.weights.tolist() == [1.0, 0.0, 0.0]


def test_what_is_not_sparse_rows_is_refused():
    plan, x = zeta_plan(N, rng=0), sparse.csr_array(rows())
    with pytest.raises(TypeError, match=r"CSR or CSC format, got a coo_array .*pass x\.tocsr\(\)"):
        plan @ x.tocoo()
    with pytest.raises(ValueError, match=r"rows, got a coo_array of shape \(40,\)"):
        plan @ sparse.coo_array(np.ones(N))
    with pytest.raises(ValueError, match="drawn for 40 samples, got x with 39"):
        plan @ x[:39]
    with pytest.raises(TypeError, match=r"out goes with dense samples.* leave it out"):
        plan.mix(x, out=np.empty((N, 30)))
    with pytest.raises(TypeError, match=r"must be an array of a supported .*pass x\.toarray\(\)"):
        cutmix_plan((N, 30), axes=(1,), rng=0) @ x
    with pytest.raises(TypeError, match=r"pass x\.toarray\(\)"):
        zetamix.zeta_mixup(x)


def test_a_plan_on_a_device_is_refused(backend):
    if backend.plan_library == "numpy":
        pytest.skip("plans of NumPy apply to sparse matrices")
    plan = zeta_plan(N, rng=0, like=backend.like)
    with pytest.raises(TypeError, match=f"got a plan of {backend.plan_library}.* with like=None"):
        plan @ sparse.csr_array(rows())


TABLES = {
    "pandas": pd.DataFrame({"a": [1.0, 2, 3], "b": [True, False, True]}),
    "pandas with text": pd.DataFrame({"a": [1.0, 2, 3], "b": ["x", "y", "z"]}),
    "pandas series": pd.Series([1.0, 2, 3]),
    "polars": pl.DataFrame({"a": [1.0, 2, 3], "b": [4, 5, 6]}),
    "polars with text": pl.DataFrame({"a": [1.0, 2, 3], "b": ["x", "y", "z"]}),
    "polars series": pl.Series([1.0, 2, 3]),
    "polars lazy": pl.DataFrame({"a": [1.0, 2, 3], "b": ["x", "y", "z"]}).lazy(),
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_are_refused_with_the_line_that_works(name):
    plan, x = zeta_plan(3, rng=0), TABLES[name]
    with pytest.raises(TypeError, match=f"got {name.split(maxsplit=1)[0]}.*; pass ") as refusal:
        plan @ x
    remedy = str(refusal.value).rpartition("; pass ")[2]
    names = {"x": x, "numpy": np, "polars": pl}
    mixed = plan @ eval(remedy.partition(", or for classes")[0], names)
    assert np.isfinite(mixed).all()


def test_classes_of_a_table_are_numbered():
    for x in (pd.Series(list("aba")), pl.Series(list("aba"))):
        with pytest.raises(TypeError) as refusal:
            zetamix.zeta_mixup(np.eye(3), x, num_classes=2)
        remedy = str(refusal.value).rpartition("; for classes pass ")[2]
        names = {"y": x, "numpy": np, "pandas": pd}
        assert eval(remedy, names).tolist() == [0, 1, 0]


@pytest.mark.parametrize("kind", [sparse.csr_array, sparse.csc_array, sparse.csr_matrix])
def test_indices_stay_as_narrow_as_they_were(kind):
    x = kind(np.eye(8))
    mixed = zeta_plan(8, num_mix=3, rng=0) @ x
    assert mixed.indices.dtype == mixed.indptr.dtype == np.int32
