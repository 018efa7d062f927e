"""Epochs from host memory: shuffled, batched and mixed."""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Iterator
from typing import Any, Generic, TypeVar, Unpack, overload

import numpy as np

from zetamix_core.annotations import AnyNumpy, EpochOptions, SupportsSamples
from zetamix_core.arrays import Array, device_of, is_numpy, library, namespace, to_host
from zetamix_core.checks import (
    check_count,
    check_flag,
    check_gamma_of_batches,
    check_no_ids,
    check_num_mix_of_batches,
    check_same_samples,
    check_samples,
)
from zetamix_core.donors import check_groups
from zetamix_core.dtypes import kind
from zetamix_core.keywords import random_by
from zetamix_core.labels import checked_form, label_options
from zetamix_core.plans import Plan
from zetamix_core.random import permutation
from zetamix_core.rules import Rule, Zeta
from zetamix_core.rules.base import averages, check_rule, drawn, mixed_samples

__all__ = ["batches"]

Labels = TypeVar("Labels")


@overload
def batches(
    x: AnyNumpy, y: None, batch_size: int, **options: Unpack[EpochOptions]
) -> Epoch[None]: ...
@overload
def batches(
    x: AnyNumpy, y: AnyNumpy, batch_size: int, **options: Unpack[EpochOptions]
) -> Epoch[AnyNumpy]: ...
@random_by("seed")
def batches(
    x: np.ndarray,
    y: np.ndarray | None,
    batch_size: int,
    *,
    rule: Rule | None = None,
    groups: SupportsSamples | None = None,
    gamma: float = 2.8,
    num_mix: int | None = None,
    num_classes: int | None = None,
    anchored: bool = True,
    shuffle: bool = True,
    drop_last: bool = False,
    dtype: Any = None,
    seed: int | None = None,
    epoch: int = 0,
) -> Epoch[Any]:
    r"""Iterate over an epoch of samples in host memory, shuffled and mixed by a rule.

    .. math:: \hat{x}_i = \sum_{r=1}^{T} w_r \, x_{s_i(r)}, \quad
              w_r = r^{-\gamma} / \sum_{j=1}^{T} j^{-\gamma}

    within each batch, unless another rule is given. Samples are read batch by batch, so `x` may be
    a memory map of a file larger than the memory.

    Parameters
    ----------
    x : numpy.ndarray, shape (N, ...)
        Samples, or a memory map of them: floating or complex, or images of integers, as in
        `zeta_mixup`.
    y : numpy.ndarray, shape (N, ...), or None
        Labels in one of the forms of `Plan.mix_labels`.
    batch_size : int
        Number of samples in a batch; the last batch has the rest.
    rule : Rule, optional
        How plans are drawn: one of `zetamix.rules`, instead of ζ-mixup with `gamma`, `num_mix` and
        `anchored`. A callable `gamma` is called with the epoch.
    groups : array of int, shape (N,), optional
        The groups for rules with `donors`: classes, patients, volumes.
    gamma : float, default 2.8
        Exponent :math:`\gamma \ge 0`: how close outputs stay to samples.
    num_mix : int, optional
        T, the number of samples in a mixture, from 1 to `batch_size`; the whole batch by default,
        and for a last batch that has fewer samples.
    num_classes : int, optional
        Number of classes; required for integer labels.
    anchored : bool, default True
        Whether each sample of a batch has the largest weight once; otherwise random samples have
        it.
    shuffle : bool, default True
        Whether to shuffle the samples before batching them.
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
    zeta_mixup : Mix one batch.

    Notes
    -----
    The order is ``permutation(n, (seed, epoch))``, and batch i has the plan of the key
    (seed, epoch, i), as drawn by ``zeta_plan(..., rng=(seed, epoch, i))``. Mixed batches are new
    arrays: torch takes them over without a copy, by ``torch.from_dlpack(x_mixed)``.

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
        groups=groups,
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


_DEFAULTS = {"gamma": 2.8, "num_mix": None, "anchored": True}


@dataclasses.dataclass(eq=False, repr=False)
class Epoch(Generic[Labels]):
    """The mixed batches of an epoch, made one by one while iterated over; see `batches`."""

    x: np.ndarray
    y: np.ndarray | None
    batch_size: int
    _: dataclasses.KW_ONLY
    rule: Rule | None = None
    groups: Any = None
    gamma: float = 2.8
    num_mix: int | None = None
    num_classes: int | None = None
    anchored: bool = True
    shuffle: bool = True
    drop_last: bool = False
    dtype: Any = None
    seed: int | None = None
    epoch: int = 0

    def __post_init__(self) -> None:
        self.batch_size = check_count("batch_size", self.batch_size)
        self.mixer = self._rule()
        self.num_samples = check_samples("x", self.x)
        self.x = _on_host("x", self.x)
        if averages(self.mixer):
            check_no_ids("x", self.x)
        if self.y is not None:
            check_samples("y", self.y)
            self.y = _on_host("y", self.y)
            check_same_samples(self.x, self.y)
            checked_form(self.y, label_options(self.num_classes))
        if self.groups is not None:
            self.groups = to_host(check_groups(self.groups, self.num_samples))
        for name in ("shuffle", "drop_last"):
            check_flag(name, getattr(self, name))
        if self.dtype is not None:
            self.dtype = checked_dtype(self.dtype, self.x)
        if self.seed is None:
            self.seed = secrets.randbits(64)
        # Refuses invalid keys, and what the rule can't do, before the first batch is read.
        self._drawn(np.arange(min(self.batch_size, self.num_samples)), (self.seed, self.epoch))

    def _drawn(self, samples: np.ndarray, key: Any) -> Plan:
        groups = None if self.groups is None else self.groups[samples]
        shape = (samples.size, *self.x.shape[1:])
        return drawn(self.mixer, shape, key, None, self.epoch, groups)

    def _rule(self) -> Rule:
        """Return the given rule, or ζ-mixup with the given options."""
        options = {"gamma": self.gamma, "num_mix": self.num_mix, "anchored": self.anchored}
        if self.rule is not None:
            if given := [name for name, value in options.items() if value is not _DEFAULTS[name]]:
                raise ValueError(
                    f"rule must come without the options of ζ-mixup, got {', '.join(given)} too; "
                    f"pass them to the rule, as in Zeta({given[0]}=...)"
                )
            return check_rule(self.rule)
        check_num_mix_of_batches(self.num_mix, self.batch_size)
        check_gamma_of_batches(self.gamma)
        return Zeta(gamma=self.gamma, num_mix=self.num_mix, anchored=self.anchored)

    def __len__(self) -> int:
        whole, rest = divmod(self.num_samples, self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[tuple[AnyNumpy, Labels]]:
        for samples, plan in self.steps():
            yield self.mix(plan, *self.gather(samples))

    def steps(self, first: int = 0) -> Iterator[tuple[np.ndarray, Plan]]:
        """Yield the samples of each batch from the `first` on, and the plan to mix them by."""
        key: Any = (self.seed, self.epoch)
        n = self.num_samples
        order = permutation(n, key) if self.shuffle else np.arange(n)
        for step in range(first, len(self)):
            samples = order[step * self.batch_size : (step + 1) * self.batch_size]
            yield samples, self._drawn(samples, (*key, step))

    def gather(
        self,
        samples: np.ndarray,
        x_out: np.ndarray | None = None,
        y_out: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Copy samples and labels of a batch, into existing or new arrays."""
        x = _take(self.x, samples, x_out)
        return x, None if self.y is None else _take(self.y, samples, y_out)

    def mix(self, plan: Plan, x: Array, y: Array | None) -> tuple[Any, Any]:
        """Mix a batch that has been gathered."""
        labels = None if y is None else plan.mix_labels(y, self.num_classes)
        return in_dtype(self.dtype, plan, x, averages=averages(self.mixer)), labels


