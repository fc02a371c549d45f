"""What is left of a tube's spectrum behind water, bone and metal, and what a scanner calibrated with water makes of it.

Mass attenuation: Hubbell and Seltzer, NIST Standard Reference Database 126 (water, ICRU-44 cortical bone, iron, titanium). The
weights imitate what a detector that adds up energies sees of 120 kV behind the usual filters; their mean energy is 65 keV.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from medqa.volume import Array

ENERGIES_KEV: Final = (40, 50, 60, 80, 100)
WEIGHTS: Final = (0.10, 0.22, 0.30, 0.26, 0.12)
"""Shares of the detected energy behind nothing."""
PER_MM: Final[Mapping[str, tuple[float, ...]]] = {
    material: tuple(density / 10 * value for value in mass)
    for material, density, mass in (
        ("water", 1.0, (0.2683, 0.2269, 0.2059, 0.1837, 0.1707)),
        ("bone", 1.92, (0.6655, 0.4242, 0.3148, 0.2229, 0.1855)),
        ("titanium", 4.51, (2.214, 1.213, 0.7661, 0.4052, 0.2721)),
        ("steel", 7.9, (3.629, 1.958, 1.205, 0.5952, 0.3717)),  # as iron
    )
}
"""Linear attenuation at each energy, per mm."""
REFERENCE: Final = 2
"""The energy whose attenuation the Hounsfield scale of a slice is taken to stand for: 60 keV."""
LONGEST_MM: Final = 1500.0


def transmitted(lengths_mm: Mapping[str, Array]) -> NDArray[np.float64]:
    """Return the share of the energy that passes the given lengths of each material, between 0 and 1."""
    shares = [
        weight * np.exp(-sum(PER_MM[material][energy] * length for material, length in lengths_mm.items()))
        for energy, weight in enumerate(WEIGHTS)
    ]
    return np.asarray(sum(shares), dtype=np.float64)


def as_water(share: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how many mm of water let through the same share: the correction of beam hardening that every scanner makes."""
    lengths = np.linspace(0, LONGEST_MM, 3001)
    lost = -np.log(transmitted({"water": lengths.astype(np.float32)}))
    return np.asarray(np.interp(-np.log(share), lost, lengths), dtype=np.float64)


def as_materials(array: Array) -> tuple[Array, Array]:
    """Split a slice in HU into water and cortical bone, each as a share of its full density, `(y, x)`.

    Above 100 HU bone is mixed in so that attenuation at the reference energy stays what the slice says.
    """
    ratio = PER_MM["bone"][REFERENCE] / PER_MM["water"][REFERENCE]
    bone = np.clip((array - 100) / (1000 * (ratio - 1) - 100), 0, 1)
    water = np.clip(1 + array / 1000 - ratio * bone, 0, None)
    return water.astype(np.float32), bone.astype(np.float32)
