"""The native stream of CuPy: draws on the array's device, without a transfer."""

from __future__ import annotations

from typing import Any

import array_api_compat.cupy
import cupy

from zetamix_core.arrays import Array
from zetamix_core.dtypes import weights_dtype
from zetamix_core.random.stream import NativeStream, shortened
from zetamix_core.rounding import on_grid


class CupyStream(NativeStream):
    """Draws with a CuPy Generator or RandomState (None: the default of the device)."""

    xp = array_api_compat.cupy

    def __init__(self, generator: Any, like: Array) -> None:
        self._device = like.device
        with self._device:
            self._generator = cupy.random.get_random_state() if generator is None else generator
        self._dtype = weights_dtype(like)

    def orderings(self, num_outputs: int, n: int, num_mix: int, *, anchored: bool) -> Array:
        with self._device:
            return super().orderings(num_outputs, n, num_mix, anchored=anchored)

    def dirichlet(
        self,
        alpha: float,
        shape: tuple[int, int],
        *,
        rounded: bool = True,
        lengths: Array | None = None,
    ) -> Array:
        # As for torch: the logarithm of a gamma variate of small shape, without underflow.
        with self._device:
            boosted = self._generator.standard_gamma(alpha + 1.0, size=shape, dtype="float64")
            logs = cupy.log(boosted) + cupy.log1p(-self._doubles(shape)) / alpha
            if lengths is None:
                lengths = cupy.full((shape[0],), shape[1])
            weights = shortened(self.xp, logs, lengths)
            return on_grid(weights, self._dtype) if rounded else weights.astype(self._dtype)

    def uniform(self, shape: tuple[int, ...]) -> Array:
        with self._device:
            return self._doubles(shape).astype(self._dtype)

    def anchors(self, num_outputs: int, n: int) -> Array:
        return cupy.arange(num_outputs)[None, :] % n

    def digits(self, limits: Array) -> Array:
        return (self._doubles(tuple(limits.shape)) * limits).astype(cupy.int64)

    def permutations(self, rows: int, n: int) -> Array:
        return cupy.argsort(self._doubles((rows, n)), axis=1)

    def _doubles(self, shape: tuple[int, ...]) -> Array:
        draw = getattr(self._generator, "random", None) or self._generator.random_sample
        return draw(size=shape, dtype="float64")
