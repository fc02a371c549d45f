"""What the air of an MR frame tells: its noise, or that the scanner masked or filtered it.

Magnitude noise in air is Rayleigh distributed, or chi distributed with several coils (Dietrich et al., J Magn Reson Imaging
2007; 26:375). Vendors' filters, parallel imaging and masks put exact zeros or smooth values there instead: then the air
measures nothing (science: quantities are "not computable", never "bad").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from medqa.regions import Mask, Regions
from medqa.volume import Array

MAX_SAME: Final = 0.3
"""Share of air pixels with one and the same value above which the air counts as masked (a scanner's floor, usually 0)."""
MIN_MEDIAN_TO_MAD: Final = 1.7
"""Median over median absolute deviation: 2.63 for Rayleigh noise and more for several coils; 1.44 for an exponential tail of
ghosts, less for a background that is partly masked."""
MAX_MEDIAN_TO_MAD: Final = 30.0
MIN_STEPS: Final = 1.0
"""A noise below this many stored steps is quantisation."""
MIN_AIR_SHARE: Final = 0.02
MAD_TO_SD_RAYLEIGH: Final = 0.6551 / 0.4485
"""Standard deviation over median absolute deviation of a Rayleigh distribution (0.6551 sigma and 0.4485 sigma)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Air:
    """Noise of the air: `deviation` its standard deviation as a Rayleigh distribution has it, or the `reason` why there is none."""

    deviation: float = float("nan")
    median: float = float("nan")
    reason: str | None = None


def air_noise(values: Array, air: Mask, slope: float = 1.0) -> Air:
    """Return the noise of the air of one frame.

    Parameters
    ----------
    values, air
        `(y, x)`, the same grid.
    slope
        Value of one stored step.
    """
    if air.sum() < max(64, MIN_AIR_SHARE * air.size):
        return Air(reason="no_air")
    sample = values[air]
    median = float(np.median(sample))
    mad = float(np.median(np.abs(sample - median)))
    commonest = float((np.abs(sample - sample.min()) <= 1e-6 * max(1.0, abs(float(sample.min())))).mean())
    if commonest > MAX_SAME or mad <= 0.0:
        return Air(reason="background_masked", median=median)
    if mad < MIN_STEPS * abs(slope) * 0.5 or not MIN_MEDIAN_TO_MAD <= median / mad <= MAX_MEDIAN_TO_MAD:
        return Air(reason="background_masked", median=median)
    return Air(deviation=mad * MAD_TO_SD_RAYLEIGH, median=median)


def frame_air(regions: Regions) -> Air:
    """Return the noise of the air of a frame, on the decimated grid (pixels are taken, not averaged: the noise stays)."""
    return air_noise(regions.values, regions.air, regions.image.frame.header.slope)
