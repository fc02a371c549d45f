"""Attenuation mismatch: the CT was taken at another depth of breathing, and a part of the liver is corrected as if it were lung.

Counts are those of the true attenuation; the reconstruction is told of too little in a round region. Every ray through it is
corrected too little, whatever else it passed, so that the region itself reads much too low: the cold "banana" at the dome. Without
a CT, the body is water and the region lies where the slice is brightest over a few centimetres, inside the body and on the
patient's right: the liver where there is one. Source: Osman et al., J Nucl Med 2003; 44:240.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from medqa.simulate.degradation import Kind, Mask, Parameter, Parameters
from medqa.simulate.pet.scanner import corrected_with, outline
from medqa.volume import Array

SMOOTH_MM: Final = 15.0
SEEN: Final = 0.05


def draw(generator: np.random.Generator, pixel_mm: float) -> dict[str, float]:
    """Draw the size of the region."""
    return {"diameter_mm": float(generator.uniform(40, 80))}


def place(array: Array, pixel_mm: float) -> tuple[int, int]:
    """Return row and column of the brightest tissue over a few centimetres, in the left half of the image."""
    from scipy import ndimage

    smooth = ndimage.gaussian_filter(array, SMOOTH_MM / pixel_mm)
    inside = ndimage.distance_transform_edt(outline(array)) * pixel_mm > SMOOTH_MM
    columns = np.flatnonzero(outline(array).any(axis=0))
    middle = float(columns.mean()) if columns.size else array.shape[1] / 2
    right = inside & (np.arange(array.shape[1]) <= middle)[None, :]
    allowed = right if right.any() else np.ones(array.shape, dtype=bool)
    row, column = np.unravel_index(int(np.argmax(np.where(allowed, smooth, -np.inf))), array.shape)
    return int(row), int(column)


def lung(array: Array, parameters: Parameters, pixel_mm: float) -> Mask:
    """Return the region that is taken for lung."""
    row, column = place(array, pixel_mm)
    y, x = (np.arange(size) for size in array.shape)
    far = np.hypot((y - row)[:, None], (x - column)[None, :]) * pixel_mm
    return np.asarray((far <= parameters["diameter_mm"] / 2) & outline(array))


def change(array: Array, parameters: Parameters, pixel_mm: float) -> Array:
    """Return what a slice differs by whose correction took tissue for lung."""
    true = outline(array).astype(np.float32)
    told = np.where(lung(array, parameters, pixel_mm), np.float32(1 - parameters["missing"]), true)
    return corrected_with(array, true, told, pixel_mm)


def region(array: Array, change: Array, parameters: Parameters, pixel_mm: float) -> Mask:
    """Return where activity changed by a twentieth of the mean and more."""
    return np.asarray(np.abs(change) > SEEN)


KIND: Final = Kind(
    modality="PT",
    name="attenuation",
    summary="The CT was taken at another depth of breathing: a part of the liver is corrected as lung and reads too low.",
    source="Osman et al., J Nucl Med 2003;44:240",
    strength=Parameter("missing", "share of its attenuation that the region is told to lack (lung: 0.7)", "1", 0.01, 1.0),
    levels=(0.08, 0.16, 0.32, 0.7),
    others=(Parameter("diameter_mm", "diameter of the region that is taken for lung", "mm", 5.0, 200.0),),
    draw=draw,
    change=change,
    region=region,
)
