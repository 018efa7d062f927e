"""Training loops in PyTorch: plain, compiled, with workers, and on two processes.

Each of them learns the digits, from batches that are mixed as the documented keys say.
"""

import functools
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch._dynamo.testing import CompileCounterWithBackend
from torch.nn.functional import cross_entropy, log_softmax
from torch.utils.data import DataLoader, Dataset, TensorDataset, default_collate
from zetamix.torch import (
    CutMix,
    Mixup,
    OneOf,
    ZetaMixup,
    ZetaMixupCollate,
    mixed_accuracy,
    mixed_loss,
)

from zetamix_core import cutmix_plan, mixup_plan, zeta_plan

pytestmark = [
    pytest.mark.needs("torch"),
    # JAX, which other tests may have imported, warns of any fork.
    pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning"),
]
BATCH, NUM_MIX, EPOCHS = 64, 8, 5
GOOD = 0.85
PLANS = {
    ZetaMixup: lambda x, rng: zeta_plan(len(x), num_mix=min(NUM_MIX, len(x)), rng=rng, like=x),
    Mixup: lambda x, rng: mixup_plan(len(x), rng=rng, like=x),
    CutMix: lambda x, rng: cutmix_plan(tuple(x.shape), rng=rng, like=x),
}


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


class Numbered(Dataset):
    """Digits with their numbers, from which a test finds the samples of each batch."""

    def __init__(self, images, labels):
        self.images, self.labels = images, labels

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return {"image": self.images[index], "label": self.labels[index], "index": index}


def with_sources(samples):
    """Collate, and add the identity: mixed like an image, it is the matrix of the plan."""
    return {**default_collate(samples), "sources": torch.eye(len(samples))}


def shuffled(digits):
    data = TensorDataset(digits.images, digits.labels)
    return DataLoader(data, batch_size=BATCH, shuffle=True)


def optimizer_of(*models):
    weights = [weight for model in models for weight in model.parameters()]
    return torch.optim.Adam(weights, lr=0.01)


def update(optimizer, loss):
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def options(kind):
    return {"num_classes": 10} | ({"num_mix": NUM_MIX} if kind is ZetaMixup else {})


# --- one process ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [ZetaMixup, Mixup, CutMix])
def test_a_plain_loop(digits, make_model, accuracy, kind):
    model = make_model()
    assert accuracy(model) < 0.3
    optimizer = optimizer_of(model)
    mix = kind(seed=3, **options(kind))
    step = 0
    for _ in range(EPOCHS):
        for x, y in shuffled(digits):
            images, labels = mix(x, y)
            update(optimizer, cross_entropy(model(images), labels))
            plan = PLANS[kind](x, (3, step, 0))
            assert torch.equal(images, plan @ x)
            assert torch.equal(labels, plan.mix_labels(y, 10))
            step += 1
    assert int(mix.step) == step == 22 * EPOCHS
    assert len(x) == 3, "the last batch is shorter than num_mix"
    assert accuracy(model) > GOOD


def test_the_calling_convention_of_timm(digits, make_model, accuracy):
    """What timm's training script does with its `mixup_fn`, and its loss for soft labels."""

    def soft_target_cross_entropy(x, target):
        return torch.sum(-target * log_softmax(x, dim=-1), dim=-1).mean()

    model = make_model()
    optimizer = optimizer_of(model)
    mixup_fn = ZetaMixup(num_mix=NUM_MIX, num_classes=10, label_smoothing=0.1)
    seen = []
    for _ in range(EPOCHS):
        # Draws follow torch's generator, from which the loader has drawn, too.
        for x, y in shuffled(digits):
            # Further pixels that show who was mixed.
            images, target = torch.cat([x.flatten(1), torch.eye(len(x))], dim=1), y
            if mixup_fn is not None:
                images, target = mixup_fn(images, target)
            images, sources = images[:, :64], images[:, 64:]
            update(optimizer, soft_target_cross_entropy(model(images), target))
            seen.append({"index": y, "sources": sources})
            torch.testing.assert_close(images, sources @ x.flatten(1))
            torch.testing.assert_close(target, 0.9 * sources @ torch.eye(10)[y] + 0.01)
    assert len(orderings(seen)) == 21 * BATCH * EPOCHS, "no two batches share a draw"
    assert accuracy(model) > GOOD


