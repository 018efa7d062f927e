"""Mixing across a whole data set in Grain pipelines."""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypedDict, Unpack

import grain
import jax
import numpy as np

from zetamix.jax.grain.transforms import Mix, Read
from zetamix_core import Plan
from zetamix_core.adapting import (
    Batch,
    Blocks,
    check_options,
    checked_index,
    mixed_leaves,
    random_by,
    refuse_item,
    stacked,
)
from zetamix_core.rules import Rule

__all__ = ["MixedDataset"]


class _ItemMix(Mix):
    """How the samples that make up an item are mixed."""

    counts = True


class ItemOptions(TypedDict, total=False):
    """The options of `Mix` that a mixed data set takes, too; see `ZetaMixup`."""

    num_classes: int | Mapping[str, int] | None
    as_data: str | Collection[str]
    keep: str | Collection[str]
    dominant: str | Collection[str]
    ignore_index: int | Mapping[str, int] | None
    positions: str | Collection[str]
    onehot: Mapping[str, int] | None
    scaled: str | Collection[str]
    valid: Mapping[str, str] | None
    dtype: Any
    scale: bool


class MixedDataset(grain.MapDataset):  # type: ignore[misc]  # Grain has no types
    r"""A data set whose item i is item i of another data set, mixed with items from all of it.

    .. math:: \hat{x}_i = \sum_{r=1}^{T} w_r \, x_{s_i(r)}, \quad s_i(1) = i

    where the other :math:`s_i(r)` are drawn from the whole data set, not from the batch. Shuffle,
    repeat and batch afterwards: each epoch then has its own draws.

    Parameters
    ----------
    dataset : grain.MapDataset
        Single items, not batches: arrays and numbers, or nested tuples, lists and dicts of them,
        all of one form and shape. There must be an item at each index, so filter later; shuffle
        later, too.
    rule : Rule, default Zeta(num_mix=4)
        How plans are drawn: one of `zetamix.rules`, or your own object whose method `plan` takes
        `anchors`. Each mixed item reads T items. Rules that mix all samples by default mix four of
        them here. A callable `gamma` is called with the epoch.
    seed : int
        Items are a function of (seed, epoch, i).
    groups : array of int, shape (N,), optional
        The groups of all items, for rules with `donors`: classes, patients, volumes.
    **options
        `num_classes`, `dtype`, `scale`, and declarations of leaves by path: `as_data`, `keep`,
        `dominant` and the others, as in `ZetaMixup`. What is kept comes from item i.

    Raises
    ------
    ValueError
        If the data set has no items, or groups do not fit the rule or the items.
    TypeError
        If `dataset` is not a MapDataset, or the rule does not accept anchors.

    See Also
    --------
    Mix : Mixing within batches.
    zetamix.torch.MixedDataset : The same in PyTorch, with the same draws.

    Notes
    -----
    Rows are drawn in blocks of 256: item i has row i mod 256 of block b = i // 256, drawn by the
    key (seed, epoch, b); a block of `zetamix.rules.OneOf` is of one kind. So an item depends only
    on its index, not on the order of access, workers, threads or a restored checkpoint.

    An index beyond the length belongs to the next epoch. A ``grain.DataLoader`` keeps its indices
    within the length, so all epochs would be mixed alike: batch this data set instead.

    `zetamix.rules.CutMix` needs items of one shape, that of item 0.

    Examples
    --------
    >>> import grain
    >>> import numpy as np
    >>> from zetamix.jax.grain import MixedDataset
    >>> from zetamix.rules import Zeta
    >>> source = [{"image": np.full((2, 2), float(i)), "label": i % 3} for i in range(8)]
    >>> ds = grain.MapDataset.source(source)
    >>> ds = MixedDataset(ds, Zeta(num_mix=3), seed=0, num_classes={"label": 3})
    >>> ds = ds.shuffle(seed=1).repeat(2).batch(4)
    >>> len(ds), ds[0]["image"].shape, ds[0]["label"].shape
    (4, (4, 2, 2), (4, 3))
    """

    @random_by("seed")
    def __init__(
        self,
        dataset: grain.MapDataset,
        rule: Rule | None = None,
        *,
        seed: int,
        groups: Any = None,
        **options: Unpack[ItemOptions],
    ) -> None:
        if not isinstance(dataset, grain.MapDataset):
            raise TypeError(
                f"a data set to be mixed with all of itself must be a grain.MapDataset, got "
                f"{type(dataset).__name__}; pass grain.MapDataset.source(...), or mix the batches "
                f"of an iterable one with Mix"
            )
        super().__init__(dataset)
        self._blocks = Blocks(rule, len(dataset), seed=seed, groups=groups)
        check_options(options, ItemOptions.__annotations__)
        self._mix = _ItemMix(self._blocks.rule, **options)
        self._shape: tuple[int, ...] | None = None

    def __len__(self) -> int:
        return self._blocks.num_samples

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return self.slice(index)
        return self._getitems([index])[0]

    def __str__(self) -> str:
        return f"MixedDataset({self._blocks.rule}, seed={self._blocks.seed})"

    def _getitems(self, indices: Sequence[int]) -> list[Any]:
        """Return mixed items; Grain requests those of a batch at once."""
        n = len(self)
        # Negative indices are items of the first epoch, counted from its end.
        numbers = [i if i >= 0 else i % n for i in map(checked_index, indices)]
        result: list[Any] = [None] * len(numbers)
        for epoch in sorted({number // n for number in numbers}):
            places = [place for place, number in enumerate(numbers) if number // n == epoch]
            items = [numbers[place] % n for place in places]
            read = functools.partial(self._read_samples, epoch)
            shape = self._shape_of_items()
            mixed = self._blocks.mixed(items, epoch, shape, read, self._mixed)
            for place, item in zip(places, mixed, strict=True):
                result[place] = item
        return result

    @property
    def _element_spec(self) -> Any:
        """Shapes and dtypes of the items, found by mixing zeros."""
        spec = grain.experimental.get_element_spec(self._parent)
        zeros = jax.tree.map(lambda s: np.zeros(s.shape, s.dtype), spec)
        [part] = self._blocks.parts([0], 0, self._read_leaves([zeros], [0]).shape[1:])
        numbers = part.samples.tolist()
        flat, values = self._mixed([zeros] * len(numbers), numbers, part.plan)
        return jax.tree.map(
            lambda s, x: type(s)(shape=np.shape(x), dtype=x.dtype), spec, flat.row(values, 0, zeros)
        )

    def _read_samples(self, epoch: int, items: list[int]) -> list[Any]:
        n = len(self)
        found: list[Any] = self._parent._getitems([item + epoch * n for item in items])
        for item, sample in zip(items, found, strict=True):
            if sample is None:
                raise ValueError(
                    f"a data set must have an item at each index to be mixed with all of itself, "
                    f"got none at {item}; filter the source before, or the mixed data set after"
                )
        return found

    def _shape_of_items(self) -> tuple[int, ...]:
        if self._shape is None:
            self._shape = self._read_leaves(self._read_samples(0, [0]), [0]).shape[1:]
        return self._shape

    def _mixed(self, items: list[Any], numbers: list[int], plan: Plan) -> tuple[Batch, list[Any]]:
        read = self._read_leaves(items, numbers)
        return read.flat, list(mixed_leaves(plan, read.flat, read.roles, read.found))

    def _read_leaves(self, items: list[Any], numbers: list[int]) -> Read:
        return self._mix.read(stacked(items, numbers, _joined, self._mix.roles()))


def _joined(values: list[Any]) -> np.ndarray:
    arrays = [np.asarray(value) for value in values]
    if arrays[0].dtype == object:
        refuse_item(values[0])
    return np.stack(arrays)
