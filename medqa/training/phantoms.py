"""Phantoms among the training scans: a few, so that a network has met them, marked as what they are, and never in an evaluation.

Their seeds are not those of the demonstration or of any test.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from medqa.codes import Unit
from medqa.simulate import phantom
from medqa.simulate.anatomy_pet import BQ_PER_ML_PER_SUV
from medqa.training.cache import CleanFrame, spaced
from medqa.training.scans import Scan

COUNT: Final = 6
PHANTOM_FRAMES: Final = {"CT": 3, "MR": 6, "PT": 6}
FIRST_SEED: Final = 7000


def phantom_scans(modality: str) -> list[Scan]:
    """Return the phantoms as scans of a training split."""
    return [
        Scan(
            path=Path(f"phantom_{modality.lower()}_{number}"),
            subject=f"phantom-{modality.lower()}-{number}",
            modality=modality,
            region="phantom",
            collection="medqa.simulate.phantom",
            licence="Apache-2.0",
            split="train",
            weights_ok=True,
            spoiled="no",
            remarks="drawn, not scanned",
            always_trains=True,
        )
        for number in range(COUNT)
    ]


def read_phantom(scan: Scan) -> list[CleanFrame]:
    """Draw the slices of a phantom that `phantom_scans` named."""
    seed = FIRST_SEED + int(scan.path.name.rpartition("_")[2])
    generator = np.random.default_rng(seed)
    makers: dict[str, Callable[[np.random.Generator], phantom.Phantom]] = {
        "CT": lambda generator: phantom.ct(generator, slices=8, spacing_mm=20.0),
        "MR": phantom.mr,
        "PT": lambda generator: phantom.pet(generator, slices=20, spacing_mm=44.0),
    }
    drawn = makers[scan.modality](generator)
    unit, factor = {"CT": (Unit.HU, 1.0), "MR": (Unit.ARBITRARY, 1.0), "PT": (Unit.SUVBW, 1 / BQ_PER_ML_PER_SUV)}[scan.modality]
    return [
        CleanFrame(array=drawn.array[index] * np.float32(factor), unit=unit, pixel_mm=drawn.grid.pixel_mm)
        for index in spaced(len(drawn.array), PHANTOM_FRAMES[scan.modality])
    ]
