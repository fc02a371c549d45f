"""Short bands across the border between air and skin: the one edge of known contrast that almost every CT slice has.

Each band is seven rows or columns, whichever cross the skin more squarely. In each row the edge lies midway between the places
where the value has fallen to three quarters and to one quarter of the step from skin to air; a line through these midpoints gives
every pixel's distance from the edge, not rounded to pixels. Bands on clothes, on the table or in a fold of the skin have no flat
air or no straight edge and are left out.

Source: Sanders J, Hurwitz L, Samei E. Patient-specific quantification of image quality: an automated method for measuring spatial
resolution in clinical CT images. Med Phys 2016; 43:5330-5338.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from medqa.regions import Regions
from medqa.volume import Array

Values = NDArray[np.float64]

NAME: Final = "skin"
REACH_MM: Final = 11.0
"""Half the length of the profiles across the edge."""
HALF_BAND: Final = 3
"""Rows on each side of a band's middle row: 7 rows are 5 mm, over which skin is straight."""
MAX_BANDS: Final = 120
MIN_BANDS: Final = 12
AIR_HU: Final = -850.0
TISSUE_HU: Final = (-300.0, 300.0)
MAX_AIR_SPREAD_HU: Final = 90.0
MAX_RESIDUAL_PIXELS: Final = 0.7
"""Between the edge's places and the line through them."""


@dataclass(frozen=True, slots=True)
class Skin:
    """The bands of a frame: for each the distances and levels of its pixels, and its width.

    `distances` (mm, positive outside) and `levels` (0 in air, 1 in skin) hold two arrays each, `(bands, 7, samples)`: of rows and
    of columns. `widths` holds the distance in mm over which the level passes from three quarters to one quarter.
    """

    distances: tuple[Values, Values]
    levels: tuple[Values, Values]
    widths: tuple[Values, Values]

    @property
    def all_widths(self) -> Values:
        """Widths of all bands."""
        return np.concatenate(self.widths)


def skin(regions: Regions) -> Skin | None:
    """Return the bands of a frame; None where there are fewer than `MIN_BANDS`. Found once a frame, whoever asks first."""
    if NAME not in regions.shared:
        regions.shared[NAME] = _skin(regions)
    found: Skin | None = regions.shared[NAME]
    return found


def _skin(regions: Regions) -> Skin | None:
    array = regions.image.array
    rows_mm, columns_mm = regions.image.spacing_mm
    if not regions.body.any():
        return None
    places, directions = outline(regions)
    along_x = np.abs(directions[:, 1]) * rows_mm >= np.abs(directions[:, 0]) * columns_mm
    rows = bands_across(array, places[along_x], directions[along_x, 1], columns_mm, rows_mm)
    columns = bands_across(array.T, places[~along_x][:, ::-1], directions[~along_x, 0], rows_mm, columns_mm)
    found = Skin((rows[0], columns[0]), (rows[1], columns[1]), (rows[2], columns[2]))
    return found if found.all_widths.size >= MIN_BANDS else None


def outline(regions: Regions) -> tuple[NDArray[np.int64], Values]:
    """Return places on the body's border in pixels, `(n, 2)` as (row, column), and the direction to the outside, on that grid."""
    from scipy import ndimage

    body = regions.body
    smooth = ndimage.uniform_filter(body.astype(np.float32), 5, mode="nearest")
    rim = body & (ndimage.minimum_filter(body.view(np.uint8), 3, mode="constant", cval=1) == 0)
    row, column = np.nonzero(rim)
    if row.size > MAX_BANDS:
        kept = np.linspace(0, row.size - 1, MAX_BANDS).round().astype(np.int64)
        row, column = row[kept], column[kept]
    down, across = np.gradient(smooth) if min(smooth.shape) > 1 else (np.zeros_like(smooth), np.zeros_like(smooth))
    directions = -np.stack([down[row, column], across[row, column]], axis=1).astype(np.float64)
    places = np.stack([row, column], axis=1) * regions.step + regions.step // 2
    return places, directions


