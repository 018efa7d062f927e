"""The modules of zetamix.torch, in eager mode: calls, options, draws and state."""

import copy
import io
import math
import pickle
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from bounds import assert_mixtures_agree
from zetamix.torch import CutMix, Mixup, OneOf, ZetaMixup

from zetamix_core import CutMixPlan, MixPlan, cutmix_plan, mixup_plan, zeta_plan

pytestmark = pytest.mark.needs("torch")
KINDS = [ZetaMixup, Mixup, CutMix]


class Pair(NamedTuple):
    image: Any
    target: Any


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def batch(n=16, classes=5):
    return torch.rand(n, 3, 8, 8), torch.arange(n) % classes


def plan_of(kind, x, rng):
    """The plan that a module of this kind with its default options draws from `rng`."""
    if kind is ZetaMixup:
        return zeta_plan(len(x), rng=rng, like=x)
    if kind is Mixup:
        return mixup_plan(len(x), rng=rng, like=x)
    return cutmix_plan(tuple(x.shape), rng=rng, like=x)


# --- calls ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["two arguments", "tuple", "list", "dict", "nested", "named"])
def test_every_form_of_call_mixes_by_the_plan_of_seed_step_and_rank(kind, form):
    x, y = batch()
    given = {
        "tuple": (x, y),
        "list": [x, y],
        "dict": {"image": x, "label": y},
        "nested": [{"a": [x, None]}, {"my_labels": y}],
        "named": Pair(x, y),
    }
    mix = kind(num_classes=5, seed=3)
    for step in range(2):
        out = mix(x, y) if form == "two arguments" else mix(given[form])
        if form == "two arguments":
            assert type(out) is tuple
        else:
            assert type(out) is type(given[form])
        if form == "dict":
            mixed, soft = out["image"], out["label"]
        elif form == "nested":
            assert out[0]["a"][1] is None
            mixed, soft = out[0]["a"][0], out[1]["my_labels"]
        else:
            mixed, soft = out
        plan = plan_of(kind, x, (3, step, 0))
        assert torch.equal(mixed, plan @ x)
        assert torch.equal(soft, plan.mix_labels(y, 5))
        assert mixed.dtype == soft.dtype == torch.float32
    assert int(mix.step) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_inputs_are_left_alone(kind):
    x, y = batch()
    before = x.clone(), y.clone()
    kind(num_classes=5)({"image": x, "label": y})
    assert torch.equal(x, before[0])
    assert torch.equal(y, before[1])


@pytest.mark.parametrize("kind", KINDS)
def test_evaluation_is_the_identity_and_counts_nothing(kind):
    x, y = batch()
    mix = kind(num_classes=5).eval()
    assert mix(x, y)[0] is x
    assert mix(x, y)[1] is y
    packed = {"image": x, "label": y}
    assert mix(packed) is packed
    assert int(mix.step) == 0


def test_samples_alone():
    x, _ = batch()
    assert torch.equal(ZetaMixup(seed=0)(x), zeta_plan(16, rng=(0, 0, 0)) @ x)
    images = torch.randint(0, 256, (16, 3, 8, 8), dtype=torch.uint8)
    mixed = ZetaMixup(seed=0)(images)
    assert mixed.dtype == torch.uint8
    assert torch.equal(mixed, (zeta_plan(16, rng=(0, 0, 0)) @ images).round().byte())
    pair = ZetaMixup(labels_getter=None, seed=0)((x, x[:, 0]))
    assert_mixtures_agree(pair[1], pair[0][:, 0], zeta_plan(16, rng=(0, 0, 0)), x[:, 0])


@pytest.mark.parametrize(
    ("batch_of", "path"),
    [
        (lambda x, y: {"a_label": x, "image": x, "laBels": y}, "laBels"),
        (lambda x, y: {"image": x, "my_Label_id": y}, "my_Label_id"),
        (lambda x, y: {"image": x, "targets": y}, "targets"),
        (lambda x, y: (x, {"target": y}), None),
    ],
)
def test_where_labels_are_found(batch_of, path):
    x, y = batch()
    out = ZetaMixup(num_classes=5, seed=0)(batch_of(x, y))
    soft = out[1]["target"] if path is None else out[path]
    assert torch.equal(soft, zeta_plan(16, rng=(0, 0, 0), like=x).mix_labels(y, 5))


