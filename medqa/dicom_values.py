"""UIDs of our own, and values copied from other people's headers.

A UID of ours is 2.25-form (PS3.5 B.2), hashed from the kind of object, the source series and the object's content, so that the
same UID always names the same bytes. A value of a source header is copied only if it stands in the table below and is valid for
its VR (PS3.5 6.2): an invalid one is emptied (Type 2), replaced (Type 1) or left out (Type 3), and listed.
"""

from __future__ import annotations

import datetime
import hashlib
import math
import re
import uuid
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.multival import MultiValue


@dataclass(frozen=True, slots=True)
class Copied:
    """An attribute that our objects take from the source: its keyword, VR, Type (1, 2 or 3), and the terms it may have."""

    keyword: str
    vr: str
    type: int
    terms: tuple[str, ...] = ()


PATIENT: Final = (
    Copied("PatientName", "PN", 2),
    Copied("PatientID", "LO", 2),
    Copied("IssuerOfPatientID", "LO", 3),
    Copied("PatientBirthDate", "DA", 2),
    Copied("PatientSex", "CS", 2, ("M", "F", "O")),
    Copied("PatientAge", "AS", 3),
    Copied("PatientSize", "DS", 3),
    Copied("PatientWeight", "DS", 3),
)
"""Patient and Patient Study modules (PS3.3 C.7.1.1, C.7.2.2)."""

STUDY: Final = (
    Copied("StudyInstanceUID", "UI", 1),
    Copied("StudyDate", "DA", 2),
    Copied("StudyTime", "TM", 2),
    Copied("ReferringPhysicianName", "PN", 2),
    Copied("StudyID", "SH", 2),
    Copied("AccessionNumber", "SH", 2),
    Copied("StudyDescription", "LO", 3),
    Copied("TimezoneOffsetFromUTC", "SH", 3),
)
"""General Study module (PS3.3 C.7.2.1) and the time zone that its times are in (C.12.1)."""

EQUIPMENT: Final = (
    Copied("Manufacturer", "LO", 2),
    Copied("InstitutionName", "LO", 3),
    Copied("StationName", "SH", 3),
    Copied("ManufacturerModelName", "LO", 3),
    Copied("SoftwareVersions", "LO", 3),
)
"""What is told of the scanner in Contributing Equipment (PS3.3 C.12.1)."""

_FIRST_YEAR: Final = 1800
"""`00010101` and its like stand for no date at all."""
_OWN_UIDS: Final = ("SOPInstanceUID", "SeriesInstanceUID")
_LONGEST: Final = {"LO": 64, "SH": 16, "CS": 16, "PN": 64}
_OLD_FORMS: Final = {
    "DA": (re.compile(r"(\d{4})\.(\d\d)\.(\d\d)"), r"\1\2\3"),
    "TM": (re.compile(r"(\d\d):(\d\d):(\d\d(?:\.\d{1,6})?)"), r"\1\2\3"),
}
"""ACR-NEMA wrote dates and times with separators; a reader must still take them (PS3.5 6.2), a writer must not."""
_PATTERNS: Final = {
    "CS": re.compile(r"[A-Z0-9 _]*"),
    "IS": re.compile(r"[+-]?\d{1,9}"),
    "AS": re.compile(r"\d{3}[DWMY]"),
    "TM": re.compile(r"([01]\d|2[0-3])([0-5]\d(([0-5]\d|60)(\.\d{1,6})?)?)?"),
    "UI": re.compile(r"(0\.[1-9]|1\.[0-3]|2\.(0|[1-9]\d*))(\.(0|[1-9]\d*))*"),
    "TimezoneOffsetFromUTC": re.compile(r"[+-](0\d|1[0-4])[0-5]\d"),
}


def own_uid(kind: str, *parts: str | bytes) -> str:
    """Return a UID of ours: the same for the same kind and parts, on every machine."""
    digest = hashlib.sha256(f"medqa {kind}".encode())
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return f"2.25.{uuid.UUID(bytes=digest.digest()[:16], version=5).int}"


