"""Bad input: the right exception, and a message that names rule, value and remedy."""

import math
import re

import numpy as np
import pytest

from zetamix_core import (
    MixPlan,
    cutmix,
    cutmix_plan,
    dirichlet_plan,
    mixed_accuracy,
    mixed_loss,
    mixup,
    mixup_plan,
    zeta_mixup,
    zeta_plan,
    zeta_weights,
)

X = np.ones((4, 3))
Y = np.asarray([0, 1, 2, 1])
PLAN = zeta_plan(4, rng=0)
BOXES = cutmix_plan((4, 6, 5), rng=0)
SCORES = np.ones((4, 3))


def loss_of_class(pred, y):
    return pred[np.arange(len(y)), y]


def mean_loss(pred, y):
    return np.mean(pred)


def check(error, message, call):
    with pytest.raises(error, match=re.escape(message)) as caught:
        call()
    text = str(caught.value)
    assert "got" in text, "the message does not tell what was received"
    assert "; " in text, "the message does not tell what to do"


ARGUMENTS = [
    (ValueError, "gamma must be a number >= 0, got nan", lambda: zeta_plan(4, gamma=math.nan)),
    (ValueError, "gamma must be a number >= 0, got -1", lambda: zeta_plan(4, gamma=-1)),
    (TypeError, "got '2.8' of type str", lambda: zeta_plan(4, gamma="2.8")),
    (TypeError, "got True of type bool", lambda: zeta_plan(4, gamma=True)),
    (TypeError, "got None of type NoneType", lambda: zeta_weights(4, gamma=None)),
    (
        ValueError,
        "gamma must be >= 0 everywhere, got -3.0",
        lambda: zeta_plan(2, gamma=np.asarray([1.0, -3.0])),
    ),
    (
        ValueError,
        "gamma must be >= 0 everywhere, got nan",
        lambda: zeta_plan(2, gamma=np.asarray([1.0, np.nan])),
    ),
    (
        ValueError,
        "one for each output, got shape (2, 1) and dtype float64",
        lambda: zeta_plan(2, gamma=np.ones((2, 1))),
    ),
    (
        ValueError,
        "one entry for each output, got 3 for 4 outputs",
        lambda: zeta_plan(4, gamma=np.ones(3)),
    ),
    (ValueError, "real numbers", lambda: zeta_plan(2, gamma=np.ones(2, dtype=bool))),
    (ValueError, "n (the number of samples) must be >= 1, got 0", lambda: zeta_plan(0)),
    (ValueError, "must be >= 1, got -2", lambda: mixup_plan(-2)),
    (TypeError, "got 4.0 of type float", lambda: zeta_plan(4.0)),
    (TypeError, "an array of shape (4, 3) and dtype float64; pass len(x)", lambda: zeta_plan(X)),
    (TypeError, "got 4.0 of type float", lambda: mixup_plan(4.0)),
    (TypeError, "got True of type bool", lambda: zeta_plan(True)),
    (ValueError, "n must be at most 2**31 - 1", lambda: zeta_plan(2**40, num_mix=2, num_outputs=2)),
    (ValueError, "num_mix must be >= 1, got 0", lambda: zeta_plan(4, num_mix=0)),
    (
        ValueError,
        "num_mix must be between 1 and the number of samples, got num_mix=5 for 4 samples; "
        "pass min(num_mix, n)",
        lambda: zeta_plan(4, num_mix=5),
    ),
    (TypeError, "got 2.5 of type float", lambda: dirichlet_plan(4, num_mix=2.5)),
    (ValueError, "num_outputs must be >= 1, got 0", lambda: zeta_plan(4, num_outputs=0)),
    (
        ValueError,
        "at most 2**26 entries (num_outputs * num_mix), got 100000 * 100000; "
        "pass a smaller num_mix",
        lambda: zeta_plan(100_000),
    ),
    (
        ValueError,
        "alpha must be a positive number from 1e-6 to 1e6, got 0",
        lambda: mixup_plan(4, alpha=0),
    ),
    (ValueError, "got 1e-07", lambda: dirichlet_plan(4, alpha=1e-7)),
    (ValueError, "got 10000000.0", lambda: cutmix(X, axes=(1,), alpha=1e7)),
    (TypeError, "anchored must be True or False, got 'no'", lambda: zeta_plan(4, anchored="no")),
    (TypeError, "per_sample must be True", lambda: mixup_plan(4, per_sample=None)),
    (TypeError, "anchored must be True or False, got 1", lambda: cutmix(X, axes=(1,), anchored=1)),
    (TypeError, "like must be an array", lambda: zeta_plan(4, like="torch")),
    (TypeError, "like must be an array", lambda: mixup_plan(4, like=[1.0])),
    (TypeError, "like must be an array", lambda: zeta_weights(4, gamma=1, like=3)),
    (TypeError, "like must be an array", lambda: MixPlan.load("missing", like=3)),
    (ValueError, "got nan", lambda: dirichlet_plan(4, alpha=math.nan)),
    (ValueError, "got inf", lambda: cutmix(X, axes=(1,), alpha=math.inf)),
    (TypeError, "got '1' of type str", lambda: mixup_plan(4, alpha="1")),
]

