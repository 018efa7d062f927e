"""Whether all is well on a GPU, and how fast it is: ``python benchmarks/gpu_check.py``.

Parity of every array library there with NumPy, the tests of CuPy, synchronizations and launches,
times compared with other packages, and the share of the memory bandwidth that is reached.
"""

from __future__ import annotations

import importlib
import operator
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
import zetamix
from contenders import COPY, Library
from harness import available_cores, environment, markdown, write_json
from peers import first_line
from throughput import DEVICES, QUICK_SHAPES, SHAPES, Shape, load, measure, report

TESTS = Path(__file__).parents[1] / "tests"
PARITY_SHAPE = (48, 5, 7)
PARITY_DTYPES = ("float32", "bfloat16", "uint8")
_WAITS = (
    *("cudaDeviceSynchronize", "cudaStreamSynchronize", "cudaEventSynchronize", "cudaMemcpy"),
    *("cuCtxSynchronize", "cuStreamSynchronize", "cuEventSynchronize"),
)
_LAUNCHES = (
    *("cudaLaunchKernel", "cudaLaunchKernelExC", "cuLaunchKernel", "cuLaunchKernelEx"),
    *("cudaGraphLaunch", "cuGraphLaunch"),
)


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--official", metavar="PATH", help="Checkout of the authors' code, to compare with.")
@click.option("--device", default="cuda", type=click.Choice(list(DEVICES)))
@click.option("--seconds", default=5.0, type=click.FloatRange(0), help="Time for each batch.")
@click.option("--quick", is_flag=True, help="One tiny batch, three rounds, no tests.")
@click.option(
    "-o",
    "--output",
    default="gpu.json",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
)
def main(official: str | None, device: str, seconds: float, quick: bool, output: Path) -> None:
    """Check and time ζ-mixup on a GPU; on the CPU this is a rehearsal."""
    libraries, missing = load(DEVICES[device], device, official, asked=False)
    if not libraries:
        reasons = "; ".join(f"{name}: {each[name]}" for name, each in missing.items())
        raise click.ClickException(
            f"no array library finds a device of kind {device}: {reasons}; install PyTorch, JAX or "
            f"CuPy for CUDA on a machine with an NVIDIA GPU, or rehearse with --device cpu"
        )
    parity = [row for library in libraries for row in check_parity(library)]
    results: dict[str, Any] = {
        "environment": environment(
            available_cores(), {library.name: library.device_name() for library in libraries}
        ),
        "missing": missing,
        "parity": parity,
        "tests": None if quick else run_tests(device),
        "calls": [],
        "waits_of_torch": None,
    }
    with_torch = [library for library in libraries if library.name == "torch"]
    if device == "cuda" and with_torch:
        results["calls"] = count_calls(libraries)
        results["waits_of_torch"] = strictly_without_waiting(with_torch[0])
    rounds = {"least": 3, "most": 3} if quick else {"least": 7, "most": 200}
    shapes: Sequence[Shape] = QUICK_SHAPES[:1] if quick else SHAPES
    dtypes = PARITY_DTYPES[-1:] if quick else PARITY_DTYPES
    cases = measure(libraries, shapes, dtypes, seconds=seconds, **rounds)
    results["missing"] |= {each.name: each.missing for each in libraries if each.missing}
    results |= {"cases": cases, "bandwidth": [row for case in cases for row in bandwidths(case)]}
    write_json(results, output)
    click.echo("\n".join(summary(results)))
    if wrong := list(faults(results)):
        raise click.ClickException(f"{'; '.join(wrong)}; see the tables above")


def faults(results: Mapping[str, Any]) -> Iterator[str]:
    """Name all faults."""
    if failed := [row for row in results["parity"] if not row["ok"]]:
        yield f"{len(failed)} results differ from NumPy"
    if results["tests"] is not None and results["tests"]["exit_code"]:
        yield f"tests failed on {results['tests']['backend']}"
    if waiting := [row for row in results["calls"] if row["synchronizations"]]:
        yield f"{len(waiting)} calls synchronize"
    if results["waits_of_torch"] not in (None, "none"):
        yield f"torch synchronizes: {results['waits_of_torch']}"


# --- parity ---------------------------------------------------------------------------------------


def check_parity(library: Library) -> Iterator[dict[str, Any]]:
    """Mix the same by the same plan as NumPy does in double precision."""
    for dtype in (dtype for dtype in PARITY_DTYPES if dtype in library.dtypes):
        batch = library.batch(PARITY_SHAPE, dtype, 10)
        x, y = to_numpy(batch.x), to_numpy(batch.y)
        for num_mix in (1, 2, 8, None):
            options: dict[str, Any] = {"num_mix": num_mix, "num_classes": 10, "rng": (0, 1)}
            mixed, soft = zetamix.zeta_mixup(batch.x, batch.y, **options)
            expected, labels = zetamix.zeta_mixup(x.astype(np.float64), y, **options)
            errors = [
                _units(mixed, expected, 2.0**-8 if dtype == "bfloat16" else 2.0**-23),
                _units(soft, labels, 2.0**-23),
            ]
            count = num_mix or len(x)
            bounds = [
                _most_units(count, x, expected),
                _most_units(count, np.ones(1), np.asarray(labels)),
            ]
            yield {
                "library": library.name,
                "dtype": dtype,
                "T": "N" if num_mix is None else num_mix,
                "units_of_samples": errors[0],
                "units_of_labels": errors[1],
                "ok": all(map(operator.le, errors, bounds)),
            }


