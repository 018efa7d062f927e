"""`zetamix augment` on images, tables and Zarr stores."""

import csv
import importlib
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import zetamix
from PIL import Image
from zetamix.cli import main
from zetamix.rules import CutMix, Mixup, Zeta

pa = pytest.importorskip("pyarrow")
arrow_csv = importlib.import_module("pyarrow.csv")
parquet = importlib.import_module("pyarrow.parquet")
tables = importlib.import_module("zetamix.cli.augment.tables")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3)).astype(np.float32)
Y = RNG.integers(0, 3, 40)
WORDS = np.asarray(["cat", "dog", "emu"])


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, value in {"COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)


def augment(words):
    return main(["augment", *words.split()])


def refused(capsys, words, code=2):
    capsys.readouterr()
    assert augment(words) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert re.fullmatch(r"Error: .*\n", captured.err), captured.err
    return captured.err


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


# Images ---------------------------------------------------------------------------------------


def write_images(shape=(6, 5, 3), count=9, classes=("cat", "dog")):
    images = RNG.integers(0, 256, (len(classes) * count, *shape), dtype=np.uint8)
    for number, pixels in enumerate(images):
        folder = Path("in", classes[number // count])
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / f"im{number:02d}.png")
    return images, np.repeat(np.arange(len(classes)), count)


def pixels_of(file):
    return np.asarray(Image.open(file))


def labels_csv(folder):
    with (Path(folder) / "labels.csv").open(newline="") as stream:
        header, *rows = csv.reader(stream)
    return header, [row[0] for row in rows], np.asarray([row[1:] for row in rows], dtype=float)


@pytest.mark.parametrize("shape", [(6, 5, 3), (6, 5)])
def test_images_are_those_of_batches(shape):
    images, y = write_images(shape)
    Path("in/notes.txt").touch()
    words = "in -o out --seed 7 --batch-size 16 --copies 2 --with-originals --num-mix 4"
    assert augment(words) == 0
    x, soft = expected(images, y, copies=2, rule=Zeta(num_mix=4), num_classes=2, dtype="float32")
    header, files, labels = labels_csv("out")
    assert header == ["file", "label=cat", "label=dog"]
    assert files[:2] == ["cat/im00-original.png", "cat/im01-original.png"]
    wanted = np.concatenate([images, np.rint(x).astype(np.uint8)])
    assert np.array_equal([pixels_of(Path("out", file)) for file in files], wanted)
    assert np.array_equal(labels, np.concatenate([np.eye(2)[y], soft]))
    order = zetamix.permutation(18, (7, 1))
    assert files[-18:] == [f"{('cat', 'dog')[y[i]]}/im{i:02d}-1.png" for i in order]
    with Path("out/manifest.json").open() as file:
        manifest = json.load(file)
    assert manifest["ignored"] == ["notes.txt"]
    assert len(manifest["inputs"]) == 18
    assert len(bytes_below("out")) == 54 + 2


def test_boxes_are_pasted_and_jpegs_written():
    images, y = write_images()
    assert augment("in -o out --seed 7 --batch-size 16 --rule cutmix") == 0
    x, _ = expected(images, y, rule=CutMix(axes=(1, 2)), num_classes=2)
    _, files, _ = labels_csv("out")
    assert np.array_equal([pixels_of(Path("out", file)) for file in files], x)
    assert augment("in -o out2 --format jpeg --quality 80 --rule mixup --donors same") == 0
    _, files, labels = labels_csv("out2")
    assert all(file.endswith("-0.jpg") for file in files)
    assert np.all(labels.max(axis=1) == 1)


def test_images_are_turned_upright_and_resized():
    pixels = np.zeros((4, 8, 3), dtype=np.uint8)
    pixels[:, :4] = 200
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    Path("in/a").mkdir(parents=True)
    Image.fromarray(pixels).save("in/a/x.png", exif=exif)
    Image.fromarray(pixels).convert("RGBA").save("in/a/x.webp", lossless=True, exif=exif)
    assert augment("in -o out --with-originals") == 0
    # Two files of one stem are numbered.
    names = sorted(file.name for file in Path("out/a").iterdir())
    assert names == ["0-0.png", "0-original.png", "1-0.png", "1-original.png"]
    assert np.array_equal(pixels_of("out/a/0-original.png"), np.rot90(pixels, -1))
    assert augment("in -o small --with-originals --size 2,3") == 0
    assert pixels_of("small/a/0-original.png").shape == (2, 3, 3)


def test_images_that_are_refused(capsys):
    assert "a folder for each class" in (Path("in").mkdir() or refused(capsys, "in -o out"))
    write_images()
    Image.fromarray(np.zeros((7, 5, 3), dtype=np.uint8)).save("in/dog/large.png")
    message = refused(capsys, "in -o out")
    assert "6,5 in in/cat/im00.png" in message
    assert "7,5 in in/dog/large.png" in message
    assert "--size" in message
    Image.fromarray(np.zeros((6, 5), dtype=np.uint16)).save("in/dog/large.png")
    assert "8 bits a channel, got in/dog/large.png" in refused(capsys, "in -o out")
    for words in ("in -o in/out", "in/cat -o in --overwrite", "in -o out --dtype float32"):
        assert refused(capsys, words)
    assert "must be one or two" in refused(capsys, "in -o out --size 3,x")
    assert sorted(file.name for file in Path().iterdir()) == ["in"]


def test_an_unreadable_image_is_named_or_skipped(capsys):
    images, y = write_images()
    Path("in/dog/zz.png").write_bytes(b"no image")
    assert "in/dog/zz.png can't be read" in refused(capsys, "in -o out")
    bad = Path("in/cat/im03.png")
    bad.write_bytes(bad.read_bytes()[:80])  # of which the header is right
    assert "in/cat/im03.png can't be read" in refused(capsys, "in -o out")
    assert sorted(file.name for file in Path().iterdir()) == ["in"]
    assert augment("in -o out --seed 7 --batch-size 16 --skip-bad") == 0
    x, _ = expected(np.delete(images, 3, 0), np.delete(y, 3), num_classes=2, dtype="float32")
    _, files, _ = labels_csv("out")
    assert np.array_equal([pixels_of(Path("out", f)) for f in files], np.rint(x).astype(np.uint8))
    with Path("out/manifest.json").open() as file:
        assert json.load(file)["skipped"] == ["cat/im03.png", "dog/zz.png"]


KILLED = """
import os, signal, sys
from pathlib import Path
from zetamix.cli import main
from zetamix.cli.augment import passes
passes.PART_BYTES = 500
{more}
left, rename = int(sys.argv[1]), Path.rename
def killing(*args):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return rename(*args)
Path.rename = killing
sys.exit(main(sys.argv[2:]))
"""


def check_killed(words, moments, more=""):
    """Kill a run at some of its renames, then resume it to the end."""
    for moment in (*moments, 0):
        command = [sys.executable, "-c", KILLED.format(more=more), str(moment), "augment"]
        done = subprocess.run([*command, *words.split(), "--resume"], check=False)
        assert done.returncode == (-signal.SIGKILL if moment else 0)
        if moment == moments[-1]:
            (folder,) = Path().glob("*.partial")
            assert any(file.name.isdecimal() for file in folder.iterdir())
    assert not list(Path().glob("*.partial"))


def test_images_after_two_kills(monkeypatch):
    write_images()
    more = "from zetamix.cli.augment import images; images._PART_IMAGES = 4"
    monkeypatch.setattr("zetamix.cli.augment.images._PART_IMAGES", 4)
    assert augment("in -o whole --batch-size 4") == 0
    check_killed("in -o out --batch-size 4", (2, 2), more)
    assert bytes_below("out") == bytes_below("whole")
    assert augment("in -o out --batch-size 4 --resume") == 0  # nothing is left to do
    assert augment("in -o out --overwrite") == 0
    assert set(bytes_below("out")) == set(bytes_below("whole"))


# Tables ---------------------------------------------------------------------------------------


def write_table(name, **more):
    columns = {
        "id": [f"row {i}" for i in range(40)],
        "a": X[:, 0],
        "kind": WORDS[Y].tolist(),
        "b": X[:, 1].astype(np.float64),
        **more,
    }
    table = pa.table(columns)
    if name.endswith(".csv"):
        arrow_csv.write_csv(table, name)
    else:
        parquet.write_table(table, name, row_group_size=16)
    return table


def read_table(name):
    return arrow_csv.read_csv(name) if name.endswith(".csv") else parquet.read_table(name)


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_tables_are_those_of_batches(ending, monkeypatch):
    monkeypatch.setattr(tables, "_MOST_PART_ROWS", 16)
    write_table(f"in.{ending}", count=list(range(40)))
    words = f"in.{ending} -o out.{ending} --label kind --keep id --keep count --rule mixup"
    assert augment(f"{words} --seed 7 --batch-size 16 --copies 2") == 0
    found = read_table(f"out.{ending}")
    classes = [f"label={word}" for word in WORDS]
    assert found.column_names == ["id", "a", *classes, "b", "count"]
    read = read_table(f"in.{ending}")
    matrix = np.stack([read[each].to_numpy().astype(np.float64) for each in "ab"], axis=1)
    x, soft = expected(matrix, Y, copies=2, rule=Mixup(), num_classes=3)
    dtype = np.float32 if ending == "parquet" else np.float64
    assert np.array_equal(found["a"].to_numpy(), x[:, 0].astype(dtype))
    assert np.array_equal(found["b"].to_numpy(), x[:, 1])
    assert np.array_equal(np.stack([found[each].to_numpy() for each in classes], axis=1), soft)
    order = np.concatenate([zetamix.permutation(40, (7, k)) for k in range(2)])
    assert found["id"].to_pylist() == [f"row {i}" for i in order]
    assert found["count"].to_pylist() == order.tolist()
    if ending == "parquet":
        assert found.schema.field("a").type == pa.float32()
        assert parquet.ParquetFile("out.parquet").num_row_groups == 6


def test_tables_without_labels_with_ids_and_originals():
    parquet.write_table(pa.table({"y": Y, "a": X[:, 0], "b": X[:, 1]}), "in.parquet")
    assert augment("in.parquet -o out.parquet --label y --with-originals --num-classes 4") == 0
    found = read_table("out.parquet")
    assert found.column_names == [*(f"label={i}" for i in range(4)), "a", "b"]
    assert np.array_equal(found["a"].to_numpy()[:40], X[:, 0])
    assert augment("in.parquet -o kept.parquet --keep y --seed 7 --batch-size 16") == 0
    x = np.concatenate([x for x, _ in zetamix.batches(X[:, :2], None, 16, seed=7)])
    assert np.array_equal(read_table("kept.parquet")["b"].to_numpy(), x[:, 1])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--label kind", "must be floating.*'id' of type string.*--keep id"),
        ("--label kind --keep id", "got 'count' of type int64.*--keep count"),
        ("--label a --keep id --keep count --keep kind", "like other columns, without --label"),
        ("--label kind --keep kind", "either kept or a label"),
        ("--label nothing", "no column 'nothing'"),
        ("--keep id --keep kind --keep count --donors same", "--donors same needs classes"),
        ("--label kind --keep id --keep count --rule cutmix", "pastes boxes of images"),
        ("--label kind --keep id --keep count --num-classes 5", "number of distinct words, 3"),
        ("--label path --keep id --keep count --keep kind", r"without '/'.*'\.\./x'"),
        ("--label gap --keep id --keep count --keep kind --keep hole", "row must have a label"),
        ("--label kind --keep id --keep count --keep path --keep gap", "in each row.*fill it"),
    ],
)
def test_tables_that_are_refused(words, message, capsys):
    more = {"count": list(range(40))}
    if "path" in words:
        more["path"] = ["../x", "b"] * 20
    if "gap" in words:
        more |= {"gap": ["a", None] * 20, "hole": [1.5, None] * 20}
    write_table("in.parquet", **more)
    assert re.search(message, refused(capsys, f"in.parquet -o out.parquet {words}"))
    assert [file.name for file in Path().iterdir()] == ["in.parquet"]


