"""A share of the scan's own counts: noise is added until the scan has what fewer of its counts would give.

Noise of a scan goes with one over the root of its counts; to go down to the share a, noise of the variance (1 / a - 1) times the
scan's own is added, made in the projections like that of `counts`. How strong and how coarse the scan's own noise is, `own_noise`
finds in the slice. A slice in which it cannot be found counts as having 12 % of noise and a post-filter of 5 mm.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from medqa.simulate.degradation import Kind, Parameter, Parameters
from medqa.simulate.pet.counts import FILTER, FULL_NOISE, poisson_noise
from medqa.simulate.pet.own_noise import USUAL_GRAIN_MM, filtered_by, like
from medqa.simulate.pet.scanner import outline
from medqa.volume import Array


def change(array: Array, parameters: Parameters, pixel_mm: float) -> Array:
    """Return the noise that a share of the scan's own counts adds."""
    noise = poisson_noise(array, {"seed": parameters["seed"], FILTER.name: 0.0}, pixel_mm, FULL_NOISE)
    own = like(array, noise, pixel_mm)
    return (_usual(array, noise, pixel_mm) if own is None else own) * np.float32(np.sqrt(1 / parameters["share"] - 1))


def _usual(array: Array, noise: Array, pixel_mm: float) -> Array:
    body, made = outline(array), filtered_by(noise, USUAL_GRAIN_MM, pixel_mm)
    if not body.any():
        return np.zeros_like(array)
    return made * np.float32(FULL_NOISE * float(array[body].mean()) / max(float(made[body].std()), 1e-9))


KIND: Final = Kind(
    modality="PT",
    name="thinned",
    summary="A share of the scan's own counts: noise made in the projections, as strong and as coarse as the scan's own asks for.",
    source="Barrett et al., Phys Med Biol 1994;39:833",
    strength=Parameter("share", "counts as a share of the scan's own", "1", 0.005, 1.0),
    levels=(1 / 2, 1 / 4, 1 / 8, 1 / 16),
    change=change,
    noisy=True,
)
