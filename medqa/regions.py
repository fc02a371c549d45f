"""Body, air and noise-like regions of one frame, found once and shared by metrics, checks and simulation.

Every region is found in the frame alone (no neighbour is asked), so that frames can be judged in any order. The search runs on
a decimated grid of about 128 columns and is brought back by repetition: the borders are good to a few pixels, which no metric
here depends on; all of them erode or keep clear of borders. Table, lung, bone and fat of CT are defined in `medqa.tissues`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from medqa.series import FrameImage
from medqa.tissues import bone_mask, fat_mask, lung_mask, table_mask
from medqa.volume import Array

Mask = NDArray[np.bool_]

GRID: Final = 128
"""Regions are searched on at most about this many rows or columns."""
CT_BODY_HU: Final = -500.0
"""Between lung (-850) and fat (-100), above clothes, blankets and most of the table's foam."""
MIN_BODY_SHARE: Final = 0.002
"""A body smaller than this share of the frame is no body."""
OPENINGS: Final = {"CT": 2, "MR": 1, "PT": 0}
"""How many elements of the decimated grid are taken off and put back: cuts off what hangs by a thread."""
MIN_SIDE_TO_OPEN: Final = 16
ALONG_PATIENT: Final = 0.7
"""Cosine from which on the columns of an image run from head to foot, and down is not to the table."""
SOFT_TISSUE_HU: Final = (-150.0, 250.0)
DETAIL_MM: Final = 7.0
"""Wide enough for the texture of noise (its wavelength is 2 to 4 mm), narrow enough to leave organs out."""


@dataclass(frozen=True)
class Regions:
    """The regions of one frame, each made when first asked for.

    Masks are `(y, x)` on the decimated grid: `values` is the frame on that grid (block means of up to `step` by `step` pixels,
    NaN where no pixel of the block has a value).
    """

    image: FrameImage

    @cached_property
    def shared(self) -> dict[str, Any]:
        """What one metric found in this frame and another may ask for again, by name; it goes when the frame goes."""
        return {}

    @cached_property
    def step(self) -> int:
        """Side of a block in pixels."""
        return max(1, round(int(max(self.image.array.shape)) / GRID))

    @cached_property
    def finite(self) -> Mask:
        """Which pixels have a value, full grid."""
        return np.isfinite(self.image.array)

    @cached_property
    def values(self) -> Array:
        """The frame on the decimated grid: every `step`-th pixel, from the middle of its block."""
        return decimate(self.image.array, self.step)

    @cached_property
    def body(self) -> Mask:
        """The body, holes filled, table and clothes removed; decimated grid."""
        return body_mask(self.values, self.image.frame.modality)

    @cached_property
    def air(self) -> Mask:
        """Air around the body, clear of its border, where the scanner stored values; decimated grid."""
        return air_mask(self.values, self.body)

    @cached_property
    def outer_air(self) -> Mask:
        """The parts of the air that reach the ring next to the frame's border: no hole inside the body; decimated grid."""
        return touching_border(self.air)

    @cached_property
    def inside(self) -> Mask:
        """The body without its rim, or the body where it is all rim; decimated grid."""
        from scipy import ndimage

        inner: Mask = ndimage.binary_erosion(self.body)
        return inner if inner.any() else self.body

    @cached_property
    def body_share(self) -> float:
        """Share of the frame that is body."""
        return float(self.body.mean())

    @cached_property
    def soft_tissue(self) -> Mask:
        """CT: pixels of the body between -150 and 250 HU (fat, muscle, organs, brain), full grid."""
        values = self.image.array
        low, high = SOFT_TISSUE_HU
        with np.errstate(invalid="ignore"):
            soft: Mask = (values > low) & (values < high) & self.full(self.inside)
        return soft

    @cached_property
    def table(self) -> Mask:
        """CT: the couch below the body, with what lies on it; decimated grid, empty where columns run along the patient."""
        orientation = self.image.frame.header.orientation
        if orientation is not None and abs(orientation[1][2]) > ALONG_PATIENT:
            return np.zeros_like(self.body)
        return table_mask(self.values, self.body, self.element_mm[1])

    @cached_property
    def lung(self) -> Mask:
        """CT: air-like and lung-like within the body; decimated grid."""
        rows_mm, columns_mm = self.element_mm
        return lung_mask(self.values, self.body, rows_mm * columns_mm)

    @cached_property
    def bone(self) -> Mask:
        """CT: bone-like, dense with a cortex; full grid."""
        return bone_mask(self.image.array, self.full(self.body))

    @cached_property
    def fat(self) -> Mask:
        """CT: fat-like, -150 to -50 HU within the body; full grid."""
        return fat_mask(self.image.array, self.full(self.body))

    @property
    def element_mm(self) -> tuple[float, float]:
        """Distance of rows, and of columns, on the decimated grid."""
        rows_mm, columns_mm = self.image.spacing_mm
        return rows_mm * self.step, columns_mm * self.step

    def full(self, mask: Mask) -> Mask:
        """Bring a mask from the decimated grid to the frame's own."""
        return enlarge(mask, self.step, self.image.array.shape)


