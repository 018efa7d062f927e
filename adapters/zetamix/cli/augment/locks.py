"""One run at a time for each output.

The system frees a lock when its process ends, however it ends: a run that was killed never blocks
the one that resumes it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path

__all__ = ["alone"]

_HELD = (errno.EAGAIN, errno.EACCES, errno.EDEADLK)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
_FAR = 1 << 30  # a byte beyond the file's end: on Windows, others can't read what is locked


@contextlib.contextmanager
def alone(out: Path) -> Iterator[None]:
    """Refuse a second run with the same output while the first goes on."""
    file = out.with_name(f".{out.name}.zetamix-lock")
    descriptor = _locked(file, out)
    try:
        with contextlib.suppress(OSError):  # a full disk: the number only informs
            os.ftruncate(descriptor, 0)
            os.write(descriptor, str(os.getpid()).encode())
        yield
    finally:
        _released(descriptor, file)


def _locked(file: Path, out: Path) -> int:
    """Return the open and locked file of this name."""
    while True:
        descriptor = _opened(file)
        try:
            held = not _lock(descriptor)
            holder = file.read_text() if held else ""
            current = not held and file.stat().st_ino == os.fstat(descriptor).st_ino
        except FileNotFoundError:  # a run has ended since it was opened
            held = current = False
        except BaseException:
            os.close(descriptor)
            raise
        if current:
            return descriptor
        os.close(descriptor)
        if held:
            raise ValueError(
                f"only one run at a time may write an output, got {out}, which the process "
                f"{holder or 'of another run'} is writing; wait for it or stop it, or choose "
                f"another -o"
            )


def _opened(file: Path) -> int:
    try:
        return os.open(file, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
    except OSError as error:
        if error.errno not in _FORBIDDEN:
            raise
        raise ValueError(
            f"the directory of the output must be writable, got {file.parent} "
            f"({error.strerror}); choose another -o"
        ) from error


def _lock(descriptor: int) -> bool:
    """Lock the file unless another process has; also true where the file system has no locks."""
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(descriptor, _FAR, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
            os.lseek(descriptor, 0, os.SEEK_SET)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in _HELD
    return True


def _released(descriptor: int, file: Path) -> None:
    """Remove the file, while it is locked where the system allows that: no run locks a lost one."""
    if sys.platform == "win32":
        os.close(descriptor)
        with contextlib.suppress(OSError):
            file.unlink()
        return
    try:
        with contextlib.suppress(OSError):
            file.unlink()
    finally:
        os.close(descriptor)
