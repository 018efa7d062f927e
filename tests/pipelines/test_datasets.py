"""Data sets of others, mixed with all of themselves."""

import importlib

import numpy as np
import pytest

from zetamix_core.rules import Zeta

pytestmark = [pytest.mark.needs("torch"), pytest.mark.pipeline]
torch = pytest.importorskip("torch")
data = pytest.importorskip("torch.utils.data")
MixedDataset = importlib.import_module("zetamix.torch").MixedDataset
Collate = importlib.import_module("zetamix.torch").Collate


def test_hugging_face():
    datasets = pytest.importorskip("datasets")
    x = np.random.default_rng(0).random((50, 4, 4)).astype(np.float32)
    table = {
        "image": list(x),
        "label": [i % 5 for i in range(50)],
        "file": [f"{i}.png" for i in range(50)],
    }
    source = datasets.Dataset.from_dict(table).with_format("torch")
    rule = Zeta(num_mix=3, donors="same")
    mixed = MixedDataset(source, rule, seed=1, num_classes={"label": 5}, groups=source["label"])
    for batch in data.DataLoader(mixed, batch_size=10):
        assert batch["image"].shape == (10, 4, 4)
        assert set(batch["label"].unique().tolist()) == {0.0, 1.0}
    assert mixed[7]["file"] == "7.png"
    assert np.array_equal(source[7]["image"], x[7])


def test_marked_types_of_torchvision_are_looked_after(framework):
    tv = framework("torchvision.tv_tensors")
    images = [tv.Image(torch.rand(3, 8, 8)) for _ in range(12)]
    mixed = MixedDataset([(x, i % 3) for i, x in enumerate(images)], seed=0, num_classes=3)
    assert type(mixed[2][0]) is tv.Image
    boxes = [
        tv.BoundingBoxes(torch.rand(1, 4), format="XYXY", canvas_size=(8, 8)) for _ in range(12)
    ]
    items = [{"image": x, "boxes": b} for x, b in zip(images, boxes, strict=True)]
    with pytest.raises(ValueError, match="coordinates and masks can't be averaged"):
        MixedDataset(items, seed=0)[0]
    kept = MixedDataset(items, seed=0, keep=["boxes"])[0]
    assert kept["boxes"] is boxes[0]
    with pytest.raises(ValueError, match="coordinates and masks can't be averaged"):
        Collate(Zeta())(items)


def test_digits_are_learned_by_batches_of_two(digits):
    torch.manual_seed(0)
    source = data.TensorDataset(digits.images[:600], digits.labels[:600])
    mixed = MixedDataset(source, Zeta(num_mix=4), seed=0, num_classes=10)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for epoch in range(4):
        mixed.set_epoch(epoch)
        for x, soft in data.DataLoader(mixed, batch_size=2, shuffle=True):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(x), soft).backward()
            optimizer.step()
    correct = (model(digits.test_images).argmax(1) == digits.test_labels).float().mean()
    assert correct > 0.85
