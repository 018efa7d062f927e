"""The targets of the measurements; not a program itself.

``python benchmarks/throughput.py`` prints the verdicts and writes them into its JSON.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contenders import HAND_WRITTEN
from harness import markdown
from peers import AUTHORS, TORCHVISION

__all__ = ["Verdict", "case_name", "judge", "median", "verdict_table"]

Case = Mapping[str, Any]

# What the target of the draw is about.
_LARGE_OUTPUT = 16e6
# Below, pages and buffers of the libraries are not small relative to the output.
_MEASURABLE_OUTPUT = 1e6


@dataclass(frozen=True)
class Verdict:
    """One measured ratio, with the bound that it should keep."""

    target: str
    case: str
    measured: float
    bound: float
    strict: bool = False  # below the bound; else not above

    @property
    def met(self) -> bool:
        return self.measured < self.bound if self.strict else self.measured <= self.bound


def judge(cases: Sequence[Case]) -> list[Verdict]:
    """Compare the measurements with the targets that apply to them."""
    return [verdict for rule in _RULES for case in cases for verdict in rule(case)]


def verdict_table(verdicts: Sequence[Verdict]) -> str:
    rows = [
        [
            verdict.target,
            verdict.case,
            f"{verdict.measured:.3g}",
            f"{'<' if verdict.strict else '≤'} {verdict.bound:g}",
            "yes" if verdict.met else "**no**",
        ]
        for verdict in verdicts
    ]
    return markdown(["target", "case", "measured", "wanted", "met"], rows)


def case_name(case: Case) -> str:
    device = "" if case["device"] == "cpu" else f" on {case['device']}"
    shape = "×".join(map(str, case["shape"]))
    return f"{case['library']}{device}, {case['dtype']}, {shape}"


def median(case: Case, name: str) -> float | None:
    """Return the median time of a contender in seconds, None if it did not take part."""
    contender = case["contenders"].get(name)
    return None if contender is None else float(contender["quartiles"][1])


# --- rules ----------------------------------------------------------------------------------------


def _all_samples_against_authors(case: Case) -> Iterator[Verdict]:
    n = case["shape"][0]
    bound, strict = (0.4, False) if n == 1024 else (0.5, False) if n == 512 else (1.0, True)
    if _has_large_images(case):
        bound, strict = 1.1, False
    yield from _ratio(case, "T=N", AUTHORS, bound, strict)


def _all_samples_against_torchvision(case: Case) -> Iterator[Verdict]:
    if _has_large_images(case):
        yield from _ratio(case, "T=N", TORCHVISION, 1.0, strict=True)


def _eight_samples_against_torchvision(case: Case) -> Iterator[Verdict]:
    large, many = _has_large_images(case), case["shape"][0] >= 512
    yield from _ratio(case, "T=8", TORCHVISION, 1.0 if large else 1.3 if many else 1.7)


def _sixteen_samples_against_torchvision(case: Case) -> Iterator[Verdict]:
    yield from _ratio(case, "T=16", TORCHVISION, 1.2 if _has_large_images(case) else 2.5)


def _eight_samples_against_own_mixup(case: Case) -> Iterator[Verdict]:
    if case["library"] in ("numpy", "jax"):
        yield from _ratio(case, "T=8", HAND_WRITTEN, 2.5)


def _ratio(
    case: Case, size: str, other: str, bound: float, strict: bool = False
) -> Iterator[Verdict]:
    """Compare times of float32, which everybody takes."""
    ours, theirs = median(case, f"zetamix {size}"), median(case, other)
    if case["dtype"] == "float32" and ours is not None and theirs is not None:
        target = f"time of {size} over that of {other}"
        yield Verdict(target, case_name(case), ours / theirs, bound, strict)


def _share_of_the_draw(case: Case) -> Iterator[Verdict]:
    shares = []
    for name in case["contenders"]:
        size = _size(name)
        draw, whole = median(case, f"draw T={size}"), median(case, name)
        if size is not None and size <= 20 and draw and whole:
            shares.append(draw / whole)
    if shares and case["output_bytes"] >= _LARGE_OUTPUT:
        target = "share of the draw, at worst of T ≤ 20"
        yield Verdict(target, case_name(case), max(shares), 0.1, strict=True)


def _peak_memory(case: Case) -> Iterator[Verdict]:
    if case["output_bytes"] < _MEASURABLE_OUTPUT:
        return
    for sizes in ("T<N", "T=N"):
        peaks = [
            contender["peak_bytes"]
            for name, contender in case["contenders"].items()
            if name.startswith("zetamix T=") and name.startswith("zetamix T=N") == (sizes == "T=N")
            if contender["peak_bytes"] is not None
        ]
        if peaks:
            target = f"peak extra memory over output, at worst of {sizes}"
            yield Verdict(target, case_name(case), max(peaks) / case["output_bytes"], 1.2)


def _has_large_images(case: Case) -> bool:
    return len(case["shape"]) == 4 and bool(case["shape"][-1] >= 224)


def _size(name: str) -> int | None:
    """Return T of the name of a ζ-mixup, None for T = N and for other names."""
    found = re.fullmatch(r"zetamix T=(\d+)", name)
    return int(found[1]) if found else None


_RULES = (
    _all_samples_against_authors,
    _all_samples_against_torchvision,
    _eight_samples_against_torchvision,
    _sixteen_samples_against_torchvision,
    _eight_samples_against_own_mixup,
    _share_of_the_draw,
    _peak_memory,
)
