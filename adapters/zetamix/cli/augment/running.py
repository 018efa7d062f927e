"""One run of the command, from the checks to the last line."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import importlib.util
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import click
from rich.progress import Progress

from zetamix import __version__
from zetamix.cli.augment.locks import alone
from zetamix.cli.augment.options import Options
from zetamix.cli.augment.places import Workspace, check_places
from zetamix.cli.augment.work import Work
from zetamix.cli.terminal import as_bad_input

__all__ = ["Fault", "Made", "run"]

_ENDINGS = {".npz": "npz", ".npy": "npy", ".parquet": "parquet", ".csv": "csv"}
_OF_ZARR = ("zarr.json", ".zgroup", ".zarray")
_FOLDERS = ("images", "zarr")
# What the formats are read and written with, which the bytes of the output depend on.
_LIBRARIES = {
    "npz": ("numpy",),
    "npy": ("numpy",),
    "images": ("numpy", "pillow"),
    "parquet": ("numpy", "pyarrow"),
    "csv": ("numpy", "pyarrow"),
    "zarr": ("numpy", "dask", "distributed", "zarr"),
}
_MODULES = {"pillow": "PIL"}


class Fault(click.ClickException):
    """A fault of the machine, not of the arguments."""

    exit_code = 1


class Made(NamedTuple):
    """What a run made: all rows, the new ones among them, and the seconds they took."""

    rows: int
    new: int
    seconds: float

    def __str__(self) -> str:
        rate = self.new / self.seconds if self.seconds else 0
        return (
            f"{self.rows:,} rows, {self.new:,} made in {self.seconds:.1f} s, {rate:,.0f} a second"
        )


def run(source: Path, out: Path, options: Options, bar: Progress) -> Made:
    """Augment a file or folder."""
    with as_bad_input():
        kind = _format(source, out)
        options.check(kind)
        _check_installed(kind)
        check_places(source, out)
    with contextlib.ExitStack() as held:
        with as_bad_input():
            held.enter_context(alone(out))
        return _run_alone(source, kind, out, options, bar)


def _run_alone(source: Path, kind: str, out: Path, options: Options, bar: Progress) -> Made:
    with as_bad_input():
        start = {
            "zetamix": __version__,
            "libraries": {name: importlib.metadata.version(name) for name in _LIBRARIES[kind]},
            "format": kind,
            "options": options.recorded(),
            "inputs": [*_digests(source, kind, bar)],
        }
        space = Workspace.opened(
            out,
            start,
            is_folder=kind in _FOLDERS,
            resume=options.resume,
            overwrite=options.overwrite,
        )
    try:
        return _made(source, kind, options, space, start, bar)
    except click.UsageError:
        if space.fresh:
            space.remove()
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise Fault(
            f"{out} can't be finished: {reason}; finished parts are kept in {space.folder}: fix "
            f"the cause, then continue with --resume"
        ) from error
    except MemoryError as error:
        raise Fault(
            f"{out} can't be finished: there is not enough memory ({error}); use a smaller "
            f"--batch-size, and start over with --overwrite"
        ) from error
    except KeyboardInterrupt:
        click.echo(
            f"Interrupted: finished parts are kept in {space.folder}; continue with --resume.",
            err=True,
        )
        raise click.Abort from None  # else click would end with an empty line


def _made(
    source: Path,
    kind: str,
    options: Options,
    space: Workspace,
    start: dict[str, Any],
    bar: Progress,
) -> Made:
    began = time.perf_counter()
    rows = new = 0
    if not space.is_assembled():
        with as_bad_input():
            work = _opener(kind)(source, options, space)
            done, rows = work.rows_done(space), work.rows
            task = bar.add_task("mixing", total=rows, completed=done)
            work.make(space, lambda count: bar.advance(task, count))
        bar.update(task, description="writing", completed=rows)
        work.assemble(space)
        new = rows - done
        space.assembled({**start, **work.facts, "rows": rows})
    else:
        rows = space.rows_in_all()
    space.finish()
    return Made(rows, new, time.perf_counter() - began)


def _format(source: Path, out: Path) -> str:
    """Return the format of the input, which is also that of the output."""
    if not source.exists():
        raise ValueError(f"the input must be a file or folder that exists, got {source}")
    if source.is_dir():
        is_zarr = source.suffix == ".zarr" or any((source / name).exists() for name in _OF_ZARR)
        return "zarr" if is_zarr else "images"
    ending = source.suffix.lower()
    if ending not in _ENDINGS:
        raise ValueError(
            f"the input must be a folder of images, a Zarr store or a file that ends in "
            f"{', '.join(_ENDINGS)}, got {source}; convert it to one of these"
        )
    if out.suffix.lower() != ending:
        raise ValueError(
            f"the output must have the format of the input, got {source.name} and {out.name}; let "
            f"-o end in {ending}"
        )
    return _ENDINGS[ending]


def _check_installed(kind: str) -> None:
    modules = {_MODULES.get(name, name) for name in _LIBRARIES[kind]}
    if missing := sorted(name for name in modules if not _is_installed(name)):
        raise ValueError(
            f'input of the format {kind} needs {", ".join(missing)}: pip install "zetamix[files]"'
        )


def _is_installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):  # what hooks that forbid a module, and stand-ins, raise
        return False


def _digests(source: Path, kind: str, bar: Progress) -> Iterator[dict[str, Any]]:
    """Yield the names, sizes and hashes of the input's files."""
    files = [source]
    if kind == "zarr":
        files = sorted(file for file in source.rglob("*") if file.is_file())
    elif kind == "images":
        from zetamix.cli.augment.images import image_files

        files = image_files(source)[0]
    for file in bar.track(files, description="reading"):
        with open(file, "rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
            size = stream.tell()
        name = file.name if file == source else file.relative_to(source).as_posix()
        yield {"file": name, "bytes": size, "sha256": digest}


def _opener(kind: str) -> Callable[[Path, Options, Workspace], Work]:
    if kind == "images":
        from zetamix.cli.augment.images import ImageFolder

        return ImageFolder
    if kind in ("parquet", "csv"):
        from zetamix.cli.augment.tables import TableFile

        return TableFile
    if kind == "zarr":
        from zetamix.cli.augment.stores import ZarrStore

        return ZarrStore
    from zetamix.cli.augment.arrays import ArrayFile

    return ArrayFile
