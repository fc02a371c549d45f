"""MR ghosting ratio: what the air holds along the phase-encoding axis beyond what it holds along the other.

Source: American College of Radiology, Phantom test guidance for the ACR MRI accreditation program, percent signal ghosting:
(mean of the air along phase encoding - mean of the air along frequency encoding) / mean of the object. Motion and system
instability put copies of the object along the phase-encoding axis only, while noise fills both alike.

A faint ghost and noise add as squares, and the formula takes the floor of the noise off whole: a ghost reads low by up to that
floor, 1.25 times the noise. An even ghost of 6 % reads 2.8 % at a signal-to-noise ratio of 30, 4.8 % at 100 and 5.5 % at 300
(`make bias`, docs/bias_mr.md).

The limit, 5 %, is twice what the ACR allows a still phantom (2.5 %). Few training scans have both the header entry and air on
both axes: heads and phantoms without remarks reach 2.0 %. Ghosts so bright that they count as foreground leave no air to
measure them in: then there is no value.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from medqa.codes import Unit, own
from medqa.errors import NotApplicable
from medqa.measurement import Limits, Measurement
from medqa.metrics.metric import Metric, Partial
from medqa.metrics.mr_air import MIN_AIR, MIN_FOREGROUND, foreground_level, frame_air, median_over_frames
from medqa.regions import Regions
from medqa.series import Series

NAME: Final = "mr_ghosting"
LIMITS: Final[Limits] = (None, 5.0)
AXES: Final = ("ROW", "COL")
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
    # COL: phase encoding runs along a column, so ghosts lie above and below the body, in the columns that it spans.
    columns, rows = body.any(axis=0, keepdims=True), body.any(axis=1, keepdims=True)
    above_and_below, beside = air & columns & ~rows, air & rows & ~columns
    along, across = (above_and_below, beside) if axis == "COL" else (beside, above_and_below)
    if along.sum() < MIN_AIR or across.sum() < MIN_AIR:
        return {"level": level, "reason": "no_air"}
    ghost, floor = (float(regions.values[mask].mean(dtype=np.float64)) for mask in (along, across))
    return {"level": level, "percent": 100.0 * (ghost - floor) / level}


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
