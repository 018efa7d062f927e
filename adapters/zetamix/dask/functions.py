"""Functions on Dask arrays: shuffle a data set, and mix it batch by batch."""

from __future__ import annotations

import secrets
from typing import Any, Literal, TypedDict, Unpack

import dask.array as da
import numpy as np

from zetamix.dask.memory import check_room
from zetamix.dask.mixing import Mixing
from zetamix.dask.shuffling import Shuffle
from zetamix_core import permutation
from zetamix_core.adapting import (
    averages,
    check_count,
    check_groups,
    check_no_ids,
    check_num_mix_of_batches,
    check_rule,
    check_same_samples,
    check_samples,
    checked_blocks,
    checked_dtype,
    checked_form,
    is_array,
    is_dask,
    is_numpy,
    label_options,
    library,
)
from zetamix_core.rules import Rule, Zeta

__all__ = ["mix", "shuffled", "zeta_mixup"]


def mix(
    x: da.Array,
    y: da.Array | np.ndarray | None = None,
    rule: Rule = Zeta(),  # noqa: B008 - a frozen value
    *,
    batch_size: int = 128,
    num_classes: int | None = None,
    ignore_index: int | None = None,
    groups: da.Array | np.ndarray | None = None,
    dtype: Any = None,
    seed: int | None = None,
    epoch: int = 0,
) -> tuple[da.Array, da.Array | None]:
    r"""Shuffle an array that may be larger than memory, and mix it in batches by any rule.

    .. math:: \hat{x}_i = \sum_{r=1}^{T} w_r \, x_{s_i(r)}, \quad
              w_r = r^{-\gamma} / \sum_{j=1}^{T} j^{-\gamma}

    with partners from the batch of sample i, unless another rule is given.

    Parameters
    ----------
    x : dask.array.Array, shape (N, ...)
        Samples: floating or complex, or images of integers, as in `zetamix.zeta_mixup`.
    y : dask.array.Array or numpy.ndarray, shape (N, ...), optional
        Labels in one of the forms of `zetamix.Plan.mix_labels`.
    rule : Rule, default Zeta()
        How plans are drawn: one of `zetamix.rules`, or an object of your own with such a method.
        A callable `gamma` is given the epoch.
    batch_size : int, default 128
        Number of samples in a batch, which are mixed with one another; the last one has the rest.
    num_classes : int, optional
        Number of classes; required for integer labels.
    ignore_index : int, optional
        The label that does not count, as in `zetamix.Plan.mix_labels`.
    groups : array of int, shape (N,), optional
        What rules with `donors` go by: classes, patients, volumes.
    dtype : dtype, optional
        Floating dtype of mixed samples, such as float32 for bytes; that of ``plan @ x`` by default.
    seed : int, optional
        Same seed and epoch, same result; None for fresh entropy.
    epoch : int, default 0
        Number of the epoch, from 0 to 2**32 - 1.

    Returns
    -------
    x_mixed : dask.array.Array, shape (N, ...)
        Mixed samples in the order that `shuffled` gives with this `batch_size`, in such blocks.
    y_mixed : dask.array.Array or None
        Mixed labels, in the same blocks; None if `y` is.

    Raises
    ------
    ValueError
        If an argument is out of range, lengths differ or are unknown, or `x` holds integers that
        may be ids.
    TypeError
        If an argument has the wrong type, or `x` is no Dask array.
    MemoryError
        If a scheduler of this process would have to hold more than half of the free memory.
    OSError
        If a cluster on this machine lacks the disk to spill to.

    See Also
    --------
    shuffled : The shuffle alone, and what it needs.
    zetamix.batches : The same for NumPy arrays and memory maps, one batch after the other.

    Notes
    -----
    Batch i is drawn by the key (seed, epoch, i). What comes out depends on the rule, the seed, the
    epoch, the size of batches, and the number of samples and the chunks of `x` along the first
    axis; not on scheduler, workers or threads, nor on tasks that are run again. Nothing is read
    before it is computed.

    Examples
    --------
    >>> import dask.array as da
    >>> import numpy as np
    >>> from zetamix.dask import mix
    >>> x = da.ones((1000, 3, 8, 8), chunks=(100, -1, -1, -1), dtype="float32")
    >>> y = da.arange(1000, chunks=100) // 100
    >>> mixed, soft = mix(x, y, batch_size=50, num_classes=10, seed=0)
    >>> mixed.dtype, soft.shape, float(soft.sum().compute())
    (dtype('float32'), (1000, 10), 1000.0)
    """
    check_rule(rule)
    sources = [*_checked(x, y), _checked_groups(x, groups)]
    if averages(rule):
        check_no_ids("x", x)
    if y is not None:
        checked_form(sources[1], label_options(num_classes, ignore_index))
    key = _checked_key(seed, epoch)
    mixing = Mixing(
        rule,
        check_count("batch_size", batch_size),
        key,
        x.shape[1:],
        None if dtype is None else checked_dtype(dtype, x),
        num_classes,
        ignore_index,
    )
    rows, labels, kin = mixing.in_blocks(_shuffled(sources, mixing.batch_size, key))
    result = mixing.samples(rows, kin), None if labels is None else mixing.labels(labels, kin)
    check_room(_size(sources))
    return result


