"""Functions on Dask arrays: shuffle a data set, and mix it batch by batch."""

from __future__ import annotations

from typing import Any, Literal

import dask.array as da
import numpy as np

from zetamix.dask.memory import check_room
from zetamix.dask.preparing import Prepared, checked_arrays, checked_key, size_in_memory
from zetamix.dask.shuffling import Shuffle
from zetamix_core.adapting import (
    check_count,
    check_gamma_of_batches,
    check_num_mix_of_batches,
    random_by,
)
from zetamix_core.rules import Rule, Zeta

__all__ = ["mix", "shuffled", "zeta_mixup"]


@random_by("seed")
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
        A callable `gamma` is called with the epoch.
    batch_size : int, default 128
        Number of samples in a batch, which are mixed with one another; the last batch has the rest.
    num_classes : int, optional
        Number of classes; required for integer labels.
    ignore_index : int, optional
        The label that does not count, as in `zetamix.Plan.mix_labels`.
    groups : array of int, shape (N,), optional
        Groups for rules with `donors`: classes, patients, volumes.
    dtype : dtype, optional
        Floating dtype of mixed samples, such as float32 for bytes; that of ``plan @ x`` by default.
    seed : int, optional
        Same seed and epoch, same result; None for fresh entropy.
    epoch : int, default 0
        Number of the epoch, from 0 to 2**32 - 1.

    Returns
    -------
    x_mixed : dask.array.Array, shape (N, ...)
        Mixed samples, in the order and blocks of `shuffled` with this `batch_size`.
    y_mixed : dask.array.Array or None
        Mixed labels, in the same blocks; None if `y` is.

    Raises
    ------
    ValueError
        If an argument is out of range, lengths differ or are unknown, or `x` holds integers that
        may be ids.
    TypeError
        If an argument has the wrong type, or `x` is not a Dask array.
    MemoryError
        If a scheduler in this process would need more than half of the free memory.
    OSError
        If a cluster on this machine lacks the disk space to spill to.

    See Also
    --------
    shuffled : The shuffle alone, and what it needs.
    zetamix.batches : The same for NumPy arrays and memory maps, one batch after the other.

    Notes
    -----
    Batch i is drawn by the key (seed, epoch, i). The result depends on the rule, the seed, the
    epoch, the batch size, and the number of samples and the chunks of `x` along the first axis; it
    does not depend on scheduler, workers, threads or rerun tasks. No data are read before the
    result is computed.

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
    prepared = Prepared.of(
        x,
        y,
        rule,
        batch_size=batch_size,
        num_classes=num_classes,
        ignore_index=ignore_index,
        groups=groups,
        dtype=dtype,
        seed=seed,
        epoch=epoch,
    )
    check_room(prepared.size)
    return prepared.mixed(prepared.shuffle)


@random_by("seed")
def zeta_mixup(
    x: da.Array,
    y: da.Array | np.ndarray | None = None,
    *,
    gamma: float = 2.8,
    num_mix: int | None = None,
    anchored: bool = True,
    donors: Literal["same", "other"] | None = None,
    batch_size: int = 128,
    num_classes: int | None = None,
    ignore_index: int | None = None,
    groups: da.Array | np.ndarray | None = None,
    dtype: Any = None,
    seed: int | None = None,
    epoch: int = 0,
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
        Whether each sample of a batch has the largest weight once; otherwise random samples do.
    donors : "same" or "other", optional
        Which samples a sample may be mixed with, by `groups`; see `zetamix.zeta_plan`.
    batch_size : int, default 128
        Number of samples in a batch, which are mixed with one another.
    num_classes : int, optional
        Number of classes; required for integer labels.
    ignore_index : int, optional
        The label that does not count.
    groups : array of int, shape (N,), optional
        Groups for `donors`: classes, patients, volumes.
    dtype : dtype, optional
        Floating dtype of mixed samples, such as float32 for bytes.
    seed : int, optional
        Same seed and epoch, same result; None for fresh entropy.
    epoch : int, default 0
        Number of the epoch.

    Returns
    -------
    x_mixed : dask.array.Array, shape (N, ...)
        Mixed samples, in the order and blocks of `shuffled` with this `batch_size`.
    y_mixed : dask.array.Array or None
        Mixed labels, in the same blocks; None if `y` is.

    Raises
    ------
    ValueError
        If an argument is out of range, as in `mix`.
    TypeError
        If an argument has the wrong type, or `x` is not a Dask array.

    See Also
    --------
    mix : The same with any rule, and all errors that it may raise.

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
    check_gamma_of_batches(gamma)
    rule = Zeta(gamma=gamma, num_mix=num_mix, anchored=anchored, donors=donors)
    check_num_mix_of_batches(num_mix, check_count("batch_size", batch_size))
    return mix(
        x,
        y,
        rule,
        batch_size=batch_size,
        num_classes=num_classes,
        ignore_index=ignore_index,
        groups=groups,
        dtype=dtype,
        seed=seed,
        epoch=epoch,
    )


@random_by("seed")
def shuffled(
    x: da.Array,
    y: da.Array | np.ndarray | None = None,
    *,
    batch_size: int = 1,
    seed: int | None = None,
    epoch: int = 0,
) -> tuple[da.Array, da.Array | None]:
    """Shuffle an array that may be larger than memory, and its labels in the same way.

    Every block of the result holds the same number of rows of every source block, give or take
    one, so data sorted by class come out well mixed. Source blocks are the largest chunk, or √N
    rows if that is more.

    Parameters
    ----------
    x : dask.array.Array, shape (N, ...)
        Samples, numbers of any dtype, in chunks of a size that a worker handles well.
    y : dask.array.Array or numpy.ndarray, shape (N, ...), optional
        Labels, or whatever else goes with the samples.
    batch_size : int, default 1
        Blocks of the result hold whole batches of this size, except the last one.
    seed : int, optional
        Same seed and epoch, same order; None for fresh entropy.
    epoch : int, default 0
        Number of the epoch, from 0 to 2**32 - 1.

    Returns
    -------
    x_shuffled : dask.array.Array, shape (N, ...)
        The same samples in a different order.
    y_shuffled : dask.array.Array or None
        Their labels; None if `y` is.

    Raises
    ------
    ValueError
        If `seed` or `epoch` is out of range, lengths differ or are unknown, or blocks would be too
        large for samples of this size.
    TypeError
        If an argument has the wrong type, or `x` is not a Dask array.
    MemoryError
        If a scheduler in this process would need more than half of the free memory.
    OSError
        If a cluster on this machine lacks the disk space to spill to.

    See Also
    --------
    mix : Shuffle, and mix batches.

    Notes
    -----
    Rows are permuted in each source block, dealt out in turn to the output blocks, and permuted
    again in each of these. Each row ends up in each place with the same probability, but not all
    orders are equally probable: the number of rows that two blocks share is fixed, give or take
    one. The permutations are ``permutation(n, (seed, epoch, pass, block))``. The order depends on
    the seed, the epoch, the batch size, N and the chunks of `x` along the first axis; a lost task
    gives the same rows when it is run again.

    Every part of the result needs the whole array. Workers of `distributed` stay below their memory
    limit because they spill to disk, which needs about the size of the array.

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
    sources = checked_arrays(x, y)
    batch_size = check_count("batch_size", batch_size)
    shuffle = Shuffle.of(x, batch_size, checked_key(seed, epoch))
    check_room(size_in_memory(sources))
    x_shuffled, y_shuffled = (None if each is None else shuffle(each) for each in sources)
    return x_shuffled, y_shuffled
