"""The TTF of skin against edges of known blur."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from scipy.special import erf

from medqa.errors import NotApplicable
from medqa.metrics import ct_ttf
from medqa.reader import read
from medqa.regions import Regions
from tests.science.factories import make_image, make_series


def disc(deviation_mm: float, *, pixel_mm=(0.7, 0.7), size: int = 320, noise: float = 8.0, offset: float = 0.0) -> np.ndarray:
    """Return a disc of 50 HU in air whose edge is blurred by a Gaussian."""
    rng = np.random.default_rng(3)
    y, x = ((np.arange(size) - size / 2 + 0.3) * step for step in pixel_mm)
    radius = np.hypot(y[:, None], x[None, :])
    edge = 0.36 * size * min(pixel_mm)
    inside = 0.5 * (1 - erf((radius - edge) / (np.sqrt(2) * deviation_mm)))
    return (-1000 + 1050 * inside + rng.normal(0, noise, radius.shape) + offset).astype(np.float32)


def expected(deviation_mm: float) -> float:
    """Return where the transform of a Gaussian falls to a half: exp(-2 pi^2 s^2 f^2) = 1/2."""
    return float(np.sqrt(np.log(2) / (2 * np.pi**2)) / deviation_mm)


def f50(array: np.ndarray, pixel_mm=(0.7, 0.7)) -> float:
    partial = ct_ttf.per_frame(Regions(make_image(array, spacing_mm=pixel_mm)))
    assert partial is not None
    return partial["f50"]


@pytest.mark.parametrize("deviation_mm", [0.6, 0.9, 1.4, 2.0])
def test_a_gaussian_edge_has_the_transform_of_a_gaussian(deviation_mm: float) -> None:
    assert f50(disc(deviation_mm)) == pytest.approx(expected(deviation_mm), rel=0.06)


@pytest.mark.parametrize("pixel_mm", [(0.4, 0.4), (1.0, 1.0), (0.6, 0.9), (1.1, 0.7)])
def test_the_frequency_is_per_millimetre_whatever_the_pixels(pixel_mm: tuple[float, float]) -> None:
    made = disc(1.2, pixel_mm=pixel_mm)
    assert f50(made, pixel_mm) == pytest.approx(expected(1.2), rel=0.07)


def test_the_same_pixels_said_to_be_twice_as_large_have_half_the_frequency() -> None:
    made = disc(0.7, pixel_mm=(0.5, 0.5))
    assert f50(made, (1.0, 1.0)) == pytest.approx(f50(made, (0.5, 0.5)) / 2, rel=0.05)


def test_blur_adds_in_squares() -> None:
    blurred = ndimage.gaussian_filter(disc(0.8), 1.0 / 0.7)
    assert f50(blurred) == pytest.approx(expected(np.hypot(0.8, 1.0)), rel=0.06)


@settings(max_examples=8, deadline=None)
@given(st.floats(-20, 40))
def test_a_constant_offset_changes_nothing(offset: float) -> None:
    assert f50(disc(1.0, offset=offset)) == pytest.approx(f50(disc(1.0)), rel=0.02)


@pytest.mark.parametrize("turn", [lambda a: a[::-1], lambda a: a[:, ::-1], lambda a: np.rot90(a), lambda a: a.T])
def test_turned_and_mirrored_it_stays(turn) -> None:
    made = disc(1.0)
    assert f50(np.ascontiguousarray(turn(made))) == pytest.approx(f50(made), rel=0.03)


def test_noise_moves_it_little() -> None:
    assert f50(disc(1.0, noise=40.0)) == pytest.approx(f50(disc(1.0, noise=2.0)), rel=0.06)


def test_skull_under_the_skin_does_not_count() -> None:
    size, pixel_mm = 320, 0.7
    y, x = np.mgrid[:size, :size] - size / 2 + 0.3
    depth = 0.36 * size * pixel_mm - np.hypot(y, x) * pixel_mm
    bone = 900 * 0.5 * (erf((depth - 7) / 1.4) - erf((depth - 13) / 1.4))
    assert f50(disc(0.9) + bone.astype(np.float32)) == pytest.approx(expected(0.9), rel=0.06)


@pytest.mark.parametrize(
    "array",
    [
        np.full((128, 128), -1000.0),
        np.full((128, 128), 50.0),
        np.full((128, 128), np.nan),
        np.random.default_rng(0).normal(40, 20, (128, 128)),
        np.zeros((1, 1)),
        np.zeros((2, 700)),
    ],
)
def test_without_skin_against_air_it_does_not_apply(array: np.ndarray) -> None:
    series = make_series([array])
    partials = [ct_ttf.per_frame(Regions(frame.read())) for frame in series.frames]
    with pytest.raises(NotApplicable) as caught:
        ct_ttf.combine(series, partials)
    assert caught.value.values["reason"] == "no_skin"


def test_the_median_over_the_frames_is_told_per_millimetre() -> None:
    series = make_series([disc(0.8), disc(1.0), disc(2.0), np.full((320, 320), -1000.0)], spacing_mm=(0.7, 0.7))
    measured = ct_ttf.combine(series, [ct_ttf.per_frame(Regions(frame.read())) for frame in series.frames])
    assert measured.value == pytest.approx(expected(1.0), rel=0.06)
    assert (measured.unit.value, measured.limits) == ("/mm", None)


def test_kernels_of_real_scans_come_in_the_order_of_their_sharpness(data, real_series) -> None:
    measured = {}
    for name in ("tcga_92_7341", "cmbcrc_01068"):  # B20f, LUNG
        (series,) = read(data / "ct" / f"{name}.zip").series
        measured[name] = ct_ttf.combine(series, [ct_ttf.per_frame(Regions(frame.read())) for frame in series.frames]).value
        real_series.append(name)
    # Published for soft kernels: 0.30 +- 0.02 /mm (Sanders, Ding, Samei 2016).
    assert measured["tcga_92_7341"] == pytest.approx(0.30, abs=0.05)
    assert measured["cmbcrc_01068"] > 0.45