RNGS = [
    (ValueError, "a seed must be from 0 to 2**128 - 1, got -1", lambda: zeta_plan(4, rng=-1)),
    (ValueError, "a seed must be from 0", lambda: zeta_plan(4, rng=2**128)),
    (ValueError, "each entry of the key", lambda: zeta_plan(4, rng=(0, 2**32))),
    (ValueError, "each entry of the key", lambda: zeta_plan(4, rng=(0, -1))),
    (TypeError, "rng must be None, an int, a tuple", lambda: zeta_plan(4, rng=1.5)),
    (TypeError, "got ()", lambda: zeta_plan(4, rng=())),
    (TypeError, "got (1, 2.0)", lambda: zeta_plan(4, rng=(1, 2.0))),
    (TypeError, "got [1, 2]", lambda: zeta_plan(4, rng=[1, 2])),
    (TypeError, "got True", lambda: zeta_plan(4, rng=True)),
    (
        TypeError,
        "got numpy.random.mtrand.RandomState",
        lambda: zeta_plan(4, rng=np.random.RandomState(0)),
    ),
    (
        ValueError,
        "rng='device' needs a library with a default generator on the device (torch, CuPy), "
        "got a plan for NumPy",
        lambda: zeta_plan(4, rng="device"),
    ),
    (ValueError, "got 'gpu'", lambda: zeta_plan(4, rng="gpu")),
]

SAMPLES = [
    (TypeError, "x must be an array of a supported library, got list", lambda: zeta_mixup([[1.0]])),
    (TypeError, "x must be an array of a supported library, got list", lambda: PLAN @ [1, 2, 3, 4]),
    (ValueError, "got a 0-d array", lambda: mixup(np.asarray(1.0))),
    (ValueError, "must be >= 1, got 0", lambda: zeta_mixup(np.ones((0, 3)))),
    (TypeError, "x must hold numbers, got text", lambda: PLAN @ np.asarray(list("abcd"))),
    (
        ValueError,
        "the plan was drawn for 4 samples, got x with 5",
        lambda: PLAN @ np.ones((5, 2)),
    ),
    (
        ValueError,
        "the plan was drawn for 4 samples, got y with 3",
        lambda: PLAN.mix_labels(np.ones(3)),
    ),
    (
        ValueError,
        "x and y must have the same number of samples, got 4 and 3",
        lambda: zeta_mixup(X, Y[:3], num_classes=3),
    ),
    (TypeError, "y must be an array", lambda: cutmix(X, [0, 1, 2, 1], axes=(1,), num_classes=3)),
    (TypeError, "x must have no mask", lambda: zeta_mixup(np.ma.masked_equal(X, 0))),
    (ValueError, "axes must be one or more distinct axes", lambda: cutmix(X, axes=())),
    (TypeError, "axes must be a tuple of whole numbers, got 1.0", lambda: cutmix(X, axes=1.0)),
    (TypeError, "got ('a',)", lambda: cutmix(X, axes=("a",))),
    (TypeError, "got (True,)", lambda: cutmix(X, axes=(True,))),
    (ValueError, "got (0, 1) for an array of 2 axes", lambda: cutmix(X, axes=(0, 1))),
    (ValueError, "got (-2, -1) for an array of 2 axes", lambda: cutmix(X)),
    (ValueError, "got (1, -1)", lambda: cutmix(X, axes=(1, -1))),
    (
        ValueError,
        "must have two entries or more, got lengths (0,)",
        lambda: cutmix(X[:, :0], axes=(1,)),
    ),
    (
        ValueError,
        "may be masks or one-hot, got shape (4, 3, 3) with num_classes=3",
        lambda: cutmix(X, np.ones((4, 3, 3), dtype=int), axes=(1,), num_classes=3),
    ),
]