def test_a_labels_getter():
    x, y = batch()
    mix = ZetaMixup(num_classes=5, seed=0, labels_getter=lambda batch: batch["meta"]["kind"])
    out = mix({"meta": {"kind": y}, "image": x})
    plan = zeta_plan(16, rng=(0, 0, 0), like=x)
    assert torch.equal(out["meta"]["kind"], plan.mix_labels(y, 5))
    assert torch.equal(out["image"], plan @ x)


def test_further_tensors_of_a_batch():
    x, y = batch()
    depth, ids = torch.rand(16, 8, 8), torch.arange(16)
    mask = torch.randint(0, 3, (16, 8, 8))
    pixels = torch.randint(0, 256, (16, 4), dtype=torch.int32)
    given = {
        "image": x,
        "depth": depth,
        "id": ids,
        "name": ["a"] * 16,
        "label": y,
        "mask": mask,
        "pixels": pixels,
    }
    mix = ZetaMixup(
        num_classes={"label": 5, "mask": 3}, as_data=["pixels"], keep=["id", "name"], seed=1
    )
    out = mix(given)
    plan = zeta_plan(16, rng=(1, 0, 0), like=x)
    for name in ("image", "depth", "pixels"):
        assert torch.equal(out[name], plan @ given[name]), name
    assert out["id"] is ids
    assert out["name"] is given["name"]
    assert torch.equal(out["label"], plan.mix_labels(y, 5))
    assert torch.equal(out["mask"], plan.mix_labels(mask, 3))


def test_cutmix_cuts_images_and_masks_alike():
    x, y = batch()
    mask = torch.randint(0, 3, (16, 8, 8))
    out = CutMix(num_classes=5, as_data="mask", seed=1)({"image": x, "mask": mask, "label": y})
    plan = cutmix_plan((16, 8, 8), rng=(1, 0, 0), like=x)
    assert torch.equal(out["image"], plan @ x)
    assert torch.equal(out["mask"], plan @ mask)
    assert out["mask"].dtype == mask.dtype


def test_plans_are_drawn_for_the_images_wherever_they_are():
    x, y = batch()
    given = {"weight": torch.ones(16, dtype=torch.float64), "image": x, "label": y}
    out = ZetaMixup(num_classes=5, seed=0)(given)
    assert out["weight"].dtype == torch.float64
    assert out["label"].dtype == torch.float32
    cut = CutMix(num_classes=5, seed=0, keep=["weight"])(given)
    assert torch.equal(cut["image"], CutMix(num_classes=5, seed=0)(x, y)[0])


def test_text_and_numbers_stay():
    x, y = batch()
    given = {"image": x, "name": ["a"] * 16, "scale": 2.0, "label": y}
    out = ZetaMixup(num_classes=5, seed=0)(given)
    assert out["name"] == given["name"]
    assert out["scale"] == 2.0
    assert not torch.equal(out["image"], x)


def test_batches_without_labels():
    x, _ = batch()
    expected = ZetaMixup(seed=0)(x)
    mixed, nothing = ZetaMixup(seed=0)(x, None)
    assert torch.equal(mixed, expected)
    assert nothing is None
    assert torch.equal(ZetaMixup(seed=0)((x,))[0], expected)


def test_subclasses_of_tensors_stay_what_they_are():
    class Image(torch.Tensor):
        """Operators return plain tensors, as they do for torchvision's."""

        __torch_function__ = torch._C._disabled_torch_function_impl

    x, y = batch()
    mixed, soft = ZetaMixup(num_classes=5, seed=0)(x.as_subclass(Image), y)
    assert type(mixed) is Image
    assert type(soft) is torch.Tensor
    assert torch.equal(mixed, ZetaMixup(seed=0)(x))


def test_soft_multi_hot_and_regression_labels():
    x, _ = batch()
    plan = zeta_plan(16, rng=(0, 0, 0), like=x)
    soft = torch.rand(16, 5).softmax(dim=1)
    many = torch.randint(0, 2, (16, 5))
    for labels, classes in ((soft, None), (soft, 5), (many, 5), (torch.rand(16), None)):
        out = ZetaMixup(num_classes=classes, seed=0)(x, labels)
        assert torch.equal(out[1], plan.mix_labels(labels, classes))


