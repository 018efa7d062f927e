"""The report of the training benchmark: what it says of records with known effects."""

import copy
import importlib
import json
from pathlib import Path

import click
import numpy as np
import pytest
from matplotlib.colors import to_hex
from scipy import stats

FOLDER = Path(__file__).parents[1] / "benchmarks"
IMAGES = 1000
# How many of 1,000 test images are wrong, seed by seed.
WRONG = {
    "erm": [120, 124, 118, 122],
    "mixup-1": [110, 113, 109, 112],
    "zeta": [101, 103, 97, 103],
    "smoothing": [110, 114, 107, 113],
    "hard": [120, 123, 120, 121],
}

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the benchmarks are in checkouts only")


@pytest.fixture
def program(monkeypatch):
    """Import a module of the benchmark, as its program does."""
    monkeypatch.syspath_prepend(str(FOLDER))
    return lambda name: importlib.import_module(f"classification.{name}")


@pytest.fixture
def text(program):
    def lines(records, **options):
        return "\n".join(program("report").report(records, **options))

    return lines


# Records --------------------------------------------------------------------------------------


def metrics(error):
    return {
        "error": error, "micro_f1": 1 - error, "macro_f1": 0.9 - error, "nll": 0.5, "ece": 0.04,
        "balanced_accuracy": 0.8 - error, "nll_scaled": 0.4, "ece_scaled": 0.01,
    }  # fmt: skip


@pytest.fixture
def make(program):
    """Make the records of a table from the numbers of wrong test images."""
    encoded = program("ledger").encoded

    def records(wrong=WRONG, parts=("test",), name="Fashion-MNIST", digest="ab12", **settings):
        labels = np.arange(IMAGES) % 10
        common = {
            "table": "fashion", "data": "fashion", "model": "small-cnn", "epochs": 20,
            "batch_size": 128, "learning_rate": 0.1, "weight_decay": 5e-4, "gamma": 2.8,
            "noise": 0.0, "stage": "final",
        }  # fmt: skip
        yield {
            "kind": "data", "hash": digest, "name": name, "class_names": list("abcdefghij"),
            "sizes": {"train": 7200, "validation": 800, **dict.fromkeys(parts, IMAGES)},
            "labels": dict.fromkeys(parts, encoded(labels)), "notes": ["A part of the set"],
        }  # fmt: skip
        for method, counts in wrong.items():
            for seed, count in enumerate(counts):
                predicted = (labels + (np.arange(IMAGES) < count)) % 10
                yield {
                    "kind": "run", "data_hash": digest,
                    "key": f"{method} {seed} {digest} {settings}",
                    "run": {**common, "method": method, "seed": seed, **settings},
                    "conditions": {"dtype": "bfloat16", "processor": "EPYC", "threads": 1},
                    "commit": "abc123", "date": f"2026-11-2{seed}", "seconds": 50.0 + seed,
                    "environment": {"python": "3.12.1", "packages": {"torch": "2.13.0"}},
                    "mixing_share": 0.03, "temperature": 1.2, "corruptions": None,
                    "metrics": dict.fromkeys(parts, metrics(count / IMAGES)),
                    "predictions": dict.fromkeys(parts, encoded(predicted)),
                }  # fmt: skip

    return lambda *args, **options: copy.deepcopy(list(records(*args, **options)))


def tuned(record, value, error, nll=0.5):
    run = {**record["run"], "stage": "tuning", "weight_decay": value, "seed": 0}
    scores = {"validation": {**metrics(error), "nll": nll}}
    return {**record, "key": str(run), "run": run, "metrics": scores, "predictions": {}}


def rows(text, title):
    """Return the rows of the first table after a title, by their first cells."""
    after = text[text.index(title) :].splitlines()
    start = next(i for i, line in enumerate(after) if line.startswith("|"))
    found = {}
    for line in after[start:]:
        if not line.startswith("|"):
            break
        first, *cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        found[first] = cells
    return found


def runs(records):
    return [record for record in records if record["kind"] == "run"]


# Scores and differences -----------------------------------------------------------------------


