"""What a rule is, and what the rules of the package share."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, runtime_checkable

from zetamix_core.annotations import RNG, SupportsSamples
from zetamix_core.arrays import Array
from zetamix_core.checks import check_alpha, check_flag, check_like, check_no_ids, check_shape
from zetamix_core.donors import Groups, check_donors
from zetamix_core.dtypes import kind_of
from zetamix_core.linear_map import output_dtype
from zetamix_core.plans import Plan
from zetamix_core.random import Stream, stream_for

__all__ = ["Rule"]


@runtime_checkable
class Rule(Protocol):
    """What every entry point takes: an object that draws a plan for a batch.

    `Zeta`, `Mixup`, `Dirichlet`, `CutMix` and `OneOf` are rules, and so is any object with such a
    method. A rule whose plans only move samples declares this by an attribute ``averages = False``:
    it then takes samples of any dtype, even integers that may be ids. Only entry points that name
    anchors, such as `zetamix.torch.MixedDataset`, pass `anchors`; a rule for the others may lack
    it.

    Raises
    ------
    TypeError
        If it is instantiated: it is a protocol.

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
        rng: RNG = None,
        like: SupportsSamples | None = None,
        groups: SupportsSamples | None = None,
        step: Any = None,
        anchors: SupportsSamples | None = None,
    ) -> Plan:
        """Draw the plan of a batch.

        Parameters
        ----------
        shape : tuple of int
            Shape (N, ...) of the samples, whose number may be less than what the rule mixes.
        rng : optional
            Source of randomness, to be passed on to functions such as `zeta_plan`, to one after the
            other if there are several: entry points pass a stream, which each continues.
        like : array, optional
            Array whose library and device the plan takes.
        groups : array of int, shape (N,), optional
            The group of each sample, for rules with `donors`.
        step : int or 0-d array, optional
            Number of the batch or of the epoch, whichever the entry point counts.
        anchors : array of int, shape (M,), optional
            The samples that come first in the outputs, in place of all in turn; see `zeta_plan`.

        Returns
        -------
        MixPlan or CutMixPlan
            Applies to the samples, their labels, and whatever else the batch holds.

        Raises
        ------
        ValueError
            If the rule does not fit `shape`, or does not use `groups`.
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


class Ask(NamedTuple):
    """The request for a plan, with the stream that it is drawn from."""

    shape: tuple[int, ...]
    stream: Stream
    like: Array | None
    step: Any = None
    groups: Any = None
    anchors: Any = None


class BaseRule(ABC):
    """The base of the package's rules: they draw from one stream, for a known batch."""

    # Whether samples are averaged, which ids must not be, or only moved.
    averages: ClassVar[bool] = True
    # Which samples a sample may be mixed with, by groups; see `zeta_plan`.
    donors: Literal["same", "other"] | None = None

    @property
    def takes_groups(self) -> bool:
        """Whether the rule asks for the groups of the samples."""
        return self.donors is not None

    def plan(
        self,
        shape: tuple[int, ...],
        *,
        rng: RNG = None,
        like: SupportsSamples | None = None,
        groups: SupportsSamples | None = None,
        step: Any = None,
        anchors: SupportsSamples | None = None,
    ) -> Plan:
        if groups is not None:
            check_takes_groups(self)
        check_like(like)
        asked = Ask(check_shape(shape), stream_for(rng, like), like, step, groups, anchors)
        return self._draw(asked)

    plan.__doc__ = Rule.plan.__doc__

    @abstractmethod
    def _draw(self, asked: Ask) -> Plan:
        """Draw the requested plan."""


class AlphaRule(BaseRule):
    """What rules with random weights share: their parameter α, and the options of their plans."""

    alpha: float
    per_sample: bool
    anchored: bool

    def __post_init__(self) -> None:
        check_donors(self.donors)
        object.__setattr__(self, "alpha", check_alpha(self.alpha))
        check_flag("per_sample", self.per_sample)
        check_flag("anchored", self.anchored)

    def _options(self, asked: Ask) -> dict[str, Any]:
        return {
            "alpha": self.alpha,
            "per_sample": self.per_sample,
            "anchored": self.anchored,
            "anchors": asked.anchors,
            "donors": self.donors,
            "groups": asked.groups,
            "rng": asked.stream,
            "like": asked.like,
        }


def drawn(
    rule: Rule,
    shape: tuple[int, ...],
    rng: Any,
    like: Array | None,
    step: Any = None,
    groups: Any = None,
    anchors: Any = None,
) -> Plan:
    """Draw the plan of a batch by any rule, on behalf of all entry points.

    A rule gets a stream, so that a rule that draws several things draws the same everywhere.
    """
    if isinstance(groups, Groups) and not isinstance(rule, BaseRule):
        groups = groups.values
    more = {} if anchors is None else {"anchors": anchors}
    plan = rule.plan(shape, rng=stream_for(rng, like), like=like, step=step, groups=groups, **more)
    if not isinstance(plan, Plan):
        raise TypeError(
            f"the method plan of a rule must return a MixPlan or a CutMixPlan, got "
            f"{type(plan).__name__} from {rule!r}; return a plan of zeta_plan, or make one"
        )
    return plan


def averages(rule: Rule) -> bool:
    """Return whether a rule averages samples, which must not be ids then, or only moves them.

    A rule without an attribute `averages` counts as averaging.
    """
    return bool(getattr(rule, "averages", True))


def takes_groups(rule: Rule) -> bool:
    """Return whether a rule may ask for the groups of samples; it may unless it says otherwise."""
    return bool(getattr(rule, "takes_groups", True))


def check_takes_groups(rule: Rule) -> None:
    """Check that a rule may ask for the groups that were given."""
    if not takes_groups(rule):
        raise ValueError(
            f"groups go with rules that ask for them, got groups for {rule}; leave them out, or "
            f"pass donors='same' or 'other' to the rule"
        )


def takes_anchors(rule: Rule) -> bool:
    """Return whether the method plan of a rule accepts anchors."""
    known = inspect.signature(rule.plan).parameters
    return "anchors" in known or any(each.kind is each.VAR_KEYWORD for each in known.values())


def mixed_samples(plan: Plan, x: Array, *, averages: bool) -> Array:
    """Mix samples; integers give floats if a rule may average, whichever of several was drawn."""
    integers = kind_of(x) in ("integer", "bool")
    if integers and not plan._pastes(x):
        check_no_ids("x", x)  # even without the axes of boxes
    return plan._mixed(x, dtype=output_dtype(x) if averages and integers else None)


def check_rule(rule: Any) -> Rule:
    """Return `rule` after checking that it is a rule: an object, not its class."""
    if isinstance(rule, type) or not callable(getattr(rule, "plan", None)):
        raise TypeError(
            f"rule must be an object with a method plan, got {rule!r}; pass for instance "
            f"zetamix.rules.Zeta(gamma=2.8)"
        )
    checked: Rule = rule
    return checked
