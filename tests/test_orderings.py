"""The law of the orderings: uniform, anchored or free, and independent of each other."""

import importlib.util
import itertools

import numpy as np
import pytest
from scipy import stats

from zetamix_core import zeta_plan
from zetamix_core.random import portable, stream, stream_for

# The draws below are fixed by their seeds, so that a right implementation passes for ever; a wrong
# one misses this level by many orders of magnitude.
LEVEL = 1e-4
ROWS = 24_000


def portable_int(n, **options):
    return zeta_plan(n, rng=20_240, **options).indices


def portable_key(n, **options):
    return zeta_plan(n, rng=(7, 1, 2, 3), **options).indices


def portable_sequence(n, **options):
    return zeta_plan(n, rng=np.random.SeedSequence(3), **options).indices


def portable_generator(n, **options):
    return zeta_plan(n, rng=np.random.default_rng(4), **options).indices


def portable_mt19937(n, **options):
    rng = np.random.Generator(np.random.MT19937(4))
    return zeta_plan(n, rng=rng, **options).indices


def torch_generator(n, **options):
    torch = pytest.importorskip("torch")
    rng = torch.Generator().manual_seed(5)
    return zeta_plan(n, rng=rng, like=torch.zeros(1), **options).indices.numpy()


def torch_device(n, **options):
    torch = pytest.importorskip("torch")
    torch.manual_seed(6)
    return zeta_plan(n, rng="device", like=torch.zeros(1), **options).indices.numpy()


def torch_native(n, *, num_mix, num_outputs, anchored):
    """Draw as on an accelerator, where the CPU generator would be too far away."""
    torch = pytest.importorskip("torch")
    from zetamix_core.random.torch_streams import TorchStream

    stream = TorchStream(torch.Generator().manual_seed(7), torch.zeros(1))
    return stream.orderings(num_outputs, n, num_mix, anchored=anchored).numpy()


def jax_key(n, **options):
    jax = pytest.importorskip("jax")
    like = jax.numpy.zeros(1)
    return np.asarray(zeta_plan(n, rng=jax.random.key(8), like=like, **options).indices)


def jax_jitted(n, **options):
    jax = pytest.importorskip("jax")
    like = jax.numpy.zeros(1)
    draw = jax.jit(lambda key: zeta_plan(n, rng=key, like=like, **options).indices)
    return np.asarray(draw(jax.random.key(9)))


FAMILIES = [
    portable_int,
    portable_key,
    portable_sequence,
    portable_generator,
    portable_mt19937,
    torch_generator,
    torch_device,
    torch_native,
    jax_key,
    jax_jitted,
]
if importlib.util.find_spec("cupy"):

    def cupy_generator(n, **options):
        import cupy

        rng = cupy.random.default_rng(10)
        return zeta_plan(n, rng=rng, like=cupy.zeros(1), **options).indices.get()

    FAMILIES.append(cupy_generator)


def codes(indices, n):
    """Number the arrangements that the rows are."""
    return indices.astype(np.int64) @ n ** np.arange(indices.shape[1])


def all_codes(n, num_mix):
    return codes(np.asarray(list(itertools.permutations(range(n), num_mix))), n)


def uniform_p_value(observed, possible):
    counts = np.asarray([np.count_nonzero(observed == code) for code in possible])
    assert counts.sum() == observed.size, "a row is no arrangement"
    return stats.chisquare(counts).pvalue


@pytest.fixture(params=["default", "sparse", "dense"])
def algorithm(request, monkeypatch):
    """Both ways to draw have their own range of T / N; here each is made to do all of it."""
    if request.param != "default":
        share = 1 if request.param == "sparse" else 1000
        monkeypatch.setattr(portable, "_REDRAW_SHARE", share)
        monkeypatch.setattr(stream, "_FLOYD_SHARE", share)
    return request.param


@pytest.mark.parametrize("draw", FAMILIES, ids=lambda draw: draw.__name__)
@pytest.mark.parametrize(("n", "num_mix"), [(4, 2), (4, 4), (5, 3), (5, 5)])
@pytest.mark.parametrize("anchored", [True, False])
def test_uniform(draw, n, num_mix, anchored, algorithm):
    indices = draw(n, num_mix=num_mix, num_outputs=ROWS * 2, anchored=anchored)
    if anchored:
        assert np.array_equal(indices[:, 0], np.arange(ROWS * 2) % n)
    possible = all_codes(n, num_mix)
    assert uniform_p_value(codes(indices, n), possible) > LEVEL


def pairs_p_value(first, second, n, num_mix):
    """Test that two sequences of rows are uniform jointly, hence independent."""
    possible = all_codes(n, num_mix)
    base = int(n**num_mix)
    joint = (possible[:, None] * base + possible).ravel()
    return uniform_p_value(codes(first, n) * base + codes(second, n), joint)


