"""Common corruptions of small images, in five severities, computed here rather than downloaded.

The families are those of Hendrycks & Dietterich (2019): noise, blur, weather, and digital faults.
Code and strengths are this project's own, so errors compare with each other, not with those
published on CIFAR-10-C. Lengths are in pixels of images of 32, and grow with larger ones.
"""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from PIL import Image
from scipy import ndimage, signal

__all__ = ["CORRUPTIONS", "SEVERITIES", "Corruption", "corrupt"]

SEVERITIES = (1, 2, 3, 4, 5)

# Takes images of 0 to 1, their strength, and for each of them its own source of random numbers.
_Effect = Callable[[np.ndarray, float, Sequence[np.random.Generator]], np.ndarray]
Corruption = Callable[[np.ndarray, int, Sequence[np.random.Generator]], np.ndarray]

_CHUNK = 1 << 22  # values corrupted at once, lest copies in float64 fill the memory
_USUAL_SIDE = 32


def corrupt(images: np.ndarray, name: str, severity: int, seed: int) -> np.ndarray:
    """Return uint8 (n, H, W, C) images with one corruption.

    What is random depends on the seed, the name of the corruption and the pixels of the image
    alone: not on its neighbours in the batch, nor on the severity. So a test set may be corrupted
    in parts, and a higher severity is the same fault, but stronger.
    """
    _check(images, name, severity, seed)
    corrupted = np.empty_like(images, order="C")
    step = max(1, _CHUNK // max(1, math.prod(images.shape[1:])))
    for start in range(0, len(images), step):
        chunk = images[start : start + step]
        draws = [_generator(image, name, seed) for image in chunk]
        values = CORRUPTIONS[name](chunk / 255, severity, draws)
        corrupted[start : start + step] = np.rint(255 * values.clip(0, 1))
    return corrupted


def _check(images: np.ndarray, name: str, severity: int, seed: int) -> None:
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] not in (1, 3):
        raise ValueError(
            f"images must be uint8 of shape (n, H, W, 1) or (n, H, W, 3), got {images.dtype} "
            f"{images.shape}; convert them first"
        )
    if 0 in images.shape[1:]:
        raise ValueError(f"images must have pixels, got shape {images.shape}; leave such out")
    if name not in CORRUPTIONS:
        raise ValueError(f"a corruption must be one of {', '.join(CORRUPTIONS)}, got {name!r}")
    if severity not in SEVERITIES:
        raise ValueError(f"severity must be 1, 2, 3, 4 or 5, got {severity!r}")
    if seed < 0:
        raise ValueError(f"seed must be at least 0, got {seed}")


def _generator(image: np.ndarray, name: str, seed: int) -> np.random.Generator:
    digest = hashlib.blake2b(name.encode() + image.tobytes(), digest_size=16).digest()
    return np.random.default_rng([seed, int.from_bytes(digest, "little")])


def _at(strengths: Sequence[float], effect: _Effect) -> Corruption:
    """Give an effect its strength at each severity."""
    return lambda images, severity, draws: effect(images, strengths[severity - 1], draws)


def _scale(images: np.ndarray) -> float:
    """Return how many pixels are one pixel of a usual image; never less than one."""
    _, height, width, _ = images.shape
    return float(max(1, min(height, width) / _USUAL_SIDE))


def _each(
    images: np.ndarray, draws: Sequence[np.random.Generator]
) -> Iterator[tuple[np.ndarray, np.random.Generator]]:
    return zip(images, draws, strict=True)


# --- noise ----------------------------------------------------------------------------------------


def _gaussian_noise(
    images: np.ndarray, deviation: float, draws: Sequence[np.random.Generator]
) -> np.ndarray:
    noise = [draw.standard_normal(images.shape[1:]) for draw in draws]
    return images + deviation * np.stack(noise)


def _shot_noise(
    images: np.ndarray, photons: float, draws: Sequence[np.random.Generator]
) -> np.ndarray:
    """Count the photons of each value, of which a white one has so many on average."""
    counts = [draw.poisson(image * photons) for image, draw in _each(images, draws)]
    return np.stack(counts) / photons


