"""MR ghosting ratio: what the air holds along the phase-encoding axis beyond what it holds along the other.

Source: American College of Radiology, Phantom test guidance for the ACR MRI accreditation program, percent signal ghosting:
(mean of the air along phase encoding - mean of the air along frequency encoding) / mean of the object. Motion and system
instability put copies of the object along the phase-encoding axis only, while noise fills both alike.

One thing differs: a faint ghost and noise add as squares (Gudbjartsson H, Patz S. The Rician distribution of noisy MRI data. MRM
1995; 34:910-914), so that the squares of the two means are subtracted and the root is taken; the plain difference reads 2.8 % of an
even ghost of 6 % at a signal-to-noise ratio of 30. What the root would make of a small unevenness of the noise is kept out: the
squares must differ by more than a tenth of the lesser, and only what is beyond counts. An even ghost of 6 % then reads 5.4 % at 30
and 5.8 % at 100, one of 3 % reads 2.3 % and 2.8 %, and a ghost under 0.45 times the noise of a channel reads 0 (`make bias`,
docs/bias_mr.md).

The limit, 5 %, is twice what the ACR allows a still phantom (2.5 %). Few training scans have both the header entry and air on
both axes: heads and phantoms without remarks reach 0.3 %. Ghosts so bright that they count as foreground leave no air to measure
them in: where the body has pieces one behind the other along the axis there is no value. A body from a higher threshold leaves dim
tissue in the air, which read 26 and 67 % in training scans without remarks; and without the header entry the axis that holds more
exceeded 5 % in 3 of 17 of them. Both were tried and dropped.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from medqa.codes import Unit, own
from medqa.errors import NotApplicable
from medqa.measurement import Limits, Measurement
from medqa.metrics.metric import Metric, Partial
from medqa.metrics.mr_air import MIN_AIR, MIN_FOREGROUND, foreground_level, frame_air, median_over_frames
from medqa.regions import Mask, Regions
from medqa.series import Series

NAME: Final = "mr_ghosting"
LIMITS: Final[Limits] = (None, 5.0)
AXES: Final = ("ROW", "COL")
UNEVEN: Final = 0.1
"""Part of the square of the lesser mean by which the squares of two places with the same noise may differ."""
SOURCE: Final = "ACR MRI accreditation phantom test guidance"


def per_frame(regions: Regions) -> dict[str, Any] | None:
    """Return the ratio in percent, or why there is none; None for an end of the stack or without a phase-encoding axis."""
    axis = regions.image.frame.header.phase_encoding_axis
    if axis not in AXES or regions.body_share < MIN_FOREGROUND:
        return None
    level = foreground_level(regions)
    found = frame_air(regions)
    if found.masked or found.reason == "unit_unknown":
        return {"level": level, "reason": str(found.reason)}
    body, air = regions.body, regions.air
    if in_a_row(body, axis):
        return {"level": level, "reason": "no_air"}
    # COL: phase encoding runs along a column, so ghosts lie above and below the body, in the columns that it spans.
    columns, rows = body.any(axis=0, keepdims=True), body.any(axis=1, keepdims=True)
    above_and_below, beside = air & columns & ~rows, air & rows & ~columns
    along, across = (above_and_below, beside) if axis == "COL" else (beside, above_and_below)
    if along.sum() < MIN_AIR or across.sum() < MIN_AIR:
        return {"level": level, "reason": "no_air"}
    ghost, floor = (float(regions.values[mask].mean(dtype=np.float64)) for mask in (along, across))
    return {"level": level, "percent": 100.0 * excess(ghost, floor) / level}


def in_a_row(body: Mask, axis: str) -> bool:
    """Return whether the body has pieces one behind the other along the phase-encoding axis: ghosts as bright as a body."""
    from scipy import ndimage

    labels, count = ndimage.label(body)
    if count < 2:
        return False
    centres = np.array(ndimage.center_of_mass(body, labels, range(1, count + 1)))
    down, across = np.ptp(centres, axis=0)
    return bool(down > across if axis == "COL" else across > down)


def excess(ghost: float, floor: float) -> float:
    """Return the level of a ghost from the mean of the air that holds it and of the air that does not; negative the other way."""
    difference = ghost**2 - floor**2
    beyond = max(abs(difference) - UNEVEN * min(ghost, floor) ** 2, 0.0)
    return math.copysign(math.sqrt(beyond), difference)


def combine(series: Series, partials: Sequence[Partial | None]) -> Measurement:
    """Return the median over the frames, in percent.

    Raises
    ------
    NotApplicable
        `header_silent` without InPlanePhaseEncodingDirection; `no_body`, `no_air` or `background_masked`.
    """
    if all(frame.header.phase_encoding_axis not in AXES for frame in series.frames):
        raise NotApplicable(what=NAME, reason="header_silent", keyword="InPlanePhaseEncodingDirection")
    return Measurement(
        quantity=own(NAME, "Ghosting ratio"),
        value=median_over_frames(NAME, partials, "percent"),
        unit=Unit.PERCENT,
        source=SOURCE,
        limits=LIMITS,
    )


METRIC: Final = Metric(name=NAME, per_frame=per_frame, combine=combine)
