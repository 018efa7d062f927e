"""How many orderings there are."""

import math
from typing import SupportsIndex

from zetamix_core.checks import check_flag
from zetamix_core.theory.arguments import check_at_most, check_integer
from zetamix_core.theory.series import log_sum

_MOST_FACTORS = 2**26  # of a product that is computed exactly


def num_orderings(
    n: SupportsIndex, num_mix: SupportsIndex | None = None, *, anchored: bool = False
) -> int:
    r"""Return the number of orderings, and so of new samples, that a batch has at one γ.

    .. math:: \frac{n!}{(n - T)!}, \quad \text{or} \quad \frac{(n - 1)!}{(n - T)!}
        \quad \text{for a given anchor}

    Parameters
    ----------
    n : int
        Number of samples in the batch, >= 1.
    num_mix : int, optional
        T, the number of samples in a mixture, from 1 to `n`; `n` if None.
    anchored : bool, optional
        Whether the dominant sample is given, and only the others are ordered at random.

    Returns
    -------
    int
        The exact number.

    Raises
    ------
    TypeError
        If a count is not an integer.
    ValueError
        If `n` is below 1 or above 2**1000, or `num_mix` is outside [1, n] or above 2**26.

    See Also
    --------
    log_num_orderings : Its logarithm, for numbers too long to write down.

    Examples
    --------
    >>> from zetamix.theory import num_orderings
    >>> num_orderings(5), num_orderings(5, 2), num_orderings(5, 2, anchored=True)
    (120, 20, 4)
    """
    pool, filled = _places(n, num_mix, anchored)
    if filled > _MOST_FACTORS:
        raise ValueError(
            f"num_orderings must have at most 2**26 samples in a mixture to be written down, got "
            f"{filled}; use log_num_orderings, or pass a smaller num_mix"
        )
    return math.perm(pool, filled)


def log_num_orderings(
    n: SupportsIndex, num_mix: SupportsIndex | None = None, *, anchored: bool = False
) -> float:
    r"""Return the natural logarithm of the number of orderings that a batch has at one γ.

    .. math:: \log \frac{n!}{(n - T)!}, \quad \text{or} \quad \log \frac{(n - 1)!}{(n - T)!}
        \quad \text{for a given anchor}

    Parameters
    ----------
    n : int
        Number of samples in the batch, >= 1.
    num_mix : int, optional
        T, the number of samples in a mixture, from 1 to `n`; `n` if None.
    anchored : bool, optional
        Whether the dominant sample is given, and only the others are ordered at random.

    Returns
    -------
    float
        The logarithm; its cost does not depend on `n` and `num_mix`.

    Raises
    ------
    TypeError
        If a count is not an integer.
    ValueError
        If `n` is below 1, or `num_mix` is outside [1, n].

    See Also
    --------
    num_orderings : The exact number.

    Examples
    --------
    >>> import math
    >>> from zetamix.theory import log_num_orderings
    >>> round(log_num_orderings(128) / math.log(10), 2)  # decimal digits of 128!
    215.59
    """
    pool, filled = _places(n, num_mix, anchored)
    return log_sum(pool - filled + 1, pool)


def _places(n: object, num_mix: object, anchored: bool) -> tuple[int, int]:
    """Count the samples to choose from, and the places to fill with them in order."""
    check_flag("anchored", anchored)
    n = check_integer("n", n)
    num_mix = n if num_mix is None else check_integer("num_mix", num_mix)
    check_at_most(num_mix, n)
    return (n - 1, num_mix - 1) if anchored else (n, num_mix)
