"""CT number of the air around the body: the one value that a CT scanner must always hit.

By definition air is -1000 HU (PS3.3 C.11.1.1.2; Hounsfield, Br J Radiol 1973; 46:1016). Around the body there are clothes,
cushions, table and cables, too. So the frame is cut into windows, a window counts by its median, and the level is the mean of the
quarter of the windows that lie closest together (after the shorth of Andrews et al., Robust Estimates of Location, Princeton 1972,
which takes the half: in 3 of 49 training frames that was a cushion). Noise that the end of the scale cuts off at -1024 HU moves a
mean, and moves the median of all air, which is a mixture; it does not move the median of a window of air alone.

On 20 clean training scans the lowest simulated dose moves the level by less than 0.1 HU, the median of all air by 9.5 HU. Between
patients it spreads by 1.1 HU where the median spreads by 15: a tenth of that is less than the rounding to whole HU that images are
stored with. Cupping lifts it by 5 HU, since what a scanner fails to correct is back-projected over the air, too.

Where nothing in the frame is below -500 HU although the values show air and tissue a thousand units apart, the scale itself is
displaced (a lost rescale intercept): then that lower level is the air.

The limits, -1050 to -850 HU, leave room for scatter in cone-beam scanners and for air that is seen between arm and trunk.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from medqa.codes import Unit, own
from medqa.measurement import Limits, Measurement
from medqa.metrics.metric import Metric, Partial, present
from medqa.regions import CT_BODY_HU, Regions
from medqa.series import Series
from medqa.volume import Array

NAME: Final = "ct_air"
SOURCE: Final = "Hounsfield, Br J Radiol 1973;46:1016"
LIMITS: Final[Limits] = (-1050.0, -850.0)
MIN_PIXELS: Final = 100
"""On the decimated grid, in all."""
WINDOW: Final = 4
"""Side of a window in elements of the decimated grid: 12 mm where a pixel has 0.75 mm."""
MIN_WINDOWS: Final = 6
MAX_SPREAD_HU: Final = 90.0
"""Median absolute deviation within windows above which it is not air alone. Air has up to 25 HU in the clean training scans and 74
at the lowest simulated dose; air and lung finely mixed have 112."""


def per_frame(regions: Regions) -> dict[str, Any] | None:
    """Return the level of the air in HU; None where the frame shows no air."""
    values = regions.values
    there = values[np.isfinite(values)]
    if there.size < MIN_PIXELS:
        return None
    if float(there.min()) > CT_BODY_HU:
        level = displaced_air(there)
        return None if level is None else {"level": level}
    if not regions.body.any():
        return None
    pixels = air_windows(regions)
    if len(pixels) < MIN_WINDOWS:
        return None
    medians = np.median(pixels, axis=1)
    spread = float(np.median(np.abs(pixels - medians[:, None])))
    return {"level": closest(medians)} if spread <= MAX_SPREAD_HU else None


def air_windows(regions: Regions) -> Array:
    """Return the pixels of the windows that hold air alone, `(window, pixel)` in HU.

    Windows of a single value are left out where there are others: no scanner is without noise, so they are padding, or cut off.
    """
    side = WINDOW * regions.step
    # Neighbours hardly differ: every second pixel of a frame of 512 says as much.
    every = max(1, regions.step // 2)
    array = regions.image.array
    down, across = array.shape[0] // side, array.shape[1] // side
    air = regions.air[: down * WINDOW, : across * WINDOW].reshape(down, WINDOW, across, WINDOW).all(axis=(1, 3))
    blocks = array[: down * side, : across * side].reshape(down, side, across, side)[:, ::every, :, ::every]
    pixels = blocks.swapaxes(1, 2)[air]
    pixels = pixels.reshape(len(pixels), math.prod(pixels.shape[1:]))
    low, high = pixels.min(axis=1, initial=np.inf), pixels.max(axis=1, initial=-np.inf)
    whole = np.isfinite(low) & np.isfinite(high)
    noisy = whole & (high > low)
    kept: Array = pixels[noisy if noisy.sum() >= MIN_WINDOWS else whole]
    return kept


def closest(values: Array) -> float:
    """Return the mean of the quarter of the values that lie closest together; of several such quarters, the middle one."""
    ordered = np.sort(values).astype(np.float64)
    count = -(-ordered.size // 4)
    lengths = ordered[count - 1 :] - ordered[: ordered.size - count + 1]
    shortest = np.flatnonzero(lengths == lengths.min())
    first = int(shortest[shortest.size // 2])
    return float(ordered[first : first + count].mean())


def displaced_air(values: Any) -> float | None:
    """Return the level of what must be air on a displaced scale; None where the values do not look like air and tissue.

    A tenth of the pixels lie close to the lowest level, and a fifth about a thousand units above it, where no scale but a
    displaced one has this much tissue.
    """
    lowest = float(np.percentile(values, 1))
    near = np.abs(values - lowest) < 40
    tissue = (values > lowest + 850) & (values < lowest + 1250)
    return float(np.median(values[near])) if near.mean() >= 0.1 and tissue.mean() >= 0.2 else None


def combine(series: Series, partials: Sequence[Partial | None]) -> Measurement:
    """Return the median over the frames, in HU.

    Raises
    ------
    NotApplicable
        `no_air` where no frame shows air.
    """
    found = present(NAME, partials, "no_air")
    return Measurement(
        quantity=own(NAME, "CT number of air"),
        value=float(np.median([partial["level"] for partial in found])),
        unit=Unit.HU,
        source=SOURCE,
        limits=LIMITS,
    )


METRIC: Final = Metric(name=NAME, per_frame=per_frame, combine=combine)
