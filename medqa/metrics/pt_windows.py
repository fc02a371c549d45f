"""Square windows of 30 mm inside the body of a PET frame: how even they are, and how fine the grain of their noise is.

Windows overlap by half and keep half their width from the body's border, which is blurred. Beside mean and variance each knows
the mean squared difference of neighbouring pixels: half of it over the variance is 1 where neighbours have nothing in common, and
the smaller the wider the grain. The difference of two neighbouring differences, one row apart, leaves a slope of any direction out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from medqa.metrics.pt_body import body
from medqa.regions import Mask, Regions
from medqa.volume import Array

Values = NDArray[np.float64]

NAME: Final = "pt_windows"
WINDOW_MM: Final = 30.0
INSIDE: Final = 0.999


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """The windows of a frame that lie inside the body: `(n,)` each, in the frame's own unit.

    `variance` is that about the window's own mean; `across` and `down` are half the mean squared difference of neighbours in a row
    and in a column, `fine` a quarter of the mean squared difference of these differences. `shape` is the size of a window in
    pixels, (rows, columns).
    """

    mean: Values
    variance: Values
    across: Values
    down: Values
    fine: Values
    shape: tuple[int, int]


def windows(regions: Regions) -> Windows:
    """Return the windows of a frame; made once a frame, whoever asks first."""
    if NAME not in regions.shared:
        regions.shared[NAME] = _windows(regions)
    made: Windows = regions.shared[NAME]
    return made


def _windows(regions: Regions) -> Windows:
    array = np.nan_to_num(regions.image.array, posinf=0.0, neginf=0.0)
    half = _half(regions)
    # A middle value is taken off first: float32 sums of squares then keep their digits.
    centre = np.float32(np.median(array[:: half[0], :: half[1]]))
    shifted = array - centre
    across, down, fine = np.zeros_like(shifted), np.zeros_like(shifted), np.zeros_like(shifted)
    np.subtract(shifted[:, 1:], shifted[:, :-1], out=across[:, :-1])
    np.subtract(shifted[1:], shifted[:-1], out=down[:-1])
    np.subtract(across[1:], across[:-1], out=fine[:-1])
    mean = _over(shifted, half)
    variance = np.maximum(_over(shifted**2, half) - mean**2, 0.0)
    mean = mean + float(centre)
    chosen = _clear(_blocks(body(regions).astype(np.float32), half)) & (mean > 0)
    return Windows(
        mean=mean[chosen],
        variance=variance[chosen],
        across=_over(across**2, half)[chosen] / 2,
        down=_over(down**2, half)[chosen] / 2,
        fine=_over(fine**2, half)[chosen] / 4,
        shape=(2 * half[0], 2 * half[1]),
    )


def _half(regions: Regions) -> tuple[int, int]:
    rows, columns = (max(2, round(WINDOW_MM / 2 / size)) for size in regions.image.spacing_mm)
    return rows, columns


def _blocks(array: Array, half: tuple[int, int]) -> Values:
    """Return the means of blocks of half a window."""
    rows, columns = (size // part for size, part in zip(array.shape, half, strict=True))
    cut = array[: rows * half[0], : columns * half[1]]
    lines = cut.reshape(rows, half[0], cut.shape[1]).mean(axis=1)
    means: Values = lines.reshape(rows, columns, half[1]).mean(axis=2, dtype=np.float64)
    return means


def _over(array: Array, half: tuple[int, int]) -> Values:
    """Return the means of windows: two by two blocks, with one block more on every side."""
    blocks = _blocks(array, half)
    if min(blocks.shape) < 4:
        return np.empty((0, 0))
    inner = blocks[1:-1, 1:-1]
    square: Values = (inner[:-1, :-1] + inner[1:, :-1] + inner[:-1, 1:] + inner[1:, 1:]) / 4
    return square


def _clear(blocks: Values) -> Mask:
    """Return which windows lie in the body with all blocks around them: its border is blurred."""
    if min(blocks.shape) < 4:
        return np.empty((0, 0), dtype=bool)
    full = np.lib.stride_tricks.sliding_window_view(blocks > INSIDE, (4, 4))
    return np.asarray(full.all(axis=(2, 3)))
