"""What a plan makes of arrays, against a brute-force oracle and by law."""

import numpy as np
import pytest
from bounds import assert_mixtures_agree, assert_within, error_bound
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from zetamix_core import MixPlan, dirichlet_plan, linear_map, mixup_plan, products, zeta_plan

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


def assert_mixture(mixed, plan, x):
    assert_mixtures_agree(mixed, oracle(plan, x), plan, x)


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
    assert_mixture(backend.to_numpy(mixed), plan, x)
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
    assert_mixture(backend.to_numpy(native @ array), plan, x)


@given(problem=problems(dtypes=["float64"]))
def test_the_products_agree(problem):
    plan, x = problem
    rows = x.reshape(len(x), -1) if x.size else x.reshape(len(x), 0)
    arrays = plan.indices, plan.weights, len(rows)
    dense = products.dense_product(*arrays)(rows)
    gathered = products.gather_sum(*arrays[:2], rows, np.float64, all_positive=False)
    np.testing.assert_allclose(dense, gathered, rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(dense, plan.matrix() @ rows, rtol=1e-13, atol=1e-13)
    for all_positive in (False, True):
        sparse = products.sparse_product(*arrays, all_positive)(rows)
        np.testing.assert_allclose(sparse, gathered, rtol=1e-13, atol=1e-13)


@pytest.mark.needs("torch")
@given(problem=problems(dtypes=["float64"]))
def test_the_products_of_torch_agree(problem):
    import torch

    plan, x = problem
    if x.size == 0:
        return
    rows = torch.from_numpy(x.reshape(len(x), -1))
    arrays = torch.from_numpy(plan.indices.copy()), torch.from_numpy(plan.weights.copy())
    gathered = products.gather_sum(*arrays, rows, torch.float64, all_positive=False)
    for all_positive in (False, True):
        sparse = products.sparse_product(*arrays, len(x), all_positive)(rows)
        torch.testing.assert_close(sparse, gathered, rtol=1e-13, atol=1e-13)


@pytest.fixture
def taken(monkeypatch):
    """The names of the products that mixing takes, in order."""
    names = []
    for name in ("dense_product", "sparse_product", "gather_sum"):

        def note(*args, name=name, product=getattr(linear_map, name)):  # noqa: B008
            names.append(name.split("_")[0])
            return product(*args)

        monkeypatch.setattr(linear_map, name, note)
    return names


def test_rule_of_the_dispatch(backend, taken):
    last_sparse = {"numpy": 3, "numpy-readonly": 3, "torch": 16}.get(backend.name)
    if backend.lazy:
        pytest.skip("Dask hands its blocks, which are NumPy arrays, to the rule of NumPy")
    x = backend.asarray(np.ones((32, 3), dtype=np.float32))
    for num_mix in (1, 3, 4, 8, 9, 16, 17, 31, 32):
        taken.clear()
        _ = zeta_plan(32, num_mix=num_mix) @ x
        if backend.name == "jax" and 8 < num_mix < 32:
            # The first row tells which of the other two is right for the samples.
            assert taken == ["dense", "dense", "gather"]
        elif num_mix == 32 or (last_sparse and num_mix > last_sparse):
            assert taken == ["dense"]
        else:
            assert taken == ["sparse" if last_sparse else "gather"]


@pytest.mark.needs("torch")
def test_kernels_without_derivatives_are_left_alone(taken):
    """Not taken by what requires grad, by transformations, nor for dtypes that they lack."""
    import torch

    plan = zeta_plan(16, num_mix=3, rng=0)
    x = torch.randn(16, 4)
    with_grad = MixPlan(
        torch.from_numpy(plan.indices.copy()),
        torch.tensor(plan.weights, dtype=torch.float32, requires_grad=True),
        16,
    )
    expected = (plan @ x).double()
    cases = {
        "samples": lambda: plan @ x.clone().requires_grad_(),
        "weights": lambda: with_grad @ x,
        "vmap": lambda: torch.func.vmap(lambda t: plan.__matmul__(t))(x[None])[0],
        "jvp": lambda: torch.func.jvp(lambda t: plan.__matmul__(t), (x,), (x,))[1],
        "functionalize": lambda: torch.func.functionalize(lambda t: plan.__matmul__(t))(x),
        "vmap over plans": lambda: torch.func.vmap(
            lambda i: MixPlan(i, with_grad.weights.detach(), 16).__matmul__(x)
        )(with_grad.indices[None])[0],
        "complex": lambda: (plan @ x.to(torch.complex64)).real,
        "no features": lambda: plan @ x[:, :0],
    }
    for name, case in cases.items():
        taken.clear()
        mixed = case()
        assert taken == ["gather"], name
        if mixed.numel():
            torch.testing.assert_close(mixed.double(), expected, rtol=1e-5, atol=1e-6)
    with torch.autograd.forward_ad.dual_level():
        taken.clear()
        mixed = plan @ torch.autograd.forward_ad.make_dual(x, x)
        tangent = torch.autograd.forward_ad.unpack_dual(mixed).tangent
        assert taken == ["gather"]
        torch.testing.assert_close(tangent.double(), expected, rtol=1e-5, atol=1e-6)
    with torch.no_grad():
        taken.clear()
        _ = plan @ x.clone().requires_grad_()
        assert taken == ["sparse"]


@pytest.mark.parametrize("dtype", ["float16", "uint8", "float32", "float64"])
@pytest.mark.parametrize("num_mix", [3, 8, 24])
def test_blocks_of_columns(backend, monkeypatch, dtype, num_mix):
    """Blocks of any width give what all columns at once do."""
    if not supported(backend, dtype):
        pytest.skip(f"{backend.name} has no {dtype}")
    x = np.random.default_rng(0).integers(0, 9, size=(24, 5, 7)).astype(dtype)
    plan = zeta_plan(24, num_mix=num_mix, num_outputs=30, rng=0)
    for columns, entries in ((1, 30), (4, 1), (8, 300), (512, 1 << 18)):
        monkeypatch.setattr(linear_map, "_MIN_COLUMNS", columns)
        monkeypatch.setattr(linear_map, "_BLOCK_ENTRIES", entries)
        monkeypatch.setattr(linear_map, "_SPARSE_BYTES", {"numpy": 0, "torch": 0})
        mixed = backend.to_numpy(plan @ backend.asarray(x))
        assert_mixture(mixed, plan, x)


@pytest.mark.parametrize("name", ["numpy", "torch"])
def test_blocks_are_for_what_the_cache_does_not_hold(request, require, monkeypatch, name):
    """Sparse products of much are made in blocks; of little, and dense ones, in one call."""
    require(name)
    counts = {"blocks": 0}
    multiply = linear_map._multiply_blocks

    def note(*args, **kwargs):
        counts["blocks"] += 1
        return multiply(*args, **kwargs)

    monkeypatch.setattr(linear_map, "_multiply_blocks", note)
    for limit, num_mix, blocks in ((32 * 40, 3, 0), (32 * 40 - 1, 3, 1), (0, 32, 0)):
        monkeypatch.setattr(linear_map, "_SPARSE_BYTES", {name: limit})
        counts["blocks"] = 0
        x = np.ones((32, 10), dtype=np.float32)
        x = request.getfixturevalue("torch_array")(x) if name == "torch" else x
        _ = zeta_plan(32, num_mix=num_mix) @ x
        assert counts["blocks"] == blocks


@pytest.mark.parametrize("cores", ["1", "3"])
@pytest.mark.parametrize("columns", [5, 3000])
def test_columns_are_shared_among_cores(monkeypatch, cores, columns):
    """All columns once, with NumPy's handling of errors, and errors that are raised."""
    monkeypatch.setattr(linear_map, "_SPARSE_BYTES", {"numpy": 0, "torch": 0})
    monkeypatch.setattr(linear_map, "_MIN_COLUMNS", 2)
    monkeypatch.setenv("OMP_NUM_THREADS", cores)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(8), raising=False)
    x = np.random.default_rng(0).standard_normal((40, columns))
    x[3, 1] = np.inf
    plan = zeta_plan(40, num_mix=3, rng=0)
    shared, over_cores = [], linear_map.over_cores
    monkeypatch.setattr(
        linear_map, "over_cores", lambda f, items: shared.append(items) or over_cores(f, items)
    )
    with np.errstate(all="raise"):
        mixed = plan @ x
    assert len(shared[0]) >= int(cores)
    expected = (plan.weights[:, None] * x[plan.indices]).sum(axis=1)
    np.testing.assert_allclose(mixed, expected, rtol=1e-13, atol=1e-13)
    out = np.empty((40, columns), dtype=np.float32)
    np.testing.assert_allclose(plan.mix(x, out=out), expected, rtol=1e-6, atol=1e-6)

    def fail(*_):
        raise MemoryError("no more")

    monkeypatch.setattr(linear_map, "rounded", fail)
    with pytest.raises(MemoryError, match="no more"):
        plan @ x


