"""The page for those who come from other libraries: few lines change, and all programs run."""

import difflib
import math
import re
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.needs("torch"),
    pytest.mark.pipeline,
    # Lightning's own use of torch, and its advice on loops this small.
    pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec.` is deprecated"),
    pytest.mark.filterwarnings("ignore:.*does not have many workers:UserWarning"),
    pytest.mark.filterwarnings("ignore:The number of training batches .* is smaller:UserWarning"),
]
PAGE = Path(__file__).parents[2] / "docs" / "coming-from.md"
PROGRAMS = {
    (kind, library): code
    for kind, library, code in re.findall(
        r"<!-- (before|after): (\w+) -->\n```python\n(.*?)```",
        PAGE.read_text(encoding="utf-8"),
        flags=re.DOTALL,
    )
}
LIBRARIES = ["torchvision", "timm", "lightning"]


def test_there_is_a_pair_for_each_library():
    assert set(PROGRAMS) == {(kind, name) for kind in ("before", "after") for name in LIBRARIES}
    blocks = PAGE.read_text(encoding="utf-8").count("```python")
    assert blocks == len(PROGRAMS), "no program goes untested"


@pytest.mark.parametrize("library", LIBRARIES)
def test_at_most_three_lines_change(library):
    before, after = (PROGRAMS[kind, library].splitlines() for kind in ("before", "after"))
    changes = [
        max(end - start, other_end - other_start)
        for tag, start, end, other_start, other_end in difflib.SequenceMatcher(
            None, before, after, autojunk=False
        ).get_opcodes()
        if tag != "equal"
    ]
    assert 1 <= sum(changes) <= 3
    assert "zetamix" not in PROGRAMS["before", library]


@pytest.mark.parametrize("kind", ["before", "after"])
@pytest.mark.parametrize("library", LIBRARIES)
def test_programs_run(framework, library, kind, tmp_path, monkeypatch):
    framework("torchvision")
    framework(library)
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "__main__"}
    exec(compile(PROGRAMS[kind, library], f"{kind} {library}", "exec"), namespace)
    # Ten classes, of which a model that knows nothing makes a loss of log(10).
    assert 0 < namespace["loss"].item() < 2 * math.log(10)
    assert ("ZetaMixup" in namespace) == (kind == "after")
