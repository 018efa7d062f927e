"""Corruptions of small images: closed forms, growth with severity, keys, refusals."""

import importlib
import io
import itertools
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage, stats

FOLDER = Path(__file__).parents[1] / "benchmarks"
NAMES = [
    *("gaussian_noise", "shot_noise", "impulse_noise"),
    *("defocus_blur", "gaussian_blur", "motion_blur"),
    *("fog", "brightness", "contrast"),
    *("pixelate", "jpeg_compression", "elastic_transform"),
]
SEVERITIES = [1, 2, 3, 4, 5]
RANDOM = [
    *("gaussian_noise", "shot_noise", "impulse_noise"),
    *("motion_blur", "fog", "elastic_transform"),
]

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the benchmarks are in checkouts only")


@pytest.fixture
def module(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("classification.corruptions")


@pytest.fixture
def corrupt(module):
    return module.corrupt


def smooth(*shape):
    """Return images with edges, plains and both extremes."""
    noise = np.random.default_rng(3).standard_normal(shape)
    waves = ndimage.gaussian_filter(noise, (0, 2, 2, 0))
    return np.clip(128 + 70 * waves / waves.std(), 0, 255).astype(np.uint8)


def plain(value, *shape):
    return np.full(shape, value, dtype=np.uint8)


def squared(first, second):
    return float(np.mean((first.astype(float) - second) ** 2))


# Every corruption ---------------------------------------------------------------------------------


def test_the_names_are_those_of_the_families(module):
    assert list(module.CORRUPTIONS) == NAMES


@pytest.mark.parametrize("shape", [(3, 28, 28, 1), (3, 32, 32, 3), (2, 17, 40, 3), (2, 1, 1, 1)])
@pytest.mark.parametrize("name", NAMES)
def test_results_are_bytes_of_the_same_shape(corrupt, name, shape):
    images = smooth(*shape) if min(shape[1:3]) > 1 else plain(90, *shape)
    before = images.copy()
    for severity in SEVERITIES:
        corrupted = corrupt(images, name, severity, 0)
        assert corrupted.dtype == np.uint8
        assert corrupted.shape == shape
    np.testing.assert_array_equal(images, before)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", NAMES)
def test_distortion_grows_with_severity(corrupt, name, channels):
    images = smooth(16, 28, 28, channels)
    errors = [squared(corrupt(images, name, severity, 0), images) for severity in SEVERITIES]
    assert errors[0] > 0
    assert all(1.1 * weaker < stronger for weaker, stronger in itertools.pairwise(errors))


@pytest.mark.parametrize("name", NAMES)
def test_small_images_are_corrupted_too(corrupt, name):
    images = smooth(8, 8, 8, 1)
    errors = [squared(corrupt(images, name, severity, 0), images) for severity in SEVERITIES]
    assert 0 < errors[0] < errors[4]


@pytest.mark.parametrize("name", ["defocus_blur", "gaussian_blur", "motion_blur"])
def test_lengths_grow_with_the_images(corrupt, name):
    small = smooth(4, 32, 32, 1)
    large = small.repeat(4, axis=1).repeat(4, axis=2)
    errors = [squared(corrupt(images, name, 4, 0), images) for images in (small, large)]
    assert errors[1] == pytest.approx(errors[0], rel=0.6)


@pytest.mark.parametrize("name", NAMES)
def test_the_seed_decides(corrupt, name):
    images = smooth(4, 28, 28, 1)
    first, again, other = (corrupt(images, name, 3, seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert (name in RANDOM) == (first != other).any()


@pytest.mark.parametrize("name", NAMES)
def test_batches_and_order_do_not_matter(corrupt, module, monkeypatch, name):
    images = smooth(7, 28, 28, 3)
    whole = corrupt(images, name, 3, 0)
    parts = [corrupt(images[part], name, 3, 0) for part in (slice(0, 2), slice(2, 3), slice(3, 7))]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    np.testing.assert_array_equal(corrupt(images[::-1], name, 3, 0)[::-1], whole)
    monkeypatch.setattr(module, "_CHUNK", 2 * images[0].size)
    np.testing.assert_array_equal(corrupt(images, name, 3, 0), whole)


@pytest.mark.parametrize("name", RANDOM)
def test_images_differ_in_what_is_random(corrupt, name):
    images = plain(100, 2, 28, 28, 1)
    images[:, 10:18, 5:23] = 200
    images[1, 0, 0] += 1  # an equal image would be corrupted equally
    first, second = corrupt(images, name, 5, 0).astype(int)
    assert (abs(first - second) > 3).sum() > 10


@pytest.mark.parametrize("name", NAMES)
def test_no_images_give_none(corrupt, name):
    assert corrupt(plain(0, 0, 28, 28, 1), name, 1, 0).shape == (0, 28, 28, 1)


# Closed forms -------------------------------------------------------------------------------------


def test_gaussian_noise_has_its_deviation(corrupt):
    images = plain(128, 20, 32, 32, 1)
    for severity, deviation in zip(SEVERITIES[:3], (0.04, 0.08, 0.12), strict=True):
        noise = corrupt(images, "gaussian_noise", severity, 0).astype(float) - 128
        noise = np.unique(noise, axis=0)  # equal images have equal noise
        assert len(noise) == 1
        assert noise.std() == pytest.approx(255 * deviation, rel=0.08)
        assert abs(noise.mean()) < 4 * 255 * deviation / 32


def test_gaussian_noise_of_a_severity_is_that_of_another_scaled(corrupt):
    images = plain(128, 1, 32, 32, 1)
    weak, strong = (
        corrupt(images, "gaussian_noise", severity, 0).astype(float) - 128 for severity in (1, 2)
    )
    assert abs(strong - 2 * weak).max() <= 1.5


def test_shot_noise_has_the_variance_of_counts(corrupt):
    images = plain(51, 1, 100, 100, 1)  # a fifth of white, of 200 photons
    values = corrupt(images, "shot_noise", 1, 0) / 255
    assert values.mean() == pytest.approx(0.2, rel=0.02)
    assert values.var() == pytest.approx(0.2 / 200, rel=0.08)
    assert (corrupt(plain(0, 1, 28, 28, 1), "shot_noise", 5, 0) == 0).all()


def test_impulse_noise_makes_its_share_black_and_white(corrupt):
    images = plain(100, 1, 200, 200, 1)
    for severity, share in zip(SEVERITIES, (0.02, 0.05, 0.09, 0.15, 0.25), strict=True):
        values = corrupt(images, "impulse_noise", severity, 0)
        assert set(np.unique(values)) == {0, 100, 255}
        for extreme in (0, 255):
            count = int((values == extreme).sum())
            assert stats.binomtest(count, values.size, share / 2).pvalue > 1e-3


@pytest.mark.parametrize("name", ["defocus_blur", "gaussian_blur", "motion_blur"])
def test_blur_keeps_what_is_plain_and_spreads_a_point(corrupt, name):
    images = plain(77, 1, 28, 28, 3)
    np.testing.assert_array_equal(corrupt(images, name, 5, 0), images)
    point = plain(0, 1, 29, 29, 1)
    point[0, 14, 14] = 255
    spread = corrupt(point, name, 3, 0)[0, :, :, 0].astype(float)
    assert spread.sum() == pytest.approx(255, rel=0.1)
    np.testing.assert_allclose(spread, spread[::-1, ::-1], atol=1)  # symmetric about the point
    assert 3 <= (spread > 0).sum() < 100


def test_defocus_blur_is_the_mean_over_a_disk(module):
    disk = module._disk(3)
    assert disk.shape == (7, 7)
    assert disk.sum() == pytest.approx(1)
    assert disk[3, 3] == pytest.approx(1 / (np.pi * 9), rel=0.02)
    assert disk[0, 0] == 0


def test_motion_blur_is_the_mean_along_a_line(module):
    across, down = module._line(4, 0), module._line(4, np.pi / 2)
    np.testing.assert_allclose(across, down.T, atol=1e-12)
    assert across[2].sum() == pytest.approx(1)
    slanted = module._line(9, 0.7)
    assert slanted.sum() == pytest.approx(1)
    rows, columns = np.indices(slanted.shape) - len(slanted) // 2
    covariance = np.sum(slanted * rows * columns)
    assert covariance > 0
    assert np.sum(slanted * rows * rows) < np.sum(slanted * columns * columns)  # flatter than 45°


def test_gaussian_blur_is_that_of_scipy(corrupt):
    images = smooth(2, 28, 28, 1)
    expected = [ndimage.gaussian_filter(image.astype(float), (0.8, 0.8, 0)) for image in images]
    assert abs(corrupt(images, "gaussian_blur", 2, 0) - np.stack(expected)).max() <= 0.5 + 1e-6


def test_fog_mixes_a_bright_veil_in(corrupt):
    black, white = plain(0, 1, 28, 28, 1), plain(255, 1, 28, 28, 1)
    values = corrupt(black, "fog", 2, 0) / 255
    assert values.min() == pytest.approx(0.3 * 0.5, abs=0.002)
    assert values.max() == pytest.approx(0.3, abs=0.002)
    values = corrupt(white, "fog", 2, 0) / 255  # the thinner the veil, the darker
    assert values.min() == pytest.approx(1 - 0.3 * 0.5, abs=0.002)
    assert values.max() == 1
    colour = corrupt(plain(0, 1, 28, 28, 3), "fog", 5, 0)
    assert (colour == colour[..., :1]).all()


def test_clouds_are_smoother_than_noise(module):
    clouds = module._clouds(64, 40, [np.random.default_rng(seed) for seed in range(20)])
    assert clouds.shape == (20, 64, 40)
    np.testing.assert_array_equal(clouds.min((1, 2)), 0)
    np.testing.assert_array_equal(clouds.max((1, 2)), 1)
    steps = np.diff(clouds, axis=1)
    assert steps.std() < 0.5 * clouds.std()


def test_brightness_shifts_and_saturates(corrupt):
    images = smooth(2, 28, 28, 3)
    for severity in SEVERITIES:
        expected = np.minimum(images.astype(int) + 20 * severity, 255)
        np.testing.assert_array_equal(corrupt(images, "brightness", severity, 0), expected)


def test_contrast_scales_about_the_mean_of_each_channel(corrupt):
    images = smooth(2, 28, 28, 3)
    mean = images.mean((1, 2), keepdims=True)
    for severity, factor in zip(SEVERITIES, (0.75, 0.55, 0.4, 0.25, 0.15), strict=True):
        expected = mean + factor * (images - mean)
        assert abs(corrupt(images, "contrast", severity, 0) - expected).max() <= 0.5 + 1e-6


@pytest.mark.parametrize(("severity", "side"), [(3, 2), (5, 4)])
def test_pixelate_makes_blocks_of_their_means(corrupt, severity, side):
    images = smooth(3, 28, 32, 3)
    blocks = images.reshape(3, 28 // side, side, 32 // side, side, 3)
    means = np.broadcast_to(blocks.mean((2, 4), keepdims=True), blocks.shape)
    pixelated = corrupt(images, "pixelate", severity, 0)
    assert abs(pixelated - means.reshape(images.shape)).max() <= 0.5 + 1e-6


@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_is_that_of_pillow(corrupt, channels):
    images = smooth(2, 28, 28, channels)
    for image, corrupted in zip(images, corrupt(images, "jpeg_compression", 2, 0), strict=True):
        file = io.BytesIO()
        Image.fromarray(image.squeeze()).save(file, "JPEG", quality=35)
        np.testing.assert_array_equal(corrupted.squeeze(), np.asarray(Image.open(file)))


def test_elastic_transform_moves_pixels_by_its_distance(corrupt):
    rows = np.broadcast_to(8 * np.arange(28)[:, None, None], (28, 28, 1))
    ramps = rows[None].astype(np.uint8)  # each value says from which row it comes
    moved = corrupt(ramps, "elastic_transform", 3, 0).astype(float)[0, 5:-5] / 8
    distances = moved - np.arange(5, 23)[:, None, None]
    assert 0.6 < np.sqrt(np.mean(distances**2)) < 1.4  # 1 over the whole image
    assert abs(np.diff(distances, axis=0)).max() < 1.5  # neighbours move alike


# Refusals -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("images", "name", "severity", "seed", "message"),
    [
        (np.zeros((1, 8, 8, 1)), "fog", 1, 0, "uint8 of shape (n, H, W, 1) or (n, H, W, 3), got"),
        (plain(0, 8, 8, 1), "fog", 1, 0, "got uint8 (8, 8, 1); convert"),
        (plain(0, 1, 8, 8, 2), "fog", 1, 0, "got uint8 (1, 8, 8, 2)"),
        (plain(0, 1, 0, 8, 1), "fog", 1, 0, "images must have pixels, got shape (1, 0, 8, 1)"),
        (plain(0, 1, 8, 8, 1), "snow", 1, 0, "one of gaussian_noise, shot_noise, "),
        (plain(0, 1, 8, 8, 1), "fog", 0, 0, "severity must be 1, 2, 3, 4 or 5, got 0"),
        (plain(0, 1, 8, 8, 1), "fog", 6, 0, "severity must be 1, 2, 3, 4 or 5, got 6"),
        (plain(0, 1, 8, 8, 1), "fog", 1, -1, "seed must be at least 0, got -1"),
    ],
)
def test_what_cannot_be_corrupted_is_refused(corrupt, images, name, severity, seed, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        corrupt(images, name, severity, seed)
