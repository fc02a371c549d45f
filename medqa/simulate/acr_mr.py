"""A cylinder laid out like the large MR accreditation phantom of the ACR, and what is known of every test object in it.

From the feet up, slices 10 mm apart and 5 mm thick meet: holes of 1.1, 1.0 and 0.9 mm, ramps for the slice thickness and crossed
wedges for its position (slice 1); fluid alone (2 to 7); discs of low contrast in spokes (8 to 11), with wedges again in the last.
The grid for geometric accuracy is left out: the cylinder has its diameter. Sizes and contrasts are those of the guidance, the
places of the objects ours. Fluid gives signal, plastic none.

Source: American College of Radiology, Large Phantom Guidance for the ACR MRI Accreditation Program (2018): inside diameter 190 mm,
length 148 mm.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from medqa.simulate.inserts import Box, Insert, overlap
from medqa.simulate.shapes import Shape, soft
from medqa.volume import Array

DIAMETER_MM: Final = 190.0
LENGTH_MM: Final = 148.0
FLUID: Final = 1000.0
SLICES: Final = 11
SLICE_MM: Final = 10.0
"""Distance of the slices that the guidance prescribes; the first and the last cross the wedges where they cross."""
VERTEX_MM: Final = (-50.0, 50.0)
"""Heights at which the wedges cross."""
HOLES_MM: Final = (1.1, 1.0, 0.9)
HOLES_AT_MM: Final = ((-28.0, 42.0), (0.0, 42.0), (28.0, 42.0))
"""The hole that the two arrays of a pair share."""
STAGGER: Final = 0.2
"""How far a row is shifted against the one before it, as a share of the diameter of its holes."""
BLOCK: Final = Box(low_mm=(-45.0, 27.0), high_mm=(45.0, 57.0), value=0.0)
CONTRASTS: Final = (0.014, 0.025, 0.036, 0.051)
DISCS_MM: Final = tuple(7.0 - 5.5 * spoke / 9 for spoke in range(10))
"""Diameters of the three discs of a spoke, clockwise from the top."""
DISC_RINGS_MM: Final = (13.0, 25.0, 37.0)
SHEET_MM: Final = 45.0
WEDGE_MM: Final = 8.0
WEDGE_LENGTH_MM: Final = 20.0
RAMP_SLOPE: Final = 0.1
RAMP_SLOT_MM: Final = 1.0
RAMP_HALF_MM: Final = 75.0
RAMPS_MM: Final = ((-6.0, -1.0, 1.0), (1.0, 6.0, -1.0))
"""Lower and upper end along y, and the way that the ramp climbs along x."""
GHOST_MM: Final = (12.0, 80.0)
"""Width and length of the regions in the air around the cylinder: about 10 square centimetres."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A stretch along z in which the phantom is the same: with holes and ramps, or discs of a contrast, or neither."""

    low_mm: float
    high_mm: float
    holes: bool = False
    contrast: float | None = None
    vertex_mm: float | None = None


