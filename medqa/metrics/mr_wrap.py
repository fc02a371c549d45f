"""MR wrap-around: how much signal enters the field of view from its borders along the phase-encoding axis.

A body larger than the field folds over: its far side comes in from the opposite border, where air should be. Along every line of
the phase-encoding axis the signal that begins at a border and goes on without a gap is counted, up to a quarter of the field from
either side, on a smoothed grid of 64; its mean is a share of the field. Without the axis in the header the larger of both axes'.

The readout does not fold: where signal enters along the other axis too (`MAX_ACROSS`), the body simply fills the field, a border
tells nothing, and the quantity is not computable. A neck or an arm leaves the field at one end of the readout only: where the
header names the axis, both ends must be filled. Where the field is filled along phase encoding alone and on purpose (a spine in a
surface coil) the value is high without a fault, so that no threshold names a series: compare within a protocol. A copy that lies
clear of the border is not seen. Counting to any depth, and giving full fields a value, was tried first: copies that touched the
body counted the body too, and bodies that filled the field lost signal where copies interfered.

Where a body that folds over leaves no air, Otsu's cut lies between two tissues: the threshold is at most a fifth of what is bright,
but over the noise of what is dark. On 59 clean train scans 20 then have a value at every strength of simulated wrap instead of 18,
rising strictly in 90 instead of 89 %: a diffusion scan fails that fills its phase encoding, and a thigh whose copies interfere.

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
from medqa.volume import Array

NAME: Final = "mr_wrap"
SOURCE: Final = "Zhuo and Gullapalli, RadioGraphics 2006;26:275"
SIDE: Final = 64
"""Blocks along the longer side."""
DEPTH: Final = 0.25
"""Share of the field to which a run counts, from either side."""
MAX_ACROSS: Final = 2.0
"""Percent across phase encoding from which the body fills the field."""
BRIGHT: Final = (95.0, 0.2)
"""Percentile of what is bright, and the share of it that is signal at the least."""
DARK: Final = (5.0, 1.5)
"""Percentile of what is dark, and how many times as bright signal must be: means of blocks of noise differ by a few percent."""
OTHER: Final = {"COL": "ROW", "ROW": "COL"}


def per_frame(regions: Regions) -> dict[str, Any] | None:
    """Return the percent of the field that runs of signal from either border take, along the columns and along the rows.

    None for an end of the stack and for a frame too narrow for blocks.
    """
    from scipy import ndimage

    if regions.body_share < MIN_FOREGROUND:
        return None
    array = np.abs(np.nan_to_num(regions.image.array))
    side = max(1, round(max(array.shape) / SIDE))
    rows, columns = (size // side for size in array.shape)
    if not rows * columns:
        return None
    blocks = array[: rows * side, : columns * side].reshape(rows, side, columns, side).mean(axis=(1, 3))
    smooth = ndimage.uniform_filter(blocks, 3)
    bright = smooth > signal_threshold(smooth)
    return {name: [100.0 * share for share in border_runs(mask)] for name, mask in (("COL", bright), ("ROW", bright.T))}


def signal_threshold(smooth: Array) -> float:
    """Return the value that parts signal from air, also where a body that folds over leaves hardly any air."""
    bright, dark = (share * float(np.percentile(smooth, at)) for at, share in (BRIGHT, DARK))
    return min(foreground_threshold(smooth, "MR"), max(bright, dark))


def border_runs(mask: Mask) -> tuple[float, float]:
    """Return the mean share of each column, `(y, x)`, that runs of True from its first and last row take, each up to `DEPTH`."""
    most = max(1, round(DEPTH * mask.shape[0]))
    first, last = (float(np.logical_and.accumulate(way[:most], axis=0).sum()) for way in (mask, mask[::-1]))
    return first / max(mask.size, 1), last / max(mask.size, 1)


def combine(series: Series, partials: Sequence[Partial | None]) -> Measurement:
    """Return the median over the frames, in percent of the field.

    Raises
    ------
    NotApplicable
        `no_body` where no frame has foreground; `no_air` where the body fills the field across phase encoding.
    """
    found = present(NAME, partials, "no_body")
    ends = {name: np.asarray([partial[name] for partial in found], dtype=np.float64) for name in OTHER}
    shares = {name: float(np.median(both.sum(axis=1))) for name, both in ends.items()}
    axis = next((frame.header.phase_encoding_axis for frame in series.frames if frame.header.phase_encoding_axis in OTHER), None)
    along = axis or max(OTHER, key=lambda name: shares[name])
    across = shares[OTHER[along]] if axis is None else float(np.median(ends[OTHER[along]], axis=0).min())
    if across > MAX_ACROSS:
        raise NotApplicable(what=NAME, reason="no_air")
    return Measurement(
        quantity=own(NAME, "Signal that enters from the borders along phase encoding"),
        value=shares[along],
        unit=Unit.PERCENT,
        source=SOURCE,
    )


METRIC: Final = Metric(name=NAME, per_frame=per_frame, combine=combine)
