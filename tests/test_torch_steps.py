"""The step of a module of zetamix.torch: one count for each copy and process, for all threads."""

import copy
import multiprocessing
import pickle
import re
import sys
import threading
from multiprocessing.reduction import ForkingPickler

import pytest
import torch
from zetamix.torch import CutMix, Mixup, OneOf, ZetaMixup
from zetamix.torch import keys as draws

from zetamix_core import zeta_plan

pytestmark = [
    pytest.mark.needs("torch"),
    # JAX, which other tests may have imported, warns of any fork.
    pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning"),
]
X = torch.eye(16)


def steps(mix, count=5):
    """The steps of the next batches, from what was drawn."""
    known = [zeta_plan(16, num_mix=4, rng=(0, step, 0), like=X) for step in range(2 * count)]
    return [known.index(mix.draw(X)) for _ in range(count)]


def seeded():
    return ZetaMixup(num_mix=4, seed=0)


def count_in_child(mix, results):
    results.put(steps(mix))


# --- processes ------------------------------------------------------------------------------------


def test_processes_that_are_sent_one_module_count_for_themselves():
    """As `Process(args=(mix,))` sends it, by which torch moves tensors to shared memory."""
    mix = seeded()
    first, second = (ForkingPickler.loads(bytes(ForkingPickler.dumps(mix))) for _ in range(2))
    assert (steps(first), steps(second)) == ([0, 1, 2, 3, 4], [0, 1, 2, 3, 4])
    assert int(mix.step) == 0
    assert not mix.step.is_shared()


def test_a_model_in_shared_memory_counts_for_itself():
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), seeded()).share_memory()
    assert model[0].weight.is_shared()
    (sent,) = ForkingPickler.loads(bytes(ForkingPickler.dumps([model])))
    assert steps(sent[1]) == [0, 1, 2, 3, 4]
    assert int(model[1].step) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows can't fork")
@pytest.mark.parametrize("locked", [False, True])
def test_forked_processes_count_for_themselves(locked):
    """Even if another thread was counting when they were forked."""
    context, mix = multiprocessing.get_context("fork"), seeded()
    steps(mix, 2)
    results = context.SimpleQueue()
    processes = [context.Process(target=count_in_child, args=(mix, results)) for _ in range(2)]
    if locked:
        with draws._counting:
            [process.start() for process in processes]
    else:
        [process.start() for process in processes]
    [process.join(20) for process in processes]
    alive = [process.is_alive() for process in processes]
    [process.kill() for process in processes]
    assert not any(alive), "a child waits for a lock that nobody holds"
    assert [results.get() for _ in processes] == [[2, 3, 4, 5, 6]] * 2
    assert int(mix.step) == 2


# --- threads --------------------------------------------------------------------------------------


@pytest.fixture
def eager_threads():
    """Make threads take turns as often as they can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def in_threads(run, count=4):
    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]


def test_threads_that_share_a_module_never_share_a_plan(eager_threads):
    mix, seen = ZetaMixup(num_mix=4, seed=0), []
    in_threads(lambda _: seen.extend([mix.draw(X).indices for _ in range(500)]))
    assert len({indices.numpy().tobytes() for indices in seen}) == len(seen) == 2000
    assert int(mix.step) == 2000


def test_refusals_in_one_thread_do_not_repeat_the_plans_of_another(eager_threads):
    mix, seen, refused = ZetaMixup(num_mix=4, seed=0), [], torch.arange(16)

    def run(number):
        for _ in range(200):
            if number % 2:
                with pytest.raises(ValueError, match="mixed only if declared"):
                    mix(refused)
            else:
                seen.append(mix(X))

    in_threads(run)
    assert len({mixed.numpy().tobytes() for mixed in seen}) == len(seen) == 400


def test_a_step_is_given_back_under_the_lock():
    mix = seeded()
    _, step = mix._advance()
    thread = threading.Thread(target=mix._take_back, args=(step,))
    with draws._counting:
        thread.start()
        thread.join(0.1)
        assert int(mix.step) == 1, "another thread might count in between"
    thread.join()
    assert int(mix.step) == 0


# --- copies ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "of", [copy.copy, copy.deepcopy, lambda mix: pickle.loads(pickle.dumps(mix))]
)
def test_copies_count_for_themselves(of):
    mix = seeded()
    steps(mix, 3)
    other = of(mix)
    assert steps(other) == [3, 4, 5, 6, 7]
    assert int(mix.step) == 3
    assert steps(mix, 4) == [3, 4, 5, 6]
    assert (other.seed, other.rank) == (0, None)
    assert other.step.device.type == "cpu"
    assert of(ZetaMixup(rank=3)).rank == 3
    assert of(ZetaMixup()).seed is None


def test_a_shallow_copy_of_one_of_chooses_for_itself():
    """Its transforms are those of the original, as the parts of any module's copy are."""
    mix = OneOf([seeded()], seed=0)
    other = copy.copy(mix)
    other(X)
    assert (int(mix.step), int(other.step)) == (0, 1)
    assert other.transforms[0] is mix.transforms[0]


