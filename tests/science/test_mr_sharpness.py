"""Edges of known width: a step blurred by a Gaussian is 1 / (sigma sqrt(2 pi)) steep for its height."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medqa.errors import NotApplicable
from medqa.metrics import mr_sharpness
from medqa.regions import Regions
from tests.science.factories import make_series, mr_head

PIXEL_MM = 0.5


def measured(arrays, spacing_mm: tuple[float, float] = (PIXEL_MM, PIXEL_MM), **values) -> float:
    series = make_series(arrays, modality="MR", spacing_mm=spacing_mm, **values)
    return mr_sharpness.combine(series, [mr_sharpness.per_frame(Regions(frame.read())) for frame in series.frames]).value


def tiles(sigma: float | tuple[float, float], *, size: int = 256, tile: int = 48, noise: float = 0.0) -> np.ndarray:
    """Return a square body of bright and less bright tiles, blurred by a Gaussian of `sigma` pixels."""
    from scipy import ndimage

    rows, columns = np.mgrid[:size, :size] // tile
    made = np.where((rows + columns) % 2, 1000.0, 500.0)
    edge = size // 10
    made[:edge], made[-edge:], made[:, :edge], made[:, -edge:] = 0, 0, 0, 0
    made = ndimage.gaussian_filter(made, sigma)
    real, imaginary = np.random.default_rng(1).normal(0, noise, (2, size, size))
    return np.hypot(made + real, imaginary).astype(np.float32)


def expected(sigma: float) -> float:
    """Return the steepness of a step, with the metric's own smoothing and the difference over two pixels, in 1/mm."""
    whole = math.hypot(sigma, mr_sharpness.SMOOTHING)
    return math.erf(1 / (whole * math.sqrt(2))) / 2 / PIXEL_MM


@pytest.mark.parametrize("sigma", [1.0, 1.5, 2.0, 2.5])
def test_a_blurred_step_has_the_steepness_of_its_gaussian(sigma: float) -> None:
    assert measured([tiles(sigma)]) == pytest.approx(expected(sigma), rel=0.06)
    # The wider the edge against the pixel, the nearer to 1 / (sigma sqrt(2 pi)).
    assert expected(sigma) == pytest.approx(1 / (sigma * PIXEL_MM * math.sqrt(2 * math.pi)), rel=0.45 / sigma**2)


def test_twice_the_pixel_is_half_as_steep_per_millimetre() -> None:
    once = measured([tiles(1.2)], (1.0, 1.0))
    assert measured([tiles(1.2)], (2.0, 2.0)) == pytest.approx(once / 2, rel=0.05)


def test_the_softer_axis_decides() -> None:
    assert measured([tiles((1.0, 2.5))]) == pytest.approx(expected(2.5), rel=0.08)
    assert measured([tiles((2.5, 1.0))]) == pytest.approx(expected(2.5), rel=0.08)


def test_each_axis_has_its_own_pixels() -> None:
    # 2 pixels of 0.5 mm along the columns are wider than 1 pixel of 0.5 mm, and narrower than 2 of 1 mm along the rows.
    assert measured([tiles(2.0)], (0.5, 1.0)) == pytest.approx(expected(2.0) / 2, rel=0.1)


def test_shading_and_contrast_change_little() -> None:
    plain = measured([tiles(1.5)])
    shading = np.exp(np.linspace(-0.3, 0.3, 256))
    assert measured([tiles(1.5) * shading[:, None]]) == pytest.approx(plain, rel=0.06)
    assert measured([tiles(1.5) + 0.3 * tiles(1.5).mean()]) == pytest.approx(plain, rel=0.08)


def test_one_bright_line_does_not_decide() -> None:
    lined = tiles(2.0)
    lined[:, 128] += 3000
    assert measured([lined]) == pytest.approx(measured([tiles(2.0)]), rel=0.06)


def test_it_falls_strictly_with_blur_also_in_noise() -> None:
    values = [measured([tiles(sigma, noise=15)]) for sigma in (0.8, 1.2, 1.8, 2.5)]
    assert (np.diff(values) < 0).all()


@settings(max_examples=6, deadline=None)
@given(st.floats(0.01, 100.0), st.booleans())
def test_units_and_the_axes_names_change_nothing(gain: float, swapped: bool) -> None:
    changed = tiles((1.0, 2.0)) * np.float32(gain)
    assert measured([changed.T if swapped else changed]) == pytest.approx(measured([tiles((1.0, 2.0))]), rel=0.01)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((64, 64)),
        np.full((64, 64), np.nan),
        np.full((64, 64), 7.0),
        np.ones((1, 1)),
        mr_head(np.random.default_rng(1), size=12),
    ],
    ids=["zero", "nan", "constant", "one pixel", "tiny"],
)
def test_where_there_are_no_edges_there_is_no_value(array: np.ndarray) -> None:
    with pytest.raises(NotApplicable) as caught:
        measured([array])
    assert caught.value.values["reason"] == "no_body"
