"""Weights on their grid: what rounding keeps, and what sums of such weights can't do."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from zetamix_core.rounding import lowered, on_grid

QUANTUM = {np.float32: 2.0**-24, np.float64: 2.0**-53}
DTYPES = pytest.mark.parametrize("dtype", QUANTUM)


def dtype_of(backend, dtype):
    return backend.asarray(np.zeros(1, dtype)).dtype


def rows_of(alpha, num_mix, rows=40, seed=0):
    """Rows of weights, some of which are zero."""
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet(np.full(num_mix, alpha), rows)
    weights[rng.random(weights.shape) < 0.2] = 0
    weights[:, -1] += weights.sum(axis=1) == 0
    return weights / weights.sum(axis=1, keepdims=True)


def check_rows(rounded, weights, quantum, within):
    counts = rounded.astype(np.float64) / quantum
    assert np.array_equal(counts, np.rint(counts))
    assert [sum(map(int, row)) for row in counts] == [1 / quantum] * len(counts)
    assert np.all(rounded[weights == 0] == 0)
    assert np.all(rounded >= 0)
    assert np.abs(counts - weights.astype(np.float64) / quantum).max() <= within


@DTYPES
def test_rows_are_multiples_that_sum_to_one(backend, dtype):
    if backend.lazy or (backend.name == "jax" and dtype is np.float64):
        pytest.skip("no such weights: Dask has NumPy plans, JAX no float64 by default")
    source = np.float32 if backend.name == "jax" else np.float64
    for alpha, num_mix in itertools.product((0.05, 1, 50), (1, 2, 3, 8, 100)):
        weights = rows_of(alpha, num_mix).astype(source)
        rounded = backend.to_numpy(on_grid(backend.asarray(weights), dtype_of(backend, dtype)))
        assert rounded.dtype == dtype
        # Rows that have no more digits than the grid do not sum to one, but for some quanta.
        check_rows(rounded, weights, QUANTUM[dtype], within=1 if source is not dtype else 4)


@given(
    counts=hnp.arrays(
        np.float64, hnp.array_shapes(min_dims=1, max_dims=1, max_side=20), elements=st.floats(0, 9)
    ).filter(lambda a: a.sum() > 1e-9)
)
def test_any_row_keeps_its_zeros_and_its_order(counts):
    weights = np.sort(counts)[::-1]
    for dtype, quantum in QUANTUM.items():
        rounded = on_grid(weights, dtype)
        check_rows(rounded[None], (weights / weights.sum())[None], quantum, within=4)
        assert np.all(np.diff(rounded) <= 0)


@DTYPES
def test_rows_on_the_grid_stay(backend, dtype):
    if backend.lazy or (backend.name == "jax" and dtype is np.float64):
        pytest.skip("no such weights: Dask has NumPy plans, JAX no float64 by default")
    once = on_grid(rows_of(1, 30), dtype)
    again = backend.to_numpy(on_grid(backend.asarray(once), dtype_of(backend, dtype)))
    assert np.array_equal(once, again)


def test_too_much_is_taken_from_the_end():
    """Three thirds rounded up are more than one; one a little below goes to the first ranks."""
    third = np.float32(1 / 3)
    for row in ([third] * 3, [np.nextafter(third, 1, dtype=np.float32)] * 3):
        counts = on_grid(np.asarray(row, dtype=np.float32), np.float32) * 2**24
        assert counts.tolist() == [5592406, 5592405, 5592405]


def test_double_cast_to_single_is_rounded_anew(backend):
    """A plain cast of a float64 grid sums to more than one in most rows."""
    if backend.name == "jax" or backend.lazy:
        pytest.skip("no float64 weights on a device: JAX by default, Dask never")
    double = on_grid(rows_of(1, 30, rows=200), np.float64)
    assert any(sum(map(float, row)) != 1 for row in double.astype(np.float32))
    single = lowered(backend.asarray(double), dtype_of(backend, np.float32))
    check_rows(backend.to_numpy(single), double, 2.0**-24, within=1)
    wider = lowered(single, dtype_of(backend, np.float64))
    assert np.array_equal(backend.to_numpy(wider), backend.to_numpy(single))


def test_bad_rows_are_nan(backend):
    if backend.lazy:
        pytest.skip("Dask arrays have NumPy plans")
    rows = np.asarray([[0.5, 0.5], [np.nan, 1], [-0.5, 1.5]], dtype=np.float32)
    rounded = backend.to_numpy(on_grid(backend.asarray(rows), dtype_of(backend, np.float32)))
    assert rounded[0].tolist() == [0.5, 0.5]
    assert np.isnan(rounded[1:]).all()


# --- derivatives ----------------------------------------------------------------------------------


def loss(w, xp):
    """Something that is not linear in normalized weights, so that it has two derivatives."""
    return xp.sum((w / xp.sum(w)) ** 3 * xp.asarray([1.0, -2.0, 0.5, 3.0]))


@pytest.mark.needs("torch")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_derivatives_in_torch_are_those_before_rounding(dtype):
    import torch

    w = torch.tensor([0.6, 0.3, 0.1, 0.0], dtype=torch.float64, requires_grad=True)
    rounded = on_grid(w, getattr(torch, dtype))
    values = (loss(rounded.double(), torch), loss(w, torch))
    first = [torch.autograd.grad(value, w, create_graph=True)[0] for value in values]
    second = [torch.autograd.grad(g[1], w)[0] for g in first]
    torch.testing.assert_close(first[0], first[1], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(second[0], second[1], rtol=1e-5, atol=1e-5)


@pytest.mark.needs("jax")
def test_derivatives_in_jax_are_those_before_rounding():
    import jax

    w = jax.numpy.asarray([0.6, 0.3, 0.1, 0.0])
    rounded = jax.jit(jax.grad(lambda w: loss(on_grid(w, jax.numpy.float32), jax.numpy)))(w)
    exact = jax.grad(lambda w: loss(w, jax.numpy))(w)
    np.testing.assert_allclose(rounded, exact, rtol=1e-5, atol=1e-6)


# --- traced ---------------------------------------------------------------------------------------


@pytest.mark.needs("jax")
def test_jit_and_vmap_round_alike():
    import jax

    rows = jax.numpy.asarray(rows_of(1, 9).astype(np.float32))
    eager = on_grid(rows, jax.numpy.float32)
    for way in (lambda f: f, jax.vmap):
        step = jax.jit(way(lambda w: on_grid(w, jax.numpy.float32)))
        assert np.array_equal(step(rows), eager)


@pytest.mark.needs("torch")
def test_torch_compiles_to_the_same():
    import torch

    rows = torch.from_numpy(rows_of(1, 9))
    compiled = torch.compile(on_grid, backend="eager", fullgraph=True)
    assert torch.equal(compiled(rows, torch.float32), on_grid(rows, torch.float32))
