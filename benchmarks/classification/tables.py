"""Tables of runs from the records of ledgers, and their comparisons; not a program itself."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import click
import numpy as np

from classification.ledger import decoded, unpacked
from classification.statistics import (
    LEVEL,
    Paired,
    holm,
    image_interval,
    paired_difference,
    verdict,
)

__all__ = [
    "CONTROLS",
    "ERM",
    "MIXUP",
    "NAMES",
    "ZETA",
    "Comparison",
    "Record",
    "Table",
    "comparisons",
    "conditions_of",
    "csv_rows",
    "distinct",
    "settings_of",
    "tables",
    "values_of",
]

Record = Mapping[str, Any]

ERM, MIXUP, ZETA = "erm", "mixup-1", "zeta"
NAMES: Mapping[str, str] = {
    ERM: "ERM",
    "mixup-0.2": "mixup, α = 0.2",
    MIXUP: "mixup, α = 1",
    "cutmix": "CutMix",
    ZETA: "ζ-mixup",
    "cutmix+zeta": "CutMix or ζ-mixup",
    "pair": "ζ-mixup, T = 2",
    "dirichlet": "Dirichlet, T = N",
    "free": "free orderings",
    "smoothing": "label smoothing",
    "hard": "mixed inputs, hard labels",
    "labels": "mixed labels alone",
    "displaced": "displaced mixup",
}
CONTROLS: Mapping[str, str] = {
    "pair": "two terms of the p-series instead of all",
    "dirichlet": "all samples of the batch, with weights from a Dirichlet distribution",
    "free": "orderings drawn freely, not one anchored on each sample",
    "smoothing": "labels smoothed by the weight that ζ-mixup gives to others",
    "hard": "mixed inputs with the label of the anchor",
    "labels": "mixed labels on unmixed inputs",
    "displaced": "mixup of two samples, as far from the anchor as ζ-mixup",
}
_OF_ONE_RUN = {"seed", "stage", "corruptions"}


# --- records --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Table:
    """The runs of one table: by method, in the usual order, and by seed."""

    name: str
    runs: Mapping[str, Mapping[int, Record]]
    tuning: Sequence[Record] = ()
    data: Record = field(default_factory=dict)

    @property
    def finals(self) -> list[Record]:
        return [record for seeds in self.runs.values() for record in seeds.values()]

    @property
    def parts(self) -> list[str]:
        return list(dict.fromkeys(part for record in self.finals for part in record["metrics"]))

    @property
    def data_name(self) -> str:
        return str(self.data.get("name") or self.setting("data") or self.name)

    def setting(self, name: str, method: str | None = None) -> Any:
        """Return a setting of the runs of a method, or of the first run."""
        of_method = self.runs.get(method, {}).values() if method else self.finals
        return next((record["run"].get(name) for record in of_method), None)

    def title(self, part: str) -> str:
        """Name the table, and the test part if there are several."""
        return f"{self.name}{f' ({part})' if len(self.parts) > 1 else ''}"

    def values(self, method: str, part: str, metric: str = "error") -> dict[int, float]:
        """Return a metric by seed."""
        runs = self.runs.get(method, {}).items()
        found = {seed: record["metrics"].get(part, {}).get(metric) for seed, record in runs}
        return {seed: float(value) for seed, value in found.items() if value is not None}

    def wrong(self, method: str, part: str) -> dict[int, np.ndarray]:
        """Return by seed which test images are wrong, as far as predictions are known."""
        published = {
            seed: unpacked(record["wrong"][part], self.data["sizes"][part])
            for seed, record in self.runs.get(method, {}).items()
            if part in record.get("wrong", {})
        }
        if part not in self.data.get("labels", {}):
            return published
        labels = decoded(self.data["labels"][part])
        known = {
            seed: decoded(record["predictions"][part])
            for seed, record in self.runs.get(method, {}).items()
            if part in (record.get("predictions") or {})
        }
        errors = self.values(method, part)
        for seed, predicted in known.items():
            error = np.mean(predicted != labels) if predicted.shape == labels.shape else math.nan
            if not math.isclose(error, errors.get(seed, error), abs_tol=1e-9):
                raise click.ClickException(
                    f"predictions of {method}, seed {seed} of table {self.name} have the error of "
                    f"their record, got {error:g} for {errors[seed]:g} on {part}; read the ledger "
                    f"with its own line of data"
                )
        return published | {seed: predicted != labels for seed, predicted in known.items()}


def tables(records: Iterable[Record], *, allow_mixed: bool = False) -> list[Table]:
    """Put the runs of each table together; refuse those that cannot be compared."""
    # Two programs that were at work on one ledger may have made the same run.
    distinct = {
        record.get("key") or json.dumps(record, sort_keys=True): record for record in records
    }.values()
    data = {record["hash"]: record for record in distinct if record["kind"] == "data"}
    together: dict[str, list[Record]] = {}
    for record in distinct:
        if record["kind"] == "run":
            together.setdefault(record["run"]["table"], []).append(record)
    return [_table(name, runs, data, allow_mixed) for name, runs in together.items()]


def _table(
    name: str, records: Sequence[Record], data: Mapping[str, Record], allow_mixed: bool
) -> Table:
    final = [record for record in records if record["run"]["stage"] == "final"]
    tuning = [record for record in records if record["run"]["stage"] == "tuning"]
    if not allow_mixed:
        remedy = "choose, as by --only dtype=float32, or pass --allow-mixed"
        _check_alike("runs of one table share their conditions", name, conditions_of(final), remedy)
    hashes = [{"data_hash": record["data_hash"]} for record in final]
    remedy = "choose, as by --only data_hash=VALUE"
    _check_alike("runs of one table see the same data", name, hashes, remedy)
    runs: dict[str, dict[int, Record]] = {method: {} for method in NAMES}
    for record in final:
        method, seed = record["run"]["method"], record["run"]["seed"]
        if seed in runs.setdefault(method, {}):
            raise _repeated(name, runs[method][seed], record)
        runs[method][seed] = record
    for method, seeds in runs.items():
        settings = [settings_of(record) for record in seeds.values()]
        rule = f"runs of one method differ only in their seeds, here those of {method}"
        _check_alike(rule, name, settings, "choose, as by --only learning_rate=0.1")
    known = next(
        (data[record["data_hash"]] for record in records if record["data_hash"] in data), {}
    )
    return Table(name, {method: seeds for method, seeds in runs.items() if seeds}, tuning, known)


def _repeated(table: str, first: Record, second: Record) -> click.ClickException:
    """Make the refusal of two runs of one method and seed; `--only` chooses by what differs."""
    values = values_of([{**each["conditions"], **settings_of(each)} for each in (first, second)])
    choices = [f"--only {key}={v[0]}" for key, v in values.items() if len(v) > 1]
    remedy = f"choose, as by {choices[0]}, or " if choices else ""
    return click.ClickException(
        f"a table has one run of each method and seed, got two of {first['run']['method']} with "
        f"seed {first['run']['seed']} in table {table}; {remedy}remove one of their lines from the "
        f"ledgers"
    )


def _check_alike(rule: str, table: str, found: Sequence[Record], remedy: str) -> None:
    mixed = [f"{key} = {' and '.join(v)}" for key, v in values_of(found).items() if len(v) > 1]
    if mixed:
        raise click.ClickException(f"{rule}, got {'; '.join(mixed)} in table {table}; {remedy}")


def values_of(found: Sequence[Record]) -> dict[str, list[str]]:
    """Return the values of each key, all different."""
    keys = dict.fromkeys(key for each in found for key in each)
    return {key: distinct(each.get(key) for each in found) for key in keys}


def distinct(values: Iterable[Any]) -> list[str]:
    return list(dict.fromkeys(map(str, values)))


def conditions_of(records: Iterable[Record]) -> list[Record]:
    return [record["conditions"] for record in records]


def settings_of(record: Record) -> Record:
    return {key: value for key, value in record["run"].items() if key not in _OF_ONE_RUN}


def csv_rows(records: Iterable[Record]) -> list[dict[str, Any]]:
    """Return one flat row for each run, all with the same columns."""
    rows = [_row(record) for record in records if record["kind"] == "run"]
    columns = dict.fromkeys(column for row in rows for column in row)
    return [{column: row.get(column) for column in columns} for row in rows]


def _row(record: Record) -> dict[str, Any]:
    single = ("key", "data_hash", "commit", "date", "seconds", "mixing_share", "temperature")
    row = {**record["run"], **record["conditions"], **{key: record.get(key) for key in single}}
    for part, metrics in record["metrics"].items():
        row |= {f"{part}: {name}": value for name, value in metrics.items()}
    for name, errors in (record.get("corruptions") or {}).items():
        row |= {f"{name} {severity}": error for severity, error in enumerate(errors, 1)}
    return row


# --- comparisons ----------------------------------------------------------------------------------


class Comparison(NamedTuple):
    """A method minus a reference: difference of errors, over seeds and over test images."""

    table: str
    part: str
    method: str
    reference: str
    seeds: Paired
    images: tuple[float, float]
    adjusted: float  # Holm's p value

    @property
    def verdict(self) -> str:
        return verdict(self.seeds.low, self.seeds.high)

    @property
    def words(self) -> str:
        """The verdict, and whether it holds after adjustment for all comparisons."""
        holds = self.verdict not in ("wins", "loses") or self.adjusted < LEVEL
        return self.verdict if holds else f"{self.verdict} (unadjusted)"


def comparisons(found: Sequence[Table]) -> list[Comparison]:
    """Compare all methods with ERM and with mixup, as far as they share seeds."""
    grid = [
        _compare(table, part, method, reference)
        for table in found
        for part in table.parts
        for reference, without in ((ERM, {ERM}), (MIXUP, {ERM, MIXUP}))
        for method in table.runs
        if method not in without and reference in table.runs
    ]
    grid = [each for each in grid if each.seeds.pairs]
    adjusted = holm([each.seeds.p for each in grid])
    return [each._replace(adjusted=p) for each, p in zip(grid, adjusted, strict=True)]


def _compare(table: Table, part: str, method: str, reference: str) -> Comparison:
    paired = paired_difference(table.values(method, part), table.values(reference, part))
    images = image_interval(table.wrong(method, part), table.wrong(reference, part))
    return Comparison(table.name, part, method, reference, paired, images, math.nan)