def test_copies_made_in_inference_mode_work_outside():
    with torch.inference_mode():
        mix = copy.deepcopy(seeded())
    assert steps(mix) == [0, 1, 2, 3, 4]


# --- batches that are refused ---------------------------------------------------------------------


@pytest.mark.parametrize("kind", [ZetaMixup, Mixup, CutMix])
def test_a_refused_batch_is_not_counted(kind):
    x, y = torch.rand(4, 3, 8, 8), torch.arange(4)
    mix, expected = kind(num_classes=4, seed=0), kind(num_classes=4, seed=0)
    for _ in range(2):
        with pytest.raises(ValueError, match="got values from 0 to 9"):
            mix(x, y * 3)
        for a, b in zip(mix(x, y), expected(x, y), strict=True):
            assert torch.equal(a, b)
    assert int(mix.step) == 2


def test_a_plan_that_is_refused_is_not_counted():
    def gamma(step):
        if fail:
            raise RuntimeError("no")
        return 2.8

    fail, mix = True, ZetaMixup(gamma=gamma, num_mix=4, seed=0)
    with pytest.raises(RuntimeError, match="no"):
        mix.draw(X)
    fail = False
    assert steps(mix) == [0, 1, 2, 3, 4]


def test_a_choice_whose_batch_is_refused_is_not_counted():
    mix = OneOf([ZetaMixup(num_classes=4, seed=0), CutMix(num_classes=4, seed=0)], seed=0)
    for _ in range(3):
        with pytest.raises(ValueError, match="got values from 0 to 9"):
            mix(torch.rand(4, 3, 8, 8), torch.arange(4) * 3)
    assert [int(part.step) for part in (mix, *mix.transforms)] == [0, 0, 0]


# --- the number itself ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "state",
    [
        torch.tensor([1, 2]),
        torch.tensor([5]),
        torch.tensor(float("nan")),
        torch.tensor(2.0),
        torch.tensor(-1),
        torch.tensor(True),
        torch.tensor(1, device="meta"),
        2.0,
        True,
        -1,
        2**63,
        None,
        "3",
    ],
    ids=repr,
)
@pytest.mark.parametrize("mix", [seeded(), OneOf([Mixup()])], ids=["ZetaMixup", "OneOf"])
def test_a_state_that_is_no_step_is_refused(mix, state):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is compared below
        mix.set_extra_state(state)
    received = state.item() if isinstance(state, torch.Tensor) and _is_readable(state) else state
    assert str(caught.value) == (
        f"the state of a module must be its step, a 0-d tensor of an integer from 0 to 2**63 - 1, "
        f"got {received!r}; pass what get_extra_state or state_dict returned"
    )
    assert int(mix.step) == 0


def _is_readable(state):
    return state.ndim == 0 and not state.is_meta


@pytest.mark.parametrize("state", [torch.tensor(3), torch.tensor(3, dtype=torch.uint8), 3])
def test_a_step_may_be_any_integer(state):
    mix = seeded()
    mix.set_extra_state(state)
    assert steps(mix, 4) == [3, 4, 5, 6]
    assert mix.step.dtype == torch.int64


def test_seeded_steps_end_at_the_largest_entry_of_a_key():
    mix = seeded()
    mix.set_extra_state(torch.tensor(2**32 - 1))
    assert mix.draw(X) == zeta_plan(16, num_mix=4, rng=(0, 2**32 - 1, 0), like=X)
    message = (
        "a module with a seed draws for steps from 0 to 2**32 - 1, got step 4294967296; make a "
        "new module with another seed, which begins at step 0"
    )
    for run in (mix, mix.draw, torch.compile(mix, backend="eager"), OneOf([mix])):
        with pytest.raises(ValueError, match=re.escape(message)):
            run(X)
        assert int(mix.step) == 2**32
    torch.compiler.reset()


def test_steps_without_a_seed_do_not_end():
    mix = ZetaMixup(num_mix=4)
    mix.set_extra_state(torch.tensor(2**32))
    assert not torch.equal(mix(X), mix(X))
    assert int(mix.step) == 2**32 + 2
