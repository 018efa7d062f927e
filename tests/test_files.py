"""Files: whole or as they were, never over what is read, and announced by the name they have."""

import contextlib
import importlib
import io
import json
import os
import re
import stat
import subprocess
import sys
import tempfile
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from zetamix.cli import main, outputs
from zetamix.cli.gallery import PICTURES

from zetamix_core import MixPlan, zeta_plan
from zetamix_core._files import replacing

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
PLAN = zeta_plan(8, rng=0)
SMALL = ("--gammas", "2", "--neighbors", "9")

posix = pytest.mark.skipif(os.name != "posix", reason="links, modes and pipes as in POSIX")
checkout = pytest.mark.skipif(
    not BENCHMARKS.is_dir(), reason="the benchmarks are in checkouts only"
)


@pytest.fixture(autouse=True)
def _plain_terminal(monkeypatch):
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    for name, value in {"COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def data(tmp_path):
    """A file of samples."""
    file = tmp_path / "ok.npz"
    np.savez(file, x=np.random.default_rng(0).normal(size=(60, 5)))
    return file


@pytest.fixture
def benchmark(monkeypatch):
    """Import a file of the benchmarks, as the programs there do."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module


def contents(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}


# --- whole or as they were ------------------------------------------------------------------------


@pytest.mark.parametrize("error", [OSError("no room"), ValueError("a fault"), KeyboardInterrupt()])
@pytest.mark.parametrize("old", [None, b"old"])
def test_an_error_leaves_what_was_there(tmp_path, old, error):
    file = tmp_path / "file"
    if old is not None:
        file.write_bytes(old)
    before = contents(tmp_path)
    with pytest.raises(type(error)), replacing(file) as stream:
        stream.write(b"half of the new one")
        stream.flush()
        assert contents(tmp_path).items() > before.items()  # it is beside
        raise error
    assert contents(tmp_path) == before


def test_what_is_written_appears_at_the_end(tmp_path):
    file = tmp_path / "file"
    with replacing(str(file)) as stream:
        stream.write(b"new")
        stream.flush()
        assert not file.exists()
    assert contents(tmp_path) == {"file": b"new"}


# Everything that writes a file, on a disk with room for some bytes only, and killed.
PROGRAM = """
import contextlib, io, json, os, resource, signal, sys, warnings
from pathlib import Path

warnings.simplefilter("ignore", DeprecationWarning)  # forks, of a process with threads of BLAS
from matplotlib.figure import Figure
from zetamix import metrics, zeta_plan
from zetamix.cli import comparison, gallery, main, report, theory_picture

start, benchmarks = Path(sys.argv[1]), sys.argv[2]

# What is written matters here, and not what is in it.
report.render = lambda *args: '<!doctype html><meta name="generator" content="zetamix 1">' * 9
metrics.gamma_report = lambda *args, **options: "measures"
comparison.compare = lambda key: []
figure = theory_picture.theory_picture = lambda *args: Figure(figsize=(1, 1))
gallery.PICTURES.clear()
gallery.PICTURES["demo.png"] = gallery.Picture(figure, "nothing")

def command(*args):
    output, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        code = main(args)
    return code, output.getvalue() + errors.getvalue()

writers = {
    "plan": lambda: zeta_plan(64, rng=0).save("plan"),
    "plan.npz": lambda: zeta_plan(64, rng=0).save(Path("plan.npz")),
    "page.html": lambda: command("report", "-o", "page.html"),
    "theory": lambda: command("theory", "--plot", "theory"),
    "theory.png": lambda: command("theory", "--plot", "theory.png"),
    "theory.pdf": lambda: command("theory", "--plot", "theory.pdf"),
    "theory.svg": lambda: command("theory", "--plot", "theory.svg"),
    "demo.png": lambda: command("demo", "-o", "."),
}
if benchmarks:
    sys.path.insert(0, benchmarks)
    import harness, poster, poster_pictures
    writers |= {
        "results.json": lambda: harness.write_json({"a": [0.5] * 1000}, Path("results.json")),
        "table.csv": lambda: poster._write_csv(Path("table.csv"), ["a"], [[0.5]] * 1000),
        "poster.png": lambda: poster_pictures.save(figure(), Path("poster")),
    }


def listing(folder):
    return {file.name: file.read_bytes().hex() for file in folder.iterdir()}

found = {}
_, most = resource.getrlimit(resource.RLIMIT_FSIZE)
for name, write in writers.items():
    for old in (False, True):
        folder = start / f"{name}, {old}"
        folder.mkdir()
        os.chdir(folder)
        if old:
            write()
        before = listing(folder)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, most))
        try:
            outcome = write()
        except OSError as error:
            outcome = 2, str(error)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        found[f"full, {name}, {old}"] = [*outcome, listing(folder) == before]

def kill(*args, **options):
    os.kill(os.getpid(), signal.SIGKILL)

def replace_and_kill(self, target, real=Path.replace):
    real(self, target)
    kill()

for name, write in writers.items():
    for moment in ("written", "renamed"):
        folder = start / f"{name}, {moment}"
        folder.mkdir()
        os.chdir(folder)
        write()
        before = listing(folder)
        os.utime(name, (0, 0))
        child = os.fork()
        if not child:
            if moment == "written":
                os.fsync = kill
            else:
                Path.replace = replace_and_kill
            try:
                write()
            finally:
                os._exit(0)
        _, status = os.waitpid(child, 0)
        after = listing(folder)
        beside = [each for each in after if each not in before]
        found[f"kill, {name}, {moment}"] = [
            os.waitstatus_to_exitcode(status), beside, os.path.getmtime(name) == 0,
            len(after[name]) == len(before[name]),
        ]
print(json.dumps(found))
"""
FILES = ["plan", "plan.npz", "page.html", "theory", "theory.png", "theory.pdf", "theory.svg",
         "demo.png"]  # fmt: skip
OF_BENCHMARKS = ["results.json", "table.csv", "poster.png"]
WRITTEN = [*FILES, *(pytest.param(name, marks=checkout) for name in OF_BENCHMARKS)]


@pytest.fixture(scope="module")
def accidents(tmp_path_factory):
    folder = tmp_path_factory.mktemp("accidents")
    benchmarks = str(BENCHMARKS) if BENCHMARKS.is_dir() else ""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder), benchmarks],
        capture_output=True,
        encoding="utf-8",
        env=os.environ | {"COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1"},
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)


@posix
@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("name", WRITTEN)
def test_a_full_disk_leaves_what_was_there(accidents, name, old):
    code, message, same = accidents[f"full, {name}, {old}"]
    assert code == 2
    assert message in (f"[Errno 27] File too large: '{name}'", f"Error: {name}: File too large\n")
    assert same  # the same files, with the same bytes, and none beside


@posix
@pytest.mark.parametrize("moment", ["written", "renamed"])
@pytest.mark.parametrize("name", WRITTEN)
def test_a_kill_leaves_the_old_file_or_the_new_one(accidents, name, moment):
    code, beside, is_old, whole = accidents[f"kill, {name}, {moment}"]
    assert code == -9
    assert is_old == (moment == "written")
    assert whole
    assert len(beside) == (moment == "written")
    assert all(re.fullmatch(r"\.zetamix-[0-9a-f]{16}\.tmp", each) for each in beside)
