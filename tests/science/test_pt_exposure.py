"""Exposure and uptake time: by hand from the header, and nothing where the header does not say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medqa.acquisition import PTAcquisition
from medqa.errors import NotApplicable
from medqa.metrics import pt_exposure, pt_uptake
from medqa.reader import read
from tests.science.factories import make_series
from tests.science.pt_factories import refusal, series_of
from tests.science.reader_factories import dataset, store

IMAGE = [np.ones((8, 8))]
TOLD = {"injected_dose_bq": 370e6, "time_per_bed_s": 120.0, "weight_kg": 70.0}


def exposure(**made) -> float:
    return pt_exposure.combine(series_of(IMAGE, made=PTAcquisition(**made)), [None]).value


def test_a_dose_of_370_megabecquerel_for_two_minutes_in_70_kg() -> None:
    found = pt_exposure.combine(series_of(IMAGE, made=PTAcquisition(**TOLD)), [None])
    assert found.value == pytest.approx(370 * 2 / 70)
    assert (found.unit.value, found.limits) == ("MBq.min/kg", None)


positive = st.floats(0.1, 10.0)


@given(dose=positive, time=positive, weight=positive)
def test_it_goes_with_dose_and_time_and_against_weight(dose: float, time: float, weight: float) -> None:
    changed = exposure(injected_dose_bq=370e6 * dose, time_per_bed_s=120.0 * time, weight_kg=70.0 * weight)
    assert changed == pytest.approx(exposure(**TOLD) * dose * time / weight)


@pytest.mark.parametrize(
    ("name", "keyword"),
    [
        ("injected_dose_bq", "RadionuclideTotalDose"),
        ("time_per_bed_s", "ActualFrameDuration"),
        ("weight_kg", "PatientWeight"),
    ],
)
@pytest.mark.parametrize("value", [None, 0.0, -3.0, float("nan")])
def test_what_the_header_does_not_say_is_named(name: str, keyword: str, value: float | None) -> None:
    with pytest.raises(NotApplicable) as caught:
        exposure(**(TOLD | {name: value}))
    assert caught.value.values["reason"] == "header_silent"
    assert caught.value.values["keyword"] == keyword


@pytest.mark.parametrize("minutes", [0.0, 45.2, 60.0, 90.0])
def test_the_uptake_time_is_that_of_the_header(minutes: float) -> None:
    found = pt_uptake.combine(series_of(IMAGE, made=PTAcquisition(uptake_min=minutes)), [None])
    assert (found.value, found.unit.value, found.limits) == (minutes, "min", None)


def test_a_scan_before_the_injection_has_no_uptake_time() -> None:
    assert refusal(pt_uptake.METRIC, series_of(IMAGE, made=PTAcquisition(uptake_min=-5.0))) == "header_contradicts"
    assert refusal(pt_uptake.METRIC, series_of(IMAGE, made=PTAcquisition())) == "header_silent"
    assert refusal(pt_uptake.METRIC, make_series(IMAGE)) == "header_silent"


def test_both_come_out_of_a_file(tmp_path: Path) -> None:
    """One hour after 370 MBq in 70 kg, two minutes a bed; the series starts ten minutes later and passes midnight."""
    made = [dataset("PT", index, SeriesTime="001000", AcquisitionTime="001000") for index in range(2)]
    for one in made:
        one.RadiopharmaceuticalInformationSequence[0].RadiopharmaceuticalStartTime = "230000"
    store(tmp_path, made)
    (series,) = read(tmp_path).series
    assert pt_uptake.combine(series, [None, None]).value == pytest.approx(70)
    assert pt_exposure.combine(series, [None, None]).value == pytest.approx(370 * 2 / 70)