LABELS = [
    (ValueError, "integer classes need num_classes, got shape (4,)", lambda: PLAN.mix_labels(Y)),
    (ValueError, "integer classes need num_classes", lambda: zeta_mixup(X, Y)),
    (
        ValueError,
        "integer labels of two or more axes need num_classes",
        lambda: PLAN.mix_labels(np.ones((4, 3), dtype=int)),
    ),
    (
        ValueError,
        "labels must be classes from 0 to num_classes - 1 = 1, got values from 0 to 2",
        lambda: PLAN.mix_labels(Y, 2),
    ),
    (ValueError, "got values from -1 to 0", lambda: PLAN.mix_labels(np.asarray([0, -1, 0, 0]), 2)),
    (
        ValueError,
        "labels must be classes from 0 to num_classes - 1 = 2, got values from 3 to 3",
        lambda: PLAN.mix_labels(np.full((4, 2, 2), 3), 3),
    ),
    (
        ValueError,
        "integer labels of shape (N, num_classes) must be 0 or 1, got values from 2 to 2",
        lambda: PLAN.mix_labels(np.full((4, 3), 2), 3),
    ),
    (
        ValueError,
        "num_classes=3 must be the length of their last axis, got shape (4, 2)",
        lambda: PLAN.mix_labels(np.ones((4, 2)), 3),
    ),
    (ValueError, "leave num_classes out", lambda: PLAN.mix_labels(np.ones(4), 4)),
    (ValueError, "num_classes must be >= 1, got 0", lambda: PLAN.mix_labels(Y, 0)),
    (TypeError, "got 3.0 of type float", lambda: PLAN.mix_labels(Y, 3.0)),
    (
        ValueError,
        "sparse labels need integer classes of shape (N,), got shape (4, 3)",
        lambda: PLAN.sparse_labels(np.ones((4, 3), dtype=int)),
    ),
    (ValueError, "dtype float64", lambda: PLAN.sparse_labels(np.ones(4))),
]

TREES = [
    (
        ValueError,
        "integer arrays are mixed only if declared, got shape (4,) and dtype int64 at 'b/0'; pass "
        "num_classes={'b/0': ...} for labels, as_data=['b/0'] to average them, or keep=['b/0'] to "
        "leave them alone",
        lambda: PLAN.apply({"a": X, "b": [Y]}),
    ),
    (ValueError, "got shape (4,) and dtype bool; pass", lambda: PLAN.apply(Y > 0)),
    (
        TypeError,
        "num_classes must name leaves by their paths, which are strings, got 10",
        lambda: PLAN.apply(X, num_classes=10),
    ),
    (TypeError, "got {1: 10}", lambda: PLAN.apply((X, Y), num_classes={1: 10})),
    (TypeError, "as_data must name leaves", lambda: PLAN.apply(X, as_data=True)),
    (TypeError, "got str at 'name'", lambda: PLAN.apply({"x": X, "name": "cat"})),
    (TypeError, "got float at '1'", lambda: PLAN.apply((X, 0.5))),
    (
        ValueError,
        "declared paths must lead to arrays, got ['lable'] where there are ['label']",
        lambda: PLAN.apply({"label": X}, num_classes={"lable": 3}),
    ),
    (
        ValueError,
        "got ['ids', 'x/0'] where there are ['id', 'x']",
        lambda: PLAN.apply({"x": X, "id": Y}, keep=["id", "ids", "x/0"]),
    ),
    (ValueError, "got ['x']", lambda: PLAN.apply({"a": {"x": X}}, keep="x")),
    (TypeError, "keep must name leaves by their paths", lambda: PLAN.apply(X, keep=True)),
    (TypeError, "keep must name leaves by their paths", lambda: PLAN.apply((X, Y), keep=[1])),
    (
        TypeError,
        "got int at 'meta/epoch'; take it out, or leave it with keep=['meta/epoch'], or all of "
        "'meta' with keep=['meta']",
        lambda: PLAN.apply({"x": X, "meta": {"epoch": 3}}),
    ),
    (
        ValueError,
        "got shape (4,) and dtype int64 at 'y'",
        lambda: cutmix_plan((4, 3), axes=(1,), rng=0).apply({"x": X, "y": Y}),
    ),
    (ValueError, "got ['z']", lambda: BOXES.apply(np.ones((4, 6, 5)), keep=["z"])),
]

