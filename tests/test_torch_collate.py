"""Collate functions: draws in the workers of loaders, over epochs and ranks."""

import copy
import pickle
import subprocess
import sys

import pytest
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, default_collate
from zetamix.torch import Collate, CutMix, Mix, Mixup, OneOf, ZetaMixup, ZetaMixupCollate

from zetamix_core import rules, zeta_plan

pytestmark = [
    pytest.mark.needs("torch"),
    # JAX, which other tests may have imported, warns of any fork.
    pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning"),
]
N, BATCH, T = 52, 8, 3


class Rows(Dataset):
    """Sample i is row i of the identity, so that a mixed batch shows who was mixed."""

    def __len__(self):
        return N

    def __getitem__(self, index):
        return torch.eye(N, dtype=torch.float64)[index], index % 3


class Stream(IterableDataset):
    """Each worker gives its share."""

    def __iter__(self):
        info = torch.utils.data.get_worker_info()
        worker, workers = (0, 1) if info is None else (info.id, info.num_workers)
        rows = Rows()
        return (rows[i] for i in range(worker, N, workers))


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def loader(collate, workers=0, data=None, **options):
    return DataLoader(
        Rows() if data is None else data,
        batch_size=BATCH,
        collate_fn=collate,
        num_workers=workers,
        **options,
    )


def refused(batches):
    """List batches, of which one raises, without the traceback that holds an iterator.

    What a cycle of garbage holds can't tell its workers to end, and is waited for.
    """
    try:
        return list(batches)
    except (RuntimeError, ValueError) as error:
        raise error.with_traceback(None) from None


def collate(**options):
    return ZetaMixupCollate(**{"num_mix": T, "num_classes": 3, "seed": 5, **options})


def relative(batches):
    """Who was mixed in each batch, from the weights, as the indices that the plan has."""
    return [
        tuple(tuple((row.topk(min(T, len(x))).indices - BATCH * number).tolist()) for row in x)
        for number, (x, _) in enumerate(batches)
    ]


def assert_equal(first, second):
    assert len(first) == len(second)
    for a, b in zip(first, second, strict=True):
        assert torch.equal(a[0], b[0])
        assert torch.equal(a[1], b[1])


def test_batches_are_those_of_the_documented_key():
    mix = collate(rank=2)
    mix.set_epoch(7)
    for number, (mixed, soft) in enumerate(loader(mix)):
        rows = range(BATCH * number, min(N, BATCH * (number + 1)))
        x, y = default_collate([Rows()[i] for i in rows])
        plan = zeta_plan(len(x), num_mix=min(T, len(x)), rng=(5, 7, 0, number, 2), like=x)
        assert torch.equal(mixed, plan @ x)
        assert torch.equal(soft, plan.mix_labels(y, 3))


@pytest.mark.parametrize("persistent", [False, True])
def test_an_epoch_is_the_same_with_any_number_of_workers(persistent):
    def epochs(workers):
        mix = collate()
        batches = loader(mix, workers, persistent_workers=persistent and workers > 0)
        for epoch in (0, 1, 2):
            mix.set_epoch(epoch)
            yield list(batches)

    expected = list(epochs(0))
    for workers in (1, 4):
        for a, b in zip(expected, epochs(workers), strict=True):
            assert_equal(a, b)
    draws = [relative(epoch) for epoch in expected]
    assert not set(draws[0]) & set(draws[1])
    assert not set(draws[1]) & set(draws[2])


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_rank_and_epoch_reach_workers_however_they_are_started(context, monkeypatch):
    """A process that is spawned does not know what torch.distributed was told in its parent."""
    monkeypatch.setattr("zetamix.torch.collate.process_rank", lambda: 3)
    mix = collate()
    batches = loader(mix, 1, persistent_workers=True, multiprocessing_context=context)
    for epoch in (3, 4):
        mix.set_epoch(epoch)
        given = list(batches)
        mix_here = collate(rank=3)
        mix_here.set_epoch(epoch)
        assert_equal(given, list(loader(mix_here)))


