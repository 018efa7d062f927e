"""The modules of zetamix.torch inside torch.compile: whole graphs, the draws of eager mode."""

import numpy as np
import pytest
import torch
from torch._dynamo.testing import CompileCounter
from zetamix.torch import CutMix, Mixup, OneOf, ZetaMixup

from zetamix_core import mixed_accuracy, mixed_loss, zeta_plan
from zetamix_core.arrays import is_jax

pytestmark = pytest.mark.needs("torch")
KINDS = [ZetaMixup, Mixup, CutMix]
EVERYTHING = {"num_classes": 5, "p": 0.7, "label_smoothing": 0.1, "stop_at": 5}


@pytest.fixture(autouse=True)
def fresh_compiler():
    torch.compiler.reset()
    torch.manual_seed(0)


def batch(n=16, classes=5):
    return torch.rand(n, 3, 8, 8), torch.arange(n) % classes


def compiled(mix, backend=None):
    """Compile the whole module; pytest turns any warning on the way into an error.

    Code is generated for ζ-mixup; for the others it is enough to trace, which takes less time.
    """
    traced = isinstance(mix, (Mixup, CutMix))
    return torch.compile(
        mix, fullgraph=True, backend=backend or ("aot_eager" if traced else "inductor")
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_draws_the_same_compiled_or_not(kind):
    options = {"gamma": (1.0, 3.0), "num_mix": 4} if kind is ZetaMixup else {}
    eager = kind(seed=3, rank=1, **EVERYTHING, **options)
    traced = kind(seed=3, rank=1, **EVERYTHING, **options)
    step = compiled(traced)
    for n in (16, 16, 16, 12, 16, 16):
        x, y = batch(n)
        for a, b in zip(eager(x, y), step(x, y), strict=True):
            torch.testing.assert_close(a, b)
    assert int(traced.step) == 6, "the counter runs inside of the graph"


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_seed_draws_follow_torch_and_rank(kind):
    x, y = batch()
    outputs = []
    # One graph for all modules, the first of which it is made for.
    backend = "inductor" if kind is ZetaMixup else "aot_eager"
    step = torch.compile(lambda mix, x, y: mix(x, y), fullgraph=True, backend=backend)
    for seed, rank in ((1, 0), (1, 0), (2, 0), (1, 1)):
        mix = kind(num_classes=5, rank=rank)
        torch.manual_seed(seed)
        outputs.append(step(mix, x, y)[0])
        assert not torch.equal(step(mix, x, y)[0], outputs[-1]), "the draw was frozen"
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.equal(outputs[0], outputs[2])
    assert not torch.equal(outputs[0], outputs[3])


def test_nested_batches():
    x, y = batch()
    given = {"image": [x, None], "label": y, "id": torch.arange(16)}
    eager = ZetaMixup(num_classes=5, keep=["id"], seed=0)(given)
    traced = compiled(ZetaMixup(num_classes=5, keep=["id"], seed=0), "aot_eager")(given)
    torch.testing.assert_close(traced["image"][0], eager["image"][0])
    torch.testing.assert_close(traced["label"], eager["label"])
    assert torch.equal(traced["id"], given["id"])


def test_a_whole_step_with_losses():
    x, y = batch()
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 5))
    mix = ZetaMixup(num_mix=3, seed=0)

    def step(x, y):
        plan = mix.draw(x)
        pred = model(plan.__matmul__(x))
        loss = mixed_loss(
            lambda pred, y: torch.nn.functional.cross_entropy(pred, y, reduction="none"),
            pred,
            y,
            plan,
        )
        return loss, mixed_accuracy(pred, y, plan)

    loss, accuracy = compiled(step, "aot_eager")(x, y)
    loss.backward()
    plan = zeta_plan(16, num_mix=3, rng=(0, 0, 0), like=x)
    expected = torch.nn.functional.cross_entropy(model(plan @ x), plan.mix_labels(y, 5))
    torch.testing.assert_close(loss, expected)
    assert 0 <= accuracy <= 1
    assert model[1].weight.grad.abs().sum() > 0


def test_evaluation_is_the_identity():
    x, y = batch()
    mix = ZetaMixup(num_classes=5)
    step = compiled(mix, "aot_eager")
    step(x, y)
    mix.eval()
    assert torch.equal(step(x, y)[0], x)
    assert step(x, y)[1].dtype == y.dtype
    assert int(mix.step) == 1


# --- recompilations -------------------------------------------------------------------------------


def test_a_new_gamma_in_a_tensor_does_not_recompile():
    counter = CompileCounter()
    x, y = batch()
    mix = ZetaMixup(gamma=torch.tensor(2.8), num_classes=5, seed=0)
    step = compiled(mix, counter)
    for number, gamma in enumerate([2.8, 1.0, 4.0, float("inf")]):
        mix.gamma = torch.tensor(gamma)
        expected = zeta_plan(16, gamma=gamma, rng=(0, number, 0), like=x) @ x
        torch.testing.assert_close(step(x, y)[0], expected)
    mix.gamma.fill_(0.5)
    torch.testing.assert_close(step(x, y)[0], zeta_plan(16, gamma=0.5, rng=(0, 4, 0), like=x) @ x)
    assert counter.frame_count == 1


def test_steps_and_schedules_do_not_recompile():
    counter = CompileCounter()
    x, y = batch()
    mix = ZetaMixup(gamma=lambda step: 2 + 0.1 * step, num_classes=5, stop_at=4, p=0.5, seed=0)
    step = compiled(mix, counter)
    for _ in range(8):
        mixed, _ = step(x, y)
    assert torch.equal(mixed, x)
    assert counter.frame_count == 1


