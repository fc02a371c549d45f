"""Channels of the detector and the rings about the axis of rotation that they leave."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from medqa.simulate.ct.tissue import Mask, patient
from medqa.simulate.degradation import Parameters
from medqa.simulate.projector import Beam
from medqa.volume import Array

WIDTH: Final = 1.5
"""A track reaches this many channels to either side of its radius: the ramp filter makes a line this wide."""


def polar(shape: tuple[int, ...], pixel_mm: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return of each pixel the distance from the axis in mm and the angle from +x towards +y in radians."""
    y, x = (((np.arange(size) - (size - 1) / 2) * pixel_mm) for size in shape)
    return np.hypot(y[:, None], x[None, :]), np.arctan2(y[:, None], x[None, :])


def tracks(array: Array, pixel_mm: float, positions_mm: NDArray[np.float64], spacing_mm: float) -> Mask:
    """Return the full rings within the patient that channels at the given distances from the axis leave."""
    radius, _ = polar(array.shape, pixel_mm)
    out = np.zeros(array.shape, dtype=bool)
    for position in positions_mm:
        out |= np.abs(radius - abs(position)) <= WIDTH * spacing_mm
    return out & patient(array)


def settled(array: Array, parameters: Parameters, pixel_mm: float) -> dict[str, float]:
    """Return how far from the axis the patient of this slice reaches, so that the channels are the same in all of a series."""
    radius, _ = polar(array.shape, pixel_mm)
    return {"reach_mm": 0.9 * float(np.percentile(radius[patient(array)], 98))}


def within_body(array: Array, parameters: Parameters, pixel_mm: float, beam: Beam) -> NDArray[np.intp]:
    """Return the channels whose rings lie within the patient, at least in part, and are no dots; never none."""
    distance = np.abs(beam.positions_mm)
    reach = parameters.get("reach_mm") or settled(array, parameters, pixel_mm)["reach_mm"]
    near = np.flatnonzero((distance < reach) & (distance > max(0.08 * reach, 3 * beam.spacing_mm)))
    return near if near.size else np.arange(1, beam.detectors - 1)
