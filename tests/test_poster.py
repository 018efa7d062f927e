"""The poster and the comparison with scikit-dimension: numbers, oracles, pictures, refusals."""

import csv
import importlib
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from zetamix.figures.datasets import digits, half_moons, two_spirals

from zetamix_core import mixup_plan, zeta_plan
from zetamix_core.metrics import (
    gamma_report,
    label_correctness,
    label_richness,
    local_intrinsic_dimension,
    neighbor_vote,
    realism_diversity,
)

FOLDER = Path(__file__).parents[1] / "benchmarks"
FIGURES = {"manifolds", "dimension", "realism", "labels", "counts", "digits_images", "blobs_images"}
DATA = ["half-moons", "two spirals", "helix", "digits", "blobs"]
MIXUP = ["mixup, λ per sample", "mixup, λ per batch"]
OF_ALL = ["originals", *MIXUP, "ζ-mixup, γ = 2", "ζ-mixup, γ = 4"]
OF_IMAGES = ["ζ-mixup of 4, γ = 2.8", "ζ-mixup of 8, γ = 2.8"]

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the benchmarks are in checkouts only")


@pytest.fixture
def program(monkeypatch):
    """Import a file of the folder, as the programs there do."""
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module


def run(name, *args):
    command = [sys.executable, str(FOLDER / name), *map(str, args)]
    # Threads of small products would but wait for each other where tests run side by side.
    environment = os.environ | {"TERM": "dumb", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, encoding="utf-8", env=environment)


