"""CT numbers of fat and soft tissue: the levels that contrast and signal are told from.

Windows of 6 mm x 6 mm inside the body that hold one tissue (their deviation is near the lowest quarter's) are counted by their
mean: in a body the histogram has a peak for fat and one for soft tissue, and edges between them lie in neither. A peak's level is
the mean of the windows within 25 HU of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from medqa.metrics import ct_noise
from medqa.metrics.metric import Partial
from medqa.metrics.windows import Grid, frame_windows, halves
from medqa.regions import Mask, Regions

WINDOW_MM: Final = 6.0
TISSUE_HU: Final = (-250.0, 250.0)
BIN_HU: Final = 5.0
BINS: Final = round((TISSUE_HU[1] - TISSUE_HU[0]) / BIN_HU)
SMOOTHING_HU: Final = 10.0
NEAR_HU: Final = 25.0
MIN_WINDOWS: Final = 60
"""Windows near a peak, at least: about 5 cm^2 of a tissue, as neighbours overlap by half."""
SPREAD: Final = 2.0
"""A window holds one tissue where its deviation is at most this many times the lower quartile."""
PARTED: Final = 0.6
"""Between the peaks of two tissues the histogram falls under this share of the lower one."""
FAT_HU: Final = (-200.0, -30.0)
SOFT_HU: Final = (-30.0, 200.0)


def per_frame(regions: Regions) -> dict[str, Any] | None:
    """Return the histogram of the means of windows that hold one tissue, and the noise in HU; None where there are none."""
    mean, deviation = frame_windows(regions, WINDOW_MM)
    if mean.size == 0 or not regions.body.any():
        return None
    with np.errstate(invalid="ignore"):
        tissue = (
            (mean > TISSUE_HU[0])
            & (mean < TISSUE_HU[1])
            & _centres(regions.inside, regions.step, halves(regions.image.spacing_mm, WINDOW_MM), mean.shape)
        )
    if not tissue.any():
        return None
    spread = deviation[tissue]
    one_tissue = spread <= SPREAD * np.percentile(spread, 25)
    means = mean[tissue][one_tissue]
    counts = np.bincount(((means - TISSUE_HU[0]) / BIN_HU).astype(np.int64), minlength=BINS)[:BINS]
    filled = np.flatnonzero(counts)
    first, last = int(filled[0]), int(filled[-1])
    return {"first": first, "counts": counts[first : last + 1].tolist(), "noise": ct_noise.frame_noise(ct_noise.per_frame(regions))}


def _centres(mask: Mask, step: int, half: tuple[int, int], shape: tuple[int, ...]) -> Mask:
    """Return a decimated mask at the centres of windows."""
    rows, columns = (
        np.minimum((np.arange(size) + 1) * pixels // step, limit - 1)
        for size, pixels, limit in zip(shape, half, mask.shape, strict=True)
    )
    at: Mask = mask[np.ix_(rows, columns)]
    return at


def total(partials: Sequence[Partial]) -> NDArray[np.int64]:
    """Add up the histograms of frames."""
    counts = np.zeros(BINS, dtype=np.int64)
    for partial in partials:
        counts[partial["first"] : partial["first"] + len(partial["counts"])] += partial["counts"]
    return counts


def series_noise(partials: Sequence[Partial]) -> float | None:
    """Return the median of the frames' noise in HU; None where no frame has one."""
    known = [partial["noise"] for partial in partials if partial["noise"] is not None]
    return float(np.median(known)) if known else None


def soft_level(counts: NDArray[np.int64]) -> float | None:
    """Return the CT number of the commonest soft tissue in HU; None where there is too little of it."""
    return _level(counts, _peak(_smooth(counts), SOFT_HU))


def fat_level(counts: NDArray[np.int64]) -> float | None:
    """Return the CT number of fat in HU; None where there is too little of it or it is not parted from soft tissue."""
    smooth = _smooth(counts)
    fat, soft = _peak(smooth, FAT_HU), _peak(smooth, SOFT_HU)
    if smooth[fat] < smooth[fat - 1 : fat + 2].max() or smooth[fat : soft + 1].min() > PARTED * min(smooth[fat], smooth[soft]):
        return None
    return _level(counts, fat)


def _smooth(counts: NDArray[np.int64]) -> Grid:
    from scipy import ndimage

    smooth: Grid = ndimage.gaussian_filter1d(counts.astype(np.float64), SMOOTHING_HU / BIN_HU, mode="constant")
    return smooth


def _peak(smooth: Grid, between_hu: tuple[float, float]) -> int:
    low, high = (round((end - TISSUE_HU[0]) / BIN_HU) for end in between_hu)
    return low + int(np.argmax(smooth[low:high]))


def _level(counts: NDArray[np.int64], peak: int) -> float | None:
    centres = TISSUE_HU[0] + BIN_HU * (np.arange(BINS) + 0.5)
    near = np.abs(centres - centres[peak]) <= NEAR_HU
    if counts[near].sum() < MIN_WINDOWS:
        return None
    return float((centres * counts)[near].sum() / counts[near].sum())
