"""The formulae of MRIQC, on numbers and on volumes with masks.

Source: Esteban O, Birman D, Schaer M, Koyejo OO, Poldrack RA, Gorgolewski KJ. MRIQC: Advancing the automatic prediction of image
quality in MRI from unseen sites. PLoS ONE 2017; 12:e0184661, doi 10.1371/journal.pone.0184661, as its code of 2026 computes them;
the papers behind each stand with it. The streamed metrics end in the functions on numbers; those on volumes hold them to MRIQC's
definitions. Deviations are population deviations, as there. MRIQC puts a region's median where the formula has the mean, and in CJV
the median absolute deviation for the standard deviation: this leaves out outliers and is no other formula.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from medqa.regions import Mask

Values = NDArray[np.floating]

RAYLEIGH: Final = math.sqrt((4 - math.pi) / 2)
"""Standard deviation of the magnitude of noise in air, over the deviation of one channel: 0.6551 (Dietrich et al. 2007)."""


def snr(mean: float, deviation: float, pixels: float) -> float:
    """Return the signal-to-noise ratio within one tissue: mean over sample deviation (`deviation` is that of the population)."""
    return mean / (deviation * math.sqrt(pixels / (pixels - 1)))


def dietrich(mean: float, air_deviation: float) -> float:
    """Return the signal-to-noise ratio against air, whose noise is Rayleigh's (Dietrich et al., JMRI 2007; 26:375)."""
    return RAYLEIGH * mean / air_deviation


def cnr(white: tuple[float, float], grey: tuple[float, float], air_deviation: float) -> float:
    """Return the contrast-to-noise ratio of white and grey matter, each a mean and a deviation.

    Source: Magnotta and Friedman, J Digit Imaging 2006; 19:140.
    """
    return abs(white[0] - grey[0]) / math.sqrt(air_deviation**2 + white[1] ** 2 + grey[1] ** 2)


def cjv(white: tuple[float, float], grey: tuple[float, float]) -> float:
    """Return the coefficient of joint variation of white and grey matter, each a mean and a deviation.

    Source: Ganzetti et al., Front Neuroinform 2016; 10:10.
    """
    return (white[1] + grey[1]) / abs(white[0] - grey[0])


def efc(pixels: int, total: float, squares: float, entropy: float) -> float:
    """Return the entropy focus criterion from sums over the pixels: of x, of its square, and of x ln x.

    Source: Atkinson et al., IEEE Trans Med Imaging 1997; 16:903.
    """
    norm = math.sqrt(squares)
    # sum (x/m) ln(x/m) = (sum x ln x - ln m sum x) / m
    return (entropy - math.log(norm) * total) / norm / (math.sqrt(pixels) * math.log(1 / math.sqrt(pixels)))


def fber(foreground: float, background: float) -> float:
    """Return the foreground-background energy ratio from the median of the squares in either."""
    return foreground / background


def volume_snr(volume: Values, tissue: Mask) -> float:
    """Return the signal-to-noise ratio of a tissue of a volume."""
    mean, deviation = level(volume, tissue)
    return snr(mean, deviation, int(tissue.sum()))


def volume_dietrich(volume: Values, foreground: Mask, air: Mask) -> float:
    """Return Dietrich's signal-to-noise ratio of a volume."""
    return dietrich(level(volume, foreground)[0], level(volume, air)[1])


def volume_cnr(volume: Values, white: Mask, grey: Mask, air: Mask) -> float:
    """Return the contrast-to-noise ratio of a volume."""
    return cnr(level(volume, white), level(volume, grey), level(volume, air)[1])


def volume_cjv(volume: Values, white: Mask, grey: Mask) -> float:
    """Return the coefficient of joint variation of a volume."""
    return cjv(level(volume, white), level(volume, grey))


def volume_efc(volume: Values) -> float:
    """Return the entropy focus criterion of a volume."""
    values = np.abs(volume.astype(np.float64))
    entropy = values * np.log(np.maximum(values, np.finfo(np.float64).tiny))
    return efc(values.size, float(values.sum()), float(np.square(values).sum()), float(entropy.sum()))


def volume_fber(volume: Values, foreground: Mask, background: Mask) -> float:
    """Return the foreground-background energy ratio of a volume."""
    energy = np.square(volume.astype(np.float64))
    return fber(float(np.median(energy[foreground])), float(np.median(energy[background])))


def level(volume: Values, mask: Mask) -> tuple[float, float]:
    """Return the mean and the population deviation of a volume in a mask."""
    inside = volume[mask].astype(np.float64)
    return float(inside.mean()), float(inside.std())
