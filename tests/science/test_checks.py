"""Deterministic checks: what each header or pixel fact must, and must not, lead to."""

from __future__ import annotations

import numpy as np
import pytest

from medqa.acquisition import Acquisition, PTAcquisition
from medqa.assessment import FrameEvidence, Significance
from medqa.checks import CHECKS, ct, geometry, pet, pixels
from medqa.metrics import frame_partials
from medqa.series import ReadingNote
from medqa.simulate.series import degrade_series
from tests.science.factories import broken, ct_body, make_frame, make_image, make_series, mr_head


def evidence_of(series) -> list[FrameEvidence]:
    found = []
    for frame in series.frames:
        try:
            partials, error = frame_partials(frame.read()), None
        except Exception as failure:  # noqa: BLE001 - the factory's own
            partials, error = {}, str(failure)
        found.append(FrameEvidence(sop_instance_uid=frame.sop_instance_uid, number=1, sha256="", partials=partials, error=error))
    return found


def blank(arrays, **values) -> dict[str, tuple[int, int]]:
    series = make_series(arrays, **values)
    return {one.message: one.frames for one in pixels.blank(series, evidence_of(series))}


def messages(findings) -> set[str]:
    return {one.message for one in findings}


BODY = ct_body(np.random.default_rng(0))
AIR = np.random.default_rng(1).normal(-1000, 20, BODY.shape)
HEAD = mr_head(np.random.default_rng(0))
ZERO = np.zeros_like(BODY)


@pytest.mark.parametrize(
    ("arrays", "expected"),
    [
        ([BODY] * 5, {}),
        ([BODY, BODY, ZERO, BODY, BODY], {"blank_frames": (2, 2)}),
        ([BODY, AIR, AIR, AIR, BODY], {"blank_frames": (1, 3)}),
        ([AIR, BODY, BODY, AIR], {"blank_end_frames": (0, 3)}),
        ([AIR, BODY, AIR, BODY, AIR], {"blank_frames": (2, 2), "blank_end_frames": (0, 4)}),
        ([AIR, AIR], {"blank_series": (0, 1)}),
        ([np.full_like(BODY, np.nan), BODY, BODY], {"blank_end_frames": (0, 0)}),
        ([BODY, broken(), BODY], {}),
        ([BODY, ZERO, broken(), ZERO, BODY], {"blank_frames": (1, 3)}),
        ([broken(), broken()], {}),
        ([BODY], {}),
    ],
)
def test_blank_ct_frames(arrays, expected) -> None:
    assert blank(arrays) == expected


def test_an_mr_frame_without_signal_is_blank_although_it_holds_noise() -> None:
    noise = mr_head(np.random.default_rng(3), signal=0.0)
    assert blank([HEAD, HEAD, noise, HEAD], modality="MR") == {"blank_frames": (2, 2)}
    assert blank([HEAD, HEAD * 0.3, HEAD], modality="MR") == {}


def test_stacks_are_looked_at_one_by_one() -> None:
    # The last frame of the first echo and the first of the second are both ends.
    assert blank([HEAD, HEAD, ZERO, ZERO, HEAD, HEAD], modality="MR", stacks=2) == {"blank_end_frames": (2, 3)}


def noisy(count: int, modality: str = "CT") -> list[np.ndarray]:
    make = ct_body if modality == "CT" else mr_head
    return [make(np.random.default_rng(seed)) for seed in range(count)]


def repeated(arrays, **values):
    series = make_series(arrays, **values)
    return pixels.repeated(series, evidence_of(series))


@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_a_slice_with_the_pixels_of_another_is_told_of_wherever_it_lies(modality: str) -> None:
    arrays = noisy(6, modality)
    assert repeated(arrays, modality=modality) == []
    (beside,) = repeated([*arrays[:3], arrays[2], *arrays[3:]], modality=modality)
    assert (beside.message, beside.values, beside.frames) == ("repeated_pixels", {"first": 3, "other": 4}, (2, 3))
    assert beside.significance is Significance.DOUBT
    (far,) = repeated([*arrays, arrays[1], arrays[0]], modality=modality, stacks=2)
    assert (far.values, far.frames) == ({"first": 2, "other": 7, "count": 2}, (0, 7))


