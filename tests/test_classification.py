"""The training benchmark: pairs of runs, methods, scores, ledgers; never how well it trains."""

import importlib
import itertools
import json
import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import click
import numpy as np
import pytest
from scipy import special
from sklearn.metrics import balanced_accuracy_score, f1_score

FOLDER = Path(__file__).parents[1] / "benchmarks"
EXPERIMENTS = FOLDER / "classification" / "experiments"

pytestmark = [
    pytest.mark.skipif(not FOLDER.is_dir(), reason="the benchmarks are in checkouts only"),
    pytest.mark.needs("torch"),
]


@pytest.fixture
def part(monkeypatch):
    """Import a module of the benchmark, as its program does."""
    monkeypatch.syspath_prepend(str(FOLDER))
    return lambda name: importlib.import_module(f"classification.{name}")


@pytest.fixture
def setting(part):
    import torch

    frequencies = torch.tensor([0.5, 0.3, 0.1, 0.1])
    return part("methods").Setting(frequencies, batch_size=64, seed=3)


@pytest.fixture
def batch():
    import torch

    draws = torch.Generator().manual_seed(0)
    x = torch.randn((64, 1, 16, 16), generator=draws)
    return x, torch.randint(0, 4, (64,), generator=draws)


# Methods --------------------------------------------------------------------------------------


def test_mixup_displaced_like_zeta_has_one_weight(part, setting, batch):
    methods = part("methods")
    x, y = batch
    mixed, rows = methods.make_method("displaced", setting)(x, y)
    own = rows[np.arange(64), y].numpy()
    weights = np.arange(1, 65.0) ** -2.8 / np.sum(np.arange(1, 65.0) ** -2.8)
    expected = 1 - np.linalg.norm(weights - np.eye(64)[0]) / math.sqrt(2)
    assert expected == pytest.approx(0.836, abs=1e-3)
    others = own[own < 0.999]  # else both samples are of one class
    assert others == pytest.approx(np.full(len(others), expected), abs=1e-6)
    zeta = methods.make_method("zeta", setting)(x, y)[0]
    moved, reference = (float((each - x).std()) for each in (mixed, zeta))
    assert moved == pytest.approx(reference, rel=0.05)


def test_smoothing_takes_the_mass_that_zeta_gives_to_others(part, setting, batch):
    x, y = batch
    same, rows = part("methods").make_method("smoothing", setting)(x, y)
    assert same is x
    first = 1 / np.sum(np.arange(1, 65.0) ** -2.8)
    onehot = np.eye(4)[y]
    expected = first * onehot + (1 - first) * setting.frequencies.numpy()
    np.testing.assert_allclose(rows, expected, atol=1e-6)


def test_controls_take_one_half_each_of_zeta(part, setting, batch):
    methods = part("methods")
    x, y = batch
    mixed, rows = methods.make_method("zeta", setting)(x, y)
    hard_x, hard = methods.make_method("hard", setting)(x, y)
    plain, labels = methods.make_method("labels", setting)(x, y)
    assert (hard_x == mixed).all()
    assert (labels == rows).all()
    assert (plain == x).all()
    assert (hard.numpy() == np.eye(4)[y]).all()
    assert not (mixed == x).all()


@pytest.mark.parametrize(("name", "largest"), [("pair", 1 / (1 + 2**-2.8)), ("dirichlet", None)])
def test_ablations_change_one_thing(part, setting, batch, name, largest):
    x, _ = batch
    import torch

    everyone = torch.eye(64)  # each sample a class of its own, so that rows of labels are weights
    own = replace(setting, frequencies=torch.full((64,), 1 / 64))
    _, weights = part("methods").make_method(name, own)(x, everyone.argmax(dim=1))
    if largest:
        assert (weights > 0).sum(dim=1).tolist() == [2] * 64
        np.testing.assert_allclose(weights.diagonal(), largest, atol=1e-6)
    else:
        assert ((weights > 0).sum(dim=1) > 60).all()
        assert float(weights.max()) < 0.5


