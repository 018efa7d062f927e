"""Which numbers a module draws: its seed or torch's generator, the step, the rank."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed, nn

_SEED_LIMIT = 2**63
_WORD_LIMIT = 2**62


class Drawing(nn.Module):
    """A module that draws for each batch, by a counter of the batches.

    Draws are portable ones of the key (seed, step, rank) or, without a seed, of (a number of the
    generator, rank): keys are tensors, which ``torch.compile`` traces.
    """

    def __init__(
        self, *, seed: int | None, generator: torch.Generator | None, rank: int | None
    ) -> None:
        super().__init__()
        check_seed(seed)
        check_rank(rank)
        _check_generator(generator, seed)
        self.seed = seed
        self.generator = generator
        self.rank = rank
        # No buffer: it is read on the host, and must not follow the module to an accelerator.
        self.step = torch.zeros((), dtype=torch.int64, device="cpu")

    def get_extra_state(self) -> Tensor:
        """Return the number of batches mixed so far, which `state_dict` keeps."""
        return self.step.clone()

    def set_extra_state(self, state: Tensor) -> None:
        """Go on from a number of batches, as `load_state_dict` does."""
        self.step.copy_(state)

    def _advance(self) -> tuple[Tensor, Tensor]:
        """Return the key and the number of this batch, and count it."""
        step = self.step.clone()
        self.step.add_(1)
        rank = process_rank() if self.rank is None else self.rank
        if self.seed is None:
            return torch.cat([draw_word(self.generator), on_host([rank])]), step
        return torch.cat([on_host([self.seed]), step[None], on_host([rank])]), step


def process_rank() -> int:
    """Return the rank of this process, 0 where torch.distributed is not set up."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank()
    return 0


def on_host(numbers: list[int]) -> Tensor:
    """Return a key, on the CPU whatever the default device is."""
    return torch.tensor(numbers, dtype=torch.int64, device="cpu")


def draw_word(generator: torch.Generator | None) -> Tensor:
    """Return a random number of shape (1,), of a generator or of torch's default one."""
    if generator is not None:
        word: Tensor = _word_of(generator)
        return word
    return torch.randint(_WORD_LIMIT, (1,), dtype=torch.int64, device="cpu")


@torch.compiler.disable(  # type: ignore[untyped-decorator,no-untyped-call]
    reason="a torch.Generator can't be traced; pass seed= to draw inside of graphs"
)
def _word_of(generator: torch.Generator) -> Tensor:
    return torch.randint(_WORD_LIMIT, (1,), generator=generator, dtype=torch.int64, device="cpu")


def check_seed(seed: Any) -> None:
    if seed is None:
        return
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise TypeError(
            f"seed must be an int or None, got {seed!r} of type {type(seed).__name__}; pass None "
            f"to follow torch.manual_seed"
        )
    if not 0 <= seed < _SEED_LIMIT:
        raise ValueError(f"seed must be from 0 to 2**63 - 1, got {seed}; take it modulo 2**63")


def check_rank(rank: Any) -> None:
    if rank is not None and (isinstance(rank, bool) or not isinstance(rank, int) or rank < 0):
        raise ValueError(
            f"rank must be an int >= 0 or None, got {rank!r}; pass None for the rank that "
            f"torch.distributed tells"
        )


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
