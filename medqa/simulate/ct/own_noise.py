"""The noise that a slice already has: its level and the cut-off of the kernel behind it, measured in soft tissue.

Anatomy is strong at low spatial frequencies and noise at high ones. So the slice is looked at through band-passes up to nearly half
a cycle a pixel, where the calmer squares of soft tissue hold little but noise. Filtered back-projection gives noise power that
grows as the frequency times the square of the kernel's window, which leads from the highest bands that hold noise to the whole
spectrum. Tried on anatomy with known noise of parallel and fan beams, the level and the mean frequency come out within a tenth from
6 HU on under kernels that pass 0.6 cycles a pixel, from 12 HU on under those that pass 0.45; under softer ones noise hides among
anatomy and the level comes out too high. The local deviation of all frequencies together, which takes texture for noise, is up to
twice too high there.

Source: Riederer, Pelc and Chesler, Phys Med Biol 23:446 (1978), for the noise power spectrum.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from medqa.simulate.ct.tissue import Mask, soft_tissue
from medqa.simulate.kernels import window
from medqa.volume import Array

CENTRES: Final = (0.12, 0.18, 0.24, 0.30, 0.36, 0.42)
"""Middles of the bands in cycles per pixel."""
WIDTH: Final = 0.05
"""Standard deviation of a band's Gaussian in cycles per pixel: it sees about 3 pixels far."""
USED: Final = 3
"""Only the highest bands that hold noise are used: the lower, the more anatomy."""
LEAST_SHARE: Final = 0.02
"""A band with less than this share of the strongest one holds what leaked into it."""
WINDOW: Final = 9
"""Side in pixels of the squares in which a local deviation is taken."""
CUTOFFS: Final = tuple(float(cutoff) for cutoff in np.geomspace(0.25, 3.0, 120))
"""Hann cut-offs that are tried, in cycles per pixel; the last is nearly the bare ramp."""
ROUNDING: Final = 1 / 12
"""Variance of values stored as whole HU: it is in every band and no noise of the scan."""
CALM: Final = 20
"""Percentile of the local variances that noise is taken from: the upper ones hold vessels, edges and streaks as well."""
MIN_PIXELS: Final = 400
CHANCE: Final = 0.04
"""How far chance moves the logarithm of a band's variance in a slice of 512 pixels."""

Variances = NDArray[np.float64]
"""One variance for each band, `(bands,)`."""


class Match(NamedTuple):
    """The kernel whose noise has the shape of the slice's own, and the factor between simulated and own variance."""

    cutoff: float
    """First zero of the Hann window in cycles per pixel."""
    factor: float


class Tissue(NamedTuple):
    """Where noise is measured: all of the soft tissue, and the part of it so far inside that no square reaches the border."""

    whole: Mask
    inner: Mask


