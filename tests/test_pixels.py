"""The dtype of samples that a pipeline hands on: integers stay, or become floats of one scale."""

import numpy as np
import pytest

from zetamix_core import MixPlan, cutmix_plan, dirichlet_plan, mixup_plan, zeta_plan
from zetamix_core.adapting import Found, Roles, checked_pixels, unmixed_leaves
from zetamix_core.leaves import check_leaf, flattened
from zetamix_core.pixels import Pixels

DTYPES = ["uint8", "int8", "uint16", "int16"]
N, SHAPE = 12, (12, 3, 6, 5)
PLANS = {
    "zeta": zeta_plan(N, rng=0),
    "zeta of 3": zeta_plan(N, num_mix=3, rng=0),
    "mixup": mixup_plan(N, rng=0),
    "dirichlet": dirichlet_plan(N, num_mix=4, rng=0),
}


def images(dtype, seed=0):
    limits = np.iinfo(dtype)
    rng = np.random.default_rng(seed)
    return rng.integers(limits.min, limits.max, SHAPE, dtype=dtype, endpoint=True)


def mixed(backend, plan, x, dtype=None, scale=False):
    """What a pipeline makes of images that are declared."""
    roles = Roles(as_data=("",), pixels=checked_pixels(dtype, scale))
    return backend.to_numpy(plan._applied(backend.asarray(x), roles))


def unmixed(x, dtype=None, scale=False):
    roles = Roles(as_data=("",), pixels=checked_pixels(dtype, scale))
    (value,) = unmixed_leaves(flattened(x, check=check_leaf), roles, Found())
    return value


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", PLANS)
def test_integers_are_rounded_to_the_nearest(backend, dtype, name):
    x, plan = images(dtype), PLANS[name]
    found = mixed(backend, plan, x)
    assert found.dtype == x.dtype
    exact = np.tensordot(plan.matrix(), x.astype(np.float64), 1)
    # Weights are rounded to 24 bits, and each of the T terms, too.
    largest = float(np.abs(x.astype(np.float64)).max())
    slack = 2 * (plan.num_mix + 1) * 2.0**-24 * largest
    assert np.abs(found - exact).max() <= 0.5 + slack


@pytest.mark.parametrize("dtype", DTYPES)
def test_of_two_the_even_one(backend, dtype):
    plan = MixPlan(np.asarray([[0, 1]]), np.asarray([0.5, 0.5]), 2)
    low = np.arange(8).astype(dtype).reshape(1, 1, 8)
    found = mixed(backend, plan, np.concatenate([low, low + 1]))
    np.testing.assert_array_equal(found.ravel(), [0, 2, 2, 4, 4, 6, 6, 8])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", PLANS)
def test_the_ends_of_a_dtype_stay(backend, dtype, name):
    for end in (np.iinfo(dtype).min, np.iinfo(dtype).max):
        x = np.full(SHAPE, end, dtype=dtype)
        np.testing.assert_array_equal(mixed(backend, PLANS[name], x), x)


def test_many_terms_can_not_leave_the_dtype():
    x = np.full((2000, 1, 1), 65535, dtype=np.uint16)
    for plan in (zeta_plan(2000, gamma=0.0, rng=0), zeta_plan(2000, num_mix=100, rng=0)):
        roles = Roles(as_data=("",), pixels=Pixels())
        assert plan._applied(x, roles).min() >= 65533  # none wraps to zero


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_is_skipped_is_identical(backend, dtype):
    x = images(dtype)
    for plan in (PLANS["zeta"], cutmix_plan(SHAPE, rng=0)):
        np.testing.assert_array_equal(mixed(backend, plan.where(False), x), x)


def test_boxes_are_pasted_as_they_are(backend):
    x = images("uint8")
    plan = cutmix_plan(SHAPE, rng=0)
    np.testing.assert_array_equal(mixed(backend, plan, x), plan @ x)
    found = mixed(backend, plan, x, scale=True)
    expected = (plan @ x).astype(np.float32) / np.float32(255)
    np.testing.assert_allclose(found, expected, rtol=2e-7)  # JAX multiplies by the inverse


