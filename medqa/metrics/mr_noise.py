"""MR noise within the body, for images whose air was masked or filtered: the finest diagonal detail over the signal.

    noise = median |HH| / 0.6745,     HH = (a - b - c + d) / 2 of every 2 x 2 pixels in the body

HH is the diagonal band of Haar's wavelet, in which edges along rows and columns drop out and white noise keeps its deviation. The
value is that deviation as a percent of the mean signal of the foreground, the inverse of a signal-to-noise ratio. An image that was
interpolated (zero-filled k-space) hides its noise from it and reads low: compare within a protocol.
Source: Donoho DL. De-noising by soft-thresholding. IEEE Trans Inf Theory 1995; 41:613-627 (10.1109/18.382009).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from medqa.codes import Unit, own
from medqa.measurement import Measurement
from medqa.metrics.metric import Metric, Partial, present
from medqa.metrics.mr_air import MIN_FOREGROUND, foreground_level
from medqa.regions import Regions
from medqa.series import Series

NAME: Final = "mr_noise"
SOURCE: Final = "Donoho, IEEE Trans Inf Theory 1995;41:613"
MAD_TO_SD: Final = 0.6745
MIN_BLOCKS: Final = 200
MIN_STEPS: Final = 0.5
"""A deviation below this many stored steps is rounding."""


def per_frame(regions: Regions) -> dict[str, Any] | None:
    """Return the deviation in percent of the signal; None for an end of the stack, or where rounding hides the noise."""
    if regions.body_share < MIN_FOREGROUND:
        return None
    array = regions.image.array
    rows, columns = (size // 2 * 2 for size in array.shape)
    even = np.nan_to_num(array)[:rows, :columns]
    detail = (even[::2, ::2] - even[1::2, ::2] - even[::2, 1::2] + even[1::2, 1::2]) / 2
    chosen = detail[regions.full(regions.inside)[:rows:2, :columns:2]]
    level = foreground_level(regions)
    if chosen.size < MIN_BLOCKS or not level > 0:
        return None
    deviation = float(np.median(np.abs(chosen))) / MAD_TO_SD
    if deviation < MIN_STEPS * abs(regions.image.frame.header.slope):
        return None
    return {"percent": 100.0 * deviation / level}


def combine(series: Series, partials: Sequence[Partial | None]) -> Measurement:
    """Return the median over the frames, in percent of the signal.

    Raises
    ------
    NotApplicable
        `no_body` where no frame has foreground with noise that its steps can show.
    """
    found = present(NAME, partials, "no_body")
    return Measurement(
        quantity=own(NAME, "Noise within the body over the signal"),
        value=float(np.median([partial["percent"] for partial in found])),
        unit=Unit.PERCENT,
        source=SOURCE,
    )


METRIC: Final = Metric(name=NAME, per_frame=per_frame, combine=combine)
