"""Mismatch at the dome of the liver: how far the border of liver and lung lies apart on PET and on CT, along z.

PET averages over minutes of breathing, CT catches one moment of it. Where the CT was taken in deeper inspiration the attenuation
map has lung where PET has liver, and the dome is lost or a crescent appears above it (Osman et al., Respiratory motion artifacts on
PET emission images obtained using CT attenuation correction on PET-CT, Eur J Nucl Med Mol Imaging 2003; 30:603; Sureshbabu and
Mawlawi, J Nucl Med Technol 2005; 33:156).

Each frame keeps the mean value at up to 88 places of a lattice of 20 mm in the body's right half, in the patient's coordinates.
Where a column of places leads from liver to lung on both, the border is the height midway between the two levels; the value is
the median of PET's height minus CT's. Positive: on PET the dome stands closer to the head.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from medqa.codes import Unit, own
from medqa.errors import NotApplicable
from medqa.measurement import Measurement
from medqa.metrics.metric import Partial
from medqa.metrics.pair import Pair, matched
from medqa.metrics.pt_ct_overlap import is_axial
from medqa.metrics.pt_field import field
from medqa.regions import Mask, Regions
from medqa.series import Series
from medqa.volume import Array

NAME: Final = "pt_dome_mismatch"
SOURCE: Final = "Osman et al., Eur J Nucl Med Mol Imaging 2003;30:603"
LATTICE_MM: Final = 20.0
RIGHT_MM: Final = 140.0
FRONT_TO_BACK_MM: Final = 100.0
"""To either side of the body's middle."""
REACH_MM: Final = 30.0
"""The levels on both sides of the border are medians over this."""
CLEAR_MM: Final = 10.0
"""From here to the end of the reach above the border a CT must show lung throughout: over the vertex there is air, which looks like
lung where the skull goes into the mean."""
CT_LIVER_HU: Final = -100.0
CT_LUNG_HU: Final = (-950.0, -500.0)
"""Air around the body has less."""
PET_LIVER_OVER_LUNG: Final = 1.6
NEAR_MM: Final = 60.0
"""Farther apart two borders are not the same one."""
MIN_PLACES: Final = 4
MIN_SIDE: Final = 32

Column = list[tuple[float, float]]


def per_frame(regions: Regions) -> dict[str, Any] | None:
    """Return the mean values on the lattice; None where the slice is not axial or shows no body.

    Returns
    -------
    dict or None
        `z` in mm, `corner` (x, y) in steps of 20 mm, `columns`, and `values` row by row (HU, or thousandths of SUV), None
        outside the frame and, on PET, outside the body.
    """
    image = regions.image
    if not is_axial(image.frame) or min(image.array.shape) < MIN_SIDE:
        return None
    seen = field(regions) if image.frame.modality == "PT" else None
    if image.frame.modality == "PT" and seen is None:
        return None
    values, body, (rows_mm, columns_mm) = (
        (regions.values, regions.body, regions.element_mm) if seen is None else (seen.smooth, seen.body, seen.spacing_mm)
    )
    if not body.any():
        return None
    (x0, y0, z), (right, down) = (
        image.frame.header.position_mm or (0.0, 0.0, 0.0),
        image.frame.header.orientation or ((1.0,), (0.0, 1.0)),
    )
    sign_x, sign_y = float(np.sign(right[0])), float(np.sign(down[1]))
    rows, columns = np.flatnonzero(body.any(axis=1)), np.flatnonzero(body.any(axis=0))
    middle_x = x0 + sign_x * columns_mm * (columns[0] + columns[-1]) / 2
    middle_y = y0 + sign_y * rows_mm * (rows[0] + rows[-1]) / 2
    across = _steps(middle_x - RIGHT_MM, middle_x)
    down_to = _steps(middle_y - FRONT_TO_BACK_MM, middle_y + FRONT_TO_BACK_MM)
    column = np.rint((across * LATTICE_MM - x0) * sign_x / columns_mm).astype(int)
    row = np.rint((down_to * LATTICE_MM - y0) * sign_y / rows_mm).astype(int)
    # On CT the lung of a thin chest may lie outside of what was found to be the body.
    known, scale = (np.ones_like(body), 1.0) if seen is None else (body, 1000.0)
    return {
        "z": float(z),
        "corner": [int(across[0]), int(down_to[0])],
        "columns": int(across.size),
        "values": _means(values, known, row, column, scale),
    }


def _steps(low: float, high: float) -> NDArray[np.int64]:
    return np.arange(math.ceil(low / LATTICE_MM), math.floor(high / LATTICE_MM) + 1)


def _means(values: Array, known: Mask, row: NDArray[np.int64], column: NDArray[np.int64], scale: float) -> list[int | None]:
    """Return the mean over 3 by 3 elements at each crossing, None where the crossing lies in none of what is known."""
    around = np.arange(-1, 2)
    rows = np.clip(row[:, None] + around, 0, known.shape[0] - 1)
    columns = np.clip(column[:, None] + around, 0, known.shape[1] - 1)
    cells = values[rows[:, None, :, None], columns[None, :, None, :]].astype(np.float64)
    there = (row >= 0) & (row < known.shape[0])
    here = (column >= 0) & (column < known.shape[1])
    inside = known[rows[:, None, 1], columns[None, :, 1]] & there[:, None] & here[None, :]
    means = cells.mean(axis=(2, 3)) * scale
    return [round(mean) if ok and math.isfinite(mean) else None for mean, ok in zip(means.flat, inside.flat, strict=True)]