# --- dtypes and layout ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_images_keep_their_dtype_and_labels_their_precision(kind, dtype):
    x, y = batch()
    mixed, soft = kind(num_classes=5)(x.to(dtype), y)
    assert mixed.dtype == dtype
    assert soft.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("num_mix", [3, None])
def test_channels_last_is_kept(kind, num_mix):
    x, y = batch()
    options = {"num_mix": num_mix} if kind is ZetaMixup else {}
    mixed, _ = kind(num_classes=5, **options)(x.contiguous(memory_format=torch.channels_last), y)
    assert mixed.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("kind", KINDS)
def test_autocast_changes_nothing(kind):
    x, y = batch()
    plain = kind(num_classes=5, label_smoothing=0.1, seed=0)(x, y)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = kind(num_classes=5, label_smoothing=0.1, seed=0)(x, y)
    for a, b in zip(plain, cast, strict=True):
        assert torch.equal(a, b)
        assert a.dtype == b.dtype


@pytest.mark.parametrize("kind", KINDS)
def test_other_devices_get_everything_there(kind):
    """On the meta device any number that is made elsewhere, or read, is an error."""
    x, y = (tensor.to("meta") for tensor in batch())
    options = {"gamma": lambda step: 2.0 + 0.1 * step} if kind is ZetaMixup else {}
    mixed, soft = kind(num_classes=5, p=0.5, stop_at=9, label_smoothing=0.1, **options)(x, y)
    assert mixed.device == soft.device == x.device


@pytest.mark.parametrize("kind", KINDS)
def test_a_default_device_does_not_matter(kind):
    x, y = batch()
    torch.set_default_device("meta")
    try:
        mix = OneOf([kind(num_classes=5, p=0.5, stop_at=3)])
        mixed, soft = mix(x, y)
    finally:
        torch.set_default_device(None)
    assert mixed.device == soft.device == x.device


# --- short batches --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [1, 2, 3, 7])
def test_odd_and_short_batches(kind, n):
    x, y = batch(n)
    options = {"num_mix": 4} if kind is ZetaMixup else {}
    mixed, soft = kind(num_classes=5, seed=0, **options)(x, y)
    assert mixed.shape == x.shape
    torch.testing.assert_close(soft.sum(dim=1), torch.ones(n))
    if n == 1:
        assert torch.equal(mixed, x)
        assert soft[0, y[0]] == 1
    if kind is ZetaMixup:
        expected = zeta_plan(n, num_mix=min(4, n), rng=(0, 0, 0), like=x) @ x
        assert torch.equal(mixed, expected)


# --- options --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_p_is_the_share_of_mixed_batches(kind):
    x = torch.rand(4, 1, 6, 6)
    y = torch.arange(4)
    mix = kind(num_classes=4, p=0.3, seed=0)
    count, mixed_ones = 2000, 0
    for _ in range(count):
        mixed, soft = mix(x, y)
        same = torch.equal(mixed, x)
        assert same <= torch.equal(soft, torch.eye(4)), "samples and labels are skipped together"
        mixed_ones += not same
    # CutMix may draw empty boxes: from the rate of these without p.
    always = kind(num_classes=4, seed=0)
    rate = sum(not torch.equal(always(x, y)[0], x) for _ in range(300)) / 300
    expected = 0.3 * rate
    assert abs(mixed_ones / count - expected) < 5 * math.sqrt(0.25 / count)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("p", [0.0, 1.0])
def test_p_at_its_ends(kind, p):
    x, y = batch()
    skipped = [torch.equal(kind(num_classes=5, p=p, seed=s)(x, y)[0], x) for s in range(20)]
    assert all(skipped) if p == 0 else not any(skipped)


@pytest.mark.parametrize("kind", KINDS)
def test_a_skipped_batch_is_exactly_the_batch(kind):
    x, y = batch()
    x[3] = math.inf
    x[5] = math.nan
    mixed, soft = kind(num_classes=5, p=0.0)(x, y)
    torch.testing.assert_close(mixed, x, rtol=0, atol=0, equal_nan=True)
    assert torch.equal(soft, torch.nn.functional.one_hot(y, 5).float())