class _Options(TypedDict, total=False):
    batch_size: int
    num_classes: int | None
    ignore_index: int | None
    groups: da.Array | np.ndarray | None
    dtype: Any
    seed: int | None
    epoch: int


def zeta_mixup(
    x: da.Array,
    y: da.Array | np.ndarray | None = None,
    *,
    gamma: float = 2.8,
    num_mix: int | None = None,
    anchored: bool = True,
    donors: Literal["same", "other"] | None = None,
    **options: Unpack[_Options],
) -> tuple[da.Array, da.Array | None]:
    r"""Shuffle an array that may be larger than memory, and mix it in batches by ζ-mixup.

    .. math:: \hat{x}_i = \sum_{r=1}^{T} w_r \, x_{s_i(r)}, \quad
              w_r = r^{-\gamma} / \sum_{j=1}^{T} j^{-\gamma}

    Parameters
    ----------
    x : dask.array.Array, shape (N, ...)
        Samples, as in `mix`.
    y : dask.array.Array or numpy.ndarray, shape (N, ...), optional
        Labels, as in `mix`.
    gamma : float, default 2.8
        Exponent :math:`\gamma \ge 0`: how close outputs stay to samples.
    num_mix : int, optional
        T, the number of samples in a mixture; the whole batch by default.
    anchored : bool, default True
        Whether each sample of a batch has the largest weight once; else random ones have.
    donors : "same" or "other", optional
        Whom a sample may be mixed with, by `groups`; see `zetamix.zeta_plan`.
    **options
        `batch_size`, `num_classes`, `ignore_index`, `groups`, `dtype`, `seed` and `epoch`, as in
        `mix`.

    Returns
    -------
    x_mixed : dask.array.Array, shape (N, ...)
        Mixed samples in the order that `shuffled` gives with this `batch_size`, in such blocks.
    y_mixed : dask.array.Array or None
        Mixed labels, in the same blocks; None if `y` is.

    Raises
    ------
    ValueError
        If an argument is out of range, as in `mix`.
    TypeError
        If an argument has the wrong type, or `x` is no Dask array.

    See Also
    --------
    mix : The same by any rule, with what else may be raised.

    References
    ----------
    Abhishek, Brown, Hamarneh, "Multi-sample ζ-mixup: richer, more realistic synthetic samples from
    a p-series interpolant", Journal of Big Data 11:43 (2024), section "Method".

    Examples
    --------
    >>> import dask.array as da
    >>> from zetamix.dask import zeta_mixup
    >>> x = da.random.default_rng(0).normal(size=(1000, 20), chunks=(100, 20))
    >>> mixed, _ = zeta_mixup(x, num_mix=8, batch_size=50, seed=0, epoch=3)
    >>> mixed.shape, mixed.chunksize
    ((1000, 20), (100, 20))
    """
    rule = Zeta(gamma=gamma, num_mix=num_mix, anchored=anchored, donors=donors)
    check_num_mix_of_batches(num_mix, check_count("batch_size", options.get("batch_size", 128)))
    return mix(x, y, rule, **options)