SWITCHES = [
    (error, message, lambda plan=plan, active=active: plan.where(active))
    for plan in (PLAN, mixup_plan(4, rng=0), BOXES)
    for error, message, active in (
        (
            ValueError,
            "active must have shape () or (4,), one for each output, got shape (3,)",
            np.ones(3, dtype=bool),
        ),
        (ValueError, "got shape (1,)", np.ones(1, dtype=bool)),
        (ValueError, "got shape (4, 1)", np.ones((4, 1), dtype=bool)),
        (TypeError, "active must be a bool or an array of bool, got 1", 1),
        (TypeError, "got None", None),
        (TypeError, "got [True, False, True, False]", [True, False, True, False]),
        (TypeError, "got array([1., 1., 1., 1.])", np.ones(4)),
        (TypeError, "got array([0, 0, 0, 0])", np.zeros(4, dtype=int)),
    )
]

CUTMIX_PLANS = [
    (TypeError, "shape must be a tuple of whole numbers, samples first, got 4", cutmix_plan, 4),
    (TypeError, "got ()", cutmix_plan, ()),
    (TypeError, "got (4, 3.0)", cutmix_plan, (4, 3.0)),
    (TypeError, "got (4, True)", cutmix_plan, (4, True)),
    (ValueError, "n (the number of samples) must be >= 1, got 0", cutmix_plan, (0, 4, 4)),
    (ValueError, "got (-2, -1) for an array of 2 axes", cutmix_plan, (4, 4)),
    (ValueError, "must have two entries or more, got lengths (4, 0)", cutmix_plan, (4, 4, 0)),
    (ValueError, "must have two entries or more, got lengths (-4, 4)", cutmix_plan, (4, -4, 4)),
    (
        ValueError,
        "the boxes were drawn for axes (-2, -1) of lengths (6, 5), got x of shape (4, 5, 6)",
        BOXES.__matmul__,
        np.ones((4, 5, 6)),
    ),
    (ValueError, "got x of shape (4, 1, 5)", BOXES.__matmul__, np.ones((4, 1, 5))),
    (
        ValueError,
        "the plan was drawn for 4 samples, got x with 6",
        BOXES.__matmul__,
        np.ones((6, 6, 5)),
    ),
    (TypeError, "x must be an array", BOXES.__matmul__, [[1.0]]),
    (ValueError, "got y with 3", lambda y: BOXES.mix_labels(y, 3), Y[:3]),
    (ValueError, "integer classes need num_classes", BOXES.mix_labels, Y),
    (
        ValueError,
        "the boxes were drawn for axes (-2, -1) of lengths (6, 5), got x of shape (4, 5, 6)",
        lambda y: BOXES.mix_labels(y, 3),
        np.ones((4, 5, 6), dtype=int),
    ),
]
CUTMIX_PLANS = [
    (error, message, lambda call=call, argument=argument: call(argument))
    for error, message, call, argument in CUTMIX_PLANS
]

