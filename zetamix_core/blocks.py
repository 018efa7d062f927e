"""The plans of a whole data set: one row for each item, drawn by blocks of rows."""

from __future__ import annotations

import dataclasses
import math
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple

import numpy as np

from zetamix_core.arrays import is_array, is_numpy, to_host
from zetamix_core.checks import check_num_samples
from zetamix_core.donors import Groups, check_groups
from zetamix_core.inputs import shown
from zetamix_core.leaves import Batch
from zetamix_core.plans import CutMixPlan, MixPlan, Plan
from zetamix_core.random.seeds import checked_part
from zetamix_core.rules import OneOf, Rule, Zeta
from zetamix_core.rules.base import BaseRule, check_rule, drawn, takes_anchors
from zetamix_core.rules.one_of import check_asked

# Row i is row i % 256 of block i // 256, drawn by the key (seed, epoch, block). To change this
# changes all draws.
_BLOCK = 256
# Blocks are kept up to this many entries.
_MOST_ENTRIES = 1 << 22
# Up to this many items are mixed from one stack of their samples; of large samples, only so many
# that the stack stays in the cache.
_MOST_ITEMS, _MOST_NUMBERS = 32, 1 << 17
# num_mix of a rule that would mix all samples, which here are a whole data set.
_NUM_MIX = 4


class Part(NamedTuple):
    """Items that one plan mixes from some samples of the data set."""

    # Positions of the items among those requested.
    places: np.ndarray
    # The samples that the plan is applied to, each once.
    samples: np.ndarray
    plan: Plan


