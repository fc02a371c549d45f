"""PET extravasation: how much of the activity in the images lies in one hot focus at an arm.

    value = 100 x sum of SUV over the focus / sum of SUV over the body, all frames

What stayed under the skin at the injection never reached the organs: their SUV reads low by that share (Osman et al., FDG dose
extravasations in PET/CT: frequency and impact on SUV measurements, Front Oncol 2011; 1:41; doi 10.3389/fonc.2011.00041). A focus
is a connected place over SUV 2 whose smoothed maximum passes 4. It lies at an arm if it is 110 mm or more from the middle of the
body and either in a part of it less than 130 mm wide or at its very side (an arm that touches the trunk: at most 16 mm inside of
where the body ends 40 mm in front of it and behind it, which its own glare leaves free), or if it is 180 mm or more from the
middle: brain, heart, kidneys and bladder do not. Legs from the knee down are as narrow, but closer to the middle. 0 % means that
none is seen; arms that the field of view leaves out are not.
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
from medqa.metrics.metric import Metric, Partial, present
from medqa.metrics.pt_field import Field, field, suv_factor
from medqa.regions import Mask, Regions
from medqa.series import Series

NAME: Final = "pt_extravasation"
SOURCE: Final = "Osman et al., Front Oncol 2011;1:41"
EDGE_SUV: Final = 2.0
PEAK_SUV: Final = 4.0
"""No muscle, vein or skin of an arm comes near."""
LIMB_FROM_MIDDLE_MM: Final = 110.0
LIMB_WIDTH_MM: Final = 130.0
BESIDE_TRUNK_MM: Final = 180.0
AT_THE_SIDE_MM: Final = 16.0
GLARE_MM: Final = 40.0
NO_SIDE_MM: Final = 999.0
MAX_FOCI: Final = 6
SAME_FOCUS_MM: Final = 25.0
MIN_LENGTH_MM: Final = 12.0
"""A focus in fewer frames than this is a streak or an end slice."""
MIN_COVERAGE_MM: Final = 300.0
TOLD_PERCENT: Final = 0.3
"""From here on a focus is worth a note: a hundredth of it changes no SUV."""


def per_frame(regions: Regions) -> dict[str, Any] | None:
    """Return the middle of the body (mm), its sum of SUV and its hottest foci.

    Returns
    -------
    dict or None
        `middle`, `total`, and `foci` as (x, y, width of the body there, distance from its side, sum of SUV); None without SUV or
        body.
    """
    seen = field(regions)
    if seen is None or not seen.body.any():
        return None
    return {
        "middle": round(float(np.median(seen.x[seen.body])), 1),
        "total": float(seen.suv[seen.body].sum(dtype=np.float64)) * seen.step**2,
        "foci": _foci(seen),
    }


def _foci(seen: Field) -> list[list[float]]:
    from scipy import ndimage

    if float(seen.smooth.max()) < PEAK_SUV:
        return []
    labels, count = ndimage.label(seen.smooth > EDGE_SUV)
    places = np.arange(1, count + 1)
    peaks = ndimage.maximum(seen.smooth, labels, places)
    hot = places[np.asarray(peaks) > PEAK_SUV]
    sums = np.asarray(ndimage.sum_labels(seen.suv, labels, hot)) * seen.step**2
    found = []
    for place in np.argsort(-sums)[:MAX_FOCI]:
        at = labels == hot[place]
        row, column = (round(float(axis)) for axis in ndimage.center_of_mass(at))
        found.append(
            [
                round(float(seen.x[row, column]), 1),
                round(float(seen.y[row, column]), 1),
                round(_width(seen.body[row] | at[row], column) * seen.spacing_mm[1], 1),
                round(_from_side(seen, row, column), 1),
                round(float(sums[place]), 1),
            ]
        )
    return found


def _width(line: Mask, column: int) -> int:
    """Return how many elements of a row hang together around `column`."""
    gaps = np.flatnonzero(~line)
    left, right = gaps[gaps < column], gaps[gaps > column]
    return int((right[0] if right.size else line.size) - (left[-1] if left.size else -1) - 1)


def _from_side(seen: Field, row: int, column: int) -> float:
    """Return how far inside of the body's side a place lies, in mm; the side is that of the rows beyond the glare."""
    away = np.abs(np.arange(seen.body.shape[0]) - row) * seen.spacing_mm[0] > GLARE_MM
    columns = np.flatnonzero(seen.body[away].any(axis=0))
    if columns.size == 0:
        return NO_SIDE_MM
    return float(min(column - columns[0], columns[-1] - column)) * seen.spacing_mm[1]


def _at_an_arm(away: float, width: float, from_side: float) -> bool:
    aside = away >= LIMB_FROM_MIDDLE_MM and (width <= LIMB_WIDTH_MM or from_side <= AT_THE_SIDE_MM)
    return aside or away >= BESIDE_TRUNK_MM


def focus(series: Series, partials: Sequence[Partial | None]) -> tuple[float, tuple[int, int] | None]:
    """Return the share of the largest focus at an arm in percent, and its first and last frame (None where there is none).

    Raises
    ------
    NotApplicable
        `unit_unknown` without SUV, `no_body` without a body, `too_few_frames` where they cover less than 300 mm.
    """
    if all(suv_factor(frame) is None for frame in series.frames):
        raise NotApplicable(what=NAME, reason="unit_unknown")
    known = present(NAME, partials, "no_body")
    step = series.volume.spacing_mm[0]
    if len(known) * step < MIN_COVERAGE_MM:
        raise NotApplicable(what=NAME, reason="too_few_frames")
    middle = float(np.median([one["middle"] for one in known]))
    total = math.fsum(one["total"] for one in known)
    # Chains of foci in neighbouring frames that lie on top of each other: [last index, x, y, first index, sum].
    chains: list[list[float]] = []
    for index, partial in enumerate(partials):
        for x, y, width, from_side, amount in [] if partial is None else partial["foci"]:
            if not _at_an_arm(abs(x - middle), width, from_side):
                continue
            below = [one for one in chains if one[0] in (index - 1, index) and math.hypot(x - one[1], y - one[2]) < SAME_FOCUS_MM]
            chain = below[0] if below else [index, x, y, index, 0.0]
            if not below:
                chains.append(chain)
            chain[:3] = index, x, y
            chain[4] += amount
    long = [one for one in chains if (one[0] - one[3] + 1) * step >= MIN_LENGTH_MM]
    if not long or total <= 0:
        return 0.0, None
    largest = max(long, key=lambda one: one[4])
    return 100.0 * largest[4] / total, (int(largest[3]), int(largest[0]))


def combine(series: Series, partials: Sequence[Partial | None]) -> Measurement:
    """Return the share of the activity in the images that lies in the largest focus at an arm, in percent.

    Raises
    ------
    NotApplicable
        `unit_unknown` without SUV, `no_body` without a body, `too_few_frames` where they cover less than 300 mm.
    """
    share, _ = focus(series, partials)
    return Measurement(quantity=own(NAME, "Activity in a focus at an arm"), value=share, unit=Unit.PERCENT, source=SOURCE)


def find(series: Series, partials: Sequence[Partial | None]) -> list[Finding]:
    """Return a note with the frames of a focus that holds `TOLD_PERCENT` or more."""
    try:
        share, frames = focus(series, partials)
    except NotApplicable:
        return []
    if frames is None or share < TOLD_PERCENT:
        return []
    return [finding("pt_extravasation", values={"value": round(share, 2)}, frames=frames)]


METRIC: Final = Metric(name=NAME, per_frame=per_frame, combine=combine, find=find, axial=True)
