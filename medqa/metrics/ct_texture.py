"""CT over-smoothing: texture that is coarser than the edges of the same image allow.

    fineness  t = sqrt(d2 / s2),   d2: half the mean squared difference of neighbouring pixels, s2: variance, in flat soft tissue
    sharpness e = largest difference of neighbouring pixels over the height of the edge, at edges of 400 HU and more
    t / e

The square of `t` is von Neumann's ratio (Ann Math Stat 1941; 12:367-395): 1 for white noise, nearer to 0 the coarser the noise. A
linear system passes edges and noise through the same weights w, so that both coarsen together: white noise beside a perfect edge
has t / e = 1, and a filter leaves

    t^2 = 1 - sum w(i) w(i+1) / sum w(i)^2,   e = max w,

for a Gaussian of any width t / e = 1 to 1.25. (Blocks of tissue hold no noise coarser than themselves, and quiet ones less of the
coarse: behind a Gaussian of 0.8 pixels of 0.8 mm `t` is 12 % higher and `t / e` 15 %, behind one of 1.5 pixels 31 and 23 %, by
`make bias`, docs/bias.md.) The ramp of filtered back-projection makes noise finer than white: scans have 1.2 to
2.5. Iterative and learned reconstruction, bilateral or total-variation filters keep edges and take the fine noise, and what varies
slowly in the tissue is left: the ratio falls (the texture of such images: Geyer et al., Radiology 2015; 276:339-357; why it
matters: networks that were trained on noise alone call them excellent). A heavy kernel blurs the edges too: `t` falls, the ratio
stays. A sixteenth of the dose moves `t` up by 7 % in the median, and the
ratio by less.

Tissue is taken in blocks of 6 mm that lie in it, the half with the lowest variance, which holds less anatomy; `t` is the median
over these. (A sum over the quietest quarter went up again under strong filters, which flatten some blocks altogether and leave
in others all the noise.) The rounding of the values to their steps, a white noise of its own, is taken out. Edges are those
that rise from one level to another without a peak between; their upper quartile stands for those that run square to rows or
columns and through the slice.

The cut of the finding was set on the training scans: in 44 frames of 38 series not marked as spoiled the ratio is 1.15 (a
phantom) to 2.3, in the median 1.61; of patients 1.18 or more. Of 78 frames smoothed by `medqa.simulate` (bilateral, total
variation, texture killer) 9 in 10 are found at the strongest level, 7 in 10 at the third, 4 in 10 at the second; `t` falls from
level to level wherever the image does change.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from medqa.assessment import Finding
from medqa.codes import Unit, own
from medqa.findings import finding
from medqa.measurement import Measurement
from medqa.metrics.metric import Metric, Partial, present, runs
from medqa.regions import Regions
from medqa.series import Series
from medqa.volume import Array

NAME: Final = "ct_texture"
RELATIVE: Final = "ct_texture_edge"
SOURCE: Final = "von Neumann, Ann Math Stat 1941;12:367"
BLOCK_MM: Final = 6.0
MAX_BLOCKS: Final = 500
MIN_BLOCKS: Final = 100
"""3600 mm^2: less is the vertex, a limb, a neck between airways, where no tissue is flat."""
MIN_SHARE: Final = 0.9
"""Strong noise takes single pixels out of the range of soft tissue: they still are tissue."""
QUIET: Final = 0.5
EDGE_HU: Final = 400.0
EDGE_MM: Final = 5.0
"""Over this length an edge must have risen as a whole."""
MONOTONE: Final = 1.15
"""The range of values along an edge over its height, at most."""
ROWS_APART: Final = 5
QUANTILE: Final = 0.75
MIN_EDGES: Final = 30
LOW: Final = 1.1
"""Below, the texture is about as coarse as white noise behind these edges, or coarser."""

Values = NDArray[np.float64]


def tissue_blocks(regions: Regions) -> Values:
    """Return up to `MAX_BLOCKS` blocks of soft tissue, spread over the frame, `(block, y, x)` in HU."""
    array = regions.image.array
    side_y, side_x = (max(4, round(BLOCK_MM / spacing)) for spacing in regions.image.spacing_mm)
    down, across = array.shape[0] // side_y, array.shape[1] // side_x
    if down == 0 or across == 0:
        return np.empty((0, side_y, side_x))
    tissue = regions.soft_tissue[: down * side_y, : across * side_x]
    share = tissue.reshape(down, side_y, across, side_x).sum(axis=(1, 3)) / (side_y * side_x)
    row, column = np.nonzero(share >= MIN_SHARE)
    if row.size > MAX_BLOCKS:
        kept = np.linspace(0, row.size - 1, MAX_BLOCKS).round().astype(np.int64)
        row, column = row[kept], column[kept]
    y, x = row[:, None] * side_y + np.arange(side_y), column[:, None] * side_x + np.arange(side_x)
    blocks: Values = array[y[:, :, None], x[:, None, :]].astype(np.float64)
    return blocks


def block_variances(blocks: Values) -> tuple[Values, Values]:
    """Return half the mean squared difference of neighbours, and the sample variance, of every block, in HU^2."""
    pixels = blocks.shape[1] * blocks.shape[2]
    spread = blocks.var(axis=(1, 2)) * pixels / (pixels - 1)
    fine = sum((np.diff(blocks, axis=axis) ** 2).mean(axis=(1, 2)) for axis in (1, 2)) / 4
    return np.asarray(fine), spread


def fineness(blocks: Values, step: float) -> float:
    """Return `t` of blocks whose values have steps of `step` HU; 0 where there is no noise beyond that of rounding.

    The median over the quiet half of the blocks: a sum would hang on the few in which an edge or all the noise is left.
    """
    fine, spread = block_variances(blocks)
    quiet = np.argsort(spread, kind="stable")[: math.ceil(QUIET * len(blocks))]
    rounding = step**2 / 12
    ratios = np.maximum(fine[quiet] - rounding, 0.0) / np.maximum(spread[quiet] - rounding, max(rounding, 1e-9))
    return math.sqrt(float(np.median(ratios)))


def edge_sharpness(array: Array, pixel_mm: float) -> Values:
    """Return, for edges that every fifth row crosses, the largest difference of neighbours over the edge's height.

    Parameters
    ----------
    array
        `(y, x)` in HU.
    pixel_mm
        Distance of columns.
    """
    half = max(3, round(EDGE_MM / 2 / pixel_mm))
    rows = np.ascontiguousarray(array[ROWS_APART // 2 :: ROWS_APART])
    steps = np.abs(np.diff(rows, axis=1))
    last = steps.shape[1] - half
    if last < half:
        return np.empty(0)
    # The largest of the 2 half - 1 differences of an edge is at least its mean.
    row, left = np.nonzero(steps[:, half - 1 : last + 1] > EDGE_HU / (2 * half - 1))
    left += half - 1
    height = np.abs(rows[row, left + half] - rows[row, left - half + 1])
    high = height > EDGE_HU
    row, left, height = row[high], left[high], height[high]
    largest = steps[row, left]
    top = steps[row[:, None], left[:, None] + np.arange(-half + 1, half)].max(axis=1, initial=0) <= largest
    row, left, height, largest = row[top], left[top], height[top], largest[top]
    profile = rows[row[:, None], left[:, None] + np.arange(-half + 1, half + 1)]
    plain = np.ptp(profile, axis=1) < MONOTONE * height
    return np.asarray(largest[plain] / height[plain], dtype=np.float64)


def per_frame(regions: Regions) -> dict[str, Any] | None:
    """Return the fineness of flat tissue and the sharpness of edges (None without); None where there is no tissue."""
    if not regions.body.any():
        return None
    blocks = tissue_blocks(regions)
    if len(blocks) < MIN_BLOCKS:
        return None
    step = abs(regions.image.frame.header.slope)
    array, (rows_mm, columns_mm) = regions.image.array, regions.image.spacing_mm
    edges = np.concatenate([edge_sharpness(array, columns_mm), edge_sharpness(array.T, rows_mm)])
    return {
        "fineness": fineness(blocks, step),
        "edge": float(np.quantile(edges, QUANTILE)) if edges.size >= MIN_EDGES else None,
    }


def relative(partial: Partial | None) -> float | None:
    """Return `t / e` of one frame; None where it has no tissue or no edges."""
    return None if partial is None or not partial["edge"] else float(partial["fineness"]) / float(partial["edge"])


def combine(series: Series, partials: Sequence[Partial | None]) -> tuple[Measurement, ...]:
    """Return the median fineness of the noise and, where there are edges, its median relative to them.

    Raises
    ------
    NotApplicable
        `no_soft_tissue` where no frame has `MIN_BLOCKS` blocks of it.
    """
    found = present(NAME, partials, "no_soft_tissue")
    fine = Measurement(
        quantity=own(NAME, "Fineness of the noise"),
        value=float(np.median([partial["fineness"] for partial in found])),
        unit=Unit.ONE,
        source=SOURCE,
    )
    ratios = [ratio for partial in found if (ratio := relative(partial)) is not None]
    if not ratios:
        return (fine,)
    return fine, Measurement(
        quantity=own(RELATIVE, "Fineness of the noise relative to edges"),
        value=float(np.median(ratios)),
        unit=Unit.ONE,
        source=SOURCE,
    )


def find(series: Series, partials: Sequence[Partial | None]) -> list[Finding]:
    """Return the runs of frames whose texture is coarser than their edges allow."""
    ratios = [relative(partial) for partial in partials]
    found = []
    for first, last in runs([ratio is not None and ratio < LOW for ratio in ratios]):
        lowest = min(ratio for ratio in ratios[first : last + 1] if ratio is not None)
        found.append(finding("ct_oversmoothed", values={"value": round(lowest, 2), "low": LOW}, frames=(first, last)))
    return found


METRIC: Final = Metric(name=NAME, per_frame=per_frame, combine=combine, axial=True, find=find, more=(RELATIVE,))
