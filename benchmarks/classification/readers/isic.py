"""Skin lesions of the ISIC challenges of 2016, 2017 and 2018, task 3, as officially laid out."""

from __future__ import annotations

import csv
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from classification.dataset import Dataset, Part
from classification.readers.images import Refusal, find, image_files, read_part

__all__ = ["isic2016", "isic2017", "isic2018"]

_REMEDY = "get it from the ISIC challenge of that year, task (part) 3, and unpack it there"
_TYPES_2018 = {
    "MEL": "melanoma",
    "NV": "melanocytic nevus",
    "BCC": "basal cell carcinoma",
    "AKIEC": "actinic keratosis",
    "BKL": "benign keratosis",
    "DF": "dermatofibroma",
    "VASC": "vascular lesion",
}


@dataclass(frozen=True)
class _Format:
    """The columns of a table after the id, and the class that they name, if they follow a rule."""

    columns: tuple[str, ...]
    label: Callable[[list[str]], int | None]
    rule: str
    has_header: bool = True
    id_column: str = "image_id"


# --- the three years ------------------------------------------------------------------------------


def isic2016(folder: Path, size: int) -> Dataset:
    """Read benign and malignant lesions; the official test set is the test part."""
    names = {"benign": 0, "0.0": 0, "0": 0, "malignant": 1, "1.0": 1, "1": 1}
    table = _Format(
        ("class",), lambda cells: names.get(cells[0]), "benign, malignant, 0.0 or 1.0", False
    )

    def part(kind: str) -> Part:
        stem = f"ISBI2016_ISIC_Part3_{kind}"
        return _part(folder, f"{stem}_Data", f"{stem}_GroundTruth.csv", table, size)

    return Dataset("ISIC 2016", ("benign", "malignant"), part("Training"), {"test": part("Test")})


def isic2017(folder: Path, size: int) -> Dataset:
    """Read melanomas, seborrheic keratoses and nevi, in their official three parts."""
    table = _Format(
        ("melanoma", "seborrheic_keratosis"), _class_2017, "0 or 1 twice, and not both 1"
    )

    def part(kind: str) -> Part:
        stem = f"ISIC-2017_{kind}"
        return _part(folder, f"{stem}_Data", f"{stem}_Part3_GroundTruth.csv", table, size)

    return Dataset(
        "ISIC 2017",
        ("melanoma", "seborrheic keratosis", "nevus"),
        part("Training"),
        {"test": part("Test_v2")},
        part("Validation"),
    )


def isic2018(folder: Path, size: int) -> Dataset:
    """Read seven types of lesions, the training images with the lesion that each shows."""
    table = _Format(tuple(_TYPES_2018), _one_hot, "1 once, else 0", id_column="image")

    def part(kind: str, lesions: Mapping[str, str] | None = None) -> Part:
        stem = f"ISIC2018_Task3_{kind}"
        truth = f"{stem}_GroundTruth/{stem}_GroundTruth.csv"
        return _part(folder, f"{stem}_Input", truth, table, size, lesions)

    return Dataset(
        "ISIC 2018",
        tuple(_TYPES_2018.values()),
        part("Training", _lesions(folder)),
        {"test": part("Test"), "official validation": part("Validation")},
        notes=("the official validation images are a second test part, as they are few",),
    )


def _lesions(folder: Path) -> dict[str, str]:
    name = "ISIC2018_Task3_Training_LesionGroupings.csv"
    table = find(folder, [name, f"ISIC2018_Task3_Training_GroundTruth/{name}"], _REMEDY)
    rows = _rows(table, ("image", "lesion_id", "diagnosis_confirm_type"))
    return {image: cells[0] for image, cells in rows.items()}


# --- classes --------------------------------------------------------------------------------------


def _one_hot(cells: list[str]) -> int | None:
    marks = _marks(cells)
    return marks.index(1) if sum(marks) == 1 else None


