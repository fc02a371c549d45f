"""What a PET scanner does to painted activity: it blurs, loses pairs to attenuation, counts them by chance, and reconstructs.

The resolution of the detectors blurs the activity in all three directions; every slice is then projected, attenuated, drawn from
Poisson's law over a flat background of randoms and scatter, and reconstructed by OSEM; a filter in three dimensions follows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from medqa.simulate.anatomy_pet import HALF_LIFE_S, UPTAKE_S
from medqa.simulate.inserts import Ball
from medqa.simulate.shapes import Grid
from medqa.simulate.stack import Progress, Stack, finer, per_pixel
from medqa.volume import Array

COUNTS_PER_KBQ: Final = 1400.0
"""Detected pairs per kBq/ml and ml of a slice, without attenuation: about 6 minutes a bed, or 3 on a sensitive scanner."""
TIME_OF_FLIGHT: Final = 2.5
"""What time of flight is worth in counts in a trunk, about: Karp et al., J Nucl Med 49:462 (2008)."""
RESOLUTION_MM: Final = 4.5
FILTER_MM: Final = 5.0
FWHM: Final = 2.3548
"""Full width at half maximum of a Gaussian, in deviations."""
FINEST_MM: Final = 1.5
"""Activity is painted on pixels not larger than this, and a slice in layers not thicker."""

Paint = Callable[[Grid, float], tuple[Array, Array]]
"""Paints activity in kBq/ml and density as a share of water's at a height."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan(Stack):
    """How a phantom is scanned with PET.

    `counts` is a share of about three minutes a bed; `resolution_mm` and `filter_mm` are the full widths at half maximum of the
    detectors and of the filter after `iterations` over 8 subsets.
    """

    size: int = 128
    spacing_mm: float = 3.0
    counts: float = 1.0
    resolution_mm: float = RESOLUTION_MM
    filter_mm: float = FILTER_MM
    iterations: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of a scanned phantom: counts, what SUV 1 is, and balls of a known SUV; `layout` is what else is known.

    `weight_kg` and `injected_bq` are what the header says, the latter `UPTAKE_S` before the scan.
    """

    kind: str
    counts: float
    resolution_mm: float
    filter_mm: float
    iterations: int
    weight_kg: float
    injected_bq: float
    places: tuple[Ball, ...]
    layout: Mapping[str, Any] = field(default_factory=dict)

    @property
    def bq_per_ml(self) -> float:
        """Activity concentration at the start of the scan that is SUVbw 1, 1 ml counted as 1 g."""
        return left(self.injected_bq) / (self.weight_kg * 1000)

    def to_json(self) -> dict[str, Any]:
        """Return the truth in plain values."""
        return {
            "kind": self.kind,
            "counts": self.counts,
            "resolution_mm": self.resolution_mm,
            "filter_mm": self.filter_mm,
            "iterations": self.iterations,
            "weight_kg": self.weight_kg,
            "injected_bq": self.injected_bq,
            "uptake_s": UPTAKE_S,
            "half_life_s": HALF_LIFE_S,
            "bq_per_ml_of_suv_1": self.bq_per_ml,
            "places": [place.to_json("suv") | {"bq_per_ml": place.value * self.bq_per_ml} for place in self.places],
        } | dict(self.layout)


def left(injected_bq: float) -> float:
    """Return what is left of an activity at the start of the scan."""
    return float(injected_bq * 0.5 ** (UPTAKE_S / HALF_LIFE_S))


def acquire(paint: Paint, grid: Grid, scan: Scan, generator: np.random.Generator, progress: Progress) -> Array:
    """Return the slices in Bq/ml, `(z, y, x)`; `progress` is told how many are reconstructed."""
    from scipy import ndimage

    sigma = scan.resolution_mm / FWHM
    blur = (sigma / grid.spacing_mm, sigma / grid.pixel_mm, sigma / grid.pixel_mm)
    # What lies just beyond the stack is seen in its first and last slices.
    margin = math.ceil(3 * blur[0])
    slices = grid.slices + 2 * margin
    beyond = Grid(slices=slices, size=grid.size, pixel_mm=grid.pixel_mm, spacing_mm=grid.spacing_mm, centre_z_mm=grid.centre_z_mm)
    painted = np.stack([_layers(paint, beyond, float(z)) for z in beyond.heights_mm])
    activity = ndimage.gaussian_filter(painted[:, 0], blur)
    counts = TIME_OF_FLIGHT * scan.counts
    out = np.empty((grid.slices, grid.size, grid.size), dtype=np.float32)
    for index in range(grid.slices):
        there = margin + index
        out[index] = reconstructed(activity[there], painted[there, 1], grid, generator, counts, iterations=scan.iterations)
        progress(index + 1, grid.slices)
    width = scan.filter_mm / FWHM
    smooth = ndimage.gaussian_filter(out, (width / grid.spacing_mm, width / grid.pixel_mm, width / grid.pixel_mm), mode="nearest")
    return np.asarray(smooth * 1000, dtype=np.float32)


def reconstructed(
    activity: Array, density: Array, grid: Grid, generator: np.random.Generator, counts: float, *, iterations: int = 2
) -> Array:
    """Return a slice `(y, x)` of activity in kBq/ml as counts tell of it, without a filter; `density` attenuates, 1 is water."""
    from medqa.simulate.pet import scanner
    from medqa.simulate.projector import beam_for, project

    beam = beam_for(activity.shape, grid.pixel_mm, views=scanner.VIEWS)
    attenuation = np.exp(-scanner.WATER_PER_MM * project(density, beam, grid.pixel_mm))
    lines = project(activity, beam, grid.pixel_mm)
    millilitres = grid.pixel_mm * grid.spacing_mm / 1000  # of a ray, per mm of its length
    survival = np.asarray(attenuation * np.float32(counts * COUNTS_PER_KBQ * millilitres / beam.views), dtype=np.float32)
    true = survival * lines
    background = np.full_like(lines, true.sum() * scanner.BACKGROUND / (1 - scanner.BACKGROUND) / lines.size)
    drawn = generator.poisson(true + background).astype(np.float32)
    return scanner.osem(drawn, background, survival, beam, activity.shape, grid.pixel_mm, iterations=iterations)


def _layers(paint: Paint, grid: Grid, z: float) -> Array:
    """Return activity and density of a slice as thick as slices are apart, `(2, y, x)`."""
    fine, times = finer(grid, FINEST_MM)
    layers = math.ceil(grid.spacing_mm / FINEST_MM - 1e-6)
    depths = ((np.arange(layers) + 0.5) / layers - 0.5) * grid.spacing_mm
    layered = np.stack([np.stack(paint(fine, z + float(depth))) for depth in depths])
    return per_pixel(np.asarray(layered.mean(axis=0), dtype=np.float32), times)
