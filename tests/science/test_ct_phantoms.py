"""CT phantoms show what is known of them: CT numbers, diameters, line pairs and noise, at any size, kernel and maker's header."""

from __future__ import annotations

import hashlib
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from medqa import reader
from medqa.errors import InvalidPhantom
from medqa.measurement import Measurement
from medqa.metrics import METRICS, frame_partials
from medqa.series import Series
from medqa.simulate import acr, anatomy_chest, anatomy_head, ct_phantoms, phantom, study, vendors
from medqa.simulate.ct_scan import SHARP_PER_MM, SOFT_PER_MM, Scan
from medqa.simulate.inserts import Insert, LinePairs
from medqa.simulate.phantom import Phantom
from medqa.simulate.shapes import Grid, Rod, paint
from medqa.simulate.stored import Stored

LITTLE_NOISE = 1e6
"""A dose at which noise does not matter."""


def made(kind: str, seed: int = 0, **scan: object) -> Phantom:
    values = {"size": 128, "spacing_mm": 40.0, "realisations": 1, "dose": LITTLE_NOISE, **scan}
    return ct_phantoms.make(kind, np.random.default_rng(seed), Scan(**values))


def around(one: Phantom, insert: Insert, z_mm: float) -> tuple[np.ndarray, np.ndarray]:
    """The slice at a height and the distance of its pixels from the middle of an insert."""
    y, x = one.grid.plane()
    image = one.array[int(np.argmin(np.abs(one.grid.heights_mm - z_mm)))]
    return image, np.hypot(y - insert.centre_mm[1], x - insert.centre_mm[0])


def middle(insert: Insert | LinePairs) -> float:
    return (insert.low_mm + insert.high_mm) / 2


def known(one: Phantom) -> dict[str, Insert]:
    assert one.known is not None
    return {insert.name: insert for insert in one.known.inserts}


# ---- test objects ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [64, 96, 160])
@pytest.mark.parametrize("name", acr.MATERIALS)
def test_the_inserts_measure_their_ct_number_at_any_size_of_pixel(size: int, name: str) -> None:
    one = made("acr", size=size)
    insert = known(one)[name]
    image, distance = around(one, insert, middle(insert))
    # At 64 pixels the kernel reaches into the inner half: 6 pixels are a whole rod.
    tolerance = 4.0 if size == 64 else 2.0
    assert image[distance < insert.radius_mm / 2].mean() == pytest.approx(acr.MATERIALS[name], abs=tolerance)


@pytest.mark.parametrize(("size", "cutoff"), [(64, SOFT_PER_MM), (128, SOFT_PER_MM), (256, SHARP_PER_MM)])
def test_inserts_have_their_diameter_within_a_pixel_and_their_place(size: int, cutoff: float) -> None:
    one = made("acr", size=size, cutoff_per_mm=cutoff)
    for name in ("cylinder", "bone", "air", "acrylic"):
        insert = known(one)[name]
        background = -1000.0 if name == "cylinder" else 0.0
        image, distance = around(one, insert, middle(known(one)["bone"]))
        # Away from what stands beside it, the signal over the background is spread by the kernel but not lost.
        near = distance < (insert.radius_mm + 8 if name != "cylinder" else 1e3)
        signal = (image - background)[near].sum(dtype=np.float64)
        if name == "cylinder":
            others = [each for each in known(one).values() if each.name in acr.MATERIALS]
            signal -= sum(each.value * np.pi * each.radius_mm**2 for each in others) / one.grid.pixel_mm**2
        area = signal * one.grid.pixel_mm**2 / (insert.value - background)
        assert 2 * np.sqrt(area / np.pi) == pytest.approx(2 * insert.radius_mm, abs=0.5 * one.grid.pixel_mm)
        half = np.abs(image - background)[near] > abs(insert.value - background) / 2
        if name != "cylinder":
            assert 2 * np.sqrt(half.sum() * one.grid.pixel_mm**2 / np.pi) == pytest.approx(
                2 * insert.radius_mm, abs=one.grid.pixel_mm
            )


