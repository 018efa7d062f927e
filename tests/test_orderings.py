"""The law of the orderings: uniform, anchored or free, and independent of each other."""

import importlib.util
import itertools
import math

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


@pytest.fixture(params=["digits", "sorting"])
def algorithm(request, monkeypatch):
    """Both ways to draw have their own range of (n, T); here each is made to do all of it."""
    share = math.inf if request.param == "digits" else 0
    monkeypatch.setattr(stream, "_DIGITS_SHARE", share)
    return request.param


@pytest.mark.parametrize("draw", FAMILIES, ids=lambda draw: draw.__name__)
@pytest.mark.parametrize(("n", "num_mix"), [(4, 2), (5, 3), (5, 5)])
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


def halves(*words):
    """Raw words whose halves are these words of 32 bits, the low one first."""
    words = [*words, 0] if len(words) % 2 else list(words)
    return [low | high << 32 for low, high in zip(words[::2], words[1::2], strict=True)]


def test_words_that_are_one_too_many_are_drawn_again():
    """Of 2**32 words 3 · 1431655765 are needed; the one that is left is zero."""
    stream = stream_for(0, None)
    first, second, third = halves(0, 1, 2**32 - 1, 0), halves(2**31, 0), halves(2**32 - 1)
    stream._bits = FixedWords(first, second, third)
    digits = np.empty((1, 4), dtype=np.int32)
    stream._below(np.asarray([[3]], dtype=np.uint64), digits)
    assert digits.tolist() == [[1, 0, 2, 2]]


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 10, 1000, 2**16, 2**31 - 2, 2**31 - 1])
def test_as_many_words_lead_to_each_integer(limit):
    """Those that lead to one are neighbours, of which the first may be rejected."""
    integers = [*range(min(limit, 50)), *range(max(0, limit - 50), limit)]
    for integer in integers:
        start, end = (-(-(i << 32) // limit) for i in (integer, integer + 1))
        words = np.asarray([start, start + 1, end - 1], dtype=np.uint64).astype(np.uint32)
        found, rejected = portable._scaled(words, np.asarray([limit], dtype=np.uint64))
        within = [start, start + 1 if start + 1 < end else start, end - 1]
        assert set(found[np.asarray(words) < end].tolist()) == {integer}, within
        assert end - start - int(rejected[0]) == 2**32 // limit
        assert not rejected[1:][words[1:] > start].any()


def test_bounded_integers_are_uniform():
    digits = np.empty((2, 70_000), dtype=np.int32)
    stream_for(1, None)._below(np.asarray([[7], [6]], dtype=np.uint64), digits)
    joint = np.bincount(digits[0] * 6 + digits[1], minlength=42)
    assert stats.chisquare(joint).pvalue > LEVEL


def test_digits_count_what_is_left():
    """Against the definition: digit r steps over what is taken, in increasing order."""
    rng = np.random.default_rng(0)
    for n, length in ((1, 1), (5, 5), (40, 7)):
        digits = np.stack([rng.integers(0, n - r, 200) for r in range(length)])
        for column, things in zip(digits.T.copy(), stream.step_over(digits).T, strict=True):
            left = list(range(n))
            assert [left.pop(digit) for digit in column] == things.tolist()


def test_tied_words_are_drawn_again():
    # Two things of three get the same high bits, and so would keep their order.
    stream = stream_for(0, None)
    tie, no_tie = halves(1 << 20, 9, 1 << 20), halves(30, 10, 20)
    stream._bits = FixedWords(tie, tie, no_tie)
    indices = np.empty((1, 3), dtype=np.int64)
    stream._sort(3, indices)
    assert indices.tolist() == [[1, 2, 0]]


def test_tied_words_of_64_bits_are_drawn_again_whole(monkeypatch):
    monkeypatch.setattr(portable, "_MOST_IN_32_BITS", 2)
    stream = stream_for(0, None)
    packed_tie, tie, no_tie = [1 << 60, 5, 1 << 60], [9, 9, 1], [3, 1, 2]
    stream._bits = FixedWords(packed_tie, tie, no_tie)
    indices = np.empty((1, 3), dtype=np.int64)
    stream._sort(3, indices)
    assert indices.tolist() == [[1, 2, 0]]


def test_tied_words_of_any_row_are_drawn_again(monkeypatch):
    """In two blocks of rows: of the first the second row has a tie, of the second its only one."""
    monkeypatch.setattr(portable, "_BLOCK_ENTRIES", 6)
    top = 1 << 30
    block = halves(3 * top, top, 2 * top, 2 * top, 5, 7)
    stream = stream_for(0, None)
    stream._bits = FixedWords(block, halves(top, top, 0), halves(30, 10, 20, 20, 30, 10))
    indices = np.empty((3, 3), dtype=np.int64)
    stream._sort(3, indices)
    assert indices.tolist() == [[1, 2, 0], [1, 2, 0], [2, 0, 1]]


def test_blocks_do_not_change_the_draw(monkeypatch):
    shapes = [(50, 5), (51, 40), (51, 6), (1100, 200)]
    whole = [zeta_plan(n, num_mix=t, rng=1).indices for n, t in shapes]
    monkeypatch.setattr(portable, "_BLOCK_ENTRIES", 64)
    parts = [zeta_plan(n, num_mix=t, rng=1).indices for n, t in shapes]
    for a, b in zip(whole, parts, strict=True):
        assert np.array_equal(a, b)