LOSSES = [
    (
        ValueError,
        "reduction must be one of ('mean', 'sum', 'none'), got 'average'; pass 'mean'",
        lambda: mixed_loss(loss_of_class, SCORES, Y, PLAN, reduction="average"),
    ),
    (ValueError, "got None", lambda: mixed_loss(loss_of_class, SCORES, Y, PLAN, reduction=None)),
    (
        ValueError,
        "loss must return one value for each of 4 outputs, got shape (); turn its own reduction "
        "off",
        lambda: mixed_loss(mean_loss, SCORES, Y, PLAN),
    ),
    (
        ValueError,
        "loss must return one value for each of 4 outputs, got shape (1, 3)",
        lambda: mixed_loss(lambda p, y: p[:1], SCORES, Y, PLAN),
    ),
    (
        TypeError,
        "what loss returns must be an array of a supported library, got float",
        lambda: mixed_loss(lambda p, y: 0.5, SCORES, Y, PLAN),
    ),
    (
        ValueError,
        "the plan was drawn for 4 samples, got y with 3",
        lambda: mixed_loss(loss_of_class, SCORES, Y[:3], PLAN),
    ),
    (TypeError, "y must be an array", lambda: mixed_loss(loss_of_class, SCORES, [0] * 4, BOXES)),
    (
        TypeError,
        "plan must be the MixPlan or CutMixPlan that mixed the samples, got NoneType; draw one "
        "with zeta_plan",
        lambda: mixed_loss(loss_of_class, SCORES, Y, None),
    ),
    (TypeError, "got ndarray", lambda: mixed_loss(loss_of_class, SCORES, Y, PLAN.matrix())),
    (TypeError, "got str", lambda: mixed_accuracy(SCORES, Y, "zeta")),
    (ValueError, "top_k must be >= 1, got 0", lambda: mixed_accuracy(SCORES, SCORES, top_k=0)),
    (TypeError, "top_k must be a whole number", lambda: mixed_accuracy(SCORES, SCORES, top_k=1.0)),
    (TypeError, "pred must be an array", lambda: mixed_accuracy([[1.0]], Y, PLAN)),
    (TypeError, "y must be an array", lambda: mixed_accuracy(SCORES, [0, 1, 2, 1], PLAN)),
    (TypeError, "y must be an array", lambda: mixed_accuracy(SCORES, None)),
    (
        ValueError,
        "pred must be floating scores of shape (M, num_classes), got shape (4, 3, 2) and dtype "
        "float64; move the class axis last",
        lambda: mixed_accuracy(np.ones((4, 3, 2)), Y, PLAN),
    ),
    (ValueError, "got shape (4, 0)", lambda: mixed_accuracy(SCORES[:, :0], SCORES[:, :0])),
    (ValueError, "got shape (4,) and dtype int64", lambda: mixed_accuracy(Y, Y, PLAN)),
    (ValueError, "must be >= 1, got 0", lambda: mixed_accuracy(SCORES[:0], SCORES[:0])),
    (
        ValueError,
        "pred must have a row for each of 4 outputs of the plan, got shape (3, 3)",
        lambda: mixed_accuracy(SCORES[:3], Y, PLAN),
    ),
    (ValueError, "got shape (1, 3)", lambda: mixed_accuracy(SCORES[:1], Y, BOXES)),
    (
        ValueError,
        "the plan was drawn for 4 samples, got y with 3",
        lambda: mixed_accuracy(SCORES, Y[:3], PLAN),
    ),
    (ValueError, "sparse labels need integer classes", lambda: mixed_accuracy(SCORES, X, PLAN)),
    (
        ValueError,
        "soft labels must be floating and of the shape of pred, (4, 3), got shape (4,) and dtype "
        "int64; pass plan= to give classes",
        lambda: mixed_accuracy(SCORES, Y),
    ),
    (ValueError, "got shape (4, 2)", lambda: mixed_accuracy(SCORES, SCORES[:, :2])),
    (
        ValueError,
        "labels must be classes from 0 to num_classes - 1 = 1, got values from 0 to 2",
        lambda: mixed_accuracy(SCORES[:, :2], Y, PLAN),
    ),
    (ValueError, "got values from -1 to 1", lambda: mixed_accuracy(SCORES, Y - 1, BOXES)),
]

