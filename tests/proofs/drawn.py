"""What the table of bias is made of: series that are drawn at random and whose truth is known by calculation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import erf

from medqa.metrics import Metric, Pair
from medqa.series import Series
from tests.science.factories import make_series

SIDE = 400
PIXEL_MM = 0.8
SPACING = (PIXEL_MM, PIXEL_MM)
FRAMES = 3
AIR_HU, SOFT_HU = -1000.0, 50.0

Image = Any


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """One draw, and what each quantity must be in it, under the name that `bias.measure` gives it; a PET may have its CT."""

    series: Series
    truths: Mapping[str, float]
    ct: Series | None = None


@dataclass(frozen=True, kw_only=True)
class Condition:
    """What is drawn, and the metrics that look at it."""

    name: str
    metrics: tuple[Metric | Pair, ...]
    draw: Callable[[np.random.Generator], Drawn]


def condition(
    name: str,
    metrics: Sequence[Metric],
    image: Callable[[np.random.Generator], Image],
    truths: Mapping[str, float] | Callable[[Sequence[Image]], Mapping[str, float]],
    *,
    modality: str = "CT",
    spacing_mm: tuple[float, float] = SPACING,
    **values: Any,
) -> Condition:
    """Return a condition of `FRAMES` images drawn alike; truths may depend on the images, `values` are those of `make_series`."""

    def draw(rng: np.random.Generator) -> Drawn:
        images = [image(rng) for _ in range(FRAMES)]
        known = truths(images) if callable(truths) else truths
        return Drawn(series=make_series(images, modality=modality, spacing_mm=spacing_mm, **values), truths=known)

    return Condition(name=name, metrics=tuple(metrics), draw=draw)


def plane(side: int = SIDE, pixel_mm: float = PIXEL_MM) -> tuple[Image, Image]:
    """Return y as a column and x as a row, in mm from the middle of the image."""
    axis = (np.arange(side) - (side - 1) / 2) * pixel_mm
    return axis[:, None], axis[None, :]


def within(distance_mm: Image, blur_mm: float = 0.0) -> Image:
    """Return 1 where the distance from an outline is negative and 0 beyond; the edge blurred by a Gaussian, or sharp."""
    return distance_mm < 0 if blur_mm == 0 else 0.5 * (1 - erf(distance_mm / (np.sqrt(2) * blur_mm)))


def disc(radius_mm: float, *, blur_mm: float = 0.0, soft_hu: Image = SOFT_HU) -> Image:
    """Return a disc in air, its edge blurred by a Gaussian of this deviation, or sharp."""
    return AIR_HU + (soft_hu - AIR_HU) * within(np.hypot(*plane()) - radius_mm, blur_mm)


def white(rng: np.random.Generator, deviation: float) -> Image:
    """Return white noise."""
    return rng.normal(0, deviation, (SIDE, SIDE))


def shape(f: Image, top: float) -> Image:
    """Return the spectrum of `kernel`."""
    return f * np.exp(-(f**2) / (2 * top**2))


def kernel(rng: np.random.Generator, deviation: float, top: float) -> Image:
    """Return noise with the spectrum f exp(-f^2 / (2 top^2)), f in /mm, as a reconstruction makes it."""
    f = np.hypot(np.fft.fftfreq(SIDE, PIXEL_MM)[:, None], np.fft.rfftfreq(SIDE, PIXEL_MM)[None, :])
    made = np.fft.irfft2(np.fft.rfft2(white(rng, 1.0)) * np.sqrt(shape(f, top)), (SIDE, SIDE))
    return deviation * made / made.std()
