"""Beside the transforms of torchvision: outputs of the same structure, and both in one pipeline."""

import importlib
from collections import OrderedDict, namedtuple
from pathlib import Path

import pytest
import torch
from torch.nn.functional import cross_entropy, one_hot
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.data import default_collate as collate
from zetamix.torch import CutMix, OneOf, ZetaMixup

from zetamix_core import cutmix_plan, zeta_plan

pytestmark = [pytest.mark.needs("torch"), pytest.mark.pipeline]
N, CLASSES = 12, 16
BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
Pair = namedtuple("Pair", ["image", "target"])  # noqa: PYI024 - as collate functions give them
FORMS = {
    "two arguments": lambda x, y: (x, y),
    "tuple": lambda x, y: ((x, y),),
    "list": lambda x, y: ([x, y],),
    "named tuple": lambda x, y: (Pair(x, y),),
    "dict": lambda x, y: ({"image": x, "labels": y},),
    "ordered dict": lambda x, y: (OrderedDict(image=x, labels=y),),
    "nested": lambda x, y: ({"inputs": {"views": [x, None]}, "target": y},),
    "pair of dicts": lambda x, y: ([{"image": x}, {"label": y}],),
}
# With two samples ζ-mixup is mixup with a weight of its own.
KINDS = ["MixUp", "CutMix"]


@pytest.fixture
def v2(framework):
    framework("torchvision")
    return framework("torchvision.transforms.v2")


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.fixture
def transforms(v2):
    """Theirs and ours of one kind."""

    def transforms(kind, **options):
        if kind == "MixUp":
            return v2.MixUp(**options), ZetaMixup(num_mix=2, **options)
        return v2.CutMix(**options), CutMix(**options)

    return transforms


def batch(dtype=torch.float32):
    """Samples of as many classes as there are, none of them zero anywhere."""
    return torch.rand(N, 3, 8, 8).to(dtype) + 0.5, torch.randperm(CLASSES)[:N]


def assert_same_structure(given, theirs, ours, path=""):
    """Types of containers, names, shapes, dtypes, devices and memory formats, and what stays."""
    assert type(ours) is type(theirs), path
    if isinstance(theirs, dict):
        assert list(ours) == list(theirs), path
        for name in theirs:
            assert_same_structure(given[name], theirs[name], ours[name], f"{path}/{name}")
    elif isinstance(theirs, (tuple, list)):
        assert len(ours) == len(theirs) == len(given)
        for number, parts in enumerate(zip(given, theirs, ours, strict=True)):
            assert_same_structure(*parts, f"{path}/{number}")
    elif isinstance(theirs, torch.Tensor):
        assert ours.shape == theirs.shape, path
        assert ours.dtype == theirs.dtype, path
        assert ours.device == theirs.device, path
        assert ours.stride() == theirs.stride(), path
        assert (ours is given) == (theirs is given), path
    else:
        assert ours == theirs, path


def assert_two_of_each(soft):
    """Rows are shares of two classes, of one if the box of CutMix was empty or all."""
    torch.testing.assert_close(soft.sum(dim=1), torch.ones(len(soft), dtype=soft.dtype))
    assert soft.min() >= 0
    counts = (soft > 0).sum(dim=1)
    assert ((counts == 2) | (soft.max(dim=1).values == 1)).all()
    return counts


def apply(form, mix, x, y):
    out = mix(*FORMS[form](x, y))
    tensors = []

    def collect(node):
        if isinstance(node, torch.Tensor):
            tensors.append(node)
        elif isinstance(node, (dict, list, tuple)):
            for part in node.values() if isinstance(node, dict) else node:
                collect(part)

    collect(out)
    mixed, soft = sorted(tensors, key=lambda tensor: -tensor.ndim)
    return out, mixed, soft


def getter_of(form):
    """Theirs does not find labels by the name of targets."""
    return (lambda batch: batch["target"]) if form == "nested" else "default"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_outputs_have_the_same_structure(transforms, kind, form, dtype):
    theirs, ours = transforms(kind, num_classes=CLASSES, labels_getter=getter_of(form))
    whole = []
    for _ in range(5):
        x, y = batch(dtype)
        before = x.clone(), y.clone()
        outputs = [apply(form, mix, x, y) for mix in (theirs, ours)]
        given = FORMS[form](x, y)
        given = given if len(given) > 1 else given[0]
        assert_same_structure(given, outputs[0][0], outputs[1][0])
        for _, mixed, soft in outputs:
            assert mixed.dtype == dtype
            assert soft.dtype == torch.float32
            whole.append(assert_two_of_each(soft))
        # One of the two is the own sample.
        assert (outputs[1][2][torch.arange(N), y] > 0).all()
        assert torch.equal(x, before[0])
        assert torch.equal(y, before[1])
    assert (torch.cat(whole) == 2).any()
    if kind == "MixUp":
        assert (torch.cat(whole) == 2).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.float64])
