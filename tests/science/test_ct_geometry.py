"""Coverage, overlap and tilt against stacks whose geometry is known."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from medqa.acquisition import Acquisition, CTAcquisition
from medqa.errors import NotApplicable
from medqa.metrics import ct_geometry
from medqa.reader import read
from tests.science.factories import make_frame, make_series

SUPINE = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0))


def tilted(degrees: float) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    angle = math.radians(degrees)
    return (1.0, 0.0, 0.0), (0.0, math.cos(angle), -math.sin(angle))


def series_of(places, *, thickness=5.0, orientation=SUPINE, declared_tilt=None, position="HFS", **values):
    frames = [
        make_frame(np.zeros((40, 40)), index=index, z_mm=place, orientation=orientation, slice_thickness_mm=thickness)
        for index, place in enumerate(places)
    ]
    made = Acquisition(
        modality="CT",
        slice_thickness_mm=thickness,
        patient_position=position,
        ct=CTAcquisition(gantry_tilt_deg=declared_tilt),
    )
    return make_series([], frames=frames, acquisition=made, **values)


def measured(series) -> dict[str, float]:
    return {one.quantity.value: one.value for one in ct_geometry.METRIC.measure(series, [None] * len(series.frames))}


def messages(series) -> dict[str, dict]:
    return {one.message: one.values for one in ct_geometry.find(series, [None] * len(series.frames))}


@pytest.mark.parametrize(("step", "thickness"), [(5.0, 5.0), (2.5, 5.0), (10.0, 5.0), (0.7, 1.0)])
def test_coverage_and_overlap_are_those_of_the_stack(step: float, thickness: float) -> None:
    found = measured(series_of([100 + step * index for index in range(11)], thickness=thickness))
    assert found["ct_coverage"] == pytest.approx(10 * step + thickness)
    assert found["ct_slice_overlap"] == pytest.approx(thickness / step)
    assert found["ct_tilt"] == 0


def test_neither_the_order_nor_the_origin_of_the_slices_matters() -> None:
    up = measured(series_of([3.0 * index for index in range(9)]))
    assert measured(series_of([800 - 3.0 * index for index in range(9)])) == pytest.approx(up)


def test_a_missing_or_doubled_slice_changes_neither_overlap_nor_coverage() -> None:
    places = [5.0 * index for index in range(12)]
    expected = measured(series_of(places))
    assert measured(series_of([*places[:4], *places[5:]])) == pytest.approx(expected)
    assert measured(series_of([*places[:4], places[3], *places[4:]])) == pytest.approx(expected)


@pytest.mark.parametrize("degrees", [-22.0, 0.0, 15.0])
def test_a_tilted_gantry_covers_less_along_the_normal(degrees: float) -> None:
    series = series_of([5.0 * index for index in range(9)], orientation=tilted(degrees), declared_tilt=-degrees)
    found = measured(series)
    assert found["ct_tilt"] == pytest.approx(abs(degrees), abs=1e-6)
    assert found["ct_coverage"] == pytest.approx(40 * math.cos(math.radians(degrees)) + 5)
    assert "ct_tilt_differs" not in messages(series)


def test_a_declared_tilt_that_the_slices_do_not_have_is_told() -> None:
    series = series_of([0.0, 5.0], orientation=tilted(0), declared_tilt=15.0)
    assert messages(series)["ct_tilt_differs"] == {"declared": 15.0, "found": 0.0}
    assert "ct_tilt_differs" in messages(series_of([0.0, 5.0], orientation=tilted(20), declared_tilt=0.0))
    assert "ct_tilt_differs" not in messages(series_of([0.0, 5.0], orientation=tilted(20), declared_tilt=None))


def test_slices_with_space_between_are_told_once_with_both_numbers() -> None:
    assert messages(series_of([10.0 * index for index in range(5)])) == {
        "ct_slices_apart": {"thickness_mm": 5.0, "spacing_mm": 10.0}
    }
    assert messages(series_of([5.2 * index for index in range(5)])) == {}


COLUMNS = {"S": (0.0, 1.0, 0.0), "P": (0.0, -1.0, 0.0), "DL": (1.0, 0.0, 0.0), "DR": (-1.0, 0.0, 0.0)}


@pytest.mark.parametrize("head", ["HF", "FF"])
@pytest.mark.parametrize("lying", COLUMNS)
@pytest.mark.parametrize("columns", COLUMNS)
def test_columns_run_to_the_table_whatever_the_position(head: str, lying: str, columns: str) -> None:
    down = np.array(COLUMNS[columns])
    row = tuple(np.cross(down, (0.0, 0.0, 1.0)))
    series = series_of([0.0, 5.0], orientation=(row, COLUMNS[columns]), position=head + lying)
    assert ("ct_position_contradicts" in messages(series)) is (lying != columns)


def test_coronal_slices_and_unknown_positions_contradict_nothing() -> None:
    coronal = ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0))
    series = series_of([0.0], orientation=coronal, declared_tilt=0.0)
    assert messages(series) == {}
    flipped = ((1.0, 0.0, 0.0), (0.0, -1.0, 0.0))
    for position in (None, "", "SITTING", "LFP"):
        assert messages(series_of([0.0, 5.0], orientation=flipped, position=position)) == {}


def test_the_longest_stack_counts() -> None:
    series = series_of([0.0, 5.0, 10.0, 0.0, 8.0, 16.0], stacks=2)
    assert measured(series)["ct_coverage"] == pytest.approx(21)


@pytest.mark.parametrize(
    ("series", "reason"),
    [
        (series_of([0.0]), "too_few_frames"),
        (series_of([7.0, 7.0]), "too_few_frames"),
        (series_of([0.0, 5.0], orientation=None), "header_silent"),
        (series_of([0.0, 5.0], thickness=None), "header_silent"),
        (series_of([0.0, 5.0], thickness=0.0), "header_silent"),
    ],
)
def test_without_geometry_nothing_is_told(series, reason: str) -> None:
    with pytest.raises(NotApplicable) as caught:
        measured(series)
    assert caught.value.values["reason"] == reason
    assert messages(series) == {}


def test_a_position_that_is_missing_leaves_nothing_to_measure() -> None:
    series = series_of([0.0, 5.0])
    without = replace(series.frames[1], header=replace(series.frames[1].header, position_mm=None))
    with pytest.raises(NotApplicable):
        measured(replace(series, frames=(series.frames[0], without)))


def test_real_heads_have_the_tilt_that_they_declare(data: Path, real_series: list[str]) -> None:
    (series,) = read(data / "ct" / "ge_head_tilt.zip").series
    real_series.append("ge_head_tilt")
    assert measured(series)["ct_tilt"] == pytest.approx(18.5, abs=0.1)
    assert "ct_tilt_differs" not in messages(series)
    assert messages(series)["ct_slices_apart"]["thickness_mm"] == 4.0
