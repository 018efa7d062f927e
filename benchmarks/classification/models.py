"""Networks for images: small ones of our own, and torchvision's."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
import torch
from torch import Tensor, nn
from torch.nn.functional import pad, relu

__all__ = ["MODELS", "make_model"]

_SMALL_IMAGES = 64  # pixels, up to which torchvision's networks get a stem that keeps the size


def make_model(
    name: str, channels: int, num_classes: int, pixels: int, weights: Path | None = None
) -> nn.Module:
    """Return a network with weights from torch's default generator, or with those of a file."""
    if name in MODELS:
        if weights is not None:
            raise click.UsageError(f"weights go with torchvision's networks, got {name}")
        return MODELS[name](channels, num_classes, pixels)
    return _torchvision(name, channels, num_classes, pixels, weights)


# --- of our own -----------------------------------------------------------------------------------


def _convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False), nn.BatchNorm2d(outputs)
    )


def _small_cnn(channels: int, num_classes: int, pixels: int) -> nn.Module:
    """Three convolutions of 32, 64 and 128 channels, each with pooling, and a linear layer."""
    layers: list[nn.Module] = []
    for inputs, outputs in ((channels, 32), (32, 64), (64, 128)):
        layers += [_convolution(inputs, outputs), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(128 * (pixels // 8) ** 2, num_classes))


class _Residual(nn.Module):
    """Two convolutions beside a shortcut without parameters (He et al. 2016, option A)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.stride = outputs // inputs
        self.new_channels = outputs - inputs
        self.first = _convolution(inputs, outputs, self.stride)
        self.second = _convolution(outputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x[:, :, :: self.stride, :: self.stride]
        if self.new_channels:
            shortcut = pad(shortcut, (0, 0, 0, 0, 0, self.new_channels))
        return relu(self.second(relu(self.first(x))) + shortcut)


def _small_resnet(blocks: int) -> Callable[[int, int, int], nn.Module]:
    """Return a maker of networks with 6 · blocks + 2 layers of 16, 32 and 64 channels."""

    def make(channels: int, num_classes: int, pixels: int) -> nn.Module:
        widths = [16] + [width for width in (16, 32, 64) for _ in range(blocks)]
        stages = [_Residual(*pair) for pair in pairwise(widths)]
        return nn.Sequential(
            _convolution(channels, 16),
            nn.ReLU(),
            *stages,
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(64, num_classes),
        )

    return make


MODELS: dict[str, Callable[[int, int, int], nn.Module]] = {
    "small-cnn": _small_cnn,
    "resnet-8": _small_resnet(1),
    "resnet-20": _small_resnet(3),
}
_TORCHVISION = {"resnet-18": "resnet18", "resnet-50": "resnet50"}


# --- torchvision's --------------------------------------------------------------------------------


def _torchvision(
    name: str, channels: int, num_classes: int, pixels: int, weights: Path | None
) -> nn.Module:
    if name not in _TORCHVISION:
        known = ", ".join([*MODELS, *_TORCHVISION])
        raise click.UsageError(f"a model is one of {known}, got {name}")
    try:
        torchvision: Any = importlib.import_module("torchvision")
    except (ImportError, RuntimeError) as error:  # the latter if it is built for another torch
        raise click.ClickException(
            f"{name} is torchvision's, which cannot be imported: {error}; install the torchvision "
            f"that goes with torch {torch.__version__}"
        ) from error
    model: Any = getattr(torchvision.models, _TORCHVISION[name])()
    if weights is not None:
        state = torch.load(weights, map_location="cpu", weights_only=True)
        model.load_state_dict(state)
    if pixels <= _SMALL_IMAGES:
        model.conv1 = nn.Conv2d(channels, 64, 3, padding=1, bias=False)
        model.maxpool = nn.Identity()
    elif channels != 3:
        raise click.ClickException(
            f"the stem for large images takes 3 channels, got {channels}; repeat the gray one"
        )
    model.fc = nn.Linear(model.fc.in_features, num_classes)
    network: nn.Module = model
    return network