def test_scores_are_means_with_half_of_their_intervals(text, make):
    found = rows(text(make()), "### Scores: test")
    errors = np.array(WRONG["erm"]) / 10
    half = stats.sem(errors) * stats.t.ppf(0.975, 3)
    assert found["ERM"][:2] == ["4", f"12.10 ± {half:.2f}"]
    assert found["ERM"][2] == f"0.8790 ± {half / 100:.4f}"
    assert found["ERM"][5:] == [
        "0.5000 ± 0.0000", "0.4000 ± 0.0000", "4.00 ± 0.00", "1.00 ± 0.00",
    ]  # fmt: skip
    names = ["method", "---", "ERM", "mixup, α = 1", "ζ-mixup, γ = 2.8"]
    assert list(found)[:5] == names
    assert "micro-F1 is the accuracy" in text(make())


def test_differences_are_paired_and_adjusted_for_the_whole_report(text, make, program):
    found = text([*make(), *make(digest="cd34", table="other", data="other", name="Other")])
    pairs = [(m, "erm") for m in WRONG if m != "erm"]
    pairs += [(m, "mixup-1") for m in WRONG if m not in ("erm", "mixup-1")]
    p = [stats.ttest_rel(WRONG[a], WRONG[b]).pvalue for a, b in pairs]
    adjusted = program("statistics").holm([*p, *p])
    assert f"for all {len(adjusted)} comparisons" in found
    assert len(adjusted) == 14
    expected = stats.ttest_rel(WRONG["hard"], WRONG["mixup-1"])
    low, high = (end / 10 for end in expected.confidence_interval())
    row = rows(found, "Differences from mixup, α = 1")["mixed inputs, hard labels"]
    place = pairs.index(("hard", "mixup-1"))
    assert row[:3] == ["4", "+1.00", f"[{low:.2f}, {high:.2f}]"]
    assert row[5:] == [f"{adjusted[place]:.3f}", "loses"]
    row = rows(found, "Differences from ERM")["mixed inputs, hard labels"]
    assert row[0] == "4"
    assert row[-1] == "ties"
    assert "ERM" not in rows(found, "Differences from mixup, α = 1")


def test_intervals_over_images_are_of_the_predictions(text, make):
    """Wrong with one method alone are the same images for all seeds: 100 of 1,000."""
    row = rows(text(make({"erm": [120, 120], "zeta": [20, 20]})), "Differences from ERM")
    low, high = np.quantile(
        np.random.default_rng(0).binomial(1000, 0.1, 100_000) / 10, (0.025, 0.975)
    )
    ends = row["ζ-mixup, γ = 2.8"][3].strip("[]").replace("−", "-").split(", ")
    assert [float(end) for end in ends] == pytest.approx([-high, -low], abs=0.15)


def test_the_verdict_is_a_plain_sentence(text, make):
    found = text(make(table="small"))
    ends = stats.ttest_rel(WRONG["zeta"], WRONG["mixup-1"]).confidence_interval()
    around = f"[{ends.low / 10:.2f}, {ends.high / 10:.2f}]".replace("-", "−")
    assert (
        f"ζ-mixup at γ = 2.8 against mixup of α = 1 on small: wins, "
        f"−1.00 points {around} over 4 seeds, "
    ) in found
    assert "against ERM on small: wins, −2.00 points" in found


def test_data_sets_are_columns_as_in_the_source(text, make):
    noisy = make({"erm": [300]}, table="noisy", noise=0.4)
    other = make({"erm": [50], "zeta": [40]}, ["official", "test"], "ISIC", "cd34", table="isic")
    found = text([*make(table="Fashion-MNIST"), *other, *noisy])
    errors = rows(found, "Classification error, %")
    assert errors["method"] == [
        "Fashion-MNIST, small-cnn", "isic (official), small-cnn", "isic (test), small-cnn",
    ]  # fmt: skip
    assert list(errors)[2:] == ["ERM", "mixup", "ζ-mixup"]
    assert errors["mixup"][1:] == ["–", "–"]
    assert errors["ζ-mixup"][1:] == ["4.00", "4.00"]
    assert rows(found, "Micro-averaged F1")["ζ-mixup"][1] == "0.9600"
    assert "### Scores: official" in found


# Controls, tuning, corruptions, noise -----------------------------------------------------------


