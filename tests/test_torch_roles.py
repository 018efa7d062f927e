"""Batches of torch that say what they hold: the guess of labels, and what is declared."""

import dataclasses

import pytest
from zetamix.rules import CutMix as CutMixRule
from zetamix.rules import OneOf, Zeta

torch = pytest.importorskip("torch")
zt = pytest.importorskip("zetamix.torch")
functional = torch.nn.functional
Collate, CutMix, Mix, Mixup = zt.Collate, zt.CutMix, zt.Mix, zt.Mixup
ZetaMixup, ZetaMixupCollate = zt.ZetaMixup, zt.ZetaMixupCollate

pytestmark = pytest.mark.needs("torch")
N = 4
X = torch.rand(N, 3, 8, 8, generator=torch.Generator().manual_seed(0))
Y = torch.tensor([0, 1, 2, 1])
MODULES = pytest.mark.parametrize("make", [ZetaMixup, Mixup, CutMix])


def test_a_second_view_is_cut_as_the_first():
    a, b = CutMix(seed=1)(X, X.clone())
    assert torch.equal(a, b)
    assert not torch.equal(a, X)
    one_hot = functional.one_hot(torch.randint(0, 5, (N, 8, 8)), 5).movedim(-1, 1).float()
    mixed = CutMix(seed=1)({"image": X, "label": one_hot})
    assert set(mixed["label"].unique().tolist()) <= {0.0, 1.0}


@MODULES
@pytest.mark.parametrize("name", ["as_data", "keep", "dominant"])
@pytest.mark.parametrize("key", ["label", "labels", 1])
def test_what_is_declared_beats_the_guess(make, name, key):
    batch = (X, torch.arange(N)) if key == 1 else {"image": X, key: torch.arange(N)}
    mixed = make(seed=0, **{name: [str(key)]})(batch)[key]
    assert mixed.shape == (N,)
    assert mixed.dtype.is_floating_point == (name == "as_data")


@pytest.mark.parametrize(
    "extra",
    [
        {"label_name": list("abcd")},
        {"label_weight": torch.rand(N, 3, 2)},
        {"unlabeled_image": torch.rand(N, 3, 8, 8)},
        {"target_size": torch.rand(N, 2)},
        {"Target_mask": torch.rand(N, 1, 8, 8)},
    ],
)
def test_the_guess_prefers_exact_names_and_what_can_be_labels(extra):
    for name in ("label", "LABELS", "target", "y"):
        batch = {"image": X, **extra, name: Y}
        mixed = ZetaMixup(num_classes=3, seed=0)(batch)
        assert mixed[name].shape == (N, 3)
    without = {"image": X, **extra, "class_label": Y}
    if "target_size" not in extra:  # (N, 2) may be labels
        assert ZetaMixup(num_classes=3, seed=0)(without)["class_label"].shape == (N, 3)


def test_nothing_that_could_be_labels_is_an_error_if_their_number_is_known():
    with pytest.raises(ValueError, match=r"name them as num_classes=\{path: ...\}"):
        ZetaMixup(num_classes=3)(X, X)
    mixed = ZetaMixup(seed=0)({"image": X, "text": list("abcd")})
    assert mixed["text"] == list("abcd")


@MODULES
def test_ids_boxes_and_text_of_the_heaviest(make):
    boxes = [torch.rand(k, 4) for k in range(N)]
    batch = {"image": X, "label": Y, "id": torch.arange(N), "text": list("abcd"), "boxes": boxes}
    options = {"num_classes": 3, "seed": 3}
    mixed = make(**options, dominant=["id", "text", "boxes"])(batch)
    plan = make(**options).draw(X)
    heaviest = getattr(plan, "volumes", plan).matrix().argmax(dim=1).tolist()
    assert mixed["id"].tolist() == heaviest
    assert mixed["text"] == ["abcd"[j] for j in heaviest]
    assert [len(each) for each in mixed["boxes"]] == heaviest


@pytest.mark.parametrize("compiled", [False, True])
def test_ignored_classes_through_a_training_step(compiled):
    y = torch.tensor([0, -100, 2, -100])
    mix = ZetaMixup(num_classes=3, ignore_index=-100, seed=0)
    mix = torch.compile(mix, backend="eager", fullgraph=True) if compiled else mix
    logits = torch.randn(N, 3, requires_grad=True)
    _, soft = mix(X, y)
    plan = ZetaMixup(seed=0).draw(X)
    weights = plan.label_weights(y, -100)
    torch.testing.assert_close(soft.sum(dim=1), weights)
    loss = -(soft * logits.log_softmax(dim=1)).sum() / soft.sum()
    loss.backward()
    assert torch.isfinite(logits.grad).all()


