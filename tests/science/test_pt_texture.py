"""Noise grain: the filter that made it, in mm, whatever the noise's level and the pixels' size."""

from __future__ import annotations

import numpy as np
import pytest

from medqa.metrics import pt_texture
from medqa.metrics.pt_texture import expected
from tests.science.pt_factories import grain, measured, refusal, series_of

SIZE = 96


def scan(fwhm_mm: float, *, pixel_mm: float = 4.0, cov: float = 0.1, slices: int = 8, seed: int = 0) -> list[np.ndarray]:
    """Return discs of activity with filtered noise; the body keeps its size in pixels."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIZE, :SIZE] - SIZE / 2
    body = np.hypot(x, y) < 40
    return [body * (1 + cov * one) for one in grain(rng, (slices, SIZE, SIZE), fwhm_mm, pixel_mm)]


def width(volume: list[np.ndarray], pixel_mm: float = 4.0, **values: float) -> float:
    found = measured(pt_texture.METRIC, series_of(volume, pixel_mm=pixel_mm, **values))
    assert (found.unit.value, found.limits) == ("mm", None)
    return found.value


@pytest.mark.parametrize("fwhm_mm", [6.0, 8.0, 10.0, 12.0])
def test_the_width_is_that_of_the_filter(fwhm_mm: float) -> None:
    assert width(scan(fwhm_mm)) == pytest.approx(fwhm_mm, rel=0.08)


@pytest.mark.parametrize("pixel_mm", [2.0, 3.0, 5.0])
def test_the_width_is_in_millimetres(pixel_mm: float) -> None:
    assert width(scan(8.0, pixel_mm=pixel_mm), pixel_mm) == pytest.approx(8.0, rel=0.08)


def test_rows_and_columns_of_different_size_are_measured_each_in_mm() -> None:
    """The same grain in pixels on pixels twice as tall: 8 mm across, 16 mm down, 12 mm in the mean."""
    series = series_of(scan(8.0), spacing_mm=(8.0, 4.0))
    assert measured(pt_texture.METRIC, series).value == pytest.approx(12.0, rel=0.15)


@pytest.mark.parametrize("cov", [0.02, 0.3])
def test_the_level_of_the_noise_does_not_matter(cov: float) -> None:
    assert width(scan(8.0, cov=cov)) == pytest.approx(width(scan(8.0)), rel=0.03)
    assert width(scan(8.0), scale=5.0) == pytest.approx(width(scan(8.0)), rel=0.01)


def test_a_smoother_reconstruction_has_wider_grain() -> None:
    rough, smooth = scan(6.0), scan(6.0)
    from scipy import ndimage

    y, x = np.mgrid[:SIZE, :SIZE] - SIZE / 2
    inside = np.hypot(x, y) < 40
    smooth = [inside * ndimage.gaussian_filter(1 + 0.1 * one, 2.0) for one in grain(np.random.default_rng(0), (8, SIZE, SIZE), 6.0)]
    assert width(smooth) == pytest.approx(np.hypot(6.0, 2.0 * 4 * 2.355), rel=0.15)  # over half a window wide
    assert width(smooth) > 2 * width(rough)


def test_organs_with_borders_widen_it_a_little_only() -> None:
    y, x = np.mgrid[:SIZE, :SIZE] - SIZE / 2
    organs = 1 + 1.0 * (np.hypot(x + 15, y) < 14) + 0.5 * (np.hypot(x - 18, y - 5) < 9)
    assert width([organs * one for one in scan(8.0)]) == pytest.approx(8.0, rel=0.12)


def test_the_formula_holds_for_noise_without_any_correlation() -> None:
    assert expected(0.1, (4.0, 4.0), (8, 8), 0) == pytest.approx(64 / 63)
    assert expected(3.0, (4.0, 4.0), (8, 8), 0) > expected(6.0, (4.0, 4.0), (8, 8), 0) > 0


def test_grain_finer_than_a_pixel_has_no_width() -> None:
    y, x = np.mgrid[:SIZE, :SIZE] - SIZE / 2
    white = [(np.hypot(x, y) < 40) * (1 + 0.1 * np.random.default_rng(seed).normal(size=(SIZE, SIZE))) for seed in range(4)]
    assert refusal(pt_texture.METRIC, series_of(white)) == "coarse_pixels"


def test_bad_input_has_no_value() -> None:
    for one in (np.zeros((64, 64)), np.full((64, 64), np.nan), np.ones((64, 64)), np.ones((4, 4))):
        assert refusal(pt_texture.METRIC, series_of([one] * 4)) == "no_body"
    assert refusal(pt_texture.METRIC, series_of(scan(8.0, slices=4), spacing_mm=None)) in ("header_silent", "no_body")
