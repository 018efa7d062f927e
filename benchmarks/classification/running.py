"""Runs side by side in processes of their own, each finished one written down at once."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import torch
from harness import environment

from classification.dataset import Dataset
from classification.experiments import Experiment, chosen, load
from classification.ledger import Ledger, Record, encoded, run_key
from classification.readers import read
from classification.training import Machine, Run, train

__all__ = ["Bench", "has_fast_bfloat16", "run_experiment"]

Advance = Callable[[str], object]


@dataclass(frozen=True)
class Bench:
    """Where runs compute, where data are, and where records go."""

    machine: Machine
    data: Path
    ledgers: Path
    threads: int = 1
    jobs: int = 1

    def ledger(self, experiment: Experiment) -> Ledger:
        return Ledger(self.ledgers / f"{experiment.table}.jsonl")

    def conditions(self) -> dict[str, Any]:
        """Return what makes the same run end in other numbers."""
        here = environment(self.threads, {})
        device = self.machine.device
        return {
            "dtype": self.machine.dtype,
            "device": device if device == "cpu" else torch.cuda.get_device_name(),
            "processor": here["processor"],
            "threads": self.threads,
            "compiled": self.machine.compiled,
            "weights": _digest(self.machine.weights) if self.machine.weights else None,
        }


def _digest(path: Path) -> str:
    return f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()[:8]}"


def has_fast_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 in hardware (AVX512-BF16 or AMX)."""
    capability: Any = torch.cpu.get_capabilities()
    return bool(capability.get("avx512_bf16") or capability.get("amx_tile"))


def run_experiment(
    experiment: Experiment, bench: Bench, progress: Callable[[int], Advance]
) -> None:
    """Make the runs of an experiment that its ledger lacks, after those that tune it."""
    tuner = _tuner(experiment)
    keys = _make(tuner, tuner.tuning_runs(), bench, progress)
    choices = {}
    for name in tuner.tuning:
        choices = chosen(bench.ledger(tuner).records(), keys, name)
    _make(experiment, experiment.final_runs(choices), bench, progress)


def _tuner(experiment: Experiment) -> Experiment:
    """Return the experiment whose choices are taken, itself where it names no other."""
    if not experiment.tuned_by:
        return experiment
    tuner = load(experiment.folder / experiment.tuned_by)
    unknown = sorted(set(experiment.methods) - set(tuner.methods if tuner.tuning else ()))
    if unknown:
        raise click.UsageError(
            f"{experiment.table} takes over what {experiment.tuned_by} chooses, which tunes no "
            f"{', '.join(unknown)}; add the methods there, or drop tuned_by"
        )
    return tuner


def _make(
    experiment: Experiment, runs: Sequence[Run], bench: Bench, progress: Callable[[int], Advance]
) -> set[str]:
    """Make the runs that are missing; return the keys of all."""
    if not runs:
        return set()
    ledger, conditions = bench.ledger(experiment), bench.conditions()
    data = _dataset(experiment, bench.data)
    hashed = data.digest()
    _describe(ledger, data, hashed)
    done = {record["key"] for record in ledger.records() if record["kind"] == "run"}
    keys = {run_key(asdict(run), conditions, hashed): run for run in runs}
    missing = {key: run for key, run in keys.items() if key not in done}
    advance = progress(len(missing))
    common = {"kind": "run", "conditions": conditions, "data_hash": hashed, **_origin(bench)}
    for key, run, outcome in _outcomes(missing, experiment, bench):
        ledger.append({**common, "key": key, "run": asdict(run), **outcome})
        advance(f"{run.table}, {run.method}, seed {run.seed}")
    return set(keys)


def _describe(ledger: Ledger, data: Dataset, hashed: str) -> None:
    """Write down the data of a ledger, once: the classes that predictions are compared with."""
    if any(record.get("hash") == hashed and "labels" in record for record in ledger.records()):
        return
    parts = {"train": data.train, "validation": data.validation, **data.tests}
    record: Record = {
        "kind": "data",
        "hash": hashed,
        "name": data.name,
        "class_names": list(data.class_names),
        "sizes": {name: len(part) for name, part in parts.items() if part is not None},
        "labels": {name: encoded(part.labels) for name, part in data.tests.items()},
        "notes": list(data.notes),
    }
    ledger.append(record)


def _origin(bench: Bench) -> dict[str, Any]:
    folder = Path(__file__).parent
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    return {
        "commit": found.stdout.strip() or None,
        "date": datetime.now(UTC).date().isoformat(),
        "environment": environment(bench.threads, {"torch": bench.machine.device}),
    }


# --- processes ------------------------------------------------------------------------------------


def _outcomes(
    missing: Mapping[str, Run], experiment: Experiment, bench: Bench
) -> Iterator[tuple[str, Run, dict[str, Any]]]:
    """Yield runs as they end, at most a job's worth ahead of what is written."""
    context = multiprocessing.get_context("spawn")  # a fork of torch's threads hangs
    with ProcessPoolExecutor(bench.jobs, context, _limit, (bench.threads, os.getpid())) as pool:
        waiting = iter(missing.items())
        running: dict[Future[dict[str, Any]], tuple[str, Run]] = {}
        while True:
            while len(running) < bench.jobs and (item := next(waiting, None)):
                running[pool.submit(_train, item[1], experiment, bench)] = item
            if not running:
                return
            done = wait(running, return_when=FIRST_COMPLETED).done
            # Those that failed come last, so that none that ended well is lost.
            for future in sorted(done, key=lambda future: future.exception() is not None):
                key, run = running.pop(future)
                yield key, run, future.result()


def _limit(threads: int, parent: int) -> None:
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """End this process when the one that started it is gone: killed, it can't tell."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _train(run: Run, experiment: Experiment, bench: Bench) -> dict[str, Any]:
    outcome = train(run, _prepared(experiment.table, bench.data, experiment), bench.machine)
    logits = outcome.pop("logits")
    predictions = {name: encoded(each.argmax(axis=1)) for name, each in logits.items()}
    return {**outcome, "predictions": predictions}


_last: dict[tuple[str, Path], Dataset] = {}


def _prepared(table: str, folder: Path, experiment: Experiment) -> Dataset:
    """Return the data of the last experiment without reading them again."""
    if (table, folder) not in _last:
        _last.clear()
        _last[table, folder] = _dataset(experiment, folder)
    return _last[table, folder]


def _dataset(experiment: Experiment, folder: Path) -> Dataset:
    return read(experiment.data, folder).with_validation()