@pytest.fixture
def torch_array():
    import torch

    return torch.from_numpy


@pytest.mark.needs("jax")
def test_eager_jax_runs_one_program(monkeypatch):
    import jax
    import jax.numpy as jnp

    calls = []
    compiled = linear_map._compiled_mix()
    monkeypatch.setattr(linear_map, "_compiled_mix", lambda: calls.append(1) or compiled)
    x, plan = jnp.ones((8, 3)), zeta_plan(8, num_mix=3)
    _ = plan @ x
    assert len(calls) == 1
    _ = jax.jit(lambda x: plan.__matmul__(x))(x)  # which is one program anyway
    assert len(calls) == 1


def test_other_byte_order():
    x = np.random.default_rng(0).normal(size=(16, 5))
    for num_mix in (3, 16):
        plan = zeta_plan(16, num_mix=num_mix, rng=0)
        mixed = plan @ x.astype(">f8")
        assert_mixture(mixed, plan, x)


# --- out ------------------------------------------------------------------------------------------


def writable(backend):
    return not (backend.lazy or backend.name in ("jax", "numpy-readonly"))


@given(problem=problems(), kept=st.booleans())
def test_mix_into_an_array(backend, problem, kept):
    plan, x = problem
    if not (writable(backend) and supported(backend, x.dtype.name)):
        return
    shape = (plan.shape[0], *x.shape[1:])
    out = np.full(shape if kept else shape[:1] + shape[1:][::-1], 7, dtype=x.dtype)
    out = backend.asarray(out)
    if not kept:  # a view with another order of axes in memory
        if not hasattr(out, "strides") and not hasattr(out, "stride"):
            return
        axes = (0, *range(len(shape) - 1, 0, -1))
        out = out.permute(axes) if backend.name == "torch" else out.transpose(axes)
    mixed = plan.mix(backend.asarray(x), out=out)
    assert mixed is out
    assert_mixture(backend.to_numpy(mixed), plan, x)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("num_mix", [2, 6])
