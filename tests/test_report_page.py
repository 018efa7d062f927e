"""The command `zetamix report`: data that it reads, the page that it writes, what it refuses."""

import base64
import csv
import html
import importlib.util
import io
import json
import os
import re
import shlex
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import zetamix
from PIL import Image
from rich.console import Console
from zetamix.cli import main, terminal
from zetamix.figures.datasets import digits, helix
from zetamix.figures.report import forecast, measuring
from zetamix.figures.report.data import Samples, _span, embedded_digits, read_samples

from zetamix_core import MixPlan, metrics
from zetamix_core.metrics import suggest_gamma
from zetamix_core.metrics.experiment import Experiment
from zetamix_core.metrics.methods import MIXUP, epoch_plan, mixup_method
from zetamix_core.metrics.methods import zeta_method as zeta

vl_convert = pytest.importorskip("vl_convert", reason="it comes with the extra report")
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
    def body(self):
        """The page without its scripts."""
        return re.sub(r"<script.*?</script>", "", self.text, flags=re.DOTALL)

    def data(self, name):
        """What a script holds as JSON."""
        found = re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', self.text)
        return json.loads(found[1])

    @property
    def specs(self):
        return [spec for spec in self.data("specs") if spec is not None]

    @property
    def titles(self):
        return re.findall(r'<figure class="chart"><h3>(.*?)</h3>', self.body)

    def chart(self, title):
        return self.data("specs")[self.titles.index(title)]

    def table_of(self, name):
        table = re.search(rf'<table id="{name}">.*?</table>', self.body, flags=re.DOTALL)[0]
        rows = re.findall(r"<tr.*?</tr>", table, flags=re.DOTALL)
        return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in rows]

    @property
    def table(self):
        return self.table_of("measures")

    @property
    def command(self):
        return re.search(r'<pre id="command">(.*?)</pre>', self.text)[1]


def values_of(spec):
    """All rows of data in a specification."""
    found = []
    for data in spec.get("datasets", {}).values():
        found += data
    for layer in spec.get("layer", [spec]):
        found += layer.get("data", {}).get("values", [])
        found += values_of(layer) if "layer" in layer else []
    return found


def pixels(source):
    """Decode a picture of the page."""
    data = re.sub("^data:image/(png|jpeg);base64,", "", source)
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
    assert "url(" not in page.body
    assert "@import" not in page.body
    assert not page.all("link")


def test_size(page):
    assert len(page.text.encode()) < 1.5e6
    scripts = sum(map(len, re.findall(r"<script>.*?</script>", page.text, flags=re.DOTALL)))
    assert scripts < 0.92e6
    assert len(page.text.encode()) - scripts < 0.5e6


def test_numbers_are_those_of_the_report(page, report):
    head, *rows = page.table
    assert head[1:5] == ["dimension", "from own", "from heaviest", "nearest"]
    labels = np.eye(10)[digits().targets]
    experiment = Experiment(digits().points, labels, keys=[(0,)], batch_size=32)
    mild = experiment.measure(mixup_method(0.2, name="mixup, α = 0.2"))
    mixup = report.rows[1]._replace(name="mixup, α = 1")
    expected = [report.originals, mixup, mild, *report.rows[2:]]
    assert len(rows) == len(expected)
    for cells, row in zip(rows, expected, strict=True):
        assert cells[0] == row.name
        shown = dict(zip(head[1:], cells[1:], strict=True))
        assert shown["dimension"] == f"{row.dimension:.2f}"
        assert shown["from own"] == f"{row.displacement:.3f}"
        assert shown["from heaviest"] == f"{row.heaviest_displacement:.3f}"
        assert shown["recall"] == f"{row.recall:.3f}"
        assert shown["classes"] == f"{row.effective_classes:.2f}"
        assert shown["same class"] == f"{row.same_class:.3f}"
    assert report.reason in page.text.replace("&#39;", "'")
    assert f"off by {100 * (1 - report.originals.overlap):.1f}% of the weight" in page.text
    saved = page.data("numbers")
    assert [row["name"] for row in saved["measures"]] == [row.name for row in expected]
    assert saved["measures"] == [row._asdict() for row in expected]
    assert (saved["gamma"], saved["gamma_report"]) == (2.8, 2.8)
    assert saved["suggest_gamma"] == suggest_gamma(digits().points, num_mix=32).gamma


def test_advice_in_plain_words(page, report):
    row = next(row for row in report.rows if row.gamma == 2.8)
    assert (
        "<p>Try γ = 2.8: the smallest at which mixed digits still look like digits (dimension "
        f"{row.dimension:.1f}, originals {report.originals.dimension:.1f}, mixup "
        f"{report.rows[1].dimension:.1f}).</p>"
    ) in page.body
    code = re.search(r'<pre id="code">(.*?)</pre>', page.body)[1]
    assert "gamma=2.8, num_mix=8, num_classes=10" in code
    x, y = digits().points[:32], digits().targets[:32]
    names = {"zetamix": zetamix, "x": x, "y": y}
    exec(code, names)
    assert (names["mixed"].shape, names["soft"].shape) == ((32, 8, 8), (32, 10))
    assert "If it does not help on validation data: try a larger γ, such as 4" in page.body
    assert "larger of two suggestions: the one from dimension, precision and recall" in page.body


