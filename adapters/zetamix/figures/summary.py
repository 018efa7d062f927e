"""What theory says about one choice of γ, n and T, gathered for the terminal and a picture."""

from __future__ import annotations

import math
from dataclasses import dataclass

from zetamix import theory, zeta_weights

__all__ = ["Summary", "summarize"]

_LONGEST_NUMBER = 18  # digits that are written out


@dataclass(frozen=True)
class Summary:
    """The numbers behind γ, for mixtures of T (`num_mix`) out of n samples.

    Attributes
    ----------
    weights : tuple of float
        Weights of the first ranks, or of all if they are few.
    rest : float
        Total weight of the remaining ranks.
    others : float
        Weight of all ranks but the first.
    threshold : float
        The γ at which the first rank has half of the weight.
    tails : tuple of (int, float)
        For some T, the weight that mixtures of T out of n samples leave out.
    num_mix_for_percent : int or None
        The smallest T that leaves out at most one percent, if there is any.
    orderings : str
        Number of orderings.
    """

    gamma: float
    n: float
    num_mix: float
    weights: tuple[float, ...]
    rest: float
    others: float
    threshold: float
    effective_num_samples: float
    displacement: float
    tails: tuple[tuple[int, float], ...]
    num_mix_for_percent: int | None
    orderings: str

    @property
    def dominant_weight(self) -> float:
        """Weight of the first rank."""
        return self.weights[0]

    @property
    def dominates(self) -> bool:
        """Whether the first rank outweighs all others together."""
        return self.dominant_weight > self.others


def summarize(gamma: float, n: float, num_mix: float | None = None) -> Summary:
    """Gather the numbers; `num_mix` is `n` by default, and both may be infinite."""
    num_mix = n if num_mix is None else num_mix
    tails = {num_mix: theory.tail_weight(gamma, num_mix, n)}  # refuses all that is out of range
    tails |= {size: theory.tail_weight(gamma, size, n) for size in (2, 4, 8, 16, 32) if size < n}
    shown = int(num_mix if num_mix <= 10 else 8)
    rest = theory.tail_weight(gamma, shown, num_mix)
    return Summary(
        gamma=gamma,
        n=n,
        num_mix=num_mix,
        weights=tuple((1 - rest) * float(weight) for weight in zeta_weights(shown, gamma=gamma)),
        rest=rest,
        others=theory.tail_weight(gamma, 1, num_mix),
        threshold=theory.dominance_threshold(num_mix),
        effective_num_samples=theory.effective_num_samples(gamma, num_mix),
        displacement=theory.displacement(gamma, num_mix),
        tails=tuple((int(size), tails[size]) for size in sorted(tails) if size < n),
        num_mix_for_percent=_num_mix_for_percent(gamma, n),
        orderings=_orderings(n, num_mix),
    )


def _num_mix_for_percent(gamma: float, n: float) -> int | None:
    try:
        return theory.num_mix_for_tail(0.01, gamma, n)
    except ValueError:  # out of an infinity of samples that hardly differ in weight
        return None


def _orderings(n: float, num_mix: float) -> str:
    if math.isinf(n):
        return "infinitely many"
    digits = theory.log_num_orderings(int(n), int(num_mix)) / math.log(10)
    name = f"{n:,}!" if n == num_mix else f"{n:,}! / {n - num_mix:,}!"
    if digits < _LONGEST_NUMBER:
        return f"{name} = {theory.num_orderings(int(n), int(num_mix)):,}"
    return f"{name} ≈ 10^{digits:.6g}"
