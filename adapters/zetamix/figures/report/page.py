"""The page of a report: one self-contained file, which needs no network."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable
from typing import Any

import vl_convert
from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from zetamix import __version__, metrics, theory
from zetamix.figures.pairs import heavier_first
from zetamix.figures.report.charts import Chart, Measured, plot_charts
from zetamix.figures.report.data import Samples
from zetamix.figures.report.frames import cards, scatters
from zetamix.figures.report.measuring import Findings
from zetamix_core.adapting import MIXUP, Key, epoch_plan, zeta_method

__all__ = ["render"]

_COLUMNS: dict[str, Callable[[metrics.MixMeasures], tuple[Any, str]]] = {
    "dimension": lambda row: (row.dimension, ".2f"),
    "from own": lambda row: (row.displacement, ".3f"),
    "from heaviest": lambda row: (row.heaviest_displacement, ".3f"),
    "nearest": lambda row: (row.nearest_distance, ".3f"),
    "precision": lambda row: (row.precision, ".3f"),
    "density": lambda row: (row.density, ".3f"),
    "recall": lambda row: (row.recall, ".3f"),
    "coverage": lambda row: (row.coverage, ".3f"),
    "classes": lambda row: (row.effective_classes, ".2f"),
    "over 1%": lambda row: (row.classes_above, ".2f"),
    "overlap": lambda row: (row.overlap, ".3f"),
    "same class": lambda row: (row.same_class, ".3f"),
}


def render(data: Samples, found: Findings, key: Key, command: str) -> str:
    """Return the page as HTML."""
    report = found.report
    zetas = report.rows[2:]
    start = found.start
    template = Environment(
        loader=PackageLoader("zetamix.figures.report", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    ).get_template("page.html.j2")
    frames = _frames(data, found, key)
    charts = plot_charts(_measured(found))
    return template.render(
        data=data,
        advice=found.advice,
        notes=found.notes,
        reason=report.reason,
        neighbors_reason=None if found.suggestion is None else found.suggestion.reason,
        zetas=zetas,
        start=start,
        hidden=lambda place: Markup("") if place == start else Markup(" hidden"),
        names=[f"γ = {row.gamma:.12g}" for row in zetas],
        facts=[_facts(row, report) for row in zetas],
        description=_describe(data, report),
        methods=_methods(report),
        charts=charts,
        specs=_as_script([each.spec for each in (*frames["plots"], *charts)]),
        numbers=_as_script(_numbers(found)),
        bundle=Markup(_bundle()),
        command=command,
        version=__version__,
        **_table(found),
        **_class_table(found),
        **frames,
    )


@functools.cache
def _bundle() -> str:
    """Return Vega, Vega-Lite and Vega-Embed as one script, which may hold no end of its own."""
    return str(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")).replace(
        "</script", "<\\/script"
    )


def _as_script(value: Any) -> Markup:
    """Return JSON that can stand within a script."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace("\u2028", "\\u2028"))


def _measured(found: Findings) -> Measured:
    classes = tuple((row.name, row.count) for row in found.classes)
    return Measured(found.report, found.mild, found.advice.gamma, found.start, classes)


def _frames(data: Samples, found: Findings, key: Key) -> dict[str, Any]:
    """Mix the samples as for the measures, and draw them."""
    report = found.report
    n, batch = report.num_samples, report.batch_size
    plan, *plans = (
        epoch_plan(method, n, batch, key)
        for method in (
            MIXUP,
            *(zeta_method(row.gamma or 0, report.num_mix) for row in report.rows[2:]),
        )
    )
    if data.are_images:
        return {"cards": cards(data, heavier_first(plan), plans), "plots": []}
    plots = [Chart(name, "", spec) for name, spec in scatters(data, plan, plans, found.start)]
    return {"cards": [], "plots": plots}


def _facts(row: metrics.MixMeasures, report: metrics.GammaReport) -> str:
    gamma, size = row.gamma or 0, report.num_mix
    weight = 100 * theory.dominant_weight(gamma, size)
    samples = theory.effective_num_samples(gamma, size)
    return f"one sample weighs {weight:.0f}%, and {samples:.1f} take part in effect"


