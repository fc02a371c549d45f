"""CT global noise level.

Source: Christianson O, Winslow J, Frush DP, Samei E. Automated technique to measure noise in clinical CT examinations.
AJR 2015; 205:W93-W99. Soft tissue is taken by its mean (0-170 HU), the standard deviation is taken in windows of about
6 mm x 6 mm, and the mode of its histogram is the noise: windows across an edge lie in the tail and do not move it.

The limit holds for kernels known to be soft only, and follows the slice thickness t by the inverse root (noise falls with the
number of photons in the slice): 30 HU at 5 mm, `30 sqrt(5 mm / t)`. It was set on the training scans alone: in 35 with a soft
kernel and a known thickness that are not marked as spoiled, the 97.5th percentile of the normalised noise is 17 HU and the largest
19 HU; in 10 marked mild the largest is 23 HU; a bolus-tracking slice marked severe has 50 HU. The limit leaves room for low-dose
protocols. Noise doubles with a sharp kernel and says little about the dose then: no limit.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, Final

from medqa.assessment import Finding
from medqa.codes import Unit, own
from medqa.errors import NotApplicable
from medqa.measurement import Limits, Measurement
from medqa.metrics import ct_noise_z
from medqa.metrics.histogram import LogBins
from medqa.metrics.metric import Metric, Partial, present
from medqa.metrics.windows import window_statistics
from medqa.regions import Regions
from medqa.series import Series

NAME: Final = "ct_noise"
SOURCE: Final = "Christianson et al., AJR 2015;205:W93"
SOFT_TISSUE_HU: Final = (0.0, 170.0)
WINDOW_MM: Final = 6.0
BINS: Final = LogBins(low=0.5, high=400.0, width=0.04)
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
    """Return the histogram of local standard deviations (HU) in soft tissue; None where there is none."""
    rows_mm, columns_mm = regions.image.spacing_mm
    half_rows, half_columns = (max(2, round(WINDOW_MM / 2 / spacing)) for spacing in (rows_mm, columns_mm))
    mean, deviation, _ = window_statistics(regions.image.array, half_rows, half_columns)
    with_tissue = (mean >= SOFT_TISSUE_HU[0]) & (mean <= SOFT_TISSUE_HU[1])
    partial = BINS.fill(deviation[with_tissue])
    return partial if partial["counts"] else None


def frame_noise(partial: Partial | None) -> float | None:
    """Return the mode of one frame in HU; None where fewer than `MIN_WINDOWS` windows lie in soft tissue."""
    if partial is None or sum(partial["counts"]) < MIN_WINDOWS:
        return None
    return BINS.mode(BINS.total([partial]))


def combine(series: Series, partials: Sequence[Partial | None]) -> tuple[Measurement, ...]:
    """Return the mode over all frames, in HU, and how far the noisiest frames are above their stack's median.

    Raises
    ------
    NotApplicable
        `no_soft_tissue` where fewer than `MIN_WINDOWS` windows lie in soft tissue.
    """
    counts = BINS.total(present(NAME, partials, "no_soft_tissue"))
    if counts.sum() < MIN_WINDOWS:
        raise NotApplicable(what=NAME, reason="no_soft_tissue")
    level = Measurement(
        quantity=own(NAME, "Global noise level"),
        value=BINS.mode(counts),
        unit=Unit.HU,
        source=SOURCE,
        limits=noise_limits(series),
    )
    highest = ct_noise_z.largest(series, [frame_noise(partial) for partial in partials])
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
    return ct_noise_z.uneven(series, [frame_noise(partial) for partial in partials])


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