PLANS = [
    (TypeError, "must be arrays, got list", lambda: MixPlan([[0]], np.ones(1), 1)),
    (TypeError, "got dtypes float64 and float64", lambda: MixPlan(np.ones((1, 1)), np.ones(1), 1)),
    (
        ValueError,
        "must have shape (M, T) and weights (T,) or (M, T) with T >= 1, got (1, 2) and (3,)",
        lambda: MixPlan(np.zeros((1, 2), dtype=int), np.ones(3) / 3, 1),
    ),
    (ValueError, "got (2,)", lambda: MixPlan(np.zeros(2, dtype=int), np.ones(2) / 2, 1)),
    (ValueError, "got (2, 0)", lambda: MixPlan(np.zeros((2, 0), dtype=int), np.ones(0), 1)),
    (
        ValueError,
        "indices must be from 0 to num_samples - 1 = 1, got values from 0 to 2",
        lambda: MixPlan(np.asarray([[0, 2]]), np.ones(2) / 2, 2),
    ),
    (
        ValueError,
        "got values from -1 to 0",
        lambda: MixPlan(np.asarray([[0, -1]]), np.ones(2) / 2, 2),
    ),
    (
        ValueError,
        "the weights of an output must be >= 0 and sum to 1, got a smallest weight of 1.0",
        lambda: MixPlan(np.asarray([[0, 1]]), np.ones(2), 2),
    ),
    (
        ValueError,
        "got a smallest weight of -1.0",
        lambda: MixPlan(np.asarray([[0, 1]]), np.asarray([2.0, -1.0]), 2),
    ),
    (ValueError, "sum to 1", lambda: MixPlan(np.asarray([[0, 1]]), np.full(2, np.nan), 2)),
    (ValueError, "sum to 1", lambda: MixPlan(np.asarray([[0, 1]]), np.full(2, 0.505), 2)),
    (ValueError, "must be >= 1, got 0", lambda: MixPlan(np.asarray([[0]]), np.ones(1), 0)),
]


@pytest.mark.parametrize(
    ("error", "message", "call"),
    ARGUMENTS + RNGS + SAMPLES + LABELS + TREES + SWITCHES + CUTMIX_PLANS + LOSSES + PLANS,
)
def test_message(error, message, call):
    check(error, message, call)


def test_the_same_on_every_library(backend):
    x = backend.asarray(X.astype(np.float32))
    y = backend.asarray(Y.astype(np.int32))
    check(ValueError, "gamma must be", lambda: zeta_mixup(x, gamma=-1.0))
    check(ValueError, "num_mix must be between 1", lambda: zeta_mixup(x, num_mix=5))
    check(ValueError, "need num_classes", lambda: zeta_mixup(x, y))
    check(ValueError, "same number of samples", lambda: zeta_mixup(x, y[:3], num_classes=3))
    if not backend.lazy:  # the values of a lazy array are not looked at
        check(ValueError, "got values from 0 to 2", lambda: zeta_mixup(x, y, num_classes=2))
        bad = backend.asarray(np.asarray([1.0, -1.0, 1.0, 1.0], dtype=np.float32))
        check(ValueError, "got -1.0", lambda: zeta_plan(4, gamma=bad, like=x))
        check(ValueError, "got values from 0 to 2", lambda: mixed_accuracy(x[:, :2], y, PLAN))
        check(ValueError, "a row for each of 4 outputs", lambda: mixed_accuracy(x[:1, :], y, PLAN))
        if not backend.name.startswith("numpy"):
            check(TypeError, "must be of NumPy or of the", lambda: zeta_weights(4, gamma=x[:, 0]))
    check(ValueError, "reduction off", lambda: mixed_loss(lambda p, y: p[0, 0], x, y, PLAN))
    check(ValueError, "got ['z']", lambda: PLAN.apply({"x": x}, keep=["z"]))
    check(ValueError, "int32 at 'y'; pass num_classes", lambda: PLAN.apply({"x": x, "y": y}))
    plan = zeta_plan(4, rng=0, like=x)
    if not backend.lazy:
        check(ValueError, "shape () or (4,)", lambda: plan.where(x[:, :1] > 0))
        check(TypeError, "active must be a bool or", lambda: plan.where(y))


def test_the_place_in_a_structure_is_noted():
    with pytest.raises(ValueError, match="drawn for 4 samples") as caught:
        PLAN.apply({"a": [X, X[:2]]})
    assert caught.value.__notes__ == ["at 'a/1' of the batch"]


