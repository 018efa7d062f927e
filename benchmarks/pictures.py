"""Pictures of what was measured; not a program itself.

``python benchmarks/throughput.py`` and ``python benchmarks/scaling.py`` draw them beside their
JSON. They need matplotlib, which the extra ``cli`` brings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from contenders import HAND_WRITTEN
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator
from peers import AUTHORS, TORCHVISION
from targets import median
from zetamix.figures.style import BLUE, GREY, ORANGE, slide, talk_style

__all__ = ["ratios_picture", "scaling_picture"]

Case = Mapping[str, Any]

_GREEN, _SKY, _PINK, _YELLOW = "#009E73", "#56B4E9", "#CC79A7", "#B59F00"
# Colour and marker of each contender that is drawn: ours are filled circles.
_LOOKS = {
    "zetamix T=8": (BLUE, "o"),
    "zetamix T=16": (_SKY, "o"),
    "zetamix T=N": (_GREEN, "o"),
    "zetamix mixup": (_PINK, "o"),
    AUTHORS: (ORANGE, "D"),
    "timm Mixup batch": (GREY, "^"),
    "timm Mixup elem": (GREY, "v"),
    "torchvision CutMix": (GREY, "x"),
    "kornia RandomMixUpV2": (GREY, "s"),
    "Keras MixUp": (GREY, "P"),
    HAND_WRITTEN: (_YELLOW, "*"),
    "copy": (GREY, "_"),
}
_PARTS = {"draw": ORANGE, "mix x": BLUE, "mix y": _GREEN}


# --- throughput -----------------------------------------------------------------------------------


def ratios_picture(cases: Sequence[Case]) -> Figure:
    """Draw times of float32 batches as multiples of that of a common mixup, library by library."""
    cases = [case for case in cases if case["dtype"] == "float32"]
    libraries = list(dict.fromkeys(case["library"] for case in cases))
    with talk_style():
        figure = slide(
            "Time of mixing a batch, as a multiple of a mixup of two samples",
            "float32; medians; lower is faster. Circles are ours.",
            height=1.6 + 4.6 * max(len(libraries), 1),
        )
        room: dict[str, Any] = {
            "left": 0.07,
            "right": 0.76,
            "top": 1 - 1.1 / figure.get_figheight(),
        }
        grid = figure.add_gridspec(max(len(libraries), 1), hspace=0.45, bottom=0.11, **room)
        for row, library in enumerate(libraries):
            _ratios(figure.add_subplot(grid[row]), library, cases)
        return figure


def _ratios(axes: Any, library: str, cases: Sequence[Case]) -> None:
    cases = [case for case in cases if case["library"] == library]
    known = any(median(case, TORCHVISION) for case in cases)
    reference = TORCHVISION if known else HAND_WRITTEN
    cases = [case for case in cases if median(case, reference)]
    drawn = [name for name in _LOOKS if any(name in case["contenders"] for case in cases)]
    for place, name in enumerate(name for name in drawn if name != reference):
        colour, marker = _LOOKS[name]
        shift = 0.7 * (place / max(len(drawn) - 1, 1) - 0.5)
        points = [
            (number + shift, case["contenders"][name]["ratios"][reference])
            for number, case in enumerate(cases)
            if name in case["contenders"]
        ]
        look = {"color": colour, "marker": marker, "markersize": 11, "linestyle": "none"}
        axes.plot(*zip(*points, strict=True), label=name, **look)
    axes.axhline(1, color=GREY, linewidth=2)
    axes.set_title(f"{library}: ÷ {reference}", loc="left", pad=12)
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("")
    axes.grid(axis="y", which="both", color="#E2E2E2", linewidth=0.8)
    axes.set_axisbelow(True)
    labels = [_two_lines(case["shape"]) for case in cases]
    axes.set_xticks(range(len(cases)), labels, fontsize=12)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=13)


def _two_lines(shape: Sequence[int]) -> str:
    return f"{shape[0]}\n× {'×'.join(map(str, shape[1:]))}"


# --- scaling --------------------------------------------------------------------------------------


def scaling_picture(points: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw the time of each part against N, T and D."""
    libraries = list(dict.fromkeys(point["library"] for point in points))
    sweeps = [s for s in ("N", "T", "D") if any(point["sweep"] == s for point in points)]
    with talk_style():
        figure = slide(
            "How the time grows",
            "Medians; the last T is N, which is computed as a matrix product.",
            height=1.9 + 4.1 * len(libraries),
        )
        room: dict[str, Any] = {
            "left": 0.08,
            "right": 0.985,
            "top": 1 - 1.3 / figure.get_figheight(),
        }
        grid = figure.add_gridspec(
            len(libraries), len(sweeps), bottom=0.13, hspace=0.5, wspace=0.25, **room
        )
        for row, library in enumerate(libraries):
            for column, sweep in enumerate(sweeps):
                here = [p for p in points if (p["library"], p["sweep"]) == (library, sweep)]
                _growth(figure.add_subplot(grid[row, column]), library, sweep, here)
        return figure


def _growth(axes: Any, library: str, sweep: str, points: Sequence[Mapping[str, Any]]) -> None:
    for part, colour in _PARTS.items():
        times = [1e3 * point["quartiles"][part][1] for point in points]
        sizes = [point[sweep] for point in points]
        axes.plot(sizes, times, "o-", color=colour, linewidth=2.5, label=part)
    axes.set(xscale="log", yscale="log", xlabel=sweep, ylabel="ms" if sweep == "N" else "")
    fixed = ", ".join(f"{each} = {points[0][each]:,}" for each in ("N", "T", "D") if each != sweep)
    axes.set_title(f"{library}, {fixed}", loc="left", pad=12)
    axes.grid(color="#E2E2E2", linewidth=0.8)
    axes.legend(frameon=False, fontsize=13)
