"""Named modules for the usual rules: ζ-mixup, mixup and CutMix."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, Unpack

import torch
from torch import Tensor

from zetamix.torch.leaves import LabelsGetter
from zetamix.torch.mix import BatchMix, Groups, ModuleOptions
from zetamix_core import rules
from zetamix_core.adapting import check_asked, random_by

Donors = Literal["same", "other"] | None
Gamma = float | Tensor | tuple[float, float] | Callable[[Tensor], Any]


class ZetaMixup(BatchMix):
    r"""Mix the samples and labels of a batch by ζ-mixup, in training mode.

    .. math:: \hat{x}_i = \sum_{r=1}^{T} w_r \, x_{s_i(r)}, \quad
              \hat{y}_i = \sum_{r=1}^{T} w_r \, y_{s_i(r)}, \quad
              w_r = r^{-\gamma} / \sum_{j=1}^{T} j^{-\gamma}

    Call it as ``mix(images, labels)``, or on one tuple, list, dict or nested batch of tensors that
    share the first axis. Floating tensors are mixed, each in its dtype; images that come alone or
    first in a pair may be integers (uint8 with two or more axes, 8 or 16 bits with three or more).
    Other integer tensors are refused unless they are named, so that class ids are never averaged by
    accident. Paths name tensors: that of ``batch["target"]["mask"]`` is ``"target/mask"``, that of
    ``batch[1]`` is ``"1"``.

    Parameters
    ----------
    gamma : float, 0-d tensor, (low, high) or callable, default 2.8
        Exponent :math:`\gamma \ge 0`: how close outputs stay to samples. From a pair, each output
        draws its own uniformly. A callable takes the step, a 0-d tensor of int64, and returns a
        number or a 0-d tensor.
    num_mix : int, optional
        T, the number of samples in a mixture, at most the whole batch, which is the default.
    donors : "same" or "other", optional
        Which samples a sample may be mixed with, by `groups`: those of its own group, or those of
        other groups; see `zetamix.zeta_plan`.
    num_classes : int or mapping of str to int, optional
        Number of classes; required for integer labels. A mapping names the labels by their paths;
        nothing else is then taken for labels.
    p : float, default 1.0
        Probability that a batch is mixed; otherwise each sample keeps weight 1.
    label_smoothing : float, default 0.0
        Weight :math:`\varepsilon` that is spread over all classes, in mixed and unmixed batches.
    stop_at : int, optional
        Step from which on batches are no longer mixed.
    labels_getter : callable, "default" or None
        Returns the labels of a batch. By default they are the second of a pair or, in a mapping,
        the entry called "labels", "label", "targets", "target" or "y", else one with "label" or
        "target" in its name: tensors of shape (N,), (N, 1) or (N, C), or integer masks, that are
        not declared to be something else.
    groups : str or callable, optional
        The groups that `donors` refers to: the path of integers of shape (N,), such as "label" or
        "1", or a function of the batch that returns them.
    as_data : collection of str, default ()
        Paths of integer tensors that are mixed like floats, such as uint8 images in a dict.
    keep : collection of str, default ()
        Paths of what is left unmixed, of any type.
    dominant : collection of str, default ()
        Paths of what is taken from the sample that weighs most: ids, names, boxes, text; tensors,
        or lists of N things.
    ignore_index : int or mapping of str to int, optional
        The label that does not count, for all integer labels or by path; see
        `zetamix.Plan.mix_labels`.
    positions, onehot, scaled, valid : optional
        Other declarations of leaves by path, as in `zetamix.Plan.apply`: labels in which every
        entry is a class, axes of one-hot masks, leaves of a different resolution than the boxes,
        and the masks of padded leaves.
    dtype : torch.dtype, optional
        Floating dtype of the samples, mixed or not, in training and evaluation. By default each
        keeps its own: integer images of 8 and 16 bits are rounded to the nearest integer, ties to
        even, and wider integers become the default float.
    scale : bool, default False
        Whether to divide integer images by the largest number of their dtype, which makes them
        floats up to 1, in `dtype` or by default float32.
    seed : int, optional
        Draw from the key (seed, step, rank), the same in each run. By default draws follow
        ``torch.manual_seed`` and the rank.
    generator : torch.Generator, optional
        A generator on the CPU to follow instead; not inside ``torch.compile``.
    rank : int, optional
        Number of the process; each rank has its own draws. By default that of
        ``torch.distributed``.

    Attributes
    ----------
    step : tensor of int64, shape ()
        Number of batches mixed so far. It is part of `state_dict`, so a resumed run continues where
        it stopped. Copies and processes count on their own. A refused batch is not counted.

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
    dtype, device and memory format. Integer labels become float32 (float64 with double images),
    whatever the dtype of the images; floating labels keep theirs. What is not a tensor, such as
    text, stays.

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

    @random_by("seed")
    def __init__(
        self,
        *,
        gamma: Gamma = 2.8,
        num_mix: int | None = None,
        donors: Donors = None,
        num_classes: int | Mapping[str, int] | None = None,
        p: float = 1.0,
        label_smoothing: float = 0.0,
        stop_at: int | None = None,
        labels_getter: LabelsGetter = "default",
        groups: Groups = None,
        as_data: str | Iterable[str] = (),
        keep: str | Iterable[str] = (),
        dominant: str | Iterable[str] = (),
        ignore_index: int | Mapping[str, int] | None = None,
        positions: str | Iterable[str] = (),
        onehot: Mapping[str, int] | None = None,
        scaled: str | Iterable[str] = (),
        valid: Mapping[str, str] | None = None,
        dtype: torch.dtype | None = None,
        scale: bool = False,
        seed: int | None = None,
        generator: torch.Generator | None = None,
        rank: int | None = None,
    ) -> None:
        rule = rules.Zeta(gamma=gamma, num_mix=num_mix, donors=donors)
        super().__init__(
            num_classes=num_classes,
            p=p,
            label_smoothing=label_smoothing,
            stop_at=stop_at,
            labels_getter=labels_getter,
            groups=groups,
            as_data=as_data,
            keep=keep,
            dominant=dominant,
            ignore_index=ignore_index,
            positions=positions,
            onehot=onehot,
            scaled=scaled,
            valid=valid,
            dtype=dtype,
            scale=scale,
            seed=seed,
            generator=generator,
            rank=rank,
        )
        self.gamma, self.num_mix, self.donors = rule.gamma, rule.num_mix, donors
        self._give_floats()
        if isinstance(gamma, Tensor) and gamma.ndim > 0:
            raise ValueError(
                f"gamma must be a number or a 0-d tensor, got shape {tuple(gamma.shape)} and dtype "
                f"{gamma.dtype}; pass (low, high) to draw one for each output"
            )
        check_asked(self.rule, self.groups, needed=False)

    def _shown(self) -> list[str]:
        return ["gamma", "num_mix", *super()._shown()]

    @property
    def rule(self) -> rules.Zeta:
        """How plans are drawn."""
        return rules.Zeta(gamma=self.gamma, num_mix=self.num_mix, donors=self.donors)


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
        Whether to draw one :math:`\lambda` for each output, or one for the batch.
    donors : "same" or "other", optional
        Which samples a sample may be mixed with, as in `ZetaMixup`.
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

    @random_by("seed")
    def __init__(
        self,
        *,
        alpha: float = 1.0,
        per_sample: bool = True,
        donors: Donors = None,
        **options: Unpack[ModuleOptions],
    ) -> None:
        rule = rules.Mixup(alpha=alpha, per_sample=per_sample, donors=donors)
        super().__init__(**options)
        self.alpha, self.per_sample, self.donors = rule.alpha, rule.per_sample, donors
        self._give_floats()
        check_asked(self.rule, self.groups, needed=False)

    def _shown(self) -> list[str]:
        return ["alpha", *super()._shown()]

    @property
    def rule(self) -> rules.Mixup:
        """How plans are drawn."""
        shared, donors = self.per_sample, self.donors
        return rules.Mixup(alpha=self.alpha, per_sample=shared, donors=donors)


