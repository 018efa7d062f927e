"""Oversampling of tables compared with other methods: ``python benchmarks/tabular.py``.

What it does for classifiers of imbalanced tables, and how long it takes compared with SMOTE.
Finished fits go to a file of JSON lines: a killed program resumes there.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
from classification.ledger import Ledger
from harness import (
    Call,
    available_cores,
    environment,
    interleave,
    limited_threads,
    markdown,
    progress_bar,
    quartiles,
)
from imblearn.over_sampling import ADASYN, SMOTE, SMOTENC, BorderlineSMOTE, RandomOverSampler
from imblearn.pipeline import make_pipeline
from scipy import stats
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, balanced_accuracy_score, brier_score_loss
from sklearn.model_selection import RepeatedStratifiedKFold
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from tabular_data import SETS, Table
from zetamix import oversample
from zetamix.sklearn import ZetaMixupSampler

REPEATS, FOLDS, CONFIDENCE, NEIGHBORS = 5, 2, 0.95, 5
BASE = "no resampling"
MEASURES = {"average precision": 1, "balanced accuracy": 1, "Brier score": -1}  # 1: more is better
MODELS: Mapping[str, Callable[[Any], Any]] = {
    "logistic regression": lambda weight: LogisticRegression(max_iter=2000, class_weight=weight),
    "boosting": lambda weight: HistGradientBoostingClassifier(
        early_stopping=False, class_weight=weight, random_state=0
    ),
}
Scores = dict[tuple[str, str, str], dict[int, dict[str, float]]]


# --- methods --------------------------------------------------------------------------------------


def ours(table: Table, seed: int, rare: int, **options: Any) -> Any:
    chosen = list(table.categorical) or None
    return ZetaMixupSampler(categorical_features=chosen, random_state=seed, **options)


def smote(table: Table, seed: int, rare: int) -> Any:
    few = min(NEIGHBORS, rare - 1)
    if table.categorical:
        return SMOTENC(list(table.categorical), k_neighbors=few, random_state=seed)
    return SMOTE(k_neighbors=few, random_state=seed)


def numbers_alone(make: Callable[[int, int], Any]) -> Callable[[Table, int, int], Any]:
    """Return a maker of a method that does not support categories."""

    def made(table: Table, seed: int, rare: int) -> Any:
        if table.categorical:
            raise TypeError("it mixes only numbers, not categories")
        return make(seed, min(NEIGHBORS, rare - 1))

    return made


SAMPLERS: Mapping[str, Callable[[Table, int, int], Any]] = {
    BASE: lambda table, seed, rare: None,
    "class weights": lambda table, seed, rare: None,
    "threshold at the prior": lambda table, seed, rare: None,
    "RandomOverSampler": lambda table, seed, rare: RandomOverSampler(random_state=seed),
    "RandomOverSampler, shrinkage 1": numbers_alone(
        lambda seed, few: RandomOverSampler(shrinkage=1.0, random_state=seed)
    ),
    "SMOTE": smote,
    "BorderlineSMOTE": numbers_alone(
        lambda seed, few: BorderlineSMOTE(k_neighbors=few, random_state=seed)
    ),
    "ADASYN": numbers_alone(lambda seed, few: ADASYN(n_neighbors=few, random_state=seed)),
    "ζ-mixup within the class": ours,
    "ζ-mixup across classes": lambda table, seed, rare: ours(table, seed, rare, donors=None),
    "ζ-mixup with neighbours": lambda table, seed, rare: ours(
        table, seed, rare, neighbors=min(NEIGHBORS, rare - 1)
    ),
}
NEIGHBORLY = ("SMOTE", "BorderlineSMOTE", "ADASYN", "ζ-mixup with neighbours")


def pipeline(table: Table, sampler: Any, model: Any) -> Any:
    """Return scaled numbers, then the sampler, then categories as columns of zeros and ones."""
    if not table.categorical:
        return make_pipeline(StandardScaler(), sampler, model)
    numbers = [i for i in range(table.x.shape[1]) if i not in table.categorical]
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    floats = make_pipeline(FunctionTransformer(lambda x: x.astype(float)), StandardScaler())
    columns = make_column_transformer((encoder, list(table.categorical)), (floats, numbers))
    return make_pipeline(sampler, columns, model)


def measured(
    table: Table, name: str, model: str, train: np.ndarray, test: np.ndarray, seed: int
) -> dict[str, float]:
    """Fit on one part and return the scores on the other."""
    weight = "balanced" if name == "class weights" else None
    rare = int(table.y[train].sum())
    sampler = SAMPLERS[name](table, seed, rare) or "passthrough"
    fitted = pipeline(table, sampler, MODELS[model](weight))
    start = time.perf_counter()
    fitted.fit(table.x[train], table.y[train])
    seconds = time.perf_counter() - start
    scores = fitted.predict_proba(table.x[test])[:, 1]
    threshold = rare / train.size if name == "threshold at the prior" else 0.5
    return {
        "average precision": float(average_precision_score(table.y[test], scores)),
        "balanced accuracy": float(balanced_accuracy_score(table.y[test], scores > threshold)),
        "Brier score": float(brier_score_loss(table.y[test], scores)),
        "seconds": seconds,
    }


# --- runs -----------------------------------------------------------------------------------------


def run_set(name: str, table: Table, models: Sequence[str], repeats: int, ledger: Ledger) -> None:
    """Fit what is not in the ledger yet."""
    done = {(r["set"], r["model"], r["method"], r["fold"]) for r in ledger.records() if "set" in r}
    splits = RepeatedStratifiedKFold(n_splits=FOLDS, n_repeats=repeats, random_state=0)
    methods = [method for method in SAMPLERS if not (table.large and method in NEIGHBORLY)]
    with progress_bar() as bar:
        task = bar.add_task(name, total=repeats * FOLDS * len(models) * len(methods))
        for fold, (train, test) in enumerate(splits.split(table.x, table.y)):
            for model in models:
                for method in methods:
                    key = (name, model, method, fold)
                    if key not in done:
                        ledger.append(record_of(key, table, train, test))
                    bar.advance(task)


def record_of(
    key: tuple[str, str, str, int], table: Table, train: np.ndarray, test: np.ndarray
) -> dict[str, Any]:
    """Return one line: scores, or why a method refuses."""
    record: dict[str, Any] = dict(zip(("set", "model", "method", "fold"), key, strict=True))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return record | measured(table, key[2], key[1], train, test, key[3])
    except (TypeError, ValueError, RuntimeError) as error:
        return record | {"refused": f"{type(error).__name__}: {error}".splitlines()[0]}


def speed(seconds: float, columns: Sequence[int], size: int) -> list[dict[str, Any]]:
    """Time how tables grow elevenfold, by SMOTE and by ours, one thread each.

    The search of SMOTE compares all rows of a class that grows: in two large classes it takes most
    of the time, in one rare class little.
    """
    half, tenth, much = size // 2, size // 10, 10 * size
    both = {0: size - half + much // 2, 1: half + much // 2}
    cases = {f"two classes of {half:,}": (half, both)}
    cases[f"a rare class of {tenth:,}"] = (tenth, {1: tenth + much})
    found = []
    for count in columns:
        for name, (rare, wanted) in cases.items():
            x = np.random.default_rng(0).normal(size=(size, count))
            y = np.repeat([0, 1], [size - rare, rare])
            times = times_of(seconds, x, y, wanted)
            found.append({"speed": count, "rows": size, "case": name, "times": times})
    return found


def times_of(
    seconds: float, x: np.ndarray, y: np.ndarray, wanted: Mapping[int, int]
) -> dict[str, list[float]]:
    """Time how classes grow to the counts that are wanted."""
    more: dict[str, Any] = {"sampling_strategy": wanted, "random_state": 0}
    mixed = partial(oversample, x, y, strategy=wanted, rng=0)
    calls: dict[str, Call] = {
        "SMOTE (k = 5)": partial(SMOTE(k_neighbors=NEIGHBORS, **more).fit_resample, x, y),
        "zetamix.oversample": mixed,
        "zetamix.oversample, num_mix=2": partial(mixed, num_mix=2),
        "ZetaMixupSampler": partial(ZetaMixupSampler(**more).fit_resample, x, y),
    }
    times = interleave(calls, seconds=seconds, least=5, most=50)
    # By itself, since it may take the time of many rounds of the others.
    near: dict[str, Call] = {"zetamix.oversample, neighbors=5": partial(mixed, neighbors=NEIGHBORS)}
    return times | interleave(near, seconds=seconds / 4, least=3, most=15)


# --- tables ---------------------------------------------------------------------------------------


def scores_of(records: Sequence[Mapping[str, Any]]) -> Scores:
    scores: Scores = {}
    for record in records:
        if "set" in record and "refused" not in record:
            key = (record["set"], record["model"], record["method"])
            scores.setdefault(key, {})[record["fold"]] = {name: record[name] for name in MEASURES}
    return scores


def difference(
    first: Mapping[int, Any], second: Mapping[int, Any], measure: str
) -> tuple[float, float]:
    """Return the mean of paired differences and half of its interval.

    Folds of one table share rows: the variance is that of Nadeau and Bengio, larger by the share of
    the test part.
    """
    folds = sorted(first.keys() & second.keys())
    values = np.asarray([first[fold][measure] - second[fold][measure] for fold in folds])
    if values.size < 2:
        return float(values.mean()) if values.size else np.nan, np.nan
    error = np.sqrt(values.var(ddof=1) * (1 / values.size + 1 / (FOLDS - 1)))
    return float(values.mean()), float(stats.t.ppf((1 + CONFIDENCE) / 2, values.size - 1) * error)


def table_of(scores: Scores, name: str, model: str) -> list[list[str]]:
    """Return the rows of one set and model: means, and differences from no resampling."""
    base = scores[name, model, BASE]
    rows = []
    for method in SAMPLERS:
        found = scores.get((name, model, method))
        if found is None:
            continue
        share = f" ({len(found)} of {len(base)} folds)" if len(found) < len(base) else ""
        cells = [method + share]
        for measure in MEASURES:
            mean = np.mean([values[measure] for values in found.values()])
            change, half = difference(found, base, measure)
            cells.append(
                f"{mean:.3f}" + (f" ({change:+.3f} ± {half:.3f})" if method != BASE else "")
            )
        rows.append(cells)
    return rows


def ranks(scores: Scores) -> list[list[str]]:
    """Return the mean rank of each method, over the sets and models that all take part in.

    A method may refuse some folds; all are ranked by those that no method refused.
    """
    groups = sorted({key[:2] for key in scores})
    whole = [group for group in groups if all((*group, method) in scores for method in SAMPLERS)]
    rows = [[method] for method in SAMPLERS]
    for measure, sign in MEASURES.items():
        table = [
            [sign * np.mean([scores[*group, m][f][measure] for f in folds]) for m in SAMPLERS]
            for group in whole
            if (folds := set.intersection(*(set(scores[*group, m]) for m in SAMPLERS)))
        ]
        means = stats.rankdata(-np.asarray(table), axis=1).mean(axis=0) if table else []
        for row, mean in zip(rows, means, strict=False):
            row.append(f"{mean:.1f}")
    return [row for row in rows if len(row) > 1]


def report(records: Sequence[Mapping[str, Any]]) -> str:
    """Return all tables as Markdown."""
    parts, scores = ["# Oversampling of tables"], scores_of(records)
    for each in (record for record in records if "speed" in record):
        medians = {name: quartiles(times)[1] for name, times in each["times"].items()}
        slowest = medians["SMOTE (k = 5)"]
        rows = [[n, f"{1000 * t:.0f}", f"{slowest / t:.1f}"] for n, t in medians.items()]
        size = f"{each['rows']:,} rows of {each['speed']} columns"
        parts.append(f"## {size} grow elevenfold: {each['case']}")
        parts.append(markdown(["method", "ms", "times as fast as SMOTE"], rows))
    if table := ranks(scores):
        parts.append("## Mean ranks\n\n" + markdown(["method", *MEASURES], table))
    for name, model in sorted({key[:2] for key in scores}):
        if (name, model, BASE) in scores:
            rows = table_of(scores, name, model)
            parts.append(f"## {name}, {model}\n\n" + markdown(["method", *MEASURES], rows))
    refused = {(r["set"], r["method"], r["refused"]) for r in records if "refused" in r}
    parts += [f"- {method} on {name}: {why}" for name, method, why in sorted(refused)]
    return "\n\n".join(parts) + "\n"


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option(
    "--river",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The wheel of river.",
)
@click.option(
    "--set", "names", multiple=True, type=click.Choice([*SETS]), help="Sets; all by default."
)
@click.option("--seconds", default=20.0, type=click.FloatRange(0), help="Time for each speed.")
@click.option("--threads", default=available_cores(), type=click.IntRange(1))
@click.option("--quick", is_flag=True, help="Tiny sizes: does it run at all?")
@click.option(
    "-o",
    "--output",
    default="tabular.jsonl",
    metavar="FILE",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Finished fits, as JSON lines.",
)
def main(
    river: Path | None,
    names: tuple[str, ...],
    seconds: float,
    threads: int,
    quick: bool,
    output: Path,
) -> None:
    """Measure what oversampling does to scores of classifiers, and how long it takes."""
    ledger = Ledger(output)
    models = [*MODELS][: 1 if quick else None]
    size, columns = (200, (20,)) if quick else (10_000, (20, 200))
    with limited_threads(threads):
        if not any("speed" in record for record in ledger.records()):
            ledger.append({"environment": environment(threads, {})})
            for record in speed(0 if quick else seconds, columns, size):
                ledger.append(record)
        for name in names or ([*SETS][:1] if quick else [*SETS]):
            try:
                table = SETS[name](river)
            except FileNotFoundError as error:
                click.echo(f"{name} is left out: {error}, then --river WHEEL", err=True)
                continue
            run_set(name, table, models, 1 if quick else REPEATS, ledger)
    click.echo(report([*ledger.records()]))


if __name__ == "__main__":
    main()
