"""The rule that chooses one of several for each batch."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from zetamix_core.arrays import Array, is_jax_tracer, to_host, torch_is_compiling
from zetamix_core.numbers import as_real
from zetamix_core.plans import Plan
from zetamix_core.rules.base import (
    Ask,
    BaseRule,
    Rule,
    averages,
    check_rule,
    check_takes_groups,
    drawn,
    takes_groups,
)

__all__ = ["OneOf"]


@dataclasses.dataclass(frozen=True)
class OneOf(BaseRule):
    """One of several rules for each batch.

    With `Zeta` and `CutMix` this is the combination of the ζ-mixup paper.

    Parameters
    ----------
    rules : sequence of Rule
        The rules to choose from.
    p : sequence of float, optional
        Their probabilities, up to a factor; equal by default.

    Attributes
    ----------
    averages : bool
        Whether one of the rules averages samples.
    takes_groups : bool
        Whether one of the rules asks for the groups of the samples; the other rules ignore them.

    Raises
    ------
    ValueError
        If there is no rule, or `p` does not fit the rules.
    TypeError
        If a member is not a rule; when a plan is drawn, if the choice can't be read on the host.

    Notes
    -----
    The first number of the source of randomness chooses the member, which draws from the numbers
    that follow. So its plan does not depend on the other members.

    Examples
    --------
    >>> from zetamix.rules import CutMix, OneOf, Zeta
    >>> rule = OneOf([Zeta(num_mix=8), CutMix()], p=[0.7, 0.3])
    >>> [type(rule.plan((8, 3, 4, 4), rng=seed)).__name__ for seed in (1, 2)]
    ['CutMixPlan', 'MixPlan']
    """

    rules: Sequence[Rule]
    p: Any = dataclasses.field(default=None, kw_only=True)  # None or numbers, then shares

    def __post_init__(self) -> None:
        _check_members(self.rules)
        object.__setattr__(self, "rules", tuple(self.rules))
        object.__setattr__(self, "p", shares(self.p, len(self.rules), "rules"))

    @property
    def averages(self) -> bool:  # type: ignore[override]  # a constant of other rules
        """Whether one of the rules averages samples."""
        return any(map(averages, self.rules))

    @property
    def takes_groups(self) -> bool:
        """Whether one of the rules asks for the groups of the samples."""
        return any(map(takes_groups, self.rules))

    def _draw(self, asked: Ask) -> Plan:
        member = self.rules[chosen(self.p, asked.stream.uniform((1,)))]
        return drawn(member, *(asked if takes_groups(member) else asked._replace(groups=None)))


def needs_groups(rule: Rule) -> bool:
    """Return whether a rule says that it has donors; a custom rule may work without groups."""
    if isinstance(rule, OneOf):
        return any(map(needs_groups, rule.rules))
    return getattr(rule, "donors", None) is not None


def check_asked(rule: Rule, groups: Any, *, needed: bool = True) -> None:
    """Check before any batch that groups are given if, and only if, a rule asks for them."""
    if groups is not None:
        check_takes_groups(rule)
    elif needed and needs_groups(rule):
        raise ValueError(
            f"a rule with donors needs the groups of all samples, got none for {rule}; pass "
            f"groups=, or leave donors out"
        )


def chosen(p: Sequence[float], number: Array) -> int:
    """Return which member a uniform number of shape (1,) chooses, read on the host."""
    if torch_is_compiling() or is_jax_tracer(number):
        raise TypeError(
            "OneOf must choose a rule on the host, got a traced number; pass the rule to "
            "zetamix.jax.mix or zetamix.torch.Mix, which handle tracing, or choose before"
        )
    return int(np.searchsorted(ends(p), to_host(number)[0], side="right"))


def ends(p: Sequence[float]) -> np.ndarray:
    """Return where on [0, 1) shares end, except the last, whose end may round below one."""
    return np.cumsum(np.asarray(p)[:-1])


def shares(p: Any, count: int, members: str) -> tuple[float, ...]:
    """Return probabilities that sum to one, equal ones by default."""
    numbers = isinstance(p, Iterable) and not isinstance(p, (str, bytes))
    if p is not None and not (numbers and all(as_real(share) is not None for share in p)):
        raise TypeError(
            f"p must be a list of one number >= 0 for each of {count} {members}, got {p!r}; leave "
            f"it out for equal probabilities"
        )
    p = [1.0] * count if p is None else [float(share) for share in p]
    if len(p) != count or not all(share >= 0 for share in p) or not 0 < sum(p) < math.inf:
        raise ValueError(
            f"p must hold one number >= 0 for each of {count} {members}, not all zero, got {p}; "
            f"leave it out for equal probabilities"
        )
    return tuple(share / sum(p) for share in p)


def _check_members(rules: Any) -> None:
    if not isinstance(rules, (list, tuple)) or not rules:
        raise ValueError(
            f"rules must be a list of one or more rules, got {rules!r}; pass for instance "
            f"[Zeta(), CutMix()]"
        )
    for rule in rules:
        check_rule(rule)
