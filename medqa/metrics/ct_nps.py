"""CT noise power spectrum in uniform soft tissue: its mean and its peak frequency, the texture of the noise.

    NPS(u, v) = dx dy / (Nx Ny) <|DFT(patch - second-order fit)|^2>        [HU^2 mm^2]

Sources: Siewerdsen, Cunningham, Jaffray, Med Phys 2002; 29:2655-2671 (definition); AAPM TG-233 (Samei et al., Med Phys 2019;
doi 10.1002/mp.13763): mean frequency = integral of f NPS(f) over the integral of NPS(f), radial average, up to the Nyquist
frequency of the coarser pixel side. The integral of the NPS over both frequencies is the variance. White noise has its mean at half
the Nyquist frequency; smoothing (a soft kernel, iterative or learned reconstruction) moves it down, a sharp kernel up.

Patches are 32 x 32 pixels (15 to 30 mm) that lie in soft tissue as a whole; of those the twelve with the lowest deviation after the
fit are taken, which are those without vessels and edges. The choice makes the level a few percent low: levels are not reported
here (`ct_noise` is the level), shapes are. The fit also takes noise away at the lowest frequencies: the share that it takes of
white noise is known exactly and given back, and frequencies that lose more than half are left out.
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
SIDE: Final = 32
"""Pixels along a side of a patch."""
HALF: Final = SIDE // 2
PATCHES: Final = 12
CANDIDATES: Final = 36
MIN_PATCHES: Final = 8
"""In the whole series."""
MIN_DEVIATION_HU: Final = 0.5
"""Below, the steps of the integers are the texture."""
MIN_KEPT: Final = 0.5
PEAK_OVER_MEAN: Final = 1.25
"""A spectrum that does not rise above its own mean by a quarter is flat: it has no peak."""

Grid = NDArray[np.float64]


def spectrum(patches: Array, spacing_mm: tuple[float, float]) -> Grid:
    """Return the noise power spectrum of square patches in HU^2 mm^2, `(v, u)` in the order of `numpy.fft`.

    Parameters
    ----------
    patches
        `(patch, y, x)` in HU.
    spacing_mm
        Distance of rows and of columns.
    """
    side = patches.shape[-1]
    power: Grid = (np.abs(np.fft.fft2(detrended(patches))) ** 2).mean(axis=0)
    return power * (spacing_mm[0] * spacing_mm[1] / side**2)


def detrended(patches: Array) -> Grid:
    """Return patches minus their second-order fits."""
    side = patches.shape[-1]
    basis = second_order(side)
    flat = patches.reshape(len(patches), side * side).astype(np.float64)
    rest: Grid = (flat - (flat @ basis) @ basis.T).reshape(patches.shape)
    return rest


@lru_cache(maxsize=4)
def second_order(side: int) -> Grid:
    """Return an orthonormal basis of the polynomials up to the second order on a square, `(pixel, 6)`."""
    y, x = np.meshgrid(*2 * (np.linspace(-1, 1, side),), indexing="ij")
    terms = [np.ones_like(x), x, y, x * x, x * y, y * y]
    basis: Grid = np.linalg.qr(np.stack([term.ravel() for term in terms], axis=1))[0]
    return basis


@lru_cache(maxsize=4)
def kept_share(side: int) -> Grid:
    """Return the share of the power of white noise that the fit leaves at each frequency, `(v, u)`."""
    basis = second_order(side).T.reshape(6, side, side)
    taken: Grid = (np.abs(np.fft.fft2(basis)) ** 2).sum(axis=0) / side**2
    return 1.0 - taken


@lru_cache(maxsize=16)
def rings(spacing_mm: tuple[float, float], side: int = SIDE) -> tuple[NDArray[np.int64], float]:
    """Return the ring of every frequency (`(v, u)`; 0 is left out) and the width of a ring in /mm; the last ring is Nyquist's.

    Frequencies of which the fit takes more than half, and those over the Nyquist frequency of the coarser side, are in ring 0.
    """
    v, u = np.meshgrid(*(np.fft.fftfreq(side, spacing) for spacing in spacing_mm), indexing="ij")
    step = 1 / (side * max(spacing_mm))
    ring = np.round(np.hypot(v, u) / step).astype(np.int64)
    ring[(ring > side // 2) | (kept_share(side) < MIN_KEPT)] = 0
    return ring, step


def radial(power: Grid, spacing_mm: tuple[float, float]) -> list[float]:
    """Return the mean of a spectrum in the rings 1 to Nyquist's, what the fit took given back."""
    side = power.shape[-1]
    ring, _ = rings(spacing_mm, side)
    restored = power / np.maximum(kept_share(side), MIN_KEPT)
    size = side // 2 + 1
    sums = np.bincount(ring.ravel(), restored.ravel(), size)
    return [float(one) for one in (sums / np.maximum(np.bincount(ring.ravel(), minlength=size), 1))[1:]]


