"""Slices that are not axial: where they lie in the patient, and that what they show is what is there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medqa import reader
from medqa.errors import InvalidPhantom
from medqa.metrics.ct_geometry import tilt_deg
from medqa.series import Series
from medqa.simulate import acr, ct_phantoms, reformat, vendors
from medqa.simulate.ct_scan import Scan
from medqa.simulate.placement import letters, tilted
from medqa.simulate.shapes import Grid

GRID = Grid(slices=9, size=16, pixel_mm=2.0, spacing_mm=4.0, centre_z_mm=12.0)
LITTLE_NOISE = 1e6


def ramp(z: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    return 3.0 * x - 5.0 * y + 7.0 * z + 11.0


def axial_ramp(grid: Grid) -> np.ndarray:
    y, x = grid.plane()
    return np.stack([ramp(z, y, x) for z in grid.heights_mm]).astype(np.float32)


@pytest.mark.parametrize("lean", [0.0, 25.0, -40.0])
@pytest.mark.parametrize("plane", reformat.DIRECTIONS)
def test_a_ramp_is_shown_as_it_is_at_every_place_in_the_patient(plane: str, lean: float) -> None:
    """Linear interpolation, and the mean over a symmetric thickness, leave a linear function as it is."""
    wanted = reformat.planes(plane, GRID, lean_deg=lean)
    placed = wanted.placement
    images = list(reformat.reformatted(axial_ramp(GRID), wanted))
    assert np.shape(images) == (wanted.slices, wanted.rows, wanted.columns)
    half_mm = np.array([GRID.size - 1, GRID.size - 1]) * GRID.pixel_mm / 2, (GRID.slices - 1) * GRID.spacing_mm / 2
    seen = 0
    for index, image in enumerate(images):
        corner = placed.corner_mm(index, *image.shape, GRID.pixel_mm)
        row, column = np.indices(image.shape)
        place = corner + GRID.pixel_mm * (row[..., None] * np.asarray(placed.down) + column[..., None] * np.asarray(placed.across))
        # Within the centres of the outermost voxels, half a thickness and more away from them.
        room = np.minimum((half_mm[0] - np.abs(place[..., :2])).min(axis=-1), half_mm[1] - np.abs(place[..., 2] - 12.0))
        sure = room > GRID.spacing_mm / 2
        assert image[sure] == pytest.approx(ramp(place[..., 2], place[..., 1], place[..., 0])[sure], abs=1e-3)
        # A voxel and half a thickness beyond, there is nothing.
        assert np.isnan(image[room < -GRID.spacing_mm]).all()
        seen += int(sure.sum())
    assert seen > 500


@given(plane=st.sampled_from(sorted(reformat.DIRECTIONS)), lean=st.floats(-45, 45), spacing=st.floats(0.5, 9))
def test_slices_follow_each_other_along_their_normal_at_the_asked_distance_about_the_middle(
    plane: str, lean: float, spacing: float
):
    grid = Grid(slices=7, size=20, pixel_mm=1.5, spacing_mm=spacing, centre_z_mm=-30.0)
    wanted = reformat.planes(plane, grid, lean_deg=lean)
    placed = wanted.placement
    across, down = np.asarray(placed.across), np.asarray(placed.down)
    assert [across @ across, down @ down, across @ down] == pytest.approx([1, 1, 0], abs=1e-12)
    assert placed.step_mm == pytest.approx(spacing * np.cross(across, down), abs=1e-9)
    middle = (placed.centre_mm(0) + placed.centre_mm(wanted.slices - 1)) / 2
    assert middle == pytest.approx([0, 0, -30.0], abs=1e-9)
    assert placed.location_mm(3) - placed.location_mm(2) == pytest.approx(spacing)


def test_a_tilted_gantry_moves_along_the_table_and_its_slices_are_closer_by_the_cosine() -> None:
    placed = tilted(first_z_mm=-20.0, spacing_mm=5.0, tilt_deg=24.0)
    corners = np.array([placed.corner_mm(index, 64, 64, 0.8) for index in range(4)])
    assert np.diff(corners, axis=0) == pytest.approx(np.tile([0.0, 0.0, 5.0], (3, 1)))
    normal = np.cross(placed.across, placed.down)
    assert np.diff(corners @ normal) == pytest.approx(5.0 * np.cos(np.radians(24.0)))
    assert corners[0] == pytest.approx([-25.2, -25.2 * np.cos(np.radians(24)), -20 - 25.2 * np.sin(np.radians(24))])


def test_the_letters_say_where_rows_and_columns_run_to() -> None:
    assert letters((1.0, 0.0, 0.0)) == "L"
    assert letters((0.0, 0.0, -1.0)) == "F"
    assert letters((0.0, 0.9, -0.43)) == "PF"
    assert reformat.planes("coronal", GRID).placement.letters == ("L", "F")
    assert reformat.planes("sagittal", GRID).placement.letters == ("P", "F")
    assert tilted(first_z_mm=0, spacing_mm=1).letters == ("L", "P")


def test_an_unknown_plane_is_refused() -> None:
    with pytest.raises(InvalidPhantom, match="axial, coronal, sagittal"):
        reformat.planes("slanted", GRID)


def written(folder: Path, plane: str, lean: float, vendor: str) -> tuple[Series, reformat.Planes]:
    scan = Scan(size=96, spacing_mm=5.0, realisations=1, dose=LITTLE_NOISE)
    made = ct_phantoms.make("acr", np.random.default_rng(0), scan)
    wanted = reformat.planes(plane, made.grid, lean_deg=lean)
    vendors.save(folder, made, vendors.vendor_of(vendor), tilt_deg=lean, wanted=wanted)
    (series,) = reader.read(folder).series
    return series, wanted


@pytest.mark.parametrize(
    ("plane", "lean", "vendor", "from_axial_deg"),
    [("coronal", 0.0, "ge", 90.0), ("coronal", 20.0, "siemens", 70.0), ("sagittal", -30.0, "canon", 60.0)],
)
def test_every_rod_is_read_at_its_place_in_the_patient(
    plane: str, lean: float, vendor: str, from_axial_deg: float, tmp_path: Path
) -> None:
    series, wanted = written(tmp_path, plane, lean, vendor)
    assert not series.notes
    first = series.frames[0].header
    assert first.orientation is not None
    normal = np.cross(*first.orientation)
    places = np.array([frame.header.position_mm for frame in series.frames]) @ normal
    assert np.diff(places) == pytest.approx(5.0, abs=1e-4)
    assert tilt_deg(first) == pytest.approx(from_axial_deg, abs=1e-3)
    assert series.acquisition.image_type[:3] == ("DERIVED", "SECONDARY", "AXIAL")
    assert series.acquisition.ct is not None
    assert series.acquisition.ct.gantry_tilt_deg == 0
    volume = series.volume
    assert volume.shape == (wanted.slices, wanted.rows, wanted.columns)
    assert volume.spacing_mm == pytest.approx((5.0, 250 / 96, 250 / 96), rel=1e-5)
    array = volume.slab(0, volume.shape[0])
    for rod in acr.inserts()[1:6]:
        point = np.array([*rod.centre_mm, (rod.low_mm + rod.high_mm) / 2]) - volume.origin_mm
        z, y, x = (round(float(np.dot(point, volume.direction[axis]) / volume.spacing_mm[2 - axis])) for axis in (2, 1, 0))
        assert array[z, y - 1 : y + 2, x - 1 : x + 2].mean() == pytest.approx(rod.value, abs=6), rod.name
