"""Overlap of the body's outline on PET and on CT: one body that lay still, whole in both fields of view, or not.

    overlap = 2 |P and C| / (|P| + |C|),  over all slices that have a CT slice at their height   (Dice, Ecology 1945; 26:297-302,
                                                                                                  doi 10.2307/1932409)

Arms that the field of view of the CT cuts off (Sureshbabu and Mawlawi, PET/CT imaging artifacts, J Nucl Med Technol 2005; 33:156)
and a body or head that moved between the two scans lower it. A frame's outline is kept as the distance of the body's border from
its centre in 36 directions; what lies between the trunk and an arm counts as body in both modalities.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from medqa.codes import Unit, own
from medqa.errors import NotApplicable
from medqa.measurement import Measurement
from medqa.metrics.metric import Partial
from medqa.metrics.pair import Pair, matched
from medqa.metrics.pt_body import searched
from medqa.metrics.pt_field import field
from medqa.regions import ALONG_PATIENT, Mask, Regions
from medqa.series import Frame, Series

NAME: Final = "pt_ct_overlap"
SOURCE: Final = "Dice, Ecology 1945;26:297; PET/CT artefacts: J Nucl Med Technol 2005;33:156"
DIRECTIONS: Final = 36
GRID_MM: Final = 5.0
"""Outlines are compared on this grid."""
MIN_SLICES: Final = 3


def per_frame(regions: Regions) -> dict[str, Any] | None:
    """Return height, centre and radii of the body's outline in mm; None without a body, a place, or where the slice is not axial.

    Returns
    -------
    dict or None
        `z`, `centre` (x, y) and `radii` (36 of them, counted from the patient's left to the back), in mm.
    """
    frame = regions.image.frame
    if not is_axial(frame):
        return None
    body, spacing = _body(regions)
    if not body.any():
        return None
    (x0, y0, z), (right, down) = frame.header.position_mm or (0.0, 0.0, 0.0), frame.header.orientation or ((1.0,), (0.0, 1.0))
    row, column = np.nonzero(body & ~_inner(body))
    x = x0 + column * spacing[1] * np.sign(right[0])
    y = y0 + row * spacing[0] * np.sign(down[1])
    centre = (x.min() + x.max()) / 2, (y.min() + y.max()) / 2
    across, along = x - centre[0], y - centre[1]
    sector = np.floor((np.arctan2(along, across) % (2 * math.pi)) / (2 * math.pi) * DIRECTIONS).astype(int) % DIRECTIONS
    radii = np.zeros(DIRECTIONS)
    np.maximum.at(radii, sector, np.hypot(across, along) + (spacing[0] + spacing[1]) / 4)
    return {
        "z": float(z),
        "centre": [round(float(centre[0]), 1), round(float(centre[1]), 1)],
        "radii": [round(float(radius), 1) for radius in radii],
    }


def is_axial(frame: Frame) -> bool:
    """Return whether a frame has a place, and its rows run across the patient and its columns from front to back, or nearly."""
    place = frame.header.orientation
    if place is None or frame.header.position_mm is None or frame.header.spacing_mm is None:
        return False
    return abs(place[0][0]) > ALONG_PATIENT and abs(place[1][1]) > ALONG_PATIENT


def _body(regions: Regions) -> tuple[Mask, tuple[float, float]]:
    """Return the body and the distance of its rows and columns."""
    if regions.image.frame.modality != "PT":
        return regions.body, regions.element_mm
    seen = field(regions)
    return (searched(regions.values), regions.element_mm) if seen is None else (seen.body, seen.spacing_mm)


def _inner(mask: Mask) -> Mask:
    """Return the elements whose four neighbours are in the mask."""
    inner = np.zeros_like(mask)
    inner[1:-1, 1:-1] = mask[2:, 1:-1] & mask[:-2, 1:-1] & mask[1:-1, 2:] & mask[1:-1, :-2]
    return inner


def filled(partial: Partial, x: NDArray[np.float64], y: NDArray[np.float64]) -> Mask:
    """Return which places `(y, x)` lie within an outline."""
    across, along = x - partial["centre"][0], y - partial["centre"][1]
    # A radius belongs to the middle of its sector; between two of them it changes evenly.
    turn = np.arctan2(along, across) / (2 * math.pi) * DIRECTIONS - 0.5
    radii = np.interp(turn % DIRECTIONS, np.arange(DIRECTIONS + 1), [*partial["radii"], partial["radii"][0]])
    inside: Mask = np.hypot(across, along) <= radii
    return inside


def combine(pet: Series, pet_partials: Sequence[Partial | None], ct: Series, ct_partials: Sequence[Partial | None]) -> Measurement:
    """Return the overlap, 0 to 1.

    Raises
    ------
    NotApplicable
        `not_matched` where the series do not share a frame of reference or fewer than `MIN_SLICES` heights; `no_body` where one of
        them shows no body.
    """
    matched(NAME, pet, ct)
    seen, other = ([one for one in partials if one is not None] for partials in (pet_partials, ct_partials))
    if not seen or not other:
        raise NotApplicable(what=NAME, reason="no_body")
    heights = np.array([one["z"] for one in other])
    reach = max(pet.volume.spacing_mm[0], ct.volume.spacing_mm[0]) / 2 + 0.1
    both, sizes, slices = 0, 0, 0
    for one in seen:
        nearest = int(np.argmin(np.abs(heights - one["z"])))
        if abs(heights[nearest] - one["z"]) > reach:
            continue
        pair = one, other[nearest]
        width = max(abs(part["centre"][axis]) + max(part["radii"]) for part in pair for axis in (0, 1))
        axis = np.arange(-width, width + GRID_MM, GRID_MM)
        first, second = (filled(part, axis[None, :], axis[:, None]) for part in pair)
        both, sizes, slices = both + int((first & second).sum()), sizes + int(first.sum()) + int(second.sum()), slices + 1
    if slices < MIN_SLICES:
        raise NotApplicable(what=NAME, reason="not_matched")
    return Measurement(
        quantity=own(NAME, "Overlap of the body on PET and CT"), value=2 * both / sizes, unit=Unit.ONE, source=SOURCE
    )


PAIR: Final = Pair(name=NAME, per_frame=per_frame, combine=combine)