def test_controls_explain_a_share_of_the_gain(text, make):
    """Smoothing gains 10, 10, 11, 9 of the 19, 21, 21, 19 images that ζ-mixup gains."""
    found = rows(text(make()), "Controls, which show where")
    smoothing = found["label smoothing: labels smoothed by the weight that ζ-mixup gives to others"]
    assert smoothing[0] == "−1.00"
    assert smoothing[2].startswith("50 [")
    low, high = (float(end) for end in smoothing[2][4:-1].split(", "))
    assert 46 <= low < 50 < high <= 54
    assert (
        found["mixed inputs, hard labels: mixed inputs with the label of the anchor"][2][:2] == "0 "
    )


@pytest.mark.parametrize(
    ("zeta", "words"),
    [
        ([121, 119, 120, 122], "its gain is not distinguishable from 0, −0.05 points [−"),
        ([131, 133, 130, 132], "it loses, +1.05 points ["),
        ([110], "These seeds do not show whether ζ-mixup gains over ERM"),
    ],
)
def test_without_a_gain_controls_explain_none(text, make, zeta, words):
    found = text(make({**WRONG, "zeta": zeta}))
    assert words in found
    assert "share of the gain" not in found


def test_choices_of_tuning_have_the_lowest_error_then_the_lowest_loss(text, make):
    records = make()
    erm, zeta = (next(r for r in runs(records) if r["run"]["method"] == m) for m in ("erm", "zeta"))
    tries = [
        tuned(erm, 1e-4, 0.2), tuned(erm, 5e-4, 0.18, 0.6), tuned(erm, 2e-3, 0.18, 0.5),
        tuned(zeta, 1e-4, 0.2), tuned(zeta, 5e-4, 0.1), tuned(zeta, 2e-3, 0.3),
    ]  # fmt: skip
    found = text([*records, *tries])
    choices = rows(found, "Choices of the weight decay")
    assert choices["method"] == ["0.0001", "0.0005", "0.002"]
    assert choices["ERM"] == ["20.00", "18.00", "**18.00**"]
    assert choices["ζ-mixup"] == ["20.00", "**10.00**", "30.00"]
    assert "better values may lie beyond: ERM.\n" in found
    assert "There are no final runs yet" in text(tries)


def test_corruptions_are_averaged_by_family(text, make):
    records = make()
    for record in runs(records):
        if record["run"]["seed"] < 2:
            shift = 0.01 * record["run"]["seed"] - (
                0.05 if record["run"]["method"] == "zeta" else 0
            )
            record["corruptions"] = {
                "gaussian_noise": [0.2 + shift] * 5,
                "shot noise": [0.1 + shift, 0.2 + shift, 0.3 + shift, 0.4 + shift, 0.5 + shift],
                "motion_blur": [0.6 + shift] * 5,
                "fog": [0.5 + shift] * 5,
                "jpeg_compression": [0.4 + shift] * 5,
            }
    found = rows(text(records), "Errors on corrupted images of test")
    assert found["method"] == [
        "seeds",
        "noise",
        "blur",
        "weather",
        "digital",
        "all",
        "all, minus ERM",
    ]
    means = [cell.split(" ± ")[0] for cell in found["ERM"][1:6]]
    assert means == ["25.50", "60.50", "50.50", "40.50", "40.50"]
    assert found["ERM"][0] == "2"
    assert found["ζ-mixup, γ = 2.8"][6] == "−5.00 –"  # no spread
    del records[1]["corruptions"]["fog"], records[2]["corruptions"]
    found = rows(text(records), "Errors on corrupted images of test")
    assert found["ERM"][3] == "–"
    others = [record for record in records if record.get("run", {}).get("method") != "erm"]
    assert rows(text(others), "Errors on corrupted images of test")["ζ-mixup, γ = 2.8"][6] == ""


def test_noise_is_a_table_of_its_own(text, make):
    clean, noisy = make(), make({"erm": [400, 402]}, table="noisy", noise=0.4)
    found = rows(text([*noisy, *clean]), "## Wrong labels in training: Fashion-MNIST, small-cnn")
    assert found["method"] == ["0% (fashion)", "40% (noisy)"]
    assert found["ERM"][1].startswith("40.10 ± ")
    assert "ζ-mixup" not in found
    assert "Wrong labels" not in text(clean)


