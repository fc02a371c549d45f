"""Every object of ours: valid for dciodvfy, read back, the same bytes for the same input."""

from __future__ import annotations

import dataclasses
import datetime
import io
import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from medqa import dicom_values
from medqa.acquisition import Acquisition, CTAcquisition
from medqa.assessment import Assessment, Prediction, Provenance, Verdict
from medqa.codes import Unit, own
from medqa.findings import finding
from medqa.measurement import Measurement
from medqa.reader import read
from medqa.series import Frame, FrameHeader, InstanceReference, Series, Stack
from medqa.volume import Volume
from reports.deliverables import render
from reports.encapsulated_pdf import encapsulated_pdf
from reports.instance import replaced_values
from reports.secondary_capture import secondary_captures
from reports.structured_report import reason_codes, structured_report
from tests.rendering import factories

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
        series=factories.reference(series),
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


def stored(dataset: Dataset) -> Dataset:
    """Write a header with its own character set and read it back, as a receiver would."""
    buffer = io.BytesIO()
    dataset.save_as(buffer, implicit_vr=False, little_endian=True)
    buffer.seek(0)
    return pydicom.dcmread(buffer, force=True)


def raw(keyword: str, value: bytes, head: Dataset | None = None) -> Dataset:
    """A header with a value that no writer of ours would write."""
    dataset = header() if head is None else head
    tag = pydicom.datadict.tag_for_keyword(keyword)
    assert tag is not None
    vr = pydicom.datadict.dictionary_VR(tag)
    dataset[tag] = pydicom.dataelem.RawDataElement(pydicom.tag.Tag(tag), vr, len(value), value, 0, False, True)
    return dataset


def with_private() -> Dataset:
    dataset = header(PatientComments="secret comment", OtherPatientIDs="secret id", PatientAddress="secret street")
    dataset.add_new(0x00090010, "LO", "SECRET CREATOR")
    dataset.add_new(0x00091001, "UN", b"secret" * 50_000)
    return dataset


JAPANESE = "Yamada^Tarou=山田^太郎=やまだ^たろう"
SOURCES = {
    "plain": header(),
    "bare": Dataset(),
    "no patient": header(PatientName="", PatientID="", PatientBirthDate="", PatientSex=""),
    "japanese": stored(header(SpecificCharacterSet=["", "ISO 2022 IR 87"], PatientName=JAPANESE)),
    "korean": stored(header(SpecificCharacterSet=["", "ISO 2022 IR 149"], PatientName="Hong^Gildong=洪^吉洞=홍^길동")),
    "latin": stored(header(SpecificCharacterSet="ISO_IR 100", PatientName="Äneas^Rüdiger", StudyDescription="Schädel")),
    "knee": header(BodyPartExamined="KNEE", Laterality="L"),
    "time zone": header(TimezoneOffsetFromUTC="+0930"),
    "wrong date": raw("StudyDate", b"00000000"),
    "masked date": raw("PatientBirthDate", b"***"),
    "old date": raw("StudyDate", b"1996.12.02"),
    "wrong sex": raw("PatientSex", b"female"),
    "long id": raw("StudyID", b"1234567890" * 10),
    "several ids": raw("PatientID", b"a\\b"),
    "undecodable": raw("PatientName", b"\xff\xfe\x00bad"),
    "no number": raw("SeriesNumber", b"three"),
    "private": with_private(),
}


@pytest.mark.parametrize("head", SOURCES.values(), ids=SOURCES)
def test_every_object_is_valid_whatever_the_source_says(head: Dataset, peer: Callable[[str, str], str], tmp_path: Path) -> None:
    dciodvfy = peer("dciodvfy", "dicom3tools")
    found = [(made.Modality, errors(dciodvfy, made, tmp_path)) for made in objects(series_of(head))]
    assert found == [("DOC", []), ("SR", []), ("OT", []), ("OT", [])]


