"""Imbalanced tables of two classes, from scikit-learn and from the wheel of river."""

from __future__ import annotations

import csv
import gzip
import io
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from imblearn.datasets import make_imbalance
from sklearn.datasets import load_breast_cancer, load_digits

__all__ = ["SETS", "Table"]

DIGIT, LABEL = 0, "Class9"
NEIGHBORLY = 10_000  # rows of a large set that methods with neighbours are given


class Table(NamedTuple):
    """Rows, which of them are of the rare class, and which columns hold categories."""

    x: np.ndarray
    y: np.ndarray
    categorical: tuple[int, ...] = ()
    # Whether methods that compare all rows with all are left out.
    large: bool = False


def digits(river: Path | None) -> Table:
    """Return one digit against the others."""
    data = load_digits()
    return Table(data.data, (data.target == DIGIT).astype(int))


def breast_cancer(ratio: int) -> Callable[[Path | None], Table]:
    """Return a reader of tumours, with one malignant one kept for `ratio` benign ones."""

    def read(river: Path | None) -> Table:
        data = load_breast_cancer()
        y = (data.target == 0).astype(int)  # malignant
        counts = {0: int((y == 0).sum()), 1: round((y == 0).sum() / ratio)}
        return Table(*make_imbalance(data.data, y, sampling_strategy=counts, random_state=0))

    return read


def _rows_of(river: Path | None, name: str) -> list[dict[str, str]]:
    """Read a table from the wheel of river, of which nothing is unpacked to the disk."""
    if river is None:
        raise FileNotFoundError("it is in the wheel of river: pip download river --no-deps")
    with zipfile.ZipFile(river) as wheel:
        content = wheel.read(f"river/datasets/{name}")
    if name.endswith(".zip"):
        with zipfile.ZipFile(io.BytesIO(content)) as inner:
            content = inner.read(inner.namelist()[0])
    else:
        content = gzip.decompress(content)
    return [*csv.DictReader(io.StringIO(content.decode()))]


def shuttle(count: int | None) -> Callable[[Path | None], Table]:
    """Return what reads the sensors of a shuttle, all rows or so many of them."""

    def read(river: Path | None) -> Table:
        rows = _rows_of(river, "shuttle.csv.gz")
        x = np.asarray([[float(row[f"f{i}"]) for i in range(1, 10)] for row in rows])
        y = np.asarray([int(row["anomaly"]) for row in rows])
        if count is None:
            return Table(x, y, large=True)
        chosen = np.sort(np.random.default_rng(0).permutation(len(y))[:count])
        return Table(x[chosen], y[chosen])

    return read


def yeast(river: Path | None) -> Table:
    """Return one function of genes against the others."""
    rows = _rows_of(river, "yeast.csv.gz")
    x = np.asarray([[float(row[f"Att{i}"]) for i in range(1, 104)] for row in rows])
    return Table(x, np.asarray([int(row[LABEL] in ("1", "True", "TRUE")) for row in rows]))


def solar_flare(river: Path | None) -> Table:
    """Return regions of the sun, those with any flare of class M against the others."""
    rows = _rows_of(river, "solar-flare.csv.zip")
    targets = ("c-class-flares", "m-class-flares", "x-class-flares")
    names = [name for name in rows[0] if name not in targets]
    texts = [name for name in names if not rows[0][name].lstrip("-").isdigit()]
    x = np.empty((len(rows), len(names)), dtype=object)
    for place, name in enumerate(names):
        x[:, place] = [row[name] if name in texts else float(row[name]) for row in rows]
    y = np.asarray([int(int(row["m-class-flares"]) > 0) for row in rows])
    return Table(x, y, categorical=tuple(names.index(name) for name in texts))


SETS: Mapping[str, Callable[[Path | None], Table]] = {
    "digits": digits,
    "breast cancer 1:10": breast_cancer(10),
    "breast cancer 1:50": breast_cancer(50),
    "yeast": yeast,
    "solar flare": solar_flare,
    "shuttle, 10,000 rows": shuttle(NEIGHBORLY),
    "shuttle": shuttle(None),
}
