"""SUV: against values computed by hand, and the same for every vendor's way of writing it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset

from medqa.codes import Unit
from medqa.reader import read, read_instance
from medqa.reader.suv import uptake
from medqa.series import Frame
from tests.science.reader_factories import dataset, enhanced, ramp, store

HALF_LIFE = 6586.2
BY_HAND = 70_000 / (370e6 * 2 ** (-3600 / HALF_LIFE))
"""70 kg, 370 MBq, one hour: 2.7634e-4 g/ml per Bq/ml."""


def frame(folder: Path, made: Dataset) -> Frame:
    return read_instance(store(folder, [made])[0]).frames[0]


def drug(made: Dataset) -> Dataset:
    return made.RadiopharmaceuticalInformationSequence[0]


def test_one_hour_after_injection_by_hand(tmp_path: Path) -> None:
    assert math.isclose(BY_HAND, 2.7634e-4, rel_tol=1e-4)
    store(tmp_path, [dataset("PT", index) for index in range(3)])
    series = read(tmp_path).series[0]
    assert series.acquisition.pt is not None
    assert math.isclose(series.acquisition.pt.suv_factor or 0, BY_HAND, rel_tol=1e-9)
    assert series.acquisition.pt.suv_missing == ()
    assert series.acquisition.pt.uptake_min == 60
    assert all(single.header.suv_factor == series.acquisition.pt.suv_factor for single in series.frames)


def test_a_dose_corrected_to_injection_needs_no_time() -> None:
    made = dataset("PT", DecayCorrection="ADMIN")
    assert math.isclose(uptake(made).factor or 0, 70_000 / 370e6, rel_tol=1e-12)


def test_a_later_bed_does_not_change_the_reference() -> None:
    assert uptake(dataset("PT", AcquisitionTime="112000")).factor == uptake(dataset("PT")).factor


@pytest.mark.parametrize("bed", range(4))
def test_a_series_time_after_the_scan_is_not_the_reference(bed: int) -> None:
    """A post-processed series carries the time of processing; each bed's decay factor leads back to the start."""
    rate, start_s, duration_s = math.log(2) / HALF_LIFE, 150.0 * bed, 120.0
    factor = math.exp(rate * start_s) * rate * duration_s / -math.expm1(-rate * duration_s)
    minute, second = divmod(start_s, 60)
    made = dataset("PT", SeriesTime="163000", AcquisitionTime=f"11{minute:02.0f}{second:02.0f}", DecayFactor=f"{factor:.9f}")
    assert math.isclose(uptake(made).factor or 0, BY_HAND, rel_tol=1e-6)


def test_ge_keeps_the_scan_time_in_a_private_attribute() -> None:
    made = dataset("PT", SeriesTime="163000", AcquisitionTime="110230")
    made.add_new((0x0009, 0x0010), "LO", "GEMS_PETD_01")
    made.add_new((0x0009, 0x100D), "DT", "20240102110000.00")
    assert math.isclose(uptake(made).factor or 0, BY_HAND, rel_tol=1e-9)


def test_without_any_of_these_the_earliest_acquisition_counts_for_the_series(tmp_path: Path) -> None:
    times = ("110500", "110000", "111000")
    store(tmp_path, [dataset("PT", index, SeriesTime="163000", AcquisitionTime=time) for index, time in enumerate(times)])
    series = read(tmp_path).series[0]
    assert series.acquisition.pt is not None
    assert math.isclose(series.acquisition.pt.suv_factor or 0, BY_HAND, rel_tol=1e-9)


