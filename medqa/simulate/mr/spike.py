"""A spike: one sample of k-space is far too large, and stripes cross the whole image.

One point of k-space is one plane wave in the image. Its amplitude is given in units of the mean signal.
Source: Zhuo and Gullapalli, RadioGraphics 2006; 26:275 (doi 10.1148/rg.261055134).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from medqa.simulate.degradation import Kind, Parameter, Parameters
from medqa.simulate.mr.k_space import acquired, magnitude, to_k_space, with_phase
from medqa.volume import Array


def draw(generator: np.random.Generator, pixel_mm: float) -> dict[str, float]:
    """Draw where in the acquired k-space the sample lies, and its phase."""
    return {
        "radius": float(generator.uniform(0.25, 0.85)),
        "angle_rad": float(generator.uniform(0, 2 * np.pi)),
        "phase_rad": float(generator.uniform(0, 2 * np.pi)),
    }


def place(shape: tuple[int, ...], shares: tuple[float, float], parameters: Parameters) -> tuple[int, int]:
    """Return row and column of the sample in the centred k-space."""
    turned = np.sin(parameters["angle_rad"]), np.cos(parameters["angle_rad"])
    at = [
        round(size // 2 + share * parameters["radius"] * part * (size / 2 - 1))
        for size, share, part in zip(shape, shares, turned, strict=True)
    ]
    return at[0], at[1]


def change(array: Array, parameters: Parameters, pixel_mm: float) -> Array:
    """Return what an image differs by with one sample of its k-space too large."""
    spectrum = to_k_space(with_phase(array, int(parameters["seed"])))
    # The transform keeps energies: one sample of size n makes a wave of amplitude n over the root of the number of pixels.
    size = parameters["amplitude"] * np.sqrt(array.size)
    spectrum[place(array.shape, acquired(array), parameters)] += np.complex64(size * np.exp(1j * parameters["phase_rad"]))
    return magnitude(spectrum) - array


KIND: Final = Kind(
    modality="MR",
    name="spike",
    summary="One sample of k-space is far too large: stripes across the whole image.",
    source="Zhuo and Gullapalli, RadioGraphics 2006;26:275",
    strength=Parameter("amplitude", "amplitude of the stripes as a share of the mean signal", "1", 0.005, 5.0),
    levels=(0.1, 0.2, 0.4, 0.8),
    others=(
        Parameter("radius", "distance from the centre as a share of the acquired k-space", "1", 0.02, 1.0),
        Parameter("angle_rad", "direction from the centre, from +x towards +y", "rad", 0.0, 6.2832),
        Parameter("phase_rad", "phase of the sample", "rad", 0.0, 6.2832),
    ),
    draw=draw,
    change=change,
)
