"""What every metric shares: one measurement or several, and runs of flagged frames."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from medqa.codes import Unit, own
from medqa.errors import NotApplicable
from medqa.measurement import Measurement
from medqa.metrics.metric import Metric, runs
from medqa.series import Series
from medqa.volume import Vector
from tests.science import factories


def measurement(name: str) -> Measurement:
    return Measurement(quantity=own(name, name), value=1.0, unit=Unit.ONE, source="")


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ([], []),
        ([False, False], []),
        ([True], [(0, 0)]),
        ([True, True, False, True], [(0, 1), (3, 3)]),
        ([False, True, True, True, False, False, True], [(1, 3), (6, 6)]),
    ],
)
def test_runs_are_first_and_last_of_what_hangs_together(flags: list[bool], expected: list[tuple[int, int]]) -> None:
    assert runs(flags) == expected


def test_a_metric_measures_one_quantity_or_several() -> None:
    one = Metric(name="a", per_frame=lambda _: None, combine=lambda *_: measurement("a"))
    two = Metric(name="a", per_frame=lambda _: None, combine=lambda *_: (measurement("a"), measurement("b")), more=("b",))
    series = factories.make_series([np.zeros((16, 16))])
    assert [found.quantity.value for found in one.measure(series, [])] == list(one.quantities) == ["a"]
    assert [found.quantity.value for found in two.measure(series, [])] == list(two.quantities) == ["a", "b"]


def turned(orientation: tuple[tuple[float, float, float], tuple[float, float, float]]) -> Series:
    series = factories.make_series([np.zeros((8, 8), dtype=np.float32)])
    frame = series.frames[0]
    return replace(series, frames=(replace(frame, header=replace(frame.header, orientation=orientation)),))


@pytest.mark.parametrize(
    ("row", "column", "looked_at"),
    [
        ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), True),
        ((1.0, 0.0, 0.0), (0.0, math.cos(math.radians(30)), -math.sin(math.radians(30))), True),
        ((-1.0, 0.0, 0.0), (0.0, -1.0, 0.0), True),
        ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0), False),
        ((0.0, 1.0, 0.0), (0.0, 0.0, -1.0), False),
    ],
)
def test_a_metric_of_axial_slices_leaves_coronal_and_sagittal_ones_alone(row: Vector, column: Vector, looked_at: bool) -> None:
    series = turned((row, column))
    level = measurement("x")
    metric = Metric(name="x", per_frame=lambda regions: {}, combine=lambda series, partials: level, axial=True)
    assert metric.looks_at(series.frames[0]) is looked_at
    if looked_at:
        assert metric.measure(series, [{}]) == (level,)
    else:
        with pytest.raises(NotApplicable) as refused:
            metric.measure(series, [None])
        assert refused.value.values["reason"] == "not_axial"
    assert replace(metric, axial=False).measure(series, [{}]) == (level,)
