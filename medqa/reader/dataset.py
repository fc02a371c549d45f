"""The header of a DICOM file, parsed once and bounded, and where its pixels begin.

File format: PS3.10 section 7; a file without preamble and meta information (ACR-NEMA, early DICOM) is read too.
"""

from __future__ import annotations

import io
import mmap
import struct
import warnings
import zlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from pydicom import Dataset, dcmread
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pydicom.valuerep import VR

from medqa.errors import UnreadableInstance
from medqa.reader.sources import Buffer
from medqa.reader.values import HEADER_ERRORS, text

LARGEST_INFLATED: Final = 512 * 1024**2
LARGEST_ELEMENT: Final = 1024
"""Private elements beyond this many bytes are not kept with a series."""
LARGEST_HEADER_ELEMENT: Final = 64 * 1024

_FIRST_TAGS: Final = (b"\x02\x00", b"\x08\x00", b"\x00\x02", b"\x00\x08")
_PIXELS: Final = {(0x7FE0, 0x0010): "integer", (0x7FE0, 0x0008): "float", (0x7FE0, 0x0009): "double"}
_GE_PRIVATE_BIG_ENDIAN: Final = "1.2.840.113619.5.2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """A header, and the place of the pixels behind it."""

    header: Dataset
    transfer_syntax: str
    big_endian_pixels: bool
    inflated: bool
    pixels: str | None
    """`integer`, `float`, `double`, or None where there is no pixel data element."""
    offset: int = 0
    length: int = 0


def parse(data: Buffer, name: str) -> Parsed:
    """Parse the header of a file.

    Raises
    ------
    UnreadableInstance
        Where it is no DICOM file, or its header is damaged.
    """
    if not _looks_like_dicom(data):
        raise UnreadableInstance(source=name, reason="it is not a DICOM file" if len(data) else "it is empty")
    deflated = _is_deflated(data)
    stream: Any = io.BytesIO(inflated(data, name)) if deflated else io.BytesIO(data) if isinstance(data, bytes) else data
    stream.seek(0)
    try:
        header = dcmread(stream, force=True, stop_before_pixels=True)
        # pydicom keeps the whole file with the dataset; a series keeps the dataset.
        header.buffer = None
        implicit, little = header.original_encoding
        _drop_unknown(header)
        if not len(header):
            raise UnreadableInstance(source=name, reason="its header is empty")
        kind, offset, length = _pixel_element(stream, implicit=bool(implicit), little=bool(little))
    except HEADER_ERRORS as error:
        raise UnreadableInstance(source=name, reason=f"its header is damaged ({type(error).__name__})") from error
    syntax = text(header.file_meta, "TransferSyntaxUID") if hasattr(header, "file_meta") else None
    if syntax is None:
        syntax = str(ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian if little else ExplicitVRBigEndian)
    return Parsed(
        header=header,
        transfer_syntax=str(DeflatedExplicitVRLittleEndian) if deflated else syntax,
        big_endian_pixels=not little or syntax == _GE_PRIVATE_BIG_ENDIAN,
        inflated=deflated,
        pixels=kind,
        offset=offset,
        length=length,
    )


def _looks_like_dicom(data: Buffer) -> bool:
    if bytes(data[128:132]) == b"DICM":
        return True
    # Without the magic word: a small even group, a small element, nothing that text would be.
    return len(data) > 64 and bytes(data[:2]) in _FIRST_TAGS and b"\x00" in bytes(data[2:8])


def _meta_end(data: Buffer) -> int | None:
    head = bytes(data[132:144])
    if len(head) < 12 or head[:6] != b"\x02\x00\x00\x00UL":
        return None
    return 144 + int(struct.unpack("<I", head[8:12])[0])


def data_set(data: Buffer) -> memoryview:
    """Return a file without its preamble and meta information, which whoever stores it writes anew."""
    return memoryview(data)[_meta_end(data) or 0 :]


def _is_deflated(data: Buffer) -> bool:
    end = _meta_end(data)
    uid = str(DeflatedExplicitVRLittleEndian).encode()
    return end is not None and end < 65536 and uid in bytes(data[132:end])


def inflated(data: Buffer, name: str) -> bytes:
    """Return a deflated file as if it had been stored plainly, in the same layout.

    Raises
    ------
    UnreadableInstance
        Where the stream is damaged or would grow beyond `LARGEST_INFLATED`.
    """
    return _inflated(bytes(data), name)


@lru_cache(maxsize=1)
def _inflated(data: bytes, name: str) -> bytes:
    end = _meta_end(data) or 0
    # The UID of the plain syntax, padded to the same length, keeps every offset.
    deflated, plain = str(DeflatedExplicitVRLittleEndian).encode(), str(ExplicitVRLittleEndian).encode()
    meta = data[:end].replace(deflated, plain.ljust(len(deflated), b"\x00"))
    stream = zlib.decompressobj(-15)
    try:
        body = stream.decompress(data[end:], LARGEST_INFLATED)
    except zlib.error as error:
        raise UnreadableInstance(source=name, reason="its deflated data is damaged") from error
    if stream.unconsumed_tail:
        raise UnreadableInstance(source=name, reason="it would inflate to an absurd size")
    return meta + body


def _pixel_element(stream: io.BytesIO | mmap.mmap, *, implicit: bool, little: bool) -> tuple[str | None, int, int]:
    """Return the kind, offset and length of the pixel data element at which the parser stopped."""
    order = "<" if little else ">"
    head = stream.read(12)
    if len(head) < 8:
        return None, 0, 0
    kind = _PIXELS.get(struct.unpack(f"{order}HH", head[:4]))
    if kind is None:
        return None, 0, 0
    # Some files change to implicit VR on the way without saying so (GE's private syntax): two letters decide.
    if implicit or not head[4:6].isupper():
        return kind, stream.tell() - len(head) + 8, int(struct.unpack(f"{order}I", head[4:8])[0])
    if head[4:6] in (b"OB", b"OW", b"OF", b"OD", b"UN"):
        return (kind, stream.tell(), int(struct.unpack(f"{order}I", head[8:12])[0])) if len(head) == 12 else (None, 0, 0)
    return kind, stream.tell() - len(head) + 8, int(struct.unpack(f"{order}H", head[6:8])[0])


def _drop_unknown(header: Dataset) -> None:
    """Drop elements of a value representation that does not exist: pydicom cannot even name their values."""
    gone = [element.tag for element in header.values() if element.VR is not None and element.VR not in _REPRESENTATIONS]
    for tag in gone:
        del header[tag]


def slim(header: Dataset) -> Dataset:
    """Take out of a header, in place, what a series need not keep: pixels, overlays, icons, frames' groups, long elements."""
    gone = []
    for tag in list(header.keys()):
        group, limit = tag.group, LARGEST_ELEMENT if tag.is_private else LARGEST_HEADER_ELEMENT
        element = header.get_item(tag)
        value = getattr(element, "value", None)
        size = len(value) if isinstance(value, (bytes, str)) else 0
        if group == 0x7FE0 or 0x6000 <= group <= 0x60FF or size > limit or tag in _NEVER_KEPT:
            gone.append(tag)
    for tag in gone:
        del header[tag]
    return header


def settle(header: Dataset) -> Dataset:
    """Convert every element of a kept header, in place, and drop what cannot be: who copies from it later meets no surprise."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for tag in list(header.keys()):
            try:
                header[tag]
            except HEADER_ERRORS:
                del header[tag]
    return header


_REPRESENTATIONS: Final = frozenset(str(representation.value) for representation in VR)
_NEVER_KEPT: Final = frozenset({0x00880200, 0x52009230, 0xFFFCFFFC})
