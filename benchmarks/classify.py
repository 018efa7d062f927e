"""Does mixing help training? ``python benchmarks/classify.py run EXPERIMENT``, then ``report``."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import torch
from classification.experiments import load
from classification.ledger import published, read_ledgers
from classification.pictures import save
from classification.power import power_report
from classification.report import csv_rows
from classification.report import report as markdown_report
from classification.running import Bench, has_fast_bfloat16, run_experiment
from classification.training import Machine
from harness import available_cores
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from zetamix_core.adapting import replacing

EXISTING = click.Path(exists=True, path_type=Path)
WRITTEN = click.Path(dir_okay=False, writable=True, path_type=Path)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
def main() -> None:
    """Train with and without mixing, paired by seeds, and report with intervals."""


@main.command()
@click.argument("experiments", nargs=-1, required=True, type=EXISTING)
@click.option("--data", default=".", type=EXISTING, help="Folder that paths of data start from.")
@click.option(
    "-o",
    "--output",
    default="ledgers",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the ledgers, one JSON line for each finished run.",
)
@click.option(
    "--dtype",
    default="auto",
    type=click.Choice(["auto", "float32", "bfloat16"]),
    help="auto is bfloat16 where the hardware multiplies it, else float32.",
)
@click.option("--device", default="cpu", type=click.Choice(["cpu", "cuda"]))
@click.option(
    "--jobs",
    type=click.IntRange(1),
    show_default="one for each core, on a GPU one",
    help="Runs at a time.",
)
@click.option("--threads", default=1, type=click.IntRange(1), help="Threads of each run.")
@click.option("--compile", "compiled", is_flag=True, help="Compile the network (torch.compile).")
@click.option("--weights", type=EXISTING, help="Weights that torchvision's networks start from.")
def run(
    experiments: tuple[Path, ...],
    data: Path,
    output: Path,
    dtype: str,
    device: str,
    jobs: int | None,
    threads: int,
    compiled: bool,
    weights: Path | None,
) -> None:
    """Make the runs of experiments (files in TOML), and skip those already in the ledgers."""
    if dtype == "auto":
        dtype = "bfloat16" if device == "cuda" or has_fast_bfloat16() else "float32"
    if device == "cuda" and not torch.cuda.is_available():
        raise click.UsageError("--device cuda needs a GPU and torch's build for CUDA, got neither")
    if jobs is None:
        jobs = available_cores() if device == "cpu" else 1
    machine = Machine(device, dtype, compiled, weights)
    bench = Bench(machine, data, output, threads, jobs)
    for path in experiments:
        with _progress() as progress:
            run_experiment(load(path), bench, _told(progress))


@main.command()
@click.argument("ledgers", nargs=-1, required=True, type=EXISTING)
@click.option(
    "--only",
    multiple=True,
    metavar="KEY=VALUE",
    help="Report only runs with this setting or condition, such as dtype=float32.",
)
@click.option("--allow-mixed", is_flag=True, help="Put runs of several machines in one table.")
@click.option("--csv", "csv_path", type=WRITTEN, help="All runs, one row each.")
@click.option("--picture", type=WRITTEN, help="A forest plot of the differences from ERM, as PNG.")
def report(
    ledgers: tuple[Path, ...],
    only: tuple[str, ...],
    allow_mixed: bool,
    csv_path: Path | None,
    picture: Path | None,
) -> None:
    """Print the tables of ledgers in Markdown, with intervals and verdicts in words."""
    records = [record for record in read_ledgers(ledgers) if _is_asked_for(record, only)]
    click.echo("\n".join(markdown_report(records, allow_mixed=allow_mixed)))
    click.echo("\n".join(power_report(records, allow_mixed=allow_mixed)))
    if csv_path is not None:
        _write_csv(csv_rows(records), csv_path)
    if picture is not None:
        save(records, picture, allow_mixed=allow_mixed)


def _is_asked_for(record: Mapping[str, Any], only: Sequence[str]) -> bool:
    if record["kind"] != "run":
        return True
    known = {**record, **record["conditions"], **record["run"]}
    for pair in only:
        key, _, value = pair.partition("=")
        if key not in known:
            raise click.UsageError(f"--only takes KEY=VALUE with a key of runs, got {pair}")
        if str(known[key]) != value:
            return False
    return True


@main.command()
@click.argument("ledgers", nargs=-1, required=True, type=EXISTING)
@click.option("-o", "--output", required=True, type=click.Path(file_okay=False, path_type=Path))
def publish(ledgers: tuple[Path, ...], output: Path) -> None:
    """Copy ledgers without the labels of the data, but with the images each run gets wrong."""
    output.mkdir(parents=True, exist_ok=True)
    for path in ledgers:
        lines = (json.dumps(each, ensure_ascii=False) for each in published(read_ledgers([path])))
        with replacing(output / path.name) as file:
            file.write("".join(f"{line}\n" for line in lines).encode())


def _write_csv(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0] if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    with replacing(path) as file:
        file.write(text.getvalue().encode())


def _progress() -> Progress:
    """Make a bar with the time left; elsewhere than on a terminal there are plain lines."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not Console(stderr=True).is_interactive,
    )


def _told(progress: Progress) -> Callable[[int], Callable[[str], object]]:
    def begin(total: int) -> Callable[[str], object]:
        task = progress.add_task("starting", total=total)
        done = 0

        def advance(what: str) -> None:
            nonlocal done
            done += 1
            progress.update(task, advance=1, description=what)
            if progress.disable:
                click.echo(f"{done} of {total}: {what}", err=True)

        return advance

    return begin


if __name__ == "__main__":
    main()
