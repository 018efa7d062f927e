"""Losses and accuracy of mixed samples, against loops in double precision and soft labels."""

import functools

import array_api_compat
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zetamix_core import (
    CutMixPlan,
    cutmix_plan,
    dirichlet_plan,
    mixed_accuracy,
    mixed_loss,
    mixup_plan,
    zeta_plan,
)

N = 6
PLANS = {
    "zeta": lambda like: zeta_plan(N, num_mix=4, rng=0, like=like),
    "many outputs": lambda like: zeta_plan(N, gamma=1.0, num_outputs=9, rng=1, like=like),
    "a gamma each": lambda like: zeta_plan(N, gamma=np.linspace(0, 4, N), rng=2, like=like),
    "mixup": lambda like: mixup_plan(N, num_outputs=4, anchored=False, rng=3, like=like),
    "one weight": lambda like: mixup_plan(N, per_sample=False, rng=4, like=like),
    "dirichlet": lambda like: dirichlet_plan(N, num_mix=3, rng=5, like=like),
    "cutmix": lambda like: cutmix_plan((N, 7, 5), rng=6, like=like),
    "one box": lambda like: cutmix_plan((N, 7, 5), per_sample=False, rng=7, like=like),
}


@pytest.fixture(params=PLANS)
def make_plan(request):
    return PLANS[request.param]


def entries(plan, backend):
    """Return indices and weights as (M, T) arrays of NumPy, the latter in double precision."""
    pairs = plan.volumes if isinstance(plan, CutMixPlan) else plan
    indices, weights = (
        a if isinstance(a, np.ndarray) else backend.to_numpy(a)
        for a in (pairs.indices, pairs.weights)
    )
    return indices, np.broadcast_to(weights.astype(np.float64), indices.shape)


def by_loops(table, indices, weights):
    """Mix ``table[i, j]``, the loss of output i if sample j were its label."""
    num_outputs, num_mix = indices.shape
    total = np.zeros((num_outputs, *table.shape[2:]))
    for i in range(num_outputs):
        for r in range(num_mix):
            if weights[i, r] > 0:
                total[i] += weights[i, r] * table[i, indices[i, r]]
    return total


def squared(pred, y):
    return (pred - y) ** 2


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def negative_log_likelihood(backend, num_classes):
    classes = backend.asarray(np.arange(num_classes, dtype=np.int32))

    def loss(log_probabilities, y):
        xp = array_api_compat.array_namespace(log_probabilities)
        return xp.sum(xp.where(y[:, None] == classes, -log_probabilities, 0.0), axis=1)

    return loss


def log_softmax(scores):
    scores = scores.astype(np.float64)
    return scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))


# --- the mixture of the losses --------------------------------------------------------------------


@pytest.mark.parametrize("own", [False, True], ids=["NumPy plan", "own plan"])
@pytest.mark.parametrize("shape", [(), (3,)])
def test_loss_is_the_sum_over_ranks(backend, make_plan, own, shape):
    plan = make_plan(backend.like if own else None)
    indices, weights = entries(plan, backend)
    num_outputs = len(indices)
    pred, y = numbers(num_outputs, *shape), numbers(N, *shape, seed=1)
    table = (pred[:, None].astype(np.float64) - y[None]) ** 2
    expected = by_loops(table, indices, weights)
    scores = backend.asarray(pred)
    for reduction, value in (
        ("none", expected),
        ("sum", expected.sum()),
        ("mean", expected.mean()),
    ):
        loss = mixed_loss(squared, scores, backend.asarray(y), plan, reduction=reduction)
        assert array_api_compat.array_namespace(loss) is array_api_compat.array_namespace(scores)
        assert array_api_compat.device(loss) == array_api_compat.device(scores)
        loss = backend.to_numpy(loss)
        assert loss.dtype == np.float32
        assert loss.shape == np.shape(value)
        np.testing.assert_allclose(loss, value, rtol=2e-5, atol=1e-6)
    default = backend.to_numpy(mixed_loss(squared, scores, backend.asarray(y), plan))
    np.testing.assert_allclose(default, expected.mean(), rtol=2e-5)


