"""Arguments that nobody means: each a documented error, or the right value."""

import math
import warnings

import numpy as np
import pytest

from zetamix_core import (
    MixPlan,
    cutmix,
    cutmix_plan,
    dirichlet_plan,
    mixed_loss,
    mixup,
    theory,
    zeta_mixup,
    zeta_plan,
    zeta_weights,
)

PLAN, BOXES = zeta_plan(3, rng=0), cutmix_plan((3, 4, 4), rng=0)
X = np.arange(3.0)
HUGE = 2**1024  # beyond all floats


@pytest.mark.parametrize("labels", [[0, 1, 2], (0, 1, 2), None, "abc", 3])
def test_labels_that_are_no_arrays(labels):
    for plan in (PLAN, BOXES):
        with pytest.raises(TypeError, match=r"y must be an array of a supported library, got"):
            plan.mix_labels(labels, 3)


@pytest.mark.parametrize("plan", [PLAN, BOXES], ids=["mix", "boxes"])
@pytest.mark.parametrize("counts", [np.asarray([3, 4]), np.asarray([]), 5, [3], {0: 3}])
def test_number_of_classes_without_paths(plan, counts):
    with pytest.raises(TypeError, match="num_classes must name leaves by their paths"):
        plan.apply({"a": X}, num_classes=counts)


@pytest.mark.parametrize("count", [2**26 + 1, 10**12, 2**70])
def test_more_classes_than_rows_can_hold(backend, count):
    y = backend.asarray(np.arange(3, dtype=np.int32))
    for mix in (PLAN.mix_labels, BOXES.mix_labels):
        with pytest.raises(ValueError, match=r"at most 2\*\*26 .*use plan.sparse_labels or mixed"):
            mix(y, count)
    ids, _ = PLAN.sparse_labels(backend.asarray(np.asarray([0, 1, 2**31 - 1], dtype=np.int32)))
    assert backend.to_numpy(ids).max() == 2**31 - 1


@pytest.mark.parametrize("loss", [5, None, "mse"])
def test_a_loss_that_is_no_function(loss):
    with pytest.raises(TypeError, match="loss must be a function of predictions and labels, got"):
        mixed_loss(loss, X, X, PLAN)


@pytest.mark.parametrize("reduction", [np.asarray(["mean", "sum"]), np.asarray(["mean"]), None, 1])
def test_an_unknown_reduction(reduction):
    with pytest.raises(ValueError, match="reduction must be one of"):
        mixed_loss(lambda p, y: p - y, X, X, PLAN, reduction=reduction)


@pytest.mark.parametrize("dtype", [">f4", ">f8", ">i2", "<f4"])
def test_the_byte_order_is_kept(dtype):
    x = np.arange(48).reshape(3, 4, 4).astype(dtype)
    cut, _ = cutmix(x, rng=0)
    assert cut.dtype == dtype
    assert np.array_equal(cut, cutmix(x.astype(dtype.replace(">", "<")), rng=0)[0])
    if x.dtype.kind == "f":
        for mix in (zeta_mixup, mixup):
            mixed, soft = mix(x, x, rng=0)
            assert mixed.dtype == soft.dtype == dtype


@pytest.mark.needs("dask")
def test_the_byte_order_of_lazy_arrays_is_kept():
    import dask.array as da

    x = np.ones((3, 4, 4), dtype=">f4")
    cut, _ = cutmix(da.from_array(x), rng=0)
    assert cut.dtype == cut.compute().dtype == ">f4"


# --- numbers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.longdouble, np.int8, int])
def test_alpha_of_any_type(kind):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plan = dirichlet_plan(4, alpha=kind(1), rng=0)
    assert plan == dirichlet_plan(4, alpha=1.0, rng=0)


def test_alpha_out_of_range():
    for alpha in (np.float16(np.inf), np.float16(0), HUGE, -HUGE, np.float32(np.nan)):
        with pytest.raises(ValueError, match="alpha must be a positive number from 1e-6 to 1e6"):
            dirichlet_plan(4, alpha=alpha)


