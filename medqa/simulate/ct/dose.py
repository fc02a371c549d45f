"""Less dose: noise made in the projections and added to the slice, whose own sharpness stays.

A ray that `N` photons enter and `N exp(-p)` leave has the variance `exp(p) / N (1 + Ne exp(p) / N)`: quantum noise, and electronic
noise that is worth `Ne` photons squared. To go from the whole dose to the fraction `a` of it, noise of the variance

    (1 - a) / a  exp(p) / N  [1 + (1 + a) / a  Ne exp(p) / N]

is added (Yu et al.). `p` is the water-equivalent path and what the bow-tie takes away; tube current modulation moves `N`.

The slice itself tells the scale: its own noise is measured (`own_noise`), both the kernel's cut-off and the level, and the noise
added is as much stronger as the formula says. Only the ratio `Ne exp(p) / N` needs a number from outside: how many photons of a
reading come through the thickest way. Exposure control keeps that about the same from patient to patient.

What changed, on purpose, after the first networks were trained: the level came from the deviation of all frequencies together,
which took texture for noise; the kernel was drawn by chance; there was neither electronic noise nor a bow-tie; and the ramp was
flat for slices of 507 to 513 pixels. A plan from then gives another image now.

Sources: Yu et al., J Comput Assist Tomogr 36:477 (2012); Zeng et al., IEEE TNS 62:2226 (2015).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from medqa.simulate.ct import own_noise
from medqa.simulate.ct.grids import coarse, fine
from medqa.simulate.ct.tissue import body, deviation, soft_tissue, tissue_noise
from medqa.simulate.degradation import STRENGTHS, Kind, Parameter, Parameters
from medqa.simulate.projector import Beam, back_project, beam_for, project, reconstruct
from medqa.volume import Array

WATER_PER_MM: Final = 0.02
"""Attenuation of water at about 65 keV."""
LOWEST_NOISE_HU: Final = 5.0
"""A slice with less noise (thick, smooth) counts as having this much: else 1/16 of its dose would still be a clean image."""
NOISE_VIEWS: Final = 360
MODULATION: Final = 0.5
"""Share of the angular change of attenuation that the tube current follows."""
CHANNELS: Final = 3
"""Channels a pixel for the noise to be added: wider ones beat with the pixels and leave bands along the rows and columns."""
HIGHEST: Final = 0.6
"""Highest frequency of the noise in cycles per pixel: what is above half a cycle folds back, as in a scan."""
THICKEST: Final = 98
"""Percentile of a view's rays that counts as its thickest way."""
USUAL_CUTOFF: Final = 0.6
"""Cut-off in cycles per pixel, that of a soft kernel, for a slice in which none can be measured."""
BOWTIE_REACH_MM: Final = 250.0
MAP_SIDE: Final = 64
"""The expected deviation changes slowly over the slice: it is worked out on about so many pixels a side."""

OTHERS: Final = (
    Parameter("cutoff_per_mm", "first zero of the kernel's Hann window; 0: that of the slice's own noise", "/mm", 0.0, 3.0),
    Parameter("electronic_photons", "photons squared of a reading that electronic noise is worth as a variance", "1", 0.0, 500.0),
    Parameter("detected_photons", "photons of a reading that come through the thickest way at the slice's own dose", "1", 1.0, 1e7),
    Parameter("bowtie", "attenuation of the bow-tie filter 250 mm off the axis, growing as the square", "1", 0.0, 5.0),
    Parameter("water_per_mm", "attenuation of water", "/mm", 0.015, 0.03),
)
DEFAULTS: Final[Mapping[str, float]] = {
    "cutoff_per_mm": 0.0,
    # A reading of 1e5 photons through the 32 cm of the dosimetry phantom, 1e5 exp(-0.02 * 325), and what integrating detectors add.
    "electronic_photons": 10.0,
    "detected_photons": 150.0,
    # A seventh of the photons is left at the edge of a fan of 50 cm, half of them at 15 cm from the axis.
    "bowtie": 1.9,
    "water_per_mm": WATER_PER_MM,
}


class Rays(NamedTuple):
    """Variances of the rays `(views, detectors)`: those of the slice's own noise and those of what is added, in one unit."""

    own: Array
    added: Array


def paths(
    array: Array, pixel_mm: float, beam: Beam, *, side: int = 128, views: int = 90, water_per_mm: float = WATER_PER_MM
) -> Array:
    """Return the attenuation `p` of each ray of `beam`, from a coarse copy of the slice: `(views, detectors)`, no unit."""
    from scipy import ndimage

    water = np.asarray(water_per_mm * np.clip(1 + array / 1000, 0, 3), dtype=np.float32)
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


def draw(generator: np.random.Generator, pixel_mm: float) -> dict[str, float]:
    """Return the scanner of the defaults: the kernel is measured and nothing else is left to chance."""
    return dict(DEFAULTS)