def test_cross_entropy_is_that_of_mixed_labels(backend, make_plan):
    """It is linear in the label."""
    plan, num_classes = make_plan(None), 5
    num_outputs = len(entries(plan, backend)[0])
    y = np.random.default_rng(0).integers(0, num_classes, N).astype(np.int32)
    log_probabilities = log_softmax(numbers(num_outputs, num_classes)).astype(np.float32)
    soft = plan.mix_labels(y, num_classes)
    assert soft.max(axis=1).min() < 0.999
    loss = mixed_loss(
        negative_log_likelihood(backend, num_classes),
        backend.asarray(log_probabilities),
        backend.asarray(y),
        plan,
        reduction="none",
    )
    expected = -np.sum(soft * log_probabilities.astype(np.float64), axis=1)
    np.testing.assert_allclose(backend.to_numpy(loss), expected, rtol=1e-5)


@pytest.mark.parametrize("shape", [(), (3,)])
def test_squared_error_is_that_of_mixed_targets_and_their_spread(backend, make_plan, shape):
    """Σ w (p − y)² = (p − Σ w y)² + Σ w y² − (Σ w y)²."""
    plan = make_plan(None)
    indices, weights = entries(plan, backend)
    matrix = np.zeros((len(indices), N))
    np.add.at(matrix, (np.arange(len(indices))[:, None], indices), weights)
    pred, y = numbers(len(indices), *shape), numbers(N, *shape, seed=1)
    loss = mixed_loss(squared, backend.asarray(pred), backend.asarray(y), plan, reduction="none")
    mean, of_squares = (np.tensordot(matrix, v, axes=1) for v in (y, y.astype(np.float64) ** 2))
    expected = (pred - mean) ** 2 + of_squares - mean**2
    np.testing.assert_allclose(backend.to_numpy(loss), expected, rtol=2e-5, atol=1e-5)


def test_losses_of_integers_and_bool_are_averaged(backend):
    """Such as the zero-one loss: the share of labels that differ."""
    plan = zeta_plan(N, gamma=1.0, rng=0)
    y = np.asarray([0, 1, 2, 0, 1, 2], dtype=np.int32)
    guess = np.asarray([0, 0, 0, 1, 1, 1], dtype=np.int32)
    loss = mixed_loss(lambda p, y: p != y, backend.asarray(guess), backend.asarray(y), plan)
    expected = by_loops(guess[:, None] != y[None], *entries(plan, backend)).mean()
    np.testing.assert_allclose(backend.to_numpy(loss), expected, rtol=1e-6)


@pytest.mark.parametrize("bad", [np.inf, np.nan])
@pytest.mark.parametrize("own", [False, True], ids=["NumPy plan", "own plan"])
def test_labels_without_weight_do_not_count(backend, bad, own):
    """Not even if their loss is infinite, as a log-likelihood may be."""

    def loss(pred, y):
        return array_api_compat.array_namespace(y).where(y == pred, half, bad)

    half = backend.asarray(np.full(N, 0.5, dtype=np.float32))
    y = backend.asarray(np.arange(N, dtype=np.float32))
    like = backend.like if own else None
    values = mixed_loss(loss, y, y, zeta_plan(N, gamma=np.inf, rng=0, like=like), reduction="none")
    assert backend.to_numpy(values).tolist() == [0.5] * N
    gamma = np.asarray([np.inf, 1.0] * 3)
    plan = zeta_plan(N, gamma=gamma, rng=0, like=like)
    values = backend.to_numpy(mixed_loss(loss, y, y, plan, reduction="none"))
    np.testing.assert_array_equal(values, [0.5, bad] * 3)


@pytest.mark.parametrize("narrow", ["float16", "bfloat16"])
def test_narrow_losses_are_accumulated_in_float32(backend, narrow):
    if backend.name.startswith("array_api_strict"):
        pytest.skip("the standard has no narrow floats")
    if narrow == "bfloat16" and backend.name not in ("torch", "jax", "cupy"):
        pytest.skip(f"{backend.name} has no bfloat16")
    n = 64
    y, pred = backend.asarray(np.arange(n, dtype=np.int32)), backend.asarray(numbers(n) * 100)
    if backend.name == "torch":
        import torch

        pred = pred.to(getattr(torch, narrow))
        wide = pred.double().numpy()
    else:
        pred = pred.astype(narrow)
        wide = np.asarray(pred).astype(np.float64)
    plan = zeta_plan(n, gamma=0.0, rng=0)
    for reduction in ("none", "sum", "mean"):
        # Sums that narrow floats have no digits for.
        loss = mixed_loss(lambda p, y: p, pred, y, plan, reduction=reduction)
        loss = backend.to_numpy(loss)
        assert loss.dtype == np.float32
        expected = {"none": wide, "sum": wide.sum(), "mean": wide.mean()}[reduction]
        np.testing.assert_allclose(loss, expected, rtol=2e-6, atol=1e-4)


