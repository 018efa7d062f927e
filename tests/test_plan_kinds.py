"""What all plans share, whatever they do with samples: values, files, memory, and their form."""

import copy
import dataclasses
import io
import pickle

import numpy as np
import pytest

from zetamix_core import CutMixPlan, MixPlan, Plan, cutmix_plan, zeta_plan
from zetamix_core.leaves import check_leaf, flattened
from zetamix_core.roles import Roles, mixed_leaves

X = np.random.default_rng(0).normal(size=(4, 3, 6)).astype(np.float32)
DRAWS = {
    "mix": lambda seed=0, **options: zeta_plan(4, num_mix=3, rng=seed, **options),
    "cutmix": lambda seed=0, **options: cutmix_plan(X.shape, rng=seed, **options),
}
KINDS = pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS.keys())


@KINDS
def test_equal_draws_are_equal_and_others_are_not(backend, draw):
    like = backend.like
    plan = draw(like=like)
    assert isinstance(plan, Plan)
    assert plan == draw(like=like)
    assert plan != draw(seed=1, like=like)
    assert plan != plan.where(False)
    assert plan != 0
    with pytest.raises(TypeError, match="unhashable"):
        hash(plan)


def test_plans_of_another_kind_are_others():
    boxes = cutmix_plan(X.shape, rng=0)
    assert boxes != boxes.volumes
    for field in ("lower", "upper"):
        moved = dataclasses.replace(boxes, **{field: getattr(boxes, field) + 1})
        assert moved != boxes
    assert dataclasses.replace(boxes, axes=(1, 2)) != boxes


@KINDS
def test_form(draw):
    plan = draw()
    assert plan.shape == (plan.num_outputs, plan.num_samples) == (4, 4)
    assert plan.num_mix == {"MixPlan": 3, "CutMixPlan": 2}[type(plan).__name__]
    for word in (type(plan).__name__, "num_outputs=4", "num_samples=4", "library='numpy'"):
        assert word in repr(plan)
    assert "lengths=(3, 6)" in repr(cutmix_plan(X.shape))


@KINDS
def test_plans_are_immutable(draw):
    plan = draw()
    with pytest.raises(dataclasses.FrozenInstanceError):
        plan.num_samples = 5
    arrays = [plan.indices, plan.weights] if isinstance(plan, MixPlan) else [plan.lower, plan.upper]
    for array in arrays:
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 99


@KINDS
def test_copies_and_pickles_are_equal(draw):
    plan = draw()
    for other in (copy.copy(plan), copy.deepcopy(plan), pickle.loads(pickle.dumps(plan))):
        assert other == plan
        assert np.array_equal(other @ X, plan @ X)


@KINDS
def test_files(backend, draw, tmp_path):
    plan = draw(like=backend.like)
    plan.save(tmp_path / "plan.npz")
    loaded = type(plan).load(tmp_path / "plan.npz")
    assert type(loaded) is type(plan)
    assert loaded == plan
    x = backend.asarray(X)
    moved = type(plan).load(tmp_path / "plan.npz", like=x)
    assert moved == plan
    assert np.array_equal(backend.to_numpy(moved @ x), backend.to_numpy(plan @ x))


def test_a_file_of_another_kind_is_refused():
    """Else boxes would be left out silently."""
    for kind, other in ((MixPlan, cutmix_plan(X.shape)), (CutMixPlan, zeta_plan(4))):
        file = io.BytesIO()
        other.save(file)
        file.seek(0)
        with pytest.raises(
            ValueError, match=rf"a saved plan .* write it with {kind.__name__}\.save"
        ):
            kind.load(file)


