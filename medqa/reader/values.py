"""Attributes of a header as typed values: what is empty, malformed or of the wrong kind is None, never an exception.

Real headers hold numbers in text, text in numbers and lengths that do not fit; one bad attribute must not cost the image.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final

from pydicom import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.multival import MultiValue

HEADER_ERRORS: Final = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
    BytesLengthException,
    InvalidDicomError,
)
"""What pydicom raises on malformed headers."""

_DAY_S: Final = 86400.0


def raw(header: Dataset, keyword: str | tuple[int, int]) -> Any:
    """Return an attribute as pydicom gives it, None where it is absent, empty or malformed."""
    try:
        value = header.get(keyword)
        if isinstance(keyword, tuple) and value is not None:
            value = value.value
    except HEADER_ERRORS:
        return None
    if value is None or (isinstance(value, (str, bytes, MultiValue)) and len(value) == 0):
        return None
    return value


def number(header: Dataset, keyword: str | tuple[int, int]) -> float | None:
    """Return the first value as a finite float."""
    value = raw(header, keyword)
    if isinstance(value, (MultiValue, list)):
        value = value[0]
    return _finite(value)


def integer(header: Dataset, keyword: str | tuple[int, int]) -> int | None:
    """Return the first value as an integer."""
    value = number(header, keyword)
    return None if value is None else int(value)


def numbers(header: Dataset, keyword: str | tuple[int, int], count: int) -> tuple[float, ...] | None:
    """Return exactly `count` finite floats, or None."""
    value = raw(header, keyword)
    if isinstance(value, str) or not isinstance(value, Iterable):
        value = (value,)
    found = [_finite(item) for item in value]
    if len(found) != count or any(item is None for item in found):
        return None
    return tuple(item for item in found if item is not None)


def text(header: Dataset, keyword: str | tuple[int, int]) -> str | None:
    """Return the attribute as one line of text (several values are joined by a backslash)."""
    found = texts(header, keyword)
    return "\\".join(found).strip() or None if found else None


def texts(header: Dataset, keyword: str | tuple[int, int]) -> tuple[str, ...]:
    r"""Return the values as stripped text, `()` where there are none."""
    value = raw(header, keyword)
    if value is None:
        return ()
    if isinstance(value, bytes):
        value = value.decode("ascii", "ignore").rstrip("\x00")
    items = value if isinstance(value, (MultiValue, list, tuple)) else (value,)
    return tuple(str(item).strip() for item in items)


def items(header: Dataset, keyword: str | tuple[int, int]) -> list[Dataset]:
    """Return the items of a sequence, `[]` where it is absent or no sequence."""
    value = raw(header, keyword)
    return (
        [item for item in value if isinstance(item, Dataset)] if isinstance(value, Iterable) and not isinstance(value, str) else []
    )


def code_meaning(header: Dataset, keyword: str) -> str | None:
    """Return the meaning (else the value) of the first code of a code sequence."""
    for item in items(header, keyword):
        return text(item, "CodeMeaning") or text(item, "CodeValue")
    return None


def moment(header: Dataset, datetime_keyword: str | None, date_keyword: str, time_keyword: str) -> datetime | None:
    """Return a point in time from a DT attribute, else from a DA and a TM attribute (ACR-NEMA's dots and colons allowed)."""
    if datetime_keyword is not None and (stamp := text(header, datetime_keyword)):
        parsed = parse_moment(stamp)
        if parsed is not None:
            return parsed
    # A time without its own date is one of the study's day.
    date, time = text(header, date_keyword) or text(header, "StudyDate"), text(header, time_keyword)
    return None if date is None or time is None else parse_moment(date.replace(".", "") + time.replace(":", ""))


def parse_moment(stamp: str) -> datetime | None:
    """Return a DICOM DT value (an offset from UTC is dropped: all times of a study share it), None where malformed."""
    stamp = stamp.split("+")[0].split("-")[0].strip()
    whole, _, fraction = stamp.partition(".")
    if not whole.isdigit() or len(whole) < 8:
        return None
    whole = (whole + "000000")[:14] if len(whole) < 14 else whole[:14]
    try:
        base = datetime.strptime(whole, "%Y%m%d%H%M%S")  # noqa: DTZ007 - scanners keep local time without a zone
    except ValueError:
        return None
    return base + timedelta(seconds=float(f"0.{fraction}")) if fraction.isdigit() else base


def seconds_of_day(stamp: str) -> float | None:
    """Return a DICOM TM value as seconds since midnight, None where malformed."""
    whole, _, fraction = stamp.replace(":", "").strip().partition(".")
    if not whole.isdigit() or len(whole) not in (2, 4, 6):
        return None
    whole = (whole + "0000")[:6]
    seconds = int(whole[:2]) * 3600 + int(whole[2:4]) * 60 + int(whole[4:6])
    return seconds + (float(f"0.{fraction}") if fraction.isdigit() else 0.0) if seconds < _DAY_S else None


def _finite(value: Any) -> float | None:
    if value is None:
        return None
    try:
        result = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return result if math.isfinite(result) else None
