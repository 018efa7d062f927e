"""`zetamix augment`: what it makes of arrays, how it refuses, and how it goes on after a kill."""

import json
import re
import signal
import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
import zetamix
from zetamix.cli import main
from zetamix.cli.augment import passes, places, running
from zetamix.rules import CutMix, Dirichlet, Mixup, Zeta

RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 6)).astype(np.float32)
Y = RNG.integers(0, 3, 50)


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, value in {"COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    np.savez("in.npz", x=X, y=Y)


def augment(*args):
    return main(["augment", *map(str, args)])


def refused(capsys, *args, code=2):
    """Return the one line of a command that is refused."""
    capsys.readouterr()
    assert augment(*args) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert re.fullmatch(r"Error: .*\n", captured.err), captured.err
    return captured.err


def listing():
    return sorted(file.name for file in Path().iterdir())


def bytes_below(folder="."):
    files = [file for file in Path(folder).rglob("*") if file.is_file()]
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def expected(x, y, batch_size=16, copies=1, **options):
    pairs = [
        pair
        for k in range(copies)
        for pair in zetamix.batches(x, y, batch_size, seed=7, epoch=k, **options)
    ]
    return [np.concatenate(each) for each in zip(*pairs, strict=True)]


RULES = {
    "zeta --gamma 2 --num-mix 4": Zeta(gamma=2, num_mix=4),
    "mixup --alpha 0.4": Mixup(alpha=0.4),
    "dirichlet --num-mix 3": Dirichlet(num_mix=3),
    "zeta --donors same": Zeta(donors="same"),
    "mixup --donors other": Mixup(donors="other"),
}


@pytest.mark.parametrize("rule", RULES)
def test_copies_are_epochs_of_batches(rule):
    words = f"in.npz -o out.npz --seed 7 --batch-size 16 --copies 2 --rule {rule}".split()
    assert augment(*words) == 0
    groups = Y if "donors" in rule else None
    x, y = expected(X, Y, copies=2, rule=RULES[rule], groups=groups, num_classes=3)
    with np.load("out.npz") as found:
        assert found.files == ["x", "y"]
        assert found["x"].dtype == np.float32
        assert np.array_equal(found["x"], x)
        assert np.array_equal(found["y"], y)
    assert listing() == ["in.npz", "out.npz", "out.npz.manifest.json"]


@pytest.mark.parametrize("channels_last", [False, True])
def test_boxes_and_originals(channels_last):
    shape = (20, 8, 9, 3) if channels_last else (20, 3, 8, 9)
    images = RNG.integers(0, 256, shape, dtype=np.uint8)
    np.savez("images.npz", images=images, labels=Y[:20])
    words = "images.npz -o out.npz --rule cutmix --with-originals --seed 7 --batch-size 16"
    assert augment(*words.split()) == 0
    axes = (1, 2) if channels_last else (-2, -1)
    x, y = expected(images, Y[:20], rule=CutMix(axes=axes), num_classes=3)
    with np.load("out.npz") as found:
        assert np.array_equal(found["images"], np.concatenate([images, x]))
        assert np.array_equal(found["labels"], np.concatenate([np.eye(3)[Y[:20]], y]))
        assert found["images"].dtype == np.uint8


def test_originals_come_first_in_order_and_in_the_same_form():
    words = "in.npz -o out.npz --with-originals --dtype float64 --num-classes 5"
    assert augment(*words.split()) == 0
    with np.load("out.npz") as found:
        assert found["x"].dtype == np.float64
        assert np.array_equal(found["x"][:50], X.astype(np.float64))
        assert np.array_equal(found["y"][:50], np.eye(5)[Y])
        assert found["y"].shape == (100, 5)


def test_words_and_soft_labels():
    words = np.asarray(["emu", "cat", "dog"])[Y]
    np.savez("words.npz", data=X, target=words)
    assert augment("words.npz", "-o", "out.npz", "--seed", 7, "--batch-size", 16) == 0
    _, y = expected(X, np.asarray([2, 0, 1])[Y], num_classes=3)
    with np.load("out.npz") as found:
        assert found.files == ["data", "target", "class_names"]
        assert found["class_names"].tolist() == ["cat", "dog", "emu"]
        assert np.array_equal(found["target"], y)
    soft = RNG.random((50, 4))
    np.savez("soft.npz", a=X, b=soft)
    words = "soft.npz -o mixed.npz --x a --y b --seed 7 --batch-size 16"
    assert augment(*words.split()) == 0
    with np.load("mixed.npz") as found:
        assert np.array_equal(found["b"], expected(X, soft)[1])


def test_one_array(monkeypatch):
    monkeypatch.setattr(passes, "PART_BYTES", 1000)
    np.save("in.npy", np.asfortranarray(X))
    assert augment("in.npy", "-o", "out.npy", "--seed", 7, "--batch-size", 16) == 0
    found = np.load("out.npy")
    alone = [x for x, _ in zetamix.batches(X, None, 16, seed=7)]
    assert np.array_equal(found, np.concatenate(alone))


def test_memory_stays_below_the_array():
    file = np.lib.format.open_memmap("in.npy", mode="w+", dtype=np.float32, shape=(20_000, 1000))
    file.flush()
    del file
    tracemalloc.start()
    try:
        assert augment("in.npy", "-o", "out.npy", "--num-mix", 2) == 0
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 0.6 * 80e6


def test_the_manifest_makes_a_run_repeatable():
    words = "in.npz -o out.npz --seed 9 --copies 2 --with-originals --num-mix 4 --gamma 3"
    assert augment(*words.split()) == 0
    with open("out.npz.manifest.json") as file:
        manifest = json.load(file)
    assert manifest["zetamix"] == zetamix.__version__
    assert manifest["rows"] == 150
    (read,) = manifest["inputs"]
    assert (read["file"], read["bytes"]) == ("in.npz", Path("in.npz").stat().st_size)
    assert len(read["sha256"]) == 64
    again = []
    for name, value in manifest["options"].items():
        usual = {"alpha", "format", "quality"}
        if name not in usual and value not in (None, [], False):
            again += [f"--{name}"] if value is True else [f"--{name}", str(value)]
    assert augment("in.npz", "-o", "again.npz", *again) == 0
    with open("out.npz", "rb") as one, open("again.npz", "rb") as other:
        assert one.read() == other.read()
    with open("again.npz.manifest.json") as file:
        assert json.load(file) == manifest


# Bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("gone.zarr -o out.zarr", "must be a file or folder that exists"),
        ("in.npz -o in.npz", "must not be the input"),
        ("in.npz -o ./../{here}/in.npz --overwrite", "must not be the input"),
        ("in.npz -o no/out.npz", "directory of the output must exist"),
        ("in.npz -o out.npy", "let -o end in .npz"),
        ("in.txt -o out.txt", "convert it to one of these"),
        ("in.npz -o out.npz --alpha 1", "--alpha belongs to --rule mixup, dirichlet or cutmix"),
        ("in.npz -o out.npz --rule mixup --gamma 2", "--gamma belongs to --rule zeta"),
        ("in.npz -o out.npz --rule mixup --num-mix 2", "--num-mix belongs to"),
        ("in.npz -o out.npz --label a", "--label is for input of the formats parquet or csv"),
        ("in.npz -o out.npz --size 3", "--size is for input of the formats images"),
        ("in.npz -o out.npz --scheduler tcp://x:1", "--scheduler is for input of the formats zarr"),
        ("in.npz -o out.npz --x nothing", "has no array 'nothing'"),
        ("in.npz -o out.npz --num-classes 2", "2"),
        (
            "in.npz -o out.npz --gamma -1",
            "'--gamma': '-1' must be a number of 0 or more; the",
        ),
        ("in.npz -o out.npz --rule mixup --alpha 0", "'--alpha': '0' must be a number from 1e-6"),
        ("in.npz -o out.npz --num-mix 0", "'--num-mix': 0 is not in the range x>=1"),
        ("in.npz -o out.npz --dtype int8", "'--dtype': 'int8' is not one of"),
        ("in.npz -o out.npz --rule cutmix", "two or more axes"),
        ("bare.npz -o out.npz --donors same", "--donors same needs classes"),
        ("bare.npz -o out.npz --num-classes 3", "--num-classes needs labels"),
        ("text.npz -o out.npz", "can't be read"),
        ("slash.npz -o out.npz", r"without '/'.*'\.\./x'"),
        ("named.npz -o out.npz", r"without '/'.*'a/b'"),
        ("objects.npz -o out.npz", "Python objects"),
        ("bomb.npz -o out.npz", "unpacks from"),
        ("claim.npy -o out.npy", "can't be read"),
        ("ids.npz -o out.npz", "ids are never averaged"),
        ("minus.npz -o out.npz", "classes from 0, got -1; renumber"),
        ("short.npz -o out.npz", "50 in x and 40 in y; name other arrays with --x and --y"),
        ("short.npz -o out.npz --donors same", "same length, got 50 in x and 40 in y"),
    ],
)
def test_bad_input_is_refused_in_one_line(words, message, capsys):
    here = Path.cwd().name
    for name in ("in.txt", "text.npz"):
        with open(name, "w") as file:
            file.write("words")
    np.savez("bare.npz", x=X)
    np.savez("slash.npz", x=X, y=np.asarray(["../x", "b"])[Y % 2])
    np.savez("named.npz", x=X, y=Y, class_names=np.asarray(["a/b", "c", "d"]))
    np.savez("objects.npz", x=np.asarray([1, "a"], dtype=object))
    np.savez("ids.npz", x=np.arange(20))
    np.savez("minus.npz", x=X, y=Y - 1)
    np.savez("short.npz", x=X, y=Y[:40])
    np.savez_compressed("bomb.npz", x=np.zeros((1 << 12, 1 << 10)))
    np.save("claim.npy", X)
    with open("claim.npy", "r+b") as file:
        file.truncate(200)
    before = bytes_below()
    assert re.search(message, refused(capsys, *words.format(here=here).split()))
    assert bytes_below() == before


