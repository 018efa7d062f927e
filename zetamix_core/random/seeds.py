"""Seeds of the portable stream, from what a portable `rng` may be."""

from __future__ import annotations

from typing import Any

import numpy as np

from zetamix_core.inputs import shown
from zetamix_core.numbers import is_whole_number

ACCEPTED = (
    "rng must be None, an int, a tuple (seed, *key), a numpy SeedSequence or Generator, "
    "a generator or key of the array's library, or 'device'"
)


def checked_part(name: str, value: Any, bits: int, remedy: str | None = None) -> int:
    """Return a seed, or a number that becomes part of a key, as an int of at most so many bits."""
    whole = is_whole_number(value)
    if whole and 0 <= value < 2**bits:
        return int(value)
    raise (ValueError if whole else TypeError)(
        f"{name} must be an int from 0 to 2**{bits} - 1, got {shown(value)}; "
        + (remedy or (f"take it modulo 2**{bits}" if whole else f"pass for instance {name}=0"))
    )


def seed_sequence(rng: Any) -> np.random.SeedSequence:
    """Return the seed that a portable `rng` stands for."""
    if rng is None:
        return np.random.SeedSequence()
    if type(rng) is int and 0 <= rng < 2**128:
        return np.random.SeedSequence(rng)
    if type(rng) is tuple and {*map(type, rng)} == {int}:  # most often
        seed, *key = rng
        if 0 <= seed < 2**128 and min(key, default=0) >= 0 and max(key, default=0) < 2**32:
            return np.random.SeedSequence(seed, spawn_key=key)
    if isinstance(rng, np.random.SeedSequence):
        return rng
    if isinstance(rng, np.random.Generator):
        return _seed_from(rng)
    if is_whole_number(rng):
        return np.random.SeedSequence(_seed(rng))
    if isinstance(rng, tuple) and rng and all(map(is_whole_number, rng)):
        return np.random.SeedSequence(_seed(rng[0]), spawn_key=tuple(map(_key_entry, rng[1:])))
    kind = type(rng)
    received = shown(rng) if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
    raise TypeError(
        f"{ACCEPTED}, got {received}; seeds and entries of a key are whole numbers, and a "
        f"generator or one key of another library goes with arrays of that library, like=x"
    )


def _seed_from(generator: np.random.Generator) -> np.random.SeedSequence:
    """Return a seed made from eight words of `generator`, which advances by them."""
    words = generator.bit_generator.random_raw(8)  # one call, which takes the generator's lock
    # Only the low halves: the words of MT19937 have no more than 32 bits.
    return np.random.SeedSequence([int(word) & 0xFFFFFFFF for word in words])


def _seed(value: Any) -> int:
    # A longer seed would spill over into the words of the key, where it could equal another one.
    if not 0 <= value < 2**128:
        raise ValueError(
            f"a seed must be from 0 to 2**128 - 1, got {shown(value, str)}; take it modulo 2**128"
        )
    return int(value)


def _key_entry(value: Any) -> int:
    if not 0 <= value < 2**32:
        raise ValueError(
            f"each entry of the key in rng=(seed, *key) must be from 0 to 2**32 - 1, got "
            f"{shown(value, str)}; take it modulo 2**32, or split it into two entries"
        )
    return int(value)
