"""What the training loops share: digits, a small model, and frameworks that can be imported."""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split


class Digits(NamedTuple):
    """Images of shape (N, 1, 8, 8) from 0 to 1, and their classes, as torch tensors."""

    images: Any
    labels: Any
    test_images: Any
    test_labels: Any


@pytest.fixture(scope="session")
def digits() -> Digits:
    """1347 digits to train with, so that 64 leaves a last batch of 3, and 450 to test with."""
    torch = importlib.import_module("torch")
    data = load_digits()
    images = (data.images[:, None] / 16).astype("float32")
    parts = train_test_split(
        images, data.target, test_size=450, stratify=data.target, random_state=0
    )
    x, test_x, y, test_y = (torch.from_numpy(part) for part in parts)
    return Digits(x, y, test_x, test_y)


@pytest.fixture(scope="session")
def make_model() -> Callable[[], Any]:
    """Return a new small network, the same one each time."""
    torch = importlib.import_module("torch")

    def make_model() -> Any:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return torch.nn.Sequential(
                torch.nn.Flatten(),
                torch.nn.Linear(64, 64),
                torch.nn.ReLU(),
                torch.nn.Linear(64, 10),
            )

    return make_model


@pytest.fixture(scope="session")
def accuracy(digits: Digits) -> Callable[[Any], float]:
    """Return the share of the digits kept back that a model gets right."""
    torch = importlib.import_module("torch")

    def accuracy(model: Any) -> float:
        mode = model.training
        model.eval()
        with torch.no_grad():
            hits = model(digits.test_images).argmax(dim=1) == digits.test_labels
        model.train(mode)
        return float(hits.float().mean())

    return accuracy


@pytest.fixture(scope="session")
def framework(prepared_torchvision: None) -> Callable[[str], Any]:
    """Import a framework that may be missing; many look for torchvision when they are imported."""

    def framework(name: str) -> Any:
        return pytest.importorskip(name, reason=f"{name} is not installed")

    return framework


@pytest.fixture(scope="session")
def prepared_torchvision() -> None:
    """Make torchvision importable, if there is one, even where its operators don't load.

    Its Python parts, all that is needed here, register themselves with compiled operators by name;
    names without an implementation are enough for that.
    """
    if importlib.util.find_spec("torchvision") is None:
        return
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if "operator torchvision::nms does not exist" not in str(error):
            raise
    else:
        return
    # What was imported before the error is of no use.
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
    _declare_operators()
    importlib.import_module("torchvision")


_declarations: list[Any] = []


def _declare_operators() -> None:
    torch = importlib.import_module("torch")
    spec = importlib.util.find_spec("torchvision")
    assert spec is not None
    assert spec.origin is not None
    names: set[str] = set()
    for file in Path(spec.origin).parent.glob("_*_registrations.py"):
        text = file.read_text(encoding="utf-8")
        names.update(re.findall(r"(?:torchvision::|ops\.torchvision\.|_meta\(\")(\w+)", text))
    library = torch.library.Library("torchvision", "DEF")
    for name in sorted(names):
        library.define(f"{name}(Tensor a) -> Tensor")
    # Declarations end with the object.
    _declarations.append(library)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """So little work is done fastest by one thread."""
    torch = importlib.import_module("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
