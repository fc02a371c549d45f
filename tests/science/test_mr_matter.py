"""Noise and profile are taken off where they are known, and nothing else is."""

from __future__ import annotations

import numpy as np
import pytest

from medqa.metrics import mr_matter
from medqa.metrics.mr_head import blocks, brain_place
from medqa.regions import Regions
from tests.science.factories import make_series
from tests.science.mr_factories import heads

MASK = np.ones((96, 96), dtype=bool)


def halves(noise: float, seed: int = 1) -> np.ndarray:
    """Two levels side by side, 500 and 700."""
    image = np.where(np.arange(96) < 48, 500.0, 700.0) * np.ones((96, 1))
    return (image + np.random.default_rng(seed).normal(0, noise, image.shape)).astype(np.float32)


@pytest.mark.parametrize("noise", [5.0, 20.0, 60.0])
def test_noise_is_known_beside_edges(noise: float) -> None:
    assert mr_matter.noise(halves(noise), MASK) == pytest.approx(noise, rel=0.1)


@pytest.mark.parametrize("noise", [20.0, 60.0])
def test_noise_goes_and_the_edge_stays(noise: float) -> None:
    made = mr_matter.denoised(halves(noise), MASK)
    assert made[:, 4:44].std() < 0.65 * noise
    # Five columns on either side of the edge, of which a mean over neighbours would make a slope.
    left, right = made[:, 45:48].mean(), made[:, 48:51].mean()
    assert right - left > 0.85 * 200


def test_nothing_is_taken_off_where_there_is_no_noise() -> None:
    image = halves(0.0)
    assert np.array_equal(mr_matter.denoised(image, MASK), image)


def test_missing_values_stay_alone() -> None:
    image = halves(20.0)
    image[10:12, 10:12] = np.nan
    mask = MASK & np.isfinite(image)
    made = mr_matter.denoised(image, mask)
    assert np.isfinite(made[mask]).all()
    assert made[mask].mean() == pytest.approx(600, rel=0.01)


@pytest.mark.parametrize("strength", [0.1, 0.4, 0.8])
def test_a_profile_is_found_among_folds(strength: float) -> None:
    y, x = (np.mgrid[:96, :96] / 47.5) - 1
    known = strength * (x - 0.6 * y + 0.4 * x * y - 0.5 * x * x)
    # Folds, and fluid in one of eight.
    rows, columns = np.mgrid[:96, :96] // 4
    pattern = (3 * rows + 5 * columns) % 8
    levels = np.select([pattern < 4, pattern < 7], [700.0, 500.0], 200.0)
    logs = np.log(levels * np.random.default_rng(2).normal(1, 0.02, levels.shape) / 600) + known
    found = mr_matter.profile((logs - np.median(logs)).ravel(), MASK)
    wrong = found - (known - np.median(known)).ravel()
    assert wrong.std() < 0.1 * known.std() + 0.01


def test_blocks_are_means_and_mean_squares() -> None:
    array = np.random.default_rng(1).normal(100, 20, (11, 14)).astype(np.float32)
    means, squares = blocks(array, 3)
    assert means.shape == squares.shape == (3, 4)
    assert means[1, 2] == pytest.approx(array[3:6, 6:9].mean(), rel=1e-6)
    assert squares[1, 2] == pytest.approx(np.square(array[3:6, 6:9]).mean(), rel=1e-6)


@pytest.mark.parametrize("noise", [20.0, 150.0, 250.0])
def test_a_skull_is_as_dark_in_noise(noise: float) -> None:
    (frame,) = make_series(heads(1, noise=noise), modality="MR", spacing_mm=(1.7, 1.7)).frames
    assert brain_place(Regions(frame.read())) is not None


def test_values_without_brightness_are_none() -> None:
    (frame,) = make_series(heads(1), modality="MR", spacing_mm=(1.7, 1.7)).frames
    place = brain_place(Regions(frame.read()))
    assert place is not None
    place.means[:] = 0
    assert mr_matter.evened(place).size == 0
