"""Figures of the poster; not a program itself.

``python benchmarks/poster.py`` draws them from what it measured.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.style
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from poster_data import Source
from poster_measures import (
    CONFIDENCE,
    FEW,
    GAMMA,
    MIXUP_BATCH,
    MIXUP_EACH,
    OF_BATCHES,
    OF_EACH,
    Interval,
    Outcome,
    few,
)
from zetamix import theory
from zetamix.cli.outputs import save_picture
from zetamix.figures.datasets import BATCH, Dataset
from zetamix.figures.digits import plot_methods
from zetamix.figures.manifolds import plot_clouds
from zetamix.figures.style import BLUE, GREY, ORANGE, slide, talk_style

from zetamix_core.adapting import ORIGINALS

__all__ = ["pictures", "save"]

_GREEN = "#009E73"
_NOTE = (
    f"Means over seeds, with their {CONFIDENCE:.0%} intervals. ζ-mixup of whole batches of {BATCH}."
)
_SEED = 0  # of what is drawn but not measured
_SHOWN = 10  # images in a row
_MANIFOLDS = (
    ORIGINALS,
    OF_BATCHES,
    *(few(size, gamma) for gamma in (GAMMA, 4.0) for size in FEW),
)
_SIZES = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)

_Legend = Mapping[str, Mapping[str, Any]]
_LEVELS: _Legend = {
    "originals": {"color": GREY, "linestyle": "-", "linewidth": 2.5},
    MIXUP_BATCH: {"color": ORANGE, "linestyle": "-", "linewidth": 2.5},
    MIXUP_EACH: {"color": ORANGE, "linestyle": "--", "linewidth": 2.5},
}
_POINT = {"color": ORANGE, "marker": "D", "markersize": 9, "linestyle": "none"}
_ZETA: _Legend = {"ζ-mixup": {"color": BLUE, "marker": "o", "linewidth": 2.5}}
# Upper and lower panel, and the colours of what is drawn there.
_REALISM = (
    {"precision": BLUE, "recall": _GREEN},
    {"density": BLUE, "coverage": _GREEN},
)


def pictures(
    sources: Sequence[Source], outcomes: Sequence[Outcome], limit: int | None
) -> Iterator[tuple[str, Figure]]:
    """Draw all figures; clouds of `limit` points at most."""
    with talk_style():
        yield "manifolds", manifolds([s for s in sources if not s.is_images], limit)
        for source in sources:
            if source.is_images:
                yield f"{source.name}_images", images(source)
        yield "dimension", dimension(sources, outcomes)
        yield "realism", realism(sources, outcomes)
        yield "labels", labels(sources, outcomes)
        yield "counts", counts()


def save(figure: Figure, path: Path) -> None:
    """Write a figure as .png and, the same at each run, as .svg."""
    with talk_style(), matplotlib.style.context({"svg.hashsalt": "zetamix"}):
        save_picture(figure, path.with_name(f"{path.name}.png"))
        save_picture(figure, path.with_name(f"{path.name}.svg"), {"Date": None})


# --- samples --------------------------------------------------------------------------------------


def manifolds(sources: Sequence[Source], limit: int | None) -> Figure:
    """Draw clouds: rows of data sets, columns of methods."""
    data = [source.samples(_SEED, limit) for source in sources]
    title = "mixup fills the gaps; ζ-mixup of 4 or 8 follows the manifold"
    figure = plot_clouds(title, data, _MANIFOLDS, (_SEED,))
    # Thousands of points would burden an .svg; in three dimensions, only all can be pixels.
    for axes in figure.axes[: len(data) * len(_MANIFOLDS)]:
        for artist in [axes] if axes.name == "3d" else axes.collections:
            artist.set_rasterized(True)
    return figure


def images(source: Source) -> Figure:
    """Draw the same images by each method, in one batch, with their soft labels beneath."""
    figure = slide(
        "mixup leaves ghosts; ζ-mixup keeps the image and enriches its label",
        "Bars: soft labels. Blue: the class of the original; orange: all others.",
    )
    batch = _batch(source.draw(_SEED))
    methods = (ORIGINALS, OF_EACH, *map(few, FEW))
    room = {"left": 0.16, "right": 0.985, "top": 0.855, "bottom": 0.08}
    grid = figure.add_gridspec(len(methods), _SHOWN, wspace=0.2, hspace=0.14, **room)
    colours = "gray_r" if source.is_ink else "gray"
    drawn = plot_methods(figure, grid, batch, methods, (_SEED,), colours=colours)
    if source.class_names:
        for axes, own in zip(drawn[:_SHOWN], batch.targets[:_SHOWN], strict=True):
            name = textwrap.fill(source.class_names[own], 11, break_long_words=False)
            axes.set_title(name, fontsize=11, parse_math=False)
    return figure


def _batch(data: Dataset) -> Dataset:
    """Return a batch that starts with images to show: of all classes alike, in their order."""
    data = data.shuffled((_SEED,))
    turns = np.empty(len(data))
    for each in np.unique(data.targets):
        own = data.targets == each
        turns[own] = np.arange(own.sum())
    shown = np.lexsort((data.targets, turns))[:_SHOWN]
    shown = shown[np.argsort(data.targets[shown], kind="stable")]
    return data.batch(shown)


# --- measures over γ ------------------------------------------------------------------------------


def dimension(sources: Sequence[Source], outcomes: Sequence[Outcome]) -> Figure:
    """Draw the local dimension against γ, with those of originals and mixup."""
    title = "As γ grows, the dimension returns to that of the originals"
    figure, panels = _start(title, len(sources), 1, {**_ZETA, **_LEVELS})
    for number, (source, (axes,)) in enumerate(zip(sources, panels, strict=True)):
        here = _of(source, outcomes)
        for method, look in _LEVELS.items():
            _level(axes, here[method].intervals["dimension"], look["color"], look["linestyle"])
        _curve(axes, _over_gamma(here), "dimension", BLUE)
        axes.locator_params(axis="y", nbins=5)
        axes.set_title(source.name, loc="left", pad=12, parse_math=False)
        axes.set(xlabel="γ", ylabel="local dimension" if number % 4 == 0 else "", ylim=(0, None))
    return figure


def realism(sources: Sequence[Source], outcomes: Sequence[Outcome]) -> Figure:
    """Draw precision and recall, density and coverage against γ, with mixup as lines."""
    legend: dict[str, Mapping[str, Any]] = {
        " and ".join(pair): {"color": colour, "marker": "o", "linewidth": 2.5}
        for colour, pair in zip((BLUE, _GREEN), zip(*_REALISM, strict=True), strict=True)
    }
    legend[f"{MIXUP_BATCH}, in the same colours"] = {"color": GREY, "linestyle": "--"}
    title = "As γ grows, mixtures become realistic and cover the data"
    figure, panels = _start(title, len(sources), 2, legend)
    for number, (source, both) in enumerate(zip(sources, panels, strict=True)):
        here = _of(source, outcomes)
        for axes, measures in zip(both, _REALISM, strict=True):
            for name, colour in measures.items():
                _level(axes, here[MIXUP_BATCH].intervals[name], colour, "--")
                _curve(axes, _over_gamma(here), name, colour)
            if number % 4 == 0:
                axes.set_ylabel(", ".join(measures), fontsize=15)
        both[0].set_ylim(0, 1.05)
        both[1].set_ylim(bottom=0)
        both[0].set_title(source.name, loc="left", pad=12, parse_math=False)
        both[0].tick_params(labelbottom=False)
        both[1].set_xlabel("γ")
    return figure


def labels(sources: Sequence[Source], outcomes: Sequence[Outcome]) -> Figure:
    """Draw the correctness of labels against their richness."""
    sources = [s for s in sources if "overlap" in _of(s, outcomes)["originals"].intervals]
    legend = {
        **_ZETA,
        MIXUP_BATCH: _POINT,
        MIXUP_EACH: {**_POINT, "markerfacecolor": "white"},
    }
    legend["the oracle on the originals"] = _LEVELS["originals"]
    title = "Richness of labels, against agreement with an oracle"
    figure, panels = _start(title, len(sources), 1, legend)
    for number, (source, (axes,)) in enumerate(zip(sources, panels, strict=True)):
        here = _of(source, outcomes)
        _level(axes, here["originals"].intervals["overlap"], GREY, "-")
        _points(axes, _over_gamma(here), _ZETA["ζ-mixup"])
        _name_points(axes, _over_gamma(here))
        for name in (MIXUP_BATCH, MIXUP_EACH):
            _points(axes, [here[name]], legend[name])
        axes.set_title(source.name, loc="left", pad=12, parse_math=False)
        axes.set(
            xlabel="effective classes", ylabel="overlap with the oracle" if number % 4 == 0 else ""
        )
    return figure


def _points(axes: Any, outcomes: Sequence[Outcome], look: Mapping[str, Any]) -> None:
    x, y = (
        [each.intervals[name] for each in outcomes] for name in ("effective_classes", "overlap")
    )
    axes.errorbar(
        [each.mean for each in x],
        [each.mean for each in y],
        xerr=[each.half_width for each in x],
        yerr=[each.half_width for each in y],
        elinewidth=1.2,
        **look,
    )


def _name_points(axes: Any, outcomes: Sequence[Outcome]) -> None:
    """Write some γ next to their points: above a curve that falls, but the last inside."""
    for number, outcome in enumerate(outcomes):
        point = (outcome.intervals["effective_classes"].mean, outcome.intervals["overlap"].mean)
        look = {"color": BLUE, "fontsize": 14, "textcoords": "offset points"}
        if number == 0:
            axes.annotate(f"γ = {outcome.gamma:g}", point, (0, -11), ha="right", va="top", **look)
        elif outcome.gamma in (GAMMA, 4.0):
            axes.annotate(f"γ = {outcome.gamma:g}", point, (8, 4), **look)
    axes.margins(y=0.2)


def _of(source: Source, outcomes: Sequence[Outcome]) -> dict[str, Outcome]:
    return {outcome.method: outcome for outcome in outcomes if outcome.data == source.name}


def _over_gamma(outcomes: Mapping[str, Outcome]) -> list[Outcome]:
    """Return ζ-mixup of whole batches, which comes by rising γ."""
    return [o for o in outcomes.values() if o.gamma is not None and o.num_mix == BATCH]


def _curve(axes: Any, outcomes: Sequence[Outcome], measure: str, colour: str) -> None:
    gammas = [outcome.gamma for outcome in outcomes]
    low, middle, high = np.array([_ends(each.intervals[measure]) for each in outcomes]).T
    axes.fill_between(gammas, low, high, color=colour, alpha=0.3, linewidth=0)
    axes.plot(gammas, middle, "o-", color=colour, linewidth=2.5, markersize=5)


def _level(axes: Any, interval: Interval, colour: str, style: str) -> None:
    low, middle, high = _ends(interval)
    axes.axhspan(low, high, color=colour, alpha=0.2, linewidth=0)
    axes.axhline(middle, color=colour, linestyle=style, linewidth=2)


def _ends(each: Interval) -> tuple[float, float, float]:
    return each.mean - each.half_width, each.mean, each.mean + each.half_width


def _start(title: str, count: int, rows: int, legend: _Legend) -> tuple[Figure, list[list[Any]]]:
    """Start a slide with panels of data sets, four in a row, each with `rows` rows."""
    columns, lines = min(count, 4), math.ceil(count / 4)
    height = 7.5 if lines == 1 else 1.9 + lines * (4.2 if rows == 1 else 5)
    figure = slide(title, _NOTE, height=height)
    handles = [Line2D([], [], **look) for look in legend.values()]
    place: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (0.02, 1 - 0.6 / height)}
    figure.legend(handles, list(legend), ncols=len(legend), frameon=False, fontsize=15, **place)
    room = {"left": 0.075, "right": 0.985, "top": 1 - 1.75 / height, "bottom": 1.2 / height}
    gap = 0.62 if rows == 1 else 0.38  # one of its own is between rows of the same panel
    grid = figure.add_gridspec(lines, columns, wspace=0.26, hspace=gap, **room)
    cells = [grid[divmod(number, columns)].subgridspec(rows, 1) for number in range(count)]
    return figure, [[figure.add_subplot(cell[row]) for row in range(rows)] for cell in cells]


# --- counts ---------------------------------------------------------------------------------------


def counts() -> Figure:
    """Draw how many new samples there are, and from which γ on one dominates, against N."""
    figure = slide(
        "N! new samples from one γ, where mixup has N(N − 1)",
        "Right: from this γ on, one sample outweighs all others together.",
    )
    grid = figure.add_gridspec(1, 2, left=0.075, right=0.975, top=0.83, bottom=0.19, wspace=0.22)
    left, right = (figure.add_subplot(grid[column]) for column in range(2))
    digits = [theory.log_num_orderings(size) / math.log(10) for size in _SIZES]
    pairs = [math.log10(size * (size - 1)) for size in _SIZES]
    left.plot(_SIZES, digits, "o-", color=BLUE, linewidth=3, label="ζ-mixup: N!")
    left.plot(_SIZES, pairs, "D-", color=ORANGE, linewidth=3, label="mixup: N(N − 1)")
    left.set(ylabel="new samples, as a power of ten")
    left.legend(frameon=False, fontsize=17)
    thresholds = [theory.dominance_threshold(size) for size in _SIZES]
    right.plot(_SIZES, thresholds, "o-", color=BLUE, linewidth=3)
    limit = theory.dominance_threshold()
    right.axhline(limit, color=GREY, linestyle="--", linewidth=2)
    note = f"all N: γ = {limit:.5f}"
    right.annotate(note, (_SIZES[0], limit), (0, 6), textcoords="offset points", color=GREY)
    right.set(ylabel="smallest γ at which one dominates", ylim=(0, 2))
    for axes in (left, right):
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set_xlabel("N, samples in a mixture")
    return figure
