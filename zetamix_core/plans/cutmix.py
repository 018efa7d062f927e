"""CutMix plans: boxes of one sample pasted into another, labels mixed by the remaining area."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import numpy as np

from zetamix_core.arrays import (
    Array,
    Facts,
    device_of,
    from_host,
    is_array,
    is_dask,
    is_numpy,
    is_torch_symbol,
    namespace,
    to_host,
)
from zetamix_core.checks import (
    check_axes,
    check_out,
    check_same_place,
    checked_blocks,
)
from zetamix_core.dtypes import cast, kind, portable_float
from zetamix_core.inputs import shown
from zetamix_core.labels import LabelOptions, check_counted, checked_form, counting, expanded
from zetamix_core.linear_map import inverse, memory_order
from zetamix_core.numbers import is_whole_number
from zetamix_core.plans.base import _PLAIN, Plan
from zetamix_core.plans.entries import frozen
from zetamix_core.plans.mix import MixPlan
from zetamix_core.plans.union import seen_in_box

__all__ = ["CutMixPlan"]


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class CutMixPlan(Plan):
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
        The axes along which the boxes extend.
    lengths : tuple of int
        The lengths of these axes.

    Attributes
    ----------
    shape : tuple of int
        Number of outputs M and of samples N.
    num_outputs : int
        M, the number of outputs.
    num_samples : int
        N, the number of samples that the plan applies to.
    num_mix : int
        Two, or one for a single sample.

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

    _children = ("volumes", "lower", "upper")
    _stored = ("indices", "weights", "num_samples", "lower", "upper", "axes", "lengths")

    def __post_init__(self) -> None:
        if is_torch_symbol(self.lower):  # see MixPlan
            return
        _check_fields(self.volumes, self.lower, self.upper, self.axes, self.lengths)
        if is_numpy(self.lower):
            self._set(lower=_settled(self.lower), upper=_settled(self.upper))
        self._register()

    @property
    def num_samples(self) -> int:  # type: ignore[override]  # a field of MixPlan
        """Number of samples N that the plan applies to."""
        return self.volumes.num_samples

    @property
    def num_outputs(self) -> int:
        """Number of outputs M."""
        return self.volumes.num_outputs

    @property
    def num_mix(self) -> int:
        """Number of samples T in a mixture."""
        return self.volumes.num_mix

    def _mixed(
        self,
        x: Array,
        facts: Facts | None = None,
        out: Array | None = None,
        *,
        dtype: Any = None,
        scaled: bool = False,
    ) -> Array:
        facts = self.volumes._check_applies(x, "x", facts)
        axes = axes_of_box(self.axes, x.ndim)
        if axes is None:  # such as one number per sample
            if x.ndim > 2:
                self._refuse_lacking("arrays of three or more axes", x)
            return self.volumes._mixed(x, facts, out, dtype=dtype)
        if out is not None:
            check_out(out, x, self.num_outputs, averages=False)
        pasted = self._pasted(x, facts, axes, scaled)
        if out is None:
            return pasted if dtype is None else cast(pasted, dtype)
        out[...] = pasted
        return out

    def _mixed_labels(
        self,
        y: Array,
        options: LabelOptions = _PLAIN,
        facts: Facts | None = None,
        *,
        scaled: bool = False,
    ) -> Array:
        facts = self.volumes._check_applies(y, "y", facts)
        form = checked_form(y, options)
        axes = self._axes_of_labels(y, form.name)
        if axes is None:
            return self.volumes._mixed_labels(y, options, facts)
        pasted = self._pasted(y, facts, axes, scaled)
        if form.name == "soft":
            return pasted
        dtype = self.volumes._label_dtype(y, facts)
        return expanded(pasted, form, dtype)

    def _mixed_scaled(self, x: Array, facts: Facts | None = None, *, dtype: Any = None) -> Array:
        return self._mixed(x, facts, dtype=dtype, scaled=True)

    def _box_axes(self, ndim: int) -> tuple[int, ...] | None:
        return axes_of_box(self.axes, ndim)

    def _clip(self, i: int, rank: int, rows: Array) -> Array:
        if len(self.axes) != 2:
            raise ValueError(
                f"boxes of objects have two axes, got a plan for axes {self.axes}; draw it with "
                f"axes=(-2, -1)"
            )
        if self.num_mix < 2:  # a single sample, pasted into itself
            return rows
        order = np.argsort(self.axes)  # rows of the image before its columns
        ends = (to_host(end) for end in (self.lower, self.upper))
        low, high = (end[i if end.shape[0] > 1 else 0][order] for end in ends)
        return seen_in_box(rows, low, high, pasted=rank == 1)

    def _label_weights(self, y: Array, ignore_index: int, positions: bool) -> Array:
        facts = self.volumes._check_applies(y, "y")
        check_counted(y, facts.kind)
        axes = self._axes_of_labels(y, "masks" if y.ndim > 2 or positions else "rows")
        if axes is None:
            return self.volumes._label_weights(y, ignore_index, positions)
        pasted = self._pasted(y, facts, axes, scaled=False)
        return cast(counting(pasted, ignore_index), self.volumes._label_dtype(y, facts))

    def _axes_of_labels(self, y: Array, form: str) -> tuple[int, ...] | None:
        """Return the axes of the box in labels that are pasted, None for those mixed by volume."""
        dense = form in ("masks", "one-hot") or (form == "soft" and y.ndim > 2)
        axes = axes_of_box(self.axes, y.ndim) if dense else None
        if axes is None and dense:
            self._refuse_lacking("masks", y)
        return axes

    def _refuse_lacking(self, what: str, x: Array) -> NoReturn:
        raise ValueError(
            f"{what} must have the axes of the boxes, got shape {tuple(x.shape)} for axes "
            f"{self.axes}; draw the plan with axes counted so that all arrays have them, as in "
            f"axes=(1, 2) for channels last, axes=(-2, -1) for channels first"
        )

    def _pasted(self, x: Array, facts: Facts, axes: tuple[int, ...], scaled: bool) -> Array:
        """Paste the boxes along these axes of `x`."""
        lengths = tuple(x.shape[axis] for axis in axes)
        lower, upper = self.lower, self.upper
        if lengths != self.lengths:
            if not scaled:
                raise ValueError(
                    f"the boxes were drawn for axes {self.axes} of lengths {self.lengths}, got x "
                    f"of shape {tuple(x.shape)}; resize it, draw boxes for these lengths, or "
                    f"declare arrays of another resolution with scaled=[path]"
                )
            ratios = [new / old for new, old in zip(lengths, self.lengths, strict=True)]
            lower, upper = _scaled(lower, upper, ratios)
        indices = self.volumes._entries(x, facts).indices
        if indices is not self.volumes.indices:
            lower, upper = from_host(lower, x), from_host(upper, x)
        return _paste(x, indices, lower, upper, axes)

    def where(self, active: Array | bool) -> CutMixPlan:
        volumes = self.volumes.where(active)
        xp = namespace(self.upper)
        if isinstance(active, bool):
            active = xp.asarray(active, device=device_of(self.upper))
        # A box that ends before it begins is empty.
        upper = xp.where(active[..., None], self.upper, -1)
        return dataclasses.replace(self, volumes=volumes, upper=upper)

    @property
    def _label_plan(self) -> MixPlan:
        return self.volumes

    def _check_single(self) -> None:
        self.volumes._check_single()

    def _moved_to(self, like: Array) -> CutMixPlan:
        if is_numpy(like) or is_dask(like):
            return self
        lower, upper = (from_host(array, like) for array in (self.lower, self.upper))
        return CutMixPlan(self.volumes._moved_to(like), lower, upper, self.axes, self.lengths)

    def _described(self) -> str:
        described = f"axes={self.axes}, lengths={self.lengths}"
        if is_array(self.lower) and isinstance(self.volumes, MixPlan):
            return f"{self.volumes._described()}, {described}"
        ends = f"lower={self.lower!r}, upper={self.upper!r}"
        return f"volumes={self.volumes!r}, {ends}, {described}"

    def _to_store(self) -> Mapping[str, Any]:
        boxes = {name: getattr(self, name) for name in ("lower", "upper", "axes", "lengths")}
        return {**self.volumes._to_store(), **boxes}

    @classmethod
    def _from_stored(cls, arrays: Mapping[str, np.ndarray]) -> CutMixPlan:
        axes, lengths = (tuple(map(int, arrays[name])) for name in ("axes", "lengths"))
        volumes = MixPlan._from_stored(arrays)
        return cls(volumes, arrays["lower"], arrays["upper"], axes, lengths)


def _settled(ends: np.ndarray) -> np.ndarray:
    """Return read-only ends, in a dtype that all libraries have."""
    return frozen(ends, portable_float(ends.dtype.newbyteorder("=")))


def _check_fields(volumes: Any, lower: Any, upper: Any, axes: Any, lengths: Any) -> None:
    if not isinstance(volumes, MixPlan):
        raise TypeError(
            f"volumes must be the MixPlan that mixes labels, got {type(volumes).__name__}; draw "
            f"the whole plan with cutmix_plan"
        )
    if volumes.num_mix > 2:
        raise ValueError(
            f"volumes must mix two samples per output, one outside the box and one inside, got "
            f"num_mix={volumes.num_mix}; draw the whole plan with cutmix_plan"
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
    if 0 in axes or len(set(axes)) < len(axes):
        raise ValueError(
            f"axes must be distinct and not include the first, got {axes}; pass for instance "
            f"(-2, -1)"
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


def axes_of_box(axes: tuple[int, ...], ndim: int) -> tuple[int, ...] | None:
    """Return the axes of a box counted from the front, None in an array that lacks them."""
    positive = tuple(axis + ndim if axis < 0 else axis for axis in axes)
    return positive if all(1 <= axis < ndim for axis in positive) else None


def _scaled(lower: Array, upper: Array, ratios: list[float]) -> tuple[Array, Array]:
    """Return the ends of boxes at another resolution.

    They are rounded to the nearest cell, ties to even; outwards where the box would vanish.
    """
    xp = namespace(lower)
    factor = xp.asarray(ratios, dtype=lower.dtype, device=device_of(lower))
    low, high = lower * factor, upper * factor
    nothing = (upper > lower) & (xp.round(high) <= xp.round(low))
    return (
        xp.where(nothing, xp.floor(low), xp.round(low)),
        xp.where(nothing, xp.ceil(high), xp.round(high)),
    )


def from_front(axes: Sequence[int], ndim: int) -> tuple[int, ...]:
    """Return the axes counted from the front."""
    axes = check_axes(axes)
    positive = tuple(axis + ndim if axis < 0 else axis for axis in axes)
    distinct = len(set(positive)) == len(positive) > 0
    if not distinct or not all(1 <= axis < ndim for axis in positive):
        raise ValueError(
            f"axes must be one or more distinct axes of x other than the first, got "
            f"{shown(tuple(axes))} for an array of {ndim} axes; pass for instance axes=(-1,) for "
            f"series"
        )
    return positive


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
    return pasted.rechunk(x.chunks) if is_dask(x) and pasted.shape == x.shape else pasted