def test_one_of_two_for_each_batch(digits, make_model, accuracy):
    model = make_model()
    optimizer = optimizer_of(model)
    mix = OneOf([ZetaMixup(seed=1, **options(ZetaMixup)), CutMix(seed=2, num_classes=10)], seed=0)
    counts = [0, 0]
    for _ in range(EPOCHS):
        for x, y in shuffled(digits):
            images, labels = mix(x, y)
            update(optimizer, cross_entropy(model(images), labels))
            # Each of them counts its own batches.
            plans = [
                PLANS[kind](x, (seed, count, 0))
                for kind, seed, count in zip((ZetaMixup, CutMix), (1, 2), counts, strict=True)
            ]
            chosen = [torch.equal(images, plan @ x) for plan in plans]
            assert sum(chosen) == 1
            assert torch.equal(labels, plans[chosen.index(True)].mix_labels(y, 10))
            counts[chosen.index(True)] += 1
    assert sum(counts) == int(mix.step) == 22 * EPOCHS
    assert min(counts) > 22 * EPOCHS / 4
    assert accuracy(model) > GOOD


def test_hidden_features_are_mixed_by_the_plan_of_the_labels(digits, accuracy):
    layer = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 64), torch.nn.ReLU())
    head = torch.nn.Linear(64, 10)
    optimizer = optimizer_of(layer, head)
    mix = ZetaMixup(num_mix=NUM_MIX, seed=4)
    each = functools.partial(cross_entropy, reduction="none")
    hits = []
    step = 0
    for _ in range(EPOCHS):
        for x, y in shuffled(digits):
            plan = mix.draw(x)
            hidden = plan @ layer(x)
            pred = head(hidden)
            loss = mixed_loss(each, pred, y, plan)
            update(optimizer, loss)
            assert plan == PLANS[ZetaMixup](x, (4, step, 0))
            torch.testing.assert_close(loss, cross_entropy(pred, plan.mix_labels(y, 10)))
            hits.append(mixed_accuracy(pred, y, plan))
            step += 1
    assert layer[1].weight.grad.abs().sum() > 0
    # Even the best guess has no more than the weight of the own class and of equal ones.
    assert sum(hits[:5]) / 5 + 0.2 < sum(hits[-22:]) / 22 < 0.9
    assert accuracy(torch.nn.Sequential(layer, head)) > GOOD


def test_a_whole_step_in_one_graph(digits, make_model, accuracy):
    torch.compiler.reset()
    counter = CompileCounterWithBackend("aot_eager")  # to generate code takes long
    model = make_model()
    optimizer = optimizer_of(model)
    mix = ZetaMixup(seed=5, **options(ZetaMixup))

    @torch.compile(fullgraph=True, backend=counter)
    def loss_of(x, y):
        images, labels = mix(x, y)
        return cross_entropy(model(images), labels), images, labels

    frames = []
    for epoch in range(EPOCHS):
        for number, (x, y) in enumerate(shuffled(digits)):
            loss, images, labels = loss_of(x, y)
            update(optimizer, loss)
            plan = PLANS[ZetaMixup](x, (5, 22 * epoch + number, 0))
            torch.testing.assert_close(images, plan @ x)
            torch.testing.assert_close(labels, plan.mix_labels(y, 10))
        assert len(x) == 3
        frames.append(counter.frame_count)
    assert frames == [2] * EPOCHS, "one graph for whole batches, one for the last, no other ones"
    assert int(mix.step) == 22 * EPOCHS
    assert accuracy(model) > GOOD


# --- workers --------------------------------------------------------------------------------------


def test_workers_mix_by_seed_epoch_and_batch(digits, make_model, accuracy):
    data = Numbered(digits.images, digits.labels)
    collate = ZetaMixupCollate(num_mix=NUM_MIX, num_classes=10, keep=["index"], seed=6)
    loader = DataLoader(data, BATCH, shuffle=True, collate_fn=collate, num_workers=2)
    model = make_model()
    optimizer = optimizer_of(model)
    for epoch in range(EPOCHS):
        collate.set_epoch(epoch)
        for number, batch in enumerate(loader):
            update(optimizer, cross_entropy(model(batch["image"]), batch["label"]))
            x, y = digits.images[batch["index"]], digits.labels[batch["index"]]
            plan = PLANS[ZetaMixup](x, (6, epoch, 0, number, 0))
            assert torch.equal(batch["image"], plan @ x)
            assert torch.equal(batch["label"], plan.mix_labels(y, 10))
    assert accuracy(model) > GOOD


