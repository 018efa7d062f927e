"""One process of a distributed training run; `test_torch.py` starts two and reads what they save.

Arguments: a folder with ``digits.pt``, the rank, and the number of processes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import distributed, nn
from torch.nn.functional import cross_entropy
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Dataset, DistributedSampler, default_collate
from zetamix.torch import ZetaMixup, ZetaMixupCollate

BATCH, NUM_MIX, EPOCHS = 64, 8, 6
OPTIONS = {"num_mix": NUM_MIX, "num_classes": 10}
# Tracing is what depends on the rank; to generate code takes long.
BACKEND = "eager"
Batch = dict[str, torch.Tensor]


class Numbered(Dataset[Batch]):
    """Digits with their numbers, from which the test finds the samples of each batch."""

    def __init__(self, images: torch.Tensor, labels: torch.Tensor) -> None:
        self.images, self.labels = images, labels

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"image": self.images[index], "label": self.labels[index], "index": index}


def with_sources(samples: list[Any]) -> Batch:
    """Collate, and add the identity: mixed like an image, it is the matrix of the plan."""
    batch: Batch = default_collate(samples)
    return {**batch, "sources": torch.eye(len(samples))}


def mixed_after_the_loader(data: Dataset[Batch], seed: int | None) -> Iterator[Batch]:
    mix = ZetaMixup(keep=["index"], seed=seed, **OPTIONS)
    for batch in batches(data, with_sources):
        yield mix(batch)


def mixed_in_a_graph(data: Dataset[Batch], seed: int | None) -> Iterator[Batch]:
    """Mix in a graph, for which the rank is found out while it is traced."""
    mix: Any = ZetaMixup(keep=["index"], seed=seed, **OPTIONS)
    mix = torch.compile(mix, fullgraph=True, backend=BACKEND)
    for batch in batches(data, with_sources):
        yield mix(batch)


def mixed_in_workers(data: Dataset[Batch], seed: int | None) -> Iterator[Batch]:
    mix = ZetaMixupCollate(with_sources, keep=["index"], seed=seed, **OPTIONS)
    yield from batches(data, mix, num_workers=2, persistent_workers=True)


def mixed_in_spawned_workers(data: Dataset[Batch], seed: int | None) -> Iterator[Batch]:
    """Workers that have not inherited the group of processes, only what they are sent."""
    mix = ZetaMixupCollate(with_sources, keep=["index"], seed=seed, **OPTIONS)
    options = {"num_workers": 1, "persistent_workers": True, "multiprocessing_context": "spawn"}
    yield from batches(data, mix, **options)


def batches(
    data: Dataset[Batch], collate: Callable[[list[Any]], Batch], **options: Any
) -> Iterator[Batch]:
    sampler = DistributedSampler(data, seed=0)
    loader = DataLoader(data, BATCH, sampler=sampler, collate_fn=collate, **options)
    for epoch in range(EPOCHS):
        sampler.set_epoch(epoch)
        if isinstance(collate, ZetaMixupCollate):
            collate.set_epoch(epoch)
        yield from loader


def train(mixed: Iterator[Batch], compiled: bool) -> dict[str, Any]:
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    model: Any = DistributedDataParallel(network)
    model = torch.compile(model, backend=BACKEND) if compiled else model
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    seen = []
    for batch in mixed:
        optimizer.zero_grad()
        cross_entropy(model(batch["image"]), batch["label"]).backward()
        optimizer.step()
        seen.append(batch)
    return {"seen": seen, "weights": network.state_dict()}


def main(folder: Path, rank: int, world_size: int) -> None:
    distributed.init_process_group(
        "gloo",
        init_method=(folder / "meeting").as_uri(),
        rank=rank,
        world_size=world_size,
        timeout=timedelta(minutes=2),
    )
    digits = torch.load(folder / "digits.pt", weights_only=True)
    data = Numbered(digits["images"], digits["labels"])
    kinds = [
        ("after the loader", mixed_after_the_loader, (0,)),
        ("in workers", mixed_in_workers, (None, 0)),
        ("in spawned workers", mixed_in_spawned_workers, (0,)),
        ("in a graph", mixed_in_a_graph, (0,)),
    ]
    runs = {}
    for kind, mixed, seeds in kinds:
        for seed in seeds:
            torch.compiler.reset()
            # What people do: the same seed on every rank, for the same weights.
            torch.manual_seed(0)
            runs[f"{kind}, seed={seed}"] = train(mixed(data, seed), kind == "in a graph")
    torch.save(runs, folder / f"runs_{rank}.pt")
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
