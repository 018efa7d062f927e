"""The command `zetamix report`: data that it reads, the page that it writes, what it refuses."""

import base64
import io
import os
import re
import shlex
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from zetamix.cli import main
from zetamix.figures.datasets import digits, helix
from zetamix.figures.report.data import _span, read_samples

from zetamix_core import metrics
from zetamix_core.metrics.methods import MIXUP, epoch_plan
from zetamix_core.metrics.methods import zeta_method as zeta

GAMMAS = (1.4, 2.8, 6.0)
FEW = ("--gammas", "1.4,2.8,6")
SMALL = (*FEW, "--neighbors", "20")


@pytest.fixture(autouse=True)
def _plain_terminal(monkeypatch):
    for name, value in {"COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)


class Page(HTMLParser):
    """What a browser would find: tags with their attributes, and the text within."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.words = [], []
        self.text = text
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data.strip())

    def all(self, tag, **attributes):
        return [
            found
            for name, found in self.tags
            if name == tag and all(found.get(k) == v for k, v in attributes.items())
        ]

    @property
    def charts(self):
        return re.findall(r"<svg.*?</svg>", self.text, flags=re.DOTALL)

    @property
    def table(self):
        rows = re.findall(r"<tr.*?</tr>", self.text, flags=re.DOTALL)
        return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in rows]

    @property
    def command(self):
        return re.search(r"<pre>(.*?)</pre>", self.text)[1]


def pixels(source):
    """Decode a picture of the page."""
    data = source.removeprefix("data:image/png;base64,")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


def write(file, *args):
    assert main(["report", *args, "-o", str(file)]) == 0
    return Page(file.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The page on digits, which comes without a file."""
    return write(tmp_path_factory.mktemp("report") / "digits.html", *FEW)


@pytest.fixture(scope="module")
def report():
    labels = np.eye(10)[digits().targets]
    return metrics.gamma_report(digits().points, labels, gammas=GAMMAS)


# --- the page -------------------------------------------------------------------------------------


def test_nothing_is_fetched(page):
    for _, attributes in page.tags:
        for name, value in attributes.items():
            if name in ("src", "href", "srcset", "data", "action") or name.endswith(":href"):
                assert value.startswith(("data:", "#")), value
    assert "url(" not in re.sub(r"url\(#\w+\)", "", page.text)
    assert "@import" not in page.text
    assert not page.all("link")


def test_numbers_are_those_of_the_report(page, report):
    head, *rows = page.table
    assert head[1:4] == ["dimension", "moved by", "nearest"]
    assert len(rows) == len(report.rows)
    for cells, row in zip(rows, report.rows, strict=True):
        assert cells[0] == row.name
        shown = dict(zip(head[1:], cells[1:], strict=True))
        assert shown["dimension"] == f"{row.dimension:.2f}"
        assert shown["recall"] == f"{row.recall:.3f}"
        assert shown["classes"] == f"{row.effective_classes:.2f}"
        assert shown["same class"] == f"{row.same_class:.3f}"
    assert report.reason in page.text.replace("&#39;", "'")
    assert f"off by {100 * (1 - report.originals.overlap):.1f} % of the weight" in page.text


def test_the_slider_starts_at_the_suggestion(page, report):
    (slider,) = page.all("input", type="range")
    place = GAMMAS.index(report.suggested_gamma)
    assert (slider["min"], slider["max"]) == ("0", "2")
    assert slider["value"] == str(place)
    assert f"<strong>γ = {report.suggested_gamma:g}</strong>" in page.text
    frames = [found for _, found in page.tags if "data-frame" in found]
    for number in range(3):
        same = [found for found in frames if found["data-frame"] == str(number)]
        shown = [found for found in same if "hidden" not in found]
        # A name, a fact, twelve cards; and a mark in each chart, hidden once there is a slider.
        assert len(same) == 2 + 12 + (2 + 2 + 1 + 1 + 1)
        assert ("hidden" in same[0]) == (number != place)
        assert len(shown) == (21 if number == place else 0)
    (shown,) = [found for _, found in page.tags if found.get("class") == "shown"]
    assert shown["data-row"] == str(place)


def test_pictures_are_the_samples_and_their_mixtures(page):
    found = [pixels(each["src"]) for each in page.all("img")]
    assert len(found) == 12 * (2 + len(GAMMAS))
    x, y = digits().points, digits().targets
    plans = [epoch_plan(MIXUP, len(x), 32, (0,))]
    plans += [epoch_plan(zeta(gamma), len(x), 32, (0,)) for gamma in GAMMAS]
    expected = [np.rint(255 * images) for images in (x, *(plan @ x for plan in plans))]
    rows = [int(np.flatnonzero(y == c)[0]) for c in range(10)]
    rows += [int(np.flatnonzero(y == c)[1]) for c in range(2)]
    for card, row in enumerate(rows):
        for place, images in enumerate(expected):
            assert np.array_equal(found[5 * card + place], images[row])


def test_labels_are_bars_of_all_shares(page):
    bars = re.findall(r'<div class="label">(.*?)</div>', page.text)
    assert len(bars) == 12 * 5
    for bar in bars:
        widths = [float(width) for width in re.findall(r"width:([\d.]+)%", bar)]
        assert 93 < sum(widths) <= 100.05  # classes below one percent are not shown
        assert bar.count('class="own"') <= 1
    assert bars[0] == '<i class="own" style="width:100.00%"></i>'
    assert "<span><b>0</b> 100&nbsp;%</span>" in page.text


def test_charts_take_their_colours_from_the_page(page):
    assert len(page.charts) == 5
    for chart in page.charts:
        tree = ET.fromstring(chart)
        assert tree.tag.endswith("svg")
        assert not re.search("#0072b2|#d55e00|#6f6f6f|#222222", chart, flags=re.IGNORECASE)
        assert "var(--blue)" in chart
    names = [
        each.get("id") for c in page.charts for each in ET.fromstring(c).iter() if each.get("id")
    ]
    used = set(re.findall(r"#(\w+)", " ".join(page.charts)))  # the others are mere labels
    assert used
    assert all(names.count(name) == 1 for name in used)


def test_the_command_makes_the_same_page(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    program, *args = shlex.split(page.command)
    assert program == "zetamix"
    assert args[:3] == ["report", *FEW]
    assert main(args) == 0
    assert Path(args[args.index("-o") + 1]).read_text(encoding="utf-8") == page.text


def test_what_is_printed(capsys, tmp_path):
    np.savez(tmp_path / "data.npz", x=digits().points[:200], y=digits().targets[:200])
    write(tmp_path / "page.html", str(tmp_path / "data.npz"), *SMALL)
    captured = capsys.readouterr()
    assert captured.err == ""
    lines = captured.out.splitlines()
    assert lines[0].split()[:2] == ["dimension", "moved"]
    assert lines[-1] == f"Written: {tmp_path / 'page.html'}"


# --- other data -----------------------------------------------------------------------------------


def save(tmp_path, **arrays):
    np.savez(tmp_path / "data.npz", **arrays)
    return tmp_path / "data.npz"


def test_data_without_labels(tmp_path):
    file = save(tmp_path, images=digits().points[:200])
    page = write(tmp_path / "page.html", str(file), *SMALL)
    assert len(page.charts) == 4
    assert page.table[0][-1] == "coverage"
    assert "overlap" not in page.text.split("<style>")[0] + page.text.split("</style>")[1]
    assert len(page.all("img")) == 12 * 5
    assert not re.search('class="(own|label)"', page.text)


def test_labels_may_be_left_out(tmp_path):
    file = save(tmp_path, x=digits().points[:200], y=np.linspace(0, 1, 200))
    page = write(tmp_path / "page.html", str(file), *SMALL, "--no-labels")
    assert page.table[0][-1] == "coverage"
    assert "--no-labels" in page.command


@pytest.mark.parametrize("num_features", [1, 2, 3])
def test_data_that_are_no_images(tmp_path, num_features):
    points = helix().points[::40, :num_features]
    file = save(tmp_path, x=points, y=(np.arange(len(points)) // 7) % 3)
    page = write(tmp_path / "page.html", str(file), *SMALL)
    pictures = [pixels(each["src"]) for each in page.all("img")]
    assert len(pictures) == 1 + len(GAMMAS)
    assert len({picture.shape for picture in pictures}) == 1
    assert not np.array_equal(pictures[1], pictures[2])
    assert "Two principal components" in page.text


def test_some_of_many_samples(tmp_path):
    file = save(tmp_path, x=digits().points, y=digits().targets)
    args = (str(file), *SMALL, "--max-samples", "150")
    page = write(tmp_path / "page.html", *args)
    assert "--neighbors 20 --max-samples 150" in page.command
    assert "150 samples of 8 × 8 pixels, drawn from 1,797; 10 classes; batches of 32" in page.text
    again = write(tmp_path / "page.html", *args)
    assert again.text == page.text
    other = write(tmp_path / "page.html", *args, "--seed", "1")
    assert other.table != page.table


def test_fewer_samples_a_mixture(tmp_path):
    file = save(tmp_path, x=digits().points[:200], y=digits().targets[:200])
    page = write(tmp_path / "p.html", str(file), *SMALL, "--num-mix", "4", "--batch-size", "16")
    assert "batches of 16, 4 of a batch mixed." in page.text
    found = metrics.gamma_report(
        digits().points[:200], gammas=GAMMAS, n_neighbors=20, num_mix=4, batch_size=16
    )
    assert page.table[4][1] == f"{found.rows[3].dimension:.2f}"


def test_names_are_text(tmp_path):
    """Whatever a file calls its classes."""
    names = np.asarray(["<script>alert(1)</script>", "a & b"])
    file = save(tmp_path, x=digits().points[:100], y=np.arange(100) % 2, class_names=names)
    page = write(tmp_path / "page.html", str(file), *SMALL)
    assert "<script>alert" not in page.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page.text
    assert "a &amp; b" in page.text


# --- reading --------------------------------------------------------------------------------------


def read(file, **options):
    default = {"x_name": None, "y_name": None, "labelled": True, "image_shape": None}
    return read_samples(file, max_samples=1000, key=(0,), **default | options)


IMAGES = np.arange(20 * 6 * 5 * 3, dtype=np.uint8).reshape(20, 6, 5, 3)
FORMS = {
    "grey": (IMAGES[..., 0], None, IMAGES[..., :1]),
    "channels last": (IMAGES, None, IMAGES),
    "channels first": (np.moveaxis(IMAGES, -1, 1), None, IMAGES),
    "flat": (IMAGES.reshape(20, -1), (6, 5, 3), IMAGES),
    "flat and grey": (IMAGES[..., 0].reshape(20, -1), (6, 5), IMAGES[..., :1]),
    "features": (IMAGES.reshape(20, -1), None, IMAGES.reshape(20, -1)),
    "numbers": (IMAGES[:, 0, 0, 0], None, IMAGES[:, :1, 0, 0]),
    "points of paths": (IMAGES[:, :, 0], None, IMAGES[:, :, 0].reshape(20, -1)),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_samples(tmp_path, form):
    x, shape, expected = FORMS[form]
    data = read(save(tmp_path, x=x), image_shape=shape)
    assert data.are_images == (expected.ndim == 4)
    assert data.x.dtype == np.float32
    assert np.array_equal(data.x, expected)
    assert (data.labels, data.classes, data.total, data.name) == (None, (), 20, "data")
    assert np.array_equal(data.as_bytes(data.x), expected)


CLASSES = np.arange(20) % 3
LABELS = {
    "classes": (CLASSES, None, ("0", "1", "2")),
    "a column": (CLASSES[:, None], None, ("0", "1", "2")),
    "with gaps": (np.asarray([-1, 4, 9])[CLASSES], None, ("-1", "4", "9")),
    "floats": (CLASSES.astype(float), None, ("0", "1", "2")),
    "words": (np.asarray(["cat", "dog", "owl"])[CLASSES], None, ("cat", "dog", "owl")),
    "names": (CLASSES, np.asarray(["cat", "dog", "owl"]), ("cat", "dog", "owl")),
    "names of more": (2 * CLASSES, np.asarray(list("abcdef")), ("a", "c", "e")),
    "one-hot": (np.eye(3)[CLASSES], None, ("0", "1", "2")),
    "bytes one-hot": (np.eye(3, dtype=np.uint8)[CLASSES], None, ("0", "1", "2")),
    "soft with names": (np.eye(3)[CLASSES], np.asarray(list("abc")), ("a", "b", "c")),
    "soft with other names": (np.eye(3)[CLASSES], np.asarray(list("ab")), ("0", "1", "2")),
}


@pytest.mark.parametrize("form", LABELS)
def test_forms_of_labels(tmp_path, form):
    y, names, classes = LABELS[form]
    arrays = {"x_train": IMAGES, "y_train": y} | ({} if names is None else {"class_names": names})
    data = read(save(tmp_path, **arrays))
    assert data.classes == classes
    assert np.array_equal(data.labels, np.eye(3)[CLASSES])


def test_arrays_of_other_names(tmp_path):
    file = save(tmp_path, pictures=IMAGES, kinds=CLASSES, x=IMAGES[:3])
    data = read(file, x_name="pictures", y_name="kinds")
    assert (len(data.x), len(data.classes)) == (20, 3)


def test_samples_and_labels_are_drawn_together(tmp_path):
    file = save(tmp_path, x=CLASSES.astype(np.float64), y=CLASSES)
    data = read_samples(
        file, x_name=None, y_name=None, labelled=True, image_shape=None, max_samples=7, key=(1,)
    )
    assert (data.x.shape, data.total) == ((7, 1), 20)
    assert np.array_equal(data.labels.argmax(axis=1), data.x[:, 0])


# --- refusals -------------------------------------------------------------------------------------


X = np.random.default_rng(0).normal(size=(60, 5))
HOLE = np.where(np.arange(300).reshape(60, 5) == 37, np.nan, X)
REFUSALS = [
    ({"a": X, "b": X}, (), "has no array of samples, named x, x_train,"),
    ({"a": X, "b": X}, (), "it has a, b: name one of them with --x"),
    ({}, (), "it has none at all"),
    ({"x": X}, ("--x", "z"), "has no array 'z', it has x"),
    ({"x": X}, ("--y", "z"), "has no array 'z', it has x"),
    ({"x": X, "y": np.arange(59)}, (), "samples and labels must be as many, got shapes (60, 5)"),
    ({"x": X, "y": np.float64(3)}, (), "samples and labels must be as many"),
    ({"x": X, "y": X[:, 0]}, (), "labels must be classes (N,) or weights of classes (N, C), got"),
    ({"x": X, "y": X}, (), "y must be 0 or more and add up to 1 for each sample"),
    ({"x": X, "y": np.asarray([None] * 60)}, (), "it holds Python objects; save it again, as"),
    (
        {"x": np.asarray(["a"] * 60)},
        (),
        "samples must be real numbers along a first axis, got shape",
    ),
    ({"x": np.float64(1)}, (), "samples must be real numbers along a first axis, got shape ()"),
    ({"x": X[:0]}, (), "samples must be real numbers along a first axis, got shape (0, 5)"),
    ({"x": X[:, :0]}, (), "got shape (60, 0)"),
    ({"x": HOLE}, (), "x must be finite, got NaN or infinity, first in sample 7"),
    (
        {"x": np.full_like(X, np.nan)},
        (),
        "x must be finite, got NaN or infinity, first in sample 0",
    ),
    ({"x": X}, ("--neighbors", "60"), "got n_neighbors=60 for 60 samples"),
    ({"x": X}, ("--image-shape", "2,3"), "--image-shape 2,3 must be height, width and"),
    ({"x": X}, ("--image-shape", "5"), "'5' is not 2 to 3 whole numbers with commas"),
    ({"x": X}, ("--image-shape", "a,b"), "'a,b' is not 2 to 3 whole numbers"),
    ({"x": X}, ("--gammas", "1,x"), "'1,x' is not 1 to 16 numbers with commas between them"),
    ({"x": X}, ("--gammas", "-1"), "gamma must be a number >= 0, got -1"),
    ({"x": X}, ("--num-mix", "33"), "got num_mix=33 for batches of 32"),
    ({"x": X}, ("--tolerance", "-1"), "tolerance must be a relative deviation"),
    ({"x": X}, ("--max-samples", "1"), "1 is not in the range x>=2"),
    ({"x": X + 1j}, (), "samples must be real numbers along a first axis, got shape (60, 5)"),
    ({"x": X, "y": np.full(60, np.inf)}, (), "labels must be words or finite real numbers, got"),
    ({"x": X, "y": np.full((60, 2), "a")}, (), "labels must be classes (N,) or weights of classes"),
    ({"x": X, "y": np.arange(60) * 1j}, (), "labels must be words or finite real numbers, got"),
    ({"x": np.arange(1200.0), "y": np.arange(1200)}, (), "at most 1000 classes, got 1200"),
    ({"x": X}, ("--image-shape", "-1,-5"), "must be height, width and 1, 3 or 4 channels"),
    ({"x": X}, ("--image-shape", "1,1,5"), "must be height, width and 1, 3 or 4 channels"),
    ({"x": X}, ("--batch-size", "1"), "1 is not in the range x>=2"),
    ({"x": X}, ("--gammas", ",".join("1" * 17)), "is not 1 to 16 numbers with commas"),
    ({"x": X}, ("-o", "{tmp}/no/page.html"), "/no is no directory to write page.html to."),
]


@pytest.mark.parametrize(("arrays", "args", "message"), REFUSALS)
def test_refusals(capsys, tmp_path, arrays, args, message):
    file = str(save(tmp_path, **arrays))
    args = [arg.format(tmp=tmp_path) for arg in args]
    assert main(["report", file, *SMALL, "-o", str(tmp_path / "page.html"), *args]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert re.fullmatch(r"Error: .*\n", captured.err)
    assert message in captured.err
    assert not (tmp_path / "page.html").exists()


@pytest.mark.parametrize("content", ["text", "array", "nothing", "half"])
def test_files_that_are_no_archives(capsys, tmp_path, content):
    file = tmp_path / "data.npz"
    if content == "array":
        with open(file, "wb") as stream:
            np.save(stream, X)
    else:
        whole = save(tmp_path, x=X).read_bytes()
        file.write_bytes(
            {"text": b"x,y\n", "nothing": b"", "half": whole[: len(whole) // 2]}[content]
        )
    assert main(["report", str(file), "-o", str(tmp_path / "page.html")]) == 2
    error = capsys.readouterr().err
    single = "holds a single array; save samples and labels by numpy.savez"
    assert (single if content == "array" else "is no .npz file of NumPy") in error
    assert str(file) in error


def test_names_of_classes_in_other_shapes_are_left_aside(tmp_path):
    for names in (np.asarray("cats"), np.asarray([["a", "b", "c"]])):
        data = read(save(tmp_path, x=IMAGES, y=CLASSES, class_names=names))
        assert data.classes == ("0", "1", "2")


def test_an_archive_with_a_broken_array(capsys, tmp_path):
    file = tmp_path / "data.npz"
    np.savez_compressed(file, x=np.random.default_rng(0).random((60, 50)))
    whole = bytearray(file.read_bytes())
    whole[200:300] = bytes(100)
    file.write_bytes(whole)
    assert main(["report", str(file), "-o", str(tmp_path / "page.html")]) == 2
    assert f"the array 'x' of {file}, for x, can't be read" in capsys.readouterr().err


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no full device")  # noqa: PTH110
def test_a_full_disk_is_named(capsys, tmp_path):
    file = save(tmp_path, x=X)
    assert main(["report", str(file), *SMALL, "-o", "/dev/full"]) == 2
    assert capsys.readouterr().err == "Error: /dev/full: No space left on device\n"


def test_values_to_show():
    """Bytes as they are, unless they are all dark; of others, nearly the whole range."""
    bright = np.zeros((9, 8, 8), np.uint8)
    bright[0] = 200
    assert _span(bright) == (0, 255)
    assert _span(bright // 200) == (0, 1)
    values = np.linspace(-1, 3, 10_001)
    values[0] = 1e6
    assert _span(values) == pytest.approx((-1, 3), abs=0.02)


def test_large_images_are_shrunk(tmp_path):
    images = np.random.default_rng(0).random((24, 150, 300)).astype(np.float32)
    page = write(
        tmp_path / "p.html", str(save(tmp_path, x=images)), "--gammas", "2", "--neighbors", "5"
    )
    assert {pixels(each["src"]).shape for each in page.all("img")} == {(64, 128)}


def test_densities_far_above_one(tmp_path):
    """On a scale on which shares are still to be seen."""
    points = np.random.default_rng(0).normal(size=(300, 100))
    page = write(tmp_path / "page.html", str(save(tmp_path, x=points)), *SMALL)
    densities = [float(row[page.table[0].index("density")]) for row in page.table[1:]]
    assert max(densities) > 3
    realism = page.charts[1]
    assert {"0", "1", "10"} <= set(re.findall(r">([\d.]+)</text>", realism))


def test_a_file_that_is_not_there(capsys, tmp_path):
    assert main(["report", str(tmp_path / "none.npz")]) == 2
    assert "does not exist" in capsys.readouterr().err