def _units(result: Any, expected: Any, unit: float) -> float:
    """Return the largest error, in units in the last place of the largest number."""
    return float(np.abs(to_numpy(result) - expected).max() / (unit * np.abs(expected).max()))


def _most_units(num_mix: int, x: np.ndarray, expected: Any) -> float:
    """Return the bound of docs/numerics.md in such units, which are two of the u there.

    T u of what is mixed, and for the weights, lowered to float32, u of each sample.
    """
    return num_mix * (1 + float(np.abs(x).max() / np.abs(expected).max())) / 2


def to_numpy(x: Any) -> np.ndarray:
    """Copy to the host; bfloat16 comes as float32."""
    if hasattr(x, "get"):
        return np.asarray(x.get())
    if hasattr(x, "cpu"):
        x = x.cpu()
        x = x.float() if str(x.dtype) == "torch.bfloat16" else x
    host = np.asarray(x)
    return host.astype(np.float32) if host.dtype.name == "bfloat16" else host


# --- tests and calls ------------------------------------------------------------------------------


def run_tests(device: str) -> dict[str, Any]:
    """Run the tests on CuPy, where a missing device is a failure."""
    backend = {"cuda": "cupy", "cpu": "numpy"}[device]
    command = [sys.executable, "-m", "pytest", "-q", "-rf", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "--backend", backend, str(TESTS)],
        capture_output=True,
        text=True,
        cwd=TESTS.parent,
    )
    lines = (done.stderr + done.stdout).strip().splitlines()
    return {"backend": backend, "exit_code": done.returncode, "tail": lines[-60:]}


def count_calls(libraries: Sequence[Library]) -> list[dict[str, Any]]:
    """Count what a call asks of CUDA, by the profiler of torch, which sees the whole process.

    What the profiler asks for itself is taken off. Of the calls that JAX makes of the driver it
    may not see all.
    """
    batches = {library: library.batch((128, 3, 32, 32), "float32", 10) for library in libraries}
    own: Counter[str] = Counter()
    for _ in range(2):  # the first use sets the profiler up
        own = _profiled(lambda: None, libraries)
    rows = []
    for library, batch in batches.items():
        for num_mix in (8, None):
            call = library.zeta_mixup(batch, num_mix)
            for _ in range(3):
                library.synchronize(call())
            counts = _profiled(call, libraries)
            counts.subtract(own)
            size = "N" if num_mix is None else num_mix
            rows.append({"library": library.name, "T": size, **summed(counts)})
    return rows


def _profiled(call: Callable[[], Any], libraries: Sequence[Library]) -> Counter[str]:
    profiler = importlib.import_module("torch.profiler")
    with profiler.profile(activities=[profiler.ProfilerActivity.CUDA]) as profile:
        result = call()
    for library in libraries:
        library.synchronize(result)
    return Counter({event.key: event.count for event in profile.key_averages()})


def summed(counts: Mapping[str, int]) -> dict[str, int]:
    """Sum calls by their names: those that wait for the device, and those that launch work."""
    return {
        "synchronizations": sum(counts.get(name, 0) for name in _WAITS),
        "launches": sum(counts.get(name, 0) for name in _LAUNCHES),
    }


def strictly_without_waiting(library: Library) -> str:
    """Mix while torch makes each of its own synchronizations an error; return what it says."""
    cuda = importlib.import_module("torch").cuda
    batch = library.batch((128, 3, 32, 32), "float32", 10)
    call = library.zeta_mixup(batch, 8)
    library.synchronize(call())
    cuda.set_sync_debug_mode("error")
    try:
        call()
    except RuntimeError as error:
        return first_line(error)
    finally:
        cuda.set_sync_debug_mode("default")
    return "none"


# --- bandwidth ------------------------------------------------------------------------------------


def bandwidths(case: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the rate of reading and writing samples once, and its share of that of a copy."""
    input_bytes = case["input_bytes"]
    rates = {
        name: (input_bytes + (input_bytes if name == COPY else case["output_bytes"])) / middle
        for name, contender in case["contenders"].items()
        if name == COPY or name.startswith("zetamix")
        for middle in [contender["quartiles"][1]]
    }
    for name, rate in rates.items():
        yield {
            **{key: case[key] for key in ("library", "dtype", "shape")},
            "contender": name,
            "bytes_per_second": rate,
            "share_of_copy": rate / rates[COPY],
        }


# --- summary --------------------------------------------------------------------------------------


def summary(results: Mapping[str, Any]) -> Iterator[str]:
    yield report(results)
    yield "## Parity with NumPy, in units in the last place\n"
    yield table(results["parity"])
    if results["tests"] is not None:
        yield f"## Tests on {results['tests']['backend']}\n"
        yield "\n".join(results["tests"]["tail"]) + "\n"
    yield "## Calls to CUDA for one batch\n"
    if results["calls"]:
        yield table(results["calls"])
        yield f"Synchronizations that torch itself reports: {results['waits_of_torch']}.\n"
    else:
        yield "Not counted: this needs PyTorch on a CUDA device.\n"
    yield "## Bandwidth\n"
    yield table(results["bandwidth"])


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    return markdown(list(rows[0]), [[_cell(value) for value in row.values()] for row in rows])


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return "×".join(map(str, value))
    return f"{value:.3g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