def test_double_losses_stay_double(backend):
    if backend.name == "jax":
        pytest.skip("JAX has no float64 unless its 64-bit mode is on")
    pred, y = numbers(N).astype(np.float64), numbers(N, seed=1).astype(np.float64)
    plan = zeta_plan(N, rng=0)
    loss = backend.to_numpy(mixed_loss(squared, backend.asarray(pred), backend.asarray(y), plan))
    assert loss.dtype == np.float64
    expected = by_loops((pred[:, None] - y) ** 2, *entries(plan, backend)).mean()
    np.testing.assert_allclose(loss, expected, rtol=1e-13)


def test_the_loss_is_given_classes_alone(backend):
    """One call a rank, with (M,) labels of integers, whatever the number of classes."""
    plan = zeta_plan(N, num_mix=3, num_outputs=8, rng=0)
    y = np.asarray([0, 20_999, 7, 12_345, 7, 3], dtype=np.int16)
    pred, seen = backend.asarray(numbers(8)), []

    def loss(scores, labels):
        assert scores is pred
        seen.append(backend.to_numpy(labels))
        return scores

    mixed_loss(loss, pred, backend.asarray(y), plan)
    assert len(seen) == 3
    for rank, labels in enumerate(seen):
        assert labels.dtype == (np.int64 if backend.name == "torch" else y.dtype)
        assert np.array_equal(labels, y[plan.indices[:, rank]])


def test_thousands_of_classes_take_no_dense_array():
    import tracemalloc

    n, num_classes = 64, 21_000
    plan, rng = zeta_plan(n, rng=0), np.random.default_rng(0)
    y, rows = rng.integers(0, num_classes, n), np.arange(n)
    pred = rng.normal(size=(n, num_classes)).astype(np.float32)
    tracemalloc.start()
    loss = mixed_loss(lambda p, y: -p[rows, y], pred, y, plan)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < pred.nbytes / 20
    expected = -np.sum(plan.mix_labels(y, num_classes) * pred.astype(np.float64)) / n
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


# --- gradients and compilers ----------------------------------------------------------------------


