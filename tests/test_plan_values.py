"""What a plan may hold: its values, dtypes and files, and stacks of plans that JAX makes."""

import copy
import dataclasses
import io
import pickle
import tracemalloc
import zipfile

import numpy as np
import pytest

from zetamix_core import CutMixPlan, MixPlan, cutmix_plan, mixed_accuracy, mixed_loss, zeta_plan

ROWS, HALVES = [[0, 1], [1, 0]], [0.5, 0.5]


# --- values that can be read ----------------------------------------------------------------------


def build(backend, indices, weights, n, dtype="float32"):
    arrays = np.asarray(indices, dtype=np.int32), np.asarray(weights, dtype=dtype)
    if backend.lazy:
        pytest.skip("a plan for Dask is one of NumPy")
    return MixPlan(*map(backend.asarray, arrays), n)


@pytest.mark.parametrize("index", [5, 2, -1])
def test_an_index_out_of_range_is_refused(backend, index):
    if backend.name == "cupy":
        pytest.skip("values on an accelerator are not read")
    with pytest.raises(ValueError, match="indices must be from 0 to num_samples - 1 = 1, got"):
        build(backend, [[0, 1], [1, index]], HALVES, 2)


@pytest.mark.parametrize("weights", [[1.0, 1.0], [1.5, -0.5], [np.nan, 1.0], [[0.5, 0.5], [0, 0]]])
def test_weights_that_are_no_shares_are_refused(backend, weights):
    if backend.name == "cupy":
        pytest.skip("values on an accelerator are not read")
    with pytest.raises(ValueError, match="weights of an output must be >= 0 and sum to 1, got"):
        build(backend, ROWS, weights, 2)


def test_weights_of_narrow_floats_sum_to_about_one(backend):
    """A third in half precision and in bfloat16 is off by more than a thousandth."""
    thirds, rows = np.full(3, 1 / 3, dtype=np.float32), np.zeros((1, 3), dtype=np.int32)
    if backend.name not in ("torch", "jax", "cupy"):
        MixPlan(rows, thirds.astype(np.float16), 1)
        return
    for name in ("float16", "bfloat16"):
        array = backend.asarray(thirds)
        narrow = getattr(__import__("torch"), name) if backend.name == "torch" else name
        narrow = array.to(narrow) if backend.name == "torch" else array.astype(narrow)
        MixPlan(backend.asarray(rows), narrow, 1)
        if backend.name != "cupy":
            with pytest.raises(ValueError, match="sum to 1"):
                MixPlan(backend.asarray(rows), narrow * 2, 1)


def test_an_index_beyond_int64_is_shown_as_it_was_given():
    with pytest.raises(ValueError, match="got values from 0 to 9223372036854775809;"):
        MixPlan(np.asarray([[0], [2**63 + 1]], dtype=np.uint64), np.ones(1), 3)


@pytest.mark.needs("torch")
def test_tensors_without_values_are_not_checked():
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode

    rows, weights = torch.tensor([[0, 9]]), torch.tensor([2.0, 2.0])
    assert MixPlan(rows.to("meta"), weights.to("meta"), 2).shape == (1, 2)
    with FakeTensorMode() as mode:
        assert MixPlan(mode.from_tensor(rows), mode.from_tensor(weights), 2).shape == (1, 2)
    pair = torch.tensor([[0, 1]])
    mixed = torch.func.vmap(lambda w: MixPlan(pair, w, 3).__matmul__(torch.ones(3)))(weights[None])
    assert mixed.tolist() == [[4.0]]
    made = torch.compile(lambda i, w: MixPlan(i, w, 2).num_mix, backend="eager", fullgraph=True)
    assert made(rows, weights) == 2


@pytest.mark.needs("jax")
def test_traced_arrays_are_not_checked():
    import jax
    import jax.numpy as jnp

    rows, weights = jnp.asarray([[0, 1]]), jnp.asarray([2.0, 2.0])
    x = jnp.ones(2)
    assert jax.jit(lambda w: MixPlan(rows, w, 2) @ x)(weights).tolist() == [4.0]
    assert jax.vmap(lambda w: MixPlan(rows, w, 2) @ x)(weights[None]).tolist() == [[4.0]]


@pytest.mark.needs("jax")
def test_values_that_jax_still_computes_are_not_waited_for(monkeypatch):
    import jax
    import jax.numpy as jnp

    rows, weights = jnp.asarray([[0, 1]]), jnp.asarray([2.0, 2.0])
    monkeypatch.setattr(type(rows), "is_ready", lambda x: False)
    assert isinstance(MixPlan(rows, weights, 2).weights, jax.Array)


