"""Body and soft tissue of a CT slice in HU, and its noise: what degradations are scaled by and measured on."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from medqa.regions import body_mask, decimate, enlarge
from medqa.volume import Array

Mask = NDArray[np.bool_]

PATIENT_GRID: Final = 128
"""The patient is sought on about this many rows or columns."""
STRONG_MM: Final = 3.0
"""Width (standard deviation) over which a change is averaged before it is called strong or not."""
STRONG_SHARE: Final = 0.25


def body(array: Array) -> Mask:
    """Return the pixels denser than -500 HU; all of them where none is."""
    mask = array > -500
    return mask if mask.any() else np.ones_like(mask)


def patient(array: Array) -> Mask:
    """Return the patient without table and clothes, lungs and gas filled, `(y, x)`; all denser than -500 HU where none is found."""
    step = max(1, round(max(array.shape) / PATIENT_GRID))
    found = body_mask(decimate(array, step), "CT")
    return enlarge(found, step, array.shape) if found.any() else body(array)


def strong(change: Array, array: Array, pixel_mm: float, *, share: float = STRONG_SHARE, least_hu: float = 0.0) -> Mask:
    """Return where a local artefact is strong, `(y, x)`, in the patient and around.

    The rule: the absolute change, smoothed by a Gaussian of `STRONG_MM`, exceeds a share of its 99th percentile in the patient
    (its maximum, were single pixels not to decide), and `least_hu`.
    """
    from scipy import ndimage

    smooth = ndimage.gaussian_filter(np.abs(change), STRONG_MM / pixel_mm)
    return np.asarray(smooth > max(share * float(np.percentile(smooth[patient(array)], 99)), least_hu))


def soft_tissue(array: Array) -> Mask:
    """Return the pixels between -150 and 250 HU: fat, muscle, organs, brain."""
    return (array > -150) & (array < 250)


def tissue_noise(array: Array, tissue: Mask) -> float:
    """Return the commonest local standard deviation (7 × 7 pixels) within a mask; 0 where the mask is too small.

    Source: the mode of the map of local deviations, Christianson et al., AJR 205:W93 (2015).
    """
    from scipy import ndimage

    whole = ndimage.binary_erosion(tissue, iterations=3)
    if whole.sum() < 200:
        return 0.0
    mean = ndimage.uniform_filter(array, 7)
    deviation = np.sqrt(np.maximum(ndimage.uniform_filter(array * array, 7) - mean * mean, 0))[whole]
    histogram, edges = np.histogram(deviation, bins=60, range=(0, max(float(np.percentile(deviation, 75)), 1e-6)))
    smooth = np.convolve(histogram, np.ones(5), mode="same")
    top = int(np.argmax(smooth))
    return float(0.5 * (edges[top] + edges[top + 1]))


def deviation(change: Array, array: Array) -> float:
    """Return the standard deviation of a change within the body of the slice it belongs to; never 0."""
    return max(float(change[body(array)].std()), 1e-12)
