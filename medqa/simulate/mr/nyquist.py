"""Nyquist ghost of echo-planar imaging: every other line was read the other way round, and its phase is off.

Even lines of k-space are turned by one angle, odd ones by its opposite. The image keeps the cosine of the angle, and a copy half a
field of view away along the phase-encoding axis has its sine. Source: Bruder et al., MRM 1992; 23:311.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from medqa.simulate.degradation import Kind, Parameter, Parameters
from medqa.simulate.mr.k_space import PHASE_AXIS, along, magnitude, to_k_space, with_phase
from medqa.volume import Array


def draw(generator: np.random.Generator, pixel_mm: float) -> dict[str, float]:
    """Draw the phase-encoding axis."""
    return {"phase_axis": float(generator.integers(2))}


def change(array: Array, parameters: Parameters, pixel_mm: float) -> Array:
    """Return what an image differs by whose lines have phases that alternate."""
    axis = int(parameters["phase_axis"])
    angle = np.arcsin(parameters["ghost_share"])
    lines = np.arange(array.shape[axis])
    turned = np.exp(1j * angle * np.where(lines % 2, -1.0, 1.0))
    spectrum = to_k_space(with_phase(array, int(parameters["seed"])))
    return magnitude((spectrum * along(turned, axis)).astype(np.complex64)) - array


KIND: Final = Kind(
    modality="MR",
    name="nyquist",
    summary="Lines read in turn forwards and backwards do not fit: a copy half a field away along the phase-encoding axis.",
    source="Bruder et al., MRM 1992;23:311",
    strength=Parameter("ghost_share", "signal of the copy as a share of the body's", "1", 0.001, 0.99),
    levels=(0.06, 0.12, 0.24, 0.48),
    others=(PHASE_AXIS,),
    draw=draw,
    change=change,
)
