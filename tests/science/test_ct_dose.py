"""Patient size and dose against cylinders whose size is known and the tables of the reports."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.sequence import Sequence as Items

from medqa.acquisition import Acquisition, CTAcquisition
from medqa.errors import NotApplicable
from medqa.metrics import ct_dose, ct_size
from medqa.reader import read
from medqa.regions import Regions
from tests.science.factories import make_series
from tests.science.reader_factories import dataset, store

SPACING = (0.8, 0.8)


def cylinder(diameter_mm: float, *, hu: float = 0.0, noise: float = 10.0, spacing=SPACING, field_mm: float = 410.0, at=(0.0, 0.0)):
    """Return a disc of `hu` in air with white noise."""
    rows, columns = (round(field_mm / one) for one in spacing)
    y, x = np.mgrid[:rows, :columns]
    y, x = (y + 0.5) * spacing[0] - field_mm / 2 - at[0], (x + 0.5) * spacing[1] - field_mm / 2 - at[1]
    image = np.where(np.hypot(x, y) < diameter_mm / 2, hu, -1000.0)
    return image + np.random.default_rng(0).normal(0, noise, image.shape)


def made(phantom_mm: float | None = 320.0, thickness_mm: float | None = 5.0) -> Acquisition:
    return Acquisition(modality="CT", slice_thickness_mm=thickness_mm, ct=CTAcquisition(ctdi_phantom_mm=phantom_mm))


def measured(metric, arrays, acquisition=None, spacing_mm=SPACING, ctdivol_mgy=10.0, **header) -> dict[str, float]:
    header |= {"spacing_mm": spacing_mm, "ctdivol_mgy": ctdivol_mgy}
    series = make_series(arrays, acquisition=acquisition or made(), **header)
    partials = [metric.per_frame(Regions(frame.read())) for frame in series.frames]
    return {one.quantity.value: one.value for one in metric.measure(series, partials)}


def diameter(array, **values) -> float:
    return measured(ct_size.METRIC, [array], **values)["113980"]


def reason(metric, arrays, **values) -> dict:
    with pytest.raises(NotApplicable) as caught:
        measured(metric, arrays, **values)
    assert caught.value.values["what"] == metric.name
    return {name: value for name, value in caught.value.values.items() if name != "what"}


@pytest.mark.parametrize("size", [160.0, 240.0, 320.0])
def test_water_has_its_own_diameter(size: float) -> None:
    assert diameter(cylinder(size)) == pytest.approx(size, rel=0.01)


@pytest.mark.parametrize("hu", [-100.0, 60.0, 120.0])
def test_the_area_counts_by_its_attenuation(hu: float) -> None:
    assert diameter(cylinder(250, hu=hu)) == pytest.approx(250 * math.sqrt(1 + hu / 1000), rel=0.01)


def test_lung_inside_the_body_counts_with_its_little() -> None:
    image = cylinder(300)
    y, x = np.mgrid[:512, :512] * 0.8 - 205
    image[np.hypot(x, y) < 80] = -850
    assert diameter(image) == pytest.approx(2 * math.sqrt(150**2 - 80**2 * 0.85), rel=0.01)


@pytest.mark.parametrize("spacing", [(0.5, 0.5), (1.6, 1.6), (0.6, 1.1)])
def test_millimetres_count_and_not_pixels(spacing) -> None:
    assert diameter(cylinder(250, spacing=spacing), spacing_mm=spacing) == pytest.approx(250, rel=0.012)


def test_table_noise_and_missing_corners_do_not_count() -> None:
    image = cylinder(250)
    image[440:446, 60:450] = 200.0
    y, x = np.mgrid[:512, :512] - 255.5
    image[np.hypot(x, y) > 255] = np.nan
    assert diameter(image) == pytest.approx(250, rel=0.012)
    assert diameter(cylinder(250, noise=80)) == pytest.approx(250, rel=0.012)


def test_the_mean_over_the_slices_is_taken() -> None:
    assert measured(ct_size.METRIC, [cylinder(200), cylinder(240)])["113980"] == pytest.approx(220, rel=0.01)


def test_a_little_cut_costs_less_than_two_percent() -> None:
    y, x = np.mgrid[:512, :512] * 0.8 - 205
    whole = np.where(np.hypot(x / 170, y / 120) < 1, 0.0, -1000.0)
    (true,) = [diameter(whole)]
    for columns in (60, 70, 80, 90):
        cut = whole[:, columns:-columns]
        partial = ct_size.per_frame(Regions(make_series([cut], spacing_mm=SPACING).frames[0].read()))
        if partial["cut"] <= ct_size.MAX_CUT:
            assert partial["diameter"] == pytest.approx(true, rel=0.02)
        else:
            assert reason(ct_size.METRIC, [cut]) == {"reason": "body_truncated"}
    assert partial["cut"] > ct_size.MAX_CUT


@pytest.mark.parametrize("padding", [np.nan, -2000.0, -1000.0])
def test_a_body_that_the_circle_cuts_is_not_measured(padding: float) -> None:
    y, x = np.mgrid[:512, :512] - 255.5
    image = cylinder(520, field_mm=409.6)
    image[np.hypot(x, y) > 255] = padding
    assert reason(ct_size.METRIC, [image]) == {"reason": "body_truncated"}


def test_cut_slices_are_left_out_while_most_are_whole() -> None:
    off_centre = cylinder(260, at=(0.0, 150.0))
    assert measured(ct_size.METRIC, [cylinder(260), cylinder(260), off_centre])["113980"] == pytest.approx(260, rel=0.01)
    assert reason(ct_size.METRIC, [cylinder(260), off_centre, off_centre]) == {"reason": "body_truncated"}


@pytest.mark.parametrize("array", [np.full((128, 128), np.nan), np.full((128, 128), -1000.0), np.zeros((7, 7))])
def test_without_a_body_there_is_no_size_and_no_dose(array) -> None:
    assert reason(ct_size.METRIC, [array]) == {"reason": "no_body"}
    assert reason(ct_dose.METRIC, [array]) == {"reason": "no_body"}


def test_a_full_frame_is_cut() -> None:
    assert reason(ct_size.METRIC, [np.full((128, 128), 40.0)]) == {"reason": "body_truncated"}


def test_pixels_without_a_size_have_no_area() -> None:
    assert reason(ct_size.METRIC, [cylinder(250)], spacing_mm=None) == {"reason": "header_silent", "keyword": "PixelSpacing"}


# Printed factors: AAPM Report 204, tables 1D (32 cm phantom) and 2D (16 cm phantom), by effective diameter.
@pytest.mark.parametrize(
    ("phantom", "size_cm", "printed"),
    [(320.0, 10, 2.57), (320.0, 20, 1.78), (320.0, 30, 1.23), (320.0, 40, 0.85),
     (160.0, 10, 1.27), (160.0, 16, 1.01), (160.0, 20, 0.86)],
)  # fmt: skip
def test_factors_are_those_of_the_report_s_tables(phantom: float, size_cm: float, printed: float) -> None:
    assert ct_dose.factor(10.0 * size_cm, phantom) == pytest.approx(printed, abs=0.012)


def test_the_estimate_follows_dose_and_size() -> None:
    found = measured(ct_dose.METRIC, [cylinder(250)])
    assert found["113930"] == pytest.approx(10 * 3.704369 * math.exp(-0.03671937 * 25), rel=0.01)
    assert measured(ct_dose.METRIC, [cylinder(250)], ctdivol_mgy=20.0)["113930"] == pytest.approx(2 * found["113930"])
    head = measured(ct_dose.METRIC, [cylinder(170)], made(160.0), ctdivol_mgy=50.0)["113930"]
    assert head == pytest.approx(50 * 1.874799 * math.exp(-0.03871313 * 17), rel=0.01)


def test_the_noise_at_a_dose_takes_dose_and_thickness_out() -> None:
    dose = measured(ct_dose.METRIC, [cylinder(250, hu=40)])["113930"]
    usual = measured(ct_dose.METRIC, [cylinder(250, hu=40, noise=12.0)])[ct_dose.NOISE]
    assert usual == pytest.approx(12 * math.sqrt(dose / 10), rel=0.06)
    quarter = measured(ct_dose.METRIC, [cylinder(250, hu=40, noise=24.0)], ctdivol_mgy=2.5)[ct_dose.NOISE]
    thin = measured(ct_dose.METRIC, [cylinder(250, hu=40, noise=12.0 * math.sqrt(5))], made(thickness_mm=1.0))[ct_dose.NOISE]
    wasteful = measured(ct_dose.METRIC, [cylinder(250, hu=40, noise=12.0)], ctdivol_mgy=40.0)[ct_dose.NOISE]
    assert (quarter, thin) == (pytest.approx(usual, rel=0.04), pytest.approx(usual, rel=0.04))
    assert wasteful == pytest.approx(2 * usual, rel=0.02)


def test_modulation_is_followed_slice_by_slice() -> None:
    acquisition, arrays = made(), [cylinder(200), cylinder(300)]
    low, high = (measured(ct_dose.METRIC, [one], ctdivol_mgy=dose)["113930"] for one, dose in zip(arrays, (5.0, 15.0), strict=True))
    series = make_series(arrays, acquisition=acquisition, spacing_mm=SPACING)
    frames = tuple(
        dataclasses.replace(frame, header=dataclasses.replace(frame.header, ctdivol_mgy=dose))
        for frame, dose in zip(series.frames, (5.0, 15.0), strict=True)
    )
    series = dataclasses.replace(series, frames=frames)
    partials = [ct_dose.per_frame(Regions(frame.read())) for frame in frames]
    assert ct_dose.METRIC.measure(series, partials)[0].value == pytest.approx((low + high) / 2)


def test_a_silent_header_has_no_estimate() -> None:
    silent = {"reason": "header_silent", "keyword": "CTDIPhantomTypeCodeSequence"}
    assert reason(ct_dose.METRIC, [cylinder(250)], acquisition=made(None)) == silent
    assert reason(ct_dose.METRIC, [cylinder(250)], ctdivol_mgy=None) == {"reason": "header_silent", "keyword": "CTDIvol"}
    assert reason(ct_dose.METRIC, [cylinder(250)], ctdivol_mgy=0.0) == {"reason": "header_silent", "keyword": "CTDIvol"}


def test_without_a_thickness_there_is_a_dose_and_no_merit() -> None:
    assert set(measured(ct_dose.METRIC, [cylinder(250)], made(thickness_mm=None))) == {"113930"}


@pytest.mark.parametrize(("code", "size"), [("113690", 160.0), ("113691", 320.0), ("113682", None), (None, None)])
def test_the_phantom_is_read_from_its_code(tmp_path, code: str | None, size: float | None) -> None:
    header = dataset(CTDIvol=7.5)
    if code is not None:
        named = Dataset()
        named.CodeValue, named.CodingSchemeDesignator, named.CodeMeaning = code, "DCM", "a phantom"
        header.CTDIPhantomTypeCodeSequence = Items([named])
    store(tmp_path, [header])
    (series,) = read(tmp_path).series
    assert series.acquisition.ct.ctdi_phantom_mm == size
    assert Acquisition.from_json(series.acquisition.to_json()) == series.acquisition


def test_real_heads_and_trunks_have_the_sizes_of_people(data, real_series) -> None:
    bands = {
        "qure_cq500_310.zip": (150, 195),
        "picker_brain.zip": (150, 195),
        "pancreas_0001.zip": (220, 350),
        "tcga_17_z034.zip": (220, 350),
    }
    for name, (low, high) in bands.items():
        (series,) = read(data / "ct" / name).series
        real_series.append(name)
        partials = [ct_size.per_frame(Regions(frame.read())) for frame in series.frames]
        assert low < ct_size.METRIC.measure(series, partials)[0].value < high, name
