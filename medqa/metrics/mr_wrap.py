"""MR wrap-around: how far signal reaches into the field of view from its borders along the phase-encoding axis.

A body larger than the field folds over: its far side comes in from the opposite border. Air that should be there is not: along
every line of the phase-encoding axis, the signal that begins at the border and goes on without a gap is counted from both ends, as
a share of the field. Without the axis in the header the larger of both counts. A body that is meant to fill the field (a knee
beside its neighbour, a spine in a surface coil) has a high value without a fault: compare within a protocol.
Source: Zhuo and Gullapalli, RadioGraphics 2006; 26:275 (10.1148/rg.261055134); a known reason of exclusion in MRIQC's ratings
(Esteban et al., PLoS ONE 2017; 12:e0184661).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from medqa.codes import Unit, own
from medqa.measurement import Measurement
from medqa.metrics.metric import Metric, Partial, present
from medqa.metrics.mr_air import MIN_FOREGROUND
from medqa.regions import Mask, Regions, foreground_threshold
from medqa.series import Series

NAME: Final = "mr_wrap"
SOURCE: Final = "Zhuo and Gullapalli, RadioGraphics 2006;26:275"
GAP_MM: Final = 8.0
"""A dark gap narrower than this (skull, fascia) does not end a run."""


def per_frame(regions: Regions) -> dict[str, Any] | None:
    """Return the percent of the field that runs of signal from the borders take, along the columns and along the rows."""
    from scipy import ndimage

    if regions.body_share < MIN_FOREGROUND:
        return None
    values = ndimage.uniform_filter(np.abs(np.nan_to_num(regions.values)), 3)
    bright = values > foreground_threshold(values, "MR")
    found = {}
    for name, mask, step_mm in (("COL", bright, regions.element_mm[0]), ("ROW", bright.T, regions.element_mm[1])):
        found[name] = 100.0 * border_runs(mask, max(1, round(GAP_MM / step_mm)))
    return found


def border_runs(mask: Mask, gap: int) -> float:
    """Return the mean share of each column, `(y, x)`, that runs of True from its two ends take; gaps up to `gap` are closed."""
    from scipy import ndimage

    closed = mask | ndimage.binary_closing(mask, np.ones((gap + 1, 1), dtype=bool))
    taken = sum(float(np.logical_and.accumulate(way, axis=0).sum()) for way in (closed, closed[::-1]))
    return min(taken / max(mask.size, 1), 1.0)


def combine(series: Series, partials: Sequence[Partial | None]) -> Measurement:
    """Return the median over the frames, in percent of the field.

    Raises
    ------
    NotApplicable
        `no_body` where no frame has foreground.
    """
    found = present(NAME, partials, "no_body")
    axis = next((frame.header.phase_encoding_axis for frame in series.frames if frame.header.phase_encoding_axis), None)
    along = (axis,) if axis in ("COL", "ROW") else ("COL", "ROW")
    return Measurement(
        quantity=own(NAME, "Signal that enters from the borders along phase encoding"),
        value=max(float(np.median([partial[name] for partial in found])) for name in along),
        unit=Unit.PERCENT,
        source=SOURCE,
    )


METRIC: Final = Metric(name=NAME, per_frame=per_frame, combine=combine)