def test_one_pixel_makes_another_slice_and_a_moved_slice_too() -> None:
    (array,) = noisy(1)
    other, moved = array.copy(), np.roll(array, 1, axis=1)
    other[100, 100] += 1
    assert repeated([array, other, moved]) == []


def test_blank_and_undecodable_slices_do_not_repeat_one_another() -> None:
    assert repeated([BODY, ZERO, ZERO, np.full_like(BODY, np.nan), np.full_like(BODY, np.nan), broken(), broken()]) == []
    assert repeated([BODY, AIR, AIR]) == []


@pytest.mark.parametrize("kind", ["duplicated", "swapped", "dropped", "partial-volume"])
def test_a_series_with_slices_shown_twice_is_told_apart_from_other_faults(kind: str) -> None:
    done = degrade_series(make_series(noisy(12)), kind, np.random.default_rng(0), level=2)
    found = pixels.repeated(done.series, evidence_of(done.series))
    assert len(found) == (kind == "duplicated")
    if found:
        assert found[0].values["count"] == 2


def test_undecodable_frames_are_counted() -> None:
    series = make_series([BODY, broken(), BODY, broken()])
    (found,) = pixels.undecodable(series, evidence_of(series))
    assert found.values == {"count": 2, "total": 4, "code": "MQ202"}
    assert found.frames == (1, 3)
    assert found.significance is Significance.DOUBT


def test_the_reader_s_notes_become_findings() -> None:
    notes = (ReadingNote(message="missing_slices", values={"count": 2}, frames=(3, 4)), ReadingNote(message="single_slice"))
    found = geometry.check(make_series([BODY], notes=notes), [])
    assert [(one.message, one.frames) for one in found] == [("missing_slices", (3, 4)), ("single_slice", None)]


def test_what_follows_from_the_frames_is_told_without_a_note() -> None:
    assert messages(geometry.check(make_series([np.zeros((8, 300))]), [])) == {"single_slice", "tiny_image"}
    assert geometry.check(make_series([BODY] * 2), []) == []


def test_lossy_and_changing_headers_are_notes() -> None:
    made = Acquisition(modality="CT", lossy=True, inconsistent=("KVP", "ConvolutionKernel"))
    found = geometry.check(make_series([BODY] * 2, acquisition=made), [])
    assert messages(found) == {"lossy_compression", "inconsistent_header"}
    assert {one.significance for one in found} == {Significance.NOTE}
    assert found[1].values == {"keywords": "ConvolutionKernel, KVP"}


def test_a_rescale_that_changes_is_a_note() -> None:
    frames = [make_frame(BODY, index=index, intercept=-1024.0 + index) for index in range(3)]
    assert messages(ct.rescale(make_series([], frames=frames), [])) == {"ct_slope_varies"}
    assert ct.rescale(make_series([BODY] * 3), []) == []


FDG = {"tracer": "FDG -- fluorodeoxyglucose", "injected_dose_bq": 300e6, "weight_kg": 75.0, "uptake_min": 60.0, "units": "BQML"}
FDG |= {"corrections": ("DECY", "ATTN", "SCAT"), "decay_correction": "START"}


