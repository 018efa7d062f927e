"""The plan of CutMix: boxes of one sample pasted into another, labels by the area that remains."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from zetamix_core._arrays import (
    Array,
    cast,
    device_of,
    from_host,
    is_array,
    is_dask,
    is_numpy,
    is_torch_symbol,
    is_whole_number,
    kind,
    namespace,
    portable_float,
)
from zetamix_core._checks import (
    check_alpha,
    check_axes,
    check_flag,
    check_is_array,
    check_like,
    check_num_samples,
    check_same_place,
    checked_blocks,
)
from zetamix_core._inputs import shown, static_remedy
from zetamix_core._pytrees import register_with_jax
from zetamix_core._trees import mix_tree
from zetamix_core.mixing import inverse, memory_order
from zetamix_core.plans import MixPlan, frozen
from zetamix_core.rounding import on_grid
from zetamix_core.sampling import Stream, stream_for

__all__ = ["CutMixPlan", "cutmix_plan"]


def cutmix_plan(
    shape: Sequence[int],
    *,
    alpha: float = 1.0,
    axes: Sequence[int] = (-2, -1),
    per_sample: bool = True,
    anchored: bool = True,
    rng: Any = None,
    like: Array | None = None,
) -> CutMixPlan:
    r"""Draw a CutMix plan: which boxes of which samples are pasted into which.

    The sides of a box are the share :math:`(1 - \lambda)^{1/k}` of each of k axes, with
    :math:`\lambda \sim \mathrm{Beta}(\alpha, \alpha)`; its centre is uniform, and it is clipped
    at the border.

    Parameters
    ----------
    shape : sequence of int
        Shape (N, ...) of the samples.
    alpha : float, default 1.0
        Positive parameter of the Beta distribution.
    axes : sequence of int, default (-2, -1)
        Axes that the boxes extend along; any number but the first axis.
    per_sample : bool, default True
        Draw a box for each output, or one for all.
    anchored : bool, default True
        Whether the box is pasted into sample i for output i; else into a random one.
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
    shape = _check_shape(shape)
    check_flag("anchored", anchored)
    check_flag("per_sample", per_sample)
    check_like(like)
    alpha = check_alpha(alpha)
    n = shape[0]
    lengths = tuple(shape[axis] for axis in _from_front(axes, len(shape)))
    stream = stream_for(rng, like)
    indices = stream.orderings(n, n, min(2, n), anchored=anchored)
    lower, upper = _boxes(stream, alpha, n if per_sample else 1, lengths)
    return CutMixPlan(_volumes(indices, lower, upper, lengths), lower, upper, tuple(axes), lengths)