def modulation(image: np.ndarray, grid: Grid, pattern: LinePairs) -> float:
    """Amplitude of the pattern's own frequency in its inner pairs, as a share of that of bars with sharp edges."""
    axis, (x, y) = grid.axis_mm.astype(np.float64), pattern.centre_mm
    rows = np.abs(axis - y) < pattern.side_mm / 4
    whole = max(2, pattern.pairs - 2)
    columns = np.abs(axis - x) < whole / 2 / pattern.frequency_per_mm
    profile = image[rows].mean(axis=0)[columns]
    phase = 2j * np.pi * pattern.frequency_per_mm * axis[columns]
    basis = np.stack([np.ones(columns.sum()), np.exp(phase).real, np.exp(phase).imag], axis=1)
    _, cosine, sine = np.linalg.lstsq(basis, profile, rcond=None)[0]
    return float(np.hypot(cosine, sine) / (pattern.value * 2 / np.pi))


@pytest.mark.parametrize("cutoff", [SOFT_PER_MM, SHARP_PER_MM])
def test_line_pairs_keep_the_contrast_that_the_kernel_leaves_them(cutoff: float) -> None:
    one = made("acr", size=540, pixel_mm=0.3, slices=4, cutoff_per_mm=cutoff)
    assert one.known is not None
    resolved = []
    for pattern in one.known.patterns:
        left = 0.5 + 0.5 * np.cos(np.pi * min(pattern.frequency_per_mm / cutoff, 1))
        assert modulation(one.array[3], one.grid, pattern) == pytest.approx(left, abs=0.02), pattern.pairs_per_cm
        resolved += [pattern.pairs_per_cm] if left > 0.1 else []
    assert max(resolved) == {SOFT_PER_MM: 6, SHARP_PER_MM: 12}[cutoff]


def test_bars_finer_than_a_pixel_become_their_mean_and_wider_ones_keep_their_share() -> None:
    for pairs, pixel_mm in ((12.0, 2.0), (4.0, 0.25), (7.0, 1.0)):
        pattern = LinePairs(pairs_per_cm=pairs, centre_mm=(0.3, -0.2), side_mm=15.0, value=100.0)
        grid = Grid(slices=1, size=int(30 / pixel_mm), pixel_mm=pixel_mm, spacing_mm=1.0)
        image = np.zeros((grid.size, grid.size), np.float32)
        paint(image, grid, 0.0, [pattern])
        assert image.sum() * pixel_mm**2 == pytest.approx(100 * 0.5 * pattern.width_mm * 15, rel=0.02)
        assert image.max() == pytest.approx(100 if pixel_mm < 0.5 else 60, abs=12)


def test_the_layout_has_the_materials_contrasts_and_line_pairs_of_the_accreditation_phantom() -> None:
    rods = acr.inserts()
    assert {rod.name: rod.value for rod in rods[1:6]} == {
        "polyethylene": -95, "bone": 955, "acrylic": 120, "air": -1000, "water": 0,
    }  # fmt: skip
    low = [rod for rod in rods if rod.name.startswith("low contrast")]
    assert sorted({2 * rod.radius_mm for rod in low}) == [2, 3, 4, 5, 6, 25]
    assert {rod.value for rod in low} == {6.0}
    assert [pattern.pairs_per_cm for pattern in acr.patterns()] == [4, 5, 6, 7, 8, 9, 10, 12]
    placed = [*rods[1:], *acr.patterns()]
    for first in placed:
        reach = first.radius_mm if isinstance(first, Insert) else first.side_mm * 0.71
        assert np.hypot(*first.centre_mm) + reach < 100 - 5
        for second in placed:
            if second is not first and second.low_mm == first.low_mm:
                other = second.radius_mm if isinstance(second, Insert) else second.side_mm * 0.71
                assert np.hypot(*np.subtract(first.centre_mm, second.centre_mm)) > reach + other


