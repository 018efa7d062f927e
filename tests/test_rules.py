"""Rules: each one in every entry point, with the plan that it draws by itself."""

import dataclasses

import numpy as np
import pytest
import zetamix
from scipy.stats import chisquare
from zetamix.rules import CutMix, Dirichlet, Mixup, OneOf, Rule, Zeta

from zetamix_core import MixPlan, cutmix_plan, dirichlet_plan, mixup_plan, zeta_plan
from zetamix_core.random import stream_for

N, SHAPE, CLASSES = 6, (6, 2, 5, 7), 3


class Geometric:
    """A rule as users write it, with public names only."""

    def __init__(self, ratio=0.25):
        self.ratio = ratio

    def plan(self, shape, *, rng=None, like=None, groups=None, step=None):
        plan = zetamix.zeta_plan(shape[0], num_mix=min(4, shape[0]), rng=rng, like=like)
        weights = self.ratio ** np.arange(plan.num_mix)
        return MixPlan(plan.indices, weights / weights.sum(), shape[0])


RULES = {
    "Zeta": Zeta(num_mix=4),
    "Mixup": Mixup(alpha=0.7),
    "Dirichlet": Dirichlet(num_mix=9),
    "CutMix": CutMix(alpha=0.8),
    "OneOf": OneOf([CutMix(), Zeta(gamma=1.0)], p=[0.3, 0.7]),
    "a user's": Geometric(),
}
ALL_RULES = pytest.mark.parametrize("rule", RULES.values(), ids=RULES.keys())


@pytest.fixture
def x():
    return np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)


@pytest.fixture
def y():
    return np.arange(N, dtype=np.int32) % CLASSES