@dataclasses.dataclass(frozen=True, eq=False)
class CutMixPlan:
    r"""Which boxes of which samples are pasted into which: draw once, apply to anything.

    Output i is sample :math:`s_i(1)`, except in box i, where it is sample :math:`s_i(2)`. Drawn by
    `cutmix_plan`; applies like a `MixPlan`.

    Parameters
    ----------
    volumes : MixPlan
        The two samples of each output, weighted by the volume outside and inside of the box; mixes
        the labels.
    lower, upper : array of float, shape (M, k) or (1, k)
        Ends of the boxes along each of k axes, in cells.
    axes : tuple of int
        The axes that the boxes extend along.
    lengths : tuple of int
        The lengths of these axes.

    Raises
    ------
    ValueError
        If the plan mixes more than two samples, or shapes and lengths do not fit.
    TypeError
        If a field has the wrong type.

    See Also
    --------
    cutmix_plan : Draw such a plan.

    Examples
    --------
    >>> import numpy as np
    >>> from zetamix import cutmix_plan
    >>> image, mask = np.ones((2, 3, 8, 8)), np.ones((2, 8, 8), dtype=int)
    >>> plan = cutmix_plan(image.shape, rng=0)
    >>> (plan @ image).shape, (plan @ mask).dtype  # the same boxes in both
    ((2, 3, 8, 8), dtype('int64'))
    """

    volumes: MixPlan
    lower: Array
    upper: Array
    axes: tuple[int, ...]
    lengths: tuple[int, ...]

    __array_ufunc__ = None  # else NumPy would take `x @ plan` apart before refusing it

    def __post_init__(self) -> None:
        if is_torch_symbol(self.lower):  # see MixPlan
            return
        _check_fields(self.volumes, self.lower, self.upper, self.axes, self.lengths)
        if is_numpy(self.lower):
            for name in ("lower", "upper"):
                ends = getattr(self, name)
                dtype = portable_float(ends.dtype.newbyteorder("="))
                object.__setattr__(self, name, frozen(ends, dtype))
        register_with_jax(CutMixPlan, ("volumes", "lower", "upper"))

    def __matmul__(self, x: Array) -> Array:
        """Paste boxes of samples into others.

        Parameters
        ----------
        x : array, shape (N, ...)
            Samples of any dtype, as long along the axes of the boxes as the plan was drawn for.

        Returns
        -------
        array, shape (M, ...)
            Samples with pasted boxes, of the library, device and dtype of `x`: nothing is averaged,
            so that integers stay.

        Raises
        ------
        ValueError
            If `x` has another shape than the plan was drawn for, or another device.
        TypeError
            If `x` is no array, or of another library than a plan that is not of NumPy.

        Examples
        --------
        >>> import numpy as np
        >>> from zetamix import cutmix_plan
        >>> x = np.stack([np.zeros((8, 8)), np.ones((8, 8))])
        >>> mixed = cutmix_plan((2, 8, 8), rng=0) @ x
        >>> np.unique(mixed)  # nothing is averaged
        array([0., 1.])
        """
        self.volumes._check_applies(x)
        volumes = self.volumes._placed(x)
        axes = _from_front(self.axes, x.ndim)
        lengths = tuple(x.shape[axis] for axis in axes)
        if lengths != self.lengths:
            raise ValueError(
                f"the boxes were drawn for axes {self.axes} of lengths {self.lengths}, got x of "
                f"shape {tuple(x.shape)}; resize it, or draw boxes for these lengths"
            )
        lower, upper = self.lower, self.upper
        if volumes is not self.volumes:
            lower, upper = from_host(lower, x), from_host(upper, x)
        return _paste(x, volumes.indices, lower, upper, axes)

    def apply(
        self,
        tree: Any,
        *,
        num_classes: Mapping[str, int] | None = None,
        as_data: Iterable[str] = (),
        keep: Iterable[str] = (),
    ) -> Any:
        """Paste the same boxes in every array of a nested structure that shares the first axis.

        Parameters
        ----------
        tree : array, or nested dict, list, tuple and named tuple of arrays
            The first axis of each array has N samples.
        num_classes : mapping of str to int, optional
            Paths of labels with their number of classes, as in `MixPlan.apply`.
        as_data : iterable of str, optional
            Paths of integer arrays to paste boxes in, such as masks and uint8 images.
        keep : iterable of str, optional
            Paths of what is to be left as it is, of any type.

        Returns
        -------
        tree of arrays
            The structure of `tree`, with mixed arrays; the input is left alone.

        Raises
        ------
        ValueError
            If an integer array is not declared, or a declared path is not in `tree`.
        TypeError
            If a leaf is neither an array nor None.

        Examples
        --------
        >>> import numpy as np
        >>> from zetamix import cutmix_plan
        >>> batch = {"image": np.ones((2, 8, 8)), "label": np.asarray([0, 1])}
        >>> mixed = cutmix_plan((2, 8, 8), rng=0).apply(batch, num_classes={"label": 2})
        >>> mixed["label"].sum(axis=1)
        array([1., 1.])
        """
        self.volumes._check_single()
        classes = {} if num_classes is None else num_classes
        return mix_tree(self, tree, num_classes=classes, as_data=as_data, keep=keep)

    def mix_labels(self, y: Array, num_classes: int | None = None) -> Array:
        """Mix labels by volume.

        Parameters
        ----------
        y : array, shape (N, ...)
            Labels in one of the forms of `MixPlan.mix_labels`, except masks.
        num_classes : int, optional
            Number of classes; required for integer labels.

        Returns
        -------
        array
            Mixed labels.

        Raises
        ------
        ValueError
            If `y` is a mask, or has labels out of range.
        TypeError
            If `y` is no array.

        Examples
        --------
        >>> import numpy as np
        >>> from zetamix import cutmix_plan
        >>> cutmix_plan((2, 8), axes=(1,), rng=0).mix_labels(np.asarray([0, 1]), 2).sum(axis=1)
        array([1., 1.])
        """
        check_is_array("y", y)
        _check_no_mask(y, num_classes)
        return self.volumes.mix_labels(y, num_classes)

    def where(self, active: Array | bool) -> CutMixPlan:
        """Return this plan where `active` holds, else one without boxes.

        Parameters
        ----------
        active : bool or array of bool, shape () or (M,)
            Which outputs to mix, of the library and device of the plan. It may be traced.

        Returns
        -------
        CutMixPlan
            The plan with empty boxes where `active` does not hold.

        Raises
        ------
        ValueError
            If `active` is an array of another shape or device.
        TypeError
            If `active` is no bool and no array of bool, or of another library than the plan.

        Examples
        --------
        >>> import numpy as np
        >>> from zetamix import cutmix_plan
        >>> x = np.arange(8.0).reshape(2, 4)
        >>> bool(np.all(cutmix_plan((2, 4), axes=(1,), rng=0).where(False) @ x == x))
        True
        """
        volumes = self.volumes.where(active)
        xp = namespace(self.upper)
        if isinstance(active, bool):
            active = xp.asarray(active, device=device_of(self.upper))
        # A box that ends before it begins is empty.
        upper = xp.where(active[..., None], self.upper, -1)
        return dataclasses.replace(self, volumes=volumes, upper=upper)


