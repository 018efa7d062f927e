"""The benchmark of tables: that it runs and resumes, what it reads, and how it judges."""

import gzip
import importlib
import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

FOLDER = Path(__file__).parents[1] / "benchmarks"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the benchmarks are in checkouts only")


@pytest.fixture
def program(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("tabular")


@pytest.fixture
def data(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("tabular_data")


def run(output, *args):
    command = [sys.executable, str(FOLDER / "tabular.py"), "--quick", "-o", str(output), *args]
    environment = os.environ | {"TERM": "dumb"}
    done = subprocess.run(command, capture_output=True, encoding="utf-8", env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def test_the_program_runs_and_resumes(tmp_path):
    ledger = tmp_path / "tabular.jsonl"
    text, errors = run(ledger, "--set", "breast cancer 1:50", "--set", "yeast")
    assert "yeast is left out: it is in the wheel of river" in errors
    lines = ledger.read_text(encoding="utf-8").splitlines()
    fits = [record for record in map(json.loads, lines) if "set" in record]
    assert len(fits) == 2 * 11
    assert {"ζ-mixup within the class", "SMOTE", "class weights"} < {r["method"] for r in fits}
    for record in fits:
        assert "refused" in record or 0 <= record["average precision"] <= 1
    assert "## 200 rows of 20 columns grow elevenfold: two classes of 100" in text
    assert "## 200 rows of 20 columns grow elevenfold: a rare class of 20" in text
    assert text.count("| zetamix.oversample, num_mix=2 |") == 2
    assert "## breast cancer 1:50, logistic regression" in text
    assert "| no resampling | 0." in text
    # A killed program may have written half a line; the rest is kept, and nothing is done twice.
    ledger.write_text("\n".join(lines[:-3]) + "\n" + lines[-3][:20], encoding="utf-8")
    again, _ = run(ledger, "--set", "breast cancer 1:50")
    records = [json.loads(line) for line in ledger.read_text(encoding="utf-8").splitlines()]
    assert len(records) == len(lines)
    assert records[:-3] == [json.loads(line) for line in lines[:-3]]
    without_speed = [each.split("## breast")[1] for each in (text, again)]
    assert without_speed[0] == without_speed[1]


def wheel_of(path, files):
    with zipfile.ZipFile(path, "w") as wheel:
        for name, content in files.items():
            wheel.writestr(f"river/datasets/{name}", content)
    return path


def test_tables_are_read_from_the_wheel(data, tmp_path):
    rows = "\n".join(f"{','.join(map(str, range(i, i + 9)))},{int(i == 3)}" for i in range(5))
    header = ",".join(f"f{i}" for i in range(1, 10)) + ",anomaly\n"
    genes = ",".join([f"Att{i}" for i in range(1, 104)] + [f"Class{i}" for i in range(1, 15)])
    of_genes = "\n".join(",".join(["0.5"] * 103 + ["0"] * 8 + [flag] + ["0"] * 5) for flag in "01")
    flares = (
        "zurich-class,activity,c-class-flares,m-class-flares,x-class-flares\nH,2,1,0,0\nD,1,0,3,0\n"
    )
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("solar-flare.csv", flares)
    files = {
        "shuttle.csv.gz": gzip.compress((header + rows).encode()),
        "yeast.csv.gz": gzip.compress((genes + "\n" + of_genes).encode()),
        "solar-flare.csv.zip": inner.getvalue(),
    }
    wheel = wheel_of(tmp_path / "river.whl", files)
    shuttle = data.SETS["shuttle"](wheel)
    assert shuttle.large
    assert shuttle.x[4].tolist() == [*range(4, 13)]
    assert shuttle.y.tolist() == [0, 0, 0, 1, 0]
    assert data.shuttle(2)(wheel).x.shape == (2, 9)
    yeast = data.SETS["yeast"](wheel)
    assert yeast.x.shape == (2, 103)
    assert yeast.y.tolist() == [0, 1]
    flare = data.SETS["solar flare"](wheel)
    assert flare.categorical == (0,)
    assert flare.x.tolist() == [["H", 2.0], ["D", 1.0]]
    assert flare.y.tolist() == [0, 1]


def test_sets_of_scikit_learn(data):
    counts = {
        "digits": (1797, 178),
        "breast cancer 1:10": (393, 36),
        "breast cancer 1:50": (364, 7),
    }
    for name, expected in counts.items():
        table = data.SETS[name](None)
        assert (len(table.y), table.y.sum()) == expected


def fits(values, **common):
    return [{"fold": i, **common, **dict.fromkeys(MEASURES, v)} for i, v in enumerate(values)]


MEASURES = ("average precision", "balanced accuracy", "Brier score")


def test_differences_are_paired_and_their_variance_is_that_of_shared_rows(program):
    first, second = np.asarray([0.5, 0.6, 0.8, 0.7]), np.asarray([0.4, 0.55, 0.65, 0.7])
    as_folds = [{i: {"Brier score": v} for i, v in enumerate(values)} for values in (first, second)]
    mean, half = program.difference(*as_folds, "Brier score")
    assert mean == pytest.approx((first - second).mean())
    error = np.sqrt((first - second).var(ddof=1) * (1 / 4 + 1))
    assert half == pytest.approx(stats.t.ppf(0.975, 3) * error)


def test_ranks_are_over_what_all_take_part_in(program):
    records = []
    for place, method in enumerate(program.SAMPLERS):
        value = place / 100
        records += fits([value, value], set="a", model="m", method=method)
        if method != "SMOTE":
            records += fits([1 - value], set="b", model="m", method=method)
    records.append({"set": "b", "model": "m", "method": "SMOTE", "fold": 0, "refused": "why"})
    table = {row[0]: row[1:] for row in program.ranks(program.scores_of(records))}
    assert table["no resampling"] == ["11.0", "11.0", "1.0"]  # a small Brier score is good
    assert table["ζ-mixup with neighbours"] == ["1.0", "1.0", "11.0"]
    assert "- SMOTE on b: why" in program.report(records)
