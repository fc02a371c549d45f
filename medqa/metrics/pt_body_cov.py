"""PET body noise: the coefficient of variation in small windows, where the body is most uniform.

The mode over windows of about 30 mm inside the body, as for CT global noise (Christianson et al., AJR 2015; 205:W93): windows
across organ borders lie in the tail. Needs no liver and no SUV, so that crops and brains have a value too. It has no limit:
windows this small and the reconstruction's filter set the value as much as the counts do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from medqa.codes import Unit, own
from medqa.errors import NotApplicable
from medqa.measurement import Measurement
from medqa.metrics.histogram import LogBins
from medqa.metrics.metric import Metric, Partial, present
from medqa.metrics.windows import window_statistics
from medqa.regions import Regions
from medqa.series import Series

NAME: Final = "pt_body_cov"
SOURCE: Final = "mode of local variation, after Christianson et al., AJR 2015;205:W93"
WINDOW_MM: Final = 30.0
BINS: Final = LogBins(low=0.2, high=300.0, width=0.05)
"""Percent."""
MIN_WINDOWS: Final = 60


def per_frame(regions: Regions) -> dict[str, Any] | None:
    """Return the histogram of local coefficients of variation (percent) inside the body; None where there is none."""
    halves = [max(2, round(WINDOW_MM / 2 / spacing)) for spacing in regions.image.spacing_mm]
    array = regions.image.array
    body = regions.full(regions.body).astype(np.float32)
    mean, deviation, _ = window_statistics(array, *halves)
    inside, _, _ = window_statistics(body, *halves)
    chosen = (inside > 0.999) & (mean > 0)
    partial = BINS.fill(100.0 * deviation[chosen] / mean[chosen])
    return partial if partial["counts"] else None


def combine(series: Series, partials: Sequence[Partial | None]) -> Measurement:
    """Return the mode over all frames, in percent.

    Raises
    ------
    NotApplicable
        `no_body` where fewer than `MIN_WINDOWS` windows lie inside the body.
    """
    counts = BINS.total(present(NAME, partials, "no_body"))
    if counts.sum() < MIN_WINDOWS:
        raise NotApplicable(what=NAME, reason="no_body")
    return Measurement(
        quantity=own(NAME, "Coefficient of variation in the body"),
        value=BINS.mode(counts),
        unit=Unit.PERCENT,
        source=SOURCE,
    )


METRIC: Final = Metric(name=NAME, per_frame=per_frame, combine=combine)