@pytest.mark.parametrize("kind", KINDS)
def test_off_after_a_step(kind):
    x, y = batch()
    mix = kind(num_classes=5, stop_at=3, seed=0)
    same = [torch.equal(mix(x, y)[0], x) for _ in range(6)]
    assert same == [False, False, False, True, True, True]
    assert mix(x, y)[1].shape == (16, 5), "labels keep their form"


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_label_smoothing(p):
    x, y = batch()
    hard = ZetaMixup(num_classes=5, p=p, seed=0)(x, y)[1]
    soft = ZetaMixup(num_classes=5, p=p, seed=0, label_smoothing=0.1)(x, y)[1]
    torch.testing.assert_close(soft, 0.9 * hard + 0.1 / 5)
    # Torch smooths alike in its cross-entropy.
    logits = torch.randn(16, 5)
    loss = torch.nn.functional.cross_entropy
    torch.testing.assert_close(loss(logits, soft), loss(logits, hard, label_smoothing=0.1))


@pytest.mark.parametrize("options", [{"alpha": 0.2}, {"per_sample": False}])
def test_options_of_mixup(options):
    x = torch.rand(8, 3, 6)
    expected = mixup_plan(8, rng=(0, 0, 0), like=x, **options) @ x
    assert torch.equal(Mixup(seed=0, **options)(x), expected)


@pytest.mark.parametrize("options", [{"alpha": 0.2}, {"per_sample": False}, {"axes": (-1,)}])
def test_options_of_cutmix(options):
    x = torch.rand(8, 3, 6, 6)
    expected = cutmix_plan((8, 3, 6, 6), rng=(0, 0, 0), like=x, **options) @ x
    assert torch.equal(CutMix(seed=0, **options)(x), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_number_or_a_tensor_as_gamma(dtype):
    x = torch.rand(8, 3, dtype=dtype)
    expected = zeta_plan(8, gamma=1.5, rng=(0, 0, 0), like=x) @ x
    for gamma in (1.5, torch.tensor(1.5), torch.tensor(1.5, dtype=torch.float64)):
        torch.testing.assert_close(ZetaMixup(gamma=gamma, seed=0)(x), expected)


def test_gamma_may_be_learned():
    x = torch.rand(8, 3)
    mix = ZetaMixup(gamma=torch.nn.Parameter(torch.tensor(2.0)), seed=0)
    mix(x).square().sum().backward()
    assert mix.gamma.grad.abs() > 0
    assert "gamma" in dict(mix.named_parameters())


def test_a_range_of_gamma_draws_one_for_each_output():
    x = torch.rand(2000, 2)
    plan = ZetaMixup(gamma=(1.0, 3.0), num_mix=2, seed=0).draw(x)
    assert plan.weights.shape == (2000, 2)
    # With two samples w_1 / w_2 = 2^γ.
    gammas = (plan.weights[:, 0] / plan.weights[:, 1]).log2().numpy()
    from scipy import stats

    assert stats.kstest(gammas, stats.uniform(1, 2).cdf).pvalue > 1e-3
    assert len(np.unique(gammas)) > 1900
    # The ordering is that of the key, whatever gamma draws.
    assert np.array_equal(plan.indices, zeta_plan(2000, num_mix=2, rng=(0, 0, 0)).indices)


def test_gamma_of_the_step():
    x = torch.rand(8, 3)
    mix = ZetaMixup(gamma=lambda step: 1 + step / 2, seed=0)
    for step in range(4):
        expected = zeta_plan(8, gamma=1 + step / 2, rng=(0, step, 0), like=x) @ x
        torch.testing.assert_close(mix(x), expected)


def test_the_plan_itself():
    x, _ = batch()
    mix = ZetaMixup(num_mix=3, seed=0)
    plan = mix.draw(x)
    assert isinstance(plan, MixPlan)
    assert plan == zeta_plan(16, num_mix=3, rng=(0, 0, 0), like=x)
    assert int(mix.step) == 1
    assert isinstance(CutMix().draw(x), CutMixPlan)


# --- draws ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (np.ones((4, 3)), TypeError, "x must be a tensor, got ndarray; use zeta_plan"),
        (torch.tensor(1.0), ValueError, "x must"),
        (torch.ones(0, 3), ValueError, "skip empty batches"),
    ],
)
def test_a_plan_is_drawn_for_samples(x, error, message):
    with pytest.raises(error, match=message):
        ZetaMixup().draw(x)


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_seed_draws_follow_torch(kind):
    x, y = batch()
    mix = kind(num_classes=5)
    torch.manual_seed(7)
    first, second = mix(x, y), mix(x, y)
    torch.manual_seed(7)
    again = mix(x, y)
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], second[0])