# Conditions and what is missing -----------------------------------------------------------------


def test_conditions_and_costs_are_told(text, make):
    found = text(make())
    assert rows(found, "## Conditions")["fashion"] == [
        "bfloat16", "EPYC", "1", "2026-11-20 to 2026-11-23", "abc123",
    ]  # fmt: skip
    assert "Python 3.12.1, torch 2.13.0." in found
    assert rows(found, "Median time of a run")["ERM"] == ["51.5", "3.0"]
    assert "Fashion-MNIST: 10 classes; 7,200 train, 800 validation, 1,000 test images;" in found
    assert "A part of the set." in found


def test_packages_are_told_once(text, make):
    records = make()
    runs(records)[0]["environment"]["packages"]["jax"] = "0.10.2"
    found = text(records)
    assert found.count("Python 3.12.1") == 1
    assert "Python 3.12.1, torch 2.13.0; some runs also had jax 0.10.2." in found


@pytest.mark.parametrize(
    ("name", "value"),
    [("dtype", "float32"), ("processor", "Xeon"), ("threads", 2), ("device", "cuda")],
)
def test_mixed_conditions_are_refused_unless_allowed(text, make, name, value):
    records = make()
    before = records[-1]["conditions"].get(name)
    records[-1]["conditions"][name] = value
    rule = f"their conditions, got {name} = {before} and {value} in table fashion; .*--allow-mixed"
    with pytest.raises(click.ClickException, match=rule):
        text(records)
    assert f"{before} and {value}" in text(records, allow_mixed=True).replace("– and", "None and")
    records[-1]["run"]["table"] = "other"
    assert "## other" in text(records)


def test_runs_of_other_data_are_refused(text, make):
    records = make()
    records[-1]["data_hash"] = "cd34"
    with pytest.raises(click.ClickException, match="same data, got data_hash = ab12 and cd34"):
        text(records, allow_mixed=True)


def test_a_method_has_the_same_settings_in_all_seeds(text, make):
    records = make()
    records[-1]["run"]["epochs"] = 10
    with pytest.raises(
        click.ClickException, match="those of hard, got epochs = 20 and 10 in table"
    ):
        text(records)
    for record in runs(records):
        record["run"]["epochs"] = 10 if record["run"]["method"] == "hard" else 20
    assert "epochs by method" in text(records)


def test_a_repeated_line_counts_once_and_another_run_is_refused(text, make):
    records = make()
    assert text([*records, *copy.deepcopy(records)]) == text(records)
    assert text([*records, {**records[1], "commit": records[1]["commit"]}]) == text(records)
    again = {**records[1], "key": "another"}
    rule = "got two of erm with seed 0 in table fashion; "
    with pytest.raises(click.ClickException, match=f"{rule}remove one of their lines"):
        text([*records, again])
    elsewhere = {**again, "conditions": {**again["conditions"], "dtype": "float32"}}
    with pytest.raises(click.ClickException, match=f"{rule}choose, as by --only dtype=bfloat16, "):
        text([*records, elsewhere], allow_mixed=True)


def test_predictions_must_have_the_error_of_their_record(text, make):
    records = make()
    records[1]["metrics"]["test"]["error"] = 0.5
    with pytest.raises(click.ClickException, match=r"erm, seed 0 .* got 0.12 for 0.5 on test"):
        text(records)


def test_what_is_missing_is_said(text, make):
    records = make({"mixup-1": [110, 111, 112], "zeta": [100]})
    found = text(records)
    assert "No runs: ERM.\n" in found
    assert "Missing seeds of ζ-mixup, γ = 2.8: 1, 2.\n" in found
    assert "- ζ-mixup against ERM: no seed has runs of both.\n" in found
    assert "undecided, −1.00 points – over 1 seed," in found
    assert "Differences from ERM" not in found
    assert "No intervals over images of test" in text(records[1:])
    assert "The ledgers hold no final runs." in text([])
    assert "a_new_one" in text(make({"erm": [120], "a_new_one": [110]}))


def test_methods_without_shared_seeds_are_not_compared(text, make):
    records = make({"erm": [120], "zeta": [100]})
    records[-1]["run"]["seed"] = 7
    found = text(records)
    assert "- ζ-mixup against ERM: no seed has runs of both.\n" in found
    assert "Differences from ERM" not in found
    assert "for all 0 comparisons" in found