def test_ignored_pixels_keep_their_share_in_smoothing():
    masks = torch.randint(0, 5, (N, 8, 8))
    masks[:, :4] = 255
    options = {"num_classes": 5, "ignore_index": 255, "seed": 0}
    _, plain = ZetaMixup(**options)(X, masks)
    _, smooth = ZetaMixup(**options, label_smoothing=0.1)(X, masks)
    torch.testing.assert_close(smooth.sum(-1), plain.sum(-1))
    assert torch.equal(smooth[:, :4], torch.zeros(N, 4, 8, 5))
    torch.testing.assert_close(smooth, 0.9 * plain + 0.1 * plain.sum(-1, keepdim=True) / 5)


def test_masks_have_one_form_whatever_is_drawn():
    mix = Mix(OneOf([Zeta(num_mix=2), CutMixRule()]), num_classes=5, seed=0)
    masks = torch.randint(0, 5, (N, 6, 8, 8))[:, 0]
    shapes = {mix(X, masks)[1].shape for _ in range(8)}
    assert shapes == {(N, 8, 8, 5)}
    kinds = {type(mix.draw(X)).__name__ for _ in range(8)}
    assert kinds == {"MixPlan", "CutMixPlan"}
    weights = {"image": X, "weight": torch.rand(N)}
    for _ in range(8):
        assert mix.__class__(mix.rule, seed=1)(weights)["weight"].shape == (N,)


def test_padded_tokens():
    mask = torch.arange(6) < torch.tensor([2, 6, 3, 4])[:, None]
    batch = {"tokens": torch.rand(N, 6, 5), "attention_mask": mask.long(), "label": Y}
    options = {"num_classes": 3, "valid": {"tokens": "attention_mask"}}
    mixed = ZetaMixup(**options, gamma=1.0, seed=0)(batch)
    assert mixed["attention_mask"].dtype == torch.long
    assert mixed["attention_mask"].sum() >= mask.sum()
    assert torch.isfinite(mixed["tokens"]).all()


def test_other_forms_of_labels():
    frames = torch.randint(0, 5, (N, 5))
    mix = ZetaMixup(num_classes=5, positions=["1"], seed=0)
    assert mix(torch.rand(N, 3, 5), frames)[1].shape == (N, 5, 5)
    one_hot = functional.one_hot(torch.randint(0, 5, (N, 8, 8)), 5).movedim(-1, 1)
    mix = ZetaMixup(num_classes=5, onehot={"1": 1}, seed=0)
    assert mix(X, one_hot)[1].shape == (N, 5, 8, 8)
    small = torch.randint(0, 5, (N, 4, 4))
    mix = CutMix(num_classes={"1": 5}, scaled=["1"], seed=0)
    assert mix(X, small)[1].shape == (N, 4, 4, 5)


def test_what_has_no_axis_of_samples_is_refused():
    class Image(torch.Tensor):
        """As torchvision's."""

    class Mask(torch.Tensor):
        """As torchvision's."""

    with pytest.raises(ValueError, match=r"must have samples along its first axis, got one Image"):
        ZetaMixup()(torch.rand(3, 6, 6).as_subclass(Image))
    for batch in (
        torch.ones(N, 6, 6).as_subclass(Mask),
        (torch.ones(N, 6, 6).as_subclass(Mask), Y),
    ):
        with pytest.raises(ValueError, match="samples must come first, got a Mask"):
            ZetaMixup()(batch)
    with pytest.raises(ValueError, match="images of a batch must be one tensor, got a list"):
        ZetaMixup()([torch.rand(3, 6, 6), torch.rand(3, 5, 6)])


@dataclasses.dataclass
class Holder:
    image: torch.Tensor


@pytest.mark.parametrize("make", [ZetaMixup, CutMix])
def test_containers_that_are_no_trees_are_refused(make):
    """Else everything would be mixed but what they hold."""
    batch = {"image": Holder(X), "feature": torch.rand(N, 2), "label": Y}
    with pytest.raises(TypeError, match=r"got .*Holder at 'image'"):
        make(num_classes=3)(batch)
    if make is ZetaMixup:
        assert make(num_classes=3, keep=["image"])(batch)["image"] is batch["image"]


def test_collate_functions_take_what_modules_take():
    samples = [(X[i], int(Y[i]) if i else -100) for i in range(N)]
    for collate in (
        ZetaMixupCollate(num_classes=3, ignore_index=-100, seed=0),
        Collate(CutMixRule(), num_classes=3, ignore_index=-100, seed=0),
    ):
        _, soft = collate(samples)
        assert soft.shape == (N, 3)
        assert 0 < float(soft.sum()) < N
