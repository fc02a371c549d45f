"""Detectability index d' of a known signal in noise realisations, seen by a channelised Hotelling observer.

Source: Barrett HH, Yao J, Rolland JP, Myers KJ. Model observers for assessment of image quality. Proc Natl Acad Sci 1993;
90:9758-9765 (10.1073/pnas.90.21.9758); Laguerre-Gauss channels: Gallas BD, Barrett HH. J Opt Soc Am A 2003; 20:1725
(10.1364/JOSAA.20.001725).

The observer sees an image through a few channels, weighs them by the inverse of their covariance, and reaches d'² = v' K⁻¹ v, v
being the channels' response to the signal. K is estimated from n images of p channels. Its inverse is too large on average: with
m = n - 1, d'² is taken times (m - p - 1) / m, which makes it unbiased for normal noise, and m d'² over the estimate is
distributed as chi-squared with m - p + 1 degrees of freedom: that is the interval.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from medqa.codes import Unit, own
from medqa.errors import NotApplicable
from medqa.measurement import Measurement

NAME: Final = "hotelling_detectability"
SOURCE: Final = "Barrett et al., PNAS 1993;90:9758"
Channels = NDArray[np.float64]


def laguerre_gauss(shape: tuple[int, int], spacing_mm: tuple[float, float], *, width_mm: float, count: int = 6) -> Channels:
    """Return Laguerre-Gauss channels about the middle, `(count, y, x)`, each of unit energy.

    `width_mm` is the scale of the Gaussian exp(-π r² / width²), about the width of the signal.
    """
    from scipy import special

    y, x = ((np.arange(size) - (size - 1) / 2) * spacing for size, spacing in zip(shape, spacing_mm, strict=True))
    scaled = 2 * np.pi * (y[:, None] ** 2 + x[None, :] ** 2) / width_mm**2
    channels = np.stack([np.exp(-scaled / 2) * special.eval_laguerre(order, scaled) for order in range(count)])
    return np.asarray(channels / np.sqrt((channels**2).sum(axis=(1, 2), keepdims=True)))


def channelized_hotelling(signal: NDArray[Any], noise: NDArray[Any], channels: Channels) -> Measurement:
    """Return d' of a signal with its 95 % interval.

    Parameters
    ----------
    signal
        What the lesion adds to the image, `(y, x)`, blurred as the scanner blurs it.
    noise
        Images without the lesion, `(n, y, x)`, independent of each other; their mean does not matter.
    channels
        `(p, y, x)`.

    Raises
    ------
    ValueError
        Where the shapes differ.
    NotApplicable
        `too_few_measurements` where there are not at least p + 3 images, `constant_image` where a channel holds no noise.
    """
    from scipy import linalg, stats

    if noise.ndim != 3 or channels.ndim != 3 or not signal.shape == noise.shape[1:] == channels.shape[1:]:
        message = f"the shapes {signal.shape}, {noise.shape} and {channels.shape} do not fit"
        raise ValueError(message)
    freedom, count = len(noise) - 1, len(channels)
    if freedom < count + 2:
        raise NotApplicable(what=NAME, reason="too_few_measurements")
    flat = channels.reshape(count, -1)
    seen = flat @ np.asarray(signal, dtype=np.float64).ravel()
    covariance = np.atleast_2d(np.cov(np.asarray(noise, dtype=np.float64).reshape(len(noise), -1) @ flat.T, rowvar=False))
    try:
        raw = float(seen @ linalg.solve(covariance, seen, assume_a="pos"))
    except linalg.LinAlgError as error:
        raise NotApplicable(what=NAME, reason="constant_image") from error
    low, high = (float(np.sqrt(raw * stats.chi2.ppf(share, freedom - count + 1) / freedom)) for share in (0.025, 0.975))
    return Measurement(
        quantity=own(NAME, "Detectability index, channelised Hotelling observer"),
        value=float(np.sqrt(raw * (freedom - count - 1) / freedom)),
        unit=Unit.ONE,
        source=SOURCE,
        interval=(low, high),
    )
