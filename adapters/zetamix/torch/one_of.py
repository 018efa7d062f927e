"""One of several transforms for each batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from zetamix.torch.keys import Key, KeyedModule, longer, on_host
from zetamix.torch.leaves import as_batch
from zetamix.torch.mix import BatchMix
from zetamix_core.adapting import averages, chosen, random_by, shares, stream_for


class OneOf(KeyedModule):
    """Apply one of several transforms to each batch, drawn on the host, in training mode.

    With `ZetaMixup` and `CutMix` this is the combination of the ζ-mixup paper. Only the drawn
    transform is computed.

    Parameters
    ----------
    transforms : sequence of torch.nn.Module
        Called with the batch; ours or those from other packages.
    p : sequence of float, optional
        Their probabilities, up to a factor; equal by default.
    seed, generator, rank : optional
        Sources of the choice, as in `ZetaMixup`, with the key (seed, step, rank, 0); the transforms
        draw from their own.

    Attributes
    ----------
    step : tensor of int64, shape ()
        Number of batches so far. It is part of `state_dict`.

    Raises
    ------
    ValueError
        If there is no transform, `p` does not fit the transforms, or ours give samples of different
        dtypes.
    TypeError
        If a transform is not a module.

    Notes
    -----
    In a collate function all draws follow its key, even those of modules from other packages.

    A graph of ``torch.compile`` ends at the choice; compile the transforms, or the model after.

    Examples
    --------
    >>> import torch
    >>> from zetamix.torch import CutMix, OneOf, ZetaMixup
    >>> mix = OneOf([ZetaMixup(num_classes=10), CutMix(num_classes=10)], p=[0.7, 0.3], seed=0)
    >>> mixed, soft = mix(torch.rand(16, 3, 8, 8), torch.arange(16) % 10)
    >>> mixed.shape, soft.shape
    (torch.Size([16, 3, 8, 8]), torch.Size([16, 10]))
    """

    @random_by("seed")
    def __init__(
        self,
        transforms: Sequence[nn.Module],
        p: Sequence[float] | None = None,
        *,
        seed: int | None = None,
        generator: torch.Generator | None = None,
        rank: int | None = None,
    ) -> None:
        super().__init__(seed=seed, generator=generator, rank=rank)
        _check_transforms(transforms)
        self.transforms = nn.ModuleList(transforms)
        if not all(isinstance(t, BatchMix) and not averages(t.rule) for t in transforms):
            for transform in self.transforms.modules():
                if isinstance(transform, BatchMix):
                    transform._give_floats()
        self.p = list(shares(p, len(transforms), "transforms"))

    def forward(self, *inputs: Any) -> Any:
        """Apply one of the transforms in training mode, and none in evaluation mode.

        Parameters
        ----------
        *inputs : tensors, or one nested batch
            What the transforms take.

        Returns
        -------
        tuple, or nested batch
            The output of the transform; in evaluation mode, what our transforms return then.

        Raises
        ------
        ValueError, TypeError
            As from the transform.

        Examples
        --------
        >>> import torch
        >>> from zetamix.torch import CutMix, OneOf, ZetaMixup
        >>> mix = OneOf([ZetaMixup(num_classes=10), CutMix(num_classes=10)], seed=0)
        >>> mixed, soft = mix(torch.rand(32, 3, 8, 8), torch.arange(32) % 10)
        >>> mixed.shape, soft.shape
        (torch.Size([32, 3, 8, 8]), torch.Size([32, 10]))
        """
        batch = as_batch(inputs)
        return self._counted(self._apply_one, inputs) if self.training else self._unmixed(batch)

    def extra_repr(self) -> str:
        return f"p={self.p}" + ("" if self.seed is None else f", seed={self.seed}")

    def _mix(self, batch: Any, key: Key, step: Tensor) -> Any:
        transform = self.transforms[_choose(self.p, key)]
        if isinstance(transform, OneOf):  # which must choose by a different number
            return transform._mix(batch, longer(key, 2), step)
        if isinstance(transform, KeyedModule):
            return transform._mix(batch, key, step)
        inputs = batch if isinstance(batch, (tuple, list)) else [batch]
        with torch.random.fork_rng(devices=[]):  # theirs follow torch's generator
            torch.default_generator.manual_seed(_word(key))
            return transform(*inputs)

    def _unmixed(self, batch: Any) -> Any:
        ours = next((t for t in self.transforms if isinstance(t, KeyedModule)), None)
        return batch if ours is None else ours._unmixed(batch)

    def _apply_one(self, inputs: tuple[Any, ...], key: Key, step: Tensor) -> Any:
        return self.transforms[_choose(self.p, key)](*inputs)


def _choose(p: Sequence[float], key: Key) -> int:
    if torch.compiler.is_compiling():
        from zetamix.torch import graph_breaks

        transform: int = graph_breaks.chosen_transform(p, key)
        return transform
    return chosen_transform(p, key)


def chosen_transform(p: Sequence[float], key: Key) -> int:
    # One entry more than in the keys of the transforms, which may have the same seed.
    return chosen(p, _uniform(longer(key, 0)))


def _uniform(key: Key) -> Tensor:
    uniform: Tensor = stream_for(key, on_host([0]).double()).uniform((1,))
    return uniform


def _word(key: Key) -> int:
    return int(_uniform(longer(key, 1)) * 2**53)


def _check_transforms(transforms: Any) -> None:
    if not isinstance(transforms, (list, tuple)) or not transforms:
        raise ValueError(
            f"transforms must be a list of one or more modules, got {transforms!r}; pass for "
            f"instance [ZetaMixup(num_classes=10), CutMix(num_classes=10)]"
        )
    for transform in transforms:
        if not isinstance(transform, nn.Module):
            raise TypeError(
                f"each transform must be a torch.nn.Module, got {type(transform).__name__}; wrap "
                f"functions in a module"
            )
    forms = {pixels for transform in transforms for pixels in _forms(transform)}
    if len(forms) > 1:
        raise ValueError(
            f"transforms must give samples of one dtype and scale, got "
            f"{sorted(forms, key=str)}; pass the same dtype= and scale= to each"
        )


def _forms(transform: nn.Module) -> set[Any]:
    """Return the forms in which a module of ours gives samples; unknown for other modules."""
    if isinstance(transform, OneOf):
        return {form for inner in transform.transforms for form in _forms(inner)}
    ours = isinstance(transform, BatchMix)
    return {(transform.dtype, transform.scale)} if ours else set()