def test_a_generator_is_followed_and_advanced():
    x = torch.rand(8, 3)
    state = torch.random.get_rng_state()
    draws = [ZetaMixup(generator=torch.Generator().manual_seed(seed))(x) for seed in (1, 1, 2)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    assert torch.equal(torch.random.get_rng_state(), state), "nothing global is touched"
    mix = ZetaMixup(generator=torch.Generator().manual_seed(1))
    assert not torch.equal(mix(x), mix(x))


def test_a_seed_touches_no_global_state():
    x, y = batch()
    state = torch.random.get_rng_state()
    np.random.seed(0)  # noqa: NPY002 - the global generator is what this is about
    expected = np.random.random()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    ZetaMixup(num_classes=5, seed=0, p=0.5, gamma=(1.0, 2.0))(x, y)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert np.random.random() == expected  # noqa: NPY002


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", [None, 5])
def test_ranks_draw_differently(kind, seed):
    x, y = batch()
    outputs = []
    for rank in range(3):
        torch.manual_seed(0)
        outputs.append(kind(num_classes=5, rank=rank, seed=seed)(x, y)[0])
    assert not torch.equal(outputs[0], outputs[1])
    assert not torch.equal(outputs[1], outputs[2])


# --- state ----------------------------------------------------------------------------------------


def test_a_resumed_run_goes_on():
    x, y = batch()
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 5))
    model.mix = OneOf([ZetaMixup(num_classes=5, seed=1), CutMix(num_classes=5, seed=2)], seed=3)
    for _ in range(5):
        model.mix(x, y)
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    expected = [model.mix(x, y) for _ in range(5)]
    resumed = copy.deepcopy(model)
    for part in [resumed.mix, *resumed.mix.transforms]:
        part.step.zero_()
    resumed.load_state_dict(torch.load(file, weights_only=True))
    for a, b in expected:
        mixed, soft = resumed.mix(x, y)
        assert torch.equal(mixed, a)
        assert torch.equal(soft, b)


def test_state_saved_is_not_shared():
    mix = ZetaMixup(seed=0)
    state = mix.state_dict()
    mix(torch.rand(4, 2))
    other = ZetaMixup(seed=0)
    other.load_state_dict(state)
    assert int(other.step) == 0
    assert int(mix.step) == 1


@pytest.mark.parametrize(
    "mix",
    [
        ZetaMixup(gamma=(1.0, 2.0), num_classes=5, num_mix=3, p=0.5, seed=1),
        ZetaMixup(gamma=torch.tensor(2.0), num_classes={"label": 5}),
        Mixup(alpha=0.4, generator=torch.Generator().manual_seed(1)),
        OneOf([CutMix(axes=(1, 2), seed=1)], seed=0),
    ],
    ids=lambda mix: type(mix).__name__,
)
def test_pickles_and_copies_draw_the_same(mix):
    x = torch.rand(8, 6, 6)
    given = {"image": x, "label": torch.arange(8) % 5}
    if not getattr(mix, "num_classes", None):
        given = x

    def mixed(mix):
        torch.manual_seed(1)
        out = mix(given)
        return out["image"] if isinstance(out, dict) else out

    mixed(mix)
    copies = [pickle.loads(pickle.dumps(mix)), copy.deepcopy(mix)]
    expected = mixed(mix)
    for other in copies:
        assert torch.equal(mixed(other), expected)


def test_moving_the_module_leaves_the_counter_on_the_host():
    mix = ZetaMixup(seed=0).to("meta").half()
    assert mix.step.device.type == "cpu"
    assert mix.step.dtype == torch.int64


