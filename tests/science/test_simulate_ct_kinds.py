"""Kinds of CT degradation against what geometry and physics say of them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medqa.simulate import Plan, ct
from medqa.simulate.ct import breathing, cupping, dead_channels, implants, ring_arcs, spectrum, truncation
from medqa.simulate.ct.dose import NOISE_VIEWS, paths
from medqa.simulate.ct.tissue import patient
from medqa.simulate.ct.tracks import polar
from medqa.simulate.projector import beam_for

PIXEL_MM = 4.0
NEW = ("metal", "truncation", "cupping", "breathing", "dead-channels", "ring-arcs")
LOCAL = ("metal", "truncation", "breathing", "dead-channels", "ring-arcs", "rings", "motion")
DIFFUSE = ("dose", "blur", "streaks", "cupping")


def axes(rows: int, columns: int, pixel_mm: float = PIXEL_MM) -> tuple[np.ndarray, np.ndarray]:
    y, x = np.meshgrid(*(np.arange(size) - (size - 1) / 2 for size in (rows, columns)), indexing="ij")
    return y * pixel_mm, x * pixel_mm


def disc(radius_mm: float = 110.0, size: int = 75, value: float = 0.0, pixel_mm: float = PIXEL_MM) -> np.ndarray:
    y, x = axes(size, size, pixel_mm)
    return np.where(np.hypot(y, x) < radius_mm, value, -1000.0).astype(np.float32)


def trunk(rows: int = 69, columns: int = 90) -> np.ndarray:
    """A trunk with a spine, ribs, gas and the noise of an ordinary dose, in HU."""
    y, x = axes(rows, columns)
    inside = (x / 150) ** 2 + (y / 105) ** 2 < 1
    image = np.where(inside, 40.0, -1000.0)
    image[inside] += np.random.default_rng(0).normal(0, 8, int(inside.sum()))
    image[np.hypot(x, y - 60) < 18] = 400
    for side in (-1, 1):
        image[np.hypot(x - side * 110, y) < 9] = 500
    image[np.hypot(x - 40, y + 50) < 15] = -900
    return image.astype(np.float32)


def made(kind: str, array: np.ndarray, **parameters: float) -> tuple[np.ndarray, Plan]:
    """Return the change and the plan of a kind with the given parameters."""
    plan = ct.KINDS[kind].plan(np.random.default_rng(3), pixel_mm=PIXEL_MM, level=3, given=parameters)
    return ct.apply(array, plan, pixel_mm=PIXEL_MM).array - array, plan


# ── what every kind keeps ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", NEW)
def test_a_kind_gets_worse_level_by_level_and_repeats_exactly(kind: str):
    image = trunk()
    severities = []
    for level in (1, 2, 3, 4):
        done = ct.apply(image, ct.draw(kind, level, np.random.default_rng(5), pixel_mm=PIXEL_MM), pixel_mm=PIXEL_MM)
        assert done.array.dtype == np.float32
        assert (done.mask is None) == (kind in DIFFUSE)
        severities.append(done.severity)
    assert all(later > 1.05 * earlier for earlier, later in pairwise(severities))
    assert severities[3] > 2 * severities[0]
    again = ct.apply(image, ct.draw(kind, 4, np.random.default_rng(5), pixel_mm=PIXEL_MM), pixel_mm=PIXEL_MM)
    assert np.array_equal(done.array, again.array)
    assert np.array_equal(done.mask, again.mask)


@pytest.mark.parametrize("kind", NEW)
def test_pixels_without_a_value_stay_without_one_and_out_of_the_mask(kind: str):
    image = trunk(63, 84)
    image[:9, :20] = np.nan
    image[30, 40] = np.nan
    plan = ct.draw(kind, 3, np.random.default_rng(0), pixel_mm=PIXEL_MM)
    done = ct.apply(image, plan, pixel_mm=PIXEL_MM)
    assert np.array_equal(np.isnan(done.array), np.isnan(image))
    assert done.mask is None or not done.mask[np.isnan(image)].any()


@settings(max_examples=30, deadline=None)
@given(
    rows=st.integers(7, 50),
    columns=st.integers(7, 50),
    kind=st.sampled_from(NEW),
    level=st.integers(1, 4),
    seed=st.integers(0, 999),
)
def test_any_shape_can_be_degraded_even_where_there_is_no_body(rows: int, columns: int, kind: str, level: int, seed: int):
    generator = np.random.default_rng(seed)
    image = (generator.random((rows, columns)) * 100 - 1000 * generator.integers(2)).astype(np.float32)
    done = ct.apply(image, ct.draw(kind, level, generator, pixel_mm=2.0), pixel_mm=2.0)
    assert done.array.shape == image.shape
    assert np.isfinite(done.array).all()


@pytest.mark.parametrize("kind", ct.KINDS)
def test_what_is_drawn_lies_in_the_declared_ranges(kind: str):
    described = ct.KINDS[kind]
    for seed in range(40):
        parameters = described.plan(np.random.default_rng(seed), pixel_mm=0.7, level=1 + seed % 4).parameters
        assert set(parameters) == {"seed", *(parameter.name for parameter in described.parameters)}
        for parameter in described.parameters:
            assert parameter.low <= parameters[parameter.name] <= parameter.high


@pytest.mark.parametrize("kind", LOCAL)
@pytest.mark.parametrize("seed", [2, 11])
def test_the_mask_holds_most_of_the_artefact_and_leaves_most_of_the_body(kind: str, seed: int):
    image = trunk()
    inside = patient(image)
    for level in (1, 3):
        done = ct.apply(image, ct.draw(kind, level, np.random.default_rng(seed), pixel_mm=PIXEL_MM), pixel_mm=PIXEL_MM)
        square = (done.array - image) ** 2 * inside
        assert done.mask is not None
        assert square[done.mask].sum() > 0.6 * square.sum()
        assert (done.mask & inside).sum() < 0.6 * inside.sum()


@pytest.mark.parametrize("share", [0.1, 0.15])
def test_the_mask_of_starved_rays_is_where_half_their_views_meet(share: float):
    """Rays within s of the axis: from `2 asin(s / r)` of all views a place at r lies on one, half of them at r = 1.41 s.

    That holds where s is wide against what the power is averaged over, and narrow against the body.
    """
    image = disc(110.0, 150, pixel_mm=2.0)
    beam = beam_for(image.shape, 2.0, views=NOISE_VIEWS)
    path = paths(image, 2.0, beam)
    starved = path > np.quantile(path, 1 - share)
    reach = float(np.abs(beam.positions_mm[starved.any(axis=0)]).max())
    radius, _ = polar(image.shape, 2.0)
    found = []
    for seed in range(4):
        given = {"noise_hu": 20, "starved_share": share}
        plan = ct.KINDS["starvation"].plan(np.random.default_rng(seed), pixel_mm=2.0, given=given)
        done = ct.apply(image, plan, pixel_mm=2.0)
        assert done.mask is not None
        assert done.mask[radius < reach / 2].mean() > 0.9
        assert done.mask[radius > 2.2 * reach].mean() < 0.01
        found.append(np.sqrt(done.mask.sum() * 4.0 / np.pi))
    assert np.mean(found) == pytest.approx(np.sqrt(2) * reach, rel=0.12)


@pytest.mark.parametrize("seed", [2, 11])
def test_the_mask_of_starved_rays_lies_where_the_streaks_are_strong_at_any_strength(seed: int):
    image = trunk()
    inside = patient(image)
    masks = []
    for level in (1, 4):
        done = ct.apply(image, ct.draw("starvation", level, np.random.default_rng(seed), pixel_mm=PIXEL_MM), pixel_mm=PIXEL_MM)
        assert done.mask is not None
        square = (done.array - image) ** 2
        assert not done.mask[~inside].any()
        assert (done.mask & inside).sum() < 0.4 * inside.sum()
        assert square[done.mask].mean() > 2.5 * square[inside & ~done.mask].mean()
        masks.append(done.mask)
    assert (masks[0] == masks[1]).mean() > 0.99


def test_kinds_that_are_everywhere_name_no_region():
    assert {kind for kind in DIFFUSE if ct.KINDS[kind].region is not None} == set()


# Pixels (20, 45) and (45, 25) of the change of `trunk` at level 3, drawn from seed 3, as they were when the networks were trained.
SHIPPED = {
    "blur": (-2.627, -0.260),
    "streaks": (-7.418, -4.886),
    "starvation": (14.976, 67.025),
    "motion": (-32.139, 4.731),
    "rings": (-0.069, 5.199),
}


@pytest.mark.parametrize("kind", SHIPPED)
def test_kinds_that_shipped_networks_know_make_the_same_images_as_ever(kind: str):
    image = trunk()
    change = ct.apply(image, ct.draw(kind, 3, np.random.default_rng(3), pixel_mm=PIXEL_MM), pixel_mm=PIXEL_MM).array - image
    assert (change[20, 45], change[45, 25]) == pytest.approx(SHIPPED[kind], rel=0.02, abs=0.05)


# ── metal ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_water_is_read_as_water_and_metal_hardens_the_beam():
    lengths = np.array([0, 10, 80, 400], dtype=np.float32)
    assert spectrum.as_water(spectrum.transmitted({"water": lengths})) == pytest.approx(lengths, abs=0.05)
    assert sum(spectrum.WEIGHTS) == pytest.approx(1)
    for metal in ("titanium", "steel"):
        thick = np.array([1, 2, 4, 8, 16, 32], dtype=np.float32)
        per_mm = -np.log(spectrum.transmitted({metal: thick})) / thick
        assert (np.diff(per_mm) < 0).all()
        assert per_mm[0] < np.dot(spectrum.WEIGHTS, spectrum.PER_MM[metal])
        assert per_mm[-1] > spectrum.PER_MM[metal][-1]


def test_a_slice_split_into_water_and_bone_keeps_its_attenuation():
    values = np.array([[-1000, -100, 0, 60, 400, 1500]], dtype=np.float32)
    water, bone = spectrum.as_materials(values)
    at = spectrum.REFERENCE
    total = water + bone * spectrum.PER_MM["bone"][at] / spectrum.PER_MM["water"][at]
    assert total == pytest.approx(1 + values / 1000, abs=1e-4)
    assert (bone[0, :4] == 0).all()


def test_every_view_sees_the_whole_area_of_an_implant():
    piece = implants.Implant(x_mm=20, y_mm=-35, half_length_mm=15, half_width_mm=4, turn_rad=0.6)
    beam = beam_for((120, 120), 1.0, views=60)
    chords = piece.chords(beam)
    assert chords.sum(axis=1) * beam.spacing_mm == pytest.approx(np.pi * 15 * 4, rel=0.01)
    assert chords.max() == pytest.approx(30, rel=0.03)
    assert piece.fills((120, 120), 1.0).sum() == pytest.approx(np.pi * 15 * 4, rel=0.05)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_dark_band_joins_two_pieces_of_metal(seed: int):
    image = disc(90.0, 100, value=30.0, pixel_mm=2.0)
    parameters = {"diameter_mm": 10, "material": 1, "pieces": 2, "elongation": 1, "in_bone": 0, "photons": 1e8}
    plan = ct.KINDS["metal"].plan(np.random.default_rng(seed), pixel_mm=2.0, given=parameters)
    done = ct.apply(image, plan, pixel_mm=2.0)
    one, two = implants.implants(image, plan.parameters, 2.0)
    y, x = axes(*image.shape, 2.0)
    along = np.array([two.x_mm - one.x_mm, two.y_mm - one.y_mm])
    length = float(np.hypot(*along))
    along /= length
    ahead = (x - one.x_mm) * along[0] + (y - one.y_mm) * along[1]
    aside = np.abs((y - one.y_mm) * along[0] - (x - one.x_mm) * along[1])
    between = (ahead > 10) & (ahead < length - 10) & (aside < 3)
    beside = (ahead > 10) & (ahead < length - 10) & (aside > 15) & (aside < 30) & patient(image)
    change = done.array - image
    assert change[between].mean() < -100
    assert change[between].mean() < 4 * min(change[beside].mean(), 0)
    assert done.mask[between].mean() > 0.6
    for piece in (one, two):
        assert done.array[piece.fills(image.shape, 2.0)].mean() > 1500


def test_steel_is_worse_than_titanium_and_few_photons_are_worse_than_many():
    image = trunk()
    streaks = {}
    for name, material, photons in (("titanium", 0, 1e8), ("steel", 1, 1e8), ("starved", 1, 1e4)):
        parts = {"material": material, "photons": photons, "pieces": 2, "elongation": 1, "diameter_mm": 8, "in_bone": 1}
        change, plan = made("metal", image, **parts)
        pieces = implants.implants(image, plan.parameters, PIXEL_MM)
        assert all(ct.soft_tissue(image)[piece.fills(image.shape, PIXEL_MM)].mean() < 0.8 for piece in pieces)
        far = patient(image) & ~np.any([piece.fills(image.shape, PIXEL_MM) for piece in pieces], axis=0)
        streaks[name] = float(np.median(np.abs(change[far])))
    assert streaks["starved"] > 1.2 * streaks["steel"] > 1.5 * streaks["titanium"] > 0


# ── truncation ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_mask_of_a_truncated_slice_is_what_lies_beyond_the_field_and_its_rim():
    image = disc(110.0)
    radius, _ = polar(image.shape, PIXEL_MM)
    for share in (0.9, 0.6):
        plan = ct.KINDS["truncation"].plan(np.random.default_rng(0), pixel_mm=PIXEL_MM, given={"field_share": share})
        done = ct.apply(image, plan, pixel_mm=PIXEL_MM)
        edge = truncation.field_radius_mm(image, share, PIXEL_MM)
        assert edge == pytest.approx(share * 110, abs=PIXEL_MM)
        assert np.array_equal(done.mask, (radius > (1 - truncation.RIM) * edge) & (image > -500))
        change = done.array - image
        assert change[(radius < edge) & (radius > edge - 6)].mean() > 100
        assert abs(change[radius < 0.3 * edge].mean()) < 0.2 * change[(radius < edge) & (radius > edge - 6)].mean()


def test_a_field_wider_than_the_body_leaves_it_as_it_was():
    image = disc(110.0)
    change, _ = made("truncation", image, field_share=1.1)
    radius, _ = polar(image.shape, PIXEL_MM)
    assert np.abs(change[radius < 100]).max() < 10


# ── cupping ────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("depth", [10.0, 60.0])
def test_the_centre_lies_below_the_rim_by_the_declared_depth(depth: float):
    for image in (disc(), trunk()):
        change, _ = made("cupping", image, depth_hu=depth)
        rim, centre = cupping.rim_and_centre(image)
        assert change[rim].mean() == pytest.approx(0, abs=0.02 * depth)
        assert change[rim].mean() - change[centre].mean() == pytest.approx(depth, rel=0.02)


def test_the_cup_of_a_water_disc_is_half_an_ellipse():
    """A chord's square is 4 (R² - s²), whose inverse Radon transform is 8 / π √(R² - r²): the same law for every radius."""
    image = disc(110.0)
    change, _ = made("cupping", image, depth_hu=50)
    radius, _ = polar(image.shape, PIXEL_MM)
    inside = radius < 95
    law = np.sqrt(110**2 - radius[inside] ** 2)
    slope, offset = np.polyfit(law, change[inside], 1)
    assert slope < 0
    assert np.abs(change[inside] - slope * law - offset).max() < 0.06 * 50


