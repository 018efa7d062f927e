"""Mixing in the workers of a DataLoader."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, Unpack

import torch
from torch import Tensor, nn
from torch.utils.data import default_collate, get_worker_info

from zetamix.torch.keys import (
    KeyedModule,
    check_parts,
    draw_word,
    process_rank,
)
from zetamix.torch.leaves import marked_as
from zetamix.torch.mix import BatchMix, CollateOptions, Mix
from zetamix.torch.sharing import SharesNumbers
from zetamix.torch.transforms import Donors, Gamma, ZetaMixup
from zetamix_core.adapting import check_rule, checked_part, random_by
from zetamix_core.rules import Rule

# Places in shared memory: what the loader's process sends its workers; then how often processes
# have started the epoch, for each rank and worker number.
_EPOCH, _VERSION, _RANK, _FIRST, _MIXING, _STARTS = range(6)
_PLACES = 4096


class Collate(SharesNumbers):
    """Collate samples to a batch and mix it by any rule, in the workers of a DataLoader.

    Draws differ between batches, workers, epochs and ranks, whatever the state of torch's
    generators. With a seed and `set_epoch` before each epoch, map-style loaders that keep the order
    give the same batches with any number of workers, in epochs that run to their end.

    Parameters
    ----------
    mix : Rule or torch.nn.Module
        How plans are drawn: one of `zetamix.rules`, or your own object with such a method; or a
        module of ours, such as `ZetaMixup` or `OneOf`, with all its options, in its present
        training or evaluation mode. The step for a callable `gamma` and for `stop_at` is the epoch.
    collate_fn : callable, optional
        Makes a batch from a list of samples; by default that of torch. The images of a pair may be
        integers, such as uint8, and stay so unless `dtype` or `scale` says otherwise.
    seed : int, optional
        Draw from the key (seed, epoch, restarts, batch, rank), the same in each run. By default it
        is the seed of the module; without one, draws follow torch's generator in the worker.
    rank : int, optional
        Number of the process; by default that of the module, or of ``torch.distributed``.
    **options
        With a rule, options of `Mix`: `num_classes`, `p`, `label_smoothing`, `stop_at`, and the
        options of `ZetaMixup` for leaves and their dtypes.

    Attributes
    ----------
    training : bool
        Whether batches are mixed; see `train`.

    Raises
    ------
    ValueError, TypeError
        As from `ZetaMixup`.

    See Also
    --------
    Mix : Mixing of whole batches on the device, after the loader.
    ZetaMixupCollate : The same for ζ-mixup.

    Notes
    -----
    In the key, batch is the number of the batch in the epoch (worker + number of workers · earlier
    batches of this worker, counted from the `first_batch` of `set_epoch`), and restarts counts how
    often the worker was started in the epoch, so draws differ even without calls of `set_epoch`.
    Iterable data sets count batches in the same way: the draws are repeatable for the same number
    of workers. If `set_epoch` comes late, when workers have begun to prepare batches, or if an
    epoch ends early with persistent workers, which finish the requested batches, batches get
    different numbers, but do not repeat.

    A collate function does not know which loader calls it. A validation loader may share one that
    is switched off by `eval`: unmixed batches are not counted. Two loaders that both mix need one
    each: ``copy.copy(collate)`` makes another, on which `set_epoch` must be called, too. If two
    loaders share one nevertheless, the one that is iterated over first after `set_epoch`, to its
    end, draws as if it were alone; the draws of the other depend on what the first did.

    Examples
    --------
    >>> import torch
    >>> from torch.utils.data import DataLoader, TensorDataset
    >>> from zetamix.rules import CutMix
    >>> from zetamix.torch import Collate
    >>> data = TensorDataset(torch.rand(100, 3, 8, 8), torch.arange(100) % 10)
    >>> collate = Collate(CutMix(), num_classes=10, seed=0)
    >>> loader = DataLoader(data, batch_size=32, collate_fn=collate)
    >>> for epoch in range(2):
    ...     collate.set_epoch(epoch)
    ...     shapes = [tuple(soft.shape) for mixed, soft in loader]
    >>> shapes
    [(32, 10), (32, 10), (32, 10), (4, 10)]
    """

    @random_by("seed")
    def __init__(
        self,
        mix: Rule | nn.Module,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        *,
        seed: int | None = None,
        rank: int | None = None,
        **options: Unpack[CollateOptions],
    ) -> None:
        if isinstance(mix, nn.Module):
            module = _checked_module(mix, seed, options)
            seed = module.seed if seed is None else seed
            rank = module.rank if rank is None else rank
            self._set_up(lambda: module, collate_fn, seed, rank, options)
            self._shown = f"{type(module).__name__}({module.extra_repr()})"
        else:
            check_rule(mix)
            self._set_up(lambda: Mix(mix, **options), collate_fn, seed, rank, options)

    def _set_up(
        self,
        make: Callable[[], KeyedModule],
        collate_fn: Callable[[list[Any]], Any] | None,
        seed: int | None,
        rank: int | None,
        options: Mapping[str, Any],
    ) -> None:
        check_parts(seed, rank)
        if isinstance(collate_fn, KeyedModule):
            raise TypeError(
                f"collate_fn must make a batch from samples, got the module "
                f"{type(collate_fn).__name__}, which mixes; pass "
                f"Collate({type(collate_fn).__name__}(...))"
            )
        if collate_fn is not None and not callable(collate_fn):
            raise TypeError(
                f"collate_fn must be a callable or None, got {collate_fn!r}; name options, for "
                f"instance gamma=2.8"
            )
        if "generator" in options:
            raise TypeError(
                "workers can't share a generator, got generator=; pass seed=, or None to follow "
                "torch's"
            )
        self.collate_fn = default_collate if collate_fn is None else collate_fn
        self.seed = seed
        self.rank = rank
        self._module = make()
        self._shown = self._module.extra_repr()
        self._joined: tuple[int, int] | None = None
        memory = torch.zeros(_STARTS + _PLACES, dtype=torch.int64, device="cpu")
        memory[_MIXING] = self._module.training
        self._share(memory)

    @property
    def training(self) -> bool:
        """Whether batches are mixed."""
        return bool(self._shared[_MIXING])

    def train(self, mode: bool = True) -> Collate:
        """Start or stop mixing; workers notice with the next batch that they begin.

        Parameters
        ----------
        mode : bool, default True
            Whether to mix batches. Unmixed batches are collated, in the dtype of mixed ones, and
            not counted.

        Returns
        -------
        Collate
            This one.

        Raises
        ------
        TypeError
            If `mode` is not a bool.

        Examples
        --------
        >>> from zetamix.rules import Zeta
        >>> from zetamix.torch import Collate
        >>> collate = Collate(Zeta(), num_classes=10)
        >>> for epoch in range(10):  # and iterate over the loader
        ...     collate = collate.train(epoch < 8)
        >>> collate.training
        False
        """
        if type(mode) is not bool:
            raise TypeError(f"mode must be a bool, got {mode!r}; pass True to mix batches")
        self._own()
        self._shared[_MIXING] = mode
        return self

    def eval(self) -> Collate:
        """Stop mixing, as ``train(False)`` does.

        Returns
        -------
        Collate
            This one.

        Examples
        --------
        >>> from zetamix.rules import Zeta
        >>> from zetamix.torch import Collate
        >>> Collate(Zeta(), num_classes=10).eval().training
        False
        """
        return self.train(False)

    def set_epoch(self, epoch: int, first_batch: int | None = None) -> None:
        """Set the epoch before it is iterated over; persistent workers learn of it too.

        Setting the current epoch again has no effect, unless `first_batch` is given.

        Parameters
        ----------
        epoch : int
            Number of the epoch, counted from 0.
        first_batch : int, optional
            Number of the batch with which the epoch begins: the number of batches already used
            before a run was stopped, which the loader skips, as by
            ``accelerate.skip_first_batches``. The rest of the epoch is then mixed as in a run that
            never stopped. It applies only to this epoch, and not to iterable data sets, whose
            workers count on their own.

        Raises
        ------
        ValueError
            If `epoch` or `first_batch` is not from 0 to 2**32 - 1.
        TypeError
            If it is not an int.

        Examples
        --------
        >>> from zetamix.rules import Zeta
        >>> from zetamix.torch import Collate
        >>> collate = Collate(Zeta(num_mix=8), num_classes=10, seed=0)
        >>> for epoch in range(2):
        ...     collate.set_epoch(epoch)  # then iterate over the loader
        """
        checked_part("epoch", epoch, 32, "count epochs from 0")
        if first_batch is not None:
            checked_part("first_batch", first_batch, 32, "count batches from 0")
        self._own()
        if first_batch is None and epoch == int(self._shared[_EPOCH]):
            return  # workers may be in the middle of it
        self._shared[_STARTS:] = 0
        self._shared[_EPOCH] = epoch
        self._shared[_FIRST] = first_batch or 0
        self._shared[_VERSION] += 1

    @torch.no_grad()  # workers can't send tensors that require a gradient
    def __call__(self, samples: list[Any]) -> Any:
        """Collate and mix the samples of one batch.

        Parameters
        ----------
        samples : list
            Samples of the data set.

        Returns
        -------
        tuple, list, dict or tensor
            The batch, as the collate function makes it, with mixed tensors.
        """
        batch = self.collate_fn(samples)
        if self.collate_fn is default_collate:  # which loses torchvision's types
            modules = [m for m in self._module.modules() if isinstance(m, BatchMix)]
            told = frozenset().union(*(module._told() for module in modules))
            batch = marked_as(samples[0], batch, told)
        if not self.training:
            return self._module._unmixed(batch)
        key = self._key()
        return self._module._mix(batch, key, torch.tensor(self._epoch, device="cpu"))

    def __repr__(self) -> str:
        name = getattr(self.collate_fn, "__name__", type(self.collate_fn).__name__)
        return f"{type(self).__name__}({name}, {self._shown}, seed={self.seed})"

    def _share(self, memory: Tensor) -> None:
        """Share memory with the workers of this process, and pass them its rank."""
        super()._share(memory)
        self._shared[_RANK] = self._rank()

    def _key(self) -> tuple[int, ...]:
        info = get_worker_info()
        worker, num_workers = (0, 1) if info is None else (info.id, info.num_workers)
        rank = self._rank()
        place = _STARTS + (rank * num_workers + worker) % _PLACES
        joined = (os.getpid(), int(self._shared[_VERSION]))
        if joined != self._joined:
            self._joined, self._count = joined, 0
            self._epoch, self._first = self._shared[[_EPOCH, _FIRST]].tolist()
            # Another process that joins the same epoch in this place will see that it was taken.
            self._restarts = int(self._shared[place])
            self._shared[place] += 1
        batch = self._first + worker + num_workers * self._count
        self._count += 1
        seed = int(draw_word(None)) if self.seed is None else self.seed
        return (seed, self._epoch, self._restarts, batch, rank)

    def _rank(self) -> int:
        if self.rank is not None:
            return self.rank
        rank = process_rank()
        if rank is None:
            # A worker that was not forked knows only the rank that it was passed.
            return 0 if get_worker_info() is None else int(self._shared[_RANK])
        return rank


def _checked_module(module: nn.Module, seed: int | None, options: Mapping[str, Any]) -> KeyedModule:
    """Return a module whose draws can follow the keys of a collate function."""
    name = type(module).__name__
    if not isinstance(module, KeyedModule):
        raise TypeError(
            f"mix must be a rule or a module of zetamix.torch, got {name}; put a module of another "
            f"package into OneOf, as OneOf([module])"
        )
    if options:
        raise TypeError(f"a module has its own options, got {sorted(options)}; pass them to {name}")
    seeds = [m.seed for m in module.modules() if isinstance(m, KeyedModule) and m.seed is not None]
    if any(m.generator is not None for m in module.modules() if isinstance(m, KeyedModule)):
        raise ValueError(
            f"workers can't share a generator, got a {name} with one; pass seed= instead, or "
            f"neither to follow torch's"
        )
    if module.seed is None and seed is None and seeds:
        raise ValueError(
            f"all draws must use one seed, got {name} without one for modules with seeds "
            f"{seeds}; pass seed= to Collate"
        )
    if seed is not None and module.seed not in (None, seed):
        raise ValueError(
            f"all draws must use one seed, got seed={seed} and a {name} with seed "
            f"{module.seed}; leave one of them out"
        )
    return module


class _ZetaOptions(CollateOptions, total=False):
    gamma: Gamma
    num_mix: int | None
    donors: Donors


class ZetaMixupCollate(Collate):
    """Collate samples to a batch and mix it by ζ-mixup, in the workers of a DataLoader.

    It is `Collate` with the rule `zetamix.rules.Zeta`.

    Parameters
    ----------
    collate_fn : callable, optional
        Makes a batch from a list of samples, as in `Collate`.
    seed, rank : int, optional
        Seed and rank in the key of the draws, as in `Collate`.
    **options
        Options of `ZetaMixup`: `gamma`, `num_mix`, `num_classes`, `p`, `label_smoothing`,
        `stop_at`, and those for leaves and their dtypes. Here the step for a callable `gamma` and
        for `stop_at` is the epoch.

    Raises
    ------
    ValueError, TypeError
        As from `ZetaMixup`.

    See Also
    --------
    Collate : Any rule; how draws are numbered.

    Examples
    --------
    >>> import torch
    >>> from torch.utils.data import DataLoader, TensorDataset
    >>> from zetamix.torch import ZetaMixupCollate
    >>> data = TensorDataset(torch.rand(100, 3, 8, 8), torch.arange(100) % 10)
    >>> collate = ZetaMixupCollate(num_mix=8, num_classes=10, seed=0)
    >>> loader = DataLoader(data, batch_size=32, collate_fn=collate)
    >>> for epoch in range(2):
    ...     collate.set_epoch(epoch)
    ...     shapes = [tuple(soft.shape) for mixed, soft in loader]
    >>> shapes
    [(32, 10), (32, 10), (32, 10), (4, 10)]
    """

    @random_by("seed")
    def __init__(
        self,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        *,
        seed: int | None = None,
        rank: int | None = None,
        **options: Unpack[_ZetaOptions],
    ) -> None:
        self._set_up(lambda: ZetaMixup(**options), collate_fn, seed, rank, options)
