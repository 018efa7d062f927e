"""The functions of zetamix.jax: keys, pytrees, transformations and shards."""

import dataclasses
import functools
import importlib
import os
import subprocess
import sys
from typing import NamedTuple

import numpy as np
import pytest

import zetamix_core
from zetamix_core import MixPlan, cutmix_plan, mixup_plan, zeta_plan, zeta_weights

jax = pytest.importorskip("jax")
zj = importlib.import_module("zetamix.jax")
jnp = jax.numpy
pytestmark = pytest.mark.needs("jax")

FUNCTIONS = ["zeta_mixup", "mixup", "cutmix"]
KEY = jax.random.key(1)


def samples(*shape, seed=0):
    return jax.random.normal(jax.random.key(seed), shape)


def assert_close(a, b, rtol=1e-5, atol=1e-6):
    structures = jax.tree_util.tree_structure(a), jax.tree_util.tree_structure(b)
    assert structures[0] == structures[1]
    for one, other in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_allclose(one, other, rtol=rtol, atol=atol)


# --- the same as the core -------------------------------------------------------------------------


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("anchored", [True, False])
@pytest.mark.parametrize("key", [jax.random.key(3), jax.random.PRNGKey(3)], ids=["typed", "raw"])
def test_the_same_key_gives_what_the_core_gives(name, anchored, key):
    x, y = samples(6, 8, 7), jnp.arange(6) % 4
    options = {"num_classes": 4, "anchored": anchored}
    expected = getattr(zetamix_core, name)(x, y, rng=key, **options)
    assert_close(getattr(zj, name)(key, x, y, **options), expected, rtol=0, atol=0)
    mixed, none = getattr(zj, name)(key, x, anchored=anchored)
    assert_close(mixed, expected[0], rtol=0, atol=0)
    assert none is None


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("zeta_mixup", {"gamma": 1.5}),
        ("zeta_mixup", {"gamma": np.linspace(0, 4, 6)}),
        ("zeta_mixup", {"num_mix": 3}),
        ("mixup", {"alpha": 0.2}),
        ("mixup", {"per_sample": False}),
        ("cutmix", {"alpha": 0.2}),
        ("cutmix", {"per_sample": False}),
        ("cutmix", {"axes": (1,)}),
    ],
)
def test_each_option_does_what_it_does_in_the_core(name, options):
    x, y = samples(6, 8, 7), jnp.arange(6) % 4
    expected = getattr(zetamix_core, name)(x, y, rng=KEY, num_classes=4, **options)
    assert_close(getattr(zj, name)(KEY, x, y, num_classes=4, **options), expected, rtol=0, atol=0)
    default = getattr(zj, name)(KEY, x, y, num_classes=4)
    assert not np.allclose(default[0], expected[0])


# --- transformations ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FUNCTIONS)
def test_jitted_as_eager_and_each_key_its_own_mixture(name):
    x, y = samples(6, 8, 7), jnp.arange(6) % 4

    def step(key, x, y):
        return getattr(zj, name)(key, x, y, num_classes=4)

    jitted = jax.jit(step)
    traced = jitted(KEY, x, y)
    assert_close(traced, step(KEY, x, y))
    assert not np.array_equal(jitted(jax.random.key(2), x, y)[0], traced[0])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_vmap_over_keys_and_batches(name):
    x, keys = samples(2, 6, 8, 7), jax.random.split(KEY, 2)
    y = jnp.arange(12).reshape(2, 6) % 4

    def mix(key, x, y):
        return getattr(zj, name)(key, x, y, num_classes=4)

    mixed, soft = jax.jit(jax.vmap(mix))(keys, x, y)
    for i in range(2):
        assert_close((mixed[i], soft[i]), mix(keys[i], x[i], y[i]))


def test_a_named_axis_of_vmap_is_folded_into_the_key():
    x = jnp.broadcast_to(jnp.eye(8), (3, 8, 8))

    def mix(x, axis_name):
        step = jax.vmap(lambda x: zj.zeta_mixup(KEY, x, axis_name=axis_name)[0], axis_name="worker")
        return jax.jit(step)(x)

    own, shared = mix(x, "worker"), mix(x, None)
    assert not any(np.array_equal(own[i], own[j]) for i, j in ((0, 1), (0, 2), (1, 2)))
    assert np.array_equal(shared[0], shared[1])


