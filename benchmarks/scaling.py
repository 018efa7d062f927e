"""How the costs grow with N, T, D and threads: ``python benchmarks/scaling.py``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click
import zetamix
from contenders import Library, NumpyLibrary, TorchLibrary
from harness import (
    Call,
    available_cores,
    environment,
    fitted_exponent,
    interleave,
    limited_threads,
    markdown,
    picture_beside,
    progress_bar,
    quartiles,
    settle,
    write_json,
)

NUM_CLASSES = 10
PARTS = ("draw", "mix x", "mix y")
# The exponents to expect of the parts: a draw makes N·T indices; a gather-sum does N·T·D products,
# the dense product of T = N does N²·D; labels take N·T additions.
EXPECTED = {"N": (1, 1, 1), "N = T": (2, 2, 2), "T": (1, 1, 1), "D": (0, 1, 0)}
# N = 100,000, D = 64, T = 20 in less than a second, from the draw to labels.
LARGE, LARGE_SECONDS = (100_000, 20, 64), 1.0


@dataclass(frozen=True)
class Point:
    """A size at which the parts are timed."""

    sweep: str
    n: int
    num_mix: int
    width: int
    threads: int


def sweeps(threads: int, *, quick: bool) -> list[Point]:
    """List the sizes: those of each sweep differ in what it is named after."""
    by_n: tuple[int, ...]
    by_t: tuple[int, ...]
    by_d: tuple[int, ...]
    if quick:
        by_n, by_t, by_d, fixed = (16, 32, 64), (2, 4, 8, 32), (8, 16, 32), (32, 4, 8)
    else:
        by_n = (32, 128, 512, 2048, 8192, 32_768, 100_000)
        by_t = (2, 4, 8, 16, 32, 64, 1024)
        by_d = (64, 256, 1024, 4096, 16_384, 65_536, 262_144)
        fixed = (1024, 20, 64)
    n, num_mix, width = fixed
    images = 8 if quick else 3 * 32 * 32
    large_images = 8 if quick else 3 * 224 * 224
    return [
        *(Point("N", size, num_mix, width, threads) for size in by_n),
        *(Point("N = T", size, size, images, threads) for size in by_n if size <= n),
        *(Point("T", n, size, images, threads) for size in by_t),
        *(Point("D", 16 if quick else 64, 8, size, threads) for size in by_d),
        *(
            Point("threads", 16 if quick else 128, 8, large_images, count)
            for count in range(1, available_cores() + 1)
        ),
    ]


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--seconds", default=2.0, type=click.FloatRange(0), help="Time for each size.")
@click.option("--threads", default=available_cores(), type=click.IntRange(1))
@click.option("--quick", is_flag=True, help="Tiny sizes and three rounds: does it run at all?")
@click.option(
    "-o",
    "--output",
    default="scaling.json",
    metavar="FILE",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="All times, as JSON; the picture goes next to it, as .png.",
)
def main(seconds: float, threads: int, quick: bool, output: Path) -> None:
    """Time the draw, the mix of samples and the mix of labels apart, from small to large."""
    picture = picture_beside(output)
    rounds = {"least": 3, "most": 3} if quick else {"least": 7, "most": 200}
    timing: dict[str, Any] = {"seconds": seconds, **rounds}
    large = (200, 20, 8) if quick else LARGE
    libraries: list[Library] = [NumpyLibrary("cpu"), TorchLibrary("cpu")]
    settle()
    points = measure(libraries, sweeps(threads, quick=quick), timing)
    with limited_threads(threads):
        end_to_end = [measure_end_to_end(library, large, timing) for library in libraries]
    results = {
        "environment": environment(threads, {each.name: each.device_name() for each in libraries}),
        "settings": {**timing, "seed": 0},
        "points": points,
        "exponents": exponents(points),
        "end_to_end": end_to_end,
    }
    write_json(results, output)
    click.echo("\n".join(report(results)))

    from pictures import scaling_picture
    from zetamix.cli.outputs import save_picture

    save_picture(scaling_picture(points), picture)


# --- measuring ------------------------------------------------------------------------------------


def measure(
    libraries: Sequence[Library], points: Sequence[Point], timing: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Measure one library after the other, whose threads would interfere."""
    measured = []
    with progress_bar() as progress:
        task = progress.add_task("", total=len(libraries) * len(points))
        for library in libraries:
            for point in points:
                progress.update(task, description=f"{library.name} {point.sweep}")
                with limited_threads(point.threads):
                    measured.append(measure_point(library, point, timing))
                progress.advance(task)
    return measured