def test_libraries_do_not_mix(backend):
    if backend.name.startswith("numpy"):
        pytest.skip("NumPy plans apply to every library")
    x, y = backend.asarray(X.astype(np.float32)), Y
    check(
        TypeError,
        "x and y must be arrays of the same library",
        lambda: zeta_mixup(x, y, num_classes=3),
    )
    check(
        TypeError,
        "the plan and active must be arrays of the same library, got numpy and",
        lambda: PLAN.where(x[:, 0] > 0),
    )
    check(
        TypeError,
        "y and what loss returns must be arrays of the same library, got numpy and",
        lambda: mixed_loss(lambda p, y: p[:, 0], x, y, PLAN),
    )
    if backend.lazy:
        return
    for arguments in ((x, y, PLAN), (X, x[:, 0], PLAN), (x, X), (X, x)):
        check(
            TypeError,
            "pred and y must be arrays of the same library",
            lambda arguments=arguments: mixed_accuracy(*arguments),
        )
    plan = zeta_plan(4, rng=0, like=x)
    for some in (plan, cutmix_plan((4, 3), axes=(1,), rng=0, like=x)):
        check(TypeError, "must be arrays of the same library", lambda some=some: some @ X)
        check(TypeError, "the plan and active must be", lambda some=some: some.where(Y > 0))
        check(
            TypeError,
            "the plan and y must be arrays of the same library",
            lambda some=some: mixed_loss(loss_of_class, x, Y, some),
        )
    check(TypeError, "must be arrays of the same library", lambda: plan @ X)
    check(TypeError, "must be arrays of the same library", lambda: plan.mix_labels(Y, 3))


@pytest.mark.needs("array_api_strict")
def test_devices_do_not_mix():
    xp = pytest.importorskip("array_api_strict")
    x = xp.asarray(X)
    y = xp.asarray(Y, device=xp.Device("device1"))
    check(ValueError, "must be on the same device", lambda: zeta_mixup(x, y, num_classes=3))
    plan = zeta_plan(4, rng=0, like=y)
    check(ValueError, "the plan and x must be on the same device", lambda: plan @ x)
    active = xp.asarray(Y > 0)
    check(ValueError, "the plan and active must be on the same", lambda: plan.where(active))
    boxes = cutmix_plan((4, 3), axes=(1,), rng=0, like=y)
    check(ValueError, "the plan and x must be on the same device", lambda: boxes @ x)
    check(ValueError, "the plan and active must be on the same", lambda: boxes.where(active))
    check(ValueError, "pred and y must be on the same device", lambda: mixed_accuracy(x, y, plan))
    check(ValueError, "must be on the same", lambda: mixed_loss(lambda p, y: p[:, 0], x, y, plan))


@pytest.mark.needs("torch")
def test_torch_devices_and_generators():
    torch = pytest.importorskip("torch")
    x, y = torch.ones(4, 2), torch.zeros(4, 2, device="meta")
    check(ValueError, "must be on the same device, got cpu and meta", lambda: zeta_mixup(x, y))
    rng = torch.Generator()
    check(TypeError, "got torch._C.Generator", lambda: zeta_plan(4, rng=rng))
    check(ValueError, "got 'cuda'", lambda: zeta_plan(4, rng="cuda", like=x))


@pytest.mark.needs("jax")
def test_jax_keys():
    jax = pytest.importorskip("jax")
    like, key = jax.numpy.zeros(1), jax.random.key(0)
    check(ValueError, "JAX has no default generator", lambda: zeta_plan(4, rng="device", like=like))
    check(TypeError, "goes with arrays of that library", lambda: zeta_plan(4, rng=key))
    several = jax.random.split(key, 2)
    check(TypeError, "rng must be", lambda: zeta_plan(4, rng=several, like=like))
    words = jax.numpy.zeros(3, dtype="uint32")
    check(TypeError, "rng must be", lambda: zeta_plan(4, rng=words, like=like))


@pytest.mark.needs("dask")
def test_dask():
    da = pytest.importorskip("dask.array")
    gamma = da.ones(4)
    check(TypeError, "gamma must not be lazy", lambda: zeta_plan(4, gamma=gamma))
    unknown = da.ones(8, chunks=4)
    unknown = unknown[unknown > 0]
    check(ValueError, "call compute_chunk_sizes()", lambda: zeta_mixup(unknown))
    check(ValueError, "call compute_chunk_sizes()", lambda: PLAN @ unknown)
    scores, y = da.from_array(SCORES, chunks=2), da.from_array(Y, chunks=2)
    lazy = "pred must not be lazy, got a Dask array; pass pred.compute()"
    check(TypeError, lazy, lambda: mixed_accuracy(scores, y, PLAN))
    check(TypeError, lazy, lambda: mixed_accuracy(scores, scores))
    check(TypeError, "got numpy and dask", lambda: mixed_accuracy(SCORES, y, PLAN))
