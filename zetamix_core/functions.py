"""One-call functions: draw a plan for a batch by a rule, mix samples and labels with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Unpack, overload

import numpy as np

from zetamix_core.annotations import (
    RNG,
    AnyNumpy,
    CutMixOptions,
    Gamma,
    MixOptions,
    MixupOptions,
    Samples,
    SupportsSamples,
    ZetaOptions,
)
from zetamix_core.arrays import Array
from zetamix_core.checks import (
    check_gamma,
    check_no_ids,
    check_num_mix,
    check_same_samples,
    check_samples,
    check_unmarked,
    examined,
)
from zetamix_core.keywords import random_by
from zetamix_core.labels import label_options
from zetamix_core.linear_map import output_dtype
from zetamix_core.rules import CutMix, Mixup, Rule, Zeta
from zetamix_core.rules.base import averages, check_rule, drawn

__all__ = ["cutmix", "mix", "mixup", "zeta_mixup"]


@overload
def mix(
    x: AnyNumpy, y: None = None, rule: Rule = ..., **options: Unpack[MixOptions]
) -> tuple[AnyNumpy, None]: ...
@overload
def mix(
    x: AnyNumpy, y: SupportsSamples, rule: Rule = ..., **options: Unpack[MixOptions]
) -> tuple[AnyNumpy, AnyNumpy]: ...
@overload
def mix(
    x: Samples, y: None = None, rule: Rule = ..., **options: Unpack[MixOptions]
) -> tuple[Samples, None]: ...
@overload
def mix(
    x: Samples, y: SupportsSamples, rule: Rule = ..., **options: Unpack[MixOptions]
) -> tuple[Samples, Samples]: ...
@random_by("rng")
def mix(
    x: Array,
    y: Array | None = None,
    rule: Rule = Zeta(),  # noqa: B008 - a frozen value
    *,
    num_classes: int | None = None,
    ignore_index: int | None = None,
    groups: SupportsSamples | None = None,
    rng: RNG = None,
    step: Any = None,
) -> tuple[Any, Any]:
    """Mix a batch and its labels by any rule.

    Parameters
    ----------
    x : array, shape (N, ...)
        Samples, as in `zeta_mixup`; a rule that averages nothing, such as CutMix, takes any dtype.
    y : array, shape (N, ...), optional
        Labels in one of the forms of `Plan.mix_labels`, of the library and device of `x`.
    rule : Rule, default Zeta()
        How the plan is drawn: one of `zetamix.rules`, or your own object with such a method.
    num_classes : int, optional
        Number of classes; required for integer labels.
    ignore_index : int, optional
        The label that does not count, as in `Plan.mix_labels`.
    groups : array of int, shape (N,), optional
        The groups for rules with `donors`: classes, patients, volumes.
    rng : optional
        Source of randomness, as in `zeta_plan`.
    step : int or 0-d array, optional
        The argument of a callable `gamma`.

    Returns
    -------
    x_mixed : array, shape (N, ...)
        Mixed samples, with the library, device, dtype and memory order of `x`; integers that are
        averaged become the library's default float.
    y_mixed : array or None
        Mixed labels, never in the precision of narrow floating samples.

    Raises
    ------
    ValueError
        If an argument is out of range, `x` and `y` differ in length or device, or `x` holds
        integers that may be ids.
    TypeError
        If an argument has the wrong type, or `x` and `y` are of different libraries.

    See Also
    --------
    zetamix.rules : The rules.

    Examples
    --------
    >>> import numpy as np
    >>> from zetamix import mix
    >>> from zetamix.rules import CutMix, OneOf, Zeta
    >>> images, labels = np.ones((4, 8, 8)), np.asarray([0, 2, 1, 2])
    >>> rule = OneOf([Zeta(num_mix=8), CutMix()])
    >>> mixed, soft = mix(images, labels, rule, num_classes=3, rng=0)
    >>> mixed.shape, soft.sum(axis=1)
    ((4, 8, 8), array([1., 1., 1., 1.]))
    """
    facts = examined("x", x)
    options = label_options(num_classes, ignore_index)
    y_facts = None if y is None else check_same_samples(x, y, facts)
    check_rule(rule)
    if type(x) is not np.ndarray and averages(rule):
        check_unmarked("", x)
    dtype = None
    if facts.kind in ("integer", "bool") and averages(rule):
        check_no_ids("x", x, facts.kind)
        dtype = output_dtype(x)  # whichever of several rules is drawn
    plan = drawn(rule, (facts.length, *x.shape[1:]), rng, x, step, groups)
    # Labels first, since they may be refused.
    y_mixed = None if y is None else plan._mixed_labels(y, options, y_facts)
    return plan._mixed(x, facts, dtype=dtype), y_mixed


@overload
def zeta_mixup(
    x: AnyNumpy, y: None = None, **options: Unpack[ZetaOptions]
) -> tuple[AnyNumpy, None]: ...
@overload
def zeta_mixup(
    x: AnyNumpy, y: SupportsSamples, **options: Unpack[ZetaOptions]
) -> tuple[AnyNumpy, AnyNumpy]: ...
@overload
def zeta_mixup(
    x: Samples, y: None = None, **options: Unpack[ZetaOptions]
) -> tuple[Samples, None]: ...
@overload
def zeta_mixup(
    x: Samples, y: SupportsSamples, **options: Unpack[ZetaOptions]
) -> tuple[Samples, Samples]: ...
@random_by("rng")
def zeta_mixup(
    x: Array,
    y: Array | None = None,
    *,
    gamma: Gamma = 2.8,
    num_mix: int | None = None,
    num_classes: int | None = None,
    ignore_index: int | None = None,
    anchored: bool = True,
    donors: Literal["same", "other"] | None = None,
    groups: SupportsSamples | None = None,
    rng: RNG = None,
) -> tuple[Any, Any]:
    r"""Mix a batch and its labels by ζ-mixup.

    .. math:: \hat{x}_i = \sum_{r=1}^{T} w_r \, x_{s_i(r)}, \quad
              \hat{y}_i = \sum_{r=1}^{T} w_r \, y_{s_i(r)}, \quad
              w_r = r^{-\gamma} / \sum_{j=1}^{T} j^{-\gamma}

    Parameters
    ----------
    x : array, shape (N, ...)
        Samples: images, series, features, of any floating or complex dtype; or integer images,
        uint8 with two or more axes, 8 or 16 bits with three or more.
    y : array, shape (N, ...), optional
        Labels in one of the forms of `Plan.mix_labels`, of the library and device of `x`.
    gamma : float or array of shape (N,), default 2.8
        Exponent :math:`\gamma \ge 0`: how close outputs stay to samples.
    num_mix : int, optional
        T, the number of samples in a mixture; the whole batch by default.
    num_classes : int, optional
        Number of classes; required for integer labels.
    ignore_index : int, optional
        The label that does not count, as in `Plan.mix_labels`.
    anchored : bool, default True
        Whether sample i has the largest weight in output i; otherwise a random sample has it.
    donors : "same" or "other", optional
        Which samples a sample may be mixed with, by `groups`: those of its own group, or those of
        other groups; see `zeta_plan`.
    groups : array of int, shape (N,), optional
        The groups that `donors` refers to: classes, patients, volumes.
    rng : optional
        Source of randomness, as in `zeta_plan`.

    Returns
    -------
    x_mixed : array, shape (N, ...)
        Mixed samples, with the library, device, dtype and memory order of `x`; integers become the
        library's default float.
    y_mixed : array or None
        Mixed labels, never in the precision of narrow floating samples.

    Raises
    ------
    ValueError
        If an argument is out of range, `x` and `y` differ in length or device, or `x` holds other
        integers or bool, which may be ids: cast what may be averaged, or use ``plan @ x``.
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
    if isinstance(gamma, (list, tuple)) or callable(gamma):
        check_gamma(gamma)  # its error fits this function; rules take more
    rule = Zeta(gamma=gamma, num_mix=num_mix, anchored=anchored, donors=donors)
    if num_mix is not None:
        check_num_mix(num_mix, check_samples("x", x))
    options: Any = {"num_classes": num_classes, "ignore_index": ignore_index, "groups": groups}
    return mix(x, y, rule, **options, rng=rng)


