"""Training as with timm: its calling convention, its loss, one of its models."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset
from zetamix.torch import CutMix, OneOf, ZetaMixup

from zetamix_core import zeta_plan

pytestmark = [pytest.mark.needs("torch"), pytest.mark.pipeline]
BATCH, NUM_MIX, EPOCHS = 64, 8, 5
BATCHES = 22


@pytest.fixture
def timm(framework):
    for part in ("data", "loss", "utils"):
        framework(f"timm.{part}")
    return framework("timm")


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def train(digits, model, loss_of, mixup_fn, *, epochs=EPOCHS, drop_last=False):
    """The steps of timm's training script, and the batches before and after they are mixed."""
    data = TensorDataset(digits.images, digits.labels)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(epochs):
        for given in DataLoader(data, BATCH, shuffle=True, drop_last=drop_last):
            images, target = (tensor.clone() for tensor in given)
            if mixup_fn is not None:
                images, target = mixup_fn(images, target)
            loss = loss_of(model(images), target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            yield given, (images, target)


def test_in_the_place_of_mixup(timm, digits, make_model, accuracy):
    """Same arguments, same results, and odd batches too."""
    loss_of = timm.loss.SoftTargetCrossEntropy()
    shared = {"num_classes": 10, "label_smoothing": 0.1}
    theirs = timm.data.Mixup(mixup_alpha=0.8, **shared)
    ours = ZetaMixup(num_mix=NUM_MIX, seed=1, **shared)
    forms, scores = [], []
    for mixup_fn in (theirs, ours):
        model = make_model()
        # Theirs refuses the last batch, which is of 3.
        steps = list(train(digits, model, loss_of, mixup_fn, drop_last=mixup_fn is theirs))
        forms.append([(x.shape[1:], x.dtype, x.device) for x in steps[0][1]])
        for _, (images, target) in steps:
            assert images.shape[0] == target.shape[0]
            torch.testing.assert_close(target.sum(dim=1), torch.ones(len(target)))
            assert target.min() >= 0.0099, "both smooth alike"
        scores.append(accuracy(model))
    assert forms[0] == forms[1]
    assert min(scores) > 0.85
    for step, (given, (images, target)) in enumerate(steps):
        x, y = given
        plan = zeta_plan(len(x), num_mix=min(NUM_MIX, len(x)), rng=(1, step, 0), like=x)
        assert torch.equal(images, plan @ x)
        torch.testing.assert_close(target, 0.9 * plan.mix_labels(y, 10) + 0.01)
    assert len(steps) == EPOCHS * BATCHES
    assert len(x) == 3
    with pytest.raises(AssertionError, match="Batch size should be even"):
        theirs(x.clone(), y)


def test_what_else_differs(timm):
    """As docs/coming-from says."""
    x, y = torch.rand(8, 1, 8, 8), torch.arange(8)
    theirs, ours = timm.data.Mixup(num_classes=8), ZetaMixup(num_classes=8)
    before = x.clone()
    ours(x, y)
    assert torch.equal(x, before)
    mixed = []
    for _ in range(2):
        np.random.seed(0)  # noqa: NPY002 - what theirs follows
        torch.manual_seed(len(mixed))
        x = before.clone()
        mixed.append((theirs(x, y)[1], ours(before, y)[1]))
        assert not torch.equal(x, before), "theirs writes into what it is given"
    assert torch.equal(mixed[0][0], mixed[1][0])
    assert not torch.equal(mixed[0][1], mixed[1][1])
    torch.manual_seed(0)
    assert torch.equal(ours(before, y)[1], mixed[0][1])
    assert mixed[0][0].min() >= 0.0124, "theirs smooths by default"
    partners = (mixed[0][0] - 0.0125).abs() > 1e-6
    assert torch.equal(partners, (torch.eye(8) + torch.eye(8).flip(0)).bool())


def test_a_model_and_an_accuracy_of_timm(timm, digits):
    """Mixed by ζ-mixup or CutMix as drawn for each batch, as timm does with its switch_prob."""
    model = timm.create_model(
        "resnet10t", pretrained=False, num_classes=10, in_chans=1, channels=(8, 16, 16, 32)
    )
    options = {"num_classes": 10}
    mixup_fn = OneOf(
        [ZetaMixup(num_mix=NUM_MIX, seed=1, **options), CutMix(seed=2, **options)],
        p=[0.5, 0.5],
        seed=3,
    )
    loss_of = timm.loss.SoftTargetCrossEntropy()
    steps = list(train(digits, model, loss_of, mixup_fn, drop_last=True))
    counts = [int(part.step) for part in mixup_fn.transforms]
    assert sum(counts) == len(steps) == EPOCHS * (BATCHES - 1)
    assert min(counts) > len(steps) / 4
    model.eval()
    with torch.no_grad():
        scores = timm.utils.accuracy(model(digits.test_images), digits.test_labels)
    assert scores[0] > 85
