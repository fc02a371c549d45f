"""Fewer counts: Poisson noise in the projections through OSEM and the post-filter, never white noise on voxels.

Only the difference of a noisy and a noise-free reconstruction is added, so that the slice's own sharpness stays.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from medqa.simulate.degradation import STRENGTHS, Kind, Parameter, Parameters
from medqa.simulate.pet.scanner import BACKGROUND, VIEWS, WATER_PER_MM, body, mirrored, osem, outline
from medqa.simulate.projector import beam_for, project
from medqa.volume import Array

FULL_NOISE: Final = 0.12
"""Noise in the body, as a share of its mean, that counts as a scan of full counts."""
FIRST_COUNTS: Final = 2e5
FILTER: Final = Parameter("filter_mm", "full width at half maximum of the post-filter", "mm", 0.0, 20.0)


def draw(generator: np.random.Generator, pixel_mm: float) -> dict[str, float]:
    """Draw the width of the post-filter."""
    return {"filter_mm": float(generator.uniform(3.5, 6.5))}


def poisson_noise(array: Array, parameters: Parameters, pixel_mm: float, target: float) -> Array:
    """Return noise of as many counts as give the deviation `target` in the body, in units of its mean."""
    from scipy import ndimage

    padded, corner = mirrored(array)
    beam = beam_for(padded.shape, pixel_mm, views=VIEWS)
    mask = body(padded)
    attenuation = np.exp(-WATER_PER_MM * project(outline(padded).astype(np.float32), beam, pixel_mm))
    lines = project(padded, beam, pixel_mm)
    total, noise = FIRST_COUNTS, padded
    # Two rounds: the first tells how many counts give the declared noise in this body, the second has that many.
    for _ in range(2):
        generator = np.random.default_rng(int(parameters["seed"]))
        survival = attenuation * np.float32(total * (1 - BACKGROUND) / max(float((attenuation * lines).sum()), 1e-6))
        background = np.full_like(lines, total * BACKGROUND / lines.size)
        expected = survival * lines + background
        noisy = generator.poisson(expected).astype(np.float32)
        made = osem(noisy, background, survival, beam, padded.shape, pixel_mm)
        made -= osem(expected, background, survival, beam, padded.shape, pixel_mm)
        noise = ndimage.gaussian_filter(made, parameters[FILTER.name] / 2.3548 / pixel_mm)
        total *= (float(noise[mask].std()) / target) ** 2
    top, left = corner
    return noise[top : top + array.shape[0], left : left + array.shape[1]]


def change(array: Array, parameters: Parameters, pixel_mm: float) -> Array:
    """Return the noise that fewer counts add."""
    return poisson_noise(array, parameters, pixel_mm, FULL_NOISE * float(np.sqrt(1 / parameters["counts"] - 1)))


KIND: Final = Kind(
    modality="PT",
    name="counts",
    summary="Fewer counts: Poisson noise in the projections, through OSEM and the post-filter.",
    source="Hudson and Larkin, IEEE TMI 1994;13:601; Barrett et al., Phys Med Biol 1994;39:833",
    strength=Parameter("counts", STRENGTHS["PT"]["counts"].quantity, "1", 0.002, 0.99),
    levels=STRENGTHS["PT"]["counts"].values,
    others=(FILTER,),
    draw=draw,
    change=change,
    noisy=True,
)
