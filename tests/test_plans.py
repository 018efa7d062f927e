"""Plans as objects: shapes, equality, structures of arrays, files."""

import collections
import copy
import dataclasses
import io
import math
import pickle
import types
from typing import NamedTuple

import numpy as np
import pytest
from bounds import assert_mixtures_agree

from zetamix_core import MixPlan, dirichlet_plan, mixup, mixup_plan, theory, zeta_mixup, zeta_plan


@pytest.mark.parametrize("make", [zeta_plan, mixup_plan, dirichlet_plan])
@pytest.mark.parametrize("num_outputs", [None, 3, 20])
@pytest.mark.parametrize("anchored", [True, False])
def test_shapes_and_sums(backend, make, num_outputs, anchored):
    like = backend.like
    plan = make(8, num_outputs=num_outputs, anchored=anchored, rng=0, like=like)
    num_mix = 2 if make is mixup_plan else 8
    assert plan.shape == (num_outputs or 8, 8)
    assert plan.num_mix == num_mix
    assert tuple(plan.indices.shape) == (num_outputs or 8, num_mix)
    matrix = backend.to_numpy(plan.matrix())
    assert matrix.shape == plan.shape
    np.testing.assert_allclose(matrix.sum(axis=1), 1, rtol=1e-6)
    assert np.count_nonzero(matrix) == plan.shape[0] * num_mix
    assert matrix.dtype == (np.float64 if backend.lazy else np.float32)
    assert f"num_mix={num_mix}" in repr(plan)
    assert repr(plan).endswith(f"library='{backend.plan_library}')")


def test_one_weight_a_batch():
    assert mixup_plan(6, per_sample=False, rng=0).weights.shape == (2,)
    assert dirichlet_plan(6, num_mix=3, per_sample=False, rng=0).weights.shape == (3,)
    assert mixup_plan(6, rng=0).weights.shape == (6, 2)


@pytest.mark.parametrize("dtype", ["uint8", "int64", ">i4"])
def test_a_plan_keeps_its_own_copy(dtype):
    indices, weights = np.asarray([[0, 1]], dtype=dtype), np.asarray([0.5, 0.5])
    plan = MixPlan(indices, weights, 2)
    indices[0, 0], weights[:] = 9, 0
    assert plan.indices.tolist() == [[0, 1]]
    assert plan.weights.tolist() == [0.5, 0.5]
    assert plan.indices.dtype == np.int64


def test_an_array_times_a_plan_is_refused():
    with pytest.raises(TypeError, match="unsupported operand"):
        _ = np.ones((4, 4)) @ zeta_plan(4, rng=0)


def test_mixup_partners_are_others():
    plan = mixup_plan(50, num_outputs=1000, anchored=False, rng=0)
    assert np.all(plan.indices[:, 0] != plan.indices[:, 1])


@pytest.mark.parametrize("make", [zeta_plan, mixup_plan, dirichlet_plan])
def test_a_single_sample_is_itself(backend, make):
    x = np.asarray([[1.0, 2.0]], dtype=np.float32)
    for n in (1, np.int64(1)):
        mixed = make(n, rng=0) @ backend.asarray(x)
        assert np.array_equal(backend.to_numpy(mixed), x)


@pytest.mark.parametrize("lam", [0.5, 0.6, 0.85, 0.999])
def test_mixup_is_the_case_of_two(backend, lam):
    """The same indices and γ = log2(λ / (1 − λ)) give mixup with that λ."""
    x = np.random.default_rng(0).normal(size=(8, 5)).astype(np.float32)
    zeta = zeta_plan(8, num_mix=2, gamma=theory.mixup_gamma(lam), rng=3)
    pair = MixPlan(zeta.indices, np.asarray([lam, 1 - lam]), 8)
    np.testing.assert_allclose(zeta.weights, pair.weights, rtol=1e-12)
    a, b = (backend.to_numpy(plan @ backend.asarray(x)) for plan in (zeta, pair))
    assert_mixtures_agree(a, b, zeta, x)
    partner = x[zeta.indices[:, 1]]
    assert_mixtures_agree(a, lam * x + (1 - lam) * partner, zeta, x)


