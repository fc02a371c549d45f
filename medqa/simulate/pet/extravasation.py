"""Extravasation: a part of the injected activity stays in the arm, and all the rest of the body lacks it.

The slice is multiplied by what is left, and the lost share lies in a hot spot just inside the body's border, at half its height:
the vein of an arm, seen in every slice that is degraded. Source: Osborne et al., Front Nucl Med 2021; 1:665157 (effect on SUV).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from medqa.simulate.degradation import Kind, Mask, Parameter, Parameters
from medqa.simulate.pet.scanner import outline
from medqa.volume import Array

DEPTH_MM: Final = 12.0
"""Of the hot spot's middle below the border."""
SEEN: Final = 0.25


def draw(generator: np.random.Generator, pixel_mm: float) -> dict[str, float]:
    """Draw the side, and how wide the spot is."""
    return {"side": float(generator.choice([-1, 1])), "spot_mm": float(generator.uniform(10, 18))}


def spot(array: Array, parameters: Parameters, pixel_mm: float) -> Array:
    """Return the hot spot, `(y, x)`, of sum 1."""
    body = outline(array)
    rows, columns = np.nonzero(body) if body.any() else np.nonzero(np.ones_like(body))
    row = float(np.median(rows))
    level = columns[np.abs(rows - row) <= 1]
    depth = DEPTH_MM / pixel_mm
    column = level.min() + depth if parameters["side"] < 0 else level.max() - depth
    sigma = parameters["spot_mm"] / 2.3548 / pixel_mm
    y, x = (np.arange(size) for size in array.shape)
    made = np.exp(-((y - row)[:, None] ** 2 + (x - column)[None, :] ** 2) / (2 * sigma**2))
    return np.asarray(made / made.sum(), dtype=np.float32)


def change(array: Array, parameters: Parameters, pixel_mm: float) -> Array:
    """Return what a slice differs by of whose activity a share lies in one spot."""
    lost = np.float32(parameters["lost"])
    return np.asarray(lost * (spot(array, parameters, pixel_mm) * array.sum() - array), dtype=np.float32)


def region(array: Array, change: Array, parameters: Parameters, pixel_mm: float) -> Mask:
    """Return the hot spot: where activity rose by a quarter of the mean and more."""
    return np.asarray(change > SEEN)


KIND: Final = Kind(
    modality="PT",
    name="extravasation",
    summary="A part of the activity stays in the arm: a hot spot at the side, and everything else reads too low.",
    source="Osborne et al., Front Nucl Med 2021;1:665157",
    strength=Parameter("lost", "share of the activity that stays in the arm", "1", 0.005, 0.9),
    levels=(0.05, 0.1, 0.2, 0.4),
    others=(
        Parameter("side", "-1 for the left of the image, 1 for the right", "1", -1.0, 1.0),
        Parameter("spot_mm", "full width at half maximum of the hot spot", "mm", 4.0, 60.0),
    ),
    draw=draw,
    change=change,
    region=region,
)
