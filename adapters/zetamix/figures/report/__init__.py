"""A page about one's own data, with a choice of γ."""

from __future__ import annotations

from typing import Any

from zetamix import metrics
from zetamix.figures.report.data import Samples, embedded_digits, read_samples
from zetamix.figures.report.page import render

__all__ = ["embedded_digits", "read_samples", "report_page"]


def report_page(
    data: Samples, command: str, *, seed: int, **options: Any
) -> tuple[str, metrics.GammaReport]:
    """Measure as `gamma_report` does with these options; return the page, and what is on it."""
    report = metrics.gamma_report(data.x, data.labels, seed=seed, **options)
    return render(data, report, (seed,), command), report
