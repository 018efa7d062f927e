"""Who may be mixed with whom: the law of anchors and donors, and every way to ask for them."""

import collections
import importlib.util
import itertools
import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import zetamix
from scipy import stats
from zetamix.rules import CutMix, Dirichlet, Mixup, OneOf, Zeta

from zetamix_core import cutmix_plan, dirichlet_plan, mixup_plan, zeta_plan

LEVEL = 1e-4
GROUPS = np.asarray([7, 3, 3, 5, 5, 5])  # of sizes 1, 2 and 3
N = len(GROUPS)
TABLE = np.asarray([[1, 2, -1], [-1, 0, 5], [-1, -1, -1], [4, -1, -1], [3, 5, 0], [0, 1, 2]])
PLANS = pytest.mark.parametrize("draw", [zeta_plan, mixup_plan, dirichlet_plan])


def recipe():
    path = Path(__file__).with_name("golden_indices.py")
    spec = importlib.util.spec_from_file_location("golden_indices", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def allowed(rule, anchor):
    """Whom a sample may be mixed with, by the definition; in the order of groups, or as listed."""
    if rule == "table":
        return [int(i) for i in TABLE[anchor] if i >= 0]
    order = sorted(range(N), key=lambda i: (GROUPS[i], i))
    own = [i for i in order if GROUPS[i] == GROUPS[anchor] and i != anchor]
    return own if rule == "same" else [i for i in order if GROUPS[i] != GROUPS[anchor]]


def asked(rule, groups=GROUPS, table=TABLE):
    return {"donors": table} if rule == "table" else {"donors": rule, "groups": groups}


RULES = pytest.mark.parametrize("rule", ["same", "other", "table"])


# --- the law --------------------------------------------------------------------------------------


def portable(n, **options):
    return zeta_plan(n, rng=(7, 1), **options)


def numpy_generator(n, **options):
    return zeta_plan(n, rng=np.random.default_rng(3), **options)


def torch_generator(n, **options):
    torch = pytest.importorskip("torch")
    return zeta_plan(n, rng=torch.Generator().manual_seed(5), like=torch.zeros(1), **options)


def torch_native(n, *, num_mix, anchors, donors, groups=None):
    """Draw as on an accelerator, where the CPU generator would be too far away."""
    torch = pytest.importorskip("torch")
    from zetamix_core.donors import checked_pool
    from zetamix_core.random.torch_streams import TorchStream

    stream = TorchStream(torch.Generator().manual_seed(7), torch.zeros(1))
    pool = checked_pool(n, None, anchored=True, anchors=anchors, donors=donors, groups=groups)
    indices, lengths = stream.partners(pool, min(num_mix, pool.most))
    weights = (torch.arange(indices.shape[1]) < lengths[:, None]).double()
    return zetamix.MixPlan(indices, weights / weights.sum(dim=1, keepdim=True), n)


def torch_key_in_a_graph(n, *, num_mix, anchors, donors, groups=None):
    torch = pytest.importorskip("torch")
    like = torch.zeros(1)
    anchors = torch.as_tensor(anchors)
    groups = None if groups is None else torch.as_tensor(groups)
    donors = donors if isinstance(donors, str) else torch.as_tensor(donors)

    def draw(key, anchors, groups):
        options = {"donors": donors, "groups": groups, "num_mix": num_mix, "anchors": anchors}
        plan = zeta_plan(n, rng=key, like=like, **options)
        return plan.indices, plan.weights

    step = torch.compile(draw, fullgraph=True, backend="eager")
    return zetamix.MixPlan(*step(torch.tensor([9, 1]), anchors, groups), n)


def torch_device(n, **options):
    torch = pytest.importorskip("torch")
    torch.manual_seed(6)
    return zeta_plan(n, rng="device", like=torch.zeros(1), **options)


def jax_key(n, **options):
    jax = pytest.importorskip("jax")
    return zeta_plan(n, rng=jax.random.key(8), like=jax.numpy.zeros(1), **options)


def jax_jitted(n, *, groups=None, donors, anchors, num_mix):
    jax = pytest.importorskip("jax")
    like, fixed = jax.numpy.zeros(1), isinstance(donors, str)

    def draw(key, anchors, groups, table):
        options = {"donors": donors if fixed else table, "groups": groups if fixed else None}
        return zeta_plan(n, rng=key, like=like, anchors=anchors, num_mix=num_mix, **options)

    arrays = (np.asarray(anchors), groups, None if fixed else np.asarray(donors))
    return jax.jit(draw)(jax.random.key(9), *arrays)


FAMILIES = [
    portable,
    numpy_generator,
    torch_generator,
    torch_native,
    torch_device,
    torch_key_in_a_graph,
    jax_key,
    jax_jitted,
]


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
@RULES
def test_rows_are_uniform_over_the_arrangements_of_donors(family, rule):
    repeats = 1800
    anchors = np.repeat(np.arange(N), repeats)
    plan = family(N, num_mix=4, anchors=anchors, **asked(rule))
    indices, weights = np.asarray(plan.indices), np.asarray(plan.weights)
    assert indices.shape == weights.shape == (N * repeats, 4)
    np.testing.assert_array_equal(indices[:, 0], anchors)
    for anchor in range(N):
        rows = indices[anchor * repeats : (anchor + 1) * repeats]
        donors = allowed(rule, anchor)
        length = min(3, len(donors))
        used = weights[anchor * repeats : (anchor + 1) * repeats] > 0
        assert (used == (np.arange(4) <= length)).all()
        assert (rows[:, 1 + length :] == anchor).all(), "ranks without a donor repeat the anchor"
        possible = list(itertools.permutations(donors, length))
        counts = dict.fromkeys(possible, 0)
        for row in rows[:, 1 : 1 + length].tolist():
            counts[tuple(row)] += 1
        if len(possible) > 1:
            assert stats.chisquare(list(counts.values())).pvalue > LEVEL
        halves = rows[::2, 1], rows[1::2, 1]
        if len(donors) > 1:  # repeated anchors are independent
            table = np.histogram2d(*halves, bins=[np.arange(N + 1)] * 2)[0]
            table = table[donors][:, donors]
            assert stats.chi2_contingency(table).pvalue > LEVEL


@RULES
@pytest.mark.parametrize("num_mix", [2, 3, 6])
def test_a_seed_draws_the_recipe_on_every_library(backend, rule, num_mix):
    anchors = [0, 5, 5, 3, 2, 1, 1]
    like = backend.like
    num_mix = min(num_mix, 4) if rule == "table" else num_mix
    given = asked(rule, backend.asarray(GROUPS), backend.asarray(TABLE))
    if backend.lazy:
        given = asked(rule)
    plan = zeta_plan(N, num_mix=num_mix, anchors=anchors, rng=(3, 1, 4), like=like, **given)
    donors = [allowed(rule, i) for i in range(N)]
    expected = recipe().of_donors([3, 1, 4], donors, anchors, num_mix)
    found = plan.indices if backend.lazy else backend.to_numpy(plan.indices)
    assert found.tolist() == expected


@pytest.mark.parametrize("rule", ["same", "other", "table"])
@pytest.mark.parametrize(("n", "num_mix"), [(40, 17), (40, 18), (40, 40), (1200, 98)])
def test_long_rows_are_sorted_by_the_recipe(rule, n, num_mix):
    groups = np.random.default_rng(n).integers(0, 3, n)
    every = np.arange(n)
    donors = [every[(every != i) & (groups == groups[i])].tolist() for i in range(n)]
    given = {"donors": rule, "groups": groups}
    if rule == "other":
        # In the order of their groups, as they stand there.
        order = np.argsort(groups, kind="stable")
        donors = [order[groups[order] != groups[i]].tolist() for i in range(n)]
    width = None
    if rule == "table":
        width = max(map(len, donors))
        given = {"donors": np.asarray([row + [-1] * (width - len(row)) for row in donors])}
    anchors = [3, 3, n - 1, 0]
    plan = zeta_plan(n, num_mix=num_mix, anchors=anchors, rng=(5, 2), **given)
    num_mix = plan.num_mix
    assert plan.indices.tolist() == recipe().of_donors([5, 2], donors, anchors, num_mix, width)


@pytest.mark.parametrize("rule", ["same", "other"])
def test_sorted_rows_are_uniform_over_the_arrangements(rule):
    """Eight of eight are sorted; groups of one, three and four."""
    groups, repeats = np.asarray([0, 1, 1, 2, 2, 1, 2, 2]), 4000
    anchors = np.repeat([0, 1, 7], repeats)
    plan = zeta_plan(8, num_mix=8, anchors=anchors, donors=rule, groups=groups, rng=2)
    for place, anchor in enumerate([0, 1, 7]):
        rows = plan.indices[place * repeats : (place + 1) * repeats]
        alike = groups == groups[anchor]
        donors = [i for i in np.flatnonzero(alike == (rule == "same")) if i != anchor]
        assert (rows[:, 1 + len(donors) :] == anchor).all()
        length = min(3, len(donors))
        possible = list(itertools.permutations(donors, length))
        counts = collections.Counter(map(tuple, rows[:, 1 : 1 + length].tolist()))
        assert set(counts) <= set(possible)
        if len(possible) > 1:
            observed = [counts[arrangement] for arrangement in possible]
            assert stats.chisquare(observed).pvalue > LEVEL


@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.8, 9.0])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_short_rows_are_the_series_of_their_length(gamma, dtype):
    plan = zeta_plan(N, gamma=gamma, num_mix=5, rng=0, like=np.zeros(1, dtype), **asked("same"))
    quantum = 2.0**-24 if dtype == np.float32 else 2.0**-53
    for anchor in range(N):
        length = 1 + len(allowed("same", anchor))
        series = [Fraction(float(rank) ** -gamma) for rank in range(1, length + 1)]
        exact = [float(term / sum(series)) for term in series]
        row = plan.weights[anchor].astype(np.float64)
        assert np.abs(row[:length] - exact).max() <= quantum
        assert (row[length:] == 0).all()
        assert row.sum() == 1
        assert (row / quantum % 1 == 0).all()


