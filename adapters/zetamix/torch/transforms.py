"""Modules that mix batches: ζ-mixup, mixup and CutMix behind one way to call them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from zetamix.torch._batches import LabelsGetter, as_batch, describe, find_labels, leaves_of, path_of
from zetamix.torch._draws import Drawing
from zetamix_core import Plan, rules
from zetamix_core.adapting import (
    Stream,
    check_num_classes,
    check_samples,
    is_whole_number,
    listed,
    map_leaves,
    mix_tree,
    of_most_axes,
    paths_of_images,
    stream_for,
)

Gamma = float | Tensor | tuple[float, float] | Callable[[Tensor], Any]


class BatchMix(Drawing, ABC):
    """What the modules share: calls, switches, labels and draws. See `ZetaMixup`."""

    def __init__(
        self,
        *,
        num_classes: int | Mapping[str, int] | None = None,
        p: float = 1.0,
        label_smoothing: float = 0.0,
        stop_at: int | None = None,
        labels_getter: LabelsGetter = "default",
        as_data: Collection[str] = (),
        keep: Collection[str] = (),
        seed: int | None = None,
        generator: torch.Generator | None = None,
        rank: int | None = None,
    ) -> None:
        super().__init__(seed=seed, generator=generator, rank=rank)
        _check_share("p", p)
        _check_share("label_smoothing", label_smoothing)
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
        self.p = float(p)
        self.label_smoothing = float(label_smoothing)
        self.stop_at = stop_at
        self.labels_getter = labels_getter
        self.as_data = listed("as_data", as_data)
        self.keep = listed("keep", keep)

    def forward(self, *inputs: Any) -> Any:
        """Mix a batch in training mode; in evaluation mode return it as it is.

        Parameters
        ----------
        *inputs : tensors, or one nested batch
            ``mix(images, labels)``, ``mix((images, labels))``, ``mix({"image": …, "label": …})``.

        Returns
        -------
        tuple, or nested batch
            The structure of the input, with mixed tensors; the input is left alone.

        Raises
        ------
        ValueError
            If labels are out of range, shapes do not fit, or integers are not declared.
        TypeError
            If the batch holds no tensors, or labels of a wrong type.

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
        return self._counted(self._mix, batch) if self.training else batch

    def draw(self, x: Tensor) -> Any:
        """Draw the plan for the next batch, to apply it yourself, and count the batch.

        Parameters
        ----------
        x : tensor, shape (N, ...)
            The samples, whose number, device and dtype the plan takes.

        Returns
        -------
        MixPlan or CutMixPlan
            Applies to images, labels and hidden features alike.

        Raises
        ------
        TypeError
            If `x` is no tensor.
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
        return self._counted(self._draw, x)

    def extra_repr(self) -> str:
        shown = {name: getattr(self, name) for name in self._shown()}
        return ", ".join(f"{name}={_shortened(value)}" for name, value in shown.items())

    def _shown(self) -> list[str]:
        names = ["num_classes"]
        names += ["p"] if self.p < 1 else []
        names += ["label_smoothing"] if self.label_smoothing else []
        return names + [n for n in ("stop_at", "seed", "rank") if getattr(self, n) is not None]

    def _mix(self, batch: Any, key: Tensor, step: Tensor) -> Any:
        leaves = leaves_of(batch, self.keep)
        classes = self._classes(batch, leaves)
        samples = [leaf for path, leaf in leaves.items() if path not in classes]
        if not samples:
            raise ValueError(
                f"a batch must have samples besides labels, got {describe(batch)}; pass the images "
                f"first"
            )
        plan = self._draw(of_most_axes(samples), key, step)
        mixed = mix_tree(
            plan,
            batch,
            num_classes=classes,
            as_data=(*self.as_data, *paths_of_images(batch)),
            keep=self.keep,
            label_smoothing=self.label_smoothing,
            strict=False,
        )
        return _as_given(mixed, leaves, {*classes, *self.keep})

    def _classes(self, batch: Any, leaves: dict[str, Tensor]) -> Mapping[str, Any]:
        """Return the paths of the labels, with their numbers of classes."""
        if isinstance(self.num_classes, Mapping):
            return self.num_classes
        labels = find_labels(batch, self.labels_getter)
        return {} if labels is None else {path_of(leaves, labels): self.num_classes}

    def _draw(self, x: Tensor, key: Tensor, step: Tensor) -> Any:
        stream = stream_for(key, x)
        plan = self._plan(x, stream, key, step)
        # No branch on whether to mix: graphs have none, and need not wait for the answer.
        if self.p < 1:
            plan = plan.where(stream.uniform((1,))[0] < self.p)
        if self.stop_at is not None:
            plan = plan.where((step < self.stop_at).to(x.device, non_blocking=True))
        return plan

    def _plan(self, x: Tensor, stream: Stream, key: Tensor, step: Tensor) -> Plan:
        rule: Any = self.rule
        if isinstance(rule, rules.OneOf):
            host = stream_for(key, torch.empty((), dtype=torch.float64, device="cpu"))
            while isinstance(rule, rules.OneOf):
                # Chosen by a number on the host, which the stream of the device steps over.
                stream.uniform((1,))
                rule = rule.rules[_chosen(rule, host.uniform((1,)))]
        plan: Plan = rule.plan(tuple(x.shape), rng=stream, like=x, step=step)
        return plan

    @property
    @abstractmethod
    def rule(self) -> rules.Rule:
        """How plans are drawn."""


@torch.compiler.disable(  # type: ignore[untyped-decorator,no-untyped-call]
    reason="OneOf chooses on the host, which can't be traced; each of its rules is a graph"
)
def _chosen(rule: rules.OneOf, number: Tensor) -> int:
    return rules.chosen(rule, number)


class Mix(BatchMix):
    """Mix the samples and labels of a batch by any rule, in training mode.

    Parameters
    ----------
    rule : Rule
        How plans are drawn: one of `zetamix.rules`, or an object of your own with such a method. A
        callable `gamma` is given the step, a 0-d tensor of int64.
    **options
        The options of `ZetaMixup` from `num_classes` on.

    Raises
    ------
    ValueError, TypeError
        As from `ZetaMixup`.

    See Also
    --------
    ZetaMixup : How to call it.
    OneOf : The same for modules, also those of other packages.

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

    def __init__(self, rule: rules.Rule, **options: Any) -> None:
        super().__init__(**options)
        self._rule = rules.check_rule(rule)

    @property
    def rule(self) -> rules.Rule:
        """How plans are drawn."""
        return self._rule

    def _shown(self) -> list[str]:
        return ["rule", *super()._shown()]


