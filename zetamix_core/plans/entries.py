"""The arrays of a plan: the checks they pass, and the form that every use relies on."""

from __future__ import annotations

from typing import Any

import numpy as np

from zetamix_core.arrays import (
    Array,
    is_array,
    is_jax,
    namespace,
    ready_values,
    to_host,
    torch_is_compiling,
)
from zetamix_core.checks import (
    check_fit,
    check_num_samples,
    check_same_place,
)
from zetamix_core.dtypes import cast, default_float, kind, portable_float, working_dtype
from zetamix_core.rounding import lowered


def is_untouched(weights: Array) -> bool:
    """Return whether nobody has written to the weights of a plan, a torch tensor."""
    if torch_is_compiling():  # a plan from outside of the graph
        return False
    return not weights.is_inference() and weights._version == 0


def weights_for(weights: np.ndarray, like: Array) -> Array:
    """Return weights of NumPy in a dtype that the library of `like` has."""
    # JAX without its 64-bit mode would narrow the weights, off their grid, by itself.
    if is_jax(like):
        return lowered(weights, default_float(like))
    if torch_is_compiling():  # graphs have no NumPy dtypes
        return weights
    return lowered(weights, portable_float(weights.dtype))


def frozen(array: np.ndarray, dtype: Any) -> np.ndarray:
    """Return a read-only array: a copy, unless it was passed read-only."""
    # The memory of a read-only view may still be writable elsewhere.
    array = array.astype(dtype, copy=array.flags.writeable or array.base is not None)
    array.flags.writeable = False
    return array


def check_arrays(indices: Array, weights: Array, num_samples: int) -> None:
    if not (is_array(indices) and is_array(weights)):
        raise TypeError(
            f"indices and weights of a plan must be arrays, got {type(indices).__name__} and "
            f"{type(weights).__name__}; convert them, for instance with numpy.asarray"
        )
    check_fit("indices", indices)
    check_fit("weights", weights)
    if kind(indices) != "integer" or kind(weights) != "floating":
        raise TypeError(
            f"a plan has integer indices and floating weights, got dtypes {indices.dtype} and "
            f"{weights.dtype}; cast them"
        )
    check_same_place(indices, weights, "indices and weights", "convert one of them")
    check_num_samples(num_samples)
    shapes = tuple(indices.shape), tuple(weights.shape)
    if not fit(*shapes):
        raise ValueError(misfit(*shapes))


def fit(indices: tuple[int, ...], weights: tuple[int, ...]) -> bool:
    """Return whether these are the shapes of the arrays of one plan."""
    return len(indices) == 2 and indices[1] >= 1 and weights in (indices, indices[1:])


def misfit(indices: tuple[int, ...], weights: tuple[int, ...]) -> str:
    return (
        f"indices must have shape (M, T) and weights (T,) or (M, T) with T >= 1, got {indices} "
        f"and {weights}; reshape them"
    )


def check_indices(indices: Array, num_samples: int, given: Array) -> None:
    """Check indices whose values can be read at no cost."""
    values = ready_values(indices)
    if values is None or values.size == 0:
        return
    # As unsigned integers, negative numbers are large: one pass instead of two.
    if values.view(f"u{values.dtype.itemsize}").max() >= num_samples:
        read = to_host(given)
        raise ValueError(
            f"indices must be from 0 to num_samples - 1 = {num_samples - 1}, got values from "
            f"{read.min()} to {read.max()}; check num_samples"
        )


def check_weights(weights: Array) -> None:
    """Check weights whose values can be read at no cost."""
    exact = working_dtype(namespace(weights), weights.dtype)
    values = ready_values(cast(weights, exact))
    if values is None:
        return
    # The sums of narrow floats are as far from 1 as the floats are from the numbers they stand for.
    tolerance = 1e-3 if weights.dtype == exact else 1 / 8
    sums = values.sum(axis=-1)
    if not (np.all(values >= 0) and np.all(np.abs(sums - 1) <= tolerance)):
        raise ValueError(
            f"the weights of an output must be >= 0 and sum to 1, got a smallest weight of "
            f"{values.min()} and sums from {sums.min()} to {sums.max()}; divide by the sum"
        )
