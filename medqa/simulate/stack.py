"""What every simulated scan decides first: how many slices of how many pixels, and how far apart."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from medqa.errors import InvalidPhantom
from medqa.simulate.shapes import Grid
from medqa.volume import Array

LARGEST_MM: Final = 2000.0
"""Largest field of view: painted finely, a larger one would not fit the memory."""
Progress = Callable[[int, int], None]
"""Is told how many slices are done, and of how many."""


def silent(done: int, total: int) -> None:
    """Say nothing about progress."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """The slices that are asked for; what is None follows from the phantom: it is seen as a whole."""

    slices: int | None = None
    size: int
    spacing_mm: float
    pixel_mm: float | None = None

    def grid(self, *, field_mm: float, length_mm: float, centre_z_mm: float = 0.0) -> Grid:
        """Return the stack of slices that shows a field of view over a length.

        Raises
        ------
        InvalidPhantom
            Where size and pixels make a field of view of more than `LARGEST_MM`.
        """
        if self.size * (self.pixel_mm or 0) > LARGEST_MM:
            reason = f"{self.size} pixels of {self.pixel_mm:g} mm are more than {LARGEST_MM:g} mm"
            raise InvalidPhantom(phantom="in this field of view", reason=reason)
        return Grid(
            slices=self.slices or max(1, round(length_mm / self.spacing_mm)),
            size=self.size,
            pixel_mm=self.pixel_mm or field_mm / self.size,
            spacing_mm=self.spacing_mm,
            centre_z_mm=centre_z_mm,
        )


def finer(grid: Grid, finest_mm: float) -> tuple[Grid, int]:
    """Return a grid with pixels of at most `finest_mm` and how many make one: an odd number, so that the centres stay."""
    times = 2 * math.ceil((grid.pixel_mm / finest_mm - 1) / 2 - 1e-6) + 1 if grid.pixel_mm > finest_mm else 1
    fine = Grid(
        slices=grid.slices,
        size=grid.size * times,
        pixel_mm=grid.pixel_mm / times,
        spacing_mm=grid.spacing_mm,
        centre_z_mm=grid.centre_z_mm,
    )
    return fine, times


def per_pixel(fine: Array, times: int) -> Array:
    """Return the mean over the finer pixels that make a pixel, `(..., y, x)`."""
    *front, rows, columns = fine.shape
    return np.asarray(fine.reshape(*front, rows // times, times, columns // times, times).mean(axis=(-3, -1)), dtype=np.float32)
