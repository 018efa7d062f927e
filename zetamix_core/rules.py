"""Rules: how the plan of a batch is drawn, as values that every entry point takes."""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np

from zetamix_core.arrays import (
    Array,
    is_array,
    is_jax_tracer,
    is_torch,
    to_host,
    torch_is_compiling,
)
from zetamix_core.checks import (
    check_alpha,
    check_axes,
    check_count,
    check_flag,
    check_gamma,
    check_like,
    check_num_samples,
)
from zetamix_core.plans import (
    CutMixPlan,
    MixPlan,
    Plan,
    cutmix_plan,
    dirichlet_plan,
    mixup_plan,
    zeta_plan,
)
from zetamix_core.random import Stream, stream_for

__all__ = ["CutMix", "Dirichlet", "Mixup", "OneOf", "Rule", "Zeta"]


@runtime_checkable
class Rule(Protocol):
    """What every entry point takes: an object that draws a plan for a batch.

    `Zeta`, `Mixup`, `Dirichlet`, `CutMix` and `OneOf` are rules, and so is any object with such a
    method.

    Raises
    ------
    TypeError
        If it is made an instance of: it is a protocol.

    Examples
    --------
    >>> from zetamix.rules import Rule, Zeta
    >>> isinstance(Zeta(), Rule)
    True
    """

    def plan(
        self,
        shape: tuple[int, ...],
        *,
        rng: Any = None,
        like: Array | None = None,
        groups: Array | None = None,
        step: Any = None,
    ) -> Plan:
        """Draw the plan of a batch.

        Parameters
        ----------
        shape : tuple of int
            Shape (N, ...) of the samples, whose number may be less than what the rule mixes.
        rng : optional
            Source of randomness, to be handed on to a function such as `zeta_plan`.
        like : array, optional
            Array whose library and device the plan takes.
        groups : array of int, shape (N,), optional
            The group of each sample, for rules that ask who may be mixed with whom.
        step : int or 0-d array, optional
            Number of the batch or of the epoch, as the entry point counts.

        Returns
        -------
        MixPlan or CutMixPlan
            Applies to the samples, their labels, and whatever else the batch holds.

        Raises
        ------
        ValueError
            If the rule does not fit to `shape`, or `groups` come without need.
        TypeError
            If an argument has the wrong type, or a portable `rng` is used inside a JAX
            transformation.

        Examples
        --------
        >>> from zetamix.rules import Zeta
        >>> Zeta(num_mix=8).plan((5, 3, 32, 32), rng=0).num_mix
        5
        """
        ...