def rays(array: Array, pixel_mm: float, beam: Beam, scanner: Parameters) -> Rays:
    """Return the variances of a scanner's rays, 1 being that of the thickest way's quantum noise at the slice's own dose."""
    dose = scanner["dose"]
    path = paths(array, pixel_mm, beam, water_per_mm=scanner["water_per_mm"])
    path += (scanner["bowtie"] * (beam.positions_mm / BOWTIE_REACH_MM) ** 2).astype(np.float32)
    thickest = np.percentile(path, THICKEST, axis=1, keepdims=True)
    quantum = np.exp(path - thickest.mean() - MODULATION * (thickest - thickest.mean())).astype(np.float32)
    electronic = quantum * np.float32(scanner["electronic_photons"] / scanner["detected_photons"])
    return Rays(quantum * (1 + electronic), np.float32(1 / dose - 1) * quantum * (1 + np.float32(1 / dose + 1) * electronic))


def expected_deviation(variance: Array, beam: Beam, shape: tuple[int, ...], pixel_mm: float) -> Array:
    """Return how the deviation of reconstructed noise changes over the slice, `(y, x)`, up to a factor.

    The variance of a pixel is the sum of those of the rays through it.
    """
    block = int(np.ceil(max(shape) / MAP_SIDE))
    small = (-(-shape[0] // block), -(-shape[1] // block))
    views = variance[:: NOISE_VIEWS // 45]
    few = beam_for(small, block * pixel_mm, views=len(views))
    lines = np.stack([np.interp(few.positions_mm, beam.positions_mm, view) for view in views]).astype(np.float32)
    return fine(np.sqrt(np.maximum(back_project(lines, few, small, block * pixel_mm), 1e-12)), shape)


def change(array: Array, parameters: Parameters, pixel_mm: float) -> Array:
    """Return the noise to add so that the slice looks as if taken with a share of its dose."""
    from scipy import fft

    scanner = {**DEFAULTS, **parameters}
    if scanner["dose"] >= 1:
        return np.zeros_like(array)
    beam = beam_for(array.shape, pixel_mm, views=NOISE_VIEWS, spacing_mm=pixel_mm / CHANNELS)
    variance = rays(array, pixel_mm, beam, scanner)
    noise = np.random.default_rng(int(scanner["seed"])).standard_normal(variance.added.shape, dtype=np.float32)
    noise *= np.sqrt(variance.added)
    bare = fft.rfft2(reconstruct(noise, beam, array.shape, pixel_mm, kernel="ram-lak", cutoff_per_mm=HIGHEST / pixel_mm))
    own, added = (expected_deviation(each, beam, array.shape, pixel_mm) for each in variance)
    match = _match(array, bare, own, added, scanner["cutoff_per_mm"] * pixel_mm)
    cutoff = match.cutoff if match else scanner["cutoff_per_mm"] * pixel_mm or USUAL_CUTOFF
    made = own_noise.under_kernel(bare, array.shape, cutoff)
    inside = body(array)
    unit = deviation(made, array) * float(np.median(own[inside] / added[inside]))
    own_hu = unit * np.sqrt(match.factor) if match else tissue_noise(array, soft_tissue(array))
    return np.asarray(made * np.float32(max(own_hu, LOWEST_NOISE_HU) / unit), dtype=np.float32)


def _match(array: Array, bare: NDArray[np.complex64], own: Array, added: Array, given: float) -> own_noise.Match | None:
    """Return the kernel, measured unless `given` in cycles per pixel, and the factor to the slice's own variance.

    `bare` is the transform of noise under the ramp alone, whose deviation over the slice is `added` as that of the slice is `own`.
    None where there is too little soft tissue to measure on.
    """
    tissue = own_noise.tissue_of(array)
    if tissue.inner.sum() < own_noise.MIN_PIXELS:
        return None
    unit = np.median(own[tissue.inner])
    measured = own_noise.variances(array, tissue, own / unit)
    first = given or own_noise.first_guess(measured)
    made = own_noise.variances(own_noise.under_kernel(bare, array.shape, first), tissue, added / unit)
    return own_noise.Match(given, own_noise.level(measured, made)) if given else own_noise.match(measured, made, first)


KIND: Final = Kind(
    modality="CT",
    name="dose",
    summary="Fewer photons: quantum and electronic noise, made in the projections with the slice's own kernel; sharpness stays.",
    source="Yu et al., J Comput Assist Tomogr 2012;36:477",
    strength=Parameter("dose", "dose as a fraction of the slice's own", "1", 0.01, 1.0),
    levels=STRENGTHS["CT"]["dose"].values,
    others=OTHERS,
    draw=draw,
    change=change,
    noisy=True,
)
