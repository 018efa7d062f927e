"""Rows that may be mixed to enlarge a class: its own, those of the same group, or the nearest."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from zetamix_core.metrics.neighbors import neighbor_sets, smallest
from zetamix_core.metrics.samples import as_rows, blocks, normalized
from zetamix_core.sparse import is_sparse


class Kin(NamedTuple):
    """Classes and groups of rows, on the host."""

    classes: np.ndarray
    groups: np.ndarray | None
    # The number of the class and group of each row.
    cells: np.ndarray
    # Rows with the same number may be mixed; None: all with all.
    pools: np.ndarray | None

    @classmethod
    def of(cls, classes: np.ndarray, groups: np.ndarray | None, *, within: bool) -> Kin:
        """Return what is known of rows that mix `within` their class, or with all."""
        cells = np.unique(classes, return_inverse=True)[1]
        if groups is None:
            return cls(classes, None, cells, cells if within else None)
        places = np.unique(groups, return_inverse=True)[1]
        cells = np.unique(cells * (places.max() + 1) + places, return_inverse=True)[1]
        return cls(classes, groups, cells, cells if within else places)


def check_growable(
    kin: Kin,
    grown: dict[Any, int],
    names: np.ndarray | None = None,
    group_names: np.ndarray | None = None,
) -> None:
    """Check that each class to be grown, and each group in it, has two rows or more."""
    alone = np.bincount(kin.cells)[kin.cells] == 1
    for name in grown:
        rows = np.flatnonzero(alone & (kin.classes == name))
        if not rows.size:
            continue
        shown = repr(name if names is None else np.asarray(names[name]).item())
        if kin.groups is None:
            raise ValueError(
                f"a class to be grown must have two rows or more, since one could only be "
                f"repeated, got one row of class {shown}; leave the class out of strategy, or add "
                f"rows"
            )
        group = kin.groups[rows[0]].item()
        if group_names is not None:
            group = np.asarray(group_names[group]).item()
        raise ValueError(
            f"each group in a class to be grown must have two rows or more, since one could only "
            f"be repeated, got one row of group {group!r} in class {shown}; join "
            f"it to another group, or leave the class out of strategy"
        )


def neighbor_table(x: Any, kin: Kin, grown: dict[Any, int], count: int) -> np.ndarray:
    """Return the nearest rows (N, count) of the class and group of each row, padded with -1."""
    wanted = np.isin(kin.classes, [*grown])
    most = np.bincount(kin.cells[wanted]).max(initial=1)
    count = min(count, max(int(most) - 1, 1))
    table = np.full((kin.classes.size, count), -1, dtype=np.int64)
    search = _nearest_sparse if is_sparse(x) else neighbor_sets
    points = _sparse_points(x) if is_sparse(x) else _points(x)
    for cell in np.unique(kin.cells[wanted]):
        rows = np.flatnonzero(kin.cells == cell)
        few = min(count, rows.size - 1)
        # Sorted, since they are found in arbitrary order.
        table[rows, :few] = np.sort(rows[search(points[rows], few)], axis=1)
    return table


def _points(x: np.ndarray) -> Any:
    """Return rows to be compared, in double precision for any library of the samples."""
    wide = x.astype(np.float64) if x.dtype.kind == "f" else x
    return normalized(as_rows("x", wide))[1][0]


def _sparse_points(x: Any) -> Any:
    points = x.tocsr().astype(np.float64)
    if not np.isfinite(points.data).all():
        bad = int(points.tocoo().coords[0][~np.isfinite(points.data)].min())
        raise ValueError(
            f"x must be finite, got NaN or infinity, first in sample {bad}; leave such samples "
            f"out, or fill missing values"
        )
    return points


def _nearest_sparse(x: Any, count: int) -> np.ndarray:
    """Return the nearest others of each sparse row, in any order.

    Squared distances computed from products lose digits where rows are far from the origin and
    close together. So rows that rounding may have put in the wrong order are compared again, by
    their differences.
    """
    norms = np.asarray(x.multiply(x).sum(axis=1)).ravel()
    rounding = 2 * np.finfo(np.float64).eps * (np.diff(x.indptr).max(initial=0) + 2)
    found = []
    for block in blocks(x.shape[0], x.shape[0]):
        scales = norms + norms[block][:, None]
        squares = scales - 2 * (x[block] @ x.T).toarray()
        squares[np.arange(len(squares)), np.arange(block.start, block.stop)] = np.inf
        nearest = smallest(squares, count)
        errors = rounding * scales
        reach = np.take_along_axis(squares + errors, nearest, axis=1).max(axis=1, keepdims=True)
        unsure = squares - errors <= reach
        for row in np.flatnonzero(unsure.sum(axis=1) > count):
            near = np.flatnonzero(unsure[row])
            differences = x[near] - x[np.full(near.size, block.start + row)]
            exact = np.asarray(differences.multiply(differences).sum(axis=1)).ravel()
            nearest[row] = near[np.argsort(exact, kind="stable")[:count]]
        found.append(nearest)
    return np.concatenate(found)
