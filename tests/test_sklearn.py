"""Sampler and estimators for tables, by the checks of scikit-learn and imbalanced-learn."""

import inspect
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import imblearn.utils.estimator_checks
import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
import sklearn.utils.estimator_checks
from imblearn.pipeline import make_pipeline
from scipy import sparse
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from zetamix import MixPlan, oversample
from zetamix.sklearn import ZetaMixupClassifier, ZetaMixupRegressor, ZetaMixupSampler
from zetamix.sklearn.targets import drawn_copies, labels_for, weight_parameter, weighted_copies

SAMPLERS = [
    ZetaMixupSampler(random_state=0),
    ZetaMixupSampler(neighbors=2, num_mix=3, random_state=0),
    ZetaMixupSampler(donors=None, random_state=0),
]
CLASSIFIERS = [
    ZetaMixupClassifier(random_state=0),
    ZetaMixupClassifier(
        DecisionTreeClassifier(random_state=0), gamma=4.0, labels="draw", random_state=0
    ),
    ZetaMixupClassifier(
        LogisticRegression(max_iter=2000), labels="anchor", keep_originals=True, random_state=0
    ),
]
REGRESSORS = [
    ZetaMixupRegressor(random_state=0),
    ZetaMixupRegressor(DecisionTreeRegressor(random_state=0), keep_originals=True, random_state=0),
]
ROOT = Path(__file__).parents[1]
UNLIKE = "a row of weight two is mixed once, two equal rows are mixed with other rows each"


def expected_failures(estimator):
    if isinstance(estimator, ZetaMixupSampler):
        return {}
    return {"check_sample_weight_equivalence_on_dense_data": UNLIKE}


@imblearn.utils.estimator_checks.parametrize_with_checks(SAMPLERS + CLASSIFIERS)
def test_checks_of_imbalanced_learn(estimator, check):
    check(estimator)


@sklearn.utils.estimator_checks.parametrize_with_checks(
    SAMPLERS + CLASSIFIERS + REGRESSORS, expected_failed_checks=expected_failures
)
def test_checks_of_scikit_learn(estimator, check):
    check(estimator)


@pytest.mark.parametrize("estimator", [CLASSIFIERS[0], REGRESSORS[0]], ids=repr)
def test_check_estimator_with_the_expected_failure(estimator):
    failed = {"check_sample_weight_equivalence_on_dense_data": UNLIKE}
    results = sklearn.utils.estimator_checks.check_estimator(
        estimator, expected_failed_checks=failed, on_skip=None
    )
    assert {each["status"] for each in results} <= {"passed", "skipped", "xfail"}
    assert [each["check_name"] for each in results if each["status"] == "xfail"] == [*failed]


TORCH = """
import numpy as np, sklearn, torch
from sklearn.linear_model import LogisticRegression, Ridge
from zetamix.sklearn import ZetaMixupClassifier, ZetaMixupRegressor

rng = np.random.default_rng(0)
x, y = rng.normal(size=(90, 3)), np.arange(90) % 3
numbers = x @ np.asarray([1.0, 2.0, 3.0])
kept = {"random_state": 0, "keep_originals": True}
models = {
    "regressor": (ZetaMixupRegressor(Ridge(solver="svd"), **kept), numbers, "coef_"),
    "classifier": (ZetaMixupClassifier(LogisticRegression(), **kept), y, "coef_"),
}
for name, (model, target, attribute) in models.items():
    for weights in (None, rng.random(90)):
        expected = model.fit(x, target, sample_weight=weights).predict(x)
        attributes = getattr(model.estimator_, attribute)
        with sklearn.config_context(array_api_dispatch=True):
            tensor = torch.from_numpy(x)
            given = None if weights is None else torch.from_numpy(weights)
            model.fit(tensor, torch.from_numpy(target), sample_weight=given)
            predicted = model.predict(tensor)
        assert isinstance(predicted, torch.Tensor), name
        assert isinstance(getattr(model.estimator_, attribute), torch.Tensor), name
        np.testing.assert_allclose(getattr(model.estimator_, attribute), attributes, rtol=1e-3)
        np.testing.assert_allclose(predicted, expected, rtol=1e-6)
print("done")
"""


@pytest.mark.needs("torch")
def test_torch_stays_torch():
    """In a process of its own, since SciPy reads whether to dispatch when it is imported."""
    environment = os.environ | {"SCIPY_ARRAY_API": "1"}
    command = [sys.executable, "-W", "error", "-c", TORCH]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "done\n"


