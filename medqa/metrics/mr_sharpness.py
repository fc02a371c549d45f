"""MR sharpness: the inverse of the width over which edges rise, over both axes.

    width of a window = sum over its lines of (integral of g^2 dx)^2 / sum over them of integral of g^4 dx        [mm]
    sharpness = 1 / root mean square over both axes of the mean width of the windows                            [1/mm]

with g the difference of neighbouring pixels along the axis, in windows of 24 by 24 mm over the body. It is the participation
ratio (Bell RJ, Dean P. Discuss Faraday Soc 1970; 50:55-61) of the gradient's energy: the length that this energy is spread over.
A step blurred by a Gaussian has sigma sqrt(2 pi), the distance over which an edge of that height would rise at its steepest slope.
The smoothing (0.75 pixels) widens it: on pixels of 1 mm a straight edge reads 22 % less sharp at a sigma of 1 mm and 7 % at 2 mm,
the edge of a disc, mostly oblique, 38 and 21 % (`make bias`, docs/bias_mr.md). Height, contrast and a smooth field of the coil
drop out, and the fourth power hardly sees noise, which is low everywhere. The mean is a geometric one, weighted by the root of the
window's energy over its level, so that windows without an edge hardly count and no single bright line (a zipper) decides. K-space
is often cut along one axis: widths add as squares, so that the softer axis counts the more.

Two edges of one height in a window read as one of twice the width. That is meant so, since drift and motion double contours that
stay sharp each by itself; but fine anatomy reads softer for it, so that scans of one region are to be compared.

Of the kind of the edge widths of Marziliano P, Dufaux F, Winkler S, Ebrahimi T. Perceptual blur and ringing metrics. Signal
Processing: Image Communication 2004; 19:163-172 (10.1016/j.image.2003.08.003), in mm and without a search for edges. Before, it was
the steepest slope for its height, over the softer axis. That rose with noise (of each of four persons scans at 0.055 T read
sharper than at 3 T; now they read less sharp), and fell with drift in 37, with gibbs in 63 and with blur in 92 % of 51 clean train
scans (now in 100, 96 and 98 %).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from medqa.codes import Unit, own
from medqa.measurement import Measurement
from medqa.metrics.metric import Metric, Partial, median_of
from medqa.metrics.mr_air import MIN_FOREGROUND
from medqa.regions import Mask, Regions
from medqa.series import Series
from medqa.volume import Array

NAME: Final = "mr_sharpness"
SOURCE: Final = "Marziliano et al., Signal Processing: Image Communication 2004;19:163"
WINDOW_MM: Final = 24.0
"""Wide enough for a doubled contour, narrow enough to part the edges of organs."""
PARTS: Final = 4
"""Windows begin a quarter of their side apart."""
SMOOTHING: Final = 0.75
"""Pixels: keeps single noisy pixels, and the waves of a cut k-space, from being edges."""
MIN_WINDOWS: Final = 10


def per_frame(regions: Regions) -> dict[str, Any] | None:
    """Return the sharpness in 1/mm; None for an end of the stack or where there are too few windows with an edge."""
    from scipy import ndimage

    if regions.body_share < MIN_FOREGROUND:
        return None
    smooth = ndimage.gaussian_filter(np.nan_to_num(regions.image.array), SMOOTHING)
    near = regions.full(ndimage.binary_dilation(regions.body))
    rows_mm, columns_mm = regions.image.spacing_mm
    down = width_mm(smooth, near, rows_mm, columns_mm)
    across = width_mm(smooth.T, near.T, columns_mm, rows_mm)
    return None if down is None or across is None else {"sharpness": 1 / math.sqrt((down**2 + across**2) / 2)}


def width_mm(array: Array, near: Mask, step_mm: float, line_mm: float) -> float | None:
    """Return the mean width of the edges of `(y, x)` that are crossed along y, in mm; None where too few windows hold any.

    Parameters
    ----------
    array, near
        `(y, x)`: the image, and where the middle of a window may lie.
    step_mm, line_mm
        Distance of the pixels along y, and of the lines across it.
    """
    rows, columns = part_borders(array.shape[0] - 1, step_mm), part_borders(array.shape[1], line_mm)
    if min(len(rows), len(columns)) <= PARTS:
        return None
    difference = np.diff(array, axis=0)
    energy = np.square(difference / max(float(np.abs(difference).max()), 1e-30), dtype=np.float64)
    along = over_windows(energy, rows)
    levels, energies, squares, fourths = (
        over_windows(sums.T, columns).T
        for sums in (over_windows(np.abs(array[:-1]), rows), along, np.square(along), over_windows(np.square(energy), rows))
    )
    middle = np.ix_(rows[PARTS // 2 : -PARTS // 2], columns[PARTS // 2 : -PARTS // 2])
    found = near[middle] & (fourths > 0) & (levels > 0)
    if found.sum() < MIN_WINDOWS:
        return None
    weights = np.sqrt(energies[found]) / levels[found]
    pixels = float(np.exp(np.average(np.log(squares[found] / fourths[found]), weights=weights)))
    return step_mm * pixels


def part_borders(size: int, step_mm: float) -> NDArray[np.intp]:
    """Return the pixels at which the parts of windows begin, and the one after the last."""
    part = max(1.0, WINDOW_MM / PARTS / step_mm)
    return np.round(np.arange(0, size + 1e-6, part)).astype(np.intp)


def over_windows(values: NDArray[Any], begins: NDArray[np.intp]) -> NDArray[Any]:
    """Return the sums along y over windows of some parts each."""
    parts = np.add.reduceat(values[: begins[-1]], begins[:-1], axis=0)
    count = len(parts) - PARTS + 1
    sums: NDArray[np.float64] = np.sum([parts[first : first + count] for first in range(PARTS)], axis=0, dtype=np.float64)
    return sums


def combine(series: Series, partials: Sequence[Partial | None]) -> Measurement:
    """Return the median over the frames, in 1/mm.

    Raises
    ------
    NotApplicable
        `no_body` where no frame has foreground with edges.
    """
    return median_of(partials, "sharpness", quantity=own(NAME, "Inverse width of edges"), unit=Unit.PER_MM, source=SOURCE)


METRIC: Final = Metric(name=NAME, per_frame=per_frame, combine=combine)
