"""Over-smoothing that kills texture: what varies no more than noise is flattened, what varies more stays untouched, noise and all.

It imitates a learned reconstruction that goes too far: smooth organs, and grainy seams along strong edges. The filter is a local
Wiener filter, at a fine scale and then at a coarse one, with the noise of the place where it works.

Sources: Lee, IEEE PAMI 2:165 (1980), doi:10.1109/TPAMI.1980.4766994; the look: Geyer et al., Radiology 276:339 (2015).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from medqa.simulate.ct.smoothing import LEVELS, REMOVED, flat_tissue, local_variance, noise, smoothed
from medqa.simulate.ct.tissue import soft_tissue
from medqa.simulate.degradation import Kind, Parameter, Parameters
from medqa.volume import Array

FACTOR: Final = (0.1, 10.0)
"""Least and largest multiple of the noise's variance that still counts as noise."""
NEAR_MM: Final = 12.0
"""Noise is taken as the same over this distance (standard deviation of a Gaussian)."""
COARSER: Final = 2.0


def draw(generator: np.random.Generator, pixel_mm: float) -> dict[str, float]:
    """Draw the side of the finer window."""
    return {"window_mm": float(generator.uniform(2.5, 4.0))}


def noise_map(array: Array, pixel_mm: float) -> Array:
    """Return the variance of the noise around each pixel, in HU²: the mean over the soft tissue nearby that holds no edge."""
    from scipy import ndimage

    variance = local_variance(array)
    typical = max(noise(array, flat_tissue(array)) ** 2, 1e-6)
    counts = (soft_tissue(array) & (variance < 9 * typical)).astype(np.float32)
    sigma = NEAR_MM / pixel_mm
    # Where no tissue is near, the typical noise stands in with the weight of a few pixels.
    held = ndimage.gaussian_filter(counts, sigma, mode="constant") + np.float32(0.02)
    summed = ndimage.gaussian_filter(counts * variance, sigma, mode="constant") + np.float32(0.02 * typical)
    return np.asarray(summed / held, dtype=np.float32)


def flattened(array: Array, factor: float, noise_variance: Array, window: int) -> Array:
    """Return the slice under two local Wiener filters; `factor` says how many times the noise still counts as noise."""
    out = array
    for size in (window, int(COARSER * window) // 2 * 2 + 1):
        out = _wiener(out, np.float32(factor) * noise_variance, size)
    return out


def _wiener(array: Array, threshold: Array, window: int) -> Array:
    from scipy import ndimage

    variance = local_variance(array, window)
    kept = np.maximum(variance - threshold, 0) / np.maximum(variance, 1e-6)
    # Shares are averaged as well, else single pixels would jump out of a flat area.
    kept = ndimage.uniform_filter(kept, 3, mode="nearest")
    mean = ndimage.uniform_filter(array, window, mode="nearest")
    return np.asarray(mean + kept * (array - mean), dtype=np.float32)


def change(array: Array, parameters: Parameters, pixel_mm: float) -> Array:
    """Return what the flattened slice differs by."""
    window = max(3, round(parameters["window_mm"] / pixel_mm) // 2 * 2 + 1)

    def smooth(image: Array, factor: float) -> Array:
        return flattened(image, factor, noise_map(image, pixel_mm), window)

    return smoothed(array, parameters["removed"], smooth, FACTOR) - array


KIND: Final = Kind(
    modality="CT",
    name="texture-killer",
    summary="Noise-adaptive smoothing that overdoes it: texture gone, strong edges kept with their noise.",
    source="Lee, IEEE PAMI 1980;2:165",
    strength=REMOVED,
    levels=LEVELS,
    others=(Parameter("window_mm", "side of the finer of the two windows", "mm", 1.0, 15.0),),
    draw=draw,
    change=change,
)
