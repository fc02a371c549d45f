"""Draws with artefacts of known size and place: streaks, rings, doubled contours, cut outlines, cups."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from medqa import regions
from medqa.metrics import ct_cupping, ct_motion, ct_rings, ct_streaks, ct_truncation
from tests.proofs.drawn import AIR_HU, PIXEL_MM, SIDE, SOFT_HU, Condition, Image, condition, disc, plane, white

RADIUS_MM = 130.0
NOISE_HU = 10.0
PERIOD_MM = 5.0
RING_MM = 50.0
ARC_SECTORS = 9
EDGE_MM = 0.7
WIDE_MM, HIGH_MM = 198.0, 100.0
RIM_MM = 12.0


def conditions() -> Iterator[Condition]:
    """Yield all of them."""
    yield from streaks()
    yield from rings()
    yield from motion()
    yield from truncation()
    yield from cups()


def noisy(clean: Image, deviation: float = NOISE_HU) -> Callable[[np.random.Generator], Image]:
    """Return what adds white noise to an image."""
    return lambda rng: clean + white(rng, deviation)


def streaks() -> Iterator[Condition]:
    """Yield gratings; the local mean that the metric takes off leaves a known share of their amplitude, and nothing of none."""
    y, x = plane()
    window_mm = (2 * max(1, round(regions.DETAIL_MM / 2 / PIXEL_MM)) + 1) * PIXEL_MM
    for amplitude, angle in ((0.0, 0.0), (10.0, 20.0), (10.0, 65.0), (30.0, 20.0), (30.0, 110.0)):
        sine, cosine = math.sin(math.radians(angle)), math.cos(math.radians(angle))
        grating = amplitude * np.sin(2 * np.pi * (-sine * x - cosine * y) / PERIOD_MM)
        left = 1 - np.sinc(window_mm / PERIOD_MM * sine) * np.sinc(window_mm / PERIOD_MM * cosine)
        truths = {ct_streaks.NAME: float(left) * amplitude / math.sqrt(2)}
        name = f"grating of {amplitude:g} HU along {angle:g}°" if amplitude else "no grating"
        image = noisy(disc(RADIUS_MM, soft_hu=SOFT_HU + grating))
        yield condition(name, [ct_streaks.METRIC], image, truths | ({f"{ct_streaks.NAME} angle": angle} if amplitude else {}))


def rings() -> Iterator[Condition]:
    """Yield closed rings and arcs of a quarter, one cell of the metric wide.

    Of the cells between the smallest radius and the edge one row has the ring; cells count by their radius. Of the groups of four
    sectors that touch an arc of nine, six hold it in all six pairs of sectors, two in three of them, two in one.
    """
    y, x = plane()
    step = ct_rings.CELL_PIXELS * PIXEL_MM
    cell = int(RING_MM / step)
    at = (np.hypot(y, x) / step).astype(int) == cell
    quarter = at & (y >= 0) & (x > 0)
    share = cell / np.arange(int(ct_rings.MIN_RADIUS_MM / step), int(RADIUS_MM / step)).sum()
    groups = (ARC_SECTORS - 3 + 2 * 3 / 6 + 2 * 1 / 6) / ct_rings.SECTORS
    for height in (0.0, 10.0, 40.0):
        ring, arc = (
            noisy(disc(RADIUS_MM, soft_hu=SOFT_HU + height * at)),
            noisy(disc(RADIUS_MM, soft_hu=SOFT_HU + height * quarter)),
        )
        radius = {f"{ct_rings.NAME} radius": (cell + 0.5) * step} if height else {}
        truths = {ct_rings.NAME: height * math.sqrt(share)}
        yield condition(f"ring of {height:g} HU" if height else "no ring", [ct_rings.METRIC], ring, truths | radius)
        truths = {ct_rings.ARCS: height * math.sqrt(groups * share)}
        yield condition(f"arc of 90°, {height:g} HU" if height else "no arc", [ct_rings.METRIC], arc, truths | radius)


def motion() -> Iterator[Condition]:
    """Yield a disc of which one half is displaced along x."""
    y, x = plane()
    for shift in (0.0, 3.0, 6.0):
        inside = sum(ndtr((105.0 - np.hypot(y, x - offset)) / EDGE_MM) for offset in (-shift / 2, shift / 2)) / 2
        image = noisy(AIR_HU + (SOFT_HU - AIR_HU) * inside)
        truths = {ct_motion.NAME: widening_mm(shift), f"{ct_motion.NAME} extent": shift}
        yield condition(f"contour doubled at {shift:g} mm", [ct_motion.METRIC], image, truths)


def widening_mm(shift_mm: float) -> float:
    """Return the mean width of the edges around a doubled disc less the 10th percentile; each angle counts by its elements."""
    angles = np.linspace(0, np.pi / 2, 181)
    distance = np.linspace(-15, 15, 6001)
    widths = np.array([width_mm(distance, shift_mm * math.cos(angle)) for angle in angles])
    weights = np.cos(angles) + np.sin(angles)
    order = np.argsort(widths)
    reached = np.cumsum(weights[order]) / weights.sum()
    return float(np.average(widths, weights=weights) - np.interp(ct_motion.SHARP / 100, reached, widths[order]))


def width_mm(distance: NDArray[np.float64], shift_mm: float) -> float:
    """Return over which distance two Gaussian edges, half of each, pass from three quarters to a quarter."""
    level = (ndtr((distance + shift_mm / 2) / EDGE_MM) + ndtr((distance - shift_mm / 2) / EDGE_MM)) / 2
    low, high = np.interp((0.25, 0.75), level, distance)
    return float(high - low)


def truncation() -> Iterator[Condition]:
    """Yield ellipses wider than the image, with and without a bright rim."""
    y, x = plane()
    half = SIDE * PIXEL_MM / 2
    turn = np.linspace(0, 2 * np.pi, 100_001)
    along, across = WIDE_MM * np.cos(turn), HIGH_MM * np.sin(turn)
    free = np.hypot(np.diff(along), np.diff(across))[np.abs(along[1:]) < half].sum()
    cut = 4 * HIGH_MM * math.sqrt(1 - (half / WIDE_MM) ** 2)
    depth = half - np.maximum(np.abs(x), np.abs(y))
    for rim in (0.0, 60.0):
        clean = np.where(np.hypot(x / WIDE_MM, y / HIGH_MM) < 1, SOFT_HU + rim * (depth < RIM_MM), AIR_HU)
        truths = {ct_truncation.NAME: float(100 * cut / (cut + free)), ct_truncation.RIM: rim}
        yield condition(f"outline cut, rim of {rim:g} HU", [ct_truncation.METRIC], noisy(clean), truths)
    yield condition("outline whole", [ct_truncation.METRIC], noisy(disc(RADIUS_MM)), {ct_truncation.NAME: 0.0})


def cups() -> Iterator[Condition]:
    """Yield parabolic cups; medians by area between the radii that the shells of the metric mean."""
    outer, inner = (1 - share for share in ct_cupping.RIM)
    share = (outer**2 + inner**2 - (1 - ct_cupping.WAY[-2]) ** 2) / 2
    for depth in (0.0, 20.0, 60.0):
        bottom = depth * (1 - (np.hypot(*plane()) / RADIUS_MM) ** 2)
        image = noisy(disc(RADIUS_MM, soft_hu=SOFT_HU - bottom))
        yield condition(f"cup {depth:g} HU deep", [ct_cupping.METRIC], image, {ct_cupping.NAME: depth * share})
