"""SUV of the blood pool: the vessel above liver and heart, not the heart, not a lesion, not the lungs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from medqa.metrics import pt_blood_suv, pt_liver_suv
from medqa.simulate import anatomy_pet
from medqa.simulate.inserts import Ball
from medqa.simulate.shapes import Grid
from tests.science.pt_factories import PIXEL, SIZE, Body, measured, noisy, partials_of, refusal, series_of

SLICES = list(Body().slices())


def test_the_vessel_reads_what_was_put_in() -> None:
    # 26 mm across, seen through 6 mm and smoothed by 12 mm: what is lost of a disc is exp(-r^2 / 2 s^2) in its middle.
    deviation = np.hypot(6 / 2.355, 5.0)
    kept = 1 - np.exp(-(13.0**2) / (2 * deviation**2))
    for blood in (1.2, 1.6, 2.2):
        expected = kept * blood + (1 - kept) * 0.6  # lungs and mediastinum around
        assert measured(pt_blood_suv.METRIC, series_of(list(Body(blood=blood).slices()))).value == pytest.approx(expected, rel=0.06)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_aorta_of_the_phantom_is_found_and_not_the_mediastinum_or_the_shoulder_of_a_lymph_node(seed: int) -> None:
    """An aorta of 22 mm beside a spine and a lymph node of SUV 8; a scan of 6.7 mm and the smoothing of 12 mm leave 0.9 of it."""
    patient = anatomy_pet.draw(np.random.default_rng(seed))
    (blood,) = (place.value for place in patient.places if place.name == "blood pool")
    node = Ball(name="lymph node", centre_mm=(-2.0, 5.0, 168.0), radius_mm=7.5, value=8.0)
    shown = anatomy_pet.Patient(organs=(*patient.organs, node))
    grid = Grid(slices=58, size=128, pixel_mm=4.0, spacing_mm=5.0, centre_z_mm=75.0)
    suv = np.stack([anatomy_pet.paint_slice(shown, grid, float(z)) for z in grid.heights_mm]) / anatomy_pet.BQ_PER_ML_PER_SUV
    seen = ndimage.gaussian_filter(suv, np.array([5.0, 6.7, 6.7]) / 2.355 / (5, 4, 4))
    found = measured(pt_blood_suv.METRIC, series_of(list(seen), pixel_mm=4.0, step_mm=5.0)).value
    assert found / blood == pytest.approx(0.9, abs=0.04)


def test_noise_moves_it_little() -> None:
    clean = measured(pt_blood_suv.METRIC, series_of(SLICES)).value
    noise = [measured(pt_blood_suv.METRIC, series_of(noisy(SLICES, 0.2, seed=seed))).value for seed in range(4)]
    assert np.mean(noise) == pytest.approx(clean, rel=0.08)


def test_the_hot_heart_below_does_not_matter() -> None:
    found = [measured(pt_blood_suv.METRIC, series_of(list(Body(heart=heart).slices()))).value for heart in (1.6, 8.0, 20.0)]
    assert found == pytest.approx([found[0]] * 3, rel=0.02)


def test_a_hot_lesion_beside_the_vessel_is_not_it() -> None:
    y, x = (np.mgrid[:SIZE, :SIZE] - SIZE / 2) * PIXEL
    lesion = 9 * np.exp(-((x - 40) ** 2 + (y + 5) ** 2) / (2 * 7**2))
    marked = [suv + lesion * (52 <= index < 56) for index, suv in enumerate(SLICES)]
    clean = measured(pt_blood_suv.METRIC, series_of(SLICES)).value
    assert measured(pt_blood_suv.METRIC, series_of(marked)).value == pytest.approx(clean, rel=0.15)


@pytest.mark.parametrize("scale", [0.75, 1.5])
def test_a_wrong_calibration_moves_it_as_much_as_the_liver(scale: float) -> None:
    wrong, right = series_of(SLICES, scale=scale), series_of(SLICES)
    ratio = measured(pt_blood_suv.METRIC, wrong).value / measured(pt_blood_suv.METRIC, right).value
    assert ratio == pytest.approx(scale, rel=0.02)
    assert ratio == pytest.approx(measured(pt_liver_suv.METRIC, wrong).value / measured(pt_liver_suv.METRIC, right).value, rel=0.02)


def test_images_stored_from_left_to_right_give_the_same() -> None:
    flipped = [suv[:, ::-1] for suv in SLICES]
    corner = SIZE / 2 * PIXEL
    series = series_of(flipped, orientation=((-1.0, 0.0, 0.0), (0.0, 1.0, 0.0)), corner_mm=(corner - PIXEL, -corner))
    straight = measured(pt_blood_suv.METRIC, series_of(SLICES)).value
    assert measured(pt_blood_suv.METRIC, series).value == pytest.approx(straight, rel=0.02)


def test_where_no_vessel_is_there_is_no_value() -> None:
    assert refusal(pt_blood_suv.METRIC, series_of(SLICES[:41])) == "no_blood_pool"  # ends at the dome
    assert refusal(pt_blood_suv.METRIC, series_of(list(Body(blood=0.8, lungs=0.8).slices()))) == "no_blood_pool"
    assert refusal(pt_blood_suv.METRIC, series_of(SLICES[40:])) == "no_liver"


def test_bad_input_has_no_value() -> None:
    assert refusal(pt_blood_suv.METRIC, series_of(SLICES, factor=None)) == "unit_unknown"
    for one in (np.zeros((64, 64)), np.full((64, 64), np.nan), np.full((64, 64), 2.0), np.ones((4, 4))):
        assert refusal(pt_blood_suv.METRIC, series_of([one] * 30)) == "no_liver"


def test_the_note_says_what_is_usual() -> None:
    for scale, told in ((1.0, False), (0.65, False), (1.9, True)):
        series = series_of(SLICES, scale=scale)
        value = measured(pt_blood_suv.METRIC, series).value
        found = pt_blood_suv.METRIC.find(series, partials_of(pt_blood_suv, series))
        assert bool(found) is told is not (0.8 <= value <= 2.8)
        assert all(one.values == {"value": round(value, 2), "low": 0.8, "high": 2.8} for one in found)
