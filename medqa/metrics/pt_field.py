"""One PET frame as the searches see it: SUV on a grid of about 4 mm, smoothed, in the patient's coordinates, with its body.

The body is what exceeds an SUV of 0.15: lungs (0.4) and fat (0.3) are in, air around is at 0.05 or less in clean scans. The body of
`medqa.regions` hangs on the hottest pixels of the frame and loses the body where a bladder or a heart is 100 times hotter than fat.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from medqa.codes import Unit
from medqa.regions import MIN_BODY_SHARE, Mask, Regions
from medqa.series import Frame
from medqa.volume import Array

NAME: Final = "pt_field"
SEARCH_MM: Final = 4.0
SMOOTH_MM: Final = 5.0
BODY_SUV: Final = 0.15
KEEP_SHARE: Final = 0.1
"""Pieces smaller than this share of the largest are no part of the body."""


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """Arrays `(y, x)` on the search grid.

    `suv` are single pixels, `smooth` their Gaussian mean (deviation 5 mm), `x` (to the patient's left) and `y` (to the back) in mm;
    `spacing_mm` the distance of rows and of columns; `step` how many of the frame's pixels lie between two of these.
    """

    suv: Array
    smooth: Array
    x: Array
    y: Array
    body: Mask
    spacing_mm: tuple[float, float]
    step: int


def suv_factor(frame: Frame) -> float | None:
    """Return what turns the frame's values into SUVbw; None where the header does not allow it."""
    return 1.0 if frame.unit == Unit.SUVBW else frame.header.suv_factor


def field(regions: Regions) -> Field | None:
    """Return the field of a frame; None without SUV or place. Made once a frame, whoever asks first."""
    if NAME not in regions.shared:
        regions.shared[NAME] = _field(regions)
    made: Field | None = regions.shared[NAME]
    return made


def _field(regions: Regions) -> Field | None:
    from scipy import ndimage

    frame, (rows_mm, columns_mm) = regions.image.frame, regions.image.spacing_mm
    factor = suv_factor(frame)
    if factor is None or frame.header.position_mm is None or frame.header.orientation is None:
        return None
    step = max(1, int(SEARCH_MM // min(rows_mm, columns_mm)))
    spacing = rows_mm * step, columns_mm * step
    suv = np.nan_to_num(regions.image.array[::step, ::step], posinf=0.0, neginf=0.0) * np.float32(factor)
    smooth = ndimage.gaussian_filter(suv, [SMOOTH_MM / size for size in spacing])
    x, y = patient_grid(frame, suv.shape, step)
    return Field(suv=suv, smooth=smooth, x=x, y=y, body=body_above(smooth, BODY_SUV), spacing_mm=spacing, step=step)


def body_above(values: Array, threshold: float) -> Mask:
    """Return the larger pieces above a threshold, holes filled; nothing where they are too small for a body."""
    from scipy import ndimage

    labels, count = ndimage.label(values > threshold)
    if count == 0:
        return np.zeros(values.shape, dtype=bool)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    body: Mask = ndimage.binary_fill_holes((sizes >= KEEP_SHARE * sizes.max())[labels])
    return body if body.mean() >= MIN_BODY_SHARE else np.zeros(values.shape, dtype=bool)


def patient_grid(frame: Frame, shape: tuple[int, ...], step: int = 1) -> tuple[Array, Array]:
    """Return the patient's x (to the left) and y (to the back) of every `step`-th pixel, in mm; `shape` counts these.

    Raises
    ------
    ValueError
        Where the header gives no position or orientation.
    """
    position, orientation = frame.header.position_mm, frame.header.orientation
    if position is None or orientation is None:
        raise ValueError("the frame has no place in the patient")
    rows_mm, columns_mm = frame.header.spacing_mm or (1.0, 1.0)
    along_row, along_column = orientation
    down = np.arange(shape[0], dtype=np.float32)[:, np.newaxis] * np.float32(rows_mm * step)
    across = np.arange(shape[1], dtype=np.float32)[np.newaxis, :] * np.float32(columns_mm * step)
    x, y = (
        np.float32(position[axis]) + across * np.float32(along_row[axis]) + down * np.float32(along_column[axis]) for axis in (0, 1)
    )
    return x, y
