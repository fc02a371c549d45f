"""The background of an MR frame: the air outside the body's outline, whatever noise, ghosts or interference fill it.

Noise must not be taken for body, nor may a ghost, which is to be measured. The outline therefore is the convex hull of what is
bright (`BRIGHT` of the frame's top): a ghost is dimmer than what it copies, and dim tissue lies between bright tissue. Where the
frame cuts a body the hull leaves dim tissue out; such a piece is no air, since little of its edge is the body's own, bright edge.
Concave air, as between two legs, counts as outline; dim tissue beyond a bright, sharp edge counts as air that a ghost fills.

The noise is that of the darkest air, which ghosts and interference leave alone, from a second difference over every other pixel:

    D = (1 0 -2 0 1) / root 6 along the rows, then along the columns;   variance = median over blocks of mean(D^2) - step^2 / 12

White noise keeps its deviation in D, and so does noise that a scanner interpolated twofold, since D answers alike on both sides of
half the Nyquist frequency. D is blind to what changes slowly, to waves beside a straight edge, and to what changes its sign from
pixel to pixel, as the side lobes of a zipper do. Noise of another colour reads lower: against the plain deviation of the same
blocks 84 to 101 % (quartiles of 20 training scans), in two of them, which are interpolated more, 35 and 48 %. The last term is what
rounding to stored steps adds (Sheppard's correction).

Sources: local statistics of the air: Aja-Fernandez et al., Magnetic Resonance Imaging 2009; 27:1397
(10.1016/j.mri.2009.05.025); what noise is in magnitude images: Dietrich et al., JMRI 2007; 26:375.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from medqa.metrics.mr_air import MAX_NEGATIVE, MAX_SAME, MIN_AIR, MIN_AIR_SHARE, MIN_BORDER, MIN_BORDER_BRIGHT
from medqa.regions import Mask, Regions, large_components, ring, touching_border
from medqa.volume import Array

NAME: Final = "mr_background"
OUTLINE: Final = "mr_outline"
TOP: Final = 97.0
"""Percentile of a smoothed frame that stands for its bright tissue."""
BRIGHT: Final = 0.55
"""Part of the top from which tissue counts for the outline: ghosts of half the signal stay under it."""
RIM: Final = 2
"""Elements of the outline beside the air that count as its edge."""
OWN_EDGE: Final = 0.7
"""Least share of the edge that is bright tissue, of a piece of air as bright as the median of the outline; less for darker ones. On
clean training scans dim tissue has up to 0.4 where it is half as bright, and air 0.4 and more where it has 0.1."""
SIDES: Final = (4, 8)
"""Fewest and most pixels of a block's side: a sixteenth of the frame's shorter side, else."""
MIN_BLOCKS: Final = 6
"""Blocks of the darkest air from which noise is told: the deviation of white noise is then good to 6 %."""
MOST_BLOCKS: Final = 500
"""More are not looked at: the deviation is then good to 1 %."""
DARK_PERCENTILE: Final = 10.0
SAME_LEVEL: Final = 1.3
"""Blocks of up to this many times the darkest level are of the same air; chance moves the mean of 64 pixels of noise by 7 %."""
MIN_MEAN_TO_DEVIATION: Final = 1.25
"""Mean over deviation: 1.91 for Rayleigh noise and more for several coils; 1 for an exponential tail, as filters leave it."""
MAX_RAYLEIGH: Final = 2.3
"""Noise with a lower mean over its deviation is Rayleigh's, so that it is air however bright it is."""
BRIGHT_AIR: Final = 0.12
"""Level of the darkest air over the median of the outline from which it might be tissue."""
MIN_STEPS: Final = 0.4
"""A deviation below this many stored steps is quantisation. At it, taking off what rounding adds leaves an error of up to 11 %."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Background:
    """What the outline and the air around it hold; `reason` tells why there is no background, `noiseless` why it tells no noise.

    `level` is the mean of the outline without its rim, `bright` the median of the tissue that it is drawn around, `median` that of
    the air and `deviation` that of its noise.
    """

    level: float
    bright: float = float("nan")
    median: float = float("nan")
    deviation: float = float("nan")
    reason: str | None = None
    noiseless: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outlined:
    """The body's outline and what leads to it, `(y, x)` on the decimated grid: the frame `smooth`ed and its `bright` tissue.

    `away` is by how much each element lies beyond the outline, and `air` what lies around it and reaches the frame's border.
    """

    smooth: Array
    bright: Mask
    away: Array
    air: Mask

    @property
    def outline(self) -> Mask:
        """The convex hull of the bright tissue."""
        return self.away <= 0


def outlined(regions: Regions) -> Outlined:
    """Return the outline of the body of a frame; found once."""
    if OUTLINE not in regions.shared:
        smooth, bright = bright_tissue(regions.values)
        away, air = around(regions.values, smooth, bright)
        regions.shared[OUTLINE] = Outlined(smooth=smooth, bright=bright, away=away, air=air)
    found: Outlined = regions.shared[OUTLINE]
    return found


def background(regions: Regions) -> Background:
    """Return the background of a frame; found once."""
    if NAME not in regions.shared:
        regions.shared[NAME] = _background(regions)
    found: Background = regions.shared[NAME]
    return found


def _background(regions: Regions) -> Background:
    from scipy import ndimage

    values, array = regions.values, regions.image.array
    seen = outlined(regions)
    outline, air = seen.outline, seen.air
    inner = ndimage.binary_erosion(outline)
    level = float(np.nanmean(values[inner if inner.any() else outline], dtype=np.float64)) if outline.any() else 0.0
    if float((values < 0).mean()) > MAX_NEGATIVE:
        return Background(level=level, reason="unit_unknown")
    if air.sum() < max(MIN_AIR, MIN_AIR_SHARE * air.size) or float(ring(air).mean()) < MIN_BORDER:
        return Background(level=level, reason="no_air")
    whole = regions.full(air) & regions.finite
    sample = array[whole]
    lowest = float(sample.min())
    floor = lowest + 1e-6 * max(1.0, abs(lowest))
    if float((sample <= floor).mean()) > MAX_SAME:
        return Background(level=level, reason="background_masked")
    step = stored_step(sample, regions.image.frame.header.slope)
    side = int(np.clip(min(array.shape) // 16, *SIDES))
    dark, blocks = dark_blocks(array, whole, floor, side)
    variance = float(np.median(second_differences(array, blocks, side))) if blocks.size else 0.0
    deviation = math.sqrt(max(variance - step**2 / 12, 0.0))
    if dark < MIN_MEAN_TO_DEVIATION * deviation:
        return Background(level=level, reason="background_masked")
    body, noiseless = float(np.median(seen.smooth[outline])), None
    if blocks.shape[1] < MIN_BLOCKS:
        noiseless = "no_air"
    elif deviation < max(MIN_STEPS * step, 1e-6 * level):
        noiseless = "background_masked"
    elif dark > max(BRIGHT_AIR * body, MAX_RAYLEIGH * deviation) and float(ring(air).mean()) < MIN_BORDER_BRIGHT:
        noiseless = "no_air"
    return Background(
        level=level,
        bright=grouped_median(np.abs(values[seen.bright & np.isfinite(values)])),
        median=grouped_median(sample),
        deviation=deviation,
        noiseless=noiseless,
    )


def bright_tissue(values: Array) -> tuple[Array, Mask]:
    """Return a frame `(y, x)` smoothed, and where its bright tissue is: all False where nothing stands out."""
    from scipy import ndimage

    smooth = ndimage.uniform_filter(np.abs(np.nan_to_num(values, posinf=0.0, neginf=0.0)), 3)
    bright = smooth > BRIGHT * np.percentile(smooth, TOP)
    opened = ndimage.binary_opening(bright)
    return smooth, large_components(opened if opened.any() else bright, keep_share=0.1)


def around(values: Array, smooth: Array, bright: Mask) -> tuple[Array, Mask]:
    """Return by how much each element lies beyond the hull of bright tissue, and the air around it; `(y, x)`."""
    from scipy import ndimage

    away = hull_distance(bright)
    outline, clearance = away <= 0, max(2, round(max(values.shape) / 32))
    air = np.isfinite(values) & (away > clearance)
    air[:1], air[-1:], air[:, :1], air[:, -1:] = False, False, False, False
    pieces, count = ndimage.label(touching_border(air))
    if not count or not outline.any():
        return away, np.zeros_like(air)
    rim = outline & (away > -RIM)
    beside = ndimage.maximum_filter(pieces, 2 * (clearance + RIM) + 1)[rim]
    own = np.bincount(beside, weights=bright[rim], minlength=count + 1) / np.maximum(np.bincount(beside, minlength=count + 1), 1)
    sums, sizes = np.bincount(pieces.ravel(), weights=smooth.ravel()), np.bincount(pieces.ravel())
    kept = own * float(np.median(smooth[outline])) >= OWN_EDGE * sums / sizes
    kept[0] = False
    return away, kept[pieces]


def hull_distance(mask: Mask) -> Array:
    """Return by how much each element lies beyond the sides of the convex hull of a mask `(y, x)`; all positive without a hull."""
    from scipy.spatial import ConvexHull, QhullError

    away = np.full(mask.shape, np.inf, dtype=np.float32)
    rows = np.flatnonzero(mask.any(axis=1))
    if rows.size < 2:
        return away
    # The ends of every row are enough.
    ends = np.stack([mask[rows].argmax(axis=1), mask.shape[1] - 1 - mask[rows, ::-1].argmax(axis=1)])
    try:
        sides = ConvexHull(np.stack([np.tile(rows, 2), ends.ravel()], axis=1)).equations
    except QhullError:
        return away
    y, x = (np.arange(size, dtype=np.float32) for size in mask.shape)
    away[:] = -np.inf
    for down, across, offset in sides.astype(np.float32):
        np.maximum(away, (down * y + offset)[:, None] + across * x, out=away)
    # Elements on a side are within.
    away -= np.float32(1e-3)
    return away


def dark_blocks(array: Array, air: Mask, floor: float, side: int) -> tuple[float, NDArray[np.intp]]:
    """Return the level of the darkest air, and the first rows and columns of its blocks, `(2, n)`.

    Blocks that hold more than `MAX_SAME` of `floor` or lower were masked. The level is where the median of all blocks of up to
    `SAME_LEVEL` times the level stays where it is, beginning with the tenth percentile.
    """
    rows, columns = (size // side for size in array.shape)
    nowhere = np.zeros((2, 0), dtype=np.intp)
    if not rows or not columns:
        return 0.0, nowhere

    def blocks(values: NDArray[Any]) -> NDArray[Any]:
        cut: NDArray[Any] = values[: rows * side, : columns * side].reshape(rows, side, columns, side)
        return cut

    means = blocks(array).mean(axis=(1, 3), dtype=np.float64)
    usable = blocks(air).all(axis=(1, 3)) & (blocks(array <= floor).mean(axis=(1, 3)) <= MAX_SAME)
    # A second difference needs two pixels more on every side.
    usable[0], usable[:, 0] = False, False
    usable[-1] &= rows * side + 2 <= array.shape[0]
    usable[:, -1] &= columns * side + 2 <= array.shape[1]
    if not usable.any():
        return 0.0, nowhere
    found = np.sort(means[usable])
    level, before = float(np.percentile(found, DARK_PERCENTILE)), -1.0
    while level != before:
        before, level = level, float(np.median(found[: max(1, np.searchsorted(found, SAME_LEVEL * level, side="right"))]))
    return level, side * np.stack(np.nonzero(usable & (means <= SAME_LEVEL * level)))


def second_differences(array: Array, blocks: NDArray[np.intp], side: int) -> NDArray[np.floating]:
    """Return the mean square of D in blocks; their first rows and columns `(2, n)` lie two pixels inside the frame."""
    blocks = blocks[:, :: max(1, -(-blocks.shape[1] // MOST_BLOCKS))]
    reach = np.arange(-2, side + 2)
    shown = array[blocks[0][:, None, None] + reach[:, None], blocks[1][:, None, None] + reach]
    down = shown[:, 4:] - 2 * shown[:, 2:-2] + shown[:, :-4]
    both = down[:, :, 4:] - 2 * down[:, :, 2:-2] + down[:, :, :-4]
    squares: NDArray[np.floating] = np.square(both / 6).mean(axis=(1, 2))
    return squares


def stored_step(sample: Array, slope: float) -> float:
    """Return the step in which values are stored: the header's slope where all differ by whole multiples of it, else 0."""
    counts = (sample[:: max(1, sample.size // 1000)].astype(np.float64) - float(sample[0])) / abs(slope)
    return abs(slope) if np.abs(counts - np.rint(counts)).max() < 1e-2 else 0.0


def grouped_median(sample: Array) -> float:
    """Return the median of grouped data: values that are stored in steps count as spread evenly, each over its own step."""
    middle = float(np.median(sample))
    below, equal = int((sample < middle).sum()), int((sample == middle).sum())
    if equal <= 2 or not below or below + equal == sample.size:
        return middle
    lower = (float(sample[sample < middle].max()) + middle) / 2
    upper = (float(sample[sample > middle].min()) + middle) / 2
    return lower + (upper - lower) * (sample.size / 2 - below) / equal
