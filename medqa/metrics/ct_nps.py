"""CT noise power spectrum in uniform soft tissue: its mean and its peak frequency, the texture of the noise.

    NPS(u, v) = dx dy / sum(w^2) <|DFT(w (patch - second-order fit))|^2>        [HU^2 mm^2],   w(y, x) = sin(pi y) sin(pi x)

Sources: Siewerdsen, Cunningham, Jaffray, Med Phys 2002; 29:2655-2671 (definition); AAPM TG-233 (Samei et al., Med Phys 2019;
doi 10.1002/mp.13763): mean frequency = integral of f NPS(f) over the integral of NPS(f), NPS averaged over rings. The integral of
the NPS over both frequencies is the variance. Smoothing (a soft kernel, iterative or learned reconstruction) moves the mean down, a
sharp kernel up.

Phantoms allow the whole spectrum; in patients waves longer than some 10 mm are anatomy. Both figures are taken from about 0.1 /mm
(one and a half rings) to the Nyquist frequency of the coarser pixel side: white noise has its mean in the middle between the two.

Patches are squares of about 16 mm that lie in soft tissue as a whole; of those up to twelve with the lowest deviation after the fit
are taken, none with 1.3 times the lowest or more, which leaves vessels and edges out. The choice makes the level a few percent low:
levels are not reported here (`ct_noise` is the level), shapes are. The fit also takes noise away at the lowest frequencies: the
share that it takes of white noise is known exactly and given back, and frequencies that lose more than half are left out.

Without the window a patch ends in a jump, and what a steep spectrum has at low frequencies leaks to all others: behind a strong
blur nothing else was left there, and more blur took the mean up again. (Harris, Proc IEEE 1978; 66:51-83.) What the rounding of
values to their steps adds, a flat step^2 / 12 dx dy (Bennett, Bell Syst Tech J 1948; 27:446-472), is taken out of the mean and
of the peak: it is no texture of the noise.

Seen in 51 training scans: B20 0.20 to 0.25 /mm, SOFT 0.20 to 0.27, STANDARD 0.22 to 0.32, B60 0.45 to 0.48, BONE 0.44 to 0.51,
FC30 0.58.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from medqa.codes import Unit, own
from medqa.errors import NotApplicable
from medqa.measurement import Measurement
from medqa.metrics.metric import Metric, Partial, present
from medqa.metrics.windows import window_statistics
from medqa.regions import Regions
from medqa.series import Series
from medqa.volume import Array

NAME: Final = "ct_nps_mean"
PEAK: Final = "ct_nps_peak"
SOURCE: Final = "AAPM TG-233, Med Phys 2019;46:e735"
PATCH_MM: Final = 16.0
SIDES: Final = (12, 64)
"""Pixels along a side of a patch, at least and at most."""
PATCHES: Final = 12
CANDIDATES: Final = 36
MIN_PATCHES: Final = 4
"""In the whole series."""
MAX_PIXEL_MM: Final = 2.0
"""Coarser pixels hold no frequency at which noise outweighs anatomy."""
SPREAD: Final = 1.3
"""A patch with this many times the lowest deviation, or more, holds structure."""
FIRST_RING: Final = 2
MIN_DEVIATION_HU: Final = 0.5
"""Below, the steps of the integers are the texture."""
MIN_KEPT: Final = 0.5
MIN_RISE: Final = 0.08
"""A peak rises above the mean of the spectrum by this share at least, and by three times its own spread."""
NEAR_TOP: Final = 0.75
MIN_RINGS: Final = 3

Grid = NDArray[np.float64]
Spacing = tuple[float, float]
"""Distance of rows and of columns, in mm."""


def patch_shape(spacing_mm: Spacing) -> tuple[int, int]:
    """Return the rows and columns of a patch, even numbers."""
    rows, columns = (2 * round(min(max(PATCH_MM / spacing, SIDES[0]), SIDES[1]) / 2) for spacing in spacing_mm)
    return rows, columns


def spectrum(patches: Array, spacing_mm: Spacing) -> Grid:
    """Return the noise power spectrum of patches in HU^2 mm^2, `(v, u)` in the order of `numpy.fft`.

    Parameters
    ----------
    patches
        `(patch, y, x)` in HU.
    """
    _, rows, columns = patches.shape
    window = taper(rows, columns)
    transformed = np.fft.fft2(window * detrended(patches))
    power: Grid = (np.abs(transformed) ** 2).mean(axis=0) * (spacing_mm[0] * spacing_mm[1] / (window**2).sum())
    return power


@lru_cache(maxsize=16)
def taper(rows: int, columns: int) -> Grid:
    """Return half a period of a sine along both axes of a patch, `(y, x)`: high in the middle, nothing at the rim."""
    down, across = (np.sin(np.pi * (np.arange(side) + 0.5) / side) for side in (rows, columns))
    window: Grid = np.outer(down, across)
    return window


def detrended(patches: Array) -> Grid:
    """Return patches minus their second-order fits."""
    _, rows, columns = patches.shape
    basis = second_order(rows, columns)
    flat = patches.reshape(len(patches), rows * columns).astype(np.float64)
    rest: Grid = (flat - (flat @ basis) @ basis.T).reshape(patches.shape)
    return rest


@lru_cache(maxsize=16)
def second_order(rows: int, columns: int) -> Grid:
    """Return an orthonormal basis of the polynomials up to the second order on a patch, `(pixel, 6)`."""
    y, x = np.meshgrid(np.linspace(-1, 1, rows), np.linspace(-1, 1, columns), indexing="ij")
    terms = [np.ones_like(x), x, y, x * x, x * y, y * y]
    basis: Grid = np.linalg.qr(np.stack([term.ravel() for term in terms], axis=1))[0]
    return basis


@lru_cache(maxsize=16)
def kept_share(rows: int, columns: int) -> Grid:
    """Return the share of the power of white noise that the fit leaves at each frequency, `(v, u)`."""
    window, basis = taper(rows, columns), second_order(rows, columns).T.reshape(6, rows, columns)
    taken: Grid = (np.abs(np.fft.fft2(window * basis)) ** 2).sum(axis=0) / (window**2).sum()
    return 1.0 - taken


@lru_cache(maxsize=16)
def rings(spacing_mm: Spacing, shape: tuple[int, int]) -> tuple[NDArray[np.int64], float, int]:
    """Return the ring of every frequency, `(v, u)`, the width of a ring in /mm, and the last ring: Nyquist's of the coarser side.

    Frequencies of which the fit takes more than half, and those beyond the last ring, are in ring 0, which counts nowhere.
    """
    v, u = np.meshgrid(*(np.fft.fftfreq(side, spacing) for side, spacing in zip(shape, spacing_mm, strict=True)), indexing="ij")
    spacing, side = max(zip(spacing_mm, shape, strict=True))
    step, last = 1 / (side * spacing), side // 2
    ring = np.round(np.hypot(v, u) / step).astype(np.int64)
    ring[(ring > last) | (kept_share(*shape) < MIN_KEPT)] = 0
    return ring, step, last


def radial(power: Grid, spacing_mm: Spacing) -> list[float]:
    """Return the mean of a spectrum in the rings from `FIRST_RING` to the last, what the fit took given back."""
    rows, columns = power.shape
    ring, _, last = rings(spacing_mm, (rows, columns))
    restored = power / np.maximum(kept_share(rows, columns), MIN_KEPT)
    sums = np.bincount(ring.ravel(), restored.ravel(), last + 1)
    means = sums / np.maximum(np.bincount(ring.ravel(), minlength=last + 1), 1)
    return [float(one) for one in means[FIRST_RING:]]


def mean_frequency(profile: Sequence[float], step: float) -> float:
    """Return the integral of f NPS(f) over that of NPS(f), in /mm.

    A ring reaches half a step to either side, the last one inwards only.
    """
    values = np.asarray(profile, dtype=np.float64)
    middles = FIRST_RING + np.arange(values.size, dtype=np.float64)
    widths = np.ones(values.size)
    middles[-1], widths[-1] = middles[-1] - 0.25, 0.5
    return float((values * widths * middles).sum() / (values * widths).sum() * step)


def peak_frequency(profile: Sequence[float], step: float, patches: int) -> float | None:
    """Return where the spectrum is highest, in /mm: the vertex of a parabola through the rings that reach `NEAR_TOP` of its top.

    None where no ring rises above the spread that `patches` patches leave (those of one frame overlap by half, where the window has
    little weight: they count whole), or where it is highest in its first ring (anatomy, or a peak that lies lower).
    """
    values = np.asarray(profile, dtype=np.float64)
    numbers = FIRST_RING + np.arange(values.size)
    padded = np.pad(values, 1, mode="edge")
    smooth = 0.25 * padded[:-2] + 0.5 * padded[1:-1] + 0.25 * padded[2:]
    top = int(np.argmax(smooth))
    # A ring holds about 2 pi k frequencies, half of them mirrored. The window makes neighbours alike: smoothed, their spread is
    # 0.9 times, within a fifth, what that many free ones have (white noise, patches of 16 to 32 pixels).
    spread = 0.9 / np.sqrt(np.pi * numbers[top] * max(patches, 1))
    if top == 0 or smooth[top] / smooth.mean() - 1 < max(MIN_RISE, 3 * spread):
        return None
    low = np.flatnonzero(smooth < NEAR_TOP * smooth[top])
    first = min(max(low[low < top], default=-1) + 1, top - 1)
    last = max(min(low[low > top], default=values.size) - 1, min(top + 1, values.size - 1))
    near = slice(int(first), int(last) + 1)
    if near.stop - near.start < MIN_RINGS:
        return float(numbers[top] * step)
    curvature, slope, _ = np.polyfit(numbers[near], values[near], 2, w=np.sqrt(numbers[near]))
    vertex = -slope / (2 * curvature) if curvature < 0 else float(numbers[top])
    return float(np.clip(vertex, numbers[near.start], numbers[near.stop - 1]) * step)


def uniform_patches(regions: Regions, *, candidates: int | None = CANDIDATES, most: int | None = PATCHES) -> Array:
    """Return up to `most` patches of soft tissue without structure, `(patch, y, x)` in HU; `(0, y, x)` where there is none.

    They are the quietest of as many `candidates`; None takes all there are.
    """
    array, (height, width) = regions.image.array, patch_shape(regions.image.spacing_mm)
    none = np.empty((0, height, width), dtype=np.float32)
    _, deviation, _ = window_statistics(array, height // 2, width // 2)
    if deviation.size == 0 or not regions.body.any():
        return none
    share, _, _ = window_statistics(regions.soft_tissue.astype(np.float32), height // 2, width // 2)
    with np.errstate(invalid="ignore"):
        fit = (share > 1 - 1e-6) & (deviation > MIN_DEVIATION_HU)
    rows, columns = np.nonzero(fit)
    if rows.size == 0:
        return none
    quietest = np.argsort(deviation[fit], kind="stable")[:candidates]
    corners = [(rows[at] * (height // 2), columns[at] * (width // 2)) for at in quietest]
    patches: Array = np.stack([array[row : row + height, column : column + width] for row, column in corners])
    left = detrended(patches).std(axis=(1, 2))
    best = np.argsort(left, kind="stable")[:most]
    chosen: Array = patches[best[(left[best] > MIN_DEVIATION_HU) & (left[best] < SPREAD * left.min())]]
    return chosen


def per_frame(regions: Regions) -> dict[str, Any] | None:
    """Return the radial spectrum over the patches, its share of rounding, and their number; None where there is none."""
    spacing = regions.image.frame.header.spacing_mm
    if spacing is None or max(spacing) > MAX_PIXEL_MM:
        return None
    patches = uniform_patches(regions)
    if len(patches) == 0:
        return None
    profile = radial(spectrum(patches, spacing), spacing)
    _, step, _ = rings(spacing, patch_shape(spacing))
    rounding = regions.image.frame.header.slope**2 / 12 * spacing[0] * spacing[1]
    return {
        "step": step,
        "patches": len(patches),
        "power": [len(patches) * one for one in profile],
        "rounding": len(patches) * rounding,
    }


def combine(series: Series, partials: Sequence[Partial | None]) -> tuple[Measurement, ...]:
    """Return the mean frequency and, where the spectrum has one, the peak frequency, in /mm.

    Raises
    ------
    NotApplicable
        `header_silent` where the pixels have no size, `coarse_pixels` where it is too large, `no_soft_tissue` where fewer than
        `MIN_PATCHES` patches lie in uniform soft tissue.
    """
    spacings = [frame.header.spacing_mm for frame in series.frames]
    if spacings and None in spacings:
        raise NotApplicable(what=NAME, reason="header_silent", keyword="PixelSpacing")
    if any(spacing is not None and max(spacing) > MAX_PIXEL_MM for spacing in spacings):
        raise NotApplicable(what=NAME, reason="coarse_pixels")
    found = present(NAME, partials, "no_soft_tissue")
    step = found[0]["step"]
    alike = [partial for partial in found if abs(partial["step"] - step) <= 1e-3 * step]
    patches = sum(partial["patches"] for partial in alike)
    if patches < MIN_PATCHES:
        raise NotApplicable(what=NAME, reason="no_soft_tissue")
    rounding = sum(partial["rounding"] for partial in alike)
    profile = np.maximum(np.sum([partial["power"] for partial in alike], axis=0) - rounding, 0.0).tolist()
    mean = Measurement(
        quantity=own(NAME, "Mean frequency of the noise power spectrum"),
        value=mean_frequency(profile, step),
        unit=Unit.PER_MM,
        source=SOURCE,
    )
    highest = peak_frequency(profile, step, patches)
    if highest is None:
        return (mean,)
    return mean, Measurement(
        quantity=own(PEAK, "Peak frequency of the noise power spectrum"), value=highest, unit=Unit.PER_MM, source=SOURCE
    )


METRIC: Final = Metric(name=NAME, per_frame=per_frame, combine=combine, axial=True, more=(PEAK,))