def test_an_array_of_gamma_and_its_derivative():
    torch = pytest.importorskip("torch")
    gamma = torch.full((N,), 2.0, requires_grad=True)
    groups = torch.as_tensor(GROUPS)
    plan = zeta_plan(N, gamma=gamma, num_mix=3, donors="same", groups=groups, rng=0, like=gamma)
    plan.weights[:, 0].sum().backward()
    assert gamma.grad[0] == 0  # alone
    assert (gamma.grad[1:] > 0).all()
    expected = zeta_plan(N, gamma=2.0, num_mix=3, rng=0, **asked("same"))
    np.testing.assert_array_equal(plan.indices, expected.indices)
    np.testing.assert_allclose(plan.weights.detach(), expected.weights, atol=2**-23)


@pytest.mark.parametrize("family", ["portable", "torch", "jax"])
@pytest.mark.parametrize("alpha", [0.4, 1.0, 3.0])
def test_dirichlet_rows_are_those_of_their_length(family, alpha):
    options = {"rng": 5}
    if family == "torch":
        torch = pytest.importorskip("torch")
        torch.manual_seed(0)
        from zetamix_core.random.torch_streams import TorchStream

        options = {"rng": TorchStream(None, torch.zeros(1)), "like": torch.zeros(1)}
    if family == "jax":
        jax = pytest.importorskip("jax")
        options = {"rng": jax.random.key(1), "like": jax.numpy.zeros(1)}
    anchors = np.repeat([0, 1, 3], 4000)
    plan = dirichlet_plan(N, alpha=alpha, num_mix=4, anchors=anchors, **asked("same"), **options)
    weights = np.asarray(plan.weights, dtype=np.float64)
    for place, length in enumerate((1, 2, 3)):
        rows = weights[place * 4000 : (place + 1) * 4000]
        assert (rows[:, length:] == 0).all()
        np.testing.assert_allclose(rows.sum(axis=1), 1, atol=1e-6)
        if length > 1:  # each weight of a Dirichlet row is Beta distributed
            beta = stats.beta(alpha, alpha * (length - 1))
            for rank in range(length):
                assert stats.kstest(rows[:, rank], beta.cdf).pvalue > LEVEL