def test_out_decides_the_precision(backend, dtype, num_mix):
    if not (writable(backend) and supported(backend, dtype)):
        pytest.skip(f"{backend.name} has no {dtype} to write to")
    x = np.random.default_rng(0).integers(0, 255, size=(6, 4), dtype=np.uint8)
    plan = zeta_plan(6, num_mix=num_mix, rng=0)
    out = backend.asarray(np.empty((6, 4), dtype=dtype))
    assert_mixture(backend.to_numpy(plan.mix(backend.asarray(x), out=out)), plan, x)


def test_what_can_not_be_written_to(backend):
    x = backend.asarray(np.ones((4, 6), dtype=np.float32))
    plan = zeta_plan(4, num_mix=2, rng=0)
    if backend.name == "jax" or backend.lazy:
        with pytest.raises(TypeError, match=r"can be written to, got one of (jax|dask); leave it"):
            plan.mix(x, out=x)
        return
    if backend.name == "numpy-readonly":
        with pytest.raises(ValueError, match="must be writable, got a read-only array; pass"):
            plan.mix(x, out=backend.asarray(np.ones((4, 6), dtype=np.float32)))
        return
    with pytest.raises(ValueError, match=r"shape of the mixture, \(4, 6\), got \(4, 5\); allocate"):
        plan.mix(x, out=backend.asarray(np.ones((4, 5), dtype=np.float32)))
    with pytest.raises(TypeError, match=r"of floating dtype for samples of dtype .*float32, got"):
        plan.mix(x, out=backend.asarray(np.ones((4, 6), dtype=np.int64)))
    with pytest.raises(TypeError, match="out must be an array of a supported library, got list"):
        plan.mix(x, out=[])
    if backend.name in ("numpy", "torch"):
        out = backend.asarray(np.ones((4, 1), dtype=np.float32))
        out = (
            out.expand(4, 6)
            if backend.name == "torch"
            else np.lib.stride_tricks.as_strided(out, (4, 6), (4, 0))
        )
        with pytest.raises(ValueError, match=r"separate memory for each entry, .*; pass a copy"):
            plan.mix(x, out=out)