def test_a_plan_of_many_samples_is_small():
    """Nothing of N x N is built: its 80 GB would not fit."""
    import tracemalloc

    tracemalloc.start()
    plan = zeta_plan(100_000, num_mix=20, rng=0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert plan.indices.nbytes == 16_000_000
    assert peak < 200e6


def test_one_call_functions_do_as_their_plans(backend):
    x = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
    y = np.arange(8, dtype=np.int32) % 3
    pairs = [
        (zeta_mixup, zeta_plan, {"gamma": 2.0, "num_mix": 3, "anchored": False}),
        (mixup, mixup_plan, {"alpha": 0.3, "per_sample": False}),
    ]
    for call, make, options in pairs:
        mixed, soft = call(backend.asarray(x), backend.asarray(y), num_classes=3, rng=1, **options)
        plan = make(8, rng=1, **options)
        assert_mixtures_agree(backend.to_numpy(mixed), plan @ x, plan, x)
        np.testing.assert_allclose(backend.to_numpy(soft), plan.mix_labels(y, 3), rtol=1e-6)
        assert call(backend.asarray(x), rng=1, **options)[1] is None


# --- equality, copies, files ----------------------------------------------------------------------


def test_plans_are_immutable_and_compare_by_what_they_mix():
    plan = zeta_plan(6, num_mix=3, rng=0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        plan.num_samples = 7
    with pytest.raises(ValueError, match="read-only"):
        plan.indices[0, 0] = 1
    assert plan == zeta_plan(6, num_mix=3, rng=0)
    assert plan != zeta_plan(6, num_mix=3, rng=1)
    assert plan != zeta_plan(6, num_mix=3, gamma=2.7, rng=0)
    assert plan != MixPlan(plan.indices, plan.weights, 7)
    assert plan != "a plan"
    with pytest.raises(TypeError, match="unhashable"):
        hash(plan)


@pytest.mark.parametrize(
    "duplicate", [copy.copy, copy.deepcopy, lambda p: pickle.loads(pickle.dumps(p))]
)
def test_copies(duplicate):
    plan = mixup_plan(6, rng=0)
    again = duplicate(plan)
    assert again == plan
    assert not again.indices.flags.writeable


@pytest.mark.parametrize("make", [zeta_plan, mixup_plan])
def test_saved_plans_give_exactly_the_same_mix(backend, make, tmp_path):
    x = backend.asarray(np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32))
    plan = make(8, rng=0, like=x)
    path = tmp_path / "plan"  # taken as it is, without a suffix
    plan.save(path)
    buffer = io.BytesIO()
    plan.save(buffer)
    buffer.seek(0)
    for file in (path, str(path), buffer):
        again = MixPlan.load(file, like=x)
        assert again == plan
        assert np.array_equal(backend.to_numpy(again @ x), backend.to_numpy(plan @ x))
    on_host = MixPlan.load(path)
    assert isinstance(on_host.indices, np.ndarray)
    assert on_host == plan


def test_a_saved_plan_knows_samples_that_it_does_not_use():
    plan, file = zeta_plan(50, num_mix=1, num_outputs=2, rng=0), io.BytesIO()
    plan.save(file)
    file.seek(0)
    again = MixPlan.load(file)
    assert again.shape == (2, 50)
    assert type(again.num_samples) is int


def test_a_broken_file_is_refused_on_every_library(backend, tmp_path):
    path = tmp_path / "broken.npz"
    np.savez(path, indices=[[0, 9]], weights=[0.5, 0.5], num_samples=3)
    with pytest.raises(ValueError, match="indices must be from 0 to"):
        MixPlan.load(path, like=backend.like)


def test_files_that_hold_no_plan(tmp_path):
    other, text = tmp_path / "other.npz", tmp_path / "text"
    np.savez(other, x=np.ones(3))
    text.write_text("no plan")
    pickled = tmp_path / "pickled.npz"
    np.savez(pickled, indices=np.asarray([{}], dtype=object), weights=[1.0], num_samples=1)
    array = tmp_path / "array.npy"
    np.save(array, np.ones(3))
    cut = tmp_path / "cut.npz"
    cut.write_bytes(other.read_bytes()[:100])
    odd = []
    for number, value in enumerate(([1, 2], 16.9, np.nan)):
        odd.append(tmp_path / f"odd{number}.npz")
        np.savez(odd[-1], indices=[[0]], weights=[1.0], num_samples=value)
    for path in (other, text, pickled, array, cut, *odd):
        with pytest.raises(
            ValueError, match=r"a saved plan is an npz file .*; write it with MixPlan.save"
        ):
            MixPlan.load(path)
    with pytest.raises(FileNotFoundError):
        MixPlan.load(tmp_path / "missing")


# --- structures -----------------------------------------------------------------------------------


class Batch(NamedTuple):
    image: object
    label: object


def test_apply_keeps_the_structure(backend):
    n = 4
    x = np.random.default_rng(0).normal(size=(n, 3)).astype(np.float32)
    y, mask = np.arange(n, dtype=np.int32) % 2, np.ones((n, 2, 2), dtype=np.int32)
    pixels = np.full((n, 2), 200, dtype=np.uint8)
    tree = collections.OrderedDict(
        pair=Batch(backend.asarray(x), backend.asarray(y)),
        rest=[backend.asarray(x), None, {"mask": backend.asarray(mask)}],
        pixels=backend.asarray(pixels),
    )
    plan = zeta_plan(n, rng=0)
    classes = {"pair/label": 2, "rest/2/mask": 3}
    mixed = plan.apply(tree, num_classes=classes, as_data=["pixels"])
    assert type(mixed) is collections.OrderedDict
    assert type(mixed["pair"]) is Batch
    assert list(mixed) == ["pair", "rest", "pixels"]
    assert mixed["rest"][1] is None
    assert tuple(mixed["rest"][2]["mask"].shape) == (n, 2, 2, 3)
    np.testing.assert_allclose(backend.to_numpy(mixed["pixels"]), 200, rtol=1e-6)
    for leaf in (mixed["pair"].image, mixed["rest"][0]):
        assert np.array_equal(backend.to_numpy(leaf), backend.to_numpy(plan @ backend.asarray(x)))
    soft = backend.to_numpy(mixed["pair"].label)
    np.testing.assert_allclose(soft, plan.mix_labels(y, 2), rtol=1e-6)
    assert np.array_equal(backend.to_numpy(tree["pair"].label), y), "the input was modified"


def test_apply_to_one_array():
    plan = zeta_plan(4, rng=0)
    x = np.ones((4, 2))
    assert np.array_equal(plan.apply(x), plan @ x)
    labels = np.asarray([0, 1, 1, 0])
    assert np.array_equal(plan.apply(labels, num_classes={"": 2}), plan.mix_labels(labels, 2))


def test_apply_keeps_what_a_mapping_knows():
    tree = collections.defaultdict(list, x=np.ones((4, 2)))
    mixed = zeta_plan(4, rng=0).apply(tree)
    assert type(mixed) is collections.defaultdict
    assert mixed["missing"] == []
    assert "missing" not in tree


def test_apply_to_an_immutable_mapping():
    tree = types.MappingProxyType({"x": np.ones((4, 2))})
    mixed = zeta_plan(4, rng=0).apply(tree)
    assert type(mixed) is types.MappingProxyType


def test_apply_keeps_what_it_is_told_to(backend):
    """Of any type: nothing at such a path, or below it, is looked at."""
    x, ids = backend.asarray(np.ones((4, 2), dtype=np.float32)), backend.asarray(np.arange(4))
    tree = {
        "x": x,
        "id": ids,
        "names": ["a", "b", "c", "d"],
        "epoch": 3,
        "meta": {"file": "f", "length": 9, "x": x, "more": [ids, object()]},
        "pair": Batch(x, {"one", "two"}),
        "nothing": None,
    }
    plan = zeta_plan(4, rng=0)
    keep = ["id", "names", "epoch", "meta", "pair/label", "nothing"]
    for paths in (keep, tuple(keep), set(keep), dict.fromkeys(keep), iter(keep)):
        mixed = plan.apply(tree, keep=paths)
        assert list(mixed) == list(tree)
        for path in ("id", "names", "epoch", "meta", "nothing"):
            assert mixed[path] is tree[path]
        assert mixed["pair"].label is tree["pair"].label
        for leaf in (mixed["x"], mixed["pair"].image):
            assert leaf is not x
            assert np.array_equal(backend.to_numpy(leaf), backend.to_numpy(plan @ x))
    assert plan.apply(tree, keep="") is tree
    names = {"x": x, "names": ["a"]}
    assert plan.apply(names, keep="names")["names"] is names["names"], "one path is no list"


def test_a_kept_subtree_hides_what_is_declared_in_it():
    tree = {"meta": {"label": np.arange(4)}, "x": np.ones((4, 2))}
    plan = zeta_plan(4, rng=0)
    with pytest.raises(ValueError, match=r"got \['meta/label'\] where there are \['meta', 'x'\]"):
        plan.apply(tree, num_classes={"meta/label": 4}, keep=["meta"])


# --- switching mixing off -------------------------------------------------------------------------

SWITCHED = {
    "shared weights": lambda like: zeta_plan(6, num_mix=4, rng=0, like=like),
    "own weights": lambda like: dirichlet_plan(6, num_mix=3, rng=0, like=like),
    "free": lambda like: zeta_plan(6, anchored=False, rng=0, like=like),
    "more outputs": lambda like: zeta_plan(6, num_outputs=9, rng=0, like=like),
    "one sample a mixture": lambda like: zeta_plan(6, num_mix=1, rng=0, like=like),
}


def active_of(values, plan, backend):
    """Return an array of bool beside the plan, which of a lazy library is one of NumPy."""
    values = np.asarray(values)
    return values if isinstance(plan.weights, np.ndarray) else backend.asarray(values)


@pytest.mark.parametrize("name", SWITCHED)
@pytest.mark.parametrize("own", [False, True], ids=["NumPy plan", "own plan"])
def test_where_takes_the_first_sample_alone_elsewhere(backend, name, own):
    plan = SWITCHED[name](backend.like if own else None)
    num_outputs, num_mix = plan.indices.shape
    to_numpy = backend.to_numpy if own else np.asarray
    matrix, first = to_numpy(plan.matrix()), to_numpy(plan.indices)[:, 0]
    x = backend.asarray(np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32))
    some = np.arange(num_outputs) % 3 == 0
    for value in (True, False, np.asarray(True), np.asarray(False), some, some & False):
        active = value if isinstance(value, bool) else active_of(value, plan, backend)
        switched = plan.where(active)
        assert isinstance(switched, MixPlan)
        assert switched.shape == plan.shape
        assert np.array_equal(to_numpy(switched.indices), to_numpy(plan.indices))
        assert switched.weights.dtype == plan.weights.dtype
        each = np.ndim(value) == 1 or plan.weights.ndim == 2
        assert tuple(switched.weights.shape) == ((num_outputs, num_mix) if each else (num_mix,))
        chosen = np.broadcast_to(value, (num_outputs,))[:, None]
        expected = np.where(chosen, matrix, np.eye(6)[first])
        assert np.array_equal(to_numpy(switched.matrix()), expected)
        mixed = backend.to_numpy(switched @ x)
        np.testing.assert_allclose(mixed, expected @ backend.to_numpy(x), rtol=1e-5, atol=1e-6)
    assert np.array_equal(to_numpy(plan.matrix()), matrix), "plans are immutable"


