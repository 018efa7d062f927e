"""The batches of an epoch from host memory: which samples, which plan, and how they are mixed."""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Iterator
from typing import Any

import numpy as np

from zetamix_core._arrays import Array, device_of, is_numpy, kind, library, namespace
from zetamix_core._checks import (
    check_count,
    check_flag,
    check_gamma,
    check_no_ids,
    check_same_samples,
    check_samples,
)
from zetamix_core.drawing import zeta_plan
from zetamix_core.labels import check_labels
from zetamix_core.plans import MixPlan
from zetamix_core.sampling import stream_for


@dataclasses.dataclass(eq=False, repr=False)
class Epoch:
    """The mixed batches of an epoch, made one by one while iterated over; see `batches`."""

    x: np.ndarray
    y: np.ndarray | None
    batch_size: int
    _: dataclasses.KW_ONLY
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
        self.num_samples = check_samples("x", self.x)
        self.x = _on_host("x", self.x)
        check_no_ids("x", self.x)
        if self.y is not None:
            check_samples("y", self.y)
            self.y = _on_host("y", self.y)
            check_same_samples(self.x, self.y)
            check_labels(self.y, self.num_classes)
        self.batch_size = check_count("batch_size", self.batch_size)
        if self.num_mix is not None and check_count("num_mix", self.num_mix) > self.batch_size:
            raise ValueError(
                f"num_mix must be between 1 and batch_size, got num_mix={self.num_mix} for batches "
                f"of {self.batch_size}; pass a larger batch_size, or None for whole batches"
            )
        if np.ndim(check_gamma(self.gamma)):
            raise ValueError(
                f"gamma must be one number for all batches, got an array of shape "
                f"{np.shape(self.gamma)}; draw plans yourself for one gamma an output"
            )
        for name in ("anchored", "shuffle", "drop_last"):
            check_flag(name, getattr(self, name))
        if self.dtype is not None:
            self.dtype = _check_dtype(self.dtype, self.x)
        if self.seed is None:
            self.seed = secrets.randbits(64)
        stream_for((self.seed, self.epoch), None)  # refuses what is no key

    def __len__(self) -> int:
        whole, rest = divmod(self.num_samples, self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[tuple[Array, Array | None]]:
        for samples, plan in self.steps():
            yield self.mix(plan, *self.gather(samples))

    def steps(self) -> Iterator[tuple[np.ndarray, MixPlan]]:
        """Yield the samples of each batch, and the plan to mix them by."""
        key = (self.seed, self.epoch)
        order = np.arange(self.num_samples)
        if self.shuffle:
            shape = (1, self.num_samples, self.num_samples)
            order = stream_for(key, None).orderings(*shape, anchored=False)[0]
        for step in range(len(self)):
            samples = order[step * self.batch_size : (step + 1) * self.batch_size]
            plan = zeta_plan(
                samples.size,
                gamma=self.gamma,
                num_mix=None if self.num_mix is None else min(self.num_mix, samples.size),
                anchored=self.anchored,
                rng=(*key, step),
            )
            yield samples, plan

    def gather(
        self,
        samples: np.ndarray,
        x_out: np.ndarray | None = None,
        y_out: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Copy samples and labels of a batch, into arrays that are there or new ones."""
        x = _take(self.x, samples, x_out)
        return x, None if self.y is None else _take(self.y, samples, y_out)

    def mix(self, plan: MixPlan, x: Array, y: Array | None) -> tuple[Array, Array | None]:
        """Mix a batch that has been gathered."""
        labels = None if y is None else plan.mix_labels(y, self.num_classes)
        if self.dtype is None:
            return plan @ x, labels
        out = namespace(x).empty(x.shape, dtype=self.dtype, device=device_of(x))
        return plan.mix(x, out=out), labels


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


def _check_dtype(wanted: Any, x: np.ndarray) -> np.dtype:
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
