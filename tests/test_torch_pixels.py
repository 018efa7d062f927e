"""In which dtype modules hand samples on, in training and evaluation, whichever rule is drawn."""

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from zetamix.torch import Collate, CutMix, Mix, Mixup, OneOf, ZetaMixup  # noqa: E402

from zetamix_core import rules, zeta_plan  # noqa: E402

pytestmark = pytest.mark.needs("torch")
MODULES = {
    "ZetaMixup": ZetaMixup,
    "Mixup": Mixup,
    "CutMix": CutMix,
    "Mix": lambda **options: Mix(rules.Dirichlet(num_mix=3), **options),
    "OneOf": lambda seed=None, **options: OneOf(
        [ZetaMixup(seed=seed, **options), CutMix(seed=seed, **options)], seed=seed
    ),
    "OneOf of OneOf": lambda seed=None, **options: OneOf(
        [OneOf([ZetaMixup(seed=seed, **options)]), Mixup(seed=seed, **options)], seed=seed
    ),
}
FORMS = [
    ({}, torch.uint8),
    ({"scale": True}, torch.float32),
    ({"dtype": torch.bfloat16}, torch.bfloat16),
    ({"dtype": torch.float64, "scale": True}, torch.float64),
]


class Image(torch.Tensor):
    """A subclass, as torchvision's of the same name."""


def batch():
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(0, 256, (8, 3, 6, 6), generator=generator, dtype=torch.uint8)
    return x, torch.arange(8) % 3


def unmixed(x, dtype=None, scale=False):
    if dtype is None and not scale:
        return x
    wide = x.to(torch.float64 if dtype is torch.float64 else torch.float32)
    return (wide / 255 if scale else wide).to(dtype or torch.float32)


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize(("options", "dtype"), FORMS)
def test_one_form_in_training_and_evaluation(name, options, dtype):
    x, y = batch()
    mix = MODULES[name](num_classes=3, seed=0, **options)
    for _ in range(6):  # OneOf draws both
        mixed, soft = mix(x, y)
        assert mixed.dtype == dtype
        assert soft.dtype == torch.float32
        assert not torch.equal(mixed, unmixed(x, **options))
    same, labels = mix.eval()(x, y)
    assert labels is y
    assert same.dtype == dtype
    assert torch.equal(same, unmixed(x, **options))
    assert (same is x) == (not options)


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize(("options", "dtype"), FORMS)
def test_skipped_batches_have_the_same_form(name, options, dtype):
    x, y = batch()
    for skip in ({"p": 0.0}, {"stop_at": 0}):
        mixed, _ = MODULES[name](num_classes=3, seed=0, **skip, **options)(x, y)
        assert mixed.dtype == dtype
        assert torch.equal(mixed, unmixed(x, **options))


def test_integers_are_rounded():
    x, y = batch()
    mixed, _ = ZetaMixup(num_classes=3, seed=0)(x, y)
    assert torch.equal(mixed, (zeta_plan(8, rng=(0, 0, 0)) @ x).round().to(torch.uint8))


@pytest.mark.parametrize(("options", "dtype"), FORMS)
def test_graphs_give_the_same(options, dtype):
    x, y = batch()
    for kind in (ZetaMixup, CutMix):
        expected = kind(num_classes=3, seed=0, **options)
        traced = kind(num_classes=3, seed=0, **options)
        step = torch.compile(traced, fullgraph=True, backend="eager")
        mixed, _ = step(x, y)
        assert mixed.dtype == dtype
        # Where two numbers are as near, the order of a sum decides.
        torch.testing.assert_close(
            mixed, expected(x, y)[0], atol=not dtype.is_floating_point, rtol=1e-5
        )
        torch.compiler.reset()


def test_labels_and_what_else_there_is_stay_in_evaluation():
    x, y = batch()
    weight, ids = torch.rand(8, dtype=torch.float64), torch.arange(8)
    soft = nn.functional.one_hot(y, 3).double()
    given = {"image": x, "label": soft, "weight": weight, "id": ids, "name": ["a"] * 8}
    mix = ZetaMixup(dtype=torch.float16, as_data=["image"], keep=["id"], seed=0)
    for out in (mix(given), mix.eval()(given)):
        assert out["image"].dtype == out["weight"].dtype == torch.float16
        assert out["label"].dtype == torch.float64
        assert out["id"] is ids
        assert out["name"] == given["name"]
    assert out["label"] is soft


def test_subclasses_stay():
    x, y = batch()
    x = x.as_subclass(Image)
    mix = ZetaMixup(num_classes=3, scale=True, seed=0)
    assert type(mix(x, y)[0]) is Image
    assert type(mix.eval()(x, y)[0]) is Image


@pytest.mark.parametrize("name", MODULES)
def test_collate_functions_have_the_form_of_their_module(name):
    x, y = batch()
    samples = list(zip(x, y, strict=True))
    collate = Collate(MODULES[name](num_classes=3, scale=True, seed=0))
    mixed, _ = collate(samples)
    assert mixed.dtype == torch.float32
    assert mixed.max() <= 1
    same, labels = collate.eval()(samples)
    assert torch.equal(same, unmixed(x, scale=True))
    assert torch.equal(labels, y)


def test_options_are_shown():
    assert "dtype=torch.float16, scale=True" in repr(ZetaMixup(dtype=torch.float16, scale=True))


def test_other_modules_have_no_form():
    x, y = batch()
    mix = OneOf([nn.Identity()], seed=0).eval()
    assert mix(x, y)[0] is x
    mix = OneOf([nn.Identity(), ZetaMixup(scale=True)], seed=0).eval()
    assert mix(x, y)[0].dtype == torch.float32


@pytest.mark.parametrize(
    ("error", "message", "call"),
    [
        (TypeError, "dtype must be a floating dtype", lambda: ZetaMixup(dtype=torch.uint8)),
        (TypeError, "scale must be True or False, got 255", lambda: CutMix(scale=255)),
        (
            ValueError,
            r"scale=True divides integer images .* got samples torch.float32 \(8, 3\)",
            lambda: ZetaMixup(scale=True)(torch.rand(8, 3)),
        ),
        (
            ValueError,
            "scale=True divides integer images",
            lambda: ZetaMixup(scale=True).eval()(torch.rand(8, 3)),
        ),
        (
            ValueError,
            "transforms must give samples of one dtype and scale, got",
            lambda: OneOf([ZetaMixup(scale=True), CutMix()]),
        ),
        (
            ValueError,
            "transforms must give samples of one dtype and scale, got",
            lambda: OneOf([OneOf([ZetaMixup(dtype=torch.float16)]), nn.Identity(), CutMix()]),
        ),
    ],
)
def test_errors_name_rule_value_and_remedy(error, message, call):
    with pytest.raises(error, match=message):
        call()
