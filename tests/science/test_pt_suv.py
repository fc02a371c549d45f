"""SUVbw of every vendor's header against a computation of its own, from the raw elements of the file."""

from __future__ import annotations

import io
import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom import Dataset

from medqa.codes import Unit
from medqa.reader import read, read_instance
from tests.science.reader_factories import dataset, store

PHILIPS_SUV, PHILIPS_ACTIVITY = (0x7053, 0x1000), (0x7053, 0x1009)
TOLERANCE = 1e-3


def seconds(time: Any) -> float:
    """Return the seconds since midnight of `HHMMSS.ffffff`."""
    text = str(time)
    return 3600 * int(text[:2]) + 60 * int(text[2:4]) + float(text[4:])


def suv_by_hand(raw: Dataset) -> np.ndarray:
    """Return SUVbw after the recipe of QIBA for originals whose series time is the reference, without the reader."""
    values = raw.pixel_array.astype(np.float64) * float(raw.RescaleSlope) + float(raw.RescaleIntercept)
    if raw.Units == "GML":
        return values
    if raw.Units == "CNTS":
        if PHILIPS_SUV in raw:
            return values * float(raw[PHILIPS_SUV].value)
        values = values * float(raw[PHILIPS_ACTIVITY].value)
    drug = raw.RadiopharmaceuticalInformationSequence[0]
    waited = (seconds(raw.SeriesTime) - seconds(drug.RadiopharmaceuticalStartTime)) % 86400
    decays = 0.0 if raw.DecayCorrection == "ADMIN" else waited / float(drug.RadionuclideHalfLife)
    return values * float(raw.PatientWeight) * 1000 / (float(drug.RadionuclideTotalDose) * 0.5**decays)


