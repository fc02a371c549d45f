"""Artefacts in air against what was put there: noise alone, patches, ghosts and lines of known brightness."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medqa.errors import NotApplicable
from medqa.metrics import mr_qi1
from medqa.metrics.mr_surroundings import bridged, bright_lines, surroundings
from medqa.regions import Regions
from tests.science.factories import make_series, mr_head

NOISE = 10.0
SIGNAL = 600.0
RADIUS = 70.0
SIZE = 256
CHANCE = 4e-4
"""By how much the noise's own deviation is off, as a share of the signal."""
FINE = 1e-3
"""A step that is small against the noise."""


def measured(arrays, **values) -> float:
    series = make_series(arrays, modality="MR", **({"slope": FINE} | values))
    return mr_qi1.combine(series, [mr_qi1.per_frame(Regions(frame.read())) for frame in series.frames]).value


def reason(arrays) -> str:
    with pytest.raises(NotApplicable) as caught:
        measured(arrays)
    return caught.value.values["reason"]


def magnitude(clean: np.ndarray, noise: float = NOISE, seed: int = 1) -> np.ndarray:
    real, imaginary = np.random.default_rng(seed).normal(0, noise, (2, *clean.shape))
    return np.hypot(clean + real, imaginary).astype(np.float32)


def disc() -> np.ndarray:
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    return np.where(np.hypot(y, x) < RADIUS, SIGNAL, 0.0)


def weight() -> np.ndarray:
    """How much each pixel counts: nothing up to 4 elements (2 pixels each) outside the disc, then from 1/12 rising to 1 at 15."""
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    outside = (np.hypot(y, x) - RADIUS) / 2
    counts = np.where(outside > 4, np.clip((outside - 3) / 12, 0, 1), 0)
    counts[:2] = counts[-2:] = counts[:, :2] = counts[:, -2:] = 0
    return counts


@pytest.mark.parametrize("noise", [2.0, 10.0, 40.0])
def test_noise_alone_is_no_artefact(noise: float) -> None:
    assert measured([mr_head(np.random.default_rng(seed), SIGNAL, noise) for seed in range(2)]) == pytest.approx(
        0, abs=0.1 * noise / SIGNAL
    )


@pytest.mark.parametrize("value", [100.0, 200.0, 300.0])
@pytest.mark.parametrize("side", [20, 40])
def test_a_patch_counts_by_its_size_and_by_its_brightness(side: int, value: float) -> None:
    clean = disc()
    none = measured([magnitude(clean)])
    clean[6 : 6 + side, 6 : 6 + side] = value
    share = side**2 / weight().sum()
    excess = np.hypot(value, NOISE) - np.sqrt(np.pi / 2) * NOISE
    assert measured([magnitude(clean)]) - none == pytest.approx(share * excess / SIGNAL, rel=0.1, abs=CHANCE)


@pytest.mark.parametrize("noise", [3.0, 10.0, 60.0])
def test_every_stronger_ghost_reads_more(noise: float) -> None:
    head = mr_head(np.random.default_rng(1), SIGNAL, 0)
    ghosts = [measured([magnitude(head + share * np.roll(head, 128, axis=0), noise)]) for share in (0, 0.06, 0.12, 0.24, 0.48)]
    assert all(np.diff(ghosts) > 0)
    # Amplitudes double, and the body's level stays.
    assert ghosts[4] / ghosts[3] == pytest.approx(2, rel=0.15)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("at", [40, 101, 128])
def test_every_brighter_line_reads_more_and_no_line_is_body(axis: int, at: int) -> None:
    none = measured([magnitude(disc())])
    found = []
    for brightness in (0.5, 1.0, 2.0, 4.0):
        clean = disc()
        np.moveaxis(clean, axis, 0)[at] += brightness * SIGNAL
        found.append(measured([magnitude(clean)]) - none)
    share = weight()[at].sum() / weight().sum()
    assert found == pytest.approx([brightness * share for brightness in (0.5, 1.0, 2.0, 4.0)], rel=0.1, abs=CHANCE)


