"""MR shading: the strength of the bias field, as its coefficient of variation within the body.

On means of about 32 by 32 blocks, whose noise is small: the logarithm of the field is a polynomial of second order whose slopes
explain the differences between blocks at a distance of two; borders of tissues are outliers, which lose their weight (Cauchy's).
The body is sought again in the corrected image, so that its dark side stays in. Each frame is corrected alone: what differs from
slice to slice is `mr_jumps`. What anatomy itself has of slow changes (bright fat behind, a coil on one side) counts too, and a
field against them makes the value smaller at first: the figure tells shading within one kind of scan, not between kinds.

N4 (Tustison NJ et al. N4ITK: improved N3 bias correction. IEEE Trans Med Imaging 2010; 29:1310-1320, 10.1109/TMI.2010.2046908) is
what this stands for. Run until it has converged it finds the same field in a disc of one tissue (a test), but that takes 290 ms for
one frame of 16 by 16 blocks and 630 ms for a stack of four, on one core, and strong fields over clean train scans end half way:
known fields of 0, 10, 20, 35 and 60 % read 11, 15, 22, 29 and 38 % (medians of 20 scans, one N4 over the stack), strictly rising
in 60 %. The polynomial reads 14, 19, 26, 39 and 62 % in 2 ms, strictly rising in 92 % of 59 scans. If the added fields were known,
and only the scan's own reading had to be added to them, 92 % would rise too: the others' own shading is against the added field.

Source of slopes of the logarithm with outliers: Zheng Y, Grossman M, Awate SP, Gee JC, MICCAI 2009 (sparse gradients of fields).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from medqa.codes import Unit, own
from medqa.measurement import Measurement
from medqa.metrics.metric import Metric, Partial, median_of
from medqa.metrics.mr_air import MIN_FOREGROUND
from medqa.regions import Mask, Regions, foreground_threshold
from medqa.series import Series

NAME: Final = "mr_bias"
SOURCE: Final = "Zheng et al., MICCAI 2009"
SIDE: Final = 32
"""Blocks along the longer side."""
ROUNDS: Final = 3
"""How often the body is sought and the field fitted."""
STEPS: Final = 8
"""Re-weighted fits in a round."""
DISTANCE: Final = 2
"""Blocks between the two of a difference."""
OUTLIER: Final = 0.7
"""Robust deviations at which a difference has half its weight."""
MAX_LOG: Final = 2.0
"""A field stronger than e^2 either way is extrapolated, not seen."""
MIN_BLOCKS: Final = 40
THIN: Final = 0.25
"""Share of its blocks that a body must keep without its rim."""
RIDGE: Final = 4e-3
"""What holds a field down of which a few blocks tell little."""
OVER_AIR: Final = 1.2
"""What is not this much brighter than air is no body: means of blocks of noise differ by a few percent."""
AIR_PERCENTILE: Final = 25.0
"""Of what is dark in the uncorrected image: part of the rest may be the dark side of the body."""

Values = NDArray[np.float64]


def per_frame(regions: Regions) -> dict[str, Any] | None:
    """Return the coefficient of variation (percent) of the field; None for an end of the stack."""
    if regions.body_share < MIN_FOREGROUND:
        return None
    found = bias_field(means_of_blocks(np.abs(np.nan_to_num(regions.image.array))))
    if found is None:
        return None
    field, mask = found
    return {"variation": 100.0 * float(field[mask].std() / field[mask].mean())}


def means_of_blocks(array: NDArray[Any]) -> Values:
    """Return means of square blocks, about `SIDE` along the longer side; what is left over at the ends is left out."""
    side = max(1, round(max(array.shape) / SIDE))
    rows, columns = (size // side for size in array.shape)
    return np.asarray(array[: rows * side, : columns * side].reshape(rows, side, columns, side).mean(axis=(1, 3)), dtype=np.float64)


def bias_field(values: Values) -> tuple[Values, Mask] | None:
    """Return the field, `(y, x)`, up to a factor, and the body; None where there is too little of it."""
    from scipy import ndimage

    if values.size < MIN_BLOCKS:
        return None
    shapes = _shapes(*values.shape)
    factors = np.zeros(len(shapes))
    logarithm = np.log(np.maximum(values, 1e-9 * max(float(values.max()), 1e-30)))
    field, mask, floor = np.ones_like(values), np.zeros(values.shape, dtype=bool), 0.0
    for number in range(ROUNDS):
        shown = values / field
        bright = shown > foreground_threshold(shown.astype(np.float32), "MR")
        if number == 0 and not bright.all():
            # Corrected, the noise of the air beside the dark side is as bright as tissue.
            floor = OVER_AIR * float(np.percentile(values[~bright], AIR_PERCENTILE))
        mask = ndimage.binary_fill_holes(bright & (values > floor))
        if mask.sum() < MIN_BLOCKS:
            return None
        factors = _fitted(logarithm, _without_rim(mask) if number else mask, shapes, factors)
        log_field = np.tensordot(factors, shapes, 1)
        field = np.exp(np.clip(log_field - log_field[mask].mean(), -MAX_LOG, MAX_LOG))
    return field, mask


def _without_rim(mask: Mask) -> Mask:
    """Return a body without its rim, whose blocks are part air; the whole of a thin one, which is mostly rim."""
    from scipy import ndimage

    inner: Mask = ndimage.binary_erosion(mask)
    return inner if inner.sum() >= max(MIN_BLOCKS, THIN * mask.sum()) else mask


@lru_cache(maxsize=16)
def _shapes(rows: int, columns: int) -> Values:
    """Return y, x, xy, y^2 and x^2 on a grid, -1 to 1 along its longer side, `(5, y, x)`."""
    half = (max(rows, columns) - 1) / 2 or 1.0
    y, x = np.meshgrid(*((np.arange(size) - (size - 1) / 2) / half for size in (rows, columns)), indexing="ij")
    return np.stack([y, x, y * x, y * y, x * x])


def _fitted(logarithm: Values, mask: Mask, shapes: Values, start: Values) -> Values:
    """Return the factors of the shapes whose differences follow those of the logarithm, outliers aside."""
    seen, modelled = [], []
    for ahead, here in (
        ((slice(DISTANCE, None), slice(None)), (slice(None, -DISTANCE), slice(None))),
        ((slice(None), slice(DISTANCE, None)), (slice(None), slice(None, -DISTANCE))),
    ):
        both = mask[ahead] & mask[here]
        seen.append((logarithm[ahead] - logarithm[here])[both])
        modelled.append((shapes[:, *ahead] - shapes[:, *here])[:, both])
    difference, model = np.concatenate(seen), np.concatenate(modelled, axis=1)
    if difference.size < MIN_BLOCKS:
        return start
    factors: Values = start
    for _ in range(STEPS):
        rest = difference - factors @ model
        spread = max(OUTLIER * 1.4826 * float(np.median(np.abs(rest))), 1e-4)
        weighted = model / (1 + (rest / spread) ** 2)
        normal = weighted @ model.T + RIDGE * np.eye(len(start))
        factors = np.asarray(np.linalg.solve(normal, weighted @ difference), dtype=np.float64)
    return factors


def combine(series: Series, partials: Sequence[Partial | None]) -> Measurement:
    """Return the median over the frames, in percent.

    Raises
    ------
    NotApplicable
        `no_body` where no frame has foreground.
    """
    return median_of(partials, "variation", quantity=own(NAME, "Variation of the bias field"), unit=Unit.PERCENT, source=SOURCE)


METRIC: Final = Metric(name=NAME, per_frame=per_frame, combine=combine)