class _Drawing(Rule, ABC):
    """What the rules of the package share: they draw from one stream, for a known batch."""

    # Whether samples are averaged, which must not happen to ids, or only moved.
    averages: ClassVar[bool] = True

    def plan(
        self,
        shape: tuple[int, ...],
        *,
        rng: Any = None,
        like: Array | None = None,
        groups: Array | None = None,
        step: Any = None,
    ) -> Plan:
        if groups is not None:
            raise ValueError(
                f"groups must come with a rule that asks for them, got them for {self}; leave them "
                f"out"
            )
        check_like(like)
        return self._draw(_checked_shape(shape), stream_for(rng, like), like, step)

    plan.__doc__ = Rule.plan.__doc__

    @abstractmethod
    def _draw(self, shape: tuple[int, ...], stream: Stream, like: Array | None, step: Any) -> Plan:
        """Draw the plan of a batch of this shape from a stream."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Zeta(_Drawing):
    r"""P-series weights over random orderings.

    .. math:: w_r = r^{-\gamma} / \sum_{j=1}^{T} j^{-\gamma}

    Parameters
    ----------
    gamma : float, array, (low, high) or callable, default 2.8
        Exponent :math:`\gamma \ge 0`: how close outputs stay to samples. A pair draws one uniformly
        for each output; a callable is given the step and returns a number or a 0-d array.
    num_mix : int, optional
        T, the number of samples in a mixture; the whole batch by default, and for a batch that has
        fewer samples.
    anchored : bool, default True
        Whether sample i has the largest weight in output i; else a random one has.

    Raises
    ------
    ValueError
        If a value is out of range.
    TypeError
        If a value has the wrong type.

    See Also
    --------
    zetamix.zeta_plan : What is drawn.

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

    gamma: Any = 2.8
    num_mix: int | None = None
    anchored: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "gamma", _checked_gamma(self.gamma))
        _check_num_mix(self.num_mix)
        check_flag("anchored", self.anchored)

    def _draw(
        self, shape: tuple[int, ...], stream: Stream, like: Array | None, step: Any
    ) -> MixPlan:
        n = shape[0]
        return zeta_plan(
            n,
            gamma=self._gamma_at(n, stream, like, step),
            num_mix=_at_most(self.num_mix, n),
            anchored=self.anchored,
            rng=stream,
            like=like,
        )

    def _gamma_at(self, n: int, stream: Stream, like: Array | None, step: Any) -> Any:
        gamma = self.gamma
        if isinstance(gamma, tuple):
            low, high = gamma
            return low + (high - low) * stream.uniform((n,))
        if callable(gamma):
            if step is None:
                raise ValueError(
                    "a callable gamma must be told the step, got none; pass step=, or a number as "
                    "gamma"
                )
            gamma = gamma(step)
        if like is not None and is_torch(gamma) and is_torch(like):
            return gamma.to(like.device, non_blocking=True)
        return gamma


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mixup(_Drawing):
    r"""Two samples, with a Beta-distributed weight :math:`\lambda`.

    Parameters
    ----------
    alpha : float, default 1.0
        Positive parameter of the Beta distribution; 1 draws :math:`\lambda` uniformly.
    per_sample : bool, default True
        Draw one :math:`\lambda` for each output, or one for the batch.
    anchored : bool, default True
        Whether sample i is the first of the pair of output i; else a random one is.

    Raises
    ------
    ValueError
        If a value is out of range.
    TypeError
        If a value has the wrong type.

    See Also
    --------
    zetamix.mixup_plan : What is drawn.

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

    def __post_init__(self) -> None:
        object.__setattr__(self, "alpha", check_alpha(self.alpha))
        check_flag("per_sample", self.per_sample)
        check_flag("anchored", self.anchored)

    def _draw(
        self, shape: tuple[int, ...], stream: Stream, like: Array | None, step: Any
    ) -> MixPlan:
        return mixup_plan(
            shape[0],
            alpha=self.alpha,
            per_sample=self.per_sample,
            anchored=self.anchored,
            rng=stream,
            like=like,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dirichlet(_Drawing):
    r"""Symmetric Dirichlet weights over T samples.

    Parameters
    ----------
    alpha : float, default 1.0
        Positive concentration; 1 is uniform on the simplex, less favours single samples.
    num_mix : int, optional
        T, the number of samples in a mixture; the whole batch by default, and for a batch that has
        fewer samples.
    per_sample : bool, default True
        Draw weights for each output, or one row of them for the batch.
    anchored : bool, default True
        Whether sample i comes first in output i; else a random one does.

    Raises
    ------
    ValueError
        If a value is out of range.
    TypeError
        If a value has the wrong type.

    See Also
    --------
    zetamix.dirichlet_plan : What is drawn.

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

    def __post_init__(self) -> None:
        object.__setattr__(self, "alpha", check_alpha(self.alpha))
        check_flag("per_sample", self.per_sample)
        check_flag("anchored", self.anchored)
        _check_num_mix(self.num_mix)

    def _draw(
        self, shape: tuple[int, ...], stream: Stream, like: Array | None, step: Any
    ) -> MixPlan:
        n = shape[0]
        return dirichlet_plan(
            n,
            alpha=self.alpha,
            num_mix=_at_most(self.num_mix, n),
            per_sample=self.per_sample,
            anchored=self.anchored,
            rng=stream,
            like=like,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class CutMix(_Drawing):
    r"""CutMix: a box of one sample pasted into another, labels by volume.

    Parameters
    ----------
    alpha : float, default 1.0
        Positive parameter of the Beta distribution of the volume that stays.
    axes : sequence of int, default (-2, -1)
        Axes that the box extends along; any number but the first axis.
    per_sample : bool, default True
        Draw a box for each output, or one for the batch.
    anchored : bool, default True
        Whether the box is pasted into sample i for output i; else into a random one.

    Raises
    ------
    ValueError
        If a value is out of range.
    TypeError
        If a value has the wrong type.

    See Also
    --------
    zetamix.cutmix_plan : What is drawn.

    References
    ----------
    Yun, Han, Oh, Chun, Choe, Yoo, "CutMix: Regularization Strategy to Train Strong Classifiers with
    Localizable Features", ICCV 2019.

    Examples
    --------
    >>> from zetamix.rules import CutMix
    >>> CutMix().plan((32, 3, 8, 8), rng=0).lengths
    (8, 8)
    """

    alpha: float = 1.0
    axes: Sequence[int] = (-2, -1)
    per_sample: bool = True
    anchored: bool = True
    averages: ClassVar[bool] = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "alpha", check_alpha(self.alpha))
        check_flag("per_sample", self.per_sample)
        check_flag("anchored", self.anchored)
        object.__setattr__(self, "axes", check_axes(self.axes))

    def _draw(
        self, shape: tuple[int, ...], stream: Stream, like: Array | None, step: Any
    ) -> CutMixPlan:
        return cutmix_plan(
            shape,
            alpha=self.alpha,
            axes=self.axes,
            per_sample=self.per_sample,
            anchored=self.anchored,
            rng=stream,
            like=like,
        )


