"""SUV of the liver: what was put in, however noisy, and a note where it is out of the band."""

from __future__ import annotations

import numpy as np
import pytest

from medqa.acquisition import PTAcquisition
from medqa.metrics import pt_bed_steps, pt_blood_suv, pt_extravasation, pt_liver_cov, pt_liver_suv
from medqa.metrics.pt_liver import widest
from tests.science.pt_factories import Body, measured, noisy, partials_of, refusal, series_of

SLICES = list(Body().slices())


def messages(series) -> list[str]:
    return [one.message for one in pt_liver_suv.METRIC.find(series, partials_of(pt_liver_suv, series))]


@pytest.mark.parametrize(("liver", "told"), [(1.25, True), (1.5, False), (2.0, False), (2.8, False), (3.4, True)])
def test_the_liver_reads_what_was_put_in(liver: float, told: bool) -> None:
    series = series_of(noisy(list(Body(liver=liver).slices()), 0.1))
    found = measured(pt_liver_suv.METRIC, series)
    assert found.value == pytest.approx(liver, rel=0.03)
    assert found.unit.value == "g/ml{SUVbw}"
    assert found.limits is None
    assert messages(series) == (["pt_liver_suv_implausible"] if told else [])


@pytest.mark.parametrize("scale", [0.75, 1.3, 1.6])
def test_a_wrong_calibration_moves_it_by_as_much(scale: float) -> None:
    right = measured(pt_liver_suv.METRIC, series_of(SLICES)).value
    assert measured(pt_liver_suv.METRIC, series_of(SLICES, scale=scale)).value == pytest.approx(scale * right, rel=0.01)


def test_a_scale_that_is_wrong_by_half_leaves_no_liver() -> None:
    series = series_of(SLICES, scale=0.5)
    assert refusal(pt_liver_suv.METRIC, series) == "no_liver"
    assert messages(series) == []


def test_it_is_the_region_of_the_noise_metric() -> None:
    series = series_of(SLICES)
    assert partials_of(pt_liver_suv, series) == partials_of(pt_liver_cov, series)
    discs = widest("x", series, partials_of(pt_liver_suv, series))
    assert 2 <= len(discs) <= 7  # up to 15 mm to either side, 6 mm apart
    assert measured(pt_liver_suv.METRIC, series).value == pytest.approx(np.mean([one["mean"] for one in discs]))


def test_bad_input_has_no_value() -> None:
    assert refusal(pt_liver_suv.METRIC, series_of(SLICES, factor=None)) == "unit_unknown"
    assert refusal(pt_liver_suv.METRIC, series_of(SLICES, made=PTAcquisition(tracer="Fluorothymidine"))) == "no_liver"
    for one in (np.zeros((64, 64)), np.full((64, 64), np.nan), np.full((64, 64), 2.0), np.ones((4, 4))):
        assert refusal(pt_liver_suv.METRIC, series_of([one] * 30)) == "no_liver"
    assert refusal(pt_liver_suv.METRIC, series_of(SLICES[20:21])) == "no_liver"
    assert refusal(pt_liver_suv.METRIC, series_of(SLICES, position_mm=None)) == "no_liver"


@pytest.mark.parametrize("metric", [pt_liver_suv, pt_blood_suv, pt_extravasation, pt_bed_steps], ids=lambda one: one.NAME)
def test_what_needs_slices_across_the_patient_does_not_look_at_others(metric) -> None:
    coronal = series_of(SLICES[:30], orientation=((1.0, 0.0, 0.0), (0.0, 0.0, -1.0)))
    assert refusal(metric.METRIC, coronal) == "not_axial"
