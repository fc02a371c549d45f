"""CT blockiness: traces of a JPEG compression with loss, whose blocks of 8 x 8 pixels meet in small steps.

    blockiness = mean difference of neighbours across the borders of the blocks / mean difference of neighbours elsewhere,

in soft tissue, over rows and columns together. 1 where there are no blocks.

Source: the border term over the activity term of Wang Z, Sheikh HR, Bovik AC. No-reference perceptual quality assessment of JPEG
compressed images. Proc IEEE ICIP 2002; 1:477-480 (doi 10.1109/ICIP.2002.1038064). Differences above `CAP` times the mean are
edges of anatomy and are cut to that, so that one rib along a border makes no block. Blocks whose steps have the variance B beside
noise of variance N give sqrt(1 + B / N). Blocks are sought where an encoder puts them, from the first pixel on: an image that was
cropped or resampled after it had been compressed does not show them. JPEG 2000 and HTJ2K make no blocks.

The cut of the finding was set on the training scans, none of which was compressed with loss: 103 single frames have 0.96 to 1.04.
JPEG of 8 bits over a window of 400 HU has 1.13 to 1.3 at quality 75 and 1.2 to 1.5 at 50; at 90 it may be within the noise.

That ratio alone is fooled where little soft tissue is cut by long edges, and where rows are interpolated between slices that are a
divisor of a block apart: 8 of 45 coronal slices of a chest phantom pass the cut. So the differences are kept for each place within
a block, and for a finding the border must exceed every other place, by `PEAK` over rows and columns together and at all along each:
by 8 % and more in JPEGs of three real scans and of a body of noise that pass the cut, by 7 % at most in those slices, of which 6
fail along rows or columns besides.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from medqa.assessment import Finding
from medqa.codes import Unit, own
from medqa.errors import NotApplicable
from medqa.findings import finding
from medqa.measurement import Measurement
from medqa.metrics.metric import Metric, Partial, present, runs
from medqa.regions import SOFT_TISSUE_HU, Regions
from medqa.series import Series
from medqa.volume import Array

NAME: Final = "ct_blockiness"
SOURCE: Final = "Wang et al., IEEE ICIP 2002;1:477"
SIDE: Final = 8
BORDER: Final = SIDE - 1
"""The last of the eight places of a block: the difference to the next block."""
APART: Final = 3
"""Every third line is looked at: no common divisor with the side of a block."""
CAP: Final = 3.0
MIN_PAIRS: Final = 1500
"""Pairs of neighbours across borders, at least, in a series or in a frame that is to be found: 2 % of chance (one sigma)."""
HIGH: Final = 1.1
PEAK: Final = 1.075
"""By how much the border exceeds any other place of a block where there are blocks."""


def by_phase(lines: Array) -> tuple[list[float], list[int]]:
    """Return the sum of the differences of neighbours along lines (HU), capped, and their number, for each place within a block.

    Parameters
    ----------
    lines
        `(line, along)` in HU; only neighbours that are soft tissue both count. The last of the eight places is the border.
    """
    low, high = SOFT_TISSUE_HU
    lines = np.ascontiguousarray(lines)
    # Not the mask of the regions: its borders lie on a grid of their own, which would favour some columns.
    with np.errstate(invalid="ignore"):
        inside = (lines > low) & (lines < high)
        both = inside[:, 1:] & inside[:, :-1]
        steps = np.where(both, np.abs(np.diff(lines, axis=1)), np.float32(0))
    count = int(both.sum())
    if count == 0:
        return [0.0] * SIDE, [0] * SIDE
    np.minimum(steps, np.float32(CAP * float(steps.sum(dtype=np.float64)) / count), out=steps)
    along_sums, along_counts = steps.sum(axis=0, dtype=np.float64), both.sum(axis=0)
    return (
        [float(along_sums[place::SIDE].sum()) for place in range(SIDE)],
        [int(along_counts[place::SIDE].sum()) for place in range(SIDE)],
    )


def per_frame(regions: Regions) -> dict[str, Any] | None:
    """Return `sums` and `counts` of the differences by place within a block, along rows and along columns; None without a body."""
    if not regions.body.any():
        return None
    array = regions.image.array
    (row_sums, row_counts), (column_sums, column_counts) = by_phase(array[::APART]), by_phase(array[:, ::APART].T)
    sums, counts = np.add(row_sums, column_sums), np.add(row_counts, column_counts)
    if counts[BORDER] == 0 or not sums[:BORDER].sum() > 0:
        return None
    return {"sums": [row_sums, column_sums], "counts": [row_counts, column_counts]}


def blockiness(partials: Sequence[Partial]) -> float | None:
    """Return the blockiness of some frames together; None where they have too little soft tissue."""
    sums, counts = (np.sum([partial[kind] for partial in partials], axis=(0, 1)) for kind in ("sums", "counts"))
    if counts[BORDER] < MIN_PAIRS:
        return None
    return float((sums[BORDER] / counts[BORDER]) / (sums[:BORDER].sum() / counts[:BORDER].sum()))


def has_peak(partial: Partial) -> bool:
    """Return whether the border stands out from every other place of a block in one frame, along rows as well as along columns."""
    sums, counts = np.asarray(partial["sums"]), np.asarray(partial["counts"])
    means = np.vstack([sums, sums.sum(axis=0)]) / np.maximum(np.vstack([counts, counts.sum(axis=0)]), 1)
    excess = means[:, BORDER] / np.maximum(means[:, :BORDER].max(axis=1), 1e-12)
    return bool(excess[:2].min() > 1 and excess[2] > PEAK)


def combine(series: Series, partials: Sequence[Partial | None]) -> Measurement:
    """Return the blockiness of all frames together.

    Raises
    ------
    NotApplicable
        `no_soft_tissue` where there is too little of it.
    """
    value = blockiness(present(NAME, partials, "no_soft_tissue"))
    if value is None:
        raise NotApplicable(what=NAME, reason="no_soft_tissue")
    return Measurement(quantity=own(NAME, "Blockiness (8 x 8 pixels)"), value=value, unit=Unit.ONE, source=SOURCE)


def find(series: Series, partials: Sequence[Partial | None]) -> list[Finding]:
    """Return the runs of frames that show the blocks."""
    values = [None if partial is None or not has_peak(partial) else blockiness([partial]) for partial in partials]
    found = []
    for first, last in runs([value is not None and value > HIGH for value in values]):
        highest = max(value for value in values[first : last + 1] if value is not None)
        found.append(finding("ct_blocks", values={"value": round(highest, 2), "limit": HIGH}, frames=(first, last)))
    return found


METRIC: Final = Metric(name=NAME, per_frame=per_frame, combine=combine, find=find)
