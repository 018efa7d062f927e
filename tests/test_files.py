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
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.figure import Figure
from zetamix.cli import main, outputs
from zetamix.figures.gallery import PICTURES
from zetamix.metrics import MixMeasures

from zetamix_core import MixPlan, zeta_plan
from zetamix_core.files import replacing

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

    def write():
        with replacing(file) as stream:
            stream.write(b"half of the new one")
            stream.flush()
            assert contents(tmp_path).items() > before.items()  # it is beside
            raise error

    with pytest.raises(type(error)):
        write()
    assert contents(tmp_path) == before


def test_a_rename_that_fails_is_told_of_the_file(tmp_path):
    file = tmp_path / "file"

    def write():
        with replacing(file):
            file.mkdir()

    with pytest.raises(IsADirectoryError) as caught:
        write()
    assert str(caught.value) == f"[Errno 21] Is a directory: '{file}'"
    assert list(tmp_path.iterdir()) == [file]


def test_what_is_written_appears_at_the_end(tmp_path):
    file = tmp_path / "file"
    with replacing(str(file)) as stream:
        stream.write(b"new")
        stream.flush()
        assert not file.exists()
    assert contents(tmp_path) == {"file": b"new"}


# Everything that writes a file, on a disk with room for some bytes only, and killed.
PROGRAM = """
import contextlib, io, json, os, resource, signal, sys, types, warnings
from pathlib import Path

warnings.simplefilter("ignore", DeprecationWarning)  # forks, of a process with threads of BLAS
from matplotlib.figure import Figure
from zetamix import metrics, zeta_plan
from zetamix.cli import main
from zetamix.figures import comparison, gallery, report, theory_picture

start, benchmarks = Path(sys.argv[1]), sys.argv[2]

# What is written matters here, and not what is in it.
a_page = '<!doctype html><meta name="generator" content="zetamix 1">' * 9
report.report_page = lambda *args, **options: a_page
row = metrics.MixMeasures("originals", None, *[1.0] * 7)
advice = types.SimpleNamespace(sentence="measures")
measured = types.SimpleNamespace(rows=(row,), notes=(), advice=advice)
report.measure = lambda *args, **options: measured
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

# What is imported and compiled while the disk is full would stay cut off for all programs.
sys.dont_write_bytecode = True
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
            outcome = 1, str(error)
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
    assert code == 1
    if name == "page.html":  # the table comes before
        message = message.splitlines(keepends=True)[-1]
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


# --- names, links, permissions --------------------------------------------------------------------


@posix
def test_permissions_are_those_of_the_old_file_or_of_new_ones(tmp_path):
    ordinary, new, old = tmp_path / "ordinary", tmp_path / "new", tmp_path / "old"
    for file in (ordinary, old):
        file.write_bytes(b"")
    for mode in (0o600, 0o640, 0o666):
        old.chmod(mode)
        with replacing(old) as stream:
            (beside,) = set(tmp_path.iterdir()) - {ordinary, old}
            assert stat.S_IMODE(beside.stat().st_mode) == mode  # never wider, not even meanwhile
            stream.write(b"new")
        assert stat.S_IMODE(old.stat().st_mode) == mode
    PLAN.save(new)
    assert new.stat().st_mode == ordinary.stat().st_mode


@posix
def test_nobody_else_can_open_the_new_file_meanwhile(tmp_path, monkeypatch):
    modes = []
    monkeypatch.setattr("zetamix_core.files._take_over", lambda _, file: modes.append(file.stat()))
    file = tmp_path / "file"
    file.write_bytes(b"old")
    PLAN.save(file)
    assert [stat.S_IMODE(each.st_mode) for each in modes] == [0o600]


@posix
def test_links_stay_and_what_they_lead_to_is_replaced(tmp_path, monkeypatch):
    (tmp_path / "far").mkdir()
    (tmp_path / "near").mkdir()
    file = tmp_path / "far" / "plan"
    link = tmp_path / "near" / "link"
    link.symlink_to("second")
    (tmp_path / "near" / "second").symlink_to("../far/plan")
    monkeypatch.chdir(tmp_path / "near")
    for name in ("link", link):  # which leads to nothing at first
        PLAN.save(name)
        assert MixPlan.load(file) == PLAN
        assert link.is_symlink()
        assert [each.name for each in (tmp_path / "far").iterdir()] == ["plan"]
        file.write_bytes(b"old")
    link.unlink()
    link.symlink_to(link)
    with pytest.raises(OSError, match=r"Too many levels of symbolic links: '.*link'"):
        PLAN.save(link)


@posix
def test_another_name_of_the_same_file_keeps_the_old_content(tmp_path):
    file, other = tmp_path / "file", tmp_path / "other"
    file.write_bytes(b"old")
    other.hardlink_to(file)
    PLAN.save(file)
    assert other.read_bytes() == b"old"
    assert MixPlan.load(file) == PLAN


@posix
def test_pipes_and_open_files_are_written_to(tmp_path):
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()), daemon=True)
    reader.start()
    PLAN.save(pipe)
    reader.join(timeout=60)
    assert MixPlan.load(io.BytesIO(read[0])) == PLAN
    PLAN.save(os.devnull)  # which takes all, and is at 0 whatever it took
    with tempfile.TemporaryFile(dir=tmp_path) as unnamed:
        PLAN.save(f"/dev/fd/{unnamed.fileno()}")
        unnamed.seek(0)
        assert MixPlan.load(unnamed) == PLAN
    with open(tmp_path / "named", "w+b") as named:
        number = named.fileno()
        (tmp_path / "out").symlink_to(f"/dev/fd/{number}")  # as /dev/stdout is one
        PLAN.save(tmp_path / "out")
        assert os.fstat(number).st_size > 0  # it is this file, and not another of its name
    assert {file.name for file in tmp_path.iterdir()} == {"pipe", "named", "out"}


@pytest.mark.parametrize("name", ["", ".", "folder", "new/", "no/plan"])
def test_names_that_open_refuses(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match=r"^") as expected, open(name, "wb"):
        pass
    with pytest.raises(type(expected.value)) as caught:
        PLAN.save(name)
    assert str(caught.value) == str(expected.value)
    assert [each.name for each in tmp_path.iterdir()] == ["folder"]


@contextlib.contextmanager
def somebody_else():
    """Give up what root may do, where we are root."""
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)


@contextlib.contextmanager
def folder_of_others(mode):
    """A directory with a protected file, which belongs to root if that is who we are."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "protected").write_bytes(b"old")
        (folder / "protected").chmod(0o444)
        folder.chmod(mode)
        try:
            yield folder
        finally:
            folder.chmod(0o700)
            assert contents(folder) == {"protected": b"old"}