def test_broken_tables_are_refused(capsys):
    Path("in.csv").write_text("a,b\n1.5,2.5\n1.5\n")
    assert "can't be read as a csv table" in refused(capsys, "in.csv -o out.csv")
    Path("in.csv").write_text("a,b\n")
    assert refused(capsys, "in.csv -o out.csv")
    Path("in.csv").write_text("")
    assert "can't be read" in refused(capsys, "in.csv -o out.csv")
    Path("in.csv").write_text("a;b\n1.5;2.5\n")
    assert "separated by commas, got a single column 'a;b'" in refused(capsys, "in.csv -o out.csv")
    Path("in.parquet").write_text("words")
    assert "can't be read" in refused(capsys, "in.parquet -o out.parquet")
    assert len(list(Path().iterdir())) == 2


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_tables_after_two_kills(ending, monkeypatch):
    monkeypatch.setattr(tables, "_MOST_PART_ROWS", 8)
    write_table(f"in.{ending}")
    words = "--label kind --keep id --batch-size 8"
    assert augment(f"in.{ending} -o whole.{ending} {words}") == 0
    more = "from zetamix.cli.augment import tables; tables._MOST_PART_ROWS = 8"
    check_killed(f"in.{ending} -o out.{ending} {words}", (2, 3), more)
    assert Path(f"out.{ending}").read_bytes() == Path(f"whole.{ending}").read_bytes()