def test_free_orderings_have_other_anchors(part, setting, batch):
    import torch

    x, _ = batch
    own = replace(setting, frequencies=torch.full((64,), 1 / 64))
    make = part("methods").make_method
    y = torch.arange(64)
    assert (make("zeta", own)(x, y)[1].argmax(dim=1) == y).all()
    assert (make("free", own)(x, y)[1].argmax(dim=1) != y).sum() > 50


# Training -------------------------------------------------------------------------------------


def tiny_run(part, **options):
    experiment = part("experiments").load(EXPERIMENTS / "check.toml")
    (run, *_) = experiment.final_runs({})
    return replace(run, **options)


@pytest.fixture
def tiny(part):
    dataset = part("dataset")
    rng = np.random.default_rng(0)
    labels = np.arange(160) % 4
    images = rng.integers(0, 100, (160, 8, 8, 1), dtype=np.uint8)
    images[np.arange(160), labels, labels] = 255
    whole = dataset.Part(images, labels)
    first, last = np.arange(160) < 120, np.arange(160) >= 120
    data = dataset.Dataset("tiny", tuple("abcd"), whole[first], {"test": whole[last]})
    return data.with_validation()


def test_every_method_sees_the_same_samples_and_starts_from_the_same_weights(
    part, tiny, monkeypatch
):
    import torch

    training = part("training")
    seen, starts = {}, {}
    make_method, make_model = training.make_method, training.make_model

    def spy(name, setting):
        method = make_method(name, setting)

        def recorded(x, y):
            seen.setdefault(name, []).append((x.clone(), y.clone()))
            return method(x, y)

        return recorded

    def kept(*args):
        model = make_model(*args)
        starts[len(starts)] = [each.clone() for each in model.state_dict().values()]
        return model

    monkeypatch.setattr(training, "make_method", spy)
    monkeypatch.setattr(training, "make_model", kept)
    for name in ("erm", "zeta", "cutmix"):
        run = tiny_run(part, method=name, batch_size=32, noise=0.25, epochs=4)
        training.train(run, tiny, training.Machine())
    assert len(seen["erm"]) == 4 * (108 // 32)
    for name in ("zeta", "cutmix"):
        for ours, theirs in zip(seen[name], seen["erm"], strict=True):
            assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    for other in (1, 2):
        assert all(torch.equal(a, b) for a, b in zip(starts[0], starts[other], strict=True))
    assert not torch.equal(seen["erm"][0][0], seen["erm"][3][0])  # epochs differ


def test_the_same_run_ends_in_the_same_numbers_and_another_seed_in_others(part, tiny):
    training = part("training")
    run = tiny_run(part, method="zeta", batch_size=32, epochs=4)
    first, again, other = (
        training.train(each, tiny, training.Machine())["logits"]["test"]
        for each in (run, run, replace(run, seed=1))
    )
    assert (first == again).all()
    assert not np.allclose(first, other)


def test_noise_gives_a_share_of_the_samples_another_class(part, tiny):
    training = part("training")
    labels = np.zeros(20_000, dtype=np.int64)
    many = part("dataset").Part(np.zeros((20_000, 1, 1, 1), np.uint8), labels)
    noisy = training._noisy(many, tiny_run(part, noise=0.3), 4)
    counts = np.bincount(noisy.labels, minlength=4) / 20_000
    assert counts == pytest.approx([0.7, 0.1, 0.1, 0.1], abs=0.015)
    assert (training._noisy(many, tiny_run(part), 4).labels == labels).all()


def test_tuning_never_reads_the_test_part(part, tiny):
    training = part("training")
    data = replace(tiny, tests={})
    run = tiny_run(part, stage="tuning", batch_size=16)
    outcome = training.train(run, data, training.Machine())
    assert list(outcome["metrics"]) == ["validation"]


@pytest.mark.parametrize("augmentation", ["none", "crop", "crop+flip"])
def test_batches_hold_moved_samples_each_once(part, augmentation):
    import torch

    raw = torch.arange(1, 1 + 12 * 64, dtype=torch.int64).reshape(12, 1, 8, 8).to(torch.float32)
    images = part("augment").Images(
        raw, torch.arange(12), torch.zeros(1, 1, 1), torch.ones(1, 1, 1)
    )
    batches = list(images.epoch(4, 0, 0, augmentation))
    assert sorted(torch.cat([y for _, y in batches]).tolist()) == list(range(12))
    moves, flips = set(), set()
    for x, y in batches:
        for image, label in zip(x[:, 0].numpy(), y.tolist(), strict=True):
            move, flip = found(image, raw[label, 0].numpy())
            moves.add(move)
            flips.add(flip)
    assert (len(moves) > 3) == (augmentation != "none")
    assert flips == ({False, True} if augmentation == "crop+flip" else {False})


def found(image, original):
    """Return by how many rows and columns an image was moved, and whether it was mirrored."""
    padded = np.pad(original, 1)
    for flip in (False, True):
        for down in range(3):
            for right in range(3):
                window = padded[down : down + 8, right : right + 8]
                if (image == (window[:, ::-1] if flip else window)).all():
                    return (down, right), flip
    raise AssertionError("this is no copy of the sample, moved by a pixel at most")


def test_networks_have_the_sizes_of_their_papers(part):
    make = part("models").make_model
    count = {
        name: sum(each.numel() for each in make(name, 3, 10, 32).parameters())
        for name in ("small-cnn", "resnet-8", "resnet-20")
    }
    stages = {1: 0, 3: 0}
    for blocks in stages:
        widths = [16, *(w for w in (16, 32, 64) for _ in range(blocks))]
        pairs = itertools.pairwise(widths)
        stages[blocks] = sum(9 * o * (i + o) + 4 * o for i, o in pairs)
    stem, head = 3 * 9 * 16 + 2 * 16, 64 * 10 + 10
    assert count["resnet-8"] == stem + stages[1] + head
    assert count["resnet-20"] == stem + stages[3] + head
    assert 269_000 < count["resnet-20"] < 273_000  # "0.27M" (He et al. 2016)
    assert count["small-cnn"] == 27 * 32 + 9 * 32 * 64 + 9 * 64 * 128 + 2 * 224 + 20_480 + 10


def test_the_shortcut_keeps_every_other_pixel_and_adds_channels_of_zeros(part):
    import torch

    block = part("models")._Residual(4, 8)
    torch.nn.init.zeros_(block.second[1].weight)  # what the convolutions add
    x = torch.rand(2, 4, 6, 6)
    out = block(x)
    assert torch.equal(out[:, :4], x[:, :, ::2, ::2])
    assert not out[:, 4:].any()


def test_an_unknown_network_names_the_known(part):
    with pytest.raises(
        Exception, match=r"small-cnn, resnet-8, resnet-20, resnet-18, resnet-50, got"
    ):
        part("models").make_model("vgg", 3, 10, 32)


@pytest.mark.parametrize("error", [ImportError("No module"), RuntimeError("operator missing")])
def test_a_torchvision_that_cannot_be_imported_is_named_with_the_reason(part, monkeypatch, error):
    models = part("models")

    def fail(name):
        raise error

    monkeypatch.setattr(models.importlib, "import_module", fail)
    with pytest.raises(Exception, match=rf"resnet-50 is torchvision's, .*: {error}; install the"):
        models.make_model("resnet-50", 3, 10, 32)


# Scores ---------------------------------------------------------------------------------------


def test_scores_are_those_of_scikit_learn(part):
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 5, 300)
    logits = rng.standard_normal((300, 5)) + 1.5 * np.eye(5)[labels]
    got = part("metrics").scores(logits, labels, 2.0)
    predicted = logits.argmax(axis=1)
    assert got["error"] == np.mean(predicted != labels)
    assert got["micro_f1"] == pytest.approx(f1_score(labels, predicted, average="micro"))
    assert got["macro_f1"] == pytest.approx(f1_score(labels, predicted, average="macro"))
    assert got["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(labels, predicted))
    probabilities = special.softmax(logits, axis=1)
    assert got["nll"] == pytest.approx(-np.log(probabilities[np.arange(300), labels]).mean())
    halved = special.softmax(logits / 2, axis=1)
    assert got["nll_scaled"] == pytest.approx(-np.log(halved[np.arange(300), labels]).mean())


def test_calibration_error_is_the_mean_gap_of_bins(part):
    probabilities = np.array([[0.95, 0.05]] * 10 + [[0.55, 0.45]] * 10)
    labels = np.array([0] * 7 + [1] * 3 + [0] * 6 + [1] * 4)
    expected = (0.95 - 0.7 + 0.6 - 0.55) / 2
    assert part("metrics").calibration_error(probabilities, labels) == pytest.approx(expected)


def test_the_temperature_undoes_what_made_logits_too_large(part):
    rng = np.random.default_rng(2)
    logits = 2 * rng.standard_normal((4000, 3))
    drawn = logits + rng.gumbel(size=logits.shape)  # labels of these logits' own softmax
    assert part("metrics").fitted_temperature(3 * logits, drawn.argmax(axis=1)) == pytest.approx(
        3, rel=0.1
    )


@pytest.mark.parametrize("gap", [0.1, 1.5, 30.0])
def test_without_a_mistake_the_temperature_is_the_lowest(part, gap):
    metrics = part("metrics")
    labels = np.arange(90) % 10
    logits = gap * np.eye(10)[labels]
    assert metrics.fitted_temperature(logits, labels) == metrics.TEMPERATURES[0]
    logits[0] = gap * np.eye(10)[1]
    assert metrics.fitted_temperature(logits, labels) > metrics.TEMPERATURES[0]


# Data -----------------------------------------------------------------------------------------


def test_a_tenth_is_held_out_by_whole_groups(part):
    dataset = part("dataset")
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 300, 1000)
    labels = groups % 3
    whole = dataset.Part(np.zeros((1000, 1, 1, 1), np.uint8), labels, groups)
    data = dataset.Dataset("d", tuple("abc"), whole, {}).with_validation()
    assert not set(data.train.groups) & set(data.validation.groups)
    assert len(data.train) + len(data.validation) == 1000
    assert len(data.validation) == pytest.approx(100, abs=30)
    shares = np.bincount(data.validation.labels) / len(data.validation)
    assert shares == pytest.approx(np.bincount(labels) / 1000, abs=0.1)
    assert data.with_validation() is data


