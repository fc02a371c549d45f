"""PET liver noise: the coefficient of variation in a disc of 30 mm inside the liver, found without being shown it.

The quantity: EANM procedure guidelines for tumour PET imaging, version 2.0 (Boellaard et al., Eur J Nucl Med Mol Imaging 2015;
42:328). Normal livers have a mean SUV of 1.9 with a spread of 0.4 in FDG.

The liver is sought per frame as the largest disc, to the patient's right of the body's middle, in which the smoothed SUV lies in
1.2-4 and above the rest of the body; over the series as the most voluminous run of neighbouring frames (at least 50 mm long, at
its widest 70 mm across) whose discs lie on top of each other. The tracer is FDG, or one that the header does
not name. A uniform phantom has no liver: nothing in it stands out.

The limit, 30 %, is twice what EARL asks of a clinical liver (15 %): beyond it the noise is worse than a protocol explains. Too few
whole-body scans are at hand to set it from data (two in training).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from medqa.codes import Unit, own
from medqa.errors import NotApplicable
from medqa.measurement import Limits, Measurement
from medqa.metrics.metric import Metric, Partial
from medqa.regions import Regions
from medqa.series import Frame, Series
from medqa.volume import Array

NAME: Final = "pt_liver_cov"
SOURCE: Final = "EANM guidelines, Eur J Nucl Med Mol Imaging 2015;42:328"
LIMITS: Final[Limits] = (None, 30.0)
SUV_RANGE: Final = (1.2, 4.0)
DISC_MM: Final = 15.0
"""Radius of the disc that is measured."""
MIN_RADIUS_MM: Final = 25.0
"""Radius of the disc that must fit into the liver's section: no kidney, no spleen, no vessel holds it."""
SMOOTH_MM: Final = 5.0
SEARCH_MM: Final = 4.0
ABOVE_BODY: Final = 1.2
MIN_WIDEST_MM: Final = 35.0
"""Radius at the liver's widest section: bowel does not reach it."""
MIN_RUN_MM: Final = 50.0
MAX_DRIFT_MM: Final = 40.0
"""Distance of the discs of neighbouring frames."""


def suv_factor(frame: Frame) -> float | None:
    """Return what turns the frame's values into SUVbw; None where the header does not allow it."""
    return 1.0 if frame.unit == Unit.SUVBW else frame.header.suv_factor


def per_frame(regions: Regions) -> dict[str, Any] | None:
    """Return centre (mm), mean and deviation (SUV) of the disc in what may be the liver; None where nothing may."""
    from scipy import ndimage

    frame, spacing = regions.image.frame, regions.image.spacing_mm
    factor = suv_factor(frame)
    if factor is None or frame.header.position_mm is None or frame.header.orientation is None:
        return None
    suv = np.nan_to_num(regions.image.array) * np.float32(factor)
    # The search needs no more than 4 mm; fine grids are thinned out.
    step = max(1, int(SEARCH_MM // min(spacing)))
    spacing = spacing[0] * step, spacing[1] * step
    body, coarse = regions.full(regions.body)[::step, ::step], suv[::step, ::step]
    if not body.any():
        return None
    smooth = ndimage.gaussian_filter(coarse, [SMOOTH_MM / size for size in spacing])
    full_x, full_y = _patient_grid(frame, suv.shape)
    x, y = full_x[::step, ::step], full_y[::step, ::step]
    middle = float(np.median(x[body]))
    candidate = body & (x < middle) & (smooth > SUV_RANGE[0]) & (smooth < SUV_RANGE[1])
    candidate &= smooth > ABOVE_BODY * float(np.median(smooth[body]))
    # What noise punches into the liver is filled; nothing but liver surrounds it.
    candidate = ndimage.binary_fill_holes(candidate)
    depth = ndimage.distance_transform_edt(np.pad(candidate, 1), sampling=spacing)[1:-1, 1:-1]
    row, column = np.unravel_index(int(np.argmax(depth)), depth.shape)
    if depth[row, column] < MIN_RADIUS_MM:
        return None
    centre = float(x[row, column]), float(y[row, column])
    disc = suv[(full_x - centre[0]) ** 2 + (full_y - centre[1]) ** 2 <= DISC_MM**2]
    return {
        "x": centre[0],
        "y": centre[1],
        "radius": float(depth[row, column]),
        "mean": float(disc.mean(dtype=np.float64)),
        "sd": float(disc.std(dtype=np.float64, ddof=1)),
    }


def combine(series: Series, partials: Sequence[Partial | None]) -> Measurement:
    """Return the mean of deviation over mean, in percent, over 30 mm around the liver's widest section.

    Raises
    ------
    NotApplicable
        `no_liver` where no run of frames looks like one or the tracer is another; `unit_unknown` where there is no SUV.
    """
    made = series.acquisition.pt
    if made is not None and made.tracer and not made.is_fdg:
        raise NotApplicable(what=NAME, reason="no_liver")
    if all(suv_factor(frame) is None for frame in series.frames):
        raise NotApplicable(what=NAME, reason="unit_unknown")
    run = _largest_run(series, partials)
    step = series.volume.spacing_mm[0]
    if len(run) * step < MIN_RUN_MM or max(one["radius"] for one in run) < MIN_WIDEST_MM:
        raise NotApplicable(what=NAME, reason="no_liver")
    half = max(1, round(DISC_MM / step))
    widest = int(np.argmax([one["radius"] for one in run]))
    chosen = run[max(0, widest - half) : widest + half + 1]
    return Measurement(
        quantity=own(NAME, "Coefficient of variation in the liver"),
        value=100.0 * float(np.mean([one["sd"] / one["mean"] for one in chosen])),
        unit=Unit.PERCENT,
        source=SOURCE,
        limits=LIMITS,
    )


def _patient_grid(frame: Frame, shape: tuple[int, ...]) -> tuple[Array, Array]:
    """Return the patient's x (to the left) and y (to the back) of every pixel, in mm."""
    position, orientation = frame.header.position_mm, frame.header.orientation
    if position is None or orientation is None:
        raise NotApplicable(what=NAME, reason="header_silent")
    rows_mm, columns_mm = frame.header.spacing_mm or (1.0, 1.0)
    along_row, along_column = orientation
    down = np.arange(shape[0], dtype=np.float32)[:, np.newaxis] * np.float32(rows_mm)
    across = np.arange(shape[1], dtype=np.float32)[np.newaxis, :] * np.float32(columns_mm)
    x, y = (
        np.float32(position[axis]) + across * np.float32(along_row[axis]) + down * np.float32(along_column[axis]) for axis in (0, 1)
    )
    return x, y


def _largest_run(series: Series, partials: Sequence[Partial | None]) -> list[Partial]:
    """Return the run of neighbours in the first stack, discs on top of each other, whose discs hold the largest volume."""
    stop = series.stacks[0].stop if series.stacks else len(partials)
    runs: list[list[Partial]] = [[]]
    for partial in partials[:stop]:
        run = runs[-1]
        if partial is None or (run and math.dist(_centre(partial), _centre(run[-1])) > MAX_DRIFT_MM):
            runs.append([])
        if partial is not None:
            runs[-1].append(partial)
    return max(runs, key=lambda run: math.fsum(one["radius"] ** 2 for one in run))


def _centre(partial: Partial) -> tuple[float, float]:
    return partial["x"], partial["y"]


METRIC: Final = Metric(name=NAME, per_frame=per_frame, combine=combine)
