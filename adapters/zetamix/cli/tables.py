"""Tables for the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.bar import Bar
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from zetamix.figures.summary import Summary

if TYPE_CHECKING:  # numbers of theory need no data set, which is slow to load
    from zetamix.figures.comparison import Compared

__all__ = ["comparison_report", "file_report", "theory_report"]


# zetamix demo ---------------------------------------------------------------------------------


def comparison_report(rows: Iterable[Compared]) -> Group:
    """Lay out measured values beside those of theory."""
    table = _table("", "moved by", "theory", "top weight", "theory", "richness")
    for row in rows:
        table.add_row(
            row.name,
            f"{row.displacement:.3f}",
            f"{row.expected_displacement:.3f}",
            f"{row.dominant_weight:.3f}",
            f"{row.expected_dominant_weight:.3f}",
            f"{row.effective_classes:.2f}",
        )
    table.columns[0].justify = "left"
    return Group(
        _heading("Handwritten digits, mixed in batches of 32"),
        table,
        _note("moved by: root mean square distance from a sample to its output, in"),
        _note("          units of the data's root total variance"),
        _note("richness: effective number of classes in a soft label, in the mean"),
    )


def file_report(files: Mapping[Path, str]) -> Group:
    """List the files that were written, with what they show."""
    width = max(len(str(file)) for file in files)
    rows = [Text(f" {file!s:{width}}   {shows}") for file, shows in files.items()]
    return Group("", _heading("Written"), *rows)


# zetamix theory -------------------------------------------------------------------------------


def theory_report(summary: Summary) -> Group:
    """Lay out all that is known about one choice of γ, n and T."""
    heading = _heading(f"ζ-mixup of {_samples(summary)} at γ = {summary.gamma:g}")
    return Group(heading, _weights(summary), _facts(summary), *_tails(summary))


def _weights(summary: Summary) -> Table:
    table = _table("rank", "weight", "")
    rows = [(str(rank), weight) for rank, weight in enumerate(summary.weights, start=1)]
    if summary.num_mix > len(rows):
        rows.append((f"{len(rows) + 1}–{_count(summary.num_mix)}", summary.rest))
    for ranks, weight in rows:
        table.add_row(ranks, _share(weight), Bar(1, 0, weight, width=40))
    return table


def _facts(summary: Summary) -> Table:
    first, others = _share(summary.dominant_weight), _share(summary.others)
    facts = {
        "dominance": f"rank 1 {first} {'>' if summary.dominates else '≤'} all others {others}",
        "threshold": f"γ_min({_count(summary.num_mix)}) = {summary.threshold:.6f}",
        "effective samples": f"{summary.effective_num_samples:,.5f}",
        "displacement": f"{_share(summary.displacement)} of the data's root total variance",
        "orderings": summary.orderings,
    }
    if summary.num_mix == 2:
        facts["special case"] = f"mixup with λ = {first}"
    table = Table.grid(padding=(0, 2, 0, 1))
    for name, fact in facts.items():
        table.add_row(name, fact)
    return table


def _tails(summary: Summary) -> Iterator[RenderableType]:
    """Show what a smaller T leaves out, where there is one."""
    if not summary.tails:
        return
    yield ""
    yield _heading(f"Weight that mixtures of T out of {_count(summary.n)} samples leave out")
    table = _table("T", "left out")
    for num_mix, tail in summary.tails:
        table.add_row(_count(num_mix), _share(tail))
    yield table
    if summary.num_mix_for_percent is not None:
        yield _note(f"at most 1 % from T = {summary.num_mix_for_percent:,} on")


def _samples(summary: Summary) -> str:
    if summary.num_mix < summary.n:
        return f"{_count(summary.num_mix)} of {_count(summary.n)} samples"
    if math.isinf(summary.n):
        return "infinitely many samples"
    return "a single sample" if summary.n == 1 else f"all {_count(summary.n)} samples"


def _count(number: float) -> str:
    return "∞" if math.isinf(number) else f"{number:,}"


def _share(value: float) -> str:
    """Six decimals, unless these would hide a small value."""
    return f"{value:.6f}" if value == 0 or value >= 1e-4 else f"{value:.2e}"


# One look -------------------------------------------------------------------------------------


def _table(*names: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=True)
    for name in names:
        table.add_column(name, justify="right", style="dim" if name == "theory" else "")
    return table


def _heading(text: str) -> Text:
    return Text(text, style="bold")


def _note(text: str) -> Text:
    return Text(f" {text}", style="dim")
