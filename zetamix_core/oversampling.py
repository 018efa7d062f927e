"""Oversampling of tables and arrays: more rows of rare classes, mixed from existing ones."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import numpy as np

from zetamix_core.annotations import RNG, Samples, SupportsSamples
from zetamix_core.arrays import (
    Array,
    Facts,
    from_host,
    grad_is_enabled,
    is_array,
    is_cupy,
    is_dask,
    is_jax_tracer,
    is_numpy,
    is_torch,
    library,
    namespace,
    to_host,
)
from zetamix_core.checks import (
    check_count,
    check_is_array,
    check_number,
    check_same_samples,
    examined,
    said_of,
)
from zetamix_core.donors import Groups, check_groups
from zetamix_core.inputs import foreign, shown
from zetamix_core.keywords import random_by
from zetamix_core.kin import Kin, check_growable, neighbor_table
from zetamix_core.plans import MixPlan, zeta_plan
from zetamix_core.random import Stream, stream_for
from zetamix_core.random.portable import PortableStream
from zetamix_core.sparse import examined_sparse, is_sparse, stacked_rows
from zetamix_core.strategies import Strategy, new_rows
from zetamix_core.theory import dominance_threshold

__all__ = ["oversample"]

# New rows are drawn in blocks of this size, which bounds the memory of their plan. Changing it
# changes all draws.
_BLOCK = 1 << 15


@random_by("rng")
def oversample(
    x: Samples,
    y: SupportsSamples,
    *,
    strategy: Strategy = "auto",
    gamma: float = 2.8,
    num_mix: int = 8,
    donors: Literal["same"] | None = "same",
    neighbors: int | None = None,
    groups: SupportsSamples | None = None,
    rng: RNG = None,
) -> tuple[Samples, Samples]:
    r"""Add rows to rare classes, each a ζ-mixture of existing rows.

    .. math:: \hat{x} = \sum_{r=1}^{T} w_r \, x_{s(r)}, \quad
              w_r = r^{-\gamma} / \sum_{j=1}^{T} j^{-\gamma}

    A new row is anchored on a row :math:`s(1)` of its class, whose label it keeps. Anchors run
    through the class in random order, again and again: none is used twice before all were used
    once.

    Parameters
    ----------
    x : array, shape (N, ...)
        Rows or other samples, floating or complex, of any array library; or a CSR or CSC matrix of
        SciPy.
    y : array of int or bool, shape (N,)
        Their classes, of the library and device of `x`; a NumPy array if `x` is sparse.
    strategy : str, float, mapping or callable, default "auto"
        Which classes grow, with the same meaning as in imbalanced-learn:

        - "not majority", or "auto": all but the largest, to its size; "minority": only the
          smallest; "not minority": all but the smallest; "all": each class.
        - a number in (0, 1], for two classes: the size of the smaller one over that of the larger.
        - a mapping from classes to final counts, none below the present count.
        - a callable that takes `y` as a NumPy array and returns such a mapping.
    gamma : float, default 2.8
        Exponent :math:`\gamma \ge 0`: the larger, the closer new rows stay to their anchor.
    num_mix : int, default 8
        T, the number of rows in a mixture; a class with fewer mixes all of its rows.
    donors : "same" or None, default "same"
        What an anchor is mixed with: rows of its class, so that labels are exact, or any rows. The
        label is that of the anchor either way; with None it must weigh more than all others.
    neighbors : int, optional
        Mix an anchor only with this many nearest rows of its class, by Euclidean distance; all are
        compared with all.
    groups : array of int, shape (N,), optional
        Groups that mixtures do not cross: patients, sites, days.
    rng : optional
        Source of randomness, as in `zeta_plan`.

    Returns
    -------
    x_new : array, shape (N + M, ...)
        The rows of `x`, unchanged and in order, then the new rows class by class, classes sorted;
        with the library, device and dtype of `x`, or sparse in its format.
    y_new : array, shape (N + M,)
        Their classes.

    Raises
    ------
    ValueError
        If an argument is out of range, a requested class is unknown or already larger, or a class
        to be grown, or a group in it, has a single row, which could only be repeated.
    TypeError
        If `x` holds integers or bool, `x` and `y` are of different libraries, or an argument has
        the wrong type.

    See Also
    --------
    zeta_plan : Draws such plans, by `anchors`, `donors` and `groups`.

    Notes
    -----
    Classes are read on the host, which on an accelerator costs one synchronization. Besides its
    result, it takes memory for 32,768 new rows at a time with NumPy, PyTorch (unless gradients are
    recorded) and CuPy. Elsewhere, and for sparse rows, parts are joined at the end, which takes as
    much again as the new rows. Dask arrays stay lazy: their classes are computed and plans are
    drawn, but rows are gathered only when blocks are computed, for each block those that it is
    mixed from.

    Examples
    --------
    >>> import numpy as np
    >>> from zetamix import oversample
    >>> x, y = np.random.default_rng(0).normal(size=(100, 3)), np.repeat([0, 1], [90, 10])
    >>> x_new, y_new = oversample(x, y, rng=0)
    >>> x_new.shape, np.bincount(y_new)
    ((180, 3), array([90, 90]))
    >>> bool((x_new[:100] == x).all())
    True
    """
    options: dict[str, Any] = {"gamma": gamma, "num_mix": num_mix, "donors": donors}
    options |= {"neighbors": neighbors, "groups": groups, "rng": rng}
    growth = grown(x, y, strategy, **options)
    return growth.x, growth.y


class Growth(NamedTuple):
    """Rows and classes with those that were added, and the heaviest row of each of these."""

    x: Any
    y: Any
    anchors: np.ndarray


def grown(
    x: Any,
    y: Any,
    strategy: Any,
    *,
    gamma: Any,
    num_mix: Any,
    donors: Any,
    neighbors: Any,
    groups: Any,
    rng: Any,
    names: np.ndarray | None = None,
    group_names: np.ndarray | None = None,
) -> Growth:
    """Do what `oversample` does, and return the anchors too.

    Messages name classes and groups by `names` and `group_names`, which they are indices into.
    """
    sparse = is_sparse(x)
    facts = _checked_rows(x)
    classes = _checked_classes(x, y, facts, sparse=sparse)
    gamma = check_number("gamma", gamma, (0, math.inf), rule="a number >= 0", remedy="try 2.8")
    num_mix = min(check_count("num_mix", num_mix), facts.length)
    _check_donors(donors, neighbors, gamma, num_mix)
    added = new_rows(strategy, classes)
    kin = Kin.of(classes, _host_groups(groups, facts.length), within=donors == "same")
    check_growable(kin, added, names, group_names)
    like = None if sparse else x
    stream = stream_for(rng, like)
    options: dict[str, Any] = {"gamma": gamma, "num_mix": num_mix, "rng": stream, "like": like}
    if neighbors is not None:
        options["donors"] = _checked_neighbors(neighbors, x, kin, added)
    elif kin.pools is not None:
        options |= {"donors": "same", "groups": _sorted_once(kin.pools, stream, like)}
    anchors = _anchors(stream, classes, added)
    plans = (zeta_plan(facts.length, anchors=part, **options) for part in _parts(anchors))
    return Growth(_with_rows(x, plans, anchors.size), _with_classes(y, classes, added), anchors)


# --- checks ---------------------------------------------------------------------------------------


def _checked_rows(x: Any) -> Facts:
    if is_sparse(x):
        facts = examined_sparse("x", x)
    elif not is_array(x):
        table = ", or use zetamix.sklearn.ZetaMixupSampler, which keeps columns as they are"
        raise TypeError(said_of("x", foreign(x, "x"), table if _is_table(x) else ""))
    else:
        facts = examined("x", x)
    if facts.kind in ("integer", "bool"):
        raise TypeError(
            f"x must be floating or complex, so that ids and codes are never averaged, got shape "
            f"{tuple(x.shape)} and dtype {x.dtype}; pass {_as_floats(x)} if its numbers may be "
            f"averaged"
        )
    return facts


def _is_table(x: Any) -> bool:
    """Return whether the sampler takes something: a table in memory, which is no query."""
    lazy = hasattr(x, "collect") or hasattr(x, "compute")  # as polars and Dask call it
    return hasattr(type(x), "columns") and not lazy


def _as_floats(x: Any) -> str:
    """Return the line that casts an array of integers to floats, in its library."""
    if is_torch(x):
        return "x.float()"
    if hasattr(x, "astype"):
        return "x.astype('float32')"
    return "x.__array_namespace__().astype(x, x.__array_namespace__().float32)"


def _checked_classes(x: Any, y: Any, facts: Facts, *, sparse: bool) -> np.ndarray:
    """Return classes on the host."""
    check_is_array("y", y)
    if is_jax_tracer(y):
        raise TypeError(
            "the number of new rows depends on the values of y, which jax.jit does not know, got "
            "traced classes; call oversample outside of jax.jit"
        )
    if sparse:
        if not is_numpy(y):
            raise TypeError(
                f"y must be a NumPy array for a sparse x, got an array of {library(y)}; pass "
                f"numpy.asarray(y)"
            )
        if y.shape[0] != facts.length:
            raise ValueError(
                f"x and y must have the same number of samples, got {facts.length} and "
                f"{y.shape[0]}; check that they come from the same table"
            )
        kind = examined("y", y).kind
    else:
        kind = check_same_samples(x, y, facts).kind
    if y.ndim != 1 or kind not in ("integer", "bool"):
        raise ValueError(
            f"y must be integer classes of shape (N,), got shape {tuple(y.shape)} and dtype "
            f"{y.dtype}; number them, as by numpy.unique(y, return_inverse=True)[1], or take the "
            f"argmax of rows"
        )
    return to_host(y)


def _check_donors(donors: Any, neighbors: Any, gamma: float, num_mix: int) -> None:
    if donors is not None and not (isinstance(donors, str) and donors == "same"):
        raise ValueError(
            f"donors must be 'same', for rows of the same class, or None, for all rows, got "
            f"{shown(donors)}; leave it out to keep labels exact"
        )
    if donors is not None:
        return
    if neighbors is not None:
        raise ValueError(
            f"neighbors are searched in the class of a row, got neighbors={shown(neighbors)} with "
            f"donors=None; leave one of them out"
        )
    least = dominance_threshold(num_mix)
    if gamma < least:
        raise ValueError(
            f"with donors=None gamma must be at least {least:.6f}, dominance_threshold({num_mix}), "
            f"so that no row gets the label of a minority of its weights, got {gamma}; pass a "
            f"larger gamma, a smaller num_mix, or donors='same'"
        )


def _checked_neighbors(neighbors: Any, x: Any, kin: Kin, added: dict[Any, int]) -> np.ndarray:
    """Return the table of the donors of each row."""
    count = check_count("neighbors", neighbors)
    if is_jax_tracer(x):
        raise TypeError(
            f"neighbors are searched by values, which JAX does not know while it traces, got "
            f"neighbors={count} and a traced x; leave neighbors out, or call oversample outside"
        )
    if is_dask(x):
        raise TypeError(
            f"neighbors are searched among rows in memory, got neighbors={count} and a Dask array; "
            f"leave neighbors out, or pass x.compute()"
        )
    return neighbor_table(x if is_sparse(x) else to_host(x), kin, added, count)


def _host_groups(groups: Any, n: int) -> np.ndarray | None:
    return None if groups is None else np.asarray(to_host(check_groups(groups, n)))


# --- draws ----------------------------------------------------------------------------------------


def _anchors(stream: Stream, classes: np.ndarray, added: dict[Any, int]) -> np.ndarray:
    """Return the row that weighs most in each new row, classes sorted."""
    parts = [np.empty(0, dtype=np.int64)]
    for name, count in added.items():
        rows = np.flatnonzero(classes == name)
        order = to_host(stream.orderings(1, rows.size, rows.size, anchored=False))[0]
        parts.append(np.resize(rows[order], count))
    return np.concatenate(parts)


def _parts(anchors: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, anchors.size, _BLOCK):
        yield anchors[start : start + _BLOCK]


def _sorted_once(groups: np.ndarray, stream: Stream, like: Array | None) -> Any:
    """Return groups in the form that takes the least work for many plans."""
    return Groups.of(groups) if isinstance(stream, PortableStream) else from_host(groups, like)


# --- results --------------------------------------------------------------------------------------


def _with_rows(x: Any, plans: Iterator[MixPlan], count: int) -> Any:
    if is_sparse(x):
        return stacked_rows(x, [plan @ x for plan in plans])
    if is_dask(x):
        return _with_blocks(x, plans)
    xp = namespace(x)
    traced = is_torch(x) and x.requires_grad and grad_is_enabled()
    if not (is_numpy(x) or is_torch(x) or is_cupy(x)) or traced:
        return xp.concat([x, *(plan @ x for plan in plans)], axis=0)
    # Written in place, since joining would take twice the memory.
    place = {"device": x.device} if is_torch(x) else {}
    out = xp.empty((x.shape[0] + count, *x.shape[1:]), dtype=x.dtype, **place)
    out[: x.shape[0]] = x
    start = x.shape[0]
    for plan in plans:
        plan.mix(x, out=out[start : start + plan.num_outputs])
        start += plan.num_outputs
    return out


def _with_classes(y: Any, classes: np.ndarray, added: dict[Any, int]) -> Any:
    counts = np.asarray([*added.values()], dtype=np.int64)
    new = np.repeat(np.asarray([*added], dtype=classes.dtype), counts)
    if is_dask(y):
        return namespace(y).concat([y, namespace(y).asarray(new)], axis=0)
    if is_numpy(y):
        return np.concatenate([y, new])
    return namespace(y).concat([y, from_host(new, y)], axis=0)


def _with_blocks(x: Any, plans: Iterator[MixPlan]) -> Any:
    """Return a Dask array of which each new block knows the rows that it is mixed from."""
    step = max(x.chunks[0])
    parts = [x]
    for plan in plans:
        for start in range(0, plan.num_outputs, step):
            rows = slice(start, start + step)
            samples, places = np.unique(plan.indices[rows], return_inverse=True)
            weights = plan.weights if plan.weights.ndim == 1 else plan.weights[rows]
            indices = places.reshape(-1, plan.num_mix)
            part = MixPlan._drawn(indices, weights, samples.size, distinct=plan._distinct)
            parts.append(part @ x[samples].rechunk({0: -1}))
    return namespace(x).concat(parts, axis=0)
