"""A wider post-filter, or fewer iterations: the slice is smoothed."""

from __future__ import annotations

from typing import Final

import numpy as np

from medqa.simulate.degradation import STRENGTHS, Kind, Parameter, Parameters
from medqa.volume import Array


def change(array: Array, parameters: Parameters, pixel_mm: float) -> Array:
    """Return what a slice differs by after a Gaussian filter of the declared width."""
    from scipy import ndimage

    sigma = parameters["fwhm_mm"] / 2.3548 / pixel_mm
    return np.asarray(ndimage.gaussian_filter(array, sigma, mode="nearest") - array, dtype=np.float32)


KIND: Final = Kind(
    modality="PT",
    name="blur",
    summary="A wide post-filter: small lesions fade.",
    source="EANM guidelines, Eur J Nucl Med Mol Imaging 2015;42:328",
    strength=Parameter("fwhm_mm", STRENGTHS["PT"]["blur"].quantity, "mm", 0.5, 40.0),
    levels=STRENGTHS["PT"]["blur"].values,
    change=change,
)
