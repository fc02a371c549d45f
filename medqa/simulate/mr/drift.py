"""Slow rigid motion: the pose changes smoothly while k-space is filled, in one of the usual orders.

Each phase-encoding line sees the body where it was when the line was taken. Displacements are exact (a phase along each line);
rotations are taken in a few steps. A drift in linear order blurs and shades; in interleaved order it ghosts.
Sources: Zaitsev et al., JMRI 2015; 42:887; Haacke et al., Magnetic Resonance Imaging (1999), chapter 20 (orders of k-space).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from medqa.simulate.degradation import Kind, Parameter, Parameters
from medqa.simulate.mr.k_space import ORDER, PHASE_AXIS, magnitude, moments, posed, with_phase
from medqa.volume import Array

ROTATION_PER_MM: Final = 0.4
"""Degrees of rotation that go with a millimetre of displacement."""
POSES: Final = 9
"""Rotations that are told apart: each is one image resampled."""


def draw(generator: np.random.Generator, pixel_mm: float) -> dict[str, float]:
    """Draw axis, order, direction and the shape of the path."""
    return {
        "phase_axis": float(generator.integers(2)),
        "order": float(generator.integers(3)),
        "direction_rad": float(generator.uniform(0, 2 * np.pi)),
        "turn": float(generator.choice([-1, 1])),
    }


def path(when: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """Return the displacement at some moments (0 to 1) as a share of the largest: 0 at first, smooth, at most 1."""
    generator = np.random.default_rng(seed)
    weights = generator.normal(size=4) / np.arange(1, 5)
    fine = np.linspace(0, 1, 257)
    waves = np.sum([w * (1 - np.cos(np.pi * k * fine)) for k, w in enumerate(weights, start=1)], axis=0)
    waves /= max(float(np.abs(waves).max()), 1e-9)
    return np.asarray(np.interp(when, fine, waves), dtype=np.float64)


def change(array: Array, parameters: Parameters, pixel_mm: float) -> Array:
    """Return what an image differs by of which each phase-encoding line was taken at its own, slowly changing pose."""
    axis = int(parameters["phase_axis"])
    lines = array.shape[axis]
    way = path(moments(lines, int(parameters["order"])), int(parameters["seed"]))
    moved_px = way * parameters["displacement_mm"] / pixel_mm
    degrees = way * parameters["displacement_mm"] * ROTATION_PER_MM * parameters["turn"]
    steps = np.linspace(degrees.min(), degrees.max(), POSES) if np.ptp(degrees) > 0 else degrees[:1]
    nearest = np.argmin(np.abs(degrees[:, None] - steps[None, :]), axis=1)
    complex_image = with_phase(array, int(parameters["seed"]))
    spectrum = np.zeros(array.shape, dtype=np.complex64)
    for step in np.unique(nearest):
        turned = posed(complex_image, float(np.deg2rad(steps[step])), np.zeros(2))
        chosen = nearest == step
        if axis == 0:
            spectrum[chosen] = turned[chosen]
        else:
            spectrum[:, chosen] = turned[:, chosen]
    y, x = (np.arange(size) - size // 2 for size in array.shape)
    along_y, along_x = np.sin(parameters["direction_rad"]), np.cos(parameters["direction_rad"])
    cycles = along_y * y[:, None] / array.shape[0] + along_x * x[None, :] / array.shape[1]
    displaced = moved_px[:, None] if axis == 0 else moved_px[None, :]
    return magnitude((spectrum * np.exp(-2j * np.pi * cycles * displaced)).astype(np.complex64)) - array


KIND: Final = Kind(
    modality="MR",
    name="drift",
    summary="The body moves slowly and smoothly while k-space is filled: blur, shading and ghosts along the phase-encoding axis.",
    source="Zaitsev et al., JMRI 2015;42:887",
    strength=Parameter("displacement_mm", "largest displacement during the scan", "mm", 0.05, 60.0),
    levels=(2.0, 4.0, 8.0, 16.0),
    others=(
        PHASE_AXIS,
        ORDER,
        Parameter("direction_rad", "direction of the displacement, from +x towards +y", "rad", 0.0, 6.2832),
        Parameter("turn", "sense and size of the rotation that goes with the displacement (1: 0.4 degrees a mm)", "1", -4.0, 4.0),
    ),
    draw=draw,
    change=change,
)