def content_digest(dataset: Dataset) -> bytes:
    """Return the SHA-256 of a dataset's bytes (Explicit VR Little Endian) with the UIDs of ours left out, dates included."""
    bare = Dataset()
    bare.update({element.tag: element for element in dataset if element.keyword not in _OWN_UIDS})
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_dataset(buffer, bare)
    return hashlib.sha256(buffer.getvalue()).digest()


def seal(datasets: Sequence[Dataset], *, kind: str, source_series_uid: str) -> None:
    """Give the finished objects of one new series their Series and SOP Instance UIDs."""
    digests = [content_digest(dataset) for dataset in datasets]
    series_uid = own_uid(f"{kind} series", source_series_uid, *digests)
    for dataset, digest in zip(datasets, digests, strict=True):
        dataset.SeriesInstanceUID = series_uid
        dataset.SOPInstanceUID = own_uid(kind, source_series_uid, digest)


def copied(header: Dataset, table: Iterable[Copied]) -> tuple[Dataset, tuple[str, ...]]:
    """Copy the attributes of a table.

    Returns
    -------
    tuple
        The copies, in Unicode (to be written as ISO_IR 192), and the keywords of those whose value was invalid.
    """
    out, invalid = Dataset(), []
    for row in table:
        text = _text(header, row.keyword)
        if text and row.vr in _OLD_FORMS:
            form, modern = _OLD_FORMS[row.vr]
            text = form.sub(modern, text)
        if text is None or (text and not is_valid(text, row)):
            invalid.append(row.keyword)
            text = ""
        if text:
            setattr(out, row.keyword, text)
        elif row.type == 1:
            setattr(out, row.keyword, kept_uid(str(header.get(row.keyword) or "")))
        elif row.type == 2:
            setattr(out, row.keyword, "")
    return out, tuple(invalid)


def kept_uid(uid: str) -> str:
    """Return a UID of somebody else's as it is; where it is none, one of ours in its place, always the same."""
    return uid if is_uid(uid) else own_uid("replaced", uid)


def is_uid(text: str) -> bool:
    """Whether this is a UID: a root that ISO 9834 knows, no component with a leading zero (PS3.5 9.1)."""
    return len(text) <= 64 and _PATTERNS["UI"].fullmatch(text) is not None


def is_valid(text: str, row: Copied) -> bool:
    """Whether a decoded, non-empty value may stand in an attribute of this VR and these terms."""
    if row.terms and text not in row.terms:
        return False
    check = _CHECKS.get(row.vr)
    if check is not None and not check(text):
        return False
    pattern = _PATTERNS.get(row.keyword) or _PATTERNS.get(row.vr)
    return pattern is None or pattern.fullmatch(text) is not None


def _text(header: Dataset, keyword: str) -> str | None:
    """Return a value as text, '' where it is absent or empty, None where it cannot be read or is several."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom warns of what is judged here
        try:
            value: Any = header.get(keyword)
            if isinstance(value, MultiValue | list | tuple):
                return None
            return "" if value is None else str(value).strip(" \0")
        except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError, NotImplementedError):
            return None


def _is_text(longest: int) -> Callable[[str], bool]:
    return lambda text: len(text) <= longest and text.isprintable() and not set(text) & {"\\", "\ufffd"}


def _is_name(text: str) -> bool:
    groups = text.split("=")
    fits = _is_text(_LONGEST["PN"])
    return len(groups) <= 3 and all(fits(group) and group.count("^") <= 4 for group in groups)


def _is_date(text: str) -> bool:
    if re.fullmatch(r"\d{8}", text) is None:
        return False
    try:
        return datetime.date(int(text[:4]), int(text[4:6]), int(text[6:])).year >= _FIRST_YEAR
    except ValueError:
        return False


def _is_decimal(text: str) -> bool:
    try:
        return len(text) <= 16 and math.isfinite(float(text))
    except ValueError:
        return False


_CHECKS: Final[dict[str, Callable[[str], bool]]] = {
    "PN": _is_name,
    "DA": _is_date,
    "DS": _is_decimal,
    "UI": is_uid,
    "LO": _is_text(_LONGEST["LO"]),
    "SH": _is_text(_LONGEST["SH"]),
    "CS": _is_text(_LONGEST["CS"]),
}
