"""Extravasation: the share that was put at an arm, and blindness for what is hot by nature."""

from __future__ import annotations

import math

import numpy as np
import pytest

from medqa.metrics import pt_extravasation
from tests.science.pt_factories import measured, partials_of, refusal, series_of

SIZE, PIXEL, STEP, SLICES = 96, 6.0, 8.0, 60
Y, X = (np.mgrid[:SIZE, :SIZE] - SIZE / 2) * PIXEL
Spot = tuple[float, float, float, float, float]
"""x, y, z, deviation (mm) and peak (SUV)."""
ARM: Spot = (-220.0, 10.0, 200.0, 9.0, 60.0)


def person(*spots: Spot, arms: float = 220.0, above: bool = False, noise: float = 0.1) -> list[np.ndarray]:
    """Return a trunk of SUV 1 with an arm on either side, or a head with both arms beside it (`above`), and Gaussian spots."""
    rng = np.random.default_rng(3)
    half = (75.0, 95.0) if above else (165.0, 105.0)
    body = (X / half[0]) ** 2 + (Y / half[1]) ** 2 < 1
    for side in (-1, 1):
        body |= np.hypot(X - side * arms, Y - 10) < 42
    volume = []
    for index in range(SLICES):
        suv = body * 1.0
        for x, y, z, deviation, peak in spots:
            suv += peak * np.exp(-((X - x) ** 2 + (Y - y) ** 2 + (index * STEP - z) ** 2) / (2 * deviation**2))
        volume.append(np.maximum(suv * (1 + noise * rng.normal(size=suv.shape)), 0))
    return volume


def share(volume: list[np.ndarray], **values: float) -> float:
    series = series_of(volume, pixel_mm=PIXEL, step_mm=STEP, **values)
    return measured(pt_extravasation.METRIC, series).value


def truth(spot: Spot, **body: float) -> float:
    """Return the spot's share of all activity, in percent."""
    inside = spot[4] * (2 * math.pi) ** 1.5 * spot[3] ** 3 / (PIXEL**2 * STEP)
    return 100 * inside / (inside + sum(suv.sum() for suv in person(noise=0, **body)))


@pytest.mark.parametrize(("peak", "deviation"), [(30.0, 10.0), (60.0, 9.0), (200.0, 8.0), (120.0, 14.0)])
def test_the_share_is_what_was_put_there(peak: float, deviation: float) -> None:
    spot = (*ARM[:3], deviation, peak)
    # What the focus spreads below SUV 2 is lost, and the arm in its place is counted: a tenth at most.
    assert share(person(spot)) == pytest.approx(truth(spot), rel=0.12)


def test_twice_the_activity_is_twice_the_share() -> None:
    low, high = share(person((*ARM[:4], 60.0))), share(person((*ARM[:4], 120.0)))
    assert high / low == pytest.approx(2, rel=0.12)


def test_the_scale_of_suv_hardly_matters() -> None:
    assert share(person(ARM), scale=1.5) == pytest.approx(share(person(ARM)), rel=0.1)


def test_arms_above_the_head_count_too() -> None:
    elbow = (170.0, 10.0, 300.0, 9.0, 60.0)
    found = share(person(elbow, arms=170, above=True))
    assert found > 0.5
    assert share(person((0.0, 0.0, 300.0, 30.0, 12.0), arms=170, above=True)) == 0.0  # a brain


@pytest.mark.parametrize(
    "spot",
    [
        (0.0, -20.0, 40.0, 22.0, 60.0),  # bladder
        (55.0, -40.0, 340.0, 22.0, 15.0),  # heart
        (-70.0, 45.0, 240.0, 16.0, 20.0),  # kidney
        (-140.0, 0.0, 280.0, 14.0, 12.0),  # a lesion in a rib
        (100.0, -20.0, 340.0, 14.0, 20.0),  # the tip of the heart at the chest's wall
    ],
)
def test_what_is_hot_by_nature_or_in_the_trunk_is_not_at_an_arm(spot: Spot) -> None:
    assert share(person(spot)) == 0.0


def test_an_arm_that_touches_the_trunk_is_an_arm() -> None:
    # Without the arms there is less activity in all.
    spot = (-152.0, 5.0, 240.0, 9.0, 60.0)
    assert share(person(spot, arms=900)) == pytest.approx(truth(spot, arms=900), rel=0.12)
    assert share(person((-120.0, 5.0, 240.0, 9.0, 60.0), arms=900)) == 0.0


def test_a_hot_bladder_hides_no_focus() -> None:
    both = share(person(ARM, (0.0, -20.0, 40.0, 22.0, 60.0)))
    assert 0.3 < both < share(person(ARM))


def test_the_note_says_where() -> None:
    series = series_of(person(ARM), pixel_mm=PIXEL, step_mm=STEP)
    (told,) = pt_extravasation.METRIC.find(series, partials_of(pt_extravasation, series))
    assert told.code.value == "113568"
    first, last = told.frames
    assert first <= 200 / STEP <= last
    assert last - first < 14
    clean = series_of(person(), pixel_mm=PIXEL, step_mm=STEP)
    assert pt_extravasation.METRIC.find(clean, partials_of(pt_extravasation, clean)) == []
    assert measured(pt_extravasation.METRIC, clean).value == 0.0


def test_a_streak_in_one_frame_is_no_focus() -> None:
    volume = person()
    volume[20] = volume[20] + 80 * np.exp(-((X + 220) ** 2 + (Y - 10) ** 2) / (2 * 9.0**2))
    assert share(volume) == 0.0


def test_bad_input_has_no_value() -> None:
    volume = person()
    metric = pt_extravasation.METRIC
    assert refusal(metric, series_of(volume, factor=None)) == "unit_unknown"
    assert refusal(metric, series_of(volume[:20], step_mm=STEP)) == "too_few_frames"
    for one in (np.zeros((64, 64)), np.full((64, 64), np.nan)):
        assert refusal(metric, series_of([one] * 60, step_mm=STEP)) == "no_body"
    # A uniform tub is a body without arms, and nothing in it is hot.
    assert measured(metric, series_of([np.full((64, 64), 2.0)] * 60, step_mm=STEP)).value == 0.0