@pytest.mark.parametrize("draw", FAMILIES, ids=lambda draw: draw.__name__)
def test_rows_are_independent(draw, algorithm):
    indices = draw(4, num_mix=3, num_outputs=ROWS, anchored=False)
    assert pairs_p_value(indices[:-1:2], indices[1::2], 4, 3) > LEVEL


@pytest.mark.parametrize("place", ["seed", "epoch", "step", "rank"])
def test_neighbouring_keys_are_independent(place):
    def key(i):
        return {"seed": (i, 1), "epoch": (1, i, 0, 0), "step": (1, 2, i, 0), "rank": (1, 2, 3, i)}

    rows = np.concatenate(
        [zeta_plan(4, num_mix=2, num_outputs=1, anchored=False, rng=key(i)[place]).indices
         for i in range(8000)]
    )  # fmt: skip
    assert uniform_p_value(codes(rows, 4), all_codes(4, 2)) > LEVEL
    assert pairs_p_value(rows[:-1], rows[1:], 4, 2) > LEVEL


def test_children_of_a_seed_sequence_are_independent():
    children = np.random.SeedSequence(11).spawn(2)
    a, b = (zeta_plan(4, num_mix=3, num_outputs=ROWS, anchored=False, rng=c) for c in children)
    assert pairs_p_value(a.indices, b.indices, 4, 3) > LEVEL


@pytest.mark.parametrize(("n", "num_mix"), [(1000, 8), (1000, 400), (300, 300), (1, 1), (2, 2)])
@pytest.mark.parametrize("anchored", [True, False])
@pytest.mark.parametrize("draw", FAMILIES, ids=lambda draw: draw.__name__)
def test_rows_are_distinct_and_spread(draw, n, num_mix, anchored):
    indices = draw(n, num_mix=num_mix, num_outputs=n, anchored=anchored)
    assert indices.shape == (n, num_mix)
    assert all(len(set(row)) == num_mix for row in indices.tolist())
    assert indices.min() >= 0
    assert indices.max() < n
    if n >= 300:  # each sample appears about num_mix times
        counts = np.bincount(indices.ravel(), minlength=n)
        assert stats.chisquare(counts).pvalue > LEVEL


@pytest.mark.parametrize("num_outputs", [3, 7, 10, 15])
def test_anchors_cover_the_samples_evenly(num_outputs):
    counts = np.bincount(zeta_plan(7, num_outputs=num_outputs).indices[:, 0], minlength=7)
    assert counts.max() - counts.min() <= 1


# --- the words behind the portable stream ---------------------------------------------------------


class FixedWords:
    """A bit generator that returns what it is given."""

    def __init__(self, *batches):
        self.batches = [np.asarray(batch, dtype=np.uint64) for batch in batches]

    def random_raw(self, count):
        batch = self.batches.pop(0)
        assert batch.size == count
        return batch.copy()


def test_words_beyond_the_last_full_cycle_are_drawn_again():
    n = 2**62 + 1  # three cycles fit into 64 bits, the fourth would favour small numbers
    stream = stream_for(0, None)
    stream._bits = FixedWords([5, n, 3 * n, 3 * n - 1], [2**64 - 1], [n + 7])
    assert stream._below(n, 4).tolist() == [5, 0, 7, n - 1]


def test_bounded_integers_are_uniform():
    counts = np.bincount(stream_for(1, None)._below(7, 70_000))
    assert stats.chisquare(counts).pvalue > LEVEL


def test_tied_words_are_drawn_again():
    # Two things of three get the same high bits, and so would keep their order.
    stream = stream_for(0, None)
    packed_tie, tie, no_tie = [1 << 60, 5, 1 << 60], [9, 9, 1], [3, 1, 2]
    stream._bits = FixedWords(packed_tie, tie, no_tie)
    indices = np.empty((1, 3), dtype=np.int64)
    stream._sort(3, indices)
    assert indices.tolist() == [[1, 2, 0]]


def test_tied_words_of_any_row_are_drawn_again(monkeypatch):
    """In two blocks of rows: of the first the second row has a tie, of the second its only one."""
    monkeypatch.setattr(portable, "_BLOCK_ENTRIES", 6)
    top = 1 << 60
    block = [3 * top, top, 2 * top, 2 * top, 5, 7]
    stream = stream_for(0, None)
    stream._bits = FixedWords(block, [top, top, 0], [30, 10, 20], [20, 30, 10])
    indices = np.empty((3, 3), dtype=np.int64)
    stream._sort(3, indices)
    assert indices.tolist() == [[1, 2, 0], [1, 2, 0], [2, 0, 1]]


def test_blocks_do_not_change_the_draw(monkeypatch):
    whole = [zeta_plan(50, num_mix=t, rng=1).indices for t in (5, 40)]
    monkeypatch.setattr(portable, "_BLOCK_ENTRIES", 64)
    parts = [zeta_plan(50, num_mix=t, rng=1).indices for t in (5, 40)]
    for a, b in zip(whole, parts, strict=True):
        assert np.array_equal(a, b)
