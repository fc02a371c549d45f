"""The scanner of the PET degradations: counts in projections, attenuation of water, OSEM.

Sources: Hudson and Larkin, IEEE TMI 13:601 (1994) for OSEM; Barrett et al., Phys Med Biol 39:833 (1994) for its noise, which grows
with the local activity. Randoms and scatter are one flat background; attenuation is that of water at 511 keV inside the outline.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from medqa.simulate.degradation import Mask
from medqa.simulate.projector import Beam, back_project, project
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


def osem(counts: Array, background: Array, survival: Array, beam: Beam, shape: tuple[int, ...], pixel_mm: float) -> Array:
    """Reconstruct counts `(views, detectors)` by ordered subsets; `survival` turns line integrals into counts."""
    image = np.ones(shape, dtype=np.float32)
    for _ in range(ITERATIONS):
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
