"""Truncation: how much of an outline of known shape is cut off, and how bright the cut is."""

from __future__ import annotations

import numpy as np
import pytest

from medqa.errors import NotApplicable
from medqa.metrics import ct_truncation
from medqa.reader import read
from medqa.regions import Regions
from tests.science.factories import make_image, make_series

SIZE = 256


def ellipse(
    half_width: float, half_height: float, *, rim: float = 0.0, fill: float | None = None, circle: bool = False
) -> np.ndarray:
    """Return an ellipse (half axes in pixels) of 40 HU in air, brighter by `rim` HU in the outermost 6 pixels of the field."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    inside = (x / half_width) ** 2 + (y / half_height) ** 2 < 1
    depth = SIZE / 2 - (np.hypot(x, y) if circle else np.maximum(np.abs(x), np.abs(y)))
    image = np.where(inside, 40.0 + rim * (depth < 9), -1000.0) + rng.normal(0, 8, inside.shape)
    if fill is not None:
        image[np.hypot(x, y) > SIZE / 2] = fill
    return image.astype(np.float32)


def measure(arrays: list[np.ndarray], **header):
    series = make_series(arrays, **header)
    partials = [ct_truncation.per_frame(Regions(frame.read())) for frame in series.frames]
    return {one.quantity.value: one for one in ct_truncation.METRIC.measure(series, partials)}, ct_truncation.find(series, partials)


def test_a_body_within_the_field_is_not_cut() -> None:
    measured, found = measure([ellipse(110, 80)])
    assert measured["ct_truncation"].value == 0
    assert set(measured) == {"ct_truncation"}
    assert found == []


@pytest.mark.parametrize("half_width", [140.0, 170.0, 220.0])
def test_the_share_of_the_outline_is_that_of_the_geometry(half_width: float) -> None:
    half_height = 80.0
    angles = np.linspace(0, 2 * np.pi, 200_001)
    x, y = half_width * np.cos(angles), half_height * np.sin(angles)
    free = np.abs(x) < SIZE / 2
    # Elements are counted along rows or columns, whichever has more of them: the larger of the two steps.
    steps = np.maximum(np.abs(np.diff(x)), np.abs(np.diff(y)))[free[1:]].sum()
    cut = 4 * half_height * np.sqrt(1 - (SIZE / 2 / half_width) ** 2)
    measured, _ = measure([ellipse(half_width, half_height)])
    assert measured["ct_truncation"].value == pytest.approx(100 * cut / (cut + steps), rel=0.12)
    assert measured["ct_truncation"].unit.value == "%"


@pytest.mark.parametrize("fill", [np.nan, -1024.0, -2000.0])
def test_the_border_may_be_a_circle_however_the_scanner_fills_its_corners(fill: float) -> None:
    cut, _ = measure([ellipse(150, 80, fill=fill)])
    free, _ = measure([ellipse(110, 80, fill=fill)])
    assert cut["ct_truncation"].value > 14
    assert free["ct_truncation"].value == 0


@pytest.mark.parametrize("rim", [60.0, 120.0])
def test_the_rim_is_as_bright_as_it_was_made_and_says_where(rim: float) -> None:
    whole, cut = ellipse(110, 80), ellipse(150, 80, rim=rim)
    measured, found = measure([whole, cut, cut, whole, cut], spacing_mm=(1.0, 1.0))
    assert measured["ct_truncation_rim"].value == pytest.approx(rim, abs=6)
    assert [one.frames for one in found] == [(1, 2), (4, 4)]
    assert found[0].values["rim"] == pytest.approx(rim, abs=6)
    assert 15 < found[0].values["share"] < 40


def test_cut_by_a_small_field_without_a_bright_rim_is_no_finding() -> None:
    measured, found = measure([ellipse(150, 80)])
    assert measured["ct_truncation_rim"].value == pytest.approx(0, abs=6)
    assert found == []


def test_a_field_that_ends_within_the_image_is_known_by_its_glowing_circle() -> None:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    radius = np.hypot(x, y)
    inside = ((x / 118) ** 2 + (y / 80) ** 2 < 1) & (radius < 95)
    # The circle cuts the ellipse at 42.8 degrees: 284 of 576 pixels of the outline lie on it.
    for glow, share in ((0.0, 0.0), (150.0, 49.3)):
        image = np.where(inside, 40 + glow * np.exp(-(95 - radius) / 6), -1000) + rng.normal(0, 8, radius.shape)
        measured, found = measure([image.astype(np.float32)], spacing_mm=(1.0, 1.0))
        assert measured["ct_truncation"].value == pytest.approx(share, abs=5 if share else 0)
        assert bool(found) is bool(share)


def test_turned_mirrored_and_lifted_the_share_stays() -> None:
    made = ellipse(150, 80)
    (plain, _), (turned, _), (mirrored, _), (lifted, _) = (measure([array]) for array in (made, made.T, made[::-1], made + 20))
    for other in (turned, mirrored, lifted):
        assert other["ct_truncation"].value == pytest.approx(plain["ct_truncation"].value, rel=0.1)


@pytest.mark.parametrize("array", [np.full((64, 64), -1000.0), np.full((64, 64), np.nan), np.zeros((1, 1)) - 1000])
def test_without_a_body_it_does_not_apply(array: np.ndarray) -> None:
    with pytest.raises(NotApplicable) as caught:
        measure([array])
    assert caught.value.values["reason"] == "no_body"


def test_a_frame_without_a_body_does_not_hide_the_others() -> None:
    measured, _ = measure([np.full((SIZE, SIZE), -1000.0), ellipse(150, 80)])
    assert measured["ct_truncation"].value > 15


def test_a_tiny_frame_is_measured_or_left_out_but_never_fails() -> None:
    assert ct_truncation.per_frame(Regions(make_image(np.full((1, 9), 40.0))))["outline"] == 9


def test_real_bodies_that_are_known_to_be_cut_are_told_from_whole_ones(data, real_series) -> None:
    shares = {}
    for name in ("tcga_17_z019", "rider_01xx", "tcga_17_z062", "pancreas_0001"):
        (series,) = read(data / "ct" / f"{name}.zip").series
        partials = [ct_truncation.per_frame(Regions(frame.read())) for frame in series.frames]
        shares[name] = ct_truncation.METRIC.measure(series, partials)[0].value
        real_series.append(name)
    # The first two are catalogued as clipped, the others as whole in a large field.
    assert min(shares["tcga_17_z019"], shares["rider_01xx"]) > 10
    assert max(shares["tcga_17_z062"], shares["pancreas_0001"]) < 1