def test_classes_one_by_one(page):
    head, *rows = page.table_of("classes")
    columns = ["class", "samples", "share", "dimension", "overlap", "most mixed with"]
    assert head == [*columns, "γ of neighbours"]
    assert {cells[0]: int(cells[1]) for cells in rows} == {
        str(c): int(count) for c, count in enumerate(np.bincount(digits().targets))
    }
    x, y = digits().points, digits().targets
    dimension = metrics.local_intrinsic_dimension(x, n_neighbors=128)
    vote = metrics.neighbor_vote(x, y, num_classes=10)
    mixed = epoch_plan(zeta(2.8), len(x), 32, (0,))
    soft = mixed.mix_labels(y, 10)
    oracle = metrics.neighbor_vote(x, y, mixed @ x, num_classes=10, anchors=np.arange(len(x)))
    overlap = metrics.label_correctness(soft, oracle).overlap
    for cells in rows:
        of_class = y == int(cells[0])
        assert cells[3] == f"{dimension[of_class].mean():.2f}"
        assert cells[4] == f"{overlap[of_class].mean():.3f}"
        votes = vote[of_class].sum(axis=0)
        votes[int(cells[0])] = 0
        assert cells[5] == str(votes.argmax())
        assert float(cells[6]) >= 1.73


def test_charts(page):
    assert page.titles == [
        "Intrinsic dimension",
        "Distance moved",
        "Realism and diversity",
        "Density",
        "Labels: richness and correctness",
        "How many samples to mix",
        "Class balance",
    ]
    for title, spec in zip(page.titles, page.specs, strict=True):
        text = json.dumps(spec)
        assert [each["name"] for each in spec["params"]] == ["place"]
        assert spec["params"][0]["value"] == GAMMAS.index(2.8)
        assert "tooltip" in text, title
        if title not in ("Class balance", "How many samples to mix"):
            assert "datum.i == place" in text, title
        if title not in ("Class balance", "How many samples to mix") and "Labels" not in title:
            assert "try \\u03b3 = 2.8" in text, title  # wherever the slider is
    balance = page.chart("Class balance")
    assert {row["class"]: row["samples"] for row in values_of(balance)} == {
        str(c): int(count) for c, count in enumerate(np.bincount(digits().targets))
    }
    assert len(set(balance["encoding"]["color"]["scale"]["range"])) == 10


def texts_of(spec):
    """All layers of text in a specification."""
    layers = spec.get("layer", [])
    own = [each for each in layers if each.get("mark", {}).get("type") == "text"]
    return own + [text for each in layers for text in texts_of(each)]


def test_text_keeps_off_the_curves(page, tmp_path):
    found = [text for spec in page.specs for text in texts_of(spec)]
    assert len(found) == 4
    for text in found:  # above all that is drawn, large dots included
        assert text["encoding"]["y"] == {"value": 0}
        assert text["mark"]["dy"] <= -12
    for spec in page.specs:
        assert spec["config"]["axis"]["labelFlush"] is False
    names = np.asarray(["an animal of the sea", "an animal of the land"])
    long = write(tmp_path / "p.html", str(save(tmp_path, x=X, y=names[np.arange(60) % 2])), *SMALL)
    for each, angle in ((page, 0), (long, -90)):
        axis = each.chart("Class balance")["encoding"]["x"]["axis"]
        assert axis["labelAngle"] == angle


def test_charts_are_drawn(page):
    """By the library itself, with the variables of the page as colours."""
    for spec in page.specs:
        text = re.sub(r"var\(--[\w-]+\)", "#0069a5", json.dumps(spec))
        svg = vl_convert.vegalite_to_svg(text)
        assert svg.startswith("<svg")
        assert svg.count("<path") > 5


def test_charts_take_their_colours_from_the_page(page):
    colours = {name for spec in page.specs for name in re.findall(r"var\(--([\w-]+)\)", str(spec))}
    assert {"blue", "orange", "green", "grey", "ink", "line", "class-0", "class-9"} <= colours
    for dress in ("root {", "dark) {", "print {"):
        style = page.body.split(dress, 1)[1].split("}", 1)[0]
        assert all(f"--{name}:" in style for name in colours), dress
    assert not re.search("#[0-9a-f]{6}", str(page.specs))


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
        assert len(same) == 2 + 12  # a name, a fact, twelve cards
        assert len(shown) == (14 if number == place else 0)
    (shown,) = [found for _, found in page.tags if found.get("class") == "shown"]
    assert shown["data-row"] == str(place)


def test_pictures_are_the_samples_and_their_mixtures(page):
    found = [pixels(each["src"]) for each in page.all("img")]
    assert len(found) == 12 * (2 + len(GAMMAS))
    x, y = digits().points, digits().targets
    mixup = epoch_plan(MIXUP, len(x), 32, (0,))
    # The heavier sample first: half of the time that is the partner.
    assert 0.4 < np.mean(mixup.weights[:, 0] < 0.5) < 0.6
    plans = [MixPlan(mixup.indices, np.sort(mixup.weights, axis=1)[:, ::-1], len(x))]
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
    assert "<span><b>0</b> 100%</span>" in page.text


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
    assert lines[1].split()[:3] == ["dimension", "from", "own"]
    assert any(line.strip().startswith("mixup, α = 0.2 ") for line in lines)
    assert any(line.startswith("Try γ = ") for line in lines)
    assert lines[-1] == f"Written: {tmp_path / 'page.html'}"