@pytest.mark.needs("torch")
class TestTorch:
    @pytest.fixture(autouse=True)
    def fresh_compiler(self):
        torch = pytest.importorskip("torch")
        torch.compiler.reset()

    @pytest.mark.parametrize("own", [False, True], ids=["NumPy plan", "own plan"])
    def test_cross_entropy_of_soft_labels(self, make_plan, own):
        """For classes and for segmentation, with the loss of torch that takes either form."""
        import torch
        from torch.nn.functional import cross_entropy

        generator = torch.Generator().manual_seed(0)
        plan = make_plan(torch.zeros(1, dtype=torch.float64) if own else None)
        num_outputs = len((plan.volumes if isinstance(plan, CutMixPlan) else plan).indices)

        def loss(pred, y):
            return cross_entropy(pred, y, reduction="none")

        pred = torch.randn(num_outputs, 4, generator=generator, dtype=torch.float64)
        y = torch.randint(4, (N,), generator=generator)
        soft = plan.mix_labels(y, 4).double()
        mixed = mixed_loss(loss, pred, y, plan)
        torch.testing.assert_close(mixed, cross_entropy(pred, soft), rtol=1e-6, atol=0)
        if isinstance(plan, CutMixPlan):
            return
        pred = torch.randn(num_outputs, 4, 3, 2, generator=generator, dtype=torch.float64)
        mask = torch.randint(4, (N, 3, 2), generator=generator)
        soft = plan.mix_labels(mask, 4).movedim(-1, 1).double()
        mixed = mixed_loss(loss, pred, mask, plan)
        torch.testing.assert_close(mixed, cross_entropy(pred, soft), rtol=1e-6, atol=0)

    def test_gradients(self):
        import torch
        from torch.nn.functional import cross_entropy

        pred = torch.randn(N, 4, dtype=torch.float64, requires_grad=True)
        gamma = torch.linspace(0.5, 3, N, dtype=torch.float64, requires_grad=True)
        y = torch.arange(N) % 4

        def loss(pred, gamma):
            plan = zeta_plan(N, gamma=gamma, num_mix=3, rng=0, like=gamma)
            return mixed_loss(
                lambda p, y: cross_entropy(p, y, reduction="none"), pred, y, plan, reduction="none"
            )

        assert torch.autograd.gradcheck(loss, (pred, gamma))
        assert torch.autograd.gradgradcheck(loss, (pred, gamma))

    def test_an_infinite_loss_without_weight_is_not_in_the_gradient(self):
        import torch

        gamma = torch.tensor(float("inf"), requires_grad=True)
        y = torch.arange(4.0)
        pred = y.clone().requires_grad_()
        plan = zeta_plan(4, gamma=gamma, rng=0, like=y)

        def loss(pred, y):
            return torch.where(y == pred.detach(), 2 * pred, torch.inf)

        mixed_loss(loss, pred, y, plan, reduction="sum").backward()
        assert pred.grad.tolist() == [2.0] * 4
        assert gamma.grad == 0

    def test_compiles_whole(self):
        import torch
        from torch.nn.functional import cross_entropy

        def step(pred, y, key):
            plan = zeta_plan(N, num_mix=3, rng=key, like=pred)
            boxes = cutmix_plan((N, 5, 5), rng=key, like=pred)

            def loss(pred, y):
                return cross_entropy(pred, y, reduction="none")

            soft = torch.softmax(pred, dim=1)
            return (
                mixed_loss(loss, pred, y, plan),
                mixed_loss(loss, pred, y, boxes, reduction="none"),
                mixed_accuracy(pred, y, plan, top_k=2),
                mixed_accuracy(pred, soft, top_k=2),
            )

        pred, y = torch.randn(N, 4, requires_grad=True), torch.arange(N) % 4
        key = torch.tensor([1, 2])
        expected = step(pred, y, key)
        (slope,) = torch.autograd.grad(expected[0], pred)
        values = torch.compile(step, fullgraph=True)(pred, y, key)
        torch.testing.assert_close(values, expected)
        torch.testing.assert_close(torch.autograd.grad(values[0], pred)[0], slope)

    def test_a_bad_class_gives_nan_in_a_graph(self):
        import torch

        plan = zeta_plan(4, rng=0)
        accuracy = torch.compile(lambda p, y: mixed_accuracy(p, y, plan), fullgraph=True)
        assert accuracy(torch.randn(4, 3), torch.tensor([0, 1, 2, 3])).isnan()
        assert accuracy(torch.randn(4, 3), torch.tensor([0, 1, 2, -1])).isnan()
        assert accuracy(torch.randn(4, 3), torch.tensor([0, 1, 2, 2])).isfinite()


@pytest.mark.needs("jax")
class TestJax:
    def test_gradients(self):
        import jax
        from jax import numpy as jnp
        from jax.test_util import check_grads

        y = jnp.arange(N) % 4

        def loss(pred, gamma):
            # The numerical derivatives come in as NumPy arrays.
            pred, gamma = jnp.asarray(pred), jnp.asarray(gamma)
            plan = zeta_plan(N, gamma=gamma, num_mix=3, rng=jax.random.key(0), like=pred)
            return mixed_loss(squared_error_of_class, pred, y, plan)

        arguments = (jnp.asarray(numbers(N, 4)), jnp.linspace(0.5, 3, N))
        check_grads(jax.jit(loss), arguments, order=1, modes=["rev"], atol=2e-2, rtol=2e-2)

    @pytest.mark.parametrize("name", ["zeta", "mixup", "cutmix"])
    def test_jit(self, name):
        import jax
        from jax import numpy as jnp

        for plan in (PLANS[name](None), PLANS[name](jnp.zeros(1))):
            num_outputs = len(entries(plan, JAX)[0])
            pred, y = jnp.asarray(numbers(num_outputs, 4)), jnp.arange(N) % 4

            def both(plan, pred, y):
                return (
                    mixed_loss(squared_error_of_class, pred, y, plan),
                    mixed_accuracy(pred, y, plan, top_k=2),
                )

            expected = both(plan, pred, y)
            np.testing.assert_allclose(jax.jit(both)(plan, pred, y), expected, rtol=1e-5)
            closed = jax.jit(lambda pred, y, plan=plan: both(plan, pred, y))
            np.testing.assert_allclose(closed(pred, y), expected, rtol=1e-5)

    def test_an_infinite_loss_without_weight_is_not_in_the_gradient(self):
        import jax
        from jax import numpy as jnp

        y = jnp.arange(4.0)

        def loss(gamma):
            plan = zeta_plan(4, gamma=gamma, rng=jax.random.key(0), like=y)
            return mixed_loss(lambda p, y: jnp.where(p == y, 1.0, jnp.inf), y, y, plan)

        assert jax.value_and_grad(loss)(jnp.inf) == (1, 0)

    @pytest.mark.parametrize("bad", [-1, 3, 2**31 - 1])
    def test_a_bad_class_gives_nan_while_tracing(self, bad):
        import jax
        from jax import numpy as jnp

        plan = zeta_plan(4, rng=0)
        accuracy = jax.jit(lambda p, y: mixed_accuracy(p, y, plan))
        pred = jnp.asarray(numbers(4, 3))
        assert np.isnan(accuracy(pred, jnp.asarray([0, bad, 1, 2])))
        assert np.isfinite(accuracy(pred, jnp.asarray([0, 2, 1, 2])))