def decimate(array: Array, step: int) -> Array:
    """Return every `step`-th pixel, `(y, x)`, taken from the middle of its block (at least one per axis)."""
    rows, columns = (min(step // 2, size - 1) for size in array.shape)
    return array[rows::step, columns::step]


def enlarge(mask: Mask, step: int, shape: tuple[int, ...]) -> Mask:
    """Return a decimated mask on a grid of `shape`, each element repeated `step` by `step` times."""
    full = np.repeat(np.repeat(mask, step, axis=0), step, axis=1)[: shape[0], : shape[1]]
    missing = [(0, size - have) for size, have in zip(shape, full.shape, strict=True)]
    return np.pad(full, missing, mode="edge") if any(after for _, after in missing) else full


def body_mask(array: Array, modality: str) -> Mask:
    """Return where the body is, holes filled, `(y, x)`; all False where there is none.

    Parameters
    ----------
    array
        `(y, x)` in HU (CT), scanner units (MR) or activity (PT); NaN counts as air.
    modality
        `CT`, `MR` or `PT`.
    """
    from scipy import ndimage

    if modality == "CT":
        mask: Mask = np.nan_to_num(array, nan=-2000.0) > CT_BODY_HU
    else:
        values = np.nan_to_num(array, nan=0.0, posinf=0.0, neginf=0.0)
        if modality == "MR":
            # Noise must not be taken for tissue where it is nearly as bright.
            values = ndimage.uniform_filter(np.abs(values), 3)
        threshold = foreground_threshold(values, modality)
        mask = values > threshold
    opening = OPENINGS[modality]
    if opening and min(mask.shape) > MIN_SIDE_TO_OPEN:
        # Opening cuts the table and cables off the body.
        opened = ndimage.binary_opening(mask, iterations=opening)
        mask = opened if opened.any() else mask
    mask = ndimage.binary_fill_holes(large_components(mask, keep_share=0.1))
    return mask if mask.mean() >= MIN_BODY_SHARE else np.zeros(array.shape, dtype=bool)


def foreground_threshold(values: Array, modality: str) -> float:
    """Return the value that parts foreground from background; infinite where there is nothing to part.

    MR: half of Otsu's threshold, so that dim tissue stays in, but above the mean of the background where noise is bright; found on
    the square root of the values, which evens out bright fat and coil profiles. PET: 4 % of the 99.5th percentile (about SUV 0.3
    where the liver has 2 and the maximum is 8).
    """
    positive = values[values > 0]
    if positive.size < 16:
        return float("inf")
    top = float(np.percentile(positive, 99.5))
    if modality == "PT":
        return 0.04 * top
    roots = np.sqrt(np.minimum(np.maximum(values, 0.0), top)).ravel()
    cut = otsu(roots)
    if not np.isfinite(cut):
        return cut
    background = float(roots[roots <= cut].mean()) ** 2
    return min(cut**2, max(0.5 * cut**2, 1.3 * background))


def otsu(values: NDArray[Any], bins: int = 128) -> float:
    """Return Otsu's threshold: the cut that makes the variance between the two classes largest (IEEE Trans SMC 9:62, 1979)."""
    low, high = float(values.min()), float(values.max())
    if not high > low:
        return float("inf")
    counts, edges = np.histogram(values, bins=bins, range=(low, high))
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    above = below[-1] - below
    sums = np.cumsum(counts * centres)
    with np.errstate(invalid="ignore", divide="ignore"):
        between = below * above * (sums / below - (sums[-1] - sums) / above) ** 2
    # Between two separate peaks every cut is as good as any other: the middle one is furthest from both.
    best = np.flatnonzero(between >= (1 - 1e-6) * np.nanmax(between[:-1]))
    return float(edges[1:][(best[0] + best[-1]) // 2])


def air_mask(array: Array, body: Mask) -> Mask:
    """Return where `array` has values, clear of the body by a thirtieth of the frame and of the frame's border by one element."""
    from scipy import ndimage

    clearance = max(2, round(max(array.shape) / 32))
    near = ndimage.binary_dilation(body, iterations=clearance) if body.any() else body
    air: Mask = np.isfinite(array) & ~near
    air[:1], air[-1:], air[:, :1], air[:, -1:] = False, False, False, False
    return air


def touching_border(mask: Mask) -> Mask:
    """Return the components of a mask that reach the ring one element inside the frame's border."""
    from scipy import ndimage

    if min(mask.shape) < MIN_RING:
        return mask
    labels, _ = ndimage.label(mask)
    reached = np.zeros(labels.max() + 1, dtype=bool)
    reached[ring(labels)] = True
    reached[0] = False
    outer: Mask = reached[labels]
    return outer


def ring(array: NDArray[Any]) -> NDArray[Any]:
    """Return the elements one inside the border of `(y, x)`, flat."""
    return np.concatenate([array[1, 1:-1], array[-2, 1:-1], array[1:-1, 1], array[1:-1, -2]])


MIN_RING: Final = 4


def large_components(mask: Mask, keep_share: float) -> Mask:
    """Keep the largest component and those of at least `keep_share` of its size (two legs, arms beside the trunk)."""
    from scipy import ndimage

    labels, count = ndimage.label(mask)
    if count <= 1:
        return mask
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    kept: Mask = (sizes >= keep_share * sizes.max())[labels]
    return kept
