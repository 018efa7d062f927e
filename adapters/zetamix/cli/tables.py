"""Tables for the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.bar import Bar
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from zetamix.figures.summary import Summary

if TYPE_CHECKING:  # numbers of theory need no data set, which is slow to load
    from zetamix.figures.comparison import Compared
    from zetamix.metrics import MixMeasures

__all__ = ["WideTable", "comparison_report", "file_report", "measures_report", "theory_report"]


# zetamix demo ---------------------------------------------------------------------------------


def comparison_report(rows: Iterable[Compared]) -> Group:
    """Lay out measured values next to those of theory."""
    names = ["from own", "theory", "from heaviest", "theory", "top weight", "theory", "richness"]
    cells = [
        (row.name, *(f"{value:.3f}" for value in row[1:-1]), f"{row.effective_classes:.2f}")
        for row in rows
    ]
    return Group(
        _heading("Handwritten digits, mixed in batches of 32"),
        WideTable(names, cells),
        _note(
            "from own, from heaviest: root mean square distance of a mixed sample from its own "
            "sample and from the one that weighs most, in units of the data's root total "
            "variance. In mixup the partner weighs more half of the time."
        ),
        _note("richness: mean effective number of classes in a soft label"),
    )


# zetamix report -------------------------------------------------------------------------------


def measures_report(rows: Iterable[MixMeasures], sentences: Iterable[str]) -> Group:
    """Lay out what was measured, and what follows from it in words."""
    heads = ["dimension", "from own", "from heaviest", "precision", "recall", "density", "coverage"]
    cells = []
    for row in rows:
        values = (row.displacement, row.heaviest_displacement, row.precision, row.recall)
        line = [row.name, f"{row.dimension:.2f}"]
        line += [f"{value:.3f}" for value in (*values, row.density, row.coverage)]
        if row.effective_classes is not None and row.overlap is not None:
            line += [f"{row.effective_classes:.2f}", f"{row.overlap:.3f}"]
        cells.append(line)
    if len(cells[0]) > len(heads) + 1:
        heads += ["classes", "overlap"]
    return Group(WideTable(heads, cells), *(Text(sentence) for sentence in sentences))


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
        yield _note(f"at most 1% from T = {summary.num_mix_for_percent:,} on")


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


class WideTable:
    """A table that a narrow terminal shows in parts, each with the names of the rows."""

    def __init__(self, names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        self.names, self.rows = names, rows

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lengths = [
            max([len(name), *(len(row[place]) for row in self.rows)])
            for place, name in enumerate(("", *self.names))
        ]
        parts: list[list[int]] = [[]]
        room = left = options.max_width - lengths[0] - 4
        for place, length in enumerate(lengths[1:], start=1):
            # What theory says stays beside what was measured.
            pair = self.names[place : place + 1] == ["theory"]
            if parts[-1] and length + 3 + pair * (len("theory") + 3) > left:
                parts.append([])
                left = room
            parts[-1].append(place)
            left -= length + 3
        for part in parts:
            table = _table("", *(self.names[place - 1] for place in part), wrap=False)
            table.columns[0].justify = "left"
            for row in self.rows:
                table.add_row(row[0], *(row[place] for place in part))
            yield table


# One look -------------------------------------------------------------------------------------


def _table(*names: str, wrap: bool = True) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=True)
    for name in names:
        style = "dim" if name == "theory" else ""
        table.add_column(name, justify="right", style=style, no_wrap=not wrap)
    return table


def _heading(text: str) -> Text:
    return Text(text, style="bold")


def _note(text: str) -> Text:
    return Text(f" {text}", style="dim")
