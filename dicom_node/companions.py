"""What else of a study a series is measured against: the CT of a PET, read back from the store.

Only a CT that has its verdict counts, as things stand when the PET is concluded: nothing is waited for, and what could not be read
safely is not read again. Of every CT two headers tell where it lies, of the one that is chosen the headers tell the heights, and
only the slices that will be decoded are read whole: however many CTs there are and however long, this takes well under a second.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog
from pydicom import dcmread
from pydicom.errors import InvalidDicomError

from dicom_node.catalogue import Catalogue
from dicom_node.gathered import Gathered
from dicom_node.lifecycle import State
from dicom_node.records import Status, StoredInstance
from medqa.errors import MedqaError
from medqa.metrics import ct_of_pet
from medqa.metrics.ct_of_pet import Extent
from medqa.reader import frame_header
from medqa.reader.values import HEADER_ERRORS
from medqa.series import FrameHeader, Series

_WITH_VERDICT: Final = frozenset({State.JUDGED, State.RENDERED, State.DELIVERED, State.FAILED, State.UNDELIVERED})
_UNSAFE: Final = "review_unreadable"
_LOOKED_AT: Final = 512
"""Of a CT of more slices the heights are those of so many, evenly spaced."""
_PLACE: Final = ["FrameOfReferenceUID", "ImagePositionPatient", "PixelSpacing", "Columns"]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Candidate:
    stored: tuple[StoredInstance, ...]
    """By Instance Number: the first and the last lie at the ends."""
    extent: Extent | None


def ct_of(catalogue: Catalogue, pet: Series) -> tuple[Series, ...]:
    """Return the CT of the study that covers most of a PET, as the slices that are wanted of it; empty where there is none."""
    try:
        place = ct_of_pet.extent(pet)
        candidates = [_candidate(stored) for stored in _stored(catalogue, pet.study_uid)]
        if place is None or not candidates:
            return ()
        chosen = ct_of_pet.best(place, [one.extent for one in candidates])
        # One slice is enough to tell that there is a CT, but none that shares its place with the PET.
        wanted = candidates[0].stored[:1] if chosen is None else _wanted(place, candidates[chosen].stored)
        return tuple(one for one in Gathered.of(wanted).reading().series if one.modality == "CT")
    except MedqaError as error:
        log.warning("companion_unreadable", code=error.code)
        return ()


def _stored(catalogue: Catalogue, study_uid: str) -> list[tuple[StoredInstance, ...]]:
    """Return the images of every CT of a study as its newest verdict saw them, in the order of the Series Instance UIDs."""
    newest = {record.series_uid: record for record in catalogue.of_study(study_uid) if record.state in _WITH_VERDICT}
    found = []
    for series_uid, record in sorted(newest.items()):
        verdict = catalogue.assessment(series_uid, record.revision, Status.FINAL) if record.modality == "CT" else None
        if verdict is None or any(one["reason"] == _UNSAFE for one in verdict.document["assessments"]):
            continue
        stored = catalogue.instances_of(series_uid, revision=record.revision, judged=True)
        images = sorted((one for one in stored if not one.copy), key=lambda one: (one.instance_number or 0, one.id))
        if images:
            found.append(tuple(images))
    return found


def _candidate(stored: tuple[StoredInstance, ...]) -> _Candidate:
    if any(one.frames > 1 for one in stored):
        # Many frames in few objects: their places stand deep in the header, which is read anyway.
        extents = [extent for one in Gathered.of(stored).reading().series if (extent := ct_of_pet.extent(one)) is not None]
        return _Candidate(stored, max(extents, key=lambda one: one.high_mm - one.low_mm, default=None))
    headers = [found for one in (stored[0], stored[-1]) if (found := _place(one.path)) is not None]
    uid = headers[0][1] if headers else None
    return _Candidate(stored, ct_of_pet.extent_of([header for header, _ in headers], uid))


def _wanted(pet: Extent, stored: Sequence[StoredInstance]) -> list[StoredInstance]:
    if any(one.frames > 1 for one in stored):
        return list(stored)
    stored = stored[:: -(-len(stored) // _LOOKED_AT)]
    places = [_place(one.path) for one in stored]
    heights = [None if found is None or found[0].position_mm is None else found[0].position_mm[2] for found in places]
    return [stored[index] for index in ct_of_pet.slices(pet, heights)]


def _place(path: Path) -> tuple[FrameHeader, str | None] | None:
    """Return where one image lies and from which point it counts; None where its header cannot be read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            header = dcmread(path, stop_before_pixels=True, specific_tags=_PLACE)
            columns, uid = int(header.get("Columns") or 0), header.get("FrameOfReferenceUID")
            found = frame_header.classic(header, rows=0, columns=columns, suv_factor=None, modality="CT")
    except (*HEADER_ERRORS, InvalidDicomError, OSError):
        return None
    return found, str(uid) if uid else None
