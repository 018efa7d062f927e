"""The keys of a module's draws: its seed or torch's generator, the step, the rank."""

from __future__ import annotations

import os
import threading
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TypeAlias

import torch
from torch import Tensor, distributed, nn
from torch.utils.data import get_worker_info

from zetamix_core.adapting import checked_part, is_whole_number

# The numbers of a draw, as stream_for takes them.
Key: TypeAlias = tuple[int, ...] | Tensor

_SEED_LIMIT = 2**63
_WORD_LIMIT = 2**62
_STEP_LIMIT = 2**32
_UNKNOWN = -1

# One lock for the counters of all modules, which hold it for microseconds: an attribute would have
# to be left out of pickles and copies.
_counting = threading.Lock()


def _unlock() -> None:
    global _counting
    _counting = threading.Lock()


if hasattr(os, "register_at_fork"):
    # Another thread of the parent, which a forked child does not have, may hold the lock.
    os.register_at_fork(after_in_child=_unlock)


class KeyedModule(nn.Module):
    """A module that draws for each batch, by a counter of the batches.

    Draws are portable, from the key (seed, step, rank) or, without a seed, (a number from the
    generator, rank). In graphs of ``torch.compile`` keys are tensors, which are traced without
    reading them.

    Each copy of a module and each process counts on its own. Threads that share a module never get
    the same step, except in graphs of ``torch.compile``, which can't lock.
    """

    def __init__(
        self, *, seed: int | None, generator: torch.Generator | None, rank: int | None
    ) -> None:
        super().__init__()
        check_parts(seed, rank)
        _check_generator(generator, seed)
        self.generator = generator
        self._begin(0, seed, rank)

    @property
    def seed(self) -> int | None:
        """The seed, None where draws follow a generator."""
        return None if self._seed is None else int(self._seed)

    @property
    def rank(self) -> int | None:
        """The rank, None where torch.distributed provides it."""
        return None if int(self._rank) == _UNKNOWN else int(self._rank)

    def get_extra_state(self) -> Tensor:
        """Return the number of batches mixed so far, which `state_dict` keeps."""
        return self.step.clone()

    def set_extra_state(self, state: Tensor) -> None:
        """Continue from a number of batches, as `load_state_dict` does."""
        self.step.fill_(_checked_step(state))

    def __getstate__(self) -> dict[str, Any]:
        # Numbers: tensors would be shared with the copy, or moved to memory that processes share.
        numbers = {"step": int(self.step), "_seed": self.seed, "_rank": self.rank}
        return {**super().__getstate__(), **numbers}  # type: ignore[no-untyped-call]

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self._begin(state["step"], state["_seed"], state["_rank"])

    def _begin(self, step: int, seed: int | None, rank: int | None) -> None:
        # No buffers: they are read on the host, and must not follow the module to an accelerator.
        with torch.inference_mode(False):
            self.step = torch.tensor(step, dtype=torch.int64, device="cpu")
            self._seed = None if seed is None else on_host([seed])
            self._rank = on_host([_UNKNOWN if rank is None else rank])

    @abstractmethod
    def _mix(self, batch: Any, key: Key, step: Tensor) -> Any:
        """Mix a batch by draws from a key."""

    @abstractmethod
    def _unmixed(self, batch: Any) -> Any:
        """Return an unmixed batch in the form of mixed ones."""

    def _counted(self, run: Callable[[Any, Key, Tensor], Any], batch: Any) -> Any:
        """Return `run(batch, key, step)`, and count the batch unless it is refused."""
        key, step = self._advance()
        if torch.compiler.is_compiling():
            return run(batch, key, step)
        try:
            return run(batch, key, step)
        except BaseException:
            self._take_back(step)
            raise

    def _advance(self) -> tuple[Key, Tensor]:
        """Return the key and the number of this batch, and count it."""
        if torch.compiler.is_compiling():
            return self._next()
        with _counting:
            return self._next()

    def _next(self) -> tuple[Key, Tensor]:
        step = self.step.clone()
        if torch.compiler.is_compiling():
            seed = self._seed
            head = draw_word(self.generator) if seed is None else torch.cat([seed, step[None]])
            key: Key = _with_rank_in_graphs(head, self._rank)
        elif self._seed is None:
            key = _with_rank((int(draw_word(self.generator)),), int(self._rank))
        else:
            key = _with_rank((int(self._seed), int(step)), int(self._rank))
        self.step.add_(1)
        return key, step

    def _take_back(self, step: Tensor) -> None:
        """Uncount a batch, unless another thread has counted one after it."""
        with _counting:
            if int(self.step) == int(step) + 1:
                self.step.copy_(step)


