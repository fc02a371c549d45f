"""Truncation ringing: too few phase-encoding lines, cut off hard, so that every edge is followed by waves.

The cut is along the phase-encoding axis only, where lines cost time. Source: Haacke et al., Magnetic Resonance Imaging (1999),
chapter 12 (Gibbs ringing; overshoot of 9 %).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from medqa.simulate.degradation import Kind, Parameter, Parameters
from medqa.simulate.mr.k_space import PHASE_AXIS, acquired, along, magnitude, to_k_space, with_phase
from medqa.volume import Array


def draw(generator: np.random.Generator, pixel_mm: float) -> dict[str, float]:
    """Draw the phase-encoding axis."""
    return {"phase_axis": float(generator.integers(2))}


def change(array: Array, parameters: Parameters, pixel_mm: float) -> Array:
    """Return what an image differs by that has a share of its phase-encoding lines only."""
    axis = int(parameters["phase_axis"])
    size = array.shape[axis]
    frequency = np.abs(np.arange(size) - size // 2) / (size / 2)
    kept = (frequency <= acquired(array)[axis] * parameters["kept_share"]).astype(np.float32)
    spectrum = to_k_space(with_phase(array, int(parameters["seed"])))
    return magnitude((spectrum * along(kept, axis)).astype(np.complex64)) - array


KIND: Final = Kind(
    modality="MR",
    name="gibbs",
    summary="Too few phase-encoding lines, cut off hard: waves beside every edge.",
    source="Haacke et al., Magnetic Resonance Imaging (1999), chapter 12",
    strength=Parameter("kept_share", "share of the acquired lines that is kept", "1", 0.05, 1.0),
    levels=(0.6, 0.45, 0.3, 0.2),
    others=(PHASE_AXIS,),
    draw=draw,
    change=change,
)