@pytest.mark.parametrize("seed", [None, 5])
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("persistent", [False, True])
def test_no_two_epochs_and_workers_share_a_draw(seed, workers, persistent):
    """Nobody calls set_epoch, and torch is seeded anew before each epoch, as trainers do."""
    mix = collate(seed=seed)
    batches = loader(mix, workers, persistent_workers=persistent and workers > 0)
    draws = []
    for _ in range(3):
        torch.manual_seed(0)
        draws += relative(list(batches))
    assert len(set(draws)) == len(draws) == 21


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("persistent", [False, True])
@pytest.mark.parametrize("early", [False, True])
def test_a_late_call_of_set_epoch_repeats_nothing(workers, persistent, early):
    """As in trainers that start the workers of an epoch before they tell which one it is."""
    mix = collate()
    batches = loader(mix, workers, persistent_workers=persistent and workers > 0)
    draws = []
    for epoch in range(3):
        iterator = iter(batches)
        draws += [next(iterator), next(iterator)]
        mix.set_epoch(epoch)
        for number, batch in enumerate(iterator):
            draws.append(batch)
            if early and number == 1:
                break
    draws += list(batches)
    drawn = [
        tuple(tuple((row.topk(T).indices - row.argmax()).tolist()) for row in x) for x, _ in draws
    ]
    assert len(set(drawn)) == len(drawn) >= 19


def test_the_same_epoch_again_goes_on_and_one_set_anew_begins():
    mix = collate()
    mix.set_epoch(1)
    first = list(loader(mix))
    mix.set_epoch(1)
    assert not set(relative(first)) & set(relative(list(loader(mix))))
    mix.set_epoch(0)
    mix.set_epoch(1)
    assert_equal(first, list(loader(mix)))


WORKERS = [(0, False), (1, True), (3, False)]


@pytest.mark.parametrize(("workers", "persistent"), WORKERS)
@pytest.mark.parametrize("order", ["after", "before", "amid"])
def test_loaders_with_a_collate_function_each_do_not_notice_each_other(workers, persistent, order):
    draws = train_and_validate(workers, persistent, order, copy.copy)
    for epoch, alone in zip(draws, alone_in(2), strict=True):
        assert_equal(epoch, alone)


@pytest.mark.parametrize(("workers", "persistent"), WORKERS)
@pytest.mark.parametrize("order", ["after", "before"])
def test_of_loaders_that_share_a_collate_function_the_first_draws_as_if_alone(
    workers, persistent, order
):
    draws = train_and_validate(workers, persistent, order, lambda mix: mix)
    for epoch, alone in zip(draws, alone_in(2), strict=True):
        if order == "after":
            assert_equal(epoch, alone)
        else:  # which is why each is to have its own
            assert not set(relative(epoch)) & set(relative(alone))


def train_and_validate(workers, persistent, order, another):
    """The batches of two epochs of training, beside a loader for validation."""
    mix = collate()
    mixes = (mix, another(mix))
    options = {"persistent_workers": persistent}
    training, validation = (loader(each, workers, **options) for each in mixes)
    epochs = []
    for number in range(2):
        for each in mixes:
            each.set_epoch(number)
        if order == "before":
            list(validation)
        iterator = iter(training)
        epoch = [next(iterator), next(iterator)]
        if order == "amid":
            list(validation)
        epochs.append(epoch + list(iterator))
        if order == "after":
            list(validation)
    return epochs


def alone_in(count):
    mix = collate()
    for number in range(count):
        mix.set_epoch(number)
        yield list(loader(mix))


def test_seeded_epochs_without_set_epoch_are_repeatable():
    def run():
        mix = collate()
        return [batch for _ in range(2) for batch in loader(mix, 2)]

    assert_equal(run(), run())


def test_ranks_never_share_an_ordering():
    class Wide(Rows):
        def __getitem__(self, index):
            return torch.eye(64, dtype=torch.float64)[index % 64], 0

        def __len__(self):
            return 64

    def rows_of(rank, seed):
        torch.manual_seed(0)
        mix = ZetaMixupCollate(num_mix=8, num_classes=2, seed=seed, rank=rank)
        ((x, _),) = DataLoader(Wide(), batch_size=64, collate_fn=mix)
        return {tuple(row.topk(8).indices.tolist()) for row in x}

    for seed in (None, 1):
        first, second, again = rows_of(0, seed), rows_of(1, seed), rows_of(0, seed)
        assert first == again
        assert not first & second


