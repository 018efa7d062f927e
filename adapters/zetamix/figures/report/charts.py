"""Charts of a report, as SVG that takes its colours from the page."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import matplotlib.style
from matplotlib.figure import Figure

from zetamix import metrics, theory
from zetamix.figures.style import BLUE, GREY, INK, ORANGE, PLAIN

__all__ = ["Chart", "draw_charts"]

_LINEAR = 3  # up to which densities share an axis with shares
# What a chart is drawn in, and what the page calls it in light and in dark.
_VARIABLES = {BLUE: "blue", ORANGE: "orange", GREY: "grey", INK: "ink"}
_RC = PLAIN | {"font.family": "sans-serif", "font.size": 11, "svg.fonttype": "none"}

_Draw: TypeAlias = Callable[[Any, metrics.GammaReport], None]


@dataclass(frozen=True)
class Chart:
    """A picture with its title, and what one has to know to read it."""

    title: str
    svg: str
    note: str


def draw_charts(report: metrics.GammaReport, start: int) -> list[Chart]:
    """Draw all charts that the report has numbers for, with the slider at its start."""
    with matplotlib.style.context(["default", _RC]):
        return [
            Chart(title, _as_svg(draw, report, title, start), note)
            for title, note, draw in _CHARTS
            if draw is not _labels or report.originals.overlap is not None
        ]


def _as_svg(draw: _Draw, report: metrics.GammaReport, title: str, start: int) -> str:
    figure = Figure(figsize=(4.6, 3.2))
    draw(figure.add_axes((0.16, 0.16, 0.81, 0.8)), report)
    buffer = io.StringIO()
    # A salt of its own, because all charts share the names of one page.
    with matplotlib.style.context({"svg.hashsalt": title}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    for colour, name in _VARIABLES.items():
        svg = re.sub(re.escape(colour), f"var(--{name})", svg, flags=re.IGNORECASE)
    svg = svg.replace("<svg", f'<svg role="img" aria-label="{title}"', 1)

    def mark(found: re.Match[str]) -> str:
        return f'data-frame="{found[1]}"' + ("" if int(found[1]) == start else ' hidden=""')

    return re.sub(r'id="frame-\d+-(\d+)"', mark, svg)


# --- charts ---------------------------------------------------------------------------------------


def _dimension(axes: Any, report: metrics.GammaReport) -> None:
    original = report.originals.dimension
    low, high = (original * (1 + sign * report.tolerance) for sign in (-1, 1))
    axes.axhspan(low, high, color=GREY, alpha=0.18, linewidth=0)
    axes.axhline(original, color=GREY, linewidth=1.5)
    _mixup_line(axes, report.rows[1].dimension, "mixup")
    _over_gamma(axes, report, "dimension", BLUE)
    _note(axes, _gammas(report)[-1], low, f"originals ± {100 * report.tolerance:g} %", GREY)
    axes.set_ylim(0, 1.1 * max(axes.get_ylim()[1], high))
    axes.set_ylabel("intrinsic dimension")


def _realism(axes: Any, report: metrics.GammaReport) -> None:
    _two(axes, report, ("precision", "density"))


def _diversity(axes: Any, report: metrics.GammaReport) -> None:
    _two(axes, report, ("recall", "coverage"))


def _labels(axes: Any, report: metrics.GammaReport) -> None:
    """Draw richness against correctness, one point for each γ."""
    richness, overlap = _values(report, "effective_classes"), _values(report, "overlap")
    own = _number(report.originals.overlap)
    axes.axhline(own, color=GREY, linewidth=1.5)
    axes.plot(richness, overlap, "o-", color=BLUE, markersize=4)
    look: dict[str, Any] = {"textcoords": "offset points"}
    for place, point in enumerate(zip(richness, overlap, strict=True)):
        _mark(axes, place, *point)
    for place in _apart(richness, 0.1 * (max(richness) - min(richness))):
        name = f"γ = {_gammas(report)[place]:g}"
        axes.annotate(name, (richness[place], overlap[place]), (5, 5), color=BLUE, **look)
    axes.set_xlim(right=max(richness) + 0.18 * (max(richness) - 1))
    mixup = report.rows[1]
    point = _number(mixup.effective_classes), _number(mixup.overlap)
    axes.plot(*point, "s", color=ORANGE, markersize=7)
    axes.annotate("mixup", point, (-6, -5), color=ORANGE, ha="right", va="top", **look)
    _note(axes, axes.get_xlim()[1], own, "originals", GREY)
    axes.set_ylim(0, 1.05)
    axes.set_xlabel("effective classes in a label")
    axes.set_ylabel("overlap with the oracle")


def _tail(axes: Any, report: metrics.GammaReport) -> None:
    """Draw what smaller mixtures leave out of the weight of a batch."""
    size = report.batch_size
    numbers = [number for number in range(1, size + 1) if number < size]
    for place, gamma in enumerate(_gammas(report)):
        tails = [100 * theory.tail_weight(gamma, number, size) for number in numbers]
        axes.plot(numbers, tails, color=GREY, alpha=0.45, linewidth=1)
        axes.plot(numbers, tails, color=BLUE, linewidth=2.5, gid=f"frame-0-{place}")
    axes.axhline(1, color=ORANGE, linestyle="--", linewidth=1.2)
    _note(axes, 1, 1, "1 %", ORANGE, side="left")
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_ylim(bottom=max(1e-3, axes.get_ylim()[0]))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter("")
    axes.set_xlabel("num_mix, samples in a mixture")
    axes.set_ylabel(f"weight left out of {size}, %")


_CHARTS: list[tuple[str, str, _Draw]] = [
    (
        "Intrinsic dimension",
        "Directions in which the data extend around a sample, in the mean. Mixing should add none.",
        _dimension,
    ),
    (
        "Realism",
        "Precision: share of mixed samples within the reach of an original. Density: how many "
        "reach it. Dotted: mixup.",
        _realism,
    ),
    (
        "Diversity",
        "Recall: share of originals within the reach of a mixed sample. Coverage: share that a "
        "mixed sample is near to. Dotted: mixup.",
        _diversity,
    ),
    (
        "Labels: richness and correctness",
        "What a label says beyond one class, against how far the oracle agrees. Grey: the oracle "
        "on the originals, which is not free of errors itself.",
        _labels,
    ),
    (
        "How many samples to mix",
        "Weight that mixtures of fewer samples leave out of a whole batch, at each γ.",
        _tail,
    ),
]


# --- parts of charts ------------------------------------------------------------------------------


def _gammas(report: metrics.GammaReport) -> list[float]:
    return [_number(row.gamma) for row in report.rows[2:]]


def _values(report: metrics.GammaReport, name: str) -> list[float]:
    return [getattr(row, name) for row in report.rows[2:]]


def _apart(values: Sequence[float], least: float) -> list[int]:
    """Return the places of values, in falling order, that are so far from the one before."""
    chosen: list[int] = []
    for place, value in enumerate(values):
        if not chosen or values[chosen[-1]] - value > least:
            chosen.append(place)
    return chosen


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def _over_gamma(axes: Any, report: metrics.GammaReport, name: str, colour: str) -> None:
    gammas, values = _gammas(report), _values(report, name)
    axes.plot(gammas, values, "o-", color=colour, markersize=4)
    for place, point in enumerate(zip(gammas, values, strict=True)):
        _mark(axes, place, *point, colour=colour)
    axes.set_xlabel("γ")


def _mark(axes: Any, place: int, x: float, y: float, *, colour: str = BLUE) -> None:
    """Draw what the slider shows when it is at this place."""
    axes.plot([x], [y], "o", color=colour, markersize=11, gid=f"frame-{id(axes)}-{place}")


def _two(axes: Any, report: metrics.GammaReport, names: Sequence[str]) -> None:
    """Draw two measures over γ, and mixup's."""
    ends = []
    for name, colour in zip(names, (BLUE, ORANGE), strict=True):
        _over_gamma(axes, report, name, colour)
        axes.axhline(getattr(report.rows[1], name), color=colour, linestyle=":", linewidth=1.5)
        ends.append((_values(report, name)[-1], name, colour))
    for (value, name, colour), shift in zip(sorted(ends), (-15, 8), strict=True):
        look = {"color": colour, "textcoords": "offset points", "ha": "right"}
        axes.annotate(name, (_gammas(report)[-1], value), (0, shift), **look)
    largest = max(1, *(max(_values(report, name)) for name in names))
    if largest > _LINEAR:  # or shares would lie flat
        axes.set_yscale("symlog", linthresh=1, linscale=1)
        axes.yaxis.set_major_formatter("{x:g}")
        axes.set_ylim(0, 2 * largest)
    else:
        axes.set_ylim(0, 1.15 * largest)


def _mixup_line(axes: Any, value: float, name: str) -> None:
    axes.axhline(value, color=ORANGE, linestyle="--", linewidth=1.5)
    axes.annotate(
        name,
        (1, value),
        (0, 4),
        xycoords=axes.get_yaxis_transform(),
        textcoords="offset points",
        ha="right",
        color=ORANGE,
    )


def _note(axes: Any, x: float, y: float, text: str, colour: str, *, side: str = "right") -> None:
    axes.annotate(
        text, (x, y), (0, -4), textcoords="offset points", ha=side, va="top", color=colour
    )