# Zarr -----------------------------------------------------------------------------------------


def write_store(name="in.zarr"):
    import zarr

    group = zarr.open_group(name, mode="w")
    y = np.sort(Y)
    for key, each in {"x": X, "y": y}.items():
        array = group.create_array(
            key, shape=each.shape, chunks=(10, *each.shape[1:]), dtype=each.dtype
        )
        array[:] = each
    return y


def test_stores_are_those_of_dask():
    import dask.array as da
    import zarr
    from zetamix.dask import mix

    y = write_store()
    assert augment("in.zarr -o out.zarr --seed 7 --batch-size 4 --copies 2 --with-originals") == 0
    found = zarr.open_group("out.zarr", mode="r")
    copies = [
        mix(da.from_zarr("in.zarr", "x"), y, Zeta(), batch_size=4, num_classes=3, seed=7, epoch=k)
        for k in range(2)
    ]
    x = np.concatenate([X, *(np.asarray(mixed) for mixed, _ in copies)])
    soft = np.concatenate([np.eye(3)[y], *(np.asarray(labels) for _, labels in copies)])
    assert np.array_equal(found["x"][:], x)
    assert np.array_equal(found["y"][:], soft)
    assert found["x"].dtype == np.float32
    assert augment("in.zarr/x -o alone.zarr --seed 7 --batch-size 4") == 0
    assert np.array_equal(zarr.open_group("alone.zarr", mode="r")["x"][:], x[40:80])


