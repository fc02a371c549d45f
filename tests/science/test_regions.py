"""Table, lung, bone and fat of one CT frame against shapes of known area."""

from __future__ import annotations

import math

import numpy as np
import pytest

from medqa.regions import Regions
from medqa.simulate import phantom
from tests.science.factories import make_image

MASKS = ("table", "lung", "bone", "fat")
PIXEL_MM = 0.8
SIZE = 400


def plane() -> tuple[np.ndarray, np.ndarray]:
    """Return y and x in mm from the middle."""
    axis = (np.arange(SIZE) - (SIZE - 1) / 2) * PIXEL_MM
    return axis[:, None], axis[None, :]


def ellipse(x_mm: float, y_mm: float, radius_x_mm: float, radius_y_mm: float) -> np.ndarray:
    y, x = plane()
    return np.hypot((x - x_mm) / radius_x_mm, (y - y_mm) / radius_y_mm) < 1


def chest(
    *, lung_hu: float = -850.0, gas_hu: float = -1000.0, vessel_hu: float = 350.0, noise: float = 15.0, air_hu: float = -1000.0
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return a chest with fat around, two lungs, gas, a rib, a vessel with contrast and a couch, and where each of them is."""
    y, x = plane()
    trunk, muscle = ellipse(0, 0, 130, 85), ellipse(0, 0, 112, 67)
    parts = {
        "fat": trunk & ~muscle,
        "lung": ellipse(-55, 0, 40, 50) | ellipse(55, 0, 40, 50),
        "gas": ellipse(0, -30, 12, 22),
        "rib": ellipse(-60, 57, 9, 4),
        "vessel": ellipse(0, 20, 12, 12),
        "table": (np.abs(y - (98 + x**2 / 2000)) < 4) & (np.abs(x) < 140),
    }
    image = np.full((SIZE, SIZE), air_hu)
    values = {"fat": -100.0, "lung": lung_hu, "gas": gas_hu, "rib": 900.0, "vessel": vessel_hu, "table": -300.0}
    image[muscle] = 45.0
    for name, where in parts.items():
        image[where] = values[name]
    return (image + np.random.default_rng(0).normal(0, noise, image.shape)).astype(np.float32), parts


def regions_of(array: np.ndarray, **header) -> Regions:
    return Regions(make_image(array, **({"spacing_mm": (PIXEL_MM, PIXEL_MM)} | header)))


def area(regions: Regions, name: str) -> float:
    """Return the area of a mask in mm^2; table and lung lie on the decimated grid."""
    mask = getattr(regions, name)
    sides = regions.image.spacing_mm if mask.shape == regions.image.array.shape else regions.element_mm
    return float(mask.sum()) * math.prod(sides)


def overlap(found: np.ndarray, truth: np.ndarray) -> float:
    """Return Dice's coefficient."""
    return 2 * float((found & truth).sum()) / float(found.sum() + truth.sum())


def test_lung_covers_the_share_of_the_chest_that_it_has() -> None:
    array, parts = chest()
    found = regions_of(array)
    assert area(found, "lung") == pytest.approx(float(parts["lung"].sum()) * PIXEL_MM**2, rel=0.06)
    assert overlap(found.full(found.lung), parts["lung"]) > 0.95
    assert not (found.lung & ~found.body).any()


@pytest.mark.parametrize("noise", [5.0, 20.0])
def test_a_ring_of_fat_has_its_area(noise: float) -> None:
    array, parts = chest(noise=noise)
    kept = math.erf(50 / (noise * math.sqrt(2)))
    assert area(regions_of(array), "fat") == pytest.approx(kept * float(parts["fat"].sum()) * PIXEL_MM**2, rel=0.05)


def test_fat_in_noise_falls_as_the_error_function_says() -> None:
    array, parts = chest(noise=50.0)
    found = regions_of(array).fat & parts["fat"]
    assert found.sum() / parts["fat"].sum() == pytest.approx(math.erf(1 / math.sqrt(2)), abs=0.03)


def test_the_couch_is_found_below_the_body_and_is_no_part_of_it() -> None:
    array, parts = chest()
    found = regions_of(array)
    assert not (found.table & found.body).any()
    assert overlap(found.full(found.table), parts["table"]) > 0.7
    # What lies above the body is no table: a blanket, or the couch of an image stored upside down.
    assert not regions_of(array[::-1].copy()).table.any()


@pytest.mark.parametrize("air_hu", [-1000.0, -1024.0, -880.0])
def test_the_couch_is_denser_than_the_air_there_is(air_hu: float) -> None:
    array, parts = chest(air_hu=air_hu)
    found = regions_of(array)
    assert found.table.sum() * math.prod(found.element_mm) < 1.5 * parts["table"].sum() * PIXEL_MM**2
    assert found.table.any()


def test_a_cable_is_no_couch() -> None:
    array, parts = chest()
    _, x = plane()
    array[parts["table"] & (np.abs(x) > 30)] = -1000.0
    assert not regions_of(array).table.any()


def test_an_image_whose_columns_run_along_the_patient_has_no_couch_below() -> None:
    array, _ = chest()
    assert not regions_of(array, orientation=((1.0, 0.0, 0.0), (0.0, 0.0, -1.0))).table.any()


def test_gas_is_no_lung_and_the_size_of_pixels_decides_what_is_too_small() -> None:
    array, parts = chest()
    found = regions_of(array)
    assert not (found.full(found.lung) & parts["gas"]).any()
    # The same picture a quarter as large: lungs of 4 cm^2.
    assert not regions_of(array, spacing_mm=(PIXEL_MM / 4, PIXEL_MM / 4)).lung.any()
    assert not regions_of(chest(lung_hu=-1000.0)[0]).lung.any()


def test_a_vessel_with_contrast_is_told_from_bone_up_to_the_level_of_a_cortex() -> None:
    array, parts = chest(noise=10.0)
    found = regions_of(array).bone
    assert overlap(found, parts["rib"]) > 0.95
    assert not (found & parts["vessel"]).any()
    bright = regions_of(chest(vessel_hu=700.0)[0]).bone
    assert overlap(bright, parts["rib"] | parts["vessel"]) > 0.95


def test_oblong_pixels_cover_the_same_area() -> None:
    array, _ = chest()
    plain, oblong = regions_of(array), regions_of(array[:, ::2].copy(), spacing_mm=(PIXEL_MM, 2 * PIXEL_MM))
    for name in MASKS:
        assert area(oblong, name) == pytest.approx(area(plain, name), rel=0.12), name


def test_organ_like_masks_exclude_each_other() -> None:
    found = regions_of(chest()[0])
    full = [found.full(mask) if mask.shape != found.image.array.shape else mask for mask in map(found.__getattribute__, MASKS)]
    both = found.full(found.lung) & (found.bone | found.fat)
    assert np.sum(full, axis=0).max() <= 2
    assert both.sum() < 0.02 * found.full(found.lung).sum()
    assert not (found.bone & found.fat).any()


def test_the_phantom_lies_on_its_table_with_lungs_above_and_none_below() -> None:
    made = phantom.ct(np.random.default_rng(2), slices=3, size=256, spacing_mm=110.0, realisations=1)
    pelvis, middle, thorax = (regions_of(array, spacing_mm=(made.grid.pixel_mm,) * 2) for array in made.array)
    for found in (pelvis, middle, thorax):
        columns = np.flatnonzero(found.table.any(axis=0))
        assert np.ptp(columns) * found.element_mm[1] > 350
        assert np.nonzero(found.table)[0].min() > np.nonzero(found.body)[0].mean()
        assert not (found.table & found.body).any()
        assert 0.2 < area(found, "fat") / area(found, "body") < 0.7
        assert found.bone.any()
    # Gas of stomach and colon is in all of them, lung is not.
    assert area(thorax, "lung") / area(thorax, "body") > 0.15
    assert not pelvis.lung.any()


@pytest.mark.parametrize(
    "array",
    [
        np.full((128, 128), -1000.0),
        np.full((128, 128), np.nan),
        np.full((1, 1), -1000.0),
        np.full((3, 700), np.nan),
    ],
)
def test_where_there_is_no_body_there_is_nothing(array: np.ndarray) -> None:
    found = regions_of(array)
    for name in MASKS:
        assert not getattr(found, name).any(), name


@pytest.mark.parametrize(
    "array", [np.full((1, 1), 50.0), np.full((2, 2), -100.0), np.full((2, 700), 50.0), np.full((128, 128), 50.0)]
)
def test_a_frame_that_is_all_body_has_no_table(array: np.ndarray) -> None:
    found = regions_of(array)
    assert found.body.mean() > 0.99
    assert not found.table.any()
    assert not found.lung.any()
    assert found.fat.all() == (float(array.max()) == -100.0)