def test_iterable_data_sets_have_a_stream_for_each_worker():
    def epoch():
        mix = collate()
        mix.set_epoch(1)
        return list(loader(mix, 2, Stream()))

    first = epoch()
    assert_equal(first, epoch())
    # The batches of worker w are numbers w, w + 2, …, of what this worker gives.
    rows = Rows()
    counts = [0, 0]
    for number, (mixed, _) in enumerate(first):
        worker = number % 2
        places = range(worker, N, 2)[BATCH * counts[worker] : BATCH * (counts[worker] + 1)]
        x, _ = default_collate([rows[i] for i in places])
        key = (5, 1, 0, worker + 2 * counts[worker], 0)
        plan = zeta_plan(len(x), num_mix=min(T, len(x)), rng=key, like=x)
        assert torch.equal(mixed, plan @ x)
        counts[worker] += 1
    assert sum(counts) == len(first) >= 7


def test_epochs_take_the_place_of_steps():
    mix = collate(stop_at=1, gamma=lambda epoch: 1.0 + epoch)
    mix.set_epoch(0)
    x, _ = default_collate([Rows()[i] for i in range(BATCH)])
    expected = zeta_plan(BATCH, gamma=1.0, num_mix=T, rng=(5, 0, 0, 0, 0), like=x) @ x
    torch.testing.assert_close(next(iter(loader(mix)))[0], expected)
    mix.set_epoch(1)
    assert torch.equal(next(iter(loader(mix)))[0], x)


def test_uint8_images_and_any_collate_function():
    images = torch.randint(0, 256, (4, 3, 8, 8), dtype=torch.uint8)
    samples = [(image, number) for number, image in enumerate(images)]
    mixed, soft = ZetaMixupCollate(num_classes=4, seed=0)(samples)
    plan = zeta_plan(4, rng=(0, 0, 0, 0, 0))
    assert torch.equal(mixed, (plan @ images).round().byte())
    assert soft.shape == (4, 4)

    def as_dict(samples):
        x, y = default_collate(samples)
        return {"pixels": x, "labels": y}

    out = ZetaMixupCollate(as_dict, num_classes=4, as_data=["pixels"], seed=0)(samples)
    assert torch.equal(out["pixels"], mixed)
    assert torch.equal(out["labels"], soft)


def test_copies_and_pickles_have_shared_memory_of_their_own():
    mix = collate()
    for other in (copy.copy(mix), copy.deepcopy(mix), pickle.loads(pickle.dumps(mix))):
        batches = loader(other, 1, persistent_workers=True)
        assert_equal(list(batches), list(loader(collate())))
        for epoch in (3, 4):
            other.set_epoch(epoch)
            expected = collate()
            expected.set_epoch(epoch)
            assert_equal(list(batches), list(loader(expected)))
    assert_equal(list(loader(mix)), list(loader(collate())))


def test_without_a_seed_draws_follow_torch():
    def run(seed):
        torch.manual_seed(seed)
        return list(loader(collate(seed=None), 1))

    assert_equal(run(1), run(1))
    assert not set(relative(run(1))) & set(relative(run(2)))


def test_ranks_that_share_memory_do_not_count_as_restarts_of_each_other(monkeypatch):
    """As ranks that were started with one collate function do before an epoch is set."""
    mix = collate()
    for rank in (0, 1):
        monkeypatch.setattr("zetamix.torch.collate.process_rank", lambda rank=rank: rank)
        assert_equal(list(loader(mix, 1)), list(loader(collate(rank=rank))))


def test_what_is_shown():
    text = repr(collate())
    assert text == "ZetaMixupCollate(default_collate, gamma=2.8, num_mix=3, num_classes=3, seed=5)"


@pytest.mark.parametrize(
    ("error", "message", "call"),
    [
        (TypeError, "collate_fn must be a callable or None, got 3", lambda: ZetaMixupCollate(3)),
        (TypeError, "got generator=", lambda: collate(generator=torch.Generator())),
        (ValueError, "seed must be an int from 0", lambda: collate(seed=-1)),
        (ValueError, "rank must be an int", lambda: collate(rank=-1)),
        (
            ValueError,
            "epoch must be an int from 0 to 2**32 - 1, got -1",
            lambda: collate().set_epoch(-1),
        ),
        (TypeError, "epoch must be an int", lambda: collate().set_epoch(1.0)),
        (ValueError, "gamma must be a number", lambda: collate(gamma=-1)),
        (
            ValueError,
            "integer classes need num_classes, got shape (1,) and dtype torch.int64",
            lambda: collate(num_classes=None)([Rows()[0]]),
        ),
    ],
)
def test_errors_name_rule_value_and_remedy(error, message, call):
    with pytest.raises(error) as caught:
        call()
    text = str(caught.value)
    assert message in text
    assert "; " in text