def test_a_class_of_one_sample_cannot_be_held_out(part):
    dataset = part("dataset")
    labels = np.array([0, 0, 1, 0])
    whole = dataset.Part(np.zeros((4, 1, 1, 1), np.uint8), labels)
    with pytest.raises(click.UsageError, match="got a single sample of b in d; leave the class"):
        dataset.Dataset("d", tuple("ab"), whole, {}).with_validation()


@pytest.mark.parametrize("names", [("x_{}", "y_{}"), ("{}_images", "{}_labels")])
def test_arrays_are_read_by_both_conventions(part, tmp_path, names):
    x, y = (name.format for name in names)
    images = np.arange(6 * 4, dtype=np.uint8).reshape(6, 2, 2)
    labels = np.arange(6)[:, None] % 3
    content = {x("train"): images, y("train"): labels, x("test"): images[:3], y("test"): labels[:3]}
    file = tmp_path / "some.npz"
    np.savez(file, **content, **{x("val"): images[3:], y("val"): labels[3:]})
    data = part("readers").read({"reader": "arrays", "path": "some.npz"}, tmp_path)
    assert data.train.images.shape == (6, 2, 2, 1)
    assert data.train.labels.tolist() == [0, 1, 2, 0, 1, 2]
    assert (data.validation.images[..., 0] == images[3:]).all()
    assert data.class_names == ("0", "1", "2")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y_train": np.array([0.7, 1, 2])}, "whole numbers from 0 on, got float64"),
        ({"y_test": np.array([-1, 0, 1])}, "got int64 of shape .* from -1 on for test"),
        ({"x_test": np.zeros((3, 4, 4), np.uint8)}, "one shape, got .2, 2, 1. and .4, 4, 1."),
        ({"class_names": np.array(["a"])}, "one for each of 3 classes, got <U1 .1,."),
        ({"x_val": np.zeros((3, 2, 2), np.uint8)}, "looked for y_val in"),
        ({"x_train": np.zeros((3, 2, 2))}, "images are uint8"),
        ({"x_train": np.zeros((3, 3, 8, 8), np.uint8)}, "channels last, got .3, 3, 8, 8. for trai"),
        ({"x_test": np.zeros((3, 8, 6, 3), np.uint8)}, "square, .* for test in .*, or crop"),
        ({"x_test": np.zeros((3, 8, 8, 8), np.uint8)}, "fewer channels than columns"),
    ],
)
def test_arrays_that_are_no_images_with_classes_are_refused(part, tmp_path, change, message):
    whole = {
        f"{name}_{part}": value
        for part in ("train", "test")
        for name, value in (("x", np.zeros((3, 2, 2), np.uint8)), ("y", np.arange(3)))
    }
    np.savez(tmp_path / "some.npz", **(whole | change))
    with pytest.raises(Exception, match=message):
        part("readers").read({"reader": "arrays", "path": "some.npz"}, tmp_path)