def test_soft_labels(transforms, kind, dtype):
    """Labels of floats keep their dtype, integer ones become float32, in both."""
    theirs, ours = transforms(kind, num_classes=CLASSES)
    x, y = batch()
    for labels in (one_hot(y, CLASSES).to(dtype), one_hot(y, CLASSES)):
        outputs = [mix(x, labels) for mix in (theirs, ours)]
        assert_same_structure((x, labels), *outputs)
        for _, soft in outputs:
            torch.testing.assert_close(soft.float().sum(dim=1), torch.ones(N), rtol=2e-3, atol=2e-3)
            assert ((soft > 0).sum(dim=1) <= 2).all()


@pytest.mark.parametrize("kind", KINDS)
def test_double_images(transforms, kind):
    """The one difference, and meant: labels of double images are double.

    Whoever computes in float64 has a model and a loss of float64, where weights that were rounded
    to float32 would be the least precise part. Theirs are float32 whatever the images are.
    """
    theirs, ours = transforms(kind, num_classes=CLASSES)
    x, y = batch(torch.float64)
    assert [tensor.dtype for tensor in theirs(x, y)] == [torch.float64, torch.float32]
    assert [tensor.dtype for tensor in ours(x, y)] == [torch.float64, torch.float64]
    assert_two_of_each(ours(x, y)[1])


@pytest.mark.parametrize("kind", KINDS)
def test_channels_last_is_kept(transforms, kind):
    theirs, ours = transforms(kind, num_classes=CLASSES)
    x, y = batch()
    x = x.contiguous(memory_format=torch.channels_last)
    outputs = [mix(x, y) for mix in (theirs, ours)]
    assert_same_structure((x, y), *outputs)
    assert outputs[1][0].is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("kind", KINDS)