def test_samples_in_several_chunks_and_soft_labels():
    import dask.array as da
    import zarr
    from zetamix.dask import mix

    images = RNG.integers(0, 256, (70, 6, 5, 3), dtype=np.uint8)
    soft = RNG.random((70, 4))
    group = zarr.open_group("in.zarr", mode="w")
    group.create_array("images", shape=images.shape, chunks=(7, 4, 5, 2), dtype=">u1")[:] = images
    group.create_array("labels", shape=soft.shape, chunks=(20, 3), dtype=">f8")[:] = soft
    assert augment("in.zarr -o out.zarr --seed 7 --batch-size 4 --dtype float32") == 0
    found = zarr.open_group("out.zarr", mode="r")
    x, y = (da.from_zarr("in.zarr", name) for name in ("images", "labels"))
    mixed, labels = mix(x, y, batch_size=4, seed=7, dtype="float32")
    assert np.array_equal(found["images"][:], np.asarray(mixed))
    assert np.array_equal(found["labels"][:], np.asarray(labels))


def test_a_disk_without_room_for_the_shuffle(capsys, monkeypatch):
    write_store()
    with monkeypatch.context() as patch:
        patch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 100}))
        message = refused(capsys, "in.zarr -o out.zarr", code=1)
    assert "the shuffled samples need 800 bytes of disk space, got 100; finished parts" in message
    assert augment("in.zarr -o out.zarr --resume") == 0


def test_donors_in_stores():
    import dask.array as da
    import zarr
    from zetamix.dask import mix

    y = write_store()
    assert augment("in.zarr -o out.zarr --seed 7 --batch-size 8 --donors same") == 0
    x, rule = da.from_zarr("in.zarr", "x"), Zeta(donors="same")
    mixed, _ = mix(x, y, rule, batch_size=8, num_classes=3, groups=y, seed=7)
    assert np.array_equal(zarr.open_group("out.zarr", mode="r")["x"][:], np.asarray(mixed))


def test_stores_that_are_refused(capsys, monkeypatch):
    write_store()
    assert "must be a file or folder that exists" in refused(capsys, "gone.zarr -o out.zarr")
    Path("empty.zarr").mkdir()
    assert "can't be read as a Zarr store" in refused(capsys, "empty.zarr -o out.zarr")
    assert "has no array 'z'" in refused(capsys, "in.zarr -o out.zarr --x z")
    zarr = importlib.import_module("zarr")
    zarr.save_group("short.zarr", x=X, y=Y[:30])
    message = refused(capsys, "short.zarr -o out.zarr")
    assert "got 40 in x and 30 in y; name other arrays with --x and --y" in message
    shutil.rmtree("short.zarr")
    monkeypatch.setattr("zetamix.cli.augment.workers._PATIENCE", 0.3)
    message = refused(capsys, "in.zarr -o out.zarr --scheduler tcp://127.0.0.1:9")
    assert "--scheduler must be the address of a Dask scheduler that answers" in message
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        assert "answers within" in refused(capsys, f"in.zarr -o out.zarr --scheduler {address}")
    assert "leave one" in refused(
        capsys, "in.zarr -o o.zarr --memory-limit 1GB --scheduler tcp://x"
    )
    assert sorted(file.name for file in Path().iterdir()) == ["empty.zarr", "in.zarr"]