@overload
def mixup(
    x: AnyNumpy, y: None = None, **options: Unpack[MixupOptions]
) -> tuple[AnyNumpy, None]: ...
@overload
def mixup(
    x: AnyNumpy, y: SupportsSamples, **options: Unpack[MixupOptions]
) -> tuple[AnyNumpy, AnyNumpy]: ...
@overload
def mixup(x: Samples, y: None = None, **options: Unpack[MixupOptions]) -> tuple[Samples, None]: ...
@overload
def mixup(
    x: Samples, y: SupportsSamples, **options: Unpack[MixupOptions]
) -> tuple[Samples, Samples]: ...
@random_by("rng")
def mixup(
    x: Array,
    y: Array | None = None,
    *,
    alpha: float = 1.0,
    per_sample: bool = True,
    num_classes: int | None = None,
    ignore_index: int | None = None,
    anchored: bool = True,
    donors: Literal["same", "other"] | None = None,
    groups: SupportsSamples | None = None,
    rng: RNG = None,
) -> tuple[Any, Any]:
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
        Whether to draw one :math:`\lambda` for each output, or one for the batch.
    num_classes : int, optional
        Number of classes; required for integer labels.
    ignore_index : int, optional
        The label that does not count, as in `Plan.mix_labels`.
    anchored : bool, default True
        Whether sample i is the first of the pair of output i; otherwise a random sample is.
    donors : "same" or "other", optional
        Which samples a sample may be mixed with, by `groups`: those of its own group, or those of
        other groups; see `zeta_plan`.
    groups : array of int, shape (N,), optional
        The groups that `donors` refers to: classes, patients, volumes.
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
        integers or bool, which may be ids: cast what may be averaged, or use ``plan @ x``.
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
    rule = Mixup(alpha=alpha, per_sample=per_sample, anchored=anchored, donors=donors)
    options: Any = {"num_classes": num_classes, "ignore_index": ignore_index, "groups": groups}
    return mix(x, y, rule, **options, rng=rng)


