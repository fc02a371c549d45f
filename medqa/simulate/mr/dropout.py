"""Susceptibility: near metal or air the field is wrong, signal is lost, and what is left lies in the wrong place.

The field around a small magnetised sphere is that of a dipole, (3 cos^2 - 1) (a / r)^3 along the main field, here down the columns.
Spins within a pixel lose phase by the field's gradient; along the readout, signal moves by the field itself and piles up.
Source: Schenck, Med Phys 1996; 23:815 (doi 10.1118/1.597854).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from medqa.simulate.degradation import Kind, Mask, Parameter, Parameters
from medqa.simulate.mr.k_space import PHASE_AXIS, foreground
from medqa.volume import Array

SHIFT_MM: Final = 3.0
"""Displacement along the readout at the surface of the sphere, across the field; twice that and of the other sign along it."""
LOSS: Final = 1.2
"""Phase lost in rad within a pixel over which the displacement changes by a millimetre: what a gradient echo of some ms has."""
SEEN: Final = 0.1


def draw(generator: np.random.Generator, pixel_mm: float) -> dict[str, float]:
    """Draw the phase-encoding axis and where in the body the sphere lies."""
    return {"phase_axis": float(generator.integers(2)), "place": float(generator.uniform(0, 1))}


def displacement(array: Array, parameters: Parameters, pixel_mm: float) -> Array:
    """Return how far signal moves along the readout, mm, `(y, x)`."""
    rows, columns = np.nonzero(foreground(array))
    # One number picks a pixel of the body: on a line through it, then along that line.
    chosen = int(parameters["place"] * (rows.size - 1))
    y = (np.arange(array.shape[0]) - rows[chosen])[:, None] * pixel_mm
    x = (np.arange(array.shape[1]) - columns[chosen])[None, :] * pixel_mm
    radius = parameters["radius_mm"]
    r = np.maximum(np.hypot(y, x), radius)
    cosine = y / np.maximum(np.hypot(y, x), 1e-6)
    return np.asarray(-SHIFT_MM * (3 * cosine**2 - 1) * (radius / r) ** 3, dtype=np.float32)


def inside(array: Array, parameters: Parameters, pixel_mm: float) -> Mask:
    """Return the sphere itself, which has no signal."""
    rows, columns = np.nonzero(foreground(array))
    chosen = int(parameters["place"] * (rows.size - 1))
    y = (np.arange(array.shape[0]) - rows[chosen])[:, None] * pixel_mm
    x = (np.arange(array.shape[1]) - columns[chosen])[None, :] * pixel_mm
    return np.asarray(np.hypot(y, x) < 0.5 * parameters["radius_mm"])


def change(array: Array, parameters: Parameters, pixel_mm: float) -> Array:
    """Return what an image differs by around a small magnetised sphere."""
    from scipy import ndimage

    readout = 1 - int(parameters["phase_axis"])
    moved = displacement(array, parameters, pixel_mm)
    steep = np.hypot(*np.gradient(moved, pixel_mm))
    kept = np.exp(-((LOSS * steep * pixel_mm) ** 2)) * ~inside(array, parameters, pixel_mm)
    signal = array * kept.astype(np.float32)
    places = np.indices(array.shape, dtype=np.float32)
    places[readout] -= moved / np.float32(pixel_mm)
    # Where signal is squeezed it is brighter, where it is stretched it is darker.
    squeezed = np.clip(1 - np.gradient(moved, pixel_mm, axis=readout), 0.2, 3.0)
    made = ndimage.map_coordinates(signal, places, order=1, mode="nearest") * squeezed
    return np.asarray(made - array, dtype=np.float32)


def region(array: Array, change: Array, parameters: Parameters, pixel_mm: float) -> Mask:
    """Return where signal changed by a tenth of the mean and more."""
    return np.asarray(np.abs(change) > SEEN)


KIND: Final = Kind(
    modality="MR",
    name="dropout",
    summary="Metal or air spoils the field: a hole, bright rims and distortion along the readout.",
    source="Schenck, Med Phys 1996;23:815",
    strength=Parameter("radius_mm", "radius of the magnetised sphere", "mm", 1.0, 80.0),
    levels=(6.0, 10.0, 16.0, 24.0),
    others=(PHASE_AXIS, Parameter("place", "which pixel of the body it lies at, counted from the top", "1", 0.0, 1.0)),
    draw=draw,
    change=change,
    region=region,
)
