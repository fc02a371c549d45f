"""Truncated arms: the CT's field of view is narrower than the patient, and what lies outside is not corrected for.

Counts are those of the whole body, the correction knows the middle part only: activity reads too low, most at the sides.
Source: Beyer et al., J Nucl Med 2006; 47:1012.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from medqa.simulate.degradation import Kind, Mask, Parameter, Parameters
from medqa.simulate.pet.scanner import corrected_with, outline
from medqa.volume import Array

SEEN: Final = 0.05


def seen(array: Array, parameters: Parameters) -> Mask:
    """Return the columns that the CT's field of view holds, `(1, x)`."""
    columns = np.flatnonzero(outline(array).any(axis=0))
    if not columns.size:
        return np.ones((1, array.shape[1]), dtype=bool)
    lost = parameters["cut"] * columns.size
    index = np.arange(array.shape[1])
    return np.asarray((index >= columns[0] + lost) & (index <= columns[-1] - lost))[None, :]


def change(array: Array, parameters: Parameters, pixel_mm: float) -> Array:
    """Return what a slice differs by whose correction knows the middle of the body only."""
    true = outline(array).astype(np.float32)
    return corrected_with(array, true, true * seen(array, parameters), pixel_mm)


def region(array: Array, change: Array, parameters: Parameters, pixel_mm: float) -> Mask:
    """Return where activity changed by a twentieth of the mean and more."""
    return np.asarray(np.abs(change) > SEEN)


KIND: Final = Kind(
    modality="PT",
    name="arms",
    summary="The CT's field of view cuts the arms off: what lies outside is not corrected for, and activity reads too low.",
    source="Beyer et al., J Nucl Med 2006;47:1012",
    strength=Parameter("cut", "share of the body's width that the CT lacks on either side", "1", 0.005, 0.45),
    levels=(0.04, 0.08, 0.14, 0.22),
    change=change,
    region=region,
)