@pytest.mark.parametrize(
    ("attributes", "minutes"),
    [
        ({"RadiopharmaceuticalStartTime": "233000", "scan": "003000"}, 60),  # midnight lies between
        ({"RadiopharmaceuticalStartDateTime": "20240102100000"}, 60),
        ({"RadiopharmaceuticalStartDateTime": "20240103100000"}, 60),  # the date was shifted, the clock was not
        ({"RadiopharmaceuticalStartDateTime": "20240102113000"}, -30),  # after the scan: the checks must see it
        ({"RadiopharmaceuticalStartTime": "10:00:00"}, 60),  # ACR-NEMA colons
    ],
)
def test_the_time_of_injection(attributes: dict[str, str], minutes: float) -> None:
    scan = attributes.pop("scan", "110000") if "scan" in attributes else "110000"
    made = dataset("PT", SeriesTime=scan, AcquisitionTime=scan)
    for keyword, value in attributes.items():
        drug(made).add_new(keyword, "LO" if ":" in value else "DT" if "Date" in keyword else "TM", value)
    assert uptake(made).uptake_min == minutes


@pytest.mark.parametrize(
    ("change", "missing"),
    [
        ({"PatientWeight": None}, "PatientWeight"),
        ({"PatientWeight": 0}, "PatientWeight"),
        ({"Units": "PROPCNTS"}, "Units"),
        ({"Units": None}, "Units"),
        ({"DecayCorrection": "NONE"}, "DecayCorrection"),
        ({"drug": "RadionuclideTotalDose"}, "RadionuclideTotalDose"),
        ({"drug": "RadionuclideHalfLife"}, "RadionuclideHalfLife"),
        ({"drug": "RadiopharmaceuticalStartTime"}, "RadiopharmaceuticalStartDateTime"),
    ],
)
def test_what_is_missing_is_named(change: dict[str, Any], missing: str) -> None:
    keyword = change.pop("drug", None)
    made = dataset("PT", **change)
    if keyword is not None:
        del drug(made)[keyword]
    found = uptake(made)
    assert found.factor is None
    assert found.missing == (missing,)


def test_values_that_are_suv_already_stay(tmp_path: Path) -> None:
    single = frame(tmp_path, dataset("PT", Units="GML", SUVType="BW", RescaleSlope=0.01))
    assert (single.unit, single.header.suv_factor) == (Unit.SUVBW, 1.0)
    assert np.allclose(single.read().array, ramp() * 0.01)
    lean = frame(tmp_path, dataset("PT", Units="GML", SUVType="LBM"))
    assert (lean.unit, lean.header.suv_factor) == (Unit.ARBITRARY, None)


def test_philips_counts_become_activity_by_their_private_factor(tmp_path: Path) -> None:
    made = dataset("PT", Units="CNTS", RescaleSlope=2)
    made.add_new((0x7053, 0x0010), "LO", "Philips PET Private Group")
    made.add_new((0x7053, 0x1009), "DS", "2.5")
    single = frame(tmp_path, made)
    assert single.unit == Unit.BQ_PER_ML
    assert np.allclose(single.read().array, ramp() * 5.0)
    assert math.isclose(single.header.suv_factor or 0, BY_HAND, rel_tol=1e-9)
    plain = frame(tmp_path, dataset("PT", Units="CNTS"))
    assert (plain.unit, plain.header.suv_factor) == (Unit.ARBITRARY, None)


def test_an_enhanced_pet_states_unit_and_reference_in_its_own_way(tmp_path: Path) -> None:
    pixels = np.stack([ramp(index) for index in range(3)])
    made = enhanced("enhanced PT", pixels, [{"z": 3 * z, "slope": 2} for z in range(3)])
    for keyword in ("Units", "DecayCorrection", "SeriesTime", "AcquisitionTime"):
        del made[keyword]
    made.DecayCorrected, made.DecayCorrectionDateTime = "YES", "20240102110000"
    for group in made.PerFrameFunctionalGroupsSequence:
        group.PixelValueTransformationSequence[0].RescaleType = "BQML"
    store(tmp_path, [made])
    series = read(tmp_path).series[0]
    assert series.unit == Unit.BQ_PER_ML
    assert math.isclose(series.frames[2].header.suv_factor or 0, BY_HAND, rel_tol=1e-9)
    assert np.allclose(series.frames[2].read().array, pixels[2] * 2.0)
