"""What is imported, exported and shipped."""

import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest
import zetamix

import zetamix_core

FRAMEWORKS = ["torch", "jax", "cupy", "dask", "sklearn", "matplotlib", "click", "rich"]


def run(code):
    """Run a program in a fresh interpreter, away from the checkout."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd="/"
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("package", ["zetamix_core", "zetamix"])
def test_importing_and_mixing_in_numpy_imports_no_framework(package):
    code = f"""
import sys
import numpy as np
import {package} as package
package.zeta_mixup(np.ones((4, 2)), np.arange(4), num_classes=4)
package.cutmix(np.ones((4, 2)), axes=(1,))
print([name for name in {FRAMEWORKS} if name in sys.modules])
"""
    assert run(code).strip() == "[]"


MODULES = ["batches", "cutmix", "drawing", "losses", "mixup", "plans", "weights"]
NAMESPACES = {
    "theory": ["theory"],
    "metrics": [f"metrics.{name}" for name in ("dimension", "labels", "neighbors", "realism")]
    + ["metrics.report"],
}


def check_public_names(modules):
    """Check that each module lists what it defines for the public, and return all of it."""
    listed = set()
    for name in modules:
        module = importlib.import_module(f"zetamix_core.{name}")
        own = {
            attribute
            for attribute, value in vars(module).items()
            if getattr(value, "__module__", None) == module.__name__
        }
        assert set(module.__all__) <= own
        # What other modules of a namespace share is in no list, and has no place in the reference.
        if "." not in name:
            assert set(module.__all__) == {each for each in own if not each.startswith("_")}
        listed |= set(module.__all__)
    return listed


def test_public_names():
    """The packages re-export just what the modules list."""
    for namespace, modules in NAMESPACES.items():
        exported = importlib.import_module(f"zetamix_core.{namespace}").__all__
        assert set(exported) == check_public_names(modules)
    listed = check_public_names(MODULES) | set(NAMESPACES)
    for package in (zetamix_core, zetamix):
        assert set(package.__all__) == listed
        visible = {
            name
            for name, value in vars(package).items()
            if not name.startswith("_") and not inspect.ismodule(value)
        }
        assert visible | set(NAMESPACES) == listed
    for name in listed - set(NAMESPACES):
        assert getattr(zetamix, name) is getattr(zetamix_core, name)


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_namespaces_are_modules(namespace):
    """They can be imported from, and hold the core's objects."""
    ours = importlib.import_module(f"zetamix.{namespace}")
    core = importlib.import_module(f"zetamix_core.{namespace}")
    assert ours is getattr(zetamix, namespace)
    assert ours.__all__ == core.__all__
    for name in core.__all__:
        assert getattr(ours, name) is getattr(core, name)


def test_the_second_copy_of_the_adapters_is_never_imported():
    """An editable install of this layout also exposes `adapters.zetamix`."""
    sources = Path(zetamix_core.__file__).parent, Path(zetamix.__file__).parent
    for folder in sources:
        for path in folder.rglob("*.py"):
            assert "adapters.zetamix" not in path.read_text(encoding="utf-8"), path
    assert "adapters" not in sys.modules


def test_the_version_is_that_of_the_distribution():
    from importlib.metadata import version

    assert zetamix.__version__ == zetamix_core.__version__ == version("zetamix")


def test_the_wheel_holds_the_two_packages_and_nothing_else():
    from importlib.metadata import distribution

    files = distribution("zetamix").files
    top = {file.parts[0] for file in files if not file.parts[0].startswith("zetamix-")}
    if any(name.endswith(".pth") for name in top):
        pytest.skip("an editable install has a link in place of files; the wheel is tested too")
    assert {name for name in top if name not in ("..", "__pycache__")} == {
        "zetamix",
        "zetamix_core",
    }


def test_typed():
    for package in (zetamix, zetamix_core):
        assert Path(package.__file__).with_name("py.typed").is_file()
