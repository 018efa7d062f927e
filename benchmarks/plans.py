"""What drawing a plan costs, in time and memory: ``python benchmarks/plans.py``."""

import os
import platform
import statistics
import time
import tracemalloc

import numpy as np
import zetamix

CASES = [(32, 32), (128, 8), (128, 128), (1024, 8), (1024, 20), (1024, 1024), (100_000, 20)]


def seconds(n: int, num_mix: int, repeats: int = 21) -> list[float]:
    """Return the quartiles of the time of one call."""
    times = []
    for repeat in range(repeats + 1):
        start = time.perf_counter()
        zetamix.zeta_plan(n, num_mix=num_mix, rng=repeat)
        times.append(time.perf_counter() - start)
    return statistics.quantiles(times[1:], n=4)


def peak_bytes(n: int, num_mix: int) -> int:
    tracemalloc.start()
    zetamix.zeta_plan(n, num_mix=num_mix, rng=0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def main() -> None:
    machine = f"{os.cpu_count()} cores, {platform.machine()}"
    print(f"zetamix {zetamix.__version__}, NumPy {np.__version__}, {machine}")
    print("| N | T | median ms | quartiles ms | peak MB |")
    print("|---|---|---|---|---|")
    for n, num_mix in CASES:
        low, median, high = (1e3 * q for q in seconds(n, num_mix))
        peak = peak_bytes(n, num_mix) / 1e6
        print(f"| {n} | {num_mix} | {median:.3f} | {low:.3f}–{high:.3f} | {peak:.1f} |")


if __name__ == "__main__":
    main()
