"""The part of the report about one table; not a program itself."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Iterator, Sequence

from harness import markdown

from classification.metrics import TEMPERATURES
from classification.statistics import Paired, mean_interval, paired_difference, share_explained
from classification.tables import (
    CONTROLS,
    ERM,
    MIXUP,
    NAMES,
    ZETA,
    Comparison,
    Record,
    Table,
    settings_of,
    values_of,
)

__all__ = ["interval", "mean", "number", "p_value", "points", "section"]

_METRICS = {
    "error": "error, %",
    "micro_f1": "micro-F1",
    "macro_f1": "macro-F1",
    "balanced_accuracy": "balanced accuracy",
    "nll": "NLL",
    "nll_scaled": "NLL scaled",
    "ece": "ECE, %",
    "ece_scaled": "ECE scaled, %",
}
_PERCENT = {"error", "ece", "ece_scaled"}
_FAMILIES = ("noise", "blur", "weather", "digital", "all")
_WEATHER = ("snow", "frost", "fog", "brightness")
_NAMED = {"table", "data", "method"}  # settings that stand elsewhere


# --- numbers --------------------------------------------------------------------------------------


def number(value: float, digits: int = 2, *, sign: bool = False) -> str:
    """Write a number with a true minus; NaN is a dash."""
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    rounded = round(value, digits) or 0.0  # no negative zero
    return f"{rounded:{'+' if sign and rounded else ''}.{digits}f}".replace("-", "−")


def interval(low: float, high: float, digits: int = 2) -> str:
    """Write an interval; one with an unknown end is a dash."""
    if math.isnan(low) or math.isnan(high):
        return "–"
    return f"[{number(low, digits)}, {number(high, digits)}]"


def points(low: float, high: float) -> str:
    return interval(100 * low, 100 * high)


def p_value(value: float) -> str:
    return "< 0.001" if value < 0.001 else number(value, 3)


def mean(values: Iterable[float], metric: str = "error") -> str:
    """Write a mean over seeds with half of its interval, errors in percent."""
    scale, digits = (100, 2) if metric in _PERCENT else (1, 4)
    middle, half = mean_interval([scale * value for value in values])
    spread = "" if math.isnan(half) else f" ± {number(half, digits)}"
    return number(middle, digits) + spread


def _name(table: Table, method: str) -> str:
    name = NAMES.get(method, method)
    return f"{name}, γ = {table.setting('gamma', ZETA):g}" if method == ZETA else name


# --- one table ------------------------------------------------------------------------------------


def section(table: Table, grid: Sequence[Comparison]) -> Iterator[str]:
    yield f"## {table.name}\n"
    yield _description(table)
    yield from _missing(table)
    for part in table.parts:
        here = [each for each in grid if each.part == part]
        yield f"### Scores: {part}\n"
        yield _scores(table, part)
        yield from _differences(table, here)
        yield from _controls(table, part, here)
    yield from _corruptions(table)
    yield from _choices(table)
    yield from _costs(table)


def _description(table: Table) -> str:
    sizes = ", ".join(f"{size:,} {name}" for name, size in table.data.get("sizes", {}).items())
    runs = [settings_of(record) for record in table.finals or table.tuning]
    values = {key: each for key, each in values_of(runs).items() if key not in _NAMED}
    fixed = [f"{_words(key)} {each[0]}" for key, each in values.items() if len(each) == 1]
    varied = [f"{_words(key)} by method" for key, each in values.items() if len(each) > 1]
    notes = "".join(f" {note.rstrip('.')}." for note in table.data.get("notes", ()))
    classes = f"{len(names)} classes; " if (names := table.data.get("class_names")) else ""
    images = f"{sizes} images; " if sizes else ""
    return f"{table.data_name}: {classes}{images}{', '.join(fixed + varied)}.{notes}\n"


def _words(key: str) -> str:
    return key.replace("_", " ")


def _missing(table: Table) -> Iterator[str]:
    """Say which runs a whole table would have."""
    if not table.runs:
        yield "There are no final runs yet.\n"
        return
    absent = [NAMES[method] for method in (ERM, MIXUP, ZETA) if method not in table.runs]
    if absent:
        yield f"No runs: {', '.join(absent)}.\n"
    seeds = {seed for of_method in table.runs.values() for seed in of_method}
    for method, of_method in table.runs.items():
        if lacking := sorted(seeds - set(of_method)):
            yield f"Missing seeds of {_name(table, method)}: {', '.join(map(str, lacking))}.\n"
    for part in table.parts:
        if not any(table.wrong(method, part) for method in table.runs):
            yield f"No intervals over images of {part}: labels or predictions are missing.\n"


def _scores(table: Table, part: str) -> str:
    rows = [
        [
            _name(table, method),
            str(len(seeds)),
            *(_score(table, method, part, metric) for metric in _METRICS),
        ]
        for method, seeds in table.runs.items()
    ]
    note = ""
    if any(map(_has_no_temperature, table.finals)):
        note = (
            "\nScaled metrics are left out where a run makes no mistake on the validation part, "
            "since no temperature is too low for it then.\n"
        )
    return markdown(["method", "seeds", *_METRICS.values()], rows) + note


def _score(table: Table, method: str, part: str, metric: str) -> str:
    runs = table.runs[method].values()
    if metric.endswith("_scaled") and any(map(_has_no_temperature, runs)):
        return "–"
    return mean(table.values(method, part, metric).values(), metric)


def _has_no_temperature(record: Record) -> bool:
    return float(record.get("temperature", 1.0)) < 1.1 * TEMPERATURES[0]


def _differences(table: Table, grid: Sequence[Comparison]) -> Iterator[str]:
    for reference in (ERM, MIXUP):
        rows = [
            [
                _name(table, each.method),
                str(each.seeds.pairs),
                number(100 * each.seeds.mean, sign=True),
                points(each.seeds.low, each.seeds.high),
                points(*each.images),
                p_value(each.seeds.p),
                p_value(each.adjusted),
                each.words,
            ]
            for each in grid
            if each.reference == reference
        ]
        if rows:
            yield f"Differences from {NAMES[reference]}:\n"
            header = [
                "method",
                "seeds",
                "points",
                "over seeds",
                "bootstrap over images",
                "p",
                "adjusted p",
                "verdict",
            ]
            yield markdown(header, rows)


def _controls(table: Table, part: str, grid: Sequence[Comparison]) -> Iterator[str]:
    """Say how much of the gain of ζ-mixup each control reaches."""
    present = [method for method in CONTROLS if method in table.runs]
    gain = next((each for each in grid if (each.method, each.reference) == (ZETA, ERM)), None)
    if not present or ZETA not in table.runs:
        return
    yield "Controls, which show where a gain of ζ-mixup comes from:\n"
    explained = gain is not None and gain.verdict == "wins"
    if not explained:
        yield _no_gain(gain)
    errors = {method: table.values(method, part) for method in table.runs}
    rows = []
    for method in present:
        beside = paired_difference(errors[ZETA], errors[method])
        row = [f"{NAMES[method]}: {CONTROLS[method]}", *_signed(beside)]
        if explained:
            share = share_explained(errors[ERM], errors[ZETA], errors[method])
            ends = interval(100 * share.low, 100 * share.high, 0)
            row.append(f"{number(100 * share.ratio, 0)} {ends}")
        rows.append(row)
    header = ["control", "ζ-mixup minus the control, points", "over seeds"]
    if explained:
        header.append("share of the gain over ERM, %, bootstrap over seeds")
    yield markdown(header, rows)


def _no_gain(gain: Comparison | None) -> str:
    if gain is None:
        return "No seed has runs of both ERM and ζ-mixup, so there is no gain to explain.\n"
    if gain.verdict == "undecided":
        return "These seeds do not show whether ζ-mixup gains over ERM, so no shares are given.\n"
    middle, ends = _signed(gain.seeds)
    what = "its gain is not distinguishable from 0" if gain.verdict == "ties" else "it loses"
    return f"ζ-mixup has no gain over ERM to explain: {what}, {middle} points {ends}.\n"


def _signed(paired: Paired) -> list[str]:
    return [number(100 * paired.mean, sign=True), points(paired.low, paired.high)]


def _corruptions(table: Table) -> Iterator[str]:
    """Report errors on corrupted images: means of severities, by family and over all."""
    errors = {method: _corrupted(runs.values()) for method, runs in table.runs.items()}
    present = {name for seeds in errors.values() for each in seeds.values() for name in each}
    families = [name for name in _FAMILIES if name in present]
    rows = []
    for method, seeds in errors.items():
        if not seeds:
            continue
        overall, base = (
            {seed: each["all"] for seed, each in of_method.items()}
            for of_method in (seeds, errors.get(ERM, {}))
        )
        paired = paired_difference(overall, base)
        beside = " ".join(_signed(paired)) if method != ERM and paired.pairs else ""
        means = [mean(each[name] for each in seeds.values() if name in each) for name in families]
        rows.append([_name(table, method), str(len(seeds)), *means, beside])
    if rows:
        yield f"Errors on corrupted images of {table.parts[0]}, in %:\n"
        yield markdown(["method", "seeds", *families, "all, minus ERM"], rows)


def _corrupted(records: Iterable[Record]) -> dict[int, dict[str, float]]:
    """Return by seed the mean error of each family, and of all corruptions alike."""
    found = {}
    for record in records:
        if corruptions := record.get("corruptions"):
            families: dict[str, list[float]] = {}
            for name, errors in corruptions.items():
                families.setdefault(_family(name), []).append(statistics.fmean(errors))
            means = {name: statistics.fmean(values) for name, values in families.items()}
            every = [mean for values in families.values() for mean in values]
            found[record["run"]["seed"]] = {**means, "all": statistics.fmean(every)}
    return found


def _family(corruption: str) -> str:
    last = _words(corruption).split()[-1]
    if last in _WEATHER:
        return "weather"
    return last if last in _FAMILIES else "digital"


def _choices(table: Table) -> Iterator[str]:
    """Report what tuning tried, and what it chose: the lowest error, then the lowest loss."""
    settings = [settings_of(record) for record in table.tuning]
    varied = [key for key, values in values_of(settings).items() if len(values) > 1]
    name = next((key for key in varied if key != "method"), None)
    if name is None:
        return
    tried: dict[str, dict[float, Record]] = {}
    for record in table.tuning:
        of_method = tried.setdefault(record["run"]["method"], {})
        of_method[record["run"][name]] = record["metrics"]["validation"]
    values = sorted({value for of_method in tried.values() for value in of_method})
    rows, edges = [], []
    for method, of_method in tried.items():
        best = min(of_method, key=lambda v: (of_method[v]["error"], of_method[v]["nll"], v))
        cells = {value: number(100 * metrics["error"]) for value, metrics in of_method.items()}
        cells[best] = f"**{cells[best]}**"
        title = NAMES.get(method, method)
        rows.append([title, *(cells.get(value, "–") for value in values)])
        if best in (values[0], values[-1]):
            edges.append(title)
    yield f"Choices of the {_words(name)}: validation errors in %, the chosen in bold.\n"
    yield markdown(["method", *(f"{value:g}" for value in values)], rows)
    if edges:
        yield f"Chosen at an end, so better values may lie beyond: {', '.join(edges)}.\n"


def _costs(table: Table) -> Iterator[str]:
    rows = []
    for method, seeds in table.runs.items():
        seconds, share = (
            statistics.median(record[name] for record in seeds.values())
            for name in ("seconds", "mixing_share")
        )
        rows.append([_name(table, method), number(seconds, 1), number(100 * share, 1)])
    if rows:
        yield "Median time of a run, and median share of the training time spent on mixing:\n"
        yield markdown(["method", "seconds", "mixing, %"], rows)
