"""Detectability from the noise and the edge that a series shows, against a disc whose noise and blur are known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from scipy.special import erf

from medqa.errors import NotApplicable
from medqa.metrics.full_reference import Disc, detectability, measured, prewhitened_detectability
from tests.science.factories import make_series

PIXEL_MM = 0.7
SIZE = 320
BLUR_MM = 0.9
LESION = Disc(diameter_mm=4.0, contrast=20.0)


def frames(noise_hu: float = 10.0, *, blur_mm: float = BLUR_MM, count: int = 4, grain_pixels: float = 0.0) -> list[np.ndarray]:
    """A cylinder of soft tissue in air: a Gaussian edge, and noise that is white or averaged by a Gaussian."""
    y, x = (np.mgrid[:SIZE, :SIZE] - SIZE / 2 + 0.3) * PIXEL_MM
    inside = 0.5 * (1 - erf((np.hypot(y, x) - 80.0) / (np.sqrt(2) * blur_mm)))
    made = []
    for seed in range(count):
        noise = np.random.default_rng(seed).normal(size=(SIZE, SIZE))
        if grain_pixels:
            noise = ndimage.gaussian_filter(noise, grain_pixels, mode="wrap")
        made.append((-1000 + 1050 * inside + noise_hu * noise / noise.std()).astype(np.float32))
    return made


def series(**values: float):
    return make_series(frames(**values), spacing_mm=(PIXEL_MM, PIXEL_MM))


def white(noise_hu: float):
    return lambda frequency: np.full_like(frequency, noise_hu**2 * PIXEL_MM**2)


def gaussian(blur_mm: float):
    return lambda frequency: np.exp(-2 * (np.pi * blur_mm * frequency) ** 2)


@pytest.mark.parametrize("blur_mm", [0.7, 1.3])
def test_both_observers_find_what_known_noise_and_blur_leave_of_a_disc(blur_mm: float) -> None:
    found = measured(series(blur_mm=blur_mm))
    known = {"nps": white(10.0), "ttf": gaussian(blur_mm), "highest_per_mm": 0.5 / PIXEL_MM}
    assert found.highest_per_mm == pytest.approx(known["highest_per_mm"])
    assert found.detectability(LESION).value == pytest.approx(detectability(LESION, **known).value, rel=0.06)
    assert found.prewhitened(LESION).value == pytest.approx(prewhitened_detectability(LESION, **known).value, rel=0.06)


def test_a_sharp_edge_in_white_noise_gives_contrast_times_the_root_of_the_pixels_over_the_noise() -> None:
    """A wide disc loses little to a narrow blur: what is left is the closed form of a unit transfer function."""
    wide = Disc(diameter_mm=14.0, contrast=5.0)
    closed = 5.0 * np.sqrt(np.pi * 7.0**2 / PIXEL_MM**2) / 10.0
    assert measured(series(blur_mm=0.45)).prewhitened(wide).value == pytest.approx(closed, rel=0.08)


def test_twice_the_noise_is_half_the_index_and_a_constant_changes_nothing() -> None:
    plain, doubled = (measured(series(noise_hu=noise)).detectability(LESION).value for noise in (8.0, 16.0))
    assert doubled == pytest.approx(plain / 2, rel=0.03)
    shifted = make_series([frame + 15 for frame in frames(8.0)], spacing_mm=(PIXEL_MM, PIXEL_MM))
    assert measured(shifted).detectability(LESION).value == pytest.approx(plain, rel=0.02)


def test_grain_as_coarse_as_the_lesion_hides_it_more_than_fine_grain_of_the_same_deviation() -> None:
    fine, coarse = (measured(series(grain_pixels=grain)) for grain in (0.0, 1.5))
    assert coarse.detectability(LESION).value < 0.5 * fine.detectability(LESION).value
    assert coarse.prewhitened(LESION).value > coarse.detectability(LESION).value


def test_without_skin_or_soft_tissue_or_a_size_of_pixels_there_is_no_index() -> None:
    tissue = [np.random.default_rng(0).normal(40, 10, (128, 128)).astype(np.float32) for _ in range(3)]
    with pytest.raises(NotApplicable, match="no_skin"):
        measured(make_series(tissue))
    with pytest.raises(NotApplicable, match="no_soft_tissue"):
        measured(make_series([np.full((128, 128), -1000, np.float32)] * 3))
    with pytest.raises(NotApplicable, match="header_silent"):
        measured(make_series(tissue, spacing_mm=None))
