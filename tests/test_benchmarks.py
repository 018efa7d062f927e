"""The benchmark programs: that they run, what they write, and how they judge; never how fast."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"
PARTS = {"draw", "mix x", "mix y"}
SIZES = ["T=4", "T=8", "T=N"]
# Beside other tests several threads wait for one another in busy loops.
ONE_THREAD = ("--threads", "1")

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the benchmarks are in checkouts only")


@pytest.fixture
def program(monkeypatch):
    """Import a file of the folder, as the programs there do."""
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module


def run(name, output, *args, picture=True):
    """Run a program in a process of its own; return what it writes and prints."""
    command = [sys.executable, str(FOLDER / name), "--quick", "-o", str(output), *args]
    environment = os.environ | {"TERM": "dumb"}
    done = subprocess.run(command, capture_output=True, encoding="utf-8", env=environment)
    assert done.returncode == 0, done.stderr
    if picture:
        assert output.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    return json.loads(output.read_text(encoding="utf-8")), done.stdout


# Whole programs -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def throughput(tmp_path_factory):
    return run("throughput.py", tmp_path_factory.mktemp("throughput") / "eager.json",
               *ONE_THREAD, "--library", "torch", "--library", "numpy")  # fmt: skip


@pytest.fixture(scope="module")
def throughput_of_jax(tmp_path_factory):
    return run("throughput.py", tmp_path_factory.mktemp("throughput") / "jax.json",
               *ONE_THREAD, "--library", "jax",
               "--shape", "8,3,8,8", "--dtype", "float32")  # fmt: skip


def check_case(case, ours):
    contenders = case["contenders"]
    assert set(ours) <= set(contenders)
    for contender in contenders.values():
        times = contender["seconds"]
        assert len(times) == 3
        assert np.isfinite(times).all()
        assert min(times) > 0
        assert contender["quartiles"] == pytest.approx(sorted(times))
    for contender in contenders.values():
        for reference, ratio in contender["ratios"].items():
            names = (reference, f"{reference} after float()")
            (middle,) = (contenders[n]["quartiles"][1] for n in names if n in contenders)
            assert ratio == pytest.approx(contender["quartiles"][1] / middle)
        assert {"copy", "hand-written mixup"} <= set(contender["ratios"])


OURS = [*(f"zetamix {size}" for size in SIZES), *(f"draw {size}" for size in SIZES)]


@pytest.mark.needs("torch")
def test_throughput_has_every_contender_of_ours(throughput):
    cases = throughput[0]["cases"]
    kinds = [(case["library"], case["dtype"], tuple(case["shape"])) for case in cases]
    shapes = [(8, 3, 8, 8), (16, 4)]
    assert kinds == [
        *(
            ("torch", dtype, shape)
            for dtype in ("float32", "bfloat16", "uint8")
            for shape in shapes
        ),
        *(("numpy", dtype, shape) for dtype in ("float32", "uint8") for shape in shapes),
    ]
    for case in cases:
        modules = ["zetamix.torch T=8", "zetamix.torch T=N"] if case["library"] == "torch" else []
        longer = ["zetamix T=16"] if case["shape"][0] == 16 else []
        check_case(case, [*OURS, "zetamix mixup", *modules, *longer])
        assert ("zetamix T=20" in case["contenders"]) is False  # T is at most N
        default_float = {"torch": 4, "numpy": 8}[case["library"]]
        widths = {"float32": (4, 4), "bfloat16": (2, 2), "uint8": (1, default_float)}
        sizes = [np.prod(case["shape"]) * width for width in widths[case["dtype"]]]
        assert [case["input_bytes"], case["output_bytes"]] == sizes


@pytest.mark.needs("jax")
def test_throughput_of_jax_is_compiled_and_eager(throughput_of_jax):
    (case,) = throughput_of_jax[0]["cases"]
    check_case(case, [*OURS, "zetamix mixup", "zetamix T=8 eager"])


@pytest.mark.needs("torch")
def test_every_peer_takes_part_or_is_missing_or_refuses(throughput, program):
    results, text = throughput
    peers = set(program("peers").PEERS)
    missing = results["missing"]["torch"]
    # No checkout is given, so one peer is always missing.
    assert missing["authors' zeta-mixup"].endswith("--official PATH")
    for case in results["cases"][:6]:
        there, refused = set(case["contenders"]), case["refused"]
        named = (
            {name.removesuffix(" after float()") for name in there} | set(missing) | set(refused)
        )
        assert peers <= named
        assert not there & (set(missing) | set(refused))
        assert all(reason for reason in refused.values())
    for name, reason in missing.items():
        assert f"{name} is missing: {reason}" in text


@pytest.mark.needs("torch")
def test_throughput_tells_its_surroundings_but_not_whose_they_are(throughput):
    results, text = throughput
    here = results["environment"]
    assert here["packages"]["zetamix"]
    assert here["packages"]["torch"]
    assert 1 == here["threads"] <= here["cores"]
    assert here["devices"] == {"torch": "cpu", "numpy": "cpu"}
    about = {"date", "python", "packages", "platform", "processor", "cores", "threads", "devices"}
    assert set(here) == about
    assert str(FOLDER.parent) not in json.dumps(results)
    assert "## torch, bfloat16" in text
    assert "## Targets" in text
    assert {"target", "case", "measured", "bound", "strict", "met"} == set(results["targets"][0])


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--shape", "8,x"], "'8,x' must be the shape of a batch"),
        (["--library", "cupy"], "cupy does not run on cpu"),
    ],
)
def test_throughput_refuses(args, message, tmp_path):
    command = [sys.executable, str(FOLDER / "throughput.py"), *args]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.needs("torch")
def test_scaling(tmp_path):
    results, text = run("scaling.py", tmp_path / "scaling.json")
    points = results["points"]
    for library in ("numpy", "torch"):
        varied = {}
        for point in points:
            if point["library"] == library:
                varied.setdefault(point["sweep"], []).append(point)
        assert set(varied) == {"N", "N = T", "T", "D", "threads"}
        for sweep, here in varied.items():
            sizes = [point[sweep[0] if sweep != "threads" else sweep] for point in here]
            assert sizes == sorted(set(sizes))
        assert all(point["N"] == point["T"] for point in varied["N = T"])
        assert varied["T"][-1]["T"] == varied["T"][-1]["N"]
    for point in points:
        assert set(point["seconds"]) == PARTS
        for part, times in point["seconds"].items():
            assert len(times) == 3
            assert min(times) > 0
            assert point["quartiles"][part] == pytest.approx(sorted(times))
    expected = {(e["sweep"], e["part"]): e["expected"] for e in results["exponents"]}
    assert len(results["exponents"]) == 2 * len(expected) == 24
    assert expected["D", "mix x"] == 1
    assert expected["N = T", "mix x"] == 2
    assert np.isfinite([e["fitted"] for e in results["exponents"]]).all()
    assert [e["library"] for e in results["end_to_end"]] == ["numpy", "torch"]
    assert "## Exponents" in text


@pytest.mark.needs("torch")
def test_data_sets(tmp_path):
    results, printed = run("datasets.py", tmp_path / "datasets.json", *ONE_THREAD, picture=False)
    methods = {"no mixing", "within the batch", "across the set, T = 2", "across the set, T = 4"}
    assert {name: len(each) for name, each in results["accuracies"].items()} == dict.fromkeys(
        methods, 2
    )
    for times in results["rates"].values():
        assert list(times) == ["no mixing", "T = 2", "T = 4", "T = 8", "T = 4, batches of 2"]
        assert all(len(each) == 2 and min(each) > 0 for each in times.values())
    assert printed.count("| no mixing |") == 3
    assert printed.count("± ") == 2 * len(methods) - 1


@pytest.mark.needs("torch")
def test_the_share_of_mixing_in_steps_is_told(tmp_path):
    results, printed = run("training_step.py", tmp_path / "steps.json", *ONE_THREAD, picture=False)
    for case in results["cases"].values():
        ours = {"no mixing", "zetamix T=8", "zetamix T=N"}
        assert ours <= set(case["seconds"])
        assert set(case["missing"]) | set(case["seconds"]) >= {"torchvision MixUp"}
        assert all(len(each) == 3 and min(each) > 0 for each in case["seconds"].values())
    assert printed.count("| zetamix T=8 |") == 2
    assert printed.count("%") == sum(
        name.endswith("alone") for case in results["cases"].values() for name in case["seconds"]
    )


@pytest.mark.needs("torch")
@pytest.mark.needs("jax")
def test_the_check_of_gpus_can_be_rehearsed(tmp_path):
    args = ["--device", "cpu"]
    results, text = run("gpu_check.py", tmp_path / "gpu.json", *args, picture=False)
    parity = results["parity"]
    assert {row["library"] for row in parity} == {"torch", "numpy", "jax"}
    assert {row["dtype"] for row in parity} == {"float32", "bfloat16", "uint8"}
    assert [row["T"] for row in parity[:4]] == [1, 2, 8, "N"]
    assert all(row["ok"] for row in parity)
    assert min(row["units_of_samples"] for row in parity) == 0  # one sample is not mixed
    assert max(row["units_of_samples"] for row in parity) > 0
    for row in results["bandwidth"]:
        assert row["bytes_per_second"] > 0
        assert row["contender"] != "copy" or row["share_of_copy"] == 1
    assert "## Parity with NumPy" in text
    assert "## Bandwidth" in text


@pytest.mark.needs("torch")
def test_the_check_of_gpus_finds_what_is_wrong(program, monkeypatch):
    check, numpy = program("gpu_check"), program("contenders").NumpyLibrary("cpu")
    right = check.zetamix.zeta_mixup

    def slightly_wrong(x, y, **options):
        mixed, soft = right(x, y, **options)
        return (mixed * (1 + 1e-5) if x.dtype == np.float32 else mixed), soft

    monkeypatch.setattr(check.zetamix, "zeta_mixup", slightly_wrong)
    assert {row["dtype"]: row["ok"] for row in check.check_parity(numpy)} == {
        "float32": False,
        "uint8": True,
    }


def test_the_check_of_gpus_counts_what_waits_and_what_launches(program):
    check = program("gpu_check")
    counts = {"cudaLaunchKernel": 5, "cuLaunchKernel": 2, "cudaMemcpyAsync": 3}
    assert check.summed(counts) == {"synchronizations": 0, "launches": 7}
    counts |= {"cudaStreamSynchronize": 1, "cuStreamSynchronize": 1, "cudaMemcpy": 1}
    assert check.summed(counts)["synchronizations"] == 3


def test_the_check_of_gpus_names_what_must_not_be(program):
    check = program("gpu_check")
    good = {
        "parity": [{"ok": True}],
        "tests": {"exit_code": 0, "backend": "cupy"},
        "calls": [{"synchronizations": 0}],
        "waits_of_torch": "none",
    }
    assert list(check.faults(good)) == []
    changes = {
        "1 results differ from NumPy": {"parity": [{"ok": False}]},
        "tests failed on cupy": {"tests": {"exit_code": 1, "backend": "cupy"}},
        "1 calls synchronize": {"calls": [{"synchronizations": 2}]},
        "torch synchronizes: called a sync": {"waits_of_torch": "called a sync"},
    }
    for fault, change in changes.items():
        assert list(check.faults(good | change)) == [fault]


def test_the_check_of_gpus_keeps_what_the_tests_say(program, monkeypatch, tmp_path):
    check = program("gpu_check")
    (tmp_path / "test_a.py").write_text("def test_one():\n    assert 1 == 2\n", encoding="utf-8")
    (tmp_path / "conftest.py").write_text(
        "def pytest_addoption(parser):\n    parser.addoption('--backend')\n", encoding="utf-8"
    )
    monkeypatch.setattr(check, "TESTS", tmp_path)
    told = check.run_tests("cpu")
    assert told["exit_code"] == 1
    assert any(line.startswith("FAILED") and "test_a.py::test_one" in line for line in told["tail"])


def test_the_check_of_gpus_wants_one(tmp_path):
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("a CUDA device answers, which is what the program wants")
    command = [sys.executable, str(FOLDER / "gpu_check.py"), "--quick"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", cwd=tmp_path)
    assert done.returncode == 1
    message = "no array library finds a device of kind cuda: torch: "
    assert message in done.stderr
    assert "rehearse with --device cpu" in done.stderr
    assert not list(tmp_path.iterdir())


# Clock and gauge ------------------------------------------------------------------------------


def test_calls_are_interleaved(program):
    """After the warm-up each call is made once a round, in changing order, and waited for."""
    made, awaited = [], []
    names = ["a", "b", "c", "d"]
    calls = {name: lambda name=name: made.append(name) or name for name in names}
    times = program("harness").interleave(
        calls, seconds=0, synchronize=awaited.append, least=12, most=20
    )
    assert made == awaited
    assert made[:8] == [name for name in names for _ in range(2)]
    rounds = [tuple(made[start : start + 4]) for start in range(8, len(made), 4)]
    assert len(rounds) == 12
    assert all(sorted(each) == names for each in rounds)
    assert len(set(rounds)) > 3
    assert {name: len(each) for name, each in times.items()} == dict.fromkeys(names, 12)


def test_rounds_end_at_the_most(program):
    times = program("harness").interleave({"a": int}, seconds=60, least=2, most=5)
    assert len(times["a"]) == 5


def test_a_result_is_freed_before_the_next_call(program):
    alive = []

    class Result:
        def __init__(self):
            assert not alive
            alive.append(self.__class__)

        def __del__(self):
            alive.clear()

    program("harness").interleave({"a": Result, "b": Result}, seconds=0, least=3)


def test_quartiles(program):
    assert program("harness").quartiles([7, 1, 5, 3, 2, 6, 4]) == (2, 4, 6)


@pytest.mark.parametrize("power", [-1, 0, 1, 2.5])
def test_exponents_of_power_laws_are_found(program, power):
    sizes = [32, 128, 512, 2048, 8192]
    times = [3 * size**power for size in sizes]
    fitted = program("harness").fitted_exponent
    assert fitted(sizes, times) == pytest.approx(power)
    # Fixed costs at small sizes do not count, and two sizes are enough.
    assert fitted(sizes, [1000, 1000, *times[2:]]) == pytest.approx(power)
    assert fitted(sizes[:2], times[:2]) == pytest.approx(power)


def test_peak_memory_of_a_known_allocation(program):
    peak = program("harness").peak_resident_bytes
    if peak(int) is None:
        pytest.skip("the high-water mark of memory can be reset on Linux only")
    size = 64 * 2**20
    assert peak(lambda: np.ones(size, np.uint8)) == pytest.approx(size, rel=0.1)
    # What is freed before the call returns counts, what was there before it does not.
    kept = np.ones(size, np.uint8)
    assert peak(lambda: np.ones(size, np.uint8).sum()) == pytest.approx(size, rel=0.1)
    assert peak(lambda: kept[:1]) < 2**20


def test_markdown(program):
    table = program("harness").markdown(["a", "b"], [["x", "1"]])
    assert table == "| a | b |\n| --- | ---: |\n| x | 1 |\n"


# Targets --------------------------------------------------------------------------------------

AUTHORS, TORCHVISION, OWN = "authors' zeta-mixup", "torchvision MixUp", "hand-written mixup"


def verdicts(program, medians, shape, *, library="torch", dtype="float32", peaks=None):
    """Judge made-up medians of one case: by target, the measured ratio and whether it is met."""
    contenders = {
        name: {"quartiles": [0, middle, 9], "peak_bytes": (peaks or {}).get(name)}
        for name, middle in medians.items()
    }
    case = {"library": library, "device": "cpu", "dtype": dtype, "shape": shape}
    case |= {"output_bytes": 4 * int(np.prod(shape)), "contenders": contenders}
    judged = program("targets").judge([case])
    return {each.target: (each.measured, each.met) for each in judged}


LARGE, SMALL = [32, 3, 224, 224], [128, 3, 32, 32]


@pytest.mark.parametrize(
    ("shape", "ours", "theirs", "met", "missed"),
    [
        (LARGE, "T=N", AUTHORS, 1.1, 1.11),
        ([512, 3, 32, 32], "T=N", AUTHORS, 0.5, 0.51),
        ([1024, 3, 32, 32], "T=N", AUTHORS, 0.4, 0.41),
        (SMALL, "T=N", AUTHORS, 0.99, 1.0),
        (LARGE, "T=N", TORCHVISION, 0.99, 1.0),
        (LARGE, "T=8", TORCHVISION, 1.0, 1.01),
        ([512, 3, 32, 32], "T=8", TORCHVISION, 1.3, 1.31),
        ([1024, 3, 32, 32], "T=8", TORCHVISION, 1.3, 1.31),
        (SMALL, "T=8", TORCHVISION, 1.7, 1.71),
        (LARGE, "T=16", TORCHVISION, 1.2, 1.21),
        (SMALL, "T=16", TORCHVISION, 2.5, 2.51),
    ],
)
def test_targets_of_torch(program, shape, ours, theirs, met, missed):
    target = f"time of {ours} over that of {theirs}"
    for ratio, verdict in ((met, True), (missed, False)):
        judged = verdicts(program, {f"zetamix {ours}": ratio, theirs: 1.0}, shape)
        assert judged == {target: (ratio, verdict)}


def test_targets_are_for_float32_and_for_what_was_measured(program):
    medians = {"zetamix T=N": 9.0, "zetamix T=8": 9.0, AUTHORS: 1.0, TORCHVISION: 1.0}
    assert verdicts(program, medians, SMALL, dtype="bfloat16") == {}
    assert verdicts(program, {"zetamix T=N": 9.0}, SMALL) == {}


@pytest.mark.parametrize("library", ["numpy", "jax"])
def test_target_against_the_own_mixup(program, library):
    target = f"time of T=8 over that of {OWN}"
    for ratio, met in ((2.5, True), (2.6, False)):
        judged = verdicts(program, {"zetamix T=8": ratio, OWN: 1.0}, SMALL, library=library)
        assert judged == {target: (ratio, met)}
    assert verdicts(program, {"zetamix T=8": 9.0, OWN: 1.0}, SMALL) == {}


def test_target_of_the_draw_is_for_large_outputs_and_short_mixtures(program):
    target = "share of the draw, at worst of T ≤ 20"
    medians = {"zetamix T=4": 1.0, "draw T=4": 0.05, "zetamix T=20": 2.0, "draw T=20": 0.19}
    medians |= {"zetamix T=N": 1.0, "draw T=N": 0.9}
    assert verdicts(program, medians, LARGE) == {target: (pytest.approx(0.095), True)}
    assert verdicts(program, medians | {"draw T=20": 0.2}, LARGE) == {target: (0.1, False)}
    assert verdicts(program, medians, SMALL) == {}


def test_target_of_the_peak_memory(program):
    target = "peak extra memory over output, at worst of "
    output = 4 * int(np.prod(LARGE))
    medians = {"zetamix T=4": 1.0, "zetamix T=N": 1.0, "copy": 1.0}
    for peak, met in ((1.19, True), (1.21, False)):
        peaks = {"zetamix T=4": output, "zetamix T=N": round(peak * output), "copy": 9 * output}
        judged = verdicts(program, medians, LARGE, peaks=peaks)
        assert judged == {f"{target}T<N": (1, True), f"{target}T=N": (pytest.approx(peak), met)}
    assert verdicts(program, medians, LARGE) == {}


def test_verdicts_are_told(program):
    targets = program("targets")
    table = targets.verdict_table([
        targets.Verdict("share", "here", 0.05, 0.1, strict=True),
        targets.Verdict("ratio", "there", 1.234, 1.2),
    ])  # fmt: skip
    assert "| share | here | 0.05 | < 0.1 | yes |" in table
    assert "| ratio | there | 1.23 | ≤ 1.2 | **no** |" in table


# Peers ----------------------------------------------------------------------------------------


@pytest.mark.needs("torch")
def test_peers_that_raise_or_change_the_shape_refuse(program):
    torch = importlib.import_module("torch")
    refusal = program("peers").refusal
    x, y = torch.ones(9, 3), torch.arange(9)

    def fails(x, y):
        raise ValueError("4 axes\nare needed")

    assert refusal(fails, x, y) == "4 axes"
    assert refusal(lambda x, y: (x[None], y), x, y) == "samples come out of shape (1, 5, 3)"
    assert refusal(lambda x, y: (x.mul_(0), y), x, y) is None
    assert x.sum() == 27  # tried on a copy


# Files ----------------------------------------------------------------------------------------


def test_augmenting_images_is_timed_beside_decoding(tmp_path):
    results, printed = run("augment_images.py", tmp_path / "augment.json", picture=False)
    assert set(results["runs"]) == {"png", "jpeg"}
    assert min(*results["decoding"], *results["runs"].values()) > 0
    assert "| decoding alone |" in printed
    assert "100%" in printed
