"""Rings and arcs of known radius and amplitude about an axis of known place."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medqa.errors import NotApplicable
from medqa.metrics import ct_rings
from medqa.reader import read
from medqa.regions import Regions
from medqa.series import FrameHeader
from tests.science.factories import make_image, make_series

SIZE = 256
MIDDLE = (SIZE - 1) / 2


def body(
    radius_mm: float = 50.0,
    height: float = 0.0,
    *,
    axis: tuple[float, float] = (MIDDLE, MIDDLE),
    pixel_mm=(0.75, 0.75),
    width_mm: float = 1.5,
    arc: float = 360.0,
    noise: float = 8.0,
    seed: int = 0,
) -> np.ndarray:
    """Return a body with a ring of `height` HU and `width_mm` at a radius about `axis` (row, column)."""
    rng = np.random.default_rng(seed)
    row, column = np.mgrid[:SIZE, :SIZE]
    inside = ((column - MIDDLE) / 118) ** 2 + ((row - MIDDLE) / 105) ** 2 < 1
    y, x = (row - axis[0]) * pixel_mm[0], (column - axis[1]) * pixel_mm[1]
    ring = height * (np.abs(np.hypot(y, x) - radius_mm) < width_mm / 2) * (np.degrees(np.arctan2(y, x)) % 360 < arc)
    return (np.where(inside, 40 + ring, -1000) + rng.normal(0, noise, (SIZE, SIZE))).astype(np.float32)


def header(pixel_mm=(0.75, 0.75), **values) -> dict:
    """Return header values that put the patient's origin on the middle of the image unless told otherwise."""
    first = (-MIDDLE * pixel_mm[1], -MIDDLE * pixel_mm[0], 0.0)
    return {"spacing_mm": pixel_mm, "position_mm": first} | values


def partial_of(array: np.ndarray, **values):
    found = ct_rings.per_frame(Regions(make_image(array, **header(**values))))
    assert found is not None
    return found


@pytest.mark.parametrize("radius_mm", [20.0, 35.0, 50.0, 65.0])
def test_a_ring_is_found_at_its_radius(radius_mm: float) -> None:
    found = partial_of(body(radius_mm, 40.0))
    assert found["radius"] == pytest.approx(radius_mm, abs=1.5)
    assert found["rings"] > 3


@pytest.mark.parametrize("pixel_mm", [(0.5, 0.5), (1.0, 1.0), (0.6, 0.8)])
def test_the_radius_is_in_millimetres_whatever_the_pixels(pixel_mm: tuple[float, float]) -> None:
    made = body(40.0, 40.0, pixel_mm=pixel_mm, width_mm=2.0)
    assert partial_of(made, pixel_mm=pixel_mm)["radius"] == pytest.approx(40, abs=1.6)


def test_twice_the_ring_is_twice_the_amplitude() -> None:
    once, twice = (partial_of(body(50.0, height, noise=1.0))["rings"] for height in (40.0, 80.0))
    assert twice == pytest.approx(2 * once, rel=0.05)


@pytest.mark.parametrize("quantity", ["rings", "arcs"])
def test_the_amplitude_of_weak_and_strong_rings_follows_their_height(quantity: str) -> None:
    # The strongest ones leave every range of tissue, and cut the body in two.
    found = [partial_of(body(50.0, height))[quantity] for height in (0.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, -640.0, 1280.0)]
    assert (np.diff(found) > 0).all()


def test_a_ring_of_more_than_what_tissue_may_be_counts_by_its_logarithm() -> None:
    once, ten_times = (partial_of(body(50.0, height, noise=1.0, width_mm=2.5))["rings"] for height in (100.0, 1000.0))
    assert 3 < ten_times / once < 5


