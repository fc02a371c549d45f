"""MR sharpness: how steep edges are for their height, along the softer of the two axes.

    sharpness = median over edges of |gradient| / (highest - lowest value within 4 mm along the axis)        [1/mm]

The inverse is the distance over which an edge of that height would rise at its steepest slope; a step blurred by a Gaussian has 1 /
(sigma sqrt(2 pi)), less what the smoothing and the difference of pixels two apart widen it by: on pixels of 1 mm and little
noise 32 % at a sigma of 1 mm, 14 % at 2 mm (`make bias`, docs/bias_mr.md). Contrast and a smooth field of the coil drop out. An
edge is the steepest pixel of a cell of 8 by 8 pixels in the body and its rim; of the cells the half with the highest edges for
their level counts, so that no bright line (a zipper) and no bright side decides. K-space is often cut along one axis, hence the
softer one. Source: the marginal edge-width family, Marziliano P, Dufaux F, Winkler S, Ebrahimi T. Perceptual blur and ringing
metrics. Signal Processing: Image Communication 2004; 19:163-172 (10.1016/j.image.2003.08.003), in mm and over gradients.

Noise makes edges steeper. On clean train scans the steepest two percent of all pixels, which were tried first, followed a zipper by
52 % of the spread between patients and shading by 22 % (now 15 and 11 %). A slow drift of 2 mm softens, a further one hardly more,
as it adds double contours that are sharp again: neither sums over edges nor edges sought on a smoother image changed that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from medqa.codes import Unit, own
from medqa.measurement import Measurement
from medqa.metrics.metric import Metric, Partial, median_of
from medqa.metrics.mr_air import MIN_FOREGROUND
from medqa.regions import Mask, Regions
from medqa.series import Series
from medqa.volume import Array

NAME: Final = "mr_sharpness"
SOURCE: Final = "Marziliano et al., Signal Processing: Image Communication 2004;19:163"
REACH_MM: Final = 4.0
MIN_REACH: Final = 3
"""Pixels."""
CELL: Final = 8
"""Pixels."""
SMOOTHING: Final = 0.6
"""Pixels: keeps single noisy pixels from being edges."""
MIN_EDGES: Final = 10


def per_frame(regions: Regions) -> dict[str, Any] | None:
    """Return the sharpness in 1/mm; None for an end of the stack or where there are too few edges."""
    from scipy import ndimage

    if regions.body_share < MIN_FOREGROUND:
        return None
    smooth = ndimage.gaussian_filter(np.nan_to_num(regions.image.array), SMOOTHING)
    near = regions.full(ndimage.binary_dilation(regions.body))
    rows_mm, columns_mm = regions.image.spacing_mm
    found = [steepness(smooth, near, rows_mm), steepness(smooth.T, near.T, columns_mm)]
    known = [one for one in found if one is not None]
    return {"sharpness": min(known)} if len(known) == len(found) else None


def steepness(array: Array, near: Mask, step_mm: float) -> float | None:
    """Return the median of gradient over height, in 1/mm, of the edges of `(y, x)` that are crossed along y."""
    reach = max(MIN_REACH, round(REACH_MM / step_mm))
    rows, columns = (size // CELL for size in array.shape)
    if min(rows, columns) < 1 or array.shape[0] <= 2 * reach:
        return None
    steep = np.zeros(array.shape, dtype=np.float32)
    steep[1:-1] = np.abs(array[2:] - array[:-2]) / np.float32(2 * step_mm)
    steep[~near] = 0
    steep[:reach], steep[-reach:] = 0, 0
    cells = steep[: rows * CELL, : columns * CELL].reshape(rows, CELL, columns, CELL).swapaxes(1, 2).reshape(rows * columns, -1)
    inside = cells.argmax(axis=1)
    cell = np.arange(rows * columns)
    slope = cells[cell, inside]
    row, column = cell // columns * CELL + inside // CELL, cell % columns * CELL + inside % CELL
    row, column, slope = row[slope > 0], column[slope > 0], slope[slope > 0]
    profile = array[row[:, None] + np.arange(-reach, reach + 1), column[:, None]]
    height = profile.max(axis=1) - profile.min(axis=1)
    relative = height / np.maximum(_level(array)[row // CELL, column // CELL], np.float32(1e-30))
    if relative.size < MIN_EDGES:
        return None
    high = relative >= np.median(relative)
    return float(np.median(slope[high] / height[high]))


def _level(array: Array) -> Array:
    """Return the mean magnitude of each cell and the eight around it."""
    from scipy import ndimage

    rows, columns = (size // CELL for size in array.shape)
    means = np.abs(array[: rows * CELL, : columns * CELL]).reshape(rows, CELL, columns, CELL).mean(axis=(1, 3))
    return np.asarray(ndimage.uniform_filter(means, 3, mode="nearest"), dtype=np.float32)


def combine(series: Series, partials: Sequence[Partial | None]) -> Measurement:
    """Return the median over the frames, in 1/mm.

    Raises
    ------
    NotApplicable
        `no_body` where no frame has foreground with edges.
    """
    return median_of(
        partials, "sharpness", quantity=own(NAME, "Steepness of edges for their height"), unit=Unit.PER_MM, source=SOURCE
    )


METRIC: Final = Metric(name=NAME, per_frame=per_frame, combine=combine)
