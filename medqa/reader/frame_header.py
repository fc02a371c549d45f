"""What one frame's header says, compact: from a classic single-frame object.

Image plane: PS3.3 C.7.6.2; private attributes of MR vendors for the b-value are the ones their conformance statements name.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from pydicom import Dataset

from medqa.reader.values import integer, moment, number, numbers, raw, text, texts
from medqa.series import FrameHeader
from medqa.volume import Vector

_UNIT_TOLERANCE: Final = 0.02
_PRIVATE_B_VALUES: Final[tuple[tuple[str, tuple[int, int]], ...]] = (
    ("SIEMENS", (0x0019, 0x100C)),
    ("GE", (0x0043, 0x1039)),
    ("PHILIPS", (0x2001, 0x1003)),
    ("UIH", (0x0065, 0x1009)),
)


def position(header: Dataset) -> Vector | None:
    """Return the centre of the first pixel, LPS; ACR-NEMA's Image Position where the modern attribute is absent."""
    found = numbers(header, "ImagePositionPatient", 3) or numbers(header, (0x0020, 0x0030), 3)
    return None if found is None else (found[0], found[1], found[2])


def centre(header: Dataset) -> Vector | None:
    """Return the centre of data collection, LPS: where the axis of rotation passes through the plane."""
    found = numbers(header, "DataCollectionCenterPatient", 3)
    return None if found is None else (found[0], found[1], found[2])


def orientation(header: Dataset) -> tuple[Vector, Vector] | None:
    """Return the unit vectors along a row and along a column; None where they are absent, no unit vectors or not orthogonal."""
    found = numbers(header, "ImageOrientationPatient", 6) or numbers(header, (0x0020, 0x0035), 6)
    return None if found is None else unit_vectors(found)


def unit_vectors(found: tuple[float, ...]) -> tuple[Vector, Vector] | None:
    """Return six direction cosines as two unit vectors, None where they are none."""
    x, y = found[:3], found[3:6]
    lengths = math.hypot(*x), math.hypot(*y)
    if any(abs(length - 1) > _UNIT_TOLERANCE for length in lengths):
        return None
    if abs(sum(a * b for a, b in zip(x, y, strict=True))) > _UNIT_TOLERANCE:
        return None
    return (x[0], x[1], x[2]), (y[0], y[1], y[2])


def spacing(header: Dataset, keyword: str = "PixelSpacing") -> tuple[float, float] | None:
    """Return the distance of rows and of columns, None where absent or not positive."""
    found = numbers(header, keyword, 2)
    return None if found is None or min(found) <= 0 else (found[0], found[1])


def b_value(header: Dataset, manufacturer: str) -> float | None:
    """Return the diffusion weighting in s/mm², from the standard attribute or the vendor's own."""
    found = number(header, "DiffusionBValue")
    if found is not None:
        return found
    for vendor, tag in _PRIVATE_B_VALUES:
        if manufacturer.upper().startswith(vendor) and tag in header:
            found = _private_number(header, tag)
            # GE adds 10⁹ to flag how the value was made.
            return None if found is None else found % 1e6 if found >= 1e6 else found
    return None


def _private_number(header: Dataset, tag: tuple[int, int]) -> float | None:
    value = raw(header, tag)
    if isinstance(value, bytes):
        # A private element without its dictionary: text digits, or a binary FD or FL.
        words = value.rstrip(b"\x00 ").split(b"\\")[0]
        if words and words.strip().replace(b".", b"").isdigit():
            return float(words)
        if len(value) in (4, 8):
            return float(np.frombuffer(value, "<f4" if len(value) == 4 else "<f8")[0])
        return None
    return number(header, tag)


def rescale(header: Dataset, keyword: str, absent: float) -> float:
    """Return slope or intercept: `absent` where there is none, NaN where there is one that is no number."""
    if raw(header, keyword) is None:
        return math.nan if keyword in header and _malformed(header, keyword) else absent
    found = number(header, keyword)
    return math.nan if found is None else found


def _malformed(header: Dataset, keyword: str) -> bool:
    """Return whether the element has bytes that pydicom could not turn into a value."""
    element = header.get_item(keyword)
    value = getattr(element, "value", None)
    return isinstance(value, bytes) and bool(value.strip(b" \x00"))


def classic(header: Dataset, *, rows: int, columns: int, suv_factor: float | None, modality: str) -> FrameHeader:
    """Return the frame header of a single-frame object."""
    acquired = moment(header, "AcquisitionDateTime", "AcquisitionDate", "AcquisitionTime")
    mr, ct, pt = modality == "MR", modality == "CT", modality == "PT"
    axis = text(header, "InPlanePhaseEncodingDirection") if mr else None
    return FrameHeader(
        rows=rows,
        columns=columns,
        position_mm=position(header),
        orientation=orientation(header),
        spacing_mm=spacing(header),
        slice_thickness_mm=number(header, "SliceThickness"),
        instance_number=integer(header, "InstanceNumber"),
        acquisition_number=integer(header, "AcquisitionNumber"),
        echo=_echo(header) if mr else None,
        b_value=b_value(header, text(header, "Manufacturer") or "") if mr else None,
        temporal_position=text(header, "TemporalPositionIdentifier"),
        trigger_time_ms=number(header, "TriggerTime"),
        frame_duration_ms=number(header, "ActualFrameDuration") if pt else None,
        decay_factor=number(header, "DecayFactor") if pt else None,
        slope=rescale(header, "RescaleSlope", 1.0),
        intercept=rescale(header, "RescaleIntercept", 0.0),
        exposure_mas=number(header, "Exposure") if ct else None,
        tube_current_ma=number(header, "XRayTubeCurrent") if ct else None,
        ctdivol_mgy=number(header, "CTDIvol") if ct else None,
        collection_centre_mm=centre(header) if ct else None,
        acquisition_datetime=None if acquired is None else acquired.isoformat(),
        image_type=tuple(value.upper() for value in texts(header, "ImageType")),
        suv_factor=suv_factor,
        phase_encoding_axis={"ROW": "ROW", "COL": "COL", "COLUMN": "COL"}.get(axis or ""),
    )


def _echo(header: Dataset) -> str | None:
    """Return the echo a frame belongs to: its number, and its time where numbers are not kept apart by the scanner."""
    index, time = text(header, "EchoNumbers"), number(header, "EchoTime")
    words = ([index] if index is not None else []) + ([f"TE {round(time, 2):g} ms"] if time is not None else [])
    return " ".join(words) or None
