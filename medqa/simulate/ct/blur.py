"""Loss of sharpness as by a large focal spot or a defocused detector: a Gaussian."""

from __future__ import annotations

from typing import Final

import numpy as np

from medqa.simulate.degradation import STRENGTHS, Kind, Parameter, Parameters
from medqa.volume import Array


def change(array: Array, parameters: Parameters, pixel_mm: float) -> Array:
    """Return what the blurred slice differs by."""
    from scipy import ndimage

    sigma = parameters["fwhm_mm"] / 2.3548 / pixel_mm
    return np.asarray(ndimage.gaussian_filter(array, sigma, mode="nearest"), dtype=np.float32) - array


KIND: Final = Kind(
    modality="CT",
    name="blur",
    summary="Gaussian blur within the slice.",
    source="",
    strength=Parameter("fwhm_mm", "full width at half maximum of the added blur", "mm", 0.1, 30.0),
    levels=STRENGTHS["CT"]["blur"].values,
    change=change,
)
