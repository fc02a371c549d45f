"""Motion during the turn: the object is displaced between the first and the last view, contours double."""

from __future__ import annotations

from typing import Final

import numpy as np

from medqa.simulate.ct.grids import COARSE, coarse, fine
from medqa.simulate.ct.tissue import Mask, strong
from medqa.simulate.degradation import STRENGTHS, Kind, Parameter, Parameters
from medqa.simulate.projector import beam_for, project, reconstruct
from medqa.volume import Array

VIEWS: Final = 360


def draw(generator: np.random.Generator, pixel_mm: float) -> dict[str, float]:
    """Draw direction, time and pace of the motion: a jerk or a slow drift."""
    return {
        "direction_rad": float(generator.uniform(0, 2 * np.pi)),
        "onset": float(generator.uniform(0.25, 0.75)),
        "duration": float(generator.choice([0.02, 0.3])),
    }


def change(array: Array, parameters: Parameters, pixel_mm: float) -> Array:
    """Return what a slice differs by that moved on during the turn."""
    small, small_mm = coarse(array + 1000, pixel_mm, COARSE)
    beam = beam_for(small.shape, small_mm, views=VIEWS)
    sinogram = project(small, beam, small_mm)
    progress = (np.arange(beam.views) / beam.views - parameters["onset"]) / parameters["duration"] + 0.5
    travel = parameters["displacement_mm"] * np.clip(progress, 0, 1)
    # The image as it was counts as the middle of the way, so that edges double to both sides.
    shift = (travel - travel.mean()) * np.cos(beam.angles - parameters["direction_rad"]) / beam.spacing_mm
    index = np.arange(beam.detectors)
    moved = np.stack([np.interp(index - step, index, view) for step, view in zip(shift, sinogram, strict=True)])
    difference = reconstruct(moved.astype(np.float32) - sinogram, beam, small.shape, small_mm, cutoff_per_mm=0.65 / small_mm)
    return fine(difference, array.shape)


def region(array: Array, change: Array, parameters: Parameters, pixel_mm: float) -> Mask:
    """Return where contours doubled: the change of a moved slice is strong at its edges, also outside the body."""
    return strong(change, array, pixel_mm)


KIND: Final = Kind(
    modality="CT",
    name="motion",
    summary="The body is displaced while the tube turns: doubled contours and streaks along the motion.",
    source="Kak and Slaney 1988, chapter 5",
    strength=Parameter("displacement_mm", "displacement between the first and the last view", "mm", 0.1, 60.0),
    levels=STRENGTHS["CT"]["motion"].values,
    others=(
        Parameter("direction_rad", "direction, from +x towards +y", "rad", 0.0, 6.2832),
        Parameter("onset", "middle of the motion as a share of the turn", "1", 0.0, 1.0),
        Parameter("duration", "duration as a share of the turn", "1", 0.01, 1.0),
    ),
    draw=draw,
    change=change,
    region=region,
)
