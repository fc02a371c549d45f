"""Gradient magnitude similarity deviation: 0 for the same image; the more unevenly edges are changed, the larger.

Source: Xue W, Zhang L, Mou X, Bovik AC. Gradient magnitude similarity deviation: a highly efficient perceptual image quality index.
IEEE Trans Image Process 2014; 23:684-695 (10.1109/TIP.2013.2293423). Written from its formulae: means of two by two pixels, Prewitt
gradients over three, similarity (2 a b + c) / (a² + b² + c) with c 170 for values of 0 to 255, and the standard deviation of the
map. The paper says nothing of borders; pixels whose gradient would need a neighbour outside are left out here.
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

NAME: Final = "gmsd"
SOURCE: Final = "Xue et al., IEEE TIP 2014;23:684"
CONSTANT: Final = 170 / 255**2


def gmsd(image: NDArray[Any], reference: NDArray[Any], *, data_range: DataRange, mask: Mask | None = None) -> Measurement:
    """Return the deviation of the similarity of gradients, within a mask.

    Raises
    ------
    ValueError
        Where the shapes differ, or the range is empty.
    NotApplicable
        `too_small` where nothing is left of image or mask.
    """
    small = halved_pair(NAME, pair(NAME, image, reference, data_range, mask), least=3)
    where = small.mask[1:-1, 1:-1]
    if not where.any():
        raise NotApplicable(what=NAME, reason="too_small")
    one, other = gradient_squared(small.image), gradient_squared(small.reference)
    similarity = (2 * np.sqrt(one * other) + CONSTANT) / (one + other + CONSTANT)
    value = float(similarity[where].std())
    return Measurement(quantity=own(NAME, "Gradient magnitude similarity deviation"), value=value, unit=Unit.ONE, source=SOURCE)


def gradient_squared(array: Values) -> Values:
    """Return the squared magnitude of Prewitt's gradient of all but the outermost pixels."""
    across, down = array[:, 2:] - array[:, :-2], array[2:] - array[:-2]
    x = (across[:-2] + across[1:-1] + across[2:]) / 3
    y = (down[:, :-2] + down[:, 1:-1] + down[:, 2:]) / 3
    return np.asarray(x**2 + y**2)