def test_what_is_shown():
    assert repr(ZetaMixup(num_mix=8, num_classes=10)) == (
        "ZetaMixup(gamma=2.8, num_mix=8, num_classes=10)"
    )
    mix = ZetaMixup(gamma=torch.tensor(2.5), p=0.5, num_classes=3, label_smoothing=0.1, seed=1)
    assert repr(mix) == (
        "ZetaMixup(gamma=2.5, num_mix=None, num_classes=3, p=0.5, label_smoothing=0.1, seed=1)"
    )
    assert "alpha=0.2" in repr(Mixup(alpha=0.2))
    assert "axes=(1, 2)" in repr(CutMix(axes=(1, 2)))
    assert "gamma=schedule" in repr(ZetaMixup(gamma=schedule))
    assert "p=[0.25, 0.75], seed=4" in repr(OneOf([Mixup(), CutMix()], p=[1, 3], seed=4))


def schedule(step):
    return 2.0 + step


def test_modules_made_in_inference_mode_work_outside():
    x, _ = batch()
    with torch.inference_mode():
        mix = ZetaMixup(seed=0)
        assert torch.equal(mix(x), zeta_plan(16, rng=(0, 0, 0)) @ x)
    assert torch.equal(mix(x), zeta_plan(16, rng=(0, 1, 0)) @ x)


def test_numbers_of_numpy():
    x = torch.rand(8, 3)
    mix = ZetaMixup(
        gamma=(np.float32(1), np.float64(3)), p=np.float32(1), seed=np.int64(4), rank=np.int32(2)
    )
    assert torch.equal(mix(x), ZetaMixup(gamma=(1.0, 3.0), seed=4, rank=2)(x))


def test_recomputed_activations_take_a_plan_from_outside():
    from torch.utils.checkpoint import checkpoint

    x = torch.rand(8, 3, requires_grad=True)
    mix = ZetaMixup(seed=0)
    plan = mix.draw(x)
    slopes = []
    for run in (lambda f: f(x), lambda f: checkpoint(f, x, use_reentrant=False)):
        out = run(lambda x: plan @ x.tanh())
        slopes.append(torch.autograd.grad(out.square().sum(), x)[0])
    assert torch.equal(*slopes)
    assert int(mix.step) == 1


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device answers")
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_waits_for_an_accelerator(kind):
    x, y = (tensor.cuda() for tensor in batch())
    mix = kind(num_classes=5, p=0.5, stop_at=9, label_smoothing=0.1)
    torch.cuda.set_sync_debug_mode("error")
    try:
        mixed, soft = mix(x, y)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert mixed.device == soft.device == x.device


# --- one of several -------------------------------------------------------------------------------


class Mark(torch.nn.Module):
    def __init__(self, name, calls):
        super().__init__()
        self.name, self.calls = name, calls

    def forward(self, *inputs):
        self.calls.append(self.name)
        return inputs


def test_one_of_chooses_with_the_given_probabilities():
    from scipy import stats

    calls = []
    mix = OneOf([Mark(name, calls) for name in "abc"], p=[1, 0, 3], seed=0)
    for _ in range(2000):
        mix(1, 2)
    assert calls.count("b") == 0
    assert stats.binomtest(calls.count("a"), 2000, 0.25).pvalue > 1e-3
    again = []
    other = OneOf([Mark(name, again) for name in "abc"], p=[1, 0, 3], seed=0)
    for _ in range(2000):
        other(1, 2)
    assert again == calls
    # Neighbouring choices are independent.
    table = np.zeros((2, 2))
    for a, b in pairwise(calls):
        table["ac".index(a), "ac".index(b)] += 1
    assert stats.chi2_contingency(table).pvalue > 1e-3


