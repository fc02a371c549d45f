"""Short bands across the border between air and skin: the one edge of known contrast that almost every CT slice has.

Each band is five rows or columns, whichever cross the skin more squarely. In each row the edge lies midway between the places
where the value has fallen to three quarters and to one quarter of the step from skin to air; a line through these midpoints gives
every pixel's distance from the edge, not rounded to pixels. Bands on clothes, on the table or in a fold of the skin have no flat
air or no straight edge and are left out. The level of skin is that of what lies 7 to 11 mm under the edge, which a contour that is
doubled or smeared has reached, and the air that of what lies farther out than such a contour does.

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
OUTWARD_MM: Final = 22.0
INWARD_MM: Final = 12.0
"""Length of the profiles on both sides of the edge."""
AIR_MM: Final = 4.0
"""At the outer end of a profile."""
TISSUE_MM: Final = (7.0, 11.0)
"""Under the edge."""
SKIN_MM: Final = (1.5, 3.5)
MAX_SOFT_HU: Final = 150.0
"""Where what lies under the edge is denser, it is bone, and the level of skin is taken from the skin itself."""
SEARCHED_MM: Final = 12.0
"""The edge is sought from here under the outline: the inner contour of one that is doubled."""
BEYOND: Final = 6
"""And up to so many pixels outside."""
HALF_BAND: Final = 2
"""Rows on each side of a band's middle row: 5 rows are 3.5 mm, over which skin is straight."""
MAX_BANDS: Final = 160
MIN_BANDS: Final = 12
AIR_HU: Final = -850.0
TISSUE_HU: Final = (-300.0, 300.0)
HIGH, LOW = 0.75, 0.25
"""Levels between which the width of an edge is told."""
MAX_AIR_SPREAD_HU: Final = 90.0
MAX_RESIDUAL_PIXELS: Final = 0.7
MAX_RESIDUAL_SHARE: Final = 0.15
"""Between the edge's places and the line through them: pixels, or as a share of the width where that is more."""


@dataclass(frozen=True, slots=True)
class Skin:
    """The bands of a frame: for each the distances and levels of its pixels, and its width.

    `distances` (mm, positive outside) and `levels` (0 in air, 1 in skin) hold two arrays each, `(bands, 5, samples)`: of rows and
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
        `(kept bands, 5, samples)`.
    widths
        `(kept bands,)`: mean distance in mm over which the level passes from 0.25 to 0.75; the smaller, the sharper.
    """
    outward_by, inward_by = (max(6, round(reach / pixel_mm)) for reach in (OUTWARD_MM, INWARD_MM))
    samples = inward_by + 1 + outward_by
    empty = np.empty((0, 2 * HALF_BAND + 1, samples)), np.empty((0, 2 * HALF_BAND + 1, samples)), np.empty(0)
    width = array.shape[1]
    fits = (places[:, 0] >= HALF_BAND) & (places[:, 0] < array.shape[0] - HALF_BAND) & (outward != 0)
    row, column, sign = places[fits, 0], places[fits, 1], np.sign(outward[fits]).astype(np.int64)
    band = np.arange(-HALF_BAND, HALF_BAND + 1)
    # The place is known to a few pixels only: a first look along the middle row finds the crossing.
    sought = np.arange(-round(SEARCHED_MM / pixel_mm), BEYOND + 1)
    middle = array[row[:, None], np.clip(column[:, None] + sign[:, None] * sought, 0, width - 1)]
    start = column + sign * sought[np.argmax(~(middle > TISSUE_HU[0]), axis=1)]
    first, last = start - sign * inward_by, start + sign * outward_by
    within = (np.minimum(first, last) >= 0) & (np.maximum(first, last) < width)
    row, start, sign = row[within], start[within], sign[within]
    if not within.any():
        return empty
    look = np.arange(-inward_by, outward_by + 1)
    sampled = start[:, None, None] + sign[:, None, None] * look
    values = array[(row[:, None] + band)[:, :, None], sampled].astype(np.float64)
    air = values[:, :, -max(2, round(AIR_MM / pixel_mm)) :]
    outer = air.mean(axis=(1, 2))
    inner, skin_itself = (_level(values, inward_by, reach, pixel_mm) for reach in (TISSUE_MM, SKIN_MM))
    inner = np.where(inner > MAX_SOFT_HU, skin_itself, inner)
    good = np.isfinite(values.sum(axis=(1, 2))) & (outer < AIR_HU) & (inner > TISSUE_HU[0]) & (inner < TISSUE_HU[1])
    good &= air.std(axis=(1, 2)) < MAX_AIR_SPREAD_HU
    if not good.any():
        return empty
    values, outer, inner = values[good], outer[good], inner[good]
    levels = (values - outer[:, None, None]) / (inner - outer)[:, None, None]
    begin = max(inward_by - round(TISSUE_MM[0] / pixel_mm), 0)
    upper, lower = (crossing - inward_by for crossing in crossings(levels, begin))
    # Not where the level passes a half: on a doubled edge that may be anywhere.
    edge = (upper + lower) / 2
    slope = (edge * band).sum(axis=1) / (band**2).sum()
    fitted = edge.mean(axis=1)[:, None] + slope[:, None] * band
    residual = np.sqrt(np.mean((edge - fitted) ** 2, axis=1))
    crossed = np.abs(lower - upper).mean(axis=1)
    # Far from straight is a fold, an ear, a finger; more than 45 degrees belongs to the other direction.
    tilt = slope * pixel_mm / band_mm
    kept = np.isfinite(residual) & (residual < np.maximum(MAX_RESIDUAL_PIXELS, MAX_RESIDUAL_SHARE * crossed)) & (np.abs(tilt) < 1.1)
    square = pixel_mm / np.sqrt(1 + tilt[kept] ** 2)
    distances = (look - fitted[kept][:, :, None]) * square[:, None, None]
    return distances, levels[kept], crossed[kept] * square


def _level(values: Values, middle: int, depths_mm: tuple[float, float], pixel_mm: float) -> Values:
    """Return the median of each band between two depths under its edge, `(bands,)`."""
    shallow, deep = (max(middle - round(depth / pixel_mm), 0) for depth in depths_mm)
    return np.asarray(np.median(values[:, :, deep : shallow + 1], axis=(1, 2)))


def crossings(levels: Values, begin: int) -> tuple[Values, Values]:
    """Return where along the last axis levels leave 0.75 and then pass 0.25, in samples; NaN where they do not.

    The second is the first place from sample `begin` on; the first is the last place before it, so that what is dark within the
    tissue, a ring or a vein, is not taken for the edge.
    """
    count = levels.shape[-1]
    below = levels < LOW
    below[..., :begin] = False
    end = np.argmax(below, axis=-1)
    above = (levels >= HIGH) & (np.arange(count) < end[..., None])
    start = count - 1 - np.argmax(above[..., ::-1], axis=-1)
    there = below.any(axis=-1) & above.any(axis=-1)
    # Where the search begins in air there is no crossing.
    there &= np.take_along_axis(levels, np.maximum(end - 1, 0)[..., None], axis=-1)[..., 0] >= LOW
    return (
        np.where(there, between(levels, np.minimum(start, count - 2), HIGH), np.nan),
        np.where(there, between(levels, np.maximum(end - 1, 0), LOW), np.nan),
    )


def between(levels: Values, before: NDArray[np.int64], level: float) -> Values:
    """Return where between a sample and its next the level is passed."""
    high, low = (np.take_along_axis(levels, (before + step)[..., None], axis=-1)[..., 0] for step in (0, 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(before + (high - level) / (high - low))
