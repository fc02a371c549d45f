"""Degradations of a CT slice in HU, made where the scanner makes them: in the projections.

Sources: Yu et al., J Comput Assist Tomogr 36:477 (2012) and Zeng et al., IEEE TNS 62:2226 (2015) for the insertion of noise
(variance grows with exp of the path and with one over the dose); Kak and Slaney (1988), chapter 5 for aliasing streaks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from medqa.simulate.degradation import STRENGTHS, Degraded, Plan
from medqa.simulate.projector import Beam, beam_for, project, reconstruct
from medqa.volume import Array

WATER_PER_MM = 0.02
"""Attenuation of water at about 65 keV."""
LOWEST_NOISE_HU = 5.0
"""A slice with less noise (thick, smooth) counts as having this much: else 1/16 of its dose would still be a clean image."""
LOWEST_HU = -1024.0
COARSE = 256
"""Structured artefacts are computed on a grid of at most this many pixels a side, and added to the slice at full resolution."""
NOISE_VIEWS, COARSE_VIEWS = 360, 360
MODULATION = 0.5
"""Share of the angular change of attenuation that the tube current follows."""

Parameters = Mapping[str, float]


def draw(kind: str, level: int, generator: np.random.Generator, *, pixel_mm: float) -> Plan:
    """Draw the parameters of a degradation; `level` 1–4 picks its declared strength."""
    value = STRENGTHS["CT"][kind].values[level - 1]
    nyquist = 0.5 / pixel_mm
    parameters: dict[str, float] = {"strength": value, "seed": float(generator.integers(2**31))}
    if kind in ("dose", "starvation"):
        parameters["cutoff_per_mm"] = float(generator.uniform(0.8, 1.6)) * nyquist
    if kind == "starvation":
        parameters["starved_share"] = float(generator.uniform(0.04, 0.15))
    if kind == "streaks":
        parameters["first_view"] = float(generator.integers(0, COARSE_VIEWS))
    if kind == "motion":
        parameters["direction_rad"] = float(generator.uniform(0, 2 * np.pi))
        parameters["onset"] = float(generator.uniform(0.25, 0.75))
        parameters["duration"] = float(generator.choice([0.02, 0.3]))
    if kind == "rings":
        parameters["channels"] = float(generator.integers(2, 12))
    return Plan(modality="CT", kind=kind, level=level, parameters=parameters)


def apply(array: Array, plan: Plan, *, pixel_mm: float) -> Degraded:
    """Degrade a slice `(y, x)` in HU, NaN where there is no value; the same plan always gives the same image."""
    inside = np.isfinite(array)
    filled = np.where(inside, array, np.float32(-1000)).astype(np.float32)
    change = KINDS[plan.kind](filled, plan.parameters, pixel_mm)
    out = np.maximum(filled + change, LOWEST_HU).astype(np.float32)
    severity = float(np.sqrt(np.mean((out - filled)[body(filled)] ** 2)))
    return Degraded(array=np.where(inside, out, np.float32(np.nan)), plan=plan, severity=severity)


def body(array: Array) -> NDArray[np.bool_]:
    """Return the pixels denser than -500 HU; all of them where none is."""
    mask = array > -500
    return mask if mask.any() else np.ones_like(mask)


def soft_tissue(array: Array) -> NDArray[np.bool_]:
    """Return the pixels between -150 and 250 HU: fat, muscle, organs, brain."""
    return (array > -150) & (array < 250)


def tissue_noise(array: Array, tissue: NDArray[np.bool_]) -> float:
    """Return the commonest local standard deviation (7 × 7 pixels) within a mask; 0 where the mask is too small.

    Source: the mode of the map of local deviations, Christianson et al., AJR 205:W93 (2015).
    """
    from scipy import ndimage

    whole = ndimage.binary_erosion(tissue, iterations=3)
    if whole.sum() < 200:
        return 0.0
    mean = ndimage.uniform_filter(array, 7)
    deviation = np.sqrt(np.maximum(ndimage.uniform_filter(array * array, 7) - mean * mean, 0))[whole]
    histogram, edges = np.histogram(deviation, bins=60, range=(0, max(float(np.percentile(deviation, 75)), 1e-6)))
    smooth = np.convolve(histogram, np.ones(5), mode="same")
    top = int(np.argmax(smooth))
    return float(0.5 * (edges[top] + edges[top + 1]))


def paths(array: Array, pixel_mm: float, beam: Beam, *, side: int = 128, views: int = 90) -> Array:
    """Return the attenuation `p` of each ray of `beam`, from a coarse copy of the slice: `(views, detectors)`, no unit."""
    from scipy import ndimage

    water = np.asarray(WATER_PER_MM * np.clip(1 + array / 1000, 0, 3), dtype=np.float32)
    coarse, coarse_mm = _coarse(water, pixel_mm, side)
    small = beam_for(coarse.shape, coarse_mm, views=views)
    sinogram = project(coarse, small, coarse_mm)
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


def _dose(array: Array, parameters: Parameters, pixel_mm: float) -> Array:
    noise = quantum_noise(array, pixel_mm, seed=int(parameters["seed"]), cutoff_per_mm=parameters["cutoff_per_mm"])
    tissue = soft_tissue(array)
    own = max(tissue_noise(array, tissue), LOWEST_NOISE_HU)
    made = tissue_noise(noise, tissue) or _deviation(noise, array)
    return noise * np.float32(own / made * np.sqrt(1 / parameters["strength"] - 1))


def _blur(array: Array, parameters: Parameters, pixel_mm: float) -> Array:
    from scipy import ndimage

    sigma = parameters["strength"] / 2.3548 / pixel_mm
    return np.asarray(ndimage.gaussian_filter(array, sigma, mode="nearest"), dtype=np.float32) - array


def _streaks(array: Array, parameters: Parameters, pixel_mm: float) -> Array:
    coarse, coarse_mm = _coarse(array + 1000, pixel_mm, COARSE)
    whole = beam_for(coarse.shape, coarse_mm, views=COARSE_VIEWS)
    sinogram = project(coarse, whole, coarse_mm)
    step = round(COARSE_VIEWS / parameters["strength"])
    first = int(parameters["first_view"]) % step
    # Views that were not taken weigh nothing; those that were weigh `step` times as much.
    kept = np.zeros((COARSE_VIEWS, 1), dtype=np.float32)
    kept[first::step] = step
    difference = reconstruct(sinogram * (kept - 1), whole, coarse.shape, coarse_mm, cutoff_per_mm=0.65 / coarse_mm)
    return _fine(difference, array.shape)


def _starvation(array: Array, parameters: Parameters, pixel_mm: float) -> Array:
    beam = beam_for(array.shape, pixel_mm, views=NOISE_VIEWS)
    path = paths(array, pixel_mm, beam)
    starved = path > np.quantile(path, 1 - parameters["starved_share"])
    noise = np.random.default_rng(int(parameters["seed"])).standard_normal(path.shape, dtype=np.float32)
    noise *= np.where(starved, np.exp(0.5 * (path - path.max())), 0).astype(np.float32)
    change = reconstruct(noise, beam, array.shape, pixel_mm, cutoff_per_mm=parameters["cutoff_per_mm"])
    return change * np.float32(parameters["strength"] / _deviation(change, array))


def _motion(array: Array, parameters: Parameters, pixel_mm: float) -> Array:
    coarse, coarse_mm = _coarse(array + 1000, pixel_mm, COARSE)
    beam = beam_for(coarse.shape, coarse_mm, views=COARSE_VIEWS)
    sinogram = project(coarse, beam, coarse_mm)
    progress = (np.arange(beam.views) / beam.views - parameters["onset"]) / parameters["duration"] + 0.5
    travel = parameters["strength"] * np.clip(progress, 0, 1)
    # The image as it was counts as the middle of the way, so that edges double to both sides.
    shift = (travel - travel.mean()) * np.cos(beam.angles - parameters["direction_rad"]) / beam.spacing_mm
    index = np.arange(beam.detectors)
    moved = np.stack([np.interp(index - step, index, view) for step, view in zip(shift, sinogram, strict=True)])
    difference = reconstruct(moved.astype(np.float32) - sinogram, beam, coarse.shape, coarse_mm, cutoff_per_mm=0.65 / coarse_mm)
    return _fine(difference, array.shape)


def _rings(array: Array, parameters: Parameters, pixel_mm: float) -> Array:
    generator = np.random.default_rng(int(parameters["seed"]))
    beam = beam_for(array.shape, pixel_mm, views=NOISE_VIEWS)
    reach = 0.4 * max(array.shape) * pixel_mm
    near = np.flatnonzero(np.abs(beam.positions_mm) < reach)
    bias = np.zeros(beam.detectors, dtype=np.float32)
    chosen = generator.choice(near, size=int(parameters["channels"]), replace=False)
    bias[chosen] = generator.choice([-1, 1], size=chosen.size) * generator.uniform(0.5, 1, size=chosen.size)
    # Over a whole turn a channel sees each ray from both sides: the ring closes.
    sinogram = np.repeat((bias + bias[::-1])[None, :], beam.views, axis=0)
    change = reconstruct(sinogram, beam, array.shape, pixel_mm, cutoff_per_mm=0.75 / pixel_mm)
    change -= change[body(array)].mean()
    return change * np.float32(parameters["strength"] / _deviation(change, array))


KINDS: Mapping[str, Callable[[Array, Parameters, float], Array]] = {
    "dose": _dose,
    "blur": _blur,
    "streaks": _streaks,
    "starvation": _starvation,
    "motion": _motion,
    "rings": _rings,
}


def _deviation(change: Array, array: Array) -> float:
    return max(float(change[body(array)].std()), 1e-12)


def _coarse(array: Array, pixel_mm: float, side: int) -> tuple[Array, float]:
    """Average blocks of pixels until no side exceeds `side`."""
    block = int(np.ceil(max(array.shape) / side))
    if block == 1:
        return array.astype(np.float32), pixel_mm
    rows, columns = (-(-size // block) * block for size in array.shape)
    padded = np.pad(array, ((0, rows - array.shape[0]), (0, columns - array.shape[1])), mode="edge")
    means = padded.reshape(rows // block, block, columns // block, block).mean(axis=(1, 3))
    return means.astype(np.float32), pixel_mm * block


def _fine(change: Array, shape: tuple[int, ...]) -> Array:
    """Bring a coarse change back onto the slice's grid."""
    from scipy import ndimage

    block = int(np.ceil(max(shape) / max(change.shape)))
    if block == 1:
        return change
    row, column = (((np.arange(size) + 0.5) / block - 0.5) for size in shape)
    grid = np.meshgrid(row, column, indexing="ij")
    return np.asarray(ndimage.map_coordinates(change, grid, order=1, mode="nearest"), dtype=np.float32)
