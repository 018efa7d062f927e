"""Keys made of what a batch holds, so that it is mixed alike wherever it is formed again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np

from zetamix_core.arrays import is_array, to_host
from zetamix_core.inputs import shown
from zetamix_core.numbers import is_whole_number
from zetamix_core.random.seeds import seed_sequence

__all__ = ["key_of"]

_WORDS = 4


def key_of(ids: Iterable[Any], *, seed: int = 0) -> tuple[int, ...]:
    """Return a key made of the ids of the samples of a batch, for `rng`.

    The same ids in the same order give the same key in any process, on any machine, in any release:
    a task that is tried again, another cluster, or a cache of what a teacher said of a mixture.

    Parameters
    ----------
    ids : iterable of int, str or bytes
        What the samples of the batch are called, in their order; an array of integers or text, too.
    seed : int, default 0
        Other seeds give other keys.

    Returns
    -------
    tuple of int
        (seed, w0, w1, w2, w3): four words of 32 bits.

    Raises
    ------
    ValueError
        If `seed` is out of range.
    TypeError
        If an id is neither an integer nor text nor bytes, or `seed` no integer.

    See Also
    --------
    zeta_plan : Which takes the key as `rng`.

    Notes
    -----
    The words are the BLAKE2b digest of 16 bytes, little-endian, of all ids one after the other: a
    letter for the type (i, s, b), the length of the text in bytes (8 bytes, little-endian) and the
    text, integers in decimal, text in UTF-8. So 1, "1" and b"1" are different ids, and so are
    ["ab"] and ["a", "b"].

    Examples
    --------
    >>> from zetamix import key_of, zeta_plan
    >>> key = key_of(["cat_01.png", "dog_07.png"], seed=3)
    >>> key
    (3, 2510190734, 1510555731, 227328930, 3640992669)
    >>> zeta_plan(2, rng=key) == zeta_plan(2, rng=key)
    True
    """
    if not is_whole_number(seed):
        raise TypeError(f"seed must be an int, got {shown(seed)}; pass for instance seed=0")
    seed_sequence(seed)  # which says what is out of range
    if isinstance(ids, (str, bytes)) or not (is_array(ids) or isinstance(ids, Iterable)):
        raise TypeError(
            f"ids must be a list with one id for each sample, got {shown(ids)}; pass [{shown(ids)}]"
        )
    digest = hashlib.blake2b(digest_size=4 * _WORDS)
    for each in to_host(ids).ravel().tolist() if is_array(ids) else ids:
        letter, text = _encoded(each)
        digest.update(letter + len(text).to_bytes(8, "little") + text)
    words = np.frombuffer(digest.digest(), dtype="<u4")
    return (int(seed), *map(int, words))


def _encoded(each: Any) -> tuple[bytes, bytes]:
    if is_whole_number(each):
        return b"i", str(int(each)).encode()
    if isinstance(each, str):
        return b"s", each.encode()
    if isinstance(each, bytes):
        return b"b", each
    raise TypeError(
        f"an id must be an int, text or bytes, got {shown(each)} of type {type(each).__name__}; "
        f"pass what stays the same, such as a file name or a number"
    )