@pytest.mark.needs("torch")
def test_out_of_torch():
    import torch

    x, plan = torch.ones(4, 3), zeta_plan(4, num_mix=2, rng=0)
    leaf = torch.empty(4, 3, requires_grad=True)
    with pytest.raises(ValueError, match=r"no leaf|not be a leaf that requires grad, .*; pass out"):
        plan.mix(x, out=leaf)
    with torch.no_grad():
        assert plan.mix(x, out=leaf) is leaf
    meta = torch.ones(4, 3, device="meta")
    assert plan.mix(meta, out=torch.empty_like(meta)).device.type == "meta"


@pytest.mark.parametrize("offset", [-5, -4, -1, 0, 1, 3, 4, 5])
def test_out_shares_no_memory_with_the_samples(backend, offset):
    if backend.name not in ("numpy", "torch", "cupy"):
        pytest.skip(f"{backend.name} does not tell where its arrays lie")
    both = backend.asarray(np.ones((16, 3), dtype=np.float32))
    x, out = both[6:10], both[6 + offset : 10 + offset]
    plan = zeta_plan(4, num_mix=2, rng=0)
    if abs(offset) >= 4:
        assert plan.mix(x, out=out) is out
    else:
        with pytest.raises(ValueError, match=r"not overlap x, .* may overlap .*; pass another"):
            plan.mix(x, out=out)


# --- laws -----------------------------------------------------------------------------------------


@given(problem=problems())
def test_convexity(backend, problem):
    plan, x = problem
    if not supported(backend, x.dtype.name) or x.size == 0:
        return
    mixed = backend.to_numpy(plan @ backend.asarray(x))
    slack = error_bound(plan, x, x.dtype)
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
    # The sums of samples and of mixtures are rounded, too, for which the bounds are taken larger.
    of_parts = error_bound(plan, x, x.dtype) + abs(factor) * error_bound(plan, other, x.dtype)
    assert_within(mixed, a + factor * b, error_bound(plan, together, x.dtype) + 5 * of_parts)


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
    assert_mixtures_agree(a, b, plan, x)


@given(problem=problems())
def test_constants_stay(backend, problem):
    plan, x = problem
    if not supported(backend, x.dtype.name):
        return
    threes = np.full_like(x, 3.0)
    mixed = backend.to_numpy(plan @ backend.asarray(threes))
    assert_within(mixed, np.full_like(mixed, 3.0), error_bound(plan, threes, x.dtype))


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
    plan = zeta_plan(n, gamma=0, rng=seed)
    mixed = backend.to_numpy(zeta_plan(n, gamma=0, rng=seed, like=array) @ array)
    mean = np.broadcast_to(x.mean(axis=0, dtype=np.float64), x.shape)
    assert_mixtures_agree(mixed, mean, plan, x)


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


