"""Dead channels of the detector: they read the same whatever lies before them, and leave strong full rings.

Source: Barrett and Keat, RadioGraphics 24:1679 (2004), 10.1148/rg.246045065.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from medqa.simulate.ct.dose import WATER_PER_MM, paths
from medqa.simulate.ct.tissue import Mask
from medqa.simulate.ct.tracks import settled, tracks, within_body
from medqa.simulate.degradation import Kind, Parameter, Parameters
from medqa.simulate.projector import Beam, beam_for, reconstruct
from medqa.volume import Array

VIEWS: Final = 1200
"""So many that rings this strong leave no moiré between their views."""


def draw(generator: np.random.Generator, pixel_mm: float) -> dict[str, float]:
    """Draw what the channels read; nothing replaces their readings, or one channel more would hardly be seen."""
    return {"reading": float(generator.uniform(0, 9)), "interpolated": 0.0}


def dead(array: Array, parameters: Parameters, pixel_mm: float, beam: Beam) -> NDArray[np.intp]:
    """Return the numbers of the dead channels; a longer list begins with the shorter one."""
    shuffled = np.random.default_rng(int(parameters["seed"])).permutation(within_body(array, parameters, pixel_mm, beam))
    return shuffled[: int(parameters["channels"])]


def change(array: Array, parameters: Parameters, pixel_mm: float) -> Array:
    """Return the rings of channels that are stuck at one attenuation, or that are replaced by the mean of their neighbours."""
    beam = beam_for(array.shape, pixel_mm, views=VIEWS)
    path = paths(array, pixel_mm, beam)
    chosen = dead(array, parameters, pixel_mm, beam)
    read = np.full_like(path, parameters["reading"])
    if parameters["interpolated"]:
        alive = np.setdiff1d(np.arange(beam.detectors), chosen)
        read = np.stack([np.interp(np.arange(beam.detectors), alive, view[alive]) for view in path]).astype(np.float32)
    wrong = np.zeros_like(path)
    # Over a whole turn each ray is measured from both sides, by a channel and by its mirror: half of the error each.
    for channels in (chosen, beam.detectors - 1 - chosen):
        wrong[:, channels] += (read - path)[:, channels] / 2
    return reconstruct(wrong, beam, array.shape, pixel_mm, cutoff_per_mm=0.65 / pixel_mm) * np.float32(1000 / WATER_PER_MM)


def region(array: Array, change: Array, parameters: Parameters, pixel_mm: float) -> Mask:
    """Return the tracks of the dead channels within the patient."""
    beam = beam_for(array.shape, pixel_mm, views=VIEWS)
    return tracks(array, pixel_mm, beam.positions_mm[dead(array, parameters, pixel_mm, beam)], beam.spacing_mm)


KIND: Final = Kind(
    modality="CT",
    name="dead-channels",
    summary="Detector channels that read the same all the time: strong full rings about the axis of rotation.",
    source="Barrett and Keat, RadioGraphics 2004;24:1679",
    strength=Parameter("channels", "number of dead channels", "1", 1, 60),
    levels=(1, 2, 4, 8),
    others=(
        Parameter("reading", "attenuation that they read: 0 as behind air, 9 as if no photon came", "1", 0.0, 12.0),
        Parameter("interpolated", "1 where the mean of the neighbours replaces their readings, else 0", "1", 0, 1),
    ),
    draw=draw,
    change=change,
    region=region,
    settle=settled,
)
