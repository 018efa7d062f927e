"""What estimators are told besides mixed rows: class weights, requested weights, and targets."""

import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
import sklearn
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_selection import SelectFromModel
from sklearn.linear_model import LogisticRegression, RidgeClassifier, SGDClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.class_weight import compute_class_weight
from zetamix.sklearn import ZetaMixupClassifier, ZetaMixupRegressor

RNG = np.random.default_rng(0)
RARE = np.arange(1000) % 20 == 0
X = RNG.normal(size=(1000, 2)) + 1.2 * RARE[:, None]
UNSEEN = RNG.normal(size=(1000, 2)) + 1.2 * RARE[:, None]
NAMES = {
    "texts": np.asarray(["no", "yes"]),
    "digits": np.asarray(["1", "2"]),
    "numbers": np.asarray([1, 0])[::-1] + 3,
    "floats": np.asarray([-1.0, 1.0]),
    "truths": np.asarray([False, True]),
}
WEIGHTS = compute_class_weight("balanced", classes=np.asarray([0, 1]), y=RARE.astype(int))
BALANCING = [
    SVC(),
    RidgeClassifier(),
    SGDClassifier(random_state=0),
    DecisionTreeClassifier(max_depth=3, random_state=0),
    RandomForestClassifier(20, max_depth=3, random_state=0),
    HistGradientBoostingClassifier(max_iter=30, early_stopping=False, random_state=0),
    LogisticRegression(),
]


def classes(names="texts"):
    return NAMES[names][RARE.astype(int)]


def share(estimator, y, own=None, **options):
    """Return the share of unseen rows that are said to be of the rare class."""
    options = {"labels": "weights", "random_state": 0, **options}
    model = ZetaMixupClassifier(estimator, **options).fit(X, y, own)
    return np.mean(model.predict(UNSEEN) == y[RARE][0])


def weighted(estimator, y, weights=WEIGHTS):
    """Return the share by own weights of rows that do what class weights do, once multiplied."""
    return share(estimator, y, weights[RARE.astype(int)])


@pytest.mark.parametrize("names", NAMES)
@pytest.mark.parametrize("estimator", BALANCING, ids=lambda each: type(each).__name__)
def test_balanced_is_by_the_rows(estimator, names):
    y = classes(names)
    plain = share(estimator, y)
    balanced = share(sklearn.clone(estimator).set_params(class_weight="balanced"), y)
    expected = weighted(estimator, y)
    assert abs(balanced - expected) < 0.06
    assert balanced - plain > 0.1


@pytest.mark.parametrize("estimator", BALANCING[:3], ids=lambda each: type(each).__name__)
def test_balanced_is_what_the_dict_does(estimator):
    y = classes()
    given = dict(zip(NAMES["texts"], WEIGHTS, strict=True))
    explicit = sklearn.clone(estimator).set_params(class_weight=given)
    balanced = sklearn.clone(estimator).set_params(class_weight="balanced")
    for kept in (False, True):
        expected = share(explicit, y, keep_originals=kept)
        assert share(balanced, y, keep_originals=kept) == expected
    assert balanced.class_weight == "balanced"
    own = RNG.random(1000)  # as without mixing, they do not change class weights
    model = ZetaMixupClassifier(balanced, random_state=0).fit(X, y, own)
    assert model.estimator_.class_weight == pytest.approx(given)


@pytest.mark.parametrize("labels", ["draw", "anchor"])
def test_drawn_rows_are_balanced_by_the_estimator(labels):
    model = ZetaMixupClassifier(SVC(class_weight="balanced"), labels=labels, random_state=0)
    assert model.fit(X, classes()).estimator_.class_weight == "balanced"


def test_what_is_left_alone():
    y = classes()
    for estimator in (
        SVC(class_weight={"no": 1.0, "yes": 2.0}),
        RandomForestClassifier(5, class_weight="balanced_subsample", random_state=0),
        SVC(),
    ):
        model = ZetaMixupClassifier(estimator, random_state=0).fit(X, y)
        assert model.estimator_.class_weight == estimator.class_weight
    chosen = SelectFromModel(RidgeClassifier(class_weight="balanced"), threshold=-np.inf)
    model = ZetaMixupClassifier(make_pipeline(chosen, SVC(class_weight="balanced"))).fit(X, y)
    params = model.estimator_.get_params()
    assert params["svc__class_weight"] == pytest.approx({"no": WEIGHTS[0], "yes": WEIGHTS[1]})
    assert params["selectfrommodel__estimator__class_weight"] == "balanced"


