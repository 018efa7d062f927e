"""What the defaults are, by what they do; and the dtype of labels that nobody asked for."""

import numpy as np
import pytest

import zetamix_core as core

X = np.eye(12).reshape(12, 3, 4)
ZETA = {"gamma": 2.8, "num_mix": 12, "anchored": True}
PAIRS = {"alpha": 1.0, "per_sample": True, "anchored": True}
BOXES = PAIRS | {"axes": (-2, -1)}


def epoch(**options):
    """The mixed samples of an epoch, whose last batch has one sample."""
    x = np.concatenate([X, X[:1]])
    return (np.concatenate([mixed for mixed, _ in core.batches(x, None, 12, seed=0, **options)]),)


DEFAULTS = [
    (lambda **k: core.zeta_plan(12, rng=0, **k), ZETA | {"num_outputs": 12}),
    (lambda **k: core.mixup_plan(12, rng=0, **k), PAIRS | {"num_outputs": 12}),
    (lambda **k: core.dirichlet_plan(12, rng=0, **k), PAIRS | {"num_mix": 12, "num_outputs": 12}),
    (lambda **k: core.cutmix_plan((12, 3, 4), rng=0, **k), BOXES),
    (lambda **k: core.zeta_mixup(X, rng=0, **k), ZETA),
    (lambda **k: core.mixup(X, rng=0, **k), PAIRS),
    (lambda **k: core.cutmix(X, rng=0, **k), BOXES),
    (lambda **k: epoch(**k), ZETA | {"shuffle": True, "drop_last": False, "epoch": 0}),
]
OTHERS = {
    "gamma": 2.7,
    "alpha": 0.9,
    "num_mix": 11,
    "anchored": False,
    "per_sample": False,
    "axes": (1,),
    "num_outputs": 13,
    "shuffle": False,
    "drop_last": True,
    "epoch": 1,
}
CASES = [(call, name, value) for call, defaults in DEFAULTS for name, value in defaults.items()]


def mixed(result):
    result = result if isinstance(result, tuple) else result @ X
    return np.asarray(result[0] if isinstance(result, tuple) else result)


@pytest.mark.parametrize(("call", "name", "value"), CASES)
def test_a_default_is_what_its_value_does(call, name, value):
    assert np.array_equal(mixed(call()), mixed(call(**{name: value})))
    assert not np.array_equal(mixed(call()), mixed(call(**{name: OTHERS[name]})))


@pytest.mark.needs("torch")
def test_defaults_of_modules():
    import torch
    from zetamix.torch import CutMix, Mixup, ZetaMixup

    x = torch.from_numpy(X)
    for kind, options in (
        (ZetaMixup, {"gamma": 2.8, "num_mix": 12}),
        (Mixup, {"alpha": 1.0, "per_sample": True}),
        (CutMix, {"alpha": 1.0, "per_sample": True, "axes": (-2, -1)}),
    ):
        expected = kind(seed=0)(x)
        mix = kind()
        assert (mix.p, mix.label_smoothing, mix.stop_at) == (1.0, 0.0, None)
        assert (mix.seed, mix.rank, mix.generator, mix.num_classes) == (None,) * 4
        for name, value in options.items():
            assert torch.equal(kind(seed=0, **{name: value})(x), expected)
            other = kind(seed=0, **{name: OTHERS[name]})(x)
            assert not torch.equal(other, expected)


@pytest.mark.needs("jax")
def test_defaults_of_functions_of_a_key():
    import jax
    from zetamix import jax as functions

    # So many pixels that boxes of nearly the same size differ.
    x, key = jax.numpy.arange(12.0 * 64 * 64).reshape(12, 64, 64), jax.random.key(0)
    for call, name, value in (
        (functions.zeta_mixup, "gamma", 2.8),
        (functions.mixup, "alpha", 1.0),
        (functions.cutmix, "alpha", 1.0),
    ):
        expected = call(key, x)[0]
        assert (call(key, x, **{name: value})[0] == expected).all()
        assert (call(key, x, **{name: OTHERS[name]})[0] != expected).any()


# --- dtypes ---------------------------------------------------------------------------------------

MAKERS = [
    core.zeta_plan,
    core.mixup_plan,
    core.dirichlet_plan,
    lambda n, **options: core.cutmix_plan((n, 3, 4), **options),
]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("labels", [np.arange(12), np.eye(12, dtype=np.int32)])
@pytest.mark.parametrize(
    ("like", "dtype"),
    [(None, "f8"), ("f8", "f8"), ("f4", "f4"), ("f2", "f4"), ("u1", "f4"), ("c16", "f8")],
)
def test_labels_have_the_dtype_of_the_weights_of_a_numpy_plan(make, labels, like, dtype):
    plan = make(12, rng=0, like=None if like is None else np.zeros(1, dtype=like))
    soft = plan.mix_labels(labels, num_classes=12)
    assert soft.dtype == np.dtype(dtype)
    np.testing.assert_allclose(soft.sum(axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize("like", [None, np.zeros(1, dtype=np.float32)])
def test_a_numpy_plan_gives_labels_in_the_default_float_of_another_library(backend, like):
    plan = core.zeta_plan(12, rng=0, like=like)
    soft = plan.mix_labels(backend.asarray(np.arange(12)), num_classes=12)
    host = backend.to_numpy(soft)
    of_numpy = backend.plan_library == "numpy"
    if of_numpy:
        assert host.dtype == plan.weights.dtype
    elif backend.plan_library in ("torch", "jax"):
        assert host.dtype == np.float32
    else:  # the default float of the standard is left to the library
        assert host.dtype == np.float64
    # Weights that are lowered are within a quantum of the exact ones.
    np.testing.assert_allclose(host, plan.matrix(), rtol=0, atol=2.0**-23)


@pytest.mark.needs("torch")
def test_labels_take_the_precision_of_the_first_of_the_tensors_with_most_axes():
    import torch
    from zetamix.torch import ZetaMixup

    for first, second in (("float64", "float32"), ("float32", "float64")):
        batch = {
            "weight": torch.ones(4, dtype=getattr(torch, second)),
            "image": torch.ones(4, 3, dtype=getattr(torch, first)),
            "depth": torch.ones(4, 3, dtype=getattr(torch, second)),
            "label": torch.arange(4),
        }
        assert ZetaMixup(num_classes=4)(batch)["label"].dtype == getattr(torch, first)


@pytest.mark.needs("torch")
def test_the_gammas_of_a_range_are_those_of_the_key():
    import torch
    from zetamix.torch import ZetaMixup

    from zetamix_core.random import stream_for

    x = torch.zeros(6, 1, dtype=torch.float64)
    mix = ZetaMixup(gamma=(1.0, 3.0), num_mix=4, seed=5, rank=2)
    for step in range(2):
        gammas = 1 + 2 * stream_for((5, step, 2), None).uniform((6,))
        expected = core.zeta_weights(4, gamma=gammas)
        np.testing.assert_allclose(mix.draw(x).weights, expected, rtol=0, atol=1e-12)
