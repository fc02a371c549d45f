"""Wrap-around: the field of view along the phase-encoding axis is too small, and copies of the body reach into the image.

Lines of k-space too far apart repeat the body at a distance that is smaller than the image shown. The copies are added as complex
signals, so that they interfere where they overlap. Source: Haacke et al., Magnetic Resonance Imaging (1999), chapter 12.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from medqa.simulate.degradation import Kind, Mask, Parameter, Parameters
from medqa.simulate.mr.k_space import PHASE_AXIS, Complex, foreground, with_phase
from medqa.volume import Array

EDGE: Final = 2.0
"""Percent of the foreground's lines on either side that do not count for where the body begins and ends."""
VISIBLE: Final = 0.1
"""A copy counts as seen where it has this share of the mean signal."""


def draw(generator: np.random.Generator, pixel_mm: float) -> dict[str, float]:
    """Draw the phase-encoding axis."""
    return {"phase_axis": float(generator.integers(2))}


def distance(array: Array, parameters: Parameters) -> int:
    """Return the distance of the copies in pixels."""
    axis = int(parameters["phase_axis"])
    lines = np.nonzero(foreground(array))[axis]
    first, last = (float(one) for one in np.percentile(lines, (EDGE, 100 - EDGE)))
    size = int(array.shape[axis])
    reach = parameters["intrusion"] * size
    return max(1, round(min(size - reach - first, last - reach)))


def copies(array: Array, parameters: Parameters) -> Complex:
    """Return the copies on either side that reach into the image, without the body itself; complex."""
    axis, step = int(parameters["phase_axis"]), distance(array, parameters)
    signal = with_phase(array, int(parameters["seed"]))
    out = np.zeros_like(signal)
    size = array.shape[axis]
    if step < size:
        before, behind = (slice(None, size - step), slice(step, None))
        if axis == 0:
            out[behind] += signal[before]
            out[before] += signal[behind]
        else:
            out[:, behind] += signal[:, before]
            out[:, before] += signal[:, behind]
    return out


def change(array: Array, parameters: Parameters, pixel_mm: float) -> Array:
    """Return what an image differs by into which copies of the body reach."""
    whole = with_phase(array, int(parameters["seed"])) + copies(array, parameters)
    return np.asarray(np.abs(whole) - array, dtype=np.float32)


def region(array: Array, change: Array, parameters: Parameters, pixel_mm: float) -> Mask:
    """Return where the copies are seen."""
    return np.asarray(np.abs(copies(array, parameters)) > VISIBLE)


KIND: Final = Kind(
    modality="MR",
    name="wrap",
    summary="The field of view is too small along the phase-encoding axis: the far side folds into the image.",
    source="Haacke et al., Magnetic Resonance Imaging (1999), chapter 12",
    strength=Parameter("intrusion", "how far a copy reaches into the image, as a share of the field", "1", 0.005, 0.6),
    levels=(0.04, 0.08, 0.16, 0.3),
    others=(PHASE_AXIS,),
    draw=draw,
    change=change,
    region=region,
)