def test_the_choice_is_independent_of_what_is_chosen():
    """Even if all of them have the same seed."""
    from scipy import stats

    x = torch.eye(4)
    mix = OneOf([ZetaMixup(p=0.5, seed=0), torch.nn.Identity()], p=[1, 1], seed=0)
    # With the other one as good as never chosen, both count the same steps.
    mix.p = [1.0, 0.0]
    skipped = [torch.equal(mix(x), x) for _ in range(300)]
    chosen = []
    other = OneOf([Mark(number, chosen) for number in range(2)], seed=0)
    for _ in range(300):
        other(x)
    table = np.zeros((2, 2))
    for a, b in zip(skipped, chosen, strict=True):
        table[int(a), b] += 1
    assert stats.chi2_contingency(table).pvalue > 1e-3


def test_one_of_follows_torch_without_a_seed():
    calls = []
    mix = OneOf([Mark(name, calls) for name in "abc"])
    for _ in range(2):
        torch.manual_seed(3)
        for _ in range(30):
            mix(1, 2)
    assert calls[:30] == calls[30:]
    assert set(calls) == set("abc")


def test_one_of_mixes_and_is_the_identity_in_evaluation():
    x, y = batch()
    mix = OneOf([ZetaMixup(num_classes=5, seed=0), CutMix(num_classes=5, seed=0)], seed=0)
    options = [plan_of(kind, x, (0, 0, 0)) @ x for kind in (ZetaMixup, CutMix)]
    mixed, _ = mix(x, y)
    assert sum(torch.equal(mixed, option) for option in options) == 1
    mix.eval()
    assert mix(x, y)[0] is x
    packed = [x, y]
    assert mix(packed) is packed


# --- errors ---------------------------------------------------------------------------------------

X, Y = torch.ones(4, 3), torch.arange(4)
ERRORS = [
    (ValueError, "gamma must be a number >= 0, got -1", lambda: ZetaMixup(gamma=-1)),
    (ValueError, "0 <= low <= high, got (3, 2)", lambda: ZetaMixup(gamma=(3, 2))),
    (ValueError, "0 <= low <= high, got (1.0, inf)", lambda: ZetaMixup(gamma=(1.0, math.inf))),
    (ValueError, "got shape (4,) and dtype", lambda: ZetaMixup(gamma=torch.ones(4))),
    (ValueError, "num_mix must be >= 1, got 0", lambda: ZetaMixup(num_mix=0)),
    (ValueError, "p must be a number from 0 to 1, got 7", lambda: ZetaMixup(p=7)),
    (ValueError, "label_smoothing must be", lambda: ZetaMixup(num_classes=2, label_smoothing=2)),
    (ValueError, "without num_classes", lambda: ZetaMixup(label_smoothing=0.1)),
    (ValueError, "stop_at must be an int >= 0 or None, got -1", lambda: ZetaMixup(stop_at=-1)),
    (ValueError, "num_classes must be >= 1, got 0", lambda: ZetaMixup(num_classes=0)),
    (TypeError, "got 'a' of type str", lambda: CutMix(num_classes={"label": "a"})),
    (TypeError, "axes must be a tuple of whole numbers, got 3", lambda: CutMix(axes=3)),
    (TypeError, "per_sample must be True or False, got 1", lambda: Mixup(per_sample=1)),
    (ValueError, "alpha must be a positive number", lambda: Mixup(alpha=0)),
    (ValueError, "seed must be an int from 0", lambda: ZetaMixup(seed=-1)),
    (TypeError, "seed must be an int from 0 to 2**63 - 1, got 1.5", lambda: ZetaMixup(seed=1.5)),
    (ValueError, "2**32 - 1, got -1; pass None for the rank", lambda: ZetaMixup(rank=-1)),
    (ValueError, "rank must be an int from 0", lambda: ZetaMixup(rank=2**32)),
    (ValueError, "seed or generator, not both", lambda: Mixup(seed=1, generator=torch.Generator())),
    (TypeError, "got int; pass seed=", lambda: ZetaMixup(generator=7)),
    (TypeError, "labels_getter must be a callable", lambda: ZetaMixup(labels_getter="label")),
    (ValueError, "one or more modules, got []", lambda: OneOf([])),
    (TypeError, "must be a torch.nn.Module, got function", lambda: OneOf([lambda x: x])),
    (ValueError, "for each of 1 transforms", lambda: OneOf([Mixup()], p=[1, 2])),
    (ValueError, "not all zero, got [0.0]", lambda: OneOf([Mixup()], p=[0])),
    (ValueError, "integer classes need num_classes, got shape (4,)", lambda: ZetaMixup()(X, Y)),
    (ValueError, "got values from 0 to 3", lambda: ZetaMixup(num_classes=3)(X, Y)),
    (
        ValueError,
        "the same number of samples, got 4 in '0' and 3 in '1'",
        lambda: ZetaMixup(num_classes=4)(X, Y[:3]),
    ),
    (
        ValueError,
        "got shape (4,) and dtype torch.int64 at 'id'",
        lambda: ZetaMixup(num_classes=4)({"image": X, "id": Y, "label": Y + 0}),
    ),
    (
        ValueError,
        "got a dict of ['image', 'class']",
        lambda: ZetaMixup(num_classes=4)({"image": X, "class": Y}),
    ),
    (
        ValueError,
        "got a tensor of shape (4,) and dtype torch.int32 beside",
        lambda: ZetaMixup(num_classes=4, labels_getter=lambda b: b[1].int())(X, Y),
    ),
    (
        ValueError,
        "samples besides labels",
        lambda: ZetaMixup(num_classes={"label": 4})({"label": Y}),
    ),
    (TypeError, "got no argument", lambda: ZetaMixup()()),
    (TypeError, "got no argument", lambda: OneOf([Mixup()]).eval()()),
    (
        TypeError,
        "got ndarray of shape (4, 3) and dtype float64 at '0'",
        lambda: ZetaMixup(num_classes=4)(np.ones((4, 3)), Y),
    ),
    (ValueError, "got a 0-d one of dtype torch.float32 at '0'", lambda: Mixup()(X[0, 0], None)),
    (
        ValueError,
        "got shape (4,) and dtype torch.int64 at '0'; pass",
        lambda: ZetaMixup(num_classes=4)(Y + 0, Y),
    ),
    (
        ValueError,
        "got shape (4, 7) and dtype torch.int64 at '0'; pass",
        lambda: ZetaMixup(num_classes=4)(torch.ones(4, 7, dtype=torch.int64), Y),
    ),
    (ValueError, "got shape (4,) and dtype torch.int64; pass", lambda: ZetaMixup()(Y)),
    (ValueError, "declared paths must lead to arrays", lambda: ZetaMixup(keep=["id"])(X)),
]


