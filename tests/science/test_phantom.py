"""Phantoms hold what they promise: organs and their values, noise that follows physics, one patient a seed, valid files."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import pydicom
import pytest

from medqa.codes import Unit
from medqa.reader import read
from medqa.simulate import anatomy_ct, anatomy_mr, anatomy_pet, phantom, study
from medqa.simulate.phantom import Phantom
from medqa.simulate.shapes import Ellipsoid, Grid, Rod, paint

SMALL = {
    "CT": lambda seed=0, **values: phantom.ct(np.random.default_rng(seed), **{"slices": 4, "size": 128, **values}),
    "MR": lambda seed=0, **values: phantom.mr(np.random.default_rng(seed), **{"slices": 4, "size": 96, **values}),
    "PT": lambda seed=0, **values: phantom.pet(np.random.default_rng(seed), **{"slices": 3, "size": 64, **values}),
}


def at(made: Phantom, x: float, y: float, z: float, half_mm: float = 8.0) -> np.ndarray:
    """The voxels of a small square around a place in mm."""
    axis, heights = made.grid.axis_mm, made.grid.heights_mm
    plane = made.array[int(np.argmin(np.abs(heights - z)))]
    return plane[np.ix_(np.abs(axis - y) <= half_mm, np.abs(axis - x) <= half_mm)]


# ---- shapes ----------------------------------------------------------------------------------------------------------------


def test_a_painted_ellipsoid_has_its_volume_and_its_centre() -> None:
    grid = Grid(slices=61, size=64, pixel_mm=1.0, spacing_mm=1.0)
    shape = Ellipsoid((5.0, -3.0, 2.0), (20.0, 12.0, 9.0), 1.0, turn_deg=30)
    total, moment = 0.0, np.zeros(3)
    for z in grid.heights_mm:
        image = np.zeros((64, 64), np.float32)
        paint(image, grid, float(z), [shape])
        y, x = grid.plane()
        total += image.sum()
        moment += [(image * x).sum(), (image * y).sum(), image.sum() * z]
    assert total == pytest.approx(4 / 3 * np.pi * 20 * 12 * 9, rel=0.02)
    np.testing.assert_allclose(moment / total, (5.0, -3.0, 2.0), atol=0.1)


def test_a_painted_rod_has_the_volume_of_a_cylinder_with_round_ends() -> None:
    grid = Grid(slices=61, size=64, pixel_mm=1.0, spacing_mm=1.0)
    rod = Rod((-8.0, 0.0, -20.0), (8.0, 5.0, 20.0), 6.0, 1.0)
    total = 0.0
    for z in grid.heights_mm:
        image = np.zeros((64, 64), np.float32)
        paint(image, grid, float(z), [rod])
        total += image.sum()
    length = np.sqrt(16**2 + 5**2 + 40**2)
    assert total == pytest.approx(np.pi * 36 * length + 4 / 3 * np.pi * 216, rel=0.02)


def test_what_lies_outside_the_grid_is_no_error() -> None:
    grid = Grid(slices=1, size=16, pixel_mm=1.0, spacing_mm=1.0)
    image = np.zeros((16, 16), np.float32)
    paint(image, grid, 0.0, [Ellipsoid((500.0, 0.0, 0.0), (5.0, 5.0, 5.0), 1.0), Rod((0.0, 90.0, 0.0), (9.0, 99.0, 0.0), 2.0, 1.0)])
    assert not image.any()


# ---- patients --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("modality", SMALL)
def test_the_same_seed_is_the_same_patient_and_another_is_another(modality: str) -> None:
    make = SMALL[modality]
    np.testing.assert_array_equal(make(1).array, make(1).array)
    assert np.abs(make(1).array - make(2).array).mean() > 0
    assert make(1).array.dtype == np.float32


def test_the_ct_shows_air_lung_fat_liver_and_bone_in_their_places() -> None:
    made = phantom.ct(np.random.default_rng(3), slices=5, size=256, spacing_mm=30.0, realisations=2)
    assert at(made, -195, -190, 0).mean() == pytest.approx(-1000, abs=10)
    assert at(made, 75, 0, 60, 6).mean() == pytest.approx(anatomy_ct.LUNG, abs=60)
    assert at(made, -95, 0, 0).mean() == pytest.approx(anatomy_ct.LIVER, abs=12)
    assert at(made, 0, 62, 30, 5).mean() > 150
    for part in (made.array[1:4] > -500).mean(axis=(1, 2)):
        assert 0.2 < part < 0.6


def test_ct_noise_is_what_it_is_declared_and_grows_with_one_over_the_root_of_the_dose() -> None:
    values = {"slices": 1, "size": 256, "realisations": 1}
    clean = SMALL["CT"](5, **values, dose=1e12)
    full, quarter, sixteenth = (SMALL["CT"](5, **values, dose=dose) for dose in (1, 1 / 4, 1 / 16))

    def noise(made: Phantom) -> float:
        return float((at(made, -80, 0, 0, 20) - at(clean, -80, 0, 0, 20)).std())

    assert noise(full) == pytest.approx(phantom.CT_NOISE_HU, rel=0.35)
    assert noise(quarter) == pytest.approx(2 * noise(full), rel=0.01)
    assert noise(sixteenth) == pytest.approx(4 * noise(full), rel=0.01)


def test_ct_noise_is_correlated_as_a_reconstruction_makes_it_and_not_white() -> None:
    values = {"slices": 1, "size": 256, "realisations": 1}
    noise = (SMALL["CT"](5, **values).array - SMALL["CT"](5, **values, dose=1e12).array)[0, 96:160, 60:124]
    power = np.abs(np.fft.fftshift(np.fft.fft2(noise - noise.mean()))) ** 2
    y, x = np.mgrid[-32:32, -32:32]
    radius = np.hypot(y, x)
    low, middle, high = (power[(radius >= a) & (radius < b)].mean() for a, b in ((1, 4), (8, 16), (28, 32)))
    assert middle > 1.5 * low  # the ramp
    assert middle > 4 * high  # the window


def test_slices_between_realisations_have_noise_of_the_same_level_and_their_own() -> None:
    values = {"slices": 5, "size": 128, "spacing_mm": 2.0}
    noise = SMALL["CT"](5, **values, realisations=2).array - SMALL["CT"](5, **values, realisations=2, dose=1e12).array
    parts = noise[:, 48:80, 30:60].reshape(5, -1)
    assert parts.std(axis=1).max() < 1.5 * parts.std(axis=1).min()
    assert (np.abs(np.corrcoef(parts)) - np.eye(5)).max() < 0.999


def test_the_mr_shows_its_tissues_and_rician_noise_in_the_air() -> None:
    made = phantom.mr(np.random.default_rng(3), slices=5, size=192, spacing_mm=16.0)
    sigma = phantom.MR_NOISE * anatomy_mr.WHITE_MATTER
    air = at(made, -105, -105, 12, 12)
    assert air.mean() == pytest.approx(sigma * np.sqrt(np.pi / 2), rel=0.1)  # Rayleigh
    assert air.std() == pytest.approx(sigma * np.sqrt(2 - np.pi / 2), rel=0.15)
    assert at(made, 24, 5, 28, 3).mean() == pytest.approx(anatomy_mr.WHITE_MATTER, rel=0.15)
    middle = made.array[2]
    assert np.percentile(middle, 99.5) > 0.8 * anatomy_mr.FAT


def test_the_pet_shows_liver_and_bladder_at_their_suv() -> None:
    made = phantom.pet(np.random.default_rng(3), slices=3, spacing_mm=159.0)
    suv = made.array / anatomy_pet.BQ_PER_ML_PER_SUV
    heights = list(made.grid.heights_mm)
    assert heights == [-104.0, 55.0, 214.0]
    assert at(made, -70, 0, 55, 20).mean() / anatomy_pet.BQ_PER_ML_PER_SUV == pytest.approx(2.2, rel=0.15)
    assert suv[:, :20, :20].mean() < 0.05


def test_pet_noise_grows_when_counts_get_fewer_while_the_mean_stays() -> None:
    many, few = (SMALL["PT"](4, slices=1, size=128, counts=counts) for counts in (4.0, 1 / 4))
    livers = [at(made, -70, 0, 55, 25) for made in (many, few)]
    assert livers[0].mean() == pytest.approx(livers[1].mean(), rel=0.15)
    ratio = (livers[1].std() / livers[1].mean()) / (livers[0].std() / livers[0].mean())
    assert 2.0 < ratio < 6.0  # the root of 16 for a linear reconstruction; OSEM is not


# ---- files -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("modality", SMALL)
def test_the_files_are_valid_and_read_back_with_the_values_that_were_written(
    modality: str, peer: Callable[[str, str], str], tmp_path: Path
) -> None:
    made = SMALL[modality](7)
    form = study.form_of(made, seed=7, label="a test")
    paths = study.save(tmp_path, made.array, form)
    said = subprocess.run([peer("dciodvfy", "dicom3tools"), str(paths[1])], capture_output=True, text=True, check=False, timeout=60)
    assert [line for line in said.stderr.splitlines() if line.startswith("Error")] == []
    (series,) = read(tmp_path).series
    assert (series.modality, series.series_uid, series.study_uid) == (modality, form.series_uid, form.study_uid)
    assert series.volume.shape == made.array.shape
    assert series.volume.spacing_mm == pytest.approx((form.spacing_mm, form.pixel_mm, form.pixel_mm), rel=1e-5)
    step = {"CT": 0.51, "MR": 0.51, "PT": made.array.max() / 32767}[modality]
    np.testing.assert_allclose(series.volume.slab(0, len(made.array)), np.clip(made.array, -1024, None), atol=step)
    assert series.unit == {"CT": Unit.HU, "MR": Unit.ARBITRARY, "PT": Unit.BQ_PER_ML}[modality]
    assert not series.notes


def test_the_pet_header_gives_the_suv_that_the_patient_was_painted_with(tmp_path: Path) -> None:
    study.save(tmp_path, np.ones((2, 8, 8), np.float32), study.Form(modality="PT", pixel_mm=4.0, spacing_mm=4.0, slices=2))
    (series,) = read(tmp_path).series
    assert series.acquisition.pt is not None
    assert series.acquisition.pt.suv_factor == pytest.approx(1 / anatomy_pet.BQ_PER_ML_PER_SUV, rel=1e-3)
    assert series.acquisition.pt.number_of_slices == 2


def test_the_same_seed_writes_the_same_bytes_and_another_label_another_series(tmp_path: Path) -> None:
    image = np.zeros((1, 16, 16), np.float32)
    forms = [study.Form(modality="CT", pixel_mm=1.0, spacing_mm=1.0, slices=1, seed=1, label=label) for label in "aab"]
    first, again, other = (study.save(tmp_path / str(n), image, form)[0] for n, form in enumerate(forms))
    assert first.read_bytes() == again.read_bytes()
    uids = [(header.StudyInstanceUID, header.SeriesInstanceUID) for header in map(pydicom.dcmread, (first, other))]
    assert uids[0][0] == uids[1][0]
    assert uids[0][1] != uids[1][1]


def test_a_long_series_is_written_from_a_stream_of_slices(tmp_path: Path) -> None:
    slices = islice(cycle(np.zeros((2, 16, 16), np.float32)), 300)
    paths = study.save(tmp_path, slices, study.Form(modality="MR", pixel_mm=1.0, spacing_mm=1.0, slices=300))
    assert len(paths) == len({pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID for path in paths}) == 300


def test_header_values_can_be_overridden(tmp_path: Path) -> None:
    form = study.Form(modality="CT", pixel_mm=1.0, spacing_mm=1.0, slices=1, values={"KVP": 80, "PatientName": "Other^Name"})
    header = pydicom.dcmread(study.save(tmp_path, np.zeros((1, 4, 4), np.float32), form)[0])
    assert (header.KVP, str(header.PatientName)) == (80, "Other^Name")
