"""An image and its reference on one grid, scaled by a declared range of values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medqa.errors import NotApplicable
from medqa.regions import Mask

Values = NDArray[np.float64]
DataRange = tuple[float, float]
"""Lowest and highest value that counts, in the images' unit. Nothing is clipped to it: who wants a display's view windows first."""


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """Two images `(y, x)` of which the range is 0 to 1, and where to look."""

    image: Values
    reference: Values
    mask: Mask


def pair(what: str, image: NDArray[Any], reference: NDArray[Any], data_range: DataRange, mask: Mask | None) -> Pair:
    """Return the two images scaled so that `data_range` becomes 0 to 1.

    Raises
    ------
    ValueError
        Where the shapes differ, or the range is empty.
    NotApplicable
        `too_small` where the mask is empty, `not_finite` where a pixel has no value.
    """
    low, high = data_range
    if image.ndim != 2 or image.shape != reference.shape or (mask is not None and mask.shape != image.shape):
        message = f"one shape (y, x) is wanted, not {image.shape}, {reference.shape}" + (
            f", {mask.shape}" if mask is not None else ""
        )
        raise ValueError(message)
    if not high > low:
        message = f"the data range {low:g} to {high:g} is empty"
        raise ValueError(message)
    if not np.isfinite(image).all() or not np.isfinite(reference).all():
        raise NotApplicable(what=what, reason="not_finite")
    where = np.ones(image.shape, dtype=bool) if mask is None else np.asarray(mask, dtype=bool)
    if not where.any():
        raise NotApplicable(what=what, reason="too_small")
    scaled = [(np.asarray(one, dtype=np.float64) - low) / (high - low) for one in (image, reference)]
    return Pair(scaled[0], scaled[1], where)


def halved(array: Values) -> Values:
    """Return the means of blocks of two by two pixels; an odd last row or column is left out."""
    rows, columns = array.shape[0] // 2, array.shape[1] // 2
    return np.asarray(array[: 2 * rows, : 2 * columns].reshape(rows, 2, columns, 2).mean(axis=(1, 3)))


def halved_pair(what: str, both: Pair, least: int) -> Pair:
    """Return a pair on half the grid; a block is in the mask where all of it was.

    Raises
    ------
    NotApplicable
        `too_small` where a side has fewer than `least` blocks, or the mask keeps none.
    """
    where = halved(both.mask.astype(np.float64)) == 1
    if min(where.shape) < least or not where.any():
        raise NotApplicable(what=what, reason="too_small")
    return Pair(halved(both.image), halved(both.reference), where)
