"""The command: what it draws, what it prints, and how it refuses."""

import io
import itertools
import math
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from matplotlib.image import imread
from rich.console import Console
from scipy.stats import beta
from zetamix import __version__, theory
from zetamix.cli import main
from zetamix.cli.tables import WideTable, comparison_report
from zetamix.figures.comparison import Compared
from zetamix.figures.datasets import digits, half_moons, helix, two_spirals
from zetamix.figures.digits import digits_mixtures
from zetamix.figures.gallery import PICTURES
from zetamix.figures.pairs import heavier_first
from zetamix.figures.style import talk_style
from zetamix.figures.summary import summarize
from zetamix.figures.theory_picture import theory_picture

from zetamix_core import MixPlan, permutation
from zetamix_core.metrics.methods import (
    MIXUP,
    ORIGINALS,
    Method,
    epoch_plan,
    shuffled_plan,
    zeta_method,
)

INF = math.inf
PLAIN = {"COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1"}


@pytest.fixture(autouse=True)
def _plain_terminal(monkeypatch):
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    for name, value in PLAIN.items():
        monkeypatch.setenv(name, value)


def python(*args, **options):
    """Run Python on its own."""
    environment = {k: v for k, v in os.environ.items() if k != "FORCE_COLOR"} | PLAIN
    command = [sys.executable, *args]
    return subprocess.run(
        command, capture_output=True, encoding="utf-8", env=environment, timeout=300, **options
    )


def lines(capsys, *args):
    """Run a command that succeeds and return what it prints, without space at the ends."""
    assert main(args) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return [line.strip() for line in captured.out.splitlines()]


# zetamix demo ---------------------------------------------------------------------------------

# Settings of the user's that would show, were they not left aside; and left alone they must be.
DEMO = """
import sys, matplotlib
matplotlib.rcParams.update({"axes.facecolor": "red", "font.size": 40, "savefig.dpi": 10})
before = matplotlib.rcParams.copy()
from zetamix.cli import main
code = main(["demo", "-o", sys.argv[1]])
assert matplotlib.rcParams.copy() == before
assert "matplotlib.pyplot" not in sys.modules
sys.exit(code)
"""


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """Directory and output of a demonstration with everything by default."""
    directory = tmp_path_factory.mktemp("demo") / "not" / "there"
    before = os.times()
    result = python("-c", DEMO, str(directory))
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    # Of the processor, whatever else runs on it.
    after = os.times()
    assert sum(after[2:4]) - sum(before[2:4]) < 60
    return directory, result.stdout


def test_demo_writes_what_it_lists(demo):
    directory, output = demo
    expected = {"manifolds.png", "digits_methods.png", "digits_mixtures.png", "tradeoff.png"}
    assert set(PICTURES) == expected
    assert {file.name for file in directory.iterdir()} == expected
    listed = [line.split("   ")[0].strip() for line in output.splitlines()]
    for name in expected:
        assert str(directory / name) in listed


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_are_pictures(demo, name):
    file = demo[0] / name
    assert file.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    pixels = imread(file)
    assert pixels.shape == (1080, 1920, 4)
    assert np.all(pixels[0, :, :3] == 1)  # a white margin
    drawn = np.any(pixels[..., :3] < 0.9, axis=2)
    # Nearly all parts of the canvas are in use, on a grid of 4 by 6.
    parts = drawn.reshape(4, 270, 6, 320).mean(axis=(1, 3))
    assert np.mean(parts > 0.002) > 0.8
    for colour in ("#0072B2", "#D55E00"):
        exact = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
        assert np.all(np.rint(255 * pixels[..., :3]) == exact, axis=2).sum() > 500


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("seed", [0, 1])
def test_text_neither_overlaps_nor_leaves_the_picture(name, seed):
    number = list(PICTURES).index(name) + 1
    with talk_style():
        check_text(PICTURES[name].plot((seed, number)))


def check_text(figure):
    figure.draw_without_rendering()
    texts = [text for text in visible_texts(figure) if text.get_text()]
    assert len(texts) > 10
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts]
    width, height = figure.get_size_inches() * figure.dpi
    for text, box in boxes:
        assert 0 <= box.x0 < box.x1 <= width, text
        assert 0 <= box.y0 < box.y1 <= height, text
    for (text, box), (other_text, other) in itertools.combinations(boxes, 2):
        # Boxes have the height of a line and a little space to all sides.
        overlap = min(box.x1, other.x1) - max(box.x0, other.x0)
        overlap_y = min(box.y1, other.y1) - max(box.y0, other.y0)
        assert overlap <= 3 or overlap_y <= 3, (text, other_text)