@pytest.mark.parametrize("per_sample", [True, False])
def test_mixup_in_pairs_of_donors(per_sample):
    plan = mixup_plan(N, per_sample=per_sample, rng=2, **asked("same"))
    assert plan.num_mix == 2
    np.testing.assert_array_equal(plan.weights[0], [1, 0])
    assert (plan.weights[1:] > 0).all()
    if not per_sample:
        assert (plan.weights[1:] == plan.weights[1]).all()


@pytest.mark.parametrize("per_sample", [True, False])
def test_boxes_come_from_donors_and_are_empty_without(backend, per_sample):
    x = np.arange(N, dtype=np.float32)[:, None, None] * np.ones((1, 8, 8), np.float32)
    like = None if backend.lazy else backend.like
    for seed in range(8):
        plan = cutmix_plan((N, 8, 8), per_sample=per_sample, rng=seed, like=like, **asked("same"))
        mixed = backend.to_numpy(plan @ backend.asarray(x))
        np.testing.assert_array_equal(mixed[0], x[0])
        for i in range(N):
            assert set(np.unique(mixed[i])) <= {i, *allowed("same", i)}
        soft = backend.to_numpy(plan.mix_labels(backend.asarray(np.arange(N)), N))
        shares = [(mixed[i] != i).mean() for i in range(N)]
        np.testing.assert_allclose(1 - np.diagonal(soft), shares, atol=1e-6)