@pytest.mark.parametrize("seed", [None, 6])
def test_workers_that_nobody_tells_the_epoch(digits, make_model, accuracy, seed):
    """Torch is seeded anew before each epoch, as some trainers do: draws differ nevertheless."""
    data = Numbered(digits.images, digits.labels)
    collate = ZetaMixupCollate(
        with_sources, num_mix=NUM_MIX, num_classes=10, keep=["index"], seed=seed
    )
    loader = DataLoader(data, BATCH, shuffle=True, collate_fn=collate, num_workers=2)
    model = make_model()
    optimizer = optimizer_of(model)
    seen = []
    for _ in range(EPOCHS):
        torch.manual_seed(0)
        for batch in loader:
            update(optimizer, cross_entropy(model(batch["image"]), batch["label"]))
            seen.append(batch)
    assert len(orderings(seen)) == sum(len(batch["index"]) for batch in whole(seen))
    for batch in seen:
        check(batch, digits)
    assert accuracy(model) > GOOD


def whole(seen):
    """The batches that are not short, of which few orderings are possible."""
    return [batch for batch in seen if len(batch["index"]) > 2 * NUM_MIX]


def orderings(seen):
    """Who was mixed into each sample, with the place of the sample and in the order of weights."""
    return {
        tuple(row.topk(NUM_MIX).indices.tolist())
        for batch in whole(seen)
        for row in batch["sources"]
    }


def check(batch, digits):
    """Own sample at rank 1, distinct samples behind it, all of it in images and labels."""
    sources = batch["sources"]
    n = len(sources)
    num_mix = min(NUM_MIX, n)
    assert torch.equal(sources.argmax(dim=1), torch.arange(n))
    expected = zeta_plan(n, num_mix=num_mix, like=sources).weights
    weights = sources.sort(dim=1, descending=True).values
    torch.testing.assert_close(weights[:, :num_mix], expected.expand(n, num_mix))
    assert not weights[:, num_mix:].any()
    x, y = digits.images[batch["index"]], digits.labels[batch["index"]]
    torch.testing.assert_close(batch["image"].flatten(1), sources @ x.flatten(1))
    torch.testing.assert_close(batch["label"], sources @ torch.eye(10)[y])


# --- two processes --------------------------------------------------------------------------------

RUNS = [
    "after the loader, seed=0",
    "in workers, seed=None",
    "in workers, seed=0",
    "in spawned workers, seed=0",
    "in a graph, seed=0",
]


def on_two_processes(digits, folder):
    """Return what two processes saw and learned, in all runs."""
    torch.save({"images": digits.images, "labels": digits.labels}, folder / "digits.pt")
    script = Path(__file__).with_name("distributed_run.py")
    # Those of torch that pytest is told to ignore, too.
    ignored = [
        "-Wignore:`torch.jit.script",
        "-Wignore:Guards may run slower on Python 3.13.0:RuntimeWarning",
    ]
    command = [sys.executable, "-W", "error", *ignored, str(script), str(folder)]
    processes = [
        subprocess.Popen(
            [*command, str(rank), "2"],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        outputs = [process.communicate(timeout=240)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0], "\n".join(outputs)
    return [torch.load(folder / f"runs_{rank}.pt", weights_only=True) for rank in range(2)]


def test_two_processes_learn_one_model_from_different_mixtures(
    digits, make_model, accuracy, tmp_path
):
    """All in one test, since what takes time is to start the processes."""
    ranks = on_two_processes(digits, tmp_path)
    for run in RUNS:
        check_weights(run, [rank[run]["weights"] for rank in ranks], make_model(), accuracy)
        check_mixtures(run, [rank[run]["seen"] for rank in ranks], digits)
        if run.endswith("seed=0"):
            for rank in range(2):
                check_keys(run, rank, ranks[rank][run]["seen"])


def check_weights(run, weights, model, accuracy):
    first, second = weights
    assert first.keys() == second.keys(), run
    for name in first:
        assert torch.equal(first[name], second[name]), (run, name)
    model.load_state_dict(first)
    assert accuracy(model) > GOOD, run


def check_mixtures(run, seen, digits):
    first, second = seen
    assert len(first) == len(second) == 6 * 11, run
    for batch in first + second:
        check(batch, digits)
    samples = [{int(i) for batch in batches[:11] for i in batch["index"]} for batches in seen]
    assert len(samples[0] & samples[1]) <= 1, "the sampler splits the digits, up to padding"
    assert not orderings(first) & orderings(second), run
    assert len(orderings(first)) == len(orderings(second)) == 6 * 674, run


def check_keys(run, rank, seen):
    for step, batch in enumerate(seen):
        epoch, number = divmod(step, 11)
        key = (0, epoch, 0, number, rank) if "workers" in run else (0, step, rank)
        plan = PLANS[ZetaMixup](batch["sources"], key)
        torch.testing.assert_close(batch["sources"], plan.matrix(), msg=f"{run}, {key}")
