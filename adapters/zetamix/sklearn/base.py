"""What the estimators on mixed rows share: parameters, plans and delegated methods."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn import get_config
from sklearn.base import (
    BaseEstimator,
    MetaEstimatorMixin,
    clone,
)
from sklearn.utils import get_tags
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from zetamix.sklearn.targets import (
    weight_parameter,
)
from zetamix_core import MixPlan, permutation, zeta_plan
from zetamix_core.adapting import cast, from_host, is_numpy, library, namespace, random_by, to_host


def offers(method: str) -> Callable[[Any], bool]:
    def check(self: Any) -> bool:
        getattr(getattr(self, "estimator_", self._unfitted()), method)  # an AttributeError tells
        return True

    return check


class ZetaMixupEstimator(MetaEstimatorMixin, BaseEstimator):  # type: ignore[misc]
    """A meta-estimator that fits another one on mixed rows."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        # StackingClassifier and the like offer other methods only after they were fitted.
        "estimator": [HasMethods("fit"), None],
        "gamma": [Interval(Real, 0, np.inf, closed="both")],
        "num_mix": [Interval(Integral, 1, None, closed="left")],
        "donors": [StrOptions({"same", "other"}), None],
        "num_outputs": [Interval(Integral, 1, None, closed="left"), None],
        "keep_originals": ["boolean"],
        "labels": [StrOptions({"auto", "weights", "draw", "anchor"})],
        "random_state": ["random_state"],
    }
    _default: ClassVar[Any]

    @random_by("random_state")
    def __init__(
        self,
        estimator: Any = None,
        *,
        gamma: float = 2.8,
        num_mix: int = 8,
        donors: Any = None,
        num_outputs: int | None = None,
        keep_originals: bool = False,
        labels: str = "auto",
        random_state: Any = None,
    ) -> None:
        self.estimator = estimator
        self.gamma = gamma
        self.num_mix = num_mix
        self.donors = donors
        self.num_outputs = num_outputs
        self.keep_originals = keep_originals
        self.labels = labels
        self.random_state = random_state

    def predict(self, X: Any) -> Any:
        """Predict with the estimator that was fitted on mixed rows.

        Parameters
        ----------
        X : array-like, shape (N, D)
            Rows, which are not mixed.

        Returns
        -------
        array, shape (N,)
            Classes or numbers.

        Raises
        ------
        ValueError
            If the columns of `X` differ from those in `fit`, or entries are NaN or infinite.

        Examples
        --------
        >>> import numpy as np
        >>> from zetamix.sklearn import ZetaMixupClassifier
        >>> x, y = np.repeat([[-1.0], [1.0]], 20, axis=0), np.repeat([0, 1], 20)
        >>> ZetaMixupClassifier(random_state=0).fit(x, y).predict([[-2.0], [2.0]])
        array([0, 1])
        """
        return self._passed_on("predict", X)

    def _passed_on(self, method: str, x: Any) -> Any:
        check_is_fitted(self)
        x = validate_data(self, X=x, reset=False)
        if get_config()["array_api_dispatch"] and place_of(x) != self._place:
            raise ValueError(
                f"rows passed to {type(self).__name__}.{method}() must use the same namespace and "
                f"device as those of fit, got {place_of(x)} after {self._place}; convert X"
            )
        return getattr(self.estimator_, method)(x)

    def _unfitted(self) -> Any:
        return self._default() if self.estimator is None else self.estimator

    def _plan(self, seed: int, classes: np.ndarray | None, n: int) -> MixPlan:
        """Draw the plan, of which each class has an anchor."""
        num_outputs = n if self.num_outputs is None else self.num_outputs
        anchors = None
        if num_outputs % n:
            anchors = permutation(n, rng=(seed, 1))
            if classes is not None:
                ahead = np.sort(np.unique(classes[anchors], return_index=True)[1])
                if num_outputs < ahead.size:
                    raise ValueError(
                        f"num_outputs must be at least the number of classes, got {num_outputs} "
                        f"for {ahead.size} classes; pass a larger one, or None for {n}"
                    )
                anchors = np.concatenate([anchors[ahead], np.delete(anchors, ahead)])
            anchors = np.resize(anchors, num_outputs)
        return zeta_plan(
            n,
            gamma=self.gamma,
            num_mix=min(self.num_mix, n),
            num_outputs=num_outputs,
            anchors=anchors,
            donors=self.donors,
            groups=None if self.donors is None else classes,
            rng=(seed, 0),
        )

    def _fitted(
        self, x: Any, y: Any, weights: np.ndarray | None, changed: dict[str, Any] | None = None
    ) -> Any:
        """Fit a clone of the estimator, some of its parameters changed, on what has been mixed."""
        self._place = place_of(x)
        estimator = clone(self._unfitted()).set_params(**(changed or {}))
        params = {}
        if weights is not None:
            name = weight_parameter(estimator)
            if name is None:
                raise ValueError(
                    f"sample_weight needs an estimator whose fit takes it, got {estimator}; leave "
                    f"it out, or draw rows by their weights beforehand"
                )
            params[name] = from_host(weights, x)
        return estimator.fit(x, y, **params)

    def _with_originals(self, x: Any, mixed: Any) -> Any:
        if not self.keep_originals:
            return mixed
        return namespace(mixed).concat([cast(x, mixed.dtype), mixed], axis=0)

    def _original_weights(self, own: np.ndarray | None, weights: np.ndarray | None, n: int) -> Any:
        """Return the weights of all rows, those of the originals first where these are kept."""
        if weights is None or not self.keep_originals:
            return weights
        return np.concatenate([np.ones(n) if own is None else own, weights])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        inner = get_tags(self._unfitted())
        tags.array_api_support = inner.array_api_support
        tags.input_tags.sparse = False
        tags.input_tags.allow_nan = False
        return tags


def place_of(x: Any) -> str:
    """Return the library of rows, with their device where it is not that of the host."""
    return library(x) if is_numpy(x) else f"{library(x)} on {x.device}"


def own_weights(sample_weight: Any, x: Any) -> np.ndarray | None:
    if sample_weight is None:
        return None
    return np.asarray(to_host(_check_sample_weight(sample_weight, x)), dtype=np.float64)


def check_one_class_a_row(y: Any) -> None:
    if getattr(y, "ndim", 1) == 2 and y.shape[1] > 1:
        raise ValueError(
            f"y must hold one class a row. Multilabel and multioutput targets are not supported, "
            f"got shape {tuple(y.shape)}; fit a classifier for each column, as by "
            f"sklearn.multioutput.MultiOutputClassifier"
        )


def check_numbers(y: Any) -> None:
    if getattr(y.dtype, "kind", "f") in "USMm":
        raise TypeError(
            f"y must hold numbers, got {y.dtype} of shape {y.shape}; convert it, as by "
            f"numpy.asarray(y, dtype=float), or fit a ZetaMixupClassifier to classes"
        )


def taken(x: Any, rows: np.ndarray) -> Any:
    return namespace(x).take(x, from_host(rows, x), axis=0)
