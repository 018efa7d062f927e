"""What is imported, exported and shipped."""

import ast
import functools
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


@pytest.mark.needs("torch")
def test_mixing_in_torch_imports_no_compiler():
    """Which takes longer than torch itself, in each worker that is spawned."""
    code = """
import sys
import torch, zetamix, zetamix.torch as zt
from zetamix.rules import OneOf, Zeta, CutMix
x, y = torch.ones(4, 3, 8, 8), torch.arange(4)
mix = zt.Mix(OneOf([Zeta(), CutMix(axes=(2, 3))]), num_classes=4, seed=0)
zt.OneOf([mix, zt.ZetaMixup(num_classes=4, generator=torch.Generator())])(x, y)
zt.ZetaMixupCollate(num_classes=4)(list(zip(x, y)))
zetamix.zeta_mixup(x, y, num_classes=4, rng=torch.Generator())
zetamix.zeta_mixup(x, y, num_classes=4, rng="device")
print("torch._dynamo" in sys.modules)
"""
    assert run(code).strip() == "False"


MODULES = ["epochs", "functions", "losses", "oversampling", "plans", "random.ids", "random.orders"]
MODULES += ["weights"]
NAMESPACES = {
    "theory": ["theory"],
    "metrics": [f"metrics.{name}" for name in ("dimension", "experiment", "label_quality")]
    + ["metrics.neighbors", "metrics.realism", "metrics.report", "metrics.suggestion"],
    "rules": ["rules"],
}


def listed_in(modules):
    """Return what modules of the core list for the public; it is theirs, or of their package."""
    listed = set()
    for name in modules:
        module = importlib.import_module(f"zetamix_core.{name}")
        for attribute in module.__all__:
            assert getattr(module, attribute).__module__.startswith(module.__name__)
        listed |= set(module.__all__)
    return listed


def test_public_names():
    """The packages re-export just what the modules list."""
    for namespace, modules in NAMESPACES.items():
        exported = importlib.import_module(f"zetamix_core.{namespace}").__all__
        assert set(exported) == listed_in(modules)
    listed = listed_in(MODULES) | set(NAMESPACES)
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


CORE = Path(zetamix_core.__file__).parent
MODULE_NAMES = [
    ".".join(path.relative_to(CORE).with_suffix("").parts) for path in CORE.rglob("*.py")
]


def test_no_module_of_the_core_is_private_or_hidden_by_a_function():
    """``import zetamix_core.x as m`` gives the module, and a listing of the folder all of them."""
    for name in MODULE_NAMES:
        parts = [part for part in name.split(".") if part != "__init__"]
        assert not any(part.startswith("_") for part in parts)
        if not parts or parts[-1].endswith("_streams"):  # which need their framework
            continue
        module = importlib.import_module(".".join(["zetamix_core", *parts]))
        assert functools.reduce(getattr, parts, zetamix_core) is module


def imports_of_the_core(path):
    """The pairs (module, name) that a file imports from the core."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("zetamix_core"):
            found |= {(node.module, alias.name) for alias in node.names}
        if isinstance(node, ast.Import):
            found |= {(a.name, "") for a in node.names if a.name.startswith("zetamix_core")}
    return found


def test_adapters_enter_the_core_by_one_door():
    """Besides public names they import what `zetamix_core.adapting` lists, all of which is used."""
    door = importlib.import_module("zetamix_core.adapting")
    used = set()
    for path in Path(zetamix.__file__).parent.rglob("*.py"):
        for module, name in imports_of_the_core(path):
            if module == "zetamix_core.adapting":
                used.add(name)
                continue
            namespace = module.partition(".")[2]
            assert namespace in ("", *NAMESPACES), (path, module)
            public = {*importlib.import_module(module).__all__, "*", "__all__", "__version__"}
            assert name in public, (path, module, name)
    assert used == set(door.__all__)


def test_figures_know_nothing_of_the_command():
    for path in (Path(zetamix.__file__).parent / "figures").rglob("*.py"):
        assert "zetamix.cli" not in path.read_text(encoding="utf-8"), path


def test_modules_are_of_a_length_to_be_read():
    for root in (CORE, Path(zetamix.__file__).parent):
        for path in root.rglob("*.py"):
            assert len(path.read_text(encoding="utf-8").splitlines()) <= 450, path


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_namespaces_are_modules(namespace):
    """They can be imported from, and hold the core's objects."""
    ours = importlib.import_module(f"zetamix.{namespace}")
    core = importlib.import_module(f"zetamix_core.{namespace}")
    assert ours is getattr(zetamix, namespace)
    assert ours.__all__ == core.__all__
    for name in core.__all__:
        assert getattr(ours, name) is getattr(core, name)


def test_namespaces_are_those_of_the_package_from_the_start():
    code = "import zetamix as z; print(*(m.__name__ for m in (z.metrics, z.rules, z.theory)))"
    assert run(code).split() == ["zetamix.metrics", "zetamix.rules", "zetamix.theory"]


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
