"""Fewer phase-encoding and readout samples: the outer k-space is missing, edges soften, with a little ringing."""

from __future__ import annotations

from typing import Final

import numpy as np

from medqa.simulate.degradation import STRENGTHS, Kind, Parameter, Parameters
from medqa.simulate.mr.k_space import acquired, magnitude, to_k_space, window, with_phase
from medqa.volume import Array

SOFT: Final = 0.3
"""Share of what is kept over which the window falls: between a hard cut, which rings, and a Hann window."""


def change(array: Array, parameters: Parameters, pixel_mm: float) -> Array:
    """Return what an image differs by of whose acquired k-space a share is kept along each axis."""
    share_y, share_x = (share * parameters["kept_share"] for share in acquired(array))
    spectrum = to_k_space(with_phase(array, int(parameters["seed"])))
    return magnitude((spectrum * window(array.shape, (share_y, share_x), soft=SOFT)).astype(np.complex64)) - array


KIND: Final = Kind(
    modality="MR",
    name="blur",
    summary="The outer part of k-space is missing: edges soften.",
    source="Haacke et al., Magnetic Resonance Imaging (1999), chapter 13",
    strength=Parameter("kept_share", STRENGTHS["MR"]["blur"].quantity, "1", 0.05, 1.0),
    levels=STRENGTHS["MR"]["blur"].values,
    change=change,
)
