"""One look for all pictures: size of a slide, type that reads at a distance, safe colours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib.style
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

__all__ = [
    "BLUE",
    "CLASSES",
    "FAINT",
    "GREY",
    "INK",
    "ORANGE",
    "PLAIN",
    "name_row",
    "slide",
    "talk_style",
]

# Blue and vermillion of Okabe and Ito, which every kind of colour vision tells apart.
BLUE, ORANGE = "#0072B2", "#D55E00"
INK, GREY, FAINT = "#222222", "#6F6F6F", "#E2E2E2"

# A point between two classes is dark: the ones that are neither are those to look at.
CLASSES = LinearSegmentedColormap.from_list("classes", [BLUE, "#3A3338", ORANGE])

PLAIN = {
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}
_TALK = PLAIN | {
    "axes.labelsize": 17,
    "axes.titlesize": 17,
    "figure.dpi": 144,
    "font.size": 15,
    "savefig.dpi": 144,
}


@contextmanager
def talk_style() -> Iterator[None]:
    """Draw and save in this style, whatever the user's own settings are."""
    with matplotlib.style.context(["default", _TALK]):
        yield


def slide(title: str, note: str = "", *, height: float = 7.5) -> Figure:
    """Start a picture as wide as a slide, 1,920 pixels, with its message on top.

    It belongs to no window and is unknown to pyplot.
    """
    figure = Figure(figsize=(40 / 3, height))
    _line(figure, title, height - 0.18, fontsize=23, fontweight="bold", va="top")
    if note:
        _line(figure, note, 0.14, fontsize=14, color=GREY, va="bottom")
    return figure


def name_row(figure: Figure, cell: Any, x: float, name: str, **look: Any) -> None:
    """Write the name of a row, halfway up its cell in a grid."""
    middle = cell.get_position(figure).corners()[:, 1].mean()
    figure.text(x, middle, name, fontsize=17, va="center", parse_math=False, **look)


def _line(figure: Figure, text: str, inches: float, **look: Any) -> None:
    width, height = figure.get_size_inches()
    figure.text(0.35 / width, inches / height, text, **look)
