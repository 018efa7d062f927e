"""Charts of a report: each a specification of Vega-Lite that the slider of the page drives.

Colours are variables of the page, so that they follow its light, dark and printed dress.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import altair as alt

from zetamix import metrics, theory

__all__ = ["BLUE", "CLASSES", "GREY", "ORANGE", "Chart", "Measured", "finished", "plot_charts"]

BLUE, ORANGE, GREEN, GREY, INK, LINE = (
    f"var(--{name})" for name in ("blue", "orange", "green", "grey", "ink", "line")
)
CLASSES = tuple(f"var(--class-{number})" for number in range(10))
_LINEAR = 3  # up to which densities share a linear axis
_HEIGHT = 230  # pixels of a chart
_BLIND = 0.5  # share of originals that an oracle must be right on to judge others
_MOST_BARS = 40
_LEVEL = 20  # letters that stand side by side below the bars

Row: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Measured:
    """What is drawn: the report, mixup with α = 0.2, the γ to try, and samples of each class."""

    report: metrics.GammaReport
    mild: metrics.MixMeasures
    chosen: float
    start: int
    classes: tuple[tuple[str, int], ...]

    @property
    def zetas(self) -> tuple[metrics.MixMeasures, ...]:
        """Measures of ζ-mixup at each γ."""
        return self.report.rows[2:]

    @property
    def references(self) -> dict[str, metrics.MixMeasures]:
        """What ζ-mixup is compared with, by the name in legends."""
        return {
            "originals": self.report.originals,
            "mixup, α = 1": self.report.rows[1],
            "mixup, α = 0.2": self.mild,
        }


@dataclass(frozen=True)
class Chart:
    """A picture with its title, and a note on how to read it.

    Without a specification the note says why there is no picture.
    """

    title: str
    note: str
    spec: dict[str, Any] | None


def plot_charts(measured: Measured) -> list[Chart]:
    """Plot all charts that there are numbers for."""
    return [chart for plot in _CHARTS if (chart := plot(measured)) is not None]


def finished(chart: Any, start: int, *, height: int = _HEIGHT) -> dict[str, Any]:
    """Return the specification, with the signal of the slider and the look of the page."""
    text = {"labelColor": INK, "titleColor": INK, "labelFontSize": 12, "titleFontSize": 12}
    look = chart.properties(width="container", height=height, background="transparent")
    spec: dict[str, Any] = (
        look.add_params(alt.param(name="place", value=start))
        .configure(font="system-ui, sans-serif", view=alt.ViewConfig(stroke=None))
        .configure_axis(
            **text,
            titleFontWeight="normal",
            gridColor=LINE,
            domainColor=GREY,
            tickColor=GREY,
            labelFlush=False,  # moved to the end, a label covers its neighbour
        )
        .configure_legend(**text, title=None, orient="top", columns=2, labelLimit=130, offset=22)
        .to_dict(validate=False)  # the tests draw all charts
    )
    return spec


# --- charts ---------------------------------------------------------------------------------------

_REFERENCES = ("originals", "mixup, α = 1", "mixup, α = 0.2")


def _dimension(measured: Measured) -> Chart:
    original = measured.report.originals.dimension
    share = measured.report.tolerance
    band = [{"low": original * (1 - share), "high": original * (1 + share)}]
    within = (
        alt.Chart(alt.InlineData(band))
        .mark_rect(color=GREY, opacity=0.18)
        .encode(y=alt.Y("low:Q"), y2="high:Q")
    )
    return Chart(
        "Intrinsic dimension",
        "Directions in which the data extend around a sample, on average. Mixing should add none. "
        f"Grey band: originals ± {100 * share:g}%.",
        _over_gamma(measured, "dimension", "intrinsic dimension", below=[within]),
    )


def _distance(measured: Measured) -> Chart:
    curves = {"ζ-mixup": "displacement"}
    rules = {"mixup, from own": "displacement", "mixup, heaviest": "heaviest_displacement"}
    return Chart(
        "Distance moved",
        "Root mean square distance of a mixed sample, in units of the data's root total variance. "
        "In mixup the partner weighs more half of the time, so its distance is shown from the own "
        "sample and from the heaviest; in ζ-mixup these are the same. Dashed: α = 1, dotted: "
        "α = 0.2.",
        _several(measured, curves, rules, "distance moved"),
    )


def _shares(measured: Measured) -> Chart:
    names = {name: name for name in ("precision", "recall", "coverage")}  # shown as they are
    return Chart(
        "Realism and diversity",
        "Precision: share of mixed samples within reach of an original. Recall: share of "
        "originals within reach of a mixed sample. Coverage: share of originals with a mixed "
        "sample within their own reach. Dashed: mixup with α = 1, dotted: α = 0.2.",
        _several(measured, names, names, "share", top=1.0),
    )


def _density(measured: Measured) -> Chart:
    values = [row.density for row in (*measured.zetas, *measured.references.values())]
    steep = max(values) > _LINEAR
    axis = " The axis is logarithmic." if steep else ""
    return Chart(
        "Density",
        "Number of originals within whose reach a mixed sample lies, over the number of "
        f"neighbours; 1 for the originals themselves.{axis}",
        _over_gamma(measured, "density", "density" + " (logarithmic)" * steep, steep=steep),
    )


def _labels(measured: Measured) -> Chart | None:
    """Draw richness against correctness, one point for each γ."""
    right = measured.report.originals.same_class
    if right is None:
        return None
    title = "Labels: richness and correctness"
    if right < _BLIND:
        return Chart(
            title,
            f"Not drawn: the vote of the nearest originals is right on only {100 * right:.0f}% of "
            f"the originals themselves, so it can't judge mixed labels. Measure features of a "
            f"trained model instead: --features f.npy.",
            None,
        )
    rows = [
        {"series": "ζ-mixup", "name": row.name, "i": i, "gamma": row.gamma, **_label_values(row)}
        for i, row in enumerate(measured.zetas)
    ]
    rows += [
        {"series": name, "name": name, "i": -1, **_label_values(row)}
        for name, row in measured.references.items()
    ]
    base = alt.Chart(alt.InlineData(rows)).encode(
        x=alt.X("classes:Q", title="effective classes in a label", scale=alt.Scale(zero=False)),
        y=alt.Y("overlap:Q", title="overlap with the oracle", scale=alt.Scale(zero=False)),
        color=_colours(("ζ-mixup", *_REFERENCES), (BLUE, GREY, ORANGE, GREEN)),
        tooltip=_tips("name", "classes", "overlap"),
    )
    line = base.mark_line().encode(order="i:Q").transform_filter("datum.i >= 0")
    chart = alt.layer(line, base.mark_circle(size=50, opacity=1), _large(base))
    note = (
        "Richness of labels against their agreement with an oracle: the vote of the nearest "
        f"originals, which is right on {100 * right:.0f}% of the originals."
    )
    return Chart(title, note, finished(chart, measured.start))


def _tail(measured: Measured) -> Chart | None:
    """Draw what smaller mixtures leave out of the weight of a batch."""
    size = measured.report.batch_size
    rows = [
        {"i": i, "gamma": row.gamma, "T": number, "left out": tail}
        for i, row in enumerate(measured.zetas)
        for number in range(1, size)
        if (tail := float(f"{100 * theory.tail_weight(row.gamma or 0, number, size):.4g}")) > 1e-3
    ]
    if not rows:
        return None
    base = alt.Chart(alt.InlineData(rows)).encode(
        x=alt.X("T:Q", title="num_mix, samples in a mixture", scale=alt.Scale(type="log", base=2)),
        y=alt.Y("left out:Q", title=f"weight left out of {size}, % (logarithmic)").scale(
            type="log"
        ),
        tooltip=_tips("gamma", "T", "left out"),
    )
    all_of_them = base.mark_line(color=GREY, opacity=0.4, strokeWidth=1).encode(detail="i:N")
    here = base.transform_filter("datum.i == place").mark_line(color=BLUE, point={"color": BLUE})
    percent = alt.Chart(alt.InlineData([{"y": 1}])).mark_rule(color=ORANGE, strokeDash=[4, 4])
    chart = alt.layer(all_of_them, percent.encode(y="y:Q"), here)
    return Chart(
        "How many samples to mix",
        "Share of the weight of a whole batch that mixtures of fewer samples leave out. Blue: the "
        "γ of the slider; grey: the others; dashed: 1%.",
        finished(chart, measured.start),
    )


def _balance(measured: Measured) -> Chart | None:
    if not 2 <= len(measured.classes) <= _MOST_BARS:
        return None
    rows = [{"class": name, "samples": count} for name, count in measured.classes]
    names = [name for name, _ in measured.classes]
    chart = (
        alt.Chart(alt.InlineData(rows))
        .mark_bar(color=BLUE)
        .encode(
            x=alt.X("class:N", sort=names, title=None).axis(
                labelLimit=90, labelAngle=0 if sum(map(len, names)) <= _LEVEL else -90
            ),
            y=alt.Y("samples:Q", title="samples"),
            tooltip=_tips("class", "samples"),
        )
    )
    if len(names) <= len(CLASSES):
        chart = chart.encode(color=_colours(names, CLASSES, field="class").legend(None))
    most, least = (pick(count for _, count in measured.classes) for pick in (max, min))
    note = f"The largest class has {most:,} samples, the smallest {least:,}."
    if most > 3 * least:
        note += " Mixing draws partners as often as they occur; oversample rare classes first."
    return Chart("Class balance", note, finished(chart, measured.start))


_CHARTS: tuple[Callable[[Measured], Chart | None], ...] = (
    _dimension,
    _distance,
    _shares,
    _density,
    _labels,
    _tail,
    _balance,
)


# --- parts of charts ------------------------------------------------------------------------------


def _label_values(row: metrics.MixMeasures) -> Row:
    return {"classes": _short(row.effective_classes), "overlap": _short(row.overlap)}


def _short(value: float | None) -> float:
    return float(f"{float('nan') if value is None else value:.5g}")


_WORDS = ("series", "of", "name", "class")
_TITLES = {"gamma": "γ", "left out": "left out, %", "series": "what", "of": "of"}


def _tips(*names: str) -> list[Any]:
    return [
        alt.Tooltip(name, type="nominal", title=_TITLES.get(name, name))
        if name in _WORDS
        else alt.Tooltip(name, type="quantitative", title=_TITLES.get(name, name), format=".4~g")
        for name in names
    ]


def _colours(names: Iterable[str], colours: Sequence[str], field: str = "series") -> Any:
    names = list(names)
    scale = alt.Scale(domain=names, range=list(colours[: len(names)]))
    return alt.Color(f"{field}:N", scale=scale, title=None)


def _large(base: Any) -> Any:
    """Draw the point that the slider is at."""
    return base.transform_filter("datum.i == place").mark_circle(size=170, opacity=1)


def _gammas(measured: Measured) -> Any:
    gammas = [row.gamma or 0 for row in measured.zetas] + [measured.chosen]
    low, high = min(gammas), max(gammas)
    return alt.X("gamma:Q", title="γ").scale(zero=False, nice=False, domain=[low, high], padding=6)


def _chosen(measured: Measured) -> Any:
    """Mark the γ to try, wherever the slider is, with its name above all curves."""
    rows = [{"gamma": measured.chosen, "text": f"try γ = {measured.chosen:.3g}"}]
    base = alt.Chart(alt.InlineData(rows)).encode(x="gamma:Q", tooltip=alt.Tooltip("text:N"))
    gammas = [row.gamma or 0 for row in measured.zetas]
    right = measured.chosen > (min(gammas) + max(gammas)) / 2
    text = base.mark_text(
        align="right" if right else "left", dx=4 if right else -4, dy=-13, color=INK, fontSize=12
    )
    return alt.layer(
        base.mark_rule(color=INK, strokeDash=[2, 3]),
        text.encode(text="text:N", y=alt.value(0)),
    )


def _over_gamma(
    measured: Measured, name: str, title: str, *, below: Sequence[Any] = (), steep: bool = False
) -> dict[str, Any]:
    """Draw one measure over γ, with the originals and mixup."""
    rows = [
        {"series": "ζ-mixup", "i": i, "gamma": row.gamma, "value": _short(getattr(row, name))}
        for i, row in enumerate(measured.zetas)
    ]
    lines = [
        {"series": series, "value": _short(getattr(row, name))}
        for series, row in measured.references.items()
    ]
    scale = alt.Scale(type="symlog") if steep else alt.Scale(zero=name != "dimension")
    y = alt.Y("value:Q", title=title, scale=scale)
    colour = _colours(("ζ-mixup", *_REFERENCES), (BLUE, GREY, ORANGE, GREEN))
    base = alt.Chart(alt.InlineData(rows)).encode(
        x=_gammas(measured), y=y, color=colour, tooltip=_tips("series", "gamma", "value")
    )
    flat = (
        alt.Chart(alt.InlineData(lines))
        .mark_rule(strokeWidth=2)
        .encode(y=y, color=colour, tooltip=_tips("series", "value"))
    )
    chart = alt.layer(
        *below,
        flat,
        base.mark_line(),
        base.mark_circle(size=45, opacity=1),
        _large(base),
        _chosen(measured),
    )
    return finished(chart, measured.start)


def _several(
    measured: Measured,
    curves: Mapping[str, str],
    rules: Mapping[str, str],
    title: str,
    *,
    top: float | None = None,
) -> dict[str, Any]:
    """Draw several measures over γ, and those of mixup dashed and dotted."""
    rows = [
        {"series": shown, "i": i, "gamma": row.gamma, "value": _short(getattr(row, name))}
        for shown, name in curves.items()
        for i, row in enumerate(measured.zetas)
    ]
    lines = [
        {"series": shown, "of": of, "value": _short(getattr(row, name))}
        for shown, name in rules.items()
        for of, row in measured.references.items()
        if of != "originals"
    ]
    y = alt.Y(
        "value:Q",
        title=title,
        scale=alt.Scale(domainMin=0) if top is None else alt.Scale(domain=[0, top]),
    )
    colour = _colours({**curves, **rules}, (BLUE, ORANGE, GREEN))
    base = alt.Chart(alt.InlineData(rows)).encode(
        x=_gammas(measured), y=y, color=colour, tooltip=_tips("series", "gamma", "value")
    )
    dashes = alt.StrokeDash("of:N", legend=None).scale(
        domain=list(_REFERENCES[1:]), range=[[7, 4], [2, 3]]
    )
    flat = (
        alt.Chart(alt.InlineData(lines))
        .mark_rule(strokeWidth=1.6)
        .encode(y=y, color=colour, strokeDash=dashes, tooltip=_tips("of", "series", "value"))
    )
    chart = alt.layer(
        flat,
        base.mark_line(),
        base.mark_circle(size=45, opacity=1),
        _large(base),
        _chosen(measured),
    )
    return finished(chart, measured.start)
