"""Spikes of known amplitude: one plane wave within a body, against noise, edges and shading."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medqa.errors import NotApplicable
from medqa.metrics import mr_spikes
from medqa.regions import Regions
from tests.science.factories import make_series, mr_head

SIGNAL = 600.0


def measured(arrays, **values) -> float:
    series = make_series(arrays, modality="MR", **values)
    return mr_spikes.combine(series, [mr_spikes.per_frame(Regions(frame.read())) for frame in series.frames]).value


def striped(
    amplitude: float, *, cycles: tuple[float, float] = (40.0, 30.0), phase: float = 0.0, size: int = 256, noise: float = 5.0
):
    """Return a head in which a complex wave of `amplitude` (share of the signal) was added, of so many cycles over the field."""
    y, x = np.mgrid[:size, :size] / size - 0.5
    rng = np.random.default_rng(1)
    body = np.where((x / 0.3) ** 2 + (y / 0.36) ** 2 < 1, SIGNAL, 0.0)
    coil = np.exp(1j * phase * (x + 2 * y * y))
    wave = amplitude * SIGNAL * np.exp(2j * np.pi * (cycles[0] * y + cycles[1] * x))
    return np.abs(body * coil + wave + rng.normal(0, noise, body.shape) + 1j * rng.normal(0, noise, body.shape)).astype(np.float32)


@pytest.mark.parametrize("amplitude", [0.05, 0.1, 0.2, 0.4])
@pytest.mark.parametrize("phase", [0.0, 6.0])
def test_the_value_is_the_amplitude_of_the_stripes(amplitude: float, phase: float) -> None:
    assert measured([striped(amplitude, phase=phase)]) == pytest.approx(100 * amplitude, rel=0.15)


@pytest.mark.parametrize("cycles", [(60.0, 0.0), (0.0, 60.0), (-45.0, 20.0), (25.0, 90.0)])
def test_the_direction_of_the_stripes_does_not_matter(cycles: tuple[float, float]) -> None:
    assert measured([striped(0.2, cycles=cycles)]) == pytest.approx(20, rel=0.15)


@pytest.mark.parametrize("size", [128, 256, 384])
def test_the_matrix_does_not_matter(size: int) -> None:
    assert measured([striped(0.2, size=size)]) == pytest.approx(20, rel=0.15)


def test_it_rises_without_end_and_does_not_saturate() -> None:
    values = [measured([striped(amplitude)]) for amplitude in (0.0, 0.1, 0.2, 0.4, 0.8)]
    assert (np.diff(values) > 5).all()


@pytest.mark.parametrize("noise", [2.0, 20.0, 100.0])
def test_noise_and_the_edge_of_the_head_are_no_spike(noise: float) -> None:
    assert measured([mr_head(np.random.default_rng(seed), SIGNAL, noise) for seed in range(3)]) < 0.5


def test_shading_is_no_spike() -> None:
    shading = np.exp(np.linspace(-1, 1, 256))[None, :]
    assert measured([mr_head(np.random.default_rng(1), SIGNAL, 5) * shading]) < 0.5


def test_a_straight_edge_is_a_line_through_the_middle_and_no_spike() -> None:
    made = mr_head(np.random.default_rng(1), SIGNAL, 5)
    made[100:150, 90:170] *= 2
    assert measured([made]) < 0.5


def test_a_few_parallel_edges_spread_along_a_line_and_are_no_spike() -> None:
    made = mr_head(np.random.default_rng(1), SIGNAL, 5)
    for row in (120, 128, 136):
        made[row : row + 4, 70:186] *= 1.5
    assert measured([made]) < 0.5


def test_stripes_near_the_middle_of_k_space_stand_out_beside_the_head_s_own_energy() -> None:
    assert measured([striped(0.1, cycles=(12.0, 10.0))]) > 5
    assert measured([striped(0.0)]) == 0


@settings(max_examples=6, deadline=None)
@given(st.floats(0.01, 100.0), st.integers(0, 3))
def test_units_and_turns_change_nothing(gain: float, turns: int) -> None:
    turned = np.ascontiguousarray(np.rot90(striped(0.2) * np.float32(gain), turns))
    assert measured([turned]) == pytest.approx(measured([striped(0.2)]), rel=0.02)


def test_the_spike_of_one_frame_is_reported_with_its_place() -> None:
    arrays = [
        mr_head(np.random.default_rng(1), SIGNAL, 5),
        striped(0.3),
        striped(0.1),
        mr_head(np.random.default_rng(2), SIGNAL, 5),
    ]
    series = make_series(arrays, modality="MR")
    partials = [mr_spikes.per_frame(Regions(frame.read())) for frame in series.frames]
    (found,) = mr_spikes.find(series, partials)
    assert found.frames == (1, 2)
    assert found.values["percent"] == mr_spikes.combine(series, partials).value == pytest.approx(30, rel=0.15)
    assert mr_spikes.find(series, [partials[0], None, partials[3], None]) == []


@pytest.mark.parametrize("array", [np.zeros((64, 64)), np.full((64, 64), np.nan), np.full((64, 64), 7.0), np.ones((1, 1))])
def test_where_there_is_no_body_there_is_no_value(array: np.ndarray) -> None:
    with pytest.raises(NotApplicable) as caught:
        measured([array])
    assert caught.value.values["reason"] == "no_body"


def test_a_frame_too_small_for_windows_says_nothing_and_holes_do_no_harm() -> None:
    assert mr_spikes.per_frame(Regions(make_series([striped(0.2)[::8, ::8]], modality="MR").frames[0].read())) is None
    holed = striped(0.2)
    holed[120:124, 120:124] = np.nan
    assert measured([holed]) == pytest.approx(20, rel=0.15)
