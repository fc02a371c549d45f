"""The mean SUV of the body is that of what was put in, follows a wrong weight, and needs most of a body."""

from __future__ import annotations

import numpy as np
import pytest

from medqa.errors import NotApplicable
from medqa.metrics import pt_body_suv
from medqa.regions import Regions
from medqa.series import Series
from tests.science.pt_factories import SIZE, STEP, series_of

Y, X = np.meshgrid(*(np.arange(SIZE) * 4.0 - SIZE * 2.0,) * 2, indexing="ij")


def cylinder(suv: float, slices: int = 110, radius_mm: float = 150.0) -> Series:
    return series_of([suv * (np.hypot(Y, X) < radius_mm)] * slices)


def measured(series: Series) -> float:
    return pt_body_suv.combine(series, [pt_body_suv.per_frame(Regions(frame.read())) for frame in series.frames]).value


def findings(series: Series) -> list[str]:
    partials = [pt_body_suv.per_frame(Regions(frame.read())) for frame in series.frames]
    return [one.message for one in pt_body_suv.METRIC.find(series, partials)]


@pytest.mark.parametrize("suv", [0.6, 0.9, 1.4])
def test_a_long_cylinder_has_its_own_uptake(suv: float) -> None:
    # The smoothed border, where it exceeds 0.15, goes into the mean: a few percent of a cylinder this wide.
    assert measured(cylinder(suv)) == pytest.approx(suv, rel=0.08)
    assert findings(cylinder(suv)) == []


def test_it_follows_a_wrong_weight_and_says_so() -> None:
    assert measured(cylinder(1.8)) / measured(cylinder(0.9)) == pytest.approx(2, rel=0.03)
    assert findings(cylinder(1.98)) == ["pt_body_suv_implausible"]
    assert findings(cylinder(0.4)) == ["pt_body_suv_implausible"]


def test_a_part_of_a_body_has_no_value() -> None:
    with pytest.raises(NotApplicable) as refused:
        measured(cylinder(0.9, slices=int(590 / STEP)))
    assert refused.value.values["reason"] == "body_truncated"


def test_air_is_no_body() -> None:
    with pytest.raises(NotApplicable) as refused:
        measured(cylinder(0.0))
    assert refused.value.values["reason"] == "no_body"