# ── breathing ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_front_edge_is_doubled_by_the_declared_displacement():
    """A breath as long as the turn, fastest in its middle: one view from the side sees the front highest, the other lowest."""
    y, x = axes(74, 74)
    image = np.where((np.abs(x) < 110) & (np.abs(y) < 90), 0.0, -1000.0).astype(np.float32)
    for displacement in (24.0, 40.0):
        change, _ = made("breathing", image, displacement_mm=displacement, period_turns=1.0, phase_rad=0.0)
        column = (image + change)[:28, 31:43].mean(axis=1)
        steps = np.diff(column)
        place = (np.arange(steps.size) + 0.5 - 36.5) * PIXEL_MM + 90
        outer, inner = (np.average(place[side], weights=np.clip(steps[side], 0, None)) for side in (place < 0, place > 0))
        assert inner - outer == pytest.approx(displacement, abs=3)
        assert np.interp(0, place - PIXEL_MM / 2, column[:-1]) == pytest.approx(-500, abs=60)
        assert np.abs(change[55:]).mean() < 0.05 * np.abs(change[:28]).mean()


def test_the_travel_of_the_front_has_the_declared_range_whatever_the_pace():
    angles = np.linspace(0, 2 * np.pi, breathing.VIEWS, endpoint=False)
    for seed in range(20):
        plan = ct.draw("breathing", 3, np.random.default_rng(seed), pixel_mm=1.0)
        way = breathing.travel(angles, plan.parameters)
        assert np.ptp(way) == pytest.approx(10.0)
        assert way.mean() == pytest.approx(0, abs=1e-9)
        # Opposite views from the side must disagree, or there is nothing to double.
        sides = way[[breathing.VIEWS // 4, 3 * breathing.VIEWS // 4]]
        assert abs(sides[1] - sides[0]) > 4


def test_a_body_that_lies_on_its_front_breathes_downwards():
    image = trunk(90, 90)
    up, _ = made("breathing", image, front_up=1)
    down, _ = made("breathing", np.ascontiguousarray(image[::-1]), front_up=0)
    assert np.corrcoef(down[::-1].ravel(), up.ravel())[0, 1] > 0.9
    assert np.abs(down[65:]).mean() > 5 * np.abs(down[:25]).mean()


# ── channels ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_dead_channel_leaves_a_full_ring_at_its_distance_from_the_axis():
    image = disc()
    change, plan = made("dead-channels", image, channels=1, reading=9)
    beam = beam_for(image.shape, PIXEL_MM, views=dead_channels.VIEWS)
    distance = abs(float(beam.positions_mm[dead_channels.dead(image, plan.parameters, PIXEL_MM, beam)[0]]))
    radius, angle = polar(image.shape, PIXEL_MM)
    bins = (radius / PIXEL_MM).round().astype(int)
    profile = np.bincount(bins.ravel(), change.ravel())[:36] / np.bincount(bins.ravel())[:36]
    assert np.argmax(profile) * PIXEL_MM == pytest.approx(distance, abs=PIXEL_MM)
    ring = np.abs(radius - distance) < 0.6 * PIXEL_MM
    quarters = [change[ring & (np.floor(angle / (np.pi / 2)) == quarter)].mean() for quarter in (-2, -1, 0, 1)]
    assert min(quarters) > 0.8 * max(quarters) > 500


def test_a_channel_stuck_at_the_truth_or_replaced_by_its_neighbours_is_hardly_seen():
    image = disc(value=0.0)
    bad, plan = made("dead-channels", image, channels=1, reading=9)
    beam = beam_for(image.shape, PIXEL_MM, views=dead_channels.VIEWS)
    distance = float(beam.positions_mm[dead_channels.dead(image, plan.parameters, PIXEL_MM, beam)[0]])
    truth = 0.02 * 2 * np.sqrt(110**2 - distance**2)
    for repaired in ({"reading": truth}, {"reading": 9, "interpolated": 1}):
        change, _ = made("dead-channels", image, channels=1, **repaired)
        assert change[patient(image)].std() < 0.1 * bad[patient(image)].std()


def test_an_arc_lies_where_the_tube_was_while_the_gain_drifted():
    image = disc()
    change, plan = made("ring-arcs", image, channels=1, start_rad=1.0, extent_rad=1.4, amplitude_hu=50)
    beam = beam_for(image.shape, PIXEL_MM, views=ring_arcs.VIEWS)
    position = float(beam.positions_mm[ring_arcs.drifting(image, plan.parameters, PIXEL_MM, beam)[0][0]])
    radius, angle = polar(image.shape, PIXEL_MM)
    ring = np.abs(radius - abs(position)) < 1.6 * PIXEL_MM
    middle = 1.7 if position > 0 else 1.7 - np.pi
    away = np.abs(np.angle(np.exp(1j * (angle - middle))))
    square = change**2
    assert square[ring & (away < 0.7)].sum() > 0.85 * square[ring].sum()
    assert square[ring & (away > 2.2)].sum() < 0.02 * square[ring].sum()
    mask = ct.apply(image, plan, pixel_mm=PIXEL_MM).mask
    assert np.sqrt(square[mask].mean()) == pytest.approx(50, rel=0.02)
    assert not mask[~ring].any()


def test_a_drift_that_begins_later_turns_the_arcs():
    image = disc()
    early, _ = made("ring-arcs", image, start_rad=0.5, extent_rad=2.0)
    late, _ = made("ring-arcs", image, start_rad=0.5 + np.pi / 2, extent_rad=2.0)
    # From +x towards +y, which is down in the image: clockwise as it is shown.
    assert np.corrcoef(np.rot90(early, -1).ravel(), late.ravel())[0, 1] > 0.95