def test_arrays_of_other_names_are_refused(part, tmp_path):
    np.savez(tmp_path / "some.npz", a=np.zeros(3))
    with pytest.raises(Exception, match=r"x_.part., y_.part. or .*got a; rename"):
        part("readers").read({"reader": "arrays", "path": "some.npz"}, tmp_path)


# Experiments and ledgers ----------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted(EXPERIMENTS.glob("*.toml")), ids=lambda path: path.stem)
def test_experiments_load_and_name_their_table_by_the_file(part, path):
    experiment = part("experiments").load(path)
    assert experiment.table == path.stem
    runs = experiment.final_runs({})
    assert len(runs) == len(experiment.methods) * experiment.seeds
    assert len({json.dumps(asdict(run)) for run in runs}) == len(runs)
    if experiment.tuned_by:
        tuner = part("experiments").load(path.parent / experiment.tuned_by)
        assert set(experiment.methods) <= set(tuner.methods)


def test_tuning_tries_values_with_half_the_epochs_and_takes_the_best(part):
    experiments = part("experiments")
    experiment = experiments.load(EXPERIMENTS / "digits.toml")
    runs = experiment.tuning_runs()
    values = experiment.tuning["weight_decay"]
    assert len(runs) == 13 * len(values)
    assert {run.epochs for run in runs} == {20}
    records = [
        {
            "key": str(number),
            "run": asdict(run),
            "metrics": {"validation": {"error": 0.1, "nll": abs(run.weight_decay - values[1])}},
        }
        for number, run in enumerate(runs)
    ]
    keys = {record["key"] for record in records}
    name = "weight_decay"
    assert experiments.chosen(records, keys, name)["zeta"] == {name: values[1]}
    records[0]["metrics"]["validation"]["error"] = 0.01
    choices = experiments.chosen(records, keys, name)
    assert choices["erm"] == {name: values[0]}
    # What other settings or machines left in the ledger is not looked at.
    assert experiments.chosen(records, keys - {"0"}, name)["erm"] == {name: values[1]}
    finals = experiment.final_runs(choices)
    assert {run.weight_decay for run in finals if run.method == "erm"} == {values[0]}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('methods = ["erm", "manifold"]', "unknown methods in t: manifold; choose from erm"),
        ('methods = ["erm"]\nseed = 3', "seed.*it is TOML with the keys table"),
        (
            'methods = ["erm"]\ntuning = {depth = [1]}',
            "tuning in t: depth; choose from weight",
        ),
        ('methods = ["erm"]\ntuning = {gamma = 3}', "a list of values, got gamma = 3; write"),
        ('methods = ["erm"]\nnoise = 3.0', "noise of t must be a number from 0 to 1, got 3.0"),
        ('methods = ["erm"]\ncorruption_seeds = 1.5', "corruption_seeds of t must be a whole"),
        ('methods = ["erm"]\noverrides = {erm = {epochs = 9}}', "overrides in t: epochs; choose"),
    ],
)
def test_experiments_with_unknown_words_are_refused(part, tmp_path, line, message):
    head = 'table = "t"\ndata = {reader = "digits"}\nmodel = "small-cnn"\nepochs = 2\n'
    file = tmp_path / "t.toml"
    file.write_text(f"{head}batch_size = 8\nlearning_rate = 0.1\nseeds = 1\n{line}\n")
    with pytest.raises(Exception, match=message):
        part("experiments").load(file)


