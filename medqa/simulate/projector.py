"""A parallel-beam projector and filtered back-projection, small and fast enough to make correlated noise on one core.

Geometry: an image `(y, x)` with square pixels lies centred on the axis of rotation; view `k` of `n` looks at the angle
`k * pi / n`; detector `d` sees the ray at the distance `(d - (detectors - 1) / 2) * spacing` from the axis.

Sources: Kak and Slaney, Principles of Computerized Tomographic Imaging (1988), chapter 3; Joseph, IEEE TMI 1:192 (1982) for the
interpolation along rays.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medqa.simulate.kernels import window
from medqa.volume import Array

Direction = float | np.floating[Any] | NDArray[np.float64]
"""A cosine or sine: one for all rays, or one for each, `(rays, 1)`."""

OVERSAMPLING = 8
"""Filtered views are interpolated linearly to this many values a detector and then looked up: exact enough, and 5 × faster."""


JUST_ABOVE = 1 + 1e-9
"""A kernel without a cut-off ends just above half a cycle a channel, so that the bare ramp lets that frequency through."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beam:
    """Parallel rays over half a turn: `views` angles, `detectors` channels, `spacing_mm` apart."""

    views: int
    detectors: int
    spacing_mm: float

    @property
    def angles(self) -> NDArray[np.float64]:
        """Angles of the views in radians, `(views,)`."""
        return np.asarray(np.arange(self.views) * (np.pi / self.views), dtype=np.float64)

    @property
    def positions_mm(self) -> NDArray[np.float64]:
        """Distances of the rays from the axis, `(detectors,)`."""
        return np.asarray((np.arange(self.detectors) - (self.detectors - 1) / 2) * self.spacing_mm, dtype=np.float64)


def beam_for(shape: tuple[int, ...], pixel_mm: float, *, views: int, spacing_mm: float | None = None) -> Beam:
    """Return a beam that sees the whole of an image; the rays are a pixel apart unless told otherwise."""
    spacing = spacing_mm or pixel_mm
    diagonal = math.hypot(*shape) * pixel_mm
    return Beam(views=views, detectors=int(np.ceil(diagonal / spacing)) + 3, spacing_mm=spacing)


def project(image: Array, beam: Beam, pixel_mm: float, *, angles: NDArray[np.float64] | None = None) -> Array:
    """Return line integrals `(views, detectors)` of an image `(y, x)`, in the image's unit times millimetres.

    Rays are sampled a pixel apart, with bilinear interpolation; outside the image there is nothing. `angles` picks other views than
    the beam's own.
    """
    across = beam.positions_mm[:, None] / pixel_mm
    looked = beam.angles if angles is None else angles
    source = np.ascontiguousarray(image, dtype=np.float32)
    out = np.empty((looked.size, beam.detectors), dtype=np.float32)
    for view, angle in enumerate(looked):
        out[view] = line_integrals(source, across, np.cos(angle), np.sin(angle)) * pixel_mm
    return out


def line_integrals(image: Array, across: NDArray[np.float64], cosine: Direction, sine: Direction) -> NDArray[np.float32]:
    """Return sums along rays `across` pixels off the centre, `(rays, 1)`, whose normals point along `(cosine, sine)` in x and y."""
    from scipy import ndimage

    rows, columns = image.shape
    half = np.hypot(rows, columns) / 2
    along = np.arange(-np.ceil(half), np.ceil(half) + 1)
    x = across * cosine - along * sine + (columns - 1) / 2
    y = across * sine + along * cosine + (rows - 1) / 2
    samples = ndimage.map_coordinates(image, (y, x), order=1, mode="constant", cval=0.0, prefilter=False)
    return np.asarray(samples.sum(axis=1), dtype=np.float32)


