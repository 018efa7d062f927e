"""Batches of torch that say what they hold: the guess of labels, and what is declared."""

import collections
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
        with pytest.raises(ValueError, match="coordinates and masks can't be averaged, got Mask"):
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


# --- no axis of samples, and types that say what they are -----------------------------------------


class Image(torch.Tensor):
    """As torchvision's."""


class Mask(torch.Tensor):
    """As torchvision's."""


IMAGES = [torch.rand(3, 4 + i, 6) for i in range(5)]
THREE = [torch.rand(3, 6, 6) for _ in range(3)]
TARGETS = [{"boxes": torch.rand(2, 4)} for _ in range(5)]


@pytest.mark.parametrize(
    ("batch", "options"),
    [
        ((IMAGES, TARGETS), {"keep": ["1"]}),
        ({"image": IMAGES, "label": torch.arange(5)}, {"num_classes": 5}),
        ((THREE, torch.arange(3)), {"num_classes": 3}),
        ((torch.rand(3, 2), {"views": THREE}), {}),
    ],
)
def test_lists_of_images_are_refused_wherever_they_are(batch, options):
    with pytest.raises(ValueError, match=r"images of a batch must be one tensor.*keep=\['"):
        ZetaMixup(**options)(batch)


def test_what_is_kept_may_be_anything():
    single = torch.rand(3, 6, 6).as_subclass(Image)
    for first in (single, THREE, IMAGES, torch.ones(4, 6, 6).as_subclass(Mask)):
        kept, mixed = ZetaMixup(keep=["0"], labels_getter=None, seed=0)((first, X))
        assert kept is first
        assert not torch.equal(mixed, X)


@pytest.mark.parametrize("place", ["first", "second", "in a dict"])
def test_a_single_image_is_refused_wherever_it_is(place):
    image = torch.rand(3, 6, 6).as_subclass(Image)
    batch = {
        "first": (image, torch.arange(3)),
        "second": (torch.rand(3, 2), image),
        "in a dict": {"image": image, "more": torch.rand(3, 2)},
    }[place]
    with pytest.raises(ValueError, match="samples along its first axis, got one Image"):
        ZetaMixup(labels_getter=None)(batch)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
@pytest.mark.parametrize("make", [ZetaMixup, Mixup])
def test_a_mask_is_never_an_image(make, dtype):
    mask = torch.randint(0, 4, (N, 6, 6)).to(dtype).as_subclass(Mask)
    for batch in (mask, (mask, Y), {"mask": mask, "label": Y}):
        with pytest.raises(ValueError, match=r"can't be averaged, got Mask|mixed only if declared"):
            make(num_classes={"1": 3} if isinstance(batch, tuple) else None)(batch)
    one_hot = torch.rand(N, 3, 8, 8).as_subclass(Mask)
    _, b = CutMix(seed=1, labels_getter=None)(X, one_hot)
    plain = CutMix(seed=1, labels_getter=None)(X, one_hot.as_subclass(torch.Tensor))[1]
    assert type(b) is Mask
    assert torch.equal(b.as_subclass(torch.Tensor), plain)


def test_marked_types_are_refused_by_functions():
    import zetamix

    class BoundingBoxes(torch.Tensor):
        """As torchvision's."""

    boxes = torch.rand(N, 4).as_subclass(BoundingBoxes)
    for call in (
        lambda: zetamix.zeta_mixup(boxes, rng=0),
        lambda: zetamix.zeta_plan(N, rng=0).apply({"boxes": boxes}),
    ):
        with pytest.raises(ValueError, match="can't be averaged, got BoundingBoxes"):
            call()


class Slots:
    __slots__ = ("boxes",)

    def __init__(self):
        self.boxes = torch.rand(N, 4)


@dataclasses.dataclass
class Fields:
    fields: dict = dataclasses.field(default_factory=lambda: {"boxes": [torch.rand(N, 4)]})


@pytest.mark.parametrize(
    "held", [Slots(), Fields(), collections.deque([torch.rand(N)]), {torch.rand(N)}]
)
def test_more_containers_that_are_no_trees(held):
    with pytest.raises(TypeError, match="only arrays, None and nested dicts"):
        ZetaMixup()({"image": X, "more": held})
    assert ZetaMixup(keep=["more"])({"image": X, "more": held})["more"] is held


def test_multi_hot_labels_that_do_not_count_need_weights():
    y = torch.tensor([[1, 0, -1], [-1, 1, -1], [0, -1, -1], [1, 1, -1]])
    for make in (ZetaMixup, CutMix, lambda **o: Collate(Zeta(), **o)):
        mix = make(num_classes=3, ignore_index=-1)
        with pytest.raises(ValueError, match=r"multi-hot labels .* need weights.*label_weights"):
            mix(list(zip(X, y, strict=True))) if isinstance(mix, Collate) else mix(X, y)


