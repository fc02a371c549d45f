"""Streaks against gratings of known amplitude and direction."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medqa.errors import NotApplicable
from medqa.metrics import ct_streaks
from medqa.reader import read
from medqa.regions import Regions
from tests.science.factories import make_image, make_series

SIZE = 256


def body(
    angle: float = 0.0, amplitude: float = 0.0, *, noise: float = 10.0, pixel_mm=(0.75, 0.75), period_mm: float = 5.0, seed: int = 0
):
    """Return a round body with a grating whose lines run along `angle` (degrees, anticlockwise as seen, 0 along the rows)."""
    rng = np.random.default_rng(seed)
    y, x = ((np.arange(SIZE) - SIZE / 2) * step for step in pixel_mm)
    y, x = y[:, None], x[None, :]
    turn = np.radians(angle)
    across = -np.sin(turn) * x - np.cos(turn) * y
    grating = amplitude * np.sin(2 * np.pi * across / period_mm)
    inside = np.hypot(y, x) < 0.42 * SIZE * min(pixel_mm)
    return (np.where(inside, 40 + grating, -1000) + rng.normal(0, noise, (SIZE, SIZE))).astype(np.float32)


def partial_of(array: np.ndarray, pixel_mm=(0.75, 0.75)):
    found = ct_streaks.per_frame(Regions(make_image(array, spacing_mm=pixel_mm)))
    assert found is not None
    return found


def apart(one: float, other: float) -> float:
    return abs((one - other + 90) % 180 - 90)


@pytest.mark.parametrize("angle", [0, 20, 37, 45, 90, 120, 143, 179])
def test_a_grating_along_an_angle_runs_along_that_angle(angle: int) -> None:
    assert apart(partial_of(body(angle, 25.0))["angle"], angle) < 1.5


@pytest.mark.parametrize("pixel_mm", [(0.5, 0.5), (0.6, 1.0), (1.0, 0.7)])
def test_angles_are_those_in_millimetres_whatever_the_pixels(pixel_mm: tuple[float, float]) -> None:
    assert apart(partial_of(body(37, 25.0, pixel_mm=pixel_mm), pixel_mm)["angle"], 37) < 2.0


def test_turned_by_a_quarter_the_angle_follows_and_the_amplitude_stays() -> None:
    made = body(37, 20.0)
    plain, turned, mirrored = partial_of(made), partial_of(np.rot90(made).copy()), partial_of(made[:, ::-1].copy())
    assert apart(turned["angle"], 37 + 90) < 1.5
    assert apart(mirrored["angle"], -37) < 1.5
    assert turned["amplitude"] == pytest.approx(plain["amplitude"], rel=0.05)


@pytest.mark.parametrize("amplitude", [20.0, 40.0])
def test_the_amplitude_is_the_deviation_of_the_grating(amplitude: float) -> None:
    # The local mean over 7 mm (11 pixels of 0.75 mm) takes off its own share of a wave of 5 mm.
    turn = np.radians(37)
    kept = 1 - np.sinc(11 * 0.75 / 5.0 * np.sin(turn)) * np.sinc(11 * 0.75 / 5.0 * np.cos(turn))
    assert partial_of(body(37, amplitude, noise=2.0))["amplitude"] == pytest.approx(kept * amplitude / np.sqrt(2), rel=0.05)


def test_twice_the_image_is_twice_the_amplitude() -> None:
    # Values stay within soft tissue, so that the same pixels are looked at.
    made = body(60, 8.0, noise=6.0)
    inside = made > -500
    doubled = np.where(inside, 40 + 2 * (made - 40), made)
    assert partial_of(doubled)["amplitude"] == pytest.approx(2 * partial_of(made)["amplitude"], rel=0.02)


def test_sixteen_times_the_image_is_sixteen_times_the_amplitude_though_pixels_leave_the_range_of_tissue() -> None:
    # At the size of a real frame: tissue is told by the mean of blocks of 3 mm, which streaks and noise hardly move.
    y, x = np.mgrid[:512, :512] * 0.75 - 192.0
    turn = np.radians(60)
    wave = 8 * np.sin(2 * np.pi * (-np.sin(turn) * x - np.cos(turn) * y) / 5.0)
    texture = wave + np.random.default_rng(1).normal(0, 6, wave.shape)
    once, strong = (np.where(np.hypot(y, x) < 160, 40 + times * texture, -1000).astype(np.float32) for times in (1, 16))
    assert partial_of(strong)["amplitude"] == pytest.approx(16 * partial_of(once)["amplitude"], rel=0.05)


def test_streaks_in_most_directions_count_in_full() -> None:
    turns = np.arange(0, 140, 10)
    made = sum(body(turn, 10.0, noise=0.0, period_mm=4.0) - body(noise=0.0) for turn in turns) + body(noise=2.0)
    # Each wave of 4 mm keeps all but a few percent of its amplitude.
    assert partial_of(made)["amplitude"] == pytest.approx(10 * np.sqrt(turns.size / 2), rel=0.12)


@settings(max_examples=10, deadline=None)
@given(st.floats(-60, 60))
def test_a_constant_changes_nothing(offset: float) -> None:
    made = body(37, 15.0)
    lifted = np.where(made > -500, made + np.float32(offset), made)
    plain, moved = partial_of(made), partial_of(lifted)
    assert moved["amplitude"] == pytest.approx(plain["amplitude"], rel=0.02)
    assert apart(moved["angle"], plain["angle"]) < 0.5


def test_noise_without_direction_has_little_amplitude_and_no_contrast() -> None:
    found = partial_of(body(noise=20.0))
    assert found["contrast"] < 1.4
    # All of the texture in the band has an amplitude of 20 HU at most.
    assert found["amplitude"] < 6.0
    assert not ct_streaks.is_streaky(found["amplitude"], found["contrast"])


def test_the_finding_says_along_what_angle_and_in_which_slices() -> None:
    clean, streaky = body(noise=10.0), body(37, 40.0)
    series = make_series([clean, clean, streaky, body(37, 30.0, seed=3), clean, streaky], spacing_mm=(0.75, 0.75))
    partials = [ct_streaks.per_frame(Regions(frame.read())) for frame in series.frames]
    found = ct_streaks.find(series, partials)
    assert [one.frames for one in found] == [(2, 3), (5, 5)]
    assert all(apart(one.values["angle"], 37) <= 1 for one in found)
    measured = ct_streaks.combine(series, partials)
    assert measured.unit.value == "[hnsf'U]"
    assert measured.value > 15


def test_directions_meet_at_180_degrees() -> None:
    assert apart(ct_streaks.mean_direction([178.0, 2.0, 4.0], [1.0, 1.0, 1.0]), 1.33) < 0.1


@pytest.mark.parametrize(
    "array",
    [
        np.full((128, 128), 40.0),
        np.full((128, 128), -1000.0),
        np.full((128, 128), np.nan),
        np.full((1, 1), 40.0),
        np.random.default_rng(0).normal(40, 10, (3, 700)),
        np.random.default_rng(0).normal(40, 10, (20, 20)),
    ],
)
def test_without_texture_of_tissue_it_does_not_apply(array: np.ndarray) -> None:
    series = make_series([array])
    with pytest.raises(NotApplicable) as caught:
        ct_streaks.combine(series, [ct_streaks.per_frame(Regions(frame.read())) for frame in series.frames])
    assert caught.value.values["reason"] == "no_soft_tissue"


def test_lines_drawn_into_a_real_scan_raise_it_and_are_found_along_their_angle(data, real_series) -> None:
    (series,) = read(data / "ct" / "tcga_34_5236.zip").series
    real_series.append("tcga_34_5236")
    image = series.frames[0].read()
    y, x = (np.arange(size) * step for size, step in zip(image.array.shape, image.spacing_mm, strict=True))
    turn = np.radians(37)
    lines = np.sin(2 * np.pi * (-np.sin(turn) * x[None, :] - np.cos(turn) * y[:, None]) / 6.0)
    found = [
        partial_of(image.array + np.float32(height) * lines.astype(np.float32), image.spacing_mm) for height in (0, 15, 30, 60)
    ]
    amplitudes = [one["amplitude"] for one in found]
    assert amplitudes == sorted(amplitudes)
    assert not ct_streaks.is_streaky(amplitudes[0], found[0]["contrast"])
    assert all(ct_streaks.is_streaky(one["amplitude"], one["contrast"]) for one in found[2:])
    assert all(apart(one["angle"], 37) < 3 for one in found[2:])


def test_a_body_with_its_arms_down_has_streaks_along_the_rows(data, real_series) -> None:
    (series,) = read(data / "ct" / "nysbu_a027284_1.zip").series
    real_series.append("nysbu_a027284_1")
    (found,) = ct_streaks.find(series, [ct_streaks.per_frame(Regions(frame.read())) for frame in series.frames])
    assert apart(found.values["angle"], 0) < 5
