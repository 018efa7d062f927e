"""CutMix: boxes of one sample pasted into another, labels by the area that remains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zetamix_core._arrays import Array, device_of, is_dask, is_whole_number, kind, namespace
from zetamix_core._checks import check_alpha, check_flag, check_same_samples, check_samples
from zetamix_core.plans import MixPlan
from zetamix_core.sampling import Stream, stream_for

__all__ = ["cutmix"]


def cutmix(
    x: Array,
    y: Array | None = None,
    *,
    alpha: float = 1.0,
    axes: Sequence[int] = (-2, -1),
    per_sample: bool = True,
    num_classes: int | None = None,
    anchored: bool = True,
    rng: Any = None,
) -> tuple[Array, Array | None]:
    r"""Paste a random box of one sample into another, and mix labels by volume.

    The sides of the box are the share :math:`(1 - \lambda)^{1/k}` of each of k axes, with
    :math:`\lambda \sim \mathrm{Beta}(\alpha, \alpha)`; its centre is uniform. A box that reaches
    over the border is clipped, and labels are mixed with the share of the sample that is left.

    Parameters
    ----------
    x : array, shape (N, ...)
        Samples of any dtype, with at least one axis besides the first.
    y : array, shape (N, ...), optional
        Labels in one of the forms of `MixPlan.mix_labels`, except masks.
    alpha : float, default 1.0
        Positive parameter of the Beta distribution.
    axes : sequence of int, default (-2, -1)
        Axes of `x` that the box extends along; any number but the first axis of `x`.
    per_sample : bool, default True
        Draw a box for each output, or one for the batch.
    num_classes : int, optional
        Number of classes; required for integer labels.
    anchored : bool, default True
        Whether the box is pasted into sample i for output i; else into a random one.
    rng : optional
        Source of randomness, as in `zeta_plan`.

    Returns
    -------
    x_mixed : array, shape (N, ...)
        Samples with pasted boxes, of the library, device and dtype of `x`: nothing is averaged, so
        that integers stay.
    y_mixed : array or None
        Mixed labels.

    Raises
    ------
    ValueError
        If an argument is out of range, `y` is a mask, or `x` and `y` differ in length or device.
    TypeError
        If an argument has the wrong type, or `x` and `y` are of different libraries.

    References
    ----------
    Yun, Han, Oh, Chun, Choe, Yoo, "CutMix: Regularization Strategy to Train Strong Classifiers with
    Localizable Features", ICCV 2019.

    Examples
    --------
    >>> import numpy as np
    >>> from zetamix_core import cutmix
    >>> x = np.stack([np.zeros((4, 4)), np.ones((4, 4))])
    >>> mixed, soft = cutmix(x, np.asarray([0, 1]), num_classes=2, rng=0)
    >>> bool(np.allclose(mixed.mean(axis=(1, 2)), soft[:, 1]))
    True
    """
    n = check_samples("x", x)
    check_flag("anchored", anchored)
    check_flag("per_sample", per_sample)
    alpha = check_alpha(alpha)
    axes = _check_axes(axes, x.ndim)
    if y is not None:
        check_same_samples(x, y)
        _check_no_mask(y, num_classes)
    stream = stream_for(rng, x)
    indices = stream.orderings(n, n, min(2, n), anchored=anchored)
    lengths = tuple(x.shape[axis] for axis in axes)
    lower, upper = _boxes(stream, alpha, n if per_sample else 1, lengths)
    plan = _volume_plan(indices, lower, upper, lengths)
    y_mixed = None if y is None else plan.mix_labels(y, num_classes)
    return _paste(x, indices, lower, upper, axes), y_mixed


def _check_axes(axes: Sequence[int], ndim: int) -> tuple[int, ...]:
    """Return the axes counted from the front."""
    if not isinstance(axes, (tuple, list)) or not all(map(is_whole_number, axes)):
        raise TypeError(
            f"axes must be a tuple of whole numbers, got {axes!r}; pass for instance axes=(-2, -1)"
        )
    positive = tuple(axis + ndim if axis < 0 else axis for axis in axes)
    distinct = len(set(positive)) == len(positive) > 0
    if not distinct or not all(1 <= axis < ndim for axis in positive):
        raise ValueError(
            f"axes must be one or more different axes of x besides the first, got "
            f"{tuple(axes)} for an array of {ndim} axes; pass for instance axes=(-1,) for series"
        )
    return positive


def _check_no_mask(y: Array, num_classes: int | None) -> None:
    if kind(y) in ("integer", "bool") and y.ndim > 1 and (y.ndim, y.shape[1]) != (2, num_classes):
        raise ValueError(
            f"cutmix mixes labels by volume, which makes no sense for masks, got integer labels "
            f"of shape {tuple(y.shape)}; stack the mask to x as one more channel to cut both alike"
        )


def _boxes(
    stream: Stream, alpha: float, rows: int, lengths: tuple[int, ...]
) -> tuple[list[Array], list[Array]]:
    """Return the lower and upper ends of the boxes along each axis, each of shape (rows,)."""
    if 0 in lengths:
        raise ValueError(f"the axes of a box must not be empty, got lengths {lengths}; drop them")
    kept = stream.dirichlet(alpha, (rows, 2))
    xp = namespace(kept)
    centres = stream.uniform((rows, len(lengths)))
    share = kept[:, 1] ** (1 / len(lengths))
    lower, upper = [], []
    for column, length in enumerate(lengths):
        side = xp.floor(share * length)
        # Rounded, not cut off: else boxes would cover the first cells more often than the last.
        start = xp.floor(centres[:, column] * length - side / 2 + 0.5)
        end = start + side
        lower.append(xp.where(start > 0, start, 0))
        upper.append(xp.where(end < length, end, length))
    return lower, upper


def _volume_plan(
    indices: Array, lower: list[Array], upper: list[Array], lengths: tuple[int, ...]
) -> MixPlan:
    """Return the plan that mixes labels by the volume outside and inside of the boxes."""
    n, num_mix = indices.shape[0], indices.shape[1]
    xp = namespace(lower[0])
    inside = xp.ones_like(lower[0])
    for low, high, length in zip(lower, upper, lengths, strict=True):
        inside = inside * (high - low) / length
    if num_mix == 1:
        weights = xp.ones_like(inside)[:, None]
    else:
        weights = xp.stack([1 - inside, inside], axis=1)
    return MixPlan(indices, weights if weights.shape[0] == n else weights[0, :], n)


def _paste(
    x: Array, indices: Array, lower: list[Array], upper: list[Array], axes: tuple[int, ...]
) -> Array:
    xp = namespace(x)
    base, donor = (xp.take(x, indices[:, rank], axis=0) for rank in (0, -1))
    inside = None
    for low, high, axis in zip(lower, upper, axes, strict=True):
        places = namespace(low).arange(x.shape[axis], dtype=low.dtype, device=device_of(low))
        along = (places >= low[:, None]) & (places < high[:, None])
        shape = [1] * x.ndim
        shape[0], shape[axis] = along.shape[0], along.shape[1]
        along = namespace(low).reshape(along, tuple(shape))
        inside = along if inside is None else inside & along
    pasted = xp.where(inside, donor, base)
    return pasted.rechunk(x.chunks) if is_dask(x) else pasted