# --- other data -----------------------------------------------------------------------------------


def save(tmp_path, **arrays):
    np.savez(tmp_path / "data.npz", **arrays)
    return tmp_path / "data.npz"


def test_data_without_labels(tmp_path):
    file = save(tmp_path, images=digits().points[:200])
    page = write(tmp_path / "page.html", str(file), *SMALL)
    assert len(page.specs) == 5
    assert page.table[0][-1] == "coverage"
    assert "overlap" not in page.body
    assert "zeta_mixup(x, gamma=" in page.body
    assert len(page.all("img")) == 12 * 5
    assert not re.search('class="(own|label)"', page.body)


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
    assert not page.all("img")
    assert page.titles[:2] == ["mixup", "ζ-mixup"]
    own, mixed = page.chart("mixup"), page.chart("ζ-mixup")
    places = len(page.data("numbers")["measures"]) - 3
    for spec, frames in ((own, 1), (mixed, places)):
        rows = [row for row in values_of(spec) if "class" in row]
        assert {len(row["x"]) for row in rows} == {frames}
        assert {row["class"] for row in rows} == {"0", "1", "2"}
        assert spec["layer"][1]["encoding"]["color"]["scale"]["domain"] == ["0", "1", "2"]
    assert "datum.x[place]" in json.dumps(mixed)
    axis = own["layer"][0]["encoding"]["x"]["title"]
    assert axis == ("first principal component" if num_features == 3 else "feature 0")
    if num_features == 2:  # as they are
        rows = [row for row in values_of(mixed) if "class" not in row]
        found = np.asarray([(row["x"], row["y"]) for row in rows])
        np.testing.assert_allclose(found, points, atol=2e-3)


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
    assert "batches of 16, 4 samples in a mixture." in page.text
    found = metrics.gamma_report(
        digits().points[:200], gammas=GAMMAS, n_neighbors=20, num_mix=4, batch_size=16
    )
    assert page.table[5][1] == f"{found.rows[3].dimension:.2f}"


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


@pytest.mark.parametrize(
    "labels",
    [
        CLASSES,
        CLASSES[:, None],
        CLASSES + 1,
        4 * CLASSES,
        CLASSES - 1,
        CLASSES.astype(float),
        CLASSES == 0,
        np.asarray(["cat", "dog", "owl"])[CLASSES],
        np.asarray(["cat", "dog", "owl"])[CLASSES][:, None],
        np.eye(3)[CLASSES],
        np.eye(3, dtype=int)[CLASSES],
    ],
    ids=[
        *("from 0", "column", "from 1", "gaps", "negative", "floating", "bool"),
        *("words", "words in a column", "weights", "one-hot integers"),
    ],
)
def test_the_line_to_copy_runs_on_the_labels(tmp_path, labels):
    x = X[: len(labels)]
    args = (str(save(tmp_path, x=x, y=labels)), "--gammas", "6", "--neighbors", "5")
    page = write(tmp_path / "page.html", *args)
    line = html.unescape(re.search(r'<pre id="code">(.*?)</pre>', page.text)[1])
    names = {"zetamix": zetamix, "numpy": np, "x": x, "y": labels}
    exec(line, names)
    assert names["mixed"].shape == x.shape
    assert names["soft"].shape == (len(x), 2 if labels.dtype == bool else 3)


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
    ({"a": X, "b": X}, (), "has no array named x, x_train,"),
    ({"a": X, "b": X}, (), "it has a, b: name one of them with --x"),
    ({}, (), "it has none at all"),
    ({"x": X}, ("--x", "z"), "has no array 'z', it has x"),
    ({"x": X}, ("--y", "z"), "has no array 'z', it has x"),
    (
        {"x": X, "y": np.arange(59)},
        (),
        "samples and labels must have the same length, got shapes (60, 5)",
    ),
    ({"x": X, "y": np.float64(3)}, (), "samples and labels must have the same length"),
    ({"x": X, "y": X[:, 0]}, (), "labels must be classes (N,) or weights of classes (N, C), got"),
    ({"x": X, "y": X[:, 0]}, (), "(N, C), got shape (60,) and dtype float64; name other labels"),
    ({"x": X, "y": X}, (), "y must be 0 or more and add up to 1 for each sample"),
    ({"x": X, "y": np.asarray([None] * 60)}, (), "it holds Python objects; save it again, as"),
    (
        {"x": np.asarray(["a"] * 60)},
        (),
        "samples must be real numbers along a first axis, got shape",
    ),
    ({"x": np.float64(1)}, (), "samples must be real numbers along a first axis, got shape ()"),
    ({"x": X[:0]}, (), "samples must not be empty, got shape (0, 5)"),
    ({"x": X[:, :0]}, (), "got shape (60, 0)"),
    ({"x": HOLE}, (), "x must be finite, got NaN or infinity, first in sample 7"),
    (
        {"x": np.full_like(X, np.nan)},
        (),
        "x must be finite, got NaN or infinity, first in sample 0",
    ),
    ({"x": X}, ("--neighbors", "60"), "--neighbors must be at least 2 and less than the number of"),
    ({"x": X}, ("--neighbors", "1"), "got 1 for 60 samples; pass a number up to 59"),
    ({"x": X.reshape(60, 1, 5)}, ("--image-shape", "1,5", "--standardize"), "is for tables, got"),
    ({"x": X}, ("--image-shape", "2,3"), "--image-shape 2,3 must be height, width and"),
    ({"x": X}, ("--image-shape", "5"), "'5' must be 2 to 3 comma-separated integers."),
    ({"x": X}, ("--image-shape", "a,b"), "'a,b' must be 2 to 3 comma-separated integers."),
    ({"x": X}, ("--gammas", "1,x"), "'1,x' must be 1 to 16 comma-separated numbers of 0"),
    ({"x": X}, ("--gammas", "-1"), "'-1' must be 1 to 16 comma-separated numbers of 0 or more"),
    ({"x": X}, ("--num-mix", "33"), "--num-mix must be at most --batch-size, got 33 for batches"),
    ({"x": X}, ("--num-mix", "1"), "1 is not in the range x>=2"),
    *(
        ({"x": X}, ("--tolerance", typed), f"'{typed}' must be a share from 0 to 1; 0.1 allows ten")
        for typed in ("-1", "2", "1.01", "nan", "inf", "x")
    ),
    *(
        ({"x": X}, ("--max-samples", typed), f"'{typed}' must be an integer of 7 or more; fewer")
        for typed in ("-1", "1", "6", "7.5", "x")
    ),
    ({"x": X + 1j}, (), "samples must be real numbers along a first axis, got shape (60, 5)"),
    ({"x": X, "y": np.full(60, np.inf)}, (), "labels must be words or finite real numbers, got"),
    ({"x": X, "y": np.full((60, 2), "a")}, (), "labels must be classes (N,) or weights of classes"),
    ({"x": X, "y": np.arange(60) * 1j}, (), "labels must be words or finite real numbers, got"),
    ({"x": np.arange(1200.0), "y": np.arange(1200)}, (), "at most 1000 classes, got 1200"),
    ({"x": X}, ("--image-shape", "-1,-5"), "must be height, width and 1, 3 or 4 channels"),
    ({"x": X}, ("--image-shape", "1,1,5"), "must be height, width and 1, 3 or 4 channels"),
    ({"x": X}, ("--batch-size", "1"), "1 is not in the range x>=2"),
    ({"x": X}, ("--gammas", ",".join("1" * 17)), "must be 1 to 16 comma-separated numbers"),
    ({"x": X}, ("-o", "{tmp}/no/page.html"), "/no does not exist; create it or choose another -o."),
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
    asked = "Try 'zetamix report --help'." in captured.err
    assert asked == captured.err.startswith("Error: Invalid value")  # others say what to do
    assert not (tmp_path / "page.html").exists()


