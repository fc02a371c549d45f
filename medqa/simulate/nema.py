"""A trunk of water laid out like the image-quality phantom of NEMA NU 2: six hot spheres around a lung without activity.

The spheres have their centres in one plane, 70 mm below the upper end, on a ring around the middle of the trunk.

Source: NEMA NU 2-2018, Performance Measurements of Positron Emission Tomographs, section 7; the walls are left out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from medqa.simulate.inserts import Ball, Insert
from medqa.simulate.shapes import soft
from medqa.volume import Array

LENGTH_MM: Final = 180.0
FRONT_MM: Final = 147.0
"""Radius of the front, half a circle."""
BACK_MM: Final = 77.0
"""Radius of both corners at the back; between them it is flat."""
FLAT_MM: Final = 140.0
MIDDLE_MM: Final = (FRONT_MM - BACK_MM) / 2
"""How far in front of the centre of the half circle the middle of the trunk lies."""
AREA_MM2: Final = math.pi * FRONT_MM**2 / 2 + FLAT_MM * BACK_MM + math.pi * BACK_MM**2 / 2
SPHERES_MM: Final = (37.0, 28.0, 22.0, 17.0, 13.0, 10.0)
"""Inner diameters, clockwise from the patient's left."""
RING_MM: Final = 57.2
PLANE_MM: Final = LENGTH_MM / 2 - 70.0
LUNG_MM: Final = 50.0
LUNG_DENSITY: Final = 0.3
CONTRAST: Final = 4.0
"""Activity in the spheres over that around them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trunk:
    """The outline, its middle on the axis."""

    value: float

    def window(self, z: float) -> tuple[float, float, float, float] | None:
        """Bounds at height `z`."""
        if abs(z) > LENGTH_MM / 2:
            return None
        return -FRONT_MM + MIDDLE_MM, BACK_MM + MIDDLE_MM, -FRONT_MM, FRONT_MM

    def cover(self, y: Array, x: Array, z: float, pixel_mm: float) -> Array:
        """Share of each pixel that is covered."""
        del z
        behind = y - np.float32(MIDDLE_MM)
        front = FRONT_MM - np.hypot(x, behind)
        back = BACK_MM - np.hypot(np.maximum(np.abs(x) - np.float32(FLAT_MM / 2), 0), behind)
        return soft(np.asarray(np.where(behind < 0, front, back), dtype=np.float32), pixel_mm)


def spheres() -> tuple[Ball, ...]:
    """Return the spheres, their values over that of the background."""
    turns = (math.radians(60.0 * number) for number in range(len(SPHERES_MM)))
    return tuple(
        Ball(
            name=f"sphere {diameter:g} mm",
            centre_mm=(RING_MM * math.cos(turn), RING_MM * math.sin(turn), PLANE_MM),
            radius_mm=diameter / 2,
            value=CONTRAST,
        )
        for diameter, turn in zip(SPHERES_MM, turns, strict=True)
    )


def lung(value: float) -> Insert:
    """Return the cylinder in the middle, as long as the trunk."""
    return Insert(
        name="lung",
        centre_mm=(0.0, 0.0),
        radius_mm=LUNG_MM / 2,
        value=value,
        low_mm=-LENGTH_MM / 2,
        high_mm=LENGTH_MM / 2,
    )


def background() -> tuple[Ball, ...]:
    """Return balls in the background, away from spheres, lung and wall."""
    places = ((0.0, -85.0, PLANE_MM), (-105.0, 30.0, PLANE_MM), (105.0, 30.0, PLANE_MM), (60.0, -20.0, -50.0))
    return tuple(
        Ball(name=f"background {number}", centre_mm=place, radius_mm=15.0, value=1.0)
        for number, place in enumerate(places, start=1)
    )