def measure_point(library: Library, point: Point, timing: Mapping[str, Any]) -> dict[str, Any]:
    calls = parts(library, point)
    times = interleave(calls, synchronize=library.synchronize, **timing)
    return {
        "library": library.name,
        "sweep": point.sweep,
        "N": point.n,
        "T": point.num_mix,
        "D": point.width,
        "threads": point.threads,
        "seconds": times,
        "quartiles": {part: quartiles(each) for part, each in times.items()},
        "draw_peak_bytes": library.peak_bytes(calls["draw"]),
    }


def parts(library: Library, point: Point) -> dict[str, Call]:
    batch = library.batch((point.n, point.width), "float32", NUM_CLASSES)
    plan = zetamix.zeta_plan(point.n, num_mix=point.num_mix, rng=0, like=batch.x)
    return {
        "draw": library.draw(batch, point.num_mix),
        "mix x": lambda: plan @ batch.x,
        "mix y": partial(plan.mix_labels, batch.y, num_classes=NUM_CLASSES),
    }


def measure_end_to_end(
    library: Library, size: tuple[int, int, int], timing: Mapping[str, Any]
) -> dict[str, Any]:
    n, num_mix, width = size
    batch = library.batch((n, width), "float32", NUM_CLASSES)
    calls = {"zeta_mixup": library.zeta_mixup(batch, num_mix)}
    times = interleave(calls, synchronize=library.synchronize, **timing)["zeta_mixup"]
    middle = quartiles(times)
    return {
        "library": library.name,
        "N": n,
        "T": num_mix,
        "D": width,
        "seconds": times,
        "quartiles": middle,
        "met": middle[1] < LARGE_SECONDS,
    }


def exponents(points: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Fit the growth of each part. In the sweep of T, T = N is computed in another way."""
    fitted = []
    for library in dict.fromkeys(point["library"] for point in points):
        for sweep, expected in EXPECTED.items():
            here = [
                point
                for point in points
                if (point["library"], point["sweep"]) == (library, sweep)
                and not (sweep == "T" and point["T"] == point["N"])
            ]
            sizes = [point[sweep[0]] for point in here]
            for part, exponent in zip(PARTS, expected, strict=True):
                times = [point["quartiles"][part][1] for point in here]
                fitted.append(
                    {
                        "library": library,
                        "sweep": sweep,
                        "part": part,
                        "fitted": fitted_exponent(sizes, times),
                        "expected": exponent,
                    }
                )
    return fitted


# --- report ---------------------------------------------------------------------------------------


def report(results: Mapping[str, Any]) -> Iterator[str]:
    here, points = results["environment"], results["points"]
    packages = here["packages"]
    versions = ", ".join(f"{name} {packages[name]}" for name in ("zetamix", "numpy", "torch"))
    yield f"Python {here['python']}, {versions}; {here['processor']}, {here['cores']} cores.\n"
    for sweep in dict.fromkeys(point["sweep"] for point in points):
        yield f"## Against {sweep}\n"
        header = ["library", "N", "T", "D", "threads", *(f"{part} ms" for part in PARTS)]
        chosen = [point for point in points if point["sweep"] == sweep]
        yield markdown([*header, "peak of the draw, MB"], [_row(point) for point in chosen])
    yield "## Exponents, over the upper half of each range\n"
    yield markdown(
        ["library", "sweep", "part", "fitted", "expected"],
        [
            [e["library"], e["sweep"], e["part"], f"{e['fitted']:.2f}", str(e["expected"])]
            for e in results["exponents"]
        ],
    )
    yield f"## End to end; wanted: less than {LARGE_SECONDS:g} s\n"
    yield markdown(
        ["library", "N", "T", "D", "median ms", "quartiles ms", "met"],
        [
            [e["library"], *_sizes(e), *_time(e["quartiles"]), "yes" if e["met"] else "**no**"]
            for e in results["end_to_end"]
        ],
    )


def _row(point: Mapping[str, Any]) -> list[str]:
    peak = point["draw_peak_bytes"]
    times = [" (".join(_time(point["quartiles"][part])) + ")" for part in PARTS]
    memory = "" if peak is None else f"{peak / 1e6:.1f}"
    return [point["library"], *_sizes(point), str(point["threads"]), *times, memory]


def _sizes(point: Mapping[str, Any]) -> list[str]:
    return [f"{point[name]:,}" for name in ("N", "T", "D")]


def _time(seconds: tuple[float, float, float]) -> tuple[str, str]:
    low, middle, high = (1e3 * each for each in seconds)
    return f"{middle:.3f}", f"{low:.3f}–{high:.3f}"


if __name__ == "__main__":
    main()
