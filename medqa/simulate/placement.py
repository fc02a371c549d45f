"""How a stack of slices lies in the patient: axial, with or without a tilted gantry, coronal, sagittal, or leaning.

Coordinates are LPS in mm. Sources: DICOM PS3.3 C.7.6.2.1.1 (Image Position and Image Orientation), C.7.6.1.1.1 (Patient
Orientation).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from medqa.volume import Vector

TOWARDS: Final = (("L", "R"), ("P", "A"), ("H", "F"))
"""Letters of Patient Orientation for positive and negative x, y and z."""
LEAST_COSINE: Final = 1e-4
"""A direction with less of an axis than this is at right angles to it."""

Point = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Directions of rows and of columns (unit vectors), the centre of the first slice, and the way from slice to slice."""

    across: Vector
    down: Vector
    first_mm: Vector
    step_mm: Vector

    @property
    def cosines(self) -> tuple[float, ...]:
        """Image Orientation (Patient)."""
        return *self.across, *self.down

    @property
    def letters(self) -> tuple[str, str]:
        """Patient Orientation: where rows and columns run to, the main direction first."""
        return letters(self.across), letters(self.down)

    def centre_mm(self, index: int) -> Point:
        """Return the centre of a slice."""
        centre: Point = np.asarray(self.first_mm) + index * np.asarray(self.step_mm)
        return centre

    def corner_mm(self, index: int, rows: int, columns: int, pixel_mm: float) -> Point:
        """Return the centre of a slice's first pixel: Image Position (Patient)."""
        back = (columns - 1) / 2 * np.asarray(self.across) + (rows - 1) / 2 * np.asarray(self.down)
        corner: Point = self.centre_mm(index) - pixel_mm * back
        return corner

    def location_mm(self, index: int) -> float:
        """Return the place of a slice along the way of the slices."""
        step = np.asarray(self.step_mm)
        return float(self.centre_mm(index) @ step / np.linalg.norm(step))


def tilted(*, first_z_mm: float, spacing_mm: float, tilt_deg: float = 0.0) -> Placement:
    """Return axial slices from the feet up; a tilted gantry leans them about the x axis while the table moves along z.

    The distance of neighbours along their normal is `spacing_mm` times the cosine of the tilt.
    """
    tilt = math.radians(tilt_deg)
    return Placement(
        across=(1.0, 0.0, 0.0),
        down=(0.0, math.cos(tilt), math.sin(tilt)),
        first_mm=(0.0, 0.0, first_z_mm),
        step_mm=(0.0, 0.0, spacing_mm),
    )


def letters(direction: Vector) -> str:
    """Return the letters of a direction: `L`, or `PH` where it runs to the back and less so to the head."""
    order = sorted(range(3), key=lambda axis: -abs(direction[axis]))
    return "".join(TOWARDS[axis][direction[axis] < 0] for axis in order if abs(direction[axis]) > LEAST_COSINE)
