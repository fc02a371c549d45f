"""Over-smoothing by a bilateral filter: neighbours of a like value are averaged, so that edges stay and noise goes.

Source: Tomasi and Manduchi, ICCV 1998, p. 839, doi:10.1109/ICCV.1998.710815.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from medqa.simulate.ct.smoothing import LEVELS, REMOVED, smoothed
from medqa.simulate.degradation import Kind, Parameter, Parameters
from medqa.volume import Array

LIKE_HU: Final = (4.0, 100.0)
"""Least and largest difference that may still count as alike."""


def draw(generator: np.random.Generator, pixel_mm: float) -> dict[str, float]:
    """Draw how far the filter reaches."""
    return {"width_mm": float(generator.uniform(2.0, 2.8))}


def average(array: Array, like_hu: float, width: float) -> Array:
    """Return the bilateral filter of a slice: Gaussian weights of `width` pixels in place and `like_hu` in value.

    Each pair of pixels is weighed once and serves both of its ends.
    """
    reach = max(1, int(np.ceil(1.5 * width)))
    rows, columns = array.shape
    total, weight = np.zeros_like(array), np.ones_like(array)
    for down in range(reach + 1):
        for right in range(-reach, reach + 1):
            if (down, right) <= (0, 0) or down >= rows or abs(right) >= columns:
                continue
            near = slice(0, rows - down), slice(max(0, -right), columns - max(0, right))
            far = slice(down, rows), slice(max(0, right), columns + min(0, right))
            difference = array[far] - array[near]
            share = np.exp(difference * difference * np.float32(-0.5 / like_hu**2))
            share *= np.float32(np.exp(-0.5 * (down * down + right * right) / width**2))
            weight[near] += share
            weight[far] += share
            share *= difference
            total[near] += share
            total[far] -= share
    return np.asarray(array + total / weight, dtype=np.float32)


def change(array: Array, parameters: Parameters, pixel_mm: float) -> Array:
    """Return what the filtered slice differs by."""
    width = max(parameters["width_mm"] / pixel_mm, 1.0)
    return smoothed(array, parameters["removed"], lambda image, like: average(image, like, width), LIKE_HU) - array


KIND: Final = Kind(
    modality="CT",
    name="bilateral",
    summary="Over-smoothing by a bilateral filter: noise and fine texture averaged away, edges kept.",
    source="Tomasi and Manduchi, ICCV 1998, p. 839",
    strength=REMOVED,
    levels=LEVELS,
    others=(Parameter("width_mm", "standard deviation of the filter in space", "mm", 0.3, 5.0),),
    draw=draw,
    change=change,
)
