"""CT global noise level.

Source: Christianson O, Winslow J, Frush DP, Samei E. Automated technique to measure noise in clinical CT examinations. AJR
2015; 205:W93-W99: the standard deviation in windows of about 6 mm x 6 mm that lie in soft tissue, and what is common to most of
them, for a window across an edge has more. Three things differ from the paper, so that an image that was smoothed, or whose
tissue is not level, is measured as well:

- A window lies in soft tissue where the mean of each of its quarters does (-30 to 170 HU), not its own mean alone: half lung
  and half rib is no tissue.
- The slope of the tissue around is taken off first (cupping, an organ's round shape). White noise reads the same, noise behind
  a Gaussian of 0.8 pixels 5 % less.
- The level is not the mode. A filter that flattens some of the tissue and spares the rest leaves two humps, and the mode jumps
  from one to the other as they pass each other. It is the root mean square of all windows whose deviation is at most 1.6 times
  that of the quietest quarter: noise alone stays within that. In 54 training scans this is 0.91 to 1.7 times the mode, in the
  median 1.06; most in thin tissue, where few windows are without structure.

The limit holds for kernels known to be soft only, and follows the slice thickness t by the inverse root (noise falls with the
number of photons in the slice): 30 HU at 5 mm, `30 sqrt(5 mm / t)`. It was set on the training scans alone: in 27 with a soft
kernel and a known thickness that are not marked as spoiled, the 97.5th percentile of the normalised noise is 17.5 HU and the
largest 19 HU; in 11 marked the largest is 24 HU. The limit leaves room for low-dose protocols. Noise doubles with a sharp
kernel and says little about the dose then: no limit.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from medqa.assessment import Finding
from medqa.codes import Unit, own
from medqa.errors import NotApplicable
from medqa.measurement import Limits, Measurement
from medqa.metrics import ct_noise_z
from medqa.metrics.histogram import LogBins
from medqa.metrics.metric import Metric, Partial, present
from medqa.metrics.windows import halves, levelled_deviations
from medqa.regions import Regions
from medqa.series import Series

NAME: Final = "ct_noise"
SOURCE: Final = "Christianson et al., AJR 2015;205:W93"
SOFT_TISSUE_HU: Final = (-30.0, 170.0)
WINDOW_MM: Final = 6.0
QUIET: Final = 0.25
"""Share of the windows that is taken to hold no structure, whatever the body."""
REACH: Final = 1.6
"""Deviations of noise alone reach this many times the level of their quietest quarter; beyond, a window holds structure."""
BINS: Final = LogBins(low=0.1, high=1000.0, width=0.04)
MIN_WINDOWS: Final = 100
LIMIT_HU: Final = 30.0
LIMIT_THICKNESS_MM: Final = 5.0
SOFT_KERNELS: Final = tuple(
    re.compile(pattern)
    for pattern in (
        r"SOFT|STANDARD|STD\+?|STND",  # GE
        r"[BHIJQ][A-Z]?(0\d|[1-3]\d|4[01])[A-Z]?",  # Siemens: B20f, H31s, I30f, Br36, Bf40d; from 42 on they sharpen
        r"FC(0?[1-9]|1\d|2\d|4[1-4]|6[2-8])",  # Toshiba and Canon: body 1-19, head 20-29, 41-44, 62-68
        r"A|B|C|SA|SB|UA|UB|UC",  # Philips
    )
)


def per_frame(regions: Regions) -> dict[str, Any] | None:
    """Return histograms of local standard deviations (HU) in soft tissue, for the level and along z; None where there is none."""
    if NAME not in regions.shared:
        regions.shared[NAME] = _per_frame(regions)
    found: dict[str, Any] | None = regions.shared[NAME]
    return found


def _per_frame(regions: Regions) -> dict[str, Any] | None:
    rows, columns = halves(regions.image.spacing_mm, WINDOW_MM)
    deviations = levelled_deviations(regions.image.array, rows, columns, SOFT_TISSUE_HU)
    level = BINS.fill(np.maximum(deviations, BINS.low))
    along = ct_noise_z.per_frame(regions)
    return {**level, "z": along} if level["counts"] or along["counts"] else None


def frame_noise(partial: Partial | None) -> float | None:
    """Return the noise of one frame in HU; None where fewer than `MIN_WINDOWS` windows lie in soft tissue."""
    return None if partial is None else _level([partial])


def _level(partials: Sequence[Partial]) -> float | None:
    """Return the noise of frames together in HU; None where there is too little soft tissue, or no noise in it."""
    counts = BINS.total(partials)
    if counts.sum() < MIN_WINDOWS or counts[0] >= QUIET * counts.sum():
        return None
    return BINS.quiet(counts, QUIET, REACH)


def combine(series: Series, partials: Sequence[Partial | None]) -> tuple[Measurement, ...]:
    """Return the noise over all frames, in HU, and how far the noisiest frames are above their stack's median.

    Raises
    ------
    NotApplicable
        `no_soft_tissue` where fewer than `MIN_WINDOWS` windows lie in soft tissue.
    """
    noise = _level(present(NAME, partials, "no_soft_tissue"))
    if noise is None:
        raise NotApplicable(what=NAME, reason="no_soft_tissue")
    level = Measurement(
        quantity=own(NAME, "Global noise level"),
        value=noise,
        unit=Unit.HU,
        source=SOURCE,
        limits=noise_limits(series),
    )
    highest = ct_noise_z.largest(series, _along(partials))
    if highest is None:
        return (level,)
    along = Measurement(
        quantity=own(ct_noise_z.NAME, "Largest noise of a slice over the median"),
        value=highest,
        unit=Unit.ONE,
        source=ct_noise_z.SOURCE,
    )
    return level, along


def find(series: Series, partials: Sequence[Partial | None]) -> list[Finding]:
    """Return the runs of frames whose noise stands out against their neighbours."""
    return ct_noise_z.uneven(series, _along(partials))


def _along(partials: Sequence[Partial | None]) -> list[float | None]:
    return [None if partial is None else ct_noise_z.frame_mode(partial["z"]) for partial in partials]


def noise_limits(series: Series) -> Limits | None:
    """Return the limits of the noise in HU; None where the kernel is not known to be soft or the thickness is not known."""
    made, thickness = series.acquisition.ct, series.acquisition.slice_thickness_mm
    if made is None or not thickness or thickness <= 0 or not is_soft(made.kernel):
        return None
    return None, LIMIT_HU * math.sqrt(LIMIT_THICKNESS_MM / min(max(thickness, 0.5), 10.0))


def is_soft(kernel: str | None) -> bool:
    """Return whether a vendor's kernel is known to be one for soft tissue; unknown names are not."""
    name = (kernel or "").strip().upper().split("\\")[0].split("/")[0].strip()
    return any(pattern.fullmatch(name) for pattern in SOFT_KERNELS)


METRIC: Final = Metric(name=NAME, per_frame=per_frame, combine=combine, find=find, more=(ct_noise_z.NAME,))
