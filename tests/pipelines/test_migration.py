"""The page for those who come from other libraries: few lines change, and all programs run."""

import difflib
import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import zetamix
from torch.utils.data import DataLoader
from zetamix.torch import ZetaMixup, ZetaMixupCollate

pytestmark = [
    pytest.mark.needs("torch"),
    pytest.mark.pipeline,
    # Lightning's own use of torch, and its advice on loops this small.
    pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec.` is deprecated"),
    pytest.mark.filterwarnings("ignore:.*does not have many workers:UserWarning"),
    pytest.mark.filterwarnings("ignore:The number of training batches .* is smaller:UserWarning"),
    # Keras hands variables to NumPy in the old way; were it an error, losses would stay tensors.
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword"),
]
PAGES = sorted((Path(__file__).parents[2] / "docs" / "coming-from").glob("*.md"))
TEXT = "".join(page.read_text(encoding="utf-8") for page in PAGES)
PROGRAMS = {
    (kind, library): code
    for kind, library, code in re.findall(
        r"<!-- (before|after): (\w+) -->\n```python\n(.*?)```",
        TEXT,
        flags=re.DOTALL,
    )
}
# How many lines change at most. With kornia the loss is one of them.
LIBRARIES = {"torchvision": 3, "timm": 3, "kornia": 7, "keras": 3, "monai": 3, "lightning": 3}
OURS = ("authors", "huggingface", "keras_fit")
N = 8


def test_there_is_a_pair_for_each_library():
    pairs = {(kind, name) for kind in ("before", "after") for name in LIBRARIES}
    # The authors' code can't be installed, and with the others mixing has no call of its own.
    assert set(PROGRAMS) == pairs | {("after", name) for name in OURS}
    blocks = TEXT.count("```python")
    assert blocks == len(PROGRAMS), "no program goes untested"


@pytest.mark.parametrize(("library", "most"), LIBRARIES.items())
def test_few_lines_change(library, most):
    before, after = (PROGRAMS[kind, library].splitlines() for kind in ("before", "after"))
    changes = [
        max(end - start, other_end - other_start)
        for tag, start, end, other_start, other_end in difflib.SequenceMatcher(
            None, before, after, autojunk=False
        ).get_opcodes()
        if tag != "equal"
    ]
    assert 1 <= sum(changes) <= most
    assert "zetamix" not in PROGRAMS["before", library]


@pytest.fixture(autouse=True)
def keras_on_torch(tmp_path, monkeypatch):
    """Keras reads both when it is imported; programs that set the first are undone."""
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))


@pytest.fixture
def peer(framework):
    """Import a library that may be missing; Keras must not have been imported for another one."""

    def peer(name):
        module = framework(name)
        if name == "keras" and module.backend.backend() != "torch":
            pytest.skip(f"keras was imported for {module.backend.backend()}")
        return module

    return peer


@pytest.mark.parametrize(("kind", "library"), PROGRAMS)
def test_programs_run(peer, library, kind, tmp_path, monkeypatch):
    program = PROGRAMS[kind, library]
    for name in re.findall(r"^(?:import|from) (\w+)", program, flags=re.MULTILINE):
        peer(name)
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "__main__"}
    exec(compile(program, f"{kind} {library}", "exec"), namespace)
    loss = namespace["loss"]
    # Ten classes, of which a model that knows nothing makes a loss of log(10).
    assert 0 < (loss if isinstance(loss, float) else loss.item()) < 2 * math.log(10)
    ours = [name for name in namespace if name.startswith(("ZetaMixup", "zetamix"))]
    assert bool(ours) == (kind == "after")


# --- what differs, as the page says ---------------------------------------------------------------


def own_shares(labels):
    """Whether the own sample has the largest weight of each output."""
    return labels.argmax(dim=1) == torch.arange(len(labels))


