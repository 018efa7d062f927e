"""A page about your data, with a γ to try.

Drawing is imported only when a page is written: the numbers need neither altair nor vl-convert.
"""

from __future__ import annotations

from zetamix.figures.report.data import Samples, embedded_digits, read_samples
from zetamix.figures.report.measuring import Findings, forecast, measure

__all__ = [
    "Findings",
    "Samples",
    "embedded_digits",
    "forecast",
    "measure",
    "read_samples",
    "report_page",
]


def report_page(data: Samples, found: Findings, command: str, *, seed: int) -> str:
    """Return the page with what was measured on the data with this seed."""
    from zetamix.figures.report.page import render

    return render(data, found, (seed,), command)
