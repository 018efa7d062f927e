"""Documentation that runs: docstring examples, code blocks, and the form of docstrings."""

import ast
import doctest
import functools
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

CORE = Path(zetamix_core.__file__).parent
ADAPTERS = {
    "torch": ["mix", "transforms", "one_of", "collate"],
    "jax": ["functions"],
    "sklearn": ["sampler", "base", "classifier", "regressor"],
    "dask": ["functions"],
}
WITH_EXAMPLES = sorted(
    ".".join(path.relative_to(CORE.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in CORE.rglob("*.py")
    if ">>> " in path.read_text(encoding="utf-8")
)
MODULES = WITH_EXAMPLES + [
    pytest.param(f"zetamix.{adapter}.{name}", marks=pytest.mark.needs(adapter))
    for adapter, names in ADAPTERS.items()
    for name in names
]
NAMESPACES = ["metrics", "rules", "theory"]
ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("docs/coming-from/*.md")])
HEAVY = [
    "grain",
    "keras",
    "kornia",
    "lightning",
    "monai",
    "optax",
    "timm",
    "torchvision",
    "transformers",
]
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
    names += [name for adapter in ADAPTERS for name in objects_of(adapter)]
    return names + [f"{name}.{member}" for name in names for member in members(resolved(name))]


def objects_of(adapter):
    """The names in an adapter, without those that it passes on from the core."""
    if importlib.util.find_spec(adapter) is None:
        return []
    module = importlib.import_module(f"zetamix.{adapter}")
    own = [
        name
        for name in module.__all__
        if getattr(module, name) is not getattr(zetamix_core, name, None)
    ]
    return [f"{adapter}.{name}" for name in own]


def members(thing):
    """The public methods of a class that are its own, or of a base in the package.

    What PyTorch asks a module for is left out.
    """
    hooks = {"extra_repr", "get_extra_state", "set_extra_state"}
    own = defined_in(thing, types.FunctionType | classmethod)
    shown = {name for name in own if not name.startswith("_")} | own & {"__matmul__"}
    return sorted(name for name in shown - hooks if not documented_by_a_base(thing, name))


def documented_by_a_base(thing, name):
    """Whether a method has the words of a base in the core, where they are checked."""
    inner = ("Value", "Summarized")  # of which `Plan` tells
    core = [base for base in thing.__mro__[1:] if base.__module__.startswith("zetamix_core")]
    core = [base for base in core if base.__name__ not in inner]
    bases = [getattr(base, name, None) for base in core]
    own = getattr(thing, name).__doc__
    return any(base.__doc__ and own in (None, base.__doc__) for base in bases if base)


def defined_in(thing, kind):
    """The names of this kind that a class has from itself, or from a base in the package."""
    bases = [base for base in getattr(thing, "__mro__", ()) if "zetamix" in base.__module__]
    return {
        name for base in bases for name, member in vars(base).items() if isinstance(member, kind)
    }


def resolved(name):
    """The object of a name as in `public_objects`."""
    return functools.reduce(getattr, name.split("."), zetamix)


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name):
    module = importlib.import_module(name)
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize("name", public_objects())
def test_docstrings_follow_numpydoc(name):
    errors = [error for error in validate(f"zetamix.{name}")["errors"] if error[0] in RULES]
    if getattr(resolved(name), "_is_protocol", False):  # typing gives protocols arguments
        errors = [error for error in errors if error[0] != "PR01"]
    assert errors == []


@pytest.mark.parametrize("name", public_objects())
def test_properties_are_documented_by_their_class(name):
    documented = get_doc_object(resolved(name), config={"show_class_members": False})
    listed = {each.name for each in documented["Attributes"] + documented["Parameters"]}
    # These are keywords of all modules, and documented by those that do not pass them on.
    shared = {"seed", "rank", "rule", "training"} if name.startswith("torch.") else set()
    shared |= {"takes_groups"} if name.startswith("rules.") else set()
    properties = {name for name in defined_in(resolved(name), property) if name[0] != "_"}
    assert properties - shared <= listed


