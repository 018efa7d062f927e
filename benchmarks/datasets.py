"""Mixing across a whole data set: ``python benchmarks/datasets.py``.

The cost of reading T items to make one, and the gain where batches are too small to mix within.
"""

from __future__ import annotations

import functools
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from harness import (
    Call,
    available_cores,
    environment,
    interleave,
    limited_threads,
    markdown,
    progress_bar,
    quartiles,
    settle,
    write_json,
)
from PIL import Image
from scipy import stats
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Dataset, TensorDataset
from zetamix.rules import Zeta
from zetamix.torch import Mix, MixedDataset

PIXELS, QUALITY, CLASSES = 224, 90, 10
MOST_ITEMS = 256
CONFIDENCE = 0.95
# Name of a method, and whether it mixes: within batches of two, or across the set with T samples.
METHODS = {
    "no mixing": 0,
    "within the batch": 2,
    "across the set, T = 2": 2,
    "across the set, T = 4": 4,
}


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--seconds", default=30.0, type=click.FloatRange(0), help="Time for each data set.")
@click.option("--seeds", default=5, type=click.IntRange(2), help="Runs of each training.")
@click.option("--epochs", default=15, type=click.IntRange(1))
@click.option("--threads", default=available_cores(), type=click.IntRange(1))
@click.option("--quick", is_flag=True, help="Tiny sizes: does it run at all?")
@click.option(
    "-o",
    "--output",
    default="datasets.json",
    metavar="FILE",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="All times and accuracies, as JSON.",
)
def main(seconds: float, seeds: int, epochs: int, threads: int, quick: bool, output: Path) -> None:
    """Measure rates of reading on digits and on JPEGs, and train with batches of two."""
    timing: dict[str, Any] = {"seconds": seconds, "least": 5, "most": 50}
    images, size = 512, 600
    if quick:
        timing |= {"least": 2, "most": 2}
        seeds, epochs, images, size = 2, 1, 12, 60
    settle()
    with limited_threads(threads), tempfile.TemporaryDirectory() as folder:
        files = JPEGs(Path(folder), images)
        rates = {
            "digits, 8 px": measure(digits(), 128, timing),
            f"JPEGs, {PIXELS} px": measure(files, 32, timing),
        }
        accuracies = train_all(seeds, epochs, size)
    results = {
        "environment": environment(threads, {"torch": "cpu"}),
        "settings": {**timing, "seeds": seeds, "epochs": epochs, "samples": size},
        "rates": rates,
        "accuracies": accuracies,
    }
    write_json(results, output)
    click.echo("\n".join(report(results)))


# --- data -----------------------------------------------------------------------------------------


def digits() -> TensorDataset:
    x, y = load_digits(return_X_y=True)
    images = torch.from_numpy(x.astype(np.float32).reshape(-1, 1, 8, 8) / 16)
    return TensorDataset(images, torch.from_numpy(y))


class JPEGs(Dataset[Any]):
    """Files of smooth colours with some noise, about as much to decode as photographs."""

    def __init__(self, folder: Path, count: int) -> None:
        rng = np.random.default_rng(0)
        self.files = [folder / f"{i}.jpg" for i in range(count)]
        for file in self.files:
            coarse = Image.fromarray(rng.integers(0, 256, (14, 14, 3), dtype=np.uint8))
            smooth = np.asarray(coarse.resize((PIXELS, PIXELS), Image.Resampling.BICUBIC))
            noisy = smooth + rng.normal(0, 8, smooth.shape)
            Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(file, quality=QUALITY)

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        pixels = np.array(Image.open(self.files[index]))
        return torch.from_numpy(pixels).permute(2, 0, 1), index % CLASSES


# --- rates ----------------------------------------------------------------------------------------


def measure(source: Any, batch_size: int, timing: dict[str, Any]) -> dict[str, list[float]]:
    """Return seconds per item, from alternating runs over some batches."""
    calls: dict[str, Call] = {"no mixing": functools.partial(_read, source, batch_size)}
    for num_mix in (2, 4, 8):
        mixed = MixedDataset(source, Zeta(num_mix=num_mix), seed=0, num_classes=CLASSES)
        calls[f"T = {num_mix}"] = functools.partial(_read, mixed, batch_size)
    calls["T = 4, batches of 2"] = functools.partial(
        _read, MixedDataset(source, Zeta(num_mix=4), seed=0, num_classes=CLASSES), 2
    )
    count = len(_order(source))
    times = interleave(calls, **timing)
    return {name: [seconds / count for seconds in each] for name, each in times.items()}