class Blocks:
    """How each item of a data set is mixed with other items.

    The row of an item depends on the rule, the number of samples, the shape of one of them, the
    groups, the seed and the epoch, and on nothing else: neither on which items are requested
    together, nor on their order.
    """

    def __init__(
        self, rule: Rule | None, num_samples: int, *, seed: int, groups: Any = None
    ) -> None:
        self.rule = _for_anchors(Zeta() if rule is None else check_rule(rule))
        self.num_samples = check_num_samples(num_samples)
        self.seed = checked_part("seed", seed, 63)
        self.groups = self._checked_groups(groups)
        self._forget()

    def mixed(
        self,
        items: Sequence[int],
        epoch: int,
        shape: tuple[int, ...],
        read: Callable[[list[int]], Sequence[Any]],
        mix: Callable[[list[Any], list[int], Plan], tuple[Batch, list[Any]]],
    ) -> list[Any]:
        """Return mixed items, for samples of the given shape.

        `read` returns samples by number, and is called with each number that is needed once. `mix`
        stacks samples, which have these numbers, into a batch, and returns its leaves with the
        mixed values.
        """
        parts = []
        step = min(_MOST_ITEMS, max(1, _MOST_NUMBERS // max(1, math.prod(shape))))
        for start in range(0, len(items), step):
            here = items[start : start + step]
            parts += [(start, part) for part in self.parts(here, epoch, shape)]
        needed = np.unique(np.concatenate([part.samples for _, part in parts])).tolist()
        samples = read(needed)
        if len(samples) != len(needed):
            raise ValueError(
                f"a data set must return one item for each index, got {len(samples)} items for "
                f"{len(needed)} indices; correct its __getitems__"
            )
        found = dict(zip(needed, samples, strict=True))
        result: list[Any] = [None] * len(items)
        for start, (places, used, plan) in parts:
            numbers = used.tolist()
            batch, values = mix([found[i] for i in numbers], numbers, plan)
            for row, asked in enumerate((places + start).tolist()):
                own = found[items[asked]]
                result[asked] = batch.row(values, row, own)
        return result

    def parts(self, items: Sequence[int], epoch: int, shape: tuple[int, ...]) -> Iterator[Part]:
        """Yield the plans of items, for samples of the given shape.

        There is one plan, unless the rule draws several kinds of plans.
        """
        blocks, rows = np.divmod(np.asarray(items, dtype=np.int64), _BLOCK)
        plans = {int(b): self._plan(int(b), epoch, shape) for b in np.unique(blocks)}
        kinds: dict[Any, list[int]] = {}
        for block, plan in plans.items():
            kinds.setdefault((type(plan), plan.num_mix), []).append(block)
        for members in kinds.values():
            here = [(np.flatnonzero(blocks == block), plans[block]) for block in members]
            samples, plan = _joined([(plan, rows[places]) for places, plan in here])
            yield Part(np.concatenate([places for places, _ in here]), samples, plan)

    def __getstate__(self) -> dict[str, Any]:
        return {name: self.__dict__[name] for name in ("rule", "num_samples", "seed", "groups")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()

    def _forget(self) -> None:
        self._kept: dict[tuple[int, int], Plan] = {}
        self._entries = 0
        self._lock = threading.Lock()

    def _plan(self, block: int, epoch: int, shape: tuple[int, ...]) -> Plan:
        """Return the plan of a block; the last block is filled up with the first samples."""
        key = (epoch, block)
        with self._lock:
            if key not in self._kept:
                self._keep(key, self._drawn(block, epoch, shape))
            return self._kept[key]

    def _drawn(self, block: int, epoch: int, shape: tuple[int, ...]) -> Plan:
        n = self.num_samples
        anchors = (np.arange(_BLOCK) + block * _BLOCK) % n
        rng = (self.seed, epoch, block)
        plan = drawn(self.rule, (n, *shape), rng, None, epoch, self.groups, anchors)
        _check_drawn(self.rule, plan, n, anchors)
        return plan

    def _keep(self, key: tuple[int, int], plan: Plan) -> None:
        self._kept[key] = plan
        self._entries += _BLOCK * plan.num_mix
        while self._entries > _MOST_ENTRIES and len(self._kept) > 1:
            oldest = next(iter(self._kept))
            self._entries -= _BLOCK * self._kept.pop(oldest).num_mix

    def _checked_groups(self, groups: Any) -> Groups | None:
        check_asked(self.rule, groups)
        if groups is None:
            return None
        if isinstance(groups, str) or callable(groups):
            raise TypeError(
                f"groups must be an integer for each of {self.num_samples} samples, because donors "
                f"are chosen before they are read, got {shown(groups)}; pass them as an array"
            )
        listed = hasattr(groups, "__len__") and not isinstance(groups, (Mapping, AbstractSet))
        if listed and not is_array(groups):
            groups = list(groups)  # such as a column of a table
        values = np.array(to_host(check_groups(groups, self.num_samples)))
        return Groups.of(values)


def _check_drawn(rule: Rule, plan: Plan, n: int, anchors: np.ndarray) -> None:
    """Check the plan that a custom rule has drawn."""
    first = plan._label_plan.indices
    if not is_numpy(first) or plan.shape != (anchors.size, n):
        raise ValueError(
            f"a rule must draw NumPy plans for the shape and the anchors it is given, got "
            f"{plan!r} for {anchors.size} anchors and {n} samples from {rule}; pass on n, like and "
            f"anchors"
        )
    if (wrong := np.flatnonzero(first[:, 0] != anchors)).size:
        i = int(wrong[0])
        raise ValueError(
            f"a rule must put the anchors it is given at the first rank, got sample "
            f"{first[i, 0]} in output {i} with anchor {anchors[i]} from {rule}; pass them on, as "
            f"in zeta_plan(..., anchors=anchors)"
        )


def _for_anchors(rule: Rule) -> Rule:
    """Return a rule that accepts anchors, and mixes a few samples instead of all."""
    if isinstance(rule, OneOf):
        return dataclasses.replace(rule, rules=tuple(map(_for_anchors, rule.rules)))
    if not takes_anchors(rule):
        raise TypeError(
            f"a rule must take anchors to mix across a data set, got {type(rule).__name__} without "
            f"them; add anchors=None to its method plan, and pass them on as in "
            f"zeta_plan(..., anchors=anchors)"
        )
    if getattr(rule, "anchored", True) is False:
        raise ValueError(
            f"item i of a data set weighs most in mixed item i, got {rule} with anchored=False; "
            f"leave it out"
        )
    gamma: Any = getattr(rule, "gamma", None)
    if is_array(gamma) and gamma.ndim:
        raise ValueError(
            f"gamma must be one number for all items, a pair or a callable, got an array of shape "
            f"{tuple(gamma.shape)}; pass for instance gamma=(1.8, 4.0)"
        )
    if isinstance(rule, BaseRule) and getattr(rule, "num_mix", 0) is None:
        few: Any = rule
        return dataclasses.replace(few, num_mix=_NUM_MIX)  # type: ignore[no-any-return]
    return rule


Piece = tuple[Plan, np.ndarray]


def _joined(pieces: list[Piece]) -> tuple[np.ndarray, Plan]:
    """Return the samples that the chosen rows of plans of one kind use, and a plan for them."""
    mixes = [(plan._label_plan, rows) for plan, rows in pieces]
    samples, places = np.unique(_rows_of(mixes, "indices"), return_inverse=True)
    weights = _rows_of(mixes, "weights")
    mix = MixPlan._drawn(places.reshape(weights.shape), weights, samples.size, distinct=False)
    mix._set(_steady=True)
    first = pieces[0][0]
    if not isinstance(first, CutMixPlan):
        return samples, mix
    lower, upper = (_rows_of(pieces, name) for name in ("lower", "upper"))
    return samples, CutMixPlan(mix, lower, upper, first.axes, first.lengths)


def _rows_of(pieces: Sequence[tuple[Plan, np.ndarray]], name: str) -> np.ndarray:
    """Return the chosen rows of an array of plans, in which all rows may share one."""
    arrays = [(getattr(plan, name), plan.num_outputs, rows) for plan, rows in pieces]
    return np.concatenate(
        [np.broadcast_to(x, (count, x.shape[-1]))[rows] for x, count, rows in arrays]
    )
