"""What share of a training step is mixing: ``python benchmarks/training_step.py``."""

from __future__ import annotations

import functools
import statistics
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import torch
from classification.models import make_model
from harness import (
    Call,
    available_cores,
    environment,
    interleave,
    limited_threads,
    markdown,
    quartiles,
    settle,
    write_json,
)
from peers import PEERS, TORCHVISION, Mix, first_line
from torch.nn.functional import cross_entropy
from zetamix.torch import ZetaMixup

NUM_CLASSES = 10
# Network and batch by the name of the case.
CASES: Mapping[str, tuple[str, tuple[int, ...]]] = {
    "small CNN, digits of 8 pixels": ("small-cnn", (64, 1, 8, 8)),
    "ResNet-8, images of 32 pixels": ("resnet-8", (128, 3, 32, 32)),
}
OTHERS = (TORCHVISION, "timm Mixup batch")
ALONE = "no mixing"


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--seconds", default=30.0, type=click.FloatRange(0), help="Time for each network.")
@click.option("--threads", default=available_cores(), type=click.IntRange(1))
@click.option("--quick", is_flag=True, help="Three rounds: does it run at all?")
@click.option(
    "-o",
    "--output",
    default="steps.json",
    metavar="FILE",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="All times, as JSON.",
)
def main(seconds: float, threads: int, quick: bool, output: Path) -> None:
    """Time whole steps, forward, backward and optimizer, with and without mixing."""
    timing: dict[str, Any] = {"seconds": seconds, "least": 7, "most": 200}
    if quick:
        timing |= {"seconds": 0.0, "least": 3, "most": 3}
    settle()
    with limited_threads(threads):
        cases = {name: measure(*CASES[name], timing) for name in CASES}
    results = {"environment": environment(threads, {"torch": "cpu"}), "cases": cases}
    write_json(results, output)
    click.echo("\n".join(report(results)))


def measure(model: str, shape: tuple[int, ...], timing: dict[str, Any]) -> dict[str, Any]:
    """Return interleaved seconds of steps and of mixing alone, and the packages missing."""
    x = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    y = torch.arange(shape[0]) % NUM_CLASSES
    mixes, missing = contenders(x)
    step = make_step(model, shape)
    calls: dict[str, Call] = {ALONE: functools.partial(step, x, y)}
    for name, mix in mixes.items():
        calls[name] = functools.partial(_mixed_step, step, mix, x, y)
        calls[f"{name}, mixing alone"] = functools.partial(mix, x, y)
    return {"shape": shape, "seconds": interleave(calls, **timing), "missing": missing}


def contenders(x: torch.Tensor) -> tuple[dict[str, Mix], dict[str, str]]:
    """Return modules as users make them, and why packages are missing."""
    mixes: dict[str, Mix] = {
        "zetamix T=8": ZetaMixup(num_mix=8, num_classes=NUM_CLASSES),
        "zetamix T=N": ZetaMixup(num_classes=NUM_CLASSES),
    }
    missing = {}
    for name in OTHERS:
        try:
            mixes[name] = PEERS[name].make(x, NUM_CLASSES, None)
        except ImportError as error:
            missing[name] = first_line(error)
    return mixes, missing


def make_step(model: str, shape: tuple[int, ...]) -> Callable[[Any, Any], None]:
    torch.manual_seed(0)
    network = make_model(model, shape[1], NUM_CLASSES, shape[-1])
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)

    def step(x: Any, y: Any) -> None:
        optimizer.zero_grad()
        cross_entropy(network(x), y).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


def _mixed_step(step: Callable[[Any, Any], None], mix: Mix, x: Any, y: Any) -> None:
    step(*mix(x, y))


def report(results: Mapping[str, Any]) -> Iterator[str]:
    here = results["environment"]
    packages = ", ".join(f"{name} {version}" for name, version in here["packages"].items())
    yield f"Python {here['python']}, {packages}; {here['processor']}, {here['threads']} threads.\n"
    header = ["", "step, ms", "quartiles", "mixing, ms", "share of the step"]
    for name, case in results["cases"].items():
        shape = "×".join(map(str, case["shape"]))
        yield f"## {name}: {shape}, float32\n"
        yield markdown(header, list(_rows(case["seconds"])))
        for peer, reason in case["missing"].items():
            yield f"Not installed: {peer} ({reason}).\n"


def _rows(times: Mapping[str, list[float]]) -> Iterator[list[str]]:
    for name in times:
        if name.endswith("alone"):
            continue
        low, median, high = (f"{1e3 * each:.2f}" for each in quartiles(times[name]))
        alone = times.get(f"{name}, mixing alone")
        if alone is None:
            yield [name, median, f"{low}–{high}", "", ""]
            continue
        mixing = statistics.median(alone)
        share = mixing / statistics.median(times[name])
        yield [name, median, f"{low}–{high}", f"{1e3 * mixing:.2f}", f"{share:.1%}"]


if __name__ == "__main__":
    main()