def test_choices_of_methods_that_are_not_tuned_are_refused(part, tmp_path):
    text = (EXPERIMENTS / "check.toml").read_text(encoding="utf-8")
    for name, more in (("tuner", ""), ("user", 'tuned_by = "tuner.toml"\n')):
        (tmp_path / f"{name}.toml").write_text(text + more, encoding="utf-8")
    experiment = part("experiments").load(tmp_path / "user.toml")
    with pytest.raises(Exception, match=r"which tunes no erm, zeta; add the methods there"):
        part("running")._tuner(experiment)


def test_published_records_tell_what_is_wrong_and_no_label(part):
    ledger = part("ledger")
    labels, predicted = np.arange(11) % 3, np.arange(11) % 2
    records = [
        {"kind": "data", "hash": "a", "labels": {"test": ledger.encoded(labels)}},
        {
            "kind": "run",
            "data_hash": "a",
            "predictions": {"test": ledger.encoded(predicted)},
        },
    ]
    data, run = ledger.published(records)
    assert data == {"kind": "data", "hash": "a"}
    assert "predictions" not in run
    wrong = ledger.unpacked(run["wrong"]["test"], 11)
    assert wrong.tolist() == (labels != predicted).tolist()
    more = {**records[1], "key": "later"}
    again = list(ledger.published([data, run, records[0], more]))
    assert again == [data, run, {**run, "key": "later"}]


