"""Permutations of whole data sets."""

from __future__ import annotations

import numpy as np

from zetamix_core.annotations import RNG
from zetamix_core.arrays import to_host
from zetamix_core.checks import check_num_samples
from zetamix_core.keywords import random_by
from zetamix_core.random.resolve import stream_for

__all__ = ["permutation"]


@random_by("rng")
def permutation(n: int, rng: RNG = None) -> np.ndarray:
    """Return a uniform permutation of n samples; a seed gives the same one in every release.

    Parameters
    ----------
    n : int
        Number of samples.
    rng : optional
        Portable source of randomness, as in `zeta_plan`: an int, a tuple ``(seed, *key)``, a
        NumPy generator, or None for fresh entropy.

    Returns
    -------
    numpy.ndarray of int64, shape (n,)
        The numbers 0, …, n − 1 in a random order.

    Raises
    ------
    ValueError
        If `n` or `rng` is out of range.
    TypeError
        If `n` is not a whole number, or `rng` not a portable source of randomness.

    See Also
    --------
    batches : An epoch in the order of ``permutation(n, (seed, epoch))``.

    Notes
    -----
    It sorts n random words, in about 40 bytes per sample.

    Examples
    --------
    >>> from zetamix import permutation
    >>> sorted(permutation(5, rng=0).tolist())
    [0, 1, 2, 3, 4]
    """
    n = check_num_samples(n)
    # A stream that was passed to a rule draws for the library of the batch. A copy, since plans may
    # own the drawn array.
    order: np.ndarray = to_host(stream_for(rng, None).orderings(1, n, n, anchored=False))[0]
    return order.copy()
