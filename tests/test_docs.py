"""Documentation that runs: docstring examples, code blocks, and the form of docstrings."""

import ast
import doctest
import importlib
import importlib.util
import inspect
import re
import runpy
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import zetamix
from cogapp import Cog
from numpydoc.docscrape import get_doc_object
from numpydoc.validate import validate

import zetamix_core

CORE = ["batches", "cutmix", "drawing", "losses", "mixup", "plans", "theory", "weights"]
CORE += [f"metrics.{name}" for name in ("dimension", "labels", "neighbors", "realism", "report")]
ADAPTERS = {
    "torch": ["transforms", "one_of", "collate"],
    "jax": ["functions"],
}
MODULES = [f"zetamix_core.{name}" for name in CORE] + [
    pytest.param(f"zetamix.{adapter}.{name}", marks=pytest.mark.needs(adapter))
    for adapter, names in ADAPTERS.items()
    for name in names
]
NAMESPACES = ["metrics", "theory"]
ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
HEAVY = ["grain", "keras", "kornia", "lightning", "monai", "optax", "timm", "torchvision"]
# Sections and formatting; wording is left to people.
RULES = {
    *("GL01", "GL02", "GL03", "GL06", "GL07", "GL08", "GL09", "GL10"),
    *("SS01", "SS02", "SS04", "SS05", "SS06", "EX01"),
    *("PR01", "PR02", "PR03", "PR04", "PR05", "PR07", "PR10", "RT01", "RT03"),
}


def public_objects():
    names = [name for name in zetamix.__all__ if name not in NAMESPACES]
    for namespace in NAMESPACES:
        names += [f"{namespace}.{name}" for name in getattr(zetamix, namespace).__all__]
    shared = ["__matmul__", "apply", "mix_labels", "where"]
    own = ["mix", "sparse_labels", "matrix", "save", "load"]
    names += [f"MixPlan.{name}" for name in shared + own]
    names += [f"CutMixPlan.{name}" for name in shared]
    return names + [name for adapter in ADAPTERS for name in objects_of(adapter)]


def objects_of(adapter):
    if importlib.util.find_spec(adapter) is None:
        return []
    module = importlib.import_module(f"zetamix.{adapter}")
    methods = {"ZetaMixup": ["forward", "draw"], "ZetaMixupCollate": ["set_epoch"]}
    names = []
    for name in module.__all__:
        if getattr(module, name) is not getattr(zetamix_core, name, None):
            names += [f"{adapter}.{name}"]
            names += [f"{adapter}.{name}.{method}" for method in methods.get(name, [])]
    return names


def full_name(name):
    package = "zetamix_core" if name.split(".")[0] in NAMESPACES else "zetamix"
    return f"{package}.{name}"


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name):
    module = importlib.import_module(name)
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize("name", public_objects())
def test_docstrings_follow_numpydoc(name):
    errors = [error for error in validate(full_name(name))["errors"] if error[0] in RULES]
    assert errors == []


def resolved(name):
    """The object of a name as in `public_objects`."""
    package, *path = full_name(name).split(".")
    found = importlib.import_module(package)
    for part in path:
        found = getattr(found, part)
    return found


def raises_nothing(name):
    """Tell whether there is nothing to refuse: in results of functions, and in making a matrix."""
    is_measure = name.startswith("metrics.") and inspect.isclass(resolved(name))
    return is_measure or name in ("CutMixPlan", "MixPlan.matrix")


@pytest.mark.parametrize("name", [name for name in public_objects() if not raises_nothing(name)])
def test_docstrings_tell_what_is_raised(name):
    assert get_doc_object(resolved(name))["Raises"]


def reference():
    """The full names of all objects in the API reference."""
    text = (ROOT / "docs" / "api.rst").read_text(encoding="utf-8")
    names, module = [], ""
    for line in text.splitlines():
        if found := re.fullmatch(r".. currentmodule:: (\S+)", line):
            module = found[1]
        elif found := re.fullmatch(r"   ([\w.]+)", line):
            names.append(f"{module}.{found[1]}")
    return names


def listed(module):
    """The names in ``__all__`` of a module that need not be importable here."""
    source = importlib.util.find_spec(module).origin
    tree = ast.parse(Path(source).read_text(encoding="utf-8"))
    lists = [node for node in tree.body if isinstance(node, ast.Assign)]
    return next(ast.literal_eval(node.value) for node in lists if node.targets[0].id == "__all__")


def test_the_reference_is_complete():
    """Every public name, and nothing else, is in the reference."""
    expected = {full_name(name) for name in public_objects()}
    for module in ("zetamix.torch", "zetamix.jax", "zetamix.cupy", "zetamix.jax.grain"):
        expected |= {f"{module}.{name}" for name in listed(module)}
    # What these modules pass on from the core is documented there.
    passed_on = {
        f"zetamix.{adapter}.{name}"
        for adapter in ("torch", "jax")
        for name in ("MixPlan", "mixed_accuracy", "mixed_loss")
    }
    methods = {
        f"zetamix.torch.{name}"
        for name in ("ZetaMixup.forward", "ZetaMixup.draw", "ZetaMixupCollate.set_epoch")
    }
    assert sorted(reference()) == sorted((expected - passed_on) | methods)


