"""CutMix plans, and how their boxes are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zetamix_core.annotations import RNG, Donors, SupportsSamples
from zetamix_core.arrays import Array, from_host, is_numpy, namespace
from zetamix_core.checks import check_alpha, check_flag, check_like, check_shape
from zetamix_core.donors import checked_pool, spoiled
from zetamix_core.inputs import shown
from zetamix_core.keywords import random_by
from zetamix_core.plans.cutmix import CutMixPlan, from_front
from zetamix_core.plans.drawing import drawn_indices
from zetamix_core.plans.mix import MixPlan
from zetamix_core.random import Stream, stream_for
from zetamix_core.rounding import on_grid

__all__ = ["cutmix_plan"]

_CHANNELS = 4  # the most that images have


@random_by("rng")
def cutmix_plan(
    shape: Sequence[int],
    *,
    alpha: float = 1.0,
    axes: Sequence[int] = (-2, -1),
    per_sample: bool = True,
    anchored: bool = True,
    anchors: SupportsSamples | None = None,
    donors: Donors = None,
    groups: SupportsSamples | None = None,
    rng: RNG = None,
    like: SupportsSamples | None = None,
) -> CutMixPlan:
    r"""Draw a CutMix plan: which boxes of which samples are pasted into which.

    A box takes the share :math:`(1 - \lambda)^{1/k}` of each of its k axes, with
    :math:`\lambda \sim \mathrm{Beta}(\alpha, \alpha)`; its centre is uniform, and it is clipped
    at the border.

    Parameters
    ----------
    shape : sequence of int
        Shape (N, ...) of the samples.
    alpha : float, default 1.0
        Positive parameter of the Beta distribution.
    axes : sequence of int, default (-2, -1)
        Axes along which the boxes extend: any number of them, but not the first axis. Counted from
        the end, they must not cut through what looks like channels: an axis of at most four entries
        beside one of more than eight.
    per_sample : bool, default True
        Whether to draw a box for each output, or one for all.
    anchored : bool, default True
        Whether the box of output i is pasted into sample i; otherwise into a random sample.
    anchors, donors, groups : optional
        Which samples boxes are pasted into, and from which, as in `zeta_plan`; a sample without
        donors gets an empty box.
    rng : optional
        Source of randomness, as in `zeta_plan`.
    like : array, optional
        Array whose library and device the plan takes; NumPy if None or a Dask array.

    Returns
    -------
    CutMixPlan
        The two samples of each output, and the box.

    Raises
    ------
    ValueError
        If an argument is out of range.
    TypeError
        If an argument has the wrong type, or a portable `rng` is used inside a JAX transformation.

    References
    ----------
    Yun, Han, Oh, Chun, Choe, Yoo, "CutMix: Regularization Strategy to Train Strong Classifiers with
    Localizable Features", ICCV 2019.

    Examples
    --------
    >>> import numpy as np
    >>> from zetamix import cutmix_plan
    >>> plan = cutmix_plan((2, 3, 8, 8), rng=0)
    >>> plan.lengths, (plan @ np.zeros((2, 3, 8, 8))).shape
    ((8, 8), (2, 3, 8, 8))
    """
    shape = check_shape(shape)
    check_flag("anchored", anchored)
    check_flag("per_sample", per_sample)
    check_like(like)
    alpha = check_alpha(alpha)
    n = shape[0]
    pool = checked_pool(n, None, anchored=anchored, anchors=anchors, donors=donors, groups=groups)
    lengths = tuple(shape[axis] for axis in from_front(axes, len(shape)))
    _check_lengths(shape, axes, lengths)
    stream = stream_for(rng, like)
    num_outputs = n if pool is None else pool.num_outputs
    drawn = (num_outputs, n, min(2, n))
    indices, samples = drawn_indices(drawn, anchored, stream, pool)
    lower, upper = _boxes(stream, alpha, num_outputs if per_sample else 1, lengths)
    if samples is not None:
        samples = from_host(samples, upper) if is_numpy(samples) else samples
        upper = namespace(upper).where((samples > 1)[:, None], upper, lower)
        lower = namespace(lower).broadcast_to(lower, upper.shape)
    volumes = _volumes(indices, n, lower, upper, lengths)
    if pool is not None:
        volumes = volumes._with(indices, spoiled(pool, volumes.weights))
    return CutMixPlan(volumes, lower, upper, tuple(axes), lengths)


def _check_lengths(shape: Any, axes: Any, lengths: tuple[int, ...]) -> None:
    """Check that boxes fit, and do not cut through what looks like channels."""
    if any(length < 2 for length in lengths):
        raise ValueError(
            f"the axes of a box must have two entries or more, got lengths {shown(lengths)}, in "
            f"which boxes cover nothing; leave such axes out"
        )
    counted_from_the_end = all(axis < 0 for axis in axes)
    if counted_from_the_end and min(lengths) <= _CHANNELS and max(lengths) > 2 * _CHANNELS:
        front = from_front(axes, len(shape))
        raise ValueError(
            f"boxes must not cut through channels, got axes {shown(tuple(axes))} of lengths "
            f"{shown(lengths)} for shape {shown(tuple(shape))}; pass axes=(1, 2) for images with "
            f"channels last, axes=(-1,) for series, or axes={front}, counted from the front, if "
            f"these axes are meant"
        )


def _boxes(
    stream: Stream, alpha: float, rows: int, lengths: tuple[int, ...]
) -> tuple[Array, Array]:
    """Return the lower and upper ends of the boxes, each of shape (rows, k)."""
    kept = stream.dirichlet(alpha, (rows, 2), rounded=False)
    xp = namespace(kept)
    centres = stream.uniform((rows, len(lengths)))
    share = kept[:, 1] ** (1 / len(lengths))
    lower, upper = [], []
    for column, length in enumerate(lengths):
        side = xp.floor(share * length)
        # Rounded, not truncated: otherwise boxes would cover the first cells more often.
        start = xp.floor(centres[:, column] * length - side / 2 + 0.5)
        end = start + side
        lower.append(xp.where(start > 0, start, 0))
        upper.append(xp.where(end < length, end, length))
    return xp.stack(lower, axis=1), xp.stack(upper, axis=1)


def _volumes(
    indices: Array, n: int, lower: Array, upper: Array, lengths: tuple[int, ...]
) -> MixPlan:
    """Return the plan that mixes labels of n samples by the volume outside and inside of boxes."""
    num_outputs, num_mix = indices.shape
    xp = namespace(lower)
    inside = xp.ones_like(lower[:, 0])
    for column, length in enumerate(lengths):
        inside = inside * (upper[:, column] - lower[:, column]) / length
    if num_mix == 1:
        weights = xp.ones_like(inside)[:, None]
    else:
        weights = on_grid(xp.stack([1 - inside, inside], axis=1), inside.dtype)
    return MixPlan._drawn(indices, weights if weights.shape[0] == num_outputs else weights[0, :], n)
