"""MR phantoms show what is known of them: contrast, classes, noise, holes, wedges, ramps and discs, in any maker's header."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from medqa import reader
from medqa.errors import InvalidPhantom
from medqa.series import Series
from medqa.simulate import acr_mr, anatomy_mr, mr, mr_phantoms, mr_vendors, phantom
from medqa.simulate.inserts import Insert
from medqa.simulate.mr_scan import Known, Scan, sampled
from medqa.simulate.mr_tissues import TISSUES, WEIGHTINGS, Label
from medqa.simulate.phantom import Phantom
from medqa.simulate.shapes import Grid, paint

QUIET = 1e6
"""A ratio of signal to noise at which noise does not matter."""


def made(kind: str, seed: int = 0, **scan: object) -> Phantom:
    values = {"snr": QUIET, "coil": 0.0, "spacing_mm": 10.0, **scan}
    return mr_phantoms.make(kind, np.random.default_rng(seed), Scan(**values))


def known(one: Phantom) -> Known:
    assert isinstance(one.known, Known)
    return one.known


def at_height(one: Phantom, z_mm: float) -> np.ndarray:
    return one.array[int(np.argmin(np.abs(one.grid.heights_mm - z_mm)))]


def radius(one: Phantom) -> np.ndarray:
    y, x = one.grid.plane()
    return np.hypot(y, x)


# ---- scan ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("cycles", "left"), [(5, 1.0), (14, 0.5 + 0.5 * math.cos(math.pi * (14 / 16 - 0.8) / 0.2)), (18, 0.0)])
@pytest.mark.parametrize("times", [3, 5])
def test_k_space_keeps_waves_that_the_pixels_carry_and_nothing_above(times: int, cycles: int, left: float) -> None:
    size = 32

    def wave(grid: Grid) -> np.ndarray:
        _, x = grid.plane()
        return np.repeat(np.cos(2 * np.pi * cycles * x / size), grid.size, axis=0).astype(np.float32)

    fine, coarse = (Grid(slices=1, size=size * n, pixel_mm=1.0 / n, spacing_mm=1.0) for n in (times, 1))
    # Painting averages over a fine pixel, which is taken out again; this wave is no average and comes out larger by that.
    aperture = np.sinc(cycles / fine.size)
    np.testing.assert_allclose(sampled(wave(fine), fine, times, taper=0.2), wave(coarse) * left / aperture, atol=2e-4)


@pytest.mark.parametrize("snr", [10.0, 50.0, 200.0])
def test_the_uniform_section_has_the_signal_to_noise_that_was_asked_for(snr: float) -> None:
    one = made("mr-acr", size=128, slices=3, snr=snr)
    inside = one.array[1][radius(one) < 80].astype(np.float64)
    sigma = known(one).noise
    assert sigma == pytest.approx(acr_mr.FLUID / snr)
    # The mean of Rice's law, and the deviation of one channel where there is signal.
    assert inside.mean() == pytest.approx(acr_mr.FLUID + sigma**2 / (2 * acr_mr.FLUID), rel=0.003)
    assert acr_mr.FLUID / inside.std() == pytest.approx(snr, rel=0.04)


def test_air_is_rayleigh_and_noise_is_drawn_for_each_slice() -> None:
    one = made("mr-acr", size=128, slices=2, snr=20.0)
    air = one.array[:, radius(one) > 112].astype(np.float64)
    sigma = known(one).noise
    assert air.mean() == pytest.approx(sigma * math.sqrt(math.pi / 2), rel=0.02)
    assert air.std() == pytest.approx(sigma * math.sqrt(2 - math.pi / 2), rel=0.03)
    assert abs(np.corrcoef(air)[0, 1]) < 0.1


def test_the_coil_is_as_uneven_as_asked_for_and_a_typical_one_passes_the_guidance() -> None:
    def edges(coil: float) -> tuple[float, float]:
        one = made("mr-acr", size=96, slices=1, coil=coil)
        # The guidance measures in regions of a square centimetre: ringing does not count.
        inside = ndimage.uniform_filter(one.array[0], 4)[radius(one) < 80]
        return float(inside.min()), float(inside.max())

    flat, typical, double = (edges(coil) for coil in (0.0, 1.0, 2.0))
    assert flat[1] - flat[0] < 0.01 * acr_mr.FLUID
    assert double[1] - double[0] == pytest.approx(2 * (typical[1] - typical[0]), rel=0.03)
    assert 1 - (typical[1] - typical[0]) / (typical[1] + typical[0]) > 0.875  # percent integral uniformity below 3 T


def test_the_same_seed_is_the_same_phantom_and_another_is_another() -> None:
    for kind in mr_phantoms.KINDS:
        first, again, other = (made(kind, seed, size=48, slices=2, snr=30.0).array for seed in (1, 1, 2))
        np.testing.assert_array_equal(first, again)
        assert np.abs(first - other).mean() > 0
        assert first.dtype == np.float32


def test_the_phantom_of_the_demonstration_stays_as_it_was() -> None:
    clean = phantom.mr(np.random.default_rng(5), slices=3, size=64, spacing_mm=30.0, noise=0.0).array
    np.testing.assert_allclose(clean.mean(axis=(1, 2)), (197.94623, 205.70453, 178.43454), rtol=1e-5)
    np.testing.assert_allclose(
        clean[1, 32, 16:48:4], (441.18176, 688.04382, 561.13660, 590.63257, 450.20306, 683.80780, 564.64612, 729.67139), rtol=1e-4
    )


def test_unknown_names_and_contrasts_are_refused() -> None:
    with pytest.raises(InvalidPhantom, match=r"MQ703: .* spleen .* mr-head, mr-acr"):
        made("spleen")
    with pytest.raises(InvalidPhantom, match=r"MQ703: .* mr-acr with t2 weighting .* there are t1"):
        made("mr-acr", weighting="t2")
    with pytest.raises(InvalidPhantom, match=r"MQ703: .* there are ge, siemens, philips"):
        mr_vendors.vendor_of("acme")
    with pytest.raises(InvalidPhantom, match="MQ703"):
        mr_vendors.form(phantom.mr(np.random.default_rng(0), slices=1, size=16), mr_vendors.vendor_of("ge"))


# ---- head ------------------------------------------------------------------------------------------------------------------


def test_contrast_follows_the_signal_equations() -> None:
    t2, flair = WEIGHTINGS["t2"].signals, WEIGHTINGS["flair"].signals
    grey = 1500 * 0.82 * (1 - math.exp(-5000 / 1331)) * math.exp(-90 / 110)
    assert t2["grey"] == pytest.approx(grey)
    white = 3000 * 0.70 * (1 - 2 * math.exp(-2370 / 832) + math.exp(-9000 / 832)) * math.exp(-90 / 80)
    assert flair["white"] == pytest.approx(white)
    t1 = WEIGHTINGS["t1"].signals
    assert t1["white"] > t1["grey"] > t1["csf"]
    assert t2["csf"] > t2["grey"] > t2["white"] > t2["bone"]
    assert flair["grey"] > flair["white"] > 100 * flair["csf"]  # nulled


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_every_class_shows_the_signal_that_is_known_of_it(weighting: str) -> None:
    one = made("mr-head", size=192, slices=2, spacing_mm=20.0, weighting=weighting)
    labels, signals = known(one).labels, known(one).signals
    assert labels is not None
    for label in (Label.CSF, Label.GREY, Label.WHITE):
        whole = ndimage.binary_erosion(labels == label, np.ones((1, 3, 3)), iterations=2 if label is Label.CSF else 1)
        assert whole.sum() > 20
        # Deep nuclei are grey matter of their own signal; what rings from the neighbours adds to a nulled one.
        parts = [signals[name] for name, tissue in TISSUES.items() if tissue.label is label]
        assert 0.98 * min(parts) - 1 < np.median(one.array[whole]) < 1.02 * max(parts) + 15
    assert np.median(one.array[labels == Label.AIR]) < 3


def test_labels_do_not_depend_on_contrast_and_noise() -> None:
    first, second = (
        known(made("mr-head", 3, size=64, slices=2, weighting=weighting, snr=snr))
        for weighting, snr in (("t1", QUIET), ("flair", 5.0))
    )
    np.testing.assert_array_equal(first.labels, second.labels)
    assert first.volumes_ml == second.volumes_ml


def test_labels_have_the_volumes_that_are_told_at_any_size_of_pixel() -> None:
    told = []
    for size in (128, 256):
        one = made("mr-head", 1, size=size, slices=12, spacing_mm=10.0)
        labels, volumes = known(one).labels, known(one).volumes_ml
        assert labels is not None
        voxel_ml = one.grid.pixel_mm**2 * one.grid.spacing_mm / 1000
        # A fold of CSF is 2 mm wide: a pixel of 1.9 mm that is mostly cortex counts as cortex.
        for label, tolerance in ((Label.WHITE, 0.05), (Label.GREY, 0.12), (Label.OTHER, 0.05)):
            assert (labels == label).sum() * voxel_ml == pytest.approx(volumes[label.name.lower()], rel=tolerance)
        told.append(sum(volumes[name] for name in ("csf", "grey", "white")))
    assert told[0] == pytest.approx(told[1], rel=0.02)


def test_the_space_inside_the_skull_has_the_volume_of_its_ellipsoid() -> None:
    one = made("mr-head", 1, size=80, slices=47, spacing_mm=3.0)
    labels = known(one).labels
    assert labels is not None
    low = 40.0  # above eyes and posterior fossa
    slices = one.grid.heights_mm > low
    brain = (labels[slices] >= Label.CSF) & (labels[slices] <= Label.WHITE)
    volume = brain.sum() * one.grid.pixel_mm**2 * one.grid.spacing_mm
    (_, _, cz), radii = anatomy_mr.BRAIN
    a, b, c = (each + 2.2 for each in radii)
    first = float(one.grid.heights_mm[slices][0]) - one.grid.spacing_mm / 2
    u = (first - cz) / c
    assert volume == pytest.approx(math.pi * a * b * c * (2 / 3 - u + u**3 / 3), rel=0.02)


# ---- ACR -------------------------------------------------------------------------------------------------------------------


def test_the_cylinder_has_its_diameter_and_its_length() -> None:
    one = made("mr-acr", size=192, slices=21, spacing_mm=8.0, thickness_mm=8.0, taper=1.0)
    area = (at_height(one, 0.0) > acr_mr.FLUID / 2).sum() * one.grid.pixel_mm**2
    assert 2 * math.sqrt(area / math.pi) == pytest.approx(190.0, abs=0.3)
    inside = one.array[:, radius(one) < 20].mean(axis=1)  # neither wedge nor hole is there, and ramps are in one section only
    uniform = np.abs(one.grid.heights_mm) > 62
    ends_mm = inside[uniform].sum() * 8.0 / acr_mr.FLUID
    assert ends_mm == pytest.approx(148.0 - 8.0 * (~uniform).sum(), abs=0.5)


def pair(diameter: float) -> list[Insert]:
    section = next(section for section in acr_mr.SECTIONS if section.holes)
    return [hole for hole in acr_mr.holes(section) if 2 * hole.radius_mm == pytest.approx(diameter)]


@pytest.mark.parametrize("diameter", acr_mr.HOLES_MM)
def test_holes_have_the_diameters_numbers_and_distances_of_the_guidance(diameter: float) -> None:
    holes = pair(diameter)
    assert len(holes) == 31  # two arrays of 16 share one
    rows = sorted({round(hole.centre_mm[1], 6) for hole in holes if hole.name.endswith("rows")})
    np.testing.assert_allclose(np.diff(rows), 2 * diameter, rtol=1e-6)
    lowest = sorted(hole.centre_mm[0] for hole in holes if hole.name.endswith("rows") and hole.centre_mm[1] == max(rows))
    assert len(lowest) == 4
    np.testing.assert_allclose(np.diff(lowest), 2 * diameter, rtol=1e-6)
    columns = sorted({round(hole.centre_mm[0], 6) for hole in holes if hole.name.endswith("columns")})
    np.testing.assert_allclose(np.diff(columns), 2 * diameter, rtol=1e-6)


def test_painted_holes_hold_as_much_fluid_as_they_are_large() -> None:
    grid = Grid(slices=1, size=1000, pixel_mm=0.1, spacing_mm=1.0)
    section = next(section for section in acr_mr.SECTIONS if section.holes)
    image = np.zeros((1000, 1000), np.float32)
    paint(image, grid, -50.0, [acr_mr.BLOCK, *acr_mr.holes(section)])
    y, x = grid.plane()
    for diameter, (across, down) in zip(acr_mr.HOLES_MM, acr_mr.HOLES_AT_MM, strict=True):
        near = (np.abs(x - across) < 13) & (np.abs(y - down) < 13)
        fluid = float(image[near].sum(dtype=np.float64)) * 0.01 / acr_mr.FLUID
        assert fluid == pytest.approx(31 * math.pi * diameter**2 / 4, rel=0.01)


def modulation(one: Phantom, diameter: float) -> float:
    """Contrast between the holes of the lowest row of an array and the gaps between them."""
    (across, down), image = acr_mr.HOLES_AT_MM[acr_mr.HOLES_MM.index(diameter)], one.array[0]
    axis = one.grid.axis_mm
    row = image[int(np.argmin(np.abs(axis - down)))]
    holes = [np.interp(across - 2 * diameter * n, axis, row) for n in range(4)]
    gaps = [np.interp(across - 2 * diameter * (n + 0.5), axis, row) for n in range(3)]
    return float((np.mean(holes) - np.mean(gaps)) / (np.mean(holes) + np.mean(gaps)))


def test_fine_pixels_resolve_all_holes_and_coarse_ones_the_larger_only() -> None:
    fine = made("mr-acr", size=768, slices=2, spacing_mm=100.0)
    assert all(modulation(fine, diameter) > 0.6 for diameter in acr_mr.HOLES_MM)
    coarse = made("mr-acr", size=240, slices=2, spacing_mm=100.0)  # pixels of 1.04 mm
    assert abs(modulation(coarse, 0.9)) < 0.15


@pytest.mark.parametrize("off_mm", [-3.0, 0.0, 2.0])
def test_wedges_differ_by_twice_the_distance_from_where_they_cross(off_mm: float) -> None:
    one = made("mr-acr", size=256, slices=2, spacing_mm=100.0 - 2 * off_mm)
    assert one.grid.heights_mm[0] == pytest.approx(-50.0 + off_mm)
    axis = one.grid.axis_mm
    lengths = []
    for low, high in ((-6.5, -1.5), (1.5, 6.5)):
        bar = one.array[0][np.ix_(axis < -55, (axis > low) & (axis < high))]
        lengths.append(float((1 - bar.mean(axis=1) / acr_mr.FLUID).sum()) * one.grid.pixel_mm)
    assert lengths[1] - lengths[0] == pytest.approx(2 * off_mm, abs=0.15)


@pytest.mark.parametrize("thickness", [3.0, 5.0])
def test_the_ramps_tell_the_thickness_of_the_slice(thickness: float) -> None:
    one = made("mr-acr", size=256, slices=2, spacing_mm=100.0, thickness_mm=thickness)
    y, _ = one.grid.plane()
    lengths = []
    for low, high, _side in acr_mr.RAMPS_MM:
        row = one.array[0][(y[:, 0] > low + 1.5) & (y[:, 0] < high - 1.5)].mean(axis=0)
        x = one.grid.axis_mm
        inside, plateau = np.abs(x) < acr_mr.RAMP_HALF_MM - 5, np.median(row[np.abs(x) < 5])
        lengths.append((row[inside] > plateau / 2).sum() * one.grid.pixel_mm)
    top, bottom = lengths
    assert 0.2 * top * bottom / (top + bottom) == pytest.approx(thickness, rel=0.04)


def test_discs_stand_out_by_the_contrast_of_their_slice_and_get_smaller_around_the_clock() -> None:
    one = made("mr-acr", size=384, slices=11)
    y, x = one.grid.plane()
    for index, contrast in enumerate(acr_mr.CONTRASTS):
        image = one.array[7 + index]
        section = next(section for section in acr_mr.SECTIONS if section.contrast == contrast)
        discs = list(acr_mr.discs(section))
        assert len(discs) == 30
        biggest = discs[1]
        distance = np.hypot(x - biggest.centre_mm[0], y - biggest.centre_mm[1])
        inside, around = image[distance < 2.0].mean(), image[(distance > 4.5) & (distance < 5.5)].mean()
        assert 1 - around / inside == pytest.approx(contrast, abs=0.003)
    diameters = [2 * disc.radius_mm for disc in discs[::3]]
    assert (diameters[0], diameters[-1]) == (7.0, 1.5)
    assert all(before > after for before, after in pairwise(diameters))
    assert discs[0].centre_mm[0] == pytest.approx(0, abs=1e-9)
    assert discs[0].centre_mm[1] < 0  # 12 o'clock
    assert discs[3].centre_mm[0] > 0  # clockwise


def test_a_slice_across_the_end_shows_its_share_of_the_fluid() -> None:
    one = made("mr-acr", size=64, slices=2, spacing_mm=148.0, thickness_mm=5.0)
    assert one.array[:, radius(one) < 50].mean() == pytest.approx(acr_mr.FLUID / 2, rel=0.01)


def test_ghosts_are_looked_for_in_the_air() -> None:
    one = made("mr-acr", size=128, slices=11, snr=100.0)
    y, x = one.grid.plane()
    regions = known(one).layout["air"]
    assert set(regions) == {"left", "right", "top", "bottom"}
    for region in regions.values():
        inside = (np.abs(x - region["x_mm"]) < region["width_mm"] / 2) & (np.abs(y - region["y_mm"]) < region["height_mm"] / 2)
        assert inside.sum() * one.grid.pixel_mm**2 == pytest.approx(960, rel=0.15)
        assert one.array[5][inside].mean() == pytest.approx(known(one).noise * math.sqrt(math.pi / 2), rel=0.15)
    assert acr_mr.ghost_regions(200.0) == {}


@pytest.mark.parametrize("strength", [0.01, 0.04])
def test_a_ghost_of_known_strength_is_the_percent_signal_ghosting(strength: float) -> None:
    one = made("mr-acr", size=128, slices=2, pixel_mm=3.2)  # room for one ghost on either side, none upon the other
    pixel_mm = one.grid.pixel_mm
    given = {"ghost_share": strength, "period_lines": 4.0, "onset_rad": 0.3, "phase_axis": 1.0}
    plan = mr.KINDS["ghost"].plan(np.random.default_rng(1), pixel_mm=pixel_mm, given=given)
    ghosted = mr.apply(one.array[1], plan, pixel_mm=pixel_mm).array
    y, x = one.grid.plane()
    air = {
        side: ghosted[
            (np.abs(x - region["x_mm"]) < region["width_mm"] / 2) & (np.abs(y - region["y_mm"]) < region["height_mm"] / 2)
        ].mean()
        for side, region in known(one).layout["air"].items()
    }
    across, along = air["left"] + air["right"], air["top"] + air["bottom"]
    assert abs(along - across) / (2 * ghosted[radius(one) < 70].mean()) == pytest.approx(strength, rel=0.1)


# ---- files -----------------------------------------------------------------------------------------------------------------


def written(folder: Path, one: Phantom, vendor: str) -> Series:
    mr_vendors.save(folder, one, mr_vendors.vendor_of(vendor))
    (series,) = reader.read(folder).series
    assert not series.notes
    return series


@pytest.mark.parametrize("vendor", mr_vendors.VENDORS)
def test_the_reader_reads_every_vendors_file_back_to_the_same_signal(vendor: str, tmp_path: Path) -> None:
    one = made("mr-head", size=64, slices=3, spacing_mm=20.0, snr=30.0, weighting="flair")
    series = written(tmp_path, one, vendor)
    np.testing.assert_allclose(series.volume.slab(0, 3), one.array, atol=0.501)
    assert series.volume.spacing_mm == pytest.approx((20.0, one.grid.pixel_mm, one.grid.pixel_mm), rel=1e-5)
    told = series.acquisition.mr
    assert told is not None
    assert (told.repetition_time_ms, told.echo_time_ms, told.inversion_time_ms) == (9000, 90, 2370)
    assert told.phase_encoding_direction == {"ge": "COL", "siemens": "ROW", "philips": "COL"}[vendor]
    assert told.field_strength_t == 3
    assert told.bandwidth_hz_per_px is not None
    assert told.acquisition_matrix == (64, 64)
    assert series.acquisition.slice_thickness_mm == 5.0


def test_another_contrast_noise_or_coil_is_another_series(tmp_path: Path) -> None:
    scans = ({}, {"snr": 20.0}, {"coil": 1.0}, {"weighting": "t2"}, {"thickness_mm": 3.0})
    uids = {written(tmp_path / str(n), made("mr-head", size=32, slices=2, **scan), "ge").series_uid for n, scan in enumerate(scans)}
    assert len(uids) == len(scans)
