"""MR zipper: a line of dashes across the image, from a radio frequency that leaks into the receiver.

Every row and every column is compared with the lines two pixels to either side: the 20th percentile, along the line, of

    |value - mean of the two neighbours|

is small where anatomy goes on from line to line, for no edge fills eight tenths of a line; on the line of a zipper it is large,
over air and body alike (masked air, of one constant, does not count). A line counts by what it has above 1.3 times the roughest
line four to eight pixels away, above its surroundings (median over 17 lines), and above three standard errors of such a percentile,
as a percent of the mean foreground signal.

One frequency lies at the same line of every slice; what looks like a line by chance does not. The value is that of the line which
stands out most in more than half of the slices. Most clean scans have none and read 0; so do a wide band of interference, which has
no quiet lines beside it, a faint line in a rough image, and a line in a few slices (its slices are named all the same).

Source: Heiland S. From A as in aliasing to Z as in zipper: artifacts in MRI. Clin Neuroradiol 2008; 18:25-36
(10.1007/s00062-008-8003-y), for what a zipper is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from medqa.assessment import Finding
from medqa.codes import Unit, own
from medqa.findings import finding
from medqa.measurement import Measurement
from medqa.metrics.metric import Metric, Partial, present, runs
from medqa.metrics.mr_air import MIN_FOREGROUND, foreground_level
from medqa.regions import Mask, Regions
from medqa.series import Series
from medqa.volume import Array

NAME: Final = "mr_zipper"
SOURCE: Final = "Heiland, Clin Neuroradiol 2008;18:25"
APART: Final = 2
"""Pixels to the neighbours: a zipper is one or two lines wide, and interpolation spreads it."""
AROUND: Final = 17
ERRORS: Final = 3.0
FILLED: Final = 20.0
"""Percentile along a line: eight tenths of it must stand out."""
SPREAD: Final = 2.0
"""Standard error of that percentile of n absolute values, times the root of n, as a share of it (half-normal: 2.04)."""
ALONE: Final = (4, 8)
"""Pixels to the lines that must be quiet: nearer ones share in a zipper, and texture is as rough there."""
QUIET: Final = 1.3
"""A line counts by what exceeds this many times the roughest of those."""
KEPT: Final = 6
"""Lines of either direction that a frame keeps."""
BESIDE: Final = 1
"""Lines by which a frequency may lie elsewhere in another slice."""
BORDER: Final = 0.03
"""Share of the lines at either border that does not count: filters and masks end there."""
MIN_LINES: Final = 48
MIN_VALUES: Final = 0.7
"""Share of a line that must not be one constant (masked air)."""
CUT: Final = 5.0
"""Percent of the signal from which a frame is named: of 73 clean training scans four have such frames, three of them cropped."""


def per_frame(regions: Regions) -> dict[str, Any] | None:
    """Return columns and rows that stand out, with their percent of the signal, and the worst; None for a tiny or empty frame."""
    array = np.nan_to_num(regions.image.array)
    if regions.body_share < MIN_FOREGROUND or min(array.shape) < MIN_LINES:
        return None
    level = foreground_level(regions)
    if not level > 0:
        return None
    found = {name: _strongest(excess(way) * (100.0 / level)) for name, way in (("columns", array), ("rows", array.T))}
    return {"percent": max((percent for lines in found.values() for _, percent in lines), default=0.0), **found}


def excess(array: Array) -> Array:
    """Return what each column of `(y, x)` has above its surroundings and above chance, in the unit of the array, `(x,)`."""
    from scipy import ndimage

    array = np.ascontiguousarray(array)
    inner = array[:, APART:-APART]
    rough = np.abs(inner - (array[:, : -2 * APART] + array[:, 2 * APART :]) / 2)
    constant = (rough == 0).sum(axis=0)
    known = constant <= (1 - MIN_VALUES) * rough.shape[0]
    place = constant + (FILLED / 100 * (rough.shape[0] - 1 - constant)).astype(int)
    lines = np.sort(rough, axis=0)[np.minimum(place, rough.shape[0] - 1), np.arange(rough.shape[1])]
    around = ndimage.median_filter(lines, AROUND, mode="nearest") * (1 + ERRORS * SPREAD / np.sqrt(array.shape[0]))
    beside = ndimage.maximum_filter(lines, footprint=_ring(), mode="nearest")
    above = np.where(known, lines - np.maximum(around, QUIET * beside), 0.0)
    edge = max(1, round(BORDER * above.size))
    above[:edge], above[-edge:] = 0.0, 0.0
    return np.pad(np.maximum(above, 0.0), APART)


def _strongest(above: Array) -> list[tuple[int, float]]:
    """Return number and value of the lines with most, at most `KEPT`."""
    best = np.argsort(above)[::-1][:KEPT]
    return [(int(line), float(above[line])) for line in best if above[line] > 0]


def _ring() -> Mask:
    """Return the footprint of the lines that must be quiet, `(n,)`."""
    distance = np.abs(np.arange(-ALONE[1], ALONE[1] + 1))
    return np.asarray(distance >= ALONE[0])


def combine(series: Series, partials: Sequence[Partial | None]) -> Measurement:
    """Return what the worst line has in more than half of the frames, in percent of the signal.

    Raises
    ------
    NotApplicable
        `no_body` where no frame has foreground.
    """
    found = present(NAME, partials, "no_body")
    worst = max(_of_most([partial[name] for partial in found]) for name in ("columns", "rows"))
    return Measurement(quantity=own(NAME, "Strongest line across the image"), value=worst, unit=Unit.PERCENT, source=SOURCE)


def _of_most(frames: Sequence[Sequence[tuple[int, float]]]) -> float:
    """Return the largest value that one line has, give or take `BESIDE`, in more than half of the frames."""
    last = max((line for lines in frames for line, _ in lines), default=-1)
    if last < 0:
        return 0.0
    values = np.zeros((len(frames), last + 1 + BESIDE))
    for row, lines in zip(values, frames, strict=True):
        for line, percent in lines:
            near = slice(max(0, line - BESIDE), line + BESIDE + 1)
            row[near] = np.maximum(row[near], percent)
    return float(np.sort(values, axis=0)[(len(frames) - 1) // 2].max())


def find(series: Series, partials: Sequence[Partial | None]) -> list[Finding]:
    """Return the runs of frames with a line that stands out."""
    shares = [0.0 if partial is None else float(partial["percent"]) for partial in partials]
    return [
        finding(NAME, values={"percent": max(shares[first : last + 1])}, frames=(first, last))
        for first, last in runs([share > CUT for share in shares])
    ]


METRIC: Final = Metric(name=NAME, per_frame=per_frame, combine=combine, find=find)