def test_a_low_contrast_rod_stands_out_by_six_hu_and_a_slice_across_two_modules_shows_half_of_each() -> None:
    one = made("acr", size=160, slices=2)
    rod = known(one)["low contrast 25 mm"]
    image, distance = around(one, rod, -20.0)
    assert image[distance < 9].mean() - image[(distance > 15) & (distance < 18)].mean() == pytest.approx(6.0, abs=0.3)
    shared = made("acr", size=160, slices=1, spacing_mm=20.0)
    moved = ct_phantoms.acr(np.random.default_rng(0), Scan(size=160, slices=3, spacing_mm=40.0, dose=LITTLE_NOISE, realisations=1))
    bone = known(moved)["bone"]
    image, distance = around(moved, bone, -40.0)  # half in the module of the CT numbers
    assert image[distance < 6].mean() == pytest.approx(955 / 2, abs=3)
    assert shared.array.shape == (1, 160, 160)


# ---- scan ------------------------------------------------------------------------------------------------------------------


def test_size_number_spacing_and_pixel_are_those_asked_for() -> None:
    for kind in ct_phantoms.KINDS:
        one = made(kind, size=64, slices=3, spacing_mm=7.5, pixel_mm=5.0)
        assert one.array.shape == (3, 64, 64)
        assert (one.grid.pixel_mm, one.grid.spacing_mm) == (5.0, 7.5)
        assert one.array.dtype == np.float32
        assert np.isfinite(one.array).all()
    assert made("acr", size=64, spacing_mm=10.0).array.shape == (16, 64, 64)


def test_noise_is_what_is_declared_and_follows_dose_thickness_kernel_and_diameter() -> None:
    def noise(**scan: object) -> tuple[float, float]:
        one = made("water", **{"slices": 1, "spacing_mm": 5.0, "dose": 1.0, "size": 160, "pixel_mm": 1.5, **scan})
        assert one.known is not None
        _, distance = around(one, one.known.inserts[0], 0.0)
        return float(one.array[0][distance < 90].std()), one.known.noise_hu

    whole = noise()
    assert whole[0] == pytest.approx(whole[1], rel=0.12)
    for change, factor in (({"dose": 0.25}, 2.0), ({"spacing_mm": 1.25}, 2.0), ({"cutoff_per_mm": 1 / 6}, 0.5**1.5)):
        measured, declared = noise(**change)
        assert declared / whole[1] == pytest.approx(factor)
        assert measured / whole[0] == pytest.approx(factor, rel=0.1)
    wide = ct_phantoms.water(np.random.default_rng(0), Scan(slices=1, size=64), diameter_mm=300.0)
    narrow = ct_phantoms.water(np.random.default_rng(0), Scan(slices=1, size=64, pixel_mm=wide.grid.pixel_mm), diameter_mm=200.0)
    assert wide.known is not None
    assert narrow.known is not None
    assert wide.known.noise_hu / narrow.known.noise_hu == pytest.approx(np.exp(0.02 * 50))


def test_the_same_seed_is_the_same_phantom_and_another_is_another() -> None:
    for kind in ct_phantoms.KINDS:
        first, again, other = (made(kind, seed, size=48, slices=2, dose=1.0).array for seed in (1, 1, 2))
        np.testing.assert_array_equal(first, again)
        assert np.abs(first - other).mean() > 0


def test_the_phantom_that_networks_were_trained_on_stays_as_it_was() -> None:
    clean = phantom.ct(np.random.default_rng(5), slices=2, size=64, dose=1e12, realisations=1).array
    digest = hashlib.sha256(np.rint(clean).astype("<i2").tobytes()).hexdigest()
    assert digest.startswith("51d9bd4f349241285507fbaa")