def _class_2017(cells: list[str]) -> int | None:
    marks = _marks(cells)
    if marks == [0, 0]:
        return 2  # a nevus is neither
    return _one_hot(cells)


def _marks(cells: list[str]) -> list[int]:
    """Return zeros and ones; none at all if there is anything else."""
    known = {"0": 0, "0.0": 0, "1": 1, "1.0": 1}
    return [known[cell] for cell in cells] if set(cells) <= set(known) else []


# --- tables and images ----------------------------------------------------------------------------


def _part(
    folder: Path,
    pictures: str,
    truth: str,
    table: _Format,
    size: int,
    lesions: Mapping[str, str] | None = None,
) -> Part:
    images = _images(find(folder, [pictures], _REMEDY))
    labels = _labels(find(folder, [truth], _REMEDY), table)
    _refuse_unpaired(labels, images, f"rows of {truth}", f"image in {pictures}")
    _refuse_unpaired(images, labels, f"images in {pictures}", f"row in {truth}")
    if lesions is not None:
        _refuse_unpaired(images, lesions, f"images in {pictures}", "row in the lesion groupings")
    names = sorted(images)
    return read_part(
        [images[name] for name in names],
        [labels[name] for name in names],
        size,
        pictures,
        None if lesions is None else [lesions[name] for name in names],
    )


def _images(folder: Path) -> dict[str, Path]:
    # Those of 2017 lie beside masks of superpixels.
    paths = [path for path in image_files(folder) if not path.stem.endswith("_superpixels")]
    _refuse_repeated((path.stem for path in paths), str(folder))
    if not paths:
        raise Refusal(f"looked for images in {folder}; found none; {_REMEDY}")
    return {path.stem: path for path in paths}


def _labels(path: Path, table: _Format) -> dict[str, int]:
    labels = {}
    rows = _rows(path, (table.id_column, *table.columns), table.has_header)
    for name, cells in rows.items():
        label = table.label(cells)
        if label is None:
            raise Refusal(
                f"{path}: {', '.join(table.columns)} of {name} must be {table.rule}, got "
                f"{','.join(cells)}; download the table again"
            )
        labels[name] = label
    return labels


def _rows(path: Path, columns: tuple[str, ...], has_header: bool = True) -> dict[str, list[str]]:
    """Return the cells of a table by the names of the images, of which none may repeat."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            rows = [[cell.strip() for cell in row] for row in csv.reader(file) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise Refusal(
            f"{path} must be a table of text, got: {error}; download the table again"
        ) from error
    header = rows.pop(0) if has_header and rows else list(columns)
    wrong = [row for row in (header, *rows) if len(row) != len(columns)]
    if header != list(columns) or wrong:
        raise Refusal(
            f"{path} must have the columns {','.join(columns)}, got "
            f"{','.join(wrong[0] if wrong else header)}; download the table again"
        )
    names = [_without_suffix(row[0]) for row in rows]
    _refuse_repeated(names, str(path))
    return {name: row[1:] for name, row in zip(names, rows, strict=True)}


def _without_suffix(name: str) -> str:
    return Path(name).stem if Path(name).suffix.lower() in {".jpg", ".jpeg"} else name


def _refuse_repeated(names: Iterable[str], place: str) -> None:
    seen: set[str] = set()
    repeated = []
    for name in names:
        if name in seen:
            repeated.append(name)
        seen.add(name)
    if repeated:
        raise Refusal(
            f"{place} must name each image once, got {len(repeated)} repeated, the first "
            f"{repeated[0]}; download it again"
        )


def _refuse_unpaired(
    names: Collection[str], partners: Collection[str], kind: str, partner: str
) -> None:
    alone = sorted(set(names) - set(partners))
    if alone:
        raise Refusal(
            f"{len(alone)} {kind} have no {partner}, the first {alone[0]}; unpack the complete "
            f"archives of one challenge"
        )