def read(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def blobs():
    """150 small images in colour, of bytes, of two classes."""
    rng = np.random.default_rng(0)
    labels = np.arange(150) % 2
    images = rng.integers(0, 100, size=(150, 4, 5, 3)) + 100 * labels[:, None, None, None]
    return {"images": images.astype(np.uint8), "labels": labels[:, None]}


# The poster -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def poster(tmp_path_factory):
    """Run the program on a file, and again without one."""
    folder = tmp_path_factory.mktemp("poster")
    np.savez(folder / "blobs.npz", class_names=["dark", "bright"], **blobs())
    done = run("poster.py", "--quick", "-o", folder / "first", folder / "blobs.npz")
    assert done.returncode == 0, done.stderr
    return folder / "first", done


def test_poster_writes_every_figure(poster):
    folder, done = poster
    assert {path.stem for path in folder.glob("*.png")} == FIGURES
    assert {path.stem for path in folder.glob("*.svg")} == FIGURES
    for path in folder.glob("*.png"):
        assert path.read_bytes().startswith(b"\x89PNG")
    for path in folder.glob("*.svg"):
        assert "<svg" in path.read_text(encoding="utf-8")[:1000]
    assert done.stderr == ""


def test_poster_measures_every_method_on_every_data_set(poster):
    folder, done = poster
    rows = read(folder / "measures.csv")
    expected = [
        (data, method, seed)
        for data in DATA
        for seed in ("0", "1")
        for method in OF_ALL + (OF_IMAGES if data in ("digits", "blobs") else [])
    ]
    assert [(row["data"], row["method"], row["seed"]) for row in rows] == expected
    assert {row["num_samples"] for row in rows} == {"140"}
    for row in rows:
        assert (row["overlap"] == "") == (row["data"] == "helix")
        sizes = {"originals": "1", **dict.fromkeys(MIXUP, "2")}
        sizes |= dict(zip(OF_IMAGES, ("4", "8"), strict=True))
        assert row["num_mix"] == sizes.get(row["method"], "32")
    for data in DATA:
        assert f"## {data}: " in done.stdout
    assert done.stdout.count("| ζ-mixup of 8, γ = 2.8 | ") == 2
    assert done.stdout.count("Its own error on the originals: ") == 4


def test_poster_is_the_same_at_each_run(poster, tmp_path):
    folder, done = poster
    again = run("poster.py", "--quick", "-o", tmp_path, folder.parent / "blobs.npz")
    assert again.stdout == done.stdout
    for name in ("measures.csv", "summary.csv", "counts.svg", "labels.svg"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


def test_summary_is_of_students_t(poster):
    folder, _ = poster
    measured, summary = read(folder / "measures.csv"), read(folder / "summary.csv")
    assert len(summary) == len(measured) / 2
    for row in summary:
        same = [m for m in measured if (m["data"], m["method"]) == (row["data"], row["method"])]
        assert row["num_seeds"] == "2"
        for name in ("dimension", "displacement", "density", "effective_classes", "same_class"):
            values = [float(m[name]) for m in same if m[name]]
            if not values:
                assert row[f"{name}_mean"] == row[f"{name}_half_width"] == ""
                continue
            half_width = stats.t.ppf(0.975, 1) * np.std(values, ddof=1) / np.sqrt(2)
            assert float(row[f"{name}_mean"]) == pytest.approx(np.mean(values))
            assert float(row[f"{name}_half_width"]) == pytest.approx(half_width, abs=1e-6)


def test_interval_of_more_seeds(program):
    values = [3.0, 1.0, 4.0, 1.0, 5.0, 9.0]
    interval = program("poster_measures").Interval.of(values)
    low, high = stats.t.interval(0.95, 5, loc=np.mean(values), scale=stats.sem(values))
    assert interval.mean == pytest.approx(np.mean(values))
    assert interval.mean - interval.half_width == pytest.approx(low)
    assert interval.mean + interval.half_width == pytest.approx(high)


def epoch(x, y, seed, draw):
    """Mix shuffled batches of 32 one by one, and put the outputs in the order of samples."""
    order = zeta_plan(len(x), num_outputs=1, anchored=False, rng=(seed,)).indices[0]
    mixed, soft = np.empty(x.shape), np.empty((len(x), 10))
    for step, start in enumerate(range(0, len(x), 32)):
        batch = order[start : start + 32]
        plan = draw(len(batch), rng=(seed, step))
        mixed[batch] = plan @ x[batch]
        soft[batch] = plan.mix_labels(y[batch], 10)
    return mixed, soft


@pytest.mark.parametrize(
    ("method", "draw"),
    [
        ("mixup, λ per batch", lambda n, rng: mixup_plan(n, per_sample=False, rng=rng)),
        ("ζ-mixup of 4, γ = 2.8", lambda n, rng: zeta_plan(n, num_mix=min(4, n), rng=rng)),
        ("ζ-mixup, γ = 4", lambda n, rng: zeta_plan(n, gamma=4.0, rng=rng)),
    ],
)
def test_cells_of_digits_by_hand(poster, program, method, draw):
    (source,) = (s for s in program("poster_data").bundled() if s.name == "digits")
    data = source.samples(1, 140)
    x, y = data.points.reshape(140, 64), data.targets
    mixed, soft = epoch(x, y, 1, draw)
    told = neighbor_vote(x, y, mixed, num_classes=10, anchors=np.arange(140))
    spread = np.sqrt(x.var(axis=0, ddof=1).sum())
    gaps = np.linalg.norm(mixed[:, None] - x, axis=2)
    expected = {
        "dimension": local_intrinsic_dimension(mixed, n_neighbors=128).mean(),
        "displacement": np.sqrt(np.mean(np.diag(gaps) ** 2)) / spread,
        "nearest_distance": np.sqrt(np.mean(gaps.min(axis=1) ** 2)) / spread,
        **realism_diversity(x, mixed)._asdict(),
        "effective_classes": label_richness(soft).effective_classes.mean(),
        "overlap": label_correctness(soft, told).overlap.mean(),
        "same_class": np.mean(soft.argmax(axis=1) == told.argmax(axis=1)),
    }
    (row,) = (
        row
        for row in read(poster[0] / "measures.csv")
        if (row["data"], row["method"], row["seed"]) == ("digits", method, "1")
    )
    for name, value in expected.items():
        assert float(row[name]) == pytest.approx(value, rel=1e-6), name


@pytest.mark.parametrize("name", ["half-moons", "helix", "digits"])
def test_a_report_of_the_library_says_the_same(program, name):
    measures, data = program("poster_measures"), program("poster_data")
    (source,) = (s for s in data.bundled() if s.name == name)
    samples = source.samples(3, 140)
    labelled = {"y": samples.targets, "num_classes": samples.num_classes}
    report = gamma_report(
        samples.points,
        gammas=(2.8,),
        oracle=source.oracle,
        seed=3,
        **(labelled if samples.num_classes else {}),
    )
    rows = measures.measure(source, 3, (2.8,), 140)
    assert [row.num_mix for row in rows[:4]] == [1, 2, 2, 32]
    for expected, row in zip(report.rows, (rows[0], rows[1], rows[3]), strict=True):
        assert row.measures[2:] == expected[2:]


# Data and oracles -----------------------------------------------------------------------------


def test_seeds_see_different_parts_of_large_data(program):
    sources = {source.name: source for source in program("poster_data").bundled()}
    first, second = (sources["digits"].samples(seed, 300) for seed in (0, 1))
    originals = digits().points.reshape(-1, 64)
    assert len(first) == len(second) == 300
    assert not np.array_equal(first.points, second.points)
    for part in (first, second):
        rows = part.points.reshape(300, 64)
        assert (rows[:, None] == originals).all(axis=2).any(axis=1).all()
    assert np.array_equal(first.points, sources["digits"].samples(0, 300).points)
    assert len(sources["digits"].samples(0)) == len(sources["digits"].samples(0, 5000)) == 1797


def test_the_oracle_knows_the_points_of_its_curves(program):
    sources = {source.name: source for source in program("poster_data").bundled()}
    spirals = two_spirals()
    told = sources["two spirals"].oracle(spirals.points)
    assert np.array_equal(told, np.eye(2)[spirals.targets])
    angles = np.linspace(0, np.pi, 500)
    outer = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    inner = np.stack([1 - np.cos(angles), 0.5 - np.sin(angles)], axis=1)
    assert (sources["half-moons"].oracle(outer) == [1, 0]).all()
    assert (sources["half-moons"].oracle(inner) == [0, 1]).all()
    moons = half_moons(0)
    assert (sources["half-moons"].oracle(moons.points).argmax(axis=1) == moons.targets).all()


def distance_to_half_circle(points, middle, sign):
    """Return the distance to the upper (1) or lower (-1) half of a unit circle, exactly."""
    x, y = (points - middle).T
    ends = np.minimum(np.hypot(x - 1, y), np.hypot(x + 1, y))
    return np.where(sign * y >= 0, np.abs(np.hypot(x, y) - 1), ends)


def test_the_oracle_of_half_moons_is_exact(program):
    source = program("poster_data").bundled()[0]
    points = np.random.default_rng(0).uniform((-1.5, -1), (2.5, 1.5), size=(20_000, 2))
    outer = distance_to_half_circle(points, (0, 0), 1)
    inner = distance_to_half_circle(points, (1, 0.5), -1)
    clear = np.abs(outer - inner) > 1e-8
    assert clear.mean() > 0.999
    told = source.oracle(points)
    assert np.array_equal(told[clear, 1] == 1, (inner < outer)[clear])


def test_the_oracle_of_spirals_is_that_of_brute_force(program):
    source = program("poster_data").bundled()[1]
    angle = 3 * np.pi * np.sqrt(np.linspace(0.02, 1, 30_000))
    arm = np.stack([angle * np.cos(angle), angle * np.sin(angle)], axis=1)
    points = np.random.default_rng(0).uniform(-10, 10, size=(300, 2))
    gaps = [np.array([np.hypot(*(c - p).T).min() for p in points]) for c in (arm, -arm)]
    clear = np.abs(gaps[0] - gaps[1]) > 1e-4
    assert clear.mean() > 0.99
    told = source.oracle(points)
    assert np.array_equal(told[clear, 1] == 1, (gaps[1] < gaps[0])[clear])


def test_files_of_images(program, tmp_path):
    image_file = program("poster_data").image_file
    arrays = blobs()
    np.savez(tmp_path / "a.npz", **arrays)
    source = image_file(tmp_path / "a.npz")
    data = source.draw(0)
    assert (source.name, data.num_classes, source.class_names) == ("a", 2, ["0", "1"])
    assert data.points == pytest.approx(arrays["images"] / 255)
    assert data.points.dtype == np.float32
    first = np.moveaxis(arrays["images"], 3, 1)
    np.savez(tmp_path / "b.npz", x=first / 255, y=arrays["labels"][:, 0])
    assert image_file(tmp_path / "b.npz").draw(0).points == pytest.approx(data.points)
    grey = arrays["images"][..., :1]
    np.savez(tmp_path / "c.npz", x_train=grey, y_train=arrays["labels"], class_names=["a", "b"])
    source = image_file(tmp_path / "c.npz")
    assert source.draw(0).points.shape == (150, 4, 5)
    assert source.class_names == ["a", "b"]


REFUSED = {
    "no samples": ({"inputs": 0, "y": 1}, "it holds inputs, y"),
    "no labels": ({"x_train": 0, "x_test": 0}, "it holds x_train, x_test"),
    "labels of another length": (
        {"x": np.zeros((150, 4, 4)), "y": np.zeros(149, dtype=int)},
        "x has 150 samples, but y is of shape (149,)",
    ),
    "soft labels": (
        {"x": np.zeros((150, 4, 4)), "y": np.full((150, 2), 0.5)},
        "x has 150 samples, but y is of shape (150, 2)",
    ),
    "numbers for classes": (
        {"x": np.zeros((150, 4, 4)), "y": np.zeros(150)},
        "y must hold classes 0, 1, ..., got float64",
    ),
    "few names": (
        {"x": np.zeros((150, 4, 4)), "y": np.arange(150) % 3, "class_names": ["a", "b"]},
        "y has 3 classes, class_names 2",
    ),
    "no images": (
        {"x": np.zeros((150, 16)), "y": np.arange(150) % 3},
        "x must be images of shape (N, height, width) or (N, height, width, 3), got (150, 16)",
    ),
    "NaN": (
        {"x": np.full((150, 4, 4), np.nan), "y": np.arange(150) % 3},
        "x holds NaN or infinity",
    ),
    "too few": (
        {"x": np.zeros((128, 4, 4)), "y": np.arange(128) % 3},
        "data has 128 samples, but the dimension is estimated from 128 neighbours of each",
    ),
}


@pytest.mark.parametrize("why", REFUSED)
def test_files_that_are_refused(program, tmp_path, why):
    arrays, message = REFUSED[why]
    np.savez(tmp_path / "data.npz", **arrays)
    refused = program("poster_data").Refusal
    with pytest.raises(refused) as caught:
        program("poster").check_size(program("poster_data").image_file(tmp_path / "data.npz"))
    assert message in caught.value.message
    assert "\n" not in caught.value.message
    assert caught.value.exit_code == 2


def test_a_refusal_is_one_line_and_leaves_nothing(tmp_path):
    (tmp_path / "data.npz").write_text("no archive", encoding="utf-8")
    done = run("poster.py", "--quick", "-o", tmp_path / "out", tmp_path / "data.npz")
    assert done.returncode == 2
    assert done.stderr.startswith("Error: data.npz is not an .npz file of arrays: ")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_data_sets_need_different_names(program):
    source = program("poster_data").Source("digits", lambda _: digits())
    with pytest.raises(program("poster_data").Refusal, match="two data sets are called 'digits'"):
        program("poster").check_names([source, source])


# Beside scikit-dimension ----------------------------------------------------------------------

needs_peer = pytest.mark.skipif(
    importlib.util.find_spec("skdim") is None, reason="scikit-dimension is not installed"
)


@needs_peer
def test_dimension(tmp_path):
    pytest.importorskip("threadpoolctl")
    path = tmp_path / "dimension.json"
    done = run("dimension.py", "--quick", "--threads", 1, "-o", path)
    assert done.returncode == 0, done.stderr
    results = json.loads(path.read_text(encoding="utf-8"))
    rows = results["comparisons"]
    methods = ["lpca", "participation_ratio", "mle", "twonn"]
    assert [row["method"] for row in rows] == 4 * methods
    assert [row["dtype"] for row in rows[::4]] == ["float64", "float32", "float64", "float64"]
    for row in rows:
        assert row["differ"] == 0
        assert row["largest_difference"] <= (0 if row["method"] == "lpca" else 1e-9)
        scaled = row["data"] == "20 directions and noise" and row["method"] != "mle"
        assert (row["scaled_from"] == row["compared"]) is scaled
        assert scaled or row["compared"] == row["shape"][0]
        assert set(row["seconds"]) == {"zetamix", "scikit-dimension"}
        assert all(min(times) > 0 for times in row["seconds"].values())
    assert len(results["targets"]) == 21
    assert results["environment"]["packages"]["scikit-dimension"]
    assert "estimates scaled from 64 points" in done.stdout
    assert "## Targets" in done.stdout


@needs_peer
def test_times_of_some_points_are_scaled_to_all(program, monkeypatch):
    dimension = program("dimension")
    monkeypatch.setattr(
        dimension,
        "interleave",
        lambda calls, **_: {"zetamix": [2.0], "search": [0.5], "points": [0.25]},
    )
    case = dimension.Case("made up", np.random.default_rng(0).normal(size=(200, 4)), 0.1)
    times = dimension.peer_times(case, "lpca", np.arange(50), {}, once=False)
    assert times == {"zetamix": [2.0], "scikit-dimension": [1.5]}


def test_estimates_that_differ_are_counted(program):
    count = program("dimension").num_different
    ours, apart = np.array([1.0, 2.0, 3.0]), np.array([0, 1e-12, 1])
    assert count(ours, ours + apart, "mle") == 1
    assert count(ours, ours + apart, "lpca") == 2
    assert count(ours, [1.0, np.nan, 3.0], "mle") == 1


def test_targets_of_dimension(program):
    dimension = program("dimension")
    row = {"data": "d", "shape": [9, 2], "dtype": "f8", "method": "lpca", "bound": 0.1, "differ": 0}
    judged = dimension.judge([row | {"ratio": ratio} for ratio in (11, 9)])
    assert [verdict.met for verdict in judged] == [True, True, True, False]
    judged = dimension.judge([row | {"method": "mle", "ratio": 1, "differ": 1}])
    assert [verdict.met for verdict in judged] == [False]
    large = {"shape": [9, 2]}
    for peak, met in ((1.9e9, [True]), (2.1e9, [False]), (None, [])):
        judged = dimension.judge_large(large | {"peak_bytes": peak})
        assert [verdict.met for verdict in judged] == met


def test_the_peer_is_asked_for_where_it_is_missing(program, monkeypatch, tmp_path):
    from click.testing import CliRunner

    dimension = program("dimension")
    monkeypatch.setattr(dimension.importlib.util, "find_spec", lambda name: None)
    done = CliRunner().invoke(dimension.main, ["-o", str(tmp_path / "out.json")])
    assert done.exit_code == 2
    assert "pip install scikit-dimension" in done.output
    assert done.output.count("\n") == 1
    assert not list(tmp_path.iterdir())
