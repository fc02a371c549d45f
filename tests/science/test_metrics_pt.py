"""PET metrics on bodies whose liver and noise are known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from medqa.acquisition import Acquisition, PTAcquisition
from medqa.codes import Unit
from medqa.errors import NotApplicable
from medqa.metrics import pt_body_cov, pt_liver_cov
from medqa.regions import Regions
from tests.science.factories import make_frame, make_series

SIZE, PIXEL, STEP = 128, 4.0, 4.0
FACTOR = 2e-4


def whole_body(cov: float = 0.1, *, liver: bool = True, slices: int = 60, flip: bool = False) -> list[np.ndarray]:
    """Ellipses of SUV 0.8 with a liver of SUV 2 in the patient's right half over 30 slices; noise with a filter's grain."""
    rng = np.random.default_rng(5)
    y, x = (np.mgrid[:SIZE, :SIZE] - SIZE / 2) * PIXEL
    body = (x / 180) ** 2 + (y / 110) ** 2 < 1
    organ = ((x + 80) / 75) ** 2 + (y / 80) ** 2 < 1
    volume = []
    for z in range(slices):
        suv = np.where(body, 0.8, 0.0)
        if liver and 15 <= z < 45:
            suv = np.where(body & organ, 2.0, suv)
        grain = ndimage.gaussian_filter(rng.normal(size=suv.shape), 0.7)
        noisy = np.maximum(suv * (1 + cov * grain / grain.std()), 0)
        volume.append((noisy[:, ::-1] if flip else noisy).astype(np.float32) / FACTOR)
    return volume


def series_of(arrays, tracer: str | None = "FDG", factor: float | None = FACTOR, unit=None, **header):
    made = Acquisition(modality="PT", pt=PTAcquisition(tracer=tracer))
    values = {"spacing_mm": (PIXEL, PIXEL), "suv_factor": factor, "orientation": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0))} | header
    frames = [
        make_frame(array, modality="PT", index=index, **({"position_mm": (-256.0, -256.0, STEP * index)} | values))
        for index, array in enumerate(arrays)
    ]
    return make_series([], modality="PT", frames=frames, acquisition=made)


def measure(metric, series):
    return metric.combine(series, [metric.per_frame(Regions(frame.read())) for frame in series.frames])


def refusal(metric, series) -> str:
    with pytest.raises(NotApplicable) as caught:
        measure(metric, series)
    return caught.value.values["reason"]


@pytest.mark.parametrize("cov", [0.05, 0.12, 0.4])
def test_the_liver_is_found_and_its_noise_measured(cov: float) -> None:
    measured = measure(pt_liver_cov.METRIC, series_of(whole_body(cov)))
    assert measured.value == pytest.approx(100 * cov, rel=0.12)
    assert measured.within_limits is (cov < 0.3)


def test_the_disc_lies_in_the_liver() -> None:
    series = series_of(whole_body())
    partials = [pt_liver_cov.per_frame(Regions(frame.read())) for frame in series.frames]
    found = [partial for partial in partials if partial is not None]
    assert len(found) == 30
    for partial in found:
        assert partial["x"] == pytest.approx(-80, abs=20)
        assert partial["mean"] == pytest.approx(2.0, rel=0.1)


def test_right_is_the_patient_s_right_however_the_image_is_stored() -> None:
    flipped = series_of(
        whole_body(flip=True),
        orientation=((-1.0, 0.0, 0.0), (0.0, 1.0, 0.0)),
        position_mm=(252.0, -256.0, 0.0),
    )
    assert measure(pt_liver_cov.METRIC, flipped).value == pytest.approx(10, rel=0.12)
    assert refusal(pt_liver_cov.METRIC, series_of(whole_body(flip=True))) == "no_liver"


def test_a_body_without_a_liver_and_another_tracer_have_no_value() -> None:
    assert refusal(pt_liver_cov.METRIC, series_of(whole_body(liver=False))) == "no_liver"
    assert refusal(pt_liver_cov.METRIC, series_of(whole_body(), tracer="Fluorothymidine")) == "no_liver"
    assert refusal(pt_liver_cov.METRIC, series_of(whole_body()[:20])) == "no_liver"


def test_a_uniform_phantom_has_no_liver() -> None:
    uniform = [np.where(array > 0, 2.0 / FACTOR, 0) for array in whole_body(liver=False)]
    assert refusal(pt_liver_cov.METRIC, series_of(uniform)) == "no_liver"


def test_without_suv_the_unit_is_unknown() -> None:
    assert refusal(pt_liver_cov.METRIC, series_of(whole_body(), factor=None)) == "unit_unknown"


def test_a_series_in_suv_needs_no_factor() -> None:
    frame = series_of([whole_body()[0]], factor=None).frames[0]
    assert pt_liver_cov.suv_factor(frame) is None
    assert pt_liver_cov.suv_factor(type(frame)(**{n: getattr(frame, n) for n in frame.__slots__} | {"unit": Unit.SUVBW})) == 1.0


def test_an_unnamed_tracer_is_measured() -> None:
    assert measure(pt_liver_cov.METRIC, series_of(whole_body(), tracer=None)).value == pytest.approx(10, rel=0.12)


@pytest.mark.parametrize("cov", [0.05, 0.1, 0.3])
def test_the_body_s_noise_is_what_was_put_in(cov: float) -> None:
    # Windows of 4 x 4 pixels with grain lose a little of the spread.
    measured = measure(pt_body_cov.METRIC, series_of(whole_body(cov, slices=20)))
    assert measured.value == pytest.approx(100 * cov, rel=0.2)
    assert measured.limits is None


def test_the_body_s_noise_needs_no_suv_and_no_liver() -> None:
    with_factor = measure(pt_body_cov.METRIC, series_of(whole_body(slices=10)))
    without = measure(pt_body_cov.METRIC, series_of(whole_body(slices=10), factor=None, tracer=None))
    # The body is found in another way, and ends a pixel sooner or later.
    assert without.value == pytest.approx(with_factor.value, rel=0.03)


def test_an_empty_scan_has_no_body() -> None:
    assert refusal(pt_body_cov.METRIC, series_of([np.zeros((64, 64))] * 2)) == "no_body"
