"""Every value goes to JSON text and back without a change."""

from __future__ import annotations

import json
import math

from hypothesis import given
from hypothesis import strategies as st

from medqa.acquisition import Acquisition, CTAcquisition, MRAcquisition, PTAcquisition
from medqa.assessment import (
    Assessment,
    Finding,
    FrameEvidence,
    NotChecked,
    Prediction,
    Provenance,
    SeriesReference,
    Significance,
    Verdict,
)
from medqa.codes import Code, Quality, Unit, own
from medqa.findings import FINDINGS, NOT_CHECKED, REASONS, finding
from medqa.measurement import Measurement
from medqa.series import InstanceReference

NUMBER = st.floats(allow_nan=False, allow_infinity=False)
TEXT = st.text(max_size=12)
MAYBE = st.one_of(st.none(), NUMBER)
SCALARS = st.dictionaries(TEXT, st.one_of(NUMBER, st.integers(-(2**53), 2**53), TEXT), max_size=3)
CODES = st.builds(Code, TEXT, TEXT, TEXT)
RANGES = st.one_of(st.none(), st.tuples(st.integers(0, 99), st.integers(0, 99)))
FRAME_SCORES = st.lists(MAYBE, max_size=4).map(tuple)

MEASUREMENTS = st.builds(
    Measurement,
    quantity=CODES,
    value=NUMBER,
    unit=CODES,
    source=TEXT,
    interval=st.one_of(st.none(), st.tuples(NUMBER, NUMBER)),
    limits=st.one_of(st.none(), st.tuples(MAYBE, MAYBE)),
)
FINDING_VALUES = st.builds(
    Finding,
    message=st.sampled_from(sorted(FINDINGS)),
    code=CODES,
    significance=st.sampled_from(Significance),
    values=SCALARS,
    evidence=st.lists(TEXT, max_size=2).map(tuple),
    frames=RANGES,
)
PREDICTIONS = st.builds(
    Prediction,
    model=TEXT,
    kind=st.sampled_from(["mal", "densenet"]),
    digest=TEXT,
    score=NUMBER,
    adequate=NUMBER,
    interval=st.one_of(st.none(), st.tuples(NUMBER, NUMBER)),
    certified=st.booleans(),
    labels=st.one_of(st.none(), st.lists(TEXT, max_size=2).map(tuple)),
    artefacts=st.lists(TEXT, max_size=2).map(tuple),
    frame_scores=FRAME_SCORES,
    worst_frames=st.lists(st.integers(0, 9), max_size=3).map(tuple),
)
EVIDENCE = st.builds(
    FrameEvidence,
    sop_instance_uid=TEXT,
    number=st.integers(1, 9),
    sha256=TEXT,
    bundles=st.dictionaries(TEXT, TEXT, max_size=2),
    scores=st.dictionaries(TEXT, NUMBER, max_size=2),
    scale=MAYBE,
    factor=NUMBER,
    partials=st.dictionaries(TEXT, st.dictionaries(TEXT, st.one_of(NUMBER, st.lists(st.integers(0, 9), max_size=3)), max_size=2)),
    error=st.one_of(st.none(), TEXT),
)
ACQUISITIONS = st.builds(
    Acquisition,
    modality=st.sampled_from(["CT", "MR", "PT"]),
    manufacturer=st.one_of(st.none(), TEXT),
    image_type=st.lists(TEXT, max_size=3).map(tuple),
    pixel_spacing_mm=st.one_of(st.none(), st.tuples(NUMBER, NUMBER)),
    ct=st.one_of(st.none(), st.builds(CTAcquisition, kvp_kv=MAYBE, kernel=st.one_of(st.none(), TEXT))),
    mr=st.one_of(st.none(), st.builds(MRAcquisition, acquisition_matrix=st.one_of(st.none(), st.just((0, 256, 192, 0))))),
    pt=st.one_of(st.none(), st.builds(PTAcquisition, corrections=st.just(("DECY", "ATTN")), suv_missing=st.just(("Units",)))),
)
ASSESSMENTS = st.builds(
    Assessment,
    series=st.builds(
        SeriesReference,
        study_uid=TEXT,
        series_uid=TEXT,
        part=TEXT,
        modality=TEXT,
        frames=st.integers(0, 9),
        instances=st.lists(st.builds(InstanceReference, sop_class_uid=TEXT, sop_instance_uid=TEXT), max_size=2).map(tuple),
    ),
    acquisition=ACQUISITIONS,
    verdict=st.one_of(st.none(), st.sampled_from(Verdict)),
    reason=st.sampled_from(sorted(REASONS)),
    reason_values=SCALARS,
    provenance=st.builds(
        Provenance,
        medqa_version=TEXT,
        packages=st.dictionaries(TEXT, TEXT, max_size=2),
        replaced_values=st.lists(TEXT, max_size=2).map(tuple),
        judged_at=st.one_of(st.none(), TEXT),
    ),
    measurements=st.lists(MEASUREMENTS, max_size=2).map(tuple),
    predictions=st.lists(PREDICTIONS, max_size=2).map(tuple),
    findings=st.lists(FINDING_VALUES, max_size=2).map(tuple),
    not_checked=st.lists(
        st.builds(NotChecked, what=TEXT, reason=st.sampled_from(sorted(NOT_CHECKED)), values=SCALARS), max_size=2
    ).map(tuple),
)


def through_text(document):
    return json.loads(json.dumps(document, allow_nan=False))


@given(MEASUREMENTS)
def test_a_measurement(value: Measurement) -> None:
    assert Measurement.from_json(through_text(value.to_json())) == value


@given(FINDING_VALUES)
def test_a_finding(value: Finding) -> None:
    assert Finding.from_json(through_text(value.to_json())) == value


@given(PREDICTIONS)
def test_a_prediction(value: Prediction) -> None:
    assert Prediction.from_json(through_text(value.to_json())) == value


@given(EVIDENCE)
def test_frame_evidence(value: FrameEvidence) -> None:
    assert FrameEvidence.from_json(through_text(value.to_json())) == value


@given(ACQUISITIONS)
def test_an_acquisition(value: Acquisition) -> None:
    assert Acquisition.from_json(through_text(value.to_json())) == value


@given(ASSESSMENTS)
def test_an_assessment(value: Assessment) -> None:
    assert Assessment.from_json(through_text(value.to_json())) == value


def test_limits_may_be_open_at_either_end() -> None:
    def within(value: float, *limits: float | None) -> bool | None:
        return Measurement(quantity=own("x", "x"), value=value, unit=Unit.ONE, source="", limits=limits or None).within_limits

    assert within(5.0) is None
    assert within(5.0, None, 5.0) is True
    assert within(5.1, None, 5.0) is False
    assert within(5.0, 6.0, None) is False
    assert within(math.inf, 1.0, None) is True


def test_a_finding_has_the_code_and_the_weight_of_its_kind() -> None:
    found = finding("blank_frames", values={"count": 3})
    assert (found.significance, found.code) == (Significance.CERTAIN, FINDINGS["blank_frames"].code)


def test_the_verdict_s_dicom_words_are_those_of_the_standard() -> None:
    assert (Quality.DIAGNOSTIC.value, Quality.NON_DIAGNOSTIC.value) == ("RID12", "RID14")