@dataclasses.dataclass(frozen=True)
class OneOf(_Drawing):
    """One of several rules for each batch.

    With `Zeta` and `CutMix` this is the combination of the ζ-mixup paper.

    Parameters
    ----------
    rules : sequence of Rule
        What to choose from.
    p : sequence of float, optional
        Their probabilities, up to a factor; equal by default.

    Raises
    ------
    ValueError
        If there is no rule, or `p` does not fit to them.
    TypeError
        If a member is no rule; when a plan is drawn, if the choice can't be read on the host.

    Notes
    -----
    The member is chosen by the first number of the source of randomness, and draws from what
    follows, so that its plan does not depend on the other members.

    Examples
    --------
    >>> from zetamix.rules import CutMix, OneOf, Zeta
    >>> rule = OneOf([Zeta(num_mix=8), CutMix()], p=[0.7, 0.3])
    >>> [type(rule.plan((8, 3, 4, 4), rng=seed)).__name__ for seed in (1, 2)]
    ['CutMixPlan', 'MixPlan']
    """

    rules: Sequence[Rule]
    p: Sequence[float] | None = dataclasses.field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        _check_members(self.rules)
        object.__setattr__(self, "rules", tuple(self.rules))
        object.__setattr__(self, "p", shares(self.p, len(self.rules), "rules"))

    def _draw(self, shape: tuple[int, ...], stream: Stream, like: Array | None, step: Any) -> Plan:
        member = self.rules[chosen(self, stream.uniform((1,)))]
        return member.plan(shape, rng=stream, like=like, step=step)


def chosen(rule: OneOf, number: Array) -> int:
    """Return which of its rules a uniform number of shape (1,) chooses, read on the host."""
    if torch_is_compiling() or is_jax_tracer(number):
        raise TypeError(
            "OneOf must choose a rule on the host, got a number that is traced; pass the rule to "
            "zetamix.jax.mix or zetamix.torch.Mix, which choose around the trace, or choose before"
        )
    return int(np.searchsorted(ends(rule), to_host(number)[0], side="right"))


def ends(rule: OneOf) -> np.ndarray:
    """Return where on [0, 1) its rules end, but for the last, whose end may round below one."""
    return np.cumsum(np.asarray(rule.p)[:-1])


def shares(p: Any, count: int, members: str) -> tuple[float, ...]:
    """Return probabilities that sum to one, equal ones by default."""
    if p is not None and not isinstance(p, Iterable):
        raise TypeError(
            f"p must be a list of one number >= 0 for each of {count} {members}, got {p!r}; leave "
            f"it out for equal ones"
        )
    p = [1.0] * count if p is None else [float(share) for share in p]
    if len(p) != count or not all(share >= 0 for share in p) or not 0 < sum(p) < math.inf:
        raise ValueError(
            f"p must hold one number >= 0 for each of {count} {members}, not all zero, got {p}; "
            f"leave it out for equal ones"
        )
    return tuple(share / sum(p) for share in p)


def averages(rule: Rule) -> bool:
    """Tell whether a rule averages samples, so that these must not be ids; else it only moves them.

    A rule that does not say so in an attribute `averages` does.
    """
    if isinstance(rule, OneOf):
        return any(map(averages, rule.rules))
    return bool(getattr(rule, "averages", True))


def check_rule(rule: Any) -> Rule:
    """Return a rule, which must be one: an object, not its class."""
    if isinstance(rule, type) or not callable(getattr(rule, "plan", None)):
        raise TypeError(
            f"rule must be an object with a method plan, got {rule!r}; pass for instance "
            f"zetamix.rules.Zeta(gamma=2.8)"
        )
    checked: Rule = rule
    return checked


def _check_members(rules: Any) -> None:
    if not isinstance(rules, (list, tuple)) or not rules:
        raise ValueError(
            f"rules must be a list of one or more rules, got {rules!r}; pass for instance "
            f"[Zeta(), CutMix()]"
        )
    for rule in rules:
        check_rule(rule)


def _checked_shape(shape: Any) -> tuple[int, ...]:
    if not isinstance(shape, (tuple, list)) or not shape:
        raise TypeError(
            f"shape must be a tuple of whole numbers, samples first, got {shape!r}; pass x.shape"
        )
    return (check_num_samples(shape[0]), *shape[1:])


def _at_most(num_mix: int | None, n: int) -> int:
    return n if num_mix is None else min(num_mix, n)


def _check_num_mix(num_mix: Any) -> None:
    if num_mix is not None:
        check_count("num_mix", num_mix)


def _checked_gamma(gamma: Any) -> Any:
    if callable(gamma):
        return gamma
    if not isinstance(gamma, (tuple, list)):
        return gamma if is_array(gamma) and check_gamma(gamma) is gamma else check_gamma(gamma)
    numbers = all(isinstance(end, (int, float, np.number)) for end in gamma)
    if len(gamma) != 2 or not numbers or not 0 <= gamma[0] <= gamma[1] < math.inf:
        raise ValueError(
            f"a range of gamma must be two finite numbers 0 <= low <= high, got {gamma!r}; pass "
            f"for instance gamma=(1.8, 4.0)"
        )
    return tuple(gamma)
