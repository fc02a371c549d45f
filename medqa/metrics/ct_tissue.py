"""CT numbers of fat and soft tissue: the levels that contrast and signal are told from.

Fat: windows of 6 mm x 6 mm inside the body that hold one tissue (their deviation is near the lowest quarter's) are counted by their
mean. Their histogram has a peak for fat and one for soft tissue, and edges between them lie in neither. The level of fat is the
biweight about its peak (Beaton and Tukey, Technometrics 1974; 16:147), which no border between bins moves.

Soft tissue: a peak is what is commonest, and in a trunk that is liver or muscle by a few windows; and which windows hold one tissue
depends on the noise. So every window counts here that is not mostly fat, averaged with its neighbours to 12 mm, and the level is
their median. Windows with a little fat in them take 1 to 2 HU off it in a phantom, and 0.7 HU in an ellipse with a rim of fat
(`make bias`, docs/bias.md).

On 20 clean training scans nothing that leaves the CT numbers in place (noise, streaks, rings, smoothing) moves it by more than 4 %
of its spread between patients; streaks moved the peak by 25 %. Cupping makes it fall at every strength in 13 of 18. The other five
are scans of the chest: where the centre of the slice is lung the simulated change is no cup, and what falls under fat drops out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

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
BIWEIGHT_HU: Final = 40.0
"""What lies further from the level of fat does not count: a third of the way to soft tissue."""
COUNTING_HU: Final = (-60.0, 0.0)
"""From here on windows begin to count as soft tissue (they are fat for less than two thirds); from water on they count in full."""
CENTRES: Final = TISSUE_HU[0] + BIN_HU * (np.arange(BINS) + 0.5)
MAX_ROUNDS: Final = 50
SETTLED_HU: Final = 0.01


class Histograms(NamedTuple):
    """Numbers of windows by their mean, `BINS` each: those of one tissue, and all."""

    one_tissue: NDArray[np.int64]
    every: NDArray[np.int64]


def per_frame(regions: Regions) -> dict[str, Any] | None:
    """Return the histograms of the windows' means, and the noise in HU; None where no window lies in tissue."""
    mean, deviation = frame_windows(regions, WINDOW_MM)
    if mean.size == 0 or not regions.body.any():
        return None
    inside = _centres(regions.inside, regions.step, halves(regions.image.spacing_mm, WINDOW_MM), mean.shape)
    tissue = _is_tissue(mean) & inside
    if not tissue.any():
        return None
    spread = deviation[tissue]
    wide, wide_inside = _widened(mean, inside)
    return {
        **_histogram(mean[tissue][spread <= SPREAD * np.percentile(spread, 25)]),
        "every": _histogram(wide[_is_tissue(wide) & wide_inside]),
        "noise": ct_noise.frame_noise(ct_noise.per_frame(regions)),
    }


def _is_tissue(mean: Grid) -> Mask:
    with np.errstate(invalid="ignore"):
        tissue: Mask = (mean > TISSUE_HU[0]) & (mean < TISSUE_HU[1])
    return tissue


def _widened(mean: Grid, inside: Mask) -> tuple[Grid, Mask]:
    """Return windows of twice the width, those next to each other averaged (1-2-1 along both axes), and whether all lie inside."""
    for _ in range(2):
        mean = (mean[:-1] + mean[1:]) / 2
        mean = (mean[:, :-1] + mean[:, 1:]) / 2
        inside = inside[:-1] & inside[1:]
        inside = inside[:, :-1] & inside[:, 1:]
    return mean, inside


def _histogram(means: Grid) -> dict[str, Any]:
    """Return the numbers of windows by their mean, from the first bin on that holds one."""
    counts = np.bincount(((means - TISSUE_HU[0]) / BIN_HU).astype(np.int64), minlength=BINS)[:BINS]
    filled = np.flatnonzero(counts)
    first, stop = (int(filled[0]), int(filled[-1]) + 1) if filled.size else (0, 0)
    return {"first": first, "counts": counts[first:stop].tolist()}


def _centres(mask: Mask, step: int, half: tuple[int, int], shape: tuple[int, ...]) -> Mask:
    """Return a decimated mask at the centres of windows."""
    rows, columns = (
        np.minimum((np.arange(size) + 1) * pixels // step, limit - 1)
        for size, pixels, limit in zip(shape, half, mask.shape, strict=True)
    )
    at: Mask = mask[np.ix_(rows, columns)]
    return at


def total(partials: Sequence[Partial]) -> Histograms:
    """Add up the histograms of frames."""
    sums = Histograms(np.zeros(BINS, dtype=np.int64), np.zeros(BINS, dtype=np.int64))
    for partial in partials:
        for counts, one in zip(sums, (partial, partial["every"]), strict=True):
            counts[one["first"] : one["first"] + len(one["counts"])] += np.asarray(one["counts"], dtype=np.int64)
    return sums


def series_noise(partials: Sequence[Partial]) -> float | None:
    """Return the median of the frames' noise in HU; None where no frame has one."""
    known = [partial["noise"] for partial in partials if partial["noise"] is not None]
    return float(np.median(known)) if known else None


def soft_level(histograms: Histograms) -> float | None:
    """Return the CT number of soft tissue in HU, the median over all windows of it; None where there is too little of it."""
    none, full = COUNTING_HU
    shares = histograms.every * np.clip((CENTRES - none) / (full - none), 0, 1)
    below = np.concatenate([[0.0], np.cumsum(shares)])
    if below[-1] < MIN_WINDOWS:
        return None
    return float(np.interp(below[-1] / 2, below, TISSUE_HU[0] + BIN_HU * np.arange(BINS + 1)))


def fat_level(histograms: Histograms) -> float | None:
    """Return the CT number of fat in HU; None where there is too little of it or it is not parted from soft tissue."""
    counts = histograms.one_tissue
    smooth = _smooth(counts)
    fat, soft = _peak(smooth, FAT_HU), _peak(smooth, SOFT_HU)
    if smooth[fat] < smooth[fat - 1 : fat + 2].max() or smooth[fat : soft + 1].min() > PARTED * min(smooth[fat], smooth[soft]):
        return None
    if counts[np.abs(CENTRES - CENTRES[fat]) <= NEAR_HU].sum() < MIN_WINDOWS:
        return None
    return _biweight(counts, float(CENTRES[fat]))


def _smooth(counts: NDArray[np.int64]) -> Grid:
    from scipy import ndimage

    smooth: Grid = ndimage.gaussian_filter1d(counts.astype(np.float64), SMOOTHING_HU / BIN_HU, mode="constant")
    return smooth


def _peak(smooth: Grid, between_hu: tuple[float, float]) -> int:
    low, high = (round((end - TISSUE_HU[0]) / BIN_HU) for end in between_hu)
    return low + int(np.argmax(smooth[low:high]))


def _biweight(counts: NDArray[np.int64], level: float) -> float:
    """Return where the biweighted mean of a histogram about itself comes to rest, from a level on (HU)."""
    for _ in range(MAX_ROUNDS):
        weights = counts * np.maximum(1 - ((CENTRES - level) / BIWEIGHT_HU) ** 2, 0) ** 2
        before, level = level, float((CENTRES * weights).sum() / weights.sum())
        if abs(level - before) < SETTLED_HU:
            break
    return level