def visible_texts(figure):
    yield from figure.texts
    for axes in figure.axes:
        yield from axes.texts
        yield from (axes.title, axes._left_title)
        if axes.axison:
            for axis in (axes.xaxis, axes.yaxis):
                yield axis.label
                low, high = sorted(axis.get_view_interval())
                for tick in axis.get_major_ticks():
                    if low <= tick.get_loc() <= high:
                        yield tick.label1


def rows_of(output):
    """The comparison: name -> from own, from heaviest, top weight, each with theory; richness."""
    rows = {}
    for line in output.splitlines():
        found = re.fullmatch(r"\s*(\S.*?)\s+((?:\d+\.\d+\s+){6}\d+\.\d+)\s*", line)
        if found:
            rows[found[1]] = [float(number) for number in found[2].split()]
    return rows


# METHOD: the dominant weight at N = 32, and mixup's 0.816.
DOMINANT = {1.8: 0.553995, 2.0: 0.619514, 2.4: 0.725751, 2.8: 0.802583, 4: 0.923947, 6: 0.982953}


def expected_richness(gamma):
    """Simulated: p-series weights that fall upon ten classes at random."""
    classes = np.random.default_rng(0).integers(10, size=(4000, 32))
    weights = np.arange(1, 33, dtype=float) ** -gamma
    labels = np.stack([(weights * (classes == c)).sum(axis=1) for c in range(10)], axis=1)
    labels /= weights.sum()
    logarithms = np.log(labels, out=np.zeros_like(labels), where=labels > 0)
    return np.exp(-(labels * logarithms).sum(axis=1)).mean()


def expected_of_mixup(alpha):
    """By quantiles of λ: distance from own, from the heaviest, and dominant weight."""
    lam = beta(alpha, alpha).ppf((np.arange(200_000) + 0.5) / 200_000)
    own, heaviest = np.mean((1 - lam) ** 2), np.mean(np.minimum(lam, 1 - lam) ** 2)
    return math.sqrt(2 * own), math.sqrt(2 * heaviest), np.maximum(lam, 1 - lam).mean()


def test_comparison_agrees_with_theory(demo):
    rows = rows_of(demo[1])
    gammas = {f"ζ-mixup, γ = {gamma:g}": gamma for gamma in DOMINANT}
    assert list(rows) == ["originals", "mixup, α = 1", "mixup, α = 0.2", *gammas]
    assert rows["originals"] == [0, 0, 0, 0, 1, 1, 1]
    for alpha, least in ((1, 1.5), (0.2, 1.1)):
        *values, richness = rows[f"mixup, α = {alpha}"]
        assert values[1::2] == [round(value, 3) for value in expected_of_mixup(alpha)]
        assert values[::2] == pytest.approx(values[1::2], rel=0.02)
        assert least < richness < 2
    assert rows["mixup, α = 1"][1:6:2] == [0.816, 0.408, 0.75]
    for name, gamma in gammas.items():
        moved, moved_theory, heaviest, heaviest_theory, top, top_theory, richness = rows[name]
        assert (heaviest, heaviest_theory) == (moved, moved_theory)
        assert moved_theory == round(theory.displacement(gamma, 32), 3)
        assert moved == pytest.approx(moved_theory, rel=0.02, abs=0.001)
        assert top == top_theory == round(DOMINANT[gamma], 3)
        assert richness == pytest.approx(expected_richness(gamma), rel=0.02)
    ordered = [rows[name][0] for name in gammas]
    assert ordered == sorted(ordered, reverse=True)


def test_demo_is_deterministic(demo, tmp_path, capsys):
    directory, output = demo
    assert main(["demo", "-o", str(tmp_path), "--seed", "0"]) == 0
    assert rows_of(capsys.readouterr().out) == rows_of(output)
    for name in PICTURES:
        assert (tmp_path / name).read_bytes() == (directory / name).read_bytes()


