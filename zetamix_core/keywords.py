"""Name the right keyword for randomness when a call uses that of another function."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

__all__ = ["random_by"]

Function = TypeVar("Function", bound=Callable[..., Any])

_WHAT = {
    "rng": "a seed, a generator or a key, such as rng=0",
    "seed": "a whole number, such as seed=0",
    "key": "a JAX key, such as key=jax.random.key(0)",
    "random_state": "a seed or a generator, such as random_state=0",
}


def random_by(word: str) -> Callable[[Function], Function]:
    """Make a function, or the ``__init__`` of a class, refuse the other names of this keyword."""
    others = frozenset(_WHAT) - {word}

    def decorated(function: Function) -> Function:
        @functools.wraps(function)
        def called(*args: Any, **options: Any) -> Any:
            if not others.isdisjoint(options):
                of_class = function.__name__ == "__init__"
                name = type(args[0]).__name__ if of_class else function.__name__
                wrong = min(others & options.keys())
                raise TypeError(
                    f"{name} takes its randomness as {word}=, got {wrong}=; pass {_WHAT[word]}"
                )
            return function(*args, **options)

        return cast("Function", called)

    return decorated
