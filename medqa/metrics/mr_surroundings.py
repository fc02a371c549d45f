"""The air around the body of an MR frame with all that artefacts put there: ghosts and interference, however bright they are.

Outline, air and noise are those of `mr_background`. Interference draws lines across the whole frame, through air and body alike,
which would drag the outline to the frame's borders. A row or column is such a line where its dark part stands out from both sides;
it is left out of the search for body and noise, and measured like any other air.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from medqa.metrics.mr_air import MIN_AIR
from medqa.metrics.mr_background import TOP, Background, background, outlined
from medqa.regions import Mask, Regions
from medqa.volume import Array

NAME: Final = "mr_surroundings"
DARK: Final = 20.0
"""Percentile of a row or column: air, wherever a fifth of it is."""
WIDTH: Final = 9
"""Elements up to which a bright row or column is a line; bodies are wider."""
LINE: Final = 0.05
"""How far a line's dark part exceeds that of its surroundings, as a share of the frame's bright tissue."""
AGREED: Final = 0.6
"""Least share of a strip of air that the body mask takes for air as well. Dim tissue beyond the outline lies on all sides of it,
ghosts along the phase-encoding axis only: across it, training scans with dim tissue have up to 0.53 and others 0.63 and more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """The background with the masks of outline and air, and how far each element lies outside; `(y, x)` on the decimated grid."""

    background: Background
    outline: Mask
    air: Mask
    away: Array

    @property
    def reason(self) -> str | None:
        """Why nothing can be told; air whose noise is below the stored steps tells of artefacts nevertheless."""
        return self.background.reason or ("no_air" if self.background.noiseless == "no_air" else None)

    def strips(self) -> tuple[Mask, Mask]:
        """Return the air above and below the outline, and that beside it, in the columns and in the rows that it spans."""
        columns, rows = self.outline.any(axis=0, keepdims=True), self.outline.any(axis=1, keepdims=True)
        return self.air & columns & ~rows, self.air & rows & ~columns

    def mean(self, regions: Regions, weight: Array) -> float:
        """Return the mean of the frame's values, weighted by `(y, x)` on the decimated grid; lines are in it."""
        shown = np.abs(np.nan_to_num(regions.image.array))
        step = regions.step
        full = np.repeat(np.repeat(weight.astype(np.float32), step, axis=0), step, axis=1)[: shown.shape[0], : shown.shape[1]]
        shown = shown[: full.shape[0], : full.shape[1]]
        return float(np.sum(full * shown, dtype=np.float64) / max(float(full.sum(dtype=np.float64)), 1e-9))


def is_air(strip: Mask, regions: Regions) -> bool:
    """Return whether a strip is large enough, and for the most part air by the body mask too: no dim tissue, and no ghosts."""
    return bool(strip.sum() >= MIN_AIR and (strip & regions.air).sum() >= AGREED * strip.sum())


def surroundings(regions: Regions) -> Surroundings:
    """Return what surrounds the body of a frame; found once."""
    if NAME not in regions.shared:
        regions.shared[NAME] = _surroundings(regions)
    found: Surroundings = regions.shared[NAME]
    return found


def _surroundings(regions: Regions) -> Surroundings:
    shown = np.abs(np.nan_to_num(regions.values, posinf=0.0, neginf=0.0))
    least = LINE * float(np.percentile(shown, TOP))
    lines = [bright_lines(shown, axis, least) for axis in (0, 1)]
    if any(line.any() for line in lines):
        array = regions.image.array
        for axis, line in enumerate(lines):
            whole = np.repeat(line, regions.step)[: array.shape[axis]]
            array = bridged(array, np.pad(whole, (0, array.shape[axis] - whole.size)), axis)
        regions = Regions(replace(regions.image, array=array))
    seen = outlined(regions)
    return Surroundings(background=background(regions), outline=seen.outline, air=seen.air, away=seen.away)


def bright_lines(values: Array, axis: int, least: float) -> NDArray[np.bool_]:
    """Return which rows (axis 0) or columns (axis 1) of `(y, x)` belong to a line across the whole frame, brighter by `least`."""
    from scipy import ndimage

    size = values.shape[axis]
    if size <= 2 * WIDTH:
        return np.zeros(size, dtype=bool)
    dark = np.percentile(values, DARK, axis=1 - axis)
    line: NDArray[np.bool_] = dark - ndimage.grey_opening(dark, WIDTH) > least
    # The flanks are part of it.
    return np.asarray(ndimage.binary_dilation(line))


def bridged(array: Array, line: NDArray[np.bool_], axis: int) -> Array:
    """Return an image `(y, x)` whose marked rows or columns are interpolated between those on both sides."""
    if not line.any() or line.all():
        return array
    place, kept = np.flatnonzero(line), np.flatnonzero(~line)
    after = np.searchsorted(kept, place)
    low, high = kept[np.maximum(after - 1, 0)], kept[np.minimum(after, kept.size - 1)]
    part = np.clip((place - low) / np.maximum(high - low, 1), 0.0, 1.0)[:, None]
    filled = array.copy()
    moved = np.moveaxis(filled, axis, 0)
    moved[place] = (1 - part) * moved[low] + part * moved[high]
    return filled
