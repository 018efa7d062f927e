"""The native stream of JAX: draws from an explicit key, traceable."""

from __future__ import annotations

import jax
from jax import numpy as jnp

from zetamix_core._arrays import Array, device_of, is_jax_tracer, weights_dtype
from zetamix_core.sampling._stream import ArrangingStream, Step, floyd, takes_few


class JaxStream(ArrangingStream):
    """Draws from a key, split anew for each call."""

    xp = jnp

    def __init__(self, key: Array, like: Array) -> None:
        # Numbers are drawn where their key is.
        device = device_of(like)
        self._key = key if device is None else jax.device_put(key, device)
        self._dtype = weights_dtype(like)

    def dirichlet(self, alpha: float, shape: tuple[int, int]) -> Array:
        rows, columns = shape
        concentration = jnp.full((columns,), alpha, dtype=self._dtype)
        return jax.random.dirichlet(self._next(), concentration, (rows,), dtype=self._dtype)

    def uniform(self, shape: tuple[int, ...]) -> Array:
        return jax.random.uniform(self._next(), shape, dtype=self._dtype)

    def anchors(self, num_outputs: int, n: int) -> Array:
        return jnp.arange(num_outputs)[:, None] % n

    def arrangements(self, rows: int, n: int, length: int) -> Array:
        if not takes_few(n, length):
            return self._shuffle(jnp.broadcast_to(jnp.arange(n), (rows, n)))[:, :length]
        limits = jnp.arange(n - length + 1, n + 1)[None, :]
        draws = jax.random.randint(self._next(), (rows, length), 0, limits, dtype=limits.dtype)
        return self._shuffle(floyd(jnp, draws, n, _fori_loop))

    def _shuffle(self, rows: Array) -> Array:
        return jax.random.permutation(self._next(), rows, axis=1, independent=True)

    def _next(self) -> Array:
        self._key, key = jax.random.split(self._key)
        return key


def _fori_loop(count: int, step: Step, state: Array) -> Array:
    return jax.lax.fori_loop(0, count, step, state)


def is_key(value: object) -> bool:
    """Tell whether `value` is one JAX key, typed or raw."""
    if not isinstance(value, jax.Array):
        return False
    if jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
        return value.ndim == 0
    return value.shape in ((2,), (4,)) and value.dtype == jnp.uint32


def is_tracing(like: Array) -> bool:
    """Tell whether host numbers drawn now would be frozen into a traced function.

    Inside ``jit`` even an addition of constants is staged. Under eager ``vmap`` it is not, but the
    array itself then has no value to give. Eager ``grad`` runs with values, and is not tracing.
    """
    if isinstance(jnp.add(0, 0), jax.core.Tracer):
        return True
    return is_jax_tracer(like) and like.to_concrete_value() is None
