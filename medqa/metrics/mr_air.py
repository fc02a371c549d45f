"""What the air of an MR frame tells: its noise, or that the scanner masked or filtered it.

Magnitude noise in air is Rayleigh distributed, or chi distributed with several coils (Dietrich et al., JMRI
2007; 26:375). Vendors' filters, parallel imaging and masks put exact zeros or smooth values there instead: then the air
measures nothing, and quantities taken from it are not computable, never bad.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from medqa.errors import NotApplicable
from medqa.metrics.metric import Partial
from medqa.regions import Mask, Regions, ring
from medqa.volume import Array

NAME: Final = "mr_air"
MAX_SAME: Final = 0.3
"""Share of air pixels with the lowest value above which the air counts as masked (a scanner's floor, usually 0)."""
MEDIAN_TO_MAD: Final = (1.7, 30.0)
"""Median over median absolute deviation: 2.63 for Rayleigh noise and more for several coils; 1.44 for an exponential tail of
ghosts, less for a background that is partly masked."""
MIN_STEPS: Final = 0.5
"""A deviation below this many stored steps is quantisation."""
MIN_AIR: Final = 64
MIN_BORDER: Final = 0.2
MIN_BORDER_BRIGHT: Final = 0.5
MAX_NEGATIVE: Final = 0.01
"""Share of negative values above which an image is no magnitude (phase, real or imaginary part)."""
BRIGHT: Final = 0.12
"""Median of the air over median of the foreground."""
MIN_AIR_SHARE: Final = 0.02
MAD_TO_SD: Final = 0.6551 / 0.4485
"""Standard deviation over median absolute deviation of a Rayleigh distribution (0.6551 sigma and 0.4485 sigma)."""
MIN_LEVEL: Final = 0.1
MIN_FOREGROUND: Final = 0.03
"""Frames with a smaller share of foreground are ends of the stack."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Air:
    """Noise of the air: `deviation` as a Rayleigh distribution has it and the `median`; or the `reason` why there is none.

    `masked` tells that the scanner wrote one and the same value into most of it.
    """

    deviation: float = float("nan")
    median: float = float("nan")
    reason: str | None = None
    masked: bool = False


def air_noise(values: Array, air: Mask, slope: float = 1.0) -> Air:
    """Return the noise of the air of one frame.

    Parameters
    ----------
    values, air
        `(y, x)`, the same grid.
    slope
        Value of one stored step.
    """
    if air.size == 0 or air.sum() < max(MIN_AIR, MIN_AIR_SHARE * air.size):
        return Air(reason="no_air")
    sample = values[air]
    median = float(np.median(sample))
    mad = float(np.median(np.abs(sample - median)))
    lowest = float(sample.min())
    same = float((sample - lowest <= 1e-6 * max(1.0, abs(lowest))).mean())
    if same > MAX_SAME or mad <= 0.0:
        return Air(reason="background_masked", median=median, masked=True)
    if mad < MIN_STEPS * abs(slope) or not MEDIAN_TO_MAD[0] <= median / mad <= MEDIAN_TO_MAD[1]:
        return Air(reason="background_masked", median=median)
    return Air(deviation=mad * MAD_TO_SD, median=median)


def frame_air(regions: Regions) -> Air:
    """Return the noise of the air of a frame, on the decimated grid (pixels are taken, not averaged: the noise stays); found once.

    Dim tissue of a frame that lies inside the body is no air: real air reaches the frame's border over a good part of it, the
    more so the brighter it is against the foreground. Phase images have no noise floor: `unit_unknown`.
    """
    if NAME not in regions.shared:
        regions.shared[NAME] = _frame_air(regions)
    found: Air = regions.shared[NAME]
    return found


def _frame_air(regions: Regions) -> Air:
    values, air = regions.values, regions.outer_air
    if float((values < 0).mean()) > MAX_NEGATIVE:
        return Air(reason="unit_unknown")
    found = air_noise(values, air, regions.image.frame.header.slope)
    if found.reason == "no_air" or not regions.body.any():
        return found
    bright = found.median > BRIGHT * float(np.median(values[regions.body]))
    if float(ring(air).mean()) < (MIN_BORDER_BRIGHT if bright else MIN_BORDER):
        return Air(reason="no_air")
    return found


def foreground_level(regions: Regions) -> float:
    """Return the mean of the foreground without its rim."""
    return float(np.nanmean(regions.values[regions.inside], dtype=np.float64))


def measured(name: str, partials: Sequence[Partial | None]) -> list[Partial]:
    """Return the partials that have a value.

    A partial has the value or a `reason`, and `level`, the mean of its foreground: frames with less than a tenth of the brightest
    one's level are ends of the stack, whose noise was taken for an object.

    Raises
    ------
    NotApplicable
        `no_body` where no frame has foreground; the frames' commonest reason where half of them or more have no value.
    """
    found = [partial for partial in partials if partial is not None]
    if not found:
        raise NotApplicable(what=name, reason="no_body")
    brightest = max(abs(float(partial["level"])) for partial in found)
    found = [partial for partial in found if abs(float(partial["level"])) >= MIN_LEVEL * brightest]
    having = [partial for partial in found if "reason" not in partial]
    if 2 * len(having) <= len(found):
        reasons = [str(partial["reason"]) for partial in found if "reason" in partial]
        raise NotApplicable(what=name, reason=max(sorted(set(reasons)), key=reasons.count))
    return having


def median_over_frames(name: str, partials: Sequence[Partial | None], value: str) -> float:
    """Return the median of a value over the frames that have it; raises as `measured` does."""
    return float(np.median([float(partial[value]) for partial in measured(name, partials)]))
