"""Jumps of known size between slices."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medqa.errors import NotApplicable
from medqa.metrics import mr_jumps
from medqa.regions import Regions
from tests.science.factories import make_frame, make_series, mr_head


def stack(levels, z_mm=None, **values):
    """Return a series of heads of these levels."""
    frames = [
        make_frame(
            mr_head(np.random.default_rng(index), 600 * level, 3, size=64),
            modality="MR",
            index=index,
            z_mm=None if z_mm is None else z_mm[index],
        )
        for index, level in enumerate(levels)
    ]
    return make_series([], modality="MR", frames=frames, **values)


def partials(series):
    return [mr_jumps.per_frame(Regions(frame.read())) for frame in series.frames]


def measured(levels, **values) -> float:
    series = stack(levels, **values)
    return mr_jumps.combine(series, partials(series)).value


@pytest.mark.parametrize("percent", [5.0, 20.0, 40.0])
def test_a_jump_is_the_logarithm_of_its_ratio(percent: float) -> None:
    levels = [1.0] * 4 + [1 + percent / 100] + [1.0] * 4
    series = stack(levels)
    found = mr_jumps.jumps(series, partials(series))
    jump = 100 * math.log(1 + percent / 100)
    assert found[4] == pytest.approx(jump, abs=0.3)
    # Both neighbours have one wrong neighbour of two.
    assert found[3] == pytest.approx(jump / 2, abs=0.3)
    assert found[0] is found[-1] is None
    assert max(found[1], found[2], found[6], found[7]) < 0.3


def test_every_second_slice_jumps_by_the_ratio() -> None:
    assert measured([1.0, 1.3] * 5) == pytest.approx(100 * math.log(1.3), abs=0.3)


def test_a_slow_change_is_none() -> None:
    assert measured(list(1.1 ** np.arange(10))) < 0.5


@settings(max_examples=6, deadline=None)
@given(st.floats(0.01, 100.0), st.booleans())
def test_units_and_direction_change_nothing(gain: float, reversed_: bool) -> None:
    levels = [1.0, 1.0, 1.3, 1.0, 1.1, 1.0, 1.0]
    series = stack(levels)
    changed = [{**one, "level": gain * one["level"]} for one in partials(series)][:: -1 if reversed_ else 1]
    assert mr_jumps.combine(series, changed).value == pytest.approx(mr_jumps.combine(series, partials(series)).value, rel=1e-6)


def test_a_slice_that_stands_out_is_named_and_its_neighbours_are_not() -> None:
    series = stack([1.0] * 5 + [1.45] + [1.0] * 5)
    (found,) = mr_jumps.find(series, partials(series))
    assert found.frames == (5, 5)
    assert found.values["percent"] == pytest.approx(100 * math.log(1.45), abs=0.5)
    calm = stack([1.0, 1.1] * 5)
    assert mr_jumps.find(calm, partials(calm)) == []


def test_missing_slices_are_no_jump() -> None:
    z_mm = [0.0, 3, 6, 9, 12, 60, 63, 66, 69, 72]
    levels = [1.0] * 5 + [2.0] * 5
    assert measured(levels) > 30
    assert measured(levels, z_mm=z_mm) < 1


def test_what_lies_in_another_stack_is_no_neighbour() -> None:
    assert measured([1.0] * 5 + [2.0] * 5, stacks=2) < 1


def test_an_end_of_the_stack_without_signal_is_no_jump() -> None:
    series = stack([1.0] * 8)
    made = partials(series)
    made[6] = {**made[0], "level": 0.02 * made[0]["level"]}
    assert mr_jumps.combine(series, made).value < 1


def test_the_vertex_where_the_head_ends_is_no_jump() -> None:
    series = stack([1.0] * 6 + [1.5, 0.8])
    made = partials(series)
    assert mr_jumps.find(series, made)
    made[7] = {**made[7], "area": 0.5 * made[0]["area"]}
    assert mr_jumps.find(series, made) == []


@pytest.mark.parametrize("levels", [[1.0], [1.0, 2.0], [1.0, 2.0, 1.0, 2.0]])
def test_few_slices_say_nothing(levels) -> None:
    series = stack(levels)
    with pytest.raises(NotApplicable) as caught:
        mr_jumps.combine(series, partials(series))
    assert caught.value.values["reason"] == "too_few_frames"
    assert mr_jumps.find(series, partials(series)) == []


@pytest.mark.parametrize("array", [np.zeros((64, 64)), np.full((64, 64), np.nan), np.full((64, 64), 7.0), np.ones((1, 1))])
def test_frames_without_a_body_say_nothing(array: np.ndarray) -> None:
    series = make_series([array] * 8, modality="MR")
    made = partials(series)
    assert made == [None] * 8
    with pytest.raises(NotApplicable):
        mr_jumps.combine(series, made)
