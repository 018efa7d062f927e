"""Tables of a training benchmark, from the records of its runs; not a program itself.

``python benchmarks/classify.py report`` prints them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from harness import markdown

from classification.sections import interval, mean, number, p_value, points, section
from classification.statistics import CONFIDENCE
from classification.tables import (
    CONTROLS,
    ERM,
    MIXUP,
    NAMES,
    ZETA,
    Comparison,
    Record,
    Table,
    comparisons,
    conditions_of,
    csv_rows,
    distinct,
    tables,
    values_of,
)

__all__ = [
    "CONTROLS",
    "NAMES",
    "Comparison",
    "Table",
    "comparisons",
    "csv_rows",
    "interval",
    "number",
    "report",
    "tables",
]


# --- report ---------------------------------------------------------------------------------------


def report(records: Iterable[Record], *, allow_mixed: bool = False) -> Iterator[str]:
    """Lay out all tables in Markdown; say what is missing instead of failing."""
    found = tables(records, allow_mixed=allow_mixed)
    grid = comparisons(found)
    if not any(table.runs for table in found):
        yield "The ledgers hold no final runs.\n"
    else:
        yield from _summary(found, grid)
        yield from _source_form(found)
    for table in found:
        yield from section(table, [each for each in grid if each.table == table.name])
    yield from _noise(found)
    yield from _conditions(found)


def _summary(found: Sequence[Table], grid: Sequence[Comparison]) -> Iterator[str]:
    yield "## Summary\n"
    yield (
        f"All intervals are {CONFIDENCE:.0%} intervals. Those over seeds are Student's t of paired "
        f"differences, and show how much other seeds would change the result on the same test "
        f"images. Those over images are a bootstrap of the test images, and show how much other "
        f"images would change it for the same networks. Differences are differences in error, in "
        f"percentage points: negative is better. Verdicts follow the interval over seeds; *ties* "
        f"means that it contains 0, not that the methods are equal, and *(unadjusted)* that the "
        f"verdict does not hold after adjustment. p-values are from paired t tests, adjusted by "
        f"Holm's rule for all {sum(not math.isnan(each.seeds.p) for each in grid)} comparisons of "
        f"this report. Where each image has one label, micro-F1 is the accuracy.\n"
    )
    for reference, name in ((MIXUP, "mixup of α = 1"), (ERM, "ERM")):
        lines = [
            f"- {_sentence(table, each, name)}"
            for table in found
            for each in grid
            if (each.table, each.method, each.reference) == (table.name, ZETA, reference)
        ]
        yield "\n".join(lines or [f"- ζ-mixup against {name}: no seed has runs of both."]) + "\n"


def _sentence(table: Table, each: Comparison, reference: str) -> str:
    difference = number(100 * each.seeds.mean, sign=True)
    seeds = "seed" if each.seeds.pairs == 1 else "seeds"
    return (
        f"ζ-mixup at γ = {table.setting('gamma', ZETA):g} against {reference} on "
        f"{table.title(each.part)}: {each.words}, {difference} points "
        f"{points(each.seeds.low, each.seeds.high)} over {each.seeds.pairs} {seeds}, "
        f"bootstrap over images {points(*each.images)}, adjusted p-value: {p_value(each.adjusted)}."
    )


def _source_form(found: Sequence[Table]) -> Iterator[str]:
    """Lay out data sets as columns, in the form in which ζ-mixup was first published."""
    columns = [
        (f"{table.title(part)}, {table.setting('model')}", table, part)
        for table in found
        for part in table.parts
        if not table.setting("noise") and len({ERM, MIXUP, ZETA} & set(table.runs)) > 1
    ]
    for metric, title in (("error", "Classification error, %"), ("micro_f1", "Micro-averaged F1")):
        rows = [
            [
                name,
                *(
                    mean(table.values(method, part, metric).values(), metric)
                    for _, table, part in columns
                ),
            ]
            for method, name in ((ERM, "ERM"), (MIXUP, "mixup"), (ZETA, "ζ-mixup"))
        ]
        if columns:
            yield f"{title}, with mixup of α = 1:\n"
            yield markdown(["method", *(title for title, _, _ in columns)], rows)


# --- over tables ----------------------------------------------------------------------------------


def _noise(found: Sequence[Table]) -> Iterator[str]:
    """Compare tables that differ in the share of wrong labels."""
    together: dict[tuple[Any, ...], list[Table]] = {}
    for table in found:
        if table.runs:
            keys = ("data", "model", "epochs", "batch_size")
            together.setdefault(tuple(map(table.setting, keys)), []).append(table)
    for group in together.values():
        group.sort(key=lambda table: table.setting("noise") or 0)
        if not group[-1].setting("noise"):
            continue
        header = [
            "method",
            *(f"{table.setting('noise') or 0:.0%} ({table.name})" for table in group),
        ]
        rows = [
            [
                NAMES.get(name, name),
                *(
                    mean([each.values(name, each.parts[0])[seed] for seed in seeds])
                    for each in group
                ),
            ]
            for name in group[0].runs
            if (seeds := _shared_seeds(group, name))
        ]
        yield f"## Wrong labels in training: {group[0].data_name}, {group[0].setting('model')}\n"
        yield "Errors in %, by the share of training samples with a wrong label:\n"
        yield markdown(header, rows)


def _shared_seeds(group: Sequence[Table], method: str) -> list[int]:
    """Return the seeds that runs of a method have in all tables."""
    seeds = [set(table.values(method, table.parts[0])) for table in group]
    return sorted(set.intersection(*seeds))


def _conditions(found: Sequence[Table]) -> Iterator[str]:
    """Report machines, dates, commits and packages."""
    if not found:
        return
    of_tables = {table.name: [*table.finals, *table.tuning] for table in found}
    records = [record for each in of_tables.values() for record in each]
    keys = list(values_of(conditions_of(records)))
    rows = []
    for name, own in of_tables.items():
        values = values_of(conditions_of(own))
        dates = sorted({record["date"] for record in own})
        span = " to ".join(dict.fromkeys((dates[0], dates[-1])))
        commits = ", ".join(distinct(record["commit"] for record in own))
        rows.append([name, *(" and ".join(values.get(key, ["–"])) for key in keys), span, commits])
    yield "## Conditions\n"
    yield markdown(["table", *keys, "dates", "commits"], rows)
    yield f"{_packages([record.get('environment') or {} for record in records])}.\n"


def _packages(environments: Sequence[Record]) -> str:
    """Name what all runs had, and after it what only some of them had."""
    lists = [
        [
            f"Python {here.get('python', 'unknown')}",
            *(f"{name} {version}" for name, version in here.get("packages", {}).items()),
        ]
        for here in environments
    ]
    names = list(dict.fromkeys(name for each in lists for name in each))
    shared = [name for name in names if all(name in each for each in lists)]
    some = [name for name in names if name not in shared]
    if not shared or not some:
        return ", ".join(shared or [f"some runs had {name}" for name in some])
    return f"{', '.join(shared)}; some runs also had {', '.join(some)}"