def tissue_of(array: Array) -> Tissue:
    """Return the soft tissue of a slice in HU, `(y, x)`; noise does not make holes in it."""
    from scipy import ndimage

    whole = soft_tissue(ndimage.uniform_filter(array, 3))
    return Tissue(whole, np.asarray(ndimage.binary_erosion(whole, np.ones((3, 3)), iterations=WINDOW // 2 + 1), dtype=bool))


def detail(array: Array, tissue: Mask) -> Array:
    """Return what soft tissue differs by from its local mean, 0 elsewhere: bone and air leave no edge in it."""
    from scipy import ndimage

    sums = ndimage.uniform_filter(np.where(tissue, array, np.float32(0)), WINDOW, mode="constant")
    share = ndimage.uniform_filter(tissue.astype(np.float32), WINDOW, mode="constant")
    return np.where(tissue, array - sums / np.maximum(share, np.float32(1e-3)), np.float32(0)).astype(np.float32)


def frequencies(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return the spatial frequency of each element of a half-plane transform, in cycles per pixel."""
    radius = np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None])
    return np.asarray(radius, dtype=np.float32)


def passed_by(frequency: NDArray[np.float64], cutoff: float) -> NDArray[np.float64]:
    """Return what a scanner lets through: Hann's window, and the interpolation between channels a pixel wide (sinc squared)."""
    return np.asarray(window("hann", frequency, cutoff) * np.sinc(frequency) ** 2, dtype=np.float64)


def under_kernel(transform: NDArray[np.complex64], shape: tuple[int, ...], cutoff: float) -> Array:
    """Return the image `(y, x)` of a half-plane transform under the kernel of a `cutoff` in cycles per pixel.

    What was reconstructed with the bare ramp becomes what it would be under that kernel.
    """
    from scipy import fft

    weights = passed_by(frequencies(shape).astype(np.float64), cutoff).astype(np.float32)
    return np.asarray(fft.irfft2(transform * weights, shape), dtype=np.float32)


def variances(array: Array, tissue: Tissue, expected: Array) -> Variances:
    """Return the variance of the calmer squares in each band (HU²), relative to the square of the `expected` deviation `(y, x)`.

    They hold little but noise. Against all squares of mere noise they are too low, but by the same share in every slice.
    """
    from scipy import fft, ndimage

    transform = fft.rfft2(detail(array, tissue.whole))
    radius = frequencies(array.shape)
    usual = expected[tissue.inner] ** 2
    out = np.empty(len(CENTRES))
    for number, centre in enumerate(CENTRES):
        passed = np.exp(-0.5 * ((radius - np.float32(centre)) / np.float32(WIDTH)) ** 2)
        band = fft.irfft2(transform * passed, array.shape)
        out[number] = np.percentile(ndimage.uniform_filter(band * band, WINDOW)[tissue.inner] / usual, CALM)
    return out


def first_guess(own: Variances) -> float:
    """Return the cut-off in cycles per pixel whose theoretical noise has the shape of the slice's own variances (HU²)."""
    return _fit(own, _powers(), _usable(own)).cutoff


def match(own: Variances, made: Variances, cutoff: float) -> Match:
    """Return the kernel and the factor that bring noise `made` under the kernel of `cutoff` to the slice's `own` (HU²)."""
    theory = _powers()
    return _fit(own, theory * (made / np.maximum(theory[CUTOFFS.index(cutoff)], 1e-30)), _usable(own))


def level(own: Variances, made: Variances) -> float:
    """Return the factor between simulated and own variance where the kernel is given."""
    return _fit(own, made[None], _usable(own)).factor


def _usable(own: Variances) -> NDArray[np.bool_]:
    """Return the highest bands that hold clearly more than the rounding to whole HU; the lowest ones where none does."""
    clear = (own > 5 * _rounding()) & (own > LEAST_SHARE * own.max())
    numbers = np.flatnonzero(clear)
    usable = np.zeros(own.size, dtype=bool)
    usable[numbers[-USED:] if numbers.size > 1 else slice(0, 2)] = True
    return usable


def _fit(own: Variances, model: NDArray[np.float64], usable: NDArray[np.bool_]) -> Match:
    """Return which row of `model` `(cutoffs, bands)` has the shape of the slice's own variances, and the factor between them."""
    noise = np.maximum(own - _rounding(), 0.2 * own)
    ratios = np.log(noise[usable]) - np.log(np.maximum(model[:, usable], 1e-30))
    misfit = ratios.std(axis=1)
    # All cut-offs that fit about as well as the best have a say: the best alone jumps with the chance in the bands.
    weights = np.exp(-0.5 * (misfit**2 - misfit.min() ** 2) / CHANCE**2)
    chosen = round(float(weights @ np.arange(misfit.size) / weights.sum()))
    return Match(CUTOFFS[chosen], float(np.exp(ratios[chosen].mean())))


@lru_cache(maxsize=1)
def _powers() -> NDArray[np.float64]:
    """Return the noise power in each band under a Hann kernel of each cut-off, `(cutoffs, bands)`, up to one common factor."""
    frequency = np.linspace(0.0005, 0.5, 1000)
    power = [frequency * passed_by(frequency, cutoff) ** 2 for cutoff in CUTOFFS]
    return np.asarray(power) @ (_passed(frequency) * frequency[:, None])


@lru_cache(maxsize=1)
def _rounding() -> Variances:
    """Return the variance that rounding to whole HU leaves in each band."""
    frequency = np.linspace(0.0005, 0.7, 1000)
    ring = 2 * np.pi * frequency * (frequency[1] - frequency[0])
    return np.asarray(ROUNDING * ring @ _passed(frequency))


def _passed(frequency: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.exp(-(((frequency[:, None] - np.asarray(CENTRES)) / WIDTH) ** 2)))