def in_dtype(dtype: Any, plan: Plan, x: Array, *, averages: bool) -> Array:
    """Mix the samples of a batch, in the requested dtype or else in that of the rule."""
    if dtype is None:
        return mixed_samples(plan, x, averages=averages)
    return plan.mix(x, out=namespace(x).empty(x.shape, dtype=dtype, device=device_of(x)))


def _take(source: np.ndarray, samples: np.ndarray, out: np.ndarray | None) -> np.ndarray:
    if source.flags.c_contiguous and source.flags.aligned:
        # In its default mode NumPy would write to a buffer first.
        return np.take(source, samples, axis=0, out=out, mode="clip")
    # Else NumPy would copy the whole of the source first.
    if out is None:
        return np.asarray(source[samples])
    out[...] = source[samples]
    return out


def _on_host(name: str, x: Array) -> np.ndarray:
    if not is_numpy(x):
        raise TypeError(
            f"{name} must be a NumPy array or memory map, got one of {library(x)}; for arrays of "
            f"other libraries index the samples of a batch, and call zeta_mixup"
        )
    return np.asarray(x)  # a plain view of a memory map


def checked_dtype(wanted: Any, x: Array) -> np.dtype:
    needed, example = ("complex", "complex64") if kind(x) == "complex" else ("floating", "float32")
    try:
        dtype: np.dtype = np.dtype(wanted)
        fits = kind(np.empty(0, dtype=dtype)) == needed
    except TypeError:
        fits = False
    if not fits:
        raise TypeError(
            f"dtype must be a {needed} dtype of NumPy for samples of dtype {x.dtype}, got "
            f"{wanted!r}; pass for instance {example!r}"
        )
    return dtype