def test_gradients_in_x_and_gamma_through_jit():
    from jax.test_util import check_grads

    x = {"a": samples(10, 3), "b": samples(10, seed=1)}

    def mix(x, gamma):
        # The numerical derivatives come in as NumPy arrays.
        return zj.zeta_mixup(KEY, x, gamma=jnp.asarray(gamma), num_mix=4)[0]

    check_grads(jax.jit(mix), (x, jnp.asarray(2.0)), order=1, modes=["rev"], atol=2e-2, rtol=2e-2)
    slope = jax.jit(jax.grad(lambda x: mix(x, 2.8)["a"].sum()))(x)["a"]
    plan = zeta_plan(10, num_mix=4, rng=KEY, like=x["a"])
    np.testing.assert_allclose(slope[:, 0], plan.matrix().sum(axis=0), rtol=1e-5)


@pytest.mark.parametrize("gammas", [[0.0, 1.8, 2.8, jnp.inf], [np.full(8, g) for g in (1.0, 2.0)]])
def test_a_changing_gamma_is_compiled_once(gammas):
    traces = []

    @jax.jit
    def mix(key, x, gamma):
        traces.append(None)
        return zj.zeta_mixup(key, x, gamma=gamma)[0]

    x = samples(8, 3)
    for gamma in gammas:
        np.testing.assert_allclose(
            mix(KEY, x, gamma), zj.zeta_mixup(KEY, x, gamma=gamma)[0], rtol=1e-5, atol=1e-6
        )
    assert len(traces) == 1


@pytest.mark.parametrize("double", [False, True])
def test_precision_with_and_without_64_bit_mode(double):
    with jax.enable_x64(double):
        x, y = np.random.default_rng(0).normal(size=(10, 4)), np.arange(10) % 3
        key = jax.random.key(0)
        mixed, soft = zj.zeta_mixup(key, x, y, num_classes=3)
        assert mixed.dtype == soft.dtype == (jnp.float64 if double else jnp.float32)
        indices = zeta_plan(10, rng=key, like=jnp.asarray(x)).indices
        host = MixPlan(np.asarray(indices), zeta_weights(10, gamma=2.8), 10)
        tolerance = 1e-13 if double else 1e-5
        np.testing.assert_allclose(mixed, host @ x, rtol=tolerance, atol=tolerance)
        np.testing.assert_allclose(soft, host.mix_labels(y, 3), rtol=tolerance, atol=tolerance)


# --- batches --------------------------------------------------------------------------------------


class Pair(NamedTuple):
    image: jax.Array
    mask: jax.Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class Record:
    image: jax.Array
    mask: jax.Array


TREES = {
    "dict": lambda a, b: {"image": a, "mask": b},
    "nested": lambda a, b: ({"deep": [a, None]}, b),
    "namedtuple": Pair,
    "dataclass": Record,
    "list of NumPy arrays": lambda a, b: [np.asarray(a), np.asarray(b)],
}