@pytest.mark.parametrize("workers", [0, 1])
def test_a_gamma_that_is_learned_elsewhere(workers):
    """A worker can't send tensors that require a gradient; the loader would wait for ever."""
    mix = collate(gamma=torch.tensor(2.8, requires_grad=True))
    batches = list(loader(mix, workers, timeout=60 if workers else 0))
    assert not batches[0][0].requires_grad
    assert_equal(batches, list(loader(collate(gamma=torch.tensor(2.8)))))


RANKS = """
import torch
from torch.utils.data import DataLoader, TensorDataset
import zetamix.torch.collate as module

def run(rank, mix, done, results):
    torch.set_num_threads(1)
    module.process_rank = lambda: rank
    mix.set_epoch(0)
    data = TensorDataset(torch.eye(40))
    options = {"num_workers": 1, "prefetch_factor": 1, "multiprocessing_context": "fork"}
    batches = iter(DataLoader(data, 8, collate_fn=mix, **options))
    seen = [next(batches)]
    if rank == 0:
        assert done.wait(60)
    seen += list(batches)
    if rank == 1:
        mix.set_epoch(1)
        done.set()
    results.put((rank, [batch[0].tolist() for batch in seen]))

def start(method):
    context = torch.multiprocessing.get_context(method)
    mix = module.ZetaMixupCollate(num_mix=3, labels_getter=None, seed=5)
    done, results = context.Event(), context.Queue()
    processes = [context.Process(target=run, args=(r, mix, done, results)) for r in range(2)]
    [process.start() for process in processes]
    seen = dict(results.get(timeout=90) for _ in processes)
    [process.join() for process in processes]
    for rank in range(2):
        alone = module.ZetaMixupCollate(num_mix=3, labels_getter=None, seed=5, rank=rank)
        data = TensorDataset(torch.eye(40))
        expected = [batch[0].tolist() for batch in DataLoader(data, 8, collate_fn=alone)]
        assert seen[rank] == expected, (method, rank)

if __name__ == "__main__":
    start("fork")
    start("spawn")
"""


def test_ranks_that_were_started_with_one_collate_function(tmp_path):
    """One rank is an epoch ahead of the other, which must not notice."""
    script = tmp_path / "ranks.py"
    script.write_text(RANKS)
    done = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
    )
    assert done.returncode == 0, done.stderr


def test_errors_in_workers_come_through():
    with pytest.raises(ValueError, match="integer classes need num_classes"):
        refused(loader(collate(num_classes=None), 1))


# --- any module -----------------------------------------------------------------------------------

MODULES = {
    "ZetaMixup": lambda: ZetaMixup(num_mix=T, num_classes=3, seed=5),
    "Mixup": lambda: Mixup(num_classes=3, seed=5),
    "CutMix": lambda: CutMix(axes=(-1,), num_classes=3, seed=5),
    "Mix": lambda: Mix(rules.Dirichlet(num_mix=T), num_classes=3, seed=5),
    "OneOf": lambda: OneOf([ZetaMixup(num_classes=3), Mixup(num_classes=3, seed=1)], seed=5),
    "foreign": lambda: OneOf([Shuffle()], seed=5),
}


class Shuffle(torch.nn.Module):
    """A module of another package, whose draws follow torch's generator."""

    def forward(self, x, y):
        order = torch.randperm(len(x))
        return x[order], y[order]


def two_epochs(mix, workers, persistent):
    batches = loader(mix, workers, persistent_workers=persistent)
    for epoch in (0, 1):
        mix.set_epoch(epoch)
        yield list(batches)


