"""The module that mixes batches by any rule, and what it shares with the named ones."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Unpack

import torch
from torch import Tensor

from zetamix.torch.keys import Key, KeyedModule
from zetamix.torch.leaves import (
    LabelsGetter,
    as_batch,
    as_given,
    describe,
    find_labels,
    flattened_batch,
    plain_pair,
)
from zetamix_core import Plan, rules
from zetamix_core.adapting import (
    Batch,
    Found,
    Leaf,
    RoleOptions,
    Roles,
    Stream,
    averages,
    check_asked,
    check_num_classes,
    check_number,
    check_rule,
    check_samples,
    checked_pixels,
    chosen,
    drawn,
    found_at,
    is_whole_number,
    mixed_leaves,
    of_most_axes,
    paths_of_images,
    random_by,
    stream_for,
    takes_groups,
    unmixed_leaves,
)

Groups = str | Callable[[Any], Any] | None


class ItemOptions(RoleOptions, total=False):
    """The options of `Mix` that a mixed data set takes, too; see `ZetaMixup`."""

    num_classes: int | Mapping[str, int] | None
    label_smoothing: float
    labels_getter: LabelsGetter
    dtype: torch.dtype | None
    scale: bool


class CollateOptions(ItemOptions, total=False):
    """The options of `Mix` that a collate function takes, too; see `ZetaMixup`."""

    groups: Groups
    p: float
    stop_at: int | None


class ModuleOptions(CollateOptions, total=False):
    """The options of `Mix`; see `ZetaMixup`."""

    seed: int | None
    generator: torch.Generator | None
    rank: int | None


class BatchLeaves(NamedTuple):
    """What a module knows about a batch before it draws."""

    flat: Batch
    found: Found
    # The tensor whose number of samples, shape and device the plan takes.
    samples: Tensor
    # The paths of labels, which have no subclass once they are soft.
    soft: frozenset[str]


class BatchMix(KeyedModule, ABC):
    """What the modules share: calls, switches, labels and draws. See `ZetaMixup`."""

    def __init__(
        self,
        *,
        num_classes: int | Mapping[str, int] | None = None,
        p: float = 1.0,
        label_smoothing: float = 0.0,
        stop_at: int | None = None,
        labels_getter: LabelsGetter = "default",
        groups: Groups = None,
        dtype: torch.dtype | None = None,
        scale: bool = False,
        seed: int | None = None,
        generator: torch.Generator | None = None,
        rank: int | None = None,
        **said: Unpack[RoleOptions],
    ) -> None:
        super().__init__(seed=seed, generator=generator, rank=rank)
        for name, share in (("p", p), ("label_smoothing", label_smoothing)):
            rule, remedy = "a number from 0 to 1", f"pass for instance {name}=0.1"
            check_number(name, share, (0, 1), rule=rule, remedy=remedy)
        if label_smoothing and num_classes is None:
            raise ValueError(
                f"label_smoothing spreads weight over classes, got {label_smoothing} without "
                f"num_classes; pass num_classes"
            )
        _check_num_classes(num_classes)
        if stop_at is not None and not (is_whole_number(stop_at) and stop_at >= 0):
            raise ValueError(
                f"stop_at must be an int >= 0 or None, got {stop_at!r}; count batches from 0"
            )
        if not (labels_getter in ("default", None) or callable(labels_getter)):
            raise TypeError(
                f"labels_getter must be a callable, 'default' or None, got {labels_getter!r}; pass "
                f"for instance lambda batch: batch['label']"
            )
        self.num_classes = num_classes
        pixels = checked_pixels(dtype, scale)
        self.dtype, self.scale = pixels.dtype, pixels.scale
        self.p = float(p)
        self.label_smoothing = float(label_smoothing)
        self.stop_at = stop_at
        if not (groups is None or isinstance(groups, str) or callable(groups)):
            raise TypeError(
                f"groups must be the path of a leaf or a callable, got {groups!r}; pass for "
                f"instance groups='label', or lambda batch: batch['patient']"
            )
        self.labels_getter = labels_getter
        self.groups = groups
        named = num_classes if isinstance(num_classes, Mapping) else None
        self.roles = Roles.told(named, label_smoothing=label_smoothing, pixels=pixels, **said)

    def forward(self, *inputs: Any) -> Any:
        """Mix a batch in training mode; return it unmixed in evaluation mode.

        Parameters
        ----------
        *inputs : tensors, or one nested batch
            ``mix(images, labels)``, ``mix((images, labels))``, ``mix({"image": …, "label": …})``.

        Returns
        -------
        tuple, or nested batch
            The structure of the input, with mixed tensors; the input is left alone. In evaluation
            mode it is the input itself or, with `dtype`, `scale` or `as_data`, one whose samples
            have the dtypes of mixed ones.

        Raises
        ------
        ValueError
            If labels are out of range, shapes do not fit, or integers are not declared.
        TypeError
            If the batch holds no tensors, or labels have the wrong type.

        Examples
        --------
        >>> import torch
        >>> from zetamix.torch import ZetaMixup
        >>> mix = ZetaMixup(num_classes=10)
        >>> batch = mix({"image": torch.rand(8, 3, 8, 8), "label": torch.arange(8)})
        >>> batch["label"].shape
        torch.Size([8, 10])
        """
        batch = as_batch(inputs)
        return self._counted(self._mix, batch) if self.training else self._unmixed(batch)

    def draw(self, x: Tensor, groups: Any = None) -> Any:
        """Draw the plan for the next batch, to apply it yourself, and count the batch.

        Parameters
        ----------
        x : tensor, shape (N, ...)
            The samples, whose number, device and dtype the plan takes.
        groups : tensor of int, shape (N,), optional
            The groups for a rule with `donors`.

        Returns
        -------
        MixPlan or CutMixPlan
            Applies to images, labels and hidden features alike.

        Raises
        ------
        TypeError
            If `x` is not a tensor.
        ValueError
            If `x` has no axis of samples.

        Examples
        --------
        >>> import torch
        >>> from zetamix.torch import ZetaMixup
        >>> hidden, labels = torch.rand(8, 16), torch.arange(8)
        >>> plan = ZetaMixup(num_mix=4).draw(hidden)
        >>> (plan @ hidden).shape, plan.mix_labels(labels, num_classes=10).shape
        (torch.Size([8, 16]), torch.Size([8, 10]))
        """
        if not isinstance(x, Tensor):
            raise TypeError(f"x must be a tensor, got {type(x).__name__}; use zeta_plan for others")
        check_samples("x", x)

        def draw(x: Tensor, key: Key, step: Tensor) -> Any:
            return self._draw(x, key, step, groups)

        return self._counted(draw, x)

    def extra_repr(self) -> str:
        shown = {name: getattr(self, name) for name in self._shown()}
        return ", ".join(f"{name}={_shortened(value)}" for name, value in shown.items())

    def _shown(self) -> list[str]:
        names = ["num_classes"]
        names += ["p"] if self.p < 1 else []
        names += ["label_smoothing"] if self.label_smoothing else []
        names += [name for name in ("dtype", "scale") if getattr(self, name)]
        return names + [n for n in ("stop_at", "seed", "rank") if getattr(self, n) is not None]

    def _mix(self, batch: Any, key: Key, step: Tensor) -> Any:
        read = self._read(batch)
        groups = None if self.groups is None else self._groups_of(batch)
        plan = self._draw(read.samples, key, step, groups)
        return read.flat.rebuilt(self._mixed(plan, read))

    def _read(self, batch: Any, *, of_items: bool = False) -> BatchLeaves:
        """Find the leaves of a batch, including the labels and the samples."""
        roles = self.roles
        searched = self.labels_getter == "default" and type(self.num_classes) is int
        if searched and not roles.declared and not roles.keep:
            pair = plain_pair(batch)
            if pair is not None:
                found = Found({"1": self.num_classes})  # type: ignore[dict-item]
                return BatchLeaves(pair, found, batch[0], frozenset({"1"}))
        flat = flattened_batch(batch, roles, of_items=of_items)
        needed = self.num_classes is not None
        found = Found(self._labels_of(batch, flat.leaves, needed), paths_of_images(batch))
        labels = {*roles.num_classes, *found.labels, *roles.dominant}
        scaled = roles.scaled
        samples = [x for path, x, _ in flat.leaves if path not in labels and path not in scaled]
        if not samples:
            raise ValueError(
                f"a batch must have samples besides labels, got {describe(batch)}; pass the images "
                f"first"
            )
        soft = frozenset(labels.difference(roles.dominant))
        return BatchLeaves(flat, found, of_most_axes(samples), soft)

    def _mixed(self, plan: Plan, read: BatchLeaves) -> list[Any]:
        """Return the leaves of a batch as a plan mixes them."""
        mixed, soft = mixed_leaves(plan, read.flat, self.roles, read.found), read.soft
        return [
            value if leaf.path in soft else as_given(value, leaf.value)
            for leaf, value in zip(read.flat.leaves, mixed, strict=True)
        ]

    def _told(self) -> frozenset[str]:
        """Return the paths that are declared."""
        return self.roles.declared.union(self.roles.keep)

    def _groups_of(self, batch: Any) -> Any:
        """Return the groups of a batch, taken from it or computed from it."""
        groups: Any = self.groups
        return found_at(batch, groups) if isinstance(groups, str) else groups(batch)

    def _unmixed(self, batch: Any) -> Any:
        """Return a batch whose samples have the form of mixed ones."""
        if self.dtype is None and not self.scale and not self.roles.as_data:
            return batch
        flat = flattened_batch(batch, self.roles)
        labels = self._labels_of(batch, flat.leaves, needed=False)
        values = unmixed_leaves(flat, self.roles, Found(labels, paths_of_images(batch)))
        given = (leaf.value for leaf in flat.leaves)
        return flat.rebuilt(map(as_given, values, given))

    def _give_floats(self) -> None:
        """Turn integers other than images into floats, as where samples are averaged."""
        self.roles = self.roles.with_floats()

    def _labels_of(self, batch: Any, leaves: list[Leaf], needed: bool) -> dict[str, Any]:
        """Return the path of the labels, if found, with their number of classes."""
        if isinstance(self.num_classes, Mapping):
            return {}
        path = find_labels(batch, leaves, self.roles, self.labels_getter, needed=needed)
        return {} if path is None else {path: self.num_classes}

    def _draw(self, x: Tensor, key: Key, step: Tensor, groups: Any = None) -> Any:
        stream = stream_for(key, x)
        plan = self._plan(x, stream, key, step, groups)
        # No branch on whether to mix: graphs have none, and need not wait for the answer.
        if self.p < 1:
            plan = plan.where(stream.uniform((1,))[0] < self.p)
        if self.stop_at is not None:
            plan = plan.where((step < self.stop_at).to(x.device, non_blocking=True))
        return plan

    def _plan(self, x: Tensor, stream: Stream, key: Key, step: Tensor, groups: Any) -> Plan:
        rule: Any = self.rule
        if isinstance(rule, rules.OneOf):
            host = stream_for(key, torch.empty((), dtype=torch.float64, device="cpu"))
            while isinstance(rule, rules.OneOf):
                # Chosen by a number on the host, which the stream of the device steps over.
                stream.uniform((1,))
                rule = rule.rules[_chosen(rule.p, host.uniform((1,)))]
            groups = groups if takes_groups(rule) else None
        return drawn(rule, tuple(x.shape), stream, x, step, groups)

    @property
    @abstractmethod
    def rule(self) -> rules.Rule:
        """How plans are drawn."""


def _chosen(p: Sequence[float], number: Tensor) -> int:
    if torch.compiler.is_compiling():
        from zetamix.torch import graph_breaks

        rule: int = graph_breaks.chosen_rule(p, number)
        return rule
    return chosen(p, number)


class Mix(BatchMix):
    """Mix the samples and labels of a batch by any rule, in training mode.

    Parameters
    ----------
    rule : Rule
        How plans are drawn: one of `zetamix.rules`, or your own object with such a method. A
        callable `gamma` is called with the step, a 0-d tensor of int64.
    **options
        The options of `ZetaMixup` from `num_classes` on.

    Raises
    ------
    ValueError, TypeError
        As from `ZetaMixup`.

    See Also
    --------
    ZetaMixup : How to call it.
    OneOf : The same for modules, including those of other packages.

    Notes
    -----
    With `zetamix.rules.OneOf` a graph of ``torch.compile`` ends at the choice of the rule, which is
    made on the host.

    Examples
    --------
    >>> import torch
    >>> from zetamix.rules import CutMix, OneOf, Zeta
    >>> from zetamix.torch import Mix
    >>> mix = Mix(OneOf([Zeta(num_mix=8), CutMix()]), num_classes=10, seed=0)
    >>> mixed, soft = mix(torch.rand(16, 3, 8, 8), torch.arange(16) % 10)
    >>> mixed.shape, soft.shape
    (torch.Size([16, 3, 8, 8]), torch.Size([16, 10]))
    """

    @random_by("seed")
    def __init__(self, rule: rules.Rule, **options: Unpack[ModuleOptions]) -> None:
        super().__init__(**options)
        self._rule = check_rule(rule)
        check_asked(rule, self.groups, needed=False)
        if averages(rule):
            self._give_floats()

    @property
    def rule(self) -> rules.Rule:
        """How plans are drawn."""
        return self._rule

    def _shown(self) -> list[str]:
        return ["rule", *super()._shown()]


def _check_num_classes(num_classes: Any) -> None:
    counts = num_classes.values() if isinstance(num_classes, Mapping) else [num_classes]
    for count in counts:
        if count is not None:
            check_num_classes(count)


def _shortened(value: Any) -> str:
    """Return what `repr` shows, without memory addresses and tensors' extras."""
    if isinstance(value, Tensor):
        return "tensor" if value.is_meta else f"{value.item():g}"
    return getattr(value, "__name__", type(value).__name__) if callable(value) else repr(value)