@pytest.mark.parametrize("anchors", [[3], [5, 0], [1, 1, 4, 0, 2, 3, 5, 5, 5]])
@pytest.mark.parametrize("per_sample", [True, False])
def test_boxes_for_fewer_and_more_outputs_than_samples(backend, anchors, per_sample):
    x = np.arange(6.0, dtype=np.float32)[:, None, None] + np.zeros((6, 8, 9), dtype=np.float32)
    options = {"anchors": anchors, "per_sample": per_sample, "rng": 4}
    plan = cutmix_plan((6, 8, 9), **options)
    assert plan.shape == (len(anchors), 6)
    mixed = backend.to_numpy(plan @ backend.asarray(x))
    donors = plan.volumes.indices[:, 1]
    for output, anchor, donor in zip(mixed, anchors, donors, strict=True):
        assert donor != anchor
        assert set(np.unique(output)) <= {float(anchor), float(donor)}
    soft = plan.mix_labels(np.arange(6), 6)
    shares = [(output == anchor).mean() for output, anchor in zip(mixed, anchors, strict=True)]
    np.testing.assert_allclose(soft[np.arange(len(anchors)), anchors], shares, atol=1e-7)


@PLANS
def test_anchors_without_donors(draw):
    anchors = np.asarray([4, 4, 0, 5])
    plan = draw(N, anchors=anchors, rng=1)
    assert plan.shape == (4, N)
    np.testing.assert_array_equal(plan.indices[:, 0], anchors)
    assert all(len(set(row)) == len(row) for row in plan.indices.tolist())
    usual = draw(N, anchors=np.arange(N), rng=1, num_outputs=N)
    assert usual.weights.shape == draw(N, rng=1).weights.shape


def test_other_donors_exclude_the_own_group():
    """As for patients of whom no two samples may be mixed."""
    plan = zeta_plan(N, num_mix=N, rng=0, **asked("other"))
    used = plan.weights > 0
    for i in range(N):
        assert set(plan.indices[i][used[i]]) == {i, *allowed("other", i)}


def test_large_groups_take_memory_in_proportion_to_the_plan():
    n = 200_000
    sizes = np.random.default_rng(0).integers(1, 500, n)
    groups = np.repeat(np.arange(n), sizes)[:n]
    groups[-100_000:] = groups[-100_000]
    plan = zeta_plan(n, num_mix=4, donors="same", groups=groups, rng=0)
    assert (groups[plan.indices] == groups[:, None]).all()
    plan = zeta_plan(n, num_mix=4, donors="other", groups=groups, rng=0)
    assert (groups[plan.indices[:, 1:]] != groups[:, None])[plan.weights[:, 1:] > 0].all()


def test_values_that_are_read_late_are_checked_too():
    """Those of Dask when a plan is drawn, on the host."""
    dask = pytest.importorskip("dask.array")
    for anchors, got in (([-1, 3], -1), ([0, 25], 25)):
        with pytest.raises(ValueError, match=f"anchors must be from 0 to 19 .*got {got};"):
            zeta_plan(20, anchors=dask.from_array(np.asarray(anchors)), num_mix=2, rng=0)
    table = dask.from_array(np.asarray([[1, 2], [1, 0], [0, 7]]))
    with pytest.raises(ValueError, match="donors must be from 0 to 2"):
        zeta_plan(3, donors=table, rng=0)


