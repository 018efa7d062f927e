"""What can't be mixed, though it may look like an array: what it is, and what to pass instead.

Checks go by type and read a few attributes. They look at values only once it is certain that there
will be an error.
"""

from __future__ import annotations

import numbers
import sys
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from zetamix_core.arrays import (
    Array,
    is_array,
    is_dask,
    is_jax,
    is_jax_tracer,
    is_numpy,
    is_torch,
    library,
)
from zetamix_core.dtypes import kind_of

_DEEP = 3  # a field of an object that holds a dict of arrays
_MAX_BITS = 1000  # Python refuses to print integers of several thousand digits


class Finding(NamedTuple):
    """The rule that something breaks, what it is, and what to do."""

    rule: str
    got: str
    remedy: str


def unfit(x: Array, it: str) -> Finding | None:
    """Return what keeps an array from being mixed, None if nothing does.

    `it` is how code names the array, for remedies.
    """
    if is_torch(x):
        return _unfit_tensor(x, it)
    if type(x) is np.ndarray and x.dtype.kind in "biufc":  # most often
        return None
    if is_dask(x):
        return _unfit_blocks(x, it) or _not_numeric(x, it)
    if isinstance(x, np.ma.MaskedArray):
        return _masked(_described("a masked array", x), f"{it}.filled(...)")
    if _package(x) == "sparse":
        return _sparse(_described(f"a {name_of(x)}", x), f"{it}.todense()")
    return _not_numeric(x, it)


def foreign(x: Any, it: str) -> Finding:
    """Return the finding for something that is not an array of a supported library."""
    return Finding("must be an array of a supported library", name_of(x), _conversion(x, it))


def looks_like_an_array(x: Any) -> bool:
    """Return whether something holds numbers in a form of its own, such as tables and files."""
    if isinstance(x, str | bytes):  # NumPy's, too
        return False
    return hasattr(x, "__array__") or (hasattr(x, "shape") and hasattr(x, "dtype"))


def holds_arrays(x: Any) -> bool:
    """Tell whether something that is no nested structure has arrays as its attributes or items."""
    if isinstance(x, type) or callable(x) or isinstance(x, (str, bytes)):
        return False
    if hasattr(x, "keys") and hasattr(x, "batch_size"):  # as those of tensordict
        return True
    return _reaches_arrays(x, _DEEP)


def _reaches_arrays(x: Any, depth: int) -> bool:
    """Return whether there are arrays in attributes and items, down to some depth."""
    if is_array(x):
        return True
    if not depth:
        return False
    parts: list[Any] = [*getattr(x, "__dict__", {}).values()]
    slots = getattr(type(x), "__slots__", ())
    parts += [getattr(x, name, None) for name in ([slots] if isinstance(slots, str) else slots)]
    if isinstance(x, (list, tuple, set, frozenset, deque)):
        parts += x
    elif isinstance(x, Mapping):
        parts += x.values()
    plain = (str, bytes, int, float, bool, type(None))
    return any(_reaches_arrays(part, depth - 1) for part in parts if not isinstance(part, plain))


def name_of(x: Any) -> str:
    """Return the name of a type, with its package where that helps."""
    package = _package(x)
    name = type(x).__name__
    return name if package in ("builtins", "__main__") else f"{package}.{name}"


def shown(x: Any, form: Callable[[Any], str] = repr) -> str:
    """Return what an error message shows of an argument; of tables and files only the type."""
    if isinstance(x, int) and x.bit_length() > _MAX_BITS:
        return f"an int of {x.bit_length()} bits"
    if type(x) is tuple and any(isinstance(item, int) for item in x):
        return f"({', '.join(map(shown, x))}{',' * (len(x) == 1)})"
    return name_of(x) if looks_like_an_array(x) and not is_array(x) else form(x)


def static_remedy(name: str, value: Any) -> str | None:
    """Return what to do with a traced argument that must be known while tracing, else None."""
    found = value[0] if isinstance(value, tuple) and value else value
    if not is_jax_tracer(found):
        return None
    return f"make it static: jax.jit(..., static_argnames={name.partition(' ')[0]!r})"


# --- arrays ---------------------------------------------------------------------------------------


def _unfit_tensor(x: Array, it: str) -> Finding | None:
    torch = sys.modules["torch"]
    if x.is_nested:
        got = f"a nested tensor of {x.size(0)} samples and dtype {x.dtype}"
        remedy = f"pass torch.nested.to_padded_tensor({it}, ...)"
        return Finding("must have samples of one shape", got, remedy)
    if x.layout is not torch.strided:
        got = _described(f"a tensor of layout {x.layout},", x)
        return _sparse(got, f"{it}.to_dense()")
    if x.is_quantized:
        got = _described("a quantized tensor", x)
        return Finding("must hold plain numbers", got, f"pass {it}.dequantize()")
    if type(x).__name__ == "MaskedTensor":
        return _masked(_described("a MaskedTensor", x), f"{it}.to_tensor(...)")
    return None


def _unfit_blocks(x: Array, it: str) -> Finding | None:
    meta = x._meta
    if isinstance(meta, np.ma.MaskedArray):
        got = _described("a Dask array of masked blocks", x)
        return _masked(got, f"dask.array.ma.filled({it}, ...)")
    if _package(meta) == "sparse":
        got = _described("a Dask array of sparse blocks", x)
        return _sparse(got, f"{it}.map_blocks(lambda block: block.todense())")
    return None


