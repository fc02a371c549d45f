"""What else of a CT frame can be told apart without a network: its table, and masks that look like lung, bone and fat.

They are organ-like, not organs: each is found by value, size and place in one frame alone, and what one frame cannot tell apart it
does not tell apart. They serve as common ground for metrics, networks and simulation, where a few percent of error do not matter;
no volume is to be reported from them. All values are in HU; an empty body has empty masks.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from medqa.volume import Array

Mask = NDArray[np.bool_]

TABLE_OVER_AIR_HU: Final = 100.0
"""The foam of a couch has 50 to 100 HU more than air, its shell and mattress more than that."""
AIR_HU: Final = -500.0
MIN_TABLE_MM: Final = 80.0
"""What is narrower is a cable, a fold of a sheet, noise."""
LUNG_HU: Final = (-950.0, -500.0)
MAX_GAS_HU: Final = -925.0
"""Of the lower quartile: in the training scans lungs have -919 HU and more, gas in bowel and stomach of this size -953 and less."""
MIN_LUNG_MM2: Final = 800.0
BONE_HU: Final = 250.0
CORTEX_HU: Final = 500.0
MIN_CORTEX_SHARE: Final = 0.1
FAT_HU: Final = (-150.0, -50.0)


def table_mask(values: Array, body: Mask, columns_mm: float) -> Mask:
    """Return the couch with what lies on it: denser than the air around, outside the body, below it; `(y, x)`.

    Below means further down the image than the body's middle, with nothing of the body further down in the same column. Pieces
    count from a width of `MIN_TABLE_MM` on. Foam is in it in part, and air between the layers is not. A couch so dense and so close
    that it was taken for body is body; an arm that was not and that touches the couch is couch. A couch above the body, in an image
    stored upside down, is not found.

    Parameters
    ----------
    values, body
        `(y, x)` in HU, and where the body is.
    columns_mm
        Distance of columns.
    """
    from scipy import ndimage

    empty = np.zeros_like(body)
    if not body.any():
        return empty
    rows = np.arange(body.shape[0])[:, None]
    lowest = np.where(body, rows, -1).max(axis=0)
    middle = float(np.nonzero(body)[0].mean())
    # Skin shares its elements with air.
    clear = ndimage.binary_dilation(body)
    with np.errstate(invalid="ignore"):
        air = values[(values < AIR_HU) & ~clear]
        if air.size == 0:
            return empty
        dense = (values > float(np.median(air)) + TABLE_OVER_AIR_HU) & ~clear & (rows > np.maximum(lowest, middle))
    labels, count = ndimage.label(dense, structure=np.ones((3, 3)))
    wide = [False] + [(at[1].stop - at[1].start) * columns_mm >= MIN_TABLE_MM for at in ndimage.find_objects(labels)]
    return np.array(wide)[labels] if count else empty


def lung_mask(values: Array, body: Mask, pixel_mm2: float) -> Mask:
    """Return what looks like lung: air-like places in the body of -950 to -500 HU on the mean over 3 by 3 elements; `(y, x)`.

    A place counts if it covers 8 cm^2 and the lower quartile of what is under -500 HU in it lies above `MAX_GAS_HU`; this leaves
    out bowel gas, windpipe and stomach. Stool mixed with gas may still pass, and emphysema and tips of a lung may not; gas that
    touches lung is parted from it by value only. Vessels and walls over -500 HU are not in it. A lung that the field of view or
    a thin wall of the chest opens to the air around is outside of the body (see `body_mask`) and missing.

    Parameters
    ----------
    values, body
        `(y, x)` in HU, and where the body is.
    pixel_mm2
        Area of an element.
    """
    from scipy import ndimage

    low, high = LUNG_HU
    smooth = ndimage.uniform_filter(np.nan_to_num(values, nan=0.0), 3, mode="nearest")
    labels, count = ndimage.label(body & (smooth < high))
    found = np.zeros_like(body)
    for place in 1 + np.flatnonzero(np.bincount(labels.ravel(), minlength=count + 1)[1:] * pixel_mm2 >= MIN_LUNG_MM2):
        at = labels == place
        if np.percentile(smooth[at], 25) > MAX_GAS_HU:
            found |= at & (smooth >= low)
    return found


def bone_mask(values: Array, body: Mask) -> Mask:
    """Return what looks like bone: connected places over 250 HU of which a tenth is cortex (over 500 HU); `(y, x)`.

    Marrow under 250 HU is not in it, nor is bone without a dense cortex (small children, osteoporosis, thick slices). A vessel
    with contrast is even: one of up to 500 HU is left out with its small calcified plaques, a brighter one, or one that touches
    bone at 250 HU, is not. Metal, teeth, barium and calcified organs count as bone.

    Parameters
    ----------
    values, body
        `(y, x)` in HU, and where the body is; on the full grid, because a cortex is a pixel thick.
    """
    from scipy import ndimage

    with np.errstate(invalid="ignore"):
        dense = (values > BONE_HU) & body
    labels, count = ndimage.label(dense, structure=np.ones((3, 3)))
    places = labels[dense]
    size = np.bincount(places, minlength=count + 1)
    cortex = np.bincount(places[values[dense] > CORTEX_HU], minlength=count + 1)
    bone = (cortex > 0) & (cortex >= MIN_CORTEX_SHARE * size)
    found: Mask = bone[labels]
    return found


def fat_mask(values: Array, body: Mask) -> Mask:
    """Return what looks like fat: pixels of the body of -150 to -50 HU; `(y, x)`.

    Each pixel is taken for itself: of fat at -100 HU with noise of deviation s, erf(50 / (s sqrt 2)) is kept (95 % at 25 HU).
    Edges between soft tissue and air pass through the same values, a pixel wide.

    Parameters
    ----------
    values, body
        `(y, x)` in HU, and where the body is.
    """
    low, high = FAT_HU
    with np.errstate(invalid="ignore"):
        fat: Any = (values >= low) & (values <= high)
    found: Mask = fat & body
    return found