def test_what_is_drawn_is_not_read_again(backend, monkeypatch):
    """Right by construction: drawing, moving and switching reads no values to check them."""
    from zetamix_core.plans import entries as plans

    def fail(x):
        raise AssertionError("a plan was read")

    monkeypatch.setattr(plans, "ready_values", fail)
    x = backend.asarray(np.ones((4, 3, 3), dtype=np.float32))
    for like in (None, x):
        _ = zeta_plan(4, rng=0, like=like).where(False) @ x
        _ = cutmix_plan((4, 3, 3), rng=0, like=like).where(False) @ x
    with pytest.raises(AssertionError, match="was read"):
        MixPlan(np.asarray(ROWS), np.asarray(HALVES), 2)


# --- dtypes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "uint16", "uint32", "int32"])
def test_narrow_indices_do_not_narrow_labels(backend, dtype):
    """Class 299, of 300, is beyond 8 bits, and 70,000 beyond 16."""
    indices = np.zeros((2, 2), dtype=dtype)
    plan = MixPlan(
        indices if backend.lazy else backend.asarray(indices),
        np.asarray(HALVES) if backend.lazy else backend.asarray(np.asarray(HALVES, np.float32)),
        3,
    )
    width = "int32" if backend.name == "jax" else "int64"
    assert str(plan.indices.dtype).endswith(width)
    for label in (299, 70_000):
        y = backend.asarray(np.full(3, label, dtype=np.int32))
        soft = backend.to_numpy(plan.mix_labels(y, label + 1))
        assert soft[:, label].tolist() == [1, 1]
        assert soft.sum() == 2
    mask = backend.asarray(np.full((3, 2, 2), 299, dtype=np.int32))
    assert backend.to_numpy(plan.mix_labels(mask, 300))[..., 299].min() == 1
    x = backend.asarray(np.asarray([1.0, 2.0, 3.0], dtype=np.float32))
    assert backend.to_numpy(plan @ x).tolist() == [1, 1]


@pytest.mark.needs("jax")
def test_narrow_indices_are_widened_in_traces():
    import jax
    import jax.numpy as jnp

    def mix(indices, y):
        return MixPlan(indices, jnp.ones(2) / 2, 3).mix_labels(y, 300)

    soft = jax.jit(mix)(jnp.zeros((2, 2), jnp.uint8), jnp.full(3, 299))
    assert soft[:, 299].tolist() == [1, 1]


@pytest.mark.needs("torch")
@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int32"])
def test_narrow_indices_are_widened_in_graphs(dtype):
    import torch

    def mix(indices, y):
        return MixPlan(indices, torch.ones(2) / 2, 3).mix_labels(y, 300)

    indices = torch.zeros((2, 2), dtype=getattr(torch, dtype))
    mixed = torch.compile(mix, backend="eager", fullgraph=True)(indices, torch.full((3,), 299))
    assert mixed[:, 299].tolist() == [1, 1]


@pytest.mark.parametrize("dtype", [">f4", ">f8", "<f2", "g", ">g"])
def test_weights_that_other_libraries_lack(backend, dtype):
    """Any NumPy plan applies to arrays of any library."""
    weights = np.asarray([0.75, 0.25], dtype=dtype)
    plan = MixPlan(np.asarray(ROWS, dtype=">i2"), weights, 2)
    assert plan.weights.dtype == weights.dtype.newbyteorder("=")
    x = backend.asarray(np.asarray([[0.0], [4.0]], dtype=np.float32))
    assert backend.to_numpy(plan @ x).tolist() == [[1], [3]]
    y = backend.asarray(np.asarray([0, 1], dtype=np.int32))
    assert backend.to_numpy(plan.mix_labels(y, 2)).tolist() == [[0.75, 0.25], [0.25, 0.75]]
    assert backend.to_numpy(plan.sparse_labels(y)[1])[0].tolist() == [0.75, 0.25]


def test_weights_of_another_package(backend):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    weights = np.asarray([0.75, 0.25], dtype=ml_dtypes.bfloat16)
    x = backend.asarray(np.asarray([[0.0], [4.0]], dtype=np.float32))
    plan, file = MixPlan(np.asarray(ROWS), weights, 2), io.BytesIO()
    assert backend.to_numpy(plan @ x).tolist() == [[1], [3]]
    plan.save(file)
    file.seek(0)
    loaded = MixPlan.load(file)
    assert loaded == plan
    assert loaded.weights.dtype == np.float32  # which NumPy alone can read


