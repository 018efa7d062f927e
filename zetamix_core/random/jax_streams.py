"""The native stream of JAX: draws from an explicit key, traceable."""

from __future__ import annotations

import functools

import jax
from jax import numpy as jnp

from zetamix_core.arrays import Array, device_of
from zetamix_core.dtypes import weights_dtype
from zetamix_core.random.stream import NativeStream, shortened
from zetamix_core.rounding import on_grid

# Words of a permutation have this many random bits more than twice the bits that count the things,
# so two are equal in about one of two million permutations.
_SPARE_BITS = 20


class JaxStream(NativeStream):
    """Draws from a key, split anew for each call."""

    xp = jnp

    def __init__(self, key: Array, like: Array) -> None:
        # Numbers are drawn where their key is.
        device = device_of(like)
        self._key = key if device is None else jax.device_put(key, device)
        self._dtype = weights_dtype(like)

    def dirichlet(
        self,
        alpha: float,
        shape: tuple[int, int],
        *,
        rounded: bool = True,
        lengths: Array | None = None,
    ) -> Array:
        rows, columns = shape
        if lengths is None:
            concentration = jnp.full((columns,), alpha, dtype=self._dtype)
            weights = jax.random.dirichlet(self._next(), concentration, (rows,), dtype=self._dtype)
        else:
            logs = jax.random.loggamma(self._next(), alpha, shape, dtype=self._dtype)
            weights = shortened(jnp, logs, lengths)
        return on_grid(weights, self._dtype) if rounded else weights

    def uniform(self, shape: tuple[int, ...]) -> Array:
        return jax.random.uniform(self._next(), shape, dtype=self._dtype)

    def anchors(self, num_outputs: int, n: int) -> Array:
        return jnp.arange(num_outputs)[None, :] % n

    def digits(self, limits: Array) -> Array:
        return _digits(self._next(), limits)

    def permutations(self, rows: int, n: int) -> Array:
        return _permutations(self._next(), rows, n)

    def stepped(self, digits: Array) -> Array:
        return _step_over(digits)

    @property
    def key(self) -> Array:
        """The key with which a stream of all following numbers would start."""
        return self._key

    def _next(self) -> Array:
        self._key, key = jax.random.split(self._key)
        return key


# One program each: run operation by operation, loops would be recompiled in every call.
@jax.jit
def _digits(key: Array, limits: Array) -> Array:
    return jax.random.randint(key, limits.shape, 0, limits, dtype=limits.dtype)


@jax.jit
def _step_over(digits: Array) -> Array:
    """Do what `stream.step_over` does, in a loop that can be traced."""
    length = digits.shape[0]
    ranks = jnp.arange(length)[:, None]

    def step(count: int, digits: Array) -> Array:
        rank = length - 2 - count
        moves = (ranks > rank) & (digits >= digits[rank][None, :])
        return digits + moves.astype(digits.dtype)

    return jax.lax.fori_loop(0, length - 1, step, digits)


@functools.partial(jax.jit, static_argnums=(1, 2))
def _permutations(key: Array, rows: int, n: int) -> Array:
    """Return permutations, by sorting words whose low bits are the things to permute.

    Sorting one array is several times faster than sorting one by another. The remaining bits are
    too few to exclude ties, so there are rounds, each a stable sort of the last.
    """
    low_bits = max(n - 1, 0).bit_length()
    low = jnp.uint32(2**low_bits - 1)
    num_rounds = -(-(2 * low_bits + _SPARE_BITS) // (32 - low_bits))
    places = jnp.arange(n, dtype=jnp.uint32)[None, :]
    order = jnp.broadcast_to(jnp.arange(n), (rows, n))
    for round_key in jax.random.split(key, num_rounds):
        words = jax.random.bits(round_key, (rows, n), dtype=jnp.uint32)
        taken = jnp.sort((words & ~low) | places, axis=1) & low
        order = jnp.take_along_axis(order, taken, axis=1)
    return order
