"""Too much acceleration: parallel imaging leaves noise where coils cannot tell places apart, and a rest of the copies.

Noise grows by the root of the acceleration R and by the geometry factor g, which is highest in the middle of the field where coils
look alike. g follows `1 + (R - 1) / 4 x` a bump of width a third of the field; what is left of the copies, at distances of the
field over R, is the same small share of each, so that noise stays what matters. Source: Pruessmann et al., MRM 1999; 42:952
(SNR = SNR_full / (g sqrt R)).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from medqa.simulate.degradation import Kind, Parameter, Parameters
from medqa.simulate.mr.k_space import PHASE_AXIS, acquired, own_noise, to_image, window, with_phase
from medqa.simulate.mr.noise_level import LOWEST_NOISE, raised
from medqa.volume import Array

GROWTH: Final = 0.25
WIDTH: Final = 0.35
LEVELS: Final = (2.0, 3.0, 5.0, 8.0)
WORST: Final = (1 + GROWTH * (LEVELS[-1] - 1)) * LEVELS[-1] ** 0.5
"""Factor of the noise at the strongest level, where the geometry is worst."""


def draw(generator: np.random.Generator, pixel_mm: float) -> dict[str, float]:
    """Draw the phase-encoding axis, how much of the copies is left, and where the geometry is worst."""
    return {
        "phase_axis": float(generator.integers(2)),
        "residue": float(generator.uniform(0.02, 0.05)),
        "off_centre": float(generator.uniform(-0.15, 0.15)),
    }


def geometry(shape: tuple[int, ...], parameters: Parameters) -> Array:
    """Return the geometry factor, `(y, x)`, 1 where coils tell places apart."""
    y, x = np.meshgrid(*(np.linspace(-1, 1, size) for size in shape), indexing="ij")
    bump = np.exp(-((y - parameters["off_centre"]) ** 2 + (x - parameters["off_centre"]) ** 2) / (2 * WIDTH**2))
    return np.asarray(1 + GROWTH * (parameters["acceleration"] - 1) * bump, dtype=np.float32)


def change(array: Array, parameters: Parameters, pixel_mm: float) -> Array:
    """Return what an image differs by that was taken with a share 1 / R of its lines and unfolded."""
    axis, speed = int(parameters["phase_axis"]), parameters["acceleration"]
    generator = np.random.default_rng(int(parameters["seed"]))
    signal = with_phase(array, int(parameters["seed"]))
    size = array.shape[axis]
    left = np.zeros_like(signal)
    for number in range(1, int(np.ceil(speed))):
        left += np.roll(signal, round(number * size / speed), axis=axis)
    own = max(own_noise(array), LOWEST_NOISE)
    higher = raised(own, np.sqrt(speed) * geometry(array.shape, parameters), WORST)
    kept = window(array.shape, acquired(array), soft=0.0)
    noise = generator.standard_normal((2, *array.shape), dtype=np.float32)
    even = to_image((kept * (noise[0] + 1j * noise[1]) / np.sqrt(float(np.mean(kept**2)))).astype(np.complex64))
    whole = signal + parameters["residue"] * left + np.sqrt(np.maximum(higher**2 - own**2, 0)) * even
    return np.asarray(np.abs(whole) - array, dtype=np.float32)


KIND: Final = Kind(
    modality="MR",
    name="undersampling",
    summary="Too much parallel imaging: noise in the middle of the field, and faint copies of the body.",
    source="Pruessmann et al., MRM 1999;42:952",
    strength=Parameter("acceleration", "factor by which lines were saved", "1", 1.0, 12.0),
    levels=LEVELS,
    others=(
        PHASE_AXIS,
        Parameter("residue", "what is left of each copy, as a share of the signal", "1", 0.0, 0.5),
        Parameter("off_centre", "how far off the middle the geometry is worst, as a share of half the field", "1", -1.0, 1.0),
    ),
    draw=draw,
    change=change,
    noisy=True,
)
