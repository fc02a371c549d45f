"""MR ghosting ratio: what the air holds along the phase-encoding axis beyond what it holds along the other.

Source: American College of Radiology, Phantom test guidance for the ACR MRI accreditation program, percent signal ghosting:
(mean of the air along phase encoding - mean of the air along frequency encoding) / mean of the object. Motion and system
instability put copies of the object along the phase-encoding axis only, while noise fills both alike.

Two things differ. A faint ghost and noise add as squares (Gudbjartsson H, Patz S. The Rician distribution of noisy MRI data. MRM
1995; 34:910-914), so that squares are subtracted and the root is taken; the plain difference reads 2.8 % of an even ghost of 6 %
at a signal-to-noise ratio of 30. What the root would make of a small unevenness of the noise is kept out: the squares must differ
by more than a tenth of the lesser, and only what is beyond counts. And medians stand for the means, so that a strip of dim tissue,
a marker or the ghost of one bright vessel is no ghost of the body: a ghost must fill half of the air along its axis, as those of
heads and of large phantoms do. An even ghost of 6 % then reads 5.5 % at a ratio of 30 and 6.0 % at 100, one of 3 % reads 2.3 % and
2.9 %, and a ghost under 0.45 times the noise of a channel reads 0 (`make bias`, docs/bias_mr.md).

Along the axis lies the air outside the body's outline (`mr_surroundings`), where bright ghosts stay air. Across it no ghost can be,
and the body mask keeps dim tissue out; where it takes much of that strip for body, dim tissue surrounds the outline and there is no
value. Ghosts nearly as bright as the body cannot be told from it, and the median overlooks those of a small body: where the body
mask has such pieces one behind the other along the axis there is no value.

The limit, 5 %, is twice what the ACR allows a still phantom (2.5 %). Few training scans have both the header entry and air on both
axes: without remarks, five phantoms read -0.1 to 1.9 % and three patients -2.9, 1.0 and 2.9 %. Without the header entry the axis
that holds more exceeded 5 % in 3 of 17 scans: tried and dropped.
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
from medqa.metrics.mr_air import MIN_AIR, MIN_FOREGROUND, median_over_frames
from medqa.metrics.mr_background import BRIGHT, grouped_median
from medqa.metrics.mr_surroundings import is_air, surroundings
from medqa.regions import Mask, Regions
from medqa.series import Series
from medqa.volume import Array

NAME: Final = "mr_ghosting"
LIMIT: Final = 5.0
LIMITS: Final[Limits] = (None, LIMIT)
AXES: Final = ("ROW", "COL")
UNEVEN: Final = 0.1
"""Part of the square of the lesser median by which the squares of two places with the same noise may differ."""
CLEAR: Final = 8.0
"""Elements that the air keeps clear of the outline, a sixteenth of the frame: blur carries the body's signal over its edge."""
SOURCE: Final = "ACR MRI accreditation phantom test guidance"


def per_frame(regions: Regions) -> dict[str, Any] | None:
    """Return the ratio in percent, or why there is none; None for an end of the stack or without a phase-encoding axis."""
    axis = regions.image.frame.header.phase_encoding_axis
    if axis not in AXES:
        return None
    found = surroundings(regions)
    if found.outline.mean() < MIN_FOREGROUND:
        return None
    level = found.background.level
    if found.reason is not None:
        return {"level": level, "reason": found.reason}
    # COL: phase encoding runs along a column, so ghosts lie above and below the body, in the columns that it spans.
    above_and_below, beside = (strip & (found.away > CLEAR) for strip in found.strips())
    along, across = (above_and_below, beside) if axis == "COL" else (beside, above_and_below)
    if along.sum() < MIN_AIR or not is_air(across, regions) or in_a_row(regions.values, regions.body, axis, BRIGHT):
        return {"level": level, "reason": "no_air"}
    across = across & regions.air
    array = np.abs(regions.image.array)
    ghost, floor = (grouped_median(array[regions.full(mask) & regions.finite]) for mask in (along, across))
    percent = 100.0 * excess(ghost, floor) / level
    if percent <= LIMIT and in_a_row(regions.values, regions.body, axis):
        # A piece that is there, and that the median overlooks.
        return {"level": level, "reason": "no_air"}
    return {"level": level, "percent": percent}


def in_a_row(values: Array, body: Mask, axis: str, least: float = 0.0) -> bool:
    """Return whether the body has pieces one behind the other along the phase-encoding axis, `least` as bright as the brightest."""
    from scipy import ndimage

    labels, count = ndimage.label(body)
    if count < 2:
        return False
    pieces = np.arange(1, count + 1)
    means = np.asarray(ndimage.mean(np.abs(np.nan_to_num(values)), labels, pieces))
    bright = pieces[means >= least * means.max()]
    centres = np.array(ndimage.center_of_mass(body, labels, bright))
    down, across = np.ptp(centres, axis=0)
    return bool(down > across if axis == "COL" else across > down)


def excess(ghost: float, floor: float) -> float:
    """Return the level of a ghost from the median of the air that holds it and of the air that does not; negative the other way."""
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