@pytest.mark.needs("torch")
def test_checks_of_other_libraries():
    """Those that scikit-learn leaves out above, where SciPy does not dispatch."""
    import torch

    environment = os.environ | {"SCIPY_ARRAY_API": "1"}
    # scikit-learn asks whether torch was built for CUDA, not whether there is a driver.
    chosen = "check_array_api" + ("" if torch.cuda.is_available() else " and not cuda")
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-k", chosen, __file__]
    # Ridge would rather take another solver in NumPy.
    command += ["-W", "ignore:Using Array API dispatch:UserWarning", "-p", "no:cacheprovider"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout
    assert "SCIPY_ARRAY_API" not in done.stdout
    reasons = re.findall(r"^SKIPPED \[\d+\] \S+: (.*)$", done.stdout, flags=re.MULTILINE)
    assert all(re.search("CUDA|cuda|XPU|MPS|cupy|dpnp", reason) for reason in reasons), reasons
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) >= 20


# --- sampler --------------------------------------------------------------------------------------

RNG = np.random.default_rng(0)
Y = RNG.permutation(np.repeat([0, 1, 2], [60, 25, 5]))
X = RNG.normal(size=(90, 4))


@pytest.mark.parametrize("options", [{}, {"neighbors": 3}, {"donors": None}, {"num_mix": 3}])
def test_rows_are_those_of_oversample(options):
    mixed, classes = ZetaMixupSampler(random_state=3, **options).fit_resample(X, Y)
    expected = oversample(X, Y, rng=3, **options)
    np.testing.assert_array_equal(mixed, expected[0])
    np.testing.assert_array_equal(classes, expected[1])


def test_defaults_are_those_of_the_core():
    core = inspect.signature(oversample).parameters
    ours = inspect.signature(ZetaMixupSampler).parameters
    assert all(parameter.kind is parameter.KEYWORD_ONLY for parameter in ours.values())
    for name in ("gamma", "num_mix", "neighbors", "donors"):
        assert ours[name].default == core[name].default
    assert ours["sampling_strategy"].default == core["strategy"].default


def table(**more):
    columns = {
        "size": X[:, 0],
        "small": X[:, 1].astype(np.float32),
        "count": RNG.integers(0, 50, 90),
        "site": np.asarray(["north", "south", "east"])[Y],
        "smoker": Y == 1,
    }
    return columns | more


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_tables_come_back_as_what_they_were(library):
    """New rows lie in the hull of their class, integers are rounded, categories are of a row."""
    if library == "pandas":
        x = pd.DataFrame(
            table(grade=pd.Categorical(np.asarray(list("abc"))[Y])), index=range(90)[::-1]
        )
        x = x.astype({"count": "Int64"})
        y = pd.Series(Y, name="label", dtype="int8", index=x.index)
    else:
        x = pl.DataFrame(table()).with_columns(
            pl.Series("grade", np.asarray(list("abc"))[Y]).cast(pl.Categorical)
        )
        y = pl.Series("label", Y, dtype=pl.Int8)
    chosen = ["site", "smoker", "grade"]
    sampler = ZetaMixupSampler(categorical_features=chosen, random_state=0)
    mixed, classes = sampler.fit_resample(x, y)
    assert type(mixed) is type(x)
    assert type(classes) is type(y)
    assert classes.name == "label"
    assert list(mixed.columns) == list(x.columns) == sampler.feature_names_in_.tolist()
    assert list(mixed.dtypes) == list(x.dtypes)
    assert classes.dtype == y.dtype
    assert len(mixed) == 180
    labels = np.asarray(classes)
    assert (
        np.asarray(mixed["site"]).tolist()
        == np.asarray(["north", "south", "east"])[labels].tolist()
    )
    assert (np.asarray(mixed["smoker"]) == (labels == 1)).all()
    assert [str(each) for each in mixed["grade"]] == np.asarray(list("abc"))[labels].tolist()
    numbers = np.stack(
        [np.asarray(x[name], dtype=float) for name in ("size", "small", "count")], axis=1
    )
    expected, _ = oversample(numbers, Y, rng=0)
    expected[:, 2] = np.rint(expected[:, 2])
    for place, name in enumerate(("size", "small", "count")):
        np.testing.assert_allclose(
            np.asarray(mixed[name], dtype=float), expected[:, place], rtol=1e-5
        )
    same, _ = ZetaMixupSampler(categorical_features="auto", random_state=0).fit_resample(x, y)
    assert same.equals(mixed)
    mask, _ = ZetaMixupSampler(
        categorical_features=[False] * 3 + [True] * 3, random_state=0
    ).fit_resample(x, y)
    assert mask.equals(mixed)
    places, _ = ZetaMixupSampler(categorical_features=[3, 4, -1], random_state=0).fit_resample(x, y)
    assert places.equals(mixed)
    if library == "pandas":
        assert mixed.index.tolist() == list(range(180))


