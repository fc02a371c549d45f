"""Noise along z: what stands out, where, and by how much."""

from __future__ import annotations

import numpy as np
import pytest

from medqa.errors import UndecodablePixels
from medqa.findings import FINDINGS
from medqa.metrics import ct_noise, ct_noise_z
from medqa.reader import read
from medqa.regions import Regions
from tests.science.factories import broken, ct_body, make_frame, make_series


def bodies(noise, size: int = 128):
    return [ct_body(np.random.default_rng(index), one, size) for index, one in enumerate(noise)]


def judged(series):
    partials = []
    for frame in series.frames:
        try:
            partials.append(ct_noise.per_frame(Regions(frame.read())))
        except UndecodablePixels:
            partials.append(None)
    values = {one.quantity.value: one.value for one in ct_noise.METRIC.measure(series, partials)}
    return values, ct_noise.find(series, partials)


def test_even_noise_has_no_finding_and_a_ratio_near_one() -> None:
    values, found = judged(make_series(bodies([10.0] * 16)))
    assert values["ct_noise_z_max"] == pytest.approx(1.0, abs=0.1)
    assert found == []


@pytest.mark.parametrize(("first", "last"), [(0, 2), (9, 13), (21, 23)])
def test_a_run_of_starved_slices_is_told_with_place_and_factor(first: int, last: int) -> None:
    noise = [10.0] * 24
    noise[first : last + 1] = [22.0] * (last + 1 - first)
    values, found = judged(make_series(bodies(noise)))
    (one,) = found
    assert (one.message, one.frames) == ("ct_noise_uneven", (first, last))
    assert one.values["factor"] == pytest.approx(2.2, rel=0.12)
    assert one.values["value"] == pytest.approx(22, rel=0.12)
    assert values["ct_noise_z_max"] == pytest.approx(2.2, rel=0.12)
    assert FINDINGS[one.message].significance.value == "note"


def test_two_runs_are_two_findings() -> None:
    noise = [20.0] * 3 + [10.0] * 9 + [20.0] * 3 + [10.0] * 9
    _, found = judged(make_series(bodies(noise)))
    assert [one.frames for one in found] == [(0, 2), (12, 14)]


@pytest.mark.parametrize("at", [0, 7, 15])
def test_one_odd_slice_is_no_run(at: int) -> None:
    noise = [10.0] * 16
    noise[at] = 40.0
    assert judged(make_series(bodies(noise)))[1] == []


def test_a_slow_change_of_the_body_is_no_finding() -> None:
    values, found = judged(make_series(bodies(np.geomspace(8, 24, 40))))
    assert found == []
    assert values["ct_noise_z_max"] == pytest.approx(24 / 13.9, rel=0.1)


def test_twice_the_noise_everywhere_changes_nothing() -> None:
    noise = np.array([10.0] * 8 + [18.0] * 4 + [10.0] * 8)
    once, twice = (judged(make_series(bodies(factor * noise)))[0]["ct_noise_z_max"] for factor in (1, 2))
    assert twice == pytest.approx(once, rel=0.03)


def test_the_reach_is_in_millimetres() -> None:
    profile = np.array([10.0] * 10 + [30.0] * 10 + [10.0] * 10)
    assert ct_noise_z.relative_to_neighbours(profile, 25)[15] == pytest.approx(3)
    assert ct_noise_z.relative_to_neighbours(profile, 4)[15] == pytest.approx(1)


def test_stacks_are_judged_each_by_itself() -> None:
    _, found = judged(make_series(bodies([10.0] * 10 + [20.0] * 10), stacks=2))
    assert found == []


@pytest.mark.parametrize("count", [1, 7])
def test_a_few_slices_have_a_level_and_no_course(count: int) -> None:
    values, found = judged(make_series(bodies([10.0, 30.0, 30.0, 10.0, 10.0, 10.0, 10.0][:count])))
    assert set(values) == {"ct_noise"}
    assert found == []


def test_frames_without_pixels_or_without_tissue_are_passed_over() -> None:
    arrays = bodies([10.0] * 12)
    arrays[4] = np.full((128, 128), -1000.0)
    frames = [make_frame(array, index=index) for index, array in enumerate(arrays)]
    frames[8] = make_frame(broken(), index=8)
    values, found = judged(make_series([], frames=frames))
    assert values["ct_noise_z_max"] == pytest.approx(1.0, abs=0.1)
    assert found == []


def test_a_real_head_is_even_although_its_vertex_is_mostly_bone(data, real_series) -> None:
    (series,) = read(data / "ct" / "ge_head_tilt.zip").series
    real_series.append("ge_head_tilt.zip")
    values, found = judged(series)
    assert found == []
    assert 1 < values["ct_noise_z_max"] < 2
