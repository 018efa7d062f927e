"""torch.compile, autograd, vmap, autocast and memory formats."""

import math
import warnings

import numpy as np
import pytest

from zetamix_core import (
    MixPlan,
    cutmix,
    cutmix_plan,
    dirichlet_plan,
    mixup,
    mixup_plan,
    zeta_mixup,
    zeta_plan,
    zeta_weights,
)

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.needs("torch")


@pytest.fixture(autouse=True)
def fresh_compiler():
    torch.compiler.reset()
    torch.manual_seed(0)


def compiled(function):
    """Compile the whole function; pytest turns any warning on the way into an error."""
    return torch.compile(function, fullgraph=True)


def captured(function):
    """Compile the whole function, as a graph of shapes and gradients that runs without code."""
    return torch.compile(function, fullgraph=True, backend="aot_eager")


# --- compile --------------------------------------------------------------------------------------


@pytest.mark.parametrize("mix", [zeta_mixup, mixup, cutmix])
def test_one_call_functions_compile_whole(mix):
    x, y = torch.randn(16, 3, 8, 8), torch.arange(16) % 5
    # Code of ζ-mixup is generated in the next test, that of boxes where their key is given.
    compile_whole = compiled if mix is mixup else captured
    step = compile_whole(lambda x, y: mix(x, y, num_classes=5, rng="device"))
    mixed, soft = step(x, y)
    assert mixed.shape == x.shape
    torch.testing.assert_close(soft.sum(dim=1), torch.ones(16))
    again, _ = step(x, y)
    assert not torch.equal(mixed, again), "the draw was frozen into the graph"


@pytest.mark.parametrize("options", [{}, {"num_mix": 2}, {"num_mix": 12}, {"num_mix": 40}])
def test_compiled_mixtures_are_right(options):
    """A graph that returns its plan too: the mixture must be that of the plan."""
    n = 64
    x, y = torch.randn(n, 5), torch.arange(n) % 3

    def step(x, y):
        plan = zeta_plan(n, rng="device", like=x, **options)
        return plan.indices, plan @ x, plan.mix_labels(y, 3)

    # Code is generated for rows of digits and for sorted ones, a gather and a product.
    traced = (compiled if options.get("num_mix") in (12, 40) else captured)(step)
    indices, mixed, soft = traced(x, y)
    assert not torch.equal(traced(x, y)[0], indices), "the draw was frozen into the graph"
    num_mix = options.get("num_mix", n)
    host = MixPlan(indices.numpy(), zeta_weights(num_mix, gamma=2.8), n)
    assert all(len(set(row)) == num_mix for row in indices.tolist())
    torch.testing.assert_close(mixed, host @ x)
    torch.testing.assert_close(soft, host.mix_labels(y, 3))


def test_a_plan_from_outside_and_one_returned():
    x = torch.randn(8, 3)
    plan = zeta_plan(8, num_mix=3, rng=0, like=x)
    torch.testing.assert_close(captured(lambda x: plan @ x)(x), plan @ x)
    torch.testing.assert_close(captured(lambda p, x: p @ x)(plan, x), plan @ x)
    portable = zeta_plan(8, num_mix=3, rng=0)
    torch.testing.assert_close(captured(lambda x: portable @ x)(x), plan @ x)
    for make in (zeta_plan, mixup_plan, dirichlet_plan):
        drawn = captured(lambda x, make=make: make(8, rng="device", like=x))(x)
        assert isinstance(drawn, MixPlan)
        assert drawn.shape == (8, 8)


def test_a_portable_rng_breaks_the_graph_and_says_why():
    x = torch.randn(8, 3)

    def step(x):
        return zeta_mixup(x * 2, rng=(1, 2))[0] + 1

    broken = torch.compile(step, backend="aot_eager")(x)
    torch.testing.assert_close(broken, step(x))
    torch.compiler.reset()
    with pytest.raises(Exception, match="rng='device'"):
        captured(step)(x)