def test_polars_does_not_go_through_pandas(monkeypatch):
    x = pl.DataFrame(table())
    for name in ("to_pandas", "to_arrow"):
        monkeypatch.setattr(pl.DataFrame, name, lambda self: pytest.fail("a detour"))
    monkeypatch.setattr(pd.DataFrame, "__init__", lambda self, *rest: pytest.fail("a detour"))
    sampler = ZetaMixupSampler(categorical_features="auto", random_state=0)
    mixed, classes = sampler.fit_resample(x, pl.Series(["one", "two", "three"])[Y.tolist()])
    assert mixed.height == 180
    assert classes.to_list().count("three") == 60


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame])
def test_columns_that_are_no_numbers_are_named(make):
    x = make(table())
    with pytest.raises(ValueError, match=r"got 'site' of dtype .*\['site', 'smoker'\]"):
        ZetaMixupSampler().fit_resample(x, Y)
    with pytest.raises(ValueError, match=r"got 'smoker' of dtype Boolean.*\['site', 'smoker'\]"):
        ZetaMixupSampler(categorical_features=["site"]).fit_resample(x, Y)
    with pytest.raises(ValueError, match="got 'colour'; X has 'size', 'small', 'count', 'site'"):
        ZetaMixupSampler(categorical_features=["site", "colour"]).fit_resample(x, Y)
    with pytest.raises(ValueError, match="for each of 5 columns, got shape"):
        ZetaMixupSampler(categorical_features=[True]).fit_resample(x, Y)
    objects = {"a": np.asarray([None, "b", 3] * 30, dtype=object)}
    with pytest.raises(ValueError, match="got 'a' of dtype Object"):
        ZetaMixupSampler().fit_resample(pd.DataFrame(objects), Y)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_missing_is_told_by_scikit_learn(value):
    x = X.copy()
    x[5, 2] = value
    message = "Input X contains NaN" if np.isnan(value) else "Input X contains infinity"
    for form in (x, pd.DataFrame(x), pl.DataFrame(x), sparse.csr_array(x), x.tolist()):
        with pytest.raises(ValueError, match=message):
            ZetaMixupSampler().fit_resample(form, Y)
    for model in (ZetaMixupClassifier(), ZetaMixupRegressor()):
        with pytest.raises(ValueError, match=message):
            model.fit(x, Y)
    # Categories may be missing.
    ZetaMixupSampler(categorical_features=[2]).fit_resample(x, Y)


@pytest.mark.parametrize("kind", [sparse.csr_array, sparse.csc_matrix, sparse.csr_matrix])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
@pytest.mark.parametrize("chosen", [None, [1, 3]])
def test_sparse_matrices_stay_sparse(kind, dtype, chosen):
    dense = (10 * X * (X > 0.5)).astype(dtype)
    sampler = ZetaMixupSampler(categorical_features=chosen, random_state=0)
    mixed, classes = sampler.fit_resample(kind(dense), Y)
    expected, same = sampler.fit_resample(dense, Y)
    assert type(mixed) is kind
    assert mixed.dtype == dense.dtype == expected.dtype
    np.testing.assert_allclose(mixed.toarray(), expected, rtol=1e-5)
    if dtype == "int32" and chosen is None:
        exact, _ = oversample(dense.astype(float), Y, rng=0)
        np.testing.assert_array_equal(expected, np.rint(exact))
    np.testing.assert_array_equal(classes, same)


def test_objects_with_categories():
    x = np.empty((90, 3), dtype=object)
    x[:, 0], x[:, 1], x[:, 2] = X[:, 0], np.asarray(["north", "south", None])[Y], Y == 2
    mixed, classes = ZetaMixupSampler(categorical_features=[1, 2], random_state=0).fit_resample(
        x, Y
    )
    assert mixed.dtype == object
    assert (mixed[:, 2] == (classes == 2)).all()
    assert mixed[:, 1].tolist() == np.asarray(["north", "south", None])[classes].tolist()
    np.testing.assert_array_equal(mixed[:, 0], oversample(X[:, 0], Y, rng=0)[0])
    with pytest.raises(
        ValueError, match=r"dtype bool and shape \(90, 2\); pass categorical_features"
    ):
        ZetaMixupSampler().fit_resample(np.ones((90, 2), dtype=bool), Y)