def test_another_seed_gives_other_mixtures(tmp_path):
    with talk_style():
        for seed in (0, 1):
            digits_mixtures((seed, 4)).savefig(tmp_path / f"{seed}.png", dpi=20)
    assert not np.array_equal(imread(tmp_path / "0.png"), imread(tmp_path / "1.png"))
    assert not np.array_equal(half_moons(0).points, half_moons(1).points)


def test_cards_of_mixup_have_the_heavier_sample_first():
    plan = MIXUP.draw(32, rng=(0, 2))
    assert 4 < np.sum(plan.weights[:, 0] < 0.5) < 28
    shown = heavier_first(plan)
    assert np.array_equal(shown.indices, plan.indices)
    assert np.array_equal(shown.weights[:, 0], plan.weights.max(axis=1))
    ours = zeta_method(2.8).draw(32, rng=(0, 2))
    assert heavier_first(ours) == ours


# What the demonstration is made of ------------------------------------------------------------


def test_datasets():
    shapes = {"half-moons": (512, 2), "two spirals": (8192, 2), "helix": (8192, 3)}
    for data in (half_moons(0), two_spirals(), helix()):
        assert data.points.shape == shapes[data.name]
        assert len(data.targets) == len(data)
    assert digits().points.shape == (1797, 8, 8)
    assert (digits().points.min(), digits().points.max()) == (0, 1)
    spirals = two_spirals()
    assert np.array_equal(spirals.points[spirals.targets == 0], -spirals.points[4096:])
    steps = np.linalg.norm(np.diff(spirals.points[:4096], axis=0), axis=1)
    assert steps.max() < 2.5 * steps.min()  # no stretch of the curve is bare
    assert np.allclose(np.hypot(*helix().points[:, :2].T), 1)


def test_an_epoch_of_whole_batches():
    plan = shuffled_plan(zeta_method(2.8), 1797, 32, (0, 5), drop_last=True)
    assert plan.indices.shape == (1792, 32)
    assert np.array_equal(plan.indices[:, 0], permutation(1797, (0, 5))[:1792])
    batches = plan.indices.reshape(56, 32, 32)
    for batch in batches:
        assert np.array_equal(np.sort(batch), np.tile(np.sort(batch[0]), (32, 1)))
    ranks = np.argsort(batches[:, :, 0], axis=1).argsort(axis=1)
    assert not np.array_equal(ranks[0], ranks[1])
    other = shuffled_plan(MIXUP, 1797, 32, (0, 5), drop_last=True)
    assert np.array_equal(other.indices[:, 0], plan.indices[:, 0])
    again = shuffled_plan(zeta_method(2.8), 1797, 32, (0, 6), drop_last=True)
    assert not np.array_equal(again.indices[:, 0], plan.indices[:, 0])
    in_order = epoch_plan(zeta_method(2.8), 1797, 32, (0, 5), drop_last=True)
    order = np.argsort(plan.indices[:, 0])
    assert np.array_equal(in_order.indices, plan.indices[order])
    assert np.array_equal(in_order.weights, plan.weights[order])


def test_measures_of_a_plan_by_hand():
    """Partners are the next sample of the batch, with a weight of 3/4."""

    class Next:
        def plan(self, shape, *, rng, like=None, groups=None, step=None):
            n = shape[0]
            indices = np.stack([np.arange(n), np.roll(np.arange(n), -1)], axis=1)
            return MixPlan(indices, np.asarray([0.25, 0.75]), n)

    data = digits()
    found = data.experiment((0, 0), (0, 1), drop_last=True).mix(Method("next", Next()))
    steps, richness = [], []
    for epoch in range(2):
        for batch in permutation(1797, (0, epoch))[:1792].reshape(56, 32):
            x, y = data.points[batch], data.targets[batch]
            steps.append(np.sum((np.roll(x, -1, axis=0) - x) ** 2) / 32)
            mixed = np.exp(-0.25 * np.log(0.25) - 0.75 * np.log(0.75))
            richness.append(np.where(np.roll(y, -1) == y, 1, mixed).mean())
    variance = np.trace(np.cov(data.points.reshape(-1, 64).T))
    assert found.displacement() == pytest.approx(0.75 * np.sqrt(np.mean(steps) / variance))
    assert found.distance() == pytest.approx(found.displacement() / 3)
    assert found.richness().effective_classes == pytest.approx(np.mean(richness))
    assert found.dominant_weight() == 0.75


