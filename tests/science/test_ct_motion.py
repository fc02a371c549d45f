"""Motion: contours doubled by a known distance, and blur that is none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from scipy.special import erf

from medqa.errors import NotApplicable
from medqa.metrics import ct_motion, skin
from medqa.reader import read
from medqa.regions import Regions
from tests.science.factories import make_image, make_series

SIZE = 320


def body(shift_mm: float = 0.0, share: float = 0.4, *, pixel_mm=(0.7, 0.7), blur_mm: float = 0.7, noise: float = 8.0) -> np.ndarray:
    """Return an ellipse of 40 HU, `share` of which is displaced along x: its contours are doubled on the left and the right."""
    rng = np.random.default_rng(2)
    y, x = ((np.arange(SIZE) - SIZE / 2) * step for step in pixel_mm)

    def ellipse(offset: float) -> np.ndarray:
        half = 0.36 * SIZE * min(pixel_mm)
        across, down = (x - offset)[None, :] / half, y[:, None] / (0.8 * half)
        radius = np.maximum(np.hypot(across, down), 1e-6)
        # The distance from an ellipse, good to a percent near its rim.
        slope = np.maximum(np.hypot(across / half, down / (0.8 * half)), 1e-9) / radius
        return 0.5 * (1 - erf((radius - 1) / slope / (np.sqrt(2) * blur_mm)))

    inside = (1 - share) * ellipse(0.0) + share * ellipse(shift_mm)
    return (-1000 + 1040 * inside + rng.normal(0, noise, inside.shape)).astype(np.float32)


def partial_of(array: np.ndarray, pixel_mm=(0.7, 0.7)):
    found = ct_motion.per_frame(Regions(make_image(array, spacing_mm=pixel_mm)))
    assert found is not None
    return found


@pytest.mark.parametrize("shift_mm", [4.0, 6.0, 8.0])
@pytest.mark.parametrize("share", [0.4, 0.5, 0.6])
def test_a_contour_doubled_at_a_distance_is_found_at_that_distance(shift_mm: float, share: float) -> None:
    assert partial_of(body(shift_mm, share))["extent"] == pytest.approx(shift_mm, rel=0.15)


@pytest.mark.parametrize("pixel_mm", [(0.5, 0.5), (0.9, 0.9), (0.6, 0.8), (0.9, 0.7)])
def test_the_extent_is_in_millimetres_whatever_the_pixels(pixel_mm: tuple[float, float]) -> None:
    assert partial_of(body(6.0, pixel_mm=pixel_mm), pixel_mm)["extent"] == pytest.approx(6, rel=0.15)


def test_the_same_pixels_said_to_be_half_as_large_have_half_the_extent() -> None:
    made = body(6.0)
    half, whole = (partial_of(made, (size, size)) for size in (0.5, 1.0))
    assert half["extent"] == pytest.approx(whole["extent"] / 2, rel=0.05)
    assert half["index"] == pytest.approx(whole["index"] / 2, rel=0.1)


def test_the_farther_the_displacement_the_larger_the_index() -> None:
    found = [partial_of(body(shift))["index"] for shift in (0.0, 2.0, 4.0, 6.0, 8.0, 12.0, 16.0)]
    assert found == sorted(found)
    assert found[0] < 0.2 < ct_motion.MAX_INDEX_MM < found[-1]


def test_blur_that_is_the_same_everywhere_is_no_motion() -> None:
    made = body()
    blurred = ndimage.gaussian_filter(made, 1.5 / 0.7)
    assert partial_of(blurred)["index"] < 0.3
    assert partial_of(body(6.0))["index"] > 3 * partial_of(blurred)["index"]


@settings(max_examples=8, deadline=None)
@given(st.floats(-20, 30), st.integers(0, 3), st.booleans())
def test_a_constant_and_turns_by_a_quarter_change_nothing(offset: float, turns: int, mirror: bool) -> None:
    made = body(6.0)
    moved = np.rot90(made + np.float32(offset), turns)
    found = partial_of(np.ascontiguousarray(moved[::-1] if mirror else moved))
    assert found["extent"] == pytest.approx(partial_of(made)["extent"], rel=0.1)


def test_where_the_search_begins_in_air_or_never_meets_it_there_is_no_crossing() -> None:
    upper, lower = skin.crossings(np.array([[1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], [1.0] * 7]), 3)
    assert np.isnan(upper).all()
    assert np.isnan(lower).all()


def test_the_edge_is_the_last_fall_before_air_whatever_is_dark_further_in() -> None:
    upper, lower = skin.crossings(np.array([[1.0, 1.0, 0.6, 1.0, 1.0, 0.5, 0.5, 0.0, 0.0]]), 1)
    assert upper[0] == pytest.approx(4.5)
    assert lower[0] == pytest.approx(6.5)


@pytest.mark.parametrize("shift_mm", [3.0, 12.0, 16.0])
def test_contours_close_together_and_far_apart_are_found_at_their_distance(shift_mm: float) -> None:
    assert partial_of(body(shift_mm, 0.5))["extent"] == pytest.approx(shift_mm, rel=0.1)


def test_a_dark_line_under_the_skin_is_no_motion() -> None:
    depth_mm = 0.7 * ndimage.distance_transform_edt(body() > -500)
    angle = np.arctan2(*(np.mgrid[:SIZE, :SIZE] - SIZE / 2))
    lined = np.where((depth_mm > 4) & (depth_mm < 5.5) & (np.sin(5 * angle) > 0), -300, body()).astype(np.float32)
    assert partial_of(lined)["index"] == pytest.approx(partial_of(body())["index"], abs=0.1)


def test_the_finding_names_extent_and_slices() -> None:
    still, moved = body(), body(8.0)
    series = make_series([still, moved, moved, still, np.full((SIZE, SIZE), -1000.0)], spacing_mm=(0.7, 0.7))
    partials = [ct_motion.per_frame(Regions(frame.read())) for frame in series.frames]
    (found,) = ct_motion.find(series, partials)
    assert found.frames == (1, 2)
    assert found.values["extent_mm"] == pytest.approx(8, rel=0.15)
    measured = ct_motion.combine(series, partials)
    assert (measured.unit.value, measured.limits) == ("mm", None)
    assert measured.value > ct_motion.MAX_INDEX_MM


@pytest.mark.parametrize(
    "array",
    [np.full((128, 128), -1000.0), np.full((128, 128), 40.0), np.full((128, 128), np.nan), np.zeros((1, 1)), np.zeros((2, 700))],
)
def test_without_skin_against_air_it_does_not_apply(array: np.ndarray) -> None:
    series = make_series([array])
    with pytest.raises(NotApplicable) as caught:
        ct_motion.combine(series, [ct_motion.per_frame(Regions(frame.read())) for frame in series.frames])
    assert caught.value.values["reason"] == "no_skin"


def test_a_real_scan_doubled_by_8_mm_is_told_from_itself(data, real_series) -> None:
    (series,) = read(data / "ct" / "pancreas_0001.zip").series
    real_series.append("pancreas_0001")
    image = series.frames[0].read()
    pixels = round(8.0 / image.spacing_mm[1])
    doubled = 0.6 * image.array + 0.4 * np.roll(image.array, pixels, axis=1)
    still, moved = (partial_of(array.astype(np.float32), image.spacing_mm) for array in (image.array, doubled))
    assert still["index"] < ct_motion.MAX_INDEX_MM < moved["index"]
    assert moved["extent"] == pytest.approx(8, rel=0.2)
