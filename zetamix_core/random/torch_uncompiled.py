"""The parts of streams for torch that `torch.compile` can't trace.

Importing this module imports the compiler, which takes longer than torch itself. So other modules
import it only while a graph is traced.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from zetamix_core.arrays import Array
from zetamix_core.donors import Pool
from zetamix_core.random.stream import Stream

_outside_graphs = torch.compiler.disable(  # type: ignore[no-untyped-call]
    reason="this rng draws outside of graphs and can't be traced; pass rng='device' to draw inside"
)


class UncompiledStream(Stream):
    """A stream that torch.compile runs eagerly, for the reason that it shows."""

    @_outside_graphs  # type: ignore[untyped-decorator]
    def __init__(self, make: Callable[[], Stream]) -> None:
        self._stream = make()

    @_outside_graphs  # type: ignore[untyped-decorator]
    def orderings(self, num_outputs: int, n: int, num_mix: int, *, anchored: bool) -> Array:
        return self._stream.orderings(num_outputs, n, num_mix, anchored=anchored)

    @_outside_graphs  # type: ignore[untyped-decorator]
    def dirichlet(
        self,
        alpha: float,
        shape: tuple[int, int],
        *,
        rounded: bool = True,
        lengths: Array | None = None,
    ) -> Array:
        return self._stream.dirichlet(alpha, shape, rounded=rounded, lengths=lengths)

    @_outside_graphs  # type: ignore[untyped-decorator]
    def partners(self, pool: Pool, num_mix: int) -> tuple[Array, Array]:
        return self._stream.partners(pool, num_mix)

    @_outside_graphs  # type: ignore[untyped-decorator]
    def uniform(self, shape: tuple[int, ...]) -> Array:
        return self._stream.uniform(shape)


@_outside_graphs  # type: ignore[untyped-decorator]
def uncompiled(make: Callable[[], Stream]) -> UncompiledStream:
    stream: UncompiledStream = UncompiledStream(make)
    return stream
