"""One-call functions: draw a plan for a batch, mix samples and labels with it."""

from __future__ import annotations

from typing import Any

from zetamix_core._arrays import Array
from zetamix_core._checks import check_no_ids, check_same_samples, check_samples
from zetamix_core.drawing import mixup_plan, zeta_plan
from zetamix_core.plans import MixPlan

__all__ = ["mixup", "zeta_mixup"]


def zeta_mixup(
    x: Array,
    y: Array | None = None,
    *,
    gamma: Any = 2.8,
    num_mix: int | None = None,
    num_classes: int | None = None,
    anchored: bool = True,
    rng: Any = None,
) -> tuple[Array, Array | None]:
    r"""Mix a batch and its labels by ζ-mixup.

    .. math:: \hat{x}_i = \sum_{r=1}^{T} w_r \, x_{s_i(r)}, \quad
              \hat{y}_i = \sum_{r=1}^{T} w_r \, y_{s_i(r)}, \quad
              w_r = r^{-\gamma} / \sum_{j=1}^{T} j^{-\gamma}

    Parameters
    ----------
    x : array, shape (N, ...)
        Samples: images, series, features, of any floating or complex dtype; or images of integers,
        uint8 of two or more axes, 8 or 16 bits of three or more.
    y : array, shape (N, ...), optional
        Labels in one of the forms of `MixPlan.mix_labels`, of the library and device of `x`.
    gamma : float or array of shape (N,), default 2.8
        Exponent :math:`\gamma \ge 0`: how close outputs stay to samples.
    num_mix : int, optional
        T, the number of samples in a mixture; the whole batch by default.
    num_classes : int, optional
        Number of classes; required for integer labels.
    anchored : bool, default True
        Whether sample i has the largest weight in output i; else a random one has.
    rng : optional
        Source of randomness, as in `zeta_plan`.

    Returns
    -------
    x_mixed : array, shape (N, ...)
        Mixed samples, of the library, device, dtype and memory order of `x`; integers give the
        library's default float.
    y_mixed : array or None
        Mixed labels, never in the precision of narrow floating samples.

    Raises
    ------
    ValueError
        If an argument is out of range, `x` and `y` differ in length or device, or `x` holds other
        integers or bool, which may be ids: cast what may be averaged, or take ``plan @ x``.
    TypeError
        If an argument has the wrong type, or `x` and `y` are of different libraries.

    See Also
    --------
    zeta_plan : Draw once, apply to several arrays.

    References
    ----------
    Abhishek, Brown, Hamarneh, "Multi-sample ζ-mixup: richer, more realistic synthetic samples from
    a p-series interpolant", Journal of Big Data 11:43 (2024).

    Examples
    --------
    >>> import numpy as np
    >>> from zetamix import zeta_mixup
    >>> images, labels = np.ones((4, 8, 8)), np.asarray([0, 2, 1, 2])
    >>> mixed, soft = zeta_mixup(images, labels, num_classes=3, rng=0)
    >>> mixed.shape, soft.argmax(axis=1)
    ((4, 8, 8), array([0, 2, 1, 2]))
    """
    n = _check_batch(x, y)
    plan = zeta_plan(n, gamma=gamma, num_mix=num_mix, anchored=anchored, rng=rng, like=x)
    return _apply(plan, x, y, num_classes)


def mixup(
    x: Array,
    y: Array | None = None,
    *,
    alpha: float = 1.0,
    per_sample: bool = True,
    num_classes: int | None = None,
    anchored: bool = True,
    rng: Any = None,
) -> tuple[Array, Array | None]:
    r"""Mix a batch and its labels by mixup, in pairs.

    .. math:: \hat{x} = \lambda x_1 + (1 - \lambda) x_2, \quad
              \hat{y} = \lambda y_1 + (1 - \lambda) y_2, \quad
              \lambda \sim \mathrm{Beta}(\alpha, \alpha)

    Parameters
    ----------
    x : array, shape (N, ...)
        Samples, as in `zeta_mixup`.
    y : array, shape (N, ...), optional
        Labels, as in `zeta_mixup`.
    alpha : float, default 1.0
        Positive parameter of the Beta distribution; 1 draws :math:`\lambda` uniformly.
    per_sample : bool, default True
        Draw one :math:`\lambda` for each output, or one for the batch.
    num_classes : int, optional
        Number of classes; required for integer labels.
    anchored : bool, default True
        Whether sample i is the first of the pair of output i; else a random one is.
    rng : optional
        Source of randomness, as in `zeta_plan`.

    Returns
    -------
    x_mixed : array, shape (N, ...)
        Mixed samples, as from `zeta_mixup`.
    y_mixed : array or None
        Mixed labels.

    Raises
    ------
    ValueError
        If an argument is out of range, `x` and `y` differ in length or device, or `x` holds other
        integers or bool, which may be ids: cast what may be averaged, or take ``plan @ x``.
    TypeError
        If an argument has the wrong type, or `x` and `y` are of different libraries.

    See Also
    --------
    mixup_plan : Draw once, apply to several arrays.

    References
    ----------
    Zhang, Cissé, Dauphin, Lopez-Paz, "mixup: Beyond Empirical Risk Minimization", ICLR 2018.

    Examples
    --------
    >>> import numpy as np
    >>> from zetamix import mixup
    >>> mixed, soft = mixup(np.eye(3), np.eye(3), alpha=0.4, rng=0)
    >>> bool(np.array_equal(mixed, soft)), soft.sum(axis=1)
    (True, array([1., 1., 1.]))
    """
    n = _check_batch(x, y)
    plan = mixup_plan(n, alpha=alpha, per_sample=per_sample, anchored=anchored, rng=rng, like=x)
    return _apply(plan, x, y, num_classes)


def _check_batch(x: Array, y: Array | None) -> int:
    n = check_samples("x", x)
    if y is not None:
        check_same_samples(x, y)
    check_no_ids("x", x)
    return n


def _apply(
    plan: MixPlan, x: Array, y: Array | None, num_classes: int | None
) -> tuple[Array, Array | None]:
    # Labels first: they are the ones that may be refused.
    y_mixed = None if y is None else plan.mix_labels(y, num_classes)
    # Not `plan @ x`, which Dynamo takes for a product of tensors where a default device is set.
    return plan.__matmul__(x), y_mixed