@overload
def cutmix(
    x: AnyNumpy, y: None = None, **options: Unpack[CutMixOptions]
) -> tuple[AnyNumpy, None]: ...
@overload
def cutmix(
    x: AnyNumpy, y: SupportsSamples, **options: Unpack[CutMixOptions]
) -> tuple[AnyNumpy, AnyNumpy]: ...
@overload
def cutmix(
    x: Samples, y: None = None, **options: Unpack[CutMixOptions]
) -> tuple[Samples, None]: ...
@overload
def cutmix(
    x: Samples, y: SupportsSamples, **options: Unpack[CutMixOptions]
) -> tuple[Samples, Samples]: ...
@random_by("rng")
def cutmix(
    x: Array,
    y: Array | None = None,
    *,
    alpha: float = 1.0,
    axes: Sequence[int] = (-2, -1),
    per_sample: bool = True,
    num_classes: int | None = None,
    ignore_index: int | None = None,
    anchored: bool = True,
    donors: Literal["same", "other"] | None = None,
    groups: SupportsSamples | None = None,
    rng: RNG = None,
) -> tuple[Any, Any]:
    r"""Paste a random box of one sample into another, and mix labels by volume.

    The box takes the share :math:`(1 - \lambda)^{1/k}` of each of its k axes, with
    :math:`\lambda \sim \mathrm{Beta}(\alpha, \alpha)`; its centre is uniform. A box that crosses
    the border is clipped, and labels are mixed by the share of the sample that remains.

    Parameters
    ----------
    x : array, shape (N, ...)
        Samples of any dtype, with at least one axis besides the first.
    y : array, shape (N, ...), optional
        Labels in one of the forms of `Plan.mix_labels`; those that have the axes are pasted, too.
    alpha : float, default 1.0
        Positive parameter of the Beta distribution.
    axes : sequence of int, default (-2, -1)
        Axes of `x` along which the box extends: any number of them, but not the first axis of `x`.
    per_sample : bool, default True
        Whether to draw a box for each output, or one for the batch.
    num_classes : int, optional
        Number of classes; required for integer labels.
    ignore_index : int, optional
        The label that does not count, as in `Plan.mix_labels`.
    anchored : bool, default True
        Whether the box of output i is pasted into sample i; otherwise into a random sample.
    donors : "same" or "other", optional
        Which samples a sample may be mixed with, by `groups`: those of its own group, or those of
        other groups; see `zeta_plan`.
    groups : array of int, shape (N,), optional
        The groups that `donors` refers to: classes, patients, volumes.
    rng : optional
        Source of randomness, as in `zeta_plan`.

    Returns
    -------
    x_mixed : array, shape (N, ...)
        Samples with pasted boxes, with the library, device and dtype of `x`: nothing is averaged,
        so integers stay integers.
    y_mixed : array or None
        Mixed labels.

    Raises
    ------
    ValueError
        If an argument is out of range, or `x` and `y` differ in length or device.
    TypeError
        If an argument has the wrong type, or `x` and `y` are of different libraries.

    References
    ----------
    Yun, Han, Oh, Chun, Choe, Yoo, "CutMix: Regularization Strategy to Train Strong Classifiers with
    Localizable Features", ICCV 2019.

    Examples
    --------
    >>> import numpy as np
    >>> from zetamix import cutmix
    >>> x = np.stack([np.zeros((4, 4)), np.ones((4, 4))])
    >>> mixed, soft = cutmix(x, np.asarray([0, 1]), num_classes=2, rng=0)
    >>> bool(np.allclose(mixed.mean(axis=(1, 2)), soft[:, 1]))
    True
    """
    rule = CutMix(alpha=alpha, axes=axes, per_sample=per_sample, anchored=anchored, donors=donors)
    options: Any = {"num_classes": num_classes, "ignore_index": ignore_index, "groups": groups}
    return mix(x, y, rule, **options, rng=rng)
