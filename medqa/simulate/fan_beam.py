"""A fan-beam scanner: projection and filtered back-projection over a whole turn or a short scan.

Geometry: the tube turns about the middle of the image at `source_mm` from it. At view angle `b` the middle ray is the parallel ray
of that angle; the ray at the angle `g` of the fan is the parallel ray of the angle `b - g` at the distance `source_mm sin g` from
the axis. Channels are `spacing_mm` apart as seen at the axis: at equal angles (a curved detector, as in clinical CT) or at equal
distances (a flat one).

Sources: Kak and Slaney, Principles of Computerized Tomographic Imaging (1988), section 3.4; Parker, Med Phys 9:254 (1982), for the
weights of a short scan.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medqa.simulate.projector import convolved, filter_length, line_integrals, ramp_response
from medqa.volume import Array


@dataclass(frozen=True, slots=True, kw_only=True)
class FanBeam:
    """A fan of `detectors` rays from each of `views` places of the tube, over a turn or, if `short`, half a turn and the fan.

    `spacing_mm` is measured at the axis, `source_mm` is the distance of the tube from it. `flat` tells a flat detector from a
    curved one.
    """

    views: int
    detectors: int
    spacing_mm: float
    source_mm: float = 570.0
    flat: bool = False
    short: bool = False

    @property
    def fan_angles(self) -> NDArray[np.float64]:
        """Angles of the rays to the middle one in radians, `(detectors,)`."""
        place = (np.arange(self.detectors) - (self.detectors - 1) / 2) * (self.spacing_mm / self.source_mm)
        return np.asarray(np.arctan(place) if self.flat else place, dtype=np.float64)

    @property
    def turn_rad(self) -> float:
        """The angle that the tube travels."""
        return np.pi + 2 * float(self.fan_angles[-1]) if self.short else 2 * np.pi

    @property
    def angles(self) -> NDArray[np.float64]:
        """Angles of the views in radians, `(views,)`."""
        return np.asarray((np.arange(self.views) + 0.5 * self.short) * (self.turn_rad / self.views), dtype=np.float64)


def fan_for(
    shape: tuple[int, ...],
    pixel_mm: float,
    *,
    views: int,
    spacing_mm: float | None = None,
    source_mm: float = 570.0,
    flat: bool = False,
    short: bool = False,
) -> FanBeam:
    """Return a fan that sees the whole of an image; the rays are a pixel apart at the axis unless told otherwise.

    Raises
    ------
    ValueError
        Where the tube would turn inside the image.
    """
    spacing = spacing_mm or pixel_mm
    reach = math.hypot(*shape) / 2 * pixel_mm
    if reach >= source_mm:
        raise ValueError(f"the tube turns at {source_mm:g} mm, inside an image that reaches {reach:g} mm")
    edge = math.asin(reach / source_mm)
    half = source_mm * (math.tan(edge) if flat else edge) / spacing
    return FanBeam(views=views, detectors=2 * math.ceil(half) + 3, spacing_mm=spacing, source_mm=source_mm, flat=flat, short=short)


def project(image: Array, beam: FanBeam, pixel_mm: float) -> Array:
    """Return line integrals `(views, detectors)` of an image `(y, x)`, in the image's unit times millimetres."""
    source = np.ascontiguousarray(image, dtype=np.float32)
    across = beam.source_mm * np.sin(beam.fan_angles)[:, None] / pixel_mm
    out = np.empty((beam.views, beam.detectors), dtype=np.float32)
    for view, angle in enumerate(beam.angles):
        normal = angle - beam.fan_angles[:, None]
        out[view] = line_integrals(source, across, np.cos(normal), np.sin(normal)) * pixel_mm
    return out


def redundancy(beam: FanBeam) -> NDArray[np.float64]:
    """Return the share that each ray has among those that see the same line, `(views, detectors)`.

    Over a whole turn every line is seen twice: a half. Over a short scan some are seen once: Parker's weights fade between.
    """
    fan, view = np.meshgrid(beam.fan_angles, beam.angles)
    if not beam.short:
        return np.full(view.shape, 0.5)
    edge = beam.fan_angles[-1]
    # The line of (view, fan) is also that of (view + pi - 2 fan, -fan): seen twice where that is still within the scan.
    first, last = 2 * (edge + fan), 2 * (edge - fan)
    with np.errstate(divide="ignore", invalid="ignore"):
        rising = np.sin(np.pi / 2 * np.clip(view / first, 0, 1)) ** 2
        falling = np.sin(np.pi / 2 * np.clip((np.pi + 2 * edge - view) / last, 0, 1)) ** 2
    return np.asarray(np.nan_to_num(np.minimum(rising, falling), nan=1.0), dtype=np.float64)


def filtered(sinogram: Array, beam: FanBeam, *, kernel: str | None = None, cutoff_per_mm: float | None = None) -> Array:
    """Return the weighted sinogram under the fan's ramp and a kernel; the cut-off is meant at the axis."""
    weights = redundancy(beam) * np.cos(beam.fan_angles)
    pitch = 0.0 if beam.flat else beam.spacing_mm / beam.source_mm
    response = ramp_response(filter_length(beam.detectors), beam.spacing_mm, kernel, cutoff_per_mm, pitch)
    return convolved((sinogram * weights).astype(np.float32), response)


def back_project(sinogram: Array, beam: FanBeam, shape: tuple[int, ...], pixel_mm: float) -> Array:
    """Return the sum over views `(y, x)`, each weighted by the inverse square of the distance from the tube."""
    rows, columns = shape
    x = ((np.arange(columns) - (columns - 1) / 2) * (pixel_mm / beam.source_mm)).astype(np.float32)[None, :]
    y = ((np.arange(rows) - (rows - 1) / 2) * (pixel_mm / beam.source_mm)).astype(np.float32)[:, None]
    per_channel = np.float32(beam.source_mm / beam.spacing_mm)
    centre = np.float32((beam.detectors - 1) / 2)
    channels = np.arange(beam.detectors, dtype=np.float32)
    out = np.zeros(shape, dtype=np.float32)
    for view, angle in enumerate(beam.angles):
        cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
        across, ahead = x * cosine + y * sine, 1 + (y * cosine - x * sine)
        weight = 1 / (ahead * ahead) if beam.flat else 1 / (across * across + ahead * ahead)
        place = across / ahead if beam.flat else np.arctan2(across, ahead)
        out += np.interp(place * per_channel + centre, channels, sinogram[view]).astype(np.float32) * weight
    out *= np.float32(beam.turn_rad / beam.views)
    return out


def reconstruct(
    sinogram: Array,
    beam: FanBeam,
    shape: tuple[int, ...],
    pixel_mm: float,
    *,
    kernel: str | None = None,
    cutoff_per_mm: float | None = None,
) -> Array:
    """Return the filtered back-projection `(y, x)` of a fan's line integrals: the inverse of `project` up to the kernel."""
    return back_project(filtered(sinogram, beam, kernel=kernel, cutoff_per_mm=cutoff_per_mm), beam, shape, pixel_mm)