def test_new_gammas_and_batches_do_not_recompile_without_end():
    from torch._dynamo.testing import CompileCounter

    counter = CompileCounter()

    @torch.compile(fullgraph=True, backend=counter)
    def step(x, gamma):
        return zeta_mixup(x, gamma=gamma, num_mix=4, rng="device")[0]

    for gamma in (1.0, 2.0, 2.8):
        step(torch.randn(16, 3), torch.tensor(gamma))
    assert counter.frame_count == 1
    for n in (17, 18, 19, 20):
        step(torch.randn(n, 3), torch.tensor(2.8))
    assert counter.frame_count <= 3


@pytest.mark.parametrize("dynamic", [None, True])
def test_a_schedule_of_gamma(dynamic):
    step = torch.compile(
        lambda x, gamma: zeta_mixup(x, gamma=gamma, rng="device")[0],
        fullgraph=True,
        dynamic=dynamic,
        backend="aot_eager",
    )
    x = torch.randn(8, 3)
    for gamma in (1.0, 2.0, 1e9):  # each compiles anew; a tensor would not, see below
        mixed = step(x, gamma)
    assert torch.equal(mixed, x)


@pytest.mark.parametrize("rng", ["device", "generator"])
def test_a_default_device_does_not_matter(rng):
    """As in programs that call torch.set_default_device("cuda") first of all."""
    x, y = torch.randn(8, 3), torch.arange(8) % 2
    generator = torch.Generator().manual_seed(0)
    torch.set_default_device("meta")
    try:
        source = rng if rng == "device" else generator
        mixed, soft = zeta_mixup(x, y, num_classes=2, rng=source)
        if rng == "device":
            mixed, soft = captured(lambda x, y: zeta_mixup(x, y, num_classes=2, rng=rng))(x, y)
    finally:
        torch.set_default_device(None)
    assert mixed.device == soft.device == x.device


@pytest.mark.parametrize("x", [torch.ones(4, 8, dtype=torch.uint8), torch.ones(16, 2**20)])
@pytest.mark.parametrize("num_mix", [2, None])
def test_a_default_device_does_not_matter_in_blocks(x, num_mix):
    """Of columns, for bytes and for what is larger than the cache."""
    torch.set_default_device("meta")
    try:
        mixed, _ = zeta_mixup(x, num_mix=num_mix, rng=0)
    finally:
        torch.set_default_device(None)
    assert mixed.device == x.device


def test_a_default_device_does_not_matter_in_blocks_of_outputs():
    x, y = torch.ones(1024, 2), torch.arange(1024) % 3
    torch.set_default_device("meta")
    try:
        mixed, soft = zeta_mixup(x, y, num_classes=3, rng=0)
    finally:
        torch.set_default_device(None)
    assert mixed.device == soft.device == x.device


def test_a_generator_does_as_without_compiling():
    x, generator = torch.randn(8, 3), torch.Generator()

    def step(x):
        return zeta_mixup(x, rng=generator.manual_seed(1))[0]

    torch.testing.assert_close(torch.compile(step, backend="aot_eager")(x), step(x))
    with pytest.raises(Exception, match="rng='device'"):
        captured(lambda x: zeta_mixup(x, rng=generator)[0])(x)


def test_a_bad_gamma_gives_nan_in_a_graph():
    step = compiled(lambda g: zeta_plan(4, gamma=g, rng="device", like=g).weights)
    assert step(torch.tensor(-1.0)).isnan().all()
    assert step(torch.tensor(float("nan"))).isnan().all()
    assert step(torch.tensor(float("inf"))).tolist() == [1, 0, 0, 0]


# --- keys in tensors ------------------------------------------------------------------------------


def arrays(plan):
    return plan.indices, plan.weights


