"""The verdict, its reasons, the scores and the measurements as a Comprehensive SR (PS3.16 TID 1500, PS3.3 A.35.3).

One measurement group for the series. ADEQUATE is coded RID12 and RESCAN RID14 (CID 7036); REVIEW has no value there, since it is
no statement about the image: its coded reasons and the sentence stand alone.
"""

from __future__ import annotations

import copy
import datetime
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from pydicom.dataset import Dataset

from medqa import dicom_values
from medqa.assessment import Assessment, Finding, Prediction, Significance, Verdict
from medqa.codes import OWN_SCHEME, Code, Quality, Reason, Unit, own
from medqa.measurement import Measurement
from medqa.series import Series
from reports import instance

if TYPE_CHECKING:
    from highdicom import sr

_RATING: Final = {Verdict.ADEQUATE: Quality.DIAGNOSTIC, Verdict.RESCAN: Quality.NON_DIAGNOSTIC}
_VERDICT: Final = own("verdict", "Verdict")
_WHY: Final = own("verdict_reason", "Reason of the verdict")
_NOT_CHECKED: Final = own("not_checked", "Not checked")
_VERDICTS: Final = {verdict: own(verdict.value, verdict.value.capitalize()) for verdict in Verdict}
_COMMENT: Final = Code("121106", "DCM", "Comment")
_PROCEDURE: Final = Code("363679005", "SCT", "Imaging procedure")
_ARTIFICIAL_INTELLIGENCE: Final = Code("123110", "DCM", "Artificial Intelligence")
_TITLE: Final = Code("126000", "DCM", "Imaging Measurement Report")
_DEVICE: Final = Code("121007", "DCM", "Device")
_UNCERTAINTY: Final = (
    Code("371885007", "SCT", "-, range of lower measurement uncertainty"),
    Code("371886008", "SCT", "+, range of upper measurement uncertainty"),
)
_LANGUAGES: Final = {
    "en": Code("eng", "ISO639_2", "English"),
    "ja": Code("jpn", "ISO639_2", "Japanese"),
}
_NETWORK_FINDINGS: Final = frozenset({"mal_against", "densenet_against"})
_MOST_IMAGES: Final = 64
_LONGEST_NAME: Final = 64


def structured_report(
    assessment: Assessment,
    series: Series,
    sentence: str,
    now: datetime.datetime,
    lang: str = "en",
    predecessors: Sequence[Dataset] = (),
) -> Dataset:
    """Build the SR.

    Parameters
    ----------
    assessment
        With a verdict.
    series
        What it is about.
    sentence
        The verdict's sentence, in `lang`.
    now
        When it counts as made.
    lang
        `en` or `ja`.
    predecessors
        The SRs that this one supersedes; only their UIDs are looked at (Predecessor Documents Sequence, PS3.3 C.17.2).
    """
    from highdicom import sr

    dataset = instance.common(series, instance.SR, now)
    images = _source_images(assessment, series)
    content = sr.MeasurementReport(
        observation_context=_observer(),
        procedure_reported=_concept(_PROCEDURE),
        imaging_measurements=[_group(assessment, series, sentence, images)],
        title=_concept(_TITLE),
        language_of_content_item_and_descendants=sr.LanguageOfContentItemAndDescendants(_concept(_LANGUAGES[lang])),
    )
    placeholder = dicom_values.own_uid("placeholder")
    document = sr.ComprehensiveSR(
        evidence=_evidence_datasets(dataset, images) or [_evidence_dataset(dataset, instance.SR.sop_class_uid, placeholder)],
        content=content[0],
        series_instance_uid=placeholder,
        series_number=dataset.SeriesNumber,
        sop_instance_uid=placeholder,
        instance_number=1,
        manufacturer=instance.MANUFACTURER,
        is_complete=True,
        is_final=True,
        is_verified=False,
        previous_versions=predecessors or None,
        record_evidence=False,
    )
    plain = Dataset()
    plain.update(document)
    del plain.ContributingEquipmentSequence  # it names highdicom, and the time
    plain.update(dataset)  # after highdicom: it takes the clock's time, and makes the source's equipment its own
    plain.ReferencedPerformedProcedureStepSequence = []
    plain.CodingSchemeIdentificationSequence = [_own_scheme()]
    references = instance.source_instances(series)
    if references:
        plain.CurrentRequestedProcedureEvidenceSequence = [_evidence(series, dataset.StudyInstanceUID, references)]
    return instance.finish([plain], instance.SR, series)[0]


