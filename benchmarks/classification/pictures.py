"""Picture of a training benchmark: differences to ERM with intervals; not a program itself.

``python benchmarks/classify.py report`` draws it along with its tables.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from zetamix.cli.outputs import save_picture
from zetamix.figures.style import BLUE, FAINT, GREY, INK, ORANGE, slide, talk_style

from classification.tables import CONTROLS, NAMES, Comparison, Table, comparisons, tables

__all__ = ["forest", "save"]

_GREEN = "#009E73"
_OURS, _PEERS = ("zeta", "cutmix+zeta"), ("mixup-0.2", "mixup-1", "cutmix")
# Colour and marker: what is proposed, what it is compared with, its parts alone.
_LOOKS = {
    "ζ-mixup": (BLUE, "o", _OURS),
    "other mixing": (ORANGE, "D", _PEERS),
    "controls": (_GREEN, "s", tuple(CONTROLS)),
}
_OTHER = (GREY, "^")
_COLUMNS = 2
_FAR = 0.2  # of all test images
_ROW, _TITLE, _AXIS, _TOP, _BOTTOM = 0.4, 0.75, 0.5, 1.1, 0.5  # inches
_BESIDE = 0.2  # of a row, from the points down to intervals over images


def save(records: Iterable[Mapping[str, Any]], path: Path, *, allow_mixed: bool = False) -> None:
    """Draw the differences of all tables and write them as a picture."""
    found = tables(records, allow_mixed=allow_mixed)
    with talk_style():
        save_picture(forest(found, comparisons(found)), path)


def forest(found: Sequence[Table], grid: Sequence[Comparison]) -> Figure:
    """Draw the errors of all methods minus ERM, one panel for each test part of each table."""
    grid = [each for each in grid if each.reference == "erm"]
    panels = [
        (table.title(part), own)
        for table in found
        for part in table.parts
        if (own := {e.method: e for e in grid if (e.table, e.part) == (table.name, part)})
    ]
    with talk_style():
        figure, all_axes = _start([len(own) for _, own in panels])
        for axes, (title, own) in zip(all_axes, panels, strict=True):
            _panel(axes, own)
            name = textwrap.fill(title, 34, break_on_hyphens=False)
            axes.set_title(name, loc="left", fontsize=15, parse_math=False)
    return figure


def _start(rows: Sequence[int]) -> tuple[Figure, list[Any]]:
    """Start a slide with panels of these numbers of rows, and a legend."""
    places, depth = _pack(rows)
    height = _TOP + _BOTTOM + max(depth, 2)
    note = (
        "Means over shared seeds; left of 0 is better. Hollow: no interval over seeds, because of "
        "a single seed or no spread."
    )
    figure = slide("Differences in error from ERM, in percentage points", note, height=height)
    if not rows:
        figure.text(0.5, 0.5, "No runs share a seed with runs of ERM.", ha="center", color=GREY)
        return figure, []
    place: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (0.02, 1 - 0.6 / height)}
    figure.legend(handles=_handles(), ncols=5, frameon=False, fontsize=15, **place)
    axes = []
    for (column, top), count in zip(places, rows, strict=True):
        bottom = height - _TOP - top - _ROW * count
        axes.append(
            figure.add_axes((0.22 + 0.5 * column, bottom / height, 0.265, _ROW * count / height))
        )
    return figure, axes


def _pack(rows: Sequence[int]) -> tuple[list[tuple[int, float]], float]:
    """Put each panel under the shorter column; return columns with tops, and the depth of all."""
    depths = [0.0] * _COLUMNS
    places = []
    for count in rows:
        column = depths.index(min(depths))
        places.append((column, depths[column] + _TITLE))
        depths[column] += _TITLE + _ROW * count + _AXIS
    return places, max(depths)


def _handles() -> list[Line2D]:
    points = [
        Line2D([], [], color=colour, marker=marker, markersize=10, linestyle="none", label=name)
        for name, (colour, marker, _) in _LOOKS.items()
    ]
    return [
        *points,
        Line2D([], [], color=INK, linewidth=4, label="95% over seeds"),
        Line2D([], [], color=INK, linewidth=1.5, label="95% over test images"),
    ]


def _panel(axes: Any, own: Mapping[str, Comparison]) -> None:
    """Draw one row for each method, from the top."""
    far = [abs(each.seeds.mean) > _FAR for each in own.values()]
    for row, each in enumerate(own.values()):
        if far[row] and not all(far):
            _far_point(axes, row, each)
        else:
            _point(axes, row, each)
    axes.axvline(0, color=GREY, linewidth=2, zorder=0)
    axes.set_ylim(len(own) - 0.4, -0.6)
    axes.set_yticks(range(len(own)), [NAMES.get(name, name) for name in own])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.locator_params(axis="x", nbins=5)
    axes.margins(x=0.08)


def _far_point(axes: Any, row: int, each: Comparison) -> None:
    """Write the place of a point that is too far away to be drawn with the others."""
    points = 100 * each.seeds.mean
    text, x = (f"{points:+.0f} →", 1) if points > 0 else (f"← {points:+.0f}", 0)
    place: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "va": "center"}
    align = "right" if x else "left"
    axes.text(x, row, text, ha=align, color=_look(each)[0], fontsize=14, **place)


def _look(each: Comparison) -> tuple[str, str]:
    return next(
        ((colour, marker) for colour, marker, names in _LOOKS.values() if each.method in names),
        _OTHER,
    )


def _point(axes: Any, row: int, each: Comparison) -> None:
    colour, marker = _look(each)
    seeds = (each.seeds.low, each.seeds.high)
    for ends, place, width in ((each.images, row + _BESIDE, 1.5), (seeds, row, 4)):
        if not math.isnan(ends[0]):
            axes.plot([100 * end for end in ends], [place, place], color=colour, linewidth=width)
    hollow = {"markerfacecolor": "white"} if math.isnan(seeds[0]) else {}
    axes.plot(100 * each.seeds.mean, row, marker, color=colour, markersize=9, **hollow)
