"""CIFAR-10 and CIFAR-100 from their binary archives; the pickles of the others are never opened."""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from classification.dataset import Dataset, Part
from classification.readers.images import Refusal, absent

__all__ = ["cifar10", "cifar100"]

_SHAPE = (3, 32, 32)
_PIXELS = 3 * 32 * 32
_OFFICIAL = {"training": 50_000, "test": 10_000}


@dataclass(frozen=True)
class _Version:
    """How one of the two sets is stored; of the label bytes of a record, the last is used."""

    name: str
    folder: str
    archive: str
    pickles: tuple[str, ...]  # files, folders and archives of the version for Python
    train: tuple[str, ...]
    test: str
    class_names: str
    label_bytes: int

    @property
    def files(self) -> tuple[str, ...]:
        return (*self.train, self.test, self.class_names)

    @property
    def remedy(self) -> str:
        return f"get the binary version of {self.name}, {self.archive}; unpacking it is optional"


_CIFAR10 = _Version(
    name="CIFAR-10",
    folder="cifar-10-batches-bin",
    archive="cifar-10-binary.tar.gz",
    pickles=("cifar-10-batches-py", "cifar-10-python.tar.gz", "data_batch_1"),
    train=tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
    test="test_batch.bin",
    class_names="batches.meta.txt",
    label_bytes=1,
)
_CIFAR100 = _Version(
    name="CIFAR-100",
    folder="cifar-100-binary",
    archive="cifar-100-binary.tar.gz",
    pickles=("cifar-100-python", "cifar-100-python.tar.gz", "meta"),
    train=("train.bin",),
    test="test.bin",
    class_names="fine_label_names.txt",
    label_bytes=2,  # the coarse label, then the fine one
)


def cifar10(folder: Path) -> Dataset:
    """Read CIFAR-10 from its binary archive, or from the folder that holds it or its content."""
    return _dataset(folder, _CIFAR10)


def cifar100(folder: Path) -> Dataset:
    """Read CIFAR-100, with its 100 fine labels, from its binary archive or a folder with it."""
    return _dataset(folder, _CIFAR100)


def _dataset(path: Path, version: _Version) -> Dataset:
    files = _files(path, version)
    class_names = tuple(files[version.class_names].decode().split())
    train = _part(version, version.train, files, len(class_names))
    test = _part(version, [version.test], files, len(class_names))
    notes = tuple(
        f"{version.name} was read with {len(part)} {kind} images, not the official "
        f"{_OFFICIAL[kind]}"
        for kind, part in (("training", train), ("test", test))
        if len(part) != _OFFICIAL[kind]
    )
    return Dataset(version.name, class_names, train, {"test": test}, notes=notes)


# --- where the files are --------------------------------------------------------------------------


def _files(path: Path, version: _Version) -> Mapping[str, bytes]:
    for folder in (path / version.folder, path):
        if (folder / version.test).is_file():
            return _unpacked(folder, version)
    for archive in (path / version.archive, path):
        if archive.is_file() and archive.name not in version.pickles:
            return _archived(archive, version)
    for place in (path, *(path / name for name in version.pickles)):
        if place.name in version.pickles and place.exists():
            raise Refusal(
                f"{place} is the version for Python, and opening its pickles could run any "
                f"program; {version.remedy}"
            )
    raise absent(f"{version.folder} or {version.archive}", path, version.remedy)


def _unpacked(folder: Path, version: _Version) -> dict[str, bytes]:
    missing = [name for name in version.files if not (folder / name).is_file()]
    if missing:
        raise absent(" and ".join(missing), folder, version.remedy)
    return {name: (folder / name).read_bytes() for name in version.files}


def _archived(archive: Path, version: _Version) -> dict[str, bytes]:
    """Read the members of an archive, without writing any to disk."""
    files = {}
    try:
        with tarfile.open(archive, "r:*") as members:
            for member in members:
                name = PurePosixPath(member.name).name
                content = members.extractfile(member) if name in version.files else None
                if content is not None:
                    files[name] = content.read()
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        raise Refusal(
            f"{archive} must be a complete .tar.gz archive, got: {error}; {version.remedy}"
        ) from error
    missing = [name for name in version.files if name not in files]
    if missing:
        raise Refusal(
            f"looked for {', '.join(version.files)} in {archive}; {', '.join(missing)} missing; "
            f"{version.remedy}"
        )
    return files


# --- records --------------------------------------------------------------------------------------


def _part(
    version: _Version, names: Sequence[str], files: Mapping[str, bytes], num_classes: int
) -> Part:
    parts = [_records(version, name, files[name], num_classes) for name in names]
    return Part(
        np.concatenate([part.images for part in parts]),
        np.concatenate([part.labels for part in parts]),
    )


def _records(version: _Version, name: str, content: bytes, num_classes: int) -> Part:
    size = version.label_bytes + _PIXELS
    if not content or len(content) % size:
        raise Refusal(
            f"{name} of {version.name} must hold records of {size} bytes, got {len(content)} bytes "
            f"in all; {version.remedy}"
        )
    rows = np.frombuffer(content, dtype=np.uint8).reshape(-1, size)
    labels = rows[:, version.label_bytes - 1].astype(np.int64)
    if labels.max() >= num_classes:
        raise Refusal(
            f"{name} of {version.name} must have labels below {num_classes}, the number of names "
            f"in {version.class_names}, got {labels.max()}; {version.remedy}"
        )
    planes = rows[:, version.label_bytes :].reshape(-1, *_SHAPE)
    return Part(np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), labels)
