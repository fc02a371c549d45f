"""The blur effect against its definition, known lines and another implementation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import ndimage

from medqa.errors import NotApplicable
from medqa.metrics import ct_sharpness
from medqa.regions import Regions
from tests.science.factories import ct_body, make_series


def blur(array: np.ndarray) -> float:
    series = make_series([array])
    return ct_sharpness.METRIC.measure(series, [ct_sharpness.per_frame(Regions(series.frames[0].read()))])[0].value


def of_lines(lines: np.ndarray) -> float:
    sharp, left = ct_sharpness.differences(lines.astype(np.float32))
    return left / sharp


def organs(noise: float, sigma: float) -> np.ndarray:
    """Organs in a body, blurred by a Gaussian of `sigma` pixels, under noise that is not blurred."""
    rng = np.random.default_rng(5)
    shapes = np.where(ndimage.gaussian_filter(rng.normal(size=(256, 256)), 10) > 0, 60.0, 0.0)
    image = ct_body(rng, 0.0) + shapes
    image = ndimage.gaussian_filter(image, sigma) if sigma else image
    return (image + rng.normal(0, noise, image.shape)).astype(np.float32)


def test_a_step_a_ramp_and_noise_have_their_known_values() -> None:
    step = np.repeat((np.arange(64) >= 32).astype(float)[None], 4, axis=0)
    assert of_lines(step) == pytest.approx(1 / 9)
    assert of_lines(np.repeat(np.arange(64.0)[None], 4, axis=0)) == pytest.approx(1)
    noise = np.random.default_rng(0).normal(size=(400, 400))
    assert of_lines(noise) == pytest.approx(1 + 1 / 9 - math.hypot(1, 1 / 9), rel=0.01)


@pytest.mark.parametrize("width", [3, 6, 9, 18])
def test_an_edge_of_a_width_is_told_by_its_width(width: int) -> None:
    # Over a ramp of w <= 9 pixels each step is 1/w, and that of the mean at least 1/9 of what lies within its reach.
    ramp = np.clip((np.arange(96) - 40) / width, 0, 1)
    mean = ndimage.uniform_filter1d(ramp, 9)
    sharp, blurred = np.abs(np.diff(ramp))[8:-8], np.abs(np.diff(mean))[8:-8]
    assert of_lines(np.repeat(ramp[None], 3, axis=0)) == pytest.approx(
        (sharp - np.maximum(0, sharp - blurred)).sum() / sharp.sum(), rel=1e-4
    )


def test_it_is_the_definition_of_the_paper() -> None:
    lines = organs(8.0, 1.0)
    blurred = ndimage.uniform_filter1d(lines.astype(np.float64), 9, axis=1)
    inner = slice(4, -4)
    sharp, soft = np.abs(np.diff(lines.astype(np.float64)[:, inner])), np.abs(np.diff(blurred[:, inner]))
    assert of_lines(lines) == pytest.approx((sharp.sum() - np.maximum(0, sharp - soft).sum()) / sharp.sum(), rel=1e-4)


def test_more_blur_is_more_and_scikit_image_says_so_too() -> None:
    from skimage.measure import blur_effect

    images = [organs(0.0, sigma) for sigma in (0.0, 0.8, 1.5, 3.0)]
    mine = [blur(image) for image in images]
    theirs = [blur_effect(np.clip(image, -160, 240), h_size=9) for image in images]
    assert mine == sorted(mine)
    assert theirs == sorted(theirs)
    # Theirs takes differences by a Sobel filter, whose own blur shows where there is no other.
    assert mine[2:] == pytest.approx(theirs[2:], abs=0.1)


def test_noise_counts_as_sharpness_and_its_scale_does_not_matter() -> None:
    assert blur(organs(20.0, 1.5)) < blur(organs(5.0, 1.5)) < blur(organs(0.0, 1.5))
    lines = organs(8.0, 1.0)
    assert of_lines(2 * lines + 7) == pytest.approx(of_lines(lines), rel=1e-4)


def test_a_constant_within_the_window_hardly_matters() -> None:
    assert blur(organs(8.0, 1.0) + 20) == pytest.approx(blur(organs(8.0, 1.0)), rel=0.05)


def test_what_lies_outside_the_body_does_not_matter() -> None:
    image = organs(8.0, 1.5)
    with_table = image.copy()
    with_table[-6:-2] = 200.0
    with_table[2:6, ::5] = 150.0
    assert blur(with_table) == pytest.approx(blur(image), rel=1e-3)


def test_only_differences_between_two_pixels_inside_count() -> None:
    lines = organs(8.0, 1.0)[:40]
    inside = np.zeros(lines.shape, dtype=bool)
    inside[:, 60:190] = True
    # Lines end four pixels before the ends of what is cut out: they give the mean its reach.
    assert ct_sharpness.differences(lines, inside) == pytest.approx(ct_sharpness.differences(lines[:, 56:194]), rel=1e-5)


def test_the_worse_direction_counts() -> None:
    rows = ndimage.uniform_filter1d(organs(8.0, 0.0), 7, axis=1)
    columns = ndimage.uniform_filter1d(organs(8.0, 0.0), 7, axis=0)
    assert blur(rows) > 1.5 * blur(organs(8.0, 0.0))
    assert blur(columns) == pytest.approx(blur(rows), rel=0.2)


@pytest.mark.parametrize(
    "array", [np.full((128, 128), -1000.0), np.full((64, 64), np.nan), np.full((64, 64), 40.0), np.full((1, 40), 40.0)]
)
def test_nothing_to_see_has_no_blur(array: np.ndarray) -> None:
    with pytest.raises(NotApplicable):
        blur(array)
