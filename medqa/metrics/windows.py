"""Mean and standard deviation in square windows that overlap by half, from block sums."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medqa.regions import Regions
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
    shifted, centre, pixels = _shifted(array, half_rows, half_columns)
    if shifted.size == 0:
        empty = np.empty((0, 0))
        return empty, empty, pixels
    sums = _pairs(_blocks(shifted, half_rows, half_columns))
    squares = _pairs(_blocks(shifted * shifted, half_rows, half_columns))
    mean = sums / pixels
    variance = np.maximum(squares - sums * mean, 0.0) / (pixels - 1)
    return mean + centre, np.sqrt(variance), pixels


def halves(spacing_mm: tuple[float, float], side_mm: float) -> tuple[int, int]:
    """Return half the rows and half the columns of a window of about `side_mm`."""
    rows, columns = (max(2, round(side_mm / 2 / spacing)) for spacing in spacing_mm)
    return rows, columns


def frame_windows(regions: Regions, side_mm: float) -> tuple[Grid, Grid]:
    """Return mean and deviation of the windows of a frame; the metrics that want windows of a size share them."""
    name = f"windows of {side_mm:g} mm"
    if name not in regions.shared:
        mean, deviation, _ = window_statistics(regions.image.array, *halves(regions.image.spacing_mm, side_mm))
        regions.shared[name] = mean, deviation
    found: tuple[Grid, Grid] = regions.shared[name]
    return found


def levelled_deviations(array: Array, half_rows: int, half_columns: int, between: tuple[float, float]) -> Grid:
    """Return the standard deviations in windows of one tissue once the slope of the tissue around was taken off, `(window,)`.

    A window is of one tissue where the means of all four of its quarters lie `between` two values. The slope is the mean of those
    that fit best in it and in its neighbours of the same tissue: its own alone would take coarse noise away.

    Parameters
    ----------
    array
        `(y, x)`.
    """
    shifted, centre, pixels = _shifted(array, half_rows, half_columns)
    if shifted.size == 0:
        return np.empty(0)
    down, across = shifted.shape[0] // half_rows, shifted.shape[1] // half_columns
    bands = shifted.reshape(down, half_rows, shifted.shape[1])
    lines = bands.sum(axis=1).reshape(down, across, half_columns)
    tilted = np.einsum("drc,r->dc", bands, _from_middle(half_rows)).reshape(down, across, half_columns)
    blocks = lines.sum(axis=2, dtype=np.float64)
    quarters = blocks * (4 / pixels) + centre
    with np.errstate(invalid="ignore"):
        inside = (_of_four(np.minimum, quarters) >= between[0]) & (_of_four(np.maximum, quarters) <= between[1])
    # First moments about the middle of a window: those about the middles of its quarters, and what the quarters weigh.
    right, below = np.diff(blocks, axis=1), np.diff(blocks, axis=0)
    moments = (
        (_pairs(lines @ _from_middle(half_columns)) + half_columns / 2 * (right[:-1] + right[1:]), half_columns),
        (_pairs(tilted.sum(axis=2, dtype=np.float64)) + half_rows / 2 * (below[:, :-1] + below[:, 1:]), half_rows),
    )
    sums, squares = _pairs(blocks), _pairs(_blocks(shifted * shifted, half_rows, half_columns))
    spread = (squares - sums * sums / pixels)[inside]
    around = _nine(inside.astype(np.float64))[inside]
    for moment, half in moments:
        second = pixels * (4 * half * half - 1) / 12
        slope = _nine(np.where(inside, moment, 0.0))[inside] / (around * second)
        spread += slope * (slope * second - 2 * moment[inside])
    deviations: Grid = np.sqrt(np.maximum(spread, 0.0) / (pixels - 1))
    return deviations


def _shifted(array: Array, half_rows: int, half_columns: int) -> tuple[Array, float, int]:
    """Return the part of an array that windows cover, less a middle value; that value; and the pixels of a window."""
    rows, columns = array.shape[0] // half_rows, array.shape[1] // half_columns
    pixels = 4 * half_rows * half_columns
    if rows < 2 or columns < 2:
        return np.empty((0, 0), dtype=np.float32), 0.0, pixels
    cut = array[: rows * half_rows, : columns * half_columns]
    # A middle value is taken off: float32 sums of squares then keep their digits.
    sample = cut[::8, ::8]
    known = sample[np.isfinite(sample)]
    centre = np.float32(np.median(known) if known.size else 0.0)
    return cut - centre, float(centre), pixels


def _from_middle(size: int) -> Array:
    """Return the places of `size` pixels in a row, measured from their middle."""
    places: Array = np.arange(size, dtype=np.float32) - np.float32((size - 1) / 2)
    return places


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


def _of_four(choose: np.ufunc, blocks: Grid) -> Grid:
    tall = choose(blocks[:-1], blocks[1:])
    chosen: Grid = choose(tall[:, :-1], tall[:, 1:])
    return chosen


def _nine(windows: Grid) -> Grid:
    """Sum over every window and its eight neighbours."""
    wide = np.pad(windows, 1)
    tall = wide[:-2] + wide[1:-1] + wide[2:]
    sums: Grid = tall[:, :-2] + tall[:, 1:-1] + tall[:, 2:]
    return sums