class JAX:
    to_numpy = staticmethod(np.asarray)


def squared_error_of_class(pred, y):
    return ((pred - (y[:, None] == np.arange(4))) ** 2).sum(axis=1)


# --- accuracy -------------------------------------------------------------------------------------


def accuracy_by_loops(scores, soft, top_k):
    total = 0.0
    for row, label in zip(scores.tolist(), soft.tolist(), strict=True):
        real = [c for c, score in enumerate(row) if score > -np.inf]  # false for NaN
        best = sorted(real, key=lambda c: (-row[c], c))[:top_k]
        total += sum(label[c] for c in best)
    return total / len(scores)


def both_accuracies(backend, scores, y, plan, top_k):
    """Return the accuracy for classes with a plan, and for the soft labels that it makes."""
    pred, num_classes = backend.asarray(scores), scores.shape[1]
    soft = backend.asarray(plan.mix_labels(y, num_classes).astype(np.float32))
    values = [
        mixed_accuracy(pred, backend.asarray(y), plan, top_k=top_k),
        mixed_accuracy(pred, soft, top_k=top_k),
    ]
    for value in values:
        assert array_api_compat.array_namespace(value) is array_api_compat.array_namespace(pred)
        assert array_api_compat.device(value) == array_api_compat.device(pred)
    return [backend.to_numpy(value) for value in values]


@pytest.fixture(scope="session")
def eager(backend):
    if backend.lazy:
        pytest.skip("accuracy is not lazy")
    return backend


@given(
    n=st.sampled_from([1, 4]),
    num_classes=st.sampled_from([2, 5]),
    top_k=st.integers(1, 8),
    data=st.data(),
)
def test_accuracy_is_the_weight_of_the_best_classes(eager, n, num_classes, top_k, data):
    """Few values, so that many are equal."""
    value = st.sampled_from([-np.inf, -1.0, 0.0, -0.0, 0.5, 1.0, np.inf, np.nan])
    row = st.lists(value, min_size=num_classes, max_size=num_classes)
    scores = data.draw(st.lists(row, min_size=n, max_size=n))
    scores = np.asarray(scores, dtype=np.float32)
    y = data.draw(st.lists(st.integers(0, num_classes - 1), min_size=n, max_size=n))
    y = np.asarray(y, dtype=np.int32)
    plan = data.draw(st.sampled_from([zeta_plan, mixup_plan]))(n, rng=data.draw(st.integers(0, 9)))
    soft = plan @ (y[:, None] == np.arange(num_classes)).astype(float)
    expected = accuracy_by_loops(scores, soft, top_k)
    for accuracy in both_accuracies(eager, scores, y, plan, top_k):
        assert accuracy.shape == ()
        np.testing.assert_allclose(accuracy, expected, rtol=1e-5, atol=1e-6)


def test_accuracy_of_every_plan(eager, make_plan):
    plan = make_plan(None)
    indices, weights = entries(plan, eager)
    scores, y = numbers(len(indices), 5), np.asarray([0, 1, 2, 3, 4, 0], dtype=np.int32)
    seen = []
    for top_k in range(1, 8):
        soft = np.zeros((len(indices), 5))
        np.add.at(soft, (np.arange(len(indices))[:, None], y[indices]), weights)
        seen.append(accuracy_by_loops(scores, soft, top_k))
        for accuracy in both_accuracies(eager, scores, y, plan, top_k):
            np.testing.assert_allclose(accuracy, seen[-1], rtol=1e-5)
    assert 0 < seen[0] < seen[1] < seen[2] < 0.999
    np.testing.assert_allclose(seen[4:], 1, rtol=1e-6)