@pytest.mark.parametrize(("error", "message", "call"), ERRORS)
def test_errors_name_rule_value_and_remedy(error, message, call):
    with pytest.raises(error) as caught:
        call()
    text = str(caught.value)
    assert message in text
    assert "got" in text
    assert "; " in text


def test_seed_and_rank_are_for_good():
    mix = ZetaMixup(seed=3, rank=1)
    assert (mix.seed, mix.rank) == (3, 1)
    assert (ZetaMixup().seed, ZetaMixup().rank) == (None, None)
    for name in ("seed", "rank"):
        with pytest.raises(AttributeError):
            setattr(mix, name, 5)


def test_unknown_options_are_refused():
    with pytest.raises(TypeError, match="unexpected keyword argument 'gama'"):
        Mixup(gama=1)


@pytest.mark.parametrize("pair", [tuple, list])
@pytest.mark.parametrize("labels", ["classes", "a column", "soft", "one of no class", "bytes"])
def test_pairs_are_read_as_if_declared(pair, labels):
    """The commonest batch is read without a search, and must come out the same."""
    classes = torch.arange(6) % 3
    y = {
        "classes": classes,
        "a column": classes[:, None],
        "soft": torch.rand(6, 3),
        "one of no class": torch.full((6,), 3),
        "bytes": classes.byte(),
    }[labels]
    batch = pair((torch.rand(6, 2, 4, 4), y))
    found, told = [], []
    for num_classes, results in ((3, found), ({"1": 3}, told)):
        mix = ZetaMixup(num_classes=num_classes, label_smoothing=0.1, seed=0)
        try:
            results.append(mix(batch))
        except ValueError as error:
            results.append((str(error), *error.__notes__))
    if labels == "one of no class":
        assert found == told
        assert found[0][1] == "at '1' of the batch"
    else:
        assert type(found[0]) is type(told[0]) is pair
        assert all(map(torch.equal, found[0], told[0]))
