"""Less dose: quantum noise made in the projections and added to the slice, whose own sharpness stays.

Sources: Yu et al., J Comput Assist Tomogr 36:477 (2012) and Zeng et al., IEEE TNS 62:2226 (2015): the variance of a ray grows with
exp of its path and with one over the dose.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from medqa.simulate.ct.grids import coarse
from medqa.simulate.ct.tissue import deviation, soft_tissue, tissue_noise
from medqa.simulate.degradation import STRENGTHS, Kind, Parameter, Parameters
from medqa.simulate.projector import Beam, beam_for, project, reconstruct
from medqa.volume import Array

WATER_PER_MM: Final = 0.02
"""Attenuation of water at about 65 keV."""
LOWEST_NOISE_HU: Final = 5.0
"""A slice with less noise (thick, smooth) counts as having this much: else 1/16 of its dose would still be a clean image."""
NOISE_VIEWS: Final = 360
MODULATION: Final = 0.5
"""Share of the angular change of attenuation that the tube current follows."""


def paths(array: Array, pixel_mm: float, beam: Beam, *, side: int = 128, views: int = 90) -> Array:
    """Return the attenuation `p` of each ray of `beam`, from a coarse copy of the slice: `(views, detectors)`, no unit."""
    from scipy import ndimage

    water = np.asarray(WATER_PER_MM * np.clip(1 + array / 1000, 0, 3), dtype=np.float32)
    small_image, small_mm = coarse(water, pixel_mm, side)
    small = beam_for(small_image.shape, small_mm, views=views)
    sinogram = project(small_image, small, small_mm)
    # Half a turn on, the same rays come back mirrored: one more view closes the interval for the interpolation between views.
    closed = np.vstack([sinogram, sinogram[:1, ::-1]])
    view = np.arange(beam.views) * (views / beam.views)
    detector = beam.positions_mm / small.spacing_mm + (small.detectors - 1) / 2
    grid = np.meshgrid(view, detector, indexing="ij")
    return np.asarray(ndimage.map_coordinates(closed, grid, order=1, mode="nearest"), dtype=np.float32)


def quantum_noise(array: Array, pixel_mm: float, *, seed: int, cutoff_per_mm: float, modulated: float = MODULATION) -> Array:
    """Return reconstructed quantum noise of the slice, `(y, x)`, at an arbitrary dose: streaky and correlated as in a scan.

    Only noise is filtered and back-projected; it is to be added to the slice, whose own sharpness stays.
    """
    beam = beam_for(array.shape, pixel_mm, views=NOISE_VIEWS)
    path = paths(array, pixel_mm, beam)
    strongest = np.percentile(path, 98, axis=1, keepdims=True)
    deviation = np.exp(0.5 * (path - modulated * (strongest - strongest.mean())))
    noise = np.random.default_rng(seed).standard_normal(path.shape, dtype=np.float32) * deviation.astype(np.float32)
    return reconstruct(noise, beam, array.shape, pixel_mm, cutoff_per_mm=cutoff_per_mm)


def cutoff(generator: np.random.Generator, pixel_mm: float) -> dict[str, float]:
    """Draw the first zero of the Hann window that a reconstruction kernel is imitated by."""
    return {"cutoff_per_mm": float(generator.uniform(0.8, 1.6)) * 0.5 / pixel_mm}


def change(array: Array, parameters: Parameters, pixel_mm: float) -> Array:
    """Return the noise to add so that the slice looks as if taken with a share of its dose."""
    noise = quantum_noise(array, pixel_mm, seed=int(parameters["seed"]), cutoff_per_mm=parameters["cutoff_per_mm"])
    tissue = soft_tissue(array)
    own = max(tissue_noise(array, tissue), LOWEST_NOISE_HU)
    made = tissue_noise(noise, tissue) or deviation(noise, array)
    return noise * np.float32(own / made * np.sqrt(1 / parameters["dose"] - 1))


KIND: Final = Kind(
    modality="CT",
    name="dose",
    summary="Fewer photons: correlated, object-dependent noise added in the projections; sharpness stays.",
    source="Yu et al., J Comput Assist Tomogr 2012;36:477",
    strength=Parameter("dose", "dose as a fraction of the slice's own", "1", 0.01, 1.0),
    levels=STRENGTHS["CT"]["dose"].values,
    others=(Parameter("cutoff_per_mm", "first zero of the kernel's Hann window", "/mm", 0.1, 3.0),),
    draw=cutoff,
    change=change,
)