@pytest.mark.parametrize("make", [zeta_plan, mixup_plan, dirichlet_plan])
@pytest.mark.parametrize(
    "options", [{}, {"anchored": False, "num_outputs": 20}], ids=["anchored", "free"]
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_compiled_key_draws_the_same_plan(make, options, dtype):
    x = torch.randn(9, 3, dtype=dtype)

    def step(x, key):
        plan = make(9, rng=key, like=x, **options)
        return *arrays(plan), plan @ x, plan.mix_labels(torch.arange(9), 9)

    traced = captured(step)
    for key in ((3,), (3, 1), (3, 1, 2**32 - 1)):
        indices, weights, mixed, soft = traced(x, torch.tensor(key))
        plan = make(9, rng=key, like=x, **options)
        assert torch.equal(indices, plan.indices)
        if make is zeta_plan:  # computed in the graph
            torch.testing.assert_close(weights, plan.weights)
        else:
            assert torch.equal(weights, plan.weights)
            assert weights.dtype == dtype
        torch.testing.assert_close(mixed, plan @ x)
        torch.testing.assert_close(soft, plan.mix_labels(torch.arange(9), 9))


@pytest.mark.parametrize("options", [{}, {"per_sample": False, "axes": (1,), "anchored": False}])
def test_a_compiled_key_draws_the_same_boxes(options):
    x = torch.randn(9, 6, 7)

    def step(x, key):
        plan = cutmix_plan(x.shape, rng=key, like=x, **options)
        return *arrays(plan.volumes), plan.lower, plan.upper, plan @ x

    traced = captured(step) if options else compiled(step)
    for key in ((3,), (3, 1)):
        plan = cutmix_plan(x.shape, rng=key, like=x, **options)
        expected = (*arrays(plan.volumes), plan.lower, plan.upper, plan @ x)
        torch.testing.assert_close(traced(x, torch.tensor(key)), expected, rtol=1e-6, atol=0)
    assert not torch.equal(expected[-1], x)


def test_a_new_key_does_not_recompile():
    from torch._dynamo.testing import CompileCounter

    counter, outputs = CompileCounter(), []

    @torch.compile(fullgraph=True, backend=counter)
    def step(x, key):
        plan = mixup_plan(x.shape[0], rng=key, like=x)
        return plan @ cutmix(zeta_mixup(x, rng=key)[0], rng=key)[0]

    x = torch.randn(16, 4, 4)
    for number in range(5):
        outputs.append(step(x, torch.tensor([3, number])))
        pair = (3, number)
        expected = mixup_plan(16, rng=pair) @ cutmix(zeta_mixup(x, rng=pair)[0], rng=pair)[0]
        torch.testing.assert_close(outputs[-1], expected)
    assert counter.frame_count == 1
    assert not any(torch.equal(outputs[0], other) for other in outputs[1:])
    for n in (17, 18, 19, 20):  # the length becomes a symbol, once
        step(torch.randn(n, 4, 4), torch.tensor([3, n]))
    assert counter.frame_count <= 3


def test_a_step_that_counts_in_the_graph():
    """The key made where it is used, of a counter that stays a tensor."""

    @torch.compile(fullgraph=True)
    def step(x, count):
        count += 1
        return mixup_plan(8, rng=torch.stack([torch.tensor(5), count]), like=x).weights

    x, count = torch.randn(8, 3), torch.tensor(0)
    for number in (1, 2, 3):
        expected = mixup_plan(8, rng=(5, number), like=x).weights
        assert torch.equal(step(x, count), expected)


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (torch.tensor([1.0]), "a tensor as rng must be a key .*float32"),
        (torch.tensor([[1, 2]]), r"a tensor as rng must be a key .*\(1, 2\)"),
        (torch.tensor([-1, 0]), "a seed must be from 0"),
        (torch.tensor([1, -1]), "each entry of the key"),
        (torch.tensor([1, 2**32]), "each entry of the key"),
    ],
)
def test_bad_keys_in_a_graph(key, message):
    for make in (zeta_plan, mixup_plan):
        torch.compiler.reset()
        with pytest.raises(Exception, match=message):
            captured(lambda x, key, make=make: make(4, rng=key, like=x) @ x)(torch.ones(4, 2), key)


