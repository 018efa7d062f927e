"""What all formats share: parts are made one after the other, then assembled."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from zetamix.cli.augment.passes import Batch, Passes
from zetamix.cli.augment.places import Workspace

__all__ = ["PassesWork", "Work"]


class Work(ABC):
    """The work on an input.

    Attributes
    ----------
    facts : dict
        What the manifest says about input and output, besides the options.
    rows : int
        Number of rows in the output.
    """

    facts: dict[str, Any]
    rows: int

    @abstractmethod
    def rows_done(self, space: Workspace) -> int:
        """Return how many rows earlier runs have finished."""

    @abstractmethod
    def make(self, space: Workspace, advance: Callable[[int], object]) -> None:
        """Make the missing parts, and call `advance` with the number of rows made."""

    @abstractmethod
    def assemble(self, space: Workspace) -> None:
        """Assemble the result from all parts."""


class PassesWork(Work):
    """The work on an input that is read batch by batch."""

    passes: Passes

    def rows_done(self, space: Workspace) -> int:
        done = space.finished()
        return sum(part.rows for part in self.passes.parts if part.number in done)

    def make(self, space: Workspace, advance: Callable[[int], object]) -> None:
        for part, batches in self.passes.pending(space.finished()):
            with space.part(part.number) as folder:
                self.write(folder, _counted(batches, advance))

    def assemble(self, space: Workspace) -> None:
        self.join([space.place(part.number) for part in self.passes.parts], space.result)

    @abstractmethod
    def write(self, folder: Path, batches: Iterator[Batch]) -> None:
        """Write the mixed batches of a part."""

    @abstractmethod
    def join(self, parts: Sequence[Path], result: Path) -> None:
        """Write the result, or complete one that an earlier run began."""


def _counted(batches: Iterator[Batch], advance: Callable[[int], object]) -> Iterator[Batch]:
    for batch in batches:
        yield batch
        advance(batch.samples.size)
