"""Other packages that mix batches of torch tensors; not a program itself.

Each is called as its documentation has it, with int classes in, by ``benchmarks/throughput.py``.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["AUTHORS", "PEERS", "TORCHVISION", "Mix", "Peer", "first_line", "refusal"]

AUTHORS, TORCHVISION = "authors' zeta-mixup", "torchvision MixUp"

# From samples and classes to mixed samples and labels.
Mix = Callable[[Any, Any], Any]


@dataclass(frozen=True)
class Peer:
    """How to make the mix for batches like x; it raises ImportError where the package is not."""

    make: Callable[[Any, int, str | None], Mix]
    note: str = ""


def refusal(mix: Mix, x: Any, y: Any) -> str | None:
    """Return why a mix does not take such a batch, None if it does.

    Tried on a few samples, copied because some mix in place: a mix that takes the axes for others
    than they are may else fill the memory.
    """
    few = 4 + len(x) % 2
    try:
        mixed = mix(x[:few].clone(), y[:few])
    except Exception as error:  # noqa: BLE001 - packages raise what they like
        return first_line(error)
    shape = tuple(mixed[0].shape)
    return None if shape == tuple(x[:few].shape) else f"samples come out of shape {shape}"


def first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _authors(x: Any, num_classes: int, official: str | None) -> Mix:
    if official is None:
        raise ImportError("no checkout of the authors' code was given: --official PATH")
    if official not in sys.path:
        sys.path.insert(0, official)
    mix = importlib.import_module("zeta_mixup").zeta_mixup
    return lambda x, y: mix(x, y, num_classes)


def _torchvision(name: str) -> Callable[[Any, int, str | None], Mix]:
    def make(x: Any, num_classes: int, official: str | None) -> Mix:
        v2 = importlib.import_module("torchvision.transforms.v2")
        mix: Mix = getattr(v2, name)(num_classes=num_classes)
        return mix

    return make


def _timm(mode: str) -> Callable[[Any, int, str | None], Mix]:
    def make(x: Any, num_classes: int, official: str | None) -> Mix:
        data = importlib.import_module("timm.data")
        mix: Mix = data.Mixup(mixup_alpha=1.0, num_classes=num_classes, mode=mode)

        def checked(x: Any, y: Any) -> Any:
            if not x.is_floating_point():  # the mode elem takes them, and makes all labels zero
                raise TypeError(f"weights of {x.dtype} would be zero")
            return mix(x, y)

        return mix if mode == "batch" else checked

    return make


def _kornia(x: Any, num_classes: int, official: str | None) -> Mix:
    augmentation = importlib.import_module("kornia.augmentation")
    mix: Mix = augmentation.RandomMixUpV2(p=1.0, data_keys=["input", "class"])
    return mix


def _keras(x: Any, num_classes: int, official: str | None) -> Mix:
    os.environ.setdefault("KERAS_BACKEND", "torch")
    keras = importlib.import_module("keras")
    if keras.backend.backend() != "torch":
        raise ImportError(f"KERAS_BACKEND is {keras.backend.backend()}, not torch")
    one_hot = importlib.import_module("torch.nn.functional").one_hot
    dtype = str(x.dtype).removeprefix("torch.") if x.is_floating_point() else "float32"
    layer = keras.layers.MixUp(alpha=1.0, dtype=dtype)
    device = "gpu:0" if x.is_cuda else "cpu"

    def mix(x: Any, y: Any) -> Any:
        with keras.device(device):  # else Keras would move the batch to a GPU that is there
            mixed = layer({"images": x, "labels": one_hot(y, num_classes).float()})
        return mixed["images"], mixed["labels"]

    return mix


_IN_PLACE = "overwrites its input, which saves it an allocation"

PEERS = {
    AUTHORS: Peer(_authors),
    TORCHVISION: Peer(_torchvision("MixUp")),
    "torchvision CutMix": Peer(_torchvision("CutMix")),
    "timm Mixup batch": Peer(_timm("batch"), _IN_PLACE),
    "timm Mixup elem": Peer(_timm("elem"), _IN_PLACE),
    "kornia RandomMixUpV2": Peer(_kornia, "labels are (class, class, λ), one row a sample"),
    "Keras MixUp": Peer(_keras, "torch backend; takes one-hot labels, made within the time"),
}
