"""MR jumps: slices brighter or darker than their neighbours, from movement between interleaved slices or a scale that jumped.

The median of the foreground is taken of each slice, and compared with the mean of both neighbours on a logarithmic scale, so that
the slow change of anatomy along the stack drops out:

    jump = |ln m(i) - (ln m(i - 1) + ln m(i + 1)) / 2|        [percent]

Neighbours lie no further apart than `MAX_GAP` times the distance of slices: where slices are missing, anatomy jumps. Frames with
less than a tenth of the brightest one's level are ends of the stack, and where the body's area shrinks fast it ends. Of 150 slices
of six clean train scans that hold enough of them half jump by less than 4 %, 99 % by less than 17 % and none by 19 %: `MAX_JUMP`
lies above.

Source: Zaitsev M, Maclaren J, Herbst M. Motion artifacts in MRI: a complex problem with many partial solutions. JMRI 2015;
42:887-901 (10.1002/jmri.24850), on slices that were excited twice; MRIQC rates motion between slices by eye.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from medqa.assessment import Finding
from medqa.codes import Unit, own
from medqa.errors import NotApplicable
from medqa.findings import finding
from medqa.measurement import Measurement
from medqa.metrics.metric import Metric, Partial, runs
from medqa.metrics.mr_air import MIN_FOREGROUND, MIN_LEVEL
from medqa.regions import Regions
from medqa.series import Series, Stack

NAME: Final = "mr_jumps"
SOURCE: Final = "Zaitsev et al., JMRI 2015;42:887"
MIN_FRAMES: Final = 5
HIGH: Final = 95.0
"""Percentile over the slices that is reported."""
MAX_JUMP: Final = 25.0
"""Percent from which a slice is named."""
MAX_GAP: Final = 1.5
MIN_AREA: Final = 0.6
"""Least area of the foreground over that of the largest of three neighbours: at the vertex other tissue is cut, and less of it."""


def per_frame(regions: Regions) -> dict[str, Any] | None:
    """Return the median of the foreground and its share of the frame; None for an end of the stack."""
    if regions.body_share < MIN_FOREGROUND:
        return None
    values = np.abs(regions.values[regions.inside])
    level = float(np.median(values[np.isfinite(values)])) if np.isfinite(values).any() else 0.0
    return {"level": level, "area": regions.body_share} if level > 0 else None


def jumps(series: Series, partials: Sequence[Partial | None]) -> list[float | None]:
    """Return the jump of each frame against its neighbours in its stack, in percent; None at ends and beside gaps."""
    brightest = max((float(one["level"]) for one in partials if one is not None), default=0.0)
    logs = [None if one is None or one["level"] < MIN_LEVEL * brightest else math.log(one["level"]) for one in partials]
    found: list[float | None] = [None] * len(partials)
    for stack in series.stacks or (Stack(label="", start=0, stop=len(partials)),):
        for index in range(stack.start + 1, stack.stop - 1):
            before, here, behind = logs[index - 1 : index + 2]
            if before is None or here is None or behind is None or _gap(series, index - 1) or _gap(series, index):
                continue
            areas = [one["area"] for one in partials[index - 1 : index + 2] if one is not None]
            if min(areas) < MIN_AREA * max(areas):
                continue
            found[index] = 100.0 * abs(here - (before + behind) / 2)
    return found if sum(one is not None for one in found) >= MIN_FRAMES - 2 else [None] * len(partials)


def _gap(series: Series, index: int) -> bool:
    """Return whether slices are missing between a frame and the next; without positions none is known to be."""
    here, behind = (series.frames[at].header.position_mm for at in (index, index + 1))
    spacing = series.volume.spacing_mm[0]
    return here is not None and behind is not None and spacing > 0 and math.dist(here, behind) > MAX_GAP * spacing


def combine(series: Series, partials: Sequence[Partial | None]) -> Measurement:
    """Return the 95th percentile of the jumps, in percent.

    Raises
    ------
    NotApplicable
        `too_few_frames` where fewer than `MIN_FRAMES` slices have two neighbours.
    """
    known = [one for one in jumps(series, partials) if one is not None]
    if not known:
        raise NotApplicable(what=NAME, reason="too_few_frames")
    return Measurement(
        quantity=own(NAME, "Jump of brightness between slices"),
        value=float(np.percentile(known, HIGH)),
        unit=Unit.PERCENT,
        source=SOURCE,
    )


def find(series: Series, partials: Sequence[Partial | None]) -> list[Finding]:
    """Return the runs of slices that stand out against their neighbours."""
    found = jumps(series, partials)
    return [
        finding(NAME, values={"percent": max(one for one in found[first : last + 1] if one is not None)}, frames=(first, last))
        for first, last in runs([one is not None and one > MAX_JUMP for one in found])
    ]


METRIC: Final = Metric(name=NAME, per_frame=per_frame, combine=combine, find=find)