def test_an_arc_counts_less_where_values_differ_from_sector_to_sector() -> None:
    rng = np.random.default_rng(3)
    row, column = np.mgrid[:SIZE, :SIZE] - MIDDLE
    # Spots of 4 mm on one side of the body, the arc on that side or on the other.
    spots = np.kron(rng.normal(0, 60, (SIZE // 8, SIZE // 8)), np.ones((8, 8))) * (column > 0)
    ring = 60.0 * (np.abs(np.hypot(row, column) * 0.75 - 50) < 0.75)
    turn = np.degrees(np.arctan2(row, column))
    rough, smooth = ((body() + spots + ring * (np.abs(turn - at) % 360 < 40)).astype(np.float32) for at in (0, 180))
    assert partial_of(smooth)["arcs"] > 1.5 * partial_of(rough)["arcs"]


def test_arcs_in_lung_are_seen() -> None:
    row, column = np.mgrid[:SIZE, :SIZE] - MIDDLE
    lung = np.hypot(row, column) < 90
    made = np.where(lung, body(50.0, 60.0, arc=90.0) - 880, body()).astype(np.float32)
    assert partial_of(made)["arcs"] > 2
    assert partial_of(made)["radius"] == pytest.approx(50, abs=1.5)


def test_a_series_has_the_root_of_the_mean_power_of_its_frames() -> None:
    assert ct_rings.over_frames([3.0, 4.0, 0.0]) == pytest.approx(5 / np.sqrt(3))
    assert ct_rings.over_frames([-2.0, 2.0]) == 0
    assert ct_rings.over_frames([-3.0]) == pytest.approx(-3)


def test_without_rings_the_amplitude_is_about_nothing() -> None:
    found = partial_of(body(noise=15.0))
    assert abs(found["rings"]) < 1
    assert abs(found["arcs"]) < 2


def test_a_step_along_a_circle_is_anatomy_not_a_ring() -> None:
    row, column = np.mgrid[:SIZE, :SIZE] - MIDDLE
    disc = 60.0 * (np.hypot(row, column) * 0.75 < 45)
    found = partial_of((body(noise=8.0) + disc).astype(np.float32))
    assert found["rings"] < 1


@pytest.mark.parametrize("arc", [60.0, 120.0])
def test_an_arc_is_an_arc_and_no_ring(arc: float) -> None:
    found = partial_of(body(50.0, 60.0, arc=arc))
    assert found["arcs"] > 2
    assert found["rings"] < 0.5 * found["arcs"]
    assert found["radius"] == pytest.approx(50, abs=1.5)


@settings(max_examples=8, deadline=None)
@given(st.floats(-80, 80), st.integers(0, 3), st.booleans())
def test_a_constant_and_turns_by_a_quarter_change_nothing(offset: float, turns: int, mirror: bool) -> None:
    made = body(50.0, 30.0)
    plain = partial_of(made)
    moved = np.rot90(np.where(made > -500, made + np.float32(offset), made), turns)
    found = partial_of(np.ascontiguousarray(moved[::-1] if mirror else moved))
    assert found["rings"] == pytest.approx(plain["rings"], rel=0.1)
    assert found["radius"] == pytest.approx(plain["radius"], abs=1.2)


def test_the_axis_is_taken_from_the_header_where_it_knows() -> None:
    axis = (MIDDLE + 30, MIDDLE - 40)
    made = body(40.0, 40.0, axis=axis)
    centre = (axis[1] * 0.75 - MIDDLE * 0.75, axis[0] * 0.75 - MIDDLE * 0.75, 0.0)
    told = partial_of(made, collection_centre_mm=centre)
    assert told["radius"] == pytest.approx(40, abs=1.5)
    assert told["rings"] > 3 > 2 * partial_of(made)["rings"]


def test_the_patient_s_origin_is_tried_beside_the_middle() -> None:
    axis = (MIDDLE + 25, MIDDLE - 20)
    first = (-axis[1] * 0.75, -axis[0] * 0.75, 12.0)
    for made in (body(40.0, 40.0, axis=axis), body(40.0, 40.0)):
        found = partial_of(made, position_mm=first)
        assert found["rings"] > 3
        assert found["radius"] == pytest.approx(40, abs=1.5)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, [(49.5, 99.5)]),
        ({"position_mm": (-99.5, -49.5, 7.0)}, [(49.5, 99.5)]),
        ({"position_mm": (-90.0, -40.0, 7.0)}, [(40.0, 90.0), (49.5, 99.5)]),
        ({"position_mm": (-99.5, -249.5, 7.0)}, [(49.5, 99.5)]),
        ({"position_mm": (-99.5, -249.5, 7.0), "collection_centre_mm": (1.0, -200.0, 7.0)}, [(49.5, 100.5)]),
    ],
)
def test_where_the_axis_may_be(values, expected) -> None:
    known = {"orientation": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0))} | values
    assert ct_rings.axes(FrameHeader(rows=100, columns=200, **known), (100, 200), (1.0, 1.0)) == expected