@pytest.mark.needs("torch")
def test_plans_of_bfloat16_compare_and_are_saved():
    import torch

    weights = torch.tensor([0.75, 0.25], dtype=torch.bfloat16)
    plan, file = MixPlan(torch.tensor(ROWS), weights, 2), io.BytesIO()
    plan.save(file)
    file.seek(0)
    assert MixPlan.load(file) == plan == MixPlan(torch.tensor(ROWS), weights.float(), 2)
    assert plan != MixPlan(torch.tensor(ROWS), weights.flip(0), 2)


# --- stacks of plans ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stacks(request):
    """As many plans as samples, so that shapes alone would let them pass."""
    jax = pytest.importorskip("jax")
    jnp = jax.numpy
    x = jnp.asarray([[0.0, 1.0], [1.0, 3.0]])
    keys = jax.random.split(jax.random.key(0), 2)
    gammas = jnp.asarray([1.0, 2.0])
    mixes = jax.vmap(lambda key, gamma: zeta_plan(2, gamma=gamma, rng=key, like=x))(keys, gammas)
    pair = [cutmix_plan((2, 2), axes=(1,), rng=seed, like=x) for seed in (0, 1)]
    boxes = jax.tree.map(lambda *leaves: jnp.stack(leaves), *pair)
    return x, mixes, boxes


Y = np.asarray([0, 1])
USES = {
    "@": lambda plan, x: plan @ x,
    "mix": lambda plan, x: plan.mix(x),
    "apply": lambda plan, x: plan.apply({"x": x}),
    "apply to nothing": lambda plan, x: plan.apply({}),
    "mix_labels": lambda plan, x: plan.mix_labels(x[:, 0].astype(int), 4),
    "sparse_labels": lambda plan, x: plan.sparse_labels(x[:, 0].astype(int)),
    "where": lambda plan, x: plan.where(False),
    "matrix": lambda plan, x: plan.matrix(),
    "save": lambda plan, x: plan.save(io.BytesIO()),
    "shape": lambda plan, x: plan.shape,
    "num_mix": lambda plan, x: plan.num_mix,
    "copy": lambda plan, x: copy.copy(plan),
    "pickle": lambda plan, x: pickle.dumps(plan),
    "loss": lambda plan, x: mixed_loss(lambda p, y: (p - y)[:, 0], x, x, plan),
    "accuracy": lambda plan, x: mixed_accuracy(x, x[:, 0].astype(int), plan),
}
OF_BOXES = ("@", "apply", "apply to nothing", "mix_labels", "where", "loss", "accuracy")


@pytest.mark.needs("jax")
@pytest.mark.parametrize("use", USES)
def test_a_stack_of_plans_is_refused(stacks, use):
    x, mixes, boxes = stacks
    for plan in (mixes, boxes) if use in OF_BOXES else (mixes,):
        with pytest.raises(ValueError, match=r"inside of jax.vmap.* got a stack of plans \(2,\);"):
            USES[use](plan, x)


@pytest.mark.needs("jax")
def test_a_stack_of_plans_works_inside_of_vmap(stacks):
    import jax

    x, mixes, boxes = stacks
    for stack in (mixes, boxes):
        single = [jax.tree.map(lambda leaf, i=i: leaf[i], stack) for i in range(2)]
        mixed = jax.vmap(lambda plan: plan.__matmul__(x))(stack)
        assert mixed.shape == (2, 2, 2)
        np.testing.assert_allclose(mixed, np.stack([plan @ x for plan in single]), rtol=1e-6)
        soft = jax.vmap(lambda plan: plan.mix_labels(Y_JAX(), 2))(stack)
        np.testing.assert_allclose(
            soft, np.stack([plan.mix_labels(Y_JAX(), 2) for plan in single]), rtol=1e-6
        )
    assert jax.vmap(lambda plan: plan.where(False) @ x)(mixes).tolist() == [x.tolist()] * 2


def Y_JAX():
    import jax.numpy as jnp

    return jnp.asarray(Y)


@pytest.mark.needs("jax")
def test_stacks_of_plans_compare_and_say_what_they_are(stacks):
    import jax

    _, mixes, boxes = stacks
    assert mixes == mixes
    assert mixes != jax.tree.map(lambda leaf: leaf[::-1], mixes)
    assert "stack of plans (2,), num_outputs=2, num_samples=2, num_mix=2" in repr(mixes)
    assert "stack of plans (2,)" in repr(boxes)
    nested = jax.tree.map(lambda leaf: leaf[None], mixes)
    assert "stack of plans (1, 2)" in repr(nested)
    assert "stack" not in repr(jax.tree.map(lambda leaf: leaf[0], mixes))