def test_kornia_returns_triples(peer):
    """Of classes and λ, in evaluation mode too; it takes floating images and classes alone."""
    augmentation = peer("kornia.augmentation")
    torch.manual_seed(0)
    theirs = augmentation.RandomMixUpV2(data_keys=["input", "class"])
    ours = ZetaMixup(num_classes=N)
    x, y = torch.rand(N, 1, 8, 8), torch.arange(N)
    rows = torch.cat([theirs(x, y)[1] for _ in range(200)])
    assert rows.shape == (200 * N, 3)
    assert torch.equal(rows[:, 0], y.float().repeat(200))
    own, other, share = rows.T
    assert 0.4 < (share > 0.5).float().mean() < 0.6, "partners outweigh in half of the outputs"
    assert 0.5 / N < (own == other).float().mean() < 2 / N, "some meet themselves"
    soft = ours(x, y)[1]
    assert soft.shape == (N, N)
    assert own_shares(soft).all()
    assert (soft > 0).all()

    assert theirs.eval()(x, y)[1][:, 2].any()
    assert ours.eval()(x, y)[1] is y

    ours.train()
    for given in (x.to(torch.uint8), torch.rand(N, 5), torch.rand(N, 1, 4, 4, 4)):
        with pytest.raises((TypeError, RuntimeError, ValueError)):
            theirs(given, y)
        assert ours(given, y)[0].shape == given.shape
    with pytest.raises(RuntimeError):
        theirs(x, torch.eye(N))
    assert ours(x, torch.eye(N))[1].shape == (N, N)
    with pytest.raises(NotImplementedError):
        augmentation.RandomMixUpV2(data_keys=["input", "mask"])(x, x)


def test_kornia_in_a_sequence(peer):
    """Theirs is refused; ours would not be handed the labels."""
    augmentation = peer("kornia.augmentation")
    x, y = torch.rand(N, 1, 8, 8), torch.arange(N)
    keys = {"data_keys": ["input", "class"]}
    with pytest.raises(NotImplementedError, match="class labels"):
        augmentation.AugmentationSequential(augmentation.RandomMixUpV2(), **keys)(x, y)
    sequence = augmentation.AugmentationSequential(ZetaMixup(num_classes=N), **keys)
    mixed, labels = sequence(x, y)
    assert not torch.equal(mixed, x)
    assert torch.equal(labels, y)


def test_keras_takes_classes_for_one_hot_labels(peer):
    """Silently, and its evaluation mode is another."""
    theirs, ours = peer("keras").layers.MixUp(seed=0), ZetaMixup(num_classes=10)
    x, y = torch.rand(N, 8, 8, 1), torch.arange(N)
    batch = {"images": x, "labels": y}
    assert theirs(batch)["labels"].shape == (N, N)
    column = theirs({"images": x, "labels": y[:, None]})["labels"]
    assert column.shape == (N, 1)
    assert (column != column.round()).any(), "averages of class numbers"
    assert ours(batch)["labels"].shape == (N, 10)

    renamed = {"images": x, "label": torch.eye(N)}
    mixed = theirs(renamed)
    assert not torch.equal(mixed["images"], x)
    assert torch.equal(mixed["label"], renamed["label"])
    assert not torch.equal(ours(renamed | {"label": y})["label"], torch.eye(10)[y])

    one_hot = {"images": x, "labels": torch.eye(N)}
    assert not torch.equal(theirs.eval()(one_hot)["images"], x)
    assert torch.equal(theirs(one_hot, training=False)["images"], x)
    assert ours.eval()(one_hot)["images"] is x


def test_keras_and_other_tensors(peer):
    """Theirs breaks masks, leaves what it does not know, and gives one dtype."""
    theirs = peer("keras").layers.MixUp(seed=0)
    batch = {
        "images": torch.rand(N, 6, 6, 1, dtype=torch.float64),
        "labels": torch.eye(N),
        "segmentation_masks": torch.randint(3, (N, 6, 6, 1)),
        "weights": torch.rand(N),
    }
    mixed = theirs(batch)
    assert mixed["segmentation_masks"].shape == (N, 6, 6, N)
    assert torch.equal(mixed["weights"], batch["weights"])
    assert mixed["images"].dtype == torch.float32
    mixed = ZetaMixup(num_classes={"labels": N, "segmentation_masks": 3})(batch)
    assert mixed["segmentation_masks"].shape == (N, 6, 6, 1, 3)
    assert not torch.equal(mixed["weights"], batch["weights"])
    assert mixed["images"].dtype == torch.float64


def test_seeds_of_keras(peer):
    keras = peer("keras")
    batch = {"images": torch.rand(N, 8, 8, 1), "labels": torch.eye(N)}
    theirs, ours = keras.layers.MixUp(), ZetaMixup()

    def twice(seed, make):
        labels = []
        for _ in range(2):
            seed(0)
            labels.append(make()(batch)["labels"])
        return torch.equal(*labels)

    assert not twice(torch.manual_seed, lambda: theirs)
    assert twice(torch.manual_seed, lambda: ours)
    assert twice(keras.utils.set_random_seed, keras.layers.MixUp)
    assert twice(keras.utils.set_random_seed, lambda: ours)


