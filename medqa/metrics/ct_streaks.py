"""CT streaks: how much stronger the texture of soft tissue is in some directions than in others, and which way the strongest run.

Streaks from too few photons or views, from metal and from bone are long and straight: in the spectrum of the image they lie on a
ray at right angles to them, whereas noise and the texture of organs spread over all directions. What soft tissue differs by from
its mean over 7 mm is taken between 0.10 and 0.35 /mm (streaks 3 to 10 mm wide), in 90 sectors of 2 degrees, smoothed over 18. What
lies above the quietest twentieth of the directions is directional: the root of its variance is the amplitude, in HU. The streaks of
metal run in most directions at once, so that a larger part of them is not quiet. Values beyond two and a half deviations are
clipped first, so that vessels and the rims of organs weigh little. Tissue is told by the mean of blocks of about 3 mm: strong
streaks push pixels out of any range of values, and what was left out would not be measured.

Sources: Kak and Slaney, Principles of Computerized Tomographic Imaging (1988), chapter 5 (a view leaves its trace on one ray of the
spectrum); Barrett and Keat, RadioGraphics 2004; 24:1679 (10.1148/rg.246045065) for the causes.

A frame is reported over 18 HU, or over 13 HU where one direction has more than 2.2 times the power of the median direction. In
the training scans that are not marked as spoiled (44 frames of 38 subjects) 97.5 percent of the frames have at most 17.3 HU; one
is over the cuts (23 HU). In 20 of them simulated starvation of 12, 24, 48 and 96 HU is told from the clean scans with an AUC of
0.63, 0.87, 0.99 and 1.0, metal of 2, 4, 7 and 12 mm with 0.60, 0.71, 0.80 and 0.89, too few views (180, 120, 72, 45 over half a
turn) with 0.53, 0.65, 0.88 and 0.94. Motion within the plane hardly shows here (0.56, 0.60, 0.65 and 0.81 for 2, 4, 8 and 16 mm):
it smears texture before it streaks.

Angles are those seen in the image: 0 degrees along the rows, 90 along the columns, 45 from the lower left to the upper right.
"""

from __future__ import annotations

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
from medqa.regions import DETAIL_MM, SOFT_TISSUE_HU, Mask, Regions
from medqa.series import FrameImage, Series
from medqa.volume import Array

NAME: Final = "ct_streaks"
SOURCE: Final = "Kak and Slaney 1988, chapter 5"
BAND_PER_MM: Final = (0.10, 0.35)
SECTORS: Final = 90
SMOOTHING: Final = 9
AIR_HU: Final = -1000.0
CLIP_DEVIATIONS: Final = 2.5
MIN_DEVIATION_HU: Final = 0.05
"""Under this the image holds no texture but what rounding left."""
QUIET_PERCENTILE: Final = 5.0
MIN_PIXELS: Final = 2000
MAX_STREAKS_HU: Final = 18.0
MAX_ONE_WAY_HU: Final = 13.0
MAX_CONTRAST: Final = 2.2


@dataclass(frozen=True, slots=True)
class Fan:
    """Which elements of a half spectrum lie in the band, in which sector each is, and for how many it stands."""

    elements: NDArray[np.int64]
    sectors: NDArray[np.int64]
    weights: NDArray[np.float64]
    totals: NDArray[Any]


@lru_cache(maxsize=4)
def fan(shape: tuple[int, int], spacing_mm: tuple[float, float]) -> Fan:
    """Return the fan of sectors of `numpy.fft.rfft2` of an image; sector 0 holds waves along x, the next turn towards +y (down)."""
    down = np.fft.fftfreq(shape[0], spacing_mm[0])[:, None]
    across = np.fft.rfftfreq(shape[1], spacing_mm[1])[None, :]
    radius = np.hypot(down, across)
    elements = np.flatnonzero((radius >= BAND_PER_MM[0]) & (radius <= BAND_PER_MM[1]))
    turn = np.mod(np.arctan2(down, across), np.pi).ravel()[elements] / np.pi
    sectors = np.floor(turn * SECTORS + 0.5).astype(np.int64) % SECTORS
    # The half spectrum leaves out the mirror images of all but its first column, and of the last of an even number.
    mirrored = np.ones(across.shape[1]) * 2
    mirrored[0] = 1
    if shape[1] % 2 == 0:
        mirrored[-1] = 1
    weights = np.broadcast_to(mirrored, radius.shape).ravel()[elements]
    return Fan(elements, sectors, weights, np.bincount(sectors, weights, minlength=SECTORS))


def per_frame(regions: Regions) -> dict[str, Any] | None:
    """Return the amplitude (HU) of what is directional, its direction (degrees), and how it stands out; None without tissue."""
    if not regions.body.any():
        return None
    tissue = tissue_mask(regions)
    pixels = int(tissue.sum())
    sectors = fan((tissue.shape[0], tissue.shape[1]), regions.image.spacing_mm)
    if pixels < MIN_PIXELS or not sectors.totals.all():
        return None
    detail = detail_of(regions.image, tissue)
    sample = detail[::3, ::3]
    deviation = 1.4826 * float(np.median(np.abs(sample[sample != 0]))) if sample.any() else 0.0
    if deviation < MIN_DEVIATION_HU:
        return None
    limit = CLIP_DEVIATIONS * deviation
    power = directional_power(np.clip(detail, np.float32(-limit), np.float32(limit)), sectors, pixels)
    quiet = float(np.percentile(power, QUIET_PERCENTILE))
    excess = np.maximum(power - quiet, 0)
    return {
        "amplitude": float(np.sqrt(excess.sum())),
        "angle": direction(excess),
        "contrast": float(power.max() / np.median(power)),
    }


