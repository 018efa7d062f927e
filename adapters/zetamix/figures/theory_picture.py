"""A picture of one choice of γ: its weights, its dominance and its tail."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from zetamix import theory
from zetamix.figures.style import BLUE, GREY, ORANGE, slide
from zetamix.figures.summary import Summary

__all__ = ["theory_picture"]

_GAMMAS = np.linspace(0, 6, 121)
_LARGEST_SIZE = 64


def theory_picture(summary: Summary) -> Figure:
    """Draw the weights by rank, dominance over γ, and the tail over T."""
    verdict = "outweighs" if summary.dominates else "does not outweigh"
    size = "∞" if math.isinf(summary.num_mix) else f"{summary.num_mix:,}"
    figure = slide(f"At γ = {summary.gamma:g}, T = {size}: rank 1 {verdict} all others", height=6)
    grid = figure.add_gridspec(1, 3, left=0.06, right=0.985, top=0.78, bottom=0.16, wspace=0.27)
    _weights(figure.add_subplot(grid[0]), summary)
    _dominance(figure.add_subplot(grid[1]), summary)
    _tail(figure.add_subplot(grid[2]), summary)
    return figure


def _weights(axes: Any, summary: Summary) -> None:
    names = [str(rank) for rank in range(1, len(summary.weights) + 1)]
    weights = list(summary.weights)
    if summary.num_mix > len(weights):
        names, weights = [*names, "rest"], [*weights, summary.rest]
    colours = [BLUE, *[ORANGE] * (len(weights) - 1)]
    bars = axes.bar(names, np.multiply(100, weights), color=colours)
    axes.bar_label(bars, fmt="%.1f", fontsize=12, padding=2)
    axes.set_title("Weights by rank, %", pad=16)
    axes.set(xlabel="rank", ylim=(0, 108))


def _dominance(axes: Any, summary: Summary) -> None:
    size, gamma = summary.num_mix, summary.gamma
    first = [theory.dominant_weight(each, size) for each in _GAMMAS]
    others = [theory.tail_weight(each, 1, size) for each in _GAMMAS]
    _curve(axes, "rank 1", first, (gamma, summary.dominant_weight), BLUE)
    _curve(axes, "all others", others, (gamma, summary.others), ORANGE)
    axes.axvline(summary.threshold, color=GREY, linestyle=":", linewidth=2)
    axes.set_title(f"Dominance, %, from γ = {summary.threshold:.3f}", pad=16)
    axes.set(xlabel="γ", xlim=(0, _GAMMAS[-1]), ylim=(0, 108))


def _curve(
    axes: Any, name: str, weights: list[float], here: tuple[float, float], colour: str
) -> None:
    axes.plot(_GAMMAS, np.multiply(100, weights), color=colour, linewidth=3)
    axes.plot(here[0], 100 * here[1], "o", color=colour, markersize=12)
    side = "top" if weights[-1] > 0.5 else "bottom"
    shift = (0, -14 if side == "top" else 14)
    end = (_GAMMAS[-1], 100 * weights[-1])
    look = {"color": colour, "ha": "right", "va": side}
    axes.annotate(name, end, shift, textcoords="offset points", **look)


def _tail(axes: Any, summary: Summary) -> None:
    sizes = [size for size in range(1, _LARGEST_SIZE + 1) if size < summary.n]
    tails = {size: 100 * theory.tail_weight(summary.gamma, size, summary.n) for size in sizes}
    tails = {size: tail for size, tail in tails.items() if tail > 0}
    axes.plot(tails.keys(), tails.values(), color=ORANGE, linewidth=3)
    if summary.num_mix in tails:
        here = int(summary.num_mix)
        axes.plot(here, tails[here], "o", color=ORANGE, markersize=12)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter("")
    if not tails:
        axes.text(0.5, 0.5, "nothing", color=GREY, ha="center", transform=axes.transAxes)
    lowest = min((tail for tail in tails.values() if tail > 1e-6), default=1)
    axes.set_title("Left out by T samples, %", pad=16)
    axes.set(xlabel="T", xlim=(1, _LARGEST_SIZE), ylim=(min(lowest, 1) / 2, 120))
