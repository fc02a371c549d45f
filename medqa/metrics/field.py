"""The circle that the detector saw, where it ends within the image and cuts a body off.

What lies outside was not measured. The outline of the body then runs along the circle, and filtered back-projection lifts the
values within it, most at its rim (Ohnesorge et al., Med Phys 2000; 27:39-46, 10.1118/1.598855). The body is looked at along rays
from the axis: those that end at one and the same distance are compared with those that end well further in. Both have skin, fat and
muscle under their ends, so that the difference is the lift alone; a body that is round by nature has none.

Of 44 clean frames of training scans three show a circle: one with a lift of 210 HU over 44 of 360 rays, two that are cut by no more
than the image's border, with 84 and 123 HU over 22 and 9 rays.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from medqa.metrics.ct_rings import Place, axes
from medqa.regions import Mask, Regions

Values = NDArray[np.float32]
Indices = NDArray[np.int32]

NAME: Final = "field_circle"
RAYS: Final = 360
BODY_HU: Final = -500.0
AIR_HU: Final = -1000.0
LUNG_HU: Final = -930.0
"""Between lung and air."""
MAX_OPEN: Final = 0.35
"""Share of a lung's border that the cut may open."""
MOST_RIM_HU: Final = 600.0
LEAST_SOFT_HU: Final = -150.0
PEAK_MM: Final = 8.0
RIM_MM: Final = (1.5, 6.0)
WITHIN_MM: Final = (20.0, 31.0)
"""Depths under the end of a ray: the rim, and what it is compared with: beyond the steepest rise, still of the same wall."""
SEARCHED: Final = 0.85
"""Circles are sought from this share of the farthest end on."""
CLEAR: Final = 0.93
"""Rays that end before this share of the radius are hardly lifted."""
MAX_BEYOND: Final = 0.3
"""Rays that end further out, for each that ends on the circle: what lies beyond is no body but what the filter left."""
MIN_RAYS: Final = 8
MIN_SAMPLES: Final = 8
FADE_MM: Final = 1.5
"""How exactly the end of a ray is known where it was cut."""
GAP: Final = 9
"""Rays, of which those between two on the circle lie on it."""
BORDER_STEPS: Final = 3
"""A ray that ends this close to the image's border ends because of it."""
MIN_LIFT_HU: Final = 50.0
LIFT_POWER: Final = 1.1
"""The lift grows with the share x of the radius as (1 - x^2)^-1.1, averaged over all angles of simulated cuts."""