def test_balanced_inside_of_others():
    y, ridge = classes(), RidgeClassifier(class_weight="balanced")
    expected = pytest.approx({"no": WEIGHTS[0], "yes": WEIGHTS[1]})
    nested = make_pipeline(StandardScaler(), CalibratedClassifierCV(ridge, cv=2))
    model = ZetaMixupClassifier(nested, random_state=0).fit(X, y)
    params = model.estimator_.get_params()
    assert params["calibratedclassifiercv__estimator__class_weight"] == expected
    with sklearn.config_context(enable_metadata_routing=True):
        asking = sklearn.clone(ridge).set_fit_request(sample_weight=True)
        asking.set_score_request(sample_weight=False)
        search = GridSearchCV(asking, {"alpha": [1.0]}, cv=2)
        model = ZetaMixupClassifier(search, random_state=0).fit(X, y)
        assert model.estimator_.best_estimator_.class_weight == expected


def test_what_may_get_other_classes_is_told():
    ridge = RidgeClassifier(class_weight="balanced")
    with sklearn.config_context(enable_metadata_routing=True):
        voting = VotingClassifier([("a", ridge.set_fit_request(sample_weight=True))])
        with pytest.warns(UserWarning, match="a__class_weight='balanced' may count") as told:
            model = ZetaMixupClassifier(voting, random_state=0).fit(X, classes())
        assert [each.filename for each in told] == [__file__]
        assert model.estimator_.get_params()["a__class_weight"] == "balanced"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ZetaMixupClassifier(voting, labels="draw", random_state=0).fit(X, classes())


TORCH = """
import numpy as np, sklearn, torch
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from zetamix.sklearn import ZetaMixupClassifier

rng = np.random.default_rng(0)
y = 3 + (np.arange(300) % 10 == 0)
x = rng.normal(size=(300, 2)) + (y == 4)[:, None]
for inner in (
    LogisticRegression(class_weight="balanced"),
    RidgeClassifier(class_weight="balanced", solver="svd"),
):
    model = ZetaMixupClassifier(inner, labels="weights", random_state=0)
    expected = model.fit(x, y).predict(x)
    assert 60 < (expected == 4).sum() < 120
    with sklearn.config_context(array_api_dispatch=True):
        tensor = torch.from_numpy(x)
        predicted = model.fit(tensor, torch.from_numpy(y)).predict(tensor)
    np.testing.assert_array_equal(np.asarray(predicted), expected)
print("done")
"""


@pytest.mark.needs("torch")
def test_torch_is_balanced():
    environment = os.environ | {"SCIPY_ARRAY_API": "1"}
    command = [sys.executable, "-W", "error", "-c", TORCH]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.stdout == "done\n", done.stderr


# --- metadata routing -----------------------------------------------------------------------------


def requesting(*, by_scaler, by_last):
    scaler = StandardScaler().set_fit_request(sample_weight=by_scaler)
    last = LogisticRegression().set_fit_request(sample_weight=by_last)
    return make_pipeline(scaler, last.set_score_request(sample_weight=True))


@pytest.mark.parametrize("around", [lambda inner: inner, make_pipeline, "search"])
@pytest.mark.parametrize("by_scaler", [True, False])
def test_the_last_step_is_to_request_weights(around, by_scaler):
    def made(*, by_last):
        inner = requesting(by_scaler=by_scaler, by_last=by_last)
        if around == "search":
            return GridSearchCV(inner, {"logisticregression__C": [1.0]}, cv=2)
        return around(inner)

    with sklearn.config_context(enable_metadata_routing=True):
        model = ZetaMixupClassifier(made(by_last=True), random_state=0).fit(X, classes())
        assert model.labels_used_ == "weights"
        model.set_params(estimator=made(by_last=False))
        with pytest.warns(UserWarning, match="takes no sample_weight, so each mixed row gets one"):
            model.fit(X, classes())
        assert model.labels_used_ == "draw"
        with pytest.raises(ValueError, match="labels='weights' needs an estimator whose fit takes"):
            model.set_params(labels="weights").fit(X, classes())


def test_classes_are_not_drawn_by_negative_weights():
    own = np.linspace(-0.25, 1, 1000)
    model = ZetaMixupClassifier(SGDClassifier(random_state=0), labels="draw", random_state=0)
    with pytest.raises(ValueError, match=r"not be negative then, got -0\.25; leave such rows out"):
        model.fit(X, classes(), own)
    for labels in ("weights", "anchor"):  # what they mean there is up to the estimator
        model.set_params(labels=labels).fit(X, classes(), own)


def test_estimators_that_predict_only_after_they_were_fitted():
    trees = [("tree", DecisionTreeClassifier(max_depth=2, random_state=0))]
    inner = StackingClassifier(trees, cv=2)
    assert not hasattr(inner, "predict")
    model = ZetaMixupClassifier(inner, labels="draw", random_state=0).fit(X, classes())
    assert set(model.predict(X)) <= {"no", "yes"}
    assert model.predict_proba(X).shape == (1000, 2)


# --- regression -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "y", [["1", "2"] * 500, np.zeros(1000, dtype="M8[D]")], ids=["texts", "dates"]
)
def test_targets_that_are_no_numbers_are_told_as_such(y):
    with pytest.raises(TypeError, match=r"^y must hold numbers, got \S+ of shape \(1000,\); "):
        ZetaMixupRegressor(random_state=0).fit(X, y)