@PLANS
@pytest.mark.needs("jax")
def test_anchors_that_are_traced_and_out_of_range_give_nan(draw):
    jax = pytest.importorskip("jax")
    x = jax.numpy.arange(5.0)
    y = jax.numpy.arange(5)

    @jax.jit
    def mixed(key, anchors, groups):
        plans = [
            draw(5, rng=key, like=x, anchors=anchors),
            draw(5, rng=key, like=x, anchors=anchors, donors="same", groups=groups),
        ]
        return [(plan @ x, plan.mix_labels(y, 5)) for plan in plans]

    anchors = jax.numpy.asarray([7, -1, 2, 5])
    for mixed_x, soft in mixed(jax.random.key(0), anchors, jax.numpy.asarray([0, 0, 1, 1, 1])):
        wrong = np.asarray([True, True, False, True])
        np.testing.assert_array_equal(np.isnan(mixed_x), wrong)
        np.testing.assert_array_equal(np.isnan(soft).any(axis=1), wrong)


@pytest.mark.needs("jax")
def test_boxes_of_traced_anchors_out_of_range_give_nan_labels():
    jax = pytest.importorskip("jax")
    like = jax.numpy.zeros((5, 4, 4))

    def labels(key, anchors):
        plan = cutmix_plan((5, 4, 4), rng=key, like=like, anchors=anchors)
        return plan.mix_labels(jax.numpy.arange(5), 5)

    soft = jax.jit(labels)(jax.random.key(0), jax.numpy.asarray([7, -1, 2]))
    np.testing.assert_array_equal(np.isnan(soft).any(axis=1), [True, True, False])


def test_many_samples_under_jit():
    """An (N, N) array would take 16 GiB."""
    jax = pytest.importorskip("jax")
    n = 1 << 16
    groups = np.arange(n) % 300
    draw = jax.jit(lambda key: zeta_plan(n, num_mix=8, donors="same", groups=groups, rng=key,
                                         like=jax.numpy.zeros(1)).indices)  # fmt: skip
    indices = np.asarray(draw(jax.random.key(0)))
    assert (groups[indices] == groups[:, None]).all()


@pytest.mark.parametrize("length", [1, 3])
def test_an_array_gamma_has_an_entry_for_each_output(backend, length):
    if backend.lazy:
        pytest.skip("plans of Dask are those of NumPy")
    gamma = backend.asarray(np.ones(length, dtype=np.float32))
    options = asked("same", backend.asarray(GROUPS), backend.asarray(TABLE))
    with pytest.raises(ValueError, match=f"one entry for each output, got {length} for 6 outputs"):
        zeta_plan(N, gamma=gamma, rng=0, like=backend.like, **options)


def test_gammas_of_each_output_in_short_rows():
    gamma = np.linspace(0.0, 3.0, N)
    plan = zeta_plan(N, gamma=gamma, num_mix=5, rng=0, **asked("same"))
    for i in range(N):
        length = 1 + min(4, len(allowed("same", i)))
        series = np.arange(1.0, length + 1) ** -gamma[i]
        np.testing.assert_allclose(plan.weights[i, :length], series / series.sum(), atol=2.0**-52)
        assert (plan.weights[i, length:] == 0).all()


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "uint32", "uint64"])
@pytest.mark.parametrize("family", [torch_native, jax_key, portable])
def test_groups_of_any_integers(family, dtype):
    groups = GROUPS.astype(dtype)
    if family is torch_native:
        groups = pytest.importorskip("torch").from_numpy(groups)
    anchors = np.arange(N).astype("uint8")
    plan = family(N, num_mix=3, anchors=anchors, donors="same", groups=groups)
    assert (GROUPS[np.asarray(plan.indices)] == GROUPS[:, None]).all()


def test_what_is_of_another_library_is_refused_by_native_streams():
    jax, torch = pytest.importorskip("jax"), pytest.importorskip("torch")
    options = {"rng": jax.random.key(0), "like": jax.numpy.zeros(1)}
    with pytest.raises(TypeError, match=r"like and groups or donors must be .*got jax and torch"):
        zeta_plan(N, donors="same", groups=torch.from_numpy(GROUPS), **options)
    with pytest.raises(TypeError, match=r"like and anchors must be .*got jax and torch"):
        zeta_plan(N, anchors=torch.arange(3), **options)
    plan = zeta_plan(N, donors="same", groups=torch.from_numpy(GROUPS), rng=0, like=options["like"])
    assert (GROUPS[np.asarray(plan.indices)] == GROUPS[:, None]).all()