def _impulse_noise(
    images: np.ndarray, share: float, draws: Sequence[np.random.Generator]
) -> np.ndarray:
    """Make a share of the values black or white."""
    chance = np.stack([draw.random(images.shape[1:]) for draw in draws])
    return np.where(chance < share / 2, 0, np.where(chance >= 1 - share / 2, 1, images))


# --- blur -----------------------------------------------------------------------------------------


def _defocus_blur(
    images: np.ndarray, radius: float, draws: Sequence[np.random.Generator]
) -> np.ndarray:
    """Average over a disk, as a lens out of focus does."""
    kernel = _disk(radius * _scale(images))
    return np.stack([_filtered(image, kernel) for image in images])


def _gaussian_blur(
    images: np.ndarray, deviation: float, draws: Sequence[np.random.Generator]
) -> np.ndarray:
    sigma = deviation * _scale(images)
    return np.asarray(ndimage.gaussian_filter(images, (0, sigma, sigma, 0)))


def _motion_blur(
    images: np.ndarray, length: float, draws: Sequence[np.random.Generator]
) -> np.ndarray:
    """Average along a line, of one direction for each image."""
    length *= _scale(images)
    return np.stack(
        [
            _filtered(image, _line(length, draw.uniform(0, math.pi)))
            for image, draw in _each(images, draws)
        ]
    )


def _disk(radius: float, parts: int = 8) -> np.ndarray:
    """Return how much of each pixel a disk covers, in sum 1."""
    reach = math.ceil(radius)
    across = (np.arange((2 * reach + 1) * parts) + 0.5) / parts - reach - 0.5
    inside = np.hypot(across[:, None], across) <= radius
    covered = inside.reshape(2 * reach + 1, parts, 2 * reach + 1, parts).sum((1, 3))
    return np.asarray(covered / covered.sum())


def _line(length: float, angle: float, parts: int = 8) -> np.ndarray:
    """Return how much of each pixel a line covers, in sum 1, its points shared between pixels."""
    reach = math.ceil(length / 2)
    along = np.linspace(-length / 2, length / 2, 2 * math.ceil(length * parts) + 1)
    centres = np.arange(-reach, reach + 1)[:, None]
    rows = np.maximum(0, 1 - abs(centres - along * math.sin(angle)))
    columns = np.maximum(0, 1 - abs(centres - along * math.cos(angle)))
    return np.asarray(rows @ columns.T / len(along))


