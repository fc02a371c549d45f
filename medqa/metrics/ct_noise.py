"""CT global noise level.

Source: Christianson O, Winslow J, Frush DP, Samei E. Automated technique to measure noise in clinical CT examinations.
AJR 2015; 205:W93-W99. Soft tissue is taken by its mean (0-170 HU), the standard deviation is taken in windows of about
6 mm x 6 mm, and the mode of its histogram is the noise: windows across an edge lie in the tail and do not move it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from medqa.codes import Unit, own
from medqa.errors import NotApplicable
from medqa.measurement import Limits, Measurement
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


def per_frame(regions: Regions) -> dict[str, Any] | None:
    """Return the histogram of local standard deviations (HU) in soft tissue; None where there is none."""
    rows_mm, columns_mm = regions.image.spacing_mm
    half_rows, half_columns = (max(2, round(WINDOW_MM / 2 / spacing)) for spacing in (rows_mm, columns_mm))
    mean, deviation, _ = window_statistics(regions.image.array, half_rows, half_columns)
    with_tissue = (mean >= SOFT_TISSUE_HU[0]) & (mean <= SOFT_TISSUE_HU[1])
    partial = BINS.fill(deviation[with_tissue])
    return partial if partial["counts"] else None


def combine(series: Series, partials: Sequence[Partial | None]) -> Measurement:
    """Return the mode over all frames, in HU.

    Raises
    ------
    NotApplicable
        `no_soft_tissue` where fewer than `MIN_WINDOWS` windows lie in soft tissue.
    """
    counts = BINS.total(present(NAME, partials, "no_soft_tissue"))
    if counts.sum() < MIN_WINDOWS:
        raise NotApplicable(what=NAME, reason="no_soft_tissue")
    return Measurement(
        quantity=own(NAME, "Global noise level"),
        value=BINS.mode(counts),
        unit=Unit.HU,
        source=SOURCE,
        limits=noise_limits(series),
    )


def noise_limits(series: Series) -> Limits | None:
    """Return the limits of the noise (HU) for this kernel and slice thickness; None where none is known."""
    return None


METRIC: Final = Metric(name=NAME, per_frame=per_frame, combine=combine)
