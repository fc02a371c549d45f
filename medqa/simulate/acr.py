"""A cylinder of solid water laid out like the accreditation phantom of the ACR: four modules along z, 4 cm each.

From the feet up: CT numbers, low contrast, uniformity, line pairs. Diameters and materials are those of the phantom; the places of
the rods are ours, and the background is water everywhere.

Source: McCollough et al., The phantom portion of the American College of Radiology (ACR) Computed Tomography (CT) accreditation
program, Med Phys 31:2423 (2004).
"""

from __future__ import annotations

import math
from typing import Final

from medqa.simulate.inserts import Insert, LinePairs

DIAMETER_MM: Final = 200.0
MODULE_MM: Final = 40.0
LENGTH_MM: Final = 4 * MODULE_MM
MATERIALS: Final = {"polyethylene": -95.0, "bone": 955.0, "acrylic": 120.0, "air": -1000.0, "water": 0.0}
"""HU of the rods of the first module."""
ROD_MM: Final = 25.0
ROD_RING_MM: Final = 60.0
LOW_CONTRAST_HU: Final = 6.0
LOW_CONTRAST_MM: Final = (6.0, 5.0, 4.0, 3.0, 2.0)
"""Diameters of the groups of four rods; one of `ROD_MM` stands beside them."""
GROUP_RING_MM: Final = 55.0
PAIRS_PER_CM: Final = (4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 12.0)
PATTERN_MM: Final = 15.0
PATTERN_RING_MM: Final = 65.0
ALUMINIUM_HU: Final = 2300.0
"""At about 70 keV: the attenuation coefficient is 3.3 times that of water."""


def bounds_mm(module: int) -> tuple[float, float]:
    """Return where a module, 0 to 3, begins and ends along z."""
    low = -LENGTH_MM / 2 + module * MODULE_MM
    return low, low + MODULE_MM


def inserts() -> tuple[Insert, ...]:
    """Return the cylinder and all rods, in the order in which they are painted."""
    low, high = -LENGTH_MM / 2, LENGTH_MM / 2
    cylinder = Insert(name="cylinder", centre_mm=(0.0, 0.0), radius_mm=DIAMETER_MM / 2, value=0.0, low_mm=low, high_mm=high)
    return (cylinder, *_materials(), *_low_contrast())


def patterns() -> tuple[LinePairs, ...]:
    """Return the line pairs of the last module."""
    low, high = bounds_mm(3)
    return tuple(
        LinePairs(
            pairs_per_cm=pairs,
            centre_mm=_on_ring(PATTERN_RING_MM, 45.0 * number),
            side_mm=PATTERN_MM,
            value=ALUMINIUM_HU,
            low_mm=low,
            high_mm=high,
        )
        for number, pairs in enumerate(PAIRS_PER_CM)
    )


def _materials() -> list[Insert]:
    low, high = bounds_mm(0)
    angles = (225.0, 135.0, 45.0, 315.0)
    places = [*(_on_ring(ROD_RING_MM, angle) for angle in angles), (0.0, 0.0)]
    return [
        Insert(name=name, centre_mm=place, radius_mm=ROD_MM / 2, value=value, low_mm=low, high_mm=high)
        for (name, value), place in zip(MATERIALS.items(), places, strict=True)
    ]


def _low_contrast() -> list[Insert]:
    """Rods of one diameter stand in a square, two diameters apart."""
    low, high = bounds_mm(1)
    rods = [("low contrast 25 mm", _on_ring(GROUP_RING_MM, 270.0), ROD_MM)]
    for number, diameter in enumerate(LOW_CONTRAST_MM):
        x, y = _on_ring(GROUP_RING_MM, 330.0 + 60.0 * number)
        rods += [
            (f"low contrast {diameter:g} mm", (x + right * diameter, y + down * diameter), diameter)
            for down in (-1, 1)
            for right in (-1, 1)
        ]
    return [
        Insert(name=name, centre_mm=place, radius_mm=diameter / 2, value=LOW_CONTRAST_HU, low_mm=low, high_mm=high)
        for name, place, diameter in rods
    ]


def _on_ring(radius_mm: float, degrees: float) -> tuple[float, float]:
    """Return the place at an angle from the patient's left, clockwise on the screen."""
    angle = math.radians(degrees)
    return radius_mm * math.cos(angle), radius_mm * math.sin(angle)
