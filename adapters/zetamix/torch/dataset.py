"""Mixing across a whole data set, item by item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

import torch
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset, default_collate

from zetamix.torch.leaves import as_given, marked_as
from zetamix.torch.mix import BatchLeaves, ItemOptions, Mix
from zetamix.torch.sharing import SharesNumbers
from zetamix_core import Plan
from zetamix_core.adapting import (
    Batch,
    Blocks,
    check_options,
    checked_index,
    checked_part,
    random_by,
    refuse_item,
    stacked,
)
from zetamix_core.rules import Rule

Index = int | Tensor


class MixedDataset(SharesNumbers, Dataset[Any]):
    r"""A data set whose item i is item i of another data set, mixed with items from all of it.

    .. math:: \hat{x}_i = \sum_{r=1}^{T} w_r \, x_{s_i(r)}, \quad s_i(1) = i

    where the other :math:`s_i(r)` are drawn from the whole data set, not from the batch. So it
    works just as well with batches of one item.

    Parameters
    ----------
    dataset : torch.utils.data.Dataset, or any object with a length and items
        Map-style, since iterable data sets have no index. Items are tensors, arrays and numbers, or
        nested tuples, lists and dicts of them, all of one form, shape and dtype except what is in
        `keep` and `dominant`.
    rule : Rule, default Zeta(num_mix=4)
        How plans are drawn: one of `zetamix.rules`, or your own object whose method `plan` takes
        `anchors`. Each mixed item reads T items. Rules that mix all samples by default mix four of
        them here. A callable `gamma` is called with the epoch.
    seed : int
        Items are a function of (seed, epoch, i).
    groups : array of int, shape (N,), optional
        The groups of all items, for rules with `donors`: classes, patients, volumes.
    **options
        Options of `ZetaMixup`: `num_classes`, `label_smoothing`, `labels_getter`, `dtype`, `scale`,
        and declarations of leaves by path in the collated batch: `as_data`, `keep`, `dominant` and
        the others. What is kept comes from item i.

    Attributes
    ----------
    dataset : Dataset
        The items that are mixed.
    epoch : int
        The epoch of the draws; see `set_epoch`.

    Raises
    ------
    ValueError
        If the data set has no items, or groups do not fit the rule or the items.
    TypeError
        If the data set is iterable or has no length, or the rule does not accept anchors.

    See Also
    --------
    Collate : Mixing within batches, in the workers of a loader.
    zetamix.zeta_plan : The plans that are drawn.

    Notes
    -----
    Rows are drawn in blocks of 256: item i has row i mod 256 of block b = i // 256, drawn by the
    key (seed, epoch, b). What a rule draws once, such as the member of a `zetamix.rules.OneOf`,
    holds for a whole block. An item is the same, bit for bit, whatever the sampler, batch size,
    rank, number of workers, order of access and earlier epochs; provided that `dataset` returns the
    same items, without random transforms.

    A loader requests the items of a batch at once. Items that several mixtures need are then read
    once. `zetamix.rules.CutMix` needs items of one shape, that of item 0.

    References
    ----------
    Abhishek, Brown, Hamarneh, "Multi-sample ζ-mixup: richer, more realistic synthetic samples from
    a p-series interpolant", Journal of Big Data 11:43 (2024), section "Method".

    Examples
    --------
    >>> import torch
    >>> from torch.utils.data import DataLoader, TensorDataset
    >>> from zetamix.rules import Zeta
    >>> from zetamix.torch import MixedDataset
    >>> data = TensorDataset(torch.rand(100, 3, 8, 8), torch.arange(100) % 10)
    >>> mixed = MixedDataset(data, Zeta(num_mix=4), seed=0, num_classes=10)
    >>> loader = DataLoader(mixed, batch_size=2, shuffle=True)
    >>> for epoch in range(2):
    ...     mixed.set_epoch(epoch)
    ...     shapes = {(tuple(images.shape), tuple(soft.shape)) for images, soft in loader}
    >>> shapes
    {((2, 3, 8, 8), (2, 10))}
    """

    @random_by("seed")
    def __init__(
        self,
        dataset: Any,
        rule: Rule | None = None,
        *,
        seed: int,
        groups: Any = None,
        **options: Unpack[ItemOptions],
    ) -> None:
        check_options(options, ItemOptions.__annotations__)
        self.dataset = dataset
        self._blocks = Blocks(rule, _length(dataset), seed=seed, groups=groups)
        self._module = Mix(self._blocks.rule, **options)
        self._shape: tuple[int, ...] | None = None
        self._share(torch.zeros(1, dtype=torch.int64, device="cpu"))

    @property
    def epoch(self) -> int:
        """The epoch of the draws."""
        return int(self._shared[0])

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch before it is iterated over; persistent workers learn of it too.

        Parameters
        ----------
        epoch : int
            Number of the epoch, counted from 0.

        Raises
        ------
        ValueError
            If `epoch` is not from 0 to 2**32 - 1.
        TypeError
            If it is not an int.

        Examples
        --------
        >>> from zetamix.torch import MixedDataset
        >>> mixed = MixedDataset([0.0, 1.0, 2.0], seed=0)
        >>> first = [float(x) for x in mixed]
        >>> mixed.set_epoch(1)
        >>> first == [float(x) for x in mixed]
        False
        """
        checked_part("epoch", epoch, 32, "count epochs from 0")
        self._own()
        self._shared[0] = epoch

    def __len__(self) -> int:
        return self._blocks.num_samples

    def __getitem__(self, index: Index) -> Any:
        return self.__getitems__([index])[0]

    @torch.no_grad()  # workers can't send tensors that require a gradient
    def __getitems__(self, indices: Sequence[Index]) -> list[Any]:
        """Return mixed items, reading each needed item once."""
        if not len(indices):
            return []
        items = [self._checked(index) for index in indices]
        return self._blocks.mixed(items, self.epoch, self._shape_of_items(), self._read, self._mix)

    def __repr__(self) -> str:
        seed, rule = self._blocks.seed, self._blocks.rule
        return f"{type(self).__name__}({type(self.dataset).__name__}, {rule}, seed={seed})"

    def _checked(self, index: Index) -> int:
        n, number = len(self), checked_index(index)
        if not -n <= number < n:
            raise IndexError(
                f"an index must be from {-n} to {n - 1} for {n} items, got {number}; take it "
                f"modulo {n}"
            )
        return number % n

    def _read(self, items: list[int]) -> Sequence[Any]:
        if callable(getattr(self.dataset, "__getitems__", None)):
            return list(self.dataset.__getitems__(items))
        return [self.dataset[i] for i in items]

    def _shape_of_items(self) -> tuple[int, ...]:
        """Return the shape of an item's samples, from which boxes are cut, as of one item."""
        if self._shape is None:
            samples = self._read_leaves([self.dataset[0]], [0]).samples
            self._shape = tuple(samples.shape[1:])
        return self._shape

    def _mix(self, items: list[Any], numbers: list[int], plan: Plan) -> tuple[Batch, list[Any]]:
        read = self._read_leaves(items, numbers)
        return read.flat, list(map(_as_rows, self._module._mixed(plan, read)))

    def _read_leaves(self, items: list[Any], numbers: list[int]) -> BatchLeaves:
        batch = stacked(items, numbers, _collated, self._module.roles)
        batch = marked_as(items[0], batch, self._module._told())
        return self._module._read(batch, of_items=True)


def _collated(items: list[Any]) -> Tensor:
    try:
        batch: Tensor = default_collate(items)
    except TypeError:
        refuse_item(items[0])
    return batch


def _as_rows(value: Any) -> Any:
    """Return something whose items are those of a tensor, in its subclass."""
    if isinstance(value, Tensor) and type(value) is not Tensor:
        return [as_given(row, value) for row in value]
    return value


def _length(dataset: Any) -> int:
    name = type(dataset).__name__
    sized = hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")
    numbered = not isinstance(dataset, (type, Mapping, str))
    if isinstance(dataset, IterableDataset) or not (sized and numbered):
        raise TypeError(
            f"a data set must have a length and numbered items to be mixed with all of itself, got "
            f"{name}; pass one of several, as in datasets['train'], or mix the batches of "
            f"an iterable data set with zetamix.torch.Collate"
        )
    n = len(dataset)
    if n < 1:
        raise ValueError(f"a data set must have items to mix, got a {name} of length {n}; fill it")
    return n
