"""Breathing during the turn: the front of the body rises and falls, its back lies still, front contours double.

Source: Barrett and Keat, RadioGraphics 24:1679 (2004), 10.1148/rg.246045065.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from medqa.simulate.ct.grids import COARSE, coarse, fine
from medqa.simulate.ct.tissue import STRONG_MM, STRONG_SHARE, Mask, patient, strong
from medqa.simulate.degradation import Kind, Parameter, Parameters
from medqa.simulate.projector import back_project, beam_for, filtered, project
from medqa.volume import Array

VIEWS: Final = 361
"""Over a whole turn; an odd number, so that views from opposite sides interleave."""
POSITIONS: Final = 24
"""Positions of the front between its extremes: each view sees the nearest one."""
STILL: Final = 0.3
"""This share of the body's depth, from the back, does not move: spine and muscles."""
SHARPNESS: Final = 0.65
"""First zero of the kernel's Hann window, in cycles per pixel of the coarse grid."""


def draw(generator: np.random.Generator, pixel_mm: float) -> dict[str, float]:
    """Draw the pace of breathing and where in the breath the turn lies: the two views from the side see the front far apart."""
    return {
        "period_turns": float(generator.uniform(0.8, 2.5)),
        "phase_rad": float(generator.uniform(-0.6, 0.6)),
        "front_up": 1.0,
    }


def travel(angle: NDArray[np.float64], parameters: Parameters) -> NDArray[np.float64]:
    """Return the way of the front wall at each view in mm, forwards from its mean over the views."""
    wave = np.sin((angle - np.pi) / parameters["period_turns"] + parameters["phase_rad"])
    wave *= parameters["displacement_mm"] / max(float(np.ptp(wave)), 1e-6)
    return np.asarray(wave - wave.mean(), dtype=np.float64)


def mobility(array: Array) -> NDArray[np.float32]:
    """Return of each row the share of the front wall's way that it moves, `(y, 1)`: 0 at the back, 1 at the front, which is up."""
    rows = np.flatnonzero(patient(array).any(axis=1))
    height = (rows[-1] - np.arange(array.shape[0])) / max(rows[-1] - rows[0], 1)
    risen = np.clip((height - STILL) / (1 - STILL), 0, 1)
    return np.asarray(risen * risen * (3 - 2 * risen), dtype=np.float32)[:, None]


def change(array: Array, parameters: Parameters, pixel_mm: float) -> Array:
    """Return what the slice differs by when its front moves during the turn."""
    from scipy import ndimage

    floored = np.maximum(array, np.float32(-1000))
    small, small_mm = coarse(floored, pixel_mm, COARSE)
    front = 1 if parameters["front_up"] else -1
    moving = mobility(small[::front])[::front] * np.float32(front)
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
    blurred = filtered(difference, beam, cutoff_per_mm=SHARPNESS / small_mm)
    doubled = fine(back_project(blurred, beam, small.shape, small_mm, angles=angles), array.shape)
    # The coarse grid moved contours without their finest detail: what moved by more than that must not keep it where it was.
    detail = floored - fine(softened(small), array.shape)
    near = ndimage.gaussian_filter(np.abs(doubled), STRONG_MM / pixel_mm)
    gone = np.minimum(near / max(STRONG_SHARE * float(np.percentile(near[patient(array)], 99)), 1e-6), 1)
    way_pixels = mobility(array[::front])[::front] * np.float32(parameters["displacement_mm"] / small_mm)
    return np.asarray(doubled - detail * gone * np.minimum(way_pixels / 2, 1), dtype=np.float32)


def softened(small: Array) -> Array:
    """Return a coarse slice as sharp as its reconstruction is."""
    from scipy import fft

    frequency = np.hypot(fft.fftfreq(small.shape[0])[:, None], fft.rfftfreq(small.shape[1])[None, :])
    window = 0.5 + 0.5 * np.cos(np.pi * np.minimum(frequency / SHARPNESS, 1))
    return np.asarray(fft.irfft2(fft.rfft2(small) * window, small.shape), dtype=np.float32)


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
            "phase_rad", "phase of the breath halfway through the turn, 0 where the front is fastest", "rad", -3.1416, 3.1416
        ),
        Parameter("front_up", "1 where the front of the body is up in the image, 0 where it is down", "1", 0, 1),
    ),
    draw=draw,
    change=change,
    region=region,
)
