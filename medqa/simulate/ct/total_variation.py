"""Over-smoothing by total variation: the slice becomes patches of one value with sharp borders, as in a cartoon.

Sources: Rudin, Osher and Fatemi, Physica D 60:259 (1992), doi:10.1016/0167-2789(92)90242-F; solved in the dual by Beck and
Teboulle's fast gradient projection, IEEE TIP 18:2419 (2009), doi:10.1109/TIP.2009.2028250.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from medqa.simulate.ct.smoothing import LEVELS, REMOVED, smoothed
from medqa.simulate.degradation import Kind, Parameters
from medqa.volume import Array

WEIGHT_HU: Final = (1.0, 100.0)
"""Least and largest price of a step."""
ITERATIONS: Final = 30


def flattened(array: Array, weight_hu: float, iterations: int = ITERATIONS) -> Array:
    """Return the `u` that minimises `TV(u) + |u - array|² / (2 weight)`."""
    base = array / np.float32(weight_hu)
    dual = np.zeros((2, *array.shape), dtype=np.float32)
    ahead, speed = dual, 1.0
    for _ in range(iterations):
        moved = ahead - _gradient(_divergence(ahead) - base) * np.float32(-1 / 8)
        moved /= np.maximum(np.sqrt(moved[0] * moved[0] + moved[1] * moved[1]), np.float32(1))
        faster = (1 + np.sqrt(1 + 4 * speed * speed)) / 2
        ahead = moved + np.float32((speed - 1) / faster) * (moved - dual)
        dual, speed = moved, faster
    return np.asarray(array - np.float32(weight_hu) * _divergence(dual), dtype=np.float32)


def _gradient(array: Array) -> Array:
    """Return the forward differences along y and x, `(2, y, x)`; 0 beyond the border."""
    out = np.zeros((2, *array.shape), dtype=np.float32)
    np.subtract(array[1:], array[:-1], out=out[0, :-1])
    np.subtract(array[:, 1:], array[:, :-1], out=out[1, :, :-1])
    return out


def _divergence(field: Array) -> Array:
    """Return the negative adjoint of `_gradient`."""
    out = field[0] + field[1]
    out[1:] -= field[0, :-1]
    out[:, 1:] -= field[1, :, :-1]
    return np.asarray(out)


def change(array: Array, parameters: Parameters, pixel_mm: float) -> Array:
    """Return what the flattened slice differs by."""
    return smoothed(array, parameters["removed"], flattened, WEIGHT_HU) - array


KIND: Final = Kind(
    modality="CT",
    name="tv",
    summary="Over-smoothing by total variation: patches of one value with sharp borders.",
    source="Rudin, Osher and Fatemi, Physica D 1992;60:259",
    strength=REMOVED,
    levels=LEVELS,
    change=change,
)
