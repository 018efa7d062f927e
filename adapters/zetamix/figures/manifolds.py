"""Where mixtures fall, relative to the curves that the data lie on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure

from zetamix.figures.datasets import BATCH, Dataset, half_moons, helix, two_spirals
from zetamix.figures.style import CLASSES, FAINT, name_row, slide
from zetamix_core.adapting import MIXUP, ORIGINALS, Key, Method, shuffled_plan, zeta_method

__all__ = ["manifolds", "plot_clouds"]

_METHODS = (ORIGINALS, MIXUP, *(zeta_method(gamma) for gamma in (2.0, 2.8, 4.0, 5.0)))
_GRID = {"left": 0.055, "right": 0.985, "top": 0.8, "bottom": 0.09, "wspace": 0.08, "hspace": 0.1}
_HEIGHTS = (0.75, 1, 1.15)


def manifolds(key: Key) -> Figure:
    """Draw half-moons, spirals and a helix, mixed by each method."""
    title = "mixup fills the gaps; ζ-mixup follows the manifold as γ grows"
    return plot_clouds(title, (half_moons(key[0]), two_spirals(), helix()), _METHODS, key)


def plot_clouds(title: str, rows: Sequence[Dataset], methods: Sequence[Method], key: Key) -> Figure:
    """Plot rows of data sets, up to three, and columns of methods."""
    figure = slide(
        title,
        "Grey: originals. Colour: soft label, or position on the helix. Even at γ = 5, no point "
        "is a copy.",
    )
    heights = _HEIGHTS[: len(rows)]
    grid = figure.add_gridspec(len(rows), len(methods), height_ratios=heights, **_GRID)
    for row, data in enumerate(rows):
        name_row(figure, grid[row, 0], 0.024, data.name, rotation=90)
        for column, method in enumerate(methods):
            axes = _panel(figure, grid[row, column], data)
            _cloud(axes, data, method, (*key, row, 0))
            if row == 0:
                axes.set_title(method.name.replace(", ", "\n"), pad=16)
    _show_classes(figure)
    return figure


def _panel(figure: Figure, place: Any, data: Dataset) -> Any:
    if data.points.shape[1] == 2:
        axes = figure.add_subplot(place, aspect="equal")
    else:
        axes = figure.add_subplot(place, projection="3d", proj_type="ortho", computed_zorder=False)
        axes.set_box_aspect((1, 1, 1.3), zoom=1.5)
        axes.view_init(elev=18, azim=-60)
    axes.set_axis_off()
    return axes


def _cloud(axes: Any, data: Dataset, method: Method, key: Key) -> None:
    # In the order of the batches, so that no class is painted over the other.
    points, labels = data.mixed(shuffled_plan(method, len(data), BATCH, key, drop_last=True))
    shade, colours = (labels[:, 1], CLASSES) if data.num_classes else (labels, "viridis")
    size = 10 if len(points) < 1000 else 1.5
    look = {"linewidths": 0} | ({"depthshade": False} if points.shape[1] == 3 else {})
    axes.scatter(*data.points.T, s=2 * size, color=FAINT, zorder=1, **look)
    axes.scatter(*points.T, s=size, c=shade, cmap=colours, vmin=0, vmax=1, zorder=2, **look)


def _show_classes(figure: Figure) -> None:
    axes = figure.add_axes((0.835, 0.023, 0.08, 0.018))
    figure.colorbar(ScalarMappable(cmap=CLASSES), cax=axes, orientation="horizontal", ticks=[])
    for x, side, name in ((-0.08, "right", "class 0"), (1.08, "left", "class 1")):
        axes.text(x, 0.5, name, ha=side, va="center", fontsize=14, transform=axes.transAxes)
