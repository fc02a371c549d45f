"""PET noise texture: the width of the noise grain in mm, as the Gaussian filter that would make it from noise without any.

In windows of 30 mm inside the body, half the mean squared difference of neighbours is compared with the variance: both know the
same noise, and its size falls out. For noise filtered by a Gaussian of deviation s the autocorrelation is r(h) = exp(-h^2/4s^2),
so

    d2 / s2 = (1 - r(one pixel)) / (1 - mean of r over all pairs in a window)

and s follows. Windows of more than 2.5 times the variance of the frame's lowest quarter are left out: organs have borders there.
The width is given as full width at half maximum, 2.355 s. Noise texture from the autocorrelation: Razifar et al., Noise
correlation in PET, CT, SPECT and PET/CT data evaluated using autocorrelation function, BMC Med Imaging 2005; 5:5. Structure that
is wider than the grain adds to the variance alone, so that the width in a patient reads larger than in a phantom, the more so the
less noise there is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from medqa.codes import Unit, own
from medqa.errors import NotApplicable
from medqa.measurement import Measurement
from medqa.metrics.metric import Metric, Partial, present
from medqa.metrics.pt_windows import windows
from medqa.regions import Regions
from medqa.series import Series

NAME: Final = "pt_texture"
SOURCE: Final = "autocorrelation of noise, Razifar et al., BMC Med Imaging 2005;5:5"
MIN_WINDOWS: Final = 60
SPREAD: Final = 2.5
"""Windows of noise alone differ in variance by up to about this; a stricter choice would prefer what is fine by chance."""
RANGE_MM: Final = (0.05, 30.0)
"""Deviations of the Gaussian between which the answer is sought."""


def per_frame(regions: Regions) -> dict[str, Any] | None:
    """Return sums over the more uniform windows, relative to their means; None where there is no noise.

    Returns
    -------
    dict or None
        `across`, `down`, `variance`, the number of `windows` and their `shape` in pixels.
    """
    seen = windows(regions)
    if seen.mean.size == 0:
        return None
    relative = seen.variance / seen.mean**2
    chosen = (relative <= SPREAD * np.percentile(relative, 25)) & (relative > 0)
    if not chosen.any():
        return None
    scale = seen.mean[chosen] ** 2
    return {
        "across": float((seen.across[chosen] / scale).sum()),
        "down": float((seen.down[chosen] / scale).sum()),
        "variance": float(relative[chosen].sum()),
        "windows": int(chosen.sum()),
        "shape": list(seen.shape),
    }


def expected(deviation_mm: float, spacing_mm: tuple[float, float], shape: tuple[int, int], axis: int) -> float:
    """Return d2 over the variance in a window for noise filtered by a Gaussian; `axis` 0 compares rows, 1 columns."""
    own_mean = 1.0
    for pixels, size in zip(shape, spacing_mm, strict=True):
        lags = np.arange(pixels)
        r = np.exp(-((lags * size / (2 * deviation_mm)) ** 2))
        own_mean *= float((r * (pixels - lags) * np.where(lags > 0, 2, 1)).sum()) / pixels**2
    neighbour = math.exp(-((spacing_mm[axis] / (2 * deviation_mm)) ** 2))
    return (1 - neighbour) / max(1 - own_mean, 1e-9)


def combine(series: Series, partials: Sequence[Partial | None]) -> Measurement:
    """Return the width of the grain, full width at half maximum in mm.

    Raises
    ------
    NotApplicable
        `no_body` where fewer than `MIN_WINDOWS` windows lie in a body, `header_silent` where pixels have no size, `coarse_pixels`
        where neighbours have nothing in common: the grain is finer than a pixel.
    """
    known = present(NAME, partials, "no_body")
    if sum(one["windows"] for one in known) < MIN_WINDOWS:
        raise NotApplicable(what=NAME, reason="no_body")
    spacing = series.frames[0].header.spacing_mm
    if spacing is None:
        raise NotApplicable(what=NAME, reason="header_silent", keyword="PixelSpacing")
    shape = (int(known[0]["shape"][0]), int(known[0]["shape"][1]))
    variance = math.fsum(one["variance"] for one in known)
    seen = [math.fsum(one[name] for one in known) / variance for name in ("down", "across")]
    widths = [_solve(ratio, spacing, shape, axis) for axis, ratio in enumerate(seen)]
    return Measurement(
        quantity=own(NAME, "Width of the noise grain"),
        value=2 * math.sqrt(2 * math.log(2)) * float(np.mean(widths)),
        unit=Unit.MM,
        source=SOURCE,
    )


def _solve(ratio: float, spacing_mm: tuple[float, float], shape: tuple[int, int], axis: int) -> float:
    """Return the deviation in mm at which `expected` gives the ratio, by halving: it falls as the deviation grows."""
    low, high = RANGE_MM
    # A grain of a third of a pixel cannot be told from none.
    if ratio >= expected(spacing_mm[axis] / 3, spacing_mm, shape, axis):
        raise NotApplicable(what=NAME, reason="coarse_pixels")
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if expected(middle, spacing_mm, shape, axis) > ratio else (low, middle)
    return (low + high) / 2


METRIC: Final = Metric(name=NAME, per_frame=per_frame, combine=combine)
