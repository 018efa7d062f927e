"""One-call functions on pytrees: a key for each call, one plan for all leaves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypedDict, TypeVar, Unpack, overload

from zetamix.jax.pytrees import checked_batch, mixed_by
from zetamix_core.adapting import Gamma, averages, check_gamma, check_rule, random_by
from zetamix_core.rules import CutMix, Mixup, Rule, Zeta

__all__ = ["cutmix", "mix", "mixup", "zeta_mixup"]

Tree = TypeVar("Tree")
Labels = TypeVar("Labels")


class _Options(TypedDict, total=False):
    num_classes: Any
    ignore_index: int | None
    groups: Any
    axis_name: str | tuple[str, ...] | None


class _MixOptions(_Options, total=False):
    step: Any


class _ZetaOptions(_Options, total=False):
    donors: Literal["same", "other"] | None
    gamma: Gamma
    num_mix: int | None
    anchored: bool


class _MixupOptions(_Options, total=False):
    donors: Literal["same", "other"] | None
    alpha: float
    per_sample: bool
    anchored: bool


class _CutMixOptions(_MixupOptions, total=False):
    axes: Sequence[int]


@overload
def mix(
    key: Any, x: Tree, y: None = None, rule: Rule = ..., **options: Unpack[_MixOptions]
) -> tuple[Tree, None]: ...
@overload
def mix(
    key: Any, x: Tree, y: Labels, rule: Rule = ..., **options: Unpack[_MixOptions]
) -> tuple[Tree, Labels]: ...
@random_by("key")
def mix(
    key: Any,
    x: Any,
    y: Any = None,
    rule: Rule = Zeta(),  # noqa: B008 - a frozen value
    *,
    num_classes: Any = None,
    ignore_index: int | None = None,
    groups: Any = None,
    step: Any = None,
    axis_name: str | tuple[str, ...] | None = None,
) -> tuple[Any, Any]:
    """Mix a batch and its labels by any rule, in one traceable call.

    Parameters
    ----------
    key : JAX key
        One key, typed or raw.
    x : pytree of arrays, each of shape (N, ...)
        Samples, as in `zeta_mixup`; a rule that averages nothing, such as CutMix, takes any dtypes.
        Plans are drawn for the shape of the array with the most axes.
    y : pytree of arrays, each of shape (N, ...), optional
        Labels, as in `zeta_mixup`.
    rule : Rule, default Zeta()
        How the plan is drawn: one of `zetamix.rules`, or your own object with such a method.
        Inside a transformation, `zetamix.rules.OneOf` becomes a ``lax.switch`` over its rules, all
        of which must give arrays of the same shapes and dtypes.
    num_classes : int or pytree, optional
        Number of classes, as in `zeta_mixup`; required for integer labels.
    ignore_index : int, optional
        The label that does not count, as in `zeta_mixup`.
    groups : array of int, shape (N,), optional
        The groups for rules with `donors`; they may be traced.
    step : int or 0-d array, optional
        The argument of a callable `gamma`; it may be traced.
    axis_name : str or tuple of str, optional
        Named axes whose index is folded into the key, as in `zeta_mixup`.

    Returns
    -------
    x_mixed : pytree of arrays, each of shape (N, ...)
        Mixed samples, as from `zeta_mixup`.
    y_mixed : pytree of arrays or None
        Mixed labels.

    Raises
    ------
    ValueError
        As `zeta_mixup`.
    TypeError
        As `zeta_mixup`; also if `rule` is not a rule.

    See Also
    --------
    zetamix.rules : The rules.

    Examples
    --------
    >>> import jax
    >>> from jax import numpy as jnp
    >>> from zetamix.jax import mix
    >>> from zetamix.rules import CutMix, OneOf, Zeta
    >>> rule = OneOf([Zeta(num_mix=8), CutMix()])
    >>> step = jax.jit(lambda key, x, y: mix(key, x, y, rule, num_classes=3))
    >>> mixed, soft = step(jax.random.key(0), jnp.ones((4, 8, 8)), jnp.asarray([0, 2, 1, 2]))
    >>> mixed.shape, soft.shape
    ((4, 8, 8), (4, 3))
    """
    check_rule(rule)
    key, batch = checked_batch(key, x, y, axis_name, averages=averages(rule))
    return mixed_by(rule, key, batch, num_classes, ignore_index, step, groups=groups)


@overload
def zeta_mixup(
    key: Any, x: Tree, y: None = None, **options: Unpack[_ZetaOptions]
) -> tuple[Tree, None]: ...
@overload
def zeta_mixup(
    key: Any, x: Tree, y: Labels, **options: Unpack[_ZetaOptions]
) -> tuple[Tree, Labels]: ...
@random_by("key")
def zeta_mixup(
    key: Any,
    x: Any,
    y: Any = None,
    *,
    gamma: Any = 2.8,
    num_mix: int | None = None,
    num_classes: Any = None,
    ignore_index: int | None = None,
    anchored: bool = True,
    donors: Literal["same", "other"] | None = None,
    groups: Any = None,
    axis_name: str | tuple[str, ...] | None = None,
) -> tuple[Any, Any]:
    r"""Mix a batch and its labels by ζ-mixup, in one traceable call.

    .. math:: \hat{x}_i = \sum_{r=1}^{T} w_r \, x_{s_i(r)}, \quad
              \hat{y}_i = \sum_{r=1}^{T} w_r \, y_{s_i(r)}, \quad
              w_r = r^{-\gamma} / \sum_{j=1}^{T} j^{-\gamma}

    All arrays of `x` and `y` are mixed by the same plan.

    Parameters
    ----------
    key : JAX key
        One key, typed or raw, from `jax.random.key` or `jax.random.fold_in`.
    x : pytree of arrays, each of shape (N, ...)
        Samples. NumPy arrays become JAX arrays. A single array may hold integer images, uint8 with
        two or more axes, 8 or 16 bits with three or more; other pytrees may hold only floating
        arrays.
    y : pytree of arrays, each of shape (N, ...), optional
        Labels, each array in one of the forms of `Plan.mix_labels`.
    gamma : float or array of shape () or (N,), default 2.8
        Exponent :math:`\gamma \ge 0`: how close outputs stay to samples. It may be traced.
    num_mix : int, optional
        T, the number of samples in a mixture; the whole batch by default, and for a batch that has
        fewer samples.
    num_classes : int or pytree, optional
        Number of classes for all arrays of `y`, or a pytree with the structure of `y` and one
        number for each array, None for floating labels; required for integer labels.
    ignore_index : int, optional
        The label that does not count in integer labels, as in `Plan.mix_labels`.
    anchored : bool, default True
        Whether sample i has the largest weight in output i; otherwise a random sample has it.
    donors : "same" or "other", optional
        Which samples a sample may be mixed with, by `groups`; see `zetamix.zeta_plan`.
    groups : array of int, shape (N,), optional
        The groups that `donors` refers to: classes, patients, volumes. They may be traced.
    axis_name : str or tuple of str, optional
        Named axes that the call is mapped over, as inside ``shard_map``: the index along them is
        folded into the key, so that each shard draws its own plan.

    Returns
    -------
    x_mixed : pytree of arrays, each of shape (N, ...)
        The structure of `x`, with mixed arrays of the same dtypes; integer images become the
        default float.
    y_mixed : pytree of arrays or None
        The structure of `y`, with mixed labels, never in the precision of narrow floating samples.

    Raises
    ------
    ValueError
        If an argument is out of range, arrays differ in length, `x` holds integers that may be ids
        (to average those, mix ``plan @ x`` with a plan of `zetamix.zeta_plan`), or `num_classes`
        does not have the structure of `y`. While tracing, labels and γ out of range give NaN.
    TypeError
        If `key` is not one JAX key, or an argument has another wrong type.

    See Also
    --------
    zetamix.zeta_plan : Draw once, apply to several arrays; a plan is a pytree.

    References
    ----------
    Abhishek, Brown, Hamarneh, "Multi-sample ζ-mixup: richer, more realistic synthetic samples from
    a p-series interpolant", Journal of Big Data 11:43 (2024).

    Examples
    --------
    >>> import jax
    >>> from jax import numpy as jnp
    >>> from zetamix.jax import zeta_mixup
    >>> x = {"image": jnp.ones((4, 8, 8)), "age": jnp.asarray([20.0, 30.0, 40.0, 50.0])}
    >>> mixed, soft = zeta_mixup(jax.random.key(0), x, jnp.asarray([0, 2, 1, 2]), num_classes=3)
    >>> mixed["image"].shape, mixed["age"].shape, soft.argmax(axis=1).tolist()
    ((4, 8, 8), (4,), [0, 2, 1, 2])
    """
    rule = Zeta(gamma=check_gamma(gamma), num_mix=num_mix, anchored=anchored, donors=donors)
    options: Any = {"num_classes": num_classes, "ignore_index": ignore_index, "groups": groups}
    return mix(key, x, y, rule, **options, axis_name=axis_name)


@overload
def mixup(
    key: Any, x: Tree, y: None = None, **options: Unpack[_MixupOptions]
) -> tuple[Tree, None]: ...
@overload
def mixup(
    key: Any, x: Tree, y: Labels, **options: Unpack[_MixupOptions]
) -> tuple[Tree, Labels]: ...
@random_by("key")
def mixup(
    key: Any,
    x: Any,
    y: Any = None,
    *,
    alpha: float = 1.0,
    per_sample: bool = True,
    num_classes: Any = None,
    ignore_index: int | None = None,
    anchored: bool = True,
    donors: Literal["same", "other"] | None = None,
    groups: Any = None,
    axis_name: str | tuple[str, ...] | None = None,
) -> tuple[Any, Any]:
    r"""Mix a batch and its labels by mixup, in pairs and in one traceable call.

    .. math:: \hat{x} = \lambda x_1 + (1 - \lambda) x_2, \quad
              \hat{y} = \lambda y_1 + (1 - \lambda) y_2, \quad
              \lambda \sim \mathrm{Beta}(\alpha, \alpha)

    Parameters
    ----------
    key : JAX key
        One key, typed or raw.
    x : pytree of arrays, each of shape (N, ...)
        Samples, as in `zeta_mixup`.
    y : pytree of arrays, each of shape (N, ...), optional
        Labels, as in `zeta_mixup`.
    alpha : float, default 1.0
        Positive parameter of the Beta distribution; 1 draws :math:`\lambda` uniformly.
    per_sample : bool, default True
        Whether to draw one :math:`\lambda` for each output, or one for the batch.
    num_classes : int or pytree, optional
        Number of classes, as in `zeta_mixup`; required for integer labels.
    ignore_index : int, optional
        The label that does not count, as in `zeta_mixup`.
    anchored : bool, default True
        Whether sample i is the first of the pair of output i; otherwise a random sample is.
    donors, groups : optional
        Which samples a sample may be mixed with, as in `zeta_mixup`.
    axis_name : str or tuple of str, optional
        Named axes whose index is folded into the key, as in `zeta_mixup`.

    Returns
    -------
    x_mixed : pytree of arrays, each of shape (N, ...)
        Mixed samples, as from `zeta_mixup`.
    y_mixed : pytree of arrays or None
        Mixed labels.

    Raises
    ------
    ValueError
        As `zeta_mixup`.
    TypeError
        As `zeta_mixup`.

    See Also
    --------
    zetamix.mixup_plan : Draw once, apply to several arrays.

    References
    ----------
    Zhang, Cissé, Dauphin, Lopez-Paz, "mixup: Beyond Empirical Risk Minimization", ICLR 2018.

    Examples
    --------
    >>> import jax
    >>> from jax import numpy as jnp
    >>> from zetamix.jax import mixup
    >>> mixed, soft = mixup(jax.random.key(0), jnp.eye(4), jnp.eye(4))
    >>> bool(jnp.array_equal(mixed, soft)), soft.sum(axis=1).round(3).tolist()
    (True, [1.0, 1.0, 1.0, 1.0])
    """
    rule = Mixup(alpha=alpha, per_sample=per_sample, anchored=anchored, donors=donors)
    options: Any = {"num_classes": num_classes, "ignore_index": ignore_index, "groups": groups}
    return mix(key, x, y, rule, **options, axis_name=axis_name)


@overload
def cutmix(
    key: Any, x: Tree, y: None = None, **options: Unpack[_CutMixOptions]
) -> tuple[Tree, None]: ...
@overload
def cutmix(
    key: Any, x: Tree, y: Labels, **options: Unpack[_CutMixOptions]
) -> tuple[Tree, Labels]: ...
@random_by("key")
def cutmix(
    key: Any,
    x: Any,
    y: Any = None,
    *,
    alpha: float = 1.0,
    axes: Sequence[int] = (-2, -1),
    per_sample: bool = True,
    num_classes: Any = None,
    ignore_index: int | None = None,
    anchored: bool = True,
    donors: Literal["same", "other"] | None = None,
    groups: Any = None,
    axis_name: str | tuple[str, ...] | None = None,
) -> tuple[Any, Any]:
    r"""Paste a random box of one sample into another, and mix labels by volume.

    The box takes the share :math:`(1 - \lambda)^{1/k}` of each of its k axes, with
    :math:`\lambda \sim \mathrm{Beta}(\alpha, \alpha)`; its centre is uniform. A box that crosses
    the border is clipped, and labels are mixed by the share of the sample that remains.

    Parameters
    ----------
    key : JAX key
        One key, typed or raw.
    x : pytree of arrays, each of shape (N, ...)
        Samples of any dtypes. Boxes are drawn for the array with the most axes. Other arrays that
        have the axes of the box are cut too, and must have the same lengths along them. Arrays
        without these axes are mixed by volume, and refused if they hold integers that may be ids.
    y : pytree of arrays, each of shape (N, ...), optional
        Labels, as in `zeta_mixup`; those that have the axes of the box are pasted, too.
    alpha : float, default 1.0
        Positive parameter of the Beta distribution.
    axes : sequence of int, default (-2, -1)
        Axes along which the box extends, in each array of `x`: any number of them, but not the
        first axis.
    per_sample : bool, default True
        Whether to draw a box for each output, or one for the batch.
    num_classes : int or pytree, optional
        Number of classes, as in `zeta_mixup`; required for integer labels.
    ignore_index : int, optional
        The label that does not count, as in `zeta_mixup`.
    anchored : bool, default True
        Whether the box of output i is pasted into sample i; otherwise into a random sample.
    donors, groups : optional
        Which samples boxes are pasted from, as in `zeta_mixup`.
    axis_name : str or tuple of str, optional
        Named axes whose index is folded into the key, as in `zeta_mixup`.

    Returns
    -------
    x_mixed : pytree of arrays, each of shape (N, ...)
        Samples with pasted boxes, in the dtypes of `x`: where boxes are pasted, nothing is
        averaged, so integers stay integers.
    y_mixed : pytree of arrays or None
        Mixed labels.

    Raises
    ------
    ValueError
        As `zeta_mixup`; also if arrays of `x` differ in length along `axes`.
    TypeError
        As `zeta_mixup`.

    See Also
    --------
    zetamix.cutmix_plan : Draw once, apply to several arrays.

    References
    ----------
    Yun, Han, Oh, Chun, Choe, Yoo, "CutMix: Regularization Strategy to Train Strong Classifiers with
    Localizable Features", ICCV 2019.

    Examples
    --------
    >>> import jax
    >>> from jax import numpy as jnp
    >>> from zetamix.jax import cutmix
    >>> y = jnp.asarray([0, 1, 1, 0])
    >>> x = jnp.ones((4, 8, 8)) * y[:, None, None]
    >>> mixed, soft = cutmix(jax.random.key(0), x, y, num_classes=2)
    >>> bool(jnp.allclose(mixed.mean(axis=(1, 2)), soft[:, 1]))
    True
    """
    rule = CutMix(alpha=alpha, axes=axes, per_sample=per_sample, anchored=anchored, donors=donors)
    options: Any = {"num_classes": num_classes, "ignore_index": ignore_index, "groups": groups}
    return mix(key, x, y, rule, **options, axis_name=axis_name)
