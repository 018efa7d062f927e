"""Frames of the slider: the same samples at each γ, as cards of images or as a scatter plot."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from zetamix import MixPlan
from zetamix.figures.report.data import Samples
from zetamix.figures.style import BLUE, GREY, ORANGE

__all__ = ["Card", "Picture", "cards", "scatters"]

_NUM_CARDS = 12
_LARGEST_SIDE = 128  # pixels of an image on the page; larger ones are shrunk
_SHOWN_SHARE, _NAMED_SHARES = 0.01, 3
_POINTS = 1500


@dataclass(frozen=True)
class Share:
    """A part of a soft label, with the place of its class on the card: the own one comes first."""

    name: str
    percent: float
    own: bool


@dataclass(frozen=True)
class Picture:
    """A mixed sample: its image, its soft label, and the largest shares of that."""

    image: str
    label: tuple[Share, ...]
    largest: tuple[Share, ...]


@dataclass(frozen=True)
class Card:
    """One sample: as it is, mixed by mixup, and by ζ-mixup at each γ."""

    original: Picture
    mixup: Picture
    zetas: tuple[Picture, ...]


def cards(data: Samples, mixup: MixPlan, zetas: Sequence[MixPlan]) -> list[Card]:
    """Show some samples, of as many classes as there are."""
    rows = _of_all_classes(data)
    original = _pictures(data, rows, data.x, data.labels)
    others = [
        _pictures(data, rows, plan @ data.x, None if data.labels is None else plan @ data.labels)
        for plan in (mixup, *zetas)
    ]
    rows_of_cards = zip(original, *others, strict=True)
    return [Card(first, mixed, tuple(rest)) for first, mixed, *rest in rows_of_cards]


def _of_all_classes(data: Samples) -> list[int]:
    """Return the first samples of each class in turn."""
    if data.labels is None:
        return list(range(min(_NUM_CARDS, len(data.x))))
    own = data.labels.argmax(axis=1)
    seen = np.asarray([np.sum(own[:row] == own[row]) for row in range(len(own))])
    return [int(row) for row in np.lexsort((own, seen))[:_NUM_CARDS]]


def _pictures(
    data: Samples, rows: list[int], x: np.ndarray, labels: np.ndarray | None
) -> list[Picture]:
    images = map(_as_uri, data.as_bytes(x[rows]))
    if labels is None or data.labels is None:
        return [Picture(image, (), ()) for image in images]
    own = data.labels[rows].argmax(axis=1)
    found = []
    for image, label, first in zip(images, labels[rows], own, strict=True):
        order = [int(first), *(int(c) for c in np.argsort(-label, kind="stable") if c != first)]
        shares = [Share(data.classes[c], 100 * float(label[c]), c == first) for c in order]
        shown = tuple(share for share in shares if share.percent >= 100 * _SHOWN_SHARE)
        largest = sorted(shown, key=lambda share: -share.percent)[:_NAMED_SHARES]
        found.append(Picture(image, shown, tuple(largest)))
    return found


def _as_uri(image: np.ndarray) -> str:
    picture = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)
    picture.thumbnail((_LARGEST_SIDE, _LARGEST_SIDE))
    return _png(picture.save, optimize=True)


def _png(save: Any, **options: Any) -> str:
    buffer = io.BytesIO()
    save(buffer, format="png", **options)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


# --- data that are no images ----------------------------------------------------------------------


def scatters(data: Samples, mixup: MixPlan, zetas: Sequence[MixPlan]) -> tuple[str, list[str]]:
    """Draw mixed samples over the originals, in the plane of their two principal components.

    Returned are the picture of mixup, and those of ζ-mixup.
    """
    rows = data.x.reshape(len(data.x), -1).astype(np.float64)
    mean = rows.mean(axis=0)
    axes = np.linalg.svd(rows - mean, full_matrices=False)[2][:2].T
    originals = (rows - mean) @ axes
    pictures = [_scatter(originals, plan @ originals, data.labels) for plan in (mixup, *zetas)]
    return pictures[0], pictures[1:]


def _scatter(originals: np.ndarray, mixed: np.ndarray, labels: np.ndarray | None) -> str:
    if originals.shape[1] == 1:
        originals, mixed = (np.pad(points, ((0, 0), (0, 1))) for points in (originals, mixed))
    figure = Figure(figsize=(5, 4), dpi=144)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    # The same limits in all frames: mixed samples stay within the hull of the originals.
    low, high = originals.min(axis=0), originals.max(axis=0)
    margin = 0.05 * (high - low) + 1e-12
    low, high = low - margin, high + margin
    axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))
    shown = np.linspace(0, len(mixed) - 1, min(_POINTS, len(mixed))).astype(int)
    colours: Any = BLUE
    if labels is not None:
        colours = np.where(labels[shown].argmax(axis=1) % 2, ORANGE, BLUE)
    (x, y), (mixed_x, mixed_y) = originals[shown].T, mixed[shown].T
    axes.scatter(x, y, s=22, color=GREY, alpha=0.35, linewidths=0)
    axes.scatter(mixed_x, mixed_y, s=8, c=colours, linewidths=0)
    return _png(figure.savefig, transparent=True)