def shuffled(
    x: da.Array,
    y: da.Array | np.ndarray | None = None,
    *,
    batch_size: int = 1,
    seed: int | None = None,
    epoch: int = 0,
) -> tuple[da.Array, da.Array | None]:
    """Shuffle an array that may be larger than memory, and its labels in the same way.

    Each block of the result holds as many rows of each block of `x`, but for one, so that data
    sorted by class come well mixed. Blocks keep about their size.

    Parameters
    ----------
    x : dask.array.Array, shape (N, ...)
        Samples, numbers of any dtype, in chunks of a size that a worker handles well.
    y : dask.array.Array or numpy.ndarray, shape (N, ...), optional
        Labels, or whatever else goes with the samples.
    batch_size : int, default 1
        Blocks of the result hold whole batches of so many samples, but for the last one.
    seed : int, optional
        Same seed and epoch, same order; None for fresh entropy.
    epoch : int, default 0
        Number of the epoch, from 0 to 2**32 - 1.

    Returns
    -------
    x_shuffled : dask.array.Array, shape (N, ...)
        The same samples in another order.
    y_shuffled : dask.array.Array or None
        Their labels; None if `y` is.

    Raises
    ------
    ValueError
        If `seed` or `epoch` is out of range, lengths differ or are unknown, or blocks would be too
        large for samples of this size.
    TypeError
        If an argument has the wrong type, or `x` is no Dask array.
    MemoryError
        If a scheduler of this process would have to hold more than half of the free memory.
    OSError
        If a cluster on this machine lacks the disk to spill to.

    See Also
    --------
    mix : Shuffle, and mix batches.

    Notes
    -----
    Rows are permuted in each source block, dealt out in turn to the output blocks, and permuted
    again in each of these. Each row comes to each place with the same probability, but not all
    orders are equally probable: how many rows two blocks share is fixed to one. The permutations
    are ``permutation(n, (seed, epoch, pass, block))``. Where chunks have fewer rows than the root
    of N, they are joined to so many first. The order depends on the seed, the epoch, the size of
    batches, N and the chunks of `x` along the first axis; a lost task that is run again gives the
    same.

    All of the array is on its way at once. Workers of `distributed` stay below their limit because
    they spill to disk, which needs about the size of the array.

    Examples
    --------
    >>> import dask.array as da
    >>> import numpy as np
    >>> from zetamix.dask import shuffled
    >>> x = da.arange(30, chunks=10)
    >>> mixed, _ = shuffled(x, seed=0)
    >>> mixed.chunks, sorted(mixed.compute().tolist()) == list(range(30))
    (((10, 10, 10),), True)
    >>> [np.bincount(block // 10).tolist() for block in mixed.compute().reshape(3, 10)]
    [[4, 3, 3], [3, 4, 3], [3, 3, 4]]
    """
    sources = _checked(x, y)
    batch_size = check_count("batch_size", batch_size)
    x_shuffled, y_shuffled = _shuffled(sources, batch_size, _checked_key(seed, epoch))
    check_room(_size(sources))
    return x_shuffled, y_shuffled


def _checked(x: Any, y: Any) -> list[Any]:
    """Return samples and labels as Dask arrays with the same chunks along the first axis."""
    if not is_dask(x):
        got = library(x) if is_array(x) else type(x).__name__
        raise TypeError(
            f"x must be a Dask array, got one of {got}; wrap it, as in dask.array.from_array(x) or "
            f"dask.array.from_zarr(x), or mix arrays in memory by zetamix.batches"
        )
    check_samples("x", x)
    if y is None:
        return [checked_blocks("x", x), None]
    y = _lazy(y)
    check_same_samples(x, y)
    y = checked_blocks("y", y).rechunk({0: x.chunks[0]})
    return [checked_blocks("x", x), y]


def _checked_groups(x: da.Array, groups: Any) -> da.Array | None:
    if groups is None:
        return None
    return _lazy(check_groups(groups, x.shape[0])).rechunk(x.chunks[:1])


def _lazy(array: Any) -> Any:
    return da.from_array(array) if is_numpy(array) else array


def _checked_key(seed: int | None, epoch: int) -> tuple[int, int]:
    key = secrets.randbits(64) if seed is None else seed, epoch
    permutation(1, (*key, 0, 0))  # refuses what is no key before anything is computed
    return key


def _shuffled(
    arrays: list[da.Array | None], batch_size: int, key: tuple[int, int]
) -> list[da.Array | None]:
    shuffle = Shuffle.of(arrays[0], batch_size, key)
    return [None if each is None else shuffle(each) for each in arrays]


def _size(arrays: list[da.Array | None]) -> int:
    return sum(each.nbytes for each in arrays if each is not None)
