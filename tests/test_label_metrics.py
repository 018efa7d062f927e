"""Richness and correctness of labels, and the vote of neighbours."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import entropy

from zetamix_core import zeta_plan
from zetamix_core.metrics import label_correctness, label_richness, neighbor_vote

CLASSES = 4
Y = np.arange(40) % CLASSES


def soft_labels(n=40, seed=0):
    labels = np.random.default_rng(seed).dirichlet(np.full(CLASSES, 0.3), n)
    labels[0] = np.eye(CLASSES)[2]
    return labels


def samples(seed=0):
    """Four clouds, by class."""
    rng = np.random.default_rng(seed)
    return 2 * np.eye(CLASSES, 6)[Y] + rng.normal(size=(40, 6))


def as_numpy(backend, array):
    return array if isinstance(array, np.ndarray) else backend.to_numpy(array)


def tolerance(backend):
    return 1e-5 if backend.name == "jax" else 1e-12


# --- richness -------------------------------------------------------------------------------------


@pytest.mark.parametrize("min_weight", [0.01, 0.3, 1.0])
def test_richness_is_that_of_the_definition(backend, min_weight):
    labels = soft_labels()
    found = label_richness(backend.asarray(labels), min_weight=min_weight)
    found = [as_numpy(backend, each) for each in found]
    expected = entropy(labels, axis=1)
    rtol = tolerance(backend)
    np.testing.assert_allclose(found[0], expected, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(found[1], np.exp(expected), rtol=rtol)
    assert np.array_equal(found[2], np.sum(labels >= min_weight, axis=1))
    assert np.issubdtype(found[2].dtype, np.integer)


def test_richness_of_uniform_and_single_labels(backend):
    labels = backend.asarray(np.asarray([[0.25] * 4, [0, 1, 0, 0]], dtype=np.float32))
    rich = label_richness(labels)
    np.testing.assert_allclose(as_numpy(backend, rich.effective_classes), [4, 1], rtol=1e-6)
    assert as_numpy(backend, rich.classes_above).tolist() == [4, 1]
    assert as_numpy(backend, rich.entropy)[1] == 0


def test_richness_of_mixtures_of_one_class_each():
    """With a class for each sample, the weights of the plan are the label."""
    plan = zeta_plan(12, gamma=2.0, num_mix=7, rng=0)
    rich = label_richness(plan.mix_labels(np.arange(12), 12))
    np.testing.assert_allclose(rich.entropy, entropy(plan.weights))


# --- correctness ----------------------------------------------------------------------------------


def test_correctness_is_that_of_the_definition(backend):
    labels, oracle = soft_labels(), soft_labels(seed=1)
    found = label_correctness(backend.asarray(labels), backend.asarray(oracle))
    overlap, same = (as_numpy(backend, each) for each in found)
    expected = 1 - np.abs(labels - oracle).sum(axis=1) / 2
    np.testing.assert_allclose(overlap, expected, rtol=tolerance(backend))
    assert same.dtype == bool
    assert np.array_equal(same, labels.argmax(axis=1) == oracle.argmax(axis=1))
    assert 0 < same.mean() < 1


def test_labels_agree_with_themselves(backend):
    labels = backend.asarray(soft_labels())
    overlap, same = label_correctness(labels, labels)
    np.testing.assert_allclose(as_numpy(backend, overlap), 1, rtol=tolerance(backend))
    assert as_numpy(backend, same).all()


def test_a_mixture_overlaps_with_its_own_class_by_its_weight():
    """Where each sample is of another class, and the oracle knows only the own one."""
    plan = zeta_plan(12, gamma=2.0, num_mix=7, rng=0)
    overlap, same = label_correctness(plan.mix_labels(np.arange(12), 12), np.eye(12))
    np.testing.assert_allclose(overlap, plan.weights[0])
    assert same.all()


# --- the vote -------------------------------------------------------------------------------------


def by_definition(x, labels, queries, k):
    distances = cdist(x if queries is None else queries, x)
    if queries is None:
        np.fill_diagonal(distances, np.inf)
    return labels[np.argsort(distances, axis=1)[:, :k]].mean(axis=1)


@pytest.mark.parametrize("form", ["classes", "one-hot", "soft"])
@pytest.mark.parametrize("queries", [None, samples(1)[:9]], ids=["itself", "others"])
def test_votes_are_those_of_brute_force(backend, form, queries):
    x = samples()
    labels = soft_labels() if form == "soft" else np.eye(CLASSES)[Y]
    y = {"classes": Y, "one-hot": labels.astype(int), "soft": labels}[form]
    found = neighbor_vote(
        backend.asarray(x),
        backend.asarray(y),
        None if queries is None else backend.asarray(queries),
        n_neighbors=7,
        num_classes=None if form == "soft" else CLASSES,
    )
    expected = by_definition(x, labels, queries, 7)
    np.testing.assert_allclose(as_numpy(backend, found), expected, rtol=1e-6, atol=1e-7)


def test_anchors_have_no_vote(backend):
    x, labels, queries = samples(), np.eye(CLASSES)[Y], samples(1)[:9]
    anchors = np.asarray([cdist(queries, x)[i].argmin() for i in range(8)] + [0])
    expected = []
    for query, anchor in zip(queries, anchors, strict=True):
        others = np.delete(np.arange(40), anchor)
        nearest = others[np.argsort(cdist(query[None], x[others])[0])[:7]]
        expected.append(labels[nearest].mean(axis=0))
    given = map(backend.asarray, (x, Y, queries))
    own = anchors if backend.lazy else backend.asarray(anchors)
    found = neighbor_vote(*given, n_neighbors=7, num_classes=CLASSES, anchors=own)
    np.testing.assert_allclose(as_numpy(backend, found), expected, rtol=1e-6, atol=1e-7)


def test_samples_as_queries_are_their_own_anchors(backend):
    x, y = backend.asarray(samples()), backend.asarray(Y)
    anchors = np.arange(40) if backend.lazy else backend.asarray(np.arange(40))
    found = neighbor_vote(x, y, x, num_classes=CLASSES, anchors=anchors)
    expected = neighbor_vote(x, y, num_classes=CLASSES)
    np.testing.assert_allclose(as_numpy(backend, found), as_numpy(backend, expected), rtol=1e-6)


def test_one_sample_may_vote_alone(backend):
    x = backend.asarray(np.asarray([[1.0], [2.0]]))
    y = backend.asarray(np.asarray([1, 0]))
    found = neighbor_vote(x, y, x, n_neighbors=2, num_classes=2)
    assert as_numpy(backend, found).tolist() == [[0.5, 0.5]] * 2
    found = neighbor_vote(x, y, n_neighbors=1, num_classes=2)
    assert as_numpy(backend, found).tolist() == [[1, 0], [0, 1]]


# --- refusals -------------------------------------------------------------------------------------


def test_labels_that_are_none(backend):
    labels = soft_labels()
    good = backend.asarray(labels)
    for broken, message in (
        (2 * labels, "add up to 1 for each sample, got a sum of 2 in sample 0"),
        (np.where(labels > 0.9, np.nan, labels), "got a sum of nan in sample 0"),
        (labels - [0.5, -0.5, 0, 0], "0 or more and add up to 1"),
        (labels[:, 0], r"must have shape \(M, C\)"),
        (labels[:0], "must be >= 1, got 0"),
    ):
        bad = backend.asarray(broken)
        with pytest.raises(ValueError, match=message):
            label_richness(bad)
        with pytest.raises(ValueError, match=message):
            label_correctness(bad, good)
    with pytest.raises(TypeError, match="labels must be floating, the weights of classes"):
        label_richness(backend.asarray(Y))
    with pytest.raises(ValueError, match=r"must have the same shape, got \(40, 4\) and \(39, 4\)"):
        label_correctness(good, good[:39, :])


@pytest.mark.parametrize("min_weight", [0, -1, 1.1, np.nan])
def test_min_weight_out_of_range(min_weight):
    with pytest.raises(ValueError, match="min_weight must be above 0 and up to 1, got"):
        label_richness(soft_labels(), min_weight=min_weight)


def test_votes_that_cannot_be_held(backend):
    x, y = backend.asarray(samples()), backend.asarray(Y)
    with pytest.raises(ValueError, match="same number of samples, got 40 and 39"):
        neighbor_vote(x, y[:39], num_classes=CLASSES)
    with pytest.raises(ValueError, match="integer classes need num_classes"):
        neighbor_vote(x, y)
    with pytest.raises(ValueError, match="got n_neighbors=40 for 40 samples"):
        neighbor_vote(x, y, n_neighbors=40, num_classes=CLASSES)
    with pytest.raises(ValueError, match=r"at most the number of samples that vote, got .* for 40"):
        neighbor_vote(x, y, x, n_neighbors=41, num_classes=CLASSES)
    with pytest.raises(ValueError, match="x and queries must have the same number of features"):
        neighbor_vote(x, y, x[:, :2], num_classes=CLASSES)
    for anchors in (y[:3], x[:, 0]):
        with pytest.raises(
            ValueError, match=r"anchors must be integers of shape \(40,\), a sample"
        ):
            neighbor_vote(x, y, x, num_classes=CLASSES, anchors=anchors)
    with pytest.raises(ValueError, match=r"y must have shape \(M, C\)"):
        neighbor_vote(x, backend.asarray(np.linspace(0, 1, 40)))
    if not backend.lazy:  # whose labels are computed first
        with pytest.raises(ValueError, match="labels must be classes from 0 to num_classes - 1"):
            neighbor_vote(x, y, num_classes=3)
