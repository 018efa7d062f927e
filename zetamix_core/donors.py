"""Which samples may be mixed: anchors, and the donors that each may be given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from zetamix_core.arrays import (
    Array,
    Namespace,
    device_of,
    from_host,
    host_values,
    is_array,
    is_jax_tracer,
    is_numpy,
    namespace,
    to_host,
)
from zetamix_core.checks import check_fit, check_num_outputs, check_same_place
from zetamix_core.dtypes import cast, kind, widest_integer
from zetamix_core.inputs import shown

_WORDS = ("same", "other")


class Groups(NamedTuple):
    """Groups of samples on the host, sorted once for many draws."""

    values: np.ndarray
    # The samples ordered by group; for each sample its place in that order, and where its group
    # starts and ends.
    order: np.ndarray
    place: np.ndarray
    start: np.ndarray
    end: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray) -> Groups:
        """Sort groups (N,)."""
        n = values.size
        order = np.argsort(values, kind="stable").astype(np.int32)  # n is below 2**31
        place, start, end = (np.empty(n, dtype=np.int32) for _ in range(3))
        place[order] = np.arange(n, dtype=np.int32)
        grouped = values[order]
        first = np.append(0, np.flatnonzero(grouped[1:] != grouped[:-1]) + 1).astype(np.int32)
        sizes = np.diff(first, append=np.int32(n))
        start[order] = np.repeat(first, sizes)
        end[order] = np.repeat(first + sizes, sizes)
        return cls(values, order, place, start, end)


class Pool(NamedTuple):
    """The anchors of a plan, None for all samples in turn, and their possible donors.

    The donors are "all", those of the "same" or of another ("other") group, or listed in a "table",
    and `values` are the groups (N,), perhaps sorted, or the table (N, K).
    """

    n: int
    num_outputs: int
    anchors: Array | None
    donors: str
    values: Any

    @property
    def most(self) -> int:
        """How many samples a row may have."""
        return min(self.n, self.width + 1)

    @property
    def width(self) -> int:
        """How many donors a sample may have."""
        return int(self.values.shape[1]) if self.donors == "table" else self.n - 1


# --- checks ---------------------------------------------------------------------------------------


def checked_pool(
    n: int, num_outputs: Any, *, anchored: bool, anchors: Any, donors: Any, groups: Any
) -> Pool | None:
    """Return which samples may be mixed, None if all may and each is an anchor."""
    if donors is None and anchors is None:
        if groups is not None:
            raise ValueError(
                f"groups go with donors='same' or 'other', got groups={shown(groups)} without "
                f"donors; add donors, or leave groups out"
            )
        return None
    if not anchored:
        name, given = ("anchors", anchors) if donors is None else ("donors", donors)
        raise ValueError(
            f"anchored=False lets a random sample weigh most, got it with {name}={shown(given)}; "
            f"leave one of them out"
        )
    if num_outputs is not None:
        num_outputs = check_num_outputs(num_outputs, n)
    if anchors is not None:
        anchors = _checked_anchors(anchors, n)
        count = int(anchors.shape[0])
        if num_outputs not in (None, count):
            raise ValueError(
                f"num_outputs must be the number of anchors, got {num_outputs} for {count} "
                f"anchors; leave it out"
            )
        num_outputs = count
    num_outputs = check_num_outputs(num_outputs, n)
    listed = isinstance(donors, (list, tuple)) or (is_array(donors) and not isinstance(donors, str))
    if donors is None or listed:
        if groups is not None:
            raise ValueError(
                f"groups go with donors='same' or 'other', got them with donors="
                f"{'None' if donors is None else 'an array'}; leave one of them out"
            )
        if donors is None:
            return Pool(n, num_outputs, anchors, "all", None)
        return Pool(n, num_outputs, anchors, "table", _checked_table(donors, n))
    check_donors(donors)
    if groups is None:
        raise ValueError(
            f"donors={donors!r} needs the groups of the samples, got none; pass groups=, such as "
            f"their labels, or for nested batches the path of the labels"
        )
    return Pool(n, num_outputs, anchors, str(donors), check_groups(groups, n))


def check_donors(donors: Any) -> None:
    """Check a rule for donors, which is a word."""
    if donors is not None and not (isinstance(donors, str) and donors in _WORDS):
        raise ValueError(
            f"donors must be None, 'same' or 'other', or for a plan an array (N, K) of integers, "
            f"got {shown(donors)}; pass for instance donors='same' with groups=labels"
        )


def _as_array(name: str, values: Any, what: str) -> Array:
    if isinstance(values, (list, tuple, range)):
        try:
            values = np.asarray(values)
        except ValueError as error:
            raise ValueError(
                f"{name} must be {what}, got lists of unequal lengths; make them equally long"
            ) from error
    if not is_array(values):
        raise TypeError(f"{name} must be {what}, got {shown(values)}; pass an array of integers")
    return values


def _check_integers(name: str, values: Array, what: str) -> None:
    text = is_numpy(values) and values.dtype.kind in "OSU"
    if not text:
        check_fit(name, values)
        if (found := kind(values)) == "integer":
            return
    remedy = f"number them, as by numpy.unique({name}, return_inverse=True)[1]"
    if not text and found == "bool":
        remedy = f"pass numpy.flatnonzero({name})" if name == "anchors" else "cast them to integers"
    elif not text:
        remedy = "cast them to integers, if they are whole numbers"
    raise TypeError(f"{name} must be {what}, got dtype {values.dtype}; {remedy}")


def _checked_anchors(anchors: Any, n: int) -> Array:
    what = "integers of shape (M,), the samples that weigh most"
    anchors = _as_array("anchors", anchors, what)
    if anchors.ndim != 1 or not anchors.shape[0]:
        raise ValueError(
            f"anchors must have shape (M,) with M >= 1, got {tuple(anchors.shape)}; reshape them, "
            f"or skip the plan if there are none"
        )
    _check_integers("anchors", anchors, what)
    values = host_values(anchors)
    if values is not None:
        _check_anchors(values, n)
    return anchors


def _check_anchors(values: np.ndarray, n: int) -> None:
    if not (values.min() >= 0 and values.max() < n):
        bad = values[(values < 0) | (values >= n)][0]
        raise ValueError(
            f"anchors must be from 0 to {n - 1} for {n} samples, got {bad}; count samples from 0"
        )


def check_groups(groups: Any, n: int) -> Any:
    """Return the groups of n samples, which are integers."""
    if isinstance(groups, Groups) and groups.values.size == n:
        return groups
    what = f"integers of shape (N,) = ({n},), one for each sample"
    groups = _as_array("groups", groups, what)
    if tuple(groups.shape) != (n,):
        raise ValueError(
            f"groups must have shape (N,) = ({n},), one for each sample, got "
            f"{tuple(groups.shape)}; soft and multi-hot labels are not groups: pass their argmax, "
            f"or ids"
        )
    _check_integers("groups", groups, what)
    return groups


def _checked_table(donors: Array, n: int) -> Array:
    what = f"integers of shape (N, K) with N = {n}, padded with -1"
    donors = _as_array("donors", donors, what)
    if donors.ndim != 2 or donors.shape[0] != n or not donors.shape[1]:
        raise ValueError(
            f"donors must be {what}, got shape {tuple(donors.shape)}; give each sample a row"
        )
    _check_integers("donors", donors, what)
    values = host_values(donors)
    if values is not None:
        _check_rows(values, n)
    return donors


def _check_rows(values: np.ndarray, n: int) -> None:
    if values.min() < -1 or values.max() >= n:
        bad = values[(values < -1) | (values >= n)][0]
        raise ValueError(
            f"donors must be from 0 to {n - 1} for {n} samples, or -1 for none, got {bad}; count "
            f"samples from 0"
        )
    if values.max() < 0:
        raise ValueError(
            "donors must name at least one sample, got -1 everywhere; leave donors out, or set "
            "num_mix=1 to mix nothing"
        )
    own = (values == np.arange(n)[:, None]).any(axis=1)
    if own.any():
        raise ValueError(
            f"a sample must not be its own donor, got {int(own.argmax())} in its own row; remove it"
        )
    ordered = np.sort(values, axis=1)
    twice = ((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)).any(axis=1)
    if twice.any():
        raise ValueError(
            f"the donors of a sample must be distinct, got one twice in row "
            f"{int(twice.argmax())}; remove the second"
        )


# --- from digits to samples -----------------------------------------------------------------------


def partners(
    xp: Namespace,
    pool: Pool,
    anchors: Array,
    num_mix: int,
    places: Array,
) -> tuple[Array, Array]:
    """Return indices (M, T), and how many samples each row has, at most T.

    Each column of `places` (T - 1, M) holds distinct places among the donors of an anchor, as long
    as donors are left. Later ranks repeat the anchor.
    """
    counts, samples_at = _FINDERS[pool.donors](xp, pool, anchors)
    left = _left(xp, counts, num_mix)
    samples = samples_at(xp.where(left > 0, places, xp.zeros_like(left)))
    samples = xp.where(left > 0, samples, anchors[None, :])
    indices = xp.concat([anchors[None, :], samples], axis=0)
    lengths = xp.where(counts + 1 < num_mix, counts + 1, xp.full_like(counts, num_mix))
    return xp.permute_dims(indices, (1, 0)), lengths


def donors_left(xp: Namespace, pool: Pool, anchors: Array, num_mix: int) -> Array:
    """Return how many donors are left at each rank after the first, (T - 1, M); may be negative."""
    return _left(xp, _FINDERS[pool.donors](xp, pool, anchors)[0], num_mix)


def _left(xp: Namespace, counts: Array, num_mix: int) -> Array:
    ranks = xp.arange(num_mix - 1, dtype=counts.dtype, device=device_of(counts))[:, None]
    return counts[None, :] - ranks


Finder = tuple[Array, Callable[[Array], Array]]


def _all(xp: Namespace, pool: Pool, anchors: Array) -> Finder:
    def samples_at(places: Array) -> Array:
        return places + xp.astype(places >= anchors[None, :], places.dtype)

    return xp.full_like(anchors, pool.n - 1), samples_at


def _of_groups(xp: Namespace, pool: Pool, anchors: Array) -> tuple[Array, Array, Array, Array]:
    """Return the samples in the order of their groups, and where those of the anchors are."""
    if isinstance(pool.values, Groups):
        _, order, place, start, end = pool.values
        return order, start[anchors], end[anchors], place[anchors]
    order = xp.argsort(pool.values, stable=True)
    grouped = xp.take(pool.values, order, axis=0)
    own = xp.take(pool.values, anchors, axis=0)
    start, end = (xp.searchsorted(grouped, own, side=side) for side in ("left", "right"))
    place = xp.take(xp.argsort(order, stable=True), anchors, axis=0)
    return tuple(xp.astype(each, anchors.dtype) for each in (order, start, end, place))


def _same(xp: Namespace, pool: Pool, anchors: Array) -> Finder:
    order, start, end, place = _of_groups(xp, pool, anchors)

    def samples_at(places: Array) -> Array:
        places = places + start[None, :]
        own = xp.astype(places >= place[None, :], places.dtype)
        return _taken(xp, order, places + own, pool.n)

    return end - start - 1, samples_at


def _other(xp: Namespace, pool: Pool, anchors: Array) -> Finder:
    order, start, end, _ = _of_groups(xp, pool, anchors)

    def samples_at(places: Array) -> Array:
        beyond = xp.astype(places >= start[None, :], places.dtype)
        return _taken(xp, order, places + beyond * (end - start)[None, :], pool.n)

    return pool.n - (end - start), samples_at


def _table(xp: Namespace, pool: Pool, anchors: Array) -> Finder:
    rows = xp.astype(xp.take(pool.values, anchors, axis=0), anchors.dtype)
    valid = rows >= 0
    first = xp.argsort(xp.astype(~valid, anchors.dtype), axis=1, stable=True)
    rows = xp.take_along_axis(rows, first, axis=1)

    def samples_at(places: Array) -> Array:
        found = xp.take_along_axis(rows, xp.permute_dims(places, (1, 0)), axis=1)
        return xp.permute_dims(found, (1, 0))

    return xp.astype(xp.sum(valid, axis=1), anchors.dtype), samples_at


_FINDERS = {"all": _all, "same": _same, "other": _other, "table": _table}


def _taken(xp: Namespace, order: Array, places: Array, n: int) -> Array:
    """Take samples at places, which may be one too large where no donor is left."""
    places = xp.where(places < n, places, xp.full_like(places, n - 1))
    return xp.reshape(xp.take(order, xp.reshape(places, (-1,)), axis=0), places.shape)


def on_host(pool: Pool) -> Pool:
    """Return a pool whose arrays are on the host, where all values can be checked."""
    arrays = {"anchors": pool.anchors, "groups or donors": pool.values}
    for name, x in arrays.items():
        if is_jax_tracer(x):
            raise TypeError(
                f"a portable rng draws on the host, where traced {name} can't be read, got traced "
                f"{name}; pass a key and like=, as in rng=jax.random.key(0)"
            )
    anchors, values = (to_host(x) if is_array(x) else x for x in arrays.values())
    if anchors is not None:
        _check_anchors(anchors, pool.n)
    if pool.donors == "table" and not is_numpy(pool.values):
        _check_rows(values, pool.n)
    if pool.donors in _WORDS and not isinstance(values, Groups):
        values = Groups.of(np.asarray(values))
    return pool._replace(anchors=anchors, values=values)


def moved(pool: Pool, like: Array) -> Pool:
    """Return a pool whose arrays are where a stream draws."""

    def there(name: str, x: Any) -> Any:
        if x is None:
            return None
        if is_numpy(x):
            return from_host(x, like)
        check_same_place(like, x, f"like and {name}", f"convert {name}, or pass NumPy arrays")
        return cast(x, widest_integer(x))  # not every library takes narrow indices

    anchors, values = there("anchors", pool.anchors), there("groups or donors", pool.values)
    return pool._replace(anchors=anchors, values=values)


def spoiled(pool: Pool | None, weights: Array) -> Array:
    """Return weights that are NaN where an anchor that can't be read here is out of range."""
    anchors = None if pool is None else pool.anchors
    if pool is None or anchors is None or is_numpy(weights) or host_values(anchors) is not None:
        return weights
    xp = namespace(weights)
    bad = (anchors < 0) | (anchors >= pool.n)
    return xp.where(bad[:, None], xp.nan, weights)