def test_all_columns_may_be_categories():
    x = pd.DataFrame({"site": np.asarray(["north", "south", "east"])[Y]})
    mixed, classes = ZetaMixupSampler(categorical_features="auto").fit_resample(x, Y)
    assert mixed["site"].tolist() == np.asarray(["north", "south", "east"])[classes].tolist()


def test_classes_and_groups_go_by_their_names():
    y = np.asarray(["low", "high", "odd"], dtype=object)[np.where(Y == 2, 0, Y)]
    y[7] = "odd"
    with pytest.raises(ValueError, match="got one row of class 'odd'; leave the class out"):
        ZetaMixupSampler().fit_resample(X, y)
    groups = np.asarray(["a", "b"], dtype=object)[np.arange(90) % 2]
    groups[np.flatnonzero(Y == 1)[0]] = "alone"
    with pytest.raises(ValueError, match="got one row of group 'alone' in class 1"):
        ZetaMixupSampler().fit_resample(X, Y, groups=groups)
    with pytest.raises(ValueError, match="groups must have shape"):
        ZetaMixupSampler().fit_resample(X, Y, groups=groups[1:])


class Recorder(LogisticRegression):
    def fit(self, X, y):
        type(self).seen = np.asarray(X)
        return super().fit(X, y)


def test_groups_directly_and_by_routing():
    groups = np.arange(90) % 2
    sampler = ZetaMixupSampler(random_state=0)
    expected, _ = sampler.fit_resample(np.eye(90), Y, groups=groups)
    np.testing.assert_array_equal(expected, oversample(np.eye(90), Y, groups=groups, rng=0)[0])
    with sklearn.config_context(enable_metadata_routing=True):
        model = make_pipeline(sampler.set_fit_resample_request(groups=True), Recorder())
        model.fit(np.eye(90), Y, groups=groups)
    np.testing.assert_array_equal(Recorder.seen, expected)


def test_the_sampler_works_in_pipelines():
    model = make_pipeline(StandardScaler(), ZetaMixupSampler(random_state=0), LogisticRegression())
    scores = cross_val_score(model, X + Y[:, None], Y, cv=3, scoring="balanced_accuracy")
    assert scores.mean() > 0.6


def test_random_states():
    for state in (5, np.random.RandomState(5)):
        first, second = (
            ZetaMixupSampler(random_state=each).fit_resample(X, Y)[0]
            for each in (state, 5 if isinstance(state, int) else np.random.RandomState(5))
        )
        assert np.array_equal(first, second)
    fresh = [ZetaMixupSampler().fit_resample(X, Y)[0] for _ in range(2)]
    assert not np.array_equal(*fresh)


# --- estimators -----------------------------------------------------------------------------------


class Keeper(LogisticRegression):
    """Keeps what it is fitted on."""

    def fit(self, X, y, sample_weight=None):
        type(self).seen = np.asarray(X), np.asarray(y), sample_weight
        return super().fit(X, y, sample_weight)


class Taker(KNeighborsClassifier):
    def fit(self, X, y):
        type(self).seen = np.asarray(X), np.asarray(y)
        return super().fit(X, y)


NAMES = np.asarray(["a", "b", "c"])


@pytest.mark.parametrize("own", [None, np.random.default_rng(5).random(90)])
def test_a_weighted_copy_for_each_class_of_a_row(own):
    """On unit vectors rows are weights of samples, so that all can be read off."""
    eye = np.eye(90)
    ZetaMixupClassifier(Keeper(), num_mix=6, random_state=0).fit(eye, NAMES[Y], own)
    rows, classes, weights = Keeper.seen
    mixed, places = np.unique(rows, axis=0, return_inverse=True)
    assert len(mixed) == 90
    onehot = np.eye(3)[Y] * (1 if own is None else own[:, None])
    found = np.zeros((90, 3))
    found[places.ravel(), np.searchsorted(NAMES, classes)] = weights
    np.testing.assert_allclose(found, mixed @ onehot)
    assert len({*zip(places.ravel(), classes, strict=True)}) == len(classes)  # one copy a class
    if own is None:
        np.testing.assert_allclose(found.sum(axis=1), 1)
    assert sorted(mixed.argmax(axis=1)) == [*range(90)]


