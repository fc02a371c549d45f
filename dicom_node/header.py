"""The few header values that the catalogue needs, read from the encoded bytes of a data set without parsing the rest.

It runs on the network thread, so it touches no pixel, builds no data set and trusts no length: what points outside the bytes
ends the scan. Encodings: PS3.5 sections 7.1 (elements), 7.5 (sequences), A.1-A.5 (transfer syntaxes).
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from medqa.errors import UnreadableInstance

DEFLATED_LE: Final = "1.2.840.10008.1.2.1.99"
EXPLICIT_BE: Final = "1.2.840.10008.1.2.2"

JUDGED_CLASSES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "1.2.840.10008.5.1.4.1.1.2": "CT",
        "1.2.840.10008.5.1.4.1.1.2.1": "CT",
        "1.2.840.10008.5.1.4.1.1.2.2": "CT",
        "1.2.840.10008.5.1.4.1.1.4": "MR",
        "1.2.840.10008.5.1.4.1.1.4.1": "MR",
        "1.2.840.10008.5.1.4.1.1.4.4": "MR",
        "1.2.840.10008.5.1.4.1.1.128": "PT",
        "1.2.840.10008.5.1.4.1.1.128.1": "PT",
        "1.2.840.10008.5.1.4.1.1.130": "PT",
    }
)
"""SOP classes whose instances are judged, and their modality (PS3.6 annex A)."""

_NAMES: Final[Mapping[int, str]] = MappingProxyType(
    {
        0x00080016: "sop_class_uid",
        0x00080018: "sop_instance_uid",
        0x00080060: "modality",
        0x00080070: "manufacturer",
        0x0020000D: "study_uid",
        0x0020000E: "series_uid",
        0x00200012: "acquisition",
        0x00200013: "instance_number",
        0x00201002: "images_in_acquisition",
        0x00280008: "frames",
        0x00540061: "intervals",
        0x00540071: "time_slots",
        0x00540081: "slices",
        0x00540101: "time_slices",
        0x00541000: "series_type",
    }
)
_LAST: Final = max(_NAMES)
_LONG: Final = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})
"""Value representations with a 32-bit length (PS3.5 table 7.1-1)."""
_BINARY: Final = frozenset({0x00540061, 0x00540071, 0x00540081, 0x00540101})
"""Values of US."""
_VALUE_REPRESENTATION: Final = re.compile(rb"[A-Z]{2}")
"""Implicit or explicit is seen in the first element: a private transfer syntax does not say, and some senders say it wrong."""
_UNDEFINED: Final = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_DEEPEST: Final = 32
_INFLATE: Final = 4 * 1024 * 1024
_LONGEST_VALUE: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What the catalogue keeps of a header; `sop_class_uid` and `sop_instance_uid` are empty where the data set has none."""

    study_uid: str
    series_uid: str
    sop_class_uid: str = ""
    sop_instance_uid: str = ""
    modality: str = ""
    manufacturer: str = ""
    acquisition: str = ""
    instance_number: int | None = None
    frames: int = 1
    images_in_acquisition: int | None = None
    slices: int | None = None
    series_type: str = ""
    intervals: int | None = None
    time_slots: int | None = None
    time_slices: int | None = None

    def declared(self, modality: str) -> tuple[int | None, str]:
        """Return how many images the header promises, and of which part: empty for the whole series, else an acquisition.

        A PET header counts the slices of one time frame (PS3.3 C.8.9.1); some scanners fill in time slices or slots for a static
        or whole-body series too, so they count only where the series type says that they repeat the slices.
        """
        if modality == "PT" and self.slices:
            repeats = {
                "DYNAMIC": self.time_slices or 1,
                "GATED": (self.intervals or 1) * (self.time_slots or 1),
            }
            return self.slices * repeats.get(self.series_type.split("\\")[0].strip(), 1), ""
        if modality in ("CT", "MR") and self.images_in_acquisition:
            return self.images_in_acquisition, self.acquisition
        return None, ""


