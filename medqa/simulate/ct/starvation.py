"""Photon starvation: the rays with the longest paths are so noisy that they streak across the body."""

from __future__ import annotations

from typing import Final

import numpy as np

from medqa.simulate.ct.dose import NOISE_VIEWS, cutoff, paths
from medqa.simulate.ct.tissue import Mask, deviation, strong
from medqa.simulate.degradation import STRENGTHS, Kind, Parameter, Parameters
from medqa.simulate.projector import beam_for, reconstruct
from medqa.volume import Array


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
    """Return where the streaks are over half as strong as at their strongest: the band in which the starved rays lie densest."""
    return strong(change, array, pixel_mm, share=0.5)


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
    region=region,
)
