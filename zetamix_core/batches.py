"""Epochs from host memory, shuffled and mixed."""

from __future__ import annotations

from typing import Any

import numpy as np

from zetamix_core._epochs import Epoch
from zetamix_core.rules import Rule

__all__ = ["batches"]


def batches(
    x: np.ndarray,
    y: np.ndarray | None,
    batch_size: int,
    *,
    rule: Rule | None = None,
    gamma: float = 2.8,
    num_mix: int | None = None,
    num_classes: int | None = None,
    anchored: bool = True,
    shuffle: bool = True,
    drop_last: bool = False,
    dtype: Any = None,
    seed: int | None = None,
    epoch: int = 0,
) -> Epoch:
    r"""Iterate over an epoch of samples in host memory, shuffled and mixed by a rule.

    .. math:: \hat{x}_i = \sum_{r=1}^{T} w_r \, x_{s_i(r)}, \quad
              w_r = r^{-\gamma} / \sum_{j=1}^{T} j^{-\gamma}

    within each batch, unless another rule is given. Samples are read batch by batch, so that `x`
    may be a memory map of a file larger than the memory.

    Parameters
    ----------
    x : numpy.ndarray, shape (N, ...)
        Samples, or a memory map of them: floating or complex, or images of integers, as in
        `zeta_mixup`.
    y : numpy.ndarray, shape (N, ...), or None
        Labels in one of the forms of `MixPlan.mix_labels`.
    batch_size : int
        Number of samples in a batch; the last one has the rest.
    rule : Rule, optional
        How plans are drawn, one of `zetamix.rules`, instead of by ζ-mixup with `gamma`, `num_mix`
        and `anchored`. A callable `gamma` is given the epoch.
    gamma : float, default 2.8
        Exponent :math:`\gamma \ge 0`: how close outputs stay to samples.
    num_mix : int, optional
        T, the number of samples in a mixture, from 1 to `batch_size`; the whole batch by default,
        and for a last batch that has fewer samples.
    num_classes : int, optional
        Number of classes; required for integer labels.
    anchored : bool, default True
        Whether each sample of a batch has the largest weight once; else random ones have.
    shuffle : bool, default True
        Whether batches are made of a random permutation of the samples, or in their order.
    drop_last : bool, default False
        Whether to leave out a last batch that has fewer samples.
    dtype : dtype, optional
        Floating dtype of mixed samples, such as float32 for bytes; that of ``plan @ x`` by default.
    seed : int, optional
        Same seed and epoch, same batches; None for fresh entropy.
    epoch : int, default 0
        Number of the epoch, from 0 to 2**32 - 1.

    Returns
    -------
    iterable of (x_mixed, y_mixed)
        With a length; `y_mixed` is None if `y` is. Iterating again gives the same batches.

    Raises
    ------
    ValueError
        If an argument is out of range, `x` and `y` differ in length, or `x` holds integers that
        may be ids, as in `zeta_mixup`.
    TypeError
        If an argument has the wrong type, or `x` or `y` is not of NumPy.

    See Also
    --------
    zeta_mixup : Mix a batch that you have.

    Notes
    -----
    The permutation is drawn from the key (seed, epoch), the plan of batch i from
    (seed, epoch, i), as by ``zeta_plan(..., rng=(seed, epoch, i))``. Mixed batches are new arrays:
    torch takes them over without a copy, by ``torch.from_dlpack(x_mixed)``.

    Examples
    --------
    >>> import numpy as np
    >>> from zetamix import batches
    >>> images, labels = np.zeros((100, 3, 8, 8), dtype=np.uint8), np.arange(100) % 10
    >>> epoch = batches(images, labels, 32, num_classes=10, dtype=np.float32, seed=0, epoch=3)
    >>> [(mixed.shape[0], soft.shape) for mixed, soft in epoch]
    [(32, (32, 10)), (32, (32, 10)), (32, (32, 10)), (4, (4, 10))]
    """
    return Epoch(
        x,
        y,
        batch_size,
        rule=rule,
        gamma=gamma,
        num_mix=num_mix,
        num_classes=num_classes,
        anchored=anchored,
        shuffle=shuffle,
        drop_last=drop_last,
        dtype=dtype,
        seed=seed,
        epoch=epoch,
    )