def test_originals_are_not_moved():
    data = half_moons(0)
    plan = shuffled_plan(ORIGINALS, 512, 32, (0,))
    points, labels = data.mixed(plan)
    assert np.array_equal(points, data.points[plan.indices[:, 0]])
    assert np.array_equal(labels.argmax(axis=1), data.targets[plan.indices[:, 0]])
    assert data.experiment((0,)).mix(ORIGINALS).displacement() == 0


# zetamix theory -------------------------------------------------------------------------------

EFFECTIVE = {1.8: 2.91976, 2.0: 2.40738, 2.4: 1.82003, 2.8: 1.517, 4: 1.16665, 6: 1.03473}
THRESHOLDS = {
    "2": "0.000000",
    "3": "0.787885",
    "4": "1.082131",
    "8": "1.435793",
    "32": "1.650535",
    "128": "1.703941",
    "1024": "1.723644",
    "1000000": "1.728615",
    "inf": "1.728647",
}


@pytest.mark.parametrize("gamma", DOMINANT)
def test_theory_of_a_batch_of_32(capsys, gamma):
    shown = lines(capsys, "theory", "--gamma", str(gamma), "-n", "32")
    others = 1 - DOMINANT[gamma]
    assert shown[0] == f"ζ-mixup of all 32 samples at γ = {gamma:g}"
    assert any(re.match(rf"1 +{DOMINANT[gamma]:.6f} +█", line) for line in shown)
    assert f"dominance          rank 1 {DOMINANT[gamma]:.6f} > all others {others:.6f}" in shown
    assert f"effective samples  {EFFECTIVE[gamma]:.5f}" in shown
    moved = f"{theory.displacement(gamma, 32):.6f}"
    assert f"displacement       {moved} of the data's root total variance" in shown
    assert "orderings          32! ≈ 10^35.4202" in shown  # 2.63e35


def test_theory_by_default(capsys):
    assert lines(capsys, "theory") == lines(capsys, "theory", "--gamma", "2.8", "-n", "32")
    assert "displacement       0.232" in "\n".join(lines(capsys, "theory"))


@pytest.mark.parametrize("n", THRESHOLDS)
def test_theory_threshold(capsys, n):
    shown = lines(capsys, "theory", "-n", n)
    size = "∞" if n == "inf" else f"{int(n):,}"
    assert f"threshold          γ_min({size}) = {THRESHOLDS[n]}" in shown


def test_theory_threshold_is_that_of_the_mixture(capsys):
    shown = lines(capsys, "theory", "-n", "32", "--num-mix", "8")
    assert "threshold          γ_min(8) = 1.435793" in shown


def test_theory_below_the_threshold(capsys):
    shown = lines(capsys, "theory", "--gamma", "1.6")
    assert any(re.search(r"rank 1 0\.48\d+ ≤ all others 0\.51\d+$", line) for line in shown)


def test_theory_tail_of_an_infinite_batch(capsys):
    shown = lines(capsys, "theory", "-n", "inf", "--num-mix", "20")
    assert shown[0] == "ζ-mixup of 20 of ∞ samples at γ = 2.8"
    table = "\n".join(shown[shown.index("T   left out") :])
    tails = re.findall(r"^(\d+) +(\d\.\d+)$", table, re.MULTILINE)
    percent = {int(size): round(100 * float(tail), 2) for size, tail in tails}
    assert list(percent) == [2, 4, 8, 16, 20, 32]
    assert (percent[8], percent[16], percent[20]) == (0.94, 0.29, 0.19)
    assert "at most 1% from T = 8 on" in shown
    assert "orderings          infinitely many" in shown


@pytest.mark.parametrize(
    ("n", "num_mix"), [(1, None), (2, None), (7, 3), (32, None), (32, 11), (INF, None), (INF, 4)]
)
@pytest.mark.parametrize("gamma", [0, 1.3, 2.8, INF])
def test_weights_are_those_of_the_whole_mixture(gamma, n, num_mix):
    summary = summarize(gamma, n, num_mix)
    assert sum(summary.weights) + summary.rest == pytest.approx(1)
    size = n if num_mix is None else num_mix
    assert summary.weights[0] == pytest.approx(theory.dominant_weight(gamma, size))
    for rank, weight in enumerate(summary.weights, start=1):
        expected = theory.dominant_weight(gamma, size) * rank**-gamma if rank > 1 else weight
        assert weight == pytest.approx(expected)
    assert len(summary.weights) == (size if size <= 10 else 8)