def _order(dataset: Any) -> list[int]:
    """Return the items that are read, far from each other."""
    order: list[int] = np.random.default_rng(1).permutation(len(dataset)).tolist()
    return order[:MOST_ITEMS]


def _read(dataset: Any, batch_size: int) -> None:
    for _ in DataLoader(dataset, batch_size=batch_size, sampler=_order(dataset)):
        pass


# --- training -------------------------------------------------------------------------------------


def train_all(seeds: int, epochs: int, size: int) -> dict[str, list[float]]:
    """Return test accuracies of each method, for the same seeds."""
    accuracies: dict[str, list[float]] = {name: [] for name in METHODS}
    with progress_bar() as progress:
        task = progress.add_task("", total=seeds * len(METHODS))
        for seed in range(seeds):
            for name in METHODS:
                progress.update(task, description=f"{name}, seed {seed}")
                accuracies[name].append(train(name, seed, epochs, size))
                progress.advance(task)
    return accuracies


def train(method: str, seed: int, epochs: int, size: int) -> float:
    """Train a small network with batches of two; the seed gives weights, order and samples."""
    x, y = digits().tensors
    first, test = train_test_split(
        np.arange(len(x)), train_size=size, stratify=y, random_state=seed
    )
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1, stride=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(512, CLASSES),
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    for images, labels in batches(method, TensorDataset(x[first], y[first]), seed, epochs):
        optimizer.zero_grad()
        cross_entropy(model(images), labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    with torch.no_grad():
        return float((model(x[test]).argmax(dim=1) == y[test]).double().mean())


def batches(method: str, source: Any, seed: int, epochs: int) -> Iterator[Any]:
    rule = Zeta(num_mix=METHODS[method] or None)
    mix = Mix(rule, num_classes=CLASSES, seed=seed)
    across = MixedDataset(source, rule, seed=seed, num_classes=CLASSES)
    dataset = across if method.startswith("across") else source
    order = torch.Generator().manual_seed(seed)
    for epoch in range(epochs):
        across.set_epoch(epoch)
        for batch in DataLoader(dataset, batch_size=2, shuffle=True, generator=order):
            yield mix(batch) if method == "within the batch" else batch


# --- report ---------------------------------------------------------------------------------------


def report(results: dict[str, Any]) -> Iterator[str]:
    here, settings = results["environment"], results["settings"]
    packages = ", ".join(f"{name} {version}" for name, version in here["packages"].items())
    yield f"Python {here['python']}, {packages}; {here['processor']}, {here['threads']} threads.\n"
    yield "## Items per second, read by a loader in one process\n"
    for name, times in results["rates"].items():
        yield markdown(
            [name, "items/s", "quartiles", "time relative to no mixing"], list(_rates(times))
        )
    yield (
        f"## Batches of two: {settings['samples']} digits, {settings['epochs']} epochs, "
        f"{settings['seeds']} seeds\n"
    )
    yield (
        f"Accuracy on the other digits in %, with {CONFIDENCE:.0%} intervals of the mean over "
        f"seeds (Student's t); differences are paired by seed.\n"
    )
    yield markdown(["method", "accuracy", "minus no mixing"], list(_accuracies(results)))


def _rates(times: dict[str, list[float]]) -> Iterator[list[str]]:
    alone = statistics.median(times["no mixing"])
    for name, each in times.items():
        high, median, low = (1 / seconds for seconds in quartiles(each))
        share = statistics.median(each) / alone
        yield [name, f"{median:,.0f}", f"{low:,.0f}–{high:,.0f}", f"× {share:.2f}"]


def _accuracies(results: dict[str, Any]) -> Iterator[list[str]]:
    accuracies = results["accuracies"]
    base = np.asarray(accuracies["no mixing"])
    for name, values in accuracies.items():
        difference = "" if name == "no mixing" else _interval(np.asarray(values) - base, sign="+")
        yield [name, _interval(values), difference]


def _interval(values: Sequence[float] | np.ndarray, sign: str = "") -> str:
    """Return the mean in percent with half of its interval."""
    numbers = 100 * np.asarray(values)
    spread = stats.sem(numbers) * stats.t.ppf((1 + CONFIDENCE) / 2, len(numbers) - 1)
    return f"{numbers.mean():{sign}.2f} ± {spread:.2f}"


if __name__ == "__main__":
    main()
