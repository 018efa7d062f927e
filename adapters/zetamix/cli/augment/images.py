"""Folders of images, one for each class."""

from __future__ import annotations

import csv
import functools
import io
import re
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from zetamix.cli.augment.labels import Labels
from zetamix.cli.augment.options import Options
from zetamix.cli.augment.passes import Batch, Passes
from zetamix.cli.augment.places import Workspace
from zetamix.cli.augment.work import PassesWork
from zetamix_core.adapting import over_cores, replacing

__all__ = ["ImageFolder", "image_files"]

_ENDINGS = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"}
_ORIENTATION, _TURNED = 0x0112, (5, 6, 7, 8)
_GRAY = ("1", "L")
_EIGHT_BITS = (*_GRAY, "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "LAB")
# Mixtures repeat nothing, so that a search for repetitions (zlib's default strategy) takes longer
# and gives larger files than runs of equal bytes alone, Z_RLE.
_PNG_EFFORT = {"compress_level": 1, "compress_type": 3}
_PART_IMAGES = 128
_LABELS = "labels.csv"


class _Seen(NamedTuple):
    """What a file says of its image."""

    height: int
    width: int
    mode: str


def image_files(source: Path) -> tuple[list[Path], list[Path]]:
    """Return the images in the folders of classes, in their order, and what else is there."""
    folders = [each for each in sorted(source.iterdir()) if _is_shown(each) and each.is_dir()]
    inside = [file for folder in folders for file in sorted(folder.iterdir())]
    images = [file for file in inside if _is_image(file)]
    others = [each for each in sorted(source.iterdir()) if each not in folders]
    if not images:
        raise ValueError(
            f"{source} must hold a folder for each class, with images that end in "
            f"{', '.join(sorted(_ENDINGS))}, got none; if it is a Zarr store, it has no zarr.json"
        )
    return images, others + [file for file in inside if not _is_image(file)]


def _is_shown(file: Path) -> bool:
    return not file.name.startswith(".")


def _is_image(file: Path) -> bool:
    return _is_shown(file) and file.suffix.lower() in _ENDINGS and file.is_file()


class ImageFolder(PassesWork):
    """The work on a folder of images: to write their mixtures to the same class folders."""

    def __init__(self, source: Path, options: Options, space: Workspace) -> None:
        files, others = image_files(source)
        self.options = options
        known = space.remembered("images.json", lambda: _survey(source, files, options))
        bad = {source / name for name in known["skipped"]}
        self.files = [file for file in files if file not in bad]
        self.mode, self.size = known["mode"], (known["height"], known["width"])
        folders = sorted({file.parent for file in files} | {*_class_folders(source)})
        self.classes = [folder.name for folder in folders]
        numbers = {folder: number for number, folder in enumerate(folders)}
        ids = np.asarray([numbers[file.parent] for file in self.files])
        self.stems = _stems(self.files)
        # Of no size in memory: only shape and dtype are asked for.
        shape = (len(self.files), *self.size, *((3,) if self.mode == "RGB" else ()))
        x = np.broadcast_to(np.uint8(0), shape)
        labels = Labels.of_classes(ids, self.classes)
        self.passes = Passes.of(x, labels, options, dtype=_dtype(options), part_rows=_PART_IMAGES)
        self.ids, self.rows = ids, self.passes.rows
        self.facts = {
            "images": {"shape": list(shape), "mode": self.mode},
            "classes": self.classes,
            "skipped": known["skipped"],
            "ignored": [_name(source, file) for file in others],
        }

    def write(self, folder: Path, batches: Iterator[Batch]) -> None:
        with open(folder / _LABELS, "w", encoding="utf-8", newline="") as stream:
            rows = csv.writer(stream, lineterminator="\n")
            for batch in batches:
                images = over_cores(self._decoded, [self.files[i] for i in batch.samples])
                mixed, soft = batch.mixed(np.stack(images))
                names = [self._named(int(sample), batch.name) for sample in batch.samples]
                for name in names:
                    (folder / name).parent.mkdir(exist_ok=True)
                over_cores(
                    functools.partial(self._save, folder), list(zip(names, mixed, strict=True))
                )
                assert soft is not None
                rows.writerows([name, *row] for name, row in zip(names, soft.tolist(), strict=True))

    def join(self, parts: Sequence[Path], result: Path) -> None:
        for name in self.classes:
            (result / name).mkdir(parents=True, exist_ok=True)
        with replacing(result / _LABELS) as stream:
            text = io.StringIO()
            header = ["file", *(f"label={name}" for name in self.classes)]
            csv.writer(text, lineterminator="\n").writerow(header)
            stream.write(text.getvalue().encode())
            for part in parts:
                stream.write((part / _LABELS).read_bytes())
        for part in parts:
            for file in part.glob("*/*"):
                file.replace(result / file.parent.name / file.name)

    def _named(self, sample: int, copy: str) -> str:
        ending = "png" if self.options.format == "png" else "jpg"
        return f"{self.classes[self.ids[sample]]}/{self.stems[sample]}-{copy}.{ending}"

    def _decoded(self, file: Path) -> np.ndarray:
        return np.asarray(_read(file, self.mode, self.options.size))

    def _save(self, folder: Path, item: tuple[str, np.ndarray]) -> None:
        name, pixels = item
        if pixels.dtype != np.uint8:
            pixels = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
        image, file = Image.fromarray(pixels), folder / name
        if self.options.format == "png":
            image.save(file, format="PNG", **_PNG_EFFORT)
        else:
            image.save(file, format="JPEG", quality=self.options.quality)


def _class_folders(source: Path) -> list[Path]:
    return [each for each in source.iterdir() if _is_shown(each) and each.is_dir()]


def _dtype(options: Options) -> Any:
    """Return the dtype in which pixels are averaged before they are rounded."""
    return None if options.rule == "cutmix" else np.float32


def _stems(files: Sequence[Path]) -> list[str]:
    """Return names without endings, or numbers in a class where names are unusual or repeated."""
    usable = {}
    for folder in {file.parent for file in files}:
        stems = [file.stem.lower() for file in files if file.parent == folder]
        simple = all(re.fullmatch(r"[a-z0-9][a-z0-9_.-]*", stem) for stem in stems)
        usable[folder] = simple and len({*stems}) == len(stems)
    width = len(str(len(files) - 1))
    return [
        file.stem if usable[file.parent] else f"{number:0{width}d}"
        for number, file in enumerate(files)
    ]


# --- reading --------------------------------------------------------------------------------------


def _survey(source: Path, files: Sequence[Path], options: Options) -> dict[str, Any]:
    """Look at all files before the first is mixed; decode them where bad ones are to be skipped."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        looks = over_cores(functools.partial(_look, whole=options.skip_bad), files)
    bad = [file for file, seen in zip(files, looks, strict=True) if seen is None]
    if bad and not options.skip_bad:
        _read_header(bad[0])  # which raises what is wrong
    good = {file: seen for file, seen in zip(files, looks, strict=True) if seen is not None}
    if not good:
        raise ValueError(f"{source} must hold images that can be read, got none among {len(files)}")
    if options.size is None:
        _check_sizes(good)
    first = next(iter(good.values()))
    height, width = options.size or first[:2]
    gray = all(seen.mode in _GRAY for seen in good.values())
    skipped = [_name(source, file) for file in bad]
    return {
        "mode": "L" if gray else "RGB",
        "height": height,
        "width": width,
        "skipped": skipped,
    }


def _look(file: Path, *, whole: bool) -> _Seen | None:
    """Return what is in a file, or None if it can't be read."""
    try:
        seen = _read_header(file)
        if whole:
            _read(file, "RGB", None)
    except ValueError:
        return None
    return seen


def _read_header(file: Path) -> _Seen:
    with _opened(file) as image:
        if image.mode not in _EIGHT_BITS:
            raise ValueError(
                f"images must have 8 bits a channel, got {file} of mode {image.mode}; convert it, "
                f"or leave it out with --skip-bad"
            )
        width, height = image.size
        try:
            turned = image.getexif().get(_ORIENTATION) in _TURNED
        except Exception as error:  # broken files raise whatever they may
            raise _unreadable(file, error) from error
        return _Seen(*((width, height) if turned else (height, width)), image.mode)


def _check_sizes(images: dict[Path, _Seen]) -> None:
    (first, seen), *others = images.items()
    for file, other in others:
        if other[:2] != seen[:2]:
            raise ValueError(
                f"images must all have one size, got {seen.height},{seen.width} in {first} and "
                f"{other.height},{other.width} in {file}; resize them with --size "
                f"{seen.height},{seen.width}"
            )


def _read(file: Path, mode: str, size: tuple[int, int] | None) -> Image.Image:
    """Return an image upright, in this mode and size."""
    with _opened(file) as image:
        try:
            upright = ImageOps.exif_transpose(image).convert(mode)
        except Exception as error:  # broken files raise whatever they may
            raise _unreadable(file, error) from error
    if size is not None and upright.size != size[::-1]:
        upright = upright.resize(size[::-1], Image.Resampling.BICUBIC)
    return upright


def _opened(file: Path) -> Image.Image:
    try:
        return Image.open(file)
    except Exception as error:  # broken files raise whatever they may
        raise _unreadable(file, error) from error


def _unreadable(file: Path, error: Exception) -> ValueError:
    reason = (
        "not an image that Pillow can read" if isinstance(error, UnidentifiedImageError) else error
    )
    return ValueError(
        f"the image {file} can't be read: {reason}; replace it, or leave such images out with "
        f"--skip-bad"
    )


def _name(source: Path, file: Path) -> str:
    return file.relative_to(source).as_posix()
