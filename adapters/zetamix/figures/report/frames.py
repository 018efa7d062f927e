"""Frames of the slider: the same samples at each γ, as cards of images or as a scatter plot."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import numpy as np
from PIL import Image

from zetamix import MixPlan
from zetamix.figures.report.charts import BLUE, CLASSES, GREY, finished
from zetamix.figures.report.data import Samples

__all__ = ["Card", "Picture", "cards", "scatters"]

_NUM_CARDS = 12
_LARGEST_SIDE = 128  # pixels of an image on the page; larger ones are shrunk
_SHOWN_SHARE, _NAMED_SHARES = 0.01, 3
_POINTS = 400
_BYTES = 300_000  # that all images may take as text
# Sides and quality to try in turn, None for PNG; and the number of cards.
_ENCODINGS = (
    (_LARGEST_SIDE, None, _NUM_CARDS),
    (_LARGEST_SIDE, 85, _NUM_CARDS),
    (96, 75, _NUM_CARDS),
    (64, 75, _NUM_CARDS),
    (48, 60, 8),
)


@dataclass(frozen=True)
class Share:
    """A part of a soft label: the weight of one class, and whether it is the sample's own."""

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
    """Show some samples from all classes if possible, in the bytes that a page may have."""
    found: list[Card] = []
    rows = _of_all_classes(data)
    mixed = [
        (plan @ data.x, None if data.labels is None else plan @ data.labels)
        for plan in (mixup, *zetas)
    ]
    for side, quality, number in _ENCODINGS:

        def encode(image: np.ndarray, side: int = side, quality: int | None = quality) -> str:
            return _as_uri(image, side, quality)

        columns = [
            _pictures(data, rows[:number], x, labels, encode)
            for x, labels in ((data.x, data.labels), *mixed)
        ]
        found = [Card(one, two, tuple(rest)) for one, two, *rest in zip(*columns, strict=True)]
        if sum(len(picture.image) for column in columns for picture in column) <= _BYTES:
            break
    return found


def _of_all_classes(data: Samples) -> list[int]:
    """Return the first samples of each class in turn."""
    if data.labels is None:
        return list(range(min(_NUM_CARDS, len(data.x))))
    own = data.labels.argmax(axis=1)
    seen = np.asarray([np.sum(own[:row] == own[row]) for row in range(len(own))])
    return [int(row) for row in np.lexsort((own, seen))[:_NUM_CARDS]]


def _pictures(
    data: Samples,
    rows: list[int],
    x: np.ndarray,
    labels: np.ndarray | None,
    encode: Callable[[np.ndarray], str],
) -> list[Picture]:
    images = map(encode, data.as_bytes(x[rows]))
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


def _as_uri(image: np.ndarray, side: int, quality: int | None) -> str:
    picture = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)
    picture.thumbnail((side, side))
    buffer = io.BytesIO()
    if quality is None:
        picture.save(buffer, format="png", optimize=True)
    else:
        picture.convert("L" if image.shape[2] == 1 else "RGB").save(
            buffer, format="jpeg", quality=quality
        )
    kind = "png" if quality is None else "jpeg"
    return f"data:image/{kind};base64," + base64.b64encode(buffer.getvalue()).decode()


# --- data that are no images ----------------------------------------------------------------------


def scatters(
    data: Samples, mixup: MixPlan, zetas: Sequence[MixPlan], start: int
) -> list[tuple[str, dict[str, Any]]]:
    """Draw mixed samples over the originals, by mixup and by ζ-mixup at the γ of the slider.

    For more than two features, the plane of the first two principal components is shown.
    """
    originals, titles = _plane(data)
    low, high = originals.min(axis=0), originals.max(axis=0)
    margin = 0.03 * (high - low) + 1e-12
    limits = list(zip((low - margin).tolist(), (high + margin).tolist(), strict=True))
    shown = np.linspace(0, len(originals) - 1, min(_POINTS, len(originals))).astype(int)
    before = [{"x": x, "y": y} for x, y in _rounded(originals[shown], high - low)]
    named = _names_of_colours(data)
    found = []
    for name, plans in (("mixup", [mixup]), ("ζ-mixup", zetas)):
        frames = [_rounded((plan @ originals)[shown], high - low) for plan in plans]
        rows = [
            {"x": [frame[k][0] for frame in frames], "y": [frame[k][1] for frame in frames]}
            for k in range(len(shown))
        ]
        for row, which in zip(rows, shown, strict=True):
            row |= {"class": named[0][which]} if named else {}
        spec = _scatter(before, rows, titles, limits, named[1] if named else [], len(plans) > 1)
        found.append((name, finished(spec, start, height=320)))
    return found