def bands_across(
    array: Array, places: NDArray[np.int64], outward: Values, pixel_mm: float, band_mm: float
) -> tuple[Values, Values, Values]:
    """Return distances from the edge (mm, positive outside) and levels (0 in air, 1 in tissue) of bands of rows.

    Parameters
    ----------
    array
        `(y, x)` in HU; the edge is crossed along x.
    places
        `(n, 2)` pixels near the edge.
    outward
        `(n,)`, the sign of the outside along x.
    pixel_mm, band_mm
        Size of a pixel along and across the row.

    Returns
    -------
    distances, levels
        `(kept bands, 7, samples)`.
    widths
        `(kept bands,)`: mean distance in mm over which the level passes from 0.25 to 0.75; the smaller, the sharper.
    """
    reach = max(6, round(REACH_MM / pixel_mm))
    empty = np.empty((0, 2 * HALF_BAND + 1, 2 * reach + 1)), np.empty((0, 2 * HALF_BAND + 1, 2 * reach + 1)), np.empty(0)
    fits = (places[:, 0] >= HALF_BAND) & (places[:, 0] < array.shape[0] - HALF_BAND)
    fits &= (places[:, 1] >= 2 * reach) & (places[:, 1] < array.shape[1] - 2 * reach) & (outward != 0)
    if not fits.any():
        return empty
    row, column, sign = places[fits, 0], places[fits, 1], np.sign(outward[fits]).astype(np.int64)
    band = np.arange(-HALF_BAND, HALF_BAND + 1)
    # The place is known to a few pixels only: a first look along the middle row finds the crossing.
    look = np.arange(-reach, reach + 1)
    middle = array[row[:, None], column[:, None] + sign[:, None] * look]
    crossing = look[np.argmax(~(middle > AIR_HU / 2), axis=1)]
    start = column + sign * crossing
    sampled = start[:, None, None] + sign[:, None, None] * look
    values = array[(row[:, None] + band)[:, :, None], sampled].astype(np.float64)
    quarter = max(2, reach // 3)
    air = values[:, :, -quarter:]
    outer, inner = air.mean(axis=(1, 2)), values[:, :, reach - quarter : reach - 1].mean(axis=(1, 2))
    good = np.isfinite(values).all(axis=(1, 2)) & (outer < AIR_HU) & (inner > TISSUE_HU[0]) & (inner < TISSUE_HU[1])
    good &= air.std(axis=(1, 2)) < MAX_AIR_SPREAD_HU
    if not good.any():
        return empty
    values, outer, inner = values[good], outer[good], inner[good]
    levels = (values - outer[:, None, None]) / (inner - outer)[:, None, None]
    upper, lower = (crossings(levels, level, reach) for level in (0.75, 0.25))
    # Not where the level passes a half: on a doubled edge that may be anywhere.
    edge = (upper + lower) / 2
    slope = (edge * band).sum(axis=1) / (band**2).sum()
    fitted = edge.mean(axis=1)[:, None] + slope[:, None] * band
    residual = np.sqrt(np.mean((edge - fitted) ** 2, axis=1))
    # Far from straight is a fold, an ear, a finger; more than 45 degrees belongs to the other direction.
    tilt = slope * pixel_mm / band_mm
    kept = np.isfinite(residual) & (residual < MAX_RESIDUAL_PIXELS) & (np.abs(tilt) < 1.1)
    square = pixel_mm / np.sqrt(1 + tilt**2)
    distances = (look - fitted[:, :, None]) * square[:, None, None]
    widths = np.abs(lower - upper).mean(axis=1) * square
    return distances[kept], levels[kept], widths[kept]


def crossings(levels: Values, level: float, middle: int) -> Values:
    """Return where along the last axis levels first fall below `level`, between pixels, relative to `middle`; NaN where nowhere."""
    below = levels < level
    below[..., : middle - middle // 2] = False
    first = np.argmax(below, axis=-1)
    there = below.any(axis=-1) & (first > 0)
    before = np.maximum(first - 1, 0)
    high = np.take_along_axis(levels, before[..., None], axis=-1)[..., 0]
    low = np.take_along_axis(levels, first[..., None], axis=-1)[..., 0]
    # Where the search begins below the level already there is no crossing.
    there &= high >= level
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(there, before + (high - level) / (high - low) - middle, np.nan)
