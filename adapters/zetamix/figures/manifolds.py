"""Where mixtures fall, beside the curves that the data lie on."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure

from zetamix.figures.datasets import Dataset, half_moons, helix, two_spirals
from zetamix.figures.methods import MIXUP, ORIGINALS, Key, Method, mixtures, zeta
from zetamix.figures.style import CLASSES, FAINT, name_row, slide

__all__ = ["cloud_panel", "draw_cloud", "manifolds", "show_classes"]

_METHODS = (ORIGINALS, MIXUP, *(zeta(gamma) for gamma in (2.0, 2.8, 4.0, 6.0)))
_GRID = {"left": 0.055, "right": 0.985, "top": 0.8, "bottom": 0.09, "wspace": 0.08, "hspace": 0.1}


def manifolds(key: Key) -> Figure:
    """Draw half-moons, spirals and a helix: rows of data sets, columns of methods."""
    figure = slide(
        "mixup fills the gaps; ζ-mixup follows the manifold as γ grows",
        "Grey: the originals. Colour: soft label, or position along the helix. "
        "One epoch, batches of 32.",
    )
    rows = (half_moons(key[0]), two_spirals(), helix())
    grid = figure.add_gridspec(len(rows), len(_METHODS), height_ratios=(0.75, 1, 1.15), **_GRID)
    for row, data in enumerate(rows):
        name_row(figure, grid[row, 0], 0.024, data.name, rotation=90)
        for column, method in enumerate(_METHODS):
            axes = cloud_panel(figure, grid[row, column], data)
            draw_cloud(axes, data, method, (*key, row))
            if row == 0:
                axes.set_title(method.name.replace(", ", "\n"), pad=16)
    show_classes(figure)
    return figure


def cloud_panel(figure: Figure, place: Any, data: Dataset) -> Any:
    if data.points.shape[1] == 2:
        axes = figure.add_subplot(place, aspect="equal")
    else:
        axes = figure.add_subplot(place, projection="3d", proj_type="ortho", computed_zorder=False)
        axes.set_box_aspect((1, 1, 1.3), zoom=1.5)
        axes.view_init(elev=18, azim=-60)
    axes.set_axis_off()
    return axes


def draw_cloud(axes: Any, data: Dataset, method: Method, key: Key) -> None:
    outputs = list(mixtures(data, method, key))
    points = np.concatenate([mixture.points for mixture in outputs])
    labels = np.concatenate([mixture.labels for mixture in outputs])
    shade, colours = (labels[:, 1], CLASSES) if data.num_classes else (labels, "viridis")
    size = 10 if len(points) < 1000 else 1.5
    look = {"linewidths": 0} | ({"depthshade": False} if points.shape[1] == 3 else {})
    axes.scatter(*data.points.T, s=2 * size, color=FAINT, zorder=1, **look)
    axes.scatter(*points.T, s=size, c=shade, cmap=colours, vmin=0, vmax=1, zorder=2, **look)


def show_classes(figure: Figure) -> None:
    axes = figure.add_axes((0.835, 0.023, 0.08, 0.018))
    figure.colorbar(ScalarMappable(cmap=CLASSES), cax=axes, orientation="horizontal", ticks=[])
    for x, side, name in ((-0.08, "right", "class 0"), (1.08, "left", "class 1")):
        axes.text(x, 0.5, name, ha=side, va="center", fontsize=14, transform=axes.transAxes)
