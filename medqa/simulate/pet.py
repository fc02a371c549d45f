"""Degradations of a PET slice, made in projections: thinned counts through Poisson and OSEM, never white noise on voxels.

Sources: Hudson and Larkin, IEEE TMI 13:601 (1994) for OSEM; Barrett et al., Phys Med Biol 39:833 (1994) for its noise, which grows
with the local activity. Randoms and scatter are one flat background; attenuation is that of water at 511 keV inside the outline.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from medqa.simulate.degradation import STRENGTHS, Degraded, Plan
from medqa.simulate.projector import Beam, back_project, beam_for, project
from medqa.volume import Array

Parameters = Mapping[str, float]

WATER_PER_MM = 0.0096
BACKGROUND = 0.35
"""Randoms and scatter as a share of all counts."""
FULL_NOISE = 0.12
"""Noise in the body, as a share of its mean, that counts as a scan of full counts."""
VIEWS, SUBSETS, ITERATIONS = 64, 8, 2
SMALLEST_SIDE = 48
"""A crop is mirrored outwards to at least this many voxels a side before it is projected."""
FIRST_COUNTS = 2e5


def draw(kind: str, level: int, generator: np.random.Generator, *, pixel_mm: float) -> Plan:
    """Draw the parameters of a degradation; `level` 1–4 picks its declared strength."""
    del pixel_mm
    parameters: dict[str, float] = {
        "strength": STRENGTHS["PT"][kind].values[level - 1],
        "seed": float(generator.integers(2**31)),
    }
    if kind == "counts":
        parameters["filter_mm"] = float(generator.uniform(3.5, 6.5))
    if kind == "motion":
        parameters["direction_rad"] = float(generator.uniform(0, np.pi))
        parameters["exponent"] = float(generator.choice([2, 4]))
    return Plan(modality="PT", kind=kind, level=level, parameters=parameters)


def apply(array: Array, plan: Plan, *, pixel_mm: float) -> Degraded:
    """Degrade a slice `(y, x)` of any activity unit, NaN where there is no value; the same plan always gives the same image."""
    inside = np.isfinite(array)
    filled = np.maximum(np.where(inside, array, np.float32(0)), 0).astype(np.float32)
    mask = body(filled)
    mean = max(float(filled[mask].mean()), 1e-12)
    out = np.maximum(KINDS[plan.kind](filled / np.float32(mean), plan.parameters, pixel_mm), 0) * np.float32(mean)
    severity = float(np.sqrt(np.mean((out - filled)[mask] ** 2)) / mean)
    return Degraded(array=np.where(inside, out, np.float32(np.nan)).astype(np.float32), plan=plan, severity=severity)


def body(array: Array) -> NDArray[np.bool_]:
    """Return the voxels above a fifth of the mean of what exceeds the mean; all of them where none is."""
    bright = array[array > array.mean()]
    if not bright.size:
        return np.ones(array.shape, dtype=bool)
    return np.asarray(array > 0.2 * bright.mean())


def osem(counts: Array, background: Array, survival: Array, beam: Beam, shape: tuple[int, ...], pixel_mm: float) -> Array:
    """Reconstruct counts `(views, detectors)` by ordered subsets; `survival` turns line integrals into counts."""
    image = np.ones(shape, dtype=np.float32)
    for _ in range(ITERATIONS):
        for subset in range(SUBSETS):
            angles, alive = beam.angles[subset::SUBSETS], survival[subset::SUBSETS]
            expected = project(image, beam, pixel_mm, angles=angles) * alive + background[subset::SUBSETS]
            ratio = counts[subset::SUBSETS] / np.maximum(expected, 1e-6)
            weight = back_project(alive, beam, shape, pixel_mm, angles=angles)
            image *= back_project(ratio * alive, beam, shape, pixel_mm, angles=angles) / np.maximum(weight, 1e-6)
    return image


def _counts(array: Array, parameters: Parameters, pixel_mm: float) -> Array:
    from scipy import ndimage

    padded, corner = _mirrored(array)
    beam = beam_for(padded.shape, pixel_mm, views=VIEWS)
    mask = body(padded)
    outline = ndimage.binary_fill_holes(mask).astype(np.float32)
    attenuation = np.exp(-WATER_PER_MM * project(outline, beam, pixel_mm))
    lines = project(padded, beam, pixel_mm)
    target = FULL_NOISE * float(np.sqrt(1 / parameters["strength"] - 1))
    total, change = FIRST_COUNTS, padded
    # Two rounds: the first tells how many counts give the declared noise in this body, the second has that many.
    for _ in range(2):
        generator = np.random.default_rng(int(parameters["seed"]))
        survival = attenuation * np.float32(total * (1 - BACKGROUND) / max(float((attenuation * lines).sum()), 1e-6))
        background = np.full_like(lines, total * BACKGROUND / lines.size)
        expected = survival * lines + background
        noisy = generator.poisson(expected).astype(np.float32)
        made = osem(noisy, background, survival, beam, padded.shape, pixel_mm)
        made -= osem(expected, background, survival, beam, padded.shape, pixel_mm)
        change = ndimage.gaussian_filter(made, parameters["filter_mm"] / 2.3548 / pixel_mm)
        total *= (float(change[mask].std()) / target) ** 2
    top, left = corner
    return array + change[top : top + array.shape[0], left : left + array.shape[1]]


def _blur(array: Array, parameters: Parameters, pixel_mm: float) -> Array:
    from scipy import ndimage

    return np.asarray(ndimage.gaussian_filter(array, parameters["strength"] / 2.3548 / pixel_mm, mode="nearest"), dtype=np.float32)


def _motion(array: Array, parameters: Parameters, pixel_mm: float) -> Array:
    from scipy import ndimage

    # Time spent at each depth of breathing: displacement goes with cos to an even power (Lujan et al., Med Phys 26:715, 1999).
    phase = (np.arange(12) + 0.5) / 12 * np.pi
    travel = parameters["strength"] / pixel_mm * np.cos(phase) ** parameters["exponent"]
    travel -= travel.mean()
    sine, cosine = np.sin(parameters["direction_rad"]), np.cos(parameters["direction_rad"])
    total = np.zeros_like(array)
    for step in travel:
        total += ndimage.shift(array, (step * sine, step * cosine), order=1, mode="nearest")
    return total / np.float32(travel.size)


KINDS: Mapping[str, Callable[[Array, Parameters, float], Array]] = {"counts": _counts, "blur": _blur, "motion": _motion}


def _mirrored(array: Array) -> tuple[Array, tuple[int, int]]:
    """Mirror a small crop outwards; return it and where the crop's corner lies."""
    extra = [max(0, SMALLEST_SIDE - size) for size in array.shape]
    pads = [(more // 2, more - more // 2) for more in extra]
    return np.pad(array, pads, mode="symmetric"), (pads[0][0], pads[1][0])
