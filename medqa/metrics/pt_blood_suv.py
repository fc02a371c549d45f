"""PET blood pool: the SUVbw of the great vessels in front of the spine, above the liver and the heart.

The mediastinal blood pool is the second reference region of FDG beside the liver (Boellaard et al., EANM guidelines, Eur J Nucl Med
Mol Imaging 2015; 42:328; Wahl et al., From RECIST to PERCIST, J Nucl Med 2009; 50:122S take it where the liver is diseased). At one
hour it has about 1.6; the band here is wide (0.8-2.8), because time, glucose and partial volume move it.

Each frame yields its smoothed SUV on a lattice of 8 mm about the spine and in front of it (44 to 155 mm from the back, 24 mm to the
right and 40 mm to the left of the middle) and that of the lungs beside. Over the series the level is that of the great vessels, 40
to 140 mm above the dome of the liver. There, over every 40 mm, the point of the highest mean is taken that is 1.5 times above the
lungs and not 1.5 times above the liver, even along z as a vessel is, has nothing hotter within 20 mm (heart, a lesion) and is 1.2
times what is 20 to 34 mm away, which the shoulder of a lesion is not, nor a mediastinum of one value. A parabola tells its height
between the points; the median over the levels is the value. What is smoothed lacks a part: of an aorta of 22 mm, that of the
phantom `pet-body`, 0.86 to 0.90 are left.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from medqa.codes import Unit, own
from medqa.errors import NotApplicable
from medqa.measurement import Measurement
from medqa.metrics.metric import Metric, Partial, outside
from medqa.metrics.pt_field import Field, field
from medqa.metrics.pt_liver import disc, liver_run
from medqa.regions import Regions
from medqa.series import Series

NAME: Final = "pt_blood_suv"
SOURCE: Final = "EANM guidelines, Eur J Nucl Med Mol Imaging 2015;42:328"
BAND: Final = (0.8, 2.8)
LATTICE_MM: Final = 8.0
RIGHT_MM, LEFT_MM = 24.0, 40.0
FROM_BACK_MM: Final = (44.0, 155.0)
LUNG_ASIDE_MM: Final = 80.0
LUNG_FROM_BACK_MM: Final = 115.0
LEVEL_MM: Final = (40.0, 140.0)
"""Above the dome of the liver."""
COLUMN_MM: Final = 40.0
ABOVE_LUNG: Final = 1.5
UNEVEN: Final = 0.25
"""Deviation along z over the mean, at most."""
ABOVE_LIVER: Final = 1.5
"""Blood has about as much as the liver early on, and less later."""
NEAR_MM: Final = 20.0
"""Nothing within this is hotter."""
RING_MM: Final = 34.0
STANDS_OUT: Final = 1.2
"""Over the median of what lies between the two."""
MIN_RING: Final = 8
MIN_WIDTH_MM: Final = 200.0
"""A narrower body is a neck."""


def per_frame(regions: Regions) -> dict[str, Any] | None:
    """Return the liver's disc and, where the body may be a chest, its lattice; None where there is neither.

    Returns
    -------
    dict or None
        `liver` as `pt_liver.disc`; `corner` (x, y) of the lattice in steps of 8 mm, `columns`, `values` (SUV, row by row) and
        `lung` (SUV, the lower of both sides).
    """
    seen = field(regions)
    if seen is None:
        return None
    found = {} if (liver := disc(regions)) is None else {"liver": liver}
    return {**found, **_lattice(seen)} or None


def _lattice(seen: Field) -> dict[str, Any]:
    if not seen.body.any():
        return {}
    x, y = seen.x[seen.body], seen.y[seen.body]
    middle = float(np.median(x))
    back = float(np.percentile(y[np.abs(x - middle) < RIGHT_MM], 99)) if np.any(np.abs(x - middle) < RIGHT_MM) else math.nan
    if not math.isfinite(back) or float(np.ptp(x)) < MIN_WIDTH_MM:
        return {}
    across = np.arange(math.ceil((middle - RIGHT_MM) / LATTICE_MM), math.floor((middle + LEFT_MM) / LATTICE_MM) + 1)
    down = np.arange(math.ceil((back - FROM_BACK_MM[1]) / LATTICE_MM), math.floor((back - FROM_BACK_MM[0]) / LATTICE_MM) + 1)
    values = _sampled(seen, across[None, :] * LATTICE_MM, down[:, None] * LATTICE_MM)
    level = np.full((1, 1), back - LUNG_FROM_BACK_MM)
    lungs = [float(_sampled(seen, np.full((1, 1), middle + side * LUNG_ASIDE_MM), level)[0, 0]) for side in (-1, 1)]
    return {
        "corner": [int(across[0]), int(down[0])],
        "columns": int(across.size),
        "values": [round(float(value), 2) for value in values.ravel()],
        "lung": round(min(lungs), 2),
    }


def _sampled(seen: Field, x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.float32]:
    """Return the smoothed SUV next to places of the patient, 0 outside the frame; rows run along x, columns along y."""
    (rows, columns), (rows_mm, columns_mm) = seen.smooth.shape, seen.spacing_mm
    left, top = seen.x[0, 0], seen.y[0, 0]
    sign_x = np.sign(seen.x[0, -1] - left) or 1.0
    sign_y = np.sign(seen.y[-1, 0] - top) or 1.0
    column = np.rint((x - left) * sign_x / columns_mm).astype(int)
    row = np.rint((y - top) * sign_y / rows_mm).astype(int)
    inside = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
    values = seen.smooth[np.clip(row, 0, rows - 1), np.clip(column, 0, columns - 1)]
    return np.where(inside, values, np.float32(0)).astype(np.float32)


def combine(series: Series, partials: Sequence[Partial | None]) -> Measurement:
    """Return the SUVbw of the great vessels.

    Raises
    ------
    NotApplicable
        `no_liver` and `unit_unknown` as for the liver; `no_blood_pool` where no column above it is as a vessel is.
    """
    first, run = liver_run(NAME, series, [None if one is None else one.get("liver") for one in partials])
    heights = [None if frame.header.position_mm is None else frame.header.position_mm[2] for frame in series.frames]
    dome = max(height for height in heights[first : first + len(run)] if height is not None)
    liver = float(np.median([one["mean"] for one in run]))
    found = [
        value
        for low in np.arange(LEVEL_MM[0], LEVEL_MM[1] - COLUMN_MM + 1, COLUMN_MM / 4)
        if (value := _vessel(heights, partials, (dome + low, dome + low + COLUMN_MM), liver)) is not None
    ]
    if not found:
        raise NotApplicable(what=NAME, reason="no_blood_pool")
    return Measurement(quantity=own(NAME, "SUV of the blood pool"), value=float(np.median(found)), unit=Unit.SUVBW, source=SOURCE)


def _vessel(
    heights: Sequence[float | None], partials: Sequence[Partial | None], between: tuple[float, float], liver: float
) -> float | None:
    """Return the mean SUV of the column that may be a vessel between two heights; None where there is none."""
    low, high = between
    chosen = [
        partial
        for height, partial in zip(heights, partials, strict=True)
        if partial is not None and height is not None and low <= height < high and "values" in partial
    ]
    if len(chosen) < 2:
        return None
    columns: dict[tuple[int, int], list[float]] = {}
    for partial in chosen:
        left, top = partial["corner"]
        for index, value in enumerate(partial["values"]):
            row, column = divmod(index, partial["columns"])
            columns.setdefault((left + column, top + row), []).append(value)
    whole = {place: np.array(values) for place, values in columns.items() if len(values) == len(chosen)}
    means = {place: float(values.mean()) for place, values in whole.items()}
    lung = float(np.median([partial["lung"] for partial in chosen]))
    for place, mean in sorted(means.items(), key=lambda item: -item[1]):
        even = float(whole[place].std()) <= UNEVEN * mean
        if even and ABOVE_LUNG * lung <= mean <= ABOVE_LIVER * liver and mean > 0 and _stands_out(place, means):
            return _peak(place, means)
    return None


def _stands_out(place: tuple[int, int], means: Mapping[tuple[int, int], float]) -> bool:
    """Return whether a place is the hottest nearby and above what is around; at the lattice's back edge it cannot be told."""
    if (place[0], place[1] + 1) not in means:
        return False
    away = {at: math.dist(at, place) * LATTICE_MM for at in means}
    ring = [mean for at, mean in means.items() if NEAR_MM < away[at] <= RING_MM]
    hottest = max(mean for at, mean in means.items() if away[at] <= NEAR_MM)
    return len(ring) >= MIN_RING and means[place] >= max(hottest, STANDS_OUT * float(np.median(ring)))


def _peak(place: tuple[int, int], means: Mapping[tuple[int, int], float]) -> float:
    """Return the value between the points of the lattice, at the top of a parabola along each axis."""
    top = value = means[place]
    for across, down in ((1, 0), (0, 1)):
        before, after = ((place[0] + sign * across, place[1] + sign * down) for sign in (-1, 1))
        if before in means and after in means and (bend := 2 * top - means[before] - means[after]) > 0:
            value += (means[after] - means[before]) ** 2 / (8 * bend)
    return value


METRIC: Final = Metric(
    name=NAME, per_frame=per_frame, combine=combine, find=outside("pt_blood_suv_implausible", BAND, combine), axial=True
)
