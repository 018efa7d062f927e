"""The trade-off of γ: richness of labels against distance from the data."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from zetamix.figures.datasets import digits
from zetamix.figures.style import BLUE, ORANGE, slide
from zetamix_core.adapting import Experiment, Key, Method, mixup_method, zeta_method

__all__ = ["tradeoff"]

_GAMMAS = (4.0, 3.2, 2.8, 2.4, 2.0, 1.8, 1.6)
_ALPHAS = (0.1, 0.2, 0.4, 1.0, 2.0, 8.0)


def tradeoff(key: Key) -> Figure:
    """Draw one curve of ζ-mixup over γ and one of mixup over α, measured on digits."""
    figure = slide(
        "At the same distance from the data, ζ-mixup has the richer labels",
        "Digits in batches of 32. Distance: root mean square, in units of the data’s root total "
        "variance.",
    )
    axes = figure.add_axes((0.075, 0.18, 0.9, 0.7))
    experiment = digits().experiment((*key, 0), (*key, 1), drop_last=True)
    zetas = {f"γ = {gamma:g}": zeta_method(gamma) for gamma in _GAMMAS}
    mixups = {f"α = {alpha:g}": mixup_method(alpha) for alpha in _ALPHAS}
    _curve(axes, "ζ-mixup", zetas, experiment, BLUE)
    _curve(axes, "mixup", mixups, experiment, ORANGE)
    axes.set(xlim=(0, 0.68), xlabel="distance from the sample that weighs most")
    axes.set(ylim=(0.9, 4.6), ylabel="effective classes in a label")
    return figure


def _curve(
    axes: Any, name: str, methods: dict[str, Method], experiment: Experiment, colour: str
) -> None:
    outputs = map(experiment.mix, methods.values())
    points = [(mixed.distance(), mixed.richness().effective_classes) for mixed in outputs]
    axes.plot(*zip(*points, strict=True), "o-", color=colour, linewidth=3, markersize=9)
    look = {"color": colour, "textcoords": "offset points"}
    for parameter, point in zip(methods, points, strict=True):
        axes.annotate(parameter, point, (-8, 7), ha="right", fontsize=15, **look)
    axes.annotate(name, points[-1], (14, 0), va="center", fontsize=21, fontweight="bold", **look)