class ZetaMixup(BatchMix):
    r"""Mix the samples and labels of a batch by ζ-mixup, in training mode.

    .. math:: \hat{x}_i = \sum_{r=1}^{T} w_r \, x_{s_i(r)}, \quad
              \hat{y}_i = \sum_{r=1}^{T} w_r \, y_{s_i(r)}, \quad
              w_r = r^{-\gamma} / \sum_{j=1}^{T} j^{-\gamma}

    Call it as ``mix(images, labels)``, or on one tuple, list, dict or nested batch of tensors that
    share the first axis. Floating tensors are mixed, each in its dtype; images that stand alone or
    first in a pair may be of integers (uint8 of two or more axes, 8 or 16 bits of three or more).
    Other integer tensors are refused unless they are named, so that class ids are never averaged by
    accident. Paths name tensors: that of ``batch["target"]["mask"]`` is ``"target/mask"``, that of
    ``batch[1]`` is ``"1"``.

    Parameters
    ----------
    gamma : float, 0-d tensor, (low, high) or callable, default 2.8
        Exponent :math:`\gamma \ge 0`: how close outputs stay to samples. A pair draws one
        uniformly for each output. A callable is given the step, a 0-d tensor of int64, and returns
        a number or a 0-d tensor.
    num_mix : int, optional
        T, the number of samples in a mixture, at most the whole batch; all of it by default.
    num_classes : int or mapping of str to int, optional
        Number of classes; required for integer labels. A mapping names the labels by their paths,
        and is all that is taken for labels.
    p : float, default 1.0
        Probability that a batch is mixed; otherwise each sample keeps weight 1.
    label_smoothing : float, default 0.0
        Weight :math:`\varepsilon` that is spread over all classes, in mixed batches and others.
    stop_at : int, optional
        Step from which on batches are no longer mixed.
    labels_getter : callable, "default" or None
        Returns the labels of a batch. By default they are the second of a pair or, in a mapping,
        what is called "labels", else what has "label" or "target" in its name.
    as_data : collection of str, default ()
        Paths of integer tensors that are mixed like floats, such as uint8 images in a dict.
    keep : collection of str, default ()
        Paths of what is left as it is, of any type, such as ids and file names.
    seed : int, optional
        Draw from the key (seed, step, rank), the same in each run. By default draws follow
        ``torch.manual_seed`` and the rank.
    generator : torch.Generator, optional
        A generator on the CPU to follow instead; not inside of ``torch.compile``.
    rank : int, optional
        Number of the process, whose draws differ from those of others; by default that of
        ``torch.distributed``.

    Attributes
    ----------
    step : tensor of int64, shape ()
        Number of batches mixed so far. It is part of `state_dict`, so that a resumed run goes on.
        Copies and processes count for themselves. A batch that is refused is not counted.

    Raises
    ------
    ValueError
        If an option is out of range; when called, if labels are out of range, lengths differ, an
        integer tensor is not named, or a seeded module is at step 2**32.
    TypeError
        If an argument has the wrong type.

    See Also
    --------
    zetamix.zeta_plan : The plan that is drawn for each batch.
    ZetaMixupCollate : The same in the workers of a loader.

    Notes
    -----
    With a seed, step k on rank r mixes by
    ``zeta_plan(n, gamma=gamma, num_mix=num_mix, rng=(seed, k, r))``, compiled or not. Images keep
    dtype, device and memory format; integers give the default float. Integer labels become float32
    (of double images float64), whatever the dtype of the images; floating ones keep theirs. What is
    not a tensor, such as text, stays.

    References
    ----------
    Abhishek, Brown, Hamarneh, "Multi-sample ζ-mixup: richer, more realistic synthetic samples from
    a p-series interpolant", Journal of Big Data 11:43 (2024).

    Examples
    --------
    >>> import torch
    >>> from zetamix.torch import ZetaMixup
    >>> mix = ZetaMixup(num_mix=8, num_classes=10, seed=0)
    >>> images, labels = torch.rand(32, 3, 8, 8), torch.arange(32) % 10
    >>> mixed, soft = mix(images, labels)
    >>> mixed.shape, soft.shape, bool((soft.argmax(dim=1) == labels).all())
    (torch.Size([32, 3, 8, 8]), torch.Size([32, 10]), True)
    >>> mix.eval()(images, labels)[1] is labels
    True
    """

    def __init__(
        self,
        *,
        gamma: Gamma = 2.8,
        num_mix: int | None = None,
        num_classes: int | Mapping[str, int] | None = None,
        p: float = 1.0,
        label_smoothing: float = 0.0,
        stop_at: int | None = None,
        labels_getter: LabelsGetter = "default",
        as_data: Collection[str] = (),
        keep: Collection[str] = (),
        seed: int | None = None,
        generator: torch.Generator | None = None,
        rank: int | None = None,
    ) -> None:
        super().__init__(
            num_classes=num_classes,
            p=p,
            label_smoothing=label_smoothing,
            stop_at=stop_at,
            labels_getter=labels_getter,
            as_data=as_data,
            keep=keep,
            seed=seed,
            generator=generator,
            rank=rank,
        )
        checked = rules.Zeta(gamma=gamma, num_mix=num_mix)
        self.gamma, self.num_mix = checked.gamma, checked.num_mix
        if isinstance(gamma, Tensor) and gamma.ndim > 0:
            raise ValueError(
                f"gamma must be a number or a 0-d tensor, got shape {tuple(gamma.shape)} and dtype "
                f"{gamma.dtype}; pass (low, high) to draw one for each output"
            )

    def _shown(self) -> list[str]:
        return ["gamma", "num_mix", *super()._shown()]

    @property
    def rule(self) -> rules.Zeta:
        """How plans are drawn."""
        return rules.Zeta(gamma=self.gamma, num_mix=self.num_mix)