@pytest.mark.parametrize("verdict", Verdict)
@pytest.mark.parametrize("uid", ["1.2.3.4", "9.99.1", "dccc9599087131742838cc", "1.2.03.4", "1." + "2" * 70])
def test_every_object_is_valid_for_every_verdict_and_uid(
    verdict: Verdict, uid: str, peer: Callable[[str, str], str], tmp_path: Path
) -> None:
    dciodvfy = peer("dciodvfy", "dicom3tools")
    series = series_of(header())
    strange = tuple(dataclasses.replace(one, sop_instance_uid=f"{uid}.{n}") for n, one in enumerate(series.instances))
    series = dataclasses.replace(series, study_uid=uid, series_uid=f"{uid}.5", instances=strange)
    made = objects(series, verdict)
    assert [errors(dciodvfy, one, tmp_path) for one in made] == [[]] * 4
    assert len({one.StudyInstanceUID for one in made}) == 1
    assert (made[0].StudyInstanceUID == uid) is dicom_values.is_uid(uid)


def test_every_object_is_valid_for_an_enhanced_source(peer: Callable[[str, str], str], tmp_path: Path) -> None:
    dciodvfy = peer("dciodvfy", "dicom3tools")
    made = objects(series_of(header(), instances=1, frames_each=40, sop_class=ENHANCED_CT))
    assert [errors(dciodvfy, one, tmp_path) for one in made] == [[]] * 4
    images = [item for item in items(made[1]) if item.ValueType == "IMAGE"]
    assert [image.ReferencedSOPSequence[0].ReferencedFrameNumber for image in images] == [2]  # the worst frame, index 1


def test_real_headers_give_valid_objects(data: Path, peer: Callable[[str, str], str], tmp_path: Path) -> None:
    dciodvfy = peer("dciodvfy", "dicom3tools")
    names = ("mr/mr_hfs_prisma_t1", "ct/medify_brain_a", "ct/neck_definition", "ct/picker_brain", "mr/mr_acr_ge_hdxt")
    for path in (data / f"{name}.zip" for name in names):
        for series in read(path).series if path.exists() else ():
            assert [errors(dciodvfy, made, tmp_path) for made in objects(series)] == [[]] * 4, path.name


# ---- what is said ----------------------------------------------------------------------------------------------------------


def items(dataset: Dataset) -> list[Dataset]:
    """Every content item of an SR, flat."""
    return [one for item in dataset.get("ContentSequence", ()) for one in (item, *items(item))]


def coded(document: Dataset, name: str) -> list[tuple[str, str]]:
    found = [item for item in items(document) if item.ValueType == "CODE" and item.ConceptNameCodeSequence[0].CodeMeaning == name]
    values = [item.ConceptCodeSequence[0] for item in found]
    return [(value.get("CodeValue") or value.LongCodeValue, value.CodingSchemeDesignator) for value in values]


def report(verdict: Verdict) -> Dataset:
    series = series_of(header())
    document = structured_report(assessment_of(series, verdict), series, "Warum: 雑音", NOW, "ja")
    return pydicom.dcmread(io.BytesIO(as_bytes(document)))


def test_the_report_codes_the_verdict_as_cid_7036_says() -> None:
    assert coded(report(Verdict.ADEQUATE), "Quality Assessment") == [("RID12", "RADLEX")]
    assert coded(report(Verdict.RESCAN), "Quality Assessment") == [("RID14", "RADLEX")]
    assert coded(report(Verdict.REVIEW), "Quality Assessment") == []
    assert [coded(report(verdict), "Verdict") for verdict in Verdict] == [[(str(verdict), "99MEDQA")] for verdict in Verdict]


def test_the_report_codes_the_reasons_of_a_flag_and_none_of_an_adequate_series() -> None:
    assert coded(report(Verdict.RESCAN), "Image Quality") == [("111211", "DCM"), ("low_score", "99MEDQA")]
    assert coded(report(Verdict.REVIEW), "Image Quality") == [("130576", "DCM")]  # the note about SUV is no reason
    assert coded(report(Verdict.ADEQUATE), "Image Quality") == []


def test_a_rescan_by_networks_alone_still_has_a_reason_of_cid_6135() -> None:
    series = series_of(header())
    assessment = dataclasses.replace(assessment_of(series), findings=(finding("mal_against"), finding("densenet_against")))
    assert [code.value for code in reason_codes(assessment)] == ["low_score", "densenet_against", "111221"]


def test_the_report_says_the_sentence_and_its_language() -> None:
    document = report(Verdict.RESCAN)
    texts = [item.TextValue for item in items(document) if item.ValueType == "TEXT"]
    assert "Warum: 雑音" in texts
    assert coded(document, "Language of Content Item and Descendants") == [("jpn", "ISO639_2")]


