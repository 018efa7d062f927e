"""Mixing of NumPy batches in Grain pipelines."""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Callable, Collection, Mapping
from typing import Any, ClassVar, Literal, NamedTuple

import grain
import jax
import numpy as np

from zetamix_core.adapting import (
    Batch,
    Facts,
    Found,
    Leaf,
    Roles,
    averages,
    check_asked,
    check_gamma,
    check_leaf,
    check_lengths,
    check_num_classes,
    check_rule,
    check_samples,
    checked_pixels,
    drawn,
    found_at,
    is_whole_number,
    mixed_leaves,
    of_most_axes,
    paths_of_images,
    subject,
)
from zetamix_core.rules import Rule, Zeta

__all__ = ["Mix", "ZetaMixup"]


class Read(NamedTuple):
    """What is known about a batch before a plan is drawn."""

    flat: Batch
    found: Found
    roles: Roles
    shape: tuple[int, ...]


class _BatchMix(grain.transforms.RandomMap):  # type: ignore[misc]  # Grain has no types
    """What the transformations share: labels, declared leaves and draws."""

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
    groups: str | Callable[[Any], Any] | None
    # Whether the epoch of a batch is known.
    counts: ClassVar[bool] = False

    @abstractmethod
    def _rule(self) -> Rule:
        """Return the rule that draws the plans."""

    def __post_init__(self) -> None:
        # Here, because errors in workers come late and from another process.
        if callable(getattr(self._rule(), "gamma", None)) and not self.counts:
            raise ValueError(
                f"gamma must not be callable in Grain, which counts no steps, got {self._rule()}; "
                f"pass a number or a pair (low, high) in a rule"
            )
        check_asked(self._rule(), self.groups, needed=not self.counts)
        self.roles()
        if is_whole_number(self.num_classes):
            check_num_classes(self.num_classes)

    def roles(self) -> Roles:
        return Roles.told(
            self.num_classes if isinstance(self.num_classes, Mapping) else None,
            pixels=checked_pixels(self.dtype, self.scale)._replace(floats=averages(self._rule())),
            as_data=self.as_data,
            keep=self.keep,
            dominant=self.dominant,
            ignore_index=self.ignore_index,
            positions=self.positions,
            onehot=self.onehot,
            scaled=self.scaled,
            valid=self.valid,
        )

    def random_map(self, element: Any, rng: np.random.Generator) -> Any:
        """Mix one batch.

        Parameters
        ----------
        element : tree of NumPy arrays
            A batch, whose arrays have the samples along their first axis.
        rng : numpy.random.Generator
            The generator that Grain makes for this batch.

        Returns
        -------
        tree of NumPy arrays
            The structure of `element`, with mixed arrays.
        """
        read = self.read(element)
        groups = self.groups
        if groups is not None:
            groups = found_at(element, groups) if isinstance(groups, str) else groups(element)
        plan = drawn(self._rule(), read.shape, rng, None, groups=groups)
        return read.flat.rebuilt(mixed_leaves(plan, read.flat, read.roles, read.found))

    def output_spec(self, input_spec: Any) -> Any:
        """Return the shapes and dtypes of mixed batches, as Grain's ``get_element_spec`` asks.

        Parameters
        ----------
        input_spec : tree of objects with `shape` and `dtype`
            Those of batches, whose number of samples may be None.

        Returns
        -------
        tree of objects with `shape` and `dtype`
            Those of mixed batches.
        """
        batch = jax.tree.map(
            lambda s: np.zeros((s.shape[0] or 2, *s.shape[1:]), s.dtype), input_spec
        )
        mixed = self.random_map(batch, np.random.Generator(np.random.Philox(0)))
        return jax.tree.map(
            lambda s, x: type(s)(shape=(s.shape[0], *x.shape[1:]), dtype=x.dtype), input_spec, mixed
        )

    def read(self, batch: Any) -> Read:
        """Find the leaves of a batch, including labels and images."""
        roles = self.roles()
        found = Found(self._labels_of(batch), paths_of_images(batch))
        flat = roles.flattened(batch, _check_samples)
        others = {*roles.dominant, *roles.scaled}
        arrays = [leaf for leaf in flat.leaves if leaf.path not in others]
        shape = _shape(arrays, {*roles.num_classes, *found.labels}, batch)
        return Read(flat, found, roles, shape)

    def _labels_of(self, batch: Any) -> dict[str, Any]:
        """Return the second of a pair as labels, if only a number of classes is given."""
        if not is_whole_number(self.num_classes):
            return {}
        if not isinstance(batch, tuple | list) or len(batch) != 2 or hasattr(batch, "_fields"):
            raise ValueError(
                f"num_classes may be a number for batches (x, y), got {self.num_classes} for a "
                f"batch of type {type(batch).__name__}; name the labels by their paths, for "
                f"instance num_classes={{'label': {self.num_classes}}}"
            )
        if "1" in self.roles().taken:
            raise ValueError(
                f"a number as num_classes declares the second of a pair, got {self.num_classes} "
                f"where '1' is declared to be something else; leave one of them out"
            )
        return {"1": self.num_classes}


