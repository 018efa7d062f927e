"""What is compared: how each method changes a batch of training samples and their labels."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot
from zetamix import zeta_weights
from zetamix.rules import CutMix, Dirichlet, Mixup, OneOf, Rule, Zeta
from zetamix.theory import displacement
from zetamix.torch import Mix

__all__ = ["METHODS", "Setting", "make_method"]

Batch = tuple[Tensor, Tensor]
Method = Callable[[Tensor, Tensor], Batch]


@dataclass(frozen=True)
class Setting:
    """What the methods depend on; `frequencies` are those of the classes in training."""

    frequencies: Tensor
    batch_size: int
    seed: int
    gamma: float = 2.8
    alpha: float = 1.0

    @property
    def num_classes(self) -> int:
        return len(self.frequencies)


def make_method(name: str, setting: Setting) -> Method:
    """Return the method of a name: from images and classes to images and soft labels."""
    return METHODS[name](setting)


# --- mixing ---------------------------------------------------------------------------------------


def _mix(rule: Rule, setting: Setting) -> nn.Module:
    return Mix(rule, num_classes=setting.num_classes, seed=setting.seed)


def _zeta(setting: Setting, num_mix: int | None = None, *, anchored: bool = True) -> nn.Module:
    return _mix(Zeta(gamma=setting.gamma, num_mix=num_mix, anchored=anchored), setting)


def _cutmix_or_zeta(setting: Setting) -> Method:
    return _mix(OneOf([CutMix(alpha=setting.alpha), Zeta(gamma=setting.gamma)]), setting)


def _displaced(setting: Setting) -> Method:
    """Mix two samples as far from the anchor as ζ-mixup of the batch does."""
    anchor = 1 - displacement(setting.gamma, setting.batch_size) / math.sqrt(2)
    # A p-series of two terms has these two weights: 2^-γ is their ratio.
    return _mix(Zeta(gamma=math.log2(anchor / (1 - anchor)), num_mix=2), setting)


# --- controls -------------------------------------------------------------------------------------


def _erm(setting: Setting) -> Method:
    return lambda x, y: (x, _rows(y, setting))


def _smoothing(setting: Setting) -> Method:
    """Smooth labels by the weight ζ-mixup gives to others, spread by class frequency."""
    epsilon = 1 - float(zeta_weights(setting.batch_size, gamma=setting.gamma)[0])
    return lambda x, y: (x, (1 - epsilon) * _rows(y, setting) + epsilon * setting.frequencies)


def _hard_labels(setting: Setting) -> Method:
    mix = _zeta(setting)
    return lambda x, y: (mix(x, y)[0], _rows(y, setting))


def _labels_alone(setting: Setting) -> Method:
    mix = _zeta(setting)
    return lambda x, y: (x, mix(x, y)[1])


def _rows(y: Tensor, setting: Setting) -> Tensor:
    return one_hot(y, setting.num_classes).to(torch.float32)


METHODS: Mapping[str, Callable[[Setting], Method]] = {
    "erm": _erm,
    "mixup-0.2": lambda setting: _mix(Mixup(alpha=0.2), setting),
    "mixup-1": lambda setting: _mix(Mixup(alpha=1.0), setting),
    "cutmix": lambda setting: _mix(CutMix(alpha=setting.alpha), setting),
    "zeta": _zeta,
    "cutmix+zeta": _cutmix_or_zeta,
    "pair": lambda setting: _zeta(setting, 2),
    "dirichlet": lambda setting: _mix(Dirichlet(alpha=setting.alpha), setting),
    "free": lambda setting: _zeta(setting, anchored=False),
    "smoothing": _smoothing,
    "hard": _hard_labels,
    "labels": _labels_alone,
    "displaced": _displaced,
}