def _describe(data: Samples, report: metrics.GammaReport) -> str:
    shape = " × ".join(map(str, data.x.shape[1:3] if data.are_images else data.x.shape[1:]))
    unit = "pixels" if data.are_images else "numbers"
    parts = [f"{report.num_samples:,} samples of {shape} {unit}"]
    if data.total > report.num_samples:
        parts[0] += f", drawn from {data.total:,}"
    if data.features is not None:
        parts.append(f"measured on {data.features.shape[1]:,} features of each")
    if data.standardized:
        parts.append("columns standardized")
    if data.classes:
        parts.append(f"{len(data.classes)} classes")
    whole = report.num_mix == min(report.batch_size, report.num_samples)
    mixed = "mixed whole" if whole else f"{report.num_mix} samples in a mixture"
    parts.append(f"batches of {report.batch_size}, {mixed}")
    return "; ".join(parts) + "."


# --- tables ---------------------------------------------------------------------------------------


def _table(found: Findings) -> dict[str, Any]:
    report = found.report
    shown = {
        name: column for name, column in _COLUMNS.items() if column(report.originals)[0] is not None
    }
    rows = [(row.name, [format(*column(row)) for column in shown.values()]) for row in found.rows]
    return {"columns": list(shown), "table": rows}


def _class_table(found: Findings) -> dict[str, Any]:
    """Lay out the classes, the largest first."""
    total = sum(row.count for row in found.classes) or 1
    rows = []
    for row in sorted(found.classes, key=lambda row: -row.count):
        cells = [f"{row.count:,}", f"{100 * row.count / total:.1f}%"]
        cells += [
            "" if math.isnan(v) else format(v, f)
            for v, f in ((row.dimension, ".2f"), (row.overlap, ".3f"))
        ]
        cells += [row.most_mixed_with, "" if row.gamma is None else f"{row.gamma:.2f}"]
        rows.append((row.name, cells))
    columns = ["samples", "share", "dimension", "overlap", "most mixed with", "γ of neighbours"]
    return {"class_columns": columns, "class_table": rows}


def _numbers(found: Findings) -> dict[str, Any]:
    """Return all numbers of the page, which readers can save from it."""
    report = found.report
    return {
        "zetamix": __version__,
        "gamma": found.advice.gamma,
        "num_samples": report.num_samples,
        "batch_size": report.batch_size,
        "num_mix": report.num_mix,
        "n_neighbors": report.n_neighbors,
        "tolerance": report.tolerance,
        "gamma_report": report.suggested_gamma,
        "suggest_gamma": None if found.suggestion is None else found.suggestion.gamma,
        "measures": [_finite(row._asdict()) for row in found.rows],
        "classes": [_finite(vars(row)) for row in found.classes],
    }


def _finite(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row for JSON, which has no infinities."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in row.items()
    }


def _methods(report: metrics.GammaReport) -> list[tuple[str, str]]:
    found = [
        (
            "dimension",
            f"Local principal components: the number of eigenvalues above five percent of the "
            f"largest, in the covariance of {report.n_neighbors} nearest neighbours, averaged over "
            f"the samples.",
        ),
        (
            "from own, from heaviest, nearest",
            "Root mean square distance of a mixed sample from its own sample, from the sample that "
            "weighs most in it, and from the nearest original, in units of the data's root total "
            "variance. In mixup the partner weighs more half of the time.",
        ),
        (
            "precision, recall, density, coverage",
            "Relative to the originals, with balls that reach to the fifth nearest neighbour, if "
            "there are that many.",
        ),
    ]
    if report.originals.overlap is None:
        return found
    error = 1 - report.originals.overlap
    return [
        *found,
        (
            "classes, over 1%",
            "Effective number of classes in a label, the exponential of its entropy; number of "
            "classes with one percent of the weight or more.",
        ),
        (
            "classes, one by one",
            "Dimension at the samples of the class; overlap of their mixed labels with the oracle, "
            "at the γ that the slider starts at; the other class that most of their neighbours "
            "belong to; and the γ that the distances between neighbours suggest for the class.",
        ),
        (
            "overlap, same class",
            f"Agreement of the label with an oracle, the vote of the ten nearest originals (all, "
            f"if fewer), without the sample's own: the weight on the same classes, and whether the "
            f"largest class is the same. On the originals, the oracle itself is off by "
            f"{100 * error:.1f}% of the weight.",
        ),
    ]
