"""What every metric shares: one measurement or several, and runs of flagged frames."""

from __future__ import annotations

import numpy as np
import pytest

from medqa.codes import Unit, own
from medqa.measurement import Measurement
from medqa.metrics.metric import Metric, runs
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
