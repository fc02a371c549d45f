"""CT task transfer function from the patient's own skin: the spatial frequency at which half of the contrast is left.

Source: Sanders J, Hurwitz L, Samei E. Patient-specific quantification of image quality: an automated method for measuring spatial
resolution in clinical CT images. Med Phys 2016; 43:5330-5338. Terms as in AAPM TG-233 (Samei et al., Med Phys 2019; 46:e735).

The border between air and skin is cut into short bands of rows or columns, whichever crosses it more squarely. In each row of a
band the edge lies where the value passes half-way between air and skin; a line through these places gives every pixel's distance
from the edge, not rounded to pixels. All distances of a frame together are one oversampled edge spread function; its derivative
is the line spread function, whose transform is the TTF. Bands on clothes, on the table or in a fold of the skin have no flat air
or no straight edge and are left out; of the rest the sharper half counts, because skin that runs obliquely through a thick slice
looks blurred without being so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from medqa.codes import Unit, own
from medqa.measurement import Measurement
from medqa.metrics.metric import Metric, Partial, present
from medqa.regions import Regions
from medqa.series import Series
from medqa.volume import Array

NAME: Final = "ct_f50"
SOURCE: Final = "Sanders et al., Med Phys 2016;43:5330"
REACH_MM: Final = 11.0
"""Half the length of the profiles across the edge."""
HALF_BAND: Final = 3
"""Rows on each side of a band's middle row: 7 rows are 5 mm, over which skin is straight."""
MAX_BANDS: Final = 96
MIN_BANDS: Final = 12
BIN_PIXELS: Final = 0.2
"""Oversampling of the edge spread function: five bins a pixel."""
WINDOW_DEVIATIONS: Final = 4.5
"""Half the window on the line spread function, in standard deviations of the edge's blur: wide enough to keep its tails, narrow
enough to leave out what lies under the skin."""
WINDOW_MM: Final = (3.0, 10.0)
AIR_HU: Final = -850.0
TISSUE_HU: Final = (-300.0, 300.0)
MAX_AIR_SPREAD_HU: Final = 90.0
MAX_RESIDUAL_PIXELS: Final = 0.35
"""Between the edge's places and the line through them."""

Values = NDArray[np.float64]


def per_frame(regions: Regions) -> dict[str, Any] | None:
    """Return the frequency of half contrast (/mm) and how many bands of skin it stems from; None where there are too few."""
    array = regions.image.array
    rows_mm, columns_mm = regions.image.spacing_mm
    if not regions.body.any():
        return None
    places, directions = outline(regions)
    along_x = np.abs(directions[:, 1]) * rows_mm >= np.abs(directions[:, 0]) * columns_mm
    bands = [
        bands_across(array, places[along_x], directions[along_x, 1], columns_mm, rows_mm),
        bands_across(array.T, places[~along_x][:, ::-1], directions[~along_x, 0], rows_mm, columns_mm),
    ]
    widths = np.concatenate([width for _, _, width in bands])
    if widths.size < MIN_BANDS:
        return None
    sharp = float(np.median(widths))
    distance = np.concatenate([distances[width <= sharp].ravel() for distances, _, width in bands])
    level = np.concatenate([levels[width <= sharp].ravel() for _, levels, width in bands])
    # A Gaussian edge passes from a quarter to three quarters over 1.349 deviations.
    half_mm = float(np.clip(WINDOW_DEVIATIONS * sharp / 1.349, *WINDOW_MM))
    frequency = half_contrast(distance, level, BIN_PIXELS * min(rows_mm, columns_mm), half_mm)
    return None if frequency is None else {"f50": frequency, "bands": int(widths.size)}


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
    edge, upper, lower = (crossings(levels, level, reach) for level in (0.5, 0.75, 0.25))
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
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(there, before + (high - level) / (high - low) - middle, np.nan)


def half_contrast(distance: Values, level: Values, bin_mm: float, half_mm: float) -> float | None:
    """Return the frequency (/mm) at which the TTF of an edge spread function falls to a half; None where it cannot be told.

    Parameters
    ----------
    distance, level
        Samples of the edge spread function, in any order; mm, and 1 on one side, 0 on the other.
    bin_mm, half_mm
        Width of a bin, and half the window that is looked at.
    """
    count = 2 * max(8, round(half_mm / bin_mm))
    index = np.floor(distance / bin_mm + count / 2).astype(np.int64)
    inside = (index >= 0) & (index < count)
    number = np.bincount(index[inside], minlength=count)
    filled = number > 0
    if filled.mean() < 0.9:
        return None
    centres = np.arange(count)
    esf = np.interp(centres, centres[filled], np.bincount(index[inside], level[inside], minlength=count)[filled] / number[filled])
    lsf = -np.diff(esf)
    lsf *= np.minimum(1.0, 2 * np.hanning(lsf.size + 2)[1:-1])
    total = float(lsf.sum())
    if total <= 0:
        return None
    padded = 2048
    frequencies = np.fft.rfftfreq(padded, bin_mm)
    # Bins average over their width, differences too: both are taken out.
    ttf = np.abs(np.fft.rfft(lsf, padded)) / total / np.maximum(np.sinc(frequencies * bin_mm), 0.1) ** 2
    under = np.flatnonzero(ttf < 0.5)
    if under.size == 0 or under[0] == 0:
        return None
    at = int(under[0])
    share = (ttf[at - 1] - 0.5) / (ttf[at - 1] - ttf[at])
    return float(frequencies[at - 1] + share * (frequencies[at] - frequencies[at - 1]))


def combine(series: Series, partials: Sequence[Partial | None]) -> Measurement:
    """Return the median over the frames, in /mm.

    Raises
    ------
    NotApplicable
        `no_skin` where no frame has enough skin against air.
    """
    found = present(NAME, partials, "no_skin")
    return Measurement(
        quantity=own(NAME, "Spatial frequency at half contrast (TTF)"),
        value=float(np.median([partial["f50"] for partial in found])),
        unit=Unit.PER_MM,
        source=SOURCE,
    )


METRIC: Final = Metric(name=NAME, per_frame=per_frame, combine=combine)