@dataclass(frozen=True, slots=True)
class Circle:
    """The circle outside of which nothing was measured.

    `axis` (row, column) in pixels; `radius_mm`; `glow_hu`, by how much the rim lies above what is further in; `lift_hu`, how much
    of that is more than at the rest of the outline; `cut`, `(RAYS,)`: which rays from the axis end on the circle.
    """

    axis: Place
    radius_mm: float
    glow_hu: float
    lift_hu: float
    cut: Mask

    def distances(self, regions: Regions) -> Values:
        """Return the distance of each element of the decimated grid from the axis in mm, `(y, x)`."""
        down, across = self._offsets(regions)
        return np.hypot(down[:, None], across[None, :])

    def body(self, regions: Regions) -> Mask:
        """Return the body within the circle, `(y, x)` on the decimated grid, with the lungs that the cut opened.

        Lung that is open to the outside is no hole of the body any more; it is told from air by its density and its shape.
        """
        from scipy import ndimage

        distance = self.distances(regions)
        inside = distance <= self.radius_mm + max(regions.element_mm)
        body = regions.body & inside
        gaps = ndimage.binary_fill_holes(body | ~inside) & ~body & inside
        labels, count = ndimage.label(gaps)
        if count == 0:
            return body
        # The cut lifts the air at its rim to the density of lung.
        deep = np.where(distance <= self.radius_mm - WITHIN_MM[0], labels, 0)
        levels = ndimage.median(np.nan_to_num(regions.values, nan=AIR_HU), deep, np.arange(1, count + 1))
        # A crescent of air between body and circle has half of its border on the circle.
        open_to, closed_by = (
            np.bincount(labels[ndimage.binary_dilation(other)], minlength=count + 1)[1:] for other in (~inside, body)
        )
        lung = (levels > LUNG_HU) & (open_to <= MAX_OPEN * (open_to + closed_by))
        return np.asarray(body | np.concatenate([[False], lung])[labels])

    def ends_here(self, regions: Regions) -> Mask:
        """Return which elements of the decimated grid lie on rays that end on the circle, `(y, x)`."""
        down, across = self._offsets(regions)
        angle = np.arctan2(down[:, None], across[None, :])
        ray = np.rint(angle * (RAYS / (2 * np.pi))).astype(np.int64) % RAYS
        return np.asarray(self.cut[ray])

    def excess(self, distance_mm: Values) -> Values:
        """Return by how many HU the cut lifts what lies this far from the axis, on the side of the cut; elsewhere it is less."""
        rim, within = (_lifted(1 - np.mean(depths) / self.radius_mm) for depths in (RIM_MM, WITHIN_MM))
        share = np.minimum(distance_mm, self.radius_mm - RIM_MM[0]) / self.radius_mm
        return np.asarray(self.lift_hu / (rim - within) * _lifted(share), dtype=np.float32)

    def _offsets(self, regions: Regions) -> tuple[Values, Values]:
        down, across = (
            ((np.arange(count, dtype=np.float32) * regions.step + regions.step // 2) - np.float32(place)) * np.float32(size)
            for count, place, size in zip(regions.body.shape, self.axis, regions.image.spacing_mm, strict=True)
        )
        return down, across


def _lifted(share: Any) -> Any:
    return (1 - share * share) ** -LIFT_POWER


def field_circle(regions: Regions) -> Circle | None:
    """Return the circle that cuts the body off; None where there is none. Found once a frame, whoever asks first."""
    if NAME not in regions.shared:
        regions.shared[NAME] = _field_circle(regions)
    found: Circle | None = regions.shared[NAME]
    return found


def _field_circle(regions: Regions) -> Circle | None:
    if not regions.body.any():
        return None
    image = regions.image
    seen = field_of_view(regions.values)
    found = [about(regions, seen, axis) for axis in axes(image.frame.header, shape_of(regions), image.spacing_mm)]
    circles = [one for one in found if one is not None]
    return max(circles, key=lambda one: one.lift_hu * int(one.cut.sum())) if circles else None


def shape_of(regions: Regions) -> tuple[int, int]:
    """Return rows and columns of a frame."""
    rows, columns = regions.image.array.shape
    return int(rows), int(columns)


def about(regions: Regions, seen: Mask, axis: Place) -> Circle | None:
    """Return the circle about one axis that lifts most, given the field of view; None where none does."""
    step_mm = min(regions.image.spacing_mm)
    outermost, limit = _outermost(regions, seen, axis)
    values, start = _along(regions, axis, outermost, step_mm)
    depth = _depth_of_end(values, max(1, round(PEAK_MM / step_mm)))
    end = start - depth
    # Where the image ends, the body ends there for another reason.
    there = np.isfinite(values[np.arange(RAYS), np.maximum(depth - BORDER_STEPS, 0)])
    free = (outermost > 0) & (end > 0) & (end * step_mm < limit) & there
    if free.sum() < MIN_RAYS:
        return None
    counts = np.convolve(np.bincount(end[free]), np.ones(3), "same")
    farthest = int(end[free].max())
    best: Circle | None = None
    for first in {int(SEARCHED * farthest), farthest - 3}:
        at = max(first, 1) + int(np.argmax(counts[max(first, 1) : farthest + 1]))
        on = free & (np.abs(end - at) <= 1)
        if on.sum() < MIN_RAYS or (free & (end > at + 1)).sum() > MAX_BEYOND * on.sum():
            continue
        glow, usual = (rise(values, start - end, chosen, step_mm) for chosen in (on, free & (end < CLEAR * at)))
        if glow is None:
            continue
        # Where the whole outline lies on the circle nothing is left to compare with.
        lift = glow - (0.0 if usual is None else min(usual, 0.0))
        if lift > MIN_LIFT_HU and (best is None or lift > best.lift_hu):
            best = Circle(axis, at * step_mm, glow, lift, _closed((outermost > 0) & (end * step_mm >= at * step_mm - FADE_MM)))
    return best


def _closed(cut: Mask) -> Mask:
    """Return rays that end on the circle, and those between them: the end of a single ray is as noisy as its pixels."""
    from scipy import ndimage

    wide = ndimage.maximum_filter1d(cut.view(np.uint8), GAP, mode="wrap")
    return np.asarray(ndimage.minimum_filter1d(wide, GAP, mode="wrap") > 0)


@lru_cache(maxsize=1)
def directions() -> tuple[Values, Values]:
    """Return sine and cosine of the rays' angles from +x towards +y, `(RAYS, 1)`."""
    angles = (2 * np.pi / RAYS * np.arange(RAYS, dtype=np.float32))[:, None]
    return np.sin(angles), np.cos(angles)


@lru_cache(maxsize=4)
def _elements(shape: tuple[int, int], element_mm: Place, axis: Place) -> tuple[Indices, Mask, Values]:
    """Return the flat indices of elements along the rays, `(RAYS, n)`, which of them exist, and their distances in mm, `(n,)`.

    `axis` is counted in elements. The frames of a series share it.
    """
    size = min(element_mm)
    count = int(np.hypot(shape[0] * element_mm[0], shape[1] * element_mm[1]) / size)
    distance = np.arange(count, dtype=np.float32) * np.float32(size)
    sine, cosine = directions()
    row = np.floor(axis[0] + sine * distance / element_mm[0]).astype(np.int32)
    column = np.floor(axis[1] + cosine * distance / element_mm[1]).astype(np.int32)
    inside = (row >= 0) & (row < shape[0]) & (column >= 0) & (column < shape[1])
    reached = int(inside.any(axis=0).sum())
    flat = np.where(inside, row * shape[1] + column, 0)
    return np.ascontiguousarray(flat[:, :reached]), np.ascontiguousarray(inside[:, :reached]), distance[:reached]


def _outermost(regions: Regions, seen: Mask, axis: Place) -> tuple[Values, Values]:
    """Return how far out each ray meets the body on the decimated grid, and how far the field of view goes, in mm."""
    rows, columns = regions.body.shape
    flat, inside, distance = _elements((rows, columns), regions.element_mm, (axis[0] / regions.step, axis[1] / regions.step))
    met = inside & regions.body.ravel()[flat]
    last = met.shape[1] - 1 - np.argmax(met[:, ::-1], axis=1)
    outermost = np.where(met.any(axis=1), distance[last], np.float32(0))
    if seen.all():
        return outermost, np.full(RAYS, np.inf, dtype=np.float32)
    within = (inside & seen.ravel()[flat]).sum(axis=1)
    return outermost, distance[np.maximum(within - 1, 0)]


def _along(regions: Regions, axis: Place, outermost: Values, step_mm: float) -> tuple[Values, NDArray[np.int64]]:
    """Return the pixels along each ray from just outside the body inwards, `(RAYS, n)`, and the first's step."""
    array = regions.image.array
    rows_mm, columns_mm = regions.image.spacing_mm
    margin = 2 * max(regions.element_mm)
    start = np.rint((outermost + margin) / step_mm).astype(np.int64)
    depth = np.arange(round((2 * margin + PEAK_MM + WITHIN_MM[1]) / step_mm))
    distance = (start[:, None] - depth).astype(np.float32) * np.float32(step_mm)
    sine, cosine = directions()
    row = np.rint(axis[0] + sine * distance / rows_mm).astype(np.int32)
    column = np.rint(axis[1] + cosine * distance / columns_mm).astype(np.int32)
    inside = (row >= 0) & (row < array.shape[0]) & (column >= 0) & (column < array.shape[1]) & (distance > 0)
    return np.where(inside, array.ravel()[np.where(inside, row * array.shape[1] + column, 0)], np.float32(np.nan)), start


def _depth_of_end(values: Values, reach: int) -> NDArray[np.int64]:
    """Return which sample of each ray from outside is the first above half the height of the rim."""
    with np.errstate(invalid="ignore"):
        first = np.argmax(values > BODY_HU, axis=1)
        within = np.minimum(first[:, None] + np.arange(reach), values.shape[1] - 1)
        rim = np.take_along_axis(values, within, axis=1)
        half = (np.minimum(np.fmax.reduce(rim, axis=1, initial=0.0), MOST_RIM_HU) + AIR_HU) / 2
        # A bright rim fades over some millimetres: half its height is where it was cut, whatever its brightness.
        return np.asarray(first + np.argmax(rim > half[:, None], axis=1))


def rise(values: Values, end: NDArray[np.int64], chosen: Mask, step_mm: float) -> float | None:
    """Return by how many HU the rim lies above tissue further in, over the chosen rays; None where either is too little."""
    if not chosen.any():
        return None
    levels = []
    for low, high in (RIM_MM, WITHIN_MM):
        depths = np.arange(int(low / step_mm) + 1, max(int(high / step_mm), int(low / step_mm) + 1) + 1)
        at = np.minimum(end[chosen][:, None] + depths, values.shape[1] - 1)
        sampled = np.take_along_axis(values[chosen], at, axis=1)
        with np.errstate(invalid="ignore"):
            kept = sampled[sampled > LEAST_SOFT_HU]
        if kept.size < MIN_SAMPLES:
            return None
        levels.append(float(np.median(kept)))
    return levels[0] - levels[1]


def field_of_view(values: Values) -> Mask:
    """Return where the scanner reconstructed something, `(y, x)`: not in corners without a value, or with one value in all four."""
    field: Mask = np.isfinite(values)
    y, x = (np.linspace(-1, 1, size) for size in values.shape)
    radius = np.hypot(y[:, None], x[None, :])
    there = values[(radius > 1.02) & field]
    if there.size > MIN_SAMPLES and there.min() == there.max():
        field &= radius <= 1.0
    return field
