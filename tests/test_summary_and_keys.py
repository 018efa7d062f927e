"""A plan in a few numbers, and keys made of what a batch holds."""

import hashlib
import struct

import numpy as np
import pytest

from zetamix_core import MixPlan, cutmix_plan, key_of, zeta_plan

Y = np.asarray([0, 0, 1, 2, 1, 0])
GOLDEN_TEXT = (3, 2510190734, 1510555731, 227328930, 3640992669)
GOLDEN_NUMBERS = (0, 474609046, 736938549, 2119702160, 2788497889)


def by_loops(plan, y):
    """The numbers, from the dense matrix."""
    matrix = plan.matrix()
    soft = matrix @ np.eye(3)[y]
    heaviest = matrix.argmax(axis=1)
    donors = alike = 0.0
    for i, row in enumerate(matrix):
        for j, weight in enumerate(row):
            if j != heaviest[i]:
                donors += weight
                alike += weight * (y[j] == y[heaviest[i]])
    entropy = -sum(w * np.log(w) for w in soft.ravel() if w > 0) / len(matrix)
    return (
        matrix.max(axis=1).mean(),
        (1 / (matrix**2).sum(axis=1)).mean(),
        alike / donors if donors else 1.0,
        entropy,
    )


@pytest.mark.parametrize(
    "plan",
    [
        zeta_plan(6, rng=0),
        zeta_plan(6, num_mix=3, gamma=0.5, rng=1, num_outputs=9),
        zeta_plan(6, num_mix=4, donors="same", groups=Y, rng=2),
        zeta_plan(6, num_mix=4, donors="other", groups=Y, rng=2),
        zeta_plan(6, gamma=np.inf, rng=0),
        MixPlan(np.asarray([[0, 3, 0], [5, 5, 1]]), np.asarray([0.3, 0.4, 0.3]), 6),
    ],
)
def test_numbers_are_those_of_the_matrix(plan):
    np.testing.assert_allclose(plan.summary(Y), by_loops(plan, Y), rtol=1e-6)
    dominant, effective, *rest = plan.summary()
    np.testing.assert_allclose([dominant, effective], by_loops(plan, Y)[:2], rtol=1e-6)
    assert rest == [None, None]
    assert all(type(number) is float for number in plan.summary(Y))


def test_donors_show():
    for rule, share in (("same", 1.0), ("other", 0.0)):
        assert zeta_plan(6, donors=rule, groups=Y, rng=0).summary(Y).same_class == share
    assert zeta_plan(6, donors="same", groups=Y, rng=0).summary(Y).label_entropy == 0


def test_boxes_weigh_by_their_volume():
    plan = cutmix_plan((6, 8, 8), rng=0)
    assert plan.summary(Y) == plan.volumes.summary(Y)


def test_what_can_not_be_summarized():
    jax = pytest.importorskip("jax")
    like = jax.numpy.zeros(1)
    summarize = jax.jit(lambda key: zeta_plan(6, rng=key, like=like).summary()[0])
    with pytest.raises(TypeError, match="summarized on the host"):
        summarize(jax.random.key(0))
    with pytest.raises(TypeError, match="classes must be integers of shape"):
        zeta_plan(6, rng=0).summary(np.eye(6))
    with pytest.raises(ValueError, match="6 samples"):
        zeta_plan(6, rng=0).summary(Y[:5])


# --- keys -----------------------------------------------------------------------------------------


def by_hand(ids, seed):
    digest = hashlib.blake2b(digest_size=16)
    for each in ids:
        letter = {int: b"i", str: b"s", bytes: b"b"}[type(each)]
        text = each if letter == b"b" else str(each).encode("utf-8")
        digest.update(letter + struct.pack("<Q", len(text)) + text)
    return (seed, *struct.unpack("<4I", digest.digest()))


@pytest.mark.parametrize(
    "ids", [[], [0], [1, 2, 3], ["a", "b"], ["ab"], [b"ab"], [-1, "ζ", b"\x00"], [2**70]]
)
@pytest.mark.parametrize("seed", [0, 7, 2**127])
def test_keys_are_those_of_the_recipe(ids, seed):
    assert key_of(ids, seed=seed) == by_hand(ids, seed)
    assert zeta_plan(4, rng=key_of(ids, seed=seed)).shape == (4, 4)


def test_golden_keys():
    """They are written down by those who cache what a teacher said, and must never change."""
    assert key_of(["cat_01.png", "dog_07.png"], seed=3) == GOLDEN_TEXT
    assert key_of([3, 1, 4], seed=0) == GOLDEN_NUMBERS


def test_the_same_ids_in_other_forms():
    numbers = [3, 1, 4]
    for form in (np.asarray(numbers), np.asarray(numbers, np.uint8), tuple(numbers), iter(numbers)):
        assert key_of(form) == key_of(numbers)
    assert key_of(np.asarray(["a", "bc"])) == key_of(["a", "bc"])
    torch = pytest.importorskip("torch")
    assert key_of(torch.tensor(numbers)) == key_of(numbers)


def test_different_batches_have_different_keys():
    batches = [["ab"], ["a", "b"], [b"ab"], [1], ["1"], [b"1"], [1, 2], [2, 1], [12], []]
    assert len({key_of(batch) for batch in batches}) == len(batches)
    assert key_of([1], seed=1) != key_of([1], seed=2)


@pytest.mark.parametrize(
    ("error", "message", "call"),
    [
        (TypeError, "ids must be a list with one id for each sample, got 'a'", lambda: key_of("a")),
        (TypeError, "ids must be a list", lambda: key_of(3)),
        (TypeError, "an id must be an int, text or bytes, got 0.5", lambda: key_of([0.5])),
        (TypeError, "an id must be", lambda: key_of([True])),
        (TypeError, "an id must be", lambda: key_of([None])),
        (TypeError, "seed must be an int from 0 .* got None", lambda: key_of([1], seed=None)),
        (ValueError, "seed must be an int from 0", lambda: key_of([1], seed=-1)),
    ],
)
def test_errors_name_rule_value_and_remedy(error, message, call):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(
    "ids",
    [
        {"a", "b"},
        {"a": 1},
        {"a": 1}.keys(),
        b"ab",
        bytearray(b"ab"),
        memoryview(b"ab"),
        np.ma.masked_array([1, 2], [True, False]),
        np.ones((2, 2), dtype=int),
        np.int64(3),
        "ab",
        3,
    ],
    ids=lambda ids: type(ids).__name__,
)
def test_what_is_no_list_of_ids_is_refused(ids):
    with pytest.raises(TypeError, match="ids must be"):
        key_of(ids)


def test_ids_of_all_kinds():
    assert key_of(["\udc80"]) != key_of(["\udc81"])  # as os.listdir gives them
    with pytest.raises(ValueError, match=r"below 2\*\*256, got one of 16610 bits; pass text"):
        key_of([10**5000])
    assert key_of(iter([1, 2])) == key_of(np.asarray([1, 2])) == key_of((1, 2))