def reason_codes(assessment: Assessment) -> tuple[Code, ...]:
    """Return why the series is flagged: the codes of the findings that count, each once, none for an adequate series.

    A RESCAN for which only codes of ours stand also says (111221, DCM), so that a reader of CID 6135 finds a value.
    """
    if assessment.verdict in {None, Verdict.ADEQUATE}:
        return ()
    codes = list(dict.fromkeys(finding.code for finding in assessment.findings if _counts(finding)))
    if assessment.verdict is Verdict.RESCAN and not any(code.scheme in {"DCM", "RADLEX"} for code in codes):
        codes.append(Reason.UNKNOWN_FAILURE)
    return tuple(codes)


def _counts(finding: Finding) -> bool:
    return finding.significance is not Significance.NOTE or finding.message in _NETWORK_FINDINGS


def _group(
    assessment: Assessment, series: Series, sentence: str, images: list[sr.SourceImageForMeasurementGroup]
) -> sr.MeasurementsAndQualitativeEvaluations:
    from highdicom import sr

    evaluations = [(_VERDICT, _VERDICTS[verdict]) for verdict in Verdict if verdict is assessment.verdict]
    rating = None if assessment.verdict is None else _RATING.get(assessment.verdict)
    if rating is not None:
        evaluations.append((Quality.ASSESSMENT, rating))
    evaluations.append((_WHY, own(assessment.reason, assessment.reason.replace("_", " ").capitalize())))
    evaluations += [(Quality.IMAGE_QUALITY, code) for code in reason_codes(assessment)]
    evaluations += [
        (_NOT_CHECKED, own(item.what, f"{item.what}: {item.reason}".replace("_", " "))) for item in assessment.not_checked
    ]
    group = sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(
            uid=dicom_values.own_uid("tracking", series.series_uid, series.part), identifier="image quality of the series"
        ),
        finding_type=_concept(Quality.ANALYSIS),
        algorithm_id=_algorithm("medqa", assessment.provenance.medqa_version, {"settings": assessment.provenance.settings_digest}),
        measurements=list(_measurements(assessment)),
        qualitative_evaluations=[sr.QualitativeEvaluation(_concept(name), _concept(value)) for name, value in evaluations],
        source_images=images or None,
    )
    group[0].ContentSequence.append(sr.TextContentItem(_concept(_COMMENT), sentence, "CONTAINS"))
    return group


def _measurements(assessment: Assessment) -> Iterator[sr.Measurement]:
    for prediction in assessment.predictions:
        digest = {"SHA-256": prediction.digest, "kind": prediction.kind}
        algorithm = _algorithm(prediction.model, prediction.digest[:16] or assessment.provenance.medqa_version, digest)
        yield from _predicted(prediction, algorithm)
    for measurement in assessment.measurements:
        if math.isfinite(measurement.value):
            yield _number(measurement)


def _predicted(prediction: Prediction, algorithm: sr.AlgorithmIdentification) -> Iterator[sr.Measurement]:
    """Yield the score, with its interval, and the probability of being adequate."""
    score = Measurement(
        quantity=Quality.RATING, value=prediction.score, unit=Unit.SCORE, source=prediction.model, interval=prediction.interval
    )
    probability = Measurement(quantity=Quality.PROBABILITY, value=prediction.adequate, unit=Unit.ONE, source=prediction.model)
    for measurement in (score, probability):
        if math.isfinite(measurement.value):
            yield _number(measurement, algorithm)


def _number(measurement: Measurement, algorithm: sr.AlgorithmIdentification | None = None) -> sr.Measurement:
    from highdicom import sr

    number = sr.Measurement(
        name=_concept(measurement.quantity), value=float(measurement.value), unit=_concept(measurement.unit), algorithm_id=algorithm
    )
    if measurement.interval is not None and all(map(math.isfinite, measurement.interval)):
        # Not by highdicom's MeasurementProperties, which would give the uncertainty no unit.
        low, high = measurement.interval
        distances = (max(measurement.value - low, 0.0), max(high - measurement.value, 0.0))
        items = [
            sr.NumContentItem(_concept(name), float(distance), _concept(measurement.unit), relationship_type="HAS PROPERTIES")
            for name, distance in zip(_UNCERTAINTY, distances, strict=True)
        ]
        number[0].ContentSequence = sr.ContentSequence([*number[0].get("ContentSequence", ()), *items])
    return number


