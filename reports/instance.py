"""What every DICOM object of ours has in common: patient, study, series, equipment, its place beside the source series.

Modules: PS3.3 C.7.1.1, C.7.2.1, C.7.3.1, C.7.5.1, C.12.1. Text is written as UTF-8 whatever the source used.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from medqa import __version__, dicom_values
from medqa.codes import Code
from medqa.series import Series

MANUFACTURER: Final = "medqa"
IMPLEMENTATION_UID: Final = dicom_values.own_uid("implementation")
DEVICE_UID: Final = dicom_values.own_uid("device")
_ACQUISITION_EQUIPMENT: Final = Code("109101", "DCM", "Acquisition Equipment")
_SERIES_NUMBER: Final = dicom_values.Copied("SeriesNumber", "IS", 3)
_LARGEST_SOURCE_NUMBER: Final = 9999
_CARRIED: Final = (
    *dicom_values.PATIENT,
    *dicom_values.STUDY,
    *dicom_values.EQUIPMENT,
    _SERIES_NUMBER,
    dicom_values.Copied("SeriesInstanceUID", "UI", 1),
)
"""Everything of the source header that some object of ours carries or refers to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of object of ours: its name in UIDs, SOP class, modality, the digit its series numbers begin with, and its title."""

    name: str
    sop_class_uid: str
    modality: str
    digit: int
    title: str


PDF: Final = Kind(
    name="encapsulated_pdf",
    sop_class_uid="1.2.840.10008.5.1.4.1.1.104.1",
    modality="DOC",
    digit=1,
    title="Image quality report",
)
SR: Final = Kind(
    name="structured_report",
    sop_class_uid="1.2.840.10008.5.1.4.1.1.88.33",
    modality="SR",
    digit=2,
    title="Image quality measurements",
)
CAPTURE: Final = Kind(
    name="secondary_capture",
    sop_class_uid="1.2.840.10008.5.1.4.1.1.7",
    modality="OT",
    digit=3,
    title="Image quality heat maps",
)


def common(series: Series, kind: Kind, now: datetime.datetime) -> Dataset:
    """Return the common modules of a new object about a series.

    Parameters
    ----------
    series
        Its header gives patient and study, each value checked.
    kind
        What the object is.
    now
        When it counts as made; written in the time zone of the source where that says one.
    """
    dataset, _ = dicom_values.copied(series.header, (*dicom_values.PATIENT, *dicom_values.STUDY))
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.StudyInstanceUID = dicom_values.kept_uid(series.study_uid)
    dataset.SOPClassUID = kind.sop_class_uid
    dataset.Modality = kind.modality
    dataset.SeriesNumber = series_number(series, kind)
    dataset.SeriesDescription = f"medqa: {kind.title.lower()}"
    dataset.InstanceNumber = 1
    dataset.Manufacturer = MANUFACTURER
    dataset.ManufacturerModelName = MANUFACTURER
    dataset.SoftwareVersions = __version__
    date, time = clock(dataset, now)
    dataset.SeriesDate = dataset.ContentDate = dataset.InstanceCreationDate = date
    dataset.SeriesTime = dataset.ContentTime = dataset.InstanceCreationTime = time
    scanner = _scanner(series.header)
    if scanner is not None:
        dataset.ContributingEquipmentSequence = [scanner]
    return dataset


def replaced_values(series: Series) -> tuple[str, ...]:
    """Return the keywords of what our objects, of whatever kind, cannot carry as the source has it, each once."""
    _, invalid = dicom_values.copied(series.header, _CARRIED)
    if all(dicom_values.is_uid(reference.sop_instance_uid) for reference in series.instances):
        return invalid
    return (*invalid, "SOPInstanceUID")


def finish(datasets: Sequence[Dataset], kind: Kind, series: Series) -> tuple[Dataset, ...]:
    """Give finished objects their UIDs and file meta information; `Dataset.save_as` then writes the same bytes every time."""
    dicom_values.seal(datasets, kind=kind.name, source_series_uid=f"{series.series_uid} {series.part}")
    for dataset in datasets:
        meta = FileMetaDataset()
        meta.FileMetaInformationVersion = b"\x00\x01"
        meta.MediaStorageSOPClassUID = dataset.SOPClassUID
        meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        meta.ImplementationClassUID = UID(IMPLEMENTATION_UID)
        meta.ImplementationVersionName = f"MEDQA_{__version__}"[:16]
        dataset.file_meta = meta
        dataset.preamble = b"\0" * 128
    return tuple(datasets)


def series_number(series: Series, kind: Kind) -> int:
    """Return a number that sorts behind the scanner's own and tells which series is meant: 3 becomes 910003, 920003, 930003."""
    source, _ = dicom_values.copied(series.header, (_SERIES_NUMBER,))
    number = max(int(source.get("SeriesNumber") or 0), 0)
    return 900_000 + 10_000 * kind.digit + min(number, _LARGEST_SOURCE_NUMBER)


def clock(dataset: Dataset, now: datetime.datetime) -> tuple[str, str]:
    """Return `now` as DA and TM in the time zone that the dataset declares, else in this machine's, as archives expect."""
    offset = dataset.get("TimezoneOffsetFromUTC")
    if now.tzinfo is not None:
        now = now.astimezone(_zone(offset) if offset else None)
    return now.strftime("%Y%m%d"), now.strftime("%H%M%S.%f")


def _zone(offset: str) -> datetime.timezone:
    minutes = int(offset[1:3]) * 60 + int(offset[3:5])
    return datetime.timezone(datetime.timedelta(minutes=-minutes if offset[0] == "-" else minutes))


def code_item(code: Code) -> Dataset:
    """Return a code sequence item; a value over 16 characters is a Long Code Value (PS3.3 8.8)."""
    item = Dataset()
    setattr(item, "CodeValue" if len(code.value) <= 16 else "LongCodeValue", code.value)
    item.CodingSchemeDesignator = code.scheme
    item.CodeMeaning = code.meaning[:64]
    return item


def source_instances(series: Series, limit: int | None = None) -> list[Dataset]:
    """Return SOP references to the series' instances, at most `limit` of them, evenly spaced, first and last among them."""
    references = [reference for reference in series.instances if dicom_values.is_uid(reference.sop_instance_uid)]
    if limit is not None and len(references) > limit:
        last = len(references) - 1
        references = [references[round(step * last / max(limit - 1, 1))] for step in range(limit)]
    items = []
    for reference in references:
        item = Dataset()
        item.ReferencedSOPClassUID = reference.sop_class_uid
        item.ReferencedSOPInstanceUID = reference.sop_instance_uid
        items.append(item)
    return items


def _scanner(header: Dataset) -> Dataset | None:
    item, _ = dicom_values.copied(header, dicom_values.EQUIPMENT)
    if not item.Manufacturer:  # Type 1 in this sequence
        return None
    item.PurposeOfReferenceCodeSequence = [code_item(_ACQUISITION_EQUIPMENT)]
    return item
