"""The circle that the detector saw: bodies cut by a simulated detector of known size, whose whole image is known."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from medqa.metrics import ct_size, ct_truncation
from medqa.metrics.field import field_circle
from medqa.regions import Regions
from medqa.simulate.ct import truncation
from tests.science.factories import make_image

SIZE, PIXEL_MM = 192, 2.0
WIDE_MM, HIGH_MM = 170.0, 115.0
SHARES = (0.95, 0.88, 0.8, 0.7)


@cache
def body() -> np.ndarray:
    """Return an ellipse of muscle with 12 mm of fat and a rim of skin, 2 mm wide."""
    rng = np.random.default_rng(1)
    y, x = (np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2) * PIXEL_MM
    image = np.full((SIZE, SIZE), -1000.0)
    for inwards, hu in ((0.0, 20.0), (2.0, -100.0), (14.0, 50.0)):
        image[(x / (WIDE_MM - inwards)) ** 2 + (y / (HIGH_MM - inwards)) ** 2 < 1] = hu
    return (image + rng.normal(0, 15, image.shape)).astype(np.float32)


@cache
def cut(share: float) -> np.ndarray:
    """Return the body as a detector sees it that reaches this share of its half width."""
    change = truncation.change(body(), {"field_share": share, "fade_mm": 5.0, "radius_mm": share * WIDE_MM}, PIXEL_MM)
    return np.rint(body() + change).astype(np.float32)


def regions(array: np.ndarray) -> Regions:
    return Regions(make_image(array, spacing_mm=(PIXEL_MM, PIXEL_MM)))


@pytest.mark.parametrize("share", SHARES)
def test_the_circle_is_as_wide_as_the_detector(share: float) -> None:
    found = field_circle(regions(cut(share)))
    assert found is not None
    assert found.radius_mm == pytest.approx(share * WIDE_MM, abs=3 * PIXEL_MM)


@pytest.mark.parametrize("made", [body(), body() + 30, body().T, np.full((SIZE, SIZE), -1000.0), np.full((64, 64), np.nan)])
def test_a_whole_body_has_no_circle(made: np.ndarray) -> None:
    assert field_circle(regions(np.ascontiguousarray(made))) is None


def test_a_round_body_on_the_axis_has_none_either() -> None:
    y, x = (np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2) * PIXEL_MM
    assert field_circle(regions(np.where(np.hypot(y, x) < 150, 40.0, -1000.0).astype(np.float32))) is None


def test_the_smaller_the_field_the_more_is_cut_and_the_less_is_left() -> None:
    partials = [(ct_truncation.per_frame(one), ct_size.per_frame(one)) for one in map(regions, [body(), *map(cut, SHARES)])]
    shares = [one["cut"] / one["outline"] for one, _ in partials if one]
    rims = [one["rim"] for one, _ in partials[1:] if one]
    diameters = [one["diameter"] for _, one in partials if one]
    assert shares[0] == 0
    assert (np.diff(shares) > 0).all()
    assert (np.diff(rims) > 0).all()
    assert (np.diff(diameters) < 0).all()


@pytest.mark.parametrize("share", SHARES[1:])
def test_the_diameter_is_that_of_what_is_left_without_the_lift_of_the_cut(share: float) -> None:
    radius = np.hypot(*(np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2)) * PIXEL_MM
    left = np.maximum(body()[radius <= share * WIDE_MM] / 1000 + 1, 0).sum() * PIXEL_MM**2
    true = 2 * np.sqrt(left / np.pi)
    frame, untold = regions(cut(share)), regions(cut(share))
    untold.shared["field_circle"] = None
    assert ct_size.diameter_mm(frame) == pytest.approx(true, rel=0.025)
    assert ct_size.diameter_mm(untold) > 1.02 * true


def test_a_lung_that_the_cut_opened_still_lies_within_the_outline() -> None:
    y, x = (np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2) * PIXEL_MM
    chest = np.where(np.hypot(x - 88, y) < 58, -850, body()).astype(np.float32)
    change = truncation.change(chest, {"field_share": 0.8, "fade_mm": 5.0, "radius_mm": 0.8 * WIDE_MM}, PIXEL_MM)
    opened = regions(np.rint(chest + change).astype(np.float32))
    whole = regions(cut(0.8))
    found, known = field_circle(opened), field_circle(whole)
    assert found is not None
    assert known is not None
    assert opened.body.sum() < 0.9 * whole.body.sum()
    assert found.body(opened).sum() == pytest.approx(known.body(whole).sum(), rel=0.02)
    partials = [ct_truncation.per_frame(one) for one in (opened, whole)]
    shares = [one["cut"] / one["outline"] for one in partials if one]
    assert shares[0] == pytest.approx(shares[1], rel=0.15)


def test_air_between_body_and_circle_is_no_lung() -> None:
    frame = regions(cut(0.8))
    found = field_circle(frame)
    assert found is not None
    assert not (found.body(frame) & ~frame.body).any()
