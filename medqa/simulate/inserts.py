"""Test objects of known place, size and value: rods along z, balls, boxes and line pairs; painted like any other shape.

What is painted is the truth: a metric is held against the same values. Coordinates are those of `shapes`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medqa.simulate.shapes import soft
from medqa.volume import Array, Vector


@dataclass(frozen=True, slots=True, kw_only=True)
class Insert:
    """A rod along z: `centre_mm` along `(x, y)`, `value` in HU or the phantom's own unit, from `low_mm` up to `high_mm` along z."""

    name: str
    centre_mm: tuple[float, float]
    radius_mm: float
    value: float
    low_mm: float = -math.inf
    high_mm: float = math.inf

    def window(self, z: float) -> tuple[float, float, float, float] | None:
        """Bounds `(y low, y high, x low, x high)` at height `z`; None where the rod is not there."""
        if not self.low_mm <= z < self.high_mm:
            return None
        (x, y), r = self.centre_mm, self.radius_mm
        return y - r, y + r, x - r, x + r

    def cover(self, y: Array, x: Array, z: float, pixel_mm: float) -> Array:
        """Share of each pixel that is covered."""
        distance = np.hypot(x - np.float32(self.centre_mm[0]), y - np.float32(self.centre_mm[1]))
        return soft(np.asarray(self.radius_mm - distance, dtype=np.float32), pixel_mm)

    def to_json(self, quantity: str = "hu") -> dict[str, Any]:
        """Return the truth in plain values, the value under the name of its `quantity`; no bounds along z where it has none."""
        x, y = self.centre_mm
        told = {"name": self.name, "x_mm": x, "y_mm": y, "radius_mm": self.radius_mm, quantity: self.value}
        return told | _extent(self.low_mm, self.high_mm)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ball:
    """A ball: `centre_mm` along `(x, y, z)`."""

    name: str
    centre_mm: Vector
    radius_mm: float
    value: float

    def window(self, z: float) -> tuple[float, float, float, float] | None:
        """Bounds at height `z`."""
        (x, y, height), r = self.centre_mm, self.radius_mm
        return (y - r, y + r, x - r, x + r) if abs(z - height) < r else None

    def cover(self, y: Array, x: Array, z: float, pixel_mm: float) -> Array:
        """Share of each pixel that is covered."""
        across, down, along = self.centre_mm
        distance = np.sqrt((x - across) ** 2 + (y - down) ** 2 + (z - along) ** 2)
        return soft(np.asarray(self.radius_mm - distance, dtype=np.float32), pixel_mm)

    def to_json(self, quantity: str) -> dict[str, Any]:
        """Return the truth in plain values, the value under the name of its `quantity`."""
        x, y, z = self.centre_mm
        return {"name": self.name, "x_mm": x, "y_mm": y, "z_mm": z, "radius_mm": self.radius_mm, quantity: self.value}


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A right-angled box, endless along z: `low_mm` and `high_mm` along `(x, y)`."""

    low_mm: tuple[float, float]
    high_mm: tuple[float, float]
    value: float

    def window(self, z: float) -> tuple[float, float, float, float] | None:
        """Bounds, the same at every height."""
        del z
        return self.low_mm[1], self.high_mm[1], self.low_mm[0], self.high_mm[0]

    def cover(self, y: Array, x: Array, z: float, pixel_mm: float) -> Array:
        """Share of each pixel that is covered."""
        del z
        down, across = (overlap(axis, self.low_mm[n], self.high_mm[n], pixel_mm) for n, axis in ((1, y), (0, x)))
        return down * across


def overlap(middle: Array | float, low: Array | float, high: Array | float, width: float) -> Array:
    """Return which share of intervals of a width around their middles lies between two ends."""
    ends = np.minimum(middle + width / 2, high) - np.maximum(middle - width / 2, low)
    return np.asarray(np.maximum(ends, 0) / width, dtype=np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinePairs:
    """Bars of `value` HU along y, as wide as the gaps between them, in a square of at most `side_mm`; a bar comes first."""

    pairs_per_cm: float
    centre_mm: tuple[float, float]
    side_mm: float
    value: float
    low_mm: float = -math.inf
    high_mm: float = math.inf

    @property
    def frequency_per_mm(self) -> float:
        """Line pairs per millimetre."""
        return self.pairs_per_cm / 10

    @property
    def pairs(self) -> int:
        """How many whole pairs there are."""
        return int(self.side_mm * self.frequency_per_mm)

    @property
    def width_mm(self) -> float:
        """Width of all pairs together."""
        return self.pairs / self.frequency_per_mm

    def window(self, z: float) -> tuple[float, float, float, float] | None:
        """Bounds at height `z`."""
        if not self.low_mm <= z < self.high_mm:
            return None
        (x, y), half = self.centre_mm, self.side_mm / 2
        return y - half, y + half, x - self.width_mm / 2, x + self.width_mm / 2

    def cover(self, y: Array, x: Array, z: float, pixel_mm: float) -> Array:
        """Share of each pixel that is covered, exact along x, so that bars finer than a pixel become their mean."""
        left = self.centre_mm[0] - self.width_mm / 2
        ends = ((x.astype(np.float64) + side * pixel_mm / 2 - left) * self.frequency_per_mm for side in (1, -1))
        covered = np.subtract(*(self._bars_before(end) for end in ends)) / (self.frequency_per_mm * pixel_mm)
        inside = soft(np.asarray(self.side_mm / 2 - np.abs(y - self.centre_mm[1]), dtype=np.float32), pixel_mm)
        return np.asarray(covered * inside, dtype=np.float32)

    def _bars_before(self, position: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return how much bar, in periods, lies left of a position in periods."""
        inside = np.clip(position, 0, self.pairs)
        whole = np.floor(inside)
        return np.asarray(0.5 * whole + np.minimum(inside - whole, 0.5), dtype=np.float64)

    def to_json(self) -> dict[str, Any]:
        """Return the truth in plain values; no bounds along z where it has none."""
        x, y = self.centre_mm
        told = {"pairs_per_cm": self.pairs_per_cm, "x_mm": x, "y_mm": y, "side_mm": self.side_mm, "hu": self.value}
        return told | _extent(self.low_mm, self.high_mm)


def _extent(low_mm: float, high_mm: float) -> dict[str, float]:
    return {name: value for name, value in (("low_mm", low_mm), ("high_mm", high_mm)) if math.isfinite(value)}
