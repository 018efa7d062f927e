"""Lists of rows, such as the boxes of objects in images, collected from all donors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from zetamix_core.arrays import (
    Array,
    device_of,
    from_host,
    host_values,
    is_array,
    library,
    namespace,
)

Clip = Callable[[int, int, Array], Array]


def union(
    indices: Array, weights: Array, arrays: Sequence[Array], clip: Clip | None = None
) -> tuple[list[Array], list[Array]]:
    """Return for each output the rows of its donors that have weight, and the weight of each row.

    ``clip(i, r, rows)`` returns the visible part in output i of the rows of the donor at rank r.
    """
    places, shares = host_values(indices), host_values(weights)
    if places is None or shares is None:
        raise TypeError(
            "rows are collected on the host, got a plan that is traced or on an accelerator; "
            "draw it with like=None"
        )
    shares = np.broadcast_to(shares, places.shape)
    outputs = [
        _together(i, places[i], shares[i], arrays, clip or _unclipped) for i in range(len(places))
    ]
    return [rows for rows, _ in outputs], [weight for _, weight in outputs]


def check_rows(arrays: Any, num_samples: int) -> None:
    """Check a list with an array of rows for each sample."""
    listed = isinstance(arrays, (list, tuple)) and all(is_array(x) and x.ndim for x in arrays)
    if not listed:
        raise TypeError(
            f"union takes a list with an array of rows for each sample, got "
            f"{type(arrays).__name__}; pass for instance [target['boxes'] for target in targets]"
        )
    kinds = {(library(x), tuple(x.shape[1:])) for x in arrays}
    if len(kinds) > 1:
        raise ValueError(
            f"union takes arrays of one library and one shape after the first axis, got "
            f"{sorted(kinds)}; pass an empty array of shape (0, 4) for a sample without rows"
        )
    if len(arrays) != num_samples:
        raise ValueError(
            f"union takes an array of rows for each of {num_samples} samples, got {len(arrays)}; "
            f"pass an empty array of shape (0, 4) for a sample without rows"
        )


def _unclipped(i: int, rank: int, rows: Array) -> Array:
    return rows


def _together(
    i: int, donors: np.ndarray, shares: np.ndarray, arrays: Sequence[Array], clip: Clip
) -> tuple[Array, Array]:
    used = np.flatnonzero(shares > 0)
    parts = [clip(i, int(rank), arrays[int(donors[rank])]) for rank in used]
    xp, like = namespace(parts[0]), parts[0]
    lengths = [part.shape[0] for part in parts]
    weight = np.repeat(shares[used], lengths).astype(np.float32)
    if not isinstance(like, np.ndarray):
        weight = from_host(weight, like)
    return xp.concat(parts, axis=0), weight


def seen_in_box(rows: Array, lower: np.ndarray, upper: np.ndarray, *, pasted: bool) -> Array:
    """Return the boxes (x1, y1, x2, y2, …) that are at least partly visible.

    Those of the pasted sample are clipped to the pasted box, with ends `lower` and `upper` as
    (y, x); those of the other sample are left out if the box covers them.
    """
    xp = namespace(rows)
    if rows.ndim != 2 or rows.shape[1] < 4:
        raise ValueError(
            f"boxes must be rows x1, y1, x2, y2, ..., got shape {tuple(rows.shape)}; convert them"
        )
    low = xp.asarray([lower[1], lower[0]], dtype=rows.dtype, device=device_of(rows))
    high = xp.asarray([upper[1], upper[0]], dtype=rows.dtype, device=device_of(rows))
    begin, end = rows[:, 0:2], rows[:, 2:4]
    if pasted:
        begin = xp.minimum(xp.maximum(begin, low), high)
        end = xp.minimum(xp.maximum(end, low), high)
        rows = xp.concat([begin, end, rows[:, 4:]], axis=1)
        return _chosen(rows, xp.all(end > begin, axis=1))
    covered = xp.all((begin >= low) & (end <= high), axis=1)
    return _chosen(rows, ~covered)


def _chosen(rows: Array, seen: Array) -> Array:
    places = np.flatnonzero(np.asarray(host_values(seen)))
    if isinstance(rows, np.ndarray):
        return rows[places]
    return namespace(rows).take(rows, from_host(places, rows), axis=0)
