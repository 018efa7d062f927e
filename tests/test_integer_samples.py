"""One rule for integers: `plan @ x` averages any, everything else takes images alone."""

import functools
import re

import numpy as np
import pytest

from zetamix_core import batches, cutmix, mixup, zeta_mixup, zeta_plan
from zetamix_core.roles import paths_of_images

SHAPES = {1: (4,), 2: (4, 6), 3: (4, 3, 2), 4: (4, 2, 3, 2)}
DTYPES = ("bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")
FEWEST_AXES = {"uint8": 2, "int8": 3, "int16": 3, "uint16": 3}
FORMS = [(dtype, axes) for dtype in DTYPES for axes in SHAPES]
IMAGES = [(dtype, axes) for dtype, axes in FORMS if axes >= FEWEST_AXES.get(dtype, 9)]
IDS = [form for form in FORMS if form not in IMAGES]
RULE = (
    "x must be floating or complex, or integer images (uint8 with two or more axes, 8 or 16 bits "
    "with three or more), so that ids are never averaged, got shape"
)
PLAN = zeta_plan(4, num_mix=3, rng=0)


def numbers(dtype, axes):
    return np.random.default_rng(0).integers(0, 2, SHAPES[axes]).astype(dtype)


def exact(plan, x):
    rows = x.reshape(len(x), -1).astype(np.float64)
    return (plan.matrix() @ rows).reshape(x.shape)


def refused(call, message=RULE):
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        call()
    text = str(caught.value)
    assert "cast" in text or "as_data" in text
    return text


def test_the_forms_are_those_of_images():
    assert len(IMAGES) == 3 + 3 * 2
    assert len(IDS) == len(FORMS) - 9


@pytest.mark.parametrize(("dtype", "axes"), [form for form in FORMS if form[1] in (1, 3)])
def test_plans_average_any_numbers(backend, dtype, axes):
    x = numbers(dtype, axes)
    mixed = backend.to_numpy(PLAN @ backend.asarray(x))
    np.testing.assert_allclose(mixed, exact(PLAN, x), atol=1e-6)


@pytest.mark.parametrize(("dtype", "axes"), IMAGES)
def test_images_are_mixed(backend, dtype, axes):
    x = numbers(dtype, axes)
    function = mixup if axes == 4 else zeta_mixup
    mixed, _ = function(backend.asarray(x), rng=0)
    expected, _ = function(x.astype(np.float64), rng=0)
    np.testing.assert_allclose(backend.to_numpy(mixed), expected, atol=1e-6)


@pytest.mark.parametrize(("dtype", "axes"), IDS)
def test_other_integers_are_refused(backend, dtype, axes):
    x = backend.asarray(numbers(dtype, axes))
    for function in (zeta_mixup, mixup):
        text = refused(lambda f=function: f(x, rng=0))
        assert f"shape {SHAPES[axes]} and dtype" in text
        assert "plan @ x" in text


def test_byte_order_does_not_matter():
    assert zeta_mixup(numbers(">u2", 3), rng=0)[0].dtype == np.float64
    refused(lambda: zeta_mixup(numbers(">i8", 3), rng=0))


def test_narrower_integers_are_no_images():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    refused(lambda: zeta_mixup(numbers(ml_dtypes.int4, 4), rng=0))


def test_cutmix_averages_nothing_and_takes_any(backend):
    x = numbers("int64", 3)
    pasted, _ = cutmix(backend.asarray(x), rng=0)
    assert set(np.unique(backend.to_numpy(pasted))) <= set(np.unique(x))


@pytest.mark.parametrize(("dtype", "axes"), FORMS)
def test_epochs(dtype, axes):
    x = numbers(dtype, axes)
    if (dtype, axes) in IDS:
        refused(lambda: batches(x, None, 2))
    else:
        (mixed, _), *_ = batches(x, None, 4, seed=0, shuffle=False)
        np.testing.assert_allclose(mixed, exact(zeta_plan(4, rng=(0, 0, 0)), x), atol=1e-12)


@pytest.mark.parametrize(("dtype", "axes"), FORMS)
def test_the_paths_of_images(dtype, axes):
    x, y = numbers(dtype, axes), np.arange(4)
    image = (dtype, axes) in IMAGES
    assert paths_of_images(x) == (("",) if image else ())
    assert paths_of_images((x, y)) == (("0",) if image else ())
    assert paths_of_images({"image": x}) == ()


@pytest.mark.needs("torch")
@pytest.mark.parametrize(("dtype", "axes"), FORMS)
def test_modules(dtype, axes):
    torch = pytest.importorskip("torch")
    zt = pytest.importorskip("zetamix.torch")
    host = numbers(dtype, axes)
    x, y = torch.from_numpy(host), torch.arange(4) % 3
    mix = zt.ZetaMixup(num_classes=3, seed=0)
    if (dtype, axes) in IDS:
        alone, first = "an array of integers or bool is mixed only if declared", "at '0'"
        assert "as_data=['']" in refused(lambda: mix(x), alone)
        assert "as_data=['0']" in refused(lambda: mix(x, y), first)
        if axes > 1:
            paste = zt.CutMix(num_classes=3, axes=(-1,))
            assert "as_data=['0']" in refused(lambda: paste(x, y), first)
    else:
        expected = exact(zeta_plan(4, rng=(0, 0, 0)), host)
        np.testing.assert_array_equal(mix(x).numpy(), expected.round())
    given = x.dtype if (dtype, axes) in IMAGES else torch.float32
    assert zt.ZetaMixup(as_data=[""])(x).dtype == given
    assert zt.ZetaMixup(num_classes=3, as_data=["0"])(x, y)[0].dtype == given


@pytest.mark.needs("torch")
def test_in_a_graph():
    torch = pytest.importorskip("torch")
    mix = torch.compile(lambda x: zeta_mixup(x, rng="device")[0], backend="eager")
    image = torch.from_numpy(numbers("int16", 3))
    assert mix(image).dtype == torch.float32
    with pytest.raises(Exception, match="so that ids are never averaged"):
        mix(image.long())


@pytest.mark.needs("jax")
@pytest.mark.parametrize(("dtype", "axes"), FORMS)
def test_functions_of_jax(dtype, axes):
    jax = pytest.importorskip("jax")
    zj = pytest.importorskip("zetamix.jax")
    x, key = numbers(dtype, axes), jax.random.key(0)
    for function in (zj.zeta_mixup, zj.mixup):
        traced = functools.partial(jax.eval_shape, function)
        if (dtype, axes) in IDS:
            for call in (function, traced):
                assert "plan @ x" in refused(lambda call=call: call(key, x))
        else:
            assert traced(key, x)[0].dtype == np.float32
        message = "a pytree x must hold floating arrays only, so that ids are never averaged"
        refused(lambda f=function: f(key, {"image": x}), message)
    if axes > 1:
        pasted, _ = jax.eval_shape(functools.partial(zj.cutmix, axes=(-1,)), key, x)
        assert (pasted.shape, pasted.dtype.kind) == (x.shape, x.dtype.kind)


@pytest.mark.needs("jax")
def test_values_of_images_in_jax():
    jax = pytest.importorskip("jax")
    zj = pytest.importorskip("zetamix.jax")
    x, key = numbers("uint8", 2), jax.random.key(0)
    mixed, floats = (jax.jit(zj.zeta_mixup)(key, form)[0] for form in (x, x.astype(np.float32)))
    np.testing.assert_allclose(mixed, floats, atol=1e-6)
