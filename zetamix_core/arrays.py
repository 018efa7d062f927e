"""What the core needs to know about an array: library, device, and whether it can be read."""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

import array_api_compat as compat
import array_api_compat.numpy
import numpy as np

# The standard has no static type that NumPy, torch, JAX, Dask and CuPy arrays share.
Array = Any
Namespace = Any


# The commonest types of arguments that may also be arrays.
_PLAIN_VALUES = frozenset({bool, bytes, dict, float, int, list, str, tuple, type(None)})


# Whoever holds arrays of a library has imported it; nothing is imported here.


def is_torch(x: object) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(x, torch.Tensor)


def is_torch_symbol(x: object) -> bool:
    """Return whether `x` is a node of a graph under construction, without shape or values."""
    fx = sys.modules.get("torch.fx")
    return fx is not None and isinstance(x, fx.Proxy)


def is_jax(x: object) -> bool:
    jax = sys.modules.get("jax")
    # Dynamo can't check a tensor against the type of JAX.
    return jax is not None and not is_torch(x) and isinstance(x, jax.Array)


def is_numpy(x: object) -> bool:
    return isinstance(x, (np.ndarray, np.generic))


# Torch and NumPy come first here, and other libraries have no place in a graph of torch:
# array-api-compat's helpers are cached, about which Dynamo warns.


def is_cupy(x: object) -> bool:
    if isinstance(x, (np.ndarray, np.generic)) or is_torch(x):
        return False
    return not torch_is_compiling() and compat.is_cupy_array(x)


def is_dask(x: object) -> bool:
    if isinstance(x, (np.ndarray, np.generic)) or is_torch(x):
        return False
    return not torch_is_compiling() and compat.is_dask_array(x)


def is_array(x: object) -> bool:
    if type(x) in _PLAIN_VALUES:
        return False
    if isinstance(x, (np.ndarray, np.generic)) or is_torch(x):
        return True
    return not torch_is_compiling() and bool(compat.is_array_api_obj(x))


def is_jax_tracer(x: object) -> bool:
    return is_jax(x) and isinstance(x, sys.modules["jax"].core.Tracer)


def is_jax_key(value: object) -> bool:
    """Return whether `value` is one JAX key, typed or raw."""
    if not is_jax(value):
        return False
    key: Any = value
    jax = sys.modules["jax"]
    if jax.numpy.issubdtype(key.dtype, jax.dtypes.prng_key):
        return bool(key.ndim == 0)
    return bool(key.shape in ((2,), (4,)) and key.dtype == np.uint32)


def is_jax_tracing(*arrays: Array) -> bool:
    """Return whether host numbers drawn now would be frozen into a traced function of JAX.

    Inside ``jit`` even an addition of constants is staged. Under eager ``vmap`` it is not, but the
    array itself then has no readable value. Eager ``grad`` runs with values, and is not tracing.
    """
    jax = sys.modules["jax"]
    if isinstance(jax.numpy.add(0, 0), jax.core.Tracer):
        return True
    return any(is_jax_tracer(array) and array.to_concrete_value() is None for array in arrays)


def grad_is_enabled() -> bool:
    """Return whether torch, already imported, records derivatives."""
    return bool(sys.modules["torch"].is_grad_enabled())


def torch_is_compiling() -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and bool(torch.compiler.is_compiling())


def namespace(x: Array) -> Namespace:
    """Return the array-API namespace of `x`."""
    if isinstance(x, np.ndarray):  # the commonest case
        return array_api_compat.numpy
    if is_torch(x):
        import array_api_compat.torch as compat_torch

        return compat_torch
    return compat.array_namespace(x)


def library(x: Array) -> str:
    """Return the short name of the library of `x`, as error messages use it."""
    if is_torch(x):
        return "torch"
    return str(compat.array_namespace(x).__name__).removeprefix("array_api_compat.").split(".")[0]


def device_of(x: Array) -> Any:
    """Return the device that new arrays should go to, None where the library places them itself."""
    if is_torch(x):
        return x.device
    if is_jax(x):
        # JAX moves uncommitted arrays to where they are needed, and sharded ones have many devices.
        placed = not is_jax_tracer(x) and x.committed and len(x.devices()) == 1
        return next(iter(x.devices())) if placed else None
    return compat.device(x)


def from_host(host: np.ndarray, like: Array | None) -> Array:
    """Return a NumPy array in the library and on the device of `like`.

    Its memory is taken over where that is possible, unless it is read-only.
    """
    if like is None or isinstance(like, np.ndarray):
        return host
    if is_torch(like):
        ours = not torch_is_compiling() and host.flags.writeable  # graphs have no flags
        tensor = sys.modules["torch"].from_numpy(host if ours else host.copy())
        if like.device.type == "cuda":
            tensor = tensor.pin_memory()  # else the copy may wait for what the device is doing
        return tensor.to(like.device, non_blocking=True)
    if is_jax(like):
        jax = sys.modules["jax"]
        device = device_of(like)
        # Without 64-bit mode jnp.asarray narrows by itself; asking for a dtype would warn.
        array = jax.numpy.asarray(host)
        return array if device is None else jax.device_put(array, device)
    if is_numpy(like) or is_dask(like):
        return host
    host = host if host.flags.writeable else host.copy()
    return namespace(like).asarray(host, device=device_of(like))