def test_what_is_traced_needs_a_key():
    jax = pytest.importorskip("jax")
    for draw in (
        lambda x: zeta_plan(N, donors="same", groups=x, rng=0).indices,
        lambda x: zeta_plan(N, anchors=x, rng=0).indices,
        lambda x: zeta_plan(N, donors=x[:, None], rng=0).indices,
    ):
        with pytest.raises(TypeError, match=r"draws on the host, .* got traced .*; pass a key"):
            jax.jit(draw)(jax.numpy.asarray([1, 0, 3, 2, 5, 4]))


def test_tables_and_words_in_other_forms():
    nested = [[1, 2], [0, -1], [0, 1]]
    assert zeta_plan(3, donors=nested, rng=0) == zeta_plan(3, donors=np.asarray(nested), rng=0)
    word = np.str_("same")
    assert zeta_plan(N, donors=word, groups=GROUPS, rng=0) == zeta_plan(
        N, donors="same", groups=GROUPS, rng=0
    )
    for options, message in (
        ({"donors": [[1], [0, 2], [1]]}, "donors must be .*got lists of unequal lengths"),
        ({"donors": "same", "groups": [[0], [0, 1], [1]]}, "groups must be .*unequal"),
        ({"anchors": []}, r"anchors must have shape \(M,\) with M >= 1, got \(0,\)"),
        ({"anchors": [0, 1], "num_outputs": 3}, "number of anchors, got 3 for 2"),
        ({"donors": "same", "groups": np.eye(3)}, "not groups: pass their argmax"),
        ({"donors": "same", "groups": [0, 0, 1], "anchored": False}, "donors='same'"),
    ):
        with pytest.raises(ValueError, match=message):
            zeta_plan(3, rng=0, **options)
    for options, message in (
        ({"anchors": [True, False, True]}, r"pass numpy\.flatnonzero\(anchors\)"),
        ({"anchors": [0.0, 1.0]}, "cast them to integers, if they are whole"),
        ({"donors": "same", "groups": ["a", "b", "a"]}, r"numpy\.unique\(groups"),
        ({"anchors": [0, 1], "num_outputs": np.ones(2)}, "num_outputs must be a whole number"),
    ):
        with pytest.raises(TypeError, match=message):
            zeta_plan(3, rng=0, **options)


def test_rows_with_ties_keep_their_donors_first(monkeypatch):
    """Of more things than 32 bits sort, tied rows are permuted one by one."""
    from zetamix_core.random.portable import PortableStream

    n = 1100
    groups = np.arange(n) % 2
    monkeypatch.setattr(PortableStream, "_raw", lambda self, shape: np.zeros(shape, np.uint64))
    plan = zeta_plan(n, num_mix=100, anchors=[0, 5], donors="same", groups=groups, rng=3)
    assert (groups[plan.indices] == groups[[0, 5]][:, None]).all()
    assert all(len(set(row)) == 100 for row in plan.indices.tolist())
    assert plan.indices[0].tolist() != sorted(plan.indices[0].tolist())


# --- every entry point ----------------------------------------------------------------------------

X = np.random.default_rng(0).normal(size=(N, 3, 8, 8)).astype(np.float32)
Y = np.asarray([0, 1, 1, 2, 2, 2])
OF_RULES = pytest.mark.parametrize(
    "rule",
    [
        Zeta(num_mix=3, donors="same"),
        Mixup(donors="other"),
        Dirichlet(num_mix=3, donors="same"),
        CutMix(donors="other"),
        OneOf([Zeta(donors="same"), CutMix()]),
        OneOf([OneOf([CutMix(donors="same")]), Mixup()]),
    ],
    ids=lambda rule: type(rule).__name__,
)


def expected(rule, rng, like=X):
    plan = rule.plan(X.shape, rng=rng, groups=GROUPS, like=like)
    return plan @ X, plan.mix_labels(Y, 3)


