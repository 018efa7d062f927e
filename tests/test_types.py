"""What type checkers are told: users' programs pass in strict mode, and mistakes are found."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import zetamix

import zetamix_core

pytest.importorskip("mypy")
ROOT = Path(__file__).parents[1]

GOOD = """
from typing import Any, assert_type

import jax
import numpy as np
import torch
import zetamix.jax
from zetamix import CutMixPlan, MixPlan, batches, cutmix, mix, mixup, oversample
from zetamix import zeta_mixup, zeta_plan
from zetamix.rules import CutMix, OneOf, Zeta
from zetamix.typing import RNG, Donors, Gamma, SupportsSamples


def drawn(gamma: Gamma, rng: RNG, donors: Donors, groups: SupportsSamples) -> MixPlan:
    return zeta_plan(4, gamma=gamma, donors=donors, groups=groups, rng=rng)


drawn(2.8, (0, 1), "same", np.arange(4))
x, y = np.ones((4, 3, 8, 8), dtype=np.uint8), np.arange(4)
mixed, soft = zeta_mixup(x, y, num_classes=4)
assert_type(mixed, np.ndarray[Any, np.dtype[Any]])
total = float(soft.sum())
assert_type(zeta_mixup(x)[1], None)
for images, labels in batches(x, y, 2, num_classes=4, rule=CutMix()):
    print(images.mean(), labels.sum())
for images, nothing in batches(x, None, 2):
    assert_type(nothing, None)

t, classes = torch.ones(4, 3), torch.arange(4)
rule = OneOf([Zeta(gamma=(1.8, 4.0)), CutMix(axes=(1,))])
assert_type(mixup(t, classes, num_classes=4, rng=torch.Generator())[0], torch.Tensor)
assert_type(mix(t, classes, rule, num_classes=4, rng=(0, 1))[1], torch.Tensor)
assert_type(cutmix(t, axes=(1,), rng="device"), tuple[torch.Tensor, None])
assert_type(oversample(t, classes, strategy={0: 5}, rng=0)[0], torch.Tensor)
total += float(oversample(np.ones((4, 2)), y, neighbors=2, donors="same")[0].sum())
plan = zeta_plan(4, gamma=t[:, 0], rng=np.int64(3), like=t)
assert_type(plan @ t, torch.Tensor)
assert_type(plan.mix_labels(classes, 4), torch.Tensor)
assert_type(plan.where(True), MixPlan)
assert_type(CutMixPlan.load("plan.npz", like=t), CutMixPlan)

key = jax.random.key(0)
j = jax.random.normal(key, (4, 3))
assert_type(zetamix.jax.zeta_mixup(key, j, gamma=j[:, 0])[1], None)
assert_type(zetamix.jax.mix(key, {"a": j}, j, rule)[0], dict[str, jax.Array])
assert_type(zetamix.jax.cutmix(key, j, j, axes=(1,))[1], jax.Array)
"""
BAD = """
import numpy as np
import zetamix.jax
from zetamix import batches, mix, zeta_mixup, zeta_plan
from zetamix.typing import RNG

zeta_mixup("images", 3, rng=[1, 2], gamma="2.8")
zeta_plan(4, gamma="2.8")
zeta_plan(4, rng=[1, 2])
zeta_plan("4")
mix([1, 2, 3])
batches(np.ones(3), None, 2, rule="zeta")
zetamix.jax.zeta_mixup(0, np.ones(3), gama=2.8)
seed: RNG = "0"
"""
MISTAKES = {7, 8, 9, 10, 11, 12, 13, 14}
# In the tabs of the start page the same names stand for arrays of several libraries.
RENAMED = """\
# mypy: allow-untyped-defs
# mypy: disable-error-code="assignment,no-redef,operator"
"""


def blocks(page):
    """The Python blocks of a page, one after the other, but those for CuPy, which has no types."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    return "\n".join(block for block in found if "import cupy" not in block)


def sources():
    """Where the packages are, if they are not installed."""
    found = {str(Path(each.__file__).parents[1]) for each in (zetamix, zetamix_core)}
    return [path for path in sorted(found) if "site-packages" not in path]


@pytest.fixture(scope="module")
def errors(request, tmp_path_factory):
    """The lines with errors that mypy finds in each program."""
    folder = tmp_path_factory.mktemp("programs")
    programs = {
        "good": GOOD,
        "bad": BAD,
        "readme": blocks("README.md"),
        "start": RENAMED + blocks("docs/start.md"),
    }
    for name, text in programs.items():
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    options = ["--strict", "--follow-imports=silent", "--ignore-missing-imports"]
    options += ["--allow-untyped-calls", "--config-file=", "--no-error-summary"]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *options, *[f"{name}.py" for name in programs]],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, "MYPYPATH": os.pathsep.join(sources())},
    )
    assert not done.stderr, done.stderr
    found = {name: [] for name in programs}
    for line in done.stdout.splitlines():
        if ": error: " in line:
            found[line.partition(".py:")[0]].append(line)
    return found


@pytest.mark.needs("torch")
@pytest.mark.parametrize("name", ["good", "readme", "start"])
def test_programs_of_users_pass_in_strict_mode(errors, name):
    assert errors[name] == []


@pytest.mark.needs("torch")
def test_mistakes_are_found(errors):
    lines = {int(line.split(":")[1]) for line in errors["bad"]}
    assert lines == MISTAKES


@pytest.mark.needs("torch")
@pytest.mark.pipeline
def test_another_checker_says_the_same(tmp_path):
    pytest.importorskip("basedpyright")
    (tmp_path / "good.py").write_text(GOOD, encoding="utf-8")
    (tmp_path / "bad.py").write_text(BAD, encoding="utf-8")
    config = {"typeCheckingMode": "strict", "extraPaths": sources(), "include": ["."]}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(config), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "basedpyright", "--outputjson", "--pythonpath", sys.executable],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    found = json.loads(done.stdout)["generalDiagnostics"]
    lines = {
        (Path(each["file"]).stem, each["range"]["start"]["line"] + 1)
        for each in found
        if each["severity"] == "error"
    }
    assert lines == {("bad", line) for line in MISTAKES}, found