SECTIONS: Final = (
    Section(low_mm=-LENGTH_MM / 2, high_mm=-57.5),
    Section(low_mm=-57.5, high_mm=-42.5, holes=True, vertex_mm=VERTEX_MM[0]),
    Section(low_mm=-42.5, high_mm=15.0),
    *(Section(low_mm=15.0 + 10 * n, high_mm=25.0 + 10 * n, contrast=contrast) for n, contrast in enumerate(CONTRASTS[:-1])),
    Section(low_mm=45.0, high_mm=57.5, contrast=CONTRASTS[-1], vertex_mm=VERTEX_MM[1]),
    Section(low_mm=57.5, high_mm=LENGTH_MM / 2),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wedge:
    """A bar of plastic that hangs from the top; it gets longer or shorter by 1 mm for every mm along z (`side` 1 or -1).

    The end is as blurred as the slice is thick, `thickness_mm`.
    """

    low_mm: float
    high_mm: float
    vertex_mm: float
    side: float
    thickness_mm: float
    value: float = 0.0

    def window(self, z: float) -> tuple[float, float, float, float] | None:
        """Bounds at height `z`."""
        return -DIAMETER_MM / 2, self._end(z) + self.thickness_mm, self.low_mm, self.high_mm

    def cover(self, y: Array, x: Array, z: float, pixel_mm: float) -> Array:
        """Share of each pixel that is covered."""
        down = soft(np.asarray(self._end(z) - y, dtype=np.float32), max(self.thickness_mm, pixel_mm))
        return down * overlap(x, self.low_mm, self.high_mm, pixel_mm)

    def _end(self, z: float) -> float:
        return -DIAMETER_MM / 2 + WEDGE_LENGTH_MM + self.side * (z - self.vertex_mm)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ramp:
    """A thin sheet of fluid that climbs by `RAMP_SLOPE` along x: a slice shows a stretch ten times as long as it is thick."""

    low_mm: float
    high_mm: float
    vertex_mm: float
    side: float
    thickness_mm: float
    value: float = FLUID

    def window(self, z: float) -> tuple[float, float, float, float] | None:
        """Bounds, the same at every height."""
        del z
        return self.low_mm, self.high_mm, -RAMP_HALF_MM, RAMP_HALF_MM

    def cover(self, y: Array, x: Array, z: float, pixel_mm: float) -> Array:
        """Share of each pixel that is covered."""
        climb = self.side * RAMP_SLOPE * x + self.vertex_mm - z
        along = overlap(0.0, climb - RAMP_SLOT_MM / 2, climb + RAMP_SLOT_MM / 2, self.thickness_mm)
        inside = overlap(x, -RAMP_HALF_MM, RAMP_HALF_MM, pixel_mm)
        return overlap(y, self.low_mm, self.high_mm, pixel_mm) * along * inside


def parts(z: float, thickness_mm: float) -> Iterator[tuple[Section, float, float]]:
    """Yield the sections that a slice around `z` meets, with where in them it begins and ends."""
    for section in SECTIONS:
        low, high = max(section.low_mm, z - thickness_mm / 2), min(section.high_mm, z + thickness_mm / 2)
        if high > low:
            yield section, low, high


def shapes(section: Section, thickness_mm: float) -> Iterator[Shape]:
    """Yield what a section shows to a slice of a thickness, in the order in which it is painted."""
    yield Insert(name="cylinder", centre_mm=(0.0, 0.0), radius_mm=DIAMETER_MM / 2, value=FLUID)
    if section.contrast is not None:
        yield Insert(name="sheet", centre_mm=(0.0, 0.0), radius_mm=SHEET_MM, value=FLUID * (1 - section.contrast))
        yield from discs(section)
    if section.vertex_mm is not None:
        for side, low, high in ((-1.0, -WEDGE_MM, 0.0), (1.0, 0.0, WEDGE_MM)):
            yield Wedge(low_mm=low, high_mm=high, vertex_mm=section.vertex_mm, side=side, thickness_mm=thickness_mm)
    if section.holes:
        yield Box(low_mm=(-RAMP_HALF_MM - 5, -10.0), high_mm=(RAMP_HALF_MM + 5, 10.0), value=0.0)
        for low, high, side in RAMPS_MM:
            yield Ramp(low_mm=low, high_mm=high, vertex_mm=VERTEX_MM[0], side=side, thickness_mm=thickness_mm)
        yield BLOCK
        yield from holes(section)


def holes(section: Section) -> Iterator[Insert]:
    """Yield the holes of all arrays: four rows above and left of the shared hole, four columns below and right of it."""
    for diameter, (x, y) in zip(HOLES_MM, HOLES_AT_MM, strict=True):
        places = {("rows", -2 * i - STAGGER * j, -2.0 * j) for i in range(4) for j in range(4)}
        places |= {("columns", 2.0 * i, 2 * j + STAGGER * i) for i in range(4) for j in range(4)} - {("columns", 0.0, 0.0)}
        for array, right, down in sorted(places):
            yield Insert(
                name=f"{diameter:g} mm {array}",
                centre_mm=(x + right * diameter, y + down * diameter),
                radius_mm=diameter / 2,
                value=FLUID,
                low_mm=section.low_mm,
                high_mm=section.high_mm,
            )


def discs(section: Section) -> Iterator[Insert]:
    """Yield the discs of a sheet, spoke after spoke, clockwise from the top."""
    for spoke, diameter in enumerate(DISCS_MM):
        angle = math.radians(36.0 * spoke - 90.0)
        for ring in DISC_RINGS_MM:
            yield Insert(
                name=f"spoke {spoke + 1}",
                centre_mm=(ring * math.cos(angle), ring * math.sin(angle)),
                radius_mm=diameter / 2,
                value=FLUID,
                low_mm=section.low_mm,
                high_mm=section.high_mm,
            )


def truth(field_mm: float) -> dict[str, Any]:
    """Return every test object in plain values, and where the air shows ghosts in a field of view."""
    return {
        "diameter_mm": DIAMETER_MM,
        "length_mm": LENGTH_MM,
        "uniform_mm": [-42.5, 15.0],
        "wedges": [{"vertex_z_mm": vertex, "right_minus_left_mm_per_mm": 2.0} for vertex in VERTEX_MM],
        "ramps": {"slope": RAMP_SLOPE, "vertex_z_mm": VERTEX_MM[0]},
        "holes": [one.to_json("signal") for section in SECTIONS if section.holes for one in holes(section)],
        "discs": [
            one.to_json("signal") | {"contrast": section.contrast}
            for section in SECTIONS
            if section.contrast is not None
            for one in discs(section)
        ],
        "air": ghost_regions(field_mm),
    }


def ghost_regions(field_mm: float) -> dict[str, dict[str, float]]:
    """Return rectangles in the air between cylinder and border, by side; none where the field of view leaves no room."""
    width, length = GHOST_MM
    middle = (DIAMETER_MM + field_mm) / 4
    if field_mm / 2 - DIAMETER_MM / 2 < width + 4:
        return {}
    sides = {"left": (-middle, 0.0), "right": (middle, 0.0), "top": (0.0, -middle), "bottom": (0.0, middle)}
    return {
        side: {"x_mm": x, "y_mm": y, "width_mm": width if x else length, "height_mm": length if x else width}
        for side, (x, y) in sides.items()
    }
