"""What a plan does, in a few numbers."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from zetamix_core.annotations import SupportsSamples
from zetamix_core.arrays import Array, host_values
from zetamix_core.inputs import name_of


class Summary(NamedTuple):
    """The mixtures of a plan in numbers, each a mean over the outputs; see `Plan.summary`."""

    dominant_weight: float
    effective_num_samples: float
    same_class: float | None = None
    label_entropy: float | None = None


class Summarized:
    """Summaries of plans in numbers."""

    _label_plan: Any
    _check_single: Any

    def summary(self, y: SupportsSamples | None = None) -> Summary:
        r"""Summarize in a few numbers what the plan does to samples and their classes.

        Parameters
        ----------
        y : array of int, shape (N,), optional
            The classes of the samples.

        Returns
        -------
        Summary
            A named tuple of floats, each a mean over the outputs: `dominant_weight`, the largest
            weight; `effective_num_samples`, :math:`1 / \sum_r w_r^2`; with `y` also `same_class`,
            the share of the weight of donors that goes to the class of the heaviest sample, one if
            there is no donor, and `label_entropy`, :math:`-\sum_c \hat{y}_c \ln \hat{y}_c`. Of
            a `CutMixPlan` weights are volumes.

        Raises
        ------
        TypeError
            If the plan is traced or on an accelerator, or `y` does not hold integers.

        Examples
        --------
        >>> import numpy as np
        >>> from zetamix import zeta_plan
        >>> labels = np.asarray([0, 0, 1, 1])
        >>> plan = zeta_plan(4, num_mix=2, donors="same", groups=labels, rng=0)
        >>> [round(number, 3) for number in plan.summary(labels)]
        [0.874, 1.281, 1.0, 0.0]
        """
        self._check_single()
        entries = self._label_plan
        if y is not None:
            entries._check_applies(y, "y")
        return summarized(entries.indices, entries.weights, y)


def summarized(indices: Array, weights: Array, y: Any) -> Summary:
    """Summarize the entries of a plan, and its mixture of classes."""
    samples, shares = host_values(indices), host_values(weights)
    if samples is None or shares is None:
        raise TypeError(
            "a plan is summarized on the host, got one that is traced or on an accelerator; draw "
            "the same plan with like=None"
        )
    shares = np.broadcast_to(shares.astype(np.float64), samples.shape)
    samples, shares = _gathered(samples, shares)
    dominant, effective = shares.max(axis=1).mean(), (1 / (shares**2).sum(axis=1)).mean()
    if y is None:
        return Summary(float(dominant), float(effective))
    classes = host_values(y)
    if classes is None or classes.ndim != 1 or classes.dtype.kind not in "iu":
        raise TypeError(
            f"classes must be integers of shape (N,) on the host, got {name_of(y)}"
            + (f" of shape {tuple(y.shape)}" if hasattr(y, "shape") else "")
            + "; pass the labels of the samples"
        )
    mixed, first = classes[samples], shares.argmax(axis=1)[:, None]
    donors = shares.copy()
    np.put_along_axis(donors, first, 0, axis=1)
    given = donors.sum()
    alike = donors[mixed == np.take_along_axis(mixed, first, axis=1)].sum()
    _, labels = _gathered(mixed, shares)
    logs = np.log(labels, where=labels > 0, out=np.zeros_like(labels))
    entropy = 0.0 - (labels * logs).sum(axis=1).mean()  # never -0.0
    return Summary(
        float(dominant), float(effective), float(alike / given) if given else 1.0, float(entropy)
    )


def _gathered(names: np.ndarray, shares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return names and shares (M, T), the shares of equal names in a row summed at the first."""
    order = np.argsort(names, axis=1, kind="stable")
    names = np.take_along_axis(names, order, axis=1)
    shares = np.take_along_axis(shares, order, axis=1)
    new = np.ones(names.shape, dtype=bool)
    new[:, 1:] = names[:, 1:] != names[:, :-1]
    first = np.maximum.accumulate(np.where(new, np.arange(names.shape[1]), 0), axis=1)
    gathered = np.zeros(shares.shape)
    np.add.at(gathered, (np.arange(len(names))[:, None], first), shares)
    return names, gathered