def test_rows_for_spreadsheets_are_flat_and_alike(program, make):
    records = [*make(), *make({"erm": [5]}, ["a", "b"], digest="cd", table="two")]
    records[1]["corruptions"] = {"fog": [0.1, 0.2, 0.3, 0.4, 0.5]}
    found = program("report").csv_rows(records)
    assert len(found) == len(runs(records))
    assert len({tuple(row) for row in found}) == 1
    assert found[0]["method"] == "erm"
    assert found[0]["test: error"] == 0.12
    assert found[0]["fog 5"] == 0.5
    assert found[0]["dtype"] == "bfloat16"
    assert found[-1]["test: error"] is None
    assert found[-1]["b: error"] == 0.005
    assert all(value is None or np.isscalar(value) for row in found for value in row.values())


# Picture ----------------------------------------------------------------------------------------


def test_the_picture_has_a_panel_for_each_part_and_a_row_for_each_method(program, make):
    report, pictures = program("report"), program("pictures")
    one = make({"zeta": [40], "erm": [50]}, ["official", "test"], "ISIC", "cd", table="ISIC")
    tables = report.tables([*make(table="Fashion-MNIST"), *one])
    figure = pictures.forest(tables, report.comparisons(tables))
    assert [axes.get_title("left") for axes in figure.axes] == [
        "Fashion-MNIST", "ISIC (official)", "ISIC (test)",
    ]  # fmt: skip
    first, second, _ = figure.axes
    names = ["mixup, α = 1", "ζ-mixup", "label smoothing", "mixed inputs, hard labels"]
    assert [label.get_text() for label in first.get_yticklabels()] == names
    top, bottom = first.get_ylim()
    assert top > bottom  # the first method on top
    points = {line.get_ydata()[0]: line for line in first.lines if line.get_marker() != "None"}
    assert points[1].get_xdata()[0] == pytest.approx(-2.0)
    assert to_hex(points[1].get_color()).upper() == "#0072B2"
    thick = next(
        line for line in first.lines if line.get_linewidth() == 4 and 1 in line.get_ydata()
    )
    ends = stats.ttest_rel(WRONG["zeta"], WRONG["erm"]).confidence_interval()
    assert list(thick.get_xdata()) == pytest.approx([ends.low / 10, ends.high / 10])
    (hollow,) = (line for line in second.lines if line.get_marker() == "o")
    assert hollow.get_markerfacecolor() == "white"


def test_a_method_that_collapses_does_not_hide_the_differences_of_the_others(program, make):
    errors = {"erm": [100, 110, 90], "zeta": [80, 100, 80], "dirichlet": [800, 900, 900]}
    tables, pictures = program("tables"), program("pictures")
    found = tables.tables(make(errors))
    (axes,) = pictures.forest(found, tables.comparisons(found)).axes
    assert axes.get_xlim()[1] < 20
    assert [text.get_text() for text in axes.texts] == ["+77 →"]


def test_no_text_of_the_picture_leaves_it_or_meets_another(program, make):
    report, pictures = program("report"), program("pictures")
    wrong = {method: [120 + place, 118] for place, method in enumerate(report.NAMES)}
    records = make(wrong)
    for place in range(3):
        named = {"name": f"ISIC 201{place}", "table": f"isic201{place}-resnet18"}
        records += make(WRONG, ["official validation", "test"], digest=f"c{place}", **named)
    tables = report.tables(records)
    figure = pictures.forest(tables, report.comparisons(tables))
    figure.draw_without_rendering()
    boxes = [axes.get_tightbbox() for axes in figure.axes]
    boxes += [each.get_window_extent() for each in (*figure.texts, *figure.legends)]
    width, height = figure.get_size_inches() * figure.dpi
    assert all(0 <= box.x0 < box.x1 <= width and 0 <= box.y0 < box.y1 <= height for box in boxes)
    assert not any(a.overlaps(b) for a in boxes for b in boxes if a is not b)


def test_the_picture_is_saved_whole(program, make, tmp_path):
    program("pictures").save(make(), tmp_path / "forest.png")
    assert (tmp_path / "forest.png").read_bytes().startswith(b"\x89PNG")
    assert len(list(tmp_path.iterdir())) == 1


