"""Batches of one epoch: order, crops and flips by the seed alone, whatever comes after."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

__all__ = ["AUGMENTATIONS", "Images"]

AUGMENTATIONS = ("none", "crop", "crop+flip")


class Images:
    """Images and classes on a device, as bytes; what a network sees is made for each batch.

    `shift` and `scale` are those of the training samples, one for each channel.
    """

    def __init__(self, images: Tensor, labels: Tensor, shift: Tensor, scale: Tensor) -> None:
        self.images, self.labels = images, labels
        self.shift, self.scale = shift, scale

    def __len__(self) -> int:
        return len(self.images)

    def epoch(
        self, batch_size: int, seed: int, epoch: int, augmentation: str
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield whole batches in random order; the few samples left wait for another epoch."""
        # Drawn on the host, so that a run has the same samples on every device.
        generator = torch.Generator().manual_seed(_number(seed, epoch))
        order = torch.randperm(len(self), generator=generator)
        for start in range(0, len(self) - batch_size + 1, batch_size):
            chosen = order[start : start + batch_size].to(self.images.device)
            images = self.images[chosen]
            if augmentation != "none":
                images = _cropped(images, generator)
            if augmentation == "crop+flip":
                images = _flipped(images, generator)
            yield self.normalized(images), self.labels[chosen]

    def whole(self, batch_size: int) -> Iterator[Tensor]:
        """Yield all samples in order."""
        for start in range(0, len(self), batch_size):
            yield self.normalized(self.images[start : start + batch_size])

    def normalized(self, images: Tensor) -> Tensor:
        numbers = (images.to(torch.float32) - self.shift) / self.scale
        return numbers.contiguous(memory_format=torch.channels_last)


def _number(seed: int, epoch: int) -> int:
    return 1_000_003 * seed + epoch


def _cropped(images: Tensor, generator: torch.Generator) -> Tensor:
    """Move each image by up to an eighth of its size; what comes in is black."""
    n, _, height, width = images.shape
    moves = [
        torch.randint(-(size // 8), size // 8 + 1, (n, 1), generator=generator)
        for size in (height, width)
    ]
    rows, columns = (
        torch.arange(size) + move for size, move in zip((height, width), moves, strict=True)
    )
    inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[
        :, None
    ]
    rows, columns = rows.clamp(0, height - 1), columns.clamp(0, width - 1)
    flat = (rows[:, :, None] * width + columns[:, None]).flatten(1).to(images.device)
    moved = images.flatten(2).gather(2, flat[:, None].expand(-1, images.shape[1], -1))
    return moved.reshape(images.shape) * inside[:, None].to(images.device)


def _flipped(images: Tensor, generator: torch.Generator) -> Tensor:
    flips = torch.randint(0, 2, (len(images), 1, 1, 1), generator=generator).to(images.device)
    return torch.where(flips.bool(), images.flip(-1), images)