def raises_nothing(name):
    """Tell whether there is nothing to refuse: in results, in a matrix, and by a switch."""
    is_measure = name.startswith("metrics.") and inspect.isclass(resolved(name))
    return is_measure or name in ("CutMixPlan", "MixPlan.matrix") or name.endswith(".eval")


@pytest.mark.parametrize("name", [name for name in public_objects() if not raises_nothing(name)])
def test_docstrings_tell_what_is_raised(name):
    assert get_doc_object(resolved(name))["Raises"]


def reference():
    """The full names of all objects in the API reference."""
    text = (ROOT / "docs" / "api.rst").read_text(encoding="utf-8")
    names, module = [], ""
    for line in text.splitlines():
        if found := re.fullmatch(r".. (?:current)?module:: (\S+)", line):
            module = found[1]
        elif found := re.fullmatch(r"   ([\w.]+)", line):
            names.append(f"{module}.{found[1]}")
    return names


def listed(file):
    """The names in ``__all__`` of an adapter, read without importing what it is for."""
    source = Path(zetamix.__file__).parent / file
    tree = ast.parse(source.read_text(encoding="utf-8"))
    lists = [node for node in tree.body if isinstance(node, ast.Assign)]
    return next(ast.literal_eval(node.value) for node in lists if node.targets[0].id == "__all__")


def test_the_reference_is_complete():
    """Every public name, and nothing else, is in the reference."""
    expected = {f"zetamix.{name}" for name in public_objects()}
    files = {
        "torch": "torch/__init__.py",
        "jax": "jax/__init__.py",
        "jax.grain": "jax/grain/__init__.py",
        "sklearn": "sklearn/__init__.py",
        "dask": "dask/__init__.py",
        "cupy": "cupy.py",
    }
    for module, file in files.items():
        expected |= {f"zetamix.{module}.{name}" for name in listed(file)}
    # What these modules pass on from the core is documented there.
    passed_on = {
        f"zetamix.{adapter}.{name}"
        for adapter in ("torch", "jax")
        for name in ("MixPlan", "mixed_accuracy", "mixed_loss")
    }
    if not any(name.startswith("torch.") for name in public_objects()):
        pytest.skip("methods of zetamix.torch can't be told without torch")
    expected |= {
        f"zetamix.jax.grain.{name}.{method}"
        for name in ("Mix", "ZetaMixup")
        for method in ("output_spec", "random_map")
    }
    assert sorted(reference()) == sorted(expected - passed_on)


def test_no_page_lacks_a_title():
    assert len(PAGES) >= 5
    for page in PAGES:
        assert page.read_text(encoding="utf-8").startswith("# "), page


def test_percent_signs_follow_their_numbers():
    """On all pages and in all results, and so in what is copied from them."""
    pages = [*PAGES, *ROOT.glob("docs/tutorials/*.py"), *ROOT.glob("benchmarks/**/*.md")]
    found = {page: re.findall(r".*\d %", page.read_text(encoding="utf-8")) for page in pages}
    assert {page: lines for page, lines in found.items() if lines} == {}


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
    vars(cupy).update(names, __version__="stand-in")
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
    if page.name in ("cost.md", "scaling-out.md", "when-to-mix.md") and not RESULTS.exists():
        pytest.skip("results of benchmarks are not beside an installed wheel")
    assert Cog().main(["cog", "-P", "--check", str(page)]) == 0, capsys.readouterr().out