@OF_RULES
def test_mix(backend, rule):
    x, y, groups = (backend.asarray(each) for each in (X, Y, GROUPS))
    groups = GROUPS if backend.lazy else groups
    for seed in range(3):
        mixed, soft = zetamix.mix(x, y, rule, num_classes=3, groups=groups, rng=seed)
        first, second = expected(rule, seed)
        np.testing.assert_allclose(backend.to_numpy(mixed), first, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(backend.to_numpy(soft), second, atol=1e-6)


def test_short_forms():
    for function, rule in (
        (zetamix.zeta_mixup, Zeta(donors="same")),
        (zetamix.mixup, Mixup(donors="same")),
        (zetamix.cutmix, CutMix(donors="same")),
    ):
        mixed, _ = function(X, Y, num_classes=3, donors="same", groups=GROUPS, rng=4)
        np.testing.assert_allclose(mixed, expected(rule, 4)[0], rtol=1e-5, atol=1e-6)


@OF_RULES
def test_batches(rule):
    epoch = zetamix.batches(X, Y, 4, rule=rule, groups=GROUPS, num_classes=3, seed=2, shuffle=False)
    for step, (mixed, _) in enumerate(epoch):
        rows = slice(4 * step, 4 * step + 4)
        part = X[rows]
        plan = rule.plan(part.shape, rng=(2, 0, step), groups=GROUPS[rows])
        np.testing.assert_allclose(mixed, plan @ part, rtol=1e-5, atol=1e-6)


@pytest.mark.needs("torch")
@OF_RULES
@pytest.mark.parametrize("compiled", [False, True])
def test_modules(rule, compiled):
    torch = pytest.importorskip("torch")
    zt = pytest.importorskip("zetamix.torch")
    if compiled and isinstance(rule, OneOf):
        pytest.skip("its choice ends a graph")
    x, y, patient = (torch.from_numpy(each.copy()) for each in (X, Y, GROUPS))
    mix = zt.Mix(rule, groups="patient", keep=["patient"], num_classes={"label": 3}, seed=4)
    step = torch.compile(mix, fullgraph=True, backend="eager") if compiled else mix
    for number in range(3):
        mixed = step({"image": x, "label": y, "patient": patient})
        first, second = expected(rule, (4, number, 0))
        np.testing.assert_allclose(mixed["image"], first, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(mixed["label"], second, atol=1e-6)
        assert mixed["patient"] is patient
    torch.compiler.reset()


@pytest.mark.needs("torch")
def test_named_modules_and_other_ways_to_name_groups():
    torch = pytest.importorskip("torch")
    zt = pytest.importorskip("zetamix.torch")
    x, y = torch.from_numpy(X.copy()), torch.from_numpy(GROUPS.copy())
    want = Zeta(donors="same").plan(X.shape, rng=(1, 0, 0), groups=GROUPS, like=X) @ X
    for groups in ("1", lambda batch: batch[1]):
        mix = zt.ZetaMixup(donors="same", groups=groups, num_classes=8, seed=1)
        np.testing.assert_allclose(mix(x, y)[0], want, rtol=1e-4, atol=1e-5)
    for make in (zt.Mixup, zt.CutMix):
        mixed, soft = make(donors="same", groups="1", num_classes=8, seed=1)(x, y)
        assert torch.equal(soft, torch.nn.functional.one_hot(y, 8).float())
        assert torch.equal(mixed[0], x[0])
    plan = zt.ZetaMixup(donors="same", seed=1).draw(x, y)
    np.testing.assert_allclose(plan @ x, want, rtol=1e-4, atol=1e-5)
    samples = list(zip(x, y, strict=True))
    collate = zt.ZetaMixupCollate(donors="same", groups="1", num_classes=8, seed=1)
    soft = collate(samples)[1]
    assert torch.equal(soft, torch.nn.functional.one_hot(y, 8).float())
    again = zt.Collate(zt.ZetaMixup(donors="same", groups="1", num_classes=8), seed=1)
    first = zt.ZetaMixupCollate(donors="same", groups="1", num_classes=8, seed=1)
    assert torch.equal(again(samples)[0], first(samples)[0])


@pytest.mark.needs("jax")
@OF_RULES
def test_jax(rule):
    jax = pytest.importorskip("jax")
    import zetamix.jax

    def mix(key, x, y, groups):
        return zetamix.jax.mix(key, x, y, rule, num_classes=3, groups=groups)

    step = jax.jit(mix)
    for seed in range(3):
        mixed, soft = mix(jax.random.key(seed), X, Y, GROUPS)
        found = step(jax.random.key(seed), X, Y, GROUPS)
        np.testing.assert_allclose(found[0], mixed, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(found[1], soft, atol=1e-6)
        if rule.donors == "same":  # the first sample is alone in its group
            np.testing.assert_allclose(mixed[0], X[0], atol=1e-6)


# --- bad input ------------------------------------------------------------------------------------


OWN = np.asarray([[0]] * 6)
TWICE = np.asarray([[1, 1], [0, -1], [0, 1], [0, 1], [0, 1], [0, 1]])
TEXT = np.asarray(list("abcdef"))
OF_GROUPS = r"shape \(N,\) = \(6,\), one for each sample, got \(5,\)"
OF_ANCHORS = "num_outputs must be the number of anchors, got 3 for 2"
BEYOND = "donors must be from 0 to 5 for 6 samples, or -1 for none, got 6"


def same(groups):
    return {"donors": "same", "groups": groups}


@pytest.mark.parametrize(
    ("error", "message", "options"),
    [
        (ValueError, "groups go with donors=", {"groups": GROUPS}),
        (ValueError, "donors='same' needs the groups of the samples", {"donors": "same"}),
        (ValueError, "donors must be None, 'same' or 'other'", {"donors": "near"}),
        (ValueError, "donors must be None", {"donors": 3}),
        (ValueError, "got them with donors=an array", {"donors": TABLE, "groups": GROUPS}),
        (ValueError, OF_GROUPS, same(GROUPS[:5])),
        (ValueError, "soft and multi-hot labels are not groups", same(np.eye(6, dtype=int))),
        (TypeError, "got dtype float64; cast them", same(GROUPS / 2)),
        (TypeError, "groups", same(TEXT)),
        (ValueError, "anchors must be from 0 to 5 for 6 samples, got -1", {"anchors": [-1, 0]}),
        (ValueError, "anchors must be from 0 to 5 for 6 samples, got 6", {"anchors": [6]}),
        (ValueError, r"anchors must have shape \(M,\)", {"anchors": [[1]]}),
        (TypeError, "anchors must be integers", {"anchors": 3}),
        (TypeError, "anchors must be integers", {"anchors": [0.5]}),
        (ValueError, OF_ANCHORS, {"anchors": [0, 1], "num_outputs": 3}),
        (ValueError, "anchored=False lets a random sample", {"anchors": [0], "anchored": False}),
        (ValueError, "got it with donors", {**same(GROUPS), "anchored": False}),
        (ValueError, BEYOND, {"donors": TABLE + 1}),
        (ValueError, "must not be its own donor, got 0", {"donors": OWN}),
        (ValueError, "must be distinct, got one twice in row 0", {"donors": TWICE}),
        (ValueError, "got -1 everywhere", {"donors": np.full((6, 2), -1)}),
        (ValueError, r"integers of shape \(N, K\) with N = 6", {"donors": TABLE[:5]}),
        (ValueError, r"integers of shape \(N, K\)", {"donors": TABLE[0]}),
    ],
)
@PLANS
def test_errors_name_rule_value_and_remedy(draw, error, message, options):
    with pytest.raises(error, match=message):
        draw(N, rng=0, **options)


@pytest.mark.parametrize(
    ("error", "message", "call"),
    [
        (ValueError, "donors must be None, 'same' or 'other'", lambda: Zeta(donors="near")),
        (ValueError, "donors must be None", lambda: CutMix(donors=TABLE)),
        (ValueError, "groups go with rules that ask for them", lambda: Zeta().plan((N,), groups=Y)),
        (ValueError, "groups go with rules", lambda: OneOf([Zeta()]).plan((N,), groups=Y)),
        (ValueError, "needs the groups", lambda: zetamix.mix(X, None, Mixup(donors="same"))),
        (ValueError, "one for each sample", lambda: zetamix.batches(X, None, 2, groups=Y[:2])),
        (ValueError, "groups go with rules", lambda: zetamix.batches(X, None, 2, groups=Y)),
    ],
)
def test_rules_and_entry_points_refuse(error, message, call):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.needs("torch")
def test_modules_refuse():
    torch = pytest.importorskip("torch")
    zt = pytest.importorskip("zetamix.torch")
    with pytest.raises(TypeError, match="groups must be the path of a leaf or a callable, got 3"):
        zt.ZetaMixup(groups=3)
    batch = {"image": torch.rand(N, 2), "label": torch.arange(N)}
    message = re.escape("got 'patient' where there are ['image', 'label']")
    with pytest.raises(ValueError, match=message):
        zt.ZetaMixup(donors="same", groups="patient", num_classes=N)(batch)
    with pytest.raises(ValueError, match="needs the groups"):
        zt.ZetaMixup(donors="same", num_classes=N)(batch)