@dataclasses.dataclass(frozen=True)
class Mix(_BatchMix):
    """Mix each batch of a Grain pipeline by any rule.

    Put it after the batches: ``ds.batch(32).random_map(Mix(CutMix(), num_classes=10))``.

    Parameters
    ----------
    rule : Rule
        How plans are drawn: one of `zetamix.rules`, or your own object with such a method.
    num_classes, as_data, keep, dominant, ignore_index, positions, onehot, scaled, valid : optional
        What the arrays of a batch are, as in `ZetaMixup`.
    dtype, scale : optional
        The form in which samples are returned, as in `ZetaMixup`.
    groups : str or callable, optional
        The groups for rules with `donors`, as in `ZetaMixup`.

    Raises
    ------
    ValueError
        As from `ZetaMixup`.
    TypeError
        As from `ZetaMixup`; also if `rule` is not a rule.

    See Also
    --------
    ZetaMixup : The short form for ζ-mixup.

    Examples
    --------
    >>> import grain
    >>> import numpy as np
    >>> from zetamix.jax.grain import Mix
    >>> from zetamix.rules import CutMix
    >>> source = [(np.full((4, 4), float(i)), i % 3) for i in range(8)]
    >>> ds = grain.MapDataset.source(source).seed(0).shuffle().batch(4)
    >>> mixed, soft = ds.random_map(Mix(CutMix(), num_classes=3))[0]
    >>> mixed.shape, soft.shape
    ((4, 4, 4), (4, 3))
    """

    rule: Rule
    _: dataclasses.KW_ONLY
    num_classes: int | Mapping[str, int] | None = None
    as_data: str | Collection[str] = ()
    keep: str | Collection[str] = ()
    dominant: str | Collection[str] = ()
    ignore_index: int | Mapping[str, int] | None = None
    positions: str | Collection[str] = ()
    onehot: Mapping[str, int] | None = None
    scaled: str | Collection[str] = ()
    valid: Mapping[str, str] | None = None
    dtype: Any = None
    scale: bool = False
    groups: str | Callable[[Any], Any] | None = None

    def _rule(self) -> Rule:
        return check_rule(self.rule)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ZetaMixup(_BatchMix):
    r"""Mix each batch of a Grain pipeline by ζ-mixup.

    .. math:: \hat{x}_i = \sum_{r=1}^{T} w_r \, x_{s_i(r)}, \quad
              w_r = r^{-\gamma} / \sum_{j=1}^{T} j^{-\gamma}

    Put it after the batches: ``ds.batch(32).random_map(ZetaMixup(num_classes=10))``, or among the
    operations of a ``grain.DataLoader``.

    Parameters
    ----------
    gamma : float, default 2.8
        Exponent :math:`\gamma \ge 0`: how close outputs stay to samples.
    num_mix : int, optional
        T, the number of samples in a mixture; the whole batch by default, and for a batch that has
        fewer samples.
    num_classes : int or mapping of str to int, optional
        Number of classes of the integer labels y in batches ``(x, y)``; for nested batches, a
        mapping from the paths of labels to their number of classes, as in `Plan.apply`.
    as_data : str or collection of str, optional
        Paths of integer arrays that hold data, such as uint8 images in a dict; images that come
        first in a pair (uint8 with two or more axes, 8 or 16 bits with three or more) need not be
        named.
    keep : str or collection of str, optional
        Paths of what is left unmixed, such as ids and text.
    anchored : bool, default True
        Whether sample i has the largest weight in output i; otherwise a random sample has it.
    dominant, ignore_index, positions, onehot, scaled, valid : optional
        Other declarations of leaves by path, as in `zetamix.Plan.apply`.
    dtype : dtype, optional
        Floating dtype of the samples. By default each array keeps its own: integer images of 8 and
        16 bits are rounded to the nearest integer, ties to even, and wider integers become float64.
    scale : bool, default False
        Whether to divide integer images by the largest number of their dtype, which makes them
        floats up to 1, in `dtype` or by default float32.
    groups : str or callable, optional
        The groups that `donors` refers to: the path of integers of shape (N,), or a function of the
        batch that returns them.
    donors : "same" or "other", optional
        Which samples a sample may be mixed with, by `groups`; see `zetamix.zeta_plan`.

    Raises
    ------
    ValueError
        If an argument is out of range; for each batch, as `Plan.apply`.
    TypeError
        If an argument has the wrong type; for each batch, as `Plan.apply`.

    See Also
    --------
    zetamix.Plan.apply : Mixes each batch.

    Notes
    -----
    The plan is drawn from the generator that Grain passes, which depends only on the seed of the
    pipeline and the index of the batch: random access, several workers and restored checkpoints
    give the same mixtures.

    References
    ----------
    Abhishek, Brown, Hamarneh, "Multi-sample ζ-mixup: richer, more realistic synthetic samples from
    a p-series interpolant", Journal of Big Data 11:43 (2024).

    Examples
    --------
    >>> import grain
    >>> import numpy as np
    >>> from zetamix.jax.grain import ZetaMixup
    >>> source = [{"image": np.full((2, 2), float(i)), "label": i % 3} for i in range(8)]
    >>> ds = grain.MapDataset.source(source).seed(0).shuffle().batch(4)
    >>> ds = ds.random_map(ZetaMixup(num_mix=3, num_classes={"label": 3}))
    >>> ds[0]["image"].shape, ds[0]["label"].shape
    ((4, 2, 2), (4, 3))
    """

    gamma: float = 2.8
    num_mix: int | None = None
    num_classes: int | Mapping[str, int] | None = None
    as_data: str | Collection[str] = ()
    keep: str | Collection[str] = ()
    anchored: bool = True
    dominant: str | Collection[str] = ()
    ignore_index: int | Mapping[str, int] | None = None
    positions: str | Collection[str] = ()
    onehot: Mapping[str, int] | None = None
    scaled: str | Collection[str] = ()
    valid: Mapping[str, str] | None = None
    dtype: Any = None
    scale: bool = False
    groups: str | Callable[[Any], Any] | None = None
    donors: Literal["same", "other"] | None = None

    def _rule(self) -> Rule:
        options: Any = {"num_mix": self.num_mix, "anchored": self.anchored, "donors": self.donors}
        return Zeta(gamma=check_gamma(self.gamma), **options)


def _shape(leaves: list[Leaf], labels: Collection[str], batch: Any) -> tuple[int, ...]:
    """Return the shape of the samples, from which boxes are cut."""
    if not leaves:
        raise ValueError(f"a batch must hold an array to mix, got {batch!r}; mix after batch()")
    names, arrays = [repr(leaf.path) for leaf in leaves], [leaf.value for leaf in leaves]
    check_lengths(names, arrays, ", or leave one with keep=")
    samples = [leaf.value for leaf in leaves if leaf.path not in labels]
    return tuple(of_most_axes(samples or arrays).shape)


def _check_samples(path: str, leaf: Any) -> Facts | None:
    facts = check_leaf(path, leaf)
    check_samples(subject(path), leaf)
    return facts
