"""What a plan makes of arrays, against a brute-force oracle and by law."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from zetamix_core import MixPlan, dirichlet_plan, mixing, mixup_plan, zeta_plan

DTYPES = ["float16", "float32", "float64", "complex64", "complex128"]


def oracle(plan, x):
    """The definition, in three loops and double precision."""
    indices, weights = np.asarray(plan.indices), np.asarray(plan.weights, dtype=np.float64)
    flat = np.asarray(x).reshape(len(x), -1)
    wide = np.complex128 if np.iscomplexobj(flat) else np.float64
    out = np.zeros((len(indices), flat.shape[1]), dtype=wide)
    for i, row in enumerate(indices):
        for r, sample in enumerate(row):
            weight = weights[r] if weights.ndim == 1 else weights[i, r]
            if weight:
                for d in range(flat.shape[1]):
                    out[i, d] += weight * wide(flat[sample, d])
    return out.reshape(len(indices), *np.shape(x)[1:])


def supported(backend, dtype):
    """Tell whether the library has the dtype at all."""
    if backend.name.startswith("array_api_strict"):
        return dtype != "float16"
    return backend.name != "jax" or dtype not in ("float64", "complex128")


def tolerance(dtype):
    """A few units in the last place of the output; float32 is the least that sums are made in."""
    return 4 * float(np.finfo(dtype).eps)


def assert_close(mixed, expected, dtype, scale=None):
    scale = np.abs(expected).max(initial=0) if scale is None else scale
    eps = tolerance(dtype)
    np.testing.assert_allclose(mixed, expected, rtol=eps, atol=eps * scale)


@st.composite
def problems(draw, dtypes=DTYPES, max_n=9):
    """A plan and the samples to apply it to."""
    n = draw(st.integers(1, max_n))
    num_mix = draw(st.integers(1, n))
    num_outputs = draw(st.integers(1, 2 * max_n))
    gamma = draw(st.one_of(st.floats(0, 8), st.just(float("inf"))))
    seed = draw(st.integers(0, 2**32))
    options = {"num_mix": num_mix, "num_outputs": num_outputs, "rng": seed}
    plan = draw(
        st.sampled_from(
            [
                lambda: zeta_plan(n, gamma=gamma, **options),
                lambda: zeta_plan(n, gamma=gamma, anchored=False, **options),
                lambda: zeta_plan(n, gamma=np.linspace(0, 5, num_outputs), **options),
                lambda: dirichlet_plan(n, **options),
                lambda: mixup_plan(n, num_outputs=num_outputs, rng=seed),
            ]
        )
    )()
    shape = (n, *draw(hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)))
    dtype = draw(st.sampled_from(dtypes))
    values = np.random.default_rng(seed).normal(size=(2, *shape))
    x = values[0] + 1j * values[1] if dtype.startswith("complex") else values[0]
    return plan, x.astype(dtype)


@given(problem=problems())
def test_oracle(backend, problem):
    plan, x = problem
    if not supported(backend, x.dtype.name):
        return
    array = backend.asarray(x)
    mixed = plan @ array
    assert mixed.dtype == array.dtype
    assert type(mixed) is type(array)
    assert_close(backend.to_numpy(mixed), oracle(plan, x), x.dtype)
    assert np.array_equal(backend.to_numpy(array), x), "the input was modified"


@given(problem=problems(dtypes=["float32"]))
def test_a_plan_on_the_device_does_as_the_portable_one(backend, problem):
    plan, x = problem
    array = backend.asarray(x)
    native = MixPlan(
        backend.asarray(plan.indices) if not backend.lazy else plan.indices,
        backend.asarray(plan.weights.astype(np.float32)) if not backend.lazy else plan.weights,
        plan.num_samples,
    )
    assert_close(backend.to_numpy(native @ array), oracle(plan, x), "float32")


@given(problem=problems(dtypes=["float64"]))
def test_matrix_product_and_gather_sum_agree(problem):
    plan, x = problem
    rows = x.reshape(len(x), -1) if x.size else x.reshape(len(x), 0)
    dense = mixing._product(np, plan.indices, plan.weights, rows)
    gathered = mixing._gather_sum(np, plan.indices, plan.weights, rows, np.float64)
    np.testing.assert_allclose(dense, gathered, rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(dense, plan.matrix() @ rows, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize(
    ("n", "num_mix", "dense"), [(4, 4, True), (16, 2, True), (17, 2, False), (64, 64, True)]
)
def test_rule_of_the_dispatch(monkeypatch, n, num_mix, dense):
    taken = []
    product, gather = mixing._product, mixing._gather_sum
    monkeypatch.setattr(mixing, "_product", lambda *a: taken.append("dense") or product(*a))
    monkeypatch.setattr(mixing, "_gather_sum", lambda *a: taken.append("gather") or gather(*a))
    _ = zeta_plan(n, num_mix=num_mix) @ np.ones((n, 3))
    assert taken == ["dense" if dense else "gather"]


# --- laws -----------------------------------------------------------------------------------------


@given(problem=problems())
def test_convexity(backend, problem):
    plan, x = problem
    if not supported(backend, x.dtype.name) or x.size == 0:
        return
    mixed = backend.to_numpy(plan @ backend.asarray(x))
    slack = tolerance(x.dtype) * np.abs(x).max()
    for part in (np.real, np.imag):
        assert np.all(part(mixed) >= part(x).min(axis=0) - slack)
        assert np.all(part(mixed) <= part(x).max(axis=0) + slack)


@given(problem=problems(), factor=st.integers(-4, 4))
def test_linearity(backend, problem, factor):
    plan, x = problem
    if not supported(backend, x.dtype.name):
        return
    other = x[::-1].copy()
    together = (x + factor * other).astype(x.dtype)
    parts = (backend.to_numpy(plan @ backend.asarray(part)) for part in (together, x, other))
    mixed, a, b = parts
    scale = 16 * np.abs(x).max(initial=0)
    assert_close(mixed, a + factor * b, x.dtype, scale)


@given(problem=problems(), seed=st.integers(0, 2**32))
def test_permutation_equivariance(backend, problem, seed):
    """Renaming the samples, in the plan and in the data, changes nothing."""
    plan, x = problem
    if not supported(backend, x.dtype.name):
        return
    renamed = np.random.default_rng(seed).permutation(len(x))
    inverse = np.argsort(renamed)
    other = MixPlan(inverse[plan.indices], plan.weights, plan.num_samples)
    a = backend.to_numpy(plan @ backend.asarray(x))
    b = backend.to_numpy(other @ backend.asarray(x[renamed]))
    assert_close(a, b, x.dtype, np.abs(x).max(initial=0))


@given(problem=problems())
def test_constants_stay(backend, problem):
    plan, x = problem
    if not supported(backend, x.dtype.name):
        return
    mixed = backend.to_numpy(plan @ backend.asarray(np.full_like(x, 3.0)))
    np.testing.assert_allclose(mixed, 3.0, rtol=tolerance(x.dtype))


@given(n=st.integers(1, 12), seed=st.integers(0, 2**32))
def test_identity_and_mean(backend, n, seed):
    x = np.random.default_rng(seed).normal(size=(n, 3)).astype(np.float32)
    array = backend.asarray(x)
    identities = [{"num_mix": 1}, {"gamma": float("inf")}]
    identities += [{"gamma": float("inf"), "num_mix": min(2, n)}]
    for options in identities:
        plan = zeta_plan(n, rng=seed, like=array, **options)
        assert np.array_equal(backend.to_numpy(plan @ array), x)
        bad = x.copy()
        bad[0] = np.inf
        bad[-1] = np.nan
        mixed = backend.to_numpy(plan @ backend.asarray(bad))
        assert np.array_equal(mixed, bad, equal_nan=True)
    mean = zeta_plan(n, gamma=0, rng=seed, like=array) @ array
    assert_close(backend.to_numpy(mean), np.broadcast_to(x.mean(axis=0), x.shape), "float32", 2)


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
@given(problem=problems(dtypes=["float32"]))
def test_a_bad_value_reaches_only_the_outputs_that_use_it(backend, bad, problem):
    plan, x = problem
    if x.size == 0:
        return
    x = x.reshape(len(x), -1).copy()
    x[0, 0] = bad
    weights = np.broadcast_to(plan.weights, plan.indices.shape)
    uses = np.any((plan.indices == 0) & (weights.astype(np.float32) > 0), axis=1)
    mixed = backend.to_numpy(plan @ backend.asarray(x))
    assert np.array_equal(np.isfinite(mixed[:, 0]), ~uses)
    assert np.isfinite(mixed[:, 1:]).all()


def test_infinite_gamma_for_some_outputs():
    x = np.asarray([[np.inf, 0.0], [1.0, 1.0], [2.0, 2.0]])
    for num_mix in (2, 3):
        plan = zeta_plan(3, gamma=np.asarray([np.inf, 1.0, np.inf]), num_mix=num_mix, rng=0)
        mixed = plan @ x
        assert np.array_equal(mixed[[0, 2]], x[[0, 2]])


def test_layouts_of_memory(backend):
    """Strided, reversed, transposed and broadcast inputs give what their copies give."""
    base = np.random.default_rng(0).normal(size=(12, 6, 8)).astype(np.float32)
    views = {
        "strided": lambda x: x[::2, 1:, ::3],
        "transposed": lambda x: x.transpose(0, 2, 1) if hasattr(x, "strides") else None,
        "samples last": lambda x: x.transpose(2, 0, 1) if hasattr(x, "strides") else None,
    }
    if backend.name not in ("torch",):  # torch has no negative strides
        views["reversed"] = lambda x: x[::-1, :, ::-1]
    checked = 0
    for view in views.values():
        array = view(backend.asarray(base))
        if array is None:
            continue
        x = np.array(backend.to_numpy(array))
        for num_mix in (2, len(x)):
            plan = zeta_plan(len(x), num_mix=num_mix, rng=1)
            assert_close(backend.to_numpy(plan @ array), oracle(plan, x), "float32")
            checked += 1
    assert checked >= 2


def test_memory_order_is_kept():
    x = np.asfortranarray(np.random.default_rng(0).normal(size=(6, 3, 4, 5)))
    for order in [(0, 1, 2, 3), (0, 2, 3, 1), (0, 3, 1, 2)]:
        array = np.ascontiguousarray(x.transpose(order)).transpose(np.argsort(order))
        mixed = zeta_plan(6, rng=0) @ array
        assert mixed.strides == array.strides


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int16", "int64"])
def test_integers_give_the_default_float(backend, dtype):
    if backend.name == "jax" and dtype == "int64":
        pytest.skip("JAX has no int64 unless its 64-bit mode is on")
    x = np.random.default_rng(0).integers(0, 2 if dtype == "bool" else 100, (7, 5)).astype(dtype)
    plan = zeta_plan(7, num_mix=3, rng=0)
    for p in (plan, zeta_plan(7, rng=0)):
        mixed = backend.to_numpy(p @ backend.asarray(x))
        assert mixed.dtype == (np.float32 if backend.name in ("torch", "jax") else np.float64)
        assert_close(mixed, oracle(p, x), mixed.dtype)


@pytest.mark.parametrize("num_mix", [2, 4])
def test_long_double(num_mix):
    x = np.random.default_rng(0).normal(size=(4, 3)).astype(np.longdouble)
    mixed = zeta_plan(4, num_mix=num_mix, rng=0) @ x
    assert mixed.dtype == np.longdouble
    np.testing.assert_allclose(mixed, oracle(zeta_plan(4, num_mix=num_mix, rng=0), x), rtol=1e-14)


def test_dtypes_of_other_packages():
    """Narrow floats are floats; narrow integers are integers, and never labels by accident."""
    ml_dtypes = pytest.importorskip("ml_dtypes")
    plan = zeta_plan(4, rng=0)
    for dtype in (ml_dtypes.float8_e5m2, ml_dtypes.float8_e4m3fn, ml_dtypes.bfloat16):
        assert (plan @ np.ones((4, 2), dtype=dtype)).dtype == dtype
    for dtype in (ml_dtypes.int4, ml_dtypes.uint4):
        classes = np.arange(4).astype(dtype)
        assert (plan @ classes).dtype == np.float64
        with pytest.raises(ValueError, match="only if declared"):
            plan.apply(classes)
        assert np.array_equal(plan.mix_labels(classes, 4), plan.matrix())


@pytest.mark.parametrize("num_mix", [3, 16])
def test_narrow_floats_are_accumulated_in_float32(num_mix):
    """Summing 16 halves in half precision errs by several units; rounding once does not."""
    ml_dtypes = pytest.importorskip("ml_dtypes")
    x = np.random.default_rng(0).normal(size=(16, 1000))
    plan = zeta_plan(16, gamma=0.5, num_mix=num_mix, rng=0)
    for dtype in (np.float16, ml_dtypes.bfloat16):
        narrow = x.astype(dtype)
        mixed = plan @ narrow
        assert mixed.dtype == dtype
        exact = oracle(plan, narrow.astype(np.float64))
        assert np.count_nonzero(mixed != exact.astype(np.float32).astype(dtype)) <= 10


def test_bfloat16(backend):
    if backend.name not in ("torch", "jax", "cupy"):
        pytest.skip(f"{backend.name} has no bfloat16")
    x = np.random.default_rng(0).normal(size=(16, 50)).astype(np.float32)
    array = backend.asarray(x)
    narrow = array.bfloat16() if backend.name == "torch" else array.astype("bfloat16")
    mixed = zeta_plan(16, rng=0, like=narrow) @ narrow
    assert mixed.dtype == narrow.dtype
    wide = mixed.float() if backend.name == "torch" else mixed.astype("float32")
    np.testing.assert_allclose(backend.to_numpy(wide), oracle(zeta_plan(16, rng=0), x), atol=0.03)


def test_the_device_is_kept(backend):
    x = backend.asarray(np.ones((4, 3), dtype=np.float32))
    for like in (None, x):
        mixed = zeta_plan(4, rng=0, like=like) @ x
        assert getattr(mixed, "device", None) == getattr(x, "device", None)


@pytest.mark.needs("torch")
def test_torch_meta_propagates():
    import torch

    from zetamix_core import cutmix, zeta_mixup

    x = torch.zeros(8, 3, 4, 4, device="meta", dtype=torch.float16)
    y = torch.zeros(8, dtype=torch.int64, device="meta")
    for rng in (0, "device"):
        for mix in (zeta_mixup, cutmix):
            mixed, soft = mix(x, y, num_classes=5, rng=rng)
            assert mixed.device.type == soft.device.type == "meta"
            assert (mixed.shape, mixed.dtype) == (x.shape, x.dtype)
            assert (soft.shape, soft.dtype) == ((8, 5), torch.float32)


# --- Dask -----------------------------------------------------------------------------------------


@pytest.mark.needs("dask")
@pytest.mark.parametrize("chunks", [(6, 5, 4), (2, 5, 4), (6, 2, 3), (4, 3, 1), (1, 1, 1)])
def test_dask_stays_lazy_along_any_axis(chunks):
    import dask
    import dask.array as da

    from zetamix_core import cutmix, zeta_mixup

    def no_compute(*args, **kwargs):
        raise AssertionError("a Dask array was computed")

    x = np.random.default_rng(0).normal(size=(6, 5, 4))
    lazy = da.from_array(x, chunks=chunks)
    labels = da.from_array(np.arange(6) % 3, chunks=chunks[0])
    with dask.config.set(scheduler=no_compute):
        mixed, soft = zeta_mixup(lazy, labels, num_mix=3, num_classes=3, rng=1)
        cut, _ = cutmix(lazy, labels, num_classes=3, rng=1)
        wide = zeta_plan(6, num_outputs=9, rng=1) @ lazy
    assert mixed.chunks == cut.chunks == lazy.chunks
    plan = zeta_plan(6, num_mix=3, rng=1)
    np.testing.assert_allclose(mixed.compute(), oracle(plan, x), rtol=1e-14, atol=1e-14)
    np.testing.assert_allclose(soft.compute(), plan.mix_labels(np.arange(6) % 3, 3))
    assert np.array_equal(cut.compute(), cutmix(x, rng=1)[0])
    assert wide.compute().shape == wide.shape == (9, 5, 4)


@pytest.mark.needs("dask")
def test_dask_blocks_stay_small():
    """Gathering all samples into a block must not gather all features too."""
    import dask
    import dask.array as da

    x = da.zeros((512, 4096), chunks=(8, 4096))
    with dask.config.set({"array.chunk-size": "1MiB"}):
        mixed = zeta_plan(512, num_mix=4, rng=0) @ x
        tallest = max(
            np.prod([max(c) for c in step.chunks]) for step in (mixed, mixing.whole_samples(x))
        )
    assert tallest * 8 <= 2 * 2**20