@pytest.mark.parametrize("limit", ["much", "", "nan", "-2GB", "0", "0.5", "2", "200MB", "auto"])
def test_senseless_memory_limits_are_refused(limit, capsys):
    write_store()
    capsys.readouterr()
    assert main(["augment", "in.zarr", "-o", "out.zarr", "--memory-limit", limit]) == 2
    wanted = rf"Error: --memory-limit must be .*, got {limit!r}; give each worker more, .*\n"
    assert re.fullmatch(wanted, capsys.readouterr().err)
    assert [file.name for file in Path().iterdir()] == ["in.zarr"]


def test_memory_limits_hold_some_chunks(capsys):
    import zarr

    zarr.create_array("in.zarr", shape=(4000, 20_000), chunks=(2000, 20_000), dtype="float32")
    message = refused(capsys, "in.zarr -o out.zarr --memory-limit 700MB")
    assert "such as 2GB, and at least 749MB, which a worker needs" in message
    assert "3 chunks of 160,000,000 bytes, got '700MB'" in message


@pytest.mark.parametrize(("limit", "size"), [("1GB", 10**9), ("0.5 GiB", 1 << 29)])
def test_workers_have_their_memory_limit(limit, size, monkeypatch, capfd):
    distributed = pytest.importorskip("distributed")
    write_store()
    assert augment("in.zarr -o threads.zarr --batch-size 4") == 0
    seen = []

    class Client(distributed.Client):
        def __init__(self, cluster):
            super().__init__(cluster)
            workers = self.scheduler_info(n_workers=-1)["workers"].values()
            seen.extend(each["memory_limit"] for each in workers)

    monkeypatch.setattr(distributed, "Client", Client)
    words = ["in.zarr", "-o", "out.zarr", "--batch-size", "4", "--memory-limit", limit]
    assert main(["augment", *words]) == 0
    assert seen
    assert {*seen} == {size}
    assert bytes_below("out.zarr") == bytes_below("threads.zarr")
    assert capfd.readouterr().err == ""


def test_workers_that_are_lost(capsys, monkeypatch):
    """As when memory runs out: one line, and what is finished is kept."""
    distributed = pytest.importorskip("distributed")
    write_store()

    def lost(self):
        raise distributed.KilledWorker("task", None, 3)

    with monkeypatch.context() as patch:
        patch.setattr(distributed.Future, "result", lost)
        message = refused(capsys, "in.zarr -o out.zarr --memory-limit 1GB", code=1)
    assert "most often for lack of memory; raise --memory-limit" in message
    assert "--resume" in message
    assert augment("in.zarr -o out.zarr --resume") == 0


def test_a_scheduler_gives_what_threads_do():
    distributed = pytest.importorskip("distributed")
    write_store()
    assert augment("in.zarr -o threads.zarr --batch-size 4") == 0
    with distributed.LocalCluster(
        n_workers=1, processes=False, protocol="tcp", dashboard_address=None
    ) as cluster:
        words = f"in.zarr -o out.zarr --batch-size 4 --scheduler {cluster.scheduler_address}"
        assert augment(words) == 0
    assert bytes_below("out.zarr") == bytes_below("threads.zarr")


@pytest.mark.parametrize("moments", [(10, 4), (18, 9)])
def test_stores_after_two_kills(moments):
    """Killed while rows are shuffled or chunks are written: what was finished is not made again."""
    write_store()
    words = "--batch-size 3 --copies 2 --with-originals --rule mixup"
    assert augment(f"in.zarr -o whole.zarr {words}") == 0
    # Tasks are counted, not renames.
    more = """
import dask
from zetamix.cli.augment import spilling, stores
dask.config.set(num_workers=1)
def counted(function, place):
    def wrapped(*args):
        killing(Path("gone"), None) if left == 1 else None
        globals()["left"] -= 1
        result = function(*args)
        with open("made", "a") as file:
            print(args[place], file=file)
        return result
    return wrapped
spilling._spilled = counted(spilling._spilled, 3)
stores._write_chunk = counted(stores._write_chunk, 6)
"""
    check_killed(f"in.zarr -o out.zarr {words}", moments, more)
    assert bytes_below("out.zarr") == bytes_below("whole.zarr")
    made = Path("made").read_text().splitlines()
    assert len(made) == len({*made}) == 20 + 2 * 5
