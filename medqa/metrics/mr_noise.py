"""MR noise within the body, for images whose air was masked or filtered: fine diagonal detail over the signal of the place.

    noise = median (|D| / local mean) / 0.6745,     D = (1 0 -2 0 1) / root 6 along the rows, then along the columns

The median is weighted by the local mean: every pixel counts by its signal. The noisier an image, the less of its dim tissue is told
from air; an even median would then fall, since noise is a smaller share of what is left.

White noise keeps its deviation in D; edges along rows and columns drop out, as in the diagonal band of Haar's wavelet, and so does
whatever changes its sign from pixel to pixel, such as the side lobes of a zipper. The local mean, over 21 pixels of the body, evens
out the shading of coils. The value is a percent of the signal, the inverse of a signal-to-noise ratio. Fine anatomy adds to it (the
median of clean train scans is twice that of Haar's band), and an image that was interpolated (zero-filled k-space) hides a part of
its noise: compare within a protocol.
Source: Donoho DL. De-noising by soft-thresholding. IEEE Trans Inf Theory 1995; 41:613-627 (10.1109/18.382009), for the median.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from medqa.codes import Unit, own
from medqa.measurement import Measurement
from medqa.metrics.metric import Metric, Partial, median_of
from medqa.metrics.mr_air import MIN_FOREGROUND, foreground_level
from medqa.regions import Mask, Regions
from medqa.series import Series
from medqa.volume import Array

NAME: Final = "mr_noise"
SOURCE: Final = "Donoho, IEEE Trans Inf Theory 1995;41:613"
MAD_TO_SD: Final = 0.6745
KERNEL: Final = (1.0, 0.0, -2.0, 0.0, 1.0)
"""A second difference over every other pixel: nothing of a slope, and nothing of the highest frequency."""
LOCAL: Final = 21
"""Side in pixels of the square over which the signal of a place is taken."""
MIN_PIXELS: Final = 200
MIN_STEPS: Final = 0.5
"""A deviation below this many stored steps is rounding."""
LEAST_SIGNAL: Final = 1e-3
"""Share of the mean signal below which no place counts."""


def per_frame(regions: Regions) -> dict[str, Any] | None:
    """Return the deviation in percent of the signal; None for an end of the stack, or where rounding hides the noise."""
    if regions.body_share < MIN_FOREGROUND:
        return None
    from scipy import ndimage

    array = np.nan_to_num(regions.image.array).astype(np.float32, copy=False)
    inside = ndimage.binary_erosion(regions.full(regions.inside), iterations=len(KERNEL) // 2)
    level = foreground_level(regions)
    if int(inside.sum()) < MIN_PIXELS or not level > 0:
        return None
    detail, signal = np.abs(fine_detail(array)[inside]), local_signal(array, inside)
    if float(np.median(detail)) / MAD_TO_SD < MIN_STEPS * abs(regions.image.frame.header.slope):
        return None
    share = detail / np.maximum(signal, np.float32(LEAST_SIGNAL * level))
    return {"percent": 100.0 * weighted_median(share, signal) / MAD_TO_SD}


def fine_detail(array: Array) -> Array:
    """Return the detail D of `(y, x)`, in its unit; the deviation of white noise is kept."""
    from scipy import ndimage

    weights = np.array(KERNEL, dtype=np.float32) / np.sqrt(np.float32(np.square(KERNEL).sum()))
    return np.asarray(ndimage.convolve1d(ndimage.convolve1d(array, weights, axis=0), weights, axis=1))


def local_signal(array: Array, inside: Mask) -> Array:
    """Return the mean magnitude around every pixel of a mask, over pixels of the mask alone, `(n,)`."""
    from scipy import ndimage

    amount = ndimage.uniform_filter(inside.astype(np.float32), LOCAL, mode="constant")[inside]
    total = ndimage.uniform_filter(np.where(inside, np.abs(array), np.float32(0)), LOCAL, mode="constant")[inside]
    return np.asarray(total / np.maximum(amount, np.float32(1 / LOCAL**2)))


def weighted_median(values: Array, weights: Array) -> float:
    """Return the value up to which half of the weight lies; `(n,)` each, weights of 0 or more."""
    order = np.argsort(values)
    total = np.cumsum(weights[order], dtype=np.float64)
    return float(values[order[int(np.searchsorted(total, total[-1] / 2))]])


def combine(series: Series, partials: Sequence[Partial | None]) -> Measurement:
    """Return the median over the frames, in percent of the signal.

    Raises
    ------
    NotApplicable
        `no_body` where no frame has foreground with noise that its steps can show.
    """
    return median_of(
        partials, "percent", quantity=own(NAME, "Noise within the body over the signal"), unit=Unit.PERCENT, source=SOURCE
    )


METRIC: Final = Metric(name=NAME, per_frame=per_frame, combine=combine)