@contextlib.contextmanager
def folder_without_permission(mode):
    with folder_of_others(mode) as folder, somebody_else():
        yield folder


@posix
def test_a_directory_that_is_not_writable():
    with folder_without_permission(0o555) as folder, pytest.raises(PermissionError) as caught:
        PLAN.save(folder / "plan")
    assert str(caught.value) == (
        f"[Errno 13] a temporary file is written and renamed, so its directory must be writable, "
        f"got {folder} (Permission denied); choose another directory: '{folder / 'plan'}'"
    )


@posix
def test_the_command_in_a_directory_that_is_not_writable(capsys, monkeypatch):
    monkeypatch.setattr("zetamix.figures.theory_picture.theory_picture", lambda summary: Figure())

    # Only while the file is written: somebody else may not be let to the packages of root.
    @contextlib.contextmanager
    def written_by_somebody_else(file):
        with somebody_else(), replacing(file) as stream:
            yield stream

    monkeypatch.setattr("zetamix.cli.outputs.replacing", written_by_somebody_else)
    with folder_of_others(0o555) as folder:
        assert main(["theory", "--plot", str(folder / "a.png")]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == (
        f"Error: {folder / 'a.png'}: a temporary file is written and renamed, so its directory "
        f"must be writable, got {folder} (Permission denied); choose another directory\n"
    )


@posix
def test_a_protected_file_is_not_replaced():
    with folder_without_permission(0o777) as folder:
        with pytest.raises(PermissionError, match=r"Permission denied: '.*protected'"):
            PLAN.save(folder / "protected")
        assert [file.name for file in folder.iterdir()] == ["protected"]


# --- never over what is read, or is not ours ------------------------------------------------------


def refused(capsys, *args):
    """Run a command that refuses, and return its one line."""
    assert main(args) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert re.fullmatch(r"Error: .*\n", captured.err)
    return captured.err


@pytest.mark.parametrize(
    "name", ["ok.npz", "./ok.npz", "../{here}/ok.npz", "{all}", "link", "hard"]
)
def test_a_report_is_not_written_over_its_data(data, capsys, monkeypatch, tmp_path, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to("ok.npz")
    (tmp_path / "hard").hardlink_to(data)
    before = contents(tmp_path)
    output = name.format(here=tmp_path.name, all=data)
    for file in ("ok.npz", str(data), "link", "hard"):
        error = refused(capsys, "report", file, *SMALL, "-o", output)
        # As click and pathlib spell it.
        assert f"the output must not be the input, got {Path(output)}, which is" in error
        assert error.endswith("; choose another name for the output\n")
    assert contents(tmp_path) == before


def archive(file):
    with open(file, "wb") as stream:
        np.savez(stream, x=np.ones(3))


def photo(file):
    from PIL import Image

    Image.new("RGB", (4, 4)).save(file, format="png")


def drawing(file):
    """A picture that somebody drew with the library that we draw with."""
    Figure(figsize=(1, 1)).savefig(file, format=file.suffix[1:] or "png")


MARKS = b"".join((*outputs.PAGES.values(), *outputs.PICTURES.values()))
OTHERS = {
    "archive": archive,
    "program": lambda file: file.write_bytes(b"import zetamix\n" + MARKS),
    "page": lambda file: file.write_text("<!doctype html><title>zetamix</title>"),
    "photo": photo,
    "drawing": drawing,
}


@pytest.mark.parametrize("content", OTHERS)
@pytest.mark.parametrize("name", ["a.png", "a.pdf", "a.svg", "noext"])
def test_a_plot_replaces_only_plots(capsys, tmp_path, name, content):
    file = tmp_path / name
    OTHERS[content](file)
    before = contents(tmp_path)
    error = refused(capsys, "theory", "--plot", str(file))
    assert error == (
        f"Error: an existing file is replaced only if it is a picture that zetamix wrote, got "
        f"{file}; choose another name for the output, or move that file away\n"
    )
    assert contents(tmp_path) == before


@pytest.mark.parametrize("name", ["ok.npz", "plot.jpg", "plot.html", "plot.npz"])
def test_a_plot_is_a_picture_by_its_name(data, capsys, tmp_path, name):
    before = contents(tmp_path)
    error = refused(capsys, "theory", "--plot", str(tmp_path / name))
    assert f"must end in .png, .pdf or .svg, got {tmp_path / name}; choose one of these" in error
    assert contents(tmp_path) == before


@pytest.mark.parametrize("content", [*OTHERS, "plot"])
def test_a_report_replaces_only_reports(data, capsys, tmp_path, content):
    file = tmp_path / "other"
    if content == "plot":
        assert main(["theory", "--plot", str(file)]) == 0
        capsys.readouterr()
    else:
        OTHERS[content](file)
    before = contents(tmp_path)
    error = refused(capsys, "report", str(data), *SMALL, "-o", str(file))
    assert f"only if it is a page that zetamix wrote, got {file}; choose" in error
    assert contents(tmp_path) == before


def test_a_demonstration_replaces_only_its_pictures(capsys, tmp_path):
    photo(tmp_path / "tradeoff.png")
    before = contents(tmp_path)
    error = refused(capsys, "demo", "-o", str(tmp_path))
    assert f"only if it is a picture that zetamix wrote, got {tmp_path / 'tradeoff.png'}" in error
    assert contents(tmp_path) == before  # the other three are not there either


@pytest.mark.parametrize("name", ["a.png", "A.PNG", "a.pdf", "a.svg", "noext"])
def test_plots_replace_plots(capsys, tmp_path, monkeypatch, name):
    monkeypatch.setattr("zetamix.figures.theory_picture.theory_picture", lambda summary: Figure())
    file = tmp_path / name
    file.touch()  # an empty file is nobody's
    for _ in range(2):
        os.utime(file, (0, 0))
        assert main(["theory", "--plot", str(file)]) == 0
        assert file.stat().st_mtime > 0
        assert f" {file}   weights" in capsys.readouterr().out
    magic = {"a.pdf": b"%PDF", "a.svg": b"<?xml"}.get(name, b"\x89PNG")
    assert file.read_bytes().startswith(magic)
    assert [each.name for each in tmp_path.iterdir()] == [name]  # the one that was announced


def test_pictures_of_a_demonstration_replace_each_other(tmp_path):
    for name in PICTURES:
        for _ in range(2):
            outputs.check_replaced(tmp_path / name, outputs.PICTURES)
            outputs.save_picture(Figure(figsize=(1, 1)), tmp_path / name)


@checkout
def test_benchmarks_do_not_write_over_their_data(benchmark, data, tmp_path):
    images = tmp_path / "images.csv"
    images.hardlink_to(data)
    before = contents(tmp_path)
    refusal = benchmark("poster_data").Refusal
    for name, args in {
        "dimension": [data, "-o", tmp_path / "images.csv"],
        "poster": [data, "-o", tmp_path],
    }.items():
        with pytest.raises(refusal, match=r"the output must not be the input, got .*images.csv"):
            benchmark(name).main.main(list(map(str, args)), standalone_mode=False)
    assert contents(tmp_path) == before


@checkout
@pytest.mark.parametrize("name", ["throughput", "scaling"])
def test_results_are_not_where_their_picture_goes(benchmark, name):
    main = benchmark(name).main.main
    with pytest.raises(Exception, match=r"got results\.png; let -o end in \.json"):
        main(["--quick", "-o", "results.png"], standalone_mode=False)


# --- names as they are ----------------------------------------------------------------------------

NAMES = ["d[/x].html", "[red]x.html", ":smile: [b]x[/b].html", "two  spaces.html", "\\[red].html"]


@pytest.mark.parametrize("name", NAMES)
def test_names_of_pages_are_printed_as_they_are(data, capsys, tmp_path, monkeypatch, name):
    found = SimpleNamespace(
        rows=(MixMeasures("[/row]", None, *[1.0] * 7),),
        notes=("[/note]",),
        advice=SimpleNamespace(sentence="[/advice]"),
    )
    monkeypatch.setattr("zetamix.figures.report.report_page", lambda *args, **options: "page")
    monkeypatch.setattr("zetamix.figures.report.measure", lambda *args, **options: found)
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    assert main(["report", str(data), "-o", str(file)]) == 0
    shown = capsys.readouterr().out
    assert "  [/row] " in shown
    assert shown.endswith(f"[/note]\n[/advice]\n\nWritten: {file}\n")
    assert file.read_text() == "page"
    assert f", got {file}; " in refused(capsys, "report", str(data), "-o", str(file))
    data.rename(tmp_path / f"{name}.npz")
    error = refused(capsys, "report", str(tmp_path / f"{name}.npz"), "--x", "[/z]")
    assert f"{file}.npz has no array '[/z]', it has x\n" in error


@pytest.mark.parametrize("name", [name.replace(".html", ".png") for name in NAMES])
def test_names_of_pictures_are_printed_as_they_are(capsys, tmp_path, monkeypatch, name):
    monkeypatch.setattr("zetamix.figures.theory_picture.theory_picture", lambda summary: Figure())
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    assert main(["theory", "--plot", str(file)]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == f" {file}   weights, dominance and tail"
    assert file.read_bytes().startswith(b"\x89PNG")


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are text elsewhere")
def test_a_name_that_is_no_text(tmp_path, capsys):
    data, page = (tmp_path / os.fsdecode(name) for name in (b"\xff.npz", b"\xfe.html"))
    with open(data, "wb") as file:
        np.savez(file, x=np.random.default_rng(0).normal(size=(60, 5)))
    assert main(["report", str(data), *SMALL, "-o", str(page)]) == 0
    assert "<title>ζ-mixup on ?</title>" in page.read_text(encoding="utf-8")


# --- files that claim too much --------------------------------------------------------------------


def claim(file, shape, dtype="<f8", version=1):
    """Write an archive with an array of 80 bytes, and another shape in its header."""
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    length = len(header).to_bytes(2 * version, "little")
    with zipfile.ZipFile(file, "w") as archive:
        start = b"\x93NUMPY" + bytes([version, 0])
        archive.writestr("x.npy", start + length + header + bytes(80))
    return str(file)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("shape", [(2**38,), (2**20, 2**20), (2**80,), (11, 5)])
def test_a_header_that_claims_more_than_there_is(capsys, tmp_path, shape, version):
    file = claim(tmp_path / "x.npz", shape, version=version)
    error = refused(capsys, "report", file, "-o", str(tmp_path / "page.html"))
    assert f"the array 'x' of {file}, for samples, can't be read: its header claims " in error
    assert f"bytes, of shape {shape} and dtype float64, but the file holds" in error
    assert error.endswith("; the file may be cut short or damaged: copy or save it again\n")


def test_memory_that_is_not_there(capsys, data, tmp_path, monkeypatch):
    def fail(*args):
        raise MemoryError("Unable to allocate 2 TiB")

    monkeypatch.setattr("zetamix.figures.report.files._check_header", fail)
    error = refused(capsys, "report", str(data), "-o", str(tmp_path / "page.html"))
    assert error.endswith("can't be read: Unable to allocate 2 TiB; save fewer samples\n")
