"""Five simulated readers of CT slices: what they see in the soft-tissue window, and the score of 0 to 4 that they give.

The scale and the window (W350/L40) are those of the low-dose CT image quality challenge (Lee et al., Med Image Anal 2025;99:103343,
10.1016/j.media.2024.103343). A reader sees an image alone, without a reference. Three things are measured on what the window shows:

- noise: the commonest local standard deviation in soft tissue (Christianson et al., AJR 2015;205:W93), in HU;
- streaks: the amplitude of what is directional in soft tissue and fat (`medqa.metrics.ct_streaks`), in HU;
- detectability: d' of an observer who lays a disc of 4 mm, less the ring around it, over soft tissue: the contrast of the lesion
  over the commonest local deviation of the responses (a non-prewhitening observer that takes off the background; Samei et al.,
  AAPM TG-233, Med Phys 2019, 10.1002/mp.13763).

Noise and streaks add up as variances, streaks weighing twice, to a *strength* in HU. The opinion of 0 to 4 is the weighted mean
of two steps that are linear in a logarithm and end at 0 and 4: it falls with the strength and rises with d'. Every reader adds a
bias and a noise of their own and rounds to a whole number; the label is the mean of five, so it lies on the grid of 0.2.

The ends of the steps are judgement, not measurement: they were set on phantoms and on the two challenge images whose scores (1.0
and 4.0) are known here. Real readers also weigh anatomy, blur and experience; no claim is made that a network trained on these
labels agrees with people.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from medqa.errors import NotApplicable
from medqa.metrics.ct_streaks import directional_power, fan
from medqa.regions import SOFT_TISSUE_HU, Mask, body_mask, decimate, enlarge
from medqa.simulate.ct.tissue import tissue_noise
from medqa.volume import Array

NAME: Final = "reader_model"
WINDOW_HU: Final = (-135.0, 215.0)
"""W350/L40."""
READERS: Final = 5
BEST: Final = 4
LESION_MM: Final = 4.0
LESION_HU: Final = 35.0
RING: Final = 1.5
"""Outer radius of the ring over the radius of the lesion."""
ORGANS_HU: Final = (-20.0, 170.0)
SMOOTHING_PIXELS: Final = 3.0
"""Noise must not decide what is taken for an organ."""
DETAIL_MM: Final = 7.0
CLIP_DEVIATIONS: Final = 3.0
MIN_PIXELS: Final = 400
LEAST_HU: Final = 0.05
"""Under this the image holds no noise, only what rounding left."""
STREAK_WEIGHT: Final = 2.0
STRENGTH_HU: Final = (28.0, 75.0)
"""Strengths of 4 and of 0."""
DETECTABILITY: Final = (3.4, 1.1)
"""Values of d' of 4 and of 0."""
STRENGTH_SHARE: Final = 0.75
BIAS: Final = 0.2
NOISE: Final = (0.25, 0.45)


class Impression(NamedTuple):
    """What a reader sees: noise and streaks in HU of the window, and d' of the small lesion."""

    noise_hu: float
    streaks_hu: float
    detectability: float

    @property
    def strength_hu(self) -> float:
        """Noise and streaks together."""
        return float(np.hypot(self.noise_hu, STREAK_WEIGHT * self.streaks_hu))


