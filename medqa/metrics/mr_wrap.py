"""MR wrap-around: how much signal enters the field of view from its borders along the phase-encoding axis.

A body larger than the field folds over: its far side comes in from the opposite border, where air should be. Along every line of
the phase-encoding axis the signal that begins at a border and goes on without a gap is counted, up to a quarter of the field from
either side, on a smoothed grid of 64; its mean is a share of the field. Without the axis in the header the larger of both axes'.

The readout does not fold: where signal enters along the other axis too (`MAX_ACROSS`), the body simply fills the field, a border
tells nothing, and the quantity is not computable. Where the field is filled along phase encoding alone and on purpose (a spine in a
surface coil) it is high without a fault, so that no threshold names a series: compare within a protocol. A copy that lies clear of
the border is not seen. Counting to any depth, and giving full fields a value, was tried first: copies that touched the body counted
the body too, and bodies that filled the field lost signal where copies interfered.

Source: Zhuo and Gullapalli, RadioGraphics 2006; 26:275 (10.1148/rg.261055134); a known reason of exclusion in MRIQC's ratings
(Esteban et al., PLoS ONE 2017; 12:e0184661).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from medqa.codes import Unit, own
from medqa.errors import NotApplicable
from medqa.measurement import Measurement
from medqa.metrics.metric import Metric, Partial, present
from medqa.metrics.mr_air import MIN_FOREGROUND
from medqa.regions import Mask, Regions, foreground_threshold
from medqa.series import Series

NAME: Final = "mr_wrap"
SOURCE: Final = "Zhuo and Gullapalli, RadioGraphics 2006;26:275"
SIDE: Final = 64
"""Blocks along the longer side."""
DEPTH: Final = 0.25
"""Share of the field to which a run counts, from either side."""
MAX_ACROSS: Final = 2.0
"""Percent across phase encoding from which the body fills the field."""
OTHER: Final = {"COL": "ROW", "ROW": "COL"}


def per_frame(regions: Regions) -> dict[str, Any] | None:
    """Return the percent of the field that runs of signal from the borders take, along the columns and along the rows."""
    from scipy import ndimage

    if regions.body_share < MIN_FOREGROUND:
        return None
    array = np.abs(np.nan_to_num(regions.image.array))
    side = max(1, round(max(array.shape) / SIDE))
    rows, columns = (size // side for size in array.shape)
    blocks = array[: rows * side, : columns * side].reshape(rows, side, columns, side).mean(axis=(1, 3))
    smooth = ndimage.uniform_filter(blocks, 3)
    bright = smooth > foreground_threshold(smooth, "MR")
    return {"COL": 100.0 * border_runs(bright), "ROW": 100.0 * border_runs(bright.T)}


def border_runs(mask: Mask) -> float:
    """Return the mean share of each column, `(y, x)`, that runs of True from its two ends take, each up to `DEPTH`."""
    most = max(1, round(DEPTH * mask.shape[0]))
    taken = [np.logical_and.accumulate(way[:most], axis=0).sum() for way in (mask, mask[::-1])]
    return float(sum(taken)) / max(mask.size, 1)


def combine(series: Series, partials: Sequence[Partial | None]) -> Measurement:
    """Return the median over the frames, in percent of the field.

    Raises
    ------
    NotApplicable
        `no_body` where no frame has foreground; `no_air` where the body fills the field across phase encoding.
    """
    found = present(NAME, partials, "no_body")
    shares = {name: float(np.median([partial[name] for partial in found])) for name in OTHER}
    axis = next((frame.header.phase_encoding_axis for frame in series.frames if frame.header.phase_encoding_axis in OTHER), None)
    along = axis or max(OTHER, key=lambda name: shares[name])
    if shares[OTHER[along]] > MAX_ACROSS:
        raise NotApplicable(what=NAME, reason="no_air")
    return Measurement(
        quantity=own(NAME, "Signal that enters from the borders along phase encoding"),
        value=shares[along],
        unit=Unit.PERCENT,
        source=SOURCE,
    )


METRIC: Final = Metric(name=NAME, per_frame=per_frame, combine=combine)
