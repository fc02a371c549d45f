"""MR spikes: the strongest stripes that cross the image, as a share of its mean signal.

One sample of k-space that is far too large is one plane wave in the image. A magnitude image shows the wave within the body only
and turns it by the phase of the coils, so that the sample is spread over its neighbours: what counts is the energy of a window of
7 by 7 samples. Bodies are brightest in the middle of k-space and fall off outwards, their straight edges along lines through the
middle: of an energy, `MARGIN` times that of the brightest of four windows around (inwards, outwards, to both sides) is taken off as
anatomy or noise. The rest, as the amplitude of a wave of the same energy within the body:

    amplitude = 2 sqrt(rest / share of the body) / mean of the body       [percent]

What is left must sit in one place: the brightest 3 by 3 samples of a window hold 71 to 97 % of it where a spike was simulated, 43 %
where a line crosses it, and 24 to 60 % (six of 191 windows more, up to 73 %) where a body that folds over, moves or whose fat is
displaced left it bright. From 60 to 80 % the rest counts more and more. Of 59 clean train scans three, one and two were named under
simulated wrap, drift and displaced fat, and none is since (the most is 4.2 %). What is near is taken off once, not twice as before:
spikes rise strictly in 98 instead of 92 %.

On clean train scans under simulated spikes of 10, 20, 40 and 80 % it shows 13, 24, 43 and 73 % (medians); the sample over the
median of its block, which was tried first, went up to the second and then down, because what spreads raises the median too. A
phantom with bars has a wave of its own. Source, for what a spike is: Zhuo and Gullapalli, RadioGraphics 2006; 26:275
(10.1148/rg.261055134).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from medqa.assessment import Finding
from medqa.codes import Unit, own
from medqa.findings import finding
from medqa.measurement import Measurement
from medqa.metrics.metric import Metric, Partial, present, runs
from medqa.metrics.mr_air import MIN_FOREGROUND
from medqa.regions import Regions
from medqa.series import Series
from medqa.volume import Array

NAME: Final = "mr_spikes"
SOURCE: Final = "Zhuo and Gullapalli, RadioGraphics 2006;26:275"
WINDOW: Final = 7
"""Samples: coils turn the phase by a few turns over the field."""
REACH: Final = WINDOW // 2
AROUND: Final = 8
"""Samples from a window to those it is held against: the next that does not overlap."""
INNER: Final = 10
"""Samples around the middle of k-space that do not count."""
GRID: Final = 2
"""Samples between windows."""
MARGIN: Final = 1.0
"""Times the surroundings: `GATHERED` keeps out what they miss. Twice hid stripes near the middle of k-space."""
PEAK: Final = 3
"""Samples of the brightest part of a window, from side to side."""
INSIDE: Final = WINDOW - PEAK + 1
"""Places of such a part within a window, along either side."""
GATHERED: Final = (0.6, 0.8)
"""Share of a window's energy that its brightest part holds: of the lower none counts, of the upper all."""
MIN_SIDE: Final = 48
MAX_AMPLITUDE: Final = 5.0
"""Percent from which a frame is named: clean train scans of patients reach 0.4 %, two phantoms with bars 12 and 16 %."""

Places = NDArray[np.int64]


def per_frame(regions: Regions) -> dict[str, Any] | None:
    """Return the amplitude in percent; None for an end of the stack or a tiny frame."""
    from scipy import fft, ndimage

    array = regions.image.array
    if regions.body_share < MIN_FOREGROUND or min(array.shape) < MIN_SIDE:
        return None
    shown = np.nan_to_num(array)
    body = regions.full(regions.body)
    level = float(shown[body].mean(dtype=np.float64))
    if level <= 0:
        return None
    half = fft.fftshift(fft.rfft2(shown - shown.mean()), axes=0)
    power = _beyond_the_axis(half.real**2 + half.imag**2)
    energy = ndimage.uniform_filter(power, WINDOW, mode="nearest")[:, REACH:] * WINDOW**2
    (rows, columns), around = _windows(*energy.shape)
    rest = energy[rows, columns] - MARGIN * np.max([energy[place] for place in around], axis=0)
    over = np.flatnonzero(rest > 0)
    parts = PEAK**2 * ndimage.uniform_filter(power, PEAK, mode="nearest")
    inner = np.lib.stride_tricks.sliding_window_view(parts, (INSIDE, INSIDE))
    half_inside = INSIDE // 2
    brightest = inner[rows[over] - half_inside, columns[over] + REACH - half_inside].max(axis=(1, 2), initial=0.0)
    low, high = GATHERED
    share = brightest / energy[rows[over], columns[over]]
    counted = float((rest[over] * np.clip((share - low) / (high - low), 0.0, 1.0)).max(initial=0.0))
    # The other half of k-space, which is not computed, holds as much: a wave of amplitude a has the energy a^2 / 2 in all.
    return {"percent": 200.0 * math.sqrt(max(0.0, counted) / float(body.mean())) / array.size / level}


def _beyond_the_axis(power: Array) -> Array:
    """Return half a k-space (rows centred) with the first columns of the other half before it: k and -k hold the same."""
    other = power[::-1, REACH:0:-1]
    return np.concatenate([other if power.shape[0] % 2 else np.roll(other, 1, axis=0), power], axis=1)


@lru_cache(maxsize=16)
def _windows(rows: int, columns: int) -> tuple[tuple[Places, Places], list[tuple[Places, Places]]]:
    """Return row and column of the windows in half a k-space (rows centred), and of the four around each."""
    row, column = np.meshgrid(np.arange(0, rows, GRID) - rows // 2, np.arange(0, columns, GRID), indexing="ij")
    radius = np.hypot(row, column)
    whole = (np.abs(row) < rows // 2 - REACH) & (column < columns - REACH)
    keep = (radius >= INNER) & whole
    row, column, radius = row[keep], column[keep], radius[keep]
    out_row, out_column = row / radius, column / radius
    around = []
    for step_row, step_column in ((-out_row, -out_column), (out_row, out_column), (out_column, -out_row), (-out_column, out_row)):
        there_row = np.rint(row + AROUND * step_row).astype(np.int64)
        there_column = np.rint(column + AROUND * step_column).astype(np.int64)
        # k-space of a real image is the same on the other side of the middle.
        there_row = np.where(there_column < 0, -there_row, there_row) + rows // 2
        around.append((np.clip(there_row, 0, rows - 1), np.minimum(np.abs(there_column), columns - 1)))
    return (row + rows // 2, column), around


def combine(series: Series, partials: Sequence[Partial | None]) -> Measurement:
    """Return the largest over the frames, in percent: a spike is in one of them.

    Raises
    ------
    NotApplicable
        `no_body` where no frame has foreground.
    """
    found = present(NAME, partials, "no_body")
    return Measurement(
        quantity=own(NAME, "Amplitude of stripes from one sample of k-space"),
        value=max(float(partial["percent"]) for partial in found),
        unit=Unit.PERCENT,
        source=SOURCE,
    )


def find(series: Series, partials: Sequence[Partial | None]) -> list[Finding]:
    """Return the runs of frames that stripes cross."""
    found = [None if partial is None else float(partial["percent"]) for partial in partials]
    return [
        finding(NAME, values={"percent": max(one for one in found[first : last + 1] if one is not None)}, frames=(first, last))
        for first, last in runs([one is not None and one > MAX_AMPLITUDE for one in found])
    ]


METRIC: Final = Metric(name=NAME, per_frame=per_frame, combine=combine, find=find)
