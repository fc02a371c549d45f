"""Less signal: noise on both channels of the receiver, so that the magnitude is Rician.

An image that is noisy already gets less than the declared factor (`noise_level`): severity, which is measured, tells how much.
Source: Gudbjartsson and Patz, MRM 1995; 34:910.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from medqa.simulate.degradation import STRENGTHS, Kind, Parameter, Parameters
from medqa.simulate.mr.k_space import acquired, magnitude, own_noise, to_k_space, window, with_phase
from medqa.simulate.mr.noise_level import LOWEST_NOISE, raised
from medqa.volume import Array

LEVELS: Final = STRENGTHS["MR"]["noise"].values


def change(array: Array, parameters: Parameters, pixel_mm: float) -> Array:
    """Return what noise adds that divides the signal-to-noise ratio as declared, or by less where that would hide the image."""
    own = max(own_noise(array), LOWEST_NOISE)
    added = float(np.sqrt(max(float(raised(own, parameters["snr_divisor"], LEVELS[-1])) ** 2 - own**2, 0.0)))
    generator = np.random.default_rng(int(parameters["seed"]))
    spectrum = to_k_space(with_phase(array, int(parameters["seed"])))
    noise = generator.standard_normal((2, *array.shape), dtype=np.float32)
    kept = window(array.shape, acquired(array), soft=0.0)
    # What the scanner filled with zeros holds no noise; what is left makes up the declared deviation.
    scale = added / np.sqrt(float(np.mean(kept**2)))
    return magnitude((spectrum + scale * kept * (noise[0] + 1j * noise[1])).astype(np.complex64)) - array


KIND: Final = Kind(
    modality="MR",
    name="noise",
    summary="Less signal: noise on both channels of the receiver, Rician in the magnitude.",
    source="Gudbjartsson and Patz, MRM 1995;34:910",
    strength=Parameter("snr_divisor", STRENGTHS["MR"]["noise"].quantity, "1", 1.0, 50.0),
    levels=LEVELS,
    change=change,
    noisy=True,
)