def test_a_gamma_beyond_floats_is_infinite():
    assert zeta_weights(3, gamma=HUGE).tolist() == [1, 0, 0]
    assert theory.truncated_zeta(HUGE, 4) == 1
    assert theory.mixup_lambda(HUGE) == 1
    for gamma in (-HUGE, -math.inf):
        with pytest.raises(ValueError, match="gamma must be a number >= 0"):
            zeta_weights(3, gamma=gamma)
        with pytest.raises(ValueError, match="gamma must be a number >= 0"):
            theory.truncated_zeta(gamma, 4)


def test_masked_numbers():
    masked = np.ma.masked_array([0.5, 0.5, 0.5], [False, True, False])
    for call in (
        lambda: zeta_weights(4, gamma=masked),
        lambda: zeta_plan(3, gamma=masked),
        lambda: MixPlan(np.ma.masked_array([[0, 1]], [[True, False]]), np.ones(2) / 2, 2),
        lambda: MixPlan(np.zeros((3, 3), dtype=int), masked, 3),
    ):
        with pytest.raises(TypeError, match=r"must have no mask, got a masked array .*filled"):
            call()


COUNTS = {
    "truncated_zeta": lambda n: theory.truncated_zeta(2.8, n),
    "dominant_weight": lambda n: theory.dominant_weight(2.8, n),
    "tail_weight": lambda n: theory.tail_weight(2.8, 4, n),
    "tail_weight of T": lambda n: theory.tail_weight(2.8, n, math.inf),
    "effective_num_samples": lambda n: theory.effective_num_samples(2.8, n),
    "displacement": lambda n: theory.displacement(2.8, n),
    "dominance_threshold": lambda n: theory.dominance_threshold(n),
    "gamma_for_dominant_weight": lambda n: theory.gamma_for_dominant_weight(0.8, n),
    "gamma_for_displacement": lambda n: theory.gamma_for_displacement(0.2, n),
    "num_mix_for_tail": lambda n: theory.num_mix_for_tail(0.1, 2.8, n),
    "num_orderings": lambda n: theory.num_orderings(n, 2),
    "log_num_orderings": lambda n: theory.log_num_orderings(n),
}


@pytest.mark.parametrize("name", COUNTS)
def test_counts_beyond_floats(name):
    for n in (HUGE, 2**1000 + 1, -HUGE):
        with pytest.raises(ValueError, match=r"at most 2\*\*1000, got one of 10.. bits"):
            COUNTS[name](n)
    assert 0 <= COUNTS[name](2**1000) < math.inf


@pytest.mark.parametrize("name", COUNTS)
def test_arrays_as_counts(name, require):
    require("torch")
    require("jax")
    import jax.numpy as jnp
    import torch

    for n in (np.asarray([8, 9]), jnp.asarray([8, 9]), torch.tensor([8, 9]), np.asarray(8.5)):
        with pytest.raises(TypeError, match=r"must be an integer >= 1.*, got .*pass the number of"):
            COUNTS[name](n)
    assert COUNTS[name](np.asarray(8)) == COUNTS[name](8)


def test_values_beyond_floats():
    for find in (theory.gamma_for_dominant_weight, theory.gamma_for_displacement):
        with pytest.raises(ValueError, match="must be a number in"):
            find(HUGE, 4)
    with pytest.raises(ValueError, match="tail must be a number in"):
        theory.num_mix_for_tail(HUGE, 2.8)
    with pytest.raises(ValueError, match="lam must be a number in"):
        theory.mixup_gamma(-HUGE)


