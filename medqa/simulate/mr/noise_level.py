"""How much noise an image gets when its own is multiplied: no strength may end in the same picture as the one below it.

Noise above the signal leaves no image. Where the strongest declared factor would pass that ceiling, the steps are made smaller in
proportion: every factor is raised to the power with which the strongest just reaches it.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from medqa.volume import Array

LOWEST_NOISE: Final = 0.015
"""An image with less noise than this share of its mean signal counts as having this much."""
HIGHEST_NOISE: Final = 0.5
"""The strongest declared level leaves no more noise than this share of the mean signal; an image with over half of it gets more."""
LEAST_GROWTH: Final = 2.0
"""An image however noisy still gets this many times its own noise at the strongest level."""


def raised(own: float, factor: Array | float, strongest: float) -> Array:
    """Return the deviation of the noise for a factor of 1 or more, in the unit of `own`, a share of the mean signal.

    Parameters
    ----------
    own
        Deviation that the image has, a share of its mean signal, above 0.
    factor
        What it is multiplied by, one number or one for each pixel.
    strongest
        The largest factor of the declared levels, above 1.
    """
    most = max(HIGHEST_NOISE / own, LEAST_GROWTH)
    power = min(float(np.log(most) / np.log(strongest)), 1.0)
    return np.asarray(own * np.power(factor, power), dtype=np.float32)