def tissue_mask(regions: Regions) -> Mask:
    """Return the blocks of pixels whose mean is that of soft tissue, full grid: noise and streaks push few of them out of it."""
    array, step, inside = regions.image.array, regions.step, regions.inside
    filled = array if regions.finite.all() else np.where(regions.finite, array, np.float32(AIR_HU))
    missing = [(0, -size % step) for size in array.shape]
    blocks = np.pad(filled, missing, mode="edge") if any(after for _, after in missing) else filled
    # Rows first: summing whole rows is many times faster than both axes at once.
    rows = blocks.reshape(-1, step, blocks.shape[1]).sum(axis=1)
    means = rows.reshape(rows.shape[0], -1, step).sum(axis=2) / step**2
    # The decimated grid leaves out a last block of less than half.
    means = means[: inside.shape[0], : inside.shape[1]]
    low, high = SOFT_TISSUE_HU
    tissue: Mask = regions.full((means > low) & (means < high) & inside) & regions.finite
    return tissue


def detail_of(image: FrameImage, tissue: Mask) -> Array:
    """Return what tissue differs by from its mean over `DETAIL_MM` around, in HU; 0 elsewhere.

    The mean is taken over tissue alone, so that lung, bone and air leave no edges in it.
    """
    from scipy import ndimage

    sides = tuple(2 * max(1, round(DETAIL_MM / 2 / spacing)) + 1 for spacing in image.spacing_mm)
    detail = np.zeros(tissue.shape, dtype=np.float32)
    # Outside the box that holds all tissue there is nothing to average.
    rows, columns = (np.flatnonzero(tissue.any(axis=axis)) for axis in (1, 0))
    box = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    inside = tissue[box]
    kept = np.where(inside, image.array[box], np.float32(0)).astype(np.float32, copy=False)
    sums = ndimage.uniform_filter(kept, sides, mode="constant")
    share = ndimage.uniform_filter(inside.astype(np.float32), sides, mode="constant")
    detail[box] = np.where(inside, kept - sums / np.maximum(share, np.float32(1e-3)), np.float32(0))
    return detail


def directional_power(detail: NDArray[np.float32], sectors: Fan, pixels: int) -> NDArray[np.float64]:
    """Return the variance per pixel of tissue in each sector (HU squared), as if all sectors were equally wide, smoothed."""
    from scipy import fft, ndimage

    spectrum = fft.rfft2(detail).ravel()[sectors.elements]
    squares = (spectrum.real**2 + spectrum.imag**2) * sectors.weights
    density = np.bincount(sectors.sectors, squares, minlength=SECTORS) / sectors.totals
    power: NDArray[np.float64] = density * sectors.totals.mean() / (float(detail.size) * pixels)
    smooth: NDArray[np.float64] = ndimage.uniform_filter1d(power, SMOOTHING, mode="wrap")
    return smooth


def direction(excess: NDArray[np.float64]) -> float:
    """Return the direction of the streaks whose waves have this power, in degrees from 0 to 180, as seen in the image."""
    peak = int(np.argmax(excess))
    near = np.arange(-SMOOTHING, SMOOTHING + 1)
    weights = excess[(peak + near) % SECTORS]
    total = float(weights.sum())
    sector = peak + (float((weights * near).sum()) / total if total > 0 else 0.0)
    # A streak lies at right angles to its wave; rows count downwards, angles upwards.
    return float((90.0 - sector * 180.0 / SECTORS) % 180.0)


def mean_direction(angles: Sequence[float], weights: Sequence[float]) -> float:
    """Return the weighted mean of directions, for which 0 and 180 degrees are the same."""
    doubled = np.exp(2j * np.radians(angles)) @ np.asarray(weights, dtype=np.float64)
    return float(np.degrees(np.angle(doubled)) / 2 % 180.0)


def combine(series: Series, partials: Sequence[Partial | None]) -> Measurement:
    """Return the 90th percentile of the amplitude over the frames, in HU: streaks are seldom in all of them.

    Raises
    ------
    NotApplicable
        `no_soft_tissue` where no frame has enough of it.
    """
    found = present(NAME, partials, "no_soft_tissue")
    return Measurement(
        quantity=own(NAME, "Amplitude of streaks"),
        value=float(np.percentile([partial["amplitude"] for partial in found], 90)),
        unit=Unit.HU,
        source=SOURCE,
    )


def find(series: Series, partials: Sequence[Partial | None]) -> list[Finding]:
    """Return the runs of frames with streaks over the cut, each with its mean direction and its largest amplitude."""
    flags = [partial is not None and is_streaky(partial["amplitude"], partial["contrast"]) for partial in partials]
    return [_told([one for one in partials[first : last + 1] if one is not None], first, last) for first, last in runs(flags)]


def is_streaky(amplitude: float, contrast: float) -> bool:
    """Return whether directional texture of this amplitude (HU), and so much stronger in one direction, is over the cuts."""
    return amplitude > MAX_STREAKS_HU or (amplitude > MAX_ONE_WAY_HU and contrast > MAX_CONTRAST)


def _told(within: Sequence[Partial], first: int, last: int) -> Finding:
    amplitudes = [partial["amplitude"] for partial in within]
    angle = mean_direction([partial["angle"] for partial in within], amplitudes)
    return finding(NAME, values={"angle": round(angle) % 180, "amplitude": max(amplitudes)}, frames=(first, last))


METRIC: Final = Metric(name=NAME, per_frame=per_frame, combine=combine, find=find)