def results_of(name, section):
    """The rows of a table of results, as lists of cells."""
    text = (RESULTS / name).read_text(encoding="utf-8").split(f"\n## {section}\n")[1]
    lines = [line for line in text.split("\n## ")[0].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def ratios(dtype, contender, side):
    """The least and the largest time beside torchvision's MixUp, for images of a size."""
    found = [
        float(row[5])
        for row in results_of("throughput.md", f"torch, {dtype}")
        if row[0].endswith(f"{side}×{side}") and row[1] == contender
    ]
    return f"{min(found):.1f} to {max(found):.1f}"


@pytest.mark.skipif(not RESULTS.exists(), reason="results are not beside an installed wheel")
def test_claims_of_the_readme_are_in_the_results():
    claims = (ROOT / "README.md").read_text(encoding="utf-8")
    large, small = (ratios("float32", "zetamix T=8", side) for side in (224, 32))
    assert f"{large} times as long as torchvision's MixUp of 2 on images of 224 pixels" in claims
    assert f"{small} times on images of 32" in claims
    large, small = (ratios("float32", "zetamix.torch T=8", side) for side in (224, 32))
    assert f"takes {large} and {small} times as long" in claims
    large, small = (ratios("bfloat16", "zetamix T=8", side) for side in (224, 32))
    assert f"takes {large} and {small} times" in claims
    ends = {row[0]: row[4] for row in results_of("scaling.md", "End to end; wanted: less than 1 s")}
    torch, numpy = (f"{float(ends[library]):.0f} ms in" for library in ("torch", "numpy"))
    assert f"{torch} torch, {numpy} NumPy" in claims
    for row in results_of("dimension.md", "Targets")[:4]:
        assert 9 <= round(1 / float(row[2])) <= 26
    digits = {row[0]: row[1] for row in results_of("poster.md", "digits: 1,797 samples")}
    of_zeta, of_mixup, of_originals = (
        f"{float(digits[name].split()[0]):.1f}"
        for name in ("ζ-mixup, γ = 2.8", "mixup, λ per batch", "originals")
    )
    assert f"of {of_zeta} at γ = 2.8, of {of_mixup} with mixup" in claims
    assert f"the originals {of_originals}" in claims
    ours, smote = [], []
    for case in ("two classes of 5,000", "a rare class of 1,000"):
        rows = results_of("tabular.md", f"10,000 rows of 20 columns grow elevenfold: {case}")
        times = {row[0]: row[1] for row in rows}
        ours.append(times["zetamix.oversample"])
        smote.append(times["SMOTE (k = 5)"])
    assert f"takes {ours[0]} ms for two classes of 5,000, SMOTE of imbalanced-learn" in claims
    assert f"{smote[0]} ms; for a rare class of 1,000 they take {ours[1]} and {smote[1]}" in claims


@pytest.mark.skipif(not RESULTS.exists(), reason="results are not beside an installed wheel")
def test_no_score_of_tables_is_better_beyond_its_interval():
    text = (RESULTS / "tabular.md").read_text(encoding="utf-8")
    precisions = re.findall(r"^\| \S[^|]* \| \S+ \(([+-]\S+) ± (\S+)\) \|", text, re.MULTILINE)
    assert len(precisions) > 100
    assert not [each for each in precisions if abs(float(each[0])) > float(each[1])]
    briers = re.findall(r"\| \S+ \(([+-]\S+) ± (\S+)\) \|$", text, re.MULTILINE)
    assert len(briers) == len(precisions)
    assert not [each for each in briers if -float(each[0]) > float(each[1])]


BESIDE_CODE = sorted([*ROOT.glob("*.md"), *ROOT.glob("benchmarks/*.md")])


@pytest.mark.parametrize("page", BESIDE_CODE, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_to_files_lead_somewhere(page):
    """Links of the pages that are read beside the code; those of the site are checked there."""
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    if not RESULTS.exists():  # beside an installed wheel
        links = [link for link in links if not link.startswith("benchmarks/")]
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_signatures_are_in_one_grammar():
    """Arrays and counts are positional, options go by keyword."""
    for name in ("zeta_mixup", "mixup", "cutmix", "zeta_plan", "mixup_plan", "dirichlet_plan"):
        parameters = inspect.signature(getattr(zetamix, name)).parameters.values()
        positional = [p.name for p in parameters if p.kind is not p.KEYWORD_ONLY]
        assert positional in (["x", "y"], ["n"])
