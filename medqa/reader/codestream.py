"""What a compressed frame says about its own size, before a decoder allocates it.

A decoder believes its stream: a damaged one may claim four thousand million pixels. Markers: ISO/IEC 10918-1 (JPEG), 14495-1
(JPEG-LS), 15444-1 (JPEG 2000), 15444-15 (HTJ2K).
"""

from __future__ import annotations

import struct
from typing import Final

_START_OF_FRAME: Final = frozenset({*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0), 0xF7})
_WITHOUT_LENGTH: Final = frozenset({0x01, *range(0xD0, 0xD9)})
_J2K_START: Final = b"\xff\x4f\xff\x51"
_JP2_BOX: Final = b"\x00\x00\x00\x0cjP  "


def size(data: bytes) -> tuple[int, int] | None:
    """Return rows and columns as the stream states them, None where it is no JPEG family stream or has no size in its header."""
    if data[:2] == b"\xff\xd8":
        return _jpeg(data)
    start = data.find(_J2K_START) if data[:8] == _JP2_BOX else 0 if data[:4] == _J2K_START else -1
    if start < 0 or len(data) < start + 24:
        return None
    right, bottom, left, top = struct.unpack(">IIII", data[start + 8 : start + 24])
    return int(bottom) - int(top), int(right) - int(left)


def _jpeg(data: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF or marker in _WITHOUT_LENGTH:
            at += 1 if marker == 0xFF else 2
            continue
        if marker in _START_OF_FRAME:
            rows, columns = struct.unpack(">HH", data[at + 5 : at + 9])
            return int(rows), int(columns)
        at += 2 + int(struct.unpack(">H", data[at + 2 : at + 4])[0])
    return None
