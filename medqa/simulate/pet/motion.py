"""Breathing within the plane: the mean over the depths of breathing, weighted by the time spent at each.

Source: Lujan et al., Med Phys 1999; 26:715: displacement goes with the cosine to an even power.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from medqa.simulate.degradation import STRENGTHS, Kind, Parameter, Parameters
from medqa.volume import Array

PHASES: Final = 12


def draw(generator: np.random.Generator, pixel_mm: float) -> dict[str, float]:
    """Draw the direction and how long the breath is held at its end."""
    return {"direction_rad": float(generator.uniform(0, np.pi)), "exponent": float(generator.choice([2, 4]))}


def change(array: Array, parameters: Parameters, pixel_mm: float) -> Array:
    """Return what a slice differs by that moved while it was taken."""
    from scipy import ndimage

    phase = (np.arange(PHASES) + 0.5) / PHASES * np.pi
    travel = parameters["amplitude_mm"] / pixel_mm * np.cos(phase) ** parameters["exponent"]
    travel -= travel.mean()
    sine, cosine = np.sin(parameters["direction_rad"]), np.cos(parameters["direction_rad"])
    total = np.zeros_like(array)
    for step in travel:
        total += ndimage.shift(array, (step * sine, step * cosine), order=1, mode="nearest")
    return total / np.float32(travel.size) - array


KIND: Final = Kind(
    modality="PT",
    name="motion",
    summary="Breathing within the plane: the slice is smeared along one direction.",
    source="Lujan et al., Med Phys 1999;26:715",
    strength=Parameter("amplitude_mm", STRENGTHS["PT"]["motion"].quantity, "mm", 0.5, 80.0),
    levels=STRENGTHS["PT"]["motion"].values,
    others=(
        Parameter("direction_rad", "direction, from +x towards +y", "rad", 0.0, 3.1416),
        Parameter("exponent", "power of the cosine: the higher, the longer the breath is held", "1", 2, 8),
    ),
    draw=draw,
    change=change,
)
