"""How far a filter must go until it has taken a declared share of a slice's noise: what over-smoothing is measured by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from medqa.simulate.ct.tissue import Mask, soft_tissue
from medqa.simulate.degradation import Parameter
from medqa.volume import Array

Filter = Callable[[Array, float], Array]
"""Takes a slice and how strongly to smooth, in any unit; the more, the smoother."""

LEVELS: Final = (0.4, 0.6, 0.75, 0.9)
REMOVED: Final = Parameter(
    "removed", "share of the noise (standard deviation in flat soft tissue) that is taken away", "1", 0.05, 0.97
)
LEAST_NOISE_HU: Final = 0.5
"""A slice with less noise than rounding leaves holds nothing that could be smoothed away."""
CROP: Final = 224
"""Most pixels a side of the part of a slice on which the strength is found."""
WINDOW: Final = 7
WIDER: Final = 15
STRENGTHS: Final = 10
HALVINGS: Final = 4
"""A span of 1 to 100 in ten strides, the last of them halved four times: the strength is settled to within 2 %."""
SAME: Final = 1e-6
"""Shares of noise that differ by less are the same."""


def smoothed(array: Array, removed: float, smooth: Filter, span: tuple[float, float]) -> Array:
    """Return the slice under the mildest filter, its strength within `span`, that takes a share of the noise away.

    Where the filter cannot take nine tenths of this slice's noise at any strength, the share counts of what it can take: strengths
    then differ in every slice. Without flat soft tissue or without noise the slice stays as it is: there is nothing that a share
    could be taken of.
    """
    place = _fullest(array)
    if place is None:
        return array
    crop = np.ascontiguousarray(array[place])
    flat = flat_tissue(crop)
    before = noise(crop, flat)
    if before < LEAST_NOISE_HU:
        return array
    return smooth(array, _mildest(lambda strength: noise(smooth(crop, strength), flat) / before, removed, span))


def _mildest(left: Callable[[float], float], removed: float, span: tuple[float, float]) -> float:
    """Return the least strength that leaves no more noise than wanted: a filter that goes too far smears edges into the flat.

    `left` tells the share of the noise that a strength leaves.
    """
    strides = [float(one) for one in np.geomspace(*span, STRENGTHS)]
    found = [left(strength) for strength in strides]
    wanted = 1 - removed * min(1.0, (1 - min(found)) / LEVELS[-1])
    reached = next((place for place, one in enumerate(found) if one <= wanted + SAME), None)
    if reached is None:
        return strides[int(np.argmin(found))]
    low, high = strides[max(reached - 1, 0)], strides[reached]
    for _ in range(HALVINGS):
        middle = float(np.sqrt(low * high))
        low, high = (low, middle) if left(middle) <= wanted + SAME else (middle, high)
    return high


def flat_tissue(array: Array) -> Mask:
    """Return the soft tissue away from its border where the surroundings vary least: the quieter half of it.

    Surroundings are wider than the window that noise is measured in: else the mask would pick the places where noise happens to be
    low, and they would seem noisier once smoothed.
    """
    from scipy import ndimage

    inner = ndimage.binary_erosion(soft_tissue(array), iterations=WINDOW // 2)
    if not inner.any():
        return np.asarray(inner)
    # Without a ceiling, one border of bone would decide about everything within reach.
    variance = local_variance(array)
    around = ndimage.uniform_filter(np.minimum(variance, 9 * np.median(variance[inner])), WIDER, mode="nearest")
    return np.asarray(inner & (around <= np.median(around[inner])))


def noise(array: Array, flat: Mask) -> float:
    """Return the median of the local standard deviation (7 × 7 pixels) within a mask, in HU; 0 where it is empty."""
    return float(np.sqrt(np.median(local_variance(array)[flat]))) if flat.any() else 0.0


def local_variance(array: Array, window: int = WINDOW) -> Array:
    """Return the variance within `window` × `window` pixels around each."""
    from scipy import ndimage

    # Values are centred first: squares of -1000 HU would eat the digits of float32.
    centred = array - np.float32(array.mean())
    mean = ndimage.uniform_filter(centred, window, mode="nearest")
    return np.asarray(np.maximum(ndimage.uniform_filter(centred * centred, window, mode="nearest") - mean * mean, 0))


def _fullest(array: Array) -> tuple[slice, slice] | None:
    """Return the part of the slice, at most `CROP` pixels a side, that holds most soft tissue; None where there is too little."""
    from scipy import ndimage

    tissue = ndimage.binary_erosion(soft_tissue(array), iterations=WINDOW // 2)
    if tissue.sum() < 200:
        return None
    held = ndimage.uniform_filter(tissue.astype(np.float32), CROP, mode="constant")
    centre = np.unravel_index(int(np.argmax(held)), held.shape)
    row, column = (int(np.clip(place - CROP // 2, 0, max(size - CROP, 0))) for place, size in zip(centre, array.shape, strict=True))
    return slice(row, row + CROP), slice(column, column + CROP)
