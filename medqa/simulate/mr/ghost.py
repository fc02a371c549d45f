"""Periodic ghosts: signal that rises and falls from phase-encoding line to line, as pulsation and breathing make it.

A modulation by `1 + 2 g cos()` leaves one ghost of intensity g on either side, the field of view divided by the period away.
Source: Haacke et al., Magnetic Resonance Imaging (1999), chapter 20.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from medqa.simulate.degradation import STRENGTHS, Kind, Parameter, Parameters
from medqa.simulate.mr.k_space import PHASE_AXIS, along, magnitude, to_k_space, with_phase
from medqa.volume import Array


def draw(generator: np.random.Generator, pixel_mm: float) -> dict[str, float]:
    """Draw the phase-encoding axis, the period of the modulation and its phase at the first line."""
    return {
        "phase_axis": float(generator.integers(2)),
        "period_lines": float(generator.uniform(2, 6)),
        "onset_rad": float(generator.uniform(0, 2 * np.pi)),
    }


def change(array: Array, parameters: Parameters, pixel_mm: float) -> Array:
    """Return what an image differs by whose phase-encoding lines are modulated periodically."""
    axis = int(parameters["phase_axis"])
    line = np.arange(array.shape[axis])
    wave = 1 + 2 * parameters["ghost_share"] * np.cos(2 * np.pi * line / parameters["period_lines"] + parameters["onset_rad"])
    spectrum = to_k_space(with_phase(array, int(parameters["seed"])))
    return magnitude((spectrum * along(wave, axis)).astype(np.complex64)) - array


KIND: Final = Kind(
    modality="MR",
    name="ghost",
    summary="Signal that changes periodically from line to line: copies of the body along the phase-encoding axis.",
    source="Haacke et al., Magnetic Resonance Imaging (1999), chapter 20",
    strength=Parameter("ghost_share", STRENGTHS["MR"]["ghost"].quantity, "1", 0.001, 1.0),
    levels=STRENGTHS["MR"]["ghost"].values,
    others=(
        PHASE_AXIS,
        Parameter("period_lines", "period of the modulation", "lines", 2.0, 64.0),
        Parameter("onset_rad", "phase of the modulation at the first line", "rad", 0.0, 6.2832),
    ),
    draw=draw,
    change=change,
)
