"""Files that are always complete: written beside the old one, then renamed."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

__all__ = ["replacing"]

_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


@contextlib.contextmanager
def replacing(file: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a binary file that takes the place of `file` once all of it is on the disk.

    After an error, such as a full disk, the old file is unchanged and nothing of the new one
    remains. After a kill or a loss of power, `file` is still either the old or the new one; what
    was written by then may remain beside it, as ``.zetamix-….tmp``.

    The new file has the permissions and, where the system allows it, the owner of the old one. A
    link stays, and its target is replaced. Pipes, devices and files that are already open
    (``/dev/stdout``) are written to directly.
    """
    name = os.fsdecode(file)
    beside = None
    try:
        target = _target(name)
        if target is None:
            with open(name, "wb") as handle:
                yield handle
        else:
            beside = target.with_name(f".zetamix-{os.urandom(8).hex()}.tmp")
            yield from _written_beside(target, beside)
    except OSError as error:
        # A full disk's error names no file, and nobody knows the name of the temporary one.
        if error.filename2 is not None:
            raise OSError(error.errno, error.strerror, name) from error
        if error.filename in (None, beside, str(beside)):
            error.filename = name
        raise


def _target(name: str) -> Path | None:
    """Follow links to the file to replace, which need not exist; None if it is not a plain file."""
    path = Path(name)
    if name.endswith(("/", os.sep)):
        return None  # such a name is refused when it is opened
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISREG(path.stat().st_mode):
            return None
    while True:
        folder = path.parent.resolve()
        path = folder / path.name
        if folder == Path("/dev/fd").resolve():
            return None  # open already, perhaps without a name
        if not path.is_symlink():
            return path
        path = folder / path.readlink()


def _written_beside(target: Path, beside: Path) -> Iterator[BinaryIO]:
    old = _status(target)
    handle = _created(beside, private=old is not None)
    try:
        with handle:
            if old is not None:
                _take_over(old, beside)
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        beside.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise


def _status(target: Path) -> os.stat_result | None:
    """Return the status of the old file, if there is one; refuse one that is write-protected."""
    try:
        descriptor = os.open(target, os.O_WRONLY)
    except FileNotFoundError:
        return None
    try:
        return os.fstat(descriptor)
    finally:
        os.close(descriptor)


def _created(beside: Path, *, private: bool) -> BinaryIO:
    """Create the file, with the permissions of new files unless it is to be private for now."""
    mode = 0o600 if private else 0o666
    try:
        return open(beside, "xb", opener=lambda path, flags: os.open(path, flags, mode))
    except OSError as error:
        if error.errno in _FORBIDDEN:
            error.strerror = (
                f"a temporary file is written and renamed, so its directory must be writable, got "
                f"{beside.parent} ({error.strerror}); choose another directory"
            )
        raise


def _take_over(old: os.stat_result, beside: Path) -> None:
    """Give the new file the owner, if that is allowed, and the permissions of the old one."""
    new = beside.stat()
    if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
        with contextlib.suppress(OSError):
            os.chown(beside, old.st_uid, old.st_gid)
    beside.chmod(stat.S_IMODE(old.st_mode))