@pytest.mark.parametrize(
    ("name", "maker"),
    [
        ("pt_sts001_ge_ds_fdg_wb", "GE MEDICAL SYSTEMS"),
        ("pt_qinhn0024_cps_fdg_wb", "CPS"),  # Siemens' PET by its maker's name
        ("pt_acrinflt028_slice", "1094"),  # Siemens Biograph, its maker's name removed
        ("pt_ingenuity_cylinder_suvval", "Philips"),
    ],
)
def test_a_real_scan_has_the_suv_of_its_raw_elements(data: Path, real_series: list[str], name: str, maker: str) -> None:
    path = data / "pt" / f"{name}.zip"
    series = read(path).series[0]
    with zipfile.ZipFile(path) as archive:
        files = [io.BytesIO(archive.read(entry)) for entry in archive.namelist() if not entry.endswith("/")]
    raws = {raw.SOPInstanceUID: raw for raw in (pydicom.dcmread(file, force=True) for file in files[:: max(1, len(files) // 5)])}
    compared = 0
    for frame in series.frames:
        raw = raws.get(frame.sop_instance_uid)
        if raw is None:
            continue
        assert maker in (str(raw.get("Manufacturer")), str(raw.get("ManufacturerModelName")))
        by_hand = suv_by_hand(raw)
        found = frame.read().array.astype(np.float64) * (frame.header.suv_factor or math.nan)
        assert by_hand.max() > 1
        assert np.abs(found - by_hand).max() < TOLERANCE * by_hand.max()
        assert found.sum() == pytest.approx(by_hand.sum(), rel=TOLERANCE)
        compared += 1
    assert compared == len(raws)
    real_series.append(name)


@pytest.mark.parametrize("bed", [0, 150, 298])
def test_the_decay_factor_of_a_siemens_bed_confirms_the_reference_time(data: Path, bed: int) -> None:
    """An independent witness: the scanner's own decay factor leads from the bed's time back to the time of the series."""
    with zipfile.ZipFile(data / "pt" / "pt_qinhn0024_cps_fdg_wb.zip") as archive:
        entry = sorted(name for name in archive.namelist() if not name.endswith("/"))[bed]
        raw = pydicom.dcmread(io.BytesIO(archive.read(entry)), stop_before_pixels=True)
    rate = math.log(2) / float(raw.RadiopharmaceuticalInformationSequence[0].RadionuclideHalfLife)
    lived = rate * float(raw.ActualFrameDuration) / 1000
    start = seconds(raw.AcquisitionTime) - seconds(raw.SeriesTime)
    assert float(raw.DecayFactor) == pytest.approx(math.exp(rate * start) * lived / -math.expm1(-lived), rel=TOLERANCE)


def philips(activity: float | None, suv: float | None, **attributes: Any) -> Dataset:
    made = dataset("PT", Units="CNTS", RescaleSlope=2, Manufacturer="Philips", **attributes)
    made.add_new((0x7053, 0x0010), "LO", "Philips PET Private Group")
    for place, value in ((PHILIPS_ACTIVITY, activity), (PHILIPS_SUV, suv)):
        if value is not None:
            made.add_new(place, "DS", str(value))
    return made


def timed(injected: str, scanned: str, **attributes: Any) -> Dataset:
    made = dataset("PT", SeriesTime=scanned, AcquisitionTime=scanned, **attributes)
    made.RadiopharmaceuticalInformationSequence[0].RadiopharmaceuticalStartTime = injected
    return made


MADE = {
    "GE, START": timed("101500.00", "112011.00", Manufacturer="GE MEDICAL SYSTEMS", RescaleSlope="0.302644"),
    "Siemens, START": timed("113900.000000", "130244.678000", Manufacturer="SIEMENS", RescaleSlope="2.0222414"),
    "Siemens, ADMIN": timed("113900.000000", "130244.678000", Manufacturer="SIEMENS", DecayCorrection="ADMIN"),
    "over midnight": timed("233000.00", "003015.50", Manufacturer="GE MEDICAL SYSTEMS"),
    "over midnight, ADMIN": timed("233000.00", "003015.50", DecayCorrection="ADMIN"),
    "already SUV": dataset("PT", Units="GML", SUVType="BW", RescaleSlope="0.0125"),
    "Philips, activity": philips(2.134638, None),
    "Philips, SUV": philips(None, 0.0002683712),
    "Philips, both": philips(2.134638, 0.0002683712),
    "Philips, activity, ADMIN": philips(2.134638, None, DecayCorrection="ADMIN"),
}


@pytest.mark.parametrize("name", MADE)
def test_a_made_header_has_the_suv_of_its_raw_elements(tmp_path: Path, name: str) -> None:
    (path,) = store(tmp_path, [MADE[name]])
    frame = read_instance(path).frames[0]
    by_hand = suv_by_hand(pydicom.dcmread(path))
    found = frame.read().array.astype(np.float64) * (1 if frame.unit == Unit.SUVBW else frame.header.suv_factor or math.nan)
    assert by_hand.max() > 0
    assert np.allclose(found, by_hand, rtol=TOLERANCE, atol=0)


def test_the_cases_differ_where_they_must(tmp_path: Path) -> None:
    """A test that took no notice of the correction or of midnight would fail here."""
    factors = {}
    for name in ("Siemens, START", "Siemens, ADMIN", "over midnight", "over midnight, ADMIN"):
        factors[name] = read_instance(store(tmp_path / name, [MADE[name]])[0]).frames[0].header.suv_factor
    assert factors["Siemens, START"] / factors["Siemens, ADMIN"] == pytest.approx(2 ** (5024.678 / 6586.2), rel=1e-6)
    assert factors["over midnight"] / factors["over midnight, ADMIN"] == pytest.approx(2 ** (3615.5 / 6586.2), rel=1e-6)


@pytest.mark.parametrize("value", [0.0, -1.0])
def test_a_philips_factor_of_zero_or_less_is_none(tmp_path: Path, value: float) -> None:
    frame = read_instance(store(tmp_path, [philips(value, value)])[0]).frames[0]
    assert (frame.unit, frame.header.suv_factor) == (Unit.ARBITRARY, None)
    # One good factor is enough, whichever it is.
    assert read_instance(store(tmp_path / "a", [philips(2.0, value)])[0]).frames[0].unit == Unit.BQ_PER_ML
    assert read_instance(store(tmp_path / "b", [philips(value, 2e-4)])[0]).frames[0].unit == Unit.SUVBW