@lru_cache(maxsize=64)
def ramp_response(
    length: int, spacing_mm: float, kernel: str | None = None, cutoff_per_mm: float | None = None, pitch_rad: float = 0.0
) -> NDArray[np.float64]:
    """Return the frequency response of the band-limited ramp (Kak and Slaney eq. 61) under a kernel's window, `(length // 2 + 1,)`.

    Without a kernel the window is Hann's where a cut-off is given, and none where not. A kernel without a cut-off ends at half a
    cycle a channel. Channels at equal angles, `pitch_rad` apart, need the ramp over sin instead of over the angle (eq. 93).
    """
    # Rounded: 1 / length has no exact value, and the index must be whole, or no tap counts as odd and the ramp is flat (1458 taps).
    index = np.fft.fftfreq(length, 1 / length).round()
    taps = np.zeros(length)
    taps[0] = 0.25
    odd = index % 2 == 1
    taps[odd] = -1 / (np.pi * index[odd]) ** 2
    if pitch_rad:
        # Beyond a quarter of a turn there is no channel; the guard keeps sin from 0.
        angle = np.minimum(np.abs(index[odd]) * pitch_rad, np.pi / 2)
        taps[odd] *= (angle / np.sin(angle)) ** 2
    response: NDArray[np.float64] = np.real(np.fft.rfft(taps / spacing_mm**2)) * spacing_mm
    if kernel is None and cutoff_per_mm is not None:
        kernel = "hann"
    if kernel is not None:
        frequency = np.asarray(np.fft.rfftfreq(length, spacing_mm), dtype=np.float64)
        response = response * window(kernel, frequency, cutoff_per_mm or JUST_ABOVE * 0.5 / spacing_mm)
    return response


def filtered(sinogram: Array, beam: Beam, *, kernel: str | None = None, cutoff_per_mm: float | None = None) -> Array:
    """Return the sinogram under the ramp and a kernel of `medqa.simulate.kernels`; a cut-off alone means Hann's."""
    return convolved(sinogram, ramp_response(filter_length(beam.detectors), beam.spacing_mm, kernel, cutoff_per_mm))


def filter_length(detectors: int) -> int:
    """Return the number of taps with which views of so many channels are filtered without wrapping around."""
    from scipy import fft

    return int(fft.next_fast_len(2 * detectors, real=True))


def convolved(sinogram: Array, response: NDArray[np.float64]) -> Array:
    """Return each view `(views, detectors)` under a frequency response of `filter_length` taps."""
    from scipy import fft

    detectors = sinogram.shape[1]
    length = filter_length(detectors)
    spectrum = fft.rfft(sinogram, length, axis=1)
    spectrum *= response
    return np.asarray(fft.irfft(spectrum, length, axis=1)[:, :detectors], dtype=np.float32)


def back_project(
    sinogram: Array, beam: Beam, shape: tuple[int, ...], pixel_mm: float, *, angles: NDArray[np.float64] | None = None
) -> Array:
    """Return the adjoint-like sum over views, `(y, x)`, each view weighted by its share of half a turn."""
    rows, columns = shape
    fine = (beam.detectors - 1) * OVERSAMPLING + 1
    old = np.arange(beam.detectors)
    new = np.arange(fine) / OVERSAMPLING
    x = ((np.arange(columns) - (columns - 1) / 2) * (pixel_mm / beam.spacing_mm * OVERSAMPLING)).astype(np.float32)
    y = ((np.arange(rows) - (rows - 1) / 2) * (pixel_mm / beam.spacing_mm * OVERSAMPLING)).astype(np.float32)
    centre = np.float32((beam.detectors - 1) / 2 * OVERSAMPLING + 0.5)
    out = np.zeros(shape, dtype=np.float32)
    looked = beam.angles if angles is None else angles
    for view, angle in enumerate(looked):
        line = np.interp(new, old, sinogram[view]).astype(np.float32)
        index = (x * np.float32(np.cos(angle)) + centre)[None, :] + (y * np.float32(np.sin(angle)))[:, None]
        out += line.take(index.astype(np.int32), mode="clip")
    out *= np.float32(np.pi / looked.size)
    return out


def reconstruct(
    sinogram: Array,
    beam: Beam,
    shape: tuple[int, ...],
    pixel_mm: float,
    *,
    kernel: str | None = None,
    cutoff_per_mm: float | None = None,
) -> Array:
    """Return the filtered back-projection `(y, x)` of line integrals: the inverse of `project` up to the kernel."""
    return back_project(filtered(sinogram, beam, kernel=kernel, cutoff_per_mm=cutoff_per_mm), beam, shape, pixel_mm)