LONG = 10**5000  # more digits than Python writes out
LONG_INTEGERS = {
    "mixup_gamma": lambda: theory.mixup_gamma(LONG),
    "truncated_zeta": lambda: theory.truncated_zeta(-LONG, 3),
    "displacement": lambda: theory.displacement(-LONG, 3),
    "gamma_for_displacement": lambda: theory.gamma_for_displacement(LONG, 3),
    "num_mix_for_tail": lambda: theory.num_mix_for_tail(LONG, 3),
    "n": lambda: zeta_plan(LONG),
    "negative n": lambda: zeta_plan(-LONG),
    "gamma": lambda: zeta_plan(4, gamma=-LONG),
    "num_mix": lambda: zeta_plan(4, num_mix=LONG),
    "num_outputs": lambda: zeta_plan(4, num_outputs=LONG),
    "seed": lambda: zeta_plan(4, rng=LONG),
    "key": lambda: zeta_plan(4, rng=(1, LONG)),
    "alpha": lambda: dirichlet_plan(4, alpha=LONG),
    "axes": lambda: cutmix_plan((4, 3), axes=(LONG,)),
    "shape": lambda: cutmix_plan((4, -LONG), axes=(1,)),
    "num_classes": lambda: PLAN.mix_labels(np.arange(3), LONG),
    "num_samples": lambda: MixPlan(np.zeros((2, 1), dtype=int), np.ones(1), LONG),
}


@pytest.mark.parametrize("name", LONG_INTEGERS)
def test_integers_too_long_to_be_written_out(name):
    with pytest.raises(ValueError, match=r"(an int|got one) of 166[01][0-9] bits"):
        LONG_INTEGERS[name]()


@pytest.mark.parametrize("n", [2**26 + 1, 2**70])
def test_numbers_of_orderings_that_are_too_long(n):
    with pytest.raises(ValueError, match=r"at most 2\*\*26 samples .*; use log_num_orderings"):
        theory.num_orderings(n)
    assert theory.num_orderings(n, 2) == n * (n - 1)


# --- adapters -------------------------------------------------------------------------------------

OPTIONS = [
    (TypeError, "as_data must name leaves by their paths, .* got 5", {"as_data": 5}),
    (TypeError, r"keep must name leaves by their paths, .* got \[1\]", {"keep": [1]}),
    (ValueError, "p must be a number from 0 to 1, got 5; pass for instance p=", {"p": 5}),
    (ValueError, r"num_classes must be at most 2\*\*26", {"num_classes": 2**70}),
    (ValueError, r"num_classes must be at most 2\*\*26", {"num_classes": {"y": 10**12}}),
]


@pytest.mark.needs("torch")
@pytest.mark.parametrize(("error", "message", "options"), OPTIONS)
def test_options_of_modules(error, message, options):
    from zetamix.torch import CutMix, Mixup, ZetaMixup, ZetaMixupCollate

    for make in (ZetaMixup, Mixup, CutMix, ZetaMixupCollate):
        with pytest.raises(error, match=message):
            make(**options)


@pytest.mark.needs("torch")
def test_probabilities_of_one_of():
    from zetamix.torch import Mixup, OneOf

    with pytest.raises(TypeError, match=r"p must be a list of one number >= 0 .* got 5; leave it"):
        OneOf([Mixup()], p=5)


@pytest.mark.needs("jax")
def test_named_axes_of_jax():
    import jax
    import jax.numpy as jnp
    from zetamix import jax as zj

    key, x = jax.random.key(0), jnp.ones((3, 2, 2))
    for mix in (zj.zeta_mixup, zj.mixup, zj.cutmix):
        for name in ("i", ("i", "j")):
            with pytest.raises(
                ValueError, match="axis_name must name axes that the call is mapped"
            ):
                mix(key, x, axis_name=name)
            with pytest.raises(ValueError, match="outside of such a map"):
                jax.jit(lambda x, mix=mix, name=name: mix(key, x, axis_name=name))(x)
        for name in (5, ["i"], ("i", 5)):
            with pytest.raises(TypeError, match="axis_name must be a str or a tuple of them, got"):
                mix(key, x, axis_name=name)
    mixed = jax.vmap(lambda x: zj.zeta_mixup(key, x, axis_name="i")[0], axis_name="i")(x[None])
    assert mixed.shape == (1, 3, 2, 2)
