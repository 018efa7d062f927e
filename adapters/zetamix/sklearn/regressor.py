"""A regressor that fits another one on ζ-mixed rows."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.linear_model import Ridge
from sklearn.utils import get_tags
from sklearn.utils.validation import validate_data

from zetamix.sklearn.base import ZetaMixupEstimator, check_numbers, own_weights, taken
from zetamix.sklearn.seeds import seed_of
from zetamix.sklearn.targets import row_weights
from zetamix_core import MixPlan

__all__ = ["ZetaMixupRegressor"]


class ZetaMixupRegressor(RegressorMixin, ZetaMixupEstimator):  # type: ignore[misc]
    r"""Fit any regressor on ζ-mixed rows and targets.

    .. math:: \hat{x}_i = \sum_{r=1}^{T} w_r \, x_{s_i(r)}, \quad
              \hat{y}_i = \sum_{r=1}^{T} w_r \, y_{s_i(r)}, \quad
              w_r = r^{-\gamma} / \sum_{j=1}^{T} j^{-\gamma}

    Parameters
    ----------
    estimator : estimator, optional
        The estimator to fit; `Ridge` by default.
    gamma : float, default 2.8
        Exponent :math:`\gamma \ge 0`: the larger, the closer mixed rows stay to those of the data.
    num_mix : int, default 8
        T, the number of rows in a mixture.
    donors : None
        Must be None: rows are mixed with all others; only the classifier takes other values.
    num_outputs : int, optional
        Number of mixed rows; by default the number of rows, each of which weighs most once.
    keep_originals : bool, default False
        Whether to fit on the original rows as well.
    labels : {"auto", "weights", "draw", "anchor"}, default "auto"
        The weighted mean of the targets ("weights", as "auto"), the target of a row drawn by the
        weights, or that of the row that weighs most.
    random_state : int or numpy.random.RandomState, optional
        Source of randomness for mixtures.

    Attributes
    ----------
    estimator_ : estimator
        The fitted estimator.
    labels_used_ : str
        "weights", "draw" or "anchor".
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : numpy.ndarray of str
        Names of the columns, if the table has any.

    Raises
    ------
    ValueError
        If features or targets are NaN, infinite or sparse, or a parameter is out of range.

    See Also
    --------
    ZetaMixupClassifier : The same for classes.

    Notes
    -----
    Early stopping inside the estimator holds out rows at random. Mixtures of the same rows then end
    up on both sides, so the validation score is too good and training stops too late: turn early
    stopping off, or choose the number of iterations by cross-validation around this estimator.

    Examples
    --------
    >>> import numpy as np
    >>> from zetamix.sklearn import ZetaMixupRegressor
    >>> x = np.linspace(0, 1, 50)[:, None]
    >>> model = ZetaMixupRegressor(random_state=0).fit(x, 3 * x[:, 0])
    >>> model.predict([[0.5]]).round(1)
    array([1.5])
    """

    _default = Ridge
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **ZetaMixupEstimator._parameter_constraints,
        "donors": [None],
    }

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Mix rows and targets and fit the estimator on them.

        Parameters
        ----------
        X : array-like, shape (N, D)
            Rows of finite numbers.
        y : array-like, shape (N,) or (N, K)
            Their targets.
        sample_weight : array-like, shape (N,), optional
            Weights of rows: a mixed row gets the sum of its mixing weights times these weights.

        Returns
        -------
        ZetaMixupRegressor
            This estimator.

        Raises
        ------
        ValueError
            If features or targets are NaN, infinite or sparse, or a parameter is out of range.
        TypeError
            If targets are text or dates.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn.ensemble import RandomForestRegressor
        >>> from zetamix.sklearn import ZetaMixupRegressor
        >>> x, y = np.random.default_rng(0).normal(size=(60, 2)), np.arange(60.0)
        >>> forest = RandomForestRegressor(n_estimators=5, random_state=0)
        >>> ZetaMixupRegressor(forest, random_state=0).fit(x, y).predict(x).shape
        (60,)
        """
        self._validate_params()
        several = get_tags(self._unfitted()).target_tags.multi_output
        X, y = validate_data(self, X=X, y=y, multi_output=several, y_numeric=True)
        check_numbers(y)
        own = own_weights(sample_weight, X)
        self.labels_used_ = "weights" if self.labels == "auto" else self.labels
        seed = seed_of(self.random_state)
        plan = self._plan(seed, None, X.shape[0])
        targets = self._targets(plan, y, seed)
        weights = None if own is None else row_weights(plan, own)
        x_fit = self._with_originals(X, plan @ X)
        y_fit = self._with_originals(y, targets)
        weights = self._original_weights(own, weights, X.shape[0])
        self.estimator_ = self._fitted(x_fit, y_fit, weights)
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        inner = get_tags(self._unfitted())
        tags.target_tags.multi_output = inner.target_tags.multi_output
        return tags

    def _targets(self, plan: MixPlan, y: Any, seed: int) -> Any:
        if self.labels_used_ == "weights":
            return plan @ y
        if self.labels_used_ == "anchor":
            return taken(y, plan.indices[:, 0])
        generator = np.random.default_rng((seed, 2))
        weights = np.broadcast_to(plan.weights, plan.indices.shape)
        ranks = (weights.cumsum(axis=1) <= generator.random((plan.num_outputs, 1))).sum(axis=1)
        ranks = np.minimum(ranks, plan.num_mix - 1)
        return taken(y, np.take_along_axis(plan.indices, ranks[:, None], axis=1)[:, 0])