ONE_HOT = functional.one_hot(torch.arange(32).reshape(N, 8) % 5, 5).movedim(-1, 1)


@pytest.mark.parametrize(
    ("options", "y", "axis"),
    [
        ({"onehot": {"1": 1}, "num_classes": 5}, ONE_HOT, 1),
        ({"num_classes": 3}, functional.one_hot(Y, 3) | functional.one_hot((Y + 1) % 3, 3), -1),
        ({"num_classes": 1}, torch.tensor([[0], [1], [1], [0]]), -1),
    ],
)
def test_smoothing_spreads_the_sum_of_a_row(options, y, axis):
    plain = ZetaMixup(seed=0, **options)(X, y)[1]
    smooth = ZetaMixup(seed=0, label_smoothing=0.1, **options)(X, y)[1]
    total = plain.sum(dim=axis, keepdim=True)
    torch.testing.assert_close(smooth, 0.9 * plain + 0.1 * total / plain.shape[axis])
    torch.testing.assert_close(smooth.sum(dim=axis, keepdim=True), total)


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool])
def test_other_integers_are_floats_whichever_rule_is_drawn(dtype):
    counts = torch.randint(0, 2, (N, 8, 8)).to(dtype)
    batch = {"image": X, "counts": counts}
    options = {"as_data": ["counts"], "seed": 0}
    mixes = [
        zt.OneOf([ZetaMixup(**options), CutMix(**options)], seed=0),
        Mix(OneOf([Zeta(), CutMixRule()]), **options),
        ZetaMixup(**options),
    ]
    for mix in mixes:
        assert {mix(batch)["counts"].dtype for _ in range(8)} == {torch.float32}
        same = mix.eval()(batch)["counts"]
        assert same.dtype == torch.float32
        assert torch.equal(same, counts.float())
    assert CutMix(**options)(batch)["counts"].dtype == dtype, "alone it pastes"


def test_what_is_scaled_does_not_say_where_boxes_are():
    batch = {"deep": torch.rand(N, 3, 4, 4), "image": X}
    mixed = CutMix(scaled=["deep"], seed=1)(batch)
    assert torch.equal(mixed["image"], CutMix(seed=1)(X))


def test_boxes_of_objects_keep_their_class():
    class BoundingBoxes(torch.Tensor):
        """As torchvision's."""

    boxes = torch.rand(N, 4).as_subclass(BoundingBoxes)
    mixed = ZetaMixup(dominant=["boxes"], seed=0)({"image": X, "boxes": boxes})
    assert type(mixed["boxes"]) is BoundingBoxes


def test_lists_of_dicts_are_declared_by_their_paths():
    """As targets of DETR: nothing in them is guessed to be labels."""
    targets = [{"labels": torch.rand(N, 2), "area": torch.rand(N)} for _ in range(2)]
    mixed = ZetaMixup(labels_getter=None, seed=0)((X, targets))[1]
    assert not torch.equal(mixed[1]["labels"], targets[1]["labels"])
    paths = ["1/0", "1/1"]
    kept = ZetaMixup(labels_getter=None, keep=paths, seed=0)((X, targets))[1]
    assert all(a is b for a, b in zip(kept, targets, strict=True))
    ids = [{"labels": torch.arange(N)}]
    with pytest.raises(ValueError, match="at '1/0/labels'"):
        ZetaMixup(labels_getter=None)((X, ids))


def test_what_all_samples_of_a_mixture_reach():
    """Exactly, where a comparison of the mixed mask with one is a matter of rounding."""
    import zetamix

    mask = torch.arange(13) < torch.tensor([[3], [13], [7], [9]])
    plan = zetamix.zeta_plan(N, rng=0)
    both = mask[torch.from_numpy(plan.indices.copy())].all(1)
    assert torch.equal(both, mask.all(0).expand(N, -1))


@pytest.mark.parametrize("make", [ZetaMixup, CutMix])
def test_void_pixels_of_one_sample_stay_their_own_in_graphs(make):
    masks = torch.randint(0, 5, (8, 6, 6), generator=torch.Generator().manual_seed(0))
    masks[0, :3, :3] = 255
    images = torch.rand(8, 3, 6, 6)
    mix = torch.compile(
        make(num_classes=5, ignore_index=255, seed=0), fullgraph=True, backend="eager"
    )
    soft = mix(images, masks)[1]
    assert torch.isfinite(soft).all()
    eager = make(num_classes=5, ignore_index=255, seed=0)(images, masks)[1]
    torch.testing.assert_close(soft, eager)
    assert (soft.sum(dim=-1)[:, 3:] > 0.999).all()
    torch.compiler.reset()
