"""Speed on whole batches, compared with other packages: ``python benchmarks/throughput.py``."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from contenders import COPY, HAND_WRITTEN, LIBRARIES, Library, with_conversion
from harness import (
    available_cores,
    environment,
    interleave,
    limited_cores,
    limited_threads,
    markdown,
    picture_beside,
    progress_bar,
    quartiles,
    settle,
    write_json,
)
from peers import AUTHORS, TORCHVISION, first_line
from targets import case_name, judge, verdict_table

Shape = tuple[int, ...]

SHAPES: tuple[Shape, ...] = (
    (32, 3, 224, 224),
    (128, 3, 224, 224),
    (128, 3, 32, 32),
    (512, 3, 32, 32),
    (1024, 3, 32, 32),
    (4096, 64),
    (64, 160_000),
)
QUICK_SHAPES: tuple[Shape, ...] = ((8, 3, 8, 8), (16, 4))
DTYPES = ("float32", "bfloat16", "uint8")
DEVICES = {"cpu": ("torch", "numpy", "jax"), "cuda": ("torch", "jax", "cupy")}
REFERENCES = (TORCHVISION, HAND_WRITTEN, AUTHORS, COPY)


def parse_shapes(
    context: click.Context, option: click.Parameter, values: Sequence[str]
) -> list[Shape]:
    """Read shapes such as 32,3,224,224."""
    shapes = []
    for value in values:
        lengths = value.split(",")
        if len(lengths) < 2 or not all(length.isdecimal() and int(length) for length in lengths):
            raise click.BadParameter(f"{value!r} must be the shape of a batch, like 32,3,224,224")
        shapes.append(tuple(map(int, lengths)))
    return shapes


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--official", metavar="PATH", help="Checkout of the authors' code, to compare with.")
@click.option(
    "--library",
    "names",
    multiple=True,
    type=click.Choice(list(LIBRARIES)),
    help="Array library; all that run on the device by default.",
)
@click.option("--device", default="cpu", type=click.Choice(list(DEVICES)))
@click.option(
    "--shape",
    "shapes",
    multiple=True,
    callback=parse_shapes,
    metavar="N,…",
    help="Shape of a batch; several by default.",
)
@click.option("--dtype", "dtypes", multiple=True, type=click.Choice(DTYPES), default=DTYPES)
@click.option("--seconds", default=20.0, type=click.FloatRange(0), help="Time for each batch.")
@click.option("--threads", default=available_cores(), type=click.IntRange(1))
@click.option("--quick", is_flag=True, help="Tiny batches and three rounds: does it run at all?")
@click.option(
    "-o",
    "--output",
    default="results.json",
    metavar="FILE",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="All times, as JSON; the picture goes next to it, as .png.",
)
def main(
    official: str | None,
    names: tuple[str, ...],
    device: str,
    shapes: Sequence[Shape],
    dtypes: tuple[str, ...],
    seconds: float,
    threads: int,
    quick: bool,
    output: Path,
) -> None:
    """Time ζ-mixup, mixup and other packages on whole batches, and compare."""
    picture = picture_beside(output)
    rounds = {"least": 3, "most": 3} if quick else {"least": 7, "most": 200}
    shapes = shapes or (QUICK_SHAPES if quick else SHAPES)
    with limited_cores(threads):
        libraries, missing = load(names or DEVICES[device], device, official, asked=bool(names))
        settle()
        with limited_threads(threads):
            cases = measure(libraries, shapes, dtypes, seconds=seconds, **rounds)
    missing |= {library.name: library.missing for library in libraries if library.missing}
    verdicts = judge(cases)
    devices = {library.name: library.device_name() for library in libraries}
    results = {
        "environment": environment(threads, devices),
        "settings": {"seconds": seconds, **rounds, "seed": 0},
        "missing": missing,
        "cases": cases,
        "targets": [dataclasses.asdict(each) | {"met": each.met} for each in verdicts],
    }
    write_json(results, output)
    click.echo(report(results))
    click.echo(f"## Targets\n\n{verdict_table(verdicts)}")

    from pictures import ratios_picture
    from zetamix.cli.outputs import save_picture

    save_picture(ratios_picture(cases), picture)


def load(
    names: Iterable[str], device: str, official: str | None, *, asked: bool
) -> tuple[list[Library], dict[str, dict[str, str]]]:
    """Load the libraries. One that is not there is named, or an error if it was asked for."""
    libraries, missing = [], {}
    for name in names:
        if name not in DEVICES[device]:
            raise click.UsageError(f"{name} does not run on {device}")
        try:
            libraries.append(LIBRARIES[name](device, official))
        except (ImportError, RuntimeError) as error:
            if asked:
                raise click.UsageError(f"{name} can't be loaded: {error}") from error
            missing[name] = {name: first_line(error)}
    return libraries, missing


# --- measuring ------------------------------------------------------------------------------------


def measure(
    libraries: Sequence[Library], shapes: Sequence[Shape], dtypes: Sequence[str], **timing: Any
) -> list[dict[str, Any]]:
    """Measure case after case, and one library after the other, whose threads would interfere."""
    plan = [
        (library, dtype, shape)
        for library in libraries
        for dtype in dtypes
        if dtype in library.dtypes
        for shape in shapes
    ]
    cases = []
    with progress_bar() as progress:
        task = progress.add_task("", total=len(plan))
        for library, dtype, shape in plan:
            progress.update(task, description=f"{library.name} {dtype} {shape}")
            cases.append(measure_case(library, dtype, shape, **timing))
            progress.advance(task)
    return cases


def measure_case(library: Library, dtype: str, shape: Shape, **timing: Any) -> dict[str, Any]:
    batch = library.batch(shape, dtype, num_classes_of(shape))
    lineup = library.lineup(batch)
    times = interleave(lineup.calls, synchronize=library.synchronize, **timing)
    middles = {name: quartiles(each)[1] for name, each in times.items()}
    references = {
        reference: middles[name]
        for reference in REFERENCES
        for name in (reference, with_conversion(reference, batch))
        if name in middles
    }
    contenders = {
        name: {
            "seconds": times[name],
            "quartiles": quartiles(times[name]),
            "peak_bytes": library.peak_bytes(call),
            "ratios": {each: middles[name] / middle for each, middle in references.items()},
            "note": lineup.notes.get(name, ""),
        }
        for name, call in lineup.calls.items()
    }
    return {
        "library": library.name,
        "device": library.device,
        "dtype": dtype,
        "shape": list(shape),
        "num_classes": batch.num_classes,
        "input_bytes": batch.input_bytes,
        "output_bytes": batch.output_bytes,
        "contenders": contenders,
        "refused": lineup.refused,
    }


def num_classes_of(shape: Shape) -> int:
    return 1000 if len(shape) == 4 and shape[-1] >= 224 else 10


# --- report ---------------------------------------------------------------------------------------


def report(results: Mapping[str, Any]) -> str:
    return "\n".join([*_surroundings(results), *_tables(results["cases"]), *_absences(results)])


def _surroundings(results: Mapping[str, Any]) -> Iterator[str]:
    here = results["environment"]
    packages = ", ".join(f"{name} {version}" for name, version in here["packages"].items())
    yield f"Python {here['python']}, {packages}."
    devices = ", ".join(f"{name} on {device}" for name, device in here["devices"].items())
    yield f"{here['processor']}, {here['cores']} cores, {here['threads']} threads; {devices}.\n"


def _tables(cases: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for library, dtype in dict.fromkeys((case["library"], case["dtype"]) for case in cases):
        chosen = [c for c in cases if (c["library"], c["dtype"]) == (library, dtype)]
        shown = [r for r in REFERENCES if any(_ratios(case, r) for case in chosen)]
        header = ["batch", "contender", "median ms", "quartiles ms", "peak ÷ output"]
        yield f"## {library}, {dtype}\n"
        yield markdown([*header, *(f"÷ {r}" for r in shown)], list(_rows(chosen, shown)))


def _rows(cases: Sequence[Mapping[str, Any]], shown: Sequence[str]) -> Iterator[list[str]]:
    for case in cases:
        shape = "×".join(map(str, case["shape"]))
        for name, contender in sorted(case["contenders"].items(), key=_place):
            low, middle, high = (1e3 * each for each in contender["quartiles"])
            peak = contender["peak_bytes"]
            yield [
                shape,
                name + ("*" if contender["note"] else ""),
                f"{middle:.3f}",
                f"{low:.3f}–{high:.3f}",
                "" if peak is None else f"{peak / case['output_bytes']:.2f}",
                *(_two_digits(contender["ratios"].get(each)) for each in shown),
            ]


def _place(item: tuple[str, Mapping[str, Any]]) -> tuple[bool, float]:
    """Sort by time; draws, which are but a part, come last."""
    name, contender = item
    return name.startswith("draw "), contender["quartiles"][1]


def _ratios(case: Mapping[str, Any], reference: str) -> bool:
    return any(reference in each["ratios"] for each in case["contenders"].values())


def _two_digits(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.2f}"


def _absences(results: Mapping[str, Any]) -> Iterator[str]:
    """List notes, refusals and what is not installed."""
    notes = {
        f"- \\* {name}: {contender['note']}"
        for case in results["cases"]
        for name, contender in case["contenders"].items()
        if contender["note"]
    }
    yield from sorted(notes)
    refused: dict[str, list[str]] = {}
    for case in results["cases"]:
        for name, reason in case["refused"].items():
            refused.setdefault(f"{name}: {reason}", []).append(case_name(case))
    for reason, names in refused.items():
        yield f"- refused by {reason} ({'; '.join(names)})"
    for absent in results["missing"].values():
        for name, reason in absent.items():
            yield f"- {name} is missing: {reason}"
    yield ""


if __name__ == "__main__":
    main()
