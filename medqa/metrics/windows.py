"""Mean and standard deviation in square windows that overlap by half, from block sums."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medqa.volume import Array

Grid = NDArray[np.float64]


def window_statistics(array: Array, half_rows: int, half_columns: int) -> tuple[Grid, Grid, int]:
    """Return the mean and the sample standard deviation of every window, and its number of pixels.

    A window is two by two blocks of `half_rows` by `half_columns` pixels; neighbours overlap by half. A window that holds a
    pixel without a value is NaN in both grids.

    Parameters
    ----------
    array
        `(y, x)`.

    Returns
    -------
    mean, deviation
        `(windows down, windows across)`; empty where the array is smaller than one window.
    pixels
        Pixels in a window.
    """
    rows, columns = array.shape[0] // half_rows, array.shape[1] // half_columns
    pixels = 4 * half_rows * half_columns
    if rows < 2 or columns < 2:
        empty = np.empty((0, 0))
        return empty, empty, pixels
    cut = array[: rows * half_rows, : columns * half_columns]
    # A middle value is taken off first: float32 sums of squares then keep their digits.
    sample = cut[::8, ::8]
    known = sample[np.isfinite(sample)]
    centre = np.float32(np.median(known) if known.size else 0.0)
    shifted = cut - centre
    sums = _pairs(_blocks(shifted, half_rows, half_columns))
    squares = _pairs(_blocks(shifted * shifted, half_rows, half_columns))
    mean = sums / pixels
    variance = np.maximum(squares - sums * mean, 0.0) / (pixels - 1)
    return mean + float(centre), np.sqrt(variance), pixels


def _blocks(array: Array, rows: int, columns: int) -> Grid:
    """Sum over blocks; the inner axis first, which numpy adds up pairwise."""
    down, across = array.shape[0] // rows, array.shape[1] // columns
    lines = array.reshape(down, rows, array.shape[1]).sum(axis=1)
    sums: Grid = lines.reshape(down, across, columns).sum(axis=2, dtype=np.float64)
    return sums


def _pairs(blocks: Grid) -> Grid:
    tall = blocks[:-1] + blocks[1:]
    square: Grid = tall[:, :-1] + tall[:, 1:]
    return square