def check(mixed, soft, plan, x, y):
    """What an entry point gives is what the plan makes of the batch."""
    expected = plan @ x.astype(np.float64)
    np.testing.assert_allclose(np.asarray(mixed), expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(np.asarray(soft), plan.mix_labels(y, CLASSES), atol=1e-6)


@pytest.mark.parametrize(
    ("rule", "plan"),
    [
        (Zeta(gamma=1.5, num_mix=4, anchored=False), (zeta_plan, {"gamma": 1.5, "num_mix": 4})),
        (Mixup(alpha=0.3, per_sample=False, anchored=False), (mixup_plan, {"alpha": 0.3})),
        (
            Dirichlet(alpha=0.3, num_mix=4, per_sample=False, anchored=False),
            (dirichlet_plan, {"alpha": 0.3, "num_mix": 4}),
        ),
        (
            CutMix(alpha=0.3, axes=(1,), per_sample=False, anchored=False),
            (cutmix_plan, {"alpha": 0.3, "axes": (1,)}),
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_rule_draws_the_plan_of_its_function(rule, plan):
    draw, options = plan
    options = {"anchored": False, "rng": (3, 1), **options}
    if draw is not zeta_plan:
        options["per_sample"] = False
    expected = draw(SHAPE if draw is cutmix_plan else N, **options)
    assert str(rule.plan(SHAPE, rng=(3, 1))) == str(expected)
    x = np.random.default_rng(0).normal(size=SHAPE)
    assert np.array_equal(rule.plan(SHAPE, rng=(3, 1)) @ x, expected @ x)


# --- the table of rules and entry points ----------------------------------------------------------


@ALL_RULES
def test_mix(backend, rule, x, y):
    mixed, soft = zetamix.mix(backend.asarray(x), backend.asarray(y), rule, num_classes=3, rng=5)
    mixed, soft = backend.to_numpy(mixed), backend.to_numpy(soft)
    check(mixed, soft, rule.plan(SHAPE, rng=5, like=x), x, y)


@ALL_RULES
def test_batches(rule, x, y):
    """Also a last batch of fewer samples than are mixed."""
    epoch = zetamix.batches(x, y, 4, rule=rule, num_classes=3, seed=2, epoch=1, shuffle=False)
    for step, (mixed, soft) in enumerate(epoch):
        rows = slice(4 * step, 4 * step + 4)
        part = x[rows]
        check(mixed, soft, rule.plan(part.shape, rng=(2, 1, step)), part, y[rows])


def test_one_of_several_gives_one_dtype(backend):
    """Bytes become floats whichever rule is drawn, as they do by the one that averages."""
    pixels = np.random.default_rng(0).integers(0, 256, SHAPE, dtype=np.uint8)
    images, rule = backend.asarray(pixels), OneOf([Zeta(), CutMix()])
    expected = (zeta_plan(N, rng=0) @ images).dtype
    for seed in range(6):
        plan = rule.plan(SHAPE, rng=seed)
        mixed, _ = zetamix.mix(images, None, rule, rng=seed)
        assert mixed.dtype == expected
        exact = backend.to_numpy(plan @ backend.asarray(pixels.astype(np.float32)))
        np.testing.assert_allclose(backend.to_numpy(mixed), exact, rtol=1e-5, atol=1e-4)
    assert zetamix.mix(images, None, CutMix(), rng=0)[0].dtype == images.dtype
    if backend.name == "numpy":
        epoch = zetamix.batches(pixels, None, 2, rule=rule, seed=0)
        assert {mixed.dtype for mixed, _ in epoch} == {expected}


@pytest.mark.needs("jax")
def test_one_of_several_gives_one_dtype_in_a_trace():
    jax = pytest.importorskip("jax")
    import zetamix.jax

    pixels = np.random.default_rng(0).integers(0, 256, SHAPE, dtype=np.uint8)
    rule = OneOf([Zeta(), OneOf([CutMix()])])
    step = jax.jit(lambda key, x: zetamix.jax.mix(key, x, None, rule)[0])
    for seed in range(4):
        key = jax.random.key(seed)
        eager, _ = zetamix.jax.mix(key, pixels, None, rule)
        assert step(key, pixels).dtype == eager.dtype == np.float32
        np.testing.assert_allclose(step(key, pixels), eager, rtol=1e-5, atol=1e-4)


@ALL_RULES
def test_batches_of_a_dtype(rule, x, y):
    epoch = zetamix.batches(x, y, 4, rule=rule, num_classes=3, seed=2, dtype=np.float64)
    plain = zetamix.batches(x, y, 4, rule=rule, num_classes=3, seed=2)
    for (mixed, _), (other, _) in zip(epoch, plain, strict=True):
        assert mixed.dtype == np.float64
        np.testing.assert_allclose(mixed, other, rtol=1e-5, atol=1e-5)


@pytest.mark.needs("torch")
@ALL_RULES
def test_modules(rule, x, y):
    import torch
    from zetamix.torch import Mix

    mixed, soft = Mix(rule, num_classes=3, seed=4)(torch.from_numpy(x), torch.from_numpy(y))
    check(mixed, soft, rule.plan(SHAPE, rng=(4, 0, 0), like=x), x, y)


@pytest.mark.needs("torch")
@ALL_RULES
def test_modules_in_graphs(rule, x, y):
    """A graph ends at the choice of OneOf alone."""
    import torch
    from zetamix.torch import Mix

    if isinstance(rule, Geometric):
        pytest.skip("NumPy's arithmetic in a rule is not for graphs of torch")
    torch.compiler.reset()
    module = Mix(rule, num_classes=3, seed=4)
    compiled = torch.compile(module, backend="eager", fullgraph=not isinstance(rule, OneOf))
    for step in range(3):
        mixed, soft = compiled(torch.from_numpy(x), torch.from_numpy(y))
        check(mixed, soft, rule.plan(SHAPE, rng=(4, step, 0), like=x), x, y)


@pytest.mark.needs("torch")
@ALL_RULES
def test_collate_functions(rule, x, y):
    import torch
    from zetamix.torch import Collate

    samples = [(torch.from_numpy(image), int(label)) for image, label in zip(x, y, strict=True)]
    collate = Collate(rule, num_classes=3, seed=4)
    collate.set_epoch(7)
    mixed, soft = collate(samples)
    check(mixed, soft, rule.plan(SHAPE, rng=(4, 7, 0, 0, 0), like=x), x, y)


@pytest.mark.needs("jax")
@ALL_RULES
def test_jax(rule, x, y):
    import jax
    from zetamix.jax import mix

    key = jax.random.key(1)
    plan = rule.plan(SHAPE, rng=key, like=jax.numpy.asarray(x))
    expected = [np.asarray(plan @ jax.numpy.asarray(x)), plan.mix_labels(jax.numpy.asarray(y), 3)]
    for way in (lambda f: f, jax.jit):
        mixed, soft = way(lambda key, x, y: mix(key, x, y, rule, num_classes=3))(key, x, y)
        np.testing.assert_allclose(mixed, expected[0], rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(soft, expected[1], atol=1e-6)


@ALL_RULES
def test_grain(rule, x, y):
    grain = pytest.importorskip("grain", reason="trained with in the pipelines")
    from zetamix.jax.grain import Mix

    source = list(zip(x, y, strict=True))
    ds = grain.MapDataset.source(source).seed(0).batch(N)
    mixed, soft = ds.random_map(Mix(rule, num_classes=3))[0]
    assert mixed.shape == SHAPE
    np.testing.assert_allclose(soft.sum(axis=1), 1)
    generator = np.random.Generator(np.random.Philox(3))
    again = np.random.Generator(np.random.Philox(3))
    check(
        *Mix(rule, num_classes=3).random_map((x, y), generator), rule.plan(SHAPE, rng=again), x, y
    )


# --- laws -----------------------------------------------------------------------------------------


def test_a_rule_mixes_no_more_than_there_is():
    assert Zeta(num_mix=8).plan((3, 2)).num_mix == 3
    assert Dirichlet(num_mix=8).plan((3, 2)).num_mix == 3
    assert Mixup().plan((1, 2)).num_mix == 1
    assert Zeta().plan((1, 2)).weights.tolist() == [1]


def test_gamma_of_a_range_and_of_a_step():
    low, high = 1.0, 3.0
    plan = Zeta(gamma=(low, high), num_mix=2).plan((4000, 1), rng=0)
    gammas = np.log2(plan.weights[:, 0] / plan.weights[:, 1])
    assert low <= gammas.min() < 1.05
    assert 2.95 < gammas.max() <= high
    stepped = Zeta(gamma=lambda step: 1.0 + step)
    assert stepped.plan((4, 1), rng=0, step=2) == zeta_plan(4, gamma=3.0, rng=0)
    epochs = [
        next(iter(zetamix.batches(np.eye(4), None, 4, rule=stepped, epoch=e))) for e in (0, 9)
    ]
    assert epochs[0][0].max() < epochs[1][0].max()


def test_one_of_chooses_with_its_probabilities():
    rule = OneOf([Zeta(num_mix=2), Mixup(), Dirichlet(num_mix=3)], p=[1, 2, 5])
    kinds = [
        (plan.weights.ndim, plan.num_mix)
        for plan in (rule.plan((4, 1), rng=seed) for seed in range(2000))
    ]
    counts = [kinds.count(kind) for kind in ((1, 2), (2, 2), (2, 3))]
    assert chisquare(counts, 2000 * np.asarray([1, 2, 5]) / 8).pvalue > 1e-3


def test_the_draw_of_a_member_does_not_depend_on_the_others():
    for seed in range(20):
        first = OneOf([Mixup(), Zeta()], p=[1, 0]).plan((5, 1), rng=seed)
        assert first == OneOf([Mixup(), CutMix(axes=(1,))], p=[3, 0]).plan((5, 1), rng=seed)


def test_the_choice_and_the_weights_of_a_member_are_independent():
    """Else those whose number is small would be mixed by one rule, and by what it draws from it."""
    rule = OneOf([Mixup(), Dirichlet(num_mix=2)], p=[0.5, 0.5])
    numbers, weights = [], []
    for seed in range(1500):
        numbers.append(float(stream_for(seed, None).uniform((1,))[0]))
        weights.append(rule.plan((2, 1), rng=seed).weights[0, 0])
    assert abs(np.corrcoef(numbers, weights)[0, 1]) < 0.1


def test_values():
    assert Zeta() == Zeta(gamma=2.8)
    assert hash(OneOf([Zeta(), CutMix()])) == hash(OneOf((Zeta(), CutMix()), p=(2, 2)))
    assert isinstance(Geometric(), Rule)
    with pytest.raises(dataclasses.FrozenInstanceError):
        Zeta().gamma = 3
    assert repr(Mixup()) == "Mixup(alpha=1.0, per_sample=True, anchored=True, donors=None)"


def test_ids_are_refused_where_a_rule_averages():
    ids = np.arange(8, dtype=np.int64).reshape(4, 2)
    assert zetamix.mix(ids, None, CutMix(axes=(1,)), rng=0)[0].dtype == np.int64
    assert next(iter(zetamix.batches(ids, None, 4, rule=CutMix(axes=(1,)))))[0].dtype == np.int64
    for rule in (Zeta(), Mixup(), Geometric(), OneOf([CutMix(axes=(1,)), Zeta()])):
        with pytest.raises(ValueError, match="integer"):
            zetamix.mix(ids, None, rule)
        with pytest.raises(ValueError, match="integer"):
            zetamix.batches(ids, None, 4, rule=rule)


@pytest.mark.needs("jax")
def test_one_of_is_refused_where_it_can_not_choose():
    import jax

    x = jax.numpy.ones((4, 2))
    rule = OneOf([Zeta(), Mixup()])
    with pytest.raises(TypeError, match=r"OneOf must choose a rule on the host.*zetamix.jax.mix"):
        jax.jit(lambda key: rule.plan((4, 2), rng=key, like=x) @ x)(jax.random.key(0))


def test_errors():
    cases = [
        (ValueError, "num_mix must be >= 1, got 0", lambda: Zeta(num_mix=0)),
        (ValueError, "gamma must be a number >= 0, got -1", lambda: Zeta(gamma=-1)),
        (ValueError, "a range of gamma must be two finite", lambda: Zeta(gamma=(3, 1))),
        (ValueError, "a callable gamma needs the step", lambda: Zeta(gamma=abs).plan((4, 1))),
        (TypeError, "anchored must be True or False", lambda: Mixup(anchored=1)),
        (ValueError, "alpha must be a positive number", lambda: Dirichlet(alpha=0)),
        (TypeError, "axes must be a tuple of whole", lambda: CutMix(axes=1)),
        (ValueError, "rules must be a list of one or more", lambda: OneOf([])),
        (TypeError, "rule must be an object with a method plan", lambda: OneOf([Zeta])),
        (
            ValueError,
            r"p must hold one number >= 0 for each of 1",
            lambda: OneOf([Zeta()], p=[1, 2]),
        ),
        (TypeError, "rule must be an object", lambda: zetamix.mix(np.eye(3), None, "zeta")),
        (TypeError, "shape must be a tuple", lambda: Zeta().plan(4)),
        (
            ValueError,
            "groups go with rules that ask",
            lambda: Zeta().plan((4,), groups=np.zeros(4)),
        ),
        (
            ValueError,
            r"rule must come without the options of ζ-mixup, got num_mix too",
            lambda: zetamix.batches(np.eye(3), None, 2, rule=Zeta(), num_mix=2),
        ),
    ]
    for kind, message, call in cases:
        with pytest.raises(kind, match=message):
            call()


# --- rules that draw more than once, and what is refused ------------------------------------------


class Twice:
    """A rule of a user that draws an order and then a plan."""

    def plan(self, shape, *, rng=None, like=None, groups=None, step=None):
        n = shape[0]
        order = zetamix.zeta_plan(n, anchored=False, rng=rng, like=like)
        plan = zetamix.zeta_plan(n, gamma=1.0, rng=rng, like=like)
        assert order.shape == plan.shape
        return plan


def test_a_rule_that_draws_twice_draws_the_same_everywhere(x, y):
    expected = zetamix.mix(x, y, Twice(), num_classes=3, rng=(4, 0, 0))[0]
    epoch = zetamix.batches(x, y, N, rule=Twice(), num_classes=3, seed=4, shuffle=False)
    assert np.array_equal(next(iter(epoch))[0], expected)
    chosen = zetamix.mix(x, y, OneOf([Twice(), Twice()]), num_classes=3, rng=(4, 0, 0))[0]
    assert np.array_equal(chosen, expected)  # a number does not move the stream of orderings
    again = zetamix.zeta_plan(N, gamma=1.0, rng=(4, 0, 0))
    assert not np.array_equal(again @ x, expected)  # the second draw is another one


@pytest.mark.needs("torch")
def test_a_rule_that_draws_twice_draws_the_same_in_modules(x, y):
    import torch
    from zetamix.torch import Mix

    mixed, _ = Mix(Twice(), num_classes=3, seed=4)(torch.from_numpy(x), torch.from_numpy(y))
    expected = zetamix.mix(x, y, Twice(), num_classes=3, rng=(4, 0, 0))[0]
    np.testing.assert_allclose(mixed.numpy(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.needs("jax")
def test_a_rule_that_draws_twice_draws_the_same_in_traces(x, y):
    import jax
    import jax.numpy as jnp
    from zetamix import jax as zj

    for rule in (Twice(), OneOf([Twice(), Twice()])):

        def step(key, x, rule=rule):
            return zj.mix(key, x, None, rule)[0]

        key = jax.random.key(3)
        np.testing.assert_allclose(
            step(key, jnp.asarray(x)), jax.jit(step)(key, jnp.asarray(x)), atol=1e-6
        )


def test_a_rule_that_returns_no_plan_is_refused(x):
    class Forgetful:
        def plan(self, shape, *, rng=None, like=None, groups=None, step=None):
            return None

    with pytest.raises(TypeError, match="must return a MixPlan or a CutMixPlan, got NoneType"):
        zetamix.mix(x, None, Forgetful(), rng=0)


def test_rules_of_arrays_are_values():
    gamma = np.asarray([1.0, 2.0])
    rule = Zeta(gamma=gamma)
    assert rule == Zeta(gamma=gamma.copy()) != Zeta(gamma=gamma + 1)
    assert hash(rule) == hash(Zeta(gamma=gamma.copy()))
    gamma[0] = 9
    assert rule.gamma[0] == 1
    assert Zeta(gamma=2) == Zeta(gamma=2.0) != Zeta(gamma=2, num_mix=3)


def test_short_forms_take_no_ranges(x):
    for gamma in ([1.0, 2.0], (1.8, 4.0), lambda step: 2.8):
        with pytest.raises(TypeError, match="gamma must be a number >= 0 or a one-dimensional"):
            zetamix.zeta_mixup(x, gamma=gamma, rng=0)
    for p in ("12", [None, 1]):
        with pytest.raises(TypeError, match="p must be a list of one number >= 0 for each of 2"):
            OneOf([Zeta(), CutMix()], p=p)


def first_told(call):
    """The argument that the error of a call names first."""
    with pytest.raises((TypeError, ValueError)) as caught:
        call()
    return str(caught.value).partition(" ")[0]


WRONG = pytest.mark.parametrize("wrong", [{"num_mix": 0}, {"gamma": -1.0}, {"anchored": 2}])


@WRONG
def test_a_short_form_tells_mistakes_in_its_rule_first(wrong):
    """As where the rule is made before the call, whatever else is wrong."""
    [name] = wrong
    options = {**wrong, "num_classes": 0}
    assert first_told(lambda: zetamix.zeta_mixup("x", "y", **options)) == name
    assert first_told(lambda: zetamix.batches("x", "y", 2, **options)) == name


@pytest.mark.needs("torch")
def test_a_module_tells_mistakes_in_its_rule_first():
    from zetamix import torch as zt

    for wrong in ({"num_mix": 0}, {"gamma": -1.0}, {"donors": "all"}):
        assert first_told(lambda wrong=wrong: zt.ZetaMixup(**wrong, num_classes=0)) in wrong
    assert first_told(lambda: zt.Mixup(alpha=0, num_classes=0)) == "alpha"
    assert first_told(lambda: zt.CutMix(axes=1, num_classes=0)) == "axes"


@pytest.mark.needs("jax")
@WRONG
def test_a_function_of_jax_tells_mistakes_in_its_rule_first(wrong):
    from zetamix import jax as zj

    assert first_told(lambda: zj.zeta_mixup(0, "x", "y", **wrong, num_classes=0)) in wrong


@pytest.mark.needs("dask")
@WRONG
def test_a_function_of_dask_tells_mistakes_in_its_rule_first(wrong):
    from zetamix import dask as lazily

    assert first_told(lambda: lazily.zeta_mixup("x", "y", **wrong, num_classes=0)) in wrong


def test_what_a_rule_can_not_do_is_told_before_the_first_batch(x):
    with pytest.raises(ValueError, match="axes must be one or more distinct axes"):
        zetamix.batches(x, None, 4, rule=CutMix(axes=(7,)))