def _check_fields(volumes: Any, lower: Any, upper: Any, axes: Any, lengths: Any) -> None:
    if not isinstance(volumes, MixPlan):
        raise TypeError(
            f"volumes must be the MixPlan that mixes labels, got {type(volumes).__name__}; draw "
            f"all of the plan with cutmix_plan"
        )
    if volumes.num_mix > 2:
        raise ValueError(
            f"volumes must mix two samples an output, one in the box of the other, got "
            f"num_mix={volumes.num_mix}; draw all of the plan with cutmix_plan"
        )
    for name, numbers in (("axes", axes), ("lengths", lengths)):
        if not isinstance(numbers, tuple) or not all(map(is_whole_number, numbers)):
            raise TypeError(
                f"{name} must be a tuple of whole numbers, got {shown(numbers)}; pass for instance "
                f"axes=(-2, -1) with lengths=(32, 32)"
            )
    if not axes or len(lengths) != len(axes) or any(length < 1 for length in lengths):
        raise ValueError(
            f"axes must be one or more, each with a length >= 1, got axes {axes} and lengths "
            f"{lengths}; pass the lengths of x along these axes"
        )
    for name, ends in (("lower", lower), ("upper", upper)):
        _check_ends(name, ends, volumes, len(axes))


def _check_ends(name: str, ends: Any, volumes: MixPlan, num_axes: int) -> None:
    if not is_array(ends) or kind(ends) != "floating":
        what = f"dtype {ends.dtype}" if is_array(ends) else type(ends).__name__
        raise TypeError(f"{name} must be an array of floats, got {what}; convert it")
    num_outputs = volumes.shape[0]
    if tuple(ends.shape) not in ((num_outputs, num_axes), (1, num_axes)):
        raise ValueError(
            f"{name} must have shape ({num_outputs}, {num_axes}) or (1, {num_axes}), a box for "
            f"each output or one for all, got {tuple(ends.shape)}; reshape it"
        )
    check_same_place(volumes.weights, ends, f"volumes and {name}", f"convert {name}")


def _check_shape(shape: Any) -> tuple[int, ...]:
    if not isinstance(shape, (tuple, list)) or not all(map(is_whole_number, shape)) or not shape:
        raise TypeError(
            f"shape must be a tuple of whole numbers, samples first, got {shown(shape)}; "
            + (static_remedy("shape", shape) or "pass x.shape")
        )
    return (check_num_samples(shape[0]), *shape[1:])


def _from_front(axes: Sequence[int], ndim: int) -> tuple[int, ...]:
    """Return the axes counted from the front."""
    axes = check_axes(axes)
    positive = tuple(axis + ndim if axis < 0 else axis for axis in axes)
    distinct = len(set(positive)) == len(positive) > 0
    if not distinct or not all(1 <= axis < ndim for axis in positive):
        raise ValueError(
            f"axes must be one or more different axes of x besides the first, got "
            f"{shown(tuple(axes))} for an array of {ndim} axes; pass for instance axes=(-1,) for "
            f"series"
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
) -> tuple[Array, Array]:
    """Return the lower and upper ends of the boxes, each of shape (rows, k)."""
    if any(length < 1 for length in lengths):
        raise ValueError(
            f"the axes of a box must not be empty, got lengths {shown(lengths)}; drop them"
        )
    kept = stream.dirichlet(alpha, (rows, 2), rounded=False)
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
    return xp.stack(lower, axis=1), xp.stack(upper, axis=1)


def _volumes(indices: Array, lower: Array, upper: Array, lengths: tuple[int, ...]) -> MixPlan:
    """Return the plan that mixes labels by the volume outside and inside of the boxes."""
    n, num_mix = indices.shape[0], indices.shape[1]
    xp = namespace(lower)
    inside = xp.ones_like(lower[:, 0])
    for column, length in enumerate(lengths):
        inside = inside * (upper[:, column] - lower[:, column]) / length
    if num_mix == 1:
        weights = xp.ones_like(inside)[:, None]
    else:
        weights = on_grid(xp.stack([1 - inside, inside], axis=1), inside.dtype)
    return MixPlan._drawn(indices, weights if weights.shape[0] == n else weights[0, :], n)


def _paste(x: Array, indices: Array, lower: Array, upper: Array, axes: tuple[int, ...]) -> Array:
    x = checked_blocks("x", x)
    xp, places_of = namespace(x), namespace(lower)
    # Taken along the order of the axes in memory, samples first, which keeps that order.
    order = memory_order(x)
    rows = xp.permute_dims(x, order)
    inside = None
    for column, axis in enumerate(axes):
        places = places_of.arange(x.shape[axis], dtype=lower.dtype, device=device_of(lower))
        along = (places >= lower[:, column][:, None]) & (places < upper[:, column][:, None])
        shape = [1] * x.ndim
        shape[0], shape[order.index(axis)] = along.shape[0], along.shape[1]
        along = places_of.reshape(along, tuple(shape))
        inside = along if inside is None else inside & along
    base, donor = (xp.take(rows, indices[:, rank], axis=0) for rank in (0, -1))
    pasted = xp.permute_dims(xp.where(inside, donor, base), inverse(order))
    pasted = cast(pasted, x.dtype)  # NumPy chooses in the byte order of the machine
    return pasted.rechunk(x.chunks) if is_dask(x) else pasted