def _with_rank(head: tuple[int, ...], rank: int) -> tuple[int, ...]:
    """Append the rank to a key, whose step is checked."""
    if len(head) > 1:
        _check_step(head[1])
        if (worker := get_worker_info()) is not None:
            _refuse_worker(worker.id, worker.num_workers)
    return (*head, (process_rank() or 0) if rank == _UNKNOWN else rank)


@torch.library.custom_op("zetamix::with_rank", mutates_args=())
def _with_rank_in_graphs(head: Tensor, rank: Tensor) -> Tensor:
    """Append the rank, which is read when a graph runs, not when it is traced."""
    return on_host(_with_rank(tuple(head.tolist()), int(rank)))


@_with_rank_in_graphs.register_fake
def _(head: Tensor, rank: Tensor) -> Tensor:
    return head.new_empty(head.shape[0] + 1)


def process_rank() -> int | None:
    """Return the rank of this process, None where torch.distributed is not set up."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank()
    return None


def longer(key: Key, number: int) -> Key:
    """Return a key with one more entry."""
    if isinstance(key, tuple):
        return (*key, number)
    return torch.cat([key, on_host([number])])


def on_host(numbers: Sequence[int]) -> Tensor:
    """Return a key, on the CPU whatever the default device is."""
    return torch.tensor(numbers, dtype=torch.int64, device="cpu")


def draw_word(generator: torch.Generator | None) -> Tensor:
    """Return a random number of shape (1,), from a generator or torch's default one."""
    if generator is None:
        return torch.randint(_WORD_LIMIT, (1,), dtype=torch.int64, device="cpu")
    if torch.compiler.is_compiling():
        from zetamix.torch import graph_breaks

        word: Tensor = graph_breaks.word_of(generator)
        return word
    return word_of(generator)


def word_of(generator: torch.Generator) -> Tensor:
    if (worker := get_worker_info()) is not None:
        _refuse_worker(worker.id, worker.num_workers)
    return torch.randint(_WORD_LIMIT, (1,), generator=generator, dtype=torch.int64, device="cpu")


def check_parts(seed: Any, rank: Any) -> None:
    """Check the seed and the rank that a module was given, if any."""
    if seed is not None:
        checked_part("seed", seed, 63)
    if rank is not None:
        checked_part("rank", rank, 32, "pass None for the rank from torch.distributed")


def _check_step(step: int) -> None:
    if not 0 <= step < _STEP_LIMIT:
        raise ValueError(
            f"a module with a seed draws for steps from 0 to 2**32 - 1, got step {step}; make a "
            f"new module with another seed, which begins at step 0"
        )


def _refuse_worker(worker: int, num_workers: int) -> NoReturn:
    raise RuntimeError(
        f"a module with a seed or a generator must not draw in the workers of a loader, which "
        f"would all draw the same, got a call in worker {worker} of {num_workers}; pass "
        f"collate_fn=Collate(module), which numbers the batches of all workers"
    )


def _checked_step(state: Any) -> int:
    """Return the step that a `state_dict` holds."""
    if isinstance(state, Tensor) and not state.is_meta and state.ndim == 0:
        state = state.item()
    if not is_whole_number(state) or not 0 <= state < _SEED_LIMIT:
        raise ValueError(
            f"the state of a module must be its step, a 0-d tensor of an integer from 0 to "
            f"2**63 - 1, got {state!r}; pass what get_extra_state or state_dict returned"
        )
    return int(state)


def _check_generator(generator: Any, seed: int | None) -> None:
    if generator is None:
        return
    if seed is not None:
        raise ValueError(f"pass seed or generator, not both, got seed={seed}; leave one out")
    if not isinstance(generator, torch.Generator):
        raise TypeError(
            f"generator must be a torch.Generator or None, got {type(generator).__name__}; pass "
            f"seed= for a number"
        )
    if generator.device.type != "cpu":
        raise ValueError(
            f"generator must be on the CPU, where it seeds draws for any device without "
            f"synchronization, got one on {generator.device}; pass torch.Generator()"
        )