def test_a_header_that_claims_too_much(capsys):
    with zipfile.ZipFile("lie.npz", "w") as archive, archive.open("x.npy", "w") as member:
        header = {"descr": "<f8", "fortran_order": False, "shape": (10**12, 8)}
        np.lib.format.write_array_header_1_0(member, header)
    assert "claims" in refused(capsys, "lie.npz", "-o", "out.npz")
    assert "out.npz.partial" not in listing()


def test_what_is_there_is_kept_unless_told(capsys):
    with open("out.npz", "w") as file:
        file.write("mine")
    assert "--overwrite" in refused(capsys, "in.npz", "-o", "out.npz")
    assert augment("in.npz", "-o", "out.npz", "--overwrite") == 0
    assert zipfile.is_zipfile("out.npz")
    Path("out.npz").unlink()
    Path("out.npz").mkdir(parents=True)
    assert "only if zetamix" in refused(capsys, "in.npz", "-o", "out.npz", "--overwrite")
    Path("mine.npz.partial/x").mkdir(parents=True)
    assert "not made by" in refused(capsys, "in.npz", "-o", "mine.npz", "--overwrite")


def test_a_read_only_target(capsys, monkeypatch):
    def forbidden(*args, **options):
        raise PermissionError(13, "Permission denied", "out.npz.partial")

    monkeypatch.setattr(places.Path, "mkdir", forbidden)
    message = refused(capsys, "in.npz", "-o", "out.npz")
    assert "out.npz.partial: Permission denied" in message
    assert "out.npz.partial" not in listing()
    monkeypatch.setattr(places.os, "open", forbidden)
    message = refused(capsys, "in.npz", "-o", "out.npz")
    assert "the directory of the output must be writable, got . (Permission denied)" in message