@pytest.mark.parametrize(
    ("args", "orderings"),
    [
        (["-n", "8"], "8! = 40,320"),
        (["-n", "8", "--num-mix", "3"], "8! / 5! = 336"),
        (["-n", "19"], "19! = 121,645,100,408,832,000"),
        (["-n", "20"], "20! ≈ 10^18.3861"),
        (["-n", "1000", "--num-mix", "100"], "1,000! / 900! ≈ 10^297.775"),
    ],
)
def test_theory_orderings(capsys, args, orderings):
    assert any(line.endswith(orderings) for line in lines(capsys, "theory", *args))


def test_theory_of_two_samples_is_mixup(capsys):
    shown = lines(capsys, "theory", "--gamma", "2", "-n", "64", "--num-mix", "2")
    assert "special case       mixup with λ = 0.800000" in shown
    assert "special case" not in "\n".join(lines(capsys, "theory", "-n", "3"))


@pytest.mark.parametrize(
    "args",
    [
        ["--gamma", "0"],
        ["--gamma", "inf"],
        ["--gamma", "300"],
        ["--gamma", "0.5", "-n", "inf"],
        ["--gamma", "1", "-n", "inf", "--num-mix", "8"],
        ["--gamma", "1e-9", "-n", "1000000000000"],
        ["-n", "1"],
        ["-n", "2", "--num-mix", "1"],
    ],
)
def test_theory_at_its_ends(capsys, tmp_path, args):
    file = tmp_path / "theory.png"
    shown = lines(capsys, "theory", *args, "--plot", str(file))
    assert not re.search(r"\bnan\b", "\n".join(shown))
    assert imread(file).shape == (864, 1920, 4)


@pytest.mark.parametrize(("gamma", "n", "num_mix"), [(2.8, 32, None), (1.2, INF, 5)])
def test_theory_picture_is_legible(gamma, n, num_mix):
    with talk_style():
        figure = theory_picture(summarize(gamma, n, num_mix))
        check_text(figure)
    verdict = "outweighs" if gamma > 2 else "does not outweigh"
    size = num_mix or n
    title = f"At γ = {gamma:g}, T = {size}: rank 1 {verdict} all others"
    assert title in [text.get_text() for text in figure.texts]