def _filtered(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Convolve one image (H, W, C), mirrored at its edges."""
    reach = len(kernel) // 2
    padded = np.pad(image, ((reach, reach), (reach, reach), (0, 0)), mode="symmetric")
    return np.asarray(signal.fftconvolve(padded, kernel[..., None], mode="valid", axes=(0, 1)))


# --- weather --------------------------------------------------------------------------------------


def _fog(images: np.ndarray, density: float, draws: Sequence[np.random.Generator]) -> np.ndarray:
    """Lay a bright veil of uneven thickness over the images."""
    _, height, width, _ = images.shape
    veil = 0.5 + 0.5 * _clouds(height, width, draws)[..., None]
    return np.asarray(images + density * (veil - images))


def _clouds(height: int, width: int, draws: Sequence[np.random.Generator]) -> np.ndarray:
    """Return a random surface (n, H, W) from 0 to 1 for each draw, rough on every scale.

    A grid of four points is refined until it is large enough; each time new heights, of 0.6 times
    the spread, are added to what was interpolated.
    """
    levels = math.ceil(math.log2(max(height, width, 2)))
    sides = [2**level + 1 for level in range(levels + 1)]
    heights = np.stack([draw.standard_normal(sum(side**2 for side in sides)) for draw in draws])
    surface = np.zeros((len(draws), 2, 2))
    for level, side in enumerate(sides):
        own, heights = np.split(heights, [side**2], axis=1)
        if level:
            surface = _refined(_refined(surface, 1), 2)
        surface = surface + 0.6**level * own.reshape(-1, side, side)
    surface = surface[:, :height, :width]
    lowest = surface.min((1, 2), keepdims=True)
    spread = surface.max((1, 2), keepdims=True) - lowest
    return np.asarray((surface - lowest) / np.where(spread, spread, 1))


def _refined(surface: np.ndarray, axis: int) -> np.ndarray:
    """Put the mean between each two neighbours along an axis."""
    surface = np.moveaxis(surface, axis, 0)
    finer = np.empty((2 * len(surface) - 1, *surface.shape[1:]))
    finer[::2] = surface
    finer[1::2] = (surface[1:] + surface[:-1]) / 2
    return np.moveaxis(finer, 0, axis)


def _brightness(
    images: np.ndarray, shift: float, draws: Sequence[np.random.Generator]
) -> np.ndarray:
    return images + shift / 255


def _contrast(
    images: np.ndarray, factor: float, draws: Sequence[np.random.Generator]
) -> np.ndarray:
    """Bring the values nearer to the mean of each channel."""
    mean = images.mean((1, 2), keepdims=True)
    return np.asarray(mean + factor * (images - mean))


# --- digital --------------------------------------------------------------------------------------


def _pixelate(
    images: np.ndarray, resolution: float, draws: Sequence[np.random.Generator]
) -> np.ndarray:
    """Replace blocks by their means; the resolution is the share of rows and columns left."""
    for axis in (1, 2):
        length = images.shape[axis]
        count = max(1, round(length * resolution))
        edges = np.arange(count + 1) * length // count
        sizes = np.diff(edges)
        sums = np.moveaxis(np.add.reduceat(images, edges[:-1], axis=axis), axis, -1)
        images = np.moveaxis(np.repeat(sums / sizes, sizes, axis=-1), -1, axis)
    return images


def _jpeg_compression(
    images: np.ndarray, quality: float, draws: Sequence[np.random.Generator]
) -> np.ndarray:
    pixels = np.rint(255 * images).astype(np.uint8)
    decoded = [_through_jpeg(image, int(quality)) for image in pixels]
    return np.stack(decoded).reshape(images.shape) / 255


def _through_jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(
        file, "JPEG", quality=quality
    )
    return np.asarray(Image.open(file))


def _elastic_transform(
    images: np.ndarray, distance: float, draws: Sequence[np.random.Generator]
) -> np.ndarray:
    """Move pixels by smooth random distances, of this root mean square along each axis."""
    distance *= _scale(images)
    _, height, width, _ = images.shape
    smoothness = min(height, width) / 10
    return np.stack(
        [_warped(image, distance, smoothness, draw) for image, draw in _each(images, draws)]
    )


def _warped(
    image: np.ndarray, distance: float, smoothness: float, draw: np.random.Generator
) -> np.ndarray:
    moves = ndimage.gaussian_filter(
        draw.standard_normal((2, *image.shape[:2])), (0, smoothness, smoothness), mode="wrap"
    )
    moves *= distance / np.sqrt(np.mean(moves**2, axis=(1, 2), keepdims=True))
    places = np.indices(image.shape[:2]) + moves
    channels = [
        ndimage.map_coordinates(channel, places, order=1, mode="reflect")
        for channel in np.moveaxis(image, 2, 0)
    ]
    return np.stack(channels, axis=-1)


CORRUPTIONS: Mapping[str, Corruption] = {
    "gaussian_noise": _at((0.04, 0.08, 0.12, 0.18, 0.26), _gaussian_noise),
    "shot_noise": _at((200, 60, 30, 15, 8), _shot_noise),
    "impulse_noise": _at((0.02, 0.05, 0.09, 0.15, 0.25), _impulse_noise),
    "defocus_blur": _at((0.8, 1.2, 1.7, 2.3, 3.0), _defocus_blur),
    "gaussian_blur": _at((0.5, 0.8, 1.1, 1.5, 2.0), _gaussian_blur),
    "motion_blur": _at((2.0, 3.5, 5.0, 7.0, 9.0), _motion_blur),
    "fog": _at((0.15, 0.3, 0.45, 0.6, 0.75), _fog),
    "brightness": _at((20, 40, 60, 80, 100), _brightness),
    "contrast": _at((0.75, 0.55, 0.4, 0.25, 0.15), _contrast),
    "pixelate": _at((0.8, 0.65, 0.5, 0.35, 0.25), _pixelate),
    "jpeg_compression": _at((60, 35, 20, 12, 7), _jpeg_compression),
    "elastic_transform": _at((0.4, 0.7, 1.0, 1.4, 1.9), _elastic_transform),
}
