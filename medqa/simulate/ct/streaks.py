"""Too few views: streaks from aliasing in the angle. They cover the body (over 90 % of it in a trunk), so no region is named.

Source: Kak and Slaney, Principles of Computerized Tomographic Imaging (1988), chapter 5.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from medqa.simulate.ct.grids import COARSE, coarse, fine
from medqa.simulate.degradation import STRENGTHS, Kind, Parameter, Parameters
from medqa.simulate.projector import beam_for, project, reconstruct
from medqa.volume import Array

VIEWS: Final = 360


def draw(generator: np.random.Generator, pixel_mm: float) -> dict[str, float]:
    """Draw which view is the first that is kept."""
    return {"first_view": float(generator.integers(0, VIEWS))}


def change(array: Array, parameters: Parameters, pixel_mm: float) -> Array:
    """Return the streaks of a slice reconstructed from some of its views."""
    small, small_mm = coarse(array + 1000, pixel_mm, COARSE)
    whole = beam_for(small.shape, small_mm, views=VIEWS)
    sinogram = project(small, whole, small_mm)
    step = round(VIEWS / parameters["views"])
    first = int(parameters["first_view"]) % step
    # Views that were not taken weigh nothing; those that were weigh `step` times as much.
    kept = np.zeros((VIEWS, 1), dtype=np.float32)
    kept[first::step] = step
    difference = reconstruct(sinogram * (kept - 1), whole, small.shape, small_mm, cutoff_per_mm=0.65 / small_mm)
    return fine(difference, array.shape)


KIND: Final = Kind(
    modality="CT",
    name="streaks",
    summary="Too few views over the turn: fine streaks from every edge.",
    source="Kak and Slaney 1988, chapter 5",
    strength=Parameter("views", "views over half a turn", "views", 20, 360),
    levels=STRENGTHS["CT"]["streaks"].values,
    others=(Parameter("first_view", "number of the first view that is kept", "1", 0, VIEWS - 1),),
    draw=draw,
    change=change,
)