def test_gradients_flow_past_a_key():
    x = torch.randn(6, 3, requires_grad=True)
    gamma = torch.tensor(2.0, requires_grad=True)

    def loss(x, gamma, key):
        return zeta_mixup(x, gamma=gamma, rng=key)[0].square().sum()

    slopes = [
        torch.autograd.grad(function(x, gamma, torch.tensor([1, 2])), (x, gamma))
        for function in (loss, captured(loss))
    ]
    torch.testing.assert_close(*slopes)
    assert slopes[0][1] != 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_operators_keep_the_rules_of_torch(dtype):
    """Their schema, the shapes of their fake versions, tracing, and no gradient."""
    from zetamix_core.random import torch_streams

    key, place = torch.tensor([1, 2]), torch.device("cpu")
    for arguments in ((5, 8, 3, True), (9, 4, 4, False), (3, 5, 1, True)):
        torch.library.opcheck(torch_streams._orderings, (key, *arguments, place))
    for calls in (0, 2):
        for rounded, lengths in ((True, None), (False, torch.tensor([1, 2, 2, 1, 1]))):
            arguments = (key, calls, 0.4, [5, 2], rounded, lengths, dtype, place)
            torch.library.opcheck(torch_streams._dirichlet, arguments)
        torch.library.opcheck(torch_streams._uniform, (key, calls, [5, 2], dtype, place))
    drawn = torch_streams._dirichlet(key, 0, 0.4, [5, 2], True, None, dtype, place)
    assert drawn.dtype == dtype
    groups = torch.tensor([0, 1, 1, 0])
    for anchors, donors, values in ((None, "same", groups), (torch.tensor([3, 3]), "all", None)):
        num_outputs = 4 if anchors is None else 2
        arguments = (key, 4, num_outputs, anchors, donors, values, 3, place)
        torch.library.opcheck(torch_streams._partners, arguments)


def test_operators_draw_call_by_call_as_the_portable_stream():
    from zetamix_core.random import stream_for, torch_streams

    like = torch.zeros(1, dtype=torch.float64)
    traced, portable = torch_streams.KeyStream(torch.tensor([1, 2]), like), stream_for((1, 2), like)
    draws = [
        lambda stream: stream.orderings(9, 9, 4, anchored=True),
        lambda stream: stream.dirichlet(0.3, (9, 4)),
        lambda stream: stream.uniform((9, 2)),
        lambda stream: stream.uniform((3,)),
        lambda stream: stream.dirichlet(2.0, (1, 2)),
        lambda stream: stream.dirichlet(0.3, (9, 2), rounded=False),
    ]
    for draw in draws:
        a, b = draw(traced), draw(portable)
        assert torch.equal(a, b)
        assert a.dtype == b.dtype


# --- gradients ------------------------------------------------------------------------------------


@pytest.mark.parametrize("num_mix", [2, 5])
def test_gradients_in_x_and_gamma(num_mix):
    x = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    gamma = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)

    def mix(x, gamma):
        return zeta_mixup(x, gamma=gamma, num_mix=num_mix, rng=0)[0]

    assert torch.autograd.gradcheck(mix, (x, gamma))
    assert torch.autograd.gradgradcheck(mix, (x, gamma))


def test_gradient_in_one_gamma_an_output():
    x = torch.randn(4, 3, dtype=torch.float64)
    gamma = torch.linspace(0.5, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda g: zeta_mixup(x, gamma=g, rng=0)[0], (gamma,))
    limit = torch.tensor(float("inf"), requires_grad=True)
    zeta_weights(4, gamma=limit, like=limit)[0].backward()
    assert limit.grad == 0


@pytest.mark.parametrize("num_mix", [2, 4])
def test_gradient_in_an_infinite_gamma_beside_infinite_samples(num_mix):
    x = torch.tensor([[1.0], [math.inf], [math.inf], [math.inf]])
    gamma = torch.tensor(math.inf, requires_grad=True)
    mixed = zeta_plan(4, gamma=gamma, num_mix=num_mix, num_outputs=1, rng=0, like=x) @ x
    assert mixed == 1
    mixed.sum().backward()
    assert gamma.grad == 0