def _masked(got: str, filled: str) -> Finding:
    return Finding("must have no mask", got, f"pass {filled} with a number for missing values")


def _sparse(got: str, dense: str) -> Finding:
    return Finding("must be dense", got, f"pass {dense}")


def _not_numeric(x: Array, it: str) -> Finding | None:
    if kind_of(x) is not None:
        return None
    what, remedy = _content(x, it)
    return Finding("must hold numbers", _described(what, x), remedy)


def _content(x: Array, it: str) -> tuple[str, str]:
    """Return what an array holds instead of numbers, and what to make of it."""
    if is_jax(x):
        return "JAX keys", "draw numbers from them, or take them out"
    dtype = x.dtype
    if not isinstance(dtype, np.dtype):
        return f"an array of {library(x)}", "fill missing values, or cast to a numeric dtype"
    if dtype.kind in "UST":
        return "text", _classes(it)
    if dtype.kind in "mM":
        return "times", f"pass {it}.astype('float64')"
    if dtype.names is not None:
        return "records", _fields(dtype, it)
    if dtype.kind == "O":
        return "Python objects", _objects(x, it)
    return "raw bytes", f"pass {it}.view(...) of a numeric dtype"


def _classes(it: str) -> str:
    return f"for classes pass numpy.unique({it}, return_inverse=True)[1]"


def _fields(dtype: np.dtype, it: str) -> str:
    names = dtype.names or ("",)
    if all(dtype[name].kind in "biufc" for name in names):
        return (
            f"pass a field as {it}[{names[0]!r}], or all of them by "
            f"numpy.lib.recfunctions.structured_to_unstructured({it})"
        )
    return f"pass a field of numbers, as {it}[{names[0]!r}]"


def _objects(x: Array, it: str) -> str:
    numeric = f"pass {it}.astype(float)"
    if not is_numpy(x):
        return f"{numeric}, or {_classes(it)}"
    if x.size and all(isinstance(value, str | bytes) for value in x.flat):
        return _classes(it)
    if all(isinstance(value, numbers.Number | np.number) for value in x.flat):
        return numeric
    return f"fill missing values, bring all samples to one shape, and {numeric}"


# --- other things ---------------------------------------------------------------------------------


def _conversion(x: Any, it: str) -> str:
    """Return how to make an array of something that is not one, in one step that works."""
    package = _package(x)
    if package in ("h5py", "zarr"):
        wrap = f"from_zarr({it})" if package == "zarr" else f"from_array({it}, chunks=...)"
        return (
            f"pass dask.array.{wrap}, which zetamix.zeta_mixup mixes lazily, or read the samples "
            f"of a batch, as in {it}[:32]"
        )
    if package == "pandas":
        return _conversion_of_table(x, it)
    if package == "polars":
        return _conversion_of_polars(x, it)
    if isinstance(x, list | tuple):
        return _conversion_of_list(x, it)
    for method in ("toarray", "todense"):  # sparse arrays
        if hasattr(x, method):
            return f"pass {it}.{method}()"
    if holds_arrays(x):
        convert = "to_dict()" if hasattr(x, "to_dict") else "__dict__"
        return f"pass the arrays that it holds, as in {it}.{convert}"
    if hasattr(x, "__array__") or isinstance(x, range | memoryview):
        return f"pass numpy.asarray({it})"
    return "pass an array, for instance of NumPy"


def _conversion_of_list(x: list | tuple, it: str) -> str:
    if x and all(isinstance(item, str | bytes) for item in x):
        return _classes(it)
    if x and is_array(x[0]):
        return f"pass {library(x[0])}.stack({it}), if they are of one shape"
    return f"pass numpy.asarray({it}), if all rows are of one length"


def _conversion_of_table(x: Any, it: str) -> str:
    """Return how to turn what pandas holds into numbers, including its own dtypes and Arrow's."""
    as_floats = "to_numpy(dtype='float64', na_value=numpy.nan)"
    if hasattr(x, "dtypes") and isinstance(x.dtypes, Iterable):
        numeric = all(dtype.kind in "biuf" for dtype in x.dtypes)
        columns = "" if numeric else ".select_dtypes('number')"
        return f"pass {it}{columns}.{as_floats}"
    if x.dtype.kind not in "biuf":
        return f"for classes pass pandas.factorize({it})[0]"
    whole = x.dtype.kind in "iu" and not x.isna().any()
    return f"pass {it}.{as_floats}" + (f", or for classes {it}.to_numpy('int64')" if whole else "")


def _conversion_of_polars(x: Any, it: str) -> str:
    """Return how to turn what polars holds into numbers, for all types of columns."""
    if hasattr(x, "collect") and not hasattr(x, "to_numpy"):  # a lazy table
        return f"pass {it}.select(polars.selectors.numeric()).collect().to_numpy()"
    if hasattr(x, "columns"):
        numeric = all(dtype.is_numeric() for dtype in x.dtypes)
        return f"pass {it}{'' if numeric else '.select(polars.selectors.numeric())'}.to_numpy()"
    if x.dtype.is_numeric():
        return f"pass {it}.to_numpy()"
    return f"for classes pass numpy.unique({it}.to_numpy(), return_inverse=True)[1]"


def _described(what: str, x: Array) -> str:
    return f"{what} of shape {tuple(x.shape)} and dtype {x.dtype}"


def _package(x: Any) -> str:
    return type(x).__module__.partition(".")[0]