def combine(pet: Series, pet_partials: Sequence[Partial | None], ct: Series, ct_partials: Sequence[Partial | None]) -> Measurement:
    """Return the height of the border on PET minus that on CT, in mm.

    Raises
    ------
    NotApplicable
        `not_matched` where the series do not share a frame of reference; `no_dome` where fewer than `MIN_PLACES` columns lead from
        liver to lung on both.
    """
    matched(NAME, pet, ct)
    seen, other = _columns(pet_partials), _columns(ct_partials)
    shifts = []
    for place in sorted(seen.keys() & other.keys()):
        on_ct = border(other[place], _is_dome_on_ct, above=CT_LUNG_HU)
        on_pet = None if on_ct is None else border(seen[place], _is_dome_on_pet, near=on_ct)
        if on_ct is not None and on_pet is not None:
            shifts.append(on_pet - on_ct)
    if len(shifts) < MIN_PLACES:
        raise NotApplicable(what=NAME, reason="no_dome")
    return Measurement(
        quantity=own(NAME, "Dome of the liver on PET over that on CT"), value=float(np.median(shifts)), unit=Unit.MM, source=SOURCE
    )


def _columns(partials: Sequence[Partial | None]) -> Mapping[tuple[int, int], Column]:
    """Return height and value at each place of the lattice, from the feet up."""
    found: dict[tuple[int, int], Column] = {}
    for partial in partials:
        if partial is None:
            continue
        left, top = partial["corner"]
        for index, value in enumerate(partial["values"]):
            row, column = divmod(index, partial["columns"])
            if value is not None:
                found.setdefault((left + column, top + row), []).append((partial["z"], float(value)))
    return {place: sorted(column) for place, column in found.items()}


def _is_dome_on_ct(liver: float, lung: float) -> float:
    """Return the step from liver to lung; 0 where it is none."""
    return liver - lung if liver > CT_LIVER_HU and CT_LUNG_HU[0] < lung < CT_LUNG_HU[1] else 0.0


def _is_dome_on_pet(liver: float, lung: float) -> float:
    """Return the step from liver to lung; 0 where it is none."""
    return liver - lung if liver > PET_LIVER_OVER_LUNG * max(lung, 0.0) else 0.0


def border(
    column: Column,
    step: Callable[[float, float], float],
    near: float | None = None,
    above: tuple[float, float] | None = None,
) -> float | None:
    """Return the height at which the largest step from below to above is half done; None where there is no step.

    Parameters
    ----------
    column
        Heights in mm, rising, and values.
    step
        Takes the levels below and above; returns how large the step is, 0 for none.
    near
        Only heights within 60 mm of this.
    above
        Every value from 10 to 30 mm above the border lies between these.
    """
    heights, values = (np.array(part) for part in zip(*column, strict=True))
    middles = (heights[1:] + heights[:-1]) / 2
    place = np.arange(1, heights.size)
    first, last = np.searchsorted(heights, middles - REACH_MM), np.searchsorted(heights, middles + REACH_MM, side="right")
    # At least two frames on each side, and half of the reach.
    usable = (np.minimum(place - first, last - place) >= 2) & (
        np.minimum(middles - heights[0], heights[-1] - middles) >= REACH_MM / 2
    )
    if near is not None:
        usable &= np.abs(middles - near) <= NEAR_MM + REACH_MM
    # The means on both sides come at once for all places; medians are taken where these tell of half of the largest step or more.
    sums = np.concatenate([[0.0], np.cumsum(values)])
    drop = (sums[place] - sums[first]) / np.maximum(place - first, 1) - (sums[last] - sums[place]) / np.maximum(last - place, 1)
    if not usable.any() or (largest := float(drop[usable].max())) <= 0:
        return None
    best, found = 0.0, None
    for index in np.flatnonzero(usable & (drop >= largest / 2)):
        low, high = (float(np.median(values[slice(*ends)])) for ends in ((first[index], place[index]), (place[index], last[index])))
        if (size := step(low, high)) > best:
            window = slice(first[index], last[index])
            at = _crossing(heights[window], values[window], (low + high) / 2)
            clear = values[(heights > at + CLEAR_MM) & (heights < at + REACH_MM)]
            if above is not None and not ((clear > above[0]) & (clear < above[1])).all():
                continue
            if near is None or abs(at - near) <= NEAR_MM:
                best, found = size, at
    return found


def _crossing(heights: NDArray[np.float64], values: NDArray[np.float64], level: float) -> float:
    """Return where values, falling on the whole, pass a level: the middle between their first and their last passage."""
    over = values > level
    passed = np.flatnonzero(over[:-1] != over[1:])
    if passed.size == 0:
        return float(heights.mean())
    share = (values[passed] - level) / (values[passed] - values[passed + 1])
    places = heights[passed] + share * (heights[passed + 1] - heights[passed])
    return float((places[0] + places[-1]) / 2)


PAIR: Final = Pair(name=NAME, per_frame=per_frame, combine=combine)