def test_a_network_that_diverges_knows_nothing(part, tiny):
    training = part("training")
    run = tiny_run(part, learning_rate=1e30, batch_size=32, epochs=4)
    outcome = training.train(run, tiny, training.Machine())
    assert outcome["diverged"]
    assert outcome["metrics"]["test"]["nll"] == pytest.approx(math.log(4))
    assert not training.train(tiny_run(part, batch_size=32, epochs=4), tiny, training.Machine())[
        "diverged"
    ]


def test_a_run_of_too_few_steps_says_so(part, tiny):
    training = part("training")
    rule = "more than 10 steps, got 3: 1 epochs of 108 samples in"
    with pytest.raises(click.UsageError, match=rule):
        training.train(tiny_run(part, batch_size=32, epochs=1), tiny, training.Machine())


def test_a_ledger_forgets_a_line_that_was_cut_and_nothing_else(part, tmp_path):
    ledger = part("ledger").Ledger(tmp_path / "deep" / "l.jsonl")
    assert list(ledger.records()) == []
    ledger.append({"a": "ζ"})
    with ledger.path.open("ab") as file:
        file.write(b'{"a": "cut in the mid')
    assert list(ledger.records()) == [{"a": "ζ"}]
    ledger.append({"a": 2})
    assert list(ledger.records()) == [{"a": "ζ"}, {"a": 2}]
    ledger.path.write_bytes(b"no json\n")
    with pytest.raises(Exception, match=r"line 1 of .*delete that line"):
        list(ledger.records())


def test_classes_survive_as_text(part):
    ledger = part("ledger")
    for classes in (np.arange(7), np.array([3, 700]), np.array([], dtype=np.int64)):
        assert ledger.decoded(ledger.encoded(classes)).tolist() == classes.tolist()


