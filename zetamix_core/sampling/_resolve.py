"""From the `rng` argument to a stream: dispatch by its type and the library of the plan."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from zetamix_core._arrays import (
    Array,
    is_cupy,
    is_dask,
    is_jax,
    is_torch,
    is_whole_number,
    library,
    torch_is_compiling,
)
from zetamix_core.sampling._portable import PortableStream
from zetamix_core.sampling._stream import Stream

_ACCEPTED = (
    "rng must be None, an int, a tuple (seed, *key), a numpy SeedSequence or Generator, "
    "a generator or key of the array's library, or 'device'"
)


def stream_for(rng: Any, like: Array | None) -> Stream:
    """Return the stream that `rng` stands for, drawing for the library and device of `like`."""
    if is_torch(like):
        return _torch_stream(rng, like)
    if is_jax(like):
        return _jax_stream(rng, like)
    if is_cupy(like):
        return _cupy_stream(rng, like)
    return _portable_stream(rng, like)


def _torch_stream(rng: Any, like: Array) -> Stream:
    from zetamix_core.sampling import _torch

    if not torch_is_compiling():
        return _eager_torch_stream(rng, like)
    if _is_device_word(rng):
        return _torch.TorchStream(None, like)
    return _torch.uncompiled(lambda: _eager_torch_stream(rng, like))  # type: ignore[no-any-return]


def _eager_torch_stream(rng: Any, like: Array) -> Stream:
    from zetamix_core.sampling import _torch

    torch = sys.modules["torch"]
    if _is_device_word(rng):
        generator, device = None, like.device
    elif isinstance(rng, torch.Generator):
        generator, device = rng, rng.device
    else:
        return _portable_stream(rng, like)
    if device.type == "cpu":
        # Seeding the portable sampler is faster on a CPU, and serves tensors on any device.
        return PortableStream(_torch.seed_from(generator), like)
    if device != like.device:
        raise ValueError(
            f"a torch.Generator on an accelerator draws for its own device only, got a generator "
            f"on {device} and a tensor on {like.device}; use torch.Generator(device="
            f"{str(like.device)!r}) or one on the CPU"
        )
    return _torch.TorchStream(generator, like)


def _jax_stream(rng: Any, like: Array) -> Stream:
    from zetamix_core.sampling import _jax

    if _jax.is_key(rng):
        return _jax.JaxStream(rng, like)
    if _is_device_word(rng):
        raise ValueError(
            "JAX has no default generator, got rng='device'; pass a key: rng=jax.random.key(0)"
        )
    if _jax.is_tracing(like):
        raise TypeError(
            f"a portable rng can't be drawn inside a JAX transformation, where it would be frozen "
            f"into the traced function, got rng={rng!r}; pass a key: rng=jax.random.key(0)"
        )
    return _portable_stream(rng, like)


def _cupy_stream(rng: Any, like: Array) -> Stream:
    from zetamix_core.sampling import _cupy

    cupy = sys.modules["cupy"]
    if _is_device_word(rng):
        return _cupy.CupyStream(None, like)
    if isinstance(rng, cupy.random.Generator | cupy.random.RandomState):
        return _cupy.CupyStream(rng, like)
    return _portable_stream(rng, like)


def _is_device_word(rng: Any) -> bool:
    if isinstance(rng, str) and rng != "device":
        raise ValueError(f"{_ACCEPTED}, got {rng!r}; the device is that of like=")
    return isinstance(rng, str)


def _portable_stream(rng: Any, like: Array | None) -> PortableStream:
    if _is_device_word(rng):
        where = "NumPy" if like is None or is_dask(like) else library(like)
        raise ValueError(
            f"rng='device' needs a library with a default generator on the device (torch, CuPy), "
            f"got a plan for {where}; pass an int, or like= an array of such a library"
        )
    return PortableStream(seed_sequence(rng), like)


def seed_sequence(rng: Any) -> np.random.SeedSequence:
    """Return the seed that a portable `rng` stands for."""
    if rng is None:
        return np.random.SeedSequence()
    if isinstance(rng, np.random.SeedSequence):
        return rng
    if isinstance(rng, np.random.Generator):
        return _seed_from(rng)
    if is_whole_number(rng):
        return np.random.SeedSequence(_seed(rng))
    if isinstance(rng, tuple) and rng and all(map(is_whole_number, rng)):
        return np.random.SeedSequence(_seed(rng[0]), spawn_key=tuple(map(_key_entry, rng[1:])))
    kind = type(rng)
    received = repr(rng) if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
    raise TypeError(
        f"{_ACCEPTED}, got {received}; seeds and entries of a key are whole numbers, and a "
        f"generator or one key of another library goes with arrays of that library"
    )


def _seed_from(generator: np.random.Generator) -> np.random.SeedSequence:
    """Return a seed made of eight words of `generator`, which advances by them."""
    words = generator.bit_generator.random_raw(8)  # one call, which takes the generator's lock
    # Only the low halves: the words of MT19937 have no more than 32 bits.
    return np.random.SeedSequence([int(word) & 0xFFFFFFFF for word in words])


def _seed(value: Any) -> int:
    # A longer seed would spill over into the words of the key, where it could equal another one.
    if not 0 <= value < 2**128:
        raise ValueError(f"a seed must be from 0 to 2**128 - 1, got {value}; take it modulo 2**128")
    return int(value)


def _key_entry(value: Any) -> int:
    if not 0 <= value < 2**32:
        raise ValueError(
            f"each entry of the key in rng=(seed, *key) must be from 0 to 2**32 - 1, got {value}; "
            f"take it modulo 2**32, or split it into two entries"
        )
    return int(value)
