"""Rules that average samples: ζ-mixup, mixup and Dirichlet mixing."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from zetamix_core.annotations import Gamma
from zetamix_core.arrays import is_array, is_torch, same
from zetamix_core.checks import check_count, check_flag, check_gamma, check_size
from zetamix_core.donors import check_donors, checked_pool
from zetamix_core.numbers import as_real
from zetamix_core.plans import MixPlan, dirichlet_plan, mixup_plan
from zetamix_core.plans.drawing import drawn_zeta
from zetamix_core.rules.base import AlphaRule, Ask, BaseRule
from zetamix_core.weights import checked_gamma

__all__ = ["Dirichlet", "Mixup", "Zeta"]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Zeta(BaseRule):
    r"""P-series weights over random orderings.

    .. math:: w_r = r^{-\gamma} / \sum_{j=1}^{T} j^{-\gamma}

    Parameters
    ----------
    gamma : float, array, (low, high) or callable, default 2.8
        Exponent :math:`\gamma \ge 0`: how close outputs stay to samples. From a pair, each output
        draws its own uniformly; a callable takes the step and returns a number or a 0-d array.
    num_mix : int, optional
        T, the number of samples in a mixture; the whole batch by default, and for a batch that has
        fewer samples.
    anchored : bool, default True
        Whether sample i has the largest weight in output i; otherwise a random sample has it.
    donors : "same" or "other", optional
        Which samples a sample may be mixed with, by the groups passed to the entry point: those of
        its own group, or those of other groups; see `zetamix.zeta_plan`.

    Raises
    ------
    ValueError
        If a value is out of range.
    TypeError
        If a value has the wrong type.

    See Also
    --------
    zetamix.zeta_plan : The plan that is drawn.

    References
    ----------
    Abhishek, Brown, Hamarneh, "Multi-sample ζ-mixup: richer, more realistic synthetic samples from
    a p-series interpolant", Journal of Big Data 11:43 (2024), section "Method".

    Examples
    --------
    >>> from zetamix.rules import Zeta
    >>> Zeta(gamma=2.8, num_mix=8).plan((32, 3, 8, 8), rng=0).shape
    (32, 32)
    """

    gamma: Gamma | tuple[float, float] | Callable[[Any], Any] = 2.8
    num_mix: int | None = None
    anchored: bool = True
    donors: Literal["same", "other"] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "gamma", _checked_gamma(self.gamma))
        _check_num_mix(self.num_mix)
        check_flag("anchored", self.anchored)
        if self.donors is not None:
            check_donors(self.donors)

    def __eq__(self, other: object) -> bool:
        if type(other) is not Zeta:
            return NotImplemented
        ours, theirs = ((x.num_mix, x.anchored, x.donors) for x in (self, other))
        return ours == theirs and same(self.gamma, other.gamma)

    def __hash__(self) -> int:
        gamma = repr(self.gamma) if is_array(self.gamma) else self.gamma
        return hash((Zeta, gamma, self.num_mix, self.anchored, self.donors))

    def _draw(self, asked: Ask) -> MixPlan:
        n, like, pool = asked.shape[0], asked.like, None
        num_mix = _at_most(self.num_mix, n)
        if self.donors is not None or asked.anchors is not None:
            said = {"donors": self.donors, "groups": asked.groups, "anchors": asked.anchors}
            pool = checked_pool(n, None, anchored=self.anchored, **said)
        num_outputs = n if pool is None else pool.num_outputs
        check_size(num_outputs, num_mix)
        gamma = self.gamma
        if type(gamma) is not float:
            gamma = checked_gamma(self._gamma_at(num_outputs, asked), like)
        return drawn_zeta((num_outputs, n, num_mix), gamma, self.anchored, asked.stream, like, pool)

    def _gamma_at(self, num_outputs: int, asked: Ask) -> Any:
        gamma: Any = self.gamma
        if isinstance(gamma, tuple):
            low, high = gamma
            return low + (high - low) * asked.stream.uniform((num_outputs,))
        if callable(gamma):
            if asked.step is None:
                raise ValueError(
                    "a callable gamma needs the step, got none; pass step=, or a number as gamma"
                )
            gamma = gamma(asked.step)
        if asked.like is not None and is_torch(gamma) and is_torch(asked.like):
            return gamma.to(asked.like.device, non_blocking=True)
        return gamma


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mixup(AlphaRule):
    r"""Two samples, with a Beta-distributed weight :math:`\lambda`.

    Parameters
    ----------
    alpha : float, default 1.0
        Positive parameter of the Beta distribution; 1 draws :math:`\lambda` uniformly.
    per_sample : bool, default True
        Whether to draw one :math:`\lambda` for each output, or one for the batch.
    anchored : bool, default True
        Whether sample i is the first of the pair of output i; otherwise a random sample is.
    donors : "same" or "other", optional
        Which samples a sample may be mixed with, as in `Zeta`.

    Raises
    ------
    ValueError
        If a value is out of range.
    TypeError
        If a value has the wrong type.

    See Also
    --------
    zetamix.mixup_plan : The plan that is drawn.

    References
    ----------
    Zhang, Cissé, Dauphin, Lopez-Paz, "mixup: Beyond Empirical Risk Minimization", ICLR 2018.

    Examples
    --------
    >>> from zetamix.rules import Mixup
    >>> Mixup(alpha=0.2).plan((32, 10), rng=0).num_mix
    2
    """

    alpha: float = 1.0
    per_sample: bool = True
    anchored: bool = True
    donors: Literal["same", "other"] | None = None

    def _draw(self, asked: Ask) -> MixPlan:
        return mixup_plan(asked.shape[0], **self._options(asked))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dirichlet(AlphaRule):
    r"""Symmetric Dirichlet weights over T samples.

    Parameters
    ----------
    alpha : float, default 1.0
        Positive concentration; 1 is uniform on the simplex, less favours single samples.
    num_mix : int, optional
        T, the number of samples in a mixture; the whole batch by default, and for a batch that has
        fewer samples.
    per_sample : bool, default True
        Whether to draw weights for each output, or one row of weights for the batch.
    anchored : bool, default True
        Whether sample i comes first in output i; otherwise a random sample does.
    donors : "same" or "other", optional
        Which samples a sample may be mixed with, as in `Zeta`.

    Raises
    ------
    ValueError
        If a value is out of range.
    TypeError
        If a value has the wrong type.

    See Also
    --------
    zetamix.dirichlet_plan : The plan that is drawn.

    Examples
    --------
    >>> from zetamix.rules import Dirichlet
    >>> Dirichlet(num_mix=3).plan((32, 10), rng=0).num_mix
    3
    """

    alpha: float = 1.0
    num_mix: int | None = None
    per_sample: bool = True
    anchored: bool = True
    donors: Literal["same", "other"] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_num_mix(self.num_mix)

    def _draw(self, asked: Ask) -> MixPlan:
        n = asked.shape[0]
        return dirichlet_plan(n, num_mix=_at_most(self.num_mix, n), **self._options(asked))


def _at_most(num_mix: int | None, n: int) -> int:
    return n if num_mix is None else min(num_mix, n)


def _check_num_mix(num_mix: Any) -> None:
    if num_mix is not None:
        check_count("num_mix", num_mix)


def _checked_gamma(gamma: Any) -> Any:
    if callable(gamma):
        return gamma
    if not isinstance(gamma, (tuple, list)):
        return _kept(check_gamma(gamma))
    given = [as_real(end) for end in gamma]
    ends = [math.nan if end is None else end for end in given]
    if len(ends) != 2 or not 0 <= ends[0] <= ends[1] < math.inf:
        raise ValueError(
            f"a range of gamma must be two finite numbers 0 <= low <= high, got {gamma!r}; pass "
            f"for instance gamma=(1.8, 4.0)"
        )
    return tuple(ends)


def _kept(gamma: Any) -> Any:
    """Return a read-only γ."""
    if isinstance(gamma, np.ndarray):
        gamma = gamma.copy()
        gamma.flags.writeable = False
    return gamma
