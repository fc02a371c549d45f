"""PET phantoms show what is known of them: activity, spheres, lesions, noise that follows counts, and SUV in any maker's header."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import pydicom
import pytest

from medqa import reader
from medqa.codes import Unit
from medqa.errors import InvalidPhantom
from medqa.series import Series
from medqa.simulate import anatomy_pet, nema, pet_phantoms, pet_vendors, phantom
from medqa.simulate.inserts import Ball
from medqa.simulate.pet_scan import Known, Scan
from medqa.simulate.phantom import Phantom
from medqa.simulate.shapes import Grid, paint

MANY = 1e4
"""Counts at which noise does not matter."""


def made(kind: str, seed: int = 0, **scan: object) -> Phantom:
    values = {"size": 64, "slices": 3, "spacing_mm": 3.0, "counts": MANY, **scan}
    return pet_phantoms.make(kind, np.random.default_rng(seed), Scan(**values))


def known(one: Phantom) -> Known:
    assert isinstance(one.known, Known)
    return one.known


def suv(one: Phantom, ball: Ball, share: float = 1.0) -> np.ndarray:
    """Values of the voxels in a ball, or in the inner share of its radius."""
    y, x = one.grid.plane()
    z = one.grid.heights_mm[:, None, None]
    across, down, along = ball.centre_mm
    distance = np.sqrt((x - across) ** 2 + (y - down) ** 2 + (z - along) ** 2)
    return one.array[distance < share * ball.radius_mm] / known(one).bq_per_ml


# ---- cylinder --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "counts", "seed"), [(64, 1.0, 1), (64, 4.0, 2), (96, 4.0, 3)])
def test_the_mean_of_the_cylinder_is_the_activity_that_was_declared(size: int, counts: float, seed: int) -> None:
    one = made("pet-cylinder", seed, size=size, counts=counts)
    y, x = one.grid.plane()
    inside = one.array[:, np.hypot(y, x) < 80]
    assert inside.mean() == pytest.approx(pet_phantoms.BACKGROUND_BQ_PER_ML, rel=0.02)
    assert known(one).bq_per_ml == pytest.approx(pet_phantoms.BACKGROUND_BQ_PER_ML)
    assert one.array[:, np.hypot(y, x) > 125].mean() < 0.02 * inside.mean()


def test_without_noise_the_cylinder_is_flat_from_the_middle_to_near_its_rim() -> None:
    one = made("pet-cylinder")
    y, x = one.grid.plane()
    rings = [one.array[1][(np.hypot(y, x) >= low) & (np.hypot(y, x) < low + 20)].mean() for low in (0, 20, 40, 60)]
    np.testing.assert_allclose(rings, pet_phantoms.BACKGROUND_BQ_PER_ML, rtol=0.015)


def test_noise_falls_with_the_root_of_the_counts_and_the_thickness() -> None:
    def noise(**scan: object) -> float:
        one = made("pet-cylinder", 5, slices=4, spacing_mm=12.0, **scan)
        y, x = one.grid.plane()
        inside = one.array[:, np.hypot(y, x) < 80]
        return float(inside.std() / inside.mean())

    full, quarter = noise(counts=2.0), noise(counts=0.5)
    assert quarter / full == pytest.approx(2.0, rel=0.1)
    assert 0.02 < full < 0.1


def test_the_cylinder_ends_where_it_ends() -> None:
    one = made("pet-cylinder", slices=30, spacing_mm=8.0, size=32)
    y, x = one.grid.plane()
    profile = one.array[:, np.hypot(y, x) < 70].mean(axis=1) / pet_phantoms.BACKGROUND_BQ_PER_ML
    assert profile.sum() * 8.0 == pytest.approx(200.0, abs=3.0)
    assert profile[:2].max() < 0.02


# ---- NEMA ------------------------------------------------------------------------------------------------------------------


def test_the_layout_is_that_of_the_standard() -> None:
    spheres = nema.spheres()
    assert [2 * sphere.radius_mm for sphere in spheres] == [37, 28, 22, 17, 13, 10]
    litres = nema.AREA_MM2 * 180 / 1e6
    assert litres == pytest.approx(9.7, abs=0.05)
    for sphere in spheres:
        x, y, z = sphere.centre_mm
        assert math.hypot(x, y) == pytest.approx(57.2)
        assert z == 20.0
        assert math.hypot(x, y) - sphere.radius_mm > nema.LUNG_MM / 2
    for first, second in pairwise((*spheres, spheres[0])):
        apart = math.dist(first.centre_mm, second.centre_mm)
        assert apart == pytest.approx(57.2)  # a hexagon
        assert apart > first.radius_mm + second.radius_mm


def test_the_painted_trunk_has_its_area_and_holds_all_spheres() -> None:
    grid = Grid(slices=1, size=400, pixel_mm=1.0, spacing_mm=1.0)
    trunk, spheres = (np.zeros((400, 400), np.float32) for _ in range(2))
    paint(trunk, grid, nema.PLANE_MM, [nema.Trunk(value=1.0)])
    paint(spheres, grid, nema.PLANE_MM, nema.spheres())
    assert trunk.sum() == pytest.approx(nema.AREA_MM2, rel=1e-3)
    assert (trunk[spheres > 0] == 1).all()
    assert spheres.sum() / 4 == pytest.approx(math.pi / 4 * sum(diameter**2 for diameter in nema.SPHERES_MM), rel=0.01)


@pytest.fixture(scope="module")
def spheres() -> Phantom:
    """The NEMA-like trunk around the plane of the spheres, without noise."""
    return made("pet-nemaiq", size=96, slices=17, spacing_mm=4.0)


def test_recovery_rises_with_the_diameter_of_the_sphere(spheres: Phantom) -> None:
    means = [suv(spheres, sphere).mean() for sphere in reversed(nema.spheres())]
    highest = [suv(spheres, sphere).max() for sphere in reversed(nema.spheres())]
    assert all(small < large for small, large in pairwise(means))
    assert all(small < large for small, large in pairwise(highest[:4]))
    assert 1.2 < means[0] < 2.5
    assert suv(spheres, nema.spheres()[0], 0.5).mean() == pytest.approx(nema.CONTRAST, rel=0.1)


def test_the_background_is_one_and_the_lung_is_cold(spheres: Phantom) -> None:
    for ball in nema.background()[:3]:
        assert suv(spheres, ball).mean() == pytest.approx(1.0, rel=0.03)
    assert suv(spheres, Ball(name="lung", centre_mm=(0.0, 0.0, 10.0), radius_mm=8.0, value=0.0)).mean() < 0.3


# ---- body ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_every_place_and_lesion_has_the_suv_that_is_known_of_it(seed: int) -> None:
    generator = np.random.default_rng(seed)
    patient = anatomy_pet.draw(generator)
    lesions = [pet_phantoms.lesion(site, generator) for site in pet_phantoms.SITES]
    one = made("pet-body", seed, slices=1, size=16)
    assert known(one).places == (*patient.places, *lesions)
    grid = Grid(slices=1, size=256, pixel_mm=1.6, spacing_mm=1.0)
    y, x = grid.plane()
    for place in known(one).places:
        image = np.zeros((256, 256), np.float32)
        across, down, along = place.centre_mm
        paint(image, grid, along, [*patient.organs, *lesions])
        inside = np.hypot(x - across, y - down) < place.radius_mm - 1.6
        np.testing.assert_allclose(image[inside], place.value, rtol=1e-5)


def test_the_liver_and_the_blood_measure_their_suv() -> None:
    one = made("pet-body", 2, slices=3, size=128, spacing_mm=25.0)
    liver, blood = (next(place for place in known(one).places if place.name == name) for name in ("liver", "blood pool"))
    assert suv(one, liver).mean() == pytest.approx(liver.value, rel=0.03)
    assert 2.2 * 0.9 <= liver.value <= 2.2 * 1.1
    assert suv(one, blood, 0.8).mean() == pytest.approx(blood.value, rel=0.15)


def test_the_phantom_of_the_demonstration_stays_as_it_was() -> None:
    many = phantom.pet(np.random.default_rng(5), slices=2, size=48, spacing_mm=150.0, counts=1e6).array
    np.testing.assert_allclose(many.mean(axis=(1, 2)), (446.26062, 255.43015), rtol=1e-3)
    np.testing.assert_allclose(many[1, 24, 14:38:4], (1313.586, 1248.292, 2401.680, 5487.996, 1357.320, 1125.755), rtol=2e-3)


# ---- scan ------------------------------------------------------------------------------------------------------------------


def test_the_same_seed_is_the_same_phantom_and_another_is_another() -> None:
    for kind in pet_phantoms.KINDS:
        first, again, other = (made(kind, seed, size=32, slices=2, counts=1.0).array for seed in (1, 1, 2))
        np.testing.assert_array_equal(first, again)
        assert np.abs(first - other).mean() > 0
        assert first.dtype == np.float32


def test_unknown_names_are_refused() -> None:
    with pytest.raises(InvalidPhantom, match=r"MQ703: .* spleen .* pet-body, pet-nemaiq, pet-cylinder"):
        made("spleen")
    with pytest.raises(InvalidPhantom, match=r"MQ703: .* there are ge, siemens, philips, philips-new"):
        pet_vendors.vendor_of("acme")
    with pytest.raises(InvalidPhantom, match="MQ703"):
        pet_vendors.form(phantom.pet(np.random.default_rng(0), slices=1, size=16), pet_vendors.vendor_of("ge"))


# ---- files -----------------------------------------------------------------------------------------------------------------


def written(folder: Path, one: Phantom, vendor: str) -> Series:
    pet_vendors.save(folder, one, pet_vendors.vendor_of(vendor))
    (series,) = reader.read(folder).series
    assert not series.notes
    return series


def moment(date: str, time: str) -> datetime:
    return datetime.strptime(date + time.split(".")[0], "%Y%m%d%H%M%S")  # noqa: DTZ007 - local times, as in the header


@pytest.mark.parametrize("kind", pet_phantoms.KINDS)
@pytest.mark.parametrize("vendor", pet_vendors.VENDORS)
def test_the_suv_of_every_vendors_header_is_the_known_one(kind: str, vendor: str, tmp_path: Path) -> None:
    one = made(kind, size=32, slices=3, spacing_mm=40.0)
    series = written(tmp_path, one, vendor)
    assert series.unit == Unit.BQ_PER_ML
    np.testing.assert_allclose(series.volume.slab(0, 3), one.array, atol=one.array.max() / 32767)
    pt = series.acquisition.pt
    assert pt is not None
    assert pt.suv_factor == pytest.approx(1 / known(one).bq_per_ml, rel=1e-4)
    # The same from the header by hand: what is left of the dose, over the weight.
    header = pydicom.dcmread(tmp_path / "0003.dcm")
    drug = header.RadiopharmaceuticalInformationSequence[0]
    injected = moment(drug.RadiopharmaceuticalStartDateTime[:8], drug.RadiopharmaceuticalStartDateTime[8:])
    seconds = (moment(header.SeriesDate, header.SeriesTime) - injected).total_seconds()
    left = float(drug.RadionuclideTotalDose) * 2 ** (-seconds / float(drug.RadionuclideHalfLife))
    by_hand = 1000 * float(header.PatientWeight) / left
    stored = header.pixel_array * float(header.RescaleSlope)
    if vendor.startswith("philips"):
        block = header.private_block(0x7053, "Philips PET Private Group")
        to_suv, to_activity = (float(block[element].value) for element in (0x00, 0x09))
        assert header.Units == {"philips": "CNTS", "philips-new": "BQML"}[vendor]
        np.testing.assert_allclose(stored * to_suv, stored * to_activity * by_hand, rtol=1e-6)
    else:
        to_activity = 1.0
        assert header.Units == "BQML"
    suvs = stored * to_activity * by_hand
    np.testing.assert_allclose(suvs, one.array[2] / known(one).bq_per_ml, atol=1e-4 * suvs.max())
    if vendor == "ge":
        assert header.private_block(0x0009, "GEMS_PETD_01")[0x0D].value.startswith(header.SeriesDate + header.SeriesTime)
    assert (header.DecayCorrection, pt.weight_kg) == ("START", pytest.approx(known(one).weight_kg))


@pytest.mark.parametrize("vendor", pet_vendors.VENDORS)
def test_every_bed_has_its_time_and_its_decay(vendor: str, tmp_path: Path) -> None:
    scanned = made("pet-body", size=16, slices=1, counts=0.5)
    one = replace(scanned, array=np.ones((22, 16, 16), np.float32), grid=Grid(slices=22, size=16, pixel_mm=32.0, spacing_mm=40.0))
    written(tmp_path, one, vendor)
    headers = [pydicom.dcmread(path, stop_before_pixels=True) for path in sorted(tmp_path.iterdir())]
    starts = [
        (moment(header.AcquisitionDate, header.AcquisitionTime) - moment(header.SeriesDate, header.SeriesTime)).seconds
        for header in headers
    ]
    assert starts == sorted(starts)
    step = headers[0].ActualFrameDuration / 1000
    assert step == 90  # half the counts in half the time
    np.testing.assert_allclose(np.unique(starts), step * np.arange(len(set(starts))), atol=1e-6)
    assert len(set(starts)) > 4
    rate = math.log(2) / 6586.2
    for start, header in zip(starts, headers, strict=True):
        # The mean over the frame of an exponential, by adding it up.
        times = start + (np.arange(1000) + 0.5) / 1000 * step
        assert float(header.DecayFactor) == pytest.approx(1 / np.exp(-rate * times).mean(), rel=1e-5)
        assert start < float(header.FrameReferenceTime) / 1000 < start + step
        assert math.exp(rate * float(header.FrameReferenceTime) / 1000) == pytest.approx(float(header.DecayFactor), rel=1e-5)
    assert {header.NumberOfSlices for header in headers} == {22}


def test_other_counts_are_another_series(tmp_path: Path) -> None:
    uids = {written(tmp_path / str(counts), made("pet-cylinder", size=16, counts=counts), "ge").series_uid for counts in (1.0, 2.0)}
    assert len(uids) == 2