@pytest.mark.parametrize(
    ("options", "jobs"), [([], 3), (["--device", "cuda"], 1), (["--jobs", "2"], 2)]
)
def test_a_gpu_makes_one_run_at_a_time_and_each_core_another(part, monkeypatch, options, jobs):
    import torch

    part("running")
    program = importlib.import_module("classify")
    benches = []
    monkeypatch.setattr(program, "available_cores", lambda: 3)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(program, "run_experiment", lambda _, bench, __: benches.append(bench))
    program.main(["run", str(EXPERIMENTS / "check.toml"), *options], standalone_mode=False)
    assert [bench.jobs for bench in benches] == [jobs]


def test_a_killed_program_goes_on_and_ends_in_the_same_table(part, tmp_path):
    command = [
        *(sys.executable, str(FOLDER / "classify.py"), "run", str(EXPERIMENTS / "check.toml")),
        *("--jobs", "1", "--dtype", "float32", "-o", str(tmp_path)),
    ]
    path = tmp_path / "check.jsonl"
    killed = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    ledger = part("ledger").Ledger(path)
    deadline = time.monotonic() + 120
    while not any(record["kind"] == "run" for record in ledger.records()):
        assert time.monotonic() < deadline
        assert killed.poll() is None
        time.sleep(0.01)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    before = path.read_bytes()
    done = subprocess.run(command, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    assert path.read_bytes().startswith(before[: before.rfind(b"\n") + 1])
    records = [record for record in ledger.records() if record["kind"] == "run"]
    assert [record["run"]["method"] for record in records] == ["erm", "zeta"]
    again = part("training")
    digits = part("readers").read({"reader": "digits"}, tmp_path).with_validation()
    for record in records:
        run = again.Run(**record["run"])
        assert again.train(run, digits, again.Machine())["metrics"] == record["metrics"]
        assert record["metrics"]["test"]["error"] < 0.5  # of ten classes
        assert 0 < record["mixing_share"] < 1


def test_a_report_is_printed_from_ledgers(part, tmp_path):
    program = part("running")
    experiment = part("experiments").load(EXPERIMENTS / "check.toml")
    machine = part("training").Machine()
    bench = program.Bench(machine, tmp_path, tmp_path / "ledgers")
    ledger = bench.ledger(experiment)
    digits = part("readers").read(experiment.data, tmp_path).with_validation()
    program._describe(ledger, digits, digits.digest())
    for seed in (0, 1):
        for run in experiment.final_runs({}):
            logits = np.eye(10)[digits.tests["test"].labels] * 2
            logits[: 5 + seed + len(run.method)] = 0
            record = {
                "kind": "run",
                "conditions": bench.conditions(),
                "data_hash": digits.digest(),
                "key": f"{run.method} {seed}",
                "run": asdict(replace(run, seed=seed)),
                "commit": None,
                "date": "2026-01-01",
                "seconds": 1.0,
                "mixing_share": 0.1,
                "environment": {"python": "3", "packages": {}},
                "temperature": 1.0,
                "corruptions": None,
                "metrics": {
                    "test": part("metrics").scores(logits, digits.tests["test"].labels, 1.0)
                },
                "predictions": {"test": part("ledger").encoded(logits.argmax(axis=1))},
            }
            ledger.append(record)
    command = [sys.executable, str(FOLDER / "classify.py"), "report", str(ledger.path)]
    files = [tmp_path / "runs.csv", tmp_path / "forest.png"]
    options = ["--csv", str(files[0]), "--picture", str(files[1])]
    done = subprocess.run([*command, *options], capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    assert "ζ-mixup at γ = 2.8 against ERM" in done.stdout
    assert "## What the seeds can show" in done.stdout
    assert len(files[0].read_text(encoding="utf-8").splitlines()) == 1 + 4
    assert files[1].read_bytes().startswith(b"\x89PNG")
