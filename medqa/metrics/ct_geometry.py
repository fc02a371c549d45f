"""CT geometry: how much of the patient the slices cover, whether they touch, how they lie in the patient.

    coverage = distance of the first and the last slice along their normal + one slice thickness
    overlap  = slice thickness / distance of neighbours:   1 slices touch, 2 they overlap by half, 0.5 every other one is missing
    tilt     = angle between the normal of the slices and the long axis of the patient

Source: DICOM PS3.3 C.7.6.2 (Image Position, Image Orientation, Slice Thickness), C.7.3.1.1.2 (Patient Position), C.8.2.1
(Gantry/Detector Tilt). Positions count, not the declared spacing. The tilt of the gantry must be seen in the orientation of the
slices. Whatever the position of the patient, the columns of an axial image run towards the table: to the back of a supine patient,
to the left of one on the left side; where they do not, left and right may be exchanged. All 65 training series that name a position
keep this; both with a tilted gantry lie as declared to 0.1 degrees. In five the slices do not touch: all are excerpts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from medqa.assessment import Finding
from medqa.codes import Unit, own
from medqa.errors import NotApplicable
from medqa.findings import finding
from medqa.measurement import Measurement
from medqa.metrics.metric import Metric, Partial
from medqa.regions import Regions
from medqa.series import FrameHeader, Series
from medqa.volume import Vector

NAME: Final = "ct_coverage"
OVERLAP: Final = "ct_slice_overlap"
TILT: Final = "ct_tilt"
SOURCE: Final = "DICOM PS3.3 C.7.6.2"
SAME_PLACE_MM: Final = 0.01
APART: Final = 0.9
"""An overlap below leaves a tenth of the patient between slices."""
AXIAL_DEG: Final = 45.0
"""From here on slices are sagittal or coronal."""
TILT_TOLERANCE_DEG: Final = 1.0
TOWARDS_TABLE: Final[dict[str, Vector]] = {
    "S": (0.0, 1.0, 0.0),
    "P": (0.0, -1.0, 0.0),
    "DL": (1.0, 0.0, 0.0),
    "DR": (-1.0, 0.0, 0.0),
}
"""What follows `HF` or `FF` in Patient Position: the direction to the table, LPS."""


def normal(header: FrameHeader) -> NDArray[np.float64] | None:
    """Return the unit normal of a frame, None where its header gives no orientation."""
    if header.orientation is None:
        return None
    axis = np.cross(*header.orientation)
    length = float(np.linalg.norm(axis))
    return axis / length if length > 0 else None


def tilt_deg(header: FrameHeader) -> float | None:
    """Return the angle of a frame's normal to the long axis of the patient, 0 to 90 degrees."""
    axis = normal(header)
    return None if axis is None else math.degrees(math.atan2(math.hypot(axis[0], axis[1]), abs(axis[2])))


def places_mm(headers: Sequence[FrameHeader]) -> list[float] | None:
    """Return the places of the frames along the normal of the first one; None where a position or the orientation is missing."""
    axis = normal(headers[0]) if headers else None
    positions = [header.position_mm for header in headers if header.position_mm is not None]
    if axis is None or len(positions) < len(headers):
        return None
    return [float(place) for place in np.asarray(positions) @ axis]


def extent_mm(series: Series) -> tuple[float, float]:
    """Return the distance of first and last slice, and the median distance of neighbours, of the longest stack.

    Raises
    ------
    NotApplicable
        `header_silent` without positions, `too_few_frames` where no stack has two places.
    """
    found = []
    silent = True
    for stack in series.stacks:
        places = places_mm([frame.header for frame in series.frames[stack.start : stack.stop]])
        if places is None:
            continue
        silent = False
        steps = np.diff(np.sort(places))
        if (steps > SAME_PLACE_MM).any():
            found.append((max(places) - min(places), float(np.median(steps[steps > SAME_PLACE_MM]))))
    if silent:
        raise NotApplicable(what=NAME, reason="header_silent", keyword="ImagePositionPatient")
    if not found:
        raise NotApplicable(what=NAME, reason="too_few_frames")
    return max(found)


def per_frame(regions: Regions) -> None:
    """Return nothing: all is in the headers."""
    return


def combine(series: Series, partials: Sequence[Partial | None]) -> tuple[Measurement, ...]:
    """Return the coverage in mm, the overlap where the thickness is known, and the tilt in degrees.

    Raises
    ------
    NotApplicable
        As `extent_mm`, and `header_silent` without a slice thickness.
    """
    length, step = extent_mm(series)
    thickness = series.acquisition.slice_thickness_mm
    if not thickness or thickness <= 0:
        raise NotApplicable(what=NAME, reason="header_silent", keyword="SliceThickness")
    tilt = tilt_deg(series.frames[0].header)
    told = [
        (NAME, "Coverage along the slices' normal", length + thickness, Unit.MM),
        (OVERLAP, "Slice thickness over slice distance", thickness / step, Unit.ONE),
    ]
    if tilt is not None:
        told.append((TILT, "Angle of the slices to the axial plane", tilt, Unit.DEGREE))
    return tuple(
        Measurement(quantity=own(name, meaning), value=value, unit=unit, source=SOURCE) for name, meaning, value, unit in told
    )


def find(series: Series, partials: Sequence[Partial | None]) -> list[Finding]:
    """Return where slices do not touch, and where the orientation contradicts tilt or position that the header declares."""
    found = []
    thickness = series.acquisition.slice_thickness_mm
    try:
        _, step = extent_mm(series)
    except NotApplicable:
        step = 0.0
    if thickness and 0 < thickness < APART * step:
        found.append(finding("ct_slices_apart", values={"thickness_mm": round(thickness, 2), "spacing_mm": round(step, 2)}))
    first = series.frames[0].header if series.frames else None
    measured = None if first is None else tilt_deg(first)
    if first is None or first.orientation is None or measured is None or measured > AXIAL_DEG:
        return found
    declared = None if series.acquisition.ct is None else series.acquisition.ct.gantry_tilt_deg
    if declared is not None and abs(abs(declared) - measured) > TILT_TOLERANCE_DEG:
        found.append(finding("ct_tilt_differs", values={"declared": round(abs(declared), 1), "found": round(measured, 1)}))
    position = (series.acquisition.patient_position or "").strip().upper()
    down = TOWARDS_TABLE.get(position[2:]) if position[:2] in ("HF", "FF") else None
    if down is not None and float(np.dot(first.orientation[1], down)) < math.cos(math.radians(AXIAL_DEG)):
        found.append(finding("ct_position_contradicts", values={"position": position}))
    return found


METRIC: Final = Metric(name=NAME, per_frame=per_frame, combine=combine, find=find, more=(OVERLAP, TILT))
