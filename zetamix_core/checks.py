"""Checks of arguments that several functions take. Each message names rule, value and remedy."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from zetamix_core.arrays import (
    Array,
    Facts,
    device_of,
    grad_is_enabled,
    host_values,
    is_array,
    is_dask,
    is_jax,
    is_numpy,
    is_torch,
    library,
    quick_facts,
    share_memory,
)
from zetamix_core.dtypes import kind, kind_of
from zetamix_core.inputs import Finding, foreign, shown, static_remedy, unfit
from zetamix_core.numbers import as_real, as_whole, is_whole_number

MAX_ENTRIES = 2**26
MIN_ALPHA = 1e-6
MAX_SAMPLES = 2**31 - 1  # the most that 32-bit indices, JAX's default, can count


def check_count(name: str, value: Any, remedy: str = "pass a positive int") -> int:
    """Return `value` as an int that is at least 1."""
    if type(value) is int and value >= 1:
        return value
    count = as_whole(value)
    if count is None:
        raise TypeError(
            f"{name} must be a whole number >= 1, got {shown(value)} of type "
            f"{type(value).__name__}; " + (static_remedy(name, value) or "pass an int")
        )
    if count < 1:
        raise ValueError(f"{name} must be >= 1, got {shown(value, str)}; {remedy}")
    return count


def check_number(
    name: str, value: Any, bounds: tuple[float, float], *, rule: str, remedy: str
) -> float:
    """Return a real number as a float, after checking its bounds, both included."""
    number = as_real(value)
    if number is not None and bounds[0] <= number <= bounds[1]:
        return number
    error = TypeError if number is None else ValueError
    raise error(f"{name} must be {rule}, got {shown(value)}; {remedy}")


def check_num_mix_of_batches(num_mix: Any, batch_size: int) -> None:
    """Check that batches have at least `num_mix` samples; None means all."""
    if num_mix is not None and check_count("num_mix", num_mix) > batch_size:
        raise ValueError(
            f"num_mix must be between 1 and batch_size, got num_mix={num_mix} for batches of "
            f"{batch_size}; pass a larger batch_size, or None for whole batches"
        )


def check_gamma_of_batches(gamma: Any) -> None:
    """Check that gamma is the same for all batches."""
    check_gamma(gamma)
    if is_array(gamma) and np.ndim(gamma):
        raise ValueError(
            f"gamma must be one number for all batches, got an array of shape {np.shape(gamma)}; "
            f"draw plans yourself for one gamma per output"
        )


def check_shape(shape: Any) -> tuple[int, ...]:
    """Return the shape of samples, whose first length is their number."""
    if type(shape) is tuple and {*map(type, shape)} == {int}:  # most often
        return (check_num_samples(shape[0]), *shape[1:])
    if not isinstance(shape, (tuple, list)) or not all(map(is_whole_number, shape)) or not shape:
        raise TypeError(
            f"shape must be a tuple of whole numbers, samples first, got {shown(shape)}; "
            + (static_remedy("shape", shape) or "pass x.shape")
        )
    return (check_num_samples(shape[0]), *shape[1:])


def check_num_samples(n: Any) -> int:
    if type(n) is int and 1 <= n <= MAX_SAMPLES:
        return n
    if is_array(n) and n.ndim:
        raise TypeError(
            f"n must be the number of samples, got an array of shape {tuple(n.shape)} and dtype "
            f"{n.dtype}; pass len(x)"
        )
    count = check_count("n (the number of samples)", n, remedy="skip empty batches")
    if count > MAX_SAMPLES:
        raise ValueError(
            f"n must be at most 2**31 - 1, got {shown(n, str)}; draw plans for parts of the data"
        )
    return count


def check_num_mix(num_mix: Any, n: int) -> int:
    """Return T, n by default."""
    if num_mix is None:
        return n
    count = check_count("num_mix", num_mix)
    if count > n:
        raise ValueError(
            f"num_mix must be between 1 and the number of samples, got "
            f"num_mix={shown(num_mix, str)} for {n} samples; pass min(num_mix, n), or None for all "
            f"of them"
        )
    return count


def check_num_outputs(num_outputs: Any, n: int) -> int:
    """Return M, n by default."""
    return n if num_outputs is None else check_count("num_outputs", num_outputs)


def check_size(num_outputs: int, num_mix: int) -> None:
    if num_outputs * num_mix > MAX_ENTRIES:
        raise ValueError(
            f"a plan holds at most 2**26 entries (num_outputs * num_mix), got "
            f"{shown(num_outputs, str)} * {shown(num_mix, str)}; pass a smaller num_mix, such as "
            f"32, which leaves out 0.0009 of the weight at gamma=2.8 (theory.tail_weight)"
        )


def check_gamma(gamma: Any) -> Any:
    """Return gamma as a float, or as the 0-d or 1-d floating array that it is."""
    if type(gamma) is float and gamma >= 0:
        return gamma
    if is_array(gamma):
        return _check_gamma_array(gamma)
    number = as_real(gamma)
    if number is None:
        raise TypeError(
            f"gamma must be a number >= 0 or a one-dimensional array of them, got {shown(gamma)} "
            f"of type {type(gamma).__name__}; pass a float"
        )
    if not number >= 0:  # true for NaN too
        raise ValueError(
            f"gamma must be a number >= 0, got {shown(gamma, str)}; the paper uses 2.8"
        )
    return number


def _check_gamma_array(gamma: Array) -> Array:
    if is_dask(gamma):
        raise TypeError("gamma must not be lazy, got a Dask array; pass gamma.compute()")
    check_fit("gamma", gamma)
    if gamma.ndim > 1 or kind(gamma) not in ("floating", "integer"):
        raise ValueError(
            f"gamma must be a number or a one-dimensional array of real numbers, one for each "
            f"output, got shape {tuple(gamma.shape)} and dtype {gamma.dtype}; reshape or cast it"
        )
    values = host_values(gamma)
    if values is not None and not np.all(values >= 0):  # false for NaN too
        bad = values[~(values >= 0)].ravel()[0]
        raise ValueError(f"gamma must be >= 0 everywhere, got {bad}; the paper uses 2.8")
    return gamma


def check_alpha(alpha: Any) -> float:
    number = as_real(alpha)
    if number is None:
        raise TypeError(
            f"alpha must be a positive number, got {shown(alpha)} of type {type(alpha).__name__}; "
            + (static_remedy("alpha", alpha) or "pass a float")
        )
    if not MIN_ALPHA <= number <= 1 / MIN_ALPHA:
        raise ValueError(
            f"alpha must be a positive number from 1e-6 to 1e6, got {shown(alpha, str)}; "
            f"alpha=1 draws weights uniformly, and beyond these limits they hardly vary"
        )
    return number


def check_is_array(name: str, x: Any) -> None:
    """Check that `x` is an array that can be mixed, with an axis of samples."""
    if not is_array(x):
        raise TypeError(said_of(name, foreign(x, as_code(name))))
    check_fit(name, x)
    if x.ndim < 1:
        raise ValueError(
            f"{name} must have samples along its first axis, got a 0-d array; add an axis"
        )


def check_fit(name: str, x: Array, otherwise: str = "") -> None:
    """Check that an array holds plain numbers: no text, mask, sparse or nested form."""
    if found := unfit(x, as_code(name)):
        raise TypeError(said_of(name, found, otherwise))


def checked_blocks(name: str, x: Array) -> Array:
    """Return a Dask array that checks its blocks when it is computed, anything else as it is.

    Before that, a Dask array does not know for certain what its blocks are.
    """
    if not is_dask(x):
        return x
    return x.map_blocks(functools.partial(_checked_block, name), dtype=x.dtype, meta=x._meta)


def _checked_block(name: str, block: Array) -> Array:
    if found := unfit(block, "block"):
        raise TypeError(
            f"the blocks of {name} {found.rule}, got {found.got}; in {name}.map_blocks(...) "
            f"{found.remedy}"
        )
    return block


def said_of(name: str, found: Finding, otherwise: str = "") -> str:
    return f"{name} {found.rule}, got {found.got}; {found.remedy}{otherwise}"


def as_code(name: str) -> str:
    """Return how remedies write an argument whose name may be a phrase."""
    return "array" if " " in name else name


def examined(name: str, x: Any) -> Facts:
    """Check that something is an array of samples that can be mixed, and return its facts."""
    facts = quick_facts(x)
    if facts is not None and 1 <= facts.length <= MAX_SAMPLES:
        return facts
    return Facts(_checked_samples(name, x), kind(x), library(x))


def check_samples(name: str, x: Any) -> int:
    """Return the length of the first axis of an array of samples, which must be known."""
    return examined(name, x).length


def _checked_samples(name: str, x: Any) -> int:
    check_is_array(name, x)
    n = x.shape[0]
    if n is None or n != n:  # None in the standard, NaN in Dask
        raise ValueError(
            f"the number of samples of {name} must be known, got shape {x.shape}; for Dask arrays "
            f"call compute_chunk_sizes() first"
        )
    return check_num_samples(n)


def check_like(like: Any) -> None:
    if like is None or quick_facts(like) is not None:
        return
    if not is_array(like):
        raise TypeError(
            f"like must be an array, whose library and device are taken, or None for NumPy, got "
            f"{shown(like)}; pass for instance the samples themselves"
        )
    check_fit("like", like)


def check_flag(name: str, value: Any) -> None:
    if type(value) is not bool and not isinstance(value, np.bool):
        remedy = static_remedy(name, value) or "pass a bool"
        raise TypeError(f"{name} must be True or False, got {shown(value)}; {remedy}")


# Dtypes of integer images, and how many axes they have at least. Integers of other widths or with
# fewer axes are more often ids or counts.
_PIXELS = {"uint8": 2, "int8": 3, "int16": 3, "uint16": 3}


def holds_pixels(x: Array) -> bool:
    """Return whether `x` holds integer images, judged by dtype and number of axes."""
    name = x.dtype.name if isinstance(x.dtype, np.dtype) else str(x.dtype).rpartition(".")[2]
    return bool(x.ndim >= _PIXELS.get(name.lower(), math.inf))


def check_no_ids(name: str, x: Array, found: str | None = None) -> None:
    """Check that samples, whose kind may be known, are not integers that may be ids."""
    if (found or kind_of(x)) in ("integer", "bool") and not holds_pixels(x):
        raise ValueError(
            f"{name} must be floating or complex, or integer images (uint8 with two or more "
            f"axes, 8 or 16 bits with three or more), so that ids are never averaged, got shape "
            f"{tuple(x.shape)} and dtype {x.dtype}; cast numbers that may be averaged to a "
            f"floating dtype, or mix them as plan @ {as_code(name)} with a plan from zeta_plan"
        )


# Types by which torchvision marks what has no mean, and what to do with them.
_MARKED = {
    "BoundingBoxes": "take those of the heaviest sample with dominant=, leave them with keep=, or "
    "collect them with plan.union",
    "KeyPoints": "take those of the heaviest sample with dominant=, or leave them with keep=",
    "Mask": "mix it as labels, by num_classes, or pass as_data for a mask of plain numbers",
}


def check_unmarked(name: str, x: Array) -> None:
    """Check that samples to be averaged are not of a type marked as having no mean."""
    kind = type(x).__name__
    if kind in _MARKED and is_torch(x):
        raise ValueError(
            f"coordinates and masks can't be averaged, got {kind} of shape {tuple(x.shape)} and "
            f"dtype {x.dtype}{' at ' + repr(name) if name else ''}; {_MARKED[kind]}"
        )


def check_lengths(names: Iterable[str], arrays: Iterable[Array], otherwise: str = "") -> None:
    """Check that all arrays of a batch have as many samples as the first."""
    first: Any = None
    for name, array in zip(names, arrays, strict=True):
        if first is None:
            first = name, array.shape[0]
        elif array.shape[0] != first[1]:
            raise ValueError(
                f"all arrays of a batch must have the same number of samples, got {first[1]} in "
                f"{first[0]} and {array.shape[0]} in {name}; check that they come from the same "
                f"batch{otherwise}"
            )


def check_same_samples(x: Array, y: Array, known: Facts | None = None) -> Facts:
    """Check that labels `y` go with samples `x`: same length, library and device."""
    facts = quick_facts(y)
    if facts is None:
        check_is_array("y", y)
    if y.shape[0] != x.shape[0]:
        raise ValueError(
            f"x and y must have the same number of samples, got {x.shape[0]} and {y.shape[0]} "
            f"(shapes {tuple(x.shape)} and {tuple(y.shape)}); check that they come from the same "
            f"batch"
        )
    if not (known and facts and known.library == facts.library == "numpy"):
        check_same_place(x, y, "x and y", f"convert y to {library(x)} on the device of x")
    return facts or Facts(y.shape[0], kind(y), library(y))


def check_same_place(a: Array, b: Array, names: str, remedy: str) -> None:
    """Check that two arrays are of the same library and on the same device."""
    if library(a) != library(b):
        raise TypeError(
            f"{names} must be arrays of the same library, got {library(a)} and {library(b)}; "
            f"{remedy}"
        )
    places = device_of(a), device_of(b)
    if None not in places and places[0] != places[1]:
        raise ValueError(
            f"{names} must be on the same device, got {places[0]} and {places[1]}; {remedy}"
        )


def check_out(out: Any, x: Array, num_outputs: int, *, averages: bool = True) -> None:
    """Check an array to write the mixture of `x` to."""
    check_is_array("out", out)
    if is_jax(out) or is_dask(out):
        raise TypeError(
            f"out must be an array that can be written to, got one of {library(out)}; leave it out "
            f"and use the returned array"
        )
    check_same_place(x, out, "x and out", f"allocate out in {library(x)} on the device of x")
    shape = (num_outputs, *x.shape[1:])
    if tuple(out.shape) != shape:
        raise ValueError(
            f"out must have the shape of the mixture, {shape}, got {tuple(out.shape)}; allocate it "
            f"in that shape"
        )
    needed = "complex" if kind(x) == "complex" else "floating"
    if kind(out) != needed and (averages or out.dtype != x.dtype):
        raise TypeError(
            f"out must be of {needed} dtype for samples of dtype {x.dtype}, got {out.dtype}; "
            f"round or convert the mixture afterwards"
        )
    if is_numpy(out) and not out.flags.writeable:
        raise ValueError("out must be writable, got a read-only array; pass a copy of it")
    if _repeats_memory(out):
        raise ValueError(
            f"out must have separate memory for each entry, got an array expanded along an axis "
            f"(shape {shape}); pass a copy of it"
        )
    if is_torch(out) and out.requires_grad and out.is_leaf and grad_is_enabled():
        raise ValueError(
            f"out must not be a leaf that requires grad, got such a tensor of shape {shape}; pass "
            f"out.detach(), or mix under torch.no_grad()"
        )
    if share_memory(x, out):
        raise ValueError(
            f"out must not overlap x, which is read while out is written, got arrays that may "
            f"overlap (shapes {tuple(x.shape)} and {shape}); pass another array"
        )


def _repeats_memory(out: Array) -> bool:
    """Return whether an array is expanded along an axis."""
    strides = out.stride() if is_torch(out) else getattr(out, "strides", ())
    return 0 not in out.shape and any(
        stride == 0 and length > 1 for stride, length in zip(strides, out.shape, strict=False)
    )


def check_active(active: Any, beside: Array, num_outputs: int) -> None:
    """Check whether `active` is a bool, or an array of one bool for all or for each output."""
    if isinstance(active, bool):
        return
    if not is_array(active) or kind_of(active) != "bool":
        raise TypeError(
            f"active must be a bool or an array of bool, got {active!r}; compare, for instance "
            f"uniform < p"
        )
    if tuple(active.shape) not in ((), (num_outputs,)):
        raise ValueError(
            f"active must have shape () or ({num_outputs},), one for each output, got shape "
            f"{tuple(active.shape)}; reshape it"
        )
    check_same_place(beside, active, "the plan and active", "convert active")


def check_axes(axes: Any) -> tuple[int, ...]:
    if not isinstance(axes, (tuple, list)) or not all(map(is_whole_number, axes)):
        raise TypeError(
            f"axes must be a tuple of whole numbers, got {shown(axes)}; "
            + (static_remedy("axes", axes) or "pass for instance axes=(-2, -1)")
        )
    return tuple(axes)