def test_the_finding_names_radius_and_slices() -> None:
    clean, ringed = body(), body(50.0, 60.0)
    series = make_series([clean, ringed, ringed, clean], **header())
    partials = [ct_rings.per_frame(Regions(frame.read())) for frame in series.frames]
    (found,) = ct_rings.find(series, partials)
    assert found.frames == (1, 2)
    assert found.values["radius_mm"] == pytest.approx(50, abs=1.5)
    names = [one.quantity.value for one in ct_rings.METRIC.measure(series, partials)]
    assert names == list(ct_rings.METRIC.quantities)


@pytest.mark.parametrize(
    "array",
    [
        np.full((128, 128), -1000.0),
        np.full((128, 128), np.nan),
        np.full((1, 1), 40.0),
        np.full((3, 700), 40.0),
        np.full((24, 24), 0.0),
    ],
)
def test_without_tissue_it_does_not_apply(array: np.ndarray) -> None:
    series = make_series([array])
    with pytest.raises(NotApplicable) as caught:
        ct_rings.combine(series, [ct_rings.per_frame(Regions(frame.read())) for frame in series.frames])
    assert caught.value.values["reason"] == "no_soft_tissue"


def measured(data, real_series, name: str) -> dict[str, float]:
    (series,) = read(data / "ct" / f"{name}.zip").series
    real_series.append(name)
    partials = [ct_rings.per_frame(Regions(frame.read())) for frame in series.frames]
    return {one.quantity.value: one.value for one in ct_rings.METRIC.measure(series, partials)}


def test_the_phantom_with_ring_arcs_ranks_above_the_one_without(data, real_series) -> None:
    arcs = {
        name: measured(data, real_series, f"catphan504_{name}")["ct_ring_arcs"]
        for name in ("acb1_low", "acb1_full", "acb2_a", "acb2_b")
    }
    assert min(arcs["acb2_a"], arcs["acb2_b"]) > 0.6 > 0.3 > max(arcs["acb1_low"], arcs["acb1_full"])


def test_a_real_header_puts_the_axis_where_the_scanner_has_it(data, real_series) -> None:
    (series,) = read(data / "ct" / "totalseg_mct.zip").series
    real_series.append("totalseg_mct")
    # 188 mm above the patient's origin, as high as the table stands; the field of view of 500 mm is centred there.
    header = series.frames[0].header
    assert header.collection_centre_mm is not None
    assert header.collection_centre_mm[:2] == (0.0, -188.0)
    assert header.spacing_mm is not None
    assert ct_rings.axes(header, (header.rows, header.columns), header.spacing_mm) == [(255.5, 255.5)]


def test_rings_drawn_into_a_real_scan_raise_it(data, real_series) -> None:
    (series,) = read(data / "ct" / "tcga_34_5236.zip").series
    real_series.append("tcga_34_5236")
    image = series.frames[0].read()
    row, column = np.mgrid[: image.array.shape[0], : image.array.shape[1]] - (image.array.shape[0] - 1) / 2
    radius = np.hypot(row, column) * image.spacing_mm[0]
    lines = sum((np.abs(radius - at) < 1.0) * sign for at, sign in ((30, 1), (55, -1), (80, 1), (100, -1)))
    measured = [
        ct_rings.per_frame(Regions(make_image(image.array + height * lines, spacing_mm=image.spacing_mm)))
        for height in (0, 20, 40, 80)
    ]
    rings = [one["rings"] for one in measured]
    assert rings[0] < 1
    assert 1 < rings[2] < rings[3]
    assert rings[3] > ct_rings.MAX_RINGS_HU
    assert min(abs(measured[3]["radius"] - at) for at in (30, 55, 80, 100)) < 2