def test_labels_that_are_drawn():
    """By the weights in the long run, and never without a class."""
    model = ZetaMixupClassifier(Taker(), gamma=1.0, num_mix=6, labels="draw", random_state=0)
    model.set_params(num_outputs=9000).fit(np.eye(90), Y)
    rows, classes = Taker.seen
    shares = rows @ np.eye(3)[Y]
    assert np.all(shares[np.arange(9000), classes] > 0)
    for name in range(3):
        excess = (classes == name).mean() - shares[:, name].mean()
        assert abs(excess) < 5 * np.sqrt((shares[:, name] * (1 - shares[:, name])).mean() / 9000)
    y = np.zeros(90, dtype=int)
    y[[3, 50]] = 1, 2
    for seed in range(30):
        model = ZetaMixupClassifier(Taker(2), gamma=0.0, labels="draw", random_state=seed)
        model.fit(X, y)
        assert set(Taker.seen[1]) == {0, 1, 2}
        assert model.predict_proba(X).shape == (90, 3)
        model.set_params(num_outputs=3).fit(X, y)
        assert sorted(Taker.seen[1]) == [0, 1, 2]
    with pytest.raises(ValueError, match=r"number of classes, got 2 for 3 classes; .* 90"):
        model.set_params(num_outputs=2).fit(X, y)


def test_rows_without_weight_can_be_drawn():
    plan = MixPlan(np.asarray([[0, 1], [1, 2], [2, 0]]), np.asarray([0.75, 0.25]), 3)
    own = np.asarray([0.0, 0.0, 1.0])
    copies = drawn_copies(plan, np.asarray([0, 1, 2]), own, np.random.default_rng(0))
    assert copies.weights.tolist() == [0, 0.25, 0.75]
    assert set(copies.classes) == {0, 1, 2}
    assert weighted_copies(plan, np.asarray([0, 1, 1]), own).weights.tolist() == [
        0,
        0,
        0.25,
        0,
        0.75,
    ]


def test_labels_of_anchors():
    ZetaMixupClassifier(Taker(), labels="anchor", random_state=0).fit(np.eye(90), Y)
    rows, classes = Taker.seen
    np.testing.assert_array_equal(classes, Y[rows.argmax(axis=1)])


@pytest.mark.parametrize("labels", ["weights", "draw", "anchor"])
def test_originals_may_be_kept(labels):
    own = np.linspace(0.5, 1.5, 90)
    model = ZetaMixupClassifier(Keeper(), labels=labels, keep_originals=True, random_state=0)
    model.fit(X, Y)
    rows, classes, weights = Keeper.seen
    np.testing.assert_array_equal(rows[:90], X)
    np.testing.assert_array_equal(classes[:90], Y)
    assert (weights is None) == (labels != "weights")
    assert weights is None or (weights[:90] == 1).all()
    model.fit(X, Y, own)
    np.testing.assert_array_equal(Keeper.seen[2][:90], own)
    assert Keeper.seen[2].sum() == pytest.approx(2 * own.sum(), rel=0.02)