@pytest.mark.parametrize(
    ("name", "workers", "persistent"),
    [*((name, 2, False) for name in MODULES), ("OneOf", 3, True)],
)
def test_modules_draw_by_the_number_of_the_batch(name, workers, persistent):
    alone = list(two_epochs(Collate(MODULES[name]()), 0, False))
    given = list(two_epochs(Collate(MODULES[name]()), workers, persistent))
    for expected, epoch in zip(alone, given, strict=True):
        assert_equal(expected, epoch)


def test_twelve_batches_have_twelve_plans():
    for workers, persistent in ((0, False), (1, False), (2, True), (3, False)):
        epochs = two_epochs(Collate(MODULES["ZetaMixup"]()), workers, persistent)
        draws = [order for epoch in epochs for order in relative(epoch)[:6]]
        assert len(set(draws)) == 12


def test_a_rule_and_its_module_draw_alike():
    rule = rules.Zeta(num_mix=T)
    for module in (Mix(rule, num_classes=3), ZetaMixup(num_mix=T, num_classes=3)):
        assert_equal(list(loader(Collate(module, seed=5))), list(loader(collate())))
    assert_equal(list(loader(Collate(rule, num_classes=3, seed=5))), list(loader(collate())))


def test_a_collate_function_leaves_torch_and_the_steps_of_modules_alone():
    module = OneOf([Shuffle(), ZetaMixup(num_classes=3)], seed=5)
    state = torch.random.get_rng_state()
    list(loader(Collate(module), generator=torch.Generator()))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert [int(m.step) for m in (module, module.transforms[1])] == [0, 0]


class Collating:
    """A collate function that calls a module, as torchvision shows it."""

    def __init__(self, mix):
        self.mix = mix

    def __call__(self, samples):
        return self.mix(*default_collate(samples))


@pytest.mark.parametrize("name", ["ZetaMixup", "OneOf"])
def test_a_module_with_a_seed_is_refused_in_a_worker(name):
    module = MODULES[name]()
    list(loader(Collating(module)))  # one process counts for itself
    with pytest.raises(RuntimeError, match=r"worker 0 of 2; pass collate_fn=Collate\(module\)"):
        refused(loader(Collating(module), 2))


def test_a_graph_with_a_seed_is_refused_in_a_worker():
    step = torch.compile(ZetaMixup(num_mix=T, num_classes=3, seed=5), backend="eager")
    list(loader(Collating(step)))
    with pytest.raises(RuntimeError, match=r"pass collate_fn=Collate\(module\)"):
        refused(loader(Collating(step), 1))
    torch.compiler.reset()


def test_a_module_without_a_seed_follows_the_seed_of_its_worker():
    def run(seed, workers):
        torch.manual_seed(seed)
        return list(loader(Collating(ZetaMixup(num_mix=T, num_classes=3)), workers))

    for workers in (1, 3):
        assert_equal(run(1, workers), run(1, workers))
        assert len(set(relative(run(1, workers)[:6]))) == 6
        assert not set(relative(run(1, workers))) & set(relative(run(2, workers)))


@pytest.mark.parametrize(("workers", "persistent"), WORKERS)
def test_mixing_can_be_ended_without_an_epoch(workers, persistent):
    mix = collate()
    batches = loader(mix, workers, persistent_workers=persistent)
    first = list(batches)
    mix.eval()
    assert not mix.training
    plain = list(batches)
    assert_equal(plain, list(loader(default_collate)))
    mix.train()
    assert mix.training
    again = list(batches)  # what was not mixed was not counted
    other = collate()
    twice = loader(other, workers, persistent_workers=persistent)
    assert_equal(first + again, [*twice, *twice])


def test_a_loader_of_validation_may_share_what_is_switched():
    mix, expected = collate(), collate()
    for epoch in range(2):
        mix.set_epoch(epoch)
        list(loader(mix.eval(), 1))
        given = list(loader(mix.train(), 1))
        expected.set_epoch(epoch)
        assert_equal(given, list(loader(expected, 1)))


