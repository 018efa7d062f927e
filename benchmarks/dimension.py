"""Local intrinsic dimension compared with scikit-dimension: ``python benchmarks/dimension.py``.

One run shows whether the estimates agree on the same neighbours, and how long each takes.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import importlib.util
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
from harness import (
    Call,
    available_cores,
    environment,
    interleave,
    limited_cores,
    limited_threads,
    markdown,
    peak_resident_bytes,
    progress_bar,
    quartiles,
    settle,
    write_json,
)
from poster_data import Refusal, image_file, refuse_input
from sklearn.neighbors import NearestNeighbors
from targets import Verdict, verdict_table
from zetamix.figures.datasets import digits, helix

from zetamix_core.metrics import local_intrinsic_dimension, nearest_neighbors

METHODS = ("lpca", "participation_ratio", "mle", "twonn")
NEIGHBORS = 128
# Of wide data, scikit-dimension gets so many points only: it takes up to a second for each.
POINTS = {"lpca": 64, "participation_ratio": 8, "twonn": 64}
TOLERANCE = 1e-9  # relative; counts of eigenvalues must be the same
LARGE, LARGE_BYTES = (8000, 3072), 2e9


@dataclass(frozen=True)
class Case:
    """Samples, and the share of the peer's time that lpca should take at most."""

    name: str
    x: np.ndarray
    bound: float
    is_wide: bool = False


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--seconds", default=10.0, type=click.FloatRange(0), help="Time for each comparison.")
@click.option("--threads", default=available_cores(), type=click.IntRange(1))
@click.option("--method", "methods", multiple=True, default=METHODS, type=click.Choice(METHODS))
@click.option("--full", is_flag=True, help="Wide data: all points, once; takes minutes to an hour.")
@click.option("--quick", is_flag=True, help="Tiny sizes and two rounds: does it run at all?")
@click.option(
    "-o",
    "--output",
    default="dimension.json",
    metavar="FILE",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="All times, as JSON.",
)
@click.argument(
    "images",
    metavar="[DATA.npz]",
    required=False,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
def main(
    seconds: float,
    threads: int,
    methods: tuple[str, ...],
    full: bool,
    quick: bool,
    output: Path,
    images: Path | None,
) -> None:
    """Compare estimates and times with scikit-dimension: on a helix, wide data, and digits.

    The wide data are synthetic, or 2,000 images of a file; see poster.py for its arrays.
    """
    refuse_input(output, () if images is None else (images,))
    if importlib.util.find_spec("skdim") is None:
        raise Refusal(
            "scikit-dimension is not installed; python -m pip install scikit-dimension brings it"
        )
    timing: dict[str, Any] = {"seconds": seconds, "least": 3, "most": 30}
    if quick:
        timing |= {"least": 2, "most": 2}
    settle()
    chosen = cases(images, quick=quick)
    # The search in a tree starts a thread for each core, whatever the limit of others.
    with limited_cores(threads), limited_threads(threads):
        rows = compare_all(chosen, methods, timing, full=full)
        large = measure_large((300, 64) if quick else LARGE)
    verdicts = [*judge(rows), *judge_large(large)]
    results = {
        "environment": surroundings(threads),
        "settings": {**timing, "n_neighbors": NEIGHBORS, "tolerance": TOLERANCE},
        "comparisons": rows,
        "large": large,
        "targets": [{**vars(verdict), "met": verdict.met} for verdict in verdicts],
    }
    write_json(results, output)
    click.echo("\n".join(report(results, verdicts)))


def surroundings(threads: int) -> dict[str, Any]:
    here = environment(threads, {"numpy": "cpu"})
    for package in ("scikit-dimension", "scikit-learn"):
        here["packages"][package] = importlib.metadata.version(package)
    return here


# --- data -----------------------------------------------------------------------------------------


def cases(images: Path | None, *, quick: bool) -> list[Case]:
    """Return a helix and digits, and between them wide data in two precisions."""
    rng = np.random.default_rng(0)
    points = helix().points
    noisy = points + 0.02 * rng.normal(size=points.shape)
    name, wide = _wide(images, rng)
    numbers = digits().points.reshape(-1, 64)
    if quick:
        noisy, wide, numbers = noisy[::60], wide[:140, :96], numbers[:140]
    return [
        Case("noisy helix", noisy, 1 / 10),
        Case(name, wide.astype(np.float32), 1 / 10, is_wide=True),
        Case(name, wide.astype(np.float64), 1 / 10, is_wide=True),
        Case("digits", numbers, 1 / 5),
    ]


def _wide(images: Path | None, rng: np.random.Generator) -> tuple[str, np.ndarray]:
    if images is None:
        low_rank = rng.normal(size=(2000, 20)) @ rng.normal(size=(20, 3072))
        return "20 directions and noise", low_rank + 0.5 * rng.normal(size=low_rank.shape)
    source = image_file(images)
    data = source.samples(0, 2000)
    if len(data) <= NEIGHBORS:
        raise Refusal(f"{images.name} has {len(data)} images; {NEIGHBORS + 1} or more are needed")
    return source.name, data.points.reshape(len(data), -1)


# --- scikit-dimension -----------------------------------------------------------------------------


def peer_from(
    method: str, x: np.ndarray, neighbors: np.ndarray, distances: np.ndarray
) -> np.ndarray:
    """Return the peer's estimates from given neighbours."""
    estimator = _estimator(method)
    if method == "mle":
        fitted = estimator.fit(x, precomputed_knn_arrays=(distances, neighbors))
    else:
        fitted = estimator.fit_pw(x, precomputed_knn=neighbors, n_neighbors=neighbors.shape[1])
    return np.asarray(fitted.dimension_pw_)


def peer(method: str, x: np.ndarray) -> np.ndarray:
    """Return the peer's estimates, its search of neighbours included."""
    estimator = _estimator(method)
    fit = estimator.fit if method == "mle" else estimator.fit_pw
    return np.asarray(fit(x, n_neighbors=NEIGHBORS, n_jobs=1).dimension_pw_)


def _estimator(method: str) -> Any:
    peers = importlib.import_module("skdim.id")
    if method == "participation_ratio":
        return peers.lPCA(ver=method)
    return {"lpca": peers.lPCA, "mle": peers.MLE, "twonn": peers.TwoNN}[method]()


# --- comparing ------------------------------------------------------------------------------------


def compare_all(
    chosen: Sequence[Case], methods: Sequence[str], timing: Mapping[str, Any], *, full: bool
) -> list[dict[str, Any]]:
    rows = []
    with progress_bar() as progress:
        task = progress.add_task("", total=len(chosen) * len(methods))
        for case in chosen:
            for method in methods:
                progress.update(task, description=f"{case.name}, {method}")
                rows.append(compare(case, method, timing, full=full))
                progress.advance(task)
    return rows


def compare(case: Case, method: str, timing: Mapping[str, Any], *, full: bool) -> dict[str, Any]:
    """Compare estimates and times of one method on one data set."""
    n = len(case.x)
    points = np.arange(n)
    if case.is_wide and not full and method in POINTS:
        points = np.random.default_rng(0).permutation(n)[: POINTS[method]]
    x = case.x.astype(np.float64)
    neighbors, distances = nearest_neighbors(x, n_neighbors=NEIGHBORS)
    given = peer_from(method, x, neighbors[points], distances[points])
    ours = local_intrinsic_dimension(x, method=method, neighbors=neighbors)[points]
    times = peer_times(case, method, points, timing, once=case.is_wide and full)
    middles = {name: quartiles(each) if len(each) > 1 else each * 3 for name, each in times.items()}
    return {
        "data": case.name,
        "shape": list(case.x.shape),
        "dtype": str(case.x.dtype),
        "method": method,
        "compared": len(points),
        "largest_difference": float(np.abs(ours - given).max()),
        "differ": num_different(ours, given, method),
        "mean": float(ours.mean()),
        "seconds": times,
        "quartiles": middles,
        "scaled_from": len(points) if len(points) < n else None,
        "ratio": middles["scikit-dimension"][1] / middles["zetamix"][1],
        "bound": case.bound,
    }


def num_different(ours: np.ndarray, theirs: np.ndarray, method: str) -> int:
    tolerance = 0 if method == "lpca" else TOLERANCE
    return int(np.sum(~np.isclose(ours, theirs, rtol=tolerance, atol=0)))


def peer_times(
    case: Case, method: str, points: np.ndarray, timing: Mapping[str, Any], *, once: bool
) -> dict[str, list[float]]:
    """Time both from samples to estimates, in seconds.

    Where the peer gets some of the points only, its time for them is taken times their share, and
    the time of its search of the neighbours of all points is added.
    """
    x = case.x
    calls: dict[str, Call] = {
        "zetamix": functools.partial(
            local_intrinsic_dimension, x, n_neighbors=NEIGHBORS, method=method
        )
    }
    if len(points) == len(x):
        calls["scikit-dimension"] = functools.partial(peer, method, x)
        if once:
            return {name: [_seconds(call)] for name, call in calls.items()}
        return interleave(calls, **timing)
    neighbors, distances = nearest_neighbors(x, n_neighbors=NEIGHBORS)
    calls["search"] = functools.partial(_peer_search, x)
    calls["points"] = functools.partial(peer_from, method, x, neighbors[points], distances[points])
    times = interleave(calls, **timing)
    share = len(x) / len(points)
    scaled = [
        search + share * some for search, some in zip(times["search"], times["points"], strict=True)
    ]
    return {"zetamix": times["zetamix"], "scikit-dimension": scaled}


def _peer_search(x: np.ndarray) -> Any:
    return NearestNeighbors(n_neighbors=NEIGHBORS, n_jobs=1).fit(x).kneighbors()


def _seconds(call: Call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def measure_large(shape: tuple[int, int]) -> dict[str, Any]:
    """Measure time and memory of one call, whose neighbourhoods alone would not fit the memory."""
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    seconds: list[float] = []

    def call() -> None:
        seconds.append(_seconds(functools.partial(local_intrinsic_dimension, x)))

    peak = peak_resident_bytes(call)
    return {"shape": list(shape), "dtype": str(x.dtype), "peak_bytes": peak, "seconds": seconds[-1]}


def judge(rows: Sequence[Mapping[str, Any]]) -> list[Verdict]:
    found = []
    for row in rows:
        name = f"{_name(row)}, {row['method']}"
        found.append(Verdict("points whose estimates differ", name, row["differ"], 0))
        if row["method"] == "lpca":
            time = "time over scikit-dimension's"
            found.append(Verdict(time, name, 1 / row["ratio"], row["bound"]))
    return found


def judge_large(large: Mapping[str, Any]) -> Iterator[Verdict]:
    if large["peak_bytes"] is not None:
        case = "×".join(map(str, large["shape"]))
        share = large["peak_bytes"] / LARGE_BYTES
        yield Verdict(f"peak memory over {LARGE_BYTES / 1e9:g} GB", case, share, 1, strict=True)


# --- report ---------------------------------------------------------------------------------------


def report(results: Mapping[str, Any], verdicts: Sequence[Verdict]) -> Iterator[str]:
    here, rows, large = results["environment"], results["comparisons"], results["large"]
    packages = here["packages"]
    names = ("zetamix", "numpy", "scipy", "scikit-dimension", "scikit-learn")
    versions = ", ".join(f"{name} {packages[name]}" for name in names)
    yield (
        f"Python {here['python']}, {versions}; {here['processor']}, {here['threads']} threads; "
        f"scikit-dimension with n_jobs=1. {NEIGHBORS} neighbours.\n"
    )
    yield "## Estimates from the same neighbours, in float64\n"
    yield (
        f"*Different* counts the points at which lpca is not exactly equal, or other estimates "
        f"differ by more than {TOLERANCE:g}, relatively.\n"
    )
    header = ["data", "method", "mean", "points compared", "largest difference", "different"]
    yield markdown(header, [_agreement(row) for row in rows])
    yield "## Time from samples to estimates, including the neighbour search\n"
    header = ["data", "method", "zetamix s", "quartiles", "scikit-dimension s", "quartiles"]
    yield markdown([*header, "ratio", "measured"], [_speed(row) for row in rows])
    peak = large["peak_bytes"]
    memory = "unknown here" if peak is None else f"{peak / 1e9:.2f} GB"
    shape = " × ".join(f"{size:,}" for size in large["shape"])
    yield "## Large data\n"
    yield (
        f"lpca of {shape} numbers in {large['dtype']}, once: {large['seconds']:.1f} s, peak of "
        f"extra memory {memory}.\n"
    )
    yield "## Targets\n"
    yield verdict_table(verdicts)


def _agreement(row: Mapping[str, Any]) -> list[str]:
    compared = f"{row['compared']:,} of {row['shape'][0]:,}"
    largest, differ = f"{row['largest_difference']:.2g}", str(row["differ"])
    return [_name(row), row["method"], f"{row['mean']:.2f}", compared, largest, differ]


def _speed(row: Mapping[str, Any]) -> list[str]:
    cells = [_name(row), row["method"]]
    for name in ("zetamix", "scikit-dimension"):
        low, middle, high = row["quartiles"][name]
        cells += [f"{middle:.3g}", f"{low:.3g}–{high:.3g}"]
    points = row["scaled_from"]
    measured = "all" if points is None else f"search; estimates scaled from {points} points"
    if min(map(len, row["seconds"].values())) == 1:
        measured += ", once"
    return [*cells, f"{row['ratio']:.1f}", measured]


def _name(row: Mapping[str, Any]) -> str:
    return f"{row['data']}, {'×'.join(map(str, row['shape']))}, {row['dtype']}"


if __name__ == "__main__":
    main()