def test_of_equal_scores_the_first_is_the_best(eager):
    scores = np.asarray([[1, 3, 3, 3], [2, 2, 2, 2], [0, 0, 0, 1]], dtype=np.float32)
    plan = zeta_plan(3, gamma=np.inf, rng=0)
    hits = {(1, 0, 3): [1, 1, 1], (2, 1, 0): [0, 1, 1], (3, 3, 1): [0, 0, 2 / 3]}
    for classes, shares in hits.items():
        y = np.asarray(classes, dtype=np.int32)
        for top_k, share in enumerate(shares, start=1):
            for accuracy in both_accuracies(eager, scores, y, plan, top_k):
                np.testing.assert_allclose(accuracy, share, rtol=1e-6)


def test_nan_and_minus_infinity_never_count(eager):
    scores = np.asarray([[np.nan, 0, -np.inf], [np.nan] * 3, [-np.inf] * 3], dtype=np.float32)
    plan = zeta_plan(3, gamma=np.inf, rng=0)
    for label, share in ((0, 0), (1, 1 / 3), (2, 0)):
        y = np.full(3, label, dtype=np.int32)
        for top_k in (1, 2, 3, 5):
            for accuracy in both_accuracies(eager, scores, y, plan, top_k):
                np.testing.assert_allclose(accuracy, share, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32"])
def test_more_scores_than_the_dtype_of_the_classes_counts(eager, dtype):
    n, num_classes = 40, 1000
    scores, plan = numbers(n, num_classes), zeta_plan(n, gamma=1.0, rng=0)
    y = np.random.default_rng(0).integers(0, 100, n).astype(dtype)
    expected = accuracy_by_loops(scores, plan.mix_labels(y, num_classes), 300)
    for accuracy in both_accuracies(eager, scores, y, plan, 300):
        np.testing.assert_allclose(accuracy, expected, rtol=1e-5)


@pytest.mark.parametrize("narrow", ["float16", "bfloat16"])
def test_narrow_scores_and_labels(eager, narrow):
    """Shares of 1/300 a class would be lost in a narrow sum."""
    if eager.name not in ("torch", "jax", "cupy") and (narrow, eager.name[:5]) != (
        "float16",
        "numpy",
    ):
        pytest.skip(f"{eager.name} has no {narrow}")
    n = 300
    scores = eager.asarray(np.broadcast_to(np.arange(n, dtype=np.float32)[::-1], (n, n)))
    y, soft = eager.asarray(np.arange(n, dtype=np.int32)), eager.asarray(np.full((n, n), 1 / n))
    if eager.name == "torch":
        import torch

        scores, soft = (a.to(getattr(torch, narrow)) for a in (scores, soft))
        share = soft[0, 0].item()
    else:
        scores, soft = (a.astype(narrow) for a in (scores, soft))
        share = float(soft[0, 0])
    plan = zeta_plan(n, gamma=0.0, num_mix=4, rng=0)
    for top_k in (1, 256):
        # Scores that were different before are equal now: the first classes are the best.
        dense = eager.to_numpy(mixed_accuracy(scores, soft, top_k=top_k))
        assert dense.dtype == np.float32
        np.testing.assert_allclose(dense, share * top_k, rtol=1e-5)
        sparse = eager.to_numpy(mixed_accuracy(scores, y, plan, top_k=top_k))
        np.testing.assert_allclose(sparse, (plan.indices < top_k).mean(), rtol=1e-5)


@pytest.mark.needs("torch")
@pytest.mark.parametrize("dtype", ["uint8", "int32", "uint16"])
def test_classes_of_torch_in_any_dtype(dtype):
    torch = pytest.importorskip("torch")
    y = torch.arange(4).to(getattr(torch, dtype))
    plan, pred = zeta_plan(4, num_mix=2, rng=0), torch.randn(4, 5)
    loss = functools.partial(torch.nn.functional.cross_entropy, reduction="none")
    expected = torch.nn.functional.cross_entropy(pred, plan.mix_labels(torch.arange(4), 5))
    torch.testing.assert_close(mixed_loss(loss, pred, y, plan), expected)