def impression(array: Array, pixel_mm: float) -> Impression:
    """Measure what a reader sees in a slice `(y, x)` in HU.

    Raises
    ------
    NotApplicable
        `no_soft_tissue` where there is too little of it, `constant_image` where it has no noise at all.
    """
    from scipy import ndimage

    shown = np.clip(array, *WINDOW_HU).astype(np.float32)
    step = max(1, round(max(array.shape) / 128))
    inside = enlarge(ndimage.binary_erosion(body_mask(decimate(array, step), "CT")), step, array.shape)
    smooth = ndimage.gaussian_filter(array, SMOOTHING_PIXELS)
    organs = inside & (smooth > ORGANS_HU[0]) & (smooth < ORGANS_HU[1])
    soft = inside & (smooth > SOFT_TISSUE_HU[0]) & (smooth < SOFT_TISSUE_HU[1])
    template = _template(pixel_mm)
    whole = ndimage.minimum_filter(organs, template.shape)
    if whole.sum() < MIN_PIXELS:
        raise NotApplicable(what=NAME, reason="no_soft_tissue")
    noise = tissue_noise(shown, organs)
    spread = tissue_noise(ndimage.correlate(shown, template), whole)
    if min(noise, spread) < LEAST_HU:
        raise NotApplicable(what=NAME, reason="constant_image")
    return Impression(noise, _streaks(shown, soft, pixel_mm), LESION_HU / spread)


def opinion(seen: Impression) -> float:
    """Return the score of 0 to 4 of a reader without bias and noise."""
    of_strength = _step(seen.strength_hu, *STRENGTH_HU)
    of_lesion = _step(seen.detectability, *DETECTABILITY)
    return BEST * (STRENGTH_SHARE * of_strength + (1 - STRENGTH_SHARE) * of_lesion)


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """Readers with their own bias and the deviation of their own noise, in points of the scale."""

    bias: tuple[float, ...]
    noise: tuple[float, ...]

    def scores(self, score: float, generator: np.random.Generator) -> tuple[int, ...]:
        """Return what each reader says of an image whose `opinion` is given: whole numbers of 0 to 4."""
        said = score + np.asarray(self.bias) + generator.standard_normal(len(self.bias)) * np.asarray(self.noise)
        return tuple(int(each) for each in np.clip(np.rint(said), 0, BEST))


def label(scores: Sequence[int]) -> float:
    """Return the mean of what the readers say: on the grid of 0.2 for five."""
    return round(sum(scores) / len(scores), 6)


def draw_panel(generator: np.random.Generator) -> Panel:
    """Draw five readers; their biases add up to nothing, so that the panel as a whole keeps to the scale."""
    bias = generator.normal(0, BIAS, READERS)
    noise = generator.uniform(*NOISE, READERS)
    return Panel(bias=tuple(map(float, bias - bias.mean())), noise=tuple(map(float, noise)))


def _step(value: float, best: float, worst: float) -> float:
    share = np.log(value / worst) / np.log(best / worst)
    return float(np.clip(share, 0, 1))


def _template(pixel_mm: float) -> Array:
    radius = LESION_MM / 2 / pixel_mm
    half = max(2, int(np.ceil(RING * radius)))
    y, x = np.mgrid[-half : half + 1, -half : half + 1]
    distance = np.hypot(y, x)
    disc = distance <= max(radius, 0.5)
    ring = ~disc & (distance <= max(RING * radius, 1.5))
    return np.asarray(disc / disc.sum() - ring / ring.sum(), dtype=np.float32)


def _streaks(shown: Array, soft: Mask, pixel_mm: float) -> float:
    from scipy import ndimage

    width = 2 * max(1, round(DETAIL_MM / 2 / pixel_mm)) + 1
    sums = ndimage.uniform_filter(np.where(soft, shown, np.float32(0)), width)
    share = ndimage.uniform_filter(soft.astype(np.float32), width)
    detail = np.where(soft, shown - sums / np.maximum(share, np.float32(1e-3)), np.float32(0))
    limit = np.float32(CLIP_DEVIATIONS * 1.4826 * np.median(np.abs(detail[soft])))
    sectors = fan((shown.shape[0], shown.shape[1]), (pixel_mm, pixel_mm))
    if not sectors.totals.all():
        raise NotApplicable(what=NAME, reason="too_small")
    power = directional_power(np.clip(detail, -limit, limit), sectors, int(soft.sum()))
    return float(np.sqrt(np.maximum(power - np.percentile(power, 25), 0).sum()))
