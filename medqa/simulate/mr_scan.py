"""What an MR scanner does to a painted slice: k-space ends where the matrix ends, coils see the near better, channels are noisy.

The image is the inverse transform of the centre of k-space under a mild window; noise is white on both channels of k-space, under
the same window, and the magnitude is taken at the very end: Rician where there is signal, Rayleigh in air.

Source: Gudbjartsson and Patz, MRM 34:910 (1995).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from medqa.simulate.anatomy_mr import receive_profile
from medqa.simulate.mr_tissues import Label, Weighting
from medqa.simulate.shapes import Grid
from medqa.simulate.stack import Stack
from medqa.volume import Array

THICKEST_MM: Final = 5.0
TAPER: Final = 0.2
"""Over this last share of k-space the window falls to 0: scanners do so against ringing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan(Stack):
    """How a phantom is scanned with MR.

    `snr` is the signal of white matter, or of the fluid, over the deviation of one channel; `coil` is how uneven the coil's
    sensitivity is, as a share of a head coil's: 0 is even. Slices are `thickness_mm` thick, and at most as thick as they are apart.
    """

    size: int = 256
    spacing_mm: float = 5.0
    thickness_mm: float = THICKEST_MM
    weighting: str = "t1"
    snr: float = 50.0
    coil: float = 1.0
    taper: float = TAPER

    @property
    def thick_mm(self) -> float:
        """Thickness of a slice."""
        return min(self.thickness_mm, self.spacing_mm)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Known:
    """What is known of a scanned phantom: sequence, noise, coil, the signal of each part, and the class of every pixel.

    `noise` is the deviation of one channel; `labels` `(z, y, x)` are those of `mr_tissues.Label`, `volumes_ml` what each takes in
    the stack, counted in shares of pixels; `layout` are the test objects.
    """

    kind: str
    weighting: Weighting
    thickness_mm: float
    snr: float
    noise: float
    coil: float
    taper: float
    signals: Mapping[str, float]
    labels: NDArray[np.uint8] | None = None
    volumes_ml: Mapping[str, float] = field(default_factory=dict)
    layout: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the truth in plain values; labels are an image of their own."""
        told: dict[str, Any] = {
            "kind": self.kind,
            "weighting": self.weighting.name,
            "thickness_mm": self.thickness_mm,
            "snr": self.snr,
            "noise": self.noise,
            "coil": self.coil,
            "taper": self.taper,
            "signals": {name: round(value, 3) for name, value in self.signals.items()},
        }
        if self.labels is not None:
            told["labels"] = {label.name.lower(): int(label) for label in Label}
            told["volumes_ml"] = {name: round(value, 3) for name, value in self.volumes_ml.items()}
        return told | dict(self.layout)


def window(grid: Grid, times: int, taper: float) -> Array:
    """Return the weight of k-space as `rfft2` has it: none beyond what a pixel of `times` grid pixels can carry."""
    from scipy import fft

    # A whole pixel's Nyquist frequency is left out: it has no partner on the other side.
    shares = (np.abs(axis) * 2 * times for axis in (fft.fftfreq(grid.size), fft.rfftfreq(grid.size)))
    down, across = (
        np.where(share < 1, 0.5 + 0.5 * np.cos(np.pi * np.clip((share - 1 + taper) / max(taper, 1e-6), 0, 1)), 0)
        for share in shares
    )
    return np.asarray(down[:, None] * across[None, :], dtype=np.float32)


def sampled(image: Array, fine: Grid, times: int, taper: float) -> Array:
    """Return a slice painted on a finer grid as the centre of its k-space shows it on the pixels, `(y, x)`.

    Painting averages over the finer pixels; that aperture is taken out again.
    """
    from scipy import fft

    response = window(fine, times, taper)
    response /= np.sinc(fft.fftfreq(fine.size))[:, None] * np.sinc(fft.rfftfreq(fine.size))
    shown = fft.irfft2(fft.rfft2(image) * response, s=image.shape)
    return np.ascontiguousarray(shown[times // 2 :: times, times // 2 :: times], dtype=np.float32)


def sensitivity(grid: Grid, scan: Scan, generator: np.random.Generator) -> Array:
    """Return how well the coil sees each voxel, `(z, y, x)`, about 1 in the middle."""
    return 1 + np.float32(scan.coil) * (receive_profile(grid, generator) - 1)


def received(clean: Array, grid: Grid, scan: Scan, noise: float, generator: np.random.Generator) -> Array:
    """Return the magnitude of a slice `(y, x)` with noise of a deviation on each of two channels."""
    from scipy import fft

    weight = window(grid, 1, scan.taper)
    white = generator.standard_normal((2, *clean.shape), dtype=np.float32)
    channels = fft.irfft2(fft.rfft2(white) * weight, s=clean.shape)
    # Its power is the mean over the whole of k-space, of which `rfft2` keeps one half.
    full = np.concatenate([weight, weight[:, 1 : clean.shape[1] - weight.shape[1] + 1]], axis=1)
    channels *= np.float32(noise / np.sqrt(np.mean(np.square(full, dtype=np.float64))))
    return np.asarray(np.hypot(clean + channels[0], channels[1]), dtype=np.float32)
