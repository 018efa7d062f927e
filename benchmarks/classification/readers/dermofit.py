"""The Dermofit Image Library: ten classes of lesions, each lesion in a folder with its mask."""

from __future__ import annotations

from pathlib import Path

from classification.dataset import Dataset, Part
from classification.readers.folders import fifth_for_test
from classification.readers.images import absent, image_files, read_part, subfolders

__all__ = ["dermofit"]

_REMEDY = "unpack the ten archives of the licensed library there, to CLASS/LESION/LESION.png"
_CLASSES = {
    "AK": "actinic keratosis",
    "BCC": "basal cell carcinoma",
    "DF": "dermatofibroma",
    "IEC": "intraepithelial carcinoma",
    "MEL": "malignant melanoma",
    "ML": "melanocytic nevus (mole)",
    "PYO": "pyogenic granuloma",
    "SCC": "squamous cell carcinoma",
    "SK": "seborrheic keratosis",
    "VASC": "hemangioma",
}
_NOTES = (
    "the layout of Dermofit follows descriptions of it; it was not checked on a licensed copy",
    "Dermofit has no official test part: a stratified fifth, of seed 0, is the test part",
)


def dermofit(folder: Path, size: int) -> Dataset:
    """Read pictures from CLASS/LESION/, without their masks, and split off a fifth for the test."""
    missing = [code for code in _CLASSES if not (folder / code).is_dir()]
    if missing:
        raise absent(f"the folders {', '.join(missing)}", folder, _REMEDY)
    class_names = tuple(_CLASSES.values())
    train, test = fifth_for_test(_all_lesions(folder, size), class_names)
    return Dataset("Dermofit", class_names, train, {"test": test}, notes=_NOTES)


def _all_lesions(folder: Path, size: int) -> Part:
    paths: list[Path] = []
    labels: list[int] = []
    for label, code in enumerate(_CLASSES):
        pictures = _pictures(folder / code)
        if not pictures:
            raise absent("LESION/LESION.png", folder / code, _REMEDY)
        paths += pictures
        labels += [label] * len(pictures)
    # Should a lesion have several pictures, a test must not meet one whose twin was trained on.
    lesions = [f"{path.parent.parent.name}/{path.parent.name}" for path in paths]
    return read_part(paths, labels, size, "Dermofit", lesions)


def _pictures(folder: Path) -> list[Path]:
    return [
        path
        for lesion in subfolders(folder)
        for path in image_files(lesion)
        if not path.stem.lower().endswith("mask")
    ]
