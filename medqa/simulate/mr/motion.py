"""Rigid motion between phase-encoding lines: each line of k-space sees the body where it was at that moment.

Source: Zaitsev et al., JMRI 2015; 42:887. The path is still at first, then goes step by step; in linear order one step always
falls on either side of the centre of k-space, where it does harm.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from medqa.simulate.degradation import STRENGTHS, Kind, Parameter, Parameters
from medqa.simulate.mr.k_space import LINEAR, ORDER, PHASE_AXIS, magnitude, moments, posed, with_phase
from medqa.volume import Array

ROTATION_PER_MM: Final = 0.4
"""Degrees of rotation that go with a millimetre of displacement."""


def draw(generator: np.random.Generator, pixel_mm: float) -> dict[str, float]:
    """Draw the phase-encoding axis, the direction, the number of steps and the sense of the rotation; the order is linear."""
    return {
        "phase_axis": float(generator.integers(2)),
        "order": float(LINEAR),
        "direction_rad": float(generator.uniform(0, 2 * np.pi)),
        "steps": float(generator.integers(3, 9)),
        "turn": float(generator.choice([-1, 1])),
    }


def trajectory(lines: int, parameters: Parameters) -> Array:
    """Return the displacement at each phase-encoding line as a share of the largest, −1 to 1: still, then step by step."""
    generator = np.random.default_rng(int(parameters["seed"]))
    steps = int(parameters["steps"])
    near = [generator.uniform(0.42, 0.49), generator.uniform(0.51, 0.58)]
    times = np.sort(np.concatenate([near, generator.uniform(0.15, 0.85, steps - 2)]))
    poses = np.concatenate([[0.0], generator.uniform(0.5, 1.0, steps) * np.where(np.arange(steps) % 2, -1, 1)])
    poses /= np.abs(poses).max()
    when = moments(lines, int(parameters["order"])) * (lines - 1) / lines
    return np.asarray(poses[np.searchsorted(times, when)], dtype=np.float32)


def change(array: Array, parameters: Parameters, pixel_mm: float) -> Array:
    """Return what an image differs by of which each phase-encoding line was taken at its own pose."""
    axis = int(parameters["phase_axis"])
    path = trajectory(array.shape[axis], parameters)
    complex_image = with_phase(array, int(parameters["seed"]))
    spectrum = np.zeros(array.shape, dtype=np.complex64)
    direction = np.array([np.sin(parameters["direction_rad"]), np.cos(parameters["direction_rad"])])
    for pose in np.unique(path):
        moved_mm = float(pose) * parameters["displacement_mm"]
        angle = float(np.deg2rad(moved_mm * ROTATION_PER_MM * parameters["turn"]))
        moved = posed(complex_image, angle, moved_mm / pixel_mm * direction)
        lines = path == pose
        if axis == 0:
            spectrum[lines] = moved[lines]
        else:
            spectrum[:, lines] = moved[:, lines]
    return magnitude(spectrum) - array


KIND: Final = Kind(
    modality="MR",
    name="motion",
    summary="The body moves between phase-encoding lines, step by step: ghosts and blur along the phase-encoding axis.",
    source="Zaitsev et al., JMRI 2015;42:887",
    strength=Parameter("displacement_mm", STRENGTHS["MR"]["motion"].quantity, "mm", 0.05, 60.0),
    levels=STRENGTHS["MR"]["motion"].values,
    others=(
        PHASE_AXIS,
        ORDER,
        Parameter("direction_rad", "direction of the displacement, from +x towards +y", "rad", 0.0, 6.2832),
        Parameter("steps", "number of steps", "1", 2, 40),
        Parameter("turn", "sense and size of the rotation that goes with the displacement (1: 0.4 degrees a mm)", "1", -4.0, 4.0),
    ),
    draw=draw,
    change=change,
)