def _plane(data: Samples) -> tuple[np.ndarray, tuple[str, str]]:
    """Return points in two dimensions, and the titles of the axes."""
    rows = data.x.reshape(len(data.x), -1).astype(np.float64)
    if rows.shape[1] == 1:
        return np.pad(rows, ((0, 0), (0, 1))), ("feature 0", "")
    if rows.shape[1] == 2:
        return rows, ("feature 0", "feature 1")
    moved = rows - rows.mean(axis=0)
    axes = np.linalg.svd(moved, full_matrices=False)[2][:2].T
    return moved @ axes, ("first principal component", "second principal component")


def _rounded(points: np.ndarray, extent: np.ndarray) -> list[list[float]]:
    """Return points to about a thousandth of what is shown, in few digits."""
    places = 3 - np.floor(np.log10(np.where(extent > 0, extent, 1))).astype(int)
    columns = [np.round(points[:, k], int(places[k])) for k in range(2)]
    return [[float(x), float(y)] for x, y in zip(*columns, strict=True)]


def _names_of_colours(data: Samples) -> tuple[list[str], list[str]] | None:
    """Return the legend name of each sample, and all of these names, ten at most."""
    if data.labels is None:
        return None
    own = data.labels.argmax(axis=1)
    names = list(data.classes)
    if len(names) > len(CLASSES):
        most = np.argsort(-np.bincount(own, minlength=len(names)), kind="stable")
        kept = sorted(int(c) for c in most[: len(CLASSES) - 1])
        names = [name if c in kept else "other classes" for c, name in enumerate(names)]
        legend = [data.classes[c] for c in kept] + ["other classes"]
        return [names[c] for c in own], legend
    return [names[c] for c in own], names


def _scatter(
    before: list[dict[str, Any]],
    rows: list[dict[str, Any]],
    titles: tuple[str, str],
    limits: list[tuple[float, float]],
    legend: list[str],
    slides: bool,
) -> Any:
    """Draw originals in grey, and mixed samples in the colours of their classes."""
    place = "place" if slides else "0"
    scales = [alt.Scale(domain=list(limit), nice=False, zero=False) for limit in limits]
    originals = (
        alt.Chart(alt.InlineData(before))
        .mark_circle(color=GREY, opacity=0.3, size=40)
        .encode(
            x=alt.X("x:Q", title=titles[0], scale=scales[0]),
            y=alt.Y("y:Q", title=titles[1], scale=scales[1]),
        )
    )
    mixed = (
        alt.Chart(alt.InlineData(rows))
        .transform_calculate(px=f"datum.x[{place}]", py=f"datum.y[{place}]")
        .mark_circle(color=BLUE, opacity=0.9, size=18)
        .encode(x="px:Q", y="py:Q", tooltip=[alt.Tooltip("px:Q"), alt.Tooltip("py:Q")])
    )
    if legend:
        scale = alt.Scale(domain=legend, range=list(CLASSES[: len(legend)]))
        mixed = mixed.encode(
            color=alt.Color("class:N", scale=scale).legend(
                symbolOpacity=1, symbolSize=60, columns=5 if max(map(len, legend)) < 4 else 2
            ),
            tooltip=[alt.Tooltip("class:N"), alt.Tooltip("px:Q"), alt.Tooltip("py:Q")],
        )
    return alt.layer(originals, mixed)
