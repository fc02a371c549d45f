"""What a scanner does to a painted slice: its kernel takes sharpness, its photons leave noise.

One Hann window stands for the kernel, in the image as in the noise: filtered back-projection with it has the window as its
modulation transfer function. The cut-off ends at the Nyquist frequency of the pixels, so that nothing is aliased. The variance of
noise is the integral of f^2 H(f)^2: its deviation grows with the 1.5th power of the cut-off, and with one over the root of dose and
slice thickness.

Source: Kak and Slaney, Principles of Computerized Tomographic Imaging (1988), chapters 3 and 5.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from medqa.simulate.inserts import Insert, LinePairs
from medqa.simulate.kernels import window
from medqa.simulate.shapes import Grid
from medqa.simulate.stack import Stack, finer
from medqa.volume import Array

SOFT_PER_MM: Final = 0.8
"""Cut-off of a kernel for soft tissue: half the contrast is left at 4 line pairs per cm, a tenth at 6.4."""
SHARP_PER_MM: Final = 1.6
"""Cut-off of a kernel for bone: a tenth of the contrast is left at 12.7 line pairs per cm."""
REFERENCE_MM: Final = 5.0
"""Slice thickness to which a phantom's noise at full dose refers."""
TISSUE_HU: Final = (-150.0, 250.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan(Stack):
    """How a phantom is scanned with CT.

    `dose` is a share of a full one; `cutoff_per_mm` is the first zero of the kernel's window. Noise is computed from the
    projections of `realisations` slices; each of the others gets a random unit combination of the nearest ones, which has the same
    spectrum.
    """

    size: int = 512
    spacing_mm: float = REFERENCE_MM
    dose: float = 1.0
    cutoff_per_mm: float = SOFT_PER_MM
    realisations: int = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of a scanned phantom: kind, dose, kernel, noise and every test object in it.

    `noise_hu` is the root mean square over the soft tissue: without a bow-tie filter there is more in the middle than at the rim.
    """

    kind: str
    dose: float
    cutoff_per_mm: float
    noise_hu: float
    inserts: tuple[Insert, ...] = ()
    patterns: tuple[LinePairs, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the truth in plain values."""
        return {
            "kind": self.kind,
            "dose": self.dose,
            "cutoff_per_mm": self.cutoff_per_mm,
            "noise_hu": self.noise_hu,
            "inserts": [one.to_json() for one in self.inserts],
            "line_pairs": [one.to_json() for one in self.patterns],
        }


def carried(cutoff_per_mm: float, pixel_mm: float) -> float:
    """Return the cut-off that pixels of this size can carry."""
    return min(cutoff_per_mm, 0.5 / pixel_mm)


def expected_noise_hu(full_hu: float, scan: Scan, grid: Grid) -> float:
    """Return the deviation of noise where it is `full_hu` at full dose, `REFERENCE_MM` thick, with the soft kernel."""
    kernel = (carried(scan.cutoff_per_mm, grid.pixel_mm) / SOFT_PER_MM) ** 1.5
    return float(full_hu * kernel * math.sqrt(REFERENCE_MM / grid.spacing_mm / scan.dose))


def under_kernel(image: Array, fine: Grid, times: int, cutoff_per_mm: float) -> Array:
    """Return a slice painted on a finer grid as the kernel shows it on the pixels, `(y, x)`.

    Painting averages over the finer pixels; that aperture is taken out again.
    """
    from scipy import fft

    down, across = fft.fftfreq(fine.size, fine.pixel_mm), fft.rfftfreq(fine.size, fine.pixel_mm)
    response = window("hann", np.hypot(down[:, None], across[None, :]), carried(cutoff_per_mm, fine.pixel_mm * times))
    response /= np.sinc(down * fine.pixel_mm)[:, None] * np.sinc(across * fine.pixel_mm)
    shown = fft.irfft2(fft.rfft2(image) * response.astype(np.float32), s=image.shape)
    return np.ascontiguousarray(shown[times // 2 :: times, times // 2 :: times], dtype=np.float32)


def unit_noise(clean: Array, grid: Grid, generator: np.random.Generator, scan: Scan) -> Array:
    """Return noise `(z, y, x)` whose root mean square over the soft tissue of the slices is 1, or over all where there is none."""
    from medqa.simulate.ct.dose import quantum_noise

    cutoff = carried(scan.cutoff_per_mm, grid.pixel_mm)
    chosen = np.unique(np.linspace(0, grid.slices - 1, max(1, min(scan.realisations, grid.slices))).round().astype(int))
    made = np.stack(
        [quantum_noise(clean[z], grid.pixel_mm, seed=int(generator.integers(2**31)), cutoff_per_mm=cutoff) for z in chosen]
    )
    tissue = (clean[chosen] > TISSUE_HU[0]) & (clean[chosen] < TISSUE_HU[1])
    square = np.square(made, dtype=np.float64)
    made /= np.float32(math.sqrt(square[tissue].mean() if tissue.any() else square.mean()))
    return combined(made, chosen, grid.slices, generator)


def combined(made: Array, chosen: NDArray[np.int_], slices: int, generator: np.random.Generator) -> Array:
    """Return noise for every slice: unit combinations of the three realisations `made` of the nearest `chosen` slices."""
    if len(chosen) == slices:
        return made
    out = np.empty((slices, *made.shape[1:]), dtype=np.float32)
    for z in range(slices):
        near = np.argsort(np.abs(chosen - z), kind="stable")[:3]
        weights = generator.standard_normal(near.size)
        weights /= np.linalg.norm(weights)
        out[z] = np.tensordot(weights.astype(np.float32), made[near], axes=1)
    return out


def acquire(clean: Array, grid: Grid, scan: Scan, generator: np.random.Generator, noise_hu: float) -> Array:
    """Return the slices with noise of a deviation, in HU."""
    return np.maximum(clean + np.float32(noise_hu) * unit_noise(clean, grid, generator, scan), np.float32(-1024))


def painted(paint: Callable[[Grid, float], Array], grid: Grid, scan: Scan, finest_mm: float) -> Array:
    """Return every slice, painted on a grid of at most `finest_mm` and shown by the kernel, without noise, `(z, y, x)`."""
    fine, times = finer(grid, finest_mm)
    return np.stack([under_kernel(paint(fine, float(z)), fine, times, scan.cutoff_per_mm) for z in grid.heights_mm])