def pet_findings(body_part: str | None = None, **changes) -> dict[str, dict]:
    made = Acquisition(modality="PT", body_part=body_part, pt=PTAcquisition(**(FDG | changes)))
    return {one.message: dict(one.values) for one in pet.check(make_series([ZERO] * 2, modality="PT", acquisition=made), [])}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {}),
        ({"injected_dose_bq": 75e6}, {"pt_dose_low": {"value": 1.0, "low": 1.5}}),
        ({"injected_dose_bq": 1500e6}, {"pt_dose_high": {"value": 20.0, "high": 12.0}}),
        ({"injected_dose_bq": 300.0}, {"pt_dose_low": {"value": 4e-6, "low": 1.5}}),
        ({"tracer": "Rubidium chloride", "injected_dose_bq": 1500e6, "uptake_min": 2.0}, {}),
        ({"tracer": "FLT", "injected_dose_bq": 300.0}, {"pt_dose_low": {"value": 4e-6, "low": 0.05}}),
        ({"uptake_min": 110.0}, {"pt_uptake_out_of_band": {"value": 110.0, "low": 55.0, "high": 75.0}}),
        ({"uptake_min": 40.0, "body_part": "BRAIN"}, {}),
        ({"uptake_min": -5.0}, {"pt_time_order": {}}),
        ({"uptake_min": None, "injected_dose_bq": None}, {}),
        ({"weight_kg": 0.0}, {"pt_weight_implausible": {"value": 0.0}}),
        ({"weight_kg": 750.0, "injected_dose_bq": 3000e6}, {"pt_weight_implausible": {"value": 750.0}}),
        ({"weight_kg": None, "suv_missing": ("PatientWeight",)}, {"pt_suv_unavailable": {"keywords": "PatientWeight"}}),
        ({"half_life_s": 6588.0, "radionuclide": "^18^Fluorine"}, {}),
        (
            {"half_life_s": 4063.0, "radionuclide": "F^18^[^18^Fluorine]"},
            {"pt_half_life_wrong": {"value": 4063.0, "known": 6586.2}},
        ),
        ({"half_life_s": 4080.0, "radionuclide": "Ga-68", "tracer": "DOTATATE"}, {}),
        ({"half_life_s": 1220.0, "radionuclide": None}, {"pt_half_life_wrong": {"value": 1220.0, "known": 6586.2}}),
        ({"half_life_s": 5.0, "radionuclide": "188Re", "tracer": "new"}, {}),
        ({"units": "CNTS"}, {"pt_units_unusual": {"units": "CNTS"}}),
        ({"corrections": ("DECY", "SCAT")}, {"pt_attenuation_missing": {}}),
        ({"corrections": ()}, {}),
        ({"decay_correction": "NONE"}, {"pt_decay_inconsistent": {"decay_correction": "NONE"}}),
        ({"corrections": ("ATTN",)}, {"pt_decay_inconsistent": {"decay_correction": "START"}}),
        ({"corrections": ("ATTN",), "decay_correction": "NONE"}, {}),
    ],
)
def test_a_pet_header(changes, expected) -> None:
    assert pet_findings(**changes) == expected


def test_a_series_without_pet_attributes_is_passed_over() -> None:
    assert pet.check(make_series([ZERO], modality="PT", acquisition=Acquisition(modality="PT")), []) == []


@pytest.mark.parametrize(
    ("tracer", "expected"),
    [
        ("FDG -- fluorodeoxyglucose", True),
        ("Fluorodeoxyglucose F^18^", True),
        ("[18F]FDG", True),
        ("F-18 Fluordesoxyglucose", True),
        ("FLT", False),
        (None, False),
    ],
)
def test_fdg_is_known_by_its_names(tracer, expected) -> None:
    assert PTAcquisition(tracer=tracer).is_fdg is expected


@pytest.mark.parametrize("modality", ["CT", "MR", "PT"])
def test_an_ordinary_series_has_no_findings(modality: str) -> None:
    array = BODY if modality == "CT" else HEAD
    series = make_series([array + index for index in range(5)], modality=modality)
    assert [one for check in CHECKS[modality] for one in check(series, evidence_of(series))] == []


def test_facts_of_a_frame() -> None:
    array = BODY.copy()
    array[:64] = np.nan
    facts = frame_partials(make_image(array))["frame"]
    assert facts["empty"] == pytest.approx(0.25)
    assert (facts["min"], facts["max"]) == (pytest.approx(np.nanmin(array)), pytest.approx(np.nanmax(array)))
    assert facts["mean"] == pytest.approx(np.nanmean(array), rel=1e-5)
    assert 0.2 < facts["body"] < 0.6
    assert not facts["blank"]
