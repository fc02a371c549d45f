"""Noise that differs from place to place: coils hear the depth of the body least, and evening out brightness raises noise there.

Noise on both channels is even; the correction for the coils' sensitivity multiplies signal and noise alike. Signal then is even
and noise goes with one over the sensitivity. Sources: Gudbjartsson and Patz, MRM 1995; 34:910; Roemer et al., MRM 1990; 16:192.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from medqa.simulate.degradation import STRENGTHS, Kind, Parameter, Parameters
from medqa.simulate.mr.k_space import acquired, foreground, magnitude, own_noise, to_image, to_k_space, window, with_phase
from medqa.simulate.mr.noise_level import LOWEST_NOISE, raised
from medqa.volume import Array

LOWEST_SENSITIVITY: Final = 0.15
LEVELS: Final = (2.0, 4.0, 8.0, 16.0)


def draw(generator: np.random.Generator, pixel_mm: float) -> dict[str, float]:
    """Draw the number of coils around the body and how fast their sensitivity falls."""
    return {
        "coils": float(generator.integers(4, 13)),
        "reach": float(generator.uniform(0.35, 0.6)),
        "first_rad": float(generator.uniform(0, 2 * np.pi)),
    }


def sensitivity(shape: tuple[int, ...], parameters: Parameters) -> Array:
    """Return the root of the summed squares of the coils' sensitivities, 1 at most, `(y, x)`."""
    y, x = np.meshgrid(*(np.linspace(-1, 1, size) for size in shape), indexing="ij")
    coils = int(parameters["coils"])
    total = np.zeros(shape)
    for angle in parameters["first_rad"] + 2 * np.pi * np.arange(coils) / coils:
        away = (x - 0.9 * np.cos(angle)) ** 2 + (y - 0.9 * np.sin(angle)) ** 2
        total += np.exp(-away / parameters["reach"] ** 2)
    root = np.sqrt(total)
    return np.asarray(np.maximum(root / root.max(), LOWEST_SENSITIVITY), dtype=np.float32)


def change(array: Array, parameters: Parameters, pixel_mm: float) -> Array:
    """Return what noise adds that is strongest where coils hear least."""
    generator = np.random.default_rng(int(parameters["seed"]))
    gain = 1 / sensitivity(array.shape, parameters)
    gain /= np.sqrt(np.mean(gain[foreground(array)] ** 2))
    own = max(own_noise(array), LOWEST_NOISE)
    added = float(np.sqrt(max(float(raised(own, parameters["snr_divisor"], LEVELS[-1])) ** 2 - own**2, 0.0)))
    kept = window(array.shape, acquired(array), soft=0.0)
    noise = generator.standard_normal((2, *array.shape), dtype=np.float32)
    even = to_image((kept * (noise[0] + 1j * noise[1]) / np.sqrt(float(np.mean(kept**2)))).astype(np.complex64))
    whole = with_phase(array, int(parameters["seed"])) + added * gain * even
    return magnitude(to_k_space(whole)) - array


KIND: Final = Kind(
    modality="MR",
    name="coil-noise",
    summary="Noise that is strongest in the depth of the body, where the coils hear least.",
    source="Roemer et al., MRM 1990;16:192",
    strength=Parameter("snr_divisor", f"{STRENGTHS['MR']['noise'].quantity}, over the body", "1", 1.0, 50.0),
    levels=LEVELS,
    others=(
        Parameter("coils", "coils around the body", "1", 1, 64),
        Parameter("reach", "distance at which a coil hears 1/e of the power, as a share of half the field", "1", 0.1, 2.0),
        Parameter("first_rad", "where the first coil lies, from +x towards +y", "rad", 0.0, 6.2832),
    ),
    draw=draw,
    change=change,
    noisy=True,
)
