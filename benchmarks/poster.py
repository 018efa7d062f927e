"""The figures and tables of the poster, from data at hand: ``python benchmarks/poster.py``."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click
from harness import markdown
from poster_data import Refusal, Source, bundled, image_file, refuse_input
from poster_measures import (
    CONFIDENCE,
    GAMMAS,
    MEASURES,
    NEIGHBORS,
    Interval,
    Outcome,
    Row,
    measure_all,
    summarize,
)
from zetamix.figures.datasets import BATCH

from zetamix_core.adapting import replacing

_VOTE = "a vote of the 10 nearest originals, without the sample's own anchor"
_WRITTEN = (".csv", ".png", ".svg")
_HEADS = {
    "dimension": "dimension",
    "displacement": "moved by",
    "nearest_distance": "nearest real",
    "precision": "precision",
    "recall": "recall",
    "density": "density",
    "coverage": "coverage",
    "effective_classes": "classes",
    "overlap": "overlap",
    "same_class": "same class",
}


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--seeds", default=10, type=click.IntRange(2), help="Number of repetitions.")
@click.option(
    "--max-samples",
    default=2000,
    type=click.IntRange(NEIGHBORS + 1),
    help="Most images that each seed draws from a file.",
)
@click.option("--quick", is_flag=True, help="Two seeds, two γ, few samples: does it run at all?")
@click.option(
    "-o",
    "--output",
    default="poster",
    metavar="FOLDER",
    type=click.Path(file_okay=False, writable=True, path_type=Path),
    help="Folder for figures (.png, .svg) and tables (.csv).",
)
@click.argument(
    "files",
    metavar="[DATA.npz]...",
    nargs=-1,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
def main(seeds: int, max_samples: int, quick: bool, output: Path, files: tuple[Path, ...]) -> None:
    """Measure mixup and ζ-mixup on half-moons, spirals, a helix, digits, and files of images.

    A file has arrays x_train and y_train, x and y, or images and labels, and may have class_names;
    bytes are divided by 255.
    """
    check_outputs(output, files)
    gammas: Sequence[float] = GAMMAS
    if quick:
        seeds, gammas, max_samples = 2, (2.0, 4.0), min(max_samples, 140)
    sources = [*bundled(), *(image_file(path) for path in files)]
    check_names(sources)
    for source in sources:
        check_size(source)
    output.mkdir(parents=True, exist_ok=True)

    def limit(source: Source) -> int | None:
        """Return how many samples to draw; None for clouds of points, which are soon measured."""
        return max_samples if quick or source.is_images else None

    rows = measure_all(sources, range(seeds), gammas, limit)
    outcomes = summarize(rows)
    write_measures(rows, output / "measures.csv")
    write_summary(outcomes, output / "summary.csv")
    click.echo("\n".join(report(sources, outcomes, limit)))

    from poster_pictures import pictures, save

    for name, figure in pictures(sources, outcomes, max_samples if quick else None):
        save(figure, output / name)


def check_names(sources: Sequence[Source]) -> None:
    """Refuse two data sets of the same name, whose rows and pictures would be mixed up."""
    names = [source.name for source in sources]
    for name in names:
        if names.count(name) > 1:
            raise Refusal(f"two data sets are called {name!r}; rename a file")


def check_outputs(folder: Path, files: Sequence[Path]) -> None:
    """Refuse to write over the data, under whatever name."""
    for written in folder.glob("*"):
        if written.suffix in _WRITTEN:
            refuse_input(written, files)


def check_size(source: Source) -> None:
    n = len(source.draw(0))
    if n <= NEIGHBORS:
        raise Refusal(
            f"{source.name} has {n} samples, but the dimension is estimated from {NEIGHBORS} "
            f"neighbours of each; {NEIGHBORS + 1} samples or more are needed"
        )


# --- files ---------------------------------------------------------------------------------------


def write_measures(rows: Iterable[Row], path: Path) -> None:
    """Write a line for each data set, method and seed."""
    header = ["data", "method", "gamma", "num_mix", "seed", "num_samples", *MEASURES]
    _write_csv(path, header, map(_cells, rows))


def _cells(row: Row) -> list[Any]:
    name, gamma, *measured = row.measures
    return [row.data, name, gamma, row.num_mix, row.seed, row.num_samples, *measured]


def write_summary(outcomes: Iterable[Outcome], path: Path) -> None:
    columns = [f"{name}_{part}" for name in MEASURES for part in ("mean", "half_width")]
    header = ["data", "method", "gamma", "num_mix", "num_seeds", *columns]
    _write_csv(path, header, map(_summary_cells, outcomes))


def _summary_cells(outcome: Outcome) -> list[Any]:
    cells: list[Any] = [outcome.data, outcome.method, outcome.gamma, outcome.num_mix]
    cells.append(outcome.num_seeds)
    for name in MEASURES:
        interval = outcome.intervals.get(name)
        cells += [None, None] if interval is None else [interval.mean, interval.half_width]
    return cells


def _write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    for row in rows:
        # Beyond nine digits there is but rounding.
        writer.writerow([f"{cell:.9g}" if isinstance(cell, float) else cell for cell in row])
    with replacing(path) as file:
        file.write(text.getvalue().encode())


# --- report ---------------------------------------------------------------------------------------


def report(
    sources: Sequence[Source],
    outcomes: Sequence[Outcome],
    limit: Callable[[Source], int | None],
) -> Iterator[str]:
    num_seeds = outcomes[0].num_seeds
    yield (
        f"Means over {num_seeds} seeds ± half the width of the {CONFIDENCE:.0%} interval of "
        f"Student's t. Batches of {BATCH}; ζ-mixup of whole batches unless a number is given. "
        f"Distances in units of the root total variance; dimension: local principal components of "
        f"{NEIGHBORS} neighbours.\n"
    )
    for source in sources:
        here = [outcome for outcome in outcomes if outcome.data == source.name]
        n, drawn = len(source.draw(0)), len(source.samples(0, limit(source)))
        part = f", {drawn:,} drawn by each seed" if drawn < n else ""
        yield f"## {source.name}: {n:,} samples{part}\n"
        yield _table(here)
        if "overlap" in here[0].intervals:
            yield _oracle_note(source, here[0])


def _table(outcomes: Sequence[Outcome]) -> str:
    names = [name for name in _HEADS if name in outcomes[0].intervals]
    return markdown(
        ["", *(_HEADS[name] for name in names)],
        [
            [outcome.method, *(_cell(name, outcome.intervals[name]) for name in names)]
            for outcome in outcomes
        ],
    )


def _cell(name: str, interval: Interval) -> str:
    digits = 2 if name in ("dimension", "effective_classes") else 3
    return f"{interval.mean:.{digits}f} ± {interval.half_width:.{digits}f}"


def _oracle_note(source: Source, originals: Outcome) -> str:
    same, overlap = originals.intervals["same_class"], originals.intervals["overlap"]
    wrong = Interval(1 - same.mean, same.half_width)
    missed = Interval(1 - overlap.mean, overlap.half_width)
    who = "the class of the nearest curve" if source.oracle else _VOTE
    return (
        f"The oracle is {who}. Its own error on the originals: {_cell('', wrong)} of the classes, "
        f"{_cell('', missed)} of the overlap.\n"
    )


if __name__ == "__main__":
    main()