def to_host(x: Array) -> np.ndarray:
    """Copy any concrete array to NumPy."""
    if is_torch(x):
        x = x.detach().cpu()
        # NumPy has no bfloat16; single precision holds its numbers exactly.
        return np.asarray((x.float() if x.dtype == sys.modules["torch"].bfloat16 else x).numpy())
    if is_cupy(x):
        return np.asarray(x.get())
    if is_numpy(x) or is_jax(x) or is_dask(x):
        return np.asarray(x)
    try:
        # Another array-API library: by DLPack, from a copy, as old NumPy refuses read-only memory.
        return np.from_dlpack(namespace(x).asarray(x, copy=True))
    except (AttributeError, BufferError) as error:
        raise TypeError(
            f"an array must be readable by NumPy, got one of {library(x)} that can't be exported "
            f"({error}); draw the plan with like=None, which applies to any library"
        ) from error


def same(a: Any, b: Any) -> bool:
    """Return whether two values, perhaps arrays, are equal."""
    if is_array(a) or is_array(b):
        return is_array(a) and is_array(b) and np.array_equal(to_host(a), to_host(b))
    return bool(a == b)


def is_on_cpu(x: Array) -> bool:
    if is_torch(x):
        return bool(x.device.type == "cpu")
    if is_jax(x):
        return not is_jax_tracer(x) and all(device.platform == "cpu" for device in x.devices())
    return not is_cupy(x)


def host_values(x: Array) -> np.ndarray | None:
    """Return the values of `x` where reading them costs no synchronization, else None.

    Accelerator, traced, lazy and batched (``vmap``) arrays give None.
    """
    if isinstance(x, (np.ndarray, np.generic)):
        return np.asarray(x)
    if is_torch(x):
        if x.device.type != "cpu" or torch_is_compiling():
            return None
    elif torch_is_compiling() or is_dask(x) or not is_on_cpu(x):
        return None
    try:
        return to_host(x)
    except (RuntimeError, TypeError):  # fake and batched torch tensors; what NumPy can't read
        return None


def ready_values(x: Array) -> np.ndarray | None:
    """Return what `host_values` does, but None where JAX is still computing `x`."""
    if is_jax(x) and not is_jax_tracer(x) and not x.is_ready():
        return None
    return host_values(x)


def in_memory(x: Array) -> bool:
    """Return whether `x` may go to kernels for host memory, which have no derivative.

    True for NumPy arrays and for torch tensors on the CPU, unless a transformation of torch watches
    what is done to them.
    """
    if is_numpy(x):
        return bool(x.size and x.dtype.isnative)
    return is_torch(x) and not torch_is_compiling() and has_plain_memory(x)


def has_plain_memory(x: Array) -> bool:
    """Return `in_memory` of a tensor that is not part of a graph."""
    torch = sys.modules["torch"]
    if type(x) not in (torch.Tensor, torch.nn.Parameter) or x.is_complex():
        return False
    if x.device.type != "cpu" or (x.requires_grad and grad_is_enabled()):
        return False
    try:
        derived = torch.autograd.forward_ad.unpack_dual(x).tangent is not None
        return not derived and x.data_ptr() != 0
    except RuntimeError:  # a batch of vmap has no memory of its own
        return False


def share_memory(x: Array, y: Array) -> bool:
    """Return whether the memory of two arrays may overlap, as far as that can be known."""
    if is_numpy(x) and is_numpy(y):
        return np.may_share_memory(x, y)
    if is_cupy(x) and is_cupy(y):
        return bool(sys.modules["cupy"].may_share_memory(x, y))
    if not (is_torch(x) and is_torch(y)) or torch_is_compiling():
        return False
    try:
        (x_start, x_end), (y_start, y_end) = _torch_bounds(x), _torch_bounds(y)
    except RuntimeError:  # a batch of vmap has no memory of its own; meta tensors start at 0
        return False
    return bool(x_start and x_start < y_end and y_start < x_end)


def _torch_bounds(x: Array) -> tuple[int, int]:
    """Return the addresses of the first byte of a tensor and of the first one past its end."""
    reach = sum((n - 1) * stride for n, stride in zip(x.shape, x.stride(), strict=True))
    start = x.data_ptr()
    return start, start + (reach + 1) * x.element_size() * bool(x.numel())


# --- what a call needs to know ---


NUMPY_KINDS = {"b": "bool", "i": "integer", "u": "integer", "f": "floating", "c": "complex"}


class Facts(NamedTuple):
    """What one call needs to know about an array of samples, looked up once."""

    length: int
    kind: str
    library: str


def quick_facts(x: Any) -> Facts | None:
    """Return the facts of a plain NumPy array or torch tensor, None for anything else."""
    if type(x) is np.ndarray:
        found = NUMPY_KINDS.get(x.dtype.kind)
        return Facts(x.shape[0], found, "numpy") if found and x.ndim else None
    torch = sys.modules.get("torch")
    if torch is None or type(x) is not torch.Tensor:
        return None
    if x.layout is not torch.strided or x.is_nested or x.is_quantized or not x.ndim:
        return None
    dtype = x.dtype
    if dtype.is_floating_point:
        found = "floating"
    elif dtype.is_complex:
        found = "complex"
    else:
        found = "bool" if dtype is torch.bool else "integer"
    return Facts(x.shape[0], found, "torch")
