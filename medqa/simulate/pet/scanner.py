"""The scanner of the PET degradations: counts in projections, attenuation of water, OSEM.

Sources: Hudson and Larkin, IEEE TMI 13:601 (1994) for OSEM; Barrett et al., Phys Med Biol 39:833 (1994) for its noise, which grows
with the local activity. Randoms and scatter are one flat background; attenuation is that of water at 511 keV inside the outline.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from medqa.simulate.degradation import Mask
from medqa.simulate.projector import Beam, back_project, beam_for, project
from medqa.volume import Array

WATER_PER_MM: Final = 0.0096
BACKGROUND: Final = 0.35
"""Randoms and scatter as a share of all counts."""
VIEWS, SUBSETS, ITERATIONS = 64, 8, 2
SMALLEST_SIDE: Final = 48
"""A crop is mirrored outwards to at least this many voxels a side before it is projected."""


def body(array: Array) -> Mask:
    """Return the voxels above a fifth of the mean of what exceeds the mean; all of them where none is."""
    bright = array[array > array.mean()]
    if not bright.size:
        return np.ones(array.shape, dtype=bool)
    return np.asarray(array > 0.2 * bright.mean())


def outline(array: Array) -> Mask:
    """Return the body with its holes filled: all that attenuates."""
    from scipy import ndimage

    return np.asarray(ndimage.binary_fill_holes(body(array)))


def corrected_with(array: Array, true: Array, told: Array, pixel_mm: float) -> Array:
    """Return what the slice differs by when its counts, attenuated by `true`, are reconstructed as if attenuated by `told`.

    Both are attenuation as shares of water's, `(y, x)`. Noise-free, and the difference of two reconstructions: the slice keeps its
    own sharpness.
    """
    padded, (top, left) = mirrored(array)
    maps = [mirrored(one)[0] for one in (true, told)]
    beam = beam_for(padded.shape, pixel_mm, views=VIEWS)
    survival = [np.exp(-WATER_PER_MM * project(one, beam, pixel_mm)) for one in maps]
    counts = survival[0] * project(padded, beam, pixel_mm)
    none = np.zeros_like(counts)
    wrong, right = (osem(counts, none, one, beam, padded.shape, pixel_mm) for one in (survival[1], survival[0]))
    return (wrong - right)[top : top + array.shape[0], left : left + array.shape[1]]


def osem(
    counts: Array,
    background: Array,
    survival: Array,
    beam: Beam,
    shape: tuple[int, ...],
    pixel_mm: float,
    *,
    iterations: int = ITERATIONS,
) -> Array:
    """Reconstruct counts `(views, detectors)` by ordered subsets; `survival` turns line integrals into counts."""
    image = np.ones(shape, dtype=np.float32)
    for _ in range(iterations):
        for subset in range(SUBSETS):
            angles, alive = beam.angles[subset::SUBSETS], survival[subset::SUBSETS]
            expected = project(image, beam, pixel_mm, angles=angles) * alive + background[subset::SUBSETS]
            ratio = counts[subset::SUBSETS] / np.maximum(expected, 1e-6)
            weight = back_project(alive, beam, shape, pixel_mm, angles=angles)
            image *= back_project(ratio * alive, beam, shape, pixel_mm, angles=angles) / np.maximum(weight, 1e-6)
    return image


def mirrored(array: Array) -> tuple[Array, tuple[int, int]]:
    """Mirror a small crop outwards; return it and where the crop's corner lies."""
    extra = [max(0, SMALLEST_SIDE - size) for size in array.shape]
    pads = [(more // 2, more - more // 2) for more in extra]
    return np.pad(array, pads, mode="symmetric"), (pads[0][0], pads[1][0])
