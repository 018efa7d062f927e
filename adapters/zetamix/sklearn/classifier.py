"""A classifier that fits another one on ζ-mixed rows."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from zetamix.sklearn.base import (
    ZetaMixupEstimator,
    check_one_class_a_row,
    offers,
    own_weights,
    taken,
)
from zetamix.sklearn.seeds import seed_of
from zetamix.sklearn.targets import (
    Copies,
    anchored_copies,
    balanced_parameters,
    drawn_copies,
    labels_for,
    weighted_copies,
)
from zetamix_core import MixPlan
from zetamix_core.adapting import namespace, to_host

__all__ = ["ZetaMixupClassifier"]


class ZetaMixupClassifier(ClassifierMixin, ZetaMixupEstimator):  # type: ignore[misc]
    r"""Fit any classifier on ζ-mixed rows, with mixed labels as weights.

    .. math:: \hat{x}_i = \sum_{r=1}^{T} w_r \, x_{s_i(r)}, \quad
              w_r = r^{-\gamma} / \sum_{j=1}^{T} j^{-\gamma}

    Where `fit` of the estimator takes `sample_weight`, a mixed row is passed once for each class
    among the rows that it is mixed from, with the sum of their weights: these weights add up to 1,
    and the loss is that of the soft label. Otherwise one class is drawn for each row.

    Parameters
    ----------
    estimator : estimator, optional
        The estimator to fit; `LogisticRegression` by default. A pipeline takes weights if its last
        step does.
    gamma : float, default 2.8
        Exponent :math:`\gamma \ge 0`: the larger, the closer mixed rows stay to those of the data.
    num_mix : int, default 8
        T, the number of rows in a mixture.
    donors : "same", "other" or None, default None
        Which rows a row is mixed with: those of its class, of other classes, or all rows.
    num_outputs : int, optional
        Number of mixed rows; by default the number of rows, each of which weighs most once.
    keep_originals : bool, default False
        Whether to fit on the original rows as well.
    labels : {"auto", "weights", "draw", "anchor"}, default "auto"
        Weighted copies for each class, a class drawn by the weights (each class keeps a row), or
        the class of the row that weighs most. "auto" uses weights where `fit` takes them, or
        metadata routing requests them; otherwise it draws, and warns.
    random_state : int or numpy.random.RandomState, optional
        Source of randomness for mixtures and classes.

    Attributes
    ----------
    estimator_ : estimator
        The fitted estimator.
    classes_ : array
        The classes.
    labels_used_ : str
        "weights", "draw" or "anchor".
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : numpy.ndarray of str
        Names of the columns, if the table has any.

    Raises
    ------
    ValueError
        If features are NaN, infinite or sparse, or a parameter is out of range.

    Warns
    -----
    UserWarning
        If labels are drawn because the estimator takes no weights, or if classes inside it cannot
        be balanced.

    See Also
    --------
    ZetaMixupSampler : More rows of rare classes, also sparse ones, for pipelines.

    Notes
    -----
    ``class_weight="balanced"`` of an estimator would count the weighted copies of each class, and a
    rare class has nearly as many as the others. With labels "weights", `estimator_` therefore gets
    class weights as a dict, from the counts of classes in `y` as without mixing.
    `LogisticRegression` and `LinearSVC` keep "balanced" where scikit-learn makes them sum up
    weights (1.7 and later). Three cases are left unchanged: "balanced_subsample", which may count
    copies (use "balanced"); values in the grid of a search inside (search around this estimator
    instead); and, with a warning, estimators to which a meta-estimator may pass different classes,
    as `VotingClassifier` does.

    Early stopping inside the estimator, as in `HistGradientBoostingClassifier` above 10,000 rows,
    holds out rows at random. Copies of a mixed row, and mixtures of the same rows, then end up on
    both sides, so the validation score is too good and training stops too late: turn early stopping
    off, or choose the number of iterations by cross-validation around this estimator. The same
    holds for all validation inside: search and calibrate around this estimator, as with
    ``CalibratedClassifierCV(ZetaMixupClassifier(...))``.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.model_selection import GridSearchCV
    >>> from zetamix.sklearn import ZetaMixupClassifier
    >>> x, y = load_iris(return_X_y=True)
    >>> model = ZetaMixupClassifier(random_state=0)
    >>> search = GridSearchCV(model, {"gamma": [1.8, 2.8, 6.0]}, scoring="neg_log_loss", cv=3)
    >>> search.fit(x / x.max(axis=0), y).best_params_["gamma"] in (1.8, 2.8, 6.0)
    True
    >>> search.best_estimator_.labels_used_
    'weights'
    """

    _default = LogisticRegression

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Mix rows and fit the estimator on them.

        Parameters
        ----------
        X : array-like, shape (N, D)
            Rows of finite numbers.
        y : array-like, shape (N,)
            Their classes.
        sample_weight : array-like, shape (N,), optional
            Weights of rows: the copy of a mixed row for a class gets the sum, over its rows of
            that class, of their weights in the mixture times these weights. Classes are drawn only
            by weights that are not negative.

        Returns
        -------
        ZetaMixupClassifier
            This estimator.

        Raises
        ------
        ValueError
            If features are NaN, infinite or sparse, `y` holds no classes, or a parameter is out of
            range.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn.neighbors import KNeighborsClassifier
        >>> from zetamix.sklearn import ZetaMixupClassifier
        >>> x, y = np.random.default_rng(0).normal(size=(60, 2)), np.arange(60) % 3
        >>> model = ZetaMixupClassifier(KNeighborsClassifier(), labels="draw", random_state=0)
        >>> model.fit(x, y).predict_proba(x).shape
        (60, 3)
        """
        self._validate_params()
        check_one_class_a_row(y)
        X, y = validate_data(self, X=X, y=y)
        check_classification_targets(y)
        xp = namespace(y)
        self.classes_ = np.unique(y) if xp is namespace(np.empty(0)) else xp.unique_values(y)
        classes = np.unique(to_host(y), return_inverse=True)[1]
        own = own_weights(sample_weight, X)
        self.labels_used_ = labels_for(self.labels, self._unfitted())
        seed = seed_of(self.random_state)
        plan = self._plan(seed, classes, X.shape[0])
        copies = self._copies(plan, classes, own, seed)
        rows = taken(plan @ X, copies.rows) if self.labels_used_ == "weights" else plan @ X
        x_fit = self._with_originals(X, rows)
        codes = copies.classes
        if self.keep_originals:
            codes = np.concatenate([classes, codes])
        weights = self._original_weights(own, copies.weights, X.shape[0])
        balanced = self._balanced(classes)
        self.estimator_ = self._fitted(x_fit, taken(self.classes_, codes), weights, balanced)
        return self

    def _balanced(self, classes: np.ndarray) -> dict[str, Any]:
        """Return class weights from the counts of rows, not of their copies."""
        if self.labels_used_ != "weights":
            return {}
        return balanced_parameters(self._unfitted(), to_host(self.classes_), classes)

    def _copies(
        self, plan: MixPlan, classes: np.ndarray, own: np.ndarray | None, seed: int
    ) -> Copies:
        if self.labels_used_ == "weights":
            return weighted_copies(plan, classes, own)
        if self.labels_used_ == "anchor":
            return anchored_copies(plan, classes, own)
        return drawn_copies(plan, classes, own, np.random.default_rng((seed, 2)))

    @available_if(offers("predict_proba"))  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> Any:
        """Return the probability of each class, in the order of `classes_`.

        Parameters
        ----------
        X : array-like, shape (N, D)
            Rows, which are not mixed.

        Returns
        -------
        array, shape (N, C)
            Probabilities from the estimator.

        Raises
        ------
        ValueError
            If the columns of `X` differ from those in `fit`, or entries are NaN or infinite.

        Examples
        --------
        >>> import numpy as np
        >>> from zetamix.sklearn import ZetaMixupClassifier
        >>> x, y = np.repeat([[-1.0], [1.0]], 20, axis=0), np.repeat([0, 1], 20)
        >>> ZetaMixupClassifier(random_state=0).fit(x, y).predict_proba([[0.5]]).sum(axis=1)
        array([1.])
        """
        return self._passed_on("predict_proba", X)

    @available_if(offers("decision_function"))  # type: ignore[untyped-decorator]
    def decision_function(self, X: Any) -> Any:
        """Return the scores of the estimator.

        Parameters
        ----------
        X : array-like, shape (N, D)
            Rows, which are not mixed.

        Returns
        -------
        array, shape (N,) or (N, C)
            Scores; for two classes, those of the second.

        Raises
        ------
        ValueError
            If the columns of `X` differ from those in `fit`, or entries are NaN or infinite.

        Examples
        --------
        >>> import numpy as np
        >>> from zetamix.sklearn import ZetaMixupClassifier
        >>> x, y = np.repeat([[-1.0], [1.0]], 20, axis=0), np.repeat([0, 1], 20)
        >>> ZetaMixupClassifier(random_state=0).fit(x, y).decision_function([[2.0]]) > 0
        array([ True])
        """
        return self._passed_on("decision_function", X)
