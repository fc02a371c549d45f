"""MR sharpness: how steep the strongest edges are for their height.

    sharpness = median over edges of |gradient| / (highest - lowest value within 4 mm across the edge)        [1/mm]

The inverse is the distance over which an edge of that height would rise at its steepest slope. Contrast and a smooth field of the
coil drop out. The edges are the steepest two percent of the pixels of the body and its rim, after a light smoothing that keeps
noise from being taken for edges. Source: the marginal edge-width family, Marziliano P, Dufaux F, Winkler S, Ebrahimi T. Perceptual
blur and ringing metrics. Signal Process Image Commun 2004; 19:163-172 (10.1016/j.image.2003.08.003), in mm and over gradients.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from medqa.codes import Unit, own
from medqa.measurement import Measurement
from medqa.metrics.metric import Metric, Partial, present
from medqa.metrics.mr_air import MIN_FOREGROUND
from medqa.regions import Regions
from medqa.series import Series
from medqa.volume import Array

NAME: Final = "mr_sharpness"
SOURCE: Final = "Marziliano et al., Signal Process Image Commun 2004;19:163"
REACH_MM: Final = 4.0
STEEPEST: Final = 98.0
"""Percentile of the gradient within the body from which a pixel is an edge."""
SMOOTHING: Final = 0.6
"""Pixels."""
MIN_EDGES: Final = 40


def per_frame(regions: Regions) -> dict[str, Any] | None:
    """Return the sharpness in 1/mm; None for an end of the stack or where there are too few edges."""
    from scipy import ndimage

    if regions.body_share < MIN_FOREGROUND:
        return None
    rows_mm, columns_mm = regions.image.spacing_mm
    smooth = ndimage.gaussian_filter(np.nan_to_num(regions.image.array), SMOOTHING)
    down, across = np.abs(np.gradient(smooth, rows_mm, axis=0)), np.abs(np.gradient(smooth, columns_mm, axis=1))
    near = regions.full(ndimage.binary_dilation(regions.body))
    steep = np.maximum(down, across)
    threshold = float(np.percentile(steep[near], STEEPEST))
    edges = near & (steep >= threshold) & (steep > 0)
    found = [
        _over_height(smooth, edges & (down >= across), down, round(REACH_MM / rows_mm)),
        _over_height(smooth.T, (edges & (down < across)).T, across.T, round(REACH_MM / columns_mm)),
    ]
    ratios = np.concatenate(found)
    return {"sharpness": float(np.median(ratios))} if ratios.size >= MIN_EDGES else None


def _over_height(array: Array, edges: np.ndarray[Any, np.dtype[np.bool_]], steep: Array, reach: int) -> Array:
    """Return gradient over height of edges that are crossed along y, each within `reach` pixels."""
    reach = max(reach, 2)
    row, column = np.nonzero(edges)
    fits = (row >= reach) & (row < array.shape[0] - reach)
    row, column = row[fits], column[fits]
    profile = array[row[:, None] + np.arange(-reach, reach + 1), column[:, None]]
    height = profile.max(axis=1) - profile.min(axis=1)
    return np.asarray(steep[row, column][height > 0] / height[height > 0], dtype=np.float32)


def combine(series: Series, partials: Sequence[Partial | None]) -> Measurement:
    """Return the median over the frames, in 1/mm.

    Raises
    ------
    NotApplicable
        `no_body` where no frame has foreground with edges.
    """
    found = present(NAME, partials, "no_body")
    return Measurement(
        quantity=own(NAME, "Steepness of edges for their height"),
        value=float(np.median([partial["sharpness"] for partial in found])),
        unit=Unit.PER_MM,
        source=SOURCE,
    )


METRIC: Final = Metric(name=NAME, per_frame=per_frame, combine=combine)
