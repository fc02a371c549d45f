"""The liver of a PET series, found without being shown it: a disc in each frame, and the frames in which it is the liver.

The liver is sought per frame as the largest disc, to the patient's right of the body's middle, in which the smoothed SUV lies in
1.2-4 and above the rest of the body; over the series as the most voluminous run of neighbouring frames (at least 50 mm long, at
its widest 70 mm across) whose discs lie on top of each other. The tracer is FDG, or one that the header does
not name. A uniform phantom has no liver: nothing in it stands out. Nor has a scan whose SUV is wrong by so much that the liver
leaves this range (a normal one, 1.9, by a factor of 0.63 or of 2.1): bowel, muscle and brain could not be told from it then.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from medqa.errors import NotApplicable
from medqa.metrics.metric import Partial
from medqa.metrics.pt_field import field, patient_grid, suv_factor
from medqa.regions import Regions
from medqa.series import Series

KEY: Final = "pt_liver"
SUV_RANGE: Final = (1.2, 4.0)
DISC_MM: Final = 15.0
"""Radius of the disc that is measured."""
MIN_RADIUS_MM: Final = 25.0
"""Radius of the disc that must fit into the liver's section: no kidney, no spleen, no vessel holds it."""
ABOVE_BODY: Final = 1.2
MIN_WIDEST_MM: Final = 35.0
"""Radius at the liver's widest section: bowel does not reach it."""
MIN_RUN_MM: Final = 50.0
MAX_DRIFT_MM: Final = 40.0
"""Distance of the discs of neighbouring frames."""


def disc(regions: Regions) -> dict[str, Any] | None:
    """Return centre (mm), mean and deviation (SUV) of the disc in what may be the liver; None where nothing may.

    Found once a frame, whoever asks first.
    """
    if KEY not in regions.shared:
        regions.shared[KEY] = _disc(regions)
    found: dict[str, Any] | None = regions.shared[KEY]
    return None if found is None else dict(found)


def _disc(regions: Regions) -> dict[str, Any] | None:
    from scipy import ndimage

    seen = field(regions)
    if seen is None:
        return None
    if not seen.body.any():
        return None
    middle = float(np.median(seen.x[seen.body]))
    candidate = seen.body & (seen.x < middle) & (seen.smooth > SUV_RANGE[0]) & (seen.smooth < SUV_RANGE[1])
    candidate &= seen.smooth > ABOVE_BODY * float(np.median(seen.smooth[seen.body]))
    # What noise punches into the liver is filled; nothing but liver surrounds it.
    candidate = ndimage.binary_fill_holes(candidate)
    depth = ndimage.distance_transform_edt(np.pad(candidate, 1), sampling=seen.spacing_mm)[1:-1, 1:-1]
    row, column = np.unravel_index(int(np.argmax(depth)), depth.shape)
    if depth[row, column] < MIN_RADIUS_MM:
        return None
    centre = float(seen.x[row, column]), float(seen.y[row, column])
    frame, array = regions.image.frame, regions.image.array
    x, y = (seen.x, seen.y) if seen.step == 1 else patient_grid(frame, array.shape)
    inside = np.nan_to_num(array[(x - centre[0]) ** 2 + (y - centre[1]) ** 2 <= DISC_MM**2]) * np.float32(suv_factor(frame) or 1)
    return {
        "x": centre[0],
        "y": centre[1],
        "radius": float(depth[row, column]),
        "mean": float(inside.mean(dtype=np.float64)),
        "sd": float(inside.std(dtype=np.float64, ddof=1)),
    }


def liver_run(name: str, series: Series, partials: Sequence[Partial | None]) -> tuple[int, list[Partial]]:
    """Return the index of the first frame of the liver, and its discs frame by frame.

    Raises
    ------
    NotApplicable
        `no_liver` where no run of frames looks like one or the tracer is another; `unit_unknown` where there is no SUV.
    """
    made = series.acquisition.pt
    if made is not None and made.tracer and not made.is_fdg:
        raise NotApplicable(what=name, reason="no_liver")
    if all(suv_factor(frame) is None for frame in series.frames):
        raise NotApplicable(what=name, reason="unit_unknown")
    first, run = _largest_run(series, partials)
    step = series.volume.spacing_mm[0]
    if len(run) * step < MIN_RUN_MM or max(one["radius"] for one in run) < MIN_WIDEST_MM:
        raise NotApplicable(what=name, reason="no_liver")
    return first, run


def widest(name: str, series: Series, partials: Sequence[Partial | None]) -> list[Partial]:
    """Return the discs of the 30 mm around the liver's widest section.

    Raises
    ------
    NotApplicable
        As `liver_run`.
    """
    _, run = liver_run(name, series, partials)
    half = max(1, round(DISC_MM / series.volume.spacing_mm[0]))
    middle = int(np.argmax([one["radius"] for one in run]))
    return run[max(0, middle - half) : middle + half + 1]


def _largest_run(series: Series, partials: Sequence[Partial | None]) -> tuple[int, list[Partial]]:
    """Return the run of neighbours in the first stack, discs on top of each other, whose discs hold the largest volume."""
    stop = series.stacks[0].stop if series.stacks else len(partials)
    runs: list[tuple[int, list[Partial]]] = [(0, [])]
    for index, partial in enumerate(partials[:stop]):
        run = runs[-1][1]
        if partial is None or (run and math.dist(_centre(partial), _centre(run[-1])) > MAX_DRIFT_MM):
            runs.append((index, []))
        if partial is not None:
            if not runs[-1][1]:
                runs[-1] = (index, [])
            runs[-1][1].append(partial)
    return max(runs, key=lambda run: math.fsum(one["radius"] ** 2 for one in run[1]))


def _centre(partial: Partial) -> tuple[float, float]:
    return partial["x"], partial["y"]
