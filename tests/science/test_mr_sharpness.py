"""Edges of known width: a step blurred by a Gaussian is 1 / (sigma sqrt(2 pi)) sharp."""

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
SIZE, MARGIN, TILE = 272, 40, 64
"""Pixels: tiles of 32 mm, wider than a window."""


def measured(arrays, spacing_mm: tuple[float, float] = (PIXEL_MM, PIXEL_MM), **values) -> float:
    series = make_series(arrays, modality="MR", spacing_mm=spacing_mm, **values)
    return mr_sharpness.combine(series, [mr_sharpness.per_frame(Regions(frame.read())) for frame in series.frames]).value


def tiles(sigma: float | tuple[float, float], *, noise: float = 0.0) -> np.ndarray:
    """Return a square body of bright and less bright tiles of 32 mm, blurred by a Gaussian of `sigma` pixels: one edge a window."""
    from scipy import ndimage

    rows, columns = (np.mgrid[:SIZE, :SIZE] - MARGIN) // TILE
    made = np.where((rows + columns) % 2, 1000.0, 500.0)
    made[:MARGIN], made[-MARGIN:], made[:, :MARGIN], made[:, -MARGIN:] = 0, 0, 0, 0
    made = ndimage.gaussian_filter(made, sigma)
    real, imaginary = np.random.default_rng(1).normal(0, noise, (2, SIZE, SIZE))
    return np.hypot(made + real, imaginary).astype(np.float32)


def expected(sigma: float) -> float:
    """Return the sharpness of a step in 1/mm, with the metric's own smoothing and the difference of two pixels."""
    return 1 / (math.sqrt(2 * math.pi * (sigma**2 + mr_sharpness.SMOOTHING**2 + 1 / 12)) * PIXEL_MM)


@pytest.mark.parametrize("sigma", [1.0, 1.5, 2.0, 2.5])
def test_a_blurred_step_has_the_sharpness_of_its_gaussian(sigma: float) -> None:
    # Edges that the border of a window cuts through read a little sharper.
    assert 1.0 < measured([tiles(sigma)]) / expected(sigma) < 1.12
    assert measured([tiles(sigma)]) / measured([tiles(1.0)]) == pytest.approx(expected(sigma) / expected(1.0), rel=0.03)
    # The wider the edge against the pixel, the nearer to 1 / (sigma sqrt(2 pi)).
    assert expected(sigma) == pytest.approx(1 / (sigma * PIXEL_MM * math.sqrt(2 * math.pi)), rel=0.3 / sigma**2)


def test_twice_the_pixel_is_half_as_sharp_per_millimetre() -> None:
    once = measured([tiles(1.2)], (0.5, 0.5))
    assert measured([tiles(1.2)], (1.0, 1.0)) == pytest.approx(once / 2, rel=0.04)


def test_widths_of_both_axes_add_as_squares() -> None:
    each = {sigma: measured([tiles(sigma)]) for sigma in (1.0, 2.5)}
    both = 1 / math.sqrt((each[1.0] ** -2 + each[2.5] ** -2) / 2)
    assert measured([tiles((1.0, 2.5))]) == pytest.approx(both, rel=0.03)
    assert measured([tiles((2.5, 1.0))]) == pytest.approx(both, rel=0.03)
    assert both < 0.65 * each[1.0]


def test_each_axis_has_its_own_pixels() -> None:
    # Along the columns the same edges are twice as wide in mm.
    along, across = measured([tiles(2.0)]), measured([tiles(2.0)]) / 2
    assert measured([tiles(2.0)], (0.5, 1.0)) == pytest.approx(1 / math.sqrt((along**-2 + across**-2) / 2), rel=0.05)


@pytest.mark.parametrize("apart_mm", [6, 9])
def test_a_doubled_contour_is_softer_however_sharp_each_half_is(apart_mm: int) -> None:
    plain = tiles(1.0)
    shift = round(apart_mm / PIXEL_MM)
    doubled = (plain + np.roll(plain, (shift, shift), axis=(0, 1))) / 2
    # Twice as wide in the windows that hold both halves, as wide as before in those with one, which weigh root 2 less.
    both, one = (mr_sharpness.WINDOW_MM - apart_mm) / math.sqrt(2), 2 * apart_mm / 2
    assert measured([doubled]) / measured([plain]) == pytest.approx(2 ** (-both / (both + one)), rel=0.1)


def test_it_falls_with_a_slow_drift_that_doubles_ever_more_contours() -> None:
    plain = tiles(1.0)
    values = [
        measured([sum(np.roll(plain, (6 * n, 6 * n), axis=(0, 1)) for n in range(copies)) / copies]) for copies in range(1, 5)
    ]
    assert (np.diff(values) < 0).all()


def test_noise_is_not_sharp() -> None:
    assert measured([tiles(2.0, noise=60)]) < measured([tiles(2.0)])


def test_it_falls_with_the_share_of_k_space_that_is_cut_hard() -> None:
    spectrum = np.fft.fftshift(np.fft.fft2(tiles(0.5, noise=10)))
    frequency = np.abs(np.arange(SIZE) - SIZE // 2) / (SIZE / 2)
    cut = [np.abs(np.fft.ifft2(np.fft.ifftshift(spectrum * (frequency <= kept)[:, None]))) for kept in (1.0, 0.6, 0.45, 0.3, 0.2)]
    assert (np.diff([measured([array]) for array in cut]) < 0).all()


def test_shading_and_contrast_change_little() -> None:
    plain = measured([tiles(1.5)])
    shading = np.exp(np.linspace(-0.3, 0.3, SIZE))
    assert measured([tiles(1.5) * shading[:, None]]) == pytest.approx(plain, rel=0.03)
    assert measured([tiles(1.5) + 0.3 * tiles(1.5).mean()]) == pytest.approx(plain, rel=0.03)


def test_one_bright_line_does_not_decide() -> None:
    lined = tiles(2.0)
    lined[:, SIZE // 2] += 3000
    assert measured([lined]) == pytest.approx(measured([tiles(2.0)]), rel=0.12)


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