@pytest.mark.parametrize("make", [zeta_plan, mixup_plan])
def test_a_switched_off_anchored_plan_is_the_identity(backend, make):
    """To the last bit, whatever other samples hold."""
    x = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    x[1], x[4, 1] = np.inf, np.nan
    y = np.arange(6, dtype=np.int32)
    for like in (None, backend.like):
        plan = make(6, rng=1, like=like).where(False)
        assert np.array_equal(backend.to_numpy(plan @ backend.asarray(x)), x, equal_nan=True)
        soft = backend.to_numpy(plan.mix_labels(backend.asarray(y), 6))
        assert np.array_equal(soft, np.eye(6))
    plan = make(6, num_outputs=14, rng=1).where(False)
    mixed = backend.to_numpy(plan @ backend.asarray(x))
    assert np.array_equal(mixed, x[np.arange(14) % 6], equal_nan=True)


def test_a_switched_off_plan_knows_no_bad_gamma():
    """Not even one that could not be checked."""
    weights = np.asarray([[0.5, 0.5], [1.0, 0.0]])
    plan = MixPlan(np.asarray([[0, 1], [1, 0]]), weights, 2)
    object.__setattr__(plan, "weights", np.asarray([[0.5, 0.5], [np.nan, np.nan]]))
    assert plan.where(np.asarray([True, False])).weights.tolist() == [[0.5, 0.5], [1, 0]]