def _source_images(assessment: Assessment, series: Series) -> list[sr.SourceImageForMeasurementGroup]:
    """Return references to the images a reader should open: the worst frames, then others evenly spaced, at most 64 in all.

    Every instance of the series stands in the evidence sequence in any case.
    """
    from highdicom import sr

    classes = {reference.sop_instance_uid: reference for reference in series.instances}
    chosen: dict[str, set[int]] = {}
    for index in sorted({index for prediction in assessment.predictions for index in prediction.worst_frames}):
        if 0 <= index < len(series.frames) and len(chosen) < _MOST_IMAGES // 2:
            frame = series.frames[index]
            chosen.setdefault(frame.sop_instance_uid, set()).add(frame.number)
    for item in instance.source_instances(series, _MOST_IMAGES - len(chosen)):
        chosen.setdefault(str(item.ReferencedSOPInstanceUID), set())
    return [
        sr.SourceImageForMeasurementGroup(
            classes[uid].sop_class_uid, uid, sorted(frames) if frames and classes[uid].number_of_frames > 1 else None
        )
        for uid, frames in chosen.items()
        if uid in classes and dicom_values.is_uid(uid)
    ]


def _evidence_datasets(common: Dataset, images: list[sr.SourceImageForMeasurementGroup]) -> list[Dataset]:
    """Return what highdicom wants to see of the images that the content points at."""
    references = [image.ReferencedSOPSequence[0] for image in images]
    return [_evidence_dataset(common, item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID) for item in references]


def _evidence_dataset(common: Dataset, sop_class_uid: str, sop_instance_uid: str) -> Dataset:
    dataset = copy.deepcopy(common)  # `Dataset.update` would share the elements themselves
    dataset.PatientName = dataset.ReferringPhysicianName = ""  # highdicom would question names that are not ours to question
    dataset.SOPClassUID = sop_class_uid
    dataset.SOPInstanceUID = sop_instance_uid
    dataset.SeriesInstanceUID = dicom_values.own_uid("placeholder")
    return dataset


def _evidence(series: Series, study_uid: str, references: list[Dataset]) -> Dataset:
    source = Dataset()
    source.SeriesInstanceUID = dicom_values.kept_uid(series.series_uid)
    source.ReferencedSOPSequence = references
    study = Dataset()
    study.StudyInstanceUID = study_uid
    study.ReferencedSeriesSequence = [source]
    return study


def _own_scheme() -> Dataset:
    item = Dataset()
    item.CodingSchemeDesignator = OWN_SCHEME
    item.CodingSchemeName = "medqa findings, reasons and quantities"
    item.CodingSchemeResponsibleOrganization = instance.MANUFACTURER
    return item


def _observer() -> sr.ObservationContext:
    from highdicom import sr

    return sr.ObservationContext(
        observer_device_context=sr.ObserverContext(
            observer_type=_concept(_DEVICE),
            observer_identifying_attributes=sr.DeviceObserverIdentifyingAttributes(
                uid=instance.DEVICE_UID,
                name=instance.MANUFACTURER,
                manufacturer_name=instance.MANUFACTURER,
                model_name=instance.MANUFACTURER,
            ),
        )
    )


def _algorithm(name: str, version: str, parameters: dict[str, str]) -> sr.AlgorithmIdentification:
    from highdicom import sr

    return sr.AlgorithmIdentification(
        name=name[:_LONGEST_NAME],
        version=version[:_LONGEST_NAME],
        parameters=[f"{key}: {value}" for key, value in parameters.items() if value] or None,
        family=_concept(_ARTIFICIAL_INTELLIGENCE),
        manufacturer=instance.MANUFACTURER,
    )


def _concept(code: Code) -> Any:
    from highdicom import sr

    return sr.CodedConcept(code.value, code.scheme, code.meaning[:64])
