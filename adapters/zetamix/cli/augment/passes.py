"""The copies of the data in sequence: batches, and parts of several batches."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Container, Iterator
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from zetamix.cli.augment.labels import Labels
from zetamix.cli.augment.options import Options
from zetamix.rules import Rule, Zeta
from zetamix_core import Plan
from zetamix_core.adapting import Epoch, averages, drawn

__all__ = ["ORIGINAL", "Batch", "Part", "Passes", "Unmixed"]

ORIGINAL = "original"
PART_BYTES = 1 << 24


class Part(NamedTuple):
    """Some batches of a copy."""

    number: int
    copy: int  # among all passes, originals first
    first: int  # batch, up to `stop`
    stop: int
    rows: int


class Batch(NamedTuple):
    """A batch: which samples, and the plan to mix them by."""

    samples: np.ndarray
    plan: Plan
    epoch: Epoch[Any]
    name: str

    def mixed(self, x: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray | None]:
        """Return mixed samples and labels; of samples `x` that were read, or those of the epoch."""
        y = None if self.epoch.y is None else self.epoch.y[self.samples]
        if x is None:
            x, y = self.epoch.gather(self.samples)
        samples, labels = self.epoch.mix(self.plan, x, y)
        return samples, labels


@dataclasses.dataclass(frozen=True)
class Unmixed:
    """A rule that leaves samples as they are, in the dtypes and labels in the form of another."""

    rule: Rule

    @property
    def averages(self) -> bool:
        """Whether integers become floats."""
        return averages(self.rule)

    def plan(
        self,
        shape: tuple[int, ...],
        *,
        rng: Any = None,
        like: Any = None,
        groups: Any = None,
        step: Any = None,
        anchors: Any = None,
    ) -> Plan:
        """Return the plan that leaves each sample unmixed."""
        if self.averages:
            return drawn(Zeta(num_mix=1), shape, rng, like)
        return drawn(self.rule, shape, rng, like).where(np.zeros(shape[0], dtype=bool))


@dataclasses.dataclass(frozen=True)
class Passes:
    """Epochs over the data, with the originals first if requested.

    Attributes
    ----------
    epochs : dict of Epoch
        By the names of the copies, in their order.
    together : int
        Number of batches in a part.
    """

    epochs: dict[str, Epoch[Any]]
    together: int

    @classmethod
    def of(
        cls,
        x: np.ndarray,
        labels: Labels,
        options: Options,
        *,
        dtype: Any = None,
        part_rows: int | None = None,
    ) -> Passes:
        """Return the passes over an array, with parts of `part_rows` rows or some megabytes."""
        rule = options.mixing_rule(x.shape)
        if options.donors is not None and labels.groups is None:
            raise ValueError(
                f"--donors {options.donors} needs classes that are integers or words, got none "
                f"in the input; name them, or leave it out"
            )
        shared: dict[str, Any] = {
            "batch_size": options.batch_size,
            "num_classes": labels.num_classes,
            "dtype": options.dtype if dtype is None else dtype,
            "seed": options.seed,
        }
        groups = labels.groups if options.donors else None
        epochs: dict[str, Epoch[Any]] = {}
        if options.with_originals:
            unmixed = Unmixed(dataclasses.replace(options, donors=None).mixing_rule(x.shape))
            epochs[ORIGINAL] = Epoch(x, labels.y, rule=unmixed, shuffle=False, **shared)
        for copy in range(options.copies):
            epochs[str(copy)] = Epoch(x, labels.y, rule=rule, groups=groups, epoch=copy, **shared)
        rows = part_rows or PART_BYTES // max(1, x[:1].nbytes)
        return cls(epochs, max(1, rows // options.batch_size))

    @property
    def rows(self) -> int:
        """Number of rows in the output."""
        return sum(epoch.num_samples for epoch in self.epochs.values())

    @functools.cached_property
    def parts(self) -> list[Part]:
        """All parts, in the order of their rows."""
        found: list[Part] = []
        for copy, epoch in enumerate(self.epochs.values()):
            for first in range(0, len(epoch), self.together):
                stop = min(len(epoch), first + self.together)
                rows = min(epoch.num_samples, stop * epoch.batch_size) - first * epoch.batch_size
                found.append(Part(len(found), copy, first, stop, rows))
        return found

    def pending(self, done: Container[int]) -> Iterator[tuple[Part, Iterator[Batch]]]:
        """Yield the parts that are not done, with their batches, which must be used up first.

        The order of an epoch is drawn once for all of its parts.
        """
        for copy, (name, epoch) in enumerate(self.epochs.items()):
            left = [part for part in self.parts if part.copy == copy and part.number not in done]
            if not left:
                continue
            at = left[0].first
            steps = (Batch(*step, epoch, name) for step in epoch.steps(at))
            for part in left:
                next(islice(steps, part.first - at, part.first - at), None)
                yield part, islice(steps, part.stop - part.first)
                at = part.stop