def test_every_number_has_its_unit_and_its_network() -> None:
    numbers = [item for item in items(report(Verdict.RESCAN)) if item.ValueType == "NUM"]
    said = [
        (
            item.ConceptNameCodeSequence[0].CodeMeaning[:20],
            float(item.MeasuredValueSequence[0].NumericValue),
            item.MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0].CodeValue,
            [text.TextValue for text in items(item) if text.ConceptNameCodeSequence[0].CodeMeaning == "Algorithm Name"],
        )
        for item in numbers
    ]
    assert said == [
        ("Image Quality Rating", pytest.approx(1.23456789, abs=1e-8), "{0:4}", ["mal_ct"]),
        ("-, range of lower me", pytest.approx(0.33456789, abs=1e-8), "{0:4}", []),
        ("+, range of upper me", pytest.approx(0.36543211, abs=1e-8), "{0:4}", []),
        ("Probability", 0.1, "1", ["mal_ct"]),
        ("Image Quality Rating", 1.5, "{0:4}", ["densenet_ct"]),
        ("Probability", 0.2, "1", ["densenet_ct"]),
        ("Global noise", 41.0, "[hnsf'U]", []),
        ("x" * 20, pytest.approx(1 / 3e7, rel=1e-9), "g/ml{SUVbw}", []),
    ]


def test_two_thousand_slices_are_all_evidence_and_few_are_pointed_at() -> None:
    series = series_of(header(), instances=2000)
    assessment = assessment_of(series)
    worst = dataclasses.replace(assessment.predictions[0], worst_frames=(1234, 77))
    document = structured_report(dataclasses.replace(assessment, predictions=(worst,)), series, "x", NOW)
    evidence = document.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence
    assert {item.ReferencedSOPInstanceUID for item in evidence} == {one.sop_instance_uid for one in series.instances}
    images = [item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for item in items(document) if item.ValueType == "IMAGE"]
    assert len(images) == len(set(images)) <= 64
    assert {"1.2.3.4.5.1235", "1.2.3.4.5.78", "1.2.3.4.5.1", "1.2.3.4.5.2000"} <= set(images)


def test_dcmtk_reads_the_report(peer: Callable[[str, str], str], tmp_path: Path) -> None:
    path = tmp_path / "sr.dcm"
    path.write_bytes(as_bytes(objects(series_of(header()), Verdict.RESCAN, "Scan again, please.")[1]))
    said = subprocess.run([peer("dsrdump", "dcmtk"), str(path)], capture_output=True, text=True, check=True, timeout=60)
    assert '(RID14,RADLEX,"Non-diagnostic quality")' in said.stdout
    assert "Scan again, please." in said.stdout


@pytest.mark.parametrize("pdf", [PDF, PDF + b"\n"], ids=["odd", "even"])
def test_dcmtk_gives_the_pdf_back_byte_for_byte(pdf: bytes, peer: Callable[[str, str], str], tmp_path: Path) -> None:
    source, target = tmp_path / "pdf.dcm", tmp_path / "report.pdf"
    source.write_bytes(as_bytes(encapsulated_pdf(pdf, series_of(header()), NOW)))
    subprocess.run([peer("dcm2pdf", "dcmtk"), str(source), str(target)], check=True, timeout=60)
    assert target.read_bytes().rstrip(b"\0") == pdf
    assert pydicom.dcmread(source).EncapsulatedDocumentLength == len(pdf)


def test_the_captured_page_comes_back_pixel_for_pixel() -> None:
    page = np.random.default_rng(1).integers(0, 255, (33, 21, 3), dtype=np.uint8)
    (capture,) = secondary_captures([page], series_of(header()), NOW)
    back = pydicom.dcmread(io.BytesIO(as_bytes(capture)))
    np.testing.assert_array_equal(back.pixel_array, page)
    assert (back.BurnedInAnnotation, back.Modality) == ("YES", "OT")


# ---- identity --------------------------------------------------------------------------------------------------------------


