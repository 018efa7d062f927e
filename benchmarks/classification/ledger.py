"""Finished runs, one line of JSON each, in files that only grow: a killed program resumes them."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np

__all__ = [
    "Ledger",
    "decoded",
    "encoded",
    "packed",
    "published",
    "read_ledgers",
    "run_key",
    "unpacked",
]

Record = dict[str, Any]


class Ledger:
    """One file of records; what a kill left of a line is cut off when the next is written."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def records(self) -> Iterator[Record]:
        """Yield what was written whole."""
        if not self.path.exists():
            return
        for number, line in enumerate(self.path.read_bytes().split(b"\n")[:-1], 1):
            try:
                yield json.loads(line)
            except ValueError as error:
                raise click.ClickException(
                    f"a ledger has one record of JSON a line, got {line[:40]!r} in line {number} "
                    f"of {self.path}; delete that line, and its run is made again"
                ) from error

    def append(self, record: Mapping[str, Any]) -> None:
        """Add a record in one write, and wait until it is on the disk."""
        line = json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)  # until it is closed
            os.ftruncate(handle, self._length_of_whole_lines())
            os.write(handle, line)
            os.fsync(handle)
        finally:
            os.close(handle)

    def _length_of_whole_lines(self) -> int:
        return self.path.read_bytes().rfind(b"\n") + 1


def read_ledgers(paths: Iterable[Path]) -> list[Record]:
    """Return the records of some ledgers."""
    return [record for path in paths for record in Ledger(path).records()]


def run_key(run: Mapping[str, Any], conditions: Mapping[str, Any], data_hash: str) -> str:
    """Return what a run is found by: a hash of all that its numbers depend on."""
    content = json.dumps([run, conditions, data_hash], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def published(records: Iterable[Record]) -> Iterator[Record]:
    """Yield records to publish: which test images each run gets wrong, but no labels of data."""
    records = list(records)
    data = {each["hash"]: each for each in records if each["kind"] == "data"}
    labels = {name: each["labels"] for name, each in data.items() if "labels" in each}
    for record in data.values():
        yield {key: value for key, value in record.items() if key != "labels"}
    for record in records:
        if record["kind"] == "data":
            continue
        if "wrong" in record:  # published before
            yield record
            continue
        own = {key: value for key, value in record.items() if key != "predictions"}
        true = labels.get(record["data_hash"], {})
        yield own | {
            "wrong": {
                part: packed(decoded(entry) != decoded(true[part]))
                for part, entry in record["predictions"].items()
                if part in true
            }
        }


def packed(bits: np.ndarray) -> str:
    return base64.b64encode(np.packbits(bits).tobytes()).decode()


def unpacked(text: str, count: int) -> np.ndarray:
    """Return the bits of `packed`."""
    bits = np.unpackbits(np.frombuffer(base64.b64decode(text), dtype=np.uint8), count=count)
    return bits.astype(bool)


def encoded(classes: np.ndarray) -> dict[str, str]:
    """Return classes as text: their dtype and their bytes."""
    small = classes.astype(np.uint8 if classes.max(initial=0) < 256 else "<u2")
    return {"dtype": small.dtype.str, "base64": base64.b64encode(small.tobytes()).decode()}


def decoded(entry: Mapping[str, str]) -> np.ndarray:
    """Return the classes of `encoded`."""
    data = base64.b64decode(entry["base64"])
    return np.frombuffer(data, dtype=entry["dtype"]).astype(np.int64)