def test_unknown_names_and_a_field_of_view_of_metres_are_refused() -> None:
    with pytest.raises(InvalidPhantom, match=r"MQ703: .* spleen .* water, acr, abdomen, chest, chest-arms, head"):
        ct_phantoms.make("spleen", np.random.default_rng(0))
    with pytest.raises(InvalidPhantom, match=r"MQ703: .* 512 pixels of 20 mm are more than 2000 mm"):
        made("acr", size=512, pixel_mm=20.0)
    with pytest.raises(InvalidPhantom, match=r"MQ703: .* there are ge, siemens"):
        vendors.vendor_of("acme")


# ---- patients --------------------------------------------------------------------------------------------------------------


def values_at(one: Phantom, x: float, y: float, z: float, half_mm: float = 4.0) -> np.ndarray:
    axis = one.grid.axis_mm
    image = one.array[int(np.argmin(np.abs(one.grid.heights_mm - z)))]
    return image[np.ix_(np.abs(axis - y) <= half_mm, np.abs(axis - x) <= half_mm)]


def test_the_chest_has_lungs_that_narrow_to_the_apex_a_heart_liver_ribs_and_spine() -> None:
    one = made("chest", 3, size=160, spacing_mm=20.0)
    for side in (-1, 1):  # vessels between
        assert np.percentile(values_at(one, side * 80, 0, 20, 15), 25) == pytest.approx(anatomy_chest.LUNG, abs=10)
    assert values_at(one, 26, -24, -44, 6).mean() > 60
    assert values_at(one, 0, 8, 100, 3).mean() < -900  # trachea
    assert values_at(one, -70, 0, -115, 10).mean() == pytest.approx(anatomy_chest.LIVER, abs=10)
    assert values_at(one, 0, 62, 20, 5).mean() > 100
    lung = ((one.array > -900) & (one.array < -750)).mean(axis=(1, 2))
    heights = one.grid.heights_mm
    widest = lung[np.argmin(np.abs(heights))]
    assert widest > 0.12
    assert lung[-1] < 0.35 * widest  # apex
    assert lung[0] < 0.2 * widest  # below the domes
    bone = (one.array > 350).sum(axis=(1, 2))
    assert bone.min() > 40
    assert len({int(count) for count in bone}) > 5  # every slice cuts the ribs elsewhere


def test_vessels_in_the_lung_get_finer_away_from_the_hilum() -> None:
    patient = anatomy_chest.draw(np.random.default_rng(1))
    rods = [shape for shape in patient.vessels if isinstance(shape, Rod) and shape.value > 0]
    assert len(rods) > 300
    distances = np.array([np.linalg.norm(np.subtract(rod.start, (np.sign(rod.end[0]) * 34, 14, 24))) for rod in rods])
    radii = np.array([rod.radius for rod in rods])
    near, between, far = (np.median(radii[(distances >= low) & (distances < high)]) for low, high in pairwise((0, 25, 60, 150)))
    assert near > 1.5 * between > 1.5 * 1.2 * far
    assert 0.5 < radii.min() < far < 1.2


def test_arms_stand_beside_the_chest_only_when_asked_for() -> None:
    scan = Scan(size=128, slices=1, pixel_mm=4.2, dose=LITTLE_NOISE, realisations=1)
    without, beside = (ct_phantoms.chest(np.random.default_rng(3), scan, arms=arms) for arms in (False, True))
    x = beside.grid.axis_mm
    outside = np.abs(x) > 182
    assert (without.array[0][:, outside] > -500).mean() < 0.05
    assert (beside.array[0][:, outside] > 500).sum() > 4  # humerus