@pytest.mark.needs("torch")
def test_a_switched_plan_is_differentiable_in_gamma():
    torch = pytest.importorskip("torch")
    x = torch.randn(6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    active = torch.tensor([True, False, True, True, False, False])
    for start in (torch.tensor(2.0), torch.linspace(0.5, 3, 6)):
        gamma = start.double().requires_grad_()

        def mix(gamma):
            return zeta_plan(6, gamma=gamma, rng=0, like=x).where(active) @ x

        def full(gamma):
            return zeta_plan(6, gamma=gamma, rng=0, like=x) @ x

        assert torch.autograd.gradcheck(mix, (gamma,))
        slopes = torch.autograd.functional.jacobian(mix, gamma)
        expected = torch.autograd.functional.jacobian(full, gamma)
        assert torch.all(slopes[~active] == 0)
        torch.testing.assert_close(slopes[active], expected[active])
        assert torch.all(expected.abs().sum(dim=tuple(range(1, expected.ndim))) > 0)


@pytest.mark.needs("jax")
def test_a_traced_switch():
    jax = pytest.importorskip("jax")
    jnp = jax.numpy
    x = jnp.asarray(np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32))

    def mix(gamma, active):
        return zeta_plan(6, gamma=gamma, rng=jax.random.key(0), like=x).where(active) @ x

    gamma, active = jnp.linspace(0.5, 3, 6), jnp.asarray([True, False, True, True, False, False])
    full = mix(gamma, True)
    step = jax.jit(mix)
    # Weights are computed in float32 too, within a few units in the last place.
    np.testing.assert_allclose(step(gamma, active)[active], full[active], rtol=1e-5, atol=1e-5)
    assert np.array_equal(step(gamma, active)[~active], x[~active])
    assert np.array_equal(step(gamma, jnp.asarray(False)), x)
    slopes = jax.jit(jax.jacrev(mix))(gamma, active)
    expected = jax.jit(jax.jacrev(lambda gamma: mix(gamma, True)))(gamma)
    assert np.all(slopes[~active] == 0)
    np.testing.assert_allclose(slopes[active], expected[active], rtol=1e-4, atol=1e-6)
    assert np.abs(expected).max() > 0.01


def test_displacement_of_anchored_samples():
    """Far more outputs than samples: the mean over orderings is the formula of the theory."""
    x = np.random.default_rng(0).normal(size=(16, 4))
    plan = zeta_plan(16, num_outputs=64_000, rng=0)
    moved = np.sum((plan @ x - x[np.arange(64_000) % 16]) ** 2, axis=1).mean()
    total_variance = x.var(axis=0, ddof=1).sum()
    expected = theory.displacement(2.8, 16)
    assert math.sqrt(moved / total_variance) == pytest.approx(expected, rel=0.01)
