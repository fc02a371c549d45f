"""Every object of ours: valid for dciodvfy, read back, the same bytes for the same input."""

from __future__ import annotations

import datetime
import io
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from medqa.acquisition import Acquisition, CTAcquisition
from medqa.assessment import Assessment, Prediction, Provenance, SeriesReference, Verdict
from medqa.codes import Unit, own
from medqa.findings import finding
from medqa.measurement import Measurement
from medqa.series import Frame, FrameHeader, InstanceReference, Series, Stack
from medqa.volume import Volume
from reports.encapsulated_pdf import encapsulated_pdf
from reports.secondary_capture import secondary_captures
from reports.structured_report import structured_report

NOW = datetime.datetime(2026, 3, 4, 5, 6, 7, 89, tzinfo=datetime.UTC)
CT = "1.2.840.10008.5.1.4.1.1.2"
ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"
PDF = b"%PDF-1.4 not much of a report\n%%EOF"


def header(**values: object) -> Dataset:
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientName = "Doe^Jane"
    dataset.PatientID = "0815"
    dataset.PatientBirthDate = "19610203"
    dataset.PatientSex = "F"
    dataset.StudyInstanceUID = "1.2.3.4"
    dataset.SeriesInstanceUID = "1.2.3.4.5"
    dataset.StudyDate = "20260304"
    dataset.StudyTime = "050607"
    dataset.StudyID = "1"
    dataset.AccessionNumber = "A1"
    dataset.ReferringPhysicianName = ""
    dataset.Manufacturer = "ACME"
    dataset.SeriesNumber = 3
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


def series_of(head: Dataset, *, instances: int = 3, frames_each: int = 1, sop_class: str = CT) -> Series:
    frames = tuple(
        Frame(
            sop_instance_uid=f"1.2.3.4.5.{n + 1}",
            number=k + 1,
            modality="CT",
            unit=Unit.HU,
            header=FrameHeader(rows=8, columns=8, position_mm=(0.0, 0.0, 5.0 * (n * frames_each + k)), spacing_mm=(1.0, 1.0)),
            sha256="0" * 64,
            decode=lambda: np.zeros((8, 8), np.float32),
        )
        for n in range(instances)
        for k in range(frames_each)
    )
    return Series(
        study_uid="1.2.3.4",
        series_uid="1.2.3.4.5",
        part="",
        modality="CT",
        acquisition=Acquisition(modality="CT", ct=CTAcquisition(kvp_kv=120.0)),
        frames=frames,
        stacks=(Stack(label="", start=0, stop=len(frames)),),
        volume=Volume(
            shape=(len(frames), 8, 8),
            spacing_mm=(5.0, 1.0, 1.0),
            origin_mm=(0.0, 0.0, 0.0),
            direction=((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
            unit=Unit.HU,
            read=lambda z: frames[z].decode(),
        ),
        instances=tuple(
            InstanceReference(sop_class_uid=sop_class, sop_instance_uid=f"1.2.3.4.5.{n + 1}", number_of_frames=frames_each)
            for n in range(instances)
        ),
        header=head,
    )


def assessment_of(series: Series, verdict: Verdict = Verdict.RESCAN) -> Assessment:
    digest = "ab" * 32
    findings = {
        Verdict.ADEQUATE: (),
        Verdict.REVIEW: (finding("missing_slices", values={"missing": 2}), finding("pt_suv_unavailable")),
        Verdict.RESCAN: (finding("ct_noise_high", values={"noise": 41.0}), finding("mal_against", values={"score": 1.2})),
    }
    reasons = {Verdict.ADEQUATE: "adequate", Verdict.REVIEW: "review_doubt", Verdict.RESCAN: "rescan_two_witnesses"}
    return Assessment(
        series=SeriesReference(
            study_uid=series.study_uid,
            series_uid=series.series_uid,
            part=series.part,
            modality=series.modality,
            frames=len(series.frames),
            instances=series.instances,
        ),
        acquisition=series.acquisition,
        verdict=verdict,
        reason=reasons[verdict],
        reason_values={},
        provenance=Provenance(medqa_version="0.1", settings_digest="cd" * 32, judged_at=NOW.isoformat()),
        measurements=(
            Measurement(quantity=own("global_noise", "Global noise"), value=41.0, unit=Unit.HU, source="test", limits=(None, 30.0)),
            Measurement(quantity=own("a_very_long_quantity_name", "x" * 80), value=1 / 3e7, unit=Unit.SUVBW, source="test"),
            Measurement(quantity=own("not_a_number", "Not a number"), value=float("nan"), unit=Unit.ONE, source="test"),
        ),
        predictions=(
            Prediction(
                model="mal_ct",
                kind="mal",
                digest=digest,
                score=1.2345678901234567,
                adequate=0.1,
                interval=(0.9, 1.6),
                worst_frames=(1,),
            ),
            Prediction(model="densenet_ct", kind="densenet", digest=digest, score=1.5, adequate=0.2),
        ),
        findings=findings[verdict],
    )


def objects(series: Series, verdict: Verdict = Verdict.RESCAN, sentence: str = "Scan again: the noise is high.") -> list[Dataset]:
    page = np.random.default_rng(0).integers(0, 255, (31, 21, 3), dtype=np.uint8)
    return [
        encapsulated_pdf(PDF, series, NOW),
        structured_report(assessment_of(series, verdict), series, sentence, NOW),
        *secondary_captures([page, page[:20]], series, NOW),
    ]


def as_bytes(dataset: Dataset) -> bytes:
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def errors(dciodvfy: str, dataset: Dataset, folder: Path) -> list[str]:
    path = folder / "object.dcm"
    path.write_bytes(as_bytes(dataset))
    said = subprocess.run([dciodvfy, str(path)], capture_output=True, check=False, timeout=60)
    return [line for line in said.stderr.decode(errors="replace").splitlines() if line.startswith("Error")]


SOURCES = {
    "plain": header(),
    "bare": Dataset(),
    "no patient": header(PatientName="", PatientID="", PatientBirthDate="", PatientSex=""),
    "several body parts": header(BodyPartExamined="KNEE", Laterality="L"),
    "time zone": header(TimezoneOffsetFromUTC="+0930"),
}


@pytest.mark.parametrize("head", SOURCES.values(), ids=SOURCES)
@pytest.mark.parametrize("verdict", Verdict)
def test_every_object_is_valid(head: Dataset, verdict: Verdict, peer: Callable[[str, str], str], tmp_path: Path) -> None:
    dciodvfy = peer("dciodvfy", "dicom3tools")
    found = {d.Modality: errors(dciodvfy, d, tmp_path) for d in objects(series_of(head), verdict)}
    assert found == {"DOC": [], "SR": [], "OT": []}
