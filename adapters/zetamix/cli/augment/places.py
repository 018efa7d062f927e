"""Where files are written: numbered parts next to the output, and the output at the end.

The folder ``OUT.partial`` holds ``start.json``, what the run depends on; a folder for each finished
part; ``result``, which is assembled from them; and ``assembled``, the manifest, once ``result`` is
complete. Everything gets its name when it is finished, so a run can be killed at any moment.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from zetamix_core.adapting import replacing

__all__ = ["Workspace", "as_json", "check_places"]

_START, _ASSEMBLED, _RESULT, _REPLACED = "start.json", "assembled", "result", "replaced"
_MANIFEST = "manifest.json"


def check_places(source: Path, out: Path) -> None:
    """Refuse an output that has no directory to go to, or would hurt the input."""
    if not out.parent.is_dir():
        raise ValueError(
            f"the directory of the output must exist, got {out}; create {out.parent}, or choose "
            f"another -o"
        )
    read = source.resolve()
    for place in (out, _beside(out, ".partial")):
        written = place.resolve()
        if written == read or (place.exists() and place.samefile(source)):
            raise ValueError(
                f"the output must not be the input, got {source} and {place}; choose another -o"
            )
        if read in written.parents or written in read.parents:
            raise ValueError(
                f"the output must not be inside the input, nor the input inside the output, "
                f"got {source} and {place}; choose another -o"
            )


@dataclasses.dataclass(frozen=True)
class Workspace:
    """The folder of a run, and the output that it leads to."""

    out: Path
    is_folder: bool
    fresh: bool

    @property
    def folder(self) -> Path:
        """Where parts are."""
        return _beside(self.out, ".partial")

    @property
    def manifest(self) -> Path:
        """Where the manifest goes."""
        return self.out / _MANIFEST if self.is_folder else _beside(self.out, f".{_MANIFEST}")

    @classmethod
    def opened(
        cls,
        out: Path,
        start: Mapping[str, Any],
        *,
        is_folder: bool,
        resume: bool,
        overwrite: bool,
    ) -> Workspace:
        """Create the folder, or find that of a run to resume with the same `start`."""
        space = cls(out, is_folder, fresh=False)
        if resume and space._is_finished(start):
            return space
        if os.path.lexists(space.folder):
            space._check_found(resume=resume, overwrite=overwrite)
            if resume and (space.folder / _START).exists():
                space._check_agrees(start)
                space._check_output(overwrite=overwrite or space._is_moved())
                space._sweep()
                return space
            if resume and (space.folder / _ASSEMBLED).exists():
                return space
            space._check_output(overwrite=overwrite)
            shutil.rmtree(space.folder)
        space._check_output(overwrite=overwrite)
        space.folder.mkdir()
        with replacing(space.folder / _START) as file:
            file.write(as_json(start))
        return dataclasses.replace(space, fresh=True)

    def _check_found(self, *, resume: bool, overwrite: bool) -> None:
        """Refuse a folder of an earlier run, unless an option says what to do with it."""
        found = {file.name for file in self.folder.iterdir()} if self.folder.is_dir() else {""}
        left = {name for name in found if not re.fullmatch(r"\.zetamix-[0-9a-f]+\.tmp", name)}
        if left and not left & {_START, _ASSEMBLED}:
            raise ValueError(
                f"parts go to {self.folder}, which exists and was not made by zetamix augment; "
                f"move it away, or choose another -o"
            )
        if not (resume or overwrite):
            raise ValueError(
                f"{self.folder} exists, from an unfinished run; continue that run with --resume, "
                f"or start over with --overwrite"
            )

    def _check_agrees(self, start: Mapping[str, Any]) -> None:
        """Refuse to resume a run that had different options or inputs."""
        try:
            found = json.loads((self.folder / _START).read_bytes())
        except ValueError:
            found = {}
        if difference := _difference(found, json.loads(as_json(start))):
            raise ValueError(
                f"--resume needs the input, options and version of the interrupted run, got "
                f"{difference}; restore them, or start over with --overwrite"
            )

    def _check_output(self, *, overwrite: bool) -> None:
        """Refuse to replace an output without --overwrite, or a folder that we did not write."""
        if not os.path.lexists(self.out):
            return
        if not overwrite:
            raise ValueError(
                f"the output must not exist yet, got {self.out}; choose another -o, or replace it "
                f"with --overwrite"
            )
        if self.out.is_dir() and not (self.is_folder and _is_ours(self.out / _MANIFEST)):
            raise ValueError(
                f"--overwrite replaces a folder only if zetamix augment wrote it, with its "
                f"{_MANIFEST}, got {self.out}; choose another -o, or move it away"
            )

    def _is_finished(self, start: Mapping[str, Any]) -> bool:
        """Return whether the output of the same run is complete."""
        if (self.folder / _START).exists() or (self.folder / _ASSEMBLED).exists():
            return False
        try:
            found = json.loads(self.manifest.read_bytes())
        except (OSError, ValueError):
            return False
        return self.out.exists() and not _difference({**found, **start}, found)

    def _is_moved(self) -> bool:
        """Return whether the output is that of this run, stopped before it cleared its folder."""
        return self.is_assembled() and not os.path.lexists(self.folder / _RESULT)

    def _sweep(self) -> None:
        """Remove what a kill left half written."""
        for left in self.folder.glob(".*.tmp"):
            if left.is_dir():
                shutil.rmtree(left)
            else:
                left.unlink()

    # --- parts ------------------------------------------------------------------------------------

    def finished(self) -> set[int]:
        """Return the numbers of the parts that are whole."""
        return {int(each.name) for each in self.folder.iterdir() if each.name.isdecimal()}

    def place(self, number: int) -> Path:
        """Return where a finished part is."""
        return self.folder / f"{number:05d}"

    @contextlib.contextmanager
    def part(self, number: int) -> Iterator[Path]:
        """Give a folder to write a part to, which gets its name when all of it is on the disk."""
        beside = self.folder / f".{number:05d}.tmp"
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir()
        try:
            yield beside
            _reach_the_disk(beside)
        except BaseException:
            shutil.rmtree(beside, ignore_errors=True)
            raise
        beside.rename(self.place(number))

    def staged(self, name: str, write: Callable[[BinaryIO], object]) -> Path:
        """Return a file of the folder, written as a whole unless an earlier run wrote it."""
        file = self.folder / name
        if not file.exists():
            with replacing(file) as stream:
                write(stream)
        return file

    def remembered(self, name: str, find: Callable[[], Any]) -> Any:
        """Return what `find` finds out about the input, once for all runs."""
        file = self.staged(name, lambda stream: stream.write(as_json(find())))
        return json.loads(file.read_bytes())

    # --- the end ----------------------------------------------------------------------------------

    @property
    def result(self) -> Path:
        """Where parts are assembled."""
        return self.folder / _RESULT

    def is_assembled(self) -> bool:
        """Return whether only the move of the result is left."""
        return (self.folder / _ASSEMBLED).exists() or not (self.folder / _START).exists()

    def rows_in_all(self) -> int:
        """Return the number of rows of a result that is assembled."""
        noted = self.folder / _ASSEMBLED
        return int(json.loads((noted if noted.exists() else self.manifest).read_bytes())["rows"])

    def assembled(self, manifest: Mapping[str, Any]) -> None:
        """Note that the result is whole."""
        if self.is_folder:
            with replacing(self.result / _MANIFEST) as file:
                file.write(as_json(manifest))
        with replacing(self.folder / _ASSEMBLED) as file:
            file.write(as_json(manifest))

    def finish(self) -> None:
        """Move the result to its place, write the manifest, and clear the folder."""
        if os.path.lexists(self.result):
            if self.out.is_dir():
                self.out.rename(self.folder / _REPLACED)
            self.result.replace(self.out)
        noted = self.folder / _ASSEMBLED
        if noted.exists() and not self.is_folder:
            with replacing(self.manifest) as file:
                file.write(noted.read_bytes())
        self.remove()

    def remove(self) -> None:
        """Clear the folder, in an order that shows a later run what was left."""
        if not self.folder.exists():
            return
        last = [self.folder / _START, self.folder / _ASSEMBLED]
        for each in self.folder.iterdir():
            if each.is_dir() and not each.is_symlink():
                shutil.rmtree(each)
            elif each not in last:
                each.unlink()
        for each in last:
            each.unlink(missing_ok=True)
        self.folder.rmdir()


def as_json(value: Any) -> bytes:
    """Return JSON for people to read; names of files can be any bytes."""
    text = json.dumps(value, indent=1, ensure_ascii=False) + "\n"
    return text.encode("utf-8", errors="surrogateescape")


def _beside(out: Path, ending: str) -> Path:
    return out.with_name(out.name + ending)


def _is_ours(manifest: Path) -> bool:
    try:
        return "zetamix" in json.loads(manifest.read_bytes())
    except (OSError, ValueError, TypeError):
        return False


def _difference(found: Any, wanted: Any, name: str = "") -> str:
    """Name the first thing in which two values of JSON differ; nothing if they do not."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        for key in [*wanted, *(key for key in found if key not in wanted)]:
            inner = f"{name}, {key}" if name else key
            if difference := _difference(found.get(key), wanted.get(key), inner):
                return difference
        return ""
    return "" if found == wanted else f"{name}: {_shown(wanted)} instead of {_shown(found)}"


def _shown(value: Any) -> str:
    return "nothing" if value is None else json.dumps(value, ensure_ascii=False)


def _reach_the_disk(folder: Path) -> None:
    for file in folder.rglob("*"):
        if file.is_file():
            with open(file, "rb") as stream:
                os.fsync(stream.fileno())
