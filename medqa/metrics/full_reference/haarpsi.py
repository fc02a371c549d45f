"""Haar wavelet perceptual similarity index: 1 for the same image, towards 0 the less alike edges are.

Source: Reisenhofer R, Bosse S, Kutyniok G, Wiegand T. A Haar wavelet-based perceptual similarity index for image quality
assessment. Signal Processing: Image Communication 2018; 61:33-43 (10.1016/j.image.2017.11.001). Written from its formulae, for
grey images: means of two by two pixels; responses to Haar filters of 2, 4 and 8 pixels in two directions; those of 2 and 4 pixels
are compared, those of 8 weigh. C is 30 for values of 0 to 255, alpha 4.2. The paper says nothing of borders; images are mirrored
there, so that they make no edge.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from medqa.codes import Unit, own
from medqa.errors import NotApplicable
from medqa.measurement import Measurement
from medqa.metrics.full_reference.pair import DataRange, Values, halved_pair, pair
from medqa.regions import Mask

NAME: Final = "haarpsi"
SOURCE: Final = "Reisenhofer et al., Signal Processing: Image Communication 2018;61:33"
CONSTANT: Final = 30 / 255**2
ALPHA: Final = 4.2
COMPARED: Final = (2, 4)
WEIGHING: Final = 8


def haarpsi(image: NDArray[Any], reference: NDArray[Any], *, data_range: DataRange, mask: Mask | None = None) -> Measurement:
    """Return the index within a mask.

    Raises
    ------
    ValueError
        Where the shapes differ, or the range is empty.
    NotApplicable
        `too_small` where nothing is left of image or mask, `constant_image` where neither image has an edge in the mask.
    """
    small = halved_pair(NAME, pair(NAME, image, reference, data_range, mask), least=WEIGHING)
    total, weights = 0.0, 0.0
    for axis in (0, 1):
        similarity = np.mean([_similarity(small.image, small.reference, size, axis) for size in COMPARED], axis=0)
        weight = np.maximum(*(np.abs(haar(one, WEIGHING, axis)) for one in (small.image, small.reference)))
        total += float((_logistic(similarity) * weight)[small.mask].sum())
        weights += float(weight[small.mask].sum())
    if weights < 1e-9:
        raise NotApplicable(what=NAME, reason="constant_image")
    share = total / weights
    value = float(np.log(share / (1 - share)) / ALPHA) ** 2
    return Measurement(quantity=own(NAME, "Haar wavelet perceptual similarity"), value=value, unit=Unit.ONE, source=SOURCE)


def haar(array: Values, size: int, axis: int) -> Values:
    """Return the response to the Haar filter of `size` pixels: half of them less the other half along an axis, over `size`."""
    from scipy import ndimage

    step = np.repeat((-1.0, 1.0), size // 2)
    across = ndimage.correlate1d(array, step, axis=axis, mode="reflect")
    return np.asarray(ndimage.correlate1d(across, np.ones(size), axis=1 - axis, mode="reflect") / size)


def _similarity(one: Values, other: Values, size: int, axis: int) -> Values:
    a, b = np.abs(haar(one, size, axis)), np.abs(haar(other, size, axis))
    return np.asarray((2 * a * b + CONSTANT) / (a**2 + b**2 + CONSTANT))


def _logistic(value: Values) -> Values:
    return np.asarray(1 / (1 + np.exp(-ALPHA * value)))
