"""Labels in all their forms, against the dense product with one-hot rows."""

import numpy as np
import pytest
from bounds import assert_mixtures_agree
from hypothesis import given
from hypothesis import strategies as st

from zetamix_core import mixup_plan, zeta_mixup, zeta_plan


def one_hot(classes, num_classes):
    return np.eye(num_classes)[classes]


def label_dtype(backend, plan):
    """A portable plan gives the default float of the library of the labels."""
    return np.float32 if backend.name in ("torch", "jax") else np.float64


@given(data=st.data(), dtype=st.sampled_from(["int8", "uint8", "int32", "int64"]))
def test_classes(backend, data, dtype):
    if backend.name == "jax":  # which compiles for each size
        dtype = "int32" if dtype == "int64" else dtype
        n, num_classes = data.draw(st.sampled_from([(1, 5), (7, 2), (12, 5)]))
        num_mix = data.draw(st.sampled_from(sorted({1, n // 2 or 1, n})))
    else:
        n, num_classes = data.draw(st.integers(1, 12)), data.draw(st.integers(2, 5))
        num_mix = data.draw(st.integers(1, n))
    seed = data.draw(st.integers(0, 2**32))
    y = np.random.default_rng(seed).integers(0, num_classes, n).astype(dtype)
    for plan in (zeta_plan(n, num_mix=num_mix, rng=seed), mixup_plan(n, rng=seed)):
        soft = backend.to_numpy(plan.mix_labels(backend.asarray(y), num_classes))
        assert soft.dtype == label_dtype(backend, plan)
        assert soft.shape == (n, num_classes)
        expected = plan.matrix() @ one_hot(y, num_classes)
        np.testing.assert_allclose(soft, expected, rtol=0, atol=num_mix * 2.0**-24)
        np.testing.assert_allclose(soft.sum(axis=1), 1, rtol=1e-6)


def test_more_classes_than_the_dtype_counts(backend):
    """A batch of uint8 classes may have num_classes = 1000."""
    y = np.asarray([0, 255, 3], dtype=np.uint8)
    plan = zeta_plan(3, rng=0)
    soft = backend.to_numpy(plan.mix_labels(backend.asarray(y), 1000))
    assert_mixtures_agree(soft, plan.matrix() @ one_hot(y, 1000), plan, one_hot(y, 1000))
    masks = np.asarray([[[0]], [[255]], [[3]]], dtype=np.uint8)
    soft = backend.to_numpy(zeta_plan(3, rng=0).mix_labels(backend.asarray(masks), 1000))
    assert soft.shape == (3, 1, 1, 1000)
    np.testing.assert_allclose(soft.sum(axis=-1), 1, rtol=1e-6)
    assert soft[1, 0, 0].argmax() == 255


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32"])
def test_multi_hot(backend, dtype):
    y = np.random.default_rng(0).integers(0, 2, (6, 4)).astype(dtype)
    plan = zeta_plan(6, rng=0)
    soft = backend.to_numpy(plan.mix_labels(backend.asarray(y), 4))
    np.testing.assert_allclose(soft, plan.matrix() @ y, rtol=0, atol=6 * 2.0**-24)


def test_binary_classes_as_bool(backend):
    y = np.asarray([True, False, True])
    plan = zeta_plan(3, rng=0)
    soft = backend.to_numpy(plan.mix_labels(backend.asarray(y), 2))
    rows = one_hot(y.astype(int), 2)
    assert_mixtures_agree(soft, plan.matrix() @ rows, plan, rows)


@pytest.mark.parametrize("shape", [(), (1,), (4,), (4, 3), (2, 3, 4)])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_soft_labels_and_targets_keep_their_dtype(backend, shape, dtype):
    if backend.name.startswith("array_api_strict") and dtype == "float16":
        pytest.skip("the standard has no float16")
    if backend.name == "jax" and dtype == "float64":
        pytest.skip("JAX has no float64 unless its 64-bit mode is on")
    y = np.random.default_rng(0).normal(size=(5, *shape)).astype(dtype)
    plan = zeta_plan(5, num_mix=3, rng=0)
    mixed = backend.to_numpy(plan.mix_labels(backend.asarray(y)))
    assert mixed.dtype == dtype
    expected = np.tensordot(plan.matrix(), y.astype(np.float64), axes=1)
    assert_mixtures_agree(mixed, expected, plan, y)


@pytest.mark.parametrize("shape", [(4, 6), (4, 5, 6), (2, 3, 4, 5)])
def test_masks(backend, shape):
    y = np.random.default_rng(0).integers(0, 3, shape).astype(np.int32)
    for num_mix in (2, shape[0]):
        plan = zeta_plan(shape[0], num_mix=num_mix, rng=0)
        soft = backend.to_numpy(plan.mix_labels(backend.asarray(y), 3, positions=True))
        assert soft.shape == (*shape, 3)
        expected = np.tensordot(plan.matrix(), one_hot(y, 3), axes=1)
        assert_mixtures_agree(soft, expected, plan, one_hot(y, 3))


def test_soft_rows_still_sum_to_one(backend):
    y = np.random.default_rng(0).dirichlet(np.ones(7), 9).astype(np.float32)
    soft = backend.to_numpy(zeta_plan(9, rng=0).mix_labels(backend.asarray(y), 7))
    np.testing.assert_allclose(soft.sum(axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize("narrow", ["float16", "bfloat16"])
def test_labels_do_not_pass_through_the_dtype_of_the_images(backend, narrow):
    """With 1001 classes in bfloat16, class numbers and small weights would be lost."""
    if backend.name not in ("torch", "jax", "cupy"):
        pytest.skip(f"{backend.name} has no bfloat16")
    x = backend.asarray(np.zeros((8, 2), dtype=np.float32))
    if backend.name == "torch":
        import torch

        x = x.to(getattr(torch, narrow))
    else:
        x = x.astype(narrow)
    y = np.arange(993, 1001, dtype=np.int32)
    mixed, soft = zeta_mixup(x, backend.asarray(y), num_classes=1001, rng=0)
    assert mixed.dtype == x.dtype
    soft = backend.to_numpy(soft)
    assert soft.dtype == np.float32
    expected = zeta_plan(8, rng=0).matrix() @ one_hot(y, 1001)
    np.testing.assert_allclose(soft, expected, rtol=0, atol=2.0**-24)  # each class is in it once


# --- sparse form ----------------------------------------------------------------------------------


def test_sparse_labels_are_the_dense_ones(backend):
    y = np.random.default_rng(0).integers(0, 4, 10).astype(np.int32)
    for plan in (zeta_plan(10, num_mix=6, rng=0), mixup_plan(10, rng=0)):
        ids, weights = plan.sparse_labels(backend.asarray(y))
        ids, weights = backend.to_numpy(ids), backend.to_numpy(weights)
        assert ids.shape == weights.shape == plan.indices.shape
        assert ids.dtype == y.dtype
        dense = np.zeros((10, 4), dtype=weights.dtype)
        np.add.at(dense, (np.arange(10)[:, None], ids), weights)
        assert_mixtures_agree(dense, plan.mix_labels(y, 4), plan, one_hot(y, 4))


def test_sparse_labels_do_not_hand_out_the_weights_of_the_plan(backend):
    plan = mixup_plan(4, rng=0)
    weights = plan.weights.copy()
    _, handed_out = plan.sparse_labels(backend.asarray(np.arange(4, dtype=np.int32)))
    if backend.name not in ("jax", "dask"):  # of immutable arrays
        handed_out[...] = 0
    assert np.array_equal(plan.weights, weights)


@pytest.mark.needs("torch")
@pytest.mark.parametrize("dtype", ["uint16", "uint32", "uint64"])
def test_unsigned_classes_of_torch(dtype):
    import torch

    y = np.asarray([3, 0, 2, 3], dtype=dtype)
    plan = zeta_plan(4, rng=0)
    soft = plan.mix_labels(torch.from_numpy(y), 4)
    assert_mixtures_agree(soft, plan.mix_labels(y, 4), plan, one_hot(y, 4))
    ids, _ = plan.sparse_labels(torch.from_numpy(y))
    assert ids.dtype == getattr(torch, dtype)
    assert np.array_equal(ids.numpy(), plan.sparse_labels(y)[0])


def test_sparse_labels_of_a_billion_classes(backend):
    """A dense row of them would be gigabytes long."""
    y = np.asarray([0, 10**9, 5, 7], dtype=np.int32)
    ids, _ = zeta_plan(4, num_mix=2, rng=0).sparse_labels(backend.asarray(y))
    assert backend.to_numpy(ids)[:, 0].tolist() == y.tolist()


# --- labels that can't be read without synchronization ------------------------------------------


@pytest.mark.needs("jax")
@pytest.mark.parametrize("bad", [-1, 3, 2**31 - 1])
def test_bad_classes_give_nan_rows_while_tracing(bad):
    import jax

    y = jax.numpy.asarray([0, 1, bad, 2, 1])
    plan = zeta_plan(5, num_mix=2, rng=0)
    soft = np.asarray(jax.jit(lambda y: plan.mix_labels(y, 3))(y))
    uses = np.any(plan.indices == 2, axis=1)
    assert np.array_equal(np.isnan(soft).all(axis=1), uses)
    assert np.isfinite(soft[~uses]).all()


@pytest.mark.needs("dask")
def test_bad_classes_give_nan_in_lazy_arrays():
    import dask.array as da

    plan = zeta_plan(5, num_mix=2, rng=0)
    uses = np.any(plan.indices == 2, axis=1)
    y = np.asarray([0, 1, 9, 2, 1])
    soft = plan.mix_labels(da.from_array(y, chunks=2), 3).compute()
    assert np.array_equal(np.isnan(soft).all(axis=1), uses)
    masks = np.stack([y, y * 0], axis=1)[:, :, None]
    soft = plan.mix_labels(da.from_array(masks, chunks=2), 3).compute()
    assert np.array_equal(np.isnan(soft[:, 0]).all(axis=(1, 2)), uses)
    assert np.isfinite(soft[:, 1]).all()
    rows = da.from_array(np.asarray([[0, 1]] * 2 + [[0, 2]] + [[1, 0]] * 2), chunks=2)
    soft = plan.mix_labels(rows, 2).compute()
    assert np.array_equal(np.isnan(soft).any(axis=1), uses)


@pytest.mark.needs("torch")
def test_bad_gamma_and_classes_give_nan_under_torch_compile():
    import torch

    plan = zeta_plan(4, num_mix=2, rng=0, like=torch.zeros(1))
    mix = torch.compile(lambda y: plan.mix_labels(y, 3), fullgraph=True)
    soft = mix(torch.tensor([0, 1, 5, 2]))
    assert torch.equal(soft.isnan().all(dim=1), (plan.indices == 2).any(dim=1))
