"""Files that say what a table consists of, and the runs that follow from one."""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import click

from classification.augment import AUGMENTATIONS
from classification.methods import METHODS
from classification.training import Run

__all__ = ["Experiment", "chosen", "load"]


@dataclass(frozen=True)
class Experiment:
    """The runs of one table.

    `tuning` names one parameter of `Run` and its values. `tuned_by` is the file of another
    experiment, whose choices are taken over.
    """

    table: str
    data: Mapping[str, Any]
    model: str
    epochs: int
    batch_size: int
    learning_rate: float
    methods: Sequence[str]
    seeds: int
    weight_decay: float = 5e-4
    gamma: float = 2.8
    alpha: float = 1.0
    noise: float = 0.0
    augmentation: str = "none"
    corruption_seeds: int = 0
    tuning: Mapping[str, Sequence[float]] = field(default_factory=dict)
    tuned_by: str | None = None
    overrides: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    folder: Path = Path()

    def __post_init__(self) -> None:
        self._check("methods", self.methods, METHODS)
        self._check("augmentation", [self.augmentation], AUGMENTATIONS)
        self._check("tuning", self.tuning, _NUMBERS)
        self._check("methods with overrides", self.overrides, self.methods)
        if len(self.tuning) > 1 or (self.tuning and self.tuned_by):
            raise click.UsageError(
                f"an experiment tunes one parameter or is tuned by another, got "
                f"{sorted(self.tuning)} and tuned_by = {self.tuned_by!r} in {self.table}"
            )

    def _check(self, what: str, got: Iterable[str], known: Iterable[str]) -> None:
        unknown = sorted(set(got) - set(known))
        if unknown:
            raise click.UsageError(
                f"{what} of {self.table}: known are {', '.join(known)}, got {', '.join(unknown)}"
            )

    def tuning_runs(self) -> list[Run]:
        """Return what is tried on the validation part: one seed, half the epochs."""
        return [
            replace(self._run(method, 0, "tuning"), epochs=self.epochs // 2, **{name: value})
            for name, values in self.tuning.items()
            for method, value in itertools.product(self.methods, values)
        ]

    def final_runs(self, choices: Mapping[str, Mapping[str, float]]) -> list[Run]:
        """Return the runs of the table, seed by seed, with the values chosen for each method."""
        return [
            replace(
                self._run(method, seed, "final"),
                corruptions=seed < self.corruption_seeds,
                **choices.get(method, {}),
                **self.overrides.get(method, {}),
            )
            for seed, method in itertools.product(range(self.seeds), self.methods)
        ]

    def _run(self, method: str, seed: int, stage: str) -> Run:
        values = {name: getattr(self, name) for name in _SHARED}
        data = str(self.data.get("path", self.data.get("reader")))
        return Run(data=data, method=method, seed=seed, stage=stage, **values)


_NUMBERS = ("weight_decay", "gamma", "alpha", "learning_rate")
_SHARED = {each.name for each in fields(Run)} - {"data", "method", "seed", "stage", "corruptions"}


def load(path: Path) -> Experiment:
    """Read an experiment from a file in TOML."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        return Experiment(**content, folder=path.parent)
    except (tomllib.TOMLDecodeError, TypeError) as error:
        names = ", ".join(each.name for each in fields(Experiment) if each.name != "folder")
        raise click.ClickException(
            f"{path} is no experiment: {error}; it is TOML with {names}"
        ) from error


def chosen(
    records: Iterable[Mapping[str, Any]], experiment: Experiment
) -> dict[str, dict[str, float]]:
    """Return for each method the value with the lowest error on validation, of equals the loss."""
    best: dict[str, tuple[float, float, float]] = {}
    (name,) = experiment.tuning or ("",)
    for record in records:
        run = record.get("run", {})
        if run.get("table") == experiment.table and run.get("stage") == "tuning":
            metrics = record["metrics"]["validation"]
            candidate = (metrics["error"], metrics["nll"], run[name])
            best[run["method"]] = min(best.get(run["method"], candidate), candidate)
    return {method: {name: value} for method, (_, _, value) in best.items()}