@pytest.mark.needs("jax")
def test_unflattening_checks_nothing(stacks):
    import jax
    import jax.numpy as jnp

    x, mixes, _ = stacks
    plan = jax.tree.map(lambda leaf: leaf[0], mixes)
    shapes = jax.tree.map(jnp.shape, plan)
    assert repr(shapes) == "MixPlan(indices=(2, 2), weights=(2,), num_samples=2)"
    assert shapes == shapes
    outline = jax.eval_shape(lambda: plan)
    assert (outline.shape, outline.num_mix) == ((2, 2), 2)
    for replaced in (shapes, outline):
        with pytest.raises(TypeError, match="a plan must hold integer indices and weights"):
            _ = replaced @ x
    part = jax.tree.unflatten(jax.tree.structure(plan), [plan.indices, jnp.ones((5, 2)) / 2])
    with pytest.raises(ValueError, match=r"got \(2, 2\) and \(5, 2\)"):
        _ = part @ x


@pytest.mark.needs("jax")
def test_a_plan_whose_indices_were_computed_with_is_refused(backend):
    import jax

    if backend.lazy or backend.name.startswith("array_api_strict"):
        pytest.skip("JAX maps over leaves that it, NumPy or torch made")
    plan = zeta_plan(3, rng=0, like=backend.like)
    doubled = jax.tree.map(lambda leaf: leaf * 2.0, plan)
    for use in (lambda: doubled @ backend.like, lambda: doubled.matrix(), lambda: doubled.save("")):
        with pytest.raises(TypeError, match="from before its leaves were replaced"):
            use()


def test_weights_are_rounded_to_single_precision_once(backend, monkeypatch):
    plan, calls = zeta_plan(4, rng=0), []
    x, y = np.eye(4, dtype=np.float32), np.arange(4)
    rows = backend.to_numpy(plan @ backend.asarray(x))

    def count(*args):
        calls.append(args)
        raise AssertionError

    monkeypatch.setattr("zetamix_core.plans.mix.on_grid", count)
    assert np.array_equal(backend.to_numpy(plan @ backend.asarray(x)), rows)
    assert np.array_equal(rows.sum(axis=1), np.ones(4))
    soft = backend.to_numpy(plan.mix_labels(backend.asarray(y), 4))
    assert np.all(np.abs(soft - rows) <= 2.0**-23)  # NumPy's are doubles
    assert not calls
    # What is remembered is no part of the plan's value.
    again = pickle.loads(pickle.dumps(plan))
    assert again == plan == zeta_plan(4, rng=0)
    assert again.weights.dtype == np.float64


# --- files ----------------------------------------------------------------------------------------


