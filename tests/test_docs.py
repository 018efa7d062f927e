"""Documentation that runs: docstring examples, code blocks, and the form of docstrings."""

import ast
import doctest
import importlib
import importlib.util
import inspect
import re
from pathlib import Path

import pytest
import zetamix
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
HEAVY = ["grain", "lightning", "optax", "timm", "torchvision", "transformers"]
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
    if name.endswith((".__matmul__", ".matrix", ".save", ".draw", ".forward", ".set_epoch")):
        errors = [error for error in errors if error[0] != "EX01"]  # shown by their class
    if name.startswith("metrics.") and name.split(".")[1][0].isupper():
        errors = [error for error in errors if error[0] != "EX01"]  # shown by what returns them
    assert errors == []


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


@pytest.mark.parametrize("name", public_objects())
def test_public_objects_are_in_the_reference(name):
    assert full_name(name) in reference()


def test_no_page_lacks_a_title():
    assert len(PAGES) >= 5
    for page in PAGES:
        assert page.read_text(encoding="utf-8").startswith("# "), page


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_code_blocks_run(page, tmp_path, monkeypatch, require):
    """All Python blocks of a page, one after the other, as a reader would type them."""
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    code = "\n".join(blocks)
    for library in sorted(set(re.findall(r"^(?:import|from) (\w+)", code, flags=re.MULTILINE))):
        if library in ("torch", "jax"):
            require(library)
        if library in HEAVY:
            pytest.skip(f"executed with the pipelines, which need {library}")
    exec(compile(ast.parse(code), str(page), "exec"), {"__name__": "__main__"})


def test_signatures_are_in_one_grammar():
    """Arrays and counts are positional, options go by keyword."""
    for name in ("zeta_mixup", "mixup", "cutmix", "zeta_plan", "mixup_plan", "dirichlet_plan"):
        parameters = inspect.signature(getattr(zetamix, name)).parameters.values()
        positional = [p.name for p in parameters if p.kind is not p.KEYWORD_ONLY]
        assert positional in (["x", "y"], ["n"])
