"""One run: train a network with one method from one seed, and score it."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from classification.augment import Images
from classification.corruptions import CORRUPTIONS, corrupt
from classification.dataset import Dataset, Part
from classification.methods import Method, Setting, make_method
from classification.metrics import fitted_temperature, scores
from classification.models import make_model

__all__ = ["Machine", "Run", "train"]

_MOMENTUM = 0.9
_WARM_UP = 0.1  # of all steps
_FEWEST_STEPS = 10
_SEVERITIES = range(1, 6)


@dataclass(frozen=True)
class Run:
    """What is trained, and how; with the data and the machine it decides about every number."""

    table: str
    data: str
    method: str
    seed: int
    stage: str  # "tuning", scored on the validation part, or "final"
    model: str
    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    gamma: float = 2.8
    alpha: float = 1.0
    noise: float = 0.0
    augmentation: str = "none"
    corruptions: bool = False


@dataclass(frozen=True)
class Machine:
    """Where and in which precision a run computes."""

    device: str = "cpu"
    dtype: str = "float32"
    compiled: bool = False
    weights: Path | None = None

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        enabled = self.dtype != "float32"
        return torch.autocast(self.device, torch.bfloat16, enabled=enabled)


def train(run: Run, data: Dataset, machine: Machine) -> dict[str, Any]:
    """Train and score; the test parts are read once, after the last epoch."""
    start = time.perf_counter()
    torch.manual_seed(run.seed)
    pixels, channels = data.train.images.shape[2:]
    model = make_model(run.model, channels, data.num_classes, pixels, machine.weights)
    model = model.to(machine.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    samples = _on_device(_noisy(data.train, run, data.num_classes), data.train, machine)
    method = _method(run, data, machine)
    clock = _Clock(machine.device)
    _optimize(model, samples, method, run, machine, clock)
    results = _results(model, data, run, machine)
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "mixing_share": clock.seconds / clock.whole, **results}


# --- training -------------------------------------------------------------------------------------


def _method(run: Run, data: Dataset, machine: Machine) -> Method:
    counts = np.bincount(data.train.labels, minlength=data.num_classes)
    frequencies = torch.from_numpy(counts / counts.sum()).to(machine.device, torch.float32)
    setting = Setting(frequencies, run.batch_size, run.seed, run.gamma, run.alpha)
    return make_method(run.method, setting)


def _optimize(
    model: nn.Module, samples: Images, method: Method, run: Run, machine: Machine, clock: _Clock
) -> None:
    """Stochastic gradient descent with momentum, a warm-up, and a cosine down to zero."""
    network: Any = torch.compile(model) if machine.compiled else model
    optimizer = torch.optim.SGD(
        model.parameters(),
        lr=run.learning_rate,
        momentum=_MOMENTUM,
        nesterov=True,
        weight_decay=run.weight_decay,
    )
    steps = run.epochs * (len(samples) // run.batch_size)
    if steps <= _FEWEST_STEPS:
        raise click.UsageError(
            f"a run must have more than {_FEWEST_STEPS} steps, got {steps}: {run.epochs} epochs of "
            f"{len(samples)} samples in batches of {run.batch_size}; make batches smaller"
        )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, run.learning_rate, steps, pct_start=_WARM_UP, cycle_momentum=False
    )
    model.train()
    with clock.running():
        for epoch in range(run.epochs):
            for x, y in samples.epoch(run.batch_size, run.seed, epoch, run.augmentation):
                with clock.mixing():
                    x, y = method(x, y)
                optimizer.zero_grad(set_to_none=True)
                with machine.autocast():
                    logits = network(x)
                cross_entropy(logits.float(), y).backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()


def _noisy(part: Part, run: Run, num_classes: int) -> Part:
    """Give a share of the samples, the same in every method, another class."""
    rng = np.random.default_rng((run.seed, 1))
    wrong = rng.random(len(part)) < run.noise
    moves = rng.integers(1, num_classes, len(part))
    return Part(part.images, np.where(wrong, (part.labels + moves) % num_classes, part.labels))


def _on_device(part: Part, reference: Part, machine: Machine) -> Images:
    images = torch.from_numpy(np.ascontiguousarray(np.moveaxis(part.images, -1, 1)))
    shift, scale = (
        torch.from_numpy(each).to(machine.device, torch.float32).reshape(-1, 1, 1)
        for each in _statistics(reference.images)
    )
    labels = torch.from_numpy(part.labels).to(machine.device)
    return Images(images.to(machine.device), labels, shift, scale)


def _statistics(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    axes = (0, 1, 2)
    return images.mean(axis=axes), np.maximum(images.std(axis=axes), 1.0)


class _Clock:
    """How long training takes, and mixing in it."""

    def __init__(self, device: str) -> None:
        self.device = device
        self.seconds = self.whole = 0.0

    @contextlib.contextmanager
    def mixing(self) -> Iterator[None]:
        start = self._now()
        yield
        self.seconds += self._now() - start

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        start = self._now()
        yield
        self.whole += self._now() - start

    def _now(self) -> float:
        if self.device != "cpu":
            torch.cuda.synchronize()
        return time.perf_counter()


# --- scores ---------------------------------------------------------------------------------------


def _results(model: nn.Module, data: Dataset, run: Run, machine: Machine) -> dict[str, Any]:
    if data.validation is None:
        raise ValueError(f"runs need a validation part, got none for {data.name}")
    predict = functools.partial(_logits, model, reference=data.train, run=run, machine=machine)
    seen = predict(data.validation)
    diverged = not bool(np.any(seen))
    temperature = fitted_temperature(seen, data.validation.labels)
    if run.stage == "tuning":
        metrics = {"validation": scores(seen, data.validation.labels, temperature)}
        found = {"temperature": temperature, "metrics": metrics, "corruptions": None, "logits": {}}
        return {"diverged": diverged, **found}
    logits = {name: predict(part) for name, part in data.tests.items()}
    return {
        "diverged": diverged,
        "temperature": temperature,
        "metrics": {
            name: scores(logits[name], part.labels, temperature)
            for name, part in data.tests.items()
        },
        "corruptions": _corrupted(predict, data) if run.corruptions else None,
        "logits": logits,
    }


@torch.no_grad()
def _logits(
    model: nn.Module, part: Part, *, reference: Part, run: Run, machine: Machine
) -> np.ndarray:
    model.eval()
    samples = _on_device(part, reference, machine)
    with machine.autocast():
        rows: list[Tensor] = [model(x).float() for x in samples.whole(4 * run.batch_size)]
    logits: np.ndarray = torch.cat(rows).double().cpu().numpy()
    # A network that diverged knows nothing: all classes are alike.
    return np.where(np.isfinite(logits).all(axis=1, keepdims=True), logits, 0.0)


def _corrupted(predict: Any, data: Dataset) -> Mapping[str, list[float]]:
    """Return errors on the test part of the tables, for each corruption and severity."""
    part = next(iter(data.tests.values()))
    return {
        name: [
            float((predict(changed).argmax(axis=1) != part.labels).mean())
            for changed in _all_severities(name, data)
        ]
        for name in CORRUPTIONS
    }


@functools.lru_cache(maxsize=len(CORRUPTIONS))
def _all_severities(name: str, data: Dataset) -> list[Part]:
    part = next(iter(data.tests.values()))
    return [Part(corrupt(part.images, name, level, seed=0), part.labels) for level in _SEVERITIES]
