"""Streams for torch: native draws on the tensor's device, and portable ones from keys in graphs."""

from __future__ import annotations

from typing import Any

import array_api_compat.torch
import numpy as np
import torch

from zetamix_core.arrays import Array
from zetamix_core.donors import Pool, moved
from zetamix_core.dtypes import weights_dtype
from zetamix_core.random.portable import PortableStream
from zetamix_core.random.seeds import seed_sequence
from zetamix_core.random.stream import NativeStream, Stream, shortened
from zetamix_core.rounding import on_grid

_WORD_LIMIT = 2**62


class TorchStream(NativeStream):
    """Draws with a torch generator (None: the default generator) on the device of `like`."""

    xp = array_api_compat.torch

    def __init__(self, generator: torch.Generator | None, like: Array) -> None:
        # Dynamo can't pass on generator=None where the size is symbolic.
        self._source: dict[str, Any] = {} if generator is None else {"generator": generator}
        self._device = like.device
        self._dtype = weights_dtype(like)

    def dirichlet(
        self,
        alpha: float,
        shape: tuple[int, int],
        *,
        rounded: bool = True,
        lengths: Array | None = None,
    ) -> Array:
        # A gamma variate of shape alpha is one of shape alpha + 1 times U^(1/alpha); its logarithm
        # does not underflow where alpha is small.
        concentration = torch.full(shape, alpha + 1.0, device=self._device, dtype=self._dtype)
        boosted = torch._standard_gamma(concentration, **self._source)
        exponents = torch.log1p(-self.uniform(shape)) / alpha
        logs = torch.log(boosted) + exponents
        if lengths is None:
            weights = torch.softmax(logs, dim=-1)
        else:
            weights = shortened(self.xp, logs, lengths)
        return on_grid(weights, self._dtype) if rounded else weights

    def uniform(self, shape: tuple[int, ...]) -> Array:
        return torch.rand(shape, **self._source, device=self._device, dtype=self._dtype)

    def anchors(self, num_outputs: int, n: int) -> Array:
        return torch.arange(num_outputs, device=self._device)[None, :] % n

    def digits(self, limits: Array) -> Array:
        return self._words(tuple(limits.shape)) % limits

    def permutations(self, rows: int, n: int) -> Array:
        return torch.argsort(self._words((rows, n)), dim=1)

    def _words(self, shape: tuple[int, ...]) -> Array:
        return torch.randint(
            _WORD_LIMIT, shape, **self._source, device=self._device, dtype=torch.int64
        )


# --- portable draws inside graphs -----------------------------------------------------------------


class KeyStream(Stream):
    """Portable draws from a key in a tensor, each an operator that torch.compile keeps whole."""

    def __init__(self, key: Array, like: Array) -> None:
        self._key = key
        self._place = like.device
        self._dtype = weights_dtype(like)
        self._calls = 0

    def orderings(self, num_outputs: int, n: int, num_mix: int, *, anchored: bool) -> Array:
        return _orderings(self._key, num_outputs, n, num_mix, anchored, self._place)

    def partners(self, pool: Pool, num_mix: int) -> tuple[Array, Array]:
        pool = moved(pool, torch.empty((), dtype=torch.int64, device="cpu"))
        given = (pool.n, pool.num_outputs, pool.anchors, pool.donors, pool.values)
        found: tuple[Array, Array] = _partners(self._key, *given, num_mix, self._place)
        return found

    def dirichlet(
        self,
        alpha: float,
        shape: tuple[int, int],
        *,
        rounded: bool = True,
        lengths: Array | None = None,
    ) -> Array:
        place = (self._dtype, self._place)
        numbers: Array = _dirichlet(
            self._key, self._calls, alpha, list(shape), rounded, lengths, *place
        )
        self._calls += 1
        return numbers

    def uniform(self, shape: tuple[int, ...]) -> Array:
        numbers: Array = _uniform(self._key, self._calls, list(shape), self._dtype, self._place)
        self._calls += 1
        return numbers