@KINDS
def test_mixing_into_memory(backend, draw):
    if backend.lazy or backend.name.startswith(("jax", "array_api_strict", "numpy-readonly")):
        pytest.skip("their arrays can't be written to, or only by the index of all entries")
    plan, x = draw(), backend.asarray(X)
    out = backend.asarray(np.zeros_like(X))
    assert plan.mix(x, out=out) is out
    assert np.array_equal(backend.to_numpy(out), backend.to_numpy(plan @ x))
    with pytest.raises(ValueError, match="out must have the shape of the mixture"):
        plan.mix(x, out=out[:2])
    with pytest.raises(ValueError, match="out must not overlap x"):
        plan.mix(x, out=x)


def test_pasted_integers_stay_integers_in_memory():
    x = (100 * np.abs(X)).astype(np.uint8)
    plan = cutmix_plan(X.shape, rng=0)
    for dtype in (np.uint8, np.float32):
        out = np.zeros(x.shape, dtype=dtype)
        assert np.array_equal(plan.mix(x, out=out), plan @ x)
    with pytest.raises(TypeError, match=r"out must be of floating dtype .*, got int8"):
        plan.mix(x, out=np.zeros(x.shape, dtype=np.int8))


def test_a_plan_is_read_by_its_kind():
    with pytest.raises(TypeError, match=r"use MixPlan\.load or CutMixPlan\.load"):
        Plan.load("plan.npz")


def test_views_that_are_read_only_are_copied():
    indices = np.asarray([[0, 1], [1, 0]])
    view = indices.view()
    view.flags.writeable = False
    plan = MixPlan(view, np.asarray([0.5, 0.5]), 2)
    indices[0] = 1
    assert plan.indices.tolist() == [[0, 1], [1, 0]]


@pytest.mark.parametrize("axes", [(1, 1), (0, 2)])
def test_axes_of_boxes_are_different_ones(axes):
    plan = cutmix_plan(X.shape)
    with pytest.raises(ValueError, match="axes must be distinct and not include the first"):
        CutMixPlan(plan.volumes, plan.lower, plan.upper, axes, plan.lengths)


@pytest.mark.needs("torch")
def test_weights_that_somebody_uses_otherwise():
    """Derivatives in them, and what is written to them, count as if nothing were remembered."""
    import torch

    x = torch.randn(64, 3)
    plan = zeta_plan(64, num_mix=2, rng=0, like=x)
    weights = plan.weights.requires_grad_()
    (first,) = torch.autograd.grad(((plan @ x) ** 2).sum(), weights, create_graph=True)
    first.sum().backward()
    assert weights.grad is not None
    plan, x = zeta_plan(8, rng=0, like=x), torch.randn(8, 3)
    plan.weights.copy_(torch.tensor([1.0] + [0.0] * 7))
    x[3] = torch.nan
    assert torch.isnan(plan @ x).any(dim=1).tolist() == [i == 3 for i in range(8)]


# --- a new kind of leaf is a function -------------------------------------------------------------


class Signed(Roles):
    """Roles with one more, as features to come write it: differences, whose signs are kept."""

    def of(self, leaf, masks, found):
        return _largest if leaf.path == "difference" else super().of(leaf, masks, found)


def _largest(plan, leaf):
    """Take the entry of the largest absolute value among the samples of each output."""
    rows = leaf.value[plan.indices]
    places = np.abs(rows).argmax(axis=1)
    return rows[np.arange(len(rows)), places]


def test_a_new_role_is_one_function():
    plan = zeta_plan(4, anchored=False, rng=3)
    batch = {"image": X, "label": np.arange(4), "difference": np.asarray([-9.0, 1.0, 2.0, 3.0])}
    roles = Signed(num_classes={"label": 4})
    found = flattened(batch, check=check_leaf, declared=roles.declared)
    mixed = found.rebuilt(mixed_leaves(plan, found, roles))
    expected = [
        batch["difference"][max(row, key=lambda j: abs(batch["difference"][j]))]
        for row in plan.indices
    ]
    assert mixed["difference"].tolist() == expected
    assert np.array_equal(mixed["image"], plan @ X)
    assert list(mixed) == list(batch)