@pytest.mark.parametrize(("ending", "magic"), [("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_theory_plot(capsys, tmp_path, ending, magic):
    file = tmp_path / f"theory.{ending}"
    shown = lines(capsys, "theory", "--plot", str(file))
    assert file.read_bytes().startswith(magic)
    assert shown[-2:] == ["Written", f"{file}   weights, dominance and tail"]


# Help and version -----------------------------------------------------------------------------


def test_version(capsys):
    assert lines(capsys, "--version") == [f"zetamix {__version__}"]
    result = python("-m", "zetamix.cli", "--version")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == f"zetamix {__version__}\n"


@pytest.mark.parametrize("flag", ["-h", "--help"])
@pytest.mark.parametrize("command", [[], ["demo"], ["theory"]])
def test_help(capsys, command, flag):
    shown = lines(capsys, *command, flag)
    assert shown[0].startswith(" ".join(["Usage: zetamix", *command]))
    assert any(line.startswith("zetamix ") for line in shown)  # an example
    assert shown.count("Options:") == 1


def test_no_command_is_a_call_for_help(capsys):
    assert lines(capsys) == lines(capsys, "--help")


def test_examples_of_the_help_run(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for command in ([], ["theory"]):
        for line in lines(capsys, *command, "--help"):
            if line.startswith("zetamix theory"):
                assert lines(capsys, *line.split()[1:])


# Refusals -------------------------------------------------------------------------------------

REFUSALS = [
    (["--colour"], "No such option"),
    (["mix"], "No such command 'mix'"),
    (["theory", "32"], "unexpected extra argument"),
    (["theory", "--gamma"], "requires an argument"),
    (["theory", "--gamma", "-1"], "'--gamma': '-1' must be a number of 0 or more; the"),
    (["theory", "--gamma", "nan"], "'--gamma': 'nan' must be a number of 0 or more; the"),
    (["theory", "--gamma", "large"], "'--gamma': 'large' must be a number of 0 or more"),
    (["theory", "-n", "0"], "'-n': '0' must be an integer from 1"),
    (["theory", "-n", "-3"], "'-3' must be an integer"),
    (["theory", "-n", "2.5"], "'2.5' must be an integer"),
    (["theory", "-n", "nan"], "'nan' must be an integer"),
    (["theory", "-n", str(10**12 + 1)], "must be an integer from 1 to 10**12, or inf"),
    (["theory", "-n", "8", "--num-mix", "9"], "--num-mix must be at most -n, got 9 for -n 8;"),
    (["theory", "-n", "8", "--num-mix", "inf"], "--num-mix must be at most -n, got inf for -n 8;"),
    (["theory", "--num-mix", "0"], "'--num-mix': '0' must be"),
    (
        ["theory", "--plot", "{tmp}/picture.doc"],
        "must end in .png, .pdf or .svg, got {tmp}/picture.doc",
    ),
    (["theory", "--plot", "{tmp}/no/picture.png"], "picture.png: No such file or directory"),
    (["theory", "--plot", "{tmp}"], "is a directory"),
    (["demo", "--seed", "-1"], "-1 is not in the range"),
    (["demo", "--seed", "4294967296"], "4294967296 is not in the range"),
    (["demo", "--seed", "x"], "'x' is not a valid integer"),
    (["demo", "-o", "{tmp}/file"], "is a file"),
    (["demo", "-o", "{tmp}/file/below"], "below: Not a directory"),
    (["demo", "-o", "{tmp}/taken"], "manifolds.png: Is a directory"),
]


@pytest.mark.parametrize(("args", "message"), REFUSALS, ids=[" ".join(a) for a, _ in REFUSALS])
def test_refusals(capsys, tmp_path, args, message):
    (tmp_path / "file").touch()
    (tmp_path / "taken" / "manifolds.png").mkdir(parents=True)
    assert main([arg.format(tmp=tmp_path) for arg in args]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("Error: ")
    assert message.format(tmp=tmp_path) in captured.err
    assert captured.err.count("\n") == 1
    assert captured.err.endswith("\n")


def test_a_directory_without_permission(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode, **_: mode != os.W_OK)
    assert main(["demo", "-o", str(tmp_path)]) == 2
    assert capsys.readouterr().err.endswith(
        f"Directory '{tmp_path}' is not writable. Try 'zetamix demo --help'.\n"
    )


def test_refusals_as_a_process():
    result = python("-m", "zetamix.cli", "theory", "--gamma", "-1")
    assert result.returncode == 2
    assert result.stdout == ""
    assert re.fullmatch(r"Error: Invalid value for '--gamma': '-1' must be .*\n", result.stderr)


def test_faults_of_our_own_are_not_blamed_on_the_user(monkeypatch):
    def fail(*args):
        raise ValueError("a fault")

    monkeypatch.setattr("zetamix.cli.tables.theory_report", fail)
    with pytest.raises(ValueError, match="a fault"):
        main(["theory"])


@pytest.mark.parametrize("name", ["PIL", "click", "jinja2", "matplotlib", "rich", "sklearn"])
def test_without_the_extra(name):
    code = (
        f"import sys; sys.modules[{name!r}] = None; "
        "from zetamix.cli import main; sys.exit(main(['theory']))"
    )
    result = python("-c", code)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == (
        'Error: the zetamix command needs its extra: pip install "zetamix[cli]" '
        f"(missing: {name})\n"
    )


def test_all_that_is_missing_is_named():
    code = """
import importlib.abc, sys

class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name in ("click", "rich"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Refuse())
from zetamix.cli import main
sys.exit(main([]))
"""
    result = python("-c", code)
    assert result.returncode == 1
    assert result.stderr.endswith('"zetamix[cli]" (missing: click, rich)\n')


def test_nothing_heavy_is_imported_early():
    code = """
import sys
heavy = {"PIL", "click", "jinja2", "rich", "matplotlib", "sklearn"}
from zetamix.cli import main
assert not heavy & sys.modules.keys()
assert main(["theory"]) == 0
assert not {"matplotlib", "sklearn"} & sys.modules.keys()
"""
    result = python("-c", code)
    assert (result.returncode, result.stderr) == (0, "")


# Terminals and pipes --------------------------------------------------------------------------


# Jobs in the background of a shell ignore the signal, and so would their children.
START = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from zetamix.cli import main
sys.exit(main())
"""


def start(*args):
    command = [sys.executable, "-c", START, *args]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
def test_interrupt(tmp_path):
    with start("demo", "-o", str(tmp_path)) as process:
        deadline = time.monotonic() + 60
        while not list(tmp_path.iterdir()) and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert output == b""
    assert errors == b"Interrupted.\n"
    assert len(list(tmp_path.iterdir())) < len(PICTURES)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
@pytest.mark.parametrize("when", ["click", "matplotlib", "zetamix.figures.report"])
def test_interrupt_within_imports(when):
    """Wherever the key is pressed, one line: here, as a module is about to be imported."""
    code = f"""
import importlib.abc, os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)

class Press(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == {when!r}:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Press())
sys.argv = ["zetamix", "report"]
from zetamix.cli import main
sys.exit(main())
"""
    result = python("-c", code)
    assert (result.returncode, result.stdout, result.stderr) == (130, "", "Interrupted.\n")


@pytest.mark.parametrize("args", [["theory"], ["--help"]])
def test_broken_pipe(args):
    with start(*args) as process:
        process.stdout.close()
        errors = process.stderr.read()
        process.wait(timeout=60)
    assert errors == b""
    assert process.returncode == 141  # as if by the signal


@pytest.mark.skipif(sys.platform == "win32", reason="there is no shell of that kind")
def test_a_pipe_that_is_read_in_part():
    line = f'"{sys.executable}" -m zetamix.cli theory -n 64 | head -n 1; echo "${{PIPESTATUS[0]}}"'
    result = subprocess.run(
        ["bash", "-c", line], capture_output=True, env=os.environ | PLAIN, timeout=60
    )
    first, code = result.stdout.decode().splitlines()
    assert first == "ζ-mixup of all 64 samples at γ = 2.8"
    assert code in ("0", "141")  # all may be in the pipe before it closes
    assert result.stderr == b""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no full device")  # noqa: PTH110
def test_full_disk():
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "zetamix.cli", "theory"]
        result = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, timeout=60)
    assert result.returncode == 1
    assert result.stderr == b"Error: No space left on device\n"


WIDTHS = [40, 60, 80, 120, 200]


@pytest.mark.parametrize("width", WIDTHS)
def test_theory_at_all_widths(capsys, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    shown = lines(capsys, "theory")
    assert max(map(len, shown)) <= width
    assert "…" not in "".join(shown)
    assert any("0.802583" in line for line in shown)


@pytest.mark.parametrize("width", WIDTHS)
def test_wide_tables_at_all_widths(width):
    """In parts, with the names of the rows whole in each."""
    names = ["from own", "theory", "from heaviest", "theory", "top weight", "richness"]
    rows = [(f"ζ-mixup, γ = {gamma}", *[f"{gamma / 7:.3f}"] * 6) for gamma in (1.8, 2.8)]
    console = Console(width=width, file=io.StringIO())
    console.print(WideTable(names, rows))
    shown = console.file.getvalue().splitlines()
    assert max(map(len, shown)) <= width
    assert "…" not in "".join(shown)
    parts = sum("ζ-mixup, γ = 1.8" in line for line in shown)
    assert (parts > 1) == (width < 80) or width == 80
    assert sum(line.count("0.257") for line in shown) == 6
    assert all(any(name in line for line in shown) for name in names)


@pytest.mark.parametrize("terminal", [True, False])
def test_no_color(terminal):
    console = Console(
        width=80,
        file=io.StringIO(),
        force_terminal=terminal,
        _environ={"TERM": "xterm-256color", "NO_COLOR": "1"},
    )
    console.print(comparison_report([Compared("mixup", *[0.5] * 7)]))
    shown = console.file.getvalue()
    assert not re.search("\x1b\\[[0-9;]*[34][0-9]m", shown)
    assert ("\x1b[" in shown) == terminal  # bold and dim are no colours


def test_a_terminal_that_knows_no_greek(monkeypatch):
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    result = python("-m", "zetamix.cli", "theory")
    assert (result.returncode, result.stderr) == (0, "")
    assert "0.802583" in result.stdout
    assert result.stdout.startswith("?-mixup of all 32 samples at ? = 2.8")
