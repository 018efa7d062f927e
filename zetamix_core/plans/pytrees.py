"""Plans as JAX pytrees, once JAX is imported."""

from __future__ import annotations

import dataclasses
import sys
import threading
from typing import Any

from zetamix_core.arrays import torch_is_compiling

_REGISTERING = threading.Lock()
_REGISTERED: set[type] = set()


def register_with_jax(kind: type, children: tuple[str, ...]) -> None:
    """Make a frozen dataclass a pytree with these fields as children, the others static, once."""
    if "jax" not in sys.modules or torch_is_compiling():
        return
    with _REGISTERING:
        if kind not in _REGISTERED:
            _register(kind, children)
            _REGISTERED.add(kind)


def _register(kind: Any, children: tuple[str, ...]) -> None:
    jax = sys.modules["jax"]
    static = tuple(f.name for f in dataclasses.fields(kind) if f.name not in children)

    def flatten(plan: Any) -> tuple[tuple[tuple[Any, Any], ...], tuple[Any, ...]]:
        keyed = ((jax.tree_util.GetAttrKey(name), getattr(plan, name)) for name in children)
        return tuple(keyed), tuple(getattr(plan, name) for name in static)

    def unflatten(values: tuple[Any, ...], leaves: tuple[Any, ...]) -> Any:
        # Transformations put other things than arrays into the leaves; these must not be checked.
        plan = object.__new__(kind)
        for name, value in zip(children + static, (*leaves, *values), strict=True):
            object.__setattr__(plan, name, value)
        return plan

    jax.tree_util.register_pytree_with_keys(kind, flatten, unflatten)
