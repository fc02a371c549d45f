"""Pieces of metal in a slice: where they lie, which pixels they fill, and how long the way of each ray through them is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from medqa.simulate.ct.grids import coarse
from medqa.simulate.ct.tissue import Mask, patient
from medqa.simulate.degradation import Parameters
from medqa.simulate.projector import Beam
from medqa.volume import Array

GRID: Final = 128
"""Places are sought on at most this many rows or columns."""
BONE_HU: Final = 250.0
APART_MM: Final = 30.0
"""Least distance of the centres of two pieces."""
DEEP_MM: Final = 15.0
"""Least distance of a piece's centre from the skin, where there is room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Implant:
    """An elliptic section of metal: centre from the axis of rotation (x to the right, y down), half axes, turn from x towards y."""

    x_mm: float
    y_mm: float
    half_length_mm: float
    half_width_mm: float
    turn_rad: float

    def fills(self, shape: tuple[int, ...], pixel_mm: float) -> Mask:
        """Return the pixels whose centres lie in the metal, at least the nearest one."""
        y, x = np.ogrid[: shape[0], : shape[1]]
        right = (x - (shape[1] - 1) / 2) * pixel_mm - self.x_mm
        down = (y - (shape[0] - 1) / 2) * pixel_mm - self.y_mm
        cosine, sine = np.cos(self.turn_rad), np.sin(self.turn_rad)
        along, across = right * cosine + down * sine, down * cosine - right * sine
        least = 0.71 * pixel_mm
        half_length, half_width = max(self.half_length_mm, least), max(self.half_width_mm, least)
        return np.asarray((along / half_length) ** 2 + (across / half_width) ** 2 <= 1)

    def chords(self, beam: Beam) -> Array:
        """Return the way of each ray through the metal in mm, `(views, detectors)`, averaged over the width of a channel."""
        angles = beam.angles[:, None]
        turned = angles - self.turn_rad
        square = (self.half_length_mm * np.cos(turned)) ** 2 + (self.half_width_mm * np.sin(turned)) ** 2
        centre = self.x_mm * np.cos(angles) + self.y_mm * np.sin(angles)
        out = np.zeros((beam.views, beam.detectors))
        parts = 4
        for part in range(parts):
            offset = ((part + 0.5) / parts - 0.5) * beam.spacing_mm
            away = (beam.positions_mm[None, :] + offset - centre) ** 2
            out += 2 * self.half_length_mm * self.half_width_mm / square * np.sqrt(np.maximum(square - away, 0))
        return np.asarray(out / parts, dtype=np.float32)


def implants(array: Array, parameters: Parameters, pixel_mm: float) -> list[Implant]:
    """Place the pieces in bone or in soft tissue of a slice, by the plan's seed; fewer where there is no room.

    Pieces whose places are among the parameters (see `settled`) stay there, whatever the slice shows.
    """
    from scipy import ndimage

    if "piece_1_x_mm" in parameters:
        return _given(parameters)
    generator = np.random.default_rng(int(parameters["seed"]))
    small, small_mm = coarse(array, pixel_mm, GRID)
    inner = ndimage.distance_transform_edt(np.pad(patient(small), 1))[1:-1, 1:-1] * small_mm
    half_width = parameters["diameter_mm"] / 2
    roomy = inner >= min(max(3 * half_width, DEEP_MM), 0.6 * inner.max())
    bone = roomy & (small > BONE_HU)
    place = bone if parameters["in_bone"] and bone.any() else roomy
    rows, columns = np.nonzero(place)
    x = (columns - (small.shape[1] - 1) / 2) * small_mm
    y = (rows - (small.shape[0] - 1) / 2) * small_mm
    free = np.ones(x.size, dtype=bool)
    found: list[Implant] = []
    for _ in range(int(parameters["pieces"])):
        draw, turn = generator.random(), generator.uniform(-0.3, 0.3)
        left = np.flatnonzero(free)
        if not left.size:
            break
        chosen = left[int(draw * left.size)]
        found.append(
            Implant(
                x_mm=float(x[chosen]),
                y_mm=float(y[chosen]),
                half_length_mm=half_width * parameters["elongation"],
                half_width_mm=half_width,
                turn_rad=parameters["turn_rad"] + turn,
            )
        )
        free &= np.hypot(x - x[chosen], y - y[chosen]) > max(APART_MM, 4 * half_width)
    return found


def settled(array: Array, parameters: Parameters, pixel_mm: float) -> dict[str, float]:
    """Return the places of the pieces in this slice as parameters, so that they run through all slices of a series."""
    out: dict[str, float] = {}
    for number, piece in enumerate(implants(array, parameters, pixel_mm), start=1):
        name = f"piece_{number}"
        out |= {f"{name}_x_mm": piece.x_mm, f"{name}_y_mm": piece.y_mm, f"{name}_turn_rad": piece.turn_rad}
    return out


def _given(parameters: Parameters) -> list[Implant]:
    found: list[Implant] = []
    while (name := f"piece_{len(found) + 1}") + "_x_mm" in parameters:
        found.append(
            Implant(
                x_mm=parameters[f"{name}_x_mm"],
                y_mm=parameters[f"{name}_y_mm"],
                half_length_mm=parameters["diameter_mm"] / 2 * parameters["elongation"],
                half_width_mm=parameters["diameter_mm"] / 2,
                turn_rad=parameters[f"{name}_turn_rad"],
            )
        )
    return found
