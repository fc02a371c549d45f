"""Degradations against the laws they claim to follow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from medqa import simulate
from medqa.simulate import Plan, ct, mr, pet
from medqa.simulate.mr import motion

SIZE = 192


def water(size: int = SIZE) -> np.ndarray:
    """A water cylinder of 0.42 of the field with an insert, in HU."""
    y, x = np.meshgrid(*(np.arange(size) - (size - 1) / 2,) * 2, indexing="ij")
    image = np.where(np.hypot(y, x) < 0.42 * size, 30.0, -1000.0)
    return np.where(np.hypot(y - 0.2 * size, x) < 0.06 * size, 90.0, image).astype(np.float32)


def head(size: int = 128) -> np.ndarray:
    """A smooth object with an edge, for MR and PET."""
    y, x = np.meshgrid(*(np.arange(size) - (size - 1) / 2,) * 2, indexing="ij")
    inside = 1 / (1 + np.exp((np.hypot(y, x * 1.2) - 0.35 * size) / 0.8))
    return (inside * (300 + 60 * np.cos(y / 9) * np.cos(x / 7))).astype(np.float32)


IMAGES = {"CT": water(), "MR": head(), "PT": head(64)}
PIXEL_MM = {"CT": 1.6, "MR": 1.5, "PT": 5.0}
ALL = [(modality, kind) for modality, kinds in simulate.STRENGTHS.items() for kind in kinds]


@pytest.mark.parametrize(("modality", "kind"), ALL)
def test_every_kind_gets_worse_level_by_level_and_repeats_exactly(modality: str, kind: str):
    image = IMAGES[modality]
    severities = []
    for level in (1, 2, 3, 4):
        plan = simulate.draw(modality, kind, level, np.random.default_rng(3), pixel_mm=PIXEL_MM[modality])
        first = simulate.apply(image, plan, pixel_mm=PIXEL_MM[modality])
        again = simulate.apply(image, plan, pixel_mm=PIXEL_MM[modality])
        assert np.array_equal(first.array, again.array)
        assert first.array.shape == image.shape
        assert first.array.dtype == np.float32
        assert np.isfinite(first.array).all()
        assert plan.label == 4 - level
        severities.append(first.severity)
    assert severities == sorted(severities)
    assert severities[3] > 2 * severities[0] > 0


@pytest.mark.parametrize("modality", ["CT", "MR", "PT"])
def test_pixels_without_a_value_stay_without_one(modality: str):
    image = IMAGES[modality].copy()
    image[:5, :7] = np.nan
    for kind in simulate.STRENGTHS[modality]:
        done = simulate.degrade(image, modality, kind, 2, np.random.default_rng(0), pixel_mm=PIXEL_MM[modality])
        assert np.array_equal(np.isnan(done.array), np.isnan(image))


def test_a_lower_dose_adds_noise_by_the_root_law():
    """At dose fraction a, the variance becomes 1/a of the slice's own: what is added has the slice's own times 1/a - 1."""
    image = water()
    tissue = ct.soft_tissue(image)
    noise = ct.quantum_noise(image, 1.6, seed=5, cutoff_per_mm=0.3)
    own = 12.0
    noisy = image + noise * np.float32(own / ct.tissue_noise(noise, tissue))
    measured = ct.tissue_noise(noisy, tissue)
    assert measured == pytest.approx(own, rel=0.15)
    given = {"cutoff_per_mm": 0.3, "electronic_photons": 0.0}
    for fraction in (0.5, 0.25, 0.125):
        plan = Plan(modality="CT", kind="dose", level=1, parameters={"dose": fraction, "seed": 9.0, **given})
        done = ct.apply(noisy, plan, pixel_mm=1.6)
        assert ct.tissue_noise(done.array, tissue) == pytest.approx(measured / np.sqrt(fraction), rel=0.12)
        assert done.array[tissue].mean() == pytest.approx(noisy[tissue].mean(), abs=2.0)


def test_ct_noise_is_stronger_and_streaky_along_the_long_way_through_the_body():
    y, x = np.meshgrid(*(np.arange(SIZE) - (SIZE - 1) / 2,) * 2, indexing="ij")
    ellipse = np.where((y / 40) ** 2 + (x / 85) ** 2 < 1, 20.0, -1000.0).astype(np.float32)
    noise = ct.quantum_noise(ellipse, 2.0, seed=1, cutoff_per_mm=0.25, modulated=0.0)
    inside = noise[80:112, 60:132]
    along = np.mean(inside[:, :-4] * inside[:, 4:])
    across = np.mean(inside[:-4] * inside[4:])
    assert along > across + 0.1 * inside.var()


def test_ct_blur_has_the_declared_width():
    """A sharp edge under a Gaussian of width w becomes an error function of that width."""
    edge = np.where(np.arange(256)[None, :] < 128, -100.0, 100.0).repeat(64, axis=0).astype(np.float32)
    plan = Plan(modality="CT", kind="blur", level=4, parameters={"fwhm_mm": 6.5, "seed": 0.0})
    profile = ct.apply(edge, plan, pixel_mm=0.5).array[32]
    spread = np.diff(profile)
    place = np.arange(spread.size)
    deviation = np.sqrt(np.sum(spread * (place - np.sum(spread * place) / spread.sum()) ** 2) / spread.sum())
    assert deviation * 0.5 * 2.3548 == pytest.approx(6.5, rel=0.02)


def test_ct_motion_doubles_the_contour_by_the_way_it_moved():
    image = np.full((SIZE, SIZE), -1000.0, dtype=np.float32)
    image[94:98, 94:98] = 1000
    parameters = {"displacement_mm": 24.0, "seed": 0.0, "direction_rad": 0.0, "onset": 0.5, "duration": 0.02}
    done = ct.apply(image, Plan(modality="CT", kind="motion", level=4, parameters=parameters), pixel_mm=1.6)
    row = done.array[94:98].mean(axis=0)
    left, right = int(np.argmax(row[:95])), 97 + int(np.argmax(row[97:]))
    assert (right - left) * 1.6 == pytest.approx(24.0, abs=5.0)


def test_rings_are_rings():
    image = water()
    parameters = {"amplitude_hu": 40.0, "seed": 4.0, "channels": 3.0}
    change = ct.apply(image, Plan(modality="CT", kind="rings", level=3, parameters=parameters), pixel_mm=1.6).array - image
    y, x = np.meshgrid(*(np.arange(SIZE) - (SIZE - 1) / 2,) * 2, indexing="ij")
    radius = np.hypot(y, x)
    inner = (radius > 8) & (radius < 70)
    ring_mean = np.bincount(radius[inner].round().astype(int), change[inner]) / np.maximum(
        np.bincount(radius[inner].round().astype(int)), 1
    )
    explained = np.var(ring_mean[radius[inner].round().astype(int)]) / np.var(change[inner])
    assert explained > 0.6


def test_mr_noise_divides_the_signal_to_noise_ratio_as_declared():
    image = head()
    own = 0.02 * image[mr.foreground(image)].mean()
    clean = np.hypot(image + own * np.random.default_rng(0).standard_normal(image.shape), 0).astype(np.float32)
    for factor in (2.0, 4.0, 8.0):
        plan = Plan(modality="MR", kind="noise", level=1, parameters={"snr_divisor": factor, "seed": 2.0})
        done = mr.apply(clean, plan, pixel_mm=1.5)
        added = (done.array - clean)[44:84, 44:84].std()
        assert np.hypot(added, own) == pytest.approx(factor * own, rel=0.25)


def test_noise_in_the_air_of_a_magnitude_image_is_rayleigh_distributed():
    image = head()
    plan = Plan(modality="MR", kind="noise", level=3, parameters={"snr_divisor": 10.0, "seed": 2.0})
    air = mr.apply(image, plan, pixel_mm=1.5).array[:16, :16]
    assert air.mean() / air.std() == pytest.approx(1.913, rel=0.15)


@pytest.mark.parametrize("axis", [0, 1])
def test_ghosts_lie_along_the_phase_direction_at_the_expected_distance_and_strength(axis: int):
    image = np.zeros((128, 128), dtype=np.float32)
    image[60:68, 60:68] = 100
    parameters = {"ghost_share": 0.25, "seed": 0.0, "phase_axis": float(axis), "period_lines": 4.0, "onset_rad": 0.3}
    done = mr.apply(image, Plan(modality="MR", kind="ghost", level=3, parameters=parameters), pixel_mm=1.0).array
    profile = done[:, 62:66].mean(axis=1) if axis == 0 else done[62:66].mean(axis=0)
    # Four lines a period: a quarter of the field, 32 pixels.
    assert profile[62 + 32] == pytest.approx(25, rel=0.05)
    assert profile[62 - 32] == pytest.approx(25, rel=0.05)
    other = done[62:66].mean(axis=0) if axis == 0 else done[:, 62:66].mean(axis=1)
    assert other[62 + 32] == pytest.approx(0, abs=1)


def test_mr_motion_is_still_at_first_and_moves_near_the_centre_of_k_space():
    plan = mr.draw("motion", 3, np.random.default_rng(8), pixel_mm=1.0, phase_axis=0)
    path = motion.trajectory(256, plan.parameters)
    assert path[0] == 0
    assert np.abs(path).max() == pytest.approx(1)
    steps = np.flatnonzero(np.diff(path))
    assert ((steps > 0.4 * 256) & (steps < 0.6 * 256)).sum() >= 2


def test_a_zipper_is_one_line_across_the_image():
    image = head()
    parameters = {"interference": 3.0, "seed": 1.0, "phase_axis": 0.0, "place": 0.25}
    change = np.abs(mr.apply(image, Plan(modality="MR", kind="zipper", level=4, parameters=parameters), pixel_mm=1.0).array - image)
    columns = change.mean(axis=0)
    assert int(np.argmax(columns)) == pytest.approx(32, abs=1)
    assert columns[31:34].sum() > 0.5 * columns.sum()


def test_thinned_pet_counts_give_the_declared_noise_and_keep_the_mean():
    image = head(64)
    mask = pet.body(image)
    for fraction, expected in ((0.5, 0.12), (0.25, 0.12 * np.sqrt(3))):
        parameters = {"counts": fraction, "seed": 6.0, "filter_mm": 5.0}
        done = pet.apply(image, Plan(modality="PT", kind="counts", level=1, parameters=parameters), pixel_mm=5.0)
        assert done.severity == pytest.approx(expected, rel=0.2)
        assert done.array[mask].mean() == pytest.approx(image[mask].mean(), rel=0.03)
        assert (done.array >= 0).all()


def test_pet_noise_follows_activity_and_is_correlated():
    image = head(64)
    image[:, 32:] *= 0.25
    changes = []
    for seed in range(6):
        parameters = {"counts": 0.25, "seed": float(seed), "filter_mm": 5.0}
        changes.append(
            pet.apply(image, Plan(modality="PT", kind="counts", level=2, parameters=parameters), pixel_mm=5.0).array - image
        )
    deviation = np.std(changes, axis=0)
    assert deviation[26:38, 18:28].mean() > 1.5 * deviation[26:38, 36:46].mean()
    near = np.mean([np.corrcoef(change[20:44, 18:28].ravel(), change[20:44, 19:29].ravel())[0, 1] for change in changes])
    assert near > 0.2


def test_osem_finds_the_activity_behind_noise_free_counts():
    from medqa.simulate.projector import beam_for, project

    image = head(64) / np.float32(100)
    beam = beam_for(image.shape, 5.0, views=pet.VIEWS)
    lines = project(image, beam, 5.0)
    survival = np.full_like(lines, 0.4)
    found = pet.osem(survival * lines + 2, np.full_like(lines, 2), survival, beam, image.shape, 5.0)
    middle = (slice(24, 40), slice(24, 40))
    assert found[middle].mean() == pytest.approx(image[middle].mean(), rel=0.03)


@settings(max_examples=25, deadline=None)
@given(
    rows=st.integers(17, 70),
    columns=st.integers(17, 70),
    choice=st.sampled_from([pair for pair in ALL if pair[1] != "counts"]),
    level=st.integers(1, 4),
    seed=st.integers(0, 999),
)
def test_any_shape_can_be_degraded(rows: int, columns: int, choice: tuple[str, str], level: int, seed: int):
    modality, kind = choice
    generator = np.random.default_rng(seed)
    image = (generator.random((rows, columns)) * 100).astype(np.float32)
    done = simulate.degrade(image, modality, kind, level, generator, pixel_mm=2.0)
    assert done.array.shape == image.shape
    assert np.isfinite(done.array).all()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_real_slice_taken_to_a_quarter_of_its_dose_matches_the_challenge_organisers(data: Path, seed: int):
    """The Mayo slice at full and at quarter dose: what we add must be as strong and as fine as what they added.

    The slice at full dose is all that the simulation sees. The mean frequency is that of the noise power in soft tissue, in cycles
    per pixel.
    """
    import SimpleITK as sitk

    full, quarter = (
        np.squeeze(sitk.GetArrayFromImage(sitk.ReadImage(str(data / f"ct/l506_{name}_s176.nii.gz")))).astype(np.float32)
        for name in ("full", "quarter")
    )
    plan = ct.draw("dose", 2, np.random.default_rng(seed), pixel_mm=0.7)
    mine = ct.apply(full, plan, pixel_mm=0.7).array - full
    theirs = quarter - full
    whole = ndimage.binary_erosion(ct.soft_tissue(full), iterations=2)
    corners = [(y, x) for y in range(0, 480, 16) for x in range(0, 480, 16) if whole[y : y + 32, x : x + 32].all()]
    assert len(corners) > 50
    deviation, frequency = {}, {}
    radius = np.hypot(*np.meshgrid(*(np.fft.fftfreq(32),) * 2))
    ring = np.rint(radius * 32).astype(int)
    for name, noise in (("mine", mine), ("theirs", theirs)):
        patches = np.stack([noise[y : y + 32, x : x + 32] for y, x in corners])
        patches -= patches.mean(axis=(1, 2), keepdims=True)
        deviation[name] = patches.std(axis=(1, 2)).mean()
        power = (np.abs(np.fft.fft2(patches)) ** 2).mean(axis=0)
        profile = np.bincount(ring.ravel(), power.ravel())[:17] / np.bincount(ring.ravel())[:17]
        frequency[name] = (np.arange(17) / 32 @ profile) / profile.sum()
    assert deviation["mine"] == pytest.approx(deviation["theirs"], rel=0.1)
    assert frequency["mine"] == pytest.approx(frequency["theirs"], rel=0.15)