WHOLE = io.BytesIO()
np.savez(WHOLE, x=X)
HUGE = io.BytesIO()
np.lib.format.write_array_header_1_0(
    HUGE, {"descr": "<f8", "fortran_order": False, "shape": (2**38,)}
)
BROKEN = {
    "zip.npz": (b"PKjunk", "is not a complete .npz file (File is not a zip file); the file may be"),
    "text.npz": (b"x,y\n", "must be an .npz or .npy file of NumPy or a .csv table, got something"),
    "nothing.npz": (b"", "got an empty file; make one with numpy.savez"),
    "nothing.csv": (b"", "got an empty file"),
    "half.npz": (
        WHOLE.getvalue()[:900],
        "is not a complete .npz file (File is not a zip file); the file",
    ),
    "half.npy": (HUGE.getvalue(), "its header claims 2,199,023,255,552 bytes"),
    "ragged.csv": (b"a,b\n1,2\n3\n", "same number of columns in all rows, got 1 in row 2, not 2"),
    "words.csv": (
        b"a,b,c\nx,y,2\nz,w,3\n",
        "got text in a, b; leave them out, or name one of them",
    ),
    "latin.csv": ("a,b\né,2\n".encode("latin-1"), "must be a table in UTF-8"),
    "holes.csv": (b"a,b\n1,2\n3,\n4,5\n", "x must be finite, got NaN or infinity, first in"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files(capsys, tmp_path, name):
    content, message = BROKEN[name]
    (tmp_path / name).write_bytes(content)
    assert main(["report", str(tmp_path / name), "-o", str(tmp_path / "page.html")]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    if name.startswith("half"):
        assert "may be cut short or damaged: copy or save it again" in error


# --- other files ----------------------------------------------------------------------------------


def test_names_of_medmnist(tmp_path):
    arrays = {f"{part}_images": IMAGES for part in ("train", "val", "test")}
    arrays |= {f"{part}_labels": (CLASSES + k)[:, None] for k, part in enumerate(("train", "test"))}
    file = save(tmp_path, **arrays)
    assert read(file).classes == ("0", "1", "2")
    assert read(file, x_name="test_images").classes == ("1", "2", "3")  # and its own labels
    assert np.array_equal(read(file).x, IMAGES)


def test_names_in_any_case(tmp_path):
    data = read(save(tmp_path, X_train=IMAGES, Y_train=CLASSES))
    assert (len(data.x), len(data.classes)) == (20, 3)


def test_a_single_array(tmp_path):
    np.save(tmp_path / "data.npy", IMAGES)
    data = read(tmp_path / "data.npy")
    assert np.array_equal(data.x, IMAGES)
    assert data.labels is None


TABLES = {
    "comma": ("a,b,species\n1,2,cat\n3,4.5,dog\n-1,0,cat\n", ("cat", "dog")),
    "semicolon": ("a;b;label\n1;2;0\n3;4.5;1\n-1;0;0\n", ("0", "1")),
    "tab, quoted": ('a\tb\t"kind"\n1\t2\t"x y"\n3\t4.5\tz\n-1\t0\t"x y"\n', ("x y", "z")),
    "none": ("a,b\n1,2\n3,4.5\n-1,0\n", ()),
    "names of rows": (",a,b,target\n0,1,2,5\n1,3,4.5,6\n2,-1,0,5\n", ("5", "6")),
    "no header": ("1,2\n3,4.5\n-1,0\n", ()),
}


@pytest.mark.parametrize("form", TABLES)
def test_tables(tmp_path, form):
    text, classes = TABLES[form]
    (tmp_path / "data.csv").write_text(text, encoding="utf-8-sig")
    data = read(tmp_path / "data.csv")
    assert np.array_equal(data.x, [[1, 2], [3, 4.5], [-1, 0]])
    assert data.classes == classes
    if classes:
        assert np.array_equal(data.labels.argmax(axis=1), [0, 1, 0])


def test_columns_of_a_table(tmp_path):
    (tmp_path / "data.csv").write_text("a,b,y\n1,0,3\n2,1,4\n5,0,3\n", encoding="utf-8")
    data = read(tmp_path / "data.csv", y_name="b")
    assert np.array_equal(data.x, [[1, 3], [2, 4], [5, 3]])
    assert data.classes == ("0", "1")
    left = read(tmp_path / "data.csv", labelled=False)
    assert left.labels is None
    assert np.array_equal(left.x, [[1, 0], [2, 1], [5, 0]])  # without the labels
    with pytest.raises(ValueError, match="has no column 'c', it has a, b, y"):
        read(tmp_path / "data.csv", y_name="c")


@pytest.mark.parametrize("missing", ["", "NA", "nan", " null "])
def test_missing_numbers_of_a_table_are_no_words(capsys, tmp_path, missing):
    rows = [f"{k},{missing if k == 7 else k * k},{'pq'[k % 2]}" for k in range(30)]
    (tmp_path / "data.csv").write_text("\n".join(["a,b,kind", *rows]), encoding="utf-8")
    data = read(tmp_path / "data.csv")
    assert data.classes == ("p", "q")
    assert np.argwhere(np.isnan(data.x)).tolist() == [[7, 1]]
    assert main(["report", str(tmp_path / "data.csv"), "-o", str(tmp_path / "page.html")]) == 2
    assert "first in sample 7; leave such samples out, or fill missing" in capsys.readouterr().err


def test_own_features(tmp_path):
    rng = np.random.default_rng(0)
    images, features = rng.random((60, 8, 8)), rng.normal(size=(60, 3))
    np.save(tmp_path / "f.npy", features)
    file = save(tmp_path, x=images, y=np.arange(60) % 2)
    page = write(tmp_path / "p.html", str(file), *SMALL, "--features", str(tmp_path / "f.npy"))
    found = metrics.gamma_report(features, gammas=GAMMAS, n_neighbors=20)
    assert page.table[1][1] == f"{found.originals.dimension:.2f}"
    assert "measured on 3 features of each" in page.body
    assert len(page.all("img")) == 12 * 5  # which are still the samples
    some = read_samples(file, features=tmp_path / "f.npy", max_samples=9, key=(0,))
    for image, row in zip(some.x, some.features, strict=True):  # drawn together
        assert np.array_equal(features[np.all(images == image[..., 0], axis=(1, 2))][0], row)
    np.save(tmp_path / "f.npy", features[1:])
    with pytest.raises(ValueError, match="samples and --features must have the same length, got"):
        read(file, features=tmp_path / "f.npy")


def test_a_column_that_dominates(capsys, tmp_path):
    rng = np.random.default_rng(0)
    table = rng.normal(size=(60, 4)) * [1, 1, 300, 2]
    names = np.asarray(["ash", "hue", "proline", "malic"])
    file = save(tmp_path, x=table, feature_names=names)
    page = write(tmp_path / "page.html", str(file), *SMALL)
    warning = "Column &#39;proline&#39; has 100.0% of the variance"
    assert warning in page.body
    assert "Column 'proline' has 100.0% of the variance" in capsys.readouterr().out
    assert page.table[1][1] == "1.00"
    page = write(tmp_path / "page.html", str(file), *SMALL, "--standardize")
    assert "of the variance, so" not in page.body
    assert "columns standardized" in page.body
    assert float(page.table[1][1]) > 2.5
    assert "Column 2 (counted from 0) has" in read(save(tmp_path, x=table)).notes[0]


def test_standardized_columns(tmp_path):
    table = np.random.default_rng(0).normal(size=(50, 3)) * [1e-9, 5, 1e200] + [0, 1e9, 0]
    table[:, 1] = 7
    data = read(save(tmp_path, x=table), standardize=True)
    np.testing.assert_allclose(data.x.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(data.x.std(axis=0), [1, 0, 1], rtol=1e-12)


SHAPES = {
    "square": (784, "Rows of 784 numbers may be images of 28 × 28 pixels. If they are, add "),
    "colours": (3072, "may be images of 32 × 32 pixels with 3 channels, the last axis. If they"),
    "small": (49, None),
    "no square": (785, None),
}


@pytest.mark.parametrize("name", SHAPES)
def test_rows_that_may_be_images_get_a_hint(tmp_path, name):
    length, hint = SHAPES[name]
    rows = np.random.default_rng(0).random((20, length))
    file = save(tmp_path, x=rows)
    data = read(file)
    assert data.x.shape == (20, length)  # as they are
    notes = [note for note in data.notes if "--image-shape" in note]
    assert len(notes) == (hint is not None)
    if hint is None:
        return
    assert hint in notes[0]
    option = re.search("add --image-shape ([0-9,]+) to see them", notes[0])[1]
    shape = tuple(map(int, option.split(",")))
    shown = read(file, image_shape=shape)
    assert (shown.are_images, shown.notes) == (True, ())
    assert not read(file, standardize=True).notes  # a table, then


def test_the_hint_is_on_the_page_and_the_terminal(capsys, tmp_path):
    file = save(tmp_path, x=digits().points[:60].reshape(60, -1))
    page = write(tmp_path / "page.html", str(file), *SMALL)
    hint = "Rows of 64 numbers may be images of 8 × 8 pixels. If they are, add --image-shape 8,8"
    assert hint in page.body
    assert hint in " ".join(capsys.readouterr().out.split())


def test_long_measuring_is_announced(capsys, monkeypatch, tmp_path):
    colours = np.zeros((2000, 32, 32, 3), np.float32)
    assert forecast(Samples("x", colours, None, (), (0, 1), 2000)) == (
        "Measuring 2,000 samples of 3,072 numbers takes about 2 minutes on two cores; "
        "--max-samples 500 is faster."
    )
    assert forecast(Samples("x", colours, None, (), (0, 1), 2000), (2.0,)) is not None
    assert forecast(Samples("x", colours[:300], None, (), (0, 1), 300)) is None
    assert forecast(embedded_digits()) is None
    monkeypatch.setattr(measuring, "_LONG", 0)
    args = ["report", str(save(tmp_path, x=X)), *SMALL, "-o", str(tmp_path / "page.html")]
    assert main(args) == 0
    assert capsys.readouterr().err == ""  # nobody watches
    watched = Console(stderr=True, width=200, force_interactive=True)
    monkeypatch.setattr(terminal, "Console", lambda **_: watched)
    assert main(args) == 0
    told = " ".join(capsys.readouterr().err.split())
    assert "Measuring 60 samples of 5 numbers takes about 1 minute on two cores;" in told


# --- few, equal and poor --------------------------------------------------------------------------


@pytest.mark.parametrize("n", [40, 8, 4])
def test_few_samples(tmp_path, n):
    file = save(tmp_path, x=np.random.default_rng(0).normal(size=(n, 4)), y=np.arange(n) % 2)
    page = write(tmp_path / "page.html", str(file), *FEW)
    assert f"covariance of {n // 2} nearest neighbours" in page.body


def test_rows_that_repeat_are_named(capsys, tmp_path):
    rows = np.concatenate([X, X[:7], np.zeros((1, 5)), -np.zeros((1, 5))])
    page = write(tmp_path / "page.html", str(save(tmp_path, x=rows)), *SMALL)
    assert "8 of 69 samples duplicate another one. Neighbourhoods of copies" in page.body
    assert "8 of 69 samples duplicate another one." in capsys.readouterr().out
    page = write(tmp_path / "page.html", str(save(tmp_path, x=X)), *SMALL)
    assert "duplicate another" not in page.body


ODD = {
    "all alike": {"x": np.ones((60, 5)), "y": np.arange(60) % 2},
    "images all alike": {"x": np.zeros((60, 8, 8), np.uint8)},
    "one class": {"x": X, "y": np.zeros(60, int)},
    "a class without samples": {"x": X, "y": np.eye(3)[np.arange(60) % 2]},
    "huge": {"x": X * 1e300},
    "tiny": {"x": X[:, :2] * 1e-300},
    "words like tags": {"x": X, "y": np.asarray(['"</script>,\n', "<b>&"])[np.arange(60) % 2]},
}


@pytest.mark.parametrize("name", ODD)
def test_odd_data_make_whole_pages(tmp_path, name):
    page = write(tmp_path / "page.html", str(save(tmp_path, **ODD[name])), "--gammas", "6")
    for spec in page.specs:
        assert vl_convert.vegalite_to_svg(re.sub(r"var\(--[\w-]+\)", "red", json.dumps(spec)))
    assert "NaN" not in json.dumps(page.specs)
    assert page.data("numbers")["gamma"] >= 1.73
    if name.endswith("alike"):
        assert "No γ is suggested: the originals have dimension 0 and precision 0" in page.body
    if name == "words like tags":
        saved = page.data("numbers")["classes"]
        assert {row["name"] for row in saved} == {'"</script>,\n', "<b>&"}


def test_an_oracle_that_is_mostly_wrong_draws_no_curve(tmp_path):
    rng = np.random.default_rng(0)
    file = save(tmp_path, x=rng.normal(size=(60, 5)), y=rng.integers(0, 6, 60))
    page = write(tmp_path / "page.html", str(file), *SMALL)
    assert page.chart("Labels: richness and correctness") is None
    assert "Not drawn: the vote of the nearest originals is right on only" in page.body


LARGER = {
    # The dimension of the plane is that of the data at each γ; points of the grid are close.
    "neighbours": (np.stack(np.meshgrid(*[np.arange(20.0)] * 2), -1).reshape(-1, 2), "7"),
    "measures": (np.random.default_rng(0).normal(size=(200, 3)), "8"),
}


@pytest.mark.parametrize("larger", LARGER)
def test_the_larger_of_two_suggestions(tmp_path, larger):
    points, gamma = LARGER[larger]
    file = save(tmp_path, x=points)
    grid = "2.8,7" if larger == "neighbours" else gamma
    args = ("--gammas", grid, "--neighbors", "30", "--tolerance", "1")
    page = write(tmp_path / "page.html", str(file), *args)
    found = page.data("numbers")
    near = np.ceil(10 * found["suggest_gamma"]) / 10
    assert found["gamma"] == max(found["gamma_report"], near)
    assert (near > found["gamma_report"]) == (larger == "neighbours")
    source = {
        "neighbours": "the one from the distances between neighbours (suggest_gamma)",
        "measures": "the one from dimension, precision and recall of mixed samples (gamma_report)",
    }
    assert f"This is the larger of two suggestions: {source[larger]}" in page.body
    # The slider and paper start there, if it is one of the γ asked for or not.
    (slider,) = page.all("input", type="range")
    assert slider["aria-valuetext"] == f"{found['gamma']:g}"
    assert found["measures"][3 + int(slider["value"])]["gamma"] == found["gamma"]
    assert f"gamma={found['gamma']:g}, " in page.body
    assert f"place({slider['value']})" in page.text  # before it is printed
    gammas = [row["gamma"] for row in found["measures"][3:]]
    assert gammas == sorted({*map(float, grid.split(",")), found["gamma"]})


def test_more_than_ten_classes(tmp_path):
    y = np.repeat(np.arange(13), np.arange(3, 16))
    x = np.random.default_rng(0).normal(size=(len(y), 2)) + y[:, None]
    page = write(tmp_path / "page.html", str(save(tmp_path, x=x, y=y)), *SMALL)
    legend = page.chart("ζ-mixup")["layer"][1]["encoding"]["color"]["scale"]
    assert legend["domain"] == [*map(str, range(4, 13)), "other classes"]
    assert len(set(legend["range"])) == 10


def test_no_folder_is_on_the_page(tmp_path, monkeypatch):
    folder = tmp_path / "secret place"
    folder.mkdir()
    file = save(folder, x=X, y=np.arange(60) % 2)
    np.save(folder / "f.npy", X)
    args = [str(file), *SMALL, "--features", str(folder / "f.npy")]
    assert main(["report", *args, f"--output={folder / 'page.html'}"]) == 0
    text = (folder / "page.html").read_text(encoding="utf-8")
    assert "secret" not in text
    assert str(tmp_path) not in text
    command = re.search(r'<pre id="command">(.*?)</pre>', text)[1]
    monkeypatch.chdir(folder)
    (folder / "page.html").rename(folder / "before.html")
    assert main(shlex.split(command)[1:]) == 0
    assert (folder / "page.html").read_text(encoding="utf-8") == text


@pytest.mark.parametrize("missing", ["altair", "vl_convert"])
def test_without_the_extra_the_table_is_printed(capsys, monkeypatch, tmp_path, missing):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name != missing and find(name))
    monkeypatch.setattr(importlib.util, "find_spec", lambda n: None if n == missing else find(n))
    file = save(tmp_path, x=X)
    assert main(["report", str(file), *SMALL, "-o", str(tmp_path / "page.html")]) == 1
    captured = capsys.readouterr()
    assert "ζ-mixup, γ = 2.8" in captured.out
    assert "Try γ = " in captured.out
    assert captured.err == (
        f'Error: the page needs its extra: pip install "zetamix[report]" (missing: {missing})\n'
    )
    assert not (tmp_path / "page.html").exists()


# --- in a browser ---------------------------------------------------------------------------------

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
TRY = """<script>
addEventListener("load", async () => {
  const told = {};
  addEventListener("error", (e) => { told.error = String(e.message); });
  while (!document.documentElement.dataset.drawn) await new Promise((f) => setTimeout(f, 20));
  const svg = () => [...document.querySelectorAll(".view svg")].map((each) => each.outerHTML);
  const before = svg();
  slider.value = 0;
  slider.dispatchEvent(new Event("input"));
  for (const view of views) await view.runAsync();
  told.drawn = before.length;
  told.changed = svg().map((each, k) => each !== before[k]);
  const details = document.querySelector("details");
  dispatchEvent(new Event("beforeprint"));
  told.printed = [slider.value, views[0].signal("place"), details.open];
  dispatchEvent(new Event("afterprint"));
  told.after = [slider.value, views[0].signal("place"), details.open];
  details.open = true;
  dispatchEvent(new Event("beforeprint"));
  dispatchEvent(new Event("afterprint"));
  told.opened = details.open;  // as the reader left it
  told.tips = [];
  for (const place of places) {
    const marks = (kind) => place.querySelector(`.mark-${kind}.role-mark path`);
    const mark = marks("symbol") || marks("rect");  // legends have symbols, too, and no values
    const { x, y, width, height } = mark.getBoundingClientRect();
    const at = { clientX: x + width / 2, clientY: y + height / 2, bubbles: true };
    mark.dispatchEvent(new PointerEvent("pointerover", at));
    mark.dispatchEvent(new PointerEvent("pointermove", at));
    await new Promise((f) => setTimeout(f, 20));
    const tip = document.getElementById("vg-tooltip-element");
    told.tips.push(tip && tip.classList.contains("visible") ? tip.innerText : null);
    mark.dispatchEvent(new PointerEvent("pointerout", at));
  }
  told.saved = [];
  const blobs = [];
  URL.createObjectURL = (blob) => "blob:" + (blobs.push(blob) - 1);
  HTMLAnchorElement.prototype.click = function () { told.saved.push([this.download, this.href]); };
  for (const id of ["csv", "json"]) document.getElementById(id).click();
  for (const [k, blob] of blobs.entries()) told.saved[k].push(blob.type, await blob.text());
  told.ink = getComputedStyle(document.querySelector(".view svg text")).fill;
  told.wide = document.documentElement.scrollWidth;
  told.inner = innerWidth;
  told.marks = svg().filter((each) => each.includes("try γ = 2.8")).length;
  document.title = "told:" + JSON.stringify(told);
});
</script></body>"""


@pytest.mark.skipif(BROWSER is None, reason="there is no Chromium")
def test_in_a_browser_without_a_network(page, tmp_path):
    file = tmp_path / "page.html"
    start, end = page.text.rsplit("</body>", 1)  # there is another one within the bundle
    file.write_text(start + TRY + end, encoding="utf-8")
    found = {}
    for look in ("light", "dark"):
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--window-size=500,900"]
        options += ["--proxy-server=127.0.0.1:9", "--virtual-time-budget=20000", "--dump-dom"]
        options += [f"--user-data-dir={tmp_path / look}", "--disable-dev-shm-usage"]
        options += ["--force-dark-mode"] * (look == "dark")
        done = subprocess.run(
            [BROWSER, *options, file.as_uri()], capture_output=True, encoding="utf-8", timeout=120
        )
        told = re.search(r"<title>told:(.*?)</title>", done.stdout)
        assert told, done.stderr[-2000:]
        found[look] = json.loads(told[1])
    for told in found.values():
        assert "error" not in told
        assert told["drawn"] == 7
        assert told["changed"] == [True] * 6 + [False]  # the balance of classes knows no γ
        assert told["wide"] <= told["inner"]  # charts wrap
        assert told["marks"] == 4
        assert told["printed"] == ["1", 1, True]  # at the γ of the advice, with its reasons
        assert told["after"] == ["0", 0, False]
        assert told["opened"]
        for title, tip in zip(page.titles, told["tips"], strict=True):
            assert tip, title  # values at the pointer
        assert re.search(r"samples\s+17[0-9]|samples\s+18[0-9]", told["tips"][-1])
        (csv_name, _, csv_type, csv_text), (json_name, _, json_type, json_text) = told["saved"]
        assert (csv_name, csv_type) == ("zetamix.csv", "text/csv")
        assert (json_name, json_type) == ("zetamix.json", "application/json")
        assert json.loads(json_text) == page.data("numbers")
        measures, classes = csv_text.removesuffix("\r\n").split("\r\n\r\n")
        for text, name in ((measures, "measures"), (classes, "classes")):
            rows = list(csv.DictReader(io.StringIO(text, newline="")))
            shown = page.data("numbers")[name]
            assert [row["name"] for row in rows] == [row["name"] for row in shown]
            assert [float(row["dimension"]) for row in rows] == [row["dimension"] for row in shown]
    assert found["light"]["ink"] != found["dark"]["ink"]


# --- others ---------------------------------------------------------------------------------------


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
    assert f"the array 'x' of {file}, for samples, can't be read" in capsys.readouterr().err


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no full device")  # noqa: PTH110
def test_a_full_disk_is_named(capsys, tmp_path):
    file = save(tmp_path, x=X)
    assert main(["report", str(file), *SMALL, "-o", "/dev/full"]) == 1
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
    """On a scale on which shares are still to be seen, and that is said."""
    points = np.random.default_rng(0).normal(size=(300, 100))
    page = write(tmp_path / "page.html", str(save(tmp_path, x=points)), *SMALL)
    densities = [float(row[page.table[0].index("density")]) for row in page.table[1:]]
    assert max(densities) > 3
    assert '"type": "symlog"' in json.dumps(page.chart("Density"))
    assert "The axis is logarithmic." in page.body


def test_large_images_fit_on_the_page(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (24, 64, 64, 3), dtype=np.uint8)
    page = write(tmp_path / "p.html", str(save(tmp_path, x=images)), *SMALL[:2], "--neighbors", "5")
    assert len(page.text.encode()) < 1.5e6
    assert sum(len(each["src"]) for each in page.all("img")) < 0.3e6


@pytest.mark.parametrize(
    "args", [("--standardize",), ("--features", __file__), ("--x", "a"), ("--image-shape", "8,8")]
)
def test_options_that_need_a_file(capsys, tmp_path, args):
    assert main(["report", *args, "-o", str(tmp_path / "page.html")]) == 2
    assert (
        f"Error: {args[0]} needs a file of samples, got none; add DATA" in capsys.readouterr().err
    )


def test_a_file_that_is_not_there(capsys, tmp_path):
    assert main(["report", str(tmp_path / "none.npz")]) == 2
    assert "does not exist" in capsys.readouterr().err
