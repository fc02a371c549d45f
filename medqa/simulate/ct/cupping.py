"""Beam hardening that was not corrected: the middle of the body is too dark, and so is what lies between dense parts.

Sources: Brooks and Di Chiro, Phys Med Biol 21:390 (1976), 10.1088/0031-9155/21/3/004; Barrett and Keat, RadioGraphics 24:1679
(2004). What a ray loses grows with the square of its path.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from medqa.simulate.ct.dose import NOISE_VIEWS, paths
from medqa.simulate.ct.tissue import Mask, patient
from medqa.simulate.degradation import Kind, Parameter, Parameters
from medqa.simulate.projector import beam_for, reconstruct
from medqa.volume import Array

RIM: Final = 0.2
"""The rim is what lies less deep in the body than this share of the greatest depth, the centre what lies deeper than 1 - `RIM`."""


def rim_and_centre(array: Array) -> tuple[Mask, Mask]:
    """Return the rim and the centre of the patient."""
    from scipy import ndimage

    depth = ndimage.distance_transform_edt(np.pad(patient(array), 1))[1:-1, 1:-1]
    deepest = depth.max()
    return (depth > 0) & (depth <= max(RIM * deepest, 1)), depth >= (1 - RIM) * deepest


def change(array: Array, parameters: Parameters, pixel_mm: float) -> Array:
    """Return the cup: no change at the rim on the average, the declared depth at the centre.

    The scanner's scale is set anew so that the rim keeps its values; that stretches attenuation, and air stays air.
    """
    beam = beam_for(array.shape, pixel_mm, views=NOISE_VIEWS)
    square = paths(array, pixel_mm, beam) ** 2
    cup = reconstruct(square, beam, array.shape, pixel_mm, cutoff_per_mm=0.5 / pixel_mm)
    attenuation = np.maximum(1 + array / 1000, 0)
    (rim, rim_attenuation), (centre, centre_attenuation) = (
        (float(cup[mask].mean()), float(attenuation[mask].mean())) for mask in rim_and_centre(array)
    )
    stretch = rim / max(rim_attenuation, 0.1)
    depth = max(centre - stretch * centre_attenuation, 0.1 * abs(centre), 1e-6)
    return np.asarray((stretch * attenuation - cup) * (parameters["depth_hu"] / depth), dtype=np.float32)


KIND: Final = Kind(
    modality="CT",
    name="cupping",
    summary="Beam hardening without correction: the middle of the body and the tissue between bones are too dark.",
    source="Brooks and Di Chiro, Phys Med Biol 1976;21:390",
    strength=Parameter("depth_hu", "rim minus centre of the body", "HU", 1.0, 300.0),
    levels=(10.0, 20.0, 40.0, 80.0),
    change=change,
)