def test_a_picture_without_panels_says_why(program, make):
    report = program("report")
    tables = report.tables(make({"zeta": [100]}))
    figure = program("pictures").forest(tables, report.comparisons(tables))
    assert not figure.axes
    assert "No runs share a seed with runs of ERM." in [each.get_text() for each in figure.texts]


# Power ------------------------------------------------------------------------------------------


def test_power_comes_from_the_deviations_of_the_runs(program, make):
    power, statistics = program("power"), program("statistics")
    found = "\n".join(power.power_report(make(table="Fashion-MNIST")))
    row = rows(found, "## What the seeds can show")["Fashion-MNIST: ζ-mixup minus mixup, α = 1"]
    spread = np.std(np.subtract(WRONG["zeta"], WRONG["mixup-1"]) / 10, ddof=1)
    low, high = statistics.deviation_interval(spread, 4)
    assert row[:2] == ["4", f"{spread:.2f} [{low:.2f}, {high:.2f}]"]
    needed = [statistics.seeds_needed(each, spread) for each in (0.25, 0.5, 1, 2)]
    assert row[2:6] == [str(each) for each in needed]
    assert row[6] == f"{statistics.smallest_difference(4, spread):.2f}"
    # All images that differ are wrong with mixup alone, 9 to 12 of them.
    assert row[7] == "4 and 0 of 4"


def test_power_of_many_seeds_and_of_few(program, make):
    report = program("power").power_report
    wide = make({"erm": [100, 300, 200], "mixup-1": [250, 110, 200]}, table="Fashion-MNIST")
    row = rows("\n".join(report(wide)), "## What")["Fashion-MNIST: mixup, α = 1 minus ERM"]
    assert row[2] == "> 1,000"
    assert row[7] == "1 and 1 of 3"
    assert "No two methods share two seeds" in "\n".join(report(make({"erm": [1], "zeta": [2]})))
    assert "No two methods share two seeds" in "\n".join(report([]))


def test_published_scores_are_shares_of_whole_images(program):
    power = program("power")
    printed = {
        ("ISIC 2016", "ResNet-18"): ("0.7836", "0.7968", "0.8654"),
        ("ISIC 2017", "ResNet-50"): ("0.6867", "0.7433", "0.7733"),
        ("ISIC 2018", "ResNet-18"): ("0.8756", "0.8394", "0.8756"),
        ("DermoFit", "ResNet-50"): ("0.8500", "0.8500", "0.8962"),
        ("CIFAR-10", "ResNet-18"): ("0.9452", "0.9532", "0.9558"),
        ("CIFAR-100", "ResNet-18"): ("0.7667", "0.7815", "0.7865"),
    }
    known = {(each.data, each.model): each for each in power.PUBLISHED}
    for name, scores in printed.items():
        assert tuple(f"{right / known[name].size:.4f}" for right in known[name].right) == scores
    sizes = {each.data: each.size for each in power.PUBLISHED}
    assert list(sizes.values()) == [10_000, 10_000, 10_000, 379, 600, 193, 260]


def test_published_scores_have_their_standard_errors(program):
    found = "\n".join(program("power").power_report([]))
    row = rows(found, "## What single runs can show")["ISIC 2016, ResNet-18"]
    error = 100 * np.sqrt(np.array([297, 302, 328]) * (379 - np.array([297, 302, 328])) / 379**3)
    assert row[:4] == [
        "379", f"78.36 ± {error[0]:.2f}", f"79.68 ± {error[1]:.2f}", f"86.54 ± {error[2]:.2f}",
    ]  # fmt: skip
    ends = stats.binomtest(328, 379).proportion_ci(method="wilson")
    assert row[4] == f"[{100 * ends.low:.2f}, {100 * ends.high:.2f}]"
    gain, width = 2600 / 379, 1.96 * np.hypot(*error[1:])
    assert row[5] == f"+{gain:.2f} [{gain - width:.2f}, {gain + width:.2f}]"
    assert "lies above 0: 1 of 12" in found


def test_records_are_what_json_gives_back(text, make):
    assert text(json.loads(json.dumps(make()))) == text(make())