class Later(torch.utils.data.Sampler):
    """The batches of an epoch from the k-th on."""

    def __init__(self, first):
        self.first = first

    def __iter__(self):
        yield from [range(i, min(i + BATCH, N)) for i in range(BATCH * self.first, N, BATCH)]

    def __len__(self):
        return -(-N // BATCH) - self.first


@pytest.mark.parametrize(("workers", "persistent"), [(0, False), (2, False), (3, True)])
def test_a_run_that_was_stopped_goes_on(workers, persistent):
    whole = collate()
    epochs = []
    for epoch in (4, 5):
        whole.set_epoch(epoch)
        epochs.append(list(loader(whole)))
    for first in (0, 5):
        mix = collate()
        mix.set_epoch(4)
        next(iter(loader(mix, workers)))  # which is forgotten
        mix.set_epoch(4, first_batch=first)
        options = {"num_workers": workers, "persistent_workers": persistent}
        rest = DataLoader(Rows(), batch_sampler=Later(first), collate_fn=mix, **options)
        assert_equal(list(rest), epochs[0][first:])
        mix.set_epoch(5)
        assert_equal(list(loader(mix, workers)), epochs[1])


def test_the_same_epoch_goes_on_after_its_first_batch():
    mix = collate()
    mix.set_epoch(4, first_batch=3)
    (first, *_) = loader(mix)
    mix.set_epoch(4)
    (second, *_) = loader(mix)
    assert not torch.equal(first[0], second[0])
    mix.set_epoch(4, first_batch=3)
    assert torch.equal(next(iter(loader(mix)))[0], first[0])


def test_the_seed_and_rank_of_a_module_are_those_of_its_collate_function():
    mix = Collate(ZetaMixup(num_classes=3, seed=5, rank=2))
    assert (mix.seed, mix.rank) == (5, 2)
    assert Collate(ZetaMixup(num_classes=3), seed=7).seed == 7
    assert Collate(ZetaMixup(num_classes=3, seed=7), seed=7).seed == 7
    assert repr(mix) == (
        "Collate(default_collate, ZetaMixup(gamma=2.8, num_mix=None, num_classes=3, seed=5, "
        "rank=2), seed=5)"
    )


@pytest.mark.parametrize(
    ("error", "message", "call"),
    [
        (TypeError, "got Linear; put a module of another", lambda: Collate(torch.nn.Linear(1, 1))),
        (TypeError, "its own options, got ['p']", lambda: Collate(ZetaMixup(), p=0.5)),
        (TypeError, "got the module OneOf", lambda: ZetaMixupCollate(OneOf([ZetaMixup()]))),
        (TypeError, "got the module CutMix", lambda: Collate(rules.Zeta(), CutMix())),
        (
            ValueError,
            "got seed=1 and a ZetaMixup with seed 2",
            lambda: Collate(ZetaMixup(seed=2), seed=1),
        ),
        (
            ValueError,
            "all draws must use one seed, got OneOf without one for modules with seeds [2]",
            lambda: Collate(OneOf([ZetaMixup(seed=2)])),
        ),
        (
            ValueError,
            "workers can't share a generator, got a OneOf with one",
            lambda: Collate(OneOf([ZetaMixup(generator=torch.Generator())])),
        ),
        (ValueError, "first_batch must be an int", lambda: collate().set_epoch(0, first_batch=-1)),
        (TypeError, "mode must be a bool, got 1", lambda: collate().train(1)),
        (TypeError, "rule must", lambda: Collate(3)),
    ],
)
def test_what_a_collate_function_refuses(error, message, call):
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value)


def test_a_module_in_evaluation_mode_does_not_mix():
    mix = Collate(ZetaMixup(num_classes=3, seed=5).eval())
    assert not mix.training
    assert_equal(list(loader(mix)), list(loader(default_collate)))


def test_a_module_with_a_generator_is_refused_in_a_worker():
    module = ZetaMixup(num_mix=T, num_classes=3, generator=torch.Generator())
    list(loader(Collating(module)))
    with pytest.raises(RuntimeError, match="with a seed or a generator must not draw"):
        refused(loader(Collating(module), 1))


def test_a_choice_within_a_choice_is_made_by_another_number():
    """Else one of the inner members would never be drawn."""

    class Note(torch.nn.Module):
        def __init__(self, name):
            super().__init__()
            self.name = name

        def forward(self, x, y):
            return self.name

    mix = Collate(OneOf([OneOf([Note("a"), Note("b")]), Note("c")]), seed=5)
    names = [mix([Rows()[0]]) for _ in range(400)]
    for name, share in (("a", 0.25), ("b", 0.25), ("c", 0.5)):
        assert abs(names.count(name) / 400 - share) < 0.1, names.count(name)
