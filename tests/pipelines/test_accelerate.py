"""A run that accelerate resumes in the middle of an epoch."""

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset
from zetamix.torch import Collate, CutMix, OneOf, ZetaMixup

pytestmark = [
    pytest.mark.needs("torch"),
    pytest.mark.pipeline,
    # JAX, which other tests may have imported, warns of any fork.
    pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning"),
]
N, BATCH = 30, 6


def collate():
    modules = [ZetaMixup(num_classes=3), CutMix(axes=(-1,), num_classes=3)]
    return Collate(OneOf(modules), seed=5)


def loader(mix, workers, persistent):
    data = TensorDataset(torch.eye(N), torch.arange(N) % 3)
    options = {"num_workers": workers, "persistent_workers": persistent and workers > 0}
    return DataLoader(data, BATCH, collate_fn=mix, **options)


@pytest.mark.parametrize("workers", [0, 2, 3])
@pytest.mark.parametrize("persistent", [False, True])
@pytest.mark.parametrize("prepared", [False, True])
def test_the_rest_of_an_epoch_is_that_of_a_run_that_never_stopped(
    framework, workers, persistent, prepared
):
    accelerate = framework("accelerate")
    whole = collate()
    epochs = []
    for epoch in (1, 2):
        whole.set_epoch(epoch)
        epochs.append(list(loader(whole, 0, False)))

    mix = collate()
    batches = loader(mix, workers, persistent)
    if prepared:
        batches = accelerate.Accelerator(cpu=True).prepare(batches)
    skipping = accelerate.skip_first_batches(batches, 2)
    mix.set_epoch(1, first_batch=2)
    for given, expected in ((list(skipping), epochs[0][2:]), (None, epochs[1])):
        if given is None:
            mix.set_epoch(2)
            given = list(batches)
        assert len(given) == len(expected)
        for a, b in zip(given, expected, strict=True):
            assert torch.equal(a[0], b[0])
            assert torch.equal(a[1], b[1])
