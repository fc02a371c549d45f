"""Square windows of 30 mm inside the body of a PET frame: how even they are, and how fine the grain of their noise is.

Windows overlap by half. Beside mean and variance each knows the mean squared difference of neighbouring pixels: half of it over the
variance is 1 where neighbours have nothing in common, and the smaller the wider the grain.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from medqa.metrics.pt_field import field
from medqa.regions import Mask, Regions

Values = NDArray[np.float64]

NAME: Final = "pt_windows"
WINDOW_MM: Final = 30.0
INSIDE: Final = 0.999


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """The windows of a frame that lie inside the body: `(n,)` each, in the frame's own unit.

    `variance` is that about the window's own mean; `across` and `down` are half the mean squared difference of neighbours in a row
    and in a column. `shape` is the size of a window in pixels, (rows, columns).
    """

    mean: Values
    variance: Values
    across: Values
    down: Values
    shape: tuple[int, int]


def windows(regions: Regions) -> Windows:
    """Return the windows of a frame; made once a frame, whoever asks first."""
    if NAME not in regions.shared:
        regions.shared[NAME] = _windows(regions)
    made: Windows = regions.shared[NAME]
    return made


def body(regions: Regions) -> Mask:
    """Return the body on the frame's own grid: that of `pt_field`, or of `medqa.regions` where there is no SUV."""
    seen = field(regions)
    if seen is None:
        return regions.full(regions.body)
    wide = np.repeat(np.repeat(seen.body, seen.step, axis=0), seen.step, axis=1)
    rows, columns = regions.image.array.shape
    return wide[:rows, :columns]


def _windows(regions: Regions) -> Windows:
    array = np.nan_to_num(regions.image.array, posinf=0.0, neginf=0.0).astype(np.float64)
    halves = tuple(max(2, round(WINDOW_MM / 2 / spacing)) for spacing in regions.image.spacing_mm)
    rows, columns = 2 * halves[0], 2 * halves[1]
    if min(array.shape[0] // rows, array.shape[1] // columns) < 1:
        empty = np.empty(0)
        return Windows(mean=empty, variance=empty, across=empty, down=empty, shape=(rows, columns))

    def over(values: NDArray[np.float64], trim: tuple[int, int] = (0, 0)) -> Values:
        """Return the mean over every window; `trim` leaves out its last rows or columns, whose neighbours lie outside."""
        sums = np.pad(values.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
        top = np.arange(0, array.shape[0] - rows + 1, halves[0])[:, None]
        left = np.arange(0, array.shape[1] - columns + 1, halves[1])[None, :]
        bottom, right = top + rows - trim[0], left + columns - trim[1]
        total = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
        return np.asarray(total / ((rows - trim[0]) * (columns - trim[1])))

    mean = over(array)
    # A middle value is taken off first: sums of squares then keep their digits.
    shifted = array - float(np.median(array[:: halves[0], :: halves[1]]))
    variance = np.maximum(over(shifted**2) - over(shifted) ** 2, 0.0)
    across = np.zeros_like(array)
    across[:, :-1] = np.diff(array, axis=1) ** 2 / 2
    down = np.zeros_like(array)
    down[:-1] = np.diff(array, axis=0) ** 2 / 2
    chosen = (over(body(regions).astype(np.float64)) > INSIDE) & (mean > 0)
    return Windows(
        mean=mean[chosen],
        variance=variance[chosen],
        across=over(across, (0, 1))[chosen],
        down=over(down, (1, 0))[chosen],
        shape=(rows, columns),
    )
