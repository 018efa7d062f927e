"""From the `rng` argument to a stream: dispatch by its type and the library of the plan."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from zetamix_core.arrays import (
    Array,
    is_cupy,
    is_dask,
    is_jax,
    is_jax_key,
    is_jax_tracing,
    is_torch,
    library,
    torch_is_compiling,
)
from zetamix_core.random.portable import PortableStream
from zetamix_core.random.seeds import ACCEPTED, seed_sequence
from zetamix_core.random.stream import Stream


def stream_for(rng: Any, like: Array | None) -> Stream:
    """Return the stream that `rng` stands for, drawing for the library and device of `like`."""
    if hasattr(rng, "orderings"):  # a stream that a rule got, or passes on
        stream: Stream = rng
        return stream
    if like is None or isinstance(like, np.ndarray):
        return _portable_stream(rng, like)
    if is_torch(like):
        return _torch_stream(rng, like)
    if is_jax(like):
        return _jax_stream(rng, like)
    if is_cupy(like):
        return _cupy_stream(rng, like)
    return _portable_stream(rng, like)


def _torch_stream(rng: Any, like: Array) -> Stream:
    if type(rng) is tuple and not torch_is_compiling():  # most often
        return PortableStream(seed_sequence(rng), like)
    from zetamix_core.random import torch_streams

    if is_torch(rng):
        _check_torch_key(rng)
        if torch_is_compiling():
            return torch_streams.KeyStream(rng, like)
        return PortableStream(seed_sequence(tuple(rng.tolist())), like)
    if not torch_is_compiling():
        return _eager_torch_stream(rng, like)
    if _is_device_word(rng):
        return torch_streams.TorchStream(None, like)
    from zetamix_core.random import torch_uncompiled

    return torch_uncompiled.uncompiled(lambda: _eager_torch_stream(rng, like))  # type: ignore[no-any-return]


def _check_torch_key(key: Array) -> None:
    torch = sys.modules["torch"]
    if key.dtype != torch.int64 or key.ndim != 1 or key.device.type != "cpu":
        raise ValueError(
            f"a tensor as rng must be a key (seed, *key) of dtype int64 with one axis, on the CPU, "
            f"got shape {tuple(key.shape)}, dtype {key.dtype} on {key.device}; pass for instance "
            f"torch.tensor([seed, step])"
        )


def _eager_torch_stream(rng: Any, like: Array) -> Stream:
    from zetamix_core.random import torch_streams

    torch = sys.modules["torch"]
    if isinstance(rng, torch.Generator):
        generator, device = rng, rng.device
    elif _is_device_word(rng):
        generator, device = None, like.device
    else:
        return PortableStream(seed_sequence(rng), like)
    if device.type == "cpu":
        # Seeding the portable stream is faster on a CPU, and serves tensors on any device.
        return PortableStream(torch_streams.seed_from(generator), like)
    if device != like.device:
        raise ValueError(
            f"a torch.Generator on an accelerator draws for its own device only, got a generator "
            f"on {device} and a tensor on {like.device}; use torch.Generator(device="
            f"{str(like.device)!r}) or one on the CPU"
        )
    return torch_streams.TorchStream(generator, like)


def _jax_stream(rng: Any, like: Array) -> Stream:
    if is_jax_key(rng):
        from zetamix_core.random import jax_streams

        return jax_streams.JaxStream(rng, like)
    if _is_device_word(rng):
        raise ValueError(
            "JAX has no default generator, got rng='device'; pass a key: rng=jax.random.key(0)"
        )
    if is_jax_tracing(like):
        raise TypeError(
            f"a portable rng can't be drawn inside a JAX transformation, where it would be frozen "
            f"into the traced function, got rng={rng!r}; pass a key: rng=jax.random.key(0)"
        )
    return _portable_stream(rng, like)


def _cupy_stream(rng: Any, like: Array) -> Stream:
    from zetamix_core.random import cupy_streams

    cupy = sys.modules["cupy"]
    if _is_device_word(rng):
        return cupy_streams.CupyStream(None, like)
    if isinstance(rng, cupy.random.Generator | cupy.random.RandomState):
        return cupy_streams.CupyStream(rng, like)
    return _portable_stream(rng, like)


def _is_device_word(rng: Any) -> bool:
    if isinstance(rng, str) and rng != "device":
        raise ValueError(f"{ACCEPTED}, got {rng!r}; the device is that of like=")
    return isinstance(rng, str)


def _portable_stream(rng: Any, like: Array | None) -> PortableStream:
    if _is_device_word(rng):
        where = "NumPy" if like is None or is_dask(like) else library(like)
        raise ValueError(
            f"rng='device' needs a library with a default generator on the device (torch, CuPy), "
            f"got a plan for {where}; pass an int, or like= an array of such a library"
        )
    return PortableStream(seed_sequence(rng), like)