def test_which_labels_are_used():
    scaled = Pipeline([("scale", StandardScaler()), ("model", LogisticRegression())])
    taking = [LogisticRegression(), scaled, make_pipeline(StandardScaler(), scaled)]
    for estimator in taking:
        model = ZetaMixupClassifier(estimator, random_state=0).fit(X, Y)
        assert model.labels_used_ == "weights"
    near = KNeighborsClassifier(3)
    drawing = [
        (near, "KNeighborsClassifier takes no sample_weight"),
        (make_pipeline(StandardScaler(), near), "Pipeline takes no sample_weight"),
        (GridSearchCV(LogisticRegression(), {"C": [1, 2]}, cv=2), "GridSearchCV takes no"),
        (Pipeline([("scale", StandardScaler()), ("last", near)]), "Pipeline takes no"),
    ]
    for estimator, message in drawing:
        model = ZetaMixupClassifier(estimator, random_state=0)
        with pytest.warns(UserWarning, match=message):
            model.fit(X, Y)
        assert model.labels_used_ == "draw"
        with pytest.raises(ValueError, match="labels='weights' needs an estimator whose fit takes"):
            model.set_params(labels="weights").fit(X, Y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert labels_for("draw", near) == "draw"


def test_weights_by_metadata_routing():
    with sklearn.config_context(enable_metadata_routing=True):
        asking = Keeper().set_fit_request(sample_weight=True)
        asking.set_score_request(sample_weight=False)
        search = GridSearchCV(asking, {"C": [1.0]}, cv=2)
        assert weight_parameter(search) == "sample_weight"
        assert ZetaMixupClassifier(search, random_state=0).fit(X, Y).labels_used_ == "weights"
        assert Keeper.seen[2] is not None
        plain = make_pipeline(StandardScaler(), LogisticRegression())
        assert weight_parameter(plain) is None
        with pytest.warns(UserWarning, match="Pipeline takes no sample_weight"):
            ZetaMixupClassifier(plain, random_state=0).fit(X, Y)


def test_own_weights_need_an_estimator_that_takes_them():
    own = np.ones(90)
    with pytest.raises(
        ValueError, match=r"sample_weight needs .*KNeighborsClassifier\(\); leave it"
    ):
        ZetaMixupClassifier(KNeighborsClassifier(), labels="draw").fit(X, Y, own)
    with pytest.raises(ValueError, match="sample_weight needs an estimator"):
        ZetaMixupRegressor(KNeighborsRegressor()).fit(X, Y, own)


@pytest.mark.parametrize("donors", ["same", "other"])
def test_donors_of_the_classifier(donors):
    ZetaMixupClassifier(Keeper(), donors=donors, random_state=0).fit(np.eye(90), Y)
    rows, _, weights = Keeper.seen
    shares = rows @ np.eye(3)[Y]
    own = shares[np.arange(len(rows)), Y[rows.argmax(axis=1)]]
    if donors == "same":
        np.testing.assert_allclose(shares.max(axis=1), 1)
        np.testing.assert_allclose(weights, 1)
    else:
        np.testing.assert_allclose(own, rows.max(axis=1))


def test_multilabel_targets_are_refused():
    with pytest.raises(ValueError, match=r"one class a row.*shape \(90, 3\)"):
        ZetaMixupClassifier().fit(X, np.eye(3, dtype=int)[Y])


def test_what_an_estimator_lacks_is_missing():
    model = ZetaMixupClassifier(LinearDiscriminantAnalysis())
    assert hasattr(model, "decision_function")
    assert not hasattr(ZetaMixupClassifier(KNeighborsClassifier()), "decision_function")
    assert not hasattr(ZetaMixupRegressor(), "predict_proba")


class KeepingRegressor(LinearRegression):
    def fit(self, X, y, sample_weight=None):
        type(self).seen = np.asarray(X), np.asarray(y), sample_weight
        return super().fit(X, y, sample_weight)


@pytest.mark.parametrize("labels", ["auto", "weights", "draw", "anchor"])
def test_targets_of_a_regression(labels):
    own = np.random.default_rng(2).random(90)
    target = np.arange(90.0)
    model = ZetaMixupRegressor(KeepingRegressor(), labels=labels, random_state=0)
    model.fit(np.eye(90), target, own)
    rows, mixed, weights = KeepingRegressor.seen
    np.testing.assert_allclose(weights, rows @ own)
    if labels in ("auto", "weights"):
        assert model.labels_used_ == "weights"
        np.testing.assert_allclose(mixed, rows @ target)
    elif labels == "anchor":
        np.testing.assert_array_equal(mixed, rows.argmax(axis=1))
    else:
        chosen = rows[np.arange(90), mixed.astype(int)]
        assert (chosen > 0).all()
        assert 0.6 < (mixed == rows.argmax(axis=1)).mean() < 1


def test_several_targets():
    model = ZetaMixupRegressor(random_state=0).fit(X, X @ np.ones((4, 2)))
    np.testing.assert_allclose(model.predict(X), X @ np.ones((4, 2)), atol=0.3)


def test_gamma_can_be_searched():
    search = GridSearchCV(ZetaMixupClassifier(random_state=0), {"gamma": [1.0, 2.8]}, cv=2)
    assert search.fit(X, Y).best_params_["gamma"] in (1.0, 2.8)


def test_boosting_takes_weights():
    boosting = HistGradientBoostingClassifier(max_iter=3, early_stopping=False)
    model = ZetaMixupClassifier(boosting, random_state=0).fit(X, Y)
    assert model.labels_used_ == "weights"
    assert model.predict_proba(X).shape == (90, 3)