def test_the_same_input_gives_the_same_bytes_and_another_time_another_uid() -> None:
    for head in (Dataset(), header()):
        series = series_of(head)
        first, again = objects(series), objects(series)
        assert [as_bytes(one) for one in first] == [as_bytes(one) for one in again]
    later = encapsulated_pdf(PDF, series, NOW + datetime.timedelta(seconds=1))
    other = encapsulated_pdf(PDF + b"!", series, NOW)
    elsewhere = encapsulated_pdf(PDF, dataclasses.replace(series, part="2"), NOW)
    uids = [one.SOPInstanceUID for one in (*first, later, other, elsewhere)]
    assert len(set(uids)) == len(uids)
    assert all(dicom_values.is_uid(uid) and uid.startswith("2.25.") for uid in uids)


def test_each_kind_is_a_series_of_its_own_in_the_study_of_the_source() -> None:
    made = objects(series_of(header()))
    assert [one.SeriesNumber for one in made] == [910003, 920003, 930003, 930003]
    assert len({one.SeriesInstanceUID for one in made}) == 3
    assert {one.StudyInstanceUID for one in made} == {"1.2.3.4"}
    assert {(one.PatientID, str(one.PatientName), one.Manufacturer) for one in made} == {("0815", "Doe^Jane", "medqa")}
    assert made[0].ContributingEquipmentSequence[0].Manufacturer == "ACME"


@pytest.mark.parametrize(("offset", "time"), [("+0930", "143607.000089"), ("-0100", "040607.000089")])
def test_times_are_written_in_the_zone_that_the_source_declares(offset: str, time: str) -> None:
    made = encapsulated_pdf(PDF, series_of(header(TimezoneOffsetFromUTC=offset)), NOW)
    assert (made.ContentDate, made.ContentTime, made.TimezoneOffsetFromUTC) == ("20260304", time, offset)


def test_names_survive_the_change_of_character_set() -> None:
    for name, head in (("Äneas^Rüdiger", SOURCES["latin"]), (JAPANESE, SOURCES["japanese"])):
        back = pydicom.dcmread(io.BytesIO(as_bytes(objects(series_of(head))[0])))
        assert (str(back.PatientName), back.SpecificCharacterSet) == (name, "ISO_IR 192")


def test_nothing_private_and_nothing_beyond_the_table_is_copied() -> None:
    for made in objects(series_of(with_private())):
        assert b"secret" not in as_bytes(made).lower()


def test_what_cannot_be_copied_is_emptied_and_listed() -> None:
    named = {name: replaced_values(series_of(head)) for name, head in SOURCES.items()}
    assert {name: keywords for name, keywords in named.items() if keywords} == {
        "wrong date": ("StudyDate",),
        "masked date": ("PatientBirthDate",),
        "wrong sex": ("PatientSex",),
        "long id": ("StudyID",),
        "several ids": ("PatientID",),
        "undecodable": ("PatientName",),
        "no number": ("SeriesNumber",),
    }
    made = objects(series_of(SOURCES["old date"]))[0]
    assert made.StudyDate == "19961202"  # the form of ACR-NEMA, which means the same


def test_what_any_object_could_not_carry_is_listed_once_and_printed(peer: Callable[[str, str], str], tmp_path: Path) -> None:
    series = factories.series("CT", 4)
    strange = tuple(dataclasses.replace(one, sop_instance_uid=f"{n}.01") for n, one in enumerate(series.instances))
    head = header()
    wrong = {"PatientID": b"a\\b", "StudyDate": b"20261332", "StationName": b"s" * 17, "SeriesInstanceUID": b"1.2.03"}
    for keyword, value in wrong.items():
        raw(keyword, value, head)
    series = dataclasses.replace(series, header=head, instances=strange)
    made = render(factories.assessment(series), series, factories.heat_maps(series, (1,)))
    listed = ("PatientID", "StudyDate", "StationName", "SeriesInstanceUID", "SOPInstanceUID")
    assert made.assessment.provenance.replaced_values == listed
    assert {(one.Modality, one.PatientID, one.StudyDate) for one in made.instances} == {(m, "", "") for m in ("DOC", "SR", "OT")}
    assert all("StationName" not in one.ContributingEquipmentSequence[0] for one in made.instances)
    (tmp_path / "report.pdf").write_bytes(made.pdf)
    program = peer("pdftotext", "poppler-utils")
    said = subprocess.run([program, str(tmp_path / "report.pdf"), "-"], capture_output=True, text=True, check=True, timeout=60)
    assert "".join(", ".join(listed).split()) in "".join(said.stdout.split())