def test_a_sample_repeated_in_a_row_leaves_others_out(backend):
    """With T = N, too, not every output need use every sample."""
    plan = MixPlan(np.asarray([[0, 0], [1, 1]]), np.asarray([0.5, 0.5]), 2)
    x = np.asarray([[np.inf], [1.0]], dtype=np.float32)
    if backend.name == "cupy":
        pytest.skip("a dense product on an accelerator is not looked at")
    assert np.array_equal(backend.to_numpy(plan @ backend.asarray(x)), x)


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
            assert_mixture(backend.to_numpy(plan @ array), plan, x)
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
        assert_mixture(mixed, p, x)


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
    plan = zeta_plan(16, gamma=0.5, num_mix=num_mix, rng=0, like=x.astype(np.float32))
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


@pytest.mark.needs("torch")
@pytest.mark.parametrize("gamma", [0.5, 2.8, np.inf])
@pytest.mark.parametrize("columns", [60, 1 << 20])  # in one piece, and in blocks
def test_weights_have_twice_the_digits_of_bfloat16(gamma, columns):
    """Torch wants them in bfloat16 beside such samples, which alone would err a hundred times."""
    import torch

    n = 17
    x = torch.randn(n, columns, generator=torch.Generator().manual_seed(0)).bfloat16()
    plan = zeta_plan(n, gamma=gamma, num_mix=6, rng=0, like=x)
    out = torch.empty_like(x)
    shown = slice(0, 300)
    terms = plan.weights.double()[:, None] * x[:, shown].double()[plan.indices]
    exact, size = terms.sum(1), terms.abs().sum(1)
    half_unit = torch.exp2(exact.abs().log2().floor() - 8)
    for mixed in (plan @ x, plan.mix(x, out=out)):
        assert ((mixed[:, shown].double() - exact).abs() <= half_unit + 2.0**-15 * size).all()


@pytest.mark.needs("torch")
def test_infinities_in_bfloat16_reach_what_uses_them():
    """Also where a weight has no digits beyond the first eight, or is zero."""
    import torch

    indices = torch.tensor([[0, 1], [1, 2], [2, 0]])
    for weights, spoiled in (([0.5, 0.5], [True, False, True]), ([1.0, 0.0], [True, False, False])):
        plan = MixPlan(indices, torch.tensor(weights), 3)
        for value in (torch.inf, -torch.inf):
            x = torch.zeros(3, 8, dtype=torch.bfloat16)
            x[0, :5] = value
            mixed = plan @ x
            assert (mixed[:, :5] == value).all(1).tolist() == spoiled
            assert mixed.isfinite().all(1).tolist() == [not each for each in spoiled]
            assert not mixed[:, 5:].any()


@pytest.mark.needs("torch")
@pytest.mark.parametrize("num_mix", [3, 12, 16])
def test_dtypes_that_kernels_of_torch_lack(num_mix):
    import torch

    plan = zeta_plan(16, num_mix=num_mix, rng=0)
    x = torch.arange(32.0).reshape(16, 2)
    expected = plan @ x
    assert torch.allclose((plan @ x.to(torch.float8_e4m3fn)).float(), expected, rtol=0.3, atol=1)
    for dtype in (torch.int16, torch.uint8, torch.int32):
        indices = torch.from_numpy(plan.indices.copy()).to(dtype)
        weights = torch.tensor(plan.weights, dtype=torch.float32)
        assert torch.allclose(MixPlan(indices, weights, 16) @ x, expected)


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
            np.prod([max(c) for c in step.chunks]) for step in (mixed, linear_map.whole_samples(x))
        )
    assert tallest * 8 <= 2 * 2**20