def test_a_line_leaves_the_outline_where_it_was() -> None:
    clean = disc()
    plain = surroundings(Regions(make_series([magnitude(clean)], modality="MR").frames[0].read()))
    clean[:, 60] += 4 * SIGNAL
    lined = surroundings(Regions(make_series([magnitude(clean)], modality="MR").frames[0].read()))
    assert (plain.outline == lined.outline).mean() > 0.99
    assert lined.background.level == pytest.approx(plain.background.level, rel=0.01)


def test_lines_are_told_from_bodies_and_filled_from_both_sides() -> None:
    ramp = np.broadcast_to(np.arange(64.0), (64, 64)) + 100
    lined = ramp.copy()
    lined[:, 20:22] += 500
    marked = bright_lines(lined, 1, 20)
    assert np.flatnonzero(marked).tolist() == [19, 20, 21, 22]
    assert not bright_lines(lined, 0, 20).any()
    assert bridged(lined, marked, 1) == pytest.approx(ramp)
    assert bridged(lined.T, marked, 0) == pytest.approx(ramp.T)
    assert not bright_lines(np.where(np.abs(np.arange(64) - 32) < 12, 500.0, 1.0)[None, :] * np.ones((64, 1)), 1, 20).any()
    assert not bright_lines(np.ones((8, 8)), 0, 0).any()


def test_a_line_at_the_border_takes_what_is_beside_it() -> None:
    edge = np.array([True, True, False, False])
    assert bridged(np.arange(8.0).reshape(4, 2), edge, 0).tolist() == [[4, 5], [4, 5], [4, 5], [6, 7]]
    assert bridged(np.arange(4.0)[None, :], edge[::-1], 1).tolist() == [[0, 1, 1, 1]]


@settings(max_examples=6, deadline=None)
@given(st.floats(0.01, 100.0), st.integers(0, 3))
def test_units_and_turns_change_nothing(gain: float, turns: int) -> None:
    clean = disc()
    clean[6:40, 6:40] = 300
    plain = magnitude(clean)
    changed = np.ascontiguousarray(np.rot90(plain * gain, turns))
    assert measured([changed], slope=gain * FINE) == pytest.approx(measured([plain]), abs=CHANCE)


def test_whole_steps_change_little() -> None:
    made = magnitude(disc(), 1.5)
    assert measured([np.rint(made)], slope=1.0) == pytest.approx(measured([made]), abs=2e-4)


def test_frames_are_taken_by_their_median() -> None:
    clean = disc()
    clean[6:40, 6:40] = 300
    arrays = [magnitude(clean), magnitude(disc()), magnitude(disc(), seed=2)]
    each = [measured([array]) for array in arrays]
    assert each[0] > 5 * max(map(abs, each[1:]))
    assert measured(arrays) == sorted(each)[1]


def dim_patch() -> np.ndarray:
    """Tissue up to the border, with something dim inside it."""
    made = np.random.default_rng(1).normal(500, 20, (256, 256))
    made[60:120, 60:120] = np.random.default_rng(2).normal(70, 20, (60, 60))
    return made


def test_dim_tissue_all_around_is_refused_and_a_ghost_is_not() -> None:
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    bright = np.where(np.hypot(y, x) < 40, SIGNAL, 0.0)
    dim = np.where(np.hypot(y, x) < 100, 0.25 * SIGNAL, 0.0)
    assert reason([magnitude(np.maximum(bright, dim))]) == "no_air"
    assert measured([magnitude(bright + 0.25 * np.roll(bright, 90, axis=0))]) > 0.01


@pytest.mark.parametrize("air_is", [np.zeros((SIZE, SIZE)), np.full((SIZE, SIZE), 3.0)], ids=["zero", "constant"])
def test_masked_air_has_none(air_is: np.ndarray) -> None:
    made = magnitude(disc())
    assert reason([np.where(made < 200, air_is, made)]) == "background_masked"


@pytest.mark.parametrize(
    ("array", "why"),
    [
        (np.zeros((64, 64)), "no_body"),
        (np.full((64, 64), np.nan), "no_body"),
        (np.ones((1, 1)), "no_body"),
        (dim_patch(), "no_air"),
        (np.random.default_rng(1).normal(0, 300, (128, 128)), "unit_unknown"),
    ],
    ids=["empty", "no values", "one pixel", "no air", "phase"],
)
def test_bad_input_has_a_reason(array: np.ndarray, why: str) -> None:
    assert reason([array]) == why
