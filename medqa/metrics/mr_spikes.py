"""MR spikes: single samples of k-space that stand far above those around them.

The k-space of the magnitude image is cut into blocks of 8 by 8 samples; in each the largest magnitude is divided by the median. For
noise, whose magnitude is Rayleigh distributed, the largest of n samples over the median is about sqrt(ln n / ln 2): 4.0 for 256 by
256. Edges are lines in k-space and raise the median with the maximum; a spike raises the maximum alone. Blocks near the
centre and on the two axes, where the border of the image and large edges lie, do not count, nor do those that the scanner filled
with zeros. Source: Zhuo and Gullapalli, RadioGraphics 2006; 26:275 (10.1148/rg.261055134), for what a spike is.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np

from medqa.codes import Unit, own
from medqa.measurement import Measurement
from medqa.metrics.metric import Metric, Partial, present
from medqa.metrics.mr_air import MIN_FOREGROUND
from medqa.regions import Mask, Regions
from medqa.series import Series

NAME: Final = "mr_spikes"
SOURCE: Final = "Zhuo and Gullapalli, RadioGraphics 2006;26:275"
BLOCK: Final = 8
INNER: Final = 0.12
"""Share of the half axis around the centre that does not count."""
FILLED: Final = 0.02
"""A block whose median is below this share of the median of the blocks between a tenth and four tenths was filled with zeros."""
MIN_SIDE: Final = 48


def per_frame(regions: Regions) -> dict[str, Any] | None:
    """Return the largest magnitude over the median of its block; None for an end of the stack or a tiny frame."""
    from scipy import fft

    array = regions.image.array
    if regions.body_share < MIN_FOREGROUND or min(array.shape) < MIN_SIDE:
        return None
    shown = np.nan_to_num(array)
    half = np.abs(fft.rfft2(shown - shown.mean()))
    half = fft.fftshift(half, axes=0)
    rows, columns = half.shape[0] // BLOCK, half.shape[1] // BLOCK
    blocks = half[: rows * BLOCK, : columns * BLOCK].reshape(rows, BLOCK, columns, BLOCK).swapaxes(1, 2).reshape(rows, columns, -1)
    median = np.median(blocks, axis=2)
    outer, middle = _places(array.shape[0], rows, columns)
    if not middle.any():
        return None
    counts = outer & (median > FILLED * float(np.median(median[middle])))
    if not counts.any():
        return None
    ratio = blocks.max(axis=2)[counts] / median[counts]
    return {"ratio": float(ratio.max())}


@lru_cache(maxsize=16)
def _places(size: int, rows: int, columns: int) -> tuple[Mask, Mask]:
    """Return which blocks count, and which lie between a tenth and four tenths of the way to the corner of k-space."""
    row = np.abs((np.arange(rows) + 0.5) * BLOCK - size // 2) / (size / 2)
    column = (np.arange(columns) + 0.5) / max(columns, 1)
    on_axis = (np.abs((np.arange(rows) + 0.5) * BLOCK - size // 2) <= BLOCK)[:, None] | (np.arange(columns) == 0)[None, :]
    radius = np.hypot(row[:, None], column[None, :])
    return (radius > INNER) & ~on_axis, (radius > 0.1) & (radius < 0.4) & ~on_axis


def combine(series: Series, partials: Sequence[Partial | None]) -> Measurement:
    """Return the largest over the frames: a spike is in one of them.

    Raises
    ------
    NotApplicable
        `no_body` where no frame has foreground.
    """
    found = present(NAME, partials, "no_body")
    return Measurement(
        quantity=own(NAME, "Largest k-space sample over the median around it"),
        value=max(float(partial["ratio"]) for partial in found),
        unit=Unit.ONE,
        source=SOURCE,
    )


METRIC: Final = Metric(name=NAME, per_frame=per_frame, combine=combine)
