"""Motion between beds: the slices of one bed position are displaced in the plane. Given to a slab, its ends are steps.

Source: Dawood et al., Eur J Nucl Med Mol Imaging 2008; 35:1832 (displacement between beds and between PET and CT).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from medqa.simulate.degradation import Kind, Parameter, Parameters
from medqa.volume import Array


def draw(generator: np.random.Generator, pixel_mm: float) -> dict[str, float]:
    """Draw the direction."""
    return {"direction_rad": float(generator.uniform(0, 2 * np.pi))}


def change(array: Array, parameters: Parameters, pixel_mm: float) -> Array:
    """Return what a slice differs by that lies elsewhere."""
    from scipy import ndimage

    turned = np.array([np.sin(parameters["direction_rad"]), np.cos(parameters["direction_rad"])])
    moved = ndimage.shift(array, parameters["displacement_mm"] / pixel_mm * turned, order=1, mode="constant")
    return np.asarray(moved - array, dtype=np.float32)


KIND: Final = Kind(
    modality="PT",
    name="jump",
    summary="The patient moved between two beds: the slices given are displaced against their neighbours.",
    source="Dawood et al., Eur J Nucl Med Mol Imaging 2008;35:1832",
    strength=Parameter("displacement_mm", "displacement in the plane", "mm", 0.5, 100.0),
    levels=(5.0, 10.0, 18.0, 30.0),
    others=(Parameter("direction_rad", "direction, from +x towards +y", "rad", 0.0, 6.2832),),
    draw=draw,
    change=change,
)