class CutMix(BatchMix):
    r"""Paste boxes of samples into other samples and mix labels by area, in training mode.

    Every tensor of a batch that has the axes of the box is cut alike, masks too if they are named
    in `as_data`.

    Parameters
    ----------
    alpha : float, default 1.0
        Positive parameter of the Beta distribution of the remaining area.
    axes : sequence of int, default (-2, -1)
        Axes along which the box extends.
    per_sample : bool, default True
        Whether to draw a box for each output, or one for the batch.
    donors : "same" or "other", optional
        Which samples boxes are pasted from, as in `ZetaMixup`.
    **options
        The options of `ZetaMixup` from `num_classes` on.

    Raises
    ------
    ValueError, TypeError
        As from `ZetaMixup`.

    See Also
    --------
    ZetaMixup : How to call it.
    OneOf : One of several transforms for each batch.

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

    @random_by("seed")
    def __init__(
        self,
        *,
        alpha: float = 1.0,
        axes: Sequence[int] = (-2, -1),
        per_sample: bool = True,
        donors: Donors = None,
        **options: Unpack[ModuleOptions],
    ) -> None:
        rule = rules.CutMix(alpha=alpha, axes=axes, per_sample=per_sample, donors=donors)
        super().__init__(**options)
        self.alpha, self.axes = rule.alpha, rule.axes
        self.per_sample, self.donors = rule.per_sample, donors
        check_asked(self.rule, self.groups, needed=False)

    def _shown(self) -> list[str]:
        return ["alpha", "axes", *super()._shown()]

    @property
    def rule(self) -> rules.CutMix:
        """How plans are drawn."""
        options: Any = {"per_sample": self.per_sample, "donors": self.donors}
        return rules.CutMix(alpha=self.alpha, axes=self.axes, **options)
