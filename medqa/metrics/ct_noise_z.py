"""CT noise along z: where it stands out against its neighbours.

Tube current modulation exists to keep the noise about the same in every slice (Kalra et al., Radiology 2004; 233:649-657); AAPM
TG-233 (Samei et al., Med Phys 2019; doi 10.1002/mp.13763) asks for the noise as a function of z. The noise of a frame is the
mode of its own local standard deviations, in windows of 6 mm x 6 mm with a mean of 0 to 170 HU (Christianson et al., AJR 2015;
205:W93), for it is told against other frames, whose anatomy is different; a running median over three frames takes single
outliers away. What stands out is told against the running median over 75 mm to either side, which follows a change of anatomy
but not a starved shoulder or the first slices of a modulation that starts too low.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from medqa.assessment import Finding
from medqa.findings import finding
from medqa.metrics.histogram import LogBins
from medqa.metrics.metric import Partial, runs
from medqa.metrics.windows import frame_windows
from medqa.regions import Regions
from medqa.series import Series

NAME: Final = "ct_noise_z_max"
SOURCE: Final = "AAPM TG-233, Med Phys 2019;46:e735"
WINDOW_MM: Final = 6.0
SOFT_TISSUE_HU: Final = (0.0, 170.0)
BINS: Final = LogBins(low=0.5, high=400.0, width=0.04)
MIN_WINDOWS: Final = 100
MIN_FRAMES: Final = 8
"""Frames of a stack whose noise is known, at least."""
REACH_MM: Final = 75.0
"""How far a neighbour may be: twice the length of what is to stand out, or more."""
MIN_REACH: Final = 4
"""Frames to either side, at least."""
FACTOR: Final = 1.5
"""From here on noise stands out: less than half the dose of its neighbours."""


def per_frame(regions: Regions) -> dict[str, Any]:
    """Return the histogram of local standard deviations (HU) in soft tissue."""
    mean, deviation = frame_windows(regions, WINDOW_MM)
    with np.errstate(invalid="ignore"):
        soft = (mean >= SOFT_TISSUE_HU[0]) & (mean <= SOFT_TISSUE_HU[1])
    return BINS.fill(deviation[soft])


def frame_mode(partial: Partial) -> float | None:
    """Return the mode of one frame in HU; None where fewer than `MIN_WINDOWS` windows lie in soft tissue."""
    return BINS.mode(BINS.total([partial])) if sum(partial["counts"]) >= MIN_WINDOWS else None


def smoothed(noise: Sequence[float | None]) -> NDArray[np.float64]:
    """Return the running median over three frames, NaN where the noise is not known."""
    values = np.array([math.nan if one is None else one for one in noise], dtype=np.float64)
    known = np.flatnonzero(np.isfinite(values))
    if known.size:
        # At an end the three are the outermost three, so that one odd frame stands out nowhere.
        inner = np.lib.stride_tricks.sliding_window_view(values[known], min(3, known.size))
        values[known] = np.median(np.pad(inner, ((known.size > 1, known.size > 2), (0, 0)), mode="edge"), axis=1)
    return values


def relative_to_neighbours(profile: NDArray[np.float64], reach: int) -> NDArray[np.float64]:
    """Return each frame's noise over the median of the frames up to `reach` away; NaN where it is not known."""
    ratios = np.full(profile.shape, math.nan)
    for index in np.flatnonzero(np.isfinite(profile)):
        around = profile[max(0, index - reach) : index + reach + 1]
        ratios[index] = profile[index] / np.median(around[np.isfinite(around)])
    return ratios


def profiles(series: Series, noise: Sequence[float | None]) -> list[tuple[int, NDArray[np.float64]]]:
    """Return the first frame and the smoothed noise of every stack that is long enough, in HU."""
    found = []
    for stack in series.stacks:
        profile = smoothed(noise[stack.start : stack.stop])
        if np.isfinite(profile).sum() >= MIN_FRAMES:
            found.append((stack.start, profile))
    return found


def largest(series: Series, noise: Sequence[float | None]) -> float | None:
    """Return the largest smoothed noise over the median of its stack; None where no stack is long enough."""
    ratios = [float(np.nanmax(profile) / np.nanmedian(profile)) for _, profile in profiles(series, noise)]
    return max(ratios, default=None)


def uneven(series: Series, noise: Sequence[float | None]) -> list[Finding]:
    """Return a finding for every run of frames whose noise stands out, with the largest factor and the largest noise in HU."""
    spacing = max(series.volume.spacing_mm[0], 0.1)
    reach = max(MIN_REACH, round(REACH_MM / spacing))
    found = []
    for start, profile in profiles(series, noise):
        ratios = relative_to_neighbours(profile, reach)
        for first, last in runs((ratios >= FACTOR).tolist()):
            values: dict[str, Any] = {
                "factor": round(float(ratios[first : last + 1].max()), 2),
                "value": round(float(profile[first : last + 1].max()), 1),
            }
            found.append(finding("ct_noise_uneven", values=values, frames=(start + first, start + last)))
    return found