def test_the_head_has_skull_grey_and_white_matter_ventricles_eyes_and_air_in_its_sinuses() -> None:
    one = made("head", 3, size=160, spacing_mm=10.0, slices=19)
    white, grey = anatomy_head.BRAIN_HU.white, anatomy_head.BRAIN_HU.grey
    assert np.median(values_at(one, 26, 6, 40, 5)) == pytest.approx(white, abs=6)
    assert values_at(one, 27, -4, 10, 2).mean() == pytest.approx(grey - 1, abs=1.5)  # putamen
    image = one.array[int(np.argmin(np.abs(one.grid.heights_mm - 20)))]
    assert values_at(one, -24, 27, 10, 2).mean() == pytest.approx(anatomy_head.BRAIN_HU.csf, abs=6)  # lateral ventricle
    y, x = one.grid.plane()
    ring = image[(np.abs(x) < 3) & (y > 50) & (y < 100)]
    assert ring.max() > 800
    assert values_at(one, 32, -75, -30, 4).mean() == pytest.approx(anatomy_head.VITREOUS, abs=8)
    assert values_at(one, 31, -56, -60, 4).mean() < -900
    assert (one.array[-1] > -500).mean() < 0.1  # the vertex


# ---- files -----------------------------------------------------------------------------------------------------------------


def written(folder: Path, one: Phantom, vendor: str, **values: float) -> Series:
    vendors.save(folder, one, vendors.vendor_of(vendor), **values)
    (series,) = reader.read(folder).series
    assert not series.notes
    return series


@pytest.mark.parametrize("vendor", vendors.VENDORS)
def test_the_reader_reads_every_vendors_file_back_to_the_same_hu(vendor: str, tmp_path: Path) -> None:
    one = made("acr", size=96, slices=4, dose=1.0)
    series = written(tmp_path, one, vendor)
    back = series.volume.slab(0, 4)
    y, x = one.grid.plane()
    circle = np.hypot(y, x) <= one.grid.size * one.grid.pixel_mm / 2
    there = np.isfinite(back)
    np.testing.assert_allclose(back[:, circle], np.clip(one.array[:, circle], -1024, 3071), atol=0.501)
    wanted = {"ge": "nothing", "canon": "nothing", "philips": "air"}.get(vendor, "lowest")
    corner = back[:, 0, 0]
    assert np.isnan(corner).all() if wanted == "nothing" else (corner <= (-1024 if wanted == "lowest" else -990)).all()
    assert there.all() == (wanted != "nothing")
    assert series.volume.spacing_mm == pytest.approx((40.0, one.grid.pixel_mm, one.grid.pixel_mm), rel=1e-5)
    ct = series.acquisition.ct
    assert ct is not None
    assert ct.kernel is not None
    assert ct.kernel.startswith(str(np.ravel(vendors.VENDORS[vendor].kernels[0])[0]))
    assert ct.reconstruction_diameter_mm == pytest.approx(250.0)
    assert (ct.ctdivol_mgy, ct.ctdi_phantom_mm, ct.contrast_agent) == (18.0, 160.0, None)


def test_the_header_says_dose_kernel_and_tilt_and_another_choice_is_another_series(tmp_path: Path) -> None:
    scan = {"size": 32, "slices": 3, "spacing_mm": 4.0}
    uids = set()
    for number, (dose, cutoff, tilt) in enumerate(((1.0, SOFT_PER_MM, 0.0), (0.5, SOFT_PER_MM, 0.0), (1.0, SHARP_PER_MM, -12.0))):
        one = made("chest", dose=dose, cutoff_per_mm=cutoff, **scan)
        series = written(tmp_path / str(number), one, "ge", tilt_deg=tilt)
        ct = series.acquisition.ct
        assert ct is not None
        assert ct.tube_current_ma == pytest.approx(196 * dose)
        assert (ct.ctdivol_mgy, ct.gantry_tilt_deg, ct.contrast_agent) == (7.0 * dose, tilt, "Iodine 350")
        assert ct.kernel == ("STANDARD" if cutoff == SOFT_PER_MM else "BONE")
        # The table moves along z, whatever the tilt; the middle of the slices stays on the axis.
        first, last = (np.array(series.frames[index].header.position_mm) for index in (0, -1))
        np.testing.assert_allclose(last - first, (0, 0, 8.0), atol=1e-5)
        across, down = (np.array(cosines) for cosines in series.frames[0].header.orientation)
        np.testing.assert_allclose((first + 15.5 * one.grid.pixel_mm * (across + down))[:2], 0, atol=1e-3)
        assert np.degrees(np.arctan2(down[2], down[1])) == pytest.approx(tilt, abs=1e-3)
        uids.add(series.series_uid)
    assert len(uids) == 3


