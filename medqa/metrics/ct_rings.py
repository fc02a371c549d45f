"""CT rings: what repeats along circles about the axis of rotation.

Source: the polar view of ring artefacts, Sijbers J, Postnov A. Phys Med Biol 2004; 49:N247-N253 (10.1088/0031-9155/49/14/N06): in
polar coordinates rings are straight lines and what is left of a line after a median filter across it is artefact.

A frame is averaged in cells of 10 degrees by one and a half pixels. In each sector a median filter along the radius takes anatomy
away: it keeps edges, however steep, and removes lines thinner than half its 6 mm. What is left of a cell counts where the
median or the mean along the radius is that of tissue: a strong ring pushes its own pixels, and the outline of the body, out of any
range of values, but hardly moves both. Lines of more than 120 HU count by their logarithm.

Closed rings: the median over the sectors; their scatter says how much chance would leave, and is taken off in squares. Arcs: the
mean product of each two of four neighbouring sectors, to which chance adds little; lung counts too, and a place weighs the less,
the more values differ from sector to sector around it (anatomy does, an arc does not). Both are amplitudes in HU, near zero
where there is nothing, negative where sectors agree less than chance has it: white noise of 10 HU has -0.26 HU of rings and 0.28
HU of arcs (`make bias`, docs/bias.md). A series has the root of the mean power of its frames.

A frame is reported over 1.5 HU of rings or 6 HU of arcs. In the training scans that are not marked as spoiled (44 frames of 38
subjects) 97.5 percent of the frames have at most -0.2 and 5.0 HU, and the largest 1.1 and 5.5 HU. Simulated rings of 8, 16, 32 and
64 HU in 20 of them are told from the clean scans with an AUC of 1.0 each (rings), simulated arcs of 20, 40, 80 and
160 HU on their tracks with 0.54, 0.66, 0.77 and 0.85 (arcs).

The axis is where the header says data were collected about (Data Collection Center). Few headers do; then two places are tried:
the origin of the patient's coordinates where it lies within a quarter of the image from its middle (scanners that put it on the
axis), and the middle of the image.
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
from medqa.regions import Regions
from medqa.series import FrameHeader, Series
from medqa.volume import Array, Vector

NAME: Final = "ct_rings"
ARCS: Final = "ct_ring_arcs"
SOURCE: Final = "Sijbers and Postnov, Phys Med Biol 2004;49:N247"
SECTORS: Final = 36
ARC_SECTORS: Final = 4
CELL_PIXELS: Final = 1.5
WINDOW_MM: Final = 6.0
TISSUE_HU: Final = (-200.0, 300.0)
"""Of the median and the mean along the radius."""
LUNG_HU: Final = -930.0
"""Arcs are looked for in lung, too: above air and below soft tissue."""
MAX_LINE_HU: Final = 120.0
"""What stands out by more may be a calcified wall or a vessel with contrast: of it the logarithm counts, so that it weighs less."""
SMOOTH_HU: Final = 5.0
"""Where values differ by less from sector to sector, the weight of a place is no greater."""
MIN_RADIUS_MM: Final = 10.0
"""Closer in, cells hold a pixel or two."""
MIN_PIXELS: Final = 3
MIN_SECTORS: Final = 6
MIN_CELLS: Final = 300
SAME_PLACE_MM: Final = 2.0
CHANCE: Final = 1.2533 * 1.4826
"""The standard error of a median is 1.2533 times that of a mean; 1.4826 makes a standard deviation of a median absolute one."""
MAX_RINGS_HU: Final = 1.5
MAX_ARCS_HU: Final = 6.0

Grid = NDArray[np.float32]
Place = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Polar:
    """The pixels of a frame in the order of their cells, `sector * radii + radius`; where each cell begins, how many it has."""

    order: NDArray[np.intp]
    starts: NDArray[np.intp]
    radii: int
    step_mm: float
    pixels: NDArray[np.int64]

    def means(self, values: Array) -> Grid:
        """Return the mean of each cell, `(sectors, radii)`; NaN where it has few pixels, or one without a value."""
        sums = np.add.reduceat(values.ravel()[self.order], self.starts).reshape(self.pixels.shape)
        means: Grid = np.where(self.pixels >= MIN_PIXELS, sums / np.maximum(self.pixels, 1), np.nan).astype(np.float32)
        return means


@lru_cache(maxsize=8)
def polar(shape: tuple[int, int], spacing_mm: Place, axis: Place) -> Polar:
    """Return the cells about an axis at (row, column), in pixels, as far out as the longer side reaches about its middle."""
    y = (np.arange(shape[0], dtype=np.float32) - axis[0])[:, None] * spacing_mm[0]
    x = (np.arange(shape[1], dtype=np.float32) - axis[1])[None, :] * spacing_mm[1]
    step = CELL_PIXELS * max(spacing_mm)
    radius = (np.hypot(y, x) / step).astype(np.int32)
    sector = ((np.arctan2(y, x) / (2 * np.pi) + 0.5) * SECTORS).astype(np.int32) % SECTORS
    radii = 1 + min(int(radius.max()), int(max(count * size for count, size in zip(shape, spacing_mm, strict=True)) / 2 / step))
    cells = np.where(radius < radii, sector * radii + radius, SECTORS * radii).ravel()
    pixels = np.bincount(cells, minlength=SECTORS * radii + 1)[:-1]
    order = np.argsort(cells.astype(np.uint16 if SECTORS * radii < 2**16 else np.int32), kind="stable")[: max(1, int(pixels.sum()))]
    # An empty cell at the end would begin behind the last pixel.
    starts = np.minimum(np.cumsum(pixels) - pixels, order.size - 1)
    return Polar(order, starts, radii, step, pixels.reshape(SECTORS, radii))


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
    """Return the amplitudes of rings and arcs (HU) and the radius of the strongest (mm); None where tissue is too little.

    Of two places of the axis the one with the stronger rings holds. Arcs are too short to tell between them: their power is the
    mean of both, so that anatomy about the wrong place cannot hide the arcs about the right one.
    """
    image = regions.image
    if not regions.body.any():
        return None
    shape, spacing = (image.array.shape[0], image.array.shape[1]), image.spacing_mm
    found = [about(image.array, spacing, axis) for axis in axes(image.frame.header, shape, spacing)]
    measured = [one for one in found if one is not None]
    if not measured:
        return None
    best = max(measured, key=lambda one: max(one.rings, one.arcs))
    rings, arcs = max(one.rings for one in measured), sum(one.arcs for one in measured) / len(measured)
    return {"rings": signed_root(rings), "arcs": signed_root(arcs), "radius": best.radius_mm}


@dataclass(frozen=True, slots=True)
class About:
    """The mean powers of rings and of arcs (HU squared) about one axis, and the radius of the strongest (mm)."""

    rings: float
    arcs: float
    radius_mm: float


def about(values: Array, spacing_mm: Place, axis: Place) -> About | None:
    """Return what there is about one axis; None where tissue is too little."""
    grid = polar((values.shape[0], values.shape[1]), spacing_mm, axis)
    means = grid.means(values)
    reach = max(1, round(WINDOW_MM / 2 / grid.step_mm))
    middle, level = median_along(means, reach), mean_along(means, reach)
    # One ring, however strong, leaves the median where it was; many leave the mean: their dark lobes take off what the lines add.
    tissue = _between(middle, *TISSUE_HU) | _between(level, *TISSUE_HU)
    seen = tissue | _between(level, LUNG_HU, TISSUE_HU[1])
    lines = np.where(seen, compressed(means - middle), np.float32(np.nan))
    lines[:, : int(MIN_RADIUS_MM / grid.step_mm)] = np.nan
    radius = np.arange(grid.radii)
    soft = np.where(tissue, lines, np.nan)
    if np.isfinite(soft).sum() < MIN_CELLS:
        return None
    circles, chance, number = middle_of(soft)
    whole = number >= MIN_SECTORS
    power, weight = np.where(whole, circles**2 - chance**2, 0), radius * number * whole
    rough = median_along(np.abs(means - np.roll(means, -1, axis=0)), reach)
    arc_power, scatter = arcs_of(lines), _over(rough**2, ARC_SECTORS - 1) / (ARC_SECTORS - 1)
    full = np.isfinite(arc_power + scatter)
    arc_power, arc_weight = np.where(full, arc_power, 0), np.where(full, radius / (SMOOTH_HU**2 + scatter), 0)
    rings, arcs = mean_power(power, weight), mean_power(arc_power, arc_weight)
    told = power * weight if rings >= arcs else (arc_power * arc_weight).sum(axis=0)
    return About(rings, arcs, float((np.argmax(told) + 0.5) * grid.step_mm))


def median_along(cells: Grid, reach: int) -> Grid:
    """Return the median along the radius, `reach` cells to both sides; NaN where a cell of them is."""
    ordered = _shifted(cells, reach)
    # So few values are sorted by exchanging whole arrays ten times faster than one by one; NaN takes both places.
    for last in range(2 * reach, reach - 1, -1):
        for at in range(last):
            ordered[at], ordered[at + 1] = np.minimum(ordered[at], ordered[at + 1]), np.maximum(ordered[at], ordered[at + 1])
    return ordered[reach]


def mean_along(cells: Grid, reach: int) -> Grid:
    """Return the mean along the radius, `reach` cells to both sides; NaN where a cell of them is."""
    mean: Grid = np.asarray(sum(_shifted(cells, reach)) / (2 * reach + 1), dtype=np.float32)
    return mean


def _shifted(cells: Grid, reach: int) -> list[Grid]:
    padded = np.pad(cells, ((0, 0), (reach, reach)), constant_values=np.nan)
    return [padded[:, shift : shift + cells.shape[1]] for shift in range(2 * reach + 1)]


def _between(level: Grid, low: float, high: float) -> NDArray[np.bool_]:
    with np.errstate(invalid="ignore"):
        inside: NDArray[np.bool_] = (level > low) & (level < high)
    return inside


def compressed(lines: Grid) -> Grid:
    """Return lines of which only the logarithm counts beyond `MAX_LINE_HU`; the slope has no step there."""
    height = np.abs(lines)
    beyond = MAX_LINE_HU * (1 + np.log(np.maximum(height, MAX_LINE_HU) / MAX_LINE_HU))
    return np.copysign(np.minimum(height, beyond), lines).astype(np.float32)


def arcs_of(lines: Grid) -> Grid:
    """Return the power that neighbouring sectors share: the mean product of each two of `ARC_SECTORS`; NaN where one is.

    Chance has no part in it: the products of what is independent are zero on the average.
    """
    both = _over(lines, ARC_SECTORS) ** 2 - _over(lines**2, ARC_SECTORS)
    return (both / (ARC_SECTORS * (ARC_SECTORS - 1))).astype(np.float32)


def _over(cells: Grid, sectors: int) -> Grid:
    total: Grid = np.add.reduce([np.roll(cells, -shift, axis=0) for shift in range(sectors)])
    return total


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


def mean_power(power: Any, weight: Any) -> float:
    """Return the weighted mean of a power; 0 without weight."""
    total = float(weight.sum())
    return float((power * weight).sum()) / total if total > 0 else 0.0


def signed_root(power: float) -> float:
    """Return the root of a power, with its sign."""
    return math.copysign(math.sqrt(abs(power)), power)


def combine(series: Series, partials: Sequence[Partial | None]) -> tuple[Measurement, ...]:
    """Return the amplitude of closed rings and of arcs over the frames, in HU.

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
        Measurement(quantity=own(name, meaning), value=over_frames([one[key] for one in found]), unit=Unit.HU, source=SOURCE)
        for name, (key, meaning) in names.items()
    )


def over_frames(amplitudes: Sequence[float]) -> float:
    """Return the root of the mean power of the frames: a detector is wrong in all of them, anatomy along a circle lies in few."""
    return signed_root(float(np.mean([amplitude * abs(amplitude) for amplitude in amplitudes])))


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


METRIC: Final = Metric(name=NAME, per_frame=per_frame, combine=combine, axial=True, find=find, more=(ARCS,))
