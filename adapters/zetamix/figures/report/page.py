"""The page of a report: one file with all pictures in it, which needs no network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from zetamix import __version__, metrics, theory
from zetamix.figures.report.charts import draw_charts
from zetamix.figures.report.data import Samples
from zetamix.figures.report.frames import cards, scatters
from zetamix_core.adapting import MIXUP, Key, epoch_plan, zeta_method

__all__ = ["render"]

_COLUMNS: dict[str, Callable[[metrics.MixMeasures], tuple[Any, str]]] = {
    "dimension": lambda row: (row.dimension, ".2f"),
    "moved by": lambda row: (row.displacement, ".3f"),
    "nearest": lambda row: (row.nearest_distance, ".3f"),
    "precision": lambda row: (row.precision, ".3f"),
    "density": lambda row: (row.density, ".3f"),
    "recall": lambda row: (row.recall, ".3f"),
    "coverage": lambda row: (row.coverage, ".3f"),
    "classes": lambda row: (row.effective_classes, ".2f"),
    "over 1 %": lambda row: (row.classes_above, ".2f"),
    "overlap": lambda row: (row.overlap, ".3f"),
    "same class": lambda row: (row.same_class, ".3f"),
}


def render(data: Samples, report: metrics.GammaReport, key: Key, command: str) -> str:
    """Return the page as HTML."""
    zetas = report.rows[2:]
    start = _start(report)
    template = Environment(
        loader=PackageLoader("zetamix.figures.report", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    ).get_template("page.html.j2")
    return template.render(
        data=data,
        report=report,
        zetas=zetas,
        start=start,
        hidden=lambda place: Markup("") if place == start else Markup(" hidden"),
        names=[f"γ = {row.gamma:.12g}" for row in zetas],
        facts=[_facts(row, report) for row in zetas],
        description=_describe(data, report),
        methods=_methods(report),
        charts=draw_charts(report, start),
        command=command,
        version=__version__,
        **_table(report),
        **_frames(data, report, key),
    )


def _start(report: metrics.GammaReport) -> int:
    """Return where the slider stands: at the suggestion, or at the largest γ."""
    gammas = [row.gamma for row in report.rows[2:]]
    chosen = report.suggested_gamma
    return len(gammas) - 1 if chosen is None else gammas.index(chosen)


def _frames(data: Samples, report: metrics.GammaReport, key: Key) -> dict[str, Any]:
    """Mix the samples as they were for the measures, and draw them."""
    n, batch = report.num_samples, report.batch_size
    plan, *plans = (
        epoch_plan(method, n, batch, key)
        for method in (
            MIXUP,
            *(zeta_method(row.gamma or 0, report.num_mix) for row in report.rows[2:]),
        )
    )
    if data.are_images:
        return {"cards": cards(data, plan, plans)}
    of_mixup, of_zeta = scatters(data, plan, plans)
    return {"cards": [], "scatter_of_mixup": of_mixup, "scatters": of_zeta}


def _facts(row: metrics.MixMeasures, report: metrics.GammaReport) -> str:
    gamma, size = row.gamma or 0, report.num_mix
    weight = 100 * theory.dominant_weight(gamma, size)
    samples = theory.effective_num_samples(gamma, size)
    return f"one sample weighs {weight:.0f} %, and {samples:.1f} take part in effect"


def _describe(data: Samples, report: metrics.GammaReport) -> str:
    shape = " × ".join(map(str, data.x.shape[1:3] if data.are_images else data.x.shape[1:]))
    unit = "pixels" if data.are_images else "numbers"
    parts = [f"{report.num_samples:,} samples of {shape} {unit}"]
    if data.total > report.num_samples:
        parts[0] += f", drawn from {data.total:,}"
    if data.classes:
        parts.append(f"{len(data.classes)} classes")
    whole = report.num_mix == min(report.batch_size, report.num_samples)
    mixed = "all of a batch mixed" if whole else f"{report.num_mix} of a batch mixed"
    parts.append(f"batches of {report.batch_size}, {mixed}")
    return "; ".join(parts) + "."


def _table(report: metrics.GammaReport) -> dict[str, Any]:
    shown = {
        name: column for name, column in _COLUMNS.items() if column(report.originals)[0] is not None
    }
    rows = [(row.name, [format(*column(row)) for column in shown.values()]) for row in report.rows]
    return {"columns": list(shown), "table": rows}


def _methods(report: metrics.GammaReport) -> list[tuple[str, str]]:
    found = [
        (
            "dimension",
            f"Local principal components: eigenvalues above five percent of the largest, of the "
            f"covariance of {report.n_neighbors} nearest neighbours, counted at each sample and "
            f"averaged.",
        ),
        (
            "moved by, nearest",
            "Root mean square distance from a sample to what became of it, and from there to the "
            "nearest original, in units of the data's root total variance.",
        ),
        (
            "precision, recall, density, coverage",
            "Against the originals, with balls up to the fifth nearest neighbour, if there are so "
            "many.",
        ),
    ]
    if report.originals.overlap is None:
        return found
    error = 1 - report.originals.overlap
    return [
        *found,
        (
            "classes, over 1 %",
            "Effective number of classes in a label, the exponential of its entropy; number of "
            "classes with one percent or more.",
        ),
        (
            "overlap, same class",
            f"Agreement of the label with an oracle, the vote of the ten nearest originals (all, "
            f"of fewer), among which the sample's own has none: weight on the same classes; "
            f"whether the largest is the same. On the originals the oracle itself is off by "
            f"{100 * error:.1f} % of the weight.",
        ),
    ]