def test_images_and_labels_are_mixed_alike(transforms, kind):
    """Of images that are their class everywhere, the mean is what the label says, in both."""
    y = torch.arange(N)
    x = torch.ones(N, 1, 8, 8) * y[:, None, None, None].float()
    for mix in transforms(kind, num_classes=CLASSES):
        mixed, soft = mix(x, y)
        expected = soft @ torch.arange(CLASSES).float()
        torch.testing.assert_close(mixed.mean(dim=(1, 2, 3)), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_plan_says_what_ours_did(kind):
    x, y = batch()
    options = {"num_classes": CLASSES, "seed": 7}
    ours = ZetaMixup(num_mix=2, **options) if kind == "MixUp" else CutMix(**options)
    mixed, soft = ours(x, y)
    if kind == "MixUp":
        plan = zeta_plan(N, num_mix=2, rng=(7, 0, 0), like=x)
    else:
        plan = cutmix_plan(tuple(x.shape), rng=(7, 0, 0), like=x)
    assert torch.equal(mixed, plan @ x)
    assert torch.equal(soft, plan.mix_labels(y, CLASSES))


# --- what differs, as docs/coming-from says ----------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_second_image_is_mixed_too(transforms, kind):
    """Theirs leaves all plain tensors but the first as they are."""
    theirs, ours = transforms(kind, num_classes=CLASSES)
    x, y = batch()
    given = {"image": x, "depth": x.clone(), "labels": y}
    assert theirs(given)["depth"] is given["depth"]
    mixed = ours(given)
    assert not torch.equal(mixed["depth"], x)
    assert torch.equal(mixed["depth"], mixed["image"])


def test_each_output_has_partners_of_its_own(v2):
    """Theirs mixes each sample with the one before, by one weight for all of the batch."""
    x = torch.eye(N)[:, None, None]
    y = torch.arange(N)
    mixed, soft = v2.MixUp(num_classes=N)(x, y)
    assert torch.equal(soft, mixed[:, 0, 0])
    share = soft[0, 0]
    torch.testing.assert_close(soft, share * torch.eye(N) + (1 - share) * torch.eye(N).roll(1, 0))
    soft = ZetaMixup(num_classes=N)(x, y)[1]
    assert ((soft > 0).sum(dim=1) == N).all(), "all of the batch by default"
    soft = ZetaMixup(num_mix=2, num_classes=N)(x, y)[1]
    partners = (soft - torch.eye(N) * soft.max()).argmax(dim=1)
    assert not torch.equal(partners, y.roll(1))


def test_evaluation_mode(v2):
    """Theirs mixes nevertheless."""
    x, y = batch()
    assert not torch.equal(v2.MixUp(num_classes=CLASSES).eval()(x, y)[0], x)
    assert ZetaMixup(num_classes=CLASSES).eval()(x, y)[0] is x


def test_wrapped_images(framework, v2):
    """Both wrap their outputs again, so that later transforms know images from other tensors."""
    x, y = batch()
    wrapped = framework("torchvision.tv_tensors").Image(x)
    assert type(v2.MixUp(num_classes=CLASSES)(wrapped, y)[0]) is type(wrapped)
    mixed, soft = ZetaMixup(num_classes=CLASSES, seed=1)(wrapped, y)
    assert type(mixed) is type(wrapped)
    assert type(soft) is torch.Tensor
    expected = ZetaMixup(num_classes=CLASSES, seed=1)(x, y)
    assert torch.equal(mixed, expected[0])
    assert torch.equal(soft, expected[1])


def test_coordinates_are_refused(framework):
    """Both refuse them: an average of boxes is no box."""
    tv_tensors = framework("torchvision.tv_tensors")
    boxes = tv_tensors.BoundingBoxes(torch.rand(N, 4), format="XYXY", canvas_size=(8, 8))
    x, y = batch()
    given = {"image": x, "boxes": boxes, "labels": y}
    with pytest.raises(ValueError, match=r"BoundingBoxes of shape \(12, 4\).*leave them with keep"):
        ZetaMixup(num_classes=CLASSES)(given)
    kept = ZetaMixup(num_classes=CLASSES, keep=["boxes"])(given)
    assert kept["boxes"] is boxes


def test_other_integers(v2):
    """Theirs lets them pass, as they are, though all else is mixed."""
    x, y = batch()
    given = {"image": x, "labels": y, "id": torch.arange(N)}
    assert v2.MixUp(num_classes=CLASSES)(given)["id"] is given["id"]
    with pytest.raises(ValueError, match="at 'id'; pass"):
        ZetaMixup(num_classes=CLASSES)(given)
    assert ZetaMixup(num_classes=CLASSES, keep=["id"])(given)["id"] is given["id"]


def test_integer_images(v2):
    """Theirs refuses them."""
    x, y = torch.randint(0, 256, (N, 3, 8, 8), dtype=torch.uint8), torch.arange(N)
    with pytest.raises(RuntimeError):
        v2.MixUp(num_classes=CLASSES)(x, y)
    assert ZetaMixup(num_classes=CLASSES)(x, y)[0].dtype == torch.uint8


def test_floats_of_integers_are_those_of_todtype(v2):
    """In evaluation `scale=True` gives what their transform does."""
    x, y = torch.randint(0, 256, (N, 3, 8, 8), dtype=torch.uint8), torch.arange(N)
    theirs = v2.ToDtype(torch.float32, scale=True)
    mix = ZetaMixup(num_classes=CLASSES, scale=True, seed=0)
    mixed, _ = mix(x, y)
    torch.testing.assert_close(mixed, zeta_plan(N, rng=(0, 0, 0), like=x) @ theirs(x))
    torch.testing.assert_close(mix.eval()(x, y)[0], theirs(x))  # theirs multiplies by 1 / 255


# --- together -------------------------------------------------------------------------------------


class Note(torch.nn.Module):
    """Count the calls of a transform."""

    def __init__(self, transform):
        super().__init__()
        self.transform, self.calls = transform, 0

    def forward(self, *inputs):
        self.calls += 1
        return self.transform(*inputs)


@pytest.fixture
def combinations(v2):
    """Both ways to draw one of the two for each batch, and the two that are drawn from."""

    def combinations(name):
        if name == "their choice":
            parts = [Note(v2.CutMix(num_classes=10)), Note(zeta())]
            return v2.RandomChoice(parts), parts
        parts = [Note(zeta()), Note(v2.CutMix(num_classes=10))]
        return OneOf(parts, p=[0.5, 0.5], seed=1), parts

    def zeta():
        return ZetaMixup(num_mix=8, num_classes=10, seed=2)

    return combinations


@pytest.mark.parametrize("name", ["their choice", "our choice"])
def test_in_one_pipeline(combinations, digits, make_model, accuracy, name):
    mix, parts = combinations(name)
    model = make_model()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    loader = DataLoader(TensorDataset(digits.images, digits.labels), 64, shuffle=True)
    mixed_by_ours = 0
    for _ in range(5):
        for x, y in loader:
            images, labels = mix(x, y)
            optimizer.zero_grad()
            cross_entropy(model(images), labels).backward()
            optimizer.step()
            plan = zeta_plan(len(x), num_mix=min(8, len(x)), rng=(2, mixed_by_ours, 0), like=x)
            mixed_by_ours += torch.equal(images, plan @ x)
    calls = [part.calls for part in parts]
    assert sum(calls) == 5 * 22
    assert min(calls) > 30
    assert mixed_by_ours == next(
        part.calls for part in parts if isinstance(part.transform, ZetaMixup)
    )
    assert accuracy(model) > 0.85


def test_in_a_composition_and_in_a_collate_function(v2, digits, make_model, accuracy):
    """After their augmentation of whole batches, where their own documentation puts MixUp."""
    augment = v2.Compose([v2.RandomAffine(0, translate=(0.05, 0.05))])
    mix = ZetaMixup(num_mix=8, num_classes=10)
    cut = v2.Compose([augment, mix])

    def collate_and_mix(samples):
        return cut(*collate(samples))

    data = TensorDataset(digits.images, digits.labels)
    loader = DataLoader(data, 64, shuffle=True, collate_fn=collate_and_mix)
    model = make_model()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(6):
        for images, labels in loader:
            assert labels.shape == (len(images), 10)
            optimizer.zero_grad()
            cross_entropy(model(images), labels).backward()
            optimizer.step()
    assert int(mix.step) == 6 * 22
    assert accuracy(model) > 0.85


def test_marked_types_of_torchvision(v2):
    """Masks and boxes are never averaged; boxes of the heaviest sample keep their format."""
    from torchvision import tv_tensors

    mask = tv_tensors.Mask(torch.randint(0, 4, (N, 8, 8)).to(torch.uint8))
    with pytest.raises(ValueError, match="can't be averaged, got Mask"):
        ZetaMixup(num_classes={"1": CLASSES})(mask, torch.arange(N))
    boxes = tv_tensors.BoundingBoxes(torch.rand(N, 4), format="XYWH", canvas_size=(8, 8))
    with pytest.raises(ValueError, match="can't be averaged, got BoundingBoxes"):
        ZetaMixup()({"image": torch.rand(N, 3, 8, 8), "boxes": boxes})
    mixed = ZetaMixup(dominant=["boxes"])({"image": torch.rand(N, 3, 8, 8), "boxes": boxes})
    assert type(mixed["boxes"]) is tv_tensors.BoundingBoxes
    assert mixed["boxes"].format == boxes.format
    assert torch.equal(mixed["boxes"], boxes)
    image = tv_tensors.Image(torch.rand(3, 8, 8))
    with pytest.raises(ValueError, match="got one Image"):
        ZetaMixup(labels_getter=None)({"image": image, "label": torch.rand(3)})


@pytest.mark.skipif(not BENCHMARKS.is_dir(), reason="the benchmarks are in checkouts only")
@pytest.mark.parametrize("name", ["resnet-18", "resnet-50"])
def test_networks_of_the_training_benchmark(v2, monkeypatch, tmp_path, name):
    """Small images keep their size in the first layers; large ones can start from weights."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    make = importlib.import_module("classification.models").make_model
    small = make(name, 1, CLASSES, 32)
    assert small.maxpool(small.conv1(torch.rand(1, 1, 32, 32))).shape == (1, 64, 32, 32)
    cross_entropy(small(torch.rand(2, 1, 32, 32)), torch.arange(2)).backward()
    assert small.conv1.weight.grad.any()
    whole = importlib.import_module("torchvision").models.get_model(name.replace("-", ""))
    torch.save(whole.state_dict(), tmp_path / "weights.pt")
    large = make(name, 3, CLASSES, 224, tmp_path / "weights.pt")
    assert torch.equal(large.conv1.weight, whole.conv1.weight)
    assert torch.equal(large.layer4[1].conv2.weight, whole.layer4[1].conv2.weight)
    assert large.eval()(torch.rand(1, 3, 224, 224)).shape == (1, CLASSES)
    with pytest.raises(Exception, match="takes 3 channels, got 1; repeat the gray one"):
        make(name, 1, CLASSES, 224)
