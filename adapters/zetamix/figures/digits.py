"""Pictures of mixed digits and their soft labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from zetamix import MixPlan
from zetamix.figures.datasets import Dataset, digits
from zetamix.figures.pairs import heavier_first
from zetamix.figures.style import BLUE, GREY, ORANGE, name_row, slide
from zetamix_core.adapting import MIXUP, ORIGINALS, Key, Method, zeta_method

__all__ = ["digits_methods", "digits_mixtures", "plot_methods"]

_METHODS = (ORIGINALS, MIXUP, *(zeta_method(gamma) for gamma in (1.8, 2.8, 4.0)))
_MIXTURES = ((2, MIXUP), (4, zeta_method(2.0)), (8, zeta_method(2.0)))
_PIXELS = "Digits of 8 × 8 pixels, smoothed for display."


# The same digits through every method ---------------------------------------------------------


def digits_methods(key: Key) -> Figure:
    """Draw ten digits, one a class, as each method mixes them within one batch."""
    figure = slide(
        "mixup leaves ghosts; ζ-mixup keeps the digit and enriches its label",
        f"Bars: soft labels, with the digit’s own class in blue. mixup: heavier sample first. "
        f"{_PIXELS}",
    )
    data = digits().shuffled(key)
    batch = data.batch(_first_of_each_class(data))
    room = {"left": 0.13, "right": 0.985, "top": 0.885, "bottom": 0.08}
    grid = figure.add_gridspec(len(_METHODS), 10, wspace=0.29, hspace=0.14, **room)
    plot_methods(figure, grid, batch, _METHODS, key)
    return figure


def plot_methods(
    figure: Figure,
    grid: Any,
    batch: Dataset,
    methods: Sequence[Method],
    key: Key,
    *,
    colours: str = "gray_r",
) -> list[Any]:
    """Draw the first images of a batch and their labels in a grid, and return axes of the images.

    There is one row for each method.
    """
    images = []
    for row, method in enumerate(methods):
        name_row(figure, grid[row, 0], 0.026, method.name.replace(", ", "\n"))
        points, labels = batch.mixed(heavier_first(method.draw(len(batch), rng=key)))
        for column in range(grid.ncols):
            cell = grid[row, column].subgridspec(2, 1, height_ratios=(5, 1), hspace=0.08)
            images.append(figure.add_subplot(cell[0]))
            _image(images[-1], points[column], colours)
            own = int(batch.targets[column])
            _plot_shares(figure.add_subplot(cell[1]), labels[column], own=own)
    return images


def _first_of_each_class(data: Dataset) -> np.ndarray:
    """Return the rows of ten samples, in the order of classes."""
    return np.unique(data.targets, return_index=True)[1]


def _image(axes: Any, image: np.ndarray, colours: str = "gray_r") -> None:
    image = np.clip(image, 0, 1)  # what rounding may exceed
    axes.imshow(image, cmap=colours, vmin=0, vmax=1, interpolation="bicubic")
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(visible=True, color=GREY, linewidth=0.8)


def _plot_shares(axes: Any, label: np.ndarray, *, own: int) -> None:
    """Plot a soft label as a bar, its own class first and the others by their share."""
    others = np.argsort(-label, kind="stable")
    classes = [own, *others[others != own]]
    widths = label[classes]
    starts = np.cumsum(widths) - widths
    colours = [BLUE, *[ORANGE] * len(others[1:])]
    axes.barh(0, widths, left=starts, height=1, color=colours)
    axes.vlines(starts[1:][widths[1:] > 0.03], -0.5, 0.5, color="white", linewidth=1.2)
    for name, start, width in zip(classes, starts, widths, strict=True):
        if width > 0.114:
            look = {"fontsize": 11, "fontweight": "bold", "ha": "center", "va": "center_baseline"}
            axes.text(start + width / 2, 0, str(name), color="white", **look)
    axes.set(xlim=(0, 1), ylim=(-0.5, 0.5))
    axes.set_axis_off()


# Mixtures taken apart -------------------------------------------------------------------------


def digits_mixtures(key: Key) -> Figure:
    """Draw mixtures of two, four and eight digits next to their sources."""
    figure = slide(
        "mixup mixes two samples, ζ-mixup any number of them",
        f"Source samples from heaviest to lightest, their mixture and its soft label. {_PIXELS}",
    )
    data = digits().shuffled(key)
    sources = data[np.sort(_first_of_each_class(data))]
    room = {"left": 0.026, "right": 0.985, "top": 0.83, "bottom": 0.15}
    grid = figure.add_gridspec(len(_MIXTURES), 1, hspace=1.0, **room)
    for row, (num_mix, method) in enumerate(_MIXTURES):
        plan = method.draw(num_mix, rng=key)
        output, label = _take_apart(figure, grid[row], method.name, sources[:num_mix], plan)
        if row == 0:
            output.set_title("mixture", pad=12)
            label.set_title("soft label, %", pad=12)
    return figure


def _take_apart(
    figure: Figure, place: Any, name: str, batch: Dataset, plan: MixPlan
) -> tuple[Any, Any]:
    """Draw the first output of a plan in a row: its sources, the mixture, its label."""
    cells = place.subgridspec(1, 12, width_ratios=[1] * 8 + [0.5, 1, 0.1, 3], wspace=0.12)
    weights = np.broadcast_to(plan.weights, plan.indices.shape)[0]
    points, labels = batch.mixed(plan)
    ranks = np.argsort(-weights, kind="stable")
    # Beside the mixture, so that no gap parts it from what went into it.
    sources = [figure.add_subplot(cells[8 - len(ranks) + column]) for column in range(len(ranks))]
    for axes, rank in zip(sources, ranks, strict=True):
        _image(axes, batch.points[plan.indices[0, rank]])
        axes.set_xlabel(f"{weights[rank]:.1%}", fontsize=16)
    heading = f"{name}: {len(ranks)} samples"
    sources[0].set_title(heading, loc="left", fontweight="bold", pad=12)
    output = figure.add_subplot(cells[9])
    _image(output, points[0])
    _arrow(sources[-1], output)
    label = figure.add_subplot(cells[11])
    _label_bars(label, labels[0])
    return output, label


def _arrow(start: Any, end: Any) -> None:
    end.annotate(
        "",
        xy=(-0.06, 0.5),
        xycoords=end.transAxes,
        xytext=(1.1, 0.5),
        textcoords=start.transAxes,
        arrowprops={"arrowstyle": "-|>", "color": GREY, "linewidth": 2, "mutation_scale": 22},
    )


def _label_bars(axes: Any, label: np.ndarray) -> None:
    colours = [BLUE if share == label.max() else ORANGE for share in label]
    bars = axes.bar(np.arange(len(label)), label, color=colours)
    percent = [f"{100 * share:.0f}" if share > 0 else "" for share in label]
    axes.bar_label(bars, percent, fontsize=13, padding=2)
    axes.set(xticks=np.arange(len(label)), yticks=[], ylim=(0, 1))
    axes.set_box_aspect(1 / 3)
    axes.tick_params(length=0, labelsize=16)
    axes.spines["left"].set_visible(False)
