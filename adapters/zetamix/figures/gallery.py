"""The pictures of the demo, by file name."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from matplotlib.figure import Figure

from zetamix.figures.digits import digits_methods, digits_mixtures
from zetamix.figures.manifolds import manifolds
from zetamix.figures.tradeoff import tradeoff
from zetamix_core.adapting import Key

__all__ = ["PICTURES", "Picture"]


class Picture(NamedTuple):
    """How to plot a picture, and what it shows."""

    plot: Callable[[Key], Figure]
    shows: str


PICTURES = {
    "manifolds.png": Picture(manifolds, "where mixtures fall: half-moons, spirals, helix"),
    "digits_methods.png": Picture(digits_methods, "the same digits by every method"),
    "tradeoff.png": Picture(tradeoff, "richness of labels against distance from the data"),
    "digits_mixtures.png": Picture(digits_mixtures, "mixtures of 2, 4 and 8 digits, taken apart"),
}
