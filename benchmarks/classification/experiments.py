"""Files that say what a table consists of, and the runs that follow from one."""

from __future__ import annotations

import itertools
import math
import tomllib
from collections.abc import Collection, Iterable, Mapping, Sequence
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
    overrides: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    folder: Path = Path()

    def __post_init__(self) -> None:
        if not isinstance(self.data, Mapping):
            raise click.UsageError(
                f'data of {self.table} must be a table such as {{ reader = "digits" }}, got '
                f"{self.data!r}"
            )
        self._check("methods", self.methods, METHODS)
        self._check("augmentation", [self.augmentation], AUGMENTATIONS)
        self._check("tuning", self.tuning, _NUMBERS)
        self._check("methods with overrides", self.overrides, self.methods)
        self._check("overrides", {n for each in self.overrides.values() for n in each}, _NUMBERS)
        self._check_numbers()
        if len(self.tuning) > 1 or (self.tuning and self.tuned_by):
            raise click.UsageError(
                f"an experiment tunes one parameter or is tuned by another, got "
                f"{sorted(self.tuning)} and tuned_by = {self.tuned_by!r} in {self.table}"
            )

    def _check_numbers(self) -> None:
        whole = {"epochs": 2, "batch_size": 2, "seeds": 1, "corruption_seeds": 0}
        for name, least in whole.items():
            value = getattr(self, name)
            if type(value) is not int or value < least:
                raise click.UsageError(
                    f"{name} of {self.table} must be a whole number from {least} on, got {value!r}"
                )
        real = {name: [getattr(self, name)] for name in (*_NUMBERS, "noise")}
        for name, values in self.tuning.items():
            if not isinstance(values, list) or not values:
                raise click.UsageError(
                    f"tuning of {self.table} must name a parameter and a list of values, got "
                    f"{name} = {values!r}; write {name} = [1e-4, 5e-4]"
                )
            real[name] = [*real[name], *values]
        for name, values in real.items():
            for value in values:
                top = 1 if name == "noise" else math.inf
                if type(value) not in (int, float) or not 0 <= value <= top:
                    raise click.UsageError(
                        f"{name} of {self.table} must be a number from 0 to {top:g}, got {value!r}"
                    )

    def _check(self, what: str, got: Iterable[str], known: Iterable[str]) -> None:
        unknown = sorted(set(got) - set(known))
        if unknown:
            raise click.UsageError(
                f"unknown {what} in {self.table}: {', '.join(unknown)}; choose from "
                f"{', '.join(known)}"
            )

    def tuning_runs(self) -> list[Run]:
        """Return what is tried on the validation part: one seed, half the epochs."""
        return [
            replace(
                self._run(method, 0, "tuning"), epochs=self.epochs // 2, **_changed(name, value)
            )
            for name, values in self.tuning.items()
            for method, value in itertools.product(self.methods, values)
        ]

    def final_runs(self, choices: Mapping[str, Mapping[str, Any]]) -> list[Run]:
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
    except (tomllib.TOMLDecodeError, TypeError, OSError, UnicodeDecodeError) as error:
        names = ", ".join(each.name for each in fields(Experiment) if each.name != "folder")
        raise click.ClickException(
            f"{path} is not a valid experiment: {error}; it is TOML with the keys {names}"
        ) from error


def chosen(
    records: Iterable[Mapping[str, Any]], keys: Collection[str], name: str
) -> dict[str, dict[str, float]]:
    """Return for each method the value with the lowest error on validation, of equals the loss.

    Only runs of these keys count: a ledger may hold those of other machines, or of older settings.
    """
    best: dict[str, tuple[float, float, float]] = {}
    for record in records:
        if record.get("key") in keys:
            run, metrics = record["run"], record["metrics"]["validation"]
            candidate = (metrics["error"], metrics["nll"], run[name])
            best[run["method"]] = min(best.get(run["method"], candidate), candidate)
    return {method: {name: value} for method, (_, _, value) in best.items()}


def _changed(name: str, value: float) -> dict[str, Any]:
    return {name: value}