def test_missing_libraries_are_named(capsys, monkeypatch):
    with open("in.parquet", "w"):
        pass
    monkeypatch.setattr(running, "_is_installed", lambda name: name != "pyarrow")
    message = refused(capsys, "in.parquet", "-o", "out.parquet")
    assert 'needs pyarrow: pip install "zetamix[files]"' in message


# Faults, and going on -------------------------------------------------------------------------


def test_a_full_disk_then_room(capsys, monkeypatch):
    monkeypatch.setattr(passes, "PART_BYTES", 1000)
    assert augment("in.npz", "-o", "whole.npz", "--batch-size", 16, "--copies", 4) == 0
    words = ("in.npz", "-o", "out.npz", "--batch-size", 16, "--copies", 4)
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # What is imported and compiled while the disk is full would stay cut off for all programs.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    # Room for parts, but not for the whole.
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, hard))
    try:
        message = refused(capsys, *words, code=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "File too large" in message
    assert "--resume" in message
    assert "out.npz" not in listing()
    assert "--resume" in refused(capsys, *words)
    assert augment(*words, "--resume") == 0
    check_same()


def check_same():
    for end in ("", ".manifest.json"):
        with open(f"whole.npz{end}", "rb") as one, open(f"out.npz{end}", "rb") as other:
            assert one.read() == other.read()
    assert not [name for name in listing() if "partial" in name]


def test_ctrl_c(capsys, monkeypatch):
    monkeypatch.setattr(passes, "PART_BYTES", 1000)
    words = ("in.npz", "-o", "out.npz", "--batch-size", 16)
    assert augment("in.npz", "-o", "whole.npz", "--batch-size", 16) == 0
    write, seen = running_write(), []

    def interrupted(self, folder, batches):
        seen.append(folder)
        if len(seen) == 2:
            raise KeyboardInterrupt
        write(self, folder, batches)

    monkeypatch.setattr("zetamix.cli.augment.arrays.ArrayFile.write", interrupted)
    capsys.readouterr()
    assert augment(*words) == 130
    assert re.fullmatch(r"Interrupted: .*--resume\.\n", capsys.readouterr().err)
    assert Path("out.npz.partial/00000").is_dir()
    assert augment(*words, "--resume") == 0
    assert len(seen) == 3  # the first part was not made again
    check_same()


def running_write():
    from zetamix.cli.augment.arrays import ArrayFile

    return ArrayFile.write


KILLED = """
import os, signal, sys
from zetamix.cli import main
from zetamix.cli.augment import passes, places
passes.PART_BYTES = 1000
moment, words = int(sys.argv[1]), sys.argv[2:]
seen = 0
def killing(function):
    def wrapped(*args, **options):
        global seen
        seen += 1
        if seen == moment:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **options)
    return wrapped
for name in ("rename", "replace", "rmdir", "unlink", "mkdir"):
    setattr(places.Path, name, killing(getattr(places.Path, name)))
sys.exit(main(words))
"""


@pytest.mark.parametrize("moments", [(3, 8), (8, 3)])
def test_killed_twice_and_resumed(moments, monkeypatch):
    """Killed at steps between which the disk changes: the same bytes as an undisturbed run."""
    monkeypatch.setattr(passes, "PART_BYTES", 1000)
    assert augment("in.npz", "-o", "whole.npz", "--batch-size", 16) == 0
    words = ["augment", "in.npz", "-o", "out.npz", "--batch-size", "16", "--resume"]
    for moment in moments:
        command = [sys.executable, "-c", KILLED, str(moment), *words]
        assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
        assert "out.npz.partial" in listing()
    assert main(words) == 0
    check_same()


class Killed(BaseException):
    """As a kill, but in this process: nothing is tidied up after it."""


def test_stopped_at_every_step_and_resumed(monkeypatch, capsys):
    monkeypatch.setattr(passes, "PART_BYTES", 1000)
    assert augment("in.npz", "-o", "whole.npz", "--batch-size", 16) == 0
    words = ("in.npz", "-o", "out.npz", "--batch-size", 16, "--resume")
    steps = ("rename", "replace", "rmdir", "unlink", "mkdir")
    originals = {name: getattr(places.Path, name) for name in steps}
    stops = 0
    for moment in range(1, 60):
        left = moment

        def stopping(name):
            def wrapped(*args, **options):
                nonlocal left
                left -= 1
                if left <= 0:
                    raise Killed
                return originals[name](*args, **options)

            return wrapped

        with monkeypatch.context() as patch:
            for name in steps:
                patch.setattr(places.Path, name, stopping(name))
            try:
                assert augment(*words) == 0
            except Killed:
                stops += 1
        if "out.npz.partial" in listing() or left <= 0:
            assert augment(*words) == 0
        check_same()
        Path("out.npz").unlink()
        Path("out.npz.manifest.json").unlink()
        if left > 0:
            break
    assert stops > 10


WAITING = """
import sys, time
from zetamix.cli import main
from zetamix.cli.augment.arrays import ArrayFile
def waiting(self, folder, batches):
    print("writing", flush=True)
    time.sleep(600)
ArrayFile.write = waiting
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("more", [(), ("--resume",), ("--overwrite",)])
def test_two_runs_with_one_output(more, capsys):
    """The second is refused while the first goes on, however that ends; nothing is left of it."""
    words = ("in.npz", "-o", "out.npz")
    command = [sys.executable, "-c", WAITING, "augment", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as first:
        try:
            assert first.stdout.readline() == b"writing\n"
            before = bytes_below()
            message = refused(capsys, *words, *more)
            assert bytes_below() == before
        finally:
            first.kill()
    assert re.search(
        rf"only one run at a time.*got out.npz.*process {first.pid} .*choose another -o", message
    )
    assert augment(*words, "--resume") == 0
    assert listing() == ["in.npz", "out.npz", "out.npz.manifest.json"]


def test_resume_needs_the_same_run(capsys, monkeypatch):
    monkeypatch.setattr(passes, "PART_BYTES", 1000)

    def stop(self, folder, batches):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("zetamix.cli.augment.arrays.ArrayFile.write", stop)
        assert augment("in.npz", "-o", "out.npz") == 130
    message = refused(capsys, "in.npz", "-o", "out.npz", "--resume", "--seed", 1)
    assert "options, seed: 1 instead of 0" in message
    np.savez("in.npz", x=X + 1, y=Y)
    assert "inputs" in refused(capsys, "in.npz", "-o", "out.npz", "--resume")
    assert augment("in.npz", "-o", "out.npz", "--overwrite") == 0
