"""A share of the scan's own counts: noise is added until the scan has what fewer of its counts would give.

Noise of a scan goes with one over the root of its counts; to go down to the share a, noise of the variance (1 / a - 1) times the
scan's own is added, made in the projections like that of `counts`. Both are read in small windows inside the body and compared at
the same low quantile: windows of little variation hold no organ's border. The texture of the noise that is added follows the
post-filter. A slice in which no such window is found counts as having 12 % of noise.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from medqa.metrics.windows import window_statistics
from medqa.simulate.degradation import Kind, Parameter, Parameters
from medqa.simulate.pet.counts import FILTER, FULL_NOISE, draw, poisson_noise
from medqa.simulate.pet.scanner import outline
from medqa.volume import Array

WINDOW_MM: Final = 30.0
MIN_WINDOWS: Final = 8
UNIFORM: Final = 0.1
"""Quantile of the windows' variation that is compared."""


def ratio(array: Array, added: Array, pixel_mm: float) -> float:
    """Return the deviation of the scan's own noise over that of some added noise, where the slice is uniform."""
    half = max(2, round(WINDOW_MM / 2 / pixel_mm))
    mean, deviation, _ = window_statistics(array, half, half)
    inside = window_statistics(outline(array).astype(np.float32), half, half)[0] > 0.999
    chosen = inside & (mean > 0)
    if chosen.sum() < MIN_WINDOWS:
        body = outline(array)
        return FULL_NOISE * float(array[body].mean()) / max(float(added[body].std()), 1e-9) if body.any() else 0.0
    made = window_statistics(added, half, half)[1]
    own, other = (float(np.quantile(one[chosen] / mean[chosen], UNIFORM)) for one in (deviation, made))
    return own / max(other, 1e-9)


def change(array: Array, parameters: Parameters, pixel_mm: float) -> Array:
    """Return the noise that a share of the scan's own counts adds."""
    noise = poisson_noise(array, parameters, pixel_mm, FULL_NOISE)
    return noise * np.float32(ratio(array, noise, pixel_mm) * np.sqrt(1 / parameters["share"] - 1))


KIND: Final = Kind(
    modality="PT",
    name="thinned",
    summary="A share of the scan's own counts: noise made in the projections, as much as the scan's own noise asks for.",
    source="Barrett et al., Phys Med Biol 1994;39:833",
    strength=Parameter("share", "counts as a share of the scan's own", "1", 0.005, 1.0),
    levels=(1 / 2, 1 / 4, 1 / 8, 1 / 16),
    others=(FILTER,),
    draw=draw,
    change=change,
    noisy=True,
)
