"""Cupping against cylinders of water with a cup of known depth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medqa.errors import NotApplicable
from medqa.metrics import ct_cupping
from medqa.reader import read
from medqa.regions import Regions
from tests.science.factories import make_series

SIZE = 256
RADIUS = 100.0


def cylinder(depth: float, *, noise: float = 10.0, level: float = 0.0, squeeze: float = 1.0) -> np.ndarray:
    """Return a cylinder that is `depth` HU darker on its axis than at its surface; the cup is a parabola."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    radius = np.hypot(x / squeeze, y) / RADIUS
    return (np.where(radius < 1, level - depth * (1 - radius**2), -1000) + rng.normal(0, noise, radius.shape)).astype(np.float32)


def expected(depth: float) -> float:
    """Return rim minus centre of the parabola: medians by area between the radii that the depths mean."""
    outer, inner = (1 - share for share in ct_cupping.RIM)
    rim, centre = (outer**2 + inner**2) / 2, (1 - ct_cupping.WAY[-2]) ** 2 / 2
    return depth * (rim - centre)


def cup(array: np.ndarray, **header) -> float:
    series = make_series([array], **header)
    return ct_cupping.combine(series, [ct_cupping.per_frame(Regions(frame.read())) for frame in series.frames]).value


@pytest.mark.parametrize("depth", [0.0, 20.0, 50.0, 120.0])
def test_the_cup_is_as_deep_as_it_was_made(depth: float) -> None:
    assert cup(cylinder(depth)) == pytest.approx(expected(depth), abs=2 + 0.08 * depth)


def test_a_cap_is_a_cup_upside_down() -> None:
    assert cup(cylinder(-40.0)) == pytest.approx(expected(-40.0), abs=4)


@settings(max_examples=6, deadline=None)
@given(st.floats(-20, 60), st.integers(0, 3), st.floats(0.3, 3.0))
def test_a_constant_turns_and_the_size_of_pixels_change_nothing(level: float, turns: int, pixel_mm: float) -> None:
    made = np.rot90(cylinder(50.0, level=level), turns)
    assert cup(np.ascontiguousarray(made), spacing_mm=(pixel_mm, pixel_mm)) == pytest.approx(cup(cylinder(50.0)), abs=4)


def test_oblong_pixels_are_taken_as_they_are() -> None:
    assert cup(cylinder(50.0, squeeze=0.5), spacing_mm=(0.5, 1.0)) == pytest.approx(expected(50.0), abs=5)


@pytest.mark.parametrize(
    "array", [np.full((64, 64), -1000.0), np.full((64, 64), np.nan), np.zeros((1, 1)), np.zeros((3, 700)) + 900]
)
def test_without_soft_tissue_it_does_not_apply(array: np.ndarray) -> None:
    with pytest.raises(NotApplicable) as caught:
        cup(array)
    assert caught.value.values["reason"] == "no_soft_tissue"


def test_lungs_in_the_middle_are_no_cup() -> None:
    made = cylinder(0.0)
    made[90:166, 90:166] = -850
    with pytest.raises(NotApplicable):
        cup(made)


def test_heads_have_a_few_units_and_a_cup_put_in_comes_out(data, real_series) -> None:
    (series,) = read(data / "ct" / "qure_cq500_310.zip").series
    real_series.append("qure_cq500_310")
    image = series.frames[0].read()
    plain = cup(image.array, spacing_mm=image.spacing_mm)
    assert 0 < plain < 20
    row, column = (np.arange(size) - size / 2 for size in image.array.shape)
    reach = np.hypot(row[:, None], column[None, :]) / 200
    dark = np.where(image.array > -500, image.array - 60 * np.clip(1 - reach**2, 0, 1), image.array)
    # An oval head reaches out to where the cup is shallow along one axis only.
    assert plain + 8 < cup(dark.astype(np.float32), spacing_mm=image.spacing_mm) < plain + 60