def npz(compression=zipfile.ZIP_STORED, **members):
    """An npz file of the arrays and raw members given."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, value in members.items():
            if not isinstance(value, bytes):
                stored = io.BytesIO()
                np.save(stored, value)
                value = stored.getvalue()
            archive.writestr(f"{name}.npy", value)
    file.seek(0)
    return file


def header(shape, dtype="<i8"):
    """An array file that claims a shape, and holds nothing."""
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


GOOD = {"indices": np.asarray(ROWS), "weights": np.asarray(HALVES), "num_samples": np.asarray(2)}
BAD_FILES = {
    "terabytes": {"indices": header((2**20, 2**20))},
    "more than integers count": {"indices": header((2**70, 2))},
    "negative": {"indices": header((-(2**40), -(2**40)))},
    "long numbers": {"indices": header((2,), f"V{2**30}")},
    "more than the file": {"weights": header((2**20, 2), "<f8")},
    "a long header": {"weights": b"\x93NUMPY\x02\x00" + (2**31).to_bytes(4, "little")},
    "no header": {"weights": b"\x93NUMPY"},
    "nested header": {"weights": header("(" * 500 + ")" * 500)},
    "objects": {"num_samples": header((), "|O")},
    "odd header": {"num_samples": header("0x,")},
    "other rows": {"weights": np.ones((3, 2)) / 2},
}


REASONS = {
    "terabytes": "indices claims shape",
    "long numbers": "indices holds no real numbers",
    "more than the file": r"weights claims shape \(1048576, 2\), but holds 128 bytes",
    "a long header": r"header of version \(2, 0\)",
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_file_that_claims_what_it_does_not_hold(case):
    reason = REASONS.get(case, "")
    with pytest.raises(ValueError, match=rf"a saved plan is an npz .*{reason}.*; write it with"):
        MixPlan.load(npz(**{**GOOD, **BAD_FILES[case]}))


def test_headers_are_read_before_memory_is_taken():
    """Zeros, 128 MiB of them, are 131 kB in a file."""
    zeros = header((2**24, 1)) + bytes(2**27)
    file = npz(zipfile.ZIP_DEFLATED, indices=zeros, weights=np.ones(1), num_samples=np.asarray(1))
    assert len(file.getvalue()) < 140_000
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"unpacks from 13\d,\d+ bytes to 134,\d+,\d+"):
        MixPlan.load(file)
    with pytest.raises(ValueError, match=r"shape \(1048576, 1048576\), of more than 67108864"):
        MixPlan.load(npz(**{**GOOD, **BAD_FILES["terabytes"]}))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2e6


def test_a_compressed_plan_is_read():
    plan = zeta_plan(512, rng=0)
    file = io.BytesIO()
    np.savez_compressed(file, indices=plan.indices, weights=plan.weights, num_samples=512)
    file.seek(0)
    assert MixPlan.load(file) == plan


def test_damaged_files_are_refused():
    """Whatever byte is another one, the plan is the same or refused."""
    file = io.BytesIO()
    plan = zeta_plan(3, rng=0)
    plan.save(file)
    whole, rng = file.getvalue(), np.random.default_rng(0)
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[rng.integers(len(whole))] = rng.integers(256)
        try:
            loaded = MixPlan.load(io.BytesIO(bytes(damaged)))
        except ValueError:
            continue
        assert loaded == plan


# --- the plan of CutMix ---------------------------------------------------------------------------

BOXES = cutmix_plan((3, 4, 4), rng=0)
FIELDS = [
    (TypeError, "volumes must be the MixPlan that mixes labels, got int", {"volumes": 1}),
    (ValueError, "must mix two samples per output", {"volumes": zeta_plan(3)}),
    (TypeError, "lower must be an array of floats, got int", {"lower": 2}),
    (
        TypeError,
        "upper must be an array of floats, got dtype int64",
        {"upper": np.ones((3, 2), int)},
    ),
    (ValueError, r"lower must have shape \(3, 2\) or \(1, 2\)", {"lower": np.ones((2, 2))}),
    (ValueError, r"or one for all, got \(3, 1\)", {"upper": np.ones((3, 1))}),
    (TypeError, "axes must be a tuple of whole numbers, got 4", {"axes": 4}),
    (TypeError, r"axes must be a tuple of whole numbers, got \[1, 2\]", {"axes": [1, 2]}),
    (TypeError, "lengths must be a tuple of whole numbers, got 5", {"lengths": 5}),
    (ValueError, "each with a length >= 1", {"lengths": (4,)}),
    (ValueError, "each with a length >= 1", {"lengths": (4, 0)}),
    (ValueError, "each with a length >= 1", {"axes": (), "lengths": ()}),
]


@pytest.mark.parametrize(("error", "message", "fields"), FIELDS)
def test_fields_of_a_cutmix_plan_are_checked(error, message, fields):
    with pytest.raises(error, match=message):
        dataclasses.replace(BOXES, **fields)


def test_a_cutmix_plan_of_odd_arguments():
    with pytest.raises(TypeError, match="volumes must be the MixPlan"):
        CutMixPlan(1, 2, 3, 4, 5)
    again = dataclasses.replace(BOXES, lower=BOXES.lower[:1], upper=BOXES.upper[:1])
    assert (again @ np.ones((3, 4, 4))).shape == (3, 4, 4)


@pytest.mark.parametrize("dtype", [">f4", ">f8", "g", "<f2"])
def test_ends_of_boxes_that_other_libraries_lack(backend, dtype):
    volumes = MixPlan(np.asarray(ROWS), np.asarray([0.25, 0.75]), 2)
    ends = np.asarray([[1.0]], dtype=dtype), np.asarray([[3.0]], dtype=dtype)
    plan = CutMixPlan(volumes, *ends, (1,), (4,))
    x = np.asarray([[0, 0, 0, 0], [1, 1, 1, 1]])
    mixed = backend.to_numpy(plan @ backend.asarray(x))
    assert mixed.tolist() == [[0, 1, 1, 0], [1, 0, 0, 1]]
    with pytest.raises(ValueError, match="read-only"):
        plan.lower[0] = 99
    assert ends[0].flags.writeable


@pytest.mark.needs("torch")
def test_ends_of_boxes_are_of_the_library_of_the_plan():
    import torch

    with pytest.raises(TypeError, match="volumes and upper must be arrays of the same library"):
        dataclasses.replace(BOXES, upper=torch.ones(3, 2))
