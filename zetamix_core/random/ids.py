"""Keys from the content of a batch, so that it is mixed alike wherever it is formed again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

import numpy as np

from zetamix_core.arrays import is_array, is_jax_tracer, to_host
from zetamix_core.inputs import shown
from zetamix_core.keywords import random_by
from zetamix_core.numbers import is_whole_number
from zetamix_core.random.seeds import checked_part

__all__ = ["key_of"]

_WORDS = 4
_LIMIT = 1 << 256


@random_by("seed")
def key_of(ids: Iterable[Any], *, seed: int = 0) -> tuple[int, ...]:
    """Return a key for `rng`, made from the ids of the samples of a batch.

    The same ids in the same order give the same key in any process, on any machine, in any release:
    for a task that is retried, on another cluster, or for a cache of a teacher's outputs on
    mixtures.

    Parameters
    ----------
    ids : iterable of int, str or bytes
        The ids of the samples of the batch, in order; also an array of integers or text.
    seed : int, default 0
        Different seeds give different keys.

    Returns
    -------
    tuple of int
        (seed, w0, w1, w2, w3): four words of 32 bits.

    Raises
    ------
    ValueError
        If `seed` or an integer is out of range.
    TypeError
        If an id is neither an integer nor text nor bytes, `ids` have no order, or `seed` is not an
        integer.

    See Also
    --------
    zeta_plan : Takes the key as `rng`.

    Notes
    -----
    The words are the BLAKE2b digest of 16 bytes, little-endian, of all ids one after the other.
    Each id is a letter for the type (i, s, b), the length of the text in bytes (8 bytes,
    little-endian) and the text: integers in decimal, text in UTF-8. So 1, "1" and b"1" are
    different ids, and so are ["ab"] and ["a", "b"].

    Examples
    --------
    >>> from zetamix import key_of, zeta_plan
    >>> key = key_of(["cat_01.png", "dog_07.png"], seed=3)
    >>> key
    (3, 2510190734, 1510555731, 227328930, 3640992669)
    >>> zeta_plan(2, rng=key) == zeta_plan(2, rng=key)
    True
    """
    seed = checked_part("seed", seed, 128)
    digest = hashlib.blake2b(digest_size=4 * _WORDS)
    for each in _listed(ids):
        letter, text = _encoded(each)
        digest.update(letter + len(text).to_bytes(8, "little") + text)
    words = np.frombuffer(digest.digest(), dtype="<u4")
    return (seed, *map(int, words))


def _listed(ids: Any) -> Iterable[Any]:
    """Return ids in their order; sets and tables have none."""
    if is_array(ids) and not isinstance(ids, (str, bytes)):
        unread = {"masked": np.ma.isMaskedArray(ids), "traced": is_jax_tracer(ids)}
        if any(unread.values()) or ids.ndim != 1:
            said = " ".join(name for name, holds in unread.items() if holds)
            raise TypeError(
                f"ids must be one for each sample, with readable values, got {said} ids of shape "
                f"{tuple(ids.shape)}; pass an array of shape (N,), or a list"
            )
        return to_host(ids).tolist()  # type: ignore[no-any-return]
    whole = (str, bytes, bytearray, memoryview)
    if isinstance(ids, whole) or not isinstance(ids, Iterable):
        raise TypeError(
            f"ids must be a list with one id for each sample, got {shown(ids)}; pass [{shown(ids)}]"
        )
    if isinstance(ids, (AbstractSet, Mapping)) or hasattr(ids, "columns"):
        raise TypeError(
            f"ids must be in the order of the samples, got a {type(ids).__name__}; pass a list, "
            f"such as that of one column of a table"
        )
    return ids


def _encoded(each: Any) -> tuple[bytes, bytes]:
    if is_whole_number(each):
        if abs(int(each)) >= _LIMIT:
            raise ValueError(
                f"an id must be below 2**256, got one of {int(each).bit_length()} bits; pass text"
            )
        return b"i", str(int(each)).encode()
    if isinstance(each, str):
        return b"s", each.encode("utf-8", "surrogatepass")  # for file names without an encoding
    if isinstance(each, bytes):
        return b"b", each
    raise TypeError(
        f"an id must be an int, text or bytes, got {shown(each)} of type {type(each).__name__}; "
        f"pass something stable, such as str(path) or int(number)"
    )