def mean_frequency(profile: Sequence[float], step: float) -> float:
    """Return the integral of f NPS(f) over that of NPS(f) up to the Nyquist frequency, in /mm.

    The stretch below half a ring, which the fit empties, is taken to be as high as the first ring.
    """
    rings_up = len(profile)
    values = np.array([profile[0], *profile])
    widths = np.array([0.5, *[1.0] * (rings_up - 1), 0.5])
    middles = np.array([0.25, *range(1, rings_up), rings_up - 0.25])
    return float((values * widths * middles).sum() / (values * widths).sum() * step)


def peak_frequency(profile: Sequence[float], step: float) -> float | None:
    """Return where the spectrum, smoothed over three rings, is highest, in /mm; None where it is flat."""
    values = np.pad(np.asarray(profile, dtype=np.float64), 1, mode="edge")
    smooth = 0.25 * values[:-2] + 0.5 * values[1:-1] + 0.25 * values[2:]
    top = int(np.argmax(smooth))
    if smooth[top] < PEAK_OVER_MEAN * smooth.mean():
        return None
    shift = 0.0
    if 0 < top < smooth.size - 1:
        left, middle, right = smooth[top - 1 : top + 2]
        curvature = left - 2 * middle + right
        shift = 0.5 * (left - right) / curvature if curvature < 0 else 0.0
    return float((top + 1 + shift) * step)


def uniform_patches(regions: Regions) -> Array:
    """Return up to `PATCHES` patches of soft tissue without structure, `(patch, y, x)` in HU."""
    array = regions.image.array
    _, deviation, _ = window_statistics(array, HALF, HALF)
    if deviation.size == 0 or not regions.body.any():
        return np.empty((0, SIDE, SIDE), dtype=np.float32)
    share, _, _ = window_statistics(regions.soft_tissue.astype(np.float32), HALF, HALF)
    with np.errstate(invalid="ignore"):
        fit = (share > 1 - 1e-6) & (deviation > MIN_DEVIATION_HU)
    rows, columns = np.nonzero(fit)
    order = np.argsort(deviation[rows, columns], kind="stable")[:CANDIDATES]
    corners = [(int(rows[index]) * HALF, int(columns[index]) * HALF) for index in order]
    patches = np.array([array[row : row + SIDE, column : column + SIDE] for row, column in corners], dtype=np.float32)
    if len(patches) == 0:
        return np.empty((0, SIDE, SIDE), dtype=np.float32)
    left = detrended(patches).std(axis=(1, 2))
    best = np.argsort(left, kind="stable")[:PATCHES]
    return patches[best[left[best] > MIN_DEVIATION_HU]]


def per_frame(regions: Regions) -> dict[str, Any] | None:
    """Return the radial spectrum summed over the patches, and how many they are; None where there is none."""
    patches = uniform_patches(regions)
    if len(patches) == 0:
        return None
    spacing = regions.image.spacing_mm
    profile = radial(spectrum(patches, spacing), spacing)
    return {"step": rings(spacing)[1], "patches": len(patches), "power": [len(patches) * one for one in profile]}


def combine(series: Series, partials: Sequence[Partial | None]) -> tuple[Measurement, ...]:
    """Return the mean frequency and, where the spectrum has one, the peak frequency, in /mm.

    Raises
    ------
    NotApplicable
        `no_soft_tissue` where fewer than `MIN_PATCHES` patches lie in uniform soft tissue.
    """
    found = present(NAME, partials, "no_soft_tissue")
    step = found[0]["step"]
    alike = [partial for partial in found if abs(partial["step"] - step) <= 1e-3 * step]
    if sum(partial["patches"] for partial in alike) < MIN_PATCHES:
        raise NotApplicable(what=NAME, reason="no_soft_tissue")
    profile = np.sum([partial["power"] for partial in alike], axis=0).tolist()
    mean = Measurement(
        quantity=own(NAME, "Mean frequency of the noise power spectrum"),
        value=mean_frequency(profile, step),
        unit=Unit.PER_MM,
        source=SOURCE,
    )
    highest = peak_frequency(profile, step)
    if highest is None:
        return (mean,)
    return mean, Measurement(
        quantity=own(PEAK, "Peak frequency of the noise power spectrum"), value=highest, unit=Unit.PER_MM, source=SOURCE
    )


METRIC: Final = Metric(name=NAME, per_frame=per_frame, combine=combine, more=(PEAK,))
