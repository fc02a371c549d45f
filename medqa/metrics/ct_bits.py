"""CT use of the value range: the step between grey values, the bits that soft tissue uses, and values cut off at an end.

CT is stored in steps of 1 HU or so (12 bits over 4096 HU; PS3.3 C.8.2.1). Conversion to 8 bits leaves 256 values: a window of
400 HU then has steps of 1.6 HU, the full range steps of 16 HU, and everything beyond the window lies at its ends. Steps are
harmless while they are small against the noise: rounding adds step^2 / 12 to its variance (Widrow, IRE Trans Circuit Theory 1956;
3:266-276).

`ct_step` is the mean distance of the values that occur in soft tissue, each weighted by how many pixels have it. Distances count
only where `MIN_DENSE` pixels share a value: in the thin parts of the histogram values are missing by chance, the more the thinner
they are. It is right too where 8 bits were written back as whole HU, so that neighbours lie 1 or 2 apart. An image of floating
point has no steps; the smallest distance stands for them.

`ct_saturated` is the share of the body that was cut off: at the highest or the lowest value of the frame, or in metal, where many
pixels have one value of 2900 HU and more (12 bits end at 3071 HU, and no metal is of one value). Air (-900 HU and less) always is
there and does not count. Metal that is cut off is no fault of the image: it is measured and not told of.

The cut for steps follows from arithmetic: 256 values over the narrowest window in use for the body (350 HU) are 1.37 HU apart. Of
54 training series 53 have steps of 1.00 HU; one (GE, lung), remapped by what made it, holds next to even values only, 1.6 HU. None
is cut off at an end; three hold metal that is, up to 0.06 % of the body.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from medqa.assessment import Finding
from medqa.codes import Unit, own
from medqa.findings import finding
from medqa.measurement import Measurement
from medqa.metrics.metric import Metric, Partial, present, runs
from medqa.regions import Regions
from medqa.series import Series
from medqa.volume import Array

NAME: Final = "ct_step"
BITS: Final = "ct_bits"
SATURATED: Final = "ct_saturated"
SOURCE: Final = "Widrow, IRE Trans Circuit Theory 1956;3:266"
SAMPLES: Final = 20_000
"""Pixels of soft tissue looked at, spread over the frame, at most."""
MIN_SAMPLES: Final = 500
MIN_PER_VALUE: Final = 4.0
"""Pixels with one value, from which on all that can occur do."""
MIN_DENSE: Final = 12.0
"""The same where it matters that none is missing: by chance (Poisson) one in 160,000 is."""
AROUND: Final = 100
"""Pixels below and above a step, by rank, over which that is averaged."""
SAME_HU: Final = 1e-3
"""Values closer than this are one, but for rounding in float32."""
METAL_HU: Final = 2900.0
AIR_HU: Final = -900.0
MIN_AT_END: Final = 5
"""Pixels that must lie at the very end: a peak has one."""
MAX_STEP_HU: Final = 1.25
MAX_SATURATED_PERCENT: Final = 0.5


def grey_step(values: Array) -> tuple[float, int] | None:
    """Return the step between grey values in HU and how many values occur; None where all values are one.

    Parameters
    ----------
    values
        Values of soft tissue in HU, any shape, finite.
    """
    ordered = np.sort(values, axis=None)
    jumps = np.diff(ordered.astype(np.float64))
    apart = np.flatnonzero(jumps > SAME_HU)
    if apart.size == 0:
        return None
    ends = np.concatenate([[-1], apart, [ordered.size - 1]])
    pixels = np.diff(ends)
    distances = jumps[apart]
    if float((pixels**2).sum()) < MIN_PER_VALUE * ordered.size:
        return float(distances.min()), pixels.size
    weights = np.minimum(pixels[:-1], pixels[1:])
    step = float((distances * weights).sum() / weights.sum())
    first, last = np.maximum(apart - AROUND + 1, 0), np.minimum(apart + AROUND, ordered.size - 1)
    # So many values could occur among the pixels around a step.
    possible = (ordered[last] - ordered[first]) / step + 1
    dense = last - first + 1 >= MIN_DENSE * possible
    if dense.any():
        step = float((distances * weights)[dense].sum() / weights[dense].sum())
    return step, pixels.size


def cut_metal(regions: Regions) -> float:
    """Return which percentage of the body is metal cut off at one value."""
    array = regions.image.array
    with np.errstate(invalid="ignore"):
        metal = array >= METAL_HU
    if not metal.any():
        return 0.0
    body = regions.full(regions.body)
    counts = np.unique(array[metal & body], return_counts=True)[1]
    most = int(counts.max(initial=0))
    return 100.0 * most / int(body.sum()) if most >= MIN_AT_END else 0.0


def saturation(values: Array) -> tuple[float, float | None]:
    """Return which percentage of the values lies at an end of them, and the end in HU where more of them lie; (0, None) where none.

    Parameters
    ----------
    values
        Values of the body in HU, finite, not empty.
    """
    found = []
    for end, counts in ((float(values.max()), values.max() < METAL_HU), (float(values.min()), values.min() > AIR_HU)):
        there = int((values == end).sum())
        if counts and there >= MIN_AT_END:
            found.append((100.0 * there / values.size, end))
    return sum((share for share, _ in found), 0.0), max(found)[1] if found else None


def per_frame(regions: Regions) -> dict[str, Any] | None:
    """Return step (HU), number of values, percentages cut off at an end and in metal, the end (HU); None without soft tissue."""
    soft = regions.image.array[regions.soft_tissue]
    if soft.size < MIN_SAMPLES:
        return None
    step = grey_step(soft[:: math.ceil(soft.size / SAMPLES)])
    body = regions.values[regions.body & np.isfinite(regions.values)]
    if step is None or body.size == 0:
        return None
    share, end = saturation(body)
    return {"step": step[0], "values": step[1], "saturated": share, "metal": cut_metal(regions), "end": end}


def combine(series: Series, partials: Sequence[Partial | None]) -> tuple[Measurement, ...]:
    """Return the median step in HU, the median of the bits used by soft tissue, and the mean saturated share of the body.

    Raises
    ------
    NotApplicable
        `no_soft_tissue` where there is too little of it, or it has one value only.
    """
    found = present(NAME, partials, "no_soft_tissue")
    told = (
        (NAME, "Step between grey values", Unit.HU, np.median([partial["step"] for partial in found])),
        (BITS, "Bits used by soft tissue", Unit.ONE, np.median([math.log2(partial["values"]) for partial in found])),
        (
            SATURATED,
            "Share of the body that is saturated",
            Unit.PERCENT,
            np.mean([partial["saturated"] + partial["metal"] for partial in found]),
        ),
    )
    return tuple(
        Measurement(quantity=own(name, meaning), value=float(value), unit=unit, source=SOURCE)
        for name, meaning, unit, value in told
    )


def find(series: Series, partials: Sequence[Partial | None]) -> list[Finding]:
    """Return the runs of frames with steps that are too coarse, and those that are saturated."""
    found = []
    for message, name, limit in (("ct_coarse_steps", "step", MAX_STEP_HU), ("ct_saturated", "saturated", MAX_SATURATED_PERCENT)):
        for first, last in runs([partial is not None and partial[name] > limit for partial in partials]):
            worst = max((partial for partial in partials[first : last + 1] if partial is not None), key=lambda one: one[name])
            values = {"value": round(worst[name], 2)} | ({"level": round(worst["end"])} if name == "saturated" else {})
            found.append(finding(message, values=values, frames=(first, last)))
    return found


METRIC: Final = Metric(name=NAME, per_frame=per_frame, combine=combine, find=find, more=(BITS, SATURATED))
