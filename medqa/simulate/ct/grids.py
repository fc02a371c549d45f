"""Structured artefacts are computed on a coarse grid and added to the slice at its full resolution."""

from __future__ import annotations

from typing import Final

import numpy as np

from medqa.volume import Array

COARSE: Final = 256
"""Most pixels a side of the coarse grid."""


def coarse(array: Array, pixel_mm: float, side: int) -> tuple[Array, float]:
    """Return the slice averaged over blocks until no side exceeds `side`, and the size of its pixels in mm."""
    block = int(np.ceil(max(array.shape) / side))
    if block == 1:
        return array.astype(np.float32), pixel_mm
    rows, columns = (-(-size // block) * block for size in array.shape)
    padded = np.pad(array, ((0, rows - array.shape[0]), (0, columns - array.shape[1])), mode="edge")
    means = padded.reshape(rows // block, block, columns // block, block).mean(axis=(1, 3))
    return means.astype(np.float32), pixel_mm * block


def fine(change: Array, shape: tuple[int, ...]) -> Array:
    """Return a coarse change on the grid of a slice of `shape`, `(y, x)`."""
    from scipy import ndimage

    block = int(np.ceil(max(shape) / max(change.shape)))
    if block == 1:
        return change
    row, column = (((np.arange(size) + 0.5) / block - 0.5) for size in shape)
    grid = np.meshgrid(row, column, indexing="ij")
    return np.asarray(ndimage.map_coordinates(change, grid, order=1, mode="nearest"), dtype=np.float32)
