"""The frames of a bundle's self-test: slices of phantoms, clean and with simulated noise, never patients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from medqa.iqa.selftest import SelfTestFrames
from medqa.simulate import degrade, phantom
from medqa.simulate.anatomy_pet import BQ_PER_ML_PER_SUV

SEED: Final = 424
NOISE: Final = {"CT": "dose", "MR": "noise", "PT": "counts"}
LEVEL: Final = 3


def self_test_frames(modality: str) -> SelfTestFrames:
    """Return three slices of a phantom of their own seed, in HU, SUVbw or arbitrary units, and the same with level-3 noise."""
    generator = np.random.default_rng(SEED)
    makers: dict[str, Callable[[], phantom.Phantom]] = {
        "CT": lambda: phantom.ct(generator, slices=8, size=256, spacing_mm=20.0),
        "MR": lambda: phantom.mr(generator, slices=9, size=192, spacing_mm=12.0),
        "PT": lambda: phantom.pet(generator, slices=12, size=128, spacing_mm=60.0),
    }
    drawn = makers[modality]()
    places = np.linspace(0.3, 0.7, 3) * len(drawn.array)
    factor = np.float32(1 / BQ_PER_ML_PER_SUV if modality == "PT" else 1)
    clean = np.stack([drawn.array[int(place)] * factor for place in places])
    noisy = np.stack(
        [degrade(image, modality, NOISE[modality], LEVEL, generator, pixel_mm=drawn.grid.pixel_mm).array for image in clean]
    )
    kind = np.int16 if modality == "CT" else np.float16
    return SelfTestFrames(clean=clean.astype(kind), noisy=noisy.astype(kind))
