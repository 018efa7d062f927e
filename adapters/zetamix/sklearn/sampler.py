"""ζ-mixup as a sampler of imbalanced-learn, for tables and matrices."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from imblearn.over_sampling.base import BaseOverSampler
from imblearn.utils import check_target_type
from sklearn.utils._param_validation import Interval, StrOptions

from zetamix.sklearn.seeds import seed_of
from zetamix.sklearn.tables import (
    Features,
    Native,
    checked_groups,
    features_of,
    plain_classes,
    restored_classes,
)
from zetamix_core.adapting import grown, random_by

__all__ = ["ZetaMixupSampler"]


class ZetaMixupSampler(BaseOverSampler):  # type: ignore[misc]
    r"""Oversample rare classes with ζ-mixtures of their rows, in pipelines of imbalanced-learn.

    .. math:: \hat{x} = \sum_{r=1}^{T} w_r \, x_{s(r)}, \quad
              w_r = r^{-\gamma} / \sum_{j=1}^{T} j^{-\gamma}

    It does for tables what `zetamix.oversample` does for arrays. NumPy arrays, lists, CSR and CSC
    matrices, and tables of pandas and polars keep their type, names and dtypes; integers are
    rounded to the nearest.

    Parameters
    ----------
    sampling_strategy : str, float, dict or callable, default "auto"
        Which classes grow, and to which size, as in all oversamplers of imbalanced-learn.
    gamma : float, default 2.8
        Exponent :math:`\gamma \ge 0`: the larger, the closer new rows stay to an existing row.
    num_mix : int, default 8
        T, the number of rows in a mixture; a class with fewer rows mixes all of them.
    neighbors : int, optional
        Mix a row only with this many nearest rows of its class.
    donors : "same" or None, default "same"
        Which rows a row is mixed with: those of its class, so that labels are exact, or all rows.
    categorical_features : "auto" or array-like of str, int or bool, optional
        Columns whose entries are not mixed but taken from the row that weighs most: names,
        positions or a mask, or "auto" for all columns of a table that hold no numbers. Columns of
        bool, objects, categories and text must be among them.
    random_state : int or numpy.random.RandomState, optional
        An int gives the rows of ``oversample(..., rng=random_state)``.

    Attributes
    ----------
    sampling_strategy_ : dict
        Number of rows to add to each class.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : numpy.ndarray of str
        Names of the columns, if the table has any.

    Raises
    ------
    ValueError
        If features are NaN or infinite, a column holds no numbers, or a class to grow, or a group
        in it, has a single row.

    See Also
    --------
    zetamix.oversample : The same for arrays of any library.

    Examples
    --------
    >>> import numpy as np
    >>> from imblearn.pipeline import make_pipeline
    >>> from sklearn.linear_model import LogisticRegression
    >>> from zetamix.sklearn import ZetaMixupSampler
    >>> x, y = np.random.default_rng(0).normal(size=(100, 3)), np.repeat([0, 1], [90, 10])
    >>> model = make_pipeline(ZetaMixupSampler(random_state=0), LogisticRegression())
    >>> model.fit(x, y).predict(x).shape
    (100,)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseOverSampler._parameter_constraints,
        "gamma": [Interval(Real, 0, np.inf, closed="both")],
        "num_mix": [Interval(Integral, 1, None, closed="left")],
        "neighbors": [Interval(Integral, 1, None, closed="left"), None],
        "donors": [StrOptions({"same"}), None],
        "categorical_features": [StrOptions({"auto"}), "array-like", None],
    }

    @random_by("random_state")
    def __init__(
        self,
        *,
        sampling_strategy: Any = "auto",
        gamma: float = 2.8,
        num_mix: int = 8,
        neighbors: int | None = None,
        donors: Any = "same",
        categorical_features: Any = None,
        random_state: Any = None,
    ) -> None:
        super().__init__(sampling_strategy=sampling_strategy)
        self.gamma = gamma
        self.num_mix = num_mix
        self.neighbors = neighbors
        self.donors = donors
        self.categorical_features = categorical_features
        self.random_state = random_state

    def fit_resample(self, X: Any, y: Any, *, groups: Any = None) -> tuple[Any, Any]:
        """Return the rows, followed by the new ones.

        Parameters
        ----------
        X : array-like, table or sparse matrix, shape (N, D)
            Rows.
        y : array-like, shape (N,)
            Their classes.
        groups : array-like, shape (N,), optional
            Groups that mixtures do not cross: patients, sites, days. In a pipeline, route them as
            metadata with ``set_fit_resample_request(groups=True)``.

        Returns
        -------
        X_resampled : array-like, table or sparse matrix, shape (N + M, D)
            In the form of `X`.
        y_resampled : array-like, shape (N + M,)
            In the form of `y`.

        Raises
        ------
        ValueError
            If features are NaN or infinite, a column holds no numbers, or a class to grow, or a
            group in it, has a single row.

        Examples
        --------
        >>> import pandas as pd
        >>> from zetamix.sklearn import ZetaMixupSampler
        >>> x = pd.DataFrame({"age": [31, 40, 52, 58, 60], "sex": ["f", "m", "f", "m", "f"]})
        >>> sampler = ZetaMixupSampler(categorical_features=["sex"], random_state=0)
        >>> more, classes = sampler.fit_resample(x, [0, 0, 0, 1, 1])
        >>> more.dtypes["age"], len(more), classes
        (dtype('int64'), 6, [0, 0, 0, 1, 1, 1])
        """
        classes, given = plain_classes(y)
        params = {} if groups is None else {"groups": groups}
        rows, classes = super().fit_resample(Native(X), classes, **params)
        return rows, classes if given is None else restored_classes(classes, given)

    def _check_X_y(self, X: Any, y: Any) -> tuple[Features, np.ndarray, bool]:  # noqa: N802
        y, binarize = check_target_type(y, indicate_one_vs_all=True)
        given = X.x if isinstance(X, Native) else X
        return features_of(self, given, y, self.categorical_features), y, binarize

    def _fit_resample(
        self, features: Features, y: np.ndarray, groups: Any = None
    ) -> tuple[Any, np.ndarray]:
        names, classes = np.unique(y, return_inverse=True)
        have = np.bincount(classes)
        counts = dict(enumerate(have.tolist()))
        codes = {name: code for code, name in enumerate(names)}
        for name, more in self.sampling_strategy_.items():
            counts[codes[name]] += int(more)
        group_names = None
        if groups is not None:
            group_names, groups = np.unique(checked_groups(groups), return_inverse=True)
        growth = grown(
            features.numbers,
            classes,
            counts,
            gamma=self.gamma,
            num_mix=self.num_mix,
            donors=self.donors,
            neighbors=self.neighbors,
            groups=groups,
            rng=seed_of(self.random_state),
            names=names,
            group_names=group_names,
        )
        rows = features.with_rows(growth.x, growth.anchors)
        return rows, names[growth.y]
