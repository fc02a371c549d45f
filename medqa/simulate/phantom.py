"""Phantoms that look like anatomy: a CT of the upper abdomen and chest, a T1-weighted MR of the head, a PET of the trunk.

Values are physical (HU, Bq/ml; MR in arbitrary units), noise is made where the scanner makes it: in the projections of CT and PET,
on the two channels of MR. Every draw comes from the generator that is passed: the same seed gives the same patient. They are made
for demonstrations, tests and benchmarks; no network is to be trained on them alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from medqa.simulate import anatomy_ct, anatomy_mr, anatomy_pet, ct_scan, mr_scan, pet_scan
from medqa.simulate.ct_scan import combined
from medqa.simulate.shapes import Grid
from medqa.volume import Array

PHANTOM: Final = "PHANTOM"
"""Body part of what is none."""
CT_NOISE_HU: Final = 11.0
"""Noise in the abdomen of a scan at full dose, 5 mm slices, soft kernel."""
CT_CUTOFF: Final = 0.95
"""First zero of the kernel's window as a share of the Nyquist frequency."""
CT_REALISATIONS: Final = 8
MR_NOISE: Final = 0.018
"""Noise of either channel as a share of the signal of white matter."""
PET_FILTER_MM: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Phantom:
    """Slices from the feet up, `(z, y, x)` float32, in HU, arbitrary units or Bq/ml; `known` is what was put into it.

    `ct_phantoms`, `mr_phantoms` and `pet_phantoms` tell that, each as its own `Known`.
    """

    modality: str
    array: Array
    grid: Grid
    known: ct_scan.Known | mr_scan.Known | pet_scan.Known | None = None


def ct(
    generator: np.random.Generator,
    *,
    slices: int = 32,
    size: int = 512,
    spacing_mm: float = 5.0,
    dose: float = 1.0,
    realisations: int = CT_REALISATIONS,
) -> Phantom:
    """Return an upper abdomen with the lung bases, in the portal phase, on its table; in HU.

    Parameters
    ----------
    generator
        Decides body habitus, vessels, bowel gas and noise.
    slices, size, spacing_mm
        Number of slices, rows and columns; distance of slices.
    dose
        As a share of a full one; noise grows with one over its root.
    realisations
        How many slices have noise computed from their own projections; each of the others gets a random unit combination of the
        nearest ones, which has the same spectrum and a deviation that its neighbours have.
    """
    from scipy import ndimage

    grid = Grid(slices=slices, size=size, pixel_mm=420.0 / size, spacing_mm=spacing_mm)
    patient = anatomy_ct.draw(generator)
    clean = np.empty((slices, size, size), dtype=np.float32)
    for index, z in enumerate(grid.heights_mm):
        image = anatomy_ct.paint_slice(patient, grid, float(z), generator)
        clean[index] = ndimage.gaussian_filter(image, 0.55 / grid.pixel_mm)
    noise = _ct_noise(clean, grid, generator, realisations)
    scale = np.float32(CT_NOISE_HU / np.sqrt(dose))
    array = np.maximum(clean + scale * noise, -1024)
    return Phantom(modality="CT", array=array, grid=grid)


def mr(
    generator: np.random.Generator, *, slices: int = 28, size: int = 256, spacing_mm: float = 5.0, noise: float = MR_NOISE
) -> Phantom:
    """Return a T1-weighted head, axial, arbitrary units; `noise` is the deviation of a channel relative to white matter."""
    from scipy import ndimage

    grid = Grid(slices=slices, size=size, pixel_mm=240.0 / size, spacing_mm=spacing_mm, centre_z_mm=12.0)
    clean = anatomy_mr.head(grid, generator)
    sharp = ndimage.gaussian_filter(clean, (0, 0.45 / grid.pixel_mm, 0.45 / grid.pixel_mm))
    sharp *= anatomy_mr.receive_profile(grid, generator)
    deviation = np.float32(noise * anatomy_mr.WHITE_MATTER)
    channels = generator.standard_normal((2, *sharp.shape), dtype=np.float32) * deviation
    return Phantom(modality="MR", array=np.hypot(sharp + channels[0], channels[1]), grid=grid)


def pet(
    generator: np.random.Generator, *, slices: int = 80, size: int = 128, spacing_mm: float = 11.0, counts: float = 1.0
) -> Phantom:
    """Return an FDG PET from the thighs to the skull, in Bq/ml.

    Each slice is projected, attenuated, drawn from Poisson's law and reconstructed by OSEM with a Gaussian filter.

    Parameters
    ----------
    generator
        Decides body habitus, uptake and counts.
    slices, size, spacing_mm
        Number of slices, rows and columns; distance of slices.
    counts
        As a share of a scan of about three minutes a bed.
    """
    grid = Grid(slices=slices, size=size, pixel_mm=640.0 / size, spacing_mm=spacing_mm, centre_z_mm=55.0)
    patient = anatomy_pet.draw(generator)
    array = np.stack([anatomy_pet.paint_slice(patient, grid, float(z)) for z in grid.heights_mm])
    for image in array:
        image[:] = _pet_scan(image, grid, generator, counts)
    return Phantom(modality="PT", array=array, grid=grid)


def _ct_noise(clean: Array, grid: Grid, generator: np.random.Generator, realisations: int) -> Array:
    """Return noise `(z, y, x)` at the level that has a deviation of 1 in the soft tissue of the middle slice."""
    from medqa.simulate.ct import quantum_noise, soft_tissue, tissue_noise

    cutoff = CT_CUTOFF * 0.5 / grid.pixel_mm
    chosen = np.unique(np.linspace(0, grid.slices - 1, min(realisations, grid.slices)).round().astype(int))
    made = np.stack(
        [quantum_noise(clean[z], grid.pixel_mm, seed=int(generator.integers(2**31)), cutoff_per_mm=cutoff) for z in chosen]
    )
    middle = len(chosen) // 2
    unit = tissue_noise(made[middle], soft_tissue(clean[chosen[middle]])) or float(made[middle].std())
    made /= np.float32(unit)
    return combined(made, chosen, grid.slices, generator)


def _pet_scan(activity: Array, grid: Grid, generator: np.random.Generator, counts: float) -> Array:
    from scipy import ndimage

    body = ndimage.binary_fill_holes(activity > 0).astype(np.float32)
    image = pet_scan.reconstructed(activity / np.float32(1000), body, grid, generator, counts)
    return np.asarray(ndimage.gaussian_filter(image, PET_FILTER_MM / 2.3548 / grid.pixel_mm) * 1000, dtype=np.float32)