def _portable(
    key: torch.Tensor, device: torch.device, dtype: torch.dtype = torch.float32, calls: int = 0
) -> PortableStream:
    like = torch.empty((), dtype=dtype, device=device)
    return PortableStream(seed_sequence(tuple(key.tolist())), like, calls=calls)


@torch.library.custom_op("zetamix::orderings", mutates_args=())
def _orderings(
    key: torch.Tensor,
    num_outputs: int,
    n: int,
    num_mix: int,
    anchored: bool,
    device: torch.device,
) -> torch.Tensor:
    stream = _portable(key, device)
    indices: torch.Tensor = stream.orderings(num_outputs, n, num_mix, anchored=anchored)
    return indices


@torch.library.custom_op("zetamix::dirichlet", mutates_args=())
def _dirichlet(
    key: torch.Tensor,
    calls: int,
    alpha: float,
    shape: list[int],
    rounded: bool,
    lengths: torch.Tensor | None,
    dtype: torch.dtype,
    device: torch.device,
) -> torch.Tensor:
    rows, columns = shape
    stream = _portable(key, device, dtype, calls)
    host = None if lengths is None else lengths.cpu().numpy()
    numbers: torch.Tensor = stream.dirichlet(alpha, (rows, columns), rounded=rounded, lengths=host)
    return numbers


@torch.library.custom_op("zetamix::partners", mutates_args=())
def _partners(
    key: torch.Tensor,
    n: int,
    num_outputs: int,
    anchors: torch.Tensor | None,
    donors: str,
    values: torch.Tensor | None,
    num_mix: int,
    device: torch.device,
) -> tuple[torch.Tensor, torch.Tensor]:
    pool = Pool(n, num_outputs, anchors, donors, values)
    indices, lengths = _portable(key, device).partners(pool, num_mix)
    return indices, torch.from_numpy(lengths).to(device)


@torch.library.custom_op("zetamix::uniform", mutates_args=())
def _uniform(
    key: torch.Tensor, calls: int, shape: list[int], dtype: torch.dtype, device: torch.device
) -> torch.Tensor:
    numbers: torch.Tensor = _portable(key, device, dtype, calls).uniform(tuple(shape))
    return numbers


@_orderings.register_fake
def _(
    key: torch.Tensor,
    num_outputs: int,
    n: int,
    num_mix: int,
    anchored: bool,
    device: torch.device,
) -> torch.Tensor:
    return torch.empty((num_outputs, num_mix), dtype=torch.int64, device=device)


@_partners.register_fake
def _(
    key: torch.Tensor,
    n: int,
    num_outputs: int,
    anchors: torch.Tensor | None,
    donors: str,
    values: torch.Tensor | None,
    num_mix: int,
    device: torch.device,
) -> tuple[torch.Tensor, torch.Tensor]:
    indices = torch.empty((num_outputs, num_mix), dtype=torch.int64, device=device)
    return indices, torch.empty((num_outputs,), dtype=torch.int64, device=device)


@_dirichlet.register_fake
def _(
    key: torch.Tensor,
    calls: int,
    alpha: float,
    shape: list[int],
    rounded: bool,
    lengths: torch.Tensor | None,
    dtype: torch.dtype,
    device: torch.device,
) -> torch.Tensor:
    return torch.empty(shape, dtype=dtype, device=device)


@_uniform.register_fake
def _(
    key: torch.Tensor, calls: int, shape: list[int], dtype: torch.dtype, device: torch.device
) -> torch.Tensor:
    return torch.empty(shape, dtype=dtype, device=device)


# --- other sources --------------------------------------------------------------------------------


def seed_from(generator: torch.Generator | None) -> np.random.SeedSequence:
    """Return a seed drawn from a CPU generator, which advances by eight numbers."""
    words = torch.randint(2**32, (8,), generator=generator, dtype=torch.int64, device="cpu")
    return np.random.SeedSequence(words.tolist())