def test_batch_sizes_recompile_a_bounded_number_of_times():
    counter = CompileCounter()
    step = compiled(ZetaMixup(num_mix=8, num_classes=5, seed=0), counter)

    def frames(*sizes):
        before = counter.frame_count
        for n in sizes:
            step(*batch(n))
        return counter.frame_count - before

    assert frames(128) == 1
    assert frames(100) == 1, "one for another size: from now on sizes are symbols"
    assert frames(90, 77, 300, 101) == 0
    assert frames(1) == 1
    assert frames(*range(64, 8, -1)) <= 1, "where a product pays instead of a gather"
    assert frames(*range(2, 9)) <= 7, "at most one for each n up to num_mix"
    assert frames(1, *range(2, 129)) == 0


@pytest.mark.parametrize(
    ("kind", "dynamic"), [(ZetaMixup, None), *((kind, True) for kind in KINDS)]
)
def test_sizes_and_memory_formats_may_change(kind, dynamic):
    eager = kind(num_classes=5, seed=0)
    traced = kind(num_classes=5, seed=0)
    # What differs between the backends are strides of what the graph returns: tried of ζ-mixup.
    backend = "aot_eager" if kind is ZetaMixup and dynamic is None else "eager"
    step = torch.compile(traced, fullgraph=True, dynamic=dynamic, backend=backend)
    formats = (torch.contiguous_format, torch.channels_last)
    # A graph is made for each format, and more for one sample, where formats are all the same.
    for n, height, width, kinds in (
        (16, 8, 8, formats),
        (12, 9, 7, formats),
        (1, 8, 8, formats[1:]),
    ):
        for memory_format in kinds:
            x = torch.rand(n, 3, height, width).contiguous(memory_format=memory_format)
            y = torch.arange(n) % 5
            mixed, soft = step(x, y)
            expected = eager(x, y)
            torch.testing.assert_close(mixed, expected[0])
            torch.testing.assert_close(soft, expected[1])
            assert mixed.is_contiguous(memory_format=memory_format)


def test_other_seeds_and_ranks_do_not_recompile():
    counter = CompileCounter()
    step = torch.compile(lambda mix, x: mix(x), fullgraph=True, backend=counter)
    x, _ = batch()
    for seed in range(12):
        expected = zeta_plan(16, rng=(seed, 0, seed % 3), like=x) @ x
        torch.testing.assert_close(step(ZetaMixup(seed=seed, rank=seed % 3), x), expected)
    assert counter.frame_count == 1


def test_the_rank_is_asked_for_when_a_graph_runs(monkeypatch):
    """A graph may be made before torch.distributed is set up."""
    x, _ = batch()
    step = compiled(ZetaMixup(seed=0), "aot_eager")
    torch.testing.assert_close(step(x), zeta_plan(16, rng=(0, 0, 0), like=x) @ x)
    monkeypatch.setattr("zetamix.torch.keys.process_rank", lambda: 5)
    torch.testing.assert_close(step(x), zeta_plan(16, rng=(0, 1, 5), like=x) @ x)


# --- what can't be traced says so -----------------------------------------------------------------


def test_errors_are_told_from_inside_of_a_graph():
    x, y = batch()
    with pytest.raises(Exception, match=r"integer classes need num_classes, got shape \(16,\)"):
        compiled(ZetaMixup(), "eager")(x, y)


def test_a_generator_is_refused_with_the_remedy():
    x, y = batch()
    mix = ZetaMixup(num_classes=5, generator=torch.Generator().manual_seed(0))
    with pytest.raises(Exception, match="pass seed= to draw inside of graphs"):
        compiled(mix)(x, y)


def test_a_generator_breaks_the_graph_and_draws_as_in_eager_mode():
    x, y = batch()
    eager = ZetaMixup(num_classes=5, generator=torch.Generator().manual_seed(0))
    traced = ZetaMixup(num_classes=5, generator=torch.Generator().manual_seed(0))
    step = torch.compile(traced, backend="aot_eager")
    for _ in range(2):
        torch.testing.assert_close(step(x, y)[0], eager(x, y)[0])


def test_one_of_breaks_the_graph_and_chooses_anew():
    x, y = batch()
    options = {"num_classes": 5, "seed": 1}
    eager = OneOf([ZetaMixup(**options), CutMix(**options)], seed=0)
    traced = OneOf([ZetaMixup(**options), CutMix(**options)], seed=0)
    step = torch.compile(traced, backend="aot_eager")
    for _ in range(6):
        torch.testing.assert_close(step(x, y)[0], eager(x, y)[0])
    assert all(int(part.step) > 0 for part in traced.transforms)
    torch.compiler.reset()
    with pytest.raises(Exception, match="compile its transforms instead"):
        compiled(traced, "aot_eager")(x, y)
    torch.compiler.reset()
    traced.eval()
    assert torch.equal(compiled(traced, "aot_eager")(x, y)[0], x)


@pytest.mark.parametrize("kind", KINDS)
def test_channels_last_and_autocast(kind):
    x, y = batch()
    step = compiled(kind(num_classes=5, seed=0))
    expected = kind(num_classes=5, seed=0)(x, y)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed, soft = step(x.contiguous(memory_format=torch.channels_last), y)
    assert mixed.dtype == soft.dtype == torch.float32
    assert mixed.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(mixed, expected[0])
    torch.testing.assert_close(soft, expected[1])


def test_jax_is_not_asked_about_tensors(monkeypatch):
    """Newer versions of Dynamo can't trace a type that has its own idea of what is one of it."""
    jax = pytest.importorskip("jax")

    class Untraceable(type):
        def __instancecheck__(cls, instance):
            raise AssertionError("asked")

    monkeypatch.setattr(jax, "Array", Untraceable("Array", (), {}))
    assert not is_jax(torch.ones(1))
    with pytest.raises(AssertionError, match="asked"):
        is_jax(np.ones(1))