@pytest.mark.parametrize(
    ("dtype", "axes"), [("int64", 3), ("int32", 3), ("uint8", 1), ("int16", 2)]
)
def test_what_is_no_image_becomes_floats(dtype, axes):
    x = np.arange(N * 2 ** (axes - 1)).reshape(N, *[2] * (axes - 1)).astype(dtype)
    roles = Roles(as_data=("",), pixels=Pixels())
    found = PLANS["zeta"]._applied(x, roles)
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, PLANS["zeta"] @ x)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("wanted", ["float16", "float32", "float64", None])
@pytest.mark.parametrize("scale", [False, True])
def test_floats_are_those_of_the_mean(dtype, wanted, scale):
    if wanted is None and not scale:
        return
    x, plan = images(dtype), PLANS["zeta of 3"]
    roles = Roles(as_data=("",), pixels=checked_pixels(wanted, scale))
    found = plan._applied(x, roles)
    assert found.dtype == (wanted or "float32")
    top = np.iinfo(dtype).max if scale else 1
    exact = np.tensordot(plan.matrix(), x.astype(np.float64), 1) / top
    kind = np.finfo(found.dtype)
    largest = np.abs(exact).max()
    if largest > kind.max:  # 16 bits reach 65504
        exact, found = (np.clip(a, -kind.max, kind.max) for a in (exact, found))
    slack = (8 * 2.0**-24 if wanted != "float64" else 8 * 2.0**-53) + kind.eps
    assert np.abs(found - exact).max() <= slack * largest


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("wanted", ["float16", "float32", "float64"])
@pytest.mark.parametrize("scale", [False, True])
def test_evaluation_gives_what_a_skipped_batch_does(dtype, wanted, scale):
    x = images(dtype)
    if not scale and wanted == "float16":
        x = x // 2  # which 16 bits reach
    roles = Roles(as_data=("",), pixels=checked_pixels(wanted, scale))
    for plan in (PLANS["zeta"], PLANS["zeta of 3"], cutmix_plan(SHAPE, rng=0)):
        skipped = plan.where(False)._applied(x, roles)
        np.testing.assert_array_equal(unmixed(x, wanted, scale), skipped)
    top = np.iinfo(dtype).max if scale else 1
    width = np.float64 if wanted == "float64" else np.float32
    np.testing.assert_array_equal(skipped, (x.astype(width) / width(top)).astype(wanted))


def test_floats_get_the_dtype_too():
    x = np.random.default_rng(0).normal(size=(N, 4)).astype(np.float32)
    roles = Roles(pixels=checked_pixels("float64", False))
    found = PLANS["zeta"]._applied({"a": x}, roles)["a"]
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, PLANS["zeta"].matrix() @ x.astype(np.float64), atol=1e-6)
    assert unmixed(x, "float16").dtype == np.float16
    assert unmixed(x) is x


def test_padded_images_of_integers_stay_integers(backend):
    x = images("uint8")[:, 0]
    mask = np.random.default_rng(1).integers(0, 2, x.shape).astype(bool)
    roles = Roles(as_data=("x",), valid={"x": "mask"}, pixels=Pixels())
    batch = {"x": backend.asarray(x), "mask": backend.asarray(mask)}
    found = backend.to_numpy(PLANS["zeta"]._applied(batch, roles)["x"])
    assert found.dtype == np.uint8
    matrix = PLANS["zeta"].matrix()
    total = np.tensordot(matrix, mask * x.astype(np.float64), 1)
    weight = np.tensordot(matrix, mask.astype(np.float64), 1)
    exact = np.where(weight > 0, total / np.where(weight > 0, weight, 1), 0)
    assert np.abs(found - exact).max() <= 0.501


@pytest.mark.parametrize(
    ("error", "message", "call"),
    [
        (
            TypeError,
            "dtype must be a floating dtype or None, got",
            lambda: checked_pixels("int8", False),
        ),
        (
            TypeError,
            "dtype must be a floating dtype or None, got 'f33'",
            lambda: checked_pixels("f33", False),
        ),
        (TypeError, "scale must be True or False, got 255", lambda: checked_pixels(None, 255)),
        (
            ValueError,
            r"scale=True divides integer images .*, got samples float64 \(12, 3, 6, 5\); leave",
            lambda: PLANS["zeta"]._applied(np.ones(SHAPE), Roles(pixels=Pixels(None, True))),
        ),
        (ValueError, "scale=True divides", lambda: unmixed(np.ones(SHAPE), scale=True)),
        (
            ValueError,
            "dtype= gives real numbers, got complex samples of dtype complex128",
            lambda: PLANS["zeta"]._applied(np.ones(SHAPE) * 1j, Roles(pixels=Pixels("float32"))),
        ),
    ],
)
def test_errors_name_rule_value_and_remedy(error, message, call):
    with pytest.raises(error, match=message):
        call()
