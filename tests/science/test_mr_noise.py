"""Noise within the body equals the noise that was put in, whatever the air and the anatomy."""

from __future__ import annotations

import numpy as np
import pytest

from medqa.errors import NotApplicable
from medqa.metrics import mr_noise
from medqa.regions import Regions
from medqa.volume import Array
from tests.science.factories import make_image, make_series

SIZE = 160
Y, X = np.meshgrid(*(np.arange(SIZE) - SIZE // 2,) * 2, indexing="ij")
BODY = np.hypot(Y / 60, X / 46) < 1


def head(noise: float, *, masked: bool = False, seed: int = 0) -> Array:
    generator = np.random.default_rng(seed)
    clean = BODY * (400.0 + 40 * np.cos(Y / 6) * np.cos(X / 8))
    made = np.hypot(clean + noise * generator.standard_normal(BODY.shape), noise * generator.standard_normal(BODY.shape))
    return np.where(BODY | (not masked), made, 0).astype(np.float32)


def percent(array: Array) -> float:
    found = mr_noise.per_frame(Regions(make_image(array, modality="MR")))
    assert found is not None
    return float(found["percent"])


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("noise", [8.0, 16.0, 32.0])
def test_the_noise_that_was_put_in_is_found(noise: float, masked: bool) -> None:
    assert percent(head(noise, masked=masked)) == pytest.approx(100 * noise / 400, rel=0.06)


def test_gain_and_shading_do_not_matter() -> None:
    image = head(12.0)
    assert percent(image * np.float32(7.5)) == pytest.approx(percent(image), rel=1e-4)
    shaded = image * (1 + 0.3 * X / SIZE).astype(np.float32)
    assert percent(shaded) == pytest.approx(percent(image), rel=0.03)
    steep = image * np.exp(1.5 * X / SIZE).astype(np.float32)
    assert percent(steep) == pytest.approx(percent(image), rel=0.03)


def test_the_side_lobes_of_a_zipper_are_no_noise() -> None:
    image, generator = head(12.0), np.random.default_rng(4)
    distance = np.arange(SIZE) - 70.5
    # A frequency between two pixels reaches all columns and changes its sign from one to the next.
    lobes = np.sin(np.pi * distance) / (np.pi * distance)
    struck = np.abs(image + 800 * np.cos(2 * np.pi * generator.random((SIZE, 1))) * lobes).astype(np.float32)
    assert percent(struck) == pytest.approx(percent(image), rel=0.15)


def test_more_noise_reads_higher_although_it_hides_the_dim_tissue() -> None:
    signal = np.where(np.hypot(Y / 28, X / 28) < 1, 400.0, 120.0) * BODY
    read = [percent(magnitude(signal, noise)) for noise in (6.0, 12.0, 24.0, 48.0, 96.0)]
    assert (np.diff(read) > 0.1 * np.array(read[:-1])).all(), read


def magnitude(signal: Array, noise: float) -> Array:
    channels = noise * np.random.default_rng(1).standard_normal((2, *signal.shape))
    return np.hypot(signal + channels[0], channels[1]).astype(np.float32)


def test_a_pixel_counts_by_its_weight() -> None:
    generator = np.random.default_rng(2)
    values, weights = generator.random(301), generator.integers(0, 5, 301)
    assert mr_noise.weighted_median(values, weights) == pytest.approx(np.median(np.repeat(values, weights)), abs=0.01)
    assert mr_noise.weighted_median(values, np.ones(301)) == np.median(values)


@pytest.mark.parametrize("array", [np.zeros((64, 64)), np.full((64, 64), 7.0), np.full((64, 64), np.nan), head(8.0)[:12, :12]])
def test_what_shows_nothing_has_no_value(array: Array) -> None:
    made = np.asarray(array, dtype=np.float32)
    assert mr_noise.per_frame(Regions(make_image(made, modality="MR"))) is None
    with pytest.raises(NotApplicable):
        mr_noise.combine(make_series([made], modality="MR"), [None])


def test_rounding_is_not_taken_for_noise() -> None:
    assert mr_noise.per_frame(Regions(make_image(np.rint(head(0.1) / 100) * np.float32(100), modality="MR"))) is None