def test_compiled_gradient():
    x = torch.randn(6, 3, requires_grad=True)
    gamma = torch.tensor(2.0, requires_grad=True)
    compiled(lambda x, g: zeta_mixup(x, gamma=g, rng="device")[0].square().sum())(
        x, gamma
    ).backward()
    assert torch.isfinite(x.grad).all()
    assert gamma.grad != 0


def test_vmap_over_data():
    x = torch.randn(3, 6, 4)
    for num_mix in (2, 6):
        plan = zeta_plan(6, num_mix=num_mix, rng=0, like=x)
        mixed = torch.func.vmap(lambda x, plan=plan: plan @ x)(x)
        torch.testing.assert_close(mixed, torch.stack([plan @ part for part in x]))


# --- precision and memory -------------------------------------------------------------------------


def test_autocast_does_not_lower_the_precision():
    x = torch.randn(16, 64)
    for num_mix in (2, 16):
        plan = zeta_plan(16, num_mix=num_mix, rng=0, like=x)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            mixed, soft = plan @ x, plan.mix_labels(torch.arange(16) % 3, 3)
        assert mixed.dtype == soft.dtype == torch.float32
        assert torch.equal(mixed, plan @ x)


@pytest.mark.parametrize("num_mix", [2, 3, 16])
def test_memory_formats_are_kept(num_mix):
    cases = [
        (torch.randn(16, 3, 4, 5), torch.channels_last),
        (torch.randn(16, 3, 4, 5, 2), torch.channels_last_3d),
    ]
    for x, memory_format in cases:
        plan = zeta_plan(16, num_mix=num_mix, rng=0, like=x)
        mixed = plan @ x.contiguous(memory_format=memory_format)
        assert mixed.is_contiguous(memory_format=memory_format)
        torch.testing.assert_close(mixed, plan @ x)
        assert (plan @ x).is_contiguous()


def test_half_complex():
    x = torch.randn(8, 5, dtype=torch.complex64)
    plan = zeta_plan(8, num_mix=3, rng=0)
    mixed = plan @ x.to(torch.complex32)
    assert mixed.dtype == torch.complex32
    torch.testing.assert_close(mixed.to(torch.complex64), plan @ x, atol=5e-3, rtol=5e-3)


def test_gamma_in_bfloat16():
    gamma = torch.tensor([2.0, 4.0], dtype=torch.bfloat16)
    weights = zeta_plan(2, gamma=gamma, like=gamma, rng=0).weights
    assert weights.dtype == torch.float32
    torch.testing.assert_close(weights[:, 0], torch.tensor([0.8, 16 / 17]), atol=0.01, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_narrow_gamma_does_not_narrow_the_weights(dtype):
    gamma = torch.tensor(1.5, dtype=dtype)  # exact in both, unlike the ranks above 256
    weights = zeta_weights(1000, gamma=gamma, like=gamma)
    expected = torch.from_numpy(zeta_weights(1000, gamma=1.5)).float()
    torch.testing.assert_close(weights, expected)


def test_labels_with_a_narrow_default_dtype():
    torch.set_default_dtype(torch.bfloat16)
    try:
        soft = zeta_plan(8, rng=0).mix_labels(torch.arange(8), 8)
    finally:
        torch.set_default_dtype(torch.float32)
    # In bfloat16 rows would sum to 0.996 or 1.004.
    assert soft.dtype == torch.float32
    assert torch.equal(soft.sum(dim=1), torch.ones(8, dtype=torch.float32))


def test_the_default_dtype_is_followed():
    torch.set_default_dtype(torch.float64)
    try:
        mixed, soft = zeta_mixup(
            torch.ones(4, 2, dtype=torch.uint8), torch.arange(4), num_classes=4
        )
    finally:
        torch.set_default_dtype(torch.float32)
    assert mixed.dtype == torch.float64
    assert soft.dtype == torch.float32  # of the weights


def test_read_only_plans_do_not_warn():
    plan = zeta_plan(4, rng=0)
    plan.indices.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _ = plan @ torch.ones(4, 2)
    assert np.array_equal((plan @ torch.eye(4, dtype=torch.float64)).numpy(), plan.matrix())
