"""`mix(out=)` makes no second array: it allocates blocks, however large the samples are."""

import contextlib
import tracemalloc

import numpy as np
import pytest

from zetamix_core import zeta_mixup, zeta_plan

N, D = 32, 2**17
ORDERS = {"C": lambda x: x, "channels last": lambda x: np.moveaxis(x, 1, -1)}


def samples_of(dtype, order):
    """(N, 4, D / 4) or (N, D / 4, 4), which are one piece of memory in different orders."""
    return ORDERS[order](np.ones((N, 4, D // 4), dtype=dtype))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("num_mix", [2, 32], ids=["sparse", "dense"])
@pytest.mark.parametrize(
    ("dtype", "of_out"),
    [("f4", "f4"), ("f8", "f8"), ("u1", "f4"), ("f2", "f2"), ("f8", "f4"), ("f4", "f8")],
)
def test_numpy(num_mix, dtype, of_out, order):
    plan = zeta_plan(N, num_mix=num_mix, rng=0)
    x, out = samples_of(dtype, order), samples_of(of_out, order)
    out.fill(0)
    plan.mix(x[:, :8, :8], out=np.empty_like(out[:, :8, :8]))  # what is made once
    tracemalloc.start()
    try:
        mixed = plan.mix(x, out=out)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert mixed is out
    np.testing.assert_allclose(out, 1, rtol=1e-3)
    assert peak < N * D * max(4, out.itemsize) / 3


def test_all_of_many_samples():
    """Beside the output only indices, and blocks of matrix and labels."""
    n, features = 1024, 1536
    x, y = np.ones((n, features), dtype=np.float32), np.arange(n) % 10
    zeta_mixup(x[:300], y[:300], num_mix=300, num_classes=10)  # what is made once
    tracemalloc.start()
    try:
        zeta_mixup(x, y, num_mix=n, num_classes=10, gamma=1.0, rng=0)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < x.nbytes + 8 * n**2 + 4 * n**2


@pytest.mark.needs("torch")
def test_all_of_many_samples_of_torch():
    import torch

    n, features = 1024, 1536
    x, y = torch.ones(n, features), torch.arange(n) % 10
    with watched(x, y) as made:
        zeta_mixup(x, y, num_mix=n, num_classes=10, gamma=1.0, rng=0)
    indices, output = 8 * n**2, 4 * n * features
    assert sorted(size for size in made.values() if size > 2 * n**2) == [output, indices]


@contextlib.contextmanager
def watched(*given):
    """Yield the sizes of the memory of tensors that are made, by address, but of the given ones."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    made, seen = {}, {x.untyped_storage().data_ptr() for x in given}

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            result = function(*args, **(kwargs or {}))
            for part in result if isinstance(result, (tuple, list)) else (result,):
                if isinstance(part, torch.Tensor):
                    storage = part.untyped_storage()
                    if storage.data_ptr() not in seen:
                        made[storage.data_ptr()] = storage.nbytes()
            return result

    with Watch():
        yield made


@pytest.mark.needs("torch")
@pytest.mark.parametrize("num_mix", [2, 32], ids=["sparse", "dense"])
@pytest.mark.parametrize("dtype", ["float32", "uint8", "bfloat16"])
def test_torch(num_mix, dtype):
    import torch

    plan = zeta_plan(N, num_mix=num_mix, rng=0)
    x = torch.ones(N, D, dtype=getattr(torch, dtype))
    out = torch.zeros(N, D, dtype=x.dtype if x.is_floating_point() else torch.float32)
    with watched(x, out) as made:
        mixed = plan.mix(x, out=out)
    assert mixed is out
    assert made, "nothing was watched"
    torch.testing.assert_close(out, torch.ones_like(out))
    assert max(made.values()) < N * D * 4 / 3


@pytest.mark.parametrize("num_mix", [2, 32], ids=["sparse", "dense"])
def test_the_order_of_memory_is_kept_where_strides_are_negative(num_mix):
    plan = zeta_plan(N, num_mix=num_mix, rng=0)
    x, matrix = np.arange(N * 30.0).reshape(N, 5, 6), plan.matrix()
    for axes in ((1,), (2,), (1, 2)):
        flipped = np.flip(x, axes)
        turned = np.moveaxis(flipped, 1, 2)
        assert (plan @ flipped).flags.c_contiguous
        assert np.moveaxis(plan @ turned, 2, 1).flags.c_contiguous
        for samples in (flipped, turned):
            np.testing.assert_allclose(plan @ samples, np.tensordot(matrix, samples, 1), rtol=1e-9)
