"""The options of the command, and the mixing rule that they define."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal

from zetamix.rules import CutMix, Dirichlet, Mixup, Rule, Zeta

__all__ = ["Options", "box_axes"]

_ARRAYS, _TABLES = ("npz", "npy"), ("parquet", "csv")
# The formats that an option is for, and the rules.
_OF_FORMATS: dict[str, tuple[str, ...]] = {
    "x": ("npz", "zarr"),
    "y": ("npz", "zarr"),
    "label": _TABLES,
    "keep": _TABLES,
    "num_classes": ("npz", "zarr", *_TABLES),
    "donors": ("npz", "zarr", "images", *_TABLES),
    "dtype": (*_ARRAYS, "zarr", *_TABLES),
    "size": ("images",),
    "format": ("images",),
    "quality": ("images",),
    "skip_bad": ("images",),
    "scheduler": ("zarr",),
    "memory_limit": ("zarr",),
}
_OF_RULES = {
    "gamma": ("zeta",),
    "alpha": ("mixup", "dirichlet", "cutmix"),
    "num_mix": ("zeta", "dirichlet"),
}
# What changes how the command runs, but no byte of what it makes.
_OF_THE_RUN = ("scheduler", "memory_limit", "resume", "overwrite", "given")
_CHANNELS = (1, 3, 4)


@dataclasses.dataclass(frozen=True)
class Options:
    """The options of the command, by their names there.

    Attributes
    ----------
    given : frozenset of str
        Names of the options that were given explicitly.
    """

    x: str | None = None
    y: str | None = None
    label: str | None = None
    keep: tuple[str, ...] = ()
    rule: str = "zeta"
    gamma: float = 2.8
    alpha: float = 1.0
    num_mix: int | None = None
    donors: Literal["same", "other"] | None = None
    copies: int = 1
    with_originals: bool = False
    batch_size: int = 128
    seed: int = 0
    num_classes: int | None = None
    dtype: str | None = None
    size: tuple[int, int] | None = None
    format: str = "png"
    quality: int = 95
    skip_bad: bool = False
    scheduler: str | None = None
    memory_limit: str | None = None
    resume: bool = False
    overwrite: bool = False
    given: frozenset[str] = frozenset()

    def check(self, kind: str) -> None:
        """Refuse options that do not apply to this format or rule."""
        for name in sorted(self.given):
            formats, rules = _OF_FORMATS.get(name, (kind,)), _OF_RULES.get(name, (self.rule,))
            if kind not in formats:
                raise ValueError(
                    f"{_flag(name)} is for input of the formats {_listed(formats)}, got {kind}; "
                    f"leave it out"
                )
            if self.rule not in rules:
                raise ValueError(
                    f"{_flag(name)} belongs to --rule {_listed(rules)}, got --rule {self.rule}; "
                    f"leave it out"
                )
        if "quality" in self.given and self.format != "jpeg":
            raise ValueError(
                f"--quality belongs to --format jpeg, got --format {self.format}; leave it out"
            )
        if self.scheduler is not None and self.memory_limit is not None:
            raise ValueError(
                "--memory-limit is for workers that this command starts, got --scheduler too, "
                "whose workers have limits of their own; leave one of the two out"
            )
        if self.rule == "cutmix" and kind in _TABLES:
            raise ValueError(
                "--rule cutmix pastes boxes of images, got a table; choose zeta, mixup or dirichlet"
            )

    def recorded(self) -> dict[str, Any]:
        """Return the options that the result depends on, in the form of JSON."""
        found = dataclasses.asdict(self)
        return {
            name.replace("_", "-"): list(value) if isinstance(value, tuple) else value
            for name, value in found.items()
            if name not in _OF_THE_RUN
        }

    def mixing_rule(self, shape: Sequence[int]) -> Rule:
        """Return the rule for an array of samples of this shape."""
        if self.rule == "zeta":
            return Zeta(gamma=self.gamma, num_mix=self.num_mix, donors=self.donors)
        if self.rule == "dirichlet":
            return Dirichlet(alpha=self.alpha, num_mix=self.num_mix, donors=self.donors)
        if self.rule == "mixup":
            return Mixup(alpha=self.alpha, donors=self.donors)
        if len(shape) < 3:
            raise ValueError(
                f"--rule cutmix pastes boxes of images, so samples must have two or more axes, "
                f"got an array of shape {tuple(shape)}; choose zeta, mixup or dirichlet"
            )
        return CutMix(alpha=self.alpha, axes=box_axes(shape), donors=self.donors)


def box_axes(shape: Sequence[int]) -> tuple[int, int]:
    """Return the axes of height and width: the last two, unless channels come last."""
    last = len(shape) == 4 and shape[3] in _CHANNELS and shape[1] not in _CHANNELS
    return (1, 2) if last else (-2, -1)


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _listed(names: Sequence[str]) -> str:
    return " or ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]