def test_no_page_lacks_a_title():
    assert len(PAGES) >= 5
    for page in PAGES:
        assert page.read_text(encoding="utf-8").startswith("# "), page


def code_blocks(page):
    """The Python blocks of a page; those for CuPy, which needs a device, by themselves."""
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for_cupy = [block for block in blocks if "import cupy" in block]
    return "\n".join(block for block in blocks if block not in for_cupy), "\n".join(for_cupy)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_code_blocks_run(page, tmp_path, monkeypatch, require):
    """All Python blocks of a page, one after the other, as a reader would type them."""
    monkeypatch.chdir(tmp_path)
    code, _ = code_blocks(page)
    for library in sorted(set(re.findall(r"^(?:import|from) (\w+)", code, flags=re.MULTILINE))):
        if library in ("torch", "jax", "dask"):
            require(library)
        if library in HEAVY:
            pytest.skip(f"executed with the pipelines, which need {library}")
    exec(compile(ast.parse(code), str(page), "exec"), {"__name__": "__main__"})


FOR_CUPY = [page for page in PAGES if code_blocks(page)[1]]
CUPY_TUTORIAL = ROOT / "docs" / "tutorials" / "cupy_scripting.py"


def test_there_are_blocks_for_cupy():
    assert [page.name for page in FOR_CUPY] == ["start.md"]


@pytest.mark.parametrize("page", FOR_CUPY, ids=lambda page: page.name)
def test_code_blocks_for_cupy_run(page, cupy_backend):
    exec(code_blocks(page)[1], {"__name__": "__main__"})


def test_the_tutorial_for_cupy_runs(cupy_backend):
    runpy.run_path(str(CUPY_TUTORIAL))


@pytest.fixture
def numpy_as_cupy(monkeypatch):
    """NumPy by the name of CuPy, with a device that does everything at once."""
    names = {name: getattr(np, name) for name in dir(np) if not name.startswith("__")}
    cupy = types.ModuleType("cupy")
    vars(cupy).update(names, __version__="stand-in", asarray=np.asarray, empty=np.empty)
    stream = types.SimpleNamespace(
        synchronize=lambda: None, wait_event=lambda event: None, record=lambda stream: None
    )
    cupy.cuda = types.SimpleNamespace(
        Device=lambda: _Device(),
        Event=lambda disable_timing: stream,
        Stream=lambda non_blocking: stream,
        get_current_stream=lambda: stream,
        runtime=types.SimpleNamespace(getDeviceProperties=lambda device: {"name": b"none"}),
    )
    cupy.empty = lambda shape, dtype: np.empty(shape, dtype=dtype).view(_DeviceArray)
    cupyx = types.ModuleType("cupyx")
    cupyx.empty_pinned = np.empty
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    monkeypatch.setitem(sys.modules, "cupyx", cupyx)
    monkeypatch.delitem(sys.modules, "zetamix.cupy", raising=False)
    yield
    sys.modules.pop("zetamix.cupy", None)


class _Device:
    id = 0

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None


class _DeviceArray(np.ndarray):
    def set(self, source, stream):
        self[...] = source


@pytest.mark.parametrize("page", FOR_CUPY, ids=lambda page: page.name)
def test_code_blocks_for_cupy_run_with_numpy_in_its_place(page, numpy_as_cupy):
    exec(code_blocks(page)[1], {"__name__": "__main__"})


def test_the_tutorial_for_cupy_runs_with_numpy_in_its_place(numpy_as_cupy, capsys):
    runpy.run_path(str(CUPY_TUTORIAL))
    assert "same indices: True" in capsys.readouterr().out


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_tables_are_those_of_the_code(page, capsys):
    """What a page makes in a comment is what stands below it; `cogapp -rP` writes it anew."""
    assert Cog().main(["cog", "-P", "--check", str(page)]) == 0, capsys.readouterr().out


@pytest.mark.parametrize("page", sorted(ROOT.glob("*.md")), ids=lambda page: page.name)
def test_links_to_files_lead_somewhere(page):
    """Links of the pages that are read beside the code; those of the site are checked there."""
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    if not (ROOT / "benchmarks").exists():  # beside an installed wheel
        links = [link for link in links if not link.startswith("benchmarks/")]
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_signatures_are_in_one_grammar():
    """Arrays and counts are positional, options go by keyword."""
    for name in ("zeta_mixup", "mixup", "cutmix", "zeta_plan", "mixup_plan", "dirichlet_plan"):
        parameters = inspect.signature(getattr(zetamix, name)).parameters.values()
        positional = [p.name for p in parameters if p.kind is not p.KEYWORD_ONLY]
        assert positional in (["x", "y"], ["n"])
