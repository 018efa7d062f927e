"""The rule that pastes boxes of one sample into another."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import ClassVar, Literal

from zetamix_core.checks import check_axes
from zetamix_core.plans import CutMixPlan, cutmix_plan
from zetamix_core.rules.base import AlphaRule, Ask

__all__ = ["CutMix"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class CutMix(AlphaRule):
    r"""CutMix: a box of one sample pasted into another, labels by volume.

    Parameters
    ----------
    alpha : float, default 1.0
        Positive parameter of the Beta distribution of the remaining volume.
    axes : sequence of int, default (-2, -1)
        Axes along which the box extends: any number of them, but not the first axis.
    per_sample : bool, default True
        Whether to draw a box for each output, or one for the batch.
    anchored : bool, default True
        Whether the box of output i is pasted into sample i; otherwise into a random sample.
    donors : "same" or "other", optional
        Which samples boxes are pasted from, as in `Zeta`; a sample without donors gets an empty
        box.

    Raises
    ------
    ValueError
        If a value is out of range.
    TypeError
        If a value has the wrong type.

    See Also
    --------
    zetamix.cutmix_plan : The plan that is drawn.

    References
    ----------
    Yun, Han, Oh, Chun, Choe, Yoo, "CutMix: Regularization Strategy to Train Strong Classifiers with
    Localizable Features", ICCV 2019.

    Examples
    --------
    >>> from zetamix.rules import CutMix
    >>> CutMix().plan((32, 3, 8, 8), rng=0).lengths
    (8, 8)
    """

    alpha: float = 1.0
    axes: Sequence[int] = (-2, -1)
    per_sample: bool = True
    anchored: bool = True
    donors: Literal["same", "other"] | None = None
    averages: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "axes", check_axes(self.axes))

    def _draw(self, asked: Ask) -> CutMixPlan:
        return cutmix_plan(asked.shape, axes=self.axes, **self._options(asked))