def test_of_a_series_that_is_not_dicom_nothing_is_copied() -> None:
    series = dataclasses.replace(series_of(Dataset()), source="NIfTI", series_uid="", study_uid="", instances=())
    assert replaced_values(series) == ()


def test_a_report_refers_to_those_that_it_supersedes_and_is_valid(peer: Callable[[str, str], str], tmp_path: Path) -> None:
    series, dciodvfy = series_of(header()), peer("dciodvfy", "dicom3tools")
    first = report(Verdict.REVIEW)
    assert "PredecessorDocumentsSequence" not in first
    made = [structured_report(assessment_of(series), series, "x", NOW, predecessors=[first]) for _ in range(2)]
    assert as_bytes(made[0]) == as_bytes(made[1])
    (study,) = made[0].PredecessorDocumentsSequence
    (held,) = study.ReferencedSeriesSequence
    (item,) = held.ReferencedSOPSequence
    assert (study.StudyInstanceUID, held.SeriesInstanceUID) == (first.StudyInstanceUID, first.SeriesInstanceUID)
    assert (item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID) == (first.SOPClassUID, first.SOPInstanceUID)
    assert errors(dciodvfy, made[0], tmp_path) == []
    assert made[0].SOPInstanceUID != structured_report(assessment_of(series), series, "x", NOW).SOPInstanceUID


@given(
    keyword=st.sampled_from([row.keyword for row in (*dicom_values.PATIENT, *dicom_values.STUDY, *dicom_values.EQUIPMENT)]),
    value=st.binary(max_size=100) | st.from_regex(r"[0-9.:+A-Z^= -]{0,70}", fullmatch=True).map(str.encode),
)
def test_whatever_bytes_a_header_holds_what_is_copied_is_valid(keyword: str, value: bytes) -> None:
    tables = (*dicom_values.PATIENT, *dicom_values.STUDY, *dicom_values.EQUIPMENT)
    row = next(row for row in tables if row.keyword == keyword)
    copy, invalid = dicom_values.copied(raw(keyword, value), (row,))
    assert set(invalid) <= {keyword}
    if keyword in copy:
        element = copy[keyword]
        pydicom.valuerep.validate_value(element.VR, str(element.value), pydicom.config.RAISE)
    assert keyword in copy or row.type == 3
    if row.type == 1:
        assert dicom_values.is_uid(copy.StudyInstanceUID)


@given(st.lists(st.text(), min_size=1), st.lists(st.text(), min_size=1))
def test_our_uids_are_valid_and_differ_when_their_parts_do(one: list[str], other: list[str]) -> None:
    uids = [dicom_values.own_uid("test", *parts) for parts in (one, other)]
    assert all(dicom_values.is_uid(uid) and pydicom.uid.UID(uid).is_valid for uid in uids)
    assert (uids[0] == uids[1]) == (one == other)
    assert uuid.UUID(int=int(uids[0].removeprefix("2.25."))).variant == uuid.RFC_4122


# ---- the whole -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("modality", ["CT", "MR", "PT"])
def test_render_gives_pdf_report_and_page_and_the_same_again(
    modality: str, peer: Callable[[str, str], str], tmp_path: Path
) -> None:
    dciodvfy = peer("dciodvfy", "dicom3tools")
    series = factories.series(modality, 20)
    assessment, maps = factories.assessment(series), factories.heat_maps(series)
    made, again = (render(assessment, series, maps, lang="ja") for _ in range(2))
    assert [one.Modality for one in made.instances] == ["DOC", "SR", "OT"]
    assert made.instances[0].EncapsulatedDocument[: len(made.pdf)] == made.pdf == again.pdf
    assert [as_bytes(one) for one in made.instances] == [as_bytes(one) for one in again.instances]
    assert [errors(dciodvfy, one, tmp_path) for one in made.instances] == [[]] * 3


def test_a_series_that_is_not_dicom_or_not_judged_gets_a_pdf_alone() -> None:
    series = factories.series("CT", 4)
    assessment = factories.assessment(series)
    assert render(assessment, dataclasses.replace(series, source="NIfTI")).instances == ()
    assert render(dataclasses.replace(assessment, verdict=None), series).instances == ()
