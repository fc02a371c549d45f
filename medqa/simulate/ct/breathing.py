"""Breathing during the turn: the front of the body rises and falls, its back lies still, front contours double.

Source: Barrett and Keat, RadioGraphics 24:1679 (2004), 10.1148/rg.246045065. The patient lies on the back, front up in the image.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from medqa.simulate.ct.grids import COARSE, coarse, fine
from medqa.simulate.ct.tissue import Mask, patient, strong
from medqa.simulate.degradation import Kind, Parameter, Parameters
from medqa.simulate.projector import back_project, beam_for, filtered, project
from medqa.volume import Array

VIEWS: Final = 361
"""Over a whole turn; an odd number, so that views from opposite sides interleave."""
POSITIONS: Final = 24
"""Positions of the front between its extremes: each view sees the nearest one."""
STILL: Final = 0.3
"""This share of the body's depth, from the back, does not move: spine and muscles."""


def draw(generator: np.random.Generator, pixel_mm: float) -> dict[str, float]:
    """Draw the pace of breathing and where in the breath the turn lies: the two views from the side see the front far apart."""
    return {"period_turns": float(generator.uniform(0.8, 2.5)), "phase_rad": float(generator.uniform(-0.6, 0.6))}


def travel(angle: NDArray[np.float64], parameters: Parameters) -> NDArray[np.float64]:
    """Return the way of the front wall at each view in mm, forwards from its mean over the views."""
    wave = np.sin((angle - np.pi) / parameters["period_turns"] + parameters["phase_rad"])
    wave *= parameters["displacement_mm"] / max(float(np.ptp(wave)), 1e-6)
    return np.asarray(wave - wave.mean(), dtype=np.float64)


def mobility(array: Array) -> NDArray[np.float32]:
    """Return of each row the share of the front wall's way that it moves, `(y, 1)`: 0 at the back, 1 at the front and before it."""
    rows = np.flatnonzero(patient(array).any(axis=1))
    height = (rows[-1] - np.arange(array.shape[0])) / max(rows[-1] - rows[0], 1)
    risen = np.clip((height - STILL) / (1 - STILL), 0, 1)
    return np.asarray(risen * risen * (3 - 2 * risen), dtype=np.float32)[:, None]


def change(array: Array, parameters: Parameters, pixel_mm: float) -> Array:
    """Return what the slice differs by when its front moves during the turn."""
    from scipy import ndimage

    small, small_mm = coarse(array, pixel_mm, COARSE)
    moving = mobility(small)
    beam = beam_for(small.shape, small_mm, views=VIEWS)
    angles = np.linspace(0, 2 * np.pi, VIEWS, endpoint=False)
    way = travel(angles, parameters)
    places = np.linspace(way.min(), way.max(), POSITIONS)
    nearest = np.abs(way[:, None] - places).argmin(axis=1)
    y, x = np.meshgrid(*(np.arange(size, dtype=np.float32) for size in small.shape), indexing="ij")
    difference = np.empty((VIEWS, beam.detectors), dtype=np.float32)
    for number in np.unique(nearest):
        chosen = np.flatnonzero(nearest == number)
        moved = ndimage.map_coordinates(small, (y + moving * np.float32(places[number] / small_mm), x), order=1, mode="nearest")
        # Only what changes is projected: exact, as projecting is linear, and what lies still stays as it was.
        difference[chosen] = project(moved - small, beam, small_mm, angles=angles[chosen])
    blurred = filtered(difference, beam, cutoff_per_mm=0.65 / small_mm)
    return fine(back_project(blurred, beam, small.shape, small_mm, angles=angles), array.shape)


def region(array: Array, change: Array, parameters: Parameters, pixel_mm: float) -> Mask:
    """Return where contours doubled or streak."""
    return strong(change, array, pixel_mm)


KIND: Final = Kind(
    modality="CT",
    name="breathing",
    summary="The front of the body moves with the breath during the turn: doubled front contours, streaks along the ribs.",
    source="Barrett and Keat, RadioGraphics 2004;24:1679",
    strength=Parameter("displacement_mm", "way of the front wall between its extremes during the turn", "mm", 0.1, 60.0),
    levels=(2.5, 5.0, 10.0, 20.0),
    others=(
        Parameter("period_turns", "duration of a breath as a multiple of a turn's", "1", 0.2, 20.0),
        Parameter(
            "phase_rad", "phase of the breath halfway through the turn: 0 where the front is fastest", "rad", -3.1416, 3.1416
        ),
    ),
    draw=draw,
    change=change,
    region=region,
)
