"""Chemical shift: fat is shown beside its place along the readout, with a bright rim on one side and a dark gap on the other.

A low bandwidth moves fat by `3.4 ppm x frequency / bandwidth a pixel`. Fat is taken to be the bright shell under the skin, the one
fat that every body has. Source: Hood et al., RadioGraphics 1999; 19:357 (doi 10.1148/radiographics.19.2.g99mr07357).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from medqa.simulate.degradation import Kind, Mask, Parameter, Parameters
from medqa.simulate.mr.k_space import PHASE_AXIS, foreground, with_phase
from medqa.volume import Array

SHELL_MM: Final = 10.0
SEEN: Final = 0.1


def draw(generator: np.random.Generator, pixel_mm: float) -> dict[str, float]:
    """Draw the phase-encoding axis (the readout is the other one) and which way fat moves."""
    return {"phase_axis": float(generator.integers(2)), "sense": float(generator.choice([-1, 1]))}


def fat(array: Array, pixel_mm: float) -> Array:
    """Return the share of each pixel that is fat: bright, and within `SHELL_MM` of the outside."""
    from scipy import ndimage

    body = ndimage.binary_fill_holes(foreground(array))
    depth = ndimage.distance_transform_edt(np.pad(body, 1))[1:-1, 1:-1] * pixel_mm
    bright = array > np.median(array[body]) if body.any() else body
    return np.asarray(ndimage.uniform_filter((bright & body & (depth <= SHELL_MM)).astype(np.float32), 3), dtype=np.float32)


def change(array: Array, parameters: Parameters, pixel_mm: float) -> Array:
    """Return what an image differs by whose fat is displaced along the readout."""
    from scipy import ndimage

    readout = 1 - int(parameters["phase_axis"])
    share = fat(array, pixel_mm)
    signal = with_phase(array, int(parameters["seed"]))
    step = [0.0, 0.0]
    step[readout] = parameters["sense"] * parameters["shift_mm"] / pixel_mm
    lipid = signal * share
    moved = [ndimage.shift(part, step, order=1, mode="constant") for part in (lipid.real, lipid.imag)]
    return np.asarray(np.abs(signal - lipid + moved[0] + 1j * moved[1]) - array, dtype=np.float32)


def region(array: Array, change: Array, parameters: Parameters, pixel_mm: float) -> Mask:
    """Return where signal changed by a tenth of the mean and more."""
    return np.asarray(np.abs(change) > SEEN)


KIND: Final = Kind(
    modality="MR",
    name="chemical-shift",
    summary="Fat is shown beside its place along the readout: a bright rim on one side, a dark gap on the other.",
    source="Hood et al., RadioGraphics 1999;19:357",
    strength=Parameter("shift_mm", "displacement of fat along the readout", "mm", 0.1, 40.0),
    levels=(1.5, 3.0, 5.0, 8.0),
    others=(PHASE_AXIS, Parameter("sense", "which way fat moves, +1 or -1", "1", -1.0, 1.0)),
    draw=draw,
    change=change,
    region=region,
)