class Mixup(BatchMix):
    r"""Mix the samples and labels of a batch in pairs, in training mode.

    .. math:: \hat{x} = \lambda x_1 + (1 - \lambda) x_2, \quad
              \hat{y} = \lambda y_1 + (1 - \lambda) y_2, \quad
              \lambda \sim \mathrm{Beta}(\alpha, \alpha)

    Parameters
    ----------
    alpha : float, default 1.0
        Positive parameter of the Beta distribution; 1 draws :math:`\lambda` uniformly.
    per_sample : bool, default True
        Draw one :math:`\lambda` for each output, or one for the batch.
    **options
        The options of `ZetaMixup` from `num_classes` on.

    Raises
    ------
    ValueError, TypeError
        As from `ZetaMixup`.

    See Also
    --------
    ZetaMixup : Many samples in a mixture; how to call it.

    References
    ----------
    Zhang, Cissé, Dauphin, Lopez-Paz, "mixup: Beyond Empirical Risk Minimization", ICLR 2018.

    Examples
    --------
    >>> import torch
    >>> from zetamix.torch import Mixup
    >>> mixed, soft = Mixup(alpha=0.4, num_classes=3, seed=0)(torch.eye(3), torch.arange(3))
    >>> bool(torch.equal(mixed, soft))
    True
    """

    def __init__(
        self,
        *,
        alpha: float = 1.0,
        per_sample: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        rule = rules.Mixup(alpha=alpha, per_sample=per_sample)
        self.alpha, self.per_sample = rule.alpha, rule.per_sample

    def _shown(self) -> list[str]:
        return ["alpha", *super()._shown()]

    @property
    def rule(self) -> rules.Mixup:
        """How plans are drawn."""
        return rules.Mixup(alpha=self.alpha, per_sample=self.per_sample)


class CutMix(BatchMix):
    r"""Paste boxes of samples into others and mix labels by area, in training mode.

    Every tensor of a batch that has the axes of the box is cut alike, masks too if they are named
    in `as_data`.

    Parameters
    ----------
    alpha : float, default 1.0
        Positive parameter of the Beta distribution of the area that stays.
    axes : sequence of int, default (-2, -1)
        Axes that the box extends along.
    per_sample : bool, default True
        Draw a box for each output, or one for the batch.
    **options
        The options of `ZetaMixup` from `num_classes` on.

    Raises
    ------
    ValueError, TypeError
        As from `ZetaMixup`.

    See Also
    --------
    ZetaMixup : How to call it.
    OneOf : This or another one for each batch.

    References
    ----------
    Yun, Han, Oh, Chun, Choe, Yoo, "CutMix: Regularization Strategy to Train Strong Classifiers with
    Localizable Features", ICCV 2019.

    Examples
    --------
    >>> import torch
    >>> from zetamix.torch import CutMix
    >>> images = torch.zeros(2, 1, 8, 8)
    >>> images[1] = 1
    >>> mixed, soft = CutMix(num_classes=2, seed=0)(images, torch.tensor([0, 1]))
    >>> bool(torch.allclose(mixed.mean(dim=(1, 2, 3)), soft[:, 1]))
    True
    """

    def __init__(
        self,
        *,
        alpha: float = 1.0,
        axes: Sequence[int] = (-2, -1),
        per_sample: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        rule = rules.CutMix(alpha=alpha, axes=axes, per_sample=per_sample)
        self.alpha, self.axes, self.per_sample = rule.alpha, rule.axes, rule.per_sample

    def _shown(self) -> list[str]:
        return ["alpha", "axes", *super()._shown()]

    @property
    def rule(self) -> rules.CutMix:
        """How plans are drawn."""
        return rules.CutMix(alpha=self.alpha, axes=self.axes, per_sample=self.per_sample)


def _as_given(mixed: Any, leaves: dict[str, Tensor], other: Collection[str]) -> Any:
    """Return mixed tensors as the subclass of those that were given, such as torchvision's Image.

    Operators of torch return plain tensors. Labels are others than before.
    """
    kinds = {path: type(leaf) for path, leaf in leaves.items() if path not in other}
    if all(kind in (Tensor, nn.Parameter) for kind in kinds.values()):
        return mixed

    def wrap(path: str, leaf: Tensor) -> Tensor:
        kind = kinds.get(path, Tensor)
        return leaf if kind is nn.Parameter else leaf.as_subclass(kind)

    return map_leaves(wrap, mixed, keep=other, strict=False)


def _check_num_classes(num_classes: Any) -> None:
    counts = num_classes.values() if isinstance(num_classes, Mapping) else [num_classes]
    for count in counts:
        if count is not None:
            check_num_classes(count)


def _check_share(name: str, value: Any) -> None:
    number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    if not number or not 0 <= value <= 1:
        raise ValueError(
            f"{name} must be a number from 0 to 1, got {value!r}; pass for instance {name}=0.1"
        )


def _shortened(value: Any) -> str:
    """Return what `repr` shows, without memory addresses and tensors' extras."""
    if isinstance(value, Tensor):
        return "tensor" if value.is_meta else f"{value.item():g}"
    return getattr(value, "__name__", type(value).__name__) if callable(value) else repr(value)
