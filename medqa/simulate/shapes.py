"""Ellipsoids and rods in millimetres, painted slice by slice with soft edges: what the phantoms are made of.

Coordinates are LPS (x to the patient's left, y to the back, z to the head), the origin in the middle of the grid.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from medqa.volume import Array, Vector


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A stack of square slices: numbers and spacings."""

    slices: int
    size: int
    pixel_mm: float
    spacing_mm: float
    centre_z_mm: float = 0.0

    @property
    def axis_mm(self) -> Array:
        """Coordinates of the pixels along x, and along y, `(size,)`."""
        return ((np.arange(self.size) - (self.size - 1) / 2) * self.pixel_mm).astype(np.float32)

    @property
    def heights_mm(self) -> Array:
        """Z of each slice, from the feet up, `(slices,)`."""
        return ((np.arange(self.slices) - (self.slices - 1) / 2) * self.spacing_mm + self.centre_z_mm).astype(np.float32)

    def plane(self) -> tuple[Array, Array]:
        """Return y as a column and x as a row, to be broadcast."""
        axis = self.axis_mm
        return axis[:, None], axis[None, :]


class Shape(Protocol):
    """Something with a value, that knows how much of each pixel it covers."""

    @property
    def value(self) -> float:
        """What it is filled with."""

    def window(self, z: float) -> tuple[float, float, float, float] | None:
        """Bounds `(y low, y high, x low, x high)` at height `z`; None where the shape is not there."""

    def cover(self, y: Array, x: Array, z: float, pixel_mm: float) -> Array:
        """Share of each pixel that is covered, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Ellipsoid:
    """Centre and radii along `(x, y, z)`, turned about z; `power` over 2 makes it boxier."""

    centre: Vector
    radii: Vector
    value: float
    turn_deg: float = 0.0
    power: float = 2.0

    def window(self, z: float) -> tuple[float, float, float, float] | None:
        """Bounds at height `z`."""
        (cx, cy, cz), (rx, ry, rz) = self.centre, self.radii
        if abs(z - cz) >= rz:
            return None
        reach_x, reach_y = (rx, ry) if self.turn_deg == 0 else (max(rx, ry), max(rx, ry))
        return cy - reach_y, cy + reach_y, cx - reach_x, cx + reach_x

    def cover(self, y: Array, x: Array, z: float, pixel_mm: float) -> Array:
        """Share of each pixel that is covered."""
        (cx, cy, cz), (rx, ry, rz) = self.centre, self.radii
        cosine, sine = math.cos(math.radians(self.turn_deg)), math.sin(math.radians(self.turn_deg))
        u = ((x - cx) * cosine + (y - cy) * sine) / rx
        v = ((y - cy) * cosine - (x - cx) * sine) / ry
        w = abs((z - cz) / rz)
        r = (np.abs(u) ** self.power + np.abs(v) ** self.power + w**self.power) ** (1 / self.power)
        return soft((1 - r) * min(rx, ry), pixel_mm)


@dataclass(frozen=True, slots=True)
class Rod:
    """A cylinder with round ends from `start` to `end`."""

    start: Vector
    end: Vector
    radius: float
    value: float

    def window(self, z: float) -> tuple[float, float, float, float] | None:
        """Bounds at height `z`."""
        (x0, y0, z0), (x1, y1, z1) = self.start, self.end
        r = self.radius
        if not min(z0, z1) - r < z < max(z0, z1) + r:
            return None
        if abs(z1 - z0) > 2 * r:  # a steep rod crosses the plane in a small place
            low, high = sorted(min(max((z + side - z0) / (z1 - z0), 0.0), 1.0) for side in (-r, r))
            (x0, x1), (y0, y1) = ((a + low * (b - a), a + high * (b - a)) for a, b in ((x0, x1), (y0, y1)))
        return min(y0, y1) - r, max(y0, y1) + r, min(x0, x1) - r, max(x0, x1) + r

    def cover(self, y: Array, x: Array, z: float, pixel_mm: float) -> Array:
        """Share of each pixel that is covered."""
        ax, ay, az = self.start
        dx, dy, dz = (end - start for start, end in zip(self.start, self.end, strict=True))
        length = dx * dx + dy * dy + dz * dz
        along = np.clip(((x - ax) * dx + (y - ay) * dy + (z - az) * dz) / max(length, 1e-6), 0, 1)
        distance = np.sqrt((x - ax - along * dx) ** 2 + (y - ay - along * dy) ** 2 + (z - az - along * dz) ** 2)
        return soft(np.asarray(self.radius - distance, dtype=np.float32), pixel_mm)


def soft(depth_mm: Array, pixel_mm: float) -> Array:
    """Return how much of a pixel lies inside an edge at `depth_mm`: one half on it, all or none a pixel away from it."""
    return np.asarray(np.clip(depth_mm / pixel_mm + 0.5, 0, 1), dtype=np.float32)


def paint_depth(image: Array, depth_mm: Array, value: float, grid: Grid) -> None:
    """Blend a value into a slice where the depth below a surface is positive, in place."""
    image += soft(depth_mm, grid.pixel_mm) * (np.float32(value) - image)


def paint(image: Array, grid: Grid, z: float, shapes: Iterable[Shape]) -> None:
    """Blend shapes into a slice `(y, x)`, the later over the earlier, in place."""
    axis = grid.axis_mm
    for shape in shapes:
        window = shape.window(z)
        if window is None:
            continue
        bounds = np.searchsorted(axis, np.asarray(window) + np.array([-1, 1, -1, 1]) * grid.pixel_mm)
        rows, columns = slice(bounds[0], bounds[1]), slice(bounds[2], bounds[3])
        part = image[rows, columns]
        if part.size:
            part += shape.cover(axis[rows, None], axis[None, columns], z, grid.pixel_mm) * (np.float32(shape.value) - part)