def scan(data: bytes | memoryview, transfer_syntax: str) -> Header:
    """Read the header of an encoded data set.

    Parameters
    ----------
    data
        The data set, without preamble and file meta.
    transfer_syntax
        Its encoding; only deflated and big endian matter.

    Raises
    ------
    UnreadableInstance
        No Study or Series Instance UID can be read.
    """
    if transfer_syntax == DEFLATED_LE:
        data = _inflate(data)
    data = memoryview(data)
    scanner = _Scanner(data, big=transfer_syntax == EXPLICIT_BE)
    scanner.elements(0, len(data), implicit=not _VALUE_REPRESENTATION.fullmatch(data[4:6]), depth=0)
    found = scanner.found
    for name in ("study_uid", "series_uid"):
        if not found.get(name):
            raise UnreadableInstance(source="the object", reason=f"its {name.replace('_', ' ').replace('uid', 'UID')} is missing")
    texts = {name: str(value) for name, value in found.items() if name in _TEXTS}
    return Header(
        **texts,
        instance_number=_integer(found, "instance_number"),
        frames=max(1, _integer(found, "frames") or 1),
        images_in_acquisition=_integer(found, "images_in_acquisition"),
        slices=_integer(found, "slices"),
        intervals=_integer(found, "intervals"),
        time_slots=_integer(found, "time_slots"),
        time_slices=_integer(found, "time_slices"),
    )


_TEXTS: Final = frozenset(
    {
        "study_uid",
        "series_uid",
        "sop_class_uid",
        "sop_instance_uid",
        "modality",
        "manufacturer",
        "acquisition",
        "series_type",
    }
)


class _Scanner:
    """Walk through the elements of one data set, keeping what `_NAMES` names at its top level."""

    def __init__(self, data: memoryview, *, big: bool) -> None:
        self.found: dict[str, str | int] = {}
        self._data = data
        order = ">" if big else "<"
        self._tag = struct.Struct(f"{order}HH")
        self._short = struct.Struct(f"{order}H")
        self._long = struct.Struct(f"{order}I")

    def elements(self, position: int, end: int, *, implicit: bool, depth: int) -> int:
        """Go from element to element; return where they end: at `end`, behind an item's end, or where a length is wrong."""
        while position + 8 <= end:
            tag, start, length, inner_implicit = self._head(position, implicit=implicit)
            if tag == _ITEM_END:
                return start
            if depth == 0 and tag > _LAST:
                return end
            if length == _UNDEFINED:
                if depth >= _DEEPEST:
                    return end
                position = self._sequence(start, end, implicit=inner_implicit, depth=depth + 1)
                continue
            if start + length > end:
                return end
            if depth == 0 and tag in _NAMES and length <= _LONGEST_VALUE:
                self._keep(tag, self._data[start : start + length])
            position = start + length
        return end

    def _sequence(self, position: int, end: int, *, implicit: bool, depth: int) -> int:
        """Skip a sequence (or encapsulated fragments) of undefined length."""
        while position + 8 <= end:
            tag = self._tag_at(position)
            length = self._long.unpack_from(self._data, position + 4)[0]
            position += 8
            if tag == _SEQUENCE_END:
                return position
            if tag != _ITEM:
                return end
            if length == _UNDEFINED:
                position = self.elements(position, end, implicit=implicit, depth=depth)
            else:
                position += length
        return end

    def _tag_at(self, position: int) -> int:
        group, element = self._tag.unpack_from(self._data, position)
        return int(group) << 16 | int(element)

    def _head(self, position: int, *, implicit: bool) -> tuple[int, int, int, bool]:
        """Return tag, start and length of a value, and whether what it nests is implicit."""
        tag = self._tag_at(position)
        if implicit or tag in (_ITEM, _ITEM_END, _SEQUENCE_END):
            return tag, position + 8, self._long.unpack_from(self._data, position + 4)[0], implicit
        representation = bytes(self._data[position + 4 : position + 6])
        if representation not in _LONG:
            return tag, position + 8, self._short.unpack_from(self._data, position + 6)[0], implicit
        if position + 12 > len(self._data):
            return tag, position + 12, len(self._data), implicit
        # an unknown value of undefined length nests implicit elements (PS3.5 section 6.2.2)
        return tag, position + 12, self._long.unpack_from(self._data, position + 8)[0], representation == b"UN"

    def _keep(self, tag: int, value: memoryview) -> None:
        if tag in _BINARY:
            if len(value) >= 2:
                self.found[_NAMES[tag]] = int(self._short.unpack_from(value, 0)[0])
            return
        text = bytes(value).decode("latin-1").strip("\0 ")
        if text:
            self.found[_NAMES[tag]] = text


def _integer(found: Mapping[str, str | int], name: str) -> int | None:
    value = found.get(name)
    try:
        number = None if value is None else int(str(value).split("\\")[0])
    except ValueError:
        return None
    return number if number is not None and abs(number) < 2**31 else None


def _inflate(data: bytes | memoryview) -> bytes:
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, _INFLATE)
    except zlib.error as error:
        raise UnreadableInstance(source="the object", reason="its deflated data set is damaged") from error
