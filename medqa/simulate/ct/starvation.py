"""Photon starvation: the rays with the longest paths are so noisy that they streak across the body."""

from __future__ import annotations

from typing import Final

import numpy as np

from medqa.simulate.ct.dose import NOISE_VIEWS, cutoff, paths
from medqa.simulate.ct.tissue import Mask, deviation, patient
from medqa.simulate.degradation import STRENGTHS, Kind, Parameter, Parameters
from medqa.simulate.projector import beam_for, reconstruct
from medqa.volume import Array

WIDTH_MM: Final = 8.0
"""Width (standard deviation) over which the power of the streaks is averaged: they are a few millimetres apart."""
POWER_SHARE: Final = 0.5


def draw(generator: np.random.Generator, pixel_mm: float) -> dict[str, float]:
    """Draw the kernel and the share of rays that are starved."""
    return {**cutoff(generator, pixel_mm), "starved_share": float(generator.uniform(0.04, 0.15))}


def change(array: Array, parameters: Parameters, pixel_mm: float) -> Array:
    """Return streak noise of the rays with the longest paths, scaled to its declared deviation in the body."""
    beam = beam_for(array.shape, pixel_mm, views=NOISE_VIEWS)
    path = paths(array, pixel_mm, beam)
    starved = path > np.quantile(path, 1 - parameters["starved_share"])
    noise = np.random.default_rng(int(parameters["seed"])).standard_normal(path.shape, dtype=np.float32)
    noise *= np.where(starved, np.exp(0.5 * (path - path.max())), 0).astype(np.float32)
    change = reconstruct(noise, beam, array.shape, pixel_mm, cutoff_per_mm=parameters["cutoff_per_mm"])
    return change * np.float32(parameters["noise_hu"] / deviation(change, array))


def region(array: Array, change: Array, parameters: Parameters, pixel_mm: float) -> Mask:
    """Return where in the patient the mean square of the streaks, averaged over `WIDTH_MM`, is over half its maximum.

    The maximum is the 99th percentile, so that single streaks do not decide. In a round body, whose starved rays pass the axis
    within a distance s, views from an angle of 2 asin(s / r) meet a place at r: half the power is left at r = 1.41 s.
    """
    from scipy import ndimage

    inside = patient(array)
    power = ndimage.gaussian_filter(np.square(change), WIDTH_MM / pixel_mm)
    return np.asarray((power > POWER_SHARE * float(np.percentile(power[inside], 99))) & inside)


KIND: Final = Kind(
    modality="CT",
    name="starvation",
    summary="Streak noise along the directions in which the body is thickest.",
    source="Kak and Slaney 1988, chapter 5",
    strength=Parameter("noise_hu", "standard deviation of the streaks in the body", "HU", 1.0, 500.0),
    levels=STRENGTHS["CT"]["starvation"].values,
    others=(
        Parameter("cutoff_per_mm", "first zero of the kernel's Hann window", "/mm", 0.1, 3.0),
        Parameter("starved_share", "share of the rays that are starved", "1", 0.01, 0.5),
    ),
    draw=draw,
    change=change,
    noisy=True,
    region=region,
)