def test_monai_refuses_labels_of_classes(peer):
    """One-hot ones too, and short batches; integers are cut off."""
    theirs, ours = peer("monai.transforms").MixUp(batch_size=N), ZetaMixup(num_classes=10)
    x, y = torch.rand(N, 1, 8, 8), torch.arange(N)
    one_hot = torch.eye(10)[y]
    for labels in (y, one_hot):
        with pytest.raises(ValueError, match="Unexpected number of dimensions"):
            theirs(x, labels)
        assert ours(x, labels)[1].shape == (N, 10)
    assert theirs(x, one_hot[:, :, None, None])[1].shape == (N, 10, 1, 1)
    with pytest.raises(ValueError, match="Expected batch of size: 8, but got 7"):
        theirs(x[:-1])
    assert ours(x[:-1], y[:-1])[1].shape == (N - 1, 10)

    masks = torch.randint(10, (N, 1, 8, 8))
    assert theirs(x, masks)[1].dtype == masks.dtype
    soft = ours(x, masks)[1]
    assert soft.shape == (N, 1, 8, 8, 10)
    torch.testing.assert_close(soft.sum(dim=-1), torch.ones(masks.shape))
    pixels = masks.to(torch.uint8)
    assert theirs(pixels).dtype == torch.uint8
    named = ZetaMixup(num_classes=10, as_data=["image"])
    assert named({"image": pixels, "label": y})["image"].dtype == torch.uint8
    assert not isinstance(theirs, torch.nn.Module)


def test_batches_of_monai(peer):
    """Theirs refuses what MONAI's own loader makes; ours drops what is known of each sample."""
    data = peer("monai.data")
    items = [{"image": data.MetaTensor(torch.rand(1, 8, 8), affine=2 * torch.eye(4))}] * N
    batch = next(iter(data.DataLoader(data.Dataset(items), batch_size=N)))
    with pytest.raises(ValueError, match="truth value of an array"):
        peer("monai.transforms").MixUpd(["image"], batch_size=N)(batch)
    mixed = ZetaMixup(labels_getter=None)(batch)["image"]
    assert type(mixed) is data.MetaTensor
    assert batch["image"].meta
    assert not mixed.meta


class Shares:
    """A collate function: the weights that a transform draws, whatever the samples."""

    def __init__(self, mix):
        self.mix = mix

    def __call__(self, samples):
        return self.mix(torch.eye(N)[:, :, None, None])


# JAX, which other tests may have imported, warns of any fork.
@pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning")
def test_monai_repeats_its_draws(peer):
    """By a state of the class, which each worker copies in each epoch."""
    transforms = peer("monai.transforms")
    theirs = transforms.MixUp(batch_size=N)
    assert theirs.R is transforms.RandFlip().R
    x = torch.eye(N)[:, :, None, None]
    for seed in (torch.manual_seed, np.random.seed, peer("monai.utils").set_determinism):
        draws = []
        for _ in range(2):
            seed(0)
            draws.append(theirs(x))
        assert not torch.equal(*draws)
    peer("monai.utils").set_determinism(None)

    def distinct(collate):
        loader = DataLoader(
            range(4), 1, num_workers=2, collate_fn=collate, multiprocessing_context="fork"
        )
        batches = [batch for _ in range(2) for batch in loader]
        assert len(batches) == 8
        return len({tuple(batch.flatten().tolist()) for batch in batches})

    assert distinct(Shares(theirs)) == 2, "of two batches in each worker and epoch"
    assert distinct(ZetaMixupCollate(Shares(lambda x: x), labels_getter=None)) == 8


def test_the_law_of_the_authors():
    """Their weights by default, in any order; their checkout is not here."""
    x, y = torch.rand(N, 1, 4, 4), torch.arange(N)
    mixed, soft = zetamix.zeta_mixup(x, y, num_classes=N)
    weights = torch.arange(1, N + 1) ** -2.8
    expected = (weights / weights.sum()).expand(N, N)
    torch.testing.assert_close(soft.sort(dim=1, descending=True).values, expected)
    assert own_shares(soft).all()
    torch.testing.assert_close(mixed, torch.einsum("ij,j...->i...", soft, x))
    drawn = []
    for _ in range(2):
        np.random.seed(0)  # noqa: NPY002 - what theirs follows
        torch.manual_seed(0)
        drawn.append(zetamix.zeta_mixup(x, y, num_classes=N)[1])
    assert not torch.equal(*drawn)
    for gamma in (-3, math.nan):
        with pytest.raises(ValueError, match="gamma must be a number >= 0"):
            zetamix.zeta_mixup(x, y, num_classes=N, gamma=gamma)
