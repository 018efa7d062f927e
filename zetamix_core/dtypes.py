"""What dtypes hold, which ones libraries lack, and how to convert them."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from zetamix_core.arrays import (
    NUMPY_KINDS,
    Array,
    Namespace,
    is_dask,
    is_jax,
    is_numpy,
    is_torch,
    namespace,
)

_KINDS = {
    "bool": "bool",
    "integral": "integer",
    "real floating": "floating",
    "complex floating": "complex",
}


def kind(x: Array) -> str:
    """Return "bool", "integer", "floating" or "complex"."""
    if found := kind_of(x):
        return found
    raise TypeError(
        f"arrays must hold numbers, got dtype {x.dtype}; convert it to a numeric dtype first"
    )


def is_extension(dtype: Any) -> bool:
    """Return whether a package adds this dtype to NumPy, such as bfloat16 and int4."""
    return isinstance(dtype, np.dtype) and dtype.isbuiltin == 2


def kind_of(x: Array) -> str | None:
    """Return what `kind` does, None where an array does not hold numbers."""
    dtype = x.dtype
    if isinstance(dtype, np.dtype):  # JAX, CuPy and Dask have these, too
        return NUMPY_KINDS.get(dtype.kind) or _extension_kind(dtype)
    if is_torch(x):
        if dtype.is_complex:
            return "complex"
        if dtype.is_floating_point:
            return "floating"
        return "bool" if dtype == sys.modules["torch"].bool else "integer"
    if is_jax(x):  # its own dtypes are those of keys
        return None
    xp = namespace(x)
    return next((name for kind, name in _KINDS.items() if xp.isdtype(dtype, kind)), None)


def _extension_kind(dtype: Any) -> str | None:
    if not is_extension(dtype):
        return None
    return "floating" if "float" in dtype.name else "integer" if "int" in dtype.name else None


def default_float(x: Array) -> Any:
    """Return the floating dtype that the library of `x` gives to Python floats."""
    if is_torch(x):
        return sys.modules["torch"].get_default_dtype()
    if isinstance(x, np.ndarray):
        return np.dtype(np.float64)
    return namespace(x).asarray(0.0).dtype


def widest_integer(x: Array) -> Any:
    """Return int64 of the library of `x`; int32 for JAX without its 64-bit mode."""
    if is_jax(x):
        return sys.modules["jax"].dtypes.canonicalize_dtype(np.int64)
    return sys.modules["torch"].int64 if is_torch(x) else namespace(x).int64


def portable_float(dtype: np.dtype) -> np.dtype:
    """Return a dtype for NumPy's weights in other libraries, which lack some dtypes."""
    if is_extension(dtype) or dtype.itemsize < 4:
        return np.dtype(np.float32)
    return np.dtype(np.float64) if dtype.itemsize > 8 else dtype


def widest_float(x: Array) -> Any:
    """Return float64, or float32 for JAX without its 64-bit mode and for Apple's GPUs."""
    if is_jax(x):
        return default_float(x)
    if is_torch(x) and x.device.type == "mps":
        return namespace(x).float32
    return namespace(x).float64


def _bits(xp: Namespace, dtype: Any) -> int:
    """Return how many bits a real number of a floating or complex dtype has."""
    # The libraries' own answers take several calls.
    if isinstance(dtype, np.dtype):
        return dtype.itemsize * (4 if dtype.kind == "c" else 8)
    if hasattr(dtype, "is_complex"):  # of torch
        return int(dtype.itemsize) * (4 if dtype.is_complex else 8)
    return int(xp.finfo(dtype).bits)


def working_dtype(xp: Namespace, dtype: Any) -> Any:
    """Return the dtype to accumulate a floating or complex `dtype` in: never below 32 bits."""
    if is_extension(dtype):
        return xp.float32  # all other dtypes are narrow
    if _bits(xp, dtype) >= 32:
        return dtype
    return xp.complex64 if getattr(dtype, "is_complex", False) else xp.float32


def real_dtype(xp: Namespace, dtype: Any) -> Any:
    """Return the real dtype with the precision of a floating or complex `dtype`."""
    if isinstance(dtype, np.dtype):
        complexes = dtype.kind == "c"
    else:
        complexes = xp.isdtype(dtype, "complex floating")
    if not complexes:
        return dtype
    return xp.float32 if dtype == xp.complex64 else xp.float64


def weights_dtype(like: Array | None) -> Any:
    """Return the dtype of a plan's weights: float64 for None and double `like`, else float32."""
    if like is None:
        return np.float64
    if isinstance(like, np.ndarray):
        wide = like.dtype.kind in "fc" and _bits(np, like.dtype) >= 64
        return np.float64 if wide and not is_extension(like.dtype) else np.float32
    if is_torch(like):
        torch = sys.modules["torch"]
        wide = like.dtype in (torch.float64, torch.complex128)
        return torch.float64 if wide else torch.float32
    if is_dask(like):
        return np.float64
    xp = namespace(like)
    inexact = kind(like) in ("floating", "complex") and not is_extension(like.dtype)
    return xp.float64 if inexact and _bits(xp, like.dtype) >= 64 else xp.float32


def host_dtype(dtype: Any) -> Any:
    """Return NumPy's name for a dtype of weights, so that no device gets wider ones."""
    return np.float64 if "float64" in str(dtype) else np.float32


def is_integer(dtype: Any) -> bool:
    """Return whether a dtype of numbers is an integer dtype."""
    if isinstance(dtype, np.dtype):
        return dtype.kind in "iu"
    if hasattr(dtype, "is_complex"):  # of torch
        return not (dtype.is_complex or dtype.is_floating_point)
    return "int" in str(dtype)


def rounded(x: Array, dtype: Any) -> Array:
    """Return `x` with `dtype`; integers are rounded to the nearest, ties to even, and clipped."""
    if x.dtype == dtype:
        return x
    if not is_integer(dtype):
        return cast(x, dtype)
    xp = namespace(x)
    limits = xp.iinfo(dtype)
    return cast(xp.clip(xp.round(x), limits.min, limits.max), dtype)


def cast(x: Array, dtype: Any) -> Array:
    """Return `x` with `dtype`, or `x` itself if nothing changes."""
    if x.dtype == dtype:
        return x
    if is_torch(x):
        return x.to(dtype)
    if is_numpy(x):
        return x.astype(dtype)  # the standard's astype knows no extension dtype
    return namespace(x).astype(x, dtype)