def test_a_phantom_of_which_nothing_is_known_gets_no_vendors_header() -> None:
    with pytest.raises(InvalidPhantom, match="MQ703"):
        vendors.form(phantom.mr(np.random.default_rng(0), slices=1, size=16), vendors.vendor_of("ge"))


def test_a_header_value_of_none_is_left_out(tmp_path: Path) -> None:
    form = study.Form(modality="CT", pixel_mm=1.0, spacing_mm=1.0, slices=1, values={"ContrastBolusAgent": None, "KVP": 100})
    (dataset,) = study.instances(np.zeros((1, 4, 4), np.float32), form)
    assert "ContrastBolusAgent" not in dataset
    assert dataset.KVP == 100


@pytest.mark.parametrize(
    ("stored", "values"),
    [
        (Stored(), [-1024, -1024, 40, 3071, -1024]),
        (Stored(intercept=-1024, signed=False, bits=12), [0, 0, 1064, 4095, 0]),
        (Stored(intercept=-1024, padding=-2000), [0, 0, 1064, 4095, -2000]),
        (Stored(intercept=-8192, signed=False), [7168, 7168, 8232, 11263, 7168]),
        (Stored(intercept=0, bits=12), [-1024, -1024, 40, 2047, -1024]),
    ],
)
def test_hu_are_stored_with_intercept_within_their_bits_and_gaps_as_padding(stored: Stored, values: list[int]) -> None:
    got = stored.values(np.array([[-5000.0, -1024.0, 40.4, 9000.0, np.nan]], np.float32))
    assert got.tolist() == [values]
    assert got.itemsize == 2


# ---- metrics ---------------------------------------------------------------------------------------------------------------


def measured(series: Series, *names: str) -> dict[str, float]:
    partials = [frame_partials(frame.read()) for frame in series.frames]
    out: dict[str, float] = {}
    for metric in METRICS["CT"]:
        if metric.name in names:
            got = metric.combine(series, [partial.get(metric.name) for partial in partials])
            for one in (got,) if isinstance(got, Measurement) else got:
                out[one.quantity.value] = one.value
    return out


def test_metrics_see_diameter_air_and_noise_of_the_water_cylinder(tmp_path: Path) -> None:
    ratios = []
    for number, diameter in enumerate((160.0, 320.0)):
        scan = Scan(slices=2, size=256, dose=0.5, realisations=2)
        one = ct_phantoms.water(np.random.default_rng(2), scan, diameter_mm=diameter)
        series = written(tmp_path / str(number), one, "siemens")
        got = measured(series, "ct_dw", "ct_air", "ct_noise")
        assert one.known is not None
        assert got["113980"] == pytest.approx(diameter, rel=0.01)
        assert got["ct_air"] == pytest.approx(-1000, abs=8)
        # The mode of local deviations is what the outer half of the cylinder has; the middle of a wide one has far more.
        ratios.append(got["ct_noise"] / one.known.noise_hu)
    assert ratios[0] == pytest.approx(0.95, abs=0.1)
    assert ratios[0] > ratios[1] > 0.65


def test_the_edge_of_the_cylinder_shows_the_sharpness_of_the_kernel(tmp_path: Path) -> None:
    found = []
    for cutoff in (0.3, 0.5):
        one = made("water", slices=2, size=256, spacing_mm=5.0, dose=1.0, cutoff_per_mm=cutoff)
        found.append(measured(written(tmp_path / str(cutoff), one, "ge"), "ct_f50")["ct_f50"])
        assert found[-1] == pytest.approx(cutoff / 2, rel=0.06)
    assert all(blunt < sharp for blunt, sharp in pairwise(found))