@pytest.mark.parametrize("kind", TREES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_pytrees_are_mixed_by_one_plan(name, kind):
    image, mask, y = samples(6, 8, 7), samples(6, 2, 8, 7, seed=1), jnp.arange(6) % 4
    x, make = TREES[kind](image, mask), TREES[kind]
    mix = getattr(zj, name)
    mixed, soft = mix(KEY, x, y, num_classes=4)
    plan = {
        "zeta_mixup": lambda: zeta_plan(6, rng=KEY, like=image),
        "mixup": lambda: mixup_plan(6, rng=KEY, like=image),
        "cutmix": lambda: cutmix_plan(image.shape, rng=KEY, like=image),
    }[name]()
    assert_close(mixed, jax.tree.map(jnp.asarray, make(plan @ image, plan @ mask)))
    assert_close(soft, plan.mix_labels(y, 4))
    traced = jax.eval_shape(lambda key, x, y: mix(key, x, y, num_classes=4), KEY, x, y)
    assert jax.tree.structure(traced) == jax.tree.structure((mixed, soft))


def test_labels_are_pytrees_too():
    x = samples(6, 3)
    y = {"kind": np.arange(6) % 4, "age": samples(6, seed=2), "side": (np.arange(6) % 2, None)}
    counts = {"kind": 4, "age": None, "side": (2, None)}
    _, soft = zj.zeta_mixup(KEY, x, y, num_classes=counts)
    plan = zeta_plan(6, rng=KEY, like=x)
    sides = plan.mix_labels(jnp.asarray(y["side"][0]), 2)
    expected = {"kind": plan.mix_labels(jnp.asarray(y["kind"]), 4), "age": plan @ y["age"]}
    assert_close(soft, expected | {"side": (sides, None)})
    _, soft = zj.zeta_mixup(KEY, x, [y["kind"], y["kind"]], num_classes=4)
    assert_close(soft, [expected["kind"]] * 2)


def test_a_short_batch_takes_the_samples_that_there_are():
    for n in (6, 1):
        x, y = samples(n, 3), jnp.arange(n)
        mixed, soft = zj.zeta_mixup(KEY, x, y, num_classes=6, num_mix=4)
        expected = zetamix_core.zeta_mixup(x, y, num_classes=6, num_mix=min(4, n), rng=KEY)
        assert_close((mixed, soft), expected)
    for name in FUNCTIONS:
        mix = functools.partial(getattr(zj, name), num_classes=5)
        mixed, soft = jax.jit(mix)(KEY, samples(1, 4, 4), jnp.asarray([2]))
        assert_close((mixed, soft), (samples(1, 4, 4), jax.nn.one_hot(jnp.asarray([2]), 5)))


def test_dtypes():
    image, y = np.arange(96, dtype=np.uint8).reshape(6, 4, 4), jnp.arange(6) % 3
    mixed, _ = zj.zeta_mixup(KEY, image)
    assert mixed.dtype == jnp.float32
    np.testing.assert_allclose(mixed, zeta_plan(6, rng=KEY, like=y) @ jnp.asarray(image), rtol=1e-6)
    pasted, _ = zj.cutmix(KEY, {"image": image})  # one array in a structure is data too
    assert pasted["image"].dtype == jnp.uint8
    for name in FUNCTIONS:
        x = samples(6, 8, 7).astype(jnp.bfloat16)
        mixed, soft = getattr(zj, name)(KEY, x, y, num_classes=3)
        assert (mixed.dtype, soft.dtype) == (jnp.bfloat16, jnp.float32)
        np.testing.assert_allclose(soft.sum(axis=1), 1, rtol=1e-6)


def test_losses_under_jit():
    x, y = samples(8, 4), jnp.arange(8) % 4

    @jax.jit
    def both(key, x, y):
        plan = zeta_plan(8, rng=key, like=x)
        x, soft = plan @ x, plan.mix_labels(y, 4)
        scores = jax.nn.log_softmax(x)
        picked = zj.mixed_loss(lambda p, y: -p[jnp.arange(8), y], scores, y, plan)
        whole = -jnp.mean(jnp.sum(soft * scores, axis=1))
        return picked, whole, zj.mixed_accuracy(x, y, plan), zj.mixed_accuracy(x, soft)

    picked, whole, sparse, dense = both(KEY, x, y)
    np.testing.assert_allclose(picked, whole, rtol=1e-5)
    np.testing.assert_allclose(sparse, dense, rtol=1e-5)
    assert isinstance(zeta_plan(8, rng=KEY, like=x), zj.MixPlan)


# --- shards ---------------------------------------------------------------------------------------


SHARDS = """
import itertools, sys
import jax, numpy as np
from jax import numpy as jnp
from jax.sharding import AxisType, NamedSharding, PartitionSpec as P
from zetamix.jax import cutmix, mixup, zeta_mixup
from zetamix_core import zeta_weights

N, WORKERS = 12, 8
mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))
eyes = jnp.tile(jnp.eye(N), (WORKERS, 1))  # mixed by a plan they are its matrix
pixels = jax.random.normal(jax.random.key(5), (WORKERS * N, 4))
labels = jnp.arange(WORKERS * N) % 5


def shards(mix, axis_name, mesh=mesh, **options):
    def step(key, x, y):
        return mix(key, x, y, num_classes=5, axis_name=axis_name, **options)

    rows = P(mesh.axis_names)
    step = jax.jit(
        jax.shard_map(step, mesh=mesh, in_specs=(P(), rows, rows), out_specs=(rows, rows))
    )
    batch = {"eye": eyes, "pixels": pixels}, labels
    mixed, soft = step(jax.random.key(0), *jax.device_put(batch, NamedSharding(mesh, rows)))
    parts = [np.asarray(a).reshape(WORKERS, N, -1) for a in (mixed["eye"], mixed["pixels"], soft)]
    return list(zip(*parts))


def differ(a, b):
    return not np.allclose(a[0], b[0])


one_hot = np.eye(5)[np.asarray(labels)].reshape(WORKERS, N, 5)
blocks = np.asarray(pixels).reshape(WORKERS, N, 4)
for options in ({}, {"num_mix": 3, "anchored": False}):
    own = shards(zeta_mixup, "data", **options)
    weights = np.zeros(N)
    weights[: options.get("num_mix", N)] = zeta_weights(options.get("num_mix", N), gamma=2.8)
    for (matrix, mixed, soft), x, y in zip(own, blocks, one_hot):
        np.testing.assert_allclose(-np.sort(-matrix, axis=1), np.tile(weights, (N, 1)), atol=1e-6)
        if options.get("anchored", True):
            assert (matrix.argmax(axis=1) == np.arange(N)).all()
        np.testing.assert_allclose(mixed, matrix @ x, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(soft, matrix @ y, rtol=1e-4, atol=1e-5)
    assert all(differ(a, b) for a, b in itertools.combinations(own, 2)), options
    same = shards(zeta_mixup, None, **options)
    assert not any(differ(a, b) for a, b in itertools.combinations(same, 2)), options

own = shards(mixup, "data")
for (matrix, mixed, soft), x, y in zip(own, blocks, one_hot):
    assert ((matrix > 0).sum(axis=1) <= 2).all()
    np.testing.assert_allclose(mixed, matrix @ x, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(soft, matrix @ y, rtol=1e-4, atol=1e-5)
assert all(differ(a, b) for a, b in itertools.combinations(own, 2))
same = shards(mixup, None)
assert not any(differ(a, b) for a, b in itertools.combinations(same, 2))


def boxes(axis_name):
    images = jnp.tile(jnp.arange(N, dtype=jnp.float32)[:, None] * jnp.ones(16), (WORKERS, 1))
    y = jnp.tile(jnp.arange(N), WORKERS)
    step = jax.jit(jax.shard_map(
        lambda k, x, y: cutmix(k, x, y, axes=(1,), num_classes=N, axis_name=axis_name), mesh=mesh,
        in_specs=(P(), P("data"), P("data")), out_specs=P("data")))
    mixed, soft = (np.asarray(a) for a in step(jax.random.key(0), images, y))
    share = np.stack([(mixed == i).mean(axis=1) for i in range(N)], axis=1)
    np.testing.assert_allclose(share, soft, atol=1e-6)
    assert (mixed != np.asarray(images)).any()
    return [(part,) for part in mixed.reshape(WORKERS, N, 16)]


assert all(differ(a, b) for a, b in itertools.combinations(boxes("data"), 2))
assert not any(differ(a, b) for a, b in itertools.combinations(boxes(None), 2))

# Of two axes, what is not named is shared.
grid = jax.make_mesh((4, 2), ("data", "copy"), axis_types=(AxisType.Explicit,) * 2)
parts = shards(zeta_mixup, "data", grid)
for i, j in itertools.combinations(range(WORKERS), 2):
    assert differ(parts[i], parts[j]) == (i // 2 != j // 2)
parts = shards(zeta_mixup, ("data", "copy"), grid)
assert all(differ(a, b) for a, b in itertools.combinations(parts, 2))

# Outside of shard_map a batch is mixed as a whole.
sharded = jax.device_put(pixels, NamedSharding(grid, P("data")))
whole = jax.sharding.auto_axes(lambda key, x: zeta_mixup(key, x)[0], out_sharding=P("data"))
with jax.set_mesh(grid):
    mixed = jax.jit(whole)(jax.random.key(0), sharded)
np.testing.assert_allclose(mixed, zeta_mixup(jax.random.key(0), pixels)[0], rtol=1e-4, atol=1e-5)
"""


def test_shards_draw_differently_if_their_axis_is_named():
    flags = f"--xla_force_host_platform_device_count=8 {os.environ['XLA_FLAGS']}"
    done = subprocess.run(
        [sys.executable, "-c", SHARDS],
        env=os.environ | {"XLA_FLAGS": flags},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


# --- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize(
    ("key", "received"),
    [
        (0, "0 of type int"),
        (None, "None"),
        (np.zeros(3, np.uint32), r"shape \(3,\) and dtype uint32"),
        (jax.random.split(KEY), r"shape \(2,\) and dtype key<fry>"),
        (jnp.ones((4, 8)), r"shape \(4, 8\) and dtype float32"),
    ],
)
def test_what_is_no_key_is_refused(name, key, received):
    message = rf"key must be one JAX key, got {received}.*; pass jax\.random\.key\(0\)"
    with pytest.raises(TypeError, match=message):
        getattr(zj, name)(key, samples(4, 3, 3))


@pytest.mark.parametrize("name", ["zeta_mixup", "mixup"])
@pytest.mark.parametrize("dtype", [jnp.int32, jnp.uint8, jnp.bool])
def test_integers_in_pytrees_are_refused(name, dtype):
    x = {"image": samples(4, 3, 3), "target": [jnp.ones((4, 3, 3), dtype)]}
    message = (
        rf"x must hold floating arrays only.*got shape \(4, 3, 3\) and dtype {jnp.dtype(dtype)} at "
        r"x\['target'\]\[0\]; pass labels as y, or cast"
    )
    for call in (getattr(zj, name), jax.jit(getattr(zj, name))):
        with pytest.raises(ValueError, match=message):
            call(KEY, x)
    with pytest.raises(ValueError, match=r"got shape \(8,\) and dtype int32 at x\['id'\]"):
        getattr(zj, name)(KEY, {"id": jnp.arange(8)})


def test_cutmix_takes_integers_anywhere():
    x = {"image": samples(6, 8, 7), "mask": jnp.arange(336).reshape(6, 8, 7)}
    mixed, _ = zj.cutmix(KEY, x)
    plan = zetamix_core.cutmix_plan((6, 8, 7), rng=KEY, like=x["image"])
    assert mixed["mask"].dtype == x["mask"].dtype
    np.testing.assert_array_equal(mixed["mask"], plan @ x["mask"])


def test_a_raw_key_from_a_checkpoint():
    x, raw = samples(6, 8, 7), jax.random.key_data(KEY)
    expected = zj.zeta_mixup(raw, x)[0]
    np.testing.assert_array_equal(zj.zeta_mixup(np.asarray(raw), x)[0], expected)


def test_ranks_are_not_promoted():
    with jax.numpy_rank_promotion("raise"):
        x = samples(64, 3)
        for num_mix in (3, 64):
            assert zj.zeta_mixup(KEY, x, num_mix=num_mix)[0].shape == x.shape


@pytest.mark.parametrize(
    ("x", "y", "options", "error", "message"),
    [
        (
            {"a": np.ones((4, 2)), "b": np.ones((3, 2))},
            None,
            {},
            ValueError,
            r"same number of samples, got 4 in x\['a'\] and 3 in x\['b'\]; check",
        ),
        (
            np.ones((4, 2)),
            (np.ones(4), np.ones(5)),
            {},
            ValueError,
            r"same number of samples, got 4 in x and 5 in y\[1\]; check",
        ),
        ({}, None, {}, ValueError, r"x must hold one array or more, got \{\}; pass the samples"),
        (None, None, {}, ValueError, r"one array or more, got None"),
        ([1.0, 2.0], None, {}, TypeError, r"x\[0\] must be an array.*got float; pass an array"),
        (np.float32(1.0), None, {}, ValueError, r"x must have samples.*0-d array; add an axis"),
        (np.ones((0, 2)), None, {}, ValueError, r"must be >= 1, got 0; skip empty batches"),
        (np.ma.masked_array(np.ones(3)), None, {}, TypeError, r"x must have no mask"),
        (
            np.asarray(["a", "b"]),
            None,
            {},
            TypeError,
            r"must hold numbers, got text of shape \(2,\)",
        ),
        (np.ones((4, 2)), np.arange(4), {}, ValueError, r"need num_classes, got shape \(4,\)"),
        (
            np.ones((4, 2)),
            {"label": np.arange(4)},
            {"num_classes": {"lable": 4}},
            ValueError,
            r"num_classes must be an int or have the structure of y, got \{'lable': 4\}.*; give",
        ),
        (
            np.ones((4, 2)),
            np.arange(4),
            {"num_classes": True},
            TypeError,
            r"num_classes must be a whole number >= 1, got True",
        ),
        (np.ones((4, 2)), np.arange(4), {"num_classes": 3}, ValueError, r"classes from 0 to .* 2"),
        (np.ones((4, 2)), None, {"gamma": -1.0}, ValueError, r"gamma must be .* got -1.0"),
        (np.ones((4, 2)), None, {"num_mix": 0}, ValueError, r"num_mix must be >= 1, got 0"),
        (np.ones((4, 2)), None, {"num_mix": 2.0}, TypeError, r"num_mix must be a whole number"),
        (np.ones((4, 2)), None, {"anchored": 1}, TypeError, r"anchored must be True or False"),
    ],
)
def test_errors_name_rule_value_and_remedy(x, y, options, error, message):
    with pytest.raises(error, match=message):
        zj.zeta_mixup(KEY, x, y, **options)


def test_errors_say_which_array_it_was():
    y = {"kind": np.arange(6) % 4, "side": np.arange(6) % 4}
    with pytest.raises(ValueError, match="classes from 0 to") as caught:
        zj.zeta_mixup(KEY, samples(6, 8, 7), y, num_classes={"kind": 4, "side": 2})
    assert caught.value.__notes__ == ["at y['side']"]
    with pytest.raises(ValueError, match=r"of lengths \(8, 8\).*shape \(4, 8, 7\)") as caught:
        jax.eval_shape(zj.cutmix, KEY, (samples(4, 3, 8, 8), samples(4, 8, 7)))
    assert caught.value.__notes__[0] == "at x[1]"
    assert not hasattr(zj, "zeta_plan")


def test_arrays_of_other_libraries_are_refused(require):
    require("torch")
    torch = pytest.importorskip("torch")
    with pytest.raises(TypeError, match=r"x\['a'\] must be an array of JAX or NumPy, got .*torch"):
        zj.zeta_mixup(KEY, {"a": torch.ones(4, 2)})


def test_traced_labels_and_gamma_out_of_range_give_nan():
    x, y = samples(4, 2), jnp.asarray([0, 1, 2, 5])
    _, soft = jax.jit(lambda y: zj.zeta_mixup(KEY, x, y, num_classes=3))(y)
    assert np.isnan(soft).all(axis=1).any()
    assert np.isnan(jax.jit(lambda g: zj.zeta_mixup(KEY, x, gamma=g)[0])(-1.0)).all()


# --- the package ----------------------------------------------------------------------------------


def test_public_names():
    assert set(zj.__all__) == {*FUNCTIONS, "mix", "MixPlan", "mixed_accuracy", "mixed_loss"}
    assert zj.mixed_loss is zetamix_core.mixed_loss
    assert importlib.import_module("zetamix.jax.functions").__all__ == sorted([*FUNCTIONS, "mix"])


def test_importing_imports_no_grain():
    code = "import sys, zetamix.jax; assert 'jax' in sys.modules and 'grain' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
