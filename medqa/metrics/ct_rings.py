"""CT rings: what repeats along circles about the axis of rotation.

Source: the polar view of ring artefacts, Sijbers J, Postnov A. Phys Med Biol 2004; 49:N247-N253 (10.1088/0031-9155/49/14/N06): in
polar coordinates rings are straight lines and what is left of a line after a median filter across it is artefact.

A frame's soft tissue is averaged in cells of 10 degrees by one and a half pixels. In each sector a median filter along the radius
takes anatomy away: it keeps edges, however steep, and removes lines thinner than half its 8 mm. Of the rest, the median over the
sectors is what a closed ring leaves, and the median over four neighbouring sectors what an arc of 40 degrees leaves; the scatter
between the sectors says how much chance would leave, and is taken off in squares. What remains is an amplitude in HU, about zero
where there are no rings, negative where sectors agree less than chance has it.

A frame is reported over 2 HU of rings or 8 HU of arcs. In the training scans that are not marked as spoiled (53 frames of 30
series) 97.5 percent of the frames have at most 1.3 and 6.7 HU, and the largest 1.8 and 7.4 HU. Simulated rings of 8, 16, 32 and
64 HU in 14 of them are told from the clean slices with an AUC of 0.87, 0.97, 0.97 and 0.97 (rings), simulated arcs of 20, 40, 80
and 160 HU on their tracks with 0.60, 0.72, 0.86 and 0.85 (arcs).

The axis is where the header says data were collected about (Data Collection Center). Few headers do; then two places are tried,
and the one with the stronger rings holds: the origin of the patient's coordinates where it lies within a quarter of the image from
its middle (scanners that put it on the axis), and the middle of the image.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from medqa.assessment import Finding
from medqa.codes import Unit, own
from medqa.findings import finding
from medqa.measurement import Measurement
from medqa.metrics.metric import Metric, Partial, present, runs
from medqa.regions import Mask, Regions
from medqa.series import FrameHeader, Series
from medqa.volume import Vector

NAME: Final = "ct_rings"
ARCS: Final = "ct_ring_arcs"
SOURCE: Final = "Sijbers and Postnov, Phys Med Biol 2004;49:N247"
SECTORS: Final = 36
ARC_SECTORS: Final = 4
CELL_PIXELS: Final = 1.5
WINDOW_MM: Final = 8.0
TISSUE_HU: Final = (-300.0, 450.0)
"""Wider than soft tissue, so that strong rings do not push pixels out of it."""
MAX_LINE_HU: Final = 120.0
"""What stands out by more is a calcified wall or a vessel with contrast, and counts as this much."""
MIN_RADIUS_MM: Final = 10.0
"""Closer in, cells hold a pixel or two."""
MIN_PIXELS: Final = 3
MIN_SHARE: Final = 0.7
"""Share of a cell that must be tissue."""
MIN_SECTORS: Final = 12
MIN_CELLS: Final = 300
SAME_PLACE_MM: Final = 2.0
CHANCE: Final = 1.2533 * 1.4826
"""The standard error of a median is 1.2533 times that of a mean; 1.4826 makes a standard deviation of a median absolute one."""
MAX_RINGS_HU: Final = 2.0
MAX_ARCS_HU: Final = 8.0

Grid = NDArray[np.float32]
Place = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Polar:
    """Which cell each pixel of a frame lies in, `sector * radii + radius`, and how many pixels each cell has."""

    cells: NDArray[np.int32]
    radii: int
    step_mm: float
    pixels: NDArray[np.int64]


@lru_cache(maxsize=8)
def polar(shape: tuple[int, int], spacing_mm: Place, axis: Place) -> Polar:
    """Return the cells about an axis at (row, column), in pixels."""
    y = (np.arange(shape[0], dtype=np.float32) - axis[0])[:, None] * spacing_mm[0]
    x = (np.arange(shape[1], dtype=np.float32) - axis[1])[None, :] * spacing_mm[1]
    step = CELL_PIXELS * max(spacing_mm)
    radius = (np.hypot(y, x) / step).astype(np.int32)
    sector = ((np.arctan2(y, x) / (2 * np.pi) + 0.5) * SECTORS).astype(np.int32) % SECTORS
    radii = int(radius.max()) + 1
    cells = (sector * radii + radius).ravel()
    return Polar(cells, radii, step, np.bincount(cells, minlength=SECTORS * radii).reshape(SECTORS, radii))


def axes(header: FrameHeader, shape: tuple[int, int], spacing_mm: Place) -> list[Place]:
    """Return where the axis of rotation may be, as (row, column) in pixels: one place where the header knows, else one or two."""
    middle = (shape[0] - 1) / 2, (shape[1] - 1) / 2
    if header.position_mm is None or header.orientation is None:
        return [middle]
    if header.collection_centre_mm is not None:
        return [_pixel(header.collection_centre_mm, header.position_mm, header.orientation, spacing_mm)]
    origin = _pixel((0.0, 0.0, header.position_mm[2]), header.position_mm, header.orientation, spacing_mm)
    distance = math.hypot(*((place - at) * size for place, at, size in zip(origin, middle, spacing_mm, strict=True)))
    reach = 0.25 * min(size * count for size, count in zip(spacing_mm, shape, strict=True))
    return [origin, middle] if SAME_PLACE_MM < distance < reach else [middle]


def _pixel(place: Vector, first: Vector, orientation: tuple[Vector, Vector], spacing_mm: Place) -> Place:
    """Return where a place lies in the plane; to a hundredth of a pixel, so that the frames of a series share their cells."""
    off = np.array(place) - np.array(first)
    return round(float(off @ orientation[1]) / spacing_mm[0], 2), round(float(off @ orientation[0]) / spacing_mm[1], 2)


def per_frame(regions: Regions) -> dict[str, Any] | None:
    """Return the amplitudes of rings and arcs (HU) and the radius of the strongest (mm); None where tissue is too little."""
    image = regions.image
    values = image.array
    if not regions.body.any():
        return None
    with np.errstate(invalid="ignore"):
        tissue = (values > TISSUE_HU[0]) & (values < TISSUE_HU[1]) & regions.full(regions.body)
    shape, spacing = (values.shape[0], values.shape[1]), image.spacing_mm
    found = [about(regions, tissue, axis) for axis in axes(image.frame.header, shape, spacing)]
    measured = [one for one in found if one is not None]
    return max(measured, key=lambda one: max(one["rings"], one["arcs"])) if measured else None


def about(regions: Regions, tissue: Mask, axis: Place) -> dict[str, float] | None:
    """Return what `per_frame` does, about one axis."""
    image = regions.image
    grid = polar((image.array.shape[0], image.array.shape[1]), image.spacing_mm, axis)
    chosen = np.flatnonzero(tissue)
    cells = grid.cells[chosen]
    counts = np.bincount(cells, minlength=grid.pixels.size).reshape(grid.pixels.shape)
    sums = np.bincount(cells, image.array.ravel()[chosen], minlength=grid.pixels.size).reshape(grid.pixels.shape)
    filled = (counts >= MIN_PIXELS) & (counts >= MIN_SHARE * grid.pixels)
    lines = across_lines(sums, counts, filled, grid.step_mm)
    lines[:, : int(MIN_RADIUS_MM / grid.step_mm)] = np.nan
    if np.isfinite(lines).sum() < MIN_CELLS:
        return None
    circles, chance, number = middle_of(lines)
    radius = np.arange(grid.radii)
    whole = number >= MIN_SECTORS
    near = np.stack([np.roll(lines, -shift, axis=0) for shift in range(ARC_SECTORS)])
    arcs = middle_of_four(near)
    arc_chance = CHANCE * middle_of_four(np.abs(near - arcs)) / np.sqrt(ARC_SECTORS)
    full = np.isfinite(arcs)
    weight = radius * number * whole
    arc_weight = radius * full
    power = np.where(whole, circles**2 - chance**2, 0)
    arc_power = np.where(full, arcs**2 - arc_chance**2, 0)
    rings_hu, arcs_hu = mean_root(power, weight), mean_root(arc_power, arc_weight)
    told = power * weight if rings_hu >= arcs_hu else (arc_power * arc_weight).sum(axis=0)
    return {"rings": rings_hu, "arcs": arcs_hu, "radius": float((np.argmax(told) + 0.5) * grid.step_mm)}


def across_lines(sums: Any, counts: Any, filled: Mask, step_mm: float) -> Grid:
    """Return by how much each cell differs from the median along its radius, `(sectors, radii)`; NaN where not all are tissue."""
    reach = max(1, round(WINDOW_MM / 2 / step_mm))
    means = np.where(filled, sums / np.maximum(counts, 1), np.nan).astype(np.float32)
    padded = np.pad(means, ((0, 0), (reach, reach)), constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1, axis=1)
    middle = np.partition(windows, reach, axis=-1)[..., reach]
    # A window with a NaN in it has no sum.
    difference: Grid = np.clip(means - middle, -MAX_LINE_HU, MAX_LINE_HU) + 0 * windows.sum(axis=-1)
    return difference


def middle_of(lines: Grid) -> tuple[Grid, Grid, NDArray[np.int64]]:
    """Return the median over the sectors, what chance makes of it, and the number of sectors; NaN values do not count."""
    number = np.isfinite(lines).sum(axis=0)
    middle = _median(lines, number)
    return middle, CHANCE * _median(np.abs(lines - middle), number) / np.sqrt(np.maximum(number, 1)), number


def _median(lines: Grid, number: NDArray[np.int64]) -> Grid:
    # NaN sorts last, so the values stand at the front; numpy's own nanmedian is 20 times slower.
    ordered = np.sort(lines, axis=0)
    low, high = (np.take_along_axis(ordered, np.maximum(at, 0)[None], axis=0)[0] for at in ((number - 1) // 2, number // 2))
    return np.where(number > 0, 0.5 * (low + high), np.nan).astype(np.float32)


def middle_of_four(near: Grid) -> Grid:
    """Return the median over the first axis of four: what the largest and the smallest leave; NaN where one of them is."""
    middle: Grid = (near.sum(axis=0) - near.max(axis=0) - near.min(axis=0)) / 2
    return middle


def mean_root(power: Any, weight: Any) -> float:
    """Return the root of the weighted mean of a power, with the sign of the mean; 0 without weight."""
    total = float(weight.sum())
    mean = float((power * weight).sum()) / total if total > 0 else 0.0
    return float(np.sign(mean) * np.sqrt(abs(mean)))


def combine(series: Series, partials: Sequence[Partial | None]) -> tuple[Measurement, ...]:
    """Return the largest amplitude of closed rings and of arcs over the frames, in HU.

    Raises
    ------
    NotApplicable
        `no_soft_tissue` where no frame has enough of it.
    """
    found = present(NAME, partials, "no_soft_tissue")
    names = {
        NAME: ("rings", "Amplitude of rings about the isocentre"),
        ARCS: ("arcs", "Amplitude of ring arcs about the isocentre"),
    }
    return tuple(
        Measurement(quantity=own(name, meaning), value=float(max(partial[key] for partial in found)), unit=Unit.HU, source=SOURCE)
        for name, (key, meaning) in names.items()
    )


def find(series: Series, partials: Sequence[Partial | None]) -> list[Finding]:
    """Return the runs of frames with rings or arcs over their cuts, with the radius and amplitude of the worst frame of each."""
    excess = [
        0.0 if partial is None else max(partial["rings"] / MAX_RINGS_HU, partial["arcs"] / MAX_ARCS_HU) for partial in partials
    ]
    return [_told(partials, excess, first, last) for first, last in runs([one > 1 for one in excess])]


def _told(partials: Sequence[Partial | None], excess: Sequence[float], first: int, last: int) -> Finding:
    worst = partials[max(range(first, last + 1), key=excess.__getitem__)] or {}
    amplitude = max(worst["rings"], worst["arcs"])
    return finding(NAME, values={"radius_mm": worst["radius"], "amplitude": amplitude}, frames=(first, last))


METRIC: Final = Metric(name=NAME, per_frame=per_frame, combine=combine, find=find, more=(ARCS,))
