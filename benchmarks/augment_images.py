"""`zetamix augment` on a folder of JPEGs: ``python benchmarks/augment_images.py``.

How many images per second, and what share of the time decoding alone takes.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import click
import numpy as np
from harness import available_cores, environment, markdown, progress_bar, write_json
from PIL import Image

QUALITY, CLASSES = 90, 10


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--images", default=10_000, type=click.IntRange(20), help="Number of JPEGs.")
@click.option("--pixels", default=224, type=click.IntRange(8), help="Their height and width.")
@click.option("--quick", is_flag=True, help="Tiny sizes: does it run at all?")
@click.option(
    "-o",
    "--output",
    default="augment.json",
    metavar="FILE",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="All times, as JSON.",
)
def main(images: int, pixels: int, quick: bool, output: Path) -> None:
    """Time the command on a folder of JPEGs, and decoding alone before and after it."""
    if quick:
        images, pixels = 40, 16
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = make_images(folder / "in", images, pixels)
        before = seconds_of_decoding(files)
        runs = {each: seconds_of_run(folder, each) for each in ("png", "jpeg")}
        decoding = [before, seconds_of_decoding(files)]
    results = {
        "environment": environment(available_cores(), {"numpy": "cpu"}),
        "settings": {"images": images, "pixels": pixels},
        "decoding": decoding,
        "runs": runs,
    }
    write_json(results, output)
    click.echo("\n".join(report(results)))


def make_images(folder: Path, count: int, pixels: int) -> list[Path]:
    """Write JPEGs of smooth colours with some noise, about as much to decode as photographs."""
    rng = np.random.default_rng(0)
    files = [folder / f"class{i % CLASSES}" / f"{i:05d}.jpg" for i in range(count)]
    with progress_bar() as bar:
        for file in bar.track(files, description="making images"):
            file.parent.mkdir(parents=True, exist_ok=True)
            coarse = Image.fromarray(rng.integers(0, 256, (14, 14, 3), dtype=np.uint8))
            smooth = np.asarray(coarse.resize((pixels, pixels), Image.Resampling.BICUBIC))
            noisy = smooth + rng.normal(0, 8, smooth.shape).astype(np.float32)
            Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(file, quality=QUALITY)
    return files


def seconds_of_decoding(files: list[Path]) -> float:
    """Decode all images on as many threads as the command does."""
    start = time.perf_counter()
    with ThreadPoolExecutor(available_cores()) as threads:
        for _ in threads.map(_decode, files):
            pass
    return time.perf_counter() - start


def _decode(file: Path) -> None:
    with Image.open(file) as image:
        image.load()


def seconds_of_run(folder: Path, form: str) -> float:
    """Run the command in a process of its own, its start included."""
    command = [sys.executable, "-m", "zetamix.cli", "augment", "--num-mix", "8", "--format", form]
    start = time.perf_counter()
    subprocess.run(
        [*command, str(folder / "in"), "-o", str(folder / form)],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return time.perf_counter() - start


def report(results: dict[str, Any]) -> Iterator[str]:
    here, settings = results["environment"], results["settings"]
    packages = ", ".join(f"{name} {version}" for name, version in here["packages"].items())
    yield f"Python {here['python']}, {packages}; {here['processor']}, {here['threads']} threads.\n"
    yield (
        f"## {settings['images']:,} JPEGs of {settings['pixels']} pixels, T = 8, batches of 128\n"
    )
    yield "Decoding alone was timed before and after the runs; the table uses the mean.\n"
    decoding = statistics.mean(results["decoding"])
    rows = [
        [
            name,
            f"{seconds:.1f}",
            f"{settings['images'] / seconds:,.0f}",
            f"{100 * decoding / seconds:.0f}%",
        ]
        for name, seconds in [
            ("decoding alone", decoding),
            *((f"augment, to {form.upper()}", each) for form, each in results["runs"].items()),
        ]
    ]
    yield markdown(["what", "seconds", "images/s", "share of decoding"], rows)


if __name__ == "__main__":
    main()
