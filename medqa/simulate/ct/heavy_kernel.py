"""Over-smoothing by a very soft kernel: above its cut-off nothing is left, noise becomes coarse, edges become wide.

Unlike the Gaussian of `blur` it is a window that a reconstruction has: 1 at the lowest frequencies, then half a cosine down to 0.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from medqa.simulate.degradation import Kind, Parameter, Parameters
from medqa.volume import Array


def draw(generator: np.random.Generator, pixel_mm: float) -> dict[str, float]:
    """Draw up to which share of the half-way frequency the kernel leaves everything."""
    return {"plateau": float(generator.uniform(0.0, 0.4))}


def window(frequency: Array, half_per_mm: float, plateau: float) -> Array:
    """Return the share of the contrast that is left at a frequency: 1, a half at `half_per_mm`, 0 as far beyond as 1 lies below."""
    start = plateau * half_per_mm
    fall = np.clip((frequency - start) / (2 * (half_per_mm - start)), 0, 1)
    return np.asarray(0.5 + 0.5 * np.cos(np.pi * fall), dtype=np.float32)


def change(array: Array, parameters: Parameters, pixel_mm: float) -> Array:
    """Return what the slice differs by once the window has been laid over its frequencies."""
    from scipy import fft

    margin = min(32, *array.shape)
    padded = np.pad(array, margin, mode="reflect" if margin < min(array.shape) else "edge")
    size = tuple(fft.next_fast_len(side, real=True) for side in padded.shape)
    padded = np.pad(padded, [(0, more - side) for more, side in zip(size, padded.shape, strict=True)], mode="edge")
    down, right = fft.fftfreq(size[0], pixel_mm), fft.rfftfreq(size[1], pixel_mm)
    frequency = np.hypot(down[:, None], right[None, :]).astype(np.float32)
    spectrum = fft.rfft2(padded) * window(frequency, parameters["half_per_mm"], parameters["plateau"])
    soft = fft.irfft2(spectrum, size)[margin : margin + array.shape[0], margin : margin + array.shape[1]]
    return np.asarray(soft, dtype=np.float32) - array


KIND: Final = Kind(
    modality="CT",
    name="heavy-kernel",
    summary="Over-smoothing by a very soft kernel: fine detail gone, noise coarse, edges wide.",
    source="Kak and Slaney 1988, chapter 3",
    strength=Parameter("half_per_mm", "frequency at which half of the contrast is left; less is softer", "/mm", 0.02, 2.0),
    levels=(0.36, 0.26, 0.18, 0.12),
    others=(Parameter("plateau", "share of that frequency up to which everything is left", "1", 0.0, 0.9),),
    draw=draw,
    change=change,
)
